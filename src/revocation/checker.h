/* Private to src/revocation. */
#ifndef EST_REVOCATION_CHECKER_H
#define EST_REVOCATION_CHECKER_H

#include "revocation/revocation.h"

typedef struct est_blob {
    uint8_t *bytes; /* owned */
    size_t len;
} est_blob;

struct est_crl_cache;
typedef struct est_known est_known;

struct estuary_revocation {
    atomic_int references;
    atomic_bool in_use; /* settings are fixed from the first check on */
    unsigned methods;
    bool crl_first;
    estuary_revocation_policy policy;
    bool leaf_only;
    int64_t limits[ESTUARY_REVOCATION_LIMIT_COUNT];
    bool require_nonce;
    bool offline;
    char *proxy, *proxy_user;
    estuary_secret *proxy_password;
    estuary_log *log;
    estuary_metrics *metrics;
    bool is_at; /* "at" is the time to judge by, else now */
    time_t at;
    estuary_anchors *anchors;
    STACK_OF(X509) *certs; /* never NULL */
    est_urls crls;         /* files and URLs given by hand */
    est_blob *responses;   /* OCSP responses given by hand */
    size_t response_count;
    int folder; /* -1: none */
    est_ocsp_cache *ocsp_cache;
    struct est_crl_cache *crl_cache;
    est_known *known;
};

/* checker.c: caches are made at the first use. */
estuary_status est_checker_begin(estuary_revocation *checker, estuary_error *err);
int64_t est_checker_limit(const estuary_revocation *checker, estuary_revocation_limit which);
/* With a time set, evidence is neither taken from the caches nor put there. */
bool est_checker_caches(const estuary_revocation *checker);

/* known.c: what passed est_question_check() not long ago; locked inside */
est_known *est_known_new(void); /* NULL when memory is short */
void est_known_free(est_known *known);
bool est_known_has(est_known *known, const est_question *question);
void est_known_add(est_known *known, const est_question *question);

/* cache_folder.c: made when it is not there; config.cache */
estuary_status est_cache_folder_open(const char *path, int *fd, estuary_error *err);

/* fetch.c: one URL, redirects included */

typedef struct est_fetch_answer {
    int status; /* 200 or 304 */
    char etag[256];
    char last_modified[64];
} est_fetch_answer;

typedef struct est_fetch_plan {
    const char *url;
    const char *content_type; /* NULL: GET */
    const char *accept;
    const uint8_t *body;
    size_t body_len;
    const char *const *headers; /* pairs, ended by NULL; may be NULL */
    int64_t max_bytes, timeout_ms;
    const atomic_bool *cancelled;
    void *arg;
    /* Of a 200 only. */
    estuary_status (*on_body)(void *arg, const uint8_t *bytes, size_t len, estuary_error *err);
    /* May free the fetch. answer is NULL when status is not ESTUARY_OK. */
    void (*on_done)(void *arg, estuary_status status, const est_fetch_answer *answer,
                    const estuary_error *err);
} est_fetch_plan;

typedef struct est_fetch est_fetch;
/* What plan points to must stay until on_done. */
estuary_status est_fetch_start(const estuary_revocation *checker, est_http_engine *engine,
                               const est_fetch_plan *plan, est_fetch **out, estuary_error *err);
void est_fetch_free(est_fetch *fetch); /* ends it without on_done */

/* fetch_tls.c: https for evidence: chain and name, by the checker's anchors or the system's */
estuary_status est_fetch_prepare_tls(const estuary_revocation *checker, const char *host, SSL_CTX *ctx,
                                     estuary_error *err);

/*
 * crl_cache.c, crl_cache_folder.c: CRLs by URL and issuer, in a folder or in unnamed files; locked inside.
 * The issuer is that of the certificate in question, by name and key: whoever can make another CA's
 * certificates name the same URL, or answers there for two CAs, has a place of his own (R0).
 */

typedef struct est_crl_cache est_crl_cache;

#define EST_CRL_KEY_SIZE 65 /* hexadecimal SHA-256 */

typedef struct est_crl_cached {
    int fd;                                    /* owned, at any position; -1: nothing is there */
    char key[EST_CRL_KEY_SIZE];                /* what it is found by */
    char file[20];                             /* which of the key's files; "" without a folder */
    char scope[EST_CRL_KEY_SIZE];              /* est_crl_scope_digest() */
    char *url, *etag, *last_modified, *issuer; /* owned */
    time_t fetched_at, this_update, next_update;
    int64_t bytes;
    bool is_delta;
    bool is_whole; /* complete, about all that its issuer issued */
    bool revoked;  /* it has made a verdict "revoked": others are thrown out first */
    bool failed;   /* something is there, but memory or files were short: nobody knows what it says */
} est_crl_cached;

bool est_crl_cache_key(const char *url, const X509 *issuer, char out[EST_CRL_KEY_SIZE]);
/* What a CRL is about: its issuer's name, its issuingDistributionPoint, complete or delta. */
bool est_crl_scope_digest(const est_crl *crl, char out[EST_CRL_KEY_SIZE]);

/* index_bytes bounds the pages of the indexes that are kept open. */
estuary_status est_crl_cache_new(int folder, int64_t max_entries, int64_t index_bytes, est_crl_cache **out,
                                 estuary_error *err);
void est_crl_cache_free(est_crl_cache *cache);
void est_crl_cached_clear(est_crl_cached *cached);
/* Whatever is there; its dates are hints for fetching, nothing else. false: nothing. */
bool est_crl_cache_get(est_crl_cache *cache, const char *key, est_crl_cached *out);
/* A file to download to: *fd is owned by the caller, name (size 40) is for the next two. */
#define EST_CRL_TEMP_SIZE 40
estuary_status est_crl_cache_begin(est_crl_cache *cache, int *fd, char name[EST_CRL_TEMP_SIZE],
                                   estuary_error *err);
void est_crl_cache_drop(est_crl_cache *cache, const char *name);
/*
 * What was downloaded and verified takes its place under facts->key, unless what is there is newer, or about
 * something else and still of use (R0). facts->fd is the file; it stays the caller's.
 */
estuary_status est_crl_cache_commit(est_crl_cache *cache, const char *name, const est_crl_cached *facts,
                                    estuary_error *err);
/* Of what is there, a new piece of evidence of the same or another scope: may it take the place? */
bool est_crl_cached_may_replace(const est_crl_cached *there, const est_crl_cached *fresh);
/* 304: it was asked for now. */
void est_crl_cache_touch(est_crl_cache *cache, const char *key, time_t now);
void est_crl_cache_mark_revoked(est_crl_cache *cache, const char *key);
/*
 * The index of a cached CRL, kept open between two questions; a reference, freed with est_crl_index_free().
 * NULL: there is none, or it is not to be used. What turned out to be wrong with it ends with forget_index().
 */
est_crl_index *est_crl_cache_index(est_crl_cache *cache, const est_crl_cached *cached);
void est_crl_cache_forget_index(est_crl_cache *cache, const est_crl_cached *cached);
/* The name of its index in the folder. */
#define EST_CRL_NAME_SIZE 128
bool est_crl_cached_index_name(const est_crl_cached *cached, char out[EST_CRL_NAME_SIZE]);
estuary_status est_crl_cache_list(est_crl_cache *cache, estuary_cache_fn *fn, void *arg, estuary_error *err);
estuary_status est_crl_cache_clear(est_crl_cache *cache, size_t *removed, estuary_error *err);

/* crl_source.c: a verified CRL out of a file */

/* Reads on from where it was; fd and question are lent until it is freed. */
typedef struct est_crl_reading est_crl_reading;
estuary_status est_crl_reading_new(int fd, const est_question *question, int64_t max_bytes,
                                   est_crl_reading **out, estuary_error *err);
/* At most *left bytes, which it counts down; *out NULL with ESTUARY_OK: there is more to read. */
estuary_status est_crl_reading_step(est_crl_reading *reading, uint64_t *left, est_crl **out,
                                    estuary_error *err);
void est_crl_reading_free(est_crl_reading *reading); /* NULL is fine */

/* The whole file through the reader. `question` gives the certificate to look for and who may have signed. */
estuary_status est_crl_read_fd(int fd, const est_question *question, int64_t max_bytes, est_crl **out,
                               estuary_error *err);
estuary_status est_crl_read_file(const char *path, const est_question *question, int64_t max_bytes,
                                 est_crl **out, estuary_error *err);

/* crl_lookup.c: a cached CRL, verified again, in pieces */

#define EST_CRL_TURN_BYTES ((uint64_t)1024 * 1024) /* read in one turn of a loop: a millisecond or two */

typedef struct est_crl_lookup est_crl_lookup;
/* question and cached are lent until it is freed. */
estuary_status est_crl_lookup_new(estuary_revocation *checker, const est_question *question,
                                  const est_crl_cached *cached, est_crl_lookup **out, estuary_error *err);
/* Reads at most `left` bytes. *out NULL with ESTUARY_OK: not done. */
estuary_status est_crl_lookup_step(est_crl_lookup *lookup, uint64_t left, est_crl **out, estuary_error *err);
/* When there is no time for its index: the CRL, if it has been read. */
est_crl *est_crl_lookup_take(est_crl_lookup *lookup);
void est_crl_lookup_free(est_crl_lookup *lookup); /* NULL is fine */

/* crl_fetch.c */

/* Nobody need be asked about it: it is recent, in force, and does not end soon (R5). */
bool est_crl_need_not_ask(const estuary_revocation *checker, const est_crl_cached *cached,
                          const est_question *question);
/* What ends then is asked for anew while it counts; in its second half, when that is later (R2, R5). */
bool est_checker_ends_soon(const estuary_revocation *checker, time_t this_update, time_t next_update,
                           time_t now);

typedef struct est_crl_fetch est_crl_fetch;
/* crl (the receiver's) is NULL when status is not ESTUARY_OK. May free the fetch. */
typedef void est_crl_fetch_done_fn(void *arg, estuary_status status, est_crl *crl, bool from_cache,
                                   const estuary_error *err);
typedef struct est_crl_fetch_plan {
    estuary_revocation *checker;
    est_http_engine *engine;
    const est_question *question; /* must stay as it is until on_done */
    const DIST_POINT *dp;         /* of the certificate, lent; NULL: any */
    const char *url;
    bool wants_delta; /* the other kind is not kept */
    const atomic_bool *cancelled;
    void *arg;
    est_crl_fetch_done_fn *on_done;
} est_crl_fetch_plan;
estuary_status est_crl_fetch_start(const est_crl_fetch_plan *plan, est_crl_fetch **out, estuary_error *err);
void est_crl_fetch_free(est_crl_fetch *fetch);

/* job*.c: a chain's certificates one after another, never blocking between network and network */

typedef enum est_job_step {
    EST_JOB_OVER = 0,
    EST_JOB_CERTIFICATE,
    EST_JOB_LOCAL_OCSP,
    EST_JOB_LOCAL_CRL,
    EST_JOB_CRL_CACHED,
    EST_JOB_LOCAL_END,
    EST_JOB_METHOD,
    EST_JOB_OCSP,
    EST_JOB_OCSP_AFTER,
    EST_JOB_CRL,
    EST_JOB_CRL_DELTA,
    EST_JOB_CRL_JUDGE,
    EST_JOB_CRL_AFTER,
    EST_JOB_CRL_STALE,
    EST_JOB_CRL_STALE_AFTER,
    EST_JOB_PAIRS,
    EST_JOB_NEXT
} est_job_step;

/* A place where a CRL may be found; a certificate's distribution point, or one given by hand. */
typedef struct est_crl_place {
    const DIST_POINT *dp; /* lent; NULL: given by hand */
    char *url;            /* owned; a URL, or a file given by hand */
    bool is_file;
} est_crl_place;

/* A CRL under way: what it has brought so far. */
typedef struct est_crl_work {
    CRL_DIST_POINTS *dps, *freshest; /* of the certificate; owned, may be NULL */
    bool announced;                  /* the certificate has a freshestCRL */
    est_crl_place *places;
    size_t count, at;
    est_crl_state state;
    estuary_verdict *verdict; /* state's */
    est_crl *complete;        /* of places[at] */
    bool complete_cached;
    bool counted; /* the CRL before places[at] did */
    est_crl *delta;
    est_urls delta_urls;
    size_t delta_url;
    char delta_why[256]; /* the last one could not be had */
    est_crl **given_deltas;
    size_t given_delta_count;
    est_crl_fetch *fetch;

    /* at hand, one after another, each with its delta */
    size_t cached_at;
    est_crl *cached_complete; /* of places[cached_at], waiting for its delta; NULL: not yet */
    bool recent;              /* nobody need be asked about it, nor about its delta */
    est_crl_cached cached;    /* what `lookup` reads */
    est_crl_lookup *lookup;
    est_http_turn turn;
    bool postponed; /* something at hand was too large to be read on the spot */
    bool unread;    /* something at hand could not be evaluated, and may say revoked (R0) */

    /* A cached CRL past its dates says revoked (R0): what is newer is asked for first. */
    estuary_verdict stale; /* unknown: nothing does */
    STACK_OF(X509) *stale_delegates;
    estuary_verdict held; /* what was known besides */
    bool is_done;         /* the servers were asked */
} est_crl_work;

/* How a responder is asked: what every one understands comes first. */
typedef enum est_ocsp_variant {
    EST_OCSP_BY_GET = 0, /* SHA-1 in the certID; by POST where GET is too short for it */
    EST_OCSP_BY_POST,
    EST_OCSP_BY_POST_SHA256
} est_ocsp_variant;

/* An OCSP exchange under way. */
typedef struct est_ocsp_work {
    est_urls urls;
    size_t at;
    est_ocsp_variant variant;
    int64_t ends_at; /* of all variants at this URL */
    est_ocsp_request request;
    char *get_url;
    est_buf body;
    est_fetch *fetch;
    est_code code; /* of the last answer */
    bool was_get;
} est_ocsp_work;

/* What came of one certificate, until the check is over. */
typedef struct est_job_note {
    X509 *certificate; /* lent, of the chain */
    estuary_verdict verdict;
    uint64_t ms;
} est_job_note;

struct est_revocation_job {
    estuary_revocation *checker;
    STACK_OF(X509) *chain;   /* leaf first */
    STACK_OF(X509) *helpers; /* the chain and what the checker was given */
    unsigned methods;
    int depth; /* of jobs about the signers of evidence */
    const atomic_bool *cancelled;
    est_blob staple;
    int index; /* of the certificate being looked at */
    est_question question;
    estuary_verdict *verdict;  /* of it */
    estuary_verdict *fallback; /* good, cached, soon to end; unknown: none */
    estuary_verdict *worst;    /* of the certificates before it */
    size_t worst_index;
    estuary_error *err;
    estuary_status status;
    int64_t started_at;
    est_job_note *notes; /* one for each certificate of the chain */
    size_t note_count;
    bool uncounted; /* it is not a check of its own */

    est_job_step step;
    bool running;            /* an exchange, or a child */
    bool asks_later;         /* with `engine` NULL: what would be asked for again counts not yet */
    bool advancing;          /* on_done may come from inside of a start */
    est_http_engine *engine; /* NULL: local evidence only */
    est_revocation_done_fn *on_done;
    void *arg;

    size_t item;   /* of local OCSP evidence */
    int method_at; /* of the methods, in their order */
    est_ocsp_work ocsp;
    est_crl_work crl;

    estuary_verdict *candidate; /* counts when every pair is good */
    STACK_OF(X509) *pairs;      /* certificate, issuer, … */
    int pair;
    est_job_step after_pairs;
    est_revocation_job *child;
};

bool est_job_may_ask(const est_revocation_job *job);
est_job_step est_job_fail(est_revocation_job *job, estuary_status status); /* err is set */
void est_job_go_on(est_revocation_job *job);                               /* from a callback */
/* The candidate counts when its pairs do; takes the references in *pairs (NULL is fine). */
est_job_step est_job_propose(est_revocation_job *job, STACK_OF(X509) **pairs, est_job_step after);
/* A signed answer said something else than "good": what is cached does not stand in for it. */
void est_job_drop_fallback(est_revocation_job *job);
/* What was learned of the certificate, by a source that says nothing about it. */
void est_job_note_unknown(estuary_verdict *verdict, const char *origin, const estuary_error *err);

/* job_record.c */
bool est_job_make_notes(est_revocation_job *job); /* false: memory is short */
void est_job_note_certificate(est_revocation_job *job);
void est_job_record(est_revocation_job *job); /* when it is over: into metrics and log */

/* job_ocsp.c */
est_job_step est_job_local_ocsp(est_revocation_job *job);
est_job_step est_job_begin_ocsp(est_revocation_job *job);
est_job_step est_job_ocsp(est_revocation_job *job);
est_job_step est_job_ocsp_after(est_revocation_job *job);
void est_ocsp_work_clear(est_ocsp_work *work);

/* job_crl.c */
est_job_step est_job_local_crl(est_revocation_job *job);
est_job_step est_job_crl_cached(est_revocation_job *job);
/* Something at hand says revoked, or might, so that what is known does not count yet. */
bool est_job_crl_is_open(const est_revocation_job *job);
est_job_step est_job_close_crl(est_revocation_job *job);
est_job_step est_job_crl_stale(est_revocation_job *job);
est_job_step est_job_crl_stale_after(est_revocation_job *job);
est_job_step est_job_begin_crl(est_revocation_job *job);
est_job_step est_job_crl(est_revocation_job *job);
est_job_step est_job_crl_delta(est_revocation_job *job);
est_job_step est_job_crl_judge(est_revocation_job *job);
est_job_step est_job_crl_after(est_revocation_job *job);
void est_crl_work_clear(est_crl_work *work);

#endif
