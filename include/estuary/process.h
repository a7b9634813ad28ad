/*
 * process.h: the few things that are set up once for the whole process.
 */
#ifndef ESTUARY_PROCESS_H
#define ESTUARY_PROCESS_H

#include <estuary/error.h>
#include <estuary/log.h>
#include <estuary/metrics.h>
#include <estuary/secret.h>

#ifdef __cplusplus
extern "C" {
#endif

/* "1.0.0" of the library in use, and the versions of the libraries it stands on. Static strings. */
ESTUARY_EXPORT const char *estuary_version(void);
ESTUARY_EXPORT const char *estuary_version_openssl(void);

/*
 * Makes OpenSSL's FIPS provider the only source of algorithms in this process (T11). Call it before
 * any other function and before other threads start. ESTUARY_E_UNSUPPORTED when there is no
 * provider; nothing is changed then.
 */
ESTUARY_EXPORT estuary_status estuary_process_enable_fips(estuary_error *err);

/* true when a FIPS provider is loaded, passed its self-test, and is the default property. */
ESTUARY_EXPORT bool estuary_process_fips_active(void);

/*
 * Where the use of private keys is recorded: an audit record "key.…" for each operation in `log`, counters in
 * `metrics` (docs/keys.md lists both). Never a PIN or a value. For the whole process, since a token's login
 * and sessions are the process's, and a key that signs inside TLS or CMS knows no client. Each may be NULL,
 * and both are at the start: nothing is recorded. Takes references and drops those to the ones before; what
 * runs meanwhile may still be recorded there. Thread-safe. The log's callback must not use a key.
 */
ESTUARY_EXPORT void estuary_process_set_key_records(estuary_log *log, estuary_metrics *metrics);

/*
 * The authorisation of what TPM keys are below (K5): of the owner hierarchy, and of parent keys at persistent
 * handles (tpm2:PATH?parent=0x81…). Each may be NULL: none. Needed to make and to load keys there. Takes
 * references. Call it before the first use of a TPM key (else ESTUARY_E_USAGE) and before other threads
 * start: TPM2OPENSSL_TCTI is changed until the TPM's provider has been loaded; later calls only put others in
 * the place of the old ones and are thread-safe. One that the TPM refuses is not tried again: key.tpm-auth.
 */
ESTUARY_EXPORT estuary_status estuary_process_set_tpm_auth(const estuary_secret *owner,
                                                           const estuary_secret *parent, estuary_error *err);

#ifdef __cplusplus
}
#endif
#endif
