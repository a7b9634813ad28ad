/* What may be given to a server or proxy as credentials, and what a proxy is. */
#include "http/http.h"

#include <stdlib.h>
#include <string.h>

#define USER_MAX 1024

bool est_http_is_user_name(const char *user)
{
    size_t len = strlen(user);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)user[i] < 0x20 || user[i] == 0x7f || user[i] == ':')
            return false;
    }
    return len > 0 && len <= USER_MAX;
}

/* RFC 7617 2: no control characters, NUL among them */
bool est_http_is_password(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    }
    return true;
}

static bool is_proxy_url(const char *url)
{
    static const char *const schemes[] = {"http://", "socks5://", "socks5h://"};
    const char *rest = NULL;
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (strncmp(url, schemes[i], strlen(schemes[i])) == 0)
            rest = url + strlen(schemes[i]);
    }
    if (rest == NULL || strlen(rest) > 300 || rest[0] == ':' || rest[0] == '\0')
        return false;
    const char *port = strrchr(rest, ':');
    if (port == NULL || port[1] == '\0' || strspn(port + 1, "0123456789") != strlen(port + 1) ||
        strlen(port) > 6 || strtol(port + 1, NULL, 10) < 1 || strtol(port + 1, NULL, 10) > 65535)
        return false;
    return strspn(rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]") ==
           strlen(rest);
}

estuary_status est_http_check_proxy(const char *url, const char *user, const estuary_secret *password,
                                    estuary_error *err)
{
    size_t len = 0;
    if (!is_proxy_url(url))
        return est_fail(err, EST_USAGE_PROXY, NULL); /* not repeated: it may hold a password */
    if (user != NULL && !est_http_is_user_name(user))
        return est_fail(err, EST_USAGE_PROXY,
                        "the proxy's user name must have no colons or control characters");
    const char *secret = estuary_secret_get0(password, &len);
    if (!est_http_is_password(secret, len))
        return est_fail(err, EST_USAGE_PROXY, "the proxy's password must have no control characters");
    return ESTUARY_OK;
}
