#include "command.h"

#include <stdio.h>
#include <string.h>

static bool is_new_key(const enroll_job *job)
{
    return job->make_key && job->key != NULL;
}

static const char *key_place(const context *ctx, const enroll_job *job, char *out, size_t size)
{
    if (job->key == NULL)
        return NULL;
    if (job->key_uri != NULL)
        return job->key_uri;
    if (option_given(ctx, OPT_KEY_OUT))
        return option_text(ctx, OPT_KEY_OUT);
    if (!job->make_key && ctx->key_name != NULL)
        return ctx->key_name;
    snprintf(out, size, "%s/key.pem", option_text(ctx, OPT_OUT));
    return out;
}

static int renewal(context *ctx, const X509 *certificate, time_t *when)
{
    estuary_renewal_policy *policy = NULL;
    int result = check(ctx, estuary_renewal_policy_new(&policy, ctx->err));
    if (result == EXIT_DONE)
        result = check(ctx, estuary_renewal_plan(certificate, policy, time(NULL), when, ctx->err));
    estuary_renewal_policy_free(policy);
    return result;
}

static void words(const context *ctx, const enroll_job *job, const certificate_text *text, time_t renew_at)
{
    char span[SPAN_TEXT_SIZE], renew[TIME_TEXT_SIZE], algorithm[64] = "", path[4200];
    const char *place = key_place(ctx, job, path, sizeof(path));
    say(ctx, "Certificate issued");
    say_row(ctx, "subject", "%s", text->subject);
    say_row(ctx, "issuer", "%s", text->issuer);
    say_row(ctx, "serial", "%s", text->serial);
    span_text(time(NULL), text->expires, span);
    say_row(ctx, "valid", "%s to %s (%s)", text->not_before, text->not_after, span);
    if (place == NULL) {
        say_row(ctx, "key", "where the request was signed");
    } else {
        if (estuary_key_algorithm(job->key, algorithm, sizeof(algorithm), NULL) != ESTUARY_OK)
            snprintf(algorithm, sizeof(algorithm), "key");
        say_row(ctx, "key", "%s, %s, in %s", algorithm, is_new_key(job) ? "new" : "as before", place);
    }
    const char *protection = estuary_enrollment_key_protection(job->enrollment);
    if (strcmp(protection, "tls") == 0)
        say_row(ctx, "key sent", "protected by the TLS session alone");
    else if (*protection != '\0')
        say_row(ctx, "key sent", "encrypted (%s) inside of the TLS session", protection);
    const char *binding = estuary_client_channel_binding(job->client);
    if (*binding != '\0')
        say_row(ctx, "bound", "to the TLS session (%s)", binding);
    say_row(ctx, "files", "%s/cert.pem, chain.pem, fullchain.pem", option_text(ctx, OPT_OUT));
    if (renew_at != 0) {
        time_text(renew_at, renew);
        span_text(time(NULL), renew_at, span);
        say_row(ctx, "renew", "from %s (%s)", renew, span);
    }
    say_findings(ctx, estuary_enrollment_get0_findings(job->enrollment), ctx->verbosity > 0);
}

static json_t *files_json(const context *ctx, const enroll_job *job)
{
    static const char *const names[] = {"cert", "chain", "fullchain"};
    char path[4200];
    json_t *files = json_object();
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s.pem", option_text(ctx, OPT_OUT), names[i]);
        put_text(files, names[i], path);
    }
    const char *place = key_place(ctx, job, path, sizeof(path));
    put(files, "key", place == NULL ? json_null() : json_string(place));
    return files;
}

static void as_json(context *ctx, const enroll_job *job, const certificate_text *text, time_t renew_at)
{
    char algorithm[64] = "";
    json_t *object = ctx->result;
    put_text(object, "operation", estuary_operation_name(job->operation));
    put_text(object, "server", estuary_server_url(job->server));
    put_text(object, "label", estuary_server_label(job->server));
    put_text(object, "out", option_text(ctx, OPT_OUT));
    put(object, "certificate", certificate_json(text));
    put(object, "files", files_json(ctx, job));
    if (job->key != NULL)
        (void)estuary_key_algorithm(job->key, algorithm, sizeof(algorithm), NULL);
    put_text(object, "key_algorithm", algorithm);
    put(object, "key_is_new", json_boolean(is_new_key(job)));
    if (job->operation == ESTUARY_OP_SERVERKEYGEN)
        put_text(object, "key_protection", estuary_enrollment_key_protection(job->enrollment));
    put(object, "resumed", json_boolean(job->resumed));
    put_time(object, "renew_at", renew_at);
    put(object, "findings", findings_json(estuary_enrollment_get0_findings(job->enrollment)));
    put_text(object, "tls_version", estuary_client_tls_version(job->client));
    const char *binding = estuary_client_channel_binding(job->client);
    put(object, "channel_binding", *binding == '\0' ? json_null() : json_string(binding));
    put_text(object, "tls_cipher", estuary_client_tls_cipher(job->client));
}

int job_report(context *ctx, const enroll_job *job)
{
    certificate_text text;
    time_t renew_at = 0;
    X509 *certificate = estuary_enrollment_get0_certificate(job->enrollment);
    int result = describe_certificate(ctx, certificate, &text);
    if (result != EXIT_DONE)
        return result;
    /* the certificate is in place: not knowing when to renew is no failure */
    if (renewal(ctx, certificate, &renew_at) != EXIT_DONE)
        renew_at = 0;
    words(ctx, job, &text, renew_at);
    as_json(ctx, job, &text, renew_at);
    return EXIT_DONE;
}
