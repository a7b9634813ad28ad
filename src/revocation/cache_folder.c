/*
 * The folder of the caches. What others could write to would be read as evidence, and fill their disk: it is
 * looked at once it is open, and so is the folder above, whose owner could put another in its place.
 */
#include "revocation/checker.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The folder above: "." for a relative name alone. *name is lent, inside of path. */
static char *parent_of(char *path, const char **name)
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        path[--len] = '\0'; /* behind a slash O_NOFOLLOW would follow */
    char *slash = strrchr(path, '/');
    *name = slash == NULL ? path : slash + 1;
    if (slash == NULL)
        return est_strdup(".");
    return slash == path ? est_strdup("/") : est_strndup(path, (size_t)(slash - path));
}

static bool is_owned_by_us(const struct stat *info)
{
    return info->st_uid == geteuid() || info->st_uid == 0;
}

/* Who may write there may only take away what is not his: then what is opened below is looked at anyway. */
static bool is_safe_above(int fd)
{
    struct stat info;
    return fstat(fd, &info) == 0 && is_owned_by_us(&info) &&
           ((info.st_mode & S_IWOTH) == 0 || (info.st_mode & S_ISVTX) != 0);
}

static bool is_safe(int fd)
{
    struct stat info;
    return fstat(fd, &info) == 0 && is_owned_by_us(&info) && (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static estuary_status open_below(int parent, const char *name, const char *path, int *fd, estuary_error *err)
{
    bool made = mkdirat(parent, name, 0700) == 0;
    *fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (*fd < 0 && (errno == ELOOP || errno == ENOTDIR))
        return est_fail(err, EST_CONFIG_CACHE, "the cache folder \"%s\" is a link, or no folder", path);
    if (*fd < 0)
        return est_fail_errno(err, EST_CONFIG_CACHE, "the cache folder \"%s\" cannot be %s", path,
                              made ? "opened" : "made or opened");
    if (is_safe(*fd))
        return ESTUARY_OK;
    (void)close(*fd);
    *fd = -1;
    return est_fail(err, EST_CONFIG_CACHE,
                    "the cache folder \"%s\" is not ours, or its group or others can write to it", path);
}

estuary_status est_cache_folder_open(const char *path, int *fd, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    const char *name = NULL;
    char *copy = est_strdup(path), *above = copy == NULL ? NULL : parent_of(copy, &name);
    int parent = above == NULL ? -1 : open(above, O_PATH | O_DIRECTORY | O_CLOEXEC);
    *fd = -1;
    if (*path == '\0')
        status = est_fail(err, EST_CONFIG_CACHE, "the cache folder has no name");
    else if (above == NULL)
        status = est_fail_memory(err);
    else if (parent < 0)
        status =
            est_fail_errno(err, EST_CONFIG_CACHE, "the cache folder \"%s\" cannot be made or opened", path);
    else if (!is_safe_above(parent))
        status = est_fail(
            err, EST_CONFIG_CACHE,
            "the folder in which the cache folder \"%s\" stands is not ours, or all can write to it", path);
    else
        status = open_below(parent, name[0] == '\0' ? "." : name, path, fd, err);
    if (parent >= 0)
        (void)close(parent);
    est_free(above);
    est_free(copy);
    return status;
}
