/*
 * Renews FOLDER/cert.pem when it is time: the certificate is the TLS client identity, the key is new.
 *     cc renew.c $(pkg-config --cflags --libs estuary) -o renew
 *     ./renew https://est.example ca.pem FOLDER [now]
 */
#include <estuary/estuary.h>
#include <stdio.h>

typedef struct held {
    STACK_OF(X509) *certs; /* the certificate first */
    EVP_PKEY *key;
} held;

static estuary_status load(const char *folder, held *old, estuary_error *err)
{
    char cert[4096], key[4096];
    estuary_status status;

    snprintf(cert, sizeof(cert), "%s/fullchain.pem", folder);
    snprintf(key, sizeof(key), "%s/key.pem", folder);
    status = estuary_certs_from_file(cert, NULL, &old->certs, err);
    return status == ESTUARY_OK ? estuary_key_open(key, NULL, 0, &old->key, err) : status;
}

static estuary_status is_due(const X509 *certificate, bool *due, estuary_error *err)
{
    estuary_renewal_policy *third = NULL; /* the default: a third of the lifetime is left */
    time_t now = time(NULL), when = 0;
    estuary_status status = estuary_renewal_policy_new(&third, err);

    if (status == ESTUARY_OK)
        status = estuary_renewal_plan(certificate, third, now, &when, err);
    *due = status == ESTUARY_OK && when <= now;
    estuary_renewal_policy_free(third);
    return status;
}

static estuary_status connect_as(char **argv, const held *old, estuary_client **client, estuary_error *err)
{
    estuary_config *config = NULL;
    estuary_status status = estuary_config_new(&config, err);

    if (status == ESTUARY_OK)
        status = estuary_config_set_server(config, argv[1], NULL, err);
    if (status == ESTUARY_OK)
        status = estuary_config_trust_file(config, argv[2], err);
    if (status == ESTUARY_OK)
        status = estuary_config_set_identity(config, sk_X509_value(old->certs, 0), NULL, old->key, err);
    if (status == ESTUARY_OK)
        status = estuary_client_new(config, client, err);
    estuary_config_free(config); /* the client has its own snapshot */
    return status;
}

/* Subject and subjectAltName stay as they were (RFC 7030 4.2.2). */
static estuary_status describe(const X509 *old, EVP_PKEY *key, estuary_request *request, estuary_error *err)
{
    estuary_csr *csr = NULL;
    estuary_status status = estuary_csr_new(&csr, err);

    if (status == ESTUARY_OK)
        status = estuary_csr_copy_certificate(csr, old, err);
    if (status == ESTUARY_OK)
        status = estuary_request_set_csr(request, csr, key, err);
    if (status == ESTUARY_OK)
        status = estuary_request_set_old_certificate(request, old, err);
    estuary_csr_free(csr);
    return status;
}

static estuary_status renew(char **argv, const held *old, estuary_error *err)
{
    estuary_client *client = NULL;
    estuary_request *request = NULL;
    estuary_enrollment *enrollment = NULL;
    estuary_store *store = NULL;
    EVP_PKEY *key = NULL;
    estuary_status status = connect_as(argv, old, &client, err);

    if (status == ESTUARY_OK)
        status = estuary_request_new(&request, err);
    if (status == ESTUARY_OK)
        status = estuary_store_open(argv[3], &store, err);
    if (status == ESTUARY_OK)
        status = estuary_key_generate("ec:P-256", &key, err);
    if (status == ESTUARY_OK)
        status = describe(sk_X509_value(old->certs, 0), key, request, err);
    if (status == ESTUARY_OK)
        status = estuary_client_reenroll(client, request, &enrollment, err);
    if (status == ESTUARY_OK) /* old files, or new ones: never a mix */
        status = estuary_store_commit(store, enrollment, key, err);
    else if (status == ESTUARY_E_PENDING)
        (void)estuary_store_save_pending(store, enrollment, key, NULL);
    estuary_store_free(store);
    estuary_enrollment_free(enrollment);
    estuary_request_free(request);
    EVP_PKEY_free(key);
    estuary_client_free(client);
    return status;
}

int main(int argc, char **argv)
{
    estuary_error *err = estuary_error_new();
    held old = {NULL, NULL};
    bool due = argc > 4; /* "now" */
    estuary_status status = argc < 4 ? ESTUARY_E_USAGE : load(argv[3], &old, err);

    if (status == ESTUARY_OK && !due)
        status = is_due(sk_X509_value(old.certs, 0), &due, err);
    if (status == ESTUARY_OK && due)
        status = renew(argv, &old, err);
    if (status != ESTUARY_OK)
        fprintf(stderr, "renew: %s: %s\n", estuary_status_name(status), estuary_error_message(err));
    sk_X509_pop_free(old.certs, X509_free);
    EVP_PKEY_free(old.key);
    estuary_error_free(err);
    return status == ESTUARY_OK ? 0 : 1;
}
