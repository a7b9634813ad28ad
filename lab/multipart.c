#include "multipart.h"

#include <openssl/rand.h>
#include <string.h>

/* A boundary that base64 cannot hold. */
bool multipart_begin(struct multipart *m)
{
    unsigned char raw[12];
    char hex[2 * sizeof raw + 1];
    if (RAND_bytes(raw, sizeof raw) != 1)
        return false;
    hex_encode(raw, sizeof raw, "0123456789abcdef", 0, hex);
    *m = (struct multipart){.eol = "\r\n",
                            .padding = "",
                            .preamble = "",
                            .epilogue = "",
                            .after_headers = "\r\n",
                            .closing = "--"};
    (void)snprintf(m->boundary, sizeof m->boundary, "-_estuary-lab-%s", hex);
    (void)snprintf(m->content_type, sizeof m->content_type, "multipart/mixed; boundary=%s", m->boundary);
    return true;
}

static bool header_line(struct part *part, const char *name, const char *value, const char *eol)
{
    return value == NULL || (bytes_text(&part->head, name) && bytes_text(&part->head, ": ") &&
                             bytes_text(&part->head, value) && bytes_text(&part->head, eol));
}

/* Replaces the part's header; NULL leaves a line out. */
bool multipart_head(struct part *part, const char *content_type, const char *encoding, const char *eol)
{
    bytes_clear(&part->head);
    return header_line(part, "Content-Type", content_type, eol) &&
           header_line(part, "Content-Transfer-Encoding", encoding, eol);
}

bool multipart_add(struct multipart *m, const char *content_type, const struct bytes *base64)
{
    if (m->count == MAX_PARTS)
        return false;
    struct part *part = &m->parts[m->count++];
    return multipart_head(part, content_type, "base64", m->eol) &&
           bytes_set(&part->body, base64->data, base64->len);
}

static bool delimiter(const struct multipart *m, const char *after, struct bytes *out)
{
    return bytes_text(out, "--") && bytes_text(out, m->boundary) && bytes_text(out, after) &&
           bytes_text(out, m->padding) && bytes_text(out, m->eol);
}

/* The line end before a delimiter belongs to the delimiter; base64 has its own besides, which does no harm.
 */
bool multipart_encode(const struct multipart *m, struct bytes *out)
{
    bool ok = bytes_text(out, m->preamble);
    for (size_t i = 0; ok && i < m->count; i++) {
        const struct part *part = &m->parts[i];
        ok = delimiter(m, "", out) && bytes_append(out, part->head.data, part->head.len) &&
             bytes_text(out, m->after_headers) && bytes_append(out, part->body.data, part->body.len) &&
             bytes_text(out, m->eol);
    }
    if (ok && m->closing != NULL)
        ok = delimiter(m, m->closing, out);
    return ok && bytes_text(out, m->epilogue);
}

void multipart_clear(struct multipart *m)
{
    for (size_t i = 0; i < m->count; i++) {
        bytes_clear(&m->parts[i].head);
        bytes_clear(&m->parts[i].body);
    }
    m->count = 0;
}
