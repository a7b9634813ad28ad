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

static bool set_access(int fd, bool present, const struct stat *old, mode_t mode)
{
    if (present && old->st_gid != getegid() && fchown(fd, (uid_t)-1, old->st_gid) != 0)
        return false;
    return est_store_fchmod(fd, present ? old->st_mode & 07777 : mode) == 0;
}

/* Everything is changed before the first fsync, so that one journal commit brings it all to disk. */
static estuary_status fill(const est_generation *to, int fd, const est_store_file *files, bool present,
                           const struct stat *old, estuary_error *err)
{
    est_store_written written;
    const char *failed = "";
    bool created = est_store_write_files(fd, files, &written, &failed);
    bool accessible = created && set_access(fd, present, old, to->mode);
    bool synced = est_store_sync_files(&written, accessible, files, &failed);
    if (!created || (accessible && !synced))
        return est_fail_errno(err, EST_IO, "%s cannot be written", failed);
    if (!accessible || est_store_fsync(fd) != 0)
        return est_fail_errno(err, EST_IO, "the new folder beside %s cannot be finished", to->name);
    return ESTUARY_OK;
}

/* Until the rename everything is beside the old folder; its name comes last, and after all it holds. */
static estuary_status put_in_place(const est_generation *to, int fd, const est_store_file *files,
                                   estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    struct stat old = {0};
    bool present = false;
    EST_TRY(look(to->parent, to->name, to->kept, &present, &old, err));
    EST_TRY(fill(to, fd, files, present, &old, err));
    if (est_store_rename(to->parent, to->fresh, to->name, present ? RENAME_EXCHANGE : RENAME_NOREPLACE) != 0)
        EST_FAIL_ERRNO(EST_IO, "the new folder cannot be put in the place of %s", to->name);
    if (!present)
        to->fresh[0] = '\0';
    if (to->outlasts_power && est_store_fsync(to->parent) != 0)
        EST_FAIL_ERRNO(EST_IO, "the folder of %s cannot be brought to disk", to->name);
cleanup:
    return status;
}

estuary_status est_generation_replace(const est_generation *to, const est_store_file *files,
                                      estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    int fd = to->fresh[0] == '\0' ? est_store_make_folder(to->parent, to->name, to->fresh)
                                  : est_store_openat(to->parent, to->fresh, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) {
        to->fresh[0] = '\0';
        return est_fail_errno(err, EST_IO, "a new folder beside %s cannot be made", to->name);
    }
    status = put_in_place(to, fd, files, err);
    close(fd);
    /* the old generation, or a new one that did not get in; what stays is removed by the next open */
    if (to->fresh[0] != '\0')
        (void)est_store_remove_folder(to->parent, to->fresh, to->kept);
    to->fresh[0] = '\0';
    return status;
}

static estuary_status make_empty(int parent, const char *name, char fresh[EST_STORE_NAME_SIZE],
                                 estuary_error *err)
{
    int fd = est_store_make_folder(parent, name, fresh);
    if (fd >= 0) {
        close(fd);
        return ESTUARY_OK;
    }
    fresh[0] = '\0';
    return est_fail_errno(err, EST_CONFIG_STORE_UNSAFE, "no folder can be made beside %s", name);
}

estuary_status est_generation_prepare(int parent, const char *name, char fresh[EST_STORE_NAME_SIZE],
                                      const char *pending, char fresh_pending[EST_STORE_NAME_SIZE],
                                      estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    EST_TRY(make_empty(parent, name, fresh, err));
    EST_TRY(make_empty(parent, pending, fresh_pending, err));
    if (est_store_rename(parent, fresh, fresh_pending, RENAME_EXCHANGE) != 0)
        EST_FAIL_ERRNO(EST_CONFIG_STORE_EXCHANGE, "%s", est_code_sentence(EST_CONFIG_STORE_EXCHANGE));
cleanup:
    return status;
}
