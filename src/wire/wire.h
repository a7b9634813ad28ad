/* wire: bytes to values and back. Pure: no sockets, files, clock, environment or global state. */
#ifndef EST_WIRE_H
#define EST_WIRE_H

#include "base/base.h"
#include "wire/cmc.h"
#include "wire/crl.h"

#include <estuary/csr.h>
#include <estuary/csrattrs.h>
#include <openssl/cms.h>
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
    char boundary[72]; /* as it stands there; "" when absent, 71 characters when longer than the 70 allowed */
} est_media_type;

/* false when value is not a media type. Unknown parameters are passed over. */
bool est_media_type_parse(const char *value, est_media_type *out);

/* multipart.c (RFC 2046 5.1) */

#define EST_MULTIPART_PARTS 4

typedef struct est_part {
    est_media_type type; /* type "" when the part does not say */
    const uint8_t *body; /* lent: inside of what was parsed */
    size_t len;
} est_part;

typedef struct est_multipart {
    est_part parts[EST_MULTIPART_PARTS];
    size_t count; /* at least one */
} est_multipart;

estuary_status est_multipart_parse(const uint8_t *body, size_t len, const char *boundary, est_multipart *out,
                                   estuary_error *err);

/* retry_after.c (RFC 9110 10.2.3): seconds or an HTTP date; *at is absolute. */
bool est_retry_after_parse(const char *value, time_t now, time_t *at);

/* certs_only.c: the certificates of a "certs-only" SignedData (RFC 7030 4.1.3, RFC 5272 4.1) */
estuary_status est_certs_only_parse(const uint8_t *der, size_t len, const estuary_limits *limits,
                                    STACK_OF(X509) **out, estuary_error *err);

/* decrypt.c: how a server-generated private key shall be encrypted (E9, RFC 7030 4.4.1) */

typedef enum est_decrypt_method {
    EST_DECRYPT_NONE = 0, /* by TLS alone */
    EST_DECRYPT_RSA,      /* key transport */
    EST_DECRYPT_EC,       /* key agreement */
    EST_DECRYPT_KEK,      /* AES key wrap */
    EST_DECRYPT_PASSWORD
} est_decrypt_method;

#define EST_DECRYPT_ID_MAX 255

typedef struct est_decrypt {
    est_decrypt_method method;
    uint8_t *id; /* what the request names the key by; owned, as all here */
    size_t id_len;
    EVP_PKEY *key;          /* EST_DECRYPT_RSA and _EC */
    X509 *certificate;      /* of key; NULL: none is known */
    estuary_secret *secret; /* EST_DECRYPT_KEK and _PASSWORD */
} est_decrypt;

void est_decrypt_clear(est_decrypt *decrypt);
/* References to the same key and secret; false when memory is short, *to is then clear. */
bool est_decrypt_copy(const est_decrypt *from, est_decrypt *to);
bool est_decrypt_same_recipient(const est_decrypt *a, const est_decrypt *b); /* method and identifier */
const char *est_decrypt_method_name(est_decrypt_method method); /* "rsa", "ec", "kek", "password"; "tls" */
bool est_decrypt_method_from_name(const char *name, est_decrypt_method *out);
/* An RSA or EC private key; certificate may be NULL. The identifier is the subject key identifier. */
estuary_status est_decrypt_set_key(est_decrypt *decrypt, EVP_PKEY *key, X509 *certificate,
                                   estuary_error *err);
estuary_status est_decrypt_set_secret(est_decrypt *decrypt, est_decrypt_method method, const uint8_t *id,
                                      size_t id_len, const estuary_secret *secret, estuary_error *err);
/* DecryptKeyIdentifier or AsymmetricDecryptKeyIdentifier, and SMIMECapabilities. */
estuary_status est_decrypt_add_attributes(const est_decrypt *decrypt, estuary_csr *csr, estuary_error *err);
/* The request asks for this method's kind and identifier, and for nothing else of the sort. */
bool est_decrypt_is_asked_for(const est_decrypt *decrypt, const X509_REQ *request);

/* key_envelope.c: the outer CMS message, before anything is decrypted */

/* Exactly one recipient, the one asked for, and only algorithms that are accepted. */
estuary_status est_key_envelope_check(CMS_ContentInfo *cms, const uint8_t *der, size_t len,
                                      const est_decrypt *decrypt, estuary_error *err);

/* key_package.c: the server-generated private key (RFC 7030 4.4.2, RFC 5958) */

/* PrivateKeyInfo or OneAsymmetricKey, whose halves must belong together. */
estuary_status est_pkcs8_parse(const uint8_t *der, size_t len, EVP_PKEY **out, estuary_error *err);
/*
 * Decrypts. The signature is still to be verified: *signed_data is for est_key_package_verify(), and freed
 * (and wiped) with est_key_package_free().
 */
estuary_status est_key_package_open(const uint8_t *der, size_t len, const est_decrypt *decrypt,
                                    EVP_PKEY **key, CMS_ContentInfo **signed_data, estuary_error *err);
/*
 * The one signer, whose certificate is among the message's own or certs; a reference. Whether it has the
 * authority is not looked at.
 */
estuary_status est_key_package_verify(CMS_ContentInfo *signed_data, const STACK_OF(X509) *certs,
                                      X509 **signer, estuary_error *err);
void est_key_package_free(CMS_ContentInfo *signed_data); /* NULL is fine */

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
/* An attribute of one value, in DER when type is V_ASN1_SEQUENCE; replaces the one with the same OID. */
estuary_status est_csr_put_attribute(estuary_csr *csr, const char *oid, int type, const uint8_t *value,
                                     size_t len, estuary_error *err);
/* Over its DER: X509_REQ_dup() of OpenSSL 3.0 crashes when memory runs short. NULL on failure. */
X509_REQ *est_request_dup(const X509_REQ *request);
/* true when the request carries ChangeSubjectName (RFC 6402 2.8). */
bool est_request_changes_subject(const X509_REQ *request);

/*
 * csr_sign.c: as estuary_csr_sign(). With unread the key may be put in as bytes only: then *unread is set,
 * and X509_REQ_get0_pubkey() gives NULL until est_request_dup() has read it.
 */
estuary_status est_csr_sign(const estuary_csr *csr, EVP_PKEY *key, X509_REQ **out, bool *unread,
                            estuary_error *err);

/* csr_encode.c: -1 on failure; *der is freed with OPENSSL_free() */
int est_request_encode(const X509_REQ *request, unsigned char **der);

/*
 * csr_inspect.c: the first flaw as an error; what E5 refuses before submission. signed_by: the request's key,
 * when the signature has been verified with it; NULL: the one in the request, and the signature is verified.
 */
estuary_status est_csr_refuse_broken(const X509_REQ *request, EVP_PKEY *signed_by, estuary_error *err);

#endif
