/* Signatures: we hash, the signer signs, and the public key says whether it did. */
#include "key/provider.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

#define DIGEST_INFO_MAX 128

typedef struct sign_context {
    est_bridge_key *key; /* a copy: OpenSSL may free its own before the context */
    bool verifies;
    EVP_MD_CTX *hash;
    EVP_MD *md; /* NULL: the whole message is signed (Ed25519, Ed448), or no digest was named */
    EVP_MD *mgf1;
    int padding;
    int salt; /* as OpenSSL counts: RSA_PSS_SALTLEN_* or bytes */
} sign_context;

static void *context_new(void *provctx, const char *propq)
{
    (void)provctx, (void)propq;
    return est_alloc(sizeof(sign_context));
}

static void context_free(void *data)
{
    sign_context *x = data;
    if (x == NULL)
        return;
    est_bridge_key_free(x->key);
    EVP_MD_CTX_free(x->hash);
    EVP_MD_free(x->md);
    EVP_MD_free(x->mgf1);
    est_free(x);
}

static bool md_copy(EVP_MD **to, EVP_MD *from)
{
    *to = from != NULL && EVP_MD_up_ref(from) == 1 ? from : NULL;
    return *to == from;
}

static void *context_dup(void *data)
{
    const sign_context *from = data;
    sign_context *x = est_alloc(sizeof(*x));
    if (x == NULL)
        return NULL;
    x->key = from->key == NULL ? NULL : est_bridge_key_dup(from->key);
    x->verifies = from->verifies;
    x->padding = from->padding;
    x->salt = from->salt;
    bool ok =
        (x->key != NULL || from->key == NULL) && md_copy(&x->md, from->md) && md_copy(&x->mgf1, from->mgf1);
    if (ok && from->hash != NULL) {
        x->hash = EVP_MD_CTX_new();
        ok = x->hash != NULL && EVP_MD_CTX_copy_ex(x->hash, from->hash) == 1;
    }
    if (ok)
        return x;
    context_free(x);
    return NULL;
}

/* By number, not by EVP_PKEY_is_a(): the answer must be the same when signing and when naming the algorithm.
 */
static bool is_rsa(const sign_context *x)
{
    return EVP_PKEY_get_base_id(x->key->public_key) == EVP_PKEY_RSA;
}

static bool is_whole_message(const sign_context *x)
{
    int type = EVP_PKEY_get_base_id(x->key->public_key);
    return type == EVP_PKEY_ED25519 || type == EVP_PKEY_ED448;
}

static bool salt_from_digits(const char *text, int *out)
{
    size_t digits = strspn(text, "0123456789");
    int value = 0;
    if (digits == 0 || digits > 4 || text[digits] != '\0')
        return false;
    for (; *text != '\0'; text++)
        value = 10 * value + (*text - '0');
    *out = value;
    return true;
}

static int set_context_params(void *data, const OSSL_PARAM params[])
{
    sign_context *x = data;
    const OSSL_PARAM *salt = NULL;
    if (params == NULL)
        return 1;
    if (!est_param_padding(params, OSSL_SIGNATURE_PARAM_PAD_MODE, &x->padding) ||
        !est_param_digest(params, OSSL_SIGNATURE_PARAM_DIGEST, &x->md) ||
        !est_param_digest(params, OSSL_SIGNATURE_PARAM_MGF1_DIGEST, &x->mgf1))
        return 0;
    salt = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
    if (salt == NULL)
        return 1;
    if (salt->data_type != OSSL_PARAM_UTF8_STRING)
        return OSSL_PARAM_get_int(salt, &x->salt);
    const char *text = salt->data;
    if (strcmp(text, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) == 0)
        x->salt = RSA_PSS_SALTLEN_DIGEST;
    else if (strcmp(text, OSSL_PKEY_RSA_PSS_SALT_LEN_MAX) == 0)
        x->salt = RSA_PSS_SALTLEN_MAX;
    else if (strcmp(text, OSSL_PKEY_RSA_PSS_SALT_LEN_AUTO) == 0)
        x->salt = RSA_PSS_SALTLEN_AUTO;
    else
        return salt_from_digits(text, &x->salt);
    return 1;
}

static const OSSL_PARAM *settable_params(void *data, void *provctx)
{
    static const OSSL_PARAM list[] = {OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
                                      OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
                                      OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
                                      OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
                                      OSSL_PARAM_END};
    (void)data, (void)provctx;
    return list;
}

/* In bytes; 0 when the key is too small for the digest. */
static size_t salt_length(const sign_context *x)
{
    int digest = EVP_MD_get_size(x->md);
    int most = (EVP_PKEY_get_bits(x->key->public_key) + 6) / 8 - digest - 2; /* RFC 8017 9.1.1 */
    int wanted = x->salt;
    if (wanted == RSA_PSS_SALTLEN_DIGEST)
        wanted = digest;
    else if (wanted < 0)
        wanted = most;
    return wanted < 0 || wanted > most ? 0 : (size_t)wanted;
}

static const EVP_MD *mgf1_of(const sign_context *x)
{
    return x->mgf1 == NULL ? x->md : x->mgf1;
}

static int init(void *data, void *key, const OSSL_PARAM params[], bool verifies)
{
    sign_context *x = data;
    if (key != NULL && !est_bridge_key_keep(&x->key, key))
        return 0;
    if (x->key == NULL || (!verifies && x->key->signer == NULL))
        return 0;
    x->verifies = verifies;
    x->padding = is_rsa(x) ? RSA_PKCS1_PADDING : 0;
    x->salt = RSA_PSS_SALTLEN_DIGEST;
    return set_context_params(x, params);
}

static int sign_init(void *data, void *key, const OSSL_PARAM params[])
{
    return init(data, key, params, false);
}

static int verify_init(void *data, void *key, const OSSL_PARAM params[])
{
    return init(data, key, params, true);
}

/* RFC 8017 9.2: the bytes that PKCS #1 v1.5 pads. */
static bool digest_info(const sign_context *x, const uint8_t *digest, size_t len, uint8_t *out,
                        size_t *out_len)
{
    X509_SIG *info = X509_SIG_new();
    X509_ALGOR *algorithm = NULL;
    ASN1_OCTET_STRING *value = NULL;
    unsigned char *der = NULL;
    size_t der_len = 0;
    int digest_len = 0;
    bool ok = info != NULL && est_size_to_int(len, &digest_len);
    if (ok) {
        X509_SIG_getm(info, &algorithm, &value);
        ok = X509_ALGOR_set0(algorithm, OBJ_nid2obj(EVP_MD_get_type(x->md)), V_ASN1_NULL, NULL) == 1 &&
             ASN1_OCTET_STRING_set(value, digest, digest_len) == 1 &&
             est_int_to_size(i2d_X509_SIG(info, &der), &der_len) && der_len > 0 && der_len <= *out_len;
    }
    if (ok) {
        memcpy(out, der, der_len);
        *out_len = der_len;
    }
    OPENSSL_free(der);
    X509_SIG_free(info);
    return ok;
}

static bool set_public_params(const sign_context *x, EVP_PKEY_CTX *context)
{
    if (EVP_PKEY_CTX_set_signature_md(context, x->md) != 1)
        return false;
    if (!is_rsa(x))
        return true;
    if (EVP_PKEY_CTX_set_rsa_padding(context, x->padding) != 1)
        return false;
    return x->padding != RSA_PKCS1_PSS_PADDING ||
           (EVP_PKEY_CTX_set_rsa_mgf1_md(context, mgf1_of(x)) == 1 &&
            EVP_PKEY_CTX_set_rsa_pss_saltlen(context, x->verifies ? x->salt : (int)salt_length(x)) == 1);
}

static bool verify_whole(const sign_context *x, const uint8_t *sig, size_t sig_len, const uint8_t *message,
                         size_t len)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool ok = context != NULL && EVP_DigestVerifyInit(context, NULL, NULL, NULL, x->key->public_key) == 1 &&
              EVP_DigestVerify(context, sig, sig_len, message, len) == 1;
    EVP_MD_CTX_free(context);
    return ok;
}

/* Against the public half, with OpenSSL's own code. */
static bool verify(const sign_context *x, const uint8_t *sig, size_t sig_len, const uint8_t *input,
                   size_t len)
{
    if (is_whole_message(x))
        return verify_whole(x, sig, sig_len, input, len);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, x->key->public_key, EST_PROVIDER_OTHERS);
    bool ok = context != NULL && EVP_PKEY_verify_init(context) == 1 && set_public_params(x, context) &&
              EVP_PKEY_verify(context, sig, sig_len, input, len) == 1;
    EVP_PKEY_CTX_free(context);
    return ok;
}

static bool describe(const sign_context *x, const uint8_t *input, size_t len, estuary_sign_input *out,
                     uint8_t info[DIGEST_INFO_MAX])
{
    *out = (estuary_sign_input){.size = sizeof(*out), .bytes = input, .len = len};
    if (is_whole_message(x))
        return true;
    if (x->md == NULL || len != (size_t)EVP_MD_get_size(x->md))
        return false;
    out->digest = EVP_MD_get0_name(x->md);
    if (!is_rsa(x))
        return true;
    if (x->padding == RSA_PKCS1_PADDING) {
        out->padding = ESTUARY_PADDING_PKCS1;
        out->digest_info = info;
        out->digest_info_len = DIGEST_INFO_MAX;
        return digest_info(x, input, len, info, &out->digest_info_len);
    }
    out->padding = ESTUARY_PADDING_PSS;
    out->mgf1_digest = EVP_MD_get0_name(mgf1_of(x));
    out->salt_len = salt_length(x);
    return x->padding == RSA_PKCS1_PSS_PADDING && (out->salt_len > 0 || x->salt == 0);
}

static int sign_input(const sign_context *x, uint8_t *sig, size_t *sig_len, size_t room, const uint8_t *input,
                      size_t len)
{
    uint8_t info[DIGEST_INFO_MAX];
    estuary_sign_input described;
    if (sig == NULL)
        return est_int_to_size(EVP_PKEY_get_size(x->key->public_key), sig_len) && *sig_len > 0;
    *sig_len = room;
    if (!describe(x, input, len, &described, info)) {
        est_openssl_raise(EST_KEY_OPERATION, NULL);
        return 0;
    }
    estuary_error *err = estuary_error_new();
    const est_bridge_signer *signer = x->key->signer;
    estuary_status status = signer->calls.sign(signer->arg, &described, sig, sig_len, err);
    /* a token or a faulty callback may answer anything: nothing leaves that its own public key refuses */
    if (status == ESTUARY_OK &&
        (*sig_len > room || (!signer->unverified && !verify(x, sig, *sig_len, input, len))))
        status = est_fail(err, EST_KEY_SIGNATURE, NULL);
    (void)est_key_audit(EST_KEY_OP_SIGN, signer->name, signer->serial, status, err);
    if (status != ESTUARY_OK) {
        OPENSSL_cleanse(sig, room);
        est_openssl_raise(err == NULL ? EST_KEY : est_error_code_of(err), estuary_error_message(err));
    }
    estuary_error_free(err);
    return status == ESTUARY_OK;
}

static int sign(void *data, unsigned char *sig, size_t *sig_len, size_t room, const unsigned char *tbs,
                size_t tbs_len)
{
    return sign_input(data, sig, sig_len, room, tbs, tbs_len);
}

static int verify_digest(void *data, const unsigned char *sig, size_t sig_len, const unsigned char *tbs,
                         size_t tbs_len)
{
    return verify(data, sig, sig_len, tbs, tbs_len);
}

static int hash_init(sign_context *x, const char *name)
{
    if (is_whole_message(x))
        return name == NULL || *name == '\0';
    if (name != NULL && *name != '\0') {
        EVP_MD *md = EVP_MD_fetch(NULL, name, NULL);
        if (md == NULL)
            return 0;
        EVP_MD_free(x->md);
        x->md = md;
    }
    EVP_MD_CTX_free(x->hash);
    x->hash = EVP_MD_CTX_new();
    return x->hash != NULL && x->md != NULL && EVP_DigestInit_ex2(x->hash, x->md, NULL) == 1;
}

static int digest_sign_init(void *data, const char *name, void *key, const OSSL_PARAM params[])
{
    return init(data, key, params, false) && hash_init(data, name);
}

static int digest_verify_init(void *data, const char *name, void *key, const OSSL_PARAM params[])
{
    return init(data, key, params, true) && hash_init(data, name);
}

static int digest_update(void *data, const unsigned char *bytes, size_t len)
{
    sign_context *x = data;
    return x->hash != NULL && EVP_DigestUpdate(x->hash, bytes, len) == 1;
}

static int digest_sign_final(void *data, unsigned char *sig, size_t *sig_len, size_t room)
{
    sign_context *x = data;
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (sig == NULL)
        return sign_input(x, NULL, sig_len, 0, NULL, 0);
    return x->hash != NULL && EVP_DigestFinal_ex(x->hash, digest, &len) == 1 &&
           sign_input(x, sig, sig_len, room, digest, len);
}

static int digest_verify_final(void *data, const unsigned char *sig, size_t sig_len)
{
    sign_context *x = data;
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    return x->hash != NULL && EVP_DigestFinal_ex(x->hash, digest, &len) == 1 &&
           verify(x, sig, sig_len, digest, len);
}

static int digest_sign(void *data, unsigned char *sig, size_t *sig_len, size_t room, const unsigned char *tbs,
                       size_t tbs_len)
{
    sign_context *x = data;
    if (is_whole_message(x))
        return sign_input(x, sig, sig_len, room, tbs, tbs_len);
    if (sig != NULL && !digest_update(x, tbs, tbs_len))
        return 0;
    return digest_sign_final(x, sig, sig_len, room);
}

static int digest_verify(void *data, const unsigned char *sig, size_t sig_len, const unsigned char *tbs,
                         size_t tbs_len)
{
    sign_context *x = data;
    if (is_whole_message(x))
        return verify(x, sig, sig_len, tbs, tbs_len);
    return digest_update(x, tbs, tbs_len) && digest_verify_final(x, sig, sig_len);
}

/* X509_ALGOR_set_md() has no result: without memory it changes nothing. */
static bool set_digest(X509_ALGOR *algorithm, const EVP_MD *md)
{
    const ASN1_OBJECT *oid = NULL;
    X509_ALGOR_set_md(algorithm, md);
    X509_ALGOR_get0(&oid, NULL, NULL, algorithm);
    return OBJ_obj2nid(oid) == EVP_MD_get_type(md);
}

/* RFC 4055 3.1 */
static bool pss_parameters(const sign_context *x, ASN1_STRING **out)
{
    RSA_PSS_PARAMS *pss = RSA_PSS_PARAMS_new();
    ASN1_STRING *mgf1 = NULL;
    bool ok = pss != NULL;
    *out = NULL;
    if (ok) {
        pss->hashAlgorithm = X509_ALGOR_new();
        pss->maskGenAlgorithm = X509_ALGOR_new();
        pss->saltLength = ASN1_INTEGER_new();
        pss->maskHash = X509_ALGOR_new();
        ok = pss->hashAlgorithm != NULL && pss->maskGenAlgorithm != NULL && pss->saltLength != NULL &&
             pss->maskHash != NULL;
    }
    if (ok) {
        const size_t salt = salt_length(x);
        ok = (salt > 0 || x->salt == 0) && set_digest(pss->hashAlgorithm, x->md) &&
             set_digest(pss->maskHash, mgf1_of(x)) &&
             ASN1_INTEGER_set_int64(pss->saltLength, (int64_t)salt) == 1 &&
             ASN1_item_pack(pss->maskHash, ASN1_ITEM_rptr(X509_ALGOR), &mgf1) != NULL &&
             X509_ALGOR_set0(pss->maskGenAlgorithm, OBJ_nid2obj(NID_mgf1), V_ASN1_SEQUENCE, mgf1) == 1;
        if (ok)
            mgf1 = NULL;
    }
    ok = ok && ASN1_item_pack(pss, ASN1_ITEM_rptr(RSA_PSS_PARAMS), out) != NULL;
    ASN1_STRING_free(mgf1);
    RSA_PSS_PARAMS_free(pss);
    return ok;
}

static bool set_algorithm(const sign_context *x, X509_ALGOR *algorithm)
{
    int nid = NID_undef;
    ASN1_STRING *pss = NULL;
    if (is_whole_message(x))
        return X509_ALGOR_set0(algorithm, OBJ_nid2obj(EVP_PKEY_get_id(x->key->public_key)), V_ASN1_UNDEF,
                               NULL) == 1;
    if (x->md == NULL)
        return false;
    if (is_rsa(x) && x->padding == RSA_PKCS1_PSS_PADDING) {
        if (pss_parameters(x, &pss) &&
            X509_ALGOR_set0(algorithm, OBJ_nid2obj(NID_rsassaPss), V_ASN1_SEQUENCE, pss) == 1)
            return true;
        ASN1_STRING_free(pss);
        return false;
    }
    /* RFC 4055 5: NULL with RSA; RFC 5758 3.2: absent with ECDSA */
    return OBJ_find_sigid_by_algs(&nid, EVP_MD_get_type(x->md), EVP_PKEY_get_base_id(x->key->public_key)) ==
               1 &&
           X509_ALGOR_set0(algorithm, OBJ_nid2obj(nid), is_rsa(x) ? V_ASN1_NULL : V_ASN1_UNDEF, NULL) == 1;
}

/* The AlgorithmIdentifier that X509_REQ_sign() and its kin put beside the signature. */
static int get_algorithm_id(const sign_context *x, OSSL_PARAM *p)
{
    unsigned char *der = NULL;
    X509_ALGOR *algorithm = X509_ALGOR_new();
    size_t len = 0;
    int ok = algorithm != NULL && set_algorithm(x, algorithm) &&
             est_int_to_size(i2d_X509_ALGOR(algorithm, &der), &len) && len > 0 &&
             OSSL_PARAM_set_octet_string(p, der, len) == 1;
    OPENSSL_free(der);
    X509_ALGOR_free(algorithm);
    return ok;
}

static int get_padding(const sign_context *x, OSSL_PARAM *p)
{
    if (p->data_type != OSSL_PARAM_UTF8_STRING)
        return OSSL_PARAM_set_int(p, x->padding);
    return OSSL_PARAM_set_utf8_string(
        p, x->padding == RSA_PKCS1_PSS_PADDING ? OSSL_PKEY_RSA_PAD_MODE_PSS : OSSL_PKEY_RSA_PAD_MODE_PKCSV15);
}

static int get_context_params(void *data, OSSL_PARAM params[])
{
    const sign_context *x = data;
    OSSL_PARAM *p = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_ALGORITHM_ID);
    if (p != NULL && !get_algorithm_id(x, p))
        return 0;
    p = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
    if (p != NULL && !get_padding(x, p))
        return 0;
    p = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_DIGEST);
    if (p != NULL && !OSSL_PARAM_set_utf8_string(p, x->md == NULL ? "" : EVP_MD_get0_name(x->md)))
        return 0;
    p = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_MGF1_DIGEST);
    if (p != NULL && !OSSL_PARAM_set_utf8_string(p, x->md == NULL ? "" : EVP_MD_get0_name(mgf1_of(x))))
        return 0;
    p = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
    if (p != NULL && p->data_type != OSSL_PARAM_UTF8_STRING && !OSSL_PARAM_set_int(p, x->salt))
        return 0;
    return 1;
}

static const OSSL_PARAM *gettable_params(void *data, void *provctx)
{
    static const OSSL_PARAM list[] = {OSSL_PARAM_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID, NULL, 0),
                                      OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
                                      OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
                                      OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
                                      OSSL_PARAM_int(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL),
                                      OSSL_PARAM_END};
    (void)data, (void)provctx;
    return list;
}

const OSSL_DISPATCH est_signature[] = {
    {OSSL_FUNC_SIGNATURE_NEWCTX, (void (*)(void))context_new},
    {OSSL_FUNC_SIGNATURE_FREECTX, (void (*)(void))context_free},
    {OSSL_FUNC_SIGNATURE_DUPCTX, (void (*)(void))context_dup},
    {OSSL_FUNC_SIGNATURE_SIGN_INIT, (void (*)(void))sign_init},
    {OSSL_FUNC_SIGNATURE_SIGN, (void (*)(void))sign},
    {OSSL_FUNC_SIGNATURE_VERIFY_INIT, (void (*)(void))verify_init},
    {OSSL_FUNC_SIGNATURE_VERIFY, (void (*)(void))verify_digest},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (void (*)(void))digest_sign_init},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, (void (*)(void))digest_update},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, (void (*)(void))digest_sign_final},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN, (void (*)(void))digest_sign},
    {OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_INIT, (void (*)(void))digest_verify_init},
    {OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_UPDATE, (void (*)(void))digest_update},
    {OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_FINAL, (void (*)(void))digest_verify_final},
    {OSSL_FUNC_SIGNATURE_DIGEST_VERIFY, (void (*)(void))digest_verify},
    {OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, (void (*)(void))get_context_params},
    {OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS, (void (*)(void))gettable_params},
    {OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, (void (*)(void))set_context_params},
    {OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, (void (*)(void))settable_params},
    {0, NULL}};
