/* RFC 7030 4.3: /fullcmc, from the message to the answer. */
#include "cmc.h"
#include "misbehave.h"

#include <event2/http.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define TOKEN_LEN 64

/* ---- reading ---- */

/* RFC 7030 4.3.1: application/pkcs7-mime; smime-type=CMC-request */
static bool is_cmc_request(const struct exchange *ex)
{
    static const char wanted[] = "application/pkcs7-mime";
    const char *type = evhttp_find_header(evhttp_request_get_input_headers(ex->req), "Content-Type");
    return type != NULL && strncasecmp(type, wanted, sizeof wanted - 1) == 0 &&
           strcasestr(type, "smime-type=CMC-request") != NULL;
}

/* The last one is kept, for other programs to look at. */
static bool keep_message(const struct lab *lab, const struct bytes *der)
{
    char *path = path_join(lab->ca.dir, "cmc-request.der");
    bool ok = path != NULL && file_write(path, der->data, der->len);
    free(path);
    return ok;
}

static bool read_message(struct exchange *ex, struct bytes *der, struct cmc_request *request)
{
    const char *why = "the body is not base64";
    if (!is_cmc_request(ex)) {
        reply_text(&ex->reply, 415, "Unsupported Media Type",
                   "the request must be application/pkcs7-mime; smime-type=CMC-request");
        return false;
    }
    if (!base64_decode(ex->body.data, ex->body.len, der) || der->len == 0 || !keep_message(ex->lab, der) ||
        !cmc_request_parse(der, request, &why)) {
        reply_text(&ex->reply, 400, "Bad Request", why);
        return false;
    }
    return true;
}

/* ---- what waits ---- */

static bool make_token(X509_REQ *csr, struct bytes *token)
{
    char hex[TOKEN_LEN + 1];
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(X509_REQ_get0_pubkey(csr), &der);
    bool ok = len > 0 && sha256_hex(der, (size_t)len, hex) && bytes_append(token, hex, TOKEN_LEN);
    OPENSSL_free(der);
    return ok;
}

/* Beside the count of pending.c, which made the folder. NULL: not a token of ours. */
static char *waiting_path(const struct lab *lab, const unsigned char *token, size_t len)
{
    char name[TOKEN_LEN + 32];
    if (len != TOKEN_LEN)
        return NULL;
    for (size_t i = 0; i < len; i++) {
        if (token[i] == '\0' || strchr("0123456789abcdef", token[i]) == NULL)
            return NULL;
    }
    (void)snprintf(name, sizeof name, "pending/%.*s.cmc", (int)len, (const char *)token);
    return path_join(lab->ca.dir, name);
}

static bool keep_waiting(const struct lab *lab, const struct bytes *token, const struct bytes *der)
{
    char *path = waiting_path(lab, token->data, token->len);
    bool ok = path != NULL && (file_exists(path) || file_write(path, der->data, der->len));
    free(path);
    return ok;
}

static void forget_waiting(const struct lab *lab, const struct bytes *token)
{
    char *path = waiting_path(lab, token->data, token->len);
    if (path != NULL)
        (void)unlink(path);
    free(path);
}

static bool same_transaction(const struct cmc_request *one, const struct cmc_request *other)
{
    const ASN1_TYPE *a = cmc_control_value(one->data, CMC_TRANSACTION_ID, V_ASN1_INTEGER);
    const ASN1_TYPE *b = cmc_control_value(other->data, CMC_TRANSACTION_ID, V_ASN1_INTEGER);
    return (a == NULL) == (b == NULL) && (a == NULL || ASN1_TYPE_cmp(a, b) == 0);
}

/* RFC 5272 6.13: the request it asks about is the one that counts; 6.6: in the same transaction. */
static bool read_query(const struct lab *lab, struct cmc_request *query, struct cmc_request *waiting)
{
    const char *why = NULL;
    struct bytes der = {0};
    bool ok = false;
    const ASN1_TYPE *token = cmc_control_value(query->data, CMC_QUERY_PENDING, V_ASN1_OCTET_STRING);
    char *path = token == NULL ? NULL
                               : waiting_path(lab, ASN1_STRING_get0_data(token->value.octet_string),
                                              (size_t)ASN1_STRING_length(token->value.octet_string));
    if (path == NULL || !file_read(path, LAB_MAX_BODY, &der) || !cmc_request_parse(&der, waiting, &why))
        ok = cmc_request_refuse(query, CMC_BAD_REQUEST, "no request waits under this token");
    else if (!same_transaction(query, waiting) || !cmc_request_body(waiting))
        ok = cmc_request_refuse(query, CMC_BAD_REQUEST, "the query is not of the request's transaction");
    else
        ok = cmc_request_signature(lab, query, waiting->csr);
    bytes_clear(&der);
    free(path);
    return ok;
}

/* ---- deciding ---- */

static bool copy_control(const struct cmc_request *request, enum cmc_control which, int type,
                         ASN1_STRING **copy)
{
    const ASN1_TYPE *value = cmc_control_value(request->data, which, type);
    if (value != NULL)
        *copy = ASN1_STRING_dup(value->value.asn1_string);
    return value == NULL || *copy != NULL;
}

/* RFC 5272 6.6: the client's nonce comes back, with a fresh one of ours. */
static bool reply_open(const struct lab *lab, const struct cmc_request *request, struct cmc_reply *reply)
{
    unsigned char nonce[16];
    *reply = (struct cmc_reply){.http_status = 200,
                                .fail = CMC_NO_FAIL,
                                .signer = lab->options.cmc_signed_by_ca ? CMC_SIGNER_CA : CMC_SIGNER_RA,
                                .content_nid = NID_id_cct_PKIResponse};
    reply->certificates = sk_X509_new_null();
    reply->sender_nonce = ASN1_OCTET_STRING_new();
    reply->returned = cmc_find_control(request->data, CMC_DATA_RETURN);
    return reply->certificates != NULL && reply->sender_nonce != NULL &&
           copy_control(request, CMC_TRANSACTION_ID, V_ASN1_INTEGER, &reply->transaction) &&
           copy_control(request, CMC_SENDER_NONCE, V_ASN1_OCTET_STRING, &reply->recipient_nonce) &&
           RAND_bytes(nonce, sizeof nonce) == 1 &&
           ASN1_STRING_set(reply->sender_nonce, nonce, sizeof nonce) == 1;
}

/* RFC 7030 4.3.2: a refusal is an HTTP error with a CMC response in it. */
static void refuse(struct cmc_reply *reply, const struct cmc_request *request)
{
    reply->http_status = 400;
    reply->status = CMC_FAILED;
    reply->fail = request->fail;
    reply->text = request->text;
    reply->body_part = request->body_part;
}

static bool let_wait(struct exchange *ex, const struct bytes *der, struct cmc_reply *reply)
{
    EVP_PKEY *key = X509_REQ_get0_pubkey(ex->csr);
    const long asked = ex->lab->options.pending > 0 ? pending_asked(ex->lab, key) : 0;
    if (asked >= ex->lab->options.pending)
        return false;
    reply->status = CMC_PENDING;
    reply->pend_seconds = ex->lab->options.retry_after;
    if (!make_token(ex->csr, &reply->pend_token) || !pending_remember(ex->lab, key, asked + 1) ||
        !keep_waiting(ex->lab, &reply->pend_token, der)) {
        reply->status = CMC_FAILED;
        reply->fail = CMC_INTERNAL_CA_ERROR;
    }
    return true;
}

static bool add_certificate(struct cmc_reply *reply, X509 *certificate)
{
    return X509_add_cert(reply->certificates, certificate, X509_ADD_FLAG_UP_REF) == 1;
}

static void issue(struct exchange *ex, struct cmc_reply *reply)
{
    const struct ca *ca = &ex->lab->ca;
    struct bytes token = {0};
    X509 *certificate = issue_certificate(ex);
    if (certificate == NULL || !add_certificate(reply, certificate) || !add_certificate(reply, ca->issuing) ||
        !add_certificate(reply, ca->root) || !make_token(ex->csr, &token) ||
        !pending_forget(ex->lab, X509_REQ_get0_pubkey(ex->csr))) {
        reply->status = CMC_FAILED;
        reply->fail = CMC_INTERNAL_CA_ERROR;
        reply->http_status = 500;
    } else if (ex->lab->options.cmc_anchors && X509_up_ref(ca->root) == 1) {
        reply->anchor = ca->root;
    }
    forget_waiting(ex->lab, &token);
    bytes_clear(&token);
    X509_free(certificate);
}

static bool judge(struct exchange *ex, struct cmc_request *request)
{
    return cmc_request_body(request) && cmc_proof_check(ex->lab, request) &&
           cmc_request_signature(ex->lab, request, request->csr);
}

/* Someone must answer for the request: a certificate, a shared secret, or what HTTP or TLS know. RFC 7030 3.7
 */
static bool somebody_answers(struct exchange *ex, const struct cmc_request *request)
{
    bool stale = false;
    if (request->proof != CMC_PROOF_NONE || ex->client != NULL || auth_check(ex, &stale))
        return true;
    auth_challenge(ex, stale);
    return false;
}

/* ---- answering ---- */

static void answer(struct exchange *ex, struct cmc_reply *reply)
{
    struct bytes der = {0};
    const char *type = "application/pkcs7-mime; smime-type=CMC-response";
    /* Without an issued certificate too the signer's must chain. RFC 5272 4.2 */
    if (sk_X509_num(reply->certificates) == 0)
        (void)add_certificate(reply, ex->lab->ca.issuing);
    if (!misbehave_cmc(ex, reply) || !misbehave_bundle(ex, reply->certificates) ||
        (!reply->simple && !cmc_reply_encode(ex->lab, reply, &der)))
        reply_text(&ex->reply, 500, "Internal Server Error", "the answer could not be encoded");
    else if (reply->simple)
        est_answer_certificates(ex, reply->certificates);
    else
        est_answer(ex, type, &der);
    if (ex->reply.status == 200 && reply->http_status != 200) {
        ex->reply.status = reply->http_status;
        ex->reply.reason = reply->http_status == 202 ? "Accepted" : "Refused";
    }
    bytes_clear(&der);
}

/* The message that holds the certification request is message: request itself, or the one it asks about. */
static void serve(struct exchange *ex, const struct bytes *der, struct cmc_request *request,
                  struct cmc_request *message)
{
    struct cmc_reply reply = {0};
    if (!reply_open(ex->lab, request, &reply)) {
        reply_text(&ex->reply, 500, "Internal Server Error", "out of memory");
        goto cleanup;
    }
    if (request->fail == CMC_NO_FAIL) {
        ex->csr = message->csr;
        message->csr = NULL;
        reply.body_part = message->body_part;
        if (misbehave_hold(ex))
            goto cleanup;
        if (!let_wait(ex, der, &reply))
            issue(ex, &reply);
    } else {
        refuse(&reply, request);
    }
    answer(ex, &reply);
cleanup:
    cmc_reply_clear(&reply);
}

void fullcmc_handle(struct exchange *ex)
{
    struct bytes der = {0};
    struct cmc_request request = {0};
    struct cmc_request waiting = {0};
    if (!read_message(ex, &der, &request))
        goto cleanup;
    if (cmc_find_control(request.data, CMC_QUERY_PENDING) != NULL) {
        (void)read_query(ex->lab, &request, &waiting);
        serve(ex, &der, &request, &waiting);
    } else if (!judge(ex, &request) || somebody_answers(ex, &request)) {
        serve(ex, &der, &request, &request);
    }
cleanup:
    cmc_request_clear(&request);
    cmc_request_clear(&waiting);
    bytes_clear(&der);
}
