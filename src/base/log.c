#include "base/base.h"

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define FIELDS_MAX 16

struct estuary_log {
    atomic_int references;
    estuary_log_level level;
    estuary_log_fn *fn;
    void *arg;
    pthread_mutex_t lock;
    /* for estuary_log_new_fd() */
    estuary_log_format format;
    int fd;
};

static const char *level_name(estuary_log_level level)
{
    switch (level) {
    case ESTUARY_LOG_ERROR:
        return "error";
    case ESTUARY_LOG_WARNING:
        return "warning";
    case ESTUARY_LOG_AUDIT:
        return "audit";
    case ESTUARY_LOG_INFO:
        return "info";
    case ESTUARY_LOG_DEBUG:
        return "debug";
    }
    return "unknown";
}

estuary_status estuary_log_new(estuary_log_level level, estuary_log_fn *fn, void *arg, estuary_log **out,
                               estuary_error *err)
{
    *out = NULL;
    if (fn == NULL)
        return est_fail(err, EST_USAGE, "a log needs a function to write to");
    estuary_log *log = est_alloc(sizeof(*log));
    if (log == NULL || pthread_mutex_init(&log->lock, NULL) != 0) {
        est_free(log);
        return est_fail_memory(err);
    }
    atomic_init(&log->references, 1);
    log->level = level;
    log->fn = fn;
    log->arg = arg;
    *out = log;
    return ESTUARY_OK;
}

static void write_line(int fd, est_buf *line)
{
    if (est_buf_append(line, "\n", 1) != EST_APPEND_OK)
        return;
    size_t done = 0;
    while (done < line->len) {
        ssize_t n = write(fd, line->data + done, line->len - done);
        if (n <= 0)
            return; /* a log that cannot be written must not stop the work */
        done += (size_t)n;
    }
}

static void append_text(est_buf *line, const char *text)
{
    (void)est_buf_append(line, text, strlen(text));
}

static void append_clean(est_buf *line, const char *text)
{
    char clean[1024];
    est_text_sanitise(text, strlen(text), clean, sizeof(clean));
    append_text(line, clean);
}

/* Quoted unless it is one plain word, so that a value cannot pass for further fields. */
static void append_value(est_buf *line, const char *value)
{
    bool plain = strpbrk(value, " ,=()\"\\\t\r\n") == NULL;
    char clean[1024];
    est_text_sanitise(value, strlen(value), clean, sizeof(clean));
    if (!plain)
        append_text(line, "\"");
    for (const char *c = clean; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            append_text(line, "\\");
        (void)est_buf_append(line, c, 1);
    }
    if (!plain)
        append_text(line, "\"");
}

static void write_text(int fd, estuary_log_level level, const char *event, const char *message,
                       const estuary_log_field *fields, size_t n)
{
    est_buf line = {.max = 16384};
    append_text(&line, level_name(level));
    append_text(&line, " ");
    append_text(&line, event);
    append_text(&line, ": ");
    append_clean(&line, message);
    for (size_t i = 0; i < n; i++) {
        append_text(&line, i == 0 ? " (" : ", ");
        append_text(&line, fields[i].name);
        append_text(&line, "=");
        append_value(&line, fields[i].value);
    }
    if (n > 0)
        append_text(&line, ")");
    write_line(fd, &line);
    est_buf_free(&line);
}

static json_t *json_clean(const char *text)
{
    char clean[1024];
    est_text_sanitise(text, strlen(text), clean, sizeof(clean));
    return json_string(clean);
}

static void write_json(int fd, estuary_log_level level, const char *event, const char *message,
                       const estuary_log_field *fields, size_t n)
{
    char now[EST_TIME_TEXT_SIZE];
    est_time_format(est_now(), now);
    json_t *record = json_pack("{s:s, s:s, s:s, s:o}", "time", now, "level", level_name(level), "event",
                               event, "message", json_clean(message));
    for (size_t i = 0; i < n && record != NULL; i++)
        (void)json_object_set_new(record, fields[i].name, json_clean(fields[i].value));
    char *text = record == NULL ? NULL : json_dumps(record, JSON_COMPACT);
    if (text != NULL) {
        est_buf line = {.max = 65536};
        append_text(&line, text);
        write_line(fd, &line);
        est_buf_free(&line);
    }
    free(text);
    json_decref(record);
}

static void to_descriptor(void *arg, estuary_log_level level, const char *event, const char *message,
                          const estuary_log_field *fields, size_t n)
{
    const estuary_log *log = arg;
    if (log->format == ESTUARY_LOG_JSON)
        write_json(log->fd, level, event, message, fields, n);
    else
        write_text(log->fd, level, event, message, fields, n);
}

estuary_status estuary_log_new_fd(estuary_log_level level, estuary_log_format format, int fd,
                                  estuary_log **out, estuary_error *err)
{
    estuary_log *log = NULL;
    estuary_status status = estuary_log_new(level, to_descriptor, NULL, &log, err);
    if (log != NULL) {
        log->arg = log;
        log->format = format;
        log->fd = fd;
    }
    *out = log;
    return status;
}

estuary_log *estuary_log_up_ref(estuary_log *log)
{
    if (log != NULL)
        atomic_fetch_add(&log->references, 1);
    return log;
}

void estuary_log_free(estuary_log *log)
{
    if (log == NULL || atomic_fetch_sub(&log->references, 1) != 1)
        return;
    pthread_mutex_destroy(&log->lock);
    est_free(log);
}

void estuary_log_write(estuary_log *log, estuary_log_level level, const char *event, const char *message,
                       const estuary_log_field *fields, size_t n_fields)
{
    if (log == NULL || level > log->level)
        return;
    if (pthread_mutex_lock(&log->lock) != 0)
        return;
    log->fn(log->arg, level, event, message, fields, n_fields);
    pthread_mutex_unlock(&log->lock);
}

void est_log(estuary_log *log, estuary_log_level level, const char *event, const char *message, ...)
{
    if (log == NULL || level > log->level)
        return;
    estuary_log_field fields[FIELDS_MAX];
    size_t n = 0;
    va_list args;
    va_start(args, message);
    const char *name;
    while (n < FIELDS_MAX && (name = va_arg(args, const char *)) != NULL) {
        const char *value = va_arg(args, const char *);
        if (value != NULL && *value != '\0')
            fields[n++] = (estuary_log_field){name, value};
    }
    va_end(args);
    estuary_log_write(log, level, event, message, fields, n);
}
