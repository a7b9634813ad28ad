#include "lab.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void reply_clear(struct reply *r)
{
    for (size_t i = 0; i < r->header_count; i++)
        free(r->headers[i].value);
    bytes_clear(&r->body);
    *r = (struct reply){0};
}

void reply_set(struct reply *r, int status, const char *reason)
{
    reply_clear(r);
    r->status = status;
    r->reason = reason;
}

bool reply_header(struct reply *r, const char *name, const char *value)
{
    char *copy = r->header_count == LAB_MAX_HEADER_LINES ? NULL : strdup(value);
    if (copy == NULL)
        return false;
    r->headers[r->header_count++] = (struct header){name, copy};
    return true;
}

void reply_drop_header(struct reply *r, const char *name)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->header_count; i++) {
        if (strcasecmp(r->headers[i].name, name) == 0)
            free(r->headers[i].value);
        else
            r->headers[kept++] = r->headers[i];
    }
    r->header_count = kept;
}

void reply_text(struct reply *r, int status, const char *reason, const char *text)
{
    reply_set(r, status, reason);
    if (!reply_header(r, "Content-Type", "text/plain") || !bytes_text(&r->body, text) ||
        !bytes_text(&r->body, "\n"))
        reply_set(r, 500, "Internal Server Error");
}

static bool wants_close(struct evhttp_request *req)
{
    const char *in = evhttp_find_header(evhttp_request_get_input_headers(req), "Connection");
    const char *out = evhttp_find_header(evhttp_request_get_output_headers(req), "Connection");
    return (in != NULL && strcasecmp(in, "close") == 0) || (out != NULL && strcasecmp(out, "close") == 0);
}

/* evhttp closes the socket without close_notify, which a careful peer takes for a truncation. */
static void say_goodbye(struct evhttp_request *req, void *arg)
{
    SSL *ssl = arg;
    if (wants_close(req))
        (void)SSL_shutdown(ssl);
    ERR_clear_error();
}

void reply_send(struct exchange *ex)
{
    struct reply *r = &ex->reply;
    struct evkeyvalq *headers = evhttp_request_get_output_headers(ex->req);
    struct evbuffer *body = evbuffer_new();
    int bad = body == NULL || (r->body.len > 0 && evbuffer_add(body, r->body.data, r->body.len) != 0);
    for (size_t i = 0; i < r->header_count; i++)
        bad |= evhttp_add_header(headers, r->headers[i].name, r->headers[i].value) != 0;
    if (ex->ssl != NULL)
        evhttp_request_set_on_complete_cb(ex->req, say_goodbye, ex->ssl);
    if (bad)
        evhttp_send_error(ex->req, 500, NULL);
    else
        evhttp_send_reply(ex->req, r->status, r->reason, body);
    if (body != NULL)
        evbuffer_free(body);
}
