/* store: certificates and pending requests on disk, all or nothing. */
#ifndef EST_STORE_H
#define EST_STORE_H

#include "base/base.h"

#include <estuary/store.h>
#include <limits.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#define EST_STORE_NAME_SIZE (NAME_MAX + 1)

/* calls.c: every system call that changes the disk goes through here. */

/*
 * For tests: called before each of them; another value than 0 makes it fail with that errno. A test that
 * ends the process here is a kill at that very place.
 */
extern int (*est_store_test_step)(const char *what);

int est_store_openat(int dir, const char *name, int flags, mode_t mode);
int est_store_mkdirat(int dir, const char *name, mode_t mode);
int est_store_rename(int dir, const char *from, const char *to, unsigned flags);
int est_store_unlinkat(int dir, const char *name, int flags);
int est_store_fsync(int fd);
int est_store_fchmod(int fd, mode_t mode);
int est_store_linkat(int from, int to, const char *name);
bool est_store_write_all(int fd, const void *bytes, size_t len);

/* folder.c: one folder, by descriptor. */

/* A file to write. */
typedef struct est_store_file {
    const char *name; /* NULL ends a list */
    const void *bytes;
    size_t len;
    mode_t mode;
    const int *twin; /* a folder where it stands under the same name, on disk already; NULL: none */
} est_store_file;

/* The only names that may stand in a generation and in a pending request. */
extern const char *const est_store_generation_names[];
extern const char *const est_store_pending_names[];

/* Owner is us or root, and nobody else may write (or, for 0077, look) into it. */
bool est_store_is_ours(const struct stat *info, mode_t forbidden);
/* A new empty folder "PREFIX.new-XXXXXX", 0700; its descriptor, or -1 with errno. */
int est_store_make_folder(int parent, const char *prefix, char name[EST_STORE_NAME_SIZE]);
/* Files that are written but need not be on disk yet. */
#define EST_STORE_FILES_MAX 8
typedef struct est_store_written {
    int fds[EST_STORE_FILES_MAX]; /* -1: nothing to bring to disk */
    size_t count;
} est_store_written;
/*
 * Creates and writes, up to the one without a name; false with errno and the name of the one that failed.
 * est_store_sync_files() follows in either case.
 */
bool est_store_write_files(int dir, const est_store_file *files, est_store_written *written,
                           const char **failed);
/* fsyncs when wanted, and closes; false with errno and the name of the one that failed. */
bool est_store_sync_files(const est_store_written *written, bool wanted, const est_store_file *files,
                          const char **failed);
/* Creates and writes, leaving the disk to the next fsync; false with errno. */
bool est_store_write_unsynced(int dir, const est_store_file *file);
/* Creates, writes and fsyncs; false with errno. */
bool est_store_write_file(int dir, const est_store_file *file);
/* true when every entry is a regular file of the list; *foreign names one that is not. */
bool est_store_only_ours(int dir, const char *const *names, char foreign[EST_STORE_NAME_SIZE]);
/* "PREFIX.new-XXXXXX", drawn at random; false with errno. */
bool est_store_random_name(const char *prefix, char name[EST_STORE_NAME_SIZE]);
/* Removes the files of the list and the folder; one that holds something else stays, with that. */
bool est_store_remove_folder(int parent, const char *name, const char *const *names);

/* A prefix and what a folder "PREFIX.new-XXXXXX" may hold. */
typedef struct est_store_prefix {
    const char *prefix; /* NULL ends a list */
    const char *const *names;
} est_store_prefix;
/* Removes what a killed run left. */
void est_store_remove_leftovers(int parent, const est_store_prefix *prefixes);
/* A small file of ours; est_free_secret(*out, *len). */
est_file_result est_store_read(int dir, const char *name, size_t max, uint8_t **out, size_t *len);

/* generation.c: a whole folder, swapped in. */

/* A folder that is only replaced as a whole. */
typedef struct est_generation {
    int parent;
    const char *name;
    /* An empty folder beside it that is filled next, of EST_STORE_NAME_SIZE; "": make one. "" afterwards. */
    char *fresh;
    const char *const *kept; /* the names it may hold */
    mode_t mode;             /* when there is none yet; an old one's mode and group go over */
    bool outlasts_power;     /* its name too is on disk when this returns, not only what it holds */
} est_generation;

/* Writes files (ended by a NULL name) to a new folder and puts it in place. */
estuary_status est_generation_replace(const est_generation *generation, const est_store_file *files,
                                      estuary_error *err);
/*
 * Makes the empty folders that a run will fill, and exchanges them: EST_CONFIG_STORE_EXCHANGE when that
 * cannot be done here. They are est_generation.fresh.
 */
estuary_status est_generation_prepare(int parent, const char *name, char fresh[EST_STORE_NAME_SIZE],
                                      const char *pending, char fresh_pending[EST_STORE_NAME_SIZE],
                                      estuary_error *err);

/* path.c */

/* The folder a path stands in and its last component; est_free both. */
estuary_status est_store_split(const char *path, char **parent, char **name, estuary_error *err);

/* lock.c: NAME.lock */

estuary_status est_store_lock(int parent, const char *lock_name, int *fd, estuary_error *err);
void est_store_unlock(int parent, const char *lock_name, int fd);

/* store.c: what the public functions are thin wrappers of; plain values, no enrolment. */

estuary_status est_store_commit_plain(estuary_store *store, X509 *leaf, const STACK_OF(X509) *chain,
                                      const EVP_PKEY *key, estuary_error *err);
/* sent: a server may know of it, so that a power cut must not lose it either. */
estuary_status est_store_save_pending_plain(estuary_store *store, const uint8_t *state, size_t len,
                                            const EVP_PKEY *key, bool sent, estuary_error *err);
/* *state NULL when nothing is pending; est_free_secret(). */
estuary_status est_store_load_pending_plain(estuary_store *store, uint8_t **state, size_t *len,
                                            EVP_PKEY **key, estuary_error *err);

#endif
