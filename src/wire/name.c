#include "wire/csr_parts.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <string.h>

/* Reads an RFC 4514 string from left to right; the first RDN read is the last one of the name. */
typedef struct parser {
    const char *text;
    size_t len;
    size_t at;
    char type[EST_OID_MAX_TEXT]; /* of the attribute being read; only letters, digits, '-' and '.' */
    size_t type_at;
    ASN1_OBJECT *oid;
    est_buf value;
    X509_NAME *name;
    int in_rdn; /* attributes read of the current RDN */
    estuary_error *err;
} parser;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool est_hex_parse(const char *text, size_t len, uint8_t *out)
{
    if (len % 2 != 0)
        return false;
    for (size_t i = 0; i < len; i += 2) {
        int high = hex_value(text[i]), low = hex_value(text[i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i / 2] = (uint8_t)(high << 4 | low);
    }
    return true;
}

char *est_hex_text(const uint8_t *bytes, size_t len)
{
    char *text = est_alloc(2 * len + 1);
    if (text != NULL)
        est_hex_write(bytes, len, text);
    return text;
}

bool est_utf8_is_valid(const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        unsigned long point = 0;
        int used = UTF8_getc(bytes, len > 6 ? 6 : (int)len, &point);
        if (used <= 0 || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
            return false;
        bytes += used;
        len -= (size_t)used;
    }
    return true;
}

ASN1_OBJECT *est_oid_parse(const char *dotted)
{
    size_t len = strlen(dotted);
    if (len >= EST_OID_MAX_TEXT || len == 0 || !is_digit(dotted[0]) || !is_digit(dotted[len - 1]))
        return NULL;
    for (size_t i = 0; i < len; i++) {
        bool arc_start = i == 0 || dotted[i - 1] == '.';
        if (!is_digit(dotted[i]) && (dotted[i] != '.' || arc_start))
            return NULL;
        if (arc_start && dotted[i] == '0' && is_digit(dotted[i + 1])) /* RFC 4512 1.4: no leading zeros */
            return NULL;
    }
    return strchr(dotted, '.') == NULL ? NULL : OBJ_txt2obj(dotted, 1);
}

bool est_oid_text(const ASN1_OBJECT *object, char *out, size_t size)
{
    int room = 0;
    if (object == NULL || !est_size_to_int(size, &room))
        return false;
    int len = OBJ_obj2txt(out, room, object, 1);
    return len > 0 && len < room;
}

bool est_oid_name(const ASN1_OBJECT *object, char *out, size_t size)
{
    int nid = OBJ_obj2nid(object);
    const char *name = nid == NID_undef ? NULL : OBJ_nid2sn(nid);
    if (name == NULL || strlen(name) >= size)
        return est_oid_text(object, out, size);
    memcpy(out, name, strlen(name) + 1);
    return true;
}

static void skip_blanks(parser *p)
{
    while (p->at < p->len && p->text[p->at] == ' ')
        p->at++;
}

/* RFC 4514 3: the names every implementation knows, in any case. */
static int well_known_type(const char *type)
{
    static const struct {
        const char *name;
        int nid;
    } types[] = {
        {"CN", NID_commonName},
        {"L", NID_localityName},
        {"ST", NID_stateOrProvinceName},
        {"O", NID_organizationName},
        {"OU", NID_organizationalUnitName},
        {"C", NID_countryName},
        {"STREET", NID_streetAddress},
        {"DC", NID_domainComponent},
        {"UID", NID_userId},
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (est_text_equal_nocase(type, types[i].name))
            return types[i].nid;
    return OBJ_txt2nid(type);
}

static estuary_status find_type(parser *p)
{
    if (is_digit(p->type[0])) {
        p->oid = est_oid_parse(p->type);
    } else {
        int nid = well_known_type(p->type);
        if (nid != NID_undef && X509V3_EXT_get_nid(nid) != NULL)
            return est_fail(p->err, EST_USAGE_DN,
                            "the subject holds %s at position %zu, which is an extension, not part of a name",
                            p->type, p->type_at);
        p->oid = nid == NID_undef ? NULL : OBJ_dup(OBJ_nid2obj(nid));
    }
    if (p->oid == NULL)
        return est_fail_openssl(p->err, EST_USAGE_DN,
                                "the subject's attribute %s at position %zu is not known", p->type,
                                p->type_at);
    return ESTUARY_OK;
}

static estuary_status read_type(parser *p)
{
    skip_blanks(p);
    size_t start = p->at, used = 0;
    while (p->at < p->len && (is_alpha(p->text[p->at]) || is_digit(p->text[p->at]) || p->text[p->at] == '-' ||
                              p->text[p->at] == '.'))
        p->at++;
    used = p->at - start;
    p->type_at = start + 1;
    skip_blanks(p);
    if (used == 0 || used >= sizeof(p->type) || p->at == p->len || p->text[p->at] != '=')
        return est_fail(p->err, EST_USAGE_DN,
                        "the subject has no attribute type followed by '=' at position %zu", start + 1);
    memcpy(p->type, p->text + start, used);
    p->type[used] = '\0';
    p->at++;
    skip_blanks(p);
    ASN1_OBJECT_free(p->oid);
    p->oid = NULL;
    return find_type(p);
}

static estuary_status refuse(const parser *p, size_t at, const char *why)
{
    return est_fail(p->err, EST_USAGE_DN, "the subject's attribute %s, position %zu: %s", p->type, at + 1,
                    why);
}

static estuary_status append(parser *p, const void *bytes, size_t len)
{
    est_append result = est_buf_append(&p->value, bytes, len);
    if (result == EST_APPEND_NO_MEMORY)
        return est_fail_memory(p->err);
    return result == EST_APPEND_OK ? ESTUARY_OK : refuse(p, p->at, "the value is too long");
}

/* RFC 4514 3: pair = ESC ( ESC / special / hexpair ) */
static estuary_status read_escape(parser *p)
{
    size_t left = p->len - p->at;
    const char *c = p->text + p->at;
    if (left >= 2 && c[1] != '\0' && strchr("\\\"+,;<> #=", c[1]) != NULL) {
        p->at += 2;
        return append(p, c + 1, 1);
    }
    uint8_t byte = 0;
    if (left < 3 || !est_hex_parse(c + 1, 2, &byte))
        return refuse(p, p->at,
                      "a backslash must be followed by a special character or two hexadecimal digits");
    if (byte == 0)
        return refuse(p, p->at, "a NUL byte has no place in a name");
    p->at += 3;
    return append(p, &byte, 1);
}

static estuary_status read_string(parser *p)
{
    estuary_status status = ESTUARY_OK;
    size_t keep = 0; /* the length without unescaped blanks at the end */
    size_t start = p->at;
    while (p->at < p->len && p->text[p->at] != ',' && p->text[p->at] != '+') {
        char c = p->text[p->at];
        if (strchr("\";<>", c) != NULL)
            return refuse(p, p->at, "the characters \" ; < > must be escaped with a backslash");
        if (c == '\\') {
            EST_TRY(read_escape(p));
        } else {
            EST_TRY(append(p, &c, 1));
            p->at++;
        }
        if (c != ' ')
            keep = p->value.len;
    }
    p->value.len = keep;
    if (keep == 0)
        return refuse(p, start, "the value is empty");
    if (!est_utf8_is_valid(p->value.data, keep))
        return refuse(p, start, "the value is not valid UTF-8");
cleanup:
    return status;
}

/* RFC 4514 2.4: "#" and the BER encoding in hexadecimal digits */
static estuary_status read_hexstring(parser *p)
{
    size_t start = p->at++;
    size_t digits = p->at;
    while (p->at < p->len && hex_value(p->text[p->at]) >= 0)
        p->at++;
    size_t count = p->at - digits;
    skip_blanks(p);
    if (count == 0 || count % 2 != 0 || (p->at < p->len && p->text[p->at] != ',' && p->text[p->at] != '+'))
        return refuse(p, start, "'#' must be followed by an even number of hexadecimal digits");
    for (size_t i = 0; i < count; i += 2) {
        uint8_t byte = 0;
        if (!est_hex_parse(p->text + digits + i, 2, &byte))
            return refuse(p, start, "'#' must be followed by hexadecimal digits");
        estuary_status status = append(p, &byte, 1);
        if (status != ESTUARY_OK)
            return status;
    }
    return ESTUARY_OK;
}

/* The DER of AttributeTypeAndValue around a ready value. */
static bool wrap_value(const ASN1_OBJECT *oid, const est_buf *value, uint8_t **out, int *out_len)
{
    int oid_len = i2d_ASN1_OBJECT(oid, NULL), value_len = 0;
    if (oid_len <= 0 || !est_size_to_int(value->len, &value_len))
        return false;
    *out_len = ASN1_object_size(1, oid_len + value_len, V_ASN1_SEQUENCE);
    if (*out_len < 0 || (*out = est_alloc((size_t)*out_len)) == NULL)
        return false;
    uint8_t *at = *out;
    ASN1_put_object(&at, 1, oid_len + value_len, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
    if (i2d_ASN1_OBJECT(oid, &at) != oid_len)
        return false;
    memcpy(at, value->data, value->len);
    return true;
}

/* A string type must hold what it says; others (SEQUENCE, BIT STRING) are taken as they are. */
static bool string_is_valid(const ASN1_STRING *value)
{
    int type = ASN1_STRING_type(value);
    if (type == V_ASN1_SEQUENCE || type == V_ASN1_BIT_STRING)
        return true;
    uint8_t *utf8 = NULL;
    int len = ASN1_STRING_to_UTF8(&utf8, value);
    /* neither empty nor with a NUL, as in the string form: such a value would read back as another one */
    bool valid = len > 0 && est_utf8_is_valid(utf8, (size_t)len) && memchr(utf8, 0, (size_t)len) == NULL;
    OPENSSL_free(utf8);
    return valid;
}

/* NULL when the value is not one complete DER value of a type that names may hold. */
static X509_NAME_ENTRY *entry_from_der(const ASN1_OBJECT *oid, const est_buf *value)
{
    uint8_t *der = NULL, *again = NULL;
    int len = 0;
    X509_NAME_ENTRY *entry = NULL;
    if (!wrap_value(oid, value, &der, &len))
        goto cleanup;
    const uint8_t *at = der;
    entry = d2i_X509_NAME_ENTRY(NULL, &at, len);
    if (entry == NULL)
        goto cleanup;
    /* BER that is not DER would change its bytes on the way */
    bool same = at == der + len && i2d_X509_NAME_ENTRY(entry, &again) == len &&
                memcmp(der, again, (size_t)len) == 0 && string_is_valid(X509_NAME_ENTRY_get_data(entry));
    if (!same) {
        X509_NAME_ENTRY_free(entry);
        entry = NULL;
    }
cleanup:
    est_free(der);
    OPENSSL_free(again);
    return entry;
}

/* Why OpenSSL did not take the value: its table holds the bounds of X.520. */
static estuary_status explain(const parser *p, size_t at)
{
    long count = 0;
    for (size_t i = 0; i < p->value.len; i++)
        count += (p->value.data[i] & 0xc0) != 0x80;
    const ASN1_STRING_TABLE *bounds = ASN1_STRING_TABLE_get(OBJ_obj2nid(p->oid));
    if (bounds != NULL && bounds->maxsize > 0 && count > bounds->maxsize)
        return est_fail(
            p->err, EST_USAGE_DN,
            "the subject's attribute %s, position %zu: the value has %ld characters, allowed are %ld",
            p->type, at + 1, count, bounds->maxsize);
    if (bounds != NULL && bounds->minsize > 0 && count < bounds->minsize)
        return est_fail(
            p->err, EST_USAGE_DN,
            "the subject's attribute %s, position %zu: the value has %ld characters, needed are %ld", p->type,
            at + 1, count, bounds->minsize);
    return est_fail_openssl(
        p->err, EST_USAGE_DN,
        "the subject's attribute %s, position %zu: the value has characters this attribute does not allow",
        p->type, at + 1);
}

static bool is_country(const est_buf *value)
{
    return value->len == 2 && is_alpha((char)value->data[0]) && is_alpha((char)value->data[1]);
}

static estuary_status make_entry(const parser *p, size_t at, X509_NAME_ENTRY **out)
{
    int len = 0;
    if (!est_size_to_int(p->value.len, &len))
        return refuse(p, at, "the value is too long");
    if (OBJ_obj2nid(p->oid) == NID_countryName && !is_country(&p->value)) /* X.520: ISO 3166 */
        return refuse(p, at, "a country is two letters");
    *out = X509_NAME_ENTRY_create_by_OBJ(NULL, p->oid, MBSTRING_UTF8, p->value.data, len);
    return *out == NULL ? explain(p, at) : ESTUARY_OK;
}

static estuary_status add_entry(parser *p, X509_NAME_ENTRY *entry)
{
    if (X509_NAME_entry_count(p->name) >= EST_NAME_MAX_ENTRIES)
        return refuse(p, p->at, "a name may have 64 attributes at most");
    /* RFC 4514 2.1: the string begins with the last RDN, so each new one goes to the front */
    bool first = p->in_rdn == 0;
    if (X509_NAME_add_entry(p->name, entry, first ? 0 : p->in_rdn, first ? 0 : -1) != 1)
        return est_fail_openssl(p->err, EST_CRYPTO, NULL);
    p->in_rdn++;
    return ESTUARY_OK;
}

static estuary_status read_attribute(parser *p)
{
    estuary_status status = ESTUARY_OK;
    X509_NAME_ENTRY *entry = NULL;
    EST_TRY(read_type(p));
    size_t at = p->at;
    p->value.len = 0;
    if (p->at < p->len && p->text[p->at] == '#') {
        EST_TRY(read_hexstring(p));
        entry = entry_from_der(p->oid, &p->value);
        if (entry == NULL) {
            ERR_clear_error();
            status = refuse(p, at, "the bytes after '#' are not one complete DER value that a name may hold");
            goto cleanup;
        }
    } else {
        EST_TRY(read_string(p));
        EST_TRY(make_entry(p, at, &entry));
    }
    EST_TRY(add_entry(p, entry));
cleanup:
    X509_NAME_ENTRY_free(entry);
    return status;
}

static estuary_status read_name(parser *p)
{
    skip_blanks(p);
    if (p->at == p->len)
        return ESTUARY_OK; /* RFC 4514 2.1: the empty name */
    for (;;) {
        estuary_status status = read_attribute(p);
        if (status != ESTUARY_OK)
            return status;
        if (p->at == p->len)
            return ESTUARY_OK;
        if (p->text[p->at] == ',')
            p->in_rdn = 0;
        p->at++;
    }
}

/* Through DER and back: a multi-valued RDN is then in the order of its encoding. */
static X509_NAME *settle(const X509_NAME *name)
{
    uint8_t *der = NULL;
    int len = i2d_X509_NAME(name, &der);
    const uint8_t *at = der;
    X509_NAME *settled = len > 0 ? d2i_X509_NAME(NULL, &at, len) : NULL;
    OPENSSL_free(der);
    return settled;
}

estuary_status estuary_name_parse(const char *rfc4514, X509_NAME **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    *out = NULL;
    if (rfc4514 == NULL)
        return est_fail(err, EST_USAGE_DN, "no subject was given");
    parser p = {.text = rfc4514, .len = strnlen(rfc4514, EST_NAME_MAX_TEXT + 1), .err = err};
    p.value.max = EST_NAME_MAX_TEXT;
    if (p.len > EST_NAME_MAX_TEXT)
        return est_fail(err, EST_USAGE_DN, "the subject is longer than %d bytes", EST_NAME_MAX_TEXT);
    p.name = X509_NAME_new();
    if (p.name == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    EST_TRY(read_name(&p));
    *out = settle(p.name);
    if (*out == NULL)
        EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
cleanup:
    X509_NAME_free(p.name);
    ASN1_OBJECT_free(p.oid);
    est_buf_free(&p.value);
    return status;
}

/* OpenSSL 3.0 writes a value that is a single '#' without the backslash of RFC 4514 2.4. NULL: memory is
 * short. */
static char *escape_lone_hash(const char *text, size_t len)
{
    est_buf out = {.max = SIZE_MAX / 2};
    bool done = true;
    for (size_t i = 0; done && i < len; i++) {
        bool starts_value = text[i] == '#' && i > 0 && text[i - 1] == '=';
        bool ends_value = i + 1 == len || text[i + 1] == ',' || text[i + 1] == '+';
        if (starts_value && ends_value)
            done = est_buf_append(&out, "\\", 1) == EST_APPEND_OK;
        done = done && est_buf_append(&out, text + i, 1) == EST_APPEND_OK;
    }
    char *result = done ? est_strndup(out.len == 0 ? "" : (char *)out.data, out.len) : NULL;
    est_buf_free(&out);
    return result;
}

estuary_status estuary_name_format(const X509_NAME *name, char **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    *out = NULL;
    char *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    if (name == NULL)
        EST_FAIL(EST_USAGE, "there is no name to write as text");
    if (bio == NULL)
        EST_FAIL_OPENSSL(EST_MEMORY, NULL);
    if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) < 0)
        EST_FAIL_OPENSSL(EST_CERT_MALFORMED, "a name holds a string that is broken");
    long len = BIO_get_mem_data(bio, &text);
    size_t size = 0;
    if (!est_int_to_size(len, &size) || (*out = escape_lone_hash(text, size)) == NULL)
        status = est_fail_memory(err);
cleanup:
    BIO_free(bio);
    return status;
}
