/* A whole EST conversation without a socket (RFC 7030 4.1, 4.2, 4.5). */
#include "small_est.h"

static small_est s;

static void cacerts(void **state)
{
    (void)state;
    estuary_next next;
    const estuary_http_request *request = NULL;
    size_t len = 9;
    char *body = small_answer(&s.root, 1);
    estuary_exchange *x = small_exchange(&s, ESTUARY_OP_CACERTS, NULL, NULL);
    assert_ok(estuary_exchange_request(x, NULL, 0, &request, s.err), s.err);
    assert_string_equal(estuary_http_request_method(request), "GET");
    assert_string_equal(estuary_http_request_url(request), "https://est.example/.well-known/est/cacerts");
    assert_null(estuary_http_request_content_type(request));
    assert_string_equal(estuary_http_request_accept(request), "application/pkcs7-mime");
    assert_null(estuary_http_request_body(request, &len));
    assert_int_equal(len, 0);
    assert_null(estuary_exchange_get0_certs(x));
    assert_ok(small_step(&s, x, &(small_response){200, "application/pkcs7-mime", body, NULL, NULL}, &next),
              s.err);
    assert_int_equal(next, ESTUARY_NEXT_DONE);
    assert_int_equal(sk_X509_num(estuary_exchange_get0_certs(x)), 1);
    assert_int_equal(X509_cmp(sk_X509_value(estuary_exchange_get0_certs(x), 0), s.root), 0);
    assert_null(estuary_exchange_get0_csr_attributes(x));
    estuary_exchange_free(x);
    est_free(body);
}

/* E3, RFC 7030 4.5.2: 204 and 404 say "none" */
static void csrattrs(void **state)
{
    (void)state;
    static const struct {
        small_response response;
        size_t count;
    } rows[] = {{{204, NULL, NULL, NULL, NULL}, 0},
                {{404, "text/html", "<h1>Not found</h1>", NULL, NULL}, 0},
                {{200, "application/csrattrs", "MAA=\r\n", NULL, NULL}, 0},
                /* SEQUENCE { challengePassword } */
                {{200, "application/csrattrs", "MAsGCSqGSIb3DQEJBw==", NULL, NULL}, 1}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        estuary_next next;
        estuary_exchange *x = small_exchange(&s, ESTUARY_OP_CSRATTRS, NULL, NULL);
        assert_ok(small_step(&s, x, &rows[i].response, &next), s.err);
        assert_int_equal(next, ESTUARY_NEXT_DONE);
        const estuary_csr_attributes *attributes = estuary_exchange_get0_csr_attributes(x);
        assert_non_null(attributes);
        assert_int_equal(estuary_csr_attributes_count(attributes), rows[i].count);
        assert_int_equal(estuary_csr_attributes_wants_binding(attributes), rows[i].count == 1);
        assert_null(estuary_exchange_get0_certs(x));
        estuary_csr_attributes *taken = est_exchange_take_csr_attributes(x);
        assert_ptr_equal(taken, attributes);
        assert_null(estuary_exchange_get0_csr_attributes(x));
        estuary_csr_attributes_free(taken);
        estuary_exchange_free(x);
    }
}

/* RFC 7030 4.2.1, 4.2.3 */
static void simpleenroll(void **state)
{
    (void)state;
    estuary_next next;
    const estuary_http_request *request = NULL;
    size_t len = 0;
    estuary_enrollment *enrollment = small_enroll(&s);
    estuary_exchange *x = small_exchange(&s, ESTUARY_OP_SIMPLEENROLL, enrollment, NULL);
    assert_int_equal(estuary_enrollment_state(enrollment), ESTUARY_STATE_READY);
    assert_ok(estuary_exchange_request(x, NULL, 0, &request, s.err), s.err);
    assert_string_equal(estuary_http_request_method(request), "POST");
    assert_string_equal(estuary_http_request_url(request),
                        "https://est.example/.well-known/est/simpleenroll");
    assert_string_equal(estuary_http_request_content_type(request), "application/pkcs10");
    const char *text = (const char *)estuary_http_request_body(request, &len);
    assert_int_equal(strlen(text), len);
    assert_int_equal(strcspn(text, "\r"), 64); /* wrapped: a common server refuses one long line */
    assert_null(strchr(text, '-'));
    X509_REQ *req = small_read_request(request);
    assert_null(small_challenge(req));
    X509 *cert = small_issue_for(s.root, s.ca_key, req);
    char *body = small_answer(&cert, 1);
    assert_ok(small_step(&s, x, &(small_response){200, CERTS_ONLY, body, NULL, NULL}, &next), s.err);
    assert_int_equal(next, ESTUARY_NEXT_DONE);
    assert_int_equal(X509_cmp(estuary_enrollment_get0_certificate(enrollment), cert), 0);
    assert_int_not_equal(estuary_enrollment_state(enrollment), ESTUARY_STATE_ISSUED); /* not checked yet */
    assert_null(estuary_enrollment_get0_findings(enrollment));
    assert_ok(estuary_enrollment_check(enrollment, s.anchors, NULL, time(NULL), NULL, s.err), s.err);
    assert_int_equal(estuary_enrollment_state(enrollment), ESTUARY_STATE_ISSUED);
    assert_int_equal(sk_X509_num(estuary_enrollment_get0_chain(enrollment)), 0); /* no root in it */
    estuary_exchange_free(x);
    estuary_enrollment_free(enrollment);
    est_free(body);
    X509_free(cert);
    X509_REQ_free(req);
}

static char *body_of(estuary_exchange *x)
{
    const estuary_http_request *request = NULL;
    assert_ok(estuary_exchange_request(x, NULL, 0, &request, s.err), s.err);
    return est_strdup((const char *)estuary_http_request_body(request, NULL));
}

/* E7, RFC 7030 4.2.3: the same request again */
static void pending_is_sent_again_byte_for_byte(void **state)
{
    (void)state;
    estuary_next next;
    estuary_enrollment *enrollment = small_enroll(&s);
    char *first = NULL;
    for (int round = 1; round <= 3; round++) {
        estuary_exchange *x = small_exchange(&s, ESTUARY_OP_SIMPLEENROLL, enrollment, NULL);
        char *body = body_of(x);
        if (first == NULL)
            first = est_strdup(body);
        assert_string_equal(body, first);
        est_free(body);
        assert_ok(small_step(&s, x, &(small_response){202, NULL, NULL, "Retry-After", "60"}, &next), s.err);
        assert_int_equal(next, ESTUARY_NEXT_WAIT);
        assert_int_equal(estuary_enrollment_state(enrollment), ESTUARY_STATE_PENDING);
        assert_int_equal(estuary_enrollment_retry_at(enrollment), NOW + 60);
        assert_int_equal(estuary_enrollment_polls(enrollment), round);
        const estuary_http_request *request = NULL; /* this exchange is over */
        assert_failed(estuary_exchange_request(x, NULL, 0, &request, s.err), s.err, "usage.argument");
        estuary_exchange_free(x);
    }
    estuary_exchange *x = small_exchange(&s, ESTUARY_OP_SIMPLEENROLL, enrollment, NULL);
    X509 *cert = small_issue_for(s.root, s.ca_key, (X509_REQ *)estuary_enrollment_get0_request(enrollment));
    char *answer = small_answer(&cert, 1);
    assert_ok(small_step(&s, x, &(small_response){200, CERTS_ONLY, answer, NULL, NULL}, &next), s.err);
    assert_int_equal(estuary_enrollment_retry_at(enrollment), 0);
    est_free(answer);
    X509_free(cert);
    estuary_exchange_free(x);
    estuary_enrollment_free(enrollment);
    est_free(first);
}

static void polls_are_bounded(void **state)
{
    (void)state;
    estuary_next next;
    estuary_limits *limits = NULL;
    estuary_enrollment *enrollment = small_enroll(&s);
    assert_ok(estuary_limits_new(&limits, s.err), s.err);
    assert_ok(estuary_limits_set(limits, ESTUARY_LIMIT_POLLS, 2, s.err), s.err);
    for (int round = 0; round < 3; round++) {
        estuary_exchange *x = small_exchange(&s, ESTUARY_OP_SIMPLEENROLL, enrollment, limits);
        estuary_status status =
            small_step(&s, x, &(small_response){202, NULL, NULL, "Retry-After", "1"}, &next);
        if (round < 2)
            assert_ok(status, s.err);
        else
            assert_failed(status, s.err, "pending.too-often");
        estuary_exchange_free(x);
    }
    estuary_limits_free(limits);
    estuary_enrollment_free(enrollment);
}

static void assert_bound(estuary_exchange *x, const uint8_t *binding, size_t len, char **challenge)
{
    const estuary_http_request *request = NULL;
    assert_ok(estuary_exchange_request(x, binding, len, &request, s.err), s.err);
    X509_REQ *req = small_read_request(request);
    *challenge = small_challenge(req);
    assert_non_null(*challenge);
    uint8_t *bytes = NULL;
    size_t n = 0;
    assert_ok(est_base64_decode((const uint8_t *)*challenge, strlen(*challenge), 1000, &bytes, &n, s.err),
              s.err);
    assert_int_equal(n, len);
    assert_memory_equal(bytes, binding, len);
    assert_null(strpbrk(*challenge, "\r\n "));
    est_free(bytes);
    X509_REQ_free(req);
}

/* T10, RFC 7030 3.5: base64 of the binding, and signed anew for every session */
static void channel_binding(void **state)
{
    (void)state;
    estuary_next next;
    const estuary_http_request *request = NULL;
    uint8_t a[32], b[12] = {0x00, 0x00, 0xff}; /* tls-unique may begin with a zero byte */
    char *first = NULL, *second = NULL, *third = NULL;
    memset(a, 0xfb, sizeof(a));
    estuary_enrollment *enrollment = small_enroll(&s);
    estuary_exchange *x = small_exchange(&s, ESTUARY_OP_SIMPLEENROLL, enrollment, NULL);
    assert_bound(x, a, sizeof(a), &first);
    assert_string_equal(first, "+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/s=");
    assert_bound(x, b, sizeof(b), &second); /* a retry over another session */
    assert_string_equal(second, "AAD/AAAAAAAAAAAA");
    estuary_http_response *response =
        small_response_make(&(small_response){202, NULL, NULL, "Retry-After", "1"});
    assert_ok(estuary_exchange_response(x, response, NOW, &next, s.err), s.err);
    estuary_http_response_free(response);
    estuary_exchange_free(x);
    x = small_exchange(&s, ESTUARY_OP_SIMPLEENROLL, enrollment, NULL);
    /* a stale binding must never be sent over a new session */
    assert_failed(estuary_exchange_request(x, NULL, 0, &request, s.err), s.err, "usage.argument");
    assert_null(request);
    assert_bound(x, a, sizeof(a), &third);
    assert_string_equal(third, first);
    OPENSSL_free(first);
    OPENSSL_free(second);
    OPENSSL_free(third);
    estuary_exchange_free(x);
    estuary_enrollment_free(enrollment);
}

static void a_foreign_request_cannot_be_bound(void **state)
{
    (void)state;
    const estuary_http_request *request = NULL;
    estuary_request *made = NULL;
    estuary_enrollment *own = small_enroll(&s), *enrollment = NULL;
    assert_ok(estuary_request_new(&made, s.err), s.err);
    assert_failed(estuary_request_set_signed(made, NULL, s.err), s.err, "usage.argument");
    assert_ok(estuary_request_set_signed(made, estuary_enrollment_get0_request(own), s.err), s.err);
    assert_ok(estuary_enrollment_new(ESTUARY_OP_SIMPLEENROLL, s.server, made, &enrollment, s.err), s.err);
    estuary_exchange *x = small_exchange(&s, ESTUARY_OP_SIMPLEENROLL, enrollment, NULL);
    assert_failed(estuary_exchange_request(x, (const uint8_t *)"x", 1, &request, s.err), s.err,
                  "key.cannot-sign");
    assert_ok(estuary_exchange_request(x, NULL, 0, &request, s.err), s.err);
    estuary_exchange_free(x);
    estuary_enrollment_free(enrollment);
    estuary_enrollment_free(own);
    estuary_request_free(made);
}

/* T7 */
static void redirects(void **state)
{
    (void)state;
    static const int statuses[] = {301, 302, 307, 308};
    for (size_t i = 0; i < COUNT_OF(statuses); i++) {
        estuary_next next;
        const estuary_http_request *request = NULL;
        estuary_enrollment *enrollment = small_enroll(&s);
        estuary_exchange *x = small_exchange(&s, ESTUARY_OP_SIMPLEENROLL, enrollment, NULL);
        char *before = body_of(x);
        assert_ok(small_step(&s, x,
                             &(small_response){statuses[i], NULL, NULL, "Location", "/other/simpleenroll"},
                             &next),
                  s.err);
        assert_int_equal(next, ESTUARY_NEXT_SEND);
        assert_ok(estuary_exchange_request(x, NULL, 0, &request, s.err), s.err);
        assert_string_equal(estuary_http_request_method(request), "POST"); /* and not a GET */
        assert_string_equal(estuary_http_request_url(request), "https://est.example/other/simpleenroll");
        assert_string_equal((const char *)estuary_http_request_body(request, NULL), before);
        assert_int_equal(estuary_enrollment_state(enrollment), ESTUARY_STATE_READY);
        est_free(before);
        estuary_exchange_free(x);
        estuary_enrollment_free(enrollment);
    }
}

static void redirects_refused(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *location, *code;
    } rows[] = {{303, "/other", "protocol.redirect"}, /* RFC 9110 15.4.4: it would become a GET */
                {302, "https://evil.example/", "trust.redirect-origin"},
                {302, "http://est.example/x", "trust.redirect-downgrade"},
                {302, "", "protocol.redirect"}};
    estuary_next next;
    const estuary_http_request *request = NULL;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        estuary_enrollment *enrollment = small_enroll(&s);
        estuary_exchange *x = small_exchange(&s, ESTUARY_OP_SIMPLEENROLL, enrollment, NULL);
        assert_failed(small_step(&s, x,
                                 &(small_response){rows[i].status, NULL, NULL, "Location", rows[i].location},
                                 &next),
                      s.err, rows[i].code);
        assert_failed(estuary_exchange_request(x, NULL, 0, &request, s.err), s.err, "usage.argument");
        estuary_exchange_free(x);
        estuary_enrollment_free(enrollment);
    }
    estuary_exchange *x = small_exchange(&s, ESTUARY_OP_CACERTS, NULL, NULL); /* a GET may follow 303 */
    for (int i = 0; i < 3; i++)
        assert_ok(small_step(&s, x, &(small_response){303, NULL, NULL, "Location", "/loop"}, &next), s.err);
    assert_failed(small_step(&s, x, &(small_response){303, NULL, NULL, "Location", "/loop"}, &next), s.err,
                  "protocol.too-many-redirects");
    estuary_exchange_free(x);
}

static void broken_answers(void **state)
{
    (void)state;
    char *good = small_answer(&s.root, 1);
    const struct {
        small_response response;
        const char *code;
    } rows[] = {
        {{200, "text/html", good, NULL, NULL}, "protocol.content-type"},
        {{200, "application/pkcs7-mime; smime-type=signed-data", good, NULL, NULL}, "protocol.smime-type"},
        {{200, CERTS_ONLY, good, "Content-Encoding", "gzip"}, "protocol.content-encoding"},
        {{200, CERTS_ONLY, "", NULL, NULL}, "protocol.empty"},
        {{200, CERTS_ONLY, "MAA=", NULL, NULL}, "protocol.cms"},
        {{200, CERTS_ONLY, "*", NULL, NULL}, "protocol.base64"},
        {{200, CERTS_ONLY, good, NULL, NULL}, "cert.key-differs"}, /* not for our key */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        estuary_next next;
        estuary_enrollment *enrollment = small_enroll(&s);
        estuary_exchange *x = small_exchange(&s, ESTUARY_OP_SIMPLEENROLL, enrollment, NULL);
        assert_failed(small_step(&s, x, &rows[i].response, &next), s.err, rows[i].code);
        assert_null(estuary_enrollment_get0_certificate(enrollment));
        assert_int_not_equal(estuary_enrollment_state(enrollment), ESTUARY_STATE_ISSUED);
        estuary_exchange_free(x);
        estuary_enrollment_free(enrollment);
    }
    estuary_next next;
    estuary_exchange *x = small_exchange(&s, ESTUARY_OP_CSRATTRS, NULL, NULL);
    assert_failed(
        small_step(&s, x, &(small_response){200, "application/csrattrs", "BQA=", NULL, NULL}, &next), s.err,
        "protocol.csrattrs");
    assert_null(estuary_exchange_get0_csr_attributes(x));
    estuary_exchange_free(x);
    est_free(good);
}

static void limits_hold(void **state)
{
    (void)state;
    static const struct {
        estuary_limit which;
        int64_t value;
        const char *code;
    } rows[] = {{ESTUARY_LIMIT_HEADER_COUNT, 1, "protocol.too-many-headers"},
                {ESTUARY_LIMIT_HEADER_BYTES, 64, "protocol.headers-too-large"},
                {ESTUARY_LIMIT_RESPONSE_BYTES, 100, "protocol.response-too-large"}};
    char value[100], *body = small_answer(&s.root, 1);
    memset(value, 'v', 99);
    value[99] = '\0';
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        estuary_next next;
        estuary_limits *limits = NULL;
        assert_ok(estuary_limits_new(&limits, s.err), s.err);
        assert_ok(estuary_limits_set(limits, rows[i].which, rows[i].value, s.err), s.err);
        estuary_exchange *x = small_exchange(&s, ESTUARY_OP_CACERTS, NULL, limits);
        estuary_limits_free(limits); /* it was copied */
        assert_failed(small_step(&s, x, &(small_response){200, CERTS_ONLY, body, "X-Large", value}, &next),
                      s.err, rows[i].code);
        estuary_exchange_free(x);
    }
    est_free(body);
}

static void misuse(void **state)
{
    (void)state;
    estuary_exchange *x = (estuary_exchange *)&x;
    estuary_server *other = NULL;
    estuary_enrollment *enrollment = small_enroll(&s), *none = NULL;
    estuary_request *empty = NULL;
    assert_ok(estuary_server_parse("https://est.example", "label", &other, s.err), s.err);
    assert_ok(estuary_request_new(&empty, s.err), s.err);
    assert_failed(estuary_exchange_new((estuary_operation)99, s.server, NULL, NULL, &x, s.err), s.err,
                  "usage.argument");
    assert_null(x);
    assert_failed(estuary_exchange_new(ESTUARY_OP_CACERTS, NULL, NULL, NULL, &x, s.err), s.err,
                  "usage.argument");
    assert_failed(estuary_exchange_new(ESTUARY_OP_CACERTS, s.server, enrollment, NULL, &x, s.err), s.err,
                  "usage.argument");
    assert_failed(estuary_exchange_new(ESTUARY_OP_SIMPLEENROLL, s.server, NULL, NULL, &x, s.err), s.err,
                  "usage.argument");
    assert_failed(estuary_exchange_new(ESTUARY_OP_SIMPLEREENROLL, s.server, enrollment, NULL, &x, s.err),
                  s.err, "usage.argument");
    /* E7: only for the same server and label */
    assert_failed(estuary_exchange_new(ESTUARY_OP_SIMPLEENROLL, other, enrollment, NULL, &x, s.err), s.err,
                  "usage.argument");
    assert_failed(estuary_enrollment_new(ESTUARY_OP_CACERTS, s.server, empty, &none, s.err), s.err,
                  "usage.argument");
    assert_failed(estuary_enrollment_new(ESTUARY_OP_SIMPLEENROLL, s.server, empty, &none, s.err), s.err,
                  "usage.argument");
    assert_failed(estuary_enrollment_new(ESTUARY_OP_SIMPLEENROLL, NULL, empty, &none, s.err), s.err,
                  "usage.argument");
    assert_failed(estuary_enrollment_new(ESTUARY_OP_SIMPLEENROLL, s.server, NULL, &none, s.err), s.err,
                  "usage.argument");
    assert_null(none);
    estuary_exchange_free(NULL);
    estuary_enrollment_free(NULL);
    estuary_request_free(NULL);
    estuary_request_free(empty);
    estuary_enrollment_free(enrollment);
    estuary_server_free(other);
}

static void an_answer_needs_a_request(void **state)
{
    (void)state;
    estuary_next next = ESTUARY_NEXT_DONE;
    char *body = small_answer(&s.root, 1);
    estuary_http_response *response =
        small_response_make(&(small_response){200, CERTS_ONLY, body, NULL, NULL});
    estuary_exchange *x = small_exchange(&s, ESTUARY_OP_CACERTS, NULL, NULL);
    assert_failed(estuary_exchange_response(x, response, NOW, &next, s.err), s.err, "usage.argument");
    assert_int_equal(next, ESTUARY_NEXT_FAILED);
    assert_ok(small_step(&s, x, &(small_response){200, CERTS_ONLY, body, NULL, NULL}, &next), s.err);
    assert_failed(estuary_exchange_response(x, response, NOW, &next, s.err), s.err, "usage.argument");
    assert_int_equal(next, ESTUARY_NEXT_FAILED);
    assert_int_equal(sk_X509_num(estuary_exchange_get0_certs(x)), 1); /* the result stays */
    estuary_exchange_free(x);
    estuary_http_response_free(response);
    est_free(body);
}

static int set_up(void **state)
{
    (void)state;
    small_est_open(&s);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    small_est_close(&s);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cacerts),
        cmocka_unit_test(csrattrs),
        cmocka_unit_test(simpleenroll),
        cmocka_unit_test(pending_is_sent_again_byte_for_byte),
        cmocka_unit_test(polls_are_bounded),
        cmocka_unit_test(channel_binding),
        cmocka_unit_test(a_foreign_request_cannot_be_bound),
        cmocka_unit_test(redirects),
        cmocka_unit_test(redirects_refused),
        cmocka_unit_test(broken_answers),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(misuse),
        cmocka_unit_test(an_answer_needs_a_request),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
