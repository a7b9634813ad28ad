/* The OCSP responder: from a request to the plan of an answer. RFC 6960, RFC 8954 */
#include "misbehave.h"
#include "revocation.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool same_issuer(const OCSP_CERTID *id, const EVP_MD *md, const X509 *issuer)
{
    OCSP_CERTID *ours =
        OCSP_cert_id_new(md, X509_get_subject_name(issuer), X509_get0_pubkey_bitstr(issuer), NULL);
    const bool same = ours != NULL && OCSP_id_issuer_cmp(ours, id) == 0;
    OCSP_CERTID_free(ours);
    return same;
}

/* Any digest that the client has chosen: SHA-1 and SHA-256 are usual. */
static bool find_issuer(const struct ca *ca, OCSP_CERTID *id, struct issuer *out)
{
    struct issuer issuers[LAB_ISSUERS];
    ASN1_OBJECT *algorithm = NULL;
    if (OCSP_id_get0_info(NULL, &algorithm, NULL, NULL, id) != 1)
        return false;
    const EVP_MD *md = EVP_get_digestbyobj(algorithm);
    ca_issuers(ca, issuers);
    for (size_t i = 0; md != NULL && i < LAB_ISSUERS; i++) {
        if (issuers[i].name != NULL && same_issuer(id, md, issuers[i].certificate)) {
            *out = issuers[i];
            return true;
        }
    }
    return false;
}

static bool add_item(const struct ca *ca, OCSP_CERTID *id, struct ocsp_plan *plan)
{
    ASN1_INTEGER *serial = NULL;
    struct issuer issuer = {0};
    struct revoked revoked = {NULL, 0, NO_REASON};
    struct ocsp_item *item = &plan->items[plan->item_count];
    if (OCSP_id_get0_info(NULL, NULL, NULL, &serial, id) != 1 || (item->id = OCSP_CERTID_dup(id)) == NULL)
        return false;
    plan->item_count++;
    item->status = V_OCSP_CERTSTATUS_UNKNOWN;
    if (!find_issuer(ca, id, &issuer) || issuer.certificate != plan->issuer.certificate)
        return true;
    item->status = revocation_status(ca, &issuer, serial, &revoked);
    item->reason = revoked.reason;
    item->revoked_at = revoked.at;
    return true;
}

static bool add_items(const struct ca *ca, const OCSP_REQUEST *request, struct ocsp_plan *plan)
{
    OCSP_REQUEST *r = (OCSP_REQUEST *)request; /* these functions lack a const */
    const int count = OCSP_request_onereq_count(r);
    bool ok = true;
    if (count < 1 || count > LAB_MAX_QUESTIONS) {
        plan->response_status = OCSP_RESPONSE_STATUS_MALFORMEDREQUEST;
        return true;
    }
    if (!find_issuer(ca, OCSP_onereq_get0_id(OCSP_request_onereq_get0(r, 0)), &plan->issuer)) {
        plan->response_status = OCSP_RESPONSE_STATUS_UNAUTHORIZED;
        return true;
    }
    for (int i = 0; ok && i < count; i++)
        ok = add_item(ca, OCSP_onereq_get0_id(OCSP_request_onereq_get0(r, i)), plan);
    return ok;
}

/* RFC 8954 2.1: the nonce is echoed as it came. */
static bool add_nonce(const OCSP_REQUEST *request, struct ocsp_plan *plan)
{
    OCSP_REQUEST *r = (OCSP_REQUEST *)request;
    const int at = OCSP_REQUEST_get_ext_by_NID(r, NID_id_pkix_OCSP_Nonce, -1);
    if (at < 0)
        return true;
    plan->nonce = X509_EXTENSION_dup(OCSP_REQUEST_get_ext(r, at));
    return plan->nonce != NULL;
}

static bool add_certificate(const struct ca *ca, X509 *certificate, struct ocsp_plan *plan)
{
    struct issuer issuers[LAB_ISSUERS];
    OCSP_CERTID *id = NULL;
    bool ok = true;
    ca_issuers(ca, issuers);
    for (size_t i = 0; i < LAB_ISSUERS; i++) {
        if (issuers[i].name != NULL && X509_check_issued(issuers[i].certificate, certificate) == X509_V_OK)
            plan->issuer = issuers[i];
    }
    if (plan->issuer.name == NULL) {
        plan->response_status = OCSP_RESPONSE_STATUS_UNAUTHORIZED;
        return true;
    }
    id = OCSP_cert_to_id(NULL, certificate, plan->issuer.certificate);
    ok = id != NULL && add_item(ca, id, plan);
    OCSP_CERTID_free(id);
    return ok;
}

static void choose_signer(const struct lab *lab, struct ocsp_plan *plan)
{
    if (plan->issuer.name == NULL)
        return;
    plan->signer = plan->issuer.certificate;
    plan->key = plan->issuer.key;
    if (!lab->options.ocsp_signed_by_ca) {
        plan->signer = plan->issuer.ocsp->certificate;
        plan->key = plan->issuer.ocsp->key;
    }
}

bool ocsp_plan(const struct lab *lab, const OCSP_REQUEST *request, X509 *certificate, struct ocsp_plan *plan)
{
    *plan = (struct ocsp_plan){.response_status = OCSP_RESPONSE_STATUS_SUCCESSFUL, .this_update = time(NULL)};
    plan->produced_at = plan->this_update;
    if (lab->options.ocsp_lifetime > 0)
        plan->next_update = plan->this_update + lab->options.ocsp_lifetime;
    const bool ok = request != NULL ? add_items(&lab->ca, request, plan) && add_nonce(request, plan)
                                    : add_certificate(&lab->ca, certificate, plan);
    choose_signer(lab, plan);
    return ok;
}

void ocsp_plan_clear(struct ocsp_plan *plan)
{
    for (size_t i = 0; i < plan->item_count; i++)
        OCSP_CERTID_free(plan->items[i].id);
    X509_EXTENSION_free(plan->nonce);
    X509_EXTENSION_free(plan->extension);
    X509_EXTENSION_free(plan->single_extension);
    X509_free(plan->own.certificate);
    EVP_PKEY_free(plan->own.key);
    *plan = (struct ocsp_plan){0};
}

/* RFC 6960 A.1.1: GET {url}/{url-encoding of base64 encoding of the DER} */
static bool read_get(const struct exchange *ex, struct bytes *der)
{
    static const char prefix[] = "/ocsp/";
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(ex->req));
    size_t len = 0;
    bool ok = false;
    if (strncmp(path, prefix, sizeof prefix - 1) != 0)
        return false;
    char *text = evhttp_uridecode(path + sizeof prefix - 1, 0, &len);
    ok = text != NULL && len > 0 && base64_decode(text, len, der);
    free(text);
    return ok;
}

static bool read_post(const struct exchange *ex, struct bytes *der)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(ex->req);
    const char *type = evhttp_find_header(evhttp_request_get_input_headers(ex->req), "Content-Type");
    const size_t len = evbuffer_get_length(in);
    return type != NULL && strcasecmp(type, "application/ocsp-request") == 0 && len > 0 &&
           bytes_append(der, evbuffer_pullup(in, -1), len);
}

/* NULL: it is none. */
static OCSP_REQUEST *read_request(const struct exchange *ex)
{
    struct bytes der = {0};
    OCSP_REQUEST *request = NULL;
    const bool post = evhttp_request_get_command(ex->req) == EVHTTP_REQ_POST;
    if (post ? read_post(ex, &der) : read_get(ex, &der)) {
        const unsigned char *p = der.data;
        request = d2i_OCSP_REQUEST(NULL, &p, (long)der.len);
        if (request != NULL && p != der.data + der.len) {
            OCSP_REQUEST_free(request);
            request = NULL;
        }
    }
    bytes_clear(&der);
    return request;
}

static bool answer(const struct exchange *ex, const OCSP_REQUEST *request, struct bytes *der)
{
    const struct misbehaviour *lie = ex->lie;
    struct ocsp_plan plan = {.response_status = OCSP_RESPONSE_STATUS_MALFORMEDREQUEST};
    const bool ok = (request == NULL || ocsp_plan(ex->lab, request, NULL, &plan)) &&
                    (lie == NULL || lie->ocsp == NULL || lie->ocsp(ex->lab, &plan, lie)) &&
                    ocsp_encode(&plan, der);
    ocsp_plan_clear(&plan);
    return ok;
}

void ocsp_handle(struct exchange *ex)
{
    const struct misbehaviour *lie = ex->lie;
    struct bytes der = {0};
    OCSP_REQUEST *request = read_request(ex);
    reply_set(&ex->reply, 200, "OK");
    if (!answer(ex, request, &der) || (lie != NULL && lie->body != NULL && !lie->body(ex, &der, lie)) ||
        !bytes_append(&ex->reply.body, der.data, der.len) ||
        !reply_header(&ex->reply, "Content-Type", "application/ocsp-response"))
        reply_text(&ex->reply, 500, "Internal Server Error", "the response could not be made");
    OCSP_REQUEST_free(request);
    bytes_clear(&der);
}
