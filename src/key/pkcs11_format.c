#include "key/pkcs11.h"

#include <string.h>

#define FORMAT_MAX 8192

/* RFC 7512 2.3: what need not be escaped in a path attribute, and a little less than that. */
static bool is_plain(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~", c) != NULL);
}

static bool add(est_buf *out, const char *text)
{
    return est_buf_append(out, text, strlen(text)) == EST_APPEND_OK;
}

static bool add_escaped(est_buf *out, const char *name, const uint8_t *value, size_t len, const char *also)
{
    static const char digits[] = "0123456789ABCDEF";
    bool ok =
        len == 0 || (add(out, out->len > strlen("pkcs11:") && *also == '\0' ? ";" : "") && add(out, name));
    for (size_t i = 0; ok && i < len; i++) {
        char text[4] = {'%', digits[value[i] >> 4], digits[value[i] & 15], '\0'};
        if (is_plain(value[i]) || (value[i] != '\0' && strchr(also, value[i]) != NULL)) {
            text[0] = (char)value[i];
            text[1] = '\0';
        }
        ok = add(out, text);
    }
    return ok;
}

estuary_status est_p11_uri_format(const est_p11_token *token, const est_p11_name *name,
                                  const char *module_path, char **out, estuary_error *err)
{
    est_buf text = {.max = FORMAT_MAX};
    const CK_TOKEN_INFO *info = &token->info;
    size_t label = est_p11_trim(info->label, sizeof(info->label));
    size_t serial = est_p11_trim(info->serialNumber, sizeof(info->serialNumber));
    bool ok = add(&text, "pkcs11:") && add_escaped(&text, "token=", info->label, label, "") &&
              add_escaped(&text, "serial=", info->serialNumber, serial, "") &&
              add_escaped(&text, "object=", name->label, name->label_len, "") &&
              add_escaped(&text, "id=", name->id, name->id_len, "") && add(&text, ";type=private");
    if (ok && module_path != NULL)
        ok = add(&text, "?") &&
             add_escaped(&text, "module-path=", (const uint8_t *)module_path, strlen(module_path), "/");
    *out = ok ? est_strdup((const char *)text.data) : NULL;
    est_buf_free(&text);
    return *out == NULL ? est_fail_memory(err) : ESTUARY_OK;
}

void est_p11_hex(const uint8_t *bytes, size_t len, char out[2 * EST_P11_NAME_MAX + 1])
{
    est_hex_write(bytes, len < EST_P11_NAME_MAX ? len : EST_P11_NAME_MAX, out);
}
