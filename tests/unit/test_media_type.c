/* Content-Type (RFC 9110 8.3.1) and smime-type (RFC 8551 3.2.2). */
#include "support.h"
#include "wire/wire.h"

#define LONG                                                                                                 \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void parses(void **state)
{
    (void)state;
    static const struct {
        const char *value, *type, *smime_type;
    } rows[] = {
        {"application/pkcs7-mime", "application/pkcs7-mime", ""},
        {"Application/PKCS7-Mime", "application/pkcs7-mime", ""},
        {" application/pkcs7-mime ", "application/pkcs7-mime", ""},
        {"application/pkcs7-mime; smime-type=certs-only", "application/pkcs7-mime", "certs-only"},
        {"application/pkcs7-mime;smime-type=CERTS-ONLY", "application/pkcs7-mime", "certs-only"},
        {"application/pkcs7-mime ;\tSMIME-Type=\"certs-only\" ; name=smime.p7c", "application/pkcs7-mime",
         "certs-only"},
        {"application/pkcs7-mime; name=\"a;smime-type=x\"", "application/pkcs7-mime", ""},
        {"application/pkcs7-mime; name=\"a\\\"b\"; smime-type=certs-only", "application/pkcs7-mime",
         "certs-only"},
        {"application/pkcs7-mime;", "application/pkcs7-mime", ""},
        {"application/pkcs7-mime;; smime-type=certs-only;", "application/pkcs7-mime", "certs-only"},
        {"application/pkcs7-mime; boundary=" LONG "; smime-type=certs-only", "application/pkcs7-mime",
         "certs-only"},
        {"application/pkcs7-mime; " LONG "=x", "application/pkcs7-mime", ""},
        {"application/pkcs7-mime; x=\"" LONG LONG "\"", "application/pkcs7-mime", ""},
        /* a value too long to keep must not read as absent */
        {"application/pkcs7-mime; smime-type=certs-onlyaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "application/pkcs7-mime", "certs-onlyaaaaaaaaaaaaaaaaaaaaa"},
        {"text/html; charset=UTF-8", "text/html", ""},
        {"a/b", "a/b", ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        est_media_type media;
        if (!est_media_type_parse(rows[i].value, &media))
            fail_msg("%s is refused", rows[i].value);
        assert_string_equal(media.type, rows[i].type);
        assert_string_equal(media.smime_type, rows[i].smime_type);
    }
}

static void keeps_boundary(void **state)
{
    (void)state;
    static const struct {
        const char *value, *boundary;
    } rows[] = {
        {"multipart/mixed", ""},
        {"multipart/mixed; boundary=abcDEF", "abcDEF"},
        {"multipart/mixed; BOUNDARY=\"a B=c/D\"", "a B=c/D"},
        {"multipart/mixed; boundary=\"a\\\"b\"", "a\"b"},
        {"multipart/mixed; boundary=" LONG,
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        est_media_type media;
        assert_true(est_media_type_parse(rows[i].value, &media));
        assert_string_equal(media.boundary,
                            rows[i].boundary); /* RFC 2046 5.1.1: case counts; 71 is too long */
    }
}

static void refuses(void **state)
{
    (void)state;
    static const char *const rows[] = {"",
                                       " ",
                                       "application",
                                       "application/",
                                       "/pkcs7-mime",
                                       "application /pkcs7-mime",
                                       "application/ pkcs7-mime",
                                       "application/pkcs7-mime smime-type=certs-only",
                                       "application/pkcs7-mime, text/html",
                                       "application/pkcs7-mime; smime-type",
                                       "application/pkcs7-mime; smime-type=",
                                       "application/pkcs7-mime; smime-type =certs-only",
                                       "application/pkcs7-mime; smime-type= certs-only",
                                       "application/pkcs7-mime; smime-type=\"certs-only",
                                       "application/pkcs7-mime; smime-type=\"certs-only\\",
                                       "application/pkcs7-mime; smime-type=\"certs-only\"x",
                                       "application/pkcs7-mime; =x",
                                       "application/pkcs7-mime; x=a b",
                                       "application/pkcs7-mime\r\nX: y",
                                       "application/" LONG,
                                       LONG "/" LONG};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        est_media_type media;
        if (est_media_type_parse(rows[i], &media))
            fail_msg("\"%s\" is accepted", rows[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(keeps_boundary), cmocka_unit_test(parses),
                                       cmocka_unit_test(refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
