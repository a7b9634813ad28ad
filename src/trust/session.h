/* Private to src/trust. */
#ifndef EST_TRUST_SESSION_H
#define EST_TRUST_SESSION_H

#include "trust/trust.h"

/* session.c: records version and cipher when the handshake is done */
bool est_session_attach(SSL_CTX *ctx, est_session *session);

/* peer.c: for SSL_CTX_set_cert_verify_callback(); arg is the est_session */
int est_peer_check(X509_STORE_CTX *outer, void *arg);

/* staple.c */
bool est_staple_request(SSL_CTX *ctx, est_session *session);
int est_staple_check(SSL *ssl, void *arg); /* for SSL_CTX_set_tlsext_status_cb(); arg is the est_session */

/* identity.c */
int est_identity_wanted(SSL *ssl, void *arg); /* for SSL_CTX_set_cert_cb(); arg is the est_session */
estuary_status est_identity_install(SSL_CTX *ctx, const est_trust *trust, estuary_error *err);

#endif
