/* The PKIResponse: its controls, from the description of an answer. RFC 5272 4.2.1, 6 */
#include "cmc.h"

#include <string.h>

static bool add_control(LAB_PKI_RESPONSE *response, const char *oid, int type, const void *value)
{
    LAB_CONTROL *control = LAB_CONTROL_new();
    ASN1_TYPE *held = ASN1_TYPE_new();
    if (control == NULL || held == NULL)
        goto failed;
    ASN1_OBJECT_free(control->type);
    control->type = OBJ_txt2obj(oid, 1);
    if (control->type == NULL ||
        ASN1_INTEGER_set(control->id, sk_LAB_CONTROL_num(response->controls) + 1) != 1 ||
        ASN1_TYPE_set1(held, type, value) != 1 || sk_ASN1_TYPE_push(control->values, held) <= 0)
        goto failed;
    held = NULL;
    if (sk_LAB_CONTROL_push(response->controls, control) > 0)
        return true;
failed:
    LAB_CONTROL_free(control);
    ASN1_TYPE_free(held);
    return false;
}

/* Takes the encoding, also on failure. */
static bool add_encoded(LAB_PKI_RESPONSE *response, const char *oid, unsigned char *der, int len)
{
    ASN1_STRING *value = ASN1_STRING_type_new(V_ASN1_SEQUENCE);
    bool ok = value != NULL && len > 0 && ASN1_STRING_set(value, der, len) == 1 &&
              add_control(response, oid, V_ASN1_SEQUENCE, value);
    ASN1_STRING_free(value);
    OPENSSL_free(der);
    return ok;
}

/* ---- the status. RFC 5272 6.1 ---- */

static bool set_pending(LAB_OTHER_INFO *other, const struct cmc_reply *reply)
{
    other->type = LAB_OTHER_PENDING;
    other->d.pending = LAB_PEND_INFO_new();
    return other->d.pending != NULL &&
           ASN1_STRING_set(other->d.pending->token, reply->pend_token.data, (int)reply->pend_token.len) ==
               1 &&
           ASN1_GENERALIZEDTIME_adj(other->d.pending->time, time(NULL), 0, reply->pend_seconds) != NULL;
}

static bool set_fail(LAB_OTHER_INFO *other, const struct cmc_reply *reply)
{
    other->type = LAB_OTHER_FAIL;
    other->d.fail = ASN1_INTEGER_new();
    return other->d.fail != NULL && ASN1_INTEGER_set(other->d.fail, reply->fail) == 1;
}

static bool set_other(LAB_STATUS_INFO *info, const struct cmc_reply *reply)
{
    if (reply->pend_token.len == 0 && reply->fail < 0)
        return true;
    info->other = LAB_OTHER_INFO_new();
    if (info->other == NULL)
        return false;
    return reply->pend_token.len > 0 ? set_pending(info->other, reply) : set_fail(info->other, reply);
}

static bool set_text(LAB_STATUS_INFO *info, const struct cmc_reply *reply)
{
    const size_t len = reply->text_len > 0 ? reply->text_len : reply->text == NULL ? 0 : strlen(reply->text);
    if (len == 0)
        return true;
    info->text = ASN1_UTF8STRING_new();
    return info->text != NULL && ASN1_STRING_set(info->text, reply->text, (int)len) == 1;
}

/* Body part 0 is the whole request. RFC 5272 3.2.2 */
static bool set_body(LAB_STATUS_INFO *info, const struct cmc_reply *reply)
{
    ASN1_INTEGER *id = reply->body_part == NULL ? ASN1_INTEGER_new() : ASN1_INTEGER_dup(reply->body_part);
    if (id != NULL && sk_ASN1_INTEGER_push(info->body, id) > 0)
        return true;
    ASN1_INTEGER_free(id);
    return false;
}

static bool add_status(LAB_PKI_RESPONSE *response, const struct cmc_reply *reply)
{
    char oid[32];
    unsigned char *der = NULL;
    int len = -1;
    LAB_STATUS_INFO *info = LAB_STATUS_INFO_new();
    const int arc = reply->version_1 ? CMC_STATUS_INFO : CMC_STATUS_INFO_V2;
    if (info != NULL && ASN1_INTEGER_set(info->status, reply->status) == 1 && set_body(info, reply) &&
        set_text(info, reply) && set_other(info, reply))
        len = i2d_LAB_STATUS_INFO(info, &der);
    LAB_STATUS_INFO_free(info);
    (void)snprintf(oid, sizeof oid, CMC_ARC "%d", arc);
    return add_encoded(response, oid, der, len);
}

/* ---- trust anchors. RFC 5272 6.15 ---- */

static bool anchor_hash(const struct cmc_reply *reply, LAB_TRUST_ANCHORS *anchors)
{
    unsigned char digest[32];
    unsigned len = 0;
    ASN1_OCTET_STRING *hash = ASN1_OCTET_STRING_new();
    if (hash == NULL || X509_digest(reply->anchor, EVP_sha256(), digest, &len) != 1)
        goto failed;
    digest[0] ^= reply->anchor_hash_wrong ? 1 : 0;
    if (ASN1_STRING_set(hash, digest, (int)len) == 1 && sk_ASN1_OCTET_STRING_push(anchors->hashes, hash) > 0)
        return true;
failed:
    ASN1_OCTET_STRING_free(hash);
    return false;
}

static bool add_anchor(LAB_PKI_RESPONSE *response, const struct cmc_reply *reply)
{
    unsigned char *der = NULL;
    int len = -1;
    LAB_TRUST_ANCHORS *anchors = LAB_TRUST_ANCHORS_new();
    if (anchors != NULL && ASN1_INTEGER_set_int64(anchors->sequence, time(NULL)) == 1 &&
        X509_ALGOR_set0(anchors->hash, OBJ_nid2obj(NID_sha256), V_ASN1_UNDEF, NULL) == 1 &&
        anchor_hash(reply, anchors))
        len = i2d_LAB_TRUST_ANCHORS(anchors, &der);
    LAB_TRUST_ANCHORS_free(anchors);
    return add_encoded(response, CMC_ARC "26", der, len);
}

/* ---- all of it ---- */

/* RFC 5272 6.4, 6.6 */
static bool add_echoes(LAB_PKI_RESPONSE *response, const struct cmc_reply *reply)
{
    LAB_CONTROL *returned = NULL;
    if ((reply->transaction != NULL &&
         !add_control(response, CMC_ARC "5", V_ASN1_INTEGER, reply->transaction)) ||
        (reply->sender_nonce != NULL &&
         !add_control(response, CMC_ARC "6", V_ASN1_OCTET_STRING, reply->sender_nonce)) ||
        (reply->recipient_nonce != NULL &&
         !add_control(response, CMC_ARC "7", V_ASN1_OCTET_STRING, reply->recipient_nonce)))
        return false;
    if (reply->returned == NULL)
        return true;
    returned = ASN1_item_dup(ASN1_ITEM_rptr(LAB_CONTROL), reply->returned);
    if (returned != NULL && sk_LAB_CONTROL_push(response->controls, returned) > 0)
        return true;
    LAB_CONTROL_free(returned);
    return false;
}

static bool add_oddities(LAB_PKI_RESPONSE *response, const struct cmc_reply *reply)
{
    bool ok = true;
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    if (value == NULL)
        return false;
    if (reply->alien != NULL)
        ok = add_control(response, reply->alien, V_ASN1_OCTET_STRING, value);
    for (size_t i = 0; ok && i < reply->surplus; i++)
        ok = add_control(response, CMC_ARC "4", V_ASN1_OCTET_STRING, value);
    ASN1_OCTET_STRING_free(value);
    return ok;
}

bool cmc_reply_content(const struct cmc_reply *reply, struct bytes *der)
{
    bool ok = false;
    unsigned char *encoded = NULL;
    int len = 0;
    LAB_PKI_RESPONSE *response = LAB_PKI_RESPONSE_new();
    if (response == NULL || (reply->status >= 0 && !add_status(response, reply)) ||
        !add_echoes(response, reply) || (reply->anchor != NULL && !add_anchor(response, reply)) ||
        !add_oddities(response, reply))
        goto cleanup;
    len = i2d_LAB_PKI_RESPONSE(response, &encoded);
    ok = len > 0 && bytes_append(der, encoded, (size_t)len);
cleanup:
    OPENSSL_free(encoded);
    LAB_PKI_RESPONSE_free(response);
    return ok;
}
