/* What the two halves of the CRL cache share. */
#ifndef EST_REVOCATION_CRL_CACHE_H
#define EST_REVOCATION_CRL_CACHE_H

#include "revocation/checker.h"
#include "revocation/crl_index.h"

#define EST_CRL_NEW_PREFIX ".new-" /* begins those of OCSP responses, indexes and keys, too */

/* crl_cache_folder.c. Whoever writes has the cache's lock. */

/* Which files an entry was read from. */
typedef struct est_crl_origin {
    est_index_identity notes, crl;
} est_crl_origin;

/* Notes and the CRL that they name. */
bool est_crl_folder_load(int folder, const char *key, est_crl_cached *out, est_crl_origin *origin);
/* They are still what they were; anything else, a change of mode included, is "no". */
bool est_crl_folder_is_same(int folder, const est_crl_cached *cached, const est_crl_origin *origin);
bool est_crl_folder_new(int folder, int *fd, char name[EST_CRL_TEMP_SIZE]);
void est_crl_folder_drop(int folder, const char *temp);
/*
 * The downloaded file becomes the key's. Nothing is changed until one rename, that of the notes, which name
 * the file that they are about: a process that is killed leaves the old pair or the new one, and perhaps a
 * file that nobody names, which est_crl_folder_sweep() finds.
 */
bool est_crl_folder_put(int folder, const char *temp, const est_crl_cached *facts, const char *old_file);
bool est_crl_folder_save_notes(int folder, const est_crl_cached *facts);
void est_crl_folder_remove(int folder, const char *key);
/* The keys there are, one after another. */
void est_crl_folder_walk(int folder, void (*fn)(void *arg, const char *key), void *arg);
/* How many there are, and which one goes first, `spared` never: "" when there is none. */
size_t est_crl_folder_find_victim(int folder, const char *spared, char out[EST_CRL_KEY_SIZE]);
/* What killed processes left, and what an earlier layout named otherwise: files that no notes name. Those
 * that were begun later than that may be somebody's; `orphans`: CRLs and indexes are not. */
void est_crl_folder_sweep(int folder, time_t older_than, bool orphans);

void est_crl_cached_init(est_crl_cached *cached);

#endif
