#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define SUFFIX       ".new-"
#define RANDOM_CHARS 6
#define TRIES        16

const char *const est_store_generation_names[] = {"cert.pem", "chain.pem", "fullchain.pem",
                                                  "key.pem",  "key.uri",   NULL};
const char *const est_store_pending_names[] = {"state.json", "key.pem", "key.uri", "committed.sha256", NULL};

bool est_store_is_ours(const struct stat *info, mode_t forbidden)
{
    return (info->st_uid == geteuid() || info->st_uid == 0) && (info->st_mode & forbidden) == 0;
}

bool est_store_random_name(const char *prefix, char name[EST_STORE_NAME_SIZE])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEF"; /* 32: no bias */
    uint8_t bytes[RANDOM_CHARS];
    char tail[RANDOM_CHARS + 1] = "";
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return false;
    for (size_t i = 0; i < RANDOM_CHARS; i++)
        tail[i] = letters[bytes[i] % 32];
    int len = snprintf(name, EST_STORE_NAME_SIZE, "%s" SUFFIX "%s", prefix, tail);
    if (len >= EST_STORE_NAME_SIZE)
        errno = ENAMETOOLONG;
    return len > 0 && len < EST_STORE_NAME_SIZE;
}

int est_store_make_folder(int parent, const char *prefix, char name[EST_STORE_NAME_SIZE])
{
    for (int i = 0; i < TRIES; i++) {
        if (!est_store_random_name(prefix, name))
            return -1;
        if (est_store_mkdirat(parent, name, 0700) == 0) {
            int fd = est_store_openat(parent, name, O_RDONLY | O_DIRECTORY, 0);
            int saved = errno;
            if (fd < 0)
                (void)est_store_unlinkat(parent, name, AT_REMOVEDIR);
            errno = saved;
            return fd;
        }
        if (errno != EEXIST)
            return -1;
    }
    return -1;
}

/* Created and written, not yet on disk: -1 with errno. */
static int create_file(int dir, const est_store_file *file)
{
    int fd = est_store_openat(dir, file->name, O_WRONLY | O_CREAT | O_EXCL, file->mode & 0600);
    if (fd < 0)
        return -1;
    /* fchmod: the umask must not decide who can read a certificate */
    if (est_store_write_all(fd, file->bytes, file->len) && est_store_fchmod(fd, file->mode) == 0) {
        /* a hint: with every file on its way, the fsyncs that follow share one journal commit */
        (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
        return fd;
    }
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* A second name for a file that is on disk costs less than a second file, and no fsync. */
static bool is_linked(int dir, const est_store_file *file)
{
    return file->twin != NULL && est_store_linkat(*file->twin, dir, file->name) == 0;
}

bool est_store_write_files(int dir, const est_store_file *files, est_store_written *written,
                           const char **failed)
{
    for (written->count = 0; written->count < EST_STORE_FILES_MAX; written->count++) {
        const est_store_file *file = &files[written->count];
        int *fd = &written->fds[written->count];
        if (file->name == NULL)
            return true;
        *fd = -1;
        if (is_linked(dir, file)) /* where links cannot be made, it is written */
            continue;
        *failed = file->name;
        *fd = create_file(dir, file);
        if (*fd < 0)
            return false;
    }
    return true;
}

bool est_store_sync_files(const est_store_written *written, bool wanted, const est_store_file *files,
                          const char **failed)
{
    bool done = true;
    int saved = errno;
    for (size_t i = 0; i < written->count; i++) {
        int fd = written->fds[i];
        bool synced = fd < 0 || !wanted || !done || est_store_fsync(fd) == 0;
        bool closed = fd < 0 || close(fd) == 0;
        if (done && (!synced || !closed)) {
            saved = errno;
            *failed = files[i].name;
            done = false;
        }
    }
    errno = saved;
    return done;
}

bool est_store_write_unsynced(int dir, const est_store_file *file)
{
    int fd = create_file(dir, file);
    return fd >= 0 && close(fd) == 0;
}

bool est_store_write_file(int dir, const est_store_file *file)
{
    const est_store_file one[] = {*file, {0}};
    est_store_written written;
    const char *failed = NULL;
    bool created = est_store_write_files(dir, one, &written, &failed);
    return est_store_sync_files(&written, created, one, &failed) && created;
}

static bool in_list(const char *name, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (strcmp(name, *names) == 0)
            return true;
    }
    return false;
}

/* fdopendir() takes the descriptor over, so it gets one of its own. */
static DIR *list(int dir)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    DIR *entries = fdopendir(fd);
    if (entries == NULL)
        close(fd);
    return entries;
}

static bool is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

bool est_store_only_ours(int dir, const char *const *names, char foreign[EST_STORE_NAME_SIZE])
{
    foreign[0] = '\0';
    DIR *entries = list(dir);
    if (entries == NULL)
        return false;
    bool ours = true;
    const struct dirent *entry;
    errno = 0;
    while (ours && (entry = readdir(entries)) != NULL) {
        struct stat info;
        if (is_dot(entry->d_name))
            continue;
        ours = in_list(entry->d_name, names) &&
               fstatat(dir, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode);
        if (!ours)
            est_text_sanitise(entry->d_name, strlen(entry->d_name), foreign, EST_STORE_NAME_SIZE);
        errno = 0;
    }
    if (ours && errno != 0)
        ours = false;
    closedir(entries);
    return ours;
}

bool est_store_remove_folder(int parent, const char *name, const char *const *names)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT;
    bool done = true;
    for (size_t i = 0; done && names[i] != NULL; i++) {
        if (est_store_unlinkat(fd, names[i], 0) != 0 && errno != ENOENT)
            done = false;
    }
    close(fd);
    return done && est_store_unlinkat(parent, name, AT_REMOVEDIR) == 0;
}

static bool is_leftover(const char *name, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(name, prefix, len) == 0 && strncmp(name + len, SUFFIX, strlen(SUFFIX)) == 0 &&
           strlen(name + len + strlen(SUFFIX)) == RANDOM_CHARS;
}

/* The name alone does not say that we made it, so that its files are looked at first. */
static void remove_leftover(int parent, const char *name, const char *const *names)
{
    char foreign[EST_STORE_NAME_SIZE];
    struct stat info;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    bool ours = fstat(fd, &info) == 0 && info.st_uid == geteuid() && est_store_only_ours(fd, names, foreign);
    close(fd);
    if (ours)
        (void)est_store_remove_folder(parent, name, names);
}

void est_store_remove_leftovers(int parent, const est_store_prefix *prefixes)
{
    DIR *entries = list(parent);
    if (entries == NULL)
        return;
    const struct dirent *entry;
    while ((entry = readdir(entries)) != NULL) {
        for (const est_store_prefix *p = prefixes; p->prefix != NULL; p++) {
            if (is_leftover(entry->d_name, p->prefix))
                remove_leftover(parent, entry->d_name, p->names);
        }
    }
    closedir(entries);
}

static est_file_result read_descriptor(int fd, size_t max, uint8_t **out, size_t *len)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return EST_FILE_ERROR;
    if (!S_ISREG(info.st_mode))
        return EST_FILE_NOT_REGULAR;
    if (!est_store_is_ours(&info, S_IWGRP | S_IWOTH))
        return EST_FILE_UNSAFE;
    if (info.st_size < 0 || (uintmax_t)info.st_size > max)
        return EST_FILE_TOO_LARGE;
    size_t size = (size_t)info.st_size;
    uint8_t *bytes = est_alloc(size + 1);
    if (bytes == NULL)
        return EST_FILE_NO_MEMORY;
    size_t used = 0;
    ssize_t got = 1;
    while (used < size && got > 0) {
        got = read(fd, bytes + used, size - used);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            used += (size_t)got;
    }
    if (got < 0) {
        est_free_secret(bytes, size + 1);
        return EST_FILE_ERROR;
    }
    *out = bytes;
    *len = used;
    return EST_FILE_OK;
}

est_file_result est_store_read(int dir, const char *name, size_t max, uint8_t **out, size_t *len)
{
    *out = NULL;
    *len = 0;
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno == ENOENT ? EST_FILE_MISSING : EST_FILE_ERROR;
    est_file_result result = read_descriptor(fd, max, out, len);
    int saved = errno;
    close(fd);
    errno = saved;
    return result;
}
