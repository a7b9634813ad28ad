/* Our own certificate as a TLS client (RFC 7030 3.3.2, T5). */
#include "trust/session.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#define NAME_SIZE     256
#define SECURITY_BITS 112 /* of security level 2, which refuses to send less */

static bool belongs_to(const X509 *certificate, const EVP_PKEY *key)
{
    ERR_set_mark();
    EVP_PKEY *own = X509_get0_pubkey(certificate);
    bool same = own != NULL && key != NULL && EVP_PKEY_eq(own, key) == 1;
    ERR_pop_to_mark();
    return same;
}

static bool is_weak(const X509 *certificate)
{
    ERR_set_mark();
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    bool weak = key == NULL || EVP_PKEY_get_security_bits(key) < SECURITY_BITS;
    /* nobody relies on the signature that a certificate makes on itself */
    bool self_signed = X509_self_signed((X509 *)certificate, 0) == 1;
    ERR_pop_to_mark();
    return weak || (!self_signed && est_certificate_signature_is_weak(certificate));
}

static estuary_status check_dates(const X509 *certificate, bool allow_expired, time_t now,
                                  const char *subject, estuary_error *err)
{
    char text[EST_TIME_TEXT_SIZE];
    time_t from = 0, to = 0;
    if (!est_asn1_time(X509_get0_notBefore(certificate), &from) ||
        !est_asn1_time(X509_get0_notAfter(certificate), &to))
        return est_fail(err, EST_CERT_MALFORMED, "the validity of our own certificate cannot be parsed");
    if (now < from) {
        est_time_format(from, text);
        return est_fail(err, EST_TLS_IDENTITY_NOT_YET_VALID,
                        "our own client certificate (\"%s\") is not valid before %s", subject, text);
    }
    if (now > to && !allow_expired) {
        est_time_format(to, text);
        return est_fail(err, EST_TLS_IDENTITY_EXPIRED,
                        "our own client certificate (\"%s\") expired on %s, so it cannot authenticate us",
                        subject, text);
    }
    return ESTUARY_OK;
}

static estuary_status check_usage(const X509 *certificate, const char *subject, estuary_error *err)
{
    if (!est_certificate_allows(certificate, "clientAuth"))
        return est_fail(err, EST_TLS_IDENTITY_EKU,
                        "our own certificate (\"%s\") may not be used for TLS client authentication "
                        "(extKeyUsage)",
                        subject);
    if ((X509_get_key_usage((X509 *)certificate) & KU_DIGITAL_SIGNATURE) == 0)
        return est_fail(err, EST_TLS_IDENTITY_KEY_USAGE,
                        "our own certificate (\"%s\") may not be used to sign a TLS session (keyUsage)",
                        subject);
    return ESTUARY_OK;
}

estuary_status est_identity_check(const X509 *certificate, const EVP_PKEY *key, bool allow_expired,
                                  time_t now, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    char subject[NAME_SIZE];
    if (certificate == NULL || key == NULL)
        EST_FAIL(EST_USAGE_IDENTITY_NEEDED, "a TLS client identity is a certificate and its key");
    est_subject_text(certificate, subject, sizeof(subject));
    if (!belongs_to(certificate, key))
        EST_FAIL(EST_TLS_IDENTITY_KEY, "the key does not belong to our own client certificate (\"%s\")",
                 subject);
    EST_TRY(check_dates(certificate, allow_expired, now, subject, err));
    EST_TRY(check_usage(certificate, subject, err));
    if (is_weak(certificate))
        EST_FAIL(EST_TLS_IDENTITY_WEAK,
                 "our own client certificate (\"%s\") has a weak key or a weak signature", subject);
cleanup:
    return status;
}

/*
 * Called when the server asks for a certificate, after its own was checked. What somebody else put on the
 * SSL_CTX must not go out either (RFC 7030 4.1.1).
 */
int est_identity_wanted(SSL *ssl, void *arg)
{
    est_session *session = arg;
    session->client_certificate_wanted = true;
    if (!session->accepted)
        return 0;
    if (session->trust->accept_any || session->trust->identity == NULL)
        SSL_certs_clear(ssl);
    return 1;
}

estuary_status est_identity_install(SSL_CTX *ctx, const est_trust *trust, estuary_error *err)
{
    if (!belongs_to(trust->identity, trust->identity_key))
        return est_fail(err, EST_TLS_IDENTITY_KEY, NULL);
    if (is_weak(trust->identity))
        return est_fail(err, EST_TLS_IDENTITY_WEAK, NULL);
    if (SSL_CTX_use_certificate(ctx, trust->identity) != 1 ||
        SSL_CTX_use_PrivateKey(ctx, trust->identity_key) != 1)
        return est_fail_openssl(err, EST_CRYPTO, "our own client certificate cannot be used");
    if (trust->identity_chain != NULL && SSL_CTX_set1_chain(ctx, trust->identity_chain) != 1)
        return est_fail_openssl(err, EST_CRYPTO, "the chain of our own client certificate cannot be used");
    return ESTUARY_OK;
}
