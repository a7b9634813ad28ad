/* A request signed by a key behind callbacks, while every OpenSSL call and allocation of the bridge fails in
 * turn. */
#include "base/base.h"
#include "inject.h"

#include <estuary/estuary.h>
#include <estuary/signer.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>

/* The "token": a software key; its own calls are not the library's, so none of them fails. */
typedef struct token {
    EVP_PKEY *key;
    bool pss;
    int freed;
} token;

static estuary_status sign(void *arg, const estuary_sign_input *input, uint8_t *out, size_t *len,
                           estuary_error *err)
{
    const token *t = arg;
    (void)err;
    inject_pause();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(t->key, NULL);
    EVP_MD *md = EVP_MD_fetch(NULL, input->digest, NULL);
    INJECT_REQUIRE(EVP_PKEY_sign_init(context) == 1 && EVP_PKEY_CTX_set_signature_md(context, md) == 1);
    if (input->padding == ESTUARY_PADDING_PSS)
        INJECT_REQUIRE(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
                       EVP_PKEY_CTX_set_rsa_pss_saltlen(context, (int)input->salt_len) == 1);
    INJECT_REQUIRE(EVP_PKEY_sign(context, out, len, input->bytes, input->len) == 1);
    EVP_MD_free(md);
    EVP_PKEY_CTX_free(context);
    inject_resume();
    return ESTUARY_OK;
}

static void release(void *arg)
{
    ((token *)arg)->freed++;
}

/* As estuary_csr_sign() has no PSS, OpenSSL is asked for it, as a TLS session does. */
static X509_REQ *sign_pss(EVP_PKEY *key)
{
    X509_REQ *request = X509_REQ_new();
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *inner = NULL;
    bool ok = request != NULL && context != NULL && X509_REQ_set_pubkey(request, key) == 1 &&
              EVP_DigestSignInit_ex(context, &inner, "SHA256", NULL, NULL, key, NULL) == 1 &&
              EVP_PKEY_CTX_set_rsa_padding(inner, RSA_PKCS1_PSS_PADDING) == 1 &&
              X509_REQ_sign_ctx(request, context) > 0;
    EVP_MD_CTX_free(context);
    if (ok)
        return request;
    X509_REQ_free(request);
    return NULL;
}

static X509_REQ *make_request(EVP_PKEY *key, estuary_error *err)
{
    estuary_csr *csr = NULL;
    X509_REQ *request = NULL;
    if (estuary_csr_new(&csr, err) == ESTUARY_OK &&
        estuary_csr_set_subject(csr, "CN=device 1", err) == ESTUARY_OK)
        (void)estuary_csr_sign(csr, key, &request, err);
    estuary_csr_free(csr);
    return request;
}

static void one_request(const void *arg)
{
    const estuary_signer calls = {.size = sizeof(calls), .sign = sign, .free = release};
    token t = *(const token *)arg;
    EVP_PKEY *key = NULL;
    inject_resume();
    estuary_status status = estuary_key_from_signer(t.key, &calls, &t, &key, NULL);
    X509_REQ *request = status != ESTUARY_OK ? NULL : t.pss ? sign_pss(key) : make_request(key, NULL);
    inject_pause();
    INJECT_REQUIRE(request == NULL ? inject_hit() : X509_REQ_verify(request, t.key) == 1);
    INJECT_REQUIRE((status == ESTUARY_OK) == (key != NULL) && t.freed == 0);
    X509_REQ_free(request);
    EVP_PKEY_free(key);
    INJECT_REQUIRE(t.freed == (status == ESTUARY_OK ? 1 : 0));
    ERR_clear_error();
}

int main(void)
{
    inject_set_up();
    const token ec = {.key = EVP_EC_gen("P-256")}, rsa = {.key = EVP_RSA_gen(2048), .pss = true};
    const inject_plan tests[] = {
        {"every OpenSSL call, EC", INJECT_OPENSSL, one_request, &ec, 0},
        {"every allocation of ours, EC", INJECT_OUR_ALLOCATION, one_request, &ec, 0},
        {"every OpenSSL call, RSASSA-PSS", INJECT_OPENSSL, one_request, &rsa, 0},
        {"every allocation of ours, RSASSA-PSS", INJECT_OUR_ALLOCATION, one_request, &rsa, 0},
        {"allocations, OpenSSL's too, RSASSA-PSS", INJECT_ALLOCATION, one_request, &rsa,
         getenv("INJECT_ALL") != NULL ? 0 : 200},
    };
    const int n = (int)(sizeof(tests) / sizeof(tests[0]));
    bool passed = true;
    printf("1..%d\n", n);
    for (int i = 0; i < n; i++) {
        inject_arm(INJECT_NOTHING, 0);
        one_request(tests[i].arg); /* without any failure it must succeed */
        passed = inject_every(i + 1, &tests[i]) && passed;
    }
    EVP_PKEY_free(ec.key);
    EVP_PKEY_free(rsa.key);
    return passed ? 0 : 1;
}
