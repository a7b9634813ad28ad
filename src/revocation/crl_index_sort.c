/* Fingerprints are spread evenly: by their bytes, from the highest, without memory of its own. */
#include "revocation/crl_index.h"

#include <string.h>

#define FEW 32 /* fewer are sorted by insertion */

static bool is_before(const est_index_leaf *a, const est_index_leaf *b)
{
    return a->fingerprint != b->fingerprint ? a->fingerprint < b->fingerprint : a->offset < b->offset;
}

static void insert(est_index_leaf *records, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        est_index_leaf record = records[i];
        size_t at = i;
        for (; at > 0 && is_before(&record, &records[at - 1]); at--)
            records[at] = records[at - 1];
        records[at] = record;
    }
}

static uint8_t byte_of(const est_index_leaf *record, int shift)
{
    return (uint8_t)(record->fingerprint >> shift);
}

/* Each record goes to the place where its byte's ones begin, until all have (American flag sort). */
static void distribute(est_index_leaf *records, size_t count, int shift, size_t ends[256])
{
    size_t counts[256] = {0}, next[256];
    for (size_t i = 0; i < count; i++)
        counts[byte_of(&records[i], shift)]++;
    for (size_t b = 0, sum = 0; b < 256; b++) {
        next[b] = sum;
        sum += counts[b];
        ends[b] = sum;
    }
    for (size_t b = 0; b < 256; b++)
        while (next[b] < ends[b]) {
            est_index_leaf record = records[next[b]];
            for (uint8_t home = byte_of(&record, shift); home != b; home = byte_of(&record, shift)) {
                est_index_leaf other = records[next[home]];
                records[next[home]++] = record;
                record = other;
            }
            records[next[b]++] = record;
        }
}

/* Depth is bounded by the eight bytes. */
static void sort_by(est_index_leaf *records, size_t count, int shift)
{
    size_t ends[256];
    if (count <= FEW) {
        insert(records, count);
        return;
    }
    if (shift < 0) /* all equal: in what order does not matter */
        return;
    distribute(records, count, shift, ends);
    for (size_t b = 0, start = 0; b < 256; start = ends[b], b++)
        sort_by(records + start, ends[b] - start, shift - 8);
}

void est_index_sort(est_index_leaf *records, size_t count)
{
    sort_by(records, count, 56);
}
