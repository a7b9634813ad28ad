#include "command.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static estuary_client *volatile watched;
static volatile sig_atomic_t came;
static volatile sig_atomic_t may_exit;
static volatile sig_atomic_t as_json;

static const char cancelled_text[] = "estuary: cancelled\n";
static const char cancelled_json[] = "{\"error\":{\"code\":\"cancelled\",\"category\":\"cancelled\","
                                     "\"message\":\"cancelled\",\"remedy\":\"\"}}\n";

static void on_signal(int number)
{
    (void)number;
    came = 1;
    if (watched != NULL)
        estuary_client_cancel(watched);
    if (!may_exit)
        return;
    if (as_json)
        (void)!write(STDOUT_FILENO, cancelled_json, sizeof(cancelled_json) - 1);
    else
        (void)!write(STDERR_FILENO, cancelled_text, sizeof(cancelled_text) - 1);
    _exit(EXIT_OTHER);
}

void signals_set_up(bool json)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal; /* without SA_RESTART: a prompt ends */
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGINT);
    sigaddset(&action.sa_mask, SIGTERM);
    as_json = json;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    /* a reader that goes away is an error of writing, not the end in the middle of a commit */
    action.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &action, NULL);
}

void signals_watch(estuary_client *client)
{
    watched = client;
}

void signals_may_exit(bool yes)
{
    may_exit = yes;
}

bool signals_came(void)
{
    return came != 0;
}
