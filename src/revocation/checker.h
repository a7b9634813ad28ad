/* Private to src/revocation. */
#ifndef EST_REVOCATION_CHECKER_H
#define EST_REVOCATION_CHECKER_H

#include "revocation/revocation.h"

typedef struct est_blob {
    uint8_t *bytes; /* owned */
    size_t len;
} est_blob;

struct est_crl_cache;

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
    time_t at; /* 0: now */
    estuary_anchors *anchors;
    STACK_OF(X509) *certs; /* never NULL */
    est_urls crls;         /* files and URLs given by hand */
    est_blob *responses;   /* OCSP responses given by hand */
    size_t response_count;
    int folder; /* -1: none */
    est_ocsp_cache *ocsp_cache;
    struct est_crl_cache *crl_cache;
};

/* checker.c: caches are made at the first use. */
estuary_status est_checker_begin(estuary_revocation *checker, estuary_error *err);
int64_t est_checker_limit(const estuary_revocation *checker, estuary_revocation_limit which);
/* With time_t at set, evidence is neither taken from the caches nor put there. */
bool est_checker_caches(const estuary_revocation *checker);

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

#define EST_CRL_INDEX_SUFFIX ".crl.index"

/* crl_cache.c: CRLs by URL, in a folder or in unnamed files; locked inside */

typedef struct est_crl_cache est_crl_cache;

typedef struct est_crl_cached {
    int fd;                                    /* owned, at any position; -1: nothing is there */
    char name[68];                             /* of the file, without suffix; "" without a folder */
    char *url, *etag, *last_modified, *issuer; /* owned */
    time_t fetched_at, this_update, next_update;
    int64_t bytes;
    bool is_delta;
} est_crl_cached;

estuary_status est_crl_cache_new(int folder, int64_t max_entries, est_crl_cache **out, estuary_error *err);
void est_crl_cache_free(est_crl_cache *cache);
void est_crl_cached_clear(est_crl_cached *cached);
/* Whatever is there for url; its dates are hints for fetching, nothing else. false: nothing. */
bool est_crl_cache_get(est_crl_cache *cache, const char *url, est_crl_cached *out);
/* A file to download to: *fd is owned by the caller, name (size 40) is for the next two. */
#define EST_CRL_TEMP_SIZE 40
estuary_status est_crl_cache_begin(est_crl_cache *cache, int *fd, char name[EST_CRL_TEMP_SIZE],
                                   estuary_error *err);
void est_crl_cache_drop(est_crl_cache *cache, const char *name);
/*
 * What was downloaded and verified takes its place under facts->url, unless what is there is newer (R0).
 * facts->fd is the file; it stays the caller's.
 */
estuary_status est_crl_cache_commit(est_crl_cache *cache, const char *name, const est_crl_cached *facts,
                                    estuary_error *err);
/* 304: it was asked for now. */
void est_crl_cache_touch(est_crl_cache *cache, const char *url, time_t now);
estuary_status est_crl_cache_list(est_crl_cache *cache, estuary_cache_fn *fn, void *arg, estuary_error *err);
estuary_status est_crl_cache_clear(est_crl_cache *cache, size_t *removed, estuary_error *err);

/* crl_source.c: a verified CRL out of a file */

/* The whole file through the reader. `question` gives the certificate to look for and who may have signed. */
estuary_status est_crl_read_fd(int fd, const est_question *question, int64_t max_bytes, est_crl **out,
                               estuary_error *err);
estuary_status est_crl_read_file(const char *path, const est_question *question, int64_t max_bytes,
                                 est_crl **out, estuary_error *err);

/* crl_fetch.c */

/*
 * What the cache has for url, verified again: in force, and *is_recent when nobody need be asked.
 * *out NULL: nothing. Fails only for memory.
 */
estuary_status est_crl_from_cache(estuary_revocation *checker, const est_question *question, const char *url,
                                  bool *is_recent, est_crl **out, estuary_error *err);

typedef struct est_crl_fetch est_crl_fetch;
/* crl (the receiver's) is NULL when status is not ESTUARY_OK. May free the fetch. */
typedef void est_crl_fetch_done_fn(void *arg, estuary_status status, est_crl *crl, bool from_cache,
                                   const estuary_error *err);
typedef struct est_crl_fetch_plan {
    estuary_revocation *checker;
    est_http_engine *engine;
    const est_question *question; /* must stay as it is until on_done */
    const char *url;
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
    EST_JOB_LOCAL_END,
    EST_JOB_METHOD,
    EST_JOB_OCSP,
    EST_JOB_OCSP_AFTER,
    EST_JOB_CRL,
    EST_JOB_CRL_DELTA,
    EST_JOB_CRL_JUDGE,
    EST_JOB_CRL_AFTER,
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
} est_crl_work;

/* An OCSP exchange under way. */
typedef struct est_ocsp_work {
    est_urls urls;
    size_t at;
    int variant; /* 0: SHA-1 by GET where it fits, 1: SHA-1 by POST, 2: SHA-256 by POST */
    est_ocsp_request request;
    char *get_url;
    est_buf body;
    est_fetch *fetch;
    est_code code; /* of the last answer */
    bool was_get;
} est_ocsp_work;

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
/* What was learned of the job's certificate, by a source that says nothing about it. */
void est_job_note_unknown(est_revocation_job *job, const char *origin, const estuary_error *err);

/* job_ocsp.c */
est_job_step est_job_local_ocsp(est_revocation_job *job);
est_job_step est_job_begin_ocsp(est_revocation_job *job);
est_job_step est_job_ocsp(est_revocation_job *job);
est_job_step est_job_ocsp_after(est_revocation_job *job);
void est_ocsp_work_clear(est_ocsp_work *work);

/* job_crl.c */
est_job_step est_job_local_crl(est_revocation_job *job);
est_job_step est_job_begin_crl(est_revocation_job *job);
est_job_step est_job_crl(est_revocation_job *job);
est_job_step est_job_crl_delta(est_revocation_job *job);
est_job_step est_job_crl_judge(est_revocation_job *job);
est_job_step est_job_crl_after(est_revocation_job *job);
void est_crl_work_clear(est_crl_work *work);

#endif
