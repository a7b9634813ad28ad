/* RFC 2046 5.1: the boundary on the first line, the body after it. */
#include "fuzz.h"
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    estuary_error *err = fuzz_error();
    const uint8_t *line_end = memchr(data, '\n', size);
    size_t len = line_end == NULL ? size : (size_t)(line_end - data);
    const uint8_t *body = line_end == NULL ? data + size : line_end + 1;
    size_t left = (size_t)(data + size - body);
    char *boundary = fuzz_text(data, len);
    uint8_t *copy = malloc(left + 1);
    est_multipart all;
    REQUIRE(copy != NULL);
    memcpy(copy, body, left);
    estuary_status status = est_multipart_parse(copy, left, boundary, &all, err);
    fuzz_check_error(status, err);
    if (status == ESTUARY_OK) {
        REQUIRE(all.count > 0 && all.count <= EST_MULTIPART_PARTS);
        const uint8_t *from = copy;
        for (size_t i = 0; i < all.count; i++) { /* one after the other, inside of the body */
            REQUIRE(all.parts[i].body >= from && all.parts[i].len <= left);
            from = all.parts[i].body + all.parts[i].len;
            REQUIRE(from <= copy + left);
        }
    }
    free(copy);
    free(boundary);
    estuary_error_free(err);
    return 0;
}
