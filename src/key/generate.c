#include "key/key.h"
#include "wire/wire.h"

#include <estuary/token.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/rsa.h>
#include <string.h>

#define NAME_MAX_LEN 48
#define RSA_MIN_BITS 2048
#define RSA_MAX_BITS 8192

static estuary_status unknown(const char *algorithm, const char *why, estuary_error *err)
{
    char shown[NAME_MAX_LEN + 1];
    est_text_sanitise(algorithm, strnlen(algorithm, NAME_MAX_LEN), shown, sizeof(shown));
    return est_fail_openssl(err, EST_USAGE_KEY_ALGORITHM, "the key algorithm \"%s\" %s", shown, why);
}

/* Letters, digits, '-', '_' and '.': nothing that could be read as a property query. */
static bool is_plain(const char *name)
{
    size_t len = strnlen(name, NAME_MAX_LEN + 1);
    if (len == 0 || len > NAME_MAX_LEN)
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == len;
}

static estuary_status run(EVP_PKEY_CTX *context, EVP_PKEY **out, estuary_error *err)
{
    if (EVP_PKEY_generate(context, out) == 1)
        return ESTUARY_OK;
    return est_fail_openssl(err, EST_CRYPTO, "the key could not be generated");
}

static estuary_status generate_ec(const char *curve, const char *algorithm, EVP_PKEY **out,
                                  estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    EVP_PKEY_CTX *context = NULL;
    int nid = is_plain(curve) ? EC_curve_nist2nid(curve) : NID_undef;
    if (nid == NID_undef && is_plain(curve))
        nid = OBJ_txt2nid(curve);
    if (!est_curve_is_known(nid)) {
        status = unknown(algorithm, "names no curve we know", err);
        goto cleanup;
    }
    context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (context == NULL || EVP_PKEY_keygen_init(context) != 1)
        EST_FAIL_OPENSSL(EST_CRYPTO, "EC keys cannot be generated");
    if (EVP_PKEY_CTX_set_group_name(context, OBJ_nid2sn(nid)) != 1) {
        status = unknown(algorithm, "names no curve we know", err);
        goto cleanup;
    }
    EST_TRY(run(context, out, err));
cleanup:
    EVP_PKEY_CTX_free(context);
    return status;
}

/* 2048 to 8192, digits only; 0 otherwise. */
static int rsa_bits(const char *text)
{
    int bits = 0;
    if (strlen(text) != 4 || strspn(text, "0123456789") != 4)
        return 0;
    for (; *text != '\0'; text++)
        bits = 10 * bits + (*text - '0');
    return bits >= RSA_MIN_BITS && bits <= RSA_MAX_BITS ? bits : 0;
}

static estuary_status generate_rsa(const char *size, const char *algorithm, EVP_PKEY **out,
                                   estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    int bits = rsa_bits(size);
    if (bits == 0)
        return unknown(algorithm, "is not between rsa:2048 and rsa:8192", err);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    if (context == NULL || EVP_PKEY_keygen_init(context) != 1 ||
        EVP_PKEY_CTX_set_rsa_keygen_bits(context, bits) != 1)
        EST_FAIL_OPENSSL(EST_CRYPTO, "RSA keys cannot be generated");
    EST_TRY(run(context, out, err));
cleanup:
    EVP_PKEY_CTX_free(context);
    return status;
}

/* These have names of their own above, or need parameters a name does not carry. */
static bool needs_parameters(const char *name)
{
    static const char *const names[] = {"EC", "DSA", "DH", "DHX"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (est_text_equal_nocase(name, names[i]))
            return true;
    return false;
}

static estuary_status generate_other(const char *algorithm, EVP_PKEY **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    EVP_PKEY_CTX *context = NULL;
    if (is_plain(algorithm) && needs_parameters(algorithm)) {
        status = unknown(algorithm, "needs a curve or size (ec:P-256)", err);
        goto cleanup;
    }
    if (is_plain(algorithm))
        context = EVP_PKEY_CTX_new_from_name(NULL, algorithm, NULL);
    if (context == NULL) {
        status = unknown(algorithm, "is not known to any loaded provider", err);
        goto cleanup;
    }
    if (EVP_PKEY_keygen_init(context) != 1) {
        status = unknown(algorithm, "is not one keys are generated for", err);
        goto cleanup;
    }
    EST_TRY(run(context, out, err));
cleanup:
    EVP_PKEY_CTX_free(context);
    return status;
}

estuary_status estuary_key_generate(const char *algorithm, EVP_PKEY **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    EVP_PKEY *key = NULL;
    est_key_info info;
    *out = NULL;
    if (algorithm == NULL)
        algorithm = "ec:P-256";
    if (strncmp(algorithm, "ec:", 3) == 0)
        EST_TRY(generate_ec(algorithm + 3, algorithm, &key, err));
    else if (strncmp(algorithm, "rsa:", 4) == 0)
        EST_TRY(generate_rsa(algorithm + 4, algorithm, &key, err));
    else
        EST_TRY(generate_other(algorithm, &key, err));
    if (!est_key_info_get(key, &info))
        EST_FAIL_OPENSSL(EST_CRYPTO, "the new key cannot be looked at");
    if (info.weak)
        EST_FAIL(EST_USAGE_KEY_ALGORITHM, "the key algorithm %s is too weak: %s", info.name, info.why);
    *out = key;
    key = NULL;
cleanup:
    EVP_PKEY_free(key);
    return status;
}

static estuary_status create_file(const char *algorithm, const char *uri, const estuary_secret *pin,
                                  EVP_PKEY **out, estuary_error *err)
{
    estuary_status status = estuary_key_generate(algorithm, out, err);
    if (status == ESTUARY_OK)
        status = estuary_key_write(*out, uri, pin, err);
    if (status != ESTUARY_OK) {
        EVP_PKEY_free(*out);
        *out = NULL;
    }
    return status;
}

estuary_status estuary_key_create(const char *algorithm, const char *uri, const estuary_secret *pin,
                                  EVP_PKEY **out, estuary_error *err)
{
    *out = NULL;
#ifdef ESTUARY_PKCS11
    if (est_key_uri_is_pkcs11(uri))
        return estuary_token_generate(algorithm, uri, pin, out, err);
#endif
    estuary_status status = est_key_uri_is_tpm2(uri) ? est_tpm2_generate(algorithm, uri, pin, out, err)
                                                     : create_file(algorithm, uri, pin, out, err);
    return est_key_audit(EST_KEY_OP_GENERATE, uri, NULL, status, err);
}
