/* The OCSP responses kept in memory (R2): a hash table and, for the bound, a list by last use. */
#include "revocation/ocsp.h"

#include <string.h>

#define BUCKETS_MIN 16
#define BUCKETS_MAX 65536

typedef struct node {
    est_ocsp_entry entry; /* first: an entry is its node */
    struct node *next;    /* in its bucket */
    struct node *newer, *older;
} node;

struct est_ocsp_memory {
    node **buckets;
    size_t mask; /* their number less one; a power of two */
    size_t count, max;
    node *newest, *oldest;
};

/* --- one entry --- */

void est_ocsp_entry_clear(est_ocsp_entry *entry)
{
    est_free(entry->url);
    X509_free(entry->certificate);
    X509_free(entry->issuer);
    *entry = (est_ocsp_entry){.reason = -1};
}

bool est_ocsp_entry_is_final(const est_ocsp_entry *entry)
{
    return entry->status == ESTUARY_REVOCATION_REVOKED && entry->reason != CRL_REASON_CERTIFICATE_HOLD;
}

bool est_ocsp_entry_may_replace(const est_ocsp_entry *there, const est_ocsp_entry *fresh)
{
    if (est_ocsp_entry_is_final(fresh) != est_ocsp_entry_is_final(there))
        return est_ocsp_entry_is_final(fresh);
    if (fresh->this_update != there->this_update)
        return fresh->this_update > there->this_update;
    return fresh->status >= there->status && fresh->next_update >= there->next_update;
}

bool est_ocsp_entry_is_usable(const est_ocsp_entry *entry, const est_question *question)
{
    estuary_verdict why = {0};
    if (est_ocsp_entry_is_final(entry))
        return true; /* R0: it stays revoked, whatever the clock says */
    if (entry->signer_ends != 0 && entry->signer_ends < question->now - question->skew)
        return false;
    return est_question_is_fresh(question, entry->this_update, entry->next_update, "the OCSP response", &why);
}

void est_ocsp_entry_tell(const est_ocsp_entry *entry, estuary_verdict *verdict)
{
    memset(verdict, 0, sizeof(*verdict));
    verdict->evidence = ESTUARY_REVOCATION_OCSP;
    verdict->cached = true;
    verdict->reason = entry->reason;
    verdict->revoked_at = entry->revoked_at;
    verdict->this_update = entry->this_update;
    verdict->next_update = entry->next_update;
    est_verdict_set_origin(verdict, entry->url);
    verdict->status = entry->status;
}

/* --- the table --- */

est_ocsp_memory *est_ocsp_memory_new(size_t max)
{
    size_t buckets = BUCKETS_MIN;
    while (buckets < max && buckets < BUCKETS_MAX)
        buckets *= 2;
    est_ocsp_memory *memory = est_alloc(sizeof(*memory));
    if (memory == NULL)
        return NULL;
    memory->buckets = est_alloc(buckets * sizeof(node *));
    memory->mask = buckets - 1;
    memory->max = max > 0 ? max : 1;
    if (memory->buckets != NULL)
        return memory;
    est_free(memory);
    return NULL;
}

/* The key is a SHA-256 over what a CA has a say in, not over what an attacker may choose freely. */
static node **bucket_of(est_ocsp_memory *memory, const uint8_t *key)
{
    uint32_t hash;
    memcpy(&hash, key, sizeof(hash));
    return &memory->buckets[hash & memory->mask];
}

static void unlink_use(est_ocsp_memory *memory, node *one)
{
    *(one->newer != NULL ? &one->newer->older : &memory->newest) = one->older;
    *(one->older != NULL ? &one->older->newer : &memory->oldest) = one->newer;
    one->newer = one->older = NULL;
}

static void link_newest(est_ocsp_memory *memory, node *one)
{
    one->older = memory->newest;
    if (memory->newest != NULL)
        memory->newest->newer = one;
    memory->newest = one;
    if (memory->oldest == NULL)
        memory->oldest = one;
}

static void drop(est_ocsp_memory *memory, node *one)
{
    node **at = bucket_of(memory, one->entry.key);
    while (*at != one)
        at = &(*at)->next;
    *at = one->next;
    unlink_use(memory, one);
    est_ocsp_entry_clear(&one->entry);
    est_free(one);
    memory->count--;
}

void est_ocsp_memory_drop(est_ocsp_memory *memory, const uint8_t key[EST_OCSP_KEY_SIZE])
{
    est_ocsp_entry *entry = est_ocsp_memory_find(memory, key);
    if (entry != NULL)
        drop(memory, memory->newest); /* found is used: it is the newest now */
}

static void make_room(est_ocsp_memory *memory)
{
    node *victim = memory->oldest;
    if (memory->count < memory->max)
        return;
    while (victim != NULL && victim->entry.status == ESTUARY_REVOCATION_REVOKED)
        victim = victim->newer;
    drop(memory, victim != NULL ? victim : memory->oldest);
}

est_ocsp_entry *est_ocsp_memory_find(est_ocsp_memory *memory, const uint8_t key[EST_OCSP_KEY_SIZE])
{
    node *one = *bucket_of(memory, key);
    while (one != NULL && memcmp(one->entry.key, key, EST_OCSP_KEY_SIZE) != 0)
        one = one->next;
    if (one == NULL)
        return NULL;
    unlink_use(memory, one);
    link_newest(memory, one);
    return &one->entry;
}

/* Certificates of one CA share their issuer, so that it is kept once. */
static void share_issuer(const est_ocsp_memory *memory, est_ocsp_entry *entry)
{
    for (node *one = memory->newest; one != NULL; one = one->older) {
        if (one->entry.issuer == entry->issuer)
            return;
        if (one->entry.issuer != NULL && X509_cmp(one->entry.issuer, entry->issuer) == 0 &&
            X509_up_ref(one->entry.issuer) == 1) {
            X509_free(entry->issuer);
            entry->issuer = one->entry.issuer;
            return;
        }
    }
}

void est_ocsp_memory_put(est_ocsp_memory *memory, est_ocsp_entry *entry)
{
    est_ocsp_entry *there = est_ocsp_memory_find(memory, entry->key);
    if (there != NULL) {
        est_ocsp_entry_clear(there);
        *there = *entry;
        *entry = (est_ocsp_entry){.reason = -1};
        return;
    }
    node *one = est_alloc(sizeof(*one));
    if (one == NULL) {
        est_ocsp_entry_clear(entry);
        return;
    }
    if (entry->issuer != NULL)
        share_issuer(memory, entry);
    make_room(memory);
    one->entry = *entry;
    *entry = (est_ocsp_entry){.reason = -1};
    node **bucket = bucket_of(memory, one->entry.key);
    one->next = *bucket;
    *bucket = one;
    link_newest(memory, one);
    memory->count++;
}

size_t est_ocsp_memory_count(const est_ocsp_memory *memory)
{
    return memory->count;
}

const est_ocsp_entry *est_ocsp_memory_next(const est_ocsp_memory *memory, const est_ocsp_entry *entry)
{
    const node *next = entry == NULL ? memory->newest : ((const node *)(const void *)entry)->older;
    return next == NULL ? NULL : &next->entry;
}

void est_ocsp_memory_empty(est_ocsp_memory *memory)
{
    while (memory->oldest != NULL)
        drop(memory, memory->oldest);
}

void est_ocsp_memory_free(est_ocsp_memory *memory)
{
    if (memory == NULL)
        return;
    est_ocsp_memory_empty(memory);
    est_free(memory->buckets);
    est_free(memory);
}
