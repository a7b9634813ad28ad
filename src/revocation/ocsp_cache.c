/*
 * OCSP responses kept (R2): what was judged before is found again by certificate and issuer, in memory
 * without verifying anything, from the folder by judging it anew. Who calls has seen to R0: the issuer's key,
 * which is part of what entries are found by, signed the certificate.
 *
 * Locks: `disk` is taken before `lock`; warm hits take `lock` alone.
 */
#include "revocation/ocsp.h"

#include <openssl/err.h>
#include <pthread.h>
#include <string.h>

struct est_ocsp_cache {
    pthread_mutex_t lock; /* memory */
    pthread_mutex_t disk; /* comparing and replacing in the folder */
    est_ocsp_memory *memory;
    size_t max;
    int folder; /* lent; -1: none */
};

/* --- the key --- */

static bool add_part(EVP_MD_CTX *ctx, const void *bytes, size_t len)
{
    uint64_t size =
        len; /* so that parts cannot be shifted into each other; the key never leaves the machine */
    return EVP_DigestUpdate(ctx, &size, sizeof(size)) == 1 && EVP_DigestUpdate(ctx, bytes, len) == 1;
}

static bool add_names(EVP_MD_CTX *ctx, const est_question *question)
{
    const unsigned char *name = NULL;
    size_t len = 0;
    const ASN1_INTEGER *serial = X509_get0_serialNumber(question->certificate);
    int negative = ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER;
    return X509_NAME_get0_der(X509_get_issuer_name(question->certificate), &name, &len) == 1 &&
           add_part(ctx, name, len) && add_part(ctx, &negative, sizeof(negative)) &&
           add_part(ctx, ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial));
}

static bool key_of(const est_question *question, uint8_t key[EST_OCSP_KEY_SIZE])
{
    unsigned int size = 0;
    unsigned char *spki = NULL;
    ERR_set_mark();
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(question->issuer), &spki);
    bool done = ctx != NULL && len > 0 && EVP_DigestInit_ex2(ctx, EVP_sha256(), NULL) == 1 &&
                add_part(ctx, spki, (size_t)len) && add_names(ctx, question) &&
                EVP_DigestFinal_ex(ctx, key, &size) == 1 && size == EST_OCSP_KEY_SIZE;
    OPENSSL_free(spki);
    EVP_MD_CTX_free(ctx);
    ERR_pop_to_mark();
    return done;
}

/* --- from verdicts to entries --- */

/* false when memory is short; then there is nothing to clear. */
static bool make_entry(const uint8_t *key, const est_question *question, const estuary_verdict *verdict,
                       const est_ocsp_signer *signer, const char *url, est_ocsp_entry *out)
{
    char text[sizeof(verdict->origin)];
    est_text_sanitise(url, strlen(url), text, sizeof(text));
    *out = (est_ocsp_entry){.status = verdict->status,
                            .reason = verdict->reason,
                            .revoked_at = verdict->revoked_at,
                            .this_update = verdict->this_update,
                            .next_update = verdict->next_update,
                            .signer_ends = signer->ends,
                            .url = est_strdup(text)};
    memcpy(out->key, key, EST_OCSP_KEY_SIZE);
    if (X509_up_ref(question->certificate) == 1)
        out->certificate = question->certificate;
    if (X509_up_ref(question->issuer) == 1)
        out->issuer = question->issuer;
    if (out->url != NULL && out->certificate != NULL && out->issuer != NULL)
        return true;
    est_ocsp_entry_clear(out);
    return false;
}

/* --- from the folder --- */

/*
 * Judges what was stored. When it does not count by today's clock it is judged once more by the time it was
 * made: good for comparing dates with it, and for staying revoked, but never for a "good" (*current).
 */
static bool examine_stored(const est_question *question, const est_ocsp_file *file, estuary_verdict *verdict,
                           est_ocsp_signer *signer, bool *current)
{
    est_question then = *question;
    memset(verdict, 0, sizeof(*verdict));
    *current = true;
    if (est_ocsp_examine(question, NULL, file->der, file->len, verdict, signer, NULL) != ESTUARY_OK)
        return false;
    if (verdict->status == ESTUARY_REVOCATION_UNKNOWN && file->this_update < question->now) {
        *current = false;
        then.now = file->this_update;
        if (est_ocsp_examine(&then, NULL, file->der, file->len, verdict, signer, NULL) != ESTUARY_OK)
            return false;
    }
    return verdict->status != ESTUARY_REVOCATION_UNKNOWN;
}

/* It was not the file that failed. */
static bool is_undecided(const estuary_verdict *verdict)
{
    return verdict->code == EST_MEMORY || verdict->code == EST_CRYPTO;
}

static bool find(est_ocsp_cache *cache, const est_question *question, bool may_delegate,
                 estuary_verdict *verdict);

/* A delegate that may be revoked itself: only when what is kept about it says "good". */
static bool delegate_is_good(est_ocsp_cache *cache, const est_question *question,
                             const est_ocsp_signer *signer, bool may_delegate)
{
    estuary_verdict verdict = {0};
    est_question about = *question;
    if (signer->delegate == NULL || signer->no_check)
        return true;
    about.certificate = signer->delegate;
    return may_delegate && find(cache, &about, false, &verdict) && verdict.status == ESTUARY_REVOCATION_GOOD;
}

/* true: *entry is what the folder says. A file that does not hold what it should is removed; one that is out
 * of date stays, so that nothing older takes its place (R0). */
static bool load(est_ocsp_cache *cache, const uint8_t *key, const est_question *question, bool may_delegate,
                 est_ocsp_entry *entry)
{
    est_ocsp_file file;
    est_ocsp_signer signer = {0};
    estuary_verdict verdict;
    bool current = false, done = false;
    if (!est_ocsp_folder_read(cache->folder, key, &file))
        return false;
    if (!examine_stored(question, &file, &verdict, &signer, &current)) {
        if (!is_undecided(&verdict))
            est_ocsp_folder_remove(cache->folder, key);
        goto cleanup;
    }
    if (!delegate_is_good(cache, question, &signer, may_delegate) ||
        !make_entry(key, question, &verdict, &signer, file.url, entry))
        goto cleanup;
    entry->fetched_at = file.fetched_at;
    entry->bytes = (int64_t)file.len;
    done = current || est_ocsp_entry_is_final(entry);
    if (!done)
        est_ocsp_entry_clear(entry);
cleanup:
    est_ocsp_signer_clear(&signer);
    est_ocsp_file_clear(&file);
    return done;
}

/* --- looking up --- */

static bool recall(est_ocsp_cache *cache, const uint8_t *key, const est_question *question,
                   estuary_verdict *verdict)
{
    pthread_mutex_lock(&cache->lock);
    const est_ocsp_entry *entry = est_ocsp_memory_find(cache->memory, key);
    bool usable = entry != NULL && est_ocsp_entry_is_usable(entry, question);
    if (usable)
        est_ocsp_entry_tell(entry, verdict);
    pthread_mutex_unlock(&cache->lock);
    return usable;
}

/* Under the lock, and only when nothing better has come meanwhile. */
static void remember(est_ocsp_cache *cache, est_ocsp_entry *entry)
{
    pthread_mutex_lock(&cache->lock);
    const est_ocsp_entry *there = est_ocsp_memory_find(cache->memory, entry->key);
    if (there == NULL || est_ocsp_entry_may_replace(there, entry))
        est_ocsp_memory_put(cache->memory, entry);
    pthread_mutex_unlock(&cache->lock);
    est_ocsp_entry_clear(entry);
}

static bool find(est_ocsp_cache *cache, const est_question *question, bool may_delegate,
                 estuary_verdict *verdict)
{
    uint8_t key[EST_OCSP_KEY_SIZE];
    est_ocsp_entry entry;
    if (!key_of(question, key))
        return false;
    if (recall(cache, key, question, verdict))
        return true;
    if (cache->folder < 0 || !load(cache, key, question, may_delegate, &entry))
        return false;
    remember(cache, &entry);
    return recall(cache, key, question, verdict);
}

bool est_ocsp_cache_get(est_ocsp_cache *cache, const est_question *question, estuary_verdict *verdict)
{
    return find(cache, question, true, verdict);
}

bool est_ocsp_cache_knows(est_ocsp_cache *cache, const est_question *question)
{
    uint8_t key[EST_OCSP_KEY_SIZE];
    if (!key_of(question, key))
        return false;
    pthread_mutex_lock(&cache->lock);
    const est_ocsp_entry *entry = est_ocsp_memory_find(cache->memory, key);
    bool known = entry != NULL && X509_cmp(entry->certificate, question->certificate) == 0 &&
                 X509_cmp(entry->issuer, question->issuer) == 0;
    pthread_mutex_unlock(&cache->lock);
    return known;
}

/* --- keeping --- */

static bool memory_allows(est_ocsp_cache *cache, const est_ocsp_entry *entry)
{
    pthread_mutex_lock(&cache->lock);
    const est_ocsp_entry *there = est_ocsp_memory_find(cache->memory, entry->key);
    bool allowed = there == NULL || est_ocsp_entry_may_replace(there, entry);
    pthread_mutex_unlock(&cache->lock);
    return allowed;
}

/* Another process may have stored something newer; only what verifies stands in the way of the new one. */
static bool folder_allows(est_ocsp_cache *cache, const est_question *question, const est_ocsp_entry *entry)
{
    est_ocsp_file file;
    est_ocsp_signer signer = {0};
    estuary_verdict verdict;
    bool current = false, allowed = true;
    if (!est_ocsp_folder_read(cache->folder, entry->key, &file))
        return true;
    if (examine_stored(question, &file, &verdict, &signer, &current)) {
        est_ocsp_entry there = {.status = verdict.status,
                                .reason = verdict.reason,
                                .this_update = verdict.this_update,
                                .next_update = verdict.next_update};
        allowed = est_ocsp_entry_may_replace(&there, entry);
    } else {
        /* nobody knows what is there: "revoked" takes its place, "good" does not */
        allowed = entry->status == ESTUARY_REVOCATION_REVOKED || !is_undecided(&verdict);
    }
    est_ocsp_signer_clear(&signer);
    est_ocsp_file_clear(&file);
    return allowed;
}

/*
 * false: what the folder holds is better. What cannot be written takes the place of nothing: then the older
 * file goes. "Revoked" does not wait until another process is done.
 */
static bool store(est_ocsp_cache *cache, const est_question *question, const est_ocsp_entry *entry,
                  const uint8_t *der, size_t len)
{
    bool allowed = true;
    pthread_mutex_lock(&cache->disk);
    int lock = est_ocsp_folder_lock(cache->folder);
    if (lock >= 0 || entry->status == ESTUARY_REVOCATION_REVOKED) {
        allowed = folder_allows(cache, question, entry);
        if (allowed && !est_ocsp_folder_write(cache->folder, entry, der, len, cache->max))
            est_ocsp_folder_remove(cache->folder, entry->key);
    }
    est_ocsp_folder_unlock(lock);
    pthread_mutex_unlock(&cache->disk);
    return allowed;
}

/* false: it could not be kept, or is not what it is said to be. */
static bool keep(est_ocsp_cache *cache, const uint8_t *key, const est_question *question, const uint8_t *der,
                 size_t len, const char *url, const estuary_verdict *verdict)
{
    est_ocsp_entry entry;
    est_ocsp_signer signer = {0};
    estuary_verdict again = {0};
    bool kept = est_ocsp_examine(question, NULL, der, len, &again, &signer, NULL) == ESTUARY_OK &&
                again.status == verdict->status && again.this_update == verdict->this_update &&
                make_entry(key, question, &again, &signer, url, &entry);
    if (kept) {
        entry.fetched_at = question->now;
        entry.bytes = (int64_t)len;
        if (memory_allows(cache, &entry) && (cache->folder < 0 || store(cache, question, &entry, der, len)))
            remember(cache, &entry);
        est_ocsp_entry_clear(&entry);
    }
    est_ocsp_signer_clear(&signer);
    return kept;
}

static void forget(est_ocsp_cache *cache, const uint8_t *key)
{
    pthread_mutex_lock(&cache->lock);
    est_ocsp_memory_drop(cache->memory, key);
    pthread_mutex_unlock(&cache->lock);
    if (cache->folder >= 0)
        est_ocsp_folder_remove(cache->folder, key);
}

/* When memory is too short to remember that a certificate is revoked, no older "good" may be left behind. */
void est_ocsp_cache_put(est_ocsp_cache *cache, const est_question *question, const uint8_t *der, size_t len,
                        const char *url, const estuary_verdict *verdict)
{
    uint8_t key[EST_OCSP_KEY_SIZE];
    size_t removed = 0;
    bool revoked = verdict->status == ESTUARY_REVOCATION_REVOKED;
    if (verdict->status == ESTUARY_REVOCATION_UNKNOWN)
        return;
    if (key_of(question, key)) {
        if (!keep(cache, key, question, der, len, url, verdict) && revoked)
            forget(cache, key);
    } else if (revoked) {
        (void)est_ocsp_cache_clear(cache, &removed, NULL);
    }
}

/* --- listing and clearing --- */

static void free_copies(est_ocsp_entry *copies, size_t count)
{
    for (size_t i = 0; i < count; i++)
        est_ocsp_entry_clear(&copies[i]);
    est_free(copies);
}

static bool copy_entry(const est_ocsp_entry *from, est_ocsp_entry *to)
{
    *to = *from;
    to->url = est_strdup(from->url);
    to->certificate = X509_up_ref(from->certificate) == 1 ? from->certificate : NULL;
    to->issuer = X509_up_ref(from->issuer) == 1 ? from->issuer : NULL;
    return to->url != NULL && to->certificate != NULL && to->issuer != NULL;
}

/* What is in memory, the newest first; `until` 0: all of it, else what is good and ends before. */
static estuary_status copy_memory(est_ocsp_cache *cache, est_ocsp_entry **out, size_t *count,
                                  estuary_error *err)
{
    const est_ocsp_entry *one = NULL;
    bool done = true;
    size_t n = 0;
    pthread_mutex_lock(&cache->lock);
    est_ocsp_entry *copies = est_alloc((est_ocsp_memory_count(cache->memory) + 1) * sizeof(est_ocsp_entry));
    while (copies != NULL && done && (one = est_ocsp_memory_next(cache->memory, one)) != NULL)
        done = copy_entry(one, &copies[n++]);
    pthread_mutex_unlock(&cache->lock);
    *out = copies;
    *count = n;
    if (copies != NULL && done)
        return ESTUARY_OK;
    free_copies(copies, n);
    *out = NULL;
    *count = 0;
    return est_fail_memory(err);
}

estuary_status est_ocsp_cache_list(est_ocsp_cache *cache, estuary_cache_fn *fn, void *arg, estuary_error *err)
{
    est_ocsp_entry *copies = NULL;
    size_t count = 0;
    char serial[160];
    if (cache->folder >= 0)
        return est_ocsp_folder_list(cache->folder, fn, arg, err);
    estuary_status status = copy_memory(cache, &copies, &count, err);
    for (size_t i = 0; i < count; i++) {
        est_ocsp_serial_text(copies[i].certificate, serial, sizeof(serial));
        fn(arg, &(estuary_cache_entry){.kind = ESTUARY_REVOCATION_OCSP,
                                       .origin = copies[i].url,
                                       .subject = serial,
                                       .this_update = copies[i].this_update,
                                       .next_update = copies[i].next_update,
                                       .fetched_at = copies[i].fetched_at,
                                       .bytes = copies[i].bytes});
    }
    free_copies(copies, count);
    return status;
}

estuary_status est_ocsp_cache_clear(est_ocsp_cache *cache, size_t *removed, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    pthread_mutex_lock(&cache->disk);
    if (cache->folder >= 0)
        status = est_ocsp_folder_empty(cache->folder, removed, err);
    pthread_mutex_lock(&cache->lock);
    if (cache->folder < 0)
        *removed += est_ocsp_memory_count(cache->memory);
    est_ocsp_memory_empty(cache->memory);
    pthread_mutex_unlock(&cache->lock);
    pthread_mutex_unlock(&cache->disk);
    return status;
}

/* --- life --- */

estuary_status est_ocsp_cache_new(int64_t max_entries, est_ocsp_cache **out, estuary_error *err)
{
    *out = NULL;
    est_ocsp_cache *cache = est_alloc(sizeof(*cache));
    if (cache == NULL)
        return est_fail_memory(err);
    cache->folder = -1;
    cache->max = max_entries > 0 ? (size_t)max_entries : 1;
    cache->memory = est_ocsp_memory_new(cache->max);
    if (cache->memory == NULL || pthread_mutex_init(&cache->lock, NULL) != 0) {
        est_ocsp_memory_free(cache->memory);
        est_free(cache);
        return est_fail_memory(err);
    }
    if (pthread_mutex_init(&cache->disk, NULL) != 0) {
        pthread_mutex_destroy(&cache->lock);
        est_ocsp_memory_free(cache->memory);
        est_free(cache);
        return est_fail_memory(err);
    }
    *out = cache;
    return ESTUARY_OK;
}

void est_ocsp_cache_use_folder(est_ocsp_cache *cache, int folder_fd)
{
    cache->folder = folder_fd;
}

void est_ocsp_cache_free(est_ocsp_cache *cache)
{
    if (cache == NULL)
        return;
    pthread_mutex_destroy(&cache->lock);
    pthread_mutex_destroy(&cache->disk);
    est_ocsp_memory_free(cache->memory);
    est_free(cache);
}
