/* key: a key URI to an EVP_PKEY. */
#ifndef EST_KEY_H
#define EST_KEY_H

#include "base/base.h"

#include <estuary/key.h>
#include <estuary/signer.h>
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

/* Beside the flags of estuary_key_open(): part of another operation, which is recorded instead. */
#define EST_KEY_UNRECORDED 0x80000000u
estuary_status est_p11_key_open(const char *uri, const estuary_secret *pin, unsigned flags, EVP_PKEY **out,
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

/* signer.c */

/* What records say of a signer's key, and whether its signatures are used as they come. */
typedef struct est_signer_about {
    const char *name;   /* its URI */
    const char *serial; /* of its token; NULL: none */
    bool unverified;    /* ESTUARY_KEY_INSECURE_UNVERIFIED */
    bool no_oaep;       /* it decrypts, but not with RSAES-OAEP */
} est_signer_about;

/* estuary_key_from_signer() for a key that has a name; `about` is copied. */
estuary_status est_key_from_signer(const EVP_PKEY *public_key, const estuary_signer *signer, void *arg,
                                   const est_signer_about *about, EVP_PKEY **out, estuary_error *err);

/* audit.c: each use of a key, for the log and the counters of estuary_process_set_key_records() (K7, O3, O6)
 */

typedef enum est_key_operation {
    EST_KEY_OP_NONE = 0,
    EST_KEY_OP_LOGIN,
    EST_KEY_OP_OPEN,
    EST_KEY_OP_FIND,
    EST_KEY_OP_LIST,
    EST_KEY_OP_SHOW,
    EST_KEY_OP_GENERATE,
    EST_KEY_OP_DELETE,
    EST_KEY_OP_SIGN,
    EST_KEY_OP_DECRYPT,
    EST_KEY_OP_DERIVE,
    EST_KEY_OP_ENCRYPT,
    EST_KEY_OP_WRAP,
    EST_KEY_OP_UNWRAP
} est_key_operation;

/*
 * Records one operation and returns status, so that it can stand in a return. key: its URI as the caller gave
 * it (a PIN in it, module-path and the like are left out) or another name; serial: the token's. Both may be
 * NULL, err, too: it says why a failed one failed. Not with a lock held that a log's callback may want.
 */
estuary_status est_key_audit(est_key_operation operation, const char *key, const char *serial,
                             estuary_status status, const estuary_error *err);
void est_key_count(const char *name); /* a static string */
void est_key_warn(const char *event, const char *message, const char *key);

/* facts.c */

/* true when FIPS 140 approves keys of this kind and size (T11). */
bool est_key_is_fips_approved(const EVP_PKEY *key);
/* Same public key. */
bool est_key_equal(const EVP_PKEY *a, const EVP_PKEY *b);
/* SHA-256 of the DER SubjectPublicKeyInfo. */
bool est_key_spki_digest(const EVP_PKEY *key, uint8_t out[32]);

#endif
