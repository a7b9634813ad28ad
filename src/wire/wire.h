/* wire: bytes to values and back. Pure: no sockets, files, clock, environment or global state. */
#ifndef EST_WIRE_H
#define EST_WIRE_H

#include "base/base.h"

#include <estuary/csr.h>
#include <estuary/csrattrs.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

/* base64.c (RFC 8951 3.1: any line length and white space is read, wrapped lines are written) */

/* Not more than max bytes of result; *out is freed with est_free(). */
estuary_status est_base64_decode(const uint8_t *text, size_t len, size_t max, uint8_t **out, size_t *out_len,
                                 estuary_error *err);
/* Lines of 64 characters, each ended by CRLF; NUL-terminated; freed with est_free(). */
estuary_status est_base64_encode(const uint8_t *bytes, size_t len, char **out, estuary_error *err);

/* media_type.c (RFC 9110 8.3.1) */

typedef struct est_media_type {
    char type[64];       /* "application/pkcs7-mime", lower case */
    char smime_type[32]; /* lower case; "" when absent */
} est_media_type;

/* false when value is not a media type. Unknown parameters are passed over. */
bool est_media_type_parse(const char *value, est_media_type *out);

/* retry_after.c (RFC 9110 10.2.3): seconds or an HTTP date; *at is absolute. */
bool est_retry_after_parse(const char *value, time_t now, time_t *at);

/* certs_only.c: the certificates of a "certs-only" SignedData (RFC 7030 4.1.3, RFC 5272 4.1) */
estuary_status est_certs_only_parse(const uint8_t *der, size_t len, const estuary_limits *limits,
                                    STACK_OF(X509) **out, estuary_error *err);

/* idn.c */

/*
 * A host name with U-labels to A-labels (RFC 5891, RFC 3492), ASCII in lower case. No wildcard, no trailing
 * dot, no IP address check; false when it is not a host name or does not fit.
 */
bool est_host_to_ascii(const char *u8, char *out, size_t size);

/* key_strength.c */

typedef struct est_key_info {
    char name[64]; /* in the words of estuary_key_generate(): "ec:P-256", "rsa:2048" */
    int bits;
    bool weak;
    char why[128]; /* a clause: "RSA keys need at least 2048 bits, this one has 1024" */
} est_key_info;

/* false only when the key cannot be looked at. */
bool est_key_info_get(const EVP_PKEY *key, est_key_info *out);
/* true for the NID of a named curve this OpenSSL knows. */
bool est_curve_is_known(int nid);
/*
 * true for MD2, MD4, MD5 and SHA-1 signatures, and for ones that cannot be told. Takes the NID of a signature
 * algorithm or of a digest: with RSASSA-PSS only the digest (X509_get_signature_info()) tells.
 */
bool est_signature_is_weak(int signature_nid);

/* san.c */

/* "dns:device.example", for people and JSON; freed with est_free(); NULL when memory is short. */
char *est_general_name_text(const GENERAL_NAME *name);
/* Equal as DER. NULL stands for an absent extension. */
bool est_general_names_equal(const GENERAL_NAMES *a, const GENERAL_NAMES *b);
/* The subjectAltName of a request; *out NULL when it has none. false when broken or memory is short. */
bool est_request_san(const X509_REQ *request, GENERAL_NAMES **out);
bool est_certificate_san(const X509 *certificate, GENERAL_NAMES **out);

/* csr_build.c */

estuary_csr *est_csr_dup(const estuary_csr *csr); /* NULL when memory is short */
/* Over its DER: X509_REQ_dup() of OpenSSL 3.0 crashes when memory runs short. NULL on failure. */
X509_REQ *est_request_dup(const X509_REQ *request);
/* true when the request carries ChangeSubjectName (RFC 6402 2.8). */
bool est_request_changes_subject(const X509_REQ *request);

/* csr_inspect.c: the first flaw as an error; what E5 refuses before submission. */
estuary_status est_csr_refuse_broken(const X509_REQ *request, bool signature_is_known_good,
                                     estuary_error *err);

#endif
