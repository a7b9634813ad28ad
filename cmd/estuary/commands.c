#include "command.h"

#include <string.h>

const subcommand commands[] = {
    {"bootstrap", "fetch the CA certificates and confirm them by fingerprint",
     "--server URL [--fingerprint FP]... [-o FILE]\n", NULL, IN_BOOTSTRAP, run_bootstrap},
    {"cacerts", "fetch the CA certificates from a server that is trusted already",
     "--server URL --trust FILE|system [-o FILE]\n", NULL, IN_CACERTS, run_cacerts},
    {"csrattrs", "say what the server wants in a request", "--server URL --trust FILE|system\n", NULL,
     IN_CSRATTRS, run_csrattrs},
    {"csr", "make a certificate request, or look at one",
     "(--key KEY | --new-key ALG [--key-out KEY]) --subject DN [--san TYPE:VALUE]... [-o FILE]\n"
     "--inspect FILE\n",
     NULL, IN_CSR, run_csr},
    {"enroll", "get a certificate",
     "--server URL --trust FILE|system --subject DN [--san TYPE:VALUE]... [--key KEY | --new-key ALG] "
     "--out DIR\n"
     "--server URL --trust FILE|system --csr FILE --out DIR\n",
     NULL, IN_ENROLL, run_enroll},
    {"reenroll", "renew a certificate",
     "--server URL --trust FILE|system --cert FILE --key KEY [--same-key | --new-key ALG | --csr FILE] "
     "--out DIR\n",
     NULL, IN_REENROLL, run_reenroll},
    {"serverkeygen", "get a certificate and a private key that the server makes",
     "--server URL --trust FILE|system --subject DN [--san TYPE:VALUE]... [--new-key ALG] --out DIR\n"
     "--server URL --trust FILE|system --subject DN [--san TYPE:VALUE]... (--decrypt-key KEY | "
     "--decrypt-kek ID=SRC | --decrypt-password [ID=]SRC) --out DIR\n",
     NULL, IN_SERVERKEYGEN, run_serverkeygen},
    {"fullcmc", "get a certificate with a full CMC request",
     "--server URL --trust FILE|system --subject DN [--san TYPE:VALUE]... [--key KEY | --new-key ALG] "
     "[--cmc-identity NAME --cmc-secret SRC] --out DIR [-o FILE]\n",
     NULL, IN_FULLCMC, run_fullcmc},
    {"key", "make, list, show or delete a key, in a token too",
     "generate ALG KEYURI [--pin SRC]\nlist URI [--pin SRC]\nshow URI [--pin SRC]\ndelete URI [--pin SRC] "
     "[--yes]\n",
     "generate, list, show or delete", IN_KEY, run_key},
    {"verify", "check a certificate and say what was found",
     "CERT [--chain FILE] [--trust FILE|system]... [--csr FILE] [--key KEY] [--host NAME] [--at TIME]\n",
     "CERT", IN_VERIFY, run_verify},
    {"revocation", "say whether a certificate is revoked, and how that is known",
     "CERT --issuer FILE [--chain FILE] [--crl FILE|URL]... [--ocsp-response FILE] [--policy soft|hard] "
     "[--method ocsp|crl|both] [--at TIME] [--max-age DAYS]\n",
     "CERT", IN_REVOCATION, run_revocation},
    {"cache", "list or clear the OCSP responses and CRLs that are kept", "list\nclear\n", "list or clear",
     IN_CACHE, run_cache},
    {"version", "print the versions of the program and its libraries", "\n", NULL, IN_VERSION, run_version},
    {0},
};

const subcommand *command_find(const char *name)
{
    for (const subcommand *c = commands; c->name != NULL; c++) {
        if (strcmp(c->name, name) == 0)
            return c;
    }
    return NULL;
}
