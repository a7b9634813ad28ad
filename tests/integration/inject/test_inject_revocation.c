/*
 * The whole checker with each allocation and each call to OpenSSL failing in turn, and the look it takes
 * inside of a handshake (R0, R3): no crash, no leak, and never "good" where it would have said something
 * else.
 */
#include "../../unit/small_crl.h"
#include "../../unit/small_ocsp.h"
#include "client/client.h"
#include "inject.h"
#include "revocation/checker.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct scene {
    const char *what;
    bool ocsp, ocsp_revoked, ocsp_stranger, crl, crl_revoked;
    bool cached_revoked; /* by a CRL past its nextUpdate */
    estuary_revocation_status expected;
    estuary_revocation *checker;
    estuary_client *client;
} scene;

static scene scenes[] = {
    {.what = "OCSP, good", .ocsp = true, .expected = ESTUARY_REVOCATION_GOOD},
    {.what = "OCSP, revoked", .ocsp_revoked = true, .expected = ESTUARY_REVOCATION_REVOKED},
    {.what = "OCSP, somebody's", .ocsp_stranger = true, .expected = ESTUARY_REVOCATION_UNKNOWN},
    {.what = "CRL, good", .crl = true, .expected = ESTUARY_REVOCATION_GOOD},
    {.what = "CRL, revoked", .crl_revoked = true, .expected = ESTUARY_REVOCATION_REVOKED},
    {.what = "both", .ocsp_stranger = true, .crl_revoked = true, .expected = ESTUARY_REVOCATION_REVOKED},
    {.what = "cached CRL, revoked", .cached_revoked = true, .expected = ESTUARY_REVOCATION_REVOKED},
    {.what = "nothing", .expected = ESTUARY_REVOCATION_UNKNOWN},
};

/* Prepared before anything fails. */
static struct {
    made ca, stranger, leaf;
    STACK_OF(X509) *chain;
    char folder[64], good_crl[96], revoked_crl[96];
    uint8_t *good, *revoked, *foreign;
    size_t good_len, revoked_len, foreign_len;
} s;

static void write_crl(const char *name, const char *entries, char *path, size_t size)
{
    char text[1024];
    assert_in_range(snprintf(path, size, "%s/%s", s.folder, name), 1, size - 1);
    assert_in_range(
        snprintf(text, sizeof(text), CRL_HEAD "30{%s} a0{30{" CRL_EXT("14", "02:05") "}}", entries), 1,
        sizeof(text) - 1);
    small_der der = small_crl(text, s.ca.key);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, der.bytes, der.len), der.len);
    assert_int_equal(close(fd), 0);
    OPENSSL_free(der.bytes);
}

static uint8_t *answer(const made *signer, int status, size_t *len)
{
    small_ocsp how = {
        .cert = s.leaf.cert,
        .issuer = s.ca.cert,
        .signer = signer,
        .certs = {signer->cert},
        .singles = {{.status = status, .reason = status == V_OCSP_CERTSTATUS_REVOKED ? 1 : -1}}};
    return small_ocsp_answer(&how, est_now(), len);
}

#define URL "http://127.0.0.1:9/list.crl"

static void put_into_cache(estuary_revocation *checker)
{
    char name[EST_CRL_TEMP_SIZE];
    small_der der = small_crl(CRL_V2 CRL_ECDSA CRL_ISSUER CRL_THIS
                              " 17\"250201000000Z\" 30{" CRL_ENTRY_WITH("1234", CRL_REASON("01")) "} ",
                              s.ca.key);
    est_crl_cached facts = {.url = (char *)URL,
                            .etag = (char *)"",
                            .last_modified = (char *)"",
                            .issuer = (char *)"CN=CA",
                            .fetched_at = 1735689600,
                            .this_update = 1735689600,
                            .next_update = 1738368000};
    assert_int_equal(estuary_revocation_add_crl(checker, URL, NULL), ESTUARY_OK);
    assert_int_equal(est_checker_begin(checker, NULL), ESTUARY_OK);
    assert_true(est_crl_cache_key(URL, s.ca.cert, facts.key));
    assert_int_equal(est_crl_cache_begin(checker->crl_cache, &facts.fd, name, NULL), ESTUARY_OK);
    assert_true(est_fd_write_all(facts.fd, der.bytes, der.len));
    assert_int_equal(est_crl_cache_commit(checker->crl_cache, name, &facts, NULL), ESTUARY_OK);
    assert_int_equal(close(facts.fd), 0);
    OPENSSL_free(der.bytes);
}

static void open_scene(scene *one)
{
    estuary_config *config = NULL;
    estuary_anchors *anchors = NULL;
    assert_int_equal(estuary_revocation_new(&one->checker, NULL), ESTUARY_OK);
    assert_int_equal(estuary_revocation_set_offline(one->checker, true, NULL), ESTUARY_OK);
    assert_int_equal(estuary_revocation_set_policy(one->checker, ESTUARY_REVOCATION_HARD, NULL), ESTUARY_OK);
    if (one->ocsp)
        assert_int_equal(estuary_revocation_add_ocsp_response(one->checker, s.good, s.good_len, NULL),
                         ESTUARY_OK);
    if (one->ocsp_revoked)
        assert_int_equal(estuary_revocation_add_ocsp_response(one->checker, s.revoked, s.revoked_len, NULL),
                         ESTUARY_OK);
    if (one->ocsp_stranger)
        assert_int_equal(estuary_revocation_add_ocsp_response(one->checker, s.foreign, s.foreign_len, NULL),
                         ESTUARY_OK);
    if (one->crl || one->crl_revoked)
        assert_int_equal(
            estuary_revocation_add_crl(one->checker, one->crl ? s.good_crl : s.revoked_crl, NULL),
            ESTUARY_OK);
    if (one->cached_revoked)
        put_into_cache(one->checker);
    assert_int_equal(estuary_config_new(&config, NULL), ESTUARY_OK);
    assert_int_equal(estuary_config_set_server(config, "https://est.example", NULL, NULL), ESTUARY_OK);
    STACK_OF(X509) *roots = make_stack(s.ca.cert, NULL);
    assert_int_equal(estuary_anchors_from_certs(roots, &anchors, NULL), ESTUARY_OK);
    assert_int_equal(estuary_config_trust_anchors(config, anchors, NULL), ESTUARY_OK);
    assert_int_equal(estuary_config_set_revocation(config, one->checker, NULL), ESTUARY_OK);
    assert_int_equal(estuary_client_new(config, &one->client, NULL), ESTUARY_OK);
    sk_X509_pop_free(roots, X509_free);
    estuary_anchors_free(anchors);
    estuary_config_free(config);
}

static void open_all(void)
{
    s.ca =
        make_cert(&(recipe){.cn = "CA", .constraints = "critical,CA:TRUE", .usage = "keyCertSign,cRLSign"});
    s.stranger = make_ca("CA", NULL);
    s.leaf = make_server("DNS:est.example", &s.ca);
    s.chain = make_stack(s.leaf.cert, s.ca.cert, NULL);
    snprintf(s.folder, sizeof(s.folder), "/tmp/estuary-inject-XXXXXX");
    assert_non_null(mkdtemp(s.folder));
    write_crl("good.crl", CRL_ENTRY("01"), s.good_crl, sizeof(s.good_crl));
    write_crl("revoked.crl", CRL_ENTRY_WITH("1234", CRL_REASON("01")), s.revoked_crl, sizeof(s.revoked_crl));
    s.good = answer(&s.ca, V_OCSP_CERTSTATUS_GOOD, &s.good_len);
    s.revoked = answer(&s.ca, V_OCSP_CERTSTATUS_REVOKED, &s.revoked_len);
    s.foreign = answer(&s.stranger, V_OCSP_CERTSTATUS_GOOD, &s.foreign_len);
    for (size_t i = 0; i < COUNT_OF(scenes); i++)
        open_scene(&scenes[i]);
}

static void close_all(void)
{
    for (size_t i = 0; i < COUNT_OF(scenes); i++) {
        estuary_client_free(scenes[i].client);
        estuary_revocation_free(scenes[i].checker);
    }
    unlink(s.good_crl);
    unlink(s.revoked_crl);
    rmdir(s.folder);
    OPENSSL_free(s.good);
    OPENSSL_free(s.revoked);
    OPENSSL_free(s.foreign);
    sk_X509_pop_free(s.chain, X509_free);
    free_made(&s.ca);
    free_made(&s.stranger);
    free_made(&s.leaf);
}

static void check(const scene *one)
{
    estuary_verdict *verdict = NULL;
    inject_resume();
    estuary_status status = estuary_revocation_check(one->checker, s.leaf.cert, s.ca.cert, &verdict, NULL);
    inject_pause();
    estuary_revocation_status told = estuary_verdict_status(verdict);
    INJECT_REQUIRE(status == ESTUARY_OK || inject_hit());
    INJECT_REQUIRE((verdict != NULL) == (status == ESTUARY_OK));
    INJECT_REQUIRE(told == one->expected || inject_hit());
    INJECT_REQUIRE(told == one->expected || told == ESTUARY_REVOCATION_UNKNOWN);
    INJECT_REQUIRE(verdict == NULL || told != ESTUARY_REVOCATION_UNKNOWN ||
                   estuary_verdict_code(verdict)[0] != '\0');
    estuary_verdict_free(verdict);
    ERR_clear_error();
}

static void every_check(const void *arg)
{
    (void)arg;
    for (size_t i = 0; i < COUNT_OF(scenes); i++)
        check(&scenes[i]);
}

/* Only "good" lets the handshake go on. */
static void look(scene *one, const uint8_t *staple, size_t len, estuary_revocation_status expected)
{
    estuary_error *err = estuary_error_new();
    INJECT_REQUIRE(err != NULL);
    inject_resume();
    estuary_status status = est_evidence_check_chain(one->client, s.chain, staple, len, err);
    inject_pause();
    bool wanted = est_evidence_is_wanted(one->client, err);
    INJECT_REQUIRE(status != ESTUARY_OK || expected == ESTUARY_REVOCATION_GOOD);
    INJECT_REQUIRE(status == ESTUARY_OK || expected != ESTUARY_REVOCATION_GOOD || inject_hit());
    INJECT_REQUIRE(!wanted || expected == ESTUARY_REVOCATION_UNKNOWN || inject_hit());
    INJECT_REQUIRE(status == ESTUARY_E_REVOKED || expected != ESTUARY_REVOCATION_REVOKED || inject_hit());
    est_evidence_clear(&one->client->evidence);
    estuary_error_free(err);
    ERR_clear_error();
}

static void every_look(const void *arg)
{
    (void)arg;
    for (size_t i = 0; i < COUNT_OF(scenes); i++)
        look(&scenes[i], NULL, 0, scenes[i].expected);
    scene *nothing = &scenes[COUNT_OF(scenes) - 1];
    look(nothing, s.good, s.good_len, ESTUARY_REVOCATION_GOOD);
    look(nothing, s.revoked, s.revoked_len, ESTUARY_REVOCATION_REVOKED);
    look(nothing, s.foreign, s.foreign_len, ESTUARY_REVOCATION_UNKNOWN);
}

int main(void)
{
    bool passed = true;
    inject_set_up();
    open_all();
    const inject_plan tests[] = {
        {"checking, every OpenSSL call", INJECT_OPENSSL, every_check, NULL, 0},
        {"checking, every allocation of ours", INJECT_OUR_ALLOCATION, every_check, NULL, 0},
        {"checking, allocations", INJECT_ALLOCATION, every_check, NULL, 150},
        {"looking, every OpenSSL call", INJECT_OPENSSL, every_look, NULL, 0},
        {"looking, every allocation of ours", INJECT_OUR_ALLOCATION, every_look, NULL, 0},
        {"looking, allocations", INJECT_ALLOCATION, every_look, NULL, 150},
    };
    printf("1..%zu\n", COUNT_OF(tests));
    for (size_t i = 0; i < COUNT_OF(tests); i++)
        passed = inject_every((int)i + 1, &tests[i]) && passed;
    close_all();
    return passed ? 0 : 1;
}
