/*
 * process.h: the few things that are set up once for the whole process.
 */
#ifndef ESTUARY_PROCESS_H
#define ESTUARY_PROCESS_H

#include <estuary/error.h>

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

#ifdef __cplusplus
}
#endif
#endif
