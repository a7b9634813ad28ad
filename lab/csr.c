#include "lab.h"

#include <openssl/x509v3.h>

static const char *csr_fault(X509_REQ *csr, bool any_signature)
{
    EVP_PKEY *key = X509_REQ_get0_pubkey(csr);
    if (key == NULL)
        return "the request's public key is not understood";
    if (any_signature)
        return NULL;
    /* Proof of possession. RFC 7030 3.4 */
    if (X509_REQ_verify(csr, key) != 1)
        return "the request's signature does not match its public key";
    if (EVP_PKEY_get_security_bits(key) < 112)
        return "the request's public key is too weak";
    return NULL;
}

X509_REQ *csr_read(const struct bytes *body, bool any_signature, const char **why)
{
    struct bytes der = {0};
    X509_REQ *csr = NULL;
    const unsigned char *p = NULL;
    if (!base64_decode(body->data, body->len, &der) || der.len == 0) {
        *why = "the body is not a base64 encoded PKCS#10 request";
        goto cleanup;
    }
    p = der.data;
    csr = d2i_X509_REQ(NULL, &p, (long)der.len);
    if (csr == NULL || p != der.data + der.len)
        *why = "the body is not one PKCS#10 request";
    else
        *why = csr_fault(csr, any_signature);
    if (*why != NULL) {
        X509_REQ_free(csr);
        csr = NULL;
    }
cleanup:
    bytes_clear(&der);
    return csr;
}

/* A copy for the caller, or NULL. */
X509_EXTENSION *csr_extension(const X509_REQ *csr, int nid)
{
    X509_EXTENSION *found = NULL;
    STACK_OF(X509_EXTENSION) *all = X509_REQ_get_extensions((X509_REQ *)(uintptr_t)csr);
    int at = X509v3_get_ext_by_NID(all, nid, -1);
    if (at >= 0)
        found = X509_EXTENSION_dup(X509v3_get_ext(all, at));
    sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
    return found;
}

static const X509_EXTENSION *certificate_extension(const X509 *certificate, int nid)
{
    int at = X509_get_ext_by_NID(certificate, nid, -1);
    return at < 0 ? NULL : X509_get_ext(certificate, at);
}

const char *csr_differs(const X509_REQ *csr, const X509 *certificate)
{
    const char *why = NULL;
    const X509_EXTENSION *held = certificate_extension(certificate, NID_subject_alt_name);
    X509_EXTENSION *wanted = csr_extension(csr, NID_subject_alt_name);
    if (X509_NAME_cmp(X509_REQ_get_subject_name(csr), X509_get_subject_name(certificate)) != 0)
        why = "the request's subject is not that of the certificate being renewed";
    else if ((held == NULL) != (wanted == NULL))
        why = "request and certificate being renewed do not both have a SubjectAltName";
    else if (held != NULL && ASN1_OCTET_STRING_cmp(X509_EXTENSION_get_data((X509_EXTENSION *)(uintptr_t)held),
                                                   X509_EXTENSION_get_data(wanted)) != 0)
        why = "the request's SubjectAltName is not that of the certificate being renewed";
    X509_EXTENSION_free(wanted);
    return why;
}
