/*
 * profile_fuzz: random bytes as the file of profiles. The first byte says how many of the next are
 * the name of the wanted profile; 255: none is wanted.
 */
#include <stdlib.h>

#include "base/check.h"
#include "cli/profile.h"

#define ARENA_SIZE_MAX ((size_t)16 * 1024 * 1024)
#define NO_NAME 255

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property is a line of the file: it ends there, and has no blanks around it. */
static void check_text(const char *text)
{
    size_t size = strlen(text);
    CHECK(memchr(text, '\n', size) == NULL);
    CHECK(size == 0 || (text[0] != ' ' && text[size - 1] != ' '));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t name_size = data[0] == NO_NAME ? 0 : data[0];
    name_size = name_size < size - 1 ? name_size : size - 1;
    struct session *session = calloc(1, sizeof *session);
    CHECK(session != NULL);
    arena_init(&session->arena, ARENA_SIZE_MAX);
    const char *name = arena_copy_text(&session->arena, span_make(data + 1, name_size));
    struct span text = span_make(data + 1 + name_size, size - 1 - name_size);
    struct err err = profile_read(session, text, data[0] == NO_NAME ? NULL : name);
    CHECK(session->property_count <= SESSION_PROPERTY_COUNT_MAX);
    CHECK(!err_failed(err) || session->diag.text[0] != '\0');
    for (size_t i = 0; i < session->property_count; i++) {
        check_text(session->properties[i].name);
        check_text(session->properties[i].value);
    }
    arena_deinit(&session->arena);
    free(session);
    return 0;
}
