/*
 * Our CRL reader beside OpenSSL's. The input is what stands inside of a tbsCertList; it is signed here, so
 * that what lies behind a good signature is reached. What we accept OpenSSL must accept, with the same facts,
 * and nothing may be absent with us that is listed there.
 *
 * Tolerated, because ours is the stricter answer: whatever we refuse; "revoked" of several entries for one
 * certificate, of which OpenSSL looks at one.
 */
#include "crl.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>

#define INSIDE_MAX 4096

static const uint8_t ecdsa[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
static const uint8_t ed25519[] = {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70};

typedef struct out {
    uint8_t bytes[4 * INSIDE_MAX];
    size_t len;
} out;

static void put(out *to, const void *bytes, size_t len)
{
    REQUIRE(len <= sizeof(to->bytes) - to->len);
    if (len > 0)
        memcpy(to->bytes + to->len, bytes, len);
    to->len += len;
}

static void put_header(out *to, uint8_t tag, size_t len)
{
    uint8_t header[5] = {tag, (uint8_t)len};
    size_t size = 2;
    if (len >= 0x80) {
        size_t octets = len >= 0x10000 ? 3 : len >= 0x100 ? 2 : 1;
        header[1] = (uint8_t)(0x80 + octets);
        for (size_t i = 0; i < octets; i++)
            header[size++] = (uint8_t)(len >> (8 * (octets - 1 - i)));
    }
    put(to, header, size);
}

/* The elements again with lengths that fit: most changed bytes would only make a wrong length. */
static void repair(out *to, const uint8_t *bytes, size_t len, int depth)
{
    while (len >= 2) {
        uint8_t tag = bytes[0];
        size_t header = 2, body = bytes[1];
        if (body >= 0x80)
            for (size_t octets = body & 0x7f, body_start = body = 0; body_start < octets && header < len;
                 body_start++)
                body = (body << 8 | bytes[header++]) & 0xffff;
        if (body > len - header)
            body = len - header;
        if ((tag & 0x20) != 0 && depth < 10) {
            out *inner = calloc(1, sizeof(*inner));
            REQUIRE(inner != NULL);
            repair(inner, bytes + header, body, depth + 1);
            put_header(to, tag, inner->len);
            put(to, inner->bytes, inner->len);
            free(inner);
        } else {
            put_header(to, tag, body);
            put(to, bytes + header, body);
        }
        bytes += header + body;
        len -= header + body;
    }
}

static void put_signature(out *list, const out *tbs, EVP_PKEY *key, bool edwards)
{
    uint8_t signature[128];
    size_t len = sizeof(signature);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    REQUIRE(EVP_DigestSignInit_ex(context, NULL, edwards ? NULL : "SHA256", NULL, NULL, key, NULL) == 1);
    REQUIRE(EVP_DigestSign(context, signature, &len, tbs->bytes, tbs->len) == 1);
    put_header(list, 0x03, len + 1);
    put(list, "", 1);
    put(list, signature, len);
    EVP_MD_CTX_free(context);
}

static void make_list(out *list, const uint8_t *inside, size_t len, EVP_PKEY *key, bool edwards)
{
    out *tbs = calloc(1, sizeof(*tbs)), *body = calloc(1, sizeof(*body));
    REQUIRE(tbs != NULL && body != NULL);
    put_header(tbs, 0x30, len);
    put(tbs, inside, len);
    put(body, tbs->bytes, tbs->len);
    put(body, edwards ? ed25519 : ecdsa, edwards ? sizeof(ed25519) : sizeof(ecdsa));
    put_signature(body, tbs, key, edwards);
    put_header(list, 0x30, body->len);
    put(list, body->bytes, body->len);
    free(tbs);
    free(body);
}

static time_t time_of(const ASN1_TIME *time)
{
    struct tm parts;
    REQUIRE(ASN1_TIME_to_tm(time, &parts) == 1);
    return timegm(&parts);
}

/* How many entries have the certificate's serial, whoever's they are. */
static int count_same(X509_CRL *crl, const X509 *wanted)
{
    STACK_OF(X509_REVOKED) *entries = X509_CRL_get_REVOKED(crl);
    int same = 0;
    for (int i = 0; i < sk_X509_REVOKED_num(entries); i++)
        same += ASN1_INTEGER_cmp(X509_REVOKED_get0_serialNumber(sk_X509_REVOKED_value(entries, i)),
                                 X509_get0_serialNumber(wanted)) == 0;
    return same;
}

static void check_criticals(const X509_CRL *crl)
{
    for (int i = 0; i < X509_CRL_get_ext_count(crl); i++) {
        X509_EXTENSION *ext = X509_CRL_get_ext(crl, i);
        int nid = OBJ_obj2nid(X509_EXTENSION_get_object(ext));
        REQUIRE(!X509_EXTENSION_get_critical(ext) || nid == NID_issuing_distribution_point ||
                nid == NID_authority_key_identifier || nid == NID_delta_crl || nid == NID_crl_number);
    }
}

/* What was found, where there is one entry with that serial. */
static void check_entry(const est_crl *ours, X509_REVOKED *entry)
{
    int critical = 0;
    ASN1_ENUMERATED *reason = X509_REVOKED_get_ext_d2i(entry, NID_crl_reason, &critical, NULL);
    REQUIRE(reason != NULL || critical == -1);
    long value = reason == NULL ? -1 : ASN1_ENUMERATED_get(reason);
    REQUIRE(ours->removed ? value == CRL_REASON_REMOVE_FROM_CRL : value == ours->reason);
    REQUIRE(ours->removed || time_of(X509_REVOKED_get0_revocationDate(entry)) == ours->revoked_at);
    ASN1_ENUMERATED_free(reason);
}

/* Ours took it: OpenSSL must say the same. */
static void compare(const est_crl *ours, X509_CRL *theirs, X509 *wanted, EVP_PKEY *key)
{
    X509_REVOKED *entry = NULL;
    REQUIRE(theirs != NULL);
    REQUIRE(X509_CRL_verify(theirs, key) == 1);
    check_criticals(theirs);
    REQUIRE(X509_NAME_cmp(ours->issuer, X509_CRL_get_issuer(theirs)) == 0);
    REQUIRE(time_of(X509_CRL_get0_lastUpdate(theirs)) == ours->this_update);
    const ASN1_TIME *next = X509_CRL_get0_nextUpdate(theirs);
    REQUIRE(next == NULL ? ours->next_update == 0 : time_of(next) == ours->next_update);
    int entries = sk_X509_REVOKED_num(X509_CRL_get_REVOKED(theirs));
    REQUIRE(ours->entries == (uint64_t)(entries < 0 ? 0 : entries));
    int found = X509_CRL_get0_by_cert(theirs, &entry, wanted);
    if (!ours->found)
        REQUIRE(found == 0);
    else if (ours->removed)
        REQUIRE(found == 2);
    else
        REQUIRE(found == 1 || (found == 2 && count_same(theirs, wanted) > 1));
    if (ours->found && count_same(theirs, wanted) == 1)
        check_entry(ours, entry);
}

static void try_list(const out *list, size_t step, EVP_PKEY *key)
{
    estuary_error *err = fuzz_error();
    STACK_OF(X509) *signers = sk_X509_new_null();
    X509_NAME *name = crl_name();
    const uint8_t *at = list->bytes;
    X509_CRL *theirs = d2i_X509_CRL(NULL, &at, (long)list->len);
    if (theirs != NULL && at != list->bytes + list->len) {
        X509_CRL_free(theirs);
        theirs = NULL;
    }
    /* Whatever the issuer's name became, somebody of that name signed it. */
    X509 *signer = crl_cert(theirs == NULL ? name : X509_CRL_get_issuer(theirs), name, key);
    X509 *wanted = crl_cert(name, name, key);
    REQUIRE(sk_X509_push(signers, signer) == 1);
    crl_input input = {.der = list->bytes, .len = list->len, .step = step, .is_der = true};
    est_crl *ours = NULL;
    if (crl_read(&input, wanted, signers, &ours, err) == ESTUARY_OK)
        compare(ours, theirs, wanted, key);
    est_crl_free(ours);
    X509_CRL_free(theirs);
    X509_NAME_free(name);
    X509_free(wanted);
    sk_X509_pop_free(signers, X509_free);
    estuary_error_free(err);
    ERR_clear_error();
}

/* The first byte: bit 7: lengths are made to fit; bit 6: Ed25519; the others: the size of the pieces. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > INSIDE_MAX)
        return 0;
    bool edwards = (data[0] & 0x40) != 0;
    out *inside = calloc(1, sizeof(*inside)), *list = calloc(1, sizeof(*list));
    REQUIRE(inside != NULL && list != NULL);
    if ((data[0] & 0x80) != 0)
        repair(inside, data + 1, size - 1, 0);
    else
        put(inside, data + 1, size - 1);
    EVP_PKEY *key = crl_key(edwards);
    make_list(list, inside->bytes, inside->len, key, edwards);
    try_list(list, (data[0] & 0x3f) + 1, key);
    EVP_PKEY_free(key);
    free(inside);
    free(list);
    return 0;
}
