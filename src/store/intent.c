/* A key in hardware that is about to be made or destroyed, written down first (E7): DIR.pending without a
 * state. */
#include "store/room.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

estuary_status estuary_store_save_key_intent(estuary_store *store, const char *uri, estuary_error *err)
{
    if (store == NULL || uri == NULL)
        return est_fail(err, EST_USAGE, "a key that is written down has a URI");
    estuary_status status = estuary_store_set_key_uri(store, uri, err);
    if (status != ESTUARY_OK)
        return status;
    const est_store_file files[2] = {{"key.uri", store->key_uri, strlen(store->key_uri), 0600, NULL}};
    const est_generation pending = {store->parent,           store->pending, store->fresh_pending,
                                    est_store_pending_names, 0700,           .outlasts_power = true};
    store->key_is_pending = false;
    return est_generation_replace(&pending, files, err);
}

estuary_status estuary_store_key_intent(estuary_store *store, char **uri, estuary_error *err)
{
    struct stat info;
    *uri = NULL;
    if (store == NULL)
        return est_fail(err, EST_USAGE, "there is no store");
    int dir = openat(store->parent, store->pending, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0) /* other troubles are those of who reads the request */
        return ESTUARY_OK;
    bool request = fstatat(dir, "state.json", &info, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
    close(dir);
    return request ? ESTUARY_OK : estuary_store_pending_key_uri(store, uri, err);
}
