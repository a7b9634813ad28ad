/* The JSON of renewal-info, and the time of renewal that comes of it (O1). */
#include "fuzz.h"

#include <estuary/renew.h>
#include <estuary/renewal_info.h>
#include <openssl/asn1.h>
#include <openssl/x509.h>
#include <string.h>

#define T0   1800000000
#define DAY  86400
#define HOUR 3600

static void plan(const estuary_renewal_info *info, uint64_t random, estuary_error *err)
{
    time_t when = 0;
    X509 *cert = X509_new();
    REQUIRE(cert != NULL && ASN1_TIME_set(X509_getm_notBefore(cert), T0) != NULL &&
            ASN1_TIME_set(X509_getm_notAfter(cert), T0 + 90 * DAY) != NULL);
    REQUIRE(estuary_renewal_plan_with_info(cert, NULL, info, T0 - DAY, random, &when, err) == ESTUARY_OK);
    REQUIRE(when >= T0 && when <= T0 + 90 * DAY - HOUR);
    X509_free(cert);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    estuary_error *err = fuzz_error();
    estuary_renewal_info *info = NULL;
    estuary_status status = estuary_renewal_info_parse(data, size, 7, &info, err);
    fuzz_check_result(status, info, err);
    if (status == ESTUARY_OK) {
        REQUIRE(estuary_renewal_info_start(info) < estuary_renewal_info_end(info));
        REQUIRE(estuary_renewal_info_retry_at(info) == 7);
        for (const char *c = estuary_renewal_info_explanation(info); *c != '\0'; c++)
            REQUIRE((unsigned char)*c >= ' ' && *c != 0x7f);
        plan(info, size, err);
        plan(info, UINT64_MAX - size, err);
    }
    estuary_renewal_info_free(info);
    estuary_error_free(err);
    return 0;
}
