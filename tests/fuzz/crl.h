/* What both CRL targets share: one CRL read in pieces, with what must always be true of the answer. */
#ifndef TESTS_FUZZ_CRL_H
#define TESTS_FUZZ_CRL_H

#include "fuzz.h"
#include "wire/crl.h"

#include <openssl/evp.h>

#define CRL_MAX (1024 * 1024)

#define CRL_SERIAL 0x1234 /* of the wanted certificate */

/* The same each time, so that an input can be repeated; tools/make_corpus.py signs with it too. */
static inline EVP_PKEY *crl_key(bool edwards)
{
    static const uint8_t ec_key[] = {
        0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20, 1,    2,    3,    4,    5,    6,    7,    8,    9,    10,
        11,   12,   13,   14,   15,   16,   17,   18,   19,   20,   21,   22,   23,   24,   25,   26,   27,
        28,   29,   30,   31,   32,   0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    const uint8_t *at = ec_key;
    EVP_PKEY *key = edwards ? EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, ec_key + 7, 32)
                            : d2i_PrivateKey(EVP_PKEY_EC, NULL, &at, sizeof(ec_key));
    REQUIRE(key != NULL);
    return key;
}

static inline X509_NAME *crl_name(void)
{
    X509_NAME *name = X509_NAME_new();
    REQUIRE(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)"CA", -1, -1, 0) == 1);
    return name;
}

static inline X509 *crl_cert(const X509_NAME *subject, const X509_NAME *issuer, EVP_PKEY *key)
{
    X509 *cert = X509_new();
    REQUIRE(X509_set_subject_name(cert, subject) == 1 && X509_set_issuer_name(cert, issuer) == 1);
    REQUIRE(ASN1_INTEGER_set(X509_get_serialNumber(cert), CRL_SERIAL) == 1 &&
            X509_set_pubkey(cert, key) == 1);
    return cert;
}

typedef struct crl_input {
    const uint8_t *der;
    size_t len;
    size_t step; /* of the pieces */
    bool is_der; /* else offsets of entries are not its */
    uint64_t told;
} crl_input;

static inline estuary_status crl_on_entry(void *arg, const est_crl_entry *entry, estuary_error *err)
{
    crl_input *input = arg;
    (void)err;
    REQUIRE(entry->serial_len > 0 && entry->serial_len <= EST_CRL_SERIAL_MAX);
    REQUIRE(entry->reason >= -1 && entry->reason <= 10);
    REQUIRE((entry->issuer == NULL) == (entry->issuer_len == 0));
    input->told++;
    if (!input->is_der)
        return ESTUARY_OK;
    est_crl_entry again;
    REQUIRE(entry->offset + entry->len <= input->len);
    REQUIRE(est_crl_entry_parse(input->der + entry->offset, input->len - entry->offset, &again));
    REQUIRE(again.len == entry->len && again.reason == entry->reason &&
            again.revoked_at == entry->revoked_at);
    REQUIRE(again.serial_len == entry->serial_len &&
            memcmp(again.serial, entry->serial, again.serial_len) == 0);
    return ESTUARY_OK;
}

static inline estuary_status crl_read(crl_input *input, const X509 *wanted, const STACK_OF(X509) *signers,
                                      est_crl **out, estuary_error *err)
{
    est_crl_reader *reader = NULL;
    *out = NULL;
    input->told = 0;
    estuary_status status = est_crl_reader_new(wanted, CRL_MAX, &reader, err);
    REQUIRE(status == ESTUARY_OK);
    est_crl_reader_on_entry(reader, crl_on_entry, input);
    for (size_t at = 0; status == ESTUARY_OK && at < input->len; at += input->step) {
        size_t len = input->len - at < input->step ? input->len - at : input->step;
        status = est_crl_reader_feed(reader, input->der + at, len, err);
    }
    if (status == ESTUARY_OK)
        status = est_crl_reader_final(reader, signers, out, err);
    est_crl_reader_free(reader);
    fuzz_check_result(status, *out, err);
    if (status == ESTUARY_OK) {
        REQUIRE((*out)->entries == input->told);
        REQUIRE((*out)->signer != NULL && (*out)->issuer != NULL);
        REQUIRE(!(*out)->removed || ((*out)->found && (*out)->base_number != NULL));
        REQUIRE(input->told > 0 || !(*out)->found);
    }
    return status;
}

#endif
