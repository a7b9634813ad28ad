/* The log: levels, text, JSON, no line a server could forge (O3). */
#include "support.h"

#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

struct seen {
    int calls;
    estuary_log_level level;
    size_t n;
    char event[64], message[64], last_name[64], last_value[64];
};

static void remember(void *arg, estuary_log_level level, const char *event, const char *message,
                     const estuary_log_field *fields, size_t n)
{
    struct seen *seen = arg;
    seen->calls++;
    seen->level = level;
    seen->n = n;
    snprintf(seen->event, sizeof(seen->event), "%s", event);
    snprintf(seen->message, sizeof(seen->message), "%s", message);
    if (n > 0) {
        snprintf(seen->last_name, sizeof(seen->last_name), "%s", fields[n - 1].name);
        snprintf(seen->last_value, sizeof(seen->last_value), "%s", fields[n - 1].value);
    }
}

static void levels_and_fields(void **state)
{
    (void)state;
    estuary_log *log = NULL;
    struct seen seen = {0};
    assert_int_equal(estuary_log_new(ESTUARY_LOG_AUDIT, NULL, NULL, &log, NULL), ESTUARY_E_USAGE);
    assert_null(log);
    assert_int_equal(estuary_log_new(ESTUARY_LOG_AUDIT, remember, &seen, &log, NULL), ESTUARY_OK);
    est_log(log, ESTUARY_LOG_DEBUG, "x", "y", NULL);
    est_log(log, ESTUARY_LOG_INFO, "x", "y", NULL);
    assert_int_equal(seen.calls, 0);
    est_log(log, ESTUARY_LOG_AUDIT, "enroll.issued", "issued", "a", "1", "none", NULL, "empty", "", "b", "2",
            NULL);
    assert_int_equal(seen.calls, 1);
    assert_int_equal(seen.level, ESTUARY_LOG_AUDIT);
    assert_int_equal(seen.n, 2);
    assert_string_equal(seen.event, "enroll.issued");
    assert_string_equal(seen.last_name, "b");
    assert_string_equal(seen.last_value, "2");
    est_log(log, ESTUARY_LOG_ERROR, "x", "y", NULL);
    assert_int_equal(seen.calls, 2);
    assert_int_equal(seen.n, 0);
    est_log(log, ESTUARY_LOG_ERROR, "x", "y", "1", "v", "2", "v", "3", "v", "4", "v", "5", "v", "6", "v", "7",
            "v", "8", "v", "9", "v", "10", "v", "11", "v", "12", "v", "13", "v", "14", "v", "15", "v", "16",
            "v", "17", "v", NULL);
    assert_int_equal(seen.n, 16); /* more than fit are left out */
    est_log(NULL, ESTUARY_LOG_ERROR, "x", "y", NULL);
    estuary_log_write(NULL, ESTUARY_LOG_ERROR, "x", "y", NULL, 0);
    assert_ptr_equal(estuary_log_up_ref(log), log);
    estuary_log_free(log);
    est_log(log, ESTUARY_LOG_ERROR, "x", "y", NULL);
    estuary_log_free(log);
    estuary_log_free(NULL);
}

static size_t written(estuary_log_format format, const char *message, const char *value, char *out,
                      size_t size)
{
    int ends[2];
    estuary_log *log = NULL;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(estuary_log_new_fd(ESTUARY_LOG_INFO, format, ends[1], &log, NULL), ESTUARY_OK);
    est_log(log, ESTUARY_LOG_WARNING, "server.said", message, "name", value, NULL);
    estuary_log_free(log);
    close(ends[1]);
    size_t len = 0;
    ssize_t got;
    while (len + 1 < size && (got = read(ends[0], out + len, size - len - 1)) > 0)
        len += (size_t)got;
    out[len] = '\0';
    close(ends[0]);
    return len;
}

static void text_lines(void **state)
{
    (void)state;
    char out[8192];
    written(ESTUARY_LOG_TEXT, "hello", "v", out, sizeof(out));
    assert_string_equal(out, "warning server.said: hello (name=v)\n");
    written(ESTUARY_LOG_TEXT, "a\nerror fake: b\x1b[2J", "1\r\n2", out, sizeof(out));
    assert_string_equal(out, "warning server.said: a error fake: b?[2J (name=\"1 2\")\n");
    written(ESTUARY_LOG_TEXT, "hello", NULL, out, sizeof(out));
    assert_string_equal(out, "warning server.said: hello\n");
}

static void json_lines(void **state)
{
    (void)state;
    char out[8192];
    size_t len = written(ESTUARY_LOG_JSON, "say \"hi\"\n\xff", "}\\", out, sizeof(out));
    assert_int_equal(out[len - 1], '\n');
    assert_null(memchr(out, '\n', len - 1));
    json_t *record = json_loads(out, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(record);
    assert_string_equal(json_string_value(json_object_get(record, "level")), "warning");
    assert_string_equal(json_string_value(json_object_get(record, "event")), "server.said");
    assert_string_equal(json_string_value(json_object_get(record, "message")), "say \"hi\" ?");
    assert_string_equal(json_string_value(json_object_get(record, "name")), "}\\");
    time_t at = 0;
    assert_true(est_time_parse(json_string_value(json_object_get(record, "time")), &at));
    json_decref(record);
}

static void long_values_are_bounded(void **state)
{
    (void)state;
    char value[3001], out[8192];
    for (size_t i = 0; i < 3000; i += 3)
        memcpy(value + i, "\xe2\x82\xac", 3);
    value[3000] = '\0';
    size_t len = written(ESTUARY_LOG_JSON, "m", value, out, sizeof(out));
    assert_true(len < 1400);
    json_t *record = json_loads(out, 0, NULL);
    assert_non_null(record); /* a cut in the middle of a sequence would not be JSON */
    json_decref(record);
}

static void level_names(void **state)
{
    (void)state;
    static const struct {
        estuary_log_level level;
        const char *line;
    } rows[] = {{ESTUARY_LOG_ERROR, "error e: m\n"},
                {ESTUARY_LOG_WARNING, "warning e: m\n"},
                {ESTUARY_LOG_AUDIT, "audit e: m\n"},
                {ESTUARY_LOG_INFO, "info e: m\n"},
                {ESTUARY_LOG_DEBUG, "debug e: m\n"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int ends[2];
        char out[64] = "";
        estuary_log *log = NULL;
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(estuary_log_new_fd(ESTUARY_LOG_DEBUG, ESTUARY_LOG_TEXT, ends[1], &log, NULL),
                         ESTUARY_OK);
        est_log(log, rows[i].level, "e", "m", NULL);
        assert_true(read(ends[0], out, sizeof(out) - 1) > 0);
        assert_string_equal(out, rows[i].line);
        estuary_log_free(log);
        close(ends[0]);
        close(ends[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_and_fields), cmocka_unit_test(text_lines), cmocka_unit_test(json_lines),
        cmocka_unit_test(long_values_are_bounded), cmocka_unit_test(level_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
