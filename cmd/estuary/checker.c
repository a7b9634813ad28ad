/* The revocation checker as the options say. */
#include "command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 4096

/* XDG base directories; the system's place for root, who has no desktop. */
static bool default_folder(char *out, size_t size)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int len;
    if (cache != NULL && cache[0] == '/')
        len = snprintf(out, size, "%s/estuary", cache);
    else if (geteuid() == 0)
        len = snprintf(out, size, "/var/cache/estuary");
    else if (home != NULL && home[0] == '/')
        len = snprintf(out, size, "%s/.cache/estuary", home);
    else
        return false;
    if (len < 0 || (size_t)len >= size)
        return false;
    char *last = strrchr(out, '/');
    *last = '\0';
    (void)mkdir(out, 0700); /* ~/.cache need not be there yet */
    *last = '/';
    return true;
}

/* The default folder is a convenience: without it evidence is fetched each time. */
static int set_cache(context *ctx, estuary_revocation *checker)
{
    char folder[PATH_SIZE];
    if (option_given(ctx, OPT_CACHE))
        return check(ctx, estuary_revocation_set_cache(checker, option_text(ctx, OPT_CACHE), ctx->err));
    if (default_folder(folder, sizeof(folder)) &&
        estuary_revocation_set_cache(checker, folder, ctx->err) != ESTUARY_OK) {
        warn(ctx, "revocation.cache", estuary_error_message(ctx->err));
        estuary_error_clear(ctx->err);
    }
    return EXIT_DONE;
}

static int set_timeout(context *ctx, estuary_revocation *checker)
{
    int result = EXIT_DONE;
    long seconds = 0;
    TRY(option_number(ctx, OPT_TIMEOUT, 1, 86400, &seconds));
    if (seconds == 0)
        return EXIT_DONE;
    int64_t ms = seconds * INT64_C(1000);
    if (ms < estuary_revocation_get_limit(checker, ESTUARY_REVOCATION_OCSP_TIMEOUT_MS))
        TRY(check(ctx,
                  estuary_revocation_set_limit(checker, ESTUARY_REVOCATION_OCSP_TIMEOUT_MS, ms, ctx->err)));
    if (ms < estuary_revocation_get_limit(checker, ESTUARY_REVOCATION_CRL_TIMEOUT_MS))
        TRY(check(ctx,
                  estuary_revocation_set_limit(checker, ESTUARY_REVOCATION_CRL_TIMEOUT_MS, ms, ctx->err)));
cleanup:
    return result;
}

static int set_anchors(context *ctx, estuary_revocation *checker)
{
    int result = EXIT_DONE;
    estuary_anchors *anchors = NULL;
    if (!option_given(ctx, OPT_TRUST))
        return EXIT_DONE;
    TRY(anchors_open(ctx, &anchors));
    TRY(check(ctx, estuary_revocation_set_anchors(checker, anchors, ctx->err)));
cleanup:
    estuary_anchors_free(anchors);
    return result;
}

int checker_open(context *ctx, estuary_revocation **out)
{
    int result = EXIT_DONE;
    estuary_revocation *checker = NULL;
    TRY(check(ctx, estuary_revocation_new(&checker, ctx->err)));
    TRY(set_cache(ctx, checker));
    TRY(set_timeout(ctx, checker));
    TRY(set_anchors(ctx, checker));
    if (ctx->log != NULL)
        TRY(check(ctx, estuary_revocation_set_log(checker, ctx->log, ctx->err)));
    *out = checker;
    checker = NULL;
cleanup:
    estuary_revocation_free(checker);
    return result;
}

int checker_for_session(context *ctx, estuary_config *config)
{
    int result = EXIT_DONE;
    const char *text = option_text(ctx, OPT_REVOCATION);
    if (text != NULL && strcmp(text, "off") == 0)
        return EXIT_DONE;
    TRY(checker_open(ctx, &ctx->checker));
    if (text != NULL && strcmp(text, "hard") == 0)
        TRY(check(ctx, estuary_revocation_set_policy(ctx->checker, ESTUARY_REVOCATION_HARD, ctx->err)));
    TRY(check(ctx, estuary_config_set_revocation(config, ctx->checker, ctx->err)));
cleanup:
    return result;
}

int checker_proxy(context *ctx, const estuary_secret *password)
{
    if (ctx->checker == NULL || !option_given(ctx, OPT_PROXY))
        return EXIT_DONE;
    return check(ctx, estuary_revocation_set_proxy(ctx->checker, option_text(ctx, OPT_PROXY),
                                                   option_text(ctx, OPT_PROXY_USER), password, ctx->err));
}
