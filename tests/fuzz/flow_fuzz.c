/* flow_fuzz: random bytes as a flow file: taken and drawn, or refused with sentences that have
 * places within the file. */
#include "base/check.h"
#include "flow/graph.h"

#define ARENA_SIZE_MAX ((size_t)256 * 1024 * 1024)
#define OUT_SIZE_MAX ((size_t)16 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7.12 loses a KiB where a long word in single quotes with doubled ones is not YAML. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml";
}

static const char *variable(void *context, const char *name)
{
    (void)context;
    return name[0] == 'X' ? "made-up" : NULL;
}

static struct err no_file(void *context, const char *path, struct arena *arena, struct span *text)
{
    (void)context;
    (void)path;
    (void)arena;
    (void)text;
    return err_make(ERR_NOT_FOUND);
}

static void check_problems(const struct flow_problems *problems, struct span text)
{
    uint32_t line_count = 1;
    for (size_t i = 0; i < text.size; i++)
        line_count += text.data[i] == '\n' || text.data[i] == '\r' || text.data[i] >= 0x80;
    for (size_t i = 0; i < problems->count; i++) {
        CHECK(problems->items[i].text[0] != '\0');
        CHECK(problems->items[i].place.line <= line_count + 1);
        CHECK((problems->items[i].place.line == 0) == (problems->items[i].place.column == 0));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct flow_problems problems;
    const struct flow_source source = {
        .variable = variable, .file = no_file, .may_lack = size % 2 == 0};
    struct arena arena;
    struct buf out;
    struct flow *flow;
    problems = (struct flow_problems){0};
    arena_init(&arena, ARENA_SIZE_MAX);
    struct err err = flow_read(span_make(data, size), &source, &arena, &problems, &flow);
    CHECK(!err_failed(err) || err_is(err, ERR_NO_MEMORY));
    check_problems(&problems, span_make(data, size));
    if (!err_failed(err) && problems.error_count == 0) {
        CHECK(flow != NULL && flow->handlers.count > 0);
        buf_init(&out, OUT_SIZE_MAX);
        CHECK(!err_failed(flow_write_mermaid(flow, &arena, &out)));
        CHECK(!err_failed(flow_write_picture(flow, &arena, &out)));
        buf_deinit(&out);
    }
    arena_deinit(&arena);
    return 0;
}
