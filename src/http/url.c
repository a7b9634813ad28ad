/* URLs out of certificates and redirects: somebody else wrote them (R0). */
#include "http/transfer.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

/* RFC 3927 */
static bool is_link_local_v4(const uint8_t bytes[4])
{
    return bytes[0] == 0xa9 && bytes[1] == 0xfe;
}

/* RFC 6052 2.2: where the IPv4 address stands behind a prefix of 48, 56, 64 or 96 bits; byte 8 is passed
 * over. */
static bool translates_to_link_local(const uint8_t bytes[16])
{
    static const uint8_t places[][4] = {{6, 7, 9, 10}, {7, 9, 10, 11}, {9, 10, 11, 12}, {12, 13, 14, 15}};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        const uint8_t *at = places[i];
        if (is_link_local_v4((const uint8_t[]){bytes[at[0]], bytes[at[1]], bytes[at[2]], bytes[at[3]]}))
            return true;
    }
    return false;
}

/*
 * A translator or a tunnel's end takes what stands inside for the IPv4 address to send to: RFC 4291 2.5.5
 * (compatible, mapped), RFC 2765 2.1 (translated), RFC 6052 2.1 and RFC 8215 (NAT64), RFC 3056 2 (6to4),
 * RFC 4380 4 (Teredo: the server's, and the client's with its bits inverted), RFC 5214 6.1 (ISATAP).
 */
static bool holds_link_local_v4(const uint8_t bytes[16])
{
    static const uint8_t compatible[12] = {0};
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    static const uint8_t translated[12] = {[8] = 0xff, [9] = 0xff};
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    static const uint8_t local_nat64[6] = {0x00, 0x64, 0xff, 0x9b, 0x00, 0x01};
    static const uint8_t teredo[4] = {0x20, 0x01, 0x00, 0x00};
    static const uint8_t isatap[3] = {0x00, 0x5e, 0xfe};
    if (memcmp(bytes, compatible, 12) == 0 || memcmp(bytes, mapped, 12) == 0 ||
        memcmp(bytes, translated, 12) == 0 || memcmp(bytes, nat64, 12) == 0 ||
        ((bytes[8] & 0xfc) == 0 && memcmp(bytes + 9, isatap, 3) == 0))
        return is_link_local_v4(bytes + 12);
    if (memcmp(bytes, local_nat64, sizeof(local_nat64)) == 0)
        return translates_to_link_local(bytes);
    if (bytes[0] == 0x20 && bytes[1] == 0x02)
        return is_link_local_v4(bytes + 2);
    if (memcmp(bytes, teredo, sizeof(teredo)) == 0)
        return is_link_local_v4(bytes + 4) ||
               is_link_local_v4((const uint8_t[]){bytes[12] ^ 0xff, bytes[13] ^ 0xff, 0, 0});
    return false;
}

/* RFC 3927, RFC 4291 2.5.6; an IPv4 address may stand inside of an IPv6 one (R0). */
static bool is_link_local(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
        return is_link_local_v4((const uint8_t *)&v4->sin_addr.s_addr);
    }
    if (address->sa_family != AF_INET6)
        return false;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
    return IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr) || holds_link_local_v4(v6->sin6_addr.s6_addr);
}

/* Whatever a name resolves to is seen here. Cloud machines hand out credentials at such addresses. */
curl_socket_t est_http_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    est_http *http = arg;
    (void)purpose;
    if (is_link_local(&address->addr)) {
        (void)est_fail(http->failure, EST_NETWORK_LINK_LOCAL, NULL);
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static CURLU *parse(const char *url)
{
    CURLU *parsed = curl_url();
    if (parsed != NULL && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK)
        return parsed;
    curl_url_cleanup(parsed);
    return NULL;
}

/* The part, or NULL when it has none; freed with curl_free(). */
static char *part(const CURLU *parsed, CURLUPart which)
{
    char *text = NULL;
    return curl_url_get((CURLU *)parsed, which, &text, 0) == CURLUE_OK ? text : NULL;
}

static bool has(const CURLU *parsed, CURLUPart which)
{
    char *text = part(parsed, which);
    curl_free(text);
    return text != NULL;
}

static bool host_of(const CURLU *parsed, char *out, size_t size)
{
    char *host = part(parsed, CURLUPART_HOST);
    size_t len = host == NULL ? 0 : strlen(host);
    bool bracketed = len > 2 && host[0] == '[' && host[len - 1] == ']';
    size_t from = bracketed ? 1 : 0, count = bracketed ? len - 2 : len;
    bool ok = count > 0 && count < size;
    if (ok) {
        memcpy(out, host + from, count);
        out[count] = '\0';
    }
    curl_free(host);
    return ok;
}

static bool scheme_is(const CURLU *parsed, const char *wanted)
{
    char *scheme = part(parsed, CURLUPART_SCHEME);
    bool same = scheme != NULL && est_text_equal_nocase(scheme, wanted);
    curl_free(scheme);
    return same;
}

/* inet_aton() takes what resolvers take: octal, hexadecimal, fewer parts. A proxy resolves for itself. */
static bool is_link_local_literal(char *host)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    size_t len = strlen(host);
    if (len > 1 && host[len - 1] == '.')
        host[len - 1] = '\0';
    if (inet_aton(host, &v4.sin_addr) == 1)
        return is_link_local((const struct sockaddr *)&v4);
    return inet_pton(AF_INET6, host, &v6.sin6_addr) == 1 && is_link_local((const struct sockaddr *)&v6);
}

static const char *refusal_of(const CURLU *parsed)
{
    char host[256];
    if (!scheme_is(parsed, "http") && !scheme_is(parsed, "https"))
        return "it is neither http nor https";
    if (!host_of(parsed, host, sizeof(host)))
        return "it names no host";
    if (has(parsed, CURLUPART_USER) || has(parsed, CURLUPART_PASSWORD))
        return "it holds a user name";
    if (has(parsed, CURLUPART_FRAGMENT))
        return "it holds a fragment";
    if (has(parsed, CURLUPART_ZONEID) || is_link_local_literal(host))
        return "its address is link-local";
    return NULL;
}

/* RFC 3986 3.2: libcurl takes one slash and three for two. */
static bool has_authority(const char *url)
{
    const char *colon = strchr(url, ':');
    return colon != NULL && strncmp(colon, "://", 3) == 0 && colon[3] != '/';
}

const char *est_http_url_refusal(const char *url)
{
    size_t len = strlen(url);
    if (len == 0 || len > EST_HTTP_URL_MAX)
        return "its length is out of bounds";
    for (size_t i = 0; i < len; i++) {
        if (url[i] <= ' ' || url[i] > '~')
            return "it holds bytes that no URL may have";
    }
    CURLU *parsed = parse(url);
    const char *refusal = parsed == NULL ? "it cannot be read" : refusal_of(parsed);
    curl_url_cleanup(parsed);
    if (refusal == NULL && !has_authority(url))
        refusal = "it names no host";
    return refusal;
}

bool est_http_url_host(const char *url, char *out, size_t size)
{
    CURLU *parsed = parse(url);
    bool ok = parsed != NULL && host_of(parsed, out, size);
    curl_url_cleanup(parsed);
    return ok;
}

bool est_http_url_is_https(const char *url)
{
    CURLU *parsed = parse(url);
    bool is = parsed != NULL && scheme_is(parsed, "https");
    curl_url_cleanup(parsed);
    return is;
}

char *est_http_url_resolve(const char *base, const char *location)
{
    CURLU *parsed = parse(base);
    char *text = NULL;
    if (parsed != NULL && curl_url_set(parsed, CURLUPART_URL, location, 0) == CURLUE_OK)
        text = part(parsed, CURLUPART_URL);
    char *out = est_strdup(text);
    curl_free(text);
    curl_url_cleanup(parsed);
    return out;
}
