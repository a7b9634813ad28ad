#include "command.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static int add(context *ctx, fingerprints *all, const char *text)
{
    uint8_t digest[ESTUARY_FINGERPRINT_SIZE];
    if (all->count >= FINGERPRINTS_MAX)
        return fail(ctx, "usage.fingerprint", NULL, "at most %d fingerprints are taken", FINGERPRINTS_MAX);
    /* before dialing */
    int result = check(ctx, estuary_fingerprint_parse(text, digest, ctx->err));
    if (result == EXIT_DONE)
        all->items[all->count++] = text;
    return result;
}

/* One a line; blank lines and what follows a # do not count. */
static int add_file(context *ctx, fingerprints *all, const char *path)
{
    unsigned char *bytes = NULL;
    size_t len = 0, before = all->count;
    if (all->n_owned >= FINGERPRINTS_MAX)
        return fail(ctx, "usage.fingerprint", NULL, "at most %d fingerprints are taken", FINGERPRINTS_MAX);
    int result = read_small_file(ctx, path, "config.invalid", &bytes, &len);
    if (result != EXIT_DONE)
        return result;
    char *rest = (char *)bytes, *line;
    all->owned[all->n_owned++] = rest;
    while (result == EXIT_DONE && (line = strsep(&rest, "\n")) != NULL) {
        line[strcspn(line, "#\r")] = '\0';
        line += strspn(line, " \t");
        size_t end = strlen(line);
        while (end > 0 && (line[end - 1] == ' ' || line[end - 1] == '\t'))
            line[--end] = '\0';
        if (*line != '\0')
            result = add(ctx, all, line);
    }
    if (result == EXIT_DONE && all->count == before)
        result = fail(ctx, "usage.fingerprint", NULL, "%s holds no fingerprint", path);
    return result;
}

int fingerprints_read(context *ctx, fingerprints *all)
{
    const option_value *given = &ctx->options[OPT_FINGERPRINT];
    int result = EXIT_DONE;
    for (size_t i = 0; i < given->count && result == EXIT_DONE; i++) {
        if (strncmp(given->items[i], "file:", 5) == 0)
            result = add_file(ctx, all, given->items[i] + 5);
        else
            result = add(ctx, all, given->items[i]);
    }
    return result;
}

void fingerprints_free(fingerprints *all)
{
    for (size_t i = 0; i < all->n_owned; i++)
        free(all->owned[i]);
}

static int show_candidates(context *ctx, const estuary_candidates *candidates)
{
    int result = EXIT_DONE;
    json_t *list = json_array();
    say(ctx, "The server offers these certificates; nobody has vouched for them yet:");
    for (size_t i = 0; i < estuary_candidates_count(candidates); i++) {
        certificate_text text;
        bool root = estuary_candidates_is_root(candidates, i);
        TRY(describe_certificate(ctx, estuary_candidates_at(candidates, i), &text));
        say(ctx, "%s", "");
        say_row(ctx, "subject", "%s", text.subject);
        say_row(ctx, "role", "%s", root ? "root" : "not a root, cannot be confirmed");
        say_row(ctx, "valid", "%s to %s", text.not_before, text.not_after);
        say_row(ctx, "SHA-256", "%s", text.fingerprint);
        json_t *row = certificate_json(&text);
        put(row, "root", json_boolean(root));
        if (list != NULL && row != NULL)
            (void)json_array_append_new(list, row);
        else
            json_decref(row);
    }
    say(ctx, "%s", "");
    put(ctx->extra, "candidates", list);
    list = NULL;
    TRY(fail(ctx, "trust.confirm-fingerprint",
             "compare them with what the CA's operator tells you over another channel, then run this again "
             "with --fingerprint",
             "nothing is written before a person has confirmed a fingerprint"));
cleanup:
    json_decref(list);
    return result;
}

static int report_anchors(context *ctx, const estuary_anchors *anchors)
{
    char *pem = NULL;
    int result = check(ctx, estuary_anchors_to_pem(anchors, &pem, ctx->err));
    if (result == EXIT_DONE)
        result = write_output(ctx, "anchors_pem", pem);
    OPENSSL_free(pem);
    return result;
}

static int confirm(context *ctx, const estuary_config *config, const estuary_candidates *candidates,
                   const fingerprints *all)
{
    int result = EXIT_DONE;
    estuary_anchors *confirmed = NULL, *anchors = NULL;
    TRY(check(ctx, estuary_candidates_confirm(candidates, all->items, all->count, &confirmed, ctx->err)));
    TRY(check(ctx, estuary_bootstrap_finish(config, confirmed, &anchors, ctx->err)));
    signals_may_exit(false);
    /* with PEM on stdout, words would be in the way */
    if (option_given(ctx, OPT_OUTPUT)) {
        int roots = sk_X509_num(estuary_anchors_get0_roots(anchors));
        say(ctx, "Confirmed, and fetched again over a verified session");
        say_row(ctx, "anchors", "%d in %s", roots, option_text(ctx, OPT_OUTPUT));
    }
    TRY(show_anchors(ctx, anchors, option_given(ctx, OPT_OUTPUT)));
    TRY(report_anchors(ctx, anchors));
cleanup:
    estuary_anchors_free(confirmed);
    estuary_anchors_free(anchors);
    return result;
}

static void note_unused(const context *ctx)
{
    static const option_id unused[] = {OPT_TRUST, OPT_USER, OPT_CERT, OPT_KEY};
    for (size_t i = 0; i < sizeof(unused) / sizeof(unused[0]); i++) {
        if (ctx->options[unused[i]].origin == ORIGIN_ARGUMENT) {
            warn(ctx, "bootstrap.not-used", "a first contact uses no trust anchors and sends no credentials");
            return;
        }
    }
}

int run_bootstrap(context *ctx)
{
    int result = EXIT_DONE;
    fingerprints all = {0};
    estuary_config *config = NULL;
    estuary_candidates *candidates = NULL;
    TRY(fingerprints_read(ctx, &all));
    note_unused(ctx);
    option_forget(ctx, OPT_TRUST);
    TRY(session_config(ctx, NULL, &config));
    TRY(session_credentials(ctx, config));
    signals_may_exit(true);
    if (signals_came())
        TRY(fail(ctx, "cancelled", NULL, NULL));
    TRY(check(ctx, estuary_bootstrap_fetch(config, &candidates, ctx->err)));
    progress_clear();
    if (all.count == 0)
        TRY(show_candidates(ctx, candidates));
    TRY(confirm(ctx, config, candidates, &all));
cleanup:
    signals_may_exit(false);
    fingerprints_free(&all);
    estuary_candidates_free(candidates);
    estuary_config_free(config);
    return result;
}
