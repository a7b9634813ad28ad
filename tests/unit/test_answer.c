/* From an HTTP answer to an error (RFC 7030 3.2.1, 4.1.3, 4.2.3, 4.5.2; E11). */
#include "small_est.h"

static small_est s;

#define DONE "done"
#define WAIT "wait"

/* What every status means to each kind of operation: cacerts, csrattrs, simpleenroll. */
static const struct {
    int status;
    const char *name, *value;
    const char *cacerts, *csrattrs, *enroll;
} rows[] = {
    {200, NULL, NULL, "protocol.no-content-type", "protocol.no-content-type", "protocol.no-content-type"},
    {202, NULL, NULL, "protocol.status", "protocol.status", "protocol.retry-after-missing"},
    {202, "Retry-After", "30", "protocol.status", "protocol.status", WAIT},
    {202, "Retry-After", "soon", "protocol.status", "protocol.status", "protocol.retry-after"},
    {204, NULL, NULL, "protocol.status", DONE, "protocol.status"},
    {404, NULL, NULL, "server.not-found", DONE, "server.not-found"},
    {-1, NULL, NULL, "protocol.status", "protocol.status", "protocol.status"},
    {0, NULL, NULL, "protocol.status", "protocol.status", "protocol.status"},
    {100, NULL, NULL, "protocol.status", "protocol.status", "protocol.status"},
    {199, NULL, NULL, "protocol.status", "protocol.status", "protocol.status"},
    {201, NULL, NULL, "protocol.status", "protocol.status", "protocol.status"},
    {206, NULL, NULL, "protocol.status", "protocol.status", "protocol.status"},
    {300, NULL, NULL, "protocol.status", "protocol.status", "protocol.status"},
    {301, NULL, NULL, "protocol.redirect", "protocol.redirect", "protocol.redirect"},
    {304, NULL, NULL, "protocol.status", "protocol.status", "protocol.status"},
    {305, NULL, NULL, "protocol.status", "protocol.status", "protocol.status"},
    {400, NULL, NULL, "server.refused", "server.refused", "server.refused"},
    {401, NULL, NULL, "auth.no-challenge", "auth.no-challenge", "auth.no-challenge"},
    {401, "WWW-Authenticate", "Basic realm=\"est\"", "auth.required", "auth.required", "auth.required"},
    {401, "www-authenticate", "DIGEST qop=\"auth\", realm=\"x\"", "auth.required", "auth.required",
     "auth.required"},
    {401, "WWW-Authenticate", "Negotiate, Basic realm=\"est\"", "auth.required", "auth.required",
     "auth.required"},
    {401, "WWW-Authenticate", "Negotiate", "auth.scheme", "auth.scheme", "auth.scheme"},
    {401, "WWW-Authenticate", "Bearer realm=\"Basic\"", "auth.scheme", "auth.scheme", "auth.scheme"},
    {401, "WWW-Authenticate", "Basically", "auth.scheme", "auth.scheme", "auth.scheme"},
    {401, "WWW-Authenticate", "", "auth.scheme", "auth.scheme", "auth.scheme"},
    {403, NULL, NULL, "auth.forbidden", "auth.forbidden", "auth.forbidden"},
    {405, NULL, NULL, "server.method", "server.method", "server.method"},
    {406, NULL, NULL, "server.refused", "server.refused", "server.refused"},
    {407, NULL, NULL, "server.refused", "server.refused", "server.refused"},
    {413, NULL, NULL, "server.too-large", "server.too-large", "server.too-large"},
    {429, NULL, NULL, "server.busy", "server.busy", "server.busy"},
    {499, NULL, NULL, "server.refused", "server.refused", "server.refused"},
    {500, NULL, NULL, "server.error", "server.error", "server.error"},
    {501, NULL, NULL, "server.error", "server.error", "server.error"},
    {503, NULL, NULL, "server.busy", "server.busy", "server.busy"},
    {599, NULL, NULL, "server.error", "server.error", "server.error"},
    {600, NULL, NULL, "protocol.status", "protocol.status", "protocol.status"},
    {999, NULL, NULL, "protocol.status", "protocol.status", "protocol.status"},
};

static void assert_means(estuary_operation operation, size_t i, const char *wanted)
{
    estuary_next next;
    estuary_enrollment *enrollment = operation == ESTUARY_OP_SIMPLEENROLL ? small_enroll(&s) : NULL;
    estuary_exchange *x = small_exchange(&s, operation, enrollment, NULL);
    estuary_status status =
        small_step(&s, x, &(small_response){rows[i].status, NULL, NULL, rows[i].name, rows[i].value}, &next);
    const char *got = status != ESTUARY_OK        ? estuary_error_code(s.err)
                      : next == ESTUARY_NEXT_DONE ? DONE
                      : next == ESTUARY_NEXT_WAIT ? WAIT
                                                  : "send";
    if (strcmp(got, wanted) != 0)
        fail_msg("%s answers %d (%s): %s, not %s", estuary_operation_name(operation), rows[i].status,
                 rows[i].value == NULL ? "" : rows[i].value, got, wanted);
    if (enrollment != NULL)
        assert_int_equal(estuary_enrollment_state(enrollment),
                         strcmp(wanted, WAIT) == 0 ? ESTUARY_STATE_PENDING : ESTUARY_STATE_READY);
    estuary_exchange_free(x);
    estuary_enrollment_free(enrollment);
}

/* 7030-4.1.3-1, 7030-4.2.3-1, 7030-4.5.2-1, 7030-4.2.3-3 */
static void every_status_for_every_operation(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_means(ESTUARY_OP_CACERTS, i, rows[i].cacerts);
        assert_means(ESTUARY_OP_CSRATTRS, i, rows[i].csrattrs);
        assert_means(ESTUARY_OP_SIMPLEENROLL, i, rows[i].enroll);
    }
}

static estuary_status refuse(const small_response *what, const estuary_limits *limits)
{
    estuary_http_response *response = small_response_make(what);
    estuary_status status = est_answer_refusal(response, limits, NOW, s.err);
    assert_int_equal(estuary_error_http_status(s.err), what->status);
    estuary_http_response_free(response);
    return status;
}

/* A refusal, too, may say when to come back. */
static void retry_at_of_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        time_t at;
    } table[] = {{"30", NOW + 30},
                 {"Sat, 31 Jan 2026 12:02:00 GMT", NOW + 120},
                 {"soon", 0},
                 {"99999999999", NOW + 604800}, /* cut to the limit */
                 {"0", NOW + 1}};
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        assert_int_equal(refuse(&(small_response){503, NULL, NULL, "Retry-After", table[i].value}, NULL),
                         ESTUARY_E_SERVER);
        assert_int_equal(estuary_error_retry_at(s.err), table[i].at);
        assert_true(estuary_error_retryable(s.err));
    }
}

/* E7 */
/* 7030-4.2.3-4 */
static void retry_at_of_202(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        time_t at;
    } table[] = {{"30", NOW + 30},
                 {"0", NOW + 1}, /* never a busy loop */
                 {"Fri, 31 Dec 1999 23:59:59 GMT", NOW + 1},
                 {"604800", NOW + 604800},
                 {"604801", NOW + 604800},
                 {"99999999999999999999", NOW + 604800}};
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        time_t at = 0;
        estuary_http_response *response =
            small_response_make(&(small_response){202, NULL, NULL, "RETRY-after", table[i].value});
        assert_ok(est_answer_retry_at(response, NULL, NOW, &at, s.err), s.err);
        assert_int_equal(at, table[i].at);
        estuary_http_response_free(response);
    }
}

/* E11 */
/* 7030-4.2.3-3, 7030-4.4.2-6, 8951-5.1-1, 8951-5.2-1 */
static void the_servers_words(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *type, *body, *message;
    } table[] = {
        {400, "text/plain", "no such profile",
         "the server refused the request (status 400): \"no such profile\""},
        {400, NULL, "no such profile", "the server refused the request (status 400): \"no such profile\""},
        {400, "text/plain; charset=utf-8", " a\n\n b\x1b[2J\x07 ",
         "the server refused the request (status 400): \"a b?[2J?\""},
        {400, "text/html", "<html><body onload='x'><h1>Bad</h1>\n<p>no\x1b</body>",
         "the server refused the request (status 400): \"Bad no?\""},
        {400, "TEXT/HTML", "<p>unclosed <b", "the server refused the request (status 400): \"unclosed\""},
        {400, "text/html", "<<<>>>", "the server refused the request (status 400): \">>\""},
        {400, "text/html", "<p>no &lt;profile&gt; &quot;a&quot; &amp;&apos;b&apos;&nbsp;c",
         "the server refused the request (status 400): \"no <profile> \"a\" &'b' c\""},
        {400, "text/html", "caf&#233; caf&#xE9; &#X1F511;",
         "the server refused the request (status 400): \"caf\xc3\xa9 caf\xc3\xa9 \xf0\x9f\x94\x91\""},
        /* what is decoded is cleaned like the rest, and decoded once */
        {400, "text/html", "&#27;[2J&#x9b;&#0;&#x202e;&#10;&#xd800; &amp;lt;",
         "the server refused the request (status 400): \"?[2J?????? ? &lt;\""},
        /* no references */
        {400, "text/html", "a&b &; &#; &#x; &#12a; &#1114112; &#x110000; &LT; &euro; &#00000000065; & &",
         "the server refused the request (status 400): \"a&b &; &#; &#x; &#12a; &#1114112; &#x110000; &LT; "
         "&euro; &#00000000065; & &\""},
        {400, "text/html", "<p a=\"&lt;\">x&gt", "the server refused the request (status 400): \"x&gt\""},
        {400, "text/plain", "&lt;", "the server refused the request (status 400): \"&lt;\""},
        {400, "application/octet-stream", "binary", "the server refused the request (status 400)"},
        {400, "not a type", "text", "the server refused the request (status 400)"},
        {400, "text/plain", "", "the server refused the request (status 400)"},
        {400, "text/plain", "\n \n", "the server refused the request (status 400)"},
        {500, "text/plain", "oops", "the server reports an internal error (status 500): \"oops\""},
        {404, "text/plain", "gone", "there is no such EST service at this URL (status 404): \"gone\""},
        {403, NULL, NULL, "the server does not allow this (status 403)"},
        {405, "text/plain", "no", "the server does not know this operation (status 405): \"no\""},
        {413, NULL, NULL, "the request is too large for the server (status 413)"},
        {600, "text/plain", "x", "the server answered with status 600, which EST does not use here"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        (void)refuse(&(small_response){table[i].status, table[i].type, table[i].body, NULL, NULL}, NULL);
        assert_string_equal(estuary_error_message(s.err), table[i].message);
    }
}

static void the_servers_words_are_bounded(void **state)
{
    (void)state;
    estuary_limits *limits = NULL;
    char body[20001];
    memset(body, 'w', sizeof(body) - 1);
    body[sizeof(body) - 1] = '\0';
    static const char *const types[] = {"text/plain", "text/html"};
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        (void)refuse(&(small_response){400, types[i], body, NULL, NULL}, NULL);
        const char *start = strchr(estuary_error_message(s.err), '"');
        assert_non_null(start);
        assert_int_equal(strspn(start + 1, "w"), 512);
    }
    for (size_t i = 0; i + 8 < sizeof(body); i += 8)
        memcpy(body + i, "&#8364; ", 8);
    (void)refuse(&(small_response){400, "text/html", body, NULL, NULL}, NULL);
    assert_int_equal(strlen(strchr(estuary_error_message(s.err), '"')),
                     513); /* 128 euro signs, 127 blanks, 2 quotes */
    assert_ok(estuary_limits_new(&limits, s.err), s.err);
    assert_ok(estuary_limits_set(limits, ESTUARY_LIMIT_ERROR_TEXT_BYTES, 4, s.err), s.err);
    (void)refuse(&(small_response){400, "text/plain", "abcdefg", NULL, NULL}, limits);
    assert_string_equal(estuary_error_message(s.err),
                        "the server refused the request (status 400): \"abcd\"");
    estuary_limits_free(limits);
}

/* RFC 8951 3.1 and 3.2 */
static void decoding(void **state)
{
    (void)state;
    static const struct {
        const char *type, *body, *name, *value, *code;
    } table[] = {
        {"application/pkcs7-mime", "Zm9v", NULL, NULL, ""},
        {"application/pkcs7-mime; smime-type=certs-only", "Zm9v", NULL, NULL, ""},
        {"application/pkcs7-mime", "Zm9v", "Content-Transfer-Encoding", "binary", ""}, /* ignored */
        {"application/pkcs7-mime", "Zm9v", "Content-Transfer-Encoding", "base64", ""},
        {"application/pkcs7-mime", "Zm9v", "Content-Encoding", "identity", ""},
        {"application/pkcs7-mime", "Zm9v", "Content-Encoding", "gzip", "protocol.content-encoding"},
        {"application/pkcs7-mime", "Zm9v", "content-encoding", "identity, gzip", "protocol.content-encoding"},
        {NULL, "Zm9v", NULL, NULL, "protocol.no-content-type"},
        {"", "Zm9v", NULL, NULL, "protocol.content-type"},
        {"text/html", "Zm9v", NULL, NULL, "protocol.content-type"},
        {"application/pkcs7-mime-x", "Zm9v", NULL, NULL, "protocol.content-type"},
        {"application/x-pkcs7-mime", "Zm9v", NULL, NULL, "protocol.content-type"},
        {"application/pkcs7-mime, text/html", "Zm9v", NULL, NULL, "protocol.content-type"},
        {"application/pkcs7-mime; smime-type=CMC-response", "Zm9v", NULL, NULL, "protocol.smime-type"},
        {"application/pkcs7-mime; smime-type=certs-onlyaaaaaaaaaaaaaaaaaaaaaaaaaaa", "Zm9v", NULL, NULL,
         "protocol.smime-type"},
        {"application/pkcs7-mime", NULL, NULL, NULL, "protocol.empty"},
        {"application/pkcs7-mime", "", NULL, NULL, "protocol.empty"},
        {"application/pkcs7-mime", " \r\n\t", NULL, NULL, "protocol.empty"},
        {"application/pkcs7-mime", "Zm9", NULL, NULL, "protocol.base64-padding"},
        {"application/pkcs7-mime", "-----BEGIN PKCS7-----", NULL, NULL, "protocol.pem"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        uint8_t *der = (uint8_t *)&der;
        size_t len = 9;
        estuary_http_response *response = small_response_make(
            &(small_response){200, table[i].type, table[i].body, table[i].name, table[i].value});
        estuary_error_clear(s.err);
        estuary_status status =
            est_answer_decode(response, "application/pkcs7-mime", "certs-only", NULL, &der, &len, s.err);
        if (strcmp(estuary_error_code(s.err), table[i].code) != 0)
            fail_msg("row %zu gives %s, not %s", i, estuary_error_code(s.err), table[i].code);
        assert_int_equal(status == ESTUARY_OK, table[i].code[0] == '\0');
        if (status == ESTUARY_OK)
            assert_int_equal(len, 3);
        else
            assert_null(der);
        est_free(der);
        estuary_http_response_free(response);
    }
}

static void bounds(void **state)
{
    (void)state;
    static const struct {
        estuary_limit which;
        int64_t value;
        const char *code;
    } table[] = {{ESTUARY_LIMIT_HEADER_COUNT, 1, "protocol.too-many-headers"},
                 {ESTUARY_LIMIT_HEADER_BYTES, 64, "protocol.headers-too-large"},
                 {ESTUARY_LIMIT_RESPONSE_BYTES, 99, "protocol.response-too-large"}};
    char value[101], body[101];
    memset(value, 'v', 100);
    memset(body, 'b', 100);
    value[100] = body[100] = '\0';
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        estuary_limits *limits = NULL;
        estuary_http_response *response =
            small_response_make(&(small_response){200, "a/b", body, "X", value});
        assert_ok(estuary_limits_new(&limits, s.err), s.err);
        assert_ok(est_answer_check_bounds(response, limits, s.err), s.err);
        assert_ok(estuary_limits_set(limits, table[i].which, table[i].value, s.err), s.err);
        assert_failed(est_answer_check_bounds(response, limits, s.err), s.err, table[i].code);
        estuary_limits_free(limits);
        estuary_http_response_free(response);
    }
}

static void response_values(void **state)
{
    (void)state;
    estuary_http_response *response = NULL;
    assert_ok(estuary_http_response_new(200, &response, s.err), s.err);
    for (int i = 0; i < 40; i++) {
        char name[8] = {'N', (char)('a' + i % 26), (char)('a' + i / 26), '\0'};
        assert_ok(estuary_http_response_add_header(response, name, name + 1, s.err), s.err);
    }
    assert_int_equal(response->n_headers, 40);
    assert_string_equal(est_response_header(response, "nNB"), "nb");
    assert_null(est_response_header(response, "nnbx"));
    assert_ok(estuary_http_response_append_body(response, (const uint8_t *)"", 0, s.err), s.err);
    assert_int_equal(response->body.len, 0);
    estuary_http_response_free(response);
    estuary_http_response_free(NULL);
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
        cmocka_unit_test(every_status_for_every_operation),
        cmocka_unit_test(retry_at_of_refusals),
        cmocka_unit_test(retry_at_of_202),
        cmocka_unit_test(the_servers_words),
        cmocka_unit_test(the_servers_words_are_bounded),
        cmocka_unit_test(decoding),
        cmocka_unit_test(bounds),
        cmocka_unit_test(response_values),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
