/*
 * Who may sign a CRL: RFC 5280 6.3.3 (f) (R4). The reader has found a certificate whose name is the CRL's
 * issuer and whose key verifies the signature; here it must show the authority to have signed.
 */
#include "revocation/crl_judge.h"

#include <openssl/err.h>

#define NAME_SIZE 256
#define MAX_DEPTH 8 /* as ESTUARY_LIMIT_CHAIN_DEPTH */

/* --- candidates --- */

static bool push_all(STACK_OF(X509) *to, const STACK_OF(X509) *from)
{
    for (int i = 0; i < sk_X509_num(from); i++) {
        X509 *one = sk_X509_value(from, i);
        if (!est_certs_contain(to, one) && !est_certs_push(to, one))
            return false;
    }
    return true;
}

estuary_status est_crl_signers(const est_question *question, STACK_OF(X509) **out, estuary_error *err)
{
    const estuary_anchors *anchors = question->anchors;
    STACK_OF(X509) *signers = sk_X509_new_null();
    bool done = signers != NULL && est_certs_push(signers, question->issuer) &&
                push_all(signers, question->helpers) &&
                (anchors == NULL || (push_all(signers, estuary_anchors_get0_roots(anchors)) &&
                                     push_all(signers, estuary_anchors_get0_helpers(anchors))));
    *out = NULL;
    if (!done) {
        sk_X509_pop_free(signers, X509_free);
        return est_fail_memory(err);
    }
    *out = signers;
    return ESTUARY_OK;
}

/* --- the two paths, to one anchor --- */

typedef struct paths {
    est_path signer, issuer;
    STACK_OF(X509) *untrusted; /* borrowed certificates */
} paths;

static void clear_paths(paths *both)
{
    est_path_clear(&both->signer);
    est_path_clear(&both->issuer);
    sk_X509_free(both->untrusted);
}

static estuary_status find_path(const est_question *question, const paths *both, X509 *leaf, est_path *out,
                                estuary_error *err)
{
    const est_path_query query = {.anchors = question->anchors,
                                  .leaf = leaf,
                                  .untrusted = both->untrusted,
                                  .at = question->now,
                                  .max_depth = MAX_DEPTH};
    return est_path_find(&query, out, err);
}

static estuary_status find_paths(const est_question *question, X509 *signer, paths *both, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    both->untrusted = question->helpers == NULL ? sk_X509_new_null() : sk_X509_dup(question->helpers);
    if (both->untrusted == NULL || sk_X509_push(both->untrusted, question->issuer) <= 0)
        EST_TRY(est_fail_memory(err));
    EST_TRY(find_path(question, both, signer, &both->signer, err));
    if (both->signer.flaw == EST_PATH_OK)
        EST_TRY(find_path(question, both, question->issuer, &both->issuer, err));
cleanup:
    return status;
}

static X509 *last_of(const STACK_OF(X509) *chain)
{
    return sk_X509_value(chain, sk_X509_num(chain) - 1);
}

/* RFC 5280 6.1.1 (d): an anchor is a name and a key. */
static bool same_anchor(const X509 *a, const X509 *b)
{
    return X509_NAME_cmp(X509_get_subject_name(a), X509_get_subject_name(b)) == 0 && est_crl_same_key(a, b);
}

static X509 *superior_of(const STACK_OF(X509) *chain)
{
    for (int i = 0; i + 1 < sk_X509_num(chain); i++) {
        const X509 *one = sk_X509_value(chain, i);
        if (X509_NAME_cmp(X509_get_subject_name(one), X509_get_issuer_name(one)) != 0)
            return sk_X509_value(chain, i + 1);
    }
    return last_of(chain);
}

/*
 * A name is unique only below one superior (RFC 5280 8): another CA under the same anchor could certify a
 * second "Example CA" and let it sign CRLs for the first.
 */
static bool same_superior(const est_question *question, const X509 *signer, const paths *both)
{
    if (X509_NAME_cmp(X509_get_subject_name(signer), X509_get_subject_name(question->issuer)) != 0)
        return true; /* named by cRLIssuer: the certificate's issuer has chosen it */
    return same_anchor(superior_of(both->signer.chain), superior_of(both->issuer.chain));
}

static bool paths_agree(const est_question *question, const X509 *signer, const paths *both,
                        estuary_verdict *why)
{
    char text[NAME_SIZE * 2];
    if (both->signer.flaw != EST_PATH_OK) {
        est_path_describe(&both->signer, "the certificate of the CRL's signer", text, sizeof(text));
        est_verdict_unknown(why, EST_CRL_SIGNER_PATH, "%s", text);
        return false;
    }
    if (both->issuer.flaw != EST_PATH_OK) {
        est_path_describe(&both->issuer, "the certificate's issuer", text, sizeof(text));
        est_verdict_unknown(why, EST_CRL_SIGNER_ANCHOR,
                            "the CRL's signer is not the certificate's issuer, and %s", text);
        return false;
    }
    if (same_anchor(last_of(both->signer.chain), last_of(both->issuer.chain)) &&
        same_superior(question, signer, both))
        return true;
    est_subject_text(signer, text, NAME_SIZE);
    est_verdict_unknown(
        why, EST_CRL_SIGNER_ANCHOR,
        "the CRL is signed by a certificate of \"%s\" that another CA or anchor vouches for than "
        "the certificate's own",
        text);
    return false;
}

/* --- what is left to be checked --- */

static bool push_pair(STACK_OF(X509) **delegates, X509 *certificate, X509 *issuer)
{
    if (*delegates == NULL)
        *delegates = sk_X509_new_null();
    return *delegates != NULL && est_certs_push(*delegates, certificate) &&
           est_certs_push(*delegates, issuer);
}

/* What stands on the issuer's own path is checked with the chain. */
static bool push_path(STACK_OF(X509) **delegates, const paths *both)
{
    const STACK_OF(X509) *chain = both->signer.chain;
    for (int i = 0; i + 1 < sk_X509_num(chain); i++) {
        if (est_certs_contain(both->issuer.chain, sk_X509_value(chain, i)))
            break;
        if (!push_pair(delegates, sk_X509_value(chain, i), sk_X509_value(chain, i + 1)))
            return false;
    }
    return true;
}

static estuary_status check_paths(const est_question *question, X509 *signer, bool *ok,
                                  STACK_OF(X509) **delegates, estuary_verdict *why, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    paths both = {0};
    if (question->anchors == NULL) {
        char name[NAME_SIZE];
        est_subject_text(signer, name, sizeof(name));
        est_verdict_unknown(
            why, EST_CRL_SIGNER_PATH,
            "the CRL is signed by another certificate (\"%s\") than the issuer's, and there are "
            "no trust anchors that could vouch for it",
            name);
        return ESTUARY_OK;
    }
    EST_TRY(find_paths(question, signer, &both, err));
    *ok = paths_agree(question, signer, &both, why);
    if (*ok && !push_path(delegates, &both)) {
        *ok = false;
        EST_TRY(est_fail_memory(err));
    }
cleanup:
    clear_paths(&both);
    return status;
}

/* --- one certificate, then all with that name and key --- */

/* 6.3.3 (f): "If a key usage extension is present ..., verify that the cRLSign bit is set". */
static bool may_sign(X509 *signer, estuary_verdict *why)
{
    char name[NAME_SIZE];
    ERR_set_mark();
    bool allowed = (X509_get_key_usage(signer) & KU_CRL_SIGN) != 0; /* all bits when there is no keyUsage */
    ERR_pop_to_mark();
    if (allowed)
        return true;
    est_subject_text(signer, name, sizeof(name));
    est_verdict_unknown(why, EST_CRL_SIGNER_USAGE,
                        "the CRL's signer \"%s\" may not sign CRLs (keyUsage without cRLSign)", name);
    return false;
}

static estuary_status check_one(const est_question *question, X509 *signer, bool *ok,
                                STACK_OF(X509) **delegates, estuary_verdict *why, estuary_error *err)
{
    *ok = false;
    if (!may_sign(signer, why))
        return ESTUARY_OK;
    if (X509_cmp(signer, question->issuer) == 0) {
        *ok = true; /* trusted by whoever asks (R0) */
        return ESTUARY_OK;
    }
    switch (est_crl_vouch_for(question, signer)) {
    case EST_CRL_VOUCH_SAME_CA:
        *ok = true;
        return ESTUARY_OK;
    case EST_CRL_VOUCH_ISSUED:
        *ok = push_pair(delegates, signer, question->issuer);
        return *ok ? ESTUARY_OK : est_fail_memory(err);
    case EST_CRL_VOUCH_NONE:
    default:
        return check_paths(question, signer, ok, delegates, why, err);
    }
}

static bool is_candidate(const est_crl *crl, X509 *one)
{
    return X509_NAME_cmp(X509_get_subject_name(one), crl->issuer) == 0 && est_crl_same_key(one, crl->signer);
}

/* A key may have several certificates (a renewed CA): the reader has found one of them, any will do. */
estuary_status est_crl_signer_check(const est_question *question, const est_crl *crl, bool *ok,
                                    STACK_OF(X509) **delegates, estuary_verdict *why, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    STACK_OF(X509) *all = NULL;
    *ok = false;
    EST_TRY(est_crl_signers(question, &all, err));
    if (!est_certs_contain(all, crl->signer) && !est_certs_push(all, crl->signer))
        EST_TRY(est_fail_memory(err));
    for (int i = 0; i < sk_X509_num(all) && !*ok; i++) {
        estuary_verdict flaw = {0};
        if (!is_candidate(crl, sk_X509_value(all, i)))
            continue;
        EST_TRY(check_one(question, sk_X509_value(all, i), ok, delegates, &flaw, err));
        if (!*ok)
            est_verdict_add(why, &flaw);
    }
cleanup:
    sk_X509_pop_free(all, X509_free);
    if (status == ESTUARY_OK && !*ok && why->code == EST_OK_CODE)
        est_verdict_unknown(why, EST_CRL_SIGNER_PATH, NULL);
    return status;
}
