/*
 * Signatures a second with a token's key: the token's own C_Sign, our provider without and with the check of
 * each signature, and OpenSSL with a key file, in slices that take turns.
 *
 *     keys_client MODULE PIN_SOURCE ec|rsa KEY_FILE ROUNDS SLICE_MS      (the token "bench" holds the key
 * "ec" or "rsa")
 *
 * Prints a line a slice: who, signatures, seconds of processor time, seconds of wall time.
 */
#include <dlfcn.h>
#include <estuary/estuary.h>
#include <openssl/sha.h>
#include <p11-kit/pkcs11.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH 4

enum { BARE, SIGN, UNVERIFIED, VERIFIED, FILE_KEY, CONTESTANTS };
static const char *const names[CONTESTANTS] = {"bare", "sign", "unverified", "verified", "file"};

static const unsigned char message[64] = "a request of the usual size, hashed: what is signed is a digest";

/* RFC 8017 9.2, note 1: SHA-256 */
static const unsigned char digest_info[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                            0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};

typedef struct bench {
    CK_FUNCTION_LIST *calls;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE object;
    bool rsa;
    EVP_PKEY *keys[CONTESTANTS];
    EVP_PKEY_CTX *context; /* of SIGN */
} bench;

static void die(const char *what, const estuary_error *err)
{
    fprintf(stderr, "%s: %s\n", what, err == NULL ? "failed" : estuary_error_message(err));
    exit(1);
}

static double now(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) != 0)
        die("clock", NULL);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What the token is asked for, and no more: hash, C_SignInit, C_Sign. */
static void sign_bare(const bench *b)
{
    CK_BYTE input[sizeof(digest_info) + SHA256_DIGEST_LENGTH], signature[1024];
    CK_ULONG len = sizeof(signature);
    CK_MECHANISM mechanism = {b->rsa ? CKM_RSA_PKCS : CKM_ECDSA, NULL, 0};
    memcpy(input, digest_info, sizeof(digest_info));
    if (EVP_Digest(message, sizeof(message), input + sizeof(digest_info), NULL, EVP_sha256(), NULL) != 1 ||
        b->calls->C_SignInit(b->session, &mechanism, b->object) != CKR_OK ||
        b->calls->C_Sign(b->session, b->rsa ? input : input + sizeof(digest_info),
                         b->rsa ? sizeof(input) : SHA256_DIGEST_LENGTH, signature, &len) != CKR_OK)
        die("C_Sign", NULL);
}

/* The same through our provider: the context stays, as the session does. */
static void sign_digest(const bench *b)
{
    unsigned char digest[SHA256_DIGEST_LENGTH], signature[1024];
    size_t len = sizeof(signature);
    if (EVP_Digest(message, sizeof(message), digest, NULL, EVP_sha256(), NULL) != 1 ||
        EVP_PKEY_sign(b->context, signature, &len, digest, sizeof(digest)) != 1)
        die("EVP_PKEY_sign", NULL);
}

/* What TLS and X509_REQ_sign() do: everything anew for each signature. */
static void sign_evp(EVP_PKEY *key)
{
    unsigned char signature[1024];
    size_t len = sizeof(signature);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL || EVP_DigestSignInit_ex(context, NULL, "SHA2-256", NULL, NULL, key, NULL) != 1 ||
        EVP_DigestSign(context, signature, &len, message, sizeof(message)) != 1)
        die("EVP_DigestSign", NULL);
    EVP_MD_CTX_free(context);
}

static void slice(const bench *b, int who, double seconds)
{
    unsigned long n = 0;
    double cpu = now(CLOCK_PROCESS_CPUTIME_ID), wall = now(CLOCK_MONOTONIC), spent;
    do {
        for (int i = 0; i < BATCH; i++) {
            if (who == BARE)
                sign_bare(b);
            else if (who == SIGN)
                sign_digest(b);
            else
                sign_evp(b->keys[who]);
        }
        n += BATCH;
        spent = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    } while (spent < seconds);
    printf("%s %lu %.6f %.6f\n", names[who], n, spent, now(CLOCK_MONOTONIC) - wall);
}

/* Beside the library, which has logged in by now: a login is the whole process's. */
static void open_bare(bench *b, const char *module, const char *label)
{
    CK_SLOT_ID slots[16];
    CK_ULONG n = 16, found = 0;
    CK_OBJECT_CLASS of = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &of, sizeof(of)}, {CKA_LABEL, (void *)label, strlen(label)}};
    void *library = dlopen(module, RTLD_NOW | RTLD_LOCAL);
    CK_C_GetFunctionList get = NULL;
    void *address = library == NULL ? NULL : dlsym(library, "C_GetFunctionList");
    if (address == NULL)
        die(module, NULL);
    memcpy(&get, &address, sizeof(get));
    if (get(&b->calls) != CKR_OK || b->calls->C_GetSlotList(CK_TRUE, slots, &n) != CKR_OK || n == 0 ||
        b->calls->C_OpenSession(slots[0], CKF_SERIAL_SESSION, NULL, NULL, &b->session) != CKR_OK ||
        b->calls->C_FindObjectsInit(b->session, wanted, 2) != CKR_OK ||
        b->calls->C_FindObjects(b->session, &b->object, 1, &found) != CKR_OK || found != 1 ||
        b->calls->C_FindObjectsFinal(b->session) != CKR_OK)
        die("the token's key", NULL);
}

static void open_keys(bench *b, char **argv)
{
    char uri[512];
    estuary_secret *pin = NULL;
    estuary_error *err = estuary_error_new();
    if (estuary_secret_read(argv[2], "PIN", &pin, err) != ESTUARY_OK)
        die("the PIN", err);
    (void)snprintf(uri, sizeof(uri), "pkcs11:token=bench;object=%s?module-path=%s", argv[3], argv[1]);
    if (estuary_key_open(uri, pin, 0, &b->keys[VERIFIED], err) != ESTUARY_OK ||
        estuary_key_open(uri, pin, ESTUARY_KEY_INSECURE_UNVERIFIED, &b->keys[UNVERIFIED], err) !=
            ESTUARY_OK ||
        estuary_key_open(argv[4], NULL, 0, &b->keys[FILE_KEY], err) != ESTUARY_OK)
        die("a key", err);
    b->context = EVP_PKEY_CTX_new(b->keys[UNVERIFIED], NULL);
    if (b->context == NULL || EVP_PKEY_sign_init(b->context) != 1 ||
        EVP_PKEY_CTX_set_signature_md(b->context, EVP_sha256()) != 1)
        die("EVP_PKEY_sign_init", NULL);
    estuary_secret_free(pin);
    estuary_error_free(err);
}

int main(int argc, char **argv)
{
    bench b = {0};
    if (argc != 7)
        return 2;
    b.rsa = strcmp(argv[3], "rsa") == 0;
    open_keys(&b, argv);
    open_bare(&b, argv[1], argv[3]);
    double seconds = strtod(argv[6], NULL) / 1000;
    for (long round = -1; round < strtol(argv[5], NULL, 10); round++) {
        if (round == -1) /* warms up; not counted */
            printf("warm-up 0 0 0\n");
        /* each round begins with another one, and every other runs backwards */
        for (int i = 0; i < CONTESTANTS; i++)
            slice(&b, (int)((round + 1 + (round % 2 == 0 ? i : CONTESTANTS - i)) % CONTESTANTS), seconds);
    }
    (void)b.calls->C_CloseSession(b.session);
    EVP_PKEY_CTX_free(b.context);
    for (int i = 0; i < CONTESTANTS; i++)
        EVP_PKEY_free(b.keys[i]);
    return 0;
}
