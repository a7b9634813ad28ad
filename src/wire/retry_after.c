#include "wire/wire.h"

#include <stdio.h>
#include <string.h>

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

static bool to_time(int year, const char *month, int day, const int clock[3], time_t *out)
{
    struct tm parts = {.tm_year = year - 1900, .tm_mon = -1, .tm_mday = day};
    for (int i = 0; i < 12; i++) {
        if (strcmp(months[i], month) == 0)
            parts.tm_mon = i;
    }
    if (parts.tm_mon < 0 || day < 1 || day > 31 || year < 1970 || clock[0] < 0 || clock[0] > 23 ||
        clock[1] < 0 || clock[1] > 59 || clock[2] < 0 || clock[2] > 60)
        return false;
    parts.tm_hour = clock[0];
    parts.tm_min = clock[1];
    parts.tm_sec = clock[2];
    /* the day is judged without the clock: a leap second may carry into the next one */
    struct tm date = {.tm_year = parts.tm_year, .tm_mon = parts.tm_mon, .tm_mday = day};
    (void)timegm(&date);
    *out = timegm(&parts);
    return date.tm_mday == day;
}

/* The three forms of RFC 9110 5.6.7; two-digit years are at most 50 years ahead. */
static bool parse_http_date(const char *text, time_t now, time_t *out)
{
    char month[4] = "";
    int day = 0, year = 0, clock[3] = {0}, used = 0;
    if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", &day, month, &year, &clock[0],
               &clock[1], &clock[2], &used) == 6 &&
        used > 0 && text[used] == '\0')
        return to_time(year, month, day, clock, out);
    used = 0;
    if (sscanf(text, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", month, &day, &clock[0], &clock[1],
               &clock[2], &year, &used) == 6 &&
        used > 0 && text[used] == '\0')
        return to_time(year, month, day, clock, out);
    used = 0;
    if (sscanf(text, "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n", &day, month, &year, &clock[0],
               &clock[1], &clock[2], &used) != 6 ||
        used == 0 || text[used] != '\0')
        return false;
    struct tm today;
    if (gmtime_r(&now, &today) == NULL)
        return false;
    int this_year = today.tm_year + 1900;
    year += this_year / 100 * 100;
    if (year > this_year + 50)
        year -= 100;
    return to_time(year, month, day, clock, out);
}

/* RFC 7030 4.2.3, RFC 9110 10.2.3 */
bool est_retry_after_parse(const char *value, time_t now, time_t *at)
{
    size_t digits = strspn(value, "0123456789");
    if (digits > 0 && value[digits] == '\0') {
        long long seconds = 0;
        for (size_t i = 0; i < digits && seconds < 1000000000; i++)
            seconds = seconds * 10 + (value[i] - '0');
        *at = now + (time_t)seconds;
        return true;
    }
    return strlen(value) < 64 && parse_http_date(value, now, at);
}
