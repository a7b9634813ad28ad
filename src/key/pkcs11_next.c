/* A new key in the token of an old one, its label with a number appended. */
#include "key/next.h"
#include "key/pkcs11_use.h"

#include <stdio.h>
#include <string.h>

/* "device-2" of "device"; false when there is no room. */
static bool compose(const est_p11_name *old, size_t base_len, unsigned number, est_p11_name *out)
{
    char tail[16];
    int tail_len = snprintf(tail, sizeof(tail), "-%u", number);
    memset(out, 0, sizeof(*out));
    if (tail_len <= 0 || base_len + (size_t)tail_len > sizeof(out->label))
        return false;
    memcpy(out->label, old->label, base_len);
    memcpy(out->label + base_len, tail, (size_t)tail_len);
    out->label_len = base_len + (size_t)tail_len;
    return true;
}

/* Whether a key bears this label; "several do" is a yes, too. */
static estuary_status is_taken(const est_p11_session *session, const est_p11_name *name, bool *taken,
                               estuary_error *err)
{
    CK_OBJECT_HANDLE found = 0;
    estuary_error *own = estuary_error_new();
    estuary_status status =
        own == NULL ? est_fail_memory(err) : est_p11_find(session, CKO_PRIVATE_KEY, name, &found, own);
    est_code code = est_error_code_of(own);
    *taken = status == ESTUARY_OK || code == EST_KEY_AMBIGUOUS;
    if (own != NULL && !*taken && code != EST_KEY_NOT_FOUND)
        est_error_copy(err, own);
    else if (own != NULL)
        status = ESTUARY_OK;
    estuary_error_free(own);
    return status;
}

static estuary_status choose(const est_p11_place *at, const est_p11_name *old, est_p11_name *out,
                             estuary_error *err)
{
    unsigned number = 1;
    size_t base_len = est_key_numbered(old->label, old->label_len, &number);
    if (old->label_len == 0)
        return est_fail(err, EST_USAGE_PKCS11_URI,
                        "the old key has no label that a number could be appended to");
    for (unsigned tries = 0; tries < EST_KEY_NEXT_TRIES; tries++) {
        bool taken = false;
        if (!compose(old, base_len, ++number, out))
            return est_fail(err, EST_USAGE_PKCS11_URI, "the old key's label is too long to append a number");
        estuary_status status = is_taken(&at->session, out, &taken, err);
        if (status != ESTUARY_OK || !taken)
            return status;
    }
    return est_fail(err, EST_KEY_NAME_TAKEN, NULL);
}

/* The URI of the key to be made. */
static estuary_status plan(const est_p11_place *at, char **uri, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    CK_OBJECT_HANDLE key = 0;
    est_p11_name old, fresh;
    EST_TRY(est_p11_find(&at->session, CKO_PRIVATE_KEY, &at->name, &key, err));
    EST_TRY(est_p11_name_of(&at->session, key, &old, err));
    EST_TRY(choose(at, &old, &fresh, err));
    EST_TRY(est_p11_choose_name(&at->session, CKO_PRIVATE_KEY, &fresh, err)); /* its id */
    EST_TRY(est_p11_uri_format(at->token, &fresh, est_p11_place_module_path(at), uri, err));

cleanup:
    return status;
}

estuary_status est_p11_plan_next(const char *old, const estuary_secret *pin, char **uri, estuary_error *err)
{
    est_p11_place at = {0};
    estuary_status status = est_p11_place_open(old, pin, false, &at, err);
    if (status == ESTUARY_OK)
        status = plan(&at, uri, err);
    est_p11_place_close(&at, status == ESTUARY_OK ? CKR_OK : CKR_FUNCTION_FAILED);
    return status;
}

estuary_status est_p11_plan(const char *uri, const estuary_secret *pin, char **exact, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_p11_place at = {0};
    EST_TRY(est_p11_place_open(uri, pin, false, &at, err));
    EST_TRY(est_p11_choose_name(&at.session, CKO_PRIVATE_KEY, &at.name, err));
    EST_TRY(est_p11_uri_format(at.token, &at.name, est_p11_place_module_path(&at), exact, err));

cleanup:
    est_p11_place_close(&at, status == ESTUARY_OK ? CKR_OK : CKR_FUNCTION_FAILED);
    return status;
}

estuary_status est_p11_next(const char *algorithm, const char *old, const estuary_secret *pin, char **uri,
                            EVP_PKEY **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_p11_place at = {0};
    char *wanted = NULL;
    EST_TRY(est_p11_place_open(old, pin, false, &at, err));
    EST_TRY(plan(&at, &wanted, err));
    /* a PIN of the old URI's pin-source goes on to the new key */
    const estuary_secret *own = at.uri.pin != NULL ? at.uri.pin : pin;
    EST_TRY(estuary_token_generate(algorithm, wanted, own, out, err));
    status = estuary_token_key_name(wanted, own, uri, err);
    if (status != ESTUARY_OK) /* a key that cannot be named would be lost */
        (void)estuary_token_delete(wanted, own, NULL);

cleanup:
    est_p11_place_close(&at, status == ESTUARY_OK ? CKR_OK : CKR_FUNCTION_FAILED);
    est_free(wanted);
    if (status != ESTUARY_OK) {
        EVP_PKEY_free(*out);
        *out = NULL;
    }
    return status;
}
