/*
 * limits.h: every bound on what a server may do to us, in one table (T8).
 *
 * A limits object is plain data of its owner; it is copied by whatever takes it.
 */
#ifndef ESTUARY_LIMITS_H
#define ESTUARY_LIMITS_H

#include <estuary/error.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct estuary_limits estuary_limits;

typedef enum estuary_limit {
    ESTUARY_LIMIT_CONNECT_MS = 1,      /* TCP + TLS set-up; default 15 000 */
    ESTUARY_LIMIT_TOTAL_MS,            /* one request from dialing to the last byte; default 60 000 */
    ESTUARY_LIMIT_IDLE_MS,             /* no byte received for so long; default 15 000 */
    ESTUARY_LIMIT_RESPONSE_BYTES,      /* body of one answer; default 1 MiB */
    ESTUARY_LIMIT_HEADER_BYTES,        /* all header lines of one answer; default 64 KiB */
    ESTUARY_LIMIT_HEADER_COUNT,        /* header lines of one answer; default 200 */
    ESTUARY_LIMIT_CERTIFICATES,        /* certificates in one answer; default 64 */
    ESTUARY_LIMIT_CHAIN_DEPTH,         /* intermediate CA certificates in a path; default 8 */
    ESTUARY_LIMIT_REDIRECTS,           /* redirects followed for one request; default 3 */
    ESTUARY_LIMIT_POLLS,               /* times a pending request is sent again; default 1000 */
    ESTUARY_LIMIT_RETRY_AFTER_SECONDS, /* a longer Retry-After is cut to this; default 7 days */
    ESTUARY_LIMIT_ERROR_TEXT_BYTES     /* of a server's error text that is shown; default 512 */
} estuary_limit;

/* With the defaults. The caller frees *out. */
ESTUARY_EXPORT estuary_status estuary_limits_new(estuary_limits **out, estuary_error *err);
ESTUARY_EXPORT void estuary_limits_free(estuary_limits *limits); /* NULL is fine */

/* ESTUARY_E_USAGE for a value outside of the limit's own range (never 0, never unlimited). */
ESTUARY_EXPORT estuary_status estuary_limits_set(estuary_limits *limits, estuary_limit which, int64_t value,
                                                 estuary_error *err);

/* limits NULL gives the default. */
ESTUARY_EXPORT int64_t estuary_limits_get(const estuary_limits *limits, estuary_limit which);

#ifdef __cplusplus
}
#endif
#endif
