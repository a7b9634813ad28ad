/* The header of an index: which file it is of, and what the CRL in it says of itself. */
#include "revocation/crl_index.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <unistd.h>

#define MAGIC      "estuary CRL index 1" /* with its NUL */
#define THIS_ORDER 0x0102030405060708u

/* The fixed part; blobs follow, each with its length in front, then the authentication. */
typedef struct fixed {
    char magic[24];
    uint64_t byte_order;
    uint64_t len; /* of all of the header but the padding to whole pages */
    est_index_identity crl_file;
    uint64_t key[2];
    uint64_t entries, bytes;
    int64_t this_update, next_update;
    uint8_t root[INDEX_HASH];
    uint8_t digest[INDEX_HASH];
} fixed;

static bool take_identity(const struct stat *info, est_index_identity *out)
{
    *out = (est_index_identity){.device = info->st_dev,
                                .inode = info->st_ino,
                                .size = (uint64_t)info->st_size,
                                .owner = info->st_uid,
                                .group = info->st_gid,
                                .mode = info->st_mode,
                                .modified = info->st_mtim.tv_sec,
                                .modified_ns = info->st_mtim.tv_nsec,
                                .changed = info->st_ctim.tv_sec,
                                .changed_ns = info->st_ctim.tv_nsec};
    return S_ISREG(info->st_mode);
}

bool est_index_identity_of(int fd, est_index_identity *out)
{
    struct stat info;
    return fstat(fd, &info) == 0 && take_identity(&info, out);
}

bool est_index_identity_at(int folder, const char *name, est_index_identity *out)
{
    struct stat info;
    return fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && take_identity(&info, out);
}

/* Bound to the name as well: an index does not serve another CRL's file. */
static bool authenticate(const uint8_t mac_key[INDEX_HASH], const char *name, const uint8_t *bytes,
                         size_t len, uint8_t out[INDEX_HASH])
{
    uint8_t key[INDEX_HASH];
    unsigned size = 0;
    const EVP_MD *sha256 = EVP_sha256();
    bool done = HMAC(sha256, mac_key, INDEX_HASH, (const uint8_t *)name, strlen(name), key, &size) != NULL &&
                HMAC(sha256, key, sizeof(key), bytes, len, out, &size) != NULL;
    OPENSSL_cleanse(key, sizeof(key));
    return done && size == INDEX_HASH;
}

static bool put(est_buf *buf, const void *bytes, size_t len)
{
    return est_buf_append(buf, bytes, len) == EST_APPEND_OK;
}

/* NULL is written as nothing, which no DER is. */
static bool put_value(est_buf *buf, const void *value, const ASN1_ITEM *item)
{
    uint8_t *der = NULL;
    int len = value == NULL ? 0 : ASN1_item_i2d(value, &der, item);
    uint64_t size = len < 0 ? 0 : (uint64_t)len;
    bool done =
        len >= 0 && (value == NULL || len > 0) && put(buf, &size, sizeof(size)) && put(buf, der, size);
    OPENSSL_free(der);
    return done;
}

static bool put_facts(est_buf *buf, const est_crl *facts)
{
    return put_value(buf, facts->signer, ASN1_ITEM_rptr(X509)) &&
           put_value(buf, facts->issuer, ASN1_ITEM_rptr(X509_NAME)) &&
           put_value(buf, facts->idp, ASN1_ITEM_rptr(ISSUING_DIST_POINT)) &&
           put_value(buf, facts->akid, ASN1_ITEM_rptr(AUTHORITY_KEYID)) &&
           put_value(buf, facts->number, ASN1_ITEM_rptr(ASN1_INTEGER)) &&
           put_value(buf, facts->base_number, ASN1_ITEM_rptr(ASN1_INTEGER)) &&
           put_value(buf, facts->freshest, ASN1_ITEM_rptr(CRL_DIST_POINTS));
}

static bool put_padding(est_buf *buf)
{
    static const uint8_t zeros[INDEX_PAGE];
    return buf->len % INDEX_PAGE == 0 || put(buf, zeros, INDEX_PAGE - buf->len % INDEX_PAGE);
}

estuary_status est_index_header_write(const est_index_header *header, const est_crl *facts,
                                      const uint8_t mac_key[INDEX_HASH], const char *name, uint8_t **out,
                                      size_t *len, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_buf buf = {.max = INDEX_HEADER_MAX};
    uint8_t mac[INDEX_HASH];
    fixed start;
    memset(&start, 0, sizeof(start));
    memcpy(start.magic, MAGIC, sizeof(MAGIC));
    start.byte_order = THIS_ORDER;
    start.crl_file = header->crl_file;
    memcpy(start.key, header->key, sizeof(start.key));
    start.entries = header->entries;
    start.bytes = facts->bytes;
    start.this_update = facts->this_update;
    start.next_update = facts->next_update;
    memcpy(start.root, header->root, sizeof(start.root));
    memcpy(start.digest, facts->digest, sizeof(start.digest));
    if (!put(&buf, &start, sizeof(start)) || !put_facts(&buf, facts))
        EST_FAIL_OPENSSL(EST_CRL_INDEX, "the index of the cached CRL cannot be made");
    start.len = buf.len + sizeof(mac);
    memcpy(buf.data, &start, sizeof(start));
    if (!authenticate(mac_key, name, buf.data, buf.len, mac) || !put(&buf, mac, sizeof(mac)) ||
        !put_padding(&buf))
        EST_FAIL_OPENSSL(EST_CRL_INDEX, "the index of the cached CRL cannot be made");
    *out = buf.data;
    *len = buf.len;
    buf.data = NULL;

cleanup:
    est_buf_free(&buf);
    return status;
}

/* false when it is broken; the pointer at `out` stays NULL when there is none. */
static bool take_value(const uint8_t **at, const uint8_t *end, const ASN1_ITEM *item, void *out)
{
    uint64_t size;
    long len;
    if ((size_t)(end - *at) < sizeof(size))
        return false;
    memcpy(&size, *at, sizeof(size));
    *at += sizeof(size);
    if (size > (uint64_t)(end - *at) || !est_size_to_long((size_t)size, &len))
        return false;
    const uint8_t *der = *at;
    *at += size;
    if (size == 0)
        return true;
    ASN1_VALUE *value = ASN1_item_d2i(NULL, &der, len, item);
    memcpy(out, &value, sizeof(value)); /* pointers to structures are all alike */
    return value != NULL && der == *at;
}

static bool take_facts(const uint8_t *at, const uint8_t *end, est_crl *facts)
{
    return take_value(&at, end, ASN1_ITEM_rptr(X509), &facts->signer) &&
           take_value(&at, end, ASN1_ITEM_rptr(X509_NAME), &facts->issuer) &&
           take_value(&at, end, ASN1_ITEM_rptr(ISSUING_DIST_POINT), &facts->idp) &&
           take_value(&at, end, ASN1_ITEM_rptr(AUTHORITY_KEYID), &facts->akid) &&
           take_value(&at, end, ASN1_ITEM_rptr(ASN1_INTEGER), &facts->number) &&
           take_value(&at, end, ASN1_ITEM_rptr(ASN1_INTEGER), &facts->base_number) &&
           take_value(&at, end, ASN1_ITEM_rptr(CRL_DIST_POINTS), &facts->freshest) && at == end &&
           facts->signer != NULL && facts->issuer != NULL;
}

static est_crl *make_facts(const fixed *start, const uint8_t *at, const uint8_t *end)
{
    est_crl *facts = est_alloc(sizeof(*facts));
    if (facts == NULL)
        return NULL;
    facts->reason = -1;
    facts->this_update = (time_t)start->this_update;
    facts->next_update = (time_t)start->next_update;
    facts->entries = start->entries;
    facts->bytes = start->bytes;
    memcpy(facts->digest, start->digest, sizeof(facts->digest));
    if (take_facts(at, end, facts))
        return facts;
    est_crl_free(facts);
    return NULL;
}

static bool read_bytes(int fd, void *out, size_t len)
{
    return pread(fd, out, len, 0) == (ssize_t)len;
}

static bool is_authentic(const uint8_t mac_key[INDEX_HASH], const char *name, const uint8_t *bytes,
                         size_t len)
{
    uint8_t mac[INDEX_HASH];
    size_t signed_len = len - sizeof(mac);
    return authenticate(mac_key, name, bytes, signed_len, mac) &&
           CRYPTO_memcmp(mac, bytes + signed_len, sizeof(mac)) == 0;
}

estuary_status est_index_header_read(int fd, const uint8_t mac_key[INDEX_HASH], const char *name,
                                     est_index_header *header, uint64_t *pages, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    fixed start;
    uint8_t *bytes = NULL;
    size_t len = 0;
    if (!read_bytes(fd, &start, sizeof(start)) || memcmp(start.magic, MAGIC, sizeof(MAGIC)) != 0 ||
        start.byte_order != THIS_ORDER || start.len > INDEX_HEADER_MAX ||
        start.len < sizeof(start) + INDEX_HASH)
        EST_FAIL(EST_CRL_INDEX, "the index of the cached CRL is not one of this version");
    len = (size_t)start.len;
    bytes = est_alloc(len);
    if (bytes == NULL) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    if (!read_bytes(fd, bytes, len) || !is_authentic(mac_key, name, bytes, len))
        EST_FAIL(EST_CRL_INDEX, "the index of the cached CRL was changed by somebody else");
    memcpy(&start, bytes, sizeof(start)); /* what was authenticated, not what was read first */
    header->crl_file = start.crl_file;
    memcpy(header->key, start.key, sizeof(header->key));
    header->entries = start.entries;
    memcpy(header->root, start.root, sizeof(header->root));
    *pages = (len + INDEX_PAGE - 1) / INDEX_PAGE;
    header->facts = make_facts(&start, bytes + sizeof(start), bytes + len - INDEX_HASH);
    if (header->facts == NULL)
        EST_FAIL_OPENSSL(EST_CRL_INDEX, "the index of the cached CRL cannot be read");

cleanup:
    est_free(bytes);
    return status;
}
