/*
 * The structures by which tpm2-tss talks to a TPM (TCG TSS 2.0 TPM Command Transmission Interface), as much
 * of them as we pass on: no header of tpm2-tss is needed to build. For this room and the module beside it.
 */
#ifndef EST_TPM2_TCTI_H
#define EST_TPM2_TCTI_H

#include <stddef.h>
#include <stdint.h>

#define EST_TCTI_MAGIC   0x6573747561727921u
#define EST_TCTI_VERSION 1u

/* TSS2_RC of the TCTI layer */
#define EST_TCTI_GENERAL_FAILURE     0xa0001u
#define EST_TCTI_BAD_REFERENCE       0xa0005u
#define EST_TCTI_NOT_SUPPORTED       0xa0015u
#define EST_TCTI_INSUFFICIENT_BUFFER 0xa0006u

typedef struct est_tcti est_tcti;

/* TSS2_TCTI_CONTEXT_COMMON_V1 */
struct est_tcti {
    uint64_t magic;
    uint32_t version;
    uint32_t (*transmit)(est_tcti *tcti, size_t size, const uint8_t *command);
    uint32_t (*receive)(est_tcti *tcti, size_t *size, uint8_t *response, int32_t timeout);
    void (*finalize)(est_tcti *tcti);
    uint32_t (*cancel)(est_tcti *tcti);
    uint32_t (*get_poll_handles)(est_tcti *tcti, void *handles, size_t *count);
    uint32_t (*set_locality)(est_tcti *tcti, uint8_t locality);
};

typedef uint32_t est_tcti_init_fn(est_tcti *tcti, size_t *size, const char *config);

/* TSS2_TCTI_INFO */
typedef struct est_tcti_info {
    uint32_t version;
    const char *name;
    const char *description;
    const char *config_help;
    est_tcti_init_fn *init;
} est_tcti_info;

/* What the module exports: for tpm2-tss, and for us, who tell it first where to go. */
#define EST_TCTI_MODULE "libestuary-tcti.so"
const est_tcti_info *Tss2_Tcti_Info(void);
typedef void est_tcti_use_fn(est_tcti_init_fn *init);
est_tcti_use_fn estuary_tcti_use;

#endif
