/* A CRMF certification request put into the form of a PKCS#10 one. RFC 4211 3, 4, 5 */
#include "cmc.h"

/* RFC 4211 4.1: without a poposkInput the signature is over the CertRequest, which then names subject and
 * key. */
static bool signed_by_its_key(const LAB_CERT_REQ_MSG *message, EVP_PKEY *key)
{
    const LAB_POP_SIGNATURE *pop = message->pop->d.signature;
    return pop->input == NULL && message->request->wanted->subject != NULL &&
           ASN1_item_verify(ASN1_ITEM_rptr(LAB_CERT_REQUEST), pop->algorithm, pop->signature,
                            message->request, key) == 1;
}

static enum cmc_fail proof_fault(const LAB_CERT_REQ_MSG *message, EVP_PKEY *key)
{
    if (message->pop == NULL || message->pop->type != LAB_POP_SIGNED)
        return CMC_POP_REQUIRED;
    return signed_by_its_key(message, key) ? CMC_NO_FAIL : CMC_POP_FAILED;
}

X509_REQ *cmc_crmf_read(const LAB_CERT_REQ_MSG *message, enum cmc_fail *fail)
{
    const LAB_CERT_TEMPLATE *wanted = message->request->wanted;
    EVP_PKEY *key = wanted->key == NULL ? NULL : X509_PUBKEY_get0(wanted->key);
    X509_REQ *csr = NULL;
    *fail = key == NULL ? CMC_BAD_REQUEST : proof_fault(message, key);
    if (*fail != CMC_NO_FAIL)
        return NULL;
    csr = X509_REQ_new();
    if (csr != NULL && X509_REQ_set_subject_name(csr, wanted->subject) == 1 &&
        X509_REQ_set_pubkey(csr, key) == 1 &&
        (sk_X509_EXTENSION_num(wanted->extensions) <= 0 ||
         X509_REQ_add_extensions(csr, wanted->extensions) == 1))
        return csr;
    X509_REQ_free(csr);
    *fail = CMC_INTERNAL_CA_ERROR;
    return NULL;
}
