/* The example messages of RFC 7030, Appendix A, as they stand in its text. */
#include "../unit/small_est.h"

#include <stdio.h>
#include <stdlib.h>

static small_est s;
static char *rfc; /* NULL: not there */

/* Only tests that ran may pass. */
static void need_rfc(void)
{
    if (rfc != NULL)
        return;
    const char *strict = getenv("ESTUARY_STRICT");
    if (strict != NULL && strcmp(strict, "1") == 0)
        fail_msg("the text of RFC 7030 is not there: set ESTUARY_RFC to its folder");
    print_message("the text of RFC 7030 is not there: set ESTUARY_RFC to its folder\n");
    skip();
}

static bool is_base64_line(const char *line, size_t len, bool inside)
{
    size_t chars = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=");
    return len > 0 && chars >= len && (inside || len >= 20);
}

/* Running heads and feet stand in the middle of the messages. */
static bool is_page_break(const char *line)
{
    return strncmp(line, "Pritikin, et al.", 16) == 0 || strncmp(line, "RFC 7030   ", 11) == 0;
}

/* The base64 text that follows `mark` in section `section`; lines end as the RFC's message did. */
static char *message(const char *section, const char *mark)
{
    const char *p = strstr(rfc, section);
    assert_non_null(p);
    p = strstr(p, mark);
    assert_non_null(p);
    p = strchr(p, '\n');
    est_buf out = {.max = 20000};
    while (p != NULL && *p != '\0') {
        p += strspn(p, " \f\n");
        size_t len = strcspn(p, "\n");
        if (is_base64_line(p, len, out.len > 0)) {
            assert_int_equal(est_buf_append(&out, p, len), EST_APPEND_OK);
            assert_int_equal(est_buf_append(&out, "\n", 1), EST_APPEND_OK);
        } else if (out.len > 0 && !is_page_break(p)) {
            break;
        }
        p = strchr(p, '\n');
    }
    assert_true(out.len > 100);
    return (char *)out.data;
}

static void decode(const char *text, uint8_t **der, size_t *len)
{
    assert_ok(est_base64_decode((const uint8_t *)text, strlen(text), 20000, der, len, s.err), s.err);
}

static STACK_OF(X509) *certs_of(const char *text)
{
    uint8_t *der = NULL;
    size_t len = 0;
    STACK_OF(X509) *certs = NULL;
    decode(text, &der, &len);
    assert_ok(est_certs_only_parse(der, len, NULL, &certs, s.err), s.err);
    est_free(der);
    return certs;
}

static X509_REQ *request_of(const char *text)
{
    uint8_t *der = NULL;
    size_t len = 0;
    X509_REQ *request = NULL;
    decode(text, &der, &len);
    assert_ok(estuary_csr_parse(der, len, &request, s.err), s.err);
    est_free(der);
    return request;
}

static void assert_name(const X509_NAME *name, const char *text)
{
    char *got = NULL;
    assert_ok(estuary_name_format(name, &got, s.err), s.err);
    assert_string_equal(got, text);
    OPENSSL_free(got);
}

/* RFC 7030 4.1.3, A.1: no smime-type; OldWithOld, NewWithOld, OldWithNew, NewWithNew (E1) */
static void a1_cacerts(void **state)
{
    (void)state;
    need_rfc();
    static const struct {
        const char *subject, *issuer;
    } rows[] = {{"CN=estExampleCA OwO", "CN=estExampleCA OwO"},
                {"CN=estExampleCA NwO", "CN=estExampleCA OwO"},
                {"CN=estExampleCA OwN", "CN=estExampleCA NwN"},
                {"CN=estExampleCA NwN", "CN=estExampleCA NwN"}};
    estuary_next next;
    char *body = message("\nA.1.  Obtaining CA Certificates", "Content-Length: 4246");
    estuary_exchange *x = small_exchange(&s, ESTUARY_OP_CACERTS, NULL, NULL);
    assert_ok(small_step(&s, x,
                         &(small_response){200, "application/pkcs7-mime", body, "Content-Transfer-Encoding",
                                           "base64"},
                         &next),
              s.err);
    assert_int_equal(next, ESTUARY_NEXT_DONE);
    const STACK_OF(X509) *certs = estuary_exchange_get0_certs(x);
    assert_int_equal(sk_X509_num(certs), 4);
    for (int i = 0; i < 4; i++) {
        assert_name(X509_get_subject_name(sk_X509_value(certs, i)), rows[i].subject);
        assert_name(X509_get_issuer_name(sk_X509_value(certs, i)), rows[i].issuer);
    }
    assert_true(est_certificate_is_root(sk_X509_value(certs, 0)));
    assert_true(est_certificate_is_root(sk_X509_value(certs, 3)));
    /* the two in the middle have no basicConstraints in the RFC's example: by RFC 5280 they are no CAs */
    assert_false(est_certificate_is_ca(sk_X509_value(certs, 1)));
    assert_false(est_certificate_is_ca(sk_X509_value(certs, 2)));
    /* and yet the answer is usable: both roots become anchors (RFC 7030 4.1.3, E1) */
    estuary_anchors *anchors = NULL;
    assert_ok(est_anchors_from_cacerts(certs, &anchors, s.err), s.err);
    assert_int_equal(sk_X509_num(estuary_anchors_get0_roots(anchors)), 2);
    assert_int_equal(sk_X509_num(estuary_anchors_get0_helpers(anchors)), 0);
    estuary_anchors_free(anchors);
    estuary_exchange_free(x);
    est_free(body);
}

/* RFC 7030 4.5.2, A.2 (E3) */
static void a2_csrattrs(void **state)
{
    (void)state;
    need_rfc();
    static const struct {
        const char *oid;
        estuary_csr_attribute_kind kind;
    } rows[] = {{"1.3.6.1.1.1.1.22", ESTUARY_CSRATTR_UNKNOWN},
                {"2.999.1", ESTUARY_CSRATTR_UNKNOWN},
                {"1.2.840.113549.1.9.7", ESTUARY_CSRATTR_CHALLENGE_PASSWORD},
                {"2.999.2", ESTUARY_CSRATTR_UNKNOWN},
                {"1.3.36.3.3.2.8.1.1.11", ESTUARY_CSRATTR_KEY},
                {"2.16.840.1.101.3.4.2.2", ESTUARY_CSRATTR_SIGNATURE}};
    estuary_next next;
    char *body = message("\nA.2.  CSR Attributes", "Content-Length: 171");
    estuary_exchange *x = small_exchange(&s, ESTUARY_OP_CSRATTRS, NULL, NULL);
    assert_ok(small_step(
                  &s, x,
                  &(small_response){200, "application/csrattrs", body, "Content-Transfer-Encoding", "base64"},
                  &next),
              s.err);
    const estuary_csr_attributes *attributes = estuary_exchange_get0_csr_attributes(x);
    assert_int_equal(estuary_csr_attributes_count(attributes), 6);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        estuary_csr_attribute_kind kind = ESTUARY_CSRATTR_UNKNOWN;
        const char *oid = NULL;
        assert_true(estuary_csr_attributes_at(attributes, i, &kind, &oid, NULL, NULL));
        assert_string_equal(oid, rows[i].oid);
        if (kind != rows[i].kind)
            fail_msg("%s is of kind %d", oid, (int)kind);
    }
    assert_true(estuary_csr_attributes_wants_binding(attributes));
    estuary_exchange_free(x);
    est_free(body);
}

/* RFC 7030 3.2.3, A.3: Digest is asked for with 401 */
static void a3_unauthorized(void **state)
{
    (void)state;
    need_rfc();
    assert_non_null(strstr(rfc, "WWW-Authenticate: Digest qop=\"auth\", realm=\"estrealm\","));
    estuary_next next;
    estuary_enrollment *enrollment = small_enroll(&s);
    estuary_exchange *x = small_exchange(&s, ESTUARY_OP_SIMPLEENROLL, enrollment, NULL);
    assert_failed(
        small_step(&s, x,
                   &(small_response){401, NULL, NULL, "WWW-Authenticate",
                                     "Digest qop=\"auth\", realm=\"estrealm\", nonce=\"1368141352\""},
                   &next),
        s.err, "auth.required");
    assert_int_equal(estuary_error_exit_code(s.err), 6);
    estuary_exchange_free(x);
    estuary_enrollment_free(enrollment);
}

/* RFC 7030 4.2.1, A.3: the request is sound but signed with SHA-1, which is refused today (E5) */
static void a3_request(void **state)
{
    (void)state;
    need_rfc();
    estuary_request *request = NULL;
    estuary_enrollment *enrollment = NULL;
    char *text = message("\nA.3.  Enroll/Re-enroll", "Content-Length: 882");
    X509_REQ *made = request_of(text);
    assert_name(X509_REQ_get_subject_name(made), "CN=demostep4 1368141352");
    assert_int_equal(X509_REQ_verify(made, X509_REQ_get0_pubkey(made)), 1);
    char *challenge = small_challenge(made); /* RFC 7030 3.5: tls-unique, 12 bytes */
    assert_string_equal(challenge, "+rrCir/7+EYu50T4");
    assert_ok(estuary_request_new(&request, s.err), s.err);
    assert_ok(estuary_request_set_signed(request, made, s.err), s.err);
    assert_failed(estuary_enrollment_new(ESTUARY_OP_SIMPLEENROLL, s.server, request, &enrollment, s.err),
                  s.err, "csr.weak-digest");
    assert_null(enrollment);
    estuary_request_free(request);
    OPENSSL_free(challenge);
    X509_REQ_free(made);
    est_free(text);
}

/* RFC 7030 4.2.3, A.3: the certificate is found by the request's key (E8) */
static void a3_certificate(void **state)
{
    (void)state;
    need_rfc();
    char *text = message("\nA.3.  Enroll/Re-enroll", "Content-Length: 882");
    char *answer = message("\nA.3.  Enroll/Re-enroll", "Content-Length: 1122");
    estuary_enrollment enrollment = {.state = ESTUARY_STATE_READY, .request = request_of(text)};
    STACK_OF(X509) *certs = certs_of(answer);
    assert_int_equal(sk_X509_num(certs), 1);
    assert_ok(est_enrollment_take_certs(&enrollment, certs, s.err), s.err);
    assert_name(X509_get_subject_name(enrollment.certificate), "CN=demostep4 1368141352");
    assert_name(X509_get_issuer_name(enrollment.certificate), "CN=estExampleCA NwN");
    assert_int_equal(sk_X509_num(enrollment.others), 0);
    X509_free(enrollment.certificate);
    sk_X509_pop_free(enrollment.others, X509_free);
    X509_REQ_free(enrollment.request);
    sk_X509_pop_free(certs, X509_free);
    est_free(answer);
    est_free(text);
}

/* RFC 7030 4.4.2, A.4: the certificate is for the key that the server made */
static void a4_serverkeygen_parts(void **state)
{
    (void)state;
    need_rfc();
    uint8_t *der = NULL;
    size_t len = 0;
    char *text = message("\nA.4.  Server Key Generation", "Content-Length: 963");
    char *key_text = message("\nA.4.  Server Key Generation", "Content-Type: application/pkcs8");
    char *cert_text = message("\nA.4.  Server Key Generation", "Content-Type: application/pkcs7-mime");
    X509_REQ *request = request_of(text);
    assert_int_equal(X509_REQ_verify(request, X509_REQ_get0_pubkey(request)), 1);
    STACK_OF(X509) *certs = certs_of(cert_text);
    assert_int_equal(sk_X509_num(certs), 1);
    X509 *cert = sk_X509_value(certs, 0);
    assert_name(X509_get_subject_name(cert), "CN=serverside key generated response");
    decode(key_text, &der, &len);
    const unsigned char *p = der;
    EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &p, (long)len);
    assert_non_null(key);
    assert_ptr_equal(p, der + len);
    assert_int_equal(EVP_PKEY_eq(key, X509_get0_pubkey(cert)), 1);
    assert_int_not_equal(EVP_PKEY_eq(key, X509_REQ_get0_pubkey(request)), 1);
    EVP_PKEY_free(key);
    est_free_secret(der, len);
    sk_X509_pop_free(certs, X509_free);
    X509_REQ_free(request);
    est_free_secret(key_text, strlen(key_text));
    est_free(cert_text);
    est_free(text);
}

static int set_up(void **state)
{
    (void)state;
    char path[1024];
    size_t len = 0;
    uint8_t *bytes = NULL;
    const char *folder = getenv("ESTUARY_RFC");
    snprintf(path, sizeof(path), "%s/rfc7030.txt", folder == NULL ? SOURCE_ROOT "/../shared/rfc" : folder);
    if (est_file_read(path, 1024 * 1024, EST_FILE_PUBLIC, &bytes, &len) == EST_FILE_OK)
        rfc = (char *)bytes;
    small_est_open(&s);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    est_free(rfc);
    small_est_close(&s);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a1_cacerts),      cmocka_unit_test(a2_csrattrs),
        cmocka_unit_test(a3_unauthorized), cmocka_unit_test(a3_request),
        cmocka_unit_test(a3_certificate),  cmocka_unit_test(a4_serverkeygen_parts),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
