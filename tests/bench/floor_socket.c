/* The limit: the same simpleenroll on OpenSSL and a socket alone, without an HTTP library. */
#include "floor.h"

#include <netdb.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int dial(const struct floor_job *job)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    if (getaddrinfo(job->host, job->port, &hints, &list) != 0)
        floor_die("resolve");
    int fd = -1;
    for (struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(list);
    if (fd < 0)
        floor_die("connect");
    return fd;
}

static SSL *handshake(const struct floor_job *job, SSL_CTX *ctx, int fd)
{
    if (SSL_CTX_load_verify_file(ctx, job->ca_file) != 1)
        floor_die("anchors");
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL *ssl = SSL_new(ctx);
    if (ssl == NULL || SSL_set1_host(ssl, job->host) != 1 || SSL_set_tlsext_host_name(ssl, job->host) != 1 ||
        SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1)
        floor_die("handshake");
    return ssl;
}

static size_t exchange(const struct floor_job *job, SSL *ssl, char *answer, size_t size)
{
    char request[1 << 14], credentials[256], encoded[400];
    int len = snprintf(credentials, sizeof(credentials), "%s:%s", job->user, job->password);
    EVP_EncodeBlock((unsigned char *)encoded, (unsigned char *)credentials, len);
    len = snprintf(request, sizeof(request),
                   "POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: %s:%s\r\nAuthorization: Basic %s\r\n"
                   "Content-Type: application/pkcs10\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                   job->host, job->port, encoded, job->body_len, job->body);
    if (len <= 0 || (size_t)len >= sizeof(request) || SSL_write(ssl, request, len) != len)
        floor_die("send");
    size_t used = 0;
    int got;
    while (used < size - 1 && (got = SSL_read(ssl, answer + used, (int)(size - 1 - used))) > 0)
        used += (size_t)got;
    answer[used] = '\0';
    return used;
}

int main(int argc, char **argv)
{
    struct floor_job job;
    static char answer[1 << 16];
    floor_prepare(&job, argc, argv);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL)
        floor_die("TLS");
    int fd = dial(&job);
    SSL *ssl = handshake(&job, ctx, fd);
    size_t len = exchange(&job, ssl, answer, sizeof(answer));
    char *body = strstr(answer, "\r\n\r\n");
    if (strncmp(answer, "HTTP/1.1 200", 12) != 0 || body == NULL)
        floor_die("status");
    body += 4;
    floor_finish(&job, body, len - (size_t)(body - answer));
    SSL_shutdown(ssl);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    close(fd);
    return 0;
}
