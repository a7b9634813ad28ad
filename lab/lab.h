/* The lab certificate authority: what its files know of each other. For trying and testing only. */
#ifndef ESTUARY_LAB_H
#define ESTUARY_LAB_H

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

struct evbuffer;
struct evconnlistener;
struct event_base;
struct evhttp;
struct evhttp_request;

#define LAB_MINUTE 60L
#define LAB_DAY    86400L
#define LAB_YEAR   (365L * LAB_DAY)

#define LAB_MAX_BODY          (256 * 1024)
#define LAB_MAX_HEADERS       (32 * 1024)
#define LAB_IDLE_SECONDS      30
#define LAB_MAX_USERS         16
#define LAB_MAX_MISBEHAVIOURS 16
#define LAB_MAX_ALSO          512
#define LAB_MAX_HEADER_LINES  16
#define LAB_MAX_EXTENSIONS    8
#define LAB_MAX_KEKS          16

/* ---- bytes.c: a byte string that owns its memory; all zero is empty ---- */

struct bytes {
    unsigned char *data;
    size_t len;
    size_t room;
};

bool bytes_append(struct bytes *b, const void *data, size_t len);
bool bytes_set(struct bytes *b, const void *data, size_t len);
bool bytes_text(struct bytes *b, const char *text);
void bytes_clear(struct bytes *b);
/* Writes 2 * len digits and a NUL; sep (or 0) stands between the bytes and then needs len - 1 more. */
void hex_encode(const unsigned char *data, size_t len, const char *digits, char sep, char *out);
bool sha256_hex(const void *data, size_t len, char out[65]);

/* ---- base64.c ---- */

bool base64_encode(const struct bytes *in, size_t line, const char *eol, struct bytes *out);
bool base64_decode(const void *text, size_t len, struct bytes *out);

/* ---- der.c: just enough to write structures a library refuses to write ---- */

bool der_wrap(unsigned char tag, const struct bytes *content, struct bytes *out);
/* One element of the encoding: its whole length and its header's. */
bool der_element(const unsigned char *der, size_t len, size_t *header, size_t *total);

/* ---- json.c: a line of JSON, member by member ---- */

void json_string(struct evbuffer *out, const char *name, const char *value);
void json_number(struct evbuffer *out, const char *name, long long value);
void json_bool(struct evbuffer *out, const char *name, bool value);

/* ---- files.c: everything below --dir ---- */

char *path_join(const char *dir, const char *name);
bool file_read(const char *path, size_t max, struct bytes *out);
bool file_write(const char *path, const void *data, size_t len);
bool file_append_line(const char *path, const void *data, size_t len);
bool file_exists(const char *path);
bool dir_create(const char *path);
int dir_lock(const char *dir);
EVP_PKEY *file_read_key(const char *path);
bool file_write_key(const char *path, EVP_PKEY *key);
X509 *file_read_certificate(const char *path);
bool file_write_certificate(const char *path, X509 *certificate);

/* ---- options.c and source.c ---- */

enum auth_scheme {
    AUTH_BASIC = 1,
    AUTH_DIGEST_MD5 = 2,
    AUTH_DIGEST_SHA256 = 4,
    AUTH_DIGEST_UNNAMED = 8,
    AUTH_DIGEST_WEAK_FIRST = 16 /* MD5 is listed first, and not accepted */
};

struct user {
    char *name;
    char *password;
};

/* A secret that server-generated keys are encrypted with, known by its identifier. RFC 7030 4.4.1.1 */
struct kek {
    char *id;
    char *secret;
    bool password;
};

struct misbehaviour;

struct misbehave_choice {
    const struct misbehaviour *what;
    unsigned operations; /* bits of enum operation_bit it is allowed to touch */
    const char *text;    /* as the command line has it */
};

struct options {
    const char *dir;
    struct sockaddr_storage listen;
    socklen_t listen_len;
    char host[64]; /* what the URL says */
    struct user users[LAB_MAX_USERS];
    size_t user_count;
    unsigned auth;
    long pending;
    long retry_after;
    struct misbehave_choice misbehave[LAB_MAX_MISBEHAVIOURS];
    size_t misbehave_count;
    struct misbehave_choice also[LAB_MAX_ALSO]; /* each at a port of its own */
    size_t also_count;
    const char *csrattrs;
    long lifetime;
    int tls_version; /* 0 = 1.2 and 1.3 */
    const char *key_type;
    bool require_pop;
    bool cmc_signed_by_ca; /* not by an RA */
    bool cmc_anchors;
    bool rollover;
    bool staple;
    bool must_staple;
    bool ocsp_signed_by_ca; /* not by a delegate */
    bool delta;
    long ocsp_lifetime; /* 0: responses without nextUpdate */
    long crl_lifetime;
    const char *revoke; /* a serial number; NULL: run the lab */
    const char *reason;
    struct kek keks[LAB_MAX_KEKS];
    size_t kek_count;
};

enum options_verdict { OPTIONS_RUN, OPTIONS_REVOKE, OPTIONS_DONE, OPTIONS_WRONG };

enum options_verdict options_parse(struct options *o, int argc, char **argv);
void options_clear(struct options *o);
/* env:VAR, file:PATH or fd:N, without a trailing newline; NULL after saying why on stderr. */
char *source_read(const char *source);
void secret_free(char *secret);

/* ---- mint.c: a certificate from its description ---- */

struct mint {
    const X509_NAME *subject; /* or cn */
    const char *cn;
    EVP_PKEY *key; /* the key it certifies */
    X509 *issuer;  /* NULL: self-signed */
    EVP_PKEY *signer;
    const EVP_MD *digest; /* NULL: SHA-256 */
    time_t not_before;
    time_t not_after;
    const char *basic; /* extension values in the syntax of x509v3_config(5); NULL: absent */
    const char *key_usage;
    const char *eku;
    const char *san;
    const char *aia;
    const char *cdp;
    const char *constraints;
    X509_EXTENSION *extensions[LAB_MAX_EXTENSIONS]; /* owned; mint_clear frees them */
    size_t extension_count;
    bool negative_serial;
    bool corrupt_signature;
    X509 *own_issuer; /* owned, when the issuer or a key was made for this certificate only */
    EVP_PKEY *own_signer;
    EVP_PKEY *own_key;
    X509_NAME *own_subject;
};

X509 *mint_certificate(const struct mint *m);
bool mint_add_extension(struct mint *m, X509_EXTENSION *extension); /* takes it, also on failure */
/* Takes away what mint_add_extension added under this NID. */
void mint_drop_extension(struct mint *m, int nid);
void mint_clear(struct mint *m);
EVP_PKEY *new_key(const char *type);

/* ---- ca.c, server_certificate.c ---- */

/* A delegated OCSP signer. RFC 6960 4.2.2.2 */
struct delegate {
    EVP_PKEY *key;
    X509 *certificate;
};

struct ca {
    char *dir;
    char *anchors;   /* path of the file with the root */
    char *http_base; /* http://127.0.0.1:PORT2 */
    int lock;
    EVP_PKEY *root_key;
    X509 *root;
    EVP_PKEY *issuing_key;
    X509 *issuing;
    EVP_PKEY *server_key;
    X509 *server;
    bool must_staple; /* asked for by that certificate. RFC 7633 */
    struct delegate root_ocsp;
    struct delegate issuing_ocsp;
    const char *generation; /* "" or, with --rollover, "-new": in the names of files and URLs */
    EVP_PKEY *old_root_key; /* with --rollover: what the ones above take over from */
    X509 *old_root;
    EVP_PKEY *old_issuing_key;
    X509 *old_issuing;
    struct delegate old_root_ocsp;
    struct delegate old_issuing_ocsp;
    X509 *old_with_new;
    X509 *new_with_old; /* NULL also where a misbehaviour leaves it out */
    char *new_anchors;
};

bool ca_open(struct ca *ca, const char *key_type);
/* Root and issuing CA of ca->generation, made when absent. */
bool ca_open_pairs(struct ca *ca, const char *key_type);
/* One of the lab's CAs as its revocation services see it; everything lent. */
struct issuer {
    const char *name; /* in the paths of what it publishes; NULL: there is no such CA */
    X509 *certificate;
    EVP_PKEY *key;
    const struct delegate *ocsp;
};

#define LAB_ISSUERS 4
/* The current root and issuing CA, and with a rollover the old ones. */
void ca_issuers(const struct ca *ca, struct issuer out[LAB_ISSUERS]);
/* Values of AIA and CDP: where the issuer called root or issuing is published. */
struct urls {
    char aia[160];
    char cdp[160];
};
struct urls ca_urls(const struct ca *ca, const char *issuer);
void ca_close(struct ca *ca);
bool ca_fingerprint(const X509 *certificate, char out[96]);
/* Keeps a copy of what was issued and a line in the serial database. */
bool ca_record(const struct ca *ca, X509 *certificate);
/* The honest description of the lab's own TLS certificate, for the misbehaviours to bend. */
bool server_certificate_describe(const struct ca *ca, struct mint *m);
bool server_certificate_open(struct ca *ca, const char *host);

/* ---- the lab itself ---- */

/* A port, and how the lab goes wrong for those who come by it. CA, users and what waits are the lab's. */
struct door {
    struct lab *lab;
    const struct misbehave_choice *choices;
    size_t choice_count;
    struct evhttp *https;
    struct evconnlistener *greeter; /* the listener of misbehaviours that speak no proper TLS */
    SSL_CTX *tls;
    uint16_t port;
    bool stale_told; /* digest-stale-once has had its turn */
};

struct lab {
    struct options options;
    struct ca ca;
    struct event_base *base;
    struct evhttp *http;
    struct door *doors; /* the first is the one of --listen and --misbehave, the rest of --also */
    size_t door_count;
    struct bytes csrattrs;
    char *access_log;
    struct nonces *nonces;
    struct raw *raws; /* connections taken over from evhttp */
    uint16_t http_port;
    long connections;
    struct crls *crls; /* published CRLs, as long as they are current */
};

/* ---- tls.c, server.c, publish.c ---- */

SSL_CTX *tls_context(const struct door *door);
bool tls_use_chain(SSL_CTX *ctx, X509 *leaf, EVP_PKEY *key, STACK_OF(X509) *chain);
bool server_start(struct lab *lab);
bool publish_start(struct lab *lab);
/* As HTTP writes dates. */
void http_date(time_t at, char out[64]);
/* The staple of the lab's own certificate. RFC 6066 8 */
bool staple_use(struct lab *lab, SSL_CTX *ctx);
void server_stop(struct lab *lab);
struct evconnlistener *listen_on(struct lab *lab, const struct sockaddr *address, socklen_t len);
uint16_t listener_port(struct evconnlistener *listener);

/* ---- rollover.c: RFC 7030 4.1.3, RFC 4210 4.4 ---- */

bool rollover_open(struct lab *lab);
bool rollover_add(const struct ca *ca, STACK_OF(X509) *certificates);

/* ---- reply.c: an answer before it is sent ---- */

struct header {
    const char *name;
    char *value;
};

struct reply {
    int status;
    const char *reason;
    struct header headers[LAB_MAX_HEADER_LINES];
    size_t header_count;
    struct bytes body;
};

struct exchange;

bool reply_header(struct reply *r, const char *name, const char *value);
void reply_drop_header(struct reply *r, const char *name);
void reply_set(struct reply *r, int status, const char *reason);
/* A status with a sentence for people. RFC 7030 4.2.3 */
void reply_text(struct reply *r, int status, const char *reason, const char *text);
void reply_clear(struct reply *r);
void reply_send(struct exchange *ex);

/* ---- est.c, enroll.c ---- */

enum operation_bit {
    OP_CACERTS = 1,
    OP_CSRATTRS = 2,
    OP_SIMPLEENROLL = 4,
    OP_SIMPLEREENROLL = 8,
    OP_SERVERKEYGEN = 16,
    OP_RENEWAL_INFO = 32,
    OP_FULLCMC = 64,
    OP_OCSP = 128, /* these three are no operations of EST: misbehaviours of revocation */
    OP_CRL = 256,
    OP_STAPLE = 512,
    OP_REVOCATION = OP_OCSP | OP_CRL | OP_STAPLE,
    OP_ISSUE = OP_SIMPLEENROLL | OP_SIMPLEREENROLL | OP_SERVERKEYGEN | OP_FULLCMC,
    OP_CERTS = OP_CACERTS | OP_ISSUE,
    OP_ALL = OP_CERTS | OP_CSRATTRS | OP_RENEWAL_INFO
};

struct operation {
    const char *name;
    enum operation_bit bit;
    bool post;
    bool has_id; /* OPERATION/ID */
    void (*handle)(struct exchange *ex);
};

struct exchange {
    struct lab *lab;
    struct door *door; /* NULL on the plain HTTP side: the first one's misbehaviours */
    struct evhttp_request *req;
    SSL *ssl;
    X509 *client; /* verified in the handshake, or NULL */
    const struct operation *operation;
    char label[64];
    const char *id; /* after the operation's name, or NULL */
    struct bytes body;
    const char *user; /* who proved a password, or NULL */
    const char *pop;  /* tls-exporter, tls-unique, missing or wrong; NULL: not looked at */
    const char *misbehaved;
    const struct misbehaviour *lie; /* of revocation, chosen for this request */
    X509_REQ *csr;
    EVP_PKEY *key; /* made here (serverkeygen), certified in place of the request's */
    struct reply reply;
};

unsigned operation_by_name(const char *name, size_t len);
void est_handle(struct evhttp_request *req, void *arg);
/* Encodes and dresses a successful answer. RFC 7030 4.1.3, 4.2.3, 4.5.2; RFC 8951 3.1 */
void est_answer(struct exchange *ex, const char *content_type, const struct bytes *der);
bool cms_certs_only(STACK_OF(X509) *certificates, struct bytes *der);
void est_answer_certificates(struct exchange *ex, STACK_OF(X509) *certificates);
/* 202 for requests that wait. RFC 7030 4.2.3 */
bool enroll_hold_back(struct exchange *ex);
/* Reads ex->csr; false: refused. RFC 7030 4.2.1 */
bool enroll_read_request(struct exchange *ex);
void simpleenroll_handle(struct exchange *ex);
void simplereenroll_handle(struct exchange *ex);
void fullcmc_handle(struct exchange *ex);
void serverkeygen_handle(struct exchange *ex);

/* ---- csr.c, change_subject.c, issue.c ---- */

/* any_signature: neither its signature nor its key are of use. RFC 7030 4.4.1 */
X509_REQ *csr_read(const struct bytes *body, bool any_signature, const char **why);
X509_EXTENSION *csr_extension(const X509_REQ *csr, int nid);
/* RFC 7030 4.2.2: subject and SubjectAltName as in the certificate being renewed. */
const char *csr_differs(const X509_REQ *csr, const X509 *certificate);
/* Names a renewal asked for in place of the old ones, if it did; false: the request is not understood. */
bool change_subject(struct mint *m, const X509_REQ *csr);
X509 *issue_certificate(struct exchange *ex);

/* ---- pop.c: the channel binding in challengePassword. RFC 7030 3.5 ---- */

/* Verifies ex->csr against the session from the server's own end; false: refused, ex->reply says why. */
bool pop_check(struct exchange *ex);
/* The csrattrs of a server that wants the binding. */
bool pop_ask(const struct bytes *asked, struct bytes *out);

/* ---- renewal_info.c ---- */

void renewal_info_handle(struct exchange *ex);
bool renewal_info_encode(time_t start, time_t end, struct bytes *json);

/* ---- pending.c: how often a key has asked before it is served ---- */

long pending_asked(const struct lab *lab, EVP_PKEY *key);
bool pending_remember(const struct lab *lab, EVP_PKEY *key, long asked);
bool pending_forget(const struct lab *lab, EVP_PKEY *key);

/* ---- auth.c, auth_basic.c, auth_digest.c ---- */

/* Sets ex->user when the Authorization header proves one; *stale for a good Digest with an old nonce. */
bool auth_check(struct exchange *ex, bool *stale);
void auth_challenge(struct exchange *ex, bool stale);
const struct user *auth_basic(const struct lab *lab, const char *credentials);
const struct user *auth_digest(struct exchange *ex, const char *credentials, bool *stale);
struct nonces *nonces_new(void);
void nonces_free(struct nonces *n);
/* A fresh nonce, valid until the struct nonces is freed or 256 more were made. */
const char *nonces_issue(struct nonces *n);

/* ---- access_log.c ---- */

void access_log(struct exchange *ex);
void access_log_plain(struct exchange *ex);

#endif
