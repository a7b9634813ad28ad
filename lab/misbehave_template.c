/* Misbehaviours of the request template in csrattrs, and of what RFC 7030's form asks. RFC 9908 3 */
#include "misbehave.h"

#include <openssl/crypto.h>

/* text: the whole CsrAttrs in hexadecimal digits. */
static bool body_hex(struct exchange *ex, struct bytes *der, const struct misbehaviour *row)
{
    long len = 0;
    unsigned char *raw = OPENSSL_hexstr2buf(row->text, &len);
    const bool ok = raw != NULL && bytes_set(der, raw, (size_t)len);
    (void)ex;
    OPENSSL_free(raw);
    return ok;
}

/* Wraps in place. */
static bool wrap(unsigned char tag, struct bytes *content)
{
    struct bytes outer = {0};
    const bool ok = der_wrap(tag, content, &outer);
    bytes_clear(content);
    *content = outer;
    return ok;
}

static bool put_before(const void *data, size_t len, struct bytes *content)
{
    struct bytes both = {0};
    const bool ok = bytes_append(&both, data, len) && bytes_append(&both, content->data, content->len);
    bytes_clear(content);
    *content = both;
    return ok;
}

/* A template whose subject is number times CN=a. */
static bool body_many_rdns(struct exchange *ex, struct bytes *der, const struct misbehaviour *row)
{
    static const unsigned char rdn[] = {0x31, 10, 0x30, 8, 6, 3, 0x55, 4, 3, 12, 1, 'a'};
    static const unsigned char version[] = {2, 1, 0};
    static const unsigned char no_attributes[] = {0xa1, 0};
    static const unsigned char oid[] = {6, 11, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 0x10, 2, 0x3d};
    bool ok = true;
    (void)ex;
    bytes_clear(der);
    for (long i = 0; ok && i < row->number; i++)
        ok = bytes_append(der, rdn, sizeof rdn);
    return ok && wrap(0x30, der) && put_before(version, sizeof version, der) &&
           bytes_append(der, no_attributes, sizeof no_attributes) && wrap(0x30, der) && wrap(0x31, der) &&
           put_before(oid, sizeof oid, der) && wrap(0x30, der) && wrap(0x30, der);
}

static const struct misbehaviour rows[] = {
    {.name = "csrattrs-template-fixed-subject",
     .about = "harmless: a template with O=Estuary Lab and a CN to be filled in",
     .operations = OP_CSRATTRS,
     .body = body_hex,
     .text = "30393037060b2a864886f70d010910023d31283026020100301f31143012060355040a0c0b4573747561"
             "7279204c6162310730050603550403a100"},
    {.name = "csrattrs-template-fixed-extension",
     .about = "harmless: a template with a critical keyUsage of digitalSignature",
     .operations = OP_CSRATTRS,
     .body = body_hex,
     .text = "303b3039060b2a864886f70d010910023d312a3028020100a1233021060b2a864886f70d010910023e31"
             "123010300e0603551d0f0101ff040403020780"},
    {.name = "csrattrs-template-both-forms",
     .about = "harmless: RFC 7030 wants P-521 and RSA, the template beside it only a CN: it alone counts",
     .operations = OP_CSRATTRS,
     .body = body_hex,
     .text = "304206092a864886f70d01010d301206072a8648ce3d0201310706052b810400233021060b2a864886f7"
             "0d010910023d311230100201003009310730050603550403a100"},
    {.name = "csrattrs-template-empty-rdn",
     .about = "csrattrs: a template with a CN and a serialNumber to be filled in",
     .operations = OP_CSRATTRS,
     .body = body_hex,
     .text = "302c302a060b2a864886f70d010910023d311b3019020100301231073005060355040331073005060355"
             "0405a100"},
    {.name = "csrattrs-template-other-subject",
     .about = "csrattrs: a template that fixes CN=somebody-else",
     .operations = OP_CSRATTRS,
     .body = body_hex,
     .text = "30323030060b2a864886f70d010910023d3121301f02010030183116301406035504030c0d736f6d6562"
             "6f64792d656c7365a100"},
    {.name = "csrattrs-template-empty-extension",
     .about = "csrattrs: a template with an extension nobody knows, to be filled in",
     .operations = OP_CSRATTRS,
     .body = body_hex,
     .text = "30383036060b2a864886f70d010910023d31273025020100a120301e060b2a864886f70d010910023e31"
             "0f300d300b06092b0601040181fd5901"},
    {.name = "csrattrs-template-rsa-key",
     .about = "csrattrs: a template that wants an RSA key",
     .operations = OP_CSRATTRS,
     .body = body_hex,
     .text = "30293027060b2a864886f70d010910023d31183016020100a00f300d06092a864886f70d0101010500a1"
             "00"},
    {.name = "csrattrs-template-two",
     .about = "csrattrs: two templates",
     .operations = OP_CSRATTRS,
     .body = body_hex,
     .text = "30463021060b2a864886f70d010910023d311230100201003009310730050603550403a1003021060b2a"
             "864886f70d010910023d31123010020100300931073005060355040aa100"},
    {.name = "csrattrs-template-no-value",
     .about = "csrattrs: a template attribute without a value",
     .operations = OP_CSRATTRS,
     .body = body_hex,
     .text = "3011300f060b2a864886f70d010910023d3100"},
    {.name = "csrattrs-template-two-values",
     .about = "csrattrs: a template attribute with two values",
     .operations = OP_CSRATTRS,
     .body = body_hex,
     .text = "30353033060b2a864886f70d010910023d312430100201003009310730050603550403a1003010020100"
             "300931073005060355040aa100"},
    {.name = "csrattrs-template-garbage",
     .about = "csrattrs: a template that is another SEQUENCE",
     .operations = OP_CSRATTRS,
     .body = body_hex,
     .text = "30233021060b2a864886f70d010910023d31123010040568656c6c6f0c076e6f206e616d65"},
    {.name = "csrattrs-template-version",
     .about = "csrattrs: a template of version 2",
     .operations = OP_CSRATTRS,
     .body = body_hex,
     .text = "30233021060b2a864886f70d010910023d311230100201023009310730050603550403a100"},
    {.name = "csrattrs-template-empty-set",
     .about = "csrattrs: a template with an RDN without attributes",
     .operations = OP_CSRATTRS,
     .body = body_hex,
     .text = "301c301a060b2a864886f70d010910023d310b300902010030023100a100"},
    {.name = "csrattrs-template-not-text",
     .about = "csrattrs: a template whose CN is an OCTET STRING",
     .operations = OP_CSRATTRS,
     .body = body_hex,
     .text = "30273025060b2a864886f70d010910023d31163014020100300d310b30090603550403040200ffa100"},
    {.name = "csrattrs-template-extension-twice",
     .about = "csrattrs: a template with keyUsage twice",
     .operations = OP_CSRATTRS,
     .body = body_hex,
     .text = "304b3049060b2a864886f70d010910023d313a3038020100a1333031060b2a864886f70d010910023e31"
             "223020300e0603551d0f0101ff040403020780300e0603551d0f0101ff040403020780"},
    {.name = "csrattrs-template-extensions-twice",
     .about = "csrattrs: a template with extensionReq and extensionReqTemplate",
     .operations = OP_CSRATTRS,
     .body = body_hex,
     .text = "30533051060b2a864886f70d010910023d31423040020100a13b3018060b2a864886f70d010910023e31"
             "09300730050603551d25301f06092a864886f70d01090e31123010300e0603551d0f0101ff0404030207"
             "80"},
    {.name = "csrattrs-other-curve",
     .about = "csrattrs: a key of P-521 is wanted",
     .operations = OP_CSRATTRS,
     .body = body_hex,
     .text = "3014301206072a8648ce3d0201310706052b81040023"},
    {.name = "csrattrs-weak-signature",
     .about = "csrattrs: a signature with MD5 is wanted",
     .operations = OP_CSRATTRS,
     .body = body_hex,
     .text = "300b06092a864886f70d010104"},
    {.name = "csrattrs-template-many-rdns",
     .about = "csrattrs: a template whose subject has 200 parts",
     .operations = OP_CSRATTRS,
     .body = body_many_rdns,
     .number = 200},
};

const struct misbehave_table misbehave_template = {rows, sizeof rows / sizeof *rows};
