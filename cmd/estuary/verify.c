#include "command.h"

static int set_files(context *ctx, estuary_expectation *expectation, STACK_OF(X509) *others)
{
    int result = EXIT_DONE;
    EVP_PKEY *key = NULL;
    X509_REQ *request = NULL;
    STACK_OF(X509) *more = NULL;
    estuary_anchors *anchors = NULL;
    if (option_given(ctx, OPT_KEY)) {
        TRY(key_open(ctx, &key));
        TRY(check(ctx, estuary_expectation_set_key(expectation, key, ctx->err)));
    }
    if (option_given(ctx, OPT_CSR)) {
        TRY(read_request(ctx, option_text(ctx, OPT_CSR), &request));
        TRY(check(ctx, estuary_expectation_set_request(expectation, request, ctx->err)));
    }
    if (option_given(ctx, OPT_CHAIN)) {
        TRY(read_certificates(ctx, option_text(ctx, OPT_CHAIN), &more));
        while (sk_X509_num(more) > 0 && sk_X509_push(others, sk_X509_value(more, 0)) > 0)
            (void)sk_X509_shift(more);
        if (sk_X509_num(more) > 0)
            TRY(fail_memory(ctx));
    }
    if (option_given(ctx, OPT_TRUST)) {
        TRY(anchors_open(ctx, &anchors));
        TRY(check(ctx, estuary_expectation_set_anchors(expectation, anchors, others, ctx->err)));
    }
cleanup:
    EVP_PKEY_free(key);
    X509_REQ_free(request);
    sk_X509_pop_free(more, X509_free);
    estuary_anchors_free(anchors);
    return result;
}

static int set_time_and_host(context *ctx, estuary_expectation *expectation)
{
    time_t at = 0;
    if (option_given(ctx, OPT_AT)) {
        if (!time_parse(option_text(ctx, OPT_AT), &at))
            return fail(ctx, "usage.time", "2026-01-31T12:00:00Z", "--at wants a time in RFC 3339 form");
        estuary_expectation_set_time(expectation, at);
    }
    if (!option_given(ctx, OPT_HOST))
        return EXIT_DONE;
    return check(ctx, estuary_expectation_set_host(expectation, option_text(ctx, OPT_HOST), ctx->err));
}

static int judge(context *ctx, const estuary_findings *findings)
{
    if (estuary_findings_acceptable(findings)) {
        say(ctx, "acceptable");
        put(ctx->result, "acceptable", json_true());
        return EXIT_DONE;
    }
    int result = check(ctx, estuary_findings_to_error(findings, ctx->err));
    if (result == EXIT_DONE)
        result = fail(ctx, "cert.failed", NULL, "not everything that was asked for could be checked");
    return result;
}

int run_verify(context *ctx)
{
    int result = EXIT_DONE;
    certificate_text text;
    STACK_OF(X509) *certificates = NULL;
    X509 *leaf = NULL;
    estuary_expectation *expectation = NULL;
    estuary_findings *findings = NULL;
    TRY(check(ctx, estuary_expectation_new(&expectation, ctx->err)));
    TRY(set_time_and_host(ctx, expectation));
    TRY(read_certificates(ctx, ctx->positional, &certificates));
    leaf = sk_X509_shift(certificates);
    if (leaf == NULL)
        TRY(fail(ctx, "config.certificate-file", NULL, "%s holds no certificate", ctx->positional));
    TRY(set_files(ctx, expectation, certificates));
    TRY(describe_certificate(ctx, leaf, &text));
    TRY(check(ctx, estuary_cert_check(leaf, expectation, &findings, ctx->err)));
    say(ctx, "Certificate %s", text.subject);
    say_findings(ctx, findings, true);
    put(ctx->result, "certificate", certificate_json(&text));
    put(ctx->result, "findings", findings_json(findings));
    put(ctx->extra, "certificate", certificate_json(&text));
    put(ctx->extra, "findings", findings_json(findings));
    TRY(judge(ctx, findings));
cleanup:
    estuary_findings_free(findings);
    estuary_expectation_free(expectation);
    X509_free(leaf);
    sk_X509_pop_free(certificates, X509_free);
    return result;
}
