/*
 * Drives a revocation checker for test_revocation_library.py:
 *     revocation_driver WORD...
 * Each word is NAME=VALUE, done in this order; what is found out is printed, a line for each.
 */
#include <estuary/estuary.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_DEVICES 64
#define THREADS     4
#define ROUNDS      10

static estuary_revocation *checker;
static estuary_metrics *metrics;
static estuary_error *error;

static void must(estuary_status status, const char *what)
{
    if (status == ESTUARY_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, estuary_error_message(error));
    exit(1);
}

/* --- settings --- */

static const struct {
    const char *name;
    estuary_revocation_limit which;
} limits[] = {
    {"ocsp-timeout", ESTUARY_REVOCATION_OCSP_TIMEOUT_MS},
    {"crl-timeout", ESTUARY_REVOCATION_CRL_TIMEOUT_MS},
    {"ocsp-bytes", ESTUARY_REVOCATION_OCSP_BYTES},
    {"crl-bytes", ESTUARY_REVOCATION_CRL_BYTES},
    {"crl-cache-seconds", ESTUARY_REVOCATION_CRL_CACHE_SECONDS},
    {"redirects", ESTUARY_REVOCATION_REDIRECTS},
    {"refresh-ahead", ESTUARY_REVOCATION_REFRESH_AHEAD_SECONDS},
};

static bool set_limit(const char *name, const char *value)
{
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        if (strcmp(limits[i].name, name) != 0)
            continue;
        must(estuary_revocation_set_limit(checker, limits[i].which, strtoll(value, NULL, 10), error), name);
        return true;
    }
    return false;
}

static void set_methods(const char *value)
{
    unsigned methods = strcmp(value, "crl") == 0    ? ESTUARY_REVOCATION_BY_CRL
                       : strcmp(value, "ocsp") == 0 ? ESTUARY_REVOCATION_BY_OCSP
                                                    : ESTUARY_REVOCATION_BY_OCSP | ESTUARY_REVOCATION_BY_CRL;
    must(estuary_revocation_set_methods(checker, methods, strcmp(value, "crl-first") == 0, error), value);
}

/* --- checks --- */

/* FILE,FILE,… */
static STACK_OF(X509) *read_chain(const char *files)
{
    STACK_OF(X509) *chain = sk_X509_new_null();
    char *copy = strdup(files), *rest = copy;
    for (char *name = strtok_r(copy, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest)) {
        BIO *bio = BIO_new_file(name, "r");
        X509 *cert = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);
        BIO_free(bio);
        if (cert == NULL || sk_X509_push(chain, cert) <= 0)
            exit(2);
    }
    free(copy);
    return chain;
}

static void say(const estuary_verdict *verdict)
{
    printf("%s %s %s %s\n", estuary_revocation_status_name(estuary_verdict_status(verdict)),
           estuary_revocation_source_name(estuary_verdict_source(verdict)),
           estuary_revocation_source_name(estuary_verdict_evidence(verdict)),
           estuary_verdict_status(verdict) == ESTUARY_REVOCATION_REVOKED ? estuary_verdict_reason(verdict)
                                                                         : estuary_verdict_code(verdict));
    if (estuary_verdict_status(verdict) == ESTUARY_REVOCATION_UNKNOWN)
        fprintf(stderr, "%s\n", estuary_verdict_why(verdict));
}

static void check(const char *files)
{
    estuary_verdict *verdict = NULL;
    STACK_OF(X509) *chain = read_chain(files);
    must(estuary_revocation_check(checker, sk_X509_value(chain, 0), sk_X509_value(chain, 1), &verdict, error),
         "check");
    say(verdict);
    estuary_verdict_free(verdict);
    sk_X509_pop_free(chain, X509_free);
}

static void check_chain(const char *files)
{
    estuary_verdict *verdict = NULL;
    size_t index = 99;
    STACK_OF(X509) *chain = read_chain(files);
    must(estuary_revocation_check_chain(checker, chain, &verdict, &index, error), "check chain");
    printf("%zu ", index);
    say(verdict);
    estuary_verdict_free(verdict);
    sk_X509_pop_free(chain, X509_free);
}

struct worker {
    const STACK_OF(X509) *chain;
    int good;
};

static void *work(void *arg)
{
    struct worker *worker = arg;
    for (int i = 0; i < ROUNDS; i++) {
        estuary_verdict *verdict = NULL;
        estuary_status status =
            i % 2 == 0 ? estuary_revocation_check_chain(checker, worker->chain, &verdict, NULL, NULL)
                       : estuary_revocation_check(checker, sk_X509_value(worker->chain, 0),
                                                  sk_X509_value(worker->chain, 1), &verdict, NULL);
        if (status == ESTUARY_OK && estuary_verdict_status(verdict) == ESTUARY_REVOCATION_GOOD)
            worker->good++;
        estuary_verdict_free(verdict);
    }
    return NULL;
}

static void check_by_threads(const char *files)
{
    STACK_OF(X509) *chain = read_chain(files);
    struct worker workers[THREADS] = {{0}};
    pthread_t threads[THREADS];
    int good = 0;
    for (size_t i = 0; i < THREADS; i++) {
        workers[i].chain = chain;
        if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0)
            exit(2);
    }
    for (size_t i = 0; i < THREADS; i++) {
        if (pthread_join(threads[i], NULL) != 0)
            exit(2);
        good += workers[i].good;
    }
    printf("good %d of %d\n", good, THREADS * ROUNDS);
    sk_X509_pop_free(chain, X509_free);
}

static void list_entry(void *arg, const estuary_cache_entry *entry)
{
    (void)arg;
    printf("%s%s\n", estuary_revocation_source_name(entry->kind), entry->indexed ? " indexed" : "");
}

/* --- many enrolments in one thread --- */

struct device {
    char subject[32];
    EVP_PKEY *key;
    estuary_client *client;
};

static struct device devices[MAX_DEVICES];
static size_t n_devices;
static estuary_multi *multi;
static const char *user, *secret_source;
static int n_callbacks;

/* URL,ANCHORS */
static estuary_op *add(const char *where)
{
    struct device *device = &devices[n_devices];
    char *url = strdup(where), *anchors = strchr(url, ',');
    estuary_config *config = NULL;
    estuary_secret *secret = NULL;
    estuary_request *request = NULL;
    estuary_csr *csr = NULL;
    estuary_op *op = NULL;
    if (n_devices >= MAX_DEVICES || anchors == NULL)
        exit(2);
    *anchors++ = '\0';
    snprintf(device->subject, sizeof(device->subject), "CN=device-%zu", n_devices++);
    must(estuary_key_generate("ec:P-256", &device->key, error), "key");
    must(estuary_config_new(&config, error), "config");
    must(estuary_config_set_server(config, url, NULL, error), "server");
    must(estuary_config_trust_file(config, anchors, error), "trust");
    must(estuary_config_set_pop(config, ESTUARY_POP_OFF, error), "pop");
    must(estuary_config_set_revocation(config, checker, error), "revocation");
    must(estuary_secret_read(secret_source, "", &secret, error), "secret");
    must(estuary_config_set_http_auth(config, user, secret, error), "auth");
    must(estuary_config_set_preemptive_auth(config, true, error), "preemptive");
    must(estuary_client_new(config, &device->client, error), "client");
    must(estuary_request_new(&request, error), "request");
    must(estuary_csr_new(&csr, error), "csr");
    must(estuary_csr_set_subject(csr, device->subject, error), "subject");
    must(estuary_request_set_csr(request, csr, device->key, error), "set csr");
    must(estuary_multi_add(multi, device->client, ESTUARY_OP_SIMPLEENROLL, request, device, &op, error),
         "add");
    estuary_csr_free(csr);
    estuary_request_free(request);
    estuary_secret_free(secret);
    estuary_config_free(config);
    free(url);
    return op;
}

static void step_for(int64_t ms)
{
    struct timespec begun, now;
    int64_t passed = 0;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    while (passed < ms) {
        must(estuary_multi_step(multi, 20, error), "step");
        clock_gettime(CLOCK_MONOTONIC, &now);
        passed = (now.tv_sec - begun.tv_sec) * 1000 + (now.tv_nsec - begun.tv_nsec) / 1000000;
    }
}

/* How often each way of ending came, in order of the first. */
static void run_to_end(size_t count)
{
    static char codes[8][64];
    size_t counts[8] = {0}, kinds = 0;
    while (count > 0) {
        estuary_op *op = NULL;
        must(estuary_multi_step(multi, -1, error), "step");
        while ((op = estuary_multi_next_done(multi)) != NULL) {
            const char *code = estuary_error_code(estuary_op_get0_error(op));
            size_t i = 0;
            while (i < kinds && strcmp(codes[i], code[0] == '\0' ? "done" : code) != 0)
                i++;
            if (i == 8)
                exit(2);
            if (i == kinds)
                snprintf(codes[kinds++], sizeof(codes[0]), "%s", code[0] == '\0' ? "done" : code);
            counts[i]++;
            count--;
            estuary_enrollment_free(estuary_op_take_enrollment(op));
            estuary_op_free(op);
        }
    }
    for (size_t i = 0; i < kinds; i++)
        printf("%s %zu\n", codes[i], counts[i]);
}

/* N,URL,ANCHORS */
static void enroll(const char *what)
{
    char *where = NULL;
    size_t count = strtoul(what, &where, 10);
    for (size_t i = 0; i < count; i++)
        add(where + 1);
    run_to_end(count);
}

static estuary_op *slow;

/* URL,ANCHORS of a server whose evidence is long in coming. */
static void begin_slow(const char *where)
{
    slow = add(where);
    step_for(400);
    printf("slow %s\n", estuary_op_is_over(slow) ? "over" : "under way");
}

static void on_done(void *arg, estuary_op *op)
{
    (void)arg, (void)op;
    n_callbacks++;
}

static void cancel_slow(void)
{
    estuary_multi_set_on_done(multi, on_done, NULL);
    estuary_op_cancel(slow);
    must(estuary_multi_step(multi, 0, error), "step");
    int callbacks = n_callbacks;
    printf("%s, callbacks %d\n", estuary_error_code(estuary_op_get0_error(slow)), callbacks);
    step_for(300);
    printf("callbacks later %d\n", n_callbacks - callbacks);
    estuary_op_free(slow);
}

/* --- words --- */

static void do_word(const char *name, const char *value)
{
    if (strcmp(name, "check") == 0)
        check(value);
    else if (strcmp(name, "chain") == 0)
        check_chain(value);
    else if (strcmp(name, "threads") == 0)
        check_by_threads(value);
    else if (strcmp(name, "metric") == 0)
        printf("%s %llu\n", value, (unsigned long long)estuary_metrics_get(metrics, value));
    else if (strcmp(name, "list") == 0)
        must(estuary_revocation_cache_list(checker, list_entry, NULL, error), "list");
    else if (strcmp(name, "user") == 0)
        user = value;
    else if (strcmp(name, "secret") == 0)
        secret_source = value;
    else if (strcmp(name, "enroll") == 0)
        enroll(value);
    else if (strcmp(name, "slow") == 0)
        begin_slow(value);
    else if (strcmp(name, "cancel") == 0)
        cancel_slow();
    else if (strcmp(name, "over") == 0)
        printf("slow %s\n", estuary_op_is_over(slow) ? "over" : "under way");
    else if (strcmp(name, "finish") == 0)
        run_to_end(1);
    else
        exit(2);
}

static bool do_setting(const char *name, const char *value)
{
    if (strcmp(name, "methods") == 0)
        set_methods(value);
    else if (strcmp(name, "cache") == 0)
        must(estuary_revocation_set_cache(checker, value, error), "cache");
    else if (strcmp(name, "crl") == 0)
        must(estuary_revocation_add_crl(checker, value, error), "crl");
    else if (strcmp(name, "proxy") == 0)
        must(estuary_revocation_set_proxy(checker, value, NULL, NULL, error), "proxy");
    else if (strcmp(name, "hard") == 0)
        must(estuary_revocation_set_policy(checker, ESTUARY_REVOCATION_HARD, error), "policy");
    else if (strcmp(name, "leaf-only") == 0)
        must(estuary_revocation_set_leaf_only(checker, true, error), "leaf only");
    else
        return set_limit(name, value);
    return true;
}

int main(int argc, char **argv)
{
    error = estuary_error_new();
    must(estuary_revocation_new(&checker, error), "checker");
    must(estuary_metrics_new(&metrics, error), "metrics");
    must(estuary_revocation_set_metrics(checker, metrics, error), "set metrics");
    must(estuary_multi_new(&multi, error), "multi");
    for (int i = 1; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (value == NULL)
            return 2;
        *value++ = '\0';
        if (!do_setting(argv[i], value))
            do_word(argv[i], value);
    }
    estuary_multi_free(multi);
    for (size_t i = 0; i < n_devices; i++) {
        estuary_client_free(devices[i].client);
        EVP_PKEY_free(devices[i].key);
    }
    estuary_revocation_free(checker);
    estuary_metrics_free(metrics);
    estuary_error_free(error);
    return 0;
}
