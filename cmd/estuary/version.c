#include "command.h"

#include <curl/curl.h>

int run_version(context *ctx)
{
    const char *curl = curl_version_info(CURLVERSION_NOW)->version;
    say(ctx, "estuary %s", estuary_version());
    say_row(ctx, "OpenSSL", "%s", estuary_version_openssl());
    say_row(ctx, "libcurl", "%s", curl);
    put_text(ctx->result, "version", estuary_version());
    put_text(ctx->result, "openssl", estuary_version_openssl());
    put_text(ctx->result, "libcurl", curl);
    return EXIT_DONE;
}
