/* Misbehaviours that OCSP responders and CRL publishers have in common: HTTP, the wire, bytes that are no
 * DER. */
#include "misbehave.h"
#include "revocation.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define CRLF  "\r\n"
#define CHUNK 16384L

/* ---- answers in place of the evidence ---- */

bool lie_status(struct exchange *ex, const struct misbehaviour *row)
{
    if (row->number == 304)
        reply_set(&ex->reply, 304, "Not Modified");
    else
        reply_text(&ex->reply, (int)row->number, row->number == 404 ? "Not Found" : "Internal Server Error",
                   "the lab was told to refuse");
    return true;
}

static void redirect(struct exchange *ex, const char *location)
{
    reply_text(&ex->reply, 302, "Found", "the lab was told to send you elsewhere");
    (void)reply_header(&ex->reply, "Location", location);
}

bool lie_redirect(struct exchange *ex, const struct misbehaviour *row)
{
    redirect(ex, row->text);
    return true;
}

bool lie_redirect_https(struct exchange *ex, const struct misbehaviour *row)
{
    char location[1024];
    (void)row;
    (void)snprintf(location, sizeof location, "https://localhost:%u%s", (unsigned)ex->lab->doors[0].port,
                   evhttp_request_get_uri(ex->req));
    redirect(ex, location);
    return true;
}

bool lie_redirect_loop(struct exchange *ex, const struct misbehaviour *row)
{
    (void)row;
    redirect(ex, evhttp_request_get_uri(ex->req));
    return true;
}

/* The second time there is a query, and the answer. */
bool lie_redirect_once(struct exchange *ex, const struct misbehaviour *row)
{
    char location[1024];
    (void)row;
    if (evhttp_uri_get_query(evhttp_request_get_evhttp_uri(ex->req)) != NULL)
        return false;
    (void)snprintf(location, sizeof location, "%s?again", evhttp_request_get_uri(ex->req));
    redirect(ex, location);
    return true;
}

/* ---- the body ---- */

void lie_type(struct exchange *ex, const struct misbehaviour *row)
{
    reply_drop_header(&ex->reply, "Content-Type");
    if (row->text != NULL)
        (void)reply_header(&ex->reply, "Content-Type", row->text);
}

bool lie_text(struct exchange *ex, struct bytes *der, const struct misbehaviour *row)
{
    (void)ex;
    bytes_clear(der);
    return bytes_text(der, row->text);
}

bool lie_empty(struct exchange *ex, struct bytes *der, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    bytes_clear(der);
    return true;
}

bool lie_trailing(struct exchange *ex, struct bytes *der, const struct misbehaviour *row)
{
    bool ok = true;
    (void)ex;
    for (long i = 0; ok && i < row->number; i++)
        ok = bytes_append(der, "", 1);
    return ok;
}

bool lie_truncated(struct exchange *ex, struct bytes *der, const struct misbehaviour *row)
{
    (void)ex;
    der->len -= der->len > (size_t)row->number ? (size_t)row->number : der->len;
    return true;
}

/* The outermost length says nearly 4 GiB; what follows is honest. */
bool lie_length(struct exchange *ex, struct bytes *der, const struct misbehaviour *row)
{
    static const unsigned char head[] = {0x30, 0x84, 0xff, 0xff, 0xff, 0xf0};
    struct bytes out = {0};
    size_t header = 0;
    size_t total = 0;
    (void)ex;
    (void)row;
    if (!der_element(der->data, der->len, &header, &total) || !bytes_append(&out, head, sizeof head) ||
        !bytes_append(&out, der->data + header, der->len - header)) {
        bytes_clear(&out);
        return false;
    }
    bytes_clear(der);
    *der = out;
    return true;
}

/* ---- the wire ---- */

static bool send_part(struct exchange *ex, size_t len, enum raw_end end)
{
    struct raw_plan plan = {.first = raw_head(ex, (long)ex->reply.body.len, CRLF), .end = end};
    if (plan.first == NULL)
        return false;
    (void)evbuffer_add(plan.first, ex->reply.body.data, len);
    return raw_take_request(ex, &plan);
}

bool lie_half(struct exchange *ex, const struct misbehaviour *row)
{
    (void)row;
    return send_part(ex, ex->reply.body.len / 2, RAW_CLOSE);
}

bool lie_close(struct exchange *ex, const struct misbehaviour *row)
{
    struct raw_plan plan = {.end = RAW_CLOSE};
    (void)row;
    return raw_take_request(ex, &plan);
}

bool lie_stall(struct exchange *ex, const struct misbehaviour *row)
{
    (void)row;
    return send_part(ex, ex->reply.body.len / 2, RAW_HANG);
}

/* A byte a second keeps an idle timeout from ending it. */
bool lie_drip(struct exchange *ex, const struct misbehaviour *row)
{
    struct raw_plan plan = {.first = raw_head(ex, (long)ex->reply.body.len, CRLF), .end = RAW_CLOSE};
    (void)row;
    if (plan.first != NULL && bytes_append(&plan.drip, ex->reply.body.data, ex->reply.body.len))
        return raw_take_request(ex, &plan);
    if (plan.first != NULL)
        evbuffer_free(plan.first);
    return false;
}

static bool filler(struct bytes *out, size_t len)
{
    out->data = calloc(1, len);
    out->len = out->data == NULL ? 0 : len;
    return out->data != NULL;
}

bool lie_oversize(struct exchange *ex, const struct misbehaviour *row)
{
    struct raw_plan plan = {.times = (unsigned long)(row->number / CHUNK), .end = RAW_CLOSE};
    plan.first = raw_head(ex, row->number, CRLF);
    if (plan.first != NULL && filler(&plan.repeat, (size_t)CHUNK))
        return raw_take_request(ex, &plan);
    if (plan.first != NULL)
        evbuffer_free(plan.first);
    return false;
}

/* A good beginning, then chunks without end. */
bool lie_endless(struct exchange *ex, const struct misbehaviour *row)
{
    struct raw_plan plan = {.times = ULONG_MAX, .end = RAW_CLOSE};
    struct bytes data = {0};
    bool ok = reply_header(&ex->reply, "Transfer-Encoding", "chunked");
    (void)row;
    plan.first = ok ? raw_head(ex, -1, CRLF) : NULL;
    ok = plan.first != NULL && filler(&data, (size_t)CHUNK) && bytes_text(&plan.repeat, "4000" CRLF) &&
         bytes_append(&plan.repeat, data.data, data.len) && bytes_text(&plan.repeat, CRLF) &&
         evbuffer_add_printf(plan.first, "%zx" CRLF, ex->reply.body.len) > 0 &&
         evbuffer_add(plan.first, ex->reply.body.data, ex->reply.body.len) == 0 &&
         evbuffer_add(plan.first, CRLF, 2) == 0;
    bytes_clear(&data);
    if (ok)
        return raw_take_request(ex, &plan);
    bytes_clear(&plan.repeat);
    if (plan.first != NULL)
        evbuffer_free(plan.first);
    return false;
}

/* ---- who signs ---- */

bool lie_sign(struct delegate *own, struct mint *m)
{
    const time_t now = time(NULL);
    if (m->not_before == 0)
        m->not_before = now - LAB_DAY;
    if (m->not_after == 0)
        m->not_after = now + LAB_DAY;
    own->key = m->own_key != NULL ? m->own_key : new_key("ec");
    m->own_key = NULL;
    m->key = own->key;
    if (m->signer == NULL)
        m->signer = own->key;
    own->certificate = own->key == NULL ? NULL : mint_certificate(m);
    return own->certificate != NULL;
}
