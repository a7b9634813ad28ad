#include "command.h"

#include <string.h>

struct listing {
    context *ctx;
    json_t *entries;
    size_t count;
};

static void list_one(void *arg, const estuary_cache_entry *entry)
{
    struct listing *listing = arg;
    char until[TIME_TEXT_SIZE] = "no nextUpdate", fetched[TIME_TEXT_SIZE];
    json_t *to = json_object();
    if (entry->next_update != 0)
        time_text(entry->next_update, until);
    time_text(entry->fetched_at, fetched);
    say(listing->ctx, "%s %s", estuary_revocation_source_name(entry->kind), entry->origin);
    say_row(listing->ctx, "of", "%s", entry->subject);
    say_row(listing->ctx, "until", "%s", until);
    say_row(listing->ctx, "fetched", "%s, %lld bytes%s", fetched, (long long)entry->bytes,
            entry->indexed ? ", indexed" : "");
    put_text(to, "kind", estuary_revocation_source_name(entry->kind));
    put_text(to, "url", entry->origin);
    put_text(to, "subject", entry->subject);
    put_time(to, "this_update", entry->this_update);
    put(to, "next_update", json_null());
    if (entry->next_update != 0)
        put_time(to, "next_update", entry->next_update);
    put_time(to, "fetched_at", entry->fetched_at);
    put(to, "bytes", json_integer(entry->bytes));
    put(to, "indexed", json_boolean(entry->indexed));
    if (json_array_append_new(listing->entries, to) == 0)
        listing->count++;
}

static int list_all(context *ctx)
{
    int result = EXIT_DONE;
    struct listing listing = {.ctx = ctx, .entries = json_array()};
    if (listing.entries == NULL)
        return fail_memory(ctx);
    result = check(ctx, estuary_revocation_cache_list(ctx->checker, list_one, &listing, ctx->err));
    if (result == EXIT_DONE && listing.count == 0)
        say(ctx, "Nothing is kept.");
    put(ctx->result, "entries", listing.entries);
    return result;
}

static int clear_all(context *ctx)
{
    size_t removed = 0;
    int result = check(ctx, estuary_revocation_cache_clear(ctx->checker, &removed, ctx->err));
    if (result == EXIT_DONE)
        say(ctx, "Removed: %zu", removed);
    put(ctx->result, "removed", json_integer((json_int_t)removed));
    return result;
}

int run_cache(context *ctx)
{
    bool list = strcmp(ctx->positional, "list") == 0;
    if (!list && strcmp(ctx->positional, "clear") != 0)
        return fail(ctx, "usage.argument", NULL, "cache wants list or clear");
    int result = checker_open(ctx, &ctx->checker);
    if (result != EXIT_DONE)
        return result;
    return list ? list_all(ctx) : clear_all(ctx);
}
