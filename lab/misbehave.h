/* Misbehaviours: a table row names one and says, by the hooks it fills, at which layer it bends the lab. */
#ifndef ESTUARY_LAB_MISBEHAVE_H
#define ESTUARY_LAB_MISBEHAVE_H

#include "lab.h"

struct bufferevent;
struct cmc_reply;
struct crl_plan;
struct key_package;
struct multipart;
struct ocsp_plan;

struct misbehaviour {
    const char *name;
    const char *about;   /* begins with "harmless:" where a client should succeed all the same */
    unsigned operations; /* bits of enum operation_bit; 0 = the TLS layer */

    /* TLS */
    bool (*chain)(const struct lab *lab, struct mint *leaf, STACK_OF(X509) *chain);
    bool (*link)(const struct lab *lab, struct mint *new_with_old, const struct misbehaviour *row);
    bool (*context)(const struct lab *lab, SSL_CTX *ctx, const struct misbehaviour *row);
    void (*greet)(struct door *door, struct bufferevent *bev, const struct misbehaviour *row);
    /* a certificate's description: the TLS one (ex is NULL) or the issued one */
    bool (*bend)(struct exchange *ex, struct mint *m, const struct misbehaviour *row);
    /* HTTP: answer and hold return true when they filled ex->reply in place of the operation */
    bool (*answer)(struct exchange *ex, const struct misbehaviour *row);
    bool (*hold)(struct exchange *ex, const struct misbehaviour *row);   /* once authorised, before issuing */
    void (*finish)(struct exchange *ex, const struct misbehaviour *row); /* a successful answer */
    bool (*transmit)(struct exchange *ex,
                     const struct misbehaviour *row); /* the bytes of a successful answer */
    /* fullcmc: the answer before it is encoded */
    bool (*cmc)(struct exchange *ex, struct cmc_reply *reply, const struct misbehaviour *row);
    /* serverkeygen: the private key's wrapping, and the two parts */
    bool (*package)(struct exchange *ex, struct key_package *p, const struct misbehaviour *row);
    bool (*parts)(struct exchange *ex, struct multipart *m, const struct misbehaviour *row);
    /* renewal-info: a good window is in json, for a certificate of this validity */
    bool (*window)(struct exchange *ex, time_t begin, time_t end, struct bytes *json,
                   const struct misbehaviour *row);
    /* EST body, in the order in which it is made */
    bool (*bundle)(struct exchange *ex, STACK_OF(X509) *certificates, const struct misbehaviour *row);
    bool (*body)(struct exchange *ex, struct bytes *der, const struct misbehaviour *row);
    bool (*encode)(struct exchange *ex, const struct bytes *der, struct bytes *text,
                   const struct misbehaviour *row);

    /* revocation: an OCSP response (also a staple) or a CRL before it is encoded */
    bool (*ocsp)(const struct lab *lab, struct ocsp_plan *plan, const struct misbehaviour *row);
    bool (*crl)(const struct lab *lab, struct crl_plan *plan, const struct misbehaviour *row);

    long number; /* parameters of a hook shared by several rows */
    const char *text;
};

struct misbehave_table {
    const struct misbehaviour *rows;
    size_t count;
};

extern const struct misbehave_table misbehave_tls;   /* certificates and chains */
extern const struct misbehave_table misbehave_hello; /* the handshake itself */
extern const struct misbehave_table misbehave_http;  /* proper HTTP, improper answers */
extern const struct misbehave_table misbehave_raw;   /* what no HTTP library would send */
extern const struct misbehave_table misbehave_issue; /* the issued certificate */
extern const struct misbehave_table misbehave_body;  /* CMS, base64, cacerts */
extern const struct misbehave_table misbehave_csrattrs;
extern const struct misbehave_table misbehave_rollover;  /* the old root's word for the new one */
extern const struct misbehave_table misbehave_template;  /* RFC 9908 */
extern const struct misbehave_table misbehave_digest;    /* the challenge */
extern const struct misbehave_table misbehave_renewal;   /* when to renew */
extern const struct misbehave_table misbehave_pop;       /* channel binding */
extern const struct misbehave_table misbehave_keygen;    /* server-generated keys */
extern const struct misbehave_table misbehave_fullcmc;   /* Full PKI Responses */
extern const struct misbehave_table misbehave_multipart; /* and their envelope */
extern const struct misbehave_table misbehave_ocsp;      /* the responder */
extern const struct misbehave_table misbehave_crl;       /* the CRLs */
extern const struct misbehave_table misbehave_staple;    /* OCSP in the handshake */

/* NAME or NAME@operation, for the first door; also: for one of its own. */
bool misbehave_choose(struct options *o, const char *choice);
bool misbehave_choose_also(struct options *o, const char *choice);
void misbehave_list(FILE *out);
/* NULL: there is none of this name. */
const struct misbehaviour *misbehave_find(const char *name, size_t len);
const struct misbehaviour *misbehave_greeting(const struct door *door);
/* Does anything bend the TLS layer of this door? */
bool misbehave_tls_layer(const struct door *door);

/* Each runs the hooks of the chosen rows; without any they do the honest thing or nothing. */
bool misbehave_server_identity(const struct door *door, SSL_CTX *ctx);
bool misbehave_link(struct lab *lab, struct mint *new_with_old);
bool misbehave_context(const struct door *door, SSL_CTX *ctx);
X509 *misbehave_mint(struct exchange *ex, struct mint *m);
bool misbehave_answer(struct exchange *ex);
bool misbehave_hold(struct exchange *ex);
void misbehave_finish(struct exchange *ex);
bool misbehave_transmit(struct exchange *ex);
bool misbehave_cmc(struct exchange *ex, struct cmc_reply *reply);
bool misbehave_package(struct exchange *ex, struct key_package *p);
bool misbehave_parts(struct exchange *ex, struct multipart *m);
bool misbehave_window(struct exchange *ex, time_t begin, time_t end, struct bytes *json);
bool misbehave_bundle(struct exchange *ex, STACK_OF(X509) *certificates);
bool misbehave_der(struct exchange *ex, struct bytes *der);
bool misbehave_encode(struct exchange *ex, const struct bytes *der, struct bytes *text);
bool misbehave_touches(const struct door *door, enum operation_bit operation);

/* misbehave_issue.c: bending hooks the TLS rows use too */
bool bend_validity(struct exchange *ex, struct mint *m, const struct misbehaviour *row);
bool bend_san(struct exchange *ex, struct mint *m, const struct misbehaviour *row);
bool bend_eku(struct exchange *ex, struct mint *m, const struct misbehaviour *row);
bool bend_issuer(struct exchange *ex, struct mint *m, const struct misbehaviour *row);
bool bend_signature(struct exchange *ex, struct mint *m, const struct misbehaviour *row);
bool bend_sha1(struct exchange *ex, struct mint *m, const struct misbehaviour *row);
/* A self-signed CA nobody knows; *key receives its key. */
X509 *rogue_root(const char *cn, time_t not_after, EVP_PKEY **key);
X509_EXTENSION *opaque_extension(bool critical, size_t size);

/* raw.c: a connection taken away from evhttp */
enum raw_end { RAW_CLOSE, RAW_ABRUPT, RAW_RESET, RAW_HANG };

struct raw_plan {
    struct evbuffer *first; /* sent at once; taken over */
    struct bytes drip;      /* then one byte a second; taken over */
    struct bytes repeat;    /* then this, again and again; taken over */
    unsigned long times;    /* ULONG_MAX: until the peer leaves */
    enum raw_end end;
};

bool raw_take_request(struct exchange *ex, struct raw_plan *plan);
bool raw_take_connection(struct lab *lab, struct bufferevent *bev, struct raw_plan *plan);
void raw_free_all(struct lab *lab);
/* Status line and headers of the reply, Content-Length only if not negative, then an empty line. */
struct evbuffer *raw_head(const struct exchange *ex, long content_length, const char *eol);

#endif
