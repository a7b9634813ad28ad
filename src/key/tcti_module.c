/*
 * libestuary-tcti.so: what tpm2-tss loads by its file name as the way to a TPM. It hands over to the library
 * that loaded it before; alone it is the way to nowhere.
 */
#include "key/tpm2_tcti.h"

static est_tcti_init_fn *target;

static uint32_t init(est_tcti *tcti, size_t *size, const char *config)
{
    return target == NULL ? EST_TCTI_NOT_SUPPORTED : target(tcti, size, config);
}

__attribute__((visibility("default"))) void estuary_tcti_use(est_tcti_init_fn *with)
{
    target = with;
}

__attribute__((visibility("default"))) const est_tcti_info *Tss2_Tcti_Info(void)
{
    static const est_tcti_info info = {EST_TCTI_VERSION, "estuary",
                                       "gives the owner hierarchy's or a parent key's authorisation",
                                       "the configuration of another TCTI", init};
    return &info;
}
