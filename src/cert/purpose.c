#include "cert/cert.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>
#include <string.h>

/* An OID in dotted decimal needs neither table nor spelling; names are OpenSSL's ("serverAuth"). */
ASN1_OBJECT *est_purpose_object(const char *purpose_oid_or_name)
{
    if (purpose_oid_or_name == NULL || strlen(purpose_oid_or_name) > 128)
        return NULL;
    ERR_set_mark();
    ASN1_OBJECT *object = OBJ_txt2obj(purpose_oid_or_name, 0);
    ERR_pop_to_mark();
    return object;
}

typedef enum presence { BROKEN = 0, ABSENT, PRESENT } presence;

static presence read_purposes(const X509 *certificate, EXTENDED_KEY_USAGE **out)
{
    int critical = 0;
    ERR_set_mark();
    *out = X509_get_ext_d2i(certificate, NID_ext_key_usage, &critical, NULL);
    ERR_pop_to_mark();
    if (*out != NULL)
        return PRESENT;
    return critical == -1 ? ABSENT : BROKEN; /* -2: twice; else it does not decode */
}

static bool lists(const EXTENDED_KEY_USAGE *purposes, const ASN1_OBJECT *wanted)
{
    for (int i = 0; i < sk_ASN1_OBJECT_num(purposes); i++) {
        if (OBJ_cmp(sk_ASN1_OBJECT_value(purposes, i), wanted) == 0)
            return true;
    }
    return false;
}

bool est_certificate_lists_purpose(const X509 *certificate, const char *purpose_oid_or_name)
{
    EXTENDED_KEY_USAGE *purposes = NULL;
    ASN1_OBJECT *wanted = est_purpose_object(purpose_oid_or_name);
    bool found =
        wanted != NULL && read_purposes(certificate, &purposes) == PRESENT && lists(purposes, wanted);
    EXTENDED_KEY_USAGE_free(purposes);
    ASN1_OBJECT_free(wanted);
    return found;
}

/* RFC 5280 4.2.1.12: without the extension, or with anyExtendedKeyUsage, every purpose is allowed. */
bool est_certificate_allows(const X509 *certificate, const char *purpose_oid_or_name)
{
    bool allowed = false;
    EXTENDED_KEY_USAGE *purposes = NULL;
    ASN1_OBJECT *wanted = est_purpose_object(purpose_oid_or_name);
    if (wanted == NULL)
        goto cleanup;
    switch (read_purposes(certificate, &purposes)) {
    case ABSENT:
        allowed = true;
        break;
    case PRESENT:
        allowed = lists(purposes, wanted) || lists(purposes, OBJ_nid2obj(NID_anyExtendedKeyUsage));
        break;
    case BROKEN:
        break;
    }
cleanup:
    EXTENDED_KEY_USAGE_free(purposes);
    ASN1_OBJECT_free(wanted);
    return allowed;
}
