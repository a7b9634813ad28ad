/* Misbehaviours in proper HTTP: redirects, challenges, refusals, headers, pending answers. */
#include "misbehave.h"

#include <event2/http.h>
#include <openssl/x509.h>
#include <string.h>

/* ---- answers in place of the operation ---- */

static bool answer_status(struct exchange *ex, const struct misbehaviour *row)
{
    static const struct {
        int status;
        const char *reason;
        const char *header;
        const char *value;
    } known[] = {
        {401, "Unauthorized", NULL, NULL},
        {403, "Forbidden", NULL, NULL},
        {404, "Not Found", NULL, NULL},
        {405, "Method Not Allowed", "Allow", "OPTIONS"},
        {413, "Content Too Large", NULL, NULL},
        {429, "Too Many Requests", "Retry-After", "2"},
        {500, "Internal Server Error", NULL, NULL},
        {503, "Service Unavailable", "Retry-After", "2"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].status != row->number)
            continue;
        reply_text(&ex->reply, known[i].status, known[i].reason, "the lab was told to refuse");
        if (known[i].header != NULL)
            (void)reply_header(&ex->reply, known[i].header, known[i].value);
        return true;
    }
    return false;
}

static bool answer_text(struct exchange *ex, const struct misbehaviour *row)
{
    reply_text(&ex->reply, 400, "Bad Request", row->text);
    return true;
}

static bool answer_html(struct exchange *ex, const struct misbehaviour *row)
{
    reply_text(&ex->reply, 400, "Bad Request", row->text);
    reply_drop_header(&ex->reply, "Content-Type");
    (void)reply_header(&ex->reply, "Content-Type", "text/html; charset=utf-8");
    return true;
}

static bool answer_bare(struct exchange *ex, const struct misbehaviour *row)
{
    reply_set(&ex->reply, (int)row->number, row->text);
    return true;
}

static bool answer_empty(struct exchange *ex, const struct misbehaviour *row)
{
    (void)row;
    reply_set(&ex->reply, 200, "OK");
    (void)reply_header(&ex->reply, "Content-Type",
                       ex->operation->bit == OP_CSRATTRS ? "application/csrattrs"
                                                         : "application/pkcs7-mime; smime-type=certs-only");
    (void)reply_header(&ex->reply, "Content-Transfer-Encoding", "base64");
    return true;
}

static bool answer_challenge(struct exchange *ex, const struct misbehaviour *row)
{
    reply_text(&ex->reply, 401, "Unauthorized", "the lab was told to refuse");
    if (row->text != NULL)
        (void)reply_header(&ex->reply, "WWW-Authenticate", row->text);
    return true;
}

/* Whatever the client sends, it is asked again. */
static bool answer_401_loop(struct exchange *ex, const struct misbehaviour *row)
{
    (void)row;
    auth_challenge(ex, false);
    return true;
}

/* 307, since it would have the client send its body again. */
static void redirect(struct exchange *ex, const char *location)
{
    reply_text(&ex->reply, 307, "Temporary Redirect", "the lab was told to send you elsewhere");
    (void)reply_header(&ex->reply, "Location", location);
}

static bool redirect_elsewhere(struct exchange *ex, const struct misbehaviour *row)
{
    char location[1024];
    (void)snprintf(location, sizeof location, "%s%s", row->text, evhttp_request_get_uri(ex->req));
    redirect(ex, location);
    return true;
}

/* Another port is another origin; nobody need listen there. */
static bool redirect_other_port(struct exchange *ex, const struct misbehaviour *row)
{
    char location[1024];
    const unsigned port = ex->door->port == UINT16_MAX ? 1024U : ex->door->port + 1U;
    (void)row;
    (void)snprintf(location, sizeof location, "https://localhost:%u%s", port,
                   evhttp_request_get_uri(ex->req));
    redirect(ex, location);
    return true;
}

static bool redirect_http(struct exchange *ex, const struct misbehaviour *row)
{
    char location[1024];
    (void)row;
    (void)snprintf(location, sizeof location, "http://localhost:%u%s", (unsigned)ex->lab->http_port,
                   evhttp_request_get_uri(ex->req));
    redirect(ex, location);
    return true;
}

static bool redirect_userinfo(struct exchange *ex, const struct misbehaviour *row)
{
    char location[1024];
    (void)snprintf(location, sizeof location, "https://%s@localhost:%u%s", row->text,
                   (unsigned)ex->door->port, evhttp_request_get_uri(ex->req));
    redirect(ex, location);
    return true;
}

static bool redirect_loop(struct exchange *ex, const struct misbehaviour *row)
{
    (void)row;
    redirect(ex, evhttp_request_get_uri(ex->req));
    return true;
}

static bool redirect_once(struct exchange *ex, const struct misbehaviour *row)
{
    char location[1024];
    const char *path = evhttp_request_get_uri(ex->req);
    if (strncmp(path, row->text, strlen(row->text)) == 0)
        return false;
    (void)snprintf(location, sizeof location, "%s%s", row->text, path);
    redirect(ex, location);
    return true;
}

static bool redirect_nowhere(struct exchange *ex, const struct misbehaviour *row)
{
    (void)row;
    redirect(ex, "");
    reply_drop_header(&ex->reply, "Location");
    return true;
}

/* ---- 202. RFC 7030 4.2.3 ---- */

static void accept_later(struct exchange *ex, const char *retry_after)
{
    reply_text(&ex->reply, 202, "Accepted", "the request waits for a decision");
    if (retry_after != NULL)
        (void)reply_header(&ex->reply, "Retry-After", retry_after);
}

static bool first_time(struct exchange *ex)
{
    EVP_PKEY *key = X509_REQ_get0_pubkey(ex->csr);
    return pending_asked(ex->lab, key) == 0 && pending_remember(ex->lab, key, 1);
}

static bool hold_once(struct exchange *ex, const struct misbehaviour *row)
{
    if (!first_time(ex))
        return false;
    accept_later(ex, row->text);
    return true;
}

static bool hold_once_until(struct exchange *ex, const struct misbehaviour *row)
{
    char when[64] = "";
    struct tm tm;
    const time_t then = time(NULL) + row->number;
    if (!first_time(ex))
        return false;
    if (gmtime_r(&then, &tm) != NULL)
        (void)strftime(when, sizeof when, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    accept_later(ex, when);
    return true;
}

static bool hold_forever(struct exchange *ex, const struct misbehaviour *row)
{
    accept_later(ex, row->text);
    return true;
}

/* ---- headers of a good answer ---- */

static void finish_content_type(struct exchange *ex, const struct misbehaviour *row)
{
    reply_drop_header(&ex->reply, "Content-Type");
    if (row->text != NULL)
        (void)reply_header(&ex->reply, "Content-Type", row->text);
}

static void finish_charset(struct exchange *ex, const struct misbehaviour *row)
{
    finish_content_type(ex, &(struct misbehaviour){.text = ex->operation->bit == OP_CSRATTRS
                                                               ? "application/csrattrs; charset=utf-8"
                                                               : row->text});
}

static void finish_partial(struct exchange *ex, const struct misbehaviour *row)
{
    char range[64];
    const size_t half = ex->reply.body.len / 2;
    (void)row;
    if (half == 0)
        return;
    (void)snprintf(range, sizeof range, "bytes 0-%zu/%zu", half - 1, ex->reply.body.len);
    (void)reply_header(&ex->reply, "Content-Range", range);
    ex->reply.status = 206;
    ex->reply.reason = "Partial Content";
    ex->reply.body.len = half;
}

static uint32_t crc32_of(const struct bytes *data)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < data->len; i++) {
        crc ^= data->data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320U : 0U);
    }
    return ~crc;
}

static bool append_le(struct bytes *out, uint32_t value, size_t octets)
{
    unsigned char raw[4];
    for (size_t i = 0; i < octets; i++)
        raw[i] = (unsigned char)(value >> (8 * i));
    return bytes_append(out, raw, octets);
}

/* A valid gzip member (RFC 1952) of stored blocks (RFC 1951 3.2.4). */
static bool gzip_store(const struct bytes *in, struct bytes *out)
{
    static const unsigned char header[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
    bool ok = bytes_append(out, header, sizeof header);
    for (size_t at = 0; ok && at < in->len; at += UINT16_MAX) {
        const size_t len = in->len - at > UINT16_MAX ? UINT16_MAX : in->len - at;
        const unsigned char last = at + len == in->len;
        ok = bytes_append(out, &last, 1) && append_le(out, (uint32_t)len, 2) &&
             append_le(out, ~(uint32_t)len, 2) && bytes_append(out, in->data + at, len);
    }
    return ok && append_le(out, crc32_of(in), 4) && append_le(out, (uint32_t)in->len, 4);
}

static void finish_gzip(struct exchange *ex, const struct misbehaviour *row)
{
    struct bytes packed = {0};
    if (gzip_store(&ex->reply.body, &packed) && reply_header(&ex->reply, "Content-Encoding", row->text) &&
        bytes_set(&ex->reply.body, packed.data, packed.len))
        ex->misbehaved = row->name;
    bytes_clear(&packed);
}

static const struct misbehaviour rows[] = {
    {.name = "wrong-content-type",
     .about = "a good answer is called text/html",
     .operations = OP_ALL,
     .finish = finish_content_type,
     .text = "text/html"},
    {.name = "no-content-type",
     .about = "a good answer has no Content-Type",
     .operations = OP_ALL,
     .finish = finish_content_type},
    {.name = "charset-parameter",
     .about = "harmless: the Content-Type has a charset parameter too",
     .operations = OP_ALL,
     .finish = finish_charset,
     .text = "application/pkcs7-mime; smime-type=certs-only; charset=utf-8"},
    {.name = "smime-type-other",
     .about = "a certs-only answer is called smime-type=enveloped-data",
     .operations = OP_CERTS,
     .finish = finish_content_type,
     .text = "application/pkcs7-mime; smime-type=enveloped-data"},
    {.name = "gzip-encoding",
     .about = "a good answer is gzipped though nobody asked: harmless to a client that can unpack",
     .operations = OP_ALL,
     .finish = finish_gzip,
     .text = "gzip"},
    {.name = "206-partial",
     .about = "the first half of a good answer as 206 Partial Content",
     .operations = OP_ALL,
     .finish = finish_partial},
    {.name = "redirect-elsewhere",
     .about = "307 to https://other.example",
     .operations = OP_ALL,
     .answer = redirect_elsewhere,
     .text = "https://other.example"},
    {.name = "redirect-other-port",
     .about = "307 to the same host at another port",
     .operations = OP_ALL,
     .answer = redirect_other_port},
    {.name = "redirect-http",
     .about = "307 to http:// at the same host",
     .operations = OP_ALL,
     .answer = redirect_http},
    {.name = "redirect-loop", .about = "307 to itself", .operations = OP_ALL, .answer = redirect_loop},
    {.name = "redirect-no-location",
     .about = "307 without a Location",
     .operations = OP_ALL,
     .answer = redirect_nowhere},
    {.name = "redirect-userinfo",
     .about = "307 to itself with user and password in the URL",
     .operations = OP_ALL,
     .answer = redirect_userinfo,
     .text = "user:password"},
    {.name = "redirect-same-origin",
     .about = "harmless: 307 once, to a path of the same origin that then answers",
     .operations = OP_ALL,
     .answer = redirect_once,
     .text = "/moved"},
    {.name = "401-loop",
     .about = "401 with a challenge whatever the credentials",
     .operations = OP_ALL,
     .answer = answer_401_loop},
    {.name = "401-no-challenge",
     .about = "401 without WWW-Authenticate",
     .operations = OP_ALL,
     .answer = answer_challenge},
    {.name = "401-unknown-scheme",
     .about = "401 with a scheme nobody knows",
     .operations = OP_ALL,
     .answer = answer_challenge,
     .text = "Hobgoblin realm=\"estuary-lab\""},
    {.name = "401-ntlm",
     .about = "401 with NTLM",
     .operations = OP_ALL,
     .answer = answer_challenge,
     .text = "NTLM"},
    {.name = "403", .about = "403", .operations = OP_ALL, .answer = answer_status, .number = 403},
    {.name = "404",
     .about = "404 (for csrattrs harmless: nothing is wanted)",
     .operations = OP_ALL,
     .answer = answer_status,
     .number = 404},
    {.name = "400-text",
     .about = "400 with a sentence",
     .operations = OP_ALL,
     .answer = answer_text,
     .text = "the request lacks a serialNumber in its subject"},
    {.name = "400-control-bytes",
     .about = "400 whose text holds terminal escapes and control bytes",
     .operations = OP_ALL,
     .answer = answer_text,
     .text = "\x1b[2J\x1b[31mred\x1b[0m \x1b]0;title\x07 bell\x07 back\b\b\x7f\r\nsecond line \xc2\x9b"
             "31m \xff\xfe \xe2\x80\xae reversed"},
    {.name = "400-html",
     .about = "400 with a page of HTML",
     .operations = OP_ALL,
     .answer = answer_html,
     .text = "<html><head><title>400</title></head><body><h1>Bad &lt;request&gt;</h1></body></html>"},
    {.name = "405", .about = "405", .operations = OP_ALL, .answer = answer_status, .number = 405},
    {.name = "413", .about = "413", .operations = OP_ALL, .answer = answer_status, .number = 413},
    {.name = "429-retry-after",
     .about = "429 with Retry-After: 2, always",
     .operations = OP_ALL,
     .answer = answer_status,
     .number = 429},
    {.name = "500", .about = "500", .operations = OP_ALL, .answer = answer_status, .number = 500},
    {.name = "503-retry-after",
     .about = "503 with Retry-After: 2, always",
     .operations = OP_ALL,
     .answer = answer_status,
     .number = 503},
    {.name = "204",
     .about = "204 (for csrattrs harmless: nothing is wanted)",
     .operations = OP_ALL,
     .answer = answer_bare,
     .number = 204,
     .text = "No Content"},
    {.name = "304",
     .about = "304 though nothing was conditional",
     .operations = OP_ALL,
     .answer = answer_bare,
     .number = 304,
     .text = "Not Modified"},
    {.name = "200-empty",
     .about = "200 with the right type and no body",
     .operations = OP_ALL,
     .answer = answer_empty},
    {.name = "202-http-date",
     .about = "harmless: 202 once, Retry-After a date two seconds ahead, then issued",
     .operations = OP_ISSUE,
     .hold = hold_once_until,
     .number = 2},
    {.name = "202-past-date",
     .about = "harmless: 202 once, Retry-After a date an hour ago, then issued",
     .operations = OP_ISSUE,
     .hold = hold_once_until,
     .number = -3600},
    {.name = "202-no-retry-after",
     .about = "202 once without Retry-After, which RFC 7030 demands, then issued",
     .operations = OP_ISSUE,
     .hold = hold_once},
    {.name = "202-bad-retry-after",
     .about = "202 once with Retry-After: soon, then issued",
     .operations = OP_ISSUE,
     .hold = hold_once,
     .text = "soon"},
    {.name = "202-negative",
     .about = "202 once with Retry-After: -5, then issued",
     .operations = OP_ISSUE,
     .hold = hold_once,
     .text = "-5"},
    {.name = "202-huge-retry-after",
     .about = "202 with Retry-After of ten years, always",
     .operations = OP_ISSUE,
     .hold = hold_forever,
     .text = "315360000"},
    {.name = "202-forever",
     .about = "202 with Retry-After: 1, always",
     .operations = OP_ISSUE,
     .hold = hold_forever,
     .text = "1"},
};

const struct misbehave_table misbehave_http = {rows, sizeof rows / sizeof *rows};
