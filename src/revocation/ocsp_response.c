/* From bytes to a basic OCSP response that nobody has vouched for yet (R1, RFC 6960 4.2). */
#include "revocation/ocsp.h"

#include <openssl/err.h>
#include <string.h>

/* --- the bytes --- */

/* RFC 6960 2.3: error responses are not signed, so that they can only ever mean "unknown". */
static estuary_status check_response_status(const OCSP_RESPONSE *response, estuary_error *err)
{
    switch (OCSP_response_status((OCSP_RESPONSE *)response)) {
    case OCSP_RESPONSE_STATUS_SUCCESSFUL:
        return ESTUARY_OK;
    case OCSP_RESPONSE_STATUS_MALFORMEDREQUEST:
        return est_fail(err, EST_OCSP_MALFORMED_REQUEST, NULL);
    case OCSP_RESPONSE_STATUS_INTERNALERROR:
        return est_fail(err, EST_OCSP_INTERNAL_ERROR, NULL);
    case OCSP_RESPONSE_STATUS_TRYLATER:
        return est_fail(err, EST_OCSP_TRY_LATER, NULL);
    case OCSP_RESPONSE_STATUS_SIGREQUIRED:
        return est_fail(err, EST_OCSP_SIG_REQUIRED, NULL);
    case OCSP_RESPONSE_STATUS_UNAUTHORIZED:
        return est_fail(err, EST_OCSP_UNAUTHORIZED, NULL);
    default:
        return est_fail(err, EST_OCSP_MALFORMED, "the OCSP response has a status that does not exist");
    }
}

/*
 * What is judged is what was parsed, encoded again, and that must be what came, to the last byte: no other
 * encoding than DER, nothing left over at the end or between the layers.
 */
static estuary_status check_exact(OCSP_BASICRESP *basic, const uint8_t *der, size_t len, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    unsigned char *again = NULL;
    int size = 0;
    OCSP_RESPONSE *made = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    if (made != NULL)
        size = i2d_OCSP_RESPONSE(made, &again);
    if (size <= 0)
        EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
    if ((size_t)size != len || memcmp(again, der, len) != 0)
        EST_FAIL(EST_OCSP_MALFORMED, "the OCSP response is not exact DER, or something follows it");
cleanup:
    OCSP_RESPONSE_free(made);
    OPENSSL_free(again);
    return status;
}

/* RFC 6960 4.2.1: version [0] EXPLICIT INTEGER DEFAULT v1(0); OpenSSL has no accessor for it. */
static estuary_status check_version(const OCSP_BASICRESP *basic, estuary_error *err)
{
    static const uint8_t v1[] = {0xa0, 0x03, 0x02, 0x01, 0x00};
    estuary_status status = ESTUARY_OK;
    unsigned char *der = NULL;
    const unsigned char *at;
    long length = 0;
    int tag = 0, class = 0;
    int size = i2d_OCSP_RESPDATA(OCSP_resp_get0_respdata(basic), &der);
    if (size <= 0)
        EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
    at = der;
    if ((ASN1_get_object(&at, &length, &tag, &class, size) & 0x80) != 0 || length < (long)sizeof(v1))
        EST_FAIL_OPENSSL(EST_OCSP_MALFORMED, NULL);
    if (at[0] == v1[0] && memcmp(at, v1, sizeof(v1)) != 0)
        EST_FAIL(EST_OCSP_MALFORMED, "the OCSP response is of a version that is not known");
cleanup:
    OPENSSL_free(der);
    return status;
}

/* RFC 6960 4.2.1: clients know id-pkix-ocsp-basic; there is no other type. */
static estuary_status fail_basic(estuary_error *err)
{
    unsigned long code = est_openssl_first_error();
    if (ERR_GET_LIB(code) == ERR_LIB_OCSP && ERR_GET_REASON(code) == OCSP_R_NOT_BASIC_RESPONSE)
        return est_fail_openssl(err, EST_OCSP_TYPE, NULL);
    return est_fail_openssl(err, EST_OCSP_MALFORMED, NULL);
}

estuary_status est_ocsp_parse(const uint8_t *der, size_t len, OCSP_BASICRESP **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    OCSP_RESPONSE *response = NULL;
    OCSP_BASICRESP *basic = NULL;
    const unsigned char *at = der;
    long size = 0;
    *out = NULL;
    if (len > EST_OCSP_BYTES_MAX || !est_size_to_long(len, &size))
        EST_FAIL(EST_OCSP_TOO_LARGE, NULL);
    ERR_clear_error(); /* what went wrong here is told by the queue */
    response = d2i_OCSP_RESPONSE(NULL, &at, size);
    if (response == NULL)
        EST_FAIL_OPENSSL(EST_OCSP_MALFORMED, NULL);
    if (at != der + len)
        EST_FAIL(EST_OCSP_MALFORMED, "something follows the OCSP response");
    EST_TRY(check_response_status(response, err));
    basic = OCSP_response_get1_basic(response);
    if (basic == NULL) {
        status = fail_basic(err);
        goto cleanup;
    }
    EST_TRY(check_exact(basic, der, len, err));
    EST_TRY(check_version(basic, err));
    *out = basic;
    basic = NULL;
cleanup:
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    return status;
}

/* --- extensions --- */

static bool is_known(const int *known, size_t count, int nid)
{
    for (size_t i = 0; i < count; i++) {
        if (known[i] == nid)
            return true;
    }
    return false;
}

/* RFC 6960 4.4: what changes nothing for us is known too; 4.4.8's extended-revoke only adds "revoked". */
static bool response_extensions_are_known(OCSP_BASICRESP *basic)
{
    static const int known[] = {NID_id_pkix_OCSP_Nonce, NID_id_pkix_OCSP_extendedStatus};
    for (int i = 0; i < OCSP_BASICRESP_get_ext_count(basic); i++) {
        X509_EXTENSION *one = OCSP_BASICRESP_get_ext(basic, i);
        if (X509_EXTENSION_get_critical(one) != 0 &&
            !is_known(known, sizeof(known) / sizeof(known[0]), OBJ_obj2nid(X509_EXTENSION_get_object(one))))
            return false;
    }
    return true;
}

/*
 * RFC 6960 4.4.2, 4.4.4, 4.4.5 (but not certificateIssuer, which would change whom it is about), RFC 6962 3.3
 */
static bool single_extensions_are_known(OCSP_SINGLERESP *single)
{
    static const int known[] = {NID_id_pkix_OCSP_CrlID, NID_id_pkix_OCSP_archiveCutoff, NID_crl_reason,
                                NID_invalidity_date, NID_ct_cert_scts};
    for (int i = 0; i < OCSP_SINGLERESP_get_ext_count(single); i++) {
        X509_EXTENSION *one = OCSP_SINGLERESP_get_ext(single, i);
        if (X509_EXTENSION_get_critical(one) != 0 &&
            !is_known(known, sizeof(known) / sizeof(known[0]), OBJ_obj2nid(X509_EXTENSION_get_object(one))))
            return false;
    }
    return true;
}

estuary_status est_ocsp_check_extensions(OCSP_BASICRESP *basic, estuary_error *err)
{
    bool known = response_extensions_are_known(basic);
    for (int i = 0; known && i < OCSP_resp_count(basic); i++)
        known = single_extensions_are_known(OCSP_resp_get0(basic, i));
    return known ? ESTUARY_OK : est_fail(err, EST_OCSP_CRITICAL_EXTENSION, NULL);
}

/* --- nonce --- */

/* The extension's value as it stands; responders echo it byte for byte. */
static const ASN1_OCTET_STRING *nonce_of_request(OCSP_REQUEST *request)
{
    int at = request == NULL ? -1 : OCSP_REQUEST_get_ext_by_NID(request, NID_id_pkix_OCSP_Nonce, -1);
    return at < 0 ? NULL : X509_EXTENSION_get_data(OCSP_REQUEST_get_ext(request, at));
}

/* RFC 6960 4.4.1, RFC 8954: a responder may leave the nonce out, but never give another one. */
estuary_status est_ocsp_check_nonce(const est_question *question, const est_ocsp_request *request,
                                    OCSP_BASICRESP *basic, estuary_error *err)
{
    if (request == NULL)
        return ESTUARY_OK; /* a staple, or kept from before */
    const ASN1_OCTET_STRING *asked = nonce_of_request(request->request);
    int at = OCSP_BASICRESP_get_ext_by_NID(basic, NID_id_pkix_OCSP_Nonce, -1);
    if (at < 0 || asked == NULL)
        return question->require_nonce ? est_fail(err, EST_OCSP_NO_NONCE, NULL) : ESTUARY_OK;
    const ASN1_OCTET_STRING *given = X509_EXTENSION_get_data(OCSP_BASICRESP_get_ext(basic, at));
    if (OCSP_BASICRESP_get_ext_by_NID(basic, NID_id_pkix_OCSP_Nonce, at) >= 0 ||
        ASN1_OCTET_STRING_cmp(given, asked) != 0)
        return est_fail(err, EST_OCSP_NONCE, NULL);
    return ESTUARY_OK;
}
