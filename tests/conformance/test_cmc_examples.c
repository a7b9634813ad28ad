/*
 * CMC responses made with Bouncy Castle (cmc/README.md), read by us (E10). RFC 7030 4.3.2, RFC 5272, RFC
 * 6402.
 *
 *     test_cmc_examples            the table
 *     test_cmc_examples DIR        writes requests of ours to DIR, for others to read
 */
#include "../unit/small_est.h"
#include "est/fullcmc.h"

#include <openssl/pem.h>
#include <stdio.h>

#define EXAMPLES SOURCE_ROOT "/tests/conformance/cmc/"
#define AT       1767225900L /* 2026-01-01T00:05:00Z, five minutes after they were signed */
#define SECRET   "a shared secret of 16 and more"

static small_est s;
static X509 *root, *device, *client;
static EVP_PKEY *device_key, *client_key;
static estuary_anchors *anchors;

static uint8_t *read_file(const char *name, size_t *len)
{
    char path[512];
    uint8_t *bytes = NULL;
    snprintf(path, sizeof(path), "%s%s", EXAMPLES, name);
    if (est_file_read(path, 100000, EST_FILE_PUBLIC, &bytes, len) != EST_FILE_OK)
        fail_msg("%s cannot be read", path);
    return bytes;
}

static X509 *read_cert(const char *name)
{
    size_t len = 0;
    uint8_t *der = read_file(name, &len);
    const unsigned char *p = der;
    X509 *cert = d2i_X509(NULL, &p, (long)len);
    assert_non_null(cert);
    est_free(der);
    return cert;
}

static EVP_PKEY *read_key(const char *name)
{
    size_t len = 0;
    uint8_t *der = read_file(name, &len);
    const unsigned char *p = der;
    EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &p, (long)len);
    assert_non_null(key);
    est_free(der);
    return key;
}

static int set_up(void **state)
{
    (void)state;
    small_est_open(&s);
    root = read_cert("root.cer");
    device = read_cert("device.cer");
    client = read_cert("client.cer");
    device_key = read_key("device.p8");
    client_key = read_key("client.p8");
    STACK_OF(X509) *roots = sk_X509_new_null();
    assert_true(sk_X509_push(roots, root) > 0);
    assert_ok(estuary_anchors_from_certs(roots, &anchors, s.err), s.err);
    sk_X509_free(roots);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    X509_free(root);
    X509_free(device);
    X509_free(client);
    EVP_PKEY_free(device_key);
    EVP_PKEY_free(client_key);
    estuary_anchors_free(anchors);
    small_est_close(&s);
    return 0;
}

static estuary_enrollment *enroll(estuary_cmc_body body, bool with_secret, bool with_signer)
{
    estuary_enrollment *e = NULL;
    estuary_request *request = NULL;
    estuary_secret *secret = NULL;
    estuary_csr *csr = small_csr(&s, NULL, NULL);
    assert_ok(estuary_csr_set_subject_name(csr, X509_get_subject_name(device), s.err), s.err);
    assert_ok(estuary_request_new(&request, s.err), s.err);
    assert_ok(estuary_request_set_csr(request, csr, device_key, s.err), s.err);
    assert_ok(estuary_request_set_cmc_body(request, body, s.err), s.err);
    assert_ok(estuary_secret_new(SECRET, strlen(SECRET), &secret, s.err), s.err);
    if (with_secret)
        assert_ok(estuary_request_set_cmc_secret(request, "device-17", secret, s.err), s.err);
    assert_ok(estuary_enrollment_new(ESTUARY_OP_FULLCMC, s.server, request, &e, s.err), s.err);
    if (with_signer)
        assert_ok(estuary_enrollment_set_cmc_signer(e, client, NULL, client_key, s.err), s.err);
    assert_ok(estuary_enrollment_set_cmc_trust(e, anchors, NULL, true, s.err), s.err);
    estuary_secret_free(secret);
    estuary_request_free(request);
    estuary_csr_free(csr);
    return e;
}

/* As if the request of the examples had been ours. */
static void pretend(estuary_enrollment *e)
{
    static const uint8_t transaction[] = {0x22, 0x23, 0x34, 0x03, 0xc9, 0x90, 0xcc, 0x35};
    static const char nonce[] = "client-nonce-16b";
    memset(e->cmc->transaction, 0, sizeof(e->cmc->transaction));
    memcpy(e->cmc->transaction + sizeof(e->cmc->transaction) - sizeof(transaction), transaction,
           sizeof(transaction));
    memcpy(e->cmc->nonce, nonce, 16);
    e->cmc->nonce_len = 16;
}

static estuary_http_response *answer(const char *file, int http_status, const char *type)
{
    estuary_http_response *response = NULL;
    size_t len = 0;
    char *text = NULL;
    uint8_t *der = read_file(file, &len);
    assert_ok(est_base64_encode(der, len, &text, s.err), s.err);
    assert_ok(estuary_http_response_new(http_status, &response, s.err), s.err);
    assert_ok(estuary_http_response_add_header(response, "Content-Type", type, s.err), s.err);
    assert_ok(estuary_http_response_append_body(response, (uint8_t *)text, strlen(text), s.err), s.err);
    est_free(text);
    est_free(der);
    return response;
}

#define CMC_RESPONSE "application/pkcs7-mime; smime-type=CMC-response"
#define PLAIN        "application/pkcs7-mime"

static estuary_status run(estuary_enrollment *e, const char *file, int http_status, const char *type,
                          estuary_next *next)
{
    const estuary_http_request *request = NULL;
    estuary_exchange *x = small_exchange(&s, ESTUARY_OP_FULLCMC, e, NULL);
    assert_ok(estuary_exchange_request(x, NULL, 0, &request, s.err), s.err);
    assert_string_equal(estuary_http_request_content_type(request),
                        "application/pkcs7-mime; smime-type=CMC-request");
    pretend(e);
    estuary_http_response *response = answer(file, http_status, type);
    estuary_error_clear(s.err);
    estuary_status status = estuary_exchange_response(x, response, AT, next, s.err);
    estuary_http_response_free(response);
    estuary_exchange_free(x);
    return status;
}

typedef struct row {
    const char *file;
    const char *type;
    const char *code; /* "": taken */
    estuary_next next;
    estuary_cmc_status status;
    const char *words; /* in the message */
} row;

static const row table[] = {
    {"success", CMC_RESPONSE, "", ESTUARY_NEXT_DONE, ESTUARY_CMC_SUCCESS, NULL},
    {"success", PLAIN, "", ESTUARY_NEXT_DONE, ESTUARY_CMC_SUCCESS, NULL},
    {"success-cmc-ca", CMC_RESPONSE, "", ESTUARY_NEXT_DONE, ESTUARY_CMC_SUCCESS, NULL},
    {"success-rsa", CMC_RESPONSE, "", ESTUARY_NEXT_DONE, ESTUARY_CMC_SUCCESS, NULL},
    {"success-issuing-ca", CMC_RESPONSE, "", ESTUARY_NEXT_DONE, ESTUARY_CMC_SUCCESS, NULL},
    {"success-v1", CMC_RESPONSE, "", ESTUARY_NEXT_DONE, ESTUARY_CMC_SUCCESS, NULL},
    {"success-path", CMC_RESPONSE, "", ESTUARY_NEXT_DONE, ESTUARY_CMC_SUCCESS, NULL},
    {"success-returned", CMC_RESPONSE, "", ESTUARY_NEXT_DONE, ESTUARY_CMC_SUCCESS, NULL},
    {"success-ber", CMC_RESPONSE, "", ESTUARY_NEXT_DONE, ESTUARY_CMC_SUCCESS, NULL},
    {"lie-no-status", CMC_RESPONSE, "", ESTUARY_NEXT_DONE, ESTUARY_CMC_SUCCESS, NULL}, /* RFC 5272 6.1.2 */
    {"simple", PLAIN, "", ESTUARY_NEXT_DONE, ESTUARY_CMC_NONE, NULL},
    {"simple", CERTS_ONLY, "", ESTUARY_NEXT_DONE, ESTUARY_CMC_NONE, NULL},
    {"simple", CMC_RESPONSE, "protocol.cmc", 0, ESTUARY_CMC_NONE, NULL},
    {"success", CERTS_ONLY, "protocol.cms-signers", 0, ESTUARY_CMC_NONE, NULL},
    {"success", "application/pkcs7-mime; smime-type=signed-data", "protocol.smime-type", 0, ESTUARY_CMC_NONE,
     NULL},
    {"pending", CMC_RESPONSE, "", ESTUARY_NEXT_WAIT, ESTUARY_CMC_PENDING, NULL},
    {"pending-v1", CMC_RESPONSE, "", ESTUARY_NEXT_WAIT, ESTUARY_CMC_PENDING, NULL},
    {"partial", CMC_RESPONSE, "", ESTUARY_NEXT_WAIT, ESTUARY_CMC_PARTIAL, NULL},
    {"pending-without-info", CMC_RESPONSE, "protocol.cmc", 0, ESTUARY_CMC_PENDING, "no token"},
    {"failed-badAlg", CMC_RESPONSE, "server.cmc-failed", 0, ESTUARY_CMC_FAILED,
     "an algorithm is unknown or not supported (badAlg): \"number 0\""},
    {"failed-badMessageCheck", CMC_RESPONSE, "server.cmc-failed", 0, ESTUARY_CMC_FAILED,
     "the integrity check of the request failed (badMessageCheck): \"number 1\""},
    {"failed-badRequest", CMC_RESPONSE, "server.cmc-failed", 0, ESTUARY_CMC_FAILED, "(badRequest)"},
    {"failed-badTime", CMC_RESPONSE, "server.cmc-failed", 0, ESTUARY_CMC_FAILED, "(badTime)"},
    {"failed-badCertId", CMC_RESPONSE, "server.cmc-failed", 0, ESTUARY_CMC_FAILED, "(badCertId)"},
    {"failed-unsupportedExt", CMC_RESPONSE, "server.cmc-failed", 0, ESTUARY_CMC_FAILED, "(unsupportedExt)"},
    {"failed-mustArchiveKeys", CMC_RESPONSE, "server.cmc-failed", 0, ESTUARY_CMC_FAILED, "(mustArchiveKeys)"},
    {"failed-badIdentity", CMC_RESPONSE, "auth.cmc-identity", 0, ESTUARY_CMC_FAILED, "(badIdentity)"},
    {"failed-popRequired", CMC_RESPONSE, "server.cmc-failed", 0, ESTUARY_CMC_FAILED, "(popRequired)"},
    {"failed-popFailed", CMC_RESPONSE, "server.cmc-failed", 0, ESTUARY_CMC_FAILED, "(popFailed)"},
    {"failed-noKeyReuse", CMC_RESPONSE, "server.cmc-failed", 0, ESTUARY_CMC_FAILED, "(noKeyReuse)"},
    {"failed-internalCAError", CMC_RESPONSE, "server.cmc-failed", 0, ESTUARY_CMC_FAILED, "(internalCAError)"},
    {"failed-tryLater", CMC_RESPONSE, "server.cmc-try-later", 0, ESTUARY_CMC_FAILED, "(tryLater)"},
    {"failed-authDataFail", CMC_RESPONSE, "server.cmc-failed", 0, ESTUARY_CMC_FAILED, "(authDataFail)"},
    {"failed-v1", CMC_RESPONSE, "server.cmc-failed", 0, ESTUARY_CMC_FAILED, "(badRequest): \"version 1\""},
    {"failed-bare", CMC_RESPONSE, "server.cmc-failed", 0, ESTUARY_CMC_FAILED, "it does not say why"},
    {"failed-extended", CMC_RESPONSE, "server.cmc-failed", 0, ESTUARY_CMC_FAILED,
     "extendedFailInfo 1.3.6.1.4.1.32473.5"},
    {"status-noSupport", CMC_RESPONSE, "server.cmc-failed", 0, ESTUARY_CMC_NO_SUPPORT, "(noSupport)"},
    {"status-popRequired", CMC_RESPONSE, "unsupported.cmc", 0, ESTUARY_CMC_POP_REQUIRED, "(popRequired)"},
    {"status-confirmRequired", CMC_RESPONSE, "unsupported.cmc", 0, ESTUARY_CMC_CONFIRM_REQUIRED,
     "(confirmRequired)"},
    {"anchors", CMC_RESPONSE, "", ESTUARY_NEXT_DONE, ESTUARY_CMC_SUCCESS, NULL},
    {"anchors-stranger", CMC_RESPONSE, "trust.cmc-signer", 0, ESTUARY_CMC_NONE, NULL},
    {"lie-transaction", CMC_RESPONSE, "protocol.cmc-transaction", 0, ESTUARY_CMC_NONE, "another transaction"},
    {"lie-no-transaction", CMC_RESPONSE, "protocol.cmc-transaction", 0, ESTUARY_CMC_NONE, "lacks"},
    {"lie-nonce", CMC_RESPONSE, "protocol.cmc-nonce", 0, ESTUARY_CMC_NONE, "does not answer"},
    {"lie-no-nonce", CMC_RESPONSE, "protocol.cmc-nonce", 0, ESTUARY_CMC_NONE, "lacks"},
    {"lie-unsigned", CMC_RESPONSE, "protocol.cmc-signature", 0, ESTUARY_CMC_NONE, "0 signatures"},
    {"lie-stranger", CMC_RESPONSE, "trust.cmc-signer", 0, ESTUARY_CMC_NONE, "trust anchors"},
    {"lie-no-authority", CMC_RESPONSE, "trust.cmc-signer", 0, ESTUARY_CMC_NONE, "id-kp-cmcRA"},
    {"lie-signature", CMC_RESPONSE, "protocol.cmc-signature", 0, ESTUARY_CMC_NONE, NULL},
    {"lie-other-key", CMC_RESPONSE, "cert.key-differs", 0, ESTUARY_CMC_SUCCESS, NULL},
    {"lie-no-certificate", CMC_RESPONSE, "cert.key-differs", 0, ESTUARY_CMC_SUCCESS, NULL},
    {"lie-content-type", CMC_RESPONSE, "protocol.cmc", 0, ESTUARY_CMC_NONE, "no CMC response"},
    {"lie-nested", CMC_RESPONSE, "protocol.cmc", 0, ESTUARY_CMC_NONE, NULL},
};

static void check_row(const row *r, int http_status)
{
    char file[64];
    estuary_next next = ESTUARY_NEXT_FAILED;
    snprintf(file, sizeof(file), "response-%s.der", r->file);
    estuary_enrollment *e = enroll(ESTUARY_CMC_BODY_PKCS10, false, true);
    (void)run(e, file, http_status, r->type, &next);
    if (strcmp(estuary_error_code(s.err), r->code) != 0)
        fail_msg("%s as %s: %s (%s, %s)", r->file, r->type, estuary_error_code(s.err),
                 estuary_error_message(s.err), estuary_error_detail(s.err));
    assert_int_equal(next, r->next);
    assert_int_equal(estuary_enrollment_cmc_status(e), r->status);
    /* only what was refused by somebody we believe is made anew */
    assert_int_equal(e->cmc->message == NULL, r->status > ESTUARY_CMC_PARTIAL);
    if (r->words != NULL && strstr(estuary_error_message(s.err), r->words) == NULL)
        fail_msg("%s: %s", r->file, estuary_error_message(s.err));
    if (next == ESTUARY_NEXT_DONE) {
        assert_int_equal(X509_cmp(estuary_enrollment_get0_certificate(e), device), 0);
        assert_ok(estuary_enrollment_check(e, anchors, NULL, AT, NULL, s.err), s.err);
        assert_int_equal(estuary_enrollment_state(e), ESTUARY_STATE_ISSUED);
    }
    if (next == ESTUARY_NEXT_WAIT) {
        assert_int_equal(estuary_enrollment_retry_at(e), 1767226500); /* 2026-01-01T00:15:00Z */
        assert_int_equal(e->cmc->pend_token_len, 15);
        assert_memory_equal(e->cmc->pend_token, "pend-token-4711", 15);
        assert_memory_equal(e->cmc->server_nonce, "server-nonce-16b", 16);
    }
    estuary_enrollment_free(e);
}

static void test_responses(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        check_row(&table[i], 200);
}

/* RFC 7030 4.3.2: with 4xx the reason is in the body; one that cannot be believed leaves the bare refusal */
static void test_refusals(void **state)
{
    static const row rows[] = {
        {"failed-badIdentity", CMC_RESPONSE, "auth.cmc-identity", 0, ESTUARY_CMC_FAILED, "(badIdentity)"},
        {"failed-popFailed", CMC_RESPONSE, "server.cmc-failed", 0, ESTUARY_CMC_FAILED, "(popFailed)"},
        {"lie-nonce", CMC_RESPONSE, "server.refused", 0, ESTUARY_CMC_NONE, "status 400"},
        {"lie-stranger", CMC_RESPONSE, "server.refused", 0, ESTUARY_CMC_NONE, "status 400"},
        {"success", CMC_RESPONSE, "server.refused", 0, ESTUARY_CMC_NONE, "status 400"},
        {"pending", CMC_RESPONSE, "server.refused", 0, ESTUARY_CMC_NONE, "status 400"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_row(&rows[i], 400);
}

static void check_anchors(const char *file, int published, const char *code)
{
    static const char *const nobody[] = {"0000000000000000000000000000000000000000000000000000000000000000"};
    estuary_next next = ESTUARY_NEXT_FAILED;
    estuary_anchors *got = NULL;
    estuary_enrollment *e = enroll(ESTUARY_CMC_BODY_PKCS10, false, true);
    assert_ok(run(e, file, 200, CMC_RESPONSE, &next), s.err);
    const STACK_OF(X509) *certs = estuary_enrollment_get0_published_anchors(e);
    assert_non_null(certs);
    assert_int_equal(sk_X509_num(certs), published);
    assert_int_equal(estuary_enrollment_published_sequence(e), 7);
    estuary_error_clear(s.err);
    (void)estuary_enrollment_confirm_published(e, NULL, 0, &got, s.err);
    assert_string_equal(estuary_error_code(s.err), code);
    assert_int_equal(got != NULL, *code == '\0');
    estuary_anchors_free(got);
    if (published > 0) {
        uint8_t print[ESTUARY_FINGERPRINT_SIZE];
        char text[ESTUARY_FINGERPRINT_TEXT_SIZE];
        const char *list[] = {text};
        assert_ok(estuary_fingerprint(root, print, s.err), s.err);
        estuary_fingerprint_format(print, text);
        assert_ok(estuary_enrollment_confirm_published(e, list, 1, &got, s.err), s.err);
        assert_int_equal(sk_X509_num(estuary_anchors_get0_roots(got)), 1);
        estuary_anchors_free(got);
    }
    assert_failed(estuary_enrollment_confirm_published(e, nobody, 1, &got, s.err), s.err,
                  "trust.fingerprint-mismatch");
    assert_null(got);
    estuary_enrollment_free(e);
}

/* RFC 5272 6.15 */
static void test_published_anchors(void **state)
{
    (void)state;
    check_anchors("response-anchors.der", 2, "");
    check_anchors("response-anchors-sha1.der", 2, "trust.confirm-fingerprint");
    check_anchors("response-anchors-absent.der", 1, "trust.confirm-fingerprint");
    check_anchors("response-anchors-wrong-hash.der", 0, "trust.confirm-fingerprint");
}

static void write_request(const char *dir, const char *name, estuary_enrollment *e)
{
    char path[512];
    size_t len = 0, der_len = 0;
    uint8_t *der = NULL;
    const estuary_http_request *request = NULL;
    estuary_exchange *x = small_exchange(&s, ESTUARY_OP_FULLCMC, e, NULL);
    assert_ok(estuary_exchange_request(x, NULL, 0, &request, s.err), s.err);
    const uint8_t *body = estuary_http_request_body(request, &len);
    assert_ok(est_base64_decode(body, len, 100000, &der, &der_len, s.err), s.err);
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(der, 1, der_len, out), der_len);
    assert_int_equal(fclose(out), 0);
    est_free(der);
    estuary_exchange_free(x);
    estuary_enrollment_free(e);
}

static const char *folder;

static void write_requests(void **state)
{
    (void)state;
    estuary_next next = ESTUARY_NEXT_FAILED;
    write_request(folder, "pkcs10.der", enroll(ESTUARY_CMC_BODY_PKCS10, false, true));
    write_request(folder, "crmf.der", enroll(ESTUARY_CMC_BODY_CRMF, false, true));
    write_request(folder, "pkcs10-secret.der", enroll(ESTUARY_CMC_BODY_PKCS10, true, false));
    write_request(folder, "crmf-secret.der", enroll(ESTUARY_CMC_BODY_CRMF, true, false));
    estuary_enrollment *e = enroll(ESTUARY_CMC_BODY_PKCS10, false, true);
    assert_ok(run(e, "response-pending.der", 200, CMC_RESPONSE, &next), s.err);
    write_request(folder, "query-pending.der", e);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_published_anchors),
    };
    static const struct CMUnitTest writing[] = {cmocka_unit_test(write_requests)};
    folder = argc > 1 ? argv[1] : NULL;
    return folder == NULL ? cmocka_run_group_tests(tests, set_up, tear_down)
                          : cmocka_run_group_tests(writing, set_up, tear_down);
}
