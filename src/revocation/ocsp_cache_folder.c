/*
 * The OCSP responses kept in a folder (R2): one file for each certificate, named by the hash that finds it.
 *
 * What a file says about itself is for people to read; the response in it is judged anew each time it is
 * loaded, so that whoever can write here can take evidence away, but not make any. (An old response put back
 * is still fresh by its own dates, or does not count.) Files are ours, closed to others, and no links.
 */
#include "revocation/ocsp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/bn.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC        "estuary-ocsp 1\n"
#define SUFFIX       ".ocsp"
#define TEMPORARY    ".new-ocsp-"
#define LOCK         ".lock-ocsp"
#define HEAD_MAX     1024
#define REVOKED_LINE "revoked\n" /* in the head, for eviction: whoever reads the response judges it */
#define FILE_MAX     (HEAD_MAX + EST_OCSP_BYTES_MAX)
#define NAME_SIZE    96
#define NAME_CHARS   ((size_t)EST_OCSP_KEY_SIZE * 2 + sizeof(SUFFIX) - 1)
#define LEFT_OVER    3600 /* seconds; a temporary file that old is nobody's any more */

/* --- names --- */

static void name_of(const uint8_t *key, char name[NAME_SIZE])
{
    est_hex_write(key, EST_OCSP_KEY_SIZE, name);
    memcpy(name + (size_t)2 * EST_OCSP_KEY_SIZE, SUFFIX, sizeof(SUFFIX));
}

static bool is_entry_name(const char *name)
{
    return strlen(name) == NAME_CHARS && strspn(name, "0123456789abcdef") == (size_t)EST_OCSP_KEY_SIZE * 2 &&
           strcmp(name + (size_t)EST_OCSP_KEY_SIZE * 2, SUFFIX) == 0;
}

static bool is_temporary_name(const char *name)
{
    return strncmp(name, TEMPORARY, sizeof(TEMPORARY) - 1) == 0;
}

void est_ocsp_serial_text(const X509 *certificate, char *out, size_t size)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    char *hex = number == NULL ? NULL : BN_bn2hex(number);
    snprintf(out, size, "%s", hex != NULL ? hex : "");
    OPENSSL_free(hex);
    BN_free(number);
}

/* --- the head --- */

static int write_head(const est_ocsp_entry *entry, char head[HEAD_MAX])
{
    char serial[160], made[EST_TIME_TEXT_SIZE], next[EST_TIME_TEXT_SIZE] = "-", fetched[EST_TIME_TEXT_SIZE];
    est_ocsp_serial_text(entry->certificate, serial, sizeof(serial));
    est_time_format(entry->this_update, made);
    if (entry->next_update != 0)
        est_time_format(entry->next_update, next);
    est_time_format(entry->fetched_at, fetched);
    return snprintf(head, HEAD_MAX,
                    MAGIC "url %.500s\nserial %s\nthis-update %s\nnext-update %s\nfetched %s\n%s\n",
                    entry->url, serial, made, next, fetched,
                    entry->status == ESTUARY_REVOCATION_REVOKED ? REVOKED_LINE : "");
}

/* The next line, without what it must begin with; false when it does not. */
static bool take_line(const char **at, const char *word, char *out, size_t size)
{
    const char *end = strchr(*at, '\n');
    size_t skip = strlen(word);
    if (end == NULL || strncmp(*at, word, skip) != 0)
        return false;
    est_text_sanitise(*at + skip, (size_t)(end - *at) - skip, out, size);
    *at = end + 1;
    return true;
}

static void read_dates(const char *made, const char *next, const char *fetched, est_ocsp_file *out)
{
    if (!est_time_parse(made, &out->this_update))
        out->this_update = 0;
    if (!est_time_parse(next, &out->next_update))
        out->next_update = 0;
    if (!est_time_parse(fetched, &out->fetched_at))
        out->fetched_at = 0;
}

static bool read_head(est_ocsp_file *out, size_t len)
{
    char head[HEAD_MAX + 1], made[EST_TIME_TEXT_SIZE], next[EST_TIME_TEXT_SIZE], fetched[EST_TIME_TEXT_SIZE];
    size_t size = len < HEAD_MAX ? len : HEAD_MAX;
    const char *at = head + sizeof(MAGIC) - 1;
    memcpy(head, out->bytes, size);
    head[size] = '\0';
    if (strncmp(head, MAGIC, sizeof(MAGIC) - 1) != 0 || !take_line(&at, "url ", out->url, sizeof(out->url)) ||
        !take_line(&at, "serial ", out->serial, sizeof(out->serial)) ||
        !take_line(&at, "this-update ", made, sizeof(made)) ||
        !take_line(&at, "next-update ", next, sizeof(next)) ||
        !take_line(&at, "fetched ", fetched, sizeof(fetched)))
        return false;
    out->says_revoked = strncmp(at, REVOKED_LINE, sizeof(REVOKED_LINE) - 1) == 0;
    at += out->says_revoked ? sizeof(REVOKED_LINE) - 1 : 0;
    if (*at != '\n')
        return false;
    read_dates(made, next, fetched, out);
    size = (size_t)(at + 1 - head);
    out->der = out->bytes + size;
    out->len = len - size;
    return true;
}

/* --- reading --- */

static bool read_all(int fd, uint8_t *bytes, size_t size)
{
    size_t used = 0;
    while (used < size) {
        ssize_t got = read(fd, bytes + used, size - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        used += (size_t)got;
    }
    return true;
}

/* *foreign: it is there, but nothing that we have written. */
static bool read_name(int folder, const char *name, est_ocsp_file *out, bool *foreign)
{
    off_t size = 0;
    bool done = false;
    *out = (est_ocsp_file){0};
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
    *foreign = fd < 0 && errno == ELOOP;
    if (fd < 0)
        return false;
    if (!est_fd_is_ours(fd, S_IRWXG | S_IRWXO, FILE_MAX, &size) || size == 0) {
        *foreign = true;
        goto cleanup;
    }
    out->bytes = est_alloc((size_t)size);
    if (out->bytes == NULL || !read_all(fd, out->bytes, (size_t)size))
        goto cleanup;
    done = read_head(out, (size_t)size);
    *foreign = !done;
cleanup:
    close(fd);
    if (!done)
        est_ocsp_file_clear(out);
    return done;
}

bool est_ocsp_folder_read(int folder, const uint8_t key[EST_OCSP_KEY_SIZE], est_ocsp_file *out)
{
    char name[NAME_SIZE];
    bool foreign = false;
    name_of(key, name);
    if (read_name(folder, name, out, &foreign))
        return true;
    if (foreign)
        (void)unlinkat(folder, name, 0);
    return false;
}

void est_ocsp_file_clear(est_ocsp_file *file)
{
    est_free(file->bytes);
    *file = (est_ocsp_file){0};
}

void est_ocsp_folder_remove(int folder, const uint8_t key[EST_OCSP_KEY_SIZE])
{
    char name[NAME_SIZE];
    name_of(key, name);
    (void)unlinkat(folder, name, 0);
}

/* --- the folder as a whole --- */

/* A stream of its own: the descriptor lent to us keeps its place and is not closed. NULL with errno. */
static DIR *open_folder(int folder)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int saved = errno;
    if (dir == NULL && fd >= 0)
        close(fd);
    errno = saved;
    return dir;
}

/* How many entries there are; what a crash left is cleared away. */
static size_t count_entries(int folder)
{
    size_t count = 0;
    struct dirent *one;
    struct stat info;
    DIR *dir = open_folder(folder);
    time_t now = est_now();
    while (dir != NULL && (one = readdir(dir)) != NULL) {
        if (is_entry_name(one->d_name))
            count++;
        else if (is_temporary_name(one->d_name) &&
                 fstatat(folder, one->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
                 info.st_mtim.tv_sec < now - LEFT_OVER)
            (void)unlinkat(folder, one->d_name, 0);
    }
    if (dir != NULL)
        closedir(dir);
    return count;
}

static bool is_older(const struct timespec *one, const struct timespec *other)
{
    return one->tv_sec != other->tv_sec ? one->tv_sec < other->tv_sec : one->tv_nsec < other->tv_nsec;
}

/* An entry that may have to go. */
typedef struct victim {
    char name[NAME_SIZE]; /* "": none */
    struct timespec written;
} victim;

static bool goes_before(const victim *one, const struct timespec *written)
{
    return one->name[0] != '\0' && !is_older(written, &one->written);
}

static void choose(victim *one, const char *name, const struct timespec *written)
{
    if (goes_before(one, written))
        return;
    snprintf(one->name, NAME_SIZE, "%.95s", name);
    one->written = *written;
}

static bool says_revoked(int folder, const char *name)
{
    est_ocsp_file file;
    bool foreign = false, says = read_name(folder, name, &file, &foreign) && file.says_revoked;
    est_ocsp_file_clear(&file);
    return says;
}

/* The entry written longest ago, those that say revoked last (R0); "" when there is none but `spared`. */
static void find_victim(int folder, const char *spared, char out[NAME_SIZE])
{
    victim usual = {0}, revoked = {0};
    struct dirent *one;
    struct stat info;
    DIR *dir = open_folder(folder);
    while (dir != NULL && (one = readdir(dir)) != NULL) {
        if (!is_entry_name(one->d_name) || strcmp(one->d_name, spared) == 0 ||
            fstatat(folder, one->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
            goes_before(&usual, &info.st_mtim))
            continue;
        choose(says_revoked(folder, one->d_name) ? &revoked : &usual, one->d_name, &info.st_mtim);
    }
    if (dir != NULL)
        closedir(dir);
    snprintf(out, NAME_SIZE, "%s", usual.name[0] != '\0' ? usual.name : revoked.name);
}

estuary_status est_ocsp_folder_list(int folder, estuary_cache_fn *fn, void *arg, estuary_error *err)
{
    struct dirent *one;
    DIR *dir = open_folder(folder);
    if (dir == NULL)
        return est_fail_errno(err, EST_IO, "the cache folder cannot be read");
    while ((one = readdir(dir)) != NULL) {
        est_ocsp_file file;
        bool foreign = false;
        if (!is_entry_name(one->d_name) || !read_name(folder, one->d_name, &file, &foreign))
            continue;
        fn(arg, &(estuary_cache_entry){.kind = ESTUARY_REVOCATION_OCSP,
                                       .origin = file.url,
                                       .subject = file.serial,
                                       .this_update = file.this_update,
                                       .next_update = file.next_update,
                                       .fetched_at = file.fetched_at,
                                       .bytes = (int64_t)file.len});
        est_ocsp_file_clear(&file);
    }
    closedir(dir);
    return ESTUARY_OK;
}

estuary_status est_ocsp_folder_empty(int folder, size_t *removed, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    struct dirent *one;
    DIR *dir = open_folder(folder);
    if (dir == NULL)
        return est_fail_errno(err, EST_IO, "the cache folder cannot be read");
    while ((one = readdir(dir)) != NULL) {
        bool entry = is_entry_name(one->d_name);
        if (!entry && !is_temporary_name(one->d_name))
            continue;
        if (unlinkat(folder, one->d_name, 0) == 0)
            *removed += entry ? 1 : 0;
        else if (errno != ENOENT)
            status = est_fail_errno(err, EST_IO, "a file of the cache folder cannot be removed");
    }
    closedir(dir);
    return status;
}

/* --- writing --- */

static bool temporary_name(char name[NAME_SIZE])
{
    uint64_t random = 0;
    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return false;
    snprintf(name, NAME_SIZE, TEMPORARY "%016llx", (unsigned long long)random);
    return true;
}

int est_ocsp_folder_lock(int folder)
{
    int fd = openat(folder, LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

void est_ocsp_folder_unlock(int lock)
{
    if (lock >= 0)
        close(lock);
}

/* Not synced: what a crash leaves is judged like anything else, and fetched again. */
static bool write_file(int folder, const char *name, const est_ocsp_entry *entry, const uint8_t *der,
                       size_t len)
{
    char head[HEAD_MAX], temporary[NAME_SIZE];
    int size = write_head(entry, head);
    if (size <= 0 || size >= HEAD_MAX || !temporary_name(temporary))
        return false;
    int fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    bool done = est_fd_write_all(fd, head, (size_t)size) && est_fd_write_all(fd, der, len);
    done = close(fd) == 0 && done;
    done = done && renameat(folder, temporary, folder, name) == 0;
    if (!done)
        (void)unlinkat(folder, temporary, 0);
    return done;
}

bool est_ocsp_folder_write(int folder, const est_ocsp_entry *entry, const uint8_t *der, size_t len,
                           size_t max)
{
    char name[NAME_SIZE], going[NAME_SIZE];
    name_of(entry->key, name);
    if (!write_file(folder, name, entry, der, len))
        return false;
    if (count_entries(folder) > max) {
        find_victim(folder, name, going);
        if (going[0] != '\0')
            (void)unlinkat(folder, going, 0);
    }
    return true;
}
