/* R4: the index of a cached CRL finds what a reading finds, and never says "good" after anything was changed.
 */
#include "revocation/crl_index.h"
#include "small_crl.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME    "list.crl.index"
#define ENTRIES 520 /* three pages of records */
#define MEMORY  ((uint64_t)1024 * 1024)

typedef struct fixture {
    char path[64];
    int folder;
    made ca;
    X509 *wanted;
    STACK_OF(X509) *signers;
    estuary_error *err;
} fixture;

static fixture f;

static int set_up(void **state)
{
    (void)state;
    snprintf(f.path, sizeof(f.path), "/tmp/estuary-index-XXXXXX");
    assert_non_null(mkdtemp(f.path));
    f.folder = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(f.folder >= 0);
    f.ca = make_ca("CA", NULL);
    made leaf = make_cert(&(recipe){.cn = "leaf", .issuer = &f.ca});
    f.wanted = leaf.cert;
    EVP_PKEY_free(leaf.key);
    f.signers = make_stack(f.ca.cert, NULL);
    f.err = estuary_error_new();
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"list.crl", "other.crl", NAME, "other.index", "crl-index.key"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        (void)unlinkat(f.folder, names[i], 0);
    assert_int_equal(close(f.folder), 0);
    assert_int_equal(rmdir(f.path), 0); /* nothing temporary is left */
    sk_X509_pop_free(f.signers, X509_free);
    X509_free(f.wanted);
    free_made(&f.ca);
    estuary_error_free(f.err);
    return 0;
}

/* --- the CRL and its file --- */

/* In three bytes; two numbers between two serials are nobody's. */
static void serial_of(size_t i, uint8_t out[3])
{
    size_t value = 0x100000 + i * 3;
    out[0] = (uint8_t)(value >> 16);
    out[1] = (uint8_t)(value >> 8);
    out[2] = (uint8_t)value;
}

static void want(size_t number)
{
    ASN1_INTEGER *serial = X509_get_serialNumber(f.wanted);
    assert_int_equal(ASN1_INTEGER_set(serial, (long)number), 1);
}

static size_t put_entry(uint8_t *out, size_t i)
{
    static const uint8_t start[] = {0x30, 0x14, 0x02, 0x03};
    static const uint8_t reason[] = {0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55,
                                     0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01, 0x04};
    memcpy(out, start, sizeof(start));
    serial_of(i, out + 4);
    memcpy(out + 7,
           "\x17\x0d"
           "240229235959Z",
           15);
    if (i % 3 != 0)
        return 22;
    memcpy(out + 22, reason, sizeof(reason));
    out[1] = 0x14 + sizeof(reason);
    return 22 + sizeof(reason);
}

static small_der make_list(size_t entries)
{
    uint8_t *tbs = OPENSSL_malloc(64 * entries + 1024), *body = OPENSSL_malloc(64 * entries + 1024);
    uint8_t head[DER_TEXT_MAX];
    small_der inside = {.bytes = body}, all = {.bytes = tbs};
    uint8_t *list = OPENSSL_malloc(64 * entries + 64);
    size_t head_len = der_text(CRL_HEAD, head), list_len = 0;
    assert_true(tbs != NULL && body != NULL && list != NULL);
    for (size_t i = 0; i < entries; i++)
        list_len += put_entry(list + list_len, (i * 389) % entries); /* in no order */
    small_put(&inside, head, head_len);
    if (entries > 0) {
        small_put_header(&inside, 0x30, list_len);
        small_put(&inside, list, list_len);
    }
    small_put_header(&all, 0x30, inside.len);
    small_put(&all, inside.bytes, inside.len);
    small_der der = small_crl_sign(all.bytes, all.len, CRL_ECDSA, f.ca.key, "SHA256");
    OPENSSL_free(tbs);
    OPENSSL_free(body);
    OPENSSL_free(list);
    return der;
}

static int write_file(const char *name, const void *bytes, size_t len)
{
    int fd = openat(f.folder, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    return fd;
}

static est_crl *read_list(const small_der *der)
{
    est_crl *crl = NULL;
    assert_ok(small_crl_read(der->bytes, der->len, 4096, f.wanted, f.signers, &crl, f.err), f.err);
    return crl;
}

/* A list in a file, its facts, and an index made with so much memory. */
typedef struct indexed {
    small_der der;
    est_crl *crl;
    int fd;
} indexed;

static indexed make_indexed(small_der der, uint64_t memory)
{
    indexed made_one = {.der = der, .crl = read_list(&der), .fd = write_file("list.crl", der.bytes, der.len)};
    assert_ok(est_crl_index_build(made_one.fd, made_one.crl, f.folder, NAME, memory, f.err), f.err);
    return made_one;
}

static void free_indexed(indexed *gone)
{
    OPENSSL_free(gone->der.bytes);
    est_crl_free(gone->crl);
    (void)close(gone->fd);
}

static est_crl_index *open_index(const indexed *of, uint64_t memory)
{
    est_crl_index *index = NULL;
    assert_ok(est_crl_index_open(of->fd, f.folder, NAME, memory, &index, f.err), f.err);
    return index;
}

/* --- tests --- */

/* The index and a reading of the whole list say the same about every serial. */
static void check_all(est_crl_index *index, size_t entries)
{
    for (size_t number = 0x100000 - 5; number < 0x100000 + entries * 3 + 5; number++) {
        est_crl found;
        size_t i = (number - 0x100000) / 3;
        bool is_listed = number >= 0x100000 && i < entries && (number - 0x100000) % 3 == 0;
        want(number);
        assert_ok(est_crl_index_find(index, f.wanted, &found, f.err), f.err);
        assert_true(found.found == is_listed);
        assert_false(found.removed);
        if (is_listed) {
            assert_int_equal(found.revoked_at, 1709251199);
            assert_int_equal(found.reason, i % 3 == 0 ? 4 : -1);
        }
    }
}

static void test_every_serial(void **state)
{
    static const size_t sizes[] = {0, 1, 256, ENTRIES};
    static const uint64_t memories[] = {0, MEMORY}; /* of the pages kept */
    (void)state;
    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        indexed list = make_indexed(make_list(sizes[s]), MEMORY);
        for (size_t m = 0; m < COUNT_OF(memories); m++) {
            est_crl_index *index = open_index(&list, memories[m]);
            check_all(index, sizes[s]);
            check_all(index, sizes[s]); /* warm */
            est_crl_index_free(index);
        }
        free_indexed(&list);
    }
    est_crl_index_free(NULL);
}

static void test_facts(void **state)
{
    (void)state;
    small_der der =
        small_crl(CRL_HEAD "30{" CRL_ENTRY_WITH("1234", CRL_REASON("08"))
                      CRL_ENTRY("01") "} a0{30{" CRL_EXT("14", "02:05") CRL_CRITICAL("1b", "02:03")
                          CRL_EXT("23", "30{80:0102}") CRL_EXT("2e", "30{30{a0{a0{86\"http://a/\"}}}}")
                              CRL_CRITICAL("1c", "30{82:ff}") "}}",
                  f.ca.key);
    indexed list = make_indexed(der, MEMORY);
    est_crl_index *index = open_index(&list, MEMORY);
    est_crl found, none;
    const est_crl *facts = &none;
    want(0x55);
    assert_ok(est_crl_index_find(index, f.wanted, &none, f.err), f.err);
    assert_int_equal(X509_cmp(facts->signer, f.ca.cert), 0);
    assert_int_equal(X509_NAME_cmp(facts->issuer, list.crl->issuer), 0);
    assert_int_equal(facts->this_update, 1735689600);
    assert_int_equal(facts->next_update, 2493072000);
    assert_int_equal(ASN1_INTEGER_get(facts->number), 5);
    assert_int_equal(ASN1_INTEGER_get(facts->base_number), 3);
    assert_int_equal(ASN1_STRING_length(facts->akid->keyid), 2);
    assert_int_equal(sk_DIST_POINT_num(facts->freshest), 1);
    assert_int_equal(facts->idp->onlyCA, 0xff);
    assert_int_equal(facts->entries, 2);
    assert_int_equal(facts->bytes, list.der.len);
    assert_int_equal(facts->reason, -1);
    assert_memory_equal(facts->digest, list.crl->digest, sizeof(facts->digest));
    assert_false(facts->found || facts->removed || facts->indirect);
    want(0x1234);
    assert_ok(est_crl_index_find(index, f.wanted, &found, f.err), f.err);
    assert_true(found.found && found.removed);
    /* another CA's certificate of that serial is not on it */
    made other = make_ca("Other", NULL), stranger = make_cert(&(recipe){.cn = "leaf", .issuer = &other});
    assert_ok(est_crl_index_find(index, stranger.cert, &found, f.err), f.err);
    assert_false(found.found);
    free_made(&other);
    free_made(&stranger);
    est_crl_index_free(index);
    free_indexed(&list);
}

#define REMOVED CRL_ENTRY_WITH("1234", CRL_REASON("08"))
#define DELTA   "} a0{30{" CRL_EXT("14", "02:05") CRL_CRITICAL("1b", "02:03") "}}"

/* Several entries of one serial: any that says revoked wins, the first of them tells. */
static void test_several_entries_of_one(void **state)
{
    static const struct {
        const char *inside;
        bool removed;
        int reason;
    } rows[] = {
        {CRL_HEAD "30{" CRL_ENTRY_WITH("1234", CRL_REASON("05")) CRL_ENTRY_WITH("1234", CRL_REASON("01")) "}",
         false, 5},
        {CRL_HEAD "30{" REMOVED CRL_ENTRY("01") CRL_ENTRY_WITH("1234", CRL_REASON("03")) DELTA, false, 3},
        {CRL_HEAD "30{" CRL_ENTRY_WITH("1234", CRL_REASON("03")) CRL_ENTRY("01") REMOVED DELTA, false, 3},
        {CRL_HEAD "30{" REMOVED REMOVED DELTA, true, -1},
    };
    (void)state;
    want(0x1234);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        indexed list = make_indexed(small_crl(rows[i].inside, f.ca.key), MEMORY);
        est_crl_index *index = open_index(&list, MEMORY);
        est_crl found;
        assert_ok(est_crl_index_find(index, f.wanted, &found, f.err), f.err);
        assert_true(found.found && list.crl->found);
        assert_true(found.removed == rows[i].removed && list.crl->removed == rows[i].removed);
        assert_int_equal(found.reason, rows[i].reason);
        assert_int_equal(found.reason, list.crl->reason);
        assert_int_equal(found.revoked_at, list.crl->revoked_at);
        est_crl_index_free(index);
        free_indexed(&list);
    }
}

/* Equal fingerprints go on from page to page. */
static void test_a_serial_on_several_pages(void **state)
{
    (void)state;
    uint8_t *entries = OPENSSL_malloc(22 * 600);
    small_der inside = {.bytes = OPENSSL_malloc(20000)}, tbs = {.bytes = OPENSSL_malloc(20000)};
    uint8_t head[DER_TEXT_MAX];
    size_t head_len = der_text(CRL_HEAD, head);
    small_put(&inside, head, head_len);
    for (size_t i = 0; i < 600; i++)
        (void)put_entry(entries + 22 * i, 1);
    small_put_header(&inside, 0x30, 22 * 600);
    small_put(&inside, entries, 22 * 600);
    small_put_header(&tbs, 0x30, inside.len);
    small_put(&tbs, inside.bytes, inside.len);
    indexed list = make_indexed(small_crl_sign(tbs.bytes, tbs.len, CRL_ECDSA, f.ca.key, "SHA256"), MEMORY);
    est_crl_index *index = open_index(&list, 0);
    est_crl found;
    want(0x100003);
    assert_ok(est_crl_index_find(index, f.wanted, &found, f.err), f.err);
    assert_true(found.found);
    want(0x100004);
    assert_ok(est_crl_index_find(index, f.wanted, &found, f.err), f.err);
    assert_false(found.found);
    est_crl_index_free(index);
    free_indexed(&list);
    OPENSSL_free(entries);
    OPENSSL_free(inside.bytes);
    OPENSSL_free(tbs.bytes);
}

/* With less memory than the records take it is made in several passes. */
static void test_little_memory(void **state)
{
    (void)state;
    small_der der = make_list(2300);
    indexed list = make_indexed(der, 0); /* 1024 records at a time */
    est_crl_index *index = open_index(&list, MEMORY);
    for (size_t i = 0; i < 2300; i += 13) {
        est_crl found;
        want(0x100000 + i * 3);
        assert_ok(est_crl_index_find(index, f.wanted, &found, f.err), f.err);
        assert_true(found.found);
        want(0x100001 + i * 3);
        assert_ok(est_crl_index_find(index, f.wanted, &found, f.err), f.err);
        assert_false(found.found);
    }
    est_crl_index_free(index);
    free_indexed(&list);
}

static void refuse_to_build(int fd, const est_crl *crl)
{
    assert_failed(est_crl_index_build(fd, crl, f.folder, NAME, MEMORY, f.err), f.err, "crl.index");
    assert_int_equal(faccessat(f.folder, NAME, F_OK, 0), -1);
}

static void test_what_is_not_indexed(void **state)
{
    (void)state;
    small_der der = make_list(20);
    est_crl *crl = read_list(&der);
    int fd = write_file("list.crl", der.bytes, der.len);
    small_der indirect = small_crl(CRL_HEAD "a0{30{" CRL_CRITICAL("1c", "30{84:ff}") "}}", f.ca.key);
    est_crl *indirect_crl = read_list(&indirect);
    int other = write_file("other.crl", indirect.bytes, indirect.len);
    refuse_to_build(other, indirect_crl); /* entries of other issuers */
    refuse_to_build(other, crl);          /* of another length */
    /* a list as long as the one that was verified, but not it */
    assert_int_equal(pwrite(fd, "\x02", 1, (off_t)(der.len - 1)), 1);
    assert_failed(est_crl_index_build(fd, crl, f.folder, NAME, MEMORY, f.err), f.err, "crl.signature");
    assert_int_equal(pwrite(fd, der.bytes + der.len - 1, 1, (off_t)(der.len - 1)), 1);
    crl->digest[0] ^= 1;
    refuse_to_build(fd, crl);
    crl->digest[0] ^= 1;
    crl->entries--;
    refuse_to_build(fd, crl);
    crl->entries++;
    refuse_to_build(f.folder, crl); /* no file at all */
    assert_failed(est_crl_index_build(fd, crl, fd, NAME, MEMORY, f.err), f.err, "crl.index");
    (void)close(fd);
    (void)close(other);
    OPENSSL_free(der.bytes);
    OPENSSL_free(indirect.bytes);
    est_crl_free(crl);
    est_crl_free(indirect_crl);
}

static void refuse_to_open(int fd, const char *name)
{
    est_crl_index *index = NULL;
    assert_failed(est_crl_index_open(fd, f.folder, name, MEMORY, &index, f.err), f.err, "crl.index");
    assert_null(index);
}

/* Owner, mode, inode, size, times: any difference and the CRL must be verified again. */
static void test_another_crl_file(void **state)
{
    (void)state;
    indexed list = make_indexed(make_list(20), MEMORY);
    est_crl_index *index = open_index(&list, MEMORY);
    est_crl found;
    int copy = write_file("other.crl", list.der.bytes, list.der.len);
    refuse_to_open(copy, NAME); /* the same bytes in another file */
    refuse_to_open(list.fd, "other.index");
    refuse_to_open(-1, NAME);
    assert_int_equal(fchmod(list.fd, 0640), 0);
    refuse_to_open(list.fd, NAME);
    want(0x100003); /* listed: at once */
    assert_failed(est_crl_index_find(index, f.wanted, &found, f.err), f.err, "crl.index");
    assert_false(found.found || found.issuer != NULL || found.signer != NULL);
    want(0x100004); /* not listed: a tenth of a second later */
    assert_int_equal(usleep(130000), 0);
    assert_failed(est_crl_index_find(index, f.wanted, &found, f.err), f.err, "crl.index");
    made other = make_ca("Other", NULL);
    assert_failed(est_crl_index_find(index, other.cert, &found, f.err), f.err, "crl.index");
    free_made(&other);
    est_crl_index_free(index);
    (void)close(copy);
    free_indexed(&list);
}

/* It serves neither under another name nor with another key. */
static void test_another_name_or_key(void **state)
{
    (void)state;
    indexed list = make_indexed(make_list(20), MEMORY);
    assert_int_equal(linkat(f.folder, NAME, f.folder, "other.index", 0), 0);
    refuse_to_open(list.fd, "other.index");
    int key = openat(f.folder, "crl-index.key", O_RDWR);
    struct stat info;
    assert_int_equal(fstat(key, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(info.st_size, 32);
    assert_int_equal(fchmod(key, 0640), 0);
    refuse_to_open(list.fd, NAME);
    assert_failed(est_crl_index_build(list.fd, list.crl, f.folder, NAME, MEMORY, f.err), f.err, "crl.index");
    assert_int_equal(fchmod(key, 0600), 0);
    est_crl_index_free(open_index(&list, MEMORY));
    assert_int_equal(ftruncate(key, 31), 0);
    refuse_to_open(list.fd, NAME);
    (void)close(key);
    assert_int_equal(unlinkat(f.folder, "crl-index.key", 0), 0);
    refuse_to_open(list.fd, NAME); /* and none is made by asking */
    assert_int_equal(faccessat(f.folder, "crl-index.key", F_OK, 0), -1);
    assert_ok(est_crl_index_build(list.fd, list.crl, f.folder, NAME, MEMORY, f.err), f.err);
    est_crl_index_free(open_index(&list, MEMORY));
    free_indexed(&list);
}

/* A listed certificate, asked for after a byte was changed: "revoked" or an error, never "good". */
static void test_every_changed_byte(void **state)
{
    (void)state;
    indexed list = make_indexed(make_list(ENTRIES), MEMORY);
    int fd = openat(f.folder, NAME, O_RDWR);
    off_t size = lseek(fd, 0, SEEK_END);
    uint64_t header_len = 0; /* behind it, up to the page's end, is nothing */
    assert_int_equal(size, 5 * INDEX_PAGE);
    assert_int_equal(pread(fd, &header_len, sizeof(header_len), 32), sizeof(header_len));
    assert_in_range(header_len, 600, INDEX_PAGE);
    for (off_t at = 0; at < size; at += (uint64_t)at < header_len ? 7 : 397) {
        uint8_t byte, changed;
        est_crl_index *index = NULL;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        changed = byte ^ 0x10;
        assert_int_equal(pwrite(fd, &changed, 1, at), 1);
        estuary_status status = est_crl_index_open(list.fd, f.folder, NAME, MEMORY, &index, f.err);
        for (size_t i = 0; status == ESTUARY_OK && i < ENTRIES; i++) {
            est_crl found;
            want(0x100000 + 3 * i);
            estuary_status one = est_crl_index_find(index, f.wanted, &found, f.err);
            assert_true(one != ESTUARY_OK || (found.found && !found.removed));
            if (one != ESTUARY_OK)
                status = one;
        }
        if ((uint64_t)at < header_len || at >= INDEX_PAGE)
            assert_failed(status, f.err, "crl.index");
        else
            assert_ok(status, f.err);
        est_crl_index_free(index);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    for (off_t len = 0; len < size; len += 1021) { /* cut short */
        assert_int_equal(ftruncate(fd, size), 0);
        assert_int_equal(ftruncate(fd, len), 0);
        refuse_to_open(list.fd, NAME);
    }
    (void)close(fd);
    free_indexed(&list);
}

/* The CRL changed under an index whose file facts are made to fit: the entry itself must have the serial. */
static void test_the_entry_is_confirmed(void **state)
{
    (void)state;
    indexed list = make_indexed(make_list(ENTRIES), MEMORY);
    uint8_t serial[3];
    serial_of(1, serial);
    uint8_t *at = memmem(list.der.bytes, list.der.len, serial, sizeof(serial));
    assert_non_null(at);
    est_crl_index *index = open_index(&list, MEMORY);
    est_crl found;
    want(0x100003);
    assert_int_equal(pwrite(list.fd, "\x7f", 1, at - list.der.bytes), 1);
    assert_failed(est_crl_index_find(index, f.wanted, &found, f.err), f.err, "crl.index");
    assert_false(found.found);
    est_crl_index_free(index);
    free_indexed(&list);
}

/* An index that others could write to is none. */
static void test_the_index_file_itself(void **state)
{
    (void)state;
    indexed list = make_indexed(make_list(20), MEMORY);
    assert_int_equal(fchmodat(f.folder, NAME, 0620, 0), 0);
    refuse_to_open(list.fd, NAME);
    assert_int_equal(fchmodat(f.folder, NAME, 0600, 0), 0);
    est_crl_index_free(open_index(&list, MEMORY));
    assert_int_equal(renameat(f.folder, NAME, f.folder, "other.index"), 0);
    assert_int_equal(symlinkat("other.index", f.folder, NAME), 0);
    refuse_to_open(list.fd, NAME);
    assert_int_equal(unlinkat(f.folder, NAME, 0), 0);
    free_indexed(&list);
}

static void test_sort(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    est_index_leaf *records = OPENSSL_zalloc(COUNT * sizeof(*records));
    uint64_t seed = 1;
    assert_non_null(records);
    for (int kind = 0; kind < 4; kind++) {
        uint64_t sum = 0, after = 0;
        for (size_t i = 0; i < COUNT; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            records[i].fingerprint = kind == 0 ? seed : kind == 1 ? seed >> 60 : kind == 2 ? 7 : COUNT - i;
            records[i].offset = records[i].fingerprint * 3;
            sum += records[i].fingerprint;
        }
        est_index_sort(records, COUNT);
        for (size_t i = 0; i < COUNT; i++) {
            assert_true(i == 0 || records[i - 1].fingerprint <= records[i].fingerprint);
            assert_true(records[i].offset == records[i].fingerprint * 3);
            after += records[i].fingerprint;
        }
        assert_true(sum == after);
    }
    est_index_sort(records, 0);
    OPENSSL_free(records);
}

/* The vector of SipHash's authors: key 00…0f, 15 bytes 00…0e */
static void test_fingerprint(void **state)
{
    (void)state;
    uint8_t bytes[15];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    const uint64_t key[2] = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
    assert_true(est_index_fingerprint(key, bytes, sizeof(bytes)) == 0xa129ca6149be45e5u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_serial, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_facts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_several_entries_of_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_serial_on_several_pages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_little_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_not_indexed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_another_crl_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_another_name_or_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_changed_byte, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_entry_is_confirmed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_index_file_itself, set_up, tear_down),
        cmocka_unit_test(test_sort),
        cmocka_unit_test(test_fingerprint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
