/*
 * signer.h: your own key: a public key, and callbacks that do what only the private key can.
 *
 * For keys in a secure element, a remote signing service or another library. The result is an EVP_PKEY like
 * any other: it signs requests and TLS handshakes (RSA-PSS included), and opens server-generated keys where
 * it can decrypt or derive. Its private half never leaves the signer, so it cannot be written to a file.
 *
 * Each signature is verified with the public key before it is used; one that does not verify is
 * ESTUARY_E_KEY.
 */
#ifndef ESTUARY_SIGNER_H
#define ESTUARY_SIGNER_H

#include <estuary/error.h>
#include <openssl/evp.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum estuary_padding {
    ESTUARY_PADDING_NONE = 0, /* EC, Ed25519, Ed448 */
    ESTUARY_PADDING_PKCS1,    /* RSASSA-PKCS1-v1_5, RSAES-PKCS1-v1_5 (RFC 8017) */
    ESTUARY_PADDING_PSS,      /* RSASSA-PSS */
    ESTUARY_PADDING_OAEP      /* RSAES-OAEP */
} estuary_padding;

/* What to sign. Lent to the callback for the call. size is the struct's, so that it may grow. */
typedef struct estuary_sign_input {
    size_t size;
    estuary_padding padding;
    const char *digest;      /* "SHA2-256", as OpenSSL names it; NULL for Ed25519 and Ed448 */
    const char *mgf1_digest; /* with PSS */
    size_t salt_len;         /* with PSS, in bytes */
    const uint8_t *bytes;    /* the digest's value; for Ed25519 and Ed448 the whole message (RFC 8032) */
    size_t len;
    /* with PKCS1: the DigestInfo of RFC 8017 9.2, for tokens that want it ready (CKM_RSA_PKCS); else NULL */
    const uint8_t *digest_info;
    size_t digest_info_len;
} estuary_sign_input;

/* What to decrypt (RSA). */
typedef struct estuary_decrypt_input {
    size_t size;
    estuary_padding padding; /* PKCS1 or OAEP */
    const char *digest;      /* with OAEP */
    const char *mgf1_digest; /* with OAEP */
    const uint8_t *label;    /* with OAEP; NULL: empty */
    size_t label_len;
    const uint8_t *bytes;
    size_t len;
} estuary_decrypt_input;

/*
 * The callbacks. They may be called from any thread that uses the key, also at the same time. Each returns
 * ESTUARY_OK, or another status after filling err. *len holds the room on entry, the bytes written on return.
 */
typedef struct estuary_signer {
    size_t size; /* sizeof(estuary_signer) */
    /*
     * EC: the DER of ECDSA-Sig-Value (RFC 3279 2.2.3); estuary_signature_from_raw() makes it of r||s.
     * RSA: as long as the modulus. Ed25519, Ed448: as RFC 8032 has it.
     */
    estuary_status (*sign)(void *arg, const estuary_sign_input *input, uint8_t *out, size_t *len,
                           estuary_error *err);
    /* The decrypted bytes, padding taken off; NULL when the key cannot. */
    estuary_status (*decrypt)(void *arg, const estuary_decrypt_input *input, uint8_t *out, size_t *len,
                              estuary_error *err);
    /* ECDH: the x coordinate, as long as the field (SEC 1 3.3.1); NULL when the key cannot. */
    estuary_status (*derive)(void *arg, const EVP_PKEY *peer, uint8_t *out, size_t *len, estuary_error *err);
    /* When the last reference to the key is gone; may be NULL. */
    void (*free)(void *arg);
} estuary_signer;

/*
 * public_key: EC, RSA, Ed25519 or Ed448; copied. The signer is copied, arg kept; when the call fails, arg
 * stays the caller's and free is not called. The caller frees *out with EVP_PKEY_free(). Thread-safe.
 * ESTUARY_E_UNSUPPORTED for another kind of key, ESTUARY_E_USAGE without a sign callback.
 */
ESTUARY_EXPORT estuary_status estuary_key_from_signer(const EVP_PKEY *public_key,
                                                      const estuary_signer *signer, void *arg, EVP_PKEY **out,
                                                      estuary_error *err);

/*
 * The DER of an ECDSA signature from r||s, two numbers of the same length, big-endian: what tokens give.
 * *out_len holds the room on entry (raw_len + 16 is enough) and the length on return.
 */
ESTUARY_EXPORT estuary_status estuary_signature_from_raw(const uint8_t *raw, size_t raw_len, uint8_t *out,
                                                         size_t *out_len, estuary_error *err);

#ifdef __cplusplus
}
#endif
#endif
