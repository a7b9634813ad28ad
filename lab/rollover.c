/* A second root takes over from the first: same name, new key. RFC 7030 4.1.3, RFC 4210 4.4 */
#include "lab.h"
#include "misbehave.h"

#include <stdlib.h>

/* The subject is the CA's one name; who signs makes it OldWithNew or NewWithOld. */
static struct mint link_between(X509 *issuer, EVP_PKEY *signer, EVP_PKEY *key, const char *cdp)
{
    const time_t now = time(NULL);
    return (struct mint){
        .subject = X509_get_subject_name(issuer),
        .key = key,
        .issuer = issuer,
        .signer = signer,
        .not_before = now - LAB_DAY,
        .not_after = now + LAB_YEAR,
        .basic = "critical,CA:TRUE",
        .key_usage = "critical,keyCertSign,cRLSign",
        .cdp = cdp,
    };
}

static bool make_links(struct lab *lab)
{
    char old_cdp[160];
    char new_cdp[160];
    struct ca *ca = &lab->ca;
    bool ok = true;
    (void)snprintf(old_cdp, sizeof old_cdp, "URI:%s/crl/root.crl", ca->http_base);
    (void)snprintf(new_cdp, sizeof new_cdp, "URI:%s/crl/root-new.crl", ca->http_base);
    struct mint new_with_old = link_between(ca->old_root, ca->old_root_key, ca->root_key, old_cdp);
    const struct mint old_with_new = link_between(ca->root, ca->root_key, ca->old_root_key, new_cdp);
    ca->old_with_new = mint_certificate(&old_with_new);
    ok = ca->old_with_new != NULL && misbehave_link(lab, &new_with_old);
    if (ok && new_with_old.key != NULL) { /* a misbehaviour may leave it out */
        ca->new_with_old = mint_certificate(&new_with_old);
        ok = ca->new_with_old != NULL;
    }
    mint_clear(&new_with_old);
    return ok;
}

/* What the directory holds becomes the old generation; the new one is made beside it when absent. */
bool rollover_open(struct lab *lab)
{
    struct ca *ca = &lab->ca;
    ca->old_root = ca->root;
    ca->old_root_key = ca->root_key;
    ca->old_issuing = ca->issuing;
    ca->old_issuing_key = ca->issuing_key;
    ca->old_root_ocsp = ca->root_ocsp;
    ca->old_issuing_ocsp = ca->issuing_ocsp;
    ca->root_ocsp = ca->issuing_ocsp = (struct delegate){0};
    ca->root = ca->issuing = NULL;
    ca->root_key = ca->issuing_key = NULL;
    ca->generation = "-new";
    ca->new_anchors = path_join(ca->dir, "anchors-new.pem");
    return ca_open_pairs(ca, lab->options.key_type) && ca->new_anchors != NULL &&
           file_write_certificate(ca->new_anchors, ca->root) && make_links(lab);
}

/* OldWithOld, OldWithNew and NewWithOld, for cacerts beside what it has anyway. */
bool rollover_add(const struct ca *ca, STACK_OF(X509) *certificates)
{
    X509 *const links[] = {ca->old_root, ca->old_with_new, ca->new_with_old};
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof links / sizeof *links; i++)
        ok = links[i] == NULL || X509_add_cert(certificates, links[i], X509_ADD_FLAG_UP_REF) == 1;
    return ok;
}
