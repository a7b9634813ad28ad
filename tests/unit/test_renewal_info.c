/* renewal-info (O1; draft-ietf-lamps-est-renewal-info, RFC 9773): identifier, JSON, and the time that comes
 * of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <estuary/exchange.h>
#include <estuary/renew.h>
#include <estuary/renewal_info.h>
#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define DAY  86400
#define HOUR 3600
#define T0   INT64_C(1800000000)

static X509 *make(const char *key_id, const char *serial, int64_t from, int64_t to)
{
    X509 *cert = X509_new();
    BIGNUM *number = NULL;
    assert_int_equal(X509_set_version(cert, X509_VERSION_3), 1);
    assert_true(BN_hex2bn(&number, serial) > 0);
    assert_non_null(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)));
    BN_free(number);
    assert_non_null(ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)from));
    assert_non_null(ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)to));
    if (key_id == NULL)
        return cert;
    AUTHORITY_KEYID *id = AUTHORITY_KEYID_new();
    long len = 0;
    unsigned char *bytes = OPENSSL_hexstr2buf(key_id, &len);
    id->keyid = ASN1_OCTET_STRING_new();
    assert_int_equal(ASN1_OCTET_STRING_set(id->keyid, bytes, (int)len), 1);
    assert_int_equal(X509_add1_ext_i2d(cert, NID_authority_key_identifier, id, 0, 0), 1);
    OPENSSL_free(bytes);
    AUTHORITY_KEYID_free(id);
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    assert_int_equal(X509_set_pubkey(cert, key), 1);
    assert_true(X509_sign(cert, key, NULL) > 0); /* OpenSSL looks into whole certificates only */
    EVP_PKEY_free(key);
    return cert;
}

static void test_id(void **state)
{
    static const struct {
        const char *key_id, *serial, *id;
    } rows[] = {
        /* RFC 9773 4.1: the example; the serial number's leading zero byte stays */
        {"69885B6B87464041E1B37B847BA0AE2CDE01C8D4", "87654321", "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"},
        {"00", "01", "AA.AQ"},
        {"fbff", "7f", "-_8.fw"},
        {"ffffff", "80", "____.AIA"},
        {"01020304", "0", "AQIDBA.AA"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        X509 *cert = make(rows[i].key_id, rows[i].serial, T0, T0 + DAY);
        char *id = NULL;
        assert_int_equal(estuary_renewal_info_id(cert, &id, NULL), ESTUARY_OK);
        assert_string_equal(id, rows[i].id);
        OPENSSL_free(id);
        X509_free(cert);
    }
    estuary_error *err = estuary_error_new();
    X509 *cert = make(NULL, "01", T0, T0 + DAY);
    char *id = NULL;
    assert_int_equal(estuary_renewal_info_id(cert, &id, err), ESTUARY_E_CERTIFICATE);
    assert_string_equal(estuary_error_code(err), "cert.no-key-id");
    assert_null(id);
    X509_free(cert);
    estuary_error_free(err);
}

static estuary_status parse(const char *json, estuary_renewal_info **out, estuary_error *err)
{
    return estuary_renewal_info_parse((const uint8_t *)json, strlen(json), 0, out, err);
}

#define WINDOW(start, end) "{\"suggestedWindow\":{\"start\":\"" start "\",\"end\":\"" end "\"}}"

static void test_parse(void **state)
{
    static const struct {
        const char *json;
        int64_t start, end;
        const char *explanation;
    } rows[] = {
        /* the draft's example, with its white space */
        {"{\n  \"suggestedWindow\": {\n    \"start\": \"2025-01-02T04:00:00Z\",\n"
         "    \"end\": \"2025-01-03T04:00:00Z\"\n  }\n}\n",
         1735790400, 1735876800, ""},
        {WINDOW("2025-01-02T04:00:00+01:00", "2025-01-02t04:00:00z"), 1735786800, 1735790400, ""},
        {WINDOW("2025-01-02T04:00:00.999Z", "2025-01-02T04:00:00.5-00:30"), 1735790400, 1735792200, ""},
        {"{\"suggestedWindow\":{\"start\":\"2025-01-02T04:00:00Z\",\"end\":\"2025-01-02T04:00:01Z\",\"x\":[]}"
         ","
         "\"explanationURL\":\"https://ca.example/why\\u001b[31m\\n?\",\"more\":{}}",
         1735790400, 1735790401, "https://ca.example/why?[31m ?"},
        {"{\"suggestedWindow\":{\"start\":\"2025-01-02T04:00:00Z\",\"end\":\"2025-01-02T04:00:01Z\"},"
         "\"explanationURL\":null}",
         1735790400, 1735790401, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        estuary_renewal_info *info = NULL;
        estuary_error *err = estuary_error_new();
        if (parse(rows[i].json, &info, err) != ESTUARY_OK)
            fail_msg("row %zu: %s", i, estuary_error_message(err));
        assert_int_equal(estuary_renewal_info_start(info), rows[i].start);
        assert_int_equal(estuary_renewal_info_end(info), rows[i].end);
        assert_int_equal(estuary_renewal_info_retry_at(info), 0);
        assert_string_equal(estuary_renewal_info_explanation(info), rows[i].explanation);
        estuary_renewal_info_free(info);
        estuary_error_free(err);
    }
    estuary_renewal_info_free(NULL);
}

static void test_broken(void **state)
{
    static const struct {
        const char *json, *code, *message;
    } rows[] = {
        {"", "protocol.renewal-info", "not the JSON it should be"},
        {"<html>", "protocol.renewal-info", "not the JSON it should be"},
        {"[]", "protocol.renewal-info", "not the JSON it should be"},
        {"{}{}", "protocol.renewal-info", "not the JSON it should be"},
        {"{\"a\":1,\"a\":2}", "protocol.renewal-info", "not the JSON it should be"},
        {"{}", "protocol.renewal-info", "holds no suggestedWindow"},
        {"{\"suggestedWindow\":[]}", "protocol.renewal-info", "holds no suggestedWindow"},
        {"{\"suggestedWindow\":{}}", "protocol.renewal-info", "RFC 3339"},
        {"{\"suggestedWindow\":{\"start\":1735790400,\"end\":1735790401}}", "protocol.renewal-info",
         "RFC 3339"},
        {"{\"suggestedWindow\":{\"start\":\"2025-01-02T04:00:00Z\"}}", "protocol.renewal-info", "RFC 3339"},
        {WINDOW("2025-01-02 04:00:00", "2025-01-03T04:00:00Z"), "protocol.renewal-info", "RFC 3339"},
        {WINDOW("2025-02-30T04:00:00Z", "2025-03-03T04:00:00Z"), "protocol.renewal-info", "RFC 3339"},
        {WINDOW("2025-01-02T04:00:00.Z", "2025-01-03T04:00:00Z"), "protocol.renewal-info", "RFC 3339"},
        {WINDOW("2025-01-02.5T04:00:00Z", "2025-01-03T04:00:00Z"), "protocol.renewal-info", "RFC 3339"},
        {WINDOW("2025-01-02T04:00:00.5", "2025-01-03T04:00:00Z"), "protocol.renewal-info", "RFC 3339"},
        {WINDOW("2025-01-02T04:00:00Z\\u0000", "2025-01-03T04:00:00Z"), "protocol.renewal-info",
         "not the JSON"},
        {WINDOW("2025-01-02T04:00:00Z", "2025-01-03T04:00:00.5ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ"),
         "protocol.renewal-info", "RFC 3339"},
        {"{\"suggestedWindow\":{\"start\":\"2025-01-02T04:00:00Z\",\"end\":\"2025-01-03T04:00:00Z\"},"
         "\"explanationURL\":5}",
         "protocol.renewal-info", "explanationURL"},
        /* "in which the end timestamp equals or precedes the start timestamp is invalid" */
        {WINDOW("2025-01-02T04:00:00Z", "2025-01-02T04:00:00Z"), "protocol.renewal-window",
         "does not end after it starts"},
        {WINDOW("2025-01-03T04:00:00Z", "2025-01-02T04:00:00Z"), "protocol.renewal-window",
         "does not end after it starts"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        estuary_renewal_info *info = NULL;
        estuary_error *err = estuary_error_new();
        if (parse(rows[i].json, &info, err) != ESTUARY_E_PROTOCOL)
            fail_msg("row %zu is accepted", i);
        assert_null(info);
        assert_string_equal(estuary_error_code(err), rows[i].code);
        if (strstr(estuary_error_message(err), rows[i].message) == NULL)
            fail_msg("row %zu: %s", i, estuary_error_message(err));
        estuary_error_free(err);
    }
    static uint8_t large[65537];
    estuary_renewal_info *info = NULL;
    assert_int_equal(estuary_renewal_info_parse(large, sizeof(large), 0, &info, NULL), ESTUARY_E_PROTOCOL);
    assert_null(info);
}

/* A certificate of 90 days from T0: the default policy says day 60, and the last moment is an hour before its
 * end. */
static void test_plan(void **state)
{
    static const struct {
        int64_t start, end; /* 0 and 0: no info */
        uint64_t random;
        int64_t now, when;
    } rows[] = {
        {0, 0, 12345, T0, T0 + 60 * DAY},
        /* every second of the window, and nothing outside of it */
        {T0 + 40 * DAY, T0 + 41 * DAY, 0, T0, T0 + 40 * DAY},
        {T0 + 40 * DAY, T0 + 41 * DAY, DAY - 1, T0, T0 + 41 * DAY - 1},
        {T0 + 40 * DAY, T0 + 41 * DAY, DAY, T0, T0 + 40 * DAY},
        {T0 + 40 * DAY, T0 + 41 * DAY, UINT64_MAX, T0, T0 + 40 * DAY + 25215},
        {T0 + 40 * DAY, T0 + 40 * DAY + 1, UINT64_MAX, T0, T0 + 40 * DAY},
        /* later than the policy would: the server's word counts */
        {T0 + 80 * DAY, T0 + 81 * DAY, 0, T0, T0 + 80 * DAY},
        /* a chosen time in the past means now, even when the window is still open */
        {T0 + 40 * DAY, T0 + 41 * DAY, 0, T0 + 40 * DAY + 5, T0 + 40 * DAY + 5},
        {T0 + 40 * DAY, T0 + 41 * DAY, 10, T0 + 40 * DAY + 5, T0 + 40 * DAY + 10},
        {T0 - 9 * DAY, T0 - 8 * DAY, 7, T0 + DAY, T0 + DAY},
        /* never before it is valid, never later than the margin before its end */
        {T0 - 9 * DAY, T0 - 8 * DAY, 7, T0 - DAY, T0},
        {T0 + 95 * DAY, T0 + 96 * DAY, 7, T0, T0 + 90 * DAY - HOUR},
        {T0 + 89 * DAY, T0 + 99 * DAY, 9 * DAY, T0, T0 + 90 * DAY - HOUR},
        {T0 + 95 * DAY, T0 + 96 * DAY, 7, T0 + 90 * DAY, T0 + 90 * DAY},
    };
    X509 *cert = make("01", "01", T0, T0 + 90 * DAY);
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        estuary_renewal_info *info = NULL;
        char json[128], start[32], end[32];
        time_t from = (time_t)rows[i].start, to = (time_t)rows[i].end, when = 0;
        strftime(start, sizeof(start), "%Y-%m-%dT%H:%M:%SZ", gmtime(&from));
        strftime(end, sizeof(end), "%Y-%m-%dT%H:%M:%SZ", gmtime(&to));
        snprintf(json, sizeof(json), WINDOW("%s", "%s"), start, end);
        if (from != to)
            assert_int_equal(parse(json, &info, NULL), ESTUARY_OK);
        assert_int_equal(estuary_renewal_plan_with_info(cert, NULL, info, (time_t)rows[i].now, rows[i].random,
                                                        &when, NULL),
                         ESTUARY_OK);
        if ((int64_t)when != rows[i].when)
            fail_msg("row %zu: %lld", i, (long long)((int64_t)when - T0));
        estuary_renewal_info_free(info);
    }
    X509_free(cert);
}

/* The exchange without a network: URL, answers, absence. */
static estuary_status answer(estuary_exchange *exchange, int http_status, const char *type, const char *retry,
                             const char *body, estuary_error *err)
{
    const estuary_http_request *request = NULL;
    estuary_http_response *response = NULL;
    estuary_next next = ESTUARY_NEXT_FAILED;
    assert_int_equal(estuary_exchange_request(exchange, NULL, 0, &request, NULL), ESTUARY_OK);
    assert_string_equal(estuary_http_request_method(request), "GET");
    assert_string_equal(estuary_http_request_accept(request), "application/json");
    assert_string_equal(estuary_http_request_url(request),
                        "https://est.example/.well-known/est/factory/renewal-info/AQIDBA.AIA");
    assert_int_equal(estuary_http_response_new(http_status, &response, NULL), ESTUARY_OK);
    if (type != NULL)
        assert_int_equal(estuary_http_response_add_header(response, "Content-Type", type, NULL), ESTUARY_OK);
    if (retry != NULL)
        assert_int_equal(estuary_http_response_add_header(response, "Retry-After", retry, NULL), ESTUARY_OK);
    assert_int_equal(estuary_http_response_append_body(response, (const uint8_t *)body, strlen(body), NULL),
                     ESTUARY_OK);
    estuary_status status = estuary_exchange_response(exchange, response, (time_t)T0, &next, err);
    estuary_http_response_free(response);
    return status;
}

static void test_exchange(void **state)
{
    static const char body[] = WINDOW("2025-01-02T04:00:00Z", "2025-01-03T04:00:00Z");
    static const struct {
        int http_status;
        const char *type, *retry, *body;
        int64_t retry_at; /* -1: no info */
        const char *code; /* NULL: ESTUARY_OK */
    } rows[] = {
        {200, "application/json", "21600", body, T0 + 21600, NULL},
        {200, "application/json; charset=utf-8", NULL, body, 0, NULL},
        {200, "application/json", "soon", body, 0, NULL},
        {404, NULL, NULL, "", -1, NULL},
        {404, "text/html", NULL, "<h1>no</h1>", -1, NULL},
        {204, NULL, NULL, "", -1, NULL},
        {200, "text/html", NULL, body, -1, "protocol.content-type"},
        {200, "application/json", NULL, "eyJ9", -1, "protocol.renewal-info"},
        {500, NULL, NULL, "", -1, "server.error"},
    };
    X509 *cert = make("01020304", "80", T0, T0 + DAY);
    estuary_server *server = NULL;
    (void)state;
    assert_int_equal(estuary_server_parse("https://est.example/", "factory", &server, NULL), ESTUARY_OK);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        estuary_exchange *exchange = NULL;
        estuary_error *err = estuary_error_new();
        assert_int_equal(estuary_exchange_new_renewal_info(server, cert, NULL, &exchange, NULL), ESTUARY_OK);
        estuary_status status =
            answer(exchange, rows[i].http_status, rows[i].type, rows[i].retry, rows[i].body, err);
        const estuary_renewal_info *info = estuary_exchange_get0_renewal_info(exchange);
        if (rows[i].code != NULL && strcmp(estuary_error_code(err), rows[i].code) != 0)
            fail_msg("row %zu: %s", i, estuary_error_code(err));
        assert_int_equal(status == ESTUARY_OK, rows[i].code == NULL);
        assert_int_equal(info != NULL, rows[i].retry_at >= 0);
        if (info != NULL)
            assert_int_equal(estuary_renewal_info_retry_at(info), rows[i].retry_at);
        estuary_exchange_free(exchange);
        estuary_error_free(err);
    }
    estuary_exchange *exchange = NULL;
    const estuary_http_request *request = NULL;
    assert_int_equal(estuary_exchange_new_renewal_info(server, NULL, NULL, &exchange, NULL), ESTUARY_E_USAGE);
    assert_int_equal(estuary_exchange_new(ESTUARY_OP_RENEWAL_INFO, server, NULL, NULL, &exchange, NULL),
                     ESTUARY_OK);
    assert_int_equal(estuary_exchange_request(exchange, NULL, 0, &request, NULL), ESTUARY_E_USAGE);
    estuary_exchange_free(exchange);
    estuary_server_free(server);
    X509_free(cert);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_id),   cmocka_unit_test(test_parse),    cmocka_unit_test(test_broken),
        cmocka_unit_test(test_plan), cmocka_unit_test(test_exchange),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
