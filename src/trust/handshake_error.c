/* A failed handshake in one code and one sentence. */
#include "trust/trust.h"

#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/tls1.h>

#define ALERT_OFFSET SSL_AD_REASON_OFFSET

typedef enum kind {
    OTHER = 0,
    TOO_OLD,
    NOT_TLS,
    NO_CIPHER,
    ALERT,
    CLIENT_CERT, /* an alert about the certificate that we sent, or did not send */
    CLIENT_CERT_REQUIRED,
    CLOSED,
    MEMORY,
    REFUSED_BY_US,
    UNSAFE
} kind;

static const struct row {
    int reason;
    kind kind;
    const char *what;
} table[] = {
    {SSL_R_UNSUPPORTED_PROTOCOL, TOO_OLD, ""},
    {SSL_R_VERSION_TOO_LOW, TOO_OLD, ""},
    {SSL_R_WRONG_SSL_VERSION, TOO_OLD, ""},
    {SSL_R_NO_PROTOCOLS_AVAILABLE, TOO_OLD, ""},
    {SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, TOO_OLD, ""},
    {SSL_R_INAPPROPRIATE_FALLBACK, TOO_OLD, ""},
    {SSL_R_WRONG_VERSION_NUMBER, NOT_TLS, ""},
    {SSL_R_HTTP_REQUEST, NOT_TLS, ""},
    {SSL_R_HTTPS_PROXY_REQUEST, NOT_TLS, ""},
    {SSL_R_PACKET_LENGTH_TOO_LONG, NOT_TLS, ""},
    {SSL_R_RECORD_LENGTH_MISMATCH, NOT_TLS, ""},
    {SSL_R_NO_SHARED_CIPHER, NO_CIPHER, ""},
    {SSL_R_WRONG_CIPHER_RETURNED, NO_CIPHER, ""},
    {SSL_R_UNKNOWN_CIPHER_RETURNED, NO_CIPHER, ""},
    {SSL_R_NO_CIPHERS_AVAILABLE, NO_CIPHER, ""},
    {SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY, NO_CIPHER, ""},
    {SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, ALERT, "handshake_failure"},
    {SSL_R_SSLV3_ALERT_UNEXPECTED_MESSAGE, ALERT, "unexpected_message"},
    {SSL_R_SSLV3_ALERT_BAD_RECORD_MAC, ALERT, "bad_record_mac"},
    {SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER, ALERT, "illegal_parameter"},
    {SSL_R_TLSV1_ALERT_DECODE_ERROR, ALERT, "decode_error"},
    {SSL_R_TLSV1_ALERT_DECRYPT_ERROR, ALERT, "decrypt_error"},
    {SSL_R_TLSV1_ALERT_INTERNAL_ERROR, ALERT, "internal_error"},
    {SSL_R_TLSV1_ALERT_USER_CANCELLED, ALERT, "user_canceled"},
    {SSL_R_TLSV1_ALERT_NO_RENEGOTIATION, ALERT, "no_renegotiation"},
    {SSL_R_TLSV1_ALERT_RECORD_OVERFLOW, ALERT, "record_overflow"},
    {SSL_R_TLSV1_ALERT_INAPPROPRIATE_FALLBACK, ALERT, "inappropriate_fallback"},
    {SSL_R_TLSV1_UNRECOGNIZED_NAME, ALERT, "unrecognized_name"},
    {SSL_R_TLSV1_UNSUPPORTED_EXTENSION, ALERT, "unsupported_extension"},
    {SSL_R_TLSV13_ALERT_MISSING_EXTENSION, ALERT, "missing_extension"},
    {ALERT_OFFSET + TLS1_AD_UNKNOWN_PSK_IDENTITY, ALERT, "unknown_psk_identity"},
    {ALERT_OFFSET + TLS1_AD_NO_APPLICATION_PROTOCOL, ALERT, "no_application_protocol"},
    {SSL_R_SSLV3_ALERT_NO_CERTIFICATE, CLIENT_CERT, "no_certificate"},
    {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, CLIENT_CERT, "bad_certificate"},
    {SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, CLIENT_CERT, "unsupported_certificate"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, CLIENT_CERT, "certificate_revoked"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, CLIENT_CERT, "certificate_expired"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, CLIENT_CERT, "certificate_unknown"},
    {SSL_R_TLSV1_ALERT_UNKNOWN_CA, CLIENT_CERT, "unknown_ca"},
    {SSL_R_TLSV1_ALERT_ACCESS_DENIED, CLIENT_CERT, "access_denied"},
    {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, CLIENT_CERT_REQUIRED, "certificate_required"},
    {SSL_R_UNEXPECTED_EOF_WHILE_READING, CLOSED, ""},
    {SSL_R_CERTIFICATE_VERIFY_FAILED, REFUSED_BY_US, ""},
    {SSL_R_UNSAFE_LEGACY_RENEGOTIATION_DISABLED, UNSAFE, "the server lacks secure renegotiation (RFC 5746)"},
    {SSL_R_DH_KEY_TOO_SMALL, UNSAFE, "the server's Diffie-Hellman group is too small"},
    {SSL_R_EE_KEY_TOO_SMALL, UNSAFE, "the server's key is too small"},
    {SSL_R_CA_KEY_TOO_SMALL, UNSAFE, "the key of a CA in the server's chain is too small"},
    {SSL_R_CA_MD_TOO_WEAK, UNSAFE, "a digest in the server's chain is too weak"},
    {SSL_R_WRONG_SIGNATURE_TYPE, UNSAFE, "the server signed with an algorithm we do not accept"},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, UNSAFE, "there is no signature algorithm both sides accept"},
    {SSL_R_WRONG_CURVE, UNSAFE, "the server chose an elliptic curve we do not accept"},
};

static struct row row_of(unsigned long openssl_code)
{
    if (openssl_code == 0)
        return (struct row){0, CLOSED, ""};
    int reason = ERR_GET_REASON(openssl_code);
    if (reason == ERR_R_MALLOC_FAILURE)
        return (struct row){reason, MEMORY, ""};
    for (size_t i = 0; ERR_GET_LIB(openssl_code) == ERR_LIB_SSL && i < sizeof(table) / sizeof(table[0]);
         i++) {
        if (table[i].reason == reason)
            return table[i];
    }
    return (struct row){reason, OTHER, ""};
}

/* The server says "handshake_failure" for a missing client certificate on TLS 1.2, too (RFC 5246 7.4.6). */
static bool misses_identity(const est_session *session)
{
    return session->client_certificate_wanted &&
           (session->trust == NULL || session->trust->accept_any || session->trust->identity == NULL);
}

static estuary_status alert(const est_session *session, const struct row *row, estuary_error *err)
{
    bool about_certificate = row->kind == CLIENT_CERT || row->kind == CLIENT_CERT_REQUIRED;
    bool failure = row->reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE;
    if (row->kind == CLIENT_CERT_REQUIRED || ((about_certificate || failure) && misses_identity(session)))
        return est_fail(err, EST_TLS_CLIENT_CERT_REQUIRED, NULL);
    if (about_certificate && session->client_certificate_wanted)
        return est_fail(err, EST_TLS_CLIENT_CERT_REFUSED,
                        "the server refused our TLS client certificate (alert %s)", row->what);
    /* before the server has shown its certificate, this alert is about what we offered in the first message
     */
    if (failure && !session->finished && !session->accepted)
        return est_fail(err, EST_TLS_NO_CIPHER,
                        "the server accepts none of our cipher suites (alert handshake_failure)");
    return est_fail(err, EST_TLS_ALERT, "the server refused the TLS session with the alert %s", row->what);
}

static estuary_status fail(const est_session *session, const struct row *row, estuary_error *err)
{
    switch (row->kind) {
    case TOO_OLD:
        return est_fail(err, EST_TLS_TOO_OLD, NULL);
    case NOT_TLS:
        return est_fail(err, EST_TLS_NOT_TLS, NULL);
    case NO_CIPHER:
        return est_fail(err, EST_TLS_NO_CIPHER, NULL);
    case ALERT:
    case CLIENT_CERT:
    case CLIENT_CERT_REQUIRED:
        return alert(session, row, err);
    case CLOSED:
        return est_fail(err, EST_TLS_CLOSED, NULL);
    case MEMORY:
        return est_fail_memory(err);
    case REFUSED_BY_US:
        return est_fail(err, EST_TRUST, NULL); /* and there was no memory for saying why */
    case UNSAFE:
        return est_fail(err, EST_TLS, "no TLS session could be agreed on: %s", row->what);
    case OTHER:
        break;
    }
    return est_fail(err, EST_TLS, NULL);
}

estuary_status est_trust_handshake_error(const est_session *session, unsigned long openssl_code,
                                         estuary_error *err)
{
    static const est_session unknown = {0};
    if (session != NULL && session->refusal != NULL) {
        est_error_copy(err, session->refusal);
        return estuary_error_category(session->refusal);
    }
    struct row row = row_of(openssl_code);
    estuary_status status = fail(session == NULL ? &unknown : session, &row, err);
    if (openssl_code != 0) {
        char text[256];
        ERR_error_string_n(openssl_code, text, sizeof(text));
        est_error_set_detail(err, "%s", text);
    }
    return status;
}

/* TLS 1.3 servers judge the client certificate after we think that the handshake is over (RFC 8446 4.4.2.4).
 */
estuary_status est_trust_explain_failure(const est_session *session, estuary_status status,
                                         estuary_error *err)
{
    if (status == ESTUARY_OK || session == NULL)
        return status;
    unsigned long code = session->openssl_code;
    if (code == 0 && session->alert != 0)
        code = ERR_PACK(ERR_LIB_SSL, 0, ALERT_OFFSET + session->alert);
    bool ended_by_alert = session->finished && session->alert != 0;
    bool in_handshake = !session->finished && status == ESTUARY_E_TLS;
    if (session->refusal == NULL && !ended_by_alert && !in_handshake)
        return status;
    return est_trust_handshake_error(session, code, err);
}
