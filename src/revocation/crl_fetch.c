/* One CRL by its URL: from the cache while it counts, else fetched, verified as it arrives, and kept (R4,
 * R5). */
#include "revocation/checker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct est_crl_fetch {
    estuary_revocation *checker;
    const est_question *question;
    char *url;
    est_crl_cached cached; /* what is there already; fd -1: nothing */
    const char *headers[5];
    est_crl_reader *reader;
    int fd;      /* of the download; -1: nothing is kept */
    bool unkept; /* it cannot be */
    est_http_engine *engine;
    const atomic_bool *cancelled;
    char temp[EST_CRL_TEMP_SIZE];
    est_fetch *fetch;
    void *arg;
    est_crl_fetch_done_fn *on_done;
};

static bool is_in_force(const est_crl_cached *cached, const est_question *question)
{
    return cached->fd >= 0 && (cached->next_update == 0 || cached->next_update > question->now);
}

/* A clock set back must not keep a CRL for ever. */
static bool need_not_ask(const estuary_revocation *checker, const est_crl_cached *cached,
                         const est_question *question)
{
    time_t age = question->now - cached->fetched_at;
    int64_t ahead = est_checker_limit(checker, ESTUARY_REVOCATION_REFRESH_AHEAD_SECONDS);
    if (!is_in_force(cached, question) || age < 0 ||
        age >= est_checker_limit(checker, ESTUARY_REVOCATION_CRL_CACHE_SECONDS))
        return false;
    /* one that lives for less than twice `ahead` is asked for in its second half */
    int64_t life = cached->next_update == 0 ? 0 : (int64_t)(cached->next_update - cached->this_update);
    if (life > 0 && ahead > life / 2)
        ahead = life / 2;
    return cached->next_update == 0 || cached->next_update - question->now > ahead;
}

/* What cannot be read stays until something better comes: that this question's CAs did not sign it says
 * little. */
static estuary_status read_cached(const estuary_revocation *checker, const est_question *question,
                                  const est_crl_cached *cached, est_crl **out, estuary_error *err)
{
    return est_crl_read_fd(cached->fd, question, est_checker_limit(checker, ESTUARY_REVOCATION_CRL_BYTES),
                           out, err);
}

/* --- its index: made when a CRL is used again, and only where reading it costs something --- */

#define INDEX_FROM (64 * 1024)

static bool index_name(const estuary_revocation *checker, const est_crl_cached *cached, char name[96])
{
    snprintf(name, 96, "%s%s", cached->name, EST_CRL_INDEX_SUFFIX);
    return checker->folder >= 0 && cached->bytes > INDEX_FROM &&
           cached->bytes <= est_checker_limit(checker, ESTUARY_REVOCATION_CRL_BYTES);
}

static uint64_t index_memory(const estuary_revocation *checker)
{
    return (uint64_t)est_checker_limit(checker, ESTUARY_REVOCATION_INDEX_BYTES);
}

static void release(void *index)
{
    est_crl_index_free(index);
}

/* NULL: it must be read. Who signed it is judged for each certificate anew. */
static est_crl *look_up(const estuary_revocation *checker, const est_question *question,
                        const est_crl_cached *cached)
{
    char name[96];
    est_crl_index *index = NULL;
    if (!index_name(checker, cached, name))
        return NULL;
    est_crl *crl = est_alloc(sizeof(*crl));
    if (crl != NULL &&
        est_crl_index_open(cached->fd, checker->folder, name, index_memory(checker), &index, NULL) ==
            ESTUARY_OK &&
        est_crl_index_find(index, question->certificate, crl, NULL) == ESTUARY_OK) {
        crl->release = release;
        crl->keeper = index;
        return crl;
    }
    est_crl_index_free(index);
    est_free(crl);
    return NULL;
}

/* PEM and indirect CRLs have none. */
static void make_index(const estuary_revocation *checker, const est_crl_cached *cached, const est_crl *crl)
{
    char name[96];
    int64_t der_bytes = (int64_t)crl->bytes;
    if (!index_name(checker, cached, name) || crl->indirect || der_bytes != cached->bytes)
        return;
    estuary_error *err = estuary_error_new();
    if (est_crl_index_build(cached->fd, crl, checker->folder, name, index_memory(checker), err) != ESTUARY_OK)
        est_log(checker->log, ESTUARY_LOG_WARNING, "revocation.index", estuary_error_message(err), "url",
                cached->url, NULL);
    estuary_error_free(err);
}

static estuary_status use_cached(estuary_revocation *checker, const est_question *question,
                                 const est_crl_cached *cached, est_crl **out, estuary_error *err)
{
    *out = look_up(checker, question, cached);
    if (*out != NULL)
        return ESTUARY_OK;
    estuary_status status = read_cached(checker, question, cached, out, err);
    if (status == ESTUARY_OK)
        make_index(checker, cached, *out);
    return status;
}

estuary_status est_crl_from_cache(estuary_revocation *checker, const est_question *question, const char *url,
                                  bool *is_recent, est_crl **out, estuary_error *err)
{
    est_crl_cached cached;
    *is_recent = false;
    *out = NULL;
    if (!est_checker_caches(checker) || !est_crl_cache_get(checker->crl_cache, url, &cached))
        return ESTUARY_OK;
    estuary_status status = ESTUARY_OK;
    if (is_in_force(&cached, question)) {
        *is_recent = need_not_ask(checker, &cached, question);
        status = use_cached(checker, question, &cached, out, err);
        if (status == ESTUARY_OK && (*is_recent || checker->offline)) /* else a server is asked: a miss */
            est_count(checker->metrics, "revocation_crl_cache_hits");
        if (status != ESTUARY_E_MEMORY)
            status = ESTUARY_OK; /* as if it had not been there */
    }
    est_crl_cached_clear(&cached);
    return status;
}

/* --- the download --- */

static estuary_status begin_file(est_crl_fetch *fetch, estuary_error *err)
{
    if (fetch->fd >= 0 || fetch->unkept || !est_checker_caches(fetch->checker))
        return ESTUARY_OK;
    return est_crl_cache_begin(fetch->checker->crl_cache, &fetch->fd, fetch->temp, err);
}

static estuary_status write_all(int fd, const uint8_t *bytes, size_t len, estuary_error *err)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = write(fd, bytes + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return est_fail_errno(err, EST_IO, "the CRL cannot be written to the cache");
        done += (size_t)n;
    }
    return ESTUARY_OK;
}

/* A full disk is no reason to do without what the CRL says. */
static void give_up_file(est_crl_fetch *fetch)
{
    if (fetch->fd >= 0)
        (void)close(fetch->fd);
    est_crl_cache_drop(fetch->checker->crl_cache, fetch->temp);
    fetch->fd = -1;
    fetch->temp[0] = '\0';
    fetch->unkept = true;
    est_log(fetch->checker->log, ESTUARY_LOG_WARNING, "revocation.cache",
            "a CRL cannot be kept: the cache cannot be written to", "url", fetch->url, NULL);
}

static estuary_status on_body(void *arg, const uint8_t *bytes, size_t len, estuary_error *err)
{
    est_crl_fetch *fetch = arg;
    estuary_status status = ESTUARY_OK;
    if (fetch->reader == NULL)
        status = est_crl_reader_new(fetch->question->certificate,
                                    (uint64_t)est_checker_limit(fetch->checker, ESTUARY_REVOCATION_CRL_BYTES),
                                    &fetch->reader, err);
    if (status == ESTUARY_OK && begin_file(fetch, NULL) != ESTUARY_OK)
        give_up_file(fetch);
    if (status == ESTUARY_OK)
        status = est_crl_reader_feed(fetch->reader, bytes, len, err);
    if (status == ESTUARY_OK && fetch->fd >= 0 && write_all(fetch->fd, bytes, len, NULL) != ESTUARY_OK)
        give_up_file(fetch);
    return status;
}

static char *issuer_text(const est_crl *crl)
{
    char text[256];
    est_name_text(crl->issuer, text, sizeof(text));
    return est_strdup(text);
}

/* Not being able to keep it is no reason to do without what it says. */
static void keep(est_crl_fetch *fetch, const est_fetch_answer *answer, const est_crl *crl)
{
    if (fetch->fd < 0)
        return;
    char *issuer = issuer_text(crl);
    est_crl_cached facts = {.fd = fetch->fd,
                            .url = fetch->url,
                            .etag = (char *)answer->etag,
                            .last_modified = (char *)answer->last_modified,
                            .issuer = issuer,
                            .fetched_at = fetch->question->now,
                            .this_update = crl->this_update,
                            .next_update = crl->next_update,
                            .bytes = (int64_t)crl->bytes,
                            .is_delta = crl->base_number != NULL};
    estuary_error *err = estuary_error_new();
    if (issuer == NULL ||
        est_crl_cache_commit(fetch->checker->crl_cache, fetch->temp, &facts, err) != ESTUARY_OK)
        est_log(fetch->checker->log, ESTUARY_LOG_WARNING, "revocation.cache", estuary_error_message(err),
                "url", fetch->url, NULL);
    else
        fetch->temp[0] = '\0';
    estuary_error_free(err);
    est_free(issuer);
}

/* R0: who replays an older CRL, still in force, must not undo what a newer one has told us. */
static bool prefer_cached(est_crl_fetch *fetch, est_crl **crl)
{
    est_crl *kept = NULL;
    if (fetch->cached.fd < 0 || fetch->cached.this_update <= (*crl)->this_update)
        return false;
    if (read_cached(fetch->checker, fetch->question, &fetch->cached, &kept, NULL) != ESTUARY_OK ||
        kept->this_update <= (*crl)->this_update) {
        est_crl_free(kept);
        return false;
    }
    est_log(fetch->checker->log, ESTUARY_LOG_WARNING, "revocation.replay",
            "an older CRL came than the one at hand, which counts", "url", fetch->url, NULL);
    est_crl_free(*crl);
    *crl = kept;
    return true;
}

static estuary_status take_download(est_crl_fetch *fetch, const est_fetch_answer *answer, est_crl **out,
                                    estuary_error *err)
{
    STACK_OF(X509) *signers = NULL;
    if (fetch->reader == NULL)
        return est_fail(err, EST_CRL_TRUNCATED, "the server's answer is empty");
    estuary_status status = est_crl_signers(fetch->question, &signers, err);
    if (status == ESTUARY_OK)
        status = est_crl_reader_final(fetch->reader, signers, out, err);
    sk_X509_pop_free(signers, X509_free);
    if (status != ESTUARY_OK)
        return status;
    if (prefer_cached(fetch, out))
        return ESTUARY_OK;
    est_count_add(fetch->checker->metrics, "revocation_crl_bytes", (*out)->bytes);
    /* one dated in the future does not count, and would stand in the way of its successors (R0) */
    if ((*out)->this_update <= fetch->question->now + fetch->question->skew)
        keep(fetch, answer, *out);
    return ESTUARY_OK;
}

/* Asked in vain: what is still in force counts, and is left for the next time. */
static estuary_status take_cached(est_crl_fetch *fetch, bool not_modified, est_crl **out)
{
    if (!not_modified && !is_in_force(&fetch->cached, fetch->question))
        return ESTUARY_E_NETWORK;
    return read_cached(fetch->checker, fetch->question, &fetch->cached, out, NULL);
}

static estuary_status begin(est_crl_fetch *fetch, estuary_error *err);

static void on_done(void *arg, estuary_status status, const est_fetch_answer *answer,
                    const estuary_error *err)
{
    est_crl_fetch *fetch = arg;
    est_crl *crl = NULL;
    bool from_cache = false;
    estuary_error *own = estuary_error_new();
    if (own != NULL && err != NULL)
        est_error_copy(own, err);
    if (status == ESTUARY_OK && answer->status == 304) {
        est_crl_cache_touch(fetch->checker->crl_cache, fetch->url, fetch->question->now);
        status = take_cached(fetch, true, &crl);
        from_cache = true;
        if (status != ESTUARY_OK &&
            status != ESTUARY_E_MEMORY) { /* it was tampered with: the whole, please */
            est_crl_cached_clear(&fetch->cached);
            status = begin(fetch, own);
            if (status == ESTUARY_OK) {
                estuary_error_free(own);
                return;
            }
        }
    } else if (status == ESTUARY_OK) {
        status = take_download(fetch, answer, &crl, own);
    }
    if (status != ESTUARY_OK && !from_cache && fetch->cached.fd >= 0 &&
        take_cached(fetch, false, &crl) == ESTUARY_OK) {
        est_log(fetch->checker->log, ESTUARY_LOG_WARNING, "revocation.refresh", estuary_error_message(own),
                "url", fetch->url, NULL);
        status = ESTUARY_OK;
        from_cache = true;
    }
    fetch->on_done(fetch->arg, status, crl, from_cache, own);
    estuary_error_free(own);
}

/* RFC 9110 13.1.2, 13.1.3 */
static void make_conditional(est_crl_fetch *fetch)
{
    size_t n = 0;
    fetch->headers[0] = NULL;
    if (fetch->cached.fd < 0)
        return;
    if (fetch->cached.etag[0] != '\0') {
        fetch->headers[n++] = "If-None-Match";
        fetch->headers[n++] = fetch->cached.etag;
    }
    if (fetch->cached.last_modified[0] != '\0') {
        fetch->headers[n++] = "If-Modified-Since";
        fetch->headers[n++] = fetch->cached.last_modified;
    }
    fetch->headers[n] = NULL;
}

static estuary_status begin(est_crl_fetch *fetch, estuary_error *err)
{
    const estuary_revocation *checker = fetch->checker;
    make_conditional(fetch);
    est_fetch_plan get = {.url = fetch->url,
                          .accept = "application/pkix-crl, */*;q=0.5",
                          .headers = fetch->headers[0] == NULL ? NULL : fetch->headers,
                          .max_bytes = est_checker_limit(checker, ESTUARY_REVOCATION_CRL_BYTES),
                          .timeout_ms = est_checker_limit(checker, ESTUARY_REVOCATION_CRL_TIMEOUT_MS),
                          .cancelled = fetch->cancelled,
                          .arg = fetch,
                          .on_body = on_body,
                          .on_done = on_done};
    est_fetch_free(fetch->fetch);
    fetch->fetch = NULL;
    return est_fetch_start(checker, fetch->engine, &get, &fetch->fetch, err);
}

estuary_status est_crl_fetch_start(const est_crl_fetch_plan *plan, est_crl_fetch **out, estuary_error *err)
{
    estuary_revocation *checker = plan->checker;
    *out = NULL;
    est_crl_fetch *fetch = est_alloc(sizeof(*fetch));
    if (fetch == NULL)
        return est_fail_memory(err);
    *fetch = (est_crl_fetch){.checker = checker,
                             .question = plan->question,
                             .url = est_strdup(plan->url),
                             .cached = {.fd = -1},
                             .fd = -1,
                             .engine = plan->engine,
                             .cancelled = plan->cancelled,
                             .arg = plan->arg,
                             .on_done = plan->on_done};
    if (est_checker_caches(checker))
        (void)est_crl_cache_get(checker->crl_cache, plan->url, &fetch->cached);
    est_count(checker->metrics, "revocation_crl_cache_misses");
    estuary_status status = fetch->url == NULL ? est_fail_memory(err) : begin(fetch, err);
    if (status != ESTUARY_OK) {
        est_crl_fetch_free(fetch);
        return status;
    }
    *out = fetch;
    return ESTUARY_OK;
}

void est_crl_fetch_free(est_crl_fetch *fetch)
{
    if (fetch == NULL)
        return;
    est_fetch_free(fetch->fetch);
    est_crl_reader_free(fetch->reader);
    if (fetch->fd >= 0)
        (void)close(fetch->fd);
    est_crl_cache_drop(fetch->checker->crl_cache, fetch->temp);
    est_crl_cached_clear(&fetch->cached);
    est_free(fetch->url);
    est_free(fetch);
}
