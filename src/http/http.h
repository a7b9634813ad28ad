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
    const atomic_bool *cancelled;
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
} est_http_call;

/* The final answer; earlier ones (1xx, a 401 that was answered) are not reported. */
typedef struct est_http_sink {
    void *arg;
    estuary_status (*on_status)(void *arg, int status,
                                estuary_error *err); /* begins an answer: forget the last */
    estuary_status (*on_header)(void *arg, const char *name, const char *value, estuary_error *err);
    estuary_status (*on_body)(void *arg, const uint8_t *bytes, size_t len, estuary_error *err);
} est_http_sink;

/* One connection to one server with one identity, kept alive between calls. */
typedef struct est_http est_http;

estuary_status est_http_new(const est_http_options *options, est_http **out, estuary_error *err);
void est_http_free(est_http *http);

/*
 * Sends and receives, within the limits. Redirects are not followed, and a POST is sent once for each
 * authentication step, never again after the server may have read it. A failed TLS session is ESTUARY_E_TLS
 * with the code EST_TLS; the caller knows more about it.
 */
estuary_status est_http_perform(est_http *http, const est_http_call *call, const est_http_sink *sink,
                                estuary_error *err);

const char *est_http_library_version(void); /* libcurl's; static */

#endif
