/* Secret keys, wrapping, encryption, renewals inside the token, Ed25519, well-known PINs (K2, K3). */
#include "small_ca.h"
#include "softhsm.h"

#include "key/key.h"

#include <estuary/token.h>

/* SoftHSM 2.6.1 itself leaks a few bytes for each Ed25519 key; seen only with whole call stacks. */
const char *__lsan_default_suppressions(void);
const char *__asan_default_options(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:libsofthsm2.so\n";
}

const char *__asan_default_options(void)
{
    return "fast_unwind_on_malloc=0";
}

typedef struct state {
    estuary_error *err;
    estuary_secret *pin;
    bool there;
} state;

#define URI(path) "pkcs11:token=estuary;" path "?module-path=" SOFTHSM_MODULE
#define REQUIRED(s)                                                                                          \
    if (!(s)->there) {                                                                                       \
        print_message("skipped: SoftHSM (package softhsm2) or pkcs11-tool (opensc) is not installed\n");     \
        skip();                                                                                              \
    }

/* Keys that may leave, and one that wraps: not what the library makes. */
static bool tool(char *const more[])
{
    char *argv[24] = {"pkcs11-tool", "--module", SOFTHSM_MODULE, "--token-label",
                      "estuary",     "--login",  "--pin",        SOFTHSM_PIN};
    size_t n = 8;
    for (size_t i = 0; more[i] != NULL && n < 23; i++)
        argv[n++] = more[i];
    return softhsm_run(argv);
}

static bool make_foreign_keys(void)
{
    static char *const rows[][10] = {
        {"--keypairgen", "--key-type", "EC:prime256v1", "--label", "ec-out", "--id", "e1", "--extractable",
         NULL},
        {"--keypairgen", "--key-type", "rsa:2048", "--label", "rsa-out", "--id", "e2", "--extractable", NULL},
        {"--keypairgen", "--key-type", "rsa:2048", "--label", "rsa-kek", "--id", "e3", "--usage-wrap", NULL},
        {"--keygen", "--key-type", "aes:32", "--label", "aes-out", "--id", "e4", "--extractable",
         "--usage-decrypt", NULL}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (!tool(rows[i]))
            return false;
    }
    return true;
}

static int set_up(void **s)
{
    state *st = est_alloc(sizeof(*st));
    st->err = estuary_error_new();
    st->there = softhsm_start() && make_foreign_keys();
    if (!st->there)
        assert_null(getenv("ESTUARY_STRICT"));
    assert_int_equal(estuary_secret_new(SOFTHSM_PIN, strlen(SOFTHSM_PIN), &st->pin, NULL), ESTUARY_OK);
    *s = st;
    if (st->there)
        assert_ok(estuary_token_generate_secret("aes-wrap:256", URI("object=kek"), st->pin, st->err),
                  st->err);
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

static EVP_PKEY *opened(state *st, const char *uri)
{
    EVP_PKEY *key = NULL;
    assert_ok(estuary_key_open(uri, st->pin, 0, &key, st->err), st->err);
    return key;
}

static EVP_PKEY *public_half(const EVP_PKEY *key)
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    const unsigned char *p = der;
    EVP_PKEY *half = d2i_PUBKEY(NULL, &p, len);
    assert_non_null(half);
    OPENSSL_free(der);
    return half;
}

static void has_no_key(state *st, const char *uri)
{
    EVP_PKEY *key = NULL;
    assert_failed(estuary_key_open(uri, st->pin, 0, &key, st->err), st->err, "key.not-found");
}

/* A private key leaves under an AES key and comes back under another name, closed from then on. */
static void test_private_keys(void **s)
{
    state *st = *s;
    REQUIRED(st);
    static const struct {
        const char *uri, *copy;
    } rows[] = {{URI("object=ec-out"), URI("object=ec-in")}, {URI("object=rsa-out"), URI("object=rsa-in")}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t *wrapped = NULL;
        size_t len = 0;
        estuary_token *token = NULL;
        EVP_PKEY *key = opened(st, rows[i].uri), *half = public_half(key), *other = EVP_EC_gen("P-256");
        assert_ok(estuary_token_wrap(URI("object=kek"), ESTUARY_WRAP_AES_PADDED, rows[i].uri, st->pin,
                                     &wrapped, &len, st->err),
                  st->err);
        assert_true(len > 64);
        assert_failed(estuary_token_unwrap(URI("object=kek"), ESTUARY_WRAP_AES_PADDED, wrapped, len,
                                           rows[i].uri, half, st->pin, st->err),
                      st->err, "key.name-taken");
        if (i == 0)
            assert_failed(estuary_token_unwrap(URI("object=kek"), ESTUARY_WRAP_AES_PADDED, wrapped, len,
                                               rows[i].copy, other, st->pin, st->err),
                          st->err, "key.wrapped");
        has_no_key(st, rows[i].copy);
        assert_ok(estuary_token_unwrap(URI("object=kek"), ESTUARY_WRAP_AES_PADDED, wrapped, len, rows[i].copy,
                                       half, st->pin, st->err),
                  st->err);
        EVP_PKEY *copy = opened(st, rows[i].copy);
        assert_true(est_key_equal(key, copy));
        assert_ok(small_sign_with(copy, st->err), st->err);
        assert_ok(estuary_token_open(rows[i].copy, st->pin, &token, st->err), st->err);
        assert_true(estuary_token_key_has(token, 0, ESTUARY_KEY_SENSITIVE));
        assert_false(estuary_token_key_has(token, 0, ESTUARY_KEY_EXTRACTABLE));
        assert_false(estuary_token_key_has(token, 0, ESTUARY_KEY_LOCAL));
        estuary_token_free(token);
        OPENSSL_free(wrapped);
        assert_failed(estuary_token_wrap(URI("object=kek"), ESTUARY_WRAP_AES_PADDED, rows[i].copy, st->pin,
                                         &wrapped, &len, st->err),
                      st->err, "key.not-extractable");
        assert_null(wrapped);
        EVP_PKEY_free(key);
        EVP_PKEY_free(half);
        EVP_PKEY_free(other);
        EVP_PKEY_free(copy);
    }
}

static void test_wrapped_badly(void **s)
{
    state *st = *s;
    REQUIRED(st);
    uint8_t *wrapped = NULL;
    size_t len = 0;
    EVP_PKEY *key = opened(st, URI("object=ec-out"));
    assert_ok(estuary_token_wrap(URI("object=kek"), ESTUARY_WRAP_AES_PADDED, URI("object=ec-out"), st->pin,
                                 &wrapped, &len, st->err),
              st->err);
    wrapped[len - 1] ^= 1;
    assert_int_equal(estuary_token_unwrap(URI("object=kek"), ESTUARY_WRAP_AES_PADDED, wrapped, len,
                                          URI("object=bad"), key, st->pin, st->err),
                     ESTUARY_E_KEY);
    has_no_key(st, URI("object=bad"));
    wrapped[len - 1] ^= 1;
    static const struct {
        const char *by;
        int how;
        size_t len;
        const char *uri, *code;
    } rows[] = {{URI("object=kek"), 99, 40, URI("object=bad"), "usage.argument"},
                {URI("object=kek"), ESTUARY_WRAP_AES_PADDED, 0, URI("object=bad"), "usage.argument"},
                {URI("object=kek"), ESTUARY_WRAP_AES_PADDED, 40, URI("type=private"), "usage.pkcs11-uri"},
                {URI("object=nobody"), ESTUARY_WRAP_AES_PADDED, 40, URI("object=bad"), "key.not-found"},
                {"pkcs11:token=nobody?module-path=" SOFTHSM_MODULE, ESTUARY_WRAP_AES, 40, URI("object=bad"),
                 "key.token-missing"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_failed(estuary_token_unwrap(rows[i].by, (estuary_wrapping)rows[i].how, wrapped, rows[i].len,
                                           rows[i].uri, key, st->pin, st->err),
                      st->err, rows[i].code);
    OPENSSL_free(wrapped);
    EVP_PKEY_free(key);
}

/* A secret key under RSA and under AES; the copy decrypts what the original encrypted. */
static void test_secret_keys(void **s)
{
    state *st = *s;
    REQUIRED(st);
    static const uint8_t text[] = "an answer nobody else shall read";
    static const struct {
        const char *by;
        estuary_wrapping how;
        const char *copy;
    } rows[] = {{URI("object=rsa-kek"), ESTUARY_WRAP_RSA_OAEP_SHA1, URI("object=in-rsa")},
                {URI("object=kek"), ESTUARY_WRAP_AES, URI("object=in-aes")},
                {URI("object=kek"), ESTUARY_WRAP_AES_PADDED, URI("object=in-padded")}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t *wrapped = NULL, *sealed = NULL, *plain = NULL;
        size_t len = 0, sealed_len = 0, plain_len = 0;
        assert_ok(estuary_token_wrap(rows[i].by, rows[i].how, URI("object=aes-out"), st->pin, &wrapped, &len,
                                     st->err),
                  st->err);
        assert_ok(
            estuary_token_unwrap(rows[i].by, rows[i].how, wrapped, len, rows[i].copy, NULL, st->pin, st->err),
            st->err);
        assert_ok(estuary_token_encrypt(URI("object=aes-out"), ESTUARY_CIPHER_AES_GCM, st->pin, text,
                                        sizeof(text), &sealed, &sealed_len, st->err),
                  st->err);
        assert_int_equal(sealed_len, 12 + sizeof(text) + 16);
        assert_ok(estuary_token_decrypt(rows[i].copy, ESTUARY_CIPHER_AES_GCM, st->pin, sealed, sealed_len,
                                        &plain, &plain_len, st->err),
                  st->err);
        assert_int_equal(plain_len, sizeof(text));
        assert_memory_equal(plain, text, sizeof(text));
        OPENSSL_free(plain);
        sealed[20] ^= 1;
        assert_int_equal(estuary_token_decrypt(rows[i].copy, ESTUARY_CIPHER_AES_GCM, st->pin, sealed,
                                               sealed_len, &plain, &plain_len, st->err),
                         ESTUARY_E_KEY);
        assert_null(plain);
        OPENSSL_free(wrapped);
        OPENSSL_free(sealed);
    }
}

static void test_encryption(void **s)
{
    state *st = *s;
    REQUIRED(st);
    static const uint8_t text[] = "for the RSA key";
    uint8_t *sealed = NULL, *plain = NULL;
    size_t len = 0, plain_len = 0;
    EVP_PKEY *key = NULL;
    assert_ok(estuary_token_generate("rsa:2048", URI("object=open"), st->pin, &key, st->err), st->err);
    assert_ok(estuary_token_encrypt(URI("object=open"), ESTUARY_CIPHER_RSA_OAEP_SHA1, st->pin, text,
                                    sizeof(text), &sealed, &len, st->err),
              st->err);
    assert_int_equal(len, 256);
    assert_ok(estuary_token_decrypt(URI("object=open"), ESTUARY_CIPHER_RSA_OAEP_SHA1, st->pin, sealed, len,
                                    &plain, &plain_len, st->err),
              st->err);
    assert_int_equal(plain_len, sizeof(text));
    assert_memory_equal(plain, text, sizeof(text));
    OPENSSL_free(plain);
    OPENSSL_free(sealed);
    assert_ok(estuary_token_generate_secret(NULL, URI("object=sealer"), st->pin, st->err), st->err);
    /* SoftHSM has OAEP with SHA-1 only, and says so */
    assert_int_equal(estuary_token_encrypt(URI("object=open"), ESTUARY_CIPHER_RSA_OAEP_SHA256, st->pin, text,
                                           sizeof(text), &sealed, &len, st->err),
                     ESTUARY_E_KEY);
    assert_failed(estuary_token_encrypt(URI("object=open"), (estuary_token_cipher)9, st->pin, text, 1,
                                        &sealed, &len, st->err),
                  st->err, "usage.argument");
    assert_failed(estuary_token_encrypt(URI("object=sealer"), ESTUARY_CIPHER_AES_GCM, st->pin, text, 65537,
                                        &sealed, &len, st->err),
                  st->err, "usage.argument");
    assert_failed(estuary_token_decrypt(URI("object=sealer"), ESTUARY_CIPHER_AES_GCM, st->pin, text, 12,
                                        &plain, &plain_len, st->err),
                  st->err, "usage.argument");
    assert_failed(estuary_token_generate_secret("aes:512", URI("object=x"), st->pin, st->err), st->err,
                  "usage.key-algorithm");
    assert_failed(estuary_token_generate_secret("aes:128", URI("object=kek"), st->pin, st->err), st->err,
                  "key.name-taken");
    assert_failed(estuary_token_wrap(URI("object=kek"), ESTUARY_WRAP_AES_PADDED, URI("object=open"), st->pin,
                                     &sealed, &len, st->err),
                  st->err, "key.not-extractable");
    EVP_PKEY_free(key);
}

/* A key that wraps and decrypts would give away what it wraps: ours do the one or the other. */
static void test_wrapping_keys_do_not_decrypt(void **s)
{
    state *st = *s;
    REQUIRED(st);
    static const char *const names[] = {"aes-wrap:128", "aes-wrap:192", "aes-wrap:256",
                                        "aes:128",      "aes:192",      "aes:256"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        bool wraps = i < 3;
        char uri[128];
        uint8_t *wrapped = NULL, *sealed = NULL, *plain = NULL;
        size_t len = 0, sealed_len = 0, plain_len = 0;
        snprintf(uri, sizeof(uri), URI("object=use-%zu"), i);
        assert_ok(estuary_token_generate_secret(names[i], uri, st->pin, st->err), st->err);
        estuary_status status = estuary_token_wrap(uri, ESTUARY_WRAP_AES, URI("object=aes-out"), st->pin,
                                                   &wrapped, &len, st->err);
        assert_int_equal(status, wraps ? ESTUARY_OK : ESTUARY_E_KEY);
        status = estuary_token_encrypt(uri, ESTUARY_CIPHER_AES_GCM, st->pin, (const uint8_t *)"text", 4,
                                       &sealed, &sealed_len, st->err);
        assert_int_equal(status, wraps ? ESTUARY_E_KEY : ESTUARY_OK);
        if (wraps) { /* as for decryption of what it wrapped */
            assert_true(len == 40);
            assert_failed(estuary_token_decrypt(uri, ESTUARY_CIPHER_AES_GCM, st->pin, wrapped, len, &plain,
                                                &plain_len, st->err),
                          st->err, "key.operation");
            assert_null(plain);
        }
        OPENSSL_free(wrapped);
        OPENSSL_free(sealed);
    }
}

/* The larger keys that a token makes: each signs, and the signature is verified. */
static void test_sizes(void **s)
{
    state *st = *s;
    REQUIRED(st);
    static const char *const names[] = {"ec:P-384", "ec:P-521", "rsa:3072", "rsa:4096"};
#ifdef __SANITIZE_ADDRESS__
    size_t n = 2; /* the large RSA keys take their time: in the plain build */
#else
    size_t n = COUNT_OF(names);
#endif
    for (size_t i = 0; i < n; i++) {
        char uri[128], name[48];
        EVP_PKEY *key = NULL, *again = NULL;
        estuary_token *token = NULL;
        snprintf(uri, sizeof(uri), URI("object=size-%zu"), i);
        assert_ok(estuary_token_generate(names[i], uri, st->pin, &key, st->err), st->err);
        assert_ok(estuary_key_algorithm(key, name, sizeof(name), st->err), st->err);
        assert_string_equal(name, names[i]);
        assert_ok(small_sign_with(key, st->err), st->err);
        again = opened(st, uri);
        assert_true(est_key_equal(key, again));
        assert_ok(small_sign_with(again, st->err), st->err);
        assert_ok(estuary_token_open(uri, st->pin, &token, st->err), st->err);
        assert_true(estuary_token_key_has(token, 0, ESTUARY_KEY_NEVER_EXTRACTABLE));
        assert_true(estuary_token_key_has(token, 0, ESTUARY_KEY_ALWAYS_SENSITIVE));
        estuary_token_free(token);
        EVP_PKEY_free(key);
        EVP_PKEY_free(again);
    }
}

/* The plan names exactly the key that is made by it. */
static void test_planned(void **s)
{
    state *st = *s;
    REQUIRED(st);
    EVP_PKEY *key = NULL;
    char *plan = NULL, *name = NULL, *next = NULL;
    assert_ok(estuary_key_plan(URI("object=planned"), st->pin, &plan, st->err), st->err);
    assert_non_null(strstr(plan, ";object=planned;id="));
    has_no_key(st, plan);
    assert_ok(estuary_key_create("ec:P-256", plan, st->pin, &key, st->err), st->err);
    assert_ok(estuary_token_key_name(URI("object=planned"), st->pin, &name, st->err), st->err);
    assert_string_equal(plan, name);
    EVP_PKEY_free(key);
    assert_ok(estuary_key_plan_next(plan, st->pin, &next, st->err), st->err);
    assert_non_null(strstr(next, ";object=planned-2;id="));
    OPENSSL_free(plan);
    assert_failed(estuary_key_plan(URI("object=planned"), st->pin, &plan, st->err), st->err,
                  "key.name-taken");
    assert_failed(estuary_key_plan("/tmp/key.pem", NULL, &plan, st->err), st->err, "usage.argument");
    assert_failed(estuary_key_plan_next("handle:0x81000001", NULL, &plan, st->err), st->err,
                  "usage.argument");
    assert_failed(estuary_key_plan("tpm2:/etc/passwd", NULL, &plan, st->err), st->err, "key.exists");
    assert_ok(estuary_key_plan("tpm2:/nonexistent/k.tpm", NULL, &plan, st->err), st->err);
    assert_string_equal(plan, "tpm2:/nonexistent/k.tpm");
    OPENSSL_free(plan);
    OPENSSL_free(name);
    OPENSSL_free(next);
}

static void test_numbered(void **s)
{
    state *st = *s;
    REQUIRED(st);
    static const struct {
        const char *old, *first, *second;
    } rows[] = {{URI("object=dev"), "object=dev-2;", "object=dev-3;"},
                {URI("object=plant-7"), "object=plant-8;", "object=plant-9;"},
                {URI("object=line-07"), "object=line-07-2;", "object=line-07-3;"},
                {URI("object=5"), "object=5-2;", "object=5-3;"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        EVP_PKEY *old = NULL, *first = NULL, *second = NULL;
        char *uri = NULL, *again = NULL;
        assert_ok(estuary_token_generate("ec:P-256", rows[i].old, st->pin, &old, st->err), st->err);
        assert_ok(estuary_key_create_next("ec:P-384", rows[i].old, st->pin, &uri, &first, st->err), st->err);
        assert_non_null(strstr(uri, rows[i].first));
        assert_ok(small_sign_with(first, st->err), st->err);
        assert_false(est_key_equal(old, first));
        assert_ok(estuary_key_create_next("ec:P-256", uri, st->pin, &again, &second, st->err), st->err);
        assert_non_null(strstr(again, rows[i].second));
        assert_ok(estuary_key_destroy(again, st->pin, st->err), st->err);
        has_no_key(st, again);
        EVP_PKEY_free(old);
        EVP_PKEY_free(first);
        EVP_PKEY_free(second);
        OPENSSL_free(uri);
        OPENSSL_free(again);
    }
    EVP_PKEY *key = NULL;
    char *uri = NULL;
    assert_failed(estuary_key_create_next("ec:P-256", URI("object=nobody"), st->pin, &uri, &key, st->err),
                  st->err, "key.not-found");
    assert_failed(estuary_key_create_next("ed448", URI("object=dev"), st->pin, &uri, &key, st->err), st->err,
                  "usage.key-algorithm");
    static const char *const others[] = {"/tmp/file.pem", "file:/tmp/file.pem", "handle:0x81000001"};
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        assert_failed(estuary_key_create_next("ec:P-256", others[i], st->pin, &uri, &key, st->err), st->err,
                      "usage.argument");
        assert_failed(estuary_key_destroy(others[i], st->pin, st->err), st->err, "usage.argument");
        assert_null(uri);
        assert_null(key);
    }
}

static void test_ed25519(void **s)
{
    state *st = *s;
    REQUIRED(st);
    char name[48];
    EVP_PKEY *key = NULL, *again = NULL;
    assert_ok(estuary_token_generate("ed25519", URI("object=ed"), st->pin, &key, st->err), st->err);
    assert_ok(estuary_key_algorithm(key, name, sizeof(name), st->err), st->err);
    assert_string_equal(name, "ed25519");
    assert_ok(small_sign_with(key, st->err), st->err);
    again = opened(st, URI("object=ed"));
    assert_true(est_key_equal(key, again));
    assert_ok(small_sign_with(again, st->err), st->err);
    assert_ok(estuary_token_delete(URI("object=ed"), st->pin, st->err), st->err);
    EVP_PKEY_free(key);
    EVP_PKEY_free(again);
}

static size_t warnings;

static void count_warnings(void *arg, estuary_log_level level, const char *event, const char *message,
                           const estuary_log_field *fields, size_t n_fields)
{
    (void)arg;
    if (strcmp(event, "key.default-pin") == 0) {
        assert_int_equal(level, ESTUARY_LOG_WARNING);
        warnings++;
    }
    for (size_t i = 0; i < n_fields; i++)
        assert_true(fields[i].value == NULL || strstr(fields[i].value, "pin") == NULL);
    assert_null(strstr(message, "1234"));
    assert_null(strstr(message, "0000"));
}

/* K3: works, and is warned about, once for each time the token is opened. */
static void test_well_known_pins(void **s)
{
    state *st = *s;
    REQUIRED(st);
    static const char *const pins[] = {"1234", "0000", "4321"};
    estuary_log *log = NULL;
    assert_ok(estuary_log_new(ESTUARY_LOG_DEBUG, count_warnings, NULL, &log, st->err), st->err);
    estuary_process_set_key_records(log, NULL);
    for (size_t i = 0; i < COUNT_OF(pins); i++) {
        char label[16], uri[128];
        estuary_secret *pin = NULL;
        EVP_PKEY *key = NULL;
        snprintf(label, sizeof(label), "weak%zu", i);
        snprintf(uri, sizeof(uri), "pkcs11:token=%s;object=k?module-path=" SOFTHSM_MODULE, label);
        char *const argv[] = {"softhsm2-util", "--init-token",  "--free",   "--label",     label,
                              "--pin",         (char *)pins[i], "--so-pin", "so-12345678", NULL};
        assert_true(softhsm_run(argv));
        assert_int_equal(estuary_secret_new(pins[i], 4, &pin, NULL), ESTUARY_OK);
        warnings = 0;
        assert_ok(estuary_token_generate("ec:P-256", uri, pin, &key, st->err), st->err);
        assert_ok(small_sign_with(key, st->err), st->err);
        assert_int_equal(warnings, i < 2 ? 1 : 0);
        EVP_PKEY_free(key);
        estuary_secret_free(pin);
    }
    estuary_process_set_key_records(NULL, NULL);
    estuary_log_free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_private_keys),
        cmocka_unit_test(test_wrapped_badly),
        cmocka_unit_test(test_secret_keys),
        cmocka_unit_test(test_encryption),
        cmocka_unit_test(test_wrapping_keys_do_not_decrypt),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_planned),
        cmocka_unit_test(test_numbered),
        cmocka_unit_test(test_ed25519),
        cmocka_unit_test(test_well_known_pins),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
