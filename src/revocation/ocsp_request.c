/* What an OCSP responder is asked (R1, RFC 6960 4.1, RFC 8954). */
#include "revocation/revocation.h"
#include "wire/wire.h"

#include <openssl/err.h>
#include <string.h>

#define NONCE_BYTES 32  /* RFC 8954 2.1: at most */
#define GET_MAX     255 /* RFC 6960 A.1 */

static estuary_status build(X509 *certificate, X509 *issuer, bool sha256, bool nonce, OCSP_REQUEST *request,
                            estuary_error *err)
{
    OCSP_CERTID *id = OCSP_cert_to_id(sha256 ? EVP_sha256() : EVP_sha1(), certificate, issuer);
    if (id == NULL || OCSP_request_add0_id(request, id) == NULL) {
        OCSP_CERTID_free(id);
        return est_fail_openssl(err, EST_CRYPTO, "the OCSP request cannot be made");
    }
    if (nonce && OCSP_request_add1_nonce(request, NULL, NONCE_BYTES) != 1)
        return est_fail_openssl(err, EST_CRYPTO_RANDOM, "the OCSP request's nonce cannot be made");
    return ESTUARY_OK;
}

estuary_status est_ocsp_request_make(X509 *certificate, X509 *issuer, bool sha256, bool nonce,
                                     est_ocsp_request *out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    unsigned char *der = NULL;
    *out = (est_ocsp_request){.request = OCSP_REQUEST_new()};
    if (out->request == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    EST_TRY(build(certificate, issuer, sha256, nonce, out->request, err));
    int len = i2d_OCSP_REQUEST(out->request, &der);
    if (len <= 0)
        EST_FAIL_OPENSSL(EST_CRYPTO, "the OCSP request cannot be encoded");
    out->der = der;
    out->len = (size_t)len;
cleanup:
    if (status != ESTUARY_OK)
        est_ocsp_request_clear(out);
    return status;
}

void est_ocsp_request_clear(est_ocsp_request *request)
{
    OCSP_REQUEST_free(request->request);
    est_free(request->der);
    *request = (est_ocsp_request){0};
}

/* Base64 for a path: "+", "/" and "=" as %XX, no line ends. Returns the length, 0 when it does not fit. */
static size_t escape(const char *base64, char *out, size_t size)
{
    size_t used = 0;
    for (const char *c = base64; *c != '\0'; c++) {
        const char *as = *c == '+' ? "%2B" : *c == '/' ? "%2F" : *c == '=' ? "%3D" : NULL;
        size_t len = as != NULL ? 3 : 1;
        if (*c == '\r' || *c == '\n')
            continue;
        if (used + len >= size)
            return 0;
        memcpy(out + used, as != NULL ? as : c, len);
        used += len;
    }
    out[used] = '\0';
    return used;
}

/* RFC 6960 A.1: {url}/{url-encoding of base-64 encoding of the DER encoding of the OCSPRequest} */
char *est_ocsp_get_url(const char *responder, const est_ocsp_request *request)
{
    char path[GET_MAX + 1];
    char *base64 = NULL, *url = NULL;
    size_t len = strlen(responder);
    if (len > GET_MAX || request->len > GET_MAX || strpbrk(responder, "?#") != NULL)
        return NULL;
    if (est_base64_encode(request->der, request->len, &base64, NULL) != ESTUARY_OK)
        return NULL;
    const char *slash = len > 0 && responder[len - 1] == '/' ? "" : "/";
    size_t used = escape(base64, path, sizeof(path));
    if (used > 0 && len + strlen(slash) + used <= GET_MAX)
        url = est_printf("%s%s%s", responder, slash, path);
    est_free(base64);
    return url;
}
