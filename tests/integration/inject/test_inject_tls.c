/*
 * The real client over TLS against a small server in another process, while every allocation of ours, and
 * a sample of OpenSSL's and libcurl's uses of it, fails in turn.
 */
#include "est/est.h"
#include "inject.h"

#include <arpa/inet.h>
#include <estuary/estuary.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "authority.h"

#define REQUEST_MAX 16384

static authority ca;
static char url[64], old_url[64]; /* the second one of a server that has TLS 1.2 only */
static X509 *identity;
static EVP_PKEY *identity_key;
static STACK_OF(X509) *identity_chain;
static estuary_csr *csr;
static EVP_PKEY *key;

/* --- the server --- */

/* Headers and body of one request; false when the client is gone. */
static bool read_request(SSL *ssl, char *text, size_t *header_len, size_t *len)
{
    *len = 0;
    for (;;) {
        text[*len] = '\0';
        const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "content-length:");
        if (end != NULL) {
            *header_len = (size_t)(end - text) + 4;
            size_t body = length == NULL || length > end ? 0 : strtoul(length + 15, NULL, 10);
            if (*len >= *header_len + body)
                return true;
        }
        int got = SSL_read(ssl, text + *len, (int)(REQUEST_MAX - 1 - *len));
        if (got <= 0)
            return false;
        *len += (size_t)got;
    }
}

static bool answer(SSL *ssl, const char *type, char *body)
{
    char head[256];
    int n = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                     type, strlen(body));
    bool sent = SSL_write(ssl, head, n) == n && SSL_write(ssl, body, (int)strlen(body)) > 0;
    free(body);
    return sent;
}

static void serve(SSL *ssl)
{
    static char text[REQUEST_MAX];
    size_t header_len = 0, len = 0;
    bool open = SSL_accept(ssl) == 1;
    while (open && read_request(ssl, text, &header_len, &len)) {
        if (strstr(text, "/csrattrs ") != NULL)
            open = answer(ssl, "application/csrattrs", authority_csrattrs());
        else if (strstr(text, "/cacerts ") != NULL)
            open = answer(ssl, "application/pkcs7-mime", authority_cacerts(&ca));
        else
            open = answer(ssl, "application/pkcs7-mime; smime-type=certs-only",
                          authority_issue(&ca, (const uint8_t *)text + header_len, len - header_len));
    }
    (void)SSL_shutdown(ssl);
}

static int take_any(int ok, X509_STORE_CTX *ctx)
{
    (void)ok;
    (void)ctx;
    return 1;
}

_Noreturn static void server(int listener, int newest)
{
    EVP_PKEY *server_key = EVP_EC_gen("P-256");
    X509 *cert = authority_server(&ca, server_key);
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    INJECT_REQUIRE(SSL_CTX_use_certificate(ctx, cert) == 1 && SSL_CTX_use_PrivateKey(ctx, server_key) == 1 &&
                   SSL_CTX_set_max_proto_version(ctx, newest) == 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, take_any);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)signal(SIGPIPE, SIG_IGN);
    for (;;) {
        const struct timeval patience = {.tv_sec = 5};
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            continue;
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        /* head and body are two writes: without this each answer waits for the client's delayed ACK */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(const int){1}, sizeof(int));
        SSL *ssl = SSL_new(ctx);
        INJECT_REQUIRE(ssl != NULL && SSL_set_fd(ssl, fd) == 1);
        serve(ssl);
        SSL_free(ssl);
        ERR_clear_error();
        close(fd);
    }
}

static pid_t start_server(int newest, char *where)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    INJECT_REQUIRE(listener >= 0 && bind(listener, (const struct sockaddr *)&address, len) == 0);
    INJECT_REQUIRE(listen(listener, 16) == 0 &&
                   getsockname(listener, (struct sockaddr *)&address, &len) == 0);
    snprintf(where, sizeof(url), "https://127.0.0.1:%d", ntohs(address.sin_port));
    pid_t pid = fork();
    INJECT_REQUIRE(pid >= 0);
    if (pid == 0)
        server(listener, newest);
    close(listener);
    return pid;
}

/* --- the client --- */

typedef struct run {
    estuary_anchors *anchors, *fetched;
    estuary_config *config;
    estuary_client *client;
    estuary_csr_attributes *attributes;
    estuary_request *request;
    estuary_enrollment *enrollment;
} run;

static void free_run(run *r)
{
    estuary_enrollment_free(r->enrollment);
    estuary_request_free(r->request);
    estuary_csr_attributes_free(r->attributes);
    estuary_anchors_free(r->fetched);
    estuary_anchors_free(r->anchors);
    estuary_client_free(r->client);
    estuary_config_free(r->config);
}

static estuary_status connect_client(run *r, const char *server_url, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    EST_TRY(estuary_anchors_from_bytes((const uint8_t *)ca.root_pem, strlen(ca.root_pem), &r->anchors, err));
    EST_TRY(estuary_config_new(&r->config, err));
    EST_TRY(estuary_config_set_server(r->config, server_url, NULL, err));
    EST_TRY(estuary_config_trust_anchors(r->config, r->anchors, err));
    EST_TRY(estuary_config_set_identity(r->config, identity, identity_chain, identity_key, err));
    EST_TRY(estuary_config_set_pop(r->config, ESTUARY_POP_REQUIRED, err));
    EST_TRY(estuary_client_new(r->config, &r->client, err));
cleanup:
    return status;
}

static estuary_status speak(run *r, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    EST_TRY(estuary_client_cacerts(r->client, &r->fetched, err));
    INJECT_REQUIRE(sk_X509_num(estuary_anchors_get0_roots(r->fetched)) == 1);
    EST_TRY(estuary_client_csrattrs(r->client, &r->attributes, err));
    INJECT_REQUIRE(estuary_csr_attributes_count(r->attributes) == AUTHORITY_ATTRIBUTES);
    EST_TRY(estuary_request_new(&r->request, err));
    EST_TRY(estuary_request_set_csr(r->request, csr, key, err));
    EST_TRY(estuary_client_enroll(r->client, r->request, &r->enrollment, err));
cleanup:
    return status;
}

static void check_outcome(estuary_status status, const run *r, const estuary_error *err)
{
    if (status == ESTUARY_OK) {
        X509 *cert = estuary_enrollment_get0_certificate(r->enrollment);
        INJECT_REQUIRE(estuary_enrollment_state(r->enrollment) == ESTUARY_STATE_ISSUED);
        INJECT_REQUIRE(X509_verify(cert, ca.key) == 1 && X509_check_private_key(cert, key) == 1);
        INJECT_REQUIRE(X509_check_host(cert, "device.example", 0, 0, NULL) == 1);
        return;
    }
    INJECT_REQUIRE(inject_hit());
    INJECT_REQUIRE(estuary_enrollment_state(r->enrollment) != ESTUARY_STATE_ISSUED);
    INJECT_REQUIRE(err == NULL || estuary_error_category(err) == status);
    INJECT_REQUIRE(err == NULL || (*estuary_error_message(err) != '\0' && *estuary_error_code(err) != '\0'));
}

static void one_session(const void *arg)
{
    run r = {0};
    inject_resume();
    estuary_error *err = estuary_error_new();
    estuary_status status = connect_client(&r, arg, err);
    if (status == ESTUARY_OK)
        status = speak(&r, err);
    inject_pause();
    if (getenv("INJECT_VERBOSE") != NULL)
        fprintf(stderr, "%s: %s %s\n", inject_where(), estuary_error_code(err), estuary_error_message(err));
    check_outcome(status, &r, err);
    free_run(&r);
    estuary_error_free(err);
    ERR_clear_error();
}

static void make_request(void)
{
    INJECT_REQUIRE(estuary_key_generate("ec:P-256", &key, NULL) == ESTUARY_OK);
    INJECT_REQUIRE(estuary_csr_new(&csr, NULL) == ESTUARY_OK);
    INJECT_REQUIRE(estuary_csr_set_subject(csr, "CN=device 1", NULL) == ESTUARY_OK);
    INJECT_REQUIRE(estuary_csr_add_san(csr, ESTUARY_SAN_DNS, "device.example", NULL) == ESTUARY_OK);
}

static void make_identity(void)
{
    identity_key = EVP_EC_gen("P-256");
    identity = authority_client(&ca, identity_key);
    identity_chain = sk_X509_new_null();
    INJECT_REQUIRE(identity_chain != NULL && sk_X509_push(identity_chain, ca.root) == 1);
}

int main(void)
{
    const unsigned long sample = getenv("INJECT_ALL") != NULL ? 0 : 200;
    const inject_plan tests[] = {
        {"every allocation of ours, over TLS", INJECT_OUR_ALLOCATION, one_session, url, 0},
        {"allocations, OpenSSL's too, over TLS", INJECT_ALLOCATION, one_session, url, sample},
        {"every OpenSSL call, over TLS 1.3", INJECT_OPENSSL, one_session, url, 0},
        {"every call to libssl, TLS 1.2", INJECT_SSL, one_session, old_url, 0},
    };
    const int n = (int)(sizeof(tests) / sizeof(tests[0]));
    bool passed = true;
    inject_set_up();
    authority_new(&ca);
    make_request();
    make_identity();
    const pid_t pids[] = {start_server(TLS1_3_VERSION, url), start_server(TLS1_2_VERSION, old_url)};
    inject_arm(INJECT_NOTHING, 0);
    one_session(url); /* without any failure it must succeed */
    one_session(old_url);
    printf("1..%d\n", n);
    for (int i = 0; i < n; i++)
        passed = inject_every(i + 1, &tests[i]) && passed;
    for (size_t i = 0; i < sizeof(pids) / sizeof(pids[0]); i++)
        INJECT_REQUIRE(kill(pids[i], SIGTERM) == 0 && waitpid(pids[i], NULL, 0) == pids[i]);
    sk_X509_free(identity_chain);
    X509_free(identity);
    EVP_PKEY_free(identity_key);
    estuary_csr_free(csr);
    EVP_PKEY_free(key);
    authority_free(&ca);
    return passed ? 0 : 1;
}
