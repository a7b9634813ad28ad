/* What a verified OCSP response says about one certificate (R1, RFC 6960 4.2.1). */
#include "revocation/ocsp.h"

#include <openssl/err.h>
#include <string.h>

#define WHAT "the OCSP response"

/* RFC 5280 4.1.2.5.2: YYYYMMDDHHMMSSZ and nothing else. */
static bool read_time(const ASN1_GENERALIZEDTIME *at, time_t *out)
{
    return at != NULL && ASN1_STRING_length(at) == 15 && ASN1_STRING_get0_data(at)[14] == 'Z' &&
           est_asn1_time(at, out);
}

/* --- whose is it? --- */

/* The responder chooses the hash; it only has to be one that is still hard to match a second time. */
static const EVP_MD *digest_of(const ASN1_OBJECT *algorithm)
{
    switch (OBJ_obj2nid(algorithm)) {
    case NID_sha1:
        return EVP_sha1();
    case NID_sha256:
        return EVP_sha256();
    case NID_sha384:
        return EVP_sha384();
    case NID_sha512:
        return EVP_sha512();
    default:
        return NULL;
    }
}

/* RFC 6960 4.1.1: issuer's name and key under the responder's hash, and the serial number. */
static estuary_status is_about(const est_question *question, OCSP_SINGLERESP *single, bool *about,
                               estuary_error *err)
{
    ASN1_OBJECT *algorithm = NULL;
    ASN1_INTEGER *serial = NULL;
    ASN1_OCTET_STRING *name = NULL, *key = NULL, *own_name = NULL, *own_key = NULL;
    OCSP_CERTID *id = (OCSP_CERTID *)OCSP_SINGLERESP_get0_id(single);
    *about = false;
    if (OCSP_id_get0_info(&name, &algorithm, &key, &serial, id) != 1)
        return est_fail_openssl(err, EST_OCSP_MALFORMED, NULL);
    const EVP_MD *digest = digest_of(algorithm);
    if (digest == NULL || ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(question->certificate)) != 0)
        return ESTUARY_OK;
    OCSP_CERTID *own = OCSP_cert_to_id(digest, question->certificate, question->issuer);
    if (own == NULL || OCSP_id_get0_info(&own_name, NULL, &own_key, NULL, own) != 1) {
        OCSP_CERTID_free(own);
        return est_fail_openssl(err, EST_CRYPTO, NULL);
    }
    *about = ASN1_OCTET_STRING_cmp(name, own_name) == 0 && ASN1_OCTET_STRING_cmp(key, own_key) == 0;
    OCSP_CERTID_free(own);
    return ESTUARY_OK;
}

/* --- what does it say? --- */

/* The dates stay with an "unknown" too: the cache compares them. */
static void keep_dates(estuary_verdict *verdict, time_t this_update, time_t next_update)
{
    verdict->this_update = this_update;
    verdict->next_update = next_update;
}

/* RFC 6960 2.4: thisUpdate is known when the response is produced, and both lie behind us. */
static bool was_produced_in_time(const est_question *question, const OCSP_BASICRESP *basic,
                                 time_t this_update, estuary_verdict *verdict)
{
    time_t produced = 0;
    if (!read_time(OCSP_resp_get0_produced_at(basic), &produced)) {
        est_verdict_unknown(verdict, EST_OCSP_MALFORMED, "the OCSP response's producedAt cannot be read");
        return false;
    }
    if (produced > question->now + question->skew || produced < this_update - question->skew) {
        est_verdict_unknown(verdict, EST_OCSP_PRODUCED_AT, NULL);
        return false;
    }
    return true;
}

static void set_revoked(estuary_verdict *verdict, int reason, const ASN1_GENERALIZEDTIME *at)
{
    verdict->status = ESTUARY_REVOCATION_REVOKED;
    verdict->reason = reason >= 0 && reason <= 10 ? reason : -1;
    if (!read_time(at, &verdict->revoked_at))
        verdict->revoked_at = 0; /* it is revoked all the same */
}

/* "good" is said at the very end, when nothing else is left to say. */
static void read_single(const est_question *question, const OCSP_BASICRESP *basic, OCSP_SINGLERESP *single,
                        estuary_verdict *verdict)
{
    ASN1_GENERALIZEDTIME *revoked_at = NULL, *this_at = NULL, *next_at = NULL;
    time_t this_update = 0, next_update = 0;
    int reason = -1;
    int said = OCSP_single_get0_status(single, &reason, &revoked_at, &this_at, &next_at);
    if (!read_time(this_at, &this_update) || (next_at != NULL && !read_time(next_at, &next_update))) {
        est_verdict_unknown(verdict, EST_OCSP_MALFORMED, "the OCSP response's dates cannot be read");
        return;
    }
    if (!est_question_is_fresh(question, this_update, next_update, WHAT, verdict) ||
        !was_produced_in_time(question, basic, this_update, verdict)) {
        keep_dates(verdict, this_update, next_update);
        return;
    }
    est_verdict_unknown(verdict, EST_OCSP_UNKNOWN_CERTIFICATE, NULL);
    keep_dates(verdict, this_update, next_update);
    if (said == V_OCSP_CERTSTATUS_REVOKED) {
        set_revoked(verdict, reason, revoked_at);
        verdict->code = EST_OK_CODE;
        verdict->why[0] = '\0';
    } else if (said == V_OCSP_CERTSTATUS_GOOD) {
        verdict->code = EST_OK_CODE;
        verdict->why[0] = '\0';
        verdict->status = ESTUARY_REVOCATION_GOOD;
    }
}

/* R0, and no "good" beside a doubt. */
static bool outweighs(const estuary_verdict *one, const estuary_verdict *other)
{
    static const int weight[] = {
        [ESTUARY_REVOCATION_GOOD] = 0, [ESTUARY_REVOCATION_UNKNOWN] = 1, [ESTUARY_REVOCATION_REVOKED] = 2};
    return weight[one->status] > weight[other->status];
}

estuary_status est_ocsp_read_status(const est_question *question, OCSP_BASICRESP *basic,
                                    estuary_verdict *verdict, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    bool any = false;
    estuary_verdict said = *verdict, one;
    est_verdict_unknown(&said, EST_OCSP_OTHER_CERTIFICATE, NULL);
    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        bool about = false;
        EST_TRY(is_about(question, OCSP_resp_get0(basic, i), &about, err));
        if (!about)
            continue;
        one = *verdict;
        read_single(question, basic, OCSP_resp_get0(basic, i), &one);
        if (!any || outweighs(&one, &said))
            said = one;
        any = true;
    }
    *verdict = said;
cleanup:
    return status;
}
