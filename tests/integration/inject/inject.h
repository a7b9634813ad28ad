/*
 * Failure injection: one call in a run is made to fail, then the next one in the next run, until a run
 * is too short to reach it. Runs happen in children, a batch in each, so that a crash or a leak is one
 * failed test and names the call.
 */
#ifndef TESTS_INJECT_INJECT_H
#define TESTS_INJECT_INJECT_H

#include <stdbool.h>
#include <stddef.h>

typedef enum inject_kind {
    INJECT_NOTHING = 0,
    INJECT_ALLOCATION,     /* any, through OpenSSL's allocator */
    INJECT_OUR_ALLOCATION, /* made by a file of src/ */
    INJECT_OPENSSL,        /* a call from src/ to a function of openssl_calls.inc */
    INJECT_SSL             /* the same, to one of libssl's */
} inject_kind;

/* Must come before anything of OpenSSL. */
void inject_set_up(void);
/* Call number `target` (from 1) of that kind fails; 0: only counts. Paused until inject_resume(). */
void inject_arm(inject_kind kind, unsigned long target);
void inject_pause(void);
void inject_resume(void);
unsigned long inject_count(void); /* of calls of the armed kind */
bool inject_hit(void);
const char *inject_where(void); /* the call that failed */

/* One run with a failure armed; asserts by itself, with INJECT_REQUIRE. */
typedef void inject_run(const void *arg);

typedef struct inject_plan {
    const char *name; /* of the test */
    inject_kind kind;
    inject_run *run;
    const void *arg;
    unsigned long sample; /* 0: every call; else so many of them, from a fixed seed */
} inject_plan;

/* Prints one TAP line; false when the test failed. */
bool inject_every(int number, const inject_plan *plan);

#define INJECT_REQUIRE(condition)                                                                            \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            inject_abort(__FILE__, __LINE__, #condition);                                                    \
    } while (0)
_Noreturn void inject_abort(const char *file, int line, const char *what);

#endif
