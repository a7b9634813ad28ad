#include "est/est.h"

#include <openssl/err.h>

estuary_status estuary_request_new(estuary_request **out, estuary_error *err)
{
    *out = est_alloc(sizeof(**out));
    return *out == NULL ? est_fail_memory(err) : ESTUARY_OK;
}

void estuary_request_free(estuary_request *request)
{
    if (request == NULL)
        return;
    estuary_csr_free(request->csr);
    EVP_PKEY_free(request->key);
    X509_REQ_free(request->signed_request);
    X509_free(request->old);
    est_decrypt_clear(&request->decrypt);
    est_free(request->cmc_identity);
    estuary_secret_free(request->cmc_secret);
    est_free(request);
}

estuary_status estuary_request_set_csr(estuary_request *request, const estuary_csr *csr, EVP_PKEY *key,
                                       estuary_error *err)
{
    if (csr == NULL || key == NULL)
        return est_fail(err, EST_USAGE, "a request needs a CSR and the key that signs it");
    estuary_csr *copy = est_csr_dup(csr);
    if (copy == NULL)
        return est_fail_memory(err);
    if (EVP_PKEY_up_ref(key) != 1) {
        estuary_csr_free(copy);
        return est_fail_openssl(err, EST_CRYPTO, NULL);
    }
    estuary_csr_free(request->csr);
    EVP_PKEY_free(request->key);
    X509_REQ_free(request->signed_request);
    request->csr = copy;
    request->key = key;
    request->signed_request = NULL;
    return ESTUARY_OK;
}

estuary_status estuary_request_set_signed(estuary_request *request, const X509_REQ *csr, estuary_error *err)
{
    if (csr == NULL)
        return est_fail(err, EST_USAGE, "no request was given");
    X509_REQ *copy = est_request_dup(csr);
    if (copy == NULL)
        return est_fail_openssl(err, EST_CRYPTO, NULL);
    estuary_csr_free(request->csr);
    EVP_PKEY_free(request->key);
    X509_REQ_free(request->signed_request);
    request->csr = NULL;
    request->key = NULL;
    request->signed_request = copy;
    return ESTUARY_OK;
}

estuary_status estuary_request_set_old_certificate(estuary_request *request, const X509 *certificate,
                                                   estuary_error *err)
{
    if (certificate == NULL)
        return est_fail(err, EST_USAGE, "no certificate to renew was given");
    X509 *copy = X509_dup(certificate);
    if (copy == NULL)
        return est_fail_openssl(err, EST_CRYPTO, NULL);
    X509_free(request->old);
    request->old = copy;
    return ESTUARY_OK;
}
