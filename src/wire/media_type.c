#include "wire/wire.h"

#include <string.h>

/* RFC 9110 5.6.2 */
static bool is_token(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static const char *skip_blanks(const char *p)
{
    while (*p == ' ' || *p == '\t')
        p++;
    return p;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Copies a token in lower case, cut to size: nothing that matters here is as long. NULL when it is empty. */
static const char *take_token(const char *p, char *out, size_t size)
{
    size_t used = 0;
    for (; is_token(*p); p++) {
        if (used + 1 < size)
            out[used++] = lower(*p);
    }
    out[used] = '\0';
    return used == 0 ? NULL : p;
}

/* RFC 9110 5.6.4; upper and lower case stay */
static const char *take_quoted(const char *p, char *out, size_t size)
{
    size_t used = 0;
    for (p++; *p != '"'; p++) {
        if (*p == '\\')
            p++;
        if (*p == '\0')
            return NULL;
        if (used + 1 < size)
            out[used++] = *p;
    }
    out[used] = '\0';
    return p + 1;
}

static const char *take_plain(const char *p, char *out, size_t size)
{
    const char *start = p;
    size_t used = 0;
    for (; is_token(*p); p++) {
        if (used + 1 < size)
            out[used++] = *p;
    }
    out[used] = '\0';
    return p == start ? NULL : p;
}

/* What is longer than `size` is cut: none we know is as long, and it must not read as absent. */
static void keep(const char *value, char *out, size_t size, bool in_lower_case)
{
    size_t used = 0;
    for (; value[used] != '\0' && used + 1 < size; used++)
        out[used] = in_lower_case ? lower(value[used]) : value[used];
    out[used] = '\0';
}

static const char *take_parameter(const char *p, est_media_type *out)
{
    char name[32], value[80];
    p = skip_blanks(p);
    if (*p == '\0' || *p == ';')
        return p; /* RFC 9110 5.6.6 allows empty ones */
    p = take_token(p, name, sizeof(name));
    if (p == NULL || *p++ != '=')
        return NULL;
    p = *p == '"' ? take_quoted(p, value, sizeof(value)) : take_plain(p, value, sizeof(value));
    if (p == NULL)
        return NULL;
    if (strcmp(name, "smime-type") == 0)
        keep(value, out->smime_type, sizeof(out->smime_type), true);
    else if (strcmp(name, "boundary") == 0)
        keep(value, out->boundary, sizeof(out->boundary), false);
    return skip_blanks(p);
}

bool est_media_type_parse(const char *value, est_media_type *out)
{
    memset(out, 0, sizeof(*out));
    char subtype[64];
    const char *p = take_token(skip_blanks(value), out->type, sizeof(out->type));
    if (p == NULL || *p++ != '/')
        return false;
    p = take_token(p, subtype, sizeof(subtype));
    if (p == NULL || strlen(out->type) + 1 + strlen(subtype) >= sizeof(out->type))
        return false;
    size_t used = strlen(out->type);
    out->type[used] = '/';
    memcpy(out->type + used + 1, subtype, strlen(subtype) + 1);
    p = skip_blanks(p);
    while (p != NULL && *p == ';')
        p = take_parameter(p + 1, out);
    return p != NULL && *p == '\0';
}
