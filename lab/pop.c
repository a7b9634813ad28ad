/* Identity and proof of possession linked by the TLS session. RFC 7030 3.5, RFC 5929 3, RFC 9266 */
#include "lab.h"

#include <openssl/crypto.h>
#include <string.h>

#define MAX_BINDING EVP_MAX_MD_SIZE

/* RFC 5929 3.1: the first Finished message of the handshake, seen from the server. A full handshake begins
 * with the client's, a resumed one with ours. Only the extended master secret ties it to this session. */
static size_t tls_unique(SSL *ssl, unsigned char *out)
{
    if (SSL_get_extms_support(ssl) != 1)
        return 0;
    size_t len = SSL_session_reused(ssl) == 1 ? SSL_get_finished(ssl, out, MAX_BINDING)
                                              : SSL_get_peer_finished(ssl, out, MAX_BINDING);
    return len > MAX_BINDING ? 0 : len;
}

/* RFC 9266 2 */
static size_t tls_exporter(SSL *ssl, unsigned char *out)
{
    static const char label[] = "EXPORTER-Channel-Binding";
    return SSL_export_keying_material(ssl, out, 32, label, sizeof label - 1, NULL, 0, 1) == 1 ? 32 : 0;
}

/* What challengePassword must say in this session: base64 on one line. */
static const char *expected_binding(SSL *ssl, struct bytes *text)
{
    unsigned char raw[MAX_BINDING];
    const bool exporter = SSL_version(ssl) == TLS1_3_VERSION;
    const size_t len = exporter ? tls_exporter(ssl, raw) : tls_unique(ssl, raw);
    const struct bytes binding = {.data = raw, .len = len};
    const bool ok = len > 0 && base64_encode(&binding, 0, "", text);
    OPENSSL_cleanse(raw, sizeof raw);
    if (!ok)
        return NULL;
    return exporter ? "tls-exporter" : "tls-unique";
}

/* The attribute's only value, a DirectoryString. RFC 2985 5.4.1 */
static const ASN1_STRING *challenge_password(const X509_REQ *csr)
{
    const int at = X509_REQ_get_attr_by_NID(csr, NID_pkcs9_challengePassword, -1);
    X509_ATTRIBUTE *attribute = at < 0 ? NULL : X509_REQ_get_attr(csr, at);
    const ASN1_TYPE *value =
        X509_ATTRIBUTE_count(attribute) == 1 ? X509_ATTRIBUTE_get0_type(attribute, 0) : NULL;
    if (value == NULL)
        return NULL;
    switch (ASN1_TYPE_get(value)) {
    case V_ASN1_PRINTABLESTRING:
    case V_ASN1_UTF8STRING:
    case V_ASN1_T61STRING:
        return value->value.asn1_string;
    default:
        return NULL;
    }
}

static bool carries_challenge(const X509_REQ *csr)
{
    return X509_REQ_get_attr_by_NID(csr, NID_pkcs9_challengePassword, -1) >= 0;
}

static bool same(const ASN1_STRING *said, const struct bytes *expected)
{
    return said != NULL && (size_t)ASN1_STRING_length(said) == expected->len &&
           CRYPTO_memcmp(ASN1_STRING_get0_data(said), expected->data, expected->len) == 0;
}

static bool refuse(struct exchange *ex, const char *verdict, const char *why)
{
    ex->pop = verdict;
    reply_text(&ex->reply, 400, "Bad Request", why);
    return false;
}

/* RFC 7030 3.5: what is there MUST be verified; what is absent is refused where policy wants it. */
bool pop_check(struct exchange *ex)
{
    struct bytes expected = {0};
    bool ok = true;
    const char *kind = expected_binding(ex->ssl, &expected);
    if (!carries_challenge(ex->csr)) {
        ex->pop = "missing";
        if (ex->lab->options.require_pop)
            ok = refuse(ex, "missing",
                        "the request must link identity and proof of possession: a challengePassword with "
                        "the channel binding of this TLS session is missing");
    } else if (kind == NULL) {
        ok = refuse(ex, "wrong",
                    "this TLS session has no channel binding (TLS 1.2 without extended master secret), so "
                    "the request's challengePassword cannot be right");
    } else if (same(challenge_password(ex->csr), &expected)) {
        ex->pop = kind;
    } else {
        ok = refuse(ex, "wrong",
                    "the request's challengePassword is not the channel binding of this TLS session: "
                    "identity and proof of possession are not linked");
    }
    bytes_clear(&expected);
    return ok;
}

/* RFC 7030 4.5.2 as of RFC 8951 5: a server that wants the binding MUST ask for challengePassword. */
bool pop_ask(const struct bytes *asked, struct bytes *out)
{
    static const unsigned char oid[] = {6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 7};
    struct bytes list = {0};
    size_t header = 0;
    size_t total = 0;
    bool ok = false;
    const bool there = asked->len > 0 && memmem(asked->data, asked->len, oid, sizeof oid) != NULL;
    /* A broken list is somebody's experiment: it goes out as it is. */
    if (there ||
        (asked->len > 0 && (asked->data[0] != 0x30 ||
                            !der_element(asked->data, asked->len, &header, &total) || total != asked->len)))
        return bytes_set(out, asked->data, asked->len);
    ok = bytes_append(&list, oid, sizeof oid) &&
         (asked->len == 0 || bytes_append(&list, asked->data + header, total - header)) &&
         der_wrap(0x30, &list, out);
    bytes_clear(&list);
    return ok;
}
