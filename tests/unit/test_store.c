/* The store: together or not at all, whatever fails and wherever the process is killed (E7, O2). */
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <estuary/estuary.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define STATE_TEXT "{\"state\":\"test\"}"
#define KILLED     77

/* One certificate with its key. */
typedef struct pair {
    EVP_PKEY *key;
    X509 *cert;
    X509_REQ *request;
} pair;

static pair old_pair, new_pair;
static estuary_error *err;
static char root[64];
static char dir[96]; /* root/out */

/* --- helpers --- */

static pair make_pair(const char *cn, long serial)
{
    pair p = {.key = EVP_EC_gen("P-256"), .cert = X509_new(), .request = X509_REQ_new()};
    assert_non_null(p.key);
    X509_NAME *name = X509_get_subject_name(p.cert);
    assert_int_equal(
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0), 1);
    assert_int_equal(X509_set_issuer_name(p.cert, name), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(p.cert), serial), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(p.cert), -60));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(p.cert), 3600));
    assert_int_equal(X509_set_pubkey(p.cert, p.key), 1);
    assert_true(X509_sign(p.cert, p.key, EVP_sha256()) > 0);
    assert_int_equal(X509_REQ_set_subject_name(p.request, name), 1);
    assert_int_equal(X509_REQ_set_pubkey(p.request, p.key), 1);
    assert_true(X509_REQ_sign(p.request, p.key, EVP_sha256()) > 0);
    return p;
}

static void free_pair(pair *p)
{
    EVP_PKEY_free(p->key);
    X509_free(p->cert);
    X509_REQ_free(p->request);
}

static int group_setup(void **state)
{
    (void)state;
    old_pair = make_pair("old", 1);
    new_pair = make_pair("new", 2);
    err = estuary_error_new();
    return err == NULL ? -1 : 0;
}

static int group_teardown(void **state)
{
    (void)state;
    free_pair(&old_pair);
    free_pair(&new_pair);
    estuary_error_free(err);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    est_store_test_step = NULL;
    estuary_error_clear(err);
    snprintf(root, sizeof(root), "/tmp/estuary-store-XXXXXX");
    if (mkdtemp(root) == NULL)
        return -1;
    snprintf(dir, sizeof(dir), "%s/out", root);
    return 0;
}

static void remove_tree(const char *path)
{
    DIR *entries = opendir(path);
    const struct dirent *entry;
    char inner[512];
    while (entries != NULL && (entry = readdir(entries)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(inner, sizeof(inner), "%.200s/%.250s", path, entry->d_name);
        if (unlink(inner) != 0)
            remove_tree(inner);
    }
    if (entries != NULL)
        closedir(entries);
    (void)rmdir(path);
}

static int teardown(void **state)
{
    (void)state;
    est_store_test_step = NULL;
    remove_tree(root);
    return 0;
}

/* "root/" and what follows. */
static const char *under(const char *name)
{
    static char paths[4][160];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", root, name);
    return path;
}

static bool exists(const char *name)
{
    struct stat info;
    return lstat(under(name), &info) == 0;
}

static mode_t mode_of(const char *name)
{
    struct stat info;
    assert_int_equal(lstat(under(name), &info), 0);
    return info.st_mode & 07777;
}

/* How many entries the folder beside the output holds. */
static int entries(void)
{
    int n = 0;
    DIR *list = opendir(root);
    assert_non_null(list);
    while (readdir(list) != NULL)
        n++;
    closedir(list);
    return n - 2;
}

static X509 *read_cert(const char *name)
{
    FILE *file = fopen(under(name), "re");
    X509 *cert = file == NULL ? NULL : PEM_read_X509(file, NULL, NULL, NULL);
    if (file != NULL)
        fclose(file);
    return cert;
}

static EVP_PKEY *read_key(const char *name)
{
    FILE *file = fopen(under(name), "re");
    EVP_PKEY *key = file == NULL ? NULL : PEM_read_PrivateKey(file, NULL, NULL, NULL);
    if (file != NULL)
        fclose(file);
    return key;
}

/* true when the folder holds exactly this generation: certificate, full chain and key of one kind. */
static bool holds(const pair *p)
{
    X509 *leaf = read_cert("out/cert.pem"), *full = read_cert("out/fullchain.pem");
    EVP_PKEY *key = read_key("out/key.pem");
    bool same = leaf != NULL && full != NULL && key != NULL && X509_cmp(leaf, p->cert) == 0 &&
                X509_cmp(full, p->cert) == 0 && EVP_PKEY_eq(key, p->key) == 1 && exists("out/chain.pem");
    X509_free(leaf);
    X509_free(full);
    EVP_PKEY_free(key);
    return same;
}

static estuary_store *must_open(void)
{
    estuary_store *store = NULL;
    estuary_status status = estuary_store_open(dir, &store, err);
    if (status != ESTUARY_OK)
        fail_msg("%s: %s", estuary_error_code(err), estuary_error_message(err));
    return store;
}

static void put(const pair *p)
{
    estuary_store *store = must_open();
    assert_int_equal(est_store_commit_plain(store, p->cert, NULL, p->key, err), ESTUARY_OK);
    estuary_store_free(store);
}

static void refused(const char *code)
{
    estuary_store *store = NULL;
    estuary_status status = estuary_store_open(dir, &store, err);
    estuary_store_free(store);
    assert_int_not_equal(status, ESTUARY_OK);
    assert_null(store);
    assert_string_equal(estuary_error_code(err), code);
    assert_false(exists("out.lock"));
}

static void touch(const char *name, mode_t mode)
{
    int fd = open(under(name), O_WRONLY | O_CREAT | O_CLOEXEC, mode);
    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

/* --- the plain way --- */

static void test_first_commit(void **state)
{
    (void)state;
    put(&new_pair);
    assert_true(holds(&new_pair));
    assert_int_equal(mode_of("out"), 0755);
    assert_int_equal(mode_of("out/key.pem"), 0600);
    assert_int_equal(mode_of("out/cert.pem"), 0644);
    assert_int_equal(mode_of("out/chain.pem"), 0644);
    assert_int_equal(mode_of("out/fullchain.pem"), 0644);
    assert_int_equal(entries(), 1); /* no lock, no leftovers */
}

static void test_modes_despite_umask(void **state)
{
    (void)state;
    mode_t before = umask(0077);
    put(&new_pair);
    umask(0);
    put(&new_pair);
    umask(before);
    assert_int_equal(mode_of("out"), 0755);
    assert_int_equal(mode_of("out/key.pem"), 0600);
    assert_int_equal(mode_of("out/cert.pem"), 0644);
}

static void test_replace_keeps_mode(void **state)
{
    (void)state;
    put(&old_pair);
    assert_int_equal(chmod(dir, 0750), 0);
    put(&new_pair);
    assert_true(holds(&new_pair));
    assert_int_equal(mode_of("out"), 0750);
    assert_int_equal(entries(), 1);
}

static void test_chain(void **state)
{
    (void)state;
    estuary_store *store = must_open();
    STACK_OF(X509) *chain = sk_X509_new_null();
    assert_true(sk_X509_push(chain, old_pair.cert) > 0);
    assert_int_equal(est_store_commit_plain(store, new_pair.cert, chain, NULL, err), ESTUARY_OK);
    sk_X509_free(chain);
    estuary_store_free(store);
    X509 *first = read_cert("out/chain.pem");
    assert_int_equal(X509_cmp(first, old_pair.cert), 0);
    X509_free(first);
    assert_false(exists("out/key.pem")); /* signed elsewhere */
    FILE *file = fopen(under("out/fullchain.pem"), "re");
    X509 *leaf = PEM_read_X509(file, NULL, NULL, NULL), *issuer = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    assert_int_equal(X509_cmp(leaf, new_pair.cert), 0);
    assert_int_equal(X509_cmp(issuer, old_pair.cert), 0);
    X509_free(leaf);
    X509_free(issuer);
}

static void test_key_uri(void **state)
{
    (void)state;
    char text[64] = "";
    estuary_store *store = must_open();
    assert_int_equal(estuary_store_set_key_uri(store, "", err), ESTUARY_E_USAGE);
    assert_int_equal(estuary_store_set_key_uri(store, "file:/a\nfile:/b", err), ESTUARY_E_USAGE);
    assert_int_equal(estuary_store_set_key_uri(store, "file:/etc/k.pem", err), ESTUARY_OK);
    assert_int_equal(est_store_commit_plain(store, new_pair.cert, NULL, new_pair.key, err), ESTUARY_OK);
    estuary_store_free(store);
    FILE *file = fopen(under("out/key.uri"), "re");
    assert_non_null(fgets(text, sizeof(text), file));
    fclose(file);
    assert_string_equal(text, "file:/etc/k.pem\n");
    assert_false(exists("out/key.pem"));
    put(&old_pair); /* key.uri is no foreign file, and goes */
    assert_false(exists("out/key.uri"));
}

static void test_key_must_match(void **state)
{
    (void)state;
    put(&old_pair);
    estuary_store *store = must_open();
    assert_int_equal(est_store_commit_plain(store, new_pair.cert, NULL, old_pair.key, err), ESTUARY_E_KEY);
    assert_string_equal(estuary_error_code(err), "key.mismatch");
    assert_int_equal(estuary_store_commit(store, NULL, NULL, err), ESTUARY_E_USAGE);
    estuary_store_free(store);
    assert_true(holds(&old_pair));
}

/* --- refused before dialing --- */

static void test_refuses_foreign(void **state)
{
    (void)state;
    put(&old_pair);
    touch("out/notes.txt", 0600);
    refused("config.store-foreign");
    assert_int_equal(unlink(under("out/notes.txt")), 0);
    assert_int_equal(mkdir(under("out/chain.pem.d"), 0700), 0);
    refused("config.store-foreign");
    assert_int_equal(rmdir(under("out/chain.pem.d")), 0);
    /* a name of ours that is no regular file */
    assert_int_equal(unlink(under("out/chain.pem")), 0);
    assert_int_equal(symlink("/etc/passwd", under("out/chain.pem")), 0);
    refused("config.store-foreign");
}

static void test_foreign_file_comes_late(void **state)
{
    (void)state;
    put(&old_pair);
    estuary_store *store = must_open();
    touch("out/late.txt", 0600);
    assert_int_equal(est_store_commit_plain(store, new_pair.cert, NULL, new_pair.key, err), ESTUARY_E_CONFIG);
    assert_string_equal(estuary_error_code(err), "config.store-foreign");
    estuary_store_free(store);
    assert_true(exists("out/late.txt"));
    assert_true(holds(&old_pair));
}

static void test_refuses_unsafe(void **state)
{
    (void)state;
    assert_int_equal(symlink("elsewhere", dir), 0);
    refused("config.store-unsafe");
    assert_int_equal(unlink(dir), 0);
    touch("out", 0600);
    refused("config.store-unsafe");
    assert_int_equal(unlink(dir), 0);
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(chmod(dir, 0770), 0);
    refused("config.store-unsafe");
    assert_int_equal(chmod(dir, 0757), 0);
    refused("config.store-unsafe");
    assert_int_equal(chmod(dir, 0755), 0);
    assert_int_equal(mkdir(under("out.pending"), 0755), 0);
    refused("config.store-unsafe");
    assert_int_equal(chmod(under("out.pending"), 0700), 0);
    put(&new_pair);
}

static void test_refuses_parent(void **state)
{
    (void)state;
    assert_int_equal(chmod(root, 0777), 0);
    refused("config.store-parent");
    assert_int_equal(chmod(root, 01777), 0); /* as /tmp is */
    put(&new_pair);
    snprintf(dir, sizeof(dir), "%s/absent/out", root);
    refused("config.store-parent");
}

static void test_refuses_paths(void **state)
{
    (void)state;
    static const char *const paths[] = {"", "/", ".", "..", "a/..", "a/.", "a\nb", NULL};
    char longest[300];
    estuary_store *store = NULL;
    for (size_t i = 0; paths[i] != NULL; i++)
        assert_int_equal(estuary_store_open(paths[i], &store, err), ESTUARY_E_USAGE);
    assert_int_equal(estuary_store_open(NULL, &store, err), ESTUARY_E_USAGE);
    memset(longest, 'a', sizeof(longest));
    longest[299] = '\0';
    assert_int_equal(estuary_store_open(longest, &store, err), ESTUARY_E_USAGE);
    assert_null(store);
}

static void test_locked(void **state)
{
    (void)state;
    estuary_store *first = must_open(), *second = NULL;
    assert_int_equal(estuary_store_open(dir, &second, err), ESTUARY_E_CONFIG);
    assert_string_equal(estuary_error_code(err), "config.store-busy");
    assert_true(estuary_error_retryable(err));
    assert_true(exists("out.lock"));
    estuary_store_free(first);
    assert_false(exists("out.lock"));
    touch("out.lock", 0600); /* left by a process that was killed */
    put(&new_pair);
    assert_false(exists("out.lock"));
    assert_int_equal(symlink("elsewhere", under("out.lock")), 0);
    assert_int_equal(estuary_store_open(dir, &second, err), ESTUARY_E_CONFIG);
    assert_string_equal(estuary_error_code(err), "config.store-unsafe");
    assert_false(exists("elsewhere"));
}

static int no_exchange(const char *what)
{
    return strcmp(what, "rename") == 0 ? EINVAL : 0;
}

static void test_no_exchange(void **state)
{
    (void)state;
    est_store_test_step = no_exchange;
    refused("config.store-exchange");
    est_store_test_step = NULL;
    assert_int_equal(entries(), 0);
}

static void test_leftovers(void **state)
{
    (void)state;
    assert_int_equal(mkdir(under("out.new-abcdef"), 0700), 0);
    touch("out.new-abcdef/cert.pem", 0644);
    assert_int_equal(mkdir(under("out.pending.new-abcdef"), 0700), 0);
    touch("out.pending.new-abcdef/state.json", 0600);
    /* not ours to remove: a foreign file, and names of another form */
    assert_int_equal(mkdir(under("out.new-ABCDEF"), 0700), 0);
    touch("out.new-ABCDEF/cert.pem", 0644);
    touch("out.new-ABCDEF/letter.txt", 0644);
    assert_int_equal(mkdir(under("out.new-abc"), 0700), 0);
    assert_int_equal(mkdir(under("out2.new-abcdef"), 0700), 0);
    estuary_store_free(must_open());
    assert_false(exists("out.new-abcdef"));
    assert_false(exists("out.pending.new-abcdef"));
    assert_true(exists("out.new-ABCDEF/letter.txt"));
    assert_true(exists("out.new-ABCDEF/cert.pem"));
    assert_true(exists("out.new-abc"));
    assert_true(exists("out2.new-abcdef"));
}

/* --- the pending request --- */

static void save(estuary_store *store, const EVP_PKEY *key)
{
    assert_int_equal(
        est_store_save_pending_plain(store, (const uint8_t *)STATE_TEXT, strlen(STATE_TEXT), key, true, err),
        ESTUARY_OK);
}

static bool pending_is_complete(estuary_store *store, bool *present)
{
    uint8_t *text = NULL;
    size_t len = 0;
    EVP_PKEY *key = NULL;
    estuary_status status = est_store_load_pending_plain(store, &text, &len, &key, err);
    *present = text != NULL;
    bool whole = status == ESTUARY_OK &&
                 (text == NULL || (len == strlen(STATE_TEXT) && memcmp(text, STATE_TEXT, len) == 0 &&
                                   key != NULL && EVP_PKEY_eq(key, new_pair.key) == 1));
    est_free_secret(text, len);
    EVP_PKEY_free(key);
    return whole;
}

static int fsyncs;

static int count_fsync(const char *what)
{
    fsyncs += strcmp(what, "fsync") == 0;
    return 0;
}

/* Before it is sent, one wait for the disk less: its name may be lost in a power cut, half of it may not. */
static void test_pending_outlasts_power_once_sent(void **state)
{
    (void)state;
    for (int sent = 0; sent <= 1; sent++) {
        estuary_store *store = must_open();
        fsyncs = 0;
        est_store_test_step = count_fsync;
        assert_int_equal(est_store_save_pending_plain(store, (const uint8_t *)STATE_TEXT, strlen(STATE_TEXT),
                                                      new_pair.key, sent == 1, err),
                         ESTUARY_OK);
        est_store_test_step = NULL;
        assert_int_equal(fsyncs, sent == 1 ? 4 : 3); /* two files, their folder, and its name */
        assert_int_equal(estuary_store_remove_pending(store, err), ESTUARY_OK);
        estuary_store_free(store);
        assert_int_equal(entries(), 0);
    }
}

static int no_link(const char *what)
{
    fsyncs += strcmp(what, "fsync") == 0;
    return strcmp(what, "link") == 0 ? EPERM : 0;
}

/* The pending request's key is on disk: the commit gives it a second name, or writes it where that cannot be.
 */
static void test_key_is_written_once(void **state)
{
    (void)state;
    for (int links = 0; links <= 1; links++) {
        struct stat before, after;
        estuary_store *store = must_open();
        assert_int_equal(est_store_save_pending_plain(store, (const uint8_t *)STATE_TEXT, strlen(STATE_TEXT),
                                                      new_pair.key, false, err),
                         ESTUARY_OK);
        assert_int_equal(stat(under("out.pending/key.pem"), &before), 0);
        fsyncs = 0;
        est_store_test_step = links == 1 ? count_fsync : no_link;
        assert_int_equal(est_store_commit_plain(store, new_pair.cert, NULL, new_pair.key, err), ESTUARY_OK);
        est_store_test_step = NULL;
        assert_int_equal(fsyncs, links == 1 ? 5 : 6); /* the certificates, the folder, its name; the key */
        assert_int_equal(stat(under("out/key.pem"), &after), 0);
        assert_int_equal(after.st_ino == before.st_ino, links == 1);
        assert_int_equal(after.st_nlink, 1);
        assert_int_equal(mode_of("out/key.pem"), 0600);
        assert_true(holds(&new_pair));
        estuary_store_free(store);
        assert_int_equal(entries(), 1);
        remove_tree(dir);
    }
}

/* Another key than the pending one, or one that stands there no longer, is written. */
static void test_only_the_same_key_is_linked(void **state)
{
    (void)state;
    estuary_store *store = must_open();
    assert_int_equal(est_store_save_pending_plain(store, (const uint8_t *)STATE_TEXT, strlen(STATE_TEXT),
                                                  old_pair.key, false, err),
                     ESTUARY_OK);
    assert_int_equal(est_store_commit_plain(store, new_pair.cert, NULL, new_pair.key, err), ESTUARY_OK);
    assert_true(holds(&new_pair));
    assert_int_equal(est_store_save_pending_plain(store, (const uint8_t *)STATE_TEXT, strlen(STATE_TEXT),
                                                  old_pair.key, false, err),
                     ESTUARY_OK);
    assert_int_equal(unlink(under("out.pending/key.pem")), 0);
    assert_int_equal(est_store_commit_plain(store, old_pair.cert, NULL, old_pair.key, err), ESTUARY_OK);
    assert_true(holds(&old_pair));
    estuary_store_free(store);
    assert_int_equal(entries(), 1);
}

static int no_rename(const char *what)
{
    return strcmp(what, "rename") == 0 ? EIO : 0;
}

/* A commit that failed leaves the pending key of another request where it is: the next does not link that. */
static void test_another_commit_after_a_failed_one(void **state)
{
    (void)state;
    estuary_store *store = must_open();
    assert_int_equal(est_store_save_pending_plain(store, (const uint8_t *)STATE_TEXT, strlen(STATE_TEXT),
                                                  old_pair.key, false, err),
                     ESTUARY_OK);
    est_store_test_step = no_rename;
    assert_int_not_equal(est_store_commit_plain(store, new_pair.cert, NULL, new_pair.key, err), ESTUARY_OK);
    est_store_test_step = NULL;
    assert_int_equal(est_store_commit_plain(store, new_pair.cert, NULL, new_pair.key, err), ESTUARY_OK);
    assert_true(holds(&new_pair));
    estuary_store_free(store);
    assert_int_equal(entries(), 1);
}

/* The folders that were exchanged as a proof are the ones that are filled. */
static void test_prepared_folders(void **state)
{
    (void)state;
    estuary_store *store = must_open();
    assert_int_equal(entries(), 3); /* with the lock */
    save(store, new_pair.key);
    assert_int_equal(entries(), 3);
    assert_int_equal(est_store_commit_plain(store, new_pair.cert, NULL, new_pair.key, err), ESTUARY_OK);
    assert_int_equal(entries(), 2);
    /* a second round on the same store makes its own */
    save(store, new_pair.key);
    assert_int_equal(est_store_commit_plain(store, old_pair.cert, NULL, old_pair.key, err), ESTUARY_OK);
    estuary_store_free(store);
    assert_true(holds(&old_pair));
    assert_int_equal(entries(), 1);
}

static void test_pending(void **state)
{
    (void)state;
    bool present = true;
    estuary_store *store = must_open();
    assert_true(pending_is_complete(store, &present));
    assert_false(present);
    save(store, new_pair.key);
    save(store, new_pair.key); /* replaced */
    assert_int_equal(mode_of("out.pending"), 0700);
    assert_int_equal(mode_of("out.pending/key.pem"), 0600);
    assert_int_equal(mode_of("out.pending/state.json"), 0600);
    estuary_store_free(store);
    assert_false(exists("out")); /* DIR as it was */
    store = must_open();
    assert_true(pending_is_complete(store, &present));
    assert_true(present);
    assert_int_equal(estuary_store_remove_pending(store, err), ESTUARY_OK);
    assert_int_equal(estuary_store_remove_pending(store, err), ESTUARY_OK);
    assert_true(pending_is_complete(store, &present));
    assert_false(present);
    estuary_store_free(store);
    assert_int_equal(entries(), 0);
}

/* A key that lives elsewhere is named beside the request, and a broken name is refused. */
static void test_pending_key_uri(void **state)
{
    (void)state;
    static const char uri[] = "pkcs11:token=t;object=k;type=private";
    static const char *const broken[] = {"", "\n", "no newline", "two\nlines\n"};
    char *named = NULL;
    estuary_store *store = must_open();
    assert_int_equal(estuary_store_pending_key_uri(store, &named, err), ESTUARY_OK);
    assert_null(named);
    assert_int_equal(estuary_store_set_key_uri(store, uri, err), ESTUARY_OK);
    save(store, NULL);
    assert_int_equal(mode_of("out.pending/key.uri"), 0600);
    estuary_store_free(store);
    store = must_open();
    assert_int_equal(estuary_store_pending_key_uri(store, &named, err), ESTUARY_OK);
    assert_string_equal(named, uri);
    OPENSSL_free(named);
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        FILE *file = fopen(under("out.pending/key.uri"), "we");
        assert_true(fputs(broken[i], file) >= 0);
        fclose(file);
        assert_int_equal(estuary_store_pending_key_uri(store, &named, err), ESTUARY_E_CONFIG);
        assert_string_equal(estuary_error_code(err), "config.pending-state");
        assert_null(named);
    }
    save(store, new_pair.key); /* with its key: no name any more */
    assert_int_equal(estuary_store_pending_key_uri(store, &named, err), ESTUARY_OK);
    assert_null(named);
    assert_int_equal(estuary_store_remove_pending(store, err), ESTUARY_OK);
    estuary_store_free(store);
    assert_int_equal(entries(), 0);
    assert_int_equal(estuary_store_pending_key_uri(NULL, &named, err), ESTUARY_E_USAGE);
}

static unsigned steps_left;

static int die_after_steps(const char *what)
{
    (void)what;
    if (steps_left-- == 0)
        _exit(KILLED);
    return 0;
}

/* Written down, the request saved in its place, written down again, removed; false when killed before the
 * end. */
static bool life_of_a_key(unsigned steps, const char *uri)
{
    int how = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        estuary_store *store = must_open();
        steps_left = steps;
        est_store_test_step = die_after_steps;
        bool done = estuary_store_save_key_intent(store, uri, err) == ESTUARY_OK;
        const uint8_t *text = (const uint8_t *)STATE_TEXT;
        done = done &&
               est_store_save_pending_plain(store, text, strlen(STATE_TEXT), NULL, false, err) == ESTUARY_OK;
        done = done && estuary_store_save_key_intent(store, uri, err) == ESTUARY_OK;
        done = done && estuary_store_remove_pending(store, err) == ESTUARY_OK;
        _exit(done ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how) && (WEXITSTATUS(how) == 0 || WEXITSTATUS(how) == KILLED));
    return WEXITSTATUS(how) == 0;
}

/* A key that is about to be made or destroyed is named from its first moment to its last, wherever a kill
 * comes. */
static void test_key_intent(void **state)
{
    (void)state;
    static const char uri[] = "pkcs11:token=t;object=k;id=%01;type=private";
    char *named = NULL;
    estuary_store *store = must_open();
    assert_int_equal(estuary_store_key_intent(store, &named, err), ESTUARY_OK);
    assert_null(named);
    assert_int_equal(estuary_store_save_key_intent(store, uri, err), ESTUARY_OK);
    assert_int_equal(mode_of("out.pending/key.uri"), 0600);
    assert_int_equal(estuary_store_key_intent(store, &named, err), ESTUARY_OK);
    assert_string_equal(named, uri);
    OPENSSL_free(named);
    save(store, NULL); /* the request, with the key's name */
    assert_int_equal(estuary_store_key_intent(store, &named, err), ESTUARY_OK);
    assert_null(named);
    assert_int_equal(estuary_store_remove_pending(store, err), ESTUARY_OK);
    estuary_store_free(store);
    bool done = false, intent = false, request = false, seen_gone = false;
    for (unsigned steps = 0; !done && steps < 200; steps++) {
        done = life_of_a_key(steps, uri);
        store = must_open();
        assert_int_equal(estuary_store_key_intent(store, &named, err), ESTUARY_OK);
        char *pending = NULL;
        assert_int_equal(estuary_store_pending_key_uri(store, &pending, err), ESTUARY_OK);
        intent = intent || named != NULL;
        request = request || (named == NULL && pending != NULL);
        /* once it was there, it is missing only after the last rename */
        if (pending != NULL)
            assert_string_equal(pending, uri);
        assert_false(seen_gone && pending != NULL);
        seen_gone = intent && pending == NULL;
        OPENSSL_free(named);
        OPENSSL_free(pending);
        assert_int_equal(estuary_store_remove_pending(store, err), ESTUARY_OK);
        estuary_store_free(store);
    }
    assert_true(done && intent && request);
    assert_int_equal(estuary_store_save_key_intent(NULL, uri, err), ESTUARY_E_USAGE);
    assert_int_equal(estuary_store_key_intent(NULL, &named, err), ESTUARY_E_USAGE);
}

static void broken_pending(const char *name, const char *text)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    EVP_PKEY *key = NULL;
    estuary_store *store = must_open();
    save(store, new_pair.key);
    if (text == NULL) {
        assert_int_equal(unlink(under(name)), 0);
    } else {
        FILE *file = fopen(under(name), "we");
        assert_true(fputs(text, file) >= 0);
        fclose(file);
    }
    assert_int_equal(est_store_load_pending_plain(store, &bytes, &len, &key, err), ESTUARY_E_CONFIG);
    assert_string_equal(estuary_error_code(err), "config.pending-state");
    assert_null(bytes);
    assert_null(key);
    estuary_store_free(store);
}

static void test_pending_broken(void **state)
{
    (void)state;
    broken_pending("out.pending/state.json", NULL);
    broken_pending("out.pending/key.pem", "not a key\n");
    estuary_store *store = must_open();
    save(store, new_pair.key);
    assert_int_equal(chmod(under("out.pending/state.json"), 0666), 0);
    uint8_t *bytes = NULL;
    size_t len = 0;
    EVP_PKEY *key = NULL;
    assert_int_equal(est_store_load_pending_plain(store, &bytes, &len, &key, err), ESTUARY_E_CONFIG);
    estuary_store_free(store);
}

/* The owner of a key that was not saved with the request brings it back; a saved one needs nobody. */
static void without_key(estuary_store *store, const estuary_enrollment *enrollment)
{
    estuary_enrollment *loaded = NULL;
    EVP_PKEY *key = NULL;
    assert_int_equal(estuary_store_load_pending_with_key(store, old_pair.key, &loaded, &key, err),
                     ESTUARY_OK);
    assert_int_equal(EVP_PKEY_eq(key, new_pair.key), 1); /* the one in the folder */
    EVP_PKEY_free(key);
    estuary_enrollment_free(loaded);
    assert_int_equal(estuary_store_save_pending(store, enrollment, NULL, err), ESTUARY_OK);
    assert_int_equal(access(under("out.pending/key.pem"), F_OK), -1);
    assert_int_equal(estuary_store_load_pending(store, &loaded, &key, err), ESTUARY_OK);
    assert_null(key);
    estuary_enrollment_free(loaded);
    assert_int_equal(estuary_store_load_pending_with_key(store, new_pair.key, &loaded, &key, err),
                     ESTUARY_OK);
    assert_ptr_equal(key, new_pair.key);
    EVP_PKEY_free(key);
    estuary_enrollment_free(loaded);
    assert_int_equal(estuary_store_load_pending_with_key(store, old_pair.key, &loaded, &key, err),
                     ESTUARY_E_KEY);
    assert_string_equal(estuary_error_code(err), "key.mismatch");
    assert_null(key);
    assert_null(loaded);
}

/* The public functions, with a real enrolment. */
static void test_pending_enrollment(void **state)
{
    (void)state;
    estuary_server *server = NULL;
    estuary_request *request = NULL;
    estuary_enrollment *enrollment = NULL, *loaded = NULL;
    EVP_PKEY *key = NULL;
    estuary_store *store = must_open();
    assert_int_equal(estuary_store_load_pending(store, &loaded, &key, err), ESTUARY_OK);
    assert_null(loaded);
    assert_int_equal(estuary_server_parse("https://est.example:8443/prefix", "factory", &server, err),
                     ESTUARY_OK);
    assert_int_equal(estuary_request_new(&request, err), ESTUARY_OK);
    estuary_csr *csr = NULL;
    assert_int_equal(estuary_csr_new(&csr, err), ESTUARY_OK);
    assert_int_equal(estuary_csr_set_subject(csr, "CN=new", err), ESTUARY_OK);
    assert_int_equal(estuary_request_set_csr(request, csr, new_pair.key, err), ESTUARY_OK);
    assert_int_equal(estuary_enrollment_new(ESTUARY_OP_SIMPLEENROLL, server, request, &enrollment, err),
                     ESTUARY_OK);
    assert_int_equal(estuary_store_commit(store, enrollment, new_pair.key, err), ESTUARY_E_USAGE);
    assert_int_equal(estuary_store_save_pending(store, enrollment, new_pair.key, err), ESTUARY_OK);
    assert_int_equal(estuary_store_load_pending(store, &loaded, &key, err), ESTUARY_OK);
    assert_non_null(loaded);
    assert_int_equal(EVP_PKEY_eq(key, new_pair.key), 1);
    assert_string_equal(estuary_server_label(estuary_enrollment_get0_server(loaded)), "factory");
    assert_int_equal(estuary_store_save_pending(store, NULL, NULL, err), ESTUARY_E_USAGE);
    EVP_PKEY_free(key);
    estuary_enrollment_free(loaded);
    without_key(store, enrollment);
    estuary_enrollment_free(enrollment);
    estuary_csr_free(csr);
    estuary_request_free(request);
    estuary_server_free(server);
    estuary_store_free(store);
}

/* --- killed, or failing, at every step --- */

static int countdown;

static int kill_at(const char *what)
{
    (void)what;
    if (countdown-- == 0)
        _exit(KILLED);
    return 0;
}

static int fail_at(const char *what)
{
    (void)what;
    return countdown-- == 0 ? EIO : 0;
}

/* What one run does; the exit code says which part did not work. */
static int one_run(void)
{
    estuary_store *store = NULL;
    int code = 0;
    if (estuary_store_open(dir, &store, NULL) != ESTUARY_OK)
        code = 1;
    else if (est_store_save_pending_plain(store, (const uint8_t *)STATE_TEXT, strlen(STATE_TEXT),
                                          new_pair.key, false, NULL) != ESTUARY_OK)
        code = 2;
    else if (est_store_commit_plain(store, new_pair.cert, NULL, new_pair.key, NULL) != ESTUARY_OK)
        code = 3;
    estuary_store_free(store);
    return code;
}

/* Old, new, or (when there was nothing) nothing: but whole, and the next run gets through. */
static void check_whole(bool had_old, int step)
{
    bool is_old = had_old && holds(&old_pair), is_new = holds(&new_pair);
    bool is_absent = !had_old && !exists("out");
    if (!is_old && !is_new && !is_absent)
        fail_msg("step %d left a mix", step);
    bool present = false;
    estuary_store *store = must_open();
    if (!pending_is_complete(store, &present))
        fail_msg("step %d left half of a pending request", step);
    /* a request that was answered is not sent a second time */
    if (is_new && present)
        fail_msg("step %d left the answered request pending", step);
    estuary_store_free(store);
    assert_int_equal(one_run(), 0);
    assert_true(holds(&new_pair));
    if (entries() != 1)
        fail_msg("something stays behind after step %d", step);
}

static bool run_killed(int step)
{
    int code = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        countdown = step;
        est_store_test_step = kill_at;
        _exit(one_run());
    }
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_true(WIFEXITED(code));
    if (WEXITSTATUS(code) != KILLED)
        assert_int_equal(WEXITSTATUS(code), 0);
    return WEXITSTATUS(code) == KILLED;
}

/* Under valgrind each step costs a second, and memory is the question there, not each point in time. */
static int stride(void)
{
    const char *text = getenv("ESTUARY_STORE_STRIDE");
    long value = text == NULL ? 1 : strtol(text, NULL, 10);
    return value >= 1 && value <= 50 ? (int)value : 1;
}

static void every_kill(bool had_old)
{
    int step = 0;
    bool killed = true;
    for (; killed; step += stride()) {
        remove_tree(dir);
        if (had_old)
            put(&old_pair);
        killed = run_killed(step);
        check_whole(had_old, step);
    }
    assert_true(step > 40); /* the steps are really counted */
}

static void test_killed_with_old(void **state)
{
    (void)state;
    every_kill(true);
}

static void test_killed_without_old(void **state)
{
    (void)state;
    every_kill(false);
}

static void every_failure(bool had_old)
{
    bool reached = true;
    for (int step = 0; reached; step += stride()) {
        remove_tree(dir);
        if (had_old)
            put(&old_pair);
        countdown = step;
        est_store_test_step = fail_at;
        (void)one_run();
        est_store_test_step = NULL;
        reached = countdown < 0;
        check_whole(had_old, step);
    }
}

static void test_failing(void **state)
{
    (void)state;
    every_failure(true);
    every_failure(false);
}

/* --- single files --- */

static void test_write_file(void **state)
{
    (void)state;
    char text[16] = "";
    assert_int_equal(estuary_store_write_file(under("ca.pem"), "one", 3, err), ESTUARY_OK);
    assert_int_equal(mode_of("ca.pem"), 0644);
    assert_int_equal(estuary_store_write_file(under("ca.pem"), "two", 3, err), ESTUARY_OK);
    FILE *file = fopen(under("ca.pem"), "re");
    assert_non_null(fgets(text, sizeof(text), file));
    fclose(file);
    assert_string_equal(text, "two");
    assert_int_equal(entries(), 1);
    assert_int_equal(symlink("ca.pem", under("link")), 0);
    assert_int_equal(estuary_store_write_file(under("link"), "x", 1, err), ESTUARY_E_IO);
    assert_string_equal(estuary_error_code(err), "io.not-regular");
    assert_int_equal(estuary_store_write_file("/dev/null", "x", 1, err), ESTUARY_E_IO);
    assert_int_equal(estuary_store_write_file(under("absent/x"), "x", 1, err), ESTUARY_E_IO);
    assert_string_equal(estuary_error_code(err), "io.failed");
    assert_int_equal(estuary_store_write_file("", "x", 1, err), ESTUARY_E_USAGE);
    assert_int_equal(estuary_store_write_file(under("y"), NULL, 1, err), ESTUARY_E_USAGE);
}

static void test_null(void **state)
{
    (void)state;
    estuary_enrollment *enrollment = NULL;
    EVP_PKEY *key = NULL;
    estuary_store_free(NULL);
    assert_int_equal(estuary_store_remove_pending(NULL, err), ESTUARY_E_USAGE);
    assert_int_equal(estuary_store_set_key_uri(NULL, "file:/a", err), ESTUARY_E_USAGE);
    assert_int_equal(estuary_store_load_pending(NULL, &enrollment, &key, err), ESTUARY_E_USAGE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_first_commit),
        TEST(test_modes_despite_umask),
        TEST(test_replace_keeps_mode),
        TEST(test_chain),
        TEST(test_key_uri),
        TEST(test_key_must_match),
        TEST(test_refuses_foreign),
        TEST(test_foreign_file_comes_late),
        TEST(test_refuses_unsafe),
        TEST(test_refuses_parent),
        TEST(test_refuses_paths),
        TEST(test_locked),
        TEST(test_no_exchange),
        TEST(test_leftovers),
        TEST(test_pending_outlasts_power_once_sent),
        TEST(test_key_is_written_once),
        TEST(test_only_the_same_key_is_linked),
        TEST(test_another_commit_after_a_failed_one),
        TEST(test_prepared_folders),
        TEST(test_pending),
        TEST(test_pending_key_uri),
        TEST(test_key_intent),
        TEST(test_pending_broken),
        TEST(test_pending_enrollment),
        TEST(test_killed_with_old),
        TEST(test_killed_without_old),
        TEST(test_failing),
        TEST(test_write_file),
        TEST(test_null),
    };
    return cmocka_run_group_tests_name("store", tests, group_setup, group_teardown);
}
