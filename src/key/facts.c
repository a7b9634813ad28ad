#include "key/key.h"
#include "wire/wire.h"

#include <openssl/x509.h>
#include <string.h>

/*
 * FIPS 186-5 and SP 800-131A. Ed25519 and Ed448 are in FIPS 186-5, but the validated modules of OpenSSL 3.0
 * do not count them as approved.
 */
bool est_key_is_fips_approved(const EVP_PKEY *key)
{
    static const char *const curves[] = {"ec:P-224", "ec:P-256", "ec:P-384", "ec:P-521"};
    est_key_info info;
    if (!est_key_info_get(key, &info) || info.weak)
        return false;
    if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS"))
        return info.bits >= 2048 && info.bits % 2 == 0;
    for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
        if (strcmp(info.name, curves[i]) == 0)
            return true;
    return false;
}

bool est_key_equal(const EVP_PKEY *a, const EVP_PKEY *b)
{
    return a != NULL && b != NULL && EVP_PKEY_eq(a, b) == 1;
}

bool est_key_spki_digest(const EVP_PKEY *key, uint8_t out[32])
{
    uint8_t *der = NULL;
    unsigned out_len = 0;
    size_t len = 0;
    memset(out, 0, 32);
    bool done = key != NULL && est_int_to_size(i2d_PUBKEY(key, &der), &len) && len > 0 &&
                EVP_Digest(der, len, out, &out_len, EVP_sha256(), NULL) == 1 && out_len == 32;
    OPENSSL_free(der);
    return done;
}

estuary_status estuary_key_algorithm(const EVP_PKEY *key, char *name, size_t size, estuary_error *err)
{
    est_key_info info;
    if (name == NULL || size == 0)
        return est_fail(err, EST_USAGE, "there is no room for the name of the key's algorithm");
    *name = '\0';
    if (!est_key_info_get(key, &info))
        return est_fail_openssl(err, EST_KEY, "the key does not say of what kind it is");
    size_t len = strlen(info.name);
    if (len >= size)
        return est_fail(err, EST_USAGE, "there is no room for the name of the key's algorithm");
    memcpy(name, info.name, len + 1);
    return ESTUARY_OK;
}
