#include "make_certs.h"
#include "trust/trust.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define DAY 86400

/* T5: said before dialing */
/* 7030-3.3.2-3 */
static void test_identity(void **state)
{
    static const struct {
        recipe how;
        bool other_key, allow_expired;
        const char *code;
    } rows[] = {
        {.how = {.purposes = "clientAuth"}, .code = ""},
        {.how = {.purposes = NULL}, .code = ""},
        {.how = {.purposes = "clientAuth", .usage = "digitalSignature"}, .code = ""},
        {.how = {.purposes = "clientAuth"}, .other_key = true, .code = "tls.identity-key-mismatch"},
        {.how = {.from = -2 * DAY, .to = -DAY}, .code = "tls.identity-expired"},
        {.how = {.from = -2 * DAY, .to = -DAY}, .allow_expired = true, .code = ""},
        {.how = {.from = DAY, .to = 2 * DAY}, .allow_expired = true, .code = "tls.identity-not-yet-valid"},
        {.how = {.purposes = "serverAuth"}, .code = "tls.identity-eku"},
        {.how = {.usage = "keyEncipherment"}, .code = "tls.identity-key-usage"},
        {.how = {.kind = "rsa:1024"}, .code = "tls.identity-weak"},
        {.how = {.digest = "SHA1"}, .code = "tls.identity-weak"},
    };
    made ca = make_ca("root", NULL), other = make_client("other", &ca);
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        recipe how = rows[i].how;
        how.cn = "device";
        how.issuer = &ca;
        made own = make_cert(&how);
        estuary_error *err = estuary_error_new();
        estuary_status status = est_identity_check(own.cert, rows[i].other_key ? other.key : own.key,
                                                   rows[i].allow_expired, est_now(), err);
        if (strcmp(estuary_error_code(err), rows[i].code) != 0)
            fail_msg("row %zu: \"%s\"", i, estuary_error_code(err));
        assert_int_equal(status, estuary_error_category(err));
        if (status != ESTUARY_OK)
            assert_non_null(strstr(estuary_error_message(err), "\"CN=device\""));
        estuary_error_free(err);
        free_made(&own);
    }
    assert_int_equal(est_identity_check(NULL, other.key, false, est_now(), NULL), ESTUARY_E_USAGE);
    assert_int_equal(est_identity_check(other.cert, NULL, false, est_now(), NULL), ESTUARY_E_USAGE);
    free_made(&other);
    free_made(&ca);
}

/* Nobody relies on a self-signature, so a self-signed factory certificate may use SHA-1. */
static void test_self_signed(void **state)
{
    made own = make_cert(&(recipe){.cn = "device", .digest = "SHA1"});
    (void)state;
    assert_int_equal(est_identity_check(own.cert, own.key, false, est_now(), NULL), ESTUARY_OK);
    free_made(&own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_identity), cmocka_unit_test(test_self_signed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
