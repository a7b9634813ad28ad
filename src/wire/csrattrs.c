#include "wire/csr_template.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <stdio.h>
#include <string.h>

/* RFC 7030 4.5.2: CsrAttrs ::= SEQUENCE SIZE (0..MAX) OF AttrOrOID */

#define MAX_ENTRIES 256
#define MAX_VALUES  256

void est_csr_attribute_clear(est_csr_attribute *entry)
{
    est_free(entry->oid);
    est_free(entry->name);
    est_free(entry->words);
    ASN1_OBJECT_free(entry->type);
    X509_ATTRIBUTE_free(entry->attribute);
    sk_X509_EXTENSION_pop_free(entry->extensions, X509_EXTENSION_free);
    memset(entry, 0, sizeof(*entry));
}

void estuary_csr_attributes_free(estuary_csr_attributes *attributes)
{
    if (attributes == NULL)
        return;
    for (size_t i = 0; i < attributes->count; i++)
        est_csr_attribute_clear(&attributes->entries[i]);
    est_free(attributes->entries);
    est_csr_template_free(attributes->template);
    est_free(attributes);
}

/* Names OpenSSL 3.0 does not have. */
static const char *extra_name(const char *oid)
{
    static const struct {
        const char *oid, *name;
    } names[] = {
        {"1.3.6.1.1.1.1.22", "macAddress"},                     /* RFC 2307 */
        {EST_TEMPLATE_OID, "certificationRequestInfoTemplate"}, /* RFC 9908 */
        {"1.2.840.113549.1.9.16.2.62", "extensionReqTemplate"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(oid, names[i].oid) == 0)
            return names[i].name;
    return NULL;
}

/* The attribute types of names a client knows about itself (X.520, RFC 4519). */
static bool is_subject_type(int nid)
{
    static const int types[] = {
        NID_commonName,
        NID_surname,
        NID_serialNumber,
        NID_countryName,
        NID_localityName,
        NID_streetAddress,
        NID_stateOrProvinceName,
        NID_organizationName,
        NID_title,
        NID_organizationalUnitName,
        NID_givenName,
        NID_initials,
        NID_generationQualifier,
        NID_dnQualifier,
        NID_pseudonym,
        NID_organizationIdentifier,
        NID_domainComponent,
        NID_userId,
        NID_pkcs9_emailAddress,
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (nid == types[i])
            return true;
    return false;
}

static bool is_digest(int nid)
{
    return nid != NID_undef && EVP_get_digestbyname(OBJ_nid2sn(nid)) != NULL;
}

static const ASN1_TYPE *first_value(const est_csr_attribute *entry)
{
    if (entry->attribute == NULL || X509_ATTRIBUTE_count(entry->attribute) < 1)
        return NULL;
    return X509_ATTRIBUTE_get0_type(entry->attribute, 0);
}

static bool say(est_csr_attribute *entry, estuary_csr_attribute_kind kind, char *words)
{
    entry->kind = kind;
    entry->words = words;
    return words != NULL;
}

static void curve_text(const ASN1_OBJECT *curve, char *out, size_t size)
{
    const char *nist = EC_curve_nid2nist(OBJ_obj2nid(curve));
    if (nist != NULL)
        OPENSSL_strlcpy(out, nist, size);
    else if (!est_oid_name(curve, out, size))
        OPENSSL_strlcpy(out, "?", size);
}

static bool describe_curve(est_csr_attribute *entry, const ASN1_OBJECT *curve)
{
    char name[48];
    curve_text(curve, name, sizeof(name));
    snprintf(entry->key, sizeof(entry->key), "ec:%s", name);
    return say(entry, ESTUARY_CSRATTR_KEY, est_printf("the key should be an EC key on curve %s", name));
}

static bool describe_ec(est_csr_attribute *entry)
{
    const ASN1_TYPE *value = first_value(entry);
    if (value != NULL && value->type == V_ASN1_OBJECT)
        return describe_curve(entry, value->value.object);
    OPENSSL_strlcpy(entry->key, "ec:", sizeof(entry->key));
    return say(entry, ESTUARY_CSRATTR_KEY, est_strdup("the key should be an EC key"));
}

static bool describe_rsa(est_csr_attribute *entry)
{
    const ASN1_TYPE *value = first_value(entry);
    int64_t bits = 0;
    OPENSSL_strlcpy(entry->key, "rsa:", sizeof(entry->key));
    if (value == NULL || value->type != V_ASN1_INTEGER)
        return say(entry, ESTUARY_CSRATTR_KEY, est_strdup("the key should be an RSA key"));
    if (ASN1_INTEGER_get_int64(&bits, value->value.integer) != 1 || bits < 1 || bits > 16384)
        return say(entry, ESTUARY_CSRATTR_UNKNOWN,
                   est_strdup("the server asks for an RSA key of a size that makes no sense: ignored"));
    snprintf(entry->key, sizeof(entry->key), "rsa:%d", (int)bits);
    return say(entry, ESTUARY_CSRATTR_KEY, est_printf("the key should be an RSA key of %d bits", (int)bits));
}

static bool describe_edwards(est_csr_attribute *entry, const char *name)
{
    OPENSSL_strlcpy(entry->key, name, sizeof(entry->key));
    return say(entry, ESTUARY_CSRATTR_KEY, est_printf("the key should be an %s key", entry->name));
}

/* RFC 9908 3.2: one value, of type Extensions */
static X509_EXTENSIONS *read_extensions(const est_csr_attribute *entry)
{
    const ASN1_TYPE *value = first_value(entry);
    if (value == NULL || value->type != V_ASN1_SEQUENCE || X509_ATTRIBUTE_count(entry->attribute) != 1)
        return NULL;
    const ASN1_STRING *sequence = value->value.sequence;
    const uint8_t *der = ASN1_STRING_get0_data(sequence), *end = der + ASN1_STRING_length(sequence);
    X509_EXTENSIONS *extensions = d2i_X509_EXTENSIONS(NULL, &der, ASN1_STRING_length(sequence));
    if (extensions != NULL && der == end && sk_X509_EXTENSION_num(extensions) <= EST_CSR_MAX_EXTENSIONS)
        return extensions;
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return NULL;
}

static bool describe_extensions(est_csr_attribute *entry)
{
    est_buf list = {.max = 1024};
    entry->extensions = read_extensions(entry);
    if (entry->extensions == NULL)
        return say(entry, ESTUARY_CSRATTR_UNKNOWN,
                   est_strdup("the server names extensionRequest without a list of extensions: ignored"));
    for (int i = 0; i < sk_X509_EXTENSION_num(entry->extensions); i++) {
        X509_EXTENSION *extension = sk_X509_EXTENSION_value(entry->extensions, i);
        char name[EST_OID_MAX_TEXT];
        if (!est_oid_name(X509_EXTENSION_get_object(extension), name, sizeof(name)))
            continue;
        if (list.len > 0)
            (void)est_buf_append(&list, ", ", 2); /* a list that is too long is cut */
        (void)est_buf_append(&list, name, strlen(name));
    }
    bool done = say(entry, ESTUARY_CSRATTR_EXTENSIONS,
                    est_printf("the request should carry the extensions: %s",
                               list.data == NULL ? "none" : (const char *)list.data));
    est_buf_free(&list);
    return done;
}

static bool describe_signature(est_csr_attribute *entry, int nid)
{
    if (is_digest(nid))
        return say(entry, ESTUARY_CSRATTR_SIGNATURE,
                   est_printf("the request should be signed with the digest %s", entry->name));
    return say(entry, ESTUARY_CSRATTR_SIGNATURE,
               est_printf("the request should be signed with %s", entry->name));
}

/* Sets kind and words; false when memory is short. RFC 7030 4.5.2: what is not known is ignored. */
static bool describe(est_csr_attribute *entry)
{
    int digest = NID_undef, key = NID_undef;
    int nid = OBJ_obj2nid(entry->type);
    switch (nid) {
    case NID_pkcs9_challengePassword:
        return say(entry, ESTUARY_CSRATTR_CHALLENGE_PASSWORD,
                   est_strdup("the request should be bound to the TLS session by a challengePassword"));
    case NID_ext_req:
        return describe_extensions(entry);
    case NID_X9_62_id_ecPublicKey:
        return describe_ec(entry);
    case NID_rsaEncryption:
        return describe_rsa(entry);
    case NID_ED25519:
        return describe_edwards(entry, "ed25519");
    case NID_ED448:
        return describe_edwards(entry, "ed448");
    default:
        break;
    }
    if (nid != NID_undef && is_subject_type(nid))
        return say(entry, ESTUARY_CSRATTR_SUBJECT,
                   est_printf("the request should carry %s in its subject", entry->name));
    if (nid != NID_undef && (OBJ_find_sigid_algs(nid, &digest, &key) == 1 || is_digest(nid)))
        return describe_signature(entry, nid);
    if (nid != NID_undef && est_curve_is_known(nid))
        return describe_curve(entry, entry->type);
    return say(entry, ESTUARY_CSRATTR_UNKNOWN, est_printf("the server names %s: ignored", entry->name));
}

/* X.520's and PKCS #9's names: OpenSSL's short ones ("CN") are right for strings, not for sentences. */
char *est_csr_attribute_name(const ASN1_OBJECT *type)
{
    char oid[EST_OID_MAX_TEXT] = "?";
    if (!est_oid_text(type, oid, sizeof(oid)))
        memcpy(oid, "?", 2);
    int nid = OBJ_obj2nid(type);
    const char *name = extra_name(oid);
    if (nid != NID_undef)
        name = is_subject_type(nid) ? OBJ_nid2ln(nid)
               : nid == NID_ext_req ? "extensionRequest"
                                    : OBJ_nid2sn(nid);
    return est_strdup(name == NULL ? oid : name);
}

estuary_status est_csr_attribute_describe(est_csr_attribute *entry, size_t number, estuary_error *err)
{
    char oid[EST_OID_MAX_TEXT];
    if (!est_oid_text(entry->type, oid, sizeof(oid)))
        return est_fail(err, EST_PROTOCOL_CSRATTRS,
                        "entry %zu of the server's CSR attributes has an OID that makes no sense", number);
    entry->oid = est_strdup(oid);
    entry->name = est_csr_attribute_name(entry->type);
    if (entry->oid == NULL || entry->name == NULL || !describe(entry))
        return est_fail_memory(err);
    return ESTUARY_OK;
}

static estuary_status read_attribute(const ASN1_STRING *sequence, est_csr_attribute *entry, size_t number,
                                     estuary_error *err)
{
    const uint8_t *at = ASN1_STRING_get0_data(sequence);
    const uint8_t *end = at + ASN1_STRING_length(sequence);
    entry->attribute = d2i_X509_ATTRIBUTE(NULL, &at, ASN1_STRING_length(sequence));
    if (entry->attribute == NULL || at != end)
        return est_fail_openssl(err, EST_PROTOCOL_CSRATTRS,
                                "entry %zu of the server's CSR attributes is not a valid attribute", number);
    if (X509_ATTRIBUTE_count(entry->attribute) > MAX_VALUES)
        return est_fail(err, EST_PROTOCOL_CSRATTRS_COUNT,
                        "entry %zu of the server's CSR attributes has more than %d values", number,
                        MAX_VALUES);
    entry->type = OBJ_dup(X509_ATTRIBUTE_get0_object(entry->attribute));
    return entry->type == NULL ? est_fail_openssl(err, EST_MEMORY, NULL) : ESTUARY_OK;
}

/* AttrOrOID ::= CHOICE { oid OBJECT IDENTIFIER, attribute Attribute } */
static estuary_status read_entry(const ASN1_TYPE *value, est_csr_attribute *entry, size_t number,
                                 estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    if (value->type == V_ASN1_OBJECT) {
        entry->type = OBJ_dup(value->value.object);
        if (entry->type == NULL)
            EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    } else if (value->type == V_ASN1_SEQUENCE) {
        EST_TRY(read_attribute(value->value.sequence, entry, number, err));
    } else {
        EST_FAIL(EST_PROTOCOL_CSRATTRS,
                 "entry %zu of the server's CSR attributes is neither an OID nor an attribute", number);
    }
    EST_TRY(est_csr_attribute_describe(entry, number, err));
cleanup:
    return status;
}

static estuary_status read_entries(const ASN1_SEQUENCE_ANY *values, estuary_csr_attributes *attributes,
                                   estuary_error *err)
{
    int count = sk_ASN1_TYPE_num(values);
    size_t size = 0;
    if (count > MAX_ENTRIES)
        return est_fail(err, EST_PROTOCOL_CSRATTRS_COUNT,
                        "the server's CSR attributes hold more than %d entries", MAX_ENTRIES);
    if (count <= 0 || !est_int_to_size(count, &size))
        return ESTUARY_OK; /* RFC 7030 4.5.2: an empty SEQUENCE is no wish at all */
    attributes->entries = est_alloc(size * sizeof(*attributes->entries));
    if (attributes->entries == NULL)
        return est_fail_memory(err);
    for (int i = 0; i < count; i++) {
        size_t index = attributes->count++;
        estuary_status status =
            read_entry(sk_ASN1_TYPE_value(values, i), &attributes->entries[index], index + 1, err);
        if (status != ESTUARY_OK)
            return status;
    }
    return ESTUARY_OK;
}

estuary_status estuary_csr_attributes_parse(const uint8_t *der, size_t len, estuary_csr_attributes **out,
                                            estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    ASN1_SEQUENCE_ANY *values = NULL;
    const uint8_t *at = der;
    *out = NULL;
    estuary_csr_attributes *attributes = est_alloc(sizeof(*attributes));
    if (attributes == NULL)
        return est_fail_memory(err);
    if (len > EST_CSR_MAX_BYTES)
        EST_FAIL(EST_PROTOCOL_CSRATTRS, "the server's CSR attributes are longer than %d bytes",
                 EST_CSR_MAX_BYTES);
    if (len > 0) {
        values = d2i_ASN1_SEQUENCE_ANY(NULL, &at, (long)len);
        if (values == NULL)
            EST_FAIL_OPENSSL(EST_PROTOCOL_CSRATTRS, NULL);
        if (at != der + len)
            EST_FAIL(EST_PROTOCOL_CSRATTRS_TRAILING, NULL);
        EST_TRY(read_entries(values, attributes, err));
        EST_TRY(est_csr_template_take(attributes, err));
    }
    *out = attributes;
    attributes = NULL;
cleanup:
    sk_ASN1_TYPE_pop_free(values, ASN1_TYPE_free);
    estuary_csr_attributes_free(attributes);
    ERR_clear_error(); /* what describe() tried and did not find */
    return status;
}

size_t estuary_csr_attributes_count(const estuary_csr_attributes *attributes)
{
    return attributes == NULL ? 0 : attributes->count;
}

bool estuary_csr_attributes_at(const estuary_csr_attributes *attributes, size_t index,
                               estuary_csr_attribute_kind *kind, const char **oid, const char **name,
                               const char **words)
{
    if (index >= estuary_csr_attributes_count(attributes))
        return false;
    const est_csr_attribute *entry = &attributes->entries[index];
    if (kind != NULL)
        *kind = entry->kind;
    if (oid != NULL)
        *oid = entry->oid;
    if (name != NULL)
        *name = entry->name;
    if (words != NULL)
        *words = entry->words;
    return true;
}

bool estuary_csr_attributes_has_template(const estuary_csr_attributes *attributes)
{
    return attributes != NULL && attributes->template != NULL;
}

bool estuary_csr_attributes_must_fill(const estuary_csr_attributes *attributes, size_t index)
{
    return index < estuary_csr_attributes_count(attributes) && attributes->entries[index].must_fill;
}

bool estuary_csr_attributes_wants_binding(const estuary_csr_attributes *attributes)
{
    for (size_t i = 0; i < estuary_csr_attributes_count(attributes); i++)
        if (attributes->entries[i].kind == ESTUARY_CSRATTR_CHALLENGE_PASSWORD)
            return true;
    return false;
}

const char *estuary_csr_attributes_key_algorithm(const estuary_csr_attributes *attributes)
{
    for (size_t i = 0; i < estuary_csr_attributes_count(attributes); i++) {
        const est_csr_attribute *entry = &attributes->entries[i];
        if (entry->kind != ESTUARY_CSRATTR_KEY)
            continue;
        if (strcmp(entry->key, "ec:") == 0)
            return "ec:P-256";
        return strcmp(entry->key, "rsa:") == 0 ? "rsa:3072" : entry->key;
    }
    return "";
}
