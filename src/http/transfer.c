#include "http/transfer.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES 16384

static CURLcode ssl_ctx_callback(CURL *easy, void *ctx, void *arg)
{
    (void)easy;
    est_http *http = arg;
    return http->on_ssl_ctx(http->arg, ctx, http->failure) == ESTUARY_OK ? CURLE_OK
                                                                         : CURLE_ABORTED_BY_CALLBACK;
}

static bool has_body(const est_http *http)
{
    return http->call->body != NULL || http->call->on_ready != NULL;
}

/*
 * RFC 7030 3.5, RFC 8951 3.1: what depends on the session is made anew for each attempt. curl has fixed the
 * size by now, and white space after the base64 means nothing.
 */
static bool make_late_body(est_http *http)
{
    const est_http_call *call = http->call;
    struct curl_tlssessioninfo *tls = NULL;
    size_t len = 0;
    if (call->on_ready == NULL)
        return true;
    if (curl_easy_getinfo(http->easy, CURLINFO_TLS_SSL_PTR, &tls) != CURLE_OK || tls == NULL ||
        tls->backend != CURLSSLBACKEND_OPENSSL || tls->internals == NULL) {
        (void)est_fail(http->failure, EST_TLS_BINDING, NULL);
        return false;
    }
    if (call->on_ready(call->ready_arg, tls->internals, http->late_body, call->body_max, &len,
                       http->failure) != ESTUARY_OK)
        return false;
    memset(http->late_body + len, '\n', call->body_max - len);
    return true;
}

/* A server that calls each nonce stale would be asked for ever: curl has no bound of its own. */
#define ATTEMPTS_MAX 3

/*
 * Once for each request, after the TLS handshake. A second POST is right only as an answer to 401: curl would
 * also send it again when a kept-alive connection turns out dead, and the server may have read the first.
 */
static int prereq_callback(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
    (void)remote_ip, (void)local_ip, (void)remote_port, (void)local_port;
    est_http *http = arg;
    if (http->attempts > 0 && http->status != 401 && has_body(http)) {
        bool reset = strstr(http->error_text, "reset by peer") != NULL;
        (void)est_fail(http->failure, reset ? EST_NETWORK_RESET : EST_NETWORK_CLOSED_EARLY,
                       "%s %s the connection after it may have read the request, which is not sent twice",
                       http->place, reset ? "reset" : "closed");
        return CURL_PREREQFUNC_ABORT;
    }
    if (http->attempts >= ATTEMPTS_MAX && http->status == 401) {
        (void)est_fail(http->failure, EST_AUTH_DIGEST_STALE, NULL);
        return CURL_PREREQFUNC_ABORT;
    }
    if (!make_late_body(http))
        return CURL_PREREQFUNC_ABORT;
    if (est_transfer_is_cancelled(http)) { /* a signer may be where the user said stop */
        (void)est_fail(http->failure, EST_CANCELLED, NULL);
        return CURL_PREREQFUNC_ABORT;
    }
    if (http->sink->on_send != NULL)
        http->sink->on_send(http->sink->arg);
    http->attempts++;
    http->status = 0;
    http->header_count = 0;
    http->header_bytes = 0;
    http->body_bytes = 0;
    http->active_at = est_monotonic_ms();
    return CURL_PREREQFUNC_OK;
}

static estuary_status status_line(est_http *http, const char *line, size_t len)
{
    const char *blank = memchr(line, ' ', len);
    int status = 0;
    for (int i = 1; blank != NULL && i <= 3 && blank + i < line + len; i++)
        status = blank[i] >= '0' && blank[i] <= '9' ? status * 10 + (blank[i] - '0') : -1000;
    if (status < 100 || status > 599)
        return est_fail(http->failure, EST_PROTOCOL_HTTP,
                        "the server's answer has no valid HTTP status line");
    http->status = status;
    http->content_length = -1;
    est_challenges_clear(&http->challenges);
    return http->sink->on_status(http->sink->arg, status, http->failure);
}

static estuary_status check_length(est_http *http, const char *value)
{
    int64_t length = 0;
    size_t digits = strspn(value, "0123456789");
    if (digits == 0 || digits > 18 || value[digits] != '\0')
        return est_fail(http->failure, EST_PROTOCOL_LENGTH, "the server's Content-Length is not a number");
    for (size_t i = 0; i < digits; i++)
        length = length * 10 + (value[i] - '0');
    if (http->content_length >= 0 && http->content_length != length)
        return est_fail(http->failure, EST_PROTOCOL_LENGTH, "the server sent two different Content-Lengths");
    http->content_length = length;
    if (length > http->max_bytes)
        return est_fail(http->failure, EST_PROTOCOL_TOO_LARGE,
                        "the server announces an answer of %lld bytes, more than allowed", (long long)length);
    return ESTUARY_OK;
}

#define CNONCE_BYTES 16

static estuary_status answer_digest(est_http *http)
{
    uint8_t random[CNONCE_BYTES];
    char cnonce[2 * CNONCE_BYTES + 1];
    if (RAND_bytes(random, CNONCE_BYTES) != 1)
        return est_fail_openssl(http->failure, EST_CRYPTO_RANDOM, NULL);
    for (size_t i = 0; i < CNONCE_BYTES; i++)
        snprintf(cnonce + 2 * i, 3, "%02x", random[i]);
    const est_digest_request request = {http->user, estuary_secret_get0(http->password, NULL),
                                        http->call->method, http->call->url, cnonce};
    est_free(http->authorization);
    return est_digest_answer(http->challenges.better, &request, &http->authorization, http->failure);
}

/* T6: where curl would answer a weaker Digest challenge than is offered, this transfer ends and another
 * follows. */
static estuary_status end_of_challenges(est_http *http)
{
    const est_challenges *all = &http->challenges;
    estuary_status status = est_challenges_judge(all, http->failure);
    bool refused = http->authorization != NULL && !all->best.stale; /* the 401 is the answer */
    if (status != ESTUARY_OK || all->better == NULL || refused)
        return status;
    status = answer_digest(http);
    http->again = status == ESTUARY_OK;
    return status;
}

static estuary_status header_line(est_http *http, const char *line, size_t len)
{
    char text[LINE_MAX_BYTES + 1];
    const char *colon = memchr(line, ':', len);
    if (len <= 2 && http->status == 401 && http->user != NULL && !http->preemptive)
        return end_of_challenges(http); /* the end of the headers */
    if (colon == NULL || colon == line)
        return ESTUARY_OK; /* the empty line, or what curl will refuse */
    if (len > LINE_MAX_BYTES)
        return est_fail(http->failure, EST_PROTOCOL_HEADERS, NULL);
    memcpy(text, line, len);
    text[len] = '\0';
    char *name = text, *value = text + (colon - line);
    *value++ = '\0';
    while (*value == ' ' || *value == '\t')
        value++;
    for (size_t end = strlen(value); end > 0 && strchr("\r\n \t", value[end - 1]) != NULL; end--)
        value[end - 1] = '\0';
    if (est_text_equal_nocase(name, "Content-Length")) {
        estuary_status status = check_length(http, value);
        if (status != ESTUARY_OK)
            return status;
    }
    if (est_text_equal_nocase(name, "WWW-Authenticate"))
        est_challenges_read(&http->challenges, value);
    return http->sink->on_header(http->sink->arg, name, value, http->failure);
}

static size_t header_callback(char *line, size_t size, size_t count, void *arg)
{
    est_http *http = arg;
    size_t len = size * count;
    estuary_status status = ESTUARY_OK;
    http->active_at = est_monotonic_ms();
    http->header_count++;
    http->header_bytes += (int64_t)len;
    if (http->header_bytes > estuary_limits_get(http->limits, ESTUARY_LIMIT_HEADER_BYTES))
        status = est_fail(http->failure, EST_PROTOCOL_HEADERS, NULL);
    else if (http->header_count > estuary_limits_get(http->limits, ESTUARY_LIMIT_HEADER_COUNT))
        status = est_fail(http->failure, EST_PROTOCOL_HEADER_COUNT, NULL);
    else if (len >= 5 && memcmp(line, "HTTP/", 5) == 0)
        status = status_line(http, line, len);
    else
        status = header_line(http, line, len);
    return status == ESTUARY_OK && !http->again ? len : 0;
}

static size_t body_callback(char *bytes, size_t size, size_t count, void *arg)
{
    est_http *http = arg;
    size_t len = size * count;
    http->active_at = est_monotonic_ms();
    http->body_bytes += (int64_t)len;
    if (http->body_bytes > http->max_bytes) {
        (void)est_fail(http->failure, EST_PROTOCOL_TOO_LARGE,
                       "the server's answer goes on past the %lld bytes allowed", (long long)http->max_bytes);
        return 0;
    }
    return http->sink->on_body(http->sink->arg, (uint8_t *)bytes, len, http->failure) == ESTUARY_OK ? len : 0;
}

#define SET(option, value)                                                                                   \
    do {                                                                                                     \
        if (ok && curl_easy_setopt(http->easy, option, value) != CURLE_OK)                                   \
            ok = false;                                                                                      \
    } while (0)

/* T6: curl sends credentials after a 401 and picks the stronger scheme; Basic at once only when asked to. */
static bool set_credentials(est_http *http)
{
    bool ok = true;
    if (http->authorization != NULL) {
        SET(CURLOPT_HTTPAUTH, CURLAUTH_NONE);
        SET(CURLOPT_USERNAME, NULL);
        SET(CURLOPT_PASSWORD, NULL);
    } else if (http->user != NULL) {
        SET(CURLOPT_HTTPAUTH, http->preemptive ? CURLAUTH_BASIC : CURLAUTH_BASIC | CURLAUTH_DIGEST);
        SET(CURLOPT_USERNAME, http->user);
        SET(CURLOPT_PASSWORD, estuary_secret_get0(http->password, NULL));
    }
    /* "" also switches off what the environment says */
    SET(CURLOPT_PROXY, http->proxy == NULL ? "" : http->proxy);
    SET(CURLOPT_NOPROXY, "");
    if (http->proxy_user != NULL) {
        SET(CURLOPT_PROXYAUTH, CURLAUTH_BASIC | CURLAUTH_DIGEST);
        SET(CURLOPT_PROXYUSERNAME, http->proxy_user);
        SET(CURLOPT_PROXYPASSWORD, estuary_secret_get0(http->proxy_password, NULL));
    }
    return ok;
}

static bool set_tls(est_http *http)
{
    bool ok = true;
    /* our own check runs in the handshake; with VERIFYPEER curl insists on its result, too */
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 0L); /* curl's falls back to the CN */
    SET(CURLOPT_CAINFO, NULL);
    SET(CURLOPT_CAPATH, NULL);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_CTX_FUNCTION, ssl_ctx_callback);
    SET(CURLOPT_SSL_CTX_DATA, http);
    /* an identity set in the SSL_CTX is invisible to curl's cache: a resumed session could carry another one
     */
    SET(CURLOPT_SSL_SESSIONID_CACHE, 0L);
    SET(CURLOPT_SSL_ENABLE_ALPN, 0L);
    return ok;
}

static bool set_transfer(est_http *http)
{
    bool ok = true;
    SET(CURLOPT_PROTOCOLS_STR, http->evidence ? "http,https" : "https");
    if (http->evidence && http->proxy == NULL) {
        SET(CURLOPT_OPENSOCKETFUNCTION, est_http_open_socket);
        SET(CURLOPT_OPENSOCKETDATA, http);
    }
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_FOLLOWLOCATION, 0L); /* it would turn a POST into a GET: the exchange follows redirects */
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_ERRORBUFFER, http->error_text);
    SET(CURLOPT_USERAGENT, "estuary/" ESTUARY_VERSION);
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)estuary_limits_get(http->limits, ESTUARY_LIMIT_CONNECT_MS));
    SET(CURLOPT_TIMEOUT_MS, (long)estuary_limits_get(http->limits, ESTUARY_LIMIT_TOTAL_MS));
    SET(CURLOPT_PREREQFUNCTION, prereq_callback);
    SET(CURLOPT_PREREQDATA, http);
    SET(CURLOPT_HEADERFUNCTION, header_callback);
    SET(CURLOPT_HEADERDATA, http);
    SET(CURLOPT_WRITEFUNCTION, body_callback);
    SET(CURLOPT_WRITEDATA, http);
    return ok;
}

estuary_status est_transfer_prepare(est_http *http, estuary_error *err)
{
    if (!set_transfer(http) || !set_tls(http) || !set_credentials(http))
        return est_fail(err, EST_NETWORK, "the HTTP library refuses its settings");
    return ESTUARY_OK;
}

static bool add_header(est_http *http, const char *name, const char *value)
{
    char *line = est_printf("%s: %s", name, value);
    struct curl_slist *longer = line == NULL ? NULL : curl_slist_append(http->headers, line);
    est_free(line);
    if (longer == NULL)
        return false;
    http->headers = longer;
    return true;
}

/* Also in the place of those of an attempt before. */
static estuary_status make_headers(est_http *http)
{
    const est_http_call *call = http->call;
    (void)curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(http->headers);
    http->headers = NULL;
    bool ok = add_header(http, "Accept", call->accept);
    if (has_body(http))
        ok = ok && add_header(http, "Content-Type", call->content_type) && add_header(http, "Expect", "");
    for (size_t i = 0; ok && call->headers != NULL && call->headers[i] != NULL; i += 2)
        ok = add_header(http, call->headers[i], call->headers[i + 1]);
    if (http->authorization != NULL)
        ok = ok && add_header(http, "Authorization", http->authorization);
    SET(CURLOPT_HTTPHEADER, http->headers);
    return ok ? ESTUARY_OK : est_fail_memory(http->failure);
}

/* "host:port" of a URL that has been validated */
static void name_place(est_http *http, const char *url)
{
    const char *start = strstr(url, "://");
    start = start == NULL ? url : start + 3;
    size_t len = strcspn(start, "/");
    est_text_sanitise(start, len, http->place, sizeof(http->place));
}

estuary_status est_transfer_begin(est_http *http, const est_http_call *call, const est_http_sink *sink,
                                  estuary_error *err)
{
    bool ok = true;
    http->call = call;
    http->sink = sink;
    http->attempts = 0;
    http->status = 0;
    http->error_text[0] = '\0';
    http->started_at = est_monotonic_ms();
    http->active_at = http->started_at;
    http->reported_at = http->started_at;
    estuary_error_clear(http->failure);
    name_place(http, call->url);
    if (make_headers(http) != ESTUARY_OK)
        return est_fail_memory(err);
    if (call->on_ready != NULL && (http->late_body = est_alloc(call->body_max)) == NULL)
        return est_fail_memory(err);
    SET(CURLOPT_URL, call->url);
    if (has_body(http)) {
        bool late = call->on_ready != NULL;
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(late ? call->body_max : call->body_len));
        SET(CURLOPT_POSTFIELDS, (const char *)(late ? http->late_body : call->body));
    } else {
        SET(CURLOPT_HTTPGET, 1L);
    }
    return ok ? ESTUARY_OK : est_fail_memory(err);
}

estuary_status est_transfer_repeat(est_http *http)
{
    bool ok = true;
    int64_t left =
        estuary_limits_get(http->limits, ESTUARY_LIMIT_TOTAL_MS) - (est_monotonic_ms() - http->started_at);
    http->again = false;
    http->error_text[0] = '\0';
    SET(CURLOPT_TIMEOUT_MS, (long)(left > 0 ? left : 1));
    ok = ok && set_credentials(http);
    return ok ? make_headers(http) : est_fail_memory(http->failure);
}

/* What our own answer to a Digest challenge changed. */
static void forget_authorization(est_http *http)
{
    bool ok = true;
    http->again = false;
    est_challenges_clear(&http->challenges);
    if (http->authorization == NULL)
        return;
    est_free(http->authorization);
    http->authorization = NULL;
    SET(CURLOPT_TIMEOUT_MS, (long)estuary_limits_get(http->limits, ESTUARY_LIMIT_TOTAL_MS));
    if (!ok || !set_credentials(http)) /* asks without, and is refused: nothing weaker is sent */
        (void)curl_easy_setopt(http->easy, CURLOPT_HTTPAUTH, CURLAUTH_NONE);
}

void est_transfer_end(est_http *http)
{
    forget_authorization(http);
    (void)curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, NULL);
    (void)curl_easy_setopt(http->easy, CURLOPT_POSTFIELDS, NULL);
    curl_slist_free_all(http->headers);
    http->headers = NULL;
    est_free(http->late_body);
    http->late_body = NULL;
    http->call = NULL;
    http->sink = NULL;
}
