#include "command.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "dns:device.example" */
static int add_san(context *ctx, estuary_csr *csr, const char *text)
{
    char name[16] = "";
    size_t len = strcspn(text, ":");
    estuary_san_type type = 0;
    if (text[len] == ':' && len < sizeof(name)) {
        memcpy(name, text, len);
        type = estuary_san_type_from_name(name);
    }
    if (type == 0)
        return fail(ctx, "usage.san", "TYPE is dns, ip, email, uri, upn, dirname, othername or rid",
                    "--san wants TYPE:VALUE, not \"%s\"", text);
    return check(ctx, estuary_csr_add_san(csr, type, text + len + 1, ctx->err));
}

/* "OID[:critical]:HEX" */
static int add_extension(context *ctx, estuary_csr *csr, const char *text)
{
    static const char mark[] = ":critical:";
    char oid[128] = "";
    long len = 0;
    size_t oid_len = strcspn(text, ":");
    bool critical = strncmp(text + oid_len, mark, strlen(mark)) == 0;
    const char *hex = text + oid_len + (critical ? strlen(mark) : 1);
    if (text[oid_len] != ':' || oid_len == 0 || oid_len >= sizeof(oid))
        return fail(ctx, "usage.extension", NULL, "--extension wants OID[:critical]:HEX");
    memcpy(oid, text, oid_len);
    unsigned char *der = OPENSSL_hexstr2buf(hex, &len);
    if (der == NULL)
        return fail(ctx, "usage.extension", NULL, "--extension wants the value as hexadecimal digits");
    int result = check(ctx, estuary_csr_add_extension(csr, oid, critical, der, (size_t)len, ctx->err));
    OPENSSL_free(der);
    return result;
}

int request_names(context *ctx, estuary_csr *csr)
{
    int result = EXIT_DONE;
    const option_value *san = &ctx->options[OPT_SAN], *eku = &ctx->options[OPT_EKU],
                       *extension = &ctx->options[OPT_EXTENSION];
    if (option_given(ctx, OPT_SUBJECT))
        TRY(check(ctx, estuary_csr_set_subject(csr, option_text(ctx, OPT_SUBJECT), ctx->err)));
    for (size_t i = 0; i < san->count; i++)
        TRY(add_san(ctx, csr, san->items[i]));
    if (option_given(ctx, OPT_KEY_USAGE))
        TRY(check(ctx, estuary_csr_set_key_usage(csr, option_text(ctx, OPT_KEY_USAGE), ctx->err)));
    for (size_t i = 0; i < eku->count; i++)
        TRY(check(ctx, estuary_csr_add_eku(csr, eku->items[i], ctx->err)));
    for (size_t i = 0; i < extension->count; i++)
        TRY(add_extension(ctx, csr, extension->items[i]));
cleanup:
    return result;
}

bool request_names_given(const context *ctx)
{
    return option_given(ctx, OPT_SUBJECT) || option_given(ctx, OPT_SAN);
}

char *request_to_pem(const X509_REQ *request)
{
    char *text = NULL, *copy = NULL;
    BIO *out = BIO_new(BIO_s_mem());
    if (out != NULL && PEM_write_bio_X509_REQ(out, request) == 1) {
        long len = BIO_get_mem_data(out, &text);
        if (len > 0)
            copy = OPENSSL_strndup(text, (size_t)len);
    }
    BIO_free(out);
    return copy;
}

static const char *flaw_code(estuary_csr_flaw flaw)
{
    switch (flaw) {
    case ESTUARY_CSR_FLAW_SIGNATURE:
        return "csr.signature";
    case ESTUARY_CSR_FLAW_WEAK_KEY:
        return "csr.weak-key";
    case ESTUARY_CSR_FLAW_WEAK_DIGEST:
        return "csr.weak-digest";
    case ESTUARY_CSR_FLAW_NO_NAME:
        return "csr.no-name";
    case ESTUARY_CSR_FLAW_BAD_EXTENSION:
    case ESTUARY_CSR_FLAW_NONE:
        break;
    }
    return "csr.extension";
}

static void append_text(json_t *list, const char *text)
{
    char clean[1024];
    clean_text(text, clean, sizeof(clean));
    if (list != NULL)
        (void)json_array_append_new(list, json_string(clean));
}

/* Also beside the error: a flawed request is reported in full. */
static json_t *report_json(const estuary_csr_report *report)
{
    json_t *object = json_object(), *names = json_array(), *extensions = json_array(), *flaws = json_array();
    const char *text, *sentence = NULL;
    put_text(object, "subject", estuary_csr_report_subject(report));
    put_text(object, "key", estuary_csr_report_key(report));
    put(object, "key_bits", json_integer(estuary_csr_report_key_bits(report)));
    put_text(object, "signature", estuary_csr_report_signature(report));
    put(object, "challenge_password", json_boolean(estuary_csr_report_has_challenge(report)));
    for (size_t i = 0; (text = estuary_csr_report_san(report, i)) != NULL; i++)
        append_text(names, text);
    for (size_t i = 0; (text = estuary_csr_report_extension(report, i)) != NULL; i++)
        append_text(extensions, text);
    for (size_t i = 0; estuary_csr_report_flaw(report, i, &sentence) != ESTUARY_CSR_FLAW_NONE; i++)
        append_text(flaws, sentence);
    put(object, "san", names);
    put(object, "extensions", extensions);
    put(object, "flaws", flaws);
    return object;
}

static void say_report(const context *ctx, const estuary_csr_report *report)
{
    const char *text, *sentence = NULL;
    say(ctx, "Certificate request");
    say_row(ctx, "subject", "%s", estuary_csr_report_subject(report));
    for (size_t i = 0; (text = estuary_csr_report_san(report, i)) != NULL; i++)
        say_row(ctx, i == 0 ? "names" : "", "%s", text);
    say_row(ctx, "key", "%s, %d bits", estuary_csr_report_key(report), estuary_csr_report_key_bits(report));
    say_row(ctx, "signature", "%s", estuary_csr_report_signature(report));
    for (size_t i = 0; (text = estuary_csr_report_extension(report, i)) != NULL; i++)
        say_row(ctx, i == 0 ? "extensions" : "", "%s", text);
    if (estuary_csr_report_has_challenge(report))
        say_row(ctx, "note", "it holds a challengePassword");
    size_t n = 0;
    while (estuary_csr_report_flaw(report, n, &sentence) != ESTUARY_CSR_FLAW_NONE) {
        say_row(ctx, "FAIL", "%s", sentence);
        n++;
    }
    if (n == 0)
        say_row(ctx, "ok", "its signature verifies, no weakness was found");
}

int request_report(context *ctx, const X509_REQ *request)
{
    estuary_csr_report *report = NULL;
    const char *sentence = NULL;
    int result = check(ctx, estuary_csr_inspect(request, &report, ctx->err));
    if (result != EXIT_DONE)
        return result;
    say_report(ctx, report);
    put(ctx->result, "request", report_json(report));
    put(ctx->extra, "request", report_json(report));
    estuary_csr_flaw flaw = estuary_csr_report_flaw(report, 0, &sentence);
    if (flaw != ESTUARY_CSR_FLAW_NONE)
        result = fail(ctx, flaw_code(flaw), NULL, "%s", sentence);
    estuary_csr_report_free(report);
    return result;
}
