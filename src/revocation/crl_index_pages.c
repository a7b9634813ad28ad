/* What the writer and the reader of an index must agree on. */
#include "revocation/crl_index.h"

#include <endian.h>
#include <openssl/evp.h>
#include <string.h>

bool est_index_shape_make(uint64_t entries, est_index_shape *shape)
{
    memset(shape, 0, sizeof(*shape));
    if (entries > UINT64_MAX / INDEX_PAGE / 2)
        return false;
    uint64_t records = entries, per_page = INDEX_LEAVES;
    while (records > 0) {
        size_t level = shape->levels;
        if (level == INDEX_LEVELS)
            return false;
        shape->records[level] = records;
        shape->pages[level] = (records + per_page - 1) / per_page;
        shape->start[level] = shape->all_pages;
        shape->all_pages += shape->pages[level];
        shape->levels++;
        records = shape->pages[level] == 1 ? 0 : shape->pages[level];
        per_page = INDEX_CHILDREN;
    }
    return true;
}

#define ROTATE(x, by) ((x) << (by) | (x) >> (64 - (by)))

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = ROTATE(v[1], 13) ^ v[0];
    v[3] = ROTATE(v[3], 16) ^ v[2];
    v[0] = ROTATE(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = ROTATE(v[1], 17) ^ v[2];
    v[3] = ROTATE(v[3], 21) ^ v[0];
    v[2] = ROTATE(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    sip_round(v);
    v[0] ^= word;
}

uint64_t est_index_fingerprint(const uint64_t key[2], const uint8_t *serial, size_t len)
{
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du, key[0] ^ 0x6c7967656e657261u,
                     key[1] ^ 0x7465646279746573u};
    uint64_t word = 0, last = (uint64_t)len << 56;
    for (; len >= sizeof(word); serial += sizeof(word), len -= sizeof(word)) {
        memcpy(&word, serial, sizeof(word));
        sip_word(v, le64toh(word));
    }
    word = 0;
    memcpy(&word, serial, len);
    sip_word(v, last | le64toh(word));
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

bool est_index_hash(const uint8_t *page, uint8_t out[INDEX_HASH])
{
    size_t len = 0;
    return EVP_Q_digest(NULL, "SHA256", NULL, page, INDEX_PAGE, out, &len) == 1 && len == INDEX_HASH;
}
