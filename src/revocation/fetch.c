/* Evidence from one URL. Who answers need not be trusted: what it says is signed. */
#include "revocation/checker.h"

#include <stdio.h>
#include <string.h>

struct est_fetch {
    const estuary_revocation *checker;
    est_http_engine *engine;
    est_fetch_plan plan;
    est_fetch_answer answer;
    char *url;      /* of this attempt */
    char *location; /* of the answer */
    char host[256];
    bool redirect; /* the answer being read is one */
    int64_t redirects;
    int64_t ends_at; /* with all its redirects */
    estuary_limits *limits;
    est_http *http;
    est_http_call call;
    est_http_sink sink;
};

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static estuary_status on_status(void *arg, int status, estuary_error *err)
{
    est_fetch *fetch = arg;
    memset(&fetch->answer, 0, sizeof(fetch->answer));
    est_free(fetch->location);
    fetch->location = NULL;
    fetch->answer.status = status;
    fetch->redirect = is_redirect(status);
    if (status / 100 == 1 || status == 200 || fetch->redirect ||
        (status == 304 && fetch->plan.headers != NULL))
        return ESTUARY_OK;
    return est_fail(err, EST_REVOCATION_NOT_FETCHED, "the server answered with HTTP status %d", status);
}

static bool keep(char *to, size_t size, const char *value)
{
    size_t len = strlen(value);
    bool fits = len < size;
    for (size_t i = 0; i < len; i++)
        fits = fits && value[i] >= ' ' && value[i] <= '~'; /* it goes back into a request some day */
    snprintf(to, size, "%s", fits ? value : "");
    return fits;
}

static estuary_status on_header(void *arg, const char *name, const char *value, estuary_error *err)
{
    est_fetch *fetch = arg;
    if (est_text_equal_nocase(name, "ETag"))
        (void)keep(fetch->answer.etag, sizeof(fetch->answer.etag), value);
    if (est_text_equal_nocase(name, "Last-Modified"))
        (void)keep(fetch->answer.last_modified, sizeof(fetch->answer.last_modified), value);
    if (est_text_equal_nocase(name, "Location") && fetch->location == NULL) {
        fetch->location = est_strdup(value);
        if (fetch->location == NULL)
            return est_fail_memory(err);
    }
    return ESTUARY_OK;
}

static estuary_status on_body(void *arg, const uint8_t *bytes, size_t len, estuary_error *err)
{
    est_fetch *fetch = arg;
    return fetch->answer.status == 200 ? fetch->plan.on_body(fetch->plan.arg, bytes, len, err) : ESTUARY_OK;
}

static estuary_status on_ssl_ctx(void *arg, SSL_CTX *ctx, estuary_error *err)
{
    const est_fetch *fetch = arg;
    return est_fetch_prepare_tls(fetch->checker, fetch->host, ctx, err);
}

/* RFC 9110 15.4: only 307 and 308 repeat a POST. */
static estuary_status follow(est_fetch *fetch, estuary_error *err)
{
    bool was_https = est_http_url_is_https(fetch->url);
    if (fetch->location == NULL)
        return est_fail(err, EST_REVOCATION_NOT_FETCHED, "the server redirects, but does not say where to");
    if (fetch->redirects >= est_checker_limit(fetch->checker, ESTUARY_REVOCATION_REDIRECTS))
        return est_fail(err, EST_REVOCATION_NOT_FETCHED, "the server redirects more often than allowed");
    if (fetch->plan.body != NULL && fetch->answer.status != 307 && fetch->answer.status != 308)
        return est_fail(err, EST_REVOCATION_NOT_FETCHED, "the server redirects a POST with status %d",
                        fetch->answer.status);
    char *next = est_http_url_resolve(fetch->url, fetch->location);
    const char *refusal = next == NULL ? "it cannot be read" : est_http_url_refusal(next);
    if (refusal == NULL && was_https && !est_http_url_is_https(next))
        refusal = "it leads from https to http";
    if (refusal != NULL) {
        est_free(next);
        return est_fail(err, EST_REVOCATION_URL, "the server redirects to a URL that is not followed: %s",
                        refusal);
    }
    est_free(fetch->url);
    fetch->url = next;
    fetch->redirects++;
    return ESTUARY_OK;
}

static estuary_status send_request(est_fetch *fetch, estuary_error *err);

/* Redirects do not begin the time anew. */
static estuary_status limit_rest(est_fetch *fetch, estuary_error *err)
{
    int64_t left = fetch->ends_at - est_monotonic_ms();
    return left > 0 ? estuary_limits_set(fetch->limits, ESTUARY_LIMIT_TOTAL_MS, left, err)
                    : est_fail(err, EST_NETWORK_TIMEOUT_TOTAL, NULL);
}

static void on_done(void *arg, estuary_status status, const estuary_error *err)
{
    est_fetch *fetch = arg;
    estuary_error *own = estuary_error_new();
    if (own != NULL && err != NULL)
        est_error_copy(own, err);
    if (status == ESTUARY_OK && fetch->redirect) {
        status = follow(fetch, own);
        if (status == ESTUARY_OK)
            status = limit_rest(fetch, own);
        if (status == ESTUARY_OK)
            status = send_request(fetch, own);
        if (status == ESTUARY_OK) {
            estuary_error_free(own);
            return;
        }
    }
    fetch->plan.on_done(fetch->plan.arg, status, status == ESTUARY_OK ? &fetch->answer : NULL, own);
    estuary_error_free(own);
}

static estuary_status make_limits(est_fetch *fetch, estuary_error *err)
{
    estuary_status status = estuary_limits_new(&fetch->limits, err);
    int64_t ms = fetch->plan.timeout_ms;
    int64_t idle = ms < 3600000 ? ms : 3600000;
    fetch->ends_at = est_monotonic_ms() + ms;
    if (status == ESTUARY_OK)
        status = estuary_limits_set(fetch->limits, ESTUARY_LIMIT_TOTAL_MS, ms, err);
    if (status == ESTUARY_OK && estuary_limits_get(fetch->limits, ESTUARY_LIMIT_CONNECT_MS) > idle)
        status = estuary_limits_set(fetch->limits, ESTUARY_LIMIT_CONNECT_MS, idle, err);
    if (status == ESTUARY_OK && estuary_limits_get(fetch->limits, ESTUARY_LIMIT_IDLE_MS) > idle)
        status = estuary_limits_set(fetch->limits, ESTUARY_LIMIT_IDLE_MS, idle, err);
    return status;
}

static estuary_status send_request(est_fetch *fetch, estuary_error *err)
{
    const estuary_revocation *checker = fetch->checker;
    est_http_options options = {.proxy = checker->proxy,
                                .proxy_user = checker->proxy_user,
                                .proxy_password = checker->proxy_password,
                                .limits = fetch->limits,
                                .max_bytes = fetch->plan.max_bytes,
                                .evidence = true,
                                .cancelled = fetch->plan.cancelled,
                                .arg = fetch,
                                .on_ssl_ctx = on_ssl_ctx};
    est_http_free(fetch->http);
    fetch->http = NULL;
    if (!est_http_url_host(fetch->url, fetch->host, sizeof(fetch->host)))
        return est_fail(err, EST_REVOCATION_URL, NULL);
    estuary_status status = est_http_new(&options, &fetch->http, err);
    if (status != ESTUARY_OK)
        return status;
    fetch->call = (est_http_call){.method = fetch->plan.body == NULL ? "GET" : "POST",
                                  .url = fetch->url,
                                  .content_type = fetch->plan.content_type,
                                  .accept = fetch->plan.accept,
                                  .body = fetch->plan.body,
                                  .body_len = fetch->plan.body_len,
                                  .headers = fetch->plan.headers};
    fetch->sink =
        (est_http_sink){.arg = fetch, .on_status = on_status, .on_header = on_header, .on_body = on_body};
    return est_http_start(fetch->http, fetch->engine, &fetch->call, &fetch->sink, on_done, err);
}

estuary_status est_fetch_start(const estuary_revocation *checker, est_http_engine *engine,
                               const est_fetch_plan *plan, est_fetch **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    *out = NULL;
    const char *refusal = est_http_url_refusal(plan->url);
    if (refusal != NULL)
        return est_fail(err, EST_REVOCATION_URL, "the URL is not followed: %s", refusal);
    est_fetch *fetch = est_alloc(sizeof(*fetch));
    if (fetch == NULL)
        return est_fail_memory(err);
    fetch->checker = checker;
    fetch->engine = engine;
    fetch->plan = *plan;
    fetch->url = est_strdup(plan->url);
    if (fetch->url == NULL)
        status = est_fail_memory(err);
    if (status == ESTUARY_OK)
        status = make_limits(fetch, err);
    if (status == ESTUARY_OK)
        status = send_request(fetch, err);
    if (status != ESTUARY_OK) {
        est_fetch_free(fetch);
        return status;
    }
    *out = fetch;
    return ESTUARY_OK;
}

void est_fetch_free(est_fetch *fetch)
{
    if (fetch == NULL)
        return;
    est_http_free(fetch->http);
    estuary_limits_free(fetch->limits);
    est_free(fetch->url);
    est_free(fetch->location);
    est_free(fetch);
}
