#include "command.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int help(const context *ctx)
{
    options_help(ctx->command);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_OTHER;
}

static int prepare(context *ctx)
{
    int result = EXIT_DONE;
    if (ctx->command == NULL)
        TRY(fail(ctx, "usage.option", "estuary --help lists the commands", "a command is missing"));
    if (option_given(ctx, OPT_CONFIG))
        TRY(config_file_read(ctx, option_text(ctx, OPT_CONFIG)));
    TRY(options_finish(ctx));
    /* before anything of OpenSSL is used (T11) */
    if (option_given(ctx, OPT_FIPS))
        TRY(check(ctx, estuary_process_enable_fips(ctx->err)));
    TRY(log_open(ctx));
    TRY(tpm_auth_set(ctx));
cleanup:
    return result;
}

int main(int argc, char **argv)
{
    /* libcurl opens the file that this names, though trust/ keeps the keys of our sessions out of it */
    (void)unsetenv("SSLKEYLOGFILE");
    context ctx = {.err = estuary_error_new(), .result = json_object(), .extra = json_object()};
    int result = ctx.err == NULL || ctx.result == NULL || ctx.extra == NULL ? fail_memory(&ctx)
                                                                            : options_parse(&ctx, argc, argv);
    if (result == EXIT_DONE && option_given(&ctx, OPT_HELP)) {
        result = help(&ctx);
    } else {
        signals_set_up(ctx.json);
        if (result == EXIT_DONE)
            result = prepare(&ctx);
        if (result == EXIT_DONE)
            result = ctx.command->run(&ctx);
        result = output_finish(&ctx, result);
    }
    options_free(&ctx);
    OPENSSL_free(ctx.key_name);
    estuary_secret_free(ctx.pin);
    (void)estuary_process_set_tpm_auth(NULL, NULL, NULL); /* wipes them */
    estuary_revocation_free(ctx.checker);
    estuary_process_set_key_records(NULL, NULL);
    estuary_log_free(ctx.log);
    estuary_error_free(ctx.err);
    json_decref(ctx.result);
    json_decref(ctx.extra);
    return result;
}
