/* What the fuzz targets share. No state outlives an input, so that each one can be repeated alone. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "base/base.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Asserts in every build. */
#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                  \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* Every failure has a category, a code and a sentence; success leaves none. */
static inline void fuzz_check_error(estuary_status status, const estuary_error *err)
{
    if (status == ESTUARY_OK)
        return;
    REQUIRE(estuary_error_category(err) == status);
    REQUIRE(estuary_error_code(err)[0] != '\0');
    REQUIRE(estuary_error_message(err)[0] != '\0');
    for (const char *c = estuary_error_message(err); *c != '\0'; c++)
        REQUIRE((unsigned char)*c >= 0x20 && *c != 0x7f);
}

/* The contract of every function that makes something: an object exactly when the status is OK. */
static inline void fuzz_check_result(estuary_status status, const void *out, const estuary_error *err)
{
    REQUIRE((status == ESTUARY_OK) == (out != NULL));
    fuzz_check_error(status, err);
}

static inline estuary_error *fuzz_error(void)
{
    estuary_error *err = estuary_error_new();
    REQUIRE(err != NULL);
    return err;
}

/* A string of exactly the input's length; free() it. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    REQUIRE(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

#endif
