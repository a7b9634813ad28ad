#include "store/store.h"

#include <string.h>

/* Room for ".pending.new-XXXXXX" behind it. */
#define NAME_LONGEST (NAME_MAX - 24)

static bool is_usable(const char *name, size_t len)
{
    if (len == 0 || len > NAME_LONGEST || (len == 1 && name[0] == '.') ||
        (len == 2 && name[0] == '.' && name[1] == '.'))
        return false;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return false;
    }
    return true;
}

estuary_status est_store_split(const char *path, char **parent, char **name, estuary_error *err)
{
    *parent = NULL;
    *name = NULL;
    size_t len = path == NULL ? 0 : strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    size_t start = len;
    while (start > 0 && path[start - 1] != '/')
        start--;
    if (len == 0 || !is_usable(path + start, len - start))
        return est_fail(err, EST_USAGE, "the output path needs a name of its own, of at most %d bytes",
                        NAME_LONGEST);
    *parent = start == 0 ? est_strdup(".") : est_strndup(path, start);
    *name = est_strndup(path + start, len - start);
    if (*parent == NULL || *name == NULL) {
        est_free(*parent);
        est_free(*name);
        *parent = NULL;
        *name = NULL;
        return est_fail_memory(err);
    }
    return ESTUARY_OK;
}
