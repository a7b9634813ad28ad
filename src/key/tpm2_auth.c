/*
 * The authorisation of what TPM keys are below (K5). tpm2-openssl 1.1 loads a key below the owner hierarchy
 * or a persistent parent without asking for one; so we put it into the commands on their way to the TPM.
 */
#include "key/tpm2_auth.h"

#include <openssl/crypto.h>
#include <string.h>

/* TPM 2.0 Part 2: TPM_ST, TPM_CC, TPM_RH, TPM_HT, TPM_RC */
#define TAG_SESSIONS   0x8002u
#define CREATE_PRIMARY 0x131u
#define CREATE         0x153u
#define LOAD           0x157u
#define OWNER          0x40000001u
#define PASSWORD       0x40000009u
#define PERSISTENT     0x81u
#define RC_FORMAT_ONE  0x080u
#define RC_SESSION_ONE 0x900u /* of the first authorisation */
#define RC_AUTH_FAIL   0x00eu
#define RC_BAD_AUTH    0x022u

/* Part 1, 18: header (tag, size, code), one handle, the authorisations' size, the first of them */
#define AT_SIZE       2u
#define AT_CODE       6u
#define AT_HANDLE     10u
#define AT_AUTHS_SIZE 14u
#define AT_SESSION    18u
#define AT_NONCE_SIZE 22u
#define AT_HMAC_SIZE  25u /* behind an empty nonce and the attributes */
#define AT_HMAC       27u
#define COMMAND_MAX   65536u

static estuary_secret *secrets[EST_TPM2_AUTHS];
static bool refused[EST_TPM2_AUTHS];
static est_tpm2_auth latest; /* the one that the command on its way wants, and we have */

static uint32_t get(const uint8_t *at, size_t len)
{
    uint32_t value = 0;
    for (size_t i = 0; i < len; i++)
        value = value << 8 | at[i];
    return value;
}

static void put(uint8_t *at, size_t len, uint32_t value)
{
    for (size_t i = len; i > 0; i--, value >>= 8)
        at[i - 1] = (uint8_t)value;
}

/* Whose authorisation a command wants that brings an empty password. */
est_tpm2_auth est_tpm2_auth_wanted(const uint8_t *command, size_t len)
{
    if (len < AT_HMAC || len > COMMAND_MAX || get(command, 2) != TAG_SESSIONS ||
        get(command + AT_SIZE, 4) != len)
        return EST_TPM2_AUTH_NONE;
    if (get(command + AT_SESSION, 4) != PASSWORD || get(command + AT_NONCE_SIZE, 2) != 0 ||
        get(command + AT_HMAC_SIZE, 2) != 0)
        return EST_TPM2_AUTH_NONE;
    uint32_t code = get(command + AT_CODE, 4), handle = get(command + AT_HANDLE, 4);
    if ((code == CREATE_PRIMARY || code == CREATE || code == LOAD) && handle == OWNER)
        return EST_TPM2_AUTH_OWNER;
    return (code == CREATE || code == LOAD) && handle >> 24 == PERSISTENT ? EST_TPM2_AUTH_PARENT
                                                                          : EST_TPM2_AUTH_NONE;
}

est_tpm2_fill est_tpm2_auth_fill(const uint8_t *command, size_t len, uint8_t **out, size_t *out_len)
{
    size_t n = 0;
    *out = NULL;
    *out_len = 0;
    latest = est_tpm2_auth_wanted(command, len);
    if (secrets[latest] == NULL)
        latest = EST_TPM2_AUTH_NONE;
    if (latest == EST_TPM2_AUTH_NONE)
        return EST_TPM2_FILL_NOTHING;
    if (refused[latest]) /* tried once: a parent key may lock (TPM 2.0 Part 1, 19.8) */
        return EST_TPM2_FILL_REFUSED;
    const char *text = estuary_secret_get0(secrets[latest], &n);
    uint8_t *full = est_alloc(len + n);
    if (full == NULL)
        return EST_TPM2_FILL_NO_MEMORY;
    memcpy(full, command, AT_HMAC);
    memcpy(full + AT_HMAC, text, n);
    memcpy(full + AT_HMAC + n, command + AT_HMAC, len - AT_HMAC);
    put(full + AT_SIZE, 4, (uint32_t)(len + n));
    put(full + AT_AUTHS_SIZE, 4, get(command + AT_AUTHS_SIZE, 4) + (uint32_t)n);
    put(full + AT_HMAC_SIZE, 2, (uint32_t)n);
    *out = full;
    *out_len = len + n;
    return EST_TPM2_FILL_DONE;
}

/* Part 2, 6.6: format one, of the first session */
void est_tpm2_auth_answered(const uint8_t *response, size_t len)
{
    if (latest == EST_TPM2_AUTH_NONE || len < EST_TPM2_RESPONSE_MIN)
        return;
    uint32_t code = get(response + AT_CODE, 4);
    if (code == (RC_SESSION_ONE | RC_FORMAT_ONE | RC_BAD_AUTH) ||
        code == (RC_SESSION_ONE | RC_FORMAT_ONE | RC_AUTH_FAIL))
        refused[latest] = true;
}

void est_tpm2_auth_refusal(uint8_t response[EST_TPM2_RESPONSE_MIN])
{
    put(response, 2, 0x8001); /* TPM_ST_NO_SESSIONS */
    put(response + AT_SIZE, 4, EST_TPM2_RESPONSE_MIN);
    put(response + AT_CODE, 4, RC_SESSION_ONE | RC_FORMAT_ONE | RC_BAD_AUTH);
}

bool est_tpm2_auth_was_refused(void)
{
    return refused[latest];
}

void est_tpm2_auth_set(est_tpm2_auth which, const estuary_secret *secret)
{
    estuary_secret_free(secrets[which]);
    secrets[which] = estuary_secret_up_ref((estuary_secret *)secret);
    refused[which] = false;
    latest = EST_TPM2_AUTH_NONE;
}
