/* 66 CRLs made by others, through our reader and RFC 5280 6.3.3 (R4). */
#include "vectors.h"

/* What the file is about when it is refused: another reason would be luck. */
static const struct {
    const char *file, *code;
} refusals[] = {
    {"bad_crldp_has_crlissuer", "crl.issuer"},
    {"bad_fake_critical_crlentryextension", "crl.critical-extension"},
    {"bad_fake_critical_extension", "crl.critical-extension"},
    {"bad_idp_contains_wrong_uri", "crl.distribution-point"},
    {"bad_idp_onlycontainscacerts", "crl.scope"},
    {"bad_idp_onlycontainscacerts_no_basic_constraints", "crl.scope"},
    {"bad_idp_onlycontainsusercerts", "crl.scope"},
    {"bad_idp_uri_and_onlycontainscacerts", "crl.scope"},
    {"bad_idp_uri_and_onlycontainsusercerts", "crl.scope"},
    {"bad_key_rollover_signature", "crl.signature"},
    {"bad_nextupdate_too_old", "revocation.stale"},
    {"bad_signature", "crl.signature"},
    {"bad_thisupdate_in_future", "revocation.not-yet-valid"},
    {"bad_thisupdate_too_old", "revocation.too-old"},
    {"bad_wrong_issuer", "crl.no-signer"},
    {"invalid_garbage_after_crlentryextensions", "crl.malformed"},
    {"invalid_garbage_after_extensions", "crl.malformed"},
    {"invalid_garbage_after_nextupdate", "crl.malformed"},
    {"invalid_garbage_after_revocationdate", "crl.malformed"},
    {"invalid_garbage_after_revokedcerts", "crl.malformed"},
    {"invalid_garbage_after_signaturevalue", "crl.malformed"},
    {"invalid_garbage_after_thisupdate", "crl.malformed"},
    {"invalid_garbage_crlentry", "crl.malformed"},
    {"invalid_garbage_issuer_name", "crl.malformed"},
    {"invalid_garbage_revocationdate", "crl.malformed"},
    {"invalid_garbage_revoked_serial_number", "crl.malformed"},
    {"invalid_garbage_signaturealgorithm", "crl.malformed"},
    {"invalid_garbage_signaturevalue", "crl.malformed"},
    {"invalid_garbage_tbs_signature_algorithm", "crl.malformed"},
    {"invalid_garbage_tbscertlist", "crl.malformed"},
    {"invalid_garbage_thisupdate", "crl.malformed"},
    {"invalid_garbage_version", "crl.malformed"},
    {"invalid_idp_dpname_choice_extra_data", "crl.malformed"},
    {"invalid_idp_empty_sequence", "crl.malformed"},
    {"invalid_idp_onlycontains_user_and_ca_certs", "crl.malformed"},
    {"invalid_idp_onlycontainsusercerts_v1_leaf", "crl.scope"},
    {"invalid_issuer_keyusage_no_crlsign", "crl.signer-usage"},
    {"invalid_key_rollover_issuer_keyusage_no_crlsign", "crl.signer-usage"},
    {"invalid_mismatched_signature_algorithm", "crl.malformed"},
    {"invalid_revoked_empty_sequence", "crl.malformed"},
    {"invalid_v1_explicit", "crl.malformed"},
    {"invalid_v1_with_crlentryextension", "crl.malformed"},
    {"invalid_v1_with_extension", "crl.malformed"},
    {"invalid_v3", "crl.malformed"},
};

static const deviation deviations[] = {
    {"bad_idp_indirectcrl", "unknown", "good"},
};

/* The block's DER; NULL when there is none. */
static uint8_t *take_block(const uint8_t *text, size_t len, const char *wanted, long *der_len)
{
    BIO *bio = BIO_new_mem_buf(text, (int)len);
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    while (PEM_read_bio(bio, &name, &header, &der, der_len) == 1) {
        bool found = strcmp(name, wanted) == 0;
        OPENSSL_free(name);
        OPENSSL_free(header);
        if (found)
            break;
        OPENSSL_free(der);
        der = NULL;
    }
    ERR_clear_error();
    BIO_free(bio);
    return der;
}

static X509 *take_certificate(const uint8_t *text, size_t len, const char *name)
{
    long der_len = 0;
    uint8_t *der = take_block(text, len, name, &der_len);
    const uint8_t *at = der;
    X509 *certificate = der == NULL ? NULL : d2i_X509(NULL, &at, der_len);
    OPENSSL_free(der);
    return certificate;
}

static void judge(const uint8_t *text, size_t len, const est_question *question, estuary_verdict *verdict)
{
    estuary_error *err = estuary_error_new();
    est_crl_state state = {.verdict = verdict};
    long der_len = 0;
    uint8_t *der = take_block(text, len, "CRL", &der_len);
    assert_non_null(der);
    est_crl *crl = read_crl(der, (size_t)der_len, question, err);
    if (crl == NULL)
        est_verdict_unknown_because(verdict, err);
    else
        assert_int_equal(est_crl_judge(question, NULL, crl, NULL, &state, err), ESTUARY_OK);
    assert_null(state.delegates);
    est_crl_state_clear(&state);
    est_crl_free(crl);
    OPENSSL_free(der);
    estuary_error_free(err);
}

static bool is_file(const char *file, const char *name)
{
    size_t len = strlen(name);
    return strncmp(file, name, len) == 0 && strcmp(file + len, ".pem") == 0;
}

static const char *expected_code(const char *file)
{
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        if (is_file(file, refusals[i].file))
            return refusals[i].code;
    }
    return "";
}

static const char *deviating(const char *file, const char *status)
{
    for (size_t i = 0; i < COUNT_OF(deviations); i++) {
        if (is_file(file, deviations[i].test)) {
            assert_string_equal(status, deviations[i].expected);
            return deviations[i].ours;
        }
    }
    return status;
}

static void run_case(const char *file, const char *status, est_question *question)
{
    char name[256];
    size_t len = 0;
    snprintf(name, sizeof(name), "crl/%s", file);
    uint8_t *text = load_vector(name, &len);
    estuary_verdict *verdict = est_verdict_new();
    X509 *other = take_certificate(text, len, "CA CERTIFICATE 2");
    STACK_OF(X509) *helpers = sk_X509_new_null();
    assert_true(other == NULL || sk_X509_push(helpers, other) > 0);
    question->certificate = take_certificate(text, len, "CERTIFICATE");
    question->issuer = take_certificate(text, len, "CA CERTIFICATE");
    question->helpers = helpers;
    assert_int_equal(est_question_check(question, NULL), ESTUARY_OK);
    judge(text, len, question, verdict);
    const char *ours = estuary_revocation_status_name(estuary_verdict_status(verdict));
    if (strcmp(ours, deviating(file, status)) != 0 ||
        strcmp(estuary_verdict_code(verdict), expected_code(file)) != 0)
        fail_msg("%s: %s, %s: %s", file, ours, estuary_verdict_code(verdict), estuary_verdict_why(verdict));
    estuary_verdict_free(verdict);
    sk_X509_pop_free(helpers, X509_free);
    X509_free(question->certificate);
    X509_free(question->issuer);
    free(text);
}

static void test_vectors(void **unused)
{
    (void)unused;
    json_t *root = load_cases("crl/cases.json");
    const json_t *cases = json_object_get(root, "cases");
    est_question question = {.skew = 300};
    assert_true(est_time_parse(json_string_value(json_object_get(root, "verify_time")), &question.now));
    question.max_age = 86400 * json_integer_value(json_object_get(root, "max_age_days"));
    assert_int_equal(question.max_age, 7 * 86400);
    assert_int_equal(json_array_size(cases), 66);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *one = json_array_get(cases, i);
        run_case(json_string_value(json_object_get(one, "file")),
                 json_string_value(json_object_get(one, "status")), &question);
    }
    json_decref(root);
}

static void test_deviations(void **unused)
{
    (void)unused;
    assert_deviations_are_documented("CRL", deviations, COUNT_OF(deviations));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_deviations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
