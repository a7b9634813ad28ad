/* A server on the loopback interface that answers every GET alike, in a thread of its own. */
#ifndef TEST_SMALL_HTTP_H
#define TEST_SMALL_HTTP_H

#include "support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct small_http {
    int fd;
    pthread_t thread;
    char url[64];
    pthread_mutex_t lock; /* held from the end of a request to the end of its answer */
    int requests;
    int status;
    const uint8_t *body;
    size_t len;
} small_http;

static inline void small_http_send(int fd, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    while (len > 0) {
        ssize_t sent = send(fd, at, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        at += sent;
        len -= (size_t)sent;
    }
}

static inline void small_http_answer(small_http *server, int fd)
{
    char request[4096] = "", head[256];
    size_t used = 0;
    while (used < sizeof(request) - 1 && strstr(request, "\r\n\r\n") == NULL) {
        ssize_t got = recv(fd, request + used, sizeof(request) - 1 - used, 0);
        if (got <= 0)
            return;
        used += (size_t)got;
        request[used] = '\0';
    }
    (void)pthread_mutex_lock(&server->lock);
    int len = snprintf(head, sizeof(head),
                       "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nETag: \"tag\"\r\nConnection: close\r\n\r\n",
                       server->status, server->len);
    small_http_send(fd, head, (size_t)len);
    small_http_send(fd, server->body, server->len);
    server->requests++;
    (void)pthread_mutex_unlock(&server->lock);
}

static inline void *small_http_run(void *arg)
{
    small_http *server = arg;
    for (int fd = accept(server->fd, NULL, NULL); fd >= 0; fd = accept(server->fd, NULL, NULL)) {
        small_http_answer(server, fd);
        close(fd);
    }
    return NULL;
}

static inline void small_http_start(small_http *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    *server = (small_http){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .status = 404};
    assert_true(server->fd >= 0);
    assert_int_equal(pthread_mutex_init(&server->lock, NULL), 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(server->fd, 16), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &len), 0);
    snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%d/a.crl", ntohs(address.sin_port));
    assert_int_equal(pthread_create(&server->thread, NULL, small_http_run, server), 0);
}

static inline int small_http_requests(small_http *server)
{
    (void)pthread_mutex_lock(&server->lock);
    int requests = server->requests;
    (void)pthread_mutex_unlock(&server->lock);
    return requests;
}

static inline void small_http_stop(small_http *server)
{
    assert_int_equal(shutdown(server->fd, SHUT_RDWR), 0);
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    assert_int_equal(close(server->fd), 0);
    (void)pthread_mutex_destroy(&server->lock);
}

#endif
