/* Misbehaviours of /renewal-info. draft-yusef-lamps-rfc7030-renewal-recommendation */
#include "misbehave.h"

/* number: the beginning of a day, in seconds from now. */
static bool window_moved(struct exchange *ex, time_t begin, time_t end, struct bytes *json,
                         const struct misbehaviour *row)
{
    const time_t now = time(NULL);
    (void)ex;
    (void)begin;
    (void)end;
    return renewal_info_encode(now + row->number, now + row->number + LAB_DAY, json);
}

static bool window_late(struct exchange *ex, time_t begin, time_t end, struct bytes *json,
                        const struct misbehaviour *row)
{
    (void)ex;
    (void)begin;
    return renewal_info_encode(end + row->number, end + row->number + LAB_DAY, json);
}

static bool window_reversed(struct exchange *ex, time_t begin, time_t end, struct bytes *json,
                            const struct misbehaviour *row)
{
    (void)ex;
    (void)begin;
    return renewal_info_encode(end, end - row->number, json);
}

static bool window_text(struct exchange *ex, time_t begin, time_t end, struct bytes *json,
                        const struct misbehaviour *row)
{
    (void)ex;
    (void)begin;
    (void)end;
    bytes_clear(json);
    return bytes_text(json, row->text);
}

/* A good window among number octets of blanks. */
static bool window_huge(struct exchange *ex, time_t begin, time_t end, struct bytes *json,
                        const struct misbehaviour *row)
{
    static const char blanks[] = "                                                                ";
    bool ok = true;
    (void)ex;
    (void)begin;
    (void)end;
    for (long i = 0; ok && i < row->number; i += (long)sizeof blanks - 1)
        ok = bytes_text(json, blanks);
    return ok;
}

static bool window_deep(struct exchange *ex, time_t begin, time_t end, struct bytes *json,
                        const struct misbehaviour *row)
{
    bool ok = true;
    (void)ex;
    (void)begin;
    (void)end;
    bytes_clear(json);
    for (long i = 0; ok && i < row->number; i++)
        ok = bytes_text(json, "[");
    return ok;
}

static void finish_base64(struct exchange *ex, const struct misbehaviour *row)
{
    struct bytes text = {0};
    if (base64_encode(&ex->reply.body, 64, "\r\n", &text) && bytes_set(&ex->reply.body, text.data, text.len))
        ex->misbehaved = row->name;
    bytes_clear(&text);
}

static void finish_type(struct exchange *ex, const struct misbehaviour *row)
{
    reply_drop_header(&ex->reply, "Content-Type");
    (void)reply_header(&ex->reply, "Content-Type", row->text);
}

static void finish_retry(struct exchange *ex, const struct misbehaviour *row)
{
    reply_drop_header(&ex->reply, "Retry-After");
    if (row->text != NULL)
        (void)reply_header(&ex->reply, "Retry-After", row->text);
}

#define RENEWAL .operations = OP_RENEWAL_INFO

static const struct misbehaviour rows[] = {
    {.name = "renewal-info-past",
     .about = "harmless: the window ended days ago: renew now",
     RENEWAL,
     .window = window_moved,
     .number = -3 * LAB_DAY},
    {.name = "renewal-info-now",
     .about = "harmless: the window began an hour ago",
     RENEWAL,
     .window = window_moved,
     .number = -3600},
    {.name = "renewal-info-late",
     .about = "harmless: the window begins after the certificate's end: the client renews before",
     RENEWAL,
     .window = window_late,
     .number = LAB_DAY},
    {.name = "renewal-info-reversed",
     .about = "the window ends before it begins",
     RENEWAL,
     .window = window_reversed,
     .number = LAB_DAY},
    {.name = "renewal-info-empty-window",
     .about = "the window ends when it begins",
     RENEWAL,
     .window = window_reversed,
     .number = 0},
    {.name = "renewal-info-no-window",
     .about = "a JSON object without suggestedWindow",
     RENEWAL,
     .window = window_text,
     .text = "{\"explanationURL\":\"https://example.com/\"}"},
    {.name = "renewal-info-half-window",
     .about = "the window has no end",
     RENEWAL,
     .window = window_text,
     .text = "{\"suggestedWindow\":{\"start\":\"2026-01-02T04:00:00Z\"}}"},
    {.name = "renewal-info-bad-time",
     .about = "the window's times are no RFC 3339",
     RENEWAL,
     .window = window_text,
     .text = "{\"suggestedWindow\":{\"start\":\"tomorrow\",\"end\":\"2026-13-41T99:00:00Z\"}}"},
    {.name = "renewal-info-wrong-types",
     .about = "the window's times are numbers",
     RENEWAL,
     .window = window_text,
     .text = "{\"suggestedWindow\":{\"start\":1767326400,\"end\":1767412800}}"},
    {.name = "renewal-info-not-json",
     .about = "something that is not JSON",
     RENEWAL,
     .window = window_text,
     .text = "<html><body>renew soon</body></html>"},
    {.name = "renewal-info-array",
     .about = "a JSON array",
     RENEWAL,
     .window = window_text,
     .text = "[\"2026-01-02T04:00:00Z\",\"2026-01-03T04:00:00Z\"]"},
    {.name = "renewal-info-deep",
     .about = "60000 opening brackets",
     RENEWAL,
     .window = window_deep,
     .number = 60000},
    {.name = "renewal-info-huge",
     .about = "2 MiB of blanks after a good window",
     RENEWAL,
     .window = window_huge,
     .number = 2 * 1024 * 1024},
    {.name = "renewal-info-base64",
     .about = "the JSON in base64, which RFC 8951 ends for new operations",
     RENEWAL,
     .finish = finish_base64},
    {.name = "renewal-info-type",
     .about = "good JSON is called text/html",
     RENEWAL,
     .finish = finish_type,
     .text = "text/html"},
    {.name = "renewal-info-no-retry-after",
     .about = "harmless: no Retry-After",
     RENEWAL,
     .finish = finish_retry},
    {.name = "renewal-info-bad-retry-after",
     .about = "harmless: Retry-After: soon",
     RENEWAL,
     .finish = finish_retry,
     .text = "soon"},
};

const struct misbehave_table misbehave_renewal = {rows, sizeof rows / sizeof *rows};
