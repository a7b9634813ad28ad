/* The certs-only CMS of a Simple PKI Response. RFC 5272 4.1 */
#include "lab.h"

#include <openssl/cms.h>

bool cms_certs_only(STACK_OF(X509) *certificates, struct bytes *der)
{
    bool ok = false;
    unsigned char *encoded = NULL;
    int len = 0;
    /* No signer and no content: nothing to finish, so the structure stays partial on purpose. */
    CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, CMS_PARTIAL | CMS_DETACHED | CMS_BINARY);
    if (cms == NULL)
        return false;
    for (int i = 0; i < sk_X509_num(certificates); i++) {
        if (CMS_add1_cert(cms, sk_X509_value(certificates, i)) != 1)
            goto cleanup;
    }
    len = i2d_CMS_ContentInfo(cms, &encoded);
    ok = len > 0 && bytes_append(der, encoded, (size_t)len);
cleanup:
    OPENSSL_free(encoded);
    CMS_ContentInfo_free(cms);
    return ok;
}
