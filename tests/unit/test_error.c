/* The error table and object (house rule 7). */
#include "support.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>

static void each_row_is_sound(void **state)
{
    (void)state;
    const char *code, *sentence;
    estuary_status category;
    int exit_code;
    size_t n = 0;
    for (; estuary_error_table(n, &code, &category, &sentence, &exit_code); n++) {
        assert_true(exit_code >= 1 && exit_code <= 12);
        assert_true(strlen(sentence) > 3);
        assert_int_not_equal(sentence[strlen(sentence) - 1], '.');
        assert_int_not_equal(category, ESTUARY_OK);
        assert_string_not_equal(estuary_status_name(category), "unknown");
        for (size_t k = 0; k < n; k++) {
            const char *other_code, *other_sentence;
            assert_true(estuary_error_table(k, &other_code, NULL, &other_sentence, NULL));
            assert_string_not_equal(code, other_code);
            if (strcmp(sentence, other_sentence) == 0)
                fail_msg("%s and %s share a sentence", code, other_code);
        }
    }
    assert_true(n > 100);
    assert_int_equal(n, EST_CODE_COUNT - 1);
    assert_true(estuary_error_table(0, NULL, NULL, NULL, NULL));
    assert_false(estuary_error_table(n, &code, NULL, NULL, NULL));
    assert_false(estuary_error_table(SIZE_MAX, &code, NULL, NULL, NULL));
}

static bool fits(const char *code, estuary_status category)
{
    static const struct {
        const char *prefix;
        estuary_status category;
    } families[] = {{"cert.", ESTUARY_E_CERTIFICATE},   {"csr.", ESTUARY_E_CERTIFICATE},
                    {"revocation.", ESTUARY_E_REVOKED}, {"ocsp.", ESTUARY_E_REVOKED},
                    {"crl.", ESTUARY_E_REVOKED},        {"pending.too-often", ESTUARY_E_SERVER}};
    for (size_t i = 0; i < COUNT_OF(families); i++) {
        if (strncmp(code, families[i].prefix, strlen(families[i].prefix)) == 0)
            return category == families[i].category;
    }
    const char *name = estuary_status_name(category);
    size_t len = strlen(name);
    return strncmp(code, name, len) == 0 && (code[len] == '.' || code[len] == '\0');
}

static void a_code_begins_with_its_category(void **state)
{
    (void)state;
    const char *code;
    estuary_status category;
    for (size_t i = 0; estuary_error_table(i, &code, &category, NULL, NULL); i++) {
        if (!fits(code, category))
            fail_msg("%s is in category %s", code, estuary_status_name(category));
    }
}

/* cli.md: the exit codes are stable */
static void the_exit_code_follows_from_the_category(void **state)
{
    (void)state;
    static const int wanted[] = {
        [ESTUARY_E_USAGE] = 2,        [ESTUARY_E_CONFIG] = 2,   [ESTUARY_E_NETWORK] = 4,
        [ESTUARY_E_TLS] = 5,          [ESTUARY_E_TRUST] = 5,    [ESTUARY_E_AUTH] = 6,
        [ESTUARY_E_PENDING] = 7,      [ESTUARY_E_SERVER] = 8,   [ESTUARY_E_PROTOCOL] = 8,
        [ESTUARY_E_CERTIFICATE] = 9,  [ESTUARY_E_REVOKED] = 10, [ESTUARY_E_KEY] = 11,
        [ESTUARY_E_CRYPTO] = 1,       [ESTUARY_E_IO] = 1,       [ESTUARY_E_MEMORY] = 1,
        [ESTUARY_E_UNSUPPORTED] = 12, [ESTUARY_E_CANCELLED] = 1};
    const char *code;
    estuary_status category;
    int exit_code;
    for (size_t i = 0; estuary_error_table(i, &code, &category, NULL, &exit_code); i++) {
        bool human = exit_code == 3; /* a decision is needed */
        if (!human && exit_code != wanted[category])
            fail_msg("%s exits with %d", code, exit_code);
    }
}

static void the_sentence_stands_in_when_there_is_no_format(void **state)
{
    (void)state;
    estuary_error *err = estuary_error_new();
    assert_int_equal(est_fail(err, EST_USAGE_LABEL, NULL), ESTUARY_E_USAGE);
    assert_string_equal(estuary_error_code(err), "usage.label");
    assert_string_equal(estuary_error_message(err), "the label is not one valid path segment");
    assert_string_equal(estuary_error_detail(err), "");
    assert_int_equal(estuary_error_exit_code(err), 2);
    assert_false(estuary_error_retryable(err));
    assert_int_equal(est_fail(err, EST_NETWORK_RESET, "line %d", 7), ESTUARY_E_NETWORK);
    assert_string_equal(estuary_error_message(err), "line 7");
    assert_true(estuary_error_retryable(err));
    assert_int_equal(est_error_code_of(err), EST_NETWORK_RESET);
    estuary_error_clear(err);
    assert_int_equal(estuary_error_category(err), ESTUARY_OK);
    assert_string_equal(estuary_error_code(err), "");
    assert_int_equal(estuary_error_exit_code(err), 0);
    estuary_error_free(err);
}

/* A refusal must survive an error object that could not be made. */
static void a_failure_without_a_code_is_none_the_less_one(void **state)
{
    (void)state;
    estuary_error *err = estuary_error_new();
    assert_int_equal(est_fail(NULL, est_error_code_of(NULL), NULL), ESTUARY_E_MEMORY);
    assert_int_equal(est_fail(err, EST_OK_CODE, "%s", "text"), ESTUARY_E_MEMORY);
    assert_string_equal(estuary_error_code(err), "memory.exhausted");
    estuary_error_free(err);
}

static void a_new_failure_forgets_the_last_one(void **state)
{
    (void)state;
    estuary_error *err = estuary_error_new(), *copy = estuary_error_new();
    (void)est_fail(err, EST_SERVER_BUSY, NULL);
    est_error_set_http_status(err, 503);
    est_error_set_retry_at(err, 1000);
    est_error_set_detail(err, "%s", "a\x1b[2Jb");
    assert_string_equal(estuary_error_detail(err), "a?[2Jb");
    est_error_copy(copy, err);
    assert_int_equal(estuary_error_http_status(copy), 503);
    assert_int_equal(estuary_error_retry_at(copy), 1000);
    (void)est_fail(err, EST_USAGE, NULL);
    assert_int_equal(estuary_error_http_status(err), 0);
    assert_int_equal(estuary_error_retry_at(err), 0);
    assert_string_equal(estuary_error_detail(err), "");
    estuary_error_free(copy);
    estuary_error_free(err);
}

static void hostile_bytes_never_reach_the_message(void **state)
{
    (void)state;
    estuary_error *err = estuary_error_new();
    (void)est_fail(err, EST_USAGE, "file %s", "a\nb\x1b[31m\x7f\x07");
    assert_string_equal(estuary_error_message(err), "file a b?[31m??");
    (void)est_fail(err, EST_USAGE, "file %s", "gr\xc3\xbc\xc3\x9f \xff\xe2\x80\xae");
    assert_string_equal(estuary_error_message(err), "file gr\xc3\xbc\xc3\x9f ????");
    estuary_error_free(err);
}

static void a_long_message_is_cut(void **state)
{
    (void)state;
    char text[3000];
    estuary_error *err = estuary_error_new();
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    (void)est_fail(err, EST_USAGE, "%s", text);
    size_t len = strlen(estuary_error_message(err));
    assert_true(len > 500 && len < 1024);
    assert_string_equal(estuary_error_message(err) + len - 4, "x...");
    /* a two-byte sequence is never cut in the middle, whatever the offset */
    for (size_t i = 0; i + 1 < sizeof(text) - 1; i += 2)
        memcpy(text + i, "\xc3\xbc", 2);
    text[sizeof(text) - 2] = '\0';
    for (int offset = 0; offset < 2; offset++) {
        (void)est_fail(err, EST_USAGE, "%s%s", offset == 0 ? "" : "x", text);
        assert_null(strchr(estuary_error_message(err), '?'));
        len = strlen(estuary_error_message(err));
        assert_string_equal(estuary_error_message(err) + len - 5, "\xc3\xbc...");
    }
    est_error_set_detail(err, "%s%s", text, text);
    len = strlen(estuary_error_detail(err));
    assert_string_equal(estuary_error_detail(err) + len - 3, "...");
    estuary_error_free(err);
}

static void openssl_queue_goes_into_the_detail(void **state)
{
    (void)state;
    estuary_error *err = estuary_error_new();
    const unsigned char garbage[] = {0x30, 0x01};
    const unsigned char *p = garbage;
    ERR_clear_error();
    assert_null(d2i_X509(NULL, &p, sizeof(garbage)));
    assert_int_not_equal(ERR_peek_error(), 0);
    assert_int_equal(est_fail_openssl(err, EST_CERT_MALFORMED, NULL), ESTUARY_E_CERTIFICATE);
    assert_int_equal(ERR_peek_error(), 0);
    assert_string_equal(estuary_error_code(err), "cert.malformed");
    assert_non_null(strstr(estuary_error_detail(err), "error:"));
    for (int i = 0; i < 40; i++) /* more than the detail holds */
        ERR_raise_data(ERR_LIB_USER, 100, "%s", "a rather long explanation of what went wrong here \x1b");
    (void)est_fail_openssl(err, EST_CRYPTO, NULL);
    assert_int_equal(ERR_peek_error(), 0);
    assert_null(strchr(estuary_error_detail(err), '\x1b'));
    assert_true(strlen(estuary_error_detail(err)) < 2048);
    ERR_raise(ERR_LIB_USER, 100);
    assert_int_equal(est_fail_openssl(NULL, EST_CRYPTO, NULL), ESTUARY_E_CRYPTO);
    assert_int_equal(ERR_peek_error(), 0);
    estuary_error_free(err);
}

static void memory_in_the_queue_is_memory(void **state)
{
    (void)state;
    estuary_error *err = estuary_error_new();
    ERR_raise(ERR_LIB_X509, ERR_R_MALLOC_FAILURE);
    ERR_raise(ERR_LIB_X509, 100);
    assert_int_equal(est_fail_openssl(err, EST_CERT, NULL), ESTUARY_E_MEMORY);
    assert_string_equal(estuary_error_code(err), "memory.exhausted");
    assert_int_equal(ERR_peek_error(), 0);
    ERR_raise(ERR_LIB_X509, 100);
    ERR_raise(ERR_LIB_X509, ERR_R_MALLOC_FAILURE);
    assert_int_equal(est_fail_openssl(err, EST_CERT, NULL), ESTUARY_E_MEMORY);
    assert_int_equal(est_fail_memory(err), ESTUARY_E_MEMORY);
    assert_true(estuary_error_retryable(err));
    estuary_error_free(err);
}

static void errno_is_named(void **state)
{
    (void)state;
    estuary_error *err = estuary_error_new();
    errno = EACCES;
    assert_int_equal(est_fail_errno(err, EST_IO, "cannot write %s", "x"), ESTUARY_E_IO);
    assert_string_equal(estuary_error_message(err), "cannot write x: Permission denied");
    errno = ENOSPC;
    assert_int_equal(est_fail_errno(NULL, EST_IO, NULL), ESTUARY_E_IO);
    errno = 98765;
    assert_int_equal(est_fail_errno(err, EST_IO, NULL), ESTUARY_E_IO);
    assert_non_null(strstr(estuary_error_message(err), "98765"));
    estuary_error_free(err);
}

static void null_is_fine_everywhere(void **state)
{
    (void)state;
    estuary_error_free(NULL);
    estuary_error_clear(NULL);
    assert_int_equal(estuary_error_category(NULL), ESTUARY_OK);
    assert_string_equal(estuary_error_code(NULL), "");
    assert_string_equal(estuary_error_message(NULL), "");
    assert_string_equal(estuary_error_detail(NULL), "");
    assert_string_equal(estuary_error_remedy(NULL), "");
    assert_int_equal(estuary_error_http_status(NULL), 0);
    assert_int_equal(estuary_error_retry_at(NULL), 0);
    assert_int_equal(estuary_error_exit_code(NULL), 0);
    assert_false(estuary_error_retryable(NULL));
    assert_int_equal(est_fail(NULL, EST_TRUST, "%d", 1), ESTUARY_E_TRUST);
    assert_int_equal(est_fail_memory(NULL), ESTUARY_E_MEMORY);
    est_error_set_detail(NULL, "x");
    est_error_set_http_status(NULL, 1);
    est_error_set_retry_at(NULL, 1);
    est_error_copy(NULL, NULL);
    assert_int_equal(est_error_code_of(NULL), EST_OK_CODE);
}

static void status_names(void **state)
{
    (void)state;
    assert_string_equal(estuary_status_name(ESTUARY_OK), "ok");
    assert_string_equal(estuary_status_name(ESTUARY_E_TRUST), "trust");
    assert_string_equal(estuary_status_name(ESTUARY_E_CANCELLED), "cancelled");
    assert_string_equal(estuary_status_name((estuary_status)99), "unknown");
    assert_string_equal(est_code_text(EST_TRUST), "trust.failed");
    assert_string_equal(est_code_sentence(EST_MEMORY), "out of memory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_is_sound),
        cmocka_unit_test(a_code_begins_with_its_category),
        cmocka_unit_test(the_exit_code_follows_from_the_category),
        cmocka_unit_test(the_sentence_stands_in_when_there_is_no_format),
        cmocka_unit_test(a_failure_without_a_code_is_none_the_less_one),
        cmocka_unit_test(a_new_failure_forgets_the_last_one),
        cmocka_unit_test(hostile_bytes_never_reach_the_message),
        cmocka_unit_test(a_long_message_is_cut),
        cmocka_unit_test(openssl_queue_goes_into_the_detail),
        cmocka_unit_test(memory_in_the_queue_is_memory),
        cmocka_unit_test(errno_is_named),
        cmocka_unit_test(null_is_fine_everywhere),
        cmocka_unit_test(status_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
