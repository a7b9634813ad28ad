/* The reader from outside: PEM or DER, one error ends it, nothing is told before the end (R4). */
#include "wire/crl_parts.h"

#include <openssl/err.h>

#define TEXT_AROUND_PEM (1024 * 1024)

void est_crl_free(est_crl *crl)
{
    if (crl == NULL)
        return;
    if (crl->release != NULL) {
        crl->release(crl->keeper);
        est_free(crl);
        return;
    }
    X509_free(crl->signer);
    X509_NAME_free(crl->issuer);
    ISSUING_DIST_POINT_free(crl->idp);
    AUTHORITY_KEYID_free(crl->akid);
    ASN1_INTEGER_free(crl->number);
    ASN1_INTEGER_free(crl->base_number);
    CRL_DIST_POINTS_free(crl->freshest);
    est_free(crl);
}

void est_crl_reader_free(est_crl_reader *reader)
{
    if (reader == NULL)
        return;
    est_crl_pem_clear(&reader->pem);
    est_crl_signature_clear(&reader->signature);
    est_crl_search_clear(&reader->search);
    est_buf_free(&reader->part);
    est_crl_free(reader->crl);
    est_free(reader);
}

estuary_status est_crl_reader_new(const X509 *wanted, uint64_t max_bytes, est_crl_reader **out,
                                  estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_crl_reader *reader = est_alloc(sizeof(*reader));
    *out = NULL;
    if (reader == NULL || (reader->crl = est_alloc(sizeof(*reader->crl))) == NULL ||
        !est_crl_search_begin(&reader->search, wanted)) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    reader->crl->reason = -1;
    reader->max_bytes = max_bytes;
    reader->part.max = EST_CRL_PART_MAX;
    reader->signature.tbs.max = max_bytes < SIZE_MAX / 4 ? (size_t)max_bytes : SIZE_MAX / 4;
    *out = reader;
    reader = NULL;

cleanup:
    est_crl_reader_free(reader);
    return status;
}

void est_crl_reader_on_entry(est_crl_reader *reader, est_crl_entry_fn *fn, void *arg)
{
    reader->on_entry = fn;
    reader->on_entry_arg = arg;
}

/* The text of a PEM file is longer than what it holds, but not by much. */
static bool is_too_long(est_crl_reader *reader, size_t len)
{
    uint64_t most = reader->max_bytes;
    if (reader->is_pem)
        most = most < UINT64_MAX / 4 ? most * 2 + TEXT_AROUND_PEM : UINT64_MAX;
    reader->text += len;
    return reader->text < len || reader->text > most;
}

static estuary_status feed(est_crl_reader *reader, const uint8_t *bytes, size_t len, estuary_error *err)
{
    if (!reader->is_begun) {
        reader->is_begun = true;
        reader->is_pem = bytes[0] != 0x30; /* SEQUENCE */
    }
    if (is_too_long(reader, len))
        return est_fail(err, EST_CRL_TOO_LARGE, NULL);
    return reader->is_pem ? est_crl_pem_feed(reader, bytes, len, est_crl_stream_feed, err)
                          : est_crl_stream_feed(reader, bytes, len, err);
}

/* Whatever went wrong once goes wrong for good. */
static estuary_status remember(est_crl_reader *reader, estuary_status status, const estuary_error *err)
{
    if (status != ESTUARY_OK) {
        reader->failed = est_error_code_of(err);
        if (reader->failed == EST_OK_CODE)
            reader->failed = EST_CRL_MALFORMED; /* nobody wanted to know */
    }
    return status;
}

estuary_status est_crl_reader_feed(est_crl_reader *reader, const uint8_t *bytes, size_t len,
                                   estuary_error *err)
{
    if (reader->failed != EST_OK_CODE)
        return est_fail(err, reader->failed, NULL);
    if (len == 0)
        return ESTUARY_OK;
    return remember(reader, feed(reader, bytes, len, err), err);
}

/* What can be told only when both the entries and the extensions behind them are known. */
static estuary_status check_whole(est_crl_reader *reader, estuary_error *err)
{
    if (reader->is_pem) {
        estuary_status status = est_crl_pem_final(reader, est_crl_stream_feed, err);
        if (status != ESTUARY_OK)
            return status;
    }
    if (reader->place != EST_CRL_AT_END || reader->part.len > 0)
        return est_fail(err, EST_CRL_TRUNCATED, NULL);
    /* RFC 5280 5.3.3: certificateIssuer belongs to indirect CRLs */
    if (reader->search.has_issuers && !reader->crl->indirect)
        return est_fail(err, EST_CRL_MALFORMED, "the CRL names other issuers but is not an indirect CRL");
    /* RFC 5280 5.3.1 */
    if (reader->search.has_removed && reader->crl->base_number == NULL)
        return est_fail(err, EST_CRL_MALFORMED, "removeFromCRL stands in a CRL that is not a delta CRL");
    return ESTUARY_OK;
}

static void answer(const est_crl_search *search, est_crl *crl)
{
    crl->found = search->is_found;
    crl->removed = search->is_found && !search->is_revoked;
    crl->revoked_at = search->revoked_at;
    crl->reason = search->reason;
}

static estuary_status finish(est_crl_reader *reader, const STACK_OF(X509) *signers, estuary_error *err)
{
    est_crl *crl = reader->crl;
    estuary_status status = check_whole(reader, err);
    if (status == ESTUARY_OK)
        status = est_crl_signature_verify(&reader->signature, crl->issuer, signers, &crl->signer, crl->digest,
                                          err);
    if (status == ESTUARY_OK) {
        crl->bytes = reader->list_end;
        answer(&reader->search, crl);
    }
    return status;
}

estuary_status est_crl_reader_final(est_crl_reader *reader, const STACK_OF(X509) *signers, est_crl **out,
                                    estuary_error *err)
{
    *out = NULL;
    if (reader->failed != EST_OK_CODE)
        return est_fail(err, reader->failed, NULL);
    estuary_status status = remember(reader, finish(reader, signers, err), err);
    if (status == ESTUARY_OK) {
        *out = reader->crl;
        reader->crl = NULL;
        reader->failed = EST_USAGE; /* there is no second end */
    }
    return status;
}
