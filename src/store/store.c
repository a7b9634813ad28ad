#include "store/room.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define WRITABLE_BY_OTHERS (S_IWGRP | S_IWOTH)
#define OPEN_TO_OTHERS     (S_IRWXG | S_IRWXO)

static estuary_status open_parent(estuary_store *store, const char *path, estuary_error *err)
{
    struct stat info;
    store->parent = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->parent < 0 || fstat(store->parent, &info) != 0)
        return est_fail_errno(err, EST_CONFIG_STORE_PARENT, "the folder that shall hold %s cannot be opened",
                              store->name);
    /* where everybody may write but only rename what is theirs (as in /tmp), our folders are safe */
    if (!est_store_is_ours(&info, (info.st_mode & S_ISVTX) != 0 ? 0 : WRITABLE_BY_OTHERS))
        return est_fail(err, EST_CONFIG_STORE_PARENT,
                        "the folder that shall hold %s belongs to or can be written by others", store->name);
    return ESTUARY_OK;
}

/* A folder of ours with nothing foreign in it, or none at all. */
static estuary_status check_folder(int parent, const char *name, const char *const *names, mode_t forbidden,
                                   estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    char foreign[EST_STORE_NAME_SIZE];
    struct stat info;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return ESTUARY_OK;
    if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
        return est_fail(err, EST_CONFIG_STORE_UNSAFE, "%s is a link or no folder", name);
    if (fd < 0 || fstat(fd, &info) != 0)
        EST_FAIL_ERRNO(EST_CONFIG_STORE_UNSAFE, "the folder %s cannot be opened", name);
    if (!est_store_is_ours(&info, forbidden))
        EST_FAIL(EST_CONFIG_STORE_UNSAFE, "the folder %s belongs to or is open to others", name);
    if (!est_store_only_ours(fd, names, foreign)) {
        if (foreign[0] == '\0')
            EST_FAIL_ERRNO(EST_CONFIG_STORE_UNSAFE, "the folder %s cannot be read", name);
        EST_FAIL(EST_CONFIG_STORE_FOREIGN, "the folder %s holds %s, which is not ours", name, foreign);
    }
cleanup:
    if (fd >= 0)
        close(fd);
    return status;
}

static estuary_status name_all(estuary_store *store, const char *dir, estuary_error *err)
{
    estuary_status status = est_store_split(dir, &store->folder, &store->name, err);
    if (status != ESTUARY_OK)
        return status;
    store->lock_name = est_printf("%s.lock", store->name);
    store->pending = est_printf("%s.pending", store->name);
    return store->lock_name == NULL || store->pending == NULL ? est_fail_memory(err) : ESTUARY_OK;
}

static estuary_status open_locked(estuary_store *store, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    EST_TRY(check_folder(store->parent, store->name, est_store_generation_names, WRITABLE_BY_OTHERS, err));
    EST_TRY(check_folder(store->parent, store->pending, est_store_pending_names, OPEN_TO_OTHERS, err));
    const est_store_prefix left[] = {
        {store->name, est_store_generation_names}, {store->pending, est_store_pending_names}, {NULL, NULL}};
    est_store_remove_leftovers(store->parent, left);
    EST_TRY(est_generation_prepare(store->parent, store->name, store->fresh, store->pending,
                                   store->fresh_pending, err));
    EST_TRY(est_pending_finish(store, err));
cleanup:
    return status;
}

estuary_status estuary_store_open(const char *dir, estuary_store **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    *out = NULL;
    estuary_store *store = est_alloc(sizeof(*store));
    if (store == NULL)
        return est_fail_memory(err);
    store->parent = -1;
    store->lock = -1;
    EST_TRY(name_all(store, dir, err));
    EST_TRY(open_parent(store, store->folder, err));
    EST_TRY(est_store_lock(store->parent, store->lock_name, &store->lock, err));
    EST_TRY(open_locked(store, err));
    *out = store;
    store = NULL;
cleanup:
    estuary_store_free(store);
    return status;
}

static void remove_empty(int parent, const char *fresh)
{
    if (fresh[0] != '\0')
        (void)est_store_unlinkat(parent, fresh, AT_REMOVEDIR);
}

void estuary_store_free(estuary_store *store)
{
    if (store == NULL)
        return;
    if (store->parent >= 0) {
        remove_empty(store->parent, store->fresh);
        remove_empty(store->parent, store->fresh_pending);
        est_store_unlock(store->parent, store->lock_name, store->lock);
        close(store->parent);
    }
    est_free(store->folder);
    est_free(store->name);
    est_free(store->lock_name);
    est_free(store->pending);
    est_free(store->key_uri);
    estuary_secret_free(store->key_pem);
    EVP_PKEY_free(store->written_key);
    est_free(store);
}

estuary_status estuary_store_set_key_uri(estuary_store *store, const char *uri, estuary_error *err)
{
    char *copy = NULL;
    if (store == NULL || (uri != NULL && (*uri == '\0' || strchr(uri, '\n') != NULL)))
        return est_fail(err, EST_USAGE, "a key URI is one line of text");
    if (uri != NULL) {
        copy = est_printf("%s\n", uri);
        if (copy == NULL)
            return est_fail_memory(err);
    }
    est_free(store->key_uri);
    store->key_uri = copy;
    return ESTUARY_OK;
}
