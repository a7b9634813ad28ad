/* Misbehaviours of Full PKI Responses. RFC 5272 4.2, 6; RFC 7030 4.3.2 */
#include "cmc.h"
#include "misbehave.h"

#include <string.h>

/* ---- the transaction. RFC 5272 6.6 ---- */

static bool bend_first_byte(ASN1_STRING *value)
{
    unsigned char *data = (unsigned char *)(uintptr_t)ASN1_STRING_get0_data(value);
    if (value != NULL && ASN1_STRING_length(value) > 0)
        data[0] ^= 1;
    return true;
}

static bool cmc_transaction(struct exchange *ex, struct cmc_reply *reply, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    return bend_first_byte(reply->transaction);
}

static bool cmc_no_transaction(struct exchange *ex, struct cmc_reply *reply, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    ASN1_INTEGER_free(reply->transaction);
    reply->transaction = NULL;
    return true;
}

static bool cmc_nonce(struct exchange *ex, struct cmc_reply *reply, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    return bend_first_byte(reply->recipient_nonce);
}

static bool cmc_no_nonce(struct exchange *ex, struct cmc_reply *reply, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    ASN1_OCTET_STRING_free(reply->recipient_nonce);
    reply->recipient_nonce = NULL;
    return true;
}

/* ---- who speaks ---- */

static bool cmc_signer(struct exchange *ex, struct cmc_reply *reply, const struct misbehaviour *row)
{
    (void)ex;
    reply->signer = (enum cmc_signer)row->number;
    return true;
}

static bool cmc_spoil(struct exchange *ex, struct cmc_reply *reply, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    reply->spoil_signature = true;
    return true;
}

static bool cmc_anonymous(struct exchange *ex, struct cmc_reply *reply, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    reply->omit_signer_certificate = true;
    return true;
}

/* ---- the status. RFC 5272 6.1 ---- */

static void take_certificates(struct cmc_reply *reply, bool issued_only)
{
    while (sk_X509_num(reply->certificates) > (issued_only ? 1 : 0))
        X509_free(sk_X509_pop(reply->certificates));
}

static bool cmc_failed(struct exchange *ex, struct cmc_reply *reply, const struct misbehaviour *row)
{
    (void)ex;
    take_certificates(reply, false);
    reply->http_status = 400;
    reply->status = CMC_FAILED;
    reply->fail = row->number;
    reply->text = row->text;
    return true;
}

/* Beside what people read: controls of terminals, bytes that are no UTF-8, and a good deal of it. */
static bool cmc_odd_text(struct exchange *ex, struct cmc_reply *reply, const struct misbehaviour *row)
{
    static char text[4096];
    memset(text, 'x', sizeof text);
    memcpy(text, row->text, strlen(row->text));
    if (!cmc_failed(ex, reply, row))
        return false;
    reply->text = text;
    reply->text_len = sizeof text;
    return true;
}

static bool cmc_failed_ok(struct exchange *ex, struct cmc_reply *reply, const struct misbehaviour *row)
{
    const bool ok = cmc_failed(ex, reply, row);
    reply->http_status = 200;
    return ok;
}

static bool cmc_status(struct exchange *ex, struct cmc_reply *reply, const struct misbehaviour *row)
{
    (void)ex;
    reply->status = row->number;
    return true;
}

static bool cmc_http_status(struct exchange *ex, struct cmc_reply *reply, const struct misbehaviour *row)
{
    (void)ex;
    reply->http_status = (int)row->number;
    return true;
}

static bool cmc_version_1(struct exchange *ex, struct cmc_reply *reply, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    reply->version_1 = true;
    return true;
}

static bool cmc_pending_bare(struct exchange *ex, struct cmc_reply *reply, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    take_certificates(reply, false);
    reply->status = CMC_PENDING;
    return true;
}

/* number seconds; a token of one's own, which the lab does not know afterwards */
static bool cmc_pending_time(struct exchange *ex, struct cmc_reply *reply, const struct misbehaviour *row)
{
    (void)ex;
    take_certificates(reply, false);
    reply->status = CMC_PENDING;
    reply->pend_seconds = row->number;
    return bytes_text(&reply->pend_token, "a token nobody remembers");
}

static bool cmc_pending_huge_token(struct exchange *ex, struct cmc_reply *reply,
                                   const struct misbehaviour *row)
{
    static const char piece[4096] = {'t'};
    bool ok = cmc_pending_time(ex, reply, row);
    for (int i = 0; ok && i < 100; i++)
        ok = bytes_append(&reply->pend_token, piece, sizeof piece);
    return ok;
}

/* ---- the certificate ---- */

static bool cmc_no_certificate(struct exchange *ex, struct cmc_reply *reply, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    X509_free(sk_X509_shift(reply->certificates));
    return true;
}

static bool cmc_reverse(struct exchange *ex, struct cmc_reply *reply, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    X509 *issued = sk_X509_shift(reply->certificates);
    if (issued != NULL && sk_X509_push(reply->certificates, issued) > 0)
        return true;
    X509_free(issued);
    return false;
}

static bool cmc_other_key(struct exchange *ex, struct cmc_reply *reply, const struct misbehaviour *row)
{
    const struct ca *ca = &ex->lab->ca;
    const time_t now = time(NULL);
    EVP_PKEY *key = new_key("ec");
    const struct mint m = {.subject = X509_REQ_get_subject_name(ex->csr),
                           .key = key,
                           .issuer = ca->issuing,
                           .signer = ca->issuing_key,
                           .not_before = now - LAB_MINUTE,
                           .not_after = now + LAB_DAY,
                           .basic = "critical,CA:FALSE",
                           .eku = "clientAuth"};
    X509 *certificate = key == NULL ? NULL : mint_certificate(&m);
    EVP_PKEY_free(key);
    (void)cmc_no_certificate(ex, reply, row);
    if (certificate != NULL && sk_X509_unshift(reply->certificates, certificate) > 0)
        return true;
    X509_free(certificate);
    return false;
}

static bool cmc_simple(struct exchange *ex, struct cmc_reply *reply, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    reply->simple = true;
    return true;
}

/* ---- trust anchors. RFC 5272 6.15 ---- */

static bool publish(struct cmc_reply *reply, X509 *anchor)
{
    X509_free(reply->anchor);
    reply->anchor = anchor;
    return anchor != NULL && X509_add_cert(reply->certificates, anchor, X509_ADD_FLAG_UP_REF) == 1;
}

static bool cmc_anchor(struct exchange *ex, struct cmc_reply *reply, const struct misbehaviour *row)
{
    EVP_PKEY *key = NULL;
    const bool ok = publish(reply, rogue_root("A root of our own", time(NULL) + LAB_YEAR, &key));
    (void)ex;
    EVP_PKEY_free(key);
    reply->signer = (enum cmc_signer)row->number;
    return ok;
}

static bool cmc_anchor_hash(struct exchange *ex, struct cmc_reply *reply, const struct misbehaviour *row)
{
    X509 *root = ex->lab->ca.root;
    (void)row;
    reply->anchor_hash_wrong = true;
    return X509_up_ref(root) == 1 && publish(reply, root);
}

/* ---- structure ---- */

static bool cmc_alien(struct exchange *ex, struct cmc_reply *reply, const struct misbehaviour *row)
{
    (void)ex;
    reply->alien = row->text;
    return true;
}

static bool cmc_surplus(struct exchange *ex, struct cmc_reply *reply, const struct misbehaviour *row)
{
    (void)ex;
    reply->surplus = (size_t)row->number;
    return true;
}

static bool cmc_nested(struct exchange *ex, struct cmc_reply *reply, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    reply->nested = true;
    return true;
}

static bool cmc_content(struct exchange *ex, struct cmc_reply *reply, const struct misbehaviour *row)
{
    (void)ex;
    reply->content_nid = (int)row->number;
    return true;
}

static bool body_append(struct exchange *ex, struct bytes *der, const struct misbehaviour *row)
{
    (void)ex;
    return bytes_append(der, row->text, (size_t)row->number);
}

/* The outermost SEQUENCE in the form of BER that ends with two zero bytes. */
static bool body_indefinite(struct exchange *ex, struct bytes *der, const struct misbehaviour *row)
{
    static const unsigned char open[] = {0x30, 0x80};
    struct bytes whole = {0};
    size_t header = 0;
    size_t total = 0;
    (void)ex;
    (void)row;
    if (!der_element(der->data, der->len, &header, &total))
        return false;
    bool ok = bytes_append(&whole, open, sizeof open) &&
              bytes_append(&whole, der->data + header, total - header) && bytes_append(&whole, "\0", 2);
    bytes_clear(der);
    *der = whole;
    return ok;
}

static bool body_cut(struct exchange *ex, struct bytes *der, const struct misbehaviour *row)
{
    (void)ex;
    der->len -= der->len > (size_t)row->number ? (size_t)row->number : 0;
    return true;
}

#define ROW(name_, about_, ...)                                                                              \
    {                                                                                                        \
        .name = name_, .about = about_, .operations = OP_FULLCMC, __VA_ARGS__                                \
    }
#define LIE(name_, about_, ...) ROW("cmc-" name_, "fullcmc: " about_, __VA_ARGS__)
#define ODD(name_, about_, ...) ROW("cmc-" name_, "harmless: fullcmc: " about_, __VA_ARGS__)
#define FAILED(name_, number_)                                                                               \
    LIE("failed-" name_, "failed, " name_, .cmc = cmc_failed, .text = "the lab says " name_,                 \
        .number = number_)

static const struct misbehaviour rows[] = {
    FAILED("bad-alg", 0),
    FAILED("bad-message-check", 1),
    FAILED("bad-request", 2),
    FAILED("bad-time", 3),
    FAILED("bad-cert-id", 4),
    FAILED("unsupported-ext", 5),
    FAILED("must-archive-keys", 6),
    FAILED("bad-identity", 7),
    FAILED("pop-required", 8),
    FAILED("pop-failed", 9),
    FAILED("no-key-reuse", 10),
    FAILED("internal-ca-error", 11),
    FAILED("try-later", 12),
    FAILED("auth-data-fail", 13),
    FAILED("unheard-of", 4711),
    LIE("failed-odd-text", "failed, with control bytes, no UTF-8 and 4 kB in the text", .cmc = cmc_odd_text,
        .text = "\x1b[2Jred\x1b[31m\r\nX-Header: no\xff\xfe ", .number = 2),
    LIE("failed-200", "failed, but HTTP says 200", .cmc = cmc_failed_ok, .text = "no", .number = 2),
    LIE("wrong-transaction", "another transactionId", .cmc = cmc_transaction),
    LIE("no-transaction", "no transactionId", .cmc = cmc_no_transaction),
    LIE("wrong-nonce", "another recipientNonce", .cmc = cmc_nonce),
    LIE("no-nonce", "no recipientNonce", .cmc = cmc_no_nonce),
    LIE("unsigned", "nobody signed the response", .cmc = cmc_signer, .number = CMC_SIGNER_NOBODY),
    LIE("stranger", "signed under a CA nobody knows, with id-kp-cmcRA", .cmc = cmc_signer,
        .number = CMC_SIGNER_STRANGER),
    LIE("no-authority", "signed under the right CA, without id-kp-cmcRA", .cmc = cmc_signer,
        .number = CMC_SIGNER_PLAIN),
    LIE("bad-signature", "one bit of the signature is wrong", .cmc = cmc_spoil),
    LIE("no-signer-certificate", "the signer's certificate is not in the message", .cmc = cmc_anonymous),
    LIE("status-no-support", "status noSupport", .cmc = cmc_status, .number = CMC_NO_SUPPORT),
    LIE("status-unheard-of", "status 99", .cmc = cmc_status, .number = 99),
    LIE("success-400", "success, but HTTP says 400", .cmc = cmc_http_status, .number = 400),
    LIE("pending-bare", "pending without pendInfo", .cmc = cmc_pending_bare),
    LIE("pending-forgotten", "pending, and the token is unknown afterwards", .cmc = cmc_pending_time,
        .number = 1),
    LIE("pending-far", "pending until a hundred years from now", .cmc = cmc_pending_time,
        .number = 100 * LAB_YEAR),
    LIE("pending-huge-token", "pending with a token of 400 kB", .cmc = cmc_pending_huge_token, .number = 1),
    LIE("no-certificate", "success without the certificate", .cmc = cmc_no_certificate),
    LIE("other-key", "success with a certificate for another key", .cmc = cmc_other_key),
    LIE("anchor-stranger", "a stranger signs and publishes a root of its own", .cmc = cmc_anchor,
        .number = CMC_SIGNER_STRANGER),
    LIE("anchor-unsigned", "nobody signs and a root of its own is published", .cmc = cmc_anchor,
        .number = CMC_SIGNER_NOBODY),
    LIE("anchor-no-authority", "a signer without id-kp-cmcRA publishes a root of its own", .cmc = cmc_anchor,
        .number = CMC_SIGNER_PLAIN),
    LIE("anchor-wrong-hash", "publishes an anchor by a wrong hash", .cmc = cmc_anchor_hash),
    LIE("many-controls", "100000 dataReturn controls", .cmc = cmc_surplus, .number = 100000),
    LIE("nested", "the content is a SignedData again", .cmc = cmc_nested),
    LIE("wrong-content", "eContentType PKIData", .cmc = cmc_content, .number = NID_id_cct_PKIData),
    LIE("content-data", "eContentType data", .cmc = cmc_content, .number = NID_pkcs7_data),
    LIE("trailing", "bytes after the message", .body = body_append, .text = "\x05\x00\x05\x00", .number = 4),
    LIE("cut", "the last 40 bytes are missing", .body = body_cut, .number = 40),
    ODD("indefinite", "the outermost SEQUENCE is of indefinite length", .body = body_indefinite),
    ODD("no-status", "no status, which means success", .cmc = cmc_status, .number = -1),
    ODD("alien-control", "a control nobody knows", .cmc = cmc_alien, .text = "1.3.6.1.4.1.32473.7"),
    ODD("version-1", "the status in its older form", .cmc = cmc_version_1),
    ODD("reverse", "the issued certificate comes last", .cmc = cmc_reverse),
    ODD("simple-response", "a Simple PKI Response, certificates only", .cmc = cmc_simple),
};

const struct misbehave_table misbehave_fullcmc = {rows, sizeof rows / sizeof *rows};
