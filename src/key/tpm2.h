/* TPM 2.0 keys (K5), through the tpm2 provider of OpenSSL where it is installed. For this room only. */
#ifndef EST_TPM2_H
#define EST_TPM2_H

#include "key/key.h"

/*
 * The library context that holds the tpm2 provider, and nothing of it outside: in the default context
 * software keys would break (findings D). NULL when the provider is not installed.
 */
OSSL_LIB_CTX *est_tpm2_context(void);

#define EST_TPM2_QUERY "?provider=tpm2" /* the default provider reads the encodings around a key */
#define EST_TPM2_ONLY  "provider=tpm2"

/* One TPM, one conversation: the provider's connection is not thread-safe. */
void est_tpm2_lock(void);
void est_tpm2_unlock(void);

/* Where a key is: wrapped in a file's bytes, or at a persistent handle. */
typedef struct est_tpm2_source {
    char *uri;    /* for records */
    char *handle; /* handle:0x81…; NULL: bytes */
    uint8_t *bytes;
    size_t len;
    estuary_secret *pin; /* NULL: none */
    bool unverified;     /* ESTUARY_KEY_INSECURE_UNVERIFIED */
} est_tpm2_source;

/* tpm2_uri.c */
bool est_tpm2_is_handle(const char *text); /* 0x81 and six more hex digits */
/* tpm2:PATH[?parent=0x81…]; *parent is 0 when none is named. *path is freed with est_free(). */
estuary_status est_tpm2_uri_parse(const char *uri, char **path, uint32_t *parent, estuary_error *err);

/* tpm2_load.c: into the TPM, with its lock held; the caller frees *out under the same lock */
estuary_status est_tpm2_load(const est_tpm2_source *source, EVP_PKEY **out, estuary_error *err);
void est_tpm2_source_clear(est_tpm2_source *source);

/* tpm2_key.c: takes the key in use out of the TPM, with its lock held, for another to have a slot */
void est_tpm2_make_room(void);

/* tpm2_key.c: takes over the source, as a signer; it is emptied also on failure */
estuary_status est_tpm2_key_new(est_tpm2_source *source, EVP_PKEY **out, estuary_error *err);
/* OpenSSL's error queue as a failure of the TPM. */
estuary_status est_tpm2_fail(estuary_error *err, const char *what);
/* The same where an authorisation that is refused is not the key's, but of what it is loaded under. */
estuary_status est_tpm2_fail_at_parent(estuary_error *err, const char *what);

#endif
