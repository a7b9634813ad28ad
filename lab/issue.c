/* From an accepted request to a certificate. */
#include "lab.h"
#include "misbehave.h"

#include <openssl/x509v3.h>

static bool uses_rsa(EVP_PKEY *key)
{
    return EVP_PKEY_is_a(key, "RSA") == 1;
}

/* SubjectAltName as asked for; critical when there is no subject. RFC 5280 4.2.1.6 */
static bool copy_san(struct mint *m, const X509_REQ *csr)
{
    X509_EXTENSION *san = csr_extension(csr, NID_subject_alt_name);
    if (san == NULL)
        return true;
    if (X509_NAME_entry_count(m->subject) == 0 && X509_EXTENSION_set_critical(san, 1) != 1) {
        X509_EXTENSION_free(san);
        return false;
    }
    return mint_add_extension(m, san);
}

/* RFC 7633: a client may ask for must-staple. */
static bool copy_tls_feature(struct mint *m, const X509_REQ *csr)
{
    X509_EXTENSION *feature = csr_extension(csr, NID_tlsfeature);
    return feature == NULL || mint_add_extension(m, feature);
}

/* What was asked for, without what only a CA may do. Bit n of RFC 5280 4.2.1.3 is 0x80 >> n. */
static bool copy_key_usage(struct mint *m, const X509_REQ *csr)
{
    bool ok = false;
    X509_EXTENSION *asked = csr_extension(csr, NID_key_usage);
    ASN1_BIT_STRING *bits = asked == NULL ? NULL : X509V3_EXT_d2i(asked);
    m->key_usage =
        uses_rsa(m->key) ? "critical,digitalSignature,keyEncipherment" : "critical,digitalSignature";
    if (bits == NULL || ASN1_STRING_length(bits) < 1) {
        ok = true;
        goto cleanup;
    }
    if (ASN1_BIT_STRING_set_bit(bits, 5, 0) != 1 || ASN1_BIT_STRING_set_bit(bits, 6, 0) != 1)
        goto cleanup;
    ok = true;
    if (ASN1_STRING_length(bits) > 0 && ASN1_STRING_get0_data(bits)[0] != 0) {
        m->key_usage = NULL;
        ok = mint_add_extension(m, X509V3_EXT_i2d(NID_key_usage, 1, bits));
    }
cleanup:
    ASN1_BIT_STRING_free(bits);
    X509_EXTENSION_free(asked);
    return ok;
}

/* Purposes of an end entity. id-kp-cmcRA would let a client pose as an EST server. RFC 7030 3.6.1 */
static bool allowed_purpose(const ASN1_OBJECT *purpose)
{
    switch (OBJ_obj2nid(purpose)) {
    case NID_server_auth:
    case NID_client_auth:
    case NID_email_protect:
    case NID_code_sign:
        return true;
    default:
        return false;
    }
}

static bool copy_extended_key_usage(struct mint *m, const X509_REQ *csr)
{
    bool ok = true;
    X509_EXTENSION *asked = csr_extension(csr, NID_ext_key_usage);
    EXTENDED_KEY_USAGE *purposes = asked == NULL ? NULL : X509V3_EXT_d2i(asked);
    m->eku = "clientAuth,serverAuth";
    for (int i = sk_ASN1_OBJECT_num(purposes) - 1; i >= 0; i--) {
        if (!allowed_purpose(sk_ASN1_OBJECT_value(purposes, i)))
            ASN1_OBJECT_free(sk_ASN1_OBJECT_delete(purposes, i));
    }
    if (sk_ASN1_OBJECT_num(purposes) > 0) {
        m->eku = NULL;
        ok = mint_add_extension(m, X509V3_EXT_i2d(NID_ext_key_usage, 0, purposes));
    }
    EXTENDED_KEY_USAGE_free(purposes);
    X509_EXTENSION_free(asked);
    return ok;
}

/* No certificate outlives its issuer. */
static time_t capped_end(const X509 *issuer, time_t end)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(issuer), &tm) != 1)
        return end;
    const time_t last = timegm(&tm);
    return end < last ? end : last;
}

static bool describe(struct mint *m, const struct exchange *ex)
{
    const struct lab *lab = ex->lab;
    X509_REQ *csr = ex->csr;
    time_t now = time(NULL);
    m->subject = X509_REQ_get_subject_name(csr);
    m->key = ex->key != NULL ? ex->key : X509_REQ_get0_pubkey(csr);
    m->issuer = lab->ca.issuing;
    m->signer = lab->ca.issuing_key;
    m->not_before = now - 5 * LAB_MINUTE;
    m->not_after = capped_end(lab->ca.issuing, now + lab->options.lifetime);
    m->basic = "critical,CA:FALSE";
    return copy_san(m, csr) && copy_key_usage(m, csr) && copy_extended_key_usage(m, csr) &&
           copy_tls_feature(m, csr);
}

X509 *issue_certificate(struct exchange *ex)
{
    struct mint m = {0};
    X509 *certificate = NULL;
    const struct ca *ca = &ex->lab->ca;
    const struct urls urls = ca_urls(ca, "issuing");
    m.aia = urls.aia;
    m.cdp = urls.cdp;
    if (!describe(&m, ex))
        goto cleanup;
    if (ex->operation->bit == OP_SIMPLEREENROLL && !change_subject(&m, ex->csr))
        goto cleanup;
    certificate = misbehave_mint(ex, &m);
    if (certificate != NULL && !ca_record(ca, certificate)) {
        X509_free(certificate);
        certificate = NULL;
    }
cleanup:
    mint_clear(&m);
    return certificate;
}
