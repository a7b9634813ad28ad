/* client: drives an exchange over http: plan, build, exchange, read, check. */
#ifndef EST_CLIENT_H
#define EST_CLIENT_H

#include "base/base.h"
#include "cert/cert.h"
#include "est/est.h"
#include "http/http.h"
#include "key/key.h"
#include "trust/trust.h"

#include <estuary/bootstrap.h>
#include <estuary/client.h>
#include <estuary/config.h>

struct estuary_config {
    estuary_server *server;
    estuary_anchors *anchors;
    bool accept_any;
    bool fips;
    bool allow_expired_identity;
    X509 *identity;
    STACK_OF(X509) *identity_chain;
    EVP_PKEY *identity_key;
    char *user;
    estuary_secret *password;
    bool preemptive_auth;
    char *proxy, *proxy_user;
    estuary_secret *proxy_password;
    estuary_limits *limits;
    int64_t max_wait;
    estuary_log *log;
    estuary_metrics *metrics;
    estuary_progress_fn *progress;
    void *progress_arg;
};

/* config.c */
estuary_status est_config_dup(const estuary_config *config, estuary_config **out, estuary_error *err);
/* Forgets trust, identity and credentials: what bootstrap must not use. */
void est_config_strip(estuary_config *config);

struct estuary_client {
    estuary_config *config;
    est_trust trust;
    est_session session; /* of the connection in use */
    est_http *http;
    atomic_bool cancelled;
    bool warned;                     /* that the server is not authenticated */
    STACK_OF(X509) *ca_certificates; /* of /cacerts, fetched when a chain needs them; NULL before */
};

/* drive.c: one exchange to its end, redirects included */
estuary_status est_client_drive(estuary_client *client, estuary_operation operation,
                                estuary_enrollment *enrollment, estuary_exchange **out, estuary_next *next,
                                estuary_error *err);
estuary_status est_client_fetch_ca_certificates(estuary_client *client, STACK_OF(X509) **out,
                                                estuary_error *err);

#endif
