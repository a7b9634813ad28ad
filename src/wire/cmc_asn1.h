/* The structures of CMC as OpenSSL templates; for the cmc_*.c of this room and for tests. */
#ifndef EST_WIRE_CMC_ASN1_H
#define EST_WIRE_CMC_ASN1_H

#include <openssl/asn1t.h>
#include <openssl/crmf.h>
#include <openssl/x509.h>

/* The last arc of id-cmc (RFC 5272 appendix A, RFC 6402 2.2). */
typedef enum est_cmc_control {
    EST_CMC_CONTROL_OTHER = 0, /* not of id-cmc */
    EST_CMC_STATUS_INFO = 1,
    EST_CMC_IDENTIFICATION = 2,
    EST_CMC_TRANSACTION_ID = 5,
    EST_CMC_SENDER_NONCE = 6,
    EST_CMC_RECIPIENT_NONCE = 7,
    EST_CMC_ENCRYPTED_POP = 9,
    EST_CMC_QUERY_PENDING = 21,
    EST_CMC_POP_LINK_RANDOM = 22,
    EST_CMC_CONFIRM_ACCEPTANCE = 24,
    EST_CMC_STATUS_INFO_V2 = 25,
    EST_CMC_TRUSTED_ANCHORS = 26,
    EST_CMC_AUTH_DATA = 27,
    EST_CMC_BATCH_RESPONSES = 29,
    EST_CMC_IDENTITY_PROOF_V2 = 34,
    EST_CMC_RESPONSE_BODY = 37
} est_cmc_control;

ASN1_OBJECT *est_cmc_control_object(est_cmc_control control); /* ASN1_OBJECT_free(); NULL on failure */
est_cmc_control est_cmc_control_of(const ASN1_OBJECT *object);

typedef struct est_cmc_attribute {
    ASN1_INTEGER *id;
    ASN1_OBJECT *type;
    STACK_OF(ASN1_TYPE) *values;
} est_cmc_attribute;

typedef struct est_cmc_certification_request {
    ASN1_INTEGER *id;
    X509_REQ *request;
} est_cmc_certification_request;

typedef struct est_cmc_other_request {
    ASN1_INTEGER *id;
    ASN1_OBJECT *type;
    ASN1_TYPE *value;
} est_cmc_other_request;

typedef struct est_cmc_tagged_request {
    int type; /* EST_CMC_TCR … */
    union {
        est_cmc_certification_request *tcr;
        OSSL_CRMF_MSG *crm;
        est_cmc_other_request *orm;
    } value;
} est_cmc_tagged_request;

enum { EST_CMC_TCR = 0, EST_CMC_CRM, EST_CMC_ORM };

typedef struct est_cmc_content_info {
    ASN1_INTEGER *id;
    ASN1_TYPE *info;
} est_cmc_content_info;

DEFINE_STACK_OF(est_cmc_attribute)
DEFINE_STACK_OF(est_cmc_tagged_request)
DEFINE_STACK_OF(est_cmc_content_info)
DEFINE_STACK_OF(est_cmc_other_request)

typedef STACK_OF(est_cmc_tagged_request) est_cmc_requests;

typedef struct est_cmc_pki_data {
    STACK_OF(est_cmc_attribute) *controls;
    est_cmc_requests *requests;
    STACK_OF(est_cmc_content_info) *contents;
    STACK_OF(est_cmc_other_request) *others; /* OtherMsg has the same shape */
} est_cmc_pki_data;

typedef struct est_cmc_pki_response {
    STACK_OF(est_cmc_attribute) *controls;
    STACK_OF(est_cmc_content_info) *contents;
    STACK_OF(est_cmc_other_request) *others;
} est_cmc_pki_response;

/* Both versions: in version 1 the body parts are numbers only. */
typedef struct est_cmc_status_info {
    ASN1_INTEGER *status;
    STACK_OF(ASN1_TYPE) *bodies;
    ASN1_UTF8STRING *text;
    ASN1_TYPE *other;
} est_cmc_status_info;

typedef struct est_cmc_pend_info {
    ASN1_OCTET_STRING *token;
    ASN1_GENERALIZEDTIME *time;
} est_cmc_pend_info;

typedef struct est_cmc_extended_fail {
    ASN1_OBJECT *type;
    ASN1_TYPE *value;
} est_cmc_extended_fail;

DEFINE_STACK_OF(ASN1_OCTET_STRING)

typedef struct est_cmc_published {
    ASN1_INTEGER *sequence;
    X509_ALGOR *digest;
    STACK_OF(ASN1_OCTET_STRING) *hashes;
} est_cmc_published;

typedef struct est_cmc_identity_proof {
    X509_ALGOR *digest;
    X509_ALGOR *mac;
    ASN1_OCTET_STRING *witness;
} est_cmc_identity_proof;

DECLARE_ASN1_ITEM(est_cmc_attribute)
DECLARE_ASN1_ITEM(est_cmc_certification_request)
DECLARE_ASN1_ITEM(est_cmc_other_request)
DECLARE_ASN1_ITEM(est_cmc_tagged_request)
DECLARE_ASN1_ITEM(est_cmc_requests)
DECLARE_ASN1_ITEM(est_cmc_content_info)
DECLARE_ASN1_ITEM(est_cmc_pki_data)
DECLARE_ASN1_ITEM(est_cmc_pki_response)
DECLARE_ASN1_ITEM(est_cmc_status_info)
DECLARE_ASN1_ITEM(est_cmc_pend_info)
DECLARE_ASN1_ITEM(est_cmc_extended_fail)
DECLARE_ASN1_ITEM(est_cmc_published)
DECLARE_ASN1_ITEM(est_cmc_identity_proof)

#endif
