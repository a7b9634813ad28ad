#include "wire/wire.h"

#include <openssl/asn1t.h>

/*
 * RFC 2986 4, with the public key as it stands: reading the key is what makes reading a whole request dear
 * (a million instructions of OpenSSL 3.0's decoders), and nothing in it is sorted.
 */
typedef struct est_request_body {
    ASN1_INTEGER *version;
    X509_NAME *subject;
    ASN1_STRING *key;
    STACK_OF(X509_ATTRIBUTE) *attributes;
} est_request_body;

typedef struct est_request_shape {
    est_request_body *body;
    X509_ALGOR *algorithm;
    ASN1_BIT_STRING *signature;
} est_request_shape;

/* clang-format off */

ASN1_SEQUENCE(est_request_body) = {
    ASN1_SIMPLE(est_request_body, version, ASN1_INTEGER),
    ASN1_SIMPLE(est_request_body, subject, X509_NAME),
    ASN1_SIMPLE(est_request_body, key, ASN1_SEQUENCE),
    ASN1_IMP_SET_OF_OPT(est_request_body, attributes, X509_ATTRIBUTE, 0)
} static_ASN1_SEQUENCE_END(est_request_body)

ASN1_SEQUENCE(est_request_shape) = {
    ASN1_SIMPLE(est_request_shape, body, est_request_body),
    ASN1_SIMPLE(est_request_shape, algorithm, X509_ALGOR),
    ASN1_SIMPLE(est_request_shape, signature, ASN1_BIT_STRING)
} static_ASN1_SEQUENCE_END(est_request_shape)

    /* clang-format on */

    /*
     * Short of memory while it sorts a SET OF, OpenSSL 3.0 says nothing and leaves in the buffer what was
     * there before: what was written is read again.
     */
    int est_request_encode(const X509_REQ *request, unsigned char **der)
{
    *der = NULL;
    int len = i2d_X509_REQ(request, der);
    const unsigned char *in = *der;
    const ASN1_ITEM *shape = ASN1_ITEM_rptr(est_request_shape);
    ASN1_VALUE *again = len <= 0 ? NULL : ASN1_item_d2i(NULL, &in, len, shape);
    bool whole = again != NULL && in == *der + len;
    ASN1_item_free(again, shape);
    if (whole)
        return len;
    OPENSSL_free(*der);
    *der = NULL;
    return -1;
}
