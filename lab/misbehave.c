/* Which misbehaviours there are, which were chosen, and where they get their turn. */
#include "misbehave.h"

#include <event2/http.h>
#include <stdlib.h>
#include <string.h>

static const struct misbehave_table *const tables[] = {
    &misbehave_tls,      &misbehave_hello,    &misbehave_http,     &misbehave_raw,    &misbehave_issue,
    &misbehave_body,     &misbehave_csrattrs, &misbehave_pop,      &misbehave_keygen, &misbehave_multipart,
    &misbehave_rollover, &misbehave_renewal,  &misbehave_template, &misbehave_digest, &misbehave_fullcmc,
    &misbehave_ocsp,     &misbehave_crl,      &misbehave_staple,
};

#define TABLES (sizeof tables / sizeof *tables)

const struct misbehaviour *misbehave_find(const char *name, size_t len)
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

static bool complain(const char *what, const char *choice)
{
    (void)fprintf(stderr, "estuary-lab: %s: %s\n", what, choice);
    return false;
}

static bool choose(struct misbehave_choice *out, const char *choice)
{
    const size_t len = strcspn(choice, "@");
    const struct misbehaviour *row = misbehave_find(choice, len);
    unsigned operations = ~0U;
    if (row == NULL)
        return complain("no such misbehaviour (see --list-misbehaviours)", choice);
    if (choice[len] == '@')
        operations = operation_by_name(choice + len + 1, strlen(choice + len + 1));
    if (choice[len] == '@' && (operations & row->operations) == 0)
        return complain("this misbehaviour does not touch that operation", choice);
    *out = (struct misbehave_choice){.what = row, .operations = operations & row->operations, .text = choice};
    return true;
}

bool misbehave_choose(struct options *o, const char *choice)
{
    if (o->misbehave_count == LAB_MAX_MISBEHAVIOURS)
        return complain("too many", choice);
    struct misbehave_choice *next = &o->misbehave[o->misbehave_count];
    if (!choose(next, choice))
        return false;
    if (next->what->link != NULL) /* nothing to spoil otherwise */
        o->rollover = true;
    o->misbehave_count++;
    return true;
}

/* What changes the lab's own CA, or its plain HTTP port, would change it for every door. */
bool misbehave_choose_also(struct options *o, const char *choice)
{
    if (o->also_count == LAB_MAX_ALSO)
        return complain("too many", choice);
    for (size_t i = 0; i < o->also_count; i++) {
        if (strcmp(o->also[i].text, choice) == 0)
            return complain("given twice", choice);
    }
    if (!choose(&o->also[o->also_count], choice))
        return false;
    if (o->also[o->also_count].what->link != NULL || (o->also[o->also_count].operations & OP_REVOCATION) != 0)
        return complain("this misbehaviour needs a lab of its own (--misbehave)", choice);
    o->also_count++;
    return true;
}

static const struct door *door_of(const struct exchange *ex)
{
    return ex->door != NULL ? ex->door : &ex->lab->doors[0];
}

/* The n-th chosen row of this door that concerns this request (or, with ex NULL, the TLS layer). */
static const struct misbehaviour *chosen(const struct door *door, const struct exchange *ex, size_t n)
{
    const struct misbehave_choice *choice = &door->choices[n];
    if (ex == NULL)
        return choice->what->operations == 0 ? choice->what : NULL;
    return (choice->operations & (unsigned)ex->operation->bit) != 0 ? choice->what : NULL;
}

bool misbehave_touches(const struct door *door, enum operation_bit operation)
{
    for (size_t i = 0; i < door->choice_count; i++) {
        if ((door->choices[i].operations & (unsigned)operation) != 0)
            return true;
    }
    return false;
}

const struct misbehaviour *misbehave_greeting(const struct door *door)
{
    for (size_t i = 0; i < door->choice_count; i++) {
        const struct misbehaviour *row = chosen(door, NULL, i);
        if (row != NULL && row->greet != NULL)
            return row;
    }
    return NULL;
}

bool misbehave_tls_layer(const struct door *door)
{
    for (size_t i = 0; i < door->choice_count; i++) {
        if (chosen(door, NULL, i) != NULL)
            return true;
    }
    return false;
}

bool misbehave_context(const struct door *door, SSL_CTX *ctx)
{
    bool ok = true;
    for (size_t i = 0; ok && i < door->choice_count; i++) {
        const struct misbehaviour *row = chosen(door, NULL, i);
        if (row != NULL && row->context != NULL)
            ok = row->context(door->lab, ctx, row);
    }
    return ok;
}

/* Before there are doors: the CA comes first. */
bool misbehave_link(struct lab *lab, struct mint *new_with_old)
{
    bool ok = true;
    const struct options *o = &lab->options;
    for (size_t i = 0; ok && i < o->misbehave_count; i++) {
        const struct misbehaviour *row = o->misbehave[i].what;
        if (row->link != NULL)
            ok = row->link(lab, new_with_old, row);
    }
    return ok;
}

static bool bend_identity(const struct door *door, struct mint *leaf, STACK_OF(X509) *chain)
{
    bool ok = true;
    for (size_t i = 0; ok && i < door->choice_count; i++) {
        const struct misbehaviour *row = chosen(door, NULL, i);
        if (row != NULL && row->chain != NULL)
            ok = row->chain(door->lab, leaf, chain);
        if (ok && row != NULL && row->bend != NULL)
            ok = row->bend(NULL, leaf, row);
    }
    return ok;
}

static bool bends_identity(const struct door *door)
{
    for (size_t i = 0; i < door->choice_count; i++) {
        const struct misbehaviour *row = chosen(door, NULL, i);
        if (row != NULL && (row->chain != NULL || row->bend != NULL || row->link != NULL))
            return true;
    }
    return false;
}

bool misbehave_server_identity(const struct door *door, SSL_CTX *ctx)
{
    const struct lab *lab = door->lab;
    struct mint m;
    bool ok = false;
    X509 *leaf = NULL;
    STACK_OF(X509) *chain = sk_X509_new_null();
    if (!server_certificate_describe(&lab->ca, &m) || chain == NULL ||
        X509_add_cert(chain, lab->ca.issuing, X509_ADD_FLAG_UP_REF) != 1 ||
        (lab->ca.new_with_old != NULL &&
         X509_add_cert(chain, lab->ca.new_with_old, X509_ADD_FLAG_UP_REF) != 1))
        goto cleanup;
    if (!bends_identity(door)) {
        ok = tls_use_chain(ctx, lab->ca.server, lab->ca.server_key, chain);
        goto cleanup;
    }
    /* OpenSSL itself would refuse to serve a weak key or signature. */
    SSL_CTX_set_security_level(ctx, 0);
    if (!bend_identity(door, &m, chain))
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
    const struct door *door = door_of(ex);
    for (size_t i = 0; i < door->choice_count; i++) {
        const struct misbehaviour *row = chosen(door, ex, i);
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
    const struct door *door = door_of(ex);
    for (size_t i = 0; i < door->choice_count; i++) {
        const struct misbehaviour *row = chosen(door, ex, i);
        if (row == NULL || row->answer == NULL || !row->answer(ex, row))
            continue;
        ex->misbehaved = row->name;
        return true;
    }
    return false;
}

bool misbehave_hold(struct exchange *ex)
{
    const struct door *door = door_of(ex);
    for (size_t i = 0; i < door->choice_count; i++) {
        const struct misbehaviour *row = chosen(door, ex, i);
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
    const struct door *door = door_of(ex);
    for (size_t i = 0; i < door->choice_count; i++) {
        const struct misbehaviour *row = chosen(door, ex, i);
        if (row == NULL || (row->finish == NULL && row->transmit == NULL))
            continue;
        ex->misbehaved = row->name;
        if (row->finish != NULL)
            row->finish(ex, row);
    }
}

bool misbehave_transmit(struct exchange *ex)
{
    const struct door *door = door_of(ex);
    if (ex->operation == NULL || ex->reply.status != 200)
        return false;
    for (size_t i = 0; i < door->choice_count; i++) {
        const struct misbehaviour *row = chosen(door, ex, i);
        if (row != NULL && row->transmit != NULL)
            return row->transmit(ex, row);
    }
    return false;
}

bool misbehave_cmc(struct exchange *ex, struct cmc_reply *reply)
{
    const struct door *door = door_of(ex);
    bool ok = true;
    for (size_t i = 0; ok && i < door->choice_count; i++) {
        const struct misbehaviour *row = chosen(door, ex, i);
        if (row == NULL || row->cmc == NULL)
            continue;
        ex->misbehaved = row->name;
        ok = row->cmc(ex, reply, row);
    }
    return ok;
}

bool misbehave_package(struct exchange *ex, struct key_package *p)
{
    const struct door *door = door_of(ex);
    bool ok = true;
    for (size_t i = 0; ok && i < door->choice_count; i++) {
        const struct misbehaviour *row = chosen(door, ex, i);
        if (row == NULL || row->package == NULL)
            continue;
        ex->misbehaved = row->name;
        ok = row->package(ex, p, row);
    }
    return ok;
}

bool misbehave_parts(struct exchange *ex, struct multipart *m)
{
    const struct door *door = door_of(ex);
    bool ok = true;
    for (size_t i = 0; ok && i < door->choice_count; i++) {
        const struct misbehaviour *row = chosen(door, ex, i);
        if (row == NULL || row->parts == NULL)
            continue;
        ex->misbehaved = row->name;
        ok = row->parts(ex, m, row);
    }
    return ok;
}

bool misbehave_window(struct exchange *ex, time_t begin, time_t end, struct bytes *json)
{
    const struct door *door = door_of(ex);
    bool ok = true;
    for (size_t i = 0; ok && i < door->choice_count; i++) {
        const struct misbehaviour *row = chosen(door, ex, i);
        if (row == NULL || row->window == NULL)
            continue;
        ex->misbehaved = row->name;
        ok = row->window(ex, begin, end, json, row);
    }
    return ok;
}

bool misbehave_bundle(struct exchange *ex, STACK_OF(X509) *certificates)
{
    const struct door *door = door_of(ex);
    bool ok = true;
    for (size_t i = 0; ok && i < door->choice_count; i++) {
        const struct misbehaviour *row = chosen(door, ex, i);
        if (row == NULL || row->bundle == NULL)
            continue;
        ex->misbehaved = row->name;
        ok = row->bundle(ex, certificates, row);
    }
    return ok;
}

bool misbehave_der(struct exchange *ex, struct bytes *der)
{
    const struct door *door = door_of(ex);
    bool ok = true;
    for (size_t i = 0; ok && i < door->choice_count; i++) {
        const struct misbehaviour *row = chosen(door, ex, i);
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
    const struct door *door = door_of(ex);
    for (size_t i = 0; i < door->choice_count; i++) {
        const struct misbehaviour *row = chosen(door, ex, i);
        if (row == NULL || row->encode == NULL)
            continue;
        ex->misbehaved = row->name;
        return row->encode(ex, der, text, row);
    }
    return base64_encode(der, 64, "\r\n", text);
}
