/* A connection taken away from evhttp (or never given to it), to send what no HTTP library would. */
#include "misbehave.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct raw {
    struct lab *lab;
    struct evhttp_connection *connection; /* owns bev; NULL when we do */
    struct bufferevent *bev;
    struct event *later; /* the next dripping byte, or the end: never inside a callback of bev */
    struct raw_plan plan;
    size_t dripped;
    bool over;
    struct raw *next;
};

static void raw_free(struct raw *raw)
{
    for (struct raw **at = &raw->lab->raws; *at != NULL; at = &(*at)->next) {
        if (*at == raw) {
            *at = raw->next;
            break;
        }
    }
    event_free(raw->later);
    if (raw->connection != NULL)
        evhttp_connection_free(raw->connection);
    else
        bufferevent_free(raw->bev);
    bytes_clear(&raw->plan.drip);
    bytes_clear(&raw->plan.repeat);
    free(raw);
}

void raw_free_all(struct lab *lab)
{
    while (lab->raws != NULL)
        raw_free(lab->raws);
}

static void schedule(struct raw *raw, long seconds)
{
    const struct timeval when = {.tv_sec = seconds};
    (void)event_add(raw->later, &when);
}

/* On Linux, dissolving a connected socket's association sends RST at once. */
static void reset(struct raw *raw)
{
    const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    (void)connect(bufferevent_getfd(raw->bev), &nobody, sizeof nobody);
}

static void end(struct raw *raw)
{
    SSL *ssl = bufferevent_openssl_get_ssl(raw->bev);
    if (raw->plan.end == RAW_HANG)
        return;
    if (raw->plan.end == RAW_CLOSE && ssl != NULL)
        (void)SSL_shutdown(ssl);
    if (raw->plan.end == RAW_RESET)
        reset(raw);
    raw->over = true;
    schedule(raw, 0);
}

/* What was put in has gone out: the next piece, or the end. */
static void drained(struct bufferevent *bev, void *arg)
{
    struct raw *raw = arg;
    if (raw->over || evbuffer_get_length(bufferevent_get_output(bev)) > 0)
        return;
    if (raw->dripped < raw->plan.drip.len) {
        schedule(raw, 1);
        return;
    }
    if (raw->plan.times == 0) {
        end(raw);
        return;
    }
    if (raw->plan.times != ULONG_MAX)
        raw->plan.times--;
    if (bufferevent_write(bev, raw->plan.repeat.data, raw->plan.repeat.len) != 0) {
        raw->over = true;
        schedule(raw, 0);
    }
}

static void later(evutil_socket_t fd, short events, void *arg)
{
    struct raw *raw = arg;
    (void)fd;
    (void)events;
    if (raw->over)
        raw_free(raw);
    else if (bufferevent_write(raw->bev, raw->plan.drip.data + raw->dripped++, 1) != 0)
        raw_free(raw);
}

static void discard(struct bufferevent *bev, void *arg)
{
    struct evbuffer *in = bufferevent_get_input(bev);
    (void)arg;
    (void)evbuffer_drain(in, evbuffer_get_length(in));
}

static void peer_left(struct bufferevent *bev, short events, void *arg)
{
    struct raw *raw = arg;
    (void)bev;
    if ((events & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0) {
        raw->over = true;
        schedule(raw, 0);
    }
}

static bool take(struct lab *lab, struct evhttp_connection *connection, struct bufferevent *bev,
                 struct raw_plan *plan)
{
    struct raw *raw = calloc(1, sizeof *raw);
    if (raw != NULL)
        raw->later = evtimer_new(lab->base, later, raw);
    if (raw == NULL || raw->later == NULL) {
        free(raw);
        if (plan->first != NULL)
            evbuffer_free(plan->first);
        bytes_clear(&plan->drip);
        bytes_clear(&plan->repeat);
        return false;
    }
    raw->lab = lab;
    raw->connection = connection;
    raw->bev = bev;
    raw->plan = *plan;
    raw->next = lab->raws;
    lab->raws = raw;
    bufferevent_setcb(bev, discard, drained, peer_left, raw);
    (void)bufferevent_set_timeouts(bev, NULL, NULL);
    (void)bufferevent_enable(bev, EV_READ | EV_WRITE);
    if (plan->first != NULL && evbuffer_get_length(plan->first) > 0)
        (void)bufferevent_write_buffer(bev, plan->first);
    else
        drained(bev, raw);
    if (plan->first != NULL)
        evbuffer_free(plan->first);
    return true;
}

bool raw_take_request(struct exchange *ex, struct raw_plan *plan)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(ex->req);
    return take(ex->lab, connection, evhttp_connection_get_bufferevent(connection), plan);
}

bool raw_take_connection(struct lab *lab, struct bufferevent *bev, struct raw_plan *plan)
{
    if (take(lab, NULL, bev, plan))
        return true;
    bufferevent_free(bev);
    return false;
}

struct evbuffer *raw_head(const struct exchange *ex, long content_length, const char *eol)
{
    struct evbuffer *out = evbuffer_new();
    if (out == NULL)
        return NULL;
    (void)evbuffer_add_printf(out, "HTTP/1.1 %d %s%s", ex->reply.status, ex->reply.reason, eol);
    for (size_t i = 0; i < ex->reply.header_count; i++)
        (void)evbuffer_add_printf(out, "%s: %s%s", ex->reply.headers[i].name, ex->reply.headers[i].value,
                                  eol);
    if (content_length >= 0)
        (void)evbuffer_add_printf(out, "Content-Length: %ld%s", content_length, eol);
    (void)evbuffer_add_printf(out, "Connection: close%s%s", eol, eol);
    return out;
}
