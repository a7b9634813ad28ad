/* /serverkeygen without sockets (E9, RFC 7030 4.4, 4.4.1, 4.4.1.1, 4.4.1.2, 4.4.2). */
#include "small_est.h"
#include "small_keygen.h"

#include <estuary/serverkeygen.h>
#include <jansson.h>

#define KEK   "0123456789abcdef0123456789abcdef"
#define MIXED "multipart/mixed; boundary=\"a Boundary\""
#define PLAIN "application/pkcs8"
#define CMS   "application/pkcs7-mime; smime-type=server-generated-key"

static int set_up(void **state)
{
    small_est *s = calloc(1, sizeof(*s));
    small_est_open(s);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    small_est_close(*state);
    free(*state);
    return 0;
}

static estuary_secret *secret_of(const char *text)
{
    estuary_secret *secret = NULL;
    assert_int_equal(estuary_secret_new(text, strlen(text), &secret, NULL), ESTUARY_OK);
    return secret;
}

static estuary_request *small_request(small_est *s, est_decrypt_method method)
{
    estuary_request *request = NULL;
    estuary_csr *csr = small_csr(s, "CN=device 1,O=Example", "device.example");
    estuary_secret *kek = secret_of(KEK);
    assert_ok(estuary_request_new(&request, s->err), s->err);
    assert_ok(estuary_request_set_csr(request, csr, s->key, s->err), s->err);
    if (method == EST_DECRYPT_EC)
        assert_ok(estuary_request_set_decrypt_key(request, s->key, NULL, s->err), s->err);
    if (method == EST_DECRYPT_KEK)
        assert_ok(estuary_request_set_decrypt_kek(request, (const uint8_t *)"k1", 2, kek, s->err), s->err);
    if (method == EST_DECRYPT_PASSWORD)
        assert_ok(estuary_request_set_decrypt_password(request, (const uint8_t *)"p1", 2, kek, s->err),
                  s->err);
    estuary_secret_free(kek);
    estuary_csr_free(csr);
    return request;
}

static estuary_enrollment *enrollment_for(small_est *s, est_decrypt_method method)
{
    estuary_enrollment *e = NULL;
    estuary_request *request = small_request(s, method);
    assert_ok(estuary_enrollment_new(ESTUARY_OP_SERVERKEYGEN, s->server, request, &e, s->err), s->err);
    estuary_request_free(request);
    return e;
}

/* The certificate for a key the CA made itself, with the names of the request. */
static X509 *issue_for(small_est *s, const estuary_enrollment *e, EVP_PKEY *key)
{
    X509_REQ *request = (X509_REQ *)estuary_enrollment_get0_request(e);
    STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
    X509 *cert = small_issue(
        s->root, s->ca_key,
        &(small_cert){.subject = X509_REQ_get_subject_name(request), .key = key, .extensions = extensions});
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return cert;
}

static char *base64_of(small_bytes der)
{
    char *text = NULL;
    assert_int_equal(est_base64_encode(der.data, der.len, &text, NULL), ESTUARY_OK);
    OPENSSL_free(der.data);
    return text;
}

static char *sealed_key(small_est *s, const EVP_PKEY *key, const small_signing *signing)
{
    const small_signing by_ca = {.signer = s->root, .key = s->ca_key, .bare = true};
    small_bytes package = small_package(key, 1);
    small_bytes inner = small_sign(&package, signing == NULL ? &by_ca : signing);
    small_bytes der = small_encrypt(&inner, EVP_aes_256_gcm(), &(small_recipient){.kek = KEK, .id = "k1"}, 1);
    OPENSSL_free(package.data);
    OPENSSL_free(inner.data);
    return base64_of(der);
}

static char *part(const char *type, const char *text)
{
    return est_printf("--a Boundary\r\nContent-Type: %s\r\nContent-Transfer-Encoding: base64\r\n\r\n%s\r\n",
                      type, text);
}

/* Any of the parts may be NULL; all are freed. */
static char *join(char *a, char *b, char *c)
{
    char *all =
        est_printf("%s%s%s--a Boundary--\r\n", a == NULL ? "" : a, b == NULL ? "" : b, c == NULL ? "" : c);
    est_free(a);
    est_free(b);
    est_free(c);
    return all;
}

static char *key_part(const char *type, char *text)
{
    char *made = part(type, text);
    est_free(text);
    return made;
}

static char *cert_part(X509 *cert, const char *type)
{
    char *text = small_answer(&cert, 1);
    char *made = part(type, text);
    est_free(text);
    return made;
}

static estuary_status answer(small_est *s, estuary_enrollment *e, const char *type, char *body)
{
    estuary_next next;
    estuary_exchange *x = small_exchange(s, ESTUARY_OP_SERVERKEYGEN, e, NULL);
    estuary_status status =
        small_step(s, x, &(small_response){.status = 200, .type = type, .body = body}, &next);
    estuary_exchange_free(x);
    est_free(body);
    return status;
}

static estuary_status check(small_est *s, estuary_enrollment *e)
{
    estuary_error_clear(s->err);
    assert_null(estuary_enrollment_get0_generated_key(e)); /* not before it is issued */
    return estuary_enrollment_check(e, s->anchors, NULL, time(NULL), NULL, s->err);
}

static void operation(void **state)
{
    small_est *s = *state;
    estuary_enrollment *e = enrollment_for(s, EST_DECRYPT_NONE);
    estuary_exchange *x = small_exchange(s, ESTUARY_OP_SERVERKEYGEN, e, NULL);
    const estuary_http_request *request = NULL;
    assert_ok(estuary_exchange_request(x, NULL, 0, &request, s->err), s->err);
    assert_string_equal(estuary_http_request_method(request), "POST");
    assert_string_equal(estuary_http_request_url(request),
                        "https://est.example/.well-known/est/serverkeygen");
    assert_string_equal(estuary_http_request_content_type(request), "application/pkcs10");
    assert_string_equal(estuary_http_request_accept(request), "multipart/mixed");
    assert_string_equal(estuary_operation_name(ESTUARY_OP_SERVERKEYGEN), "serverkeygen");
    estuary_exchange_free(x);
    estuary_enrollment_free(e);
}

/* The value of an attribute that stands there once; NULL when it does not. */
static const ASN1_STRING *attribute(const X509_REQ *request, const char *oid, int type)
{
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    int at = X509_REQ_get_attr_by_OBJ(request, object, -1);
    bool again = at >= 0 && X509_REQ_get_attr_by_OBJ(request, object, at) >= 0;
    ASN1_OBJECT_free(object);
    assert_false(again);
    if (at < 0)
        return NULL;
    X509_ATTRIBUTE *found = X509_REQ_get_attr(request, at);
    assert_int_equal(X509_ATTRIBUTE_count(found), 1);
    assert_int_equal(ASN1_TYPE_get(X509_ATTRIBUTE_get0_type(found, 0)), type);
    return X509_ATTRIBUTE_get0_type(found, 0)->value.asn1_string;
}

#define DECRYPT_KEY_ID     "1.2.840.113549.1.9.16.2.37"
#define ASYMMETRIC_ID      "1.2.840.113549.1.9.16.2.54"
#define SMIME_CAPABILITIES "1.2.840.113549.1.9.15"

/* The first capability, and the first of the ciphers. */
static void assert_capabilities(const X509_REQ *request, int first, int total)
{
    const ASN1_STRING *value = attribute(request, SMIME_CAPABILITIES, V_ASN1_SEQUENCE);
    assert_non_null(value);
    const unsigned char *p = ASN1_STRING_get0_data(value);
    X509_ALGORS *list = d2i_X509_ALGORS(NULL, &p, ASN1_STRING_length(value));
    assert_int_equal(sk_X509_ALGOR_num(list), total);
    const ASN1_OBJECT *object = NULL;
    X509_ALGOR_get0(&object, NULL, NULL, sk_X509_ALGOR_value(list, 0));
    assert_int_equal(OBJ_obj2nid(object), first);
    X509_ALGOR_get0(&object, NULL, NULL, sk_X509_ALGOR_value(list, total - 6));
    assert_int_equal(OBJ_obj2nid(object), NID_aes_256_gcm);
    sk_X509_ALGOR_pop_free(list, X509_ALGOR_free);
}

/* RFC 7030 4.4.1.1, 4.4.1.2 */
static void attributes(void **state)
{
    small_est *s = *state;
    estuary_enrollment *e = enrollment_for(s, EST_DECRYPT_NONE);
    assert_null(attribute(estuary_enrollment_get0_request(e), DECRYPT_KEY_ID, V_ASN1_OCTET_STRING));
    assert_null(attribute(estuary_enrollment_get0_request(e), ASYMMETRIC_ID, V_ASN1_OCTET_STRING));
    assert_null(attribute(estuary_enrollment_get0_request(e), SMIME_CAPABILITIES, V_ASN1_SEQUENCE));
    assert_string_equal(estuary_enrollment_key_protection(e), "tls");
    estuary_enrollment_free(e);

    e = enrollment_for(s, EST_DECRYPT_KEK);
    const ASN1_STRING *id =
        attribute(estuary_enrollment_get0_request(e), DECRYPT_KEY_ID, V_ASN1_OCTET_STRING);
    assert_int_equal(ASN1_STRING_length(id), 2);
    assert_memory_equal(ASN1_STRING_get0_data(id), "k1", 2);
    assert_capabilities(estuary_enrollment_get0_request(e), NID_id_aes256_wrap, 7);
    assert_string_equal(estuary_enrollment_key_protection(e), "kek");
    estuary_enrollment_free(e);

    e = enrollment_for(s, EST_DECRYPT_PASSWORD);
    assert_capabilities(estuary_enrollment_get0_request(e), NID_id_alg_PWRI_KEK, 8);
    assert_string_equal(estuary_enrollment_key_protection(e), "password");
    estuary_enrollment_free(e);

    e = enrollment_for(s, EST_DECRYPT_EC);
    id = attribute(estuary_enrollment_get0_request(e), ASYMMETRIC_ID, V_ASN1_OCTET_STRING);
    assert_int_equal(ASN1_STRING_length(id), 20);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    X509 *same = small_root(s->key, "x");
    assert_int_equal(X509_pubkey_digest(same, EVP_sha1(), digest, &len), 1);
    assert_memory_equal(ASN1_STRING_get0_data(id), digest, 20);
    assert_capabilities(estuary_enrollment_get0_request(e), NID_dhSinglePass_stdDH_sha256kdf_scheme, 11);
    assert_null(attribute(estuary_enrollment_get0_request(e), DECRYPT_KEY_ID, V_ASN1_OCTET_STRING));
    assert_string_equal(estuary_enrollment_key_protection(e), "ec");
    X509_free(same);
    estuary_enrollment_free(e);
    assert_string_equal(estuary_enrollment_key_protection(NULL), "");
}

static void plain(void **state)
{
    small_est *s = *state;
    static const char *const types[] = {MIXED, "Multipart/Mixed ;boundary=\"a Boundary\"; x=y"};
    static const char *const cert_types[] = {"application/pkcs7-mime", CERTS_ONLY};
    for (size_t i = 0; i < 4; i++) {
        estuary_enrollment *e = enrollment_for(s, EST_DECRYPT_NONE);
        X509 *cert = issue_for(s, e, s->other_key);
        char *key = key_part(PLAIN, base64_of(small_pkcs8(s->other_key)));
        char *certs = cert_part(cert, cert_types[i % 2]);
        char *body = i < 2 ? join(key, certs, NULL) : join(certs, key, NULL);
        assert_ok(answer(s, e, types[i % 2], body), s->err);
        assert_ok(check(s, e), s->err);
        assert_int_equal(estuary_enrollment_state(e), ESTUARY_STATE_ISSUED);
        assert_int_equal(EVP_PKEY_eq(estuary_enrollment_get0_generated_key(e), s->other_key), 1);
        assert_int_equal(X509_cmp(estuary_enrollment_get0_certificate(e), cert), 0);
        X509_free(cert);
        estuary_enrollment_free(e);
    }
    assert_null(estuary_enrollment_get0_generated_key(NULL));
}

static void encrypted(void **state)
{
    small_est *s = *state;
    estuary_enrollment *e = enrollment_for(s, EST_DECRYPT_KEK);
    X509 *cert = issue_for(s, e, s->other_key);
    /* without the signer's certificate: it is an anchor */
    const small_signing bare = {.signer = s->root, .key = s->ca_key, .flags = CMS_NOCERTS, .bare = true};
    assert_ok(
        answer(s, e, MIXED,
               join(key_part(CMS, sealed_key(s, s->other_key, &bare)), cert_part(cert, CERTS_ONLY), NULL)),
        s->err);
    assert_ok(check(s, e), s->err);
    assert_int_equal(EVP_PKEY_eq(estuary_enrollment_get0_generated_key(e), s->other_key), 1);
    X509_free(cert);
    estuary_enrollment_free(e);
}

static void wrong_answers(void **state)
{
    small_est *s = *state;
    enum { KEY = 1, CERT, SEALED, CERT_AS_KEY, TEXT, EMPTY_KEY, OTHER_CERT, EMPTY_CERT };
    static const struct {
        est_decrypt_method method;
        const char *type;
        int parts[3];
        const char *code;
    } rows[] = {
        {EST_DECRYPT_KEK, MIXED, {KEY, CERT}, "protocol.key-not-encrypted"},
        {EST_DECRYPT_NONE, MIXED, {SEALED, CERT}, "protocol.key-encrypted"},
        {EST_DECRYPT_PASSWORD, MIXED, {SEALED, CERT}, "protocol.key-method"},
        {EST_DECRYPT_EC, MIXED, {SEALED, CERT}, "protocol.key-method"},
        {EST_DECRYPT_KEK, MIXED, {CERT_AS_KEY, CERT}, "protocol.key-envelope"},
        {EST_DECRYPT_NONE, MIXED, {KEY}, "protocol.key-parts"},
        {EST_DECRYPT_NONE, MIXED, {CERT}, "protocol.key-parts"},
        {EST_DECRYPT_NONE, MIXED, {KEY, KEY, CERT}, "protocol.key-parts"},
        {EST_DECRYPT_NONE, MIXED, {KEY, CERT, CERT}, "protocol.key-parts"},
        {EST_DECRYPT_NONE, MIXED, {SEALED, KEY, CERT}, "protocol.key-parts"},
        {EST_DECRYPT_NONE, MIXED, {KEY, CERT, TEXT}, "protocol.key-parts"},
        {EST_DECRYPT_NONE, MIXED, {EMPTY_KEY, CERT}, "protocol.empty"},
        {EST_DECRYPT_NONE, MIXED, {KEY, EMPTY_CERT}, "protocol.empty"},
        {EST_DECRYPT_NONE, MIXED, {KEY, OTHER_CERT}, "cert.key-differs"},
        {EST_DECRYPT_NONE, "multipart/mixed", {KEY, CERT}, "protocol.multipart-boundary"},
        {EST_DECRYPT_NONE, "multipart/mixed; boundary=other", {KEY, CERT}, "protocol.multipart-empty"},
        {EST_DECRYPT_NONE,
         "multipart/mixed; boundary=\"A boundary\"",
         {KEY, CERT},
         "protocol.multipart-empty"},
        {EST_DECRYPT_NONE,
         "multipart/related; boundary=\"a Boundary\"",
         {KEY, CERT},
         "protocol.content-type"},
        {EST_DECRYPT_NONE, CERTS_ONLY, {KEY, CERT}, "protocol.content-type"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        estuary_enrollment *e = enrollment_for(s, rows[i].method);
        X509 *cert = issue_for(s, e, s->other_key), *other = issue_for(s, e, s->key);
        char *parts[3] = {NULL, NULL, NULL};
        for (size_t k = 0; k < 3; k++) {
            int what = rows[i].parts[k];
            parts[k] = what == KEY           ? key_part(PLAIN, base64_of(small_pkcs8(s->other_key)))
                       : what == CERT        ? cert_part(cert, CERTS_ONLY)
                       : what == SEALED      ? key_part(CMS, sealed_key(s, s->other_key, NULL))
                       : what == CERT_AS_KEY ? cert_part(cert, CMS)
                       : what == TEXT        ? part("text/plain", "AAAA")
                       : what == EMPTY_KEY   ? part(PLAIN, "\r\n")
                       : what == OTHER_CERT  ? cert_part(other, CERTS_ONLY)
                       : what == EMPTY_CERT  ? part(CERTS_ONLY, "")
                                             : NULL;
        }
        assert_failed(answer(s, e, rows[i].type, join(parts[0], parts[1], parts[2])), s->err, rows[i].code);
        assert_null(e->generated); /* not even kept */
        assert_null(e->key_package);
        assert_int_not_equal(estuary_enrollment_state(e), ESTUARY_STATE_ISSUED);
        X509_free(cert);
        X509_free(other);
        estuary_enrollment_free(e);
    }
}

/* RFC 7030 4.4.2: who may have signed the key */
static void signers(void **state)
{
    small_est *s = *state;
    static const struct {
        const char *eku, *usage, *host; /* NULL: absent */
        int64_t to;
        bool stranger;
        const char *code; /* NULL: fine */
    } rows[] = {
        {"1.3.6.1.5.5.7.3.28", NULL, NULL, 86400, false, NULL},
        {"1.3.6.1.5.5.7.3.27", "digitalSignature", NULL, 86400, false, NULL},
        {"serverAuth", NULL, "DNS:est.example", 86400, false, NULL},
        {"serverAuth", NULL, "DNS:other.example", 86400, false, "protocol.key-signer"},
        {"serverAuth", NULL, NULL, 86400, false, "protocol.key-signer"},
        {"clientAuth", NULL, "DNS:est.example", 86400, false, "protocol.key-signer"},
        {NULL, NULL, "DNS:est.example", 86400, false, "protocol.key-signer"},
        {"1.3.6.1.5.5.7.3.28", "keyEncipherment", NULL, 86400, false, "protocol.key-signer"},
        {"1.3.6.1.5.5.7.3.28", NULL, NULL, -60, false, "protocol.key-signer"},
        {"1.3.6.1.5.5.7.3.28", NULL, NULL, 86400, true, "protocol.key-signer"},
    };
    EVP_PKEY *stranger_key = EVP_EC_gen("P-256");
    X509 *stranger = small_root(stranger_key, "somebody");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        estuary_enrollment *e = enrollment_for(s, EST_DECRYPT_KEK);
        X509_NAME *name = small_name("signer");
        STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
        const struct {
            int nid;
            const char *value;
        } wanted[] = {{NID_ext_key_usage, rows[i].eku},
                      {NID_key_usage, rows[i].usage},
                      {NID_subject_alt_name, rows[i].host}};
        for (size_t k = 0; k < COUNT_OF(wanted); k++) {
            if (wanted[k].value != NULL)
                assert_true(sk_X509_EXTENSION_push(extensions, X509V3_EXT_conf_nid(NULL, NULL, wanted[k].nid,
                                                                                   wanted[k].value)) > 0);
        }
        X509 *signer = small_issue(
            rows[i].stranger ? stranger : s->root, rows[i].stranger ? stranger_key : s->ca_key,
            &(small_cert){
                .subject = name, .key = s->key, .extensions = extensions, .from = -3600, .to = rows[i].to});
        X509 *cert = issue_for(s, e, s->other_key);
        char *key = sealed_key(s, s->other_key, &(small_signing){.signer = signer, .key = s->key});
        assert_ok(answer(s, e, MIXED, join(key_part(CMS, key), cert_part(cert, CERTS_ONLY), NULL)), s->err);
        if (rows[i].code == NULL)
            assert_ok(check(s, e), s->err);
        else
            assert_failed(check(s, e), s->err, rows[i].code);
        assert_true((estuary_enrollment_get0_generated_key(e) != NULL) == (rows[i].code == NULL));
        X509_free(signer);
        X509_free(cert);
        X509_NAME_free(name);
        sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
        estuary_enrollment_free(e);
    }
    X509_free(stranger);
    EVP_PKEY_free(stranger_key);
}

/* RFC 5280 4.2.1.12: a CA that may only make client certificates makes no authority. */
static void limited_ca(void **state)
{
    small_est *s = *state;
    static const struct {
        const char *ca_eku, *eku; /* NULL: absent */
        const char *code;         /* NULL: fine */
    } rows[] = {
        {NULL, "1.3.6.1.5.5.7.3.28", NULL},
        {"clientAuth,1.3.6.1.5.5.7.3.28", "1.3.6.1.5.5.7.3.28", NULL},
        {"clientAuth", "1.3.6.1.5.5.7.3.28", "protocol.key-signer"},
        {"clientAuth", "1.3.6.1.5.5.7.3.27", "protocol.key-signer"},
        {"clientAuth", "serverAuth", "protocol.key-signer"},
        {"serverAuth", "1.3.6.1.5.5.7.3.28,serverAuth", "protocol.key-signer"},
    };
    EVP_PKEY *ca_key = EVP_EC_gen("P-256");
    X509_NAME *ca_name = small_name("limited CA"), *name = small_name("signer");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        STACK_OF(X509_EXTENSION) *limit = sk_X509_EXTENSION_new_null(), *own = sk_X509_EXTENSION_new_null();
        if (rows[i].ca_eku != NULL)
            assert_true(sk_X509_EXTENSION_push(
                            limit, X509V3_EXT_conf_nid(NULL, NULL, NID_ext_key_usage, rows[i].ca_eku)) > 0);
        assert_true(
            sk_X509_EXTENSION_push(own, X509V3_EXT_conf_nid(NULL, NULL, NID_ext_key_usage, rows[i].eku)) > 0);
        assert_true(sk_X509_EXTENSION_push(
                        own, X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:est.example")) > 0);
        X509 *ca =
            small_issue(s->root, s->ca_key,
                        &(small_cert){.subject = ca_name, .key = ca_key, .is_ca = true, .extensions = limit});
        X509 *signer =
            small_issue(ca, ca_key, &(small_cert){.subject = name, .key = s->key, .extensions = own});
        STACK_OF(X509) *helpers = sk_X509_new_null();
        assert_true(sk_X509_push(helpers, ca) > 0);
        estuary_enrollment *e = enrollment_for(s, EST_DECRYPT_KEK);
        X509 *cert = issue_for(s, e, s->other_key);
        char *key = sealed_key(s, s->other_key, &(small_signing){.signer = signer, .key = s->key});
        assert_ok(answer(s, e, MIXED, join(key_part(CMS, key), cert_part(cert, CERTS_ONLY), NULL)), s->err);
        estuary_status status = estuary_enrollment_check(e, s->anchors, helpers, time(NULL), NULL, s->err);
        if (rows[i].code == NULL)
            assert_ok(status, s->err);
        else
            assert_failed(status, s->err, rows[i].code);
        estuary_enrollment_free(e);
        sk_X509_free(helpers);
        X509_free(cert);
        X509_free(signer);
        X509_free(ca);
        sk_X509_EXTENSION_pop_free(limit, X509_EXTENSION_free);
        sk_X509_EXTENSION_pop_free(own, X509_EXTENSION_free);
    }
    X509_NAME_free(ca_name);
    X509_NAME_free(name);
    EVP_PKEY_free(ca_key);
}

/* A CA of the anchors that did not issue the certificate has no say in its key. */
static void another_ca(void **state)
{
    small_est *s = *state;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509_NAME *name = small_name("another CA");
    X509 *ca = small_issue(s->root, s->ca_key, &(small_cert){.subject = name, .key = key, .is_ca = true});
    estuary_enrollment *e = enrollment_for(s, EST_DECRYPT_KEK);
    X509 *cert = issue_for(s, e, s->other_key);
    char *sealed = sealed_key(s, s->other_key, &(small_signing){.signer = ca, .key = key});
    assert_ok(answer(s, e, MIXED, join(key_part(CMS, sealed), cert_part(cert, CERTS_ONLY), NULL)), s->err);
    assert_failed(check(s, e), s->err, "protocol.key-signer");
    estuary_enrollment_free(e);

    e = enrollment_for(s, EST_DECRYPT_KEK);
    sealed =
        sealed_key(s, s->other_key, &(small_signing){.signer = s->root, .key = s->ca_key, .spoilt = true});
    assert_ok(answer(s, e, MIXED, join(key_part(CMS, sealed), cert_part(cert, CERTS_ONLY), NULL)), s->err);
    assert_failed(check(s, e), s->err, "protocol.key-signature");
    estuary_enrollment_free(e);
    X509_free(cert);
    X509_free(ca);
    X509_NAME_free(name);
    EVP_PKEY_free(key);
}

/* E7, E9: across a restart only method and identifier are kept; key and secret come back from the caller */
static void pending(void **state)
{
    small_est *s = *state;
    estuary_next next;
    uint8_t *saved = NULL;
    size_t len = 0;
    estuary_enrollment *e = enrollment_for(s, EST_DECRYPT_KEK), *loaded = NULL;
    estuary_exchange *x = small_exchange(s, ESTUARY_OP_SERVERKEYGEN, e, NULL);
    assert_ok(small_step(s, x, &(small_response){.status = 202, .name = "Retry-After", .value = "5"}, &next),
              s->err);
    assert_int_equal(next, ESTUARY_NEXT_WAIT);
    estuary_exchange_free(x);
    assert_ok(estuary_enrollment_save(e, &saved, &len, s->err), s->err);
    char *text = est_strndup((const char *)saved, len);
    assert_non_null(strstr(text, "\"key_protection\": \"kek\""));
    assert_null(strstr(text, KEK));
    est_free(text);
    estuary_enrollment_free(e);

    assert_ok(estuary_enrollment_load(saved, len, s->key, &loaded, s->err), s->err);
    assert_string_equal(estuary_enrollment_key_protection(loaded), "kek");
    const estuary_http_request *http = NULL;
    x = small_exchange(s, ESTUARY_OP_SERVERKEYGEN, loaded, NULL);
    assert_failed(estuary_exchange_request(x, NULL, 0, &http, s->err), s->err, "usage.decrypt");
    estuary_exchange_free(x);
    static const est_decrypt_method others[] = {EST_DECRYPT_NONE, EST_DECRYPT_PASSWORD, EST_DECRYPT_EC};
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        estuary_request *other = small_request(s, others[i]);
        assert_failed(estuary_enrollment_set_decryption(loaded, other, s->err), s->err, "key.mismatch");
        estuary_request_free(other);
    }
    estuary_request *same = small_request(s, EST_DECRYPT_KEK);
    assert_ok(estuary_enrollment_set_decryption(loaded, same, s->err), s->err);
    estuary_request_free(same);
    X509 *cert = issue_for(s, loaded, s->other_key);
    assert_ok(
        answer(s, loaded, MIXED,
               join(key_part(CMS, sealed_key(s, s->other_key, NULL)), cert_part(cert, CERTS_ONLY), NULL)),
        s->err);
    assert_ok(check(s, loaded), s->err);
    X509_free(cert);
    estuary_enrollment_free(loaded);
    est_free(saved);
}

static void broken_states(void **state)
{
    small_est *s = *state;
    static const struct {
        const char *name, *value; /* NULL: taken out */
    } rows[] = {{"key_protection", NULL}, {"key_protection", "rot13"}, {"key_protection", "tls"},
                {"decrypt_key_id", NULL}, {"decrypt_key_id", ""},      {"decrypt_key_id", "%"}};
    uint8_t *saved = NULL;
    size_t len = 0;
    estuary_enrollment *e = enrollment_for(s, EST_DECRYPT_KEK);
    assert_ok(estuary_enrollment_save(e, &saved, &len, s->err), s->err);
    estuary_enrollment_free(e);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        json_t *object = json_loadb((const char *)saved, len, 0, NULL);
        if (rows[i].value == NULL)
            json_object_del(object, rows[i].name);
        else
            json_object_set_new(object, rows[i].name, json_string(rows[i].value));
        char *text = json_dumps(object, 0);
        assert_failed(estuary_enrollment_load((const uint8_t *)text, strlen(text), s->key, &e, s->err),
                      s->err, "config.pending-state");
        free(text);
        json_decref(object);
    }
    est_free(saved);
}

/* The saved request says itself how the key shall be encrypted; a state that says otherwise was bent. */
static void bent_states(void **state)
{
    small_est *s = *state;
    static const struct {
        est_decrypt_method asked;
        const char *method, *id; /* base64 */
        const char *code;        /* NULL: fine */
    } rows[] = {
        {EST_DECRYPT_KEK, "kek", "azE=", NULL},
        {EST_DECRYPT_PASSWORD, "password", "cDE=", NULL},
        {EST_DECRYPT_NONE, "tls", "", NULL},
        {EST_DECRYPT_KEK, "tls", "", "config.pending-state"},
        {EST_DECRYPT_EC, "tls", "", "config.pending-state"},
        {EST_DECRYPT_KEK, "kek", "azI=", "config.pending-state"},
        {EST_DECRYPT_KEK, "kek", "aw==", "config.pending-state"},
        {EST_DECRYPT_KEK, "ec", "azE=", "config.pending-state"},
        {EST_DECRYPT_NONE, "kek", "azE=", "config.pending-state"},
        {EST_DECRYPT_NONE, "rsa", "azE=", "config.pending-state"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t *saved = NULL;
        size_t len = 0;
        estuary_enrollment *e = enrollment_for(s, rows[i].asked), *loaded = NULL;
        assert_ok(estuary_enrollment_save(e, &saved, &len, s->err), s->err);
        json_t *object = json_loadb((const char *)saved, len, 0, NULL);
        json_object_set_new(object, "key_protection", json_string(rows[i].method));
        json_object_set_new(object, "decrypt_key_id", json_string(rows[i].id));
        char *text = json_dumps(object, 0);
        estuary_status status =
            estuary_enrollment_load((const uint8_t *)text, strlen(text), s->key, &loaded, s->err);
        if (rows[i].code == NULL)
            assert_ok(status, s->err);
        else
            assert_failed(status, s->err, rows[i].code);
        estuary_enrollment_free(e);
        estuary_enrollment_free(loaded);
        est_free(saved);
        free(text);
        json_decref(object);
    }
}

static void misuse(void **state)
{
    small_est *s = *state;
    estuary_enrollment *e = NULL, *other = small_enroll(s);
    estuary_request *request = small_request(s, EST_DECRYPT_KEK);
    assert_failed(estuary_enrollment_new(ESTUARY_OP_SIMPLEENROLL, s->server, request, &e, s->err), s->err,
                  "usage.decrypt");
    assert_failed(estuary_enrollment_set_decryption(other, request, s->err), s->err, "usage.decrypt");
    assert_ok(estuary_request_set_signed(request, estuary_enrollment_get0_request(other), s->err), s->err);
    assert_failed(estuary_enrollment_new(ESTUARY_OP_SERVERKEYGEN, s->server, request, &e, s->err), s->err,
                  "usage.decrypt");
    assert_failed(estuary_request_set_decrypt_key(request, NULL, NULL, s->err), s->err, "usage.decrypt");
    assert_string_equal(estuary_enrollment_key_protection(other), "");
    assert_null(estuary_enrollment_get0_generated_key(other));
    estuary_request_free(request);
    estuary_enrollment_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operation),  cmocka_unit_test(attributes),    cmocka_unit_test(plain),
        cmocka_unit_test(encrypted),  cmocka_unit_test(wrong_answers), cmocka_unit_test(signers),
        cmocka_unit_test(another_ca), cmocka_unit_test(pending),       cmocka_unit_test(broken_states),
        cmocka_unit_test(misuse),     cmocka_unit_test(limited_ca),    cmocka_unit_test(bent_states),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
