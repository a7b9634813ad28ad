/* From a request to an operation, and from its result to an answer. RFC 7030 3.2.2 */
#include "lab.h"
#include "misbehave.h"

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/http.h>
#include <openssl/err.h>
#include <string.h>

static void cacerts_handle(struct exchange *ex);
static void csrattrs_handle(struct exchange *ex);

static const struct operation operations[] = {
    {"cacerts", OP_CACERTS, false, false, cacerts_handle},
    {"csrattrs", OP_CSRATTRS, false, false, csrattrs_handle},
    {"simpleenroll", OP_SIMPLEENROLL, true, false, simpleenroll_handle},
    {"simplereenroll", OP_SIMPLEREENROLL, true, false, simplereenroll_handle},
    {"serverkeygen", OP_SERVERKEYGEN, true, false, serverkeygen_handle},
    {"fullcmc", OP_FULLCMC, true, false, fullcmc_handle},
    {"renewal-info", OP_RENEWAL_INFO, false, true, renewal_info_handle},
};

static const struct operation *find_operation(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        if (strlen(operations[i].name) == len && memcmp(operations[i].name, name, len) == 0)
            return &operations[i];
    }
    return NULL;
}

unsigned operation_by_name(const char *name, size_t len)
{
    const struct operation *operation = find_operation(name, len);
    return operation == NULL ? 0 : (unsigned)operation->bit;
}

/* OPERATION, or OPERATION/ID where there is one thing of many to ask about. */
static bool take_operation(struct exchange *ex, const char *rest)
{
    const size_t len = strcspn(rest, "/");
    const struct operation *operation = find_operation(rest, len);
    if (operation == NULL || (rest[len] == '/') != operation->has_id)
        return false;
    if (operation->has_id) {
        ex->id = rest + len + 1;
        if (*ex->id == '\0' || strchr(ex->id, '/') != NULL)
            return false;
    }
    ex->operation = operation;
    return true;
}

/* Any prefix, then /.well-known/est/OPERATION or /.well-known/est/LABEL/OPERATION. */
static bool route(struct exchange *ex)
{
    static const char well_known[] = "/.well-known/est/";
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(ex->req));
    const char *rest = path == NULL ? NULL : strstr(path, well_known);
    if (rest == NULL)
        return false;
    rest += sizeof well_known - 1;
    const size_t len = strcspn(rest, "/");
    if (find_operation(rest, len) != NULL)
        return take_operation(ex, rest);
    if (rest[len] != '/' || len == 0 || len >= sizeof ex->label)
        return false;
    memcpy(ex->label, rest, len);
    return take_operation(ex, rest + len + 1);
}

static void run(struct exchange *ex)
{
    const enum evhttp_cmd_type wanted = ex->operation->post ? EVHTTP_REQ_POST : EVHTTP_REQ_GET;
    if (evhttp_request_get_command(ex->req) != wanted) {
        reply_text(&ex->reply, 405, "Method Not Allowed", "this operation has another method");
        (void)reply_header(&ex->reply, "Allow", ex->operation->post ? "POST" : "GET");
        return;
    }
    if (!misbehave_answer(ex))
        ex->operation->handle(ex);
    if (ex->reply.status == 200)
        misbehave_finish(ex);
}

static bool exchange_open(struct exchange *ex, struct door *door, struct evhttp_request *req)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(req);
    struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(req));
    const size_t len = evbuffer_get_length(in);
    *ex = (struct exchange){.lab = door->lab, .door = door, .req = req};
    ex->ssl = bufferevent_openssl_get_ssl(bev);
    if (ex->ssl == NULL || (len > 0 && !bytes_append(&ex->body, evbuffer_pullup(in, -1), len)))
        return false;
    ex->client = SSL_get1_peer_certificate(ex->ssl);
    return ex->client == NULL || SSL_get_verify_result(ex->ssl) == X509_V_OK;
}

static void exchange_close(struct exchange *ex)
{
    X509_free(ex->client);
    X509_REQ_free(ex->csr);
    EVP_PKEY_free(ex->key);
    bytes_clear(&ex->body);
    reply_clear(&ex->reply);
}

void est_handle(struct evhttp_request *req, void *arg)
{
    struct exchange ex;
    if (!exchange_open(&ex, arg, req)) {
        evhttp_send_error(req, 500, NULL);
        goto cleanup;
    }
    if (route(&ex))
        run(&ex);
    else
        reply_text(&ex.reply, 404, "Not Found", "not an EST operation this lab knows");
    access_log(&ex); /* before the answer: whoever has it can read the log */
    if (!misbehave_transmit(&ex))
        reply_send(&ex);
cleanup:
    exchange_close(&ex);
    ERR_clear_error(); /* what a bad request left must not be blamed on the next TLS record */
}

void est_answer(struct exchange *ex, const char *content_type, const struct bytes *der)
{
    struct reply *r = &ex->reply;
    struct bytes bent = {0};
    reply_set(r, 200, "OK");
    if (!reply_header(r, "Content-Type", content_type) ||
        !reply_header(r, "Content-Transfer-Encoding", "base64") || !bytes_set(&bent, der->data, der->len) ||
        !misbehave_der(ex, &bent) || !misbehave_encode(ex, &bent, &r->body))
        reply_text(r, 500, "Internal Server Error", "the answer could not be encoded");
    bytes_clear(&bent);
}

void est_answer_certificates(struct exchange *ex, STACK_OF(X509) *certificates)
{
    struct bytes der = {0};
    if (!misbehave_bundle(ex, certificates) || !cms_certs_only(certificates, &der))
        reply_text(&ex->reply, 500, "Internal Server Error", "the certificates could not be encoded");
    else
        est_answer(ex, "application/pkcs7-mime; smime-type=certs-only", &der);
    bytes_clear(&der);
}

/* RFC 7030 4.1.3 */
static void cacerts_handle(struct exchange *ex)
{
    const struct ca *ca = &ex->lab->ca;
    STACK_OF(X509) *certificates = sk_X509_new_null();
    if (certificates != NULL && X509_add_cert(certificates, ca->root, X509_ADD_FLAG_UP_REF) == 1 &&
        X509_add_cert(certificates, ca->issuing, X509_ADD_FLAG_UP_REF) == 1 && rollover_add(ca, certificates))
        est_answer_certificates(ex, certificates);
    else
        reply_text(&ex->reply, 500, "Internal Server Error", "out of memory");
    sk_X509_pop_free(certificates, X509_free);
}

/* RFC 7030 4.5.2. A misbehaviour needs a list to spoil: one naming SHA-256, which asks for nothing. */
static void csrattrs_handle(struct exchange *ex)
{
    unsigned char sha256_only[] = {0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48,
                                   0x01, 0x65, 0x03, 0x04, 0x02, 0x01};
    const struct bytes stand_in = {.data = sha256_only, .len = sizeof sha256_only};
    struct bytes asked = {0};
    if (ex->lab->options.require_pop && pop_ask(&ex->lab->csrattrs, &asked))
        est_answer(ex, "application/csrattrs", &asked);
    else if (ex->lab->csrattrs.len > 0)
        est_answer(ex, "application/csrattrs", &ex->lab->csrattrs);
    else if (misbehave_touches(ex->door, OP_CSRATTRS))
        est_answer(ex, "application/csrattrs", &stand_in);
    else
        reply_set(&ex->reply, 204, "No Content");
    bytes_clear(&asked);
}
