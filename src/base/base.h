/* base: errors, bytes, files, clock. Everything else stands on this room. */
#ifndef EST_BASE_H
#define EST_BASE_H

#include <estuary/error.h>
#include <estuary/limits.h>
#include <estuary/log.h>
#include <estuary/metrics.h>
#include <estuary/process.h>
#include <estuary/secret.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/* error.c */

typedef enum est_code {
    EST_OK_CODE = 0,
#define EST_ERROR(name, code, category, exit_code, retryable, sentence, remedy) EST_##name,
#include "base/error_table.h"
#undef EST_ERROR
    EST_CODE_COUNT
} est_code;

#define EST_PRINTF(fmt_index) __attribute__((format(printf, fmt_index, fmt_index + 1)))

/*
 * Sets err (may be NULL) and returns the code's category, never ESTUARY_OK. fmt NULL: the table's
 * sentence. Control bytes in the result are replaced. What a server or file said goes in as an argument
 * only after est_text_sanitise().
 */
estuary_status est_fail(estuary_error *err, est_code code, const char *fmt, ...) EST_PRINTF(3);
/* The same, with OpenSSL's error queue in the detail; the one place that reads (and empties) it. */
estuary_status est_fail_openssl(estuary_error *err, est_code code, const char *fmt, ...) EST_PRINTF(3);
/* The same, with strerror(errno) appended to the message. */
estuary_status est_fail_errno(estuary_error *err, est_code code, const char *fmt, ...) EST_PRINTF(3);
estuary_status est_fail_memory(estuary_error *err);
/* The first error of OpenSSL's queue, which stays as it is; 0 when empty. */
unsigned long est_openssl_first_error(void);
/*
 * For code that OpenSSL calls back: puts a code of ours and its sentence (NULL: the table's) into the queue,
 * where est_fail_openssl() finds them again, so that "the PIN is locked" does not end as "cannot sign".
 */
void est_openssl_raise(est_code code, const char *sentence);
/* Whether the text beside the queue's first error holds these words: for providers that give no better code.
 */
bool est_openssl_says(const char *words);

void est_error_set_detail(estuary_error *err, const char *fmt, ...) EST_PRINTF(2);
void est_error_set_http_status(estuary_error *err, int status);
void est_error_set_retry_at(estuary_error *err, time_t at);
est_code est_error_code_of(const estuary_error *err);
void est_error_copy(estuary_error *to, const estuary_error *from);
const char *est_code_text(est_code code);
const char *est_code_sentence(est_code code);

/* Leaves through the function's cleanup: label; `status` is the function's result variable. */
#define EST_TRY(expression)                                                                                  \
    do {                                                                                                     \
        status = (expression);                                                                               \
        if (status != ESTUARY_OK)                                                                            \
            goto cleanup;                                                                                    \
    } while (0)
#define EST_FAIL(...)                                                                                        \
    do {                                                                                                     \
        status = est_fail(err, __VA_ARGS__);                                                                 \
        goto cleanup;                                                                                        \
    } while (0)
#define EST_FAIL_OPENSSL(...)                                                                                \
    do {                                                                                                     \
        status = est_fail_openssl(err, __VA_ARGS__);                                                         \
        goto cleanup;                                                                                        \
    } while (0)
#define EST_FAIL_ERRNO(...)                                                                                  \
    do {                                                                                                     \
        status = est_fail_errno(err, __VA_ARGS__);                                                           \
        goto cleanup;                                                                                        \
    } while (0)

/* bytes.c: memory comes from OpenSSL's allocator, so that one hook can make all of it fail in tests. */

void *est_alloc(size_t size); /* zeroed; NULL when short */
void est_free(void *memory);
char *est_strdup(const char *text); /* NULL for NULL */
char *est_strndup(const char *text, size_t len);
char *est_printf(const char *fmt, ...) EST_PRINTF(1); /* NULL when memory is short */

/* The only conversions between length types. */
bool est_size_to_int(size_t size, int *out);
bool est_size_to_long(size_t size, long *out);
bool est_int_to_size(long value, size_t *out);

/* A growing buffer with a bound; zero-initialise and set max before use. Always NUL-terminated. */
typedef struct est_buf {
    uint8_t *data; /* owned; NULL while empty */
    size_t len;
    size_t cap;
    size_t max;
} est_buf;

typedef enum est_append { EST_APPEND_OK = 0, EST_APPEND_TOO_LARGE, EST_APPEND_NO_MEMORY } est_append;

est_append est_buf_append(est_buf *buf, const void *bytes, size_t len);
void est_buf_free(est_buf *buf); /* wipes */

/*
 * Copies at most len bytes of hostile text to out (size > 0, always terminated): valid UTF-8 is kept,
 * control and invalid bytes become '?', white space is folded to single blanks.
 */
void est_text_sanitise(const void *text, size_t len, char *out, size_t size);

/* Lower-case hexadecimal, 2 * len characters and a NUL. */
void est_hex_write(const uint8_t *bytes, size_t len, char *out);

bool est_text_equal_nocase(const char *a, const char *b); /* ASCII only, no locale */

/* clock.c */

time_t est_now(void);
int64_t est_monotonic_ms(void);
/* RFC 3339 in UTC, "2026-01-31T12:00:00Z". */
#define EST_TIME_TEXT_SIZE 32
void est_time_format(time_t at, char out[EST_TIME_TEXT_SIZE]);
bool est_time_parse(const char *text, time_t *out);

/* file.c: checks are made on the opened descriptor, never on the path. */

typedef enum est_file_flags {
    EST_FILE_PUBLIC = 0,
    EST_FILE_PRIVATE = 1,   /* owned by us (or root), closed to group and others */
    EST_FILE_CREDENTIAL = 2 /* as systemd makes them: an ACL for the service's user shows as group-readable */
} est_file_flags;

typedef enum est_file_result {
    EST_FILE_OK = 0,
    EST_FILE_MISSING,
    EST_FILE_NOT_REGULAR,
    EST_FILE_TOO_LARGE,
    EST_FILE_UNSAFE,
    EST_FILE_ERROR, /* errno says why */
    EST_FILE_NO_MEMORY
} est_file_result;

/* *out is NUL-terminated after *len bytes and freed with est_free_secret(). */
est_file_result est_file_read(const char *path, size_t max, est_file_flags flags, uint8_t **out, size_t *len);
void est_free_secret(void *memory, size_t len);               /* wipes first */
bool est_fd_write_all(int fd, const void *bytes, size_t len); /* errno says why not */
/* A regular file, ours or root's, none of the `forbidden` mode bits set, not larger than max. */
bool est_fd_is_ours(int fd, mode_t forbidden, off_t max, off_t *size);
/* Sets err: `what` names the file's role ("the trust anchor file"). */
estuary_status est_file_fail(estuary_error *err, est_file_result result, est_code code, const char *what,
                             const char *path);

/* log.c, metrics.c */

/* fields: pairs of name and value, ended by NULL; a NULL value leaves the pair out. */
void est_log(estuary_log *log, estuary_log_level level, const char *event, const char *message, ...);
void est_count(estuary_metrics *metrics, const char *name); /* metrics may be NULL */
void est_count_add(estuary_metrics *metrics, const char *name, uint64_t amount);

/* limits.c */

estuary_limits *est_limits_dup(const estuary_limits *limits); /* NULL gives the defaults; NULL when short */

/* process.c */

/* curl and whatever else is set up once; thread-safe, idempotent. */
typedef void est_once_fn(void);
bool est_process_once(int slot, est_once_fn *fn);
#define EST_ONCE_CURL            0
#define EST_ONCE_TRUST           1 /* the index of a session on its SSL_CTX */
#define EST_ONCE_KEY_PROVIDER    2
#define EST_ONCE_OPENSSL_LIBRARY 3 /* our number in OpenSSL's error codes */
#define EST_ONCE_P11_KIT         4
#define EST_ONCE_TPM2            5
#define EST_ONCE_SLOTS           6

#endif
