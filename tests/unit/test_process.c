/* What is set up once (T11). */
#include "support.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

static int calls;

static void once(void)
{
    calls++;
}

static void once_is_once(void **state)
{
    (void)state;
    assert_true(est_process_once(EST_ONCE_CURL, once));
    assert_true(est_process_once(EST_ONCE_CURL, once));
    assert_int_equal(calls, 1);
}

static void versions(void **state)
{
    (void)state;
    assert_string_equal(estuary_version(), ESTUARY_VERSION);
    assert_non_null(strstr(estuary_version_openssl(), "OpenSSL 3"));
}

/* T11: without a provider nothing changes, and the property alone is no proof */
static void fips_without_a_provider(void **state)
{
    (void)state;
    estuary_error *err = estuary_error_new();
    OSSL_PROVIDER *there = OSSL_PROVIDER_try_load(NULL, "fips", 1);
    if (there != NULL) {
        OSSL_PROVIDER_unload(there);
        estuary_error_free(err);
        skip(); /* this machine has one */
    }
    ERR_clear_error();
    assert_false(estuary_process_fips_active());
    assert_failed(estuary_process_enable_fips(err), err, "unsupported.fips");
    assert_int_equal(estuary_error_exit_code(err), 12);
    assert_int_equal(ERR_peek_error(), 0);
    assert_int_equal(EVP_default_properties_is_fips_enabled(NULL), 0);
    assert_int_equal(EVP_default_properties_enable_fips(NULL, 1), 1);
    assert_false(estuary_process_fips_active());
    assert_int_equal(EVP_default_properties_enable_fips(NULL, 0), 1);
    EVP_MD *md = EVP_MD_fetch(NULL, "SHA256", NULL); /* software still works */
    assert_non_null(md);
    EVP_MD_free(md);
    estuary_error_free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(once_is_once), cmocka_unit_test(versions),
                                       cmocka_unit_test(fips_without_a_provider)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
