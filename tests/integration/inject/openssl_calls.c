/*
 * A wrapper for each function of openssl_calls.inc (linked with --wrap): it fails when asked to, else
 * passes its arguments on.
 *
 * One shape fits all: on the ABIs we test on, integers and pointers travel in the same registers, unused
 * ones do no harm, and 0 is NULL and failure in one. No function of the list takes or returns anything else.
 */
#include <stdbool.h>
#include <stdint.h>

typedef uintptr_t word;

bool inject_openssl_fails(const char *name);

#define PARAMETERS word a, word b, word c, word d, word e, word f, word g, word h
#define ARGUMENTS  a, b, c, d, e, f, g, h

#define CALL(name)                                                                                           \
    word __real_##name(PARAMETERS);                                                                          \
    word __wrap_##name(PARAMETERS);                                                                          \
    word __wrap_##name(PARAMETERS)                                                                           \
    {                                                                                                        \
        return inject_openssl_fails(#name) ? 0 : __real_##name(ARGUMENTS);                                   \
    }
/* Where 0 is a result, and a negative number the failure. */
#define CALL_NEGATIVE(name)                                                                                  \
    word __real_##name(PARAMETERS);                                                                          \
    word __wrap_##name(PARAMETERS);                                                                          \
    word __wrap_##name(PARAMETERS)                                                                           \
    {                                                                                                        \
        return inject_openssl_fails(#name) ? (word)-1 : __real_##name(ARGUMENTS);                            \
    }
/* Where any negative number says "different", and -2 that it could not be told. */
#define CALL_COMPARE(name)                                                                                   \
    word __real_##name(PARAMETERS);                                                                          \
    word __wrap_##name(PARAMETERS);                                                                          \
    word __wrap_##name(PARAMETERS)                                                                           \
    {                                                                                                        \
        return inject_openssl_fails(#name) ? (word)-2 : __real_##name(ARGUMENTS);                            \
    }
/* The third argument tells "broken" (0) from "absent" (-1). */
#define CALL_CRITICAL(name)                                                                                  \
    word __real_##name(PARAMETERS);                                                                          \
    word __wrap_##name(PARAMETERS);                                                                          \
    word __wrap_##name(PARAMETERS)                                                                           \
    {                                                                                                        \
        if (!inject_openssl_fails(#name))                                                                    \
            return __real_##name(ARGUMENTS);                                                                 \
        if (c != 0)                                                                                          \
            *(int *)c = 0;                                                                                   \
        return 0;                                                                                            \
    }
#include "openssl_calls.inc"
