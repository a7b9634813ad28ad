#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* The folder in place now: its mode and group go over to the new one. */
static estuary_status look(int parent, const char *name, const char *const *kept, bool *present,
                           struct stat *info, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    char foreign[EST_STORE_NAME_SIZE];
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    *present = fd >= 0;
    if (fd < 0 && errno == ENOENT)
        return ESTUARY_OK;
    if (fd < 0 || fstat(fd, info) != 0)
        EST_FAIL_ERRNO(EST_CONFIG_STORE_UNSAFE, "the output folder %s is not a folder we can use", name);
    /* again, because time has passed since the store was opened */
    if (!est_store_only_ours(fd, kept, foreign) && foreign[0] == '\0')
        EST_FAIL_ERRNO(EST_CONFIG_STORE_UNSAFE, "the folder %s cannot be read", name);
    if (foreign[0] != '\0')
        EST_FAIL(EST_CONFIG_STORE_FOREIGN, "the output folder %s holds %s, which is not ours", name, foreign);
cleanup:
    if (fd >= 0)
        close(fd);
    return status;
}

static estuary_status fill(int fd, const est_store_file *files, estuary_error *err)
{
    const char *failed = "";
    if (!est_store_write_files(fd, files, &failed))
        return est_fail_errno(err, EST_IO, "%s cannot be written", failed);
    return ESTUARY_OK;
}

static bool finish(int fd, bool present, const struct stat *old, mode_t mode)
{
    if (present && old->st_gid != getegid() && fchown(fd, (uid_t)-1, old->st_gid) != 0)
        return false;
    return est_store_fchmod(fd, present ? old->st_mode & 07777 : mode) == 0 && est_store_fsync(fd) == 0;
}

estuary_status est_generation_replace(int parent, const char *name, const est_store_file *files, mode_t mode,
                                      const char *const *kept, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    char fresh[EST_STORE_NAME_SIZE] = "";
    struct stat old = {0};
    bool present = false;
    int fd = -1;
    EST_TRY(look(parent, name, kept, &present, &old, err));
    fd = est_store_make_folder(parent, name, fresh);
    if (fd < 0) {
        fresh[0] = '\0';
        EST_FAIL_ERRNO(EST_IO, "a new folder beside %s cannot be made", name);
    }
    EST_TRY(fill(fd, files, err));
    if (!finish(fd, present, &old, mode))
        EST_FAIL_ERRNO(EST_IO, "the new folder beside %s cannot be finished", name);
    if (est_store_rename(parent, fresh, name, present ? RENAME_EXCHANGE : RENAME_NOREPLACE) != 0)
        EST_FAIL_ERRNO(EST_IO, "the new folder cannot be put in the place of %s", name);
    if (est_store_fsync(parent) != 0)
        EST_FAIL_ERRNO(EST_IO, "the folder of %s cannot be brought to disk", name);
cleanup:
    if (fd >= 0)
        close(fd);
    /* the old generation, or a new one that did not get in; what stays is removed by the next open */
    if (fresh[0] != '\0')
        (void)est_store_remove_folder(parent, fresh, kept);
    return status;
}

estuary_status est_generation_probe(int parent, const char *name, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    char a[EST_STORE_NAME_SIZE] = "", b[EST_STORE_NAME_SIZE] = "";
    int fd_a = est_store_make_folder(parent, name, a);
    if (fd_a < 0)
        EST_FAIL_ERRNO(EST_CONFIG_STORE_UNSAFE, "no folder can be made beside %s", name);
    int fd_b = est_store_make_folder(parent, name, b);
    if (fd_b < 0)
        EST_FAIL_ERRNO(EST_CONFIG_STORE_UNSAFE, "no folder can be made beside %s", name);
    close(fd_b);
    if (est_store_rename(parent, a, b, RENAME_EXCHANGE) != 0)
        EST_FAIL_ERRNO(EST_CONFIG_STORE_EXCHANGE, "%s", est_code_sentence(EST_CONFIG_STORE_EXCHANGE));
cleanup:
    if (fd_a >= 0) {
        close(fd_a);
        (void)est_store_unlinkat(parent, a, AT_REMOVEDIR);
    }
    if (b[0] != '\0')
        (void)est_store_unlinkat(parent, b, AT_REMOVEDIR);
    return status;
}
