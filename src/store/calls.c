#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int (*est_store_test_step)(const char *what);

static bool stopped(const char *what)
{
    int code = est_store_test_step == NULL ? 0 : est_store_test_step(what);
    if (code != 0)
        errno = code;
    return code != 0;
}

int est_store_openat(int dir, const char *name, int flags, mode_t mode)
{
    return stopped("open") ? -1 : openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
}

int est_store_mkdirat(int dir, const char *name, mode_t mode)
{
    return stopped("mkdir") ? -1 : mkdirat(dir, name, mode);
}

int est_store_rename(int dir, const char *from, const char *to, unsigned flags)
{
    return stopped("rename") ? -1 : renameat2(dir, from, dir, to, flags);
}

int est_store_unlinkat(int dir, const char *name, int flags)
{
    return stopped("unlink") ? -1 : unlinkat(dir, name, flags);
}

int est_store_fsync(int fd)
{
    return stopped("fsync") ? -1 : fsync(fd);
}

int est_store_linkat(int from, int to, const char *name)
{
    return stopped("link") ? -1 : linkat(from, name, to, name, 0);
}

int est_store_fchmod(int fd, mode_t mode)
{
    return stopped("chmod") ? -1 : fchmod(fd, mode);
}

bool est_store_write_all(int fd, const void *bytes, size_t len)
{
    const uint8_t *next = bytes;
    while (len > 0) {
        ssize_t n = stopped("write") ? -1 : write(fd, next, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        next += n;
        len -= (size_t)n;
    }
    return true;
}
