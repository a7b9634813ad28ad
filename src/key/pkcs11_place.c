/* A URI, its token and a session there: what each operation on a token begins and ends with. */
#include "key/pkcs11.h"

estuary_status est_p11_place_open(const char *uri, const estuary_secret *pin, bool writes, est_p11_place *out,
                                  estuary_error *err)
{
    estuary_status status = est_p11_uri_parse(uri, &out->uri, err);
    if (status == ESTUARY_OK)
        status = est_p11_name_from_uri(&out->uri, &out->name, err);
    if (status == ESTUARY_OK)
        status = est_p11_token_open(&out->uri, pin, &out->token, err);
    if (status == ESTUARY_OK)
        status = est_p11_session_take(out->token, writes, &out->session, err);
    return status;
}

void est_p11_place_close(est_p11_place *at, CK_RV rv)
{
    est_p11_session_give(&at->session, rv);
    est_p11_token_free(at->token);
    est_p11_uri_clear(&at->uri);
}

const char *est_p11_place_module_path(const est_p11_place *at)
{
    return est_p11_kit_get()->uri_get_module_path(at->uri.parsed);
}
