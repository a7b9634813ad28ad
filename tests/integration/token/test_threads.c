/* Eight threads sign with one token: two seconds in the check, sixty under ./run soak keys (K2). */
#include "small_ca.h"
#include "softhsm.h"

#include "key/key.h"

#include <estuary/token.h>
#include <pthread.h>
#include <stdatomic.h>

#define THREADS     8
#define URI(object) "pkcs11:token=estuary;object=" object "?module-path=" SOFTHSM_MODULE

static atomic_bool over;

typedef struct worker {
    pthread_t thread;
    EVP_PKEY *keys[2];
    EVP_PKEY *halves[2]; /* the public halves, as OpenSSL's own keys */
    const estuary_secret *pin;
    unsigned number;
    unsigned long signatures;
    const char *failed; /* NULL: nothing */
} worker;

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

/* Verified here, too: a signature that another thread's message got would not pass. */
static bool sign_once(EVP_PKEY *key, EVP_PKEY *half, unsigned number, unsigned long turn)
{
    uint8_t signature[512], message[24] = {0};
    size_t len = sizeof(signature);
    memcpy(message, &number, sizeof(number));
    memcpy(message + sizeof(number), &turn, sizeof(turn));
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool ok = context != NULL && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
              EVP_DigestSign(context, signature, &len, message, sizeof(message)) == 1;
    EVP_MD_CTX_free(context);
    context = EVP_MD_CTX_new();
    ok = ok && context != NULL && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, half) == 1 &&
         EVP_DigestVerify(context, signature, len, message, sizeof(message)) == 1;
    EVP_MD_CTX_free(context);
    return ok;
}

/* Opened and freed while others sign: sessions come and go, the login stays. */
static bool reopen(const worker *w)
{
    EVP_PKEY *key = NULL;
    bool ok = estuary_key_open(URI("ec"), w->pin, 0, &key, NULL) == ESTUARY_OK &&
              EVP_PKEY_eq(key, w->halves[0]) == 1;
    EVP_PKEY_free(key);
    return ok;
}

static void *work(void *arg)
{
    worker *w = arg;
    for (unsigned long turn = 0; !atomic_load(&over) && w->failed == NULL; turn++) {
        if (!sign_once(w->keys[turn % 2], w->halves[turn % 2], w->number, turn))
            w->failed = "a signature failed";
        else if (turn % 64 == w->number && !reopen(w))
            w->failed = "the key could not be opened again";
        w->signatures++;
    }
    return NULL;
}

static void discard(void *arg, estuary_log_level level, const char *event, const char *message,
                    const estuary_log_field *fields, size_t n)
{
    (void)level, (void)event, (void)message, (void)fields, (void)n;
    ++*(unsigned long *)arg; /* under the log's lock */
}

static unsigned seconds(void)
{
    const char *text = getenv("ESTUARY_SOAK_SECONDS");
    return text == NULL ? 2 : (unsigned)strtoul(text, NULL, 10);
}

static void run(worker workers[THREADS])
{
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].number = i;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    (void)sleep(seconds());
    atomic_store(&over, true);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
}

static void test_threads(void **s)
{
    (void)s;
    if (!softhsm_start()) {
        print_message("skipped: SoftHSM (package softhsm2) is not installed\n");
        skip();
    }
    estuary_error *err = estuary_error_new();
    estuary_secret *pin = NULL;
    estuary_log *log = NULL;
    estuary_metrics *metrics = NULL;
    unsigned long records = 0, signatures = 0;
    worker workers[THREADS] = {0};
    EVP_PKEY *keys[2], *halves[2];
    assert_ok(estuary_secret_new(SOFTHSM_PIN, strlen(SOFTHSM_PIN), &pin, err), err);
    assert_ok(estuary_log_new(ESTUARY_LOG_AUDIT, discard, &records, &log, err), err);
    assert_ok(estuary_metrics_new(&metrics, err), err);
    estuary_process_set_key_records(log, metrics);
    assert_ok(estuary_token_generate("ec:P-256", URI("ec"), pin, &keys[0], err), err);
    assert_ok(estuary_token_generate("rsa:2048", URI("rsa"), pin, &keys[1], err), err);
    for (size_t k = 0; k < 2; k++)
        halves[k] = public_half(keys[k]);
    for (size_t i = 0; i < THREADS; i++) {
        workers[i].pin = pin;
        for (size_t k = 0; k < 2; k++) {
            workers[i].keys[k] = keys[k];
            workers[i].halves[k] = halves[k];
        }
    }
    run(workers);
    for (size_t i = 0; i < THREADS; i++) {
        if (workers[i].failed != NULL)
            fail_msg("thread %zu, turn %lu: %s", i, workers[i].signatures, workers[i].failed);
        signatures += workers[i].signatures;
    }
    assert_true(signatures >= THREADS);
    assert_int_equal(estuary_metrics_get(metrics, "key_signatures_total"), signatures);
    assert_int_equal(estuary_metrics_get(metrics, "key_operations_failed_total"), 0);
    assert_int_equal(estuary_metrics_get(metrics, "key_logins_total"), 1);
    for (size_t k = 0; k < 2; k++) {
        EVP_PKEY_free(keys[k]);
        EVP_PKEY_free(halves[k]);
    }
    assert_int_equal(estuary_metrics_get(metrics, "key_sessions_closed_total"),
                     estuary_metrics_get(metrics, "key_sessions_opened_total"));
    assert_int_equal(records, estuary_metrics_get(metrics, "key_operations_total"));
    estuary_process_set_key_records(NULL, NULL);
    print_message("# %lu signatures in %u seconds by %d threads\n", signatures, seconds(), THREADS);
    estuary_log_free(log);
    estuary_metrics_free(metrics);
    estuary_secret_free(pin);
    estuary_error_free(err);
}

static int stop(void **s)
{
    (void)s;
    softhsm_stop();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests(tests, NULL, stop);
}
