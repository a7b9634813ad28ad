/* A renewal may ask for other names: ChangeSubjectName. RFC 7030 4.2.2, RFC 6402 2.8
 *
 *     ChangeSubjectName ::= SEQUENCE { subject Name OPTIONAL, subjectAlt GeneralNames OPTIONAL }
 *
 * Both are SEQUENCEs without a tag of their own; only a Name's elements are SETs. */
#include "lab.h"

#include <openssl/x509v3.h>

static const char oid_text[] = "1.3.6.1.5.5.7.7.36"; /* id-cmc-changeSubjectName */

static ASN1_TYPE *find_value(const X509_REQ *csr)
{
    ASN1_OBJECT *oid = OBJ_txt2obj(oid_text, 1);
    const int at = oid == NULL ? -1 : X509_REQ_get_attr_by_OBJ(csr, oid, -1);
    ASN1_OBJECT_free(oid);
    return at < 0 ? NULL : X509_ATTRIBUTE_get0_type(X509_REQ_get_attr(csr, at), 0);
}

static bool starts_a_name(const ASN1_TYPE *element)
{
    const ASN1_STRING *s = element->type == V_ASN1_SEQUENCE ? element->value.sequence : NULL;
    const unsigned char *p = s == NULL ? NULL : ASN1_STRING_get0_data(s);
    const unsigned char *content = p;
    long len = 0;
    int tag = 0;
    int class = 0;
    if (p == NULL || (ASN1_get_object(&content, &len, &tag, &class, ASN1_STRING_length(s)) & 0x80) != 0)
        return false;
    return len == 0 || *content == (V_ASN1_SET | V_ASN1_CONSTRUCTED);
}

static bool take_name(struct mint *m, const ASN1_TYPE *element)
{
    const unsigned char *p = ASN1_STRING_get0_data(element->value.sequence);
    m->own_subject = d2i_X509_NAME(NULL, &p, ASN1_STRING_length(element->value.sequence));
    m->subject = m->own_subject;
    return m->subject != NULL;
}

static bool take_alternatives(struct mint *m, const ASN1_TYPE *element)
{
    const ASN1_STRING *s = element->type == V_ASN1_SEQUENCE ? element->value.sequence : NULL;
    const unsigned char *p = s == NULL ? NULL : ASN1_STRING_get0_data(s);
    GENERAL_NAMES *names = p == NULL ? NULL : d2i_GENERAL_NAMES(NULL, &p, ASN1_STRING_length(s));
    const int critical = X509_NAME_entry_count(m->subject) == 0; /* RFC 5280 4.2.1.6 */
    bool ok = false;
    if (names != NULL) {
        mint_drop_extension(m, NID_subject_alt_name);
        ok = mint_add_extension(m, X509V3_EXT_i2d(NID_subject_alt_name, critical, names));
    }
    GENERAL_NAMES_free(names);
    return ok;
}

bool change_subject(struct mint *m, const X509_REQ *csr)
{
    const ASN1_TYPE *value = find_value(csr);
    const unsigned char *p = NULL;
    ASN1_SEQUENCE_ANY *elements = NULL;
    bool ok = false;
    int next = 0;
    if (value == NULL)
        return true;
    if (value->type != V_ASN1_SEQUENCE)
        return false;
    p = ASN1_STRING_get0_data(value->value.sequence);
    elements = d2i_ASN1_SEQUENCE_ANY(NULL, &p, ASN1_STRING_length(value->value.sequence));
    if (sk_ASN1_TYPE_num(elements) < 1)
        goto cleanup;
    ok = true;
    if (starts_a_name(sk_ASN1_TYPE_value(elements, 0)))
        ok = take_name(m, sk_ASN1_TYPE_value(elements, next++));
    if (ok && next < sk_ASN1_TYPE_num(elements))
        ok = take_alternatives(m, sk_ASN1_TYPE_value(elements, next++));
    ok = ok && next == sk_ASN1_TYPE_num(elements);
cleanup:
    sk_ASN1_TYPE_pop_free(elements, ASN1_TYPE_free);
    return ok;
}
