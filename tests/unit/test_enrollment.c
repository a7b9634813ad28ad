/* Which certificate is ours, and is it what we asked for (E6, E8, RFC 7030 4.2.2, 4.2.3). */
#include "small_est.h"

static small_est s;

static X509 *ours(estuary_enrollment *enrollment)
{
    return small_issue_for(s.root, s.ca_key, (X509_REQ *)estuary_enrollment_get0_request(enrollment));
}

static estuary_status take(estuary_enrollment *enrollment, X509 *const *certs, size_t n)
{
    STACK_OF(X509) *stack = sk_X509_new_null();
    for (size_t i = 0; i < n; i++)
        assert_true(sk_X509_push(stack, certs[i]) > 0);
    estuary_status status = est_enrollment_take_certs(enrollment, stack, s.err);
    assert_int_equal(sk_X509_num(stack), (int)n); /* the caller's stack stays whole */
    sk_X509_free(stack);
    return status;
}

/* E8: never by position */
/* 7030-4.2.3-2 */
static void found_in_any_place(void **state)
{
    (void)state;
    X509 *extra = small_root(s.other_key, "extra");
    for (int place = 0; place < 3; place++) {
        estuary_enrollment *enrollment = small_enroll(&s);
        X509 *cert = ours(enrollment), *certs[3] = {s.root, extra, NULL};
        memmove(certs + place + 1, certs + place, (size_t)(2 - place) * sizeof(certs[0]));
        certs[place] = cert;
        assert_ok(take(enrollment, certs, 3), s.err);
        assert_int_equal(X509_cmp(estuary_enrollment_get0_certificate(enrollment), cert), 0);
        assert_int_equal(sk_X509_num(estuary_enrollment_get0_others(enrollment)), 2);
        assert_int_equal(X509_cmp(sk_X509_value(estuary_enrollment_get0_others(enrollment), 0), s.root), 0);
        estuary_enrollment_free(enrollment);
        X509_free(cert);
    }
    X509_free(extra);
}

static void ambiguous_and_twice(void **state)
{
    (void)state;
    estuary_enrollment *enrollment = small_enroll(&s);
    X509 *a = ours(enrollment), *b = ours(enrollment); /* two serial numbers */
    assert_failed(take(enrollment, (X509 *[]){a, b}, 2), s.err, "cert.ambiguous");
    assert_int_equal(estuary_enrollment_state(enrollment), ESTUARY_STATE_FAILED);
    assert_null(estuary_enrollment_get0_certificate(enrollment));
    estuary_enrollment_free(enrollment);
    enrollment = small_enroll(&s);
    X509_free(a);
    a = ours(enrollment);
    assert_ok(take(enrollment, (X509 *[]){a, s.root, a}, 3), s.err); /* the same one twice is one */
    assert_int_equal(X509_cmp(estuary_enrollment_get0_certificate(enrollment), a), 0);
    assert_ok(estuary_enrollment_check(enrollment, s.anchors, NULL, time(NULL), NULL, s.err), s.err);
    estuary_enrollment_free(enrollment);
    X509_free(a);
    X509_free(b);
}

static void none_for_our_key(void **state)
{
    (void)state;
    estuary_enrollment *enrollment = small_enroll(&s);
    assert_failed(take(enrollment, &s.root, 1), s.err, "cert.key-differs");
    assert_int_equal(estuary_enrollment_state(enrollment), ESTUARY_STATE_FAILED);
    assert_failed(estuary_enrollment_check(enrollment, s.anchors, NULL, time(NULL), NULL, s.err), s.err,
                  "usage.argument");
    assert_int_equal(estuary_enrollment_state(enrollment), ESTUARY_STATE_FAILED);
    estuary_enrollment_free(enrollment);
}

static X509 *old_certificate(const char *subject, const char *dns)
{
    estuary_enrollment *enrollment = NULL;
    assert_ok(
        small_try_enroll(&s, ESTUARY_OP_SIMPLEENROLL, small_csr(&s, subject, dns), s.key, NULL, &enrollment),
        s.err);
    X509 *old = ours(enrollment);
    estuary_enrollment_free(enrollment);
    return old;
}

/* E6, RFC 7030 4.2.2: subject and subjectAltName are identical */
/* 7030-4.2.2-1 */
static void reenrollment_keeps_the_names(void **state)
{
    (void)state;
    static const struct {
        const char *subject, *dns, *code;
    } rows[] = {
        {"CN=device 1,O=Example", "device.example", ""},
        {"CN=device 2,O=Example", "device.example", "csr.subject-changed"},
        {"CN=Device 1,O=Example", "device.example", "csr.subject-changed"}, /* identical, not just equal */
        {"O=Example,CN=device 1", "device.example", "csr.subject-changed"},
        {"CN=device 1", "device.example", "csr.subject-changed"},
        {NULL, "device.example", "csr.subject-changed"},
        {"CN=device 1,O=Example", "other.example", "csr.subject-changed"},
        {"CN=device 1,O=Example", NULL, "csr.subject-changed"},
    };
    X509 *old = old_certificate("CN=device 1,O=Example", "device.example");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        estuary_enrollment *enrollment = NULL;
        estuary_status status =
            small_try_enroll(&s, ESTUARY_OP_SIMPLEREENROLL, small_csr(&s, rows[i].subject, rows[i].dns),
                             s.other_key, old, &enrollment);
        if (rows[i].code[0] == '\0') {
            assert_ok(status, s.err);
        } else {
            assert_failed(status, s.err, rows[i].code);
            assert_null(enrollment);
        }
        estuary_enrollment_free(enrollment);
    }
    X509_free(old);
}

static void reenrollment_without_names_beside_the_subject(void **state)
{
    (void)state;
    estuary_enrollment *enrollment = NULL;
    X509 *old = old_certificate("CN=device 1", NULL);
    assert_ok(small_try_enroll(&s, ESTUARY_OP_SIMPLEREENROLL, small_csr(&s, "CN=device 1", NULL), s.key, old,
                               &enrollment),
              s.err);
    estuary_enrollment_free(enrollment);
    assert_failed(small_try_enroll(&s, ESTUARY_OP_SIMPLEREENROLL, small_csr(&s, "CN=device 1", "new.example"),
                                   s.key, old, &enrollment),
                  s.err, "csr.subject-changed");
    assert_failed(small_try_enroll(&s, ESTUARY_OP_SIMPLEREENROLL, small_csr(&s, "CN=device 1", NULL), s.key,
                                   NULL, &enrollment),
                  s.err, "usage.identity-needed");
    X509_free(old);
}

static void copying_the_certificate_is_identical(void **state)
{
    (void)state;
    estuary_enrollment *enrollment = NULL;
    X509 *old = old_certificate("CN=device 1,OU=\xc3\xbc,O=Example", "device.example");
    estuary_csr *csr = small_csr(&s, NULL, NULL);
    assert_ok(estuary_csr_copy_certificate(csr, old, s.err), s.err);
    assert_ok(small_try_enroll(&s, ESTUARY_OP_SIMPLEREENROLL, csr, s.other_key, old, &enrollment), s.err);
    estuary_enrollment_free(enrollment);
    X509_free(old);
}

/* RFC 6402 2.8: ChangeSubjectName is the way to change names */
/* 7030-4.2.2-1 */
static void change_subject_name_may_change(void **state)
{
    (void)state;
    X509 *old = old_certificate("CN=device 1", "device.example");
    X509_REQ *changed = X509_REQ_new();
    X509_NAME *name = small_name("device 2");
    /* SEQUENCE { subject [absent], subjectAlt [1] { dNSName } } */
    static const unsigned char value[] = {0x30, 0x0b, 0xa1, 0x09, 0x82, 0x07, 'n',
                                          'e',  'w',  '.',  'e',  'x',  'a'};
    assert_int_equal(X509_REQ_set_subject_name(changed, name), 1);
    assert_int_equal(X509_REQ_set_pubkey(changed, s.key), 1);
    assert_int_equal(
        X509_REQ_add1_attr_by_txt(changed, "1.3.6.1.5.5.7.7.36", V_ASN1_SEQUENCE, value, sizeof(value)), 1);
    assert_true(X509_REQ_sign(changed, s.key, EVP_sha256()) > 0);
    estuary_request *request = NULL;
    estuary_enrollment *enrollment = NULL;
    assert_ok(estuary_request_new(&request, s.err), s.err);
    assert_ok(estuary_request_set_signed(request, changed, s.err), s.err);
    assert_ok(estuary_request_set_old_certificate(request, old, s.err), s.err);
    assert_ok(estuary_enrollment_new(ESTUARY_OP_SIMPLEREENROLL, s.server, request, &enrollment, s.err),
              s.err);
    estuary_enrollment_free(enrollment);
    estuary_request_free(request);
    X509_NAME_free(name);
    X509_REQ_free(changed);
    X509_free(old);
}

/* The same key again: the old certificate may come along, but not alone. */
static void the_old_one_back(void **state)
{
    (void)state;
    for (int with_new = 0; with_new < 2; with_new++) {
        X509 *old = old_certificate("CN=device 1,O=Example", "device.example");
        estuary_enrollment *enrollment = NULL;
        assert_ok(small_try_enroll(&s, ESTUARY_OP_SIMPLEREENROLL,
                                   small_csr(&s, "CN=device 1,O=Example", "device.example"), s.key, old,
                                   &enrollment),
                  s.err);
        X509 *fresh = ours(enrollment);
        if (with_new == 1) {
            assert_ok(take(enrollment, (X509 *[]){old, fresh}, 2), s.err);
            assert_int_equal(X509_cmp(estuary_enrollment_get0_certificate(enrollment), fresh), 0);
        } else {
            assert_failed(take(enrollment, &old, 1), s.err, "cert.not-new");
            assert_int_equal(estuary_enrollment_state(enrollment), ESTUARY_STATE_FAILED);
        }
        estuary_enrollment_free(enrollment);
        X509_free(fresh);
        X509_free(old);
    }
}

/* E5: refused before submission */
static void broken_requests_are_refused(void **state)
{
    (void)state;
    estuary_enrollment *enrollment = NULL;
    EVP_PKEY *weak = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
    assert_failed(
        small_try_enroll(&s, ESTUARY_OP_SIMPLEENROLL, small_csr(&s, "CN=x", NULL), weak, NULL, &enrollment),
        s.err, "csr.weak-key");
    assert_failed(
        small_try_enroll(&s, ESTUARY_OP_SIMPLEENROLL, small_csr(&s, NULL, NULL), s.key, NULL, &enrollment),
        s.err, "csr.no-name");
    estuary_enrollment *good = small_enroll(&s);
    X509_REQ *tampered = X509_REQ_dup(estuary_enrollment_get0_request(good));
    X509_NAME *name = small_name("somebody else");
    assert_int_equal(X509_REQ_set_subject_name(tampered, name), 1);
    estuary_request *request = NULL;
    assert_ok(estuary_request_new(&request, s.err), s.err);
    assert_ok(estuary_request_set_signed(request, tampered, s.err), s.err);
    assert_failed(estuary_enrollment_new(ESTUARY_OP_SIMPLEENROLL, s.server, request, &enrollment, s.err),
                  s.err, "csr.signature");
    assert_null(enrollment);
    estuary_request_free(request);
    X509_NAME_free(name);
    X509_REQ_free(tampered);
    estuary_enrollment_free(good);
    EVP_PKEY_free(weak);
}

static X509_EXTENSION *extension(int nid, const char *value)
{
    X509_EXTENSION *made = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    assert_non_null(made);
    return made;
}

/* An enrolment does its own work without the request's key as an object; who asks for the request gets it. */
static void request_is_whole_when_asked_for(void **state)
{
    (void)state;
    estuary_enrollment *enrollment = small_enroll(&s);
    unsigned char *before = NULL, *after = NULL;
    assert_true(enrollment->unread);
    int len = est_request_encode(enrollment->request, &before);
    assert_true(len > 0);
    X509_REQ *request = (X509_REQ *)estuary_enrollment_get0_request(enrollment);
    assert_non_null(X509_REQ_get0_pubkey(request));
    assert_int_equal(X509_REQ_verify(request, X509_REQ_get0_pubkey(request)), 1);
    assert_ptr_equal(estuary_enrollment_get0_request(enrollment), request);
    assert_int_equal(est_request_encode(request, &after), len);
    assert_memory_equal(before, after, (size_t)len);
    OPENSSL_free(before);
    OPENSSL_free(after);
    estuary_enrollment_free(enrollment);
}

/* The key that came back is compared with ours all the same. */
static void unread_request_is_compared(void **state)
{
    (void)state;
    for (int other = 0; other <= 1; other++) {
        estuary_enrollment *enrollment = small_enroll(&s);
        X509_NAME *name = X509_NAME_dup(X509_REQ_get_subject_name(enrollment->request));
        X509 *cert = small_issue(s.root, s.ca_key,
                                 &(small_cert){.subject = name, .key = other == 1 ? s.other_key : s.key});
        assert_true(enrollment->unread);
        estuary_error_clear(s.err);
        assert_int_equal(take(enrollment, &cert, 1), other == 1 ? ESTUARY_E_CERTIFICATE : ESTUARY_OK);
        assert_true(enrollment->unread);
        X509_free(cert);
        X509_NAME_free(name);
        estuary_enrollment_free(enrollment);
    }
}

/* Each flaw of the certificate that came must keep the state from ISSUED. */
static void every_failed_finding(void **state)
{
    (void)state;
    static const struct {
        const char *subject_cn, *san, *code; /* NULL subject: the requested one */
        bool is_ca, other_issuer;
        int64_t from, to;
    } rows[] = {
        {NULL, "DNS:device.example", "", false, false, 0, 0},
        {"somebody else", "DNS:device.example", "cert.subject-differs", false, false, 0, 0},
        {NULL, NULL, "cert.san-missing", false, false, 0, 0},
        {NULL, "DNS:other.example", "cert.san-missing", false, false, 0, 0},
        {NULL, "DNS:device.example,DNS:more.example", "cert.san-extra", false, false, 0, 0},
        {NULL, "DNS:device.example", "cert.expired", false, false, -7200, -3600},
        {NULL, "DNS:device.example", "cert.not-yet-valid", false, false, 3600, 7200},
        {NULL, "DNS:device.example", "cert.validity", false, false, 3600, -3600},
        {NULL, "DNS:device.example", "cert.is-ca", true, false, 0, 0},
        {NULL, "DNS:device.example", "cert.unknown-issuer", false, true, 0, 0},
    };
    X509 *other_root = small_root(s.other_key, "another root");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        estuary_enrollment *enrollment = small_enroll(&s);
        const X509_REQ *request = estuary_enrollment_get0_request(enrollment);
        X509_NAME *name = rows[i].subject_cn == NULL ? X509_NAME_dup(X509_REQ_get_subject_name(request))
                                                     : small_name(rows[i].subject_cn);
        STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
        if (rows[i].san != NULL)
            assert_true(sk_X509_EXTENSION_push(extensions, extension(NID_subject_alt_name, rows[i].san)) > 0);
        X509 *cert = small_issue(rows[i].other_issuer ? other_root : s.root,
                                 rows[i].other_issuer ? s.other_key : s.ca_key,
                                 &(small_cert){.subject = name,
                                               .key = s.key,
                                               .extensions = extensions,
                                               .is_ca = rows[i].is_ca,
                                               .from = rows[i].from,
                                               .to = rows[i].to});
        assert_ok(take(enrollment, &cert, 1), s.err);
        estuary_error_clear(s.err);
        estuary_status status =
            estuary_enrollment_check(enrollment, s.anchors, NULL, time(NULL), NULL, s.err);
        if (strcmp(estuary_error_code(s.err), rows[i].code) != 0)
            fail_msg("row %zu gives \"%s\", not \"%s\"", i, estuary_error_code(s.err), rows[i].code);
        bool good = rows[i].code[0] == '\0';
        assert_int_equal(status, good ? ESTUARY_OK : ESTUARY_E_CERTIFICATE);
        assert_int_equal(estuary_enrollment_state(enrollment),
                         good ? ESTUARY_STATE_ISSUED : ESTUARY_STATE_FAILED);
        assert_non_null(estuary_enrollment_get0_findings(enrollment));
        assert_int_equal(estuary_findings_acceptable(estuary_enrollment_get0_findings(enrollment)), good);
        assert_non_null(estuary_enrollment_get0_certificate(enrollment)); /* also when its checks failed */
        if (!good)
            assert_null(estuary_enrollment_get0_chain(enrollment));
        sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
        X509_NAME_free(name);
        X509_free(cert);
        estuary_enrollment_free(enrollment);
    }
    X509_free(other_root);
}

static void a_failed_check_undoes_a_pass(void **state)
{
    (void)state;
    estuary_enrollment *enrollment = small_enroll(&s);
    X509 *cert = ours(enrollment);
    assert_ok(take(enrollment, &cert, 1), s.err);
    assert_ok(estuary_enrollment_check(enrollment, s.anchors, NULL, time(NULL), NULL, s.err), s.err);
    assert_int_equal(estuary_enrollment_state(enrollment), ESTUARY_STATE_ISSUED);
    assert_failed(estuary_enrollment_check(enrollment, s.anchors, NULL, time(NULL) + 10 * 86400, NULL, s.err),
                  s.err, "cert.expired");
    assert_int_equal(estuary_enrollment_state(enrollment), ESTUARY_STATE_FAILED);
    assert_failed(estuary_enrollment_check(enrollment, NULL, NULL, time(NULL), NULL, s.err), s.err,
                  "usage.no-trust");
    assert_int_equal(estuary_enrollment_state(enrollment), ESTUARY_STATE_FAILED);
    assert_int_equal(estuary_enrollment_state(NULL), ESTUARY_STATE_FAILED);
    X509_free(cert);
    estuary_enrollment_free(enrollment);
}

/* What is no verdict leaves the state alone; test_inject does the same with every shortage of memory. */
static void a_check_that_was_none_can_be_repeated(void **state)
{
    (void)state;
    estuary_enrollment *enrollment = small_enroll(&s);
    X509 *cert = ours(enrollment);
    assert_failed(estuary_enrollment_check(enrollment, s.anchors, NULL, time(NULL), NULL, s.err), s.err,
                  "usage.argument");
    assert_int_equal(estuary_enrollment_state(enrollment), ESTUARY_STATE_READY);
    assert_ok(take(enrollment, &cert, 1), s.err);
    assert_failed(estuary_enrollment_check(enrollment, NULL, NULL, time(NULL), NULL, s.err), s.err,
                  "usage.no-trust");
    assert_int_equal(estuary_enrollment_state(enrollment), ESTUARY_STATE_READY);
    assert_null(estuary_enrollment_get0_findings(enrollment));
    assert_ok(estuary_enrollment_check(enrollment, s.anchors, NULL, time(NULL), NULL, s.err), s.err);
    assert_int_equal(estuary_enrollment_state(enrollment), ESTUARY_STATE_ISSUED);
    X509_free(cert);
    estuary_enrollment_free(enrollment);
}

/* An intermediate CA from the answer, or from the helpers, ends up in the chain. */
static void the_chain(void **state)
{
    (void)state;
    EVP_PKEY *sub_key = EVP_EC_gen("P-256");
    X509_NAME *name = small_name("sub CA");
    X509 *sub = small_issue(s.root, s.ca_key, &(small_cert){.subject = name, .key = sub_key, .is_ca = true});
    STACK_OF(X509) *helpers = sk_X509_new_null();
    assert_true(sk_X509_push(helpers, sub) > 0);
    for (int way = 0; way < 3; way++) { /* in the answer, as helper, nowhere */
        estuary_enrollment *enrollment = small_enroll(&s);
        X509 *cert = small_issue_for(sub, sub_key, (X509_REQ *)estuary_enrollment_get0_request(enrollment));
        if (way == 0)
            assert_ok(take(enrollment, (X509 *[]){sub, cert, s.root}, 3), s.err);
        else
            assert_ok(take(enrollment, &cert, 1), s.err);
        estuary_status status = estuary_enrollment_check(enrollment, s.anchors, way == 1 ? helpers : NULL,
                                                         time(NULL), NULL, s.err);
        if (way == 2) {
            assert_failed(status, s.err, "cert.unknown-issuer");
        } else {
            assert_ok(status, s.err);
            const STACK_OF(X509) *chain = estuary_enrollment_get0_chain(enrollment);
            assert_int_equal(sk_X509_num(chain), 1);
            assert_int_equal(X509_cmp(sk_X509_value(chain, 0), sub), 0);
        }
        X509_free(cert);
        estuary_enrollment_free(enrollment);
    }
    sk_X509_free(helpers);
    X509_free(sub);
    X509_NAME_free(name);
    EVP_PKEY_free(sub_key);
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
        cmocka_unit_test(found_in_any_place),
        cmocka_unit_test(ambiguous_and_twice),
        cmocka_unit_test(none_for_our_key),
        cmocka_unit_test(reenrollment_keeps_the_names),
        cmocka_unit_test(reenrollment_without_names_beside_the_subject),
        cmocka_unit_test(copying_the_certificate_is_identical),
        cmocka_unit_test(change_subject_name_may_change),
        cmocka_unit_test(the_old_one_back),
        cmocka_unit_test(broken_requests_are_refused),
        cmocka_unit_test(every_failed_finding),
        cmocka_unit_test(request_is_whole_when_asked_for),
        cmocka_unit_test(unread_request_is_compared),
        cmocka_unit_test(a_failed_check_undoes_a_pass),
        cmocka_unit_test(a_check_that_was_none_can_be_repeated),
        cmocka_unit_test(the_chain),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
