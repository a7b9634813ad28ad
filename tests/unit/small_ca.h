/* A certificate authority in a few lines, for tests that need no network. */
#ifndef TEST_SMALL_CA_H
#define TEST_SMALL_CA_H

#include "support.h"
#include "wire/wire.h"

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pkcs7.h>
#include <openssl/x509v3.h>

#define CERTS_ONLY "application/pkcs7-mime; smime-type=certs-only"

typedef struct small_cert {
    const X509_NAME *subject;
    const EVP_PKEY *key;
    const STACK_OF(X509_EXTENSION) *extensions; /* may be NULL */
    bool is_ca;
    int64_t from, to; /* seconds from now; both 0: one hour ago to one day ahead */
} small_cert;

static inline X509_NAME *small_name(const char *cn)
{
    X509_NAME *name = X509_NAME_new();
    assert_int_equal(
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0), 1);
    return name;
}

static inline void small_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(cert, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* issuer NULL: self-signed */
static inline X509 *small_issue(X509 *issuer, EVP_PKEY *issuer_key, const small_cert *what)
{
    static long serial = 1000;
    X509 *cert = X509_new();
    bool preset = what->from == 0 && what->to == 0;
    assert_int_equal(X509_set_version(cert, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial), 1);
    assert_int_equal(X509_set_subject_name(cert, (X509_NAME *)what->subject), 1);
    assert_int_equal(X509_set_issuer_name(cert, issuer == NULL ? (X509_NAME *)what->subject
                                                               : X509_get_subject_name(issuer)),
                     1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), (long)(preset ? -3600 : what->from)));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), (long)(preset ? 86400 : what->to)));
    assert_int_equal(X509_set_pubkey(cert, (EVP_PKEY *)what->key), 1);
    small_extension(cert, issuer == NULL ? cert : issuer, NID_basic_constraints,
                    what->is_ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (what->is_ca)
        small_extension(cert, issuer == NULL ? cert : issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
    small_extension(cert, issuer == NULL ? cert : issuer, NID_subject_key_identifier, "hash");
    if (issuer != NULL)
        small_extension(cert, issuer, NID_authority_key_identifier, "keyid");
    for (int i = 0; what->extensions != NULL && i < sk_X509_EXTENSION_num(what->extensions); i++) {
        X509_EXTENSION *extension = sk_X509_EXTENSION_value(what->extensions, i);
        if (OBJ_obj2nid(X509_EXTENSION_get_object(extension)) != NID_subject_key_identifier) /* is there */
            assert_int_equal(X509_add_ext(cert, extension, -1), 1);
    }
    assert_true(X509_sign(cert, issuer_key, EVP_sha256()) > 0);
    return cert;
}

static inline X509 *small_root(EVP_PKEY *key, const char *cn)
{
    X509_NAME *name = small_name(cn);
    X509 *root = small_issue(NULL, key, &(small_cert){.subject = name, .key = key, .is_ca = true});
    X509_NAME_free(name);
    return root;
}

/* What an honest CA makes of a request. */
static inline X509 *small_issue_for(X509 *issuer, EVP_PKEY *issuer_key, X509_REQ *request)
{
    STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
    X509 *cert = small_issue(issuer, issuer_key,
                             &(small_cert){.subject = X509_REQ_get_subject_name(request),
                                           .key = X509_REQ_get0_pubkey(request),
                                           .extensions = extensions});
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return cert;
}

/* A degenerate SignedData; `content` (may be NULL) is what must not be there. */
static inline int small_certs_only(X509 *const *certs, size_t n, const char *content, unsigned char **der)
{
    PKCS7 *p7 = PKCS7_new();
    PKCS7_SIGNED *sign = PKCS7_SIGNED_new();
    p7->type = OBJ_nid2obj(NID_pkcs7_signed);
    p7->d.sign = sign;
    sign->contents->type = OBJ_nid2obj(NID_pkcs7_data);
    if (content != NULL) {
        sign->contents->d.data = ASN1_OCTET_STRING_new();
        assert_int_equal(ASN1_OCTET_STRING_set(sign->contents->d.data, (const unsigned char *)content, -1),
                         1);
    }
    assert_int_equal(ASN1_INTEGER_set(sign->version, 1), 1);
    if (n > 0)
        sign->cert = sk_X509_new_null();
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(X509_up_ref(certs[i]), 1);
        assert_true(sk_X509_push(sign->cert, certs[i]) > 0);
    }
    *der = NULL;
    int len = i2d_PKCS7(p7, der);
    assert_true(len > 0);
    PKCS7_free(p7);
    return len;
}

static inline char *small_answer(X509 *const *certs, size_t n)
{
    unsigned char *der = NULL;
    char *text = NULL;
    int len = small_certs_only(certs, n, NULL, &der);
    assert_int_equal(est_base64_encode(der, (size_t)len, &text, NULL), ESTUARY_OK);
    OPENSSL_free(der);
    return text;
}

/* The key signs a request; ESTUARY_OK only with a signature that verifies. */
static inline estuary_status small_sign_with(EVP_PKEY *key, estuary_error *err)
{
    estuary_csr *csr = NULL;
    X509_REQ *request = NULL;
    assert_int_equal(estuary_csr_new(&csr, NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_set_subject(csr, "CN=device", NULL), ESTUARY_OK);
    estuary_status status = estuary_csr_sign(csr, key, &request, err);
    if (status == ESTUARY_OK)
        assert_int_equal(X509_REQ_verify(request, X509_REQ_get0_pubkey(request)), 1);
    X509_REQ_free(request);
    estuary_csr_free(csr);
    return status;
}

#endif
