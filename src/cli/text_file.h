/* text_file: a whole file that people write: properties, profiles. */
#ifndef HEADRACE_CLI_TEXT_FILE_H
#define HEADRACE_CLI_TEXT_FILE_H

#include <stdio.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

/*
 * Reads the file at path into the arena's memory; *text lives as long as that does.
 * ERR_LIMIT beyond CONFIG_SIZE_MAX bytes, ERR_NOT_FOUND, ERR_IO and others as the system has it;
 * the sentence in *diag does not name the path, which the caller knows in its own words. Blocks on
 * the disk.
 */
MUST_USE struct err text_file_read(struct arena *arena, const char *path, struct span *text,
                                   struct diag *diag);

/* As text_file_read, of a stream up to its end. */
MUST_USE struct err text_stream_read(struct arena *arena, FILE *from, struct span *text,
                                     struct diag *diag);

#endif
