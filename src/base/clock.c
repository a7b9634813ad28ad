#include "base/base.h"

#include <stdio.h>
#include <string.h>

time_t est_now(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec;
}

int64_t est_monotonic_ms(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void est_time_format(time_t at, char out[EST_TIME_TEXT_SIZE])
{
    struct tm parts;
    if (gmtime_r(&at, &parts) == NULL || strftime(out, EST_TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        memcpy(out, "unknown", sizeof("unknown"));
}

/* '#' stands for a digit: sscanf() alone would take blanks, signs and missing digits, too. */
static bool has_shape(const char *text, const char *shape)
{
    for (; *shape != '\0'; shape++, text++) {
        bool digit = *text >= '0' && *text <= '9';
        if (*text == '\0' || (*shape == '#' ? !digit : *shape != '?' && *text != *shape))
            return false;
    }
    return true;
}

/* A leap second may carry into the next day, so days are judged without the clock. */
static bool is_date(const struct tm *parts)
{
    struct tm check = {.tm_year = parts->tm_year, .tm_mon = parts->tm_mon, .tm_mday = parts->tm_mday};
    (void)timegm(&check);
    return check.tm_mday == parts->tm_mday; /* not 31 February */
}

bool est_time_parse(const char *text, time_t *out)
{
    struct tm parts = {0};
    int used = 0;
    int offset_hours = 0, offset_minutes = 0;
    char sign[2] = "";
    if (!has_shape(text, "####-##-##?##:##:##"))
        return false;
    if (sscanf(text, "%4d-%2d-%2d%*1[Tt ]%2d:%2d:%2d%n", &parts.tm_year, &parts.tm_mon, &parts.tm_mday,
               &parts.tm_hour, &parts.tm_min, &parts.tm_sec, &used) != 6)
        return false;
    const char *zone = text + used;
    if (strcmp(zone, "Z") != 0 && strcmp(zone, "z") != 0) {
        int zone_used = 0;
        if (!has_shape(zone, "?##:##"))
            return false;
        if (sscanf(zone, "%1[+-]%2d:%2d%n", sign, &offset_hours, &offset_minutes, &zone_used) != 3 ||
            zone[zone_used] != '\0')
            return false;
    }
    if (parts.tm_mon < 1 || parts.tm_mon > 12 || parts.tm_mday < 1 || parts.tm_mday > 31 ||
        parts.tm_hour > 23 || parts.tm_min > 59 || parts.tm_sec > 60 || offset_hours > 23 ||
        offset_minutes > 59)
        return false;
    parts.tm_year -= 1900;
    parts.tm_mon -= 1;
    if (!is_date(&parts))
        return false;
    time_t at = timegm(&parts);
    long offset = (offset_hours * 60L + offset_minutes) * 60L;
    *out = sign[0] == '-' ? at + offset : at - offset;
    return true;
}
