/* One line of JSON per request: what a test needs to prove what its client sent. Never a secret. */
#include "lab.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

static const char *method_name(struct evhttp_request *req)
{
    switch (evhttp_request_get_command(req)) {
    case EVHTTP_REQ_GET:
        return "GET";
    case EVHTTP_REQ_POST:
        return "POST";
    case EVHTTP_REQ_HEAD:
        return "HEAD";
    case EVHTTP_REQ_PUT:
        return "PUT";
    case EVHTTP_REQ_DELETE:
        return "DELETE";
    default:
        return "other";
    }
}

static void add_time(struct evbuffer *line)
{
    char text[32] = "";
    struct tm tm;
    time_t now = time(NULL);
    if (gmtime_r(&now, &tm) != NULL)
        (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_string(line, "time", text);
}

static void add_client(struct evbuffer *line, const X509 *client)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *serial = NULL;
    BIGNUM *number = NULL;
    if (client != NULL && bio != NULL &&
        X509_NAME_print_ex(bio, X509_get_subject_name(client), 0, XN_FLAG_RFC2253) >= 0 &&
        BIO_write(bio, "", 1) == 1) {
        char *subject = NULL;
        (void)BIO_get_mem_data(bio, &subject);
        number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(client), NULL);
        serial = number == NULL ? NULL : BN_bn2hex(number);
        json_string(line, "client_subject", subject);
        json_string(line, "client_serial", serial);
    } else {
        json_string(line, "client_subject", NULL);
        json_string(line, "client_serial", NULL);
    }
    BN_free(number);
    OPENSSL_free(serial);
    BIO_free(bio);
}

static void add_request(struct evbuffer *line, struct evhttp_request *req)
{
    struct evkeyvalq *headers = evhttp_request_get_input_headers(req);
    const char *length = evhttp_find_header(headers, "Content-Length");
    json_string(line, "method", method_name(req));
    json_string(line, "path", evhttp_request_get_uri(req));
    json_string(line, "host", evhttp_find_header(headers, "Host"));
    json_string(line, "content_type", evhttp_find_header(headers, "Content-Type"));
    json_bool(line, "authorization", evhttp_find_header(headers, "Authorization") != NULL);
    json_number(line, "content_length", length == NULL ? -1 : strtol(length, NULL, 10));
}

static void finish_line(struct lab *lab, struct evbuffer *line)
{
    (void)evbuffer_add(line, "}\n", 2);
    if (!file_append_line(lab->access_log, evbuffer_pullup(line, -1), evbuffer_get_length(line)))
        (void)fputs("estuary-lab: the access log cannot be written\n", stderr);
    evbuffer_free(line);
}

void access_log(struct exchange *ex)
{
    char body[65] = "";
    struct evbuffer *line = evbuffer_new();
    if (line == NULL || !sha256_hex(ex->body.data, ex->body.len, body)) {
        if (line != NULL)
            evbuffer_free(line);
        return;
    }
    add_time(line);
    add_request(line, ex->req);
    json_string(line, "operation", ex->operation == NULL ? NULL : ex->operation->name);
    json_string(line, "label", ex->label[0] == '\0' ? NULL : ex->label);
    json_string(line, "tls", SSL_get_version(ex->ssl));
    json_bool(line, "resumed", SSL_session_reused(ex->ssl) == 1);
    json_number(line, "connection", (long long)(intptr_t)SSL_get_app_data(ex->ssl));
    json_number(line, "port", ex->door->port);
    add_client(line, ex->client);
    json_string(line, "user", ex->user);
    json_string(line, "pop", ex->pop);
    json_number(line, "body_length", (long long)ex->body.len);
    json_string(line, "body_sha256", body);
    json_number(line, "status", ex->reply.status);
    json_string(line, "misbehaved", ex->misbehaved);
    finish_line(ex->lab, line);
}

/* The plain HTTP side, where CA certificates, CRLs and OCSP responses are published. */
void access_log_plain(struct exchange *ex)
{
    struct evbuffer *line = evbuffer_new();
    if (line == NULL)
        return;
    add_time(line);
    add_request(line, ex->req);
    json_string(line, "tls", NULL);
    json_number(line, "status", ex->reply.status);
    json_string(line, "misbehaved", ex->misbehaved);
    finish_line(ex->lab, line);
}
