#include "wire/wire.h"

#include <openssl/cms.h>
#include <openssl/err.h>

/* RFC 5272 4.1: SignedData without content and without signers */
static estuary_status check_shape(CMS_ContentInfo *cms, estuary_error *err)
{
    if (OBJ_obj2nid(CMS_get0_type(cms)) != NID_pkcs7_signed)
        return est_fail(err, EST_PROTOCOL_CMS_TYPE, NULL);
    const STACK_OF(CMS_SignerInfo) *signers = CMS_get0_SignerInfos(cms);
    if (signers != NULL && sk_CMS_SignerInfo_num(signers) > 0)
        return est_fail(err, EST_PROTOCOL_CMS_SIGNERS, NULL); /* first: a signer's message has content, too */
    ASN1_OCTET_STRING **content = CMS_get0_content(cms);
    if (content != NULL && *content != NULL && ASN1_STRING_length(*content) > 0)
        return est_fail(err, EST_PROTOCOL_CMS_CONTENT, NULL);
    return ESTUARY_OK;
}

static estuary_status check_count(const STACK_OF(X509) *certs, const estuary_limits *limits,
                                  estuary_error *err)
{
    int64_t max = estuary_limits_get(limits, ESTUARY_LIMIT_CERTIFICATES);
    int count = certs == NULL ? 0 : sk_X509_num(certs);
    if (count <= 0)
        return est_fail(err, EST_PROTOCOL_NO_CERTS, NULL);
    if (count > max)
        return est_fail(err, EST_PROTOCOL_TOO_MANY_CERTS,
                        "the server's answer holds %d certificates, more than the %lld allowed", count,
                        (long long)max);
    return ESTUARY_OK;
}

estuary_status est_certs_only_parse(const uint8_t *der, size_t len, const estuary_limits *limits,
                                    STACK_OF(X509) **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    CMS_ContentInfo *cms = NULL;
    STACK_OF(X509) *certs = NULL;
    const unsigned char *p = der;
    long size = 0;
    *out = NULL;
    ERR_clear_error();
    if (!est_size_to_long(len, &size))
        EST_FAIL(EST_PROTOCOL_TOO_LARGE, NULL);
    cms = d2i_CMS_ContentInfo(NULL, &p, size);
    if (cms == NULL)
        EST_FAIL_OPENSSL(EST_PROTOCOL_CMS, NULL);
    if (p != der + len)
        EST_FAIL(EST_PROTOCOL_CMS_TRAILING, NULL);
    EST_TRY(check_shape(cms, err));
    certs = CMS_get1_certs(cms);
    if (certs == NULL && est_openssl_first_error() != 0)
        EST_FAIL_OPENSSL(EST_PROTOCOL_CMS, NULL);
    EST_TRY(check_count(certs, limits, err));
    *out = certs;
    certs = NULL;

cleanup:
    sk_X509_pop_free(certs, X509_free);
    CMS_ContentInfo_free(cms);
    return status;
}
