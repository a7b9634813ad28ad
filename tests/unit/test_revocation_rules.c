/*
 * The rules around evidence: what wins, what is fresh, where evidence may be fetched from, what a checker can
 * be set to and what its policy makes of a verdict (R0, R6), and the counters for Prometheus (R7).
 */
#include "support.h"

#include "http/transfer.h"
#include "make_certs.h"
#include "revocation/checker.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY  86400
#define NOW  ((time_t)1800000000)
#define SKEW 300

static struct world {
    made ca, twin, other, leaf;
    estuary_error *err;
} world;

static int set_up(void **state)
{
    (void)state;
    world.ca = make_ca("CA", NULL);
    world.twin = make_ca("CA", NULL); /* the same name, another key */
    world.other = make_ca("Other CA", NULL);
    world.leaf = make_cert(&(recipe){.cn = "device", .issuer = &world.ca});
    world.err = estuary_error_new();
    return world.err == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    free_made(&world.ca);
    free_made(&world.twin);
    free_made(&world.other);
    free_made(&world.leaf);
    estuary_error_free(world.err);
    return 0;
}

/* --- verdicts ---------------------------------------------------------------------------------------- */

#define U ESTUARY_REVOCATION_UNKNOWN
#define G ESTUARY_REVOCATION_GOOD
#define R ESTUARY_REVOCATION_REVOKED

static estuary_verdict verdict_of(estuary_revocation_status status, est_code code, time_t mark)
{
    estuary_verdict verdict = {.status = status, .code = code, .reason = -1, .this_update = mark};
    return verdict;
}

/* Revoked wins over good, good over unknown; else the first, unless that one only says "no evidence". */
static void a_second_piece_of_evidence(void **state)
{
    (void)state;
    static const struct {
        estuary_revocation_status first, second;
        est_code first_code, second_code;
        bool second_wins;
    } rows[] = {
        {U, U, EST_REVOCATION_NO_EVIDENCE, EST_REVOCATION_STALE, true},
        {U, U, EST_OK_CODE, EST_REVOCATION_STALE, true}, /* zeroed memory */
        {U, U, EST_REVOCATION_STALE, EST_OCSP_SIGNATURE, false},
        {U, U, EST_REVOCATION_STALE, EST_REVOCATION_NO_EVIDENCE, false},
        {U, G, EST_REVOCATION_STALE, EST_OK_CODE, true},
        {U, G, EST_REVOCATION_NO_EVIDENCE, EST_OK_CODE, true},
        {U, R, EST_REVOCATION_STALE, EST_OK_CODE, true},
        {G, U, EST_OK_CODE, EST_REVOCATION_STALE, false},
        {G, U, EST_OK_CODE, EST_OK_CODE, false},
        {G, G, EST_OK_CODE, EST_OK_CODE, false},
        {G, R, EST_OK_CODE, EST_OK_CODE, true},
        {R, U, EST_OK_CODE, EST_REVOCATION_STALE, false},
        {R, G, EST_OK_CODE, EST_OK_CODE, false},
        {R, R, EST_OK_CODE, EST_OK_CODE, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        estuary_verdict first = verdict_of(rows[i].first, rows[i].first_code, 1);
        estuary_verdict second = verdict_of(rows[i].second, rows[i].second_code, 2);
        est_verdict_add(&first, &second);
        if (first.this_update != (rows[i].second_wins ? 2 : 1))
            fail_msg("row %zu", i);
        assert_int_equal(first.status, rows[i].second_wins ? rows[i].second : rows[i].first);
    }
}

static void a_new_verdict_is_unknown(void **state)
{
    (void)state;
    estuary_verdict *fresh = est_verdict_new();
    estuary_verdict zero = {0};
    assert_int_equal(estuary_verdict_status(fresh), U);
    assert_string_equal(estuary_verdict_code(fresh), "revocation.no-evidence");
    assert_string_not_equal(estuary_verdict_why(fresh), "");
    assert_string_equal(estuary_verdict_reason(fresh), "");
    assert_int_equal(estuary_verdict_source(fresh), ESTUARY_REVOCATION_NO_SOURCE);
    assert_int_equal(estuary_verdict_status(&zero), U);
    assert_int_equal(estuary_verdict_status(NULL), U);
    assert_int_equal(estuary_verdict_source(NULL), ESTUARY_REVOCATION_NO_SOURCE);
    assert_int_equal(estuary_verdict_evidence(NULL), ESTUARY_REVOCATION_NO_SOURCE);
    assert_string_equal(estuary_verdict_origin(NULL), "");
    assert_string_equal(estuary_verdict_code(NULL), "revocation.no-evidence");
    assert_string_equal(estuary_verdict_why(NULL), "");
    assert_string_equal(estuary_verdict_reason(NULL), "");
    assert_int_equal(estuary_verdict_revoked_at(NULL), 0);
    assert_int_equal(estuary_verdict_this_update(NULL), 0);
    assert_int_equal(estuary_verdict_next_update(NULL), 0);
    estuary_verdict_free(fresh);
    estuary_verdict_free(NULL);
}

/* Nothing of a "good" may shine through when it turns out not to count. */
static void unknown_forgets(void **state)
{
    (void)state;
    estuary_verdict verdict = {.status = R,
                               .revoked_at = 5,
                               .reason = 1,
                               .this_update = 6,
                               .next_update = 7,
                               .evidence = ESTUARY_REVOCATION_CRL,
                               .cached = true};
    est_verdict_set_origin(&verdict, "http://a/\n\x1b[31m");
    assert_null(strpbrk(verdict.origin, "\n\x1b"));
    est_verdict_unknown(&verdict, EST_REVOCATION_STALE, "it is %s\a", "old");
    assert_int_equal(verdict.status, U);
    assert_int_equal(verdict.revoked_at, 0);
    assert_int_equal(verdict.this_update, 0);
    assert_int_equal(verdict.next_update, 0);
    assert_string_equal(estuary_verdict_reason(&verdict), "");
    assert_string_equal(estuary_verdict_code(&verdict), "revocation.stale");
    assert_memory_equal(verdict.why, "it is old", 9);
    assert_null(strchr(verdict.why, '\a'));
    est_verdict_unknown(&verdict, EST_REVOCATION_STALE, NULL);
    assert_string_equal(verdict.why, "what tells whether the certificate is revoked is past its nextUpdate");
    char long_text[2000];
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    est_verdict_unknown(&verdict, EST_REVOCATION_STALE, "%s", long_text);
    assert_in_range(strlen(verdict.why), 1, sizeof(verdict.why) - 1);
    est_verdict_set_origin(&verdict, long_text);
    assert_in_range(strlen(verdict.origin), 1, sizeof(verdict.origin) - 1);
    (void)est_fail(world.err, EST_OCSP_NONCE, NULL);
    est_verdict_unknown_because(&verdict, world.err);
    assert_string_equal(estuary_verdict_code(&verdict), "ocsp.nonce");
}

static void names(void **state)
{
    (void)state;
    /* RFC 5280 5.3.1; 7 is not used */
    static const char *const reasons[] = {
        "unspecified",   "keyCompromise",        "cACompromise",    "affiliationChanged",
        "superseded",    "cessationOfOperation", "certificateHold", "",
        "removeFromCRL", "privilegeWithdrawn",   "aACompromise",    ""};
    for (size_t i = 0; i < COUNT_OF(reasons); i++)
        assert_string_equal(est_reason_name((int)i), reasons[i]);
    assert_string_equal(est_reason_name(-1), "");
    assert_string_equal(est_reason_name(INT32_MAX), "");
    static const char *const sources[] = {"", "ocsp", "stapled", "crl", "delta", "cache", ""};
    for (size_t i = 0; i < COUNT_OF(sources); i++)
        assert_string_equal(estuary_revocation_source_name((estuary_revocation_source)i), sources[i]);
    assert_string_equal(estuary_revocation_status_name(U), "unknown");
    assert_string_equal(estuary_revocation_status_name(G), "good");
    assert_string_equal(estuary_revocation_status_name(R), "revoked");
    assert_string_equal(estuary_revocation_status_name((estuary_revocation_status)3), "unknown");
    estuary_verdict verdict = verdict_of(R, EST_OK_CODE, 1);
    verdict.evidence = ESTUARY_REVOCATION_DELTA;
    assert_int_equal(estuary_verdict_source(&verdict), ESTUARY_REVOCATION_DELTA);
    verdict.cached = true;
    assert_int_equal(estuary_verdict_source(&verdict), ESTUARY_REVOCATION_CACHE);
    assert_int_equal(estuary_verdict_evidence(&verdict), ESTUARY_REVOCATION_DELTA);
    assert_string_equal(estuary_verdict_code(&verdict), "");
}

/* --- questions ------------------------------------------------------------------------------------------ */

static void who_signed_it(void **state)
{
    (void)state;
    est_question question = {.certificate = world.leaf.cert, .issuer = world.ca.cert};
    assert_ok(est_question_check(&question, world.err), world.err);
    question.issuer = world.twin.cert;
    assert_failed(est_question_check(&question, world.err), world.err, "cert.not-signed-by-issuer");
    question.issuer = world.other.cert;
    assert_failed(est_question_check(&question, world.err), world.err, "cert.not-signed-by-issuer");
    made same_key =
        make_cert(&(recipe){.cn = "Renamed CA", .key = world.ca.key, .constraints = "critical,CA:TRUE"});
    question.issuer = same_key.cert;
    assert_failed(est_question_check(&question, world.err), world.err, "cert.not-signed-by-issuer");
    made broken = make_cert(&(recipe){.cn = "device", .issuer = &world.ca, .broken_signature = true});
    question = (est_question){.certificate = broken.cert, .issuer = world.ca.cert};
    assert_failed(est_question_check(&question, world.err), world.err, "cert.not-signed-by-issuer");
    assert_int_equal(estuary_error_category(world.err), ESTUARY_E_CERTIFICATE);
    free_made(&same_key);
    free_made(&broken);
}

static void dates(void **state)
{
    (void)state;
    static const struct {
        time_t this_update, next_update; /* from NOW; NEVER: 0 */
        int64_t skew, max_age;
        const char *code; /* NULL: fresh */
    } rows[] = {
#define NEVER (-NOW)
        {-60, 60, SKEW, 0, NULL},
        {0, 60, 0, 0, NULL},
        {-60, 0, 0, 0, NULL}, /* nextUpdate is the last moment */
        {-60, -1, 0, 0, "revocation.stale"},
        {1, 60, 0, 0, "revocation.not-yet-valid"},
        {SKEW, 2 * SKEW, SKEW, 0, NULL},
        {SKEW + 1, 2 * SKEW, SKEW, 0, "revocation.not-yet-valid"},
        {-DAY, -SKEW, SKEW, 0, NULL},
        {-DAY, -SKEW - 1, SKEW, 0, "revocation.stale"},
        {-60, -61, SKEW, 0, "revocation.stale"}, /* reversed, by any clock */
        {-60, -60, SKEW, 0, NULL},
        /* 7 days without nextUpdate, as old as it likes with one */
        {-7 * DAY, NEVER, SKEW, 0, NULL},
        {-7 * DAY - 1, NEVER, SKEW, 0, "revocation.too-old"},
        {-3000 * DAY, DAY, SKEW, 0, NULL},
        /* a maximal age holds for both */
        {-3600, DAY, SKEW, 3600, NULL},
        {-3601, DAY, SKEW, 3600, "revocation.too-old"},
        {-3600, NEVER, SKEW, 3600, NULL},
        {-3601, NEVER, SKEW, 3600, "revocation.too-old"},
        {-8 * DAY, NEVER, SKEW, 9 * DAY, NULL},
        /* no thisUpdate at all */
        {NEVER, DAY, SKEW, 0, "revocation.too-old"},
        {NEVER, NEVER, SKEW, 0, "revocation.too-old"},
        {-NOW - 1, DAY, SKEW, 3600, "revocation.too-old"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        est_question question = {.now = NOW, .skew = rows[i].skew, .max_age = rows[i].max_age};
        estuary_verdict verdict = verdict_of(G, EST_OK_CODE, 1);
        bool fresh = est_question_is_fresh(&question, NOW + rows[i].this_update, NOW + rows[i].next_update,
                                           "the CRL", &verdict);
        if (fresh != (rows[i].code == NULL))
            fail_msg("row %zu", i);
        assert_int_equal(verdict.status, fresh ? G : U);
        assert_string_equal(estuary_verdict_code(&verdict), fresh ? "" : rows[i].code);
        if (!fresh)
            assert_non_null(strstr(estuary_verdict_why(&verdict), "the CRL"));
    }
}

/* --- URLs --- */

static void urls_that_are_followed(void **state)
{
    (void)state;
    char host[256];
    static const struct {
        const char *url, *host;
    } rows[] = {
        {"http://crl.example/a.crl", "crl.example"},
        {"HTTP://CRL.example:8080/a?b=c", "CRL.example"},
        {"https://crl.example", "crl.example"},
        {"http://127.0.0.1:8080/", "127.0.0.1"}, /* local, but not link-local */
        {"http://[::1]:8080/", "::1"},
        {"http://169.253.255.255/", "169.253.255.255"},
        {"http://169.255.0.0/", "169.255.0.0"},
        {"http://[fec0::1]/", "fec0::1"},
        {"http://[::ffff:169.253.1.1]/", NULL},
        {"http://crl.example/%20%0a", "crl.example"},
        {"http://169.254.1.1.example/", "169.254.1.1.example"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *refusal = est_http_url_refusal(rows[i].url);
        if (refusal != NULL)
            fail_msg("%s: %s", rows[i].url, refusal);
        assert_true(est_http_url_host(rows[i].url, host, sizeof(host)));
        if (rows[i].host != NULL)
            assert_string_equal(host, rows[i].host);
    }
    assert_true(est_http_url_is_https("https://a/"));
    assert_true(est_http_url_is_https("HTTPS://a/"));
    assert_false(est_http_url_is_https("http://a/https://b/"));
    assert_false(est_http_url_is_https("nonsense"));
    assert_false(est_http_url_host("http://abc/", host, 3));
    assert_true(est_http_url_host("http://abc/", host, 4));
}

static void urls_that_are_not_followed(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "file:///etc/passwd",
        "file://localhost/etc/passwd",
        "FILE:///etc/passwd",
        "ldap://ldap.example/cn=CA?certificateRevocationList",
        "ftp://crl.example/a.crl",
        "gopher://127.0.0.1:25/x",
        "dict://127.0.0.1/",
        "javascript:alert(1)",
        "data:,x",
        "crl.example/a.crl",
        "//crl.example/a.crl",
        "/a.crl",
        "http://",
        "http:///a.crl",
        "http:/crl.example/a.crl",
        "http:crl.example/a.crl",
        "http://user@crl.example/",
        "http://user:secret@crl.example/",
        "http://:secret@crl.example/",
        "http://@crl.example/#x",
        "http://crl.example/a#part",
        "http://crl.example:99999/",
        "http://crl.example:x/",
        "http://[::1/",
        /* bytes that no URL has */
        "http://crl.example/a b",
        " http://crl.example/",
        "http://crl.example/\t",
        "http://crl.example/\r\nHost: other",
        "http://crl.example/\x7f",
        "http://crl.\xc3\xa9xample/",
        ("http://169\xe3\x80\x82"
         "254.1.1/"),
        /* RFC 3927, in every way in which it can be written */
        "http://169.254.0.0/",
        "http://169.254.169.254/latest/meta-data/",
        "https://169.254.255.255/",
        "http://169.254.169.254:80",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://0xA9.0xFE.0xA9.0xFE/",
        "http://0251.0376.0251.0376/",
        "http://025177524776/",
        "http://169.254.43518/",
        "http://169.16689662/",
        "http://169.0xfe.0251.254/",
        "http://169%2e254%2e169%2e254/",
        "http://%31%36%39.254.169.254/",
        "http://169.254.169.254./",
        "http://2852039166./",
        /* RFC 4291 2.5.6, and IPv4 inside */
        "http://[fe80::1]/",
        "http://[FE80::1]:8080/",
        "http://[febf:ffff::1]/",
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://[::1%25lo]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[::FFFF:a9fe:a9fe]/",
        "http://[0:0:0:0:0:ffff:a9fe:a9fe]/",
        "http://[::169.254.169.254]/",
        "http://[64:ff9b::169.254.169.254]/",
        "http://[2002:a9fe:a9fe::1]/",
        "http://[64:ff9b:1::169.254.169.254]/",
        "http://[2001:0:a9fe:a9fe::1]/",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (est_http_url_refusal(rows[i]) == NULL)
            fail_msg("\"%s\" is followed", rows[i]);
    }
}

static void urls_have_a_length(void **state)
{
    (void)state;
    char url[EST_HTTP_URL_MAX + 2];
    memset(url, 'a', sizeof(url));
    memcpy(url, "http://a/", 9);
    url[EST_HTTP_URL_MAX + 1] = '\0';
    assert_non_null(est_http_url_refusal(url));
    url[EST_HTTP_URL_MAX] = '\0';
    assert_null(est_http_url_refusal(url));
    memset(url, 'a', sizeof(url));
    memcpy(url, "http://", 7);
    strncpy(url + 7 + 300, "/", 2);
    assert_non_null(est_http_url_refusal(url)); /* no host's name is so long */
}

static void redirects(void **state)
{
    (void)state;
    static const struct {
        const char *base, *location, *expected;
    } rows[] = {
        {"http://a.example/b/c", "d", "http://a.example/b/d"},
        {"http://a.example/b/c", "/d", "http://a.example/d"},
        {"http://a.example/b/c", "../d", "http://a.example/d"},
        {"http://a.example/b/c", "//x.example/d", "http://x.example/d"},
        {"https://a.example/b", "//x.example/d", "https://x.example/d"},
        {"http://a.example/b", "https://x.example/d", "https://x.example/d"},
        {"http://a.example/b?q", "?r", "http://a.example/b?r"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *next = est_http_url_resolve(rows[i].base, rows[i].location);
        assert_non_null(next);
        assert_string_equal(next, rows[i].expected);
        assert_null(est_http_url_refusal(next));
        est_free(next);
    }
    static const char *const refused[] = {
        "file:///etc/passwd",    "ldap://a/",      "//169.254.169.254/", "http://[fe80::1]/",
        "http://u:p@x.example/", "//u@x.example/", "gopher://a/",        "/d#e",
        "http://2852039166/"};
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        char *next = est_http_url_resolve("http://a.example/b", refused[i]);
        if (next != NULL && est_http_url_refusal(next) == NULL)
            fail_msg("%s becomes %s", refused[i], next);
        est_free(next);
    }
}

/* A name may resolve to anything: what is about to be connected to decides. */
static void sockets(void **state)
{
    (void)state;
    static const struct {
        int family;
        const char *address;
        bool refused;
    } rows[] = {{AF_INET, "169.254.169.254", true},
                {AF_INET, "169.254.0.0", true},
                {AF_INET, "169.253.0.1", false},
                {AF_INET, "127.0.0.1", false},
                {AF_INET6, "fe80::1", true},
                {AF_INET6, "::ffff:169.254.1.1", true},
                {AF_INET6, "febf:ffff::1", true},
                {AF_INET6, "fec0::1", false},
                {AF_INET6, "::169.254.169.254", true},
                {AF_INET6, "::ffff:0:169.254.169.254", true}, /* RFC 2765 2.1 */
                {AF_INET6, "::ffff:0:169.253.169.254", false},
                {AF_INET6, "64:ff9b::a9fe:a9fe", true}, /* RFC 6052 2.1 */
                {AF_INET6, "64:ff9b::a9fd:a9fe", false},
                {AF_INET6, "64:ff9b:1::a9fe:a9fe", true},       /* RFC 8215, with a prefix of 96 bits */
                {AF_INET6, "64:ff9b:1:a9fe:a9:fe00::", true},   /* of 48 */
                {AF_INET6, "64:ff9b:1:a9:fe:a9fe::", true},     /* of 56: its byte 8 is 0 */
                {AF_INET6, "64:ff9b:1:0:a9:fea9:fe00:0", true}, /* of 64 */
                {AF_INET6, "64:ff9b:1:1:2:3:4:5", false},
                {AF_INET6, "64:ff9b:2::a9fe:a9fe", false},
                {AF_INET6, "2002:a9fe:a9fe::1", true}, /* RFC 3056 */
                {AF_INET6, "2002:a9fd:a9fe::1", false},
                {AF_INET6, "2002:102:304::a9fe:a9fe", false},
                {AF_INET6, "2001:0:a9fe:1:8000::1", true},           /* RFC 4380: the server */
                {AF_INET6, "2001:0:102:304:8000:0:5601:5601", true}, /* the client, inverted */
                {AF_INET6, "2001:0:102:304:8000:0:a9fe:a9fe", false},
                {AF_INET6, "2001:db8:a9fe:a9fe::a9fe:a9fe", false},
                {AF_INET6, "2001:db8::5efe:169.254.1.1", true}, /* RFC 5214 */
                {AF_INET6, "2001:db8::200:5efe:169.254.1.1", true},
                {AF_INET6, "2001:db8::5efe:169.253.1.1", false},
                {AF_INET6, "::1", false},
                {AF_INET6, "::ffff:127.0.0.1", false}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        est_http http = {.failure = world.err};
        struct curl_sockaddr address = {.family = rows[i].family, .socktype = SOCK_STREAM};
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
        bool is_v4 = rows[i].family == AF_INET;
        assert_int_equal(
            inet_pton(rows[i].family, rows[i].address, is_v4 ? (void *)&v4.sin_addr : (void *)&v6.sin6_addr),
            1);
        union {
            struct curl_sockaddr address;
            uint8_t room[sizeof(struct curl_sockaddr) + sizeof(struct sockaddr_in6)];
        } whole = {.address = address};
        whole.address.addrlen = is_v4 ? sizeof(v4) : sizeof(v6);
        memcpy((uint8_t *)&whole + offsetof(struct curl_sockaddr, addr), is_v4 ? (void *)&v4 : (void *)&v6,
               whole.address.addrlen);
        estuary_error_clear(world.err);
        curl_socket_t fd = est_http_open_socket(&http, CURLSOCKTYPE_IPCXN, &whole.address);
        if (rows[i].refused) {
            if (fd != CURL_SOCKET_BAD)
                fail_msg("%s is connected to", rows[i].address);
            assert_string_equal(estuary_error_code(world.err), "network.link-local");
        } else if (is_v4) { /* IPv6 need not be there */
            assert_int_not_equal(fd, CURL_SOCKET_BAD);
        }
        if (fd != CURL_SOCKET_BAD)
            assert_int_equal(close(fd), 0);
    }
}

static X509 *with_extension(int nid, const char *value)
{
    X509 *cert = X509_dup(world.leaf.cert);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(cert, extension, -1), 1);
    X509_EXTENSION_free(extension);
    return cert;
}

static void urls_of_responders(void **state)
{
    (void)state;
    est_urls urls;
    X509 *cert = with_extension(
        NID_info_access, "OCSP;URI:ldap://a/,OCSP;URI:http://one.example/,caIssuers;URI:http://no.example/,"
                         "OCSP;URI:http://169.254.169.254/,OCSP;DNS:http://dns.example/,"
                         "OCSP;URI:https://two.example/x,OCSP;URI:http://three.example/");
    assert_ok(est_urls_of_ocsp(cert, 4, &urls, world.err), world.err);
    assert_int_equal(urls.count, 3);
    assert_string_equal(urls.at[0], "http://one.example/");
    assert_string_equal(urls.at[1], "https://two.example/x");
    assert_string_equal(urls.at[2], "http://three.example/");
    est_urls_free(&urls);
    assert_int_equal(urls.count, 0);
    assert_ok(est_urls_of_ocsp(cert, 2, &urls, world.err), world.err);
    assert_int_equal(urls.count, 2);
    est_urls_free(&urls);
    assert_ok(est_urls_of_ocsp(cert, 0, &urls, world.err), world.err);
    assert_int_equal(urls.count, 0);
    est_urls_free(&urls);
    X509_free(cert);
    assert_ok(est_urls_of_ocsp(world.leaf.cert, 4, &urls, world.err), world.err); /* it names none */
    assert_int_equal(urls.count, 0);
    est_urls_free(&urls);
}

/* A zero byte would hide what stands behind it. */
static void urls_with_a_zero_byte(void **state)
{
    (void)state;
    est_urls urls;
    DIST_POINT *dp = DIST_POINT_new();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();
    assert_int_equal(ASN1_STRING_set(text, "http://a.example/\0.evil", 23), 1);
    GENERAL_NAME_set0_value(name, GEN_URI, text);
    dp->distpoint = DIST_POINT_NAME_new();
    dp->distpoint->type = 0;
    dp->distpoint->name.fullname = GENERAL_NAMES_new();
    assert_true(sk_GENERAL_NAME_push(dp->distpoint->name.fullname, name) > 0);
    assert_ok(est_urls_of_dist_point(dp, 4, &urls, world.err), world.err);
    assert_int_equal(urls.count, 0);
    est_urls_free(&urls);
    DIST_POINT_free(dp);
}

static void urls_of_distribution_points(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        size_t max, count;
    } rows[] = {
        {"URI:http://a.example/1.crl", 4, 1},
        {"URI:ldap://a.example/x", 4, 0},
        {"URI:http://a.example/1.crl", 0, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        est_urls urls;
        X509 *cert = with_extension(NID_crl_distribution_points, rows[i].value);
        CRL_DIST_POINTS *points = X509_get_ext_d2i(cert, NID_crl_distribution_points, NULL, NULL);
        assert_int_equal(sk_DIST_POINT_num(points), 1);
        assert_ok(est_urls_of_dist_point(sk_DIST_POINT_value(points, 0), rows[i].max, &urls, world.err),
                  world.err);
        assert_int_equal(urls.count, rows[i].count);
        est_urls_free(&urls);
        CRL_DIST_POINTS_free(points);
        X509_free(cert);
    }
    est_urls urls;
    DIST_POINT *empty = DIST_POINT_new(); /* only a cRLIssuer, or nothing */
    assert_ok(est_urls_of_dist_point(empty, 4, &urls, world.err), world.err);
    assert_int_equal(urls.count, 0);
    est_urls_free(&urls);
    assert_ok(est_urls_of_dist_point(NULL, 4, &urls, world.err), world.err);
    assert_int_equal(urls.count, 0);
    est_urls_free(&urls);
    DIST_POINT_free(empty);
}

/* --- proxies (T7) --- */

static void proxies(void **state)
{
    (void)state;
    static const struct {
        const char *url, *user, *password;
        bool ok;
    } rows[] = {
        {"http://proxy.example:3128", NULL, NULL, true},
        {"socks5://proxy.example:1080", "u", "p", true},
        {"socks5h://10.0.0.1:65535", NULL, NULL, true},
        {"http://[::1]:3128", NULL, NULL, true},
        {"http://proxy.example", NULL, NULL, false},
        {"http://proxy.example:", NULL, NULL, false},
        {"http://proxy.example:0", NULL, NULL, false},
        {"http://proxy.example:65536", NULL, NULL, false},
        {"http://proxy.example:1/", NULL, NULL, false},
        {"http://:3128", NULL, NULL, false},
        {"http://", NULL, NULL, false},
        {"", NULL, NULL, false},
        {"https://proxy.example:1", NULL, NULL, false},
        {"HTTP://proxy.example:1", NULL, NULL, false},
        {"socks4://proxy.example:1", NULL, NULL, false},
        {"file:///x:1", NULL, NULL, false},
        {"http://u:p@proxy.example:1", NULL, NULL, false},
        {"http://proxy.example\r\n:1", NULL, NULL, false},
        {"http://proxy.example:1", "a:b", NULL, false},
        {"http://proxy.example:1", "", NULL, false},
        {"http://proxy.example:1", "a\nb", NULL, false},
        {"http://proxy.example:1", "a", "p\r\nX: y", false},
        {"http://proxy.example:1", "a", "p:q", true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        estuary_secret *password = NULL;
        if (rows[i].password != NULL)
            assert_ok(estuary_secret_new(rows[i].password, strlen(rows[i].password), &password, world.err),
                      world.err);
        estuary_error_clear(world.err);
        estuary_status status = est_http_check_proxy(rows[i].url, rows[i].user, password, world.err);
        if ((status == ESTUARY_OK) != rows[i].ok)
            fail_msg("row %zu: %s", i, rows[i].url);
        if (!rows[i].ok) {
            assert_string_equal(estuary_error_code(world.err), "usage.proxy");
            assert_null(strstr(estuary_error_message(world.err), "u:p"));
        }
        estuary_secret_free(password);
    }
}

/* --- the checker ---------------------------------------------------------------------------------------- */

static estuary_revocation *new_checker(void)
{
    estuary_revocation *checker = NULL;
    assert_ok(estuary_revocation_new(&checker, world.err), world.err);
    return checker;
}

static void limits_have_ranges(void **state)
{
    (void)state;
    static const struct {
        estuary_revocation_limit which;
        int64_t preset;
        int64_t good[2], bad[2];
    } rows[] = {
        {ESTUARY_REVOCATION_OCSP_TIMEOUT_MS, 10000, {1, 60000}, {0, INT64_MAX}},
        {ESTUARY_REVOCATION_CRL_TIMEOUT_MS, 60000, {1, 600000}, {0, INT64_MAX}},
        {ESTUARY_REVOCATION_OCSP_BYTES, 65536, {64, 1048576}, {-1, 1048577}},
        {ESTUARY_REVOCATION_CRL_BYTES, 536870912, {64, 1073741824}, {0, INT64_MAX}},
        {ESTUARY_REVOCATION_CRL_CACHE_SECONDS, 3600, {0, 86400}, {-1, INT64_MAX}},
        {ESTUARY_REVOCATION_CRL_CACHE_ENTRIES, 100, {1, 1000}, {0, INT64_MAX}},
        {ESTUARY_REVOCATION_OCSP_CACHE_ENTRIES, 1000, {1, 2000}, {0, INT64_MAX}},
        {ESTUARY_REVOCATION_SKEW_SECONDS, 300, {0, 3600}, {-1, INT64_MAX}},
        {ESTUARY_REVOCATION_MAX_AGE_SECONDS, 0, {0, 3600}, {-1, INT64_MAX}},
        {ESTUARY_REVOCATION_URLS, 4, {1, 10}, {0, INT64_MAX}},
        {ESTUARY_REVOCATION_REDIRECTS, 3, {0, 5}, {-1, INT64_MAX}},
        {ESTUARY_REVOCATION_INDEX_BYTES, 16777216, {1048576, 33554432}, {0, INT64_MAX}},
        {ESTUARY_REVOCATION_REFRESH_AHEAD_SECONDS, 600, {0, 3600}, {-1, INT64_MAX}},
    };
    assert_int_equal(COUNT_OF(rows), ESTUARY_REVOCATION_LIMIT_COUNT);
    estuary_revocation *checker = new_checker();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(estuary_revocation_get_limit(checker, rows[i].which), rows[i].preset);
        for (size_t k = 0; k < 2; k++) {
            assert_ok(estuary_revocation_set_limit(checker, rows[i].which, rows[i].good[k], world.err),
                      world.err);
            assert_int_equal(estuary_revocation_get_limit(checker, rows[i].which), rows[i].good[k]);
        }
        for (size_t k = 0; k < 2; k++)
            assert_failed(estuary_revocation_set_limit(checker, rows[i].which, rows[i].bad[k], world.err),
                          world.err, "usage.limit");
        assert_int_equal(estuary_revocation_get_limit(checker, rows[i].which), rows[i].good[1]);
    }
    assert_failed(estuary_revocation_set_limit(checker, ESTUARY_REVOCATION_LIMIT_COUNT, 1, world.err),
                  world.err, "usage.limit");
    assert_failed(estuary_revocation_set_limit(checker, (estuary_revocation_limit)-1, 1, world.err),
                  world.err, "usage.limit");
    assert_int_equal(estuary_revocation_get_limit(checker, ESTUARY_REVOCATION_LIMIT_COUNT), 0);
    estuary_revocation_free(checker);
}

static void settings_are_checked(void **state)
{
    (void)state;
    estuary_revocation *checker = new_checker();
    estuary_error *err = world.err;
    assert_ptr_equal(estuary_revocation_up_ref(checker), checker);
    estuary_revocation_free(checker);
    assert_null(estuary_revocation_up_ref(NULL));
    estuary_revocation_free(NULL);
    assert_int_equal(estuary_revocation_get_policy(checker), ESTUARY_REVOCATION_SOFT);
    assert_int_equal(estuary_revocation_set_methods(checker, 0, false, err), ESTUARY_E_USAGE);
    assert_int_equal(estuary_revocation_set_methods(checker, 4, false, err), ESTUARY_E_USAGE);
    assert_int_equal(estuary_revocation_set_methods(checker, 7, false, err), ESTUARY_E_USAGE);
    assert_ok(estuary_revocation_set_methods(checker, ESTUARY_REVOCATION_BY_CRL, true, err), err);
    assert_int_equal(estuary_revocation_set_policy(checker, (estuary_revocation_policy)2, err),
                     ESTUARY_E_USAGE);
    assert_int_equal(estuary_revocation_get_policy(checker), ESTUARY_REVOCATION_SOFT);
    assert_failed(estuary_revocation_set_time(checker, -1, err), err, "usage.time");
    assert_failed(estuary_revocation_set_proxy(checker, "http://a", NULL, NULL, err), err, "usage.proxy");
    assert_ok(estuary_revocation_set_proxy(checker, "http://a.example:1", "u", NULL, err), err);
    assert_ok(estuary_revocation_set_proxy(checker, NULL, NULL, NULL, err), err);
    assert_int_equal(estuary_revocation_add_crl(checker, "ldap://a.example/x", err), ESTUARY_E_USAGE);
    assert_int_equal(estuary_revocation_add_crl(checker, "http://169.254.169.254/x", err), ESTUARY_E_USAGE);
    assert_ok(estuary_revocation_add_crl(checker, "/nowhere.crl", err), err);
    assert_int_equal(estuary_revocation_add_ocsp_response(checker, (const uint8_t *)"", 0, err),
                     ESTUARY_E_USAGE);
    assert_int_equal(
        estuary_revocation_add_ocsp_response(checker, (const uint8_t *)"", EST_OCSP_BYTES_MAX + 1, err),
        ESTUARY_E_USAGE);
    estuary_revocation_free(checker);
}

static void cache_folders(void **state)
{
    (void)state;
    char folder[] = "/tmp/estuary-test-XXXXXX", inside[64], file[64];
    struct stat info;
    estuary_revocation *checker = new_checker();
    estuary_error *err = world.err;
    assert_non_null(mkdtemp(folder));
    snprintf(inside, sizeof(inside), "%s/new", folder);
    snprintf(file, sizeof(file), "%s/file", folder);
    assert_ok(estuary_revocation_set_cache(checker, inside, err), err);
    assert_int_equal(stat(inside, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
    assert_ok(estuary_revocation_set_cache(checker, NULL, err), err);
    assert_int_equal(chmod(inside, 0720), 0);
    assert_failed(estuary_revocation_set_cache(checker, inside, err), err, "config.cache");
    assert_int_equal(chmod(inside, 0702), 0);
    assert_failed(estuary_revocation_set_cache(checker, inside, err), err, "config.cache");
    int fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    assert_failed(estuary_revocation_set_cache(checker, file, err), err, "config.cache");
    assert_failed(estuary_revocation_set_cache(checker, "/nowhere/at/all", err), err, "config.cache");
    if (geteuid() == 0) {
        assert_int_equal(chmod(inside, 0700), 0);
        assert_int_equal(chown(inside, 12345, 0), 0);
        assert_failed(estuary_revocation_set_cache(checker, inside, err), err, "config.cache");
    }
    estuary_revocation_free(checker);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rmdir(inside), 0);
    assert_int_equal(rmdir(folder), 0);
}

#define IN_USE(call) assert_failed(call, err, "usage.checker-in-use")

static void nothing_is_set_after_the_first_check(void **state)
{
    (void)state;
    estuary_error *err = world.err;
    estuary_verdict *verdict = NULL;
    estuary_revocation *checker = new_checker();
    assert_ok(estuary_revocation_set_offline(checker, true, err), err);
    assert_ok(estuary_revocation_set_policy(checker, ESTUARY_REVOCATION_HARD, err), err);
    assert_ok(estuary_revocation_check(checker, world.leaf.cert, world.ca.cert, &verdict, err), err);
    assert_int_equal(estuary_verdict_status(verdict), U);
    assert_string_equal(estuary_verdict_code(verdict), "revocation.offline");
    assert_failed(estuary_revocation_decide(checker, verdict, err), err, "revocation.unknown");
    estuary_verdict_free(verdict);
    IN_USE(estuary_revocation_set_methods(checker, ESTUARY_REVOCATION_BY_CRL, false, err));
    IN_USE(estuary_revocation_set_policy(checker, ESTUARY_REVOCATION_SOFT, err));
    IN_USE(estuary_revocation_set_leaf_only(checker, true, err));
    IN_USE(estuary_revocation_set_limit(checker, ESTUARY_REVOCATION_URLS, 1, err));
    IN_USE(estuary_revocation_require_nonce(checker, true, err));
    IN_USE(estuary_revocation_set_proxy(checker, NULL, NULL, NULL, err));
    IN_USE(estuary_revocation_set_cache(checker, NULL, err));
    IN_USE(estuary_revocation_set_offline(checker, false, err));
    IN_USE(estuary_revocation_set_log(checker, NULL, err));
    IN_USE(estuary_revocation_set_metrics(checker, NULL, err));
    IN_USE(estuary_revocation_set_time(checker, 1, err));
    IN_USE(estuary_revocation_set_anchors(checker, NULL, err));
    IN_USE(estuary_revocation_add_certs(checker, NULL, err));
    IN_USE(estuary_revocation_add_crl(checker, "/x", err));
    IN_USE(estuary_revocation_add_ocsp_response(checker, (const uint8_t *)"x", 1, err));
    assert_int_equal(estuary_revocation_get_policy(checker), ESTUARY_REVOCATION_HARD);
    estuary_revocation_free(checker);
}

static void what_cannot_be_checked(void **state)
{
    (void)state;
    estuary_error *err = world.err;
    estuary_verdict *verdict = (estuary_verdict *)(void *)&world;
    estuary_revocation *checker = new_checker();
    estuary_metrics *metrics = NULL;
    size_t index = 0;
    assert_ok(estuary_metrics_new(&metrics, err), err);
    assert_ok(estuary_revocation_set_metrics(checker, metrics, err), err);
    assert_ok(estuary_revocation_set_offline(checker, true, err), err);
    assert_failed(estuary_revocation_check(checker, world.leaf.cert, world.twin.cert, &verdict, err), err,
                  "cert.not-signed-by-issuer");
    assert_null(verdict);
    assert_int_equal(estuary_metrics_get(metrics, "revocation_checks_total"), 0);
    STACK_OF(X509) *chain = make_stack(world.leaf.cert, NULL);
    assert_int_equal(estuary_revocation_check_chain(checker, chain, &verdict, &index, err), ESTUARY_E_USAGE);
    assert_int_equal(estuary_revocation_check_chain(checker, NULL, &verdict, &index, err), ESTUARY_E_USAGE);
    sk_X509_pop_free(chain, X509_free);
    /* the whole chain is looked at: one link that does not hold, and there is no verdict */
    chain = make_stack(world.leaf.cert, world.ca.cert, world.other.cert, NULL);
    assert_failed(estuary_revocation_check_chain(checker, chain, &verdict, &index, err), err,
                  "cert.not-signed-by-issuer");
    assert_null(verdict);
    sk_X509_pop_free(chain, X509_free);
    estuary_revocation_free(checker);
    estuary_metrics_free(metrics);
}

static void decisions(void **state)
{
    (void)state;
    estuary_error *err = world.err;
    for (int hard = 0; hard < 2; hard++) {
        estuary_revocation *checker = new_checker();
        estuary_verdict zero = {0}, good = verdict_of(G, EST_OK_CODE, 1);
        estuary_verdict revoked = verdict_of(R, EST_OK_CODE, 1),
                        nonsense = {.status = (estuary_revocation_status)7};
        const estuary_verdict *unknowns[] = {NULL, &zero, &nonsense};
        assert_ok(estuary_revocation_set_policy(
                      checker, hard != 0 ? ESTUARY_REVOCATION_HARD : ESTUARY_REVOCATION_SOFT, err),
                  err);
        assert_ok(estuary_revocation_decide(checker, &good, err), err);
        revoked.revoked_at = 1700000000;
        revoked.reason = 1;
        assert_failed(estuary_revocation_decide(checker, &revoked, err), err, "revoked.revoked");
        assert_non_null(strstr(estuary_error_message(err), "2023-11-14T22:13:20Z"));
        assert_non_null(strstr(estuary_error_message(err), "keyCompromise"));
        assert_int_equal(estuary_revocation_decide(checker, &revoked, NULL), ESTUARY_E_REVOKED);
        for (size_t i = 0; i < COUNT_OF(unknowns); i++) {
            estuary_error_clear(err);
            if (hard != 0)
                assert_failed(estuary_revocation_decide(checker, unknowns[i], err), err,
                              "revocation.unknown");
            else
                assert_ok(estuary_revocation_decide(checker, unknowns[i], err), err);
        }
        estuary_revocation_free(checker);
    }
}

/* 1970 is a time like any other, and not "now": a checker without one judges by the clock. */
static void the_time_zero(void **state)
{
    (void)state;
    estuary_error *err = world.err;
    estuary_revocation *checker = new_checker();
    assert_true(est_checker_caches(checker));
    assert_failed(estuary_revocation_set_time(checker, -1, err), err, "usage.time");
    assert_true(est_checker_caches(checker));
    assert_ok(estuary_revocation_set_time(checker, 0, err), err);
    assert_false(est_checker_caches(checker)); /* what is kept was judged by the clock */
    estuary_revocation_free(checker);
}

/* --- Prometheus (R7) --- */

static void prometheus(void **state)
{
    (void)state;
    estuary_metrics *metrics = NULL;
    char *text = NULL;
    assert_ok(estuary_metrics_new(&metrics, world.err), world.err);
    assert_ok(estuary_metrics_to_prometheus(metrics, &text, world.err), world.err);
    assert_string_equal(text, "");
    OPENSSL_free(text);
    est_count_add(metrics, "revocation_crl_bytes", UINT64_C(12345678901));
    est_count_add(metrics, "revocation_check_duration_ms_sum", 1007);
    est_count(metrics, "revocation_check_duration_count");
    est_count_add(metrics, "x_ms_sum", 59);
    est_count_add(metrics, "_ms_sum", 5);
    est_count_add(metrics, "nothing", 0);
    est_count_add(NULL, "nothing", 1);
    assert_ok(estuary_metrics_to_prometheus(metrics, &text, world.err), world.err);
    assert_string_equal(text, "_ms_sum 5\n"
                              "nothing 0\n"
                              "revocation_check_duration_count 1\n"
                              "revocation_check_duration_seconds_sum 1.007\n"
                              "revocation_crl_bytes 12345678901\n"
                              "x_seconds_sum 0.059\n");
    OPENSSL_free(text);
    estuary_metrics_free(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_piece_of_evidence),
        cmocka_unit_test(a_new_verdict_is_unknown),
        cmocka_unit_test(unknown_forgets),
        cmocka_unit_test(names),
        cmocka_unit_test(who_signed_it),
        cmocka_unit_test(dates),
        cmocka_unit_test(urls_that_are_followed),
        cmocka_unit_test(urls_that_are_not_followed),
        cmocka_unit_test(urls_have_a_length),
        cmocka_unit_test(redirects),
        cmocka_unit_test(sockets),
        cmocka_unit_test(urls_of_responders),
        cmocka_unit_test(urls_with_a_zero_byte),
        cmocka_unit_test(urls_of_distribution_points),
        cmocka_unit_test(proxies),
        cmocka_unit_test(limits_have_ranges),
        cmocka_unit_test(settings_are_checked),
        cmocka_unit_test(cache_folders),
        cmocka_unit_test(nothing_is_set_after_the_first_check),
        cmocka_unit_test(what_cannot_be_checked),
        cmocka_unit_test(decisions),
        cmocka_unit_test(the_time_zero),
        cmocka_unit_test(prometheus),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
