/* Misbehaviours of NewWithOld, the old root's word for the new one. RFC 4210 4.4, RFC 7030 4.1.3 */
#include "misbehave.h"

static bool link_stranger(const struct lab *lab, struct mint *m, const struct misbehaviour *row)
{
    (void)lab;
    (void)row;
    m->own_signer = new_key("ec");
    m->signer = m->own_signer;
    return m->signer != NULL;
}

static bool link_expired(const struct lab *lab, struct mint *m, const struct misbehaviour *row)
{
    (void)lab;
    m->not_after = time(NULL) + row->number;
    m->not_before = m->not_after - LAB_DAY;
    return true;
}

static bool link_not_ca(const struct lab *lab, struct mint *m, const struct misbehaviour *row)
{
    (void)lab;
    (void)row;
    m->basic = "critical,CA:FALSE";
    m->key_usage = "critical,digitalSignature";
    return true;
}

static bool link_weak(const struct lab *lab, struct mint *m, const struct misbehaviour *row)
{
    (void)lab;
    (void)row;
    m->digest = EVP_sha1();
    return true;
}

static bool link_missing(const struct lab *lab, struct mint *m, const struct misbehaviour *row)
{
    (void)lab;
    (void)row;
    m->key = NULL;
    return true;
}

static bool link_untouched(const struct lab *lab, struct mint *m, const struct misbehaviour *row)
{
    (void)lab;
    (void)m;
    (void)row;
    return true;
}

/* NewWithOld is the last of the chain. */
static bool chain_not_sent(const struct lab *lab, struct mint *leaf, STACK_OF(X509) *chain)
{
    (void)leaf;
    if (lab->ca.new_with_old != NULL)
        X509_free(sk_X509_pop(chain));
    return true;
}

/* Each of them turns --rollover on. */
static const struct misbehaviour rows[] = {
    {.name = "rollover-stranger",
     .about = "NewWithOld names the old root and is signed by a stranger",
     .link = link_stranger},
    {.name = "rollover-expired",
     .about = "NewWithOld expired yesterday",
     .link = link_expired,
     .number = -LAB_DAY},
    {.name = "rollover-not-ca", .about = "NewWithOld is not a CA's certificate", .link = link_not_ca},
    {.name = "rollover-weak-signature", .about = "NewWithOld is signed with SHA-1", .link = link_weak},
    {.name = "rollover-missing",
     .about = "there is no NewWithOld, neither in the handshake nor in cacerts",
     .link = link_missing},
    {.name = "rollover-not-sent",
     .about = "NewWithOld stands in cacerts, and the TLS server does not send it",
     .link = link_untouched,
     .chain = chain_not_sent},
};

const struct misbehave_table misbehave_rollover = {rows, sizeof rows / sizeof *rows};
