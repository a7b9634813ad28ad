/* Redirects stay inside their origin (T7, RFC 7030 3.2.1). */
#include "est/est.h"
#include "support.h"

static const struct {
    const char *location, *url, *code; /* url or code */
} rows[] = {
    {"/.well-known/est/x/simpleenroll", "https://est.example:8443/.well-known/est/x/simpleenroll", NULL},
    {"https://est.example:8443/new/simpleenroll", "https://est.example:8443/new/simpleenroll", NULL},
    {"HTTPS://EST.Example:8443/new", "https://est.example:8443/new", NULL},
    {"https://est.example:08443/new", "https://est.example:8443/new", NULL},
    {"other", "https://est.example:8443/.well-known/est/other", NULL},
    {"a/b", "https://est.example:8443/.well-known/est/a/b", NULL},
    {"a/b:c", "https://est.example:8443/.well-known/est/a/b:c", NULL},
    {"/", "https://est.example:8443/", NULL},
    {NULL, NULL, "protocol.redirect"},
    {"", NULL, "protocol.redirect"},
    {"http://est.example:8443/new", NULL, "trust.redirect-downgrade"},
    {"HTTP://est.example/new", NULL, "trust.redirect-downgrade"},
    {"https://est.example/new", NULL, "trust.redirect-origin"}, /* another port */
    {"https://est.example:8444/new", NULL, "trust.redirect-origin"},
    {"https://other.example:8443/new", NULL, "trust.redirect-origin"},
    {"https://est.example.evil.example:8443/new", NULL, "trust.redirect-origin"},
    {"https://192.0.2.1:8443/new", NULL, "trust.redirect-origin"},
    {"https://[::1]:8443/new", NULL, "trust.redirect-origin"},
    {"https://user@est.example:8443/new", NULL, "protocol.redirect"},
    {"https://est.example:8443@evil.example/new", NULL, "protocol.redirect"},
    {"https://est.example:8443", NULL, "protocol.redirect"},
    {"https://est.example:8443?x", NULL, "protocol.redirect"},
    {"https://", NULL, "protocol.redirect"},
    {"https:///new", NULL, "protocol.redirect"},
    {"https://est.example:8443\\@evil.example/", NULL, "protocol.redirect"},
    {"https://est.example:/new", NULL, "protocol.redirect"},
    {"//est.example:8443/new", NULL, "protocol.redirect"},
    {"//evil.example/new", NULL, "protocol.redirect"},
    {"/\\evil.example/new", NULL, "protocol.redirect"},
    {"ftp://est.example/new", NULL, "protocol.redirect"},
    {"file:///etc/passwd", NULL, "protocol.redirect"},
    {"javascript:alert(1)", NULL, "protocol.redirect"},
    {"mailto:a@b", NULL, "protocol.redirect"},
    {"https:new", NULL, "protocol.redirect"},
    {"/new?x=1", NULL, "protocol.redirect"},
    {"/new#f", NULL, "protocol.redirect"},
    {"?x", NULL, "protocol.redirect"},
    {"#f", NULL, "protocol.redirect"},
    {"/a/../b", NULL, "protocol.redirect"},
    {"../b", NULL, "protocol.redirect"},
    {"..", NULL, "protocol.redirect"},
    {"./b", NULL, "protocol.redirect"},
    {"a/..", NULL, "protocol.redirect"},
    {"/%2e%2e/b", NULL, "protocol.redirect"},
    {"/a//b", NULL, "protocol.redirect"},
    {"/a b", NULL, "protocol.redirect"},
    {"/a%zz", NULL, "protocol.redirect"},
    {"/a\r\nX: y", NULL, "protocol.redirect"},
    {"/\xc3\xbc", NULL, "protocol.redirect"},
};

/* 7030-3.2.1-1, 7030-3.2.1-2 */
static void table(void **state)
{
    (void)state;
    estuary_error *err = estuary_error_new();
    estuary_server *server = NULL;
    assert_ok(estuary_server_parse("https://est.example:8443", NULL, &server, err), err);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *url = (char *)&url;
        estuary_status status = est_server_resolve_redirect(
            server, "https://est.example:8443/.well-known/est/simpleenroll", rows[i].location, &url, err);
        if (rows[i].url != NULL) {
            if (status != ESTUARY_OK)
                fail_msg("%s: %s", rows[i].location, estuary_error_message(err));
            assert_string_equal(url, rows[i].url);
            est_free(url);
            continue;
        }
        assert_null(url);
        if (status == ESTUARY_OK || strcmp(estuary_error_code(err), rows[i].code) != 0)
            fail_msg("%s gives %s", rows[i].location, estuary_error_code(err));
    }
    estuary_server_free(server);
    estuary_error_free(err);
}

static void long_locations(void **state)
{
    (void)state;
    estuary_error *err = estuary_error_new();
    estuary_server *server = NULL;
    char location[3000], *url = NULL;
    assert_ok(estuary_server_parse("https://[2001:db8::1]", NULL, &server, err), err);
    memset(location, 'a', sizeof(location));
    location[0] = '/';
    location[2049] = '\0';
    assert_failed(est_server_resolve_redirect(server, "https://[2001:db8::1]/a/b", location, &url, err), err,
                  "protocol.redirect");
    memcpy(location, "https://", 8);
    location[1000] = '\0';
    assert_failed(est_server_resolve_redirect(server, "https://[2001:db8::1]/a/b", location, &url, err), err,
                  "protocol.redirect");
    assert_ok(est_server_resolve_redirect(server, "https://[2001:db8::1]/a/b",
                                          "https://[2001:DB8:0::1]:443/c", &url, err),
              err);
    assert_string_equal(url, "https://[2001:db8::1]/c");
    est_free(url);
    estuary_server_free(server);
    estuary_error_free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(table), cmocka_unit_test(long_locations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
