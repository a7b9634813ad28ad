#include "client/client.h"

static estuary_status on_ssl_ctx(void *arg, SSL_CTX *ctx, estuary_error *err)
{
    estuary_client *client = arg;
    est_session_reset(&client->session);
    client->session.trust = &client->trust;
    if (client->config->accept_any && !client->warned) {
        client->warned = true;
        est_log(client->config->log, ESTUARY_LOG_WARNING, "trust.insecure",
                "the server is not authenticated: anyone may have answered", "server",
                estuary_server_url(client->config->server), NULL);
    }
    if (client->config->accept_any)
        est_count(client->config->metrics, "insecure_sessions_total");
    return est_trust_prepare(ctx, &client->session, err);
}

static void on_progress(void *arg, const char *what)
{
    const estuary_client *client = arg;
    if (client->config->progress != NULL)
        client->config->progress(client->config->progress_arg, what);
}

/* T4: nothing that identifies us goes to a server that nobody has authenticated (RFC 7030 4.1.1) */
static void fill_trust(estuary_client *client)
{
    const estuary_config *config = client->config;
    client->trust.anchors = config->accept_any ? NULL : config->anchors;
    client->trust.host = estuary_server_host(config->server);
    client->trust.accept_any = config->accept_any;
    client->trust.fips = config->fips;
    if (config->revocation != NULL && !config->accept_any) {
        client->trust.check_chain = est_evidence_check_chain;
        client->trust.check_arg = client;
    }
    client->trust.max_depth = (int)estuary_limits_get(config->limits, ESTUARY_LIMIT_CHAIN_DEPTH);
    if (!config->accept_any) {
        client->trust.identity = config->identity;
        client->trust.identity_chain = config->identity_chain;
        client->trust.identity_key = config->identity_key;
    }
}

static estuary_status open_link(estuary_client *client, estuary_error *err)
{
    const estuary_config *config = client->config;
    bool may_authenticate = !config->accept_any && config->user != NULL;
    est_http_options options = {
        .proxy = config->proxy,
        .proxy_user = config->proxy_user,
        .proxy_password = config->proxy_password,
        .user = may_authenticate ? config->user : NULL,
        .password = may_authenticate ? config->password : NULL,
        .preemptive = config->preemptive_auth,
        .limits = config->limits,
        .cancelled = &client->cancelled,
        .arg = client,
        .on_ssl_ctx = on_ssl_ctx,
        .on_progress = on_progress,
    };
    return est_http_new(&options, &client->http, err);
}

estuary_status estuary_client_new(const estuary_config *config, estuary_client **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    estuary_client *client = NULL;
    *out = NULL;
    if (config->server == NULL)
        EST_FAIL(EST_USAGE_NO_SERVER, NULL);
    if (config->anchors == NULL && !config->accept_any)
        EST_FAIL(EST_USAGE_NO_TRUST, NULL);
    client = est_alloc(sizeof(*client));
    if (client == NULL) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    atomic_init(&client->cancelled, false);
    EST_TRY(est_config_dup(config, &client->config, err));
    fill_trust(client);
    EST_TRY(open_link(client, err));
    *out = client;
    client = NULL;

cleanup:
    estuary_client_free(client);
    return status;
}

void estuary_client_free(estuary_client *client)
{
    if (client == NULL)
        return;
    est_http_free(client->http);
    est_http_engine_free(client->engine);
    est_session_reset(&client->session);
    est_evidence_clear(&client->evidence);
    sk_X509_pop_free(client->ca_certificates, X509_free);
    estuary_config_free(client->config);
    est_free(client);
}

void estuary_client_cancel(estuary_client *client)
{
    if (client != NULL)
        atomic_store(&client->cancelled, true);
}

const char *estuary_client_tls_version(const estuary_client *client)
{
    return client->session.version;
}

const char *estuary_client_tls_cipher(const estuary_client *client)
{
    return client->session.cipher;
}

estuary_status estuary_client_cacerts(estuary_client *client, estuary_anchors **out, estuary_error *err)
{
    STACK_OF(X509) *certs = NULL;
    *out = NULL;
    estuary_status status = est_client_fetch_ca_certificates(client, &certs, err);
    if (status == ESTUARY_OK)
        status = est_anchors_from_cacerts(certs, out, err);
    sk_X509_pop_free(certs, X509_free);
    if (status == ESTUARY_OK)
        est_log(client->config->log, ESTUARY_LOG_AUDIT, "trust.cacerts", "CA certificates received", "server",
                estuary_server_url(client->config->server), NULL);
    return status;
}

estuary_status estuary_client_csrattrs(estuary_client *client, estuary_csr_attributes **out,
                                       estuary_error *err)
{
    estuary_exchange *exchange = NULL;
    *out = NULL;
    estuary_status status = est_client_drive(client, ESTUARY_OP_CSRATTRS, &exchange, err);
    if (status == ESTUARY_OK) {
        *out = est_exchange_take_csr_attributes(exchange);
        est_client_note_attributes(client, *out);
    }
    estuary_exchange_free(exchange);
    return status;
}
