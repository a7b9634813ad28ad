/*
 * CRLs kept by URL, in a folder and in unnamed files (R5): what replaces what, what is thrown out, and that
 * nothing in the folder can do more harm than to be passed over.
 */
#include "support.h"

#include "make_certs.h"
#include "revocation/checker.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define URL         "http://crl.example/a.crl"
#define MISSING     "http://crl.example/missing.crl"
#define INDEX_BYTES (1024 * 1024)
#define SCOPE       "scope"

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
    assert_ok(est_crl_cache_new(place.fd, max, INDEX_BYTES, &cache, place.err), place.err);
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
static const char *key_of(const char *url)
{
    static _Thread_local char key[EST_CRL_KEY_SIZE];
    uint8_t hash[32] = {0};
    (void)EVP_Digest(url, strlen(url), hash, NULL, EVP_sha256(), NULL);
    est_hex_write(hash, sizeof(hash), key);
    return key;
}

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
    est_crl_cached facts = {.url = (char *)url,
                            .scope = SCOPE,
                            .etag = (char *)"\"tag\"",
                            .last_modified = (char *)"Tue, 24 Nov 2026 10:00:00 GMT",
                            .issuer = (char *)"CN=CA",
                            .fetched_at = fetched_at,
                            .this_update = this_update,
                            .next_update = this_update + 100};
    memcpy(facts.key, key_of(url), sizeof(facts.key));
    return facts;
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
    bool there = est_crl_cache_get(cache, key_of(url), &cached);
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

/* The whole path of the notes of URL, or of the CRL's file that they name, or that it would have. */
static void path_of(const char *suffix, char *out, size_t size)
{
    est_crl_cached cached = {.file = "0123456789abcdef"};
    char text[1024] = "", *at = NULL;
    int len = snprintf(out, size, "%s/%s", place.path, key_of(URL));
    snprintf(out + len, size - (size_t)len, ".crl.json");
    if (strcmp(suffix, ".crl.json") == 0)
        return;
    int fd = open(out, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && (at = strstr(text, "\"file\": \"")) != NULL)
        memcpy(cached.file, at + 9, 16);
    if (fd >= 0)
        assert_int_equal(close(fd), 0);
    snprintf(out + len, size - (size_t)len, ".%s%s", cached.file, suffix);
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
        est_crl_cache_touch(cache, key_of("http://a/1"), 1002);
        est_crl_cache_touch(cache, key_of(MISSING), 1002);
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

/* R0: what has made a verdict "revoked" goes last, the one that has just come never. */
static void revoked_goes_last(void **state)
{
    (void)state;
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        est_crl_cache *cache = open_cache(on_disk != 0, 2);
        put(cache, "http://a/1", 1000, 900, "1");
        est_crl_cache_mark_revoked(cache, key_of("http://a/1"));
        put(cache, "http://a/2", 1001, 900, "2");
        put(cache, "http://a/3", 1002, 900, "3");
        assert_there(cache, "http://a/1", 900, "1");
        assert_there(cache, "http://a/2", 0, NULL);
        assert_there(cache, "http://a/3", 900, "3");
        put(cache, "http://a/1", 1003, 901, "1a"); /* the mark stays with the place */
        put(cache, "http://a/4", 1004, 900, "4");
        assert_there(cache, "http://a/1", 901, "1a");
        assert_there(cache, "http://a/3", 0, NULL);
        est_crl_cache_mark_revoked(cache, key_of("http://a/4"));
        put(cache, "http://a/5", 1005, 900, "5");
        assert_there(cache, "http://a/1", 0, NULL);
        assert_there(cache, "http://a/4", 900, "4");
        assert_there(cache, "http://a/5", 900, "5");
        close_cache(cache);
    }
}

/* R0: a CRL about other certificates or reasons is no newer version of what is there. */
static void another_scope(void **state)
{
    (void)state;
    static const struct {
        time_t this_update, fetched_at; /* that one is made at 900, until 1000 */
        bool same, whole, revoked_there, replaces;
    } rows[] = {
        {901, 950, true, false, true, true},    {901, 950, false, false, false, false},
        {901, 950, false, true, true, true},    {899, 950, false, true, false, true},
        {899, 950, false, true, true, false},   {899, 950, false, false, false, false},
        {901, 1001, false, false, false, true}, {901, 1001, false, false, true, false},
        {899, 1001, true, true, false, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows) * 2; i++) {
        est_crl_cache *cache = open_cache(i % 2 != 0, 10);
        put(cache, URL, 901, 900, "first");
        if (rows[i / 2].revoked_there)
            est_crl_cache_mark_revoked(cache, key_of(URL));
        est_crl_cached facts = facts_of(URL, rows[i / 2].fetched_at, rows[i / 2].this_update);
        snprintf(facts.scope, sizeof(facts.scope), "%s", rows[i / 2].same ? SCOPE : "other");
        facts.is_whole = rows[i / 2].whole;
        assert_int_equal(put_all(cache, &facts, "second"), ESTUARY_OK);
        if (rows[i / 2].replaces)
            assert_there(cache, URL, rows[i / 2].this_update, "second");
        else
            assert_there(cache, URL, 900, "first");
        close_cache(cache);
    }
}

/* One URL, two CAs: by name and by key. */
static void keys(void **state)
{
    (void)state;
    made ca = make_ca("CA", NULL), twin = make_ca("CA", NULL), other = make_ca("Other", NULL);
    char of_ca[EST_CRL_KEY_SIZE], again[EST_CRL_KEY_SIZE], of_others[3][EST_CRL_KEY_SIZE];
    assert_true(est_crl_cache_key(URL, ca.cert, of_ca));
    assert_true(est_crl_cache_key(URL, ca.cert, again));
    assert_string_equal(of_ca, again);
    assert_int_equal(strlen(of_ca), 64);
    assert_true(est_crl_cache_key(URL, twin.cert, of_others[0]));
    assert_true(est_crl_cache_key(URL, other.cert, of_others[1]));
    assert_true(est_crl_cache_key(MISSING, ca.cert, of_others[2]));
    for (size_t i = 0; i < COUNT_OF(of_others); i++)
        assert_string_not_equal(of_ca, of_others[i]);
    free_made(&ca);
    free_made(&twin);
    free_made(&other);
}

static void use_cache(void *arg, const estuary_cache_entry *entry)
{
    est_crl_cached cached;
    est_crl_cache_touch(arg, key_of(entry->origin), 5000);
    assert_true(est_crl_cache_get(arg, key_of(entry->origin), &cached));
    assert_int_equal(cached.fetched_at, 5000);
    est_crl_cached_clear(&cached);
}

/* No lock is held while entries are told of. */
static void whoever_lists_may_use_it(void **state)
{
    (void)state;
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        est_crl_cache *cache = open_cache(on_disk != 0, 10);
        put(cache, URL, 1000, 900, "1");
        put(cache, MISSING, 1000, 900, "2");
        assert_ok(est_crl_cache_list(cache, use_cache, cache, place.err), place.err);
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
        est_crl_cache_touch(cache, key_of(URL), 2000);
        assert_there(cache, URL, 900, "first");
        assert_true(est_crl_cache_get(cache, key_of(URL), &cached));
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
        assert_true(est_crl_cache_get(cache, key_of("http://a/2"), &held));
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
    assert_ok(est_crl_cache_new(place.fd, 10, INDEX_BYTES, &later, place.err), place.err);
    assert_there(later, URL, 900, "first");
    put(later, URL, 1001, 899, "older");
    assert_there(cache, URL, 900, "first");
    est_crl_cache_free(later);
    close_cache(cache);
}

static void modes(void **state)
{
    (void)state;
    char path[200];
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
    char path[200];
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
    put(cache, URL, 1000, 900, "third");
    char crl[200], wrong[512];
    path_of(".crl", crl, sizeof(crl));
    int len = snprintf(wrong, sizeof(wrong),
                       "{\"url\": \"" URL "\", \"fetched_at\": \"x\", \"this_update\": 1e99, "
                       "\"next_update\": {}, \"file\": \"%.16s\"}",
                       strstr(crl, ".crl") - 16);
    overwrite(path, wrong, (size_t)len);
    est_crl_cached cached;
    assert_true(est_crl_cache_get(cache, key_of(URL), &cached));
    assert_int_equal(cached.fetched_at, 0);
    assert_int_equal(cached.this_update, 0);
    assert_int_equal(cached.next_update, 0);
    assert_string_equal(cached.etag, "");
    est_crl_cached_clear(&cached);
    close_cache(cache);
}

/* What notes name becomes part of a path. */
static void notes_that_name_another_file(void **state)
{
    (void)state;
    static const char *const names[] = {"",
                                        "/../../etc/passwd",
                                        "0123456789abcdeF",
                                        "0123456789abcde",
                                        "0123456789abcdef0",
                                        "0123456789abcd/."};
    char path[200], text[256];
    est_crl_cache *cache = open_cache(true, 10);
    put(cache, URL, 1000, 900, "first");
    path_of(".crl.json", path, sizeof(path));
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        int len = snprintf(text, sizeof(text), "{\"url\": \"" URL "\", \"file\": \"%s\"}", names[i]);
        overwrite(path, text, (size_t)len);
        assert_there(cache, URL, 0, NULL);
    }
    close_cache(cache);
}

static void copy_file(const char *from, const char *to)
{
    char bytes[4096];
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t len = read(fd, bytes, sizeof(bytes));
    assert_true(len >= 0);
    assert_int_equal(close(fd), 0);
    overwrite(to, bytes, (size_t)len);
}

/*
 * Killed at any point of a commit: the folder has the old pair, or the new one, and files that nobody names.
 * Never is one's content taken with the other's notes, so that what is older cannot pass for newer (R0).
 */
static void killed_while_it_commits(void **state)
{
    (void)state;
    char notes[200], old_notes[200], old_crl[200], new_crl[200], kept[200];
    size_t removed = 0;
    est_crl_cache *cache = open_cache(true, 10);
    snprintf(old_notes, sizeof(old_notes), "%s/old-notes", place.path);
    snprintf(kept, sizeof(kept), "%s/old-crl", place.path);
    put(cache, URL, 1000, 900, "first");
    path_of(".crl.json", notes, sizeof(notes));
    path_of(".crl", old_crl, sizeof(old_crl));
    copy_file(notes, old_notes);
    copy_file(old_crl, kept);
    put(cache, URL, 1001, 901, "second");
    path_of(".crl", new_crl, sizeof(new_crl));
    assert_string_not_equal(old_crl, new_crl);
    assert_int_equal(access(old_crl, F_OK), -1);
    /* before the rename of the notes: both CRLs are there, the old notes say which one counts */
    assert_int_equal(rename(kept, old_crl), 0);
    copy_file(notes, kept);
    assert_int_equal(rename(old_notes, notes), 0);
    assert_there(cache, URL, 900, "first");
    /* after it: both are there still */
    assert_int_equal(rename(kept, notes), 0);
    assert_there(cache, URL, 901, "second");
    put(cache, URL, 1002, 900, "replayed");
    assert_there(cache, URL, 901, "second");
    /* a CRL without its file: nothing is believed */
    assert_int_equal(unlink(new_crl), 0);
    assert_there(cache, URL, 0, NULL);
    assert_ok(est_crl_cache_clear(cache, &removed, place.err), place.err);
    assert_int_equal(access(old_crl, F_OK), -1); /* nobody's, so it goes */
    close_cache(cache);
}

/* An earlier layout's files are passed over, and go when they are old. */
static void an_earlier_layout(void **state)
{
    (void)state;
    char notes[200], crl[200];
    static const char text[] = "{\"url\": \"" URL "\", \"etag\": \"\", \"last_modified\": \"\", "
                               "\"issuer\": \"CN=CA\", \"fetched_at\": 1, \"this_update\": 900}";
    struct timespec long_ago[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    est_crl_cache *cache = open_cache(true, 1);
    path_of(".crl.json", notes, sizeof(notes));
    snprintf(crl, sizeof(crl), "%s/%s.crl", place.path, key_of(URL));
    overwrite(notes, text, sizeof(text) - 1);
    overwrite(crl, "first", 5);
    assert_int_equal(utimensat(AT_FDCWD, crl, long_ago, 0), 0);
    assert_there(cache, URL, 0, NULL);
    assert_int_equal(count_of(cache), 0);
    put(cache, "http://a/1", 1000, 900, "1");
    assert_there(cache, "http://a/1", 900, "1");
    assert_int_equal(access(notes, F_OK), -1);
    assert_int_equal(access(crl, F_OK), -1);
    close_cache(cache);
}

/* No waiting, no following, no reading of what is no file. */
static void what_stands_in_for_a_file(void **state)
{
    (void)state;
    char path[200], secret[200];
    static const char *const suffixes[] = {".crl", ".crl.json"};
    est_crl_cache *cache = open_cache(true, 10);
    snprintf(secret, sizeof(secret), "%s/secret", place.path);
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        put(cache, URL, 1000, 900, "first");
        path_of(suffixes[i], path, sizeof(path));
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
    char path[200];
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
    char old[200], fresh[200], orphan[200];
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
        est_crl_cache_touch(worker->cache, key_of(URL), 1000 + round);
        ok = ok && est_crl_cache_get(worker->cache, key_of(own), &seen) && seen.this_update == made_at;
        est_crl_cached_clear(&seen);
        ok = ok && est_crl_cache_get(worker->cache, key_of(URL), &seen) && seen.this_update >= made_at;
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
        cmocka_unit_test(revoked_goes_last),
        cmocka_unit_test(another_scope),
        cmocka_unit_test(keys),
        cmocka_unit_test(whoever_lists_may_use_it),
        cmocka_unit_test(touching_changes_one_time_only),
        cmocka_unit_test(emptying),
        cmocka_unit_test(a_download_that_is_dropped),
        cmocka_unit_test(it_survives),
        cmocka_unit_test(modes),
        cmocka_unit_test(notes_that_are_tampered_with),
        cmocka_unit_test(notes_that_name_another_file),
        cmocka_unit_test(killed_while_it_commits),
        cmocka_unit_test(an_earlier_layout),
        cmocka_unit_test(what_stands_in_for_a_file),
        cmocka_unit_test(what_cannot_be_removed),
        cmocka_unit_test(what_killed_processes_left),
        cmocka_unit_test(four_threads),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
