/* Misbehaviours of /csrattrs. RFC 7030 4.5.2, RFC 9908 */
#include "misbehave.h"

#include <string.h>

static bool body_bytes(struct exchange *ex, struct bytes *der, const struct misbehaviour *row)
{
    (void)ex;
    return bytes_set(der, row->text, (size_t)row->number);
}

static bool body_trailing(struct exchange *ex, struct bytes *der, const struct misbehaviour *row)
{
    (void)ex;
    return bytes_append(der, row->text, (size_t)row->number);
}

/* number of OIDs, all different in their last two arcs. */
static bool body_huge(struct exchange *ex, struct bytes *der, const struct misbehaviour *row)
{
    struct bytes oids = {0};
    bool ok = true;
    (void)ex;
    for (long i = 0; ok && i < row->number; i++) {
        const unsigned char oid[] = {6,
                                     8,
                                     0x2b,
                                     6,
                                     1,
                                     4,
                                     1,
                                     (unsigned char)(0x80 | (i >> 14 & 0x7f)),
                                     (unsigned char)(0x80 | (i >> 7 & 0x7f)),
                                     (unsigned char)(i & 0x7f)};
        ok = bytes_append(&oids, oid, sizeof oid);
    }
    bytes_clear(der);
    ok = ok && der_wrap(0x30, &oids, der);
    bytes_clear(&oids);
    return ok;
}

static bool body_nested(struct exchange *ex, struct bytes *der, const struct misbehaviour *row)
{
    struct bytes inner = {0};
    bool ok = true;
    (void)ex;
    bytes_clear(der);
    for (long i = 0; ok && i < row->number; i++) {
        bytes_clear(&inner);
        inner = *der;
        *der = (struct bytes){0};
        ok = der_wrap(0x30, &inner, der);
    }
    bytes_clear(&inner);
    return ok;
}

static bool answer_missing(struct exchange *ex, const struct misbehaviour *row)
{
    reply_text(&ex->reply, 404, "Not Found", row->text);
    return true;
}

static const struct misbehaviour rows[] = {
    {.name = "csrattrs-garbage",
     .about = "csrattrs: good base64 of bytes that are no ASN.1",
     .operations = OP_CSRATTRS,
     .body = body_bytes,
     .text = "\xff\xff\xff\xff garbage \x30\x84\x7f\xff\xff\xff",
     .number = 19},
    {.name = "csrattrs-trailing",
     .about = "csrattrs: bytes after the list",
     .operations = OP_CSRATTRS,
     .body = body_trailing,
     .text = "\x05\x00\x05\x00",
     .number = 4},
    {.name = "csrattrs-empty-sequence",
     .about = "harmless: csrattrs is an empty list",
     .operations = OP_CSRATTRS,
     .body = body_bytes,
     .text = "\x30\x00",
     .number = 2},
    {.name = "csrattrs-huge",
     .about = "csrattrs: a list of 100000 OIDs, 1 MB",
     .operations = OP_CSRATTRS,
     .body = body_huge,
     .number = 100000},
    {.name = "csrattrs-404-body",
     .about = "harmless: csrattrs is 404 with a text, nothing is wanted",
     .operations = OP_CSRATTRS,
     .answer = answer_missing,
     .text = "this server wants nothing in particular"},
    {.name = "csrattrs-deep-nesting",
     .about = "csrattrs: 3000 lists within lists",
     .operations = OP_CSRATTRS,
     .body = body_nested,
     .number = 3000},
    {.name = "csrattrs-wrong-type",
     .about = "csrattrs: an OCTET STRING instead of a list",
     .operations = OP_CSRATTRS,
     .body = body_bytes,
     .text = "\x04\x05hello",
     .number = 7},
};

const struct misbehave_table misbehave_csrattrs = {rows, sizeof rows / sizeof *rows};
