/* PKIData (RFC 5272 3.2): controls and at most one request; then a SignedData around it. */
#include "wire/cmc_asn1.h"
#include "wire/csr_parts.h"

#include <openssl/bn.h>
#include <openssl/cms.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/objects.h>
#include <openssl/sha.h>
#include <string.h>

/* Takes ownership of value in every case; NULL is one that could not be made. */
static estuary_status add_control(est_cmc_pki_data *data, est_cmc_control control, ASN1_TYPE *value,
                                  estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_cmc_attribute *attribute = NULL;
    if (value == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    attribute = (est_cmc_attribute *)ASN1_item_new(ASN1_ITEM_rptr(est_cmc_attribute));
    if (attribute == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    ASN1_OBJECT_free(attribute->type);
    attribute->type = est_cmc_control_object(control);
    /* RFC 5272 3.2.2: unique in the message */
    int64_t id = EST_CMC_BODY_REQUEST + 1 + sk_est_cmc_attribute_num(data->controls);
    if (attribute->type == NULL || ASN1_INTEGER_set_int64(attribute->id, id) != 1 ||
        sk_ASN1_TYPE_push(attribute->values, value) <= 0)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    value = NULL;
    if (sk_est_cmc_attribute_push(data->controls, attribute) <= 0)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    attribute = NULL;
cleanup:
    ASN1_TYPE_free(value);
    ASN1_item_free((ASN1_VALUE *)attribute, ASN1_ITEM_rptr(est_cmc_attribute));
    return status;
}

/* type: V_ASN1_OCTET_STRING, V_ASN1_UTF8STRING or V_ASN1_SEQUENCE (then DER) */
static ASN1_TYPE *string_value(int type, const void *bytes, size_t len)
{
    int size = 0;
    ASN1_TYPE *value = ASN1_TYPE_new();
    ASN1_STRING *string = ASN1_STRING_type_new(type);
    if (value == NULL || string == NULL || !est_size_to_int(len, &size) ||
        ASN1_STRING_set(string, bytes, size) != 1) {
        ASN1_TYPE_free(value);
        ASN1_STRING_free(string);
        return NULL;
    }
    ASN1_TYPE_set(value, type, string);
    return value;
}

static ASN1_TYPE *number_value(const uint8_t *bytes, int len)
{
    ASN1_TYPE *value = ASN1_TYPE_new();
    BIGNUM *number = BN_bin2bn(bytes, len, NULL);
    ASN1_INTEGER *integer = number == NULL ? NULL : BN_to_ASN1_INTEGER(number, NULL);
    BN_free(number);
    if (value == NULL || integer == NULL) {
        ASN1_TYPE_free(value);
        ASN1_INTEGER_free(integer);
        return NULL;
    }
    ASN1_TYPE_set(value, V_ASN1_INTEGER, integer);
    return value;
}

static estuary_status add_pkcs10(est_cmc_pki_data *data, const X509_REQ *request, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_cmc_tagged_request *tagged =
        (est_cmc_tagged_request *)ASN1_item_new(ASN1_ITEM_rptr(est_cmc_tagged_request));
    if (tagged == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    tagged->value.tcr =
        (est_cmc_certification_request *)ASN1_item_new(ASN1_ITEM_rptr(est_cmc_certification_request));
    if (tagged->value.tcr == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    tagged->type = EST_CMC_TCR;
    X509_REQ_free(tagged->value.tcr->request);
    tagged->value.tcr->request = est_request_dup(request);
    if (tagged->value.tcr->request == NULL ||
        ASN1_INTEGER_set_int64(tagged->value.tcr->id, EST_CMC_BODY_REQUEST) != 1 ||
        sk_est_cmc_tagged_request_push(data->requests, tagged) <= 0)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    tagged = NULL;
cleanup:
    ASN1_item_free((ASN1_VALUE *)tagged, ASN1_ITEM_rptr(est_cmc_tagged_request));
    return status;
}

/* RFC 4211 4.1: the POP is the signature; subject and key are in the template, so there is no poposkInput */
static estuary_status fill_crmf(OSSL_CRMF_MSG *message, const X509_REQ *request, EVP_PKEY *key,
                                estuary_error *err)
{
    X509_EXTENSIONS *extensions = NULL;
    char digest[64] = "";
    if (!est_request_extensions(request, &extensions))
        return est_fail_openssl(err, EST_CSR_EXTENSION, NULL);
    if (extensions != NULL && OSSL_CRMF_MSG_set0_extensions(message, extensions) != 1) {
        sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
        return est_fail_openssl(err, EST_MEMORY, NULL);
    }
    /* RFC 5272 3.2.1.2.2: subject and publicKey are a MUST; certReqId is the body part's identifier */
    if (OSSL_CRMF_CERTTEMPLATE_fill(OSSL_CRMF_MSG_get0_tmpl(message), key, X509_REQ_get_subject_name(request),
                                    NULL, NULL) != 1 ||
        OSSL_CRMF_MSG_set_certReqId(message, EST_CMC_BODY_REQUEST) != 1)
        return est_fail_openssl(err, EST_MEMORY, NULL);
    const char *name = "SHA256";
    if (EVP_PKEY_get_default_digest_name(key, digest, sizeof(digest)) == 2) /* 2: no other one will do */
        name = digest;
    const EVP_MD *md = strcmp(name, "UNDEF") == 0 ? NULL : EVP_get_digestbyname(name);
    if (OSSL_CRMF_MSG_create_popo(OSSL_CRMF_POPO_SIGNATURE, message, key, md, NULL, NULL) != 1)
        return est_fail_openssl(err, EST_KEY, "the key cannot sign the CRMF request");
    return ESTUARY_OK;
}

static estuary_status add_crmf(est_cmc_pki_data *data, const X509_REQ *request, EVP_PKEY *key,
                               estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_cmc_tagged_request *tagged = NULL;
    if (key == NULL)
        EST_FAIL(EST_USAGE, "a CRMF body needs the key of the request, which was signed elsewhere");
    tagged = (est_cmc_tagged_request *)ASN1_item_new(ASN1_ITEM_rptr(est_cmc_tagged_request));
    if (tagged == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    tagged->value.crm = OSSL_CRMF_MSG_new();
    if (tagged->value.crm == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    tagged->type = EST_CMC_CRM;
    EST_TRY(fill_crmf(tagged->value.crm, request, key, err));
    if (sk_est_cmc_tagged_request_push(data->requests, tagged) <= 0)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    tagged = NULL;
cleanup:
    ASN1_item_free((ASN1_VALUE *)tagged, ASN1_ITEM_rptr(est_cmc_tagged_request));
    return status;
}

/* RFC 5272 6.2.1 step 2, 6.2.3: with an identification the hash is over secret and name */
static estuary_status proof_key(const est_cmc_request *request, uint8_t key[SHA256_DIGEST_LENGTH],
                                estuary_error *err)
{
    size_t secret_len = 0, size = 0;
    const char *secret = estuary_secret_get0(request->secret, &secret_len);
    const char *identity = request->identity == NULL ? "" : request->identity;
    est_buf text = {.max = ESTUARY_SECRET_MAX + EST_CMC_IDENTITY_MAX};
    estuary_status status = ESTUARY_OK;
    if (est_buf_append(&text, secret, secret_len) != EST_APPEND_OK ||
        est_buf_append(&text, identity, strlen(identity)) != EST_APPEND_OK)
        status = est_fail_memory(err);
    else if (EVP_Q_digest(NULL, "SHA256", NULL, text.data, text.len, key, &size) != 1)
        status = est_fail_openssl(err, EST_CRYPTO, NULL);
    est_buf_free(&text);
    return status;
}

/* RFC 5272 6.2.1 steps 1 and 3: the MAC over reqSequence, encoded exactly as it appears in the message */
static estuary_status proof_witness(const est_cmc_pki_data *data, const est_cmc_request *request,
                                    est_cmc_identity_proof *proof, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    uint8_t key[SHA256_DIGEST_LENGTH], witness[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    unsigned char *der = NULL;
    int len = ASN1_item_i2d((const ASN1_VALUE *)data->requests, &der, ASN1_ITEM_rptr(est_cmc_requests));
    if (len <= 0)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    EST_TRY(proof_key(request, key, err));
    if (HMAC(EVP_sha256(), key, (int)sizeof(key), der, (size_t)len, witness, &size) == NULL)
        EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
    if (X509_ALGOR_set0(proof->digest, OBJ_nid2obj(NID_sha256), V_ASN1_UNDEF, NULL) != 1 ||
        X509_ALGOR_set0(proof->mac, OBJ_nid2obj(NID_hmacWithSHA256), V_ASN1_NULL, NULL) != 1 ||
        ASN1_OCTET_STRING_set(proof->witness, witness, (int)size) != 1)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
cleanup:
    OPENSSL_cleanse(key, sizeof(key));
    OPENSSL_free(der);
    return status;
}

static estuary_status add_proof(est_cmc_pki_data *data, const est_cmc_request *request, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    unsigned char *der = NULL;
    est_cmc_identity_proof *proof =
        (est_cmc_identity_proof *)ASN1_item_new(ASN1_ITEM_rptr(est_cmc_identity_proof));
    if (proof == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    EST_TRY(proof_witness(data, request, proof, err));
    int len = ASN1_item_i2d((const ASN1_VALUE *)proof, &der, ASN1_ITEM_rptr(est_cmc_identity_proof));
    if (len <= 0)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    EST_TRY(
        add_control(data, EST_CMC_IDENTITY_PROOF_V2, string_value(V_ASN1_SEQUENCE, der, (size_t)len), err));
cleanup:
    OPENSSL_free(der);
    ASN1_item_free((ASN1_VALUE *)proof, ASN1_ITEM_rptr(est_cmc_identity_proof));
    return status;
}

/* RFC 5272 6.6: a transaction and its nonces; 6.13: the token of what is pending */
static estuary_status add_controls(est_cmc_pki_data *data, const est_cmc_request *request, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    EST_TRY(add_control(data, EST_CMC_TRANSACTION_ID,
                        number_value(request->transaction, EST_CMC_TRANSACTION_SIZE), err));
    EST_TRY(add_control(data, EST_CMC_SENDER_NONCE,
                        string_value(V_ASN1_OCTET_STRING, request->nonce, EST_CMC_NONCE_SIZE), err));
    if (request->recipient_nonce_len > 0)
        EST_TRY(add_control(
            data, EST_CMC_RECIPIENT_NONCE,
            string_value(V_ASN1_OCTET_STRING, request->recipient_nonce, request->recipient_nonce_len), err));
    if (request->pend_token_len > 0)
        EST_TRY(add_control(data, EST_CMC_QUERY_PENDING,
                            string_value(V_ASN1_OCTET_STRING, request->pend_token, request->pend_token_len),
                            err));
    if (request->request != NULL && request->identity != NULL)
        EST_TRY(add_control(data, EST_CMC_IDENTIFICATION,
                            string_value(V_ASN1_UTF8STRING, request->identity, strlen(request->identity)),
                            err));
    if (request->request != NULL && request->secret != NULL)
        EST_TRY(add_proof(data, request, err));
cleanup:
    return status;
}

estuary_status est_cmc_request_encode(const est_cmc_request *request, uint8_t **out, size_t *len,
                                      estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    unsigned char *der = NULL;
    *out = NULL;
    *len = 0;
    est_cmc_pki_data *data = (est_cmc_pki_data *)ASN1_item_new(ASN1_ITEM_rptr(est_cmc_pki_data));
    if (data == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    if (request->request != NULL && request->crmf)
        EST_TRY(add_crmf(data, request->request, request->key, err));
    else if (request->request != NULL)
        EST_TRY(add_pkcs10(data, request->request, err));
    EST_TRY(add_controls(data, request, err)); /* after the request, which the proof is taken over */
    int size = ASN1_item_i2d((const ASN1_VALUE *)data, &der, ASN1_ITEM_rptr(est_cmc_pki_data));
    if (size <= 0)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    *out = der;
    *len = (size_t)size;
cleanup:
    ASN1_item_free((ASN1_VALUE *)data, ASN1_ITEM_rptr(est_cmc_pki_data));
    return status;
}
