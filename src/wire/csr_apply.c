#include "wire/csr_template.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <string.h>

/* What a server's CSR attributes do to a request (E3, RFC 7030 4.5.2, RFC 9908 3.2). */

/* "ec:" and "rsa:" stand for any curve, any size. */
static bool key_matches(const char *wish, const char *have)
{
    size_t len = strlen(wish);
    bool open_ended = len > 0 && wish[len - 1] == ':';
    return open_ended ? strncmp(wish, have, len) == 0 : strcmp(wish, have) == 0;
}

static estuary_status check_key(const estuary_csr_attributes *attributes, const est_key_info *key,
                                estuary_error *err)
{
    const char *first = NULL;
    for (size_t i = 0; i < attributes->count; i++) {
        const est_csr_attribute *entry = &attributes->entries[i];
        if (entry->kind != ESTUARY_CSRATTR_KEY)
            continue;
        if (key_matches(entry->key, key->name))
            return ESTUARY_OK;
        if (first == NULL)
            first = entry->key;
    }
    if (first == NULL)
        return ESTUARY_OK;
    int len = (int)strcspn(first, ":"); /* "rsa:" reads "rsa" */
    bool open_ended = first[len] == ':' && first[len + 1] == '\0';
    return est_fail(err, EST_CSR_CONFLICT, "the server asks for the key algorithm %.*s, the key is %s",
                    open_ended ? len : (int)strlen(first), first, key->name);
}

/* A wish for a signature algorithm, and one for a digest by itself. */
typedef struct wishes {
    int signature;
    int digest;
    const char *unmet_signature; /* the first that cannot be met */
    const char *unmet_digest;
} wishes;

static bool takes_digest(const EVP_PKEY *key)
{
    char name[64];
    return EVP_PKEY_get_default_digest_name((EVP_PKEY *)key, name, sizeof(name)) != 2 ||
           strcmp(name, "UNDEF") != 0;
}

static bool signature_fits(int nid, int key_nid, const EVP_PKEY *key)
{
    if (nid != NID_rsassaPss && est_signature_is_weak(nid))
        return false;
    if (key == NULL || EVP_PKEY_is_a(key, OBJ_nid2sn(key_nid)))
        return true;
    return nid == NID_rsassaPss && EVP_PKEY_is_a(key, "RSA");
}

static void look_at_signature(const est_csr_attribute *entry, const EVP_PKEY *key, wishes *w)
{
    int digest = NID_undef, key_nid = NID_undef;
    int nid = OBJ_obj2nid(entry->type);
    if (OBJ_find_sigid_algs(nid, &digest, &key_nid) == 1) {
        bool fits = signature_fits(nid, key_nid, key);
        if (fits && w->signature == NID_undef)
            w->signature = nid;
        if (!fits && w->unmet_signature == NULL)
            w->unmet_signature = entry->name;
        return;
    }
    bool fits = !est_signature_is_weak(nid) && (key == NULL || takes_digest(key));
    if (fits && w->digest == NID_undef)
        w->digest = nid;
    if (!fits && w->unmet_digest == NULL)
        w->unmet_digest = entry->name;
}

/* Several wishes are alternatives: the first that fits is taken. */
static estuary_status take_signature(estuary_csr *csr, const estuary_csr_attributes *attributes,
                                     const EVP_PKEY *key, const char *key_name, estuary_error *err)
{
    wishes w = {.signature = NID_undef, .digest = NID_undef};
    for (size_t i = 0; i < attributes->count; i++)
        if (attributes->entries[i].kind == ESTUARY_CSRATTR_SIGNATURE)
            look_at_signature(&attributes->entries[i], key, &w);
    const char *unmet = w.signature == NID_undef ? w.unmet_signature : NULL;
    if (unmet == NULL && w.signature == NID_undef && w.digest == NID_undef)
        unmet = w.unmet_digest;
    if (unmet != NULL && est_signature_is_weak(OBJ_txt2nid(unmet)) && OBJ_txt2nid(unmet) != NID_rsassaPss)
        return est_fail(err, EST_CSR_CONFLICT, "the server asks for a signature with %s, which is too weak",
                        unmet);
    if (unmet != NULL)
        return est_fail(err, EST_CSR_CONFLICT, "the server asks for a signature with %s, the key is %s",
                        unmet, key_name);
    int digest = NID_undef;
    if (w.signature != NID_undef && OBJ_find_sigid_algs(w.signature, &digest, NULL) != 1)
        digest = NID_undef;
    if (w.signature == NID_rsassaPss)
        csr->pss = true;
    if (digest == NID_undef)
        digest = w.digest;
    if (digest != NID_undef)
        csr->digest = digest;
    return ESTUARY_OK;
}

bool est_asn1_is_text(int type)
{
    return type == V_ASN1_UTF8STRING || type == V_ASN1_PRINTABLESTRING || type == V_ASN1_IA5STRING ||
           type == V_ASN1_T61STRING || type == V_ASN1_BMPSTRING || type == V_ASN1_UNIVERSALSTRING ||
           type == V_ASN1_NUMERICSTRING;
}

bool est_same_text(const ASN1_STRING *have, const ASN1_TYPE *wish)
{
    if (!est_asn1_is_text(wish->type))
        return false;
    uint8_t *a = NULL, *b = NULL;
    int a_len = ASN1_STRING_to_UTF8(&a, have), b_len = ASN1_STRING_to_UTF8(&b, wish->value.asn1_string);
    bool same = a_len >= 0 && a_len == b_len && memcmp(a, b, (size_t)a_len) == 0;
    OPENSSL_free(a);
    OPENSSL_free(b);
    return same;
}

/* The subject has the attribute and, when the server gives values, one of those. */
static bool subject_has(const X509_NAME *subject, const est_csr_attribute *entry)
{
    int values = entry->attribute == NULL ? 0 : X509_ATTRIBUTE_count(entry->attribute);
    int at = -1;
    while ((at = X509_NAME_get_index_by_OBJ(subject, entry->type, at)) >= 0) {
        const ASN1_STRING *have = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
        for (int i = 0; i < values; i++)
            if (est_same_text(have, X509_ATTRIBUTE_get0_type(entry->attribute, i)))
                return true;
        if (values == 0)
            return true;
    }
    return false;
}

static estuary_status check_subject(const estuary_csr *csr, const estuary_csr_attributes *attributes,
                                    estuary_error *err)
{
    est_buf missing = {.max = 1024};
    for (size_t i = 0; i < attributes->count; i++) {
        const est_csr_attribute *entry = &attributes->entries[i];
        if (entry->kind != ESTUARY_CSRATTR_SUBJECT || subject_has(csr->subject, entry))
            continue;
        est_append result = EST_APPEND_OK;
        if (missing.len > 0)
            result = est_buf_append(&missing, ", ", 2);
        if (result == EST_APPEND_OK)
            result = est_buf_append(&missing, entry->name, strlen(entry->name));
        if (result == EST_APPEND_NO_MEMORY) {
            est_buf_free(&missing);
            return est_fail_memory(err);
        }
    }
    estuary_status status = ESTUARY_OK;
    if (missing.len > 0)
        status = est_fail(err, EST_CSR_CONFLICT, "the server asks for %s in the subject",
                          (const char *)missing.data);
    est_buf_free(&missing);
    return status;
}

static bool same_content(const X509_EXTENSION *a, const X509_EXTENSION *b)
{
    return ASN1_OCTET_STRING_cmp(X509_EXTENSION_get_data((X509_EXTENSION *)a),
                                 X509_EXTENSION_get_data((X509_EXTENSION *)b)) == 0;
}

static estuary_status missing_name(const GENERAL_NAME *name, estuary_error *err)
{
    char *text = est_general_name_text(name);
    if (text == NULL)
        return est_fail_memory(err);
    estuary_status status =
        est_fail(err, EST_CSR_CONFLICT,
                 "the server asks for the subjectAltName %s, which the request does not have", text);
    est_free(text);
    return status;
}

/* What the server asks for must be among the caller's names; nothing is added to them silently. */
static estuary_status check_san(const X509_EXTENSION *have, const X509_EXTENSION *wish, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    GENERAL_NAMES *ours = X509V3_EXT_d2i((X509_EXTENSION *)have);
    GENERAL_NAMES *theirs = X509V3_EXT_d2i((X509_EXTENSION *)wish);
    if (ours == NULL || theirs == NULL)
        EST_FAIL_OPENSSL(EST_CSR_CONFLICT, "a subjectAltName cannot be read");
    for (int i = 0; i < sk_GENERAL_NAME_num(theirs); i++)
        if (!est_general_names_have(ours, sk_GENERAL_NAME_value(theirs, i)))
            EST_TRY(missing_name(sk_GENERAL_NAME_value(theirs, i), err));
cleanup:
    GENERAL_NAMES_free(ours);
    GENERAL_NAMES_free(theirs);
    return status;
}

estuary_status est_csr_put_extension(estuary_csr *csr, X509_EXTENSION *extension, estuary_error *err)
{
    if (extension == NULL)
        return est_fail_openssl(err, EST_MEMORY, NULL);
    if (sk_X509_EXTENSION_num(csr->extensions) >= EST_CSR_MAX_EXTENSIONS &&
        est_extensions_find(csr->extensions, X509_EXTENSION_get_object(extension)) == NULL) {
        X509_EXTENSION_free(extension);
        return est_fail(err, EST_CSR_CONFLICT, "the server asks for more than %d extensions",
                        EST_CSR_MAX_EXTENSIONS);
    }
    return est_extensions_put(&csr->extensions, extension) ? ESTUARY_OK
                                                           : est_fail_openssl(err, EST_MEMORY, NULL);
}

static estuary_status merge_extension(estuary_csr *csr, const X509_EXTENSION *wish, estuary_error *err)
{
    const ASN1_OBJECT *oid = X509_EXTENSION_get_object((X509_EXTENSION *)wish);
    const X509_EXTENSION *have = est_extensions_find(csr->extensions, oid);
    char name[EST_OID_MAX_TEXT] = "?";
    (void)est_oid_name(oid, name, sizeof(name));
    if (!est_extension_is_sound(wish))
        return est_fail(err, EST_CSR_CONFLICT,
                        "the server asks for the extension %s with a value that is broken", name);
    if (have != NULL && same_content(have, wish))
        return ESTUARY_OK;
    if (have != NULL && OBJ_obj2nid(oid) == NID_subject_alt_name)
        return check_san(have, wish, err);
    if (have != NULL)
        return est_fail(err, EST_CSR_CONFLICT,
                        "the server asks for the extension %s with another value than the request has", name);
    return est_csr_put_extension(csr, X509_EXTENSION_dup(wish), err);
}

static estuary_status merge_extensions(estuary_csr *csr, const estuary_csr_attributes *attributes,
                                       estuary_error *err)
{
    for (size_t i = 0; i < attributes->count; i++) {
        const est_csr_attribute *entry = &attributes->entries[i];
        if (entry->kind != ESTUARY_CSRATTR_EXTENSIONS)
            continue;
        for (int k = 0; k < sk_X509_EXTENSION_num(entry->extensions); k++) {
            estuary_status status = merge_extension(csr, sk_X509_EXTENSION_value(entry->extensions, k), err);
            if (status != ESTUARY_OK)
                return status;
        }
    }
    return ESTUARY_OK;
}

estuary_status estuary_csr_apply(estuary_csr *csr, const estuary_csr_attributes *attributes,
                                 const EVP_PKEY *key, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_key_info info = {.name = "unknown"};
    if (attributes == NULL || attributes->count == 0)
        return ESTUARY_OK;
    estuary_csr *changed = est_csr_dup(csr);
    if (changed == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    if (key != NULL) {
        if (!est_key_info_get(key, &info))
            EST_FAIL_OPENSSL(EST_KEY, NULL);
        EST_TRY(check_key(attributes, &info, err));
    }
    if (attributes->template != NULL) {
        EST_TRY(est_csr_template_apply(changed, attributes->template, err));
    } else {
        EST_TRY(take_signature(changed, attributes, key, info.name, err));
        EST_TRY(check_subject(changed, attributes, err));
        EST_TRY(merge_extensions(changed, attributes, err));
    }
    estuary_csr old = *csr; /* all or nothing: the copy's contents become the builder's */
    *csr = *changed;
    *changed = old;
cleanup:
    estuary_csr_free(changed);
    return status;
}
