/* One operation from its start to its end, never blocking: what blocking calls and estuary_multi both run. */
#ifndef EST_CLIENT_OP_H
#define EST_CLIENT_OP_H

#include "client/client.h"

/* drive.c: one exchange, redirects included */
typedef struct est_drive {
    estuary_client *client;
    estuary_operation operation;
    estuary_exchange *exchange;
    bool lent; /* the exchange is somebody else's */
    bool running;
    int evidence_rounds;
    bool unanswered; /* a request left, and only its beginning of an answer came, if that */
    estuary_next next;
    estuary_status status;
    estuary_error *err;
    estuary_http_response *response;
    est_binding binding;
    est_http_call call;
    est_http_sink sink;
    est_http_engine *engine;
    void (*on_over)(void *arg);
    void *arg;
} est_drive;

/*
 * Begins; on_over comes from the engine when `running` is true afterwards. exchange NULL: a new one is made
 * for the operation and enrolment (lent, may be NULL).
 */
void est_drive_begin(est_drive *drive, estuary_operation operation, estuary_enrollment *enrollment,
                     estuary_exchange *exchange);
void est_drive_reset(est_drive *drive); /* ends a running transfer, forgets exchange and error */

typedef enum est_step {
    EST_STEP_OVER = 0, /* status and err tell */
    EST_STEP_BEGIN,
    EST_STEP_ATTRIBUTES, /* csrattrs came: is the request to be bound? (RFC 7030 3.5) */
    EST_STEP_PREPARE,    /* what fullcmc and the check need, before anything is sent */
    EST_STEP_PREPARE_WITH_CAS,
    EST_STEP_ASK,
    EST_STEP_ANSWER,
    EST_STEP_WAITING, /* 202: until retry_at */
    EST_STEP_CHECK,
    EST_STEP_CHECK_AGAIN,
    EST_STEP_REVOCATION, /* of what was issued */
    EST_STEP_REVOCATION_DONE
} est_step;

typedef struct est_op {
    estuary_client *client;
    estuary_operation operation;
    estuary_enrollment *enrollment; /* lent; NULL for what does not enrol */
    est_step step;
    estuary_status status;
    estuary_error *err;
    time_t give_up_at; /* the end of patience with 202 */
    int64_t said_at;
    bool advancing;
    bool looking; /* at the revocation of what was issued */
    est_drive drive;
    void (*on_change)(void *arg); /* it waits or is over; may be NULL */
    void *arg;
} est_op;

/* op.c */
estuary_status est_op_init(est_op *op, estuary_client *client, estuary_operation operation,
                           estuary_enrollment *enrollment, estuary_error *err);
void est_op_clear(est_op *op);
void est_op_start(est_op *op, est_http_engine *engine);
bool est_op_is_due(const est_op *op); /* it waited long enough */
/* What cacerts or csrattrs brought; noted and logged. */
estuary_status est_op_take_result(est_op *op, estuary_anchors **anchors, estuary_csr_attributes **attributes);
/* For an operation that waits: goes on, or ends, when it is time. */
void est_op_tick(est_op *op);
void est_op_cancel(est_op *op); /* on_change comes before it returns, unless it is over already */
/* Starts and drives it to its end on the client's own engine. */
estuary_status est_op_run(est_op *op, estuary_error *err);

/* enroll.c: the enrolment's own steps */
estuary_status est_enroll_allowed(const estuary_client *client, const estuary_enrollment *enrollment,
                                  estuary_error *err);
/* RFC 7030 4.1.3: with the system's store /cacerts says whose certificates to accept. */
bool est_enroll_needs_cas(const estuary_client *client);
/* E10: who signs the message, and whose answers count, before anything is sent */
estuary_status est_enroll_prepare_fullcmc(estuary_client *client, estuary_enrollment *enrollment,
                                          estuary_error *err);
/* *again: with the CA certificates of /cacerts it may end otherwise. */
estuary_status est_enroll_check(estuary_client *client, estuary_enrollment *enrollment, bool *again,
                                estuary_error *err);
estuary_status est_enroll_still_pending(const estuary_client *client, const estuary_enrollment *enrollment,
                                        estuary_error *err);
void est_enroll_record(const estuary_client *client, const estuary_enrollment *enrollment,
                       estuary_status status, const estuary_error *err);
void est_enroll_settle(estuary_enrollment *enrollment, estuary_status status, const estuary_error *err);
/* Whether the caller gets the enrolment of an operation that ended so. */
bool est_enroll_is_kept(const estuary_enrollment *enrollment, estuary_status status);

#endif
