/* RFC 5272 appendix A with the changes of RFC 6402; the module's tags are implicit. */
#include "wire/cmc_asn1.h"

#include "wire/wire.h"

#include <openssl/objects.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_CMC      "1.3.6.1.5.5.7.7."
#define CONTROL_MAX 99

/* clang-format off */

/* RFC 5272 3.2.1.1 */
ASN1_SEQUENCE(est_cmc_attribute) = {
    ASN1_SIMPLE(est_cmc_attribute, id, ASN1_INTEGER),
    ASN1_SIMPLE(est_cmc_attribute, type, ASN1_OBJECT),
    ASN1_SET_OF(est_cmc_attribute, values, ASN1_ANY)
} ASN1_SEQUENCE_END(est_cmc_attribute)

/* RFC 5272 3.2.1.2 */
ASN1_SEQUENCE(est_cmc_certification_request) = {
    ASN1_SIMPLE(est_cmc_certification_request, id, ASN1_INTEGER),
    ASN1_SIMPLE(est_cmc_certification_request, request, X509_REQ)
} ASN1_SEQUENCE_END(est_cmc_certification_request)

ASN1_SEQUENCE(est_cmc_other_request) = {
    ASN1_SIMPLE(est_cmc_other_request, id, ASN1_INTEGER),
    ASN1_SIMPLE(est_cmc_other_request, type, ASN1_OBJECT),
    ASN1_SIMPLE(est_cmc_other_request, value, ASN1_ANY)
} ASN1_SEQUENCE_END(est_cmc_other_request)

ASN1_CHOICE(est_cmc_tagged_request) = {
    ASN1_IMP(est_cmc_tagged_request, value.tcr, est_cmc_certification_request, EST_CMC_TCR),
    ASN1_IMP(est_cmc_tagged_request, value.crm, OSSL_CRMF_MSG, EST_CMC_CRM), /* RFC 4211 3 */
    ASN1_IMP(est_cmc_tagged_request, value.orm, est_cmc_other_request, EST_CMC_ORM)
} ASN1_CHOICE_END(est_cmc_tagged_request)

/* Of its own, because the identity proof is taken over it (RFC 5272 6.2.1). */
ASN1_ITEM_TEMPLATE(est_cmc_requests) =
    ASN1_EX_TEMPLATE_TYPE(ASN1_TFLG_SEQUENCE_OF, 0, requests, est_cmc_tagged_request)
ASN1_ITEM_TEMPLATE_END(est_cmc_requests)

/* RFC 5272 3.2.1.3 */
ASN1_SEQUENCE(est_cmc_content_info) = {
    ASN1_SIMPLE(est_cmc_content_info, id, ASN1_INTEGER),
    ASN1_SIMPLE(est_cmc_content_info, info, ASN1_ANY)
} ASN1_SEQUENCE_END(est_cmc_content_info)

/* RFC 5272 3.2.1 */
ASN1_SEQUENCE(est_cmc_pki_data) = {
    ASN1_SEQUENCE_OF(est_cmc_pki_data, controls, est_cmc_attribute),
    ASN1_SEQUENCE_OF(est_cmc_pki_data, requests, est_cmc_tagged_request),
    ASN1_SEQUENCE_OF(est_cmc_pki_data, contents, est_cmc_content_info),
    ASN1_SEQUENCE_OF(est_cmc_pki_data, others, est_cmc_other_request)
} ASN1_SEQUENCE_END(est_cmc_pki_data)

/* RFC 5272 4.2.1 */
ASN1_SEQUENCE(est_cmc_pki_response) = {
    ASN1_SEQUENCE_OF(est_cmc_pki_response, controls, est_cmc_attribute),
    ASN1_SEQUENCE_OF(est_cmc_pki_response, contents, est_cmc_content_info),
    ASN1_SEQUENCE_OF(est_cmc_pki_response, others, est_cmc_other_request)
} ASN1_SEQUENCE_END(est_cmc_pki_response)

/* RFC 5272 6.1.1, 6.1.2 */
ASN1_SEQUENCE(est_cmc_status_info) = {
    ASN1_SIMPLE(est_cmc_status_info, status, ASN1_INTEGER),
    ASN1_SEQUENCE_OF(est_cmc_status_info, bodies, ASN1_ANY),
    ASN1_OPT(est_cmc_status_info, text, ASN1_UTF8STRING),
    ASN1_OPT(est_cmc_status_info, other, ASN1_ANY)
} ASN1_SEQUENCE_END(est_cmc_status_info)

ASN1_SEQUENCE(est_cmc_pend_info) = {
    ASN1_SIMPLE(est_cmc_pend_info, token, ASN1_OCTET_STRING),
    ASN1_SIMPLE(est_cmc_pend_info, time, ASN1_GENERALIZEDTIME)
} ASN1_SEQUENCE_END(est_cmc_pend_info)

ASN1_SEQUENCE(est_cmc_extended_fail) = {
    ASN1_SIMPLE(est_cmc_extended_fail, type, ASN1_OBJECT),
    ASN1_SIMPLE(est_cmc_extended_fail, value, ASN1_ANY)
} ASN1_SEQUENCE_END(est_cmc_extended_fail)

/* RFC 5272 6.15 */
ASN1_SEQUENCE(est_cmc_published) = {
    ASN1_SIMPLE(est_cmc_published, sequence, ASN1_INTEGER),
    ASN1_SIMPLE(est_cmc_published, digest, X509_ALGOR),
    ASN1_SEQUENCE_OF(est_cmc_published, hashes, ASN1_OCTET_STRING)
} ASN1_SEQUENCE_END(est_cmc_published)

/* RFC 5272 6.2.1 */
ASN1_SEQUENCE(est_cmc_identity_proof) = {
    ASN1_SIMPLE(est_cmc_identity_proof, digest, X509_ALGOR),
    ASN1_SIMPLE(est_cmc_identity_proof, mac, X509_ALGOR),
    ASN1_SIMPLE(est_cmc_identity_proof, witness, ASN1_OCTET_STRING)
} ASN1_SEQUENCE_END(est_cmc_identity_proof)

                                  /* clang-format on */

                                  ASN1_OBJECT
                                  * est_cmc_control_object(est_cmc_control control)
{
    char oid[sizeof(ID_CMC) + 4];
    snprintf(oid, sizeof(oid), "%s%d", ID_CMC, (int)control % (CONTROL_MAX + 1));
    return OBJ_txt2obj(oid, 1);
}

est_cmc_control est_cmc_control_of(const ASN1_OBJECT *object)
{
    char oid[64];
    int len = OBJ_obj2txt(oid, sizeof(oid), object, 1);
    if (len <= 0 || (size_t)len >= sizeof(oid) || strncmp(oid, ID_CMC, strlen(ID_CMC)) != 0)
        return EST_CMC_CONTROL_OTHER;
    long arc = strtol(oid + strlen(ID_CMC), NULL, 10);
    return arc > 0 && arc <= CONTROL_MAX ? (est_cmc_control)arc : EST_CMC_CONTROL_OTHER;
}
