/* An OCSP response from its plan. RFC 6960 4.2 */
#include "revocation.h"

static bool add_item(OCSP_BASICRESP *basic, const struct ocsp_plan *plan, const struct ocsp_item *item,
                     int status)
{
    ASN1_TIME *this_update = ASN1_TIME_adj(NULL, plan->this_update, 0, 0);
    ASN1_TIME *next_update = plan->next_update == 0 ? NULL : ASN1_TIME_adj(NULL, plan->next_update, 0, 0);
    ASN1_TIME *revoked_at =
        status == V_OCSP_CERTSTATUS_REVOKED ? ASN1_TIME_adj(NULL, item->revoked_at, 0, 0) : NULL;
    OCSP_SINGLERESP *single = NULL;
    bool ok = this_update != NULL && (plan->next_update == 0 || next_update != NULL) &&
              (status != V_OCSP_CERTSTATUS_REVOKED || revoked_at != NULL);
    if (ok)
        single = OCSP_basic_add1_status(basic, item->id, status, item->reason, revoked_at, this_update,
                                        next_update);
    ok = single != NULL &&
         (plan->single_extension == NULL || OCSP_SINGLERESP_add_ext(single, plan->single_extension, -1) == 1);
    ASN1_TIME_free(this_update);
    ASN1_TIME_free(next_update);
    ASN1_TIME_free(revoked_at);
    return ok;
}

static bool add_items(OCSP_BASICRESP *basic, const struct ocsp_plan *plan)
{
    bool ok = true;
    for (size_t i = 0; ok && i < plan->item_count; i++) {
        const struct ocsp_item *item = &plan->items[i];
        ok = add_item(basic, plan, item, item->status);
        if (ok && plan->contradict)
            ok = add_item(basic, plan, item,
                          item->status == V_OCSP_CERTSTATUS_GOOD ? V_OCSP_CERTSTATUS_REVOKED
                                                                 : V_OCSP_CERTSTATUS_GOOD);
    }
    return ok;
}

static bool add_extensions(OCSP_BASICRESP *basic, const struct ocsp_plan *plan)
{
    return (plan->nonce == NULL || OCSP_BASICRESP_add_ext(basic, plan->nonce, -1) == 1) &&
           (plan->extension == NULL || OCSP_BASICRESP_add_ext(basic, plan->extension, -1) == 1);
}

/* OpenSSL would only ever write the clock's time. */
static bool set_produced_at(const OCSP_BASICRESP *basic, time_t at)
{
    ASN1_GENERALIZEDTIME *produced_at = (ASN1_GENERALIZEDTIME *)OCSP_resp_get0_produced_at(basic);
    return ASN1_GENERALIZEDTIME_set(produced_at, at) != NULL;
}

/* The signature is not the last of the encoding: certificates may follow. */
static void corrupt(const OCSP_BASICRESP *basic)
{
    const ASN1_OCTET_STRING *signature = OCSP_resp_get0_signature(basic);
    unsigned char *octets = (unsigned char *)ASN1_STRING_get0_data(signature);
    octets[ASN1_STRING_length(signature) - 1] ^= 1;
}

static OCSP_BASICRESP *make_basic(const struct ocsp_plan *plan)
{
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    if (basic == NULL)
        return NULL;
    if (!add_items(basic, plan) || !add_extensions(basic, plan) ||
        !set_produced_at(basic, plan->produced_at) ||
        OCSP_basic_sign(basic, plan->signer, plan->key, plan->digest == NULL ? EVP_sha256() : plan->digest,
                        NULL, plan->flags | OCSP_NOTIME) != 1) {
        OCSP_BASICRESP_free(basic);
        return NULL;
    }
    if (plan->corrupt)
        corrupt(basic);
    return basic;
}

/* RFC 6960 4.2.1: without "successful" there is nothing but the status. */
bool ocsp_encode(const struct ocsp_plan *plan, struct bytes *der)
{
    const bool full = plan->response_status == OCSP_RESPONSE_STATUS_SUCCESSFUL && plan->signer != NULL;
    OCSP_BASICRESP *basic = full ? make_basic(plan) : NULL;
    OCSP_RESPONSE *response =
        full && basic == NULL ? NULL : OCSP_response_create(plan->response_status, basic);
    unsigned char *encoded = NULL;
    const int len = response == NULL ? -1 : i2d_OCSP_RESPONSE(response, &encoded);
    const bool ok = len > 0 && bytes_append(der, encoded, (size_t)len);
    OPENSSL_free(encoded);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    return ok;
}
