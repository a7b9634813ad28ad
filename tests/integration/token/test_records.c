/* Each use of a key leaves a record and is counted (K7, O3, O6); neither shows a PIN. */
#include "small_ca.h"
#include "softhsm.h"

#include "key/key.h"

#include <estuary/token.h>
#include <openssl/ec.h>

#define URI(path) "pkcs11:token=estuary;" path "?module-path=" SOFTHSM_MODULE

typedef struct state {
    estuary_error *err;
    estuary_secret *pin, *wrong;
    estuary_log *log;
    estuary_metrics *metrics;
    est_buf text; /* one line a record: event|outcome|code|key|serial */
} state;

static const char *field(const estuary_log_field *fields, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(fields[i].name, name) == 0)
            return fields[i].value;
    }
    return "";
}

static void collect(void *arg, estuary_log_level level, const char *event, const char *message,
                    const estuary_log_field *fields, size_t n)
{
    state *st = arg;
    assert_int_equal(level, ESTUARY_LOG_AUDIT);
    assert_string_not_equal(message, "");
    char *line = est_printf("%s|%s|%s|%s|%s\n", event, field(fields, n, "outcome"), field(fields, n, "code"),
                            field(fields, n, "key"), field(fields, n, "serial"));
    assert_non_null(line);
    assert_null(strstr(message, SOFTHSM_PIN));
    assert_int_equal(est_buf_append(&st->text, line, strlen(line)), EST_APPEND_OK);
    est_free(line);
}

static int begin(void **s)
{
    state *st = est_alloc(sizeof(*st));
    st->text.max = 1 << 20;
    st->err = estuary_error_new();
    assert_int_equal(estuary_secret_new(SOFTHSM_PIN, strlen(SOFTHSM_PIN), &st->pin, NULL), ESTUARY_OK);
    assert_int_equal(estuary_secret_new("wrong-9876", 10, &st->wrong, NULL), ESTUARY_OK);
    assert_int_equal(estuary_log_new(ESTUARY_LOG_AUDIT, collect, st, &st->log, NULL), ESTUARY_OK);
    assert_int_equal(estuary_metrics_new(&st->metrics, NULL), ESTUARY_OK);
    estuary_process_set_key_records(st->log, st->metrics);
    *s = st;
    return 0;
}

static int end(void **s)
{
    state *st = *s;
    estuary_process_set_key_records(NULL, NULL);
    estuary_log_free(st->log);
    estuary_metrics_free(st->metrics);
    estuary_secret_free(st->pin);
    estuary_secret_free(st->wrong);
    estuary_error_free(st->err);
    est_buf_free(&st->text);
    est_free(st);
    return 0;
}

/* The records since the last call are these, in this order: "event|outcome|code"; then they are forgotten. */
static void assert_records(state *st, const char *const *expected, size_t n)
{
    const char *at = st->text.data == NULL ? "" : (const char *)st->text.data;
    for (size_t i = 0; i < n; i++) {
        if (strncmp(at, expected[i], strlen(expected[i])) != 0 || at[strlen(expected[i])] != '|')
            fail_msg("record %zu is not %s: %s", i, expected[i], at);
        at = strchr(at, '\n') + 1;
    }
    assert_string_equal(at, "");
    st->text.len = 0;
    if (st->text.data != NULL)
        st->text.data[0] = '\0';
}
#define ASSERT_RECORDS(st, ...)                                                                              \
    do {                                                                                                     \
        static const char *const expected_records[] = {__VA_ARGS__};                                         \
        assert_records(st, expected_records, COUNT_OF(expected_records));                                    \
    } while (0)

static void assert_says(const state *st, const char *text)
{
    assert_non_null(st->text.data);
    if (strstr((const char *)st->text.data, text) == NULL)
        fail_msg("no record says %s:\n%s", text, (const char *)st->text.data);
}

static bool is_there(void **s)
{
    (void)s;
    if (softhsm_folder[0] == '\0' && !softhsm_start()) {
        print_message("skipped: SoftHSM (package softhsm2) is not installed\n");
        return false;
    }
    return true;
}
#define REQUIRED(s)                                                                                          \
    if (!is_there(s))                                                                                        \
    skip()

static EVP_PKEY *public_half(const EVP_PKEY *key)
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    const unsigned char *p = der;
    EVP_PKEY *half = d2i_PUBKEY(NULL, &p, len);
    OPENSSL_free(der);
    assert_non_null(half);
    return half;
}

static void decrypts(EVP_PKEY *key)
{
    uint8_t sealed[512], opened[512];
    size_t sealed_len = sizeof(sealed), len = sizeof(opened);
    EVP_PKEY *half = public_half(key);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(half, NULL);
    assert_int_equal(EVP_PKEY_encrypt_init(context), 1);
    assert_int_equal(EVP_PKEY_encrypt(context, sealed, &sealed_len, (const uint8_t *)"value-x", 7), 1);
    EVP_PKEY_CTX_free(context);
    context = EVP_PKEY_CTX_new(key, NULL);
    assert_int_equal(EVP_PKEY_decrypt_init(context), 1);
    assert_int_equal(EVP_PKEY_decrypt(context, opened, &len, sealed, sealed_len), 1);
    EVP_PKEY_CTX_free(context);
    assert_int_equal(len, 7);
    EVP_PKEY_free(half);
}

static void derives(EVP_PKEY *key)
{
    EVP_PKEY *whole = EVP_EC_gen("P-256"), *peer = public_half(whole);
    uint8_t secret[64];
    size_t len = sizeof(secret);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    assert_int_equal(EVP_PKEY_derive_init(context), 1);
    assert_int_equal(EVP_PKEY_derive_set_peer(context, peer), 1);
    assert_int_equal(EVP_PKEY_derive(context, secret, &len), 1);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(whole);
}

static void test_a_keys_life(void **s)
{
    state *st = *s;
    REQUIRED(s);
    EVP_PKEY *key = NULL, *other = NULL;
    estuary_token *token = NULL;
    char *name = NULL;
    assert_ok(estuary_token_generate("ec:P-256", URI("object=life;id=%01"), st->pin, &key, st->err), st->err);
    assert_says(st, "key.generate|done||pkcs11:token=estuary;serial=");
    assert_says(st, ";object=life;id=%01;type=private|");
    assert_null(strstr((const char *)st->text.data, "module-path"));
    ASSERT_RECORDS(st, "key.login|done|", "key.generate|done|");
    assert_ok(small_sign_with(key, st->err), st->err);
    assert_says(st, ";object=life;id=%01;type=private|");
    ASSERT_RECORDS(st, "key.sign|done|");
    derives(key);
    ASSERT_RECORDS(st, "key.derive|done|");
    assert_ok(estuary_key_create("rsa:2048", URI("object=rsa"), st->pin, &other, st->err), st->err);
    decrypts(other);
    ASSERT_RECORDS(st, "key.generate|done|", "key.decrypt|done|");
    EVP_PKEY_free(other);
    assert_ok(estuary_key_open(URI("object=life"), st->pin, 0, &other, st->err), st->err);
    assert_says(st, ";object=life;id=%01;type=private|");
    EVP_PKEY_free(other);
    assert_ok(estuary_token_key_name(URI("object=life"), st->pin, &name, st->err), st->err);
    OPENSSL_free(name);
    assert_ok(estuary_token_open(URI("type=private"), st->pin, &token, st->err), st->err);
    char serial[80];
    (void)snprintf(serial, sizeof(serial), "|%s\n", estuary_token_serial(token));
    estuary_token_free(token);
    assert_ok(estuary_token_open(URI("object=life"), st->pin, &token, st->err), st->err);
    estuary_token_free(token);
    assert_says(st, serial);
    ASSERT_RECORDS(st, "key.open|done|", "key.find|done|", "key.list|done|", "key.show|done|");
    assert_ok(estuary_token_delete(URI("object=life"), st->pin, st->err), st->err);
    assert_ok(estuary_token_delete(URI("object=rsa"), st->pin, st->err), st->err);
    assert_failed(estuary_token_delete(URI("object=life"), st->pin, st->err), st->err, "key.not-found");
    assert_says(st, "key.delete|failed|key.not-found|pkcs11:token=estuary;object=life|");
    ASSERT_RECORDS(st, "key.delete|done|", "key.delete|done|", "key.delete|failed|key.not-found");
    /* the object is gone, so the key that is still open fails, and says so */
    assert_int_not_equal(small_sign_with(key, st->err), ESTUARY_OK);
    assert_says(st, "key.sign|failed|key.");
    EVP_PKEY_free(key);
    static const struct {
        const char *name;
        uint64_t value;
    } rows[] = {{"keys_generated_total", 2},
                {"keys_deleted_total", 2},
                {"keys_opened_total", 1},
                {"key_signatures_total", 1},
                {"key_decryptions_total", 1},
                {"key_derivations_total", 1},
                {"key_logins_total", 1},
                {"key_operations_total", 14},
                {"key_pin_failures_total", 0},
                {"key_operations_failed_total", 2},
                {"insecure_unverified_keys_total", 0}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (estuary_metrics_get(st->metrics, rows[i].name) != rows[i].value)
            fail_msg("%s is %llu", rows[i].name,
                     (unsigned long long)estuary_metrics_get(st->metrics, rows[i].name));
    }
    uint64_t opened = estuary_metrics_get(st->metrics, "key_sessions_opened_total");
    assert_true(opened >= 3);
    assert_int_equal(estuary_metrics_get(st->metrics, "key_sessions_closed_total"), opened);
}

static void test_wrong_pins(void **s)
{
    state *st = *s;
    REQUIRED(s);
    EVP_PKEY *key = NULL;
    assert_failed(estuary_key_open(URI("object=x"), st->wrong, 0, &key, st->err), st->err, "key.pin");
    ASSERT_RECORDS(st, "key.login|failed|key.pin", "key.open|failed|key.pin");
    assert_failed(estuary_key_open(URI("object=x"), NULL, 0, &key, st->err), st->err, "key.pin-needed");
    ASSERT_RECORDS(st, "key.login|failed|key.pin-needed", "key.open|failed|key.pin-needed");
    assert_failed(estuary_key_open(URI("object=x") "&pin-value=" SOFTHSM_PIN, NULL, 0, &key, st->err),
                  st->err, "usage.pin-literal");
    assert_int_not_equal(
        estuary_key_open("pkcs11:object=x;pin-value=" SOFTHSM_PIN ";" SOFTHSM_PIN, NULL, 0, &key, st->err),
        ESTUARY_OK);
    assert_null(strstr((const char *)st->text.data, SOFTHSM_PIN));
    assert_null(strstr((const char *)st->text.data, "wrong-9876"));
    assert_says(st, "key.open|failed|usage.pin-literal|pkcs11:token=estuary;object=x|");
    assert_int_equal(estuary_metrics_get(st->metrics, "key_pin_failures_total"), 1);
    assert_int_equal(estuary_metrics_get(st->metrics, "key_logins_total"), 0);
    assert_int_equal(estuary_metrics_get(st->metrics, "key_sessions_opened_total"),
                     estuary_metrics_get(st->metrics, "key_sessions_closed_total"));
    /* without an error object the record still says why */
    assert_int_equal(estuary_token_generate("ec:P-256", URI("object=x"), st->wrong, &key, NULL),
                     ESTUARY_E_KEY);
    assert_says(st, "key.login|failed|key.pin|");
}

/* Rule 5 of the house: an opt-out is said and counted. */
static void warned(void *arg, estuary_log_level level, const char *event, const char *message,
                   const estuary_log_field *fields, size_t n)
{
    int *warnings = arg;
    assert_int_equal(level, ESTUARY_LOG_WARNING);
    assert_string_equal(event, "key.unverified");
    assert_string_not_equal(message, "");
    assert_non_null(strstr(field(fields, n, "key"), "object=trusting"));
    (*warnings)++;
}

static void test_unverified(void **s)
{
    state *st = *s;
    REQUIRED(s);
    EVP_PKEY *key = NULL;
    estuary_log *log = NULL;
    int warnings = 0;
    assert_int_equal(estuary_log_new(ESTUARY_LOG_WARNING, warned, &warnings, &log, NULL), ESTUARY_OK);
    estuary_process_set_key_records(log, st->metrics);
    assert_ok(estuary_token_generate("ec:P-256", URI("object=trusting"), st->pin, &key, st->err), st->err);
    EVP_PKEY_free(key);
    assert_int_equal(warnings, 0);
    assert_ok(
        estuary_key_open(URI("object=trusting"), st->pin, ESTUARY_KEY_INSECURE_UNVERIFIED, &key, st->err),
        st->err);
    assert_int_equal(warnings, 1);
    assert_int_equal(estuary_metrics_get(st->metrics, "insecure_unverified_keys_total"), 1);
    assert_ok(small_sign_with(key, st->err), st->err);
    EVP_PKEY_free(key);
    assert_failed(estuary_key_open(URI("object=trusting"), st->pin, 4, &key, st->err), st->err,
                  "usage.argument");
    assert_ok(estuary_token_delete(URI("object=trusting"), st->pin, st->err), st->err);
    estuary_log_free(log);
}

static int stop(void **s)
{
    (void)s;
    softhsm_stop();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_keys_life, begin, end),
        cmocka_unit_test_setup_teardown(test_wrong_pins, begin, end),
        cmocka_unit_test_setup_teardown(test_unverified, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, stop);
}
