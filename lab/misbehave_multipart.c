/* Misbehaviours of the multipart/mixed answer to serverkeygen. RFC 7030 4.4.2, RFC 2046 5.1 */
#include "misbehave.h"
#include "multipart.h"

#include <string.h>

#define KEY_PART  0
#define CERT_PART 1

static void set_type(struct multipart *m, const char *type, const char *boundary_format)
{
    char boundary[192];
    (void)snprintf(boundary, sizeof boundary, boundary_format, m->boundary);
    (void)snprintf(m->content_type, sizeof m->content_type, "%s%s", type, boundary);
}

static void drop_part(struct multipart *m, size_t which)
{
    bytes_clear(&m->parts[which].head);
    bytes_clear(&m->parts[which].body);
    for (size_t i = which; i + 1 < m->count; i++)
        m->parts[i] = m->parts[i + 1];
    m->parts[--m->count] = (struct part){0};
}

static bool copy_part(struct multipart *m, size_t which)
{
    if (m->count == MAX_PARTS)
        return false;
    const struct part *from = &m->parts[which];
    struct part *to = &m->parts[m->count++];
    return bytes_set(&to->head, from->head.data, from->head.len) &&
           bytes_set(&to->body, from->body.data, from->body.len);
}

/* ---- the boundary ---- */

static bool parts_quoted(struct exchange *ex, struct multipart *m, const struct misbehaviour *row)
{
    (void)ex;
    (void)snprintf(m->boundary, sizeof m->boundary, "%s", row->text);
    set_type(m, "multipart/mixed", "; charset=utf-8 ; BOUNDARY=\"%s\"");
    return true;
}

static bool parts_other_boundary(struct exchange *ex, struct multipart *m, const struct misbehaviour *row)
{
    (void)ex;
    (void)snprintf(m->boundary, sizeof m->boundary, "%s", row->text);
    return true;
}

static bool parts_no_boundary(struct exchange *ex, struct multipart *m, const struct misbehaviour *row)
{
    (void)ex;
    (void)snprintf(m->content_type, sizeof m->content_type, "%s", row->text);
    return true;
}

/* RFC 2046 5.1.1: no longer than 70 characters. */
static bool parts_long_boundary(struct exchange *ex, struct multipart *m, const struct misbehaviour *row)
{
    (void)ex;
    memset(m->boundary, 'b', (size_t)row->number);
    m->boundary[row->number] = '\0';
    set_type(m, "multipart/mixed", "; boundary=%s");
    return true;
}

static bool parts_type(struct exchange *ex, struct multipart *m, const struct misbehaviour *row)
{
    (void)ex;
    set_type(m, row->text, "; boundary=%s");
    return true;
}

static bool parts_not_closed(struct exchange *ex, struct multipart *m, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    m->closing = NULL;
    return true;
}

static bool parts_around(struct exchange *ex, struct multipart *m, const struct misbehaviour *row)
{
    (void)ex;
    m->preamble = row->text;
    m->epilogue = row->text;
    return true;
}

static bool parts_padded(struct exchange *ex, struct multipart *m, const struct misbehaviour *row)
{
    (void)ex;
    m->padding = row->text;
    return true;
}

/* ---- which parts ---- */

static bool parts_reversed(struct exchange *ex, struct multipart *m, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    const bool ok = copy_part(m, KEY_PART);
    drop_part(m, KEY_PART);
    return ok;
}

static bool parts_drop(struct exchange *ex, struct multipart *m, const struct misbehaviour *row)
{
    (void)ex;
    drop_part(m, (size_t)row->number);
    return true;
}

static bool parts_repeat(struct exchange *ex, struct multipart *m, const struct misbehaviour *row)
{
    (void)ex;
    return copy_part(m, (size_t)row->number);
}

static bool parts_two_keys(struct exchange *ex, struct multipart *m, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    drop_part(m, CERT_PART);
    return copy_part(m, KEY_PART);
}

static bool parts_note(struct exchange *ex, struct multipart *m, const struct misbehaviour *row)
{
    const struct bytes note = {.data = (unsigned char *)(uintptr_t)row->text, .len = strlen(row->text)};
    (void)ex;
    return multipart_add(m, "text/plain", &note);
}

static bool parts_none(struct exchange *ex, struct multipart *m, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    drop_part(m, CERT_PART);
    drop_part(m, KEY_PART);
    return true;
}

/* The honest answer as the only part of another one. */
static bool parts_nested(struct exchange *ex, struct multipart *m, const struct misbehaviour *row)
{
    struct multipart outer;
    struct bytes inner = {0};
    bool ok = multipart_encode(m, &inner) && multipart_begin(&outer) &&
              multipart_add(&outer, m->content_type, &inner);
    (void)ex;
    (void)row;
    bytes_clear(&inner);
    if (!ok)
        return false;
    multipart_clear(m);
    *m = outer;
    return true;
}

/* ---- the parts' headers ---- */

static bool parts_lf(struct exchange *ex, struct multipart *m, const struct misbehaviour *row)
{
    bool ok = true;
    (void)ex;
    m->eol = row->text;
    m->after_headers = row->text;
    for (size_t i = 0; ok && i < m->count; i++) {
        struct bytes *each[] = {&m->parts[i].head, &m->parts[i].body};
        for (size_t k = 0; k < 2; k++) {
            size_t kept = 0;
            for (size_t at = 0; at < each[k]->len; at++) {
                if (each[k]->data[at] != '\r')
                    each[k]->data[kept++] = each[k]->data[at];
            }
            each[k]->len = kept;
        }
    }
    return ok;
}

static bool parts_head(struct exchange *ex, struct multipart *m, const struct misbehaviour *row)
{
    (void)ex;
    bytes_clear(&m->parts[KEY_PART].head);
    return bytes_text(&m->parts[KEY_PART].head, row->text);
}

/* Other spellings of the same: lower case, folded (RFC 822), a header nobody knows. */
static bool parts_odd_head(struct exchange *ex, struct multipart *m, const struct misbehaviour *row)
{
    struct bytes *head = &m->parts[CERT_PART].head;
    (void)ex;
    bytes_clear(head);
    return bytes_text(head, row->text);
}

static bool parts_add_head(struct exchange *ex, struct multipart *m, const struct misbehaviour *row)
{
    bool ok = true;
    (void)ex;
    for (long i = 0; ok && i < row->number; i++)
        ok = bytes_text(&m->parts[KEY_PART].head, row->text);
    return ok;
}

static bool parts_long_head(struct exchange *ex, struct multipart *m, const struct misbehaviour *row)
{
    struct bytes *head = &m->parts[KEY_PART].head;
    bool ok = bytes_text(head, "X-Filler: ");
    (void)ex;
    for (long i = 0; ok && i < row->number; i++)
        ok = bytes_append(head, "a", 1);
    return ok && bytes_text(head, m->eol);
}

static bool parts_nul(struct exchange *ex, struct multipart *m, const struct misbehaviour *row)
{
    (void)ex;
    return bytes_append(&m->parts[KEY_PART].head, row->text, (size_t)row->number);
}

static bool parts_no_empty_line(struct exchange *ex, struct multipart *m, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    m->after_headers = "";
    return true;
}

/* ---- the parts' bodies ---- */

static bool parts_garbage(struct exchange *ex, struct multipart *m, const struct misbehaviour *row)
{
    (void)ex;
    return bytes_text(&m->parts[row->number].body, row->text);
}

static bool parts_empty_key(struct exchange *ex, struct multipart *m, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    bytes_clear(&m->parts[KEY_PART].body);
    return true;
}

static bool parts_binary(struct exchange *ex, struct multipart *m, const struct misbehaviour *row)
{
    struct part *part = &m->parts[KEY_PART];
    struct bytes der = {0};
    (void)ex;
    const bool ok = base64_decode(part->body.data, part->body.len, &der) &&
                    bytes_set(&part->body, der.data, der.len) &&
                    multipart_head(part, row->text, "binary", m->eol);
    bytes_clear(&der);
    return ok;
}

#define MULTIPART .operations = OP_SERVERKEYGEN

static const struct misbehaviour rows[] = {
    {.name = "multipart-quoted-boundary",
     .about = "harmless: the boundary is quoted and holds a blank, the parameter comes late",
     MULTIPART,
     .parts = parts_quoted,
     .text = "a 'quoted' boundary, with=signs?"},
    {.name = "multipart-preamble",
     .about = "harmless: a preamble and an epilogue, to be ignored",
     MULTIPART,
     .parts = parts_around,
     .text = "This is to be ignored.\r\n--not-the-boundary\r\nContent-Type: text/plain\r\n\r\nnothing\r\n"},
    {.name = "multipart-padding",
     .about = "harmless: blanks after the delimiters",
     MULTIPART,
     .parts = parts_padded,
     .text = " \t "},
    {.name = "multipart-reversed",
     .about = "harmless: the certificate comes before the key",
     MULTIPART,
     .parts = parts_reversed},
    {.name = "multipart-lf",
     .about = "harmless: lines end in LF alone",
     MULTIPART,
     .parts = parts_lf,
     .text = "\n"},
    {.name = "multipart-odd-headers",
     .about = "harmless: a part's header in lower case, folded, with lines nobody knows",
     MULTIPART,
     .parts = parts_odd_head,
     .text = "x-made-by: a lab\r\ncontent-type:application/PKCS7-mime;\r\n\tsmime-type=\"certs-only\"\r\n"
             "content-transfer-encoding: BASE64\r\ncontent-id: <1@lab>\r\n"},
    {.name = "multipart-no-part-encoding",
     .about = "harmless: the key part has no Content-Transfer-Encoding, which RFC 8951 does not need",
     MULTIPART,
     .parts = parts_head,
     .text = "Content-Type: application/pkcs8\r\n"},
    {.name = "multipart-other-boundary",
     .about = "the delimiters are not those of the boundary parameter",
     MULTIPART,
     .parts = parts_other_boundary,
     .text = "another-boundary"},
    {.name = "multipart-no-boundary",
     .about = "no boundary parameter",
     MULTIPART,
     .parts = parts_no_boundary,
     .text = "multipart/mixed"},
    {.name = "multipart-empty-boundary",
     .about = "the boundary parameter is empty",
     MULTIPART,
     .parts = parts_no_boundary,
     .text = "multipart/mixed; boundary=\"\""},
    {.name = "multipart-long-boundary",
     .about = "a boundary of 71 characters, where RFC 2046 allows 70",
     MULTIPART,
     .parts = parts_long_boundary,
     .number = 71},
    {.name = "multipart-other-type",
     .about = "the answer is called multipart/alternative",
     MULTIPART,
     .parts = parts_type,
     .text = "multipart/alternative"},
    {.name = "multipart-not-closed",
     .about = "the last delimiter is missing",
     MULTIPART,
     .parts = parts_not_closed},
    {.name = "multipart-no-parts",
     .about = "no part at all, only the last delimiter",
     MULTIPART,
     .parts = parts_none},
    {.name = "multipart-no-key",
     .about = "the key's part is missing",
     MULTIPART,
     .parts = parts_drop,
     .number = KEY_PART},
    {.name = "multipart-no-certificate",
     .about = "the certificate's part is missing",
     MULTIPART,
     .parts = parts_drop,
     .number = CERT_PART},
    {.name = "multipart-three-parts",
     .about = "a third part with a text",
     MULTIPART,
     .parts = parts_note,
     .text = "bm90aGluZw==\r\n"},
    {.name = "multipart-two-keys",
     .about = "two key parts and no certificate",
     MULTIPART,
     .parts = parts_two_keys},
    {.name = "multipart-two-certificates",
     .about = "the certificate's part comes twice",
     MULTIPART,
     .parts = parts_repeat,
     .number = CERT_PART},
    {.name = "multipart-nested",
     .about = "the multipart stands within another one",
     MULTIPART,
     .parts = parts_nested},
    {.name = "multipart-no-part-type",
     .about = "the key part has no Content-Type",
     MULTIPART,
     .parts = parts_head,
     .text = "Content-Transfer-Encoding: base64\r\n"},
    {.name = "multipart-wrong-part-type",
     .about = "the key part is called text/plain",
     MULTIPART,
     .parts = parts_head,
     .text = "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n"},
    {.name = "multipart-wrong-smime-type",
     .about = "the key part is called smime-type=certs-only",
     MULTIPART,
     .parts = parts_head,
     .text = "Content-Type: application/pkcs7-mime; smime-type=certs-only\r\nContent-Transfer-Encoding: "
             "base64\r\n"},
    {.name = "multipart-wrong-encoding",
     .about = "the key part is called quoted-printable",
     MULTIPART,
     .parts = parts_head,
     .text = "Content-Type: application/pkcs8\r\nContent-Transfer-Encoding: quoted-printable\r\n"},
    {.name = "multipart-binary",
     .about = "the key part is raw DER and called binary",
     MULTIPART,
     .parts = parts_binary,
     .text = "application/pkcs8"},
    {.name = "multipart-key-garbage",
     .about = "text after the base64 in the key part",
     MULTIPART,
     .parts = parts_garbage,
     .number = KEY_PART,
     .text = "-- sent by a lab --\r\n"},
    {.name = "multipart-certificate-garbage",
     .about = "a '=' too many after the base64 in the certificate part",
     MULTIPART,
     .parts = parts_garbage,
     .number = CERT_PART,
     .text = "=\r\n"},
    {.name = "multipart-empty-key", .about = "the key part is empty", MULTIPART, .parts = parts_empty_key},
    {.name = "multipart-long-part-header",
     .about = "a header line of 100000 octets in the key part",
     MULTIPART,
     .parts = parts_long_head,
     .number = 100000},
    {.name = "multipart-many-part-headers",
     .about = "1000 header lines in the key part",
     MULTIPART,
     .parts = parts_add_head,
     .number = 1000,
     .text = "X-Filler: a\r\n"},
    {.name = "multipart-two-part-types",
     .about = "the key part has two Content-Types",
     MULTIPART,
     .parts = parts_add_head,
     .number = 1,
     .text = "Content-Type: application/pkcs7-mime; smime-type=server-generated-key\r\n"},
    {.name = "multipart-bad-part-header",
     .about = "a line without a colon in the key part's header",
     MULTIPART,
     .parts = parts_add_head,
     .number = 1,
     .text = "this is no header line\r\n"},
    {.name = "multipart-nul",
     .about = "a NUL in the key part's header",
     MULTIPART,
     .parts = parts_nul,
     .text = "X-Filler: a\0b\r\n",
     .number = 15},
    {.name = "multipart-no-empty-line",
     .about = "no empty line between a part's header and its body",
     MULTIPART,
     .parts = parts_no_empty_line},
};

const struct misbehave_table misbehave_multipart = {rows, sizeof rows / sizeof *rows};
