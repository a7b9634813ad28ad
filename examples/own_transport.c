/*
 * EST over a transport of your own: libestuary makes and judges the messages, a plain OpenSSL
 * connection carries them. Fetches /cacerts and prints the subjects.
 *     cc own_transport.c $(pkg-config --cflags --libs estuary) -lssl -o own_transport
 *     ./own_transport https://est.example ca.pem
 */
#include <estuary/estuary.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX 65536
/* Verified TLS to the server: chain and host name are this program's duty here (RFC 7030 3.6). */
static BIO *dial(const estuary_server *server, const char *ca_file, SSL_CTX **ctx)
{
    SSL *ssl = NULL;
    char port[16];
    BIO *bio;

    *ctx = SSL_CTX_new(TLS_client_method());
    if (*ctx == NULL || SSL_CTX_set_min_proto_version(*ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_load_verify_file(*ctx, ca_file) != 1)
        return NULL;
    SSL_CTX_set_verify(*ctx, SSL_VERIFY_PEER, NULL);
    bio = BIO_new_ssl_connect(*ctx);
    snprintf(port, sizeof(port), "%d", estuary_server_port(server));
    if (bio == NULL || BIO_get_ssl(bio, &ssl) != 1 || SSL_set1_host(ssl, estuary_server_host(server)) != 1 ||
        SSL_set_tlsext_host_name(ssl, estuary_server_host(server)) != 1 ||
        BIO_set_conn_hostname(bio, estuary_server_host(server)) != 1 || BIO_set_conn_port(bio, port) != 1 ||
        BIO_do_handshake(bio) != 1) {
        BIO_free_all(bio);
        return NULL;
    }
    return bio;
}

/* One HTTP/1.0 request; the server ends the answer by closing. The bytes read, or -1. */
static int converse(BIO *bio, const estuary_server *server, const estuary_http_request *request, char *answer)
{
    const char *path = estuary_http_request_url(request) + strlen("https://");
    int n, len = 0;

    path += strcspn(path, "/"); /* past the authority */
    if (BIO_printf(bio, "%s %s HTTP/1.0\r\nHost: %s:%d\r\nAccept: %s\r\nConnection: close\r\n\r\n",
                   estuary_http_request_method(request), path, estuary_server_host(server),
                   estuary_server_port(server), estuary_http_request_accept(request)) <= 0)
        return -1;
    while (len < ANSWER_MAX && (n = BIO_read(bio, answer + len, ANSWER_MAX - len)) > 0)
        len += n;
    return len < ANSWER_MAX ? len : -1;
}

/* Status, headers and body become an estuary_http_response; libestuary checks all of them. */
static estuary_status read_answer(char *text, int len, estuary_http_response **out, estuary_error *err)
{
    char *body = strstr(text, "\r\n\r\n"), *rest = NULL, *line, *value;
    const char *code = strchr(text, ' ');
    estuary_status status = estuary_http_response_new(code ? (int)strtol(code, NULL, 10) : 0, out, err);

    if (status != ESTUARY_OK || body == NULL)
        return status;
    *body = '\0';
    (void)strtok_r(text, "\r\n", &rest); /* the status line */
    while (status == ESTUARY_OK && (line = strtok_r(NULL, "\r\n", &rest)) != NULL) {
        value = strchr(line, ':');
        if (value != NULL) {
            *value++ = '\0';
            status = estuary_http_response_add_header(*out, line, value + strspn(value, " \t"), err);
        }
    }
    body += 4;
    len -= (int)(body - text);
    return status ? status : estuary_http_response_append_body(*out, (const uint8_t *)body, (size_t)len, err);
}

static void print_subjects(const STACK_OF(X509) *certs)
{
    for (int i = 0; i < sk_X509_num(certs); i++) {
        X509_NAME_print_ex_fp(stdout, X509_get_subject_name(sk_X509_value(certs, i)), 0, XN_FLAG_RFC2253);
        putchar('\n');
    }
}

int main(int argc, char **argv)
{
    static char answer[ANSWER_MAX + 1]; /* zeroed: always ends with NUL */
    estuary_error *err = estuary_error_new();
    estuary_server *server = NULL;
    estuary_exchange *exchange = NULL;
    const estuary_http_request *request = NULL;
    estuary_http_response *response = NULL;
    estuary_next next = ESTUARY_NEXT_FAILED;
    SSL_CTX *ctx = NULL;
    BIO *bio = NULL;
    int len = -1;
    estuary_status status = argc == 3 ? estuary_server_parse(argv[1], NULL, &server, err) : ESTUARY_E_USAGE;

    if (status == ESTUARY_OK)
        status = estuary_exchange_new(ESTUARY_OP_CACERTS, server, NULL, NULL, &exchange, err);
    if (status == ESTUARY_OK)
        status = estuary_exchange_request(exchange, NULL, 0, &request, err);
    if (status == ESTUARY_OK && (bio = dial(server, argv[2], &ctx)) != NULL)
        len = converse(bio, server, request, answer);
    if (status == ESTUARY_OK)
        status = len > 0 ? read_answer(answer, len, &response, err) : ESTUARY_E_NETWORK;
    if (status == ESTUARY_OK)
        status = estuary_exchange_response(exchange, response, time(NULL), &next, err);
    if (next == ESTUARY_NEXT_DONE)
        print_subjects(estuary_exchange_get0_certs(exchange));
    if (status != ESTUARY_OK)
        fprintf(stderr, "own_transport: %s: %s\n", estuary_status_name(status), estuary_error_message(err));
    estuary_http_response_free(response);
    BIO_free_all(bio);
    SSL_CTX_free(ctx);
    estuary_exchange_free(exchange);
    estuary_server_free(server);
    estuary_error_free(err);
    return status == ESTUARY_OK && next == ESTUARY_NEXT_DONE ? 0 : 1;
}
