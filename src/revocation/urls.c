/* Where a certificate says evidence is to be had (RFC 5280 4.2.1.13 and 4.2.2.1, R0). */
#include "revocation/revocation.h"

#include <string.h>

bool est_url_looks_like_one(const char *text)
{
    return strstr(text, "://") != NULL;
}

void est_urls_free(est_urls *urls)
{
    for (size_t i = 0; i < urls->count; i++)
        est_free(urls->at[i]);
    est_free(urls->at);
    *urls = (est_urls){0};
}

/* What cannot be followed is passed over; false when memory is short. */
static bool add(est_urls *urls, size_t max, const GENERAL_NAME *name)
{
    int type = 0;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    if (type != GEN_URI || value == NULL || urls->count >= max)
        return true;
    char *url = est_strndup((const char *)ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
    if (url == NULL)
        return false;
    if (strlen(url) != (size_t)ASN1_STRING_length(value) || est_http_url_refusal(url) != NULL) {
        est_free(url);
        return true;
    }
    urls->at[urls->count++] = url;
    return true;
}

static estuary_status make_room(est_urls *urls, size_t max, estuary_error *err)
{
    *urls = (est_urls){0};
    urls->at = est_alloc((max + 1) * sizeof(*urls->at));
    return urls->at != NULL ? ESTUARY_OK : est_fail_memory(err);
}

static bool add_all(est_urls *urls, size_t max, const GENERAL_NAMES *names)
{
    bool ok = true;
    for (int i = 0; ok && i < sk_GENERAL_NAME_num(names); i++)
        ok = add(urls, max, sk_GENERAL_NAME_value(names, i));
    return ok;
}

estuary_status est_urls_of_ocsp(const X509 *certificate, size_t max, est_urls *out, estuary_error *err)
{
    estuary_status status = make_room(out, max, err);
    if (status != ESTUARY_OK)
        return status;
    AUTHORITY_INFO_ACCESS *access = X509_get_ext_d2i(certificate, NID_info_access, NULL, NULL);
    bool ok = true;
    for (int i = 0; ok && i < sk_ACCESS_DESCRIPTION_num(access); i++) {
        const ACCESS_DESCRIPTION *description = sk_ACCESS_DESCRIPTION_value(access, i);
        if (OBJ_obj2nid(description->method) == NID_ad_OCSP)
            ok = add(out, max, description->location);
    }
    AUTHORITY_INFO_ACCESS_free(access);
    if (ok)
        return ESTUARY_OK;
    est_urls_free(out);
    return est_fail_memory(err);
}

estuary_status est_urls_of_dist_point(const DIST_POINT *dp, size_t max, est_urls *out, estuary_error *err)
{
    estuary_status status = make_room(out, max, err);
    if (status != ESTUARY_OK)
        return status;
    bool full = dp != NULL && dp->distpoint != NULL && dp->distpoint->type == 0;
    if (!full || add_all(out, max, dp->distpoint->name.fullname))
        return ESTUARY_OK;
    est_urls_free(out);
    return est_fail_memory(err);
}
