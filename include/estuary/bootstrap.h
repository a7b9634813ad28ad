/*
 * bootstrap.h: the first contact: two TLS sessions with a fingerprint between them (RFC 7030 4.1.1, E2).
 *
 * Candidates are not anchors, and the type says so: only a fingerprint that came another way makes them
 * anchors, and then /cacerts is fetched again over a session that those anchors verified.
 */
#ifndef ESTUARY_BOOTSTRAP_H
#define ESTUARY_BOOTSTRAP_H

#include <estuary/cert.h>
#include <estuary/config.h>
#include <estuary/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct estuary_candidates estuary_candidates;

/*
 * Unverified fetch of /cacerts. Server, limits, proxy, log and metrics come from config; trust, identity
 * and credentials in it are not used, and nothing of them is sent. The caller frees *out.
 */
ESTUARY_EXPORT estuary_status estuary_bootstrap_fetch(const estuary_config *config, estuary_candidates **out,
                                                      estuary_error *err);
ESTUARY_EXPORT void estuary_candidates_free(estuary_candidates *candidates); /* NULL is fine */
ESTUARY_EXPORT size_t estuary_candidates_count(const estuary_candidates *candidates);
/* Lent; NULL past the end. */
ESTUARY_EXPORT const X509 *estuary_candidates_at(const estuary_candidates *candidates, size_t index);
/* true for a self-signed CA certificate whose signature verifies: the only kind a fingerprint confirms. */
ESTUARY_EXPORT bool estuary_candidates_is_root(const estuary_candidates *candidates, size_t index);

/*
 * The roots whose SHA-256 is among the fingerprints (compared in constant time) become anchors.
 * A list may name roots to come: one match is enough, and only what matches is kept. ESTUARY_E_TRUST when no
 * root matches or no fingerprint is given. At most 64. The caller frees *out.
 */
ESTUARY_EXPORT estuary_status estuary_candidates_confirm(const estuary_candidates *candidates,
                                                         const char *const *fingerprints, size_t n,
                                                         estuary_anchors **out, estuary_error *err);

/*
 * The second session: /cacerts again, over TLS verified with `confirmed`. Of the answer, the confirmed
 * roots, what rollover certificates vouch for, and CA certificates that chain to them are kept.
 * The caller frees *out.
 */
ESTUARY_EXPORT estuary_status estuary_bootstrap_finish(const estuary_config *config,
                                                       const estuary_anchors *confirmed,
                                                       estuary_anchors **out, estuary_error *err);

/*
 * For a client that slept through a root rollover, so that its explicit anchors in config no longer verify
 * the server (RFC 4210 4.4). Two sessions, as above, but what stands between them is no fingerprint: an
 * unverified fetch of /cacerts, of which only those roots count that an anchor of config has itself signed
 * for with a rollover certificate (NewWithOld) that is valid now, and what such a root has signed for in
 * turn; then /cacerts again, over TLS verified with config's anchors and those roots. Nothing that identifies
 * the client is sent in either session.
 *
 * Neither config nor any file changes: *out is the new set, for the caller to put in place as a whole.
 * ESTUARY_E_TRUST ("trust.no-rollover") when the anchors vouch for no new root. The caller frees *out.
 */
ESTUARY_EXPORT estuary_status estuary_bootstrap_recover(const estuary_config *config, estuary_anchors **out,
                                                        estuary_error *err);

#ifdef __cplusplus
}
#endif
#endif
