/* An enrolment across a restart (E7): resumed only for the same server, label, operation and key. */
#include "small_est.h"

#include <jansson.h>
#include <stdlib.h>

static small_est s;

static char *save(const estuary_enrollment *enrollment)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    assert_ok(estuary_enrollment_save(enrollment, &bytes, &len, s.err), s.err);
    char *text = est_strndup((const char *)bytes, len);
    OPENSSL_free(bytes);
    return text;
}

static estuary_status load(const char *text, EVP_PKEY *key, estuary_enrollment **out)
{
    *out = (estuary_enrollment *)&out;
    return estuary_enrollment_load((const uint8_t *)text, strlen(text), key, out, s.err);
}

static estuary_enrollment *pending(void)
{
    estuary_next next;
    estuary_enrollment *enrollment = small_enroll(&s);
    estuary_exchange *x = small_exchange(&s, ESTUARY_OP_SIMPLEENROLL, enrollment, NULL);
    assert_ok(small_step(&s, x, &(small_response){202, NULL, NULL, "Retry-After", "60"}, &next), s.err);
    estuary_exchange_free(x);
    return enrollment;
}

static void round_trip(void **state)
{
    (void)state;
    EVP_PKEY *keys[] = {s.key, NULL};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        estuary_enrollment *before = pending(), *after = NULL;
        char *text = save(before);
        assert_null(strstr(text, "PRIVATE"));
        assert_ok(load(text, keys[i], &after), s.err);
        assert_int_equal(estuary_enrollment_state(after), ESTUARY_STATE_PENDING);
        assert_int_equal(estuary_enrollment_operation(after), ESTUARY_OP_SIMPLEENROLL);
        assert_int_equal(estuary_enrollment_retry_at(after), NOW + 60);
        assert_int_equal(estuary_enrollment_polls(after), 1);
        assert_true(est_server_equal(estuary_enrollment_get0_server(after), s.server));
        char *again = save(after);
        assert_string_equal(again, text); /* the request included: byte for byte */
        est_free(again);
        est_free(text);
        estuary_enrollment_free(before);
        estuary_enrollment_free(after);
    }
}

static void ready_label_and_old(void **state)
{
    (void)state;
    estuary_server *labelled = NULL, *plain = s.server;
    estuary_enrollment *first = small_enroll(&s), *before = NULL, *after = NULL;
    X509 *old = small_issue_for(s.root, s.ca_key, (X509_REQ *)estuary_enrollment_get0_request(first));
    assert_ok(estuary_server_parse("https://est.example:8443/pki", "label", &labelled, s.err), s.err);
    s.server = labelled;
    assert_ok(small_try_enroll(&s, ESTUARY_OP_SIMPLEREENROLL,
                               small_csr(&s, "CN=device 1,O=Example", "device.example"), s.other_key, old,
                               &before),
              s.err);
    s.server = plain;
    char *text = save(before);
    assert_ok(load(text, s.other_key, &after), s.err);
    assert_int_equal(estuary_enrollment_state(after), ESTUARY_STATE_READY);
    assert_int_equal(estuary_enrollment_operation(after), ESTUARY_OP_SIMPLEREENROLL);
    assert_string_equal(estuary_server_url(estuary_enrollment_get0_server(after)),
                        "https://est.example:8443/pki");
    assert_string_equal(estuary_server_label(estuary_enrollment_get0_server(after)), "label");
    assert_int_equal(X509_cmp(after->old, old), 0);
    estuary_enrollment_free(after);
    json_t *object = json_loads(text, 0, NULL); /* what is to be renewed must be known */
    assert_int_equal(json_object_del(object, "old_certificate"), 0);
    char *without = json_dumps(object, 0);
    assert_failed(load(without, s.other_key, &after), s.err, "config.pending-state");
    free(without);
    json_decref(object);
    est_free(text);
    X509_free(old);
    estuary_enrollment_free(before);
    estuary_enrollment_free(first);
    estuary_server_free(labelled);
}

static void another_key_is_refused(void **state)
{
    (void)state;
    estuary_enrollment *before = pending(), *after = NULL;
    char *text = save(before);
    assert_failed(load(text, s.other_key, &after), s.err, "key.mismatch");
    assert_null(after);
    est_free(text);
    estuary_enrollment_free(before);
}

/* E7: not byte-identical when channel-bound; then signed again with the same key */
static void a_bound_one_is_signed_again(void **state)
{
    (void)state;
    const estuary_http_request *request = NULL;
    estuary_enrollment *before = small_enroll(&s), *after = NULL;
    estuary_exchange *x = small_exchange(&s, ESTUARY_OP_SIMPLEENROLL, before, NULL);
    assert_ok(estuary_exchange_request(x, (const uint8_t *)"first", 5, &request, s.err), s.err);
    estuary_exchange_free(x);
    char *text = save(before);
    assert_failed(load(text, NULL, &after), s.err, "key.cannot-sign");
    assert_failed(load(text, s.other_key, &after), s.err, "key.mismatch");
    assert_ok(load(text, s.key, &after), s.err);
    x = small_exchange(&s, ESTUARY_OP_SIMPLEENROLL, after, NULL);
    assert_failed(estuary_exchange_request(x, NULL, 0, &request, s.err), s.err, "usage.argument");
    assert_ok(estuary_exchange_request(x, (const uint8_t *)"second", 6, &request, s.err), s.err);
    X509_REQ *req = small_read_request(request);
    char *challenge = small_challenge(req);
    assert_string_equal(challenge, "c2Vjb25k");
    assert_int_equal(X509_NAME_cmp(X509_REQ_get_subject_name(req),
                                   X509_REQ_get_subject_name(estuary_enrollment_get0_request(before))),
                     0);
    GENERAL_NAMES *a = NULL, *b = NULL;
    assert_true(est_request_san(req, &a) && est_request_san(estuary_enrollment_get0_request(before), &b));
    assert_non_null(a);
    assert_true(est_general_names_equal(a, b));
    GENERAL_NAMES_free(a);
    GENERAL_NAMES_free(b);
    OPENSSL_free(challenge);
    X509_REQ_free(req);
    estuary_exchange_free(x);
    est_free(text);
    estuary_enrollment_free(before);
    estuary_enrollment_free(after);
}

static void assert_broken(const json_t *object, const char *what)
{
    estuary_enrollment *after = NULL;
    char *text = json_dumps(object, 0);
    estuary_status status = load(text, s.key, &after);
    if (status != ESTUARY_E_CONFIG || strcmp(estuary_error_code(s.err), "config.pending-state") != 0)
        fail_msg("%s gives \"%s\"", what, estuary_error_code(s.err));
    assert_null(after);
    free(text);
}

static void every_field_missing_or_of_another_type(void **state)
{
    (void)state;
    static const char *const fields[] = {"version",  "operation", "server", "label",  "state",
                                         "retry_at", "polls",     "bound",  "request"};
    estuary_enrollment *before = pending();
    char *text = save(before);
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        json_t *object = json_loads(text, 0, NULL);
        const json_t *value = json_object_get(object, fields[i]);
        assert_non_null(value);
        bool was_text = json_is_string(value);
        json_t *others[] = {json_null(), json_array(), json_object(), json_real(1.5),
                            was_text ? json_integer(1) : json_string("1")};
        for (size_t k = 0; k < COUNT_OF(others); k++) {
            assert_int_equal(json_object_set_new(object, fields[i], others[k]), 0);
            assert_broken(object, fields[i]);
        }
        assert_int_equal(json_object_del(object, fields[i]), 0);
        assert_broken(object, fields[i]);
        json_decref(object);
    }
    est_free(text);
    estuary_enrollment_free(before);
}

static void senseless_values(void **state)
{
    (void)state;
    static const struct {
        const char *field, *json;
    } rows[] = {
        {"version", "0"},
        {"version", "2"},
        {"operation", "\"cacerts\""},
        {"operation", "\"csrattrs\""},
        {"operation", "\"SIMPLEENROLL\""},
        {"operation", "\"\""},
        {"server", "\"http://est.example\""},
        {"server", "\"https://user:secret@est.example\""},
        {"server", "\"\""},
        {"label", "\"cacerts\""},
        {"label", "\"a/b\""},
        {"state", "\"issued\""},
        {"state", "\"failed\""},
        {"state", "\"PENDING\""},
        {"state", "\"\""},
        {"retry_at", "-1"},
        {"polls", "-1"},
        {"request", "\"\""},
        {"request", "\"*\""},
        {"request", "\"MAA=\""},
        {"request", "\"-----BEGIN CERTIFICATE REQUEST-----\""},
        {"old_certificate", "\"MAA=\""},
        {"old_certificate", "1"},
        {"old_certificate", "null"},
    };
    estuary_enrollment *before = pending();
    char *text = save(before);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        json_t *object = json_loads(text, 0, NULL);
        assert_int_equal(
            json_object_set_new(object, rows[i].field, json_loads(rows[i].json, JSON_DECODE_ANY, NULL)), 0);
        assert_broken(object, rows[i].json);
        json_decref(object);
    }
    est_free(text);
    estuary_enrollment_free(before);
}

static void a_damaged_request(void **state)
{
    (void)state;
    estuary_enrollment *before = pending();
    char *text = save(before), *encoded = NULL;
    unsigned char *der = NULL;
    int len = i2d_X509_REQ(estuary_enrollment_get0_request(before), &der);
    json_t *object = json_loads(text, 0, NULL);
    der[len - 1] ^= 1; /* the signature */
    assert_ok(est_base64_encode(der, (size_t)len, &encoded, s.err), s.err);
    assert_int_equal(json_object_set_new(object, "request", json_string(encoded)), 0);
    assert_broken(object, "a damaged signature");
    est_free(encoded);
    der[len - 1] ^= 1;
    der = OPENSSL_realloc(der, (size_t)len + 1);
    der[len] = 0;
    assert_ok(est_base64_encode(der, (size_t)len + 1, &encoded, s.err), s.err);
    assert_int_equal(json_object_set_new(object, "request", json_string(encoded)), 0);
    assert_broken(object, "a byte too many");
    est_free(encoded);
    OPENSSL_free(der);
    json_decref(object);
    est_free(text);
    estuary_enrollment_free(before);
}

static void broken_json(void **state)
{
    (void)state;
    estuary_enrollment *before = pending(), *after = NULL;
    char *text = save(before);
    size_t len = strlen(text);
    for (size_t cut = 0; cut < len; cut++)
        assert_failed(estuary_enrollment_load((const uint8_t *)text, cut, s.key, &after, s.err), s.err,
                      "config.pending-state");
    char *twice = est_printf("{\"version\": 1, %s", text + 1);
    assert_failed(load(twice, s.key, &after), s.err, "config.pending-state");
    est_free(twice);
    char *trailing = est_printf("%s {}", text);
    assert_failed(load(trailing, s.key, &after), s.err, "config.pending-state");
    est_free(trailing);
    static const char *const rows[] = {"", "null", "[]", "1", "\"x\"", "{}", "{", "\xff", "\x7f\x45LF"};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_failed(load(rows[i], s.key, &after), s.err, "config.pending-state");
    size_t large = 256 * 1024 + 1;
    char *blanks = est_alloc(large + 1);
    memset(blanks, ' ', large);
    memcpy(blanks, text, len);
    assert_failed(load(blanks, s.key, &after), s.err, "config.pending-state");
    blanks[large - 1] = '\0'; /* one less is only white space after the end */
    assert_ok(load(blanks, s.key, &after), s.err);
    estuary_enrollment_free(after);
    est_free(blanks);
    est_free(text);
    estuary_enrollment_free(before);
}

static void only_what_is_on_its_way_is_saved(void **state)
{
    (void)state;
    uint8_t *bytes = (uint8_t *)&bytes;
    size_t len = 1;
    estuary_enrollment *enrollment = small_enroll(&s);
    X509 *cert = small_issue_for(s.root, s.ca_key, (X509_REQ *)estuary_enrollment_get0_request(enrollment));
    STACK_OF(X509) *stack = sk_X509_new_null();
    assert_true(sk_X509_push(stack, cert) > 0);
    assert_ok(est_enrollment_take_certs(enrollment, stack, s.err), s.err);
    assert_ok(estuary_enrollment_check(enrollment, s.anchors, NULL, time(NULL), NULL, s.err), s.err);
    assert_failed(estuary_enrollment_save(enrollment, &bytes, &len, s.err), s.err, "usage.argument");
    assert_null(bytes);
    assert_int_equal(len, 0);
    enrollment->state = ESTUARY_STATE_FAILED;
    assert_failed(estuary_enrollment_save(enrollment, &bytes, &len, s.err), s.err, "usage.argument");
    sk_X509_pop_free(stack, X509_free);
    estuary_enrollment_free(enrollment);
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
        cmocka_unit_test(round_trip),
        cmocka_unit_test(ready_label_and_old),
        cmocka_unit_test(another_key_is_refused),
        cmocka_unit_test(a_bound_one_is_signed_again),
        cmocka_unit_test(every_field_missing_or_of_another_type),
        cmocka_unit_test(senseless_values),
        cmocka_unit_test(a_damaged_request),
        cmocka_unit_test(broken_json),
        cmocka_unit_test(only_what_is_on_its_way_is_saved),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
