/*
 * key.h: every key is an EVP_PKEY, wherever it lives.
 *
 * Key URIs: a plain path, file:PATH, pkcs11:… (RFC 7512, see token.h), tpm2:PATH (a TPM 2.0 key as TSS2 PEM)
 * or handle:0x81… (a persistent one). TPM keys need OpenSSL's tpm2 provider at run time; without it they are
 * ESTUARY_E_UNSUPPORTED. The provider finds the TPM by its own environment variable, TPM2OPENSSL_TCTI.
 *
 * The functions here are thread-safe; an EVP_PKEY may be shared as OpenSSL allows.
 */
#ifndef ESTUARY_KEY_H
#define ESTUARY_KEY_H

#include <estuary/error.h>
#include <estuary/secret.h>
#include <openssl/evp.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Flags of estuary_key_open(). */
#define ESTUARY_KEY_INSECURE_PERMISSIONS 1u /* accept a key file that others own or can read */
/*
 * Use the signatures of a token or TPM as they come, without verifying each with the public key first. What a
 * faulty or hostile token gives then leaves the process. For measuring; a warning and a count are recorded
 * (estuary_process_set_key_records()). Key files do not care.
 */
#define ESTUARY_KEY_INSECURE_UNVERIFIED 2u

/*
 * Opens a private key: PKCS#8, traditional, or encrypted PEM, or DER (K1); or one in a PKCS#11 token, whose
 * PIN passphrase then is (K2, K3); or one of a TPM, whose authorisation it is (K5). passphrase may be NULL.
 * The file must be regular, owned by the effective user and closed to group and others (checked on
 * the opened descriptor). The caller frees *out with EVP_PKEY_free().
 */
ESTUARY_EXPORT estuary_status estuary_key_open(const char *uri, const estuary_secret *passphrase,
                                               unsigned flags, EVP_PKEY **out, estuary_error *err);

/*
 * Makes a key in memory: ec:P-256 (NULL means this one), ec:P-384, ec:P-521, rsa:2048..8192,
 * ed25519, ed448, or any algorithm name a loaded provider knows. The caller frees *out.
 */
ESTUARY_EXPORT estuary_status estuary_key_generate(const char *algorithm, EVP_PKEY **out, estuary_error *err);

/*
 * Makes a key where the URI says: in a token (estuary_token_generate()), in a TPM and wrapped by it in the
 * new file tpm2:PATH (ec:P-256, ec:P-384, rsa:2048, rsa:3072) - below the persistent key that
 * tpm2:PATH?parent=0x81… names, else below the owner hierarchy; see estuary_process_set_tpm_auth() where that
 * has an authorisation -, or as a new key file (estuary_key_write()). pin is the token's PIN, the key's
 * authorisation, or the file's passphrase; may be NULL. The caller frees *out.
 */
ESTUARY_EXPORT estuary_status estuary_key_create(const char *algorithm, const char *uri,
                                                 const estuary_secret *pin, EVP_PKEY **out,
                                                 estuary_error *err);

/*
 * Makes the key that follows another one at its renewal, where the old one lives: in the token of a pkcs11:
 * URI, its label the old one's with a number appended ("device", "device-2", "device-3"); or beside the file
 * of tpm2:PATH ("device.pem", "device-2.pem") and below the same parent. The old key stays. pin is the
 * token's PIN, or the new TPM key's authorisation; may be NULL.
 *
 * *uri names exactly the new key, without a PIN, and is freed with OPENSSL_free(); the caller frees *out.
 * ESTUARY_E_USAGE for keys that are followed by none in the same place: files, and a TPM's persistent
 * handles.
 */
ESTUARY_EXPORT estuary_status estuary_key_create_next(const char *algorithm, const char *old,
                                                      const estuary_secret *pin, char **uri, EVP_PKEY **out,
                                                      estuary_error *err);

/*
 * The exact name of a key that is to be made, for the caller to write down first: a process that is killed
 * while it makes a key in hardware may leave one that nobody knows. For estuary_key_create(): in a token with
 * the id drawn; ESTUARY_E_KEY when it is taken. And for the key that estuary_key_create_next() would make.
 * Both are handed to estuary_key_create(), and to estuary_key_destroy() when it comes to that. pin as there.
 * *exact and *uri are freed with OPENSSL_free(). ESTUARY_E_USAGE for key files.
 */
ESTUARY_EXPORT estuary_status estuary_key_plan(const char *uri, const estuary_secret *pin, char **exact,
                                               estuary_error *err);
ESTUARY_EXPORT estuary_status estuary_key_plan_next(const char *old, const estuary_secret *pin, char **uri,
                                                    estuary_error *err);

/*
 * Destroys a key for good: in a token (estuary_token_delete()), or the file of tpm2:PATH, without which the
 * TPM has no such key. ESTUARY_E_USAGE for other kinds. pin may be NULL while another key holds the token
 * open.
 */
ESTUARY_EXPORT estuary_status estuary_key_destroy(const char *uri, const estuary_secret *pin,
                                                  estuary_error *err);

/*
 * The name that makes another key of the same kind: "ec:P-256", "rsa:2048". Writes at most size
 * bytes including the NUL.
 */
ESTUARY_EXPORT estuary_status estuary_key_algorithm(const EVP_PKEY *key, char *name, size_t size,
                                                    estuary_error *err);

/* PKCS#8 PEM of a software key, wiped by estuary_secret_free(). passphrase NULL: not encrypted. */
ESTUARY_EXPORT estuary_status estuary_key_to_pem(const EVP_PKEY *key, const estuary_secret *passphrase,
                                                 estuary_secret **out, estuary_error *err);

/*
 * Writes a new key file, 0600, which must not exist; complete on disk (fsync) or absent.
 */
ESTUARY_EXPORT estuary_status estuary_key_write(const EVP_PKEY *key, const char *path,
                                                const estuary_secret *passphrase, estuary_error *err);

#ifdef __cplusplus
}
#endif
#endif
