/*
 * CRLs kept by URL, in a folder and in unnamed files (R5): what replaces what, what is thrown out, and that
 * nothing in the folder can do more harm than to be passed over.
 */
#include "support.h"

#include "revocation/checker.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define URL     "http://crl.example/a.crl"
#define MISSING "http://crl.example/missing.crl"

static struct place {
    char path[64];
    int fd;
    estuary_error *err;
} place;

static int set_up(void **state)
{
    (void)state;
    place.err = estuary_error_new();
    return place.err == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    estuary_error_free(place.err);
    return 0;
}

static est_crl_cache *open_cache(bool on_disk, int64_t max)
{
    est_crl_cache *cache = NULL;
    place.fd = -1;
    if (on_disk) {
        snprintf(place.path, sizeof(place.path), "/tmp/estuary-test-XXXXXX");
        assert_non_null(mkdtemp(place.path));
        place.fd = open(place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(place.fd >= 0);
    }
    assert_ok(est_crl_cache_new(place.fd, max, &cache, place.err), place.err);
    return cache;
}

static void close_cache(est_crl_cache *cache)
{
    size_t removed = 0;
    char command[128];
    assert_ok(est_crl_cache_clear(cache, &removed, place.err), place.err);
    est_crl_cache_free(cache);
    if (place.fd < 0)
        return;
    assert_int_equal(close(place.fd), 0);
    if (rmdir(place.path) != 0) { /* a test's own files */
        snprintf(command, sizeof(command), "rm -r %s", place.path);
        assert_int_equal(system(command), 0);
    }
}

/* What a download does. */
static estuary_status put_all(est_crl_cache *cache, est_crl_cached *facts, const char *content)
{
    char name[EST_CRL_TEMP_SIZE];
    facts->bytes = (int64_t)strlen(content);
    estuary_status status = est_crl_cache_begin(cache, &facts->fd, name, NULL);
    if (status != ESTUARY_OK)
        return status;
    if (write(facts->fd, content, strlen(content)) != (ssize_t)strlen(content))
        status = ESTUARY_E_IO;
    if (status == ESTUARY_OK)
        status = est_crl_cache_commit(cache, name, facts, NULL);
    if (close(facts->fd) != 0)
        status = ESTUARY_E_IO;
    return status;
}

static est_crl_cached facts_of(const char *url, time_t fetched_at, time_t this_update)
{
    return (est_crl_cached){.url = (char *)url,
                            .etag = (char *)"\"tag\"",
                            .last_modified = (char *)"Tue, 24 Nov 2026 10:00:00 GMT",
                            .issuer = (char *)"CN=CA",
                            .fetched_at = fetched_at,
                            .this_update = this_update,
                            .next_update = this_update + 100};
}

static void put(est_crl_cache *cache, const char *url, time_t fetched_at, time_t this_update,
                const char *content)
{
    est_crl_cached facts = facts_of(url, fetched_at, this_update);
    assert_int_equal(put_all(cache, &facts, content), ESTUARY_OK);
}

/* content NULL: nothing is there */
static void assert_there(est_crl_cache *cache, const char *url, time_t this_update, const char *content)
{
    char text[64] = "";
    est_crl_cached cached;
    bool there = est_crl_cache_get(cache, url, &cached);
    assert_int_equal(there, content != NULL);
    if (there) {
        ssize_t n = pread(cached.fd, text, sizeof(text) - 1, 0);
        assert_int_equal(n, strlen(content));
        assert_string_equal(text, content);
        assert_string_equal(cached.url, url);
        assert_string_equal(cached.etag, "\"tag\"");
        assert_string_equal(cached.issuer, "CN=CA");
        assert_int_equal(cached.this_update, this_update);
        assert_int_equal(cached.next_update, this_update + 100);
        assert_int_equal(cached.bytes, n);
    } else {
        assert_int_equal(cached.fd, -1);
        assert_null(cached.url);
    }
    est_crl_cached_clear(&cached);
}

static void count_entry(void *arg, const estuary_cache_entry *entry)
{
    size_t *count = arg;
    assert_string_equal(entry->subject, "CN=CA");
    assert_int_equal(entry->kind, ESTUARY_REVOCATION_CRL);
    assert_false(entry->indexed);
    ++*count;
}

static size_t count_of(est_crl_cache *cache)
{
    size_t count = 0;
    assert_ok(est_crl_cache_list(cache, count_entry, &count, place.err), place.err);
    return count;
}

/* The whole path of a file of the one entry that is there. */
static void path_of(const char *suffix, char *out, size_t size)
{
    uint8_t hash[32];
    assert_int_equal(EVP_Digest(URL, strlen(URL), hash, NULL, EVP_sha256(), NULL), 1);
    int len = snprintf(out, size, "%s/", place.path);
    for (size_t i = 0; i < sizeof(hash); i++)
        len += snprintf(out + len, size - (size_t)len, "%02x", hash[i]);
    snprintf(out + len, size - (size_t)len, "%s", suffix);
}

static void overwrite(const char *path, const char *text, size_t len)
{
    int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
    assert_int_equal(close(fd), 0);
}

/* --- both kinds --- */

static void hit_and_miss(void **state)
{
    (void)state;
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        est_crl_cache *cache = open_cache(on_disk != 0, 10);
        assert_there(cache, URL, 0, NULL);
        put(cache, URL, 1000, 900, "first");
        assert_there(cache, URL, 900, "first");
        assert_there(cache, URL, 900, "first"); /* a reader of its own each time */
        assert_there(cache, MISSING, 0, NULL);
        assert_int_equal(count_of(cache), 1);
        close_cache(cache);
    }
}

/* R0 */
static void older_never_replaces_newer(void **state)
{
    (void)state;
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        est_crl_cache *cache = open_cache(on_disk != 0, 10);
        put(cache, URL, 1000, 900, "first");
        put(cache, URL, 1001, 901, "second");
        assert_there(cache, URL, 901, "second");
        put(cache, URL, 1002, 900, "replayed");
        assert_there(cache, URL, 901, "second");
        put(cache, URL, 1003, 901, "again");
        assert_there(cache, URL, 901, "again");
        assert_int_equal(count_of(cache), 1);
        close_cache(cache);
    }
}

/* Whoever was fetched longest ago goes; a touch counts. */
static void too_many(void **state)
{
    (void)state;
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        est_crl_cache *cache = open_cache(on_disk != 0, 2);
        put(cache, "http://a/1", 1000, 900, "1");
        put(cache, "http://a/2", 1001, 900, "2");
        est_crl_cache_touch(cache, "http://a/1", 1002);
        est_crl_cache_touch(cache, MISSING, 1002);
        put(cache, "http://a/3", 1003, 900, "3");
        assert_there(cache, "http://a/1", 900, "1");
        assert_there(cache, "http://a/2", 0, NULL);
        assert_there(cache, "http://a/3", 900, "3");
        assert_int_equal(count_of(cache), 2);
        put(cache, "http://a/3", 1004, 901, "3a"); /* makes no room */
        assert_there(cache, "http://a/1", 900, "1");
        close_cache(cache);
    }
}

static void touching_changes_one_time_only(void **state)
{
    (void)state;
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        est_crl_cached cached;
        est_crl_cache *cache = open_cache(on_disk != 0, 10);
        put(cache, URL, 1000, 900, "first");
        est_crl_cache_touch(cache, URL, 2000);
        assert_there(cache, URL, 900, "first");
        assert_true(est_crl_cache_get(cache, URL, &cached));
        assert_int_equal(cached.fetched_at, 2000);
        assert_string_equal(cached.last_modified, "Tue, 24 Nov 2026 10:00:00 GMT");
        est_crl_cached_clear(&cached);
        close_cache(cache);
    }
}

static void emptying(void **state)
{
    (void)state;
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        size_t removed = 5;
        est_crl_cached held;
        est_crl_cache *cache = open_cache(on_disk != 0, 10);
        put(cache, "http://a/1", 1000, 900, "1");
        put(cache, "http://a/2", 1001, 900, "2");
        assert_true(est_crl_cache_get(cache, "http://a/2", &held));
        assert_ok(est_crl_cache_clear(cache, &removed, place.err), place.err);
        assert_int_equal(removed, 7);
        assert_int_equal(count_of(cache), 0);
        char byte = 0;
        assert_int_equal(pread(held.fd, &byte, 1, 0), 1); /* whoever reads it reads on */
        assert_int_equal(byte, '2');
        est_crl_cached_clear(&held);
        close_cache(cache);
    }
}

static void a_download_that_is_dropped(void **state)
{
    (void)state;
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        char name[EST_CRL_TEMP_SIZE];
        int fd = -1;
        est_crl_cache *cache = open_cache(on_disk != 0, 10);
        assert_ok(est_crl_cache_begin(cache, &fd, name, place.err), place.err);
        assert_int_equal(name[0] != '\0', on_disk);
        assert_int_equal(close(fd), 0);
        est_crl_cache_drop(cache, name);
        if (on_disk != 0)
            assert_int_equal(rmdir(place.path), 0); /* nothing is left */
        est_crl_cache_free(cache);
        if (place.fd >= 0)
            assert_int_equal(close(place.fd), 0);
    }
}

/* --- the folder --- */

static void it_survives(void **state)
{
    (void)state;
    est_crl_cache *cache = open_cache(true, 10), *later = NULL;
    put(cache, URL, 1000, 900, "first");
    assert_ok(est_crl_cache_new(place.fd, 10, &later, place.err), place.err);
    assert_there(later, URL, 900, "first");
    put(later, URL, 1001, 899, "older");
    assert_there(cache, URL, 900, "first");
    est_crl_cache_free(later);
    close_cache(cache);
}

static void modes(void **state)
{
    (void)state;
    char path[160];
    struct stat info;
    static const char *const suffixes[] = {".crl", ".crl.json"};
    est_crl_cache *cache = open_cache(true, 10);
    mode_t before = umask(0);
    put(cache, URL, 1000, 900, "first");
    umask(before);
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        path_of(suffixes[i], path, sizeof(path));
        assert_int_equal(lstat(path, &info), 0);
        assert_int_equal(info.st_mode, S_IFREG | 0600);
        /* what others could have written is not read */
        assert_int_equal(chmod(path, 0620), 0);
        assert_there(cache, URL, 0, NULL);
        assert_int_equal(chmod(path, 0602), 0);
        assert_there(cache, URL, 0, NULL);
        assert_int_equal(chmod(path, 0644), 0);
        assert_there(cache, URL, 900, "first");
    }
    close_cache(cache);
}

static void notes_that_are_tampered_with(void **state)
{
    (void)state;
    char path[160];
    static char huge[70000];
    memset(huge, ' ', sizeof(huge));
    memcpy(huge, "{", 1);
    huge[sizeof(huge) - 1] = '}';
    static const char other_url[] =
        "{\"url\": \"http://evil.example/\", \"etag\": \"\", \"last_modified\": \"\", "
        "\"issuer\": \"\", \"fetched_at\": 1, \"this_update\": 1, \"next_update\": 1}";
    const struct {
        const char *text;
        size_t len;
    } rows[] = {{"", 0},
                {"{", 1},
                {"null", 4},
                {"[]", 2},
                {"7", 1},
                {"\"x\"", 3},
                {"{}", 2},
                {"{\"url\": 7}", 10},
                {"{\"url\": null, \"etag\": []}", 25},
                {"\0\0\0\0", 4},
                {"\xff\xfe{}", 4},
                {other_url, sizeof(other_url) - 1},
                {huge, sizeof(huge)}};
    est_crl_cache *cache = open_cache(true, 10);
    path_of(".crl.json", path, sizeof(path));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        put(cache, URL, 1000, 900, "first");
        overwrite(path, rows[i].text, rows[i].len);
        assert_there(cache, URL, 0, NULL);
        put(cache, URL, 1000, 900, "second"); /* it is in nobody's way */
        assert_there(cache, URL, 900, "second");
    }
    /* more than 100 levels; and numbers that are none */
    memset(huge, '[', 16000);
    overwrite(path, huge, 16000);
    assert_there(cache, URL, 0, NULL);
    static const char wrong[] =
        "{\"url\": \"" URL "\", \"fetched_at\": \"x\", \"this_update\": 1e99, \"next_update\": {}}";
    overwrite(path, wrong, sizeof(wrong) - 1);
    est_crl_cached cached;
    assert_true(est_crl_cache_get(cache, URL, &cached));
    assert_int_equal(cached.fetched_at, 0);
    assert_int_equal(cached.this_update, 0);
    assert_int_equal(cached.next_update, 0);
    assert_string_equal(cached.etag, "");
    est_crl_cached_clear(&cached);
    close_cache(cache);
}

/* No waiting, no following, no reading of what is no file. */
static void what_stands_in_for_a_file(void **state)
{
    (void)state;
    char path[160], secret[160];
    static const char *const suffixes[] = {".crl", ".crl.json"};
    est_crl_cache *cache = open_cache(true, 10);
    snprintf(secret, sizeof(secret), "%s/secret", place.path);
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        path_of(suffixes[i], path, sizeof(path));
        put(cache, URL, 1000, 900, "first");
        assert_int_equal(rename(path, secret), 0);
        assert_there(cache, URL, 0, NULL);
        assert_int_equal(symlink(secret, path), 0);
        assert_there(cache, URL, 0, NULL);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_there(cache, URL, 0, NULL);
        put(cache, URL, 1000, 900, "second"); /* takes its place */
        assert_there(cache, URL, 900, "second");
        assert_int_equal(unlink(path), 0);
        assert_int_equal(symlink(secret, path), 0);
        put(cache, URL, 1000, 901, "third"); /* what the link leads to is left alone */
        assert_there(cache, URL, 901, "third");
        struct stat info;
        assert_int_equal(lstat(secret, &info), 0);
        assert_true(S_ISREG(info.st_mode));
        size_t removed = 0;
        assert_ok(est_crl_cache_clear(cache, &removed, place.err), place.err);
        assert_int_equal(unlink(secret), 0);
    }
    close_cache(cache);
}

/* A folder in the place of notes cannot be removed; evicting must not go on for ever. */
static void what_cannot_be_removed(void **state)
{
    (void)state;
    char path[160];
    est_crl_cache *cache = open_cache(true, 1);
    path_of(".crl.json", path, sizeof(path));
    assert_int_equal(mkdir(path, 0700), 0);
    put(cache, "http://a/1", 1000, 900, "1");
    est_crl_cached facts = facts_of(URL, 1000, 900);
    assert_int_equal(put_all(cache, &facts, "x"), ESTUARY_E_IO);
    assert_there(cache, URL, 0, NULL);
    assert_int_equal(rmdir(path), 0);
    close_cache(cache);
}

static void what_killed_processes_left(void **state)
{
    (void)state;
    char old[160], fresh[160], orphan[160];
    size_t removed = 0;
    struct timespec long_ago[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    est_crl_cache *cache = open_cache(true, 10);
    snprintf(old, sizeof(old), "%s/.new-0123456789abcdef01234567", place.path);
    snprintf(fresh, sizeof(fresh), "%s/.new-1123456789abcdef01234567", place.path);
    path_of(".crl", orphan, sizeof(orphan));
    overwrite(old, "x", 1);
    overwrite(fresh, "x", 1);
    assert_int_equal(utimensat(AT_FDCWD, old, long_ago, 0), 0);
    put(cache, "http://a/1", 1000, 900, "1");
    assert_int_equal(access(old, F_OK), -1);
    assert_int_equal(access(fresh, F_OK), 0); /* somebody downloads */
    overwrite(orphan, "x", 1);
    assert_ok(est_crl_cache_clear(cache, &removed, place.err), place.err);
    assert_int_equal(removed, 1);
    assert_int_equal(access(orphan, F_OK), -1);
    assert_int_equal(unlink(fresh), 0);
    close_cache(cache);
}

/* --- threads --- */

struct worker {
    est_crl_cache *cache;
    int number;
    bool ok;
};

static void ignore_entry(void *arg, const estuary_cache_entry *entry)
{
    (void)arg;
    (void)entry;
}

/* The newest stays, whoever is last; cmocka's assertions are for the main thread only. */
static void *work(void *arg)
{
    struct worker *worker = arg;
    bool ok = true;
    for (int round = 1; round <= 40; round++) {
        char own[40], text[16];
        int made_at = round * 4 + worker->number;
        snprintf(own, sizeof(own), "http://a/%d", worker->number);
        snprintf(text, sizeof(text), "%d", made_at);
        est_crl_cached facts = facts_of(URL, 1000, made_at), mine = facts_of(own, 1000, made_at), seen;
        ok = ok && put_all(worker->cache, &facts, text) == ESTUARY_OK;
        ok = ok && put_all(worker->cache, &mine, text) == ESTUARY_OK;
        est_crl_cache_touch(worker->cache, URL, 1000 + round);
        ok = ok && est_crl_cache_get(worker->cache, own, &seen) && seen.this_update == made_at;
        est_crl_cached_clear(&seen);
        ok = ok && est_crl_cache_get(worker->cache, URL, &seen) && seen.this_update >= made_at;
        est_crl_cached_clear(&seen);
        ok = ok && est_crl_cache_list(worker->cache, ignore_entry, NULL, NULL) == ESTUARY_OK;
    }
    worker->ok = ok;
    return NULL;
}

static void four_threads(void **state)
{
    (void)state;
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        est_crl_cache *cache = open_cache(on_disk != 0, 10);
        struct worker workers[4];
        pthread_t threads[4];
        for (int i = 0; i < 4; i++) {
            workers[i] = (struct worker){cache, i, false};
            assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
        }
        for (int i = 0; i < 4; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        for (int i = 0; i < 4; i++)
            assert_true(workers[i].ok);
        assert_there(cache, URL, 163, "163");
        assert_int_equal(count_of(cache), 5);
        close_cache(cache);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hit_and_miss),
        cmocka_unit_test(older_never_replaces_newer),
        cmocka_unit_test(too_many),
        cmocka_unit_test(touching_changes_one_time_only),
        cmocka_unit_test(emptying),
        cmocka_unit_test(a_download_that_is_dropped),
        cmocka_unit_test(it_survives),
        cmocka_unit_test(modes),
        cmocka_unit_test(notes_that_are_tampered_with),
        cmocka_unit_test(what_stands_in_for_a_file),
        cmocka_unit_test(what_cannot_be_removed),
        cmocka_unit_test(what_killed_processes_left),
        cmocka_unit_test(four_threads),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
