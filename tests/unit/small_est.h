/* An enrolment without sockets: what the tests of the est room share. */
#ifndef TEST_SMALL_EST_H
#define TEST_SMALL_EST_H

#include "est/est.h"
#include "small_ca.h"

#define NOW 1769860800L /* 2026-01-31T12:00:00Z */

typedef struct small_est {
    estuary_error *err;
    EVP_PKEY *ca_key, *key, *other_key;
    X509 *root;
    estuary_anchors *anchors;
    estuary_server *server;
} small_est;

static inline void small_est_open(small_est *s)
{
    s->err = estuary_error_new();
    s->ca_key = EVP_EC_gen("P-256");
    s->key = EVP_EC_gen("P-256");
    s->other_key = EVP_EC_gen("P-256");
    s->root = small_root(s->ca_key, "small root");
    STACK_OF(X509) *roots = sk_X509_new_null();
    assert_true(sk_X509_push(roots, s->root) > 0);
    assert_ok(estuary_anchors_from_certs(roots, &s->anchors, s->err), s->err);
    sk_X509_free(roots);
    assert_ok(estuary_server_parse("https://est.example", NULL, &s->server, s->err), s->err);
}

static inline void small_est_close(small_est *s)
{
    estuary_server_free(s->server);
    estuary_anchors_free(s->anchors);
    X509_free(s->root);
    EVP_PKEY_free(s->ca_key);
    EVP_PKEY_free(s->key);
    EVP_PKEY_free(s->other_key);
    estuary_error_free(s->err);
}

static inline estuary_csr *small_csr(small_est *s, const char *subject, const char *dns)
{
    estuary_csr *csr = NULL;
    assert_ok(estuary_csr_new(&csr, s->err), s->err);
    if (subject != NULL)
        assert_ok(estuary_csr_set_subject(csr, subject, s->err), s->err);
    if (dns != NULL)
        assert_ok(estuary_csr_add_san(csr, ESTUARY_SAN_DNS, dns, s->err), s->err);
    return csr;
}

static inline estuary_status small_try_enroll(small_est *s, estuary_operation operation, estuary_csr *csr,
                                              EVP_PKEY *key, const X509 *old, estuary_enrollment **out)
{
    estuary_request *request = NULL;
    assert_ok(estuary_request_new(&request, s->err), s->err);
    assert_ok(estuary_request_set_csr(request, csr, key, s->err), s->err);
    if (old != NULL)
        assert_ok(estuary_request_set_old_certificate(request, old, s->err), s->err);
    estuary_csr_free(csr);
    estuary_status status = estuary_enrollment_new(operation, s->server, request, out, s->err);
    estuary_request_free(request);
    return status;
}

static inline estuary_enrollment *small_enroll(small_est *s)
{
    estuary_enrollment *enrollment = NULL;
    assert_ok(small_try_enroll(s, ESTUARY_OP_SIMPLEENROLL,
                               small_csr(s, "CN=device 1,O=Example", "device.example"), s->key, NULL,
                               &enrollment),
              s->err);
    return enrollment;
}

static inline estuary_exchange *small_exchange(small_est *s, estuary_operation operation,
                                               estuary_enrollment *enrollment, const estuary_limits *limits)
{
    estuary_exchange *x = NULL;
    assert_ok(estuary_exchange_new(operation, s->server, enrollment, limits, &x, s->err), s->err);
    return x;
}

typedef struct small_response {
    int status;
    const char *type, *body;  /* NULL: absent */
    const char *name, *value; /* one header more */
} small_response;

static inline estuary_http_response *small_response_make(const small_response *what)
{
    estuary_http_response *response = NULL;
    assert_int_equal(estuary_http_response_new(what->status, &response, NULL), ESTUARY_OK);
    if (what->type != NULL)
        assert_int_equal(estuary_http_response_add_header(response, "content-TYPE", what->type, NULL),
                         ESTUARY_OK);
    if (what->name != NULL)
        assert_int_equal(estuary_http_response_add_header(response, what->name, what->value, NULL),
                         ESTUARY_OK);
    if (what->body != NULL)
        assert_int_equal(estuary_http_response_append_body(response, (const uint8_t *)what->body,
                                                           strlen(what->body), NULL),
                         ESTUARY_OK);
    return response;
}

/* Asks for the request without a binding and hands the answer over. */
static inline estuary_status small_step(small_est *s, estuary_exchange *x, const small_response *what,
                                        estuary_next *next)
{
    const estuary_http_request *request = NULL;
    assert_ok(estuary_exchange_request(x, NULL, 0, &request, s->err), s->err);
    estuary_http_response *response = small_response_make(what);
    estuary_error_clear(s->err);
    *next = (estuary_next)99;
    estuary_status status = estuary_exchange_response(x, response, NOW, next, s->err);
    if (status != ESTUARY_OK) {
        assert_int_equal(*next, ESTUARY_NEXT_FAILED);
        assert_int_equal(estuary_error_http_status(s->err), what->status);
    }
    estuary_http_response_free(response);
    return status;
}

/* The request in the body, as a server reads it. */
static inline X509_REQ *small_read_request(const estuary_http_request *request)
{
    size_t len = 0, der_len = 0;
    uint8_t *der = NULL;
    const uint8_t *body = estuary_http_request_body(request, &len);
    assert_int_equal(est_base64_decode(body, len, 100000, &der, &der_len, NULL), ESTUARY_OK);
    const unsigned char *p = der;
    X509_REQ *req = d2i_X509_REQ(NULL, &p, (long)der_len);
    assert_non_null(req);
    assert_ptr_equal(p, der + der_len);
    assert_int_equal(X509_REQ_verify(req, X509_REQ_get0_pubkey(req)), 1);
    est_free(der);
    return req;
}

/* challengePassword as text, NULL without one; freed with OPENSSL_free(). */
static inline char *small_challenge(X509_REQ *request)
{
    int index = X509_REQ_get_attr_by_NID(request, NID_pkcs9_challengePassword, -1);
    if (index < 0)
        return NULL;
    assert_int_equal(X509_REQ_get_attr_by_NID(request, NID_pkcs9_challengePassword, index),
                     -1); /* only one */
    X509_ATTRIBUTE *attribute = X509_REQ_get_attr(request, index);
    assert_int_equal(X509_ATTRIBUTE_count(attribute), 1);
    ASN1_TYPE *value = X509_ATTRIBUTE_get0_type(attribute, 0);
    assert_int_equal(ASN1_TYPE_get(value), V_ASN1_PRINTABLESTRING); /* RFC 7030 3.5 */
    return OPENSSL_strndup((const char *)ASN1_STRING_get0_data(value->value.printablestring),
                           (size_t)ASN1_STRING_length(value->value.printablestring));
}

#endif
