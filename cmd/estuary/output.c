#include "command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The category and exit code of a code, from the library's own table. */
static void look_up(failure_info *f, const char *code, const char **sentence)
{
    const char *row;
    estuary_status category = ESTUARY_E_USAGE;
    for (size_t i = 0; estuary_error_table(i, &row, &category, sentence, &f->exit_code); i++) {
        if (strcmp(row, code) == 0) {
            f->category = estuary_status_name(category);
            return;
        }
    }
    f->exit_code = EXIT_OTHER;
    f->category = "unknown";
    *sentence = "";
}

static void begin(context *ctx, const char *code, const char **sentence)
{
    failure_info *f = &ctx->failure;
    *f = (failure_info){0};
    look_up(f, code, sentence);
    snprintf(f->code, sizeof(f->code), "%s", code);
}

int fail(context *ctx, const char *code, const char *remedy, const char *fmt, ...)
{
    failure_info *f = &ctx->failure;
    const char *sentence = "";
    char text[sizeof(f->message)];
    begin(ctx, code, &sentence);
    if (fmt != NULL) {
        va_list args;
        va_start(args, fmt);
        (void)vsnprintf(text, sizeof(text), fmt, args);
        va_end(args);
        clean_text(text, f->message, sizeof(f->message));
    } else {
        snprintf(f->message, sizeof(f->message), "%s", sentence);
    }
    if (remedy != NULL)
        snprintf(f->remedy, sizeof(f->remedy), "%s", remedy);
    return f->exit_code;
}

int fail_memory(context *ctx)
{
    return fail(ctx, "memory.exhausted", NULL, NULL);
}

int check(context *ctx, estuary_status status)
{
    if (status == ESTUARY_OK)
        return EXIT_DONE;
    const estuary_error *err = ctx->err;
    failure_info *f = &ctx->failure;
    *f = (failure_info){.exit_code = estuary_error_exit_code(err)};
    f->category = estuary_status_name(status);
    snprintf(f->code, sizeof(f->code), "%s", estuary_error_code(err));
    clean_text(estuary_error_message(err), f->message, sizeof(f->message));
    clean_text(estuary_error_detail(err), f->detail, sizeof(f->detail));
    clean_text(estuary_error_remedy(err), f->remedy, sizeof(f->remedy));
    f->http_status = estuary_error_http_status(err);
    f->retry_at = estuary_error_retry_at(err);
    f->retryable = estuary_error_retryable(err);
    if (f->exit_code == EXIT_DONE)
        f->exit_code = EXIT_OTHER;
    return f->exit_code;
}

void failure_add_hint(context *ctx, const char *hint)
{
    failure_info *f = &ctx->failure;
    size_t used = strlen(f->remedy);
    snprintf(f->remedy + used, sizeof(f->remedy) - used, "%s%s", used > 0 ? "; " : "", hint);
}

static bool shows_text(const context *ctx)
{
    return !ctx->json && ctx->verbosity >= 0;
}

void say(const context *ctx, const char *fmt, ...)
{
    if (!shows_text(ctx))
        return;
    va_list args;
    va_start(args, fmt);
    (void)vprintf(fmt, args);
    va_end(args);
    putchar('\n');
}

void say_row(const context *ctx, const char *name, const char *fmt, ...)
{
    char text[2048], clean[2048];
    if (!shows_text(ctx))
        return;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    clean_text(text, clean, sizeof(clean));
    printf("  %-11s %s\n", name, clean);
}

void say_raw(const context *ctx, const char *text)
{
    if (!ctx->json)
        (void)fputs(text, stdout);
}

void warn(const context *ctx, const char *event, const char *message)
{
    estuary_log_write(ctx->log, ESTUARY_LOG_WARNING, event, message, NULL, 0);
}

void put(json_t *object, const char *name, json_t *value)
{
    /* a value that could not be made is left out: the failure of memory shows elsewhere */
    if (value != NULL)
        (void)json_object_set_new(object, name, value);
}

void put_text(json_t *object, const char *name, const char *text)
{
    char clean[4096];
    clean_text(text, clean, sizeof(clean));
    put(object, name, json_string(clean));
}

void put_time(json_t *object, const char *name, time_t at)
{
    char text[TIME_TEXT_SIZE];
    time_text(at, text);
    put(object, name, at == 0 ? json_null() : json_string(text));
}

static json_t *failure_json(const context *ctx)
{
    const failure_info *f = &ctx->failure;
    json_t *error = json_object();
    put_text(error, "code", f->code);
    put_text(error, "category", f->category);
    put_text(error, "message", f->message);
    put_text(error, "remedy", f->remedy);
    put_text(error, "detail", f->detail);
    put(error, "http_status", f->http_status == 0 ? json_null() : json_integer(f->http_status));
    put_time(error, "retry_at", f->retry_at);
    put(error, "retryable", json_boolean(f->retryable));
    put(error, "exit_code", json_integer(f->exit_code));
    return error;
}

static bool print_json(const json_t *object)
{
    if (object == NULL || json_dumpf(object, stdout, JSON_INDENT(2)) != 0) {
        (void)fputs("{\"error\":{\"code\":\"memory.exhausted\",\"category\":\"memory\",\"message\":"
                    "\"out of memory\"}}",
                    stdout);
        return false;
    }
    return true;
}

static void print_failure(const context *ctx)
{
    const failure_info *f = &ctx->failure;
    progress_clear();
    if (ctx->command != NULL)
        fprintf(stderr, "estuary: %s: %s\n", ctx->command->name, f->message);
    else
        fprintf(stderr, "estuary: %s\n", f->message);
    if (f->retry_at != 0) {
        char at[TIME_TEXT_SIZE], span[SPAN_TEXT_SIZE];
        time_text(f->retry_at, at);
        span_text(time(NULL), f->retry_at, span);
        /* the library's sentence may name the time already */
        if (strstr(f->message, at) != NULL)
            fprintf(stderr, "  that is: %s\n", span);
        else
            fprintf(stderr, "  retry at: %s (%s)\n", at, span);
    }
    if (f->remedy[0] != '\0')
        fprintf(stderr, "  hint: %s\n", f->remedy);
    if (ctx->verbosity > 0 && f->detail[0] != '\0')
        fprintf(stderr, "  detail: %s\n", f->detail);
}

static bool print_failure_json(context *ctx)
{
    json_t *object = json_object();
    put(object, "error", failure_json(ctx));
    if (object != NULL)
        (void)json_object_update_missing(object, ctx->extra);
    bool done = print_json(object);
    json_decref(object);
    return done;
}

int output_finish(context *ctx, int result)
{
    progress_clear();
    bool printed = true;
    if (ctx->json && result == EXIT_DONE)
        printed = print_json(ctx->result);
    else if (ctx->json)
        printed = print_failure_json(ctx);
    else if (result != EXIT_DONE)
        print_failure(ctx);
    if (ctx->json)
        putchar('\n');
    /* an answer that did not get out is no success */
    if (fflush(stdout) != 0 || ferror(stdout) != 0 || !printed) {
        (void)fputs("estuary: the output cannot be written\n", stderr);
        return result == EXIT_DONE ? EXIT_OTHER : result;
    }
    return result;
}
