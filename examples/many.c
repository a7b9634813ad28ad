/*
 * Many devices at once: each gets a new key and a certificate, in one thread, at most 32 at a time.
 *
 *     cc many.c $(pkg-config --cflags --libs estuary) -o many
 *     ./many https://est.example ca.pem NAME file:PASSWORD_FILE COUNT
 */
#include <estuary/estuary.h>
#include <stdio.h>
#include <stdlib.h>

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

static estuary_status describe(long number, estuary_request *request, estuary_error *err)
{
    char subject[64];
    estuary_csr *csr = NULL;
    EVP_PKEY *key = NULL;
    estuary_status status = estuary_key_generate("ec:P-256", &key, err);

    snprintf(subject, sizeof(subject), "CN=device-%ld", number);
    if (status == ESTUARY_OK)
        status = estuary_csr_new(&csr, err);
    if (status == ESTUARY_OK)
        status = estuary_csr_set_subject(csr, subject, err);
    if (status == ESTUARY_OK)
        status = estuary_request_set_csr(request, csr, key, err);
    estuary_csr_free(csr);
    EVP_PKEY_free(key); /* a real device would keep it */
    return status;
}

/* A client each: what one device may say travels over no other's connection. */
static estuary_status add(estuary_multi *multi, const estuary_config *config, long number, estuary_error *err)
{
    estuary_client *client = NULL;
    estuary_request *request = NULL;
    estuary_status status = estuary_client_new(config, &client, err);

    if (status == ESTUARY_OK)
        status = estuary_request_new(&request, err);
    if (status == ESTUARY_OK)
        status = describe(number, request, err);
    if (status == ESTUARY_OK)
        status = estuary_multi_add(multi, client, ESTUARY_OP_SIMPLEENROLL, request, NULL, NULL, err);
    if (status != ESTUARY_OK)
        estuary_client_free(client);
    estuary_request_free(request);
    return status;
}

/* Says how it ended, and counts what failed into *arg. */
static void on_done(void *arg, estuary_op *op)
{
    long *failed = arg;
    estuary_client *client = estuary_op_get0_client(op);
    estuary_enrollment *enrollment = estuary_op_take_enrollment(op);
    char *subject = NULL;

    if (estuary_op_status(op) == ESTUARY_OK &&
        estuary_name_format(X509_get_subject_name(estuary_enrollment_get0_certificate(enrollment)), &subject,
                            NULL) == ESTUARY_OK) {
        printf("%s\n", subject);
    } else {
        fprintf(stderr, "many: %s\n", estuary_error_message(estuary_op_get0_error(op)));
        (*failed)++;
    }
    OPENSSL_free(subject);
    estuary_enrollment_free(enrollment);
    estuary_op_free(op);
    estuary_client_free(client);
}

int main(int argc, char **argv)
{
    estuary_config *config = NULL;
    estuary_multi *multi = NULL;
    estuary_error *err = estuary_error_new();
    long failed = 0;

    if (argc != 6)
        return 2;
    estuary_status status = estuary_config_new(&config, err);
    if (status == ESTUARY_OK)
        status = configure(argv, config, err);
    if (status == ESTUARY_OK)
        status = estuary_multi_new(&multi, err);
    if (status == ESTUARY_OK) {
        estuary_multi_set_max_in_flight(multi, 32);
        estuary_multi_set_on_done(multi, on_done, &failed);
    }
    for (long i = 0; status == ESTUARY_OK && i < strtol(argv[5], NULL, 10); i++)
        status = add(multi, config, i, err);
    if (status == ESTUARY_OK)
        status = estuary_multi_run(multi, err);
    if (status != ESTUARY_OK)
        fprintf(stderr, "many: %s\n", estuary_error_message(err));
    estuary_multi_free(multi);
    estuary_config_free(config);
    estuary_error_free(err);
    return status != ESTUARY_OK || failed > 0;
}
