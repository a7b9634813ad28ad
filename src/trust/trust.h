/* trust: TLS policy, SSL_CTX set-up, the server check inside the handshake. */
#ifndef EST_TRUST_H
#define EST_TRUST_H

#include "base/base.h"
#include "cert/cert.h"

#include <openssl/ssl.h>

/*
 * What a session must satisfy. Owned by the caller, who keeps it alive as long as any SSL_CTX prepared
 * with it; read only, so it may serve many sessions.
 */
typedef struct est_trust {
    const estuary_anchors *anchors; /* NULL only with accept_any */
    const char *host;               /* normal form (est_host_normalise) */
    bool accept_any;                /* insecure: nothing is checked, no identity is sent */
    bool fips;
    int max_depth;
    /*
     * Asked once the server is authenticated, inside the handshake: may this chain (leaf first, root last) be
     * used, as to revocation? staple is NULL when none came. An error refuses the session with it. NULL: not
     * asked.
     */
    estuary_status (*check_chain)(void *arg, const STACK_OF(X509) *chain, const uint8_t *staple, size_t len,
                                  estuary_error *err);
    void *check_arg;
    X509 *identity; /* NULL: anonymous */
    const STACK_OF(X509) *identity_chain;
    EVP_PKEY *identity_key;
} est_trust;

/* One session's outcome; zero-initialise; est_session_reset() frees. */
typedef struct est_session {
    const est_trust *trust;
    estuary_error *refusal;         /* why the server was refused; NULL while nothing was */
    bool accepted;                  /* the check ran and passed (or accept_any) */
    bool chain_checked;             /* and so did check_chain() */
    bool client_certificate_wanted; /* the server sent a CertificateRequest */
    unsigned long openssl_code;     /* first error of the queue when the handshake failed (info callback) */
    int alert;                      /* description of a fatal alert received, 0: none (info callback) */
    bool finished;                  /* the handshake was completed */
    char version[16];               /* "TLSv1.3" */
    char cipher[64];
} est_session;

void est_session_reset(est_session *session);
/* Nothing that came over any other session may count. */
bool est_session_is_trusted(const est_session *session);

/*
 * Prepares an SSL_CTX (libcurl's): TLS 1.2 and 1.3 only, no NULL, anonymous, export or weak suites,
 * no renegotiation, no compression, no tickets, no key log, plaintext cleansed, our own verification with
 * `session` as its place for the result, and the client identity. session must outlive the SSL_CTX's use.
 */
estuary_status est_trust_prepare(SSL_CTX *ctx, est_session *session, estuary_error *err);

/*
 * Turns a failed handshake into an error: session->refusal when our check refused; else from OpenSSL's
 * error codes what went wrong (too old, no shared cipher, alert, not TLS …). `openssl_code` is the first
 * code of the error queue (0: the peer just closed).
 */
estuary_status est_trust_handshake_error(const est_session *session, unsigned long openssl_code,
                                         estuary_error *err);

/*
 * For a transfer that failed with `status` and err: when TLS was the reason (status is ESTUARY_E_TLS, or a
 * fatal alert came after the handshake, as TLS 1.3 does for client certificates), says why through
 * est_trust_handshake_error() with what the info callback recorded; else leaves both as they are. libcurl
 * empties OpenSSL's error queue itself, so the session must remember.
 */
estuary_status est_trust_explain_failure(const est_session *session, estuary_status status,
                                         estuary_error *err);

/* binding.c: the channel binding of a finished handshake (T10); it is made of bytes, zero ones included. */
#define EST_CHANNEL_BINDING_MAX 64
/* "tls-exporter" in TLS 1.3, "tls-unique" in TLS 1.2, "" else; static. */
const char *est_channel_binding_type(const SSL *ssl);
estuary_status est_channel_binding(SSL *ssl, uint8_t out[EST_CHANNEL_BINDING_MAX], size_t *len,
                                   estuary_error *err);

/* T5: whether a certificate and key can authenticate a TLS client, before dialing. */
estuary_status est_identity_check(const X509 *certificate, const EVP_PKEY *key, bool allow_expired,
                                  time_t now, estuary_error *err);

#endif
