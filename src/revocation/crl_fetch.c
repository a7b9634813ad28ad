/* One CRL by its URL: from the cache while it counts, else fetched, verified as it arrives, and kept (R4,
 * R5). */
#include "revocation/checker.h"
#include "revocation/crl_judge.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Why the cached CRL is read after the server was asked. */
typedef enum est_cached_use { USE_NOT_MODIFIED = 0, USE_IF_NEWER, USE_REFRESH_FAILED } est_cached_use;

struct est_crl_fetch {
    estuary_revocation *checker;
    const est_question *question;
    const DIST_POINT *dp;
    bool wants_delta;
    char *url;
    est_crl_cached cached; /* what is there already; fd -1: nothing */
    char key[EST_CRL_KEY_SIZE];
    const char *headers[5];
    est_crl_reader *reader;
    int fd;      /* of the download; -1: nothing is kept */
    bool unkept; /* it cannot be */
    est_http_engine *engine;
    const atomic_bool *cancelled;
    char temp[EST_CRL_TEMP_SIZE];
    est_fetch *fetch;
    int64_t ends_at; /* also when it is asked for a second time */
    est_fetch_answer answer;
    est_crl *crl; /* that came, while what is cached is looked at */
    estuary_status failed;
    estuary_error *err;
    est_cached_use use;
    est_crl_lookup *lookup;
    est_http_turn turn;
    void *arg;
    est_crl_fetch_done_fn *on_done;
};

static bool is_in_force(const est_crl_cached *cached, const est_question *question)
{
    return cached->fd >= 0 && (cached->next_update == 0 || cached->next_update > question->now);
}

bool est_checker_ends_soon(const estuary_revocation *checker, time_t this_update, time_t next_update,
                           time_t now)
{
    int64_t ahead = est_checker_limit(checker, ESTUARY_REVOCATION_REFRESH_AHEAD_SECONDS);
    int64_t life = next_update - this_update;
    if (life > 0 && ahead > life / 2)
        ahead = life / 2;
    return next_update != 0 && next_update - now <= ahead;
}

/* A clock set back must not keep a CRL for ever. */
bool est_crl_need_not_ask(const estuary_revocation *checker, const est_crl_cached *cached,
                          const est_question *question)
{
    time_t age = question->now - cached->fetched_at;
    return is_in_force(cached, question) && age >= 0 &&
           age < est_checker_limit(checker, ESTUARY_REVOCATION_CRL_CACHE_SECONDS) &&
           !est_checker_ends_soon(checker, cached->this_update, cached->next_update, question->now);
}

/* --- the download --- */

static estuary_status begin_file(est_crl_fetch *fetch, estuary_error *err)
{
    if (fetch->fd >= 0 || fetch->unkept || !est_checker_caches(fetch->checker))
        return ESTUARY_OK;
    return est_crl_cache_begin(fetch->checker->crl_cache, &fetch->fd, fetch->temp, err);
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
    if (status == ESTUARY_OK && fetch->fd >= 0 && !est_fd_write_all(fetch->fd, bytes, len))
        give_up_file(fetch);
    return status;
}

static char *issuer_text(const est_crl *crl)
{
    char text[256];
    est_name_text(crl->issuer, text, sizeof(text));
    return est_strdup(text);
}

/*
 * What takes a place in the cache stands in the way of others (R0), so it must be of the kind that is kept
 * there, about the certificate, and signed by somebody who may: a genuine CRL for other certificates, or a
 * delta where the complete one is asked for, answered by whoever sits on the way, is judged and forgotten.
 * One dated in the future would stand in the way of its successors; one that is out of date itself, and does
 * not list the certificate, takes back nothing.
 */
static bool is_worth_keeping(const est_crl_fetch *fetch, const est_crl *crl)
{
    est_crl_scope scope;
    estuary_verdict why = {0};
    STACK_OF(X509) *delegates = NULL;
    bool may_sign = false;
    if (fetch->fd < 0 || crl->this_update > fetch->question->now + fetch->question->skew ||
        (crl->base_number != NULL) != fetch->wants_delta)
        return false;
    bool lists = crl->found && !crl->removed;
    if (fetch->cached.fd >= 0 && !lists &&
        !est_question_is_fresh(fetch->question, crl->this_update, crl->next_update, "the CRL", &why))
        return false;
    est_crl_scope_find(fetch->question, fetch->dp, crl, &scope, &why);
    if (scope.covers &&
        est_crl_signer_check(fetch->question, crl, &may_sign, &delegates, &why, NULL) != ESTUARY_OK)
        may_sign = false;
    sk_X509_pop_free(delegates, X509_free);
    return may_sign;
}

/* Not being able to keep it is no reason to do without what it says. */
static void keep(est_crl_fetch *fetch, const est_crl *crl)
{
    char *issuer = issuer_text(crl);
    est_crl_cached facts = {.fd = fetch->fd,
                            .url = fetch->url,
                            .etag = fetch->answer.etag,
                            .last_modified = fetch->answer.last_modified,
                            .issuer = issuer,
                            .fetched_at = fetch->question->now,
                            .this_update = crl->this_update,
                            .next_update = crl->next_update,
                            .bytes = (int64_t)crl->bytes,
                            .is_delta = crl->base_number != NULL,
                            .is_whole = crl->base_number == NULL && crl->idp == NULL,
                            .revoked = crl->found && !crl->removed};
    estuary_error *err = estuary_error_new();
    memcpy(facts.key, fetch->key, sizeof(facts.key));
    if (issuer == NULL || !est_crl_scope_digest(crl, facts.scope) ||
        est_crl_cache_commit(fetch->checker->crl_cache, fetch->temp, &facts, err) != ESTUARY_OK)
        est_log(fetch->checker->log, ESTUARY_LOG_WARNING, "revocation.cache", estuary_error_message(err),
                "url", fetch->url, NULL);
    else
        fetch->temp[0] = '\0';
    estuary_error_free(err);
    est_free(issuer);
}

static estuary_status read_download(est_crl_fetch *fetch, est_crl **out, estuary_error *err)
{
    STACK_OF(X509) *signers = NULL;
    if (fetch->reader == NULL)
        return est_fail(err, EST_CRL_TRUNCATED, "the server's answer is empty");
    estuary_status status = est_crl_signers(fetch->question, &signers, err);
    if (status == ESTUARY_OK)
        status = est_crl_reader_final(fetch->reader, signers, out, err);
    sk_X509_pop_free(signers, X509_free);
    return status;
}

static void end(est_crl_fetch *fetch, estuary_status status, est_crl *crl, bool from_cache)
{
    estuary_error *err = fetch->err;
    fetch->err = NULL; /* the fetch may be freed by whom it is told to */
    fetch->on_done(fetch->arg, status, crl, from_cache, err);
    estuary_error_free(err);
}

/* The download, without what is cached: nothing newer is known. */
static void end_with_download(est_crl_fetch *fetch)
{
    est_crl *crl = fetch->crl;
    fetch->crl = NULL;
    est_count_add(fetch->checker->metrics, "revocation_crl_bytes", crl->bytes);
    if (is_worth_keeping(fetch, crl))
        keep(fetch, crl);
    end(fetch, ESTUARY_OK, crl, false);
}

/* --- what is cached is read again --- */

static estuary_status begin(est_crl_fetch *fetch, estuary_error *err);

/* Tampered with: the whole, please. */
static void fetch_whole(est_crl_fetch *fetch)
{
    est_crl_cached_clear(&fetch->cached);
    estuary_status status = begin(fetch, fetch->err);
    if (status != ESTUARY_OK)
        end(fetch, status, NULL, false);
}

static void end_with_cached(est_crl_fetch *fetch, est_crl *kept)
{
    if (fetch->use == USE_IF_NEWER) {
        est_log(fetch->checker->log, ESTUARY_LOG_WARNING, "revocation.replay",
                "an older CRL came than the one at hand, which counts", "url", fetch->url, NULL);
    } else if (fetch->use == USE_REFRESH_FAILED) {
        est_log(fetch->checker->log, ESTUARY_LOG_WARNING, "revocation.refresh",
                estuary_error_message(fetch->err), "url", fetch->url, NULL);
    }
    end(fetch, ESTUARY_OK, kept, true);
}

static void end_without_cached(est_crl_fetch *fetch, estuary_status status)
{
    /* R0: it is newer than what came, and nobody knows what it says; what is no CRL says nothing */
    bool is_unread = fetch->use == USE_IF_NEWER && status != ESTUARY_OK && status != ESTUARY_E_REVOKED;
    if (status == ESTUARY_E_MEMORY)
        end(fetch, est_fail_memory(fetch->err), NULL, false);
    else if (is_unread)
        end(fetch, est_fail(fetch->err, EST_IO, "the newer CRL in the cache cannot be read"), NULL, false);
    else if (fetch->use == USE_IF_NEWER)
        end_with_download(fetch);
    else if (fetch->use == USE_NOT_MODIFIED)
        fetch_whole(fetch);
    else
        end(fetch, fetch->failed, NULL, false);
}

static void on_turn(void *arg)
{
    est_crl_fetch *fetch = arg;
    est_crl *kept = NULL;
    if (fetch->cancelled != NULL && atomic_load(fetch->cancelled)) {
        end(fetch, est_fail(fetch->err, EST_CANCELLED, NULL), NULL, false);
        return;
    }
    estuary_status status = est_crl_lookup_step(fetch->lookup, EST_CRL_TURN_BYTES, &kept, NULL);
    if (status == ESTUARY_OK && kept == NULL) {
        est_http_turn_ask(&fetch->turn, fetch->engine);
        return;
    }
    est_crl_lookup_free(fetch->lookup);
    fetch->lookup = NULL;
    /* R0: who replays an older CRL, still in force, must not undo what a newer one has told us */
    if (status == ESTUARY_OK && fetch->use == USE_IF_NEWER && kept->this_update <= fetch->crl->this_update) {
        est_crl_free(kept);
        kept = NULL;
    }
    if (kept != NULL)
        end_with_cached(fetch, kept);
    else
        end_without_cached(fetch, status);
}

static void use_cached(est_crl_fetch *fetch, est_cached_use use)
{
    fetch->use = use;
    estuary_status status =
        est_crl_lookup_new(fetch->checker, fetch->question, &fetch->cached, &fetch->lookup, NULL);
    if (status != ESTUARY_OK) {
        end_without_cached(fetch, status);
        return;
    }
    fetch->turn.fn = on_turn;
    fetch->turn.arg = fetch;
    est_http_turn_ask(&fetch->turn, fetch->engine);
}

/* Of another scope, it is no older version of what came. */
static bool may_be_newer(const est_crl_fetch *fetch)
{
    char scope[EST_CRL_KEY_SIZE];
    return fetch->cached.fd >= 0 && fetch->cached.this_update > fetch->crl->this_update &&
           (!est_crl_scope_digest(fetch->crl, scope) || strcmp(scope, fetch->cached.scope) == 0);
}

static void take_answer(est_crl_fetch *fetch, const est_fetch_answer *answer)
{
    fetch->answer = *answer;
    if (answer->status == 304) {
        est_crl_cache_touch(fetch->checker->crl_cache, fetch->key, fetch->question->now);
        use_cached(fetch, USE_NOT_MODIFIED);
        return;
    }
    fetch->failed = read_download(fetch, &fetch->crl, fetch->err);
    if (fetch->failed == ESTUARY_OK && may_be_newer(fetch))
        use_cached(fetch, USE_IF_NEWER);
    else if (fetch->failed == ESTUARY_OK)
        end_with_download(fetch);
    else if (is_in_force(&fetch->cached, fetch->question))
        use_cached(fetch, USE_REFRESH_FAILED);
    else
        end(fetch, fetch->failed, NULL, false);
}

static void on_done(void *arg, estuary_status status, const est_fetch_answer *answer,
                    const estuary_error *err)
{
    est_crl_fetch *fetch = arg;
    fetch->failed = status;
    if (err != NULL)
        est_error_copy(fetch->err, err);
    if (status == ESTUARY_OK)
        take_answer(fetch, answer);
    else if (status != ESTUARY_E_CANCELLED && is_in_force(&fetch->cached, fetch->question))
        use_cached(fetch, USE_REFRESH_FAILED); /* asked in vain: left for the next time */
    else
        end(fetch, status, NULL, false);
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
    int64_t left = fetch->ends_at - est_monotonic_ms();
    make_conditional(fetch);
    est_fetch_plan get = {.url = fetch->url,
                          .accept = "application/pkix-crl, */*;q=0.5",
                          .headers = fetch->headers[0] == NULL ? NULL : fetch->headers,
                          .max_bytes = est_checker_limit(checker, ESTUARY_REVOCATION_CRL_BYTES),
                          .timeout_ms = left > 0 ? left : 1,
                          .cancelled = fetch->cancelled,
                          .arg = fetch,
                          .on_body = on_body,
                          .on_done = on_done};
    est_fetch_free(fetch->fetch);
    fetch->fetch = NULL;
    return est_fetch_start(checker, fetch->engine, &get, &fetch->fetch, err);
}

/* false: something is there, and nobody knows what. */
static bool get_cached(est_crl_fetch *fetch)
{
    if (!est_checker_caches(fetch->checker) || fetch->unkept)
        return true;
    bool there = est_crl_cache_get(fetch->checker->crl_cache, fetch->key, &fetch->cached);
    if (there && fetch->cached.is_delta != fetch->wants_delta)
        est_crl_cached_clear(&fetch->cached); /* one URL for both kinds */
    return there || !fetch->cached.failed;
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
                             .dp = plan->dp,
                             .wants_delta = plan->wants_delta,
                             .url = est_strdup(plan->url),
                             .cached = {.fd = -1},
                             .fd = -1,
                             .engine = plan->engine,
                             .cancelled = plan->cancelled,
                             .arg = plan->arg,
                             .on_done = plan->on_done,
                             .err = estuary_error_new()};
    fetch->unkept = !est_crl_cache_key(plan->url, plan->question->issuer, fetch->key);
    bool known = get_cached(fetch);
    fetch->ends_at = est_monotonic_ms() + est_checker_limit(checker, ESTUARY_REVOCATION_CRL_TIMEOUT_MS);
    est_count(checker->metrics, "revocation_crl_cache_misses");
    bool made = known && fetch->url != NULL && fetch->err != NULL;
    estuary_status status = made ? begin(fetch, err) : est_fail_memory(err);
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
    est_http_turn_cancel(&fetch->turn);
    est_crl_lookup_free(fetch->lookup);
    est_fetch_free(fetch->fetch);
    est_crl_reader_free(fetch->reader);
    est_crl_free(fetch->crl);
    estuary_error_free(fetch->err);
    if (fetch->fd >= 0)
        (void)close(fetch->fd);
    est_crl_cache_drop(fetch->checker->crl_cache, fetch->temp);
    est_crl_cached_clear(&fetch->cached);
    est_free(fetch->url);
    est_free(fetch);
}
