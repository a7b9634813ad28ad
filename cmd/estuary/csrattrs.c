#include "command.h"

static const char *kind_word(estuary_csr_attribute_kind kind)
{
    switch (kind) {
    case ESTUARY_CSRATTR_CHALLENGE_PASSWORD:
        return "challenge-password";
    case ESTUARY_CSRATTR_KEY:
        return "key";
    case ESTUARY_CSRATTR_SIGNATURE:
        return "signature";
    case ESTUARY_CSRATTR_EXTENSIONS:
        return "extensions";
    case ESTUARY_CSRATTR_SUBJECT:
        return "subject";
    case ESTUARY_CSRATTR_TEMPLATE:
        return "template";
    case ESTUARY_CSRATTR_ATTRIBUTE:
        return "attribute";
    case ESTUARY_CSRATTR_UNKNOWN:
        break;
    }
    return "unknown";
}

/* Short enough for the column. */
static const char *row_name(estuary_csr_attribute_kind kind)
{
    if (kind == ESTUARY_CSRATTR_CHALLENGE_PASSWORD)
        return "binding";
    return kind == ESTUARY_CSRATTR_UNKNOWN ? "ignored" : kind_word(kind);
}

static void show(context *ctx, const estuary_csr_attributes *attributes)
{
    estuary_csr_attribute_kind kind;
    const char *oid, *name, *words;
    json_t *list = json_array();
    size_t count = estuary_csr_attributes_count(attributes);
    if (count == 0)
        say(ctx, "The server wants nothing in particular in a request");
    else if (estuary_csr_attributes_has_template(attributes))
        say(ctx, "What will be in a request");
    else
        say(ctx, "What the server wants in a request");
    for (size_t i = 0; estuary_csr_attributes_at(attributes, i, &kind, &oid, &name, &words); i++) {
        bool unknown = kind == ESTUARY_CSRATTR_UNKNOWN;
        say_row(ctx, row_name(kind), "%s%s%s%s", words, unknown ? " (" : "", unknown ? name : "",
                unknown ? ")" : "");
        json_t *row = json_object();
        put_text(row, "kind", kind_word(kind));
        put_text(row, "oid", oid);
        put_text(row, "name", name);
        put_text(row, "words", words);
        put(row, "must_fill", json_boolean(estuary_csr_attributes_must_fill(attributes, i)));
        if (list != NULL && row != NULL)
            (void)json_array_append_new(list, row);
        else
            json_decref(row);
    }
    put(ctx->result, "attributes", list);
    put(ctx->result, "template", json_boolean(estuary_csr_attributes_has_template(attributes)));
    put(ctx->result, "wants_binding", json_boolean(estuary_csr_attributes_wants_binding(attributes)));
    put_text(ctx->result, "key_algorithm", estuary_csr_attributes_key_algorithm(attributes));
}

int run_csrattrs(context *ctx)
{
    int result = EXIT_DONE;
    tls_identity identity = {0};
    estuary_config *config = NULL;
    estuary_client *client = NULL;
    estuary_csr_attributes *attributes = NULL;
    TRY(identity_open(ctx, &identity));
    TRY(session_config(ctx, &identity, &config));
    TRY(session_credentials(ctx, config));
    TRY(session_client(ctx, config, &client));
    result = check(ctx, estuary_client_csrattrs(client, &attributes, ctx->err));
    if (result != EXIT_DONE) {
        rollover_hint(ctx);
        goto cleanup;
    }
    progress_clear();
    show(ctx, attributes);
cleanup:
    estuary_csr_attributes_free(attributes);
    session_client_free(client);
    estuary_config_free(config);
    identity_free(&identity);
    return result;
}
