/* 36 OCSP responses made by others, judged at the stated time (R1, RFC 6960 3.2). */
#include "vectors.h"

/* What each one is refused for: another reason would be luck. The others are good or revoked. */
static const struct {
    const char *file, *code;
} refusals[] = {
    {"good_response_invalid_serial.pem", "ocsp.malformed"},
    {"no_response.pem", "ocsp.other-certificate"},
    {"malformed_request.pem", "ocsp.malformed-request"},
    {"bad_status.pem", "ocsp.malformed"},
    {"bad_ocsp_type.pem", "ocsp.response-type"},
    {"bad_signature.pem", "ocsp.signature"},
    {"ocsp_sign_indirect_missing.pem", "ocsp.signer"},
    {"ocsp_sign_bad_indirect.pem", "ocsp.signer"},
    {"unknown_response.pem", "ocsp.unknown-certificate"},
    {"multiple_response.pem", "ocsp.unknown-certificate"},
    {"other_response.pem", "ocsp.other-certificate"},
    {"has_critical_single_extension.pem", "ocsp.critical-extension"},
    {"has_critical_response_extension.pem", "ocsp.critical-extension"},
    {"missing_response.pem", "ocsp.other-certificate"},
    {"stale_response.pem", "revocation.stale"},
    {"future_response.pem", "revocation.not-yet-valid"},
    {"old_response.pem", "revocation.too-old"},
    {"produced_early_response.pem", "ocsp.produced-at"},
    {"produced_late_response.pem", "ocsp.produced-at"},
    {"invalid_response.pem", "ocsp.malformed"},
    {"invalid_response_data.pem", "ocsp.malformed"},
};

/* "why" in cases.json, in our codes. */
static const struct {
    const char *why, *codes;
} reasons[] = {
    {"no_matching_response", "ocsp.other-certificate"},
    {"error_response", "ocsp.malformed-request"},
    {"parse_response_error", "ocsp.malformed ocsp.response-type"},
    {"parse_response_data_error", "ocsp.malformed"},
    {"unhandled_critical_extension", "ocsp.critical-extension"},
    {"invalid_date", "revocation.stale revocation.not-yet-valid revocation.too-old"},
    {"bad_produced_at", "ocsp.produced-at"},
    {"provided",
     "ocsp.signature ocsp.signer ocsp.unknown-certificate ocsp.malformed"}, /* was read, but is not good */
};

static const deviation deviations[] = {
    /* the serial number is encoded 00 05, which is not DER, in the certificate too: OpenSSL reads neither */
    {"good_response_invalid_serial", "good", "unknown"},
};

/* The block's DER; freed with OPENSSL_free(). */
static uint8_t *take_block(const uint8_t *text, size_t len, const char *wanted, long *der_len)
{
    BIO *bio = BIO_new_mem_buf(text, (int)len);
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    bool found = false;
    while (!found && PEM_read_bio(bio, &name, &header, &der, der_len) == 1) {
        found = strcmp(name, wanted) == 0;
        OPENSSL_free(name);
        OPENSSL_free(header);
        if (!found)
            OPENSSL_free(der);
    }
    assert_true(found);
    BIO_free(bio);
    return der;
}

static X509 *take_certificate(const uint8_t *text, size_t len, const char *name)
{
    long der_len = 0;
    uint8_t *der = take_block(text, len, name, &der_len);
    const uint8_t *at = der;
    X509 *certificate = d2i_X509(NULL, &at, der_len);
    OPENSSL_free(der);
    return certificate;
}

static const char *refusal_of(const char *file)
{
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        if (strcmp(refusals[i].file, file) == 0)
            return refusals[i].code;
    }
    return "";
}

static const char *expected_of(const char *file, const char *status)
{
    for (size_t i = 0; i < COUNT_OF(deviations); i++) {
        size_t len = strlen(deviations[i].test);
        if (strncmp(deviations[i].test, file, len) == 0 && strcmp(file + len, ".pem") == 0) {
            assert_string_equal(status, deviations[i].expected);
            return deviations[i].ours;
        }
    }
    return status;
}

static void assert_reason(const char *file, const char *why, const char *code)
{
    assert_string_equal(code, refusal_of(file));
    for (size_t i = 0; i < COUNT_OF(reasons); i++) {
        if (strcmp(reasons[i].why, why) == 0) {
            if (code[0] != '\0' && strstr(reasons[i].codes, code) == NULL)
                fail_msg("%s: %s is none of the codes for %s", file, code, why);
            return;
        }
    }
    fail_msg("%s: nobody knows the reason %s", file, why);
}

/* For a response whose certificate cannot be read either: another one of the same issuer stands in. */
static X509 *take_stand_in(void)
{
    size_t len = 0;
    uint8_t *text = load_vector("ocsp/good_response.pem", &len);
    X509 *certificate = take_certificate(text, len, "CERTIFICATE");
    free(text);
    return certificate;
}

static void run_case(const json_t *one, est_question *question)
{
    const char *file = json_string_value(json_object_get(one, "file"));
    char name[256];
    size_t len = 0;
    long der_len = 0;
    X509 *delegate = NULL;
    snprintf(name, sizeof(name), "ocsp/%s", file);
    uint8_t *text = load_vector(name, &len);
    uint8_t *der = take_block(text, len, "OCSP RESPONSE", &der_len);
    estuary_verdict *verdict = est_verdict_new();
    question->certificate = take_certificate(text, len, "CERTIFICATE");
    question->issuer = take_certificate(text, len, "CA CERTIFICATE");
    assert_int_equal(question->certificate == NULL, strcmp(file, "good_response_invalid_serial.pem") == 0);
    if (question->certificate == NULL)
        question->certificate = take_stand_in();
    assert_int_equal(est_question_check(question, NULL), ESTUARY_OK);
    assert_int_equal(est_ocsp_judge(question, NULL, der, (size_t)der_len, verdict, &delegate, NULL),
                     ESTUARY_OK);
    const char *ours = estuary_revocation_status_name(estuary_verdict_status(verdict));
    const char *expected = expected_of(file, json_string_value(json_object_get(one, "status")));
    if (strcmp(ours, expected) != 0)
        fail_msg("%s: %s instead of %s (%s)", file, ours, expected, estuary_verdict_why(verdict));
    assert_reason(file, json_string_value(json_object_get(one, "why")), estuary_verdict_code(verdict));
    /* the one delegate there is comes without id-pkix-ocsp-nocheck */
    assert_int_equal(delegate != NULL, strcmp(file, "ocsp_sign_indirect.pem") == 0);
    if (strcmp(file, "revoke_response_reason.pem") == 0)
        assert_string_equal(estuary_verdict_reason(verdict), "keyCompromise");
    X509_free(delegate);
    estuary_verdict_free(verdict);
    X509_free(question->certificate);
    X509_free(question->issuer);
    OPENSSL_free(der);
    free(text);
}

static void test_vectors(void **unused)
{
    (void)unused;
    json_t *root = load_cases("ocsp/cases.json");
    const json_t *cases = json_object_get(root, "cases");
    est_question question = {.insecure_sha1 = true}; /* every one of them is signed with it */
    assert_true(est_time_parse(json_string_value(json_object_get(root, "verify_time")), &question.now));
    question.max_age = 86400 * json_integer_value(json_object_get(root, "max_age_days"));
    assert_int_equal(question.max_age, 7 * 86400);
    assert_int_equal(json_array_size(cases), 36);
    for (size_t i = 0; i < json_array_size(cases); i++)
        run_case(json_array_get(cases, i), &question);
    json_decref(root);
}

/* What they are signed with counts no longer. */
static void test_sha1_is_refused(void **unused)
{
    (void)unused;
    size_t len = 0;
    long der_len = 0;
    X509 *delegate = NULL;
    est_question question = {0};
    json_t *root = load_cases("ocsp/cases.json");
    uint8_t *text = load_vector("ocsp/good_response.pem", &len);
    uint8_t *der = take_block(text, len, "OCSP RESPONSE", &der_len);
    estuary_verdict *verdict = est_verdict_new();
    assert_true(est_time_parse(json_string_value(json_object_get(root, "verify_time")), &question.now));
    question.certificate = take_certificate(text, len, "CERTIFICATE");
    question.issuer = take_certificate(text, len, "CA CERTIFICATE");
    assert_int_equal(est_ocsp_judge(&question, NULL, der, (size_t)der_len, verdict, &delegate, NULL),
                     ESTUARY_OK);
    assert_int_equal(estuary_verdict_status(verdict), ESTUARY_REVOCATION_UNKNOWN);
    assert_string_equal(estuary_verdict_code(verdict), "ocsp.weak-signature");
    estuary_verdict_free(verdict);
    X509_free(question.certificate);
    X509_free(question.issuer);
    OPENSSL_free(der);
    free(text);
    json_decref(root);
}

static void test_deviations(void **unused)
{
    (void)unused;
    assert_deviations_are_documented("OCSP", deviations, COUNT_OF(deviations));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_sha1_is_refused),
        cmocka_unit_test(test_deviations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
