#include "command.h"

#include <stdio.h>

/* A new key of the same kind, unless told otherwise. */
static int choose_key(context *ctx, enroll_job *job)
{
    int result = EXIT_DONE;
    if (option_given(ctx, OPT_SAME_KEY)) {
        if (option_given(ctx, OPT_KEY_OUT))
            TRY(fail(ctx, "usage.option", NULL, "--key-out is for a new key"));
        if (EVP_PKEY_up_ref(job->identity.key) != 1)
            TRY(fail_memory(ctx));
        job->key = job->identity.key;
        goto cleanup;
    }
    job->make_key = true;
    TRY(new_key_place(ctx, job));
    job->algorithm_given = option_given(ctx, OPT_NEW_KEY);
    if (job->algorithm_given)
        snprintf(job->algorithm, sizeof(job->algorithm), "%s", option_text(ctx, OPT_NEW_KEY));
    else
        TRY(check(
            ctx, estuary_key_algorithm(job->identity.key, job->algorithm, sizeof(job->algorithm), ctx->err)));
cleanup:
    return result;
}

static int check_options(context *ctx)
{
    static const option_id pairs[][2] = {
        {OPT_CSR, OPT_NEW_KEY}, {OPT_CSR, OPT_SAME_KEY}, {OPT_CSR, OPT_KEY_OUT}, {OPT_SAME_KEY, OPT_NEW_KEY}};
    int result = EXIT_DONE;
    TRY(option_need(ctx, OPT_OUT, ""));
    if (!option_given(ctx, OPT_CERT) || !option_given(ctx, OPT_KEY))
        TRY(fail(ctx, "usage.identity-needed", "use --cert and --key", NULL));
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        TRY(option_exclude(ctx, pairs[i][0], pairs[i][1]));
cleanup:
    return result;
}

static int prepare(context *ctx, enroll_job *job)
{
    int result = EXIT_DONE;
    TRY(check_options(ctx));
    TRY(identity_open(ctx, &job->identity));
    job->old = job->identity.certificate;
    if (option_given(ctx, OPT_CSR)) {
        TRY(read_request(ctx, option_text(ctx, OPT_CSR), &job->request));
        goto cleanup;
    }
    TRY(choose_key(ctx, job));
    TRY(check(ctx, estuary_csr_new(&job->csr, ctx->err)));
    /* RFC 7030 4.2.2: subject and subjectAltName stay as they are */
    TRY(check(ctx, estuary_csr_copy_certificate(job->csr, job->old, ctx->err)));
cleanup:
    return result;
}

int run_reenroll(context *ctx)
{
    enroll_job job = {.operation = ESTUARY_OP_SIMPLEREENROLL};
    int result = prepare(ctx, &job);
    if (result == EXIT_DONE)
        result = job_run(ctx, &job);
    job_free(&job);
    return result;
}
