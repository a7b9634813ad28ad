/* RFC 9908 3.4 and its appendix A, whose module (implicit tags) wins where the prose differs. */
#include "wire/csr_template.h"

#include <openssl/asn1t.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <string.h>

#define REQ_TEMPLATE_OID "1.2.840.113549.1.9.16.2.62" /* id-aa-extensionReqTemplate */
#define MAX_ATTRIBUTES   64

/* clang-format off */

ASN1_SEQUENCE(est_template_rdn) = {
    ASN1_SIMPLE(est_template_rdn, type, ASN1_OBJECT),
    ASN1_OPT(est_template_rdn, value, ASN1_ANY)
} static_ASN1_SEQUENCE_END(est_template_rdn)

ASN1_ITEM_TEMPLATE(est_template_rdns) =
    ASN1_EX_TEMPLATE_TYPE(ASN1_TFLG_SET_OF, 0, rdns, est_template_rdn)
static_ASN1_ITEM_TEMPLATE_END(est_template_rdns)

ASN1_SEQUENCE(est_template_key) = {
    ASN1_SIMPLE(est_template_key, algorithm, X509_ALGOR),
    ASN1_OPT(est_template_key, placeholder, ASN1_BIT_STRING)
} static_ASN1_SEQUENCE_END(est_template_key)

ASN1_SEQUENCE(est_template_extension) = {
    ASN1_SIMPLE(est_template_extension, type, ASN1_OBJECT),
    ASN1_OPT(est_template_extension, critical, ASN1_BOOLEAN),
    ASN1_OPT(est_template_extension, value, ASN1_OCTET_STRING)
} static_ASN1_SEQUENCE_END(est_template_extension)

/* The prose calls one ExtensionTemplate the value; the module says SEQUENCE OF, as extensionRequest is. */
ASN1_ITEM_TEMPLATE(est_template_extensions) =
    ASN1_EX_TEMPLATE_TYPE(ASN1_TFLG_SEQUENCE_OF, 0, extensions, est_template_extension)
static_ASN1_ITEM_TEMPLATE_END(est_template_extensions)

ASN1_SEQUENCE(est_template_info) = {
    ASN1_SIMPLE(est_template_info, version, ASN1_INTEGER),
    ASN1_SEQUENCE_OF_OPT(est_template_info, subject, est_template_rdns),
    ASN1_IMP_OPT(est_template_info, key, est_template_key, 0),
    ASN1_IMP_SET_OF(est_template_info, attributes, X509_ATTRIBUTE, 1)
} static_ASN1_SEQUENCE_END(est_template_info)

    /* clang-format on */

    void est_csr_template_free(est_csr_template * template)
{
    if (template == NULL)
        return;
    ASN1_item_free((ASN1_VALUE *)template->info, ASN1_ITEM_rptr(est_template_info));
    ASN1_item_free((ASN1_VALUE *)template->extensions, ASN1_ITEM_rptr(est_template_extensions));
    est_free(template);
}

/* NULL when it does not parse or bytes are left over. */
static void *parse_all(const ASN1_STRING *sequence, const ASN1_ITEM *item)
{
    const uint8_t *at = ASN1_STRING_get0_data(sequence);
    const uint8_t *end = at + ASN1_STRING_length(sequence);
    ASN1_VALUE *value = ASN1_item_d2i(NULL, &at, ASN1_STRING_length(sequence), item);
    if (value == NULL || at == end)
        return value;
    ASN1_item_free(value, item);
    return NULL;
}

static const ASN1_STRING *only_sequence(X509_ATTRIBUTE *attribute)
{
    const ASN1_TYPE *value =
        X509_ATTRIBUTE_count(attribute) == 1 ? X509_ATTRIBUTE_get0_type(attribute, 0) : NULL;
    return value == NULL || value->type != V_ASN1_SEQUENCE ? NULL : value->value.sequence;
}

bool est_template_is_blank(const ASN1_TYPE *value)
{
    return value == NULL ||
           (est_asn1_is_text(value->type) && ASN1_STRING_length(value->value.asn1_string) == 0);
}

static bool is_readable(const ASN1_TYPE *value)
{
    uint8_t *text = NULL;
    int len = est_asn1_is_text(value->type) ? ASN1_STRING_to_UTF8(&text, value->value.asn1_string) : -1;
    OPENSSL_free(text);
    return len >= 0;
}

static estuary_status check_subject(const est_template_info *info, estuary_error *err)
{
    int parts = 0;
    for (int i = 0; i < sk_est_template_rdns_num(info->subject); i++) {
        const est_template_rdns *rdn = sk_est_template_rdns_value(info->subject, i);
        if (sk_est_template_rdn_num(rdn) < 1)
            return est_fail(err, EST_PROTOCOL_CSR_TEMPLATE,
                            "the server's request template holds an empty RDN");
        for (int k = 0; k < sk_est_template_rdn_num(rdn); k++) {
            const ASN1_TYPE *value = sk_est_template_rdn_value(rdn, k)->value;
            if (++parts > EST_NAME_MAX_ENTRIES)
                return est_fail(err, EST_PROTOCOL_CSR_TEMPLATE,
                                "the subject of the server's request template has more than %d parts",
                                EST_NAME_MAX_ENTRIES);
            if (value != NULL && !is_readable(value))
                return est_fail_openssl(err, EST_PROTOCOL_CSR_TEMPLATE,
                                        "the subject of the server's request template holds what is no text");
        }
    }
    return ESTUARY_OK;
}

/* RFC 9908 3.2: not more than one extension of a kind */
static estuary_status check_extensions(const STACK_OF(est_template_extension) *parts, bool partial,
                                       estuary_error *err)
{
    int count = sk_est_template_extension_num(parts);
    if (count < 1 || count > EST_CSR_MAX_EXTENSIONS)
        return est_fail(err, EST_PROTOCOL_CSR_TEMPLATE,
                        "the server's request template has no extensions, or more than %d",
                        EST_CSR_MAX_EXTENSIONS);
    for (int i = 0; i < count; i++) {
        const est_template_extension *part = sk_est_template_extension_value(parts, i);
        if (part->value == NULL && !partial)
            return est_fail(err, EST_PROTOCOL_CSR_TEMPLATE,
                            "an extension of the server's extensionRequest has no value");
        for (int k = 0; k < i; k++)
            if (OBJ_cmp(part->type, sk_est_template_extension_value(parts, k)->type) == 0)
                return est_fail(err, EST_PROTOCOL_CSR_TEMPLATE,
                                "an extension stands twice in the server's request template");
    }
    return ESTUARY_OK;
}

static bool is_partial_request(const ASN1_OBJECT *type)
{
    char oid[EST_OID_MAX_TEXT];
    return est_oid_text(type, oid, sizeof(oid)) && strcmp(oid, REQ_TEMPLATE_OID) == 0;
}

/* RFC 9908 3.4: one extensionReqTemplate or one extensionRequest, never both, with exactly one value */
static estuary_status take_extensions(est_csr_template *template, X509_ATTRIBUTE *attribute, bool partial,
                                      estuary_error *err)
{
    const ASN1_STRING *sequence = only_sequence(attribute);
    if (template->extensions != NULL)
        return est_fail(err, EST_PROTOCOL_CSR_TEMPLATE,
                        "the server's request template asks for extensions twice");
    if (sequence != NULL)
        template->extensions = parse_all(sequence, ASN1_ITEM_rptr(est_template_extensions));
    if (template->extensions == NULL)
        return est_fail_openssl(err, EST_PROTOCOL_CSR_TEMPLATE,
                                "the extensions of the server's request template are not valid DER");
    return check_extensions(template->extensions, partial, err);
}

static estuary_status read_attributes(est_csr_template *template, estuary_error *err)
{
    int count = sk_X509_ATTRIBUTE_num(template->info->attributes);
    if (count > MAX_ATTRIBUTES)
        return est_fail(err, EST_PROTOCOL_CSR_TEMPLATE,
                        "the server's request template holds more than %d attributes", MAX_ATTRIBUTES);
    for (int i = 0; i < count; i++) {
        X509_ATTRIBUTE *attribute = sk_X509_ATTRIBUTE_value(template->info->attributes, i);
        const ASN1_OBJECT *type = X509_ATTRIBUTE_get0_object(attribute);
        bool partial = is_partial_request(type);
        if (!partial && OBJ_obj2nid(type) != NID_ext_req)
            continue;
        estuary_status status = take_extensions(template, attribute, partial, err);
        if (status != ESTUARY_OK)
            return status;
    }
    return ESTUARY_OK;
}

estuary_status est_csr_template_parse(X509_ATTRIBUTE *attribute, est_csr_template **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    int64_t version = -1;
    const ASN1_STRING *sequence = only_sequence(attribute);
    *out = NULL;
    est_csr_template *template = est_alloc(sizeof(*template));
    if (template == NULL)
        return est_fail_memory(err);
    if (sequence == NULL)
        EST_FAIL(EST_PROTOCOL_CSR_TEMPLATE, "the server's request template must have exactly one value");
    template->info = parse_all(sequence, ASN1_ITEM_rptr(est_template_info));
    if (template->info == NULL)
        EST_FAIL_OPENSSL(EST_PROTOCOL_CSR_TEMPLATE, NULL);
    /* RFC 9908 3.4: v1 (0) */
    if (ASN1_INTEGER_get_int64(&version, template->info->version) != 1 || version != 0)
        EST_FAIL_OPENSSL(EST_PROTOCOL_CSR_TEMPLATE,
                         "the server's request template is of a version that nobody has defined");
    EST_TRY(check_subject(template->info, err));
    EST_TRY(read_attributes(template, err));
    *out = template;
    template = NULL;
cleanup:
    est_csr_template_free(template);
    return status;
}

/* Extensions, and what the parts of a template mean */

bool est_template_extension_is_blank(const est_template_extension *part)
{
    if (part->value == NULL || ASN1_STRING_length(part->value) == 0)
        return true;
    /* SEQUENCE SIZE (1..MAX) everywhere (RFC 5280): an empty one holds nothing yet */
    bool is_list =
        OBJ_obj2nid(part->type) == NID_ext_key_usage || OBJ_obj2nid(part->type) == NID_subject_alt_name;
    return is_list && ASN1_STRING_length(part->value) == 2 &&
           memcmp(ASN1_STRING_get0_data(part->value), "\x30\x00", 2) == 0;
}

X509_EXTENSION *est_template_extension_new(const est_template_extension *part)
{
    return X509_EXTENSION_create_by_OBJ(NULL, part->type, part->critical > 0 ? 1 : 0, part->value);
}

bool est_template_names(const est_template_extension *part, GENERAL_NAMES **out)
{
    *out = NULL;
    if (est_template_extension_is_blank(part))
        return true;
    *out = parse_all(part->value, ASN1_ITEM_rptr(GENERAL_NAMES));
    return *out != NULL;
}

/* RFC 9908 3.4: NULL-DN, an empty OCTET STRING … */
bool est_general_name_is_blank(const GENERAL_NAME *name)
{
    int type = 0;
    const void *value = GENERAL_NAME_get0_value(name, &type);
    switch (type) {
    case GEN_DNS:
    case GEN_EMAIL:
    case GEN_URI:
    case GEN_IPADD:
        return ASN1_STRING_length(value) == 0;
    case GEN_DIRNAME:
        return X509_NAME_entry_count(value) == 0;
    case GEN_OTHERNAME:
        return est_template_is_blank(((const OTHERNAME *)value)->value);
    default:
        return false;
    }
}

const char *est_general_name_type(const GENERAL_NAME *name)
{
    static const struct {
        int type;
        const char *text;
    } names[] = {
        {GEN_DNS, "dNSName"},     {GEN_EMAIL, "rfc822Name"},      {GEN_URI, "uniformResourceIdentifier"},
        {GEN_IPADD, "iPAddress"}, {GEN_DIRNAME, "directoryName"}, {GEN_OTHERNAME, "otherName"},
        {GEN_RID, "registeredID"}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].type == name->type)
            return names[i].text;
    return "GeneralName";
}

bool est_template_attribute_is_special(const X509_ATTRIBUTE *attribute)
{
    const ASN1_OBJECT *type = X509_ATTRIBUTE_get0_object((X509_ATTRIBUTE *)attribute);
    int nid = OBJ_obj2nid(type);
    return nid == NID_ext_req || nid == NID_pkcs9_challengePassword || is_partial_request(type);
}

bool est_template_attribute_is_blank(const X509_ATTRIBUTE *attribute)
{
    X509_ATTRIBUTE *lent = (X509_ATTRIBUTE *)attribute; /* OpenSSL 3.0 asks for it without const */
    return X509_ATTRIBUTE_count(lent) < 1 || est_template_is_blank(X509_ATTRIBUTE_get0_type(lent, 0));
}
