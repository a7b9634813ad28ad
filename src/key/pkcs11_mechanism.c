#include "key/pkcs11.h"

static const struct {
    const char *digest, *other;
    CK_MECHANISM_TYPE hash;
    CK_RSA_PKCS_MGF_TYPE mgf;
} table[] = {
    {"SHA1", "SHA-1", CKM_SHA_1, CKG_MGF1_SHA1},         {"SHA2-224", "SHA224", CKM_SHA224, CKG_MGF1_SHA224},
    {"SHA2-256", "SHA256", CKM_SHA256, CKG_MGF1_SHA256}, {"SHA2-384", "SHA384", CKM_SHA384, CKG_MGF1_SHA384},
    {"SHA2-512", "SHA512", CKM_SHA512, CKG_MGF1_SHA512},
};

bool est_p11_hash(const char *digest, CK_MECHANISM_TYPE *hash, CK_RSA_PKCS_MGF_TYPE *mgf)
{
    for (size_t i = 0; digest != NULL && i < sizeof(table) / sizeof(table[0]); i++) {
        if (est_text_equal_nocase(digest, table[i].digest) || est_text_equal_nocase(digest, table[i].other)) {
            *hash = table[i].hash;
            *mgf = table[i].mgf;
            return true;
        }
    }
    return false;
}
