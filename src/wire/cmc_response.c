/* PKIResponse (RFC 5272 4.2.1): its controls, once somebody has judged who signed it. */
#include "wire/cmc_asn1.h"
#include "wire/csr_parts.h"

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

typedef struct reader {
    const uint8_t *transaction;
    const uint8_t *nonce;
    size_t nonce_len;
    const STACK_OF(X509) *certs;
    bool saw_transaction, saw_nonce;
    est_cmc_response *out;
} reader;

/* Unless memory was short when it was decoded: OpenSSL's queue knows. */
static estuary_status malformed(estuary_error *err, const char *what)
{
    return est_fail_openssl(err, EST_PROTOCOL_CMC, "the server's CMC response is malformed: %s", what);
}

/* Replaces *out, which is owned by the caller. */
static estuary_status copy_octets(const ASN1_OCTET_STRING *octets, const char *what, uint8_t **out,
                                  size_t *len, estuary_error *err)
{
    size_t size = 0;
    if (!est_int_to_size(ASN1_STRING_length(octets), &size) || size == 0 || size > EST_CMC_TOKEN_MAX)
        return malformed(err, what);
    uint8_t *copy = OPENSSL_memdup(ASN1_STRING_get0_data(octets), size);
    if (copy == NULL)
        return est_fail_memory(err);
    OPENSSL_free(*out);
    *out = copy;
    *len = size;
    return ESTUARY_OK;
}

/* RFC 5272 6.6: what the request said must come back */
static estuary_status read_transaction(reader *r, const ASN1_TYPE *value, estuary_error *err)
{
    uint8_t seen[EST_CMC_TRANSACTION_SIZE];
    if (value->type != V_ASN1_INTEGER || r->saw_transaction)
        return malformed(err, "its transactionId");
    BIGNUM *number = ASN1_INTEGER_to_BN(value->value.integer, NULL);
    if (number == NULL)
        return est_fail_openssl(err, EST_MEMORY, NULL);
    bool same = BN_is_negative(number) == 0 && BN_bn2binpad(number, seen, sizeof(seen)) == sizeof(seen) &&
                CRYPTO_memcmp(seen, r->transaction, sizeof(seen)) == 0;
    BN_free(number);
    ERR_clear_error();
    r->saw_transaction = true;
    return same ? ESTUARY_OK : est_fail(err, EST_PROTOCOL_CMC_TRANSACTION, NULL);
}

static estuary_status read_recipient_nonce(reader *r, const ASN1_TYPE *value, estuary_error *err)
{
    if (value->type != V_ASN1_OCTET_STRING || r->saw_nonce)
        return malformed(err, "its recipientNonce");
    r->saw_nonce = true;
    const ASN1_OCTET_STRING *nonce = value->value.octet_string;
    if ((size_t)ASN1_STRING_length(nonce) != r->nonce_len ||
        CRYPTO_memcmp(ASN1_STRING_get0_data(nonce), r->nonce, r->nonce_len) != 0)
        return est_fail(err, EST_PROTOCOL_CMC_NONCE, NULL);
    return ESTUARY_OK;
}

static estuary_status read_sender_nonce(reader *r, const ASN1_TYPE *value, estuary_error *err)
{
    if (value->type != V_ASN1_OCTET_STRING || r->out->sender_nonce != NULL)
        return malformed(err, "its senderNonce");
    return copy_octets(value->value.octet_string, "its senderNonce", &r->out->sender_nonce,
                       &r->out->sender_nonce_len, err);
}

/* RFC 5272 6.1.3; false for what it does not define */
static bool status_of(const ASN1_INTEGER *number, estuary_cmc_status *out)
{
    static const estuary_cmc_status known[] = {
        ESTUARY_CMC_SUCCESS,      ESTUARY_CMC_NONE,       ESTUARY_CMC_FAILED,
        ESTUARY_CMC_PENDING,      ESTUARY_CMC_NO_SUPPORT, ESTUARY_CMC_CONFIRM_REQUIRED,
        ESTUARY_CMC_POP_REQUIRED, ESTUARY_CMC_PARTIAL,
    };
    int64_t value = -1;
    *out = ESTUARY_CMC_NONE;
    if (ASN1_INTEGER_get_int64(&value, number) != 1 || value < 0 ||
        value >= (int64_t)(sizeof(known) / sizeof(known[0])))
        return false;
    *out = known[value];
    return *out != ESTUARY_CMC_NONE;
}

static estuary_status read_pend_info(est_cmc_response *out, const ASN1_TYPE *value, estuary_error *err)
{
    struct tm tm;
    estuary_status status = ESTUARY_OK;
    est_cmc_pend_info *info =
        (est_cmc_pend_info *)ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(est_cmc_pend_info), value);
    if (info == NULL || ASN1_TIME_to_tm(info->time, &tm) != 1)
        status = malformed(err, "its pendInfo");
    else
        status = copy_octets(info->token, "its pendInfo", &out->pend_token, &out->pend_token_len, err);
    if (status == ESTUARY_OK)
        out->pend_time = timegm(&tm);
    ASN1_item_free((ASN1_VALUE *)info, ASN1_ITEM_rptr(est_cmc_pend_info));
    return status;
}

/* RFC 5272 has a bare SEQUENCE, the module of RFC 6402 appendix A.2 a [1] before it. */
static estuary_status read_extended(est_cmc_response *out, const ASN1_TYPE *value, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    long len = 0;
    int tag = 0, class = 0;
    est_cmc_extended_fail *info = NULL;
    /* the field is ANY: a NULL, a BOOLEAN or an OBJECT IDENTIFIER is no string */
    if (value->type != V_ASN1_SEQUENCE && value->type != V_ASN1_OTHER)
        return malformed(err, "its extendedFailInfo");
    const ASN1_STRING *der = value->value.asn1_string;
    const unsigned char *p = ASN1_STRING_get0_data(der), *end = p + ASN1_STRING_length(der);
    if (value->type == V_ASN1_SEQUENCE) {
        info =
            (est_cmc_extended_fail *)ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(est_cmc_extended_fail), value);
    } else if (value->type == V_ASN1_OTHER &&
               ASN1_get_object(&p, &len, &tag, &class, end - p) == V_ASN1_CONSTRUCTED &&
               class == V_ASN1_CONTEXT_SPECIFIC && tag == 1) {
        /* implicit: the content is that of the SEQUENCE; only the OID in front is of interest */
        info = (est_cmc_extended_fail *)ASN1_item_new(ASN1_ITEM_rptr(est_cmc_extended_fail));
        if (info != NULL && d2i_ASN1_OBJECT(&info->type, &p, len) == NULL) {
            ASN1_item_free((ASN1_VALUE *)info, ASN1_ITEM_rptr(est_cmc_extended_fail));
            info = NULL;
        }
    }
    if (info == NULL || !est_oid_text(info->type, out->extended, sizeof(out->extended)))
        status = malformed(err, "its extendedFailInfo");
    ASN1_item_free((ASN1_VALUE *)info, ASN1_ITEM_rptr(est_cmc_extended_fail));
    return status;
}

/* Both forms begin with a SEQUENCE: what stands first in it tells them apart. */
static bool begins_with_octets(const ASN1_TYPE *value)
{
    const ASN1_STRING *der = value->value.sequence;
    const unsigned char *p = ASN1_STRING_get0_data(der), *end = p + ASN1_STRING_length(der);
    long len = 0;
    int tag = 0, class = 0;
    return (ASN1_get_object(&p, &len, &tag, &class, end - p) & 0x80) == 0 && p < end &&
           *p == V_ASN1_OCTET_STRING;
}

/* RFC 5272 6.1.1 otherInfo: which choice may stand there depends on the status */
static estuary_status read_other(est_cmc_response *out, estuary_cmc_status kind, const ASN1_TYPE *value,
                                 estuary_error *err)
{
    if (value == NULL || kind == ESTUARY_CMC_SUCCESS)
        return ESTUARY_OK;
    if (kind == ESTUARY_CMC_PENDING || kind == ESTUARY_CMC_PARTIAL) {
        if (value->type != V_ASN1_SEQUENCE)
            return malformed(err, "its pendInfo");
        return read_pend_info(out, value, err);
    }
    if (value->type == V_ASN1_INTEGER)
        return ASN1_INTEGER_get_int64(&out->fail_info, value->value.integer) == 1 && out->fail_info >= 0
                   ? ESTUARY_OK
                   : malformed(err, "its failInfo");
    if (value->type == V_ASN1_SEQUENCE && begins_with_octets(value))
        return ESTUARY_OK; /* a pendInfo that means nothing with this status */
    return read_extended(out, value, err);
}

static bool bodies_are_sound(const STACK_OF(ASN1_TYPE) *bodies)
{
    int count = sk_ASN1_TYPE_num(bodies);
    for (int i = 0; i < count; i++) {
        int type = ASN1_TYPE_get(sk_ASN1_TYPE_value(bodies, i));
        if (type != V_ASN1_INTEGER && type != V_ASN1_SEQUENCE)
            return false;
    }
    return count > 0 && count <= EST_CMC_MAX_ITEMS;
}

/* RFC 5272 6.1: there may be several; the worst counts, whatever part of the message it is about */
static estuary_status read_status(reader *r, const ASN1_TYPE *value, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    estuary_cmc_status kind = ESTUARY_CMC_NONE;
    est_cmc_response *out = r->out;
    est_cmc_status_info *info =
        (est_cmc_status_info *)ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(est_cmc_status_info), value);
    if (info == NULL || !bodies_are_sound(info->bodies)) {
        status = malformed(err, "its status");
        goto cleanup;
    }
    if (!status_of(info->status, &kind))
        EST_FAIL(EST_PROTOCOL_CMC_STATUS, NULL);
    EST_TRY(read_other(out, kind, info->other, err));
    if (kind > out->status || out->text[0] == '\0') {
        out->text[0] = '\0';
        if (info->text != NULL)
            est_text_sanitise(ASN1_STRING_get0_data(info->text), (size_t)ASN1_STRING_length(info->text),
                              out->text, sizeof(out->text));
    }
    if (kind > out->status)
        out->status = kind;
cleanup:
    ASN1_item_free((ASN1_VALUE *)info, ASN1_ITEM_rptr(est_cmc_status_info));
    ERR_clear_error();
    return status;
}

/* The certificate of the message with this hash; *out NULL when there is none. */
static bool find_hashed(const STACK_OF(X509) *certs, const EVP_MD *digest, const ASN1_OCTET_STRING *hash,
                        X509 **out)
{
    *out = NULL;
    for (int i = 0; i < sk_X509_num(certs); i++) {
        uint8_t seen[EVP_MAX_MD_SIZE];
        unsigned size = 0;
        X509 *cert = sk_X509_value(certs, i);
        if (X509_digest(cert, digest, seen, &size) != 1)
            return false;
        if ((size_t)ASN1_STRING_length(hash) == size &&
            CRYPTO_memcmp(seen, ASN1_STRING_get0_data(hash), size) == 0) {
            *out = cert;
            return true;
        }
    }
    return true;
}

/* RFC 5272 6.15: the certificates are in the message's own bag, which the signature does not cover */
static estuary_status collect_published(reader *r, const est_cmc_published *info, const EVP_MD *digest,
                                        estuary_error *err)
{
    est_cmc_response *out = r->out;
    int count = sk_ASN1_OCTET_STRING_num(info->hashes);
    if (count > EST_CMC_MAX_ITEMS)
        return malformed(err, "it publishes more trust anchors than allowed");
    out->published = sk_X509_new_null();
    if (out->published == NULL)
        return est_fail_memory(err);
    out->published_complete = EVP_MD_get_size(digest) >= 32; /* a SHA-1 is not left to decide alone */
    for (int i = 0; i < count; i++) {
        X509 *cert = NULL;
        if (!find_hashed(r->certs, digest, sk_ASN1_OCTET_STRING_value(info->hashes, i), &cert))
            return est_fail_openssl(err, EST_CRYPTO, NULL);
        if (cert == NULL)
            out->published_complete = false;
        else if (X509_add_cert(out->published, cert, X509_ADD_FLAG_UP_REF | X509_ADD_FLAG_NO_DUP) != 1)
            return est_fail_openssl(err, EST_MEMORY, NULL);
    }
    return ESTUARY_OK;
}

static estuary_status read_published(reader *r, const ASN1_TYPE *value, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_cmc_published *info =
        (est_cmc_published *)ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(est_cmc_published), value);
    if (info == NULL || r->out->published != NULL ||
        ASN1_INTEGER_get_int64(&r->out->published_sequence, info->sequence) != 1 ||
        r->out->published_sequence < 0) {
        status = malformed(err, "its Publish Trust Anchors");
        goto cleanup;
    }
    const EVP_MD *digest = EVP_get_digestbyobj(info->digest->algorithm);
    if (digest == NULL || EVP_MD_get_size(digest) < 20)
        EST_FAIL(EST_PROTOCOL_CMC, "the CMC response publishes trust anchors by an unknown or weak hash");
    EST_TRY(collect_published(r, info, digest, err));
cleanup:
    ASN1_item_free((ASN1_VALUE *)info, ASN1_ITEM_rptr(est_cmc_published));
    ERR_clear_error();
    return status;
}

/*
 * RFC 5272 4.2.1 lets a client pass over a control. What would change the meaning of the others, or holds the
 * true answer inside (RFC 6402 2.6), is not passed over.
 */
static estuary_status read_control(reader *r, const est_cmc_attribute *control, estuary_error *err)
{
    est_cmc_control type = est_cmc_control_of(control->type);
    const ASN1_TYPE *value = sk_ASN1_TYPE_value(control->values, 0);
    switch (type) {
    case EST_CMC_ENCRYPTED_POP:
    case EST_CMC_POP_LINK_RANDOM:
    case EST_CMC_AUTH_DATA:
    case EST_CMC_BATCH_RESPONSES:
    case EST_CMC_RESPONSE_BODY:
        return est_fail(err, EST_UNSUPPORTED_CMC, NULL);
    case EST_CMC_STATUS_INFO:
    case EST_CMC_STATUS_INFO_V2:
    case EST_CMC_TRUSTED_ANCHORS:
    case EST_CMC_TRANSACTION_ID:
    case EST_CMC_RECIPIENT_NONCE:
    case EST_CMC_SENDER_NONCE:
        break;
    default:
        return ESTUARY_OK;
    }
    if (sk_ASN1_TYPE_num(control->values) != 1)
        return malformed(err, "a control without exactly one value");
    switch (type) {
    case EST_CMC_TRANSACTION_ID:
        return read_transaction(r, value, err);
    case EST_CMC_RECIPIENT_NONCE:
        return read_recipient_nonce(r, value, err);
    case EST_CMC_SENDER_NONCE:
        return read_sender_nonce(r, value, err);
    case EST_CMC_TRUSTED_ANCHORS:
        return read_published(r, value, err);
    default:
        return read_status(r, value, err);
    }
}

static est_cmc_pki_response *decode(const uint8_t *content, size_t len)
{
    long size = 0;
    const unsigned char *p = content;
    if (len > EST_CMC_MAX_CONTENT || !est_size_to_long(len, &size))
        return NULL;
    est_cmc_pki_response *body =
        (est_cmc_pki_response *)ASN1_item_d2i(NULL, &p, size, ASN1_ITEM_rptr(est_cmc_pki_response));
    if (body != NULL && p == content + len)
        return body;
    ASN1_item_free((ASN1_VALUE *)body, ASN1_ITEM_rptr(est_cmc_pki_response));
    return NULL;
}

static estuary_status read_controls(reader *r, const est_cmc_pki_response *body, estuary_error *err)
{
    int count = sk_est_cmc_attribute_num(body->controls);
    if (count > EST_CMC_MAX_CONTROLS)
        return malformed(err, "it holds more controls than allowed");
    /* first whether it is ours at all */
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < count; i++) {
            const est_cmc_attribute *control = sk_est_cmc_attribute_value(body->controls, i);
            est_cmc_control type = est_cmc_control_of(control->type);
            bool links = type == EST_CMC_TRANSACTION_ID || type == EST_CMC_RECIPIENT_NONCE;
            estuary_status status = links == (pass == 0) ? read_control(r, control, err) : ESTUARY_OK;
            if (status != ESTUARY_OK)
                return status;
        }
        if (!r->saw_transaction)
            return est_fail(err, EST_PROTOCOL_CMC_TRANSACTION, "the CMC response lacks the transactionId");
        if (!r->saw_nonce)
            return est_fail(err, EST_PROTOCOL_CMC_NONCE, "the CMC response lacks the recipientNonce");
    }
    return ESTUARY_OK;
}

estuary_status est_cmc_response_parse(const uint8_t *content, size_t len, const uint8_t *transaction,
                                      const uint8_t *nonce, size_t nonce_len, const STACK_OF(X509) *certs,
                                      est_cmc_response *out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    reader r = {
        .transaction = transaction, .nonce = nonce, .nonce_len = nonce_len, .certs = certs, .out = out};
    est_cmc_pki_response *body = NULL;
    memset(out, 0, sizeof(*out));
    out->fail_info = -1;
    ERR_clear_error();  /* what malformed() finds there is of now */
    if (nonce_len == 0) /* an empty one would match an empty answer */
        EST_FAIL(EST_PROTOCOL_CMC_NONCE, "no CMC request was made that this could answer");
    body = decode(content, len);
    if (body == NULL)
        EST_FAIL_OPENSSL(EST_PROTOCOL_CMC, NULL);
    EST_TRY(read_controls(&r, body, err));
    if (out->status == ESTUARY_CMC_NONE) /* RFC 5272 6.1.2: "the value of success is assumed" */
        out->status = ESTUARY_CMC_SUCCESS;
cleanup:
    ASN1_item_free((ASN1_VALUE *)body, ASN1_ITEM_rptr(est_cmc_pki_response));
    ERR_clear_error();
    if (status != ESTUARY_OK)
        est_cmc_response_clear(out);
    return status;
}

void est_cmc_response_clear(est_cmc_response *response)
{
    OPENSSL_free(response->pend_token);
    OPENSSL_free(response->sender_nonce);
    sk_X509_pop_free(response->published, X509_free);
    memset(response, 0, sizeof(*response));
}
