/* The plain HTTP side: CA certificates and OCSP (AIA), CRLs (CDP). RFC 5280 4.2.1.13, 4.2.2.1 */
#include "misbehave.h"
#include "revocation.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define OCSP_PATH "/ocsp"
#define CRL_PATH  "/crl/"

void http_date(time_t at, char out[64])
{
    struct tm tm;
    out[0] = '\0';
    if (gmtime_r(&at, &tm) != NULL)
        (void)strftime(out, 64, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

/* /NAME.cer */
static bool certificate_handle(struct exchange *ex, const char *path)
{
    struct issuer issuers[LAB_ISSUERS];
    ca_issuers(&ex->lab->ca, issuers);
    for (size_t i = 0; i < LAB_ISSUERS; i++) {
        unsigned char *encoded = NULL;
        const size_t len = issuers[i].name == NULL ? 0 : strlen(issuers[i].name);
        if (len == 0 || strncmp(path + 1, issuers[i].name, len) != 0 || strcmp(path + 1 + len, ".cer") != 0)
            continue;
        const int size = i2d_X509(issuers[i].certificate, &encoded);
        reply_set(&ex->reply, 200, "OK");
        if (size <= 0 || !bytes_append(&ex->reply.body, encoded, (size_t)size) ||
            !reply_header(&ex->reply, "Content-Type", "application/pkix-cert"))
            reply_text(&ex->reply, 500, "Internal Server Error", "the certificate could not be encoded");
        OPENSSL_free(encoded);
        return true;
    }
    return false;
}

static const char *sent_header(const struct exchange *ex, const char *name)
{
    return evhttp_find_header(evhttp_request_get_input_headers(ex->req), name);
}

static const char *reply_find(const struct reply *r, const char *name)
{
    for (size_t i = 0; i < r->header_count; i++) {
        if (strcmp(r->headers[i].name, name) == 0)
            return r->headers[i].value;
    }
    return NULL;
}

/* RFC 9110 13: the ETag decides when the client names one. A date is compared as text: it can only be ours.
 */
static void answer_condition(struct exchange *ex)
{
    struct reply *r = &ex->reply;
    const char *etag = reply_find(r, "ETag");
    const char *modified = reply_find(r, "Last-Modified");
    const char *match = sent_header(ex, "If-None-Match");
    const char *since = sent_header(ex, "If-Modified-Since");
    const bool same = match != NULL ? etag != NULL && (strstr(match, etag) != NULL || strcmp(match, "*") == 0)
                                    : since != NULL && modified != NULL && strcmp(since, modified) == 0;
    if (r->status != 200 || !same || evhttp_request_get_command(ex->req) != EVHTTP_REQ_GET)
        return;
    r->status = 304;
    r->reason = "Not Modified";
    bytes_clear(&r->body);
    reply_drop_header(r, "Content-Type");
}

static bool is_under(const char *path, const char *prefix)
{
    const size_t len = strlen(prefix);
    return strncmp(path, prefix, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static bool handle(struct exchange *ex, const char *path)
{
    const bool ocsp = is_under(path, OCSP_PATH);
    const size_t len = strlen(path);
    const bool crl = !ocsp && len > 4 && strcmp(path + len - 4, ".crl") == 0;
    if (!ocsp && !crl)
        return certificate_handle(ex, path);
    ex->lie = control_choice(ex->lab, ocsp ? OP_OCSP : OP_CRL);
    ex->misbehaved = ex->lie == NULL ? NULL : ex->lie->name;
    if (ex->lie != NULL && ex->lie->answer != NULL && ex->lie->answer(ex, ex->lie))
        return true;
    if (ocsp)
        ocsp_handle(ex);
    /* certificates that older labs issued name the CRL without the folder */
    else if (!crl_handle(ex, path + (strncmp(path, CRL_PATH, strlen(CRL_PATH)) == 0 ? strlen(CRL_PATH) : 1)))
        return false;
    if (ex->lie == NULL && crl)
        answer_condition(ex);
    if (ex->lie != NULL && ex->lie->finish != NULL)
        ex->lie->finish(ex, ex->lie);
    return true;
}

static void publish(struct evhttp_request *req, void *arg)
{
    struct exchange ex = {.lab = arg, .req = req};
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(req));
    if (path == NULL || *path != '/' || !handle(&ex, path))
        reply_text(&ex.reply, 404, "Not Found", "there is nothing of this name");
    access_log_plain(&ex);
    if (ex.lie == NULL || ex.lie->transmit == NULL || !ex.lie->transmit(&ex, ex.lie))
        reply_send(&ex);
    reply_clear(&ex.reply);
    bytes_clear(&ex.body);
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
    lab->crls = crls_new();
    if (listener == NULL || lab->crls == NULL || lab->http == NULL ||
        evhttp_bind_listener(lab->http, listener) == NULL) {
        if (listener != NULL)
            evconnlistener_free(listener);
        return false;
    }
    (void)snprintf(base, sizeof base, "http://127.0.0.1:%u", (unsigned)lab->http_port);
    lab->ca.http_base = strdup(base);
    evhttp_set_max_body_size(lab->http, LAB_MAX_BODY);
    evhttp_set_max_headers_size(lab->http, LAB_MAX_HEADERS);
    evhttp_set_timeout(lab->http, LAB_IDLE_SECONDS);
    evhttp_set_default_content_type(lab->http, NULL);
    evhttp_set_gencb(lab->http, publish, lab);
    return lab->ca.http_base != NULL;
}
