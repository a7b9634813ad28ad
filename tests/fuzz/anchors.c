/* A trust anchor file: PEM with anything around it, or one DER certificate (T2). */
#include "cert/cert.h"
#include "fuzz.h"

#include <openssl/crypto.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    estuary_error *err = fuzz_error();
    estuary_anchors *anchors = NULL, *again = NULL;
    char *pem = NULL;
    estuary_status status = estuary_anchors_from_bytes(data, size, &anchors, err);
    fuzz_check_result(status, anchors, err);
    if (status == ESTUARY_OK) {
        const STACK_OF(X509) *roots = estuary_anchors_get0_roots(anchors);
        REQUIRE(estuary_anchors_is_explicit(anchors) && sk_X509_num(roots) > 0);
        for (int i = 0; i < sk_X509_num(roots); i++)
            REQUIRE(est_certificate_is_root(sk_X509_value(roots, i)));
        REQUIRE(estuary_anchors_to_pem(anchors, &pem, err) == ESTUARY_OK);
        REQUIRE(estuary_anchors_from_bytes((const uint8_t *)pem, strlen(pem), &again, err) == ESTUARY_OK);
        REQUIRE(sk_X509_num(estuary_anchors_get0_roots(again)) == sk_X509_num(roots));
    }
    OPENSSL_free(pem);
    estuary_anchors_free(anchors);
    estuary_anchors_free(again);
    estuary_error_free(err);
    return 0;
}
