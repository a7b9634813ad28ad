/* How a running lab is told to go wrong: tests switch one lab from row to row. */
#include "misbehave.h"
#include "revocation.h"

#include <stdlib.h>
#include <string.h>

#define MAX_CONTROL 4096

/* One name a line; those that do not concern the operation, or do not exist, are passed over. */
static const struct misbehaviour *from_text(const char *text, enum operation_bit operation)
{
    while (*text != '\0') {
        const size_t len = strcspn(text, " \t\r\n");
        const struct misbehaviour *row = len == 0 ? NULL : misbehave_find(text, len);
        if (row != NULL && (row->operations & (unsigned)operation) != 0)
            return row;
        text += len == 0 ? 1 : len;
    }
    return NULL;
}

static const struct misbehaviour *from_file(const struct lab *lab, enum operation_bit operation)
{
    struct bytes file = {0};
    const struct misbehaviour *row = NULL;
    char *path = path_join(lab->ca.dir, "misbehave");
    if (path != NULL && file_exists(path) && file_read(path, MAX_CONTROL, &file) &&
        bytes_append(&file, "", 1))
        row = from_text((const char *)file.data, operation);
    bytes_clear(&file);
    free(path);
    return row;
}

const struct misbehaviour *control_choice(const struct lab *lab, enum operation_bit operation)
{
    const struct misbehaviour *row = from_file(lab, operation);
    for (size_t i = 0; row == NULL && i < lab->options.misbehave_count; i++) {
        if ((lab->options.misbehave[i].operations & (unsigned)operation) != 0)
            row = lab->options.misbehave[i].what;
    }
    return row;
}
