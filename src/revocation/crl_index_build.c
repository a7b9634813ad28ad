/* Building the index of a CRL: another verified pass over its file, or several when memory is short. */
#include "revocation/crl_index.h"

#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CHUNK       (64 * 1024)
#define OVERHEAD    ((uint64_t)256 * 1024) /* pages under construction, the reader, the chunk */
#define MIN_RECORDS 1024
#define MAX_PASSES  1024

typedef struct level {
    uint8_t page[INDEX_PAGE];
    size_t used;
    uint64_t first; /* fingerprint in it */
    uint64_t written;
} level;

typedef struct est_crl_indexing {
    int crl_fd, folder, fd;
    char name[EST_CRL_INDEX_NAME], temporary[64];
    uint8_t mac_key[INDEX_HASH];
    const est_crl *crl;
    STACK_OF(X509) *signers;
    est_index_header header;
    est_index_shape shape;
    uint64_t header_len;
    est_index_leaf *records;
    size_t count, capacity;
    uint64_t passes, pass;
    uint64_t from, to; /* the fingerprints of this pass, both included */
    bool is_full, was_full;
    level *levels; /* INDEX_LEVELS of them */
    uint8_t *chunk;
    est_crl_reader *reader; /* of this pass */
    uint64_t at;            /* in the CRL's file */
} builder;

static estuary_status refuse(estuary_error *err, const char *why)
{
    return est_fail(err, EST_CRL_INDEX, "the index of the cached CRL cannot be made: %s", why);
}

/* --- pages --- */

static estuary_status write_page(builder *b, size_t at_level, estuary_error *err);

static estuary_status put_record(builder *b, size_t at_level, const void *record, size_t len,
                                 uint64_t fingerprint, estuary_error *err)
{
    level *l = &b->levels[at_level];
    if (l->used == 0)
        l->first = fingerprint;
    memcpy(l->page + l->used, record, len);
    l->used += len;
    return l->used + len > INDEX_PAGE ? write_page(b, at_level, err) : ESTUARY_OK;
}

/* Its digest goes into the page above; that of the uppermost is the root. */
static estuary_status write_page(builder *b, size_t at_level, estuary_error *err)
{
    level *l = &b->levels[at_level];
    est_index_child child = {.first = l->first};
    off_t at = (off_t)(b->header_len + (b->shape.start[at_level] + l->written) * INDEX_PAGE);
    memset(l->page + l->used, 0, INDEX_PAGE - l->used);
    if (!est_index_hash(l->page, child.hash))
        return est_fail_openssl(err, EST_CRL_INDEX, NULL);
    if (l->written == b->shape.pages[at_level])
        return refuse(err, "the CRL holds more entries than before");
    if (pwrite(b->fd, l->page, INDEX_PAGE, at) != INDEX_PAGE)
        return est_fail_errno(err, EST_CRL_INDEX, "the index of the cached CRL cannot be written");
    l->written++;
    l->used = 0;
    if (at_level + 1 < b->shape.levels)
        return put_record(b, at_level + 1, &child, sizeof(child), child.first, err);
    memcpy(b->header.root, child.hash, sizeof(b->header.root));
    return ESTUARY_OK;
}

static estuary_status write_what_is_left(builder *b, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    for (size_t i = 0; i < b->shape.levels && status == ESTUARY_OK; i++) {
        if (b->levels[i].used > 0)
            status = write_page(b, i, err);
        if (status == ESTUARY_OK && b->levels[i].written != b->shape.pages[i])
            status = refuse(err, "the CRL holds fewer entries than before");
    }
    return status;
}

/* --- passes --- */

static estuary_status on_entry(void *arg, const est_crl_entry *entry, estuary_error *err)
{
    builder *b = arg;
    if (entry->issuer != NULL)
        return refuse(err, "it is an indirect CRL");
    uint64_t fingerprint = est_index_fingerprint(b->header.key, entry->serial, entry->serial_len);
    if (fingerprint < b->from || fingerprint > b->to)
        return ESTUARY_OK;
    b->is_full = b->count == b->capacity;
    if (b->is_full)
        return refuse(err, "too many entries look alike");
    b->records[b->count++] = (est_index_leaf){fingerprint, entry->offset};
    return ESTUARY_OK;
}

/* What is indexed is verified again: the file may be another one by now. */
static estuary_status begin_pass(builder *b, estuary_error *err)
{
    uint64_t width = UINT64_MAX / b->passes;
    b->from = b->pass == 0 ? 0 : b->to + 1;
    b->to = b->pass + 1 == b->passes ? UINT64_MAX : b->from + width;
    b->count = 0;
    b->at = 0;
    est_crl_reader_free(b->reader);
    b->reader = NULL;
    estuary_status status = est_crl_reader_new(NULL, b->crl->bytes, &b->reader, err);
    if (status == ESTUARY_OK)
        est_crl_reader_on_entry(b->reader, on_entry, b);
    return status;
}

/* At most *left bytes. */
static estuary_status feed_file(builder *b, uint64_t *left, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    while (status == ESTUARY_OK && b->at<b->crl->bytes && * left> 0) {
        ssize_t len = pread(b->crl_fd, b->chunk, *left < CHUNK ? (size_t)*left : CHUNK, (off_t)b->at);
        if (len <= 0)
            return est_fail_errno(err, EST_CRL_INDEX, "the cached CRL cannot be read");
        status = est_crl_reader_feed(b->reader, b->chunk, (size_t)len, err);
        b->at += (uint64_t)len;
        *left -= (uint64_t)len;
    }
    return status;
}

static estuary_status end_pass(builder *b, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_crl *again = NULL;
    EST_TRY(est_crl_reader_final(b->reader, b->signers, &again, err));
    if (memcmp(again->digest, b->crl->digest, sizeof(again->digest)) != 0 ||
        again->entries != b->crl->entries) {
        status = refuse(err, "the cached CRL is another one");
        goto cleanup;
    }
    est_index_sort(b->records, b->count);
    for (size_t i = 0; i < b->count && status == ESTUARY_OK; i++)
        status = put_record(b, 0, &b->records[i], sizeof(b->records[i]), b->records[i].fingerprint, err);
    b->pass++;

cleanup:
    est_crl_free(again);
    return status;
}

/* Fingerprints are spread evenly, so equal ranges hold about as many each. */
static estuary_status begin_passes(builder *b, uint64_t passes, estuary_error *err)
{
    memset(b->levels, 0, INDEX_LEVELS * sizeof(*b->levels));
    b->passes = passes;
    b->pass = 0;
    b->is_full = false;
    return passes > MAX_PASSES ? refuse(err, "it needs more memory") : begin_pass(b, err);
}

static estuary_status make_room(builder *b, uint64_t max_memory, estuary_error *err)
{
    uint64_t most = max_memory > OVERHEAD ? (max_memory - OVERHEAD) / sizeof(*b->records) : 0;
    if (most < MIN_RECORDS)
        most = MIN_RECORDS;
    b->capacity = (size_t)(b->crl->entries < most ? b->crl->entries : most);
    b->records = est_alloc(b->capacity * sizeof(*b->records));
    b->levels = est_alloc(INDEX_LEVELS * sizeof(*b->levels));
    b->chunk = est_alloc(CHUNK);
    if (b->records == NULL || b->levels == NULL || b->chunk == NULL)
        return est_fail_memory(err);
    uint64_t passes = (b->crl->entries + most - 1) / most;
    return begin_passes(b, passes <= 1 ? 1 : passes + 1 + passes / 8, err); /* even is not equal */
}

/* The pass goes on, ends, or shows that there must be more of them. */
static estuary_status go_on(builder *b, uint64_t *left, estuary_error *err)
{
    estuary_status status = feed_file(b, left, err);
    if (status == ESTUARY_OK && b->at == b->crl->bytes)
        status = end_pass(b, err);
    else if (status == ESTUARY_OK)
        return status;
    if (status != ESTUARY_OK && b->is_full && !b->was_full) {
        b->was_full = true;
        return begin_passes(b, b->passes * 2, err);
    }
    return status == ESTUARY_OK && b->pass < b->passes ? begin_pass(b, err) : status;
}

/* --- the file --- */

static estuary_status write_header(builder *b, const uint8_t mac_key[INDEX_HASH], const char *name,
                                   estuary_error *err)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    estuary_status status = est_index_header_write(&b->header, b->crl, mac_key, name, &bytes, &len, err);
    if (status == ESTUARY_OK && b->fd >= 0 && pwrite(b->fd, bytes, len, 0) != (ssize_t)len)
        status = est_fail_errno(err, EST_CRL_INDEX, "the index of the cached CRL cannot be written");
    b->header_len = len;
    est_free(bytes);
    return status;
}

/* Nothing is synced: an index that a crash tore does not authenticate and is made again. */
static estuary_status finish(builder *b, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_index_identity after;
    EST_TRY(write_what_is_left(b, err));
    if (!est_index_identity_of(b->crl_fd, &after) ||
        memcmp(&after, &b->header.crl_file, sizeof(after)) != 0) {
        status = refuse(err, "the cached CRL changed");
        goto cleanup;
    }
    EST_TRY(write_header(b, b->mac_key, b->name, err));
    if (renameat(b->folder, b->temporary, b->folder, b->name) != 0)
        EST_FAIL_ERRNO(EST_CRL_INDEX, "the index of the cached CRL cannot be written");
    b->temporary[0] = '\0';

cleanup:
    return status;
}

static estuary_status prepare(builder *b, estuary_error *err)
{
    if (!est_index_identity_of(b->crl_fd, &b->header.crl_file))
        return est_fail_errno(err, EST_CRL_INDEX, "the cached CRL cannot be read");
    if (b->header.crl_file.size != b->crl->bytes)
        return refuse(err, "the cached CRL is not DER, or another one");
    if (b->crl->indirect)
        return refuse(err, "it is an indirect CRL");
    b->header.entries = b->crl->entries;
    if (!est_index_shape_make(b->crl->entries, &b->shape))
        return refuse(err, "it holds too many entries");
    if (RAND_bytes((uint8_t *)b->header.key, sizeof(b->header.key)) != 1)
        return est_fail_openssl(err, EST_CRL_INDEX, NULL);
    return ESTUARY_OK;
}

static bool temporary_name(char *out, size_t size)
{
    uint64_t number;
    return RAND_bytes((uint8_t *)&number, sizeof(number)) == 1 &&
           snprintf(out, size, ".new-index-%016llx", (unsigned long long)number) > 0;
}

static estuary_status make_file(builder *b, estuary_error *err)
{
    estuary_status status = est_index_mac_key(b->folder, true, b->mac_key, err);
    if (status != ESTUARY_OK)
        return status;
    if (!temporary_name(b->temporary, sizeof(b->temporary)))
        return est_fail_openssl(err, EST_CRL_INDEX, NULL);
    b->fd = openat(b->folder, b->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                   S_IRUSR | S_IWUSR);
    if (b->fd >= 0)
        return write_header(b, b->mac_key, b->name, err); /* its length; the root comes later */
    b->temporary[0] = '\0';
    return est_fail_errno(err, EST_CRL_INDEX, "the index of the cached CRL cannot be written");
}

void est_crl_indexing_free(est_crl_indexing *indexing)
{
    if (indexing == NULL)
        return;
    if (indexing->temporary[0] != '\0')
        (void)unlinkat(indexing->folder, indexing->temporary, 0);
    if (indexing->fd >= 0)
        (void)close(indexing->fd);
    OPENSSL_cleanse(indexing->mac_key, sizeof(indexing->mac_key));
    est_crl_reader_free(indexing->reader);
    est_free(indexing->records);
    est_free(indexing->levels);
    est_free(indexing->chunk);
    sk_X509_free(indexing->signers);
    est_free(indexing);
}

estuary_status est_crl_indexing_new(int crl_fd, const est_crl *crl, int folder, const char *name,
                                    uint64_t max_memory, est_crl_indexing **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    *out = NULL;
    builder *b = est_alloc(sizeof(*b));
    if (b == NULL)
        return est_fail_memory(err);
    b->crl_fd = crl_fd;
    b->folder = folder;
    b->fd = -1;
    b->crl = crl;
    snprintf(b->name, sizeof(b->name), "%s", name);
    b->signers = sk_X509_new_null();
    if (b->signers == NULL || sk_X509_push(b->signers, crl->signer) <= 0) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    EST_TRY(prepare(b, err));
    EST_TRY(make_file(b, err));
    EST_TRY(make_room(b, max_memory, err));
    *out = b;
    b = NULL;

cleanup:
    est_crl_indexing_free(b);
    return status;
}

estuary_status est_crl_indexing_step(est_crl_indexing *indexing, uint64_t *left, bool *done,
                                     estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    *done = false;
    while (status == ESTUARY_OK && *left > 0 && indexing->pass < indexing->passes)
        status = go_on(indexing, left, err);
    if (status != ESTUARY_OK || indexing->pass < indexing->passes)
        return status;
    *done = true;
    return finish(indexing, err);
}

estuary_status est_crl_index_build(int crl_fd, const est_crl *crl, int folder, const char *name,
                                   uint64_t max_memory, estuary_error *err)
{
    est_crl_indexing *indexing = NULL;
    bool done = false;
    uint64_t left = UINT64_MAX;
    estuary_status status = est_crl_indexing_new(crl_fd, crl, folder, name, max_memory, &indexing, err);
    if (status == ESTUARY_OK && indexing != NULL)
        status = est_crl_indexing_step(indexing, &left, &done, err);
    est_crl_indexing_free(indexing);
    return status;
}
