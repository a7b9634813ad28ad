/* Inside http only: one transfer's options, callbacks and verdict. */
#ifndef EST_HTTP_TRANSFER_H
#define EST_HTTP_TRANSFER_H

#include "http/challenge.h"
#include "http/http.h"

#include <curl/curl.h>

struct est_http {
    /* fixed */
    char *proxy, *proxy_user, *user;
    estuary_secret *proxy_password, *password;
    bool preemptive;
    estuary_limits *limits;
    int64_t max_bytes; /* of an answer */
    bool evidence;
    const atomic_bool *cancelled;
    void *arg;
    estuary_status (*on_ssl_ctx)(void *arg, SSL_CTX *ctx, estuary_error *err);
    void (*on_progress)(void *arg, const char *what);
    CURL *easy;
    CURLSH *pool; /* this identity's connections; NULL: none yet */
    char error_text[CURL_ERROR_SIZE];

    /* of the running call */
    est_http_engine *engine; /* NULL: no call is running */
    est_http *previous, *next;
    est_http_done_fn *on_done;
    const est_http_call *call;
    const est_http_sink *sink;
    struct curl_slist *headers;
    uint8_t *late_body;        /* of call->on_ready, body_max bytes; NULL without it */
    est_challenges challenges; /* of the answer being read */
    char *authorization;       /* our own answer to a Digest challenge; NULL: curl authenticates */
    bool stop;                 /* est_http_stop() */
    bool again;                /* this transfer ends so that the next one can carry `authorization` */
    estuary_error *failure;    /* set by a callback that ended the transfer */
    char place[300];           /* "est.example:443", for messages */
    int attempts;              /* requests begun */
    int status;                /* of the answer being read; 0 before any */
    int64_t header_count, header_bytes;
    int64_t body_bytes;
    int64_t content_length; /* -1: not announced */
    int64_t active_at;      /* when something last moved */
    int64_t reported_at;
    int64_t started_at;
};

/* url.c: for CURLOPT_OPENSOCKETFUNCTION; arg is the est_http */
curl_socket_t est_http_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address);

estuary_status est_transfer_prepare(est_http *http, estuary_error *err);
estuary_status est_transfer_begin(est_http *http, const est_http_call *call, const est_http_sink *sink,
                                  estuary_error *err);
/* From curl's result to ours. */
estuary_status est_transfer_judge(est_http *http, CURLcode result, estuary_error *err);
/* After `again`: the same request once more, with our own answer. */
estuary_status est_transfer_repeat(est_http *http);
void est_transfer_end(est_http *http);
bool est_transfer_is_cancelled(const est_http *http);
/* The bounds curl does not watch: cancellation, silence; says what is waited for. */
estuary_status est_transfer_check_patience(est_http *http, int64_t now);

#endif
