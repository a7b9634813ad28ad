/* The lab's own templates of CMC and CRMF. RFC 5272 A, RFC 4211 B */
#include "cmc.h"

ASN1_SEQUENCE(LAB_CONTROL) =
    {
        ASN1_SIMPLE(LAB_CONTROL, id, ASN1_INTEGER),
        ASN1_SIMPLE(LAB_CONTROL, type, ASN1_OBJECT),
        ASN1_SET_OF(LAB_CONTROL, values, ASN1_ANY),
} ASN1_SEQUENCE_END(LAB_CONTROL)

    /* A Name is a CHOICE and therefore tagged explicitly. */
    ASN1_SEQUENCE(LAB_CERT_TEMPLATE) =
        {
            ASN1_IMP_OPT(LAB_CERT_TEMPLATE, version, ASN1_INTEGER, 0),
            ASN1_IMP_OPT(LAB_CERT_TEMPLATE, serial, ASN1_INTEGER, 1),
            ASN1_IMP_OPT(LAB_CERT_TEMPLATE, signing, X509_ALGOR, 2),
            ASN1_EXP_OPT(LAB_CERT_TEMPLATE, issuer, X509_NAME, 3),
            ASN1_IMP_OPT(LAB_CERT_TEMPLATE, validity, ASN1_SEQUENCE, 4),
            ASN1_EXP_OPT(LAB_CERT_TEMPLATE, subject, X509_NAME, 5),
            ASN1_IMP_OPT(LAB_CERT_TEMPLATE, key, X509_PUBKEY, 6),
            ASN1_IMP_OPT(LAB_CERT_TEMPLATE, issuer_uid, ASN1_BIT_STRING, 7),
            ASN1_IMP_OPT(LAB_CERT_TEMPLATE, subject_uid, ASN1_BIT_STRING, 8),
            ASN1_IMP_SEQUENCE_OF_OPT(LAB_CERT_TEMPLATE, extensions, X509_EXTENSION, 9),
} static_ASN1_SEQUENCE_END(LAB_CERT_TEMPLATE)

            ASN1_SEQUENCE(LAB_CERT_REQUEST) =
                {
                    ASN1_SIMPLE(LAB_CERT_REQUEST, id, ASN1_INTEGER),
                    ASN1_SIMPLE(LAB_CERT_REQUEST, wanted, LAB_CERT_TEMPLATE),
                    ASN1_SEQUENCE_OF_OPT(LAB_CERT_REQUEST, controls, ASN1_ANY),
} ASN1_SEQUENCE_END(LAB_CERT_REQUEST)

                    ASN1_SEQUENCE(LAB_POP_SIGNATURE) =
                        {
                            ASN1_IMP_OPT(LAB_POP_SIGNATURE, input, ASN1_SEQUENCE, 0),
                            ASN1_SIMPLE(LAB_POP_SIGNATURE, algorithm, X509_ALGOR),
                            ASN1_SIMPLE(LAB_POP_SIGNATURE, signature, ASN1_BIT_STRING),
} static_ASN1_SEQUENCE_END(LAB_POP_SIGNATURE)

                            ASN1_CHOICE(LAB_POP) =
                                {
                                    ASN1_IMP(LAB_POP, d.ra_verified, ASN1_NULL, 0),
                                    ASN1_IMP(LAB_POP, d.signature, LAB_POP_SIGNATURE, 1),
                                    ASN1_EXP(LAB_POP, d.other, ASN1_ANY, 2),
                                    ASN1_EXP(LAB_POP, d.other, ASN1_ANY, 3),
} static_ASN1_CHOICE_END(LAB_POP)

                                    ASN1_SEQUENCE(LAB_CERT_REQ_MSG) =
                                        {
                                            ASN1_SIMPLE(LAB_CERT_REQ_MSG, request, LAB_CERT_REQUEST),
                                            ASN1_OPT(LAB_CERT_REQ_MSG, pop, LAB_POP),
                                            ASN1_SEQUENCE_OF_OPT(LAB_CERT_REQ_MSG, info, ASN1_ANY),
} static_ASN1_SEQUENCE_END(LAB_CERT_REQ_MSG)

                                            ASN1_SEQUENCE(LAB_TAGGED_PKCS10) =
                                                {
                                                    ASN1_SIMPLE(LAB_TAGGED_PKCS10, id, ASN1_INTEGER),
                                                    ASN1_SIMPLE(LAB_TAGGED_PKCS10, csr, X509_REQ),
} static_ASN1_SEQUENCE_END(LAB_TAGGED_PKCS10)

                                                    ASN1_CHOICE(LAB_TAGGED_REQUEST) =
                                                        {
                                                            ASN1_IMP(LAB_TAGGED_REQUEST, d.pkcs10,
                                                                     LAB_TAGGED_PKCS10, 0),
                                                            ASN1_IMP(LAB_TAGGED_REQUEST, d.crmf,
                                                                     LAB_CERT_REQ_MSG, 1),
                                                            ASN1_IMP(LAB_TAGGED_REQUEST, d.other,
                                                                     ASN1_SEQUENCE, 2),
} static_ASN1_CHOICE_END(LAB_TAGGED_REQUEST)

                                                            ASN1_SEQUENCE(LAB_PKI_DATA) =
                                                                {
                                                                    ASN1_SEQUENCE_OF(LAB_PKI_DATA, controls,
                                                                                     LAB_CONTROL),
                                                                    ASN1_SEQUENCE_OF(LAB_PKI_DATA, requests,
                                                                                     LAB_TAGGED_REQUEST),
                                                                    ASN1_SEQUENCE_OF(LAB_PKI_DATA, cms,
                                                                                     ASN1_ANY),
                                                                    ASN1_SEQUENCE_OF(LAB_PKI_DATA, others,
                                                                                     ASN1_ANY),
} ASN1_SEQUENCE_END(LAB_PKI_DATA)

                                                                    ASN1_SEQUENCE(LAB_PKI_RESPONSE) =
                                                                        {
                                                                            ASN1_SEQUENCE_OF(LAB_PKI_RESPONSE,
                                                                                             controls,
                                                                                             LAB_CONTROL),
                                                                            ASN1_SEQUENCE_OF(LAB_PKI_RESPONSE,
                                                                                             cms, ASN1_ANY),
                                                                            ASN1_SEQUENCE_OF(LAB_PKI_RESPONSE,
                                                                                             others,
                                                                                             ASN1_ANY),
} ASN1_SEQUENCE_END(LAB_PKI_RESPONSE)

                                                                            ASN1_SEQUENCE(
                                                                                LAB_IDENTITY_PROOF) =
                                                                                {
                                                                                    ASN1_SIMPLE(
                                                                                        LAB_IDENTITY_PROOF,
                                                                                        hash, X509_ALGOR),
                                                                                    ASN1_SIMPLE(
                                                                                        LAB_IDENTITY_PROOF,
                                                                                        mac, X509_ALGOR),
                                                                                    ASN1_SIMPLE(
                                                                                        LAB_IDENTITY_PROOF,
                                                                                        witness,
                                                                                        ASN1_OCTET_STRING),
} ASN1_SEQUENCE_END(LAB_IDENTITY_PROOF)

                                                                                    ASN1_SEQUENCE(
                                                                                        LAB_PEND_INFO) =
                                                                                        {
                                                                                            ASN1_SIMPLE(
                                                                                                LAB_PEND_INFO,
                                                                                                token,
                                                                                                ASN1_OCTET_STRING),
                                                                                            ASN1_SIMPLE(
                                                                                                LAB_PEND_INFO,
                                                                                                time,
                                                                                                ASN1_GENERALIZEDTIME),
} ASN1_SEQUENCE_END(LAB_PEND_INFO)

                                                                                            ASN1_CHOICE(
                                                                                                LAB_OTHER_INFO) =
                                                                                                {
                                                                                                    ASN1_SIMPLE(
                                                                                                        LAB_OTHER_INFO,
                                                                                                        d.fail,
                                                                                                        ASN1_INTEGER),
                                                                                                    ASN1_SIMPLE(
                                                                                                        LAB_OTHER_INFO,
                                                                                                        d.pending,
                                                                                                        LAB_PEND_INFO),
} ASN1_CHOICE_END(LAB_OTHER_INFO)

                                                                                                    ASN1_SEQUENCE(
                                                                                                        LAB_STATUS_INFO) =
                                                                                                        {
                                                                                                            ASN1_SIMPLE(
                                                                                                                LAB_STATUS_INFO,
                                                                                                                status,
                                                                                                                ASN1_INTEGER),
                                                                                                            ASN1_SEQUENCE_OF(
                                                                                                                LAB_STATUS_INFO,
                                                                                                                body,
                                                                                                                ASN1_INTEGER),
                                                                                                            ASN1_OPT(
                                                                                                                LAB_STATUS_INFO,
                                                                                                                text,
                                                                                                                ASN1_UTF8STRING),
                                                                                                            ASN1_OPT(
                                                                                                                LAB_STATUS_INFO,
                                                                                                                other,
                                                                                                                LAB_OTHER_INFO),
} ASN1_SEQUENCE_END(LAB_STATUS_INFO)

                                                                                                            ASN1_SEQUENCE(
                                                                                                                LAB_TRUST_ANCHORS) =
                                                                                                                {
                                                                                                                    ASN1_SIMPLE(
                                                                                                                        LAB_TRUST_ANCHORS,
                                                                                                                        sequence,
                                                                                                                        ASN1_INTEGER),
                                                                                                                    ASN1_SIMPLE(
                                                                                                                        LAB_TRUST_ANCHORS,
                                                                                                                        hash,
                                                                                                                        X509_ALGOR),
                                                                                                                    ASN1_SEQUENCE_OF(
                                                                                                                        LAB_TRUST_ANCHORS,
                                                                                                                        hashes,
                                                                                                                        ASN1_OCTET_STRING),
} ASN1_SEQUENCE_END(LAB_TRUST_ANCHORS)

                                                                                                                    IMPLEMENT_ASN1_FUNCTIONS(
                                                                                                                        LAB_CONTROL) IMPLEMENT_ASN1_FUNCTIONS(LAB_CERT_REQUEST)
                                                                                                                        IMPLEMENT_ASN1_FUNCTIONS(
                                                                                                                            LAB_PKI_DATA)
                                                                                                                            IMPLEMENT_ASN1_FUNCTIONS(
                                                                                                                                LAB_PKI_RESPONSE)
                                                                                                                                IMPLEMENT_ASN1_FUNCTIONS(
                                                                                                                                    LAB_IDENTITY_PROOF)
                                                                                                                                    IMPLEMENT_ASN1_FUNCTIONS(
                                                                                                                                        LAB_STATUS_INFO)
                                                                                                                                        IMPLEMENT_ASN1_FUNCTIONS(
                                                                                                                                            LAB_PEND_INFO)
                                                                                                                                            IMPLEMENT_ASN1_FUNCTIONS(
                                                                                                                                                LAB_OTHER_INFO)
                                                                                                                                                IMPLEMENT_ASN1_FUNCTIONS(
                                                                                                                                                    LAB_TRUST_ANCHORS)
