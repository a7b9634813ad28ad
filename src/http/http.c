/* The transfer itself: one curl multi handle driven by one easy handle. */
#include "http/http.h"
#include "http/transfer.h"

#include <curl/curl.h>
#include <string.h>

#define POLL_MS 100 /* how late a cancellation or an idle time-out may be noticed */

static void curl_once(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

const char *est_http_library_version(void)
{
    return curl_version();
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
    http->arg = options->arg;
    http->on_ssl_ctx = options->on_ssl_ctx;
    http->on_progress = options->on_progress;
    http->limits = est_limits_dup(options->limits);
    if (http->limits == NULL)
        status = est_fail_memory(err);

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
    http->multi = curl_multi_init();
    http->easy = curl_easy_init();
    if (http->failure == NULL || http->multi == NULL || http->easy == NULL) {
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

void est_http_free(est_http *http)
{
    if (http == NULL)
        return;
    curl_easy_cleanup(http->easy);
    if (http->multi != NULL)
        (void)curl_multi_cleanup(http->multi);
    curl_slist_free_all(http->headers);
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

static estuary_status check_patience(est_http *http, estuary_error *err)
{
    int64_t now = est_monotonic_ms();
    if (http->cancelled != NULL && atomic_load(http->cancelled))
        return est_fail(err, EST_CANCELLED, NULL);
    /* before the first attempt curl's connect time-out rules */
    if (http->attempts > 0 && now - http->active_at > estuary_limits_get(http->limits, ESTUARY_LIMIT_IDLE_MS))
        return est_fail(err, EST_NETWORK_TIMEOUT_IDLE, "%s sent nothing for %lld seconds", http->place,
                        (long long)(estuary_limits_get(http->limits, ESTUARY_LIMIT_IDLE_MS) / 1000));
    report(http, now);
    return ESTUARY_OK;
}

static estuary_status drive(est_http *http, CURLcode *result, estuary_error *err)
{
    int running = 1;
    while (running > 0) {
        if (curl_multi_perform(http->multi, &running) != CURLM_OK)
            return est_fail(err, EST_NETWORK, NULL);
        if (running == 0)
            break;
        estuary_status status = check_patience(http, err);
        if (status != ESTUARY_OK)
            return status;
        if (curl_multi_poll(http->multi, NULL, 0, POLL_MS, NULL) != CURLM_OK)
            return est_fail(err, EST_NETWORK, NULL);
    }
    int left = 0;
    const CURLMsg *message = curl_multi_info_read(http->multi, &left);
    if (message == NULL || message->msg != CURLMSG_DONE)
        return est_fail(err, EST_NETWORK, NULL);
    *result = message->data.result;
    return ESTUARY_OK;
}

estuary_status est_http_perform(est_http *http, const est_http_call *call, const est_http_sink *sink,
                                estuary_error *err)
{
    CURLcode result = CURLE_OK;
    estuary_status status = est_transfer_begin(http, call, sink, err);
    if (status != ESTUARY_OK)
        return status;
    if (curl_multi_add_handle(http->multi, http->easy) != CURLM_OK)
        return est_fail_memory(err);
    status = drive(http, &result, err);
    if (status == ESTUARY_OK)
        status = est_transfer_judge(http, result, err);
    (void)curl_multi_remove_handle(http->multi, http->easy);
    est_transfer_end(http);
    return status;
}
