/* Keys: making them, naming them, comparing them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "key/key.h"

#include <string.h>

/* T11: fips says which kinds FIPS 140 approves */
static void test_kinds(void **state)
{
    static const struct {
        const char *algorithm, *name;
        int bits;
        bool fips;
    } rows[] = {
        {NULL, "ec:P-256", 256, true},
        {"ec:P-256", "ec:P-256", 256, true},
        {"ec:P-384", "ec:P-384", 384, true},
        {"ec:P-521", "ec:P-521", 521, true},
        {"ec:prime256v1", "ec:P-256", 256, true},
        {"ec:secp256k1", "ec:secp256k1", 256, false},
        {"ec:brainpoolP384r1", "ec:brainpoolP384r1", 384, false},
        {"rsa:2048", "rsa:2048", 2048, true},
        {"ed25519", "ed25519", 256, false},
        {"ED448", "ed448", 456, false},
        {"X25519", "X25519", 253, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        EVP_PKEY *key = NULL;
        char name[64];
        if (getenv("ESTUARY_VALGRIND") != NULL && strcmp(rows[i].name, "rsa:2048") == 0)
            continue; /* takes half a minute there */
        if (estuary_key_generate(rows[i].algorithm, &key, NULL) != ESTUARY_OK)
            fail_msg("row %zu", i);
        assert_int_equal(estuary_key_algorithm(key, name, sizeof(name), NULL), ESTUARY_OK);
        assert_string_equal(name, rows[i].name);
        assert_int_equal(EVP_PKEY_get_bits(key), rows[i].bits);
        assert_int_equal(est_key_is_fips_approved(key), rows[i].fips);
        EVP_PKEY_free(key);
    }
    assert_false(est_key_is_fips_approved(NULL));
}

static void test_unknown(void **state)
{
    static const char *const rows[] = {
        "",         "nosuch",   "ec:",      "ec:nosuch", "ec:P-257",    "ec:secp112r1", "ec:sha256", "rsa:",
        "rsa:2047", "rsa:1024", "rsa:8193", "rsa:16384", "rsa:2048x",   "rsa:-2048",    "rsa: 2048", "EC",
        "DSA",      "dh",       "a b",      "RSA,fips",  "\x1b[31mred", "ec:P-256 ",
    };
    estuary_error *err = estuary_error_new();
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        EVP_PKEY *key = NULL;
        if (estuary_key_generate(rows[i], &key, err) != ESTUARY_E_USAGE)
            fail_msg("row %zu: %s", i, estuary_error_message(err));
        assert_null(key);
        assert_string_equal(estuary_error_code(err), "usage.key-algorithm");
    }
    estuary_error_free(err);
}

static void test_small_room(void **state)
{
    EVP_PKEY *key = NULL;
    char name[9] = "x";
    (void)state;
    assert_int_equal(estuary_key_generate(NULL, &key, NULL), ESTUARY_OK);
    assert_int_equal(estuary_key_algorithm(key, name, 8, NULL), ESTUARY_E_USAGE);
    assert_string_equal(name, "");
    assert_int_equal(estuary_key_algorithm(key, name, 9, NULL), ESTUARY_OK);
    assert_int_equal(estuary_key_algorithm(NULL, name, 9, NULL), ESTUARY_E_KEY);
    assert_int_equal(estuary_key_algorithm(key, NULL, 0, NULL), ESTUARY_E_USAGE);
    EVP_PKEY_free(key);
}

static void test_equal_and_digest(void **state)
{
    EVP_PKEY *a = NULL, *b = NULL;
    uint8_t a_digest[32], b_digest[32], again[32], zero[32] = {0};
    (void)state;
    assert_int_equal(estuary_key_generate(NULL, &a, NULL), ESTUARY_OK);
    assert_int_equal(estuary_key_generate(NULL, &b, NULL), ESTUARY_OK);
    assert_true(est_key_equal(a, a));
    assert_false(est_key_equal(a, b));
    assert_false(est_key_equal(a, NULL));
    assert_false(est_key_equal(NULL, NULL));
    assert_true(est_key_spki_digest(a, a_digest));
    assert_true(est_key_spki_digest(a, again));
    assert_true(est_key_spki_digest(b, b_digest));
    assert_memory_equal(a_digest, again, 32);
    assert_memory_not_equal(a_digest, b_digest, 32);
    assert_false(est_key_spki_digest(NULL, again));
    assert_memory_equal(again, zero, 32);
    EVP_PKEY_free(a);
    EVP_PKEY_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_small_room),
        cmocka_unit_test(test_equal_and_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
