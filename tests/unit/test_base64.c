/* RFC 8951 3.1: base64 without armour; RFC 4648. */
#include "support.h"
#include "wire/wire.h"

#include <stdlib.h>

static estuary_error *err;

static const struct {
    const char *bytes, *text;
} vectors[] = {/* RFC 4648 10 */
               {"", ""},
               {"f", "Zg=="},
               {"fo", "Zm8="},
               {"foo", "Zm9v"},
               {"foob", "Zm9vYg=="},
               {"fooba", "Zm9vYmE="},
               {"foobar", "Zm9vYmFy"},
               {"\xfb\xff\xbf", "+/+/"}};

static void assert_decodes(const char *text, const char *bytes)
{
    uint8_t *out = NULL;
    size_t len = 0;
    assert_ok(est_base64_decode((const uint8_t *)text, strlen(text), 1000, &out, &len, err), err);
    assert_int_equal(len, strlen(bytes));
    assert_memory_equal(out, bytes, len);
    est_free(out);
}

static void assert_refuses(const char *text, const char *code)
{
    uint8_t *out = (uint8_t *)&out;
    size_t len = 1;
    assert_failed(est_base64_decode((const uint8_t *)text, strlen(text), 1000, &out, &len, err), err, code);
    assert_null(out);
    assert_int_equal(len, 0);
}

static void rfc4648_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        char *text = NULL, wanted[32] = "";
        assert_decodes(vectors[i].text, vectors[i].bytes);
        assert_ok(est_base64_encode((const uint8_t *)vectors[i].bytes, strlen(vectors[i].bytes), &text, err),
                  err);
        if (vectors[i].text[0] != '\0') {
            memcpy(wanted, vectors[i].text, strlen(vectors[i].text));
            memcpy(wanted + strlen(wanted), "\r\n", 3);
        }
        assert_string_equal(text, wanted);
        est_free(text);
    }
}

static void lines_of_64(void **state)
{
    (void)state;
    uint8_t bytes[300];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7);
    for (size_t n = 0; n <= sizeof(bytes); n++) {
        char *text = NULL;
        uint8_t *back = NULL;
        size_t len = 0;
        assert_ok(est_base64_encode(bytes, n, &text, err), err);
        const char *p = text;
        for (size_t left = (n + 2) / 3 * 4; left > 0;) {
            size_t line = left > 64 ? 64 : left;
            assert_int_equal(strcspn(p, "\r\n"), line);
            assert_memory_equal(p + line, "\r\n", 2);
            p += line + 2;
            left -= line;
        }
        assert_int_equal(*p, 0);
        assert_ok(est_base64_decode((const uint8_t *)text, strlen(text), n, &back, &len, err), err);
        assert_int_equal(len, n);
        assert_memory_equal(back, bytes, n);
        est_free(back);
        est_free(text);
    }
}

/* 8951-3.1-1 */
static void white_space_anywhere(void **state)
{
    (void)state;
    assert_decodes(" \r\n\tZ m\n9v\r\nYg =\t= \r\n\r\n", "foob");
    assert_decodes("Z\ng\n=\n=\n", "f");
    assert_decodes(" \r\n\t ", "");
}

static void every_damaged_byte(void **state)
{
    (void)state;
    const char text[] = "Zm9vYmE=";
    for (size_t i = 0; i < 8; i++) {
        for (int c = 0; c < 256; c++) {
            uint8_t copy[8], *out = NULL;
            size_t len = 0;
            memcpy(copy, text, 8);
            copy[i] = (uint8_t)c;
            bool plain = c != 0 && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
                                          c) != NULL;
            bool blank = c != 0 && strchr(" \t\r\n", c) != NULL;
            /* a blank makes a group too short; '=' fits only where it stood, or in front of it */
            bool good = (plain && i < 6) || (i == 6 && c != 0 && strchr("AEIMQUYcgkosw048", c) != NULL) ||
                        (i == 7 && c != 0 && (plain || c == '='));
            estuary_status status = est_base64_decode(copy, 8, 100, &out, &len, err);
            if (good != (status == ESTUARY_OK))
                fail_msg("byte %zu as 0x%02x gives %s", i, (unsigned)c, estuary_error_code(err));
            if (!good && !blank && !plain && c != '=')
                assert_true(strcmp(estuary_error_code(err), "protocol.base64") == 0);
            est_free(out);
        }
    }
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *code;
    } rows[] = {
        {"Zm9vYg", "protocol.base64-padding"},
        {"Zm9vYg=", "protocol.base64-padding"},
        {"Zm9vY", "protocol.base64-padding"},
        {"=", "protocol.base64-padding"},
        {"====", "protocol.base64-padding"},
        {"Z===", "protocol.base64-padding"},
        {"Zg=A", "protocol.base64-padding"},
        {"Zm9v====", "protocol.base64-padding"},
        {"Zg==Zg==", "protocol.base64-trailing"},
        {"Zg===", "protocol.base64-padding"},
        /* RFC 4648 3.5: bits that no byte is made of */
        {"Zh==", "protocol.base64-bits"},
        {"Zv==", "protocol.base64-bits"},
        {"Zm9=", "protocol.base64-bits"},
        {"Zm+=", "protocol.base64-bits"},
        {"Zm9vYmF=", "protocol.base64-bits"},
        {"Zg== x", "protocol.base64-trailing"},
        {"Zg==\x01", "protocol.base64-trailing"},
        {"Zm9v-_", "protocol.base64"}, /* base64url is another alphabet */
        {"Zm9\xc3\xbc", "protocol.base64"},
        {"<html>", "protocol.base64"},
        {"-----BEGIN PKCS7-----\nZm9v\n-----END PKCS7-----\n", "protocol.pem"},
        {"\r\n -----BEGIN CERTIFICATE-----\n", "protocol.pem"},
        {"-----", "protocol.base64"},
        {"\x30\x82\x01\x02\x03", "protocol.binary"},
        {"\x30\x80\x01\x02\x03", "protocol.binary"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_refuses(rows[i].text, rows[i].code);
    uint8_t *out = NULL;
    size_t len = 0;
    assert_failed(est_base64_decode((const uint8_t *)"Zm\0v", 4, 100, &out, &len, err), err,
                  "protocol.base64");
    assert_string_equal(estuary_error_message(err), "byte 3 of the server's answer is not base64");
}

static void the_result_is_bounded(void **state)
{
    (void)state;
    uint8_t *out = NULL;
    size_t len = 0;
    const uint8_t *text = (const uint8_t *)"Zm9vYmFy";
    assert_ok(est_base64_decode(text, 8, 6, &out, &len, err), err);
    est_free(out);
    assert_failed(est_base64_decode(text, 8, 5, &out, &len, err), err, "protocol.response-too-large");
    assert_null(out);
    assert_ok(est_base64_decode(NULL, 0, 0, &out, &len, err), err);
    assert_int_equal(len, 0);
    est_free(out);
}

static int set_up(void **state)
{
    (void)state;
    err = estuary_error_new();
    return err == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    estuary_error_free(err);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc4648_vectors),
        cmocka_unit_test(lines_of_64),
        cmocka_unit_test(white_space_anywhere),
        cmocka_unit_test(every_damaged_byte),
        cmocka_unit_test(refusals),
        cmocka_unit_test(the_result_is_bounded),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
