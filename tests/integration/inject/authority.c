#include "authority.h"

#include "inject.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    INJECT_REQUIRE(extension != NULL && X509_add_ext(cert, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static X509 *start(authority *ca, const X509_NAME *subject, const X509_NAME *issuer, EVP_PKEY *key)
{
    X509 *cert = X509_new();
    INJECT_REQUIRE(cert != NULL && X509_set_version(cert, X509_VERSION_3) == 1);
    INJECT_REQUIRE(ASN1_INTEGER_set(X509_get_serialNumber(cert), ++ca->serial) == 1);
    INJECT_REQUIRE(X509_set_subject_name(cert, subject) == 1 && X509_set_issuer_name(cert, issuer) == 1);
    INJECT_REQUIRE(X509_gmtime_adj(X509_getm_notBefore(cert), -3600) != NULL);
    INJECT_REQUIRE(X509_gmtime_adj(X509_getm_notAfter(cert), 86400) != NULL);
    INJECT_REQUIRE(X509_set_pubkey(cert, key) == 1);
    return cert;
}

static X509_NAME *name_of(const char *cn)
{
    X509_NAME *name = X509_NAME_new();
    INJECT_REQUIRE(
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0) == 1);
    return name;
}

static char *copy_bio(BIO *bio)
{
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    INJECT_REQUIRE(len > 0);
    char *text = calloc(1, (size_t)len + 1);
    INJECT_REQUIRE(text != NULL);
    memcpy(text, data, (size_t)len);
    BIO_free(bio);
    return text;
}

void authority_new(authority *ca)
{
    *ca = (authority){.key = EVP_EC_gen("P-256")};
    INJECT_REQUIRE(ca->key != NULL);
    X509_NAME *name = name_of("Inject root");
    ca->root = start(ca, name, name, ca->key);
    add_extension(ca->root, ca->root, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(ca->root, ca->root, NID_key_usage, "critical,keyCertSign,cRLSign");
    add_extension(ca->root, ca->root, NID_subject_key_identifier, "hash");
    INJECT_REQUIRE(X509_sign(ca->root, ca->key, EVP_sha256()) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    INJECT_REQUIRE(PEM_write_bio_X509(bio, ca->root) == 1);
    ca->root_pem = copy_bio(bio);
    X509_NAME_free(name);
}

void authority_free(authority *ca)
{
    EVP_PKEY_free(ca->key);
    X509_free(ca->root);
    free(ca->root_pem);
}

static char *to_base64(const unsigned char *der, int len)
{
    BIO *memory = BIO_new(BIO_s_mem()), *filter = BIO_new(BIO_f_base64());
    BIO_push(filter, memory);
    INJECT_REQUIRE(BIO_write(filter, der, len) == len && BIO_flush(filter) == 1);
    BIO_pop(filter);
    BIO_free(filter);
    return copy_bio(memory);
}

static char *certs_only(X509 *cert)
{
    unsigned char *der = NULL;
    PKCS7 *p7 = PKCS7_new();
    INJECT_REQUIRE(PKCS7_set_type(p7, NID_pkcs7_signed) == 1 && PKCS7_content_new(p7, NID_pkcs7_data) == 1);
    PKCS7_set_detached(p7, 1);
    INJECT_REQUIRE(PKCS7_add_certificate(p7, cert) == 1);
    int len = i2d_PKCS7(p7, &der);
    char *text = to_base64(der, len);
    OPENSSL_free(der);
    PKCS7_free(p7);
    return text;
}

char *authority_cacerts(const authority *ca)
{
    return certs_only(ca->root);
}

char *authority_csrattrs(void)
{
    char *text = strdup("MEcwFQYHKoZIzj0CATEKBggqhkjOPQMBBwYIKoZIzj0EAwIwJAYJKoZIhvcNAQkO"
                        "MRcwFTATBgNVHSUEDDAKBggrBgEFBQcDAg==\n");
    INJECT_REQUIRE(text != NULL);
    return text;
}

static X509_REQ *read_request(const uint8_t *body, size_t len)
{
    unsigned char der[8192];
    BIO *memory = BIO_new_mem_buf(body, (int)len), *filter = BIO_new(BIO_f_base64());
    BIO_push(filter, memory);
    int size = BIO_read(filter, der, sizeof(der));
    const unsigned char *p = der;
    X509_REQ *request = d2i_X509_REQ(NULL, &p, size);
    INJECT_REQUIRE(request != NULL);
    BIO_free_all(filter);
    return request;
}

char *authority_issue(authority *ca, const uint8_t *body, size_t len)
{
    X509_REQ *request = read_request(body, len);
    STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
    X509 *cert = start(ca, X509_REQ_get_subject_name(request), X509_get_subject_name(ca->root),
                       X509_REQ_get0_pubkey(request));
    for (int i = 0; i < sk_X509_EXTENSION_num(extensions); i++)
        INJECT_REQUIRE(X509_add_ext(cert, sk_X509_EXTENSION_value(extensions, i), -1) == 1);
    add_extension(cert, ca->root, NID_authority_key_identifier, "keyid");
    INJECT_REQUIRE(X509_sign(cert, ca->key, EVP_sha256()) > 0);
    char *text = certs_only(cert);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    X509_REQ_free(request);
    X509_free(cert);
    return text;
}

X509 *authority_client(authority *ca, EVP_PKEY *key)
{
    X509_NAME *name = name_of("client");
    X509 *cert = start(ca, name, X509_get_subject_name(ca->root), key);
    add_extension(cert, ca->root, NID_ext_key_usage, "clientAuth");
    INJECT_REQUIRE(X509_sign(cert, ca->key, EVP_sha256()) > 0);
    X509_NAME_free(name);
    return cert;
}

X509 *authority_server(authority *ca, EVP_PKEY *key)
{
    X509_NAME *name = name_of("server");
    X509 *cert = start(ca, name, X509_get_subject_name(ca->root), key);
    add_extension(cert, ca->root, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
    add_extension(cert, ca->root, NID_ext_key_usage, "serverAuth");
    INJECT_REQUIRE(X509_sign(cert, ca->key, EVP_sha256()) > 0);
    X509_NAME_free(name);
    return cert;
}
