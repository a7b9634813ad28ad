/*
 * csr.h: building and inspecting certificate requests (PKCS#10, RFC 2986).
 *
 * A builder belongs to one thread at a time.
 */
#ifndef ESTUARY_CSR_H
#define ESTUARY_CSR_H

#include <estuary/csrattrs.h>
#include <estuary/error.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Names in and out. */

/*
 * An RFC 4514 string ("CN=device 1,O=Example") to a name and back. In the string the last RDN comes
 * first. Type names are those of RFC 4514 and OpenSSL's short names, or dotted decimal; "#hex" gives
 * a BER value. The caller frees *out with X509_NAME_free() and OPENSSL_free().
 */
ESTUARY_EXPORT estuary_status estuary_name_parse(const char *rfc4514, X509_NAME **out, estuary_error *err);
ESTUARY_EXPORT estuary_status estuary_name_format(const X509_NAME *name, char **out, estuary_error *err);

typedef enum estuary_san_type {
    ESTUARY_SAN_DNS = 1, /* a host name; IDN given as U-label is turned into A-labels */
    ESTUARY_SAN_EMAIL,
    ESTUARY_SAN_URI,
    ESTUARY_SAN_IP,        /* dotted quad or RFC 5952 */
    ESTUARY_SAN_DIRNAME,   /* an RFC 4514 string */
    ESTUARY_SAN_UPN,       /* Microsoft's userPrincipalName as otherName */
    ESTUARY_SAN_OTHERNAME, /* OID;UTF8:text or OID;DER:hex */
    ESTUARY_SAN_RID        /* registeredID, dotted decimal */
} estuary_san_type;

/* "dns", "email", … to the type; 0 when unknown. */
ESTUARY_EXPORT estuary_san_type estuary_san_type_from_name(const char *name);

/* The builder. */

typedef struct estuary_csr estuary_csr;

ESTUARY_EXPORT estuary_status estuary_csr_new(estuary_csr **out, estuary_error *err);
ESTUARY_EXPORT void estuary_csr_free(estuary_csr *csr); /* NULL is fine */

ESTUARY_EXPORT estuary_status estuary_csr_set_subject(estuary_csr *csr, const char *rfc4514,
                                                      estuary_error *err);
ESTUARY_EXPORT estuary_status estuary_csr_set_subject_name(estuary_csr *csr, const X509_NAME *name,
                                                           estuary_error *err);
ESTUARY_EXPORT estuary_status estuary_csr_add_san(estuary_csr *csr, estuary_san_type type, const char *value,
                                                  estuary_error *err);

/* "digitalSignature,keyAgreement": names of RFC 5280 4.2.1.3. The extension is marked critical. */
ESTUARY_EXPORT estuary_status estuary_csr_set_key_usage(estuary_csr *csr, const char *names,
                                                        estuary_error *err);

/* One purpose: "clientAuth", "serverAuth", … or dotted decimal. May be called again. */
ESTUARY_EXPORT estuary_status estuary_csr_add_eku(estuary_csr *csr, const char *purpose, estuary_error *err);

/* Any extension, replacing one with the same OID. der is the content of extnValue, copied. */
ESTUARY_EXPORT estuary_status estuary_csr_add_extension(estuary_csr *csr, const char *oid, bool critical,
                                                        const uint8_t *der, size_t len, estuary_error *err);

/*
 * challengePassword (RFC 2985 5.4.1), 1 to 255 bytes. Encoded as PrintableString where it fits, else
 * UTF8String (RFC 7030 3.5).
 */
ESTUARY_EXPORT estuary_status estuary_csr_set_challenge_password(estuary_csr *csr, const char *text,
                                                                 size_t len, estuary_error *err);

/*
 * Takes over what a server asks for: extensions with values, digest. What cannot be met or contradicts
 * what the caller set is ESTUARY_E_CERTIFICATE with the attribute's name; the caller's own values are
 * never overwritten silently. key may be NULL (then the wish for a key algorithm is not compared).
 *
 * A request template (RFC 9908) gives the subject its order and its fixed values, and adds fixed extensions
 * and attributes; what it leaves empty is filled from what the caller set. All that is missing, or else all
 * that contradicts the template, stands in the error by name. On failure the builder is unchanged.
 */
ESTUARY_EXPORT estuary_status estuary_csr_apply(estuary_csr *csr, const estuary_csr_attributes *attributes,
                                                const EVP_PKEY *key, estuary_error *err);

/* Takes subject, subjectAltName, key usage and EKU from a certificate: what simplereenroll needs (E6). */
ESTUARY_EXPORT estuary_status estuary_csr_copy_certificate(estuary_csr *csr, const X509 *certificate,
                                                           estuary_error *err);

/*
 * Takes subject and all extensions from a request made earlier, e.g. to sign it again with a channel
 * binding; challengePassword is not taken.
 */
ESTUARY_EXPORT estuary_status estuary_csr_copy_request(estuary_csr *csr, const X509_REQ *request,
                                                       estuary_error *err);

/* The builder is unchanged and may sign again. The caller frees *out with X509_REQ_free(). */
ESTUARY_EXPORT estuary_status estuary_csr_sign(const estuary_csr *csr, EVP_PKEY *key, X509_REQ **out,
                                               estuary_error *err);

/* Inspection (E5). */

typedef struct estuary_csr_report estuary_csr_report;

/* One weakness; the zero value is not one. */
typedef enum estuary_csr_flaw {
    ESTUARY_CSR_FLAW_NONE = 0,
    ESTUARY_CSR_FLAW_SIGNATURE,    /* self-signature does not verify */
    ESTUARY_CSR_FLAW_WEAK_KEY,     /* RSA < 2048 bits, EC < 224 bits, even or tiny exponent … */
    ESTUARY_CSR_FLAW_WEAK_DIGEST,  /* MD5 or SHA-1 signature */
    ESTUARY_CSR_FLAW_NO_NAME,      /* neither subject nor subjectAltName */
    ESTUARY_CSR_FLAW_BAD_EXTENSION /* an extension that does not parse, or stands twice */
} estuary_csr_flaw;

/* PEM or DER, at most 64 KiB. The caller frees *out with X509_REQ_free(). */
ESTUARY_EXPORT estuary_status estuary_csr_parse(const uint8_t *bytes, size_t len, X509_REQ **out,
                                                estuary_error *err);

/* The caller frees *out. Succeeds for flawed requests too: the flaws are in the report. */
ESTUARY_EXPORT estuary_status estuary_csr_inspect(const X509_REQ *request, estuary_csr_report **out,
                                                  estuary_error *err);
ESTUARY_EXPORT void estuary_csr_report_free(estuary_csr_report *report); /* NULL is fine */

/* Lent strings and values. subject is RFC 4514, key "ec:P-256", signature "ecdsa-with-SHA256". */
ESTUARY_EXPORT const char *estuary_csr_report_subject(const estuary_csr_report *report);
ESTUARY_EXPORT const char *estuary_csr_report_key(const estuary_csr_report *report);
ESTUARY_EXPORT int estuary_csr_report_key_bits(const estuary_csr_report *report);
ESTUARY_EXPORT const char *estuary_csr_report_signature(const estuary_csr_report *report);
ESTUARY_EXPORT bool estuary_csr_report_has_challenge(const estuary_csr_report *report);
/* "dns:device.example"; NULL past the end. */
ESTUARY_EXPORT const char *estuary_csr_report_san(const estuary_csr_report *report, size_t index);
/* "extendedKeyUsage: clientAuth" and so on; NULL past the end. */
ESTUARY_EXPORT const char *estuary_csr_report_extension(const estuary_csr_report *report, size_t index);
/* ESTUARY_CSR_FLAW_NONE past the end; *sentence is lent and may be NULL. */
ESTUARY_EXPORT estuary_csr_flaw estuary_csr_report_flaw(const estuary_csr_report *report, size_t index,
                                                        const char **sentence);

#ifdef __cplusplus
}
#endif
#endif
