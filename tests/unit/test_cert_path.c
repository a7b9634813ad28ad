#include "cert/cert.h"
#include "make_certs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define DAY  86400
#define CA   .constraints = "critical,CA:TRUE", .usage = "keyCertSign"
#define LEAF .cn = "leaf", .purposes = "serverAuth", .san = "DNS:est.example"

/* A root, one intermediate CA and a leaf, with one thing wrong. */
typedef struct row {
    const char *name, *code, *words;
    recipe root, middle, leaf;
    bool no_middle, no_root;
    const char *purpose;
} row;

static const row rows[] = {
    {.name = "good", .code = "", .root = {CA}, .middle = {CA}, .leaf = {LEAF}},
    {.name = "unknown issuer",
     .code = "cert.unknown-issuer",
     .words = "\"CN=middle\"",
     .root = {CA},
     .middle = {CA},
     .leaf = {LEAF},
     .no_middle = true},
    {.name = "unknown root",
     .code = "cert.unknown-root",
     .words = "\"CN=root\"",
     .root = {CA},
     .middle = {CA},
     .leaf = {LEAF},
     .no_root = true},
    {.name = "bad signature",
     .code = "cert.bad-signature",
     .words = "\"CN=leaf\"",
     .root = {CA},
     .middle = {CA},
     .leaf = {LEAF, .broken_signature = true}},
    {.name = "bad CA signature",
     .code = "cert.bad-signature",
     .words = "\"CN=middle\"",
     .root = {CA},
     .middle = {CA, .broken_signature = true},
     .leaf = {LEAF}},
    {.name = "CA expired",
     .code = "cert.ca-expired",
     .words = "\"CN=middle\" in its chain expired on 20",
     .root = {CA},
     .middle = {CA, .from = -3 * DAY, .to = -DAY},
     .leaf = {LEAF}},
    {.name = "root expired",
     .code = "cert.ca-expired",
     .words = "\"CN=root\"",
     .root = {CA, .from = -3 * DAY, .to = -DAY},
     .middle = {CA},
     .leaf = {LEAF}},
    {.name = "CA not yet valid",
     .code = "cert.ca-not-yet-valid",
     .words = "is not valid before 20",
     .root = {CA},
     .middle = {CA, .from = DAY, .to = 2 * DAY},
     .leaf = {LEAF}},
    {.name = "not a CA",
     .code = "cert.invalid-ca",
     .words = "\"CN=middle\"",
     .root = {CA},
     .middle = {.constraints = "CA:FALSE"},
     .leaf = {LEAF}},
    {.name = "no constraints",
     .code = "cert.invalid-ca",
     .root = {CA},
     .middle = {.usage = "digitalSignature"},
     .leaf = {LEAF}},
    {.name = "path length",
     .code = "cert.path-length",
     .words = "\"CN=root\"",
     .root = {.constraints = "critical,CA:TRUE,pathlen:0", .usage = "keyCertSign"},
     .middle = {CA},
     .leaf = {LEAF}},
    {.name = "names",
     .code = "cert.name-constraints",
     .root = {CA},
     .middle = {CA, .names = "permitted;DNS:other.example"},
     .leaf = {LEAF}},
    {.name = "critical",
     .code = "cert.critical-extension",
     .root = {CA},
     .middle = {CA},
     .leaf = {LEAF, .unknown_critical = true}},
    {.name = "weak CA key",
     .code = "cert.ca-weak-key",
     .words = "\"CN=middle\"",
     .root = {CA},
     .middle = {CA, .kind = "rsa:1024"},
     .leaf = {LEAF}},
    {.name = "weak CA digest",
     .code = "cert.ca-weak-signature",
     .words = "\"CN=middle\"",
     .root = {CA},
     .middle = {CA, .digest = "SHA1"},
     .leaf = {LEAF}},
    {.name = "root's own digest", .code = "", .root = {CA, .digest = "SHA1"}, .middle = {CA}, .leaf = {LEAF}},
    {.name = "CA for another purpose",
     .code = "cert.ca-wrong-eku",
     .words = "\"CN=middle\"",
     .root = {CA},
     .middle = {CA, .purposes = "emailProtection"},
     .leaf = {LEAF},
     .purpose = "serverAuth"},
    {.name = "CA for this purpose",
     .code = "",
     .root = {CA},
     .middle = {CA, .purposes = "serverAuth"},
     .leaf = {LEAF},
     .purpose = "serverAuth"},
    {.name = "leaf expired is said elsewhere",
     .code = "",
     .root = {CA},
     .middle = {CA},
     .leaf = {LEAF, .from = -3 * DAY, .to = -DAY}},
    {.name = "leaf weak is said elsewhere",
     .code = "",
     .root = {CA},
     .middle = {CA},
     .leaf = {LEAF, .digest = "SHA1", .kind = "rsa:1024"}},
};

static void run_row(const row *this)
{
    recipe root_recipe = this->root, middle_recipe = this->middle, leaf_recipe = this->leaf;
    root_recipe.cn = "root";
    made root = make_cert(&root_recipe), stranger = make_ca("stranger", NULL);
    middle_recipe.cn = "middle";
    middle_recipe.issuer = &root;
    made middle = make_cert(&middle_recipe);
    leaf_recipe.issuer = &middle;
    made leaf = make_cert(&leaf_recipe);
    STACK_OF(X509) *trusted = make_stack(this->no_root ? stranger.cert : root.cert, NULL), *path = NULL;
    STACK_OF(X509) *sent = make_stack(leaf.cert, root.cert, this->no_middle ? NULL : middle.cert, NULL);
    estuary_anchors *anchors = NULL;
    estuary_expectation *expectation = NULL;
    estuary_error *err = estuary_error_new();
    assert_int_equal(estuary_anchors_from_certs(trusted, &anchors, NULL), ESTUARY_OK);
    assert_int_equal(estuary_expectation_new(&expectation, NULL), ESTUARY_OK);
    assert_int_equal(estuary_expectation_set_anchors(expectation, anchors, sent, NULL), ESTUARY_OK);
    assert_int_equal(estuary_expectation_set_purpose(expectation, this->purpose, NULL), ESTUARY_OK);
    estuary_status status = estuary_cert_path(leaf.cert, expectation, &path, err);
    if (strcmp(estuary_error_code(err), this->code) != 0)
        fail_msg("%s: \"%s\" %s", this->name, estuary_error_code(err), estuary_error_message(err));
    if (this->words != NULL && strstr(estuary_error_message(err), this->words) == NULL)
        fail_msg("%s: %s", this->name, estuary_error_message(err));
    assert_int_equal(status, this->code[0] == '\0' ? ESTUARY_OK : ESTUARY_E_CERTIFICATE);
    if (status == ESTUARY_OK) {
        assert_int_equal(sk_X509_num(path), 3);
        assert_ptr_equal(sk_X509_value(path, 0), leaf.cert);
        assert_ptr_equal(sk_X509_value(path, 2), root.cert);
    } else {
        assert_null(path);
    }
    sk_X509_pop_free(path, X509_free);
    sk_X509_pop_free(trusted, X509_free);
    sk_X509_pop_free(sent, X509_free);
    estuary_expectation_free(expectation);
    estuary_anchors_free(anchors);
    estuary_error_free(err);
    free_made(&leaf);
    free_made(&middle);
    free_made(&stranger);
    free_made(&root);
}

/* E8: RFC 5280 6.1 */
static void test_paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        run_row(&rows[i]);
}

/* T8: chain depth counts intermediate CAs */
static void test_depth(void **state)
{
    made chain[5];
    (void)state;
    chain[0] = make_ca("root", NULL);
    for (int i = 1; i < 4; i++)
        chain[i] = make_ca("middle", &chain[i - 1]);
    chain[4] = make_server("DNS:est.example", &chain[3]);
    STACK_OF(X509) *trusted = make_stack(chain[0].cert, chain[1].cert, chain[2].cert, chain[3].cert, NULL);
    estuary_anchors *anchors = NULL;
    estuary_error *err = estuary_error_new();
    assert_int_equal(estuary_anchors_from_certs(trusted, &anchors, NULL), ESTUARY_OK);
    for (int depth = 1; depth <= 4; depth++) {
        est_path_query query = {
            .anchors = anchors, .leaf = chain[4].cert, .at = est_now(), .max_depth = depth};
        est_path path = {0};
        assert_int_equal(est_path_find(&query, &path, err), ESTUARY_OK);
        assert_int_equal(path.flaw, depth < 3 ? EST_PATH_TOO_LONG : EST_PATH_OK);
        est_path_clear(&path);
    }
    estuary_anchors_free(anchors);
    estuary_error_free(err);
    sk_X509_pop_free(trusted, X509_free);
    for (int i = 0; i < 5; i++)
        free_made(&chain[i]);
}

static void test_self_signed(void **state)
{
    made root = make_ca("root", NULL), own = make_cert(&(recipe){LEAF});
    STACK_OF(X509) *trusted = make_stack(root.cert, NULL), *path = NULL;
    estuary_anchors *anchors = NULL;
    estuary_expectation *expectation = NULL;
    estuary_error *err = estuary_error_new();
    (void)state;
    assert_int_equal(estuary_anchors_from_certs(trusted, &anchors, NULL), ESTUARY_OK);
    assert_int_equal(estuary_expectation_new(&expectation, NULL), ESTUARY_OK);
    assert_int_equal(estuary_cert_path(own.cert, expectation, &path, err), ESTUARY_E_USAGE);
    assert_int_equal(estuary_expectation_set_anchors(expectation, anchors, NULL, NULL), ESTUARY_OK);
    assert_int_equal(estuary_cert_path(own.cert, expectation, &path, err), ESTUARY_E_CERTIFICATE);
    assert_string_equal(estuary_error_code(err), "cert.self-signed");
    estuary_expectation_free(expectation);
    estuary_anchors_free(anchors);
    estuary_error_free(err);
    sk_X509_pop_free(trusted, X509_free);
    free_made(&own);
    free_made(&root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_paths), cmocka_unit_test(test_depth),
                                       cmocka_unit_test(test_self_signed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
