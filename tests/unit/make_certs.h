/* An in-process CA for unit tests. Everything asserts: a test that cannot be set up has failed. */
#ifndef TESTS_UNIT_MAKE_CERTS_H
#define TESTS_UNIT_MAKE_CERTS_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <time.h>

typedef struct made {
    X509 *cert;
    EVP_PKEY *key;
} made;

typedef struct recipe {
    const char *cn;     /* NULL: an empty subject */
    const made *issuer; /* NULL: self-signed */
    EVP_PKEY *key;      /* NULL: a new one */
    const char *kind;   /* of the new key: "P-256" (NULL), "P-192", "rsa:1024" */
    const char *digest; /* "SHA256" when NULL */
    const char *constraints, *usage, *purposes, *san, *names; /* extension values as in openssl.cnf */
    long from, to;           /* seconds from now; 0 and 0: an hour ago to tomorrow */
    const char *not_after;   /* GeneralizedTime that replaces it */
    const char *serial;      /* hex; NULL: 1234 */
    const char *tls_feature; /* RFC 7633: "status_request" */
    bool no_check;           /* id-pkix-ocsp-nocheck */
    bool unknown_critical;   /* an extension nobody knows */
    bool no_identifiers;     /* neither subjectKeyIdentifier nor authorityKeyIdentifier */
    bool version_1;
    bool broken_signature;
} recipe;

made make_cert(const recipe *how);
made make_ca(const char *cn, const made *issuer);      /* with basicConstraints and keyCertSign */
made make_server(const char *san, const made *issuer); /* serverAuth, "CN=server" */
made make_client(const char *cn, const made *issuer);  /* clientAuth */
void free_made(made *gone);
X509_REQ *make_request(const char *cn, const char *san, const char *purposes, EVP_PKEY *key);
/* PEM of certs in this order, NULL-terminated; freed with OPENSSL_free(). */
char *make_pem(X509 *first, ...);
STACK_OF(X509) *make_stack(X509 *first, ...); /* NULL-terminated; freed with sk_X509_pop_free() */

#endif
