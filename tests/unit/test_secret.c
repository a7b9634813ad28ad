/* Secrets and where they come from (house rule 9, cli.md: SRC). */
#include "support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static estuary_error *err;

static void make(const char *name, const void *bytes, size_t len, mode_t mode)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void assert_reads(const char *source, const char *value)
{
    estuary_secret *secret = NULL;
    size_t len = 0;
    assert_ok(estuary_secret_read(source, NULL, &secret, err), err);
    assert_string_equal(estuary_secret_get0(secret, &len), value);
    assert_int_equal(len, strlen(value));
    estuary_secret_free(secret);
}

static void assert_refuses(const char *source, const char *code)
{
    estuary_secret *secret = (estuary_secret *)&secret;
    assert_failed(estuary_secret_read(source, NULL, &secret, err), err, code);
    assert_null(secret);
}

static void literals_are_refused_and_not_repeated(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "hunter2", "", "pass:hunter2", "ENV:hunter2", "prompthunter2", "prompt:hunter2", "/hunter2", "env"};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_refuses(rows[i], "usage.secret-literal");
        assert_null(strstr(estuary_error_message(err), "hunter2"));
        assert_string_equal(estuary_error_detail(err), "");
    }
    assert_refuses(NULL, "usage.secret-literal");
}

static void from_the_environment(void **state)
{
    (void)state;
    assert_int_equal(setenv("ESTUARY_TEST_SECRET", "s3cret with blanks ", 1), 0);
    assert_reads("env:ESTUARY_TEST_SECRET", "s3cret with blanks ");
    assert_int_equal(unsetenv("ESTUARY_TEST_SECRET"), 0);
    assert_refuses("env:ESTUARY_TEST_SECRET", "config.secret-missing");
    char *large = est_alloc(ESTUARY_SECRET_MAX + 2);
    memset(large, 'z', ESTUARY_SECRET_MAX + 1);
    assert_int_equal(setenv("ESTUARY_TEST_SECRET", large, 1), 0);
    assert_refuses("env:ESTUARY_TEST_SECRET", "config.secret-file");
    assert_null(strstr(estuary_error_message(err), "zz"));
    large[ESTUARY_SECRET_MAX] = '\0';
    assert_int_equal(setenv("ESTUARY_TEST_SECRET", large, 1), 0);
    assert_reads("env:ESTUARY_TEST_SECRET", large);
    est_free(large);
}

static void from_a_file(void **state)
{
    (void)state;
    char source[160];
    static const struct {
        const char *name, *text;
        mode_t mode;
        const char *value, *code;
    } rows[] = {
        {"one", "s3cret\n", 0600, "s3cret", NULL},
        {"dos", "s3cret\r\nmore", 0600, "s3cret", NULL},
        {"bare", "s3cret", 0400, "s3cret", NULL},
        {"two", "first\nsecond\n", 0600, "first", NULL},
        {"blank", " s3 cret \n", 0600, " s3 cret ", NULL},
        {"void", "", 0600, "", NULL},
        {"group", "s3cret\n", 0640, NULL, "config.secret-permissions"},
        {"world", "s3cret\n", 0604, NULL, "config.secret-permissions"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        make(rows[i].name, rows[i].text, strlen(rows[i].text), rows[i].mode);
        snprintf(source, sizeof(source), "file:%s/%s", folder, rows[i].name);
        if (rows[i].code == NULL)
            assert_reads(source, rows[i].value);
        else
            assert_refuses(source, rows[i].code);
        assert_null(strstr(estuary_error_message(err), "s3cret"));
    }
    snprintf(source, sizeof(source), "file:%s/nothing", folder);
    assert_refuses(source, "config.secret-file");
    snprintf(source, sizeof(source), "file:%s", folder);
    assert_refuses(source, "config.secret-file");
    snprintf(source, sizeof(source), "%s/fifo", folder);
    assert_int_equal(mkfifo(source, 0600), 0);
    snprintf(source, sizeof(source), "file:%s/fifo", folder);
    assert_refuses(source, "config.secret-file");
    char large[ESTUARY_SECRET_MAX + 1];
    memset(large, 'z', sizeof(large));
    make("large", large, sizeof(large), 0600);
    snprintf(source, sizeof(source), "file:%s/large", folder);
    assert_refuses(source, "config.secret-file");
}

static void from_a_descriptor(void **state)
{
    (void)state;
    char source[32], rest[8] = "";
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "s3cret\nrest", 11), 11);
    snprintf(source, sizeof(source), "fd:%d", ends[0]);
    assert_reads(source, "s3cret");
    assert_int_equal(read(ends[0], rest, 4), 4); /* what follows the line is somebody else's */
    assert_string_equal(rest, "rest");
    assert_int_equal(write(ends[1], "no end", 6), 6);
    close(ends[1]);
    assert_reads(source, "no end");
    close(ends[0]);
    assert_refuses(source, "config.secret-missing");
    static const char *const bad[] = {
        "fd:", "fd:x", "fd:-1", "fd:1x", "fd: 1", "fd:99999999999999999999", "fd:4294967296", "fd:+0"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_refuses(bad[i], "usage.secret-literal");
}

static void a_long_line_on_a_descriptor(void **state)
{
    (void)state;
    char source[32], line[ESTUARY_SECRET_MAX + 1];
    int ends[2];
    memset(line, 'z', sizeof(line));
    for (size_t extra = 0; extra < 2; extra++) {
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(write(ends[1], line, ESTUARY_SECRET_MAX + extra),
                         ESTUARY_SECRET_MAX + (ssize_t)extra);
        close(ends[1]);
        snprintf(source, sizeof(source), "fd:%d", ends[0]);
        if (extra == 1) {
            assert_refuses(source, "config.secret-file");
        } else {
            estuary_secret *secret = NULL;
            size_t len = 0;
            assert_ok(estuary_secret_read(source, NULL, &secret, err), err);
            (void)estuary_secret_get0(secret, &len);
            assert_int_equal(len, ESTUARY_SECRET_MAX);
            estuary_secret_free(secret);
        }
        close(ends[0]);
    }
}

static void from_a_systemd_credential(void **state)
{
    (void)state;
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    assert_refuses("credential:pin", "config.secret-missing");
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", folder, 1), 0);
    make("pin", "123456\n", 7, 0400);
    assert_reads("credential:pin", "123456");
    assert_refuses("credential:absent", "config.secret-file");
    static const char *const bad[] = {"credential:",  "credential:../pin", "credential:a/b",
                                      "credential:.", "credential:..",     "credential:/etc/passwd"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_refuses(bad[i], "usage.secret-literal");
}

static void value_and_equality(void **state)
{
    (void)state;
    estuary_secret *a = NULL, *b = NULL, *c = NULL, *none = NULL;
    size_t len = 9;
    assert_ok(estuary_secret_new("ab\0c", 4, &a, err), err);
    assert_ok(estuary_secret_new("ab\0c", 4, &b, err), err);
    assert_ok(estuary_secret_new("ab\0d", 4, &c, err), err);
    assert_ok(estuary_secret_new(NULL, 0, &none, err), err);
    assert_true(estuary_secret_equal(a, b));
    assert_true(estuary_secret_equal(a, a));
    assert_false(estuary_secret_equal(a, c));
    assert_false(estuary_secret_equal(a, none));
    assert_false(estuary_secret_equal(NULL, NULL));
    assert_false(estuary_secret_equal(a, NULL));
    assert_memory_equal(estuary_secret_get0(a, &len), "ab\0c", 5);
    assert_int_equal(len, 4);
    assert_string_equal(estuary_secret_get0(NULL, &len), "");
    assert_int_equal(len, 0);
    assert_ptr_equal(estuary_secret_up_ref(a), a);
    estuary_secret_free(a);
    assert_true(estuary_secret_equal(a, b)); /* still there */
    estuary_secret_free(a);
    estuary_secret_free(b);
    estuary_secret_free(c);
    estuary_secret_free(none);
    estuary_secret_free(NULL);
    assert_null(estuary_secret_up_ref(NULL));
    char large[ESTUARY_SECRET_MAX + 1] = "";
    assert_failed(estuary_secret_new(large, sizeof(large), &a, err), err, "config.secret-file");
    assert_null(a);
}

static int set_up(void **state)
{
    (void)state;
    err = estuary_error_new();
    snprintf(folder, sizeof(folder), "/tmp/estuary-secret-XXXXXX");
    return err == NULL || mkdtemp(folder) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {"one",   "dos",   "bare",  "two",  "blank", "void",
                                        "group", "world", "large", "fifo", "pin"};
    estuary_error_free(err);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_are_refused_and_not_repeated),
        cmocka_unit_test(from_the_environment),
        cmocka_unit_test(from_a_file),
        cmocka_unit_test(from_a_descriptor),
        cmocka_unit_test(a_long_line_on_a_descriptor),
        cmocka_unit_test(from_a_systemd_credential),
        cmocka_unit_test(value_and_equality),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
