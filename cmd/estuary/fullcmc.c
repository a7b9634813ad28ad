#include "command.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* In front of the PEM: RFC 5272 6.15 wants each set of anchors to be newer than the last one. */
#define SEQUENCE_LINE "CMC trust anchors, seqNumber "

int job_cmc_secret(context *ctx, enroll_job *job)
{
    int result = EXIT_DONE;
    const char *source = option_text(ctx, OPT_CMC_SECRET);
    if (job->operation != ESTUARY_OP_FULLCMC || source == NULL)
        return EXIT_DONE;
    TRY(check(ctx, estuary_secret_read(source, "CMC shared secret", &job->cmc_secret, ctx->err)));
    if (job->enrollment != NULL) /* resumed: the secret is never on disk */
        TRY(check(ctx, estuary_enrollment_set_cmc_secret(job->enrollment, option_text(ctx, OPT_CMC_IDENTITY),
                                                         job->cmc_secret, ctx->err)));
cleanup:
    return result;
}

int job_cmc_request(context *ctx, const enroll_job *job, estuary_request *request)
{
    int result = EXIT_DONE;
    const char *body = option_text(ctx, OPT_CMC_BODY);
    if (job->operation != ESTUARY_OP_FULLCMC)
        return EXIT_DONE;
    if (body != NULL && strcmp(body, "crmf") == 0)
        TRY(check(ctx, estuary_request_set_cmc_body(request, ESTUARY_CMC_BODY_CRMF, ctx->err)));
    if (job->cmc_secret != NULL)
        TRY(check(ctx, estuary_request_set_cmc_secret(request, option_text(ctx, OPT_CMC_IDENTITY),
                                                      job->cmc_secret, ctx->err)));
cleanup:
    return result;
}

static int show_published(context *ctx, const STACK_OF(X509) *published, int64_t sequence)
{
    int result = EXIT_DONE;
    json_t *list = json_array();
    say(ctx, "%s", "");
    say(ctx, "The server publishes trust anchors (seqNumber %lld):", (long long)sequence);
    for (int i = 0; i < sk_X509_num(published); i++) {
        certificate_text text;
        TRY(describe_certificate(ctx, sk_X509_value(published, i), &text));
        say(ctx, "%s", "");
        say_row(ctx, "subject", "%s", text.subject);
        say_row(ctx, "valid", "%s to %s", text.not_before, text.not_after);
        say_row(ctx, "SHA-256", "%s", text.fingerprint);
        json_t *row = certificate_json(&text);
        if (list != NULL && row != NULL)
            (void)json_array_append_new(list, row);
        else
            json_decref(row);
    }
cleanup:
    put(ctx->extra, "published_anchors", json_incref(list)); /* beside an error, too */
    put(ctx->result, "published_anchors", list);
    put(ctx->result, "published_sequence", json_integer(sequence));
    return result;
}

/* RFC 5272 6.15: "the sequence number is greater than the previously used one" */
static int check_newer(context *ctx, int64_t sequence)
{
    const char *path = option_text(ctx, OPT_OUTPUT);
    unsigned char *bytes = NULL;
    size_t len = 0, mark = strlen(SEQUENCE_LINE);
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return EXIT_DONE;
    int result = read_small_file(ctx, path, "config.invalid", &bytes, &len);
    if (result == EXIT_DONE && len > mark && memcmp(bytes, SEQUENCE_LINE, mark) == 0 &&
        strtoll((const char *)bytes + mark, NULL, 10) >= sequence)
        result = fail(ctx, "trust.cmc-sequence", NULL,
                      "the server publishes trust anchors with seqNumber %lld; those in %s are not older",
                      (long long)sequence, path);
    free(bytes);
    return result;
}

static int write_published(context *ctx, const enroll_job *job, int64_t sequence)
{
    int result = EXIT_DONE;
    char head[80];
    char *pem = NULL, *text = NULL;
    estuary_anchors *anchors = NULL;
    fingerprints all = {0};
    TRY(fingerprints_read(ctx, &all));
    TRY(check_newer(ctx, sequence));
    TRY(check(ctx, estuary_enrollment_confirm_published(job->enrollment, all.items, all.count, &anchors,
                                                        ctx->err)));
    TRY(check(ctx, estuary_anchors_to_pem(anchors, &pem, ctx->err)));
    int head_len = snprintf(head, sizeof(head), SEQUENCE_LINE "%lld\n", (long long)sequence);
    size_t size = (size_t)head_len + strlen(pem) + 1;
    text = malloc(size);
    if (text == NULL)
        TRY(fail_memory(ctx));
    snprintf(text, size, "%s%s", head, pem);
    TRY(write_output(ctx, "anchors_pem", text));
    say(ctx, "%s", "");
    say_row(ctx, "written to", "%s", option_text(ctx, OPT_OUTPUT));
cleanup:
    if (result != EXIT_DONE)
        failure_add_hint(ctx, "the certificate is in place; the trust anchors were not taken");
    fingerprints_free(&all);
    estuary_anchors_free(anchors);
    OPENSSL_free(pem);
    free(text);
    return result;
}

static int publish(context *ctx, const enroll_job *job)
{
    int result = EXIT_DONE;
    const STACK_OF(X509) *published = estuary_enrollment_get0_published_anchors(job->enrollment);
    int64_t sequence = estuary_enrollment_published_sequence(job->enrollment);
    put_text(ctx->result, "cmc_status",
             estuary_cmc_status_name(estuary_enrollment_cmc_status(job->enrollment)));
    if (published == NULL)
        return EXIT_DONE;
    TRY(show_published(ctx, published, sequence));
    if (option_given(ctx, OPT_OUTPUT))
        TRY(write_published(ctx, job, sequence));
cleanup:
    return result;
}

static int prepare(context *ctx, enroll_job *job)
{
    int result = EXIT_DONE;
    fingerprints all = {0};
    if (option_given(ctx, OPT_CMC_IDENTITY))
        TRY(option_need(ctx, OPT_CMC_SECRET, "with --cmc-identity"));
    if (option_given(ctx, OPT_FINGERPRINT))
        TRY(option_need(ctx, OPT_OUTPUT, "with --fingerprint"));
    TRY(fingerprints_read(ctx, &all)); /* a broken one is told before dialing */
    TRY(job_prepare(ctx, job));
cleanup:
    fingerprints_free(&all);
    return result;
}

int run_fullcmc(context *ctx)
{
    enroll_job job = {.operation = ESTUARY_OP_FULLCMC};
    int result = prepare(ctx, &job);
    if (result == EXIT_DONE)
        result = job_run(ctx, &job);
    if (result == EXIT_DONE)
        result = publish(ctx, &job);
    job_free(&job);
    return result;
}
