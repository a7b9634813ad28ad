#include "wire/csr_parts.h"

#include <arpa/inet.h>
#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <string.h>

#define VALUE_MAX 4096

static const struct {
    const char *name;
    estuary_san_type type;
} type_names[] = {
    {"dns", ESTUARY_SAN_DNS},
    {"email", ESTUARY_SAN_EMAIL},
    {"uri", ESTUARY_SAN_URI},
    {"ip", ESTUARY_SAN_IP},
    {"dirName", ESTUARY_SAN_DIRNAME},
    {"upn", ESTUARY_SAN_UPN},
    {"otherName", ESTUARY_SAN_OTHERNAME},
    {"rid", ESTUARY_SAN_RID},
};

estuary_san_type estuary_san_type_from_name(const char *name)
{
    for (size_t i = 0; name != NULL && i < sizeof(type_names) / sizeof(type_names[0]); i++)
        if (est_text_equal_nocase(name, type_names[i].name))
            return type_names[i].type;
    return (estuary_san_type)0;
}

static estuary_status refuse(estuary_error *err, const char *type, const char *value, const char *why)
{
    char shown[256];
    est_text_sanitise(value, strlen(value), shown, sizeof(shown));
    return est_fail(err, EST_USAGE_SAN, "the subjectAltName %s:%s is not valid: %s", type, shown, why);
}

/* A GENERAL_NAME that owns value; value is freed when that fails. */
static estuary_status wrap_string(int general_type, int string_type, const void *bytes, size_t len,
                                  GENERAL_NAME **out, estuary_error *err)
{
    ASN1_STRING *string = ASN1_STRING_type_new(string_type);
    GENERAL_NAME *name = GENERAL_NAME_new();
    int size = 0;
    if (string == NULL || name == NULL || !est_size_to_int(len, &size) ||
        ASN1_STRING_set(string, bytes, size) != 1) {
        ASN1_STRING_free(string);
        GENERAL_NAME_free(name);
        return est_fail_openssl(err, EST_MEMORY, NULL);
    }
    GENERAL_NAME_set0_value(name, general_type, string);
    *out = name;
    return ESTUARY_OK;
}

static bool is_ip(const char *value)
{
    uint8_t address[16];
    return inet_pton(AF_INET, value, address) == 1 || inet_pton(AF_INET6, value, address) == 1;
}

/* RFC 5280 4.2.1.6, RFC 6125 6.4.3: one wildcard, and it is the whole left-most label */
static estuary_status make_dns(const char *value, GENERAL_NAME **out, estuary_error *err)
{
    char host[256] = "*.";
    size_t prefix = strncmp(value, "*.", 2) == 0 ? 2 : 0;
    if (is_ip(value))
        return refuse(err, "dns", value, "it is an IP address, which goes into ip:");
    const char *why = est_host_problem(value + prefix, host + prefix, 254 - prefix);
    if (why != NULL)
        return refuse(err, "dns", value, why);
    return wrap_string(GEN_DNS, V_ASN1_IA5STRING, host, strlen(host), out, err);
}

static bool is_local_part(const char *text, size_t len)
{
    if (len == 0 || len > 64 || text[0] == '.' || text[len - 1] == '.')
        return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~' || strchr("()<>[]:;@\\,\"", text[i]) != NULL)
            return false;
    return true;
}

/* RFC 5280 4.2.1.6: addr-spec, here with a dot-atom; the host part as A-labels (7.5) */
static estuary_status make_email(const char *value, GENERAL_NAME **out, estuary_error *err)
{
    const char *at = strchr(value, '@');
    char host[256];
    if (at == NULL || strchr(at + 1, '@') != NULL)
        return refuse(err, "email", value, "it must hold one @");
    size_t local = (size_t)(at - value);
    if (!is_local_part(value, local))
        return refuse(err, "email", value, "what stands before the @ must be 1 to 64 plain ASCII characters");
    const char *why = est_host_problem(at + 1, host, sizeof(host));
    if (why != NULL)
        return refuse(err, "email", value, why);
    char *text = est_printf("%.*s@%s", (int)local, value, host);
    if (text == NULL)
        return est_fail_memory(err);
    estuary_status status = wrap_string(GEN_EMAIL, V_ASN1_IA5STRING, text, strlen(text), out, err);
    est_free(text);
    return status;
}

/* RFC 3986 3.1: ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ) ":" */
static size_t scheme_length(const char *value)
{
    size_t len = 0;
    for (;; len++) {
        char c = value[len];
        bool alpha = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool other = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
        if (!alpha && !(len > 0 && other))
            return c == ':' ? len : 0;
    }
}

/* RFC 5280 4.2.1.6: absolute, with a scheme and something after it */
static estuary_status make_uri(const char *value, GENERAL_NAME **out, estuary_error *err)
{
    size_t scheme = scheme_length(value);
    if (scheme == 0 || value[scheme + 1] == '\0')
        return refuse(err, "uri", value, "it must be absolute, with a scheme such as https:");
    for (const char *c = value; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~' || strchr("\"<>\\^`{|}", *c) != NULL)
            return refuse(err, "uri", value, "it holds a character that must be percent-encoded");
    return wrap_string(GEN_URI, V_ASN1_IA5STRING, value, strlen(value), out, err);
}

static estuary_status make_ip(const char *value, GENERAL_NAME **out, estuary_error *err)
{
    uint8_t address[16];
    if (inet_pton(AF_INET, value, address) == 1)
        return wrap_string(GEN_IPADD, V_ASN1_OCTET_STRING, address, 4, out, err);
    if (inet_pton(AF_INET6, value, address) == 1)
        return wrap_string(GEN_IPADD, V_ASN1_OCTET_STRING, address, 16, out, err);
    return refuse(err, "ip", value, "it is neither an IPv4 nor an IPv6 address");
}

static estuary_status make_dirname(const char *value, GENERAL_NAME **out, estuary_error *err)
{
    X509_NAME *directory = NULL;
    estuary_status status = estuary_name_parse(value, &directory, err);
    if (status == ESTUARY_E_USAGE) /* said of a subject, which this is not */
        return refuse(err, "dirName", value, "it is not a name in RFC 4514 form");
    if (status != ESTUARY_OK)
        return status;
    GENERAL_NAME *name = GENERAL_NAME_new();
    if (name == NULL) {
        X509_NAME_free(directory);
        return est_fail_openssl(err, EST_MEMORY, NULL);
    }
    GENERAL_NAME_set0_value(name, GEN_DIRNAME, directory);
    *out = name;
    return ESTUARY_OK;
}

/* Takes oid and value over. */
static estuary_status wrap_other(ASN1_OBJECT *oid, ASN1_TYPE *value, GENERAL_NAME **out, estuary_error *err)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    if (oid != NULL && value != NULL && name != NULL && GENERAL_NAME_set0_othername(name, oid, value) == 1) {
        *out = name;
        return ESTUARY_OK;
    }
    ASN1_OBJECT_free(oid);
    ASN1_TYPE_free(value);
    GENERAL_NAME_free(name);
    return est_fail_openssl(err, EST_MEMORY, NULL);
}

/* NULL when memory is short. */
static ASN1_TYPE *utf8_value(const char *text)
{
    ASN1_TYPE *value = ASN1_TYPE_new();
    ASN1_UTF8STRING *string = ASN1_UTF8STRING_new();
    int len = 0;
    if (value == NULL || string == NULL || !est_size_to_int(strlen(text), &len) ||
        ASN1_STRING_set(string, text, len) != 1) {
        ASN1_TYPE_free(value);
        ASN1_UTF8STRING_free(string);
        return NULL;
    }
    ASN1_TYPE_set(value, V_ASN1_UTF8STRING, string);
    return value;
}

static bool is_plain_utf8(const char *text)
{
    if (*text == '\0' || !est_utf8_is_valid((const uint8_t *)text, strlen(text)))
        return false;
    for (; *text != '\0'; text++)
        if ((*text > 0 && *text < ' ') || *text == 0x7f)
            return false;
    return true;
}

static estuary_status make_upn(const char *value, GENERAL_NAME **out, estuary_error *err)
{
    const char *at = strchr(value, '@');
    if (at == NULL || at == value || at[1] == '\0' || strchr(at + 1, '@') != NULL)
        return refuse(err, "upn", value, "it must be USER@DOMAIN");
    if (!is_plain_utf8(value))
        return refuse(err, "upn", value, "it must be UTF-8 without control characters");
    return wrap_other(OBJ_dup(OBJ_nid2obj(NID_ms_upn)), utf8_value(value), out, err);
}

/* NULL when hex is not one complete DER value. */
static ASN1_TYPE *der_value(const char *hex)
{
    size_t digits = strlen(hex);
    uint8_t *der = est_alloc(digits / 2), *again = NULL;
    ASN1_TYPE *value = NULL;
    long len = 0;
    const uint8_t *at = der;
    if (der == NULL || digits == 0 || !est_hex_parse(hex, digits, der) || !est_size_to_long(digits / 2, &len))
        goto cleanup;
    value = d2i_ASN1_TYPE(NULL, &at, len);
    if (value != NULL &&
        (at != der + len || i2d_ASN1_TYPE(value, &again) != len || memcmp(der, again, (size_t)len) != 0)) {
        ASN1_TYPE_free(value);
        value = NULL;
    }
cleanup:
    est_free(der);
    OPENSSL_free(again);
    return value;
}

static estuary_status make_other(const char *value, GENERAL_NAME **out, estuary_error *err)
{
    char dotted[EST_OID_MAX_TEXT] = "";
    size_t len = strcspn(value, ";");
    const char *rest = value + len;
    if (len < sizeof(dotted))
        memcpy(dotted, value, len);
    ASN1_OBJECT *oid = est_oid_parse(dotted);
    ASN1_TYPE *content = NULL;
    const char *why = NULL;
    if (oid == NULL)
        why = "it must begin with an OID in dotted decimal and a semicolon";
    else if (strncmp(rest, ";UTF8:", 6) == 0 && is_plain_utf8(rest + 6))
        content = utf8_value(rest + 6);
    else if (strncmp(rest, ";UTF8:", 6) == 0)
        why = "after UTF8: comes UTF-8 without control characters";
    else if (strncmp(rest, ";DER:", 5) != 0)
        why = "after the OID comes ;UTF8:text or ;DER:hex";
    else if ((content = der_value(rest + 5)) == NULL)
        why = "after DER: comes one complete DER value in hexadecimal digits";
    if (why == NULL)
        return wrap_other(oid, content, out, err);
    ERR_clear_error();
    ASN1_OBJECT_free(oid);
    return refuse(err, "otherName", value, why);
}

static estuary_status make_rid(const char *value, GENERAL_NAME **out, estuary_error *err)
{
    ASN1_OBJECT *oid = est_oid_parse(value);
    if (oid == NULL) {
        ERR_clear_error();
        return refuse(err, "rid", value, "it must be an OID in dotted decimal");
    }
    GENERAL_NAME *name = GENERAL_NAME_new();
    if (name == NULL) {
        ASN1_OBJECT_free(oid);
        return est_fail_openssl(err, EST_MEMORY, NULL);
    }
    GENERAL_NAME_set0_value(name, GEN_RID, oid);
    *out = name;
    return ESTUARY_OK;
}

estuary_status est_general_name_new(estuary_san_type type, const char *value, GENERAL_NAME **out,
                                    estuary_error *err)
{
    *out = NULL;
    if (value == NULL || *value == '\0')
        return est_fail(err, EST_USAGE_SAN, "a subjectAltName is empty");
    if (strnlen(value, VALUE_MAX + 1) > VALUE_MAX)
        return est_fail(err, EST_USAGE_SAN, "a subjectAltName is longer than %d bytes", VALUE_MAX);
    switch (type) {
    case ESTUARY_SAN_DNS:
        return make_dns(value, out, err);
    case ESTUARY_SAN_EMAIL:
        return make_email(value, out, err);
    case ESTUARY_SAN_URI:
        return make_uri(value, out, err);
    case ESTUARY_SAN_IP:
        return make_ip(value, out, err);
    case ESTUARY_SAN_DIRNAME:
        return make_dirname(value, out, err);
    case ESTUARY_SAN_UPN:
        return make_upn(value, out, err);
    case ESTUARY_SAN_OTHERNAME:
        return make_other(value, out, err);
    case ESTUARY_SAN_RID:
        return make_rid(value, out, err);
    }
    return est_fail(err, EST_USAGE_SAN, "unknown type of subjectAltName");
}

/* Values to text. What is in a certificate or request is hostile: control bytes never come through. */

static char *string_text(const char *prefix, const ASN1_STRING *string)
{
    size_t len = 0;
    if (!est_int_to_size(ASN1_STRING_length(string), &len))
        return NULL;
    char *shown = est_alloc(len + 1);
    if (shown == NULL)
        return NULL;
    est_text_sanitise(ASN1_STRING_get0_data(string), len, shown, len + 1);
    char *text = est_printf("%s:%s", prefix, shown);
    est_free(shown);
    return text;
}

static char *hex_text(const char *prefix, const uint8_t *bytes, size_t len)
{
    char *hex = est_hex_text(bytes, len);
    char *text = hex == NULL ? NULL : est_printf("%s%s", prefix, hex);
    est_free(hex);
    return text;
}

static char *ip_text(const ASN1_STRING *address)
{
    char shown[INET6_ADDRSTRLEN];
    int len = ASN1_STRING_length(address);
    const uint8_t *bytes = ASN1_STRING_get0_data(address);
    if ((len == 4 || len == 16) &&
        inet_ntop(len == 4 ? AF_INET : AF_INET6, bytes, shown, sizeof(shown)) != NULL)
        return est_printf("ip:%s", shown);
    size_t size = 0;
    return est_int_to_size(len, &size) ? hex_text("ip:#", bytes, size) : NULL;
}

static char *directory_text(const X509_NAME *directory)
{
    char *name = NULL;
    if (estuary_name_format(directory, &name, NULL) != ESTUARY_OK)
        return est_strdup("dirName:?");
    char *text = est_printf("dirName:%s", name);
    est_free(name);
    return text;
}

static char *other_text(const OTHERNAME *other)
{
    char oid[EST_OID_MAX_TEXT] = "?";
    bool utf8 = other->value->type == V_ASN1_UTF8STRING;
    if (OBJ_obj2nid(other->type_id) == NID_ms_upn && utf8)
        return string_text("upn", other->value->value.utf8string);
    if (!est_oid_text(other->type_id, oid, sizeof(oid)))
        memcpy(oid, "?", 2);
    char *text = NULL;
    char *prefix = est_printf("otherName:%s;%s", oid, utf8 ? "UTF8" : "DER:");
    if (prefix != NULL && utf8) {
        text = string_text(prefix, other->value->value.utf8string);
    } else if (prefix != NULL) {
        uint8_t *der = NULL;
        int len = i2d_ASN1_TYPE(other->value, &der);
        text = len < 0 ? NULL : hex_text(prefix, der, (size_t)len);
        OPENSSL_free(der);
    }
    est_free(prefix);
    return text;
}

char *est_general_name_text(const GENERAL_NAME *name)
{
    char oid[EST_OID_MAX_TEXT];
    int type = 0;
    void *value = GENERAL_NAME_get0_value(name, &type);
    switch (type) {
    case GEN_DNS:
        return string_text("dns", value);
    case GEN_EMAIL:
        return string_text("email", value);
    case GEN_URI:
        return string_text("uri", value);
    case GEN_IPADD:
        return ip_text(value);
    case GEN_DIRNAME:
        return directory_text(value);
    case GEN_OTHERNAME:
        return other_text(value);
    case GEN_RID:
        return est_printf("rid:%s", est_oid_text(value, oid, sizeof(oid)) ? oid : "?");
    default:
        break;
    }
    return est_strdup(type == GEN_X400 ? "x400Address" : "ediPartyName");
}

/* Sets and comparisons */

static int names_der(const GENERAL_NAMES *names, uint8_t **der)
{
    *der = NULL;
    return i2d_GENERAL_NAMES(names, der);
}

bool est_general_names_equal(const GENERAL_NAMES *a, const GENERAL_NAMES *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    uint8_t *a_der = NULL, *b_der = NULL;
    int a_len = names_der(a, &a_der), b_len = names_der(b, &b_der);
    bool equal = a_len >= 0 && a_len == b_len && memcmp(a_der, b_der, (size_t)a_len) == 0;
    OPENSSL_free(a_der);
    OPENSSL_free(b_der);
    return equal;
}

static bool name_equal(const GENERAL_NAME *a, const GENERAL_NAME *b)
{
    uint8_t *a_der = NULL, *b_der = NULL;
    int a_len = i2d_GENERAL_NAME(a, &a_der), b_len = i2d_GENERAL_NAME(b, &b_der);
    bool equal = a_len > 0 && a_len == b_len && memcmp(a_der, b_der, (size_t)a_len) == 0;
    OPENSSL_free(a_der);
    OPENSSL_free(b_der);
    return equal;
}

bool est_general_names_have(const GENERAL_NAMES *names, const GENERAL_NAME *wanted)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
        if (name_equal(sk_GENERAL_NAME_value(names, i), wanted))
            return true;
    return false;
}

bool est_request_san(const X509_REQ *request, GENERAL_NAMES **out)
{
    X509_EXTENSIONS *extensions = NULL;
    int critical = 0; /* -1: not there; below: twice */
    *out = NULL;
    if (!est_request_extensions(request, &extensions))
        return false;
    *out = X509V3_get_d2i(extensions, NID_subject_alt_name, &critical, NULL);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return *out != NULL || critical == -1;
}

bool est_certificate_san(const X509 *certificate, GENERAL_NAMES **out)
{
    int critical = 0;
    *out = X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, NULL);
    return *out != NULL || critical == -1;
}
