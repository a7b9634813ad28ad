/* Which misbehaviours there are, which were chosen, and where they get their turn. */
#include "misbehave.h"

#include <event2/http.h>
#include <stdlib.h>
#include <string.h>

static const struct misbehave_table *const tables[] = {
    &misbehave_tls,      &misbehave_hello,    &misbehave_http,     &misbehave_raw,    &misbehave_issue,
    &misbehave_body,     &misbehave_csrattrs, &misbehave_pop,      &misbehave_keygen, &misbehave_multipart,
    &misbehave_rollover, &misbehave_renewal,  &misbehave_template, &misbehave_digest, &misbehave_fullcmc,
};

#define TABLES (sizeof tables / sizeof *tables)

static const struct misbehaviour *find(const char *name, size_t len)
{
    for (size_t t = 0; t < TABLES; t++) {
        for (size_t i = 0; i < tables[t]->count; i++) {
            const struct misbehaviour *row = &tables[t]->rows[i];
            if (strlen(row->name) == len && memcmp(row->name, name, len) == 0)
                return row;
        }
    }
    return NULL;
}

void misbehave_list(FILE *out)
{
    for (size_t t = 0; t < TABLES; t++) {
        for (size_t i = 0; i < tables[t]->count; i++)
            (void)fprintf(out, "%s\t%s\n", tables[t]->rows[i].name, tables[t]->rows[i].about);
    }
}

bool misbehave_choose(struct options *o, const char *choice)
{
    const size_t len = strcspn(choice, "@");
    const struct misbehaviour *row = find(choice, len);
    unsigned operations = OP_ALL;
    if (row == NULL || o->misbehave_count == LAB_MAX_MISBEHAVIOURS) {
        (void)fprintf(stderr, "estuary-lab: %s: %s\n",
                      row == NULL ? "no such misbehaviour (see --list-misbehaviours)" : "too many", choice);
        return false;
    }
    if (choice[len] == '@')
        operations = operation_by_name(choice + len + 1, strlen(choice + len + 1));
    if (choice[len] == '@' && (operations & row->operations) == 0) {
        (void)fprintf(stderr, "estuary-lab: this misbehaviour does not touch that operation: %s\n", choice);
        return false;
    }
    if (row->link != NULL) /* nothing to spoil otherwise */
        o->rollover = true;
    o->misbehave[o->misbehave_count++] =
        (struct misbehave_choice){.what = row, .operations = operations & row->operations};
    return true;
}

/* The n-th chosen row that concerns this request (or, with ex NULL, the TLS layer). */
static const struct misbehaviour *chosen(const struct lab *lab, const struct exchange *ex, size_t n)
{
    if (n >= lab->options.misbehave_count)
        return NULL;
    const struct misbehave_choice *choice = &lab->options.misbehave[n];
    if (ex == NULL)
        return choice->what->operations == 0 ? choice->what : NULL;
    return (choice->operations & (unsigned)ex->operation->bit) != 0 ? choice->what : NULL;
}

bool misbehave_touches(const struct lab *lab, enum operation_bit operation)
{
    for (size_t i = 0; i < lab->options.misbehave_count; i++) {
        if ((lab->options.misbehave[i].operations & (unsigned)operation) != 0)
            return true;
    }
    return false;
}

const struct misbehaviour *misbehave_greeting(const struct lab *lab)
{
    for (size_t i = 0; i < lab->options.misbehave_count; i++) {
        const struct misbehaviour *row = chosen(lab, NULL, i);
        if (row != NULL && row->greet != NULL)
            return row;
    }
    return NULL;
}

bool misbehave_context(struct lab *lab, SSL_CTX *ctx)
{
    bool ok = true;
    for (size_t i = 0; ok && i < lab->options.misbehave_count; i++) {
        const struct misbehaviour *row = chosen(lab, NULL, i);
        if (row != NULL && row->context != NULL)
            ok = row->context(lab, ctx, row);
    }
    return ok;
}

bool misbehave_link(struct lab *lab, struct mint *new_with_old)
{
    bool ok = true;
    for (size_t i = 0; ok && i < lab->options.misbehave_count; i++) {
        const struct misbehaviour *row = chosen(lab, NULL, i);
        if (row != NULL && row->link != NULL)
            ok = row->link(lab, new_with_old, row);
    }
    return ok;
}

static bool bend_identity(struct lab *lab, struct mint *leaf, STACK_OF(X509) *chain)
{
    bool ok = true;
    for (size_t i = 0; ok && i < lab->options.misbehave_count; i++) {
        const struct misbehaviour *row = chosen(lab, NULL, i);
        if (row != NULL && row->chain != NULL)
            ok = row->chain(lab, leaf, chain);
        if (ok && row != NULL && row->bend != NULL)
            ok = row->bend(NULL, leaf, row);
    }
    return ok;
}

static bool bends_identity(const struct lab *lab)
{
    for (size_t i = 0; i < lab->options.misbehave_count; i++) {
        const struct misbehaviour *row = chosen(lab, NULL, i);
        if (row != NULL && (row->chain != NULL || row->bend != NULL || row->link != NULL))
            return true;
    }
    return false;
}

bool misbehave_server_identity(struct lab *lab, SSL_CTX *ctx)
{
    struct mint m;
    bool ok = false;
    X509 *leaf = NULL;
    STACK_OF(X509) *chain = sk_X509_new_null();
    server_certificate_describe(&lab->ca, &m);
    if (chain == NULL || X509_add_cert(chain, lab->ca.issuing, X509_ADD_FLAG_UP_REF) != 1 ||
        (lab->ca.new_with_old != NULL &&
         X509_add_cert(chain, lab->ca.new_with_old, X509_ADD_FLAG_UP_REF) != 1))
        goto cleanup;
    if (!bends_identity(lab)) {
        ok = tls_use_chain(ctx, lab->ca.server, lab->ca.server_key, chain);
        goto cleanup;
    }
    /* OpenSSL itself would refuse to serve a weak key or signature. */
    SSL_CTX_set_security_level(ctx, 0);
    if (!bend_identity(lab, &m, chain))
        goto cleanup;
    leaf = mint_certificate(&m);
    ok = leaf != NULL && tls_use_chain(ctx, leaf, m.key, chain);
cleanup:
    mint_clear(&m);
    X509_free(leaf);
    sk_X509_pop_free(chain, X509_free);
    return ok;
}

X509 *misbehave_mint(struct exchange *ex, struct mint *m)
{
    for (size_t i = 0; i < ex->lab->options.misbehave_count; i++) {
        const struct misbehaviour *row = chosen(ex->lab, ex, i);
        if (row == NULL || row->bend == NULL)
            continue;
        ex->misbehaved = row->name;
        if (!row->bend(ex, m, row))
            return NULL;
    }
    return mint_certificate(m);
}

bool misbehave_answer(struct exchange *ex)
{
    for (size_t i = 0; i < ex->lab->options.misbehave_count; i++) {
        const struct misbehaviour *row = chosen(ex->lab, ex, i);
        if (row == NULL || row->answer == NULL || !row->answer(ex, row))
            continue;
        ex->misbehaved = row->name;
        return true;
    }
    return false;
}

bool misbehave_hold(struct exchange *ex)
{
    for (size_t i = 0; i < ex->lab->options.misbehave_count; i++) {
        const struct misbehaviour *row = chosen(ex->lab, ex, i);
        if (row == NULL || row->hold == NULL || !row->hold(ex, row))
            continue;
        ex->misbehaved = row->name;
        return true;
    }
    return false;
}

/* Also names the row that will send the answer, so that the access log, written first, can tell. */
void misbehave_finish(struct exchange *ex)
{
    for (size_t i = 0; i < ex->lab->options.misbehave_count; i++) {
        const struct misbehaviour *row = chosen(ex->lab, ex, i);
        if (row == NULL || (row->finish == NULL && row->transmit == NULL))
            continue;
        ex->misbehaved = row->name;
        if (row->finish != NULL)
            row->finish(ex, row);
    }
}

bool misbehave_transmit(struct exchange *ex)
{
    if (ex->operation == NULL || ex->reply.status != 200)
        return false;
    for (size_t i = 0; i < ex->lab->options.misbehave_count; i++) {
        const struct misbehaviour *row = chosen(ex->lab, ex, i);
        if (row != NULL && row->transmit != NULL)
            return row->transmit(ex, row);
    }
    return false;
}

bool misbehave_cmc(struct exchange *ex, struct cmc_reply *reply)
{
    bool ok = true;
    for (size_t i = 0; ok && i < ex->lab->options.misbehave_count; i++) {
        const struct misbehaviour *row = chosen(ex->lab, ex, i);
        if (row == NULL || row->cmc == NULL)
            continue;
        ex->misbehaved = row->name;
        ok = row->cmc(ex, reply, row);
    }
    return ok;
}

bool misbehave_package(struct exchange *ex, struct key_package *p)
{
    bool ok = true;
    for (size_t i = 0; ok && i < ex->lab->options.misbehave_count; i++) {
        const struct misbehaviour *row = chosen(ex->lab, ex, i);
        if (row == NULL || row->package == NULL)
            continue;
        ex->misbehaved = row->name;
        ok = row->package(ex, p, row);
    }
    return ok;
}

bool misbehave_parts(struct exchange *ex, struct multipart *m)
{
    bool ok = true;
    for (size_t i = 0; ok && i < ex->lab->options.misbehave_count; i++) {
        const struct misbehaviour *row = chosen(ex->lab, ex, i);
        if (row == NULL || row->parts == NULL)
            continue;
        ex->misbehaved = row->name;
        ok = row->parts(ex, m, row);
    }
    return ok;
}

bool misbehave_window(struct exchange *ex, time_t begin, time_t end, struct bytes *json)
{
    bool ok = true;
    for (size_t i = 0; ok && i < ex->lab->options.misbehave_count; i++) {
        const struct misbehaviour *row = chosen(ex->lab, ex, i);
        if (row == NULL || row->window == NULL)
            continue;
        ex->misbehaved = row->name;
        ok = row->window(ex, begin, end, json, row);
    }
    return ok;
}

bool misbehave_bundle(struct exchange *ex, STACK_OF(X509) *certificates)
{
    bool ok = true;
    for (size_t i = 0; ok && i < ex->lab->options.misbehave_count; i++) {
        const struct misbehaviour *row = chosen(ex->lab, ex, i);
        if (row == NULL || row->bundle == NULL)
            continue;
        ex->misbehaved = row->name;
        ok = row->bundle(ex, certificates, row);
    }
    return ok;
}

bool misbehave_der(struct exchange *ex, struct bytes *der)
{
    bool ok = true;
    for (size_t i = 0; ok && i < ex->lab->options.misbehave_count; i++) {
        const struct misbehaviour *row = chosen(ex->lab, ex, i);
        if (row == NULL || row->body == NULL)
            continue;
        ex->misbehaved = row->name;
        ok = row->body(ex, der, row);
    }
    return ok;
}

/* RFC 8951 3.1: base64, here in lines of 64. */
bool misbehave_encode(struct exchange *ex, const struct bytes *der, struct bytes *text)
{
    for (size_t i = 0; i < ex->lab->options.misbehave_count; i++) {
        const struct misbehaviour *row = chosen(ex->lab, ex, i);
        if (row == NULL || row->encode == NULL)
            continue;
        ex->misbehaved = row->name;
        return row->encode(ex, der, text, row);
    }
    return base64_encode(der, 64, "\r\n", text);
}
