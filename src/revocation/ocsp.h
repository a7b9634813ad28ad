/* What the ocsp_*.c files share; nobody else includes it. */
#ifndef EST_REVOCATION_OCSP_H
#define EST_REVOCATION_OCSP_H

#include "revocation/revocation.h"

/* --- ocsp_signer.c: who signed, and may they? --- */

typedef struct est_ocsp_signer {
    X509 *delegate; /* a reference; NULL: the issuer itself */
    bool no_check;  /* RFC 6960 4.2.2.2.1: its own revocation need not be looked at */
    time_t ends;    /* notAfter of the delegate; 0: the issuer itself */
} est_ocsp_signer;

/*
 * RFC 6960 4.2.2.2: the issuer, or a delegate that the issuer's key signed, and the signature verifies.
 * ocsp.signer, ocsp.signature, ocsp.weak-signature.
 */
estuary_status est_ocsp_signer_find(const est_question *question, OCSP_BASICRESP *basic, est_ocsp_signer *out,
                                    estuary_error *err);
void est_ocsp_signer_clear(est_ocsp_signer *signer);

/* --- ocsp_judge.c --- */

/* As est_ocsp_judge(); *signer says who signed when the verdict is good or revoked. */
estuary_status est_ocsp_examine(const est_question *question, const est_ocsp_request *request,
                                const uint8_t *der, size_t len, estuary_verdict *verdict,
                                est_ocsp_signer *signer, estuary_error *err);

/* --- ocsp_response.c: from bytes to what a basic response holds, before anybody has vouched for it --- */

/* Exactly one DER OCSPResponse, successful, basic, version 1; its status in words when it is an error. */
estuary_status est_ocsp_parse(const uint8_t *der, size_t len, OCSP_BASICRESP **out, estuary_error *err);
/* RFC 6960 4.4: the critical ones are known ones. */
estuary_status est_ocsp_check_extensions(OCSP_BASICRESP *basic, estuary_error *err);
/* RFC 8954: equal when it is there; there when that is asked for. */
estuary_status est_ocsp_check_nonce(const est_question *question, const est_ocsp_request *request,
                                    OCSP_BASICRESP *basic, estuary_error *err);

/* --- ocsp_single.c: what it says about one certificate --- */

/* Of all single responses about the certificate: revoked wins over unknown, unknown over good. */
estuary_status est_ocsp_read_status(const est_question *question, OCSP_BASICRESP *basic,
                                    estuary_verdict *verdict, estuary_error *err);

/* --- ocsp_cache.c, ocsp_cache_memory.c, ocsp_cache_folder.c --- */

#define EST_OCSP_KEY_SIZE 32 /* SHA-256 over the issuer's key and name, and the serial number */

/* What is remembered of one judged response. */
typedef struct est_ocsp_entry {
    uint8_t key[EST_OCSP_KEY_SIZE];
    estuary_revocation_status status;
    int reason;
    time_t revoked_at, this_update, next_update;
    time_t signer_ends; /* 0: it was the issuer itself */
    time_t fetched_at;
    int64_t bytes;
    char *url;                  /* owned */
    X509 *certificate, *issuer; /* references */
} est_ocsp_entry;

void est_ocsp_entry_clear(est_ocsp_entry *entry);
/* certificateHold alone can be taken back. */
bool est_ocsp_entry_is_final(const est_ocsp_entry *entry);
/* R0: later evidence replaces earlier; what is revoked stays so. */
bool est_ocsp_entry_may_replace(const est_ocsp_entry *there, const est_ocsp_entry *fresh);
bool est_ocsp_entry_is_usable(const est_ocsp_entry *entry, const est_question *question);
void est_ocsp_entry_tell(const est_ocsp_entry *entry, estuary_verdict *verdict);

/* A bounded table; not locked. */
typedef struct est_ocsp_memory est_ocsp_memory;
est_ocsp_memory *est_ocsp_memory_new(size_t max); /* NULL when memory is short */
void est_ocsp_memory_free(est_ocsp_memory *memory);
/* Lent until the table changes; the entry counts as used just now. */
est_ocsp_entry *est_ocsp_memory_find(est_ocsp_memory *memory, const uint8_t key[EST_OCSP_KEY_SIZE]);
/* Takes what is in *entry, in the place of what has the same key; when it is full the entry used longest ago
 * goes, those that say revoked last. */
void est_ocsp_memory_put(est_ocsp_memory *memory, est_ocsp_entry *entry);
void est_ocsp_memory_drop(est_ocsp_memory *memory, const uint8_t key[EST_OCSP_KEY_SIZE]);
size_t est_ocsp_memory_count(const est_ocsp_memory *memory);
void est_ocsp_memory_empty(est_ocsp_memory *memory);
/* The entry after this one, from the one used last on; NULL begins. */
const est_ocsp_entry *est_ocsp_memory_next(const est_ocsp_memory *memory, const est_ocsp_entry *entry);

/* A file of the folder: what its head says (unverified: for people to read), and the response. */
typedef struct est_ocsp_file {
    char url[512];
    char serial[160];
    time_t this_update, next_update, fetched_at;
    bool says_revoked;
    uint8_t *bytes; /* owned: the whole file */
    const uint8_t *der;
    size_t len;
} est_ocsp_file;

/* false: there is none, or none that can be used; one that nobody should have made is removed. */
bool est_ocsp_folder_read(int folder, const uint8_t key[EST_OCSP_KEY_SIZE], est_ocsp_file *out);
void est_ocsp_file_clear(est_ocsp_file *file);
/* Comparing and replacing are one step among processes; -1: another one is at it, leave it to it. */
int est_ocsp_folder_lock(int folder);
void est_ocsp_folder_unlock(int lock); /* -1 is fine */
/* All or nothing; false: nothing. When there are more than max files then, the one written longest ago goes,
 * those that say revoked last. */
bool est_ocsp_folder_write(int folder, const est_ocsp_entry *entry, const uint8_t *der, size_t len,
                           size_t max);
void est_ocsp_folder_remove(int folder, const uint8_t key[EST_OCSP_KEY_SIZE]);
estuary_status est_ocsp_folder_list(int folder, estuary_cache_fn *fn, void *arg, estuary_error *err);
/* Ours and what a crash left behind. */
estuary_status est_ocsp_folder_empty(int folder, size_t *removed, estuary_error *err);

/* Upper-case hex of the serial number; "" when memory is short. */
void est_ocsp_serial_text(const X509 *certificate, char *out, size_t size);

#endif
