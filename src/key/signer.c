/* K6: a public key and callbacks become an EVP_PKEY. */
#include "key/provider.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/x509.h>
#include <string.h>

void est_bridge_signer_up_ref(est_bridge_signer *signer)
{
    atomic_fetch_add_explicit(&signer->references, 1, memory_order_relaxed);
}

void est_bridge_signer_free(est_bridge_signer *signer)
{
    if (signer == NULL || atomic_fetch_sub_explicit(&signer->references, 1, memory_order_acq_rel) != 1)
        return;
    if (signer->calls.free != NULL)
        signer->calls.free(signer->arg);
    est_free(signer);
}

static est_bridge_signer *signer_new(const estuary_signer *calls, void *arg)
{
    est_bridge_signer *signer = est_alloc(sizeof(*signer));
    if (signer == NULL)
        return NULL;
    atomic_init(&signer->references, 1);
    /* a caller built against an older header has a smaller table: what it lacks stays NULL */
    memcpy(&signer->calls, calls, calls->size < sizeof(*calls) ? calls->size : sizeof(*calls));
    signer->arg = arg;
    return signer;
}

/* One of OpenSSL's own, whatever the caller's is: through its encoding. */
static EVP_PKEY *copy_public(const EVP_PKEY *key)
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    const unsigned char *p = der;
    EVP_PKEY *copy = len <= 0 ? NULL : d2i_PUBKEY_ex(NULL, &p, len, NULL, EST_PROVIDER_OTHERS);
    OPENSSL_free(der);
    return copy;
}

static const char *kind_of(const EVP_PKEY *key)
{
    static const char *const kinds[] = {"EC", "RSA", "ED25519", "ED448"};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (EVP_PKEY_is_a(key, kinds[i]) == 1)
            return kinds[i];
    }
    return NULL;
}

static estuary_status inject(est_bridge_key *key, const char *kind, EVP_PKEY **out, estuary_error *err)
{
    OSSL_PARAM params[] = {OSSL_PARAM_octet_ptr(EST_PROVIDER_PARAM_KEY, NULL, 0), OSSL_PARAM_END};
    void *address = key;
    params[0].data = &address;
    params[0].data_size = sizeof(*key);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, kind, "provider=" EST_PROVIDER_NAME);
    estuary_status status = ESTUARY_OK;
    if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, out, EVP_PKEY_KEYPAIR, params) != 1)
        status = est_fail_openssl(err, EST_KEY, "OpenSSL does not take the signer's key");
    EVP_PKEY_CTX_free(context);
    return status;
}

estuary_status estuary_key_from_signer(const EVP_PKEY *public_key, const estuary_signer *signer, void *arg,
                                       EVP_PKEY **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_bridge_key key = {0};
    *out = NULL;
    if (public_key == NULL || signer == NULL ||
        signer->size < offsetof(estuary_signer, sign) + sizeof(signer->sign) || signer->sign == NULL)
        EST_FAIL(EST_USAGE, "a signer needs a public key and a sign callback");
    const char *kind = kind_of(public_key);
    if (kind == NULL)
        EST_FAIL(EST_UNSUPPORTED_SIGNER_KEY, NULL);
    if (!est_provider_load())
        EST_FAIL_OPENSSL(EST_CRYPTO, "the provider for keys of a signer cannot be loaded");
    key.public_key = copy_public(public_key);
    if (key.public_key == NULL)
        EST_FAIL_OPENSSL(EST_KEY, "the signer's public key cannot be read");
    key.signer = signer_new(signer, arg);
    if (key.signer == NULL) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    status = inject(&key, kind, out, err);
    if (status != ESTUARY_OK)
        key.signer->calls.free = NULL; /* arg stays the caller's */

cleanup:
    EVP_PKEY_free(key.public_key);
    est_bridge_signer_free(key.signer);
    return status;
}

estuary_status estuary_signature_from_raw(const uint8_t *raw, size_t raw_len, uint8_t *out, size_t *out_len,
                                          estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    ECDSA_SIG *signature = NULL;
    BIGNUM *r = NULL, *s = NULL;
    unsigned char *der = NULL;
    size_t len = 0;
    int half = 0;
    if (raw == NULL || raw_len == 0 || raw_len % 2 != 0 || raw_len > 1024 ||
        !est_size_to_int(raw_len / 2, &half))
        EST_FAIL(EST_KEY_SIGNATURE, "a raw ECDSA signature is two numbers of the same length");
    signature = ECDSA_SIG_new();
    r = BN_bin2bn(raw, half, NULL);
    s = BN_bin2bn(raw + half, half, NULL);
    if (signature == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(signature, r, s) != 1)
        EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
    r = s = NULL;
    if (!est_int_to_size(i2d_ECDSA_SIG(signature, &der), &len) || len == 0)
        EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
    if (len > *out_len)
        EST_FAIL(EST_USAGE, "there is no room for the signature");
    memcpy(out, der, len);
    *out_len = len;

cleanup:
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(signature);
    OPENSSL_free(der);
    return status;
}
