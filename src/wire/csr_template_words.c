/* A request template (RFC 9908 3.4) in words: one entry for each of its parts (E3). */
#include "wire/csr_template.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <string.h>

#define TEXT_MAX     1024
#define RSA_BITS_MAX 16384

typedef struct list {
    est_csr_attribute *entries;
    size_t count;
    size_t size;
} list;

/* The next entry, with oid and name; NULL when memory is short. */
static est_csr_attribute *add(list *to, const ASN1_OBJECT *type, estuary_csr_attribute_kind kind)
{
    char oid[EST_OID_MAX_TEXT] = "?";
    if (to->count >= to->size)
        return NULL; /* never: the size was counted */
    est_csr_attribute *entry = &to->entries[to->count++];
    if (!est_oid_text(type, oid, sizeof(oid)))
        memcpy(oid, "?", 2);
    entry->kind = kind;
    entry->type = OBJ_dup(type);
    entry->oid = est_strdup(oid);
    entry->name = est_csr_attribute_name(type);
    return entry->type == NULL || entry->oid == NULL || entry->name == NULL ? NULL : entry;
}

static estuary_status done(const est_csr_attribute *entry, estuary_error *err)
{
    return entry == NULL || entry->words == NULL ? est_fail_memory(err) : ESTUARY_OK;
}

static void value_text(const ASN1_TYPE *value, char *out, size_t size)
{
    uint8_t *text = NULL;
    int len = value != NULL && est_asn1_is_text(value->type)
                  ? ASN1_STRING_to_UTF8(&text, value->value.asn1_string)
                  : -1;
    est_text_sanitise(len < 0 ? (const uint8_t *)"?" : text, len < 0 ? 1 : (size_t)len, out, size);
    OPENSSL_free(text);
}

static estuary_status add_rdn(list *to, const est_template_rdn *part, estuary_error *err)
{
    char value[256];
    est_csr_attribute *entry = add(to, part->type, ESTUARY_CSRATTR_SUBJECT);
    if (entry == NULL)
        return est_fail_memory(err);
    entry->must_fill = est_template_is_blank(part->value);
    if (entry->must_fill) {
        entry->words = est_printf("the subject needs %s, whose value is yours to give", entry->name);
        return done(entry, err);
    }
    value_text(part->value, value, sizeof(value));
    entry->words = est_printf("the subject will hold %s \"%s\"", entry->name, value);
    return done(entry, err);
}

static estuary_status add_subject(list *to, const est_template_info *info, estuary_error *err)
{
    for (int i = 0; i < sk_est_template_rdns_num(info->subject); i++) {
        const est_template_rdns *rdn = sk_est_template_rdns_value(info->subject, i);
        for (int k = 0; k < sk_est_template_rdn_num(rdn); k++) {
            estuary_status status = add_rdn(to, sk_est_template_rdn_value(rdn, k), err);
            if (status != ESTUARY_OK)
                return status;
        }
    }
    return ESTUARY_OK;
}

/* RFC 9908 3.4: a placeholder of the modulus length wanted. 0: none that can be read. */
static int placeholder_bits(const ASN1_BIT_STRING *placeholder)
{
    const uint8_t *at = placeholder == NULL ? NULL : ASN1_STRING_get0_data(placeholder);
    int bits = 0;
    ASN1_SEQUENCE_ANY *numbers =
        at == NULL ? NULL : d2i_ASN1_SEQUENCE_ANY(NULL, &at, ASN1_STRING_length(placeholder));
    const ASN1_TYPE *modulus = sk_ASN1_TYPE_num(numbers) < 1 ? NULL : sk_ASN1_TYPE_value(numbers, 0);
    if (modulus != NULL && modulus->type == V_ASN1_INTEGER) {
        int len = ASN1_STRING_length(modulus->value.integer); /* OpenSSL drops the sign byte */
        bits = len > RSA_BITS_MAX / 8 ? RSA_BITS_MAX + 8 : len * 8;
    }
    sk_ASN1_TYPE_pop_free(numbers, ASN1_TYPE_free);
    ERR_clear_error();
    return bits;
}

/* As an attribute of RFC 7030 says it: the curve's OID, the modulus length. NULL: a bare OID does. */
static X509_ATTRIBUTE *key_attribute(const est_template_key *key, bool *failed)
{
    const ASN1_OBJECT *algorithm = NULL;
    const void *parameter = NULL;
    int type = V_ASN1_UNDEF;
    X509_ATTRIBUTE *attribute = NULL;
    X509_ALGOR_get0(&algorithm, &type, &parameter, key->algorithm);
    if (type == V_ASN1_OBJECT) {
        attribute = X509_ATTRIBUTE_create_by_OBJ(NULL, algorithm, V_ASN1_OBJECT, parameter, -1);
        *failed = attribute == NULL;
    } else if (OBJ_obj2nid(algorithm) == NID_rsaEncryption && key->placeholder != NULL) {
        ASN1_INTEGER *bits = ASN1_INTEGER_new();
        if (bits != NULL && ASN1_INTEGER_set(bits, placeholder_bits(key->placeholder)) == 1)
            attribute = X509_ATTRIBUTE_create_by_OBJ(NULL, algorithm, V_ASN1_INTEGER, bits, -1);
        ASN1_INTEGER_free(bits);
        *failed = attribute == NULL;
    }
    return attribute;
}

static estuary_status add_key(list *to, const est_template_info *info, estuary_error *err)
{
    const ASN1_OBJECT *algorithm = NULL;
    bool failed = false;
    if (info->key == NULL)
        return ESTUARY_OK;
    est_csr_attribute *entry = &to->entries[to->count++];
    X509_ALGOR_get0(&algorithm, NULL, NULL, info->key->algorithm);
    entry->type = OBJ_dup(algorithm);
    entry->attribute = key_attribute(info->key, &failed);
    if (entry->type == NULL || failed)
        return est_fail_openssl(err, EST_MEMORY, NULL);
    estuary_status status = est_csr_attribute_describe(entry, to->count, err);
    if (status != ESTUARY_OK || entry->kind == ESTUARY_CSRATTR_KEY)
        return status;
    if (OBJ_obj2nid(algorithm) == NID_rsaEncryption)
        return est_fail(err, EST_PROTOCOL_CSR_TEMPLATE,
                        "the server's request template asks for an RSA key of a size that makes no sense");
    entry->kind = ESTUARY_CSRATTR_KEY; /* one we do not know is still a wish: it fails by name */
    OPENSSL_strlcpy(entry->key, entry->name, sizeof(entry->key));
    est_free(entry->words);
    entry->words = est_printf("the key should be of the kind %s", entry->name);
    return done(entry, err);
}

static est_append append_name(est_buf *text, const GENERAL_NAME *name)
{
    est_append result = text->len == 0 ? EST_APPEND_OK : est_buf_append(text, ", ", 2);
    if (result == EST_APPEND_OK && est_general_name_is_blank(name)) {
        const char *type = est_general_name_type(name);
        result = est_buf_append(text, type, strlen(type));
        if (result == EST_APPEND_OK)
            result = est_buf_append(text, " (yours to give)", 16);
        return result;
    }
    char *shown = result == EST_APPEND_OK ? est_general_name_text(name) : NULL;
    if (shown == NULL)
        return result == EST_APPEND_OK ? EST_APPEND_NO_MEMORY : result;
    result = est_buf_append(text, shown, strlen(shown));
    est_free(shown);
    return result;
}

/* A list that is too long is cut. */
static estuary_status describe_names(est_csr_attribute *entry, const GENERAL_NAMES *names, estuary_error *err)
{
    est_buf text = {.max = TEXT_MAX};
    est_append result = EST_APPEND_OK;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        entry->must_fill = entry->must_fill || est_general_name_is_blank(name);
        if (result == EST_APPEND_OK)
            result = append_name(&text, name);
    }
    if (result != EST_APPEND_NO_MEMORY)
        entry->words = est_printf("the request will carry subjectAltName with: %s", (const char *)text.data);
    est_buf_free(&text);
    return done(entry, err);
}

static estuary_status describe_names_part(est_csr_attribute *entry, const est_template_extension *part,
                                          estuary_error *err)
{
    GENERAL_NAMES *names = NULL;
    if (!est_template_names(part, &names))
        return est_fail_openssl(err, EST_PROTOCOL_CSR_TEMPLATE,
                                "the subjectAltName of the server's request template is broken");
    estuary_status status = describe_names(entry, names, err);
    GENERAL_NAMES_free(names);
    return status;
}

static estuary_status add_extension(list *to, const est_template_extension *part, estuary_error *err)
{
    est_csr_attribute *entry = add(to, part->type, ESTUARY_CSRATTR_EXTENSIONS);
    if (entry == NULL)
        return est_fail_memory(err);
    entry->must_fill = est_template_extension_is_blank(part);
    if (entry->must_fill) {
        entry->words = est_printf("the request needs %s, whose value is yours to give", entry->name);
        return done(entry, err);
    }
    if (OBJ_obj2nid(part->type) == NID_subject_alt_name)
        return describe_names_part(entry, part, err);
    X509_EXTENSION *extension = est_template_extension_new(part);
    char *text = extension == NULL ? NULL : est_extension_text(extension);
    if (text != NULL)
        entry->words = est_printf("the request will carry %s", text);
    est_free(text);
    X509_EXTENSION_free(extension);
    return done(entry, err);
}

static estuary_status add_attribute(list *to, X509_ATTRIBUTE *attribute, estuary_error *err)
{
    est_csr_attribute *entry = add(to, X509_ATTRIBUTE_get0_object(attribute), ESTUARY_CSRATTR_ATTRIBUTE);
    if (entry == NULL)
        return est_fail_memory(err);
    if (OBJ_obj2nid(entry->type) == NID_pkcs9_challengePassword) {
        entry->kind = ESTUARY_CSRATTR_CHALLENGE_PASSWORD; /* RFC 7030 3.5 says what goes in */
        entry->words = est_strdup("the request should be bound to the TLS session by a challengePassword");
        return done(entry, err);
    }
    entry->must_fill = est_template_attribute_is_blank(attribute);
    entry->words =
        est_printf(entry->must_fill ? "the request needs the attribute %s, whose value is yours to give"
                                    : "the request will carry the attribute %s with the server's value",
                   entry->name);
    return done(entry, err);
}

static estuary_status add_parts(list *to, const est_csr_template *template, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    const est_template_info *info = template->info;
    EST_TRY(add_subject(to, info, err));
    EST_TRY(add_key(to, info, err));
    for (int i = 0; i < sk_est_template_extension_num(template->extensions); i++)
        EST_TRY(add_extension(to, sk_est_template_extension_value(template->extensions, i), err));
    for (int i = 0; i < sk_X509_ATTRIBUTE_num(info->attributes); i++) {
        X509_ATTRIBUTE *attribute = sk_X509_ATTRIBUTE_value(info->attributes, i);
        if (!est_template_attribute_is_special(attribute) ||
            OBJ_obj2nid(X509_ATTRIBUTE_get0_object(attribute)) == NID_pkcs9_challengePassword)
            EST_TRY(add_attribute(to, attribute, err));
    }
cleanup:
    return status;
}

static size_t count_parts(const est_csr_template *template)
{
    size_t count = 1; /* the key */
    const est_template_info *info = template->info;
    for (int i = 0; i < sk_est_template_rdns_num(info->subject); i++)
        for (int k = 0; k < sk_est_template_rdn_num(sk_est_template_rdns_value(info->subject, i)); k++)
            count++;
    for (int i = 0; i < sk_est_template_extension_num(template->extensions); i++)
        count++;
    for (int i = 0; i < sk_X509_ATTRIBUTE_num(info->attributes); i++)
        count++;
    return count;
}

/* RFC 9908 4: a client that understands both forms uses the template only. */
static estuary_status ignore(est_csr_attribute *entry, estuary_error *err)
{
    entry->kind = ESTUARY_CSRATTR_UNKNOWN;
    est_free(entry->words);
    entry->words = est_printf("the server names %s beside its template: ignored", entry->name);
    return done(entry, err);
}

/* The template's index; -1: none, -2: more than one. A bare OID is no template. */
static int find(const estuary_csr_attributes *attributes)
{
    int found = -1;
    for (size_t i = 0; i < attributes->count; i++) {
        const est_csr_attribute *entry = &attributes->entries[i];
        if (entry->attribute == NULL || strcmp(entry->oid, EST_TEMPLATE_OID) != 0)
            continue;
        if (found != -1)
            return -2;
        found = (int)i; /* there are 256 entries at most */
    }
    return found;
}

/* Moves the entries over: the template, its parts, the rest. */
static estuary_status rebuild(estuary_csr_attributes *attributes, size_t index, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_csr_attribute *old = attributes->entries;
    size_t old_count = attributes->count;
    list parts = {.size = old_count + count_parts(attributes->template)};
    parts.entries = est_alloc(parts.size * sizeof(*parts.entries));
    if (parts.entries == NULL)
        return est_fail_memory(err);
    parts.entries[parts.count++] = old[index];
    memset(&old[index], 0, sizeof(old[index]));
    EST_TRY(add_parts(&parts, attributes->template, err));
    for (size_t i = 0; i < old_count; i++) {
        if (i == index)
            continue;
        EST_TRY(ignore(&old[i], err));
        parts.entries[parts.count++] = old[i];
        memset(&old[i], 0, sizeof(old[i]));
    }
cleanup:
    for (size_t i = 0; i < old_count; i++)
        est_csr_attribute_clear(&old[i]);
    est_free(old);
    attributes->entries = parts.entries;
    attributes->count = parts.count;
    return status;
}

estuary_status est_csr_template_take(estuary_csr_attributes *attributes, estuary_error *err)
{
    int index = find(attributes);
    if (index == -1)
        return ESTUARY_OK;
    if (index < 0)
        return est_fail(err, EST_PROTOCOL_CSR_TEMPLATE, "the server sent more than one request template");
    est_csr_attribute *entry = &attributes->entries[index];
    estuary_status status = est_csr_template_parse(entry->attribute, &attributes->template, err);
    if (status != ESTUARY_OK)
        return status;
    entry->kind = ESTUARY_CSRATTR_TEMPLATE;
    est_free(entry->words);
    entry->words = est_strdup("the server gives a template of the request (RFC 9908)");
    if (entry->words == NULL)
        return est_fail_memory(err);
    return rebuild(attributes, (size_t)index, err);
}
