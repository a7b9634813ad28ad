/* The authorisation of what TPM keys are below, in the commands on their way to the TPM. For this room only.
 */
#ifndef EST_TPM2_AUTH_H
#define EST_TPM2_AUTH_H

#include "base/base.h"

#include <estuary/secret.h>

/* Whose it is. */
typedef enum est_tpm2_auth {
    EST_TPM2_AUTH_NONE = 0,
    EST_TPM2_AUTH_OWNER,
    EST_TPM2_AUTH_PARENT,
    EST_TPM2_AUTHS
} est_tpm2_auth;

typedef enum est_tpm2_fill {
    EST_TPM2_FILL_NO_MEMORY = 0,
    EST_TPM2_FILL_NOTHING, /* the command goes as it is */
    EST_TPM2_FILL_DONE,
    EST_TPM2_FILL_REFUSED /* it would be refused as before, so it must not go */
} est_tpm2_fill;

#define EST_TPM2_RESPONSE_MIN 10u

/* tpm2_auth.c: what follows with the TPM's lock held, as all its commands have it */
est_tpm2_auth est_tpm2_auth_wanted(const uint8_t *command, size_t len);
/* The command with the authorisation in it; est_free_secret(*out, *out_len). */
est_tpm2_fill est_tpm2_auth_fill(const uint8_t *command, size_t len, uint8_t **out, size_t *out_len);
void est_tpm2_auth_answered(const uint8_t *response, size_t len); /* to the last of them */
void est_tpm2_auth_refusal(uint8_t response[EST_TPM2_RESPONSE_MIN]);
bool est_tpm2_auth_was_refused(void);                                      /* that of the last command */
void est_tpm2_auth_set(est_tpm2_auth which, const estuary_secret *secret); /* NULL: none */

/* tpm2_tcti.c */
/* For tests: where the module is; NULL: beside the library, or where it is installed. */
extern const char *est_tpm2_tcti_test_module;

#endif
