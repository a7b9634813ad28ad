/*
 * One HTTP answer, for every operation:
 *
 *     simpleenroll 200
 *     Content-Type: application/pkcs7-mime; smime-type=certs-only
 *
 *     MII...
 *
 * The certificate can only ever be the one that the fixture's CA signed for the fixture's request.
 */
#include "est/est.h"
#include "fixture.h"
#include "fuzz.h"

#define NOW ((time_t)1798761600)

typedef struct fixture {
    X509_REQ *request;
    X509 *leaf, *old;
    estuary_anchors *anchors;
    estuary_server *server;
} fixture;

static X509 *certificate(const char *pem)
{
    STACK_OF(X509) *certs = NULL;
    REQUIRE(est_certs_parse((const uint8_t *)pem, strlen(pem), 1, EST_CERT, &certs, NULL) == ESTUARY_OK);
    X509 *cert = sk_X509_shift(certs);
    sk_X509_pop_free(certs, X509_free);
    return cert;
}

static fixture set_up(void)
{
    fixture f = {.leaf = certificate(FIXTURE_LEAF), .old = certificate(FIXTURE_OLD)};
    REQUIRE(estuary_csr_parse((const uint8_t *)FIXTURE_REQUEST, strlen(FIXTURE_REQUEST), &f.request, NULL) ==
            ESTUARY_OK);
    REQUIRE(estuary_anchors_from_bytes((const uint8_t *)FIXTURE_ROOT, strlen(FIXTURE_ROOT), &f.anchors,
                                       NULL) == ESTUARY_OK);
    REQUIRE(estuary_server_parse("https://est.example/prefix", "label", &f.server, NULL) == ESTUARY_OK);
    return f;
}

/* Made once: it is only read, and making it takes longer than most answers. */
static const fixture *the_fixture(void)
{
    static fixture made;
    if (made.server == NULL)
        made = set_up();
    return &made;
}

static estuary_enrollment *enrollment(const fixture *f, estuary_operation operation)
{
    estuary_request *request = NULL;
    estuary_enrollment *e = NULL;
    REQUIRE(estuary_request_new(&request, NULL) == ESTUARY_OK);
    REQUIRE(estuary_request_set_signed(request, f->request, NULL) == ESTUARY_OK);
    REQUIRE(estuary_request_set_old_certificate(request, f->old, NULL) == ESTUARY_OK);
    REQUIRE(estuary_enrollment_new(operation, f->server, request, &e, NULL) == ESTUARY_OK);
    estuary_request_free(request);
    return e;
}

/* Cuts the line at *at off; NULL at the end. */
static char *line(char **at)
{
    char *start = *at;
    char *end = start == NULL ? NULL : strchr(start, '\n');
    if (end == NULL) {
        *at = NULL;
        return start;
    }
    *end = '\0';
    *at = end + 1;
    return start;
}

static estuary_operation operation_of(char *first, int *status)
{
    estuary_operation operation = ESTUARY_OP_CACERTS;
    char *blank = strchr(first, ' ');
    *status = 200;
    if (blank != NULL) {
        *blank = '\0';
        *status = (int)(strtoul(blank + 1, NULL, 10) % 1000);
    }
    return est_operation_from_name(first, &operation) ? operation : ESTUARY_OP_CACERTS;
}

static estuary_http_response *read_answer(char *text, size_t size, estuary_operation *operation)
{
    estuary_http_response *response = NULL;
    char *at = text, *end = text + size;
    int status = 0;
    *operation = operation_of(line(&at), &status);
    REQUIRE(estuary_http_response_new(status, &response, NULL) == ESTUARY_OK);
    for (char *header = line(&at); header != NULL && *header != '\0'; header = line(&at)) {
        char *value = strchr(header, ':');
        if (value == NULL)
            continue;
        *value++ = '\0';
        value += strspn(value, " ");
        (void)estuary_http_response_add_header(response, header, value, NULL);
    }
    if (at != NULL)
        (void)estuary_http_response_append_body(response, (const uint8_t *)at, (size_t)(end - at), NULL);
    return response;
}

static void check_issued(const fixture *f, estuary_enrollment *e, estuary_error *err)
{
    REQUIRE(estuary_enrollment_state(e) != ESTUARY_STATE_ISSUED);
    estuary_status status = estuary_enrollment_check(e, f->anchors, NULL, NOW, NULL, err);
    fuzz_check_error(status, err);
    REQUIRE((status == ESTUARY_OK) == (estuary_enrollment_state(e) == ESTUARY_STATE_ISSUED));
    if (status != ESTUARY_OK)
        return;
    unsigned char *a = NULL, *b = NULL;
    int len = i2d_re_X509_tbs(estuary_enrollment_get0_certificate(e), &a);
    REQUIRE(len > 0 && i2d_re_X509_tbs(f->leaf, &b) == len && memcmp(a, b, (size_t)len) == 0);
    OPENSSL_free(a);
    OPENSSL_free(b);
}

static void exchange(const fixture *f, estuary_operation operation, const estuary_http_response *response)
{
    estuary_error *err = fuzz_error();
    estuary_exchange *x = NULL;
    estuary_enrollment *e = est_operation_get(operation)->enrolls ? enrollment(f, operation) : NULL;
    const estuary_http_request *request = NULL;
    estuary_next next = ESTUARY_NEXT_SEND;
    estuary_status status = ESTUARY_OK;
    REQUIRE(estuary_exchange_new(operation, f->server, e, NULL, &x, err) == ESTUARY_OK);
    while (next == ESTUARY_NEXT_SEND) {
        REQUIRE(estuary_exchange_request(x, NULL, 0, &request, err) == ESTUARY_OK);
        status = estuary_exchange_response(x, response, NOW, &next, err);
    }
    fuzz_check_error(status, err);
    REQUIRE((status == ESTUARY_OK) == (next != ESTUARY_NEXT_FAILED));
    if (next == ESTUARY_NEXT_WAIT)
        REQUIRE(estuary_enrollment_retry_at(e) > NOW);
    if (next == ESTUARY_NEXT_DONE && operation == ESTUARY_OP_CACERTS)
        REQUIRE(sk_X509_num(estuary_exchange_get0_certs(x)) > 0);
    if (next == ESTUARY_NEXT_DONE && operation == ESTUARY_OP_CSRATTRS)
        REQUIRE(estuary_exchange_get0_csr_attributes(x) != NULL);
    if (next == ESTUARY_NEXT_DONE && e != NULL)
        check_issued(f, e, err);
    else if (e != NULL)
        REQUIRE(estuary_enrollment_state(e) != ESTUARY_STATE_ISSUED);
    estuary_exchange_free(x);
    estuary_enrollment_free(e);
    estuary_error_free(err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    estuary_operation operation;
    char *text = fuzz_text(data, size);
    estuary_http_response *response = read_answer(text, size, &operation);
    exchange(the_fixture(), operation, response);
    estuary_http_response_free(response);
    free(text);
    return 0;
}
