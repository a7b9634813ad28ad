#include "cert/cert.h"
#include "make_certs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff"
#define COLONS                                                                                               \
    "00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:FF"

static void test_parse(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        {HEX, true},
        {COLONS, true},
        {"SHA256:" HEX, true},
        {"sha256:" COLONS, true},
        {"", false},
        {"SHA256:", false},
        {"SHA1:" HEX, false},
        {HEX "0", false},
        {HEX "00", false},
        {COLONS ":", false},
        {"0" HEX, false},
        {" " HEX, false},
        {"g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff", false},
        {"00:0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff", false},
        {NULL, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t out[ESTUARY_FINGERPRINT_SIZE];
        char text[ESTUARY_FINGERPRINT_TEXT_SIZE];
        estuary_error *err = estuary_error_new();
        estuary_status status = estuary_fingerprint_parse(rows[i].text, out, err);
        assert_int_equal(status, rows[i].good ? ESTUARY_OK : ESTUARY_E_USAGE);
        assert_string_equal(estuary_error_code(err), rows[i].good ? "" : "usage.fingerprint");
        estuary_fingerprint_format(out, text);
        if (rows[i].good)
            assert_string_equal(text, COLONS);
        estuary_error_free(err);
    }
}

static void test_of_certificate(void **state)
{
    made ca = make_ca("root", NULL);
    uint8_t got[ESTUARY_FINGERPRINT_SIZE], wanted[EVP_MAX_MD_SIZE];
    unsigned char *der = NULL;
    (void)state;
    int len = i2d_X509(ca.cert, &der);
    assert_true(EVP_Digest(der, (size_t)len, wanted, NULL, EVP_sha256(), NULL) == 1);
    assert_int_equal(estuary_fingerprint(ca.cert, got, NULL), ESTUARY_OK);
    assert_memory_equal(got, wanted, sizeof(got));
    assert_int_equal(estuary_fingerprint(NULL, got, NULL), ESTUARY_E_USAGE);
    OPENSSL_free(der);
    free_made(&ca);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse), cmocka_unit_test(test_of_certificate)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
