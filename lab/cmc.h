/* Full CMC: the messages' types, a request as the lab has read it, an answer before it is encoded.
 * RFC 5272, RFC 6402, RFC 4211 */
#ifndef ESTUARY_LAB_CMC_H
#define ESTUARY_LAB_CMC_H

#include "lab.h"

#include <openssl/asn1t.h>
#include <openssl/cms.h>

/* ---- cmc_asn1.c ---- */

/* RFC 5272 3.2.1.1 */
typedef struct {
    ASN1_INTEGER *id;
    ASN1_OBJECT *type;
    STACK_OF(ASN1_TYPE) *values;
} LAB_CONTROL;
DEFINE_STACK_OF(LAB_CONTROL)

/* RFC 4211 6 */
typedef struct {
    ASN1_INTEGER *version;
    ASN1_INTEGER *serial;
    X509_ALGOR *signing;
    X509_NAME *issuer;
    ASN1_STRING *validity; /* as it is encoded */
    X509_NAME *subject;
    X509_PUBKEY *key;
    ASN1_BIT_STRING *issuer_uid;
    ASN1_BIT_STRING *subject_uid;
    STACK_OF(X509_EXTENSION) *extensions;
} LAB_CERT_TEMPLATE;

/* RFC 4211 5 */
typedef struct {
    ASN1_INTEGER *id;
    LAB_CERT_TEMPLATE *wanted;
    STACK_OF(ASN1_TYPE) *controls;
} LAB_CERT_REQUEST;

/* RFC 4211 4.1 */
typedef struct {
    ASN1_STRING *input;
    X509_ALGOR *algorithm;
    ASN1_BIT_STRING *signature;
} LAB_POP_SIGNATURE;

enum { LAB_POP_SIGNED = 1 };

typedef struct {
    int type;
    union {
        ASN1_NULL *ra_verified;
        LAB_POP_SIGNATURE *signature;
        ASN1_TYPE *other;
    } d;
} LAB_POP;

typedef struct {
    LAB_CERT_REQUEST *request;
    LAB_POP *pop;
    STACK_OF(ASN1_TYPE) *info;
} LAB_CERT_REQ_MSG;

typedef struct {
    ASN1_INTEGER *id;
    X509_REQ *csr;
} LAB_TAGGED_PKCS10;

enum { LAB_REQUEST_PKCS10 = 0, LAB_REQUEST_CRMF = 1 };

/* RFC 5272 3.2.1.2 */
typedef struct {
    int type;
    union {
        LAB_TAGGED_PKCS10 *pkcs10;
        LAB_CERT_REQ_MSG *crmf;
        ASN1_STRING *other;
    } d;
} LAB_TAGGED_REQUEST;
DEFINE_STACK_OF(LAB_TAGGED_REQUEST)

/* RFC 5272 3.2.1 */
typedef struct {
    STACK_OF(LAB_CONTROL) *controls;
    STACK_OF(LAB_TAGGED_REQUEST) *requests;
    STACK_OF(ASN1_TYPE) *cms;
    STACK_OF(ASN1_TYPE) *others;
} LAB_PKI_DATA;

/* RFC 5272 4.2.1 */
typedef struct {
    STACK_OF(LAB_CONTROL) *controls;
    STACK_OF(ASN1_TYPE) *cms;
    STACK_OF(ASN1_TYPE) *others;
} LAB_PKI_RESPONSE;

/* RFC 5272 6.2.1 */
typedef struct {
    X509_ALGOR *hash;
    X509_ALGOR *mac;
    ASN1_OCTET_STRING *witness;
} LAB_IDENTITY_PROOF;

/* RFC 5272 6.1.1 */
typedef struct {
    ASN1_OCTET_STRING *token;
    ASN1_GENERALIZEDTIME *time;
} LAB_PEND_INFO;

enum { LAB_OTHER_FAIL = 0, LAB_OTHER_PENDING = 1 };

typedef struct {
    int type;
    union {
        ASN1_INTEGER *fail;
        LAB_PEND_INFO *pending;
    } d;
} LAB_OTHER_INFO;

typedef struct {
    ASN1_INTEGER *status;
    STACK_OF(ASN1_INTEGER) *body;
    ASN1_UTF8STRING *text;
    LAB_OTHER_INFO *other;
} LAB_STATUS_INFO;

DEFINE_STACK_OF(ASN1_OCTET_STRING)

/* RFC 5272 6.15 */
typedef struct {
    ASN1_INTEGER *sequence;
    X509_ALGOR *hash;
    STACK_OF(ASN1_OCTET_STRING) *hashes;
} LAB_TRUST_ANCHORS;

DECLARE_ASN1_FUNCTIONS(LAB_CONTROL)
DECLARE_ASN1_FUNCTIONS(LAB_CERT_REQUEST)
DECLARE_ASN1_FUNCTIONS(LAB_PKI_DATA)
DECLARE_ASN1_FUNCTIONS(LAB_PKI_RESPONSE)
DECLARE_ASN1_FUNCTIONS(LAB_IDENTITY_PROOF)
DECLARE_ASN1_FUNCTIONS(LAB_STATUS_INFO)
DECLARE_ASN1_FUNCTIONS(LAB_PEND_INFO)
DECLARE_ASN1_FUNCTIONS(LAB_OTHER_INFO)
DECLARE_ASN1_FUNCTIONS(LAB_TRUST_ANCHORS)

/* RFC 5272 6.1.3, 6.1.4 */
enum cmc_status { CMC_SUCCESS = 0, CMC_FAILED = 2, CMC_PENDING = 3, CMC_NO_SUPPORT = 4 };
enum cmc_fail {
    CMC_NO_FAIL = -1,
    CMC_BAD_ALG = 0,
    CMC_BAD_MESSAGE_CHECK = 1,
    CMC_BAD_REQUEST = 2,
    CMC_BAD_IDENTITY = 7,
    CMC_POP_REQUIRED = 8,
    CMC_POP_FAILED = 9,
    CMC_INTERNAL_CA_ERROR = 11,
};

/* id-cmc and one arc more. RFC 5272 6, table 1 */
#define CMC_ARC "1.3.6.1.5.5.7.7."
enum cmc_control {
    CMC_STATUS_INFO = 1,
    CMC_IDENTIFICATION = 2,
    CMC_DATA_RETURN = 4,
    CMC_TRANSACTION_ID = 5,
    CMC_SENDER_NONCE = 6,
    CMC_RECIPIENT_NONCE = 7,
    CMC_REG_INFO = 18,
    CMC_QUERY_PENDING = 21,
    CMC_STATUS_INFO_V2 = 25,
    CMC_TRUSTED_ANCHORS = 26,
    CMC_IDENTITY_PROOF_V2 = 34,
};

/* ---- cmc_request.c, cmc_crmf.c, cmc_proof.c ---- */

enum cmc_proof { CMC_PROOF_NONE, CMC_PROOF_CERTIFICATE, CMC_PROOF_SECRET };

struct cmc_request {
    CMS_ContentInfo *cms;
    LAB_PKI_DATA *data;
    struct bytes content;          /* the PKIData */
    X509_REQ *csr;                 /* a PKCS#10 body, or a CRMF one put into this form */
    const ASN1_INTEGER *body_part; /* of the certification request */
    enum cmc_proof proof;
    enum cmc_fail fail; /* when not CMC_NO_FAIL: why it is refused, with text */
    const char *text;
};

/* The structure only; false: no Full PKI Request. */
bool cmc_request_parse(const struct bytes *der, struct cmc_request *request, const char **why);
/* The certification request in it and its proof of possession; false: fail and text are set. */
bool cmc_request_body(struct cmc_request *request);
/* Who signed: a certificate of this CA, or the key of the certification request csr. */
bool cmc_request_signature(const struct lab *lab, struct cmc_request *request, X509_REQ *csr);
bool cmc_request_refuse(struct cmc_request *request, enum cmc_fail fail, const char *text);
void cmc_request_clear(struct cmc_request *request);
/* The control's only value when it is of this ASN.1 type. */
const ASN1_TYPE *cmc_control_value(const LAB_PKI_DATA *data, enum cmc_control which, int type);
const LAB_CONTROL *cmc_find_control(const LAB_PKI_DATA *data, enum cmc_control which);
X509_REQ *cmc_crmf_read(const LAB_CERT_REQ_MSG *message, enum cmc_fail *fail);
/* identityProofV2, when there is one; false: wrong. RFC 5272 6.2.1 */
bool cmc_proof_check(const struct lab *lab, struct cmc_request *request);

/* ---- cmc_content.c, cmc_response.c ---- */

enum cmc_signer { CMC_SIGNER_RA, CMC_SIGNER_CA, CMC_SIGNER_PLAIN, CMC_SIGNER_STRANGER, CMC_SIGNER_NOBODY };

struct cmc_reply {
    int http_status;
    long status; /* -1: no status control at all */
    long fail;   /* -1: none */
    const char *text;
    size_t text_len;
    const ASN1_INTEGER *body_part;
    struct bytes pend_token; /* empty: no pendInfo */
    long pend_seconds;
    ASN1_INTEGER *transaction; /* NULL: none; so with the nonces */
    ASN1_OCTET_STRING *sender_nonce;
    ASN1_OCTET_STRING *recipient_nonce;
    const LAB_CONTROL *returned;  /* dataReturn of the request. RFC 5272 6.4 */
    STACK_OF(X509) *certificates; /* issued ones first */
    X509 *anchor;                 /* to be published; NULL: none */
    bool anchor_hash_wrong;
    bool version_1;    /* id-cmc-statusInfo */
    size_t surplus;    /* so many more dataReturn controls */
    const char *alien; /* the OID of one more control */
    enum cmc_signer signer;
    int content_nid; /* eContentType */
    bool nested;
    bool spoil_signature;
    bool omit_signer_certificate;
    bool simple; /* a Simple PKI Response: certificates only. RFC 5272 4.1 */
};

bool cmc_reply_encode(const struct lab *lab, const struct cmc_reply *reply, struct bytes *der);
bool cmc_reply_content(const struct cmc_reply *reply, struct bytes *der);
void cmc_reply_clear(struct cmc_reply *reply);

#endif
