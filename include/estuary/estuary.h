/*
 * estuary.h: everything at once.
 *
 * Conventions
 *   - estuary_x_new() gives the caller the object; estuary_x_free(NULL) is fine.
 *   - "set" and "add" copy their argument or take their own reference; "get0" lends.
 *   - Every fallible function returns estuary_status and takes `estuary_error *err` last (NULL allowed).
 *   - Strings are UTF-8 and NUL-terminated unless a length stands beside them. Sizes are in bytes.
 *   - No function prints, exits or changes a process-wide setting, except estuary_process_*();
 *     only estuary_secret_read() looks at the environment.
 *   - The zero value of every verdict, state and finding means unknown or failed.
 */
#ifndef ESTUARY_ESTUARY_H
#define ESTUARY_ESTUARY_H

#include <estuary/bootstrap.h>
#include <estuary/cert.h>
#include <estuary/client.h>
#include <estuary/cmc.h>
#include <estuary/config.h>
#include <estuary/csr.h>
#include <estuary/csrattrs.h>
#include <estuary/error.h>
#include <estuary/exchange.h>
#include <estuary/key.h>
#include <estuary/limits.h>
#include <estuary/log.h>
#include <estuary/metrics.h>
#include <estuary/multi.h>
#include <estuary/process.h>
#include <estuary/renew.h>
#include <estuary/renewal_info.h>
#include <estuary/revocation.h>
#include <estuary/secret.h>
#include <estuary/serverkeygen.h>
#include <estuary/signer.h>
#include <estuary/store.h>
#include <estuary/token.h>

#endif
