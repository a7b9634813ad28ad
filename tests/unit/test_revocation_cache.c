/*
 * A checker with CRLs in its cache and a server that answers, lies or is away (R0, R5): what is revoked stays
 * revoked, nothing displaces it, servers are asked when they ought to be, and a large CRL holds nobody's
 * loop.
 */
#include "small_http.h"
#include "small_ocsp.h"

#include "revocation/checker.h"

#include <fcntl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/stat.h>

#define HOUR 3600
#define DAY  (24 * HOUR)

static struct world {
    made ca, twin, leaf, twin_leaf;
    small_http server;
    time_t now;
    char folder[64];
    estuary_error *err;
} world;

static void make_folder(void)
{
    snprintf(world.folder, sizeof(world.folder), "/tmp/estuary-test-XXXXXX");
    assert_non_null(mkdtemp(world.folder));
}

static int set_up(void **state)
{
    (void)state;
    recipe ca = {.cn = "CA", .constraints = "critical,CA:TRUE", .usage = "keyCertSign,cRLSign"};
    world.ca = make_cert(&ca);
    world.twin = make_cert(&ca); /* the same name, another key */
    world.leaf = make_cert(&(recipe){.cn = "leaf", .issuer = &world.ca, .from = -90 * DAY, .to = DAY});
    world.twin_leaf = make_cert(&(recipe){.cn = "leaf", .issuer = &world.twin, .from = -90 * DAY, .to = DAY});
    world.now = est_now();
    world.err = estuary_error_new();
    small_http_start(&world.server);
    return world.err == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    small_http_stop(&world.server);
    free_made(&world.ca);
    free_made(&world.twin);
    free_made(&world.leaf);
    free_made(&world.twin_leaf);
    estuary_error_free(world.err);
    return 0;
}

/* --- CRLs --------------------------------------------------------------------------------------------- */

enum { ABSENT = -2, PLAIN = -1, COMPROMISE = 1, HOLD = 6 };

typedef struct list {
    const made *signer;
    long this_update, next_update; /* from now */
    int entry;                     /* leaf's reason */
    size_t padding;                /* entries of 60 kB */
    bool only_ca;                  /* by its issuingDistributionPoint */
    bool only_user;
} list;

static X509_REVOKED *new_entry(const ASN1_INTEGER *serial)
{
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_TIME *at = ASN1_TIME_adj(NULL, world.now, -80, 0);
    assert_int_equal(X509_REVOKED_set_serialNumber(entry, (ASN1_INTEGER *)serial), 1);
    assert_int_equal(X509_REVOKED_set_revocationDate(entry, at), 1);
    ASN1_TIME_free(at);
    return entry;
}

static void add_leaf(X509_CRL *crl, int reason)
{
    X509_REVOKED *entry = new_entry(X509_get0_serialNumber(world.leaf.cert));
    ASN1_ENUMERATED *value = ASN1_ENUMERATED_new();
    assert_int_equal(ASN1_ENUMERATED_set(value, reason), 1);
    if (reason >= 0)
        assert_int_equal(X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, value, 0, 0), 1);
    assert_int_equal(X509_CRL_add0_revoked(crl, entry), 1);
    ASN1_ENUMERATED_free(value);
}

static void add_padding(X509_CRL *crl, size_t count)
{
    static uint8_t zeros[60000];
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    ASN1_INTEGER *serial = ASN1_INTEGER_new();
    assert_int_equal(ASN1_OCTET_STRING_set(value, zeros, sizeof(zeros)), 1);
    X509_EXTENSION *extension = X509_EXTENSION_create_by_NID(NULL, NID_netscape_comment, 0, value);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(ASN1_INTEGER_set_uint64(serial, 0x770000 + i), 1);
        X509_REVOKED *entry = new_entry(serial);
        assert_int_equal(X509_REVOKED_add_ext(entry, extension, -1), 1);
        assert_int_equal(X509_CRL_add0_revoked(crl, entry), 1);
    }
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
    ASN1_INTEGER_free(serial);
}

static void add_scope(X509_CRL *crl, const list *how)
{
    ISSUING_DIST_POINT *idp = ISSUING_DIST_POINT_new();
    idp->onlyCA = how->only_ca ? 0xff : 0;
    idp->onlyuser = how->only_user ? 0xff : 0;
    assert_int_equal(X509_CRL_add1_ext_i2d(crl, NID_issuing_distribution_point, idp, 1, 0), 1);
    ISSUING_DIST_POINT_free(idp);
}

static uint8_t *make_list(const list *how, size_t *len)
{
    uint8_t *der = NULL;
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *this_update = ASN1_TIME_adj(NULL, world.now, 0, how->this_update);
    ASN1_TIME *next_update = ASN1_TIME_adj(NULL, world.now, 0, how->next_update);
    assert_int_equal(X509_CRL_set_version(crl, 1), 1);
    assert_int_equal(X509_CRL_set_issuer_name(crl, X509_get_subject_name(how->signer->cert)), 1);
    assert_int_equal(X509_CRL_set1_lastUpdate(crl, this_update), 1);
    assert_int_equal(X509_CRL_set1_nextUpdate(crl, next_update), 1);
    if (how->entry != ABSENT)
        add_leaf(crl, how->entry);
    add_padding(crl, how->padding);
    if (how->only_ca || how->only_user)
        add_scope(crl, how);
    assert_true(X509_CRL_sign(crl, how->signer->key, EVP_sha256()) > 0);
    int size = i2d_X509_CRL(crl, &der);
    assert_true(size > 0);
    *len = (size_t)size;
    X509_CRL_free(crl);
    ASN1_TIME_free(this_update);
    ASN1_TIME_free(next_update);
    return der;
}

/* --- checkers ----------------------------------------------------------------------------------------- */

/* on_disk: a folder of its own, or the one that is there already. */
static estuary_revocation *open_checker(bool on_disk, unsigned methods)
{
    estuary_revocation *checker = NULL;
    assert_ok(estuary_revocation_new(&checker, world.err), world.err);
    assert_ok(estuary_revocation_set_methods(checker, methods, false, world.err), world.err);
    assert_ok(estuary_revocation_add_crl(checker, world.server.url, world.err), world.err);
    if (on_disk)
        assert_ok(estuary_revocation_set_cache(checker, world.folder, world.err), world.err);
    return checker;
}

static void close_checker(estuary_revocation *checker, bool with_folder)
{
    char command[128];
    estuary_revocation_free(checker);
    if (!with_folder)
        return;
    snprintf(command, sizeof(command), "rm -r %s", world.folder);
    assert_int_equal(system(command), 0);
}

/* As a download would have done it, `age` seconds ago. */
static void put(estuary_revocation *checker, const list *how, long age)
{
    char name[EST_CRL_TEMP_SIZE];
    size_t len = 0;
    uint8_t *der = make_list(how, &len);
    est_crl_cached facts = {.url = world.server.url,
                            .etag = (char *)"",
                            .last_modified = (char *)"",
                            .issuer = (char *)"CN=CA",
                            .fetched_at = world.now - age,
                            .this_update = world.now + how->this_update,
                            .next_update = world.now + how->next_update,
                            .bytes = (int64_t)len,
                            .is_whole = !how->only_ca && !how->only_user};
    est_crl scope = {.issuer = X509_get_subject_name(how->signer->cert)};
    assert_ok(est_checker_begin(checker, world.err), world.err);
    assert_true(est_crl_cache_key(world.server.url, how->signer->cert, facts.key));
    assert_true(est_crl_scope_digest(&scope, facts.scope)); /* of the whole ones */
    assert_ok(est_crl_cache_begin(checker->crl_cache, &facts.fd, name, world.err), world.err);
    assert_true(est_fd_write_all(facts.fd, der, len));
    assert_ok(est_crl_cache_commit(checker->crl_cache, name, &facts, world.err), world.err);
    assert_int_equal(close(facts.fd), 0);
    OPENSSL_free(der);
}

/* how NULL: a 404 */
static void serve(const list *how)
{
    size_t len = 0;
    uint8_t *body = how == NULL ? NULL : make_list(how, &len);
    assert_int_equal(pthread_mutex_lock(&world.server.lock), 0);
    OPENSSL_free((void *)world.server.body);
    world.server.body = body;
    world.server.len = len;
    world.server.status = how == NULL ? 404 : 200;
    world.server.requests = 0;
    assert_int_equal(pthread_mutex_unlock(&world.server.lock), 0);
}

static int requests(void)
{
    return small_http_requests(&world.server);
}

static estuary_verdict *ask_about(estuary_revocation *checker, const made *leaf, const made *ca)
{
    estuary_verdict *verdict = NULL;
    assert_ok(estuary_revocation_check(checker, leaf->cert, ca->cert, &verdict, world.err), world.err);
    return verdict;
}

static estuary_revocation_status status_of(estuary_revocation *checker)
{
    estuary_verdict *verdict = ask_about(checker, &world.leaf, &world.ca);
    estuary_revocation_status status = estuary_verdict_status(verdict);
    estuary_verdict_free(verdict);
    return status;
}

#define U ESTUARY_REVOCATION_UNKNOWN
#define G ESTUARY_REVOCATION_GOOD
#define R ESTUARY_REVOCATION_REVOKED

/* --- revoked is not forgotten --------------------------------------------------------------------------- */

#define STALE .this_update = -20 * DAY, .next_update = -10 * DAY
#define FRESH .this_update = -HOUR, .next_update = DAY

static const struct stale_row {
    const char *what;
    list cached, served;
    bool is_served, offline;
    estuary_revocation_status status;
    bool outdated;
    int requests;
} stale_rows[] = {
    {.what = "nobody answers",
     .cached = {STALE, .entry = COMPROMISE},
     .status = R,
     .outdated = true,
     .requests = 1},
    {.what = "nobody can be asked",
     .cached = {STALE, .entry = PLAIN},
     .offline = true,
     .status = R,
     .outdated = true},
    {.what = "a hold may have been lifted", .cached = {STALE, .entry = HOLD}, .status = U, .requests = 1},
    {.what = "a hold, offline", .cached = {STALE, .entry = HOLD}, .offline = true, .status = U},
    {.what = "not listed, and out of date", .cached = {STALE, .entry = ABSENT}, .status = U, .requests = 1},
    {.what = "not listed, offline", .cached = {STALE, .entry = ABSENT}, .offline = true, .status = U},
    {.what = "a newer one takes it back",
     .cached = {STALE, .entry = COMPROMISE},
     .served = {FRESH, .entry = ABSENT},
     .is_served = true,
     .status = G,
     .requests = 1},
    {.what = "a newer one says the same",
     .cached = {STALE, .entry = COMPROMISE},
     .served = {FRESH, .entry = COMPROMISE},
     .is_served = true,
     .status = R,
     .requests = 1},
    {.what = "an older one, in force, is replayed",
     .cached = {STALE, .entry = COMPROMISE},
     .served = {.this_update = -21 * DAY, .next_update = DAY, .entry = ABSENT},
     .is_served = true,
     .status = R,
     .outdated = true,
     .requests = 1},
    {.what = "another CA's",
     .cached = {STALE, .entry = COMPROMISE},
     .served = {FRESH, .entry = ABSENT, .signer = &world.twin},
     .is_served = true,
     .status = R,
     .outdated = true,
     .requests = 1},
    {.what = "one about CA certificates",
     .cached = {STALE, .entry = COMPROMISE},
     .served = {FRESH, .entry = ABSENT, .only_ca = true},
     .is_served = true,
     .status = R,
     .outdated = true,
     .requests = 1},
    {.what = "one that is out of date, too",
     .cached = {STALE, .entry = COMPROMISE},
     .served = {.this_update = -19 * DAY, .next_update = -DAY, .entry = ABSENT},
     .is_served = true,
     .status = R,
     .outdated = true,
     .requests = 1},
};

static void fill_in(list *how)
{
    if (how->signer == NULL)
        how->signer = &world.ca;
}

static void revoked_is_not_forgotten(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(stale_rows) * 2; i++) {
        const struct stale_row *row = &stale_rows[i / 2];
        bool on_disk = i % 2 != 0;
        list cached = row->cached, served = row->served;
        fill_in(&cached);
        fill_in(&served);
        make_folder();
        estuary_revocation *checker = open_checker(on_disk, ESTUARY_REVOCATION_BY_CRL);
        assert_ok(estuary_revocation_set_offline(checker, row->offline, world.err), world.err);
        put(checker, &cached, 10 * DAY);
        serve(row->is_served ? &served : NULL);
        estuary_verdict *verdict = ask_about(checker, &world.leaf, &world.ca);
        if (verdict->status != row->status || verdict->outdated != row->outdated ||
            requests() != row->requests)
            fail_msg("%s: %d %d %d (%s %s)", row->what, verdict->status, verdict->outdated, requests(),
                     estuary_verdict_code(verdict), estuary_verdict_why(verdict));
        if (row->outdated) {
            assert_non_null(strstr(estuary_verdict_why(verdict), "out of date"));
            assert_failed(estuary_revocation_decide(checker, verdict, world.err), world.err,
                          "revoked.revoked");
            assert_non_null(strstr(estuary_error_message(world.err), "out of date"));
            assert_int_equal(estuary_verdict_source(verdict), ESTUARY_REVOCATION_CACHE);
            assert_string_equal(estuary_verdict_origin(verdict), world.server.url);
            assert_int_equal(status_of(checker), R); /* nor the next time */
        }
        estuary_verdict_free(verdict);
        close_checker(checker, true);
    }
}

/* R0: any verified "revoked" wins over any "good", an OCSP responder's, too; only a newer CRL takes it back.
 */
static void ocsp_says_good(void **state)
{
    (void)state;
    list stale = {.signer = &world.ca, STALE, .entry = COMPROMISE};
    list fresh = {.signer = &world.ca, FRESH, .entry = ABSENT};
    size_t len = 0;
    uint8_t *good = small_ocsp_answer(
        &(small_ocsp){.cert = world.leaf.cert, .issuer = world.ca.cert, .signer = &world.ca}, world.now,
        &len);
    for (int served = 0; served < 2; served++) {
        estuary_revocation *checker =
            open_checker(false, ESTUARY_REVOCATION_BY_OCSP | ESTUARY_REVOCATION_BY_CRL);
        assert_ok(estuary_revocation_add_ocsp_response(checker, good, len, world.err), world.err);
        put(checker, &stale, 10 * DAY);
        serve(served ? &fresh : NULL);
        assert_int_equal(status_of(checker), served ? G : R);
        assert_int_equal(requests(), 1);
        close_checker(checker, false);
    }
    OPENSSL_free(good);
}

/* In a handshake nobody is asked: then neither "good" nor "revoked" is said yet. */
static void on_the_spot(void **state)
{
    (void)state;
    list stale = {.signer = &world.ca, STALE, .entry = COMPROMISE};
    est_revocation_job *job = NULL;
    STACK_OF(X509) *chain = make_stack(world.leaf.cert, world.ca.cert, NULL);
    estuary_revocation *checker = open_checker(false, ESTUARY_REVOCATION_BY_CRL);
    put(checker, &stale, 10 * DAY);
    serve(NULL);
    assert_ok(est_revocation_job_new(checker, chain, NULL, &job, world.err), world.err);
    assert_ok(est_revocation_job_look_first(job, world.err), world.err);
    assert_int_equal(estuary_verdict_status(est_revocation_job_verdict(job, NULL)), U);
    assert_string_equal(estuary_verdict_code(est_revocation_job_verdict(job, NULL)), "revocation.stale");
    assert_ok(est_revocation_job_look(job, world.err), world.err); /* nobody will be asked at all */
    assert_int_equal(estuary_verdict_status(est_revocation_job_verdict(job, NULL)), R);
    est_revocation_job_free(job);
    sk_X509_pop_free(chain, X509_free);
    close_checker(checker, false);
}

/* --- one URL for several CAs and scopes --- */

static void two_issuers(void **state)
{
    (void)state;
    list of_ca = {.signer = &world.ca, .this_update = -2 * HOUR, .next_update = DAY, .entry = COMPROMISE};
    list of_twin = {.signer = &world.twin, FRESH, .entry = ABSENT};
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        make_folder();
        estuary_revocation *checker = open_checker(on_disk != 0, ESTUARY_REVOCATION_BY_CRL);
        serve(&of_ca);
        assert_int_equal(status_of(checker), R);
        serve(&of_twin); /* newer, but it says nothing about the other's */
        estuary_verdict *verdict = ask_about(checker, &world.twin_leaf, &world.twin);
        assert_int_equal(estuary_verdict_status(verdict), G);
        estuary_verdict_free(verdict);
        serve(NULL);
        assert_int_equal(status_of(checker), R);
        assert_int_equal(requests(), 0);
        verdict = ask_about(checker, &world.twin_leaf, &world.twin);
        assert_int_equal(estuary_verdict_source(verdict), ESTUARY_REVOCATION_CACHE);
        estuary_verdict_free(verdict);
        close_checker(checker, true);
    }
}

/* A genuine CRL of the CA about other certificates, answered under this URL by whoever sits on the way. */
static void another_scope_is_not_kept(void **state)
{
    (void)state;
    list whole = {.signer = &world.ca, .this_update = -2 * HOUR, .next_update = DAY, .entry = COMPROMISE};
    list others = {.signer = &world.ca, FRESH, .entry = ABSENT, .only_ca = true};
    list users = {.signer = &world.ca, FRESH, .entry = ABSENT, .only_user = true};
    const list *liars[] = {&others, &users};
    for (size_t i = 0; i < COUNT_OF(liars); i++) {
        estuary_revocation *checker = open_checker(false, ESTUARY_REVOCATION_BY_CRL);
        put(checker, &whole, 2 * HOUR); /* to be asked for again */
        serve(liars[i]);
        assert_int_equal(status_of(checker), R);
        assert_int_equal(status_of(checker), R);
        close_checker(checker, false);
        checker = open_checker(false, ESTUARY_REVOCATION_BY_CRL);
        serve(&others);
        assert_int_equal(status_of(checker), U);
        serve(&whole); /* older than what came before, and it counts */
        assert_int_equal(status_of(checker), R);
        close_checker(checker, false);
    }
}

/* --- when servers are asked --- */

/* The second half of a life that is shorter than twice "ahead"; while nobody answers, what is there counts.
 */
static void refreshed_ahead(void **state)
{
    (void)state;
    static const struct {
        long this_update, next_update, ahead;
        int requests;
    } rows[] = {
        {-100, 900, 600, 0}, {-4900, 5100, 6000, 0}, {-5100, 4900, 6000, 1},   {-900, 100, 600, 1},
        {-DAY, DAY, 600, 0}, {-DAY, 590, 600, 1},    {-DAY, DAY, 30 * DAY, 1}, {-900, 100, 0, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows) * 2; i++) {
        list cached = {.signer = &world.ca,
                       .this_update = rows[i / 2].this_update,
                       .next_update = rows[i / 2].next_update,
                       .entry = ABSENT};
        list newer = {.signer = &world.ca, .this_update = -1, .next_update = DAY, .entry = COMPROMISE};
        bool answers = i % 2 != 0;
        estuary_revocation *checker = open_checker(false, ESTUARY_REVOCATION_BY_CRL);
        assert_ok(estuary_revocation_set_limit(checker, ESTUARY_REVOCATION_REFRESH_AHEAD_SECONDS,
                                               rows[i / 2].ahead, world.err),
                  world.err);
        put(checker, &cached, 50);
        serve(answers ? &newer : NULL);
        if (status_of(checker) != (answers && rows[i / 2].requests > 0 ? R : G))
            fail_msg("row %zu", i);
        if (requests() != rows[i / 2].requests)
            fail_msg("row %zu: %d requests", i, requests());
        close_checker(checker, false);
    }
}

/* --- indexes --- */

/* Opened once, and again when anything about the files is another. */
static void an_index_stays_open(void **state)
{
    (void)state;
    list large = {.signer = &world.ca, FRESH, .entry = COMPROMISE, .padding = 2};
    char key[EST_CRL_KEY_SIZE], name[EST_CRL_NAME_SIZE];
    est_crl_cached cached;
    make_folder();
    estuary_revocation *checker = open_checker(true, ESTUARY_REVOCATION_BY_CRL);
    est_crl_cache *cache = (put(checker, &large, 50), checker->crl_cache);
    serve(NULL);
    assert_true(est_crl_cache_key(world.server.url, world.ca.cert, key));
    assert_int_equal(status_of(checker), R); /* makes it */
    assert_true(est_crl_cache_get(cache, key, &cached));
    assert_true(est_crl_cached_index_name(&cached, name));
    assert_int_equal(faccessat(checker->folder, name, F_OK, 0), 0);
    est_crl_index *first = est_crl_cache_index(cache, &cached);
    assert_non_null(first);
    assert_int_equal(status_of(checker), R);
    est_crl_index *second = est_crl_cache_index(cache, &cached);
    assert_ptr_equal(first, second);
    /* the CRL's own file, in the same place: nothing of the old index is believed */
    char path[256];
    snprintf(path, sizeof(path), "%s/%s.%s.crl", world.folder, cached.key, cached.file);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "\xff", 1, 2000), 1);
    assert_int_equal(close(fd), 0);
    assert_int_equal(status_of(checker), U);
    est_crl_cached again;
    assert_true(est_crl_cache_get(cache, key, &again));
    assert_null(est_crl_cache_index(cache, &again));
    est_crl_index_free(first);
    est_crl_index_free(second);
    est_crl_cached_clear(&cached);
    est_crl_cached_clear(&again);
    close_checker(checker, true);
}

/* --- somebody's loop --- */

struct ticker {
    est_http_turn turn;
    est_http_engine *engine;
    int ticks;
};

static void tick(void *arg)
{
    struct ticker *ticker = arg;
    ticker->ticks++;
    est_http_turn_ask(&ticker->turn, ticker->engine);
}

static void over(void *arg, estuary_status status, const estuary_error *err)
{
    bool *done = arg;
    (void)err;
    *done = status == ESTUARY_OK;
}

/* Steps that it takes; others are served in between. */
static int steps_of(est_revocation_job *job, int *ticks)
{
    bool done = false;
    int steps = 0;
    struct ticker ticker = {.turn = {.fn = tick, .arg = &ticker}};
    assert_ok(est_http_engine_new(NULL, NULL, &ticker.engine, world.err), world.err);
    est_http_turn_ask(&ticker.turn, ticker.engine);
    assert_ok(est_revocation_job_start(job, ticker.engine, over, &done, world.err), world.err);
    for (; !done && steps < 1000; steps++) {
        assert_int_equal(est_http_engine_deadline_ms(ticker.engine), 0);
        assert_ok(est_http_engine_step(ticker.engine, -1, world.err), world.err);
    }
    assert_true(done);
    *ticks = ticker.ticks;
    est_http_turn_cancel(&ticker.turn);
    est_http_engine_free(ticker.engine);
    return steps;
}

/*
 * 3 MB: three turns to read it and three to index it, each of at most a mebibyte; then none. In a handshake
 * it is not read at all, so that what it lists is not known yet, nor "good" said.
 */
static void a_large_one_in_turns(void **state)
{
    (void)state;
    int ticks = 0;
    list large = {.signer = &world.ca, FRESH, .entry = COMPROMISE, .padding = 50};
    STACK_OF(X509) *chain = make_stack(world.leaf.cert, world.ca.cert, NULL);
    est_revocation_job *job = NULL;
    make_folder();
    estuary_revocation *checker = open_checker(true, ESTUARY_REVOCATION_BY_CRL);
    put(checker, &large, 50);
    serve(NULL);
    assert_ok(est_revocation_job_new(checker, chain, NULL, &job, world.err), world.err);
    assert_ok(est_revocation_job_look_first(job, world.err), world.err);
    assert_int_equal(estuary_verdict_status(est_revocation_job_verdict(job, NULL)), U);
    int steps = steps_of(job, &ticks);
    assert_int_equal(estuary_verdict_status(est_revocation_job_verdict(job, NULL)), R);
    assert_in_range(steps, 8, 14); /* every second one is the ticker's */
    assert_in_range(ticks, steps / 2 - 1, steps / 2 + 1);
    /* now it has its index */
    assert_ok(est_revocation_job_look_first(job, world.err), world.err);
    assert_int_equal(estuary_verdict_status(est_revocation_job_verdict(job, NULL)), R);
    est_revocation_job_free(job);
    /* freed in the midst of it */
    assert_int_equal(requests(), 0);
    close_checker(checker, true);
    make_folder();
    checker = open_checker(true, ESTUARY_REVOCATION_BY_CRL);
    put(checker, &large, 50);
    est_http_engine *engine = NULL;
    bool done = false;
    assert_ok(est_http_engine_new(NULL, NULL, &engine, world.err), world.err);
    assert_ok(est_revocation_job_new(checker, chain, NULL, &job, world.err), world.err);
    assert_ok(est_revocation_job_start(job, engine, over, &done, world.err), world.err);
    assert_ok(est_http_engine_step(engine, -1, world.err), world.err);
    est_revocation_job_free(job);
    assert_false(done);
    assert_int_equal(est_http_engine_deadline_ms(engine), -1); /* nothing waits any more */
    est_http_engine_free(engine);
    sk_X509_pop_free(chain, X509_free);
    close_checker(checker, true);
}

/* One piece reads no more than it may. */
static void a_piece_is_bounded(void **state)
{
    (void)state;
    list large = {.signer = &world.ca, FRESH, .entry = COMPROMISE, .padding = 20};
    est_question question = {.certificate = world.leaf.cert, .issuer = world.ca.cert, .now = world.now};
    uint64_t pieces[] = {1000, 65536, 100000, EST_CRL_TURN_BYTES};
    size_t len = 0;
    uint8_t *der = make_list(&large, &len);
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_true(est_fd_write_all(fileno(file), der, len));
    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        est_crl_reading *reading = NULL;
        est_crl *crl = NULL;
        size_t steps = 0;
        assert_ok(est_crl_reading_new(fileno(file), &question, (int64_t)len, &reading, world.err), world.err);
        for (; crl == NULL; steps++) {
            uint64_t left = pieces[i];
            assert_ok(est_crl_reading_step(reading, &left, &crl, world.err), world.err);
            assert_true(left <= pieces[i] && (left == 0) == (crl == NULL));
        }
        assert_int_equal(steps, len / pieces[i] + 1);
        assert_true(crl->found);
        est_crl_free(crl);
        est_crl_reading_free(reading);
    }
    assert_int_equal(fclose(file), 0);
    OPENSSL_free(der);
}

/* --- the folder --- */

/* No link, and nobody else's, nor in a folder in which somebody else could put another in its place. */
static void folders(void **state)
{
    (void)state;
    char inside[128], link[128], linked[192];
    estuary_revocation *checker = NULL;
    make_folder();
    snprintf(inside, sizeof(inside), "%s/cache", world.folder);
    snprintf(link, sizeof(link), "%s/link", world.folder);
    snprintf(linked, sizeof(linked), "%s//", link);
    assert_ok(estuary_revocation_new(&checker, world.err), world.err);
    assert_ok(estuary_revocation_set_cache(checker, inside, world.err), world.err);
    assert_int_equal(symlink(inside, link), 0);
    assert_failed(estuary_revocation_set_cache(checker, link, world.err), world.err, "config.cache");
    assert_failed(estuary_revocation_set_cache(checker, linked, world.err), world.err, "config.cache");
    snprintf(linked, sizeof(linked), "%s//", inside);
    assert_ok(estuary_revocation_set_cache(checker, linked, world.err), world.err);
    assert_int_equal(chmod(world.folder, 0777), 0);
    assert_failed(estuary_revocation_set_cache(checker, inside, world.err), world.err, "config.cache");
    assert_int_equal(chmod(world.folder, 01777), 0);
    assert_ok(estuary_revocation_set_cache(checker, inside, world.err), world.err);
    if (geteuid() == 0) { /* XDG_CACHE_HOME of another user, who could rename what root makes there */
        assert_int_equal(chown(world.folder, 65534, 65534), 0);
        assert_failed(estuary_revocation_set_cache(checker, inside, world.err), world.err, "config.cache");
        assert_int_equal(chown(world.folder, 0, 0), 0);
        assert_int_equal(chown(inside, 65534, 65534), 0);
        assert_failed(estuary_revocation_set_cache(checker, inside, world.err), world.err, "config.cache");
    }
    close_checker(checker, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(revoked_is_not_forgotten),
        cmocka_unit_test(ocsp_says_good),
        cmocka_unit_test(on_the_spot),
        cmocka_unit_test(two_issuers),
        cmocka_unit_test(another_scope_is_not_kept),
        cmocka_unit_test(refreshed_ahead),
        cmocka_unit_test(an_index_stays_open),
        cmocka_unit_test(a_large_one_in_turns),
        cmocka_unit_test(a_piece_is_bounded),
        cmocka_unit_test(folders),
    };
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    OPENSSL_free((void *)world.server.body);
    return failed;
}
