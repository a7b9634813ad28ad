/* Writing to an evbuffer fails only for want of memory; then a line is short and its reader says so. */
#include "lab.h"

#include <event2/buffer.h>

static void quoted(struct evbuffer *out, const char *text)
{
    (void)evbuffer_add(out, "\"", 1);
    for (const char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\')
            (void)evbuffer_add_printf(out, "\\%c", c);
        else if (c < 0x20 || c >= 0x7f) /* a byte, not a character: the log stays ASCII whatever was sent */
            (void)evbuffer_add_printf(out, "\\u%04x", (unsigned)c);
        else
            (void)evbuffer_add(out, p, 1);
    }
    (void)evbuffer_add(out, "\"", 1);
}

static void member(struct evbuffer *out, const char *name)
{
    (void)evbuffer_add_printf(out, "%s\"%s\":", evbuffer_get_length(out) == 0 ? "{" : ",", name);
}

void json_string(struct evbuffer *out, const char *name, const char *value)
{
    member(out, name);
    if (value == NULL)
        (void)evbuffer_add_printf(out, "null");
    else
        quoted(out, value);
}

void json_number(struct evbuffer *out, const char *name, long long value)
{
    member(out, name);
    (void)evbuffer_add_printf(out, "%lld", value);
}

void json_bool(struct evbuffer *out, const char *name, bool value)
{
    member(out, name);
    (void)evbuffer_add_printf(out, "%s", value ? "true" : "false");
}
