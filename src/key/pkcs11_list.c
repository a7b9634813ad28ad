/* A token and its keys, as a snapshot to look at (K7). */
#include "key/pkcs11.h"

#include <estuary/token.h>
#include <string.h>

#define KEYS_MAX  4096
#define FETCH_MAX 64

typedef struct listed_key {
    char *uri;
    char label[EST_P11_NAME_MAX];
    char id[2 * EST_P11_NAME_MAX + 1];
    char algorithm[48];
    unsigned attributes; /* bits 1 << estuary_key_attribute */
} listed_key;

struct estuary_token {
    char label[EST_P11_TEXT_SIZE], serial[EST_P11_TEXT_SIZE], manufacturer[EST_P11_TEXT_SIZE],
        model[EST_P11_TEXT_SIZE], firmware[16];
    const char *pin_state;
    listed_key *keys;
    size_t n_keys;
};

static const struct {
    estuary_key_attribute attribute;
    CK_ATTRIBUTE_TYPE type;
} asked[] = {{ESTUARY_KEY_SENSITIVE, CKA_SENSITIVE},
             {ESTUARY_KEY_ALWAYS_SENSITIVE, CKA_ALWAYS_SENSITIVE},
             {ESTUARY_KEY_EXTRACTABLE, CKA_EXTRACTABLE},
             {ESTUARY_KEY_NEVER_EXTRACTABLE, CKA_NEVER_EXTRACTABLE},
             {ESTUARY_KEY_LOCAL, CKA_LOCAL},
             {ESTUARY_KEY_SIGN, CKA_SIGN},
             {ESTUARY_KEY_DECRYPT, CKA_DECRYPT},
             {ESTUARY_KEY_DERIVE, CKA_DERIVE},
             {ESTUARY_KEY_UNWRAP, CKA_UNWRAP},
             {ESTUARY_KEY_ALWAYS_AUTHENTICATE, CKA_ALWAYS_AUTHENTICATE}};

static const char *pin_state(CK_FLAGS flags)
{
    if ((flags & CKF_USER_PIN_INITIALIZED) == 0)
        return "not set";
    if ((flags & CKF_USER_PIN_LOCKED) != 0)
        return "locked";
    if ((flags & CKF_USER_PIN_FINAL_TRY) != 0)
        return "final try";
    if ((flags & CKF_USER_PIN_COUNT_LOW) != 0)
        return "wrong PIN seen";
    return (flags & CKF_USER_PIN_TO_BE_CHANGED) != 0 ? "to be changed" : "ok";
}

static void describe(estuary_token *token, const CK_TOKEN_INFO *info)
{
    est_p11_text(info->label, sizeof(info->label), token->label);
    est_p11_text(info->serialNumber, sizeof(info->serialNumber), token->serial);
    est_p11_text(info->manufacturerID, sizeof(info->manufacturerID), token->manufacturer);
    est_p11_text(info->model, sizeof(info->model), token->model);
    token->pin_state = pin_state(info->flags);
    char *version = est_printf("%u.%u", info->firmwareVersion.major, info->firmwareVersion.minor);
    if (version != NULL)
        est_text_sanitise(version, strlen(version), token->firmware, sizeof(token->firmware));
    est_free(version);
}

static estuary_status add_key(estuary_token *token, const est_p11_session *session, CK_OBJECT_HANDLE object,
                              estuary_error *err)
{
    listed_key *key = &token->keys[token->n_keys];
    est_p11_name name;
    EVP_PKEY *public_key = NULL;
    estuary_status status = est_p11_name_of(session, object, &name, err);
    if (status == ESTUARY_OK)
        status = est_p11_uri_format(session->token, &name, NULL, &key->uri, err);
    if (status != ESTUARY_OK)
        return status;
    token->n_keys++;
    est_text_sanitise(name.label, name.label_len, key->label, sizeof(key->label));
    est_p11_hex(name.id, name.id_len, key->id);
    if (est_p11_public_key(session, object, &name, &public_key, NULL) == ESTUARY_OK)
        (void)estuary_key_algorithm(public_key, key->algorithm, sizeof(key->algorithm), NULL);
    EVP_PKEY_free(public_key);
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        if (est_p11_flag(session, object, asked[i].type, false))
            key->attributes |= 1u << asked[i].attribute;
    }
    return ESTUARY_OK;
}

/* All handles first: a token allows one search at a time in a session. */
static estuary_status collect(const est_p11_session *session, const est_p11_name *name,
                              CK_OBJECT_HANDLE **out, size_t *n_out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    CK_OBJECT_HANDLE *found = est_alloc(KEYS_MAX * sizeof(*found));
    CK_ULONG n = 0;
    size_t total = 0;
    *out = found;
    *n_out = 0;
    if (found == NULL)
        return est_fail_memory(err);
    CK_RV rv = est_p11_find_begin(session, CKO_PRIVATE_KEY, name);
    if (rv != CKR_OK)
        return est_p11_fail(err, rv, "listing the keys");
    do {
        size_t room = KEYS_MAX - total < FETCH_MAX ? KEYS_MAX - total : FETCH_MAX;
        rv = session->token->calls->C_FindObjects(session->handle, found + total, room, &n);
        if (rv != CKR_OK)
            status = est_p11_fail(err, rv, "listing the keys");
        else if (n > room)
            status = est_fail(err, EST_KEY_TOKEN, "the token names more keys than it was asked for");
        else
            total += n;
    } while (status == ESTUARY_OK && n > 0 && total < KEYS_MAX);
    (void)session->token->calls->C_FindObjectsFinal(session->handle);
    *n_out = total;
    return status;
}

static estuary_status list_keys(estuary_token *token, const est_p11_session *session,
                                const est_p11_name *name, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    CK_OBJECT_HANDLE *found = NULL;
    size_t n = 0;
    EST_TRY(collect(session, name, &found, &n, err));
    token->keys = est_alloc((n + 1) * sizeof(*token->keys));
    if (token->keys == NULL) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    for (size_t i = 0; i < n; i++)
        EST_TRY(add_key(token, session, found[i], err));

cleanup:
    est_free(found);
    return status;
}

estuary_status estuary_token_open(const char *text, const estuary_secret *pin, estuary_token **out,
                                  estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_p11_uri uri = {0};
    est_p11_name name;
    est_p11_token *place = NULL;
    est_p11_session session = {0};
    CK_TOKEN_INFO info;
    bool names_key = false;
    estuary_token *token = est_alloc(sizeof(*token));
    *out = NULL;
    if (token == NULL)
        return est_fail_memory(err);
    EST_TRY(est_p11_uri_parse(text, &uri, err));
    EST_TRY(est_p11_name_from_uri(&uri, &name, err));
    names_key = name.label_len > 0 || name.id_len > 0;
    EST_TRY(est_p11_token_open(&uri, pin, &place, err));
    info = place->info;
    (void)place->calls->C_GetTokenInfo(place->slot, &info); /* its PIN's state may have changed */
    describe(token, &info);
    if (pin != NULL || uri.pin != NULL) {
        EST_TRY(est_p11_session_take(place, false, &session, err));
        status = list_keys(token, &session, &name, err);
        est_p11_session_give(&session, status == ESTUARY_OK ? CKR_OK : CKR_FUNCTION_FAILED);
    }
    if (status != ESTUARY_OK)
        goto cleanup;
    *out = token;
    token = NULL;

cleanup:
    (void)est_key_audit(names_key ? EST_KEY_OP_SHOW : EST_KEY_OP_LIST, text,
                        place == NULL ? NULL : place->serial, status, err);
    est_p11_token_free(place);
    est_p11_uri_clear(&uri);
    estuary_token_free(token);
    return status;
}

void estuary_token_free(estuary_token *token)
{
    if (token == NULL)
        return;
    for (size_t i = 0; i < token->n_keys; i++)
        est_free(token->keys[i].uri);
    est_free(token->keys);
    est_free(token);
}

const char *estuary_token_label(const estuary_token *token)
{
    return token->label;
}

const char *estuary_token_serial(const estuary_token *token)
{
    return token->serial;
}

const char *estuary_token_manufacturer(const estuary_token *token)
{
    return token->manufacturer;
}

const char *estuary_token_model(const estuary_token *token)
{
    return token->model;
}

const char *estuary_token_firmware(const estuary_token *token)
{
    return token->firmware;
}

const char *estuary_token_pin_state(const estuary_token *token)
{
    return token->pin_state;
}

size_t estuary_token_key_count(const estuary_token *token)
{
    return token->n_keys;
}

static const listed_key *at(const estuary_token *token, size_t index)
{
    static const listed_key none = {.uri = (char *)""};
    return index < token->n_keys ? &token->keys[index] : &none;
}

const char *estuary_token_key_uri(const estuary_token *token, size_t index)
{
    return at(token, index)->uri;
}

const char *estuary_token_key_label(const estuary_token *token, size_t index)
{
    return at(token, index)->label;
}

const char *estuary_token_key_algorithm(const estuary_token *token, size_t index)
{
    return at(token, index)->algorithm;
}

const char *estuary_token_key_id(const estuary_token *token, size_t index)
{
    return at(token, index)->id;
}

bool estuary_token_key_has(const estuary_token *token, size_t index, estuary_key_attribute attribute)
{
    return ((at(token, index)->attributes >> (unsigned)attribute) & 1u) != 0;
}
