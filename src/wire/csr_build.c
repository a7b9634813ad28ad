/* The CSR builder (E4): what goes into a request, before csr_sign.c makes one of it. */
#include "wire/csr_parts.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <string.h>

#define MAX_SANS       256
#define MAX_PURPOSES   64
#define MAX_CHALLENGE  255 /* RFC 2985 5.4.1: pkcs-9-ub-challengePassword */
#define MAX_ATTRIBUTES 64

estuary_status estuary_csr_new(estuary_csr **out, estuary_error *err)
{
    *out = NULL;
    estuary_csr *csr = est_alloc(sizeof(*csr));
    if (csr == NULL)
        return est_fail_memory(err);
    csr->subject = X509_NAME_new();
    if (csr->subject == NULL) {
        est_free(csr);
        return est_fail_openssl(err, EST_MEMORY, NULL);
    }
    csr->digest = NID_undef;
    *out = csr;
    return ESTUARY_OK;
}

void estuary_csr_free(estuary_csr *csr)
{
    if (csr == NULL)
        return;
    X509_NAME_free(csr->subject);
    sk_X509_EXTENSION_pop_free(csr->extensions, X509_EXTENSION_free);
    sk_X509_ATTRIBUTE_pop_free(csr->attributes, X509_ATTRIBUTE_free);
    est_free_secret(csr->challenge, csr->challenge_len);
    est_free(csr);
}

estuary_csr *est_csr_dup(const estuary_csr *csr)
{
    estuary_csr *copy = est_alloc(sizeof(*copy));
    if (copy == NULL)
        return NULL;
    copy->digest = csr->digest;
    copy->pss = csr->pss;
    copy->challenge_len = csr->challenge_len;
    copy->subject = X509_NAME_dup(csr->subject);
    if (csr->extensions != NULL)
        copy->extensions =
            sk_X509_EXTENSION_deep_copy(csr->extensions, X509_EXTENSION_dup, X509_EXTENSION_free);
    if (csr->attributes != NULL)
        copy->attributes =
            sk_X509_ATTRIBUTE_deep_copy(csr->attributes, X509_ATTRIBUTE_dup, X509_ATTRIBUTE_free);
    if (csr->challenge != NULL)
        copy->challenge = est_strndup(csr->challenge, csr->challenge_len);
    if (copy->subject == NULL || (csr->extensions != NULL && copy->extensions == NULL) ||
        (csr->attributes != NULL && copy->attributes == NULL) ||
        (csr->challenge != NULL && copy->challenge == NULL)) {
        estuary_csr_free(copy);
        return NULL;
    }
    return copy;
}

estuary_status estuary_csr_set_subject(estuary_csr *csr, const char *rfc4514, estuary_error *err)
{
    X509_NAME *name = NULL;
    estuary_status status = estuary_name_parse(rfc4514, &name, err);
    if (status != ESTUARY_OK)
        return status;
    X509_NAME_free(csr->subject);
    csr->subject = name;
    return ESTUARY_OK;
}

estuary_status estuary_csr_set_subject_name(estuary_csr *csr, const X509_NAME *name, estuary_error *err)
{
    if (name == NULL)
        return est_fail(err, EST_USAGE_DN, "no subject was given");
    X509_NAME *copy = X509_NAME_dup(name);
    if (copy == NULL)
        return est_fail_openssl(err, EST_MEMORY, NULL);
    X509_NAME_free(csr->subject);
    csr->subject = copy;
    return ESTUARY_OK;
}

/* Replaces the extension of this NID; an existing one keeps its critical flag. */
static estuary_status put_value(estuary_csr *csr, int nid, void *value, bool critical, estuary_error *err)
{
    const X509_EXTENSION *old = est_extensions_find(csr->extensions, OBJ_nid2obj(nid));
    if (old != NULL && X509_EXTENSION_get_critical(old))
        critical = true;
    X509_EXTENSION *extension = X509V3_EXT_i2d(nid, critical ? 1 : 0, value);
    if (!est_extensions_put(&csr->extensions, extension))
        return est_fail_openssl(err, EST_MEMORY, NULL);
    return ESTUARY_OK;
}

/* What is there under this NID, or an empty value of its type. */
static estuary_status take_sans(const estuary_csr *csr, GENERAL_NAMES **out, estuary_error *err)
{
    int critical = 0;
    *out = X509V3_get_d2i(csr->extensions, NID_subject_alt_name, &critical, NULL);
    if (*out == NULL && critical != -1)
        return est_fail_openssl(err, EST_CSR_EXTENSION, "the request's subjectAltName is broken");
    if (*out == NULL && (*out = GENERAL_NAMES_new()) == NULL)
        return est_fail_openssl(err, EST_MEMORY, NULL);
    if (sk_GENERAL_NAME_num(*out) >= MAX_SANS)
        return est_fail(err, EST_USAGE_SAN, "a request may have %d subjectAltNames at most", MAX_SANS);
    return ESTUARY_OK;
}

estuary_status estuary_csr_add_san(estuary_csr *csr, estuary_san_type type, const char *value,
                                   estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    GENERAL_NAME *name = NULL;
    GENERAL_NAMES *names = NULL;
    EST_TRY(est_general_name_new(type, value, &name, err));
    EST_TRY(take_sans(csr, &names, err));
    if (est_general_names_have(names, name))
        goto cleanup;
    if (sk_GENERAL_NAME_push(names, name) == 0)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    name = NULL; /* names owns it */
    EST_TRY(put_value(csr, NID_subject_alt_name, names, false, err));
cleanup:
    GENERAL_NAME_free(name);
    GENERAL_NAMES_free(names);
    return status;
}

/* Cuts blanks on both sides. */
static void trim(const char **text, size_t *len)
{
    while (*len > 0 && **text == ' ') {
        (*text)++;
        (*len)--;
    }
    while (*len > 0 && (*text)[*len - 1] == ' ')
        (*len)--;
}

static estuary_status set_usage_bits(ASN1_BIT_STRING *bits, const char *names, estuary_error *err)
{
    for (const char *at = names;; at++) {
        size_t len = strcspn(at, ",");
        const char *name = at;
        size_t name_len = len;
        int bit = 0;
        trim(&name, &name_len);
        if (!est_key_usage_bit(name, name_len, &bit)) {
            char shown[64];
            est_text_sanitise(name, name_len, shown, sizeof(shown));
            return est_fail(err, EST_USAGE_KEY_USAGE, "there is no key usage called \"%s\"", shown);
        }
        if (ASN1_BIT_STRING_set_bit(bits, bit, 1) != 1)
            return est_fail_openssl(err, EST_MEMORY, NULL);
        at += len;
        if (*at == '\0')
            return ESTUARY_OK;
    }
}

/* RFC 5280 4.2.1.3 */
estuary_status estuary_csr_set_key_usage(estuary_csr *csr, const char *names, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
    if (bits == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    if (names == NULL)
        EST_FAIL(EST_USAGE_KEY_USAGE, "no key usage was given");
    EST_TRY(set_usage_bits(bits, names, err));
    EST_TRY(put_value(csr, NID_key_usage, bits, true, err));
cleanup:
    ASN1_BIT_STRING_free(bits);
    return status;
}

/* NULL when unknown. */
static ASN1_OBJECT *purpose_oid(const char *purpose)
{
    static const int known[] = {
        NID_server_auth,
        NID_client_auth,
        NID_code_sign,
        NID_email_protect,
        NID_time_stamp,
        NID_OCSP_sign,
        NID_ipsecEndSystem,
        NID_ipsecTunnel,
        NID_ipsecUser,
        NID_ipsec_IKE,
        NID_cmcCA,
        NID_cmcRA,
        NID_anyExtendedKeyUsage,
        NID_ms_smartcard_login,
        NID_pkInitClientAuth,
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (est_text_equal_nocase(purpose, OBJ_nid2sn(known[i])))
            return OBJ_nid2obj(known[i]);
    return est_oid_parse(purpose);
}

static bool has_purpose(const EXTENDED_KEY_USAGE *purposes, const ASN1_OBJECT *oid)
{
    for (int i = 0; i < sk_ASN1_OBJECT_num(purposes); i++)
        if (OBJ_cmp(sk_ASN1_OBJECT_value(purposes, i), oid) == 0)
            return true;
    return false;
}

/* RFC 5280 4.2.1.12 */
estuary_status estuary_csr_add_eku(estuary_csr *csr, const char *purpose, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    int critical = 0;
    EXTENDED_KEY_USAGE *purposes = NULL;
    ASN1_OBJECT *oid = purpose == NULL ? NULL : purpose_oid(purpose);
    if (oid == NULL) {
        char shown[64];
        est_text_sanitise(purpose == NULL ? "" : purpose, purpose == NULL ? 0 : strlen(purpose), shown,
                          sizeof(shown));
        EST_FAIL_OPENSSL(EST_USAGE_EKU, "there is no extended key usage called \"%s\"", shown);
    }
    purposes = X509V3_get_d2i(csr->extensions, NID_ext_key_usage, &critical, NULL);
    if (purposes == NULL && critical != -1)
        EST_FAIL_OPENSSL(EST_CSR_EXTENSION, "the request's extendedKeyUsage is broken");
    if (purposes == NULL && (purposes = EXTENDED_KEY_USAGE_new()) == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    if (has_purpose(purposes, oid))
        goto cleanup;
    if (sk_ASN1_OBJECT_num(purposes) >= MAX_PURPOSES)
        EST_FAIL(EST_USAGE_EKU, "a request may have %d extended key usages at most", MAX_PURPOSES);
    if (sk_ASN1_OBJECT_push(purposes, oid) == 0)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    oid = NULL; /* purposes owns it */
    EST_TRY(put_value(csr, NID_ext_key_usage, purposes, false, err));
cleanup:
    ASN1_OBJECT_free(oid);
    EXTENDED_KEY_USAGE_free(purposes);
    return status;
}

/* One complete DER value and nothing after it. */
static bool is_one_value(const uint8_t *der, size_t len)
{
    const uint8_t *at = der;
    long content = 0, size = 0;
    int tag = 0, class = 0;
    if (der == NULL || len == 0 || len > EST_CSR_MAX_BYTES || !est_size_to_long(len, &size))
        return false;
    int result = ASN1_get_object(&at, &content, &tag, &class, size);
    ERR_clear_error();
    return (result & 0x81) == 0 && at - der + content == size; /* 0x80: broken, 1: indefinite length */
}

estuary_status estuary_csr_add_extension(estuary_csr *csr, const char *oid, bool critical, const uint8_t *der,
                                         size_t len, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    int size = 0;
    ASN1_OCTET_STRING *content = ASN1_OCTET_STRING_new();
    ASN1_OBJECT *object = oid == NULL ? NULL : est_oid_parse(oid);
    X509_EXTENSION *extension = NULL;
    if (object == NULL)
        EST_FAIL_OPENSSL(EST_USAGE_EXTENSION, "an extension needs an OID in dotted decimal");
    if (!is_one_value(der, len))
        EST_FAIL(EST_USAGE_EXTENSION, "the value of the extension %s is not one complete DER value", oid);
    if (content == NULL || !est_size_to_int(len, &size) || ASN1_OCTET_STRING_set(content, der, size) != 1 ||
        (extension = X509_EXTENSION_create_by_OBJ(NULL, object, critical ? 1 : 0, content)) == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    if (!est_extension_is_sound(extension))
        EST_FAIL(EST_USAGE_EXTENSION, "the value of the extension %s is not of its type", oid);
    if (sk_X509_EXTENSION_num(csr->extensions) >= EST_CSR_MAX_EXTENSIONS)
        EST_FAIL(EST_USAGE_EXTENSION, "a request may have %d extensions at most", EST_CSR_MAX_EXTENSIONS);
    if (!est_extensions_put(&csr->extensions, extension))
        status = est_fail_openssl(err, EST_MEMORY, NULL);
    extension = NULL; /* est_extensions_put took it */
cleanup:
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(content);
    ASN1_OBJECT_free(object);
    return status;
}

estuary_status estuary_csr_set_challenge_password(estuary_csr *csr, const char *text, size_t len,
                                                  estuary_error *err)
{
    if (text == NULL || len == 0 || len > MAX_CHALLENGE)
        return est_fail(err, EST_USAGE, "a challengePassword has 1 to %d bytes", MAX_CHALLENGE);
    if (!est_utf8_is_valid((const uint8_t *)text, len))
        return est_fail(err, EST_USAGE, "a challengePassword must be valid UTF-8");
    char *copy = est_strndup(text, len);
    if (copy == NULL)
        return est_fail_memory(err);
    est_free_secret(csr->challenge, csr->challenge_len);
    csr->challenge = copy;
    csr->challenge_len = len;
    return ESTUARY_OK;
}

/* Copies one extension of the certificate, if it is there. */
static estuary_status copy_extension(estuary_csr *csr, const X509 *certificate, int nid, estuary_error *err)
{
    int at = X509_get_ext_by_NID(certificate, nid, -1);
    if (at < 0)
        return ESTUARY_OK;
    if (X509_get_ext_by_NID(certificate, nid, at) >= 0 ||
        !est_extension_is_sound(X509_get_ext(certificate, at)))
        return est_fail(err, EST_CERT_MALFORMED, "the certificate's %s is broken or stands twice",
                        OBJ_nid2sn(nid));
    if (!est_extensions_put(&csr->extensions, X509_EXTENSION_dup(X509_get_ext(certificate, at))))
        return est_fail_openssl(err, EST_MEMORY, NULL);
    return ESTUARY_OK;
}

/* Makes the changed copy the builder's new contents, so that a failure half-way changes nothing. */
static void swap_in(estuary_csr *csr, estuary_csr *changed)
{
    estuary_csr old = *csr;
    *csr = *changed;
    *changed = old;
}

/* RFC 7030 4.2.2: subject and subjectAltName identical to the certificate's */
estuary_status estuary_csr_copy_certificate(estuary_csr *csr, const X509 *certificate, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    estuary_csr *copy = est_csr_dup(csr);
    if (copy == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    EST_TRY(estuary_csr_set_subject_name(copy, X509_get_subject_name(certificate), err));
    EST_TRY(copy_extension(copy, certificate, NID_subject_alt_name, err));
    EST_TRY(copy_extension(copy, certificate, NID_key_usage, err));
    EST_TRY(copy_extension(copy, certificate, NID_ext_key_usage, err));
    swap_in(csr, copy);
cleanup:
    estuary_csr_free(copy);
    return status;
}

static bool is_own_attribute(const X509_ATTRIBUTE *attribute)
{
    int nid = OBJ_obj2nid(X509_ATTRIBUTE_get0_object((X509_ATTRIBUTE *)attribute));
    return nid == NID_ext_req || nid == NID_ms_ext_req || nid == NID_pkcs9_challengePassword;
}

estuary_status est_csr_put_attribute(estuary_csr *csr, const char *oid, int type, const uint8_t *value,
                                     size_t len, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    int size = 0, at = -1;
    X509_ATTRIBUTE *attribute = NULL;
    ASN1_OBJECT *object = est_oid_parse(oid);
    if (object == NULL || !est_size_to_int(len, &size))
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    attribute = X509_ATTRIBUTE_create_by_OBJ(NULL, object, type, value, size);
    if (attribute == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    at = X509at_get_attr_by_OBJ(csr->attributes, object, -1);
    if (X509at_add1_attr(&csr->attributes, attribute) == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    if (at >= 0)
        X509_ATTRIBUTE_free(X509at_delete_attr(csr->attributes, at));
cleanup:
    X509_ATTRIBUTE_free(attribute);
    ASN1_OBJECT_free(object);
    return status;
}

static estuary_status copy_attributes(estuary_csr *csr, const X509_REQ *request, estuary_error *err)
{
    int count = X509_REQ_get_attr_count(request);
    if (count > MAX_ATTRIBUTES)
        return est_fail(err, EST_CSR_MALFORMED, "the request has more than %d attributes", MAX_ATTRIBUTES);
    for (int i = 0; i < count; i++) {
        const X509_ATTRIBUTE *attribute = X509_REQ_get_attr(request, i);
        if (!is_own_attribute(attribute) &&
            X509at_add1_attr(&csr->attributes, (X509_ATTRIBUTE *)attribute) == NULL)
            return est_fail_openssl(err, EST_MEMORY, NULL);
    }
    return ESTUARY_OK;
}

estuary_status estuary_csr_copy_request(estuary_csr *csr, const X509_REQ *request, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    X509_EXTENSIONS *extensions = NULL;
    estuary_csr *copy = est_csr_dup(csr);
    if (copy == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    EST_TRY(estuary_csr_set_subject_name(copy, X509_REQ_get_subject_name(request), err));
    if (!est_request_extensions(request, &extensions))
        EST_FAIL_OPENSSL(EST_CSR_EXTENSION, NULL);
    if (sk_X509_EXTENSION_num(extensions) > EST_CSR_MAX_EXTENSIONS)
        EST_FAIL(EST_CSR_EXTENSION, "the request has more than %d extensions", EST_CSR_MAX_EXTENSIONS);
    for (int i = 0; i < sk_X509_EXTENSION_num(extensions); i++) {
        const X509_EXTENSION *extension = sk_X509_EXTENSION_value(extensions, i);
        if (!est_extensions_put(&copy->extensions, X509_EXTENSION_dup(extension)))
            EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    }
    EST_TRY(copy_attributes(copy, request, err));
    swap_in(csr, copy);
cleanup:
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    estuary_csr_free(copy);
    return status;
}

/* RFC 6402 2.8: id-cmc-changeSubjectName */
bool est_request_changes_subject(const X509_REQ *request)
{
    ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.5.5.7.7.36", 1);
    bool found = oid != NULL && X509_REQ_get_attr_by_OBJ(request, oid, -1) >= 0;
    ASN1_OBJECT_free(oid);
    return found;
}

X509_REQ *est_request_dup(const X509_REQ *request)
{
    unsigned char *der = NULL;
    int len = i2d_X509_REQ(request, &der);
    const unsigned char *in = der;
    X509_REQ *copy = len <= 0 ? NULL : d2i_X509_REQ(NULL, &in, len);
    OPENSSL_free(der);
    return copy;
}
