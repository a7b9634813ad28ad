/*
 * CRLs by URL and issuer (R5). A CRL taken from here is verified again (or its index is), so the notes beside
 * it only say when to ask again, and what may take its place.
 *
 * Locks: `lock` is for those who write, and for `kept`; `open_lock` for what is kept open. Nobody takes the
 * first while holding the second.
 */
#include "revocation/crl_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOCK_FILE ".lock-crl" /* not the folder: whoever may read that could lock it, and keep it so */
#define TEMP_AGE  (2 * 86400) /* no download takes so long: its process was killed */
#define OPEN_MAX  8

/* An entry of the folder that was read before: good while its files are what they were. */
typedef struct opened {
    est_crl_cached cached; /* fd -1: none */
    est_crl_origin origin;
    est_crl_index *index; /* NULL: not yet */
    uint64_t used;
} opened;

struct est_crl_cache {
    pthread_mutex_t lock, open_lock;
    int folder;    /* -1: `kept` it is */
    int file_lock; /* of who has `lock`; -1: none */
    size_t max_entries;
    est_crl_cached *kept; /* max_entries of them */
    size_t count;
    uint64_t index_bytes; /* for each of the open ones */
    opened open[OPEN_MAX];
    uint64_t uses;
};

static bool make_locks(est_crl_cache *cache)
{
    if (pthread_mutex_init(&cache->lock, NULL) != 0)
        return false;
    if (pthread_mutex_init(&cache->open_lock, NULL) == 0)
        return true;
    (void)pthread_mutex_destroy(&cache->lock);
    return false;
}

estuary_status est_crl_cache_new(int folder, int64_t max_entries, int64_t index_bytes, est_crl_cache **out,
                                 estuary_error *err)
{
    *out = NULL;
    est_crl_cache *cache = est_alloc(sizeof(*cache));
    if (cache == NULL || !make_locks(cache)) {
        est_free(cache);
        return est_fail_memory(err);
    }
    cache->folder = folder;
    cache->file_lock = -1;
    cache->index_bytes = (uint64_t)index_bytes / OPEN_MAX;
    (void)est_int_to_size((long)max_entries, &cache->max_entries);
    for (size_t i = 0; i < OPEN_MAX; i++)
        est_crl_cached_init(&cache->open[i].cached);
    cache->kept = folder >= 0 ? NULL : est_alloc(cache->max_entries * sizeof(*cache->kept));
    if (folder < 0 && cache->kept == NULL) {
        est_crl_cache_free(cache);
        return est_fail_memory(err);
    }
    *out = cache;
    return ESTUARY_OK;
}

void est_crl_cached_init(est_crl_cached *cached)
{
    *cached = (est_crl_cached){.fd = -1};
}

void est_crl_cached_clear(est_crl_cached *cached)
{
    if (cached->fd >= 0)
        (void)close(cached->fd);
    est_free(cached->url);
    est_free(cached->etag);
    est_free(cached->last_modified);
    est_free(cached->issuer);
    est_crl_cached_init(cached);
}

static void close_opened(opened *one)
{
    est_crl_index_free(one->index);
    est_crl_cached_clear(&one->cached);
    one->index = NULL;
    one->used = 0;
}

void est_crl_cache_free(est_crl_cache *cache)
{
    if (cache == NULL)
        return;
    for (size_t i = 0; cache->kept != NULL && i < cache->count; i++)
        est_crl_cached_clear(&cache->kept[i]);
    for (size_t i = 0; i < OPEN_MAX; i++)
        close_opened(&cache->open[i]);
    est_free(cache->kept);
    (void)pthread_mutex_destroy(&cache->lock);
    (void)pthread_mutex_destroy(&cache->open_lock);
    est_free(cache);
}

/*
 * Against other threads, and in a folder against other processes: who looks for what is newer must be alone.
 */
static bool lock_cache(est_crl_cache *cache)
{
    if (pthread_mutex_lock(&cache->lock) != 0)
        return false;
    if (cache->folder >= 0)
        cache->file_lock = openat(cache->folder, LOCK_FILE,
                                  O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0600);
    while (cache->file_lock >= 0 && flock(cache->file_lock, LOCK_EX) != 0 && errno == EINTR)
        continue; /* a file system without locks has to do with the mutex */
    return true;
}

static void unlock_cache(est_crl_cache *cache)
{
    if (cache->file_lock >= 0)
        (void)close(cache->file_lock);
    cache->file_lock = -1;
    (void)pthread_mutex_unlock(&cache->lock);
}

/* --- what an entry is found by --- */

/* With its length in front, so that parts cannot be shifted into each other. */
static bool add_part(EVP_MD_CTX *ctx, const void *bytes, size_t len)
{
    uint64_t size = len;
    return EVP_DigestUpdate(ctx, &size, sizeof(size)) == 1 &&
           (len == 0 || EVP_DigestUpdate(ctx, bytes, len) == 1);
}

static bool add_der(EVP_MD_CTX *ctx, unsigned char *der, int len)
{
    bool done = len >= 0 && add_part(ctx, der, (size_t)len);
    OPENSSL_free(der);
    return done;
}

static bool add_name(EVP_MD_CTX *ctx, const X509_NAME *name)
{
    const unsigned char *der = NULL;
    size_t len = 0;
    return X509_NAME_get0_der(name, &der, &len) == 1 && add_part(ctx, der, len);
}

static EVP_MD_CTX *begin_hash(void)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (ctx != NULL && EVP_DigestInit_ex2(ctx, EVP_sha256(), NULL) == 1)
        return ctx;
    EVP_MD_CTX_free(ctx);
    return NULL;
}

static bool end_hash(EVP_MD_CTX *ctx, bool done, char out[EST_CRL_KEY_SIZE])
{
    uint8_t hash[(EST_CRL_KEY_SIZE - 1) / 2];
    unsigned size = 0;
    done = done && EVP_DigestFinal_ex(ctx, hash, &size) == 1 && size == sizeof(hash);
    if (done)
        est_hex_write(hash, sizeof(hash), out);
    EVP_MD_CTX_free(ctx);
    return done;
}

bool est_crl_cache_key(const char *url, const X509 *issuer, char out[EST_CRL_KEY_SIZE])
{
    unsigned char *key = NULL;
    EVP_MD_CTX *ctx = begin_hash();
    if (ctx == NULL)
        return false;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(issuer), &key);
    bool done = add_part(ctx, url, strlen(url)) && add_name(ctx, X509_get_subject_name(issuer));
    done = add_der(ctx, key, len) && done;
    return end_hash(ctx, done, out);
}

bool est_crl_scope_digest(const est_crl *crl, char out[EST_CRL_KEY_SIZE])
{
    unsigned char *idp = NULL;
    bool is_delta = crl->base_number != NULL;
    EVP_MD_CTX *ctx = begin_hash();
    if (ctx == NULL)
        return false;
    int len = crl->idp == NULL ? 0 : i2d_ISSUING_DIST_POINT(crl->idp, &idp);
    bool done = add_name(ctx, crl->issuer) && add_part(ctx, &is_delta, sizeof(is_delta));
    done = add_der(ctx, idp, len) && done;
    return end_hash(ctx, done, out);
}

bool est_crl_cached_may_replace(const est_crl_cached *there, const est_crl_cached *fresh)
{
    bool is_older = fresh->this_update < there->this_update;
    if (strcmp(fresh->scope, there->scope) == 0)
        return !is_older; /* R0 */
    /* two scopes' dates say nothing about each other; yet what is listed there is not taken back by them */
    if (fresh->is_whole)
        return !is_older || !there->revoked;
    /* a CRL about other certificates or reasons says nothing about what is listed there */
    return !there->revoked && there->next_update != 0 && there->next_update < fresh->fetched_at;
}

/* --- taking --- */

/* Readers give the offset with each read, so that they may share one. */
static bool duplicate(const est_crl_cached *from, est_crl_cached *to)
{
    *to = *from;
    to->url = est_strdup(from->url);
    to->etag = est_strdup(from->etag);
    to->last_modified = est_strdup(from->last_modified);
    to->issuer = est_strdup(from->issuer);
    to->fd = fcntl(from->fd, F_DUPFD_CLOEXEC, 0);
    if (to->url != NULL && to->etag != NULL && to->last_modified != NULL && to->issuer != NULL && to->fd >= 0)
        return true;
    est_crl_cached_clear(to);
    to->failed = true;
    return false;
}

static est_crl_cached *find_kept(est_crl_cache *cache, const char *key)
{
    for (size_t i = 0; i < cache->count; i++) {
        if (strcmp(cache->kept[i].key, key) == 0)
            return &cache->kept[i];
    }
    return NULL;
}

static opened *find_opened(est_crl_cache *cache, const char *key)
{
    for (size_t i = 0; i < OPEN_MAX; i++) {
        if (cache->open[i].cached.fd >= 0 && strcmp(cache->open[i].cached.key, key) == 0)
            return &cache->open[i];
    }
    return NULL;
}

static opened *place_for(est_crl_cache *cache, const char *key)
{
    opened *place = find_opened(cache, key);
    if (place != NULL)
        return place;
    place = &cache->open[0];
    for (size_t i = 1; i < OPEN_MAX; i++) {
        if (cache->open[i].used < place->used)
            place = &cache->open[i];
    }
    return place;
}

static void keep_open(est_crl_cache *cache, const est_crl_cached *cached, const est_crl_origin *origin)
{
    opened *place = place_for(cache, cached->key);
    close_opened(place);
    if (!duplicate(cached, &place->cached))
        return;
    place->origin = *origin;
    place->used = ++cache->uses;
}

static bool get_from_folder(est_crl_cache *cache, const char *key, est_crl_cached *out)
{
    est_crl_origin origin;
    bool there = false;
    if (pthread_mutex_lock(&cache->open_lock) != 0)
        return false;
    opened *one = find_opened(cache, key);
    if (one != NULL && est_crl_folder_is_same(cache->folder, &one->cached, &one->origin)) {
        one->used = ++cache->uses;
        there = duplicate(&one->cached, out);
    } else {
        if (one != NULL)
            close_opened(one);
        there = est_crl_folder_load(cache->folder, key, out, &origin);
        if (there)
            keep_open(cache, out, &origin);
    }
    (void)pthread_mutex_unlock(&cache->open_lock);
    return there;
}

bool est_crl_cache_get(est_crl_cache *cache, const char *key, est_crl_cached *out)
{
    est_crl_cached_init(out);
    out->failed = true;
    if (cache->folder >= 0)
        return get_from_folder(cache, key, out);
    if (pthread_mutex_lock(&cache->lock) != 0)
        return false;
    const est_crl_cached *kept = find_kept(cache, key);
    out->failed = false;
    bool there = kept != NULL && duplicate(kept, out);
    (void)pthread_mutex_unlock(&cache->lock);
    return there;
}

/* --- indexes --- */

static est_crl_index *open_index(const est_crl_cache *cache, const est_crl_cached *cached)
{
    char name[EST_CRL_NAME_SIZE];
    est_crl_index *index = NULL;
    if (!est_crl_cached_index_name(cached, name) ||
        est_crl_index_open(cached->fd, cache->folder, name, cache->index_bytes, &index, NULL) != ESTUARY_OK)
        return NULL;
    return index;
}

est_crl_index *est_crl_cache_index(est_crl_cache *cache, const est_crl_cached *cached)
{
    est_crl_index *index = NULL;
    if (cache->folder < 0 || pthread_mutex_lock(&cache->open_lock) != 0)
        return NULL;
    opened *one = find_opened(cache, cached->key);
    if (one != NULL && strcmp(one->cached.file, cached->file) == 0) {
        if (one->index == NULL)
            one->index = open_index(cache, &one->cached);
        index = one->index == NULL ? NULL : est_crl_index_up_ref(one->index);
    } else {
        index = open_index(cache, cached);
    }
    (void)pthread_mutex_unlock(&cache->open_lock);
    return index;
}

void est_crl_cache_forget_index(est_crl_cache *cache, const est_crl_cached *cached)
{
    if (pthread_mutex_lock(&cache->open_lock) != 0)
        return;
    opened *one = find_opened(cache, cached->key);
    if (one != NULL) {
        est_crl_index_free(one->index);
        one->index = NULL;
    }
    (void)pthread_mutex_unlock(&cache->open_lock);
}

/* --- putting --- */

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
    else
        (void)est_crl_folder_new(cache->folder, fd, name);
    return *fd >= 0 ? ESTUARY_OK : est_fail_errno(err, EST_IO, "a file for the CRL cannot be made");
}

void est_crl_cache_drop(est_crl_cache *cache, const char *name)
{
    if (cache->folder >= 0)
        est_crl_folder_drop(cache->folder, name);
}

static void forget_kept(est_crl_cache *cache, est_crl_cached *kept)
{
    est_crl_cached_clear(kept);
    *kept = cache->kept[--cache->count];
    est_crl_cached_init(&cache->kept[cache->count]);
}

/* What has made a verdict "revoked" goes last, and of the others what was fetched longest ago. */
static void make_room(est_crl_cache *cache)
{
    if (cache->count < cache->max_entries)
        return;
    est_crl_cached *victim = &cache->kept[0];
    for (size_t i = 1; i < cache->count; i++) {
        const est_crl_cached *one = &cache->kept[i];
        if (one->revoked != victim->revoked ? !one->revoked : one->fetched_at < victim->fetched_at)
            victim = &cache->kept[i];
    }
    forget_kept(cache, victim);
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
    est_crl_cached *kept = find_kept(cache, facts->key);
    if (kept != NULL && !est_crl_cached_may_replace(kept, &copy)) {
        est_crl_cached_clear(&copy);
    } else if (kept != NULL) {
        copy.revoked = copy.revoked || kept->revoked;
        est_crl_cached_clear(kept);
        *kept = copy;
    } else {
        make_room(cache);
        cache->kept[cache->count++] = copy;
    }
    (void)pthread_mutex_unlock(&cache->lock);
    return ESTUARY_OK;
}

static void evict(est_crl_cache *cache, const char *spared)
{
    char victim[EST_CRL_KEY_SIZE];
    for (size_t before = SIZE_MAX;;) {
        size_t count = est_crl_folder_find_victim(cache->folder, spared, victim);
        if (count <= cache->max_entries || count >= before || victim[0] == '\0')
            break; /* what cannot be removed stays */
        est_crl_folder_remove(cache->folder, victim);
        before = count;
    }
    est_crl_folder_sweep(cache->folder, est_now() - TEMP_AGE, false);
}

static estuary_status commit_file(est_crl_cache *cache, const char *temp, const est_crl_cached *facts,
                                  estuary_error *err)
{
    est_crl_cached old, fresh = *facts;
    est_crl_origin origin;
    char old_file[sizeof(old.file)] = "";
    bool stays = est_crl_folder_load(cache->folder, facts->key, &old, &origin);
    if (old.failed) {
        est_crl_cache_drop(cache, temp);
        return est_fail(err, EST_IO, "what is in the CRL's place in the cache cannot be read");
    }
    if (stays) {
        snprintf(old_file, sizeof(old_file), "%s", old.file);
        stays = !est_crl_cached_may_replace(&old, facts);
        fresh.revoked = fresh.revoked || old.revoked;
    }
    est_crl_cached_clear(&old);
    if (stays) {
        est_crl_cache_drop(cache, temp);
        return ESTUARY_OK;
    }
    if (!est_crl_folder_put(cache->folder, temp, &fresh, old_file)) {
        estuary_status status = est_fail_errno(err, EST_IO, "the CRL cannot be kept in the cache");
        est_crl_cache_drop(cache, temp);
        return status;
    }
    evict(cache, facts->key);
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

/* fetched_at 0: stays as it is */
static void change_notes(est_crl_cache *cache, const char *key, time_t fetched_at, bool revoked)
{
    est_crl_cached loaded;
    est_crl_origin origin;
    est_crl_cached_init(&loaded);
    if (!lock_cache(cache))
        return;
    est_crl_cached *one = cache->folder < 0 ? find_kept(cache, key) : NULL;
    if (cache->folder >= 0 && est_crl_folder_load(cache->folder, key, &loaded, &origin))
        one = &loaded;
    if (one != NULL) {
        one->fetched_at = fetched_at != 0 ? fetched_at : one->fetched_at;
        one->revoked = one->revoked || revoked;
        if (cache->folder >= 0)
            (void)est_crl_folder_save_notes(cache->folder, one);
    }
    unlock_cache(cache);
    est_crl_cached_clear(&loaded);
}

void est_crl_cache_touch(est_crl_cache *cache, const char *key, time_t now)
{
    change_notes(cache, key, now, false);
}

void est_crl_cache_mark_revoked(est_crl_cache *cache, const char *key)
{
    change_notes(cache, key, 0, true);
}

/* --- for people --- */

struct listing {
    const est_crl_cache *cache;
    estuary_cache_fn *fn;
    void *arg;
};

static void tell(const struct listing *listing, const est_crl_cached *cached)
{
    est_index_identity info;
    char name[EST_CRL_NAME_SIZE];
    bool indexed = listing->cache->folder >= 0 && est_crl_cached_index_name(cached, name) &&
                   est_index_identity_at(listing->cache->folder, name, &info);
    estuary_cache_entry entry = {.kind = cached->is_delta ? ESTUARY_REVOCATION_DELTA : ESTUARY_REVOCATION_CRL,
                                 .origin = cached->url,
                                 .subject = cached->issuer,
                                 .this_update = cached->this_update,
                                 .next_update = cached->next_update,
                                 .fetched_at = cached->fetched_at,
                                 .bytes = cached->bytes,
                                 .indexed = indexed};
    listing->fn(listing->arg, &entry);
}

static void tell_of_file(void *arg, const char *key)
{
    const struct listing *listing = arg;
    est_crl_cached cached;
    est_crl_origin origin;
    if (est_crl_folder_load(listing->cache->folder, key, &cached, &origin))
        tell(listing, &cached);
    est_crl_cached_clear(&cached);
}

static void free_copies(est_crl_cached *copies, size_t count)
{
    for (size_t i = 0; i < count; i++)
        est_crl_cached_clear(&copies[i]);
    est_free(copies);
}

/* fn may call the cache. */
static estuary_status tell_of_kept(est_crl_cache *cache, const struct listing *listing, estuary_error *err)
{
    size_t count = 0;
    bool done = true;
    if (pthread_mutex_lock(&cache->lock) != 0)
        return est_fail(err, EST_CRYPTO, "a lock failed");
    est_crl_cached *copies = est_alloc((cache->count + 1) * sizeof(*copies));
    for (; copies != NULL && done && count < cache->count; count += done ? 1 : 0)
        done = duplicate(&cache->kept[count], &copies[count]);
    (void)pthread_mutex_unlock(&cache->lock);
    for (size_t i = 0; copies != NULL && done && i < count; i++)
        tell(listing, &copies[i]);
    free_copies(copies, count);
    return copies != NULL && done ? ESTUARY_OK : est_fail_memory(err);
}

estuary_status est_crl_cache_list(est_crl_cache *cache, estuary_cache_fn *fn, void *arg, estuary_error *err)
{
    struct listing listing = {cache, fn, arg};
    if (cache->folder < 0)
        return tell_of_kept(cache, &listing, err);
    est_crl_folder_walk(cache->folder, tell_of_file, &listing);
    return ESTUARY_OK;
}

struct clearing {
    int folder;
    size_t count;
};

static void remove_one(void *arg, const char *key)
{
    struct clearing *clearing = arg;
    est_crl_folder_remove(clearing->folder, key);
    clearing->count++;
}

estuary_status est_crl_cache_clear(est_crl_cache *cache, size_t *removed, estuary_error *err)
{
    struct clearing clearing = {.folder = cache->folder};
    if (!lock_cache(cache))
        return est_fail(err, EST_CRYPTO, "a lock failed");
    if (cache->folder >= 0) {
        est_crl_folder_walk(cache->folder, remove_one, &clearing);
        *removed += clearing.count;
        est_crl_folder_sweep(cache->folder, est_now() - TEMP_AGE, true);
    }
    *removed += cache->count;
    while (cache->count > 0)
        forget_kept(cache, &cache->kept[0]);
    unlock_cache(cache);
    return ESTUARY_OK;
}
