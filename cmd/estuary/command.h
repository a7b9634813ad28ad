/*
 * The command: parse, call, print. Public headers of the library only.
 *
 * Functions that can fail return an exit code, 0 for done; the failure itself is kept in the context and
 * printed once, at the end, as text or JSON.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include <estuary/estuary.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define PRINTF(fmt_index) __attribute__((format(printf, fmt_index, fmt_index + 1)))

#define EXIT_DONE  0
#define EXIT_OTHER 1

/* Leaves through cleanup: when a step fails; `result` is the function's exit code. */
#define TRY(expression)                                                                                      \
    do {                                                                                                     \
        result = (expression);                                                                               \
        if (result != EXIT_DONE)                                                                             \
            goto cleanup;                                                                                    \
    } while (0)

/* options.c: one table for all commands */

typedef enum option_id {
    OPT_JSON = 0,
    OPT_QUIET,
    OPT_VERBOSE,
    OPT_LOG_FORMAT,
    OPT_CONFIG,
    OPT_FIPS,
    OPT_CACHE,
    OPT_HELP,
    OPT_SERVER,
    OPT_LABEL,
    OPT_TRUST,
    OPT_USER,
    OPT_PASSWORD,
    OPT_PREEMPTIVE_AUTH,
    OPT_CERT,
    OPT_KEY,
    OPT_PIN,
    OPT_TPM_OWNER_AUTH,
    OPT_TPM_PARENT_AUTH,
    OPT_INSECURE_KEY_PERMISSIONS,
    OPT_ALLOW_EXPIRED,
    OPT_TIMEOUT,
    OPT_PROXY,
    OPT_PROXY_USER,
    OPT_PROXY_PASSWORD,
    OPT_MAX_WAIT,
    OPT_POP,
    OPT_REVOCATION,
    OPT_FINGERPRINT,
    OPT_CSR,
    OPT_SUBJECT,
    OPT_SAN,
    OPT_KEY_USAGE,
    OPT_EKU,
    OPT_EXTENSION,
    OPT_CSRATTRS,
    OPT_NEW_KEY,
    OPT_KEY_OUT,
    OPT_SAME_KEY,
    OPT_OUT,
    OPT_OUTPUT,
    OPT_INSPECT,
    OPT_CHAIN,
    OPT_HOST,
    OPT_AT,
    OPT_YES,
    OPT_CMC_IDENTITY,
    OPT_CMC_SECRET,
    OPT_CMC_BODY,
    OPT_DECRYPT_KEY,
    OPT_DECRYPT_KEK,
    OPT_DECRYPT_PASSWORD,
    OPT_ISSUER,
    OPT_CRL,
    OPT_OCSP_RESPONSE,
    OPT_POLICY,
    OPT_METHOD,
    OPT_MAX_AGE,
    OPT_OFFLINE,
    OPT_COUNT
} option_id;

/* Where a value comes from; a later one replaces an earlier one. */
typedef enum option_origin { ORIGIN_NONE = 0, ORIGIN_GLOBAL, ORIGIN_SECTION, ORIGIN_ARGUMENT } option_origin;

#define OPTION_VALUES_MAX 256

typedef struct option_value {
    option_origin origin;
    size_t count; /* of values; for flags: how often it was given */
    const char **items;
} option_value;

typedef struct context context;

typedef struct subcommand {
    const char *name;
    const char *summary;
    const char *usage;      /* what follows the name, lines ended by \n */
    const char *positional; /* NULL: none is taken */
    unsigned mask;
    int (*run)(context *ctx);
} subcommand;

/* The commands an option belongs to. */
#define IN_BOOTSTRAP    0x01u
#define IN_CACERTS      0x02u
#define IN_CSRATTRS     0x04u
#define IN_CSR          0x08u
#define IN_ENROLL       0x10u
#define IN_REENROLL     0x20u
#define IN_VERIFY       0x40u
#define IN_VERSION      0x80u
#define IN_FULLCMC      0x100u
#define IN_KEY          0x400u
#define IN_SERVERKEYGEN 0x200u
#define IN_REVOCATION   0x800u
#define IN_CACHE        0x1000u

/* The failure that ends the run. */
typedef struct failure_info {
    int exit_code;
    char code[64];
    const char *category;
    char message[1024];
    char detail[2048];
    char remedy[512];
    int http_status;
    time_t retry_at;
    bool retryable;
} failure_info;

struct context {
    const subcommand *command; /* NULL before it is known */
    option_value options[OPT_COUNT];
    const char *positional;
    const char *more[2]; /* what follows it, for key */
    char **owned;        /* strings of the configuration file */
    size_t n_owned;
    bool json;
    int verbosity; /* -1 with -q, else the number of -v */
    estuary_error *err;
    estuary_log *log;
    char *key_name; /* of --key that is not copied, when it is the key to certify: what DIR/key.uri says */
    estuary_secret *pin;         /* --pin, once it was read */
    estuary_revocation *checker; /* NULL: revocation is not looked at */
    failure_info failure;
    json_t *result; /* printed with --json */
    json_t *extra;  /* printed beside the error with --json */
};

extern const subcommand commands[]; /* ended by a NULL name */

const subcommand *command_find(const char *name);
int options_parse(context *ctx, int argc, char **argv);
/* After the configuration file: what goes together and what does not. */
int options_finish(context *ctx);
void options_free(context *ctx);
void options_help(const subcommand *command); /* NULL: the overview */

/* env:, file:, fd:, credential: or prompt */
bool option_is_secret_source(const char *text);
/* Used unless the user has given another; text lives as long as ctx. */
int option_default(context *ctx, option_id id, const char *text);
/* As if it had not been given. */
void option_forget(context *ctx, option_id id);
bool option_given(const context *ctx, option_id id);
/* The value, or the first; NULL when it was not given. */
const char *option_text(const context *ctx, option_id id);
const char *option_name(option_id id); /* "--server" */
/* usage.option when it was not given. */
int option_need(context *ctx, option_id id, const char *why);
/* Of two that exclude each other the one from nearer to the user stays; both from there is an error. */
int option_exclude(context *ctx, option_id a, option_id b);
/* A whole number in min..max. */
int option_number(context *ctx, option_id id, long min, long max, long *out);
/* From the configuration file: `name` is the long name. `where` is for the error. */
int option_set(context *ctx, const char *name, const char *value, option_origin origin, const char *where);

/* config_file.c */

int config_file_read(context *ctx, const char *path);
/* A copy that lives as long as the options. */
char *context_keep(context *ctx, const char *text);

/* output.c */

/* Keeps the failure; returns its exit code. `code` must be in the library's error table. */
int fail(context *ctx, const char *code, const char *remedy, const char *fmt, ...) PRINTF(4);
/* The library's error in ctx->err; 0 when status is ESTUARY_OK. */
int check(context *ctx, estuary_status status);
int fail_memory(context *ctx);
void failure_add_hint(context *ctx, const char *hint);

/* A line of text on stdout, not with --json or -q. */
void say(const context *ctx, const char *fmt, ...) PRINTF(2);
/* "  name        text", not with --json or -q. */
void say_row(const context *ctx, const char *name, const char *fmt, ...) PRINTF(3);
/* What the caller asked for (PEM): also with -q, not with --json. */
void say_raw(const context *ctx, const char *text);
/* A warning to the log. */
void warn(const context *ctx, const char *event, const char *message);

/* Into ctx->result; text is cleaned. */
void put_text(json_t *object, const char *name, const char *text);
void put_time(json_t *object, const char *name, time_t at);
void put(json_t *object, const char *name, json_t *value);

/* Control bytes and what is not UTF-8 replaced; size > 0. */
void clean_text(const char *text, char *out, size_t size);
/* Prints result or failure; the process's exit code. */
int output_finish(context *ctx, int result);

#define TIME_TEXT_SIZE 32
void time_text(time_t at, char out[TIME_TEXT_SIZE]);
bool time_parse(const char *text, time_t *out);
/* "in 30 days", "2 hours ago" */
#define SPAN_TEXT_SIZE 48
void span_text(time_t from, time_t to, char out[SPAN_TEXT_SIZE]);

/* describe.c: certificates, requests and findings, in words and as JSON */

typedef struct certificate_text {
    char subject[512];
    char issuer[512];
    char serial[80];
    char fingerprint[ESTUARY_FINGERPRINT_TEXT_SIZE];
    char not_before[TIME_TEXT_SIZE];
    char not_after[TIME_TEXT_SIZE];
    time_t expires;
} certificate_text;

int describe_certificate(context *ctx, const X509 *certificate, certificate_text *out);
json_t *certificate_json(const certificate_text *text);
/* all: also what passed. */
void say_findings(const context *ctx, const estuary_findings *findings, bool all);
json_t *findings_json(const estuary_findings *findings);

/* files.c */

/* A small regular file; free(*out). */
int read_small_file(context *ctx, const char *path, const char *code, unsigned char **out, size_t *len);
int read_certificates(context *ctx, const char *path, STACK_OF(X509) **out);
int read_request(context *ctx, const char *path, X509_REQ **out);
/* To -o FILE, or to stdout; with --json as `name`. */
int write_output(context *ctx, const char *name, const char *text);

/* session.c */

typedef struct tls_identity {
    X509 *certificate;
    STACK_OF(X509) *chain;
    EVP_PKEY *key;
} tls_identity;

void identity_free(tls_identity *identity);
/* --cert and --key, when given. */
int identity_open(context *ctx, tls_identity *identity);
/* --key with --pin. */
int key_open(context *ctx, EVP_PKEY **out);
/* Everything but credentials; nothing is read that only dialing needs. */
int session_config(context *ctx, const tls_identity *identity, estuary_config **out);
/* Passwords, read at the last moment. */
int session_credentials(context *ctx, estuary_config *config);
int session_client(context *ctx, const estuary_config *config, estuary_client **out);
void session_client_free(estuary_client *client);
int anchors_open(context *ctx, estuary_anchors **out);
int log_open(context *ctx);
void progress_clear(void);

/* hardware_key.c */

bool key_is_hardware(const char *uri); /* pkcs11:, tpm2: or handle: */
/* --pin, read at the first call, since a prompt or descriptor gives it once. Lent; NULL when not given. */
int pin_get(context *ctx, const estuary_secret **out);
int tpm_auth_set(context *ctx);        /* where a TPM's key is named; before threads start */
char *absolute_path(const char *path); /* free(); NULL when its folder is not there */
/* The URI that names this key in a token or TPM wherever we are, without a PIN. OPENSSL_free(). */
int key_exact_name(context *ctx, const char *uri, char **out);

/* key_file.c */

/* --key-out as a path, when it was a file: URI. */
int key_out_as_path(context *ctx);
/* "file:" and the absolute path; free(); NULL when its folder is not there. */
char *key_file_uri(const char *path);
/* Inside of --out, which is replaced as a whole? */
bool path_is_in_out(const context *ctx, const char *path);
/* Sets ctx->key_name when the file of the key has a passphrase. */
int key_keep_protected(context *ctx, const char *uri, unsigned flags);

/* checker.c: revocation checking as the options say */

/* With --cache or the default folder, --proxy, --timeout and the log; for `revocation` and `cache` alike. */
int checker_open(context *ctx, estuary_revocation **out);
/* --revocation, into the config; nothing with "off". */
int checker_for_session(context *ctx, estuary_config *config);
/* --proxy for ctx->checker, when both are there. */
int checker_proxy(context *ctx, const estuary_secret *password);

/* signals.c */

void signals_set_up(bool json);
void signals_watch(estuary_client *client); /* NULL: nothing to cancel */
/* Around a call that cannot be cancelled and leaves nothing behind: a signal then just ends the process. */
void signals_may_exit(bool yes);
bool signals_came(void);

/* request_input.c */

/* Subject, names, usages and extensions of the options. */
int request_names(context *ctx, estuary_csr *csr);
bool request_names_given(const context *ctx);
int request_report(context *ctx, const X509_REQ *request);
char *request_to_pem(const X509_REQ *request); /* OPENSSL_free */

/* enrollment.c: what enroll and reenroll share */

typedef struct enroll_job {
    estuary_operation operation;
    tls_identity identity;
    EVP_PKEY *key;        /* to certify; NULL while it is to be made, or when signed elsewhere */
    bool make_key;        /* a new one, of `algorithm` */
    bool algorithm_given; /* by the caller, so that nothing else may do */
    char algorithm[64];
    bool in_hardware;  /* the new key is made in a token or TPM, */
    bool beside;       /* where another key lives */
    const char *place; /* lent: --key-out, or with `beside` that key's URI */
    char *key_uri;     /* of the new key there */
    estuary_csr *csr;  /* NULL: `request` was signed elsewhere */
    X509_REQ *request; /* --csr */
    X509 *old;         /* lent; for reenroll */
    estuary_config *config;
    estuary_server *server;
    estuary_store *store;
    estuary_client *client;
    estuary_enrollment *enrollment;
    estuary_secret *cmc_secret;  /* for fullcmc */
    estuary_request *decryption; /* for serverkeygen: how the private key shall be encrypted */
    bool resumed;
} enroll_job;

int job_run(context *ctx, enroll_job *job);
void job_free(enroll_job *job);
/* hardware_key.c: where a new key goes; refuses what no key can be made at. */
int new_key_place(context *ctx, enroll_job *job);
int key_out_is_outside(context *ctx); /* of --out */
int job_make_key(context *ctx, enroll_job *job);
/* A new key in hardware that will not get its certificate goes again; true for other keys. DIR.pending names
 * it until the caller removes that. */
bool job_destroy_key(context *ctx, enroll_job *job);
/* Destroys what a killed run made, or began to destroy. */
int job_end_intent(context *ctx, const enroll_job *job);
/* Opens the new key in hardware of a pending request. *other: the request's key is not of this job. */
int job_pending_key(context *ctx, enroll_job *job, EVP_PKEY **own, bool *other);
/* enroll.c: key, names or request, and identity of the options; nothing is dialed. */
int job_prepare(context *ctx, enroll_job *job);
/* fullcmc.c: what only fullcmc has; nothing for the others. */
int job_cmc_secret(context *ctx, enroll_job *job);
int job_cmc_request(context *ctx, const enroll_job *job, estuary_request *request);
/* serverkeygen.c: what only serverkeygen has. Secrets, read at the last moment. */
int job_keygen_secret(context *ctx, enroll_job *job);
/* A new request, for every operation; for serverkeygen it says how to encrypt. */
int job_keygen_request(context *ctx, enroll_job *job, estuary_request **request);
/* Makes the key that the server sent the one to store. */
int job_keygen_take_key(context *ctx, enroll_job *job);
/* summary.c */
int job_report(context *ctx, const enroll_job *job);
/* resume.c: takes over a pending request when it is the one asked for. */
int job_load_pending(context *ctx, enroll_job *job);

/* bootstrap.c: --fingerprint */

#define FINGERPRINTS_MAX 64

/* What the options and their files name; the texts of files are in `owned`. */
typedef struct fingerprints {
    const char *items[FINGERPRINTS_MAX];
    size_t count;
    char *owned[FINGERPRINTS_MAX];
    size_t n_owned;
} fingerprints;

int fingerprints_read(context *ctx, fingerprints *all);
void fingerprints_free(fingerprints *all);

/* cacerts.c */
int show_anchors(context *ctx, const estuary_anchors *anchors, bool words);

/* rollover.c: after a failure with the exit code `result`, which stays when there is no root rollover behind
 * it */

/* EXIT_DONE: *out is what the CA has now, vouched for by --trust. */
int rollover_recover(context *ctx, const estuary_config *config, int result, estuary_anchors **out);
/* Says that the CA has a new root, and which command fetches it. */
void rollover_hint(context *ctx);

int run_bootstrap(context *ctx);
int run_cacerts(context *ctx);
int run_csrattrs(context *ctx);
int run_csr(context *ctx);
int run_enroll(context *ctx);
int run_fullcmc(context *ctx);
int run_key(context *ctx);
int run_reenroll(context *ctx);
int run_serverkeygen(context *ctx);
int run_verify(context *ctx);
int run_version(context *ctx);
int run_revocation(context *ctx);
int run_cache(context *ctx);

#endif
