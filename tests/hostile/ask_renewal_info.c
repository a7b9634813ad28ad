/* ask_renewal_info URL ANCHORS CERTIFICATE: one call of estuary_client_renewal_info, told as the command
 * tells things. */
#include <estuary/estuary.h>

#include <inttypes.h>
#include <openssl/pem.h>
#include <stdio.h>

static X509 *read_certificate(const char *path)
{
    BIO *bio = BIO_new_file(path, "r");
    X509 *certificate = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return certificate;
}

static estuary_status ask(const char *url, const char *anchors, const X509 *certificate,
                          estuary_renewal_info **info, estuary_error *err)
{
    estuary_config *config = NULL;
    estuary_client *client = NULL;
    estuary_status status = estuary_config_new(&config, err);
    if (status == ESTUARY_OK)
        status = estuary_config_set_server(config, url, NULL, err);
    if (status == ESTUARY_OK)
        status = estuary_config_trust_file(config, anchors, err);
    if (status == ESTUARY_OK)
        status = estuary_client_new(config, &client, err);
    if (status == ESTUARY_OK)
        status = estuary_client_renewal_info(client, certificate, info, err);
    estuary_client_free(client);
    estuary_config_free(config);
    return status;
}

/* None of the messages here needs more escaping. */
static void print_text(const char *name, const char *text)
{
    (void)printf("\"%s\":\"", name);
    for (; *text != '\0'; text++)
        (void)printf(*text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    (void)printf("\",");
}

static void tell(const estuary_renewal_info *info, const estuary_error *err, estuary_status status)
{
    if (status != ESTUARY_OK) {
        (void)printf("{\"error\":{");
        print_text("code", estuary_error_code(err));
        print_text("category", estuary_status_name(status));
        print_text("message", estuary_error_message(err));
        (void)printf("\"exit_code\":%d}}\n", estuary_error_exit_code(err));
    } else if (info == NULL) {
        (void)printf("{\"advice\":false}\n");
    } else {
        (void)printf("{\"advice\":true,\"start\":%" PRId64 ",\"end\":%" PRId64 ",\"retry\":%s}\n",
                     (int64_t)estuary_renewal_info_start(info), (int64_t)estuary_renewal_info_end(info),
                     estuary_renewal_info_retry_at(info) != 0 ? "true" : "false");
    }
}

int main(int argc, char **argv)
{
    int code = 1;
    estuary_renewal_info *info = NULL;
    estuary_error *err = estuary_error_new();
    X509 *certificate = argc == 4 ? read_certificate(argv[3]) : NULL;
    if (err != NULL && certificate != NULL) {
        const estuary_status status = ask(argv[1], argv[2], certificate, &info, err);
        tell(info, err, status);
        code = status == ESTUARY_OK ? 0 : estuary_error_exit_code(err);
    }
    estuary_renewal_info_free(info);
    X509_free(certificate);
    estuary_error_free(err);
    return code;
}
