#include <estuary/renew.h>
#include <openssl/asn1.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define DAY  86400
#define HOUR 3600
#define T0   INT64_C(1800000000)

static X509 *lasting(int64_t from, int64_t to)
{
    X509 *cert = X509_new();
    assert_non_null(cert);
    assert_non_null(ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)from));
    assert_non_null(ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)to));
    return cert;
}

/* O1 */
static void test_plan(void **state)
{
    static const struct {
        int64_t from, to;
        int days, permille;
        int64_t now, when;
    } rows[] = {
        /* the default: a third is left */
        {T0, T0 + 90 * DAY, 0, 0, T0, T0 + 60 * DAY},
        {T0, T0 + 90 * DAY, 0, 0, T0 + 60 * DAY, T0 + 60 * DAY},
        {T0, T0 + 90 * DAY, 0, 0, T0 + 61 * DAY, T0 + 61 * DAY},
        /* expired, and not valid yet */
        {T0, T0 + 90 * DAY, 0, 0, T0 + 100 * DAY, T0 + 100 * DAY},
        {T0, T0 + 90 * DAY, 0, 0, T0 - 10 * DAY, T0 + 60 * DAY},
        /* days; more days than there are mean from the first moment on */
        {T0, T0 + 90 * DAY, 10, 0, T0, T0 + 80 * DAY},
        {T0, T0 + 90 * DAY, 3650, 0, T0 - DAY, T0},
        {T0, T0 + 90 * DAY, 3650, 0, T0 + DAY, T0 + DAY},
        /* thousandths */
        {T0, T0 + 1000, 0, 500, T0, T0 + 500},
        {T0, T0 + 100 * DAY, 0, 1, T0, T0 + 8640},
        /* never later than an hour, or a tenth of the life, before the end */
        {T0, T0 + 1000 * DAY, 0, 999, T0, T0 + 999 * DAY},
        {T0, T0 + 10 * DAY, 0, 999, T0, T0 + 10 * DAY - HOUR},
        {T0, T0 + 100, 0, 999, T0, T0 + 90},
        /* tiny lives */
        {T0, T0 + 3, 0, 0, T0 - 5, T0 + 2},
        {T0, T0 + 1, 0, 0, T0 - 5, T0 + 1},
        {T0, T0, 0, 0, T0 - 5, T0},
        {T0, T0, 0, 0, T0 + 5, T0 + 5},
        /* to the end of year 9999, from year 1: no overflow */
        {T0, INT64_C(253402300799), 30, 0, T0, INT64_C(253402300799) - 30 * DAY},
        {INT64_C(-62135596800), INT64_C(253402300799), 0, 500, T0, INT64_C(95633351999)},
        {INT64_C(-62135596800), INT64_C(253402300799), 0, 999, T0, INT64_C(253086762901)},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        X509 *cert = lasting(rows[i].from, rows[i].to);
        estuary_renewal_policy *policy = NULL;
        time_t when = 0;
        assert_int_equal(estuary_renewal_policy_new(&policy, NULL), ESTUARY_OK);
        if (rows[i].days != 0)
            assert_int_equal(estuary_renewal_policy_set_days(policy, rows[i].days, NULL), ESTUARY_OK);
        if (rows[i].permille != 0)
            assert_int_equal(estuary_renewal_policy_set_permille(policy, rows[i].permille, NULL), ESTUARY_OK);
        assert_int_equal(estuary_renewal_plan(cert, policy, (time_t)rows[i].now, &when, NULL), ESTUARY_OK);
        if (when != rows[i].when)
            fail_msg("row %zu: %lld, not %lld", i, (long long)when, (long long)rows[i].when);
        estuary_renewal_policy_free(policy);
        X509_free(cert);
    }
}

static void test_refused(void **state)
{
    estuary_error *err = estuary_error_new();
    X509 *backwards = lasting(T0, T0 - 1);
    X509 *empty = X509_new();
    time_t when = 1;
    (void)state;
    assert_int_equal(estuary_renewal_plan(backwards, NULL, T0, &when, err), ESTUARY_E_CERTIFICATE);
    assert_string_equal(estuary_error_code(err), "cert.validity");
    assert_int_equal(when, 0);
    assert_int_equal(estuary_renewal_plan(empty, NULL, T0, &when, err), ESTUARY_E_CERTIFICATE);
    assert_string_equal(estuary_error_code(err), "cert.malformed");
    assert_int_equal(estuary_renewal_plan(NULL, NULL, T0, &when, err), ESTUARY_E_USAGE);
    X509_free(backwards);
    X509_free(empty);
    estuary_error_free(err);
}

static void test_policy(void **state)
{
    estuary_renewal_policy *policy = NULL;
    X509 *cert = lasting(T0, T0 + 100 * DAY);
    time_t when = 0;
    (void)state;
    assert_int_equal(estuary_renewal_policy_new(&policy, NULL), ESTUARY_OK);
    assert_int_equal(estuary_renewal_policy_set_days(policy, 0, NULL), ESTUARY_E_USAGE);
    assert_int_equal(estuary_renewal_policy_set_days(policy, 3651, NULL), ESTUARY_E_USAGE);
    assert_int_equal(estuary_renewal_policy_set_permille(policy, 0, NULL), ESTUARY_E_USAGE);
    assert_int_equal(estuary_renewal_policy_set_permille(policy, 1000, NULL), ESTUARY_E_USAGE);
    assert_int_equal(estuary_renewal_policy_set_days(policy, 1, NULL), ESTUARY_OK);
    assert_int_equal(estuary_renewal_policy_set_permille(policy, 100, NULL), ESTUARY_OK); /* replaces */
    assert_int_equal(estuary_renewal_plan(cert, policy, T0, &when, NULL), ESTUARY_OK);
    assert_int_equal(when, T0 + 10 * DAY);
    assert_int_equal(estuary_renewal_policy_set_days(policy, 1, NULL), ESTUARY_OK);
    assert_int_equal(estuary_renewal_plan(cert, policy, T0, &when, NULL), ESTUARY_OK);
    assert_int_equal(when, T0 + 99 * DAY);
    estuary_renewal_policy_free(policy);
    estuary_renewal_policy_free(NULL);
    X509_free(cert);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plan), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_policy)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
