/* A certificate against the request it answers (E8). */
#include "cert/findings.h"
#include "wire/wire.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#define NAME_SIZE 256
#define TEXT_MAX  400 /* of a list of names in one sentence */

estuary_status est_check_subject(X509 *certificate, const estuary_expectation *expectation,
                                 estuary_findings *findings, estuary_error *err)
{
    char got[NAME_SIZE], wanted[NAME_SIZE];
    est_subject_text(certificate, got, sizeof(got));
    if (expectation->request == NULL)
        return est_findings_add(findings, EST_NOT_ASKED, "subject", EST_OK_CODE,
                                est_printf("not compared: there is no request; the subject is \"%s\"", got),
                                err);
    X509_NAME *name = X509_REQ_get_subject_name(expectation->request);
    est_name_text(name, wanted, sizeof(wanted));
    if (X509_NAME_cmp(name, X509_get_subject_name(certificate)) != 0)
        return est_findings_add(
            findings, EST_FAILED, "subject", EST_CERT_SUBJECT_DIFFERS,
            est_printf("the certificate's subject is \"%s\", the requested one was \"%s\"", got, wanted),
            err);
    return est_findings_add(findings, EST_PASS, "subject", EST_OK_CODE,
                            est_printf("the subject is the requested one, \"%s\"", got), err);
}

static bool same_text(const ASN1_STRING *a, const ASN1_STRING *b)
{
    int len = ASN1_STRING_length(a);
    if (len != ASN1_STRING_length(b))
        return false;
    const unsigned char *x = ASN1_STRING_get0_data(a), *y = ASN1_STRING_get0_data(b);
    for (int i = 0; i < len; i++) {
        unsigned char cx = x[i] >= 'A' && x[i] <= 'Z' ? (unsigned char)(x[i] + 32) : x[i];
        unsigned char cy = y[i] >= 'A' && y[i] <= 'Z' ? (unsigned char)(y[i] + 32) : y[i];
        if (cx != cy)
            return false;
    }
    return true;
}

/* Host names have no case (RFC 5280 7.2), so a CA may write them in its own. */
static bool same_name(GENERAL_NAME *a, GENERAL_NAME *b)
{
    if (a->type == GEN_DNS && b->type == GEN_DNS)
        return same_text(a->d.dNSName, b->d.dNSName);
    return GENERAL_NAME_cmp(a, b) == 0;
}

static bool contains(const GENERAL_NAMES *names, GENERAL_NAME *wanted)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        if (same_name(sk_GENERAL_NAME_value(names, i), wanted))
            return true;
    }
    return false;
}

/* Many CAs copy the requested CN to subjectAltName: the same name again, not another one. */
static bool is_common_name(const X509_REQ *request, const GENERAL_NAME *name)
{
    X509_NAME *subject = X509_REQ_get_subject_name(request);
    if (name->type != GEN_DNS && name->type != GEN_EMAIL)
        return false;
    for (int i = X509_NAME_get_index_by_NID(subject, NID_commonName, -1); i >= 0;
         i = X509_NAME_get_index_by_NID(subject, NID_commonName, i)) {
        if (same_text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i)), name->d.ia5))
            return true;
    }
    return false;
}

/* false when memory is short; what does not fit any more is left out with "…". */
static bool list_name(est_buf *list, const GENERAL_NAME *name)
{
    char clean[NAME_SIZE];
    char *text = est_general_name_text(name);
    if (text == NULL)
        return false;
    est_text_sanitise(text, strlen(text), clean, sizeof(clean));
    est_free(text);
    if (list->len > TEXT_MAX)
        return true;
    if (list->len + strlen(clean) > TEXT_MAX)
        memcpy(clean, "...", 4);
    return (list->len == 0 || est_buf_append(list, ", ", 2) == EST_APPEND_OK) &&
           est_buf_append(list, clean, strlen(clean)) == EST_APPEND_OK;
}

typedef struct san_difference {
    est_buf missing, extra, from_cn;
} san_difference;

static bool compare_san(const X509_REQ *request, const GENERAL_NAMES *wanted, const GENERAL_NAMES *got,
                        san_difference *out)
{
    bool ok = true;
    for (int i = 0; ok && i < sk_GENERAL_NAME_num(wanted); i++) {
        GENERAL_NAME *name = sk_GENERAL_NAME_value(wanted, i);
        if (!contains(got, name))
            ok = list_name(&out->missing, name);
    }
    for (int i = 0; ok && i < sk_GENERAL_NAME_num(got); i++) {
        GENERAL_NAME *name = sk_GENERAL_NAME_value(got, i);
        if (!contains(wanted, name))
            ok = list_name(is_common_name(request, name) ? &out->from_cn : &out->extra, name);
    }
    return ok;
}

static estuary_status report_san(const san_difference *difference, estuary_findings *findings,
                                 estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    const char *missing = (const char *)difference->missing.data;
    const char *extra = (const char *)difference->extra.data;
    const char *from_cn = (const char *)difference->from_cn.data;
    if (missing != NULL)
        EST_TRY(est_findings_add(findings, EST_FAILED, "san", EST_CERT_SAN_MISSING,
                                 est_printf("the certificate lacks the requested subjectAltName %s", missing),
                                 err));
    if (extra != NULL)
        EST_TRY(est_findings_add(
            findings, EST_FAILED, "san", EST_CERT_SAN_EXTRA,
            est_printf("the certificate has the subjectAltName %s, which was not requested", extra), err));
    if (from_cn != NULL)
        EST_TRY(est_findings_add(findings, EST_NOTE, "san", EST_OK_CODE,
                                 est_printf("the CA added the requested CN to subjectAltName: %s", from_cn),
                                 err));
    if (missing == NULL && extra == NULL && from_cn == NULL)
        EST_TRY(est_findings_add(findings, EST_PASS, "san", EST_OK_CODE,
                                 est_strdup("the subjectAltName is the requested one"), err));
cleanup:
    return status;
}

estuary_status est_check_san(X509 *certificate, const estuary_expectation *expectation,
                             estuary_findings *findings, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    GENERAL_NAMES *wanted = NULL, *got = NULL;
    san_difference difference = {.missing = {.max = 1024}, .extra = {.max = 1024}, .from_cn = {.max = 1024}};
    if (expectation->request == NULL)
        return est_findings_add(findings, EST_NOT_ASKED, "san", EST_OK_CODE,
                                est_strdup("not compared: there is no request"), err);
    if (!est_request_san(expectation->request, &wanted))
        EST_TRY(est_findings_add(findings, EST_NOT_SEEN, "san", EST_OK_CODE,
                                 est_strdup("not compared: the request's subjectAltName cannot be read"),
                                 err));
    else if (!est_certificate_san(certificate, &got))
        EST_TRY(est_findings_add(findings, EST_FAILED, "san", EST_CERT_MALFORMED,
                                 est_strdup("the certificate's subjectAltName cannot be parsed"), err));
    else if (!compare_san(expectation->request, wanted, got, &difference))
        EST_TRY(est_fail_memory(err));
    else
        EST_TRY(report_san(&difference, findings, err));
cleanup:
    est_buf_free(&difference.missing);
    est_buf_free(&difference.extra);
    est_buf_free(&difference.from_cn);
    GENERAL_NAMES_free(wanted);
    GENERAL_NAMES_free(got);
    return status;
}

static bool asks_for_extensions(const X509_REQ *request)
{
    return X509_REQ_get_attr_by_NID(request, NID_ext_req, -1) >= 0 ||
           X509_REQ_get_attr_by_NID(request, NID_ms_ext_req, -1) >= 0;
}

/* false when it cannot be told; *out NULL when the request does not have the extension. */
static bool request_extension(const X509_REQ *request, int nid, void **out)
{
    int critical = 0;
    *out = NULL;
    if (!asks_for_extensions(request))
        return true;
    ERR_set_mark();
    STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions((X509_REQ *)request);
    *out = X509V3_get_d2i(extensions, nid, &critical, NULL);
    bool known = extensions != NULL && (*out != NULL || critical == -1);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    ERR_pop_to_mark();
    return known;
}

bool est_request_wants_ca(const X509_REQ *request)
{
    void *value = NULL;
    if (request == NULL || !request_extension(request, NID_basic_constraints, &value))
        return false;
    BASIC_CONSTRAINTS *constraints = value;
    bool wants = constraints != NULL && constraints->ca != 0;
    BASIC_CONSTRAINTS_free(constraints);
    return wants;
}

static estuary_status report_missing(const ASN1_OBJECT *purpose, const char *oid, estuary_findings *findings,
                                     estuary_error *err)
{
    char name[128] = "";
    if (OBJ_obj2txt(name, sizeof(name), purpose, 0) <= 0)
        return est_fail_openssl(err, EST_CRYPTO, NULL);
    return est_findings_add(
        findings, EST_FAILED, "purpose", EST_CERT_EKU,
        est_printf("the certificate lacks the requested extended key usage %s (%s)", name, oid), err);
}

estuary_status est_check_requested_purposes(X509 *certificate, const estuary_expectation *expectation,
                                            estuary_findings *findings, bool *missing, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    void *value = NULL;
    EXTENDED_KEY_USAGE *wanted = NULL;
    *missing = false;
    if (expectation->request == NULL)
        return ESTUARY_OK;
    if (!request_extension(expectation->request, NID_ext_key_usage, &value)) {
        *missing = true;
        return est_findings_add(findings, EST_NOT_SEEN, "purpose", EST_OK_CODE,
                                est_strdup("not compared: the request's extKeyUsage cannot be read"), err);
    }
    wanted = value;
    for (int i = 0; !*missing && i < sk_ASN1_OBJECT_num(wanted); i++) {
        char oid[128] = "";
        const ASN1_OBJECT *purpose = sk_ASN1_OBJECT_value(wanted, i);
        if (OBJ_obj2txt(oid, sizeof(oid), purpose, 1) <= 0)
            EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
        if (est_certificate_allows(certificate, oid))
            continue;
        *missing = true;
        EST_TRY(report_missing(purpose, oid, findings, err));
    }
cleanup:
    EXTENDED_KEY_USAGE_free(wanted);
    return status;
}
