/* The description of a multipart/mixed answer, for the misbehaviours to bend. RFC 2046 5.1 */
#ifndef ESTUARY_LAB_MULTIPART_H
#define ESTUARY_LAB_MULTIPART_H

#include "lab.h"

#define MAX_PARTS 4

struct part {
    struct bytes head; /* header lines with their ends */
    struct bytes body;
};

struct multipart {
    char boundary[128];        /* of the delimiters */
    char content_type[512];    /* the answer's header */
    const char *eol;           /* CRLF */
    const char *padding;       /* after each delimiter */
    const char *preamble;      /* "" */
    const char *epilogue;      /* "" */
    const char *after_headers; /* the empty line */
    const char *closing;       /* "--" of the last delimiter; NULL: there is none */
    struct part parts[MAX_PARTS];
    size_t count;
};

bool multipart_begin(struct multipart *m);
/* A part with base64 of the DER. RFC 7030 4.4.2 */
bool multipart_add(struct multipart *m, const char *content_type, const struct bytes *base64);
bool multipart_head(struct part *part, const char *content_type, const char *encoding, const char *eol);
bool multipart_encode(const struct multipart *m, struct bytes *out);
void multipart_clear(struct multipart *m);

#endif
