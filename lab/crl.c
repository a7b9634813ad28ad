/* The published CRLs: made anew when something was revoked, or when half of their time is over. */
#include "misbehave.h"
#include "revocation.h"

#include <event2/http.h>
#include <stdlib.h>
#include <string.h>

struct document {
    struct bytes der;
    struct revoked_list list; /* of a complete CRL: what it holds */
    char state[65];           /* digest of everything revoked when it was made */
    time_t made;
    int64_t number;
    int64_t base;
};

struct crls {
    struct document complete[LAB_ISSUERS];
    struct document delta[LAB_ISSUERS];
    int64_t last_number;
};

struct crls *crls_new(void)
{
    return calloc(1, sizeof(struct crls));
}

static void document_clear(struct document *d)
{
    bytes_clear(&d->der);
    revoked_clear(&d->list);
    *d = (struct document){0};
}

void crls_free(struct crls *crls)
{
    if (crls == NULL)
        return;
    for (size_t i = 0; i < LAB_ISSUERS; i++) {
        document_clear(&crls->complete[i]);
        document_clear(&crls->delta[i]);
    }
    free(crls);
}

/* Complete and delta CRLs share a sequence, which the clock keeps growing over restarts. RFC 5280 5.2.3 */
static int64_t next_number(struct crls *crls)
{
    struct timespec now = {0};
    int64_t number = 0;
    if (clock_gettime(CLOCK_REALTIME, &now) == 0)
        number = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    if (number <= crls->last_number)
        number = crls->last_number + 1;
    crls->last_number = number;
    return number;
}

static bool list_state(const struct revoked_list *list, char out[65])
{
    char serial[SERIAL_TEXT];
    char line[SERIAL_TEXT + 64];
    struct bytes text = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < list->count; i++) {
        ok = serial_text(list->at[i].serial, serial);
        (void)snprintf(line, sizeof line, "%s %lld %d\n", serial, (long long)list->at[i].at,
                       list->at[i].reason);
        ok = ok && bytes_text(&text, line);
    }
    ok = ok && sha256_hex(text.data, text.len, out);
    bytes_clear(&text);
    return ok;
}

static bool list_copy(const struct revoked_list *from, struct revoked_list *to)
{
    *to = (struct revoked_list){calloc(from->count + 1, sizeof *to->at), 0};
    for (size_t i = 0; to->at != NULL && i < from->count; i++) {
        to->at[i] = from->at[i];
        to->at[i].serial = ASN1_INTEGER_dup(from->at[i].serial);
        if (to->at[i].serial == NULL)
            return false;
        to->count++;
    }
    return to->at != NULL;
}

static const struct revoked *list_find(const struct revoked_list *list, const ASN1_INTEGER *serial)
{
    for (size_t i = 0; i < list->count; i++) {
        if (ASN1_INTEGER_cmp(list->at[i].serial, serial) == 0)
            return &list->at[i];
    }
    return NULL;
}

static void keep(struct revoked_list *list, const struct revoked *entry)
{
    list->at[list->count++] = *entry;
}

/* What has changed since the base; what was released since is removed from it. RFC 5280 5.2.4 */
static bool list_difference(const struct revoked_list *base, const struct revoked_list *now,
                            struct revoked_list *out)
{
    bool ok = true;
    *out = (struct revoked_list){calloc(base->count + now->count + 1, sizeof *out->at), 0};
    if (out->at == NULL)
        return false;
    for (size_t i = 0; ok && i < now->count; i++) {
        const struct revoked *before = list_find(base, now->at[i].serial);
        struct revoked entry = now->at[i];
        if (before != NULL && before->reason == entry.reason && before->at == entry.at)
            continue;
        entry.serial = ASN1_INTEGER_dup(entry.serial);
        ok = entry.serial != NULL;
        if (ok)
            keep(out, &entry);
    }
    for (size_t i = 0; ok && i < base->count; i++) {
        const struct revoked entry = {ASN1_INTEGER_dup(base->at[i].serial), time(NULL), 8};
        ok = entry.serial != NULL;
        if (ok && list_find(now, entry.serial) == NULL)
            keep(out, &entry);
        else
            ASN1_INTEGER_free(entry.serial);
    }
    return ok;
}

/* The honest description, but for the list. */
static struct crl_plan describe(const struct lab *lab, const struct issuer *issuer, int64_t number,
                                int64_t base, char freshest[160])
{
    const time_t now = time(NULL);
    (void)snprintf(freshest, 160, "URI:%s/crl/%s-delta.crl", lab->ca.http_base, issuer->name);
    return (struct crl_plan){
        .issuer = *issuer,
        .signer = issuer->certificate,
        .key = issuer->key,
        .this_update = now,
        .next_update = now + lab->options.crl_lifetime,
        .number = number,
        .base = base,
        /* RFC 5280 5.2.6: never in a delta CRL */
        .freshest = lab->options.delta && base == 0 ? freshest : NULL,
    };
}

static bool make_document(const struct lab *lab, const struct issuer *issuer, struct document *d)
{
    char freshest[160];
    struct crl_plan plan = describe(lab, issuer, d->number, d->base, freshest);
    plan.list = d->list; /* lent */
    d->made = plan.this_update;
    return crl_encode(&plan, &d->der);
}

static bool too_old(const struct lab *lab, const struct document *d)
{
    return d->der.len == 0 || time(NULL) - d->made >= (lab->options.crl_lifetime + 1) / 2;
}

/* With --delta the base stays as it is, and news is in the delta only. */
static bool refresh_complete(struct lab *lab, size_t which, const struct issuer *issuer,
                             const struct revoked_list *now, const char *state)
{
    struct document *d = &lab->crls->complete[which];
    if (!too_old(lab, d) && (lab->options.delta || strcmp(d->state, state) == 0))
        return true;
    document_clear(d);
    d->number = next_number(lab->crls);
    (void)snprintf(d->state, sizeof d->state, "%s", state);
    return list_copy(now, &d->list) && make_document(lab, issuer, d);
}

static bool refresh_delta(struct lab *lab, size_t which, const struct issuer *issuer,
                          const struct revoked_list *now, const char *state)
{
    const struct document *base = &lab->crls->complete[which];
    struct document *d = &lab->crls->delta[which];
    if (!too_old(lab, d) && d->base == base->number && strcmp(d->state, state) == 0)
        return true;
    document_clear(d);
    (void)snprintf(d->state, sizeof d->state, "%s", state);
    d->base = base->number;
    if (!list_difference(&base->list, now, &d->list))
        return false;
    /* saying the same as the complete CRL, it has the same number. RFC 5280 5.2.4 */
    d->number = d->list.count == 0 ? base->number : next_number(lab->crls);
    return make_document(lab, issuer, d);
}

static const struct document *current(struct lab *lab, size_t which, const struct issuer *issuer, bool delta)
{
    char state[65];
    struct revoked_list now = {0};
    const bool ok = revoked_load(&lab->ca, issuer, &now) && list_state(&now, state) &&
                    refresh_complete(lab, which, issuer, &now, state) &&
                    (!delta || refresh_delta(lab, which, issuer, &now, state));
    revoked_clear(&now);
    if (!ok)
        return NULL;
    return delta ? &lab->crls->delta[which] : &lab->crls->complete[which];
}

bool crls_start(struct lab *lab)
{
    struct issuer issuers[LAB_ISSUERS];
    bool ok = true;
    ca_issuers(&lab->ca, issuers);
    for (size_t i = 0; ok && i < LAB_ISSUERS; i++)
        ok = issuers[i].name == NULL || current(lab, i, &issuers[i], false) != NULL;
    return ok;
}

/* Made for this request, and never kept. */
static bool misbehave(struct exchange *ex, const struct issuer *issuer, const struct document *d,
                      struct bytes *der)
{
    char freshest[160];
    struct crl_plan plan = describe(ex->lab, issuer, d->number, d->base, freshest);
    const bool ok =
        list_copy(&d->list, &plan.list) && ex->lie->crl(ex->lab, &plan, ex->lie) && crl_encode(&plan, der);
    crl_plan_clear(&plan);
    return ok;
}

static bool fill(struct exchange *ex, const struct issuer *issuer, const struct document *d)
{
    const struct misbehaviour *lie = ex->lie;
    struct bytes der = {0};
    char digest[65];
    char etag[72];
    char modified[64];
    reply_set(&ex->reply, 200, "OK");
    bool ok = lie != NULL && lie->crl != NULL ? misbehave(ex, issuer, d, &der)
                                              : bytes_append(&der, d->der.data, d->der.len);
    ok = ok && (lie == NULL || lie->body == NULL || lie->body(ex, &der, lie)) &&
         sha256_hex(der.data, der.len, digest) && bytes_append(&ex->reply.body, der.data, der.len);
    bytes_clear(&der);
    if (!ok)
        return false;
    (void)snprintf(etag, sizeof etag, "\"%.32s\"", digest);
    http_date(d->made, modified);
    return reply_header(&ex->reply, "Content-Type", "application/pkix-crl") &&
           reply_header(&ex->reply, "ETag", etag) && reply_header(&ex->reply, "Last-Modified", modified);
}

/* NAME.crl or NAME-delta.crl */
static bool names_crl(const char *path, const char *name, bool *delta)
{
    const size_t len = name == NULL ? 0 : strlen(name);
    if (len == 0 || strncmp(path, name, len) != 0)
        return false;
    *delta = strcmp(path + len, "-delta.crl") == 0;
    return *delta || strcmp(path + len, ".crl") == 0;
}

bool crl_handle(struct exchange *ex, const char *path)
{
    struct issuer issuers[LAB_ISSUERS];
    ca_issuers(&ex->lab->ca, issuers);
    for (size_t i = 0; i < LAB_ISSUERS; i++) {
        bool delta = false;
        if (!names_crl(path, issuers[i].name, &delta))
            continue;
        const struct document *d = current(ex->lab, i, &issuers[i], delta);
        if (d == NULL || !fill(ex, &issuers[i], d))
            reply_text(&ex->reply, 500, "Internal Server Error", "the CRL could not be made");
        return true;
    }
    return false;
}
