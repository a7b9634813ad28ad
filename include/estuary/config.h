/*
 * config.h: what to trust, who we are, how patient to be.
 *
 * A client takes a snapshot: later setters affect later clients. A config belongs to one thread at a
 * time. Setters copy their arguments or take their own reference.
 */
#ifndef ESTUARY_CONFIG_H
#define ESTUARY_CONFIG_H

#include <estuary/cert.h>
#include <estuary/error.h>
#include <estuary/exchange.h>
#include <estuary/limits.h>
#include <estuary/log.h>
#include <estuary/metrics.h>
#include <estuary/revocation.h>
#include <estuary/secret.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct estuary_config estuary_config;

ESTUARY_EXPORT estuary_status estuary_config_new(estuary_config **out, estuary_error *err);
ESTUARY_EXPORT void estuary_config_free(estuary_config *config); /* NULL is fine */

ESTUARY_EXPORT estuary_status estuary_config_set_server(estuary_config *config, const char *url,
                                                        const char *label, estuary_error *err);

/* Trust (T2). The first call decides: explicit anchors and the system's store never mix. */
ESTUARY_EXPORT estuary_status estuary_config_trust_file(estuary_config *config, const char *path,
                                                        estuary_error *err);
ESTUARY_EXPORT estuary_status estuary_config_trust_anchors(estuary_config *config,
                                                           const estuary_anchors *anchors,
                                                           estuary_error *err);
ESTUARY_EXPORT estuary_status estuary_config_trust_system(estuary_config *config, estuary_error *err);

/*
 * The TLS client identity (T5): a certificate, the CA certificates to send with it (may be NULL) and its
 * key. Whether it can authenticate a TLS client (validity, EKU, key match) is checked here, before any
 * dialing; an expired one is refused by name, unless allowed with estuary_config_allow_expired_identity().
 */
ESTUARY_EXPORT estuary_status estuary_config_set_identity(estuary_config *config, X509 *certificate,
                                                          const STACK_OF(X509) *chain, EVP_PKEY *key,
                                                          estuary_error *err);
/* For renewing after expiry, where the server tolerates it. Call it before set_identity. */
ESTUARY_EXPORT estuary_status estuary_config_allow_expired_identity(estuary_config *config,
                                                                    estuary_error *err);

/*
 * HTTP Basic and Digest (T6): sent only to an authenticated server, only after it asked with 401, or at
 * once (Basic) after estuary_config_set_preemptive_auth().
 */
ESTUARY_EXPORT estuary_status estuary_config_set_http_auth(estuary_config *config, const char *user,
                                                           const estuary_secret *password,
                                                           estuary_error *err);
ESTUARY_EXPORT estuary_status estuary_config_set_preemptive_auth(estuary_config *config, bool on,
                                                                 estuary_error *err);

/* http://, socks5:// or socks5h://HOST:PORT; user and password may be NULL (T7). NULL url: none (default). */
ESTUARY_EXPORT estuary_status estuary_config_set_proxy(estuary_config *config, const char *url,
                                                       const char *user, const estuary_secret *password,
                                                       estuary_error *err);

/*
 * Accept any server certificate. Warned about once a client, counted for each session
 * ("insecure_sessions_total"). Only cacerts runs under it, and neither HTTP credentials nor a client
 * certificate are sent (T4, RFC 7030 4.1.1).
 */
ESTUARY_EXPORT estuary_status estuary_config_insecure_accept_any_server(estuary_config *config,
                                                                        estuary_error *err);

/*
 * Channel binding (RFC 7030 3.5): challengePassword ties a request to the TLS session it travels in. The CSR
 * is signed again after each handshake, so the key must be at hand.
 *
 * AUTO      when the server's CSR attributes ask for it. An enrolment first fetches /csrattrs for that,
 * unless this client has; 204, 404, 405 and 501 ask for nothing, any other failure ends the enrolment.
 * Without the key, nothing is asked and nothing bound. REQUIRED  always; a request signed elsewhere is
 * refused (key.cannot-sign) before anything is dialed. OFF       never, and nothing is fetched for that; CSR
 * attributes that are fetched for another reason and ask for it are written to the log as a warning.
 */
typedef enum estuary_pop {
    ESTUARY_POP_AUTO = 0, /* the default */
    ESTUARY_POP_REQUIRED,
    ESTUARY_POP_OFF
} estuary_pop;
ESTUARY_EXPORT estuary_status estuary_config_set_pop(estuary_config *config, estuary_pop pop,
                                                     estuary_error *err);

ESTUARY_EXPORT estuary_status estuary_config_set_limits(estuary_config *config, const estuary_limits *limits,
                                                        estuary_error *err);
/* Poll a pending request for so many seconds before returning ESTUARY_E_PENDING; default 0. */
ESTUARY_EXPORT estuary_status estuary_config_set_max_wait(estuary_config *config, int64_t seconds,
                                                          estuary_error *err);
ESTUARY_EXPORT estuary_status estuary_config_set_log(estuary_config *config, estuary_log *log,
                                                     estuary_error *err);
ESTUARY_EXPORT estuary_status estuary_config_set_metrics(estuary_config *config, estuary_metrics *metrics,
                                                         estuary_error *err);

/*
 * Told what a client is waiting for: "connecting to est.example:443", "waiting for the server to issue,
 * next try in 30 s". Called on the client's thread, at most once a second; must not call the client,
 * except estuary_client_cancel().
 */
typedef void estuary_progress_fn(void *arg, const char *what);
ESTUARY_EXPORT estuary_status estuary_config_set_progress(estuary_config *config, estuary_progress_fn *fn,
                                                          void *arg, estuary_error *err);

/*
 * Checks the server's chain, and the path of what is issued as far as its certificates name a source, for
 * revocation by this checker and its policy (R3, R6); shared by reference. NULL: not (the default). Evidence
 * that is missing in the handshake is fetched, and the server dialled again.
 */
ESTUARY_EXPORT estuary_status estuary_config_set_revocation(estuary_config *config,
                                                            estuary_revocation *checker, estuary_error *err);

/*
 * Refuses to go on without an active FIPS provider, and refuses keys and algorithms that FIPS does not
 * approve (T11). It checks only: estuary_process_enable_fips() changes.
 */
ESTUARY_EXPORT estuary_status estuary_config_require_fips(estuary_config *config, estuary_error *err);

#ifdef __cplusplus
}
#endif
#endif
