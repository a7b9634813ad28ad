/* OCSP with each allocation and each call to OpenSSL failing in turn (R1, R2): no crash, no leak, no "good".
 */
#include "../../unit/small_ocsp.h"
#include "inject.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define URL "http://ocsp.example/"

/* Prepared before anything fails. */
static struct {
    small_pki pki;
    est_ocsp_request request; /* its nonce is in the answers */
    uint8_t *der[4];
    size_t len[4];
    int folder;
} s;

static const estuary_revocation_status expected[] = {ESTUARY_REVOCATION_GOOD, ESTUARY_REVOCATION_GOOD,
                                                     ESTUARY_REVOCATION_REVOKED, ESTUARY_REVOCATION_UNKNOWN};

static void open_all(char *path)
{
    s.pki = small_pki_new();
    assert_int_equal(est_ocsp_request_make(s.pki.leaf.cert, s.pki.ca.cert, false, true, &s.request, NULL),
                     ESTUARY_OK);
    const small_ocsp answers[] = {
        {.signer = &s.pki.ca},
        {.signer = &s.pki.checked, .certs = {s.pki.checked.cert}, .by_key = true},
        {.signer = &s.pki.delegate,
         .certs = {s.pki.delegate.cert},
         .singles = {{.status = V_OCSP_CERTSTATUS_GOOD}, {.status = V_OCSP_CERTSTATUS_REVOKED, .reason = 1}},
         .count = 2},
        {.signer = &s.pki.other_ca, .certs = {s.pki.other_ca.cert}},
    };
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        small_ocsp how = answers[i];
        how.cert = s.pki.leaf.cert;
        how.issuer = s.pki.ca.cert;
        how.nonce = s.request.request;
        s.der[i] = small_ocsp_answer(&how, s.pki.now, &s.len[i]);
    }
    assert_non_null(mkdtemp(path));
    s.folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(s.folder >= 0);
}

static void empty_folder(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *one;
    while (dir != NULL && (one = readdir(dir)) != NULL)
        (void)unlinkat(s.folder, one->d_name, 0);
    if (dir != NULL)
        closedir(dir);
}

static void close_all(char *path)
{
    empty_folder(path);
    close(s.folder);
    rmdir(path);
    for (size_t i = 0; i < COUNT_OF(s.der); i++)
        OPENSSL_free(s.der[i]);
    est_ocsp_request_clear(&s.request);
    small_pki_free(&s.pki);
}

static est_question question_of(X509 *certificate)
{
    return (est_question){.certificate = certificate,
                          .issuer = s.pki.ca.cert,
                          .now = s.pki.now,
                          .skew = 300,
                          .require_nonce = true};
}

/* --- asking --- */

static void one_request(const void *arg)
{
    est_ocsp_request request;
    (void)arg;
    inject_resume();
    estuary_error *err = estuary_error_new();
    estuary_status status = est_ocsp_request_make(s.pki.leaf.cert, s.pki.ca.cert, true, true, &request, err);
    char *url = status == ESTUARY_OK ? est_ocsp_get_url(URL, &request) : NULL;
    inject_pause();
    INJECT_REQUIRE(status == ESTUARY_OK || inject_hit());
    INJECT_REQUIRE(err == NULL || estuary_error_category(err) == status);
    INJECT_REQUIRE((request.der != NULL) == (status == ESTUARY_OK));
    INJECT_REQUIRE(url != NULL || inject_hit());
    est_free(url);
    est_ocsp_request_clear(&request);
    estuary_error_free(err);
    ERR_clear_error();
}

/* --- judging --- */

static void judge(size_t i, bool asked)
{
    X509 *delegate = NULL;
    est_question question = question_of(s.pki.leaf.cert);
    inject_pause();
    estuary_verdict *verdict = est_verdict_new();
    inject_resume();
    estuary_status status =
        est_ocsp_judge(&question, asked ? &s.request : NULL, s.der[i], s.len[i], verdict, &delegate, NULL);
    inject_pause();
    INJECT_REQUIRE(status == ESTUARY_OK || (status == ESTUARY_E_MEMORY && inject_hit()));
    INJECT_REQUIRE(status == ESTUARY_OK || verdict->status == ESTUARY_REVOCATION_UNKNOWN);
    INJECT_REQUIRE(verdict->status == expected[i] ||
                   (inject_hit() && verdict->status == ESTUARY_REVOCATION_UNKNOWN));
    INJECT_REQUIRE(verdict->status != ESTUARY_REVOCATION_UNKNOWN || delegate == NULL);
    /* a delegate that must be checked is never taken for one that need not */
    INJECT_REQUIRE(verdict->status != ESTUARY_REVOCATION_GOOD || (delegate != NULL) == (i == 1));
    INJECT_REQUIRE(verdict->status != ESTUARY_REVOCATION_UNKNOWN || estuary_verdict_why(verdict)[0] != '\0');
    X509_free(delegate);
    estuary_verdict_free(verdict);
    ERR_clear_error();
    inject_resume();
}

static void every_judgement(const void *arg)
{
    (void)arg;
    inject_resume();
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        judge(i, true);
        judge(i, false);
    }
    inject_pause();
}

static void must_staple(const void *arg)
{
    const made *server = arg;
    inject_resume();
    bool must = est_staple_must(server->cert), need_not = est_staple_must(s.pki.leaf.cert);
    inject_pause();
    INJECT_REQUIRE(must); /* in doubt, it must */
    INJECT_REQUIRE(!need_not || inject_hit());
    ERR_clear_error();
}

/* --- keeping --- */

static void count_entry(void *arg, const estuary_cache_entry *entry)
{
    (void)entry;
    (*(size_t *)arg)++;
}

static void use_cache(est_ocsp_cache *cache, size_t i)
{
    estuary_verdict verdict = {.status = expected[i], .this_update = s.pki.now - 3600}, found = {0};
    est_question question = question_of(s.pki.leaf.cert);
    size_t listed = 0;
    est_ocsp_cache_put(cache, &question, s.der[i], s.len[i], URL, &verdict);
    bool hit = est_ocsp_cache_get(cache, &question, &found);
    INJECT_REQUIRE(!hit || found.status == expected[i]);
    INJECT_REQUIRE(hit || inject_hit());
    INJECT_REQUIRE(hit || found.status == ESTUARY_REVOCATION_UNKNOWN);
    estuary_status status = est_ocsp_cache_list(cache, count_entry, &listed, NULL);
    INJECT_REQUIRE(status == ESTUARY_OK || inject_hit());
    /* the signer is not for this certificate: nothing of that is ever kept */
    verdict.status = ESTUARY_REVOCATION_GOOD;
    est_ocsp_cache_put(cache, &question, s.der[3], s.len[3], URL, &verdict);
    hit = est_ocsp_cache_get(cache, &question, &found);
    INJECT_REQUIRE(!hit || found.status == expected[i]);
}

static void one_cache(const void *arg)
{
    const char *path = arg;
    bool from_memory = path[0] == '\0';
    empty_folder(from_memory ? "/nonexistent" : path);
    inject_resume();
    for (size_t i = 0; i < 3; i += 2) {
        est_ocsp_cache *cache = NULL;
        estuary_status status = est_ocsp_cache_new(2, &cache, NULL);
        INJECT_REQUIRE(status == ESTUARY_OK || (inject_hit() && cache == NULL));
        if (cache == NULL)
            continue;
        if (!from_memory)
            est_ocsp_cache_use_folder(cache, s.folder);
        use_cache(cache, i);
        est_ocsp_cache_free(cache);
    }
    inject_pause();
    ERR_clear_error();
}

/* The good one stands in the folder; it is found, or it is not. */
static void one_load(const void *arg)
{
    est_ocsp_cache *cache = NULL;
    estuary_verdict found = {0};
    est_question question = question_of(s.pki.leaf.cert);
    empty_folder(arg);
    INJECT_REQUIRE(est_ocsp_cache_new(2, &cache, NULL) == ESTUARY_OK);
    est_ocsp_cache_use_folder(cache, s.folder);
    est_ocsp_cache_put(
        cache, &question, s.der[0], s.len[0], URL,
        &(estuary_verdict){.status = ESTUARY_REVOCATION_GOOD, .this_update = s.pki.now - 3600});
    est_ocsp_cache_free(cache);
    INJECT_REQUIRE(est_ocsp_cache_new(2, &cache, NULL) == ESTUARY_OK);
    est_ocsp_cache_use_folder(cache, s.folder);
    inject_resume();
    bool hit = est_ocsp_cache_get(cache, &question, &found);
    inject_pause();
    INJECT_REQUIRE(hit ? found.status == ESTUARY_REVOCATION_GOOD : inject_hit());
    est_ocsp_cache_free(cache);
    ERR_clear_error();
}

/* "Revoked" stands in the folder; a "good" comes, is tried out, and is not what is said afterwards (R0). */
static void one_replacement(const void *arg)
{
    est_ocsp_cache *cache = NULL;
    estuary_verdict found = {0},
                    verdict = {.status = ESTUARY_REVOCATION_REVOKED, .this_update = s.pki.now - 3600};
    est_question question = question_of(s.pki.leaf.cert);
    empty_folder(arg);
    for (size_t i = 2; i < 3; i--) { /* 2, 1, 0 */
        if (est_ocsp_cache_new(2, &cache, NULL) != ESTUARY_OK)
            continue;
        est_ocsp_cache_use_folder(cache, s.folder);
        est_ocsp_cache_put(cache, &question, s.der[i], s.len[i], URL, &verdict);
        est_ocsp_cache_free(cache);
        verdict.status = ESTUARY_REVOCATION_GOOD;
        inject_resume();
    }
    inject_pause();
    INJECT_REQUIRE(est_ocsp_cache_new(2, &cache, NULL) == ESTUARY_OK);
    est_ocsp_cache_use_folder(cache, s.folder);
    bool hit = est_ocsp_cache_get(cache, &question, &found);
    INJECT_REQUIRE(hit && found.status == ESTUARY_REVOCATION_REVOKED);
    est_ocsp_cache_free(cache);
    ERR_clear_error();
}

int main(void)
{
    char path[] = "/tmp/estuary-inject-ocsp-XXXXXX";
    bool passed = true;
    inject_set_up();
    open_all(path);
    made server = make_cert(&(recipe){.cn = "server", .issuer = &s.pki.ca, .tls_feature = "status_request"});
    const inject_plan tests[] = {
        {"request, every OpenSSL call", INJECT_OPENSSL, one_request, NULL, 0},
        {"request, every allocation", INJECT_ALLOCATION, one_request, NULL, 0},
        {"judging, every OpenSSL call", INJECT_OPENSSL, every_judgement, NULL, 0},
        {"judging, allocations", INJECT_ALLOCATION, every_judgement, NULL, 300},
        {"must-staple, every OpenSSL call", INJECT_OPENSSL, must_staple, &server, 0},
        {"must-staple, every allocation", INJECT_ALLOCATION, must_staple, &server, 0},
        {"memory, every OpenSSL call", INJECT_OPENSSL, one_cache, "", 0},
        {"memory, every allocation of ours", INJECT_OUR_ALLOCATION, one_cache, "", 0},
        {"folder, every OpenSSL call", INJECT_OPENSSL, one_cache, path, 0},
        {"folder, every allocation of ours", INJECT_OUR_ALLOCATION, one_cache, path, 0},
        {"loading, every OpenSSL call", INJECT_OPENSSL, one_load, path, 0},
        {"loading, every allocation", INJECT_ALLOCATION, one_load, path, 0},
        {"replacing, allocations", INJECT_ALLOCATION, one_replacement, path, 200},
    };
    printf("1..%zu\n", COUNT_OF(tests));
    for (size_t i = 0; i < COUNT_OF(tests); i++)
        passed = inject_every((int)i + 1, &tests[i]) && passed;
    free_made(&server);
    close_all(path);
    return passed ? 0 : 1;
}
