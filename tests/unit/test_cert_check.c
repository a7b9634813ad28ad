#include "cert/cert.h"
#include "make_certs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DAY 86400

static made root, key;
static estuary_anchors *anchors;

static int set_up(void **state)
{
    (void)state;
    root = make_ca("root", NULL);
    key = make_client("holder of the key", NULL);
    STACK_OF(X509) *certs = make_stack(root.cert, NULL);
    estuary_status status = estuary_anchors_from_certs(certs, &anchors, NULL);
    sk_X509_pop_free(certs, X509_free);
    return status == ESTUARY_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    estuary_anchors_free(anchors);
    free_made(&root);
    free_made(&key);
    return 0;
}

/* One certificate against one expectation; the codes wanted, in order, and the state of the check. */
typedef struct check_row {
    const char *name;
    recipe leaf;
    const char *request_cn, *request_san, *request_purposes; /* request_cn NULL: no request */
    const char *host, *purpose;
    bool other_key;
    const char *check;
    estuary_finding_state state;
    const char *codes, *words;
} check_row;

#define GOOD .cn = "device", .purposes = "clientAuth", .usage = "digitalSignature"
#define PASS ESTUARY_FINDING_PASS
#define FAIL ESTUARY_FINDING_FAIL
#define NOTE ESTUARY_FINDING_NOTE
#define NONE ESTUARY_FINDING_UNKNOWN

static const check_row rows[] = {
    {.name = "good", .leaf = {GOOD}, .check = "validity", .state = PASS, .codes = ""},
    {.name = "key", .leaf = {GOOD}, .check = "key", .state = PASS, .codes = ""},
    {.name = "other key",
     .leaf = {GOOD},
     .other_key = true,
     .check = "key",
     .state = FAIL,
     .codes = "cert.key-differs "},
    {.name = "no request", .leaf = {GOOD}, .check = "subject", .state = NONE, .codes = ""},
    {.name = "subject",
     .leaf = {GOOD},
     .request_cn = "device",
     .check = "subject",
     .state = PASS,
     .codes = "",
     .words = "\"CN=device\""},
    {.name = "other subject",
     .leaf = {GOOD},
     .request_cn = "other",
     .check = "subject",
     .state = FAIL,
     .codes = "cert.subject-differs ",
     .words = "\"CN=device\", the requested one was \"CN=other\""},
    {.name = "no SAN", .leaf = {GOOD}, .request_cn = "device", .check = "san", .state = PASS, .codes = ""},
    {.name = "SAN",
     .leaf = {GOOD, .san = "DNS:A.example,IP:192.0.2.1"},
     .request_cn = "device",
     .request_san = "IP:192.0.2.1,DNS:a.example",
     .check = "san",
     .state = PASS,
     .codes = ""},
    {.name = "SAN missing",
     .leaf = {GOOD, .san = "DNS:a.example"},
     .request_cn = "device",
     .request_san = "DNS:a.example,DNS:b.example",
     .check = "san",
     .state = FAIL,
     .codes = "cert.san-missing ",
     .words = "dns:b.example"},
    {.name = "SAN extra",
     .leaf = {GOOD, .san = "DNS:a.example,email:x@a.example"},
     .request_cn = "device",
     .request_san = "DNS:a.example",
     .check = "san",
     .state = FAIL,
     .codes = "cert.san-extra ",
     .words = "email:x@a.example"},
    {.name = "SAN both",
     .leaf = {GOOD, .san = "DNS:c.example"},
     .request_cn = "device",
     .request_san = "DNS:a.example",
     .check = "san",
     .state = FAIL,
     .codes = "cert.san-missing cert.san-extra "},
    {.name = "SAN of CN",
     .leaf = {GOOD, .san = "DNS:device"},
     .request_cn = "device",
     .check = "san",
     .state = NOTE,
     .codes = "",
     .words = "dns:device"},
    {.name = "expired",
     .leaf = {GOOD, .from = -3 * DAY, .to = -DAY},
     .check = "validity",
     .state = FAIL,
     .codes = "cert.expired ",
     .words = "expired on 20"},
    {.name = "early",
     .leaf = {GOOD, .from = DAY, .to = 3 * DAY},
     .check = "validity",
     .state = FAIL,
     .codes = "cert.not-yet-valid ",
     .words = "is not valid before 20"},
    {.name = "backwards",
     .leaf = {GOOD, .from = DAY, .to = -DAY},
     .check = "validity",
     .state = FAIL,
     .codes = "cert.validity "},
    {.name = "CA",
     .leaf = {.cn = "device", .constraints = "CA:TRUE", .usage = "keyCertSign"},
     .check = "ca",
     .state = FAIL,
     .codes = "cert.is-ca "},
    {.name = "weak key",
     .leaf = {GOOD, .kind = "rsa:1024"},
     .check = "strength",
     .state = FAIL,
     .codes = "cert.weak-key ",
     .words = "1024"},
    {.name = "weak digest",
     .leaf = {GOOD, .digest = "SHA1"},
     .check = "strength",
     .state = FAIL,
     .codes = "cert.weak-signature ",
     .words = "ecdsa-with-SHA1"},
    {.name = "serial 0",
     .leaf = {GOOD, .serial = "0"},
     .check = "strength",
     .state = FAIL,
     .codes = "cert.serial "},
    {.name = "negative serial",
     .leaf = {GOOD, .serial = "-5"},
     .check = "strength",
     .state = FAIL,
     .codes = "cert.serial "},
    {.name = "serial of 20 bytes",
     .leaf = {GOOD, .serial = "7fffffffffffffffffffffffffffffffffffffff"},
     .check = "strength",
     .state = PASS,
     .codes = ""},
    {.name = "serial of 21 bytes",
     .leaf = {GOOD, .serial = "8fffffffffffffffffffffffffffffffffffffff"},
     .check = "strength",
     .state = FAIL,
     .codes = "cert.serial "},
    {.name = "purpose",
     .leaf = {GOOD},
     .purpose = "clientAuth",
     .check = "purpose",
     .state = PASS,
     .codes = ""},
    {.name = "no purpose",
     .leaf = {GOOD},
     .purpose = "serverAuth",
     .check = "purpose",
     .state = FAIL,
     .codes = "cert.eku ",
     .words = "serverAuth"},
    {.name = "requested purpose",
     .leaf = {GOOD},
     .request_cn = "device",
     .request_purposes = "clientAuth,1.2.3.4",
     .check = "purpose",
     .state = FAIL,
     .codes = "cert.eku ",
     .words = "1.2.3.4"},
    {.name = "host",
     .leaf = {GOOD, .san = "DNS:est.example"},
     .host = "EST.example",
     .check = "host",
     .state = PASS,
     .codes = ""},
    {.name = "other host",
     .leaf = {GOOD, .san = "DNS:est.example"},
     .host = "evil.example",
     .check = "host",
     .state = FAIL,
     .codes = "cert.host-mismatch ",
     .words = "dns:est.example, not for \"evil.example\""},
    {.name = "no host",
     .leaf = {GOOD},
     .host = "device",
     .check = "host",
     .state = FAIL,
     .codes = "cert.no-subject-alt-name "},
    {.name = "chain", .leaf = {GOOD}, .check = "chain", .state = PASS, .codes = "", .words = "\"CN=root\""},
    {.name = "bad signature",
     .leaf = {GOOD, .broken_signature = true},
     .check = "chain",
     .state = FAIL,
     .codes = "cert.bad-signature "},
    {.name = "revocation",
     .leaf = {GOOD},
     .check = "revocation",
     .state = NONE,
     .codes = "",
     .words = "not checked"},
};

static estuary_expectation *expect(const check_row *want)
{
    estuary_expectation *expectation = NULL;
    assert_int_equal(estuary_expectation_new(&expectation, NULL), ESTUARY_OK);
    assert_int_equal(estuary_expectation_set_anchors(expectation, anchors, NULL, NULL), ESTUARY_OK);
    assert_int_equal(estuary_expectation_set_host(expectation, want->host, NULL), ESTUARY_OK);
    assert_int_equal(estuary_expectation_set_purpose(expectation, want->purpose, NULL), ESTUARY_OK);
    assert_int_equal(estuary_expectation_set_limits(expectation, NULL, NULL), ESTUARY_OK);
    return expectation;
}

static void join_codes(const estuary_findings *findings, const char *check, char *codes, char *sentences,
                       size_t size)
{
    codes[0] = sentences[0] = '\0';
    for (size_t i = 0; i < estuary_findings_count(findings); i++) {
        const char *name, *code, *sentence;
        estuary_finding_state state = estuary_findings_at(findings, i, &name, &code, &sentence);
        assert_int_equal(state == ESTUARY_FINDING_FAIL, code[0] != '\0');
        size_t used = strlen(codes), said = strlen(sentences);
        if (code[0] != '\0')
            snprintf(codes + used, size - used, "%s ", code);
        if (strcmp(name, check) == 0)
            snprintf(sentences + said, size - said, "%s. ", sentence);
    }
}

static void run_row(const check_row *want)
{
    recipe how = want->leaf;
    how.issuer = &root;
    made leaf = make_cert(&how);
    estuary_expectation *expectation = expect(want);
    estuary_findings *findings = NULL;
    estuary_error *err = estuary_error_new();
    char codes[256], sentences[2048];
    X509_REQ *request = want->request_cn == NULL ? NULL
                                                 : make_request(want->request_cn, want->request_san,
                                                                want->request_purposes, leaf.key);
    assert_int_equal(estuary_expectation_set_request(expectation, request, NULL), ESTUARY_OK);
    assert_int_equal(estuary_expectation_set_key(expectation, want->other_key ? key.key : leaf.key, NULL),
                     ESTUARY_OK);
    assert_int_equal(estuary_cert_check(leaf.cert, expectation, &findings, NULL), ESTUARY_OK);
    join_codes(findings, want->check, codes, sentences, sizeof(codes));
    if (strcmp(codes, want->codes) != 0 || estuary_findings_of(findings, want->check) != want->state)
        fail_msg("%s: \"%s\" %d: %s", want->name, codes, estuary_findings_of(findings, want->check),
                 sentences);
    if (want->words != NULL && strstr(sentences, want->words) == NULL)
        fail_msg("%s: %s", want->name, sentences);
    assert_int_equal(estuary_findings_acceptable(findings), want->codes[0] == '\0');
    assert_int_equal(estuary_findings_to_error(findings, err),
                     want->codes[0] == '\0' ? ESTUARY_OK : ESTUARY_E_CERTIFICATE);
    size_t len = strlen(estuary_error_code(err));
    assert_memory_equal(estuary_error_code(err), want->codes, len);
    estuary_findings_free(findings);
    estuary_expectation_free(expectation);
    estuary_error_free(err);
    X509_REQ_free(request);
    free_made(&leaf);
}

/* E8 */
static void test_checks(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        run_row(&rows[i]);
}

static void test_order(void **state)
{
    static const char *const order[] = {"key",      "subject", "san",  "validity", "ca",
                                        "strength", "purpose", "host", "chain",    "revocation"};
    estuary_findings *findings = NULL;
    made leaf = make_client("device", &root);
    (void)state;
    assert_int_equal(estuary_cert_check(leaf.cert, NULL, &findings, NULL), ESTUARY_OK);
    assert_int_equal(estuary_findings_count(findings), 10);
    for (size_t i = 0; i < 10; i++) {
        const char *check = NULL;
        estuary_findings_at(findings, i, &check, NULL, NULL);
        assert_string_equal(check, order[i]);
    }
    assert_int_equal(estuary_findings_of(findings, "chain"), ESTUARY_FINDING_UNKNOWN);
    assert_int_equal(estuary_findings_of(findings, "nonsense"), ESTUARY_FINDING_UNKNOWN);
    assert_int_equal(estuary_findings_at(findings, 10, NULL, NULL, NULL), ESTUARY_FINDING_UNKNOWN);
    estuary_findings_free(findings);
    free_made(&leaf);
}

/* The request's own key counts when no other key was set. */
static void test_key_of_request(void **state)
{
    made leaf = make_client("device", &root);
    X509_REQ *request = make_request("device", NULL, NULL, key.key);
    estuary_expectation *expectation = NULL;
    estuary_findings *findings = NULL;
    (void)state;
    assert_int_equal(estuary_expectation_new(&expectation, NULL), ESTUARY_OK);
    assert_int_equal(estuary_expectation_set_request(expectation, request, NULL), ESTUARY_OK);
    assert_int_equal(estuary_cert_check(leaf.cert, expectation, &findings, NULL), ESTUARY_OK);
    assert_int_equal(estuary_findings_of(findings, "key"), ESTUARY_FINDING_FAIL);
    estuary_findings_free(findings);
    estuary_expectation_free(expectation);
    X509_REQ_free(request);
    free_made(&leaf);
}

/* RFC 5280 4.1.2.5: both ends belong to the validity. */
static void test_boundaries(void **state)
{
    made leaf = make_client("device", &root);
    time_t from = 0, to = 0;
    (void)state;
    assert_true(est_asn1_time(X509_get0_notBefore(leaf.cert), &from));
    assert_true(est_asn1_time(X509_get0_notAfter(leaf.cert), &to));
    const struct {
        time_t at;
        estuary_finding_state state;
    } times[] = {{0, FAIL}, {from - 1, FAIL}, {from, PASS}, {to, PASS}, {to + 1, FAIL}};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        estuary_expectation *expectation = NULL;
        estuary_findings *findings = NULL;
        assert_int_equal(estuary_expectation_new(&expectation, NULL), ESTUARY_OK);
        estuary_expectation_set_time(expectation, times[i].at);
        assert_int_equal(estuary_cert_check(leaf.cert, expectation, &findings, NULL), ESTUARY_OK);
        assert_int_equal(estuary_findings_of(findings, "validity"), times[i].state);
        estuary_findings_free(findings);
        estuary_expectation_free(expectation);
    }
    free_made(&leaf);
}

static void test_refused(void **state)
{
    estuary_error *err = estuary_error_new();
    estuary_expectation *expectation = NULL;
    estuary_findings *findings = NULL;
    (void)state;
    assert_int_equal(estuary_expectation_new(&expectation, NULL), ESTUARY_OK);
    assert_int_equal(estuary_expectation_set_host(expectation, "1.2.3", err), ESTUARY_E_USAGE);
    assert_int_equal(estuary_expectation_set_purpose(expectation, "no such", err), ESTUARY_E_USAGE);
    assert_string_equal(estuary_error_code(err), "usage.eku");
    assert_int_equal(estuary_cert_check(NULL, expectation, &findings, err), ESTUARY_E_USAGE);
    assert_null(findings);
    assert_false(estuary_findings_acceptable(NULL)); /* zero is never good */
    assert_int_equal(estuary_findings_to_error(NULL, err), ESTUARY_E_CERTIFICATE);
    estuary_findings_free(NULL);
    estuary_expectation_free(NULL);
    estuary_expectation_free(expectation);
    estuary_error_free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checks),     cmocka_unit_test(test_order),
        cmocka_unit_test(test_boundaries), cmocka_unit_test(test_key_of_request),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
