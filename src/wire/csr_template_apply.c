/* What a request template (RFC 9908 3.4) does to a request: its values stand, the caller's fill its gaps. */
#include "wire/csr_template.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <string.h>

#define TEXT_MAX 1024

/* What is missing or wrong, by name; told at the end, all of it together. */
typedef struct report {
    est_buf missing;
    est_buf wrong;
    char *last_missing; /* kept back: the word before it is "and" */
    bool no_memory;
} report;

/* A list that is too long is cut. */
static void append(report *r, est_buf *list, const char *separator, const char *item)
{
    est_append result = list->len == 0 ? EST_APPEND_OK : est_buf_append(list, separator, strlen(separator));
    if (result == EST_APPEND_OK)
        result = est_buf_append(list, item, strlen(item));
    r->no_memory = r->no_memory || result == EST_APPEND_NO_MEMORY;
}

/* Both take `item` over. */
static void add_missing(report *r, char *item)
{
    r->no_memory = r->no_memory || item == NULL;
    if (r->last_missing != NULL)
        append(r, &r->missing, ", ", r->last_missing);
    est_free(r->last_missing);
    r->last_missing = item;
}

static void add_wrong(report *r, char *item)
{
    if (item != NULL)
        append(r, &r->wrong, "; ", item);
    r->no_memory = r->no_memory || item == NULL;
    est_free(item);
}

static estuary_status finish(report *r, estuary_error *err)
{
    if (r->last_missing != NULL)
        append(r, &r->missing, " and ", r->last_missing);
    if (r->no_memory)
        return est_fail_memory(err);
    if (r->wrong.len > 0)
        return est_fail(err, EST_CSR_CONFLICT, "the request contradicts the server's template: %s",
                        (const char *)r->wrong.data);
    if (r->missing.len > 0)
        return est_fail(err, EST_CSR_INCOMPLETE, "the server's template wants %s",
                        (const char *)r->missing.data);
    return ESTUARY_OK;
}

static void report_free(report *r)
{
    est_buf_free(&r->missing);
    est_buf_free(&r->wrong);
    est_free(r->last_missing);
}

/* Subject: names.used marks the caller's entries that have found their place. */

typedef struct subject {
    const X509_NAME *have;
    bool used[EST_NAME_MAX_ENTRIES];
    X509_NAME *made;
} subject;

static int find_value(const subject *s, const est_template_rdn *part, bool blank)
{
    int at = -1;
    while ((at = X509_NAME_get_index_by_OBJ(s->have, part->type, at)) >= 0) {
        if (at >= EST_NAME_MAX_ENTRIES)
            return -1;
        if (!s->used[at] &&
            (blank || est_same_text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(s->have, at)), part->value)))
            return at;
    }
    return -1;
}

static bool put_value(subject *s, const est_template_rdn *part, const ASN1_STRING *value, bool joined)
{
    X509_NAME_ENTRY *entry = X509_NAME_ENTRY_create_by_OBJ(
        NULL, part->type, ASN1_STRING_type(value), ASN1_STRING_get0_data(value), ASN1_STRING_length(value));
    bool put = entry != NULL && X509_NAME_add_entry(s->made, entry, -1, joined ? -1 : 0) == 1;
    X509_NAME_ENTRY_free(entry);
    return put;
}

static void miss(report *r, const ASN1_OBJECT *type, const char *prefix)
{
    char *name = est_csr_attribute_name(type);
    add_missing(r, name == NULL ? NULL : est_printf("%s%s", prefix, name));
    est_free(name);
}

/* Fixed values are matched first, so that they do not fill somebody else's gap. */
static void mark_fixed(subject *s, const est_template_info *info)
{
    for (int i = 0; i < sk_est_template_rdns_num(info->subject); i++) {
        const est_template_rdns *rdn = sk_est_template_rdns_value(info->subject, i);
        for (int k = 0; k < sk_est_template_rdn_num(rdn); k++) {
            const est_template_rdn *part = sk_est_template_rdn_value(rdn, k);
            int at = est_template_is_blank(part->value) ? -1 : find_value(s, part, false);
            if (at >= 0)
                s->used[at] = true;
        }
    }
}

static void put_rdn(subject *s, const est_template_rdns *rdn, report *r)
{
    bool joined = false;
    for (int k = 0; k < sk_est_template_rdn_num(rdn); k++) {
        const est_template_rdn *part = sk_est_template_rdn_value(rdn, k);
        const ASN1_STRING *value = NULL;
        if (!est_template_is_blank(part->value)) {
            value = part->value->value.asn1_string;
        } else {
            int at = find_value(s, part, true);
            if (at < 0) {
                miss(r, part->type, "");
                continue;
            }
            s->used[at] = true;
            value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(s->have, at));
        }
        if (!put_value(s, part, value, joined))
            r->no_memory = true;
        joined = true;
    }
}

/* The fixed value of the template for a type; NULL when it has none. */
static const ASN1_TYPE *fixed_value(const est_template_info *info, const ASN1_OBJECT *type)
{
    for (int i = 0; i < sk_est_template_rdns_num(info->subject); i++) {
        const est_template_rdns *rdn = sk_est_template_rdns_value(info->subject, i);
        for (int k = 0; k < sk_est_template_rdn_num(rdn); k++) {
            const est_template_rdn *part = sk_est_template_rdn_value(rdn, k);
            if (OBJ_cmp(part->type, type) == 0 && !est_template_is_blank(part->value))
                return part->value;
        }
    }
    return NULL;
}

static void text_of(const ASN1_STRING *string, char *out, size_t size)
{
    uint8_t *text = NULL;
    int len = ASN1_STRING_to_UTF8(&text, string);
    est_text_sanitise(len < 0 ? (const uint8_t *)"?" : text, len < 0 ? 1 : (size_t)len, out, size);
    OPENSSL_free(text);
}

static void refuse_rdn(const X509_NAME_ENTRY *entry, const est_template_info *info, report *r)
{
    const ASN1_OBJECT *type = X509_NAME_ENTRY_get_object(entry);
    const ASN1_TYPE *fixed = fixed_value(info, type);
    char have[128], want[128];
    char *name = est_csr_attribute_name(type);
    text_of(X509_NAME_ENTRY_get_data(entry), have, sizeof(have));
    if (fixed != NULL)
        text_of(fixed->value.asn1_string, want, sizeof(want));
    if (name == NULL)
        r->no_memory = true;
    else if (fixed != NULL)
        add_wrong(r, est_printf("%s is \"%s\" and must be \"%s\"", name, have, want));
    else
        add_wrong(r, est_printf("%s \"%s\" has no place in its subject", name, have));
    est_free(name);
}

/* RFC 9908 3.4: an RDN the client is not expected to provide is absent, so a surplus one is no fit. */
static estuary_status apply_subject(estuary_csr *csr, const est_template_info *info, report *r,
                                    estuary_error *err)
{
    if (info->subject == NULL)
        return ESTUARY_OK;
    subject s = {.have = csr->subject, .made = X509_NAME_new()};
    if (s.made == NULL)
        return est_fail_openssl(err, EST_MEMORY, NULL);
    mark_fixed(&s, info);
    for (int i = 0; i < sk_est_template_rdns_num(info->subject); i++)
        put_rdn(&s, sk_est_template_rdns_value(info->subject, i), r);
    for (int i = 0; i < X509_NAME_entry_count(s.have); i++)
        if (i >= EST_NAME_MAX_ENTRIES || !s.used[i])
            refuse_rdn(X509_NAME_get_entry(s.have, i), info, r);
    X509_NAME_free(csr->subject);
    csr->subject = s.made;
    return ESTUARY_OK;
}

/* subjectAltName */

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

/* RFC 4343: case does not count in host names, and we write ours in lower case. */
static bool same_name(const GENERAL_NAME *a, const GENERAL_NAME *b)
{
    if (a->type != GEN_DNS || b->type != GEN_DNS)
        return GENERAL_NAME_cmp((GENERAL_NAME *)a, (GENERAL_NAME *)b) == 0;
    const uint8_t *x = ASN1_STRING_get0_data(a->d.dNSName), *y = ASN1_STRING_get0_data(b->d.dNSName);
    int len = ASN1_STRING_length(a->d.dNSName);
    if (len != ASN1_STRING_length(b->d.dNSName))
        return false;
    for (int i = 0; i < len; i++)
        if (lower(x[i]) != lower(y[i]))
            return false;
    return true;
}

/* A value of the caller's for a gap: of the same type, and for otherName of the same type-id. */
static bool fills(const GENERAL_NAME *have, const GENERAL_NAME *gap)
{
    if (have->type != gap->type)
        return false;
    return gap->type != GEN_OTHERNAME || OBJ_cmp(have->d.otherName->type_id, gap->d.otherName->type_id) == 0;
}

/* Takes the first that fits out of `names`; NULL when there is none. */
static GENERAL_NAME *take_name(GENERAL_NAMES *names, const GENERAL_NAME *wish, bool gap)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *have = sk_GENERAL_NAME_value(names, i);
        if (gap ? fills(have, wish) : same_name(have, wish))
            return sk_GENERAL_NAME_delete(names, i);
    }
    return NULL;
}

static void drop_fixed(GENERAL_NAMES *ours, const GENERAL_NAMES *theirs)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(theirs); i++) {
        const GENERAL_NAME *wish = sk_GENERAL_NAME_value(theirs, i);
        if (!est_general_name_is_blank(wish))
            GENERAL_NAME_free(take_name(ours, wish, false));
    }
}

static void fill_names(GENERAL_NAMES *ours, GENERAL_NAMES *theirs, report *r)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(theirs); i++) {
        GENERAL_NAME *wish = sk_GENERAL_NAME_value(theirs, i);
        if (!est_general_name_is_blank(wish))
            continue;
        GENERAL_NAME *value = take_name(ours, wish, true);
        if (value == NULL) {
            const char *type = est_general_name_type(wish);
            add_missing(
                r, est_printf("%s %s in subjectAltName", strchr("ior", type[0]) == NULL ? "a" : "an", type));
            continue;
        }
        (void)sk_GENERAL_NAME_set(theirs, i, value); /* cannot fail: i is inside */
        GENERAL_NAME_free(wish);
    }
    for (int i = 0; i < sk_GENERAL_NAME_num(ours); i++) {
        char *text = est_general_name_text(sk_GENERAL_NAME_value(ours, i));
        add_wrong(r, text == NULL ? NULL : est_printf("%s has no place in its subjectAltName", text));
        est_free(text);
    }
}

static estuary_status apply_names(estuary_csr *csr, const est_template_extension *part,
                                  const X509_EXTENSION *have, report *r, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    GENERAL_NAMES *theirs = NULL, *ours = NULL;
    bool critical = part->critical > 0 || (have != NULL && X509_EXTENSION_get_critical(have));
    ours = have == NULL ? GENERAL_NAMES_new() : X509V3_EXT_d2i((X509_EXTENSION *)have);
    if (ours == NULL || !est_template_names(part, &theirs))
        EST_FAIL_OPENSSL(EST_CSR_CONFLICT, "a subjectAltName cannot be read");
    drop_fixed(ours, theirs);
    fill_names(ours, theirs, r);
    EST_TRY(est_csr_put_extension(csr, X509V3_EXT_i2d(NID_subject_alt_name, critical ? 1 : 0, theirs), err));
cleanup:
    GENERAL_NAMES_free(ours);
    GENERAL_NAMES_free(theirs);
    return status;
}

/* Any other extension */

/* RFC 9908 3.4: "If the critical field is present, the client SHOULD use it". */
static estuary_status keep_ours(estuary_csr *csr, const est_template_extension *part,
                                const X509_EXTENSION *have, estuary_error *err)
{
    if (part->critical <= 0 || X509_EXTENSION_get_critical(have) == 1)
        return ESTUARY_OK;
    X509_EXTENSION *copy = X509_EXTENSION_dup(have);
    if (copy == NULL || X509_EXTENSION_set_critical(copy, 1) != 1) {
        X509_EXTENSION_free(copy);
        return est_fail_openssl(err, EST_MEMORY, NULL);
    }
    return est_csr_put_extension(csr, copy, err);
}

static estuary_status take_theirs(estuary_csr *csr, const est_template_extension *part, report *r,
                                  estuary_error *err)
{
    X509_EXTENSION *extension = est_template_extension_new(part);
    if (extension != NULL && !est_extension_is_sound(extension)) {
        char *name = est_csr_attribute_name(part->type);
        add_wrong(r, name == NULL ? NULL : est_printf("its value of %s is broken", name));
        est_free(name);
        X509_EXTENSION_free(extension);
        return ESTUARY_OK;
    }
    return est_csr_put_extension(csr, extension, err);
}

static estuary_status apply_extension(estuary_csr *csr, const est_template_extension *part, report *r,
                                      estuary_error *err)
{
    const X509_EXTENSION *have = est_extensions_find(csr->extensions, part->type);
    bool blank = est_template_extension_is_blank(part);
    if (blank && have == NULL) {
        miss(r, part->type, "the extension ");
        return ESTUARY_OK;
    }
    if (blank)
        return keep_ours(csr, part, have, err);
    if (OBJ_obj2nid(part->type) == NID_subject_alt_name)
        return apply_names(csr, part, have, r, err);
    if (have == NULL)
        return take_theirs(csr, part, r, err);
    if (ASN1_OCTET_STRING_cmp(X509_EXTENSION_get_data((X509_EXTENSION *)have), part->value) == 0)
        return keep_ours(csr, part, have, err);
    char *ours = est_extension_text(have);
    char *name = est_csr_attribute_name(part->type);
    add_wrong(r, ours == NULL || name == NULL
                     ? NULL
                     : est_printf("the extension %s has another value there (here %s)", name, ours));
    est_free(ours);
    est_free(name);
    return ESTUARY_OK;
}

/* Any other attribute */

static int find_attribute(const estuary_csr *csr, const ASN1_OBJECT *type)
{
    for (int i = 0; i < sk_X509_ATTRIBUTE_num(csr->attributes); i++)
        if (OBJ_cmp(X509_ATTRIBUTE_get0_object(sk_X509_ATTRIBUTE_value(csr->attributes, i)), type) == 0)
            return i;
    return -1;
}

static bool same_attribute(const X509_ATTRIBUTE *a, const X509_ATTRIBUTE *b)
{
    uint8_t *a_der = NULL, *b_der = NULL;
    int a_len = i2d_X509_ATTRIBUTE(a, &a_der), b_len = i2d_X509_ATTRIBUTE(b, &b_der);
    bool same = a_len > 0 && a_len == b_len && memcmp(a_der, b_der, (size_t)a_len) == 0;
    OPENSSL_free(a_der);
    OPENSSL_free(b_der);
    return same;
}

static estuary_status apply_attribute(estuary_csr *csr, X509_ATTRIBUTE *part, report *r, estuary_error *err)
{
    const ASN1_OBJECT *type = X509_ATTRIBUTE_get0_object(part);
    int at = find_attribute(csr, type);
    bool blank = est_template_attribute_is_blank(part);
    if (blank && at < 0)
        miss(r, type, "the attribute ");
    if (blank)
        return ESTUARY_OK;
    if (at < 0) {
        X509_ATTRIBUTE *copy = X509_ATTRIBUTE_dup(part);
        if (csr->attributes == NULL)
            csr->attributes = sk_X509_ATTRIBUTE_new_null();
        if (copy != NULL && csr->attributes != NULL && sk_X509_ATTRIBUTE_push(csr->attributes, copy) > 0)
            return ESTUARY_OK;
        X509_ATTRIBUTE_free(copy);
        return est_fail_openssl(err, EST_MEMORY, NULL);
    }
    if (same_attribute(sk_X509_ATTRIBUTE_value(csr->attributes, at), part))
        return ESTUARY_OK;
    char *name = est_csr_attribute_name(type);
    add_wrong(r, name == NULL ? NULL : est_printf("the attribute %s has another value there", name));
    est_free(name);
    return ESTUARY_OK;
}

estuary_status est_csr_template_apply(estuary_csr *csr, const est_csr_template *template, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    report r = {.missing = {.max = TEXT_MAX}, .wrong = {.max = TEXT_MAX}};
    EST_TRY(apply_subject(csr, template->info, &r, err));
    for (int i = 0; i < sk_est_template_extension_num(template->extensions); i++)
        EST_TRY(apply_extension(csr, sk_est_template_extension_value(template->extensions, i), &r, err));
    for (int i = 0; i < sk_X509_ATTRIBUTE_num(template->info->attributes); i++) {
        X509_ATTRIBUTE *attribute = sk_X509_ATTRIBUTE_value(template->info->attributes, i);
        if (!est_template_attribute_is_special(attribute))
            EST_TRY(apply_attribute(csr, attribute, &r, err));
    }
    EST_TRY(finish(&r, err));
cleanup:
    report_free(&r);
    return status;
}
