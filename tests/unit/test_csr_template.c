/* The request template of RFC 9908: parsed, put into words, filled in (E3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "der_text.h"

#include <estuary/csr.h>
#include <estuary/key.h>
#include <stdio.h>
#include <string.h>

#define CN                  "06:550403"
#define SERIAL              "06:550405"
#define ORG                 "06:55040a"
#define OU                  "06:55040b"
#define EMPTY_CN            "31{30{" CN "}}"
#define EMPTY_SERIAL        "31{30{" SERIAL "}}"
#define DEPT                "31{30{" OU " 0c\"myDept\"}}"
#define EC_KEY              "a0{30{06:2a8648ce3d0201 06:2a8648ce3d030107}}"
#define SAN(names)          "30{06:551d11 04{30{" names "}}}"
#define KEY_USAGE           "30{06:551d0f 01:ff 04{03:0388}}" /* digitalSignature, keyAgreement */
#define EMPTY_EKU           "30{06:551d25}"
#define PARTIAL(extensions) "30{06:2a864886f70d010910023e 31{30{" extensions "}}}"
#define PLAIN(extensions)   "30{06:2a864886f70d01090e 31{30{" extensions "}}}"
#define CHALLENGE           "06:2a864886f70d010907"
#define FRIENDLY            "06:2a864886f70d010914"
#define ENTRY(info)         "30{06:2a864886f70d010910023d 31{30{02:00 " info "}}}"
#define SUBJECT(rdns)       "30{" rdns "}"

static estuary_status parse(const char *entries, estuary_csr_attributes **out, estuary_error *err)
{
    uint8_t der[DER_TEXT_MAX];
    char text[2048];
    snprintf(text, sizeof(text), "30{%s}", entries);
    size_t len = der_text(text, der);
    return estuary_csr_attributes_parse(der, len, out, err);
}

static void assert_entry(const estuary_csr_attributes *attributes, size_t index,
                         estuary_csr_attribute_kind wanted, const char *wanted_words, bool must_fill)
{
    estuary_csr_attribute_kind kind = ESTUARY_CSRATTR_UNKNOWN;
    const char *words = NULL;
    assert_true(estuary_csr_attributes_at(attributes, index, &kind, NULL, NULL, &words));
    assert_string_equal(words, wanted_words);
    assert_int_equal(kind, wanted);
    assert_int_equal(estuary_csr_attributes_must_fill(attributes, index), must_fill);
}

/* RFC 9908 3.4: the example; RFC 9908 4: the template alone counts */
static void test_words(void **state)
{
    estuary_csr_attributes *attributes = NULL;
    (void)state;
    assert_int_equal(
        parse(CHALLENGE
              " 30{06:2a864886f70d010101 31{02:1000}} " ENTRY(SUBJECT(EMPTY_CN DEPT) EC_KEY " a1{" PARTIAL(
                  SAN("82\"www.myServer.com\" 87:")
                      KEY_USAGE EMPTY_EKU) "30{" FRIENDLY " 31{}} 30{06:2a864886f70d010902 31{0c\"x\"}}}"),
              &attributes, NULL),
        ESTUARY_OK);
    assert_true(estuary_csr_attributes_has_template(attributes));
    assert_int_equal(estuary_csr_attributes_count(attributes), 11);
    assert_entry(attributes, 0, ESTUARY_CSRATTR_TEMPLATE,
                 "the server gives a template of the request (RFC 9908)", false);
    assert_entry(attributes, 1, ESTUARY_CSRATTR_SUBJECT,
                 "the subject needs commonName, whose value is yours to give", true);
    assert_entry(attributes, 2, ESTUARY_CSRATTR_SUBJECT,
                 "the subject will hold organizationalUnitName \"myDept\"", false);
    assert_entry(attributes, 3, ESTUARY_CSRATTR_KEY, "the key should be an EC key on curve P-256", false);
    assert_entry(
        attributes, 4, ESTUARY_CSRATTR_EXTENSIONS,
        "the request will carry subjectAltName with: dns:www.myServer.com, iPAddress (yours to give)", true);
    assert_entry(attributes, 5, ESTUARY_CSRATTR_EXTENSIONS,
                 "the request will carry keyUsage: digitalSignature, keyAgreement (critical)", false);
    assert_entry(attributes, 6, ESTUARY_CSRATTR_EXTENSIONS,
                 "the request needs extendedKeyUsage, whose value is yours to give", true);
    assert_entry(attributes, 7, ESTUARY_CSRATTR_ATTRIBUTE,
                 "the request needs the attribute friendlyName, whose value is yours to give", true);
    assert_entry(attributes, 8, ESTUARY_CSRATTR_ATTRIBUTE,
                 "the request will carry the attribute unstructuredName with the server's value", false);
    assert_entry(attributes, 9, ESTUARY_CSRATTR_UNKNOWN,
                 "the server names challengePassword beside its template: ignored", false);
    assert_entry(attributes, 10, ESTUARY_CSRATTR_UNKNOWN,
                 "the server names rsaEncryption beside its template: ignored", false);
    assert_false(estuary_csr_attributes_wants_binding(attributes));
    assert_string_equal(estuary_csr_attributes_key_algorithm(attributes), "ec:P-256");
    estuary_csr_attributes_free(attributes);
    assert_false(estuary_csr_attributes_has_template(NULL));
    assert_false(estuary_csr_attributes_must_fill(NULL, 0));
}

/* RFC 9908 3.4: the RSA size is that of a placeholder key */
static void test_keys(void **state)
{
    static const struct {
        const char *key, *algorithm, *words;
    } rows[] = {
        {"a0{30{06:2a864886f70d010101 05:}}", "rsa:3072", "the key should be an RSA key"},
        {"a0{30{06:2b6570}}", "ed25519", "the key should be an ED25519 key"},
        {"a0{30{06:2a8648ce3d0201 06:2b81040023}}", "ec:P-521", "the key should be an EC key on curve P-521"},
        {"a0{30{06:2a8648ce380401}}", "DSA", "the key should be of the kind DSA"},
        {"a0{30{06:2a030405}}", "1.2.3.4.5", "the key should be of the kind 1.2.3.4.5"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        estuary_csr_attributes *attributes = NULL;
        char text[256];
        snprintf(text, sizeof(text), ENTRY("%s a1{}"), rows[i].key);
        assert_int_equal(parse(text, &attributes, NULL), ESTUARY_OK);
        assert_string_equal(estuary_csr_attributes_key_algorithm(attributes), rows[i].algorithm);
        assert_entry(attributes, 1, ESTUARY_CSRATTR_KEY, rows[i].words, false);
        estuary_csr_attributes_free(attributes);
    }
}

static void test_rsa_size(void **state)
{
    estuary_csr_attributes *attributes = NULL;
    char modulus[520] = "00", text[1024];
    (void)state;
    memset(modulus + 2, 'f', 512);
    modulus[514] = '\0';
    snprintf(text, sizeof(text),
             ENTRY("a0{30{06:2a864886f70d010101 05:} 03:003082010a0282010"
                   "1%s0203010001} a1{}"),
             modulus);
    assert_int_equal(parse(text, &attributes, NULL), ESTUARY_OK);
    assert_string_equal(estuary_csr_attributes_key_algorithm(attributes), "rsa:2048");
    estuary_csr_attributes_free(attributes);
}

/* A challengePassword inside of the template is the wish for a binding (RFC 7030 3.5). */
static void test_binding(void **state)
{
    estuary_csr_attributes *attributes = NULL;
    (void)state;
    assert_int_equal(parse(ENTRY("a1{30{" CHALLENGE " 31{0c\"\"}}}"), &attributes, NULL), ESTUARY_OK);
    assert_true(estuary_csr_attributes_wants_binding(attributes));
    assert_entry(attributes, 1, ESTUARY_CSRATTR_CHALLENGE_PASSWORD,
                 "the request should be bound to the TLS session by a challengePassword", false);
    estuary_csr_attributes_free(attributes);
}

/* RFC 9908 3.4 */
static void test_broken(void **state)
{
    static const struct {
        const char *entries, *message;
    } rows[] = {
        {"30{06:2a864886f70d010910023d 31{}}", "must have exactly one value"},
        {"30{06:2a864886f70d010910023d 31{30{02:00 a1{}} 30{02:00 30{} a1{}}}}",
         "must have exactly one value"},
        {"30{06:2a864886f70d010910023d 31{0c\"x\"}}", "must have exactly one value"},
        {"30{06:2a864886f70d010910023d 31{30{02:01 a1{}}}}", "of a version that nobody has defined"},
        {"30{06:2a864886f70d010910023d 31{30{02:00}}}", "is not valid"},
        {"30{06:2a864886f70d010910023d 31{30{a1{}}}}", "is not valid"},
        {ENTRY("a1{}") ENTRY("a1{}"), "more than one request template"},
        {ENTRY(SUBJECT("31{}") "a1{}"), "an empty RDN"},
        {ENTRY(SUBJECT("31{30{" CN " 02:05}}") "a1{}"), "holds what is no text"},
        {ENTRY(SUBJECT("31{30{" CN " 1e:00}}") "a1{}"), "is not valid"},
        {ENTRY("a1{" PARTIAL(KEY_USAGE) PLAIN(KEY_USAGE) "}"), "asks for extensions twice"},
        {ENTRY("a1{" PARTIAL(KEY_USAGE) PARTIAL(KEY_USAGE) "}"), "asks for extensions twice"},
        {ENTRY("a1{" PARTIAL(KEY_USAGE KEY_USAGE) "}"), "an extension stands twice"},
        {ENTRY("a1{" PARTIAL("") "}"), "has no extensions"},
        {ENTRY("a1{" PLAIN(EMPTY_EKU) "}"), "extensionRequest has no value"},
        {ENTRY("a1{30{06:2a864886f70d010910023e 31{" EMPTY_EKU "}}}"), "are not valid DER"},
        {ENTRY("a1{30{06:2a864886f70d010910023e 31{30{" EMPTY_EKU "} 30{" KEY_USAGE "}}}}"),
         "are not valid DER"},
        {ENTRY("a1{" PARTIAL("30{06:551d11 04{0c\"x\"}}") "}"), "the subjectAltName of the server's"},
        {ENTRY("a0{30{06:2a864886f70d010101 05:} 03:00} a1{}"), "of a size that makes no sense"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        estuary_csr_attributes *attributes = NULL;
        estuary_error *err = estuary_error_new();
        if (parse(rows[i].entries, &attributes, err) != ESTUARY_E_PROTOCOL)
            fail_msg("row %zu: %s", i, rows[i].message);
        assert_null(attributes);
        assert_string_equal(estuary_error_code(err), "protocol.csr-template");
        if (strstr(estuary_error_message(err), rows[i].message) == NULL)
            fail_msg("row %zu: %s", i, estuary_error_message(err));
        estuary_error_free(err);
    }
}

static void test_too_many(void **state)
{
    uint8_t der[DER_TEXT_MAX];
    char text[4096] = "30{30{06:2a864886f70d010910023d 31{30{02:00 30{";
    estuary_csr_attributes *attributes = NULL;
    estuary_error *err = estuary_error_new();
    (void)state;
    for (int i = 0; i < 65; i++)
        strncat(text, EMPTY_CN, sizeof(text) - strlen(text) - 1);
    strncat(text, "} a1{}}}}}", sizeof(text) - strlen(text) - 1);
    assert_int_equal(estuary_csr_attributes_parse(der, der_text(text, der), &attributes, err),
                     ESTUARY_E_PROTOCOL);
    assert_string_equal(estuary_error_message(err),
                        "the subject of the server's request template has more than 64 parts");
    estuary_error_free(err);
}

typedef struct caller {
    const char *subject;
    const char *dns[2];
    const char *ip;
    const char *key_usage;
    const char *eku;
} caller;

static estuary_csr *csr_of(const caller *c)
{
    estuary_csr *csr = NULL;
    assert_int_equal(estuary_csr_new(&csr, NULL), ESTUARY_OK);
    if (c->subject != NULL)
        assert_int_equal(estuary_csr_set_subject(csr, c->subject, NULL), ESTUARY_OK);
    for (size_t i = 0; i < 2 && c->dns[i] != NULL; i++)
        assert_int_equal(estuary_csr_add_san(csr, ESTUARY_SAN_DNS, c->dns[i], NULL), ESTUARY_OK);
    if (c->ip != NULL)
        assert_int_equal(estuary_csr_add_san(csr, ESTUARY_SAN_IP, c->ip, NULL), ESTUARY_OK);
    if (c->key_usage != NULL)
        assert_int_equal(estuary_csr_set_key_usage(csr, c->key_usage, NULL), ESTUARY_OK);
    if (c->eku != NULL)
        assert_int_equal(estuary_csr_add_eku(csr, c->eku, NULL), ESTUARY_OK);
    return csr;
}

/* Subject, names and extensions of the signed request, one after the other. */
static void describe(const estuary_csr *csr, EVP_PKEY *key, char *out, size_t size)
{
    X509_REQ *request = NULL;
    estuary_csr_report *report = NULL;
    const char *line = NULL;
    assert_int_equal(estuary_csr_sign(csr, key, &request, NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_inspect(request, &report, NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_report_flaw(report, 0, NULL), ESTUARY_CSR_FLAW_NONE);
    snprintf(out, size, "%s", estuary_csr_report_subject(report));
    for (size_t i = 0; (line = estuary_csr_report_san(report, i)) != NULL; i++)
        snprintf(out + strlen(out), size - strlen(out), " | %s", line);
    for (size_t i = 0; (line = estuary_csr_report_extension(report, i)) != NULL; i++)
        if (strncmp(line, "subjectAltName", 14) != 0)
            snprintf(out + strlen(out), size - strlen(out), " | %s", line);
    estuary_csr_report_free(report);
    X509_REQ_free(request);
}

#define FULL                                                                                                 \
    ENTRY(SUBJECT(EMPTY_CN DEPT "31{30{" OU " 0c\"myGroup\"}}") EC_KEY                                       \
          " a1{" PARTIAL(SAN("82\"www.myServer.com\" 87:") KEY_USAGE EMPTY_EKU) "}")

/* Either `request`, or code and message. */
static const struct {
    const char *entries;
    caller caller;
    const char *request;
    const char *code, *message;
} applied[] = {
    /* RFC 9908 3.4: the example, from the least a caller can give to the most */
    {FULL,
     {.subject = "CN=dev", .ip = "192.0.2.1", .eku = "clientAuth"},
     "OU=myGroup,OU=myDept,CN=dev | dns:www.myServer.com | ip:192.0.2.1 | extendedKeyUsage: clientAuth | "
     "keyUsage: digitalSignature, keyAgreement (critical)",
     NULL,
     NULL},
    {FULL,
     {.subject = "OU=myDept,CN=dev,OU=myGroup",
      .dns = {"www.myserver.com"},
      .ip = "192.0.2.1",
      .key_usage = "digitalSignature,keyAgreement",
      .eku = "clientAuth"},
     "OU=myGroup,OU=myDept,CN=dev | dns:www.myServer.com | ip:192.0.2.1 | keyUsage: digitalSignature, "
     "keyAgreement (critical) | extendedKeyUsage: clientAuth",
     NULL,
     NULL},
    {FULL,
     {0},
     NULL,
     "csr.template-incomplete",
     "the server's template wants commonName, an iPAddress in subjectAltName and the extension "
     "extendedKeyUsage"},
    {FULL,
     {.subject = "CN=dev", .ip = "192.0.2.1"},
     NULL,
     "csr.template-incomplete",
     "the server's template wants the extension extendedKeyUsage"},
    {FULL,
     {.subject = "CN=dev,OU=theirs,C=DE",
      .dns = {"www.other.com"},
      .ip = "192.0.2.1",
      .key_usage = "keyAgreement"},
     NULL,
     "csr.attribute-conflict",
     "the request contradicts the server's template: countryName \"DE\" has no place in its subject; "
     "organizationalUnitName is \"theirs\" and must be \"myDept\"; dns:www.other.com has no place in its "
     "subjectAltName; the extension keyUsage has another value there (here keyUsage: keyAgreement "
     "(critical))"},
    /* no subject in the template: the server does not mind */
    {ENTRY("a1{}"), {.subject = "CN=a,O=b"}, "CN=a,O=b", NULL, NULL},
    {ENTRY(SUBJECT("") "a1{}"),
     {.subject = "CN=a"},
     NULL,
     "csr.attribute-conflict",
     "the request contradicts the server's template: commonName \"a\" has no place in its subject"},
    /* several gaps of a kind, filled in the caller's order; the fixed one takes its own */
    {ENTRY(SUBJECT("31{30{" OU "}}" DEPT "31{30{" OU "}}") "a1{}"),
     {.subject = "OU=c,OU=myDept,OU=a"},
     "OU=c,OU=myDept,OU=a",
     NULL,
     NULL},
    {ENTRY(SUBJECT("31{30{" OU "}}" DEPT) "a1{}"),
     {.subject = "OU=myDept"},
     NULL,
     "csr.template-incomplete",
     "the server's template wants organizationalUnitName"},
    /* one RDN of two parts stays one; an empty string is a gap, too */
    {ENTRY(SUBJECT("31{30{" CN "} 30{" SERIAL " 13\"\"}}") "a1{}"),
     {.subject = "CN=a,serialNumber=7"},
     "serialNumber=7+CN=a",
     NULL,
     NULL},
    {ENTRY(SUBJECT(EMPTY_CN EMPTY_SERIAL) "a1{" PARTIAL(SAN("82:")) "}"),
     {0},
     NULL,
     "csr.template-incomplete",
     "the server's template wants commonName, serialNumber and a dNSName in subjectAltName"},
    /* subjectAltName: the whole value, a gap for each type, two gaps */
    {ENTRY("a1{" PARTIAL("30{06:551d11}") "}"),
     {.dns = {"a.example", "b.example"}},
     " | dns:a.example | dns:b.example",
     NULL,
     NULL},
    {ENTRY("a1{" PARTIAL(SAN("")) "}"), {.dns = {"a.example"}}, " | dns:a.example", NULL, NULL},
    {ENTRY("a1{" PARTIAL("30{06:551d11}") "}"),
     {.subject = "CN=a"},
     NULL,
     "csr.template-incomplete",
     "the server's template wants the extension subjectAltName"},
    {ENTRY("a1{" PARTIAL(SAN("87: 82:")) "}"),
     {.dns = {"a.example"}, .ip = "2001:db8::1"},
     " | ip:2001:db8::1 | dns:a.example",
     NULL,
     NULL},
    {ENTRY("a1{" PARTIAL(SAN("82: 82:")) "}"),
     {.dns = {"a.example"}},
     NULL,
     "csr.template-incomplete",
     "the server's template wants a dNSName in subjectAltName"},
    {ENTRY("a1{" PARTIAL(SAN("82:")) "}"),
     {.dns = {"a.example", "b.example"}},
     NULL,
     "csr.attribute-conflict",
     "the request contradicts the server's template: dns:b.example has no place in its subjectAltName"},
    {ENTRY("a1{" PARTIAL(SAN("a4{30{}} 81: 86: a0{06:2b060104018237140203 a0{0c\"\"}}")) "}"),
     {.subject = "CN=a"},
     NULL,
     "csr.template-incomplete",
     "the server's template wants a directoryName in subjectAltName, an rfc822Name in subjectAltName, a "
     "uniformResourceIdentifier in subjectAltName and an otherName in subjectAltName"},
    /* extensions: critical comes from the template, the value from the caller; more than asked for stays */
    {ENTRY("a1{" PARTIAL("30{06:551d25 01:ff}") "}"),
     {.subject = "CN=a", .eku = "clientAuth"},
     "CN=a | extendedKeyUsage: clientAuth (critical)",
     NULL,
     NULL},
    {ENTRY("a1{" PARTIAL("30{06:551d25 04{30{}}}") "}"),
     {.subject = "CN=a", .key_usage = "keyAgreement"},
     NULL,
     "csr.template-incomplete",
     "the server's template wants the extension extendedKeyUsage"},
    {ENTRY("a1{" PLAIN(KEY_USAGE) "}"),
     {.subject = "CN=a", .dns = {"a.example"}},
     "CN=a | dns:a.example | keyUsage: digitalSignature, keyAgreement (critical)",
     NULL,
     NULL},
    {ENTRY("a1{" PLAIN("30{06:551d0f 04{02:05}}") "}"),
     {.subject = "CN=a"},
     NULL,
     "csr.attribute-conflict",
     "the request contradicts the server's template: its value of keyUsage is broken"},
    /* attributes */
    {ENTRY("a1{30{06:2a864886f70d010902 31{0c\"x\"}}}"), {.subject = "CN=a"}, "CN=a", NULL, NULL},
    {ENTRY("a1{30{" FRIENDLY " 31{}}}"),
     {.subject = "CN=a"},
     NULL,
     "csr.template-incomplete",
     "the server's template wants the attribute friendlyName"},
    /* RFC 9908 4: what stands beside the template is not asked for */
    {"06:550405 " ENTRY("a1{}"), {.subject = "CN=a"}, "CN=a", NULL, NULL},
};

static void test_apply(void **state)
{
    EVP_PKEY *key = NULL;
    (void)state;
    assert_int_equal(estuary_key_generate("ec:P-256", &key, NULL), ESTUARY_OK);
    for (size_t i = 0; i < sizeof(applied) / sizeof(applied[0]); i++) {
        estuary_csr_attributes *attributes = NULL;
        estuary_error *err = estuary_error_new();
        char before[1024] = "", after[1024] = "";
        if (parse(applied[i].entries, &attributes, err) != ESTUARY_OK)
            fail_msg("row %zu: %s", i, estuary_error_message(err));
        estuary_csr *csr = csr_of(&applied[i].caller);
        bool empty = applied[i].caller.subject == NULL && applied[i].caller.dns[0] == NULL;
        if (!empty)
            describe(csr, key, before, sizeof(before));
        estuary_status status = estuary_csr_apply(csr, attributes, key, err);
        if (!empty || status == ESTUARY_OK)
            describe(csr, key, after, sizeof(after));
        if (applied[i].request != NULL) {
            assert_int_equal(status, ESTUARY_OK);
            assert_string_equal(after, applied[i].request);
        } else {
            assert_int_equal(status, ESTUARY_E_CERTIFICATE);
            assert_string_equal(estuary_error_code(err), applied[i].code);
            assert_string_equal(estuary_error_message(err), applied[i].message);
            assert_string_equal(after, before); /* all or nothing */
        }
        estuary_csr_free(csr);
        estuary_csr_attributes_free(attributes);
        estuary_error_free(err);
    }
    EVP_PKEY_free(key);
}

/* The wish for a key is compared as in RFC 7030's form. */
static void test_apply_key(void **state)
{
    estuary_csr_attributes *attributes = NULL;
    estuary_csr *csr = NULL;
    estuary_error *err = estuary_error_new();
    EVP_PKEY *key = NULL;
    (void)state;
    assert_int_equal(estuary_key_generate("ed25519", &key, NULL), ESTUARY_OK);
    assert_int_equal(parse(ENTRY(EC_KEY "a1{}"), &attributes, NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_new(&csr, NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_apply(csr, attributes, NULL, err), ESTUARY_OK);
    assert_int_equal(estuary_csr_apply(csr, attributes, key, err), ESTUARY_E_CERTIFICATE);
    assert_string_equal(estuary_error_message(err),
                        "the server asks for the key algorithm ec:P-256, the key is ed25519");
    estuary_csr_free(csr);
    estuary_csr_attributes_free(attributes);
    estuary_error_free(err);
    EVP_PKEY_free(key);
}

/* What the request signed before held is what another template may contradict. */
static void test_attribute_conflict(void **state)
{
    estuary_csr_attributes *one = NULL, *other = NULL;
    estuary_csr *csr = NULL;
    estuary_error *err = estuary_error_new();
    (void)state;
    assert_int_equal(parse(ENTRY("a1{30{" FRIENDLY " 31{1e:0078}}}"), &one, NULL), ESTUARY_OK);
    assert_int_equal(parse(ENTRY("a1{30{" FRIENDLY " 31{1e:0079}}}"), &other, NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_new(&csr, NULL), ESTUARY_OK);
    assert_int_equal(estuary_csr_apply(csr, one, NULL, err), ESTUARY_OK);
    assert_int_equal(estuary_csr_apply(csr, one, NULL, err), ESTUARY_OK);
    assert_int_equal(estuary_csr_apply(csr, other, NULL, err), ESTUARY_E_CERTIFICATE);
    assert_string_equal(
        estuary_error_message(err),
        "the request contradicts the server's template: the attribute friendlyName has another value there");
    estuary_csr_free(csr);
    estuary_csr_attributes_free(one);
    estuary_csr_attributes_free(other);
    estuary_error_free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_rsa_size),
        cmocka_unit_test(test_binding),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_apply),
        cmocka_unit_test(test_apply_key),
        cmocka_unit_test(test_attribute_conflict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
