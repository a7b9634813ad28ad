#include "command.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void identity_free(tls_identity *identity)
{
    X509_free(identity->certificate);
    sk_X509_pop_free(identity->chain, X509_free);
    EVP_PKEY_free(identity->key);
    *identity = (tls_identity){0};
}

static bool certifies_given_key(const context *ctx)
{
    if (ctx->command->mask == IN_REENROLL)
        return option_given(ctx, OPT_SAME_KEY);
    return (ctx->command->mask & (IN_ENROLL | IN_FULLCMC)) != 0 && !option_given(ctx, OPT_NEW_KEY) &&
           !option_given(ctx, OPT_CSR);
}

int key_open(context *ctx, EVP_PKEY **out)
{
    int result = EXIT_DONE;
    const char *uri = option_text(ctx, OPT_KEY);
    const estuary_secret *pin = NULL;
    unsigned flags = option_given(ctx, OPT_INSECURE_KEY_PERMISSIONS) ? ESTUARY_KEY_INSECURE_PERMISSIONS : 0;
    TRY(pin_get(ctx, &pin));
    TRY(check(ctx, estuary_key_open(uri, pin, flags, out, ctx->err)));
    if (!certifies_given_key(ctx))
        goto cleanup;
    /* a key in hardware stays there: DIR names it; so does one with a passphrase, which a copy would undo */
    if (key_is_hardware(uri)) {
        OPENSSL_free(ctx->key_name);
        TRY(key_exact_name(ctx, uri, &ctx->key_name));
    } else if (pin != NULL) {
        TRY(key_keep_protected(ctx, uri, flags));
    }
cleanup:
    return result;
}

int identity_open(context *ctx, tls_identity *identity)
{
    int result = EXIT_DONE;
    const char *path = option_text(ctx, OPT_CERT);
    if (path == NULL)
        return EXIT_DONE;
    TRY(option_need(ctx, OPT_KEY, "with --cert"));
    TRY(read_certificates(ctx, path, &identity->chain));
    identity->certificate = sk_X509_shift(identity->chain);
    if (identity->certificate == NULL)
        TRY(fail(ctx, "config.certificate-file", NULL, "%s holds no certificate", path));
    TRY(key_open(ctx, &identity->key));
cleanup:
    return result;
}

static int set_limits(context *ctx, estuary_config *config)
{
    static const estuary_limit times[] = {ESTUARY_LIMIT_TOTAL_MS, ESTUARY_LIMIT_CONNECT_MS,
                                          ESTUARY_LIMIT_IDLE_MS};
    int result = EXIT_DONE;
    long seconds = 0;
    estuary_limits *limits = NULL;
    TRY(option_number(ctx, OPT_TIMEOUT, 1, 86400, &seconds));
    TRY(check(ctx, estuary_limits_new(&limits, ctx->err)));
    for (size_t i = 0; seconds > 0 && i < 3; i++) {
        /* connecting and silence have bounds of their own, which a short total only lowers */
        int64_t ms = seconds * 1000;
        if (i > 0 && estuary_limits_get(limits, times[i]) < ms)
            ms = estuary_limits_get(limits, times[i]);
        TRY(check(ctx, estuary_limits_set(limits, times[i], ms, ctx->err)));
    }
    TRY(check(ctx, estuary_config_set_limits(config, limits, ctx->err)));
cleanup:
    estuary_limits_free(limits);
    return result;
}

static int set_trust(context *ctx, estuary_config *config)
{
    const option_value *trust = &ctx->options[OPT_TRUST];
    for (size_t i = 0; i < trust->count; i++) {
        estuary_status status = strcmp(trust->items[i], "system") == 0
                                    ? estuary_config_trust_system(config, ctx->err)
                                    : estuary_config_trust_file(config, trust->items[i], ctx->err);
        if (status != ESTUARY_OK)
            return check(ctx, status);
    }
    return EXIT_DONE;
}

int anchors_open(context *ctx, estuary_anchors **out)
{
    int result = EXIT_DONE;
    const option_value *trust = &ctx->options[OPT_TRUST];
    estuary_anchors *all = NULL, *one = NULL, *both = NULL;
    for (size_t i = 0; i < trust->count; i++) {
        if (strcmp(trust->items[i], "system") == 0)
            TRY(check(ctx, estuary_anchors_system(&one, ctx->err)));
        else
            TRY(check(ctx, estuary_anchors_from_file(trust->items[i], &one, ctx->err)));
        if (all == NULL) {
            all = one;
            one = NULL;
            continue;
        }
        TRY(check(ctx, estuary_anchors_union(all, one, &both, ctx->err)));
        estuary_anchors_free(all);
        estuary_anchors_free(one);
        all = both;
        one = both = NULL;
    }
    *out = all;
    all = NULL;
cleanup:
    estuary_anchors_free(all);
    estuary_anchors_free(one);
    return result;
}

static int set_pop(context *ctx, estuary_config *config)
{
    const char *text = option_text(ctx, OPT_POP);
    estuary_pop pop = ESTUARY_POP_AUTO;
    if (text != NULL && strcmp(text, "auto") != 0)
        pop = strcmp(text, "off") == 0 ? ESTUARY_POP_OFF : ESTUARY_POP_REQUIRED;
    return check(ctx, estuary_config_set_pop(config, pop, ctx->err));
}

static int check_pairs(context *ctx)
{
    static const option_id pairs[][2] = {{OPT_USER, OPT_PASSWORD},
                                         {OPT_PASSWORD, OPT_USER},
                                         {OPT_PREEMPTIVE_AUTH, OPT_USER},
                                         {OPT_PROXY_USER, OPT_PROXY},
                                         {OPT_PROXY_PASSWORD, OPT_PROXY_USER}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        if (option_given(ctx, pairs[i][0]) && !option_given(ctx, pairs[i][1]))
            return fail(ctx, "usage.option", NULL, "%s is needed with %s", option_name(pairs[i][1]),
                        option_name(pairs[i][0]));
    }
    return EXIT_DONE;
}

static bool progress_shown;

static bool is_terminal(void)
{
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) == 1 && term != NULL && strcmp(term, "dumb") != 0;
}

static void on_progress(void *arg, const char *what)
{
    const context *ctx = arg;
    char clean[200];
    clean_text(what, clean, sizeof(clean));
    if (ctx->verbosity > 0) {
        estuary_log_write(ctx->log, ESTUARY_LOG_INFO, "progress", clean, NULL, 0);
        return;
    }
    fprintf(stderr, "\r\033[K%.78s", clean);
    progress_shown = true;
}

void progress_clear(void)
{
    if (progress_shown)
        (void)fputs("\r\033[K", stderr);
    progress_shown = false;
}

static int set_progress(context *ctx, estuary_config *config)
{
    if (ctx->verbosity < 0 || (ctx->verbosity == 0 && !is_terminal()))
        return EXIT_DONE;
    return check(ctx, estuary_config_set_progress(config, on_progress, ctx, ctx->err));
}

static int set_identity(context *ctx, const tls_identity *identity, estuary_config *config)
{
    int result = EXIT_DONE;
    if (identity == NULL || identity->certificate == NULL)
        return EXIT_DONE;
    if (option_given(ctx, OPT_ALLOW_EXPIRED))
        TRY(check(ctx, estuary_config_allow_expired_identity(config, ctx->err)));
    TRY(check(ctx, estuary_config_set_identity(config, identity->certificate, identity->chain, identity->key,
                                               ctx->err)));
cleanup:
    return result;
}

int session_config(context *ctx, const tls_identity *identity, estuary_config **out)
{
    int result = EXIT_DONE;
    long wait = 0;
    estuary_config *config = NULL;
    if (!option_given(ctx, OPT_SERVER))
        TRY(fail(ctx, "usage.no-server", "use --server URL", NULL));
    TRY(check_pairs(ctx));
    TRY(option_number(ctx, OPT_MAX_WAIT, 0, 31 * 86400, &wait));
    TRY(check(ctx, estuary_config_new(&config, ctx->err)));
    TRY(check(ctx, estuary_config_set_server(config, option_text(ctx, OPT_SERVER),
                                             option_text(ctx, OPT_LABEL), ctx->err)));
    TRY(set_limits(ctx, config));
    TRY(set_pop(ctx, config));
    TRY(check(ctx, estuary_config_set_max_wait(config, wait, ctx->err)));
    if (ctx->log != NULL)
        TRY(check(ctx, estuary_config_set_log(config, ctx->log, ctx->err)));
    TRY(set_progress(ctx, config));
    if (option_given(ctx, OPT_FIPS))
        TRY(check(ctx, estuary_config_require_fips(config, ctx->err)));
    TRY(set_trust(ctx, config));
    TRY(checker_for_session(ctx, config));
    TRY(set_identity(ctx, identity, config));
    *out = config;
    config = NULL;
cleanup:
    estuary_config_free(config);
    return result;
}

int session_credentials(context *ctx, estuary_config *config)
{
    int result = EXIT_DONE;
    estuary_secret *password = NULL, *proxy_password = NULL;
    if (option_given(ctx, OPT_PROXY_PASSWORD))
        TRY(check(ctx, estuary_secret_read(option_text(ctx, OPT_PROXY_PASSWORD), "Password for the proxy",
                                           &proxy_password, ctx->err)));
    if (option_given(ctx, OPT_PROXY))
        TRY(check(ctx, estuary_config_set_proxy(config, option_text(ctx, OPT_PROXY),
                                                option_text(ctx, OPT_PROXY_USER), proxy_password, ctx->err)));
    TRY(checker_proxy(ctx, proxy_password));
    if (ctx->command->mask == IN_BOOTSTRAP || !option_given(ctx, OPT_USER))
        goto cleanup; /* nothing goes to a server that is not known yet (RFC 7030 4.1.1) */
    TRY(check(ctx, estuary_secret_read(option_text(ctx, OPT_PASSWORD), "Password for the EST server",
                                       &password, ctx->err)));
    TRY(check(ctx, estuary_config_set_http_auth(config, option_text(ctx, OPT_USER), password, ctx->err)));
    if (option_given(ctx, OPT_PREEMPTIVE_AUTH))
        TRY(check(ctx, estuary_config_set_preemptive_auth(config, true, ctx->err)));
cleanup:
    estuary_secret_free(password);
    estuary_secret_free(proxy_password);
    return result;
}

int session_client(context *ctx, const estuary_config *config, estuary_client **out)
{
    int result = check(ctx, estuary_client_new(config, out, ctx->err));
    if (result == EXIT_DONE)
        signals_watch(*out);
    /* one that came before there was anything to cancel */
    if (result == EXIT_DONE && signals_came())
        result = fail(ctx, "cancelled", NULL, NULL);
    return result;
}

void session_client_free(estuary_client *client)
{
    signals_watch(NULL);
    estuary_client_free(client);
}

int log_open(context *ctx)
{
    static const estuary_log_level levels[] = {ESTUARY_LOG_ERROR, ESTUARY_LOG_WARNING, ESTUARY_LOG_INFO,
                                               ESTUARY_LOG_DEBUG};
    int index = ctx->verbosity + 1 > 3 ? 3 : ctx->verbosity + 1;
    const char *format = option_text(ctx, OPT_LOG_FORMAT);
    bool json = format != NULL && strcmp(format, "json") == 0;
    int result = check(ctx, estuary_log_new_fd(levels[index], json ? ESTUARY_LOG_JSON : ESTUARY_LOG_TEXT,
                                               STDERR_FILENO, &ctx->log, ctx->err));
    estuary_process_set_key_records(ctx->log, NULL);
    return result;
}
