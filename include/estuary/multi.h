/*
 * multi.h: many operations in one thread, each with its own identity, in any event loop.
 *
 *     estuary_multi_new(&multi, err);
 *     estuary_multi_set_max_in_flight(multi, 256);
 *     estuary_multi_add(multi, client, ESTUARY_OP_SIMPLEENROLL, request, context, NULL, err);   ... any
 * number while (estuary_multi_count(multi) > 0) { estuary_multi_step(multi, -1, err); or fd_ready() from an
 * event loop while ((op = estuary_multi_next_done(multi)) != NULL) {
 *             ... estuary_op_status(op) ...
 *             estuary_op_free(op);
 *         }
 *     }
 *
 * An estuary_client is one identity: its connection is never used for another client's requests. The
 * operations of one client run one after another, those of different clients at the same time.
 *
 * Threads: a multi, its operations and their clients belong to one thread at a time; estuary_client_cancel()
 * may come from any. No function here but estuary_multi_step() and estuary_multi_run() ever waits. Signing is
 * done in between: a slow token holds up all.
 *
 * Ownership: clients are lent, and must outlive their operations; they must not be used for blocking calls
 * meanwhile, nor in two multis at a time: from estuary_multi_add() to the end of its last operation that is
 * ESTUARY_E_USAGE. An operation belongs to the multi until it is over and handed over, by
 * estuary_multi_next_done() or to the on_done callback: then whoever got it calls estuary_op_free().
 *
 * Reentrancy: callbacks come from within estuary_multi_step(), _run() and _fd_ready(); a timer callback also
 * from estuary_multi_add(), _resume(), estuary_op_cancel() and the estuary_multi_set_*() functions; a watch
 * callback also from estuary_op_cancel() and estuary_multi_free(). An on_done callback may add operations,
 * cancel others, and free what it was given and its client, but not call the first three or
 * estuary_multi_free(). A watch or timer callback must call nothing of this multi. What a client calls
 * meanwhile (a signer, progress) may call estuary_op_cancel() and estuary_client_cancel(), and nothing else
 * of it: a request that is not on its way yet is not sent, and the operation ends before the step does.
 */
#ifndef ESTUARY_MULTI_H
#define ESTUARY_MULTI_H

#include <estuary/client.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct estuary_multi estuary_multi;
typedef struct estuary_op estuary_op;

ESTUARY_EXPORT estuary_status estuary_multi_new(estuary_multi **out, estuary_error *err);
/* Ends what runs, without callbacks, and frees every operation that was not handed over. NULL is fine. */
ESTUARY_EXPORT void estuary_multi_free(estuary_multi *multi);

/* At most so many have a request under way; the others wait in the order they came. Default 64; 0 is 1. */
ESTUARY_EXPORT void estuary_multi_set_max_in_flight(estuary_multi *multi, size_t max);

/* Takes over the operation: see above. Without one, estuary_multi_next_done() gives them out. */
typedef void estuary_op_done_fn(void *arg, estuary_op *op);
ESTUARY_EXPORT void estuary_multi_set_on_done(estuary_multi *multi, estuary_op_done_fn *fn, void *arg);

/*
 * Adds an operation; nothing is sent before the next step. request: for what enrols, checked and signed here,
 * and no longer needed afterwards; NULL for cacerts and csrattrs. context is the caller's. out may be NULL;
 * *out is lent until the operation is handed over.
 */
ESTUARY_EXPORT estuary_status estuary_multi_add(estuary_multi *multi, estuary_client *client,
                                                estuary_operation operation, const estuary_request *request,
                                                void *context, estuary_op **out, estuary_error *err);
/* The same for an enrolment that is pending or was never sent. Takes it over, except when this fails. */
ESTUARY_EXPORT estuary_status estuary_multi_resume(estuary_multi *multi, estuary_client *client,
                                                   estuary_enrollment *enrollment, void *context,
                                                   estuary_op **out, estuary_error *err);

/* Operations that were not handed over yet, whatever they are doing. */
ESTUARY_EXPORT size_t estuary_multi_count(const estuary_multi *multi);
/* Those with a request under way: not the queued ones, and not those that wait out a 202. */
ESTUARY_EXPORT size_t estuary_multi_in_flight(const estuary_multi *multi);
/*
 * Hands over one that is over; NULL when there is none. Its client may have begun its next operation already:
 * with several for one client, on_done is who sees estuary_client_channel_binding() of this one.
 */
ESTUARY_EXPORT estuary_op *estuary_multi_next_done(estuary_multi *multi);

/* Without an event loop of one's own. */

/* Waits at most timeout_ms (-1: as long as it takes) for something to happen, and handles it. */
ESTUARY_EXPORT estuary_status estuary_multi_step(estuary_multi *multi, int64_t timeout_ms,
                                                 estuary_error *err);
/* Until all are over; with on_done also handed over. */
ESTUARY_EXPORT estuary_status estuary_multi_run(estuary_multi *multi, estuary_error *err);

/* In somebody else's event loop. */

#define ESTUARY_MULTI_READ    1
#define ESTUARY_MULTI_WRITE   2
#define ESTUARY_MULTI_TIMEOUT (-1)

/* What to watch fd for from now on: ESTUARY_MULTI_READ, _WRITE, both; 0: forget it. Level-triggered. */
typedef void estuary_multi_watch_fn(void *arg, int fd, int events);
/* Call estuary_multi_fd_ready(multi, ESTUARY_MULTI_TIMEOUT, 0, err) in timeout_ms; -1: only when told anew.
 */
typedef void estuary_multi_timer_fn(void *arg, int64_t timeout_ms);
/*
 * Before the first operation is added, else ESTUARY_E_USAGE. timer may be NULL for those who ask
 * estuary_multi_deadline_ms() before each wait.
 */
ESTUARY_EXPORT estuary_status estuary_multi_set_watch(estuary_multi *multi, estuary_multi_watch_fn *watch,
                                                      estuary_multi_timer_fn *timer, void *arg,
                                                      estuary_error *err);
/* A watched fd is ready, or, with ESTUARY_MULTI_TIMEOUT, time has passed. An error or hang-up is both events.
 */
ESTUARY_EXPORT estuary_status estuary_multi_fd_ready(estuary_multi *multi, int fd, int events,
                                                     estuary_error *err);
/* Milliseconds until fd_ready(ESTUARY_MULTI_TIMEOUT) is due; -1: never. */
ESTUARY_EXPORT int64_t estuary_multi_deadline_ms(const estuary_multi *multi);

/* One operation. */

/*
 * Ends with ESTUARY_E_CANCELLED and is handed over as any other, in a later step; its client can go on. From
 * a callback it is over when the running step ends. One that is over stays as it is.
 */
ESTUARY_EXPORT void estuary_op_cancel(estuary_op *op);
/* Only one that was handed over. NULL is fine. */
ESTUARY_EXPORT void estuary_op_free(estuary_op *op);

ESTUARY_EXPORT bool estuary_op_is_over(const estuary_op *op);
/* Statuses as the blocking call's. ESTUARY_E_PENDING as long as it is not over, and after a 202 without
 * patience. */
ESTUARY_EXPORT estuary_status estuary_op_status(const estuary_op *op);
/* Lent; empty after ESTUARY_OK. */
ESTUARY_EXPORT const estuary_error *estuary_op_get0_error(const estuary_op *op);
ESTUARY_EXPORT estuary_operation estuary_op_operation(const estuary_op *op);
ESTUARY_EXPORT estuary_client *estuary_op_get0_client(const estuary_op *op);
ESTUARY_EXPORT void *estuary_op_context(const estuary_op *op);

/*
 * Results of an operation that is over; the caller frees them; NULL when there is none, or it was taken
 * before. An enrolment is there whenever the blocking call would give one.
 */
ESTUARY_EXPORT estuary_enrollment *estuary_op_take_enrollment(estuary_op *op);
ESTUARY_EXPORT estuary_anchors *estuary_op_take_anchors(estuary_op *op);
ESTUARY_EXPORT estuary_csr_attributes *estuary_op_take_csr_attributes(estuary_op *op);

#ifdef __cplusplus
}
#endif
#endif
