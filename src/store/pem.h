/* store, inside only: values to PEM and back. */
#ifndef EST_STORE_PEM_H
#define EST_STORE_PEM_H

#include "store/store.h"

/* An empty chain (or NULL) gives an empty text. The BIO owns the text; BIO_free(). */
BIO *est_store_certs_to_pem(X509 *leaf, const STACK_OF(X509) *chain);
/* The text in a memory BIO as a file to write. */
est_store_file est_store_file_of(const char *name, BIO *pem, mode_t mode);
/* A key that is not encrypted. */
EVP_PKEY *est_store_key_from_pem(const uint8_t *pem, size_t len);

#endif
