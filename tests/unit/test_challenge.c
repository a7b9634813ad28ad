/* Which Digest challenges can be answered (T6, RFC 7616, RFC 9110 11.6.1). */
#include "http/challenge.h"
#include "support.h"

#include <string.h>

typedef struct row {
    const char *first, *second; /* headers; NULL: none */
    const char *code;
    bool basic, digest, stale;
} row;

static const row rows[] = {
    {"Basic realm=\"est\"", NULL, "", true, false, false},
    {"Digest realm=\"est\", nonce=\"n\", qop=\"auth\"", NULL, "", false, true, false},
    {"Digest realm=\"est\", nonce=\"n\"", NULL, "", false, true, false}, /* RFC 2069's form */
    {"digest realm=est, QOP=auth, Algorithm=sha-256", NULL, "", false, true, false},
    {"Digest qop=\"auth-int,auth\", algorithm=MD5", NULL, "", false, true, false},
    {"Digest qop=\"auth-int\", algorithm=MD5", NULL, "auth.digest-auth-int", false, true, false},
    {"Digest qop=auth-int", "Basic realm=\"est\"", "auth.digest-auth-int", true, true, false},
    {"Digest qop=\"\"", NULL, "auth.digest-auth-int", false, true, false},
    {"Digest qop=\"auth\", algorithm=SHA-512-256", NULL, "auth.digest-algorithm", false, true, false},
    {"Digest qop=\"auth\", algorithm=\"\"", NULL, "auth.digest-algorithm", false, true, false},
    {"Digest qop=\"auth\", algorithm=SHA-256-sess", NULL, "", false, true, false},
    {"Digest qop=\"auth\", stale=TRUE", NULL, "", false, true, true},
    /* the first one counts (RFC 7616 3.7), whatever follows it */
    {"Digest qop=\"auth\", algorithm=SHA-256", "Digest qop=\"auth-int\", algorithm=X", "", false, true,
     false},
    {"Basic realm=\"a, Digest qop=auth-int\", Digest qop=auth", NULL, "", true, true, false},
    {"Negotiate abc==, Digest realm=\"a\\\"b, qop=auth-int\" , qop = \"auth\"", NULL, "", false, true, false},
    {"Hobgoblin qop=\"auth-int\", stale=true", NULL, "", false, false, false},
    {"Digest realm=\"open, qop=auth-int", NULL, "", false, true, false},
    {"", NULL, "", false, false, false},
    {"=,;\"\\", NULL, "", false, false, false},
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
        if (strcmp(estuary_error_code(err), rows[i].code) != 0 || all.basic != rows[i].basic ||
            all.digest != rows[i].digest || all.stale != rows[i].stale)
            fail_msg("%s: %s, basic %d, digest %d, stale %d", rows[i].first, estuary_error_code(err),
                     all.basic, all.digest, all.stale);
        assert_int_equal(status, rows[i].code[0] == '\0' ? ESTUARY_OK : ESTUARY_E_AUTH);
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
    assert_true(all.digest && all.qop_given && !all.qop_auth && all.algorithm_known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(challenges), cmocka_unit_test(long_values_are_cut)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
