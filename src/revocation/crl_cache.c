/*
 * CRLs by URL (R5). A CRL taken from here is verified again (or its index is), so the notes beside it only
 * say when to ask again.
 */
#include "revocation/checker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOTES_MAX   16384
#define CRL_SUFFIX  ".crl"
#define NOTE_SUFFIX ".crl.json"
#define TEMP_PREFIX ".new-" /* begins those of OCSP responses, indexes and keys, too: sweep() is for all */
#define TEMP_AGE    (2 * 86400) /* no download takes so long: its process was killed */

struct est_crl_cache {
    pthread_mutex_t lock;
    int folder; /* -1: `kept` it is */
    size_t max_entries;
    est_crl_cached *kept; /* max_entries of them */
    size_t count;
};

estuary_status est_crl_cache_new(int folder, int64_t max_entries, est_crl_cache **out, estuary_error *err)
{
    *out = NULL;
    est_crl_cache *cache = est_alloc(sizeof(*cache));
    if (cache == NULL || pthread_mutex_init(&cache->lock, NULL) != 0) {
        est_free(cache);
        return est_fail_memory(err);
    }
    cache->folder = folder;
    (void)est_int_to_size((long)max_entries, &cache->max_entries);
    cache->kept = folder >= 0 ? NULL : est_alloc(cache->max_entries * sizeof(*cache->kept));
    if (folder < 0 && cache->kept == NULL) {
        est_crl_cache_free(cache);
        return est_fail_memory(err);
    }
    *out = cache;
    return ESTUARY_OK;
}

void est_crl_cached_clear(est_crl_cached *cached)
{
    if (cached->fd >= 0)
        (void)close(cached->fd);
    est_free(cached->url);
    est_free(cached->etag);
    est_free(cached->last_modified);
    est_free(cached->issuer);
    *cached = (est_crl_cached){.fd = -1};
}

void est_crl_cache_free(est_crl_cache *cache)
{
    if (cache == NULL)
        return;
    for (size_t i = 0; cache->kept != NULL && i < cache->count; i++)
        est_crl_cached_clear(&cache->kept[i]);
    est_free(cache->kept);
    (void)pthread_mutex_destroy(&cache->lock);
    est_free(cache);
}

/* Against other threads, and in a folder against other processes: who looks for what is newer must be alone.
 */
static bool lock_cache(est_crl_cache *cache)
{
    if (pthread_mutex_lock(&cache->lock) != 0)
        return false;
    while (cache->folder >= 0 && flock(cache->folder, LOCK_EX) != 0 && errno == EINTR)
        continue; /* a file system without locks has to do with the mutex */
    return true;
}

static void unlock_cache(est_crl_cache *cache)
{
    if (cache->folder >= 0)
        (void)flock(cache->folder, LOCK_UN);
    (void)pthread_mutex_unlock(&cache->lock);
}

/* --- names and notes ---------------------------------------------------------------------------------- */

static bool name_of(const char *url, char name[68])
{
    uint8_t hash[32];
    if (EVP_Digest(url, strlen(url), hash, NULL, EVP_sha256(), NULL) != 1)
        return false;
    for (size_t i = 0; i < sizeof(hash); i++)
        snprintf(name + 2 * i, 3, "%02x", hash[i]);
    return true;
}

static int open_in(const est_crl_cache *cache, const char *name, const char *suffix, int flags)
{
    char path[96];
    int len = snprintf(path, sizeof(path), "%s%s", name, suffix);
    return len < 0 || (size_t)len >= sizeof(path)
               ? -1
               : openat(cache->folder, path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
}

static void unlink_in(const est_crl_cache *cache, const char *name, const char *suffix)
{
    char path[96];
    int len = snprintf(path, sizeof(path), "%s%s", name, suffix);
    if (len > 0 && (size_t)len < sizeof(path))
        (void)unlinkat(cache->folder, path, 0);
}

/* Ours, closed to others' writing, a regular file: judged on the descriptor. */
static bool is_ours(int fd, off_t max, off_t *size)
{
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0 ||
        (info.st_uid != geteuid() && info.st_uid != 0) || info.st_size > max)
        return false;
    *size = info.st_size;
    return true;
}

static bool copy_text(const json_t *notes, const char *key, char **out)
{
    const char *text = json_string_value(json_object_get(notes, key));
    *out = est_strdup(text == NULL ? "" : text);
    return *out != NULL;
}

static bool read_notes(const json_t *notes, est_crl_cached *out)
{
    out->fetched_at = (time_t)json_integer_value(json_object_get(notes, "fetched_at"));
    out->this_update = (time_t)json_integer_value(json_object_get(notes, "this_update"));
    out->next_update = (time_t)json_integer_value(json_object_get(notes, "next_update"));
    out->is_delta = json_is_true(json_object_get(notes, "delta"));
    return copy_text(notes, "url", &out->url) && copy_text(notes, "etag", &out->etag) &&
           copy_text(notes, "last_modified", &out->last_modified) && copy_text(notes, "issuer", &out->issuer);
}

static json_t *load_notes(const est_crl_cache *cache, const char *name)
{
    char text[NOTES_MAX];
    off_t size = 0;
    json_t *notes = NULL;
    int fd = open_in(cache, name, NOTE_SUFFIX, O_RDONLY);
    if (fd >= 0 && is_ours(fd, sizeof(text), &size)) {
        ssize_t n = read(fd, text, sizeof(text));
        if (n > 0)
            notes = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
    }
    if (fd >= 0)
        (void)close(fd);
    return notes;
}

static bool load(const est_crl_cache *cache, const char *name, est_crl_cached *out)
{
    off_t size = 0;
    json_t *notes = load_notes(cache, name);
    *out = (est_crl_cached){.fd = -1};
    bool ok = json_is_object(notes) && read_notes(notes, out);
    json_decref(notes);
    if (ok)
        out->fd = open_in(cache, name, CRL_SUFFIX, O_RDONLY);
    ok = ok && out->fd >= 0 && is_ours(out->fd, INT64_MAX, &size);
    out->bytes = size;
    snprintf(out->name, sizeof(out->name), "%s", name);
    if (!ok)
        est_crl_cached_clear(out);
    return ok;
}

static bool write_all(int fd, const char *text, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = write(fd, text + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static bool temp_name(char name[EST_CRL_TEMP_SIZE])
{
    uint8_t bytes[12];
    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return false;
    int len = snprintf(name, EST_CRL_TEMP_SIZE, TEMP_PREFIX);
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(name + len + 2 * (int)i, 3, "%02x", bytes[i]);
    return true;
}

static bool rename_in(const est_crl_cache *cache, const char *from, const char *name, const char *suffix)
{
    char path[96];
    int len = snprintf(path, sizeof(path), "%s%s", name, suffix);
    return len > 0 && (size_t)len < sizeof(path) && renameat(cache->folder, from, cache->folder, path) == 0;
}

static bool save_notes(const est_crl_cache *cache, const char *name, const est_crl_cached *facts)
{
    char temp[EST_CRL_TEMP_SIZE] = "";
    json_t *notes =
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:b}", "url", facts->url, "etag", facts->etag,
                  "last_modified", facts->last_modified, "issuer", facts->issuer, "fetched_at",
                  (json_int_t)facts->fetched_at, "this_update", (json_int_t)facts->this_update, "next_update",
                  (json_int_t)facts->next_update, "delta", facts->is_delta ? 1 : 0);
    char *text = notes == NULL ? NULL : json_dumps(notes, JSON_INDENT(1));
    json_decref(notes);
    bool ok = text != NULL && temp_name(temp);
    int fd = ok ? open_in(cache, temp, "", O_WRONLY | O_CREAT | O_EXCL) : -1;
    ok = fd >= 0 && write_all(fd, text, strlen(text));
    if (fd >= 0)
        ok = close(fd) == 0 && ok;
    ok = ok && rename_in(cache, temp, name, NOTE_SUFFIX);
    if (!ok && fd >= 0)
        unlink_in(cache, temp, "");
    free(text);
    return ok;
}

/* --- taking ------------------------------------------------------------------------------------------- */

static bool duplicate(const est_crl_cached *from, est_crl_cached *to)
{
    char path[40];
    *to = *from;
    to->url = est_strdup(from->url);
    to->etag = est_strdup(from->etag);
    to->last_modified = est_strdup(from->last_modified);
    to->issuer = est_strdup(from->issuer);
    /* opened again: two readers must not share a position, nor one close the other's */
    snprintf(path, sizeof(path), "/proc/self/fd/%d", from->fd);
    to->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (to->url != NULL && to->etag != NULL && to->last_modified != NULL && to->issuer != NULL && to->fd >= 0)
        return true;
    est_crl_cached_clear(to);
    return false;
}

static est_crl_cached *find_kept(est_crl_cache *cache, const char *url)
{
    for (size_t i = 0; i < cache->count; i++) {
        if (strcmp(cache->kept[i].url, url) == 0)
            return &cache->kept[i];
    }
    return NULL;
}

bool est_crl_cache_get(est_crl_cache *cache, const char *url, est_crl_cached *out)
{
    char name[68] = "";
    *out = (est_crl_cached){.fd = -1};
    if (cache->folder >= 0) {
        if (!name_of(url, name) || !load(cache, name, out))
            return false;
        if (strcmp(out->url, url) == 0)
            return true;
        est_crl_cached_clear(out);
        return false;
    }
    if (pthread_mutex_lock(&cache->lock) != 0)
        return false;
    const est_crl_cached *kept = find_kept(cache, url);
    bool there = kept != NULL && duplicate(kept, out);
    (void)pthread_mutex_unlock(&cache->lock);
    return there;
}

/* --- putting ------------------------------------------------------------------------------------------ */

static int open_unnamed(void)
{
    int fd = open(P_tmpdir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return fd >= 0 ? fd : memfd_create("estuary-crl", MFD_CLOEXEC);
}

estuary_status est_crl_cache_begin(est_crl_cache *cache, int *fd, char name[EST_CRL_TEMP_SIZE],
                                   estuary_error *err)
{
    name[0] = '\0';
    *fd = -1;
    if (cache->folder < 0)
        *fd = open_unnamed();
    else if (temp_name(name))
        *fd = open_in(cache, name, "", O_RDWR | O_CREAT | O_EXCL);
    return *fd >= 0 ? ESTUARY_OK : est_fail_errno(err, EST_IO, "a file for the CRL cannot be made");
}

void est_crl_cache_drop(est_crl_cache *cache, const char *name)
{
    if (cache->folder >= 0 && name[0] != '\0')
        unlink_in(cache, name, "");
}

static void forget_kept(est_crl_cache *cache, est_crl_cached *kept)
{
    est_crl_cached_clear(kept);
    *kept = cache->kept[--cache->count];
    cache->kept[cache->count] = (est_crl_cached){.fd = -1};
}

static void make_room(est_crl_cache *cache)
{
    if (cache->count < cache->max_entries)
        return;
    est_crl_cached *oldest = &cache->kept[0];
    for (size_t i = 1; i < cache->count; i++) {
        if (cache->kept[i].fetched_at < oldest->fetched_at)
            oldest = &cache->kept[i];
    }
    forget_kept(cache, oldest);
}

static estuary_status keep(est_crl_cache *cache, const est_crl_cached *facts, estuary_error *err)
{
    est_crl_cached copy;
    if (!duplicate(facts, &copy))
        return est_fail_memory(err);
    if (pthread_mutex_lock(&cache->lock) != 0) {
        est_crl_cached_clear(&copy);
        return est_fail(err, EST_CRYPTO, "a lock failed");
    }
    est_crl_cached *kept = find_kept(cache, facts->url);
    if (kept != NULL && kept->this_update > copy.this_update) {
        est_crl_cached_clear(&copy); /* R0 */
    } else if (kept != NULL) {
        est_crl_cached_clear(kept);
        *kept = copy;
    } else {
        make_room(cache);
        cache->kept[cache->count++] = copy;
    }
    (void)pthread_mutex_unlock(&cache->lock);
    return ESTUARY_OK;
}

/* Names with this suffix in the folder, one after another; the names are without it. */
static void walk(const est_crl_cache *cache, const char *suffix, void (*fn)(void *arg, const char *name),
                 void *arg)
{
    int fd = openat(cache->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char name[68];
        size_t len = strlen(entry->d_name);
        if (len != 64 + strlen(suffix) || strcmp(entry->d_name + 64, suffix) != 0 ||
            strspn(entry->d_name, "0123456789abcdef") != 64)
            continue;
        memcpy(name, entry->d_name, 64);
        name[64] = '\0';
        fn(arg, name);
    }
    (void)closedir(dir);
}

/* What killed processes left. */
static void sweep(const est_crl_cache *cache, time_t older_than)
{
    struct stat info;
    int fd = openat(cache->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (strncmp(entry->d_name, TEMP_PREFIX, strlen(TEMP_PREFIX)) == 0 &&
            fstatat(cache->folder, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode) &&
            info.st_mtime < older_than)
            (void)unlinkat(cache->folder, entry->d_name, 0);
    }
    (void)closedir(dir);
}

static void remove_files(const est_crl_cache *cache, const char *name)
{
    unlink_in(cache, name, NOTE_SUFFIX);
    unlink_in(cache, name, CRL_SUFFIX);
    unlink_in(cache, name, EST_CRL_INDEX_SUFFIX);
}

struct census {
    est_crl_cache *cache;
    size_t count;
    time_t oldest_at;
    char oldest[68];
};

static void count_one(void *arg, const char *name)
{
    struct census *census = arg;
    json_t *notes = load_notes(census->cache, name);
    time_t at = (time_t)json_integer_value(json_object_get(notes, "fetched_at"));
    json_decref(notes);
    if (census->count++ == 0 || at < census->oldest_at) {
        census->oldest_at = at;
        snprintf(census->oldest, sizeof(census->oldest), "%s", name);
    }
}

static void evict(est_crl_cache *cache)
{
    for (size_t before = SIZE_MAX;;) {
        struct census census = {.cache = cache};
        walk(cache, NOTE_SUFFIX, count_one, &census);
        if (census.count <= cache->max_entries || census.count >= before)
            break; /* what cannot be removed stays */
        remove_files(cache, census.oldest);
        before = census.count;
    }
    sweep(cache, est_now() - TEMP_AGE);
}

static estuary_status commit_file(est_crl_cache *cache, const char *name, const est_crl_cached *facts,
                                  estuary_error *err)
{
    char final[68] = "";
    est_crl_cached old;
    if (!name_of(facts->url, final))
        return est_fail_openssl(err, EST_CRYPTO, NULL);
    bool newer_there = load(cache, final, &old) && old.this_update > facts->this_update;
    est_crl_cached_clear(&old);
    if (newer_there) { /* R0; its dates were verified when it came, and it is verified again when it is used
                        */
        est_crl_cache_drop(cache, name);
        return ESTUARY_OK;
    }
    if (!rename_in(cache, name, final, CRL_SUFFIX) || !save_notes(cache, final, facts)) {
        est_crl_cache_drop(cache, name);
        return est_fail_errno(err, EST_IO, "the CRL cannot be kept in the cache");
    }
    evict(cache);
    return ESTUARY_OK;
}

estuary_status est_crl_cache_commit(est_crl_cache *cache, const char *name, const est_crl_cached *facts,
                                    estuary_error *err)
{
    if (cache->folder < 0)
        return keep(cache, facts, err);
    if (!lock_cache(cache))
        return est_fail(err, EST_CRYPTO, "a lock failed");
    estuary_status status = commit_file(cache, name, facts, err);
    unlock_cache(cache);
    return status;
}

static void touch_file(est_crl_cache *cache, const char *url, time_t now)
{
    est_crl_cached cached;
    if (est_crl_cache_get(cache, url, &cached)) {
        cached.fetched_at = now;
        (void)save_notes(cache, cached.name, &cached);
    }
    est_crl_cached_clear(&cached);
}

void est_crl_cache_touch(est_crl_cache *cache, const char *url, time_t now)
{
    if (!lock_cache(cache))
        return;
    est_crl_cached *kept = cache->folder >= 0 ? NULL : find_kept(cache, url);
    if (cache->folder >= 0)
        touch_file(cache, url, now);
    else if (kept != NULL)
        kept->fetched_at = now;
    unlock_cache(cache);
}

/* --- for people ----------------------------------------------------------------------------------------- */

struct listing {
    est_crl_cache *cache;
    estuary_cache_fn *fn;
    void *arg;
};

static void tell(const struct listing *listing, const est_crl_cached *cached)
{
    struct stat info;
    char path[96];
    snprintf(path, sizeof(path), "%s%s", cached->name, EST_CRL_INDEX_SUFFIX);
    estuary_cache_entry entry = {.kind = cached->is_delta ? ESTUARY_REVOCATION_DELTA : ESTUARY_REVOCATION_CRL,
                                 .origin = cached->url,
                                 .subject = cached->issuer,
                                 .this_update = cached->this_update,
                                 .next_update = cached->next_update,
                                 .fetched_at = cached->fetched_at,
                                 .bytes = cached->bytes,
                                 .indexed =
                                     listing->cache->folder >= 0 &&
                                     fstatat(listing->cache->folder, path, &info, AT_SYMLINK_NOFOLLOW) == 0};
    listing->fn(listing->arg, &entry);
}

static void tell_of_file(void *arg, const char *name)
{
    const struct listing *listing = arg;
    est_crl_cached cached;
    if (load(listing->cache, name, &cached))
        tell(listing, &cached);
    est_crl_cached_clear(&cached);
}

estuary_status est_crl_cache_list(est_crl_cache *cache, estuary_cache_fn *fn, void *arg, estuary_error *err)
{
    struct listing listing = {cache, fn, arg};
    if (cache->folder >= 0) {
        walk(cache, NOTE_SUFFIX, tell_of_file, &listing);
        return ESTUARY_OK;
    }
    if (pthread_mutex_lock(&cache->lock) != 0)
        return est_fail(err, EST_CRYPTO, "a lock failed");
    for (size_t i = 0; i < cache->count; i++)
        tell(&listing, &cache->kept[i]);
    (void)pthread_mutex_unlock(&cache->lock);
    return ESTUARY_OK;
}

static void remove_one(void *arg, const char *name)
{
    struct census *census = arg;
    remove_files(census->cache, name);
    census->count++;
}

estuary_status est_crl_cache_clear(est_crl_cache *cache, size_t *removed, estuary_error *err)
{
    struct census census = {.cache = cache};
    if (!lock_cache(cache))
        return est_fail(err, EST_CRYPTO, "a lock failed");
    if (cache->folder >= 0) {
        walk(cache, NOTE_SUFFIX, remove_one, &census);
        *removed += census.count;
        walk(cache, CRL_SUFFIX, remove_one, &census); /* without notes */
        sweep(cache, est_now() - TEMP_AGE);
    }
    *removed += cache->count;
    while (cache->count > 0)
        forget_kept(cache, &cache->kept[0]);
    unlock_cache(cache);
    return ESTUARY_OK;
}
