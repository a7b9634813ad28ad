/* K6: a public key and callbacks become an EVP_PKEY. */
#include "key/provider.h"

#include <openssl/asn1.h>
#include <openssl/core_names.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#define RAW_MAX 1024 /* r||s */

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
    est_free(signer->name);
    est_free(signer->serial);
    est_free(signer);
}

static bool describe(est_bridge_signer *signer, const est_signer_about *about)
{
    signer->name = est_strdup(about->name);
    signer->serial = est_strdup(about->serial);
    signer->unverified = about->unverified;
    signer->no_oaep = about->no_oaep;
    return signer->name != NULL && (signer->serial != NULL || about->serial == NULL);
}

static est_bridge_signer *signer_new(const estuary_signer *calls, void *arg, const est_signer_about *about)
{
    est_bridge_signer *signer = est_alloc(sizeof(*signer));
    if (signer == NULL)
        return NULL;
    if (!describe(signer, about)) {
        est_free(signer->name);
        est_free(signer->serial);
        est_free(signer);
        return NULL;
    }
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

/* Every opt-out of a check is said once and counted (design, rule 5). */
static void admit(const est_signer_about *about)
{
    if (!about->unverified)
        return;
    est_key_count("insecure_unverified_keys_total");
    est_key_warn("key.unverified", "signatures of this key are used without being verified", about->name);
}

estuary_status est_key_from_signer(const EVP_PKEY *public_key, const estuary_signer *signer, void *arg,
                                   const est_signer_about *about, EVP_PKEY **out, estuary_error *err)
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
    key.signer = signer_new(signer, arg, about);
    if (key.signer == NULL) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    status = inject(&key, kind, out, err);
    if (status != ESTUARY_OK)
        key.signer->calls.free = NULL; /* arg stays the caller's */
    else
        admit(about);

cleanup:
    EVP_PKEY_free(key.public_key);
    est_bridge_signer_free(key.signer);
    return status;
}

/* A key without a URI is known by its public half. */
estuary_status estuary_key_from_signer(const EVP_PKEY *public_key, const estuary_signer *signer, void *arg,
                                       EVP_PKEY **out, estuary_error *err)
{
    char name[sizeof("signer:") + 2 * 32] = "signer:";
    uint8_t digest[32];
    *out = NULL;
    if (public_key != NULL && !est_key_spki_digest(public_key, digest))
        return est_fail_openssl(err, EST_KEY, "the signer's public key cannot be read");
    for (size_t i = 0; public_key != NULL && i < sizeof(digest); i++)
        (void)snprintf(name + strlen("signer:") + 2 * i, 3, "%02x", digest[i]);
    return est_key_from_signer(public_key, signer, arg, &(est_signer_about){.name = name}, out, err);
}

/* X.690 8.3: the shortest form, with a zero before a first bit that would read as a sign. */
static size_t put_integer(const uint8_t *number, size_t len, uint8_t *out)
{
    while (len > 1 && *number == 0) {
        number++;
        len--;
    }
    bool pad = (*number & 0x80) != 0;
    int content = 0;
    unsigned char *p = out;
    (void)est_size_to_int(len + (pad ? 1 : 0), &content); /* at most 513 */
    ASN1_put_object(&p, 0, content, V_ASN1_INTEGER, V_ASN1_UNIVERSAL);
    if (pad)
        *p++ = 0;
    memcpy(p, number, len);
    return (size_t)(p - out) + len;
}

estuary_status estuary_signature_from_raw(const uint8_t *raw, size_t raw_len, uint8_t *out, size_t *out_len,
                                          estuary_error *err)
{
    uint8_t content[RAW_MAX + 16], head[8];
    unsigned char *p = head;
    int len = 0;
    if (raw == NULL || raw_len == 0 || raw_len % 2 != 0 || raw_len > RAW_MAX)
        return est_fail(err, EST_KEY_SIGNATURE, "a raw ECDSA signature is two numbers of the same length");
    size_t used = put_integer(raw, raw_len / 2, content);
    used += put_integer(raw + raw_len / 2, raw_len / 2, content + used);
    (void)est_size_to_int(used, &len);
    ASN1_put_object(&p, 1, len, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL); /* ECDSA-Sig-Value, RFC 3279 2.2.3 */
    size_t head_len = (size_t)(p - head);
    if (head_len + used > *out_len)
        return est_fail(err, EST_USAGE, "there is no room for the signature");
    memcpy(out, head, head_len);
    memcpy(out + head_len, content, used);
    *out_len = head_len + used;
    return ESTUARY_OK;
}
