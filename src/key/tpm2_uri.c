/* tpm2:PATH, and tpm2:PATH?parent=0x81… for a key to be made. */
#include "key/tpm2.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool est_tpm2_is_handle(const char *text)
{
    static const char start[] = "0x81";
    return strncasecmp(text, start, sizeof(start) - 1) == 0 && strlen(text) == sizeof(start) - 1 + 6 &&
           strspn(text + sizeof(start) - 1, "0123456789abcdefABCDEF") == 6;
}

estuary_status est_tpm2_uri_parse(const char *uri, char **path, uint32_t *parent, estuary_error *err)
{
    static const char attribute[] = "parent=";
    const char *start = uri + strlen("tpm2:");
    const char *query = strchr(start, '?');
    size_t len = query == NULL ? strlen(start) : (size_t)(query - start);
    *path = NULL;
    *parent = 0;
    if (query != NULL) {
        if (strncmp(query + 1, attribute, sizeof(attribute) - 1) != 0 ||
            !est_tpm2_is_handle(query + sizeof(attribute)))
            return est_fail(err, EST_USAGE,
                            "after tpm2:PATH only ?parent=0x81 and six more hex digits may follow");
        *parent = (uint32_t)strtoul(query + sizeof(attribute), NULL, 16);
    }
    *path = est_strndup(start, len);
    return *path == NULL ? est_fail_memory(err) : ESTUARY_OK;
}

estuary_status est_tpm2_uri_path(const char *uri, char **path, estuary_error *err)
{
    uint32_t parent = 0;
    return est_tpm2_uri_parse(uri, path, &parent, err);
}
