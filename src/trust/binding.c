/* The channel binding of a TLS session (RFC 5929, RFC 9266), for RFC 7030 3.5. Bytes, never text (T10). */
#include "trust/trust.h"

#include <string.h>

#define EXPORTER_LABEL  "EXPORTER-Channel-Binding"
#define EXPORTER_LENGTH 32

/* RFC 9266 4.1: the context is there, and empty */
static estuary_status exporter(SSL *ssl, uint8_t *out, size_t *len, estuary_error *err)
{
    if (SSL_export_keying_material(ssl, out, EXPORTER_LENGTH, EXPORTER_LABEL, strlen(EXPORTER_LABEL), NULL, 0,
                                   1) != 1)
        return est_fail_openssl(err, EST_TLS_BINDING, "the TLS session gives no tls-exporter (RFC 9266)");
    *len = EXPORTER_LENGTH;
    return ESTUARY_OK;
}

/*
 * RFC 5929 3.1: the first Finished message of the handshake: ours in a full one, the server's in an
 * abbreviated one. Without the extended master secret an attacker can make two sessions with the same one
 * (RFC 7627 1).
 */
static estuary_status unique(SSL *ssl, uint8_t *out, size_t *len, estuary_error *err)
{
    if (SSL_get_extms_support(ssl) != 1)
        return est_fail(err, EST_TLS_NO_EXTENDED_MASTER_SECRET, NULL);
    size_t got = SSL_session_reused(ssl) == 1 ? SSL_get_peer_finished(ssl, out, EST_CHANNEL_BINDING_MAX)
                                              : SSL_get_finished(ssl, out, EST_CHANNEL_BINDING_MAX);
    if (got == 0 || got > EST_CHANNEL_BINDING_MAX)
        return est_fail(err, EST_TLS_BINDING, "the TLS session gives no tls-unique (RFC 5929)");
    *len = got;
    return ESTUARY_OK;
}

const char *est_channel_binding_type(const SSL *ssl)
{
    switch (SSL_version(ssl)) {
    case TLS1_3_VERSION:
        return "tls-exporter";
    case TLS1_2_VERSION:
        return "tls-unique";
    default:
        return "";
    }
}

estuary_status est_channel_binding(SSL *ssl, uint8_t out[EST_CHANNEL_BINDING_MAX], size_t *len,
                                   estuary_error *err)
{
    *len = 0;
    if (ssl == NULL || SSL_is_init_finished(ssl) != 1)
        return est_fail(err, EST_TLS_BINDING, NULL);
    switch (SSL_version(ssl)) {
    case TLS1_3_VERSION:
        return exporter(ssl, out, len, err);
    case TLS1_2_VERSION:
        return unique(ssl, out, len, err);
    default:
        return est_fail(err, EST_TLS_BINDING, NULL);
    }
}
