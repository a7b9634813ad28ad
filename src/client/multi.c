/* Many operations on one engine: a queue, a bound, and who is told. */
#include "client/op.h"

#include <estuary/multi.h>

#define MAX_IN_FLIGHT 64
#define PENDING_MS    250 /* how late the end of a 202's wait or a cancelled wait may be noticed */

/* RUNNING has a request under way; ENDED is over and not handed over. */
enum place { NOWHERE = 0, QUEUED, RUNNING, WAITING, ENDED, PLACES };

struct list {
    estuary_op *first, *last;
    size_t count;
};

struct estuary_multi {
    est_http_engine *engine;
    struct list lists[PLACES];
    size_t max;
    bool stale;     /* something may be startable, or to be handed over */
    bool busy;      /* inside a step */
    bool to_cancel; /* an operation was cancelled from inside one */
    int64_t pending_at;
    estuary_op_done_fn *on_done;
    void *done_arg;
    estuary_multi_watch_fn *watch;
    estuary_multi_timer_fn *timer;
    void *watch_arg;
    int64_t told_ms; /* what timer was told last */
};

struct estuary_op {
    est_op machine;
    estuary_multi *multi; /* NULL: handed over */
    enum place place;
    bool cancelled; /* from inside a step: ends when it is safe */
    estuary_op *previous, *next;
    estuary_enrollment *enrollment;
    estuary_anchors *anchors;
    estuary_csr_attributes *attributes;
    void *context;
};

static void leave(estuary_op *op)
{
    struct list *list = &op->multi->lists[op->place];
    if (op->place == NOWHERE)
        return;
    *(op->previous == NULL ? &list->first : &op->previous->next) = op->next;
    *(op->next == NULL ? &list->last : &op->next->previous) = op->previous;
    op->previous = op->next = NULL;
    list->count--;
    op->place = NOWHERE;
}

static void enter(estuary_op *op, enum place place)
{
    leave(op);
    struct list *list = &op->multi->lists[place];
    op->place = place;
    op->previous = list->last;
    *(list->last == NULL ? &list->first : &list->last->next) = op;
    list->last = op;
    list->count++;
}

estuary_status estuary_multi_new(estuary_multi **out, estuary_error *err)
{
    *out = est_alloc(sizeof(**out));
    if (*out == NULL)
        return est_fail_memory(err);
    (*out)->max = MAX_IN_FLIGHT;
    (*out)->told_ms = -1;
    return ESTUARY_OK;
}

static void join_client(estuary_op *op)
{
    estuary_client *client = op->machine.client;
    client->multi = op->multi;
    client->n_ops++;
}

static void leave_client(estuary_op *op)
{
    estuary_client *client = op->machine.client;
    if (client->op == op)
        client->op = NULL;
    if (--client->n_ops == 0)
        client->multi = NULL;
}

static void destroy(estuary_op *op)
{
    est_op_clear(&op->machine);
    estuary_enrollment_free(op->enrollment);
    estuary_anchors_free(op->anchors);
    estuary_csr_attributes_free(op->attributes);
    est_free(op);
}

void estuary_multi_free(estuary_multi *multi)
{
    if (multi == NULL)
        return;
    for (int place = QUEUED; place < PLACES; place++) {
        for (estuary_op *op = multi->lists[place].first, *next = NULL; op != NULL; op = next) {
            next = op->next;
            if (place != ENDED)
                leave_client(op);
            destroy(op);
        }
    }
    est_http_engine_free(multi->engine);
    est_free(multi);
}

estuary_status estuary_multi_set_watch(estuary_multi *multi, estuary_multi_watch_fn *watch,
                                       estuary_multi_timer_fn *timer, void *arg, estuary_error *err)
{
    if (multi->engine != NULL)
        return est_fail(err, EST_USAGE, "the event loop is chosen before the first operation is added");
    multi->watch = watch;
    multi->timer = timer;
    multi->watch_arg = arg;
    return ESTUARY_OK;
}

static void tell_deadline(estuary_multi *multi)
{
    int64_t ms = estuary_multi_deadline_ms(multi);
    if (multi->timer == NULL || (ms < 0 && multi->told_ms < 0))
        return;
    multi->told_ms = ms;
    multi->timer(multi->watch_arg, ms);
}

static void note(estuary_multi *multi)
{
    bool known = multi->stale && multi->told_ms == 0;
    multi->stale = true;
    if (!multi->busy && !known)
        tell_deadline(multi);
}

void estuary_multi_set_max_in_flight(estuary_multi *multi, size_t max)
{
    multi->max = max == 0 ? 1 : max;
    note(multi);
}

void estuary_multi_set_on_done(estuary_multi *multi, estuary_op_done_fn *fn, void *arg)
{
    multi->on_done = fn;
    multi->done_arg = arg;
    note(multi);
}

static void keep_results(estuary_op *op)
{
    est_op *machine = &op->machine;
    if (op->enrollment != NULL && !est_enroll_is_kept(op->enrollment, machine->status)) {
        estuary_enrollment_free(op->enrollment);
        op->enrollment = machine->enrollment = NULL;
    }
    if (machine->status == ESTUARY_OK)
        machine->status = est_op_take_result(machine, &op->anchors, &op->attributes);
    est_drive_reset(&machine->drive);
}

static void on_change(void *arg)
{
    estuary_op *op = arg;
    if (op->machine.step == EST_STEP_WAITING) {
        if (op->multi->lists[WAITING].count == 0)
            op->multi->pending_at = est_monotonic_ms() + PENDING_MS;
        enter(op, WAITING);
    } else {
        keep_results(op);
        leave_client(op);
        enter(op, ENDED);
    }
    note(op->multi);
}

static estuary_status open_engine(estuary_multi *multi, estuary_error *err)
{
    return multi->engine != NULL ? ESTUARY_OK
                                 : est_http_engine_new(multi->watch, multi->watch_arg, &multi->engine, err);
}

static estuary_status add(estuary_multi *multi, estuary_client *client, estuary_operation operation,
                          estuary_enrollment *enrollment, void *context, estuary_op **out, estuary_error *err)
{
    if (client->multi != NULL && client->multi != multi)
        return est_fail(err, EST_USAGE, "an operation of this client is in another estuary_multi");
    estuary_status status = open_engine(multi, err);
    if (status != ESTUARY_OK)
        return status;
    estuary_op *op = est_alloc(sizeof(*op));
    if (op == NULL)
        return est_fail_memory(err);
    status = est_op_init(&op->machine, client, operation, enrollment, err);
    if (status != ESTUARY_OK) {
        est_free(op);
        return status;
    }
    op->machine.on_change = on_change;
    op->machine.arg = op;
    op->machine.step = EST_STEP_BEGIN;
    op->multi = multi;
    op->enrollment = enrollment;
    op->context = context;
    join_client(op);
    enter(op, QUEUED);
    note(multi);
    if (out != NULL)
        *out = op;
    return ESTUARY_OK;
}

estuary_status estuary_multi_add(estuary_multi *multi, estuary_client *client, estuary_operation operation,
                                 const estuary_request *request, void *context, estuary_op **out,
                                 estuary_error *err)
{
    estuary_enrollment *enrollment = NULL;
    estuary_status status = ESTUARY_OK;
    const est_operation *row = est_operation_get(operation);
    if (out != NULL)
        *out = NULL;
    if (row == NULL || row->enrolls != (request != NULL) || operation == ESTUARY_OP_RENEWAL_INFO)
        return est_fail(err, EST_USAGE, "the request does not fit the operation");
    if (request != NULL)
        status = estuary_enrollment_new(operation, client->config->server, request, &enrollment, err);
    if (status == ESTUARY_OK)
        status = add(multi, client, operation, enrollment, context, out, err);
    if (status != ESTUARY_OK)
        estuary_enrollment_free(enrollment);
    return status;
}

estuary_status estuary_multi_resume(estuary_multi *multi, estuary_client *client,
                                    estuary_enrollment *enrollment, void *context, estuary_op **out,
                                    estuary_error *err)
{
    if (out != NULL)
        *out = NULL;
    return add(multi, client, estuary_enrollment_operation(enrollment), enrollment, context, out, err);
}

size_t estuary_multi_count(const estuary_multi *multi)
{
    size_t count = 0;
    for (int place = QUEUED; place < PLACES; place++)
        count += multi->lists[place].count;
    return count;
}

size_t estuary_multi_in_flight(const estuary_multi *multi)
{
    return multi->lists[RUNNING].count;
}

estuary_op *estuary_multi_next_done(estuary_multi *multi)
{
    estuary_op *op = multi->lists[ENDED].first;
    if (op == NULL)
        return NULL;
    leave(op);
    op->multi = NULL;
    return op;
}

/* A client whose operation is under way is passed over: its next one has its turn afterwards. */
static void start_queued(estuary_multi *multi)
{
    estuary_op *op = multi->lists[QUEUED].first;
    while (op != NULL && multi->lists[RUNNING].count < multi->max) {
        estuary_op *next = op->next;
        if (op->machine.client->op == NULL) {
            op->machine.client->op = op;
            enter(op, RUNNING);
            est_op_start(&op->machine, multi->engine);
        }
        op = next;
    }
}

/* What waited out its 202 goes on even beyond the bound: the server has said when. */
static void tick_waiting(estuary_multi *multi)
{
    int64_t now = est_monotonic_ms();
    if (multi->lists[WAITING].count == 0 || now < multi->pending_at)
        return;
    multi->pending_at = now + PENDING_MS;
    for (estuary_op *op = multi->lists[WAITING].first, *next = NULL; op != NULL; op = next) {
        next = op->next;
        if (est_op_is_due(&op->machine))
            enter(op, RUNNING);
        est_op_tick(&op->machine);
    }
}

static void hand_over(estuary_multi *multi)
{
    estuary_op *op = NULL;
    while (multi->on_done != NULL && (op = estuary_multi_next_done(multi)) != NULL)
        multi->on_done(multi->done_arg, op);
}

static void end_cancelled(estuary_multi *multi)
{
    if (!multi->to_cancel)
        return;
    multi->to_cancel = false;
    for (int place = QUEUED; place < ENDED; place++) {
        for (estuary_op *op = multi->lists[place].first, *next = NULL; op != NULL; op = next) {
            next = op->next;
            if (op->cancelled)
                est_op_cancel(&op->machine);
        }
    }
}

static void settle(estuary_multi *multi)
{
    tick_waiting(multi);
    while (multi->stale) {
        multi->stale = false;
        end_cancelled(multi);
        hand_over(multi); /* first: the client still tells about this operation, not about its next */
        start_queued(multi);
    }
}

static estuary_status enter_step(estuary_multi *multi, estuary_error *err)
{
    if (multi->busy)
        return est_fail(err, EST_USAGE, "a callback of these operations must not drive them");
    estuary_status status = open_engine(multi, err);
    if (status != ESTUARY_OK)
        return status;
    multi->busy = true;
    settle(multi);
    return ESTUARY_OK;
}

static void leave_step(estuary_multi *multi)
{
    settle(multi);
    multi->busy = false;
    tell_deadline(multi);
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < 0 ? b : b < 0 || a < b ? a : b;
}

int64_t estuary_multi_deadline_ms(const estuary_multi *multi)
{
    if (multi->stale)
        return 0;
    int64_t ms = multi->engine == NULL ? -1 : est_http_engine_deadline_ms(multi->engine);
    if (multi->lists[WAITING].count == 0)
        return ms;
    int64_t left = multi->pending_at - est_monotonic_ms();
    return sooner(ms, left < 0 ? 0 : left);
}

estuary_status estuary_multi_fd_ready(estuary_multi *multi, int fd, int events, estuary_error *err)
{
    estuary_status status = enter_step(multi, err);
    if (status != ESTUARY_OK)
        return status;
    status = est_http_engine_ready(multi->engine, fd, events, err);
    leave_step(multi);
    return status;
}

/* hand_out: the caller takes what has ended between the steps. */
static estuary_status step(estuary_multi *multi, int64_t timeout_ms, bool hand_out, estuary_error *err)
{
    if (multi->watch != NULL)
        return est_fail(err, EST_USAGE, "another event loop watches these operations");
    estuary_status status = enter_step(multi, err);
    if (status != ESTUARY_OK)
        return status;
    int64_t wait = sooner(timeout_ms, estuary_multi_deadline_ms(multi));
    size_t ended = multi->lists[ENDED].count;
    bool ready = hand_out ? ended > 0 : ended == estuary_multi_count(multi);
    if (ready || (wait < 0 && multi->lists[RUNNING].count == 0))
        wait = 0; /* there is something to be taken, or nothing to wait for */
    status = est_http_engine_step(multi->engine, wait, err);
    leave_step(multi);
    return status;
}

estuary_status estuary_multi_step(estuary_multi *multi, int64_t timeout_ms, estuary_error *err)
{
    return step(multi, timeout_ms, true, err);
}

estuary_status estuary_multi_run(estuary_multi *multi, estuary_error *err)
{
    estuary_status status = ESTUARY_OK;
    while (status == ESTUARY_OK && estuary_multi_count(multi) > multi->lists[ENDED].count)
        status = step(multi, -1, false, err);
    return status;
}

/* Inside a step, whoever calls may be a signer in the middle of this very operation, or of a transfer. */
void estuary_op_cancel(estuary_op *op)
{
    estuary_multi *multi = op->multi;
    if (multi == NULL || !multi->busy) {
        est_op_cancel(&op->machine);
        return;
    }
    op->cancelled = multi->to_cancel = multi->stale = true;
    if (op->place == RUNNING)
        est_http_stop(op->machine.client->http);
}

void estuary_op_free(estuary_op *op)
{
    if (op != NULL && op->multi == NULL)
        destroy(op);
}

bool estuary_op_is_over(const estuary_op *op)
{
    return op->machine.step == EST_STEP_OVER;
}

estuary_status estuary_op_status(const estuary_op *op)
{
    return estuary_op_is_over(op) ? op->machine.status : ESTUARY_E_PENDING;
}

const estuary_error *estuary_op_get0_error(const estuary_op *op)
{
    return op->machine.err;
}

estuary_operation estuary_op_operation(const estuary_op *op)
{
    return op->machine.operation;
}

estuary_client *estuary_op_get0_client(const estuary_op *op)
{
    return op->machine.client;
}

void *estuary_op_context(const estuary_op *op)
{
    return op->context;
}

estuary_enrollment *estuary_op_take_enrollment(estuary_op *op)
{
    estuary_enrollment *taken = estuary_op_is_over(op) ? op->enrollment : NULL;
    if (taken != NULL)
        op->enrollment = op->machine.enrollment = NULL;
    return taken;
}

estuary_anchors *estuary_op_take_anchors(estuary_op *op)
{
    estuary_anchors *taken = op->anchors;
    op->anchors = NULL;
    return taken;
}

estuary_csr_attributes *estuary_op_take_csr_attributes(estuary_op *op)
{
    estuary_csr_attributes *taken = op->attributes;
    op->attributes = NULL;
    return taken;
}
