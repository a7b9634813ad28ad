/* DER and its times, inline: this is what reading millions of entries consists of. */
#ifndef EST_WIRE_CRL_DER_H
#define EST_WIRE_CRL_DER_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#define DER_BOOLEAN          0x01
#define DER_INTEGER          0x02
#define DER_BIT_STRING       0x03
#define DER_OCTET_STRING     0x04
#define DER_OBJECT           0x06
#define DER_ENUMERATED       0x0a
#define DER_UTC_TIME         0x17
#define DER_GENERALIZED_TIME 0x18
#define DER_SEQUENCE         0x30
#define DER_CONTEXT_0        0xa0

#define DER_UTC_TIME_LEN         13 /* YYMMDDHHMMSSZ */
#define DER_GENERALIZED_TIME_LEN 15

typedef enum der_result { DER_BAD = 0, DER_OK, DER_MORE } der_result;

/* A tag and a definite, minimal length (X.690 10.1); `body` is not compared with what there is. */
static inline der_result der_header(const uint8_t *bytes, size_t len, size_t *header, uint64_t *body)
{
    if (len >= 1 && (bytes[0] & 0x1f) == 0x1f)
        return DER_BAD; /* no tag here is that large */
    if (len < 2)
        return DER_MORE;
    *header = 2;
    *body = bytes[1];
    if (bytes[1] < 0x80)
        return DER_OK;
    size_t octets = bytes[1] & 0x7f;
    if (octets == 0 || octets > 6)
        return DER_BAD;
    if (len < 2 + octets)
        return DER_MORE;
    *header = 2 + octets;
    *body = 0;
    for (size_t i = 0; i < octets; i++)
        *body = *body << 8 | bytes[2 + i];
    bool is_minimal = *body >= 0x80 && bytes[2] != 0;
    return is_minimal ? DER_OK : DER_BAD;
}

/* The element at *at, which must be whole and of this tag; *at is then behind it. */
static inline bool der_take(const uint8_t **at, const uint8_t *end, uint8_t tag, const uint8_t **body,
                            size_t *len)
{
    const uint8_t *p = *at;
    size_t left = (size_t)(end - p), header = 2;
    if (left < 2 || p[0] != tag)
        return false;
    uint64_t size = p[1];
    if (size >= 0x80 && der_header(p, left, &header, &size) != DER_OK)
        return false;
    if (size > left - header)
        return false;
    *body = p + header;
    *len = (size_t)size;
    *at = p + header + size;
    return true;
}

/* X.690 8.3.2: the first nine bits are not all equal. */
static inline bool der_integer_is_minimal(const uint8_t *body, size_t len)
{
    if (len == 0)
        return false;
    if (len == 1)
        return true;
    return !(body[0] == 0x00 && (body[1] & 0x80) == 0) && !(body[0] == 0xff && (body[1] & 0x80) != 0);
}

/* X.690 8.19.2: at least one number, none padded, the last one whole. */
static inline bool der_is_object(const uint8_t *body, size_t len)
{
    bool begins = true;
    for (size_t i = 0; i < len; i++) {
        if (begins && body[i] == 0x80)
            return false;
        begins = body[i] < 0x80;
    }
    return len > 0 && begins;
}

typedef struct der_time {
    unsigned year, month, day, hour, minute, second;
} der_time;

/* Eight digits to four numbers at once; the first two digits end up in the lowest byte of *pairs. */
static inline bool der_digits(uint64_t text, uint64_t *pairs)
{
    const uint64_t high = 0xf0f0f0f0f0f0f0f0u, zeros = 0x3030303030303030u, six = 0x0606060606060606u;
    if ((text & high) != zeros || ((text + six) & high) != zeros)
        return false;
    text -= zeros;
    *pairs = (text * 10 + (text >> 8)) & 0x00ff00ff00ff00ffu;
    return true;
}

static inline bool der_time_is_real(const der_time *t)
{
    static const uint8_t days[16] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (t->month > 12 || t->day == 0 || t->day > days[t->month])
        return false;
    if (t->month == 2 && t->day == 29 && (t->year % 4 != 0 || (t->year % 100 == 0 && t->year % 400 != 0)))
        return false;
    return t->hour < 24 && t->minute < 60 && t->second < 60;
}

/* RFC 5280 4.1.2.5.1, 4.1.2.5.2: with seconds, in GMT, no fractions. */
static inline bool der_time_parse(uint8_t tag, const uint8_t *text, size_t len, der_time *out)
{
    unsigned century = 0;
    if (tag == DER_GENERALIZED_TIME && len == DER_GENERALIZED_TIME_LEN) {
        unsigned tens = text[0] - '0', ones = text[1] - '0';
        if (tens > 9 || ones > 9)
            return false;
        century = tens * 10 + ones;
        text += 2;
    } else if (tag != DER_UTC_TIME || len != DER_UTC_TIME_LEN) {
        return false;
    }
    uint64_t date, clock = 0x3030303030303030u, pairs;
    memcpy(&date, text, 8);
    memcpy(&clock, text + 8, 4);
    if (text[12] != 'Z' || !der_digits(le64toh(date), &pairs))
        return false;
    out->year = (unsigned)(pairs & 0xff);
    out->month = (unsigned)(pairs >> 16 & 0xff);
    out->day = (unsigned)(pairs >> 32 & 0xff);
    out->hour = (unsigned)(pairs >> 48 & 0xff);
    if (!der_digits(le64toh(clock), &pairs))
        return false;
    out->minute = (unsigned)(pairs & 0xff);
    out->second = (unsigned)(pairs >> 16 & 0xff);
    out->year += tag == DER_GENERALIZED_TIME ? century * 100 : out->year >= 50 ? 1900 : 2000;
    return der_time_is_real(out);
}

/* Seconds since 1970 in the proleptic Gregorian calendar, without libc's time zones. */
static inline time_t der_time_value(const der_time *t)
{
    int64_t year = (int64_t)t->year - (t->month <= 2);
    int64_t month = t->month > 2 ? t->month - 3 : t->month + 9; /* March is 0: the leap day comes last */
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * month + 2) / 5 + t->day - 1;
    int64_t days = era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
    return (time_t)(((days * 24 + t->hour) * 60 + t->minute) * 60 + t->second);
}

#endif
