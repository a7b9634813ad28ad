#include "lab.h"

/* Tag, then the length in the shortest form, as DER wants it. */
bool der_wrap(unsigned char tag, const struct bytes *content, struct bytes *out)
{
    unsigned char header[2 + sizeof(size_t)] = {tag};
    size_t octets = 0;
    for (size_t rest = content->len; content->len >= 0x80 && rest > 0; rest >>= 8)
        octets++;
    header[1] = octets == 0 ? (unsigned char)content->len : (unsigned char)(0x80 | octets);
    for (size_t i = 0; i < octets; i++)
        header[2 + i] = (unsigned char)(content->len >> (8 * (octets - 1 - i)));
    return bytes_append(out, header, 2 + octets) && bytes_append(out, content->data, content->len);
}

bool der_element(const unsigned char *der, size_t len, size_t *header, size_t *total)
{
    size_t content = 0;
    if (len < 2)
        return false;
    *header = 2;
    if (der[1] < 0x80) {
        content = der[1];
    } else {
        const size_t octets = der[1] & 0x7f;
        if (octets == 0 || octets > 4 || len < 2 + octets)
            return false;
        for (size_t i = 0; i < octets; i++)
            content = content << 8 | der[2 + i];
        *header += octets;
    }
    *total = *header + content;
    return *total <= len;
}
