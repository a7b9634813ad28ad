#include "command.h"

#include <string.h>

/* What a server looks like whose CA has got a new root since the trust anchors were fetched. */
static bool may_be_rollover(const context *ctx)
{
    static const char *const codes[] = {"trust.unknown-issuer", "trust.unknown-root", "trust.bad-signature"};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (strcmp(ctx->failure.code, codes[i]) == 0)
            return !signals_came();
    return false;
}

static estuary_status recover(const estuary_config *config, estuary_anchors **out, estuary_error *err)
{
    progress_clear();
    signals_may_exit(true);
    estuary_status status = estuary_bootstrap_recover(config, out, err);
    signals_may_exit(false);
    return status;
}

int rollover_recover(context *ctx, const estuary_config *config, int result, estuary_anchors **out)
{
    estuary_error *err = estuary_error_new();
    *out = NULL;
    if (err == NULL || !may_be_rollover(ctx) || !option_given(ctx, OPT_TRUST))
        goto cleanup;
    if (recover(config, out, err) == ESTUARY_OK)
        result = EXIT_DONE;
    else if (strcmp(estuary_error_code(err), "trust.no-rollover") == 0)
        failure_add_hint(ctx, "the server offers no new root that the trust anchors vouch for, either");
cleanup:
    estuary_error_free(err);
    return result;
}

/* Looking is left to the command that changes what is trusted: a server we refuse is asked nothing more. */
void rollover_hint(context *ctx)
{
    const char *trust = option_text(ctx, OPT_TRUST);
    if (trust == NULL || !may_be_rollover(ctx))
        return;
    failure_add_hint(ctx,
                     strcmp(trust, "system") == 0
                         ? "the system's store does not hold this CA's root: give it with --trust FILE; "
                           "estuary bootstrap fetches one, to be confirmed by its fingerprint"
                         : "if the CA has a new root, estuary cacerts --server URL --trust FILE -o FILE, "
                           "with these trust anchors as FILE, fetches it");
}
