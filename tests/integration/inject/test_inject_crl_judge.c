/* RFC 5280 6.3.3 with each allocation and each call to OpenSSL failing in turn (R4): no crash, no leak, no
 * "good". */
#include "../../unit/support.h"

#include "../../unit/make_certs.h"
#include "inject.h"
#include "revocation/revocation.h"

#include <openssl/bio.h>
#include <openssl/conf.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#define HOUR 3600

static const char sections[] = "[point]\nrelativename = rdn\nCRLissuer = dirName:third\n"
                               "[idp]\nindirectCRL = TRUE\nrelativename = rdn\nonlyuser = TRUE\n"
                               "[rdn]\nOU = point\n"
                               "[third]\nCN = Third\n";

typedef struct scene {
    const char *what;
    X509 *certificate, *issuer;
    est_crl *complete, *delta;
    const estuary_anchors *anchors;
    estuary_revocation_status expected;
    int pairs; /* of delegates, when the verdict counts */
} scene;

/* Prepared before anything fails. */
static struct {
    made root, ca, leaf, fresh, third, second;
    X509 *indirect_leaf;
    estuary_anchors *anchors;
    CONF *conf;
    time_t now;
    scene scenes[8];
    size_t count;
} s;

static X509_EXTENSION *extension(int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, NULL, NULL, NULL, NULL, 0);
    X509V3_set_nconf(&ctx, s.conf);
    X509_EXTENSION *out = X509V3_EXT_nconf_nid(s.conf, &ctx, nid, value);
    assert_non_null(out);
    return out;
}

static est_crl *new_crl(const made *signer, const char *idp, long number, long base)
{
    est_crl *crl = est_alloc(sizeof(*crl));
    crl->signer = X509_dup(signer->cert);
    crl->issuer = X509_NAME_dup(X509_get_subject_name(signer->cert));
    crl->this_update = s.now - HOUR;
    crl->next_update = s.now + HOUR;
    crl->reason = -1;
    crl->number = ASN1_INTEGER_new();
    assert_int_equal(ASN1_INTEGER_set(crl->number, number), 1);
    crl->akid = AUTHORITY_KEYID_new();
    if (base > 0) {
        crl->base_number = ASN1_INTEGER_new();
        assert_int_equal(ASN1_INTEGER_set(crl->base_number, base), 1);
    }
    if (idp != NULL) {
        X509_EXTENSION *one = extension(NID_issuing_distribution_point, idp);
        crl->idp = X509V3_EXT_d2i(one);
        X509_EXTENSION_free(one);
    }
    return crl;
}

static est_crl *listing(est_crl *crl, int reason)
{
    crl->found = true;
    crl->removed = reason == 8;
    crl->reason = reason;
    return crl;
}

static void add(scene one)
{
    assert_true(s.count < COUNT_OF(s.scenes));
    s.scenes[s.count++] = one;
}

static void make_certificates(void)
{
    long line = 0;
    BIO *text = BIO_new_mem_buf(sections, -1);
    s.conf = NCONF_new(NULL);
    assert_int_equal(NCONF_load_bio(s.conf, text, &line), 1);
    BIO_free(text);
    s.now = est_now();
    s.root = make_ca("Root", NULL);
    s.ca = make_ca("CA", &s.root);
    s.leaf = make_client("leaf", &s.ca);
    s.fresh = make_ca("CA", &s.ca);
    s.third = make_cert(&(recipe){.cn = "Third", .issuer = &s.root, .usage = "cRLSign"});
    s.second = make_cert(&(recipe){.cn = "CA", .issuer = &s.root, .usage = "cRLSign"});
    s.indirect_leaf = X509_dup(s.leaf.cert);
    X509_EXTENSION *points = extension(NID_crl_distribution_points, "point");
    assert_int_equal(X509_add_ext(s.indirect_leaf, points, -1), 1);
    assert_true(X509_sign(s.indirect_leaf, s.ca.key, EVP_sha256()) > 0);
    X509_EXTENSION_free(points);
    STACK_OF(X509) *roots = make_stack(s.root.cert, NULL);
    assert_int_equal(estuary_anchors_from_certs(roots, &s.anchors, NULL), ESTUARY_OK);
    sk_X509_pop_free(roots, X509_free);
}

static void open_all(void)
{
    make_certificates();
    X509 *leaf = s.leaf.cert, *ca = s.ca.cert;
    const estuary_revocation_status good = ESTUARY_REVOCATION_GOOD, revoked = ESTUARY_REVOCATION_REVOKED,
                                    unknown = ESTUARY_REVOCATION_UNKNOWN;
    add((scene){"revoked", leaf, ca, listing(new_crl(&s.ca, NULL, 5, 0), 1), NULL, NULL, revoked, 0});
    add((scene){"indirect", s.indirect_leaf, ca, new_crl(&s.third, "@idp", 5, 0), NULL, s.anchors, good, 1});
    add((scene){"rollover", leaf, ca, new_crl(&s.fresh, NULL, 5, 0), NULL, NULL, good, 0});
    add((scene){"second key", leaf, ca, new_crl(&s.second, NULL, 5, 0), NULL, s.anchors, good, 1});
    add((scene){"delta", s.indirect_leaf, ca, listing(new_crl(&s.third, "@idp", 5, 0), 6),
                listing(new_crl(&s.third, "@idp", 7, 5), 8), s.anchors, good, 1});
    add((scene){"delta, revoked", leaf, ca, new_crl(&s.ca, NULL, 5, 0),
                listing(new_crl(&s.ca, NULL, 7, 5), 1), NULL, revoked, 0});
    add((scene){"another scope", leaf, ca, new_crl(&s.ca, "@idp", 5, 0), NULL, s.anchors, unknown, 0});
    add((scene){"no anchors", leaf, ca, new_crl(&s.second, NULL, 5, 0), NULL, NULL, unknown, 0});
}

static void close_all(void)
{
    for (size_t i = 0; i < s.count; i++) {
        est_crl_free(s.scenes[i].complete);
        est_crl_free(s.scenes[i].delta);
    }
    made *all[] = {&s.root, &s.ca, &s.leaf, &s.fresh, &s.third, &s.second};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        free_made(all[i]);
    X509_free(s.indirect_leaf);
    estuary_anchors_free(s.anchors);
    NCONF_free(s.conf);
}

/* A failure may make it unknown; it never makes it good, and never loses a delegate. */
static void check(const scene *one, const est_crl_state *state, estuary_status status)
{
    estuary_revocation_status told = state->verdict->status;
    int pairs = state->delegates == NULL ? 0 : sk_X509_num(state->delegates) / 2;
    INJECT_REQUIRE(status == ESTUARY_OK || inject_hit());
    INJECT_REQUIRE(status == ESTUARY_OK || told == ESTUARY_REVOCATION_UNKNOWN);
    INJECT_REQUIRE(told == one->expected || inject_hit());
    INJECT_REQUIRE(told == one->expected || told != ESTUARY_REVOCATION_GOOD);
    INJECT_REQUIRE(told == one->expected || told != ESTUARY_REVOCATION_REVOKED ||
                   one->complete->found); /* a hold that cannot be seen to be lifted */
    INJECT_REQUIRE(told == ESTUARY_REVOCATION_UNKNOWN || pairs >= one->pairs);
}

static void judge(const scene *one)
{
    est_question question = {.certificate = one->certificate,
                             .issuer = one->issuer,
                             .anchors = one->anchors,
                             .now = s.now,
                             .skew = 300};
    inject_pause();
    est_crl_state state = {.verdict = est_verdict_new()};
    inject_resume();
    estuary_status status = est_crl_judge(&question, NULL, one->complete, one->delta, &state, NULL);
    inject_pause();
    check(one, &state, status);
    est_crl_state_clear(&state);
    estuary_verdict_free(state.verdict);
    ERR_clear_error();
    inject_resume();
}

static void every_judgement(const void *arg)
{
    (void)arg;
    inject_resume();
    for (size_t i = 0; i < s.count; i++)
        judge(&s.scenes[i]);
    inject_pause();
}

int main(void)
{
    bool passed = true;
    inject_set_up();
    open_all();
    const inject_plan tests[] = {
        {"every OpenSSL call", INJECT_OPENSSL, every_judgement, NULL, 0},
        {"every allocation of ours", INJECT_OUR_ALLOCATION, every_judgement, NULL, 0},
        {"allocations", INJECT_ALLOCATION, every_judgement, NULL, 500},
    };
    printf("1..%zu\n", COUNT_OF(tests));
    for (size_t i = 0; i < COUNT_OF(tests); i++)
        passed = inject_every((int)i + 1, &tests[i]) && passed;
    close_all();
    return passed ? 0 : 1;
}
