/* OCSP responses kept (R2): what is found again, what may replace what (R0), and what becomes of bad files.
 */
#include "small_ocsp.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define URL "http://ocsp.example/"

static small_pki pki;
static char folder_path[] = "/tmp/estuary-ocsp-XXXXXX";
static int folder = -1;

static int set_up(void **state)
{
    (void)state;
    pki = small_pki_new();
    if (mkdtemp(folder_path) == NULL)
        return -1;
    folder = open(folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return folder < 0 ? -1 : 0;
}

static int empty_folder(void **state)
{
    (void)state;
    DIR *dir = opendir(folder_path);
    struct dirent *one;
    while (dir != NULL && (one = readdir(dir)) != NULL) {
        if (strcmp(one->d_name, ".") != 0 && strcmp(one->d_name, "..") != 0 &&
            unlinkat(folder, one->d_name, 0) != 0)
            (void)unlinkat(folder, one->d_name, AT_REMOVEDIR);
    }
    if (dir != NULL)
        closedir(dir);
    return 0;
}

static int tear_down(void **state)
{
    small_pki_free(&pki);
    empty_folder(state);
    close(folder);
    return rmdir(folder_path);
}

static est_question about(const made *leaf)
{
    return (est_question){.certificate = leaf->cert, .issuer = pki.ca.cert, .now = pki.now, .skew = 300};
}

static est_ocsp_cache *open_cache(int64_t max, bool on_disk)
{
    est_ocsp_cache *cache = NULL;
    assert_int_equal(est_ocsp_cache_new(max, &cache, NULL), ESTUARY_OK);
    if (on_disk)
        est_ocsp_cache_use_folder(cache, folder);
    return cache;
}

/* Judged as the checker does it, then kept. */
static void put_how(est_ocsp_cache *cache, const est_question *question, const small_ocsp *how)
{
    size_t len = 0;
    X509 *delegate = NULL;
    estuary_verdict *verdict = est_verdict_new();
    small_ocsp full = *how;
    full.cert = question->certificate;
    full.issuer = question->issuer;
    full.signer = how->signer != NULL ? how->signer : &pki.ca;
    uint8_t *der = small_ocsp_answer(&full, pki.now, &len);
    assert_int_equal(est_ocsp_judge(question, NULL, der, len, verdict, &delegate, NULL), ESTUARY_OK);
    est_ocsp_cache_put(cache, question, der, len, URL, verdict);
    X509_free(delegate);
    estuary_verdict_free(verdict);
    OPENSSL_free(der);
}

static void put(est_ocsp_cache *cache, const made *leaf, int status, int reason, long made_at, long next)
{
    est_question question = about(leaf);
    put_how(cache, &question,
            &(small_ocsp){
                .produced = made_at,
                .singles = {
                    {.status = status, .reason = reason, .revoked = -9000, .made = made_at, .next = next}}});
}

static void put_good(est_ocsp_cache *cache, const made *leaf, long made_at, long next)
{
    put(cache, leaf, V_OCSP_CERTSTATUS_GOOD, -1, made_at, next);
}

static void put_revoked(est_ocsp_cache *cache, const made *leaf, int reason, long made_at, long next)
{
    put(cache, leaf, V_OCSP_CERTSTATUS_REVOKED, reason, made_at, next);
}

/* UNKNOWN: a miss, which leaves the verdict alone. */
static estuary_revocation_status get_at(est_ocsp_cache *cache, const made *leaf, long from_now,
                                        time_t *made_at)
{
    est_question question = about(leaf);
    estuary_verdict verdict = {.reason = 77};
    question.now += from_now;
    bool found = est_ocsp_cache_get(cache, &question, &verdict);
    assert_int_equal(found, verdict.status != ESTUARY_REVOCATION_UNKNOWN);
    if (made_at != NULL)
        *made_at = verdict.this_update;
    if (!found) {
        assert_int_equal(verdict.reason, 77);
        return ESTUARY_REVOCATION_UNKNOWN;
    }
    assert_string_equal(estuary_verdict_origin(&verdict), URL);
    assert_int_equal(estuary_verdict_source(&verdict), ESTUARY_REVOCATION_CACHE);
    assert_int_equal(estuary_verdict_evidence(&verdict), ESTUARY_REVOCATION_OCSP);
    assert_string_equal(estuary_verdict_code(&verdict), "");
    return verdict.status;
}

static void assert_kept(est_ocsp_cache *cache, const made *leaf, estuary_revocation_status status)
{
    assert_int_equal(get_at(cache, leaf, 0, NULL), status);
}

/* --- memory --- */

static void test_hit_and_miss(void **state)
{
    (void)state;
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        est_ocsp_cache *cache = open_cache(10, on_disk != 0);
        assert_kept(cache, &pki.leaf, ESTUARY_REVOCATION_UNKNOWN);
        put_good(cache, &pki.leaf, -3600, 3600);
        assert_kept(cache, &pki.leaf, ESTUARY_REVOCATION_GOOD);
        assert_kept(cache, &pki.other, ESTUARY_REVOCATION_UNKNOWN);
        put_revoked(cache, &pki.other, 4, -3600, 3600);
        assert_kept(cache, &pki.other, ESTUARY_REVOCATION_REVOKED);
        assert_kept(cache, &pki.leaf, ESTUARY_REVOCATION_GOOD);
        est_ocsp_cache_free(cache);
        empty_folder(NULL);
    }
}

/* The same serial number of another CA, of the same name too, is another certificate. */
static void test_other_issuer(void **state)
{
    (void)state;
    made twin = make_ca("Issuing CA", NULL);
    est_ocsp_cache *cache = open_cache(10, false);
    estuary_verdict verdict = {0};
    put_good(cache, &pki.leaf, -3600, 3600);
    est_question question = about(&pki.leaf);
    question.issuer = twin.cert;
    assert_false(est_ocsp_cache_get(cache, &question, &verdict));
    est_ocsp_cache_free(cache);
    free_made(&twin);
}

/* R0 need not be looked at again, but for the very same certificate and issuer only. */
static void test_knows(void **state)
{
    (void)state;
    made twin = make_cert(&(recipe){.cn = "device 2", .issuer = &pki.ca, .serial = "0A01"});
    made renewed = make_cert(
        &(recipe){.cn = "Issuing CA", .key = pki.ca.key, .constraints = "critical,CA:TRUE", .serial = "77"});
    est_ocsp_cache *cache = open_cache(10, false);
    est_question question = about(&pki.leaf), forged = about(&twin), moved = question;
    moved.issuer = renewed.cert;
    assert_false(est_ocsp_cache_knows(cache, &question));
    put_good(cache, &pki.leaf, -3600, 3600);
    assert_true(est_ocsp_cache_knows(cache, &question));
    assert_false(est_ocsp_cache_knows(cache, &forged)); /* the same serial number */
    assert_false(est_ocsp_cache_knows(cache, &moved));
    est_ocsp_cache_free(cache);
    free_made(&twin);
    free_made(&renewed);
}

static void test_ends(void **state)
{
    (void)state;
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        est_ocsp_cache *cache = open_cache(10, on_disk != 0);
        put_good(cache, &pki.leaf, -3600, 3600);
        assert_int_equal(get_at(cache, &pki.leaf, 3800, NULL), ESTUARY_REVOCATION_GOOD); /* skew */
        assert_int_equal(get_at(cache, &pki.leaf, 4000, NULL), ESTUARY_REVOCATION_UNKNOWN);
        assert_kept(cache, &pki.leaf, ESTUARY_REVOCATION_GOOD); /* it is still there */
        /* without nextUpdate by its age */
        put_good(cache, &pki.leaf, -60, NOTHING);
        assert_int_equal(get_at(cache, &pki.leaf, 6 * 86400, NULL), ESTUARY_REVOCATION_GOOD);
        assert_int_equal(get_at(cache, &pki.leaf, 8 * 86400, NULL), ESTUARY_REVOCATION_UNKNOWN);
        est_question strict = about(&pki.leaf);
        estuary_verdict verdict = {0};
        strict.max_age = 30;
        assert_false(est_ocsp_cache_get(cache, &strict, &verdict));
        est_ocsp_cache_free(cache);
        empty_folder(NULL);
    }
}

/* R0: later evidence replaces earlier, revoked stays. Each row: what is there, what comes, what is then said.
 */
static void test_replacing(void **state)
{
    (void)state;
    enum { GOOD = -2 }; /* else the reason; -1: none */
    static const struct {
        int there, comes;
        long there_at, comes_at;
        estuary_revocation_status status;
        long at;
    } cases[] = {
        {GOOD, GOOD, -7200, -3600, ESTUARY_REVOCATION_GOOD, -3600},
        {GOOD, GOOD, -3600, -7200, ESTUARY_REVOCATION_GOOD, -3600},
        {GOOD, 1, -7200, -3600, ESTUARY_REVOCATION_REVOKED, -3600},
        {GOOD, 1, -3600, -7200, ESTUARY_REVOCATION_REVOKED, -7200},
        {1, GOOD, -7200, -3600, ESTUARY_REVOCATION_REVOKED, -7200},
        {-1, GOOD, -7200, -3600, ESTUARY_REVOCATION_REVOKED, -7200},
        {1, 1, -7200, -3600, ESTUARY_REVOCATION_REVOKED, -3600},
        {1, 1, -3600, -7200, ESTUARY_REVOCATION_REVOKED, -3600},
        {6, GOOD, -7200, -3600, ESTUARY_REVOCATION_GOOD, -3600}, /* certificateHold was lifted */
        {6, GOOD, -3600, -7200, ESTUARY_REVOCATION_REVOKED, -3600},
        {6, GOOD, -3600, -3600, ESTUARY_REVOCATION_REVOKED, -3600},
        {GOOD, 6, -3600, -7200, ESTUARY_REVOCATION_GOOD, -3600},
        {GOOD, 6, -3600, -3600, ESTUARY_REVOCATION_REVOKED, -3600},
        {1, 6, -7200, -3600, ESTUARY_REVOCATION_REVOKED, -7200},
    };
    for (size_t i = 0; i < 2 * COUNT_OF(cases); i++) {
        size_t n = i / 2;
        bool on_disk = i % 2 != 0;
        time_t at = 0;
        est_ocsp_cache *cache = open_cache(10, on_disk);
        put(cache, &pki.leaf, cases[n].there == GOOD ? V_OCSP_CERTSTATUS_GOOD : V_OCSP_CERTSTATUS_REVOKED,
            cases[n].there == GOOD ? -1 : cases[n].there, cases[n].there_at, 3600);
        if (on_disk) { /* another process */
            est_ocsp_cache_free(cache);
            cache = open_cache(10, true);
        }
        put(cache, &pki.leaf, cases[n].comes == GOOD ? V_OCSP_CERTSTATUS_GOOD : V_OCSP_CERTSTATUS_REVOKED,
            cases[n].comes == GOOD ? -1 : cases[n].comes, cases[n].comes_at, 3600);
        assert_int_equal(get_at(cache, &pki.leaf, 0, &at), cases[n].status);
        assert_int_equal(at, pki.now + cases[n].at);
        est_ocsp_cache_free(cache);
        empty_folder(NULL);
    }
}

static void test_revoked_outlives_its_date(void **state)
{
    (void)state;
    est_ocsp_cache *cache = open_cache(10, true);
    put_revoked(cache, &pki.leaf, 1, -3600, 3600);
    put_revoked(cache, &pki.other, 6, -3600, 3600);
    for (int again = 0; again < 2; again++) { /* from memory, then from the folder */
        assert_int_equal(get_at(cache, &pki.leaf, 30 * 86400, NULL), ESTUARY_REVOCATION_REVOKED);
        assert_int_equal(get_at(cache, &pki.other, 30 * 86400, NULL), ESTUARY_REVOCATION_UNKNOWN);
        est_ocsp_cache_free(cache);
        cache = open_cache(10, true);
    }
    /* nothing good takes the place of what is out of date but newer */
    put_good(cache, &pki.other, -7200, 7200);
    assert_kept(cache, &pki.other, ESTUARY_REVOCATION_REVOKED);
    est_ocsp_cache_free(cache);
}

static void test_not_kept(void **state)
{
    (void)state;
    size_t len = 0;
    est_ocsp_cache *cache = open_cache(10, true);
    est_question question = about(&pki.leaf);
    estuary_verdict verdict = {.status = ESTUARY_REVOCATION_UNKNOWN};
    small_ocsp how = {.cert = pki.leaf.cert, .issuer = pki.ca.cert, .signer = &pki.ca};
    uint8_t *der = small_ocsp_answer(&how, pki.now, &len);
    est_ocsp_cache_put(cache, &question, der, len, URL, &verdict);
    assert_kept(cache, &pki.leaf, ESTUARY_REVOCATION_UNKNOWN);
    /* a verdict that the response does not bear out */
    verdict.status = ESTUARY_REVOCATION_REVOKED;
    verdict.this_update = pki.now - 3600;
    est_ocsp_cache_put(cache, &question, der, len, URL, &verdict);
    assert_kept(cache, &pki.leaf, ESTUARY_REVOCATION_UNKNOWN);
    verdict.status = ESTUARY_REVOCATION_GOOD;
    verdict.this_update = pki.now;
    est_ocsp_cache_put(cache, &question, der, len, URL, &verdict);
    assert_kept(cache, &pki.leaf, ESTUARY_REVOCATION_UNKNOWN);
    verdict.this_update = pki.now - 3600;
    est_ocsp_cache_put(cache, &question, der, len - 1, URL, &verdict);
    assert_kept(cache, &pki.leaf, ESTUARY_REVOCATION_UNKNOWN);
    est_ocsp_cache_put(cache, &question, der, len, URL, &verdict);
    assert_kept(cache, &pki.leaf, ESTUARY_REVOCATION_GOOD);
    OPENSSL_free(der);
    est_ocsp_cache_free(cache);
}

static void test_bound(void **state)
{
    (void)state;
    enum { MANY = 5, MAX = 3 };
    made leaves[MANY];
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        est_ocsp_cache *cache = open_cache(MAX, on_disk != 0);
        for (int i = 0; i < MANY; i++) {
            char serial[8];
            snprintf(serial, sizeof(serial), "B%02X", i);
            leaves[i] =
                make_cert(&(recipe){.cn = "one", .issuer = &pki.ca, .key = pki.leaf.key, .serial = serial});
        }
        put_revoked(cache, &leaves[0], 1, -3600, 3600);
        put_good(cache, &leaves[1], -3600, 3600);
        put_good(cache, &leaves[2], -3600, 3600);
        if (on_disk == 0) {
            assert_kept(cache, &leaves[1], ESTUARY_REVOCATION_GOOD); /* used: now 2 is the oldest */
            put_good(cache, &leaves[3], -3600, 3600);
            assert_kept(cache, &leaves[2], ESTUARY_REVOCATION_UNKNOWN);
            put_good(cache, &leaves[4], -3600, 3600);
            assert_kept(cache, &leaves[1], ESTUARY_REVOCATION_UNKNOWN);
            assert_kept(cache, &leaves[3], ESTUARY_REVOCATION_GOOD);
            assert_kept(cache, &leaves[0], ESTUARY_REVOCATION_REVOKED);
        } else {
            for (int i = 3; i < MANY; i++)
                put_good(cache, &leaves[i], -3600, 3600);
            /* R0: what was written longest ago says revoked, and stays; another process sees it */
            est_ocsp_cache *later = open_cache(MAX, true);
            assert_kept(later, &leaves[0], ESTUARY_REVOCATION_REVOKED);
            assert_kept(later, &leaves[1], ESTUARY_REVOCATION_UNKNOWN);
            assert_kept(later, &leaves[MANY - 1], ESTUARY_REVOCATION_GOOD);
            est_ocsp_cache_free(later);
            size_t removed = 0;
            assert_int_equal(est_ocsp_cache_clear(cache, &removed, NULL), ESTUARY_OK);
            assert_int_equal(removed, MAX);
        }
        for (int i = 0; i < MANY; i++)
            free_made(&leaves[i]);
        est_ocsp_cache_free(cache);
    }
}

/* --- delegates --- */

static void put_signed_by(est_ocsp_cache *cache, const made *leaf, const made *signer)
{
    est_question question = about(leaf);
    put_how(cache, &question, &(small_ocsp){.signer = signer, .certs = {signer->cert}});
}

/* From the folder a delegate that may be revoked counts only when it is known to be good. */
static void test_delegates(void **state)
{
    (void)state;
    est_ocsp_cache *cache = open_cache(10, true);
    put_signed_by(cache, &pki.leaf, &pki.checked);
    put_signed_by(cache, &pki.other, &pki.delegate);
    assert_kept(cache, &pki.leaf, ESTUARY_REVOCATION_GOOD); /* in memory: it was checked before */
    est_ocsp_cache_free(cache);
    cache = open_cache(10, true);
    assert_kept(cache, &pki.leaf, ESTUARY_REVOCATION_UNKNOWN);
    assert_kept(cache, &pki.other, ESTUARY_REVOCATION_GOOD);
    put_good(cache, &pki.checked, -3600, 3600);
    assert_kept(cache, &pki.leaf, ESTUARY_REVOCATION_GOOD);
    est_ocsp_cache_free(cache);
    cache = open_cache(10, true);
    put_revoked(cache, &pki.checked, 1, -3600, 3600);
    assert_kept(cache, &pki.leaf, ESTUARY_REVOCATION_UNKNOWN);
    est_ocsp_cache_free(cache);
    /* a delegate vouched for by a delegate that would have to be checked too */
    made second =
        make_cert(&(recipe){.cn = "Second", .issuer = &pki.ca, .purposes = "OCSPSigning", .serial = "53"});
    empty_folder(NULL);
    cache = open_cache(10, true);
    put_signed_by(cache, &pki.leaf, &pki.checked);
    put_signed_by(cache, &pki.checked, &second);
    put_good(cache, &second, -3600, 3600);
    est_ocsp_cache_free(cache);
    cache = open_cache(10, true);
    assert_kept(cache, &pki.leaf, ESTUARY_REVOCATION_UNKNOWN);
    free_made(&second);
    est_ocsp_cache_free(cache);
}

/* What a delegate signed does not outlive it. */
static void test_delegate_ends(void **state)
{
    (void)state;
    made brief = make_cert(&(recipe){.cn = "Brief",
                                     .issuer = &pki.ca,
                                     .purposes = "OCSPSigning",
                                     .no_check = true,
                                     .from = -3600,
                                     .to = 600});
    est_ocsp_cache *cache = open_cache(10, true);
    put_signed_by(cache, &pki.leaf, &brief);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(get_at(cache, &pki.leaf, 800, NULL), ESTUARY_REVOCATION_GOOD);
        assert_int_equal(get_at(cache, &pki.leaf, 1000, NULL), ESTUARY_REVOCATION_UNKNOWN);
        est_ocsp_cache_free(cache);
        cache = open_cache(10, true);
    }
    free_made(&brief);
    est_ocsp_cache_free(cache);
}

/* --- files --- */

/* The one entry's name. */
static bool find_file(char name[256])
{
    DIR *dir = opendir(folder_path);
    struct dirent *one;
    bool found = false;
    assert_non_null(dir);
    while ((one = readdir(dir)) != NULL) {
        if (strstr(one->d_name, ".ocsp") != NULL && one->d_name[0] != '.') {
            snprintf(name, 256, "%s", one->d_name);
            found = true;
        }
    }
    closedir(dir);
    return found;
}

static size_t read_file(const char *name, uint8_t *bytes, size_t max)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    ssize_t len = read(fd, bytes, max);
    assert_true(len > 0);
    close(fd);
    return (size_t)len;
}

static void write_file(const char *name, const uint8_t *bytes, size_t len, mode_t mode)
{
    (void)unlinkat(folder, name, 0);
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, bytes, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

/* Anew from the folder: the file must not count; and it goes when it is nothing we can have written. */
static void assert_refused(const char *name, bool goes)
{
    est_ocsp_cache *cache = open_cache(10, true);
    struct stat info;
    assert_kept(cache, &pki.leaf, ESTUARY_REVOCATION_UNKNOWN);
    assert_int_equal(fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW), goes ? -1 : 0);
    est_ocsp_cache_free(cache);
}

static size_t make_file(char name[256], uint8_t *bytes, size_t max)
{
    empty_folder(NULL);
    est_ocsp_cache *cache = open_cache(10, true);
    put_good(cache, &pki.leaf, -3600, 3600);
    est_ocsp_cache_free(cache);
    assert_true(find_file(name));
    return read_file(name, bytes, max);
}

static void test_file(void **state)
{
    (void)state;
    char name[256];
    uint8_t bytes[4096];
    struct stat info;
    size_t len = make_file(name, bytes, sizeof(bytes) - 1);
    bytes[len] = '\0';
    assert_int_equal(strlen(name), 64 + 5);
    assert_int_equal(fstatat(folder, name, &info, 0), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_memory_equal(bytes, "estuary-ocsp 1\nurl " URL "\nserial 0A01\nthis-update ", 40);
    est_ocsp_cache *cache = open_cache(10, true);
    assert_kept(cache, &pki.leaf, ESTUARY_REVOCATION_GOOD);
    est_ocsp_cache_free(cache);
}

static void test_tampered_file(void **state)
{
    (void)state;
    char name[256], other[256];
    uint8_t bytes[4096], foreign[4096];
    size_t len = make_file(name, bytes, sizeof(bytes));
    const uint8_t *end = memmem(bytes, len, "\n\n", 2);
    size_t head = (size_t)(end - bytes) + 2;
    for (size_t i = 0; i < len; i += i < head ? 1 : 7) {
        est_ocsp_cache *cache = open_cache(10, true);
        estuary_verdict verdict = {0};
        est_question question = about(&pki.leaf);
        bytes[i] ^= 0x08;
        write_file(name, bytes, len, 0600);
        bool found = est_ocsp_cache_get(cache, &question, &verdict);
        if (found && i >= head)
            fail_msg("byte %zu of %zu may be changed", i, len);
        /* what the head says is for people: whatever stands there, the answer is the response's */
        assert_true(!found ||
                    (verdict.status == ESTUARY_REVOCATION_GOOD && verdict.this_update == pki.now - 3600));
        bytes[i] ^= 0x08;
        est_ocsp_cache_free(cache);
    }
    write_file(name, bytes, head, 0600);
    assert_refused(name, true);
    write_file(name, bytes, len - 1, 0600);
    assert_refused(name, true);
    bytes[len] = 0;
    write_file(name, bytes, len + 1, 0600);
    assert_refused(name, true);
    write_file(name, bytes, 10, 0600);
    assert_refused(name, true);
    /* the good response of another certificate under this one's name */
    empty_folder(NULL);
    est_ocsp_cache *cache = open_cache(10, true);
    put_good(cache, &pki.other, -3600, 3600);
    est_ocsp_cache_free(cache);
    assert_true(find_file(other));
    size_t size = read_file(other, foreign, sizeof(foreign));
    write_file(name, foreign, size, 0600);
    assert_refused(name, true);
}

static void test_unsafe_file(void **state)
{
    (void)state;
    char name[256];
    uint8_t bytes[4096];
    size_t len = make_file(name, bytes, sizeof(bytes));
    static const mode_t modes[] = {0640, 0604, 0660, 0620, 0666};
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        write_file(name, bytes, len, modes[i]);
        assert_refused(name, true);
    }
    if (geteuid() == 0) { /* somebody else's */
        write_file(name, bytes, len, 0600);
        assert_int_equal(fchownat(folder, name, 65534, 65534, 0), 0);
        assert_refused(name, true);
    }
    write_file("target", bytes, len, 0600);
    (void)unlinkat(folder, name, 0);
    assert_int_equal(symlinkat("target", folder, name), 0);
    assert_refused(name, true);
    struct stat info;
    assert_int_equal(fstatat(folder, "target", &info, 0), 0);
    assert_int_equal(mkfifoat(folder, name, 0600), 0);
    assert_refused(name, true);
    assert_int_equal(mkdirat(folder, name, 0700), 0);
    assert_refused(name, false); /* harmless, and not ours to remove */
    (void)unlinkat(folder, name, AT_REMOVEDIR);
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, EST_OCSP_BYTES_MAX + 4096), 0);
    close(fd);
    assert_refused(name, true);
    write_file(name, bytes, len, 0600);
    est_ocsp_cache *cache = open_cache(10, true);
    assert_kept(cache, &pki.leaf, ESTUARY_REVOCATION_GOOD);
    est_ocsp_cache_free(cache);
}

/* R0: a good response put back from the past, over the newer one. */
static void test_replayed_file(void **state)
{
    (void)state;
    char name[256];
    uint8_t bytes[4096];
    size_t len = make_file(name, bytes, sizeof(bytes));
    est_ocsp_cache *cache = open_cache(10, true);
    put_revoked(cache, &pki.leaf, 1, -1800, 3600);
    write_file(name, bytes, len, 0600);
    assert_kept(cache, &pki.leaf, ESTUARY_REVOCATION_REVOKED); /* while this process remembers */
    est_ocsp_cache_free(cache);
}

/* A bad file does not stand in the way of a good response. */
static void test_bad_file_is_replaced(void **state)
{
    (void)state;
    char name[256];
    uint8_t bytes[4096];
    size_t len = make_file(name, bytes, sizeof(bytes));
    bytes[len - 5] ^= 1;
    write_file(name, bytes, len, 0600);
    est_ocsp_cache *cache = open_cache(10, true);
    put_good(cache, &pki.leaf, -7200, 3600);
    est_ocsp_cache_free(cache);
    cache = open_cache(10, true);
    time_t at = 0;
    assert_int_equal(get_at(cache, &pki.leaf, 0, &at), ESTUARY_REVOCATION_GOOD);
    assert_int_equal(at, pki.now - 7200);
    est_ocsp_cache_free(cache);
}

/* What a crash left goes when it is old; what is not ours stays. */
static void test_left_over(void **state)
{
    (void)state;
    struct stat info;
    const struct timespec old[2] = {{.tv_sec = pki.now - 7200}, {.tv_sec = pki.now - 7200}};
    write_file(".new-ocsp-0123", (const uint8_t *)"x", 1, 0600);
    write_file(".new-ocsp-4567", (const uint8_t *)"x", 1, 0600);
    write_file("notes.txt", (const uint8_t *)"x", 1, 0600);
    assert_int_equal(utimensat(folder, ".new-ocsp-0123", old, 0), 0);
    est_ocsp_cache *cache = open_cache(10, true);
    put_good(cache, &pki.leaf, -3600, 3600);
    assert_int_equal(fstatat(folder, ".new-ocsp-0123", &info, 0), -1);
    assert_int_equal(fstatat(folder, ".new-ocsp-4567", &info, 0), 0);
    size_t removed = 0;
    assert_int_equal(est_ocsp_cache_clear(cache, &removed, NULL), ESTUARY_OK);
    assert_int_equal(removed, 1);
    assert_int_equal(fstatat(folder, ".new-ocsp-4567", &info, 0), -1);
    assert_int_equal(fstatat(folder, "notes.txt", &info, 0), 0);
    assert_kept(cache, &pki.leaf, ESTUARY_REVOCATION_UNKNOWN);
    est_ocsp_cache_free(cache);
}

/* A folder that has gone: memory does it alone, listing and clearing say so. */
static void test_no_folder(void **state)
{
    (void)state;
    estuary_error *err = estuary_error_new();
    est_ocsp_cache *cache = open_cache(10, false);
    size_t removed = 0;
    est_ocsp_cache_use_folder(cache, 9999);
    put_good(cache, &pki.leaf, -3600, 3600);
    assert_kept(cache, &pki.leaf, ESTUARY_REVOCATION_GOOD);
    assert_failed(est_ocsp_cache_clear(cache, &removed, err), err, "io.failed");
    assert_failed(est_ocsp_cache_list(cache, NULL, NULL, err), err, "io.failed");
    assert_int_equal(removed, 0);
    est_ocsp_cache_free(cache);
    estuary_error_free(err);
}

/* --- listing and refreshing --- */

typedef struct listed {
    size_t count;
    char subjects[64];
    time_t next[2];
} listed;

static void take(void *arg, const estuary_cache_entry *entry)
{
    listed *out = arg;
    assert_int_equal(entry->kind, ESTUARY_REVOCATION_OCSP);
    assert_string_equal(entry->origin, URL);
    assert_int_equal(entry->this_update, pki.now - 3600);
    assert_int_equal(entry->fetched_at, pki.now);
    assert_true(entry->bytes > 100 && entry->bytes < 1000);
    assert_false(entry->indexed);
    out->next[strcmp(entry->subject, "0A02") == 0] = entry->next_update;
    size_t used = strlen(out->subjects);
    snprintf(out->subjects + used, sizeof(out->subjects) - used, "%s ", entry->subject);
    out->count++;
}

static void test_list_and_clear(void **state)
{
    (void)state;
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        listed found = {0};
        size_t removed = 0;
        empty_folder(NULL);
        est_ocsp_cache *cache = open_cache(10, on_disk != 0);
        put_good(cache, &pki.leaf, -3600, 3600);
        put_good(cache, &pki.other, -3600, NOTHING);
        assert_int_equal(est_ocsp_cache_list(cache, take, &found, NULL), ESTUARY_OK);
        assert_int_equal(found.count, 2);
        assert_non_null(strstr(found.subjects, "0A01 "));
        assert_non_null(strstr(found.subjects, "0A02 "));
        assert_int_equal(found.next[0], pki.now + 3600);
        assert_int_equal(found.next[1], 0);
        assert_int_equal(est_ocsp_cache_clear(cache, &removed, NULL), ESTUARY_OK);
        assert_int_equal(removed, 2);
        assert_kept(cache, &pki.leaf, ESTUARY_REVOCATION_UNKNOWN);
        found.count = 0;
        assert_int_equal(est_ocsp_cache_list(cache, take, &found, NULL), ESTUARY_OK);
        assert_int_equal(found.count, 0);
        est_ocsp_cache_free(cache);
    }
}

/* --- threads --- */

typedef struct worker {
    est_ocsp_cache *cache;
    const uint8_t *der[2];
    size_t len[2];
    estuary_verdict verdict[2];
    const made *leaf[2];
} worker;

static void *work(void *arg)
{
    const worker *w = arg;
    for (int i = 0; i < 20; i++) {
        est_question question = about(w->leaf[i % 2]);
        estuary_verdict verdict = {0};
        size_t removed = 0;
        est_ocsp_cache_put(w->cache, &question, w->der[i % 2], w->len[i % 2], URL, &w->verdict[i % 2]);
        (void)est_ocsp_cache_get(w->cache, &question, &verdict);
        if (i == 10)
            (void)est_ocsp_cache_clear(w->cache, &removed, NULL);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    worker w = {.cache = open_cache(1, true), .leaf = {&pki.leaf, &pki.other}};
    uint8_t *der[2];
    for (int i = 0; i < 2; i++) {
        X509 *delegate = NULL;
        est_question question = about(w.leaf[i]);
        small_ocsp how = {.cert = w.leaf[i]->cert, .issuer = pki.ca.cert, .signer = &pki.ca};
        der[i] = small_ocsp_answer(&how, pki.now, &w.len[i]);
        w.der[i] = der[i];
        assert_int_equal(est_ocsp_judge(&question, NULL, der[i], w.len[i], &w.verdict[i], &delegate, NULL),
                         ESTUARY_OK);
    }
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &w), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    OPENSSL_free(der[0]);
    OPENSSL_free(der[1]);
    est_ocsp_cache_free(w.cache);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, NULL, empty_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_hit_and_miss),  TEST(test_other_issuer),  TEST(test_knows),
        TEST(test_ends),          TEST(test_replacing),     TEST(test_revoked_outlives_its_date),
        TEST(test_not_kept),      TEST(test_bound),         TEST(test_delegates),
        TEST(test_delegate_ends), TEST(test_file),          TEST(test_tampered_file),
        TEST(test_unsafe_file),   TEST(test_replayed_file), TEST(test_bad_file_is_replaced),
        TEST(test_left_over),     TEST(test_no_folder),     TEST(test_list_and_clear),
        TEST(test_threads),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
