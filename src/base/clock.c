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

bool est_time_parse(const char *text, time_t *out)
{
    struct tm parts = {0};
    int used = 0;
    int offset_hours = 0, offset_minutes = 0;
    char sign[2] = "";
    if (sscanf(text, "%4d-%2d-%2d%*1[Tt ]%2d:%2d:%2d%n", &parts.tm_year, &parts.tm_mon, &parts.tm_mday,
               &parts.tm_hour, &parts.tm_min, &parts.tm_sec, &used) != 6)
        return false;
    const char *zone = text + used;
    if (strcmp(zone, "Z") != 0 && strcmp(zone, "z") != 0) {
        int zone_used = 0;
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
    struct tm check = parts;
    time_t at = timegm(&check);
    if (check.tm_mday != parts.tm_mday)
        return false; /* 31 February */
    long offset = (offset_hours * 60L + offset_minutes) * 60L;
    *out = sign[0] == '-' ? at + offset : at - offset;
    return true;
}
