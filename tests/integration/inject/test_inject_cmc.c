/* fullcmc with each allocation and each call to OpenSSL failing in turn (E10): no crash, no leak, no lie. */
#include "../../unit/small_cmc.h"
#include "est/fullcmc.h"
#include "inject.h"

#include <stdlib.h>

#define ALLOCATIONS 300

typedef struct variant {
    estuary_cmc_body body;
    bool memory; /* what fails is an allocation: nothing of that is the server's fault */
} variant;

typedef struct run {
    estuary_csr *csr;
    estuary_secret *secret;
    estuary_request *request;
    estuary_enrollment *enrollment;
    estuary_exchange *exchange;
    estuary_anchors *published;
    uint8_t *state;
    size_t len;
} run;

static small_est s;

static void free_run(run *r)
{
    estuary_csr_free(r->csr);
    estuary_secret_free(r->secret);
    estuary_request_free(r->request);
    estuary_exchange_free(r->exchange);
    estuary_enrollment_free(r->enrollment);
    estuary_anchors_free(r->published);
    OPENSSL_free(r->state);
}

/* The server's side: never made to fail. */
static char *make_answer(const run *r, const estuary_http_request *request, const small_reply *how)
{
    inject_pause();
    small_reply full = *how;
    small_pki_data in = small_pki_data_read(request);
    X509 *issued =
        how->status == 0
            ? small_issue_for(s.root, s.ca_key, (X509_REQ *)estuary_enrollment_get0_request(r->enrollment))
            : NULL;
    full.signer = s.root;
    full.key = s.ca_key;
    full.certs[0] = issued;
    char *body = small_cmc_answer(&in, &full);
    small_pki_data_free(&in);
    X509_free(issued);
    inject_resume();
    return body;
}

static estuary_status ask(run *r, const small_reply *how, estuary_next *next, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    const estuary_http_request *request = NULL;
    estuary_http_response *response = NULL;
    char *body = NULL;
    estuary_exchange_free(r->exchange);
    r->exchange = NULL;
    EST_TRY(estuary_enrollment_set_cmc_trust(r->enrollment, s.anchors, NULL, true, err));
    EST_TRY(estuary_exchange_new(ESTUARY_OP_FULLCMC, s.server, r->enrollment, NULL, &r->exchange, err));
    EST_TRY(estuary_exchange_request(r->exchange, NULL, 0, &request, err));
    body = make_answer(r, request, how);
    EST_TRY(estuary_http_response_new(200, &response, err));
    EST_TRY(estuary_http_response_add_header(response, "Content-Type", CMC_RESPONSE, err));
    EST_TRY(estuary_http_response_append_body(response, (const uint8_t *)body, strlen(body), err));
    EST_TRY(estuary_exchange_response(r->exchange, response, time(NULL), next, err));
cleanup:
    est_free(body);
    estuary_http_response_free(response);
    return status;
}

static estuary_status begin(run *r, estuary_cmc_body body, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    EST_TRY(estuary_csr_new(&r->csr, err));
    EST_TRY(estuary_csr_set_subject(r->csr, "CN=device 1,O=Example", err));
    EST_TRY(estuary_csr_add_san(r->csr, ESTUARY_SAN_DNS, "device.example", err));
    EST_TRY(estuary_secret_new("secret", 6, &r->secret, err));
    EST_TRY(estuary_request_new(&r->request, err));
    EST_TRY(estuary_request_set_csr(r->request, r->csr, s.key, err));
    EST_TRY(estuary_request_set_cmc_body(r->request, body, err));
    EST_TRY(estuary_request_set_cmc_secret(r->request, "device 1", r->secret, err));
    EST_TRY(estuary_enrollment_new(ESTUARY_OP_FULLCMC, s.server, r->request, &r->enrollment, err));
cleanup:
    return status;
}

static estuary_status go_on(run *r, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    estuary_next next = ESTUARY_NEXT_FAILED;
    const small_reply pending = {.status = 3, .fail = -1, .token = "token", .time = "20300101000000Z"};
    const small_reply issued = {.fail = -1, .published = s.root};
    EST_TRY(ask(r, &pending, &next, err));
    INJECT_REQUIRE(next == ESTUARY_NEXT_WAIT);
    EST_TRY(estuary_enrollment_save(r->enrollment, &r->state, &r->len, err));
    estuary_exchange_free(r->exchange);
    r->exchange = NULL;
    estuary_enrollment_free(r->enrollment);
    r->enrollment = NULL;
    EST_TRY(estuary_enrollment_load(r->state, r->len, s.key, &r->enrollment, err));
    EST_TRY(estuary_enrollment_set_cmc_signer(r->enrollment, s.root, NULL, s.ca_key, err));
    EST_TRY(ask(r, &issued, &next, err));
    INJECT_REQUIRE(next == ESTUARY_NEXT_DONE);
    INJECT_REQUIRE(estuary_enrollment_state(r->enrollment) != ESTUARY_STATE_ISSUED);
    EST_TRY(estuary_enrollment_check(r->enrollment, s.anchors, NULL, time(NULL), NULL, err));
    EST_TRY(estuary_enrollment_confirm_published(r->enrollment, NULL, 0, &r->published, err));
    INJECT_REQUIRE(sk_X509_num(estuary_anchors_get0_roots(r->published)) == 1);
cleanup:
    return status;
}

static void one_transaction(const void *arg)
{
    run r = {0};
    const variant *plan = arg;
    inject_resume();
    estuary_error *err = estuary_error_new();
    estuary_status status = begin(&r, plan->body, err);
    if (status == ESTUARY_OK)
        status = go_on(&r, err);
    inject_pause();
    bool issued = r.enrollment != NULL && estuary_enrollment_state(r.enrollment) == ESTUARY_STATE_ISSUED;
    free_run(&r);
    if (getenv("INJECT_VERBOSE") != NULL)
        fprintf(stderr, "%s: %s %s\n", inject_where(), estuary_error_code(err), estuary_error_message(err));
    if (status == ESTUARY_OK) {
        INJECT_REQUIRE(issued);
    } else {
        INJECT_REQUIRE(inject_hit());
        INJECT_REQUIRE(err == NULL || estuary_error_category(err) == status);
        INJECT_REQUIRE(err == NULL || *estuary_error_message(err) != '\0');
        INJECT_REQUIRE(!plan->memory || strcmp(estuary_error_code(err), "protocol.cmc") != 0);
    }
    estuary_error_free(err);
    ERR_clear_error();
}

int main(void)
{
    static const variant pkcs10 = {ESTUARY_CMC_BODY_PKCS10, false}, crmf = {ESTUARY_CMC_BODY_CRMF, false};
    static const variant short_pkcs10 = {ESTUARY_CMC_BODY_PKCS10, true};
    static const variant short_crmf = {ESTUARY_CMC_BODY_CRMF, true};
    const unsigned long sample = getenv("INJECT_ALL") != NULL ? 0 : ALLOCATIONS;
    const inject_plan tests[] = {
        {"every OpenSSL call, PKCS 10", INJECT_OPENSSL, one_transaction, &pkcs10, 0},
        {"every OpenSSL call, CRMF", INJECT_OPENSSL, one_transaction, &crmf, 0},
        {"every allocation of ours", INJECT_OUR_ALLOCATION, one_transaction, &short_crmf, 0},
        {"allocations, OpenSSL's too", INJECT_ALLOCATION, one_transaction, &short_pkcs10, sample},
    };
    const int n = (int)(sizeof(tests) / sizeof(tests[0]));
    bool passed = true;
    inject_set_up();
    small_est_open(&s);
    printf("1..%d\n", n);
    for (int i = 0; i < n; i++)
        passed = inject_every(i + 1, &tests[i]) && passed;
    small_est_close(&s);
    return passed ? 0 : 1;
}
