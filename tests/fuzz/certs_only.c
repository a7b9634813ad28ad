/* RFC 7030 4.1.3, RFC 5272 4.1: the certificates of a SignedData without signers. */
#include "fuzz.h"
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    estuary_error *err = fuzz_error();
    STACK_OF(X509) *certs = NULL;
    estuary_status status = est_certs_only_parse(data, size, NULL, &certs, err);
    fuzz_check_result(status, certs, err);
    if (status == ESTUARY_OK) {
        REQUIRE(sk_X509_num(certs) > 0);
        REQUIRE(sk_X509_num(certs) <= estuary_limits_get(NULL, ESTUARY_LIMIT_CERTIFICATES));
    }
    sk_X509_pop_free(certs, X509_free);
    estuary_error_free(err);
    return 0;
}
