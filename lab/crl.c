#include "lab.h"

#include <openssl/x509v3.h>

static bool set_times(X509_CRL *crl, time_t now)
{
    ASN1_TIME *at = ASN1_TIME_adj(NULL, now - LAB_MINUTE, 0, 0);
    bool ok = at != NULL && X509_CRL_set1_lastUpdate(crl, at) == 1 && ASN1_TIME_adj(at, now, 7, 0) != NULL &&
              X509_CRL_set1_nextUpdate(crl, at) == 1;
    ASN1_TIME_free(at);
    return ok;
}

/* The clock in seconds grows from one CRL to the next, as a CRL number must. RFC 5280 5.2.3 */
static bool add_extensions(X509_CRL *crl, X509 *issuer, time_t now)
{
    X509V3_CTX ctx;
    bool ok = false;
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    X509_EXTENSION *authority = NULL;
    if (number == NULL || ASN1_INTEGER_set_int64(number, (int64_t)now) != 1 ||
        X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0) != 1)
        goto cleanup;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, NULL, NULL, crl, 0);
    authority = X509V3_EXT_nconf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid:always");
    ok = authority != NULL && X509_CRL_add_ext(crl, authority, -1) == 1;
cleanup:
    X509_EXTENSION_free(authority);
    ASN1_INTEGER_free(number);
    return ok;
}

bool crl_encode(X509 *issuer, EVP_PKEY *key, struct bytes *der)
{
    bool ok = false;
    time_t now = time(NULL);
    unsigned char *encoded = NULL;
    int len = 0;
    X509_CRL *crl = X509_CRL_new();
    if (crl == NULL || X509_CRL_set_version(crl, X509_CRL_VERSION_2) != 1 ||
        X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)) != 1 || !set_times(crl, now) ||
        !add_extensions(crl, issuer, now) || X509_CRL_sign(crl, key, EVP_sha256()) <= 0)
        goto cleanup;
    len = i2d_X509_CRL(crl, &encoded);
    ok = len > 0 && bytes_append(der, encoded, (size_t)len);
cleanup:
    OPENSSL_free(encoded);
    X509_CRL_free(crl);
    return ok;
}
