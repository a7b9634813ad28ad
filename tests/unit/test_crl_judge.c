/* RFC 5280 6.3.3, step by step (R0, R4, R6). The CRLs are as the reader hands them over, signature verified.
 */
#include "support.h"

#include "make_certs.h"
#include "revocation/crl_judge.h"

#include <openssl/bio.h>
#include <openssl/conf.h>
#include <openssl/rsa.h>

#define HOUR 3600
#define DAY  86400

/* --- certificates and CRLs --------------------------------------------------------------------------- */

static struct world {
    made root, ca, leaf, other_root, other_ca;
    X509_NAME *third; /* of an indirect CRL's issuer */
    made third_signer;
    estuary_anchors *anchors;
    CONF *points;
    time_t now;
} world;

/* Sections that crlDistributionPoints and issuingDistributionPoint are made of. */
static const char sections[] =
    "[uri]\nfullname = URI:http://crl.example/a.crl\n"
    "[two_uris]\nfullname = URI:ldap://crl.example/x,URI:http://crl.example/a.crl\n"
    "[capital_uri]\nfullname = URI:http://crl.example/A.crl\n"
    "[dns]\nfullname = DNS:http://crl.example/a.crl\n"
    "[relative]\nrelativename = point\n"
    "[other_relative]\nrelativename = other_point\n"
    "[whole]\nfullname = dirName:whole_name\n"
    "[reversed]\nfullname = dirName:reversed_name\n"
    "[named_ca]\nfullname = dirName:ca\n"
    "[third]\nCRLissuer = dirName:third_name\n"
    "[third_uri]\nfullname = URI:http://crl.example/a.crl\n"
    "CRLissuer = dirName:third_name\n"
    "[third_relative]\nrelativename = point\nCRLissuer = dirName:third_name\n"
    "[third_two]\nrelativename = point\nCRLissuer = @two_names\n"
    "[ca_as_crl_issuer]\nCRLissuer = dirName:ca\n"
    "[some]\nfullname = URI:http://crl.example/a.crl\n"
    "reasons = keyCompromise, CACompromise\n"
    "[idp_user]\nonlyuser = TRUE\n"
    "[idp_ca]\nonlyCA = TRUE\n"
    "[idp_attribute]\nonlyAA = TRUE\n"
    "[idp_user_and_ca]\nonlyuser = TRUE\nonlyCA = TRUE\n"
    "[idp_user_uri]\nonlyuser = TRUE\nfullname = URI:http://crl.example/a.crl\n"
    "[idp_indirect]\nindirectCRL = TRUE\n"
    "[idp_indirect_uri]\nindirectCRL = TRUE\n"
    "fullname = URI:http://crl.example/a.crl\n"
    "[idp_indirect_third]\nindirectCRL = TRUE\nfullname = dirName:third_name\n"
    "[idp_indirect_relative]\nindirectCRL = TRUE\nrelativename = point\n"
    "[idp_two]\nfullname = @two_general\n"
    "[idp_compromise]\n"
    "onlysomereasons = keyCompromise, CACompromise, AACompromise\n"
    "[idp_rest]\nonlysomereasons = affiliationChanged, superseded, "
    "cessationOfOperation, certificateHold, privilegeWithdrawn\n"
    "[idp_superseded]\nonlysomereasons = superseded\n"
    "[two_general]\nURI.1 = http://crl.example/b.crl\n"
    "URI.2 = http://crl.example/a.crl\n"
    "[two_names]\ndirName.1 = third_name\ndirName.2 = ca\n"
    "[point]\nOU = point\n"
    "[other_point]\nOU = other\n"
    "[whole_name]\nCN = CA\nOU = point\n"
    "[reversed_name]\nOU = point\nCN = CA\n"
    "[third_name]\nCN = Third\n"
    "[by_root]\nCRLissuer = dirName:root_name\n"
    "[root_name]\nCN = Root\n"
    "[ca]\nCN = CA\n";

static int set_up(void **unused)
{
    (void)unused;
    long line = 0;
    BIO *text = BIO_new_mem_buf(sections, -1);
    world.points = NCONF_new(NULL);
    assert_int_equal(NCONF_load_bio(world.points, text, &line), 1);
    BIO_free(text);
    world.now = est_now();
    world.root = make_ca("Root", NULL);
    world.ca = make_ca("CA", &world.root);
    world.leaf = make_client("leaf", &world.ca);
    world.other_root = make_ca("Other Root", NULL);
    world.other_ca = make_ca("CA", &world.other_root);
    world.third_signer = make_cert(&(recipe){.cn = "Third", .issuer = &world.root, .usage = "cRLSign"});
    STACK_OF(X509) *roots = make_stack(world.root.cert, world.other_root.cert, NULL);
    assert_int_equal(estuary_anchors_from_certs(roots, &world.anchors, NULL), ESTUARY_OK);
    sk_X509_pop_free(roots, X509_free);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    made *all[] = {&world.root,       &world.ca,       &world.leaf,
                   &world.other_root, &world.other_ca, &world.third_signer};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        free_made(all[i]);
    estuary_anchors_free(world.anchors);
    NCONF_free(world.points);
    return 0;
}

static X509_EXTENSION *extension(int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, NULL, NULL, NULL, NULL, 0);
    X509V3_set_nconf(&ctx, world.points);
    X509_EXTENSION *made_of = X509V3_EXT_nconf_nid(world.points, &ctx, nid, value);
    assert_non_null(made_of);
    return made_of;
}

/* A leaf of the CA with an extension of this value. */
static X509 *with_extension(const made *from, int nid, const char *value)
{
    X509 *certificate = X509_dup(from->cert);
    X509_EXTENSION *one = extension(nid, value);
    assert_int_equal(X509_add_ext(certificate, one, -1), 1);
    X509_EXTENSION_free(one);
    assert_true(X509_sign(certificate, world.ca.key, EVP_sha256()) > 0);
    return certificate;
}

static X509 *with_bytes(const made *from, int nid, const char *bytes, size_t len)
{
    X509 *certificate = X509_dup(from->cert);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    assert_int_equal(ASN1_OCTET_STRING_set(value, (const unsigned char *)bytes, (int)len), 1);
    X509_EXTENSION *one = X509_EXTENSION_create_by_NID(NULL, nid, 0, value);
    assert_int_equal(X509_add_ext(certificate, one, -1), 1);
    X509_EXTENSION_free(one);
    ASN1_OCTET_STRING_free(value);
    assert_true(X509_sign(certificate, world.ca.key, EVP_sha256()) > 0);
    return certificate;
}

/* Made an hour ago, to last a day. */
static est_crl *new_crl(const made *signer, const char *idp)
{
    est_crl *crl = est_alloc(sizeof(*crl));
    assert_non_null(crl);
    crl->signer = X509_dup(signer->cert);
    crl->issuer = X509_NAME_dup(X509_get_subject_name(signer->cert));
    crl->this_update = world.now - HOUR;
    crl->next_update = world.now + DAY;
    crl->reason = -1;
    if (idp != NULL) {
        X509_EXTENSION *one = extension(NID_issuing_distribution_point, idp);
        crl->idp = X509V3_EXT_d2i(one);
        crl->indirect = crl->idp->indirectCRL > 0;
        X509_EXTENSION_free(one);
    }
    return crl;
}

static ASN1_INTEGER *number(long value)
{
    ASN1_INTEGER *out = ASN1_INTEGER_new();
    assert_int_equal(ASN1_INTEGER_set(out, value), 1);
    return out;
}

static est_crl *new_numbered(long own, long base)
{
    est_crl *crl = new_crl(&world.ca, NULL);
    crl->number = number(own);
    if (base >= 0)
        crl->base_number = number(base);
    return crl;
}

static void list(est_crl *crl, int reason)
{
    crl->found = true;
    crl->reason = reason;
    crl->revoked_at = 1700000000;
}

static void lift(est_crl *crl)
{
    crl->found = true;
    crl->removed = true;
}

static est_question ask(X509 *certificate)
{
    return (est_question){.certificate = certificate,
                          .issuer = world.ca.cert,
                          .anchors = world.anchors,
                          .now = world.now,
                          .skew = 300};
}

/* Frees the CRLs. */
static void judge(const est_question *question, est_crl *complete, est_crl *delta, est_crl_state *state)
{
    estuary_error *err = estuary_error_new();
    if (state->verdict == NULL)
        state->verdict = est_verdict_new();
    assert_ok(est_crl_judge(question, NULL, complete, delta, state, err), err);
    est_crl_free(complete);
    est_crl_free(delta);
    estuary_error_free(err);
}

static void assert_verdict(est_crl_state *state, const char *status, const char *code)
{
    const estuary_verdict *verdict = state->verdict;
    if (strcmp(estuary_revocation_status_name(verdict->status), status) != 0 ||
        strcmp(estuary_verdict_code(verdict), code) != 0)
        fail_msg("%s %s: %s", estuary_revocation_status_name(verdict->status), estuary_verdict_code(verdict),
                 estuary_verdict_why(verdict));
    assert_int_equal(verdict->why[0] == '\0', code[0] == '\0' && !verdict->outdated);
}

static void end(est_crl_state *state)
{
    est_crl_state_clear(state);
    estuary_verdict_free(state->verdict);
    *state = (est_crl_state){0};
}

/* One complete CRL and nothing else. */
static void assert_judged(const est_question *question, est_crl *complete, est_crl *delta, const char *status,
                          const char *code)
{
    est_crl_state state = {0};
    judge(question, complete, delta, &state);
    assert_verdict(&state, status, code);
    end(&state);
}

/* --- (b): issuer and scope --------------------------------------------------------------------------- */

#define POINT "crl.distribution-point"

static const struct scope_row {
    const char *points, *idp; /* NULL: none */
    const char *code;         /* "": good */
    bool by_third;            /* the CRL is the third party's */
} scope_rows[] = {
    {NULL, NULL, "", false},
    {"uri", NULL, "", false},
    {"uri", "@uri", "", false},
    {"uri", "@idp_two", "", false},
    {"two_uris", "@uri", "", false},
    {"capital_uri,uri", "@uri", "", false},
    {"uri", "@capital_uri", POINT, false},
    {"uri", "@dns", POINT, false},
    {"uri", "@relative", POINT, false},
    {NULL, "@uri", POINT, false},
    /* the implied point bears the issuer's name */
    {NULL, "@named_ca", "", false},
    {"uri", "@named_ca", "", false},
    {NULL, "@whole", POINT, false},
    /* a relative name is one RDN behind the issuer's name */
    {"relative", "@relative", "", false},
    {"relative", "@whole", "", false},
    {"whole", "@relative", "", false},
    {"whole", "@whole", "", false},
    {"relative", "@other_relative", POINT, false},
    {"relative", "@reversed", POINT, false},
    {"relative", "@named_ca", "", false},
    /* cRLIssuer */
    {"third", "@idp_indirect", "", true},
    {"third", "@idp_indirect_third", "", true},
    {"third", "@idp_indirect_uri", POINT, true},
    {"third_uri", "@idp_indirect_uri", "", true},
    {"third_uri", "@idp_indirect", "", true},
    {"third_uri", "@idp_indirect_third", POINT, true},
    {"third_relative", "@idp_indirect_relative", "", true},
    {"third_two", "@idp_indirect_relative", "crl.certificate-extension", true},
    {"third", NULL, "crl.not-indirect", true},
    {"third_uri", "@uri", "crl.not-indirect", true},
    {"third", "@idp_indirect", "crl.issuer", false},
    {"third", NULL, "crl.issuer", false},
    {"ca_as_crl_issuer", NULL, "crl.not-indirect", false},
    {"ca_as_crl_issuer", "@idp_indirect", "", false},
    {"uri", "@idp_indirect", "crl.issuer", true},
    {NULL, "@idp_indirect", "crl.issuer", true},
    {NULL, NULL, "crl.issuer", true},
    {"third,uri", "@uri", "", false},
    /* an indirect CRL covers its own issuer's certificates too */
    {"uri", "@idp_indirect_uri", "", false},
    /* kinds */
    {NULL, "@idp_user", "", false},
    {"uri", "@idp_user_uri", "", false},
    {"capital_uri", "@idp_user_uri", POINT, false},
    {NULL, "@idp_ca", "crl.scope", false},
    {NULL, "@idp_attribute", "crl.scope", false},
    {NULL, "@idp_user_and_ca", "crl.issuing-distribution-point", false},
};

static void test_scope(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT_OF(scope_rows); i++) {
        const struct scope_row *row = &scope_rows[i];
        X509 *leaf = row->points == NULL
                         ? X509_dup(world.leaf.cert)
                         : with_extension(&world.leaf, NID_crl_distribution_points, row->points);
        est_question question = ask(leaf);
        est_crl *crl = new_crl(row->by_third ? &world.third_signer : &world.ca, row->idp);
        est_crl_state state = {0};
        judge(&question, crl, NULL, &state);
        if (strcmp(estuary_verdict_code(state.verdict), row->code) != 0)
            print_message("row %zu\n", i);
        assert_verdict(&state, row->code[0] == '\0' ? "good" : "unknown", row->code);
        end(&state);
        X509_free(leaf);
    }
}

/* By the one distribution point whose URL it came from, only that one counts. */
static void test_given_point(void **unused)
{
    (void)unused;
    X509 *leaf = with_extension(&world.leaf, NID_crl_distribution_points, "capital_uri,uri,some");
    CRL_DIST_POINTS *points = X509_get_ext_d2i(leaf, NID_crl_distribution_points, NULL, NULL);
    est_question question = ask(leaf);
    static const char *const codes[] = {POINT, "", "crl.reasons"};
    for (int i = 0; i < 3; i++) {
        est_crl *crl = new_crl(&world.ca, "@uri");
        est_crl_state state = {.verdict = est_verdict_new()};
        assert_int_equal(est_crl_judge(&question, sk_DIST_POINT_value(points, i), crl, NULL, &state, NULL),
                         ESTUARY_OK);
        assert_verdict(&state, i == 1 ? "good" : "unknown", codes[i]);
        end(&state);
        est_crl_free(crl);
    }
    /* RFC 5280 4.2.1.13: nameless */
    DIST_POINT *nameless = DIST_POINT_new();
    est_crl *crl = new_crl(&world.ca, NULL);
    est_crl_state state = {.verdict = est_verdict_new()};
    assert_int_equal(est_crl_judge(&question, nameless, crl, NULL, &state, NULL), ESTUARY_OK);
    assert_verdict(&state, "unknown", "crl.certificate-extension");
    end(&state);
    est_crl_free(crl);
    DIST_POINT_free(nameless);
    CRL_DIST_POINTS_free(points);
    X509_free(leaf);
}

static void test_kinds(void **unused)
{
    (void)unused;
    made sub_ca = make_ca("Sub", &world.ca);
    made old = make_cert(&(recipe){.cn = "old", .issuer = &world.ca, .version_1 = true});
    made no_ca = make_cert(&(recipe){.cn = "none", .issuer = &world.ca, .constraints = "CA:FALSE"});
    X509 *twice = with_extension(&no_ca, NID_basic_constraints, "CA:TRUE");
    est_question question = ask(sub_ca.cert);
    assert_judged(&question, new_crl(&world.ca, "@idp_ca"), NULL, "good", "");
    assert_judged(&question, new_crl(&world.ca, "@idp_user"), NULL, "unknown", "crl.scope");
    assert_judged(&question, new_crl(&world.ca, "@idp_attribute"), NULL, "unknown", "crl.scope");
    question = ask(no_ca.cert);
    assert_judged(&question, new_crl(&world.ca, "@idp_user"), NULL, "good", "");
    assert_judged(&question, new_crl(&world.ca, "@idp_ca"), NULL, "unknown", "crl.scope");
    question = ask(old.cert);
    assert_judged(&question, new_crl(&world.ca, "@idp_user"), NULL, "unknown", "crl.scope");
    assert_judged(&question, new_crl(&world.ca, NULL), NULL, "good", "");
    question = ask(twice);
    assert_judged(&question, new_crl(&world.ca, "@idp_user"), NULL, "unknown", "crl.certificate-extension");
    X509_free(twice);
    free_made(&sub_ca);
    free_made(&old);
    free_made(&no_ca);
}

/* What is there but broken is not absent. */
static void test_broken_extensions(void **unused)
{
    (void)unused;
    static const struct {
        int nid;
        const char *bytes;
        size_t len;
        const char *idp;
    } rows[] = {
        {NID_crl_distribution_points, "\x30\x00", 2, NULL},
        {NID_crl_distribution_points, "\x04\x00", 2, NULL},
        {NID_crl_distribution_points, "", 0, NULL},
        {NID_crl_distribution_points, "\x30\x02\x30\x00", 4, NULL},
        {NID_basic_constraints, "\x04\x00", 2, "@idp_user"},
        {NID_issuer_alt_name, "\x04\x00", 2, "@named_ca"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        X509 *leaf = with_bytes(&world.leaf, rows[i].nid, rows[i].bytes, rows[i].len);
        est_question question = ask(leaf);
        est_crl_state state = {0};
        judge(&question, new_crl(&world.ca, rows[i].idp), NULL, &state);
        /* a nameless point beside the implied one: that CRL is the issuer's own, without any scope */
        bool implied = rows[i].len == 4;
        assert_verdict(&state, implied ? "good" : "unknown", implied ? "" : "crl.certificate-extension");
        end(&state);
        X509_free(leaf);
    }
}

static void test_issuer_alt_name(void **unused)
{
    (void)unused;
    X509 *leaf = with_extension(&world.leaf, NID_issuer_alt_name, "URI:http://crl.example/a.crl");
    est_question question = ask(leaf);
    assert_judged(&question, new_crl(&world.ca, "@uri"), NULL, "good", "");
    assert_judged(&question, new_crl(&world.ca, "@capital_uri"), NULL, "unknown", POINT);
    X509_free(leaf);
}

/* R0 */
static void test_other_issuer(void **unused)
{
    (void)unused;
    est_question question = ask(world.leaf.cert);
    question.issuer = world.root.cert;
    assert_judged(&question, new_crl(&world.ca, NULL), NULL, "unknown", "cert.not-signed-by-issuer");
}

/* --- entries, reasons, dates ------------------------------------------------------------------------- */

static void test_revoked(void **unused)
{
    (void)unused;
    est_question question = ask(world.leaf.cert);
    est_crl_state state = {0};
    est_crl *crl = new_crl(&world.ca, NULL);
    list(crl, 1);
    judge(&question, crl, NULL, &state);
    assert_verdict(&state, "revoked", "");
    assert_int_equal(estuary_verdict_revoked_at(state.verdict), 1700000000);
    assert_string_equal(estuary_verdict_reason(state.verdict), "keyCompromise");
    assert_int_equal(estuary_verdict_source(state.verdict), ESTUARY_REVOCATION_CRL);
    assert_int_equal(estuary_verdict_this_update(state.verdict), world.now - HOUR);
    assert_int_equal(estuary_verdict_next_update(state.verdict), world.now + DAY);
    /* R0: a later "good" takes nothing back */
    judge(&question, new_crl(&world.ca, NULL), NULL, &state);
    assert_verdict(&state, "revoked", "");
    end(&state);
    /* nor does an earlier one, though it covered all reasons */
    judge(&question, new_crl(&world.ca, NULL), NULL, &state);
    assert_verdict(&state, "good", "");
    crl = new_crl(&world.ca, NULL);
    list(crl, -1);
    judge(&question, crl, NULL, &state);
    assert_verdict(&state, "revoked", "");
    assert_string_equal(estuary_verdict_reason(state.verdict), "");
    end(&state);
}

static void test_good(void **unused)
{
    (void)unused;
    est_question question = ask(world.leaf.cert);
    est_crl_state state = {0};
    judge(&question, new_crl(&world.ca, NULL), NULL, &state);
    assert_verdict(&state, "good", "");
    assert_int_equal(state.reasons, 0x807f);
    assert_null(state.delegates);
    assert_int_equal(estuary_verdict_source(state.verdict), ESTUARY_REVOCATION_CRL);
    assert_int_equal(estuary_verdict_this_update(state.verdict), world.now - HOUR);
    assert_int_equal(estuary_verdict_next_update(state.verdict), world.now + DAY);
    assert_string_equal(estuary_verdict_why(state.verdict), "");
    end(&state);
}

static void test_removed_from_complete(void **unused)
{
    (void)unused;
    est_question question = ask(world.leaf.cert);
    est_crl *crl = new_crl(&world.ca, NULL);
    lift(crl);
    assert_judged(&question, crl, NULL, "unknown", "crl.entry-reason");
    crl = new_crl(&world.ca, NULL);
    list(crl, 8);
    assert_judged(&question, crl, NULL, "unknown", "crl.entry-reason");
}

static void test_partial_reasons(void **unused)
{
    (void)unused;
    est_question question = ask(world.leaf.cert);
    est_crl_state state = {0};
    judge(&question, new_crl(&world.ca, "@idp_compromise"), NULL, &state);
    assert_verdict(&state, "unknown", "crl.reasons");
    judge(&question, new_crl(&world.ca, "@idp_compromise"), NULL, &state); /* nothing new */
    judge(&question, new_crl(&world.ca, "@idp_superseded"), NULL, &state);
    assert_verdict(&state, "unknown", "crl.reasons");
    est_crl *crl = new_crl(&world.ca, "@idp_rest");
    crl->this_update = world.now - 2 * HOUR;
    crl->next_update = world.now + HOUR;
    judge(&question, crl, NULL, &state);
    assert_verdict(&state, "good", "");
    /* as old, and lasting as short, as the worst of them */
    assert_int_equal(estuary_verdict_this_update(state.verdict), world.now - 2 * HOUR);
    assert_int_equal(estuary_verdict_next_update(state.verdict), world.now + HOUR);
    end(&state);
    crl = new_crl(&world.ca, "@idp_superseded");
    list(crl, 4);
    judge(&question, crl, NULL, &state);
    assert_verdict(&state, "revoked", "");
    end(&state);
    /* one of the two out of date: its reasons are not covered */
    crl = new_crl(&world.ca, "@idp_rest");
    crl->next_update = world.now - DAY / 2;
    judge(&question, crl, NULL, &state);
    assert_verdict(&state, "unknown", "revocation.stale");
    judge(&question, new_crl(&world.ca, "@idp_compromise"), NULL, &state);
    assert_verdict(&state, "unknown", "revocation.stale");
    end(&state);
}

/* (d) (1) to (3): the point's own reasons count too. */
static void test_reasons_of_point(void **unused)
{
    (void)unused;
    X509 *leaf = with_extension(&world.leaf, NID_crl_distribution_points, "some");
    CRL_DIST_POINTS *points = X509_get_ext_d2i(leaf, NID_crl_distribution_points, NULL, NULL);
    const DIST_POINT *point = sk_DIST_POINT_value(points, 0);
    est_question question = ask(leaf);
    static const struct {
        const char *idp;
        unsigned reasons;
    } rows[] = {{NULL, 0x60}, {"@idp_compromise", 0x60}, {"@idp_rest", 0}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        est_crl_state state = {.verdict = est_verdict_new()};
        est_crl *crl = new_crl(&world.ca, rows[i].idp);
        assert_int_equal(est_crl_judge(&question, point, crl, NULL, &state, NULL), ESTUARY_OK);
        assert_verdict(&state, "unknown", "crl.reasons");
        assert_int_equal(state.reasons, rows[i].reasons);
        list(crl, 1); /* an entry is an entry */
        assert_int_equal(est_crl_judge(&question, point, crl, NULL, &state, NULL), ESTUARY_OK);
        assert_verdict(&state, "revoked", "");
        est_crl_free(crl);
        end(&state);
    }
    /* by hand, and all reasons on one CRL: 6.3.3's last paragraph */
    assert_judged(&question, new_crl(&world.ca, NULL), NULL, "good", "");
    CRL_DIST_POINTS_free(points);
    X509_free(leaf);
}

/* R0: revoked for good stays revoked, and says by what; a hold may have been lifted since. */
static void test_revoked_outlives_the_crl(void **unused)
{
    (void)unused;
    static const struct {
        long this_update, next_update;
        int reason;
        bool revoked;
    } rows[] = {
        {-30 * DAY, -29 * DAY, -1, true}, {-30 * DAY, -29 * DAY, 1, true}, {-30 * DAY, -29 * DAY, 6, false},
        {-8 * DAY, 0, 1, true},           {-8 * DAY, 0, 6, false},         {301, DAY, 1, false},
    };
    est_question question = ask(world.leaf.cert);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        est_crl *crl = new_crl(&world.ca, NULL);
        est_crl_state state = {0};
        crl->this_update = world.now + rows[i].this_update;
        crl->next_update = rows[i].next_update == 0 ? 0 : world.now + rows[i].next_update;
        list(crl, rows[i].reason);
        judge(&question, crl, NULL, &state);
        assert_int_equal(state.verdict->status,
                         rows[i].revoked ? ESTUARY_REVOCATION_REVOKED : ESTUARY_REVOCATION_UNKNOWN);
        assert_int_equal(state.verdict->outdated, rows[i].revoked);
        assert_int_equal(strstr(state.verdict->why, "stays revoked") != NULL, rows[i].revoked);
        assert_int_equal(state.reasons, 0);
        end(&state);
    }
}

static void test_dates(void **unused)
{
    (void)unused;
    static const struct {
        long this_update, next_update; /* from now; next 0: not said */
        long max_age;
        const char *code;
    } rows[] = {
        {-HOUR, DAY, 0, ""},
        {-HOUR, -299, 0, ""},
        {-HOUR, -301, 0, "revocation.stale"},
        {299, DAY, 0, ""},
        {301, DAY, 0, "revocation.not-yet-valid"},
        {-30 * DAY, DAY, 0, ""},
        {-30 * DAY, DAY, 7 * DAY, "revocation.too-old"},
        {-6 * DAY, 0, 0, ""},
        {-8 * DAY, 0, 0, "revocation.too-old"},
    };
    est_question question = ask(world.leaf.cert);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (int listed = 0; listed < 2; listed++) {
            est_crl *crl = new_crl(&world.ca, NULL);
            const char *answer = listed ? "revoked" : "good";
            crl->this_update = world.now + rows[i].this_update;
            crl->next_update = rows[i].next_update == 0 ? 0 : world.now + rows[i].next_update;
            if (listed)
                list(crl, -1);
            question.max_age = rows[i].max_age;
            bool counts = rows[i].code[0] == '\0' || (listed && rows[i].this_update < 0);
            assert_judged(&question, crl, NULL, counts ? answer : "unknown", counts ? "" : rows[i].code);
        }
    }
}

/* RFC 5280 3.3: what has expired need not be listed any more. */
static void test_expired_certificate(void **unused)
{
    (void)unused;
    made gone = make_cert(&(recipe){.cn = "gone", .issuer = &world.ca, .from = -DAY, .to = -2 * HOUR});
    est_question question = ask(gone.cert);
    assert_judged(&question, new_crl(&world.ca, NULL), NULL, "unknown", "crl.certificate-expired");
    est_crl *crl = new_crl(&world.ca, NULL);
    list(crl, -1);
    assert_judged(&question, crl, NULL, "revoked", "");
    crl = new_crl(&world.ca, NULL);
    crl->this_update = world.now - 3 * HOUR; /* made while it was valid */
    assert_judged(&question, crl, NULL, "good", "");
    free_made(&gone);
}

/* The least useful reason goes first. */
static void test_which_reason(void **unused)
{
    (void)unused;
    est_question question = ask(world.leaf.cert);
    est_crl_state state = {0};
    judge(&question, new_crl(&world.root, NULL), NULL, &state);
    assert_verdict(&state, "unknown", "crl.issuer");
    est_crl *crl = new_crl(&world.ca, NULL);
    crl->next_update = world.now - HOUR / 2;
    judge(&question, crl, NULL, &state);
    assert_verdict(&state, "unknown", "revocation.stale");
    judge(&question, new_crl(&world.root, NULL), NULL, &state);
    assert_verdict(&state, "unknown", "revocation.stale");
    end(&state);
}

/* --- (f): who signed it ------------------------------------------------------------------------------ */

/* What is said of the leaf by a CRL of the CA's name that `signer` signed; *pairs: delegates. */
static void assert_signer(const est_question *question, const made *signer, const char *code, int pairs)
{
    est_crl_state state = {0};
    judge(question, new_crl(signer, NULL), NULL, &state);
    assert_verdict(&state, code[0] == '\0' ? "good" : "unknown", code);
    assert_int_equal(state.delegates == NULL ? 0 : sk_X509_num(state.delegates), 2 * pairs);
    if (pairs > 0)
        assert_int_equal(X509_cmp(sk_X509_value(state.delegates, 0), signer->cert), 0);
    end(&state);
}

static void test_signer_usage(void **unused)
{
    (void)unused;
    made root = make_ca("Root", NULL);
    made mute = make_cert(
        &(recipe){.cn = "CA", .issuer = &root, .constraints = "critical,CA:TRUE", .usage = "keyCertSign"});
    made plain = make_cert(&(recipe){.cn = "CA", .issuer = &root, .key = mute.key, .constraints = "CA:TRUE"});
    made leaf = make_client("leaf", &mute);
    est_question question = ask(leaf.cert);
    question.issuer = mute.cert;
    assert_signer(&question, &mute, "crl.signer-usage", 0);
    /* the same key in a certificate without keyUsage, but that one's path is not known */
    STACK_OF(X509) *helpers = make_stack(plain.cert, NULL);
    question.helpers = helpers;
    assert_signer(&question, &mute, "crl.signer-usage", 0);
    question.issuer = plain.cert;
    assert_signer(&question, &plain, "", 0);
    assert_signer(&question, &mute, "", 0); /* the reader found another certificate of the key */
    sk_X509_pop_free(helpers, X509_free);
    made *all[] = {&root, &mute, &plain, &leaf};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        free_made(all[i]);
}

/* Another key of the same CA, certified by the same superior: PKITS 4.4.19 */
static void test_second_key(void **unused)
{
    (void)unused;
    made second = make_cert(&(recipe){.cn = "CA", .issuer = &world.root, .usage = "cRLSign"});
    made late = make_cert(
        &(recipe){.cn = "CA", .issuer = &world.root, .usage = "cRLSign", .from = -2 * DAY, .to = -DAY});
    made mute = make_cert(&(recipe){.cn = "CA", .issuer = &world.root, .usage = "digitalSignature"});
    made critical =
        make_cert(&(recipe){.cn = "CA", .issuer = &world.root, .usage = "cRLSign", .unknown_critical = true});
    est_question question = ask(world.leaf.cert);
    assert_signer(&question, &second, "", 1);
    assert_signer(&question, &late, "crl.signer-path", 0);
    assert_signer(&question, &critical, "crl.signer-path", 0);
    assert_signer(&question, &mute, "crl.signer-usage", 0);
    question.anchors = NULL;
    assert_signer(&question, &second, "crl.signer-path", 0);
    made *all[] = {&second, &late, &mute, &critical};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        free_made(all[i]);
}

/* 6.3.3 (f): "The trust anchor ... MUST be the same"; R0 */
static void test_other_anchor(void **unused)
{
    (void)unused;
    made nobody = make_ca("CA", NULL);
    made below_leaf = make_cert(&(recipe){.cn = "CA", .issuer = &world.leaf, .usage = "cRLSign"});
    made evil = make_ca("Evil", &world.root);
    made evil_ca = make_ca("CA", &evil);
    STACK_OF(X509) *helpers = make_stack(evil.cert, evil_ca.cert, world.leaf.cert, NULL);
    est_question question = ask(world.leaf.cert);
    question.helpers = helpers;
    assert_signer(&question, &world.other_ca, "crl.signer-anchor", 0);
    assert_signer(&question, &nobody, "crl.signer-path", 0);
    assert_signer(&question, &below_leaf, "crl.signer-path", 0);
    /* the same anchor, but the name was given out by another CA (RFC 5280 8) */
    assert_signer(&question, &evil_ca, "crl.signer-anchor", 0);
    sk_X509_pop_free(helpers, X509_free);
    made *all[] = {&nobody, &below_leaf, &evil, &evil_ca};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        free_made(all[i]);
}

/* An issuer that is trusted as it is, though it leads to no anchor: nobody else can speak for it. */
static void test_issuer_without_anchor(void **unused)
{
    (void)unused;
    made root = make_ca("Root", NULL), ca = make_ca("CA", &root), leaf = make_client("leaf", &ca);
    made second = make_cert(&(recipe){.cn = "CA", .issuer = &world.root, .usage = "cRLSign"});
    est_question question = ask(leaf.cert);
    question.issuer = ca.cert;
    assert_signer(&question, &ca, "", 0);
    assert_signer(&question, &second, "crl.signer-anchor", 0);
    made *all[] = {&root, &ca, &leaf, &second};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        free_made(all[i]);
}

/* RFC 4210 4.4: the new key, certified with the old one; anchors are not needed. */
static void test_rollover(void **unused)
{
    (void)unused;
    const char *ca = "critical,CA:TRUE", *usage = "keyCertSign,cRLSign";
    made fresh = make_cert(&(recipe){.cn = "CA", .issuer = &world.ca, .constraints = ca, .usage = usage});
    made crl_only = make_cert(&(recipe){.cn = "CA", .issuer = &world.ca, .usage = "cRLSign"});
    made late = make_cert(&(recipe){
        .cn = "CA", .issuer = &world.ca, .constraints = ca, .usage = usage, .from = -2 * DAY, .to = -DAY});
    made weak = make_cert(
        &(recipe){.cn = "CA", .issuer = &world.ca, .constraints = ca, .usage = usage, .digest = "SHA1"});
    made forged = make_cert(&(recipe){
        .cn = "CA", .issuer = &world.ca, .constraints = ca, .usage = usage, .broken_signature = true});
    est_question question = ask(world.leaf.cert);
    for (int with_anchors = 0; with_anchors < 2; with_anchors++) {
        question.anchors = with_anchors ? world.anchors : NULL;
        assert_signer(&question, &fresh, "", 0);
        assert_signer(&question, &crl_only, "", 1); /* it may be revoked: PKITS 4.5.6 */
        assert_signer(&question, &late, "crl.signer-path", 0);
        assert_signer(&question, &weak, "crl.signer-path", 0);
        assert_signer(&question, &forged, "crl.signer-path", 0);
    }
    /* the other way round: the certificate is the new key's, the CRL the old key's */
    made leaf = make_client("leaf", &fresh);
    question = ask(leaf.cert);
    question.issuer = fresh.cert;
    question.anchors = NULL;
    assert_signer(&question, &world.ca, "", 0);
    assert_signer(&question, &world.other_ca, "crl.signer-path", 0);
    /* a root is signed by itself, whoever else claims it */
    made claimant = make_ca("Root", NULL);
    question.certificate = world.ca.cert;
    question.issuer = world.root.cert;
    assert_signer(&question, &world.root, "", 0);
    assert_signer(&question, &claimant, "crl.signer-path", 0);
    made *all[] = {&claimant, &fresh, &crl_only, &late, &weak, &forged, &leaf};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        free_made(all[i]);
}

/* An exponent of one's own choice would let a second key fit a given signature. */
static void test_odd_exponent(void **unused)
{
    (void)unused;
    BIGNUM *three = BN_new();
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    assert_int_equal(BN_set_word(three, 3), 1);
    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 1024), 1);
    assert_int_equal(EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, three), 1);
    assert_int_equal(EVP_PKEY_generate(ctx, &key), 1);
    const char *ca = "critical,CA:TRUE", *usage = "keyCertSign,cRLSign";
    made usual = make_cert(
        &(recipe){.cn = "CA", .issuer = &world.root, .kind = "rsa:1024", .constraints = ca, .usage = usage});
    made odd = make_cert(
        &(recipe){.cn = "CA", .issuer = &world.root, .key = key, .constraints = ca, .usage = usage});
    made by_usual = make_cert(&(recipe){.cn = "CA", .issuer = &usual, .constraints = ca, .usage = usage});
    made by_odd = make_cert(&(recipe){.cn = "CA", .issuer = &odd, .constraints = ca, .usage = usage});
    made leaf = make_client("leaf", &by_usual), odd_leaf = make_client("leaf", &by_odd);
    est_question question = ask(leaf.cert);
    question.anchors = NULL;
    question.issuer = by_usual.cert;
    assert_signer(&question, &usual, "", 0);
    question.certificate = odd_leaf.cert;
    question.issuer = by_odd.cert;
    assert_signer(&question, &odd, "crl.signer-path", 0);
    made *all[] = {&usual, &odd, &by_usual, &by_odd, &leaf, &odd_leaf};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        free_made(all[i]);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    BN_free(three);
}

/* An indirect CRL's signer some way below the anchor: everything down to it must be good. */
static void test_delegates(void **unused)
{
    (void)unused;
    made middle = make_ca("Middle", &world.root);
    made signer = make_cert(&(recipe){.cn = "Third", .issuer = &middle, .usage = "cRLSign"});
    made below_ca = make_cert(&(recipe){.cn = "Third", .issuer = &world.ca, .usage = "cRLSign"});
    X509 *leaf = with_extension(&world.leaf, NID_crl_distribution_points, "third");
    STACK_OF(X509) *helpers = make_stack(middle.cert, NULL);
    est_question question = ask(leaf);
    est_crl_state state = {0};
    question.helpers = helpers;
    judge(&question, new_crl(&signer, "@idp_indirect"), NULL, &state);
    assert_verdict(&state, "good", "");
    X509 *expected[] = {signer.cert, middle.cert, middle.cert, world.root.cert};
    assert_int_equal(sk_X509_num(state.delegates), 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(X509_cmp(sk_X509_value(state.delegates, i), expected[i]), 0);
    end(&state);
    /* below the issuer itself, whose own path is checked with the chain */
    judge(&question, new_crl(&below_ca, "@idp_indirect"), NULL, &state);
    assert_verdict(&state, "good", "");
    assert_int_equal(sk_X509_num(state.delegates), 2);
    assert_int_equal(X509_cmp(sk_X509_value(state.delegates, 1), world.ca.cert), 0);
    end(&state);
    /* a CRL that counts for nothing leaves nothing to be checked */
    est_crl *crl = new_crl(&signer, "@idp_indirect");
    crl->next_update = world.now - HOUR / 2;
    judge(&question, crl, NULL, &state);
    assert_verdict(&state, "unknown", "revocation.stale");
    assert_null(state.delegates);
    end(&state);
    /* "revoked" has its delegates too */
    crl = new_crl(&signer, "@idp_indirect");
    list(crl, -1);
    judge(&question, crl, NULL, &state);
    assert_verdict(&state, "revoked", "");
    assert_int_equal(sk_X509_num(state.delegates), 4);
    end(&state);
    /* R0: what the issuer itself says does not wait for those who signed what came before */
    X509_free(leaf);
    leaf = with_extension(&world.leaf, NID_crl_distribution_points, "third,uri");
    question.certificate = leaf;
    judge(&question, new_crl(&signer, "@idp_indirect"), NULL, &state);
    assert_int_equal(sk_X509_num(state.delegates), 4);
    crl = new_crl(&world.ca, "@uri");
    list(crl, 1);
    judge(&question, crl, NULL, &state);
    assert_verdict(&state, "revoked", "");
    assert_true(sk_X509_num(state.delegates) <= 0);
    end(&state);
    sk_X509_pop_free(helpers, X509_free);
    X509_free(leaf);
    /* on the issuer's own path: checked with the chain */
    leaf = with_extension(&world.leaf, NID_crl_distribution_points, "by_root");
    question = ask(leaf);
    judge(&question, new_crl(&world.root, "@idp_indirect"), NULL, &state);
    assert_verdict(&state, "good", "");
    assert_null(state.delegates);
    end(&state);
    X509_free(leaf);
    made *all[] = {&middle, &signer, &below_ca};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        free_made(all[i]);
}

static void test_signers(void **unused)
{
    (void)unused;
    STACK_OF(X509) *helpers = make_stack(world.third_signer.cert, world.ca.cert, NULL), *signers = NULL;
    est_question question = ask(world.leaf.cert);
    question.helpers = helpers;
    assert_int_equal(est_crl_signers(&question, &signers, NULL), ESTUARY_OK);
    X509 *expected[] = {world.ca.cert, world.third_signer.cert, world.root.cert, world.other_root.cert};
    assert_int_equal(sk_X509_num(signers), 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(X509_cmp(sk_X509_value(signers, i), expected[i]), 0);
    sk_X509_pop_free(signers, X509_free);
    question.anchors = NULL;
    question.helpers = NULL;
    assert_int_equal(est_crl_signers(&question, &signers, NULL), ESTUARY_OK);
    assert_int_equal(sk_X509_num(signers), 1);
    sk_X509_pop_free(signers, X509_free);
    sk_X509_pop_free(helpers, X509_free);
}

/* --- (c), (h) to (k): delta CRLs ---------------------------------------------------------------------- */

enum { ABSENT = -2, LIFTED = -3, PLAIN = -1, COMPROMISE = 1, HOLD = 6 };

static void set_entry(est_crl *crl, int entry)
{
    if (entry == LIFTED)
        lift(crl);
    else if (entry != ABSENT)
        list(crl, entry);
}

static const struct delta_row {
    const char *what;
    long complete, delta, base; /* numbers; -1: none */
    int in_complete, in_delta;
    long complete_ends, delta_ends; /* from now */
    const char *status, *code;
    estuary_revocation_source source;
} delta_rows[] = {
#define GOOD    "good", "", ESTUARY_REVOCATION_CRL
#define UPDATED "good", "", ESTUARY_REVOCATION_DELTA
#define REVOKED "revoked", "", ESTUARY_REVOCATION_CRL
#define NEWLY   "revoked", "", ESTUARY_REVOCATION_DELTA
    {"nothing", 5, 7, 5, ABSENT, ABSENT, DAY, HOUR, UPDATED},
    {"revoked since", 5, 7, 5, ABSENT, COMPROMISE, DAY, HOUR, NEWLY},
    {"revoked before", 5, 7, 5, PLAIN, ABSENT, DAY, HOUR, REVOKED},
    {"hold became revocation", 5, 7, 5, HOLD, COMPROMISE, DAY, HOUR, NEWLY},
    {"hold lifted", 5, 7, 5, HOLD, LIFTED, DAY, HOUR, UPDATED},
    {"hold in between, lifted", 5, 7, 5, ABSENT, LIFTED, DAY, HOUR, UPDATED},
    {"revoked for good, dropped as expired", 5, 7, 5, COMPROMISE, LIFTED, DAY, HOUR, REVOKED},
    {"the complete CRL is newer than the base", 6, 7, 5, ABSENT, ABSENT, DAY, HOUR, UPDATED},
    {"another base", 5, 9, 6, ABSENT, ABSENT, DAY, HOUR, "unknown", "crl.delta-base", ESTUARY_REVOCATION_CRL},
    {"another base, revoked", 5, 9, 6, ABSENT, PLAIN, DAY, HOUR, NEWLY},
    {"another base, revoked before", 5, 9, 6, PLAIN, ABSENT, DAY, HOUR, REVOKED},
    {"another base does not lift", 5, 9, 6, HOLD, LIFTED, DAY, HOUR, REVOKED},
    {"older than the complete CRL", 8, 7, 5, ABSENT, PLAIN, DAY, HOUR, GOOD},
    {"older does not lift", 8, 7, 5, HOLD, LIFTED, DAY, HOUR, REVOKED},
    {"of the same number", 7, 7, 5, ABSENT, ABSENT, DAY, HOUR, GOOD},
    {"of the same number, revoked", 7, 7, 5, ABSENT, PLAIN, DAY, HOUR, NEWLY},
    {"of the same number does not lift", 7, 7, 5, HOLD, LIFTED, DAY, HOUR, REVOKED},
    {"stale delta", 5, 7, 5, ABSENT, ABSENT, DAY, -HOUR / 2, GOOD},
    {"stale delta, revoked", 5, 7, 5, ABSENT, PLAIN, DAY, -HOUR / 2, NEWLY},
    {"stale delta does not lift", 5, 7, 5, HOLD, LIFTED, DAY, -HOUR / 2, REVOKED},
    {"stale base", 5, 7, 5, ABSENT, ABSENT, -HOUR / 2, HOUR, UPDATED},
    {"stale base, revoked", 5, 7, 5, PLAIN, ABSENT, -HOUR / 2, HOUR, REVOKED},
    {"both stale", 5, 7, 5, ABSENT, ABSENT, -HOUR / 2, -HOUR / 2, "unknown", "revocation.stale",
     ESTUARY_REVOCATION_CRL},
    {"both stale, revoked", 5, 7, 5, COMPROMISE, ABSENT, -HOUR / 2, -HOUR / 2, REVOKED},
    {"both stale, hold", 5, 7, 5, HOLD, ABSENT, -HOUR / 2, -HOUR / 2, "unknown", "revocation.stale",
     ESTUARY_REVOCATION_CRL},
    {"stale base, hold", 5, 7, 5, HOLD, ABSENT, -HOUR / 2, HOUR, REVOKED},
    {"stale delta, hold", 5, 7, 5, ABSENT, HOLD, DAY, -HOUR / 2, "unknown", "revocation.stale",
     ESTUARY_REVOCATION_CRL},
    {"stale delta for another base, hold", 5, 9, 6, ABSENT, HOLD, DAY, -HOUR / 2, "unknown",
     "revocation.stale", ESTUARY_REVOCATION_CRL},
    {"stale base for another delta", 5, 9, 6, ABSENT, ABSENT, -HOUR / 2, HOUR, "unknown", "revocation.stale",
     ESTUARY_REVOCATION_CRL},
    {"complete CRL without a number", -1, 7, 5, ABSENT, ABSENT, DAY, HOUR, "unknown", "crl.delta-number",
     ESTUARY_REVOCATION_CRL},
    {"delta without a number", 5, -1, 5, ABSENT, PLAIN, DAY, HOUR, "unknown", "crl.delta-number",
     ESTUARY_REVOCATION_CRL},
    {"not a delta", 5, 7, -1, ABSENT, ABSENT, DAY, HOUR, "unknown", "crl.delta-base", ESTUARY_REVOCATION_CRL},
};

static est_crl *numbered(long own, long base, int entry, long ends)
{
    est_crl *crl = new_crl(&world.ca, NULL);
    if (own >= 0)
        crl->number = number(own);
    if (base >= 0)
        crl->base_number = number(base);
    crl->next_update = world.now + ends;
    set_entry(crl, entry);
    return crl;
}

static void test_deltas(void **unused)
{
    (void)unused;
    est_question question = ask(world.leaf.cert);
    for (size_t i = 0; i < COUNT_OF(delta_rows); i++) {
        const struct delta_row *row = &delta_rows[i];
        est_crl_state state = {0};
        est_crl *complete = numbered(row->complete, -1, row->in_complete, row->complete_ends);
        est_crl *delta = numbered(row->delta, row->base, row->in_delta, row->delta_ends);
        delta->this_update += 60;
        judge(&question, complete, delta, &state);
        if (strcmp(estuary_verdict_code(state.verdict), row->code) != 0 ||
            strcmp(estuary_revocation_status_name(state.verdict->status), row->status) != 0)
            print_message("%s\n", row->what);
        assert_verdict(&state, row->status, row->code);
        assert_int_equal(estuary_verdict_source(state.verdict), row->source);
        end(&state);
    }
}

/* The two together have the delta's dates (RFC 5280 5.2.4). */
static void test_delta_dates(void **unused)
{
    (void)unused;
    est_question question = ask(world.leaf.cert);
    est_crl_state state = {0};
    est_crl *complete = new_numbered(5, -1), *delta = new_numbered(7, 5);
    delta->this_update = world.now - 60;
    delta->next_update = world.now + HOUR;
    judge(&question, complete, delta, &state);
    assert_verdict(&state, "good", "");
    assert_int_equal(estuary_verdict_this_update(state.verdict), world.now - 60);
    assert_int_equal(estuary_verdict_next_update(state.verdict), world.now + HOUR);
    end(&state);
    /* the higher number on the earlier date */
    complete = new_numbered(5, -1);
    delta = new_numbered(7, 5);
    delta->this_update = complete->this_update - 60;
    assert_judged(&question, complete, delta, "unknown", "crl.delta-number");
    /* a complete CRL of tomorrow is no base of today */
    complete = new_numbered(5, -1);
    delta = new_numbered(7, 5);
    complete->this_update = delta->this_update = world.now + HOUR;
    assert_judged(&question, complete, delta, "unknown", "revocation.not-yet-valid");
    /* max_age is the delta's */
    complete = new_numbered(5, -1);
    delta = new_numbered(7, 5);
    complete->this_update = world.now - 30 * DAY;
    question.max_age = DAY;
    assert_judged(&question, complete, delta, "good", "");
}

static void test_delta_alone(void **unused)
{
    (void)unused;
    est_question question = ask(world.leaf.cert);
    assert_judged(&question, new_numbered(7, 5), NULL, "unknown", "crl.delta-alone");
    est_crl *delta = new_numbered(7, 5);
    lift(delta);
    assert_judged(&question, delta, NULL, "unknown", "crl.delta-alone");
    delta = new_numbered(7, 5);
    list(delta, -1);
    est_crl_state state = {0};
    judge(&question, delta, NULL, &state);
    assert_verdict(&state, "revoked", "");
    assert_int_equal(estuary_verdict_source(state.verdict), ESTUARY_REVOCATION_DELTA);
    end(&state);
    delta = new_numbered(7, 5);
    list(delta, -1);
    delta->next_update = world.now - HOUR / 2;
    assert_judged(&question, delta, NULL, "revoked", "");
    delta = new_numbered(7, 5);
    list(delta, 6);
    delta->next_update = world.now - HOUR / 2;
    assert_judged(&question, delta, NULL, "unknown", "revocation.stale");
}

/* (c) (1) to (3), (h): what does not belong together is not put together, whatever it says. */
static void test_delta_misfits(void **unused)
{
    (void)unused;
    made second = make_ca("CA", &world.root);
    est_question question = ask(world.leaf.cert);
    static const char *const codes[] = {"crl.delta-issuer", "crl.delta-scope",  "crl.delta-scope",
                                        "crl.delta-signer", "crl.delta-signer", "crl.delta-signer"};
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        est_crl *complete = new_crl(&world.ca, i == 1 ? "@idp_user" : NULL);
        est_crl *delta = new_crl(i == 0   ? &world.root
                                 : i == 3 ? &second
                                          : &world.ca,
                                 i == 1   ? "@idp_user_uri"
                                 : i == 2 ? "@idp_user"
                                          : NULL);
        complete->number = number(5);
        delta->number = number(7);
        delta->base_number = number(5);
        if (i >= 4)
            complete->akid = AUTHORITY_KEYID_new();
        if (i == 5) {
            delta->akid = AUTHORITY_KEYID_new();
            delta->akid->serial = number(1);
        }
        assert_false(est_crl_delta_belongs(complete, delta));
        list(delta, 1);
        assert_judged(&question, complete, delta, "unknown", codes[i]);
    }
    /* but what the complete CRL says, it says */
    est_crl *complete = new_numbered(5, -1), *delta = new_crl(&second, NULL);
    delta->number = number(7);
    delta->base_number = number(5);
    list(complete, -1);
    assert_judged(&question, complete, delta, "revoked", "");
    free_made(&second);
}

static void test_delta_belongs(void **unused)
{
    (void)unused;
    est_crl *complete = new_crl(&world.ca, "@idp_user_uri"), *delta = new_crl(&world.ca, "@idp_user_uri");
    delta->base_number = number(5);
    assert_true(est_crl_delta_belongs(complete, delta));
    assert_false(est_crl_delta_belongs(delta, complete));
    assert_false(est_crl_delta_belongs(delta, delta));
    assert_false(est_crl_delta_belongs(complete, complete));
    est_crl_free(complete);
    est_crl_free(delta);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scope),
        cmocka_unit_test(test_given_point),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_broken_extensions),
        cmocka_unit_test(test_issuer_alt_name),
        cmocka_unit_test(test_other_issuer),
        cmocka_unit_test(test_revoked),
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_removed_from_complete),
        cmocka_unit_test(test_partial_reasons),
        cmocka_unit_test(test_reasons_of_point),
        cmocka_unit_test(test_revoked_outlives_the_crl),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_expired_certificate),
        cmocka_unit_test(test_which_reason),
        cmocka_unit_test(test_signer_usage),
        cmocka_unit_test(test_second_key),
        cmocka_unit_test(test_other_anchor),
        cmocka_unit_test(test_issuer_without_anchor),
        cmocka_unit_test(test_rollover),
        cmocka_unit_test(test_odd_exponent),
        cmocka_unit_test(test_delegates),
        cmocka_unit_test(test_signers),
        cmocka_unit_test(test_deltas),
        cmocka_unit_test(test_delta_dates),
        cmocka_unit_test(test_delta_alone),
        cmocka_unit_test(test_delta_misfits),
        cmocka_unit_test(test_delta_belongs),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
