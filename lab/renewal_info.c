/* GET /renewal-info/AKI.SERIAL: when a certificate of this lab should be renewed.
 * draft-yusef-lamps-rfc7030-renewal-recommendation */
#include "lab.h"
#include "misbehave.h"

#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_AFTER "21600"
#define MAX_ID_PART 64

/* base64url without padding, RFC 4648 5. */
static bool base64url_decode(const char *text, size_t len, struct bytes *out)
{
    char plain[MAX_ID_PART + 4];
    if (len == 0 || len > MAX_ID_PART || len % 4 == 1)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '+' || text[i] == '/' || text[i] == '=')
            return false;
        plain[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
    }
    while (len % 4 != 0)
        plain[len++] = '=';
    return base64_decode(plain, len, out);
}

static bool is_key_of(const X509 *issuer, const struct bytes *aki)
{
    const ASN1_OCTET_STRING *ski =
        issuer == NULL ? NULL : X509_get0_subject_key_id((X509 *)(uintptr_t)issuer);
    return ski != NULL && (size_t)ASN1_STRING_length(ski) == aki->len &&
           memcmp(ASN1_STRING_get0_data(ski), aki->data, aki->len) == 0;
}

/* The copy that ca_record kept. The serial is an INTEGER's content: positive ones may begin with a zero. */
static X509 *issued_certificate(const struct ca *ca, const struct bytes *serial)
{
    char name[2 * MAX_ID_PART + 32] = "issued/";
    size_t at = strlen(name);
    char *path = NULL;
    X509 *found = NULL;
    const size_t skip = serial->len > 1 && serial->data[0] == 0 ? 1 : 0;
    if (serial->len > MAX_ID_PART || serial->data[0] >= 0x80)
        return NULL;
    hex_encode(serial->data + skip, serial->len - skip, "0123456789ABCDEF", 0, name + at);
    at += 2 * (serial->len - skip);
    (void)snprintf(name + at, sizeof name - at, ".pem");
    path = path_join(ca->dir, name);
    if (path != NULL && file_exists(path))
        found = file_read_certificate(path);
    free(path);
    return found;
}

static X509 *find_certificate(const struct ca *ca, const char *id)
{
    struct bytes aki = {0};
    struct bytes serial = {0};
    X509 *found = NULL;
    const char *dot = strchr(id, '.');
    if (dot != NULL && base64url_decode(id, (size_t)(dot - id), &aki) &&
        base64url_decode(dot + 1, strlen(dot + 1), &serial) &&
        (is_key_of(ca->issuing, &aki) || is_key_of(ca->old_issuing, &aki)))
        found = issued_certificate(ca, &serial);
    bytes_clear(&aki);
    bytes_clear(&serial);
    return found;
}

static time_t moment(const ASN1_TIME *text)
{
    struct tm tm;
    return ASN1_TIME_to_tm(text, &tm) == 1 ? timegm(&tm) : 0;
}

static bool rfc3339(time_t when, char out[32])
{
    struct tm tm;
    return gmtime_r(&when, &tm) != NULL && strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) > 0;
}

/* From two thirds of the lifetime on, for a thirtieth of it. */
bool renewal_info_encode(time_t start, time_t end, struct bytes *json)
{
    char from[32];
    char to[32];
    char text[160];
    if (!rfc3339(start, from) || !rfc3339(end, to))
        return false;
    (void)snprintf(text, sizeof text, "{\"suggestedWindow\":{\"start\":\"%s\",\"end\":\"%s\"}}\n", from, to);
    bytes_clear(json);
    return bytes_text(json, text);
}

/* Not base64: RFC 8951 3.1 ends that for new operations. */
void renewal_info_handle(struct exchange *ex)
{
    struct reply *r = &ex->reply;
    X509 *certificate = find_certificate(&ex->lab->ca, ex->id);
    if (certificate == NULL) {
        reply_text(r, 404, "Not Found", "not a certificate of this lab");
        return;
    }
    const time_t begin = moment(X509_get0_notBefore(certificate));
    const time_t lifetime = moment(X509_get0_notAfter(certificate)) - begin;
    const time_t start = begin + lifetime * 2 / 3;
    X509_free(certificate);
    reply_set(r, 200, "OK");
    if (!reply_header(r, "Content-Type", "application/json") ||
        !reply_header(r, "Retry-After", RETRY_AFTER) ||
        !renewal_info_encode(start, start + lifetime / 30 + 1, &r->body) ||
        !misbehave_window(ex, begin, begin + lifetime, &r->body))
        reply_text(r, 500, "Internal Server Error", "the window could not be encoded");
}
