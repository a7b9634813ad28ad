/* RFC 7030 4.4: a key made here, its certificate, and how both travel. */
#include "key_package.h"
#include "lab.h"
#include "misbehave.h"
#include "multipart.h"

#include <openssl/rsa.h>

#define MAX_RSA_BITS 4096

/* Of the request's type and size or curve; its value and signature count for nothing. RFC 7030 4.4.1 */
static EVP_PKEY *key_like(EVP_PKEY *model)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, model, NULL);
    const int bits = EVP_PKEY_get_bits(model) > MAX_RSA_BITS ? MAX_RSA_BITS : EVP_PKEY_get_bits(model);
    if (ctx == NULL || EVP_PKEY_keygen_init(ctx) != 1 ||
        (EVP_PKEY_is_a(model, "RSA") == 1 && EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, bits) != 1) ||
        EVP_PKEY_keygen(ctx, &key) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static bool key_part(struct exchange *ex, struct key_request *how, struct multipart *m)
{
    struct key_package p = {0};
    struct bytes der = {0};
    struct bytes text = {0};
    const bool ok = key_package_describe(ex, how, ex->key, &p) && misbehave_package(ex, &p) &&
                    key_package_encode(&p, &der) && base64_encode(&der, 64, "\r\n", &text) &&
                    multipart_add(m,
                                  p.how.protection == KEY_PLAIN
                                      ? "application/pkcs8"
                                      : "application/pkcs7-mime; smime-type=server-generated-key",
                                  &text);
    OPENSSL_cleanse(text.data, text.len);
    OPENSSL_cleanse(der.data, der.len);
    bytes_clear(&text);
    bytes_clear(&der);
    key_package_clear(&p);
    return ok;
}

/* RFC 7030 4.4.2: exactly as in the answer to simpleenroll. */
static bool certificate_part(struct exchange *ex, X509 *certificate, struct multipart *m)
{
    struct bytes der = {0};
    struct bytes text = {0};
    STACK_OF(X509) *certificates = sk_X509_new_null();
    const bool ok = certificates != NULL &&
                    X509_add_cert(certificates, certificate, X509_ADD_FLAG_UP_REF) == 1 &&
                    misbehave_bundle(ex, certificates) && cms_certs_only(certificates, &der) &&
                    misbehave_der(ex, &der) && misbehave_encode(ex, &der, &text) &&
                    multipart_add(m, "application/pkcs7-mime; smime-type=certs-only", &text);
    sk_X509_pop_free(certificates, X509_free);
    bytes_clear(&text);
    bytes_clear(&der);
    return ok;
}

static bool answer(struct exchange *ex, struct key_request *how, X509 *certificate)
{
    struct multipart m;
    bool ok = multipart_begin(&m);
    if (!ok)
        return false;
    reply_set(&ex->reply, 200, "OK");
    ok = key_part(ex, how, &m) && certificate_part(ex, certificate, &m) && misbehave_parts(ex, &m) &&
         multipart_encode(&m, &ex->reply.body) && reply_header(&ex->reply, "Content-Type", m.content_type);
    multipart_clear(&m);
    return ok;
}

static void serve(struct exchange *ex, struct key_request *how)
{
    X509 *certificate = NULL;
    if (enroll_hold_back(ex))
        return;
    if (ex->key == NULL)
        ex->key = key_like(X509_REQ_get0_pubkey(ex->csr));
    certificate = ex->key == NULL ? NULL : issue_certificate(ex);
    if (certificate == NULL || !answer(ex, how, certificate) ||
        !pending_forget(ex->lab, X509_REQ_get0_pubkey(ex->csr)))
        reply_text(&ex->reply, 500, "Internal Server Error", "the key or its certificate could not be made");
    X509_free(certificate);
}

void serverkeygen_handle(struct exchange *ex)
{
    struct key_request how = {0};
    bool stale = false;
    const char *why = NULL;
    const bool known = auth_check(ex, &stale);
    if (!known && ex->client == NULL) {
        auth_challenge(ex, stale);
        return;
    }
    if (!enroll_read_request(ex) || !pop_check(ex))
        return;
    why = key_request_read(ex->lab, ex->csr, &how);
    if (why != NULL)
        reply_text(&ex->reply, 400, "Bad Request", why);
    else
        serve(ex, &how);
    key_request_clear(&how);
}
