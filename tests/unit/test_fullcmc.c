/* fullcmc without sockets (E10). RFC 7030 4.3, RFC 5272, RFC 6402, RFC 4211. */
#include "est/fullcmc.h"
#include "small_cmc.h"

#include <openssl/rsa.h>
#include <openssl/sha.h>

#define SECRET "a shared secret of 16 and more"

static small_est s;
static X509 *ra, *stranger, *plain;
static EVP_PKEY *ra_key;

static X509 *issue(const char *cn, X509 *issuer, EVP_PKEY *issuer_key, const char *eku)
{
    X509_NAME *name = small_name(cn);
    STACK_OF(X509_EXTENSION) *extensions = NULL;
    if (eku != NULL) {
        extensions = sk_X509_EXTENSION_new_null();
        X509_EXTENSION *one = X509V3_EXT_conf_nid(NULL, NULL, NID_ext_key_usage, eku);
        assert_true(sk_X509_EXTENSION_push(extensions, one) > 0);
    }
    X509 *cert = small_issue(issuer, issuer_key,
                             &(small_cert){.subject = name, .key = ra_key, .extensions = extensions});
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    X509_NAME_free(name);
    return cert;
}

static int set_up(void **state)
{
    (void)state;
    small_est_open(&s);
    ra_key = EVP_EC_gen("P-256");
    X509 *other_root = small_root(s.other_key, "other root");
    ra = issue("RA", s.root, s.ca_key, "1.3.6.1.5.5.7.3.28");
    plain = issue("plain", s.root, s.ca_key, "clientAuth");
    stranger = issue("stranger", other_root, s.other_key, "1.3.6.1.5.5.7.3.28");
    X509_free(other_root);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    X509_free(ra);
    X509_free(plain);
    X509_free(stranger);
    EVP_PKEY_free(ra_key);
    small_est_close(&s);
    return 0;
}

typedef struct options {
    estuary_cmc_body body; /* 0: not said */
    const char *identity, *secret;
    bool signer, no_trust, implicit;
} options;

static estuary_enrollment *enroll(const options *how)
{
    estuary_enrollment *e = NULL;
    estuary_request *request = NULL;
    estuary_csr *csr = small_csr(&s, "CN=device 1,O=Example", "device.example");
    assert_ok(estuary_request_new(&request, s.err), s.err);
    assert_ok(estuary_request_set_csr(request, csr, s.key, s.err), s.err);
    if (how->body != 0)
        assert_ok(estuary_request_set_cmc_body(request, how->body, s.err), s.err);
    if (how->secret != NULL) {
        estuary_secret *secret = NULL;
        assert_ok(estuary_secret_new(how->secret, strlen(how->secret), &secret, s.err), s.err);
        assert_ok(estuary_request_set_cmc_secret(request, how->identity, secret, s.err), s.err);
        estuary_secret_free(secret);
    }
    assert_ok(estuary_enrollment_new(ESTUARY_OP_FULLCMC, s.server, request, &e, s.err), s.err);
    if (how->signer)
        assert_ok(estuary_enrollment_set_cmc_signer(e, plain, NULL, ra_key, s.err), s.err);
    if (!how->no_trust)
        assert_ok(estuary_enrollment_set_cmc_trust(e, s.anchors, NULL, !how->implicit, s.err), s.err);
    estuary_request_free(request);
    estuary_csr_free(csr);
    return e;
}

/* One request, and the answer that `how` makes of it; the certificate for our key goes into certs[0]. */
static estuary_status step(estuary_enrollment *e, const small_reply *how, int http_status, estuary_next *next)
{
    const estuary_http_request *request = NULL;
    estuary_exchange *x = small_exchange(&s, ESTUARY_OP_FULLCMC, e, NULL);
    assert_ok(estuary_exchange_request(x, NULL, 0, &request, s.err), s.err);
    small_pki_data in = small_pki_data_read(request);
    char *body = small_cmc_answer(&in, how);
    estuary_http_response *response =
        small_response_make(&(small_response){http_status, CMC_RESPONSE, body, "Retry-After", "9"});
    estuary_error_clear(s.err);
    estuary_status status = estuary_exchange_response(x, response, time(NULL), next, s.err);
    estuary_http_response_free(response);
    est_free(body);
    small_pki_data_free(&in);
    estuary_exchange_free(x);
    return status;
}

static X509 *ours(estuary_enrollment *e)
{
    return small_issue_for(s.root, s.ca_key, (X509_REQ *)estuary_enrollment_get0_request(e));
}

/* RFC 5272 6.2.1 and 6.2.3, done here by hand */
static void check_proof(const small_pki_data *in, const char *hashed)
{
    uint8_t key[SHA256_DIGEST_LENGTH], mac[EVP_MAX_MD_SIZE];
    size_t size = 0;
    unsigned char *der = NULL;
    est_cmc_identity_proof *proof = (est_cmc_identity_proof *)ASN1_TYPE_unpack_sequence(
        ASN1_ITEM_rptr(est_cmc_identity_proof), small_control(in, EST_CMC_IDENTITY_PROOF_V2));
    assert_non_null(proof);
    assert_int_equal(OBJ_obj2nid(proof->digest->algorithm), NID_sha256);
    assert_int_equal(OBJ_obj2nid(proof->mac->algorithm), NID_hmacWithSHA256);
    int len = ASN1_item_i2d((const ASN1_VALUE *)in->data->requests, &der, ASN1_ITEM_rptr(est_cmc_requests));
    assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, hashed, strlen(hashed), key, &size), 1);
    assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, sizeof(key), der, (size_t)len, mac,
                              sizeof(mac), &size));
    assert_int_equal(ASN1_STRING_length(proof->witness), 32);
    assert_memory_equal(ASN1_STRING_get0_data(proof->witness), mac, 32);
    OPENSSL_free(der);
    ASN1_item_free((ASN1_VALUE *)proof, ASN1_ITEM_rptr(est_cmc_identity_proof));
}

/* RFC 5272 3.2: by certificate with issuer and serial number, by the request's key with its identifier */
static void check_signature(const small_pki_data *in, X509_REQ *request, bool by_certificate)
{
    ASN1_OCTET_STRING *id = NULL;
    X509_NAME *issuer = NULL;
    ASN1_INTEGER *serial = NULL;
    STACK_OF(CMS_SignerInfo) *signers = CMS_get0_SignerInfos(in->cms);
    assert_int_equal(sk_CMS_SignerInfo_num(signers), 1);
    CMS_SignerInfo *signer = sk_CMS_SignerInfo_value(signers, 0);
    assert_int_equal(CMS_SignerInfo_get0_signer_id(signer, &id, &issuer, &serial), 1);
    STACK_OF(X509) *certs = CMS_get1_certs(in->cms);
    if (by_certificate) {
        assert_null(id);
        assert_int_equal(CMS_SignerInfo_cert_cmp(signer, plain), 0);
        assert_int_equal(sk_X509_num(certs), 1);
        CMS_SignerInfo_set1_signer_cert(signer, plain);
    } else {
        X509 *dummy = X509_new(); /* OpenSSL takes keys to verify with from certificates only */
        STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
        ASN1_OCTET_STRING *wanted = X509V3_get_d2i(extensions, NID_subject_key_identifier, NULL, NULL);
        assert_non_null(wanted);
        assert_int_equal(ASN1_OCTET_STRING_cmp(id, wanted), 0);
        assert_int_equal(ASN1_STRING_length(wanted), 20);
        assert_int_equal(sk_X509_num(certs), certs == NULL ? -1 : 0);
        assert_int_equal(X509_set_pubkey(dummy, s.key), 1);
        CMS_SignerInfo_set1_signer_cert(signer, dummy);
        X509_free(dummy);
        ASN1_OCTET_STRING_free(wanted);
        sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    }
    assert_int_equal(CMS_SignerInfo_verify(signer), 1);
    sk_X509_pop_free(certs, X509_free);
}

static void check_body(const small_pki_data *in, const X509_REQ *request, bool crmf)
{
    assert_int_equal(sk_est_cmc_tagged_request_num(in->data->requests), 1);
    const est_cmc_tagged_request *tagged = sk_est_cmc_tagged_request_value(in->data->requests, 0);
    if (!crmf) {
        assert_int_equal(tagged->type, EST_CMC_TCR);
        assert_int_equal(ASN1_INTEGER_get(tagged->value.tcr->id), 1);
        unsigned char *a = NULL, *b = NULL;
        int len = i2d_X509_REQ(tagged->value.tcr->request, &a);
        assert_int_equal(i2d_X509_REQ(request, &b), len);
        assert_memory_equal(a, b, (size_t)len);
        OPENSSL_free(a);
        OPENSSL_free(b);
        return;
    }
    assert_int_equal(tagged->type, EST_CMC_CRM);
    OSSL_CRMF_MSG *message = tagged->value.crm;
    assert_int_equal(OSSL_CRMF_MSG_get_certReqId(message), 1);
    const OSSL_CRMF_CERTTEMPLATE *wanted = OSSL_CRMF_MSG_get0_tmpl(message);
    assert_int_equal(
        X509_NAME_cmp(OSSL_CRMF_CERTTEMPLATE_get0_subject(wanted), X509_REQ_get_subject_name(request)), 0);
    OSSL_CRMF_MSGS *all = sk_OSSL_CRMF_MSG_new_null();
    assert_true(sk_OSSL_CRMF_MSG_push(all, message) > 0);
    assert_int_equal(OSSL_CRMF_MSGS_verify_popo(all, 0, 0, NULL, NULL), 1); /* RFC 4211 4.1 */
    sk_OSSL_CRMF_MSG_free(all);
}

static void requests(void **state)
{
    static const struct {
        options how;
        const char *hashed; /* NULL: no proof */
    } rows[] = {
        {{.signer = true}, NULL},
        {{.body = ESTUARY_CMC_BODY_CRMF, .signer = true}, NULL},
        {{.body = ESTUARY_CMC_BODY_PKCS10, .identity = "device-17", .secret = SECRET}, SECRET "device-17"},
        {{.body = ESTUARY_CMC_BODY_CRMF, .identity = "device-17", .secret = SECRET}, SECRET "device-17"},
        {{.secret = SECRET}, SECRET},
        {{.identity = "d", .secret = SECRET, .signer = true}, SECRET "d"},
        {{0}, NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const estuary_http_request *request = NULL;
        estuary_enrollment *e = enroll(&rows[i].how);
        estuary_exchange *x = small_exchange(&s, ESTUARY_OP_FULLCMC, e, NULL);
        assert_ok(estuary_exchange_request(x, NULL, 0, &request, s.err), s.err);
        assert_string_equal(estuary_http_request_url(request), "https://est.example/.well-known/est/fullcmc");
        assert_string_equal(estuary_http_request_method(request), "POST");
        assert_string_equal(estuary_http_request_content_type(request),
                            "application/pkcs7-mime; smime-type=CMC-request");
        small_pki_data in = small_pki_data_read(request);
        const X509_REQ *csr = estuary_enrollment_get0_request(e);
        check_body(&in, csr, rows[i].how.body == ESTUARY_CMC_BODY_CRMF);
        check_signature(&in, (X509_REQ *)csr, rows[i].how.signer);
        assert_int_equal(ASN1_STRING_length(small_control(&in, EST_CMC_SENDER_NONCE)->value.octet_string),
                         32);
        assert_int_equal(small_control(&in, EST_CMC_TRANSACTION_ID)->type, V_ASN1_INTEGER);
        assert_null(small_control(&in, EST_CMC_RECIPIENT_NONCE));
        assert_null(small_control(&in, EST_CMC_QUERY_PENDING));
        ASN1_TYPE *name = small_control(&in, EST_CMC_IDENTIFICATION);
        assert_int_equal(name != NULL, rows[i].how.identity != NULL);
        if (rows[i].hashed != NULL)
            check_proof(&in, rows[i].hashed);
        else
            assert_null(small_control(&in, EST_CMC_IDENTITY_PROOF_V2));
        small_pki_data_free(&in);
        estuary_exchange_free(x);
        estuary_enrollment_free(e);
    }
}

/* RFC 5272 3.2.2: body part identifiers are unique */
static void identifiers_are_unique(void **state)
{
    (void)state;
    const estuary_http_request *request = NULL;
    estuary_enrollment *e = enroll(&(options){.identity = "d", .secret = SECRET});
    estuary_exchange *x = small_exchange(&s, ESTUARY_OP_FULLCMC, e, NULL);
    assert_ok(estuary_exchange_request(x, NULL, 0, &request, s.err), s.err);
    small_pki_data in = small_pki_data_read(request);
    for (int i = 0; i < sk_est_cmc_attribute_num(in.data->controls); i++)
        assert_int_equal(ASN1_INTEGER_get(sk_est_cmc_attribute_value(in.data->controls, i)->id), i + 2);
    small_pki_data_free(&in);
    estuary_exchange_free(x);
    estuary_enrollment_free(e);
}

typedef struct answer_row {
    const char *what;
    small_reply how;   /* signer NULL: the RA */
    const char *code;  /* "": DONE */
    const char *words; /* in the message */
    int http_status;   /* 0: 200 */
    bool no_certificate;
} answer_row;

#define OK .status = 0, .fail = -1

static void answers(void **state)
{
    const answer_row rows[] = {
        {"success", {OK}, "", NULL, 0, false},
        {"no status is success", {.status = -1, .fail = -1}, "", NULL, 0, false},
        {"success without our certificate", {OK}, "cert.key-differs", NULL, 0, true},
        {"the CA that issued signs", {OK, .signer = s.root, .key = s.ca_key}, "", NULL, 0, false},
        {"the anchor is left out",
         {OK, .signer = s.root, .key = s.ca_key, .omit_signer = true},
         "",
         NULL,
         0,
         false},
        {"the RA is left out", {OK, .omit_signer = true}, "protocol.cmc-signature", NULL, 0, false},
        {"no authority", {OK, .signer = plain}, "trust.cmc-signer", "neither id-kp-cmcRA", 0, false},
        {"a stranger", {OK, .signer = stranger}, "trust.cmc-signer", "does not chain", 0, false},
        {"another transaction", {OK, .other_transaction = true}, "protocol.cmc-transaction", NULL, 0, false},
        {"another nonce", {OK, .other_nonce = true}, "protocol.cmc-nonce", NULL, 0, false},
        {"no nonce", {OK, .no_nonce = true}, "protocol.cmc-nonce", "lacks", 0, false},
        {"a nonce twice", {OK, .twice = true}, "protocol.cmc", "recipientNonce", 0, false},
        {"two values", {OK, .two_values = true}, "protocol.cmc", "exactly one value", 0, false},
        {"something after the end", {OK, .trailing = true}, "protocol.cmc", NULL, 0, false},
        {"no signed attributes",
         {OK, .no_attributes = true},
         "protocol.cmc-signature",
         "content type",
         0,
         false},
        {"SHA-1", {OK, .weak_digest = true}, "protocol.cmc-signature", "weak digest", 0, false},
        {"a control of others", {OK, .control = 99}, "", NULL, 0, false},
        {"responseBody", {OK, .control = EST_CMC_RESPONSE_BODY}, "unsupported.cmc", NULL, 0, false},
        {"batchResponses", {OK, .control = EST_CMC_BATCH_RESPONSES}, "unsupported.cmc", NULL, 0, false},
        {"encryptedPOP", {OK, .control = EST_CMC_ENCRYPTED_POP}, "unsupported.cmc", NULL, 0, false},
        {"authData", {OK, .control = EST_CMC_AUTH_DATA}, "unsupported.cmc", NULL, 0, false},
        {"a status that is none", {OK, .control = EST_CMC_STATUS_INFO}, "protocol.cmc", "status", 0, false},
        {"anchors that are none",
         {OK, .control = EST_CMC_TRUSTED_ANCHORS},
         "protocol.cmc",
         "Publish",
         0,
         false},
        {"status 1", {.status = 1, .fail = -1}, "protocol.cmc-status", NULL, 0, false},
        {"status 8", {.status = 8, .fail = -1}, "protocol.cmc-status", NULL, 0, false},
        {"failed", {.status = 2, .fail = -1}, "server.cmc-failed", "does not say why", 0, true},
        {"NULL for a reason",
         {.status = 2, .fail = -1, .other_type = V_ASN1_NULL},
         "protocol.cmc",
         "extendedFailInfo",
         0,
         true},
        {"BOOLEAN for a reason",
         {.status = 2, .fail = -1, .other_type = V_ASN1_BOOLEAN},
         "protocol.cmc",
         "extendedFailInfo",
         0,
         true},
        {"an OID for a reason",
         {.status = 2, .fail = -1, .other_type = V_ASN1_OBJECT},
         "protocol.cmc",
         "extendedFailInfo",
         0,
         true},
        {"failed, in its own number",
         {.status = 2, .fail = 1234},
         "server.cmc-failed",
         "failInfo 1234",
         0,
         true},
        {"text is cleaned",
         {.status = 2, .fail = 2, .text = "no\033[2J\n"},
         "server.cmc-failed",
         "(badRequest): \"no?[2J",
         0,
         true},
        {"badIdentity", {.status = 2, .fail = 7}, "auth.cmc-identity", "(badIdentity)", 0, true},
        {"badIdentity with 403", {.status = 2, .fail = 7}, "auth.cmc-identity", "(badIdentity)", 403, true},
        {"tryLater with 503", {.status = 2, .fail = 12}, "server.cmc-try-later", "(tryLater)", 503, true},
        {"a lie with 400",
         {.status = 2, .fail = 7, .other_nonce = true},
         "server.refused",
         "status 400",
         400,
         true},
        {"success with 400", {OK}, "server.refused", "status 400", 400, false},
        {"401 stays 401", {.status = 2, .fail = 7}, "auth.no-challenge", NULL, 401, true},
        {"noSupport", {.status = 4, .fail = -1}, "server.cmc-failed", "(noSupport)", 0, true},
        {"confirmRequired", {.status = 5, .fail = -1}, "unsupported.cmc", "(confirmRequired)", 0, false},
        {"popRequired", {.status = 6, .fail = -1}, "unsupported.cmc", "(popRequired)", 0, true},
        {"pending without a token", {.status = 3, .fail = -1}, "protocol.cmc", "no token", 0, true},
        {"the CA signs a failure",
         {.status = 2, .fail = 2, .signer = s.root, .key = s.ca_key},
         "server.cmc-failed",
         "(badRequest)",
         0,
         true},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        estuary_next next = ESTUARY_NEXT_FAILED;
        small_reply how = rows[i].how;
        estuary_enrollment *e = enroll(&(options){.signer = true});
        X509 *issued = ours(e);
        how.signer = how.signer == NULL ? ra : how.signer;
        how.key = how.key == NULL ? ra_key : how.key;
        how.certs[0] = rows[i].no_certificate ? NULL : issued;
        (void)step(e, &how, rows[i].http_status == 0 ? 200 : rows[i].http_status, &next);
        if (strcmp(estuary_error_code(s.err), rows[i].code) != 0)
            fail_msg("%s: %s: %s (%s)", rows[i].what, estuary_error_code(s.err), estuary_error_message(s.err),
                     estuary_error_detail(s.err));
        if (rows[i].words != NULL && strstr(estuary_error_message(s.err), rows[i].words) == NULL)
            fail_msg("%s: %s", rows[i].what, estuary_error_message(s.err));
        assert_int_equal(next, rows[i].code[0] == '\0' ? ESTUARY_NEXT_DONE : ESTUARY_NEXT_FAILED);
        if (next == ESTUARY_NEXT_DONE)
            assert_ok(estuary_enrollment_check(e, s.anchors, NULL, time(NULL), NULL, s.err), s.err);
        X509_free(issued);
        estuary_enrollment_free(e);
    }
}

/* A CA of the anchors that did not issue the certificate does not speak for the one that did. */
static void another_ca_signs(void **state)
{
    (void)state;
    estuary_next next;
    X509_NAME *name = small_name("sub CA");
    estuary_enrollment *e = enroll(&(options){.signer = true});
    X509 *issued = ours(e);
    X509 *sub = small_issue(s.root, s.ca_key, &(small_cert){.subject = name, .key = ra_key, .is_ca = true});
    small_reply how = {OK, .signer = sub, .key = ra_key, .certs = {issued}};
    assert_failed(step(e, &how, 200, &next), s.err, "trust.cmc-signer");
    assert_non_null(strstr(estuary_error_message(s.err), "not the one that issued"));
    X509_free(sub);
    X509_free(issued);
    X509_NAME_free(name);
    estuary_enrollment_free(e);
}

static void without_trust_nothing_is_believed(void **state)
{
    (void)state;
    estuary_next next;
    estuary_enrollment *e = enroll(&(options){.signer = true, .no_trust = true});
    X509 *issued = ours(e);
    small_reply how = {OK, .signer = ra, .key = ra_key, .certs = {issued}};
    assert_failed(step(e, &how, 200, &next), s.err, "usage.no-trust");
    X509_free(issued);
    estuary_enrollment_free(e);
}

static char *saved(const estuary_enrollment *e)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    assert_ok(estuary_enrollment_save(e, &bytes, &len, s.err), s.err);
    char *text = est_strndup((const char *)bytes, len);
    OPENSSL_free(bytes);
    return text;
}

static estuary_enrollment *loaded(const char *text)
{
    estuary_enrollment *e = NULL;
    assert_ok(estuary_enrollment_load((const uint8_t *)text, strlen(text), s.key, &e, s.err), s.err);
    assert_ok(estuary_enrollment_set_cmc_trust(e, s.anchors, NULL, true, s.err), s.err);
    return e;
}

/* RFC 5272 6.13, E7: the token is kept across a restart; the secret is not, and is not needed */
static void pending_is_resumed(void **state)
{
    (void)state;
    estuary_next next = ESTUARY_NEXT_FAILED;
    const estuary_http_request *request = NULL;
    time_t now = time(NULL);
    estuary_enrollment *before = enroll(&(options){.identity = "device-17", .secret = SECRET});
    small_reply how = {
        .status = 3, .fail = -1, .token = "token", .time = "20991231235959Z", .signer = ra, .key = ra_key};
    assert_ok(step(before, &how, 200, &next), s.err);
    assert_int_equal(next, ESTUARY_NEXT_WAIT);
    assert_int_equal(estuary_enrollment_state(before), ESTUARY_STATE_PENDING);
    assert_int_equal(estuary_enrollment_cmc_status(before), ESTUARY_CMC_PENDING);
    /* cut to the limit of Retry-After */
    assert_in_range(estuary_enrollment_retry_at(before), now + 604800, now + 604860);
    char *text = saved(before);
    assert_null(strstr(text, SECRET));
    assert_null(strstr(text, "\"message\""));
    estuary_enrollment *after = loaded(text);
    char *again = saved(after);
    assert_string_equal(text, again);
    estuary_exchange *x = small_exchange(&s, ESTUARY_OP_FULLCMC, after, NULL);
    assert_ok(estuary_exchange_request(x, NULL, 0, &request, s.err), s.err);
    small_pki_data in = small_pki_data_read(request);
    assert_int_equal(sk_est_cmc_tagged_request_num(in.data->requests), 0);
    const ASN1_TYPE *token = small_control(&in, EST_CMC_QUERY_PENDING);
    assert_memory_equal(ASN1_STRING_get0_data(token->value.octet_string), "token", 5);
    const ASN1_TYPE *nonce = small_control(&in, EST_CMC_RECIPIENT_NONCE); /* RFC 5272 6.6 */
    assert_memory_equal(ASN1_STRING_get0_data(nonce->value.octet_string), "server nonce", 12);
    assert_null(small_control(&in, EST_CMC_IDENTIFICATION));
    check_signature(&in, (X509_REQ *)estuary_enrollment_get0_request(after), false);
    assert_memory_equal(before->cmc->transaction, after->cmc->transaction, EST_CMC_TRANSACTION_SIZE);
    small_pki_data_free(&in);
    estuary_exchange_free(x);
    /* still pending, without pendInfo: the same token, a minute later */
    small_reply still = {.status = 3, .fail = -1, .signer = ra, .key = ra_key};
    assert_ok(step(after, &still, 200, &next), s.err);
    assert_int_equal(next, ESTUARY_NEXT_WAIT);
    assert_in_range(estuary_enrollment_retry_at(after), now + 60, now + 120);
    X509 *issued = ours(after);
    small_reply done = {OK, .signer = ra, .key = ra_key, .certs = {issued}};
    assert_ok(step(after, &done, 200, &next), s.err);
    assert_int_equal(next, ESTUARY_NEXT_DONE);
    X509_free(issued);
    est_free(again);
    est_free(text);
    estuary_enrollment_free(before);
    estuary_enrollment_free(after);
}

/* E7: what HTTP answered 202 is sent again byte for byte, also after a restart */
static void same_bytes_after_202(void **state)
{
    (void)state;
    estuary_next next;
    const estuary_http_request *request = NULL;
    estuary_enrollment *e = enroll(&(options){.identity = "device-17", .secret = SECRET});
    estuary_exchange *x = small_exchange(&s, ESTUARY_OP_FULLCMC, e, NULL);
    assert_ok(small_step(&s, x, &(small_response){202, NULL, NULL, "Retry-After", "60"}, &next), s.err);
    assert_int_equal(next, ESTUARY_NEXT_WAIT);
    char *body = est_strdup(x->request.body), *text = saved(e);
    assert_null(strstr(text, SECRET));
    estuary_enrollment *after = loaded(text);
    estuary_exchange *y = small_exchange(&s, ESTUARY_OP_FULLCMC, after, NULL);
    assert_ok(estuary_exchange_request(y, NULL, 0, &request, s.err), s.err);
    assert_string_equal(y->request.body, body);
    est_free(body);
    est_free(text);
    estuary_exchange_free(x);
    estuary_exchange_free(y);
    estuary_enrollment_free(e);
    estuary_enrollment_free(after);
}

/* Loaded before the first answer: the secret has to be given again. */
static void ready_state_takes_the_secret_again(void **state)
{
    (void)state;
    estuary_secret *secret = NULL;
    const estuary_http_request *request = NULL;
    estuary_enrollment *e = enroll(&(options){.identity = "device-17", .secret = SECRET});
    char *text = saved(e);
    estuary_enrollment *after = loaded(text);
    assert_ok(estuary_secret_new(SECRET, strlen(SECRET), &secret, s.err), s.err);
    assert_ok(estuary_enrollment_set_cmc_secret(after, "device-17", secret, s.err), s.err);
    estuary_exchange *x = small_exchange(&s, ESTUARY_OP_FULLCMC, after, NULL);
    assert_ok(estuary_exchange_request(x, NULL, 0, &request, s.err), s.err);
    small_pki_data in = small_pki_data_read(request);
    check_proof(&in, SECRET "device-17");
    small_pki_data_free(&in);
    estuary_exchange_free(x);
    estuary_secret_free(secret);
    est_free(text);
    estuary_enrollment_free(e);
    estuary_enrollment_free(after);
}

static estuary_status request_again(estuary_enrollment *e, const char *hashed)
{
    const estuary_http_request *request = NULL;
    estuary_exchange *x = small_exchange(&s, ESTUARY_OP_FULLCMC, e, NULL);
    estuary_error_clear(s.err);
    estuary_status status = estuary_exchange_request(x, NULL, 0, &request, s.err);
    if (status == ESTUARY_OK) {
        small_pki_data in = small_pki_data_read(request);
        check_proof(&in, hashed);
        small_pki_data_free(&in);
    }
    estuary_exchange_free(x);
    return status;
}

/* A mistyped secret can be put right, here and after a restart; a message without the proof never leaves. */
static void a_refusal_takes_another_secret(void **state)
{
    static const int http_statuses[] = {200, 403};
    (void)state;
    estuary_secret *secret = NULL;
    assert_ok(estuary_secret_new(SECRET, strlen(SECRET), &secret, s.err), s.err);
    for (size_t i = 0; i < COUNT_OF(http_statuses); i++) {
        estuary_next next;
        estuary_enrollment *e = enroll(&(options){.identity = "d", .secret = "mistyped, but long enough"});
        small_reply lie = {.status = 2, .fail = 7, .signer = stranger, .key = ra_key};
        assert_int_not_equal(step(e, &lie, http_statuses[i], &next), ESTUARY_OK);
        assert_non_null(e->cmc->message); /* nobody we believe has said a word */
        small_reply how = {.status = 2, .fail = 7, .signer = ra, .key = ra_key};
        assert_failed(step(e, &how, http_statuses[i], &next), s.err, "auth.cmc-identity");
        char *text = saved(e);
        assert_null(strstr(text, "\"message\""));
        assert_non_null(strstr(text, "\"proof\": true"));
        estuary_enrollment *after = loaded(text);
        assert_int_equal(request_again(after, NULL), ESTUARY_E_USAGE);
        assert_string_equal(estuary_error_code(s.err), "usage.argument");
        assert_non_null(strstr(estuary_error_message(s.err), "needs the shared secret again"));
        assert_ok(estuary_enrollment_set_cmc_secret(after, "d", secret, s.err), s.err);
        assert_ok(request_again(after, SECRET "d"), s.err);
        assert_ok(estuary_enrollment_set_cmc_secret(e, "d", secret, s.err), s.err);
        assert_ok(request_again(e, SECRET "d"), s.err);
        est_free(text);
        estuary_enrollment_free(e);
        estuary_enrollment_free(after);
    }
    estuary_secret_free(secret);
}

/* RFC 5272 6.1: the worst status counts, and the token of a better one is not asked with */
static void pending_and_failed_is_failed(void **state)
{
    (void)state;
    estuary_next next;
    estuary_enrollment *e = enroll(&(options){.signer = true});
    small_reply how = {.status = 3,
                       .fail = -1,
                       .token = "token",
                       .time = "20991231235959Z",
                       .second_status = 2,
                       .signer = ra,
                       .key = ra_key};
    assert_failed(step(e, &how, 200, &next), s.err, "server.cmc-failed");
    assert_int_equal(estuary_enrollment_cmc_status(e), ESTUARY_CMC_FAILED);
    assert_null(e->cmc->pend_token);
    assert_int_equal(e->cmc->pend_token_len, 0);
    estuary_enrollment_free(e);
}

/* RFC 5272 6.6: a nonce of no bytes would match whatever has none */
static void an_empty_nonce_answers_nothing(void **state)
{
    (void)state;
    const estuary_http_request *request = NULL;
    unsigned char *der = NULL;
    est_cmc_response values;
    estuary_enrollment *e = enroll(&(options){.signer = true});
    estuary_exchange *x = small_exchange(&s, ESTUARY_OP_FULLCMC, e, NULL);
    assert_ok(estuary_exchange_request(x, NULL, 0, &request, s.err), s.err);
    small_pki_data in = small_pki_data_read(request);
    ASN1_OCTET_STRING *nonce = small_control(&in, EST_CMC_SENDER_NONCE)->value.octet_string;
    assert_int_equal(ASN1_STRING_set(nonce, "", 0), 1);
    int len = small_pki_response(&in, &(small_reply){OK}, &der);
    assert_failed(
        est_cmc_response_parse(der, (size_t)len, e->cmc->transaction, e->cmc->nonce, 0, NULL, &values, s.err),
        s.err, "protocol.cmc-nonce");
    OPENSSL_free(der);
    small_pki_data_free(&in);
    estuary_exchange_free(x);
    estuary_enrollment_free(e);
}

static void broken_states(void **state)
{
    static const struct {
        const char *from, *to;
    } rows[] = {
        {"\"cmc\"", "\"other\""},
        {"\"pkcs10\"", "\"xml\""},
        {"\"transaction\"", "\"transactions\""},
        {"\"transaction\": \"", "\"transaction\": \"!"},
        {"\"nonce\": \"", "\"nonce\": \"QUJD"},
        {"\"pend_token\": \"", "\"pend_token\": 1, \"x\": \""},
        {"\"body\"", "\"proof\": false, \"body\""},
        {"\"body\"", "\"proof\": \"yes\", \"body\""},
        {"\"nonce\": \"", "\"message\": \"QUJD\", \"x\": \""},
    };
    (void)state;
    estuary_next next;
    estuary_enrollment *e = enroll(&(options){.signer = true}), *out = NULL;
    small_reply how = {
        .status = 3, .fail = -1, .token = "token", .time = "20991231235959Z", .signer = ra, .key = ra_key};
    assert_ok(step(e, &how, 200, &next), s.err);
    char *text = saved(e);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *at = strstr(text, rows[i].from);
        assert_non_null(at);
        char *bent = est_printf("%.*s%s%s", (int)(at - text), text, rows[i].to, at + strlen(rows[i].from));
        assert_failed(estuary_enrollment_load((const uint8_t *)bent, strlen(bent), s.key, &out, s.err), s.err,
                      "config.pending-state");
        assert_null(out);
        est_free(bent);
    }
    est_free(text);
    estuary_enrollment_free(e);
}

/* RFC 5272 6.15; E10: anchors published otherwise need a fingerprint (exit 3) */
static void published_anchors(void **state)
{
    static const struct {
        bool implicit, by_ca, without;
        const char *code;
    } rows[] = {
        {false, false, false, ""},
        {false, true, false, ""}, /* the issuing CA itself */
        {true, false, false, "trust.confirm-fingerprint"},
        {false, true, true, "cert.key-differs"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        estuary_next next;
        estuary_anchors *got = NULL;
        estuary_enrollment *e = enroll(&(options){.signer = true, .implicit = rows[i].implicit});
        X509 *issued = ours(e);
        small_reply how = {OK, .signer = rows[i].by_ca ? s.root : ra,
                           .key = rows[i].by_ca ? s.ca_key : ra_key, .published = s.root};
        how.certs[0] = rows[i].without ? plain : issued;
        how.certs[1] = rows[i].by_ca ? NULL : s.root;
        if (step(e, &how, 200, &next) == ESTUARY_OK)
            (void)estuary_enrollment_confirm_published(e, NULL, 0, &got, s.err);
        assert_string_equal(estuary_error_code(s.err), rows[i].code);
        assert_int_equal(got != NULL, rows[i].code[0] == '\0');
        assert_int_equal(sk_X509_num(estuary_enrollment_get0_published_anchors(e)), 1);
        assert_int_equal(estuary_enrollment_published_sequence(e), 7);
        estuary_anchors_free(got);
        X509_free(issued);
        estuary_enrollment_free(e);
    }
}

static void usage(void **state)
{
    (void)state;
    char longest[EST_CMC_IDENTITY_MAX + 2];
    estuary_request *request = NULL;
    estuary_enrollment *e = small_enroll(&s), *full = enroll(&(options){0});
    estuary_secret *empty = NULL, *secret = NULL;
    estuary_anchors *got = NULL;
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_ok(estuary_secret_new("", 0, &empty, s.err), s.err);
    assert_ok(estuary_secret_new("s", 1, &secret, s.err), s.err);
    assert_ok(estuary_request_new(&request, s.err), s.err);
    assert_failed(estuary_request_set_cmc_body(request, 9, s.err), s.err, "usage.argument");
    assert_failed(estuary_request_set_cmc_secret(request, NULL, empty, s.err), s.err, "usage.argument");
    assert_failed(estuary_request_set_cmc_secret(request, "", secret, s.err), s.err, "usage.argument");
    assert_failed(estuary_request_set_cmc_secret(request, longest, secret, s.err), s.err, "usage.argument");
    assert_failed(estuary_enrollment_set_cmc_secret(e, NULL, secret, s.err), s.err, "usage.argument");
    assert_failed(estuary_enrollment_set_cmc_signer(e, plain, NULL, ra_key, s.err), s.err, "usage.argument");
    assert_failed(estuary_enrollment_set_cmc_trust(e, s.anchors, NULL, true, s.err), s.err, "usage.argument");
    assert_failed(estuary_enrollment_set_cmc_signer(full, NULL, NULL, ra_key, s.err), s.err,
                  "usage.argument");
    assert_failed(estuary_enrollment_set_cmc_trust(full, NULL, NULL, true, s.err), s.err, "usage.no-trust");
    assert_failed(estuary_enrollment_confirm_published(full, NULL, 0, &got, s.err), s.err, "usage.argument");
    assert_int_equal(estuary_enrollment_cmc_status(e), ESTUARY_CMC_NONE);
    assert_null(estuary_enrollment_get0_published_anchors(e));
    assert_int_equal(estuary_enrollment_published_sequence(e), 0);
    estuary_secret_free(empty);
    estuary_secret_free(secret);
    estuary_request_free(request);
    estuary_enrollment_free(e);
    estuary_enrollment_free(full);
}

/* Signed elsewhere: no key for a CRMF body, none for the message; Ed25519 cannot sign CMS here. */
static void keys_that_cannot(void **state)
{
    static const struct {
        estuary_cmc_body body;
        bool signer;
        const char *code;
    } rows[] = {{ESTUARY_CMC_BODY_PKCS10, true, ""},
                {ESTUARY_CMC_BODY_PKCS10, false, "usage.argument"},
                {ESTUARY_CMC_BODY_CRMF, true, "usage.argument"}};
    (void)state;
    estuary_enrollment *source = small_enroll(&s);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        estuary_enrollment *e = NULL;
        estuary_request *request = NULL;
        const estuary_http_request *http = NULL;
        assert_ok(estuary_request_new(&request, s.err), s.err);
        assert_ok(estuary_request_set_signed(request, estuary_enrollment_get0_request(source), s.err), s.err);
        assert_ok(estuary_request_set_cmc_body(request, rows[i].body, s.err), s.err);
        assert_ok(estuary_enrollment_new(ESTUARY_OP_FULLCMC, s.server, request, &e, s.err), s.err);
        if (rows[i].signer)
            assert_ok(estuary_enrollment_set_cmc_signer(e, plain, NULL, ra_key, s.err), s.err);
        estuary_exchange *x = small_exchange(&s, ESTUARY_OP_FULLCMC, e, NULL);
        estuary_error_clear(s.err);
        (void)estuary_exchange_request(x, NULL, 0, &http, s.err);
        assert_string_equal(estuary_error_code(s.err), rows[i].code);
        estuary_exchange_free(x);
        estuary_enrollment_free(e);
        estuary_request_free(request);
    }
    estuary_enrollment_free(source);
    EVP_PKEY *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), *usual = s.key;
    s.key = ed;
    estuary_enrollment *e = enroll(&(options){0});
    const estuary_http_request *http = NULL;
    estuary_exchange *x = small_exchange(&s, ESTUARY_OP_FULLCMC, e, NULL);
    assert_failed(estuary_exchange_request(x, NULL, 0, &http, s.err), s.err, "unsupported.feature");
    s.key = usual;
    estuary_exchange_free(x);
    estuary_enrollment_free(e);
    EVP_PKEY_free(ed);
}

/* RFC 7030 3.5: a binding is in challengePassword, which CRMF has not; the message is made again with it */
static void bindings(void **state)
{
    (void)state;
    const estuary_http_request *http = NULL;
    estuary_enrollment *e = enroll(&(options){.signer = true});
    estuary_exchange *x = small_exchange(&s, ESTUARY_OP_FULLCMC, e, NULL);
    assert_ok(estuary_exchange_request(x, NULL, 0, &http, s.err), s.err);
    assert_ok(estuary_exchange_request(x, (const uint8_t *)"binding", 7, &http, s.err), s.err);
    small_pki_data in = small_pki_data_read(http);
    char *challenge =
        small_challenge(sk_est_cmc_tagged_request_value(in.data->requests, 0)->value.tcr->request);
    assert_string_equal(challenge, "YmluZGluZw==");
    OPENSSL_free(challenge);
    small_pki_data_free(&in);
    estuary_exchange_free(x);
    estuary_enrollment_free(e);
    e = enroll(&(options){.signer = true, .body = ESTUARY_CMC_BODY_CRMF});
    x = small_exchange(&s, ESTUARY_OP_FULLCMC, e, NULL);
    assert_failed(estuary_exchange_request(x, (const uint8_t *)"binding", 7, &http, s.err), s.err,
                  "usage.argument");
    estuary_exchange_free(x);
    estuary_enrollment_free(e);
}

static void words(void **state)
{
    static const char *const statuses[] = {
        "", "success", "pending", "partial", "confirmRequired", "popRequired", "noSupport", "failed"};
    static const char *const fails[] = {
        "badAlg",         "badMessageCheck", "badRequest",  "badTime",     "badCertId",
        "unsupportedExt", "mustArchiveKeys", "badIdentity", "popRequired", "popFailed",
        "noKeyReuse",     "internalCAError", "tryLater",    "authDataFail"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(statuses); i++)
        assert_string_equal(estuary_cmc_status_name((estuary_cmc_status)i), statuses[i]);
    for (size_t i = 0; i < COUNT_OF(fails); i++) {
        assert_string_equal(estuary_cmc_fail_name((int64_t)i), fails[i]);
        assert_string_not_equal(estuary_cmc_fail_sentence((int64_t)i), "");
    }
    assert_string_equal(estuary_cmc_status_name(99), "");
    assert_string_equal(estuary_cmc_fail_name(-1), "");
    assert_string_equal(estuary_cmc_fail_name(14), "");
    assert_string_equal(estuary_cmc_fail_sentence(14), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),
        cmocka_unit_test(identifiers_are_unique),
        cmocka_unit_test(answers),
        cmocka_unit_test(another_ca_signs),
        cmocka_unit_test(without_trust_nothing_is_believed),
        cmocka_unit_test(pending_is_resumed),
        cmocka_unit_test(same_bytes_after_202),
        cmocka_unit_test(ready_state_takes_the_secret_again),
        cmocka_unit_test(a_refusal_takes_another_secret),
        cmocka_unit_test(pending_and_failed_is_failed),
        cmocka_unit_test(an_empty_nonce_answers_nothing),
        cmocka_unit_test(broken_states),
        cmocka_unit_test(published_anchors),
        cmocka_unit_test(usage),
        cmocka_unit_test(keys_that_cannot),
        cmocka_unit_test(bindings),
        cmocka_unit_test(words),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
