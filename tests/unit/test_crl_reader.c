/* R4, RFC 5280 5: what a CRL may look like, and what is found in it. */
#include "small_crl.h"

#include <openssl/x509v3.h>

typedef struct row {
    const char *what;
    const char *inside; /* of the tbsCertList, in der_text()'s words */
    const char *outcome;
} row;

static made ca, other_ca;
static X509 *wanted; /* serial 1234, issued by "CA" */
static STACK_OF(X509) *signers;

/* "absent", "revoked TIME REASON", "removed", or the error's code. */
static void read_to_text(const small_der *der, size_t step, char *out, size_t size)
{
    estuary_error *err = estuary_error_new();
    est_crl *crl = NULL;
    estuary_status status = small_crl_read(der->bytes, der->len, step, wanted, signers, &crl, err);
    assert_true((status == ESTUARY_OK) == (crl != NULL));
    if (status != ESTUARY_OK)
        snprintf(out, size, "%s", estuary_error_code(err));
    else if (!crl->found)
        snprintf(out, size, "absent");
    else if (crl->removed)
        snprintf(out, size, "removed");
    else
        snprintf(out, size, "revoked %lld %d", (long long)crl->revoked_at, crl->reason);
    if (status != ESTUARY_OK)
        assert_int_equal(status, ESTUARY_E_REVOKED);
    est_crl_free(crl);
    estuary_error_free(err);
}

static void try_rows(const row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        small_der der = small_crl(rows[i].inside, ca.key);
        static const size_t steps[] = {1, 7, 100000};
        for (size_t s = 0; s < COUNT_OF(steps); s++) {
            char outcome[128];
            read_to_text(&der, steps[s], outcome, sizeof(outcome));
            if (strcmp(outcome, rows[i].outcome) != 0)
                fail_msg("%s: %s, not %s", rows[i].what, outcome, rows[i].outcome);
        }
        OPENSSL_free(der.bytes);
    }
}

#define ONE_ENTRY "30{" CRL_ENTRY("01") "}"

/* RFC 5280 5.1.2 */
static void test_the_parts_and_their_order(void **state)
{
    static const row rows[] = {
        {"nothing revoked", CRL_HEAD, "absent"},
        {"no nextUpdate", CRL_V2 CRL_ECDSA CRL_ISSUER CRL_THIS, "absent"},
        {"no nextUpdate, entries", CRL_V2 CRL_ECDSA CRL_ISSUER CRL_THIS ONE_ENTRY, "absent"},
        {"no nextUpdate, extensions",
         CRL_V2 CRL_ECDSA CRL_ISSUER CRL_THIS "a0{30{" CRL_EXT("14", "02:01") "}}", "absent"},
        {"version 1", CRL_ECDSA CRL_ISSUER CRL_THIS CRL_NEXT ONE_ENTRY, "absent"},
        {"version 1 written down", "02:00" CRL_ECDSA CRL_ISSUER CRL_THIS, "crl.malformed"},
        {"version 3", "02:02" CRL_ECDSA CRL_ISSUER CRL_THIS, "crl.malformed"},
        {"version in two bytes", "02:0001" CRL_ECDSA CRL_ISSUER CRL_THIS, "crl.malformed"},
        {"version 1 with extensions", CRL_ECDSA CRL_ISSUER CRL_THIS "a0{30{" CRL_EXT("14", "02:01") "}}",
         "crl.malformed"},
        {"version 1 with entry extensions",
         CRL_ECDSA CRL_ISSUER CRL_THIS "30{" CRL_ENTRY_WITH("01", CRL_REASON("01")) "}", "crl.malformed"},
        {"no algorithm", CRL_V2 "06:2a0304" CRL_ISSUER CRL_THIS, "crl.malformed"},
        {"another algorithm outside", CRL_V2 "30{06:2a8648ce3d040303}" CRL_ISSUER CRL_THIS, "crl.malformed"},
        {"parameters with ECDSA", CRL_V2 "30{06:2a8648ce3d040302 05:}" CRL_ISSUER CRL_THIS, "crl.malformed"},
        {"nameless issuer", CRL_V2 CRL_ECDSA "30{}" CRL_THIS, "crl.malformed"},
        {"issuer that is no name", CRL_V2 CRL_ECDSA "30{02:01}" CRL_THIS, "crl.malformed"},
        {"issuer missing", CRL_V2 CRL_ECDSA CRL_THIS CRL_NEXT, "crl.malformed"},
        {"thisUpdate missing", CRL_V2 CRL_ECDSA CRL_ISSUER, "crl.malformed"},
        {"three times", CRL_HEAD CRL_NEXT, "crl.malformed"},
        {"empty revokedCertificates", CRL_HEAD "30{}", "crl.malformed"},
        {"two lists of entries", CRL_HEAD ONE_ENTRY ONE_ENTRY, "crl.malformed"},
        {"something behind the entries", CRL_HEAD ONE_ENTRY "02:01", "crl.malformed"},
        {"two sets of extensions",
         CRL_HEAD "a0{30{" CRL_EXT("14", "02:01") "}} a0{30{" CRL_EXT("14", "02:01") "}}", "crl.malformed"},
        {"something behind the extensions",
         CRL_HEAD "a0{30{" CRL_EXT("14", "02:01") "}} 05:", "crl.malformed"},
        {"nothing at all", "", "crl.malformed"},
        {"a tag of two bytes", CRL_HEAD "bf{1f:00}", "crl.malformed"},
    };
    (void)state;
    try_rows(rows, COUNT_OF(rows));
}

/* RFC 5280 5.1.2.4, 4.1.2.5.1, 4.1.2.5.2 */
static void test_times(void **state)
{
    static const row rows[] = {
        {"GeneralizedTime", CRL_V2 CRL_ECDSA CRL_ISSUER "18\"20250101000000Z\"", "absent"},
        {"GeneralizedTime after 2050", CRL_V2 CRL_ECDSA CRL_ISSUER CRL_THIS "18\"20991231235959Z\"",
         "absent"},
        {"no seconds", CRL_V2 CRL_ECDSA CRL_ISSUER "17\"2501010000Z\"", "crl.malformed"},
        {"an offset", CRL_V2 CRL_ECDSA CRL_ISSUER "17\"250101000000+0000\"", "crl.malformed"},
        {"no Z", CRL_V2 CRL_ECDSA CRL_ISSUER "17\"2501010000000\"", "crl.malformed"},
        {"fractions", CRL_V2 CRL_ECDSA CRL_ISSUER "18\"20250101000000.5Z\"", "crl.malformed"},
        {"letters", CRL_V2 CRL_ECDSA CRL_ISSUER "17\"25010100000:Z\"", "crl.malformed"},
        {"month 13", CRL_V2 CRL_ECDSA CRL_ISSUER "17\"251301000000Z\"", "crl.malformed"},
        {"month 0", CRL_V2 CRL_ECDSA CRL_ISSUER "17\"250001000000Z\"", "crl.malformed"},
        {"day 0", CRL_V2 CRL_ECDSA CRL_ISSUER "17\"250100000000Z\"", "crl.malformed"},
        {"31 April", CRL_V2 CRL_ECDSA CRL_ISSUER "17\"250431000000Z\"", "crl.malformed"},
        {"29 February", CRL_V2 CRL_ECDSA CRL_ISSUER "17\"240229000000Z\"", "absent"},
        {"29 February 2025", CRL_V2 CRL_ECDSA CRL_ISSUER "17\"250229000000Z\"", "crl.malformed"},
        {"29 February 2100", CRL_V2 CRL_ECDSA CRL_ISSUER CRL_THIS "18\"21000229000000Z\"", "crl.malformed"},
        {"hour 24", CRL_V2 CRL_ECDSA CRL_ISSUER "17\"250101240000Z\"", "crl.malformed"},
        {"minute 60", CRL_V2 CRL_ECDSA CRL_ISSUER "17\"250101006000Z\"", "crl.malformed"},
        {"second 60", CRL_V2 CRL_ECDSA CRL_ISSUER "17\"250101000060Z\"", "crl.malformed"},
        {"of an entry: 1970", CRL_HEAD "30{30{02:1234 17\"700101000000Z\"}}", "revoked 0 -1"},
        {"of an entry: 2049", CRL_HEAD "30{30{02:1234 17\"491231235959Z\"}}", "revoked 2524607999 -1"},
        {"of an entry: 1950", CRL_HEAD "30{30{02:1234 17\"500301000000Z\"}}", "revoked -626054400 -1"},
        {"of an entry: 9999", CRL_HEAD "30{30{02:1234 18\"99991231235959Z\"}}", "revoked 253402300799 -1"},
        {"of an entry: broken", CRL_HEAD "30{30{02:01 17\"240230000000Z\"}}", "crl.malformed"},
        {"of an entry: none", CRL_HEAD "30{30{02:01}}", "crl.malformed"},
        {"of an entry: no time", CRL_HEAD "30{30{02:01 0c\"240229000000Z\"}}", "crl.malformed"},
    };
    (void)state;
    try_rows(rows, COUNT_OF(rows));
}

static void test_times_are_told(void **state)
{
    (void)state;
    estuary_error *err = estuary_error_new();
    est_crl *crl = NULL;
    small_der der =
        small_crl(CRL_V2 CRL_ECDSA CRL_ISSUER "18\"20250101000001Z\" 17\"490101000000Z\"", ca.key);
    assert_ok(small_crl_read(der.bytes, der.len, der.len, wanted, signers, &crl, err), err);
    assert_int_equal(crl->this_update, 1735689601);
    assert_int_equal(crl->next_update, 2493072000);
    assert_int_equal(crl->entries, 0);
    assert_int_equal(crl->bytes, der.len);
    assert_ptr_equal(crl->signer, ca.cert);
    assert_int_equal(X509_NAME_cmp(crl->issuer, X509_get_subject_name(ca.cert)), 0);
    assert_false(crl->indirect || crl->found || crl->removed);
    assert_null(crl->idp);
    assert_null(crl->akid);
    assert_null(crl->number);
    assert_null(crl->base_number);
    assert_null(crl->freshest);
    est_crl_free(crl);
    OPENSSL_free(der.bytes);
    estuary_error_free(err);
}

#define LIST(entries) CRL_HEAD "30{" entries "}"
#define FILLER        CRL_ENTRY("01") CRL_ENTRY("00ff") CRL_ENTRY("0123456789abcdef")

/* RFC 5280 5.1.2.6, 5.3 */
static void test_entries(void **state)
{
    static const row rows[] = {
        {"first", LIST(CRL_ENTRY("1234") FILLER), "revoked 1709251199 -1"},
        {"last", LIST(FILLER CRL_ENTRY("1234")), "revoked 1709251199 -1"},
        {"between", LIST(FILLER CRL_ENTRY("1234") FILLER), "revoked 1709251199 -1"},
        {"absent", LIST(FILLER), "absent"},
        {"longer", LIST(CRL_ENTRY("123400") CRL_ENTRY("011234")), "absent"},
        {"with a zero in front", LIST(CRL_ENTRY("001234")), "crl.malformed"},
        {"twice: the first counts",
         LIST(CRL_ENTRY_WITH("1234", CRL_REASON("01")) "30{02:1234 17\"250101000000Z\"}"),
         "revoked 1709251199 1"},
        {"zero and negative serials", LIST(CRL_ENTRY("00") CRL_ENTRY("ff") CRL_ENTRY("80") CRL_ENTRY("1234")),
         "revoked 1709251199 -1"},
        {"padded negative", LIST(CRL_ENTRY("ff80")), "crl.malformed"},
        {"no serial", LIST("30{02:" CRL_DATE "}"), "crl.malformed"},
        {"64 bytes",
         LIST(CRL_ENTRY("0102030405060708091011121314151617181920212223242526272829303132"
                        "0102030405060708091011121314151617181920212223242526272829303132")),
         "absent"},
        {"65 bytes",
         LIST(CRL_ENTRY("0102030405060708091011121314151617181920212223242526272829303132"
                        "010203040506070809101112131415161718192021222324252627282930313233")),
         "crl.malformed"},
        {"an OCTET STRING", LIST("30{04:1234" CRL_DATE "}"), "crl.malformed"},
        {"not a SEQUENCE", LIST("31{02:1234" CRL_DATE "}"), "crl.malformed"},
        {"an entry is a number", LIST(CRL_ENTRY("01") "02:01"), "crl.malformed"},
        {"nothing inside", LIST("30{}"), "crl.malformed"},
        {"something behind the date", LIST("30{02:01" CRL_DATE "05:}"), "crl.malformed"},
        {"something behind the extensions", LIST("30{02:01" CRL_DATE "30{" CRL_REASON("01") "} 05:}"),
         "crl.malformed"},
        {"no extensions in them", LIST("30{02:01" CRL_DATE "30{}}"), "crl.malformed"},
    };
    (void)state;
    try_rows(rows, COUNT_OF(rows));
}

#define WITH(exts) LIST(CRL_ENTRY_WITH("1234", exts))

/* RFC 5280 5.3.1, 5.3.2 */
static void test_entry_extensions(void **state)
{
    static const row rows[] = {
        {"unspecified", WITH(CRL_REASON("00")), "revoked 1709251199 0"},
        {"keyCompromise", WITH(CRL_REASON("01")), "revoked 1709251199 1"},
        {"certificateHold", WITH(CRL_REASON("06")), "revoked 1709251199 6"},
        {"aACompromise", WITH(CRL_REASON("0a")), "revoked 1709251199 10"},
        {"critical reason", WITH(CRL_CRITICAL("15", "0a:04")), "revoked 1709251199 4"},
        {"7 is not used", WITH(CRL_REASON("07")), "crl.malformed"},
        {"11 is not either", WITH(CRL_REASON("0b")), "crl.malformed"},
        {"two bytes", WITH(CRL_REASON("0001")), "crl.malformed"},
        {"a number", WITH(CRL_EXT("15", "02:01")), "crl.malformed"},
        {"something behind it", WITH(CRL_EXT("15", "0a:01 05:")), "crl.malformed"},
        {"two reasons", WITH(CRL_REASON("01") CRL_REASON("01")), "crl.malformed"},
        {"removeFromCRL in a complete CRL", WITH(CRL_REASON("08")), "crl.malformed"},
        {"invalidityDate", WITH(CRL_REASON("03") CRL_EXT("18", "18\"20240101000000Z\"")),
         "revoked 1709251199 3"},
        {"invalidityDate as UTCTime", WITH(CRL_EXT("18", "17\"240101000000Z\"")), "crl.malformed"},
        {"broken invalidityDate", WITH(CRL_EXT("18", "18\"20240001000000Z\"")), "crl.malformed"},
        {"two invalidityDates",
         WITH(CRL_EXT("18", "18\"20240101000000Z\"") CRL_EXT("18", "18\"20240101000000Z\"")),
         "crl.malformed"},
        {"holdInstructionCode", WITH(CRL_REASON("06") CRL_EXT("17", "06:2a8648ce380201")),
         "revoked 1709251199 6"},
        {"broken holdInstructionCode", WITH(CRL_EXT("17", "05:")), "crl.malformed"},
        {"unknown", WITH("30{06:2a0304 04:ff}"), "revoked 1709251199 -1"},
        {"unknown twice", WITH("30{06:2a0304 04:ff} 30{06:2a0304 04:ff}"), "crl.malformed"},
        {"unknown and critical", WITH("30{06:2a0304 01:ff 04:ff}"), "crl.critical-extension"},
        {"unknown and critical in another entry",
         LIST(CRL_ENTRY("1234") CRL_ENTRY_WITH("01", "30{06:2a0304 01:ff 04:ff}")), "crl.critical-extension"},
        {"FALSE written down", WITH("30{06:2a0304 01:00 04:ff}"), "crl.malformed"},
        {"TRUE that is not ff", WITH("30{06:2a0304 01:01 04:ff}"), "crl.malformed"},
        {"no value", WITH("30{06:2a0304}"), "crl.malformed"},
        {"no OID", WITH("30{04:ff}"), "crl.malformed"},
        {"an OID cut short", WITH("30{06:2a0384 04:ff}"), "crl.malformed"},
        {"a padded OID", WITH("30{06:2a8004 04:ff}"), "crl.malformed"},
        {"an empty OID", WITH("30{06: 04:ff}"), "crl.malformed"},
        {"value and more", WITH("30{06:2a0304 04:ff 05:}"), "crl.malformed"},
        {"17 of them",
         WITH(
             "30{06:2a01 04:} 30{06:2a02 04:} 30{06:2a03 04:} 30{06:2a04 04:} 30{06:2a05 04:} 30{06:2a06 04:}"
             "30{06:2a07 04:} 30{06:2a08 04:} 30{06:2a09 04:} 30{06:2a0a 04:} 30{06:2a0b 04:} 30{06:2a0c 04:}"
             "30{06:2a0d 04:} 30{06:2a0e 04:} 30{06:2a0f 04:} 30{06:2a10 04:} 30{06:2a11 04:}"),
         "crl.malformed"},
    };
    (void)state;
    try_rows(rows, COUNT_OF(rows));
}

#define EXTENSIONS(exts) "a0{30{" exts "}}"
#define DELTA            EXTENSIONS(CRL_EXT("14", "02:05") CRL_CRITICAL("1b", "02:03"))

/* RFC 5280 5.2.4, 5.3.1: removeFromCRL. Whoever says revoked wins. */
static void test_delta(void **state)
{
    static const row rows[] = {
        {"absent", LIST(FILLER) DELTA, "absent"},
        {"removed", WITH(CRL_REASON("08")) DELTA, "removed"},
        {"removed twice",
         LIST(CRL_ENTRY_WITH("1234", CRL_REASON("08")) CRL_ENTRY_WITH("1234", CRL_REASON("08"))) DELTA,
         "removed"},
        {"removed and revoked",
         LIST(CRL_ENTRY_WITH("1234", CRL_REASON("08")) CRL_ENTRY_WITH("1234", CRL_REASON("04"))) DELTA,
         "revoked 1709251199 4"},
        {"revoked and removed",
         LIST(CRL_ENTRY_WITH("1234", CRL_REASON("04")) CRL_ENTRY_WITH("1234", CRL_REASON("08"))) DELTA,
         "revoked 1709251199 4"},
        {"another is removed", LIST(CRL_ENTRY_WITH("01", CRL_REASON("08"))) DELTA, "absent"},
    };
    (void)state;
    try_rows(rows, COUNT_OF(rows));
}

#define INDIRECT            EXTENSIONS(CRL_CRITICAL("1c", "30{84:ff}"))
#define OF(name)            CRL_CRITICAL("1d", "30{a4{" name "}}")
#define OF_OTHER            OF(CRL_NAME("Other"))
#define ENTRY_OF(hex, name) CRL_ENTRY_WITH(hex, OF(CRL_NAME(name)))

/* RFC 5280 5.3.3: valid until another one is named */
static void test_certificate_issuer(void **state)
{
    static const row rows[] = {
        {"the CRL issuer's without one", LIST(CRL_ENTRY("1234")) INDIRECT, "revoked 1709251199 -1"},
        {"another's", LIST(ENTRY_OF("1234", "Other")) INDIRECT, "absent"},
        {"still another's", LIST(ENTRY_OF("01", "Other") CRL_ENTRY("1234")) INDIRECT, "absent"},
        {"back again",
         LIST(ENTRY_OF("01", "Other") CRL_ENTRY("02") ENTRY_OF("03", "CA") CRL_ENTRY("1234")) INDIRECT,
         "revoked 1709251199 -1"},
        {"both have the serial", LIST(ENTRY_OF("1234", "Other") ENTRY_OF("1234", "CA")) INDIRECT,
         "revoked 1709251199 -1"},
        {"repeated", LIST(ENTRY_OF("01", "Other") ENTRY_OF("02", "Other") CRL_ENTRY("1234")) INDIRECT,
         "absent"},
        {"written in another way",
         LIST(ENTRY_OF("01", "Other") CRL_ENTRY_WITH(
             "1234", CRL_CRITICAL("1d", "30{a4{30{31{30{06:550403 13\"  ca \"}}}}}"))) INDIRECT,
         "revoked 1709251199 -1"},
        {"several names",
         LIST(CRL_ENTRY_WITH("1234", CRL_CRITICAL("1d", "30{82\"ca.example\" a4{" CRL_NAME(
                                                            "Other") "} a4{" CRL_NAME("CA") "}}"))) INDIRECT,
         "revoked 1709251199 -1"},
        {"no directoryName", LIST(CRL_ENTRY_WITH("01", CRL_CRITICAL("1d", "30{82\"ca.example\"}"))) INDIRECT,
         "crl.malformed"},
        {"no names", LIST(CRL_ENTRY_WITH("01", CRL_CRITICAL("1d", "30{}"))) INDIRECT, "crl.malformed"},
        {"broken", LIST(CRL_ENTRY_WITH("01", CRL_CRITICAL("1d", "30{a4{02:01}}"))) INDIRECT, "crl.malformed"},
        {"more behind",
         LIST(CRL_ENTRY_WITH("01", CRL_CRITICAL("1d", "30{a4{" CRL_NAME("CA") "}} 05:"))) INDIRECT,
         "crl.malformed"},
        {"two", LIST(CRL_ENTRY_WITH("01", OF_OTHER OF_OTHER)) INDIRECT, "crl.malformed"},
        {"not an indirect CRL", LIST(ENTRY_OF("01", "Other")), "crl.malformed"},
        {"not even the own name", LIST(ENTRY_OF("1234", "CA")), "crl.malformed"},
    };
    (void)state;
    try_rows(rows, COUNT_OF(rows));
}

/* RFC 5280 5.2 */
static void test_crl_extensions(void **state)
{
    static const row rows[] = {
        {"number", CRL_HEAD EXTENSIONS(CRL_EXT("14", "02:01")), "absent"},
        {"critical number", CRL_HEAD EXTENSIONS(CRL_CRITICAL("14", "02:01")), "absent"},
        {"negative number", CRL_HEAD EXTENSIONS(CRL_EXT("14", "02:ff")), "crl.malformed"},
        {"21 bytes", CRL_HEAD EXTENSIONS(CRL_EXT("14", "02:010203040506070809101112131415161718192021")),
         "crl.malformed"},
        {"more behind the number", CRL_HEAD EXTENSIONS(CRL_EXT("14", "02:01 05:")), "crl.malformed"},
        {"number is none", CRL_HEAD EXTENSIONS(CRL_EXT("14", "04:01")), "crl.malformed"},
        {"two numbers", CRL_HEAD EXTENSIONS(CRL_EXT("14", "02:01") CRL_EXT("14", "02:01")), "crl.malformed"},
        {"padded number", CRL_HEAD EXTENSIONS(CRL_EXT("14", "02:0001")), "crl.malformed"},
        {"broken delta", CRL_HEAD EXTENSIONS(CRL_CRITICAL("1b", "02:ff")), "crl.malformed"},
        {"authority key identifier", CRL_HEAD EXTENSIONS(CRL_EXT("23", "30{80:0102}")), "absent"},
        {"broken authority key identifier", CRL_HEAD EXTENSIONS(CRL_EXT("23", "30{8f:0102}")),
         "crl.malformed"},
        {"freshestCRL", CRL_HEAD EXTENSIONS(CRL_EXT("2e", "30{30{a0{a0{86\"http://a/\"}}}}")), "absent"},
        {"critical freshestCRL", CRL_HEAD EXTENSIONS(CRL_CRITICAL("2e", "30{30{a0{a0{86\"http://a/\"}}}}")),
         "crl.malformed"},
        {"broken freshestCRL", CRL_HEAD EXTENSIONS(CRL_EXT("2e", "05:")), "crl.malformed"},
        {"issuerAltName", CRL_HEAD EXTENSIONS(CRL_EXT("12", "30{82\"ca\"}")), "absent"},
        {"critical issuerAltName", CRL_HEAD EXTENSIONS(CRL_CRITICAL("12", "30{82\"ca\"}")),
         "crl.critical-extension"},
        {"unknown", CRL_HEAD EXTENSIONS("30{06:2a0304 04:ff}"), "absent"},
        {"unknown twice", CRL_HEAD EXTENSIONS("30{06:2a0304 04:ff} 30{06:2a0304 04:ff}"), "crl.malformed"},
        {"unknown and critical", CRL_HEAD EXTENSIONS("30{06:2a0304 01:ff 04:ff}"), "crl.critical-extension"},
        {"FALSE written down", CRL_HEAD EXTENSIONS("30{06:2a0304 01:00 04:ff}"), "crl.malformed"},
        {"none in it", CRL_HEAD "a0{30{}}", "crl.malformed"},
        {"not explicit", CRL_HEAD "a0{" CRL_EXT("14", "02:01") "}", "crl.malformed"},
        {"more in [0]", CRL_HEAD "a0{30{" CRL_EXT("14", "02:01") "} 05:}", "crl.malformed"},
    };
    (void)state;
    try_rows(rows, COUNT_OF(rows));
}

#define IDP(text) CRL_HEAD EXTENSIONS(CRL_CRITICAL("1c", "30{" text "}"))

/* RFC 5280 5.2.5 */
static void test_issuing_distribution_point(void **state)
{
    static const row rows[] = {
        {"a URI", IDP("a0{a0{86\"http://a/\"}}"), "absent"},
        {"user certificates", IDP("81:ff"), "absent"},
        {"CA certificates", IDP("82:ff"), "absent"},
        {"attribute certificates", IDP("85:ff"), "absent"},
        {"some reasons", IDP("83:0102"), "absent"},
        {"indirect", IDP("84:ff"), "absent"},
        {"empty", IDP(""), "crl.malformed"},
        {"users and CAs", IDP("81:ff 82:ff"), "crl.malformed"},
        {"CAs and attributes", IDP("82:ff 85:ff"), "crl.malformed"},
        {"FALSE written down", IDP("81:00"), "crl.malformed"},
        {"two choices in a name", IDP("a0{a0{86\"http://a/\"} a1{30{06:550403 0c\"a\"}}}"), "crl.malformed"},
        {"unknown member", IDP("86:ff"), "crl.malformed"},
    };
    (void)state;
    try_rows(rows, COUNT_OF(rows));
}

static void test_what_a_crl_says_of_itself(void **state)
{
    (void)state;
    estuary_error *err = estuary_error_new();
    est_crl *crl = NULL;
    small_der der = small_crl(LIST(FILLER) EXTENSIONS(CRL_EXT("14", "02:05") CRL_CRITICAL("1b", "02:03")
                                                          CRL_EXT("23", "30{80:0102}")
                                                              CRL_EXT("2e", "30{30{a0{a0{86\"http://a/\"}}}}")
                                                                  CRL_CRITICAL("1c", "30{82:ff 84:ff}")),
                              ca.key);
    assert_ok(small_crl_read(der.bytes, der.len, 5, wanted, signers, &crl, err), err);
    assert_int_equal(ASN1_INTEGER_get(crl->number), 5);
    assert_int_equal(ASN1_INTEGER_get(crl->base_number), 3);
    assert_int_equal(ASN1_STRING_length(crl->akid->keyid), 2);
    assert_int_equal(sk_DIST_POINT_num(crl->freshest), 1);
    assert_true(crl->indirect);
    assert_int_equal(crl->idp->onlyCA, 0xff);
    assert_int_equal(crl->entries, 3);
    est_crl_free(crl);
    OPENSSL_free(der.bytes);
    estuary_error_free(err);
}

typedef struct told {
    const small_der *der;
    size_t count;
    estuary_status answer;
} told;

static estuary_status on_entry(void *arg, const est_crl_entry *entry, estuary_error *err)
{
    static const char *const serials[] = {"\x01", "\x12\x34", "\x00\xff"};
    static const size_t lens[] = {1, 2, 2};
    static const int reasons[] = {-1, 5, -1};
    told *t = arg;
    est_crl_entry again;
    assert_true(t->count < COUNT_OF(lens));
    assert_int_equal(entry->serial_len, lens[t->count]);
    assert_memory_equal(entry->serial, serials[t->count], lens[t->count]);
    assert_int_equal(entry->reason, reasons[t->count]);
    assert_int_equal(entry->revoked_at, 1709251199);
    assert_true((entry->issuer != NULL) == (t->count == 2));
    if (entry->issuer != NULL) {
        const uint8_t *at = entry->issuer;
        X509_NAME *name = d2i_X509_NAME(NULL, &at, (long)entry->issuer_len);
        assert_int_equal(X509_NAME_cmp(name, X509_get_subject_name(other_ca.cert)), 0);
        X509_NAME_free(name);
    }
    /* as an index would find it again */
    assert_true(est_crl_entry_parse(t->der->bytes + entry->offset, t->der->len - entry->offset, &again));
    assert_int_equal(again.len, entry->len);
    assert_int_equal(again.serial_len, entry->serial_len);
    assert_memory_equal(again.serial, entry->serial, entry->serial_len);
    assert_int_equal(again.reason, entry->reason);
    assert_int_equal(again.revoked_at, entry->revoked_at);
    for (size_t len = 0; len < entry->len; len++)
        assert_false(est_crl_entry_parse(t->der->bytes + entry->offset, len, &again));
    t->count++;
    return t->answer == ESTUARY_OK ? ESTUARY_OK : est_fail(err, EST_CRL_TOO_LARGE, NULL);
}

static void test_every_entry_is_told(void **state)
{
    (void)state;
    estuary_error *err = estuary_error_new();
    small_der der = small_crl(LIST(CRL_ENTRY("01") CRL_ENTRY_WITH("1234", CRL_REASON("05"))
                                       CRL_ENTRY_WITH("00ff", OF_OTHER)) INDIRECT,
                              ca.key);
    for (size_t step = 1; step < 40; step += 3) {
        told t = {.der = &der};
        est_crl *crl = NULL;
        est_crl_reader *reader = NULL;
        assert_ok(est_crl_reader_new(NULL, SMALL_CRL_MAX, &reader, err), err);
        est_crl_reader_on_entry(reader, on_entry, &t);
        for (size_t at = 0; at < der.len; at += step)
            assert_ok(
                est_crl_reader_feed(reader, der.bytes + at, der.len - at < step ? der.len - at : step, err),
                err);
        assert_ok(est_crl_reader_final(reader, signers, &crl, err), err);
        assert_int_equal(t.count, 3);
        assert_false(crl->found); /* nobody was wanted */
        est_crl_free(crl);
        est_crl_reader_free(reader);
    }
    OPENSSL_free(der.bytes);
    estuary_error_free(err);
}

static void test_whoever_is_told_may_end_it(void **state)
{
    (void)state;
    estuary_error *err = estuary_error_new();
    small_der der = small_crl(LIST(FILLER), ca.key);
    told t = {.der = &der, .answer = ESTUARY_E_REVOKED};
    est_crl *crl = NULL;
    est_crl_reader *reader = NULL;
    assert_ok(est_crl_reader_new(NULL, SMALL_CRL_MAX, &reader, err), err);
    est_crl_reader_on_entry(reader, on_entry, &t);
    assert_failed(est_crl_reader_feed(reader, der.bytes, der.len, err), err, "crl.too-large");
    assert_int_equal(t.count, 1);
    assert_failed(est_crl_reader_feed(reader, der.bytes, 1, err), err, "crl.too-large");
    assert_failed(est_crl_reader_final(reader, signers, &crl, err), err, "crl.too-large");
    assert_null(crl);
    est_crl_reader_free(reader);
    OPENSSL_free(der.bytes);
    estuary_error_free(err);
}

/* Nothing but the whole of it will do. */
static void test_every_cut_and_every_tail(void **state)
{
    (void)state;
    estuary_error *err = estuary_error_new();
    small_der der = small_crl(
        LIST(FILLER CRL_ENTRY_WITH("1234", CRL_REASON("05"))) EXTENSIONS(CRL_EXT("14", "02:05")), ca.key);
    est_crl *crl = NULL;
    for (size_t len = 0; len < der.len; len++)
        for (size_t step = 1; step <= 64; step *= 8)
            assert_failed(small_crl_read(der.bytes, len, step, wanted, signers, &crl, err), err,
                          "crl.truncated");
    der.bytes[der.len] = 0; /* small_crl() leaves room */
    assert_failed(small_crl_read(der.bytes, der.len + 1, 1, wanted, signers, &crl, err), err,
                  "crl.malformed");
    assert_failed(small_crl_read(der.bytes, der.len + 1, 1000, wanted, signers, &crl, err), err,
                  "crl.malformed");
    OPENSSL_free(der.bytes);
    estuary_error_free(err);
}

/* Any changed byte is refused, and not by accident of the chunk's size. */
static void test_every_changed_byte(void **state)
{
    (void)state;
    char outcome[128];
    small_der der = small_crl(
        LIST(FILLER CRL_ENTRY_WITH("1234", CRL_REASON("05"))) EXTENSIONS(CRL_EXT("14", "02:05")), ca.key);
    for (size_t at = 0; at < der.len; at++) {
        der.bytes[at] ^= 0x01;
        read_to_text(&der, 1 + at % 50, outcome, sizeof(outcome));
        assert_memory_equal(outcome, "crl.", 4);
        der.bytes[at] ^= 0x01;
    }
    read_to_text(&der, der.len, outcome, sizeof(outcome));
    assert_string_equal(outcome, "revoked 1709251199 5");
    OPENSSL_free(der.bytes);
}

/* X.690 10.1: definite, minimal lengths; what claims more than there may be is refused at once. */
static void test_lengths(void **state)
{
    static const struct {
        const char *hex;
        const char *code;
    } rows[] = {
        {"3080", "crl.malformed"},         /* indefinite */
        {"30810a300002", "crl.malformed"}, /* 10 in two bytes */
        {"3082007f", "crl.malformed"},     /* 127 in three */
        {"30ff", "crl.malformed"},         /* reserved */
        {"308700000000000001", "crl.malformed"},
        {"3084ffffffff", "crl.too-large"},     /* 4 GiB of a list that may have 1 MiB */
        {"3086ffffffffffff", "crl.too-large"}, /* 256 TiB */
        {"300a300b", "crl.malformed"},         /* the tbsCertList is longer than the list */
        {"30823000 30822000 02020001", "crl.malformed"},
        {"30830f0000 30830e0000 30822000", "crl.malformed"}, /* an algorithm of 8 KiB */
    };
    (void)state;
    estuary_error *err = estuary_error_new();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t bytes[64];
        size_t len = 0;
        for (const char *at = rows[i].hex; *at != '\0';) {
            at += strspn(at, " ");
            bytes[len++] = (uint8_t)der_text_hex(&at);
        }
        est_crl *crl = NULL;
        for (size_t step = 1; step < 10; step += 8)
            assert_failed(small_crl_read(bytes, len, step, NULL, NULL, &crl, err), err, rows[i].code);
    }
    estuary_error_free(err);
}

static void test_size_limit(void **state)
{
    (void)state;
    estuary_error *err = estuary_error_new();
    small_der der = small_crl(LIST(FILLER), ca.key);
    est_crl_reader *reader = NULL;
    assert_ok(est_crl_reader_new(NULL, der.len, &reader, err), err);
    assert_ok(est_crl_reader_feed(reader, der.bytes, der.len, err), err);
    est_crl_reader_free(reader);
    assert_ok(est_crl_reader_new(NULL, der.len - 1, &reader, err), err);
    assert_failed(est_crl_reader_feed(reader, der.bytes, der.len, err), err, "crl.too-large");
    est_crl_reader_free(reader);
    assert_ok(est_crl_reader_new(NULL, der.len - 1, &reader, err), err);
    assert_failed(est_crl_reader_feed(reader, der.bytes, 4, err), err,
                  "crl.too-large"); /* it says so itself */
    est_crl_reader_free(reader);
    OPENSSL_free(der.bytes);
    estuary_error_free(err);
}

static void test_it_ends_once(void **state)
{
    (void)state;
    estuary_error *err = estuary_error_new();
    small_der der = small_crl(LIST(FILLER), ca.key);
    est_crl_reader *reader = NULL;
    est_crl *crl = NULL;
    assert_ok(est_crl_reader_new(NULL, SMALL_CRL_MAX, &reader, err), err);
    assert_ok(est_crl_reader_feed(reader, der.bytes, der.len, err), err);
    assert_ok(est_crl_reader_feed(reader, der.bytes, 0, err), err); /* nothing is nothing */
    assert_ok(est_crl_reader_final(reader, signers, &crl, err), err);
    est_crl_free(crl);
    assert_failed(est_crl_reader_final(reader, signers, &crl, err), err, "usage.argument"); /* once only */
    est_crl_reader_free(reader);
    est_crl_reader_free(NULL);
    est_crl_free(NULL);
    OPENSSL_free(der.bytes);
    estuary_error_free(err);
}

/* A certificate of another CA with the same serial is not this CRL's matter. */
static void test_another_issuers_certificate(void **state)
{
    (void)state;
    estuary_error *err = estuary_error_new();
    made stranger = make_cert(&(recipe){.cn = "leaf", .issuer = &other_ca});
    est_crl *crl = NULL;
    small_der der = small_crl(LIST(CRL_ENTRY("1234")), ca.key);
    assert_ok(small_crl_read(der.bytes, der.len, 9, stranger.cert, signers, &crl, err), err);
    assert_false(crl->found);
    est_crl_free(crl);
    OPENSSL_free(der.bytes);
    der = small_crl(LIST(ENTRY_OF("1234", "Other")) INDIRECT, ca.key);
    assert_ok(small_crl_read(der.bytes, der.len, 9, stranger.cert, signers, &crl, err), err);
    assert_true(crl->found);
    est_crl_free(crl);
    OPENSSL_free(der.bytes);
    free_made(&stranger);
    estuary_error_free(err);
}

static int set_up(void **state)
{
    (void)state;
    ca = make_ca("CA", NULL);
    other_ca = make_ca("Other", NULL);
    made leaf = make_cert(&(recipe){.cn = "leaf", .issuer = &ca});
    wanted = leaf.cert;
    EVP_PKEY_free(leaf.key);
    signers = make_stack(other_ca.cert, ca.cert, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sk_X509_pop_free(signers, X509_free);
    X509_free(wanted);
    free_made(&ca);
    free_made(&other_ca);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_parts_and_their_order),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_times_are_told),
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_entry_extensions),
        cmocka_unit_test(test_delta),
        cmocka_unit_test(test_certificate_issuer),
        cmocka_unit_test(test_crl_extensions),
        cmocka_unit_test(test_issuing_distribution_point),
        cmocka_unit_test(test_what_a_crl_says_of_itself),
        cmocka_unit_test(test_every_entry_is_told),
        cmocka_unit_test(test_whoever_is_told_may_end_it),
        cmocka_unit_test(test_every_cut_and_every_tail),
        cmocka_unit_test(test_every_changed_byte),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_size_limit),
        cmocka_unit_test(test_it_ends_once),
        cmocka_unit_test(test_another_issuers_certificate),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
