/* Server URLs and labels (T9, RFC 7030 3.2.2). */
#include "est/est.h"
#include "support.h"

static estuary_error *err;

/* 7030-3.2.2-1 */
static void accepted(void **state)
{
    (void)state;
    static const struct {
        const char *url, *label, *normal, *host;
        int port;
        const char *cacerts;
    } rows[] = {
        {"https://est.example", NULL, "https://est.example", "est.example", 443,
         "https://est.example/.well-known/est/cacerts"},
        {"https://est.example/", NULL, "https://est.example", "est.example", 443, NULL},
        {"https://est.example//", NULL, "https://est.example", "est.example", 443, NULL},
        {"HTTPS://EST.Example", NULL, "https://est.example", "est.example", 443, NULL},
        {"https://est.example:443", NULL, "https://est.example", "est.example", 443, NULL},
        {"https://est.example:0443/", NULL, "https://est.example", "est.example", 443, NULL},
        {"https://est.example:8443", NULL, "https://est.example:8443", "est.example", 8443,
         "https://est.example:8443/.well-known/est/cacerts"},
        {"https://est.example:1", NULL, "https://est.example:1", "est.example", 1, NULL},
        {"https://est.example:65535", NULL, "https://est.example:65535", "est.example", 65535, NULL},
        {"https://192.0.2.1", NULL, "https://192.0.2.1", "192.0.2.1", 443, NULL},
        {"https://[2001:DB8::1]", NULL, "https://[2001:db8::1]", "2001:db8::1", 443,
         "https://[2001:db8::1]/.well-known/est/cacerts"},
        {"https://[2001:db8:0:0:0:0:0:1]:8443", NULL, "https://[2001:db8::1]:8443", "2001:db8::1", 8443,
         NULL},
        {"https://localhost", NULL, "https://localhost", "localhost", 443, NULL},
        {"https://b\xc3\xbc"
         "cher.example",
         NULL, "https://xn--bcher-kva.example", "xn--bcher-kva.example", 443, NULL},
        {"https://est.example/pki", NULL, "https://est.example/pki", "est.example", 443,
         "https://est.example/pki/.well-known/est/cacerts"},
        {"https://est.example/pki/a~b%20c/", NULL, "https://est.example/pki/a~b%20c", "est.example", 443,
         NULL},
        {"https://est.example/a@b", NULL, "https://est.example/a@b", "est.example", 443, NULL},
        {"https://est.example/.well-known/est", NULL, "https://est.example", "est.example", 443,
         "https://est.example/.well-known/est/cacerts"},
        {"https://est.example/.well-known/est/", NULL, "https://est.example", "est.example", 443, NULL},
        {"https://est.example/pki/.well-known/est", "l", "https://est.example/pki", "est.example", 443,
         "https://est.example/pki/.well-known/est/l/cacerts"},
        {"https://est.example/.well-known/established", NULL, "https://est.example/.well-known/established",
         "est.example", 443, NULL},
        {"https://est.example", "arbitraryLabel1", "https://est.example", "est.example", 443,
         "https://est.example/.well-known/est/arbitraryLabel1/cacerts"},
        {"https://est.example", "a-b.c_d~1", "https://est.example", "est.example", 443, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        estuary_server *server = NULL;
        if (estuary_server_parse(rows[i].url, rows[i].label, &server, err) != ESTUARY_OK)
            fail_msg("%s is refused: %s", rows[i].url, estuary_error_message(err));
        assert_string_equal(estuary_server_url(server), rows[i].normal);
        assert_string_equal(estuary_server_host(server), rows[i].host);
        assert_int_equal(estuary_server_port(server), rows[i].port);
        assert_string_equal(estuary_server_label(server), rows[i].label == NULL ? "" : rows[i].label);
        char *url = est_server_operation_url(server, "cacerts");
        if (rows[i].cacerts != NULL)
            assert_string_equal(url, rows[i].cacerts);
        est_free(url);
        estuary_server *again = NULL; /* the normal form is its own normal form */
        assert_ok(estuary_server_parse(rows[i].normal, rows[i].label, &again, err), err);
        assert_true(est_server_equal(server, again));
        estuary_server_free(again);
        estuary_server_free(server);
    }
}

/* 7030-3.3-2 */
static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *url, *code;
    } rows[] = {
        {NULL, "usage.no-server"},
        {"", "usage.url-not-https"},
        {"est.example", "usage.url-not-https"},
        {"http://est.example", "usage.url-not-https"},
        {"ftp://est.example", "usage.url-not-https"},
        {"https:/est.example", "usage.url-not-https"},
        {"//est.example", "usage.url-not-https"},
        {" https://est.example", "usage.url-not-https"},
        {"httpsx://est.example", "usage.url-not-https"},
        {"https://", "usage.url"},
        {"https:///path", "usage.url"},
        {"https://:443", "usage.url"},
        {"https://user@est.example", "usage.url-userinfo"},
        {"https://user:secret@est.example", "usage.url-userinfo"},
        {"https://@est.example", "usage.url-userinfo"},
        {"https://est.example?x=1", "usage.url-query"},
        {"https://est.example/?", "usage.url-query"},
        {"https://est.example/#f", "usage.url-query"},
        {"https://est.example#@other.example", "usage.url-query"},
        {"https://est.example:", "usage.url"},
        {"https://est.example:0", "usage.url"},
        {"https://est.example:65536", "usage.url"},
        {"https://est.example:-1", "usage.url"},
        {"https://est.example:44a", "usage.url"},
        {"https://est.example:4 4", "usage.url"},
        {"https://est.example:000443", "usage.url"},
        {"https://est..example", "usage.url"},
        {"https://.est.example", "usage.url"},
        {"https://-est.example", "usage.url"},
        {"https://est.example-", "usage.url"},
        {"https://*.example", "usage.url"},
        {"https://est example", "usage.url"},
        {"https://est\texample", "usage.url"},
        {"https://est.example\\.evil.example", "usage.url"},
        {"https://est%2eexample", "usage.url"},
        {"https://1.2.3", "usage.url"},
        {"https://2130706433", "usage.url"},
        {"https://0x7f.1", "usage.url"},
        {"https://1.2.3.4.5", "usage.url"},
        {"https://::1", "usage.url"},
        {"https://[::1", "usage.url"},
        {"https://[::1]x", "usage.url"},
        {"https://[]", "usage.url"},
        {"https://[est.example]", "usage.url"},
        {"https://[192.0.2.1]", "usage.url"},
        {"https://[fe80::1%25eth0]", "usage.url"},
        {"https://[fe80::1%eth0]", "usage.url"},
        {"https://est.example/a/../b", "usage.url"},
        {"https://est.example/..", "usage.url"},
        {"https://est.example/./a", "usage.url"},
        {"https://est.example/a/.", "usage.url"},
        {"https://est.example/a//b", "usage.url"},
        {"https://est.example/%2e%2E/b", "usage.url"},
        {"https://est.example/a b", "usage.url"},
        {"https://est.example/a%", "usage.url"},
        {"https://est.example/a%2", "usage.url"},
        {"https://est.example/a%zz", "usage.url"},
        {"https://est.example/a\\b", "usage.url"},
        {"https://est.example/\xc3\xbc", "usage.url"},
        {"https://est.example/a\r\nHost: x", "usage.url"},
        {"https://est.example/.well-known/est/label", "usage.url"},
        {"https://est.example/.well-known/est/cacerts", "usage.url"},
        {"https://est.example/.well-known/est/.well-known/est", "usage.url"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        estuary_server *server = (estuary_server *)&server;
        if (estuary_server_parse(rows[i].url, NULL, &server, err) == ESTUARY_OK)
            fail_msg("%s is accepted as %s", rows[i].url, estuary_server_url(server));
        if (strcmp(estuary_error_code(err), rows[i].code) != 0)
            fail_msg("%s gives %s, not %s", rows[i].url, estuary_error_code(err), rows[i].code);
        assert_null(server);
        assert_null(strstr(estuary_error_message(err), "secret")); /* a pasted password is not repeated */
        assert_int_equal(estuary_server_parse(rows[i].url, NULL, &server, NULL), ESTUARY_E_USAGE);
    }
}

static void long_urls(void **state)
{
    (void)state;
    char url[3000];
    estuary_server *server = NULL;
    memset(url, 'a', sizeof(url));
    memcpy(url, "https://est.example/", 20);
    url[2048] = '\0';
    assert_ok(estuary_server_parse(url, NULL, &server, err), err);
    estuary_server_free(server);
    url[2048] = 'a';
    url[2049] = '\0';
    assert_failed(estuary_server_parse(url, NULL, &server, err), err, "usage.url");
    memset(url, 'a', sizeof(url));
    memcpy(url, "https://", 8);
    url[600] = '\0';
    assert_failed(estuary_server_parse(url, NULL, &server, err), err, "usage.url");
}

/* RFC 7030 3.2.2: a label is one segment and no operation's name */
/* 7030-3.2.2-3 */
static void labels(void **state)
{
    (void)state;
    static const struct {
        const char *label, *code;
    } rows[] = {
        {"", "usage.label"},
        {".", "usage.label"},
        {"..", "usage.label"},
        {"a/b", "usage.label"},
        {"a%2fb", "usage.label"},
        {"a b", "usage.label"},
        {"a?b", "usage.label"},
        {"a#b", "usage.label"},
        {"a\\b", "usage.label"},
        {"\xc3\xbc", "usage.label"},
        {"a\n", "usage.label"},
        {"cacerts", "usage.label-operation"},
        {"simpleenroll", "usage.label-operation"},
        {"simplereenroll", "usage.label-operation"},
        {"fullcmc", "usage.label-operation"},
        {"serverkeygen", "usage.label-operation"},
        {"csrattrs", "usage.label-operation"},
        {"CACerts", "usage.label-operation"},
    };
    estuary_server *server = NULL;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_failed(estuary_server_parse("https://est.example", rows[i].label, &server, err), err,
                      rows[i].code);
    char label[130];
    memset(label, 'a', sizeof(label));
    label[128] = '\0';
    assert_ok(estuary_server_parse("https://est.example", label, &server, err), err);
    estuary_server_free(server);
    label[128] = 'a';
    label[129] = '\0';
    assert_failed(estuary_server_parse("https://est.example", label, &server, err), err, "usage.label");
}

static void references_and_equality(void **state)
{
    (void)state;
    estuary_server *a = NULL, *b = NULL, *c = NULL;
    assert_ok(estuary_server_parse("https://est.example", "x", &a, err), err);
    assert_ok(estuary_server_parse("https://EST.example:443/", "x", &b, err), err);
    assert_ok(estuary_server_parse("https://est.example", "X", &c, err), err);
    assert_true(est_server_equal(a, b));
    assert_false(est_server_equal(a, c)); /* labels are case-sensitive */
    assert_ptr_equal(estuary_server_up_ref(a), a);
    estuary_server_free(a);
    assert_string_equal(estuary_server_url(a), "https://est.example");
    estuary_server_free(a);
    estuary_server_free(b);
    estuary_server_free(c);
    estuary_server_free(NULL);
    assert_null(estuary_server_up_ref(NULL));
}

/* 7030-3.2.2-2 */
static void operations(void **state)
{
    (void)state;
    static const struct {
        estuary_operation operation;
        const char *name, *method, *content_type;
    } rows[] = {{ESTUARY_OP_CACERTS, "cacerts", "GET", NULL},
                {ESTUARY_OP_CSRATTRS, "csrattrs", "GET", NULL},
                {ESTUARY_OP_SIMPLEENROLL, "simpleenroll", "POST", "application/pkcs10"},
                {ESTUARY_OP_SIMPLEREENROLL, "simplereenroll", "POST", "application/pkcs10"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const est_operation *row = est_operation_get(rows[i].operation);
        estuary_operation back = 0;
        assert_string_equal(estuary_operation_name(rows[i].operation), rows[i].name);
        assert_string_equal(row->method, rows[i].method);
        if (rows[i].content_type == NULL)
            assert_null(row->content_type);
        else
            assert_string_equal(row->content_type, rows[i].content_type);
        assert_true(est_operation_from_name(rows[i].name, &back));
        assert_int_equal(back, rows[i].operation);
    }
    estuary_operation back = 0;
    assert_string_equal(estuary_operation_name(0), "");
    assert_null(est_operation_get((estuary_operation)99));
    assert_false(est_operation_from_name("CACERTS", &back));
    assert_true(est_operation_is_reserved("serverkeygen"));
    assert_false(est_operation_is_reserved("device"));
}

static int set_up(void **state)
{
    (void)state;
    err = estuary_error_new();
    return err == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    estuary_error_free(err);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted),
        cmocka_unit_test(refused),
        cmocka_unit_test(long_urls),
        cmocka_unit_test(labels),
        cmocka_unit_test(references_and_equality),
        cmocka_unit_test(operations),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
