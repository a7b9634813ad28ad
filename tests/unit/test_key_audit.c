/* What is recorded of keys outside tokens, and what a record may say of a key (K7, O3, O6). */
#include "support.h"

#include "key/key.h"

#include <estuary/token.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char last[2048];
static unsigned records;

static void remember(void *arg, estuary_log_level level, const char *event, const char *message,
                     const estuary_log_field *fields, size_t n)
{
    estuary_log_level *seen = arg;
    size_t used = (size_t)snprintf(last, sizeof(last), "%s", event);
    assert_string_not_equal(message, "");
    for (size_t i = 0; i < n && used < sizeof(last); i++)
        used += (size_t)snprintf(last + used, sizeof(last) - used, "|%s=%s", fields[i].name, fields[i].value);
    *seen = level;
    records++;
}

typedef struct state {
    estuary_error *err;
    estuary_log *log;
    estuary_metrics *metrics;
    estuary_log_level level;
} state;

static int begin(void **s)
{
    state *st = est_alloc(sizeof(*st));
    st->err = estuary_error_new();
    assert_ok(estuary_log_new(ESTUARY_LOG_AUDIT, remember, &st->level, &st->log, st->err), st->err);
    assert_ok(estuary_metrics_new(&st->metrics, st->err), st->err);
    estuary_process_set_key_records(st->log, st->metrics);
    last[0] = '\0';
    records = 0;
    *s = st;
    return 0;
}

static int end(void **s)
{
    state *st = *s;
    estuary_process_set_key_records(NULL, NULL);
    estuary_log_free(st->log);
    estuary_metrics_free(st->metrics);
    estuary_error_free(st->err);
    est_free(st);
    return 0;
}

/* An alarm on the first of them needs a 0 before it (O6). */
static void counters_are_there_before_the_first_event(void **s)
{
    state *st = *s;
    char *text = NULL;
    assert_ok(estuary_metrics_to_prometheus(st->metrics, &text, st->err), st->err);
    assert_string_equal(text,
                        "key_pin_failures_total 0\nkey_sessions_closed_total 0\nkey_sessions_opened_total 0\n"
                        "keys_deleted_total 0\nkeys_generated_total 0\n");
    OPENSSL_free(text);
}

/* Whatever else stands in a URI, no record repeats what may be a PIN. */
static void names_are_harmless(void **s)
{
    state *st = *s;
    static const struct {
        const char *key, *recorded;
    } rows[] = {
        {"pkcs11:token=t;object=o", "key.open|outcome=done|key=pkcs11:token=t;object=o"},
        {"pkcs11:token=t;object=o?pin-value=1234", "key.open|outcome=done|key=pkcs11:token=t;object=o"},
        {"pkcs11:object=o;pin-value=1234;id=%01", "key.open|outcome=done|key=pkcs11:object=o;id=%01"},
        {"PKCS11:1234;token=;serial=7", "key.open|outcome=done|key=pkcs11:serial=7"},
        {"pkcs11:?pin-source=/run/pin", "key.open|outcome=done|key=pkcs11:"},
        {"pkcs11:x-secret=1234", "key.open|outcome=done|key=pkcs11:"},
        {"tpm2:dev\nice.tss2", "key.open|outcome=done|key=tpm2:dev ice.tss2"},
        {NULL, "key.open|outcome=done"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(est_key_audit(EST_KEY_OP_OPEN, rows[i].key, NULL, ESTUARY_OK, st->err), ESTUARY_OK);
        assert_string_equal(last, rows[i].recorded);
        assert_int_equal(st->level, ESTUARY_LOG_AUDIT);
    }
    estuary_status status = est_fail(st->err, EST_KEY_PIN, NULL);
    assert_int_equal(est_key_audit(EST_KEY_OP_UNWRAP, "handle:0x81000001", "77", status, st->err), status);
    assert_string_equal(last, "key.unwrap|outcome=failed|code=key.pin|key=handle:0x81000001|serial=77");
    assert_int_equal(est_key_audit(EST_KEY_OP_WRAP, NULL, NULL, ESTUARY_E_KEY, NULL), ESTUARY_E_KEY);
    assert_string_equal(last, "key.wrap|outcome=failed");
    est_key_warn("key.unverified", "a warning", "pkcs11:object=o?pin-value=1234");
    assert_string_equal(last, "key.unverified|key=pkcs11:object=o");
    assert_int_equal(st->level, ESTUARY_LOG_WARNING);
}

static void every_operation_has_its_event(void **s)
{
    state *st = *s;
    static const struct {
        est_key_operation operation;
        const char *event, *counter;
    } rows[] = {{EST_KEY_OP_LOGIN, "key.login|outcome=done", "key_logins_total"},
                {EST_KEY_OP_OPEN, "key.open|outcome=done", "keys_opened_total"},
                {EST_KEY_OP_FIND, "key.find|outcome=done", NULL},
                {EST_KEY_OP_LIST, "key.list|outcome=done", NULL},
                {EST_KEY_OP_SHOW, "key.show|outcome=done", NULL},
                {EST_KEY_OP_GENERATE, "key.generate|outcome=done", "keys_generated_total"},
                {EST_KEY_OP_DELETE, "key.delete|outcome=done", "keys_deleted_total"},
                {EST_KEY_OP_SIGN, "key.sign|outcome=done", "key_signatures_total"},
                {EST_KEY_OP_DECRYPT, "key.decrypt|outcome=done", "key_decryptions_total"},
                {EST_KEY_OP_DERIVE, "key.derive|outcome=done", "key_derivations_total"},
                {EST_KEY_OP_ENCRYPT, "key.encrypt|outcome=done", "key_encryptions_total"},
                {EST_KEY_OP_WRAP, "key.wrap|outcome=done", "keys_wrapped_total"},
                {EST_KEY_OP_UNWRAP, "key.unwrap|outcome=done", "keys_unwrapped_total"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        (void)est_key_audit(rows[i].operation, NULL, NULL, ESTUARY_E_KEY, NULL);
        if (rows[i].counter != NULL)
            assert_int_equal(estuary_metrics_get(st->metrics, rows[i].counter), 0);
        (void)est_key_audit(rows[i].operation, NULL, NULL, ESTUARY_OK, NULL);
        assert_string_equal(last, rows[i].event);
        if (rows[i].counter != NULL)
            assert_int_equal(estuary_metrics_get(st->metrics, rows[i].counter), 1);
    }
    assert_int_equal(estuary_metrics_get(st->metrics, "key_operations_total"), 2 * COUNT_OF(rows));
    assert_int_equal(estuary_metrics_get(st->metrics, "key_operations_failed_total"), COUNT_OF(rows));
}

static void keys_in_files(void **s)
{
    state *st = *s;
    char folder[] = "/tmp/estuary-audit-XXXXXX", path[64], expected[128];
    EVP_PKEY *key = NULL;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/key.pem", folder);
    assert_failed(estuary_key_open(path, NULL, 0, &key, st->err), st->err, "key.file");
    (void)snprintf(expected, sizeof(expected), "key.open|outcome=failed|code=key.file|key=%s", path);
    assert_string_equal(last, expected);
    assert_ok(estuary_key_create("ec:P-256", path, NULL, &key, st->err), st->err);
    (void)snprintf(expected, sizeof(expected), "key.generate|outcome=done|key=%s", path);
    assert_string_equal(last, expected);
    EVP_PKEY_free(key);
    assert_ok(estuary_key_open(path, NULL, ESTUARY_KEY_INSECURE_UNVERIFIED, &key, st->err), st->err);
    (void)snprintf(expected, sizeof(expected), "key.open|outcome=done|key=%s", path);
    assert_string_equal(last, expected);
    EVP_PKEY_free(key);
    assert_int_equal(records, 3);
    assert_int_equal(estuary_metrics_get(st->metrics, "keys_generated_total"), 1);
    assert_int_equal(estuary_metrics_get(st->metrics, "insecure_unverified_keys_total"), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static estuary_status sign_badly(void *arg, const estuary_sign_input *input, uint8_t *out, size_t *len,
                                 estuary_error *err)
{
    (void)input, (void)err;
    memcpy(out, arg, 3);
    *len = 3;
    return ESTUARY_OK;
}

/* A signature that does not verify is a failed operation, whatever the signer says. */
static void keys_of_signers(void **s)
{
    state *st = *s;
    static const estuary_signer signer = {.size = sizeof(signer), .sign = sign_badly};
    EVP_PKEY *whole = NULL, *key = NULL;
    uint8_t signature[256], digest[32] = {1};
    size_t len = sizeof(signature);
    char bad[] = "bad";
    assert_ok(estuary_key_generate("ec:P-256", &whole, st->err), st->err);
    assert_ok(estuary_key_from_signer(whole, &signer, bad, &key, st->err), st->err);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    assert_int_equal(EVP_PKEY_sign_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()), 1);
    assert_int_equal(EVP_PKEY_sign(context, signature, &len, digest, sizeof(digest)), 0);
    static const char start[] = "key.sign|outcome=failed|code=key.signature|key=signer:";
    assert_memory_equal(last, start, strlen(start));
    assert_int_equal(strlen(last), strlen(start) + 64);
    assert_int_equal(strspn(last + strlen(start), "0123456789abcdef"), 64);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
    EVP_PKEY_free(whole);
}

static void nobody_listens(void **s)
{
    state *st = *s;
    estuary_process_set_key_records(NULL, NULL);
    assert_int_equal(est_key_audit(EST_KEY_OP_OPEN, "a", NULL, ESTUARY_OK, NULL), ESTUARY_OK);
    est_key_count("key_sessions_opened_total");
    assert_int_equal(records, 0);
    assert_int_equal(estuary_metrics_get(st->metrics, "key_sessions_opened_total"), 0);
    /* either alone will do, and the reference is the process's own */
    estuary_process_set_key_records(NULL, st->metrics);
    est_key_count("key_sessions_opened_total");
    assert_int_equal(estuary_metrics_get(st->metrics, "key_sessions_opened_total"), 1);
    estuary_process_set_key_records(st->log, NULL);
    estuary_log_free(st->log);
    st->log = NULL;
    (void)est_key_audit(EST_KEY_OP_OPEN, "a", NULL, ESTUARY_OK, NULL);
    assert_int_equal(records, 1);
    assert_int_equal(estuary_metrics_get(st->metrics, "key_operations_total"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counters_are_there_before_the_first_event, begin, end),
        cmocka_unit_test_setup_teardown(names_are_harmless, begin, end),
        cmocka_unit_test_setup_teardown(every_operation_has_its_event, begin, end),
        cmocka_unit_test_setup_teardown(keys_in_files, begin, end),
        cmocka_unit_test_setup_teardown(keys_of_signers, begin, end),
        cmocka_unit_test_setup_teardown(nobody_listens, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
