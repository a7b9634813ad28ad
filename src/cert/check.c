/* What estuary_cert_check() looks at, one function per check (E8). Findings first, policy second. */
#include "cert/findings.h"
#include "wire/wire.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#define TEXT_SIZE        768
#define SERIAL_MAX_BYTES 20 /* RFC 5280 4.1.2.2 */

typedef estuary_status check_fn(X509 *certificate, const estuary_expectation *expectation,
                                estuary_findings *findings, estuary_error *err);

static check_fn check_key, check_validity, check_ca, check_strength, check_purpose, check_host, check_chain,
    check_revocation;

/* A request names a key, too; set_key() wins where the server made the key (RFC 7030 4.4). */
static EVP_PKEY *expected_key(const estuary_expectation *expectation)
{
    if (expectation->key != NULL || expectation->request == NULL)
        return expectation->key;
    return X509_REQ_get0_pubkey((X509_REQ *)expectation->request);
}

static estuary_status check_key(X509 *certificate, const estuary_expectation *expectation,
                                estuary_findings *findings, estuary_error *err)
{
    if (expectation->key == NULL && expectation->request == NULL)
        return est_findings_add(findings, EST_NOT_ASKED, "key", EST_OK_CODE,
                                est_strdup("not compared: no key was given"), err);
    ERR_set_mark();
    EVP_PKEY *wanted = expected_key(expectation);
    EVP_PKEY *got = X509_get0_pubkey(certificate);
    bool same = wanted != NULL && got != NULL && EVP_PKEY_eq(wanted, got) == 1;
    ERR_pop_to_mark();
    if (wanted == NULL)
        return est_findings_add(findings, EST_NOT_SEEN, "key", EST_OK_CODE,
                                est_strdup("not compared: the key of the request cannot be read"), err);
    if (!same)
        return est_findings_add(findings, EST_FAILED, "key", EST_CERT_KEY_DIFFERS,
                                est_strdup("the certificate is for another key"), err);
    return est_findings_add(findings, EST_PASS, "key", EST_OK_CODE,
                            est_strdup("the certificate is for the expected key"), err);
}

/* RFC 5280 4.1.2.5: from notBefore through notAfter, inclusive. */
static estuary_status check_validity(X509 *certificate, const estuary_expectation *expectation,
                                     estuary_findings *findings, estuary_error *err)
{
    char from[EST_TIME_TEXT_SIZE], to[EST_TIME_TEXT_SIZE], at[EST_TIME_TEXT_SIZE];
    time_t before = 0, after = 0, now = est_expectation_time(expectation);
    if (!est_asn1_time(X509_get0_notBefore(certificate), &before) ||
        !est_asn1_time(X509_get0_notAfter(certificate), &after))
        return est_findings_add(findings, EST_FAILED, "validity", EST_CERT_MALFORMED,
                                est_strdup("the certificate's validity cannot be parsed"), err);
    est_time_format(before, from);
    est_time_format(after, to);
    est_time_format(now, at);
    if (after < before)
        return est_findings_add(
            findings, EST_FAILED, "validity", EST_CERT_VALIDITY,
            est_printf("the certificate's notAfter, %s, is before its notBefore, %s", to, from), err);
    if (now > after)
        return est_findings_add(findings, EST_FAILED, "validity", EST_CERT_EXPIRED,
                                est_printf("the certificate expired on %s; it is judged at %s", to, at), err);
    if (now < before)
        return est_findings_add(
            findings, EST_FAILED, "validity", EST_CERT_NOT_YET_VALID,
            est_printf("the certificate is not valid before %s; it is judged at %s", from, at), err);
    return est_findings_add(findings, EST_PASS, "validity", EST_OK_CODE,
                            est_printf("valid from %s to %s", from, to), err);
}

static estuary_status check_ca(X509 *certificate, const estuary_expectation *expectation,
                               estuary_findings *findings, estuary_error *err)
{
    ERR_set_mark();
    bool is_ca = X509_check_ca(certificate) > 0; /* also what only keyUsage or an old extension makes a CA */
    ERR_pop_to_mark();
    if (is_ca && est_request_wants_ca(expectation->request))
        return est_findings_add(findings, EST_NOTE, "ca", EST_OK_CODE,
                                est_strdup("a CA certificate, as the request asked for"), err);
    if (is_ca)
        return est_findings_add(findings, EST_FAILED, "ca", EST_CERT_IS_CA,
                                est_strdup("the certificate is a CA certificate"), err);
    return est_findings_add(findings, EST_PASS, "ca", EST_OK_CODE, est_strdup("not a CA certificate"), err);
}

/* RFC 5280 4.1.2.2: a positive INTEGER of at most 20 octets, the sign bit's octet included. */
static bool serial_is_good(X509 *certificate)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
    int len = ASN1_STRING_length(serial);
    const unsigned char *bytes = ASN1_STRING_get0_data(serial);
    if (len < 1 || len > SERIAL_MAX_BYTES || ASN1_STRING_type(serial) != V_ASN1_INTEGER)
        return false;
    bool zero = true;
    for (int i = 0; i < len; i++)
        zero = zero && bytes[i] == 0;
    return !zero && !(len == SERIAL_MAX_BYTES && (bytes[0] & 0x80) != 0);
}

static estuary_status check_strength(X509 *certificate, const estuary_expectation *expectation,
                                     estuary_findings *findings, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_key_info info = {0};
    (void)expectation;
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    bool readable = key != NULL && est_key_info_get(key, &info);
    bool weak_signature = est_certificate_signature_is_weak(certificate);
    if (!readable)
        EST_TRY(est_findings_add(findings, EST_FAILED, "strength", EST_CERT_MALFORMED,
                                 est_strdup("the certificate's key cannot be read"), err));
    else if (info.weak)
        EST_TRY(est_findings_add(findings, EST_FAILED, "strength", EST_CERT_WEAK_KEY,
                                 est_printf("the certificate's key is weak: %s", info.why), err));
    if (weak_signature)
        EST_TRY(est_findings_add(findings, EST_FAILED, "strength", EST_CERT_WEAK_SIGNATURE,
                                 est_printf("the certificate is signed with %s, which is too weak",
                                            OBJ_nid2ln(X509_get_signature_nid(certificate))),
                                 err));
    if (!serial_is_good(certificate))
        EST_TRY(est_findings_add(findings, EST_FAILED, "strength", EST_CERT_SERIAL,
                                 est_strdup(est_code_sentence(EST_CERT_SERIAL)), err));
    else if (readable && !info.weak && !weak_signature)
        EST_TRY(est_findings_add(
            findings, EST_PASS, "strength", EST_OK_CODE,
            est_printf("key %s, signed with %s", info.name, OBJ_nid2ln(X509_get_signature_nid(certificate))),
            err));
cleanup:
    return status;
}

static estuary_status check_purpose(X509 *certificate, const estuary_expectation *expectation,
                                    estuary_findings *findings, estuary_error *err)
{
    bool missing = false;
    const char *purpose = expectation->purpose;
    estuary_status status = est_check_requested_purposes(certificate, expectation, findings, &missing, err);
    if (status != ESTUARY_OK)
        return status;
    if (purpose != NULL && !est_certificate_allows(certificate, purpose))
        return est_findings_add(findings, EST_FAILED, "purpose", EST_CERT_EKU,
                                est_printf("the certificate may not be used for %s (extKeyUsage)", purpose),
                                err);
    if (missing)
        return ESTUARY_OK;
    if (purpose != NULL)
        return est_findings_add(findings, EST_PASS, "purpose", EST_OK_CODE,
                                est_printf("the certificate may be used for %s", purpose), err);
    if (expectation->request != NULL)
        return est_findings_add(findings, EST_PASS, "purpose", EST_OK_CODE,
                                est_strdup("no requested extended key usage is missing"), err);
    return est_findings_add(findings, EST_NOT_ASKED, "purpose", EST_OK_CODE,
                            est_strdup("not checked: no purpose was given"), err);
}

static estuary_status check_host(X509 *certificate, const estuary_expectation *expectation,
                                 estuary_findings *findings, estuary_error *err)
{
    const char *host = expectation->host;
    if (host == NULL)
        return est_findings_add(findings, EST_NOT_ASKED, "host", EST_OK_CODE,
                                est_strdup("not checked: no host was given"), err);
    if (est_certificate_matches_host(certificate, host))
        return est_findings_add(findings, EST_PASS, "host", EST_OK_CODE,
                                est_printf("the certificate is for \"%s\"", host), err);
    if (!est_certificate_has_host_names(certificate))
        return est_findings_add(findings, EST_FAILED, "host", EST_CERT_NO_SAN,
                                est_printf("the certificate names no host in subjectAltName, so it is not "
                                           "for \"%s\"; its CN does not count",
                                           host),
                                err);
    char names[TEXT_SIZE / 2];
    est_certificate_host_list(certificate, names, sizeof(names));
    return est_findings_add(findings, EST_FAILED, "host", EST_CERT_HOST,
                            est_printf("the certificate is for %s, not for \"%s\"", names, host), err);
}

static estuary_status find_path(X509 *certificate, const estuary_expectation *expectation, est_path *out,
                                estuary_error *err)
{
    est_path_query query = {
        .anchors = expectation->anchors,
        .leaf = certificate,
        .untrusted = expectation->untrusted,
        .purpose = expectation->purpose,
        .at = est_expectation_time(expectation),
        .max_depth = (int)estuary_limits_get(expectation->limits, ESTUARY_LIMIT_CHAIN_DEPTH),
        .spare_leaf = true,
    };
    return est_path_find(&query, out, err);
}

static est_code code_of(est_path_flaw flaw)
{
    static const est_code codes[EST_PATH_FLAW_COUNT] = {
        [EST_PATH_EXPIRED] = EST_CERT_EXPIRED,
        [EST_PATH_NOT_YET_VALID] = EST_CERT_NOT_YET_VALID,
        [EST_PATH_CA_EXPIRED] = EST_CERT_CA_EXPIRED,
        [EST_PATH_CA_NOT_YET_VALID] = EST_CERT_CA_NOT_YET_VALID,
        [EST_PATH_UNKNOWN_ISSUER] = EST_CERT_UNKNOWN_ISSUER,
        [EST_PATH_SELF_SIGNED] = EST_CERT_SELF_SIGNED,
        [EST_PATH_UNKNOWN_ROOT] = EST_CERT_UNKNOWN_ROOT,
        [EST_PATH_BAD_SIGNATURE] = EST_CERT_BAD_SIGNATURE,
        [EST_PATH_INVALID_CA] = EST_CERT_INVALID_CA,
        [EST_PATH_PATH_LENGTH] = EST_CERT_PATH_LENGTH,
        [EST_PATH_TOO_LONG] = EST_CERT_CHAIN_TOO_LONG,
        [EST_PATH_NAME_CONSTRAINTS] = EST_CERT_NAME_CONSTRAINTS,
        [EST_PATH_CRITICAL_EXTENSION] = EST_CERT_CRITICAL_EXTENSION,
        [EST_PATH_WEAK_KEY] = EST_CERT_WEAK_KEY,
        [EST_PATH_CA_WEAK_KEY] = EST_CERT_CA_WEAK_KEY,
        [EST_PATH_WEAK_SIGNATURE] = EST_CERT_WEAK_SIGNATURE,
        [EST_PATH_CA_WEAK_SIGNATURE] = EST_CERT_CA_WEAK_SIGNATURE,
        [EST_PATH_CA_EKU] = EST_CERT_CA_EKU,
        [EST_PATH_MALFORMED] = EST_CERT_MALFORMED,
    };
    return codes[flaw] == EST_OK_CODE ? EST_CERT_CHAIN : codes[flaw];
}

static estuary_status check_chain(X509 *certificate, const estuary_expectation *expectation,
                                  estuary_findings *findings, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_path path = {0};
    char text[TEXT_SIZE];
    if (expectation->anchors == NULL)
        return est_findings_add(findings, EST_NOT_ASKED, "chain", EST_OK_CODE,
                                est_strdup("not checked: no trust anchors were given"), err);
    EST_TRY(find_path(certificate, expectation, &path, err));
    if (path.flaw != EST_PATH_OK) {
        est_path_describe(&path, "the certificate", text, sizeof(text));
        EST_TRY(est_findings_add(findings, EST_FAILED, "chain", code_of(path.flaw), est_strdup(text), err));
        goto cleanup;
    }
    int count = sk_X509_num(path.chain);
    est_subject_text(sk_X509_value(path.chain, count - 1), text, sizeof(text) / 2);
    EST_TRY(est_findings_add(
        findings, EST_PASS, "chain", EST_OK_CODE,
        est_printf("chains to the trust anchor \"%s\" over %d certificates", text, count), err));
    est_findings_set0_path(findings, path.chain);
    path.chain = NULL;
cleanup:
    est_path_clear(&path);
    return status;
}

static estuary_status check_revocation(X509 *certificate, const estuary_expectation *expectation,
                                       estuary_findings *findings, estuary_error *err)
{
    (void)certificate;
    (void)expectation;
    return est_findings_add(findings, EST_NOT_ASKED, "revocation", EST_OK_CODE, est_strdup("not checked"),
                            err);
}

estuary_status estuary_cert_check(X509 *certificate, const estuary_expectation *expectation,
                                  estuary_findings **out, estuary_error *err)
{
    static check_fn *const checks[] = {check_key,   est_check_subject, est_check_san, check_validity,
                                       check_ca,    check_strength,    check_purpose, check_host,
                                       check_chain, check_revocation};
    static const estuary_expectation nothing = {0};
    estuary_status status = ESTUARY_OK;
    estuary_findings *findings = est_findings_new();
    *out = NULL;
    if (findings == NULL)
        EST_TRY(est_fail_memory(err));
    if (certificate == NULL)
        EST_FAIL(EST_USAGE, "there is no certificate to check");
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
        EST_TRY(checks[i](certificate, expectation == NULL ? &nothing : expectation, findings, err));
    *out = findings;
    findings = NULL;
cleanup:
    estuary_findings_free(findings);
    return status;
}

estuary_status estuary_cert_path(X509 *certificate, const estuary_expectation *expectation,
                                 STACK_OF(X509) **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_path path = {0};
    char text[TEXT_SIZE];
    *out = NULL;
    if (certificate == NULL || expectation == NULL || expectation->anchors == NULL)
        EST_FAIL(EST_USAGE, "a certificate path needs a certificate and trust anchors");
    EST_TRY(find_path(certificate, expectation, &path, err));
    if (path.flaw != EST_PATH_OK) {
        est_path_describe(&path, "the certificate", text, sizeof(text));
        EST_FAIL(code_of(path.flaw), "%s", text);
    }
    *out = path.chain;
    path.chain = NULL;
cleanup:
    est_path_clear(&path);
    return status;
}
