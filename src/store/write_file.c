#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static estuary_status refuse_other(int parent, const char *name, estuary_error *err)
{
    struct stat info;
    if (fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? ESTUARY_OK : est_fail_errno(err, EST_IO, "%s cannot be looked at", name);
    if (!S_ISREG(info.st_mode))
        return est_fail(err, EST_IO_NOT_REGULAR, "%s is not a regular file, so it is not replaced", name);
    return ESTUARY_OK;
}

/* In a folder of its own, so that no name can be in the way; renamed out of it. */
static estuary_status write_beside(int parent, const char *name, const est_store_file *file,
                                   estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    char folder[EST_STORE_NAME_SIZE] = "";
    int fd = est_store_make_folder(parent, name, folder);
    if (fd < 0)
        return est_fail_errno(err, EST_IO, "%s cannot be written", name);
    if (!est_store_write_file(fd, file))
        EST_FAIL_ERRNO(EST_IO, "%s cannot be written", name);
    if (renameat(fd, file->name, parent, name) != 0 || est_store_fsync(parent) != 0)
        EST_FAIL_ERRNO(EST_IO, "%s cannot be put in its place", name);
cleanup:
    (void)est_store_unlinkat(fd, file->name, 0);
    close(fd);
    (void)est_store_unlinkat(parent, folder, AT_REMOVEDIR);
    return status;
}

estuary_status estuary_store_write_file(const char *path, const void *bytes, size_t len, estuary_error *err)
{
    static const char *const temporary[] = {"file", NULL};
    estuary_status status = ESTUARY_OK;
    const est_store_file file = {"file", bytes, len, 0644, NULL};
    char *folder = NULL, *name = NULL;
    int parent = -1;
    if (bytes == NULL && len > 0)
        EST_FAIL(EST_USAGE, "there are no bytes to write");
    EST_TRY(est_store_split(path, &folder, &name, err));
    parent = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        EST_FAIL_ERRNO(EST_IO, "the folder of %s cannot be opened", name);
    EST_TRY(refuse_other(parent, name, err));
    const est_store_prefix left[] = {{name, temporary}, {NULL, NULL}};
    est_store_remove_leftovers(parent, left);
    EST_TRY(write_beside(parent, name, &file, err));
cleanup:
    if (parent >= 0)
        close(parent);
    est_free(folder);
    est_free(name);
    return status;
}
