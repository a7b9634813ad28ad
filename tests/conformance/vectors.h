/* Vectors made by others: finding them, their cases.json, and the deviations that docs/conformance.md lists.
 */
#ifndef TESTS_CONFORMANCE_VECTORS_H
#define TESTS_CONFORMANCE_VECTORS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "revocation/revocation.h"

#include <jansson.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VECTOR_PATH_SIZE 1200
#define COUNT_OF(array)  (sizeof(array) / sizeof((array)[0]))

static inline void vector_path(const char *name, char path[VECTOR_PATH_SIZE])
{
    const char *given = getenv("ESTUARY_VECTORS");
    if (given != NULL)
        snprintf(path, VECTOR_PATH_SIZE, "%s/%s", given, name);
    else
        snprintf(path, VECTOR_PATH_SIZE, "%s/../shared/vectors/%s", SOURCE_ROOT, name);
}

/* NULL when the file is not there; NUL-terminated, freed with free(). */
static inline uint8_t *load_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    assert_true(size >= 0);
    rewind(file);
    *len = (size_t)size;
    uint8_t *bytes = malloc(*len + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *len, file), *len);
    bytes[*len] = '\0';
    fclose(file);
    return bytes;
}

static inline uint8_t *load_vector(const char *name, size_t *len)
{
    char path[VECTOR_PATH_SIZE];
    vector_path(name, path);
    uint8_t *bytes = load_file(path, len);
    if (bytes == NULL)
        fail_msg("%s is not there", path);
    return bytes;
}

/* Skips when the vectors are not there at all. */
static inline json_t *load_cases(const char *name)
{
    char path[VECTOR_PATH_SIZE];
    size_t len = 0;
    vector_path(name, path);
    uint8_t *text = load_file(path, &len);
    if (text == NULL) {
        const char *strict = getenv("ESTUARY_STRICT");
        if (strict != NULL && strcmp(strict, "1") == 0)
            fail_msg("%s is not there", path);
        print_message("the vectors are not there; set ESTUARY_VECTORS\n");
        skip();
    }
    json_t *root = json_loadb((const char *)text, len, 0, NULL);
    free(text);
    assert_non_null(root);
    return root;
}

/* --- deviations: the list in the test and the table in docs/conformance.md are one -------------------- */

typedef struct deviation {
    const char *test;
    const char *expected, *ours;
} deviation;

#define DEVIATIONS_HEAD "## PKITS and CRL vectors: deviations"

static inline void assert_deviations_are_documented(const char *suite, const deviation *list, size_t count)
{
    size_t len, found = 0;
    char start[64];
    char *page = (char *)load_file(SOURCE_ROOT "/docs/conformance.md", &len);
    assert_non_null(page);
    char *section = strstr(page, "\n" DEVIATIONS_HEAD "\n");
    assert_non_null(section);
    char *end = strstr(section + sizeof(DEVIATIONS_HEAD), "\n## ");
    if (end != NULL)
        *end = '\0';
    for (size_t i = 0; i < count; i++) {
        char row[256];
        snprintf(row, sizeof(row), "\n| %s | %s | %s | %s | ", suite, list[i].test, list[i].expected,
                 list[i].ours);
        const char *at = strstr(section, row);
        if (at == NULL)
            fail_msg("docs/conformance.md does not list:%s", row);
        assert_true(strcspn(at + strlen(row), "|") > 20); /* a reason */
    }
    snprintf(start, sizeof(start), "\n| %s | ", suite);
    for (const char *at = section; (at = strstr(at, start)) != NULL; at++)
        found++;
    assert_int_equal(found, count);
    free(page);
}

/* --- a CRL through the streaming reader, in small pieces ---------------------------------------------- */

#define VECTOR_CHUNK 37

/* NULL: refused, *err says why. */
static inline est_crl *read_crl(const uint8_t *der, size_t len, const est_question *question,
                                estuary_error *err)
{
    est_crl_reader *reader = NULL;
    est_crl *crl = NULL;
    STACK_OF(X509) *signers = NULL;
    estuary_status status = est_crl_reader_new(question->certificate, 1 << 20, &reader, err);
    assert_int_equal(status, ESTUARY_OK);
    assert_int_equal(est_crl_signers(question, &signers, err), ESTUARY_OK);
    for (size_t at = 0; status == ESTUARY_OK && at < len; at += VECTOR_CHUNK)
        status =
            est_crl_reader_feed(reader, der + at, len - at < VECTOR_CHUNK ? len - at : VECTOR_CHUNK, err);
    if (status == ESTUARY_OK)
        status = est_crl_reader_final(reader, signers, &crl, err);
    assert_int_equal(status == ESTUARY_OK, crl != NULL);
    sk_X509_pop_free(signers, X509_free);
    est_crl_reader_free(reader);
    return crl;
}

#endif
