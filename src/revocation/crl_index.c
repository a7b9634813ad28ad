/* Looking a certificate up in the index of a CRL: every page is checked before it is believed. */
#include "revocation/crl_index.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define REASON_REMOVE_FROM_CRL 8
#define USUAL_ENTRY            512       /* bytes; longer ones take a second read */
#define GROUP                  256       /* pages */
#define TRUSTED_NS             100000000 /* for so long a look at the CRL's file counts */

struct est_crl_index {
    atomic_int references;
    pthread_mutex_t lock;
    bool has_lock;
    int crl_fd, fd;
    est_index_header header;
    est_index_shape shape;
    uint64_t header_pages;
    uint8_t ***groups[INDEX_LEVELS]; /* of pages that were checked; NULL for the others */
    uint64_t kept, max_kept;
    bool has_changed;                          /* the CRL's file is another one: for good */
    int64_t looked_at;                         /* the CRL's file; monotonic ns */
    uint8_t scratch[INDEX_LEVELS][INDEX_PAGE]; /* for those that are not kept */
};

/* What is being looked for. */
typedef struct query {
    uint8_t serial[EST_CRL_SERIAL_MAX];
    size_t serial_len;
    uint64_t fingerprint;
    uint64_t revoked_offset; /* of the entry that out tells of */
    bool has_read;           /* from the CRL's file */
    est_crl *out;
} query;

static estuary_status damaged(estuary_error *err)
{
    return est_fail(err, EST_CRL_INDEX, "the index of the cached CRL was damaged or changed");
}

static size_t groups_in(const est_crl_index *index, size_t level)
{
    return (size_t)((index->shape.pages[level] + GROUP - 1) / GROUP);
}

static void free_level(uint8_t ***groups, size_t count)
{
    for (size_t i = 0; groups != NULL && i < count; i++) {
        for (size_t page = 0; groups[i] != NULL && page < GROUP; page++)
            est_free(groups[i][page]);
        est_free(groups[i]);
    }
    est_free(groups);
}

est_crl_index *est_crl_index_up_ref(est_crl_index *index)
{
    atomic_fetch_add(&index->references, 1);
    return index;
}

void est_crl_index_free(est_crl_index *index)
{
    if (index == NULL || atomic_fetch_sub(&index->references, 1) != 1)
        return;
    for (size_t level = 0; level < index->shape.levels; level++)
        free_level(index->groups[level], groups_in(index, level));
    est_crl_free(index->header.facts);
    if (index->crl_fd >= 0)
        (void)close(index->crl_fd);
    if (index->fd >= 0)
        (void)close(index->fd);
    if (index->has_lock)
        (void)pthread_mutex_destroy(&index->lock);
    est_free(index);
}

/* --- opening --- */

/* Ours alone to write, and as long as its header says. */
static bool is_our_file(int fd, uint64_t pages)
{
    struct stat info;
    return fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_uid == geteuid() &&
           (info.st_mode & (S_IWGRP | S_IWOTH)) == 0 && (uint64_t)info.st_size == pages * INDEX_PAGE;
}

static int64_t coarse_ns(void)
{
    struct timespec now;
    return clock_gettime(CLOCK_MONOTONIC_COARSE, &now) == 0 ? now.tv_sec * INT64_C(1000000000) + now.tv_nsec
                                                            : 0;
}

static bool is_same_crl_file(est_crl_index *index)
{
    est_index_identity now;
    index->looked_at = coarse_ns();
    index->has_changed = index->has_changed || !est_index_identity_of(index->crl_fd, &now) ||
                         memcmp(&now, &index->header.crl_file, sizeof(now)) != 0;
    return !index->has_changed;
}

static estuary_status open_files(est_crl_index *index, int crl_fd, int folder, const char *name,
                                 estuary_error *err)
{
    index->fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
    if (index->fd < 0)
        return est_fail_errno(err, EST_CRL_INDEX, "the cached CRL has no index");
    index->crl_fd = fcntl(crl_fd, F_DUPFD_CLOEXEC, 0);
    return index->crl_fd >= 0 ? ESTUARY_OK : est_fail_errno(err, EST_CRL_INDEX, NULL);
}

static estuary_status read_header(est_crl_index *index, int folder, const char *name, estuary_error *err)
{
    uint8_t mac_key[INDEX_HASH];
    estuary_status status = est_index_mac_key(folder, false, mac_key, err);
    if (status == ESTUARY_OK)
        status = est_index_header_read(index->fd, mac_key, name, &index->header, &index->header_pages, err);
    OPENSSL_cleanse(mac_key, sizeof(mac_key));
    if (status != ESTUARY_OK)
        return status;
    if (!est_index_shape_make(index->header.entries, &index->shape) ||
        !is_our_file(index->fd, index->header_pages + index->shape.all_pages))
        return damaged(err);
    return is_same_crl_file(index)
               ? ESTUARY_OK
               : est_fail(err, EST_CRL_INDEX, "the cached CRL is not the one that its index was made of");
}

static estuary_status make_places(est_crl_index *index, uint64_t max_memory, estuary_error *err)
{
    index->max_kept = max_memory / INDEX_PAGE;
    for (size_t level = 0; level < index->shape.levels; level++) {
        index->groups[level] = est_alloc(groups_in(index, level) * sizeof(*index->groups[level]));
        if (index->groups[level] == NULL)
            return est_fail_memory(err);
    }
    index->has_lock = pthread_mutex_init(&index->lock, NULL) == 0;
    return index->has_lock ? ESTUARY_OK : est_fail_memory(err);
}

estuary_status est_crl_index_open(int crl_fd, int folder, const char *name, uint64_t max_memory,
                                  est_crl_index **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_crl_index *index = est_alloc(sizeof(*index));
    *out = NULL;
    if (index == NULL)
        return est_fail_memory(err);
    atomic_init(&index->references, 1);
    index->fd = index->crl_fd = -1;
    EST_TRY(open_files(index, crl_fd, folder, name, err));
    EST_TRY(read_header(index, folder, name, err));
    EST_TRY(make_places(index, max_memory, err));
    *out = index;
    index = NULL;

cleanup:
    est_crl_index_free(index);
    return status;
}

/* --- pages --- */

/* Places for pages are made as they are needed: a big index has many, and few are ever looked at. */
static bool make_group(est_crl_index *index, size_t level, uint64_t number)
{
    uint8_t ***group = &index->groups[level][number / GROUP];
    if (*group == NULL)
        *group = est_alloc(GROUP * sizeof(**group));
    return *group != NULL;
}

static uint8_t *kept_page(const est_crl_index *index, size_t level, uint64_t number)
{
    uint8_t **group = index->groups[level][number / GROUP];
    return group == NULL ? NULL : group[number % GROUP];
}

static estuary_status read_page(est_crl_index *index, size_t level, uint64_t number, const uint8_t *expected,
                                const uint8_t **out, estuary_error *err)
{
    uint8_t hash[INDEX_HASH];
    bool may_keep = index->kept < index->max_kept && make_group(index, level, number);
    uint8_t *kept = may_keep ? est_alloc(INDEX_PAGE) : NULL;
    uint8_t *page = kept == NULL ? index->scratch[level] : kept;
    off_t at = (off_t)((index->header_pages + index->shape.start[level] + number) * INDEX_PAGE);
    if (pread(index->fd, page, INDEX_PAGE, at) != INDEX_PAGE || !est_index_hash(page, hash) ||
        memcmp(hash, expected, sizeof(hash)) != 0) {
        est_free(kept);
        return damaged(err);
    }
    if (kept != NULL) {
        index->groups[level][number / GROUP][number % GROUP] = kept;
        index->kept++;
    }
    *out = page;
    return ESTUARY_OK;
}

/* Its digest stands in the page above, which is checked in the same way, up to the root. */
static estuary_status get_page(est_crl_index *index, size_t level, uint64_t number, const uint8_t **out,
                               estuary_error *err)
{
    const uint8_t *above = NULL;
    est_index_child child;
    *out = kept_page(index, level, number);
    if (*out != NULL)
        return ESTUARY_OK;
    if (level + 1 == index->shape.levels)
        return read_page(index, level, number, index->header.root, out, err);
    estuary_status status = get_page(index, level + 1, number / INDEX_CHILDREN, &above, err);
    if (status != ESTUARY_OK)
        return status;
    memcpy(&child, above + number % INDEX_CHILDREN * sizeof(child), sizeof(child));
    return read_page(index, level, number, child.hash, out, err);
}

/* --- searching --- */

static size_t records_in(const est_crl_index *index, size_t level, uint64_t number)
{
    uint64_t per_page = level == 0 ? INDEX_LEAVES : INDEX_CHILDREN;
    uint64_t left = index->shape.records[level] - number * per_page;
    return (size_t)(left < per_page ? left : per_page);
}

/* How many of a page's records are below the fingerprint. */
static size_t count_below(const uint8_t *page, size_t count, size_t size, uint64_t fingerprint)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        uint64_t value;
        memcpy(&value, page + middle * size, sizeof(value));
        if (value < fingerprint)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The first leaf page that may hold the fingerprint: equal ones may have begun on the page before. */
static estuary_status find_leaf(est_crl_index *index, uint64_t fingerprint, uint64_t *number,
                                estuary_error *err)
{
    *number = 0;
    for (size_t level = index->shape.levels - 1; level > 0; level--) {
        const uint8_t *page = NULL;
        estuary_status status = get_page(index, level, *number, &page, err);
        if (status != ESTUARY_OK)
            return status;
        size_t below =
            count_below(page, records_in(index, level, *number), sizeof(est_index_child), fingerprint);
        *number = *number * INDEX_CHILDREN + (below == 0 ? 0 : below - 1);
    }
    return ESTUARY_OK;
}

static bool read_entry(est_crl_index *index, uint64_t offset, uint8_t *bytes, size_t size,
                       est_crl_entry *entry)
{
    uint64_t left = index->header.facts->bytes - offset;
    size_t len = (size_t)(left < size ? left : size);
    return pread(index->crl_fd, bytes, len, (off_t)offset) == (ssize_t)len &&
           est_crl_entry_parse(bytes, len, entry);
}

static void note(query *q, const est_crl_entry *entry, uint64_t offset)
{
    est_crl *out = q->out;
    bool removed = entry->reason == REASON_REMOVE_FROM_CRL;
    bool knows_revoked = out->found && !out->removed;
    if (removed) { /* counts only while nothing says revoked */
        out->removed = !knows_revoked;
        out->found = true;
        return;
    }
    if (knows_revoked && q->revoked_offset < offset)
        return; /* of several the first in the list tells when, as when it is read */
    out->found = true;
    out->removed = false;
    out->revoked_at = entry->revoked_at;
    out->reason = entry->reason;
    q->revoked_offset = offset;
}

/* The fingerprint only says where to look: the entry itself must have the serial. */
static estuary_status confirm(est_crl_index *index, query *q, uint64_t offset, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    uint8_t usual[USUAL_ENTRY], *more = NULL;
    est_crl_entry entry;
    q->has_read = true;
    if (offset >= index->header.facts->bytes)
        return damaged(err);
    if (!read_entry(index, offset, usual, sizeof(usual), &entry)) {
        more = est_alloc(INDEX_ENTRY_MAX);
        if (more == NULL)
            return est_fail_memory(err);
        if (!read_entry(index, offset, more, INDEX_ENTRY_MAX, &entry)) {
            status = damaged(err);
            goto cleanup;
        }
    }
    if (entry.serial_len == q->serial_len && memcmp(entry.serial, q->serial, q->serial_len) == 0)
        note(q, &entry, offset);
    else if (est_index_fingerprint(index->header.key, entry.serial, entry.serial_len) != q->fingerprint)
        status = damaged(err);

cleanup:
    est_free(more);
    return status;
}

/* All records of the fingerprint on this page; *done when one behind them was seen. */
static estuary_status look_at_leaf(est_crl_index *index, query *q, uint64_t number, bool *done,
                                   estuary_error *err)
{
    const uint8_t *page = NULL;
    estuary_status status = get_page(index, 0, number, &page, err);
    if (status != ESTUARY_OK)
        return status;
    size_t count = records_in(index, 0, number);
    for (size_t i = count_below(page, count, sizeof(est_index_leaf), q->fingerprint);
         i < count && status == ESTUARY_OK; i++) {
        est_index_leaf leaf;
        memcpy(&leaf, page + i * sizeof(leaf), sizeof(leaf));
        *done = leaf.fingerprint != q->fingerprint;
        if (*done)
            break;
        status = confirm(index, q, leaf.offset, err);
    }
    return status;
}

static estuary_status search(est_crl_index *index, query *q, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    uint64_t number = 0;
    bool done = index->shape.levels == 0;
    if (!done)
        EST_TRY(find_leaf(index, q->fingerprint, &number, err));
    for (; !done && number < index->shape.pages[0]; number++)
        EST_TRY(look_at_leaf(index, q, number, &done, err));

cleanup:
    return status;
}

/*
 * What was read from the CRL's file counts only if it is still the same one. "Not listed" comes from checked
 * pages in memory and is true of what was verified; that the file was replaced since is noticed a little
 * later.
 */
static estuary_status check_file(est_crl_index *index, const query *q, estuary_error *err)
{
    int64_t age = coarse_ns() - index->looked_at;
    if (!q->has_read && !index->has_changed && age >= 0 && age < TRUSTED_NS)
        return ESTUARY_OK;
    return is_same_crl_file(index) ? ESTUARY_OK : est_fail(err, EST_CRL_INDEX, "the cached CRL has changed");
}

estuary_status est_crl_index_find(est_crl_index *index, const X509 *certificate, est_crl *out,
                                  estuary_error *err)
{
    const est_crl *facts = index->header.facts;
    query q = {.out = out};
    *out = *facts;
    int other = X509_NAME_cmp(X509_get_issuer_name(certificate), facts->issuer);
    bool is_sound = est_crl_serial_of(certificate, q.serial, &q.serial_len);
    if (other == -2 || !is_sound)
        return est_fail_memory(err);
    q.fingerprint = est_index_fingerprint(index->header.key, q.serial, q.serial_len);
    if (pthread_mutex_lock(&index->lock) != 0)
        return est_fail_memory(err);
    estuary_status status = ESTUARY_OK;
    if (other == 0 && q.serial_len > 0)
        status = search(index, &q, err);
    if (status == ESTUARY_OK)
        status = check_file(index, &q, err);
    (void)pthread_mutex_unlock(&index->lock);
    if (status != ESTUARY_OK)
        *out = (est_crl){.reason = -1};
    return status;
}
