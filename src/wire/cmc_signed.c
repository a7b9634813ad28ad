/* The SignedData around a PKIResponse (RFC 5272 4.2): everything about it but its content. */
#include "wire/wire.h"

#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <string.h>

#define PKI_RESPONSE "1.3.6.1.5.5.7.12.3" /* id-cct-PKIResponse */

static bool is_pki_response(const ASN1_OBJECT *type)
{
    char oid[64];
    int len = type == NULL ? 0 : OBJ_obj2txt(oid, sizeof(oid), type, 1);
    return len > 0 && (size_t)len < sizeof(oid) && strcmp(oid, PKI_RESPONSE) == 0;
}

static estuary_status decode(const uint8_t *der, size_t len, CMS_ContentInfo **out, estuary_error *err)
{
    const unsigned char *p = der;
    long size = 0;
    *out = NULL;
    if (!est_size_to_long(len, &size))
        return est_fail(err, EST_PROTOCOL_TOO_LARGE, NULL);
    *out = d2i_CMS_ContentInfo(NULL, &p, size);
    if (*out == NULL)
        return est_fail_openssl(err, EST_PROTOCOL_CMS, NULL);
    if (p != der + len)
        return est_fail(err, EST_PROTOCOL_CMS_TRAILING, NULL);
    /* RFC 5272 4.2 knows AuthenticatedData, too: who shares a secret with the server has TLS besides */
    if (OBJ_obj2nid(CMS_get0_type(*out)) != NID_pkcs7_signed)
        return est_fail(err, EST_PROTOCOL_CMS_TYPE, NULL);
    return ESTUARY_OK;
}

bool est_cmc_is_full_response(const uint8_t *der, size_t len)
{
    CMS_ContentInfo *cms = NULL;
    bool is = decode(der, len, &cms, NULL) == ESTUARY_OK && is_pki_response(CMS_get0_eContentType(cms));
    CMS_ContentInfo_free(cms);
    ERR_clear_error();
    return is;
}

/* One signer: with several it would be open whose authority counts. */
static estuary_status only_signer(CMS_ContentInfo *cms, CMS_SignerInfo **out, estuary_error *err)
{
    STACK_OF(CMS_SignerInfo) *signers = CMS_get0_SignerInfos(cms);
    int count = signers == NULL ? 0 : sk_CMS_SignerInfo_num(signers);
    *out = NULL;
    if (!is_pki_response(CMS_get0_eContentType(cms)))
        return est_fail(err, EST_PROTOCOL_CMC, "the server's answer is signed, but is no CMC response");
    if (count != 1)
        return est_fail(err, EST_PROTOCOL_CMC_SIGNATURE, "the CMC response has %d signatures instead of one",
                        count);
    ASN1_OCTET_STRING **content = CMS_get0_content(cms);
    if (content == NULL || *content == NULL || ASN1_STRING_length(*content) == 0 ||
        ASN1_STRING_length(*content) > EST_CMC_MAX_CONTENT)
        return est_fail(err, EST_PROTOCOL_CMC, "the CMC response is empty or larger than allowed");
    *out = sk_CMS_SignerInfo_value(signers, 0);
    return ESTUARY_OK;
}

/*
 * RFC 5652 5.3: with a content type other than data the attributes are a MUST, and contentType among them;
 * without them the attributes of one message could pass for the content of another.
 */
static estuary_status check_attributes(CMS_SignerInfo *signer, estuary_error *err)
{
    X509_ALGOR *digest = NULL;
    ASN1_OBJECT *content_type = OBJ_nid2obj(NID_pkcs9_contentType);
    const ASN1_OBJECT *type = CMS_signed_get0_data_by_OBJ(signer, content_type, -3, V_ASN1_OBJECT);
    if (!is_pki_response(type))
        return est_fail(err, EST_PROTOCOL_CMC_SIGNATURE,
                        "the signature of the CMC response does not cover its content type");
    CMS_SignerInfo_get0_algs(signer, NULL, NULL, &digest, NULL);
    if (digest == NULL || est_signature_is_weak(OBJ_obj2nid(digest->algorithm)))
        return est_fail(err, EST_PROTOCOL_CMC_SIGNATURE, "the CMC response is signed with a weak digest");
    return ESTUARY_OK;
}

static time_t signing_time(const CMS_SignerInfo *signer)
{
    struct tm tm;
    ASN1_OBJECT *oid = OBJ_nid2obj(NID_pkcs9_signingTime);
    const ASN1_TYPE *value = NULL;
    int at = CMS_signed_get_attr_by_OBJ(signer, oid, -1);
    X509_ATTRIBUTE *attribute = at < 0 ? NULL : CMS_signed_get_attr(signer, at);
    if (attribute != NULL && X509_ATTRIBUTE_count(attribute) == 1)
        value = X509_ATTRIBUTE_get0_type(attribute, 0);
    if (value == NULL || (value->type != V_ASN1_UTCTIME && value->type != V_ASN1_GENERALIZEDTIME) ||
        ASN1_TIME_to_tm(value->value.asn1_string, &tm) != 1)
        return 0;
    return timegm(&tm);
}

static estuary_status verify(CMS_ContentInfo *cms, const STACK_OF(X509) *more, est_cmc_signed *out,
                             estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    STACK_OF(X509) *signers = NULL;
    char *bytes = NULL;
    BIO *content = BIO_new(BIO_s_mem());
    if (content == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    /* who signed is judged by the caller: extKeyUsage means more here than OpenSSL knows */
    if (CMS_verify(cms, (STACK_OF(X509) *)more, NULL, NULL, content,
                   CMS_BINARY | CMS_NO_SIGNER_CERT_VERIFY) != 1)
        EST_FAIL_OPENSSL(EST_PROTOCOL_CMC_SIGNATURE, NULL);
    signers = CMS_get0_signers(cms);
    long len = BIO_get_mem_data(content, &bytes);
    if (sk_X509_num(signers) != 1 || !est_int_to_size(len, &out->content_len))
        EST_FAIL_OPENSSL(EST_PROTOCOL_CMC_SIGNATURE, NULL);
    out->content = OPENSSL_memdup(bytes, out->content_len);
    if (out->content == NULL)
        EST_TRY(est_fail_memory(err));
    if (X509_up_ref(sk_X509_value(signers, 0)) != 1)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    out->signer = sk_X509_value(signers, 0);
cleanup:
    sk_X509_free(signers);
    BIO_free(content);
    return status;
}

/* Before the signature: what is more than allowed is not looked at. */
static estuary_status take_certs(CMS_ContentInfo *cms, const estuary_limits *limits, est_cmc_signed *out,
                                 estuary_error *err)
{
    int64_t max = estuary_limits_get(limits, ESTUARY_LIMIT_CERTIFICATES);
    ERR_clear_error();
    out->certs = CMS_get1_certs(cms);
    if (out->certs == NULL && est_openssl_first_error() != 0)
        return est_fail_openssl(err, EST_PROTOCOL_CMS, NULL);
    if (out->certs == NULL) {
        out->certs = sk_X509_new_null();
        return out->certs == NULL ? est_fail_memory(err) : ESTUARY_OK;
    }
    int count = sk_X509_num(out->certs);
    if (count > max)
        return est_fail(err, EST_PROTOCOL_TOO_MANY_CERTS,
                        "the server's answer holds %d certificates, more than the %lld allowed", count,
                        (long long)max);
    return ESTUARY_OK;
}

estuary_status est_cmc_open(const uint8_t *der, size_t len, const STACK_OF(X509) *more,
                            const estuary_limits *limits, est_cmc_signed *out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    CMS_ContentInfo *cms = NULL;
    CMS_SignerInfo *signer = NULL;
    memset(out, 0, sizeof(*out));
    ERR_clear_error();
    EST_TRY(decode(der, len, &cms, err));
    EST_TRY(only_signer(cms, &signer, err));
    EST_TRY(take_certs(cms, limits, out, err));
    EST_TRY(check_attributes(signer, err));
    EST_TRY(verify(cms, more, out, err));
    out->signed_at = signing_time(signer);
cleanup:
    CMS_ContentInfo_free(cms);
    ERR_clear_error();
    if (status != ESTUARY_OK)
        est_cmc_signed_clear(out);
    return status;
}

void est_cmc_signed_clear(est_cmc_signed *message)
{
    sk_X509_pop_free(message->certs, X509_free);
    X509_free(message->signer);
    OPENSSL_free(message->content);
    memset(message, 0, sizeof(*message));
}
