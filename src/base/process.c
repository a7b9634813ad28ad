/* The process-wide things, each set up once: see docs and estuary/process.h. */
#include "base/base.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <pthread.h>

#ifndef ESTUARY_VERSION
#error "ESTUARY_VERSION comes from the build"
#endif

const char *estuary_version(void)
{
    return ESTUARY_VERSION;
}

const char *estuary_version_openssl(void)
{
    return OpenSSL_version(OPENSSL_VERSION);
}

bool est_process_once(int slot, est_once_fn *fn)
{
    static CRYPTO_ONCE slots[EST_ONCE_SLOTS] = {CRYPTO_ONCE_STATIC_INIT};
    return CRYPTO_THREAD_run_once(&slots[slot], fn) == 1;
}

bool estuary_process_fips_active(void)
{
    /* the property alone proves nothing: OpenSSL sets it without a provider, too */
    return EVP_default_properties_is_fips_enabled(NULL) == 1 && OSSL_PROVIDER_available(NULL, "fips") == 1;
}

estuary_status estuary_process_enable_fips(estuary_error *err)
{
    if (estuary_process_fips_active())
        return ESTUARY_OK;
    /* OSSL_PROVIDER_load() gives up the default provider even when it fails, and all algorithms with it */
    OSSL_PROVIDER *fips = OSSL_PROVIDER_try_load(NULL, "fips", 1);
    OSSL_PROVIDER *base = fips == NULL ? NULL : OSSL_PROVIDER_load(NULL, "base");
    if (fips == NULL || base == NULL || OSSL_PROVIDER_available(NULL, "fips") != 1 ||
        EVP_default_properties_enable_fips(NULL, 1) != 1) {
        estuary_status status = est_fail_openssl(err, EST_UNSUPPORTED_FIPS, NULL);
        if (base != NULL)
            OSSL_PROVIDER_unload(base);
        if (fips != NULL)
            OSSL_PROVIDER_unload(fips);
        return status;
    }
    return ESTUARY_OK; /* both stay loaded for the life of the process */
}
