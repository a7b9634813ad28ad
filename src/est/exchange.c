#include "est/exchange.h"

#include <openssl/err.h>
#include <string.h>

estuary_status estuary_exchange_new(estuary_operation operation, const estuary_server *server,
                                    estuary_enrollment *enrollment, const estuary_limits *limits,
                                    estuary_exchange **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    estuary_exchange *x = NULL;
    const est_operation *row = est_operation_get(operation);
    *out = NULL;
    if (row == NULL || server == NULL)
        EST_FAIL(EST_USAGE, "an exchange needs an operation and a server");
    if (row->enrolls != (enrollment != NULL) || (enrollment != NULL && enrollment->operation != operation))
        EST_FAIL(EST_USAGE, "the enrolment does not fit the operation");
    if (enrollment != NULL && !est_server_equal(enrollment->server, server))
        EST_FAIL(EST_USAGE, "the enrolment is for another server or label");
    x = est_alloc(sizeof(*x));
    if (x == NULL) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    x->operation = row;
    x->server = estuary_server_up_ref(server);
    x->enrollment = enrollment;
    x->limits = est_limits_dup(limits);
    x->url = est_server_operation_url(server, row->name);
    if (x->limits == NULL || x->url == NULL) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    *out = x;
    x = NULL;

cleanup:
    estuary_exchange_free(x);
    return status;
}

void estuary_exchange_free(estuary_exchange *exchange)
{
    if (exchange == NULL)
        return;
    estuary_server_free(exchange->server);
    estuary_limits_free(exchange->limits);
    est_free(exchange->request.body);
    est_free(exchange->url);
    sk_X509_pop_free(exchange->certs, X509_free);
    estuary_csr_attributes_free(exchange->attributes);
    estuary_renewal_info_free(exchange->renewal_info);
    est_free(exchange);
}

estuary_status est_exchange_set_body(estuary_exchange *exchange, const uint8_t *der, size_t len,
                                     estuary_error *err)
{
    est_free(exchange->request.body);
    exchange->request.body = NULL;
    estuary_status status = est_base64_encode(der, len, &exchange->request.body, err);
    exchange->request.body_len = status == ESTUARY_OK ? strlen(exchange->request.body) : 0;
    return status;
}

static void describe(estuary_exchange *exchange)
{
    exchange->request.method = exchange->operation->method;
    exchange->request.url = exchange->url;
    exchange->request.content_type = exchange->operation->content_type;
    exchange->request.accept = exchange->operation->accept;
}

/*
 * What a binding adds, in base64: an attribute of up to 61 bytes, longer lengths around it, and an ECDSA
 * signature that happens to be longer than the last one. What is left over is sent as white space (RFC
 * 8951 3.1).
 */
#define BINDING_GROWTH 256

estuary_status est_exchange_plan_bound(estuary_exchange *exchange, const estuary_http_request **out,
                                       size_t *body_max, estuary_error *err)
{
    *out = NULL;
    *body_max = 0;
    if (exchange->done || exchange->operation->build == NULL)
        return est_fail(err, EST_USAGE, "this exchange has nothing to bind");
    describe(exchange);
    estuary_status status = exchange->operation->build(exchange, err);
    if (status != ESTUARY_OK)
        return status;
    *out = &exchange->request;
    *body_max = exchange->request.body_len + BINDING_GROWTH;
    return ESTUARY_OK;
}

estuary_status estuary_exchange_request(estuary_exchange *exchange, const uint8_t *binding,
                                        size_t binding_len, const estuary_http_request **out,
                                        estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    *out = NULL;
    if (exchange->done)
        return est_fail(err, EST_USAGE, "this exchange is over");
    describe(exchange);
    if (exchange->enrollment != NULL) {
        /* RFC 7030 3.5: a binding is good for one session only, so what was bound is signed again */
        if (binding_len == 0 && exchange->enrollment->bound)
            return est_fail(err, EST_USAGE,
                            "the request is bound to a TLS session, so it needs the binding of the new one");
        if (binding_len > 0)
            status = est_enrollment_sign(exchange->enrollment, binding, binding_len, err);
    }
    if (status == ESTUARY_OK && exchange->operation->build != NULL)
        status = exchange->operation->build(exchange, err);
    if (status != ESTUARY_OK)
        return status;
    exchange->sent = true;
    *out = &exchange->request;
    return ESTUARY_OK;
}

/* T7 */
static estuary_status redirect(estuary_exchange *x, const estuary_http_response *response, estuary_error *err)
{
    char *url = NULL;
    if (x->redirects >= estuary_limits_get(x->limits, ESTUARY_LIMIT_REDIRECTS))
        return est_fail(err, EST_PROTOCOL_REDIRECTS, NULL);
    /* RFC 9110 15.4.4: 303 asks for a GET, which is no enrolment */
    if (response->status == 303 && x->operation->enrolls)
        return est_fail(err, EST_PROTOCOL_REDIRECT,
                        "the server redirects an enrolment with 303, which drops it");
    estuary_status status =
        est_server_resolve_redirect(x->server, x->url, est_response_header(response, "Location"), &url, err);
    if (status != ESTUARY_OK)
        return status;
    est_free(x->url);
    x->url = url;
    x->redirects++;
    return ESTUARY_OK;
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

estuary_status est_exchange_wait(estuary_exchange *x, time_t at, estuary_error *err)
{
    estuary_enrollment *e = x->enrollment;
    if (e->polls >= estuary_limits_get(x->limits, ESTUARY_LIMIT_POLLS))
        return est_fail(err, EST_PENDING_GIVE_UP, NULL);
    e->polls++;
    e->retry_at = at;
    e->state = ESTUARY_STATE_PENDING;
    x->waits = true;
    return ESTUARY_OK;
}

static estuary_status pending(estuary_exchange *x, const estuary_http_response *response, time_t now,
                              estuary_error *err)
{
    time_t at = 0;
    estuary_status status = est_answer_retry_at(response, x->limits, now, &at, err);
    return status == ESTUARY_OK ? est_exchange_wait(x, at, err) : status;
}

static estuary_status judge(estuary_exchange *x, const estuary_http_response *response, time_t now,
                            estuary_next *next, estuary_error *err)
{
    estuary_status status = est_answer_check_bounds(response, x->limits, err);
    if (status != ESTUARY_OK)
        return status;
    *next = ESTUARY_NEXT_DONE;
    if (response->status == 200)
        return x->operation->read(x, response, err);
    if (x->operation->absent_is_empty && (response->status == 204 || response->status == 404))
        return x->operation->read(x, NULL, err); /* RFC 7030 4.5.2 */
    if (response->status == 202 && x->operation->enrolls)
        return pending(x, response, now, err);
    if (is_redirect(response->status)) {
        *next = ESTUARY_NEXT_SEND;
        return redirect(x, response, err);
    }
    if (response->status >= 400 && x->operation->read_refusal != NULL)
        return x->operation->read_refusal(x, response, err);
    return est_answer_refusal(response, x->limits, now, err);
}

estuary_status estuary_exchange_response(estuary_exchange *exchange, const estuary_http_response *response,
                                         time_t now, estuary_next *next, estuary_error *err)
{
    *next = ESTUARY_NEXT_FAILED;
    if (!exchange->sent || exchange->done)
        return est_fail(err, EST_USAGE, "an answer without a request");
    exchange->sent = false;
    ERR_clear_error();
    exchange->waits = false;
    exchange->now = now;
    estuary_status status = judge(exchange, response, now, next, err);
    if (exchange->waits)
        *next = ESTUARY_NEXT_WAIT;
    if (status != ESTUARY_OK) {
        *next = ESTUARY_NEXT_FAILED;
        est_error_set_http_status(err, response->status);
    }
    exchange->done = *next != ESTUARY_NEXT_SEND;
    return status;
}

const STACK_OF(X509) *estuary_exchange_get0_certs(const estuary_exchange *exchange)
{
    return exchange->certs;
}

const estuary_csr_attributes *estuary_exchange_get0_csr_attributes(const estuary_exchange *exchange)
{
    return exchange->attributes;
}

estuary_csr_attributes *est_exchange_take_csr_attributes(estuary_exchange *exchange)
{
    estuary_csr_attributes *attributes = exchange->attributes;
    exchange->attributes = NULL;
    return attributes;
}

const char *est_exchange_url(const estuary_exchange *exchange)
{
    return exchange->url;
}

estuary_enrollment *est_exchange_enrollment(const estuary_exchange *exchange)
{
    return exchange->enrollment;
}
