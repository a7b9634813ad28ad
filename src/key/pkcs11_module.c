/* Modules, by path or as p11-kit is configured. p11-kit counts who initialised one, so that we disturb
 * nobody. */
#include "key/pkcs11.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/stat.h>

static bool is_safe(const struct stat *info)
{
    bool ours = info->st_uid == 0 || info->st_uid == geteuid();
    bool open = (info->st_mode & (S_IWGRP | S_IWOTH)) != 0;
    /* in a sticky folder only the owner replaces a file */
    return ours && (!open || (S_ISDIR(info->st_mode) && (info->st_mode & S_ISVTX) != 0));
}

/* The folder that holds the file; whoever may write there may put another file in its place. */
static bool folder_is_safe(const char *path)
{
    struct stat info;
    const char *slash = strrchr(path, '/');
    char *folder = slash == path ? est_strdup("/") : est_strndup(path, (size_t)(slash - path));
    bool safe = folder != NULL && stat(folder, &info) == 0 && is_safe(&info);
    est_free(folder);
    return safe;
}

/*
 * K2: what is loaded runs with our rights, so no one else may be able to replace it. On the path, since a
 * module is loaded by its path: who could change it in between could have changed it before.
 */
static estuary_status check_path(const char *path, estuary_error *err)
{
    struct stat info;
    if (*path != '/')
        return est_fail(err, EST_CONFIG_MODULE_PATH, "the module-path is not absolute");
    if (stat(path, &info) != 0)
        return est_fail_errno(err, EST_CONFIG_MODULE_PATH, "the PKCS#11 module %s cannot be opened", path);
    if (!S_ISREG(info.st_mode))
        return est_fail(err, EST_CONFIG_MODULE_PATH, "the PKCS#11 module %s is not a file", path);
    if (!is_safe(&info) || !folder_is_safe(path))
        return est_fail(err, EST_CONFIG_MODULE_PATH, "the PKCS#11 module %s can be replaced by others", path);
    return ESTUARY_OK;
}

/*
 * p11-kit stands between a managed module's table and us, and calls what it keeps an eye on (sessions)
 * without looking: a module that lacks these is found before.
 */
static bool is_whole(void *library)
{
    CK_C_GetFunctionList get = NULL;
    CK_FUNCTION_LIST *calls = NULL;
    void *address = library == NULL ? NULL : dlsym(library, "C_GetFunctionList");
    memcpy(&get, &address, sizeof(address));
    if (get == NULL || get(&calls) != CKR_OK || calls == NULL)
        return library == NULL; /* p11-kit says what is wrong with it */
    return calls->C_Initialize != NULL && calls->C_Finalize != NULL && calls->C_OpenSession != NULL &&
           calls->C_CloseSession != NULL && calls->C_CloseAllSessions != NULL && calls->C_Login != NULL &&
           calls->C_Logout != NULL;
}

static estuary_status open_one(const est_p11_kit *kit, const char *path, est_p11_modules *modules,
                               estuary_error *err)
{
    estuary_status status = check_path(path, err);
    if (status != ESTUARY_OK)
        return status;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    bool whole = is_whole(library);
    CK_FUNCTION_LIST *module = whole ? kit->module_load(path, P11_KIT_MODULE_CRITICAL) : NULL;
    if (library != NULL)
        (void)dlclose(library); /* p11-kit holds it, too, by now */
    if (!whole)
        return est_fail(err, EST_KEY_TOKEN, "the PKCS#11 module lacks functions it must have");
    if (module == NULL)
        return est_fail(err, EST_CONFIG_MODULE_PATH, "%s is no PKCS#11 module that can be loaded", path);
    CK_RV rv = kit->module_initialize(module);
    if (rv != CKR_OK) {
        kit->module_release(module);
        return est_p11_fail(err, rv, "its initialisation");
    }
    modules->single[0] = module;
    modules->list = modules->single;
    return ESTUARY_OK;
}

static estuary_status open_configured(const est_p11_kit *kit, est_p11_modules *modules, estuary_error *err)
{
    modules->list = kit->modules_load(NULL, 0);
    if (modules->list == NULL)
        return est_fail(err, EST_KEY_TOKEN, "p11-kit cannot load its configured modules");
    CK_RV rv = kit->modules_initialize(modules->list, NULL);
    return rv == CKR_OK ? ESTUARY_OK : est_p11_fail(err, rv, "the initialisation of the configured modules");
}

estuary_status est_p11_modules_open(const est_p11_uri *uri, est_p11_modules **out, estuary_error *err)
{
    const est_p11_kit *kit = est_p11_kit_get();
    est_p11_modules *modules = est_alloc(sizeof(*modules));
    *out = NULL;
    if (modules == NULL)
        return est_fail_memory(err);
    const char *path = kit->uri_get_module_path(uri->parsed);
    estuary_status status =
        path != NULL ? open_one(kit, path, modules, err) : open_configured(kit, modules, err);
    if (status == ESTUARY_OK)
        *out = modules;
    else
        est_p11_modules_free(modules);
    return status;
}

char *est_p11_module_identity(CK_FUNCTION_LIST *module)
{
    const est_p11_kit *kit = est_p11_kit_get();
    char *file = kit->module_get_filename(module);
    char *full = file == NULL ? NULL : realpath(file, NULL);
    char *name = file == NULL ? kit->module_get_name(module) : NULL;
    char *identity = est_strdup(full != NULL ? full : file != NULL ? file : name != NULL ? name : "");
    free(full); /* malloc()'s, like p11-kit's own */
    free(file);
    free(name);
    return identity;
}

void est_p11_modules_free(est_p11_modules *modules)
{
    if (modules == NULL)
        return;
    const est_p11_kit *kit = est_p11_kit_get();
    if (modules->list == modules->single) {
        (void)kit->module_finalize(modules->single[0]);
        kit->module_release(modules->single[0]);
    } else if (modules->list != NULL) {
        kit->modules_finalize_and_release(modules->list);
    }
    est_free(modules);
}
