/* The wanted certificate among the entries, and whose certificates the entries are (RFC 5280 5.3.3). */
#include "wire/crl_der.h"
#include "wire/crl_parts.h"

#include <openssl/err.h>

#define REASON_REMOVE_FROM_CRL 8

bool est_crl_serial_of(const X509 *certificate, uint8_t out[EST_CRL_SERIAL_MAX], size_t *len)
{
    uint8_t der[EST_CRL_SERIAL_MAX + 16], *to = der;
    const uint8_t *at = der, *body;
    const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
    *len = 0;
    int size = i2d_ASN1_INTEGER(serial, NULL);
    if (size <= 0)
        return false;
    if (size > (int)sizeof(der))
        return true;
    if (i2d_ASN1_INTEGER(serial, &to) != size || !der_take(&at, der + size, DER_INTEGER, &body, len))
        return false;
    if (*len > EST_CRL_SERIAL_MAX)
        *len = 0;
    memcpy(out, body, *len);
    return true;
}

bool est_crl_search_begin(est_crl_search *search, const X509 *wanted)
{
    search->issuers.max = EST_CRL_PART_MAX;
    search->name.max = EST_CRL_PART_MAX;
    search->reason = -1;
    if (wanted == NULL)
        return true;
    search->is_wanted = true;
    search->issuer = X509_get_issuer_name(wanted);
    return search->issuer != NULL && est_crl_serial_of(wanted, search->serial, &search->serial_len);
}

/*
 * X509_NAME_cmp() returns -2 when memory is short, which must not pass for "different": that would be a
 * "good".
 */
static bool compare(const X509_NAME *a, const X509_NAME *b, bool *equal)
{
    int result = X509_NAME_cmp(a, b);
    *equal = result == 0;
    return result != -2;
}

bool est_crl_search_set_issuer(est_crl_search *search, const X509_NAME *issuer)
{
    return !search->is_wanted || compare(issuer, search->issuer, &search->is_about_issuer);
}

/* The names of a certificateIssuer; NULL when they are broken or there is no directoryName among them. */
static GENERAL_NAMES *read_names(const est_crl_view *entry)
{
    long len;
    const uint8_t *at = entry->issuers;
    if (!est_size_to_long(entry->issuers_len, &len))
        return NULL;
    GENERAL_NAMES *names = d2i_GENERAL_NAMES(NULL, &at, len);
    if (names != NULL && at == entry->issuers + entry->issuers_len)
        for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
            if (sk_GENERAL_NAME_value(names, i)->type == GEN_DIRNAME)
                return names;
    GENERAL_NAMES_free(names);
    return NULL;
}

/* The first directoryName, in DER, for those who remember entries. */
static bool keep_name(est_crl_search *search, const GENERAL_NAMES *names)
{
    const uint8_t *der = NULL;
    size_t len = 0;
    for (int i = 0; der == NULL && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DIRNAME && X509_NAME_get0_der(name->d.directoryName, &der, &len) != 1)
            return false;
    }
    search->name.len = 0;
    return est_buf_append(&search->name, der, len) == EST_APPEND_OK;
}

/* Compared as names, not as bytes: a CA that encodes them in two ways must not make a "good". */
static bool set_about(est_crl_search *search, const GENERAL_NAMES *names)
{
    bool done = true, about = false;
    for (int i = 0; search->is_wanted && done && !about && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DIRNAME)
            done = compare(name->d.directoryName, search->issuer, &about);
    }
    search->is_about_issuer = about;
    return done;
}

estuary_status est_crl_search_set_issuers(est_crl_search *search, const est_crl_view *entry,
                                          estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    GENERAL_NAMES *names = NULL;
    if (search->has_issuers && search->issuers.len == entry->issuers_len &&
        memcmp(search->issuers.data, entry->issuers, entry->issuers_len) == 0)
        return ESTUARY_OK; /* some CAs repeat it in every entry */
    search->has_issuers = false;
    search->issuers.len = 0;
    names = read_names(entry);
    if (names == NULL) {
        ERR_clear_error();
        EST_FAIL(EST_CRL_MALFORMED, "an entry's certificateIssuer cannot be read or names nobody");
    }
    if (est_buf_append(&search->issuers, entry->issuers, entry->issuers_len) != EST_APPEND_OK ||
        !keep_name(search, names) || !set_about(search, names)) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    search->has_issuers = true;

cleanup:
    GENERAL_NAMES_free(names);
    return status;
}

void est_crl_search_note(est_crl_search *search, const est_crl_view *entry)
{
    der_time date;
    search->is_found = true;
    /* Any entry that says revoked wins; of several the first tells when. */
    if (search->is_revoked || entry->reason == REASON_REMOVE_FROM_CRL)
        return;
    search->is_revoked = true;
    search->reason = entry->reason;
    if (der_time_parse(entry->time_tag, entry->time, entry->time_len, &date))
        search->revoked_at = der_time_value(&date);
}

void est_crl_search_clear(est_crl_search *search)
{
    est_buf_free(&search->issuers);
    est_buf_free(&search->name);
}
