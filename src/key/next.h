/* The key that follows another in the same place. For this room only. */
#ifndef EST_KEY_NEXT_H
#define EST_KEY_NEXT_H

#include "key/key.h"

#include <estuary/token.h>

#define EST_KEY_NEXT_TRIES 1000u /* numbers looked at before we give up */

/*
 * How much of a name stands before the number that a renewal appended, and that number: "device-7" is 6 and
 * 7, "device" all of it and 1.
 */
size_t est_key_numbered(const uint8_t *name, size_t len, unsigned *number);

/* pkcs11_next.c, tpm2_next.c; see estuary_key_create_next() */
estuary_status est_p11_next(const char *algorithm, const char *old, const estuary_secret *pin, char **uri,
                            EVP_PKEY **out, estuary_error *err);
estuary_status est_tpm2_next(const char *algorithm, const char *old, const estuary_secret *pin, char **uri,
                             EVP_PKEY **out, estuary_error *err);
/* see estuary_key_plan() and estuary_key_plan_next() */
estuary_status est_p11_plan(const char *uri, const estuary_secret *pin, char **exact, estuary_error *err);
estuary_status est_p11_plan_next(const char *old, const estuary_secret *pin, char **uri, estuary_error *err);
estuary_status est_tpm2_plan_next(const char *old, char **uri, estuary_error *err);
bool est_tpm2_is_key_file(const char *path); /* TSS2 PEM */
/* The path of tpm2:PATH, without what may follow after '?'; freed with est_free(). */
estuary_status est_tpm2_uri_path(const char *uri, char **path, estuary_error *err);

#endif
