/* A Full PKI Request as it arrives. RFC 5272 3.2 */
#include "cmc.h"

#include <openssl/x509v3.h>
#include <string.h>

bool cmc_request_refuse(struct cmc_request *request, enum cmc_fail fail, const char *text)
{
    request->fail = fail;
    request->text = text;
    return false;
}

void cmc_request_clear(struct cmc_request *request)
{
    CMS_ContentInfo_free(request->cms);
    LAB_PKI_DATA_free(request->data);
    X509_REQ_free(request->csr);
    bytes_clear(&request->content);
    *request = (struct cmc_request){0};
}

/* ---- controls ---- */

static bool is_control(const LAB_CONTROL *control, enum cmc_control which)
{
    char wanted[32];
    char oid[80];
    (void)snprintf(wanted, sizeof wanted, CMC_ARC "%d", (int)which);
    return OBJ_obj2txt(oid, sizeof oid, control->type, 1) > 0 && strcmp(oid, wanted) == 0;
}

const LAB_CONTROL *cmc_find_control(const LAB_PKI_DATA *data, enum cmc_control which)
{
    for (int i = 0; i < sk_LAB_CONTROL_num(data->controls); i++) {
        if (is_control(sk_LAB_CONTROL_value(data->controls, i), which))
            return sk_LAB_CONTROL_value(data->controls, i);
    }
    return NULL;
}

const ASN1_TYPE *cmc_control_value(const LAB_PKI_DATA *data, enum cmc_control which, int type)
{
    const LAB_CONTROL *control = cmc_find_control(data, which);
    const ASN1_TYPE *value = control == NULL || sk_ASN1_TYPE_num(control->values) != 1
                                 ? NULL
                                 : sk_ASN1_TYPE_value(control->values, 0);
    return value == NULL || ASN1_TYPE_get(value) != type ? NULL : value;
}

/* What the lab does not understand it does not do. RFC 5272 3.2.1.1 */
static bool understood(const LAB_CONTROL *control)
{
    static const enum cmc_control known[] = {
        CMC_IDENTIFICATION,  CMC_DATA_RETURN, CMC_TRANSACTION_ID, CMC_SENDER_NONCE,
        CMC_RECIPIENT_NONCE, CMC_REG_INFO,    CMC_QUERY_PENDING,  CMC_IDENTITY_PROOF_V2,
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (is_control(control, known[i]))
            return true;
    }
    return false;
}

/* ---- structure ---- */

static bool take_content(struct cmc_request *request)
{
    ASN1_OCTET_STRING **content = CMS_get0_content(request->cms);
    const unsigned char *at = NULL;
    if (content == NULL || *content == NULL)
        return false;
    at = ASN1_STRING_get0_data(*content);
    if (!bytes_append(&request->content, at, (size_t)ASN1_STRING_length(*content)))
        return false;
    at = request->content.data;
    request->data = d2i_LAB_PKI_DATA(NULL, &at, (long)request->content.len);
    return request->data != NULL && at == request->content.data + request->content.len;
}

bool cmc_request_parse(const struct bytes *der, struct cmc_request *request, const char **why)
{
    const unsigned char *at = der->data;
    *request = (struct cmc_request){.fail = CMC_NO_FAIL};
    request->cms = d2i_CMS_ContentInfo(NULL, &at, (long)der->len);
    if (request->cms == NULL || at != der->data + der->len)
        *why = "the body is not one CMS message";
    else if (OBJ_obj2nid(CMS_get0_type(request->cms)) != NID_pkcs7_signed)
        *why = "this lab reads a Full PKI Request as SignedData only";
    else if (OBJ_obj2nid(CMS_get0_eContentType(request->cms)) != NID_id_cct_PKIData)
        *why = "the signed content is not a PKIData";
    else if (!take_content(request))
        *why = "the PKIData is not understood";
    else
        return true;
    cmc_request_clear(request);
    return false;
}

/* ---- the certification request ---- */

static bool take_pkcs10(struct cmc_request *request, const LAB_TAGGED_PKCS10 *tagged)
{
    EVP_PKEY *key = X509_REQ_get0_pubkey(tagged->csr);
    request->body_part = tagged->id;
    if (key == NULL)
        return cmc_request_refuse(request, CMC_BAD_REQUEST, "the request's public key is not understood");
    if (X509_REQ_verify(tagged->csr, key) != 1)
        return cmc_request_refuse(request, CMC_POP_FAILED, "the request's signature does not match its key");
    request->csr = X509_REQ_dup(tagged->csr);
    return request->csr != NULL || cmc_request_refuse(request, CMC_INTERNAL_CA_ERROR, "out of memory");
}

static bool take_crmf(struct cmc_request *request, const LAB_CERT_REQ_MSG *message)
{
    enum cmc_fail fail = CMC_NO_FAIL;
    request->body_part = message->request->id;
    request->csr = cmc_crmf_read(message, &fail);
    return request->csr != NULL ||
           cmc_request_refuse(request, fail, "the CRMF request lacks a signature of its key that verifies");
}

static bool take_request(struct cmc_request *request, const LAB_TAGGED_REQUEST *tagged)
{
    switch (tagged->type) {
    case LAB_REQUEST_PKCS10:
        return take_pkcs10(request, tagged->d.pkcs10);
    case LAB_REQUEST_CRMF:
        return take_crmf(request, tagged->d.crmf);
    default:
        return cmc_request_refuse(request, CMC_BAD_REQUEST, "neither PKCS#10 nor CRMF");
    }
}

bool cmc_request_body(struct cmc_request *request)
{
    for (int i = 0; i < sk_LAB_CONTROL_num(request->data->controls); i++) {
        if (!understood(sk_LAB_CONTROL_value(request->data->controls, i)))
            return cmc_request_refuse(request, CMC_BAD_REQUEST, "a control this lab does not know");
    }
    if (sk_LAB_TAGGED_REQUEST_num(request->data->requests) != 1)
        return cmc_request_refuse(request, CMC_BAD_REQUEST,
                                  "this lab wants one certification request at a time");
    if (!take_request(request, sk_LAB_TAGGED_REQUEST_value(request->data->requests, 0)))
        return false;
    if (EVP_PKEY_get_security_bits(X509_REQ_get0_pubkey(request->csr)) < 112)
        return cmc_request_refuse(request, CMC_BAD_ALG, "the request's public key is too weak");
    return true;
}

/* ---- the signature ---- */

/* RFC 5272 3.2: the identifier must be the one in the request. */
static bool names_request_key(const ASN1_OCTET_STRING *key_id, X509_REQ *csr)
{
    X509_EXTENSION *extension = csr_extension(csr, NID_subject_key_identifier);
    ASN1_OCTET_STRING *own = extension == NULL ? NULL : X509V3_EXT_d2i(extension);
    const bool same = own != NULL && ASN1_OCTET_STRING_cmp(own, key_id) == 0;
    ASN1_OCTET_STRING_free(own);
    X509_EXTENSION_free(extension);
    return same;
}

/* CMS_verify takes keys from certificates only: one for this moment. */
static X509 *stand_in(const struct lab *lab, X509_REQ *csr)
{
    const time_t now = time(NULL);
    const struct mint m = {
        .cn = "stand-in",
        .key = X509_REQ_get0_pubkey(csr),
        .signer = lab->ca.issuing_key,
        .not_before = now,
        .not_after = now + LAB_MINUTE,
    };
    return mint_certificate(&m);
}

/* To whatever TLS clients may chain to, the CA before a rollover included. */
static bool chains(const struct lab *lab, X509 *certificate)
{
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    bool ok = ctx != NULL &&
              X509_STORE_CTX_init(ctx, SSL_CTX_get_cert_store(lab->doors[0].tls), certificate, NULL) == 1 &&
              X509_verify_cert(ctx) == 1;
    X509_STORE_CTX_free(ctx);
    return ok;
}

static bool signature_verifies(struct cmc_request *request)
{
    BIO *out = BIO_new(BIO_s_null());
    bool ok = out != NULL &&
              CMS_verify(request->cms, NULL, NULL, NULL, out, CMS_NO_SIGNER_CERT_VERIFY | CMS_BINARY) == 1;
    BIO_free(out);
    return ok;
}

static bool signed_by_request_key(const struct lab *lab, struct cmc_request *request, CMS_SignerInfo *signer,
                                  X509_REQ *csr)
{
    X509 *certificate = stand_in(lab, csr);
    if (certificate != NULL)
        CMS_SignerInfo_set1_signer_cert(signer, certificate);
    bool ok = certificate != NULL && signature_verifies(request);
    X509_free(certificate);
    return ok || cmc_request_refuse(request, CMC_BAD_MESSAGE_CHECK, "the signature does not verify");
}

static bool signed_by_certificate(const struct lab *lab, struct cmc_request *request)
{
    STACK_OF(X509) *signers = NULL;
    bool ok = false;
    if (!signature_verifies(request))
        return cmc_request_refuse(request, CMC_BAD_MESSAGE_CHECK, "the signature does not verify");
    signers = CMS_get0_signers(request->cms);
    ok = sk_X509_num(signers) == 1 && chains(lab, sk_X509_value(signers, 0));
    sk_X509_free(signers);
    if (!ok)
        return cmc_request_refuse(request, CMC_BAD_IDENTITY, "the signer's certificate is not from this CA");
    request->proof = CMC_PROOF_CERTIFICATE;
    return true;
}

bool cmc_request_signature(const struct lab *lab, struct cmc_request *request, X509_REQ *csr)
{
    ASN1_OCTET_STRING *key_id = NULL;
    STACK_OF(CMS_SignerInfo) *signers = CMS_get0_SignerInfos(request->cms);
    if (sk_CMS_SignerInfo_num(signers) != 1)
        return cmc_request_refuse(request, CMC_BAD_MESSAGE_CHECK, "there must be one signature");
    CMS_SignerInfo *signer = sk_CMS_SignerInfo_value(signers, 0);
    if (CMS_SignerInfo_get0_signer_id(signer, &key_id, NULL, NULL) == 1 && key_id != NULL &&
        names_request_key(key_id, csr))
        return signed_by_request_key(lab, request, signer, csr);
    return signed_by_certificate(lab, request);
}
