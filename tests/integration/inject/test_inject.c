/*
 * One whole enrolment without sockets, on disk at the end, while every allocation and every call to
 * OpenSSL fails in turn: no crash, no leak, never OK with a wrong result, never half a folder.
 */
#include "est/est.h"
#include "inject.h"
#include "store/store.h"

#include <dirent.h>
#include <estuary/estuary.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "authority.h"

/* Of some 12,000 allocations in one enrolment; INJECT_ALL=1 takes them all, which lasts minutes. */
#define ALLOCATIONS 1200

#define URL "https://est.example/prefix"

/* What one enrolment makes; all owned. */
typedef struct run {
    estuary_server *server;
    estuary_store *store;
    estuary_anchors *anchors, *fetched;
    EVP_PKEY *key, *loaded_key;
    estuary_csr_attributes *attributes;
    estuary_csr *csr;
    estuary_request *request;
    estuary_enrollment *enrollment;
    estuary_exchange *exchange;
} run;

static authority ca;
static char folder[64], out[96];
static long serial_in_place; /* before the run; 0: nothing was in place */

static void free_run(run *r)
{
    estuary_exchange_free(r->exchange);
    estuary_enrollment_free(r->enrollment);
    estuary_request_free(r->request);
    estuary_csr_free(r->csr);
    estuary_csr_attributes_free(r->attributes);
    EVP_PKEY_free(r->key);
    EVP_PKEY_free(r->loaded_key);
    estuary_anchors_free(r->anchors);
    estuary_anchors_free(r->fetched);
    estuary_store_free(r->store);
    estuary_server_free(r->server);
}

/* The server's side: never made to fail. */
static char *answer_body(estuary_operation operation, const estuary_http_request *request)
{
    if (operation == ESTUARY_OP_CACERTS)
        return authority_cacerts(&ca);
    if (operation == ESTUARY_OP_CSRATTRS)
        return authority_csrattrs();
    size_t len = 0;
    const uint8_t *body = estuary_http_request_body(request, &len);
    return authority_issue(&ca, body, len);
}

static estuary_status fill_answer(estuary_http_response *response, int status, const char *type,
                                  const char *body, estuary_error *err)
{
    if (status == 202)
        return estuary_http_response_add_header(response, "Retry-After", "1", err);
    estuary_status result = estuary_http_response_add_header(response, "Content-Type", type, err);
    return result != ESTUARY_OK
               ? result
               : estuary_http_response_append_body(response, (const uint8_t *)body, strlen(body), err);
}

static estuary_status ask(run *r, estuary_operation operation, int answer, estuary_next *next,
                          estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    const estuary_http_request *request = NULL;
    estuary_http_response *response = NULL;
    char *body = NULL;
    const char *type = operation == ESTUARY_OP_CSRATTRS ? "application/csrattrs"
                                                        : "application/pkcs7-mime; smime-type=certs-only";
    estuary_exchange_free(r->exchange);
    r->exchange = NULL;
    EST_TRY(estuary_exchange_new(operation, r->server, r->enrollment, NULL, &r->exchange, err));
    EST_TRY(estuary_exchange_request(r->exchange, NULL, 0, &request, err));
    inject_pause();
    body = answer == 202 ? NULL : answer_body(operation, request);
    inject_resume();
    EST_TRY(estuary_http_response_new(answer, &response, err));
    EST_TRY(fill_answer(response, answer, type, body, err));
    EST_TRY(estuary_exchange_response(r->exchange, response, time(NULL), next, err));
cleanup:
    free(body);
    estuary_http_response_free(response);
    return status;
}

static estuary_status prepare(run *r, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    estuary_next next = ESTUARY_NEXT_FAILED;
    EST_TRY(estuary_server_parse(URL, "device", &r->server, err));
    EST_TRY(estuary_store_open(out, &r->store, err));
    EST_TRY(estuary_anchors_from_bytes((const uint8_t *)ca.root_pem, strlen(ca.root_pem), &r->anchors, err));
    EST_TRY(ask(r, ESTUARY_OP_CACERTS, 200, &next, err));
    INJECT_REQUIRE(next == ESTUARY_NEXT_DONE);
    EST_TRY(est_anchors_from_cacerts(estuary_exchange_get0_certs(r->exchange), &r->fetched, err));
    INJECT_REQUIRE(sk_X509_num(estuary_anchors_get0_roots(r->fetched)) == 1);
    EST_TRY(ask(r, ESTUARY_OP_CSRATTRS, 200, &next, err));
    INJECT_REQUIRE(next == ESTUARY_NEXT_DONE);
    r->attributes = est_exchange_take_csr_attributes(r->exchange);
    INJECT_REQUIRE(estuary_csr_attributes_count(r->attributes) == AUTHORITY_ATTRIBUTES);
    INJECT_REQUIRE(strcmp(estuary_csr_attributes_key_algorithm(r->attributes), "ec:P-256") == 0);
cleanup:
    return status;
}

static estuary_status build(run *r, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    EST_TRY(estuary_key_generate("ec:P-256", &r->key, err));
    EST_TRY(estuary_csr_new(&r->csr, err));
    EST_TRY(estuary_csr_set_subject(r->csr, "CN=device 1,O=Example", err));
    EST_TRY(estuary_csr_add_san(r->csr, ESTUARY_SAN_DNS, "device.example", err));
    EST_TRY(estuary_csr_add_san(r->csr, ESTUARY_SAN_IP, "192.0.2.1", err));
    EST_TRY(estuary_csr_set_key_usage(r->csr, "digitalSignature", err));
    EST_TRY(estuary_csr_apply(r->csr, r->attributes, r->key, err));
    EST_TRY(estuary_request_new(&r->request, err));
    EST_TRY(estuary_request_set_csr(r->request, r->csr, r->key, err));
    EST_TRY(estuary_enrollment_new(ESTUARY_OP_SIMPLEENROLL, r->server, r->request, &r->enrollment, err));
cleanup:
    return status;
}

/* A shortage of memory is no verdict: nothing has changed, and the same check passes afterwards. */
static estuary_status check(run *r, estuary_error *err)
{
    const estuary_state before = estuary_enrollment_state(r->enrollment);
    estuary_status status = estuary_enrollment_check(r->enrollment, r->anchors, NULL, time(NULL), NULL, err);
    if (status != ESTUARY_E_MEMORY)
        return status;
    inject_pause();
    INJECT_REQUIRE(estuary_enrollment_state(r->enrollment) == before);
    INJECT_REQUIRE(estuary_enrollment_get0_findings(r->enrollment) == NULL);
    INJECT_REQUIRE(estuary_enrollment_check(r->enrollment, r->anchors, NULL, time(NULL), NULL, NULL) ==
                   ESTUARY_OK);
    return status;
}

static estuary_status enroll(run *r, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    estuary_next next = ESTUARY_NEXT_FAILED;
    EST_TRY(ask(r, ESTUARY_OP_SIMPLEENROLL, 202, &next, err));
    INJECT_REQUIRE(next == ESTUARY_NEXT_WAIT);
    EST_TRY(estuary_store_save_pending(r->store, r->enrollment, r->key, err));
    estuary_exchange_free(r->exchange);
    r->exchange = NULL;
    estuary_enrollment_free(r->enrollment);
    r->enrollment = NULL;
    EST_TRY(estuary_store_load_pending(r->store, &r->enrollment, &r->loaded_key, err));
    INJECT_REQUIRE(r->enrollment != NULL && r->loaded_key != NULL); /* "nothing pending" would be a lie */
    EST_TRY(ask(r, ESTUARY_OP_SIMPLEENROLL, 200, &next, err));
    INJECT_REQUIRE(next == ESTUARY_NEXT_DONE);
    INJECT_REQUIRE(estuary_enrollment_state(r->enrollment) != ESTUARY_STATE_ISSUED);
    EST_TRY(check(r, err));
    INJECT_REQUIRE(estuary_enrollment_state(r->enrollment) == ESTUARY_STATE_ISSUED);
    EST_TRY(estuary_store_commit(r->store, r->enrollment, r->loaded_key, err));
cleanup:
    return status;
}

static void *read_file(const char *name, size_t *len)
{
    char path[160];
    static char bytes[65536];
    snprintf(path, sizeof(path), "%s/%s", out, name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return NULL;
    *len = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    return bytes;
}

static BIO *read_bio(const char *name)
{
    size_t len = 0;
    const void *bytes = read_file(name, &len);
    INJECT_REQUIRE(bytes != NULL && len > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    INJECT_REQUIRE(bio != NULL && BIO_write(bio, bytes, (int)len) == (int)len);
    return bio;
}

/* The serial of a complete and right generation; 0 when there is none; anything else ends the test. */
static long check_folder(void)
{
    if (access(out, F_OK) != 0)
        return 0;
    BIO *cert_bio = read_bio("cert.pem"), *key_bio = read_bio("key.pem"),
        *full_bio = read_bio("fullchain.pem");
    X509 *cert = PEM_read_bio_X509(cert_bio, NULL, NULL, NULL);
    X509 *full = PEM_read_bio_X509(full_bio, NULL, NULL, NULL);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(key_bio, NULL, NULL, NULL);
    INJECT_REQUIRE(cert != NULL && key != NULL && full != NULL);
    INJECT_REQUIRE(X509_verify(cert, ca.key) == 1);
    INJECT_REQUIRE(X509_check_private_key(cert, key) == 1 && X509_cmp(cert, full) == 0);
    INJECT_REQUIRE(X509_check_host(cert, "device.example", 0, 0, NULL) == 1);
    INJECT_REQUIRE(X509_check_ip_asc(cert, "192.0.2.1", 0) == 1);
    /* RFC 7030 4.5.2: what csrattrs asked for is in the request, so in the certificate */
    INJECT_REQUIRE((X509_get_extended_key_usage(cert) & XKU_SSL_CLIENT) != 0);
    long serial = ASN1_INTEGER_get(X509_get0_serialNumber(cert));
    X509_free(cert);
    X509_free(full);
    EVP_PKEY_free(key);
    BIO_free(cert_bio);
    BIO_free(key_bio);
    BIO_free(full_bio);
    return serial;
}

static int entries(void)
{
    int n = 0;
    DIR *list = opendir(folder);
    INJECT_REQUIRE(list != NULL);
    while (readdir(list) != NULL)
        n++;
    closedir(list);
    return n - 2;
}

static void check_outcome(estuary_status status, const estuary_error *err)
{
    long serial = check_folder();
    if (status == ESTUARY_OK) {
        INJECT_REQUIRE(serial == ca.serial); /* the one just issued */
        INJECT_REQUIRE(entries() == 1);      /* nothing pending, nothing left over */
    } else {
        INJECT_REQUIRE(inject_hit());
        INJECT_REQUIRE(err == NULL || estuary_error_category(err) == status);
        INJECT_REQUIRE(err == NULL ||
                       (*estuary_error_message(err) != '\0' && *estuary_error_code(err) != '\0'));
        INJECT_REQUIRE(serial == serial_in_place);
    }
}

static void remove_all(const char *path)
{
    char inner[512];
    const struct dirent *entry;
    DIR *list = opendir(path);
    while (list != NULL && (entry = readdir(list)) != NULL) {
        snprintf(inner, sizeof(inner), "%.200s/%.250s", path, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && unlink(inner) != 0)
            remove_all(inner);
    }
    if (list != NULL)
        closedir(list);
    (void)rmdir(path);
}

static void one_enrollment(const void *arg)
{
    run r = {0};
    const bool *filled = arg;
    if (!*filled)
        remove_all(out);
    serial_in_place = check_folder();
    inject_resume();
    estuary_error *err = estuary_error_new();
    estuary_status status = prepare(&r, err);
    if (status == ESTUARY_OK)
        status = build(&r, err);
    if (status == ESTUARY_OK)
        status = enroll(&r, err);
    inject_pause();
    free_run(&r);
    if (getenv("INJECT_VERBOSE") != NULL)
        fprintf(stderr, "%s: %s %s\n", inject_where(), estuary_error_code(err), estuary_error_message(err));
    check_outcome(status, err);
    estuary_error_free(err);
    ERR_clear_error();
}

static void make_folder(void)
{
    /* a folder in memory, where there is one: fsync costs nothing there */
    snprintf(folder, sizeof(folder), "%s/estuary-inject-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    INJECT_REQUIRE(mkdtemp(folder) != NULL);
    snprintf(out, sizeof(out), "%s/out", folder);
}

int main(void)
{
    static const bool filled = true, empty = false;
    const unsigned long sample = getenv("INJECT_ALL") != NULL ? 0 : ALLOCATIONS;
    const inject_plan tests[] = {
        {"every OpenSSL call, into a new folder", INJECT_OPENSSL, one_enrollment, &empty, 0},
        {"every OpenSSL call, over an old generation", INJECT_OPENSSL, one_enrollment, &filled, 0},
        {"every allocation of ours", INJECT_OUR_ALLOCATION, one_enrollment, &filled, 0},
        {"allocations, OpenSSL's too", INJECT_ALLOCATION, one_enrollment, &empty, sample},
    };
    const int n = (int)(sizeof(tests) / sizeof(tests[0]));
    bool passed = true;
    inject_set_up();
    make_folder();
    authority_new(&ca);
    printf("1..%d\n", n);
    for (int i = 0; i < n; i++) {
        inject_arm(INJECT_NOTHING, 0);
        one_enrollment(&filled); /* without any failure it must succeed; it is the old generation */
        INJECT_REQUIRE(check_folder() == ca.serial);
        passed = inject_every(i + 1, &tests[i]) && passed;
    }
    remove_all(folder);
    authority_free(&ca);
    return passed ? 0 : 1;
}
