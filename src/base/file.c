#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

void est_free_secret(void *memory, size_t len)
{
    OPENSSL_clear_free(memory, len);
}

bool est_fd_write_all(int fd, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    while (len > 0) {
        ssize_t put = write(fd, at, len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        at += put;
        len -= (size_t)put;
    }
    return true;
}

bool est_fd_is_ours(int fd, mode_t forbidden, off_t max, off_t *size)
{
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || (info.st_mode & forbidden) != 0 ||
        (info.st_uid != geteuid() && info.st_uid != 0) || info.st_size > max)
        return false;
    *size = info.st_size;
    return true;
}

static est_file_result check(int fd, size_t max, est_file_flags flags, size_t *size)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return EST_FILE_ERROR;
    if (!S_ISREG(info.st_mode))
        return EST_FILE_NOT_REGULAR;
    mode_t closed = flags == EST_FILE_PRIVATE ? S_IRWXG | S_IRWXO : S_IWGRP | S_IRWXO;
    if (flags != EST_FILE_PUBLIC &&
        ((info.st_uid != geteuid() && info.st_uid != 0) || (info.st_mode & closed) != 0))
        return EST_FILE_UNSAFE;
    if (info.st_size < 0 || (uintmax_t)info.st_size > max)
        return EST_FILE_TOO_LARGE;
    *size = (size_t)info.st_size;
    return EST_FILE_OK;
}

static est_file_result read_all(int fd, size_t size, uint8_t **out, size_t *len)
{
    uint8_t *bytes = est_alloc(size + 1);
    if (bytes == NULL)
        return EST_FILE_NO_MEMORY;
    size_t used = 0;
    while (used < size) {
        ssize_t got = read(fd, bytes + used, size - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            est_free_secret(bytes, size);
            return EST_FILE_ERROR;
        }
        if (got == 0)
            break;
        used += (size_t)got;
    }
    *out = bytes;
    *len = used;
    return EST_FILE_OK;
}

est_file_result est_file_read(const char *path, size_t max, est_file_flags flags, uint8_t **out, size_t *len)
{
    *out = NULL;
    *len = 0;
    /* O_NONBLOCK: opening a FIFO must not wait for a writer before it is refused */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? EST_FILE_MISSING : EST_FILE_ERROR;
    size_t size = 0;
    est_file_result result = check(fd, max, flags, &size);
    if (result == EST_FILE_OK)
        result = read_all(fd, size, out, len);
    int saved = errno;
    close(fd);
    errno = saved;
    return result;
}

estuary_status est_file_fail(estuary_error *err, est_file_result result, est_code code, const char *what,
                             const char *path)
{
    char name[256];
    size_t len = 0;
    while (path[len] != '\0')
        len++;
    est_text_sanitise(path, len, name, sizeof(name));
    switch (result) {
    case EST_FILE_MISSING:
        return est_fail(err, code, "%s %s does not exist", what, name);
    case EST_FILE_NOT_REGULAR:
        return est_fail(err, code, "%s %s is not a regular file", what, name);
    case EST_FILE_TOO_LARGE:
        return est_fail(err, code, "%s %s is larger than it may be", what, name);
    case EST_FILE_UNSAFE:
        return est_fail(err, code, "%s %s must belong to us and be closed to group and others", what, name);
    case EST_FILE_NO_MEMORY:
        return est_fail_memory(err);
    case EST_FILE_ERROR:
    case EST_FILE_OK:
        break;
    }
    return est_fail_errno(err, code, "%s %s cannot be read", what, name);
}
