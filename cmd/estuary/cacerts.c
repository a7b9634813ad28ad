#include "command.h"

#include <openssl/crypto.h>

static int show(context *ctx, json_t *list, const STACK_OF(X509) *certificates, const char *role, bool words)
{
    int result = EXIT_DONE;
    for (int i = 0; i < sk_X509_num(certificates); i++) {
        certificate_text text;
        TRY(describe_certificate(ctx, sk_X509_value(certificates, i), &text));
        json_t *row = certificate_json(&text);
        put_text(row, "role", role);
        if (list != NULL && row != NULL)
            (void)json_array_append_new(list, row);
        else
            json_decref(row);
        if (!words)
            continue;
        say(ctx, "%s", "");
        say_row(ctx, "subject", "%s", text.subject);
        say_row(ctx, "role", "%s", role);
        say_row(ctx, "valid", "%s to %s", text.not_before, text.not_after);
        say_row(ctx, "SHA-256", "%s", text.fingerprint);
    }
cleanup:
    return result;
}

int show_anchors(context *ctx, const estuary_anchors *anchors, bool words)
{
    json_t *list = json_array();
    int result = show(ctx, list, estuary_anchors_get0_roots(anchors), "root", words);
    if (result == EXIT_DONE)
        result = show(ctx, list, estuary_anchors_get0_helpers(anchors), "intermediate", words);
    put(ctx->result, "certificates", list);
    return result;
}

int run_cacerts(context *ctx)
{
    int result = EXIT_DONE;
    char *pem = NULL;
    tls_identity identity = {0};
    estuary_config *config = NULL;
    estuary_client *client = NULL;
    estuary_anchors *anchors = NULL;
    TRY(identity_open(ctx, &identity));
    TRY(session_config(ctx, &identity, &config));
    TRY(session_credentials(ctx, config));
    TRY(session_client(ctx, config, &client));
    TRY(check(ctx, estuary_client_cacerts(client, &anchors, ctx->err)));
    progress_clear();
    say(ctx, "CA certificates of %s", option_text(ctx, OPT_SERVER));
    TRY(show_anchors(ctx, anchors, true));
    TRY(check(ctx, estuary_anchors_to_pem(anchors, &pem, ctx->err)));

    if (option_given(ctx, OPT_OUTPUT) || ctx->json)
        TRY(write_output(ctx, "anchors_pem", pem));
    if (option_given(ctx, OPT_OUTPUT)) {
        say(ctx, "%s", "");
        say_row(ctx, "written to", "%s", option_text(ctx, OPT_OUTPUT));
    }
cleanup:
    OPENSSL_free(pem);
    estuary_anchors_free(anchors);
    session_client_free(client);
    estuary_config_free(config);
    identity_free(&identity);
    return result;
}
