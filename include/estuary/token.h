/*
 * token.h: keys that live in a PKCS#11 token (K2, K7): making, listing, looking at and deleting them.
 *
 * URIs are those of RFC 7512: pkcs11:token=…;serial=…;slot-id=…;object=…;id=…?module-path=/…  A URI that
 * means several tokens or keys is refused. pin-value and pin-source=|command are refused, too: a PIN is an
 * estuary_secret, or stands in a file that pin-source names. A PIN is tried once, and never when the token
 * says that one more mistake would lock it.
 *
 * p11-kit is loaded at the first use; without it, and in a build without PKCS#11, every function here is
 * ESTUARY_E_UNSUPPORTED. All functions are thread-safe. Opening a key is estuary_key_open().
 */
#ifndef ESTUARY_TOKEN_H
#define ESTUARY_TOKEN_H

#include <estuary/error.h>
#include <estuary/secret.h>
#include <openssl/evp.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Makes a key inside the token: ec:P-256, ec:P-384, ec:P-521, rsa:2048 to rsa:4096, ed25519 where the token
 * can. The URI names the new key with object= (its label), and with id= when the caller wants to choose that,
 * too; a label or id that is taken already is ESTUARY_E_KEY.
 *
 * Afterwards the attributes are read back: unless the key is SENSITIVE and not EXTRACTABLE, and always was,
 * it is destroyed and the call fails with key.not-protected. The caller frees *out with EVP_PKEY_free().
 */
ESTUARY_EXPORT estuary_status estuary_token_generate(const char *algorithm, const char *uri,
                                                     const estuary_secret *pin, EVP_PKEY **out,
                                                     estuary_error *err);

/* Destroys the one private key the URI names, and the public key object of the same id and label. */
ESTUARY_EXPORT estuary_status estuary_token_delete(const char *uri, const estuary_secret *pin,
                                                   estuary_error *err);

/*
 * Makes an AES key inside the token: one that encrypts and decrypts, aes:128, aes:192, aes:256 (NULL means
 * this one), or one that wraps and unwraps, aes-wrap:128, aes-wrap:192, aes-wrap:256. Never both: what is
 * wrapped could be decrypted, and be read outside of the token. A token that grants more has the key
 * destroyed. The URI names it as for estuary_token_generate(), and its attributes are read back in the same
 * way.
 */
ESTUARY_EXPORT estuary_status estuary_token_generate_secret(const char *algorithm, const char *uri,
                                                            const estuary_secret *pin, estuary_error *err);

/* How a key is wrapped by another one of the same token. A token need not have each of them: ESTUARY_E_KEY.
 */
typedef enum estuary_wrapping {
    ESTUARY_WRAP_AES = 1,       /* RFC 3394, by an AES key: secret keys */
    ESTUARY_WRAP_AES_PADDED,    /* RFC 5649, by an AES key: private keys, too (as PKCS#8) */
    ESTUARY_WRAP_RSA_OAEP_SHA1, /* by an RSA key: secret keys */
    ESTUARY_WRAP_RSA_OAEP_SHA256
} estuary_wrapping;

/*
 * Lets a key out of the token, encrypted by another one (a backup): private or secret, and the token must say
 * that it is EXTRACTABLE, which keys made here never are (key.not-extractable). The caller frees *out with
 * OPENSSL_free().
 */
ESTUARY_EXPORT estuary_status estuary_token_wrap(const char *wrapping_key, estuary_wrapping how,
                                                 const char *key, const estuary_secret *pin, uint8_t **out,
                                                 size_t *len, estuary_error *err);
/*
 * Takes a wrapped key into the token, under the name of `uri`, where it is SENSITIVE and not EXTRACTABLE from
 * then on. public_key is its public half (RSA or EC), which is stored beside it and must fit: a trial
 * signature is verified; NULL for an AES key. What does not fit is destroyed.
 */
ESTUARY_EXPORT estuary_status estuary_token_unwrap(const char *unwrapping_key, estuary_wrapping how,
                                                   const uint8_t *wrapped, size_t len, const char *uri,
                                                   const EVP_PKEY *public_key, const estuary_secret *pin,
                                                   estuary_error *err);

typedef enum estuary_token_cipher {
    ESTUARY_CIPHER_AES_GCM = 1, /* a nonce of 12 bytes, the ciphertext, a tag of 16 bytes */
    ESTUARY_CIPHER_RSA_OAEP_SHA1,
    ESTUARY_CIPHER_RSA_OAEP_SHA256
} estuary_token_cipher;

/*
 * Encrypts and decrypts inside the token, at most 64 KiB at once: with an AES key, or with the public and the
 * private half of an RSA key. The caller frees *out with OPENSSL_clear_free() or OPENSSL_free().
 */
ESTUARY_EXPORT estuary_status estuary_token_encrypt(const char *key, estuary_token_cipher how,
                                                    const estuary_secret *pin, const uint8_t *plain,
                                                    size_t plain_len, uint8_t **out, size_t *len,
                                                    estuary_error *err);
ESTUARY_EXPORT estuary_status estuary_token_decrypt(const char *key, estuary_token_cipher how,
                                                    const estuary_secret *pin, const uint8_t *sealed,
                                                    size_t sealed_len, uint8_t **out, size_t *len,
                                                    estuary_error *err);

/* What estuary_token_key_has() asks about; the PKCS#11 attributes of the same names. */
typedef enum estuary_key_attribute {
    ESTUARY_KEY_SENSITIVE = 1,
    ESTUARY_KEY_ALWAYS_SENSITIVE,
    ESTUARY_KEY_EXTRACTABLE,
    ESTUARY_KEY_NEVER_EXTRACTABLE,
    ESTUARY_KEY_LOCAL,
    ESTUARY_KEY_SIGN,
    ESTUARY_KEY_DECRYPT,
    ESTUARY_KEY_DERIVE,
    ESTUARY_KEY_UNWRAP,
    ESTUARY_KEY_ALWAYS_AUTHENTICATE
} estuary_key_attribute;

/* A snapshot of one token and the private keys of it that a URI means; belongs to the caller. */
typedef struct estuary_token estuary_token;

/*
 * The token, and those of its private keys that match the URI's object= and id= (at most 4096). Without a PIN
 * (NULL) only what the token shows to anyone: that may be no key at all. The caller frees *out.
 */
ESTUARY_EXPORT estuary_status estuary_token_open(const char *uri, const estuary_secret *pin,
                                                 estuary_token **out, estuary_error *err);
ESTUARY_EXPORT void estuary_token_free(estuary_token *token); /* NULL is fine */

/* Lent, cleaned text; "" when the token does not say. */
ESTUARY_EXPORT const char *estuary_token_label(const estuary_token *token);
ESTUARY_EXPORT const char *estuary_token_serial(const estuary_token *token);
ESTUARY_EXPORT const char *estuary_token_manufacturer(const estuary_token *token);
ESTUARY_EXPORT const char *estuary_token_model(const estuary_token *token);
ESTUARY_EXPORT const char *estuary_token_firmware(const estuary_token *token); /* "2.6" */
/* "ok", "wrong PIN seen", "final try", "locked", "to be changed", "not set": what the token says of its PIN.
 */
ESTUARY_EXPORT const char *estuary_token_pin_state(const estuary_token *token);

ESTUARY_EXPORT size_t estuary_token_key_count(const estuary_token *token);
/* Lent. The URI that names exactly this key; without module-path and PIN. */
ESTUARY_EXPORT const char *estuary_token_key_uri(const estuary_token *token, size_t index);
ESTUARY_EXPORT const char *estuary_token_key_label(const estuary_token *token, size_t index);
/* "ec:P-256"; "" when the token does not show the public half. */
ESTUARY_EXPORT const char *estuary_token_key_algorithm(const estuary_token *token, size_t index);
/* Hex; "" when there is none. */
ESTUARY_EXPORT const char *estuary_token_key_id(const estuary_token *token, size_t index);
/* false also when the token does not say. */
ESTUARY_EXPORT bool estuary_token_key_has(const estuary_token *token, size_t index,
                                          estuary_key_attribute attribute);

/*
 * The URI that names exactly the key of `uri`, module-path kept and PIN left out: what to write down
 * (key.uri). The caller frees *out with OPENSSL_free().
 */
ESTUARY_EXPORT estuary_status estuary_token_key_name(const char *uri, const estuary_secret *pin, char **out,
                                                     estuary_error *err);

#ifdef __cplusplus
}
#endif
#endif
