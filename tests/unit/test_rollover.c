/* Root rollover (E1, RFC 4210 4.4, RFC 7030 4.1.3): which new root an old one really vouches for. */
#include "cert/cert.h"
#include "make_certs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define DAY 86400

/* Every certificate that a table row may put into an answer, by its letter. */
enum {
    OLD,          /* O: OldWithOld */
    NEW,          /* N: NewWithNew */
    NEW_WITH_OLD, /* v: for "vouches" */
    OLD_WITH_NEW, /* w */
    SUB,          /* s: a CA below the new root */
    THIRD,        /* T: the root after the new one */
    THIRD_BY_NEW, /* t: its NewWithOld, signed by the new root */
    STRANGER,     /* X: same name, other key, nobody's friend */
    BY_STRANGER,  /* x: the stranger's key, signed by the stranger's own second key */
    BY_CLIENT,    /* c: the stranger's key, signed by a client certificate of the old root */
    BY_SUB,       /* b: the stranger's key, signed by a CA below the old root that took the root's name */
    NOT_CA,       /* n: the stranger's key, signed by the old root, but no CA */
    NO_CERT_SIGN, /* k: the same, a CA that may not sign certificates */
    RENAMED,      /* r: the stranger's key under the stranger's other name, signed by the old root */
    RENAMED_ROOT, /* R: that name's root */
    WEAK,         /* 1: the stranger's key, signed by the old root with SHA-1 */
    BROKEN,       /* z: the stranger's key, signature damaged */
    LATE,         /* l: the stranger's key, signed by the old root, expired */
    EARLY,        /* e: the same, not valid yet */
    OTHER_KEY,    /* y: signed by the old root, for a key that no root in the answer has */
    EXPIRED,      /* E: an old root that has expired */
    BY_EXPIRED,   /* d: the stranger's key, signed by it */
    DEAD_NEW,     /* D: a new root that has expired itself */
    DEAD_BY_OLD,  /* q: the old root's word for it */
    LEAF,         /* f: a client certificate of the old root */
    COUNT
};
static const char letters[] = "ONvwsTtXxcbnkrR1zleyEdDqf";
static made all[COUNT];
static made client, sub_old, unknown_key;

static made signed_with(const made *subject, const made *issuer, recipe how)
{
    how.cn = how.cn == NULL ? "root" : how.cn;
    how.issuer = issuer;
    how.key = subject->key;
    if (how.constraints == NULL)
        how.constraints = "critical,CA:TRUE";
    if (how.usage == NULL)
        how.usage = "critical,keyCertSign,cRLSign";
    return make_cert(&how);
}

static int set_up(void **state)
{
    (void)state;
    all[OLD] = make_cert(&(recipe){.cn = "root",
                                   .constraints = "critical,CA:TRUE",
                                   .usage = "keyCertSign",
                                   .from = -900 * DAY,
                                   .to = 100 * DAY});
    all[NEW] = make_ca("root", NULL);
    all[THIRD] = make_ca("root", NULL);
    all[STRANGER] = make_ca("root", NULL);
    all[RENAMED_ROOT] = signed_with(&all[STRANGER], NULL, (recipe){.cn = "renamed"});
    all[EXPIRED] = make_cert(&(recipe){.cn = "root",
                                       .constraints = "critical,CA:TRUE",
                                       .usage = "keyCertSign",
                                       .from = -900 * DAY,
                                       .to = -DAY});
    all[DEAD_NEW] = make_cert(&(recipe){.cn = "root",
                                        .constraints = "critical,CA:TRUE",
                                        .usage = "keyCertSign",
                                        .from = -900 * DAY,
                                        .to = -DAY});
    client = make_client("root", &all[OLD]);
    all[LEAF] = make_client("device", &all[OLD]);
    sub_old = make_cert(&(recipe){
        .cn = "root", .issuer = &all[OLD], .constraints = "critical,CA:TRUE", .usage = "keyCertSign"});
    unknown_key = make_ca("root", NULL);
    all[NEW_WITH_OLD] = signed_with(&all[NEW], &all[OLD], (recipe){0});
    all[OLD_WITH_NEW] = signed_with(&all[OLD], &all[NEW], (recipe){0});
    all[SUB] = make_ca("sub", &all[NEW]);
    all[THIRD_BY_NEW] = signed_with(&all[THIRD], &all[NEW], (recipe){0});
    all[BY_STRANGER] = signed_with(&all[STRANGER], &unknown_key, (recipe){0});
    all[BY_CLIENT] = signed_with(&all[STRANGER], &client, (recipe){0});
    all[BY_SUB] = signed_with(&all[STRANGER], &sub_old, (recipe){0});
    all[NOT_CA] = signed_with(&all[STRANGER], &all[OLD], (recipe){.constraints = "CA:FALSE"});
    all[NO_CERT_SIGN] =
        signed_with(&all[STRANGER], &all[OLD], (recipe){.usage = "critical,digitalSignature"});
    all[RENAMED] = signed_with(&all[STRANGER], &all[OLD], (recipe){.cn = "renamed"});
    all[WEAK] = signed_with(&all[STRANGER], &all[OLD], (recipe){.digest = "SHA1"});
    all[BROKEN] = signed_with(&all[STRANGER], &all[OLD], (recipe){.broken_signature = true});
    all[LATE] = signed_with(&all[STRANGER], &all[OLD], (recipe){.from = -9 * DAY, .to = -60});
    all[EARLY] = signed_with(&all[STRANGER], &all[OLD], (recipe){.from = 3600, .to = DAY});
    all[OTHER_KEY] = signed_with(&unknown_key, &all[OLD], (recipe){0});
    all[BY_EXPIRED] = signed_with(&all[STRANGER], &all[EXPIRED], (recipe){0});
    all[DEAD_BY_OLD] = signed_with(&all[DEAD_NEW], &all[OLD], (recipe){0});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        free_made(&all[i]);
    free_made(&client);
    free_made(&sub_old);
    free_made(&unknown_key);
    return 0;
}

static X509 *by_letter(char c)
{
    const char *at = strchr(letters, c);
    assert_non_null(at);
    return all[at - letters].cert;
}

static STACK_OF(X509) *stack_of(const char *text)
{
    STACK_OF(X509) *certs = sk_X509_new_null();
    for (; *text != '\0'; text++)
        assert_true(est_certs_push(certs, by_letter(*text)));
    return certs;
}

/* The same letters, whatever the order. */
static void assert_set(const STACK_OF(X509) *certs, const char *wanted, size_t row)
{
    size_t count = strlen(wanted);
    if (sk_X509_num(certs) != (int)count)
        fail_msg("row %zu: %d certificates, not %zu", row, sk_X509_num(certs), count);
    for (size_t i = 0; i < count; i++)
        if (!est_certs_contain(certs, by_letter(wanted[i])))
            fail_msg("row %zu: %c is missing", row, wanted[i]);
}

/* What an unauthenticated answer may give to a client that trusts `trusted`; roots NULL: nothing. */
static void test_vouched(void **state)
{
    static const struct {
        const char *trusted, *answer, *roots, *helpers;
    } rows[] = {
        /* all four, in every sort of order */
        {"O", "OwvN", "ON", "wv"},
        {"O", "NvwO", "ON", "wv"},
        {"O", "vNOw", "ON", "wv"},
        {"O", "wOvN", "ON", "wv"},
        /* OldWithOld or OldWithNew dropped; a CA below the new root comes along */
        {"O", "vNw", "ON", "wv"},
        {"O", "Nv", "ON", "v"},
        {"O", "sNv", "ON", "vs"},
        {"O", "fNv", "ON", "v"},
        /* NewWithOld kept from earlier on, among the client's own anchors */
        {"Ov", "N", "ON", "v"},
        /* two rollovers slept through, in either order of the answer */
        {"O", "vNtT", "ONT", "vt"},
        {"O", "TtNv", "ONT", "vt"},
        {"O", "TtO", NULL, NULL},
        /* missing pieces */
        {"O", "", NULL, NULL},
        {"O", "O", NULL, NULL},
        {"O", "N", NULL, NULL},
        {"O", "v", NULL, NULL},
        {"O", "NwO", NULL, NULL},
        {"N", "NvOw", "NO", "vw"},
        {"T", "OwvN", NULL, NULL},
        /* an attacker: nobody signed, the wrong one signed, the right one signed something else */
        {"O", "X", NULL, NULL},
        {"O", "Xx", NULL, NULL},
        {"O", "Xc", NULL, NULL},
        {"O", "Xb", NULL, NULL},
        {"O", "Xn", NULL, NULL},
        {"O", "Xk", NULL, NULL},
        {"O", "Rr", NULL, NULL},
        {"O", "Xr", NULL, NULL},
        {"O", "X1", NULL, NULL},
        {"O", "Xz", NULL, NULL},
        {"O", "Xl", NULL, NULL},
        {"O", "Xe", NULL, NULL},
        {"O", "Xy", NULL, NULL},
        {"O", "Xv", NULL, NULL},
        {"O", "XxcbnkRr1zleyd", NULL, NULL},
        /* beside the honest ones the attacker's get nothing */
        {"O", "XxcnkvN", "ON", "v"},
        /* an expired old root says nothing more; a new root that is expired is no help */
        {"E", "XdE", NULL, NULL},
        {"O", "Dq", NULL, NULL},
        /* of several anchors one is enough */
        {"EO", "NvXd", "EON", "vd"},
    };
    estuary_error *err = estuary_error_new();
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        STACK_OF(X509) *trusted = stack_of(rows[i].trusted), *answer = stack_of(rows[i].answer);
        estuary_anchors *current = NULL, *anchors = NULL;
        assert_int_equal(estuary_anchors_from_certs(trusted, &current, NULL), ESTUARY_OK);
        estuary_status status = est_anchors_vouched_for(answer, current, time(NULL), &anchors, err);
        if (rows[i].roots == NULL) {
            if (status != ESTUARY_E_TRUST)
                fail_msg("row %zu: not refused", i);
            assert_string_equal(estuary_error_code(err), "trust.no-rollover");
            assert_null(anchors);
        } else {
            if (status != ESTUARY_OK)
                fail_msg("row %zu: %s", i, estuary_error_message(err));
            assert_set(estuary_anchors_get0_roots(anchors), rows[i].roots, i);
            assert_set(estuary_anchors_get0_helpers(anchors), rows[i].helpers, i);
            assert_true(estuary_anchors_is_explicit(anchors));
        }
        estuary_anchors_free(anchors);
        estuary_anchors_free(current);
        sk_X509_pop_free(trusted, X509_free);
        sk_X509_pop_free(answer, X509_free);
    }
    estuary_error_free(err);
}

/* The verified answer afterwards: the roots in it that are known or vouched for, and no others (E2). */
static void test_finish(void **state)
{
    static const struct {
        const char *confirmed, *answer, *roots, *helpers;
    } rows[] = {
        {"ON", "OwvN", "ON", "wv"}, {"ON", "Nv", "N", ""},    {"ON", "N", "N", ""},
        {"O", "OwvN", "ON", "wv"},  {"O", "NXvO", "ON", "v"}, {"ON", "XO", "O", ""},
        {"ON", "NXxcbkr", "N", ""}, {"ON", "X", NULL, NULL},  {"ONT", "sN", "N", "s"},
        {"O", "XlO", "O", "l"},
    };
    estuary_error *err = estuary_error_new();
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        STACK_OF(X509) *confirmed = stack_of(rows[i].confirmed), *answer = stack_of(rows[i].answer);
        estuary_anchors *current = NULL, *anchors = NULL;
        assert_int_equal(estuary_anchors_from_certs(confirmed, &current, NULL), ESTUARY_OK);
        estuary_status status = est_anchors_from_bootstrap(answer, current, time(NULL), &anchors, err);
        if (rows[i].roots == NULL) {
            assert_int_equal(status, ESTUARY_E_PROTOCOL);
            assert_string_equal(estuary_error_code(err), "protocol.cacerts-no-root");
        } else {
            if (status != ESTUARY_OK)
                fail_msg("row %zu: %s", i, estuary_error_message(err));
            assert_set(estuary_anchors_get0_roots(anchors), rows[i].roots, i);
            assert_set(estuary_anchors_get0_helpers(anchors), rows[i].helpers, i);
        }
        estuary_anchors_free(anchors);
        estuary_anchors_free(current);
        sk_X509_pop_free(confirmed, X509_free);
        sk_X509_pop_free(answer, X509_free);
    }
    estuary_error_free(err);
}

/* Time is an argument: what is good today was not good last year, and will not be. */
static void test_time(void **state)
{
    STACK_OF(X509) *trusted = stack_of("O"), *answer = stack_of("Nv");
    estuary_anchors *current = NULL, *anchors = NULL;
    time_t now = time(NULL);
    (void)state;
    assert_int_equal(estuary_anchors_from_certs(trusted, &current, NULL), ESTUARY_OK);
    assert_int_equal(est_anchors_vouched_for(answer, current, now - 365 * DAY, &anchors, NULL),
                     ESTUARY_E_TRUST);
    assert_int_equal(est_anchors_vouched_for(answer, current, now + 2 * DAY, &anchors, NULL),
                     ESTUARY_E_TRUST);
    assert_int_equal(est_anchors_vouched_for(answer, current, now, &anchors, NULL), ESTUARY_OK);
    estuary_anchors_free(anchors);
    estuary_anchors_free(current);
    sk_X509_pop_free(trusted, X509_free);
    sk_X509_pop_free(answer, X509_free);
}

static void test_too_many(void **state)
{
    STACK_OF(X509) *trusted = stack_of("O"), *answer = sk_X509_new_null();
    estuary_anchors *current = NULL, *anchors = NULL;
    estuary_error *err = estuary_error_new();
    (void)state;
    for (int i = 0; i < 513; i++)
        assert_true(est_certs_push(answer, all[NEW].cert));
    assert_int_equal(estuary_anchors_from_certs(trusted, &current, NULL), ESTUARY_OK);
    assert_int_equal(est_anchors_vouched_for(answer, current, time(NULL), &anchors, err), ESTUARY_E_PROTOCOL);
    assert_string_equal(estuary_error_code(err), "protocol.too-many-certificates");
    estuary_error_free(err);
    estuary_anchors_free(current);
    sk_X509_pop_free(trusted, X509_free);
    sk_X509_pop_free(answer, X509_free);
}

static void assert_role(const estuary_anchors *anchors, char letter, estuary_ca_role role)
{
    assert_int_equal(estuary_anchors_role(anchors, by_letter(letter)), role);
}

static void test_roles(void **state)
{
    STACK_OF(X509) *certs = stack_of("OwvNs"), *fewer = stack_of("wN");
    estuary_anchors *anchors = NULL;
    (void)state;
    assert_int_equal(est_anchors_from_cacerts(certs, &anchors, NULL), ESTUARY_OK);
    assert_role(anchors, 'O', ESTUARY_CA_ROOT);
    assert_role(anchors, 'N', ESTUARY_CA_ROOT);
    assert_role(anchors, 'v', ESTUARY_CA_NEW_WITH_OLD);
    assert_role(anchors, 'w', ESTUARY_CA_OLD_WITH_NEW);
    assert_role(anchors, 's', ESTUARY_CA_INTERMEDIATE);
    assert_role(anchors, 'X', ESTUARY_CA_UNKNOWN);
    estuary_anchors_free(anchors);
    assert_int_equal(est_anchors_from_cacerts(fewer, &anchors, NULL), ESTUARY_OK);
    assert_role(anchors, 'w', ESTUARY_CA_OLD_WITH_NEW);
    estuary_anchors_free(anchors);
    sk_X509_pop_free(certs, X509_free);
    sk_X509_pop_free(fewer, X509_free);
}

/*
 * A server below the new root, and a client that knows the old one only: NewWithOld completes the path, be it
 * in the handshake or among the client's anchors (RFC 4210 4.4.1); a client of the new root with an old
 * server needs OldWithNew.
 */
static void test_paths(void **state)
{
    static const struct {
        bool new_server;
        const char *trusted, *handshake;
        bool good;
    } rows[] = {
        {true, "O", "v", true},  {true, "Ov", "", true},   {true, "O", "", false},  {true, "O", "N", false},
        {true, "O", "w", false}, {true, "O", "Xx", false}, {true, "ON", "", true},  {false, "N", "w", true},
        {false, "N", "", false}, {false, "Nw", "", true},  {false, "ON", "", true}, {true, "O", "Nv", true},
    };
    made server[] = {make_server("DNS:est.example", &all[OLD]), make_server("DNS:est.example", &all[NEW])};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        STACK_OF(X509) *trusted = stack_of(rows[i].trusted), *handshake = stack_of(rows[i].handshake);
        estuary_anchors *anchors = NULL;
        est_path path = {0};
        assert_int_equal(estuary_anchors_from_certs(trusted, &anchors, NULL), ESTUARY_OK);
        est_path_query query = {.anchors = anchors,
                                .leaf = server[rows[i].new_server].cert,
                                .untrusted = handshake,
                                .host = "est.example",
                                .purpose = "serverAuth",
                                .at = time(NULL),
                                .max_depth = 8};
        assert_int_equal(est_path_find(&query, &path, NULL), ESTUARY_OK);
        if ((path.flaw == EST_PATH_OK) != rows[i].good)
            fail_msg("row %zu: flaw %d", i, (int)path.flaw);
        est_path_clear(&path);
        estuary_anchors_free(anchors);
        sk_X509_pop_free(trusted, X509_free);
        sk_X509_pop_free(handshake, X509_free);
    }
    free_made(&server[0]);
    free_made(&server[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vouched),  cmocka_unit_test(test_finish), cmocka_unit_test(test_time),
        cmocka_unit_test(test_too_many), cmocka_unit_test(test_roles),  cmocka_unit_test(test_paths),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
