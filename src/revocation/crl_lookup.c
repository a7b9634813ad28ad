/*
 * What a cached CRL says, verified again: by its index, or by reading it, and then an index is made for the
 * next time (R5). All of it in pieces, so that a list of any size holds nobody's loop for longer than one
 * piece takes.
 */
#include "revocation/checker.h"

#include <stdio.h>
#include <string.h>

#define INDEX_FROM (64 * 1024) /* smaller ones are read as fast */

struct est_crl_lookup {
    estuary_revocation *checker;
    const est_question *question;
    const est_crl_cached *cached; /* lent */
    bool looked_up;               /* in the index */
    est_crl_reading *reading;
    est_crl *crl;
    est_crl_indexing *indexing;
};

estuary_status est_crl_lookup_new(estuary_revocation *checker, const est_question *question,
                                  const est_crl_cached *cached, est_crl_lookup **out, estuary_error *err)
{
    est_crl_lookup *lookup = *out = est_alloc(sizeof(*lookup));
    if (lookup == NULL)
        return est_fail_memory(err);
    lookup->checker = checker;
    lookup->question = question;
    lookup->cached = cached;
    return ESTUARY_OK;
}

void est_crl_lookup_free(est_crl_lookup *lookup)
{
    if (lookup == NULL)
        return;
    est_crl_indexing_free(lookup->indexing);
    est_crl_reading_free(lookup->reading);
    est_crl_free(lookup->crl);
    est_free(lookup);
}

static bool has_index(const est_crl_lookup *lookup)
{
    return lookup->checker->folder >= 0 && lookup->cached->bytes > INDEX_FROM &&
           lookup->cached->bytes <= est_checker_limit(lookup->checker, ESTUARY_REVOCATION_CRL_BYTES);
}

static void release(void *index)
{
    est_crl_index_free(index);
}

/* NULL: it must be read. Who signed it is judged for each certificate anew. */
static est_crl *look_up(const est_crl_lookup *lookup)
{
    est_crl_cache *cache = lookup->checker->crl_cache;
    est_crl_index *index = has_index(lookup) ? est_crl_cache_index(cache, lookup->cached) : NULL;
    if (index == NULL)
        return NULL;
    est_crl *crl = est_alloc(sizeof(*crl));
    if (crl != NULL && est_crl_index_find(index, lookup->question->certificate, crl, NULL) == ESTUARY_OK) {
        crl->release = release;
        crl->keeper = index;
        return crl;
    }
    if (crl != NULL)
        est_crl_cache_forget_index(cache, lookup->cached);
    est_crl_index_free(index);
    est_free(crl);
    return NULL;
}

static void say_unindexed(const est_crl_lookup *lookup, const estuary_error *err)
{
    est_log(lookup->checker->log, ESTUARY_LOG_WARNING, "revocation.index", estuary_error_message(err), "url",
            lookup->cached->url, NULL);
}

/* PEM and indirect CRLs have none. */
static void begin_index(est_crl_lookup *lookup)
{
    char name[EST_CRL_NAME_SIZE];
    const est_crl *crl = lookup->crl;
    int64_t memory = est_checker_limit(lookup->checker, ESTUARY_REVOCATION_INDEX_BYTES);
    int64_t der_bytes = (int64_t)crl->bytes;
    if (!has_index(lookup) || crl->indirect || der_bytes != lookup->cached->bytes ||
        !est_crl_cached_index_name(lookup->cached, name))
        return;
    estuary_error *err = estuary_error_new();
    if (est_crl_indexing_new(lookup->cached->fd, crl, lookup->checker->folder, name, (uint64_t)memory,
                             &lookup->indexing, err) != ESTUARY_OK)
        say_unindexed(lookup, err);
    estuary_error_free(err);
}

/* It has been read already: without an index it is read the next time, too. */
static void go_on_indexing(est_crl_lookup *lookup, uint64_t *left)
{
    bool done = false;
    estuary_error *err = estuary_error_new();
    estuary_status status = est_crl_indexing_step(lookup->indexing, left, &done, err);
    if (status != ESTUARY_OK)
        say_unindexed(lookup, err);
    if (status != ESTUARY_OK || done) {
        est_crl_indexing_free(lookup->indexing);
        lookup->indexing = NULL;
    }
    estuary_error_free(err);
}

static estuary_status begin_reading(est_crl_lookup *lookup, estuary_error *err)
{
    int64_t max = est_checker_limit(lookup->checker, ESTUARY_REVOCATION_CRL_BYTES);
    return est_crl_reading_new(lookup->cached->fd, lookup->question, max, &lookup->reading, err);
}

static estuary_status read_on(est_crl_lookup *lookup, uint64_t *left, estuary_error *err)
{
    estuary_status status = lookup->reading == NULL ? begin_reading(lookup, err) : ESTUARY_OK;
    if (status == ESTUARY_OK)
        status = est_crl_reading_step(lookup->reading, left, &lookup->crl, err);
    if (status == ESTUARY_OK && lookup->crl != NULL)
        begin_index(lookup);
    return status;
}

est_crl *est_crl_lookup_take(est_crl_lookup *lookup)
{
    est_crl *crl = lookup->crl;
    if (crl != NULL && crl->found && !crl->removed && !lookup->cached->revoked)
        est_crl_cache_mark_revoked(lookup->checker->crl_cache, lookup->cached->key);
    est_crl_indexing_free(lookup->indexing); /* of the CRL that goes */
    lookup->indexing = NULL;
    lookup->crl = NULL;
    return crl;
}

estuary_status est_crl_lookup_step(est_crl_lookup *lookup, uint64_t left, est_crl **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    *out = NULL;
    if (!lookup->looked_up) {
        lookup->looked_up = true;
        lookup->crl = look_up(lookup);
    }
    if (lookup->crl == NULL)
        status = read_on(lookup, &left, err);
    if (status == ESTUARY_OK && lookup->indexing != NULL && left > 0)
        go_on_indexing(lookup, &left);
    if (status == ESTUARY_OK && lookup->indexing == NULL)
        *out = est_crl_lookup_take(lookup);
    return status;
}
