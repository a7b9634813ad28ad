/* RFC 6125: who a certificate is for. */
#include "cert/cert.h"
#include "wire/wire.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define HOST_MAX  253
#define LABEL_MAX 63
#define HOST_SIZE 256

/*
 * RFC 6125 6.4.3: "*" alone, as the whole leftmost label; 6.4.4: we never fall back to the CN (T3).
 * OpenSSL's default already keeps a wildcard from matching more than one label.
 */
#define HOST_FLAGS (X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT)

static bool normalise_ip(const char *host, char *out, size_t size)
{
    char bare[HOST_SIZE];
    uint8_t address[16];
    size_t len = strlen(host);
    bool bracketed = host[0] == '[';
    if (bracketed && (len < 2 || host[len - 1] != ']'))
        return false;
    size_t skip = bracketed ? 1 : 0;
    memcpy(bare, host + skip, len - 2 * skip);
    bare[len - 2 * skip] = '\0';
    int family = strchr(bare, ':') != NULL ? AF_INET6 : AF_INET;
    if ((bracketed && family != AF_INET6) || size > INT32_MAX)
        return false;
    return inet_pton(family, bare, address) == 1 && inet_ntop(family, address, out, (socklen_t)size) != NULL;
}

static bool label_is_valid(const char *label, size_t len)
{
    if (len == 0 || len > LABEL_MAX || label[0] == '-' || label[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = label[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
    }
    return true;
}

/* A last label like "1" or "0x7f" would be taken for an IPv4 address by the resolver. */
static bool looks_numeric(const char *label)
{
    bool hex = label[0] == '0' && label[1] == 'x';
    return strspn(label, "0123456789") == strlen(label) ||
           (hex && strspn(label + 2, "0123456789abcdef") == strlen(label + 2));
}

static bool name_is_valid(const char *name)
{
    const char *label = name;
    for (const char *dot = strchr(label, '.'); dot != NULL; dot = strchr(label, '.')) {
        if (!label_is_valid(label, (size_t)(dot - label)))
            return false;
        label = dot + 1;
    }
    return label_is_valid(label, strlen(label)) && !looks_numeric(label);
}

bool est_host_normalise(const char *host, char *out, size_t size, bool *is_ip)
{
    char bare[HOST_SIZE], name[HOST_SIZE];
    bool ip = false;
    if (is_ip != NULL)
        *is_ip = false;
    size_t host_len = host == NULL ? 0 : strnlen(host, HOST_SIZE);
    if (host_len == 0 || host_len >= HOST_SIZE || size == 0)
        return false;
    ip = normalise_ip(host, out, size);
    if (ip || host[0] == '[' || strchr(host, ':') != NULL) {
        if (is_ip != NULL)
            *is_ip = ip;
        return ip;
    }
    /* the dot of a fully qualified name is no part of it (RFC 6125 knows none in a certificate) */
    size_t bare_len = host_len > 1 && host[host_len - 1] == '.' ? host_len - 1 : host_len;
    memcpy(bare, host, bare_len);
    bare[bare_len] = '\0';
    if (!est_host_to_ascii(bare, name, sizeof(name)))
        return false;
    size_t len = strlen(name);
    for (size_t i = 0; i < len; i++)
        name[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] - 'A' + 'a') : name[i];
    if (len > HOST_MAX || len >= size || !name_is_valid(name))
        return false;
    memcpy(out, name, len + 1);
    return true;
}

bool est_host_into_param(X509_VERIFY_PARAM *param, const char *host)
{
    char normal[HOST_SIZE];
    bool is_ip = false;
    X509_VERIFY_PARAM_set_hostflags(param, HOST_FLAGS);
    if (!est_host_normalise(host, normal, sizeof(normal), &is_ip))
        return false;
    if (is_ip)
        return X509_VERIFY_PARAM_set1_ip_asc(param, normal) == 1;
    return X509_VERIFY_PARAM_set1_host(param, normal, 0) == 1;
}

bool est_certificate_matches_host(X509 *certificate, const char *host)
{
    char normal[HOST_SIZE];
    bool is_ip = false;
    if (!est_host_normalise(host, normal, sizeof(normal), &is_ip))
        return false;
    ERR_set_mark();
    int matches = is_ip ? X509_check_ip_asc(certificate, normal, HOST_FLAGS)
                        : X509_check_host(certificate, normal, 0, HOST_FLAGS, NULL);
    ERR_pop_to_mark();
    return matches == 1;
}

static GENERAL_NAMES *san_of(const X509 *certificate)
{
    GENERAL_NAMES *names = NULL;
    ERR_set_mark();
    bool ok = est_certificate_san(certificate, &names);
    ERR_pop_to_mark();
    return ok ? names : NULL;
}

static bool is_host_name(const GENERAL_NAME *name)
{
    return name->type == GEN_DNS || name->type == GEN_IPADD;
}

bool est_certificate_has_host_names(const X509 *certificate)
{
    GENERAL_NAMES *names = san_of(certificate);
    bool found = false;
    for (int i = 0; !found && i < sk_GENERAL_NAME_num(names); i++)
        found = is_host_name(sk_GENERAL_NAME_value(names, i));
    GENERAL_NAMES_free(names);
    return found;
}

void est_certificate_host_list(const X509 *certificate, char *out, size_t size)
{
    enum { SHOWN = 6 };
    GENERAL_NAMES *names = san_of(certificate);
    est_buf list = {.max = 4096};
    int count = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (!is_host_name(name) || ++count > SHOWN)
            continue;
        char clean[96];
        char *text = est_general_name_text(name);
        est_text_sanitise(text == NULL ? "?" : text, text == NULL ? 1 : strlen(text), clean, sizeof(clean));
        est_free(text);
        if (count > 1)
            (void)est_buf_append(&list, ", ", 2);
        (void)est_buf_append(&list, clean, strlen(clean)); /* a shorter list is still true */
    }
    if (list.len == 0)
        (void)est_buf_append(&list, "no host", 7);
    snprintf(out, size, "%s", list.data == NULL ? "" : (const char *)list.data);
    size_t used = strlen(out);
    if (count > SHOWN && used < size)
        snprintf(out + used, size - used, " and %d more", count - SHOWN);
    est_buf_free(&list);
    GENERAL_NAMES_free(names);
}
