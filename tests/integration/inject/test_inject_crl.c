/* R4: a CRL read, indexed and looked up with each allocation and each call to OpenSSL failing in turn. What
 * is listed is found, or nothing is said. */
#include "../../unit/small_crl.h"
#include "inject.h"
#include "revocation/revocation.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <unistd.h>

#define NAME   "list.crl.index"
#define MEMORY ((uint64_t)1024 * 1024)

static struct {
    made ca;
    X509 *wanted;
    STACK_OF(X509) *signers;
    small_der indirect, plain;
    char *pem;
    size_t pem_len;
    char path[64];
    int folder, fd;
} s;

#define ISSUERS(cn) CRL_CRITICAL("1d", "30{a4{" CRL_NAME(cn) "}}")

static void make_pem_text(void)
{
    uint8_t base64[4096];
    (void)EVP_EncodeBlock(base64, s.plain.bytes, (int)s.plain.len);
    s.pem = est_printf("-----BEGIN X509 CRL-----\n%s\n-----END X509 CRL-----\n", (char *)base64);
    assert_non_null(s.pem);
    s.pem_len = strlen(s.pem);
}

static void open_all(void)
{
    s.ca = make_ca("CA", NULL);
    made leaf = make_cert(&(recipe){.cn = "leaf", .issuer = &s.ca});
    s.wanted = leaf.cert;
    EVP_PKEY_free(leaf.key);
    s.signers = make_stack(s.ca.cert, NULL);
    s.indirect =
        small_crl(CRL_HEAD "30{" CRL_ENTRY_WITH("01", ISSUERS("Other"))
                      CRL_ENTRY_WITH("1234", ISSUERS("CA") CRL_REASON("01")) "} a0{30{" CRL_EXT("14", "02:05")
                          CRL_EXT("23", "30{80:0102}") CRL_EXT("2e", "30{30{a0{a0{86\"http://a/\"}}}}")
                              CRL_CRITICAL("1c", "30{84:ff}") "}}",
                  s.ca.key);
    s.plain = small_crl(CRL_HEAD "30{" CRL_ENTRY("01")
                            CRL_ENTRY_WITH("1234", CRL_REASON("01")) "} a0{30{" CRL_EXT("14", "02:05")
                                CRL_EXT("23", "30{80:0102}") "}}",
                        s.ca.key);
    make_pem_text();
    snprintf(s.path, sizeof(s.path), "/tmp/estuary-inject-XXXXXX");
    assert_non_null(mkdtemp(s.path));
    s.folder = open(s.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    s.fd = openat(s.folder, "list.crl", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(s.fd, s.plain.bytes, s.plain.len), s.plain.len);
}

static void close_all(void)
{
    (void)unlinkat(s.folder, "list.crl", 0);
    (void)unlinkat(s.folder, NAME, 0);
    (void)unlinkat(s.folder, "crl-index.key", 0);
    (void)close(s.fd);
    (void)close(s.folder);
    (void)rmdir(s.path);
    OPENSSL_free(s.indirect.bytes);
    OPENSSL_free(s.plain.bytes);
    est_free(s.pem);
    sk_X509_pop_free(s.signers, X509_free);
    X509_free(s.wanted);
    free_made(&s.ca);
}

static estuary_status read_one(const void *bytes, size_t len, est_crl **out, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_crl_reader *reader = NULL;
    *out = NULL;
    EST_TRY(est_crl_reader_new(s.wanted, SMALL_CRL_MAX, &reader, err));
    EST_TRY(est_crl_reader_feed(reader, bytes, 90, err));
    EST_TRY(est_crl_reader_feed(reader, (const uint8_t *)bytes + 90, len - 90, err));
    EST_TRY(est_crl_reader_final(reader, s.signers, out, err));
cleanup:
    est_crl_reader_free(reader);
    return status;
}

/* What failed must be what was made to fail. */
static void check(estuary_status status, const est_crl *found, const estuary_error *err)
{
    if (status == ESTUARY_OK) {
        INJECT_REQUIRE(found->found && !found->removed && found->reason == 1);
        return;
    }
    INJECT_REQUIRE(inject_hit());
    INJECT_REQUIRE(err == NULL || estuary_error_category(err) == status);
    INJECT_REQUIRE(err == NULL || *estuary_error_message(err) != '\0');
}

static void one_reading(const void *arg)
{
    const small_der *der = arg;
    est_crl *crl = NULL;
    inject_resume();
    estuary_error *err = estuary_error_new();
    estuary_status status =
        der == NULL ? read_one(s.pem, s.pem_len, &crl, err) : read_one(der->bytes, der->len, &crl, err);
    inject_pause();
    INJECT_REQUIRE((status == ESTUARY_OK) == (crl != NULL));
    check(status, crl, err);
    est_crl_free(crl);
    estuary_error_free(err);
    ERR_clear_error();
}

static estuary_status index_it(est_crl_index **index, est_crl *found, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    est_crl *crl = NULL;
    EST_TRY(read_one(s.plain.bytes, s.plain.len, &crl, err));
    EST_TRY(est_crl_index_build(s.fd, crl, s.folder, NAME, MEMORY, err));
    EST_TRY(est_crl_index_open(s.fd, s.folder, NAME, MEMORY, index, err));
    EST_TRY(est_crl_index_find(*index, s.wanted, found, err));
cleanup:
    est_crl_free(crl);
    return status;
}

static void one_index(const void *arg)
{
    est_crl_index *index = NULL;
    est_crl found = {0};
    (void)arg;
    (void)unlinkat(s.folder, NAME, 0);
    (void)unlinkat(s.folder, "crl-index.key", 0);
    inject_resume();
    estuary_error *err = estuary_error_new();
    estuary_status status = index_it(&index, &found, err);
    inject_pause();
    check(status, &found, err);
    est_crl_index_free(index);
    estuary_error_free(err);
    ERR_clear_error();
}

int main(void)
{
    const inject_plan tests[] = {
        {"every OpenSSL call, an indirect CRL", INJECT_OPENSSL, one_reading, &s.indirect, 0},
        {"every OpenSSL call, PEM", INJECT_OPENSSL, one_reading, NULL, 0},
        {"every OpenSSL call, an index", INJECT_OPENSSL, one_index, NULL, 0},
        {"every allocation, an indirect CRL", INJECT_ALLOCATION, one_reading, &s.indirect, 0},
        {"every allocation, PEM", INJECT_ALLOCATION, one_reading, NULL, 0},
        {"every allocation, an index", INJECT_ALLOCATION, one_index, NULL, 200},
    };
    const int n = (int)COUNT_OF(tests);
    bool passed = true;
    inject_set_up();
    open_all();
    printf("1..%d\n", n);
    for (int i = 0; i < n; i++)
        passed = inject_every(i + 1, &tests[i]) && passed;
    close_all();
    return passed ? 0 : 1;
}
