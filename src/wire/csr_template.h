/* The request template of RFC 9908 as OpenSSL templates; for the csr_template*.c of this room. */
#ifndef EST_WIRE_CSR_TEMPLATE_H
#define EST_WIRE_CSR_TEMPLATE_H

#include "wire/csr_parts.h"

#include <openssl/asn1.h>
#include <openssl/safestack.h>

#define EST_TEMPLATE_OID "1.2.840.113549.1.9.16.2.61" /* id-aa-certificationRequestInfoTemplate */

/* SingleAttributeTemplate */
typedef struct est_template_rdn {
    ASN1_OBJECT *type;
    ASN1_TYPE *value; /* NULL: the client's to fill in */
} est_template_rdn;
DEFINE_STACK_OF(est_template_rdn)

/* RelativeDistinguishedNameTemplate: a SET, one part as a rule */
typedef STACK_OF(est_template_rdn) est_template_rdns;
DEFINE_STACK_OF(est_template_rdns)

typedef struct est_template_extension {
    ASN1_OBJECT *type;
    ASN1_BOOLEAN critical;    /* -1: not said */
    ASN1_OCTET_STRING *value; /* NULL: the client's to fill in */
} est_template_extension;
DEFINE_STACK_OF(est_template_extension)

typedef struct est_template_key {
    X509_ALGOR *algorithm;
    ASN1_BIT_STRING *placeholder; /* its length is what counts; NULL as a rule */
} est_template_key;

/* CertificationRequestInfoTemplate */
typedef struct est_template_info {
    ASN1_INTEGER *version;
    STACK_OF(est_template_rdns) *subject; /* NULL: the server does not mind */
    est_template_key *key;                /* NULL: the server does not mind */
    STACK_OF(X509_ATTRIBUTE) *attributes;
} est_template_info;

struct est_csr_template {
    est_template_info *info;
    STACK_OF(est_template_extension) *extensions; /* NULL when there are none */
};

/* csr_template.c */

/* The one value of `attribute`. */
estuary_status est_csr_template_parse(X509_ATTRIBUTE *attribute, est_csr_template **out, estuary_error *err);
/* true for nothing at all and for an empty string: what CRMF templates before it used. */
bool est_template_is_blank(const ASN1_TYPE *value);
/* The subjectAltName of the template; *out NULL when the whole value is the client's to fill in. */
bool est_template_names(const est_template_extension *part, GENERAL_NAMES **out);
bool est_general_name_is_blank(const GENERAL_NAME *name);
/* "dNSName": RFC 5280's words */
const char *est_general_name_type(const GENERAL_NAME *name);
bool est_template_extension_is_blank(const est_template_extension *part);
X509_EXTENSION *est_template_extension_new(const est_template_extension *part); /* NULL: memory is short */
/* Extensions, challengePassword: what has a meaning of its own, and is not copied as an attribute. */
bool est_template_attribute_is_special(const X509_ATTRIBUTE *attribute);
bool est_template_attribute_is_blank(const X509_ATTRIBUTE *attribute);

/* csr_template_words.c */

/* The entries of a list that holds a template become the template's parts; the others are ignored. */
estuary_status est_csr_template_take(estuary_csr_attributes *attributes, estuary_error *err);
/* X.520's name of the type, OpenSSL's short one, or dotted decimal; est_free(). */
char *est_csr_attribute_name(const ASN1_OBJECT *type);

/* csr_template_apply.c */
estuary_status est_csr_template_apply(estuary_csr *csr, const est_csr_template *template, estuary_error *err);

#endif
