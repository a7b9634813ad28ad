/*
 * client.h: the operations of RFC 7030, over HTTPS.
 *
 * A client belongs to one thread at a time, keeps its connection alive between calls, and speaks with
 * one identity only. estuary_client_cancel() is the only call another thread may make.
 */
#ifndef ESTUARY_CLIENT_H
#define ESTUARY_CLIENT_H

#include <estuary/config.h>
#include <estuary/error.h>
#include <estuary/exchange.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct estuary_client estuary_client;

/* Takes a snapshot of config. The caller frees *out. */
ESTUARY_EXPORT estuary_status estuary_client_new(const estuary_config *config, estuary_client **out,
                                                 estuary_error *err);
ESTUARY_EXPORT void estuary_client_free(estuary_client *client); /* NULL is fine */

/*
 * The running call ends with ESTUARY_E_CANCELLED as soon as it can, and so does every later one: a cancelled
 * client stays cancelled. From any thread or signal handler.
 */
ESTUARY_EXPORT void estuary_client_cancel(estuary_client *client);

/*
 * /cacerts over an authenticated session (RFC 7030 4.1.3): the new explicit anchors. The caller drops
 * *out with estuary_anchors_free().
 */
ESTUARY_EXPORT estuary_status estuary_client_cacerts(estuary_client *client, estuary_anchors **out,
                                                     estuary_error *err);

/* /csrattrs; 204 and 404 give an empty set. The caller frees *out. */
ESTUARY_EXPORT estuary_status estuary_client_csrattrs(estuary_client *client, estuary_csr_attributes **out,
                                                      estuary_error *err);

/*
 * renewal-info: when the server would like this certificate to be renewed. ESTUARY_OK with *out NULL when
 * there is no advice: the server has no such operation (404) or nothing to say (204), the certificate has
 * expired or names no issuing key, or the window makes no sense. The caller frees *out.
 */
ESTUARY_EXPORT estuary_status estuary_client_renewal_info(estuary_client *client, const X509 *certificate,
                                                          estuary_renewal_info **out, estuary_error *err);

/*
 * simpleenroll and simplereenroll.
 *
 * ESTUARY_OK               *out is ISSUED: certificate, chain and findings are in it
 * ESTUARY_E_PENDING        *out is PENDING: save it, resume it later
 * ESTUARY_E_CERTIFICATE    *out is FAILED when a certificate came that did not pass; for the record. NULL
 * when the request itself was refused before sending
 * ESTUARY_E_NETWORK, _CANCELLED, _TLS, _MEMORY   *out is READY when the request left and no whole answer
 * came (estuary_enrollment_maybe_sent()): save it, resume it. NULL when nothing left
 * anything else            *out is NULL
 *
 * Once a certificate came, *out is not NULL whatever the status: neither it nor a key that came with it is
 * thrown away, even if its check could not be completed. Only ISSUED means that it passed.
 *
 * The issued certificate must chain to the config's explicit anchors. With the system's store it must chain
 * to what the same server's /cacerts answers over the verified session (RFC 7030 4.1.3); that is asked before
 * the request is sent, and when it fails nothing is sent.
 *
 * The caller frees *out.
 */
ESTUARY_EXPORT estuary_status estuary_client_enroll(estuary_client *client, const estuary_request *request,
                                                    estuary_enrollment **out, estuary_error *err);
ESTUARY_EXPORT estuary_status estuary_client_reenroll(estuary_client *client, const estuary_request *request,
                                                      estuary_enrollment **out, estuary_error *err);

/*
 * fullcmc (RFC 7030 4.3): statuses as above; estuary/cmc.h has what the request and the answer hold besides.
 * The config's identity, when there is one, signs the message; else the key to be certified does.
 */
ESTUARY_EXPORT estuary_status estuary_client_fullcmc(estuary_client *client, const estuary_request *request,
                                                     estuary_enrollment **out, estuary_error *err);

/*
 * serverkeygen (RFC 7030 4.4): statuses as above, and ESTUARY_E_PROTOCOL when the private key came in another
 * way than asked for. estuary/serverkeygen.h has what the request and the answer hold besides.
 */
ESTUARY_EXPORT estuary_status estuary_client_serverkeygen(estuary_client *client,
                                                          const estuary_request *request,
                                                          estuary_enrollment **out, estuary_error *err);

/*
 * Sends an enrolment made with estuary_enrollment_new() or loaded after a restart: the same CSR again
 * (E7). It must be for this client's server and label, else ESTUARY_E_USAGE. Statuses as above; a failure
 * that is not final leaves a PENDING enrolment pending.
 */
ESTUARY_EXPORT estuary_status estuary_client_resume(estuary_client *client, estuary_enrollment *enrollment,
                                                    estuary_error *err);

/* Lent; what the last TLS session was: "TLSv1.3", "TLS_AES_256_GCM_SHA384"; "" before the first. */
ESTUARY_EXPORT const char *estuary_client_tls_version(const estuary_client *client);
ESTUARY_EXPORT const char *estuary_client_tls_cipher(const estuary_client *client);
/* "tls-exporter" or "tls-unique": what the last enrolment's request was bound to its session by; "": it was
 * not. */
ESTUARY_EXPORT const char *estuary_client_channel_binding(const estuary_client *client);

#ifdef __cplusplus
}
#endif
#endif
