/* A link: one identity's transfers, one at a time, on somebody's engine. */
#include "http/engine.h"
#include "http/transfer.h"

#include <string.h>

static void curl_once(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static estuary_status duplicate(const char *text, char **out, estuary_error *err)
{
    *out = est_strdup(text);
    return text != NULL && *out == NULL ? est_fail_memory(err) : ESTUARY_OK;
}

static estuary_status copy_options(est_http *http, const est_http_options *options, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    EST_TRY(duplicate(options->proxy, &http->proxy, err));
    EST_TRY(duplicate(options->proxy_user, &http->proxy_user, err));
    EST_TRY(duplicate(options->user, &http->user, err));
    http->proxy_password = estuary_secret_up_ref((estuary_secret *)options->proxy_password);
    http->password = estuary_secret_up_ref((estuary_secret *)options->password);
    http->preemptive = options->preemptive;
    http->cancelled = options->cancelled;
    http->evidence = options->evidence;
    http->arg = options->arg;
    http->on_ssl_ctx = options->on_ssl_ctx;
    http->on_progress = options->on_progress;
    http->limits = est_limits_dup(options->limits);
    if (http->limits == NULL)
        status = est_fail_memory(err);
    http->max_bytes = options->max_bytes > 0
                          ? options->max_bytes
                          : estuary_limits_get(options->limits, ESTUARY_LIMIT_RESPONSE_BYTES);

cleanup:
    return status;
}

estuary_status est_http_new(const est_http_options *options, est_http **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    *out = NULL;
    if (!est_process_once(EST_ONCE_CURL, curl_once))
        return est_fail(err, EST_CRYPTO, "the HTTP library cannot be set up");
    est_http *http = est_alloc(sizeof(*http));
    if (http == NULL)
        return est_fail_memory(err);
    EST_TRY(copy_options(http, options, err));
    http->failure = estuary_error_new();
    http->easy = curl_easy_init();
    if (http->failure == NULL || http->easy == NULL) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    EST_TRY(est_transfer_prepare(http, err));
    *out = http;
    http = NULL;

cleanup:
    est_http_free(http);
    return status;
}

/*
 * Closed here, not when curl likes: it keeps some connections that failed, and reads what the server said
 * last only when it closes them. In TLS 1.3 that may be the alert about a client certificate, which came
 * after our part of the handshake (RFC 8446 4.4.2.4); on_ssl_ctx's session hears of it.
 */
static void close_connections(est_http *http)
{
    if (http->pool == NULL)
        return;
    (void)curl_easy_setopt(http->easy, CURLOPT_SHARE, NULL);
    (void)curl_share_cleanup(http->pool);
    http->pool = NULL;
}

/*
 * T5: a connection never serves two identities. curl would lend a connection of this engine to any link with
 * the same host and settings, and the identity is in the SSL_CTX, which it does not compare: so each has its
 * own pool.
 */
static bool open_pool(est_http *http)
{
    if (http->pool != NULL)
        return true;
    http->pool = curl_share_init();
    if (http->pool != NULL &&
        curl_share_setopt(http->pool, CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT) == CURLSHE_OK &&
        curl_easy_setopt(http->easy, CURLOPT_SHARE, http->pool) == CURLE_OK)
        return true;
    close_connections(http);
    return false;
}

void est_http_free(est_http *http)
{
    if (http == NULL)
        return;
    est_http_abort(http);
    if (http->easy != NULL)
        close_connections(http);
    curl_easy_cleanup(http->easy);
    curl_slist_free_all(http->headers);
    est_challenges_clear(&http->challenges);
    est_free(http->authorization);
    est_free(http->late_body);
    est_free(http->proxy);
    est_free(http->proxy_user);
    est_free(http->user);
    estuary_secret_free(http->proxy_password);
    estuary_secret_free(http->password);
    estuary_limits_free(http->limits);
    estuary_error_free(http->failure);
    est_free(http);
}

/* What the transfer is waiting for, said at most once a second. */
static void report(est_http *http, int64_t now)
{
    if (http->on_progress == NULL || now - http->reported_at < 1000)
        return;
    http->reported_at = now;
    char *what = est_printf("%s %s", http->attempts == 0 ? "connecting to" : "waiting for an answer from",
                            http->place);
    if (what != NULL)
        http->on_progress(http->arg, what);
    est_free(what);
}

void est_http_stop(est_http *http)
{
    http->stop = http->engine != NULL;
}

bool est_transfer_is_cancelled(const est_http *http)
{
    return http->stop || (http->cancelled != NULL && atomic_load(http->cancelled));
}

estuary_status est_transfer_check_patience(est_http *http, int64_t now)
{
    if (est_transfer_is_cancelled(http))
        return est_fail(http->failure, EST_CANCELLED, NULL);
    /* before the first attempt curl's connect time-out rules */
    if (http->attempts > 0 && now - http->active_at > estuary_limits_get(http->limits, ESTUARY_LIMIT_IDLE_MS))
        return est_fail(http->failure, EST_NETWORK_TIMEOUT_IDLE, "%s sent nothing for %lld seconds",
                        http->place,
                        (long long)(estuary_limits_get(http->limits, ESTUARY_LIMIT_IDLE_MS) / 1000));
    report(http, now);
    return ESTUARY_OK;
}

estuary_status est_http_start(est_http *http, est_http_engine *engine, const est_http_call *call,
                              const est_http_sink *sink, est_http_done_fn *on_done, estuary_error *err)
{
    if (http->engine != NULL)
        return est_fail(err, EST_USAGE, "this client is busy with another operation");
    if (http->cancelled != NULL && atomic_load(http->cancelled))
        return est_fail(err, EST_CANCELLED, NULL);
    if (!open_pool(http))
        return est_fail_memory(err);
    http->stop = false;
    estuary_status status = est_transfer_begin(http, call, sink, err);
    if (status == ESTUARY_OK)
        status = est_engine_add(engine, http, err);
    if (status != ESTUARY_OK) {
        est_transfer_end(http);
        return status;
    }
    http->on_done = on_done;
    return ESTUARY_OK;
}

/* false: the transfer is over, with http->failure when something went wrong now */
static bool repeat(est_http *http)
{
    if (!http->again || est_transfer_repeat(http) != ESTUARY_OK)
        return false;
    return est_engine_repeat(http) || est_fail_memory(http->failure) == ESTUARY_OK;
}

void est_http_finish(est_http *http, CURLcode result)
{
    if (repeat(http))
        return;
    estuary_error *err = estuary_error_new(); /* NULL: the sentence is lost, the status is not */
    estuary_status status = est_transfer_judge(http, result, err);
    est_engine_remove(http);
    if (status != ESTUARY_OK)
        close_connections(http);
    est_transfer_end(http);
    http->on_done(http->arg, status, err);
    estuary_error_free(err);
}

void est_http_abort(est_http *http)
{
    if (http->engine == NULL)
        return;
    est_engine_remove(http);
    close_connections(http);
    est_transfer_end(http);
}
