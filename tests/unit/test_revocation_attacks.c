/*
 * Ways to a wrong "good" (R0): what is at hand cannot be read, while an older CRL is served; a cached "good"
 * that ends soon, while the responder says something else. More of them: test_revocation_attacks.py.
 */
#include "small_http.h"
#include "small_ocsp.h"

#include "revocation/crl_cache.h"

#include <fcntl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>

#define HOUR 3600
#define DAY  (24 * HOUR)

static struct world {
    made ca, leaf;
    small_http server;
    time_t now;
    estuary_error *err;
} world;

/* The leaf names the server as its OCSP responder. */
static void add_responder(void)
{
    AUTHORITY_INFO_ACCESS *access = AUTHORITY_INFO_ACCESS_new();
    ACCESS_DESCRIPTION *one = ACCESS_DESCRIPTION_new();
    ASN1_IA5STRING *url = ASN1_IA5STRING_new();
    assert_int_equal(ASN1_STRING_set(url, world.server.url, -1), 1);
    ASN1_OBJECT_free(one->method);
    one->method = OBJ_nid2obj(NID_ad_OCSP);
    GENERAL_NAME_set0_value(one->location, GEN_URI, url);
    assert_true(sk_ACCESS_DESCRIPTION_push(access, one) > 0);
    assert_int_equal(X509_add1_ext_i2d(world.leaf.cert, NID_info_access, access, 0, 0), 1);
    assert_true(X509_sign(world.leaf.cert, world.ca.key, EVP_sha256()) > 0);
    AUTHORITY_INFO_ACCESS_free(access);
}

static int set_up(void **state)
{
    (void)state;
    recipe ca = {.cn = "CA", .constraints = "critical,CA:TRUE", .usage = "keyCertSign,cRLSign"};
    world.ca = make_cert(&ca);
    world.leaf = make_cert(&(recipe){.cn = "leaf", .issuer = &world.ca, .from = -90 * DAY, .to = DAY});
    world.now = est_now();
    world.err = estuary_error_new();
    small_http_start(&world.server);
    add_responder();
    return world.err == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    small_http_stop(&world.server);
    free_made(&world.ca);
    free_made(&world.leaf);
    estuary_error_free(world.err);
    return 0;
}

static estuary_revocation *open_checker(unsigned methods)
{
    estuary_revocation *checker = NULL;
    assert_ok(estuary_revocation_new(&checker, world.err), world.err);
    assert_ok(estuary_revocation_set_methods(checker, methods, false, world.err), world.err);
    if (methods == ESTUARY_REVOCATION_BY_CRL)
        assert_ok(estuary_revocation_add_crl(checker, world.server.url, world.err), world.err);
    assert_ok(est_checker_begin(checker, world.err), world.err);
    return checker;
}

/* The server's from now on. */
static void serve(int status, uint8_t *body, size_t len)
{
    OPENSSL_free((void *)world.server.body);
    world.server.body = body;
    world.server.len = len;
    world.server.status = status;
}

static void assert_verdict(estuary_revocation *checker, estuary_revocation_status status, const char *code)
{
    estuary_verdict *verdict = NULL;
    assert_ok(estuary_revocation_check(checker, world.leaf.cert, world.ca.cert, &verdict, world.err),
              world.err);
    assert_int_equal(estuary_verdict_status(verdict), status);
    assert_string_equal(estuary_verdict_code(verdict), code);
    estuary_verdict_free(verdict);
}

/* --- OCSP ----------------------------------------------------------------------------------------------- */

static void serve_ocsp(int status, long made_at, long next)
{
    size_t len = 0;
    small_ocsp how = {.cert = world.leaf.cert, .issuer = world.ca.cert, .signer = &world.ca};
    how.singles[0] = (small_single){.status = status, .reason = -1, .made = made_at, .next = next};
    how.count = 1;
    uint8_t *der = small_ocsp_answer(&how, world.now, &len);
    serve(200, der, len);
}

/* It counts while nobody can be asked, and no longer when a signed answer says something else. */
static void ends_soon(void **state)
{
    (void)state;
    estuary_revocation *checker = open_checker(ESTUARY_REVOCATION_BY_OCSP);
    serve_ocsp(V_OCSP_CERTSTATUS_GOOD, -2 * HOUR, 300);
    assert_verdict(checker, ESTUARY_REVOCATION_GOOD, "");
    serve(500, NULL, 0);
    assert_verdict(checker, ESTUARY_REVOCATION_GOOD, "");
    serve_ocsp(V_OCSP_CERTSTATUS_UNKNOWN, -HOUR, HOUR);
    assert_verdict(checker, ESTUARY_REVOCATION_UNKNOWN, "ocsp.unknown-certificate");
    estuary_revocation_free(checker);
}

/* --- CRLs ----------------------------------------------------------------------------------------------- */

static uint8_t *make_crl(long this_update, size_t *len)
{
    uint8_t *der = NULL;
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *from = ASN1_TIME_adj(NULL, world.now, 0, this_update);
    ASN1_TIME *to = ASN1_TIME_adj(NULL, world.now, 0, DAY);
    assert_int_equal(X509_CRL_set_version(crl, 1), 1);
    assert_int_equal(X509_CRL_set_issuer_name(crl, X509_get_subject_name(world.ca.cert)), 1);
    assert_int_equal(X509_CRL_set1_lastUpdate(crl, from), 1);
    assert_int_equal(X509_CRL_set1_nextUpdate(crl, to), 1);
    assert_true(X509_CRL_sign(crl, world.ca.key, EVP_sha256()) > 0);
    int size = i2d_X509_CRL(crl, &der);
    assert_true(size > 0);
    *len = (size_t)size;
    X509_CRL_free(crl);
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    return der;
}

/* What the cache holds: newer than what is served, to be asked for again. */
static void put(estuary_revocation *checker, int fd)
{
    est_crl scope = {.issuer = X509_get_subject_name(world.ca.cert)};
    est_crl_cached facts = {.fd = fd,
                            .url = world.server.url,
                            .etag = (char *)"",
                            .last_modified = (char *)"",
                            .issuer = (char *)"CN=CA",
                            .fetched_at = world.now - 10 * DAY,
                            .this_update = world.now - HOUR,
                            .next_update = world.now + DAY,
                            .bytes = 500,
                            .is_whole = true};
    assert_true(est_crl_cache_key(world.server.url, world.ca.cert, facts.key));
    assert_true(est_crl_scope_digest(&scope, facts.scope));
    assert_ok(est_crl_cache_commit(checker->crl_cache, "", &facts, world.err), world.err);
}

/* Nobody knows what the newer one says; a file that is no CRL says nothing. */
static void newer_cannot_be_read(void **state)
{
    (void)state;
    static const struct {
        int flags;
        estuary_revocation_status status;
        const char *code;
    } rows[] = {
        {O_WRONLY, ESTUARY_REVOCATION_UNKNOWN, "io.failed"}, /* so that reading fails */
        {O_RDWR, ESTUARY_REVOCATION_GOOD, ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t len = 0;
        char path[] = "/tmp/estuary-test-XXXXXX";
        int made_fd = mkstemp(path);
        assert_true(made_fd >= 0);
        assert_true(est_fd_write_all(made_fd, "no CRL", 6));
        int fd = open(path, rows[i].flags | O_CLOEXEC);
        estuary_revocation *checker = open_checker(ESTUARY_REVOCATION_BY_CRL);
        put(checker, fd);
        uint8_t *der = make_crl(-2 * HOUR, &len);
        serve(200, der, len);
        assert_verdict(checker, rows[i].status, rows[i].code);
        estuary_revocation_free(checker);
        assert_int_equal(close(fd), 0);
        assert_int_equal(close(made_fd), 0);
        assert_int_equal(unlink(path), 0);
    }
}

/* R0: an OCSP response that says "good" does not count while nobody knows what a cached CRL says. */
static void good_beside_an_unread_one(void **state)
{
    (void)state;
    static const struct {
        bool offline, is_served, first_look;
        estuary_revocation_status status;
    } rows[] = {
        {.status = ESTUARY_REVOCATION_UNKNOWN},
        {.offline = true, .status = ESTUARY_REVOCATION_UNKNOWN},
        {.first_look = true, .status = ESTUARY_REVOCATION_UNKNOWN},
        {.is_served = true, .status = ESTUARY_REVOCATION_GOOD},
    };
    size_t len = 0, crl_len = 0;
    small_ocsp how = {.cert = world.leaf.cert, .issuer = world.ca.cert, .signer = &world.ca};
    uint8_t *good = small_ocsp_answer(&how, world.now, &len);
    STACK_OF(X509) *chain = make_stack(world.leaf.cert, world.ca.cert, NULL);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        est_revocation_job *job = NULL;
        estuary_revocation *checker = NULL;
        int fd = open("/dev/null", O_WRONLY | O_CLOEXEC); /* so that reading fails */
        assert_ok(estuary_revocation_new(&checker, world.err), world.err);
        assert_ok(estuary_revocation_add_crl(checker, world.server.url, world.err), world.err);
        assert_ok(estuary_revocation_add_ocsp_response(checker, good, len, world.err), world.err);
        assert_ok(estuary_revocation_set_offline(checker, rows[i].offline, world.err), world.err);
        assert_ok(est_checker_begin(checker, world.err), world.err);
        put(checker, fd);
        if (rows[i].is_served) {
            uint8_t *der = make_crl(-HOUR / 2, &crl_len);
            serve(200, der, crl_len);
        } else {
            serve(500, NULL, 0);
        }
        if (rows[i].first_look) {
            assert_ok(est_revocation_job_new(checker, chain, NULL, &job, world.err), world.err);
            assert_ok(est_revocation_job_look_first(job, world.err), world.err);
            assert_int_equal(estuary_verdict_status(est_revocation_job_verdict(job, NULL)), rows[i].status);
            est_revocation_job_free(job);
        } else {
            estuary_verdict *verdict = NULL;
            assert_ok(estuary_revocation_check(checker, world.leaf.cert, world.ca.cert, &verdict, world.err),
                      world.err);
            if (estuary_verdict_status(verdict) != rows[i].status)
                fail_msg("row %zu: %s %s", i, estuary_verdict_code(verdict), estuary_verdict_why(verdict));
            estuary_verdict_free(verdict);
        }
        estuary_revocation_free(checker);
        assert_int_equal(close(fd), 0);
    }
    sk_X509_pop_free(chain, X509_free);
    OPENSSL_free(good);
}

/* --- no more files may be opened --- */

static void put_in_folder(est_crl_cache *cache, const char *content, time_t this_update,
                          estuary_status expected)
{
    char name[EST_CRL_TEMP_SIZE];
    struct rlimit all, none;
    est_crl_cached facts = {.key = "aa",
                            .url = (char *)"http://a/",
                            .etag = (char *)"",
                            .last_modified = (char *)"",
                            .issuer = (char *)"CN=CA",
                            .this_update = this_update,
                            .bytes = (int64_t)strlen(content)};
    memset(facts.key, 'a', sizeof(facts.key) - 1);
    assert_ok(est_crl_cache_begin(cache, &facts.fd, name, world.err), world.err);
    assert_true(est_fd_write_all(facts.fd, content, strlen(content)));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
    none = all;
    none.rlim_cur = expected == ESTUARY_OK ? all.rlim_cur : 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    estuary_status status = est_crl_cache_commit(cache, name, &facts, world.err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
    assert_int_equal(status, expected);
    assert_int_equal(close(facts.fd), 0);
}

/* A cache in a folder of its own. */
typedef struct in_folder {
    char path[32];
    char key[EST_CRL_KEY_SIZE]; /* of what put_in_folder() puts there */
    int folder;
    est_crl_cache *cache;
} in_folder;

static in_folder open_in_folder(void)
{
    in_folder in = {.path = "/tmp/estuary-test-XXXXXX"};
    assert_non_null(mkdtemp(in.path));
    memset(in.key, 'a', sizeof(in.key) - 1);
    in.folder = open(in.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_ok(est_crl_cache_new(in.folder, 10, 1024 * 1024, &in.cache, world.err), world.err);
    return in;
}

static void close_in_folder(in_folder *in)
{
    char command[64];
    est_crl_cache_free(in->cache);
    assert_int_equal(close(in->folder), 0);
    snprintf(command, sizeof(command), "rm -r %s", in->path);
    assert_int_equal(system(command), 0);
}

/* Then what is there is not taken for absent: neither when it is asked for, nor when an older one comes. */
static void no_more_files(void **state)
{
    (void)state;
    struct rlimit all, none;
    est_crl_cached cached;
    in_folder in = open_in_folder();
    put_in_folder(in.cache, "newer", world.now, ESTUARY_OK);
    put_in_folder(in.cache, "older", world.now - DAY, ESTUARY_E_IO);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
    none = all;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    bool there = est_crl_cache_get(in.cache, in.key, &cached);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
    assert_false(there);
    assert_true(cached.failed);
    est_crl_cached_clear(&cached);
    assert_true(est_crl_cache_get(in.cache, in.key, &cached));
    assert_int_equal(cached.bytes, 5);
    assert_int_equal(cached.this_update, world.now);
    est_crl_cached_clear(&cached);
    close_in_folder(&in);
}

/* Nor is it cleared away as what no notes name, when there are files enough to list the folder only.
 */
static void not_swept_away(void **state)
{
    (void)state;
    char victim[EST_CRL_KEY_SIZE];
    struct rlimit all, one;
    est_crl_cached cached;
    in_folder in = open_in_folder();
    put_in_folder(in.cache, "newer", world.now, ESTUARY_OK);
    int next = dup(in.folder);
    assert_int_equal(close(next), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
    one = all;
    one.rlim_cur = (rlim_t)next + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &one), 0);
    size_t count = est_crl_folder_find_victim(in.folder, "", victim);
    est_crl_folder_sweep(in.folder, world.now + DAY, false);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
    assert_int_equal(count, 1);
    assert_string_equal(victim, "");
    assert_true(est_crl_cache_get(in.cache, in.key, &cached));
    est_crl_cached_clear(&cached);
    close_in_folder(&in);
}

/* Who may read the folder may lock it, too, and need not let go. */
static void locked_by_others(void **state)
{
    (void)state;
    in_folder in = open_in_folder();
    int theirs = open(in.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(theirs, LOCK_EX), 0);
    alarm(20);
    put_in_folder(in.cache, "newer", world.now, ESTUARY_OK);
    alarm(0);
    assert_int_equal(close(theirs), 0);
    close_in_folder(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_soon),
        cmocka_unit_test(newer_cannot_be_read),
        cmocka_unit_test(good_beside_an_unread_one),
        cmocka_unit_test(no_more_files),
        cmocka_unit_test(not_swept_away),
        cmocka_unit_test(locked_by_others),
    };
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    OPENSSL_free((void *)world.server.body);
    return failed;
}
