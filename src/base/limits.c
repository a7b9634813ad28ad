#include "base/base.h"

#define LIMIT_COUNT (ESTUARY_LIMIT_ERROR_TEXT_BYTES + 1)
#define KIB         INT64_C(1024)
#define MIB         (KIB * 1024)
#define HOUR_MS     INT64_C(3600000)
#define DAY         INT64_C(86400)

struct estuary_limits {
    int64_t values[LIMIT_COUNT];
};

static const struct {
    const char *name;
    int64_t preset, min, max;
} table[LIMIT_COUNT] = {
    [ESTUARY_LIMIT_CONNECT_MS] = {"connect time", 15000, 1, HOUR_MS},
    [ESTUARY_LIMIT_TOTAL_MS] = {"total time", 60000, 1, 24 * HOUR_MS},
    [ESTUARY_LIMIT_IDLE_MS] = {"idle time", 15000, 1, HOUR_MS},
    [ESTUARY_LIMIT_RESPONSE_BYTES] = {"response size", MIB, 1, 64 * MIB},
    [ESTUARY_LIMIT_HEADER_BYTES] = {"header size", 64 * KIB, 64, MIB},
    [ESTUARY_LIMIT_HEADER_COUNT] = {"header count", 200, 1, 10000},
    [ESTUARY_LIMIT_CERTIFICATES] = {"certificate count", 64, 1, 10000},
    [ESTUARY_LIMIT_CHAIN_DEPTH] = {"chain depth", 8, 1, 64},
    [ESTUARY_LIMIT_REDIRECTS] = {"redirect count", 3, 1, 20},
    [ESTUARY_LIMIT_POLLS] = {"poll count", 1000, 1, 1000000},
    [ESTUARY_LIMIT_RETRY_AFTER_SECONDS] = {"Retry-After", 7 * DAY, 1, 365 * DAY},
    [ESTUARY_LIMIT_ERROR_TEXT_BYTES] = {"error text size", 512, 1, 512},
};

estuary_limits *est_limits_dup(const estuary_limits *limits)
{
    estuary_limits *copy = est_alloc(sizeof(*copy));
    for (size_t i = 1; copy != NULL && i < LIMIT_COUNT; i++)
        copy->values[i] = limits == NULL ? table[i].preset : limits->values[i];
    return copy;
}

estuary_status estuary_limits_new(estuary_limits **out, estuary_error *err)
{
    *out = est_limits_dup(NULL);
    return *out == NULL ? est_fail_memory(err) : ESTUARY_OK;
}

void estuary_limits_free(estuary_limits *limits)
{
    est_free(limits);
}

estuary_status estuary_limits_set(estuary_limits *limits, estuary_limit which, int64_t value,
                                  estuary_error *err)
{
    if (which < ESTUARY_LIMIT_CONNECT_MS || which >= LIMIT_COUNT)
        return est_fail(err, EST_USAGE_LIMIT, "there is no limit number %d", (int)which);
    if (value < table[which].min || value > table[which].max)
        return est_fail(err, EST_USAGE_LIMIT, "the limit for %s must be between %lld and %lld",
                        table[which].name, (long long)table[which].min, (long long)table[which].max);
    limits->values[which] = value;
    return ESTUARY_OK;
}

int64_t estuary_limits_get(const estuary_limits *limits, estuary_limit which)
{
    if (which < ESTUARY_LIMIT_CONNECT_MS || which >= LIMIT_COUNT)
        return 0;
    return limits == NULL ? table[which].preset : limits->values[which];
}
