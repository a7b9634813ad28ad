/* A token that lies: every case ends in an error, none in a crash, a hang, or a bad signature that is used.
 */
#include "liar.h"

#include "small_ca.h"
#include "softhsm.h"

#include "key/key.h"

#include <dlfcn.h>
#include <estuary/token.h>
#include <openssl/rsa.h>

static const char *module; /* the liar's path */
static liar_set_fn *liar_set;
static liar_fail_fn *liar_fail;
static liar_calls_fn *liar_calls;
static liar_hole_fn *liar_hole;
static liar_logins_fn *liar_logins;

typedef struct state {
    estuary_error *err;
    estuary_secret *pin;
    bool there;
    char ec[512], rsa[512], fresh[512], kek[512], aes[512];
} state;

#define REQUIRED(s)                                                                                          \
    if (!(s)->there) {                                                                                       \
        print_message("skipped: SoftHSM (package softhsm2) is not installed\n");                             \
        skip();                                                                                              \
    }

static void name_key(char out[512], const char *label)
{
    assert_true(snprintf(out, 512, "pkcs11:token=estuary;object=%s?module-path=%s", label, module) < 512);
}

static void take_symbol(void *library, const char *name, void *to)
{
    void *address = dlsym(library, name);
    assert_non_null(address);
    memcpy(to, &address, sizeof(address));
}

static int set_up(void **s)
{
    state *st = est_alloc(sizeof(*st));
    EVP_PKEY *key = NULL;
    st->err = estuary_error_new();
    st->there = softhsm_start();
    *s = st;
    assert_int_equal(estuary_secret_new(SOFTHSM_PIN, strlen(SOFTHSM_PIN), &st->pin, NULL), ESTUARY_OK);
    if (!st->there)
        return 0;
    assert_int_equal(setenv("LIAR_TARGET", SOFTHSM_MODULE, 1), 0);
    void *library = dlopen(module, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(library);
    take_symbol(library, "liar_set", &liar_set);
    take_symbol(library, "liar_fail", &liar_fail);
    take_symbol(library, "liar_calls", &liar_calls);
    take_symbol(library, "liar_logins", &liar_logins);
    take_symbol(library, "liar_hole", &liar_hole);
    name_key(st->ec, "ec");
    name_key(st->rsa, "rsa");
    name_key(st->fresh, "fresh");
    name_key(st->kek, "kek");
    name_key(st->aes, "aes");
    assert_ok(estuary_token_generate_secret("aes-wrap:256", st->kek, st->pin, st->err), st->err);
    assert_ok(estuary_token_generate_secret(NULL, st->aes, st->pin, st->err), st->err);
    assert_ok(estuary_token_generate("ec:P-256", st->ec, st->pin, &key, st->err), st->err);
    EVP_PKEY_free(key);
    assert_ok(estuary_token_generate("rsa:2048", st->rsa, st->pin, &key, st->err), st->err);
    EVP_PKEY_free(key);
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

static int be_honest(void **s)
{
    (void)s;
    if (liar_set != NULL) {
        liar_set(LIE_NONE);
        liar_fail(0, 0, CKR_OK);
        (void)liar_hole(0);
    }
    return 0;
}

static estuary_status open_and_sign(const char *uri, const estuary_secret *pin, estuary_error *err)
{
    EVP_PKEY *key = NULL;
    estuary_status status = estuary_key_open(uri, pin, 0, &key, err);
    if (status == ESTUARY_OK)
        status = small_sign_with(key, err);
    EVP_PKEY_free(key);
    return status;
}

static EVP_PKEY *public_half(EVP_PKEY *key)
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    const unsigned char *p = der;
    EVP_PKEY *half = d2i_PUBKEY(NULL, &p, len);
    assert_non_null(half);
    OPENSSL_free(der);
    return half;
}

static estuary_status decrypt_with(EVP_PKEY *key, estuary_error *err)
{
    uint8_t sealed[256], opened[256];
    size_t len = sizeof(sealed), opened_len = sizeof(opened);
    EVP_PKEY *public_key = public_half(key);
    EVP_PKEY_CTX *in = EVP_PKEY_CTX_new(public_key, NULL), *out = EVP_PKEY_CTX_new(key, NULL);
    assert_int_equal(EVP_PKEY_encrypt_init(in), 1);
    assert_int_equal(EVP_PKEY_encrypt(in, sealed, &len, (const uint8_t *)"text", 4), 1);
    int done =
        EVP_PKEY_decrypt_init(out) == 1 && EVP_PKEY_decrypt(out, opened, &opened_len, sealed, len) == 1;
    estuary_status status = done ? ESTUARY_OK : est_fail_openssl(err, EST_CRYPTO, NULL);
    if (done)
        assert_int_equal(opened_len, 4);
    EVP_PKEY_CTX_free(in);
    EVP_PKEY_CTX_free(out);
    EVP_PKEY_free(public_key);
    return status;
}

static estuary_status derive_with(EVP_PKEY *key, estuary_error *err)
{
    EVP_PKEY *whole = EVP_EC_gen("P-256"), *peer = public_half(whole);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    uint8_t secret[64];
    size_t len = sizeof(secret);
    int done = EVP_PKEY_derive_init(context) == 1 && EVP_PKEY_derive_set_peer(context, peer) == 1 &&
               EVP_PKEY_derive(context, secret, &len) == 1;
    estuary_status status = done ? ESTUARY_OK : est_fail_openssl(err, EST_CRYPTO, NULL);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(whole);
    return status;
}

static void test_lies_at_opening(void **s)
{
    state *st = *s;
    REQUIRED(st);
    static const struct {
        lie lie;
        const char *code;
    } rows[] = {{LIE_SLOT_COUNT, "key.token"},          {LIE_FIND_COUNT, "key.token"},
                {LIE_ATTRIBUTE_LENGTH, "key.token"},    {LIE_ATTRIBUTE_POINTER, "key.token"},
                {LIE_ATTRIBUTE_EMPTY, "key.token"},     {LIE_POINT_GARBAGE, "key.public"},
                {LIE_LOCKED, "key.pin-locked"},         {LIE_FINAL_TRY, "key.pin-final-try"},
                {LIE_SIGNATURE_LENGTH, "key.token"},    {LIE_SIGNATURE_EMPTY, "key.signature"},
                {LIE_SIGNATURE_WRONG, "key.signature"}, {LIE_SIGNATURE_ODD, "key.signature"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        liar_set(rows[i].lie);
        estuary_status status = open_and_sign(st->ec, st->pin, st->err);
        if (status == ESTUARY_OK)
            fail_msg("row %zu was believed", i);
        assert_failed(status, st->err, rows[i].code);
        liar_set(LIE_NONE);
        assert_ok(open_and_sign(st->ec, st->pin, st->err), st->err);
    }
    liar_set(LIE_COUNT_LOW); /* someone mistyped: no reason not to log in */
    assert_ok(open_and_sign(st->ec, st->pin, st->err), st->err);
}

static void test_lies_in_use(void **s)
{
    state *st = *s;
    REQUIRED(st);
    EVP_PKEY *ec = NULL, *rsa = NULL;
    assert_ok(estuary_key_open(st->ec, st->pin, 0, &ec, st->err), st->err);
    assert_ok(estuary_key_open(st->rsa, st->pin, 0, &rsa, st->err), st->err);
    assert_ok(small_sign_with(rsa, st->err), st->err);
    assert_ok(decrypt_with(rsa, st->err), st->err);
    assert_ok(derive_with(ec, st->err), st->err);
    static const lie lies[] = {LIE_SIGNATURE_LENGTH, LIE_SIGNATURE_EMPTY, LIE_SIGNATURE_WRONG,
                               LIE_SIGNATURE_ODD};
    for (size_t i = 0; i < COUNT_OF(lies); i++) {
        liar_set(lies[i]);
        assert_int_equal(small_sign_with(rsa, st->err), ESTUARY_E_KEY);
        assert_int_equal(small_sign_with(ec, st->err), ESTUARY_E_KEY);
    }
    liar_set(LIE_DECRYPT_LENGTH);
    assert_int_equal(decrypt_with(rsa, st->err), ESTUARY_E_KEY);
    liar_set(LIE_DERIVE_SHORT);
    assert_int_equal(derive_with(ec, st->err), ESTUARY_E_KEY);
    liar_set(LIE_NONE);
    assert_ok(decrypt_with(rsa, st->err), st->err);
    assert_ok(derive_with(ec, st->err), st->err);
    EVP_PKEY_free(ec);
    EVP_PKEY_free(rsa);
}

static void test_unprotected_keys_are_destroyed(void **s)
{
    state *st = *s;
    REQUIRED(st);
    static const lie lies[] = {LIE_EXTRACTABLE, LIE_NOT_SENSITIVE, LIE_ATTRIBUTE_EMPTY};
    EVP_PKEY *key = NULL;
    for (size_t i = 0; i < COUNT_OF(lies); i++) {
        liar_set(lies[i]);
        assert_failed(estuary_token_generate("ec:P-256", st->fresh, st->pin, &key, st->err), st->err,
                      "key.not-protected");
        assert_null(key);
        liar_set(LIE_NONE);
        assert_failed(estuary_key_open(st->fresh, st->pin, 0, &key, st->err), st->err, "key.not-found");
    }
}

/* Everything of token.h once; the statuses of what cannot work with these keys (wrapping) count, too. */
static unsigned long calls_made; /* by use_all() */

static estuary_status use_all(state *st)
{
    static const uint8_t text[] = "text";
    uint8_t *out = NULL, *plain = NULL;
    size_t len = 0, plain_len = 0;
    EVP_PKEY *key = NULL;
    char *uri = NULL;
    estuary_token *token = NULL;
    estuary_status status = open_and_sign(st->rsa, st->pin, st->err);
    if (status == ESTUARY_OK)
        status = estuary_token_encrypt(st->aes, ESTUARY_CIPHER_AES_GCM, st->pin, text, sizeof(text), &out,
                                       &len, st->err);
    if (status == ESTUARY_OK)
        status = estuary_token_decrypt(st->aes, ESTUARY_CIPHER_AES_GCM, st->pin, out, len, &plain, &plain_len,
                                       st->err);
    if (status == ESTUARY_OK)
        status = estuary_key_create_next("ec:P-256", st->ec, st->pin, &uri, &key, st->err);
    if (status == ESTUARY_OK)
        status = estuary_token_open(st->ec, st->pin, &token, st->err);
    estuary_token_free(token);
    EVP_PKEY_free(key);
    OPENSSL_free(out);
    OPENSSL_free(plain);
    calls_made = liar_calls();
    if (uri != NULL) {
        liar_fail(0, 0, CKR_OK);
        estuary_status gone = estuary_token_delete(uri, st->pin, st->err);
        status = status == ESTUARY_OK ? gone : status;
    }
    OPENSSL_free(uri);
    return status;
}

/* A module without one of its functions: an error, and a call through NULL never. */
static void test_holes(void **s)
{
    state *st = *s;
    REQUIRED(st);
    size_t failed = 0;
    for (size_t n = 1; liar_hole(n); n++) {
        estuary_status status = use_all(st);
        failed += status != ESTUARY_OK;
        assert_true(status == ESTUARY_OK || status == ESTUARY_E_KEY || status == ESTUARY_E_CONFIG);
        (void)liar_hole(0);
    }
    assert_true(failed >= 18);
    assert_ok(use_all(st), st->err);
}

/* Wrapping and encrypting: a length that cannot be is an error; so is each call that fails. */
static void test_lies_in_wrapping(void **s)
{
    state *st = *s;
    REQUIRED(st);
    static const struct {
        lie lie;
        bool encrypts;
    } rows[] = {{LIE_WRAP_LENGTH, false},
                {LIE_WRAP_EMPTY, false},
                {LIE_ENCRYPT_LENGTH, true},
                {LIE_ENCRYPT_SHORT, true}};
    static const uint8_t text[] = "text";
    char *const argv[] = {"pkcs11-tool", "--module",  SOFTHSM_MODULE, "--token-label", "estuary", "--login",
                          "--pin",       SOFTHSM_PIN, "--keygen",     "--key-type",    "aes:32",  "--label",
                          "out",         "--id",      "aa",           "--extractable", NULL};
    char out_uri[512];
    uint8_t *out = NULL;
    size_t len = 0;
    name_key(out_uri, "out");
    assert_true(softhsm_run(argv));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        liar_set(rows[i].lie);
        estuary_status status =
            rows[i].encrypts
                ? estuary_token_encrypt(st->aes, ESTUARY_CIPHER_AES_GCM, st->pin, text, sizeof(text), &out,
                                        &len, st->err)
                : estuary_token_wrap(st->kek, ESTUARY_WRAP_AES, out_uri, st->pin, &out, &len, st->err);
        assert_failed(status, st->err, "key.token");
        assert_null(out);
    }
    liar_set(LIE_EXTRACTABLE);
    assert_failed(estuary_token_generate_secret(NULL, st->fresh, st->pin, st->err), st->err,
                  "key.not-protected");
    liar_set(LIE_NONE);
    assert_ok(estuary_token_wrap(st->kek, ESTUARY_WRAP_AES, out_uri, st->pin, &out, &len, st->err), st->err);
    liar_set(LIE_NOT_SENSITIVE);
    assert_failed(
        estuary_token_unwrap(st->kek, ESTUARY_WRAP_AES, out, len, st->fresh, NULL, st->pin, st->err), st->err,
        "key.not-protected");
    liar_set(LIE_NONE);
    unsigned long n = 0;
    do {
        char label[16], uri[512];
        snprintf(label, sizeof(label), "fresh-%lu", n);
        name_key(uri, label);
        liar_fail(++n, 1, CKR_DEVICE_REMOVED);
        estuary_status status =
            estuary_token_unwrap(st->kek, ESTUARY_WRAP_AES, out, len, uri, NULL, st->pin, st->err);
        bool reached = liar_calls() >= n;
        liar_fail(0, 0, CKR_OK);
        assert_true(status == ESTUARY_OK || status == ESTUARY_E_KEY);
        if (status == ESTUARY_OK && !reached)
            break;
    } while (n < 100);
    assert_true(n > 10 && n < 100);
    OPENSSL_free(out);
}

/* Each call of all the others fails in turn. */
static void test_each_call_of_all(void **s)
{
    state *st = *s;
    REQUIRED(st);
    unsigned long n = 0, reached = 0;
    do {
        liar_fail(++n, 1, CKR_FUNCTION_FAILED);
        estuary_status status = use_all(st);
        reached = calls_made;
        liar_fail(0, 0, CKR_OK);
        assert_true(status == ESTUARY_OK || status == ESTUARY_E_KEY);
        if (status == ESTUARY_OK && reached < n)
            break;
    } while (n < 400);
    assert_true(n > 60 && n < 400);
}

static void test_slow(void **s)
{
    state *st = *s;
    REQUIRED(st);
    liar_set(LIE_SLOW);
    assert_ok(open_and_sign(st->ec, st->pin, st->err), st->err);
}

/* A reset in the middle: this call fails with category key, the next one works (handles are found anew). */
static void test_resets(void **s)
{
    state *st = *s;
    REQUIRED(st);
    static const CK_RV resets[] = {CKR_DEVICE_REMOVED,          CKR_SESSION_HANDLE_INVALID,
                                   CKR_SESSION_CLOSED,          CKR_KEY_HANDLE_INVALID,
                                   CKR_USER_NOT_LOGGED_IN,      CKR_DEVICE_ERROR,
                                   CKR_CRYPTOKI_NOT_INITIALIZED};
    EVP_PKEY *key = NULL;
    assert_ok(estuary_key_open(st->ec, st->pin, 0, &key, st->err), st->err);
    for (size_t i = 0; i < COUNT_OF(resets); i++) {
        liar_fail(1, 1, resets[i]);
        assert_int_equal(small_sign_with(key, st->err), ESTUARY_E_KEY);
        liar_fail(0, 0, CKR_OK);
        assert_ok(small_sign_with(key, st->err), st->err);
    }
    EVP_PKEY_free(key);
}

/* Each call of an opening and a signature fails in turn. */
static void test_each_call_fails(void **s)
{
    state *st = *s;
    REQUIRED(st);
    static const CK_RV causes[] = {CKR_GENERAL_ERROR, CKR_FUNCTION_FAILED, CKR_DEVICE_REMOVED,
                                   CKR_HOST_MEMORY, 0x80001234UL};
    for (size_t cause = 0; cause < COUNT_OF(causes); cause++) {
        unsigned long failed = 0, n = 0;
        do {
            n++;
            liar_fail(n, 1, causes[cause]);
            estuary_status status = open_and_sign(st->ec, st->pin, st->err);
            failed += status != ESTUARY_OK;
            assert_true(status == ESTUARY_OK || status == ESTUARY_E_KEY || status == ESTUARY_E_MEMORY);
        } while (liar_calls() >= n && n < 200);
        assert_true(n > 10 && n < 200);
        assert_true(failed >= 8);
        liar_fail(0, 0, CKR_OK);
        assert_ok(open_and_sign(st->ec, st->pin, st->err), st->err);
    }
}

static void test_a_wrong_pin_is_tried_once(void **s)
{
    state *st = *s;
    REQUIRED(st);
    EVP_PKEY *key = NULL;
    estuary_secret *wrong = NULL;
    assert_int_equal(estuary_secret_new("000000", 6, &wrong, NULL), ESTUARY_OK);
    unsigned long before = liar_logins();
    assert_failed(estuary_key_open(st->ec, wrong, 0, &key, st->err), st->err, "key.pin");
    assert_int_equal(liar_logins() - before, 1);
    liar_set(LIE_FINAL_TRY);
    assert_failed(estuary_key_open(st->ec, wrong, 0, &key, st->err), st->err, "key.pin-final-try");
    assert_failed(estuary_key_open(st->ec, st->pin, 0, &key, st->err), st->err, "key.pin-final-try");
    liar_set(LIE_LOCKED);
    assert_failed(estuary_key_open(st->ec, st->pin, 0, &key, st->err), st->err, "key.pin-locked");
    assert_int_equal(liar_logins() - before, 1);
    estuary_secret_free(wrong);
}

/* A module that shows another's token, held open beside it: each URI goes to its own module (K2, K3). */
static void test_the_pin_goes_to_the_module_that_was_named(void **s)
{
    state *st = *s;
    REQUIRED(st);
    EVP_PKEY *lying = NULL, *honest = NULL;
    char uri[512];
    assert_true(snprintf(uri, sizeof(uri), "pkcs11:token=estuary;object=ec?module-path=%s", SOFTHSM_MODULE) <
                512);
    assert_ok(estuary_key_open(st->ec, st->pin, 0, &lying, st->err), st->err);
    liar_fail(1, 1, CKR_DEVICE_REMOVED);
    assert_int_equal(small_sign_with(lying, st->err), ESTUARY_E_KEY);
    unsigned long logins = liar_logins();
    liar_fail(0, 0, CKR_OK);
    assert_ok(estuary_key_open(uri, st->pin, 0, &honest, st->err), st->err);
    assert_ok(small_sign_with(honest, st->err), st->err);
    assert_int_equal(liar_calls(), 0);
    assert_int_equal(liar_logins() - logins, 0);
    EVP_PKEY_free(lying);
    EVP_PKEY_free(honest);
}

/* While a key holds the token, its session is lost; the PIN that was refused is not sent again. */
static void test_always_authenticate(void **s)
{
    state *st = *s;
    REQUIRED(st);
    EVP_PKEY *key = NULL;
    liar_set(LIE_ALWAYS_AUTHENTICATE);
    assert_ok(estuary_key_open(st->ec, st->pin, 0, &key, st->err), st->err);
    unsigned long before = liar_logins();
    assert_ok(small_sign_with(key, st->err), st->err);
    assert_ok(small_sign_with(key, st->err), st->err);
    assert_int_equal(liar_logins() - before, 2);
    EVP_PKEY_free(key);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_lies_at_opening, be_honest),
        cmocka_unit_test_teardown(test_lies_in_use, be_honest),
        cmocka_unit_test_teardown(test_unprotected_keys_are_destroyed, be_honest),
        cmocka_unit_test_teardown(test_resets, be_honest),
        cmocka_unit_test_teardown(test_holes, be_honest),
        cmocka_unit_test_teardown(test_lies_in_wrapping, be_honest),
        cmocka_unit_test_teardown(test_each_call_of_all, be_honest),
        cmocka_unit_test_teardown(test_slow, be_honest),
        cmocka_unit_test_teardown(test_each_call_fails, be_honest),
        cmocka_unit_test_teardown(test_a_wrong_pin_is_tried_once, be_honest),
        cmocka_unit_test_teardown(test_always_authenticate, be_honest),
        cmocka_unit_test_teardown(test_the_pin_goes_to_the_module_that_was_named, be_honest),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: test_liar MODULE\n");
        return 2;
    }
    char *absolute = realpath(argv[1], NULL);
    module = absolute;
    int failed = absolute == NULL ? 1 : cmocka_run_group_tests(tests, set_up, tear_down);
    free(absolute);
    return failed;
}
