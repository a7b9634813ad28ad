/* Misbehaviours: a table row names one and says, by the hooks it fills, at which layer it bends the lab. */
#ifndef ESTUARY_LAB_MISBEHAVE_H
#define ESTUARY_LAB_MISBEHAVE_H

#include "lab.h"

struct bufferevent;

struct misbehaviour {
    const char *name;
    const char *about;   /* begins with "harmless:" where a client should succeed all the same */
    unsigned operations; /* bits of enum operation_bit; 0 = the TLS layer */

    /* TLS */
    bool (*chain)(const struct lab *lab, struct mint *leaf, STACK_OF(X509) *chain);
    bool (*context)(const struct lab *lab, SSL_CTX *ctx, const struct misbehaviour *row);
    void (*greet)(struct lab *lab, struct bufferevent *bev, const struct misbehaviour *row);
    /* a certificate's description: the TLS one (ex is NULL) or the issued one */
    bool (*bend)(struct exchange *ex, struct mint *m, const struct misbehaviour *row);
    /* HTTP: answer and hold return true when they filled ex->reply in place of the operation */
    bool (*answer)(struct exchange *ex, const struct misbehaviour *row);
    bool (*hold)(struct exchange *ex, const struct misbehaviour *row);   /* once authorised, before issuing */
    void (*finish)(struct exchange *ex, const struct misbehaviour *row); /* a successful answer */
    bool (*transmit)(struct exchange *ex,
                     const struct misbehaviour *row); /* the bytes of a successful answer */
    /* EST body, in the order in which it is made */
    bool (*bundle)(struct exchange *ex, STACK_OF(X509) *certificates, const struct misbehaviour *row);
    bool (*body)(struct exchange *ex, struct bytes *der, const struct misbehaviour *row);
    bool (*encode)(struct exchange *ex, const struct bytes *der, struct bytes *text,
                   const struct misbehaviour *row);

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

/* NAME or NAME@operation. */
bool misbehave_choose(struct options *o, const char *choice);
void misbehave_list(FILE *out);
const struct misbehaviour *misbehave_greeting(const struct lab *lab);

/* Each runs the hooks of the chosen rows; without any they do the honest thing or nothing. */
bool misbehave_server_identity(struct lab *lab, SSL_CTX *ctx);
bool misbehave_context(struct lab *lab, SSL_CTX *ctx);
X509 *misbehave_mint(struct exchange *ex, struct mint *m);
bool misbehave_answer(struct exchange *ex);
bool misbehave_hold(struct exchange *ex);
void misbehave_finish(struct exchange *ex);
bool misbehave_transmit(struct exchange *ex);
bool misbehave_bundle(struct exchange *ex, STACK_OF(X509) *certificates);
bool misbehave_der(struct exchange *ex, struct bytes *der);
bool misbehave_encode(struct exchange *ex, const struct bytes *der, struct bytes *text);
bool misbehave_touches(const struct lab *lab, enum operation_bit operation);

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

/* der.c: just enough to write structures a library refuses to write */
bool der_wrap(unsigned char tag, const struct bytes *content, struct bytes *out);
/* One element of the encoding: its whole length and its header's. */
bool der_element(const unsigned char *der, size_t len, size_t *header, size_t *total);

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
