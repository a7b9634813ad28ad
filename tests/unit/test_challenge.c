/* Which Digest challenges can be answered (T6, RFC 7616, RFC 9110 11.6.1). */
#include "http/challenge.h"
#include "support.h"

#include <string.h>

typedef struct row {
    const char *first, *second; /* headers; NULL: none */
    const char *code;
    bool basic, digest, stale;
    const char *better; /* the realm of the challenge we answer ourselves; NULL: curl's choice will do */
} row;

static const row rows[] = {
    {"Basic realm=\"est\"", NULL, "", true, false, false, NULL},
    {"Digest realm=\"est\", nonce=\"n\", qop=\"auth\"", NULL, "", false, true, false, NULL},
    {"Digest realm=\"est\", nonce=\"n\"", NULL, "", false, true, false, NULL}, /* RFC 2069's form */
    {"digest realm=est, QOP=auth, Algorithm=sha-256", NULL, "", false, true, false, NULL},
    {"Digest qop=\"auth-int,auth\", algorithm=MD5", NULL, "", false, true, false, NULL},
    {"Digest qop=\"auth-int\", algorithm=MD5", NULL, "auth.digest-auth-int", false, true, false, NULL},
    {"Digest qop=auth-int", "Basic realm=\"est\"", "auth.digest-auth-int", true, true, false, NULL},
    {"Digest qop=\"\"", NULL, "auth.digest-auth-int", false, true, false, NULL},
    {"Digest qop=\"auth\", algorithm=SHA-512-256", NULL, "auth.digest-algorithm", false, true, false, NULL},
    {"Digest qop=\"auth\", algorithm=\"\"", NULL, "auth.digest-algorithm", false, true, false, NULL},
    {"Digest qop=\"auth\", algorithm=SHA-256-sess", NULL, "", false, true, false, NULL},
    {"Digest qop=\"auth\", stale=TRUE", NULL, "", false, true, true, NULL},
    /* the first one counts (RFC 7616 3.7), when no better one follows */
    {"Digest qop=\"auth\", algorithm=SHA-256", "Digest qop=\"auth-int\", algorithm=X", "", false, true, false,
     NULL},
    {"Digest realm=\"a\", nonce=\"1\"", "Digest realm=\"b\", algorithm=MD5", "", false, true, false, NULL},
    {"Digest realm=\"a\", algorithm=MD5", "Digest realm=\"b\", algorithm=SHA-256, qop=auth-int", "", false,
     true, false, NULL},
    {"Digest realm=\"a\", algorithm=MD5", "Digest realm=\"b\", algorithm=SHA-512-256", "", false, true, false,
     NULL},
    {"Digest realm=\"a\", algorithm=SHA-256", "Digest realm=\"b\", algorithm=SHA-256-sess", "", false, true,
     false, NULL},
    /* T6: a stronger one is answered wherever it stands */
    {"Digest realm=\"a\", algorithm=MD5", "Digest realm=\"b\", algorithm=SHA-256", "", false, true, false,
     "b"},
    {"Digest realm=\"a\"", "Digest realm=\"b\", algorithm=sha-256-SESS, qop=\"auth\"", "", false, true, false,
     "b"},
    {"Digest realm=\"a\", qop=auth, Basic realm=\"c\", Digest realm=\"b\", algorithm=SHA-256", NULL, "", true,
     true, false, "b"},
    {"Digest realm=\"a\", Digest realm=\"b\", algorithm=SHA-256", "Digest realm=\"c\", algorithm=SHA-256", "",
     false, true, false, "b"},
    {"Digest realm=\"a\", algorithm=SHA-512-256", "Digest realm=\"b\"", "", false, true, false, "b"},
    {"Digest realm=\"a\", algorithm=SHA-512-256", "Digest realm=\"b\", Digest realm=\"c\", algorithm=SHA-256",
     "", false, true, false, "c"},
    {"Digest realm=\"a\", algorithm=SHA-256, qop=auth-int", "Digest realm=\"b\", algorithm=SHA-256", "",
     false, true, false, "b"},
    {"Basic realm=\"a, Digest qop=auth-int\", Digest qop=auth", NULL, "", true, true, false, NULL},
    {"Negotiate abc==, Digest realm=\"a\\\"b, qop=auth-int\" , qop = \"auth\"", NULL, "", false, true, false,
     NULL},
    {"Hobgoblin qop=\"auth-int\", stale=true", NULL, "", false, false, false, NULL},
    {"Digest realm=\"open, qop=auth-int", NULL, "", false, true, false, NULL},
    {"", NULL, "", false, false, false, NULL},
    {"=,;\"\\", NULL, "", false, false, false, NULL},
};

static void challenges(void **state)
{
    (void)state;
    estuary_error *err = estuary_error_new();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        est_challenges all = {0};
        estuary_error_clear(err);
        est_challenges_read(&all, rows[i].first);
        if (rows[i].second != NULL)
            est_challenges_read(&all, rows[i].second);
        estuary_status status = est_challenges_judge(&all, err);
        char realm[16] = "";
        if (all.better != NULL)
            assert_true(est_challenge_parameter(all.better, "REALM", realm, sizeof(realm)));
        assert_string_equal(realm, rows[i].better == NULL ? "" : rows[i].better);
        if (strcmp(estuary_error_code(err), rows[i].code) != 0 || all.basic != rows[i].basic ||
            all.digest != rows[i].digest || all.first.stale != rows[i].stale)
            fail_msg("%s: %s, basic %d, digest %d, stale %d", rows[i].first, estuary_error_code(err),
                     all.basic, all.digest, all.first.stale);
        assert_int_equal(status, rows[i].code[0] == '\0' ? ESTUARY_OK : ESTUARY_E_AUTH);
        est_challenges_clear(&all);
    }
    estuary_error_free(err);
}

static void long_values_are_cut(void **state)
{
    (void)state;
    char text[9000] = "Digest qop=\"";
    est_challenges all = {0};
    memset(text + strlen(text), 'a', 8000);
    memcpy(text + 8000, "\", algorithm=MD5", 17);
    est_challenges_read(&all, text);
    assert_true(all.digest && all.first.qop_given && !all.first.qop_auth && all.first.algorithm_known);
    est_challenges_clear(&all);
    char realm[8];
    assert_false(est_challenge_parameter("realm=\"12345678\"", "realm", realm, sizeof(realm)));
    assert_true(est_challenge_parameter("realm=\"1234567\"", "realm", realm, sizeof(realm)));
    assert_false(est_challenge_parameter("nonce=1, Basic realm=\"2\"", "realm", realm, sizeof(realm)));
}

#define NONCE  "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
#define OPAQUE "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
#define CNONCE "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"

/* RFC 7616 3.9.1, both algorithms; the rest with Python's hashlib */
static const struct {
    const char *challenge, *user, *password, *url, *answer;
} answers[] = {
    {"realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=SHA-256, nonce=\"" NONCE
     "\", opaque=\"" OPAQUE "\"",
     "Mufasa", "Circle of Life", "https://www.example.org/dir/index.html",
     "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", nonce=\"" NONCE
     "\", uri=\"/dir/index.html\", opaque=\"" OPAQUE "\", algorithm=SHA-256, cnonce=\"" CNONCE
     "\", qop=auth, nc=00000001, "
     "response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\""},
    {"realm=\"http-auth@example.org\", qop=auth, algorithm=MD5, nonce=\"" NONCE "\", Basic realm=\"x\"",
     "Mufasa", "Circle of Life", "https://www.example.org/dir/index.html",
     "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", nonce=\"" NONCE
     "\", uri=\"/dir/index.html\", algorithm=MD5, cnonce=\"" CNONCE
     "\", qop=auth, nc=00000001, response=\"8ca523f5e9506fed4657c9700eebdbec\""},
    {"realm=\"r\\\"s\", nonce=n", "a\\b", "p", "https://h:1",
     "Digest username=\"a\\\\b\", realm=\"r\\\"s\", nonce=\"n\", uri=\"/\", "
     "response=\"a8d5a43ca97788ec1e0fbdcde760da22\""},
    {"realm=\"r\", nonce=\"n\", algorithm=SHA-256-sess, qop=auth", "u", "p", "https://h:1/x?y",
     "Digest username=\"u\", realm=\"r\", nonce=\"n\", uri=\"/x?y\", algorithm=SHA-256-sess, cnonce=\"" CNONCE
     "\", qop=auth, nc=00000001, "
     "response=\"3cbaea6a660783fa7607fb2ac4abf32b6d3cc064976ca00e3480a65693679423\""},
};

static void answers_are_computed(void **state)
{
    (void)state;
    char *answer = NULL;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        const est_digest_request request = {answers[i].user, answers[i].password, "GET", answers[i].url,
                                            CNONCE};
        assert_int_equal(est_digest_answer(answers[i].challenge, &request, &answer, NULL), ESTUARY_OK);
        assert_string_equal(answer, answers[i].answer);
        est_free(answer);
    }
    static const char *const useless[] = {"", "realm=\"r\"", "nonce=\"n\"", "Basic realm=\"r\", nonce=\"n\""};
    const est_digest_request request = {"u", "p", "GET", "https://h:1/", CNONCE};
    estuary_error *err = estuary_error_new();
    for (size_t i = 0; i < sizeof(useless) / sizeof(useless[0]); i++) {
        assert_int_equal(est_digest_answer(useless[i], &request, &answer, err), ESTUARY_E_AUTH);
        assert_string_equal(estuary_error_code(err), "auth.refused");
        assert_null(answer);
    }
    estuary_error_free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(challenges), cmocka_unit_test(long_values_are_cut),
                                       cmocka_unit_test(answers_are_computed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
