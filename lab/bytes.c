#include "lab.h"

#include <stdlib.h>
#include <string.h>

static bool make_room(struct bytes *b, size_t len)
{
    size_t room = b->room < 64 ? 64 : b->room;
    if (len > SIZE_MAX / 2 - b->len)
        return false;
    while (room < b->len + len)
        room *= 2;
    if (room == b->room)
        return true;
    unsigned char *grown = realloc(b->data, room);
    if (grown == NULL)
        return false;
    b->data = grown;
    b->room = room;
    return true;
}

bool bytes_append(struct bytes *b, const void *data, size_t len)
{
    if (len == 0)
        return true;
    if (!make_room(b, len))
        return false;
    memcpy(b->data + b->len, data, len);
    b->len += len;
    return true;
}

bool bytes_set(struct bytes *b, const void *data, size_t len)
{
    struct bytes fresh = {0};
    if (!bytes_append(&fresh, data, len))
        return false;
    bytes_clear(b);
    *b = fresh;
    return true;
}

bool bytes_text(struct bytes *b, const char *text)
{
    return bytes_append(b, text, strlen(text));
}

void bytes_clear(struct bytes *b)
{
    free(b->data);
    *b = (struct bytes){0};
}

void hex_encode(const unsigned char *data, size_t len, const char *digits, char sep, char *out)
{
    for (size_t i = 0; i < len; i++) {
        if (sep != 0 && i > 0)
            *out++ = sep;
        *out++ = digits[data[i] >> 4];
        *out++ = digits[data[i] & 15];
    }
    *out = '\0';
}

bool sha256_hex(const void *data, size_t len, char out[65])
{
    unsigned char digest[32];
    if (EVP_Digest(data, len, digest, NULL, EVP_sha256(), NULL) != 1)
        return false;
    hex_encode(digest, sizeof digest, "0123456789abcdef", 0, out);
    return true;
}
