#include "cert/cert.h"
#include "make_certs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static made root, other, middle, leaf, v1, v1_leaf;

static int set_up(void **state)
{
    (void)state;
    root = make_ca("root", NULL);
    other = make_ca("other root", NULL);
    middle = make_ca("middle", &root);
    leaf = make_server("DNS:est.example", &middle);
    v1 = make_cert(&(recipe){.cn = "old root", .version_1 = true});
    v1_leaf = make_cert(&(recipe){.cn = "old leaf", .issuer = &v1, .version_1 = true});
    return 0;
}

static int tear_down(void **state)
{
    made *all[] = {&root, &other, &middle, &leaf, &v1, &v1_leaf};
    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free_made(all[i]);
    return 0;
}

static estuary_status from_text(const char *text, estuary_anchors **out, estuary_error *err)
{
    return estuary_anchors_from_bytes((const uint8_t *)text, strlen(text), out, err);
}

static void expect(estuary_status status, estuary_error *err, const char *code)
{
    assert_string_equal(estuary_error_code(err), code);
    assert_int_equal(status, estuary_error_category(err));
}

/* T2 */
static void test_bundle(void **state)
{
    estuary_anchors *anchors = NULL;
    char *pem = make_pem(middle.cert, root.cert, v1.cert, root.cert, NULL), *again = NULL;
    char text[16384];
    (void)state;
    snprintf(text, sizeof(text), "0 my roots\r\n%s\nthat is all", pem);
    assert_int_equal(from_text(text, &anchors, NULL), ESTUARY_OK);
    assert_int_equal(sk_X509_num(estuary_anchors_get0_roots(anchors)), 2);
    assert_int_equal(sk_X509_num(estuary_anchors_get0_helpers(anchors)), 1);
    assert_true(estuary_anchors_is_explicit(anchors));
    OPENSSL_free(pem);
    pem = make_pem(root.cert, v1.cert, middle.cert, NULL);
    assert_int_equal(estuary_anchors_to_pem(anchors, &again, NULL), ESTUARY_OK);
    assert_string_equal(again, pem);
    estuary_anchors *shared = estuary_anchors_up_ref(anchors);
    estuary_anchors_free(anchors);
    assert_int_equal(sk_X509_num(estuary_anchors_get0_roots(shared)), 2);
    estuary_anchors_free(shared);
    estuary_anchors_free(NULL);
    OPENSSL_free(again);
    OPENSSL_free(pem);
}

static void test_der(void **state)
{
    estuary_anchors *anchors = NULL;
    estuary_error *err = estuary_error_new();
    unsigned char *der = NULL;
    (void)state;
    size_t len = (size_t)i2d_X509(root.cert, &der);
    assert_int_equal(estuary_anchors_from_bytes(der, len, &anchors, err), ESTUARY_OK);
    assert_int_equal(sk_X509_num(estuary_anchors_get0_roots(anchors)), 1);
    estuary_anchors_free(anchors);
    expect(estuary_anchors_from_bytes(der, len - 1, &anchors, err), err, "config.anchors-file");
    assert_null(anchors);
    OPENSSL_free(der);
    estuary_error_free(err);
}

static void test_refused(void **state)
{
    estuary_anchors *anchors = NULL;
    estuary_error *err = estuary_error_new();
    char *pem = make_pem(root.cert, leaf.cert, NULL);
    char *only_middle = make_pem(middle.cert, NULL);
    char *old = make_pem(v1_leaf.cert, NULL);
    (void)state;
    expect(from_text(pem, &anchors, err), err, "config.anchors-not-ca");
    assert_non_null(strstr(estuary_error_message(err), "\"CN=server\""));
    expect(from_text(only_middle, &anchors, err), err, "config.anchors-empty");
    assert_string_equal(estuary_error_message(err), "no self-signed CA certificate among the trust anchors");
    expect(from_text(old, &anchors, err), err, "config.anchors-not-ca");
    expect(from_text("", &anchors, err), err, "config.anchors-file-empty");
    expect(from_text(" \r\n\t\n", &anchors, err), err, "config.anchors-file-empty");
    assert_string_equal(estuary_error_message(err), "the trust anchor file is empty");
    expect(from_text("no certificate here", &anchors, err), err, "config.anchors-format");
    assert_string_equal(estuary_error_message(err),
                        "the trust anchor file holds no certificate, neither as PEM nor as DER");
    expect(from_text("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", &anchors, err), err,
           "config.anchors-format");
    expect(from_text("0 is not DER", &anchors, err), err, "config.anchors-format");
    pem[strlen(pem) - 40] = '*';
    expect(from_text(pem, &anchors, err), err, "config.anchors-file");
    pem[strlen(pem) - 40] = '\0';
    expect(from_text(pem, &anchors, err), err, "config.anchors-file");
    expect(from_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &anchors, err), err,
           "config.anchors-file");
    expect(estuary_anchors_from_file("/nonexistent/anchors", &anchors, err), err, "config.anchors-file");
    expect(estuary_anchors_from_file(NULL, &anchors, err), err, "usage.argument");
    OPENSSL_free(pem);
    OPENSSL_free(only_middle);
    OPENSSL_free(old);
    estuary_error_free(err);
}

static void test_bounds(void **state)
{
    estuary_anchors *anchors = NULL;
    estuary_error *err = estuary_error_new();
    STACK_OF(X509) *many = make_stack(root.cert, NULL);
    uint8_t *large = est_alloc((1 << 20) + 1);
    (void)state;
    while (sk_X509_num(many) < 513)
        assert_true(est_certs_push(many, root.cert));
    expect(estuary_anchors_from_certs(many, &anchors, err), err, "config.anchors-file");
    expect(est_anchors_from_cacerts(many, &anchors, err), err, "protocol.too-many-certificates");
    X509_free(sk_X509_pop(many));
    assert_int_equal(estuary_anchors_from_certs(many, &anchors, NULL), ESTUARY_OK);
    assert_int_equal(sk_X509_num(estuary_anchors_get0_roots(anchors)), 1);
    estuary_anchors_free(anchors);
    assert_non_null(large);
    expect(estuary_anchors_from_bytes(large, (1 << 20) + 1, &anchors, err), err, "config.anchors-file");
    est_free(large);
    sk_X509_pop_free(many, X509_free);
    estuary_error_free(err);
}

/* T2: explicit and system are never mixed */
static void test_union(void **state)
{
    estuary_anchors *a = NULL, *b = NULL, *system = NULL, *both = NULL;
    estuary_error *err = estuary_error_new();
    STACK_OF(X509) *one = make_stack(root.cert, middle.cert, NULL),
                   *two = make_stack(other.cert, root.cert, NULL);
    (void)state;
    assert_int_equal(estuary_anchors_from_certs(one, &a, NULL), ESTUARY_OK);
    assert_int_equal(estuary_anchors_from_certs(two, &b, NULL), ESTUARY_OK);
    assert_int_equal(estuary_anchors_system(&system, NULL), ESTUARY_OK);
    assert_false(estuary_anchors_is_explicit(system));
    assert_int_equal(sk_X509_num(estuary_anchors_get0_roots(system)), 0);
    assert_int_equal(estuary_anchors_union(a, b, &both, NULL), ESTUARY_OK);
    assert_int_equal(sk_X509_num(estuary_anchors_get0_roots(both)), 2);
    assert_int_equal(sk_X509_num(estuary_anchors_get0_helpers(both)), 1);
    estuary_anchors_free(both);
    expect(estuary_anchors_union(a, system, &both, err), err, "usage.mixed-trust");
    assert_null(both);
    assert_int_equal(estuary_anchors_union(system, system, &both, NULL), ESTUARY_OK);
    assert_false(estuary_anchors_is_explicit(both));
    expect(estuary_anchors_union(a, NULL, &both, err), err, "usage.no-trust");
    estuary_anchors_free(a);
    estuary_anchors_free(b);
    estuary_anchors_free(system);
    estuary_anchors_free(system);
    sk_X509_pop_free(one, X509_free);
    sk_X509_pop_free(two, X509_free);
    estuary_error_free(err);
}

static made rollover(const made *subject, const made *issuer)
{
    return make_cert(&(recipe){.cn = "root",
                               .issuer = issuer,
                               .key = subject->key,
                               .constraints = "critical,CA:TRUE",
                               .usage = "keyCertSign"});
}

/* E1: RFC 4210 4.4 */
static void test_cacerts(void **state)
{
    made fresh = make_ca("root", NULL);
    made old_with_new = rollover(&root, &fresh), new_with_old = rollover(&fresh, &root);
    estuary_anchors *anchors = NULL;
    estuary_error *err = estuary_error_new();
    STACK_OF(X509) *certs = make_stack(new_with_old.cert, middle.cert, old_with_new.cert, fresh.cert, NULL);
    (void)state;
    assert_int_equal(est_anchors_from_cacerts(certs, &anchors, NULL), ESTUARY_OK);
    assert_int_equal(sk_X509_num(estuary_anchors_get0_roots(anchors)), 1);
    assert_ptr_equal(sk_X509_value(estuary_anchors_get0_roots(anchors), 0), fresh.cert);
    /* OldWithNew hangs below the new root, NewWithOld and middle below OldWithNew */
    assert_int_equal(sk_X509_num(estuary_anchors_get0_helpers(anchors)), 3);
    estuary_anchors_free(anchors);
    assert_true(est_certs_push(certs, leaf.cert));
    expect(est_anchors_from_cacerts(certs, &anchors, err), err, "protocol.cacerts-not-ca");
    sk_X509_pop_free(certs, X509_free);
    certs = make_stack(middle.cert, NULL);
    expect(est_anchors_from_cacerts(certs, &anchors, err), err, "protocol.cacerts-no-root");
    sk_X509_pop_free(certs, X509_free);
    estuary_error_free(err);
    free_made(&old_with_new);
    free_made(&new_with_old);
    free_made(&fresh);
}

/* E2: only the confirmed root, and what it vouches for */
static void test_bootstrap(void **state)
{
    made fresh = make_ca("root", NULL);
    made stranger = make_ca("root", NULL); /* the same name, and nobody vouches */
    made stranger_middle = make_ca("stranger's middle", &stranger);
    made new_with_old = rollover(&fresh, &root);
    made cross = make_cert(&(recipe){.cn = "other root",
                                     .issuer = &root,
                                     .key = other.key,
                                     .constraints = "critical,CA:TRUE",
                                     .usage = "keyCertSign"});
    made weak = make_cert(&(recipe){.cn = "root",
                                    .issuer = &root,
                                    .key = stranger.key,
                                    .digest = "SHA1",
                                    .constraints = "critical,CA:TRUE",
                                    .usage = "keyCertSign"});
    estuary_anchors *confirmed = NULL, *anchors = NULL;
    estuary_error *err = estuary_error_new();
    STACK_OF(X509) *roots = make_stack(root.cert, NULL);
    STACK_OF(X509) *certs =
        make_stack(stranger_middle.cert, leaf.cert, new_with_old.cert, fresh.cert, stranger.cert, other.cert,
                   cross.cert, weak.cert, middle.cert, root.cert, NULL);
    (void)state;
    assert_int_equal(estuary_anchors_from_certs(roots, &confirmed, NULL), ESTUARY_OK);
    assert_int_equal(est_anchors_from_bootstrap(certs, confirmed, time(NULL), &anchors, NULL), ESTUARY_OK);
    const STACK_OF(X509) *kept = estuary_anchors_get0_roots(anchors);
    assert_int_equal(sk_X509_num(kept), 2);
    assert_true(est_certs_contain(kept, root.cert));
    assert_true(est_certs_contain(kept, fresh.cert));
    kept = estuary_anchors_get0_helpers(anchors);
    assert_true(est_certs_contain(kept, middle.cert));
    assert_true(est_certs_contain(kept, new_with_old.cert));
    assert_false(est_certs_contain(kept, leaf.cert));
    estuary_anchors_free(anchors);
    sk_X509_pop_free(certs, X509_free);
    certs = make_stack(stranger.cert, other.cert, middle.cert, NULL);
    expect(est_anchors_from_bootstrap(certs, confirmed, time(NULL), &anchors, err), err,
           "protocol.cacerts-no-root");
    sk_X509_pop_free(certs, X509_free);
    sk_X509_pop_free(roots, X509_free);
    estuary_anchors_free(confirmed);
    estuary_error_free(err);
    made *all[] = {&fresh, &stranger, &stranger_middle, &new_with_old, &cross, &weak};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free_made(all[i]);
}

static void test_certs_from_file(void **state)
{
    char path[] = "/tmp/estuary-certs-XXXXXX";
    int fd = mkstemp(path);
    char *pem = make_pem(leaf.cert, middle.cert, NULL);
    STACK_OF(X509) *certs = NULL;
    estuary_limits *limits = NULL;
    estuary_error *err = estuary_error_new();
    (void)state;
    assert_true(fd >= 0 && write(fd, pem, strlen(pem)) == (ssize_t)strlen(pem));
    assert_int_equal(estuary_certs_from_file(path, NULL, &certs, NULL), ESTUARY_OK);
    assert_int_equal(sk_X509_num(certs), 2);
    sk_X509_pop_free(certs, X509_free);
    assert_int_equal(estuary_limits_new(&limits, NULL), ESTUARY_OK);
    assert_int_equal(estuary_limits_set(limits, ESTUARY_LIMIT_CERTIFICATES, 1, NULL), ESTUARY_OK);
    expect(estuary_certs_from_file(path, limits, &certs, err), err, "config.certificate-file");
    assert_null(certs);
    assert_int_equal(ftruncate(fd, 0), 0);
    expect(estuary_certs_from_file(path, NULL, &certs, err), err, "config.certificate-file");
    close(fd);
    unlink(path);
    expect(estuary_certs_from_file(path, NULL, &certs, err), err, "config.certificate-file");
    expect(estuary_certs_from_file(NULL, NULL, &certs, err), err, "usage.argument");
    estuary_limits_free(limits);
    estuary_error_free(err);
    OPENSSL_free(pem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bundle),    cmocka_unit_test(test_der),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_union),     cmocka_unit_test(test_cacerts),
        cmocka_unit_test(test_bootstrap), cmocka_unit_test(test_certs_from_file),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
