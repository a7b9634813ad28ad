#include "trust/session.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

static int session_index = -1;

static void make_index(void)
{
    session_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

#define ALERT_LEVEL(value)       ((value) >> 8)
#define ALERT_DESCRIPTION(value) ((value)&0xff)

static void note_finished(const SSL *ssl, est_session *session)
{
    const char *cipher = SSL_get_cipher_name(ssl);
    session->finished = true;
    snprintf(session->version, sizeof(session->version), "%s", SSL_get_version(ssl));
    snprintf(session->cipher, sizeof(session->cipher), "%s", cipher == NULL ? "" : cipher);
}

/* libcurl empties the error queue before anybody else can look, so the first error is noted down here. */
static void on_info(const SSL *ssl, int where, int value)
{
    est_session *session = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), session_index);
    if (session == NULL)
        return;
    if ((where & SSL_CB_HANDSHAKE_DONE) != 0)
        note_finished(ssl, session);
    if (where == SSL_CB_READ_ALERT && ALERT_LEVEL(value) == SSL3_AL_FATAL)
        session->alert = ALERT_DESCRIPTION(value);
    if (where == SSL_CB_CONNECT_EXIT && value <= 0 && session->openssl_code == 0)
        session->openssl_code = est_openssl_first_error();
}

bool est_session_attach(SSL_CTX *ctx, est_session *session)
{
    if (!est_process_once(EST_ONCE_TRUST, make_index) || session_index < 0)
        return false;
    SSL_CTX_set_info_callback(ctx, on_info);
    return SSL_CTX_set_ex_data(ctx, session_index, session) == 1;
}

void est_session_reset(est_session *session)
{
    if (session == NULL)
        return;
    const est_trust *trust = session->trust;
    estuary_error_free(session->refusal);
    memset(session, 0, sizeof(*session));
    session->trust = trust;
}
