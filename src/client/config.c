#include "client/client.h"

#include <stdlib.h>
#include <string.h>

#define MAX_WAIT_MAX (INT64_C(365) * 86400)

estuary_status estuary_config_new(estuary_config **out, estuary_error *err)
{
    *out = est_alloc(sizeof(**out));
    return *out == NULL ? est_fail_memory(err) : ESTUARY_OK;
}

static void forget_identity(estuary_config *config)
{
    X509_free(config->identity);
    sk_X509_pop_free(config->identity_chain, X509_free);
    EVP_PKEY_free(config->identity_key);
    config->identity = NULL;
    config->identity_chain = NULL;
    config->identity_key = NULL;
}

static void forget_credentials(estuary_config *config)
{
    est_free(config->user);
    estuary_secret_free(config->password);
    config->user = NULL;
    config->password = NULL;
}

static void forget_proxy(estuary_config *config)
{
    est_free(config->proxy);
    est_free(config->proxy_user);
    estuary_secret_free(config->proxy_password);
    config->proxy = NULL;
    config->proxy_user = NULL;
    config->proxy_password = NULL;
}

void est_config_strip(estuary_config *config)
{
    forget_identity(config);
    forget_credentials(config);
    estuary_anchors_free(config->anchors);
    config->anchors = NULL;
}

void estuary_config_free(estuary_config *config)
{
    if (config == NULL)
        return;
    est_config_strip(config);
    forget_proxy(config);
    estuary_server_free(config->server);
    estuary_limits_free(config->limits);
    estuary_log_free(config->log);
    estuary_revocation_free(config->revocation);
    estuary_metrics_free(config->metrics);
    est_free(config);
}

static bool copy_text(const char *from, char **to)
{
    *to = est_strdup(from);
    return from == NULL || *to != NULL;
}

static bool copy_identity(const estuary_config *from, estuary_config *to)
{
    if (from->identity == NULL)
        return true;
    if (X509_up_ref(from->identity) != 1)
        return false;
    to->identity = from->identity;
    if (EVP_PKEY_up_ref(from->identity_key) != 1)
        return false;
    to->identity_key = from->identity_key;
    if (from->identity_chain == NULL)
        return true;
    to->identity_chain = X509_chain_up_ref(from->identity_chain);
    return to->identity_chain != NULL;
}

estuary_status est_config_dup(const estuary_config *config, estuary_config **out, estuary_error *err)
{
    *out = NULL;
    estuary_config *copy = est_alloc(sizeof(*copy));
    if (copy == NULL)
        return est_fail_memory(err);
    copy->server = estuary_server_up_ref(config->server);
    copy->anchors = estuary_anchors_up_ref(config->anchors);
    copy->accept_any = config->accept_any;
    copy->fips = config->fips;
    copy->allow_expired_identity = config->allow_expired_identity;
    copy->password = estuary_secret_up_ref(config->password);
    copy->preemptive_auth = config->preemptive_auth;
    copy->proxy_password = estuary_secret_up_ref(config->proxy_password);
    copy->limits = est_limits_dup(config->limits);
    copy->max_wait = config->max_wait;
    copy->pop = config->pop;
    copy->log = estuary_log_up_ref(config->log);
    copy->metrics = estuary_metrics_up_ref(config->metrics);
    copy->revocation = estuary_revocation_up_ref(config->revocation);
    copy->progress = config->progress;
    copy->progress_arg = config->progress_arg;
    if (copy->limits == NULL || !copy_text(config->user, &copy->user) ||
        !copy_text(config->proxy, &copy->proxy) || !copy_text(config->proxy_user, &copy->proxy_user) ||
        !copy_identity(config, copy)) {
        estuary_config_free(copy);
        return est_fail_memory(err);
    }
    *out = copy;
    return ESTUARY_OK;
}

estuary_status estuary_config_set_server(estuary_config *config, const char *url, const char *label,
                                         estuary_error *err)
{
    estuary_server *server = NULL;
    estuary_status status = estuary_server_parse(url, label, &server, err);
    if (status != ESTUARY_OK)
        return status;
    estuary_server_free(config->server);
    config->server = server;
    return ESTUARY_OK;
}

/* T2: explicit and system anchors never mix */
static estuary_status add_anchors(estuary_config *config, const estuary_anchors *anchors, estuary_error *err)
{
    estuary_anchors *both = NULL;
    if (config->anchors == NULL) {
        config->anchors = estuary_anchors_up_ref(anchors);
        return ESTUARY_OK;
    }
    if (estuary_anchors_is_explicit(config->anchors) != estuary_anchors_is_explicit(anchors))
        return est_fail(err, EST_USAGE_MIXED_TRUST, NULL);
    estuary_status status = estuary_anchors_union(config->anchors, anchors, &both, err);
    if (status != ESTUARY_OK)
        return status;
    estuary_anchors_free(config->anchors);
    config->anchors = both;
    return ESTUARY_OK;
}

estuary_status estuary_config_trust_anchors(estuary_config *config, const estuary_anchors *anchors,
                                            estuary_error *err)
{
    return anchors == NULL ? est_fail(err, EST_USAGE_NO_TRUST, NULL) : add_anchors(config, anchors, err);
}

estuary_status estuary_config_trust_file(estuary_config *config, const char *path, estuary_error *err)
{
    estuary_anchors *anchors = NULL;
    estuary_status status = estuary_anchors_from_file(path, &anchors, err);
    if (status == ESTUARY_OK)
        status = add_anchors(config, anchors, err);
    estuary_anchors_free(anchors);
    return status;
}

estuary_status estuary_config_trust_system(estuary_config *config, estuary_error *err)
{
    estuary_anchors *anchors = NULL;
    estuary_status status = estuary_anchors_system(&anchors, err);
    if (status == ESTUARY_OK)
        status = add_anchors(config, anchors, err);
    estuary_anchors_free(anchors);
    return status;
}

estuary_status estuary_config_set_identity(estuary_config *config, X509 *certificate,
                                           const STACK_OF(X509) *chain, EVP_PKEY *key, estuary_error *err)
{
    if (certificate == NULL || key == NULL)
        return est_fail(err, EST_USAGE, "an identity needs a certificate and its key");
    /* T5: said before any dialing */
    estuary_status status =
        est_identity_check(certificate, key, config->allow_expired_identity, est_now(), err);
    if (status != ESTUARY_OK)
        return status;
    if (config->fips && !est_key_is_fips_approved(key))
        return est_fail(err, EST_UNSUPPORTED_FIPS_ALGORITHM,
                        "the identity's key is not of a kind FIPS approves");
    estuary_config identity = {.identity = certificate, .identity_key = key};
    estuary_config copy = {0};
    identity.identity_chain = (STACK_OF(X509) *)chain; /* only its references are counted up */
    if (!copy_identity(&identity, &copy)) {
        forget_identity(&copy);
        return est_fail_openssl(err, EST_CRYPTO, NULL);
    }
    forget_identity(config);
    config->identity = copy.identity;
    config->identity_chain = copy.identity_chain;
    config->identity_key = copy.identity_key;
    return ESTUARY_OK;
}

estuary_status estuary_config_allow_expired_identity(estuary_config *config, estuary_error *err)
{
    (void)err;
    config->allow_expired_identity = true;
    return ESTUARY_OK;
}

estuary_status estuary_config_set_http_auth(estuary_config *config, const char *user,
                                            const estuary_secret *password, estuary_error *err)
{
    size_t len = 0;
    if (user == NULL || password == NULL || !est_http_is_user_name(user))
        return est_fail(err, EST_USAGE, "a user name must be there, without colons and control characters");
    const char *text = estuary_secret_get0(password, &len);
    if (!est_http_is_password(text, len))
        return est_fail(err, EST_CONFIG,
                        "the password contains a control character, which HTTP authentication cannot carry");
    char *copy = est_strdup(user);
    if (copy == NULL)
        return est_fail_memory(err);
    forget_credentials(config);
    config->user = copy;
    config->password = estuary_secret_up_ref((estuary_secret *)password);
    return ESTUARY_OK;
}

estuary_status estuary_config_set_preemptive_auth(estuary_config *config, bool on, estuary_error *err)
{
    (void)err;
    config->preemptive_auth = on;
    return ESTUARY_OK;
}

estuary_status estuary_config_set_proxy(estuary_config *config, const char *url, const char *user,
                                        const estuary_secret *password, estuary_error *err)
{
    if (url == NULL) {
        forget_proxy(config);
        return ESTUARY_OK;
    }
    estuary_status status = est_http_check_proxy(url, user, password, err);
    if (status != ESTUARY_OK)
        return status;
    char *url_copy = NULL, *user_copy = NULL;
    if (!copy_text(url, &url_copy) || !copy_text(user, &user_copy)) {
        est_free(url_copy);
        return est_fail_memory(err);
    }
    forget_proxy(config);
    config->proxy = url_copy;
    config->proxy_user = user_copy;
    config->proxy_password = estuary_secret_up_ref((estuary_secret *)password);
    return ESTUARY_OK;
}

estuary_status estuary_config_insecure_accept_any_server(estuary_config *config, estuary_error *err)
{
    (void)err;
    config->accept_any = true;
    return ESTUARY_OK;
}

estuary_status estuary_config_set_limits(estuary_config *config, const estuary_limits *limits,
                                         estuary_error *err)
{
    estuary_limits *copy = est_limits_dup(limits);
    if (copy == NULL)
        return est_fail_memory(err);
    estuary_limits_free(config->limits);
    config->limits = copy;
    return ESTUARY_OK;
}

estuary_status estuary_config_set_max_wait(estuary_config *config, int64_t seconds, estuary_error *err)
{
    if (seconds < 0 || seconds > MAX_WAIT_MAX)
        return est_fail(err, EST_USAGE_LIMIT, "the longest wait must be between 0 and %lld seconds",
                        (long long)MAX_WAIT_MAX);
    config->max_wait = seconds;
    return ESTUARY_OK;
}

estuary_status estuary_config_set_log(estuary_config *config, estuary_log *log, estuary_error *err)
{
    (void)err;
    estuary_log *old = config->log;
    config->log = estuary_log_up_ref(log);
    estuary_log_free(old);
    return ESTUARY_OK;
}

estuary_status estuary_config_set_revocation(estuary_config *config, estuary_revocation *checker,
                                             estuary_error *err)
{
    (void)err;
    estuary_revocation *old = config->revocation;
    config->revocation = estuary_revocation_up_ref(checker);
    estuary_revocation_free(old);
    return ESTUARY_OK;
}

estuary_status estuary_config_set_metrics(estuary_config *config, estuary_metrics *metrics,
                                          estuary_error *err)
{
    (void)err;
    estuary_metrics *old = config->metrics;
    config->metrics = estuary_metrics_up_ref(metrics);
    estuary_metrics_free(old);
    return ESTUARY_OK;
}

estuary_status estuary_config_set_progress(estuary_config *config, estuary_progress_fn *fn, void *arg,
                                           estuary_error *err)
{
    (void)err;
    config->progress = fn;
    config->progress_arg = arg;
    return ESTUARY_OK;
}

estuary_status estuary_config_require_fips(estuary_config *config, estuary_error *err)
{
    if (!estuary_process_fips_active())
        return est_fail(err, EST_UNSUPPORTED_FIPS, NULL);
    if (config->identity_key != NULL && !est_key_is_fips_approved(config->identity_key))
        return est_fail(err, EST_UNSUPPORTED_FIPS_ALGORITHM,
                        "the identity's key is not of a kind FIPS approves");
    config->fips = true;
    return ESTUARY_OK;
}

estuary_status estuary_config_set_pop(estuary_config *config, estuary_pop pop, estuary_error *err)
{
    if (pop != ESTUARY_POP_AUTO && pop != ESTUARY_POP_REQUIRED && pop != ESTUARY_POP_OFF)
        return est_fail(err, EST_USAGE, "a channel binding is automatic, required or off");
    config->pop = pop;
    return ESTUARY_OK;
}
