/* client: drives an exchange over http: plan, build, exchange, read, check. */
#ifndef EST_CLIENT_H
#define EST_CLIENT_H

#include "base/base.h"
#include "cert/cert.h"
#include "est/est.h"
#include "http/http.h"
#include "key/key.h"
#include "revocation/revocation.h"
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
    estuary_pop pop;
    estuary_log *log;
    estuary_metrics *metrics;
    estuary_progress_fn *progress;
    void *progress_arg;
    estuary_revocation *revocation; /* NULL: not looked at */
};

/* config.c */
estuary_status est_config_dup(const estuary_config *config, estuary_config **out, estuary_error *err);
/* Forgets trust, identity and credentials: what bootstrap must not use. */
void est_config_strip(estuary_config *config);

/* Whether the server's CSR attributes ask for a channel binding. */
typedef enum est_pop_asked { EST_POP_UNKNOWN = 0, EST_POP_NOT_ASKED, EST_POP_ASKED } est_pop_asked;

/* A chain that the policy let pass; behind one name there may be several servers. */
#define EST_PASSED_CHAINS 4
typedef struct est_passed_chain {
    bool valid;
    uint8_t digest[ESTUARY_FINGERPRINT_SIZE];
    int64_t at;
} est_passed_chain;

/* What is known, and wanted, about the revocation of the server's chain. */
typedef struct est_evidence {
    STACK_OF(X509) *chain; /* of the last session that lacked evidence; NULL: none did */
    uint8_t *staple;       /* that came with it */
    size_t staple_len;
    est_revocation_job *job; /* fetching */
    est_passed_chain passed[EST_PASSED_CHAINS];
    size_t next_passed;
    bool just_passed; /* the next session checks, and counts, nothing anew */
    int issued_from;  /* `job` begins so far above what was issued */
} est_evidence;

struct estuary_client {
    estuary_config *config;
    est_trust trust;
    est_session session; /* of the connection in use */
    est_http *http;
    est_http_engine *engine;     /* of blocking calls; NULL before the first */
    struct est_drive *drive;     /* the exchange under way; NULL: none */
    struct estuary_op *op;       /* of estuary_multi, from its start to its end; NULL: none */
    struct estuary_multi *multi; /* that holds n_ops of its operations; NULL: none */
    size_t n_ops;                /* queued, running or waiting */
    atomic_bool cancelled;
    est_pop_asked pop_asked;
    bool binds;        /* the running enrolment's request is bound to its TLS session */
    char bound_by[16]; /* "tls-exporter", of the last bound request */
    bool warned;       /* that the server is not authenticated */
    est_evidence evidence;
    STACK_OF(X509) *ca_certificates; /* of /cacerts, fetched when a chain needs them; NULL before */
};

/* binding.c: RFC 7030 3.5 */

/* Into client->binds: what the config says, the enrolment allows, and with "auto" the server asks for. */
estuary_status est_client_decide_binding(estuary_client *client, const estuary_enrollment *enrollment,
                                         estuary_error *err);
/* Only the server's csrattrs can tell: they must be asked for and noted before. */
bool est_client_must_ask_attributes(const estuary_client *client, const estuary_enrollment *enrollment);
/* err: why none came. Whether that is an answer, too. */
bool est_client_note_no_attributes(estuary_client *client, const estuary_error *err);
void est_client_note_attributes(estuary_client *client, const estuary_csr_attributes *attributes);
/* One bound request; must outlive the HTTP call. */
typedef struct est_binding {
    estuary_client *client;
    estuary_exchange *exchange;
} est_binding;
/* Fills in what of `call` is special about a bound body. */
estuary_status est_binding_plan(est_binding *binding, const estuary_http_request **request,
                                est_http_call *call, estuary_error *err);
estuary_status est_binding_sign(void *arg, SSL *ssl, uint8_t *body, size_t max, size_t *len,
                                estuary_error *err);
/* A refusal that may be about the binding says so. */
estuary_status est_client_explain_refusal(const estuary_client *client, estuary_status status,
                                          estuary_error *err);
/* unanswered: a request left, and no whole answer came; enrollment may be NULL. */
estuary_status est_client_note_sent(estuary_enrollment *enrollment, bool unanswered, estuary_status status,
                                    estuary_error *err);

/* evidence.c: revocation (R3, R6) */

void est_evidence_clear(est_evidence *evidence);
/* est_trust's check_chain(); arg is the client. EST_TRUST_EVIDENCE_WANTED: fetch, and dial again. */
estuary_status est_evidence_check_chain(void *arg, const STACK_OF(X509) *chain, const uint8_t *staple,
                                        size_t len, estuary_error *err);
bool est_evidence_is_wanted(const estuary_client *client, const estuary_error *err);
estuary_status est_evidence_fetch(estuary_client *client, est_http_engine *engine,
                                  est_revocation_done_fn *on_done, void *arg, estuary_error *err);
/* After on_done: does the policy let the chain pass? */
estuary_status est_evidence_judge(estuary_client *client, estuary_error *err);
void est_evidence_stop(estuary_client *client);
/* *out is lent; NULL when the issued certificate is not to be checked, which the finding then says. */
estuary_status est_evidence_issued_chain(const estuary_client *client, estuary_enrollment *enrollment,
                                         const STACK_OF(X509) **out, estuary_error *err);
estuary_status est_evidence_begin_issued(estuary_client *client, const STACK_OF(X509) *path,
                                         est_http_engine *engine, est_revocation_done_fn *on_done, void *arg,
                                         estuary_error *err);
estuary_status est_evidence_judge_issued(estuary_client *client, estuary_enrollment *enrollment,
                                         estuary_error *err);

/* drive.c: one exchange of an operation that does not enrol to its end, redirects included */
estuary_status est_client_drive(estuary_client *client, estuary_operation operation, estuary_exchange **out,
                                estuary_error *err);
/* The same for an exchange that was made before. */
estuary_status est_client_drive_exchange(estuary_client *client, estuary_operation operation,
                                         estuary_exchange *exchange, estuary_next *next, estuary_error *err);
estuary_status est_client_fetch_ca_certificates(estuary_client *client, STACK_OF(X509) **out,
                                                estuary_error *err);

#endif
