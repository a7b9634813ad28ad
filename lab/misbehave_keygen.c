/* Misbehaviours of a server-generated key and its CMS. RFC 7030 4.4.2, RFC 5958, RFC 5652 */
#include "key_package.h"
#include "misbehave.h"

#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <string.h>

static EVP_PKEY *stranger_like(EVP_PKEY *key)
{
    return new_key(EVP_PKEY_is_a(key, "RSA") == 1 ? "rsa" : "ec");
}

/* ---- how it is protected ---- */

static bool package_plain(struct exchange *ex, struct key_package *p, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    p->how.protection = KEY_PLAIN;
    return true;
}

static bool random_secret(struct key_package *p, size_t len)
{
    unsigned char raw[32];
    return RAND_bytes(raw, sizeof raw) == 1 && bytes_set(&p->how.secret, raw, len);
}

/* Somebody else's key of the same kind; text: their identifier on the wire, NULL: the one asked for. */
static bool package_stranger(struct exchange *ex, struct key_package *p, const struct misbehaviour *row)
{
    EVP_PKEY *other = stranger_like(p->recipient);
    (void)ex;
    EVP_PKEY_free(p->recipient);
    p->recipient = other;
    return other != NULL && random_secret(p, p->how.secret.len == 16 ? 16 : 32) &&
           (row->text == NULL || bytes_set(&p->how.id, row->text, strlen(row->text)));
}

/* The right key under another name. */
static bool package_other_id(struct exchange *ex, struct key_package *p, const struct misbehaviour *row)
{
    (void)ex;
    return bytes_set(&p->how.id, row->text, strlen(row->text));
}

/* Encrypted, but by another method than the one asked for (or unasked): number is the method. */
static bool package_method(struct exchange *ex, struct key_package *p, const struct misbehaviour *row)
{
    (void)ex;
    p->how.protection = (enum key_protection)row->number;
    return random_secret(p, 32) && bytes_set(&p->how.id, row->text, strlen(row->text));
}

static bool package_second(struct exchange *ex, struct key_package *p, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    p->second = stranger_like(p->recipient);
    return p->second != NULL;
}

static bool package_cipher(struct exchange *ex, struct key_package *p, const struct misbehaviour *row)
{
    (void)ex;
    p->how.cipher = EVP_get_cipherbyname(row->text);
    return p->how.cipher != NULL;
}

static bool package_bad_tag(struct exchange *ex, struct key_package *p, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    p->how.cipher = EVP_aes_256_gcm();
    p->spoil_end = true;
    return true;
}

static bool package_bad_padding(struct exchange *ex, struct key_package *p, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    p->how.cipher = EVP_aes_256_cbc();
    p->spoil_end = true;
    return true;
}

static bool package_cut(struct exchange *ex, struct key_package *p, const struct misbehaviour *row)
{
    (void)ex;
    p->cut = (size_t)row->number;
    return true;
}

static bool package_indefinite(struct exchange *ex, struct key_package *p, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    p->indefinite = true;
    return true;
}

/* ---- what is inside ---- */

static bool package_inside(struct exchange *ex, struct key_package *p, const struct misbehaviour *row)
{
    (void)ex;
    p->inside = (enum key_inside)row->number;
    return true;
}

static bool package_wrong_key(struct exchange *ex, struct key_package *p, const struct misbehaviour *row)
{
    EVP_PKEY *other = stranger_like(p->key);
    (void)ex;
    (void)row;
    EVP_PKEY_free(p->key);
    p->key = other;
    return other != NULL;
}

static bool package_copies(struct exchange *ex, struct key_package *p, const struct misbehaviour *row)
{
    (void)ex;
    p->copies = (int)row->number;
    return true;
}

static bool package_garbage(struct exchange *ex, struct key_package *p, const struct misbehaviour *row)
{
    (void)ex;
    return bytes_set(&p->raw, row->text, strlen(row->text));
}

static bool package_traditional(struct exchange *ex, struct key_package *p, const struct misbehaviour *row)
{
    unsigned char *der = NULL;
    const int len = i2d_PrivateKey(p->key, &der);
    const bool ok = len > 0 && bytes_set(&p->raw, der, (size_t)len);
    (void)ex;
    (void)row;
    OPENSSL_clear_free(der, len > 0 ? (size_t)len : 0);
    return ok;
}

static bool set_from_bio(struct bytes *out, BIO *bio)
{
    char *data = NULL;
    const long len = BIO_get_mem_data(bio, &data);
    return len > 0 && bytes_set(out, data, (size_t)len);
}

/* EncryptedPrivateKeyInfo, which application/pkcs8 does not mean. RFC 7030 4.4.2 */
static bool package_encrypted_pkcs8(struct exchange *ex, struct key_package *p,
                                    const struct misbehaviour *row)
{
    BIO *bio = BIO_new(BIO_s_mem());
    const bool ok = bio != NULL &&
                    i2d_PKCS8PrivateKey_bio(bio, p->key, EVP_aes_256_cbc(), row->text, (int)strlen(row->text),
                                            NULL, NULL) == 1 &&
                    set_from_bio(&p->raw, bio);
    (void)ex;
    BIO_free(bio);
    return ok;
}

static bool package_pem(struct exchange *ex, struct key_package *p, const struct misbehaviour *row)
{
    BIO *bio = BIO_new(BIO_s_mem());
    const bool ok = bio != NULL &&
                    PEM_write_bio_PKCS8PrivateKey(bio, p->key, NULL, NULL, 0, NULL, NULL) == 1 &&
                    set_from_bio(&p->raw, bio);
    (void)ex;
    (void)row;
    BIO_free(bio);
    return ok;
}

/* Before the certificate is made, so that key and certificate fit. */
static bool hold_weak(struct exchange *ex, const struct misbehaviour *row)
{
    ex->key = EVP_RSA_gen((unsigned)row->number);
    ex->misbehaved = row->name;
    return false;
}

/* ---- who signed ---- */

static bool package_signature(struct exchange *ex, struct key_package *p, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    p->spoil_signature = true;
    return true;
}

static bool package_no_signer(struct exchange *ex, struct key_package *p, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    p->no_signer = true;
    return true;
}

static bool package_bare_signer(struct exchange *ex, struct key_package *p, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    p->no_certificates = true;
    return true;
}

static bool package_rogue(struct exchange *ex, struct key_package *p, const struct misbehaviour *row)
{
    EVP_PKEY *key = NULL;
    X509 *root = rogue_root(row->text, time(NULL) + LAB_YEAR - LAB_DAY, &key);
    (void)ex;
    return key_package_take_signer(p, root, key);
}

/* The TLS server's certificate: a registration authority by id-kp-cmcRA. */
static bool package_server(struct exchange *ex, struct key_package *p, const struct misbehaviour *row)
{
    const struct ca *ca = &ex->lab->ca;
    (void)row;
    return X509_up_ref(ca->server) == 1 && EVP_PKEY_up_ref(ca->server_key) == 1 &&
           key_package_take_signer(p, ca->server, ca->server_key);
}

/* An end entity of this CA, text: its extended key usage; number: when it ends, from now. */
static bool package_leaf(struct exchange *ex, struct key_package *p, const struct misbehaviour *row)
{
    const time_t now = time(NULL);
    EVP_PKEY *key = new_key("ec");
    const struct mint m = {
        .cn = "another-device",
        .key = key,
        .issuer = ex->lab->ca.issuing,
        .signer = ex->lab->ca.issuing_key,
        .not_before = now - 2 * LAB_DAY,
        .not_after = now + row->number,
        .basic = "critical,CA:FALSE",
        .key_usage = "critical,digitalSignature",
        .eku = row->text,
    };
    return key_package_take_signer(p, key == NULL ? NULL : mint_certificate(&m), key);
}

static bool package_digest(struct exchange *ex, struct key_package *p, const struct misbehaviour *row)
{
    (void)ex;
    (void)row;
    p->digest = EVP_sha1();
    return true;
}

static bool package_type(struct exchange *ex, struct key_package *p, const struct misbehaviour *row)
{
    (void)ex;
    p->content_type = (int)row->number;
    return true;
}

#define KEYGEN .operations = OP_SERVERKEYGEN

static const struct misbehaviour rows[] = {
    {.name = "keygen-plain", .about = "the private key comes plain", KEYGEN, .package = package_plain},
    {.name = "keygen-stranger",
     .about = "the private key is encrypted to somebody else's key",
     KEYGEN,
     .package = package_stranger,
     .text = "somebody else's key"},
    {.name = "keygen-stranger-same-id",
     .about = "the private key is encrypted to somebody else's key under our identifier",
     KEYGEN,
     .package = package_stranger},
    {.name = "keygen-other-id",
     .about = "the private key is encrypted to the right key under another identifier",
     KEYGEN,
     .package = package_other_id,
     .text = "another identifier"},
    {.name = "keygen-other-method-kek",
     .about = "the private key is encrypted with a shared key (kekri) that nobody asked for",
     KEYGEN,
     .package = package_method,
     .number = KEY_KEK,
     .text = "some shared key"},
    {.name = "keygen-other-method-password",
     .about = "the private key is encrypted with a password (pwri) that nobody asked for",
     KEYGEN,
     .package = package_method,
     .number = KEY_PASSWORD,
     .text = "some password"},
    {.name = "keygen-other-method-recipient",
     .about = "the private key is encrypted to the request's public key though nobody asked for that",
     KEYGEN,
     .package = package_method,
     .number = KEY_RECIPIENT,
     .text = "the request's key"},
    {.name = "keygen-two-recipients",
     .about = "the private key is encrypted to somebody else's key as well",
     KEYGEN,
     .package = package_second},
    {.name = "keygen-weak-cipher",
     .about = "the private key is encrypted with Triple-DES",
     KEYGEN,
     .package = package_cipher,
     .text = "des-ede3-cbc"},
    {.name = "keygen-unasked-cipher",
     .about = "the private key is encrypted with Camellia, which is in nobody's SMIMECapabilities",
     KEYGEN,
     .package = package_cipher,
     .text = "camellia-256-cbc"},
    {.name = "keygen-bad-tag",
     .about = "the AuthEnvelopedData's tag is damaged",
     KEYGEN,
     .package = package_bad_tag},
    {.name = "keygen-bad-padding",
     .about = "the EnvelopedData's last octet is damaged",
     KEYGEN,
     .package = package_bad_padding},
    {.name = "keygen-truncated",
     .about = "the private key's CMS or PKCS#8 lacks its last 20 octets",
     KEYGEN,
     .package = package_cut,
     .number = 20},
    {.name = "keygen-indefinite",
     .about = "harmless: the private key's CMS in BER with indefinite lengths",
     KEYGEN,
     .package = package_indefinite},
    {.name = "keygen-content-info",
     .about = "harmless: the encrypted SignedData stands in a ContentInfo",
     KEYGEN,
     .package = package_inside,
     .number = INSIDE_CONTENT_INFO},
    {.name = "keygen-unsigned",
     .about = "an AsymmetricKeyPackage without SignedData is encrypted",
     KEYGEN,
     .package = package_inside,
     .number = INSIDE_UNSIGNED},
    {.name = "keygen-inside-pkcs8",
     .about = "a bare PrivateKeyInfo is encrypted",
     KEYGEN,
     .package = package_inside,
     .number = INSIDE_PKCS8},
    {.name = "keygen-wrong-key",
     .about = "the private key is not the certificate's",
     KEYGEN,
     .package = package_wrong_key},
    {.name = "keygen-two-keys",
     .about = "the AsymmetricKeyPackage holds two keys",
     KEYGEN,
     .package = package_copies,
     .number = 2},
    {.name = "keygen-no-key",
     .about = "the AsymmetricKeyPackage holds no key",
     KEYGEN,
     .package = package_copies,
     .number = 0},
    {.name = "keygen-garbage",
     .about = "bytes that are no PrivateKeyInfo where the private key should be",
     KEYGEN,
     .package = package_garbage,
     .text = "this is no private key"},
    {.name = "keygen-traditional",
     .about = "RSAPrivateKey or ECPrivateKey where PKCS#8 should be",
     KEYGEN,
     .package = package_traditional},
    {.name = "keygen-encrypted-pkcs8",
     .about = "an EncryptedPrivateKeyInfo where PrivateKeyInfo should be",
     KEYGEN,
     .package = package_encrypted_pkcs8,
     .text = "a password nobody knows"},
    {.name = "keygen-pem",
     .about = "the private key is PEM within the base64",
     KEYGEN,
     .package = package_pem},
    {.name = "keygen-weak-key",
     .about = "the server makes an RSA key of 1024 bits",
     KEYGEN,
     .hold = hold_weak,
     .number = 1024},
    {.name = "keygen-bad-signature",
     .about = "the inner SignedData's signature is spoilt",
     KEYGEN,
     .package = package_signature},
    {.name = "keygen-no-signer",
     .about = "the inner SignedData has no signer",
     KEYGEN,
     .package = package_no_signer},
    {.name = "keygen-no-signer-certificate",
     .about = "harmless: to a client that knows the issuing CA; the inner SignedData lacks its certificate",
     KEYGEN,
     .package = package_bare_signer},
    {.name = "keygen-stranger-signer",
     .about = "the inner SignedData is signed by a CA nobody knows",
     KEYGEN,
     .package = package_rogue,
     .text = "Somebody's CA"},
    {.name = "keygen-server-signer",
     .about = "harmless: the inner SignedData is signed by the TLS server's certificate, id-kp-cmcRA",
     KEYGEN,
     .package = package_server},
    {.name = "keygen-device-signer",
     .about = "the inner SignedData is signed by another end entity of this CA, no authority",
     KEYGEN,
     .package = package_leaf,
     .number = LAB_YEAR,
     .text = "clientAuth"},
    {.name = "keygen-expired-signer",
     .about = "the inner SignedData is signed by a registration authority that expired yesterday",
     KEYGEN,
     .package = package_leaf,
     .number = -LAB_DAY,
     .text = "1.3.6.1.5.5.7.3.28"},
    {.name = "keygen-sha1-signature",
     .about = "the inner SignedData is signed with SHA-1",
     KEYGEN,
     .package = package_digest},
    {.name = "keygen-content-type",
     .about = "the inner SignedData calls its content plain data",
     KEYGEN,
     .package = package_type,
     .number = NID_pkcs7_data},
};

const struct misbehave_table misbehave_keygen = {rows, sizeof rows / sizeof *rows};
