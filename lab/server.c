#include "lab.h"
#include "misbehave.h"
#include "revocation.h"

#include <arpa/inet.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>

uint16_t listener_port(struct evconnlistener *listener)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    if (getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address, &len) != 0)
        return 0;
    if (address.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&address)->sin6_port);
    return ntohs(((const struct sockaddr_in *)&address)->sin_port);
}

/* Accepted sockets inherit TCP_NODELAY; without it kept-alive answers wait for delayed ACKs. */
struct evconnlistener *listen_on(struct lab *lab, const struct sockaddr *address, socklen_t len)
{
    const int on = 1;
    const unsigned flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE;
    struct evconnlistener *listener =
        evconnlistener_new_bind(lab->base, NULL, NULL, flags, 128, address, (int)len);
    if (listener != NULL &&
        setsockopt(evconnlistener_get_fd(listener), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        evconnlistener_free(listener);
        return NULL;
    }
    return listener;
}

static struct bufferevent *new_tls_connection(struct event_base *base, void *arg)
{
    const struct door *door = arg;
    struct bufferevent *bev = NULL;
    SSL *ssl = SSL_new(door->tls);
    if (ssl != NULL && SSL_set_app_data(ssl, (void *)(intptr_t)++door->lab->connections) == 1)
        bev = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    if (bev == NULL)
        SSL_free(ssl);
    else
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    return bev;
}

static void greet(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int len,
                  void *arg)
{
    struct door *door = arg;
    const struct misbehaviour *row = misbehave_greeting(door);
    struct bufferevent *bev = bufferevent_socket_new(door->lab->base, fd, BEV_OPT_CLOSE_ON_FREE);
    (void)listener;
    (void)address;
    (void)len;
    if (bev == NULL)
        (void)evutil_closesocket(fd);
    else
        row->greet(door, bev, row);
}

/* Most doors go wrong above TLS and can share the first one's context. */
static SSL_CTX *door_context(const struct door *door)
{
    const struct door *first = &door->lab->doors[0];
    if (door != first && first->tls != NULL && !misbehave_tls_layer(first) && !misbehave_tls_layer(door))
        return SSL_CTX_up_ref(first->tls) == 1 ? first->tls : NULL;
    return tls_context(door);
}

static bool start_https(struct door *door, struct evconnlistener *listener)
{
    door->tls = door_context(door);
    door->https = evhttp_new(door->lab->base);
    if (door->tls == NULL || door->https == NULL || evhttp_bind_listener(door->https, listener) == NULL) {
        evconnlistener_free(listener);
        return false;
    }
    evhttp_set_bevcb(door->https, new_tls_connection, door);
    evhttp_set_max_body_size(door->https, LAB_MAX_BODY);
    evhttp_set_max_headers_size(door->https, LAB_MAX_HEADERS);
    evhttp_set_timeout(door->https, LAB_IDLE_SECONDS);
    evhttp_set_default_content_type(door->https, NULL);
    evhttp_set_gencb(door->https, est_handle, door);
    return true;
}

static bool door_open(struct door *door, const struct sockaddr_storage *address)
{
    struct evconnlistener *listener =
        listen_on(door->lab, (const struct sockaddr *)address, door->lab->options.listen_len);
    if (listener == NULL)
        return false;
    door->port = listener_port(listener);
    if (misbehave_greeting(door) == NULL)
        return start_https(door, listener);
    door->greeter = listener;
    evconnlistener_set_cb(listener, greet, door);
    return true;
}

static struct sockaddr_storage any_port(const struct sockaddr_storage *address)
{
    struct sockaddr_storage any = *address;
    if (any.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&any)->sin6_port = 0;
    else
        ((struct sockaddr_in *)&any)->sin_port = 0;
    return any;
}

bool server_start(struct lab *lab)
{
    const struct options *o = &lab->options;
    const struct sockaddr_storage any = any_port(&o->listen);
    bool ok = true;
    lab->doors = calloc(1 + o->also_count, sizeof *lab->doors);
    if (lab->doors == NULL)
        return false;
    lab->door_count = 1 + o->also_count;
    lab->doors[0] = (struct door){.lab = lab, .choices = o->misbehave, .choice_count = o->misbehave_count};
    ok = door_open(&lab->doors[0], &o->listen);
    for (size_t i = 0; ok && i < o->also_count; i++) {
        lab->doors[i + 1] = (struct door){.lab = lab, .choices = &o->also[i], .choice_count = 1};
        ok = door_open(&lab->doors[i + 1], &any);
    }
    return ok;
}

static void door_close(struct door *door)
{
    if (door->greeter != NULL)
        evconnlistener_free(door->greeter);
    if (door->https != NULL)
        evhttp_free(door->https);
    SSL_CTX_free(door->tls);
}

void server_stop(struct lab *lab)
{
    raw_free_all(lab);
    for (size_t i = 0; i < lab->door_count; i++)
        door_close(&lab->doors[i]);
    free(lab->doors);
    if (lab->http != NULL)
        evhttp_free(lab->http);
    crls_free(lab->crls);
}
