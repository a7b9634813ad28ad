#include "lab.h"
#include "misbehave.h"

#include <arpa/inet.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

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
    struct lab *lab = arg;
    struct bufferevent *bev = NULL;
    SSL *ssl = SSL_new(lab->tls);
    if (ssl != NULL && SSL_set_app_data(ssl, (void *)(intptr_t)++lab->connections) == 1)
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
    struct lab *lab = arg;
    const struct misbehaviour *row = misbehave_greeting(lab);
    struct bufferevent *bev = bufferevent_socket_new(lab->base, fd, BEV_OPT_CLOSE_ON_FREE);
    (void)listener;
    (void)address;
    (void)len;
    if (bev == NULL)
        (void)evutil_closesocket(fd);
    else
        row->greet(lab, bev, row);
}

static bool start_https(struct lab *lab, struct evconnlistener *listener)
{
    lab->tls = tls_context(lab);
    lab->https = evhttp_new(lab->base);
    if (lab->tls == NULL || lab->https == NULL || evhttp_bind_listener(lab->https, listener) == NULL) {
        evconnlistener_free(listener);
        return false;
    }
    evhttp_set_bevcb(lab->https, new_tls_connection, lab);
    evhttp_set_max_body_size(lab->https, LAB_MAX_BODY);
    evhttp_set_max_headers_size(lab->https, LAB_MAX_HEADERS);
    evhttp_set_timeout(lab->https, LAB_IDLE_SECONDS);
    evhttp_set_default_content_type(lab->https, NULL);
    evhttp_set_gencb(lab->https, est_handle, lab);
    return true;
}

bool server_start(struct lab *lab)
{
    struct evconnlistener *listener =
        listen_on(lab, (const struct sockaddr *)&lab->options.listen, lab->options.listen_len);
    if (listener == NULL)
        return false;
    lab->port = listener_port(listener);
    if (misbehave_greeting(lab) == NULL)
        return start_https(lab, listener);
    lab->greeter = listener;
    evconnlistener_set_cb(listener, greet, lab);
    return true;
}

void server_stop(struct lab *lab)
{
    raw_free_all(lab);
    if (lab->greeter != NULL)
        evconnlistener_free(lab->greeter);
    if (lab->https != NULL)
        evhttp_free(lab->https);
    if (lab->http != NULL)
        evhttp_free(lab->http);
    SSL_CTX_free(lab->tls);
}
