/*
 * crl_*.c: a CRL read in one pass and constant memory (RFC 5280 5). Bytes go in as they come; what the CRL
 * says comes out only when all of it has come and one of the given certificates' keys signed it.
 */
#ifndef EST_WIRE_CRL_H
#define EST_WIRE_CRL_H

#include "base/base.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define EST_CRL_SERIAL_MAX 64 /* bytes; RFC 5280 allows 20, some CAs use more */

/* One revoked certificate, as it stands in the list; all lent for the call. */
typedef struct est_crl_entry {
    const uint8_t *serial; /* the INTEGER's content octets, as encoded */
    size_t serial_len;
    const uint8_t
        *issuer; /* DER of the Name of its issuer when certificateIssuer named one before; else NULL */
    size_t issuer_len;
    time_t revoked_at;
    int reason;      /* CRLReason; -1: not given */
    uint64_t offset; /* of the entry's SEQUENCE, from the first byte of the DER CertificateList */
    size_t len;
} est_crl_entry;

/*
 * Every entry, before the signature is known to be good: must only be remembered. An error ends the reading.
 */
typedef estuary_status est_crl_entry_fn(void *arg, const est_crl_entry *entry, estuary_error *err);

/* What a CRL says; only of one whose signature verified. Owned by the caller, freed with est_crl_free(). */
typedef struct est_crl {
    X509 *signer; /* whose key verified the signature: same name as `issuer`. Its authority is not judged here
                   */
    X509_NAME *issuer;
    time_t this_update;
    time_t next_update;             /* 0: not said */
    ISSUING_DIST_POINT *idp;        /* NULL: none */
    AUTHORITY_KEYID *akid;          /* NULL: none */
    ASN1_INTEGER *number;           /* cRLNumber; NULL: none */
    ASN1_INTEGER *base_number;      /* deltaCRLIndicator: this is a delta CRL; NULL: a complete one */
    STACK_OF(DIST_POINT) *freshest; /* freshestCRL; NULL: none */
    bool indirect;                  /* idp says indirectCRL */
    uint64_t entries;
    uint64_t bytes; /* of the DER */
    /* What was verified, told apart from any other CRL without a second pass over the bytes: SHA-256 of the
     * digest that was signed (with EdDSA: of the tbsCertList), the AlgorithmIdentifier and the signature. */
    uint8_t digest[32];
    /* The wanted certificate, as estuary's own search found it. */
    bool found;
    bool removed; /* its entry says removeFromCRL (delta only) and no other says revoked */
    time_t revoked_at;
    int reason; /* CRLReason; -1: not given */
    /* Set: all that is pointed to above is the keeper's, and est_crl_free() only lets go of it. */
    void (*release)(void *keeper);
    void *keeper;
} est_crl;

void est_crl_free(est_crl *crl); /* NULL is fine */

typedef struct est_crl_reader est_crl_reader;

/*
 * `wanted` (NULL: none): the certificate to look for, by serial and issuer; lent until final. max_bytes
 * bounds the DER, and the memory for CRLs signed with EdDSA, which cannot be verified in one pass.
 */
estuary_status est_crl_reader_new(const X509 *wanted, uint64_t max_bytes, est_crl_reader **out,
                                  estuary_error *err);
void est_crl_reader_free(est_crl_reader *reader);
void est_crl_reader_on_entry(est_crl_reader *reader, est_crl_entry_fn *fn, void *arg);
/* PEM or DER, told by the first bytes; any number of chunks of any size. */
estuary_status est_crl_reader_feed(est_crl_reader *reader, const uint8_t *bytes, size_t len,
                                   estuary_error *err);
/*
 * The end. Of `signers` those whose subject is the CRL's issuer are tried. Fails (crl.* codes,
 * ESTUARY_E_REVOKED's neighbour categories as the table says) when the CRL is truncated, malformed, has an
 * unknown critical extension, or when none of them signed it; nothing is said about the certificate then.
 */
estuary_status est_crl_reader_final(est_crl_reader *reader, const STACK_OF(X509) *signers, est_crl **out,
                                    estuary_error *err);

/*
 * A certificate's serial as it would stand in an entry. *len 0: longer than any that is read. false: broken.
 */
bool est_crl_serial_of(const X509 *certificate, uint8_t out[EST_CRL_SERIAL_MAX], size_t *len);

/*
 * One entry from its DER at an offset that an index remembered; bytes behind it do not matter (`len` of the
 * result says where it ends). false when it is not a whole, valid entry. Its issuer and offset are not known.
 */
bool est_crl_entry_parse(const uint8_t *der, size_t len, est_crl_entry *out);

#endif
