#include "command.h"

#include <stdio.h>

/*
 * Which key is certified. With --cert, --key is the TLS identity's, and the one to certify too unless
 * --new-key or --csr says otherwise; without --cert it is the one to certify.
 */
static int choose_key(context *ctx, enroll_job *job)
{
    int result = EXIT_DONE;
    bool has_identity = job->identity.key != NULL;
    if (!has_identity)
        TRY(option_exclude(ctx, OPT_NEW_KEY, OPT_KEY));
    if (option_given(ctx, OPT_KEY) && !option_given(ctx, OPT_NEW_KEY)) {
        if (has_identity && EVP_PKEY_up_ref(job->identity.key) == 1)
            job->key = job->identity.key;
        else
            TRY(key_open(ctx, &job->key));
        goto cleanup;
    }
    job->make_key = true;
    job->algorithm_given = option_given(ctx, OPT_NEW_KEY);
    snprintf(job->algorithm, sizeof(job->algorithm), "%s",
             job->algorithm_given ? option_text(ctx, OPT_NEW_KEY) : "ec:P-256");
    TRY(new_key_place(ctx, job));
cleanup:
    if (result == EXIT_DONE && !job->make_key && option_given(ctx, OPT_KEY_OUT))
        result = fail(ctx, "usage.option", NULL, "--key-out is for a new key");
    return result;
}

static int use_request(context *ctx, enroll_job *job)
{
    static const option_id building[] = {OPT_SUBJECT,   OPT_SAN,     OPT_KEY_USAGE, OPT_EKU,
                                         OPT_EXTENSION, OPT_NEW_KEY, OPT_KEY_OUT,   OPT_CSRATTRS};
    int result = EXIT_DONE;
    for (size_t i = 0; i < sizeof(building) / sizeof(building[0]); i++)
        TRY(option_exclude(ctx, OPT_CSR, building[i]));
    if (!option_given(ctx, OPT_CERT))
        TRY(option_exclude(ctx, OPT_CSR, OPT_KEY));
    if (option_given(ctx, OPT_CSR))
        TRY(read_request(ctx, option_text(ctx, OPT_CSR), &job->request));
cleanup:
    return result;
}

int job_prepare(context *ctx, enroll_job *job)
{
    int result = EXIT_DONE;
    TRY(option_need(ctx, OPT_OUT, ""));
    TRY(use_request(ctx, job));
    /* with --csrattrs a template may give all of the names (RFC 9908 3.4) */
    if (job->request == NULL && !request_names_given(ctx) && !option_given(ctx, OPT_CSRATTRS))
        TRY(fail(ctx, "usage.option", NULL, "--subject, --san or --csr is needed"));
    TRY(identity_open(ctx, &job->identity));
    if (job->request != NULL)
        goto cleanup;
    TRY(choose_key(ctx, job));
    TRY(check(ctx, estuary_csr_new(&job->csr, ctx->err)));
    TRY(request_names(ctx, job->csr));
cleanup:
    return result;
}

int run_enroll(context *ctx)
{
    enroll_job job = {.operation = ESTUARY_OP_SIMPLEENROLL};
    int result = job_prepare(ctx, &job);
    if (result == EXIT_DONE)
        result = job_run(ctx, &job);
    job_free(&job);
    return result;
}
