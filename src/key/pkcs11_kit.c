#include "key/pkcs11.h"

#include <dlfcn.h>
#include <string.h>

static est_p11_kit kit;
static bool ready;

static const struct {
    const char *name;
    size_t offset;
} functions[] = {
    {"p11_kit_uri_new", offsetof(est_p11_kit, uri_new)},
    {"p11_kit_uri_free", offsetof(est_p11_kit, uri_free)},
    {"p11_kit_uri_parse", offsetof(est_p11_kit, uri_parse)},
    {"p11_kit_uri_any_unrecognized", offsetof(est_p11_kit, uri_any_unrecognized)},
    {"p11_kit_uri_match_module_info", offsetof(est_p11_kit, uri_match_module_info)},
    {"p11_kit_uri_match_slot_info", offsetof(est_p11_kit, uri_match_slot_info)},
    {"p11_kit_uri_match_token_info", offsetof(est_p11_kit, uri_match_token_info)},
    {"p11_kit_uri_get_slot_id", offsetof(est_p11_kit, uri_get_slot_id)},
    {"p11_kit_uri_get_attribute", offsetof(est_p11_kit, uri_get_attribute)},
    {"p11_kit_uri_get_pin_value", offsetof(est_p11_kit, uri_get_pin_value)},
    {"p11_kit_uri_get_pin_source", offsetof(est_p11_kit, uri_get_pin_source)},
    {"p11_kit_uri_get_module_path", offsetof(est_p11_kit, uri_get_module_path)},
    {"p11_kit_uri_get_module_name", offsetof(est_p11_kit, uri_get_module_name)},
    {"p11_kit_modules_load", offsetof(est_p11_kit, modules_load)},
    {"p11_kit_modules_initialize", offsetof(est_p11_kit, modules_initialize)},
    {"p11_kit_modules_finalize_and_release", offsetof(est_p11_kit, modules_finalize_and_release)},
    {"p11_kit_module_get_name", offsetof(est_p11_kit, module_get_name)},
    {"p11_kit_module_get_filename", offsetof(est_p11_kit, module_get_filename)},
    {"p11_kit_module_load", offsetof(est_p11_kit, module_load)},
    {"p11_kit_module_initialize", offsetof(est_p11_kit, module_initialize)},
    {"p11_kit_module_finalize", offsetof(est_p11_kit, module_finalize)},
    {"p11_kit_module_release", offsetof(est_p11_kit, module_release)},
};

/* Never unloaded: modules register handlers that run when the process ends. */
static void load(void)
{
    void *library = dlopen("libp11-kit.so.0", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return;
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        void *address = dlsym(library, functions[i].name);
        if (address == NULL)
            return;
        memcpy((char *)&kit + functions[i].offset, &address, sizeof(address));
    }
    ready = true;
}

const est_p11_kit *est_p11_kit_get(void)
{
    return est_process_once(EST_ONCE_P11_KIT, load) && ready ? &kit : NULL;
}
