/* What a CRL says about itself (RFC 5280 5.2). */
#include "wire/crl_der.h"
#include "wire/crl_parts.h"

#include <openssl/err.h>
#include <openssl/objects.h>

#define NUMBER_MAX     20 /* bytes (RFC 5280 5.2.3) */
#define EXTENSIONS_MAX 64 /* each is compared with each */

/* Strict: nothing behind it, and the encoding is the one that OpenSSL itself would write. */
static void *read_value(const X509_EXTENSION *ext, const ASN1_ITEM *item)
{
    const ASN1_OCTET_STRING *data = X509_EXTENSION_get_data((X509_EXTENSION *)ext);
    const uint8_t *at = ASN1_STRING_get0_data(data);
    int len = ASN1_STRING_length(data);
    const uint8_t *end = at + len;
    uint8_t *again = NULL;
    ASN1_VALUE *value = ASN1_item_d2i(NULL, &at, len, item);
    int again_len = value == NULL ? -1 : ASN1_item_i2d(value, &again, item);
    bool is_strict =
        at == end && again != NULL && again_len == len && memcmp(again, end - len, (size_t)len) == 0;
    OPENSSL_free(again);
    if (is_strict)
        return value;
    ASN1_item_free(value, item);
    return NULL;
}

static bool read_number(const X509_EXTENSION *ext, ASN1_INTEGER **out)
{
    *out = read_value(ext, ASN1_ITEM_rptr(ASN1_INTEGER));
    return *out != NULL && ASN1_STRING_type(*out) == V_ASN1_INTEGER && ASN1_STRING_length(*out) <= NUMBER_MAX;
}

/* RFC 5280 5.2.5: at most one of the three, and never an empty sequence. */
static bool read_idp(const X509_EXTENSION *ext, est_crl *crl)
{
    ISSUING_DIST_POINT *idp = read_value(ext, ASN1_ITEM_rptr(ISSUING_DIST_POINT));
    crl->idp = idp;
    if (idp == NULL)
        return false;
    int only = (idp->onlyuser > 0) + (idp->onlyCA > 0) + (idp->onlyattr > 0);
    crl->indirect = idp->indirectCRL > 0;
    return only <= 1 &&
           (only == 1 || crl->indirect || idp->distpoint != NULL || idp->onlysomereasons != NULL);
}

static bool read_freshest(const X509_EXTENSION *ext, est_crl *crl)
{
    crl->freshest = read_value(ext, ASN1_ITEM_rptr(CRL_DIST_POINTS));
    return crl->freshest != NULL;
}

static bool read_akid(const X509_EXTENSION *ext, est_crl *crl)
{
    crl->akid = read_value(ext, ASN1_ITEM_rptr(AUTHORITY_KEYID));
    return crl->akid != NULL;
}

/* RFC 5280 5.2: a critical one that cannot be processed forbids the use of the CRL. */
static estuary_status read_extension(const X509_EXTENSION *ext, est_crl *crl, estuary_error *err)
{
    bool is_sound = true, is_critical = X509_EXTENSION_get_critical(ext) > 0;
    int nid = OBJ_obj2nid(X509_EXTENSION_get_object((X509_EXTENSION *)ext));
    switch (nid) {
    case NID_authority_key_identifier:
        is_sound = read_akid(ext, crl);
        break;
    case NID_crl_number:
        is_sound = read_number(ext, &crl->number);
        break;
    case NID_delta_crl:
        is_sound = read_number(ext, &crl->base_number);
        break;
    case NID_issuing_distribution_point:
        is_sound = read_idp(ext, crl);
        break;
    case NID_freshest_crl:
        is_sound = !is_critical && read_freshest(ext, crl); /* RFC 5280 5.2.6 */
        break;
    default:
        return is_critical ? est_fail(err, EST_CRL_CRITICAL_EXTENSION, NULL) : ESTUARY_OK;
    }
    return is_sound ? ESTUARY_OK
                    : est_fail(err, EST_CRL_MALFORMED, "the CRL's extension %s is broken", OBJ_nid2sn(nid));
}

/* OpenSSL reads what is BER, and a FALSE written down. */
static bool is_strict(const uint8_t *der, size_t len)
{
    const uint8_t *at = der, *body;
    size_t body_len;
    est_crl_extension ext;
    bool is_sound = der_take(&at, der + len, DER_SEQUENCE, &body, &body_len) && at == der + len;
    for (const uint8_t *end = at; is_sound && body < end;)
        is_sound = est_crl_extension_take(&body, end, &ext);
    return is_sound;
}

static bool stands_twice(const X509_EXTENSIONS *extensions, int index)
{
    const ASN1_OBJECT *oid = X509_EXTENSION_get_object(sk_X509_EXTENSION_value(extensions, index));
    return X509v3_get_ext_by_OBJ(extensions, oid, index) >= 0;
}

static X509_EXTENSIONS *parse(const uint8_t *der, size_t len)
{
    const uint8_t *at = der, *body;
    size_t body_len;
    long length;
    if (!der_take(&at, der + len, DER_CONTEXT_0, &body, &body_len) || !est_size_to_long(body_len, &length))
        return NULL;
    const uint8_t *start = body;
    X509_EXTENSIONS *extensions = is_strict(body, body_len) ? d2i_X509_EXTENSIONS(NULL, &body, length) : NULL;
    int count = sk_X509_EXTENSION_num(extensions);
    if (extensions != NULL && body == start + body_len && count > 0 && count <= EXTENSIONS_MAX)
        return extensions;
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return NULL;
}

estuary_status est_crl_extensions_read(est_crl *crl, const uint8_t *der, size_t len, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    X509_EXTENSIONS *extensions = parse(der, len);
    if (extensions == NULL)
        EST_FAIL_OPENSSL(EST_CRL_MALFORMED, "the CRL's extensions cannot be read");
    for (int i = 0; i < sk_X509_EXTENSION_num(extensions); i++) {
        if (stands_twice(extensions, i))
            EST_FAIL(EST_CRL_MALFORMED, "an extension of the CRL stands twice");
        EST_TRY(read_extension(sk_X509_EXTENSION_value(extensions, i), crl, err));
    }

cleanup:
    ERR_clear_error();
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return status;
}
