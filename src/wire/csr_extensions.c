#include "wire/csr_parts.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <string.h>

#define TEXT_MAX 1024

/* RFC 5280 4.2.1.3, in the order of its bits */
static const char *const usages[] = {
    "digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement",
    "keyCertSign",      "cRLSign",        "encipherOnly",    "decipherOnly",
};
#define USAGES (sizeof(usages) / sizeof(usages[0]))

const char *est_key_usage_name(int bit)
{
    return bit >= 0 && (size_t)bit < USAGES ? usages[bit] : NULL;
}

static bool equal_nocase(const char *text, size_t len, const char *name)
{
    char copy[32];
    if (len >= sizeof(copy))
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return est_text_equal_nocase(copy, name);
}

bool est_key_usage_bit(const char *name, size_t len, int *bit)
{
    for (size_t i = 0; i < USAGES; i++)
        if (equal_nocase(name, len, usages[i])) {
            *bit = (int)i;
            return true;
        }
    *bit = 1;
    return equal_nocase(name, len, "contentCommitment"); /* X.509's newer name of nonRepudiation */
}

/* The index of the attribute; -1: none, -2: twice. */
static int find_request_attribute(const X509_REQ *request)
{
    /* Microsoft's clients use an OID of their own for the same thing */
    static const int nids[] = {NID_ext_req, NID_ms_ext_req};
    int found = -1;
    for (size_t i = 0; i < 2; i++) {
        int at = X509_REQ_get_attr_by_NID(request, nids[i], -1);
        if (at < 0)
            continue;
        if (found >= 0 || X509_REQ_get_attr_by_NID(request, nids[i], at) >= 0)
            return -2;
        found = at;
    }
    return found;
}

bool est_request_extensions(const X509_REQ *request, X509_EXTENSIONS **out)
{
    *out = NULL;
    int at = find_request_attribute(request);
    if (at < 0)
        return at == -1;
    X509_ATTRIBUTE *attribute = X509_REQ_get_attr(request, at);
    if (X509_ATTRIBUTE_count(attribute) != 1)
        return false;
    const ASN1_TYPE *value = X509_ATTRIBUTE_get0_type(attribute, 0);
    if (value == NULL || value->type != V_ASN1_SEQUENCE)
        return false;
    const uint8_t *der = ASN1_STRING_get0_data(value->value.sequence);
    const uint8_t *end = der + ASN1_STRING_length(value->value.sequence);
    *out = d2i_X509_EXTENSIONS(NULL, &der, ASN1_STRING_length(value->value.sequence));
    if (*out != NULL && der == end)
        return true;
    sk_X509_EXTENSION_pop_free(*out, X509_EXTENSION_free);
    *out = NULL;
    return false;
}

bool est_extensions_put(X509_EXTENSIONS **extensions, X509_EXTENSION *extension)
{
    if (extension == NULL)
        return false;
    int at = X509v3_get_ext_by_OBJ(*extensions, X509_EXTENSION_get_object(extension), -1);
    if (at >= 0) {
        X509_EXTENSION *old = sk_X509_EXTENSION_value(*extensions, at);
        (void)sk_X509_EXTENSION_set(*extensions, at, extension); /* cannot fail: at is inside */
        X509_EXTENSION_free(old);
        return true;
    }
    if (*extensions == NULL)
        *extensions = sk_X509_EXTENSION_new_null();
    if (*extensions == NULL || sk_X509_EXTENSION_num(*extensions) >= EST_CSR_MAX_EXTENSIONS ||
        sk_X509_EXTENSION_push(*extensions, extension) == 0) {
        X509_EXTENSION_free(extension);
        return false;
    }
    return true;
}

const X509_EXTENSION *est_extensions_find(const X509_EXTENSIONS *extensions, const ASN1_OBJECT *oid)
{
    int at = X509v3_get_ext_by_OBJ(extensions, oid, -1);
    return at < 0 ? NULL : sk_X509_EXTENSION_value(extensions, at);
}

static void free_value(const X509V3_EXT_METHOD *method, void *value)
{
    if (method->it != NULL)
        ASN1_item_free(value, ASN1_ITEM_ptr(method->it));
    else
        method->ext_free(value);
}

/* NULL when it does not parse, or bytes are left over. */
static void *parse_value(const X509V3_EXT_METHOD *method, const ASN1_OCTET_STRING *content)
{
    const uint8_t *der = ASN1_STRING_get0_data(content);
    const uint8_t *end = der + ASN1_STRING_length(content);
    long len = ASN1_STRING_length(content);
    void *value = method->it != NULL ? ASN1_item_d2i(NULL, &der, len, ASN1_ITEM_ptr(method->it))
                                     : method->d2i(NULL, &der, len);
    if (value == NULL || der == end)
        return value;
    free_value(method, value);
    return NULL;
}

bool est_extension_is_sound(const X509_EXTENSION *extension)
{
    const X509V3_EXT_METHOD *method = X509V3_EXT_get((X509_EXTENSION *)extension);
    if (method == NULL)
        return true;
    void *value = parse_value(method, X509_EXTENSION_get_data((X509_EXTENSION *)extension));
    if (value == NULL) {
        ERR_clear_error();
        return false;
    }
    free_value(method, value);
    return true;
}

static void append(est_buf *text, const char *item)
{
    if (text->len > 0)
        (void)est_buf_append(text, ", ", 2); /* a list that is too long is cut */
    (void)est_buf_append(text, item, strlen(item));
}

static void list_key_usage(X509_EXTENSION *extension, est_buf *text)
{
    ASN1_BIT_STRING *bits = X509V3_EXT_d2i(extension);
    for (int i = 0; bits != NULL && est_key_usage_name(i) != NULL; i++)
        if (ASN1_BIT_STRING_get_bit(bits, i) == 1)
            append(text, est_key_usage_name(i));
    ASN1_BIT_STRING_free(bits);
}

static void list_purposes(X509_EXTENSION *extension, est_buf *text)
{
    EXTENDED_KEY_USAGE *purposes = X509V3_EXT_d2i(extension);
    char name[EST_OID_MAX_TEXT];
    for (int i = 0; i < sk_ASN1_OBJECT_num(purposes); i++)
        if (est_oid_name(sk_ASN1_OBJECT_value(purposes, i), name, sizeof(name)))
            append(text, name);
    EXTENDED_KEY_USAGE_free(purposes);
}

static void print_other(X509_EXTENSION *extension, est_buf *text)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes = NULL;
    char line[TEXT_MAX];
    if (bio != NULL && X509V3_EXT_print(bio, extension, X509V3_EXT_DEFAULT, 0) == 1) {
        long len = BIO_get_mem_data(bio, &bytes);
        est_text_sanitise(len > 0 ? bytes : "", len > 0 ? (size_t)len : 0, line, sizeof(line));
    } else {
        const ASN1_OCTET_STRING *content = X509_EXTENSION_get_data(extension);
        int len = ASN1_STRING_length(content);
        char *hex = est_hex_text(ASN1_STRING_get0_data(content), len > 256 ? 256 : (size_t)len);
        est_text_sanitise(hex == NULL ? "" : hex, hex == NULL ? 0 : strlen(hex), line, sizeof(line));
        est_free(hex);
    }
    append(text, line);
    BIO_free(bio);
}

char *est_extension_text(const X509_EXTENSION *extension)
{
    X509_EXTENSION *borrowed = (X509_EXTENSION *)extension; /* OpenSSL 3.0 asks for it without const */
    char name[EST_OID_MAX_TEXT] = "?";
    est_buf text = {.max = TEXT_MAX};
    const ASN1_OBJECT *oid = X509_EXTENSION_get_object(borrowed);
    (void)est_oid_name(oid, name, sizeof(name));
    ERR_set_mark();
    if (OBJ_obj2nid(oid) == NID_key_usage)
        list_key_usage(borrowed, &text);
    else if (OBJ_obj2nid(oid) == NID_ext_key_usage)
        list_purposes(borrowed, &text);
    else
        print_other(borrowed, &text);
    ERR_pop_to_mark();
    const char *critical = X509_EXTENSION_get_critical(borrowed) ? " (critical)" : "";
    char *line = est_printf("%s: %s%s", name, text.data == NULL ? "" : (const char *)text.data, critical);
    est_buf_free(&text);
    return line;
}
