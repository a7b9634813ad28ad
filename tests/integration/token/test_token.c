/* PKCS#11 keys (K2-K4, K7) in a SoftHSM token: made, found, used, looked at, deleted. */
#include "small_ca.h"
#include "softhsm.h"

#include "key/key.h"

#include <estuary/token.h>
#include <pthread.h>

typedef struct state {
    estuary_error *err;
    estuary_secret *pin;
    bool there;
} state;

#define URI(path) "pkcs11:token=estuary;" path "?module-path=" SOFTHSM_MODULE
#define REQUIRED(s)                                                                                          \
    if (!(s)->there) {                                                                                       \
        print_message("skipped: SoftHSM (package softhsm2) is not installed\n");                             \
        skip();                                                                                              \
    }

static int set_up(void **s)
{
    state *st = est_alloc(sizeof(*st));
    st->err = estuary_error_new();
    st->there = softhsm_start();
    assert_int_equal(estuary_secret_new(SOFTHSM_PIN, strlen(SOFTHSM_PIN), &st->pin, NULL), ESTUARY_OK);
    *s = st;
    return 0;
}

static int tear_down(void **s)
{
    state *st = *s;
    estuary_secret_free(st->pin);
    estuary_error_free(st->err);
    est_free(st);
    softhsm_stop();
    return 0;
}

static EVP_PKEY *made(state *st, const char *algorithm, const char *uri)
{
    EVP_PKEY *key = NULL;
    assert_ok(estuary_token_generate(algorithm, uri, st->pin, &key, st->err), st->err);
    return key;
}

static void signs(state *st, EVP_PKEY *key)
{
    assert_ok(small_sign_with(key, st->err), st->err);
}

static void test_made_found_deleted(void **s)
{
    state *st = *s;
    REQUIRED(st);
    static const struct {
        const char *algorithm, *uri, *id;
    } rows[] = {{"ec:P-256", URI("object=one;id=%01"), "01"},
                {"ec:P-384", URI("object=two;id=%02%03"), "0203"},
                {"rsa:2048", URI("object=three%20words"), ""}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char name[48], *exact = NULL;
        EVP_PKEY *key = made(st, rows[i].algorithm, rows[i].uri), *again = NULL;
        assert_ok(estuary_key_algorithm(key, name, sizeof(name), st->err), st->err);
        assert_string_equal(name, rows[i].algorithm);
        signs(st, key);
        assert_failed(estuary_token_generate("ec:P-256", rows[i].uri, st->pin, &again, st->err), st->err,
                      "key.name-taken");
        assert_null(again);
        assert_ok(estuary_key_open(rows[i].uri, st->pin, 0, &again, st->err), st->err);
        assert_true(est_key_equal(key, again));
        EVP_PKEY_free(again);
        assert_ok(estuary_token_key_name(rows[i].uri, st->pin, &exact, st->err), st->err);
        assert_non_null(strstr(exact, "pkcs11:token=estuary;serial="));
        assert_non_null(strstr(exact, "type=private?module-path=" SOFTHSM_MODULE));
        assert_ok(estuary_key_open(exact, st->pin, 0, &again, st->err), st->err);
        assert_true(est_key_equal(key, again));
        EVP_PKEY_free(again);
        estuary_token *token = NULL;
        assert_ok(estuary_token_open(rows[i].uri, st->pin, &token, st->err), st->err);
        assert_int_equal(estuary_token_key_count(token), 1);
        assert_string_equal(estuary_token_key_algorithm(token, 0), rows[i].algorithm);
        if (rows[i].id[0] != '\0')
            assert_string_equal(estuary_token_key_id(token, 0), rows[i].id);
        assert_true(estuary_token_key_has(token, 0, ESTUARY_KEY_SENSITIVE));
        assert_true(estuary_token_key_has(token, 0, ESTUARY_KEY_ALWAYS_SENSITIVE));
        assert_false(estuary_token_key_has(token, 0, ESTUARY_KEY_EXTRACTABLE));
        assert_true(estuary_token_key_has(token, 0, ESTUARY_KEY_NEVER_EXTRACTABLE));
        assert_true(estuary_token_key_has(token, 0, ESTUARY_KEY_LOCAL));
        estuary_token_free(token);
        assert_ok(estuary_token_delete(exact, st->pin, st->err), st->err);
        assert_failed(estuary_key_open(rows[i].uri, st->pin, 0, &again, st->err), st->err, "key.not-found");
        assert_failed(estuary_token_delete(exact, st->pin, st->err), st->err, "key.not-found");
        OPENSSL_free(exact);
        EVP_PKEY_free(key);
    }
}

static void test_ambiguous(void **s)
{
    state *st = *s;
    REQUIRED(st);
    EVP_PKEY *one = made(st, "ec:P-256", URI("object=a")), *other = made(st, "ec:P-256", URI("object=b"));
    EVP_PKEY *key = NULL;
    estuary_token *token = NULL;
    assert_failed(estuary_key_open(URI("type=private"), st->pin, 0, &key, st->err), st->err, "key.ambiguous");
    assert_failed(estuary_token_delete(URI("type=private"), st->pin, st->err), st->err, "usage.pkcs11-uri");
    EVP_PKEY_free(one);
    EVP_PKEY_free(other); /* SoftHSM sees a new token only when it is initialised again */
    assert_true(softhsm_token("estuary-two"));
    assert_ok(estuary_token_open(URI("type=private"), st->pin, &token, st->err), st->err);
    assert_int_equal(estuary_token_key_count(token), 2);
    assert_string_equal(estuary_token_label(token), "estuary");
    assert_string_equal(estuary_token_manufacturer(token), "SoftHSM project");
    assert_string_equal(estuary_token_pin_state(token), "ok");
    assert_string_equal(estuary_token_key_uri(token, 7), "");
    estuary_token_free(token);
    assert_failed(estuary_key_open("pkcs11:object=a?module-path=" SOFTHSM_MODULE, st->pin, 0, &key, st->err),
                  st->err, "key.token-ambiguous");
    assert_failed(estuary_key_open("pkcs11:token=nobody;object=a?module-path=" SOFTHSM_MODULE, st->pin, 0,
                                   &key, st->err),
                  st->err, "key.token-missing");
    assert_ok(estuary_token_delete(URI("object=a"), st->pin, st->err), st->err);
    assert_ok(estuary_token_delete(URI("object=b"), st->pin, st->err), st->err);
}

static void test_refused_uris(void **s)
{
    state *st = *s;
    REQUIRED(st);
    static const struct {
        const char *uri, *code;
    } rows[] = {{URI("object=a") "&pin-value=1234", "usage.pin-literal"},
                {URI("object=a") "&pin-source=%7Ccat%20pin", "usage.pin-source"},
                {URI("object=a") "&pin-source=relative", "usage.pin-source"},
                {"pkcs11:token=a;token=b", "usage.pkcs11-uri"},
                {"pkcs11:what=ever", "usage.pkcs11-uri"},
                {"pkcs11:object=%zz", "usage.pkcs11-uri"},
                {"pkcs11:object=a?module-path=softhsm.so", "config.module-path"},
                {"pkcs11:object=a?module-path=/nonexistent.so", "config.module-path"},
                {"pkcs11:object=a?module-path=/etc/passwd", "config.module-path"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        EVP_PKEY *key = NULL;
        assert_failed(estuary_key_open(rows[i].uri, st->pin, 0, &key, st->err), st->err, rows[i].code);
        assert_null(strstr(estuary_error_message(st->err), "1234"));
        assert_null(strstr(estuary_error_detail(st->err), "1234"));
    }
}

/* K2: a module that somebody else could put in its place is not loaded. */
static void test_replaceable_modules(void **s)
{
    state *st = *s;
    REQUIRED(st);
    static const struct {
        mode_t folder, file;
        const char *sentence;
    } rows[] = {{0755, 0666, "can be replaced by others"}, {0755, 0664, "can be replaced by others"},
                {0777, 0644, "can be replaced by others"}, {0775, 0644, "can be replaced by others"},
                {0755, 0644, "is no PKCS#11 module"},      {01777, 0644, "is no PKCS#11 module"}};
    char folder[96], path[128], uri[256];
    snprintf(folder, sizeof(folder), "%s/modules", softhsm_folder);
    snprintf(path, sizeof(path), "%s/module.so", folder);
    snprintf(uri, sizeof(uri), "pkcs11:object=a?module-path=%s", path);
    assert_int_equal(mkdir(folder, 0700), 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        EVP_PKEY *key = NULL;
        assert_int_equal(chmod(folder, rows[i].folder), 0);
        assert_int_equal(chmod(path, rows[i].file), 0);
        assert_failed(estuary_key_open(uri, st->pin, 0, &key, st->err), st->err, "config.module-path");
        assert_non_null(strstr(estuary_error_message(st->err), rows[i].sentence));
    }
}

static void test_pins(void **s)
{
    state *st = *s;
    REQUIRED(st);
    EVP_PKEY *key = NULL;
    estuary_secret *wrong = NULL;
    char path[96], uri[256];
    assert_int_equal(estuary_secret_new("0000", 4, &wrong, NULL), ESTUARY_OK);
    assert_failed(estuary_key_open(URI("object=pin"), NULL, 0, &key, st->err), st->err, "key.pin-needed");
    assert_failed(estuary_key_open(URI("object=pin"), wrong, 0, &key, st->err), st->err, "key.pin");
    EVP_PKEY_free(made(st, "ec:P-256", URI("object=pin")));
    snprintf(path, sizeof(path), "%s/pin", softhsm_folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(SOFTHSM_PIN "\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    snprintf(uri, sizeof(uri), URI("object=pin") "&pin-source=file:%s", path);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_not_equal(estuary_key_open(uri, NULL, 0, &key, st->err), ESTUARY_OK);
    assert_int_equal(chmod(path, 0600), 0);
    assert_ok(estuary_key_open(uri, NULL, 0, &key, st->err), st->err);
    EVP_PKEY_free(key);
    assert_ok(estuary_token_delete(URI("object=pin"), st->pin, st->err), st->err);
    estuary_secret_free(wrong);
}

static void test_algorithms_refused(void **s)
{
    state *st = *s;
    REQUIRED(st);
    static const char *const names[] = {"rsa:1024", "rsa:8192", "ec:secp256k1", "ed448", "DSA", ""};
    EVP_PKEY *key = NULL;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        assert_failed(estuary_token_generate(names[i], URI("object=x"), st->pin, &key, st->err), st->err,
                      "usage.key-algorithm");
    assert_failed(estuary_token_generate("ec:P-256", URI("type=private"), st->pin, &key, st->err), st->err,
                  "usage.pkcs11-uri");
}

static void test_after_fork(void **s)
{
    state *st = *s;
    REQUIRED(st);
    EVP_PKEY *key = made(st, "ec:P-256", URI("object=fork"));
    signs(st, key);
    pid_t child = fork();
    if (child == 0) {
        estuary_csr *csr = NULL;
        X509_REQ *request = NULL;
        bool ok = estuary_csr_new(&csr, NULL) == ESTUARY_OK &&
                  estuary_csr_set_subject(csr, "CN=child", NULL) == ESTUARY_OK &&
                  estuary_csr_sign(csr, key, &request, NULL) == ESTUARY_OK;
        _exit(ok ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    signs(st, key);
    assert_ok(estuary_token_delete(URI("object=fork"), st->pin, st->err), st->err);
    EVP_PKEY_free(key);
}

static void *sign_often(void *arg)
{
    uint8_t signature[256], digest[32] = {7};
    for (int i = 0; i < 25; i++) {
        size_t len = sizeof(signature);
        EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(arg, NULL);
        if (context == NULL || EVP_PKEY_sign_init(context) != 1 ||
            EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) != 1 ||
            EVP_PKEY_sign(context, signature, &len, digest, sizeof(digest)) != 1) {
            EVP_PKEY_CTX_free(context);
            return arg;
        }
        EVP_PKEY_CTX_free(context);
    }
    return NULL;
}

static void test_threads(void **s)
{
    state *st = *s;
    REQUIRED(st);
    EVP_PKEY *key = made(st, "ec:P-256", URI("object=threads"));
    pthread_t threads[8];
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sign_often, key), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        void *failed = threads;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_ok(estuary_token_delete(URI("object=threads"), st->pin, st->err), st->err);
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replaceable_modules),
        cmocka_unit_test(test_made_found_deleted),
        cmocka_unit_test(test_pins),
        cmocka_unit_test(test_refused_uris),
        cmocka_unit_test(test_algorithms_refused),
        cmocka_unit_test(test_after_fork),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_ambiguous),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
