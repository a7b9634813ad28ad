/* One revoked certificate (RFC 5280 5.1.2.6, 5.3). */
#include "wire/crl_parts.h"

#include "wire/crl_der.h"

#define MAX_ENTRY_EXTENSIONS 16

/* The last octet of id-ce (2.5.29). */
#define CE_REASON_CODE        21
#define CE_HOLD_INSTRUCTION   23
#define CE_INVALIDITY_DATE    24
#define CE_CERTIFICATE_ISSUER 29

/* RFC 5280 5.3.1: 7 is not used. */
static bool is_reason(uint8_t reason)
{
    return reason <= 10 && reason != 7;
}

/* -1 when it is not of id-ce */
static int id_ce(const est_crl_extension *ext)
{
    return ext->oid_len == 3 && ext->oid[0] == 0x55 && ext->oid[1] == 0x1d ? ext->oid[2] : -1;
}

/* RFC 5280 4.1, X.690 11.5: FALSE, the default, is not written. */
bool est_crl_extension_take(const uint8_t **at, const uint8_t *end, est_crl_extension *out)
{
    const uint8_t *body, *flag;
    size_t len, flag_len;
    if (!der_take(at, end, DER_SEQUENCE, &body, &len))
        return false;
    const uint8_t *body_end = body + len;
    if (!der_take(&body, body_end, DER_OBJECT, &out->oid, &out->oid_len) ||
        !der_is_object(out->oid, out->oid_len))
        return false;
    out->critical = body < body_end && *body == DER_BOOLEAN;
    if (out->critical &&
        (!der_take(&body, body_end, DER_BOOLEAN, &flag, &flag_len) || flag_len != 1 || *flag != 0xff))
        return false;
    return der_take(&body, body_end, DER_OCTET_STRING, &out->value, &out->value_len) && body == body_end;
}

static bool read_reason(const est_crl_extension *ext, est_crl_view *out)
{
    const uint8_t *at = ext->value, *end = at + ext->value_len, *body;
    size_t len;
    if (!der_take(&at, end, DER_ENUMERATED, &body, &len) || at != end || len != 1 || !is_reason(*body))
        return false;
    out->reason = *body;
    return true;
}

/* Not told to anybody, but garbage in it makes the list garbage. */
static bool is_invalidity_date(const est_crl_extension *ext)
{
    const uint8_t *at = ext->value, *end = at + ext->value_len, *body;
    size_t len;
    der_time date;
    return der_take(&at, end, DER_GENERALIZED_TIME, &body, &len) && at == end &&
           der_time_parse(DER_GENERALIZED_TIME, body, len, &date);
}

static bool is_object(const est_crl_extension *ext)
{
    const uint8_t *at = ext->value, *end = at + ext->value_len, *body;
    size_t len;
    return der_take(&at, end, DER_OBJECT, &body, &len) && at == end && der_is_object(body, len);
}

static bool read_issuers(const est_crl_extension *ext, est_crl_view *out)
{
    const uint8_t *at = ext->value, *end = at + ext->value_len, *body;
    size_t len;
    if (!der_take(&at, end, DER_SEQUENCE, &body, &len) || at != end || len == 0)
        return false;
    out->issuers = ext->value;
    out->issuers_len = ext->value_len;
    return true;
}

/* RFC 5280 5.3: a critical one that is not understood spoils the whole list. */
static est_code read_extension(const est_crl_extension *ext, est_crl_view *out)
{
    bool is_sound = true;
    switch (id_ce(ext)) {
    case CE_REASON_CODE:
        is_sound = read_reason(ext, out);
        break;
    case CE_HOLD_INSTRUCTION:
        is_sound = is_object(ext);
        break;
    case CE_INVALIDITY_DATE:
        is_sound = is_invalidity_date(ext);
        break;
    case CE_CERTIFICATE_ISSUER:
        is_sound = read_issuers(ext, out);
        break;
    default:
        return ext->critical ? EST_CRL_CRITICAL_EXTENSION : EST_OK_CODE;
    }
    return is_sound ? EST_OK_CODE : EST_CRL_MALFORMED;
}

static bool stands_twice(const est_crl_extension *extensions, size_t count, const est_crl_extension *ext)
{
    for (size_t i = 0; i < count; i++)
        if (extensions[i].oid_len == ext->oid_len && memcmp(extensions[i].oid, ext->oid, ext->oid_len) == 0)
            return true;
    return false;
}

static est_code read_extensions(const uint8_t *at, const uint8_t *end, est_crl_view *out)
{
    est_crl_extension seen[MAX_ENTRY_EXTENSIONS];
    const uint8_t *body;
    size_t len, count = 0;
    est_code flaw = EST_OK_CODE;
    if (!der_take(&at, end, DER_SEQUENCE, &body, &len) || at != end || len == 0)
        return EST_CRL_MALFORMED;
    while (flaw == EST_OK_CODE && body < end) {
        if (count == MAX_ENTRY_EXTENSIONS || !est_crl_extension_take(&body, end, &seen[count]) ||
            stands_twice(seen, count, &seen[count]))
            return EST_CRL_MALFORMED;
        flaw = read_extension(&seen[count], out);
        count++;
    }
    return flaw;
}

/* Nearly every entry that has extensions has this one alone: no need to take it apart. */
static inline bool is_reason_alone(const uint8_t *at, size_t len)
{
    static const uint8_t start[13] = {0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55,
                                      0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01};
    return len == sizeof(start) + 1 && memcmp(at, start, sizeof(start)) == 0 && is_reason(at[sizeof(start)]);
}

est_code est_crl_view_entry(const uint8_t *der, size_t len, bool extensions_allowed, est_crl_view *out)
{
    const uint8_t *at = der, *end = der + len, *body;
    size_t body_len;
    der_time date;
    out->reason = -1;
    out->issuers = NULL;
    out->issuers_len = 0;
    if (!der_take(&at, end, DER_SEQUENCE, &body, &body_len) || at != end)
        return EST_CRL_MALFORMED;
    if (!der_take(&body, end, DER_INTEGER, &out->serial, &out->serial_len) ||
        !der_integer_is_minimal(out->serial, out->serial_len) || out->serial_len > EST_CRL_SERIAL_MAX)
        return EST_CRL_MALFORMED;
    out->time_tag = body < end ? *body : 0;
    if (!der_take(&body, end, out->time_tag, &out->time, &out->time_len) ||
        !der_time_parse(out->time_tag, out->time, out->time_len, &date))
        return EST_CRL_MALFORMED;
    if (body == end)
        return EST_OK_CODE;
    if (!extensions_allowed) /* RFC 5280 5.1: if present, version MUST be v2 */
        return EST_CRL_MALFORMED;
    if (is_reason_alone(body, (size_t)(end - body))) {
        out->reason = end[-1];
        return EST_OK_CODE;
    }
    return read_extensions(body, end, out);
}

bool est_crl_entry_parse(const uint8_t *der, size_t len, est_crl_entry *out)
{
    est_crl_view view;
    der_time date;
    size_t header;
    uint64_t body;
    memset(out, 0, sizeof(*out));
    if (der_header(der, len, &header, &body) != DER_OK || body > len - header)
        return false;
    len = header + (size_t)body;
    if (est_crl_view_entry(der, len, true, &view) != EST_OK_CODE ||
        !der_time_parse(view.time_tag, view.time, view.time_len, &date))
        return false;
    out->serial = view.serial;
    out->serial_len = view.serial_len;
    out->revoked_at = der_time_value(&date);
    out->reason = view.reason;
    out->len = len;
    return true;
}
