/* Reading files: checks on the opened descriptor (K1, house rule 10). */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static void path_of(char out[128], const char *name)
{
    snprintf(out, 128, "%s/%s", folder, name);
}

static void make(const char *name, const char *text, mode_t mode)
{
    char path[128];
    path_of(path, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static est_file_result read_it(const char *name, size_t max, est_file_flags flags, char out[64])
{
    char path[128];
    uint8_t *bytes = NULL;
    size_t len = 99;
    path_of(path, name);
    est_file_result result = est_file_read(path, max, flags, &bytes, &len);
    if (result == EST_FILE_OK) {
        assert_int_equal(bytes[len], 0);
        memcpy(out, bytes, len + 1);
    } else {
        assert_null(bytes);
        assert_int_equal(len, 0);
    }
    est_free_secret(bytes, len);
    return result;
}

static void results(void **state)
{
    (void)state;
    char out[64], path[128];
    make("plain", "hello", 0644);
    make("empty", "", 0600);
    make("private", "secret", 0600);
    make("group", "secret", 0640);
    make("world", "secret", 0604);
    make("execute", "secret", 0601);
    assert_int_equal(read_it("plain", 5, EST_FILE_PUBLIC, out), EST_FILE_OK);
    assert_string_equal(out, "hello");
    assert_int_equal(read_it("plain", 4, EST_FILE_PUBLIC, out), EST_FILE_TOO_LARGE);
    assert_int_equal(read_it("plain", 5, EST_FILE_PRIVATE, out), EST_FILE_UNSAFE);
    assert_int_equal(read_it("empty", 0, EST_FILE_PRIVATE, out), EST_FILE_OK);
    assert_string_equal(out, "");
    assert_int_equal(read_it("private", 64, EST_FILE_PRIVATE, out), EST_FILE_OK);
    assert_int_equal(read_it("group", 64, EST_FILE_PRIVATE, out), EST_FILE_UNSAFE);
    assert_int_equal(read_it("world", 64, EST_FILE_PRIVATE, out), EST_FILE_UNSAFE);
    assert_int_equal(read_it("execute", 64, EST_FILE_PRIVATE, out), EST_FILE_UNSAFE);
    assert_int_equal(read_it("nothing", 64, EST_FILE_PUBLIC, out), EST_FILE_MISSING);
    assert_int_equal(read_it(".", 64, EST_FILE_PUBLIC, out), EST_FILE_NOT_REGULAR);
    path_of(path, "fifo");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(read_it("fifo", 64, EST_FILE_PRIVATE, out),
                     EST_FILE_NOT_REGULAR); /* and does not hang */
    assert_int_equal(read_it("plain/x", 64, EST_FILE_PUBLIC, out), EST_FILE_ERROR);
    assert_int_equal(errno, ENOTDIR);
}

static void a_foreign_owner_is_unsafe(void **state)
{
    (void)state;
    char out[64], path[128];
    if (geteuid() != 0)
        skip(); /* only root can give files away */
    make("foreign", "secret", 0600);
    path_of(path, "foreign");
    assert_int_equal(chown(path, 1234, 1234), 0);
    assert_int_equal(read_it("foreign", 64, EST_FILE_PRIVATE, out), EST_FILE_UNSAFE);
    assert_int_equal(read_it("foreign", 64, EST_FILE_PUBLIC, out), EST_FILE_OK);
}

static void errors(void **state)
{
    (void)state;
    static const struct {
        est_file_result result;
        const char *message;
    } rows[] = {
        {EST_FILE_MISSING, "the key file a?b does not exist"},
        {EST_FILE_NOT_REGULAR, "the key file a?b is not a regular file"},
        {EST_FILE_TOO_LARGE, "the key file a?b is larger than it may be"},
        {EST_FILE_UNSAFE, "the key file a?b must belong to us and be closed to group and others"},
        {EST_FILE_ERROR, "the key file a?b cannot be read: Permission denied"},
        {EST_FILE_NO_MEMORY, "out of memory"},
    };
    estuary_error *err = estuary_error_new();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        errno = EACCES;
        estuary_status status = est_file_fail(err, rows[i].result, EST_KEY_FILE, "the key file",
                                              "a\x1b"
                                              "b");
        assert_string_equal(estuary_error_message(err), rows[i].message);
        assert_int_equal(status, rows[i].result == EST_FILE_NO_MEMORY ? ESTUARY_E_MEMORY : ESTUARY_E_KEY);
    }
    estuary_error_free(err);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/estuary-file-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {"plain", "empty",   "private", "group",
                                        "world", "execute", "fifo",    "foreign"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char path[128];
        path_of(path, names[i]);
        (void)unlink(path);
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(results), cmocka_unit_test(a_foreign_owner_is_unsafe),
                                       cmocka_unit_test(errors)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
