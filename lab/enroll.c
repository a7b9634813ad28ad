/* RFC 7030 4.2: simpleenroll and simplereenroll. */
#include "lab.h"
#include "misbehave.h"

#include <event2/http.h>
#include <string.h>
#include <strings.h>

static bool is_pkcs10(const struct exchange *ex)
{
    static const char wanted[] = "application/pkcs10";
    const char *type = evhttp_find_header(evhttp_request_get_input_headers(ex->req), "Content-Type");
    return type != NULL && strncasecmp(type, wanted, sizeof wanted - 1) == 0 &&
           strchr("; \t", type[sizeof wanted - 1]) != NULL;
}

/* RFC 7030 4.2.1. strchr above also finds the NUL, which ends a type without parameters. */
bool enroll_read_request(struct exchange *ex)
{
    const char *why = NULL;
    if (!is_pkcs10(ex)) {
        reply_text(&ex->reply, 415, "Unsupported Media Type", "the request must be application/pkcs10");
        return false;
    }
    ex->csr = csr_read(&ex->body, ex->operation->bit == OP_SERVERKEYGEN, &why);
    if (ex->csr == NULL)
        reply_text(&ex->reply, 400, "Bad Request", why);
    return ex->csr != NULL;
}

/* RFC 7030 4.2.3: 202 until the same key has asked often enough. */
bool enroll_hold_back(struct exchange *ex)
{
    char seconds[32];
    const struct options *o = &ex->lab->options;
    EVP_PKEY *key = X509_REQ_get0_pubkey(ex->csr);
    if (misbehave_hold(ex))
        return true;
    const long asked = o->pending > 0 ? pending_asked(ex->lab, key) : 0;
    if (asked >= o->pending)
        return false;
    if (!pending_remember(ex->lab, key, asked + 1)) {
        reply_text(&ex->reply, 500, "Internal Server Error", "the pending request could not be kept");
        return true;
    }
    (void)snprintf(seconds, sizeof seconds, "%ld", o->retry_after);
    reply_text(&ex->reply, 202, "Accepted", "the request waits for a decision");
    (void)reply_header(&ex->reply, "Retry-After", seconds);
    return true;
}

static void serve(struct exchange *ex)
{
    STACK_OF(X509) *certificates = NULL;
    X509 *certificate = NULL;
    if (enroll_hold_back(ex))
        return;
    certificates = sk_X509_new_null();
    certificate = issue_certificate(ex);
    if (certificates == NULL || certificate == NULL ||
        X509_add_cert(certificates, certificate, X509_ADD_FLAG_UP_REF) != 1 ||
        !pending_forget(ex->lab, X509_REQ_get0_pubkey(ex->csr)))
        reply_text(&ex->reply, 500, "Internal Server Error", "the certificate could not be made");
    else
        est_answer_certificates(ex, certificates);
    X509_free(certificate);
    sk_X509_pop_free(certificates, X509_free);
}

void simpleenroll_handle(struct exchange *ex)
{
    bool stale = false;
    const bool known = auth_check(ex, &stale);
    if (!known && ex->client == NULL)
        auth_challenge(ex, stale);
    else if (enroll_read_request(ex) && pop_check(ex))
        serve(ex);
}

/* RFC 7030 4.2.2: the certificate to be renewed is the one the TLS client showed. */
void simplereenroll_handle(struct exchange *ex)
{
    bool stale = false;
    const char *difference = NULL;
    (void)auth_check(ex, &stale);
    if (ex->client == NULL) {
        reply_text(&ex->reply, 403, "Forbidden",
                   "simplereenroll needs the TLS client certificate being renewed");
        return;
    }
    if (!enroll_read_request(ex) || !pop_check(ex))
        return;
    difference = csr_differs(ex->csr, ex->client);
    if (difference != NULL)
        reply_text(&ex->reply, 400, "Bad Request", difference);
    else
        serve(ex);
}
