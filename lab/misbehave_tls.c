/* Misbehaviours of the TLS server's certificate and chain. RFC 7030 3.6.1, RFC 6125, RFC 5280 6.1 */
#include "misbehave.h"

#include <openssl/rsa.h>

#define DEEP 12

static const char server_auth[] = "serverAuth"; /* without id-kp-cmcRA the name must fit */

/* Another host, and no id-kp-cmcRA to excuse it. */
static bool bend_host(struct exchange *ex, struct mint *m, const struct misbehaviour *row)
{
    m->eku = server_auth;
    return bend_san(ex, m, row);
}

static bool bend_ra_host(struct exchange *ex, struct mint *m, const struct misbehaviour *row)
{
    m->eku = "serverAuth,1.3.6.1.5.5.7.3.27"; /* id-kp-cmcCA, which excuses nothing */
    return bend_san(ex, m, row);
}

static bool bend_self_signed(struct exchange *ex, struct mint *m, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    m->issuer = NULL;
    m->signer = m->key;
    return true;
}

static bool bend_weak_key(struct exchange *ex, struct mint *m, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    m->own_key = EVP_RSA_gen(1024);
    m->key = m->own_key;
    m->key_usage = "critical,digitalSignature,keyEncipherment";
    return m->key != NULL;
}

static bool bend_critical(struct exchange *ex, struct mint *m, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    return mint_add_extension(m, opaque_extension(true, 4));
}

static void empty_chain(STACK_OF(X509) *chain)
{
    while (sk_X509_num(chain) > 0)
        X509_free(sk_X509_pop(chain));
}

static bool chain_missing(const struct lab *lab, struct mint *leaf, STACK_OF(X509) *chain)
{
    (void)lab;
    (void)leaf;
    empty_chain(chain);
    return true;
}

/* What an intermediate below the lab's root looks like; its key is made here. */
static struct mint intermediate(const struct lab *lab, const char *cn)
{
    const time_t now = time(NULL);
    return (struct mint){
        .cn = cn,
        .key = new_key("ec"),
        .issuer = lab->ca.root,
        .signer = lab->ca.root_key,
        .not_before = now - 30 * LAB_DAY,
        .not_after = now + LAB_YEAR,
        .basic = "critical,CA:TRUE",
        .key_usage = "critical,digitalSignature,keyCertSign,cRLSign",
    };
}

/* Lets the leaf be issued by it, and puts it at the head of the chain. Takes m's key. */
static bool issue_below(const struct mint *m, struct mint *leaf, STACK_OF(X509) *chain)
{
    X509 *made = m->key == NULL ? NULL : mint_certificate(m);
    X509_free(leaf->own_issuer);
    EVP_PKEY_free(leaf->own_signer);
    leaf->own_issuer = made;
    leaf->own_signer = m->key;
    leaf->issuer = made;
    leaf->signer = m->key;
    return made != NULL && X509_add_cert(chain, made, X509_ADD_FLAG_UP_REF | X509_ADD_FLAG_PREPEND) == 1;
}

static bool chain_expired(const struct lab *lab, struct mint *leaf, STACK_OF(X509) *chain)
{
    struct mint m = intermediate(lab, "Estuary Lab Expired CA");
    m.not_after = time(NULL) - LAB_DAY;
    empty_chain(chain);
    return issue_below(&m, leaf, chain);
}

static bool chain_not_ca(const struct lab *lab, struct mint *leaf, STACK_OF(X509) *chain)
{
    struct mint m = intermediate(lab, "Estuary Lab No CA");
    m.basic = "critical,CA:FALSE";
    m.key_usage = "critical,digitalSignature";
    empty_chain(chain);
    return issue_below(&m, leaf, chain);
}

static bool chain_constrained(const struct lab *lab, struct mint *leaf, STACK_OF(X509) *chain)
{
    struct mint m = intermediate(lab, "Estuary Lab Constrained CA");
    m.constraints = "critical,permitted;DNS:permitted.example";
    empty_chain(chain);
    return issue_below(&m, leaf, chain);
}

static bool chain_deep(const struct lab *lab, struct mint *leaf, STACK_OF(X509) *chain)
{
    bool ok = true;
    empty_chain(chain);
    for (int i = 0; ok && i < DEEP; i++) {
        char cn[48];
        (void)snprintf(cn, sizeof cn, "Estuary Lab Deep CA %d", i + 1);
        struct mint m = intermediate(lab, cn);
        if (i > 0) {
            m.issuer = leaf->issuer;
            m.signer = leaf->signer;
        }
        ok = issue_below(&m, leaf, chain);
    }
    return ok;
}

static const struct misbehaviour rows[] = {
    {.name = "tls-expired",
     .about = "the server's certificate expired yesterday",
     .bend = bend_validity,
     .number = -LAB_DAY},
    {.name = "tls-not-yet-valid",
     .about = "the server's certificate begins in two days",
     .bend = bend_validity,
     .number = 2 * LAB_DAY},
    {.name = "tls-wrong-host",
     .about = "the server's certificate is for other.example, without id-kp-cmcRA",
     .bend = bend_host,
     .text = "DNS:other.example"},
    {.name = "tls-cn-only",
     .about = "the server's certificate has CN=localhost and no SubjectAltName",
     .bend = bend_host},
    {.name = "tls-partial-wildcard",
     .about = "the server's certificate is for the DNS name local*",
     .bend = bend_host,
     .text = "DNS:local*"},
    {.name = "tls-cmcra-other-host",
     .about = "harmless: with explicit anchors only (RFC 7030 3.6.1); for other.example, with id-kp-cmcRA",
     .bend = bend_san,
     .text = "DNS:other.example"},
    {.name = "tls-ra-other-host-no-cmcra",
     .about = "the server's certificate is for other.example, with id-kp-cmcCA, which excuses nothing",
     .bend = bend_ra_host,
     .text = "DNS:other.example"},
    {.name = "tls-wrong-eku",
     .about = "the server's certificate is good for client authentication only",
     .bend = bend_eku,
     .text = "clientAuth"},
    {.name = "tls-unknown-issuer",
     .about = "the server's certificate comes from a CA nobody knows",
     .chain = chain_missing,
     .bend = bend_issuer,
     .text = "Somebody's CA"},
    {.name = "tls-self-signed",
     .about = "the server's certificate is self-signed",
     .chain = chain_missing,
     .bend = bend_self_signed},
    {.name = "tls-weak-key", .about = "the server's key is RSA 1024", .bend = bend_weak_key},
    {.name = "tls-sha1-signature",
     .about = "the server's certificate is signed with SHA-1",
     .bend = bend_sha1},
    {.name = "tls-bad-signature",
     .about = "the server's certificate's signature is spoilt",
     .bend = bend_signature},
    {.name = "tls-unknown-critical-extension",
     .about = "the server's certificate has a critical extension nobody knows",
     .bend = bend_critical},
    {.name = "tls-missing-intermediate",
     .about = "the server does not send the issuing CA's certificate",
     .chain = chain_missing},
    {.name = "tls-expired-intermediate",
     .about = "the issuing CA's certificate expired yesterday",
     .chain = chain_expired},
    {.name = "tls-not-ca-intermediate",
     .about = "the server's certificate is issued by one that is not a CA's",
     .chain = chain_not_ca},
    {.name = "tls-name-constraints",
     .about = "the issuing CA may not name localhost",
     .chain = chain_constrained},
    {.name = "tls-deep-chain",
     .about = "12 intermediate certificates, all in order: refused by a client with a lower limit",
     .chain = chain_deep},
};

const struct misbehave_table misbehave_tls = {rows, sizeof rows / sizeof *rows};
