/*
 * secret.h: the one type for passwords, PINs and passphrases.
 *
 * A secret is wiped when freed, compared in constant time, and never appears in
 * a log, an error or a command line. Not thread-safe while being written; a
 * secret that no one changes may be read from several threads.
 */
#ifndef ESTUARY_SECRET_H
#define ESTUARY_SECRET_H

#include <estuary/error.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct estuary_secret estuary_secret;

/* The largest secret accepted, in bytes: the PEM of an 8192-bit RSA key fits. */
#define ESTUARY_SECRET_MAX 16384

/* Copies len bytes (0 is allowed). The caller frees *out. */
ESTUARY_EXPORT estuary_status estuary_secret_new(const void *bytes, size_t len, estuary_secret **out,
                                                 estuary_error *err);

/*
 * Reads a secret from where SRC says:
 *   env:VAR          the variable's value
 *   file:PATH        the file's first line; must be ours and not readable by others
 *   fd:N             the first line of an open descriptor
 *   credential:NAME  a systemd credential ($CREDENTIALS_DIRECTORY/NAME)
 *   prompt           asked for on the terminal with echo off, `what` is the question
 * Anything else is ESTUARY_E_USAGE, and the error does not repeat it: it may be the secret itself.
 * The only function that looks at the environment. The caller frees *out.
 */
ESTUARY_EXPORT estuary_status estuary_secret_read(const char *source, const char *what, estuary_secret **out,
                                                  estuary_error *err);

/* Another reference to an immutable secret; NULL gives NULL. */
ESTUARY_EXPORT estuary_secret *estuary_secret_up_ref(estuary_secret *secret);
ESTUARY_EXPORT void estuary_secret_free(estuary_secret *secret); /* wipes; NULL is fine */

/* Lent; NUL-terminated after size bytes, so that it can be handed to C APIs. Empty for NULL. */
ESTUARY_EXPORT const char *estuary_secret_get0(const estuary_secret *secret, size_t *size);

/* Constant time for equal lengths. NULL equals nothing. */
ESTUARY_EXPORT bool estuary_secret_equal(const estuary_secret *a, const estuary_secret *b);

#ifdef __cplusplus
}
#endif
#endif
