/*
 * Runs a command and prints what the kernel says of it: wall ms, CPU ms, peak RSS in KiB.
 * A small parent, because a child's peak RSS begins with its parent's.
 */
#include <spawn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double ms(struct timeval t)
{
    return (double)t.tv_sec * 1000 + (double)t.tv_usec / 1000;
}

int main(int argc, char **argv)
{
    struct timespec start, end;
    struct rusage usage;
    pid_t pid = 0;
    int status = 0;
    if (argc < 2 || clock_gettime(CLOCK_MONOTONIC, &start) != 0 ||
        posix_spawn(&pid, argv[1], NULL, NULL, argv + 1, environ) != 0 ||
        wait4(pid, &status, 0, &usage) != pid || clock_gettime(CLOCK_MONOTONIC, &end) != 0)
        return 2;
    double wall = (double)(end.tv_sec - start.tv_sec) * 1000 + (double)(end.tv_nsec - start.tv_nsec) / 1e6;
    fprintf(stderr, "measured %.3f %.3f %ld\n", wall, ms(usage.ru_utime) + ms(usage.ru_stime),
            usage.ru_maxrss);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}
