/* RFC 2046 5.1, and what a serverkeygen answer may look like (RFC 7030 4.4.2, E9). */
#include "support.h"
#include "wire/wire.h"

#define A "Content-Type: application/pkcs8\r\n\r\nAAAA\r\n"
#define B "Content-Type: application/pkcs7-mime; smime-type=certs-only\r\n\r\nBBBB\r\n"

static estuary_status parse(const char *text, const char *boundary, est_multipart *out, estuary_error *err)
{
    return est_multipart_parse((const uint8_t *)text, strlen(text), boundary, out, err);
}

static void assert_part(const est_part *part, const char *type, const char *body)
{
    assert_string_equal(part->type.type, type);
    assert_int_equal(part->len, strlen(body));
    assert_memory_equal(part->body, body, part->len);
}

static void two_parts(void **state)
{
    (void)state;
    static const struct {
        const char *text, *boundary;
    } rows[] = {
        {"--x\r\n" A "--x\r\n" B "--x--\r\n", "x"},
        {"--x\r\n" A "--x\r\n" B "--x--", "x"},
        /* preamble and epilogue, which are passed over; a line that only begins like the boundary */
        {"This is a message.\r\n--xy\r\n\r\n--x\r\n" A "--x\r\n" B "--x--\r\n--x\r\nmore", "x"},
        /* transport padding */
        {"--x \t\r\n" A "--x  \r\n" B "--x--  \r\n", "x"},
        {"--a b=c'()+_,-./:?\r\n" A "--a b=c'()+_,-./:?\r\n" B "--a b=c'()+_,-./:?--\r\n",
         "a b=c'()+_,-./:?"},
        {"----\r\n" A "----\r\n" B "------\r\n", "--"},
        /* folded, in another order, in other letters, with a comment */
        {"--x\r\ncontent-TRANSFER-encoding: BASE64 (of DER)\r\nCONTENT-type:\r\n "
         "application/pkcs8;\r\n\tname=k\r\n"
         "X-Other: 1\r\n\r\nAAAA\r\n--x\r\n" B "--x--\r\n",
         "x"},
        {"--x\r\nContent-Transfer-Encoding: 8bit\r\n" A "--x\r\nContent-Transfer-Encoding: binary\r\n" B
         "--x--\r\n",
         "x"},
        /* LF alone */
        {"--x\nContent-Type: application/pkcs8\n\nAAAA\n--x\nContent-Type: "
         "application/pkcs7-mime\n\nBBBB\n--x--\n",
         "x"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        est_multipart all;
        estuary_error *err = estuary_error_new();
        assert_ok(parse(rows[i].text, rows[i].boundary, &all, err), err);
        assert_int_equal(all.count, 2);
        assert_part(&all.parts[0], "application/pkcs8", "AAAA");
        assert_part(&all.parts[1], "application/pkcs7-mime", "BBBB");
        estuary_error_free(err);
    }
}

static void other_shapes(void **state)
{
    (void)state;
    est_multipart all;
    /* neither header nor body: RFC 2046 5.1 allows both */
    assert_int_equal(parse("--x\r\n\r\n--x--", "x", &all, NULL), ESTUARY_OK);
    assert_int_equal(all.count, 1);
    assert_part(&all.parts[0], "", "");
    /* only the last line end belongs to the delimiter */
    assert_int_equal(parse("--x\r\n\r\n\r\na\r\n\r\n--x--", "x", &all, NULL), ESTUARY_OK);
    assert_part(&all.parts[0], "", "\r\na\r\n");
    assert_int_equal(parse("--x\n\n--y--\n--x--", "x", &all, NULL), ESTUARY_OK);
    assert_part(&all.parts[0], "", "--y--");
    /* the longest boundary */
    char text[400], boundary[71];
    memset(boundary, 'b', 70);
    boundary[70] = '\0';
    snprintf(text, sizeof(text), "--%s\n\nA\n--%s--", boundary, boundary);
    assert_int_equal(parse(text, boundary, &all, NULL), ESTUARY_OK);
    assert_part(&all.parts[0], "", "A");
}

#define P    "--x\r\n\r\nA\r\n"
#define LINE "X: 3456789012345678901234567890\r\n"

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *boundary, *code;
    } rows[] = {
        {P "--x--", "", "protocol.multipart-boundary"},
        {P "--x--", "x ", "protocol.multipart-boundary"},
        {P "--x--", "x\"", "protocol.multipart-boundary"},
        {P "--x--", "x\n", "protocol.multipart-boundary"},
        {P "--x--", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
         "protocol.multipart-boundary"},
        {"", "x", "protocol.multipart-empty"},
        {P "--x--", "X", "protocol.multipart-empty"}, /* case counts */
        {P "--x--", "xx", "protocol.multipart-empty"},
        {"--x--\r\n", "x", "protocol.multipart-empty"},
        {"--x", "x", "protocol.multipart-end"},
        {"--x\r\n", "x", "protocol.multipart-end"},
        {"--x\r\nContent-Type: a/b", "x", "protocol.multipart-end"},
        {P, "x", "protocol.multipart-end"},
        {P "--x\r\n\r\nB\r\n--x-", "x", "protocol.multipart-end"},
        {P "--x--x\r\n", "x", "protocol.multipart-end"},
        {P P P P P "--x--", "x", "protocol.multipart-parts"},
        {"--x\r\nContent-Type: a/b\r\n--x--", "x", "protocol.multipart-header"},
        {"--x\r\n folded\r\n\r\n--x--", "x", "protocol.multipart-header"},
        {"--x\r\nno colon\r\n\r\n--x--", "x", "protocol.multipart-header"},
        {"--x\r\n: nameless\r\n\r\n--x--", "x", "protocol.multipart-header"},
        {"--x\r\nX: \x01\r\n\r\n--x--", "x", "protocol.multipart-header"},
        {"--x\r\nX: \xc3\xa4\r\n\r\n--x--", "x", "protocol.multipart-header"},
        {"--x\r\nContent-Type: a/b\r\ncontent-type: a/b\r\n\r\n--x--", "x", "protocol.multipart-header"},
        {"--x\r\nContent-Type: nonsense\r\n\r\n--x--", "x", "protocol.multipart-header"},
        {"--x\r\n" LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE
             LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE "\r\n--x--",
         "x", "protocol.multipart-header-size"},
        {"--x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n--x--", "x",
         "protocol.multipart-encoding"},
        {"--x\r\nContent-Transfer-Encoding: base64x\r\n\r\n--x--", "x", "protocol.multipart-encoding"},
        {"--x\r\nContent-Transfer-Encoding: " LINE "\r\n--x--", "x", "protocol.multipart-encoding"},
    };
    estuary_error *err = estuary_error_new();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        est_multipart all;
        estuary_error_clear(err);
        assert_failed(parse(rows[i].text, rows[i].boundary, &all, err), err, rows[i].code);
    }
    estuary_error_free(err);
}

static void long_header(void **state)
{
    (void)state;
    est_multipart all;
    estuary_error *err = estuary_error_new();
    char text[5000] = "--x\r\nX: ";
    size_t used = strlen(text);
    memset(text + used, 'y', 4096);
    memcpy(text + used + 4096, "\r\n\r\n--x--", 10);
    assert_failed(parse(text, "x", &all, err), err, "protocol.multipart-header-size");
    /* a NUL byte is text like any other to memory, and no header */
    static const char nul[] = "--x\r\nX: a\0b\r\n\r\n--x--";
    assert_failed(est_multipart_parse((const uint8_t *)nul, sizeof(nul) - 1, "x", &all, err), err,
                  "protocol.multipart-header");
    estuary_error_free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_parts),
        cmocka_unit_test(other_shapes),
        cmocka_unit_test(refused),
        cmocka_unit_test(long_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
