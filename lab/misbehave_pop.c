/* Misbehaviours of the channel binding. RFC 7030 3.5, RFC 7627 */
#include "misbehave.h"

#include <openssl/ssl.h>

/* After the honest check, so that only a binding that was right is called wrong. */
static bool hold_refused(struct exchange *ex, const struct misbehaviour *row)
{
    if (X509_REQ_get_attr_by_NID(ex->csr, NID_pkcs9_challengePassword, -1) < 0)
        return false;
    ex->pop = "wrong";
    reply_text(&ex->reply, 400, "Bad Request", row->text);
    return true;
}

/* TLS 1.2 without extended master secret: its tls-unique proves nothing. RFC 7627 6.1 */
static bool context_no_ems(const struct lab *lab, SSL_CTX *ctx, const struct misbehaviour *row)
{
    (void)lab;
    (void)row;
    SSL_CTX_set_options(ctx, SSL_OP_NO_EXTENDED_MASTER_SECRET);
    return SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION) == 1;
}

static const struct misbehaviour rows[] = {
    {.name = "pop-always-wrong",
     .about = "a right channel binding is called wrong with 400",
     .operations = OP_ISSUE,
     .hold = hold_refused,
     .text = "the request's challengePassword is not the channel binding of this TLS session: identity and "
             "proof of possession are not linked"},
    {.name = "pop-never-seen",
     .about = "a right channel binding is called missing with 400",
     .operations = OP_ISSUE,
     .hold = hold_refused,
     .text = "linking of identity and POP information is required"},
    {.name = "pop-no-extended-master-secret",
     .about = "harmless: without a binding; TLS 1.2 without extended master secret, so there is none",
     .context = context_no_ems},
};

const struct misbehave_table misbehave_pop = {rows, sizeof rows / sizeof *rows};
