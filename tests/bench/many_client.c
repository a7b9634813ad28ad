/*
 * many_client multi|blocking|floor URL HOST PORT CA USER SECRET N IN_FLIGHT: N simpleenrolls, each with a new
 * P-256 key and a connection of its own. Prints wall and CPU seconds, and KiB of RSS at the start and at the
 * peak.
 */
#include <arpa/inet.h>
#include <estuary/estuary.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static char **args;
static size_t left_to_add, n_done;
static estuary_error *error;
static estuary_config *config;
static estuary_multi *multi;

static void die(const char *what)
{
    fprintf(stderr, "many_client: %s: %s\n", what, error == NULL ? "" : estuary_error_message(error));
    exit(1);
}

static void must(estuary_status status, const char *what)
{
    if (status != ESTUARY_OK)
        die(what);
}

static double cpu(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double wall(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static long status_kib(const char *name)
{
    char line[256];
    long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtol(line + strlen(name), NULL, 10);
    }
    if (file != NULL)
        fclose(file);
    return kib;
}

static void configure(void)
{
    estuary_secret *secret = NULL;
    estuary_limits *limits = NULL;
    must(estuary_config_new(&config, error), "config");
    must(estuary_config_set_server(config, args[2], NULL, error), "server");
    must(estuary_config_trust_file(config, args[5], error), "trust");
    must(estuary_secret_read(args[7], "", &secret, error), "secret");
    must(estuary_config_set_http_auth(config, args[6], secret, error), "auth");
    must(estuary_config_set_preemptive_auth(config, true, error), "preemptive");
    must(estuary_config_set_pop(config, ESTUARY_POP_OFF, error), "pop");
    must(estuary_limits_new(&limits, error), "limits"); /* the one lab is slower than a thousand clients */
    must(estuary_limits_set(limits, ESTUARY_LIMIT_CONNECT_MS, 300000, error), "limit");
    must(estuary_limits_set(limits, ESTUARY_LIMIT_IDLE_MS, 300000, error), "limit");
    must(estuary_limits_set(limits, ESTUARY_LIMIT_TOTAL_MS, 300000, error), "limit");
    must(estuary_config_set_limits(config, limits, error), "limits");
    estuary_limits_free(limits);
    estuary_secret_free(secret);
}

static estuary_request *new_request(void)
{
    EVP_PKEY *key = NULL;
    estuary_csr *csr = NULL;
    estuary_request *request = NULL;
    must(estuary_key_generate("ec:P-256", &key, error), "key");
    must(estuary_csr_new(&csr, error), "csr");
    must(estuary_csr_set_subject(csr, "CN=bench", error), "subject");
    must(estuary_request_new(&request, error), "request");
    must(estuary_request_set_csr(request, csr, key, error), "set csr");
    estuary_csr_free(csr);
    EVP_PKEY_free(key);
    return request;
}

static void blocking_once(void)
{
    estuary_client *client = NULL;
    estuary_enrollment *enrollment = NULL;
    estuary_request *request = new_request();
    must(estuary_client_new(config, &client, error), "client");
    must(estuary_client_enroll(client, request, &enrollment, error), "enroll");
    estuary_enrollment_free(enrollment);
    estuary_request_free(request);
    estuary_client_free(client);
}

static void add_one(void)
{
    estuary_client *client = NULL;
    estuary_request *request = new_request();
    must(estuary_client_new(config, &client, error), "client");
    must(estuary_multi_add(multi, client, ESTUARY_OP_SIMPLEENROLL, request, NULL, NULL, error), "add");
    estuary_request_free(request);
    left_to_add--;
}

static void on_done(void *arg, estuary_op *op)
{
    (void)arg;
    estuary_client *client = estuary_op_get0_client(op);
    if (estuary_op_status(op) != ESTUARY_OK) {
        fprintf(stderr, "many_client: %s\n", estuary_error_message(estuary_op_get0_error(op)));
        exit(1);
    }
    estuary_op_free(op);
    estuary_client_free(client);
    n_done++;
    if (left_to_add > 0)
        add_one();
}

static void all_at_once(size_t in_flight)
{
    must(estuary_multi_new(&multi, error), "multi");
    estuary_multi_set_max_in_flight(multi, in_flight);
    estuary_multi_set_on_done(multi, on_done, NULL);
    for (size_t i = 0; i < in_flight && left_to_add > 0; i++)
        add_one();
    must(estuary_multi_run(multi, error), "run");
    estuary_multi_free(multi);
}

/* The bare loop: handshake, key, signature, one POST, its answer read and thrown away. */

static char *authorization;

static size_t make_post(char *out, size_t size)
{
    X509_REQ *csr = X509_REQ_new();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    unsigned char *der = NULL, body[2048];
    X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(csr), "CN", MBSTRING_ASC,
                               (const unsigned char *)"bench", -1, -1, 0);
    if (X509_REQ_set_pubkey(csr, key) != 1 || X509_REQ_sign(csr, key, EVP_sha256()) <= 0)
        die("CSR");
    int n = EVP_EncodeBlock(body, der, 0), len = i2d_X509_REQ(csr, &der);
    n = EVP_EncodeBlock(body, der, len);
    OPENSSL_free(der);
    X509_REQ_free(csr);
    EVP_PKEY_free(key);
    return (size_t)snprintf(out, size,
                            "POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: %s:%s\r\nContent-Type: "
                            "application/pkcs10\r\nAuthorization: Basic %s\r\nConnection: close\r\n"
                            "Content-Length: %d\r\n\r\n%s",
                            args[3], args[4], authorization, n, (const char *)body);
}

static void floor_once(SSL_CTX *ctx)
{
    char text[8192];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(args[4]))};
    int fd = socket(AF_INET, SOCK_STREAM, 0), n = 0, total = 0;
    SSL *ssl = SSL_new(ctx);
    if (inet_pton(AF_INET, args[3], &to.sin_addr) != 1 ||
        connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 || SSL_set_fd(ssl, fd) != 1 ||
        SSL_connect(ssl) != 1)
        die("handshake");
    size_t len = make_post(text, sizeof(text));
    if (SSL_write(ssl, text, (int)len) != (int)len)
        die("write");
    while ((n = SSL_read(ssl, text + total, (int)sizeof(text) - 1 - total)) > 0)
        total += n;
    if (total < 12 || strncmp(text + 9, "200", 3) != 0)
        die("answer");
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fd);
    n_done++;
}

static SSL_CTX *floor_context(void)
{
    char pair[256], encoded[400];
    size_t len = 0;
    estuary_secret *secret = NULL;
    must(estuary_secret_read(args[7], "", &secret, error), "secret");
    int n = snprintf(pair, sizeof(pair), "%s:%s", args[6], estuary_secret_get0(secret, &len));
    EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)pair, n);
    authorization = strdup(encoded);
    estuary_secret_free(secret);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL || SSL_CTX_load_verify_file(ctx, args[5]) != 1)
        die("context");
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    return ctx;
}

int main(int argc, char **argv)
{
    args = argv;
    if (argc != 10)
        return 2;
    error = estuary_error_new();
    size_t n = strtoul(argv[8], NULL, 10), in_flight = strtoul(argv[9], NULL, 10);
    SSL_CTX *ctx = NULL;
    if (argv[1][0] == 'f') {
        ctx = floor_context();
        floor_once(ctx);
    } else {
        configure();
        blocking_once(); /* what is set up once does not count */
    }
    long rss = status_kib("VmRSS:");
    double cpu_start = cpu(), wall_start = wall();
    left_to_add = n;
    if (argv[1][0] == 'm')
        all_at_once(in_flight);
    for (size_t i = 0; argv[1][0] != 'm' && i < n; i++)
        ctx == NULL ? blocking_once() : floor_once(ctx);
    printf("%.6f %.6f %ld %ld\n", wall() - wall_start, cpu() - cpu_start, rss, status_kib("VmHWM:"));
    return 0;
}
