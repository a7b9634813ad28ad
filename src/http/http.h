/* http: the only room that knows libcurl. It knows nothing of EST. */
#ifndef EST_HTTP_H
#define EST_HTTP_H

#include "base/base.h"

#include <openssl/ssl.h>
#include <stdatomic.h>

/* What a link is set up with; copied, except the hooks' arg and `cancelled`, which must outlive the link. */
typedef struct est_http_options {
    const char *proxy; /* NULL: none, whatever the environment says */
    const char *proxy_user;
    const estuary_secret *proxy_password;
    const char *user; /* NULL: no HTTP authentication */
    const estuary_secret *password;
    bool preemptive; /* Basic at once, without waiting for a 401 */
    const estuary_limits *limits;
    int64_t max_bytes; /* of an answer; 0: the limits' */
    /* Revocation data (R0): plain http, too, and no connection to a link-local address. */
    bool evidence;
    const atomic_bool *cancelled; /* may be NULL */
    void *arg;
    /* Called for each new TLS session with libcurl's SSL_CTX; an error ends the attempt. */
    estuary_status (*on_ssl_ctx)(void *arg, SSL_CTX *ctx, estuary_error *err);
    /* At most once a second, with what is being waited for; may be NULL. */
    void (*on_progress)(void *arg, const char *what);
} est_http_options;

typedef struct est_http_call {
    const char *method; /* "GET" or "POST" */
    const char *url;
    const char *content_type; /* NULL without a body */
    const char *accept;
    const uint8_t *body; /* must stay unchanged during the call */
    size_t body_len;
    const char *const *headers; /* pairs of name and value, ended by NULL; may be NULL */
    /*
     * For a body that depends on the TLS session, instead of `body`: called after the handshake before each
     * attempt (a new connection, a kept one, after a 401). It writes at most body_max bytes; the size on the
     * wire is always body_max, filled up with LF. An error ends the call with it, and nothing is sent.
     */
    estuary_status (*on_ready)(void *arg, SSL *ssl, uint8_t *body, size_t max, size_t *len,
                               estuary_error *err);
    void *ready_arg;
    size_t body_max;
} est_http_call;

/* The final answer; earlier ones (1xx, a 401 that was answered) are not reported. */
typedef struct est_http_sink {
    void *arg;
    /* A request is about to leave: from here on the server may have read it. May be NULL. */
    void (*on_send)(void *arg);
    estuary_status (*on_status)(void *arg, int status,
                                estuary_error *err); /* begins an answer: forget the last */
    estuary_status (*on_header)(void *arg, const char *name, const char *value, estuary_error *err);
    estuary_status (*on_body)(void *arg, const uint8_t *bytes, size_t len, estuary_error *err);
} est_http_sink;

/*
 * One identity: its connections to one server, kept alive between calls and never used by another est_http.
 * One call at a time.
 */
typedef struct est_http est_http;

estuary_status est_http_new(const est_http_options *options, est_http **out, estuary_error *err);
void est_http_free(est_http *http); /* a running call ends without its on_done */

/* What drives any number of calls in one thread, from anybody's event loop or with its own step(). */
typedef struct est_http_engine est_http_engine;

#define EST_HTTP_READ  1
#define EST_HTTP_WRITE 2

/* What to watch fd for; 0: no more. Must call neither the engine nor a link. */
typedef void est_http_watch_fn(void *arg, int fd, int events);
/* watch NULL: est_http_engine_step() waits itself. */
estuary_status est_http_engine_new(est_http_watch_fn *watch, void *arg, est_http_engine **out,
                                   estuary_error *err);
void est_http_engine_free(est_http_engine *engine); /* no call may be running */
/* Milliseconds until est_http_engine_ready(engine, -1, 0) is due; -1: never. */
int64_t est_http_engine_deadline_ms(const est_http_engine *engine);
/* fd is ready for `events`; fd -1: time has passed. Calls on_done of what ended. */
estuary_status est_http_engine_ready(est_http_engine *engine, int fd, int events, estuary_error *err);
/* Waits at most timeout_ms for what comes first, and handles it. */
estuary_status est_http_engine_step(est_http_engine *engine, int64_t timeout_ms, estuary_error *err);

/*
 * Work that goes in pieces, so that transfers move in between: fn is called once, in the engine's next turn,
 * and may ask for another one. Zero-initialise; must not go away while it waits.
 */
typedef struct est_http_turn {
    void (*fn)(void *arg);
    void *arg;
    est_http_engine *engine; /* NULL: it does not wait */
    struct est_http_turn *next;
} est_http_turn;
void est_http_turn_ask(est_http_turn *turn, est_http_engine *engine);
void est_http_turn_cancel(est_http_turn *turn); /* one that does not wait is fine */

/* status is never ESTUARY_OK unless a whole answer went to the sink. May start or free any link. */
typedef void est_http_done_fn(void *arg, estuary_status status, const estuary_error *err);

/*
 * Sends and receives, within the limits. Redirects are not followed, and a POST is sent once for each
 * authentication step, never again after the server may have read it. A failed TLS session is ESTUARY_E_TLS
 * with the code EST_TLS; the caller knows more about it. call and sink are lent until on_done, which gets the
 * options' arg; it is not called when this fails.
 */
estuary_status est_http_start(est_http *http, est_http_engine *engine, const est_http_call *call,
                              const est_http_sink *sink, est_http_done_fn *on_done, estuary_error *err);
/* Ends a running call without its on_done. */
void est_http_abort(est_http *http);
/* From a callback of a running call, too: it ends with EST_CANCELLED, soon, and nothing more is sent. */
void est_http_stop(est_http *http);

/* credentials.c: RFC 7617 2, RFC 7616 3.4: nothing that would break out of a header field */
bool est_http_is_user_name(const char *user);
bool est_http_is_password(const char *text, size_t len);
/* http://, socks5:// or socks5h://HOST:PORT; user and password may be NULL (T7). Never repeats the URL. */
estuary_status est_http_check_proxy(const char *url, const char *user, const estuary_secret *password,
                                    estuary_error *err);

/* url.c: URLs that certificates and redirects name (R0); nothing here resolves a name */

#define EST_HTTP_URL_MAX 2048

/* NULL when it is http or https with a host, without userinfo and fragment, not link-local; else why not. */
const char *est_http_url_refusal(const char *url);
bool est_http_url_host(const char *url, char *out, size_t size); /* an IPv6 address without its brackets */
bool est_http_url_is_https(const char *url);
/* RFC 3986 5.2: what a Location means for the URL it came from; freed with est_free(); NULL when nothing. */
char *est_http_url_resolve(const char *base, const char *location);

#endif
