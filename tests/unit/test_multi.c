/* estuary_multi without a server: the port refuses at once, and everything around a transfer shows. */
#include "support.h"

#include "client/op.h"

#include <estuary/multi.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int n_waits;

/* In the place of libc's: what waits without waiting shows. */
int epoll_wait(int epoll, struct epoll_event *events, int max, int timeout)
{
    n_waits++;
    return epoll_pwait(epoll, events, max, timeout, NULL);
}

/* A port that is taken and does not listen: nobody else can answer there. */
static int refusing_port(int *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&at, len) == 0 &&
                getsockname(fd, (struct sockaddr *)&at, &len) == 0);
    *port = ntohs(at.sin_port);
    return fd;
}

#define CLIENTS 6

struct fixture {
    int fd;
    estuary_multi *multi;
    estuary_client *clients[CLIENTS];
    int n_done, to_add;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char url[64];
    int port = 0;
    estuary_config *config = NULL;
    assert_non_null(f);
    f->fd = refusing_port(&port);
    snprintf(url, sizeof(url), "https://127.0.0.1:%d", port);
    assert_int_equal(estuary_config_new(&config, NULL), ESTUARY_OK);
    assert_int_equal(estuary_config_set_server(config, url, NULL, NULL), ESTUARY_OK);
    assert_int_equal(estuary_config_insecure_accept_any_server(config, NULL), ESTUARY_OK);
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(estuary_client_new(config, &f->clients[i], NULL), ESTUARY_OK);
    estuary_config_free(config);
    assert_int_equal(estuary_multi_new(&f->multi, NULL), ESTUARY_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    estuary_multi_free(f->multi);
    for (int i = 0; i < CLIENTS; i++)
        estuary_client_free(f->clients[i]);
    close(f->fd);
    free(f);
    return 0;
}

static estuary_op *add(struct fixture *f, int client)
{
    estuary_op *op = NULL;
    assert_int_equal(estuary_multi_add(f->multi, f->clients[client], ESTUARY_OP_CACERTS, NULL, f, &op, NULL),
                     ESTUARY_OK);
    assert_non_null(op);
    return op;
}

static void expect_over(estuary_op *op, const char *code)
{
    assert_non_null(op);
    assert_true(estuary_op_is_over(op));
    assert_string_equal(estuary_error_code(estuary_op_get0_error(op)), code);
    assert_int_equal(estuary_op_status(op), estuary_error_category(estuary_op_get0_error(op)));
    assert_null(estuary_op_take_enrollment(op));
    assert_null(estuary_op_take_anchors(op));
    assert_null(estuary_op_take_csr_attributes(op));
    estuary_op_free(op);
}

static void ends_are_handed_over(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(estuary_multi_deadline_ms(f->multi), -1);
    assert_null(estuary_multi_next_done(f->multi));
    estuary_op *op = add(f, 0);
    assert_int_equal(estuary_multi_deadline_ms(f->multi), 0);
    assert_int_equal(estuary_op_status(op), ESTUARY_E_PENDING);
    assert_false(estuary_op_is_over(op));
    assert_int_equal(estuary_op_operation(op), ESTUARY_OP_CACERTS);
    assert_ptr_equal(estuary_op_get0_client(op), f->clients[0]);
    assert_ptr_equal(estuary_op_context(op), f);
    estuary_op_free(op); /* not handed over: stays */
    assert_int_equal(estuary_multi_run(f->multi, NULL), ESTUARY_OK);
    assert_int_equal(estuary_multi_count(f->multi), 1);
    assert_ptr_equal(estuary_multi_next_done(f->multi), op);
    assert_int_equal(estuary_multi_count(f->multi), 0);
    estuary_op_cancel(op); /* too late: it stays as it is */
    expect_over(op, "network.connect");
}

static void at_most_so_many(void **state)
{
    struct fixture *f = *state;
    estuary_op *op = NULL;
    int n = 0;
    estuary_multi_set_max_in_flight(f->multi, 0); /* is 1 */
    for (int i = 0; i < CLIENTS; i++)
        add(f, i);
    while (estuary_multi_count(f->multi) > 0) {
        assert_int_equal(estuary_multi_step(f->multi, 1000, NULL), ESTUARY_OK);
        assert_true(estuary_multi_in_flight(f->multi) <= 1);
        while ((op = estuary_multi_next_done(f->multi)) != NULL) {
            assert_ptr_equal(estuary_op_get0_client(op), f->clients[n++]); /* in the order they came */
            expect_over(op, "network.connect");
        }
    }
    assert_int_equal(n, CLIENTS);
}

static void one_client_one_operation_at_a_time(void **state)
{
    struct fixture *f = *state;
    estuary_op *first = add(f, 0), *second = add(f, 0);
    add(f, 1);
    assert_int_equal(estuary_multi_step(f->multi, 0, NULL), ESTUARY_OK);
    assert_true(estuary_multi_in_flight(f->multi) <= 2);
    assert_false(estuary_op_is_over(second));
    assert_int_equal(estuary_multi_run(f->multi, NULL), ESTUARY_OK);
    assert_true(estuary_op_is_over(first) && estuary_op_is_over(second));
    assert_int_equal(estuary_multi_count(f->multi), 3);
}

static void cancelled(void **state)
{
    struct fixture *f = *state;
    estuary_op *queued = add(f, 0);
    estuary_op_cancel(queued);
    assert_int_equal(estuary_multi_deadline_ms(f->multi), 0);
    expect_over(estuary_multi_next_done(f->multi), "cancelled");
    add(f, 1);
    estuary_client_cancel(f->clients[1]);
    assert_int_equal(estuary_multi_run(f->multi, NULL), ESTUARY_OK);
    expect_over(estuary_multi_next_done(f->multi), "cancelled");
    add(f, 0); /* the client of a cancelled operation goes on */
    assert_int_equal(estuary_multi_run(f->multi, NULL), ESTUARY_OK);
    expect_over(estuary_multi_next_done(f->multi), "network.connect");
    add(f, 2); /* never started, left to tear_down */
}

/* A client belongs to one multi, from the moment an operation is added to the end of its last one. */
static void one_multi_for_each_client(void **state)
{
    struct fixture *f = *state;
    estuary_multi *other = NULL;
    estuary_anchors *anchors = NULL;
    estuary_error *err = estuary_error_new();
    assert_int_equal(estuary_multi_new(&other, NULL), ESTUARY_OK);
    estuary_op *ops[] = {add(f, 0), add(f, 0)}; /* queued only */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(estuary_multi_add(other, f->clients[0], ESTUARY_OP_CACERTS, NULL, NULL, NULL, err),
                         ESTUARY_E_USAGE);
        assert_string_equal(estuary_error_message(err),
                            "an operation of this client is in another estuary_multi");
        assert_int_equal(estuary_client_cacerts(f->clients[0], &anchors, err), ESTUARY_E_USAGE);
        assert_string_equal(estuary_error_message(err), "an operation of this client is in an estuary_multi");
        assert_int_equal(estuary_multi_count(other), 0);
        estuary_op_cancel(ops[i]);
    }
    assert_int_equal(estuary_multi_add(other, f->clients[0], ESTUARY_OP_CACERTS, NULL, NULL, NULL, err),
                     ESTUARY_OK);
    assert_int_equal(estuary_multi_add(f->multi, f->clients[0], ESTUARY_OP_CACERTS, NULL, NULL, NULL, err),
                     ESTUARY_E_USAGE);
    estuary_multi_free(other); /* what it held is over, too */
    assert_int_equal(estuary_client_cacerts(f->clients[0], &anchors, err), ESTUARY_E_NETWORK);
    add(f, 0);
    assert_int_equal(estuary_multi_run(f->multi, NULL), ESTUARY_OK);
    expect_over(estuary_multi_next_done(f->multi), "cancelled");
    expect_over(estuary_multi_next_done(f->multi), "cancelled");
    expect_over(estuary_multi_next_done(f->multi), "network.connect");
    estuary_error_free(err);
}

static estuary_client *silent;

static void on_alarm(int number)
{
    (void)number;
    estuary_client_cancel(silent);
}

/* One has ended and stays; the other waits for a server that says nothing. */
static void run_waits_without_spinning(void **state)
{
    struct fixture *f = *state;
    char url[64];
    int port = 0, fd = refusing_port(&port);
    estuary_config *config = NULL;
    assert_int_equal(listen(fd, 1), 0);
    snprintf(url, sizeof(url), "https://127.0.0.1:%d", port);
    assert_int_equal(estuary_config_new(&config, NULL), ESTUARY_OK);
    assert_int_equal(estuary_config_set_server(config, url, NULL, NULL), ESTUARY_OK);
    assert_int_equal(estuary_config_insecure_accept_any_server(config, NULL), ESTUARY_OK);
    assert_int_equal(estuary_client_new(config, &silent, NULL), ESTUARY_OK);
    estuary_config_free(config);
    add(f, 0);
    assert_int_equal(estuary_multi_add(f->multi, silent, ESTUARY_OP_CACERTS, NULL, NULL, NULL, NULL),
                     ESTUARY_OK);
    assert_true(signal(SIGALRM, on_alarm) != SIG_ERR);
    const struct itimerval soon = {.it_value = {.tv_usec = 200000}};
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    n_waits = 0;
    assert_int_equal(estuary_multi_run(f->multi, NULL), ESTUARY_OK);
    assert_true(n_waits > 0 && n_waits < 50);
    expect_over(estuary_multi_next_done(f->multi), "network.connect");
    expect_over(estuary_multi_next_done(f->multi), "cancelled");
    estuary_client_free(silent);
    close(fd);
}

/* What was issued is never thrown away; what is lost on the way can be resumed. */
static void what_is_kept(void **state)
{
    (void)state;
    X509 *certificate = X509_new();
    assert_non_null(certificate);
    const struct {
        X509 *certificate;
        bool maybe_sent;
        estuary_state state;
        estuary_status status;
        bool kept;
    } rows[] = {{certificate, false, ESTUARY_STATE_READY, ESTUARY_E_CANCELLED, true},
                {certificate, false, ESTUARY_STATE_READY, ESTUARY_E_SERVER, true},
                {certificate, false, ESTUARY_STATE_FAILED, ESTUARY_E_CERTIFICATE, true},
                {NULL, true, ESTUARY_STATE_READY, ESTUARY_E_TLS, true},
                {NULL, true, ESTUARY_STATE_READY, ESTUARY_E_MEMORY, true},
                {NULL, true, ESTUARY_STATE_FAILED, ESTUARY_E_SERVER, false},
                {NULL, false, ESTUARY_STATE_READY, ESTUARY_E_NETWORK, false},
                {NULL, false, ESTUARY_STATE_READY, ESTUARY_E_SERVER, false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const estuary_enrollment enrollment = {
            .certificate = rows[i].certificate, .maybe_sent = rows[i].maybe_sent, .state = rows[i].state};
        assert_int_equal(est_enroll_is_kept(&enrollment, rows[i].status), rows[i].kept);
    }
    assert_false(est_enroll_is_kept(NULL, ESTUARY_OK));
    X509_free(certificate);
}

static void on_done(void *arg, estuary_op *op)
{
    struct fixture *f = arg;
    f->n_done++;
    assert_int_equal(estuary_multi_step(f->multi, 0, NULL), ESTUARY_E_USAGE);
    assert_int_equal(estuary_multi_fd_ready(f->multi, ESTUARY_MULTI_TIMEOUT, 0, NULL), ESTUARY_E_USAGE);
    if (f->to_add > 0) {
        estuary_op *next = add(f, f->to_add--);
        if (f->to_add == 0)
            estuary_op_cancel(next);
    }
    estuary_op_free(op);
}

static void callbacks_add_and_cancel(void **state)
{
    struct fixture *f = *state;
    f->to_add = 3;
    estuary_multi_set_on_done(f->multi, on_done, f);
    add(f, 0);
    assert_int_equal(estuary_multi_run(f->multi, NULL), ESTUARY_OK);
    assert_int_equal(estuary_multi_count(f->multi), 0);
    assert_int_equal(f->n_done, 4);
}

static struct pollfd watched;
static int64_t told_ms;

static void watch(void *arg, int fd, int events)
{
    (void)arg;
    watched = (struct pollfd){.fd = events == 0 ? -1 : fd, .events = POLLIN | POLLOUT};
}

static void timer(void *arg, int64_t ms)
{
    (void)arg;
    told_ms = ms;
}

static void from_an_event_loop(void **state)
{
    struct fixture *f = *state;
    watched.fd = -1;
    told_ms = -2;
    assert_int_equal(estuary_multi_set_watch(f->multi, watch, timer, NULL, NULL), ESTUARY_OK);
    add(f, 0);
    assert_int_equal(told_ms, 0);
    assert_int_equal(estuary_multi_step(f->multi, 0, NULL), ESTUARY_E_USAGE);
    do {
        if (poll(&watched, 1, (int)told_ms) > 0)
            assert_int_equal(
                estuary_multi_fd_ready(f->multi, watched.fd, ESTUARY_MULTI_READ | ESTUARY_MULTI_WRITE, NULL),
                ESTUARY_OK);
        else
            assert_int_equal(estuary_multi_fd_ready(f->multi, ESTUARY_MULTI_TIMEOUT, 0, NULL), ESTUARY_OK);
    } while (estuary_multi_in_flight(f->multi) > 0);
    assert_int_equal(watched.fd, -1); /* nothing is watched any more */
    expect_over(estuary_multi_next_done(f->multi), "network.connect");
    assert_int_equal(estuary_multi_set_watch(f->multi, NULL, NULL, NULL, NULL), ESTUARY_E_USAGE);
}

static void what_makes_no_sense(void **state)
{
    struct fixture *f = *state;
    estuary_request *request = NULL;
    estuary_op *op = NULL;
    assert_int_equal(estuary_request_new(&request, NULL), ESTUARY_OK);
    static const struct {
        estuary_operation operation;
        bool request;
    } rows[] = {{(estuary_operation)0, false},
                {(estuary_operation)99, false},
                {ESTUARY_OP_SIMPLEENROLL, false},
                {ESTUARY_OP_CACERTS, true}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(estuary_multi_add(f->multi, f->clients[0], rows[i].operation,
                                           rows[i].request ? request : NULL, NULL, &op, NULL),
                         ESTUARY_E_USAGE);
        assert_null(op);
    }
    estuary_request_free(request);
    /* T4: without an authenticated server only cacerts runs */
    assert_int_equal(estuary_multi_add(f->multi, f->clients[0], ESTUARY_OP_CSRATTRS, NULL, NULL, NULL, NULL),
                     ESTUARY_OK);
    assert_int_equal(estuary_multi_run(f->multi, NULL), ESTUARY_OK);
    expect_over(estuary_multi_next_done(f->multi), "usage.insecure-operation");
    estuary_op_free(NULL);
    estuary_multi_free(NULL);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(ends_are_handed_over),
                                       CASE(at_most_so_many),
                                       CASE(one_client_one_operation_at_a_time),
                                       CASE(cancelled),
                                       CASE(one_multi_for_each_client),
                                       CASE(run_waits_without_spinning),
                                       CASE(what_is_kept),
                                       CASE(callbacks_add_and_cancel),
                                       CASE(from_an_event_loop),
                                       CASE(what_makes_no_sense)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
