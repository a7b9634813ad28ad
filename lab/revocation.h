/* What the lab's revocation services and their misbehaviours know of each other. */
#ifndef ESTUARY_LAB_REVOCATION_H
#define ESTUARY_LAB_REVOCATION_H

#include "lab.h"

#include <openssl/ocsp.h>

#define LAB_MAX_QUESTIONS 16

/* ---- revoked.c: DIR/revoked/SERIAL.pem, which the command writes and a running lab reads ---- */

#define SERIAL_TEXT 96
#define NO_REASON   (-1)

struct revoked {
    ASN1_INTEGER *serial;
    time_t at;
    int reason; /* RFC 5280 5.3.1, or NO_REASON */
};

struct revoked_list {
    struct revoked *at;
    size_t count;
};

/* Hexadecimal digits as they stand in the names of files. */
bool serial_text(const ASN1_INTEGER *serial, char out[SERIAL_TEXT]);
/* What this issuer has revoked, in order of the serials' text. */
bool revoked_load(const struct ca *ca, const struct issuer *issuer, struct revoked_list *out);
void revoked_clear(struct revoked_list *list);
/* Good or revoked (then *out has time and reason), or unknown when the lab never issued it. */
int revocation_status(const struct ca *ca, const struct issuer *issuer, const ASN1_INTEGER *serial,
                      struct revoked *out);
/* The command: an exit code after saying on stdout what it did, or on stderr why not. */
int revoke_command(const struct options *o);
/* Without a word, for the lab's own use. */
bool revoke_certificate(const char *dir, X509 *certificate, int reason);

/* ---- ocsp.c, ocsp_encode.c, staple.c: RFC 6960 ---- */

struct ocsp_item {
    OCSP_CERTID *id;
    int status; /* V_OCSP_CERTSTATUS_… */
    int reason;
    time_t revoked_at;
};

/* An answer before it is encoded, for the misbehaviours to bend. */
struct ocsp_plan {
    int response_status;
    struct issuer issuer;
    struct ocsp_item items[LAB_MAX_QUESTIONS];
    size_t item_count;
    time_t produced_at;
    time_t this_update;
    time_t next_update;    /* 0: absent */
    X509_EXTENSION *nonce; /* owned, as in the request; NULL: none */
    X509 *signer;
    EVP_PKEY *key;
    const EVP_MD *digest;
    unsigned long flags;              /* of OCSP_basic_sign */
    X509_EXTENSION *extension;        /* owned; of the whole response */
    X509_EXTENSION *single_extension; /* owned; of each answer */
    bool corrupt;                     /* the signature */
    bool contradict;                  /* each answer again, with another status */
    struct delegate own;              /* owned, when a signer was made for this answer only */
};

bool ocsp_encode(const struct ocsp_plan *plan, struct bytes *der);
/* The honest plan for a request; NULL: one for this certificate, without nonce. */
bool ocsp_plan(const struct lab *lab, const OCSP_REQUEST *request, X509 *certificate, struct ocsp_plan *plan);
void ocsp_plan_clear(struct ocsp_plan *plan);
/* Fills ex->reply. */
void ocsp_handle(struct exchange *ex);

/* ---- crl.c, crl_encode.c: RFC 5280 5 ---- */

struct crl_plan {
    struct issuer issuer;
    const X509_NAME *name; /* NULL: the issuer's */
    X509 *signer;          /* whose key identifier it names */
    EVP_PKEY *key;
    const EVP_MD *digest;
    time_t this_update;
    time_t next_update; /* 0: absent */
    int64_t number;
    int64_t base;         /* 0: a complete CRL */
    const char *idp;      /* in the syntax of x509v3_config(5); NULL: absent */
    const char *freshest; /* the same */
    struct revoked_list list;
    X509_EXTENSION *extension;       /* owned */
    X509_EXTENSION *entry_extension; /* owned; of the first entry, which is made when there is none */
    bool corrupt;
    struct delegate own;
};

bool crl_encode(const struct crl_plan *plan, struct bytes *der);
void crl_plan_clear(struct crl_plan *plan);
/* /crl/NAME.crl and /crl/NAME-delta.crl: fills ex->reply; false: there is no such CRL. */
bool crl_handle(struct exchange *ex, const char *path);
struct crls *crls_new(void);
/* Makes the complete CRLs that deltas will be about. */
bool crls_start(struct lab *lab);
void crls_free(struct crls *crls);

/* ---- misbehave_evidence.c: what OCSP and CRL rows share ---- */

bool lie_status(struct exchange *ex, const struct misbehaviour *row);   /* number */
bool lie_redirect(struct exchange *ex, const struct misbehaviour *row); /* text */
bool lie_redirect_https(struct exchange *ex, const struct misbehaviour *row);
bool lie_redirect_loop(struct exchange *ex, const struct misbehaviour *row);
bool lie_redirect_once(struct exchange *ex, const struct misbehaviour *row);
void lie_type(struct exchange *ex, const struct misbehaviour *row); /* Content-Type: text, or none */
bool lie_text(struct exchange *ex, struct bytes *der, const struct misbehaviour *row); /* text as body */
bool lie_empty(struct exchange *ex, struct bytes *der, const struct misbehaviour *row);
bool lie_trailing(struct exchange *ex, struct bytes *der, const struct misbehaviour *row); /* number octets */
bool lie_truncated(struct exchange *ex, struct bytes *der, const struct misbehaviour *row); /* by number */
bool lie_length(struct exchange *ex, struct bytes *der, const struct misbehaviour *row);
bool lie_half(struct exchange *ex, const struct misbehaviour *row);
bool lie_close(struct exchange *ex, const struct misbehaviour *row);
bool lie_stall(struct exchange *ex, const struct misbehaviour *row);
bool lie_drip(struct exchange *ex, const struct misbehaviour *row);
bool lie_oversize(struct exchange *ex, const struct misbehaviour *row); /* number octets announced */
bool lie_endless(struct exchange *ex, const struct misbehaviour *row);
/* A certificate and key made for one answer; the key is m->own_key or a new one. */
bool lie_sign(struct delegate *own, struct mint *m);
/* OCSP hooks that staples share. */
bool lie_response_status(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row);
bool lie_certificate_status(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row);
bool lie_stranger(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row);
bool lie_signature(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row);
bool lie_stale(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row);
bool lie_future(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row);
bool lie_serial(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row);

/* ---- control.c: DIR/misbehave, read at each request ---- */

/* The misbehaviour of revocation that is wanted now: by that file, else by --misbehave; NULL: none. */
const struct misbehaviour *control_choice(const struct lab *lab, enum operation_bit operation);

#endif
