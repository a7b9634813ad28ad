/* A CRL from its description. RFC 5280 5 */
#include "revocation.h"

#include <openssl/x509v3.h>

static bool set_times(X509_CRL *crl, const struct crl_plan *plan)
{
    ASN1_TIME *at = ASN1_TIME_adj(NULL, plan->this_update, 0, 0);
    bool ok = at != NULL && X509_CRL_set1_lastUpdate(crl, at) == 1;
    if (ok && plan->next_update != 0)
        ok = ASN1_TIME_adj(at, plan->next_update, 0, 0) != NULL && X509_CRL_set1_nextUpdate(crl, at) == 1;
    ASN1_TIME_free(at);
    return ok;
}

static bool add_number(X509_CRL *crl, int nid, int64_t value, int critical)
{
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    const bool ok = number != NULL && ASN1_INTEGER_set_int64(number, value) == 1 &&
                    X509_CRL_add1_ext_i2d(crl, nid, number, critical, 0) == 1;
    ASN1_INTEGER_free(number);
    return ok;
}

static bool add_text(X509_CRL *crl, X509 *signer, int nid, const char *value)
{
    X509V3_CTX ctx;
    if (value == NULL)
        return true;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, signer, NULL, NULL, crl, 0);
    X509_EXTENSION *extension = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
    const bool ok = extension != NULL && X509_CRL_add_ext(crl, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

static bool add_extensions(X509_CRL *crl, const struct crl_plan *plan)
{
    return add_text(crl, plan->signer, NID_authority_key_identifier, "keyid:always") &&
           add_number(crl, NID_crl_number, plan->number, 0) &&
           (plan->base == 0 || add_number(crl, NID_delta_crl, plan->base, 1)) &&
           add_text(crl, plan->signer, NID_issuing_distribution_point, plan->idp) &&
           add_text(crl, plan->signer, NID_freshest_crl, plan->freshest) &&
           (plan->extension == NULL || X509_CRL_add_ext(crl, plan->extension, -1) == 1);
}

static bool add_reason(X509_REVOKED *revoked, int reason)
{
    ASN1_ENUMERATED *number = NULL;
    if (reason == NO_REASON)
        return true;
    number = ASN1_ENUMERATED_new();
    const bool ok = number != NULL && ASN1_ENUMERATED_set_int64(number, reason) == 1 &&
                    X509_REVOKED_add1_ext_i2d(revoked, NID_crl_reason, number, 0, 0) == 1;
    ASN1_ENUMERATED_free(number);
    return ok;
}

static bool add_entry(X509_CRL *crl, const struct revoked *entry, X509_EXTENSION *extension)
{
    X509_REVOKED *revoked = X509_REVOKED_new();
    ASN1_TIME *at = ASN1_TIME_adj(NULL, entry->at, 0, 0);
    bool ok = revoked != NULL && at != NULL && X509_REVOKED_set_serialNumber(revoked, entry->serial) == 1 &&
              X509_REVOKED_set_revocationDate(revoked, at) == 1 && add_reason(revoked, entry->reason) &&
              (extension == NULL || X509_REVOKED_add_ext(revoked, extension, -1) == 1);
    ASN1_TIME_free(at);
    if (!ok || X509_CRL_add0_revoked(crl, revoked) != 1) {
        X509_REVOKED_free(revoked);
        return false;
    }
    return true;
}

/* An extension of an entry needs an entry: serial number 1 was never issued. */
static bool add_made_up_entry(X509_CRL *crl, const struct crl_plan *plan)
{
    struct revoked entry = {ASN1_INTEGER_new(), plan->this_update, NO_REASON};
    const bool ok = entry.serial != NULL && ASN1_INTEGER_set_int64(entry.serial, 1) == 1 &&
                    add_entry(crl, &entry, plan->entry_extension);
    ASN1_INTEGER_free(entry.serial);
    return ok;
}

static bool add_entries(X509_CRL *crl, const struct crl_plan *plan)
{
    bool ok = plan->entry_extension == NULL || add_made_up_entry(crl, plan);
    for (size_t i = 0; ok && i < plan->list.count; i++)
        ok = add_entry(crl, &plan->list.at[i], NULL);
    return ok && X509_CRL_sort(crl) == 1;
}

bool crl_encode(const struct crl_plan *plan, struct bytes *der)
{
    bool ok = false;
    unsigned char *encoded = NULL;
    int len = 0;
    X509_CRL *crl = X509_CRL_new();
    const X509_NAME *name = plan->name != NULL ? plan->name : X509_get_subject_name(plan->issuer.certificate);
    if (crl == NULL || X509_CRL_set_version(crl, X509_CRL_VERSION_2) != 1 ||
        X509_CRL_set_issuer_name(crl, name) != 1 || !set_times(crl, plan) || !add_entries(crl, plan) ||
        !add_extensions(crl, plan) ||
        X509_CRL_sign(crl, plan->key, plan->digest == NULL ? EVP_sha256() : plan->digest) <= 0)
        goto cleanup;
    len = i2d_X509_CRL(crl, &encoded);
    if (len > 0 && plan->corrupt)
        encoded[len - 1] ^= 1; /* the last byte belongs to the signature */
    ok = len > 0 && bytes_append(der, encoded, (size_t)len);
cleanup:
    OPENSSL_free(encoded);
    X509_CRL_free(crl);
    return ok;
}

void crl_plan_clear(struct crl_plan *plan)
{
    revoked_clear(&plan->list);
    X509_EXTENSION_free(plan->extension);
    X509_EXTENSION_free(plan->entry_extension);
    X509_free(plan->own.certificate);
    EVP_PKEY_free(plan->own.key);
    *plan = (struct crl_plan){0};
}
