/* Between tpm2-openssl and the TPM: passes all on, and puts authorisations into commands (tpm2_auth.c). */
#include "key/tpm2_tcti.h"
#include "key/tpm2.h"
#include "key/tpm2_auth.h"

#include <dlfcn.h>
#include <estuary/process.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VARIABLE "TPM2OPENSSL_TCTI"
#define LOADER   "libtss2-tctildr.so.0"
#define AUTH_MAX 64 /* TPM2B_AUTH is no longer than the largest digest */

const char *est_tpm2_tcti_test_module;

typedef uint32_t loader_initialize(const char *config, est_tcti **out);
typedef void loader_finalize(est_tcti **tcti);

/* Ours, with the TPM's own behind it. */
typedef struct filter {
    est_tcti common;
    est_tcti *real;
    loader_finalize *release;
    bool refusing; /* the answer is ours */
} filter;

static bool connected;

/* Data and functions are not the same to C, but they are to dlsym(). */
static bool find(void *library, const char *name, void *function, size_t size)
{
    void *address = dlsym(library, name);
    memcpy(function, &address, size);
    return address != NULL;
}

static uint32_t transmit(est_tcti *tcti, size_t size, const uint8_t *command)
{
    filter *self = (filter *)tcti;
    uint8_t *full = NULL;
    size_t len = 0;
    uint32_t result = EST_TCTI_GENERAL_FAILURE;
    est_tpm2_fill fill = est_tpm2_auth_fill(command, size, &full, &len);
    self->refusing = fill == EST_TPM2_FILL_REFUSED;
    if (self->refusing)
        return 0;
    if (fill == EST_TPM2_FILL_NOTHING)
        result = self->real->transmit(self->real, size, command);
    else if (fill == EST_TPM2_FILL_DONE)
        result = self->real->transmit(self->real, len, full);
    est_free_secret(full, len);
    return result;
}

static uint32_t receive(est_tcti *tcti, size_t *size, uint8_t *response, int32_t timeout)
{
    filter *self = (filter *)tcti;
    if (!self->refusing) {
        uint32_t result = self->real->receive(self->real, size, response, timeout);
        if (result == 0 && response != NULL)
            est_tpm2_auth_answered(response, *size);
        return result;
    }
    size_t room = *size;
    *size = EST_TPM2_RESPONSE_MIN;
    if (response == NULL)
        return 0;
    if (room < EST_TPM2_RESPONSE_MIN)
        return EST_TCTI_INSUFFICIENT_BUFFER;
    est_tpm2_auth_refusal(response);
    self->refusing = false;
    return 0;
}

static void finalize(est_tcti *tcti)
{
    filter *self = (filter *)tcti;
    self->release(&self->real);
}

static uint32_t cancel(est_tcti *tcti)
{
    filter *self = (filter *)tcti;
    return self->real->cancel(self->real);
}

static uint32_t get_poll_handles(est_tcti *tcti, void *handles, size_t *count)
{
    filter *self = (filter *)tcti;
    return self->real->get_poll_handles(self->real, handles, count);
}

static uint32_t set_locality(est_tcti *tcti, uint8_t locality)
{
    filter *self = (filter *)tcti;
    return self->real->set_locality(self->real, locality);
}

/* Called by tpm2-tss, first for the size; config is what the variable said before we changed it. */
static uint32_t init(est_tcti *tcti, size_t *size, const char *config)
{
    filter *self = (filter *)tcti;
    loader_initialize *initialize = NULL;
    if (size == NULL)
        return EST_TCTI_BAD_REFERENCE;
    *size = sizeof(*self);
    if (self == NULL)
        return 0;
    memset(self, 0, sizeof(*self));
    /* stays: its functions are needed as long as the provider is there */
    void *loader = dlopen(LOADER, RTLD_NOW | RTLD_LOCAL);
    if (loader == NULL || !find(loader, "Tss2_TctiLdr_Initialize", &initialize, sizeof(initialize)) ||
        !find(loader, "Tss2_TctiLdr_Finalize", &self->release, sizeof(self->release)))
        return EST_TCTI_NOT_SUPPORTED;
    uint32_t result = initialize(config != NULL && *config != '\0' ? config : NULL, &self->real);
    if (result != 0)
        return result;
    self->common = (est_tcti){EST_TCTI_MAGIC, EST_TCTI_VERSION, transmit,         receive,
                              finalize,       cancel,           get_poll_handles, set_locality};
    connected = true;
    return 0;
}

/* The folder of the library, or of the program that carries it; freed with est_free(). */
static char *own_folder(void)
{
    static const char here; /* any address of ours */
    Dl_info info;
    if (dladdr(&here, &info) == 0 || info.dli_fname == NULL)
        return NULL;
    /* of the program itself it is argv[0], which is no path when the shell found it in PATH */
    char *real = realpath(strchr(info.dli_fname, '/') != NULL ? info.dli_fname : "/proc/self/exe", NULL);
    char *folder = real == NULL ? NULL : est_strndup(real, (size_t)(strrchr(real, '/') - real));
    free(real);
    return folder;
}

/*
 * It runs with our rights, and in a sticky folder others may have put one beside us. lstat(): a link of
 * theirs could be turned elsewhere afterwards.
 */
static bool is_trusted(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0 && S_ISREG(info.st_mode) &&
           (info.st_uid == 0 || info.st_uid == geteuid()) && (info.st_mode & S_IWOTH) == 0;
}

/* Beside us, below our folder, or where it was installed; freed with est_free(). */
static char *module_path(void)
{
    if (est_tpm2_tcti_test_module != NULL)
        return est_strdup(est_tpm2_tcti_test_module);
    char *folder = own_folder();
    char *path = NULL;
    static const char *const below[] = {"", "/estuary"};
    for (size_t i = 0; folder != NULL && path == NULL && i < sizeof(below) / sizeof(below[0]); i++) {
        path = est_printf("%s%s/" EST_TCTI_MODULE, folder, below[i]);
        if (path != NULL && !is_trusted(path)) {
            est_free(path);
            path = NULL;
        }
    }
    est_free(folder);
    return path != NULL ? path : est_strdup(ESTUARY_MODULE_DIR "/" EST_TCTI_MODULE);
}

static estuary_status load_module(const char *path, estuary_error *err)
{
    est_tcti_use_fn *use = NULL;
    /* tpm2-tss takes what stands before the first colon for its name */
    void *module = strchr(path, ':') != NULL ? NULL : dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (module == NULL || !find(module, "estuary_tcti_use", &use, sizeof(use)))
        return est_fail(err, EST_UNSUPPORTED_TPM2_AUTH, NULL);
    use(init); /* stays loaded, as the provider does */
    return ESTUARY_OK;
}

/*
 * The environment with our variable in the place of the old one. An array of its own, and only the pointer to
 * it is exchanged: setenv() would move what another thread may be reading. Not freed, for the same reason.
 */
static char **environment_with(const char *variable)
{
    static char **made;
    size_t n = 0, kept = 0;
    while (environ != NULL && environ[n] != NULL)
        n++;
    char **all = est_alloc((n + 2) * sizeof(*all));
    if (all == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        if (strncmp(environ[i], VARIABLE "=", sizeof(VARIABLE)) != 0)
            all[kept++] = environ[i];
    }
    all[kept] = est_strdup(variable);
    if (all[kept] == NULL) {
        est_free(all);
        return NULL;
    }
    est_free(made); /* of a call that failed */
    made = all;
    return all;
}

/* The provider asks the environment only, so that is changed until it is loaded. */
static estuary_status connect_tpm(estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    const char *set = getenv(VARIABLE);
    char *path = module_path(), *variable = NULL, **before = environ, **changed = NULL;
    if (path == NULL || (variable = est_printf(VARIABLE "=%s:%s", path, set == NULL ? "" : set)) == NULL) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    EST_TRY(load_module(path, err));
    changed = environment_with(variable);
    if (changed == NULL) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    environ = changed;
    bool there = est_tpm2_context() != NULL;
    environ = before;
    if (!there)
        EST_FAIL(EST_UNSUPPORTED_TPM2, NULL);
    if (!connected)
        EST_FAIL(EST_USAGE, "the TPM is in use already, so no authorisation can be set any more");
cleanup:
    est_free(path);
    est_free(variable);
    return status;
}

static bool fits(const estuary_secret *secret)
{
    size_t len = 0;
    (void)estuary_secret_get0(secret, &len);
    return len <= AUTH_MAX;
}

estuary_status estuary_process_set_tpm_auth(const estuary_secret *owner, const estuary_secret *parent,
                                            estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    if (!fits(owner) || !fits(parent))
        return est_fail(err, EST_KEY_TPM_AUTH, "the authorisation is longer than a TPM's can be");
    est_tpm2_lock();
    if (!connected && (owner != NULL || parent != NULL))
        status = connect_tpm(err);
    if (status == ESTUARY_OK) {
        est_tpm2_make_room(); /* what is loaded was so with the old ones */
        est_tpm2_auth_set(EST_TPM2_AUTH_OWNER, owner);
        est_tpm2_auth_set(EST_TPM2_AUTH_PARENT, parent);
    }
    est_tpm2_unlock();
    return status;
}
