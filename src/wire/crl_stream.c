/* The elements of a CertificateList, one after the other, from chunks of any size (RFC 5280 5.1). */
#include "wire/crl_der.h"
#include "wire/crl_parts.h"

#include <openssl/err.h>

/* At once: so that what was parsed is still in the processor's cache when it is hashed. */
#define PIECE (16 * 1024)

static estuary_status malformed(estuary_error *err, const char *what)
{
    return est_fail(err, EST_CRL_MALFORMED, "the CRL cannot be read: %s", what);
}

static uint64_t end_of_place(const est_crl_reader *reader)
{
    switch (reader->place) {
    case EST_CRL_AT_LIST:
        return UINT64_MAX;
    case EST_CRL_AT_ENTRY:
        return reader->entries_end;
    case EST_CRL_AT_TBS:
    case EST_CRL_AT_OUTER_ALGORITHM:
    case EST_CRL_AT_SIGNATURE:
    case EST_CRL_AT_END:
        return reader->list_end;
    default:
        return reader->tbs_end;
    }
}

/* These are entered: only their headers are taken. */
static bool is_entered(est_crl_place place, uint8_t tag)
{
    if (place == EST_CRL_AT_LIST || place == EST_CRL_AT_TBS)
        return true;
    return (place == EST_CRL_AT_NEXT_UPDATE || place == EST_CRL_AT_REVOKED) && tag == DER_SEQUENCE;
}

/* How many bytes have to be there before the element can be looked at. */
static der_result size_up(const est_crl_reader *reader, const uint8_t *bytes, size_t len, size_t *size)
{
    size_t header = 0;
    uint64_t body = 0, room = end_of_place(reader) - reader->at;
    der_result result = der_header(bytes, len, &header, &body);
    if (result != DER_OK)
        return result;
    if (header > room || body > room - header)
        return DER_BAD;
    *size = header;
    if (is_entered(reader->place, bytes[0]))
        return DER_OK;
    size_t most = reader->place == EST_CRL_AT_ALGORITHM || reader->place == EST_CRL_AT_VERSION
                      ? EST_CRL_ALGORITHM_MAX
                      : EST_CRL_PART_MAX;
    if (body > most - header)
        return DER_BAD;
    *size += (size_t)body;
    return DER_OK;
}

static estuary_status enter(est_crl_reader *reader, const uint8_t *bytes, size_t len, estuary_error *err)
{
    size_t header = 0;
    uint64_t body = 0;
    if (bytes[0] != DER_SEQUENCE || der_header(bytes, len, &header, &body) != DER_OK)
        return malformed(err, "a SEQUENCE is missing");
    uint64_t end = reader->at + header + body;
    switch (reader->place) {
    case EST_CRL_AT_LIST:
        if (end > reader->max_bytes)
            return est_fail(err, EST_CRL_TOO_LARGE, NULL);
        reader->list_end = end;
        reader->place = EST_CRL_AT_TBS;
        return ESTUARY_OK;
    case EST_CRL_AT_TBS:
        reader->tbs_body = reader->at + header;
        reader->tbs_end = end;
        reader->place = EST_CRL_AT_VERSION;
        return est_crl_signature_update(&reader->signature, bytes, len, err);
    default:
        reader->entries_end = end;
        reader->place = EST_CRL_AT_ENTRY;
        /* RFC 5280 5.1.2.6: without entries it MUST be absent */
        return body == 0 ? malformed(err, "revokedCertificates is empty") : ESTUARY_OK;
    }
}

/* RFC 5280 5.1.2.1: v2, or v1, which is not written. */
static estuary_status read_version(est_crl_reader *reader, const uint8_t *der, size_t len, estuary_error *err)
{
    if (len != 3 || der[1] != 1 || der[2] != 1)
        return malformed(err, "its version is neither 1 nor 2");
    reader->is_v2 = true;
    reader->place = EST_CRL_AT_ALGORITHM;
    return ESTUARY_OK;
}

/* RFC 5280 5.1.2.3: MUST contain a non-empty distinguished name. */
static estuary_status read_issuer(est_crl_reader *reader, const uint8_t *der, size_t len, estuary_error *err)
{
    const uint8_t *at = der;
    long length;
    if (der[0] != DER_SEQUENCE || !est_size_to_long(len, &length))
        return malformed(err, "its issuer is missing");
    reader->crl->issuer = d2i_X509_NAME(NULL, &at, length);
    if (reader->crl->issuer == NULL || at != der + len || X509_NAME_entry_count(reader->crl->issuer) == 0)
        return est_fail_openssl(err, EST_CRL_MALFORMED, "the CRL's issuer cannot be read or is empty");
    if (!est_crl_search_set_issuer(&reader->search, reader->crl->issuer))
        return est_fail_memory(err);
    reader->place = EST_CRL_AT_THIS_UPDATE;
    return ESTUARY_OK;
}

static estuary_status read_time(est_crl_reader *reader, const uint8_t *der, size_t len, est_crl_place next,
                                time_t *out, estuary_error *err)
{
    der_time time;
    if (len < 2 || !der_time_parse(der[0], der + 2, len - 2, &time))
        return malformed(err, "thisUpdate or nextUpdate is not a time");
    *out = der_time_value(&time);
    reader->place = next;
    return ESTUARY_OK;
}

static estuary_status read_extensions(est_crl_reader *reader, const uint8_t *der, size_t len,
                                      estuary_error *err)
{
    if (!reader->is_v2)
        return malformed(err, "version 1 has no extensions"); /* RFC 5280 5.1.2.7 */
    reader->place = EST_CRL_AT_TBS_END;
    return est_crl_extensions_read(reader->crl, der, len, err);
}

/* What may stand behind thisUpdate; all of it optional, in this order. */
static estuary_status read_optional(est_crl_reader *reader, const uint8_t *der, size_t len,
                                    estuary_error *err)
{
    bool is_time = der[0] == DER_UTC_TIME || der[0] == DER_GENERALIZED_TIME;
    if (is_time && reader->place == EST_CRL_AT_NEXT_UPDATE)
        return read_time(reader, der, len, EST_CRL_AT_REVOKED, &reader->crl->next_update, err);
    if (der[0] == DER_SEQUENCE && reader->place < EST_CRL_AT_EXTENSIONS)
        return enter(reader, der, len, err);
    if (der[0] == DER_CONTEXT_0 && reader->place <= EST_CRL_AT_EXTENSIONS)
        return read_extensions(reader, der, len, err);
    return malformed(err, "something does not belong into its tbsCertList");
}

static estuary_status read_header(est_crl_reader *reader, const uint8_t *der, size_t len, estuary_error *err)
{
    if (reader->place == EST_CRL_AT_VERSION && der[0] == DER_INTEGER)
        return read_version(reader, der, len, err);
    if (der[0] != DER_SEQUENCE)
        return malformed(err, "its signature algorithm is missing");
    reader->place = EST_CRL_AT_ISSUER;
    return est_crl_signature_begin(&reader->signature, der, len, err);
}

static estuary_status tell(est_crl_reader *reader, const est_crl_view *view, size_t len, estuary_error *err)
{
    der_time date;
    const est_buf *name = &reader->search.name;
    est_crl_entry entry = {.serial = view->serial,
                           .serial_len = view->serial_len,
                           .issuer = reader->search.has_issuers ? name->data : NULL,
                           .issuer_len = reader->search.has_issuers ? name->len : 0,
                           .reason = view->reason,
                           .offset = reader->at,
                           .len = len};
    if (!der_time_parse(view->time_tag, view->time, view->time_len, &date))
        return malformed(err, "a revocationDate is not a time");
    entry.revoked_at = der_time_value(&date);
    return reader->on_entry(reader->on_entry_arg, &entry, err);
}

/* Most entries are of somebody else: their last byte says so. */
static inline bool is_wanted(const est_crl_search *search, const est_crl_view *entry)
{
    size_t len = entry->serial_len;
    return search->is_about_issuer && len == search->serial_len &&
           entry->serial[len - 1] == search->serial[len - 1] &&
           memcmp(entry->serial, search->serial, len) == 0;
}

static estuary_status refuse_entry(est_code flaw, estuary_error *err)
{
    return flaw == EST_CRL_MALFORMED ? malformed(err, "an entry is broken") : est_fail(err, flaw, NULL);
}

static inline estuary_status read_entry(est_crl_reader *reader, const uint8_t *der, size_t len,
                                        estuary_error *err)
{
    est_crl_view view;
    est_code flaw = est_crl_view_entry(der, len, reader->is_v2, &view);
    if (flaw != EST_OK_CODE)
        return refuse_entry(flaw, err);
    if (view.issuers != NULL) {
        estuary_status status = est_crl_search_set_issuers(&reader->search, &view, err);
        if (status != ESTUARY_OK)
            return status;
    }
    reader->crl->entries++;
    reader->search.has_removed = reader->search.has_removed || view.reason == CRL_REASON_REMOVE_FROM_CRL;
    if (is_wanted(&reader->search, &view))
        est_crl_search_note(&reader->search, &view);
    return reader->on_entry == NULL ? ESTUARY_OK : tell(reader, &view, len, err);
}

static estuary_status read_outer_algorithm(est_crl_reader *reader, const uint8_t *der, size_t len,
                                           estuary_error *err)
{
    reader->place = EST_CRL_AT_SIGNATURE;
    return est_crl_signature_is_same_algorithm(&reader->signature, der, len)
               ? ESTUARY_OK
               : malformed(err, "its two signature algorithms differ");
}

static estuary_status read_signature(est_crl_reader *reader, const uint8_t *der, size_t len,
                                     estuary_error *err)
{
    reader->place = EST_CRL_AT_END;
    if (reader->at + len != reader->list_end)
        return malformed(err, "something stands behind its signature");
    return est_crl_signature_set_value(&reader->signature, der, len, err);
}

static estuary_status read_element(est_crl_reader *reader, const uint8_t *der, size_t len, estuary_error *err)
{
    switch (reader->place) {
    case EST_CRL_AT_LIST:
    case EST_CRL_AT_TBS:
        return enter(reader, der, len, err);
    case EST_CRL_AT_VERSION:
    case EST_CRL_AT_ALGORITHM:
        return read_header(reader, der, len, err);
    case EST_CRL_AT_ISSUER:
        return read_issuer(reader, der, len, err);
    case EST_CRL_AT_THIS_UPDATE:
        return read_time(reader, der, len, EST_CRL_AT_NEXT_UPDATE, &reader->crl->this_update, err);
    case EST_CRL_AT_ENTRY:
        return read_entry(reader, der, len, err);
    case EST_CRL_AT_OUTER_ALGORITHM:
        return read_outer_algorithm(reader, der, len, err);
    case EST_CRL_AT_SIGNATURE:
        return read_signature(reader, der, len, err);
    default:
        return read_optional(reader, der, len, err);
    }
}

/* Places that end where what holds them ends. */
static estuary_status leave(est_crl_reader *reader, estuary_error *err)
{
    if (reader->place == EST_CRL_AT_ENTRY && reader->at == reader->entries_end)
        reader->place = EST_CRL_AT_EXTENSIONS;
    bool is_inside = reader->place > EST_CRL_AT_TBS && reader->place < EST_CRL_AT_OUTER_ALGORITHM;
    if (!is_inside || reader->at != reader->tbs_end)
        return ESTUARY_OK;
    if (reader->place < EST_CRL_AT_NEXT_UPDATE || reader->place == EST_CRL_AT_ENTRY)
        return malformed(err, "its tbsCertList is not complete");
    reader->place = EST_CRL_AT_OUTER_ALGORITHM;
    return ESTUARY_OK;
}

static estuary_status take(est_crl_reader *reader, const uint8_t *der, size_t len, estuary_error *err)
{
    estuary_status status = read_element(reader, der, len, err);
    reader->at += len;
    return status == ESTUARY_OK ? leave(reader, err) : status;
}

/* The entries that lie whole in this piece; stops at anything else. */
static estuary_status take_entries(est_crl_reader *reader, const uint8_t **at, const uint8_t *end,
                                   estuary_error *err)
{
    const uint8_t *p = *at;
    uint64_t left = reader->entries_end - reader->at;
    estuary_status status = ESTUARY_OK;
    while (status == ESTUARY_OK && left > 0 && end - p >= 2 && p[0] == DER_SEQUENCE && p[1] < 0x80) {
        size_t size = (size_t)p[1] + 2;
        if (size > (size_t)(end - p) || size > left)
            break;
        status = read_entry(reader, p, size, err);
        p += size;
        reader->at += size;
        left -= size;
    }
    *at = p;
    return status == ESTUARY_OK ? leave(reader, err) : status;
}

static estuary_status keep(est_crl_reader *reader, const uint8_t *bytes, size_t len, estuary_error *err)
{
    switch (est_buf_append(&reader->part, bytes, len)) {
    case EST_APPEND_OK:
        return ESTUARY_OK;
    case EST_APPEND_TOO_LARGE:
        return malformed(err, "a part of it is too large");
    default:
        return est_fail_memory(err);
    }
}

/* An element that began in an earlier piece: first its header byte by byte, then the rest. */
static estuary_status go_on(est_crl_reader *reader, const uint8_t **at, const uint8_t *end,
                            estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    size_t size = reader->part.len + 1;
    if (size_up(reader, reader->part.data, reader->part.len, &size) == DER_BAD)
        return malformed(err, "a length in it is wrong");
    size_t missing = size - reader->part.len, there = (size_t)(end - *at);
    size_t count = missing < there ? missing : there;
    EST_TRY(keep(reader, *at, count, err));
    *at += count;
    if (size_up(reader, reader->part.data, reader->part.len, &size) == DER_BAD)
        return malformed(err, "a length in it is wrong");
    if (size_up(reader, reader->part.data, reader->part.len, &size) == DER_OK && size == reader->part.len) {
        reader->part.len = 0;
        status = take(reader, reader->part.data, size, err);
    }

cleanup:
    return status;
}

static estuary_status begin(est_crl_reader *reader, const uint8_t **at, const uint8_t *end,
                            estuary_error *err)
{
    size_t size = 0, there = (size_t)(end - *at);
    const uint8_t *der = *at;
    if (reader->place == EST_CRL_AT_END)
        return malformed(err, "something stands behind it");
    der_result result = size_up(reader, der, there, &size);
    if (result == DER_BAD)
        return malformed(err, "a length in it is wrong");
    if (result == DER_OK && size <= there) {
        *at += size;
        return take(reader, der, size, err);
    }
    *at = end;
    return keep(reader, der, there, err);
}

/* The part of this piece that is signed; the tbsCertList's own header is hashed when it is entered. */
static estuary_status hash(est_crl_reader *reader, const uint8_t *bytes, size_t len, uint64_t start,
                           estuary_error *err)
{
    uint64_t end = start + len;
    uint64_t from = start > reader->tbs_body ? start : reader->tbs_body;
    uint64_t to = end < reader->tbs_end ? end : reader->tbs_end;
    if (from >= to) /* also before the tbsCertList has begun */
        return ESTUARY_OK;
    return est_crl_signature_update(&reader->signature, bytes + (from - start), (size_t)(to - from), err);
}

static estuary_status feed_piece(est_crl_reader *reader, const uint8_t *bytes, size_t len, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    const uint8_t *at = bytes, *end = bytes + len;
    uint64_t start = reader->at + reader->part.len;
    while (at < end) {
        if (reader->part.len > 0)
            EST_TRY(go_on(reader, &at, end, err));
        else if (reader->place == EST_CRL_AT_ENTRY)
            EST_TRY(take_entries(reader, &at, end, err));
        if (at < end && reader->part.len == 0)
            EST_TRY(begin(reader, &at, end, err));
    }
    status = hash(reader, bytes, len, start, err);

cleanup:
    return status;
}

estuary_status est_crl_stream_feed(est_crl_reader *reader, const uint8_t *der, size_t len, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    while (len > 0 && status == ESTUARY_OK) {
        size_t count = len < PIECE ? len : PIECE;
        status = feed_piece(reader, der, count, err);
        der += count;
        len -= count;
    }
    return status;
}
