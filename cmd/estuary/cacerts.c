#include "command.h"

#include <openssl/crypto.h>

typedef struct role_text {
    const char *json, *words;
} role_text;

static role_text role_of(const estuary_anchors *anchors, const X509 *certificate)
{
    switch (estuary_anchors_role(anchors, certificate)) {
    case ESTUARY_CA_ROOT:
        return (role_text){"root", "root"};
    case ESTUARY_CA_OLD_WITH_NEW:
        return (role_text){"old-with-new", "rollover: the old root's key, signed by the new root"};
    case ESTUARY_CA_NEW_WITH_OLD:
        return (role_text){"new-with-old", "rollover: the new root's key, signed by the old root"};
    case ESTUARY_CA_INTERMEDIATE:
    case ESTUARY_CA_UNKNOWN:
        break;
    }
    return (role_text){"intermediate", "intermediate"};
}

static int show(context *ctx, json_t *list, const estuary_anchors *anchors,
                const STACK_OF(X509) *certificates, bool words)
{
    int result = EXIT_DONE;
    for (int i = 0; i < sk_X509_num(certificates); i++) {
        certificate_text text;
        role_text role = role_of(anchors, sk_X509_value(certificates, i));
        TRY(describe_certificate(ctx, sk_X509_value(certificates, i), &text));
        json_t *row = certificate_json(&text);
        put_text(row, "role", role.json);
        if (list != NULL && row != NULL)
            (void)json_array_append_new(list, row);
        else
            json_decref(row);
        if (!words)
            continue;
        say(ctx, "%s", "");
        say_row(ctx, "subject", "%s", text.subject);
        say_row(ctx, "role", "%s", role.words);
        say_row(ctx, "valid", "%s to %s", text.not_before, text.not_after);
        say_row(ctx, "SHA-256", "%s", text.fingerprint);
    }
cleanup:
    return result;
}

int show_anchors(context *ctx, const estuary_anchors *anchors, bool words)
{
    json_t *list = json_array();
    int result = show(ctx, list, anchors, estuary_anchors_get0_roots(anchors), words);
    if (result == EXIT_DONE)
        result = show(ctx, list, anchors, estuary_anchors_get0_helpers(anchors), words);
    put(ctx->result, "certificates", list);
    return result;
}

/* RFC 7030 4.1.3; the trust anchors of a client that slept through a root rollover vouch for the new root. */
static int fetch(context *ctx, estuary_client *client, const estuary_config *config, estuary_anchors **out)
{
    int result = check(ctx, estuary_client_cacerts(client, out, ctx->err));
    put(ctx->result, "recovered", json_false());
    if (result == EXIT_DONE)
        return EXIT_DONE;
    result = rollover_recover(ctx, config, result, out);
    if (result == EXIT_DONE) {
        put(ctx->result, "recovered", json_true());
        say(ctx, "The CA has a new root. The trust anchors vouch for it, and it has verified the server;");
        say(ctx, "both were checked again over a new session (RFC 4210 4.4).");
        say(ctx, "%s", "");
    }
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
    TRY(fetch(ctx, client, config, &anchors));
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
