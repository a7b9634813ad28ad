#include "est/est.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define URL_MAX    2048
#define LABEL_MAX  128
#define HOST_MAX   256
#define WELL_KNOWN "/.well-known/est"
#define HTTPS      "https://"

struct estuary_server {
    atomic_int references;
    int port;
    char *host;   /* normal form, no brackets */
    char *origin; /* "https://host:port", port only when it is not 443 */
    char *prefix; /* "" or "/path", no trailing '/' */
    char *url;    /* origin and prefix */
    char *label;  /* "" without one */
};

/* RFC 3986 3.3: what a path may hold literally; everything else must be percent-encoded */
static bool is_path_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~!$&'()*+,;=:@%/", c) != NULL);
}

static bool is_label_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~", c) != NULL);
}

static bool starts_with_nocase(const char *text, const char *prefix)
{
    size_t len = strlen(prefix);
    char start[16];
    if (len >= sizeof(start) || strlen(text) < len)
        return false;
    memcpy(start, text, len);
    start[len] = '\0';
    return est_text_equal_nocase(start, prefix);
}

/* Dot segments and empty ones would make the same place have several names; so does "%2e" for a dot. */
static bool is_clean_path(const char *path)
{
    for (const char *p = path; *p != '\0'; p++) {
        if (!is_path_char(*p))
            return false;
        if (*p == '%' && (strspn(p + 1, "0123456789abcdefABCDEF") < 2))
            return false;
        if (*p == '%' && p[1] == '2' && (p[2] == 'e' || p[2] == 'E'))
            return false;
        if (*p == '/' && (p[1] == '/' || (p[1] == '.' && (p[2] == '/' || p[2] == '\0')) ||
                          (p[1] == '.' && p[2] == '.' && (p[3] == '/' || p[3] == '\0'))))
            return false;
    }
    return true;
}

static bool parse_port(const char *text, int *port)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits] != '\0')
        return false;
    int value = 0;
    for (size_t i = 0; i < digits; i++)
        value = value * 10 + (text[i] - '0');
    *port = value;
    return value >= 1 && value <= 65535;
}

/* "host", "host:port", "[v6]:port" */
static bool parse_authority(const char *authority, char *host, size_t size, int *port)
{
    char raw[HOST_MAX];
    const char *end;
    bool is_ip = false, bracketed = authority[0] == '[';
    *port = 443;
    if (bracketed) {
        end = strchr(authority, ']');
        authority++;
    } else {
        end = authority + strcspn(authority, ":");
    }
    if (end == NULL || (size_t)(end - authority) >= sizeof(raw))
        return false;
    memcpy(raw, authority, (size_t)(end - authority));
    raw[end - authority] = '\0';
    if (bracketed)
        end++;
    if (*end == ':' && !parse_port(end + 1, port))
        return false;
    if (*end != ':' && *end != '\0')
        return false;
    if (!est_host_normalise(raw, host, size, &is_ip))
        return false;
    return bracketed == (strchr(host, ':') != NULL);
}

static char *format_origin(const char *host, int port)
{
    bool v6 = strchr(host, ':') != NULL;
    const char *open = v6 ? "[" : "", *close = v6 ? "]" : "";
    return port == 443 ? est_printf("https://%s%s%s", open, host, close)
                       : est_printf("https://%s%s%s:%d", open, host, close, port);
}

static estuary_status check_label(const char *label, estuary_error *err)
{
    size_t len = strlen(label);
    if (len == 0 || len > LABEL_MAX || strcmp(label, ".") == 0 || strcmp(label, "..") == 0)
        return est_fail(err, EST_USAGE_LABEL, NULL);
    for (size_t i = 0; i < len; i++) {
        if (!is_label_char(label[i]))
            return est_fail(err, EST_USAGE_LABEL,
                            "the label may hold letters, digits, '-', '.', '_' and '~' only (character %zu)",
                            i + 1);
    }
    if (est_operation_is_reserved(label))
        return est_fail(err, EST_USAGE_LABEL_OPERATION, NULL);
    return ESTUARY_OK;
}

/* Splits after "https://" into authority and path, and refuses what has no place in a server URL (T9). */
static estuary_status split(const char *url, char *authority, size_t size, const char **path,
                            estuary_error *err)
{
    if (strlen(url) > URL_MAX)
        return est_fail(err, EST_USAGE_URL, "the server URL is longer than %d bytes", URL_MAX);
    if (!starts_with_nocase(url, HTTPS))
        return est_fail(err, EST_USAGE_URL_HTTP, NULL);
    const char *rest = url + strlen(HTTPS);
    size_t len = strcspn(rest, "/?#");
    if (memchr(rest, '@', len) != NULL)
        return est_fail(err, EST_USAGE_URL_USERINFO, NULL);
    if (strpbrk(rest, "?#") != NULL)
        return est_fail(err, EST_USAGE_URL_QUERY, NULL);
    if (len == 0 || len >= size)
        return est_fail(err, EST_USAGE_URL, "the server URL names no host");
    memcpy(authority, rest, len);
    authority[len] = '\0';
    *path = rest + len;
    return ESTUARY_OK;
}

/* A pasted ".../.well-known/est" is the same place: the well-known path is built once. */
static size_t prefix_length(const char *path)
{
    size_t len = strlen(path), tail = strlen(WELL_KNOWN);
    while (len > 0 && path[len - 1] == '/')
        len--;
    if (len >= tail && strncmp(path + len - tail, WELL_KNOWN, tail) == 0)
        len -= tail;
    while (len > 0 && path[len - 1] == '/')
        len--;
    return len;
}

/* ".well-known/est/LABEL" pasted: the label would end up in the middle (RFC 7030 3.2.2). */
static bool holds_well_known(const char *prefix)
{
    const char *at = strstr(prefix, WELL_KNOWN);
    char after = at == NULL ? 'x' : at[strlen(WELL_KNOWN)];
    return after == '/' || after == '\0';
}

static estuary_status fill(estuary_server *server, const char *url, const char *label, estuary_error *err)
{
    char authority[HOST_MAX + 8], host[HOST_MAX];
    const char *path = NULL;
    estuary_status status = split(url, authority, sizeof(authority), &path, err);
    if (status != ESTUARY_OK)
        return status;
    if (!parse_authority(authority, host, sizeof(host), &server->port))
        return est_fail(err, EST_USAGE_URL, "the server URL's host or port is not valid");
    if (label != NULL && (status = check_label(label, err)) != ESTUARY_OK)
        return status;
    server->host = est_strdup(host);
    server->origin = format_origin(host, server->port);
    server->prefix = est_strndup(path, prefix_length(path));
    server->label = est_strdup(label == NULL ? "" : label);
    if (server->host == NULL || server->origin == NULL || server->prefix == NULL || server->label == NULL)
        return est_fail_memory(err);
    if (!is_clean_path(server->prefix))
        return est_fail(err, EST_USAGE_URL, "the server URL's path holds characters or segments it must not");
    if (holds_well_known(server->prefix))
        return est_fail(err, EST_USAGE_URL,
                        "the server URL goes on after /.well-known/est; a label is given apart from it");
    server->url = est_printf("%s%s", server->origin, server->prefix);
    return server->url == NULL ? est_fail_memory(err) : ESTUARY_OK;
}

estuary_status estuary_server_parse(const char *url, const char *label, estuary_server **out,
                                    estuary_error *err)
{
    *out = NULL;
    if (url == NULL)
        return est_fail(err, EST_USAGE_NO_SERVER, NULL);
    estuary_server *server = est_alloc(sizeof(*server));
    if (server == NULL)
        return est_fail_memory(err);
    atomic_init(&server->references, 1);
    estuary_status status = fill(server, url, label, err);
    if (status != ESTUARY_OK) {
        estuary_server_free(server);
        return status;
    }
    *out = server;
    return ESTUARY_OK;
}

estuary_server *estuary_server_up_ref(const estuary_server *server)
{
    estuary_server *shared = (estuary_server *)server; /* only the count changes */
    if (shared != NULL)
        atomic_fetch_add(&shared->references, 1);
    return shared;
}

void estuary_server_free(estuary_server *server)
{
    if (server == NULL || atomic_fetch_sub(&server->references, 1) != 1)
        return;
    est_free(server->host);
    est_free(server->origin);
    est_free(server->prefix);
    est_free(server->url);
    est_free(server->label);
    est_free(server);
}

const char *estuary_server_url(const estuary_server *server)
{
    return server->url;
}

const char *estuary_server_host(const estuary_server *server)
{
    return server->host;
}

int estuary_server_port(const estuary_server *server)
{
    return server->port;
}

const char *estuary_server_label(const estuary_server *server)
{
    return server->label;
}

bool est_server_equal(const estuary_server *a, const estuary_server *b)
{
    return strcmp(a->url, b->url) == 0 && strcmp(a->label, b->label) == 0;
}

/* RFC 7030 3.2.2 */
char *est_server_operation_url(const estuary_server *server, const char *operation_name)
{
    return est_printf("%s" WELL_KNOWN "%s%s/%s", server->url, server->label[0] == '\0' ? "" : "/",
                      server->label, operation_name);
}

/* An absolute redirect: only https, only our own host and port. */
static estuary_status check_origin(const estuary_server *server, const char *location, const char **path,
                                   estuary_error *err)
{
    char authority[HOST_MAX + 8], host[HOST_MAX];
    int port = 0;
    if (starts_with_nocase(location, "http://"))
        return est_fail(err, EST_TRUST_REDIRECT_HTTP, NULL);
    if (!starts_with_nocase(location, HTTPS))
        return est_fail(err, EST_PROTOCOL_REDIRECT, "the server redirects to something that is not https");
    const char *rest = location + strlen(HTTPS);
    size_t len = strcspn(rest, "/?#");
    if (len >= sizeof(authority))
        return est_fail(err, EST_PROTOCOL_REDIRECT, NULL);
    memcpy(authority, rest, len);
    authority[len] = '\0';
    if (strchr(authority, '@') != NULL)
        return est_fail(err, EST_PROTOCOL_REDIRECT, "the server's redirect contains a user name");
    if (!parse_authority(authority, host, sizeof(host), &port))
        return est_fail(err, EST_PROTOCOL_REDIRECT, "the server redirects to a host name that is not valid");
    if (strcmp(host, server->host) != 0 || port != server->port)
        return est_fail(err, EST_TRUST_REDIRECT_ORIGIN,
                        "the server redirects to another origin, %s port %d, which is refused", host, port);
    *path = rest + len;
    return ESTUARY_OK;
}

estuary_status est_server_resolve_redirect(const estuary_server *server, const char *current,
                                           const char *location, char **out, estuary_error *err)
{
    *out = NULL;
    const char *path = location;
    if (location == NULL || *location == '\0')
        return est_fail(err, EST_PROTOCOL_REDIRECT, NULL);
    if (strlen(location) > URL_MAX)
        return est_fail(err, EST_PROTOCOL_REDIRECT, "the server redirects to a URL that is too long");
    if (location[0] == '/' && location[1] == '/')
        return est_fail(err, EST_PROTOCOL_REDIRECT, "the server redirects without naming the scheme");
    if (strstr(location, "://") != NULL) {
        estuary_status status = check_origin(server, location, &path, err);
        if (status != ESTUARY_OK)
            return status;
    }
    const char *slash = strrchr(current, '/');
    size_t base = path[0] == '/' ? strlen(server->origin) : (size_t)(slash - current) + 1;
    if (path[0] == '\0' || slash == NULL)
        return est_fail(err, EST_PROTOCOL_REDIRECT, "the server redirects to no path");
    /* RFC 3986 4.2: a colon in the first segment is the end of a scheme's name, as in "mailto:" */
    if (path[strcspn(path, "/:")] == ':')
        return est_fail(err, EST_PROTOCOL_REDIRECT, "the server redirects to something that is not https");
    char *url = est_printf("%.*s%s", (int)base, current, path);
    if (url == NULL)
        return est_fail_memory(err);
    /* judged as a whole: "../x" is a dot segment only after what it is relative to */
    if (!is_clean_path(url + strlen(server->origin))) {
        est_free(url);
        return est_fail(err, EST_PROTOCOL_REDIRECT,
                        "the server redirects to a path with characters or segments it must not have");
    }
    *out = url;
    return ESTUARY_OK;
}
