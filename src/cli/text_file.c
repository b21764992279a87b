/* text_file: opens, measures, reads. */
#include "cli/text_file.h"

#include "base/limits.h"
#include "os/os.h"

static struct err read_open(struct arena *arena, int file, struct span *text, struct diag *diag)
{
    const struct os_files *files = os_real()->files;
    int64_t size;
    size_t done;
    TRY(file_size(files, file, &size));
    if (size > CONFIG_SIZE_MAX)
        return diag_fail(diag, ERR_LIMIT, "larger than %d bytes, which no such file needs",
                         CONFIG_SIZE_MAX);
    /* One byte more than there are, so that a pipe, which has no size, fails instead of being
     * empty. */
    size_t room = (size_t)size + 1;
    uint8_t *bytes = arena_alloc(arena, room);
    if (bytes == NULL)
        return err_make(ERR_NO_MEMORY);
    struct err err = file_read_at(files, file, bytes, room, 0, &done);
    if (err_failed(err) && size == 0)
        return diag_fail(diag, err.code, "not a regular file");
    TRY(err);
    *text = span_make(bytes, done);
    return ERR_NONE;
}

struct err text_stream_read(struct arena *arena, FILE *from, struct span *text, struct diag *diag)
{
    uint8_t *bytes = arena_alloc(arena, CONFIG_SIZE_MAX + 1);
    if (bytes == NULL)
        return err_make(ERR_NO_MEMORY);
    size_t size = fread(bytes, 1, CONFIG_SIZE_MAX + 1, from);
    if (ferror(from) != 0)
        return diag_fail(diag, ERR_IO, "it cannot be read");
    if (size > CONFIG_SIZE_MAX)
        return diag_fail(diag, ERR_LIMIT, "larger than %d bytes", CONFIG_SIZE_MAX);
    *text = span_make(bytes, size);
    return ERR_NONE;
}

struct err text_file_read(struct arena *arena, const char *path, struct span *text,
                          struct diag *diag)
{
    const struct os_files *files = os_real()->files;
    int file;
    TRY(file_open(files, path, OS_FILE_READ, &file));
    struct err err = read_open(arena, file, text, diag);
    file_close(files, file);
    return err;
}
