#include "wire/csr_parts.h"

#include <openssl/asn1.h>
#include <string.h>

#define LABEL_MAX 63
#define HOST_MAX  253

/*
 * The letters we turn into A-labels: lower-case or caseless letters that IDNA 2008 allows everywhere in a
 * label. No combining marks, so what passes is in NFC; no right-to-left scripts, which need the rules of
 * RFC 5893. Whoever needs more gives the A-label. step 2: every other one, where upper and lower case take
 * turns.
 */
static const struct {
    uint32_t first, last, step;
} letters[] = {
    {0x00df, 0x00f6, 1}, {0x00f8, 0x00ff, 1}, {0x0101, 0x0131, 2}, {0x0135, 0x0137, 2}, {0x013a, 0x013e, 2},
    {0x0142, 0x0148, 2}, {0x014b, 0x0177, 2}, {0x017a, 0x017e, 2}, {0x0219, 0x021b, 2}, {0x0390, 0x0390, 1},
    {0x03ac, 0x03ce, 1}, {0x0430, 0x045f, 1}, {0x0491, 0x0491, 1}, {0x0561, 0x0586, 1}, {0x10d0, 0x10fa, 1},
    {0x1ea1, 0x1ef9, 2}, {0x3005, 0x3007, 1}, {0x3041, 0x3096, 1}, {0x30a1, 0x30fa, 1}, {0x30fc, 0x30fe, 1},
    {0x3400, 0x4dbf, 1}, {0x4e00, 0x9fff, 1}, {0xac00, 0xd7a3, 1},
};

typedef struct label {
    uint32_t points[LABEL_MAX];
    size_t count;
    bool ascii;
} label;

static bool is_letter(uint32_t point)
{
    for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
        if (point >= letters[i].first && point <= letters[i].last)
            return (point - letters[i].first) % letters[i].step == 0;
    return false;
}

static bool is_ldh(uint32_t point)
{
    return (point >= 'a' && point <= 'z') || (point >= '0' && point <= '9') || point == '-';
}

static const char *read_label(const uint8_t *text, size_t len, label *out)
{
    out->count = 0;
    out->ascii = true;
    while (len > 0) {
        unsigned long point = 0;
        int used = UTF8_getc(text, len > 6 ? 6 : (int)len, &point);
        if (used <= 0)
            return "it is not valid UTF-8";
        if (point >= 'A' && point <= 'Z')
            point = point - 'A' + 'a';
        if (out->count == LABEL_MAX)
            return "a label is longer than 63 bytes";
        if (point >= 0x80 && !is_letter((uint32_t)point))
            return "it holds a character that is no lower-case letter we can encode (give the xn-- form)";
        if (point < 0x80 && !is_ldh((uint32_t)point))
            return "host names are made of letters, digits and hyphens";
        out->ascii = out->ascii && point < 0x80;
        out->points[out->count++] = (uint32_t)point;
        text += used;
        len -= (size_t)used;
    }
    return NULL;
}

static const char *check_label(const label *in)
{
    if (in->count == 0)
        return "it has an empty label";
    if (in->points[0] == '-' || in->points[in->count - 1] == '-')
        return "a label begins or ends with a hyphen";
    /* RFC 5891 4.2.3.1 */
    if (!in->ascii && in->count >= 4 && in->points[2] == '-' && in->points[3] == '-')
        return "a label has hyphens in the third and fourth place";
    return NULL;
}

/* RFC 3492 6.1 */
static uint32_t adapt(uint32_t delta, uint32_t points, bool first)
{
    uint32_t k = 0;
    delta = first ? delta / 700 : delta / 2;
    delta += delta / points;
    for (; delta > 35 * 26 / 2; k += 36)
        delta /= 35;
    return k + 36 * delta / (delta + 38);
}

/* A generalised variable-length integer (RFC 3492 3.3); false when it does not fit. */
static bool put_delta(uint32_t delta, uint32_t bias, char *out, size_t *used)
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    for (uint32_t k = 36;; k += 36) {
        uint32_t t = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
        if (*used == LABEL_MAX)
            return false;
        if (delta < t) {
            out[(*used)++] = digits[delta];
            return true;
        }
        out[(*used)++] = digits[t + (delta - t) % (36 - t)];
        delta = (delta - t) / (36 - t);
    }
}

static uint32_t next_point(const label *in, uint32_t from)
{
    uint32_t best = UINT32_MAX;
    for (size_t i = 0; i < in->count; i++)
        if (in->points[i] >= from && in->points[i] < best)
            best = in->points[i];
    return best;
}

/* RFC 3492 6.3; 63 points of 21 bits cannot overflow delta. */
static bool punycode(const label *in, char *out, size_t *used)
{
    uint32_t n = 0x80, delta = 0, bias = 72, done = 0;
    for (size_t i = 0; i < in->count; i++)
        if (in->points[i] < 0x80) {
            if (*used == LABEL_MAX)
                return false;
            out[(*used)++] = (char)in->points[i];
            done++;
        }
    uint32_t basic = done;
    if (basic > 0) {
        if (*used == LABEL_MAX)
            return false;
        out[(*used)++] = '-';
    }
    while (done < in->count) {
        uint32_t next = next_point(in, n);
        delta += (next - n) * (done + 1);
        n = next;
        for (size_t i = 0; i < in->count; i++) {
            if (in->points[i] < n)
                delta++;
            if (in->points[i] != n)
                continue;
            if (!put_delta(delta, bias, out, used))
                return false;
            bias = adapt(delta, done + 1, done == basic);
            delta = 0;
            done++;
        }
        delta++;
        n++;
    }
    return true;
}

/* out holds LABEL_MAX bytes. */
static const char *encode_label(const label *in, char *out, size_t *used)
{
    *used = 0;
    if (in->ascii) {
        for (size_t i = 0; i < in->count; i++)
            out[(*used)++] = (char)in->points[i];
        return NULL;
    }
    static const char prefix[] = {'x', 'n', '-', '-'};
    memcpy(out, prefix, sizeof(prefix));
    *used = sizeof(prefix);
    return punycode(in, out, used) ? NULL : "a label is longer than 63 bytes";
}

const char *est_host_problem(const char *u8, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (const char *at = u8;; at++) {
        size_t len = strcspn(at, ".");
        label points;
        char text[LABEL_MAX];
        size_t text_len = 0;
        const char *why = read_label((const uint8_t *)at, len, &points);
        if (why == NULL)
            why = check_label(&points);
        if (why == NULL)
            why = encode_label(&points, text, &text_len);
        if (why == NULL && (used + text_len > HOST_MAX || used + text_len + 1 > size))
            why = "it is longer than 253 bytes";
        if (why != NULL) {
            out[0] = '\0';
            return why;
        }
        memcpy(out + used, text, text_len);
        used += text_len;
        at += len;
        out[used] = *at;
        if (*at == '\0')
            return NULL;
        used++;
    }
}

bool est_host_to_ascii(const char *u8, char *out, size_t size)
{
    return size > 0 && est_host_problem(u8, out, size) == NULL;
}
