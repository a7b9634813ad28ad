/* A CMC server in a few lines: reads our PKIData and signs a PKIResponse. */
#ifndef TEST_SMALL_CMC_H
#define TEST_SMALL_CMC_H

#include "small_est.h"
#include "wire/cmc_asn1.h"

#define CMC_RESPONSE "application/pkcs7-mime; smime-type=CMC-response"

/* What a request holds; NULL where it holds nothing. */
typedef struct small_pki_data {
    CMS_ContentInfo *cms;
    est_cmc_pki_data *data;
} small_pki_data;

static inline small_pki_data small_pki_data_read(const estuary_http_request *request)
{
    size_t len = 0, der_len = 0;
    uint8_t *der = NULL;
    small_pki_data out = {0};
    const uint8_t *body = estuary_http_request_body(request, &len);
    assert_int_equal(est_base64_decode(body, len, 100000, &der, &der_len, NULL), ESTUARY_OK);
    const unsigned char *p = der;
    out.cms = d2i_CMS_ContentInfo(NULL, &p, (long)der_len);
    assert_non_null(out.cms);
    assert_ptr_equal(p, der + der_len);
    assert_int_equal(OBJ_obj2nid(CMS_get0_eContentType(out.cms)), NID_id_cct_PKIData);
    const ASN1_OCTET_STRING *content = *CMS_get0_content(out.cms);
    p = ASN1_STRING_get0_data(content);
    out.data = (est_cmc_pki_data *)ASN1_item_d2i(NULL, &p, ASN1_STRING_length(content),
                                                 ASN1_ITEM_rptr(est_cmc_pki_data));
    assert_non_null(out.data);
    assert_ptr_equal(p, ASN1_STRING_get0_data(content) + ASN1_STRING_length(content));
    est_free(der);
    return out;
}

static inline void small_pki_data_free(small_pki_data *in)
{
    ASN1_item_free((ASN1_VALUE *)in->data, ASN1_ITEM_rptr(est_cmc_pki_data));
    CMS_ContentInfo_free(in->cms);
}

/* The only value of the only control of this kind; NULL when there is none. */
static inline ASN1_TYPE *small_control(const small_pki_data *in, est_cmc_control which)
{
    ASN1_TYPE *found = NULL;
    for (int i = 0; i < sk_est_cmc_attribute_num(in->data->controls); i++) {
        const est_cmc_attribute *control = sk_est_cmc_attribute_value(in->data->controls, i);
        if (est_cmc_control_of(control->type) != which)
            continue;
        assert_null(found);
        assert_int_equal(sk_ASN1_TYPE_num(control->values), 1);
        found = sk_ASN1_TYPE_value(control->values, 0);
    }
    return found;
}

typedef struct small_reply {
    int status;       /* of CMCStatus; -1: no status control */
    int fail;         /* -1: none */
    const char *text; /* NULL: none */
    const char *token, *time;
    X509 *signer;
    EVP_PKEY *key;
    X509 *certs[4];  /* beside the signer's */
    X509 *published; /* NULL: none */
    int control;     /* another one, empty but for a NULL; 0: none */
    bool other_transaction, other_nonce, no_nonce, twice, trailing, no_attributes, weak_digest, omit_signer;
    bool two_values;
    int other_type;    /* otherInfo is a lone value of this type; 0: by fail and token */
    int second_status; /* of one more CMCStatusInfo, which has nothing else; 0: none */
} small_reply;

static inline ASN1_TYPE *small_type(int type, const void *bytes, int len)
{
    ASN1_TYPE *value = ASN1_TYPE_new();
    ASN1_STRING *string = ASN1_STRING_type_new(type);
    assert_int_equal(ASN1_STRING_set(string, bytes, len), 1);
    ASN1_TYPE_set(value, type, string);
    return value;
}

/* Takes ownership of value. */
static inline void small_add(est_cmc_pki_response *out, int control, ASN1_TYPE *value, bool two_values)
{
    est_cmc_attribute *attribute = (est_cmc_attribute *)ASN1_item_new(ASN1_ITEM_rptr(est_cmc_attribute));
    ASN1_OBJECT_free(attribute->type);
    attribute->type = est_cmc_control_object((est_cmc_control)control);
    assert_int_equal(ASN1_INTEGER_set(attribute->id, 1 + sk_est_cmc_attribute_num(out->controls)), 1);
    assert_true(sk_ASN1_TYPE_push(attribute->values, value) > 0);
    if (two_values)
        assert_true(sk_ASN1_TYPE_push(attribute->values, small_type(V_ASN1_OCTET_STRING, "x", 1)) > 0);
    assert_true(sk_est_cmc_attribute_push(out->controls, attribute) > 0);
}

static inline void small_add_item(est_cmc_pki_response *out, int control, const void *value,
                                  const ASN1_ITEM *item)
{
    unsigned char *der = NULL;
    int len = ASN1_item_i2d((const ASN1_VALUE *)value, &der, item);
    assert_true(len > 0);
    small_add(out, control, small_type(V_ASN1_SEQUENCE, der, len), false);
    OPENSSL_free(der);
}

static inline ASN1_TYPE *small_integer(long number)
{
    ASN1_TYPE *value = ASN1_TYPE_new();
    ASN1_INTEGER *integer = ASN1_INTEGER_new();
    assert_int_equal(ASN1_INTEGER_set(integer, number), 1);
    ASN1_TYPE_set(value, V_ASN1_INTEGER, integer);
    return value;
}

/* What ANY can hold besides strings. */
static inline ASN1_TYPE *small_lone(int type)
{
    ASN1_TYPE *value = ASN1_TYPE_new();
    void *content = type == V_ASN1_OBJECT ? OBJ_nid2obj(NID_sha256) : NULL;
    ASN1_TYPE_set(value, type, type == V_ASN1_BOOLEAN ? value : content);
    return value;
}

static inline void small_add_status(est_cmc_pki_response *out, const small_reply *how)
{
    est_cmc_status_info *info = (est_cmc_status_info *)ASN1_item_new(ASN1_ITEM_rptr(est_cmc_status_info));
    assert_int_equal(ASN1_INTEGER_set(info->status, how->status), 1);
    assert_true(sk_ASN1_TYPE_push(info->bodies, small_integer(1)) > 0);
    if (how->text != NULL) {
        info->text = ASN1_UTF8STRING_new();
        assert_int_equal(ASN1_STRING_set(info->text, how->text, -1), 1);
    }
    if (how->fail >= 0)
        info->other = small_integer(how->fail);
    if (how->other_type != 0)
        info->other = small_lone(how->other_type);
    if (how->token != NULL) {
        unsigned char *der = NULL;
        est_cmc_pend_info *pend = (est_cmc_pend_info *)ASN1_item_new(ASN1_ITEM_rptr(est_cmc_pend_info));
        assert_int_equal(ASN1_STRING_set(pend->token, how->token, -1), 1);
        assert_int_equal(ASN1_GENERALIZEDTIME_set_string(pend->time, how->time), 1);
        int len = ASN1_item_i2d((const ASN1_VALUE *)pend, &der, ASN1_ITEM_rptr(est_cmc_pend_info));
        info->other = small_type(V_ASN1_SEQUENCE, der, len);
        OPENSSL_free(der);
        ASN1_item_free((ASN1_VALUE *)pend, ASN1_ITEM_rptr(est_cmc_pend_info));
    }
    small_add_item(out, EST_CMC_STATUS_INFO_V2, info, ASN1_ITEM_rptr(est_cmc_status_info));
    ASN1_item_free((ASN1_VALUE *)info, ASN1_ITEM_rptr(est_cmc_status_info));
}

static inline void small_add_published(est_cmc_pki_response *out, X509 *cert)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    est_cmc_published *info = (est_cmc_published *)ASN1_item_new(ASN1_ITEM_rptr(est_cmc_published));
    ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
    assert_int_equal(X509_digest(cert, EVP_sha256(), hash, &size), 1);
    assert_int_equal(ASN1_OCTET_STRING_set(octets, hash, (int)size), 1);
    assert_int_equal(ASN1_INTEGER_set(info->sequence, 7), 1);
    assert_int_equal(X509_ALGOR_set0(info->digest, OBJ_nid2obj(NID_sha256), V_ASN1_UNDEF, NULL), 1);
    assert_true(sk_ASN1_OCTET_STRING_push(info->hashes, octets) > 0);
    small_add_item(out, EST_CMC_TRUSTED_ANCHORS, info, ASN1_ITEM_rptr(est_cmc_published));
    ASN1_item_free((ASN1_VALUE *)info, ASN1_ITEM_rptr(est_cmc_published));
}

/* A copy of the request's value with a bit changed or not. */
static inline ASN1_TYPE *small_echo(const ASN1_TYPE *value, bool bend)
{
    const ASN1_STRING *from = value->value.asn1_string;
    ASN1_TYPE *copy = small_type(value->type, ASN1_STRING_get0_data(from), ASN1_STRING_length(from));
    if (bend)
        ((uint8_t *)(uintptr_t)ASN1_STRING_get0_data(copy->value.asn1_string))[3] ^= 1;
    return copy;
}

static inline int small_pki_response(const small_pki_data *in, const small_reply *how, unsigned char **der)
{
    est_cmc_pki_response *out = (est_cmc_pki_response *)ASN1_item_new(ASN1_ITEM_rptr(est_cmc_pki_response));
    ASN1_TYPE *nonce = small_control(in, EST_CMC_SENDER_NONCE);
    ASN1_TYPE *transaction = small_control(in, EST_CMC_TRANSACTION_ID);
    if (how->status >= 0)
        small_add_status(out, how);
    if (how->second_status != 0)
        small_add_status(out, &(small_reply){.status = how->second_status, .fail = -1});
    if (how->published != NULL)
        small_add_published(out, how->published);
    if (how->control != 0)
        small_add(out, how->control, small_type(V_ASN1_OCTET_STRING, "x", 1), false);
    small_add(out, EST_CMC_TRANSACTION_ID, small_echo(transaction, how->other_transaction), how->two_values);
    if (!how->no_nonce)
        small_add(out, EST_CMC_RECIPIENT_NONCE, small_echo(nonce, how->other_nonce), false);
    if (how->twice)
        small_add(out, EST_CMC_RECIPIENT_NONCE, small_echo(nonce, false), false);
    small_add(out, EST_CMC_SENDER_NONCE, small_type(V_ASN1_OCTET_STRING, "server nonce", 12), false);
    *der = NULL;
    int len = ASN1_item_i2d((const ASN1_VALUE *)out, der, ASN1_ITEM_rptr(est_cmc_pki_response));
    assert_true(len > 0);
    ASN1_item_free((ASN1_VALUE *)out, ASN1_ITEM_rptr(est_cmc_pki_response));
    return len;
}

/* base64; est_free() */
static inline char *small_cmc_answer(const small_pki_data *in, const small_reply *how)
{
    unsigned char *content = NULL, *der = NULL;
    char *text = NULL;
    int len = small_pki_response(in, how, &content);
    if (how->trailing) {
        content = OPENSSL_realloc(content, (size_t)len + 1);
        content[len++] = 0;
    }
    unsigned flags = CMS_PARTIAL | CMS_BINARY;
    CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, flags);
    assert_int_equal(CMS_set1_eContentType(cms, OBJ_nid2obj(NID_id_cct_PKIResponse)), 1);
    assert_non_null(CMS_add1_signer(cms, how->signer, how->key, how->weak_digest ? EVP_sha1() : EVP_sha256(),
                                    CMS_NOSMIMECAP | (how->no_attributes ? CMS_NOATTR : 0) |
                                        (how->omit_signer ? CMS_NOCERTS : 0)));
    for (size_t i = 0; i < COUNT_OF(how->certs) && how->certs[i] != NULL; i++)
        assert_int_equal(CMS_add1_cert(cms, how->certs[i]), 1);
    BIO *bio = BIO_new_mem_buf(content, len);
    assert_int_equal(CMS_final(cms, bio, NULL, CMS_BINARY), 1);
    BIO_free(bio);
    len = i2d_CMS_ContentInfo(cms, &der);
    assert_int_equal(est_base64_encode(der, (size_t)len, &text, NULL), ESTUARY_OK);
    OPENSSL_free(der);
    OPENSSL_free(content);
    CMS_ContentInfo_free(cms);
    return text;
}

#endif
