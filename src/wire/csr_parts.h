/* What the csr_*.c, csrattrs.c, name.c, san.c and idn.c of this room share; nobody else includes it. */
#ifndef EST_WIRE_CSR_PARTS_H
#define EST_WIRE_CSR_PARTS_H

#include "wire/wire.h"

#define EST_CSR_MAX_BYTES      65536
#define EST_CSR_MAX_EXTENSIONS 256
#define EST_NAME_MAX_TEXT      4096
#define EST_NAME_MAX_ENTRIES   64
#define EST_OID_MAX_TEXT       128

struct estuary_csr {
    X509_NAME *subject;
    X509_EXTENSIONS *extensions;          /* in the order they were set; NULL while there are none */
    STACK_OF(X509_ATTRIBUTE) *attributes; /* others than extensionRequest and challengePassword */
    char *challenge;                      /* wiped when freed */
    size_t challenge_len;
    int digest; /* a NID from the server's wishes; NID_undef: by the key */
    bool pss;   /* RSASSA-PSS, from the server's wishes */
};

/* One entry of CsrAttrs. */
typedef struct est_csr_attribute {
    estuary_csr_attribute_kind kind;
    char *oid;
    char *name;
    char *words;
    ASN1_OBJECT *type;
    X509_ATTRIBUTE *attribute;   /* NULL for a bare OID */
    X509_EXTENSIONS *extensions; /* ESTUARY_CSRATTR_EXTENSIONS */
    char key[64];                /* ESTUARY_CSRATTR_KEY: "ec:P-384", or "ec:", "rsa:" without parameters */
    bool must_fill;              /* a part of a template without a value of its own */
} est_csr_attribute;

typedef struct est_csr_template est_csr_template; /* RFC 9908; csr_template.h */

struct estuary_csr_attributes {
    est_csr_attribute *entries;
    size_t count;
    est_csr_template *template; /* NULL: the server sent none */
};

/* csrattrs.c */

/* From type and attribute to oid, name, kind and words; `number` of the entry is for the error. */
estuary_status est_csr_attribute_describe(est_csr_attribute *entry, size_t number, estuary_error *err);
void est_csr_attribute_clear(est_csr_attribute *entry);

/* csr_template.c */
void est_csr_template_free(est_csr_template *template); /* NULL is fine */

/* csr_apply.c */

bool est_asn1_is_text(int type); /* one of DirectoryString's, IA5String, NumericString */
/* The same text, whatever the string types. */
bool est_same_text(const ASN1_STRING *have, const ASN1_TYPE *wish);
/* Replaces or appends; takes ownership in every case. NULL is short memory. */
estuary_status est_csr_put_extension(estuary_csr *csr, X509_EXTENSION *extension, estuary_error *err);

/* name.c */
bool est_utf8_is_valid(const uint8_t *bytes, size_t len);
/* Dotted decimal of two arcs or more; NULL when it is not that, or memory is short. */
ASN1_OBJECT *est_oid_parse(const char *dotted);
/* NUL-terminated; false when it does not fit or is not an OID. */
bool est_oid_text(const ASN1_OBJECT *object, char *out, size_t size);
/* OpenSSL's short name, else dotted decimal. */
bool est_oid_name(const ASN1_OBJECT *object, char *out, size_t size);
/* Lower-case hexadecimal; freed with est_free(). */
char *est_hex_text(const uint8_t *bytes, size_t len);
/* An even number of hexadecimal digits; false otherwise. out holds len / 2 bytes. */
bool est_hex_parse(const char *text, size_t len, uint8_t *out);

/* san.c */
estuary_status est_general_name_new(estuary_san_type type, const char *value, GENERAL_NAME **out,
                                    estuary_error *err);
bool est_general_names_have(const GENERAL_NAMES *names, const GENERAL_NAME *wanted);

/* idn.c: NULL when *out is set, else a clause that says why not. */
const char *est_host_problem(const char *u8, char *out, size_t size);

/* csr_extensions.c */

/*
 * The extensions a request asks for (RFC 2985 5.4.2); *out NULL when there are none. false when the
 * attribute is broken or stands twice, or memory is short.
 */
bool est_request_extensions(const X509_REQ *request, X509_EXTENSIONS **out);
/* Replaces the one with the same OID or appends; takes ownership of extension in every case. */
bool est_extensions_put(X509_EXTENSIONS **extensions, X509_EXTENSION *extension);
const X509_EXTENSION *est_extensions_find(const X509_EXTENSIONS *extensions, const ASN1_OBJECT *oid);
/* true when OpenSSL knows no syntax for it, or it parses completely. */
bool est_extension_is_sound(const X509_EXTENSION *extension);
/* "extendedKeyUsage: clientAuth"; freed with est_free(); NULL when memory is short. */
char *est_extension_text(const X509_EXTENSION *extension);
bool est_key_usage_bit(const char *name, size_t len, int *bit);
const char *est_key_usage_name(int bit); /* NULL past the end */

#endif
