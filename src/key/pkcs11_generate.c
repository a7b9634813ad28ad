/* Making and destroying keys inside a token; what the token made of the request is read back (K2). */
#include "key/pkcs11_use.h"

#include <estuary/token.h>
#include <openssl/objects.h>
#include <string.h>

#define ATTRIBUTES_MAX 12

typedef struct plan {
    CK_MECHANISM_TYPE mechanism;
    CK_KEY_TYPE type;
    CK_ULONG bits;
    uint8_t params[32]; /* CKA_EC_PARAMS */
    size_t params_len;
} plan;

static estuary_status ec_plan(const char *curve, int nid, plan *out, estuary_error *err)
{
    unsigned char *p = out->params;
    ASN1_OBJECT *object = nid == NID_undef ? NULL : OBJ_nid2obj(nid);
    int len = object == NULL ? 0 : i2d_ASN1_OBJECT(object, NULL);
    if (len <= 0 || (size_t)len > sizeof(out->params) || i2d_ASN1_OBJECT(object, &p) != len)
        return est_fail(err, EST_USAGE_KEY_ALGORITHM, "tokens make no keys on \"%s\" here", curve);
    out->params_len = (size_t)len;
    out->type = CKK_EC;
    out->mechanism = CKM_EC_KEY_PAIR_GEN;
    return ESTUARY_OK;
}

static estuary_status make_plan(const char *algorithm, plan *out, estuary_error *err)
{
    static const struct {
        const char *name;
        CK_ULONG bits;
        int nid;
    } rows[] = {{"ec:P-256", 0, NID_X9_62_prime256v1}, {"ec:P-384", 0, NID_secp384r1},
                {"ec:P-521", 0, NID_secp521r1},        {"rsa:2048", 2048, NID_undef},
                {"rsa:3072", 3072, NID_undef},         {"rsa:4096", 4096, NID_undef}};
    static const uint8_t ed25519[] = {0x13, 0x0c, 'e', 'd', 'w', 'a', 'r', 'd', 's', '2', '5', '5', '1', '9'};
    memset(out, 0, sizeof(*out));
    if (algorithm == NULL)
        algorithm = rows[0].name;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!est_text_equal_nocase(algorithm, rows[i].name))
            continue;
        if (rows[i].bits == 0)
            return ec_plan(algorithm, rows[i].nid, out, err);
        out->bits = rows[i].bits;
        out->type = CKK_RSA;
        out->mechanism = CKM_RSA_PKCS_KEY_PAIR_GEN;
        return ESTUARY_OK;
    }
    if (!est_text_equal_nocase(algorithm, "ed25519"))
        return est_fail(err, EST_USAGE_KEY_ALGORITHM,
                        "tokens make ec:P-256, ec:P-384, ec:P-521, rsa:2048, rsa:3072, rsa:4096 and ed25519");
    memcpy(out->params, ed25519, sizeof(ed25519)); /* curveName, PKCS#11 3.0 2.3.10 */
    out->params_len = sizeof(ed25519);
    out->type = CKK_EC_EDWARDS;
    out->mechanism = CKM_EC_EDWARDS_KEY_PAIR_GEN;
    return ESTUARY_OK;
}

#define ADD(list, n, type, value, len)                                                                       \
    list[n++] = (CK_ATTRIBUTE)                                                                               \
    {                                                                                                        \
        type, (void *)(value), len                                                                           \
    }

static CK_RV generate(const est_p11_session *session, const plan *p, const est_p11_name *name,
                      CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key)
{
    static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    static const CK_BYTE exponent[] = {1, 0, 1};
    CK_ATTRIBUTE open[ATTRIBUTES_MAX], closed[ATTRIBUTES_MAX];
    CK_ULONG n = 0, m = 0;
    CK_MECHANISM mechanism = {p->mechanism, NULL, 0};
    ADD(open, n, CKA_TOKEN, &yes, sizeof(yes));
    ADD(open, n, CKA_VERIFY, &yes, sizeof(yes));
    ADD(open, n, CKA_LABEL, name->label, name->label_len);
    ADD(open, n, CKA_ID, name->id, name->id_len);
    ADD(closed, m, CKA_TOKEN, &yes, sizeof(yes));
    ADD(closed, m, CKA_PRIVATE, &yes, sizeof(yes));
    ADD(closed, m, CKA_SENSITIVE, &yes, sizeof(yes));
    ADD(closed, m, CKA_EXTRACTABLE, &no, sizeof(no));
    ADD(closed, m, CKA_SIGN, &yes, sizeof(yes));
    ADD(closed, m, CKA_LABEL, name->label, name->label_len);
    ADD(closed, m, CKA_ID, name->id, name->id_len);
    if (p->type == CKK_RSA) {
        ADD(open, n, CKA_MODULUS_BITS, &p->bits, sizeof(p->bits));
        ADD(open, n, CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent));
        ADD(open, n, CKA_ENCRYPT, &yes, sizeof(yes));
        ADD(closed, m, CKA_DECRYPT, &yes, sizeof(yes));
    } else {
        ADD(open, n, CKA_EC_PARAMS, p->params, p->params_len);
    }
    if (p->type == CKK_EC)
        ADD(closed, m, CKA_DERIVE, &yes, sizeof(yes));
    return session->token->calls->C_GenerateKeyPair(session->handle, &mechanism, open, n, closed, m,
                                                    public_key, private_key);
}

/* Absent counts as unprotected. */
static bool is_protected(const est_p11_session *session, CK_OBJECT_HANDLE key)
{
    return est_p11_flag(session, key, CKA_TOKEN, false) && est_p11_flag(session, key, CKA_PRIVATE, false) &&
           est_p11_flag(session, key, CKA_SENSITIVE, false) &&
           est_p11_flag(session, key, CKA_ALWAYS_SENSITIVE, false) &&
           !est_p11_flag(session, key, CKA_EXTRACTABLE, true) &&
           est_p11_flag(session, key, CKA_NEVER_EXTRACTABLE, false);
}

static estuary_status generate_checked(const est_p11_session *session, const plan *p,
                                       const est_p11_name *name, estuary_error *err)
{
    CK_OBJECT_HANDLE public_key = 0, private_key = 0;
    const CK_FUNCTION_LIST *calls = session->token->calls;
    if (calls->C_GenerateKeyPair == NULL || calls->C_DestroyObject == NULL)
        return est_fail(err, EST_KEY_OPERATION, "the token cannot make keys");
    CK_RV rv = generate(session, p, name, &public_key, &private_key);
    if (rv != CKR_OK)
        return est_p11_fail(err, rv, "making the key");
    if (is_protected(session, private_key))
        return ESTUARY_OK;
    rv = calls->C_DestroyObject(session->handle, private_key);
    (void)calls->C_DestroyObject(session->handle, public_key);
    if (rv != CKR_OK)
        return est_fail(err, EST_KEY_NOT_PROTECTED,
                        "the token made a key that can be read out, and did not destroy it when told to");
    return est_fail(err, EST_KEY_NOT_PROTECTED, NULL);
}

static CK_RV destroy_public(const est_p11_place *at, const est_p11_name *name)
{
    CK_OBJECT_HANDLE object = 0;
    if (est_p11_find(&at->session, CKO_PUBLIC_KEY, name, &object, NULL) != ESTUARY_OK)
        return CKR_OK; /* it need not be there */
    return at->token->calls->C_DestroyObject(at->session.handle, object);
}

/* A key that was made and is handed to nobody. */
static void destroy_new(const est_p11_place *at)
{
    CK_OBJECT_HANDLE key = 0;
    if (est_p11_find(&at->session, CKO_PRIVATE_KEY, &at->name, &key, NULL) == ESTUARY_OK)
        (void)at->token->calls->C_DestroyObject(at->session.handle, key);
    (void)destroy_public(at, &at->name);
}

static void record(est_key_operation operation, const char *uri, const est_p11_place *at,
                   estuary_status status, const estuary_error *err)
{
    (void)est_key_audit(operation, uri, at->token == NULL ? NULL : at->token->serial, status, err);
}

static void place_close(est_p11_place *at, estuary_status status)
{
    est_p11_place_close(at, status == ESTUARY_OK ? CKR_OK : CKR_FUNCTION_FAILED);
}

estuary_status estuary_token_generate(const char *algorithm, const char *uri, const estuary_secret *pin,
                                      EVP_PKEY **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_p11_place at = {0};
    plan p;
    char *exact = NULL;
    *out = NULL;
    EST_TRY(make_plan(algorithm, &p, err));
    EST_TRY(est_p11_place_open(uri, pin, true, &at, err));
    EST_TRY(est_p11_choose_name(&at.session, CKO_PRIVATE_KEY, &at.name, err));
    EST_TRY(generate_checked(&at.session, &p, &at.name, err));
    EST_TRY(est_p11_uri_format(at.token, &at.name, est_p11_place_module_path(&at), &exact, err));
    EST_TRY(est_p11_key_open(exact, at.uri.pin != NULL ? at.uri.pin : pin, EST_KEY_UNRECORDED, out, err));

cleanup:
    if (status != ESTUARY_OK && exact != NULL)
        destroy_new(&at);
    record(EST_KEY_OP_GENERATE, exact == NULL ? uri : exact, &at, status, err);
    place_close(&at, status);
    est_free(exact);
    return status;
}

/* Named in full, as a planned key is: less could be somebody's public key that stands for itself. */
static CK_RV destroy_lone_public(const est_p11_place *at)
{
    if (at->name.id_len == 0 || at->name.label_len == 0 || at->token->calls->C_DestroyObject == NULL)
        return CKR_OK;
    return destroy_public(at, &at->name);
}

estuary_status estuary_token_delete(const char *uri, const estuary_secret *pin, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_p11_place at = {0};
    est_p11_name own;
    CK_OBJECT_HANDLE key = 0;
    EST_TRY(est_p11_place_open(uri, pin, true, &at, err));
    if (at.name.id_len == 0 && at.name.label_len == 0)
        EST_FAIL(EST_USAGE_PKCS11_URI, "the URI of a key to delete names it with object= or id=");
    status = est_p11_find(&at.session, CKO_PRIVATE_KEY, &at.name, &key, err);
    /* a process killed while it made the key may have left the public half alone */
    if (status != ESTUARY_OK && est_error_code_of(err) == EST_KEY_NOT_FOUND) {
        CK_RV left = destroy_lone_public(&at);
        if (left != CKR_OK)
            status = est_p11_fail(err, left, "deleting the public half that was left");
    }
    EST_TRY(status);
    EST_TRY(est_p11_name_of(&at.session, key, &own, err));
    CK_RV rv = at.token->calls->C_DestroyObject == NULL
                   ? CKR_FUNCTION_NOT_SUPPORTED
                   : at.token->calls->C_DestroyObject(at.session.handle, key);
    if (rv == CKR_OK)
        rv = destroy_public(&at, &own);
    if (rv != CKR_OK)
        status = est_p11_fail(err, rv, "deleting the key");

cleanup:
    record(EST_KEY_OP_DELETE, uri, &at, status, err);
    place_close(&at, status);
    return status;
}

estuary_status estuary_token_key_name(const char *uri, const estuary_secret *pin, char **out,
                                      estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_p11_place at = {0};
    est_p11_name own;
    CK_OBJECT_HANDLE key = 0;
    *out = NULL;
    EST_TRY(est_p11_place_open(uri, pin, false, &at, err));
    EST_TRY(est_p11_find(&at.session, CKO_PRIVATE_KEY, &at.name, &key, err));
    EST_TRY(est_p11_name_of(&at.session, key, &own, err));
    EST_TRY(est_p11_uri_format(at.token, &own, est_p11_place_module_path(&at), out, err));

cleanup:
    record(EST_KEY_OP_FIND, *out == NULL ? uri : *out, &at, status, err);
    place_close(&at, status);
    return status;
}
