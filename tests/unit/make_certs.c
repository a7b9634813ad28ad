#include "make_certs.h"
#include "rsa_keys.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                                                                      \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "make_certs.c:%d: %s\n", __LINE__, #condition);                                  \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* The same key each time: nobody asks for two different ones. */
static EVP_PKEY *rsa_key(const char *kind)
{
    const char *text = strcmp(kind, "rsa:1024") == 0 ? rsa_1024 : rsa_2048;
    unsigned char der[sizeof(rsa_2048)];
    MUST(text == rsa_1024 || strcmp(kind, "rsa:2048") == 0);
    int len = EVP_DecodeBlock(der, (const unsigned char *)text, (int)strlen(text));
    const unsigned char *at = der;
    MUST(len > 0);
    return d2i_PrivateKey(EVP_PKEY_RSA, NULL, &at, len);
}

static EVP_PKEY *new_key(const char *kind)
{
    EVP_PKEY *key = NULL;
    if (kind != NULL && strncmp(kind, "rsa:", 4) == 0)
        key = rsa_key(kind);
    else
        key = EVP_EC_gen(kind == NULL ? "P-256" : kind);
    MUST(key != NULL);
    return key;
}

static void set_name(X509_NAME *name, const char *cn)
{
    if (cn != NULL)
        MUST(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0) ==
             1);
}

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    if (value == NULL)
        return;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    MUST(extension != NULL);
    MUST(X509_add_ext(cert, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static void add_unknown(X509 *cert)
{
    ASN1_OBJECT *object = OBJ_txt2obj("1.3.6.1.4.1.99999.1", 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    MUST(object != NULL && value != NULL);
    MUST(ASN1_OCTET_STRING_set(value, (const unsigned char *)"\x05\x00", 2) == 1);
    X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, object, 1, value);
    MUST(extension != NULL && X509_add_ext(cert, extension, -1) == 1);
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(object);
}

static void set_serial(X509 *cert, const char *hex)
{
    BIGNUM *number = NULL;
    MUST(BN_hex2bn(&number, hex == NULL ? "1234" : hex) > 0);
    MUST(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL);
    BN_free(number);
}

static void set_dates(X509 *cert, const recipe *how)
{
    bool preset = how->from == 0 && how->to == 0;
    MUST(X509_gmtime_adj(X509_getm_notBefore(cert), preset ? -3600 : how->from) != NULL);
    MUST(X509_gmtime_adj(X509_getm_notAfter(cert), preset ? 86400 : how->to) != NULL);
    if (how->not_after != NULL)
        MUST(ASN1_TIME_set_string(X509_getm_notAfter(cert), how->not_after) == 1);
}

/* Flips a bit of the signature: the length of its DER stays. */
static X509 *break_signature(X509 *cert)
{
    unsigned char *der = NULL;
    int len = i2d_X509(cert, &der);
    MUST(len > 0);
    der[len - 1] ^= 1;
    const unsigned char *in = der;
    X509 *broken = d2i_X509(NULL, &in, len);
    MUST(broken != NULL);
    OPENSSL_free(der);
    X509_free(cert);
    return broken;
}

static void add_extensions(X509 *cert, X509 *issuer, const recipe *how)
{
    add_extension(cert, issuer, NID_basic_constraints, how->constraints);
    add_extension(cert, issuer, NID_key_usage, how->usage);
    add_extension(cert, issuer, NID_ext_key_usage, how->purposes);
    add_extension(cert, issuer, NID_subject_alt_name, how->san);
    add_extension(cert, issuer, NID_name_constraints, how->names);
    add_extension(cert, issuer, NID_tlsfeature, how->tls_feature);
    add_extension(cert, issuer, NID_id_pkix_OCSP_noCheck, how->no_check ? "" : NULL);
    if (!how->no_identifiers) {
        add_extension(cert, issuer, NID_subject_key_identifier, "hash");
        add_extension(cert, issuer, NID_authority_key_identifier, "keyid:always");
    }
    if (how->unknown_critical)
        add_unknown(cert);
}

made make_cert(const recipe *how)
{
    made out = {.cert = X509_new(), .key = how->key};
    MUST(out.cert != NULL);
    if (out.key == NULL)
        out.key = new_key(how->kind);
    else
        MUST(EVP_PKEY_up_ref(out.key) == 1);
    X509 *issuer = how->issuer == NULL ? out.cert : how->issuer->cert;
    MUST(X509_set_version(out.cert, how->version_1 ? X509_VERSION_1 : X509_VERSION_3) == 1);
    set_serial(out.cert, how->serial);
    set_name(X509_get_subject_name(out.cert), how->cn);
    MUST(X509_set_issuer_name(out.cert, X509_get_subject_name(issuer)) == 1);
    MUST(X509_set_pubkey(out.cert, out.key) == 1);
    set_dates(out.cert, how);
    if (!how->version_1)
        add_extensions(out.cert, issuer, how);
    EVP_PKEY *signer = how->issuer == NULL ? out.key : how->issuer->key;
    MUST(X509_sign(out.cert, signer, EVP_get_digestbyname(how->digest == NULL ? "SHA256" : how->digest)) > 0);
    if (how->broken_signature)
        out.cert = break_signature(out.cert);
    return out;
}

made make_ca(const char *cn, const made *issuer)
{
    return make_cert(&(recipe){.cn = cn,
                               .issuer = issuer,
                               .constraints = "critical,CA:TRUE",
                               .usage = "critical,keyCertSign,cRLSign"});
}

made make_server(const char *san, const made *issuer)
{
    return make_cert(&(recipe){
        .cn = "server", .issuer = issuer, .san = san, .purposes = "serverAuth", .usage = "digitalSignature"});
}

made make_client(const char *cn, const made *issuer)
{
    return make_cert(
        &(recipe){.cn = cn, .issuer = issuer, .purposes = "clientAuth", .usage = "digitalSignature"});
}

void free_made(made *gone)
{
    X509_free(gone->cert);
    EVP_PKEY_free(gone->key);
    *gone = (struct made){0};
}

X509_REQ *make_request(const char *cn, const char *san, const char *purposes, EVP_PKEY *key)
{
    X509_REQ *request = X509_REQ_new();
    STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
    const struct {
        int nid;
        const char *value;
    } list[] = {{NID_subject_alt_name, san}, {NID_ext_key_usage, purposes}};
    MUST(request != NULL && extensions != NULL);
    set_name(X509_REQ_get_subject_name(request), cn);
    MUST(X509_REQ_set_pubkey(request, key) == 1);
    for (size_t i = 0; i < 2; i++) {
        X509_EXTENSION *one =
            list[i].value == NULL ? NULL : X509V3_EXT_conf_nid(NULL, NULL, list[i].nid, list[i].value);
        MUST(list[i].value == NULL || (one != NULL && sk_X509_EXTENSION_push(extensions, one) > 0));
    }
    if (sk_X509_EXTENSION_num(extensions) > 0)
        MUST(X509_REQ_add_extensions(request, extensions) == 1);
    MUST(X509_REQ_sign(request, key, EVP_sha256()) > 0);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return request;
}

char *make_pem(X509 *first, ...)
{
    va_list args;
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;
    MUST(bio != NULL);
    va_start(args, first);
    for (X509 *cert = first; cert != NULL; cert = va_arg(args, X509 *))
        MUST(PEM_write_bio_X509(bio, cert) == 1);
    va_end(args);
    long len = BIO_get_mem_data(bio, &data);
    char *text = OPENSSL_strndup(data == NULL ? "" : data, (size_t)len);
    MUST(text != NULL);
    BIO_free(bio);
    return text;
}

STACK_OF(X509) *make_stack(X509 *first, ...)
{
    va_list args;
    STACK_OF(X509) *stack = sk_X509_new_null();
    MUST(stack != NULL);
    va_start(args, first);
    for (X509 *cert = first; cert != NULL; cert = va_arg(args, X509 *))
        MUST(X509_up_ref(cert) == 1 && sk_X509_push(stack, cert) > 0);
    va_end(args);
    return stack;
}
