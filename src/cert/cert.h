/* cert: anchors, path building, name matching, findings about a certificate. */
#ifndef EST_CERT_H
#define EST_CERT_H

#include "base/base.h"

#include <estuary/cert.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

/* anchors.c */

/* The store paths are built in; lent; CRL flags off, trusted roots only. */
X509_STORE *est_anchors_get0_store(const estuary_anchors *anchors);
bool est_certificate_is_root(const X509 *certificate); /* CA, self-issued, and its own signature verifies */
/*
 * From an authenticated /cacerts answer (RFC 7030 4.1.3): roots become anchors, CA certificates below them
 * helpers; a certificate that is no CA refuses the answer, and so does an answer without a root.
 */
estuary_status est_anchors_from_cacerts(const STACK_OF(X509) *certs, estuary_anchors **out, estuary_error *err);
/*
 * The second step of bootstrap (E2): of certs keep the confirmed roots, new roots that a rollover
 * certificate signed by a confirmed root vouches for (RFC 4210 4.4: NewWithOld), and CA certificates that
 * chain to what is kept.
 */
estuary_status est_anchors_from_bootstrap(const STACK_OF(X509) *certs, const estuary_anchors *confirmed,
                                          estuary_anchors **out, estuary_error *err);

/* names.c: RFC 6125: subjectAltName only, no CN, no partial wildcards; host may be an IP literal. */

/* U-labels to A-labels (UTS 46), lower case, no trailing dot. false when not a host name or IP address. */
bool est_host_normalise(const char *host, char *out, size_t size, bool *is_ip);
/* Sets name or IP and the host flags; false when OpenSSL refuses. */
bool est_host_into_param(X509_VERIFY_PARAM *param, const char *host);
bool est_certificate_matches_host(X509 *certificate, const char *host);
bool est_certificate_has_host_names(const X509 *certificate); /* any dns or ip in subjectAltName */

/* purpose.c: extKeyUsage; absent means any. */
bool est_certificate_allows(const X509 *certificate, const char *purpose_oid_or_name);

#endif
