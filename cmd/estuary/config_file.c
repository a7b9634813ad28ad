#include "command.h"

#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* inih cuts longer lines in two without a word, so they are refused before it sees them. */
#define LINE_LONGEST 196
#define LINES_MOST   10000

typedef struct reader {
    context *ctx;
    FILE *file;
    const char *path;
    int line;
    int long_line;
    int result;
} reader;

static char *next_line(char *text, int size, void *arg)
{
    reader *in = arg;
    if (in->result != EXIT_DONE || in->long_line != 0 || in->line >= LINES_MOST)
        return NULL;
    char *line = fgets(text, size, in->file);
    if (line == NULL)
        return NULL;
    in->line++;
    size_t len = strlen(line);
    if (len > LINE_LONGEST) {
        in->long_line = in->line;
        return NULL;
    }
    return line;
}

char *context_keep(context *ctx, const char *text)
{
    char **owned = realloc(ctx->owned, (ctx->n_owned + 1) * sizeof(*owned));
    if (owned == NULL)
        return NULL;
    ctx->owned = owned;
    char *copy = strdup(text);
    if (copy != NULL)
        ctx->owned[ctx->n_owned++] = copy;
    return copy;
}

static int set(reader *in, const char *section, const char *name, const char *value)
{
    context *ctx = in->ctx;
    char where[512];
    char clean[400];
    clean_text(in->path, clean, sizeof(clean));
    snprintf(where, sizeof(where), "%s, line %d: ", clean, in->line);
    option_origin origin = ORIGIN_SECTION;
    if (strcmp(section, "global") == 0) {
        origin = ORIGIN_GLOBAL;
    } else {
        const subcommand *command = command_find(section);
        if (command == NULL)
            return fail(ctx, "config.file", NULL, "%sthe section is neither [global] nor a command's name",
                        where);
        if (command != ctx->command)
            return EXIT_DONE;
    }
    char *copy = context_keep(ctx, value);
    return copy == NULL ? fail_memory(ctx) : option_set(ctx, name, copy, origin, where);
}

static int handle(void *arg, const char *section, const char *name, const char *value)
{
    reader *in = arg;
    if (in->result == EXIT_DONE)
        in->result = set(in, section, name, value);
    return in->result == EXIT_DONE;
}

int config_file_read(context *ctx, const char *path)
{
    reader in = {.ctx = ctx, .path = path};
    char clean[400];
    clean_text(path, clean, sizeof(clean));
    in.file = fopen(path, "re");
    if (in.file == NULL)
        return fail(ctx, "config.file", NULL, "the configuration file %s cannot be opened", clean);
    int line = ini_parse_stream(next_line, &in, handle, &in);
    bool broken = ferror(in.file) != 0;
    fclose(in.file);
    if (in.result != EXIT_DONE)
        return in.result;
    if (in.long_line != 0)
        return fail(ctx, "config.file", NULL, "%s, line %d: longer than %d bytes", clean, in.long_line,
                    LINE_LONGEST);
    if (line != 0 || broken)
        return fail(ctx, "config.file", NULL, "%s, line %d: not of the form \"name = value\"", clean,
                    line > 0 ? line : in.line);
    return EXIT_DONE;
}
