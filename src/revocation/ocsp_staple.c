/* Must a server staple? (R3, RFC 7633) */
#include "revocation/revocation.h"

#include <openssl/err.h>

#define STATUS_REQUEST 5 /* RFC 6066 8 */

bool est_staple_must(const X509 *certificate)
{
    int critical = 0;
    bool must = false;
    ERR_set_mark();
    TLS_FEATURE *features = X509_get_ext_d2i(certificate, NID_tlsfeature, &critical, NULL);
    ERR_pop_to_mark();
    if (features == NULL)
        return critical != -1; /* -1: it is not there; what cannot be read is taken at its strictest */
    for (int i = 0; i < sk_ASN1_INTEGER_num(features); i++)
        must = must || ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) == STATUS_REQUEST;
    TLS_FEATURE_free(features);
    return must;
}
