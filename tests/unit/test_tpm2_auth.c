/* Authorisations put into TPM commands (K5): which commands, where, and what is left alone. */
#include "support.h"

#include "key/tpm2_auth.h"

#include <estuary/process.h>

/* TPM2_Load below 0x81000001 with an empty password, and 3 bytes of parameters */
static const uint8_t load_below[] = {0x80, 0x02, 0, 0,    0, 30, 0, 0, 1, 0x57, 0x81, 0, 0,   1,   0,
                                     0,    0,    9, 0x40, 0, 0,  9, 0, 0, 0,    0,    0, 0xa, 0xb, 0xc};

typedef struct row {
    size_t at; /* changed there */
    uint8_t to;
    est_tpm2_auth wanted;
} row;

static void test_wanted(void **s)
{
    (void)s;
    static const row rows[] = {{0, 0x80, EST_TPM2_AUTH_PARENT}, /* nothing is changed */
                               {9, 0x53, EST_TPM2_AUTH_PARENT}, /* Create */
                               {9, 0x31, EST_TPM2_AUTH_NONE},   /* CreatePrimary below a key */
                               {9, 0x5d, EST_TPM2_AUTH_NONE},   /* Sign: the key's own */
                               {10, 0x80, EST_TPM2_AUTH_NONE},  /* a transient parent */
                               {1, 0x01, EST_TPM2_AUTH_NONE},   /* no sessions */
                               {5, 29, EST_TPM2_AUTH_NONE},     /* a size that lies */
                               {5, 31, EST_TPM2_AUTH_NONE},
                               {18, 0x02, EST_TPM2_AUTH_NONE}, /* HMAC session */
                               {23, 1, EST_TPM2_AUTH_NONE},    /* a nonce */
                               {26, 1, EST_TPM2_AUTH_NONE}};   /* a password is there already */
    uint8_t command[sizeof(load_below)];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        memcpy(command, load_below, sizeof(command));
        command[rows[i].at] = rows[i].to;
        assert_int_equal(est_tpm2_auth_wanted(command, sizeof(command)), rows[i].wanted);
    }
    memcpy(command, load_below, sizeof(command));
    memcpy(command + 10, "\x40\0\0\1", 4);
    assert_int_equal(est_tpm2_auth_wanted(command, sizeof(command)), EST_TPM2_AUTH_OWNER);
    command[9] = 0x31; /* CreatePrimary */
    assert_int_equal(est_tpm2_auth_wanted(command, sizeof(command)), EST_TPM2_AUTH_OWNER);
    command[13] = 0x07; /* the null hierarchy has none */
    assert_int_equal(est_tpm2_auth_wanted(command, sizeof(command)), EST_TPM2_AUTH_NONE);
    for (size_t len = 0; len < 27; len++) { /* on the heap, so that ASan and valgrind see a byte too many */
        uint8_t *cut = est_alloc(len + 1);
        memcpy(cut, load_below, len);
        assert_int_equal(est_tpm2_auth_wanted(cut, len), EST_TPM2_AUTH_NONE);
        est_free(cut);
    }
}

static void test_filled_and_tried_once(void **s)
{
    (void)s;
    static const uint8_t expected[] = {0x80, 0x02, 0, 0,   0,   34,  0,    0,   1,   0x57, 0x81, 0,
                                       0,    1,    0, 0,   0,   13,  0x40, 0,   0,   9,    0,    0,
                                       0,    0,    4, 'a', 'u', 't', 'h',  0xa, 0xb, 0xc};
    static const uint8_t fine[10] = {0x80, 0x02, 0, 0, 0, 10}, other[10] = {0x80, 1, 0, 0, 0, 10, 0, 0, 9, 2};
    static const uint8_t fails[10] = {0x80, 1, 0, 0, 0, 10, 0, 0, 9, 0x8e};
    static const uint8_t bad[10] = {0x80, 1, 0, 0, 0, 10, 0, 0, 9, 0xa2};
    const uint8_t *const refusals[] = {fails, bad};
    uint8_t *out = NULL, answer[10];
    size_t len = 1;
    estuary_secret *secret = NULL;
    assert_int_equal(estuary_secret_new("auth", 4, &secret, NULL), ESTUARY_OK);
    assert_int_equal(est_tpm2_auth_fill(load_below, sizeof(load_below), &out, &len), EST_TPM2_FILL_NOTHING);
    assert_null(out);
    est_tpm2_auth_answered(bad, sizeof(bad)); /* it was not ours */
    assert_false(est_tpm2_auth_was_refused());
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        est_tpm2_auth_set(EST_TPM2_AUTH_PARENT, NULL);
        est_tpm2_auth_set(EST_TPM2_AUTH_OWNER, secret); /* another's */
        assert_int_equal(est_tpm2_auth_fill(load_below, sizeof(load_below), &out, &len),
                         EST_TPM2_FILL_NOTHING);
        est_tpm2_auth_set(EST_TPM2_AUTH_PARENT, secret);
        for (int again = 0; again < 2; again++) {
            assert_int_equal(est_tpm2_auth_fill(load_below, sizeof(load_below), &out, &len),
                             EST_TPM2_FILL_DONE);
            assert_int_equal(len, sizeof(expected));
            assert_memory_equal(out, expected, len);
            est_free_secret(out, len);
            est_tpm2_auth_answered(again == 0 ? fine : other, 10);
            est_tpm2_auth_answered(refusals[i], 9);
            assert_false(est_tpm2_auth_was_refused());
        }
        est_tpm2_auth_answered(refusals[i], 10);
        assert_true(est_tpm2_auth_was_refused());
        assert_int_equal(est_tpm2_auth_fill(load_below, sizeof(load_below), &out, &len),
                         EST_TPM2_FILL_REFUSED);
        assert_null(out);
        assert_true(est_tpm2_auth_was_refused());
    }
    est_tpm2_auth_refusal(answer);
    assert_memory_equal(answer, bad, sizeof(bad));
    est_tpm2_auth_set(EST_TPM2_AUTH_OWNER, NULL);
    est_tpm2_auth_set(EST_TPM2_AUTH_PARENT, NULL);
    assert_int_equal(est_tpm2_auth_fill(load_below, sizeof(load_below), &out, &len), EST_TPM2_FILL_NOTHING);
    assert_false(est_tpm2_auth_was_refused());
    estuary_secret_free(secret);
}

static void test_too_long(void **s)
{
    (void)s;
    char text[65];
    memset(text, 'x', sizeof(text));
    estuary_error *err = estuary_error_new();
    estuary_secret *secret = NULL;
    assert_int_equal(estuary_secret_new(text, sizeof(text), &secret, NULL), ESTUARY_OK);
    assert_failed(estuary_process_set_tpm_auth(secret, NULL, err), err, "key.tpm-auth");
    assert_failed(estuary_process_set_tpm_auth(NULL, secret, err), err, "key.tpm-auth");
    assert_ok(estuary_process_set_tpm_auth(NULL, NULL, err), err); /* needs neither TPM nor provider */
    estuary_secret_free(secret);
    assert_int_equal(estuary_secret_new(text, 64, &secret, NULL), ESTUARY_OK);
    est_tpm2_tcti_test_module = "/nonexistent/libestuary-tcti.so";
    assert_failed(estuary_process_set_tpm_auth(secret, NULL, err), err, "unsupported.tpm2-auth");
    est_tpm2_tcti_test_module = "/with:colon";
    assert_failed(estuary_process_set_tpm_auth(secret, NULL, err), err, "unsupported.tpm2-auth");
    est_tpm2_tcti_test_module = NULL;
    estuary_secret_free(secret);
    estuary_error_free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wanted),
        cmocka_unit_test(test_filled_and_tried_once),
        cmocka_unit_test(test_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
