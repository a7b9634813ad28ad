/* Misbehaviours of the bytes on the wire: a good answer, sent as no HTTP library would send it. */
#include "misbehave.h"

#include <event2/buffer.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define CRLF          "\r\n"
#define CHUNK         16384L
#define OVERSIZE      (64L * 1024 * 1024)
#define LONG_HEADER   (1024 * 1024)
#define FLOOD_HEADERS 10000

static bool filler(struct bytes *out, size_t len)
{
    out->data = malloc(len);
    if (out->data == NULL)
        return false;
    memset(out->data, 'A', len);
    out->len = len;
    return true;
}

static bool send_first(struct exchange *ex, struct evbuffer *first, enum raw_end end)
{
    struct raw_plan plan = {.first = first, .end = end};
    return first != NULL && raw_take_request(ex, &plan);
}

static void add_body(struct evbuffer *out, const struct exchange *ex, size_t len)
{
    if (out != NULL && len > 0)
        (void)evbuffer_add(out, ex->reply.body.data, len);
}

/* Half of what Content-Length promised; number says how the connection ends. */
static bool send_half(struct exchange *ex, const struct misbehaviour *row)
{
    struct evbuffer *out = raw_head(ex, (long)ex->reply.body.len, CRLF);
    add_body(out, ex, ex->reply.body.len / 2);
    return send_first(ex, out, (enum raw_end)row->number);
}

static bool send_without_length(struct exchange *ex, const struct misbehaviour *row)
{
    struct evbuffer *out = raw_head(ex, -1, CRLF);
    (void)row;
    add_body(out, ex, ex->reply.body.len);
    return send_first(ex, out, RAW_CLOSE);
}

/* The whole body, after headers the row adds (%ld: the true length) in place of Content-Length. */
static bool send_with_length_of(struct exchange *ex, const struct misbehaviour *row)
{
    bool ok = reply_header(&ex->reply, "Content-Length", row->text);
    if (row->number != 0) {
        char length[32];
        (void)snprintf(length, sizeof length, "%zu", ex->reply.body.len);
        ok = ok && reply_header(&ex->reply, "Content-Length", length);
    }
    return ok && send_without_length(ex, row);
}

static bool send_oversize(struct exchange *ex, const struct misbehaviour *row)
{
    struct raw_plan plan = {.times = (unsigned long)(row->number / CHUNK), .end = RAW_CLOSE};
    plan.first = raw_head(ex, row->number, CRLF);
    if (plan.first != NULL && filler(&plan.repeat, (size_t)CHUNK))
        return raw_take_request(ex, &plan);
    if (plan.first != NULL)
        evbuffer_free(plan.first);
    return false;
}

static bool send_endless_chunks(struct exchange *ex, const struct misbehaviour *row)
{
    struct bytes data = {0};
    struct raw_plan plan = {.times = ULONG_MAX, .end = RAW_CLOSE};
    (void)row;
    if (reply_header(&ex->reply, "Transfer-Encoding", "chunked"))
        plan.first = raw_head(ex, -1, CRLF);
    if (plan.first != NULL && filler(&data, 0x1000) && bytes_text(&plan.repeat, "1000" CRLF) &&
        bytes_append(&plan.repeat, data.data, data.len) && bytes_text(&plan.repeat, CRLF)) {
        bytes_clear(&data);
        return raw_take_request(ex, &plan);
    }
    if (plan.first != NULL)
        evbuffer_free(plan.first);
    bytes_clear(&plan.repeat);
    bytes_clear(&data);
    return false;
}

static bool send_bad_chunk(struct exchange *ex, const struct misbehaviour *row)
{
    struct evbuffer *out = NULL;
    if (!reply_header(&ex->reply, "Transfer-Encoding", "chunked"))
        return false;
    out = raw_head(ex, -1, CRLF);
    if (out != NULL)
        (void)evbuffer_add_printf(out, "%s" CRLF, row->text);
    add_body(out, ex, ex->reply.body.len);
    return send_first(ex, out, RAW_CLOSE);
}

/* Puts more headers between the status line and the reply's own. */
static bool send_with_headers(struct exchange *ex, struct evbuffer *more)
{
    struct evbuffer *out = evbuffer_new();
    struct evbuffer *rest = raw_head(ex, (long)ex->reply.body.len, CRLF);
    if (out == NULL || rest == NULL || more == NULL)
        goto failed;
    size_t eol = 0;
    char *line = evbuffer_readln(rest, &eol, EVBUFFER_EOL_CRLF);
    (void)evbuffer_add_printf(out, "%s" CRLF, line == NULL ? "HTTP/1.1 200 OK" : line);
    free(line);
    if (evbuffer_add_buffer(out, more) != 0 || evbuffer_add_buffer(out, rest) != 0)
        goto failed;
    evbuffer_free(more);
    evbuffer_free(rest);
    add_body(out, ex, ex->reply.body.len);
    return send_first(ex, out, RAW_CLOSE);
failed:
    if (out != NULL)
        evbuffer_free(out);
    if (rest != NULL)
        evbuffer_free(rest);
    if (more != NULL)
        evbuffer_free(more);
    return false;
}

static bool send_header_flood(struct exchange *ex, const struct misbehaviour *row)
{
    struct evbuffer *more = evbuffer_new();
    for (long i = 0; more != NULL && i < row->number; i++)
        (void)evbuffer_add_printf(more, "X-Flood-%ld: one of many" CRLF, i);
    return send_with_headers(ex, more);
}

static bool send_long_header(struct exchange *ex, const struct misbehaviour *row)
{
    struct bytes value = {0};
    struct evbuffer *more = evbuffer_new();
    if (more != NULL && filler(&value, (size_t)row->number)) {
        (void)evbuffer_add_printf(more, "X-Long: ");
        (void)evbuffer_add(more, value.data, value.len);
        (void)evbuffer_add_printf(more, CRLF);
    }
    bytes_clear(&value);
    return send_with_headers(ex, more);
}

static bool send_garbage(struct exchange *ex, const struct misbehaviour *row)
{
    struct evbuffer *out = evbuffer_new();
    if (out != NULL)
        (void)evbuffer_add_printf(out, "%s", row->text);
    add_body(out, ex, ex->reply.body.len);
    return send_first(ex, out, RAW_CLOSE);
}

/* RFC 9112 2.2: a recipient may take a bare LF for the end of a line. */
static bool send_lf_only(struct exchange *ex, const struct misbehaviour *row)
{
    size_t kept = 0;
    struct bytes *body = &ex->reply.body;
    (void)row;
    for (size_t i = 0; i < body->len; i++) {
        if (body->data[i] != '\r')
            body->data[kept++] = body->data[i];
    }
    body->len = kept;
    struct evbuffer *out = raw_head(ex, (long)kept, "\n");
    add_body(out, ex, kept);
    return send_first(ex, out, RAW_CLOSE);
}

static bool send_slowly(struct exchange *ex, const struct misbehaviour *row)
{
    struct raw_plan plan = {.end = RAW_CLOSE};
    (void)row;
    plan.first = raw_head(ex, (long)ex->reply.body.len, CRLF);
    if (plan.first == NULL)
        return false;
    plan.drip = ex->reply.body;
    ex->reply.body = (struct bytes){0};
    return raw_take_request(ex, &plan);
}

static bool send_nothing(struct exchange *ex, const struct misbehaviour *row)
{
    struct raw_plan plan = {.end = (enum raw_end)row->number};
    return raw_take_request(ex, &plan);
}

static bool send_continues(struct exchange *ex, const struct misbehaviour *row)
{
    struct raw_plan plan = {.times = ULONG_MAX, .end = RAW_CLOSE};
    return bytes_text(&plan.repeat, row->text) && raw_take_request(ex, &plan);
}

static const struct misbehaviour rows[] = {
    {.name = "truncated-body",
     .about = "half of the promised body, then a proper TLS close",
     .operations = OP_ALL,
     .transmit = send_half,
     .number = RAW_CLOSE},
    {.name = "close-mid-body",
     .about = "half of the promised body, then the connection drops without close_notify",
     .operations = OP_ALL,
     .transmit = send_half,
     .number = RAW_ABRUPT},
    {.name = "no-length",
     .about = "harmless: no Content-Length, the body ends with the connection",
     .operations = OP_ALL,
     .transmit = send_without_length},
    {.name = "negative-length",
     .about = "Content-Length: -1",
     .operations = OP_ALL,
     .transmit = send_with_length_of,
     .text = "-1"},
    {.name = "two-lengths",
     .about = "two Content-Length headers that disagree",
     .operations = OP_ALL,
     .transmit = send_with_length_of,
     .text = "16",
     .number = 1},
    {.name = "oversize",
     .about = "a body of 64 MiB, announced",
     .operations = OP_ALL,
     .transmit = send_oversize,
     .number = OVERSIZE},
    {.name = "oversize-chunked",
     .about = "chunks without end",
     .operations = OP_ALL,
     .transmit = send_endless_chunks},
    {.name = "bad-chunk",
     .about = "a chunk whose size is no number",
     .operations = OP_ALL,
     .transmit = send_bad_chunk,
     .text = "zz"},
    {.name = "header-flood",
     .about = "10000 headers before a good answer",
     .operations = OP_ALL,
     .transmit = send_header_flood,
     .number = FLOOD_HEADERS},
    {.name = "long-header",
     .about = "a header of 1 MiB before a good answer",
     .operations = OP_ALL,
     .transmit = send_long_header,
     .number = LONG_HEADER},
    {.name = "garbage-status-line",
     .about = "a status line that is none",
     .operations = OP_ALL,
     .transmit = send_garbage,
     .text = "ESTUARY perhaps 200" CRLF CRLF},
    {.name = "http-0.9",
     .about = "the body alone, without status line or headers",
     .operations = OP_ALL,
     .transmit = send_garbage,
     .text = ""},
    {.name = "lf-only",
     .about = "harmless: lines of headers and body end with LF alone",
     .operations = OP_ALL,
     .transmit = send_lf_only},
    {.name = "slow-drip",
     .about = "one byte of the body each second",
     .operations = OP_ALL,
     .transmit = send_slowly},
    {.name = "stall",
     .about = "the request is read and never answered",
     .operations = OP_ALL,
     .transmit = send_nothing,
     .number = RAW_HANG},
    {.name = "close-before-response",
     .about = "the request is read (and served), then the connection closes without an answer",
     .operations = OP_ALL,
     .transmit = send_nothing,
     .number = RAW_CLOSE},
    {.name = "reset",
     .about = "the request is read (and served), then the connection is reset",
     .operations = OP_ALL,
     .transmit = send_nothing,
     .number = RAW_RESET},
    {.name = "100-continue-flood",
     .about = "100 Continue without end, never an answer",
     .operations = OP_ALL,
     .transmit = send_continues,
     .text = "HTTP/1.1 100 Continue" CRLF CRLF},
};

const struct misbehave_table misbehave_raw = {rows, sizeof rows / sizeof *rows};
