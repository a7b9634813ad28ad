/* The PIN (K3): tried once, and never where one more mistake would lock the token. */
#include "key/pkcs11.h"

#include <string.h>

static estuary_status check_counter(const est_p11_token *token, const CK_TOKEN_INFO *info, estuary_error *err)
{
    if ((info->flags & CKF_USER_PIN_LOCKED) != 0)
        return est_fail(err, EST_KEY_PIN_LOCKED, "the PIN of the token \"%s\" is locked", token->label);
    if ((info->flags & CKF_USER_PIN_FINAL_TRY) != 0)
        return est_fail(err, EST_KEY_PIN_FINAL_TRY, NULL);
    if ((info->flags & CKF_USER_PIN_TO_BE_CHANGED) != 0)
        return est_fail(err, EST_KEY_PIN_EXPIRED, NULL);
    return ESTUARY_OK;
}

static CK_RV log_in(const est_p11_token *token, CK_SESSION_HANDLE session, CK_USER_TYPE user, bool with_pin)
{
    size_t len = 0;
    const char *pin = with_pin ? estuary_secret_get0(token->pin, &len) : NULL;
    return token->calls->C_Login(session, user, (CK_UTF8CHAR *)pin, len);
}

static estuary_status refused(est_p11_token *token, const CK_TOKEN_INFO *before, estuary_error *err)
{
    CK_TOKEN_INFO now = *before;
    est_key_count("key_pin_failures_total");
    estuary_secret_free(token->refused_pin);
    token->refused_pin = estuary_secret_up_ref(token->pin);
    (void)token->calls->C_GetTokenInfo(token->slot, &now);
    if ((now.flags & CKF_USER_PIN_LOCKED) != 0)
        return est_fail(err, EST_KEY_PIN_LOCKED, "the PIN was wrong, and the token \"%s\" is locked now",
                        token->label);
    if ((now.flags & CKF_USER_PIN_FINAL_TRY) != 0)
        return est_fail(err, EST_KEY_PIN, "the PIN is wrong, and one more mistake locks the token \"%s\"",
                        token->label);
    if ((now.flags & CKF_USER_PIN_COUNT_LOW) != 0)
        return est_fail(err, EST_KEY_PIN, "the PIN is wrong; the token \"%s\" counts mistakes, then locks",
                        token->label);
    return est_fail(err, EST_KEY_PIN, NULL);
}

static estuary_status log_in_once(est_p11_token *token, CK_SESSION_HANDLE session, estuary_error *err)
{
    CK_TOKEN_INFO info = token->info;
    token->logged_in = false;
    CK_RV rv = token->calls->C_GetTokenInfo(token->slot, &info);
    if (rv != CKR_OK)
        return est_p11_fail(err, rv, "asking for its state");
    if ((info.flags & CKF_LOGIN_REQUIRED) == 0)
        return ESTUARY_OK;
    bool with_pin = (info.flags & CKF_PROTECTED_AUTHENTICATION_PATH) == 0; /* else a pad asks for it */
    if (with_pin && token->pin == NULL)
        return est_fail(err, EST_KEY_PIN_NEEDED, "the token \"%s\" wants its PIN", token->label);
    if (with_pin && estuary_secret_equal(token->pin, token->refused_pin))
        return est_fail(err, EST_KEY_PIN, "the token refused this PIN before, and it is not tried again");
    estuary_status status = check_counter(token, &info, err);
    if (status != ESTUARY_OK)
        return status;
    rv = log_in(token, session, CKU_USER, with_pin);
    token->logged_in = rv == CKR_OK;
    if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN) /* a login is the whole process's */
        return ESTUARY_OK;
    if (rv == CKR_PIN_INCORRECT || rv == CKR_PIN_INVALID || rv == CKR_PIN_LEN_RANGE)
        return refused(token, &info, err);
    return est_p11_fail(err, rv, "the login");
}

/* K3: the PINs that everybody tries first. */
static bool is_well_known(const estuary_secret *pin)
{
    size_t len = 0;
    const char *text = estuary_secret_get0(pin, &len);
    return len == 4 && (memcmp(text, "0000", 4) == 0 || memcmp(text, "1234", 4) == 0);
}

/* Recorded whole: a PIN that is not tried is as telling as one that is wrong. */
estuary_status est_p11_login(est_p11_token *token, CK_SESSION_HANDLE session, estuary_error *err)
{
    static const est_p11_name none;
    char *name = NULL;
    estuary_error *own = err == NULL ? estuary_error_new() : err;
    estuary_status status = log_in_once(token, session, own);
    (void)est_p11_uri_format(token, &none, NULL, &name, NULL);
    (void)est_key_audit(EST_KEY_OP_LOGIN, name, token->serial, status, own);
    if (status == ESTUARY_OK && token->pin != NULL && is_well_known(token->pin))
        est_key_warn("key.default-pin", "the token's PIN is one that everybody tries first: change it", name);
    est_free(name);
    if (own != err)
        estuary_error_free(own);
    return status;
}

estuary_status est_p11_session_authenticate(const est_p11_session *session, estuary_error *err)
{
    est_p11_token *token = session->token;
    bool with_pin = (token->info.flags & CKF_PROTECTED_AUTHENTICATION_PATH) == 0;
    CK_TOKEN_INFO info = token->info;
    (void)pthread_mutex_lock(&token->lock);
    estuary_status status = ESTUARY_OK;
    if (with_pin && token->pin == NULL)
        status = est_fail(err, EST_KEY_PIN_NEEDED, "the key wants the PIN for each operation");
    if (status == ESTUARY_OK) {
        CK_RV rv = log_in(token, session->handle, CKU_CONTEXT_SPECIFIC, with_pin);
        if (rv == CKR_PIN_INCORRECT)
            status = refused(token, &info, err);
        else if (rv != CKR_OK)
            status = est_p11_fail(err, rv, "the login for one operation");
    }
    (void)pthread_mutex_unlock(&token->lock);
    return status;
}
