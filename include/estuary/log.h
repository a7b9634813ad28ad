/*
 * log.h: what happened, for people and for machines. Never a key, password, token or PIN (O3).
 *
 * A log object is shared and locked inside; it may be used from any thread.
 */
#ifndef ESTUARY_LOG_H
#define ESTUARY_LOG_H

#include <estuary/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum estuary_log_level {
    ESTUARY_LOG_ERROR = 1,
    ESTUARY_LOG_WARNING,
    ESTUARY_LOG_AUDIT, /* enrol, renew, key use, trust change, failure: always of interest */
    ESTUARY_LOG_INFO,
    ESTUARY_LOG_DEBUG
} estuary_log_level;

/* A named value of a record; both strings are lent for the duration of the call. */
typedef struct estuary_log_field {
    const char *name;
    const char *value;
} estuary_log_field;

/*
 * One record: `event` is a stable dotted name ("enroll.issued"), `message` a sentence.
 * Called with an internal lock held: must not call back into the same log.
 */
typedef void estuary_log_fn(void *arg, estuary_log_level level, const char *event, const char *message,
                            const estuary_log_field *fields, size_t n_fields);

typedef struct estuary_log estuary_log;

typedef enum estuary_log_format { ESTUARY_LOG_TEXT = 1, ESTUARY_LOG_JSON } estuary_log_format;

/* Records up to and including `level` go to fn. The caller frees *out. */
ESTUARY_EXPORT estuary_status estuary_log_new(estuary_log_level level, estuary_log_fn *fn, void *arg,
                                              estuary_log **out, estuary_error *err);

/* Writes one line a record to a descriptor (not closed), as text or JSON; control bytes are escaped. */
ESTUARY_EXPORT estuary_status estuary_log_new_fd(estuary_log_level level, estuary_log_format format, int fd,
                                                 estuary_log **out, estuary_error *err);
ESTUARY_EXPORT estuary_log *estuary_log_up_ref(estuary_log *log);
ESTUARY_EXPORT void estuary_log_free(estuary_log *log); /* drops a reference; NULL is fine */

/* Adds a record; log may be NULL (then nothing happens). */
ESTUARY_EXPORT void estuary_log_write(estuary_log *log, estuary_log_level level, const char *event,
                                      const char *message, const estuary_log_field *fields, size_t n_fields);

#ifdef __cplusplus
}
#endif
#endif
