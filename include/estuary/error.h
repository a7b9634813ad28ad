/*
 * error.h: one error object for every fallible call.
 *
 * Every fallible function of libestuary returns an estuary_status and takes an
 * `estuary_error *err` as its last argument. NULL is allowed there; the status
 * alone then says what kind of thing went wrong.
 *
 * Thread-safety: an estuary_error belongs to one thread at a time.
 */
#ifndef ESTUARY_ERROR_H
#define ESTUARY_ERROR_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ESTUARY_EXPORT __attribute__((visibility("default")))

/* Categories are stable API; codes inside a category may grow. */
typedef enum estuary_status {
    ESTUARY_OK = 0,
    ESTUARY_E_USAGE,       /* the caller asked for something that makes no sense */
    ESTUARY_E_CONFIG,      /* a setting, file or environment is wrong */
    ESTUARY_E_NETWORK,     /* no connection, time-out, broken transfer */
    ESTUARY_E_TLS,         /* no TLS session could be agreed on */
    ESTUARY_E_TRUST,       /* the server is not who it should be */
    ESTUARY_E_AUTH,        /* the server does not accept who we are */
    ESTUARY_E_PENDING,     /* the server wants us to come back later */
    ESTUARY_E_SERVER,      /* the server reports a failure */
    ESTUARY_E_PROTOCOL,    /* the server's answer is not EST */
    ESTUARY_E_CERTIFICATE, /* a certificate or request failed its checks */
    ESTUARY_E_REVOKED,     /* a certificate is revoked */
    ESTUARY_E_KEY,         /* key, token or PIN */
    ESTUARY_E_CRYPTO,      /* the crypto library failed */
    ESTUARY_E_IO,          /* files and folders */
    ESTUARY_E_MEMORY,
    ESTUARY_E_UNSUPPORTED, /* not to be had here, e.g. no FIPS provider */
    ESTUARY_E_CANCELLED
} estuary_status;

typedef struct estuary_error estuary_error;

/* NULL when memory is short. The caller frees it. */
ESTUARY_EXPORT estuary_error *estuary_error_new(void);
ESTUARY_EXPORT void estuary_error_free(estuary_error *err); /* NULL is fine */

/* Back to ESTUARY_OK, ready for the next call. */
ESTUARY_EXPORT void estuary_error_clear(estuary_error *err);

/* ESTUARY_OK when nothing failed or err is NULL. */
ESTUARY_EXPORT estuary_status estuary_error_category(const estuary_error *err);

/*
 * The strings below are lent: valid until err is cleared, set again or freed; never NULL
 * ("" when there is nothing to say).
 *
 * code     stable: "tls.host-mismatch"
 * message  one sentence, safe to show anyone: no secrets, no control bytes
 * detail   for the log: library error text and the like; still no secrets
 * remedy   what to do about it, "" when there is no general advice
 */
ESTUARY_EXPORT const char *estuary_error_code(const estuary_error *err);
ESTUARY_EXPORT const char *estuary_error_message(const estuary_error *err);
ESTUARY_EXPORT const char *estuary_error_detail(const estuary_error *err);
ESTUARY_EXPORT const char *estuary_error_remedy(const estuary_error *err);

/* 0 when no HTTP answer came. */
ESTUARY_EXPORT int estuary_error_http_status(const estuary_error *err);

/* true when the same call may succeed later without any change. */
ESTUARY_EXPORT bool estuary_error_retryable(const estuary_error *err);

/* From Retry-After, as absolute UTC time; 0 when the server did not say (RFC 7030 4.2.3). */
ESTUARY_EXPORT time_t estuary_error_retry_at(const estuary_error *err);

/* The exit code of the `estuary` command for this error (0 for ESTUARY_OK). */
ESTUARY_EXPORT int estuary_error_exit_code(const estuary_error *err);

/* "trust" for ESTUARY_E_TRUST; static, never NULL. */
ESTUARY_EXPORT const char *estuary_status_name(estuary_status status);

/*
 * Walk the table of every code there is: index from 0, false past the end.
 * All pointers are static. Used by the manual page, the tests and doctor.
 */
ESTUARY_EXPORT bool estuary_error_table(size_t index, const char **code, estuary_status *category,
                                        const char **sentence, int *exit_code);

#ifdef __cplusplus
}
#endif
#endif
