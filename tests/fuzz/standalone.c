/*
 * Runs every file of a folder through a fuzz target once, so that the corpora are tests in every build.
 * usage: fuzz_NAME FOLDER...
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX ((size_t)16 * 1024 * 1024)

/* A buffer of exactly the input's size: reading one byte too far is then seen. */
static uint8_t *read_input(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rbe");
    uint8_t *data = NULL;
    long end = -1;

    if (file != NULL && fseek(file, 0, SEEK_END) == 0)
        end = ftell(file);
    if (end >= 0 && (size_t)end <= INPUT_MAX && fseek(file, 0, SEEK_SET) == 0)
        data = malloc(end > 0 ? (size_t)end : 1);
    if (data != NULL && fread(data, 1, (size_t)end, file) != (size_t)end) {
        free(data);
        data = NULL;
    }
    if (file != NULL)
        fclose(file);
    *size = data != NULL ? (size_t)end : 0;
    return data;
}

static int run_input(const char *folder, const char *name)
{
    char path[4096];
    size_t size;
    uint8_t *data;

    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
        return -1;
    /* Printed before it runs: after a crash the last one is the culprit. */
    printf("# %s\n", path);
    fflush(stdout);
    data = read_input(path, &size);
    if (data == NULL)
        return -1;
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 0;
}

/* The number of inputs, or -1. */
static int run_folder(const char *folder)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, NULL, alphasort);
    int ran = 0;

    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.' && ran >= 0)
            ran = run_input(folder, entries[i]->d_name) == 0 ? ran + 1 : -1;
        free(entries[i]);
    }
    free(entries);
    return count < 0 ? -1 : ran;
}

int main(int argc, char **argv)
{
    int failed = 0;

    printf("1..%d\n", argc - 1);
    for (int i = 1; i < argc; i++) {
        int ran = run_folder(argv[i]);

        if (ran <= 0) {
            printf("not ok %d - %s: %s\n", i, argv[i], ran == 0 ? "no inputs" : strerror(errno));
            failed = 1;
        } else {
            printf("ok %d - %s: %d inputs\n", i, argv[i], ran);
        }
    }
    return failed;
}
