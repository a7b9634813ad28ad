#include "command.h"

#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#define DAY INT64_C(86400)

static int set_policy(context *ctx, estuary_revocation *checker)
{
    const char *policy = option_text(ctx, OPT_POLICY), *method = option_text(ctx, OPT_METHOD);
    int result = EXIT_DONE;
    unsigned methods = ESTUARY_REVOCATION_BY_OCSP | ESTUARY_REVOCATION_BY_CRL;
    if (policy != NULL && strcmp(policy, "hard") == 0)
        TRY(check(ctx, estuary_revocation_set_policy(checker, ESTUARY_REVOCATION_HARD, ctx->err)));
    if (method != NULL && strcmp(method, "both") != 0)
        methods = strcmp(method, "ocsp") == 0 ? ESTUARY_REVOCATION_BY_OCSP : ESTUARY_REVOCATION_BY_CRL;
    TRY(check(ctx, estuary_revocation_set_methods(checker, methods, false, ctx->err)));
    if (option_given(ctx, OPT_OFFLINE))
        TRY(check(ctx, estuary_revocation_set_offline(checker, true, ctx->err)));
cleanup:
    return result;
}

static int set_times(context *ctx, estuary_revocation *checker)
{
    int result = EXIT_DONE;
    long days = 0;
    time_t at = 0;
    TRY(option_number(ctx, OPT_MAX_AGE, 1, 3650, &days));
    if (days > 0)
        TRY(check(ctx, estuary_revocation_set_limit(checker, ESTUARY_REVOCATION_MAX_AGE_SECONDS, days * DAY,
                                                    ctx->err)));
    if (!option_given(ctx, OPT_AT))
        goto cleanup;
    if (!time_parse(option_text(ctx, OPT_AT), &at))
        TRY(fail(ctx, "usage.time", "2026-01-31T12:00:00Z", "--at wants a time in RFC 3339 form"));
    TRY(check(ctx, estuary_revocation_set_time(checker, at, ctx->err)));
cleanup:
    return result;
}

/* DER, or PEM around it. */
static int add_response(context *ctx, estuary_revocation *checker)
{
    int result = EXIT_DONE;
    unsigned char *bytes = NULL, *inner = NULL;
    char *name = NULL, *header = NULL;
    BIO *bio = NULL;
    size_t len = 0;
    long inner_len = 0;
    const char *path = option_text(ctx, OPT_OCSP_RESPONSE);
    if (path == NULL)
        return EXIT_DONE;
    TRY(read_small_file(ctx, path, "ocsp.malformed", &bytes, &len));
    if (len > 10 && memcmp(bytes, "-----BEGIN", 10) == 0) {
        bio = BIO_new_mem_buf(bytes, (int)len);
        if (bio == NULL || PEM_read_bio(bio, &name, &header, &inner, &inner_len) != 1 || inner_len <= 0)
            TRY(fail(ctx, "ocsp.malformed", NULL, "%s is no PEM file with an OCSP response", path));
        TRY(check(ctx, estuary_revocation_add_ocsp_response(checker, inner, (size_t)inner_len, ctx->err)));
    } else {
        TRY(check(ctx, estuary_revocation_add_ocsp_response(checker, bytes, len, ctx->err)));
    }
cleanup:
    BIO_free(bio);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(inner);
    free(bytes);
    return result;
}

static int add_evidence(context *ctx, estuary_revocation *checker)
{
    int result = EXIT_DONE;
    STACK_OF(X509) *others = NULL;
    const option_value *crls = &ctx->options[OPT_CRL];
    for (size_t i = 0; i < crls->count; i++)
        TRY(check(ctx, estuary_revocation_add_crl(checker, crls->items[i], ctx->err)));
    TRY(add_response(ctx, checker));
    if (option_given(ctx, OPT_CHAIN)) {
        TRY(read_certificates(ctx, option_text(ctx, OPT_CHAIN), &others));
        TRY(check(ctx, estuary_revocation_add_certs(checker, others, ctx->err)));
    }
cleanup:
    sk_X509_pop_free(others, X509_free);
    return result;
}

static int set_proxy(context *ctx)
{
    int result = EXIT_DONE;
    estuary_secret *password = NULL;
    if (option_given(ctx, OPT_PROXY_PASSWORD))
        TRY(check(ctx, estuary_secret_read(option_text(ctx, OPT_PROXY_PASSWORD), "Password for the proxy",
                                           &password, ctx->err)));
    TRY(checker_proxy(ctx, password));
cleanup:
    estuary_secret_free(password);
    return result;
}

/* --- what was found --- */

static void put_instant(json_t *to, const char *name, time_t at)
{
    if (at == 0)
        put(to, name, json_null());
    else
        put_time(to, name, at);
}

static void put_verdict(json_t *to, const certificate_text *text, const estuary_verdict *verdict)
{
    const char *reason = estuary_verdict_reason(verdict);
    put(to, "certificate", certificate_json(text));
    put_text(to, "status", estuary_revocation_status_name(estuary_verdict_status(verdict)));
    put_text(to, "source", estuary_revocation_source_name(estuary_verdict_source(verdict)));
    put_text(to, "evidence", estuary_revocation_source_name(estuary_verdict_evidence(verdict)));
    put_text(to, "origin", estuary_verdict_origin(verdict));
    put_text(to, "reason", reason[0] != '\0' ? reason : estuary_verdict_why(verdict));
    put_text(to, "code", estuary_verdict_code(verdict));
    put_instant(to, "revoked_at", estuary_verdict_revoked_at(verdict));
    put_instant(to, "this_update", estuary_verdict_this_update(verdict));
    put_instant(to, "next_update", estuary_verdict_next_update(verdict));
}

static void say_instant(const context *ctx, const char *name, time_t at)
{
    char when[TIME_TEXT_SIZE];
    if (at == 0)
        return;
    time_text(at, when);
    say_row(ctx, name, "%s", when);
}

static void say_verdict(const context *ctx, const certificate_text *text, const estuary_verdict *verdict)
{
    const char *reason = estuary_verdict_reason(verdict);
    say(ctx, "%s: %s", text->subject, estuary_revocation_status_name(estuary_verdict_status(verdict)));
    if (estuary_verdict_why(verdict)[0] != '\0')
        say_row(ctx, "why", "%s", estuary_verdict_why(verdict));
    say_instant(ctx, "revoked", estuary_verdict_revoked_at(verdict));
    if (reason[0] != '\0')
        say_row(ctx, "reason", "%s", reason);
    if (estuary_verdict_source(verdict) != ESTUARY_REVOCATION_NO_SOURCE)
        say_row(ctx, "source", "%s%s%s%s", estuary_revocation_source_name(estuary_verdict_evidence(verdict)),
                estuary_verdict_source(verdict) == ESTUARY_REVOCATION_CACHE ? ", from the cache" : "",
                estuary_verdict_origin(verdict)[0] == '\0' ? "" : ", ", estuary_verdict_origin(verdict));
    say_instant(ctx, "thisUpdate", estuary_verdict_this_update(verdict));
    say_instant(ctx, "nextUpdate", estuary_verdict_next_update(verdict));
}

static int first_certificate(context *ctx, const char *path, X509 **out)
{
    STACK_OF(X509) *all = NULL;
    int result = read_certificates(ctx, path, &all);
    *out = result == EXIT_DONE ? sk_X509_shift(all) : NULL;
    sk_X509_pop_free(all, X509_free);
    if (result == EXIT_DONE && *out == NULL)
        result = fail(ctx, "config.certificate-file", NULL, "%s holds no certificate", path);
    return result;
}

int run_revocation(context *ctx)
{
    int result = EXIT_DONE;
    X509 *certificate = NULL, *issuer = NULL;
    certificate_text text;
    estuary_verdict *verdict = NULL;
    TRY(option_need(ctx, OPT_ISSUER, "the certificate's issuer tells who may speak about it"));
    TRY(checker_open(ctx, &ctx->checker));
    TRY(set_policy(ctx, ctx->checker));
    TRY(set_times(ctx, ctx->checker));
    TRY(first_certificate(ctx, ctx->positional, &certificate));
    TRY(first_certificate(ctx, option_text(ctx, OPT_ISSUER), &issuer));
    TRY(add_evidence(ctx, ctx->checker));
    TRY(set_proxy(ctx));
    TRY(describe_certificate(ctx, certificate, &text));
    signals_may_exit(true);
    TRY(check(ctx, estuary_revocation_check(ctx->checker, certificate, issuer, &verdict, ctx->err)));
    signals_may_exit(false);
    say_verdict(ctx, &text, verdict);
    put_verdict(ctx->result, &text, verdict);
    put_verdict(ctx->extra, &text, verdict);
    TRY(check(ctx, estuary_revocation_decide(ctx->checker, verdict, ctx->err)));
cleanup:
    signals_may_exit(false);
    estuary_verdict_free(verdict);
    X509_free(certificate);
    X509_free(issuer);
    return result;
}
