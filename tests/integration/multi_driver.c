/*
 * Drives estuary_multi for test_multi.py:
 *     multi_driver identities|cancel|beside|callbacks URL ANCHORS USER SECRET N step|poll|libevent [OTHER_URL
 * OTHER_ANCHORS]
 */
#include <estuary/estuary.h>
#include <event2/event.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_DEVICES 256
#define MAX_FDS     1024

struct device {
    char subject[32];
    EVP_PKEY *key;
    estuary_client *client;
    estuary_enrollment *enrollment;
    /* for those whose signer does something else, too */
    EVP_PKEY *signing_key;
    int signatures;
    void (*when_signing)(struct device *device);
    estuary_op *target; /* what is cancelled */
};

static struct device devices[MAX_DEVICES];
static estuary_multi *multi;
static estuary_error *error;
static char **args;
static size_t n_done, n_failed;

static void must(estuary_status status, const char *what)
{
    if (status == ESTUARY_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, estuary_error_message(error));
    exit(1);
}

static int n_reports;

static void on_progress(void *arg, const char *what)
{
    struct device *device = arg;
    (void)what;
    if (device->signing_key != NULL || device->target == NULL)
        return;
    n_reports++;
    estuary_op_cancel(device->target);
}

static estuary_client *new_client(const struct device *device, const char *url, const char *anchors,
                                  bool password)
{
    estuary_config *config = NULL;
    estuary_secret *secret = NULL;
    estuary_client *client = NULL;
    must(estuary_config_new(&config, error), "config");
    must(estuary_config_set_server(config, url, NULL, error), "server");
    must(estuary_config_trust_file(config, anchors, error), "trust");
    must(estuary_config_set_max_wait(config, 60, error), "max wait");
    must(estuary_config_set_pop(config, device->signing_key == NULL ? ESTUARY_POP_OFF : ESTUARY_POP_REQUIRED,
                                error),
         "pop");
    must(estuary_config_set_progress(config, on_progress, (void *)device, error), "progress");
    if (password) {
        must(estuary_secret_read(args[5], "", &secret, error), "secret");
        must(estuary_config_set_http_auth(config, args[4], secret, error), "auth");
        must(estuary_config_set_preemptive_auth(config, true, error), "preemptive");
    } else {
        must(estuary_config_set_identity(config, estuary_enrollment_get0_certificate(device->enrollment),
                                         estuary_enrollment_get0_chain(device->enrollment), device->key,
                                         error),
             "identity");
    }
    must(estuary_client_new(config, &client, error), "client");
    estuary_secret_free(secret);
    estuary_config_free(config);
    return client;
}

static estuary_op *add(struct device *device, estuary_operation operation)
{
    estuary_request *request = NULL;
    estuary_csr *csr = NULL;
    estuary_op *op = NULL;
    if (operation != ESTUARY_OP_CSRATTRS) {
        must(estuary_request_new(&request, error), "request");
        must(estuary_csr_new(&csr, error), "csr");
        must(estuary_csr_set_subject(csr, device->subject, error), "subject");
        must(estuary_request_set_csr(request, csr, device->key, error), "set csr");
        if (operation == ESTUARY_OP_SIMPLEREENROLL)
            must(estuary_request_set_old_certificate(
                     request, estuary_enrollment_get0_certificate(device->enrollment), error),
                 "old certificate");
    }
    must(estuary_multi_add(multi, device->client, operation, request, device, &op, error), "add");
    estuary_csr_free(csr);
    estuary_request_free(request);
    return op;
}

static void begin(size_t i, const char *url, const char *anchors)
{
    struct device *device = &devices[i];
    snprintf(device->subject, sizeof(device->subject), "CN=device-%zu", i);
    must(estuary_key_generate("ec:P-256", &device->key, error), "key");
    device->client = new_client(device, url, anchors, true);
}

/* After its first certificate each device comes back with it, twice over the same client. */
static void on_done(void *arg, estuary_op *op)
{
    struct device *device = estuary_op_context(op);
    (void)arg;
    if (estuary_op_status(op) != ESTUARY_OK) {
        n_failed++;
        printf("failed %s %s\n", device->subject, estuary_error_message(estuary_op_get0_error(op)));
    } else if (estuary_op_operation(op) == ESTUARY_OP_SIMPLEENROLL) {
        device->enrollment = estuary_op_take_enrollment(op);
        estuary_client_free(device->client);
        device->client = new_client(device, args[2], args[3], false);
        add(device, ESTUARY_OP_CSRATTRS);
        add(device, ESTUARY_OP_SIMPLEREENROLL);
    } else if (estuary_op_operation(op) == ESTUARY_OP_SIMPLEREENROLL) {
        n_done++;
    }
    estuary_op_free(op);
}

/* a plain poll() loop */

static struct pollfd fds[MAX_FDS];
static nfds_t n_fds;

static void poll_watch(void *arg, int fd, int events)
{
    nfds_t i = 0;
    (void)arg;
    while (i < n_fds && fds[i].fd != fd)
        i++;
    if (events == 0) {
        if (i < n_fds)
            fds[i] = fds[--n_fds];
        return;
    }
    if (i == MAX_FDS)
        exit(2);
    if (i == n_fds)
        fds[n_fds++].fd = fd;
    fds[i].events = (short)(((events & ESTUARY_MULTI_READ) != 0 ? POLLIN : 0) |
                            ((events & ESTUARY_MULTI_WRITE) != 0 ? POLLOUT : 0));
}

static void poll_loop(void)
{
    while (estuary_multi_count(multi) > 0) {
        int n = poll(fds, n_fds, (int)estuary_multi_deadline_ms(multi));
        if (n == 0)
            must(estuary_multi_fd_ready(multi, ESTUARY_MULTI_TIMEOUT, 0, error), "time");
        for (nfds_t i = 0; n > 0 && i < n_fds; i++) {
            short got = fds[i].revents;
            int events = ((got & (POLLIN | POLLERR | POLLHUP)) != 0 ? ESTUARY_MULTI_READ : 0) |
                         ((got & (POLLOUT | POLLERR | POLLHUP)) != 0 ? ESTUARY_MULTI_WRITE : 0);
            if (events == 0)
                continue;
            must(estuary_multi_fd_ready(multi, fds[i].fd, events, error), "ready");
            break; /* the table may have changed */
        }
    }
}

/* libevent */

static struct event_base *base;
static struct event *events_of[MAX_FDS], *timer;

static void leave_if_over(void)
{
    if (estuary_multi_count(multi) == 0)
        event_base_loopbreak(base);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    (void)arg;
    must(estuary_multi_fd_ready(multi, fd,
                                ((what & EV_READ) != 0 ? ESTUARY_MULTI_READ : 0) |
                                    ((what & EV_WRITE) != 0 ? ESTUARY_MULTI_WRITE : 0),
                                error),
         "ready");
    leave_if_over();
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
    must(estuary_multi_fd_ready(multi, ESTUARY_MULTI_TIMEOUT, 0, error), "time");
    leave_if_over();
}

static void event_watch(void *arg, int fd, int events)
{
    (void)arg;
    if (fd >= MAX_FDS)
        exit(2);
    if (events_of[fd] != NULL)
        event_free(events_of[fd]);
    events_of[fd] = NULL;
    if (events == 0)
        return;
    int what = EV_PERSIST | ((events & ESTUARY_MULTI_READ) != 0 ? EV_READ : 0) |
               ((events & ESTUARY_MULTI_WRITE) != 0 ? EV_WRITE : 0);
    events_of[fd] = event_new(base, fd, (short)what, on_event, NULL);
    event_add(events_of[fd], NULL);
}

static void event_timer(void *arg, int64_t ms)
{
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    (void)arg;
    if (ms < 0)
        evtimer_del(timer);
    else
        evtimer_add(timer, &tv);
}

static void choose_loop(const char *loop)
{
    if (strcmp(loop, "poll") == 0)
        must(estuary_multi_set_watch(multi, poll_watch, NULL, NULL, error), "watch");
    if (strcmp(loop, "libevent") != 0)
        return;
    base = event_base_new();
    timer = evtimer_new(base, on_timer, NULL);
    must(estuary_multi_set_watch(multi, event_watch, event_timer, NULL, error), "watch");
}

static void loop_until_over(const char *loop)
{
    if (strcmp(loop, "poll") == 0)
        poll_loop();
    else if (strcmp(loop, "libevent") == 0)
        event_base_dispatch(base);
    else
        must(estuary_multi_run(multi, error), "run");
}

static void identities(size_t n, const char *loop)
{
    estuary_multi_set_on_done(multi, on_done, NULL);
    estuary_multi_set_max_in_flight(multi, 16);
    choose_loop(loop);
    for (size_t i = 0; i < n; i++) {
        begin(i, args[2], args[3]);
        add(&devices[i], ESTUARY_OP_SIMPLEENROLL);
    }
    loop_until_over(loop);
    printf("done %zu failed %zu\n", n_done, n_failed);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void step_for(double time)
{
    double end = seconds() + time;
    while (seconds() < end)
        must(estuary_multi_step(multi, 20, error), "step");
}

static void take(const char *what, estuary_op *expected)
{
    must(estuary_multi_step(multi, 0, error), "step");
    estuary_op *op = estuary_multi_next_done(multi);
    printf("%s %s\n", what,
           op == expected ? estuary_error_code(estuary_op_get0_error(op)) : "not handed over");
    estuary_enrollment_free(estuary_op_take_enrollment(op));
    estuary_op_free(op);
}

/* URL's server stalls in its answers, OTHER's says 202: an operation of each kind is stopped on its way. */
static void cancel(void)
{
    estuary_multi_set_max_in_flight(multi, 1);
    for (size_t i = 0; i < 3; i++)
        begin(i, args[2], args[3]);
    begin(3, args[8], args[9]);
    estuary_op *waits = add(&devices[3], ESTUARY_OP_SIMPLEENROLL);
    step_for(0.5);
    printf("in flight %zu of %zu\n", estuary_multi_in_flight(multi), estuary_multi_count(multi));
    estuary_op_cancel(waits);
    take("waiting", waits);
    estuary_op *stalled = add(&devices[0], ESTUARY_OP_SIMPLEENROLL);
    estuary_op *queued = add(&devices[1], ESTUARY_OP_SIMPLEENROLL);
    step_for(0.5);
    printf("over %d %d\n", estuary_op_is_over(stalled), estuary_op_is_over(queued));
    estuary_op_cancel(queued);
    take("queued", queued);
    estuary_op_cancel(stalled);
    take("stalled", stalled);
    estuary_op *connecting = add(&devices[2], ESTUARY_OP_SIMPLEENROLL);
    must(estuary_multi_step(multi, 0, error), "step");
    estuary_op_cancel(connecting);
    take("connecting", connecting);
    estuary_op *by_client = add(&devices[1], ESTUARY_OP_SIMPLEENROLL);
    estuary_client_cancel(devices[1].client);
    take("client", by_client);
    add(&devices[0], ESTUARY_OP_SIMPLEENROLL); /* left to estuary_multi_free() in the middle */
    step_for(0.2);
    printf("left %zu\n", estuary_multi_count(multi));
}

/* OTHER's server is slow or says 202: all the others go by. */
static void beside(size_t n)
{
    size_t done = 0;
    estuary_multi_set_max_in_flight(multi, 2);
    begin(n, args[8], args[9]);
    estuary_op *slow = add(&devices[n], ESTUARY_OP_SIMPLEENROLL);
    step_for(0.3);
    for (size_t i = 0; i < n; i++) {
        begin(i, args[2], args[3]);
        add(&devices[i], ESTUARY_OP_SIMPLEENROLL);
    }
    while (done < n) {
        estuary_op *op = NULL;
        must(estuary_multi_step(multi, -1, error), "step");
        while ((op = estuary_multi_next_done(multi)) != NULL) {
            if (op == slow || estuary_op_status(op) != ESTUARY_OK)
                n_failed++;
            done++;
            estuary_op_free(op);
        }
    }
    printf("done %zu failed %zu slow %s\n", done, n_failed, estuary_op_is_over(slow) ? "over" : "under way");
}

/* The first signature is made when the operation is added, the second inside a transfer (RFC 7030 3.5). */
static estuary_status sign(void *arg, const estuary_sign_input *input, uint8_t *out, size_t *len,
                           estuary_error *err)
{
    struct device *device = arg;
    (void)err;
    if (++device->signatures == 2)
        device->when_signing(device);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(device->signing_key, NULL);
    bool ok = ctx != NULL && EVP_PKEY_sign_init(ctx) == 1 &&
              EVP_PKEY_sign(ctx, out, len, input->bytes, input->len) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok ? ESTUARY_OK : ESTUARY_E_KEY;
}

static void cancel_target(struct device *device)
{
    estuary_op_cancel(device->target);
    printf("over while signing %d\n", estuary_op_is_over(device->target));
}

static void cancel_client(struct device *device)
{
    estuary_client_cancel(device->client);
}

static void begin_signing(size_t i, void (*when_signing)(struct device *device))
{
    const estuary_signer signer = {.size = sizeof(signer), .sign = sign};
    struct device *device = &devices[i];
    begin(i, args[2], args[3]);
    device->signing_key = device->key;
    device->when_signing = when_signing;
    must(estuary_key_from_signer(device->signing_key, &signer, device, &device->key, error), "signer");
    estuary_client_free(device->client);
    device->client = new_client(device, args[2], args[3], true);
}

static void expect(const char *what, estuary_op *expected)
{
    while (!estuary_op_is_over(expected))
        must(estuary_multi_step(multi, -1, error), "step");
    estuary_op *op = estuary_multi_next_done(multi);
    const char *code = estuary_error_code(estuary_op_get0_error(op));
    printf("%s %s\n", what, op != expected ? "not handed over" : code[0] == '\0' ? "done" : code);
    estuary_enrollment_free(estuary_op_take_enrollment(op));
    estuary_op_free(op);
}

/* Cancelling from where a key signs or progress is told: of the operation itself, of another, of the client.
 */
static void callbacks(void)
{
    begin_signing(0, cancel_target);
    devices[0].target = add(&devices[0], ESTUARY_OP_SIMPLEENROLL);
    expect("own signer", devices[0].target);
    begin(1, args[8], args[9]);
    estuary_op *other = add(&devices[1], ESTUARY_OP_SIMPLEENROLL);
    begin_signing(2, cancel_target);
    devices[2].target = other;
    estuary_op *signs = add(&devices[2], ESTUARY_OP_SIMPLEENROLL);
    expect("other's signer", other);
    expect("and the other", signs);
    begin_signing(3, cancel_client);
    expect("client by signer", add(&devices[3], ESTUARY_OP_SIMPLEENROLL));
    begin(4, args[8], args[9]);
    devices[4].target = add(&devices[4], ESTUARY_OP_SIMPLEENROLL);
    expect("progress", devices[4].target);
    printf("reports %d\n", n_reports);
}

/* The same for a blocking call, which has no operation to cancel. */
static void blocking(void)
{
    estuary_request *request = NULL;
    estuary_csr *csr = NULL;
    struct device *device = &devices[5];
    begin_signing(5, cancel_client);
    must(estuary_request_new(&request, error), "request");
    must(estuary_csr_new(&csr, error), "csr");
    must(estuary_csr_set_subject(csr, device->subject, error), "subject");
    must(estuary_request_set_csr(request, csr, device->key, error), "set csr");
    (void)estuary_client_enroll(device->client, request, &device->enrollment, error);
    printf("blocking %s after %d signatures\n", estuary_error_code(error), device->signatures);
    estuary_csr_free(csr);
    estuary_request_free(request);
}

int main(int argc, char **argv)
{
    args = argv;
    if (argc < 8)
        return 2;
    size_t n = strtoul(argv[6], NULL, 10);
    error = estuary_error_new();
    must(estuary_multi_new(&multi, error), "multi");
    if (strcmp(argv[1], "identities") == 0)
        identities(n, argv[7]);
    else if (strcmp(argv[1], "cancel") == 0 && argc == 10)
        cancel();
    else if (strcmp(argv[1], "callbacks") == 0 && argc == 10) {
        callbacks();
        blocking();
    } else if (strcmp(argv[1], "beside") == 0 && argc == 10 && n < MAX_DEVICES)
        beside(n);
    estuary_multi_free(multi);
    for (size_t i = 0; i < MAX_DEVICES; i++) {
        estuary_client_free(devices[i].client);
        estuary_enrollment_free(devices[i].enrollment);
        EVP_PKEY_free(devices[i].key);
        EVP_PKEY_free(devices[i].signing_key);
    }
    estuary_error_free(error);
    if (timer != NULL)
        event_free(timer);
    if (base != NULL)
        event_base_free(base);
    return 0;
}
