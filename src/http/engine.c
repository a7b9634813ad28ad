/* The one engine: curl's multi interface, driven by sockets and time. A blocking call is a transfer on it,
 * too. */
#include "http/engine.h"
#include "http/transfer.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#define TICK_MS       100 /* how late a cancellation or an idle time-out may be noticed */
#define EVENTS_A_STEP 64

struct est_http_engine {
    CURLM *multi;
    est_http_watch_fn *watch; /* NULL: epoll does it */
    void *arg;
    int epoll;            /* -1: somebody else watches */
    est_http *first;      /* what is running */
    est_http_turn *turns; /* what waits for the next turn */
    int64_t curl_at;      /* when curl wants to be called; -1: not */
    int64_t tick_at;
};

static void watch_with_epoll(const est_http_engine *engine, int fd, int events)
{
    struct epoll_event event = {.data.fd = fd};
    event.events =
        ((events & EST_HTTP_READ) != 0 ? EPOLLIN : 0U) | ((events & EST_HTTP_WRITE) != 0 ? EPOLLOUT : 0U);
    if (events == 0)
        (void)epoll_ctl(engine->epoll, EPOLL_CTL_DEL, fd, NULL);
    else if (epoll_ctl(engine->epoll, EPOLL_CTL_MOD, fd, &event) != 0 && errno == ENOENT)
        (void)epoll_ctl(engine->epoll, EPOLL_CTL_ADD, fd, &event); /* failing, curl's time-outs end it */
}

static int socket_callback(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
    (void)easy, (void)unused;
    const est_http_engine *engine = arg;
    int events = what == CURL_POLL_IN      ? EST_HTTP_READ
                 : what == CURL_POLL_OUT   ? EST_HTTP_WRITE
                 : what == CURL_POLL_INOUT ? EST_HTTP_READ | EST_HTTP_WRITE
                                           : 0;
    if (engine->watch != NULL)
        engine->watch(engine->arg, fd, events);
    else
        watch_with_epoll(engine, fd, events);
    return 0;
}

static int timer_callback(CURLM *multi, long timeout_ms, void *arg)
{
    (void)multi;
    est_http_engine *engine = arg;
    engine->curl_at = timeout_ms < 0 ? -1 : est_monotonic_ms() + timeout_ms;
    return 0;
}

static bool prepare(est_http_engine *engine)
{
    return curl_multi_setopt(engine->multi, CURLMOPT_SOCKETFUNCTION, socket_callback) == CURLM_OK &&
           curl_multi_setopt(engine->multi, CURLMOPT_SOCKETDATA, engine) == CURLM_OK &&
           curl_multi_setopt(engine->multi, CURLMOPT_TIMERFUNCTION, timer_callback) == CURLM_OK &&
           curl_multi_setopt(engine->multi, CURLMOPT_TIMERDATA, engine) == CURLM_OK;
}

estuary_status est_http_engine_new(est_http_watch_fn *watch, void *arg, est_http_engine **out,
                                   estuary_error *err)
{
    *out = NULL;
    est_http_engine *engine = est_alloc(sizeof(*engine));
    if (engine == NULL)
        return est_fail_memory(err);
    engine->watch = watch;
    engine->arg = arg;
    engine->curl_at = -1;
    engine->epoll = watch == NULL ? epoll_create1(EPOLL_CLOEXEC) : -1;
    if (watch == NULL && engine->epoll < 0) {
        est_free(engine);
        return est_fail_errno(err, EST_NETWORK, "the transfers cannot be watched");
    }
    engine->multi = curl_multi_init();
    if (engine->multi == NULL || !prepare(engine)) {
        est_http_engine_free(engine);
        return est_fail_memory(err);
    }
    *out = engine;
    return ESTUARY_OK;
}

void est_http_engine_free(est_http_engine *engine)
{
    if (engine == NULL)
        return;
    while (engine->first != NULL)
        est_http_abort(engine->first);
    while (engine->turns != NULL)
        est_http_turn_cancel(engine->turns);
    if (engine->multi != NULL)
        (void)curl_multi_cleanup(engine->multi);
    if (engine->epoll >= 0)
        (void)close(engine->epoll);
    est_free(engine);
}

estuary_status est_engine_add(est_http_engine *engine, est_http *http, estuary_error *err)
{
    if (curl_easy_setopt(http->easy, CURLOPT_PRIVATE, http) != CURLE_OK ||
        curl_multi_add_handle(engine->multi, http->easy) != CURLM_OK)
        return est_fail_memory(err);
    if (engine->first == NULL)
        engine->tick_at = est_monotonic_ms() + TICK_MS;
    http->engine = engine;
    http->previous = NULL;
    http->next = engine->first;
    if (http->next != NULL)
        http->next->previous = http;
    engine->first = http;
    return ESTUARY_OK;
}

void est_engine_remove(est_http *http)
{
    est_http_engine *engine = http->engine;
    (void)curl_multi_remove_handle(engine->multi, http->easy);
    if (http->previous != NULL)
        http->previous->next = http->next;
    else
        engine->first = http->next;
    if (http->next != NULL)
        http->next->previous = http->previous;
    http->engine = NULL;
    http->previous = http->next = NULL;
}

bool est_engine_repeat(est_http *http)
{
    CURLM *multi = http->engine->multi;
    return curl_multi_remove_handle(multi, http->easy) == CURLM_OK &&
           curl_multi_add_handle(multi, http->easy) == CURLM_OK;
}

void est_http_turn_ask(est_http_turn *turn, est_http_engine *engine)
{
    if (turn->engine != NULL)
        return;
    turn->engine = engine;
    turn->next = engine->turns;
    engine->turns = turn;
}

void est_http_turn_cancel(est_http_turn *turn)
{
    if (turn->engine == NULL)
        return;
    est_http_turn **at = &turn->engine->turns;
    while (*at != turn)
        at = &(*at)->next;
    *at = turn->next;
    turn->engine = NULL;
    turn->next = NULL;
}

/* One of them: each step of the loop is as short as that. Who asks again goes behind those that wait. */
static void take_turn(est_http_engine *engine)
{
    est_http_turn *turn = engine->turns;
    if (turn == NULL)
        return;
    while (turn->next != NULL)
        turn = turn->next;
    est_http_turn_cancel(turn);
    turn->fn(turn->arg);
}

int64_t est_http_engine_deadline_ms(const est_http_engine *engine)
{
    if (engine->turns != NULL)
        return 0;
    int64_t at = engine->first == NULL ? -1 : engine->tick_at;
    if (engine->curl_at >= 0 && (at < 0 || engine->curl_at < at))
        at = engine->curl_at;
    int64_t now = est_monotonic_ms();
    return at < 0 ? -1 : at > now ? at - now : 0;
}

/* on_done may free any link, so the list is begun anew after each. */
static void tick(est_http_engine *engine, int64_t now)
{
    if (now < engine->tick_at)
        return;
    engine->tick_at = now + TICK_MS;
    for (est_http *http = engine->first, *next = NULL; http != NULL; http = next) {
        next = http->next;
        if (est_transfer_check_patience(http, now) == ESTUARY_OK)
            continue;
        est_http_finish(http, CURLE_OK);
        next = engine->first;
    }
}

static void collect(est_http_engine *engine)
{
    int left = 0;
    const CURLMsg *message = NULL;
    while ((message = curl_multi_info_read(engine->multi, &left)) != NULL) {
        char *http = NULL;
        CURLcode result = message->data.result; /* removing the handle takes the message away */
        if (message->msg == CURLMSG_DONE &&
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &http) == CURLE_OK && http != NULL)
            est_http_finish((est_http *)(void *)http, result);
    }
}

static bool act(est_http_engine *engine, int fd, int events)
{
    int running = 0;
    int mask = ((events & EST_HTTP_READ) != 0 ? CURL_CSELECT_IN : 0) |
               ((events & EST_HTTP_WRITE) != 0 ? CURL_CSELECT_OUT : 0);
    return curl_multi_socket_action(engine->multi, fd, mask, &running) == CURLM_OK;
}

static bool act_on_time(est_http_engine *engine)
{
    if (engine->curl_at < 0 || engine->curl_at > est_monotonic_ms())
        return true;
    engine->curl_at = -1; /* the callback says when next */
    return act(engine, CURL_SOCKET_TIMEOUT, 0);
}

static estuary_status conclude(est_http_engine *engine, bool ok, estuary_error *err)
{
    collect(engine);
    tick(engine, est_monotonic_ms());
    take_turn(engine);
    return ok ? ESTUARY_OK : est_fail(err, EST_NETWORK, NULL);
}

estuary_status est_http_engine_ready(est_http_engine *engine, int fd, int events, estuary_error *err)
{
    bool ok = fd < 0 || act(engine, fd, events);
    return conclude(engine, act_on_time(engine) && ok, err);
}

estuary_status est_http_engine_step(est_http_engine *engine, int64_t timeout_ms, estuary_error *err)
{
    struct epoll_event events[EVENTS_A_STEP];
    bool ok = true;
    int64_t wait = est_http_engine_deadline_ms(engine);
    if (engine->epoll < 0)
        return est_fail(err, EST_USAGE, "somebody else's event loop watches these transfers");
    if (wait < 0 || (timeout_ms >= 0 && timeout_ms < wait))
        wait = timeout_ms;
    if (wait > 60000)
        wait = 60000;
    int n = epoll_wait(engine->epoll, events, EVENTS_A_STEP, (int)wait);
    if (n < 0 && errno != EINTR)
        return est_fail_errno(err, EST_NETWORK, "the transfers cannot be watched");
    for (int i = 0; i < n; i++) {
        bool broken = (events[i].events & (EPOLLERR | EPOLLHUP)) != 0; /* curl finds out by reading */
        int ready = ((events[i].events & EPOLLIN) != 0 || broken ? EST_HTTP_READ : 0) |
                    ((events[i].events & EPOLLOUT) != 0 || broken ? EST_HTTP_WRITE : 0);
        ok = act(engine, events[i].data.fd, ready) && ok;
    }
    return conclude(engine, act_on_time(engine) && ok, err);
}
