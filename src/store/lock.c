#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#define TRIES 16

/* Its holder removes the file: is the one we locked still the one that stands there? */
static bool still_there(int parent, const char *lock_name, const struct stat *locked)
{
    struct stat now;
    return fstatat(parent, lock_name, &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_dev == locked->st_dev &&
           now.st_ino == locked->st_ino;
}

estuary_status est_store_lock(int parent, const char *lock_name, int *out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    int fd = -1;
    *out = -1;
    for (int i = 0; i < TRIES; i++) {
        struct stat info;
        fd = est_store_openat(parent, lock_name, O_RDWR | O_CREAT | O_NONBLOCK | O_NOCTTY, 0600);
        if (fd < 0 || fstat(fd, &info) != 0)
            EST_FAIL_ERRNO(EST_CONFIG_STORE_UNSAFE, "the lock file %s cannot be opened", lock_name);
        if (!S_ISREG(info.st_mode) || !est_store_is_ours(&info, S_IWGRP | S_IWOTH))
            EST_FAIL(EST_CONFIG_STORE_UNSAFE, "the lock file %s is not a file of ours", lock_name);
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            if (errno == EWOULDBLOCK)
                EST_FAIL(EST_CONFIG_STORE_BUSY, NULL);
            EST_FAIL_ERRNO(EST_CONFIG_STORE_UNSAFE, "the lock file %s cannot be locked", lock_name);
        }
        if (still_there(parent, lock_name, &info)) {
            *out = fd;
            return ESTUARY_OK;
        }
        close(fd);
        fd = -1;
    }
    status = est_fail(err, EST_CONFIG_STORE_BUSY, NULL);
cleanup:
    if (fd >= 0)
        close(fd);
    return status;
}

void est_store_unlock(int parent, const char *lock_name, int fd)
{
    if (fd < 0)
        return;
    (void)est_store_unlinkat(parent, lock_name, 0); /* while it is held, see still_there() */
    close(fd);
}
