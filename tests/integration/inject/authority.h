/* A CA in a few lines: it issues for whoever asks. Nothing of src/: it must not fail with it. */
#ifndef TESTS_INJECT_AUTHORITY_H
#define TESTS_INJECT_AUTHORITY_H

#include <openssl/x509.h>
#include <stddef.h>
#include <stdint.h>

typedef struct authority {
    EVP_PKEY *key;
    X509 *root;
    char *root_pem; /* free() */
    long serial;    /* of the last certificate */
} authority;

#define AUTHORITY_ATTRIBUTES 3

void authority_new(authority *ca);
void authority_free(authority *ca);
/* Bodies in base64; free() them. */
char *authority_cacerts(const authority *ca);
char *authority_csrattrs(void); /* an EC key on P-256, ecdsa-with-SHA256, extKeyUsage clientAuth */
char *authority_issue(authority *ca, const uint8_t *body, size_t len);
/* A TLS client's certificate. */
X509 *authority_client(authority *ca, EVP_PKEY *key);
/* A server certificate for localhost and 127.0.0.1. */
X509 *authority_server(authority *ca, EVP_PKEY *key);

#endif
