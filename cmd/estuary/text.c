#include "command.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Length of the valid UTF-8 sequence at p (RFC 3629), 0 when there is none. */
static size_t utf8_length(const unsigned char *p)
{
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        return (p[1] & 0xc0) == 0x80 ? 2 : 0;
    if (p[0] >= 0xe0 && p[0] <= 0xef) {
        if ((p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80)
            return 0;
        bool overlong = p[0] == 0xe0 && p[1] < 0xa0, surrogate = p[0] == 0xed && p[1] >= 0xa0;
        return overlong || surrogate ? 0 : 3;
    }
    if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        if ((p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80 || (p[3] & 0xc0) != 0x80)
            return 0;
        return (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f) ? 0 : 4;
    }
    return 0;
}

/* C1 controls, and what turns the direction of writing: text must not show as something else. */
static bool is_trick(const unsigned char *p)
{
    return (p[0] == 0xc2 && p[1] < 0xa0) ||
           (p[0] == 0xe2 && p[1] == 0x80 &&
            ((p[2] >= 0xa8 && p[2] <= 0xae) || p[2] == 0x8e || p[2] == 0x8f)) ||
           (p[0] == 0xe2 && p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9);
}

void clean_text(const char *text, char *out, size_t size)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t used = 0;
    while (*p != '\0' && used + 1 < size) {
        size_t len = *p >= 0x80 ? utf8_length(p) : 1;
        if (len > 1 && used + len >= size)
            break;
        if (len == 0 || *p < 0x20 || *p == 0x7f || (len > 1 && is_trick(p))) {
            out[used++] = '?';
            p += len == 0 ? 1 : len;
            continue;
        }
        memcpy(out + used, p, len);
        used += len;
        p += len;
    }
    out[used] = '\0';
}

void time_text(time_t at, char out[TIME_TEXT_SIZE])
{
    struct tm parts;
    if (gmtime_r(&at, &parts) == NULL || strftime(out, TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        memcpy(out, "unknown", sizeof("unknown"));
}

bool time_parse(const char *text, time_t *out)
{
    struct tm parts = {0};
    char sign = 'Z', designator = 0;
    int hours = 0, minutes = 0, used = 0, zone = 0;
    if (strspn(text, "0123456789-+:TtZz") != strlen(text) ||
        sscanf(text, "%4d-%2d-%2d%c%2d:%2d:%2d%c%n", &parts.tm_year, &parts.tm_mon, &parts.tm_mday,
               &designator, &parts.tm_hour, &parts.tm_min, &parts.tm_sec, &sign, &used) != 8 ||
        (designator != 'T' && designator != 't'))
        return false;
    if ((sign == '+' || sign == '-') &&
        (sscanf(text + used, "%2d:%2d%n", &hours, &minutes, &zone) != 2 || zone != 5))
        return false;
    if (text[used + zone] != '\0' || strchr("+-Zz", sign) == NULL)
        return false;
    struct tm wanted = parts;
    parts.tm_year -= 1900;
    parts.tm_mon -= 1;
    time_t at = timegm(&parts);
    /* timegm() turns the 31st of February into a day in March, and 25:00 into tomorrow */
    if (parts.tm_year + 1900 != wanted.tm_year || parts.tm_mon + 1 != wanted.tm_mon ||
        parts.tm_mday != wanted.tm_mday || parts.tm_hour != wanted.tm_hour || parts.tm_min != wanted.tm_min ||
        parts.tm_sec != wanted.tm_sec || hours > 23 || minutes > 59)
        return false;
    long offset = hours * 3600L + minutes * 60L;
    *out = sign == '-' ? at + offset : at - offset;
    return true;
}

void span_text(time_t from, time_t to, char out[SPAN_TEXT_SIZE])
{
    static const struct {
        int64_t seconds;
        const char *name;
    } units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
    int64_t span = (int64_t)to - (int64_t)from;
    bool past = span < 0;
    if (past)
        span = -span;
    size_t u = 0;
    /* two of the smaller unit say more than one of the bigger */
    while (u < 3 && span < 2 * units[u].seconds)
        u++;
    int64_t n = span / units[u].seconds;
    snprintf(out, SPAN_TEXT_SIZE, "%s%lld %s%s%s", past ? "" : "in ", (long long)n, units[u].name,
             n == 1 ? "" : "s", past ? " ago" : "");
}
