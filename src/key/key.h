/* key: a key URI to an EVP_PKEY. */
#ifndef EST_KEY_H
#define EST_KEY_H

#include "base/base.h"

#include <estuary/key.h>
#include <openssl/x509.h>

/* uri.c */

/*
 * The path a key URI names: a plain path, or file: with percent-encoding undone (RFC 8089). Hardware URIs are
 * UNSUPPORTED_KEY_URI. *path is freed with est_free().
 */
estuary_status est_key_uri_path(const char *uri, char **path, estuary_error *err);

/* A token's key, in a build that has PKCS#11. */
bool est_key_uri_is_pkcs11(const char *uri);
bool est_key_uri_is_tpm2(const char *uri); /* tpm2: or handle: */

/* pkcs11_key.c */

estuary_status est_p11_key_open(const char *uri, const estuary_secret *pin, EVP_PKEY **out,
                                estuary_error *err);

/* tpm2_open.c: tpm2:PATH (TSS2 PEM) and handle:0x81… (K5) */

estuary_status est_tpm2_open(const char *uri, const estuary_secret *pin, unsigned flags, EVP_PKEY **out,
                             estuary_error *err);
/* A new key of the TPM, written to tpm2:PATH. */
estuary_status est_tpm2_generate(const char *algorithm, const char *uri, const estuary_secret *pin,
                                 EVP_PKEY **out, estuary_error *err);

/* pbe.c */

/* KEY_TOO_EXPENSIVE when opening it would take more work than a key is worth, whatever the passphrase. */
estuary_status est_key_check_encryption(const X509_SIG *encrypted, estuary_error *err);
bool est_cipher_is_fetchable(const char *name); /* NULL: false */
estuary_status est_key_no_cipher(estuary_error *err);

/* write.c: a new file, 0600, complete or absent */
estuary_status est_key_write_pem(const char *path, const estuary_secret *pem, estuary_error *err);

/* facts.c */

/* true when FIPS 140 approves keys of this kind and size (T11). */
bool est_key_is_fips_approved(const EVP_PKEY *key);
/* Same public key. */
bool est_key_equal(const EVP_PKEY *a, const EVP_PKEY *b);
/* SHA-256 of the DER SubjectPublicKeyInfo. */
bool est_key_spki_digest(const EVP_PKEY *key, uint8_t out[32]);

#endif
