/*
 * csrattrs.h: what a server wants in a certificate request (RFC 7030 4.5.2, RFC 8951 3.2.5, RFC 9908).
 */
#ifndef ESTUARY_CSRATTRS_H
#define ESTUARY_CSRATTRS_H

#include <estuary/error.h>
#include <openssl/asn1.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct estuary_csr_attributes estuary_csr_attributes;

/* How one entry bears on the request. */
typedef enum estuary_csr_attribute_kind {
    ESTUARY_CSRATTR_UNKNOWN = 0,        /* not known to us: ignored, as RFC 7030 4.5.2 allows */
    ESTUARY_CSRATTR_CHALLENGE_PASSWORD, /* the request is to be bound to the TLS session */
    ESTUARY_CSRATTR_KEY,                /* key algorithm, with curve or size */
    ESTUARY_CSRATTR_SIGNATURE,          /* signature or digest algorithm */
    ESTUARY_CSRATTR_EXTENSIONS,         /* extensionRequest with values */
    ESTUARY_CSRATTR_SUBJECT,            /* a subject attribute, e.g. serialNumber */
    ESTUARY_CSRATTR_TEMPLATE,           /* a request template (RFC 9908); its parts follow */
    ESTUARY_CSRATTR_ATTRIBUTE           /* of a template: any other attribute of the request */
} estuary_csr_attribute_kind;

/* Parses the DER of CsrAttrs. 0 bytes is "none" (E3). The caller frees *out. */
ESTUARY_EXPORT estuary_status estuary_csr_attributes_parse(const uint8_t *der, size_t len,
                                                           estuary_csr_attributes **out, estuary_error *err);
ESTUARY_EXPORT void estuary_csr_attributes_free(estuary_csr_attributes *attributes); /* NULL is fine */
ESTUARY_EXPORT size_t estuary_csr_attributes_count(const estuary_csr_attributes *attributes);

/*
 * One entry. All pointers are lent and may be NULL.
 *   kind    how it bears on the request
 *   oid     dotted decimal
 *   name    the usual name, or the dotted decimal
 *   words   a sentence that says what it means for the request
 */
ESTUARY_EXPORT bool estuary_csr_attributes_at(const estuary_csr_attributes *attributes, size_t index,
                                              estuary_csr_attribute_kind *kind, const char **oid,
                                              const char **name, const char **words);

/*
 * true when the server sent a request template. Then the entries are the template and its parts, and whatever
 * else the server said follows as ESTUARY_CSRATTR_UNKNOWN: it does not count (RFC 9908 4).
 */
ESTUARY_EXPORT bool estuary_csr_attributes_has_template(const estuary_csr_attributes *attributes);

/* true for a part of a template whose value the client is to fill in, at least in part. */
ESTUARY_EXPORT bool estuary_csr_attributes_must_fill(const estuary_csr_attributes *attributes, size_t index);

/* true when the server wants challengePassword (RFC 7030 3.5). */
ESTUARY_EXPORT bool estuary_csr_attributes_wants_binding(const estuary_csr_attributes *attributes);

/* The key the server wants, in the words of estuary_key_generate(); "" when it does not say. Lent. */
ESTUARY_EXPORT const char *estuary_csr_attributes_key_algorithm(const estuary_csr_attributes *attributes);

#ifdef __cplusplus
}
#endif
#endif
