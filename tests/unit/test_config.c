/* What a client is told (T2, T4, T5, T6, T7, T11). */
#include "client/client.h"
#include "small_ca.h"

static estuary_error *err;
static estuary_config *config;
static EVP_PKEY *key, *other_key;
static X509 *root;

static estuary_anchors *anchors_of(X509 *cert)
{
    estuary_anchors *anchors = NULL;
    STACK_OF(X509) *certs = sk_X509_new_null();
    assert_true(sk_X509_push(certs, cert) > 0);
    assert_ok(estuary_anchors_from_certs(certs, &anchors, err), err);
    sk_X509_free(certs);
    return anchors;
}

/* T2: explicit and system anchors never mix */
/* 7030-3.1-4, 7030-3.1-5, 7030-4.1.3-6 */
static void trust(void **state)
{
    (void)state;
    X509 *second = small_root(other_key, "second");
    estuary_anchors *a = anchors_of(root), *b = anchors_of(second);
    assert_failed(estuary_config_trust_anchors(config, NULL, err), err, "usage.no-trust");
    assert_null(config->anchors);
    assert_ok(estuary_config_trust_anchors(config, a, err), err);
    assert_ok(estuary_config_trust_anchors(config, b, err), err);
    assert_ok(estuary_config_trust_anchors(config, b, err), err);
    assert_int_equal(sk_X509_num(estuary_anchors_get0_roots(config->anchors)), 2);
    assert_int_equal(sk_X509_num(estuary_anchors_get0_roots(a)), 1); /* the caller's set is as it was */
    assert_failed(estuary_config_trust_system(config, err), err, "usage.mixed-trust");
    assert_failed(estuary_config_trust_file(config, "/nonexistent/anchors.pem", err), err,
                  "config.anchors-file");
    assert_int_equal(sk_X509_num(estuary_anchors_get0_roots(config->anchors)), 2);
    estuary_anchors_free(a);
    estuary_anchors_free(b);
    X509_free(second);
    estuary_config *system = NULL;
    assert_ok(estuary_config_new(&system, err), err);
    assert_ok(estuary_config_trust_system(system, err), err);
    assert_ok(estuary_config_trust_system(system, err), err);
    assert_failed(estuary_config_trust_anchors(system, config->anchors, err), err, "usage.mixed-trust");
    estuary_config_free(system);
}

static void server(void **state)
{
    (void)state;
    assert_ok(estuary_config_set_server(config, "https://est.example", "label", err), err);
    assert_failed(estuary_config_set_server(config, "http://est.example", NULL, err), err,
                  "usage.url-not-https");
    assert_failed(estuary_config_set_server(config, NULL, NULL, err), err, "usage.no-server");
    assert_string_equal(estuary_server_label(config->server), "label"); /* a failed call changes nothing */
    assert_ok(estuary_config_set_server(config, "https://other.example", NULL, err), err);
    assert_string_equal(estuary_server_url(config->server), "https://other.example");
}

static X509 *client_certificate(const char *eku, int64_t from, int64_t to)
{
    X509_NAME *name = small_name("client");
    STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
    if (eku != NULL)
        assert_true(
            sk_X509_EXTENSION_push(extensions, X509V3_EXT_conf_nid(NULL, NULL, NID_ext_key_usage, eku)) > 0);
    X509 *cert = small_issue(
        root, key,
        &(small_cert){.subject = name, .key = other_key, .extensions = extensions, .from = from, .to = to});
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    X509_NAME_free(name);
    return cert;
}

/* T5: said before any dialing */
static void identity(void **state)
{
    (void)state;
    static const struct {
        const char *eku;
        int64_t from, to;
        bool wrong_key, allow_expired;
        const char *code;
    } rows[] = {
        {NULL, 0, 0, false, false, ""},
        {"clientAuth", 0, 0, false, false, ""},
        {"serverAuth", 0, 0, false, false, "tls.identity-eku"},
        {NULL, -7200, -3600, false, false, "tls.identity-expired"},
        {NULL, -7200, -3600, false, true, ""},
        {NULL, 3600, 7200, false, true, "tls.identity-not-yet-valid"},
        {NULL, 0, 0, true, false, "tls.identity-key-mismatch"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        estuary_config *own = NULL;
        X509 *cert = client_certificate(rows[i].eku, rows[i].from, rows[i].to);
        STACK_OF(X509) *chain = sk_X509_new_null();
        assert_true(sk_X509_push(chain, root) > 0);
        assert_ok(estuary_config_new(&own, err), err);
        if (rows[i].allow_expired)
            assert_ok(estuary_config_allow_expired_identity(own, err), err);
        estuary_error_clear(err);
        estuary_status status =
            estuary_config_set_identity(own, cert, chain, rows[i].wrong_key ? key : other_key, err);
        if (strcmp(estuary_error_code(err), rows[i].code) != 0)
            fail_msg("row %zu gives \"%s\", not \"%s\"", i, estuary_error_code(err), rows[i].code);
        sk_X509_free(chain);
        if (status == ESTUARY_OK) {
            assert_int_equal(X509_cmp(own->identity, cert), 0);
            assert_int_equal(sk_X509_num(own->identity_chain), 1); /* its own references */
        } else {
            assert_null(own->identity);
            assert_null(own->identity_key);
        }
        X509_free(cert);
        estuary_config_free(own);
    }
    assert_failed(estuary_config_set_identity(config, NULL, NULL, key, err), err, "usage.argument");
    assert_failed(estuary_config_set_identity(config, root, NULL, NULL, err), err, "usage.argument");
}

/* T6, RFC 7617 2 */
/* 7030-3.2.3-3 */
static void credentials(void **state)
{
    (void)state;
    static const struct {
        const char *user, *password;
        size_t len;
        const char *code;
    } rows[] = {{"user", "secret", 6, ""},
                {"user@example", "", 0, ""},
                {"j\xc3\xbcrgen", "p\xc3\xa4ss", 5, ""},
                {NULL, "secret", 6, "usage.argument"},
                {"", "secret", 6, "usage.argument"},
                {"a:b", "secret", 6, "usage.argument"},
                {"a\nb", "secret", 6, "usage.argument"},
                {"a\x7f", "secret", 6, "usage.argument"},
                {"user", "sec\0ret", 7, "config.invalid"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        estuary_secret *password = NULL;
        assert_ok(estuary_secret_new(rows[i].password, rows[i].len, &password, err), err);
        estuary_error_clear(err);
        (void)estuary_config_set_http_auth(config, rows[i].user, password, err);
        assert_string_equal(estuary_error_code(err), rows[i].code);
        assert_null(strstr(estuary_error_message(err), "secret"));
        if (rows[i].code[0] == '\0') {
            assert_string_equal(config->user, rows[i].user);
            assert_true(estuary_secret_equal(config->password, password));
        }
        estuary_secret_free(password);
    }
    assert_string_equal(config->user, "j\xc3\xbcrgen"); /* failed calls change nothing */
    assert_failed(estuary_config_set_http_auth(config, "user", NULL, err), err, "usage.argument");
    char user[1100];
    memset(user, 'u', sizeof(user));
    user[1025] = '\0';
    estuary_secret *password = NULL;
    assert_ok(estuary_secret_new("x", 1, &password, err), err);
    assert_failed(estuary_config_set_http_auth(config, user, password, err), err, "usage.argument");
    user[1024] = '\0';
    assert_ok(estuary_config_set_http_auth(config, user, password, err), err);
    estuary_secret_free(password);
    assert_ok(estuary_config_set_preemptive_auth(config, true, err), err);
    assert_true(config->preemptive_auth);
}

/* T7 */
static void proxy(void **state)
{
    (void)state;
    static const char *const good[] = {"http://proxy.example:3128", "socks5://127.0.0.1:1080",
                                       "socks5h://[::1]:1080", "http://proxy.example:65535"};
    static const char *const bad[] = {"",
                                      "proxy.example:3128",
                                      "https://proxy.example:3128",
                                      "socks4://proxy.example:1080",
                                      "http://",
                                      "http://:3128",
                                      "http://proxy.example",
                                      "http://proxy.example:",
                                      "http://proxy.example:0",
                                      "http://proxy.example:65536",
                                      "http://proxy.example:99999",
                                      "http://proxy.example:31a",
                                      "http://proxy.example:3128/",
                                      "http://user:secret@proxy.example:3128",
                                      "http://proxy example:3128",
                                      "http://proxy.example:3128\r\nX:1"};
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_ok(estuary_config_set_proxy(config, good[i], NULL, NULL, err), err);
        assert_string_equal(config->proxy, good[i]);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        if (estuary_config_set_proxy(config, bad[i], NULL, NULL, err) == ESTUARY_OK)
            fail_msg("%s is accepted", bad[i]);
        assert_string_equal(estuary_error_code(err), "usage.proxy");
        assert_null(strstr(estuary_error_message(err), "secret"));
    }
    assert_failed(estuary_config_set_proxy(config, good[0], "a:b", NULL, err), err, "usage.proxy");
    assert_string_equal(config->proxy, good[3]);
    assert_ok(estuary_config_set_proxy(config, NULL, NULL, NULL, err), err);
    assert_null(config->proxy);
}

static void waiting_and_limits(void **state)
{
    (void)state;
    static const int64_t bad[] = {-1, INT64_MIN, 365 * 86400 + 1, INT64_MAX};
    estuary_limits *limits = NULL;
    assert_ok(estuary_config_set_max_wait(config, 365 * 86400, err), err);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_failed(estuary_config_set_max_wait(config, bad[i], err), err, "usage.limit");
    assert_int_equal(config->max_wait, 365 * 86400);
    assert_ok(estuary_limits_new(&limits, err), err);
    assert_ok(estuary_limits_set(limits, ESTUARY_LIMIT_POLLS, 7, err), err);
    assert_ok(estuary_config_set_limits(config, limits, err), err);
    assert_ok(estuary_limits_set(limits, ESTUARY_LIMIT_POLLS, 8, err), err);
    assert_int_equal(estuary_limits_get(config->limits, ESTUARY_LIMIT_POLLS), 7);
    estuary_limits_free(limits);
    assert_ok(estuary_config_set_limits(config, NULL, err), err);
    assert_int_equal(estuary_limits_get(config->limits, ESTUARY_LIMIT_POLLS), 1000);
}

static void progress(void *arg, const char *what)
{
    (void)arg;
    (void)what;
}

static void sink(void *arg, estuary_log_level level, const char *event, const char *message,
                 const estuary_log_field *fields, size_t n)
{
    (void)arg, (void)level, (void)event, (void)message, (void)fields, (void)n;
}

/* house rule 4: a client has a snapshot */
static void a_copy_is_independent(void **state)
{
    (void)state;
    estuary_config *own = NULL, *copy = NULL;
    estuary_secret *password = NULL;
    estuary_log *log = NULL;
    estuary_metrics *metrics = NULL;
    int place = 0;
    X509 *cert = client_certificate(NULL, 0, 0);
    estuary_anchors *anchors = anchors_of(root);
    assert_ok(estuary_secret_new("pw", 2, &password, err), err);
    assert_ok(estuary_log_new(ESTUARY_LOG_INFO, sink, NULL, &log, err), err);
    assert_ok(estuary_metrics_new(&metrics, err), err);
    assert_ok(estuary_config_new(&own, err), err);
    assert_ok(estuary_config_set_server(own, "https://est.example", NULL, err), err);
    assert_ok(estuary_config_trust_anchors(own, anchors, err), err);
    assert_ok(estuary_config_set_identity(own, cert, NULL, other_key, err), err);
    assert_ok(estuary_config_set_http_auth(own, "user", password, err), err);
    assert_ok(estuary_config_set_proxy(own, "http://p:1", "pu", password, err), err);
    assert_ok(estuary_config_set_log(own, log, err), err);
    assert_ok(estuary_config_set_log(own, log, err), err); /* the same again */
    assert_ok(estuary_config_set_metrics(own, metrics, err), err);
    assert_ok(estuary_config_set_metrics(own, metrics, err), err);
    assert_ok(estuary_config_set_progress(own, progress, &place, err), err);
    assert_ok(estuary_config_insecure_accept_any_server(own, err), err);
    assert_ok(estuary_config_set_max_wait(own, 5, err), err);
    assert_ok(est_config_dup(own, &copy, err), err);
    estuary_config_free(own);
    estuary_secret_free(password);
    estuary_log_free(log);
    estuary_metrics_free(metrics);
    estuary_anchors_free(anchors);
    assert_string_equal(estuary_server_url(copy->server), "https://est.example");
    assert_int_equal(sk_X509_num(estuary_anchors_get0_roots(copy->anchors)), 1);
    assert_int_equal(X509_cmp(copy->identity, cert), 0);
    assert_ptr_equal(copy->identity_key, other_key);
    assert_null(copy->identity_chain);
    assert_string_equal(copy->user, "user");
    assert_string_equal(estuary_secret_get0(copy->password, NULL), "pw");
    assert_string_equal(copy->proxy, "http://p:1");
    assert_string_equal(copy->proxy_user, "pu");
    assert_string_equal(estuary_secret_get0(copy->proxy_password, NULL), "pw");
    assert_ptr_equal(copy->progress_arg, &place);
    assert_true(copy->progress == progress);
    assert_true(copy->accept_any);
    assert_int_equal(copy->max_wait, 5);
    assert_non_null(copy->limits);
    est_log(copy->log, ESTUARY_LOG_INFO, "x", "y", NULL);
    est_count(copy->metrics, "x");
    /* T4: bootstrap sends neither credentials nor a certificate */
    est_config_strip(copy);
    assert_null(copy->identity);
    assert_null(copy->identity_key);
    assert_null(copy->user);
    assert_null(copy->password);
    assert_null(copy->anchors);
    assert_string_equal(copy->proxy, "http://p:1");
    estuary_config_free(copy);
    estuary_config_free(NULL);
    X509_free(cert);
}

/* T11 */
static void fips(void **state)
{
    (void)state;
    if (estuary_process_fips_active())
        skip();
    assert_failed(estuary_config_require_fips(config, err), err, "unsupported.fips");
    assert_false(config->fips);
}

static int set_up(void **state)
{
    (void)state;
    err = estuary_error_new();
    key = EVP_EC_gen("P-256");
    other_key = EVP_EC_gen("P-256");
    root = small_root(key, "root");
    return estuary_config_new(&config, err) == ESTUARY_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    estuary_config_free(config);
    X509_free(root);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other_key);
    estuary_error_free(err);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trust),
        cmocka_unit_test(server),
        cmocka_unit_test(identity),
        cmocka_unit_test(credentials),
        cmocka_unit_test(proxy),
        cmocka_unit_test(waiting_and_limits),
        cmocka_unit_test(a_copy_is_independent),
        cmocka_unit_test(fips),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
