/* store, inside only: what a store is made of. */
#ifndef EST_STORE_ROOM_H
#define EST_STORE_ROOM_H

#include "store/store.h"

struct estuary_store {
    int parent; /* the folder that holds DIR; everything is done relative to it */
    int lock;
    char *folder; /* its path */
    char *name;   /* "DIR" */
    char *lock_name;
    char *pending; /* "DIR.pending" */
    char *key_uri; /* with a newline; NULL: the key goes into the folder */
    /* empty folders beside those two, to be filled next; "" when there is none */
    char fresh[EST_STORE_NAME_SIZE];
    char fresh_pending[EST_STORE_NAME_SIZE];
};

/*
 * A commit killed between the exchange and the end leaves the new files and the pending request: the
 * request notes before the exchange which certificate is about to answer it, and is removed here when that
 * is the one in place.
 */
estuary_status est_pending_finish(estuary_store *store, estuary_error *err);
/* Notes that the certificate file with this SHA-256 answers the pending request, if there is one. */
estuary_status est_pending_mark(estuary_store *store, const void *cert_pem, size_t len, estuary_error *err);

#endif
