/* The lab's own TLS certificate: localhost, and a registration authority by its EKU. */
#include "lab.h"

#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

/* RFC 7633: the certificate is worth nothing without a staple. */
static bool add_must_staple(struct mint *m)
{
    return mint_add_extension(m, X509V3_EXT_nconf_nid(NULL, NULL, NID_tlsfeature, "status_request"));
}

bool server_certificate_describe(const struct ca *ca, struct mint *m)
{
    time_t now = time(NULL);
    *m = (struct mint){
        .cn = "localhost",
        .key = ca->server_key,
        .issuer = ca->issuing,
        .signer = ca->issuing_key,
        .not_before = now - LAB_DAY,
        .not_after = now + LAB_YEAR,
        .basic = "critical,CA:FALSE",
        .key_usage = "critical,digitalSignature",
        .eku = "serverAuth,1.3.6.1.5.5.7.3.28", /* id-kp-cmcRA, RFC 7030 3.6.1 */
        .san = "DNS:localhost,IP:127.0.0.1,IP:::1",
    };
    return !ca->must_staple || add_must_staple(m);
}

/* Made anew at each start: its revocation URLs name the port that was free this time. */
bool server_certificate_open(struct ca *ca, const char *host)
{
    char san[160];
    struct mint m = {0};
    const struct urls urls = ca_urls(ca, "issuing");
    bool ok = false;
    char *key_path = path_join(ca->dir, "server.key");
    char *pem_path = path_join(ca->dir, "server.pem");
    if (key_path == NULL || pem_path == NULL)
        goto cleanup;
    if (file_exists(key_path))
        ca->server_key = file_read_key(key_path);
    else if ((ca->server_key = new_key("ec")) == NULL || !file_write_key(key_path, ca->server_key))
        goto cleanup;
    if (ca->server_key == NULL)
        goto cleanup;
    if (!server_certificate_describe(ca, &m))
        goto cleanup;
    if (strncmp(host, "127.", 4) == 0) { /* the other names are there already */
        (void)snprintf(san, sizeof san, "%s,IP:%s", m.san, host);
        m.san = san;
    }
    m.aia = urls.aia;
    m.cdp = urls.cdp;
    ca->server = mint_certificate(&m);
    ok = ca->server != NULL && file_write_certificate(pem_path, ca->server);
cleanup:
    mint_clear(&m);
    free(key_path);
    free(pem_path);
    return ok;
}
