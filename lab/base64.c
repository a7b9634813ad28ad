#include "lab.h"

#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void encode_group(const unsigned char *in, size_t len, char out[4])
{
    unsigned v = (unsigned)in[0] << 16;
    if (len > 1)
        v |= (unsigned)in[1] << 8;
    if (len > 2)
        v |= in[2];
    out[0] = alphabet[v >> 18];
    out[1] = alphabet[(v >> 12) & 63];
    out[2] = len > 1 ? alphabet[(v >> 6) & 63] : '=';
    out[3] = len > 2 ? alphabet[v & 63] : '=';
}

/* line = 0: all of it on one line, without an end of line. */
bool base64_encode(const struct bytes *in, size_t line, const char *eol, struct bytes *out)
{
    size_t column = 0;
    for (size_t i = 0; i < in->len; i += 3) {
        char group[4];
        encode_group(in->data + i, in->len - i, group);
        if (!bytes_append(out, group, sizeof group))
            return false;
        column += sizeof group;
        if (line != 0 && column >= line) {
            if (!bytes_text(out, eol))
                return false;
            column = 0;
        }
    }
    return line == 0 || column == 0 || bytes_text(out, eol);
}

static int digit_value(unsigned char c)
{
    const char *at = c == '\0' ? NULL : strchr(alphabet, c);
    return at == NULL ? -1 : (int)(at - alphabet);
}

/* Any line wrapping or none (RFC 8951 3.1), but nothing that is not base64 and no data after the padding. */
bool base64_decode(const void *text, size_t len, struct bytes *out)
{
    const unsigned char *in = text;
    unsigned held = 0;
    size_t digits = 0;
    size_t padding = 0;
    for (size_t i = 0; i < len; i++) {
        if (strchr(" \t\r\n", in[i]) != NULL && in[i] != '\0')
            continue;
        int value = digit_value(in[i]);
        if (in[i] == '=')
            padding++;
        else if (value < 0 || padding > 0)
            return false;
        held = held << 6 | (value < 0 ? 0U : (unsigned)value);
        if (++digits % 4 != 0)
            continue;
        const unsigned char group[3] = {(held >> 16) & 0xff, (held >> 8) & 0xff, held & 0xff};
        if (padding > 2 || !bytes_append(out, group, 3 - padding))
            return false;
        held = 0;
    }
    return digits % 4 == 0 && padding <= 2;
}
