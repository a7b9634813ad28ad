/* What the crl_*.c of this room share. */
#ifndef EST_WIRE_CRL_PARTS_H
#define EST_WIRE_CRL_PARTS_H

#include "wire/crl.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>

/* No part of a CRL but the list itself may be longer: such a part is kept in memory until it is whole. */
#define EST_CRL_PART_MAX      (64 * 1024)
#define EST_CRL_ALGORITHM_MAX 4096

/* --- crl_entry.c --- */

/* An entry as it stands there; everything lent. */
typedef struct est_crl_view {
    const uint8_t *serial;
    size_t serial_len;
    uint8_t time_tag;
    const uint8_t *time; /* validated */
    size_t time_len;
    int reason;             /* -1: not given */
    const uint8_t *issuers; /* certificateIssuer: DER of GeneralNames; NULL: none */
    size_t issuers_len;
} est_crl_view;

/* One Extension (RFC 5280 4.1), as it stands there; everything lent. */
typedef struct est_crl_extension {
    const uint8_t *oid;
    size_t oid_len;
    bool critical;
    const uint8_t *value;
    size_t value_len;
} est_crl_extension;
bool est_crl_extension_take(const uint8_t **at, const uint8_t *end, est_crl_extension *out);

/* EST_OK_CODE, or what is wrong. der is one whole SEQUENCE. */
est_code est_crl_view_entry(const uint8_t *der, size_t len, bool extensions_allowed, est_crl_view *out);

/* --- crl_pem.c --- */

typedef enum est_crl_pem_place {
    EST_CRL_PEM_BEFORE = 0,
    EST_CRL_PEM_BODY,
    EST_CRL_PEM_END_LINE,
    EST_CRL_PEM_AFTER
} est_crl_pem_place;

typedef struct est_crl_pem {
    est_crl_pem_place place;
    EVP_ENCODE_CTX *base64;
    char line[40]; /* the line being read outside of the base64 text, cut */
    size_t line_len;
    uint8_t last;   /* byte of the base64 text */
    bool is_padded; /* its last character was '=': nothing may follow */
} est_crl_pem;

typedef estuary_status est_crl_sink(est_crl_reader *reader, const uint8_t *der, size_t len,
                                    estuary_error *err);
estuary_status est_crl_pem_feed(est_crl_reader *reader, const uint8_t *text, size_t len, est_crl_sink *sink,
                                estuary_error *err);
estuary_status est_crl_pem_final(est_crl_reader *reader, est_crl_sink *sink, estuary_error *err);
void est_crl_pem_clear(est_crl_pem *pem);

/* --- crl_signature.c --- */

typedef struct est_crl_signature {
    uint8_t *algorithm; /* DER of the AlgorithmIdentifier; owned */
    size_t algorithm_len;
    const char *key_type; /* "RSA", "EC", "ED25519", "ED448" */
    EVP_MD *digest;       /* NULL with EdDSA, which is not of a digest */
    RSA_PSS_PARAMS *pss;  /* NULL: not RSASSA-PSS */
    EVP_MD *mask_digest;  /* of RSASSA-PSS */
    int salt_len;         /* the same */
    EVP_MD_CTX *hash;     /* of the tbsCertList so far */
    est_buf tbs;          /* bytes that could not be hashed yet; with EdDSA all of them */
    uint8_t of_tbs[EVP_MAX_MD_SIZE];
    unsigned of_tbs_len;
    uint8_t *value; /* owned */
    size_t value_len;
} est_crl_signature;

/* The AlgorithmIdentifier inside of the tbsCertList: says how to hash. */
estuary_status est_crl_signature_begin(est_crl_signature *signature, const uint8_t *der, size_t len,
                                       estuary_error *err);
estuary_status est_crl_signature_update(est_crl_signature *signature, const uint8_t *tbs, size_t len,
                                        estuary_error *err);
/* The one behind the tbsCertList, and the signature itself: a whole BIT STRING. */
bool est_crl_signature_is_same_algorithm(const est_crl_signature *signature, const uint8_t *der, size_t len);
estuary_status est_crl_signature_set_value(est_crl_signature *signature, const uint8_t *der, size_t len,
                                           estuary_error *err);
/* Which of the signers named `issuer` made it: a reference in *signer. Fills in the digest of the CRL. */
estuary_status est_crl_signature_verify(est_crl_signature *signature, const X509_NAME *issuer,
                                        const STACK_OF(X509) *signers, X509 **signer, uint8_t digest[32],
                                        estuary_error *err);
void est_crl_signature_clear(est_crl_signature *signature);

/* --- crl_extensions.c --- */

/* The whole [0] EXPLICIT Extensions; fills in what the CRL says of itself. */
estuary_status est_crl_extensions_read(est_crl *crl, const uint8_t *der, size_t len, estuary_error *err);

/* --- crl_search.c: the wanted certificate, and who entries are about --- */

typedef struct est_crl_search {
    bool is_wanted;
    uint8_t serial[EST_CRL_SERIAL_MAX];
    size_t serial_len;         /* 0: longer than any that is read, never found */
    const X509_NAME *issuer;   /* of the wanted certificate; lent */
    bool is_about_issuer;      /* the entries at this place are its issuer's */
    est_buf issuers;           /* the last certificateIssuer, DER of GeneralNames */
    est_buf name;              /* the directoryName in it, DER */
    bool has_issuers;          /* one was there */
    bool has_removed;          /* an entry says removeFromCRL: a delta CRL only */
    bool is_found, is_revoked; /* revoked: an entry says so; else all of them say removeFromCRL */
    time_t revoked_at;
    int reason;
} est_crl_search;

bool est_crl_search_begin(est_crl_search *search, const X509 *wanted); /* false: memory is short */
/* The CRL's issuer: whom entries are about until one says otherwise. false: memory is short. */
bool est_crl_search_set_issuer(est_crl_search *search, const X509_NAME *issuer);
/* certificateIssuer of an entry, valid for those behind it too (RFC 5280 5.3.3). */
estuary_status est_crl_search_set_issuers(est_crl_search *search, const est_crl_view *entry,
                                          estuary_error *err);
void est_crl_search_note(est_crl_search *search, const est_crl_view *entry); /* it has the wanted serial */
void est_crl_search_clear(est_crl_search *search);

/* --- crl_stream.c --- */

/* What comes next. */
typedef enum est_crl_place {
    EST_CRL_AT_LIST = 0, /* the CertificateList's own SEQUENCE */
    EST_CRL_AT_TBS,
    EST_CRL_AT_VERSION, /* or the algorithm */
    EST_CRL_AT_ALGORITHM,
    EST_CRL_AT_ISSUER,
    EST_CRL_AT_THIS_UPDATE,
    EST_CRL_AT_NEXT_UPDATE, /* or what is named below, or the end of the tbsCertList */
    EST_CRL_AT_REVOKED,     /* the SEQUENCE of revokedCertificates, or … */
    EST_CRL_AT_ENTRY,
    EST_CRL_AT_EXTENSIONS, /* or the end of the tbsCertList */
    EST_CRL_AT_TBS_END,
    EST_CRL_AT_OUTER_ALGORITHM,
    EST_CRL_AT_SIGNATURE,
    EST_CRL_AT_END
} est_crl_place;

struct est_crl_reader {
    est_code failed; /* once anything went wrong, all of it is over */
    bool is_begun, is_pem;
    est_crl_pem pem;
    uint64_t max_bytes;
    uint64_t text; /* bytes that came in, as they came */
    est_crl_place place;
    uint64_t at; /* offset in the DER of the element that comes next or has begun */
    uint64_t list_end, tbs_body, tbs_end, entries_end;
    est_buf part; /* an element that has begun and was not whole in one chunk */
    bool is_v2;
    est_crl_signature signature;
    est_crl_search search;
    est_crl_entry_fn *on_entry;
    void *on_entry_arg;
    est_crl *crl; /* what is known so far; owned until final */
};

est_crl_sink est_crl_stream_feed;

#endif
