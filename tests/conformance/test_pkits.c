/*
 * NIST's PKITS 1.0.1: the path by OpenSSL, without any look at revocation; whether each certificate of it is
 * revoked by our reader and RFC 5280 6.3.3 (R0, R4, R6). CRL signers off the path are asked about too.
 */
#include "vectors.h"

#include <openssl/x509_vfy.h>

#define MAX_CERTS 8
#define MAX_CRLS  16
#define AT        "2026-01-01T00:00:00Z" /* all PKITS certificates are valid from 2010 to 2030 */

static const deviation deviations[] = {
    {"4.1.4", "valid", "invalid"},
    {"4.1.5", "valid", "invalid"},
    {"4.14.30", "valid", "invalid"},
};

/* Invalid for what a CRL says, or for want of one: why we say so. Any other path is invalid without CRLs. */
static const struct {
    const char *test, *why;
} refusals[] = {
    {"4.1.4", "crl.weak-signature"},
    {"4.4.1", "crl.issuer"},
    {"4.4.2", "revoked"},
    {"4.4.3", "revoked"},
    {"4.4.4", "crl.malformed"},
    {"4.4.5", "crl.no-signer"},
    {"4.4.6", "crl.issuer"},
    {"4.4.8", "crl.critical-extension"},
    {"4.4.9", "crl.critical-extension"},
    {"4.4.10", "crl.critical-extension"},
    {"4.4.11", "revocation.stale"},
    {"4.4.12", "revocation.stale"},
    {"4.4.15", "revoked"},
    {"4.4.18", "revoked"},
    {"4.4.20", "revoked"},
    {"4.4.21", "revoked"},
    {"4.5.2", "revoked"},
    {"4.5.5", "revoked"},
    {"4.5.7", "revoked"},
    {"4.7.4", "crl.signer-usage"},
    {"4.7.5", "crl.signer-usage"},
    {"4.14.2", "revoked"},
    {"4.14.3", "crl.distribution-point"},
    {"4.14.6", "revoked"},
    {"4.14.8", "crl.distribution-point"},
    {"4.14.9", "crl.distribution-point"},
    {"4.14.11", "crl.scope"},
    {"4.14.12", "crl.scope"},
    {"4.14.14", "crl.scope"},
    {"4.14.15", "revoked"},
    {"4.14.16", "revoked"},
    {"4.14.17", "crl.reasons"},
    {"4.14.20", "revoked"},
    {"4.14.21", "revoked"},
    {"4.14.23", "revoked"},
    {"4.14.26", "crl.issuer"},
    {"4.14.27", "crl.not-indirect"},
    {"4.14.30", "in a circle"},
    {"4.14.31", "revoked"},
    {"4.14.32", "revoked"},
    {"4.14.34", "revoked"},
    {"4.14.35", "crl.issuer"},
    {"4.15.1", "crl.delta-alone"},
    {"4.15.3", "revoked"},
    {"4.15.4", "revoked"},
    {"4.15.6", "revoked"},
    {"4.15.9", "revoked"},
    {"4.15.10", "revocation.stale"},
};

typedef struct pkits_case {
    const json_t *json;
    STACK_OF(X509) *certs; /* as listed: anchor first, end entity last */
    struct {
        uint8_t *der;
        size_t len;
    } crls[MAX_CRLS];
    size_t crl_count;
    estuary_anchors *anchors;
    time_t now;
    const X509 *asked[MAX_CERTS]; /* about whom we are being asked: no going in circles */
    size_t asked_count;
    char refused[64]; /* the code of a CRL that the reader refused; "" */
    char why[64];     /* why the last certificate was not good: "revoked", or a code */
} pkits_case;

/* --- loading ----------------------------------------------------------------------------------------- */

static void load(pkits_case *one, const json_t *json)
{
    char name[256];
    size_t len = 0;
    const json_t *certs = json_object_get(json, "certs"), *crls = json_object_get(json, "crls");
    one->json = json;
    one->certs = sk_X509_new_null();
    assert_true(est_time_parse(AT, &one->now));
    for (size_t i = 0; i < json_array_size(certs); i++) {
        snprintf(name, sizeof(name), "pkits/certs/%s.crt", json_string_value(json_array_get(certs, i)));
        uint8_t *der = load_vector(name, &len);
        const uint8_t *at = der;
        X509 *certificate = d2i_X509(NULL, &at, (long)len);
        assert_non_null(certificate);
        assert_true(sk_X509_push(one->certs, certificate) > 0);
        free(der);
    }
    assert_true(json_array_size(crls) <= MAX_CRLS);
    one->crl_count = json_array_size(crls);
    for (size_t i = 0; i < one->crl_count; i++) {
        snprintf(name, sizeof(name), "pkits/crls/%s.crl", json_string_value(json_array_get(crls, i)));
        one->crls[i].der = load_vector(name, &one->crls[i].len);
    }
    STACK_OF(X509) *root = sk_X509_new_null();
    assert_true(sk_X509_push(root, sk_X509_value(one->certs, 0)) > 0);
    assert_int_equal(estuary_anchors_from_certs(root, &one->anchors, NULL), ESTUARY_OK);
    sk_X509_free(root);
}

static void unload(pkits_case *one)
{
    for (size_t i = 0; i < one->crl_count; i++)
        free(one->crls[i].der);
    estuary_anchors_free(one->anchors);
    sk_X509_pop_free(one->certs, X509_free);
}

/* --- the path ---------------------------------------------------------------------------------------- */

static void add_policy(X509_VERIFY_PARAM *param, const char *oid)
{
    ASN1_OBJECT *policy = OBJ_txt2obj(oid, 1);
    assert_non_null(policy);
    assert_int_equal(X509_VERIFY_PARAM_add0_policy(param, policy), 1);
}

static void add_policies(X509_VERIFY_PARAM *param, const char *names)
{
    for (const char *at = names; (at = strstr(at, "NIST-test-policy-")) != NULL;) {
        char oid[64];
        at += strlen("NIST-test-policy-");
        snprintf(oid, sizeof(oid), "2.16.840.1.101.3.2.1.48.%.*s", (int)strspn(at, "0123456789"), at);
        add_policy(param, oid);
    }
}

static void apply_settings(X509_VERIFY_PARAM *param, const json_t *settings)
{
    static const struct {
        const char *name;
        unsigned long flag;
    } flags[] = {{"SetInitialExplicitPolicy", X509_V_FLAG_EXPLICIT_POLICY},
                 {"SetInitialPolicyMappingInhibit", X509_V_FLAG_INHIBIT_MAP},
                 {"SetInitialInhibitAnyPolicy", X509_V_FLAG_INHIBIT_ANY}};
    unsigned long on = X509_V_FLAG_POLICY_CHECK;
    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        const char *value = json_string_value(json_object_get(settings, flags[i].name));
        if (value != NULL && strcmp(value, "true") == 0)
            on |= flags[i].flag;
    }
    assert_int_equal(X509_VERIFY_PARAM_set_flags(param, on), 1);
    const char *policies = json_string_value(json_object_get(settings, "SetInitialPolicySet"));
    if (policies == NULL)
        add_policy(param, "2.5.29.32.0"); /* absent: anyPolicy */
    else
        add_policies(param, policies);
}

/* NULL: there is no valid path. */
static STACK_OF(X509) *find_path(const pkits_case *one)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    X509 *leaf = sk_X509_value(one->certs, sk_X509_num(one->certs) - 1);
    assert_int_equal(X509_STORE_add_cert(store, sk_X509_value(one->certs, 0)), 1);
    assert_int_equal(X509_STORE_CTX_init(ctx, store, leaf, one->certs), 1);
    X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(ctx), one->now);
    apply_settings(X509_STORE_CTX_get0_param(ctx), json_object_get(one->json, "settings"));
    STACK_OF(X509) *path = X509_verify_cert(ctx) == 1 ? X509_STORE_CTX_get1_chain(ctx) : NULL;
    ERR_clear_error();
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return path;
}

/* --- revocation -------------------------------------------------------------------------------------- */

typedef struct read_crls {
    est_crl *at[MAX_CRLS]; /* NULL: refused */
    size_t count;
} read_crls;

static void read_all(pkits_case *one, const est_question *question, read_crls *out)
{
    out->count = one->crl_count;
    for (size_t i = 0; i < one->crl_count; i++) {
        estuary_error *err = estuary_error_new();
        out->at[i] = read_crl(one->crls[i].der, one->crls[i].len, question, err);
        if (out->at[i] == NULL)
            snprintf(one->refused, sizeof(one->refused), "%s", estuary_error_code(err));
        estuary_error_free(err);
    }
}

/* The delta for this complete CRL; none for a delta. */
static const est_crl *delta_of(const read_crls *crls, const est_crl *complete)
{
    for (size_t i = 0; i < crls->count; i++) {
        if (crls->at[i] != NULL && crls->at[i]->base_number != NULL &&
            est_crl_delta_belongs(complete, crls->at[i]))
            return crls->at[i];
    }
    return NULL;
}

static bool is_good(pkits_case *one, X509 *certificate, X509 *issuer);

/* RFC 5280 6.3.3 (f): the path of a CRL's signer must be valid itself. */
static bool are_good(pkits_case *one, const STACK_OF(X509) *pairs)
{
    for (int i = 0; i + 1 < sk_X509_num(pairs); i += 2) {
        if (!is_good(one, sk_X509_value(pairs, i), sk_X509_value(pairs, i + 1)))
            return false;
    }
    return true;
}

static bool is_asked_already(pkits_case *one, const X509 *certificate)
{
    for (size_t i = 0; i < one->asked_count; i++) {
        if (X509_cmp(one->asked[i], certificate) == 0)
            return true;
    }
    assert_true(one->asked_count < MAX_CERTS);
    one->asked[one->asked_count++] = certificate;
    return false;
}

static void judge_all(const est_question *question, const read_crls *crls, est_crl_state *state)
{
    for (size_t i = 0; i < crls->count; i++) {
        if (crls->at[i] != NULL)
            assert_int_equal(
                est_crl_judge(question, NULL, crls->at[i], delta_of(crls, crls->at[i]), state, NULL),
                ESTUARY_OK);
    }
}

static void note_why(pkits_case *one, const estuary_verdict *verdict)
{
    const char *why = estuary_verdict_code(verdict);
    if (estuary_verdict_status(verdict) == ESTUARY_REVOCATION_REVOKED)
        why = "revoked";
    else if (strcmp(why, "crl.issuer") == 0 && one->refused[0] != '\0')
        why = one->refused; /* the others were not about this certificate */
    snprintf(one->why, sizeof(one->why), "%s", why);
}

static bool is_good(pkits_case *one, X509 *certificate, X509 *issuer)
{
    est_question question = {.certificate = certificate,
                             .issuer = issuer,
                             .helpers = one->certs,
                             .anchors = one->anchors,
                             .now = one->now};
    est_crl_state state = {0};
    read_crls crls;
    if (is_asked_already(one, certificate)) {
        snprintf(one->why, sizeof(one->why), "%s", "in a circle");
        return false;
    }
    state.verdict = est_verdict_new();
    assert_int_equal(est_question_check(&question, NULL), ESTUARY_OK);
    read_all(one, &question, &crls);
    judge_all(&question, &crls, &state);
    bool good = estuary_verdict_status(state.verdict) == ESTUARY_REVOCATION_GOOD;
    if (good)
        good = are_good(one, state.delegates);
    else
        note_why(one, state.verdict);
    one->asked_count--;
    for (size_t i = 0; i < crls.count; i++)
        est_crl_free(crls.at[i]);
    est_crl_state_clear(&state);
    estuary_verdict_free(state.verdict);
    return good;
}

static bool is_path_good(pkits_case *one, const STACK_OF(X509) *path)
{
    for (int i = 0; i + 1 < sk_X509_num(path); i++) {
        if (!is_good(one, sk_X509_value(path, i), sk_X509_value(path, i + 1)))
            return false;
    }
    return sk_X509_num(path) > 1;
}

/* --- the same by the checker, as an application uses it ----------------------------------------------- */

static estuary_revocation *new_checker(const pkits_case *one)
{
    estuary_revocation *checker = NULL;
    const json_t *crls = json_object_get(one->json, "crls");
    assert_int_equal(estuary_revocation_new(&checker, NULL), ESTUARY_OK);
    assert_int_equal(estuary_revocation_set_time(checker, one->now, NULL), ESTUARY_OK);
    assert_int_equal(estuary_revocation_set_anchors(checker, one->anchors, NULL), ESTUARY_OK);
    assert_int_equal(estuary_revocation_add_certs(checker, one->certs, NULL), ESTUARY_OK);
    for (size_t i = 0; i < json_array_size(crls); i++) {
        char name[256], path[VECTOR_PATH_SIZE];
        snprintf(name, sizeof(name), "pkits/crls/%s.crl", json_string_value(json_array_get(crls, i)));
        vector_path(name, path);
        assert_int_equal(estuary_revocation_add_crl(checker, path, NULL), ESTUARY_OK);
    }
    return checker;
}

/* Not offline: no distribution point of PKITS has a URL that is followed, so the network is never reached. */
static bool checker_finds_good(const pkits_case *one, const STACK_OF(X509) *path)
{
    estuary_verdict *verdict = NULL;
    estuary_revocation *checker = new_checker(one);
    assert_int_equal(estuary_revocation_check_chain(checker, path, &verdict, NULL, NULL), ESTUARY_OK);
    bool good = estuary_verdict_status(verdict) == ESTUARY_REVOCATION_GOOD;
    estuary_verdict_free(verdict);
    estuary_revocation_free(checker);
    return good;
}

/* --- all cases --------------------------------------------------------------------------------------- */

static const char *deviating(const char *test, const char *expected)
{
    for (size_t i = 0; i < COUNT_OF(deviations); i++) {
        if (strcmp(deviations[i].test, test) == 0) {
            assert_string_equal(expected, deviations[i].expected);
            return deviations[i].ours;
        }
    }
    return expected;
}

static const char *expected_why(const char *test)
{
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        if (strcmp(refusals[i].test, test) == 0)
            return refusals[i].why;
    }
    return "";
}

static void run_case(const json_t *json, size_t *valid)
{
    pkits_case one = {0};
    const char *test = json_string_value(json_object_get(json, "test"));
    const char *expected = json_is_true(json_object_get(json, "valid")) ? "valid" : "invalid";
    load(&one, json);
    STACK_OF(X509) *path = find_path(&one);
    bool is_valid = path != NULL && is_path_good(&one, path);
    const char *ours = is_valid ? "valid" : "invalid";
    if (strcmp(ours, deviating(test, expected)) != 0 || strcmp(one.why, expected_why(test)) != 0)
        fail_msg("%s %s: %s (%s)", test, json_string_value(json_object_get(json, "name")), ours, one.why);
    if (path != NULL && checker_finds_good(&one, path) != is_valid)
        fail_msg("%s: the checker does not say %s", test, ours);
    *valid += is_valid;
    sk_X509_pop_free(path, X509_free);
    unload(&one);
}

static void test_pkits(void **unused)
{
    (void)unused;
    size_t valid = 0;
    json_t *cases = load_cases("pkits/cases.json");
    assert_int_equal(json_array_size(cases), 249);
    for (size_t i = 0; i < json_array_size(cases); i++)
        run_case(json_array_get(cases, i), &valid);
    assert_int_equal(valid, 111);
    json_decref(cases);
}

static void test_deviations(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT_OF(deviations); i++)
        assert_string_not_equal(deviations[i].ours, "valid"); /* never a wrong one */
    assert_deviations_are_documented("PKITS", deviations, COUNT_OF(deviations));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pkits),
        cmocka_unit_test(test_deviations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
