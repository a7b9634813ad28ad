/* A person's word on a root (E2): its SHA-256, compared in constant time. */
#include "cert/cert.h"

#include <openssl/crypto.h>
#include <openssl/err.h>

#define FINGERPRINTS_MAX 64

/* Constant time in the values: every fingerprint is compared, whatever the others said. */
static estuary_status is_wanted(const X509 *cert, const uint8_t wanted[][ESTUARY_FINGERPRINT_SIZE], size_t n,
                                bool *any, estuary_error *err)
{
    uint8_t seen[ESTUARY_FINGERPRINT_SIZE];
    *any = false;
    estuary_status status = estuary_fingerprint(cert, seen, err);
    for (size_t i = 0; status == ESTUARY_OK && i < n; i++) {
        bool equal = CRYPTO_memcmp(seen, wanted[i], sizeof(seen)) == 0;
        *any = *any || equal;
    }
    return status;
}

static estuary_status collect(const STACK_OF(X509) *certs, const uint8_t wanted[][ESTUARY_FINGERPRINT_SIZE],
                              size_t n, STACK_OF(X509) *roots, estuary_error *err)
{
    for (int i = 0; i < sk_X509_num(certs); i++) {
        X509 *cert = sk_X509_value(certs, i);
        bool any = false;
        if (!est_certificate_is_root(cert))
            continue;
        estuary_status status = is_wanted(cert, wanted, n, &any, err);
        if (status != ESTUARY_OK)
            return status;
        if (any && X509_add_cert(roots, cert, X509_ADD_FLAG_UP_REF | X509_ADD_FLAG_NO_DUP) != 1)
            return est_fail_openssl(err, EST_CRYPTO, NULL);
    }
    if (sk_X509_num(roots) == 0)
        return est_fail(err, EST_TRUST_FINGERPRINT, NULL);
    return ESTUARY_OK;
}

estuary_status est_anchors_confirm(const STACK_OF(X509) *certs, const char *const *fingerprints, size_t n,
                                   estuary_anchors **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    uint8_t wanted[FINGERPRINTS_MAX][ESTUARY_FINGERPRINT_SIZE];
    STACK_OF(X509) *roots = NULL;
    *out = NULL;
    if (n == 0)
        EST_FAIL(EST_TRUST_CONFIRM, NULL);
    if (n > FINGERPRINTS_MAX)
        EST_FAIL(EST_USAGE_FINGERPRINT, "not more than %d fingerprints can be given", FINGERPRINTS_MAX);
    for (size_t i = 0; i < n; i++)
        EST_TRY(estuary_fingerprint_parse(fingerprints[i], wanted[i], err));
    roots = sk_X509_new_null();
    if (roots == NULL)
        EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
    EST_TRY(collect(certs, (const uint8_t(*)[ESTUARY_FINGERPRINT_SIZE])wanted, n, roots, err));
    EST_TRY(estuary_anchors_from_certs(roots, out, err));

cleanup:
    sk_X509_pop_free(roots, X509_free);
    ERR_clear_error();
    return status;
}
