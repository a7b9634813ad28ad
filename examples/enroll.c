/*
 * A device's first certificate: a new P-256 key, HTTP authentication, everything on disk at the end.
 *
 *     cc enroll.c $(pkg-config --cflags --libs estuary) -o enroll
 *     ./enroll https://est.example ca.pem NAME file:PASSWORD_FILE device.example OUT_FOLDER
 */
#include <estuary/estuary.h>
#include <stdio.h>

static estuary_status configure(char **argv, estuary_config *config, estuary_error *err)
{
    estuary_secret *password = NULL;
    estuary_status status = estuary_config_set_server(config, argv[1], NULL, err);

    if (status == ESTUARY_OK)
        status = estuary_config_trust_file(config, argv[2], err);
    if (status == ESTUARY_OK)
        status = estuary_secret_read(argv[4], "Password: ", &password, err);
    if (status == ESTUARY_OK)
        status = estuary_config_set_http_auth(config, argv[3], password, err);
    estuary_secret_free(password);
    return status;
}

/* What the certificate shall say: CN=NAME and the same as a DNS name. */
static estuary_status describe(const char *name, EVP_PKEY *key, estuary_request *request, estuary_error *err)
{
    char subject[300];
    estuary_csr *csr = NULL;
    estuary_status status = estuary_csr_new(&csr, err);

    snprintf(subject, sizeof(subject), "CN=%s", name);
    if (status == ESTUARY_OK)
        status = estuary_csr_set_subject(csr, subject, err);
    if (status == ESTUARY_OK)
        status = estuary_csr_add_san(csr, ESTUARY_SAN_DNS, name, err);
    if (status == ESTUARY_OK)
        status = estuary_request_set_csr(request, csr, key, err);
    estuary_csr_free(csr);
    return status;
}

/* The folder is opened before anything is sent: a certificate that cannot be kept is not asked for. */
static estuary_status enroll(estuary_client *client, const estuary_request *request, const EVP_PKEY *key,
                             const char *folder, estuary_error *err)
{
    estuary_store *store = NULL;
    estuary_enrollment *enrollment = NULL;
    estuary_status status = estuary_store_open(folder, &store, err);

    if (status == ESTUARY_OK)
        status = estuary_client_enroll(client, request, &enrollment, err);
    if (status == ESTUARY_OK)
        status = estuary_store_commit(store, enrollment, key, err);
    else if (status == ESTUARY_E_PENDING && /* err keeps Retry-After: NULL here */
             estuary_store_save_pending(store, enrollment, key, NULL) != ESTUARY_OK)
        fprintf(stderr, "enroll: the pending request could not be saved\n");
    estuary_enrollment_free(enrollment);
    estuary_store_free(store);
    return status;
}

int main(int argc, char **argv)
{
    estuary_error *err = estuary_error_new();
    estuary_config *config = NULL;
    estuary_client *client = NULL;
    estuary_request *request = NULL;
    EVP_PKEY *key = NULL;
    estuary_status status;
    int code;

    if (argc != 7) {
        fprintf(stderr, "usage: enroll URL CA_FILE USER PASSWORD_SOURCE DNS_NAME OUT_FOLDER\n");
        estuary_error_free(err);
        return 2;
    }
    status = estuary_config_new(&config, err);
    if (status == ESTUARY_OK)
        status = configure(argv, config, err);
    if (status == ESTUARY_OK)
        status = estuary_client_new(config, &client, err);
    if (status == ESTUARY_OK)
        status = estuary_key_generate("ec:P-256", &key, err);
    if (status == ESTUARY_OK)
        status = estuary_request_new(&request, err);
    if (status == ESTUARY_OK)
        status = describe(argv[5], key, request, err);
    if (status == ESTUARY_OK)
        status = enroll(client, request, key, argv[6], err);

    code = status == ESTUARY_OK ? 0 : 1;
    if (code == 0)
        printf("%s holds key and certificate\n", argv[6]);
    else
        fprintf(stderr, "enroll: %s: %s %s\n", estuary_status_name(status), estuary_error_message(err),
                estuary_error_remedy(err));
    if (code != 0 && err != NULL)
        code = estuary_error_exit_code(err);
    EVP_PKEY_free(key);
    estuary_request_free(request);
    estuary_client_free(client);
    estuary_config_free(config);
    estuary_error_free(err);
    return code;
}
