/* What every unit test needs: cmocka and one way to look at an error. */
#ifndef TEST_SUPPORT_H
#define TEST_SUPPORT_H

#include "base/base.h"

/* cmocka.h needs these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* */
#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The error's code as text, "" for ESTUARY_OK, and the category must agree with it. */
#define assert_failed(status, err, expected_code)                                                            \
    do {                                                                                                     \
        estuary_status status_once = (status);                                                               \
        assert_string_equal(estuary_error_code(err), expected_code);                                         \
        assert_int_equal(status_once, estuary_error_category(err));                                          \
        assert_int_not_equal(status_once, ESTUARY_OK);                                                       \
        assert_string_not_equal(estuary_error_message(err), "");                                             \
    } while (0)

#define assert_ok(status, err)                                                                               \
    do {                                                                                                     \
        if ((status) != ESTUARY_OK)                                                                          \
            fail_msg("%s: %s (%s)", estuary_error_code(err), estuary_error_message(err),                     \
                     estuary_error_detail(err));                                                             \
    } while (0)

#endif
