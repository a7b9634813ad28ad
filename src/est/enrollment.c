#include "est/fullcmc.h"
#include "est/serverkeygen.h"

#include <openssl/err.h>
#include <string.h>

/* The DER of a name, an extension stack …: equal means byte for byte (RFC 7030 4.2.2: "identical"). */
static bool names_identical(const X509_NAME *a, const X509_NAME *b)
{
    const unsigned char *der_a = NULL, *der_b = NULL;
    size_t len_a = 0, len_b = 0;
    return X509_NAME_get0_der(a, &der_a, &len_a) == 1 && X509_NAME_get0_der(b, &der_b, &len_b) == 1 &&
           len_a == len_b && memcmp(der_a, der_b, len_a) == 0;
}

/* E6 */
static estuary_status check_unchanged(const X509_REQ *request, const X509 *old, estuary_error *err)
{
    GENERAL_NAMES *wanted = NULL, *had = NULL;
    estuary_status status = ESTUARY_OK;
    if (est_request_changes_subject(request))
        return ESTUARY_OK; /* RFC 6402 2.8 says what is to change */
    if (!names_identical(X509_REQ_get_subject_name(request), X509_get_subject_name(old)))
        EST_FAIL(EST_CSR_SUBJECT_CHANGED,
                 "the request's subject is not that of the certificate to renew (RFC 7030 4.2.2)");
    if (!est_request_san(request, &wanted) || !est_certificate_san(old, &had))
        EST_FAIL_OPENSSL(EST_CSR_EXTENSION, "a subjectAltName cannot be read");
    if (!est_general_names_equal(wanted, had))
        EST_FAIL(EST_CSR_SUBJECT_CHANGED,
                 "the request's subjectAltName is not that of the certificate to renew (RFC 7030 4.2.2)");

cleanup:
    GENERAL_NAMES_free(wanted);
    GENERAL_NAMES_free(had);
    return status;
}

static EVP_PKEY *request_key(const estuary_enrollment *enrollment)
{
    return enrollment->unread ? enrollment->key : X509_REQ_get0_pubkey(enrollment->request);
}

static estuary_status take_request(estuary_enrollment *enrollment, const estuary_request *request,
                                   estuary_error *err)
{
    if (request->signed_request != NULL) {
        enrollment->request = est_request_dup(request->signed_request);
        return enrollment->request == NULL ? est_fail_openssl(err, EST_CRYPTO, NULL) : ESTUARY_OK;
    }
    if (request->csr == NULL || request->key == NULL)
        return est_fail(err, EST_USAGE, "the request holds no CSR");
    enrollment->csr = est_csr_dup(request->csr);
    if (enrollment->csr == NULL)
        return est_fail_memory(err);
    estuary_status status = est_decrypt_add_attributes(&enrollment->decrypt, enrollment->csr, err);
    if (status != ESTUARY_OK)
        return status;
    if (EVP_PKEY_up_ref(request->key) != 1)
        return est_fail_openssl(err, EST_CRYPTO, NULL);
    enrollment->key = request->key;
    /* RFC 5272 3.2: the name of a signer that has no certificate yet */
    if (enrollment->cmc != NULL) {
        status = est_cmc_add_key_identifier(enrollment->csr, enrollment->key, err);
        if (status != ESTUARY_OK)
            return status;
    }
    return est_enrollment_sign(enrollment, NULL, 0, err);
}

estuary_status estuary_enrollment_new(estuary_operation operation, const estuary_server *server,
                                      const estuary_request *request, estuary_enrollment **out,
                                      estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    estuary_enrollment *enrollment = NULL;
    const est_operation *row = est_operation_get(operation);
    *out = NULL;
    if (row == NULL || !row->enrolls)
        EST_FAIL(EST_USAGE, "this operation does not enrol");
    if (server == NULL || request == NULL)
        EST_FAIL(EST_USAGE, "an enrolment needs a server and a request");
    if (operation == ESTUARY_OP_SIMPLEREENROLL && request->old == NULL)
        EST_FAIL(EST_USAGE_IDENTITY_NEEDED, NULL);
    enrollment = est_alloc(sizeof(*enrollment));
    if (enrollment == NULL) {
        status = est_fail_memory(err);
        goto cleanup;
    }
    enrollment->operation = operation;
    enrollment->server = estuary_server_up_ref(server);
    enrollment->state = ESTUARY_STATE_READY;
    if (request->old != NULL) {
        enrollment->old = X509_dup(request->old);
        if (enrollment->old == NULL)
            EST_FAIL_OPENSSL(EST_CRYPTO, NULL);
    }
    if (operation == ESTUARY_OP_FULLCMC)
        EST_TRY(est_cmc_new(request, &enrollment->cmc, err));
    EST_TRY(est_keygen_prepare(enrollment, request, err));
    EST_TRY(take_request(enrollment, request, err));
    /* what we signed ourselves was verified with its public half right then */
    EST_TRY(est_csr_refuse_broken(enrollment->request,
                                  enrollment->csr == NULL ? NULL : request_key(enrollment), err));
    if (operation == ESTUARY_OP_SIMPLEREENROLL)
        EST_TRY(check_unchanged(enrollment->request, enrollment->old, err));
    *out = enrollment;
    enrollment = NULL;

cleanup:
    estuary_enrollment_free(enrollment);
    return status;
}

void estuary_enrollment_free(estuary_enrollment *enrollment)
{
    if (enrollment == NULL)
        return;
    estuary_server_free(enrollment->server);
    estuary_csr_free(enrollment->csr);
    EVP_PKEY_free(enrollment->key);
    X509_REQ_free(enrollment->request);
    X509_free(enrollment->old);
    X509_free(enrollment->certificate);
    sk_X509_pop_free(enrollment->others, X509_free);
    sk_X509_pop_free(enrollment->chain, X509_free);
    estuary_findings_free(enrollment->findings);
    est_cmc_free(enrollment->cmc);
    est_keygen_clear(enrollment);
    est_free(enrollment);
}

/* RFC 7030 3.5: the binding goes into challengePassword as base64, without line breaks */
static estuary_status set_binding(estuary_csr *csr, const uint8_t *binding, size_t len, estuary_error *err)
{
    char *text = NULL;
    estuary_status status = est_base64_encode(binding, len, &text, err);
    if (status != ESTUARY_OK)
        return status;
    size_t used = 0;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c != '\r' && *c != '\n')
            text[used++] = *c;
    }
    status = estuary_csr_set_challenge_password(csr, text, used, err);
    est_free_secret(text, strlen(text));
    return status;
}

estuary_status est_enrollment_sign(estuary_enrollment *enrollment, const uint8_t *binding, size_t binding_len,
                                   estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    X509_REQ *request = NULL;
    if (enrollment->csr == NULL || enrollment->key == NULL)
        EST_FAIL(EST_KEY_NOT_REQUEST_KEY, NULL);
    if (binding_len > 0)
        EST_TRY(set_binding(enrollment->csr, binding, binding_len, err));
    bool unread = false;
    EST_TRY(est_csr_sign(enrollment->csr, enrollment->key, &request, enrollment->cmc == NULL ? &unread : NULL,
                         err));
    X509_REQ_free(enrollment->request);
    enrollment->request = request;
    enrollment->unread = unread;
    enrollment->bound = binding_len > 0;
    est_cmc_forget_message(enrollment->cmc);

cleanup:
    return status;
}

/* RFC 7030 4.4.1: with serverkeygen the request's key counts for nothing, the server's does */
static EVP_PKEY *expected_key(const estuary_enrollment *enrollment)
{
    return enrollment->operation == ESTUARY_OP_SERVERKEYGEN ? enrollment->generated : request_key(enrollment);
}

bool est_enrollment_can_bind(const estuary_enrollment *enrollment)
{
    return enrollment->csr != NULL && enrollment->key != NULL &&
           (enrollment->cmc == NULL || !enrollment->cmc->crmf);
}

static bool same_certificate(const X509 *a, const X509 *b)
{
    return a != NULL && b != NULL && X509_cmp(a, b) == 0;
}

/* E8: by public key, never by position; the certificate being renewed may come along with the same key */
static estuary_status find_ours(const estuary_enrollment *enrollment, const STACK_OF(X509) *certs, int *index,
                                estuary_error *err)
{
    const EVP_PKEY *ours = expected_key(enrollment);
    bool saw_old = false;
    *index = -1;
    if (ours == NULL)
        return est_fail_openssl(err, EST_CRYPTO, NULL);
    for (int i = 0; i < sk_X509_num(certs); i++) {
        const X509 *cert = sk_X509_value(certs, i);
        const EVP_PKEY *theirs = X509_get0_pubkey(cert);
        if (theirs == NULL || !est_key_equal(ours, theirs))
            continue;
        if (same_certificate(cert, enrollment->old)) {
            saw_old = true;
            continue;
        }
        if (*index >= 0 && !same_certificate(cert, sk_X509_value(certs, *index)))
            return est_fail(err, EST_CERT_AMBIGUOUS, NULL);
        if (*index < 0)
            *index = i;
    }
    /* a shortage of memory may be why a key could not be compared: that is no verdict */
    if (*index < 0 && ERR_GET_REASON(est_openssl_first_error()) == ERR_R_MALLOC_FAILURE)
        return est_fail_openssl(err, EST_CRYPTO, NULL);
    ERR_clear_error(); /* of keys that could not be compared */
    if (*index < 0 && enrollment->operation == ESTUARY_OP_SERVERKEYGEN)
        return est_fail(err, EST_CERT_KEY_DIFFERS,
                        "no certificate in the answer is for the private key that the server sent");
    if (*index < 0)
        return est_fail(err, saw_old ? EST_CERT_NOT_NEW : EST_CERT_KEY_DIFFERS, NULL);
    return ESTUARY_OK;
}

/* A shortage of memory says nothing about the certificate: what was to be done can be done again. */
static bool is_verdict(estuary_status status)
{
    return status != ESTUARY_E_MEMORY && status != ESTUARY_E_CRYPTO && status != ESTUARY_E_USAGE;
}

estuary_status est_enrollment_take_certs(estuary_enrollment *enrollment, STACK_OF(X509) *certs,
                                         estuary_error *err)
{
    int index = -1;
    estuary_status status = find_ours(enrollment, certs, &index, err);
    if (status != ESTUARY_OK) {
        if (is_verdict(status))
            enrollment->state = ESTUARY_STATE_FAILED;
        return status;
    }
    STACK_OF(X509) *others = X509_chain_up_ref(certs);
    if (others == NULL)
        return est_fail_openssl(err, EST_CRYPTO, NULL);
    X509_free(enrollment->certificate);
    sk_X509_pop_free(enrollment->others, X509_free);
    enrollment->certificate = sk_X509_delete(others, index);
    enrollment->others = others;
    enrollment->retry_at = 0;
    return ESTUARY_OK;
}

/* Leaf's issuer first, no root: what is sent along in a TLS handshake */
static estuary_status keep_chain(estuary_enrollment *enrollment, const estuary_findings *findings,
                                 estuary_error *err)
{
    STACK_OF(X509) *chain = X509_chain_up_ref((STACK_OF(X509) *)est_findings_get0_path(findings));
    if (chain == NULL)
        return est_fail_openssl(err, EST_CRYPTO, NULL);
    X509_free(sk_X509_shift(chain));
    X509_free(sk_X509_pop(chain)); /* paths end in an anchor; for a leaf that is one, both give NULL */
    sk_X509_pop_free(enrollment->chain, X509_free);
    enrollment->chain = chain;
    return ESTUARY_OK;
}

static estuary_status make_helpers(const estuary_enrollment *enrollment, const STACK_OF(X509) *helpers,
                                   STACK_OF(X509) **out, estuary_error *err)
{
    STACK_OF(X509) *all = sk_X509_new_null();
    *out = all;
    if (all == NULL ||
        (helpers != NULL && X509_add_certs(all, (STACK_OF(X509) *)helpers, X509_ADD_FLAG_UP_REF) != 1) ||
        (enrollment->others != NULL && X509_add_certs(all, enrollment->others, X509_ADD_FLAG_UP_REF) != 1))
        return est_fail_openssl(err, EST_CRYPTO, NULL);
    return ESTUARY_OK;
}

/* Takes the findings. Without a verdict everything stays as it was, so that the check can be repeated. */
static void conclude(estuary_enrollment *enrollment, estuary_status status, estuary_state before,
                     estuary_findings *findings)
{
    if (!is_verdict(status)) {
        enrollment->state = before;
    } else if (findings != NULL) {
        estuary_findings_free(enrollment->findings);
        enrollment->findings = findings;
        return;
    }
    estuary_findings_free(findings);
}

estuary_status estuary_enrollment_check(estuary_enrollment *enrollment, const estuary_anchors *anchors,
                                        const STACK_OF(X509) *helpers, time_t now,
                                        const estuary_limits *limits, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    estuary_expectation *expectation = NULL;
    estuary_findings *findings = NULL;
    STACK_OF(X509) *untrusted = NULL;
    const estuary_state before = enrollment->state;
    enrollment->state = ESTUARY_STATE_FAILED;
    if (enrollment->certificate == NULL)
        EST_FAIL(EST_USAGE, "no certificate has been issued yet");
    if (anchors == NULL)
        EST_FAIL(EST_USAGE_NO_TRUST, NULL);
    EST_TRY(make_helpers(enrollment, helpers, &untrusted, err));
    EST_TRY(estuary_expectation_new(&expectation, err));
    EST_TRY(estuary_expectation_set_key(expectation, expected_key(enrollment), err));
    est_expectation_lend_request(expectation, enrollment->request);
    EST_TRY(estuary_expectation_set_anchors(expectation, anchors, untrusted, err));
    EST_TRY(estuary_expectation_set_limits(expectation, limits, err));
    estuary_expectation_set_time(expectation, now);
    EST_TRY(estuary_cert_check(enrollment->certificate, expectation, &findings, err));
    EST_TRY(estuary_findings_to_error(findings, err));
    if (!estuary_findings_acceptable(findings))
        EST_FAIL(EST_CERT, NULL);
    EST_TRY(est_keygen_check_signer(enrollment, findings, anchors, untrusted, now, limits, err));
    EST_TRY(keep_chain(enrollment, findings, err));
    enrollment->state = ESTUARY_STATE_ISSUED;

cleanup:
    conclude(enrollment, status, before, findings);
    sk_X509_pop_free(untrusted, X509_free);
    estuary_expectation_free(expectation);
    return status;
}

estuary_state estuary_enrollment_state(const estuary_enrollment *enrollment)
{
    return enrollment == NULL ? ESTUARY_STATE_FAILED : enrollment->state;
}

estuary_operation estuary_enrollment_operation(const estuary_enrollment *enrollment)
{
    return enrollment->operation;
}

const estuary_server *estuary_enrollment_get0_server(const estuary_enrollment *enrollment)
{
    return enrollment->server;
}

const X509_REQ *estuary_enrollment_get0_request(const estuary_enrollment *enrollment)
{
    /* who asks gets a whole one: only an enrolment's own work can do without the key as an object */
    X509_REQ *whole = enrollment->unread ? est_request_dup(enrollment->request) : NULL;
    if (whole != NULL) {
        estuary_enrollment *mine = (estuary_enrollment *)enrollment;
        X509_REQ_free(mine->request);
        mine->request = whole;
        mine->unread = false;
    }
    return enrollment->request;
}

bool estuary_enrollment_maybe_sent(const estuary_enrollment *enrollment)
{
    return enrollment != NULL && enrollment->maybe_sent;
}

time_t estuary_enrollment_retry_at(const estuary_enrollment *enrollment)
{
    return enrollment->retry_at;
}

int64_t estuary_enrollment_polls(const estuary_enrollment *enrollment)
{
    return enrollment->polls;
}

X509 *estuary_enrollment_get0_certificate(const estuary_enrollment *enrollment)
{
    return enrollment->certificate;
}

const STACK_OF(X509) *estuary_enrollment_get0_others(const estuary_enrollment *enrollment)
{
    return enrollment->others;
}

const STACK_OF(X509) *estuary_enrollment_get0_chain(const estuary_enrollment *enrollment)
{
    return enrollment->chain;
}

const estuary_findings *estuary_enrollment_get0_findings(const estuary_enrollment *enrollment)
{
    return enrollment->findings;
}
