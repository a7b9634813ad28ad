#include "command.h"

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int name_text(context *ctx, const X509_NAME *name, char *out, size_t size)
{
    char *text = NULL;
    int result = check(ctx, estuary_name_format(name, &text, ctx->err));
    if (result == EXIT_DONE)
        clean_text(*text == '\0' ? "(empty)" : text, out, size);
    OPENSSL_free(text);
    return result;
}

static bool serial_text(const X509 *certificate, char *out, size_t size)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    char *hex = number == NULL ? NULL : BN_bn2hex(number);
    if (hex != NULL)
        snprintf(out, size, "%s", hex);
    bool done = hex != NULL;
    OPENSSL_free(hex);
    BN_free(number);
    return done;
}

static time_t asn1_time(const ASN1_TIME *at)
{
    struct tm parts;
    return at != NULL && ASN1_TIME_to_tm(at, &parts) == 1 ? timegm(&parts) : 0;
}

int describe_certificate(context *ctx, const X509 *certificate, certificate_text *out)
{
    int result = EXIT_DONE;
    uint8_t digest[ESTUARY_FINGERPRINT_SIZE];
    *out = (certificate_text){0};
    TRY(name_text(ctx, X509_get_subject_name(certificate), out->subject, sizeof(out->subject)));
    TRY(name_text(ctx, X509_get_issuer_name(certificate), out->issuer, sizeof(out->issuer)));
    if (!serial_text(certificate, out->serial, sizeof(out->serial)))
        TRY(fail_memory(ctx));
    TRY(check(ctx, estuary_fingerprint(certificate, digest, ctx->err)));
    estuary_fingerprint_format(digest, out->fingerprint);
    time_text(asn1_time(X509_get0_notBefore(certificate)), out->not_before);
    out->expires = asn1_time(X509_get0_notAfter(certificate));
    time_text(out->expires, out->not_after);
cleanup:
    return result;
}

json_t *certificate_json(const certificate_text *text)
{
    json_t *object = json_object();
    put_text(object, "subject", text->subject);
    put_text(object, "issuer", text->issuer);
    put_text(object, "serial", text->serial);
    put_text(object, "not_before", text->not_before);
    put_text(object, "not_after", text->not_after);
    put_text(object, "fingerprint", text->fingerprint);
    return object;
}

static const char *state_word(estuary_finding_state state)
{
    switch (state) {
    case ESTUARY_FINDING_PASS:
        return "ok";
    case ESTUARY_FINDING_NOTE:
        return "note";
    case ESTUARY_FINDING_FAIL:
        return "FAIL";
    case ESTUARY_FINDING_UNKNOWN:
        break;
    }
    return "unknown";
}

void say_findings(const context *ctx, const estuary_findings *findings, bool all)
{
    for (size_t i = 0; i < estuary_findings_count(findings); i++) {
        const char *what = "", *sentence = "";
        estuary_finding_state state = estuary_findings_at(findings, i, &what, NULL, &sentence);
        /* in short: what is worth a thought; what nobody asked for is not */
        bool unasked = state == ESTUARY_FINDING_UNKNOWN && strcmp(what, "revocation") != 0;
        if (!all && (state == ESTUARY_FINDING_PASS || unasked))
            continue;
        if (all)
            say_row(ctx, state_word(state), "%-10s  %s", what, sentence);
        else
            say_row(ctx, state == ESTUARY_FINDING_FAIL ? "FAIL" : "note", "%s: %s", what, sentence);
    }
}

json_t *findings_json(const estuary_findings *findings)
{
    static const char *const states[] = {
        [ESTUARY_FINDING_UNKNOWN] = "unknown",
        [ESTUARY_FINDING_PASS] = "pass",
        [ESTUARY_FINDING_NOTE] = "note",
        [ESTUARY_FINDING_FAIL] = "fail",
    };
    json_t *list = json_array();
    for (size_t i = 0; i < estuary_findings_count(findings); i++) {
        const char *what = "", *code = "", *sentence = "";
        estuary_finding_state state = estuary_findings_at(findings, i, &what, &code, &sentence);
        json_t *row = json_object();
        put_text(row, "check", what);
        put_text(row, "state", states[state]);
        put_text(row, "code", code);
        put_text(row, "sentence", sentence);
        if (list != NULL && row != NULL)
            (void)json_array_append_new(list, row);
        else
            json_decref(row);
    }
    return list;
}
