#include "cert/findings.h"
#include "wire/wire.h"

#include <string.h>

#define HOST_SIZE 256

estuary_status estuary_expectation_new(estuary_expectation **out, estuary_error *err)
{
    *out = est_alloc(sizeof(**out));
    return *out == NULL ? est_fail_memory(err) : ESTUARY_OK;
}

void estuary_expectation_free(estuary_expectation *expectation)
{
    if (expectation == NULL)
        return;
    EVP_PKEY_free(expectation->key);
    X509_REQ_free(expectation->own_request);
    estuary_anchors_free(expectation->anchors);
    sk_X509_pop_free(expectation->untrusted, X509_free);
    est_free(expectation->host);
    est_free(expectation->purpose);
    estuary_limits_free(expectation->limits);
    est_free(expectation);
}

estuary_status estuary_expectation_set_key(estuary_expectation *expectation, const EVP_PKEY *key,
                                           estuary_error *err)
{
    EVP_PKEY *shared = (EVP_PKEY *)key; /* only its reference count changes */
    if (shared != NULL && EVP_PKEY_up_ref(shared) != 1)
        return est_fail_openssl(err, EST_CRYPTO, NULL);
    EVP_PKEY_free(expectation->key);
    expectation->key = shared;
    return ESTUARY_OK;
}

estuary_status estuary_expectation_set_request(estuary_expectation *expectation, const X509_REQ *request,
                                               estuary_error *err)
{
    X509_REQ *copy = request == NULL ? NULL : est_request_dup(request);
    if (request != NULL && copy == NULL)
        return est_fail_openssl(err, EST_MEMORY, NULL);
    X509_REQ_free(expectation->own_request);
    expectation->own_request = copy;
    expectation->request = copy;
    return ESTUARY_OK;
}

void est_expectation_lend_request(estuary_expectation *expectation, const X509_REQ *request)
{
    X509_REQ_free(expectation->own_request);
    expectation->own_request = NULL;
    expectation->request = request;
}

estuary_status estuary_expectation_set_anchors(estuary_expectation *expectation,
                                               const estuary_anchors *anchors,
                                               const STACK_OF(X509) *untrusted, estuary_error *err)
{
    STACK_OF(X509) *copy = sk_X509_new_null();
    if (copy == NULL)
        return est_fail_memory(err);
    for (int i = 0; i < sk_X509_num(untrusted); i++) {
        if (!est_certs_push(copy, sk_X509_value(untrusted, i))) {
            sk_X509_pop_free(copy, X509_free);
            return est_fail_memory(err);
        }
    }
    estuary_anchors *shared = estuary_anchors_up_ref(anchors);
    estuary_anchors_free(expectation->anchors);
    sk_X509_pop_free(expectation->untrusted, X509_free);
    expectation->anchors = shared;
    expectation->untrusted = copy;
    return ESTUARY_OK;
}

static estuary_status replace(char **where, const char *text, estuary_error *err)
{
    char *copy = est_strdup(text);
    if (copy == NULL && text != NULL)
        return est_fail_memory(err);
    est_free(*where);
    *where = copy;
    return ESTUARY_OK;
}

estuary_status estuary_expectation_set_host(estuary_expectation *expectation, const char *host,
                                            estuary_error *err)
{
    char normal[HOST_SIZE];
    if (host == NULL)
        return replace(&expectation->host, NULL, err);
    if (!est_host_normalise(host, normal, sizeof(normal), NULL)) {
        char clean[HOST_SIZE];
        est_text_sanitise(host, strlen(host), clean, sizeof(clean));
        return est_fail(err, EST_USAGE, "\"%s\" is neither a host name nor an IP address", clean);
    }
    return replace(&expectation->host, normal, err);
}

estuary_status estuary_expectation_set_purpose(estuary_expectation *expectation, const char *purpose,
                                               estuary_error *err)
{
    ASN1_OBJECT *object = est_purpose_object(purpose);
    if (object == NULL && purpose != NULL)
        return est_fail(err, EST_USAGE_EKU, NULL);
    ASN1_OBJECT_free(object);
    return replace(&expectation->purpose, purpose, err);
}

void estuary_expectation_set_time(estuary_expectation *expectation, time_t at)
{
    expectation->is_at = true;
    expectation->at = at;
}

time_t est_expectation_time(const estuary_expectation *expectation)
{
    return expectation->is_at ? expectation->at : est_now();
}

estuary_status estuary_expectation_set_limits(estuary_expectation *expectation, const estuary_limits *limits,
                                              estuary_error *err)
{
    estuary_limits *copy = est_limits_dup(limits);
    if (copy == NULL)
        return est_fail_memory(err);
    estuary_limits_free(expectation->limits);
    expectation->limits = copy;
    return ESTUARY_OK;
}
