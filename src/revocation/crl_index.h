/*
 * crl_index_*.c: an index of one cached CRL. A file of 4 KiB pages: first a header that says which CRL file
 * it is of, what that CRL says of itself, and the root; then a B-tree whose inner records carry the digests
 * of the pages below, so that every page is checked against the root before it is believed. The header is
 * authenticated with a key of this cache. docs/revocation.md says against what all that helps.
 */
#ifndef EST_REVOCATION_CRL_INDEX_H
#define EST_REVOCATION_CRL_INDEX_H

#include "revocation/revocation.h"

#include <pthread.h>
#include <sys/stat.h>

#define INDEX_PAGE       4096
#define INDEX_LEAVES     (INDEX_PAGE / sizeof(est_index_leaf))
#define INDEX_CHILDREN   (INDEX_PAGE / sizeof(est_index_child))
#define INDEX_LEVELS     10
#define INDEX_HASH       32
#define INDEX_HEADER_MAX (1024 * 1024)
#define INDEX_ENTRY_MAX  (128 * 1024) /* no entry that the reader takes is longer */

/* What a revoked certificate's serial became, and where its entry stands in the DER. Native byte order: the
 * file stays on this machine, and its header says in which order it was written. */
typedef struct est_index_leaf {
    uint64_t fingerprint;
    uint64_t offset;
} est_index_leaf;

typedef struct est_index_child {
    uint64_t first; /* fingerprint in the page below */
    uint8_t hash[INDEX_HASH];
} est_index_child;

/* How many records and pages there are at each level; level 0 holds the leaves, the last one is one page. */
typedef struct est_index_shape {
    size_t levels;
    uint64_t records[INDEX_LEVELS];
    uint64_t pages[INDEX_LEVELS];
    uint64_t start[INDEX_LEVELS]; /* number of its first page, not counting the header */
    uint64_t all_pages;
} est_index_shape;

bool est_index_shape_make(uint64_t entries, est_index_shape *shape);
/* Of a serial; keyed, so that nobody can choose serials that meet (SipHash-2-4). */
uint64_t est_index_fingerprint(const uint64_t key[2], const uint8_t *serial, size_t len);
bool est_index_hash(const uint8_t *page, uint8_t out[INDEX_HASH]);

/* The CRL's file as it was when it was verified. */
typedef struct est_index_identity {
    uint64_t device, inode, size, owner, group, mode;
    int64_t modified, modified_ns, changed, changed_ns;
} est_index_identity;
bool est_index_identity_of(int fd, est_index_identity *out);
bool est_index_identity_at(int folder, const char *name, est_index_identity *out);

/* crl_index_facts.c: what stands in the header. */
typedef struct est_index_header {
    est_index_identity crl_file;
    uint64_t key[2]; /* of the fingerprints */
    uint64_t entries;
    uint8_t root[INDEX_HASH];
    est_crl *facts; /* owned */
} est_index_header;

/* Whole pages, authenticated; *out is freed with est_free(). */
estuary_status est_index_header_write(const est_index_header *header, const est_crl *facts,
                                      const uint8_t mac_key[INDEX_HASH], const char *name, uint8_t **out,
                                      size_t *len, estuary_error *err);
/* From the beginning of the file; nothing of it is read before its authentication. */
estuary_status est_index_header_read(int fd, const uint8_t mac_key[INDEX_HASH], const char *name,
                                     est_index_header *header, uint64_t *pages, estuary_error *err);

/* crl_index_key.c: the key of the cache's folder, made at first use when `make` says so. */
estuary_status est_index_mac_key(int folder, bool make, uint8_t out[INDEX_HASH], estuary_error *err);

/* crl_index_sort.c: by fingerprint, in place. */
void est_index_sort(est_index_leaf *records, size_t count);

#endif
