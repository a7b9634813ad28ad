/*
 * RFC 2046 5.1: multipart/mixed with any boundary, preamble and epilogue, lines ended by CRLF or LF. The
 * parts lie in the caller's bytes: what may be a private key is not copied.
 */
#include "wire/wire.h"

#include <string.h>

#define BOUNDARY_MAX     70 /* RFC 2046 5.1.1 */
#define HEADER_BYTES_MAX 4096
#define HEADER_LINES_MAX 32

typedef struct line {
    const uint8_t *text;
    size_t len; /* without its end */
} line;

typedef struct reader {
    const uint8_t *at, *end;
    const char *boundary;
} reader;

typedef enum line_kind { LINE_PLAIN = 0, LINE_DELIMITER, LINE_CLOSING } line_kind;

/* RFC 2046 5.1.1: bchars, and no blank at the end */
static bool is_boundary(const char *boundary)
{
    size_t len = strlen(boundary);
    if (len == 0 || len > BOUNDARY_MAX || boundary[len - 1] == ' ')
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = boundary[i];
        bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alphanumeric && strchr("'()+_,-./:=? ", c) == NULL)
            return false;
    }
    return true;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static bool next_line(reader *r, line *out)
{
    if (r->at == r->end)
        return false;
    size_t left = (size_t)(r->end - r->at);
    const uint8_t *lf = memchr(r->at, '\n', left);
    out->text = r->at;
    out->len = lf == NULL ? left : (size_t)(lf - r->at);
    r->at = lf == NULL ? r->end : lf + 1;
    if (lf != NULL && out->len > 0 && out->text[out->len - 1] == '\r')
        out->len--;
    return true;
}

/* The whole line counts: a boundary that only begins like ours is text. */
static line_kind kind_of(const reader *r, const line *l)
{
    size_t size = strlen(r->boundary) + 2;
    if (l->len < size || memcmp(l->text, "--", 2) != 0 || memcmp(l->text + 2, r->boundary, size - 2) != 0)
        return LINE_PLAIN;
    line_kind kind = LINE_DELIMITER;
    if (l->len >= size + 2 && memcmp(l->text + size, "--", 2) == 0) {
        kind = LINE_CLOSING;
        size += 2;
    }
    while (size < l->len && (is_blank(l->text[size]) || l->text[size] == '\r'))
        size++; /* transport padding */
    return size == l->len ? kind : LINE_PLAIN;
}

/* Takes the value of a header of this name; false when it stands there twice. */
static bool take_value(const char *header, const char *name, const char **value)
{
    size_t len = strlen(name);
    char start[32];
    if (strlen(header) < len + 1 || header[len] != ':')
        return true;
    memcpy(start, header, len);
    start[len] = '\0';
    if (!est_text_equal_nocase(start, name))
        return true;
    bool first = *value == NULL;
    *value = header + len + 1 + strspn(header + len + 1, " \t");
    return first;
}

static bool is_encoding_known(const char *value)
{
    /* RFC 8951 3.1: whatever is said here, it is base64; what would change its bytes is refused all the same
     */
    static const char *const known[] = {"base64", "7bit", "8bit", "binary"};
    char text[32];
    size_t len = strcspn(value, " \t(;");
    if (len >= sizeof(text))
        return false;
    memcpy(text, value, len);
    text[len] = '\0';
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (est_text_equal_nocase(text, known[i]))
            return true;
    }
    return false;
}

/* The lines of one part's header, unfolded: each ended by a NUL. */
typedef struct header {
    char text[HEADER_BYTES_MAX];
    size_t used;
    size_t lines;
} header;

static estuary_status add_line(header *h, const line *l, estuary_error *err)
{
    bool folded = is_blank(l->text[0]);
    if (folded && h->used == 0)
        return est_fail(err, EST_PROTOCOL_MULTIPART_HEADER, NULL);
    if (++h->lines > HEADER_LINES_MAX || l->len + 2 > sizeof(h->text) - h->used)
        return est_fail(err, EST_PROTOCOL_MULTIPART_HEADER_SIZE, NULL);
    if (folded)
        h->used--; /* RFC 2045, RFC 5322 2.2.3: goes on where the line before ended */
    else if (memchr(l->text, ':', l->len) == NULL || l->text[0] == ':')
        return est_fail(err, EST_PROTOCOL_MULTIPART_HEADER, NULL);
    for (size_t i = 0; i < l->len; i++) {
        uint8_t c = l->text[i];
        if ((c < 0x20 && c != '\t') || c >= 0x7f)
            return est_fail(err, EST_PROTOCOL_MULTIPART_HEADER, NULL);
        h->text[h->used++] = (char)c;
    }
    h->text[h->used++] = '\0';
    return ESTUARY_OK;
}

static estuary_status read_header(const header *h, est_part *part, estuary_error *err)
{
    const char *type = NULL, *encoding = NULL;
    for (const char *at = h->text; at < h->text + h->used; at += strlen(at) + 1) {
        if (!take_value(at, "Content-Type", &type) || !take_value(at, "Content-Transfer-Encoding", &encoding))
            return est_fail(err, EST_PROTOCOL_MULTIPART_HEADER,
                            "a part of the server's answer has the same header twice");
    }
    if (encoding != NULL && !is_encoding_known(encoding))
        return est_fail(err, EST_PROTOCOL_MULTIPART_ENCODING, NULL);
    if (type != NULL && !est_media_type_parse(type, &part->type))
        return est_fail(err, EST_PROTOCOL_MULTIPART_HEADER,
                        "the Content-Type of a part of the server's answer is malformed");
    return ESTUARY_OK;
}

static estuary_status take_header(reader *r, est_part *part, estuary_error *err)
{
    header h = {.used = 0};
    line l;
    for (;;) {
        if (!next_line(r, &l))
            return est_fail(err, EST_PROTOCOL_MULTIPART_END, NULL);
        if (l.len == 0)
            return read_header(&h, part, err);
        if (kind_of(r, &l) != LINE_PLAIN)
            return est_fail(err, EST_PROTOCOL_MULTIPART_HEADER,
                            "a part of the server's answer has no empty line after its header");
        estuary_status status = add_line(&h, &l, err);
        if (status != ESTUARY_OK)
            return status;
    }
}

/* The line end before a delimiter belongs to the delimiter (RFC 2046 5.1.1). */
static size_t body_length(const uint8_t *start, const uint8_t *delimiter)
{
    size_t len = (size_t)(delimiter - start);
    if (len > 0)
        len--;
    if (len > 0 && start[len - 1] == '\r')
        len--;
    return len;
}

static estuary_status take_body(reader *r, est_part *part, line_kind *kind, estuary_error *err)
{
    line l;
    part->body = r->at;
    while (next_line(r, &l)) {
        *kind = kind_of(r, &l);
        if (*kind == LINE_PLAIN)
            continue;
        part->len = body_length(part->body, l.text);
        return ESTUARY_OK;
    }
    return est_fail(err, EST_PROTOCOL_MULTIPART_END, NULL);
}

estuary_status est_multipart_parse(const uint8_t *body, size_t len, const char *boundary, est_multipart *out,
                                   estuary_error *err)
{
    reader r = {body, body + len, boundary};
    line l;
    line_kind kind = LINE_PLAIN;
    memset(out, 0, sizeof(*out));
    if (!is_boundary(boundary))
        return est_fail(err, EST_PROTOCOL_MULTIPART_BOUNDARY, NULL);
    while (kind == LINE_PLAIN && next_line(&r, &l)) /* the preamble */
        kind = kind_of(&r, &l);
    if (kind != LINE_DELIMITER)
        return est_fail(err, EST_PROTOCOL_MULTIPART_EMPTY, NULL);
    while (kind == LINE_DELIMITER) {
        if (out->count >= EST_MULTIPART_PARTS)
            return est_fail(err, EST_PROTOCOL_MULTIPART_PARTS, NULL);
        est_part *part = &out->parts[out->count++];
        estuary_status status = take_header(&r, part, err);
        if (status == ESTUARY_OK)
            status = take_body(&r, part, &kind, err);
        if (status != ESTUARY_OK)
            return status;
    }
    return ESTUARY_OK; /* what follows is the epilogue */
}
