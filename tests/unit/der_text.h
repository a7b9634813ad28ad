/*
 * DER written down readably: a tag in hexadecimal, then {values}, :hex or "text"; lengths are worked out.
 * "30{06:550403 0c\"a\"}" is SEQUENCE { OBJECT IDENTIFIER commonName, UTF8String "a" }.
 */
#ifndef DER_TEXT_H
#define DER_TEXT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DER_TEXT_MAX 4096

static inline unsigned der_text_hex(const char **at)
{
    char digits[3] = {(*at)[0], (*at)[0] == '\0' ? '\0' : (*at)[1], '\0'};
    *at += 2;
    return (unsigned)strtoul(digits, NULL, 16);
}

/* Up to the closing brace or the end; the number of bytes put into out. */
static inline size_t der_text_items(const char **at, uint8_t *out)
{
    size_t len = 0;
    for (;;) {
        uint8_t content[DER_TEXT_MAX];
        size_t used = 0;
        *at += strspn(*at, " \n");
        if (**at == '\0' || **at == '}')
            return len;
        out[len++] = (uint8_t)der_text_hex(at);
        char kind = *(*at)++;
        if (kind == '{') {
            used = der_text_items(at, content);
            (*at)++;
        } else if (kind == '"') {
            used = strcspn(*at, "\"");
            memcpy(content, *at, used);
            *at += used + 1;
        } else {
            assert(kind == ':');
            while (**at != '\0' && strchr("0123456789abcdef", **at) != NULL)
                content[used++] = (uint8_t)der_text_hex(at);
        }
        if (used >= 256) {
            out[len++] = 0x82;
            out[len++] = (uint8_t)(used >> 8);
        } else if (used >= 128) {
            out[len++] = 0x81;
        }
        out[len++] = (uint8_t)used;
        memcpy(out + len, content, used);
        len += used;
    }
}

/* out holds DER_TEXT_MAX bytes. */
static inline size_t der_text(const char *text, uint8_t *out)
{
    return der_text_items(&text, out);
}

#endif
