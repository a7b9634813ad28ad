/* The plain HTTP side: CA certificates (AIA) and CRLs (CDP). RFC 5280 4.2.1.13, 4.2.2.1 */
#include "lab.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static bool certificate_der(const X509 *certificate, struct bytes *der)
{
    unsigned char *encoded = NULL;
    int len = i2d_X509(certificate, &encoded);
    bool ok = len > 0 && bytes_append(der, encoded, (size_t)len);
    OPENSSL_free(encoded);
    return ok;
}

static bool find_document(const struct ca *ca, const char *path, struct bytes *der, const char **type)
{
    const bool rolled = ca->old_root != NULL;
    const struct {
        const char *name;
        X509 *certificate;
        EVP_PKEY *key;
    } issuers[] = {
        {rolled ? "/root-new" : "/root", ca->root, ca->root_key},
        {rolled ? "/issuing-new" : "/issuing", ca->issuing, ca->issuing_key},
        {"/root", ca->old_root, ca->old_root_key},
        {"/issuing", ca->old_issuing, ca->old_issuing_key},
    };
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot != NULL && i < sizeof issuers / sizeof *issuers; i++) {
        const size_t len = strlen(issuers[i].name);
        if (issuers[i].certificate == NULL || len != (size_t)(dot - path) ||
            memcmp(issuers[i].name, path, len) != 0)
            continue;
        const bool crl = strcmp(dot, ".crl") == 0;
        *type = crl ? "application/pkix-crl" : "application/pkix-cert";
        if (crl)
            return crl_encode(issuers[i].certificate, issuers[i].key, der);
        return strcmp(dot, ".cer") == 0 && certificate_der(issuers[i].certificate, der);
    }
    return false;
}

static void publish(struct evhttp_request *req, void *arg)
{
    struct lab *lab = arg;
    struct bytes der = {0};
    const char *type = NULL;
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(req));
    struct evbuffer *body = evbuffer_new();
    if (path == NULL || body == NULL || !find_document(&lab->ca, path, &der, &type) ||
        evbuffer_add(body, der.data, der.len) != 0 ||
        evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type", type) != 0) {
        access_log_plain(lab, req, 404);
        evhttp_send_error(req, 404, NULL);
    } else {
        access_log_plain(lab, req, 200);
        evhttp_send_reply(req, 200, "OK", body);
    }
    bytes_clear(&der);
    if (body != NULL)
        evbuffer_free(body);
}

static long remembered_port(const char *path)
{
    struct bytes text = {0};
    long port = 0;
    if (file_read(path, 16, &text) && bytes_append(&text, "", 1))
        port = strtol((const char *)text.data, NULL, 10);
    bytes_clear(&text);
    return port < 1 || port > UINT16_MAX ? 0 : port;
}

/* The port stands in certificates already issued: keep it as long as nobody else has taken it. */
static struct evconnlistener *listen_again(struct lab *lab, const char *path)
{
    char text[16];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct evconnlistener *listener = NULL;
    const long port = remembered_port(path);
    address.sin_port = htons((uint16_t)port);
    if (port != 0)
        listener = listen_on(lab, (const struct sockaddr *)&address, sizeof address);
    address.sin_port = 0;
    if (listener == NULL)
        listener = listen_on(lab, (const struct sockaddr *)&address, sizeof address);
    if (listener == NULL)
        return NULL;
    lab->http_port = listener_port(listener);
    (void)snprintf(text, sizeof text, "%u\n", (unsigned)lab->http_port);
    if (!file_write(path, text, strlen(text))) {
        evconnlistener_free(listener);
        return NULL;
    }
    return listener;
}

bool publish_start(struct lab *lab)
{
    char base[64];
    char *path = path_join(lab->ca.dir, "http-port");
    struct evconnlistener *listener = path == NULL ? NULL : listen_again(lab, path);
    free(path);
    lab->http = evhttp_new(lab->base);
    if (listener == NULL || lab->http == NULL || evhttp_bind_listener(lab->http, listener) == NULL) {
        if (listener != NULL)
            evconnlistener_free(listener);
        return false;
    }
    (void)snprintf(base, sizeof base, "http://127.0.0.1:%u", (unsigned)lab->http_port);
    lab->ca.http_base = strdup(base);
    evhttp_set_max_body_size(lab->http, 1024);
    evhttp_set_max_headers_size(lab->http, LAB_MAX_HEADERS);
    evhttp_set_timeout(lab->http, LAB_IDLE_SECONDS);
    evhttp_set_gencb(lab->http, publish, lab);
    return lab->ca.http_base != NULL;
}
