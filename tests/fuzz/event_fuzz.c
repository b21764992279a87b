/*
 * event_fuzz: records that say they are CloudEvents, records of parked topics, and metadata of
 * offsets, all of which others may have written. None may hurt; what can be read can be written and
 * read again.
 */
#include "base/check.h"
#include "flow/cloudevent.h"
#include "flow/dead_letter.h"
#include "flow/delivery/parked.h"
#include "flow/delivery/progress.h"

#define ARENA_SIZE_MAX ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_again(const struct cloudevent *event, struct json_reader *json,
                       struct arena *arena)
{
    struct buf text;
    struct json_value object;
    struct cloudevent again;
    struct diag diag = {""};
    buf_init(&text, ARENA_SIZE_MAX);
    CHECK(!err_failed(cloudevent_write_json(event, json, arena, &text)));
    CHECK(!err_failed(json_read(json, buf_span(&text), arena, &object)));
    CHECK(!err_failed(cloudevent_from_json(&object, arena, &again, &diag)));
    CHECK(again.attribute_count == event->attribute_count);
    CHECK(span_is_null(again.data) == span_is_null(event->data));
    buf_deinit(&text);
}

static void fuzz_event(struct span value, bool is_structured)
{
    const struct client_header headers[] = {{is_structured ? "content-type" : "ce_type",
                                             is_structured ? span_text(CLOUDEVENT_JSON) : value},
                                            {"ce_note", value}};
    const struct client_message message = {
        .topic = "t", .value = value, .headers = headers, .header_count = 2};
    struct json_reader *json;
    struct arena arena;
    struct cloudevent event;
    struct diag diag = {""};
    arena_init(&arena, ARENA_SIZE_MAX);
    CHECK(!err_failed(json_reader_create(&json)));
    struct err err = cloudevent_read(&message, json, &arena, &event, &diag);
    CHECK(!err_failed(err) || err_is(err, ERR_INVALID));
    if (!err_failed(err) && is_structured)
        read_again(&event, json, &arena);
    json_reader_destroy(json);
    arena_deinit(&arena);
}

static void fuzz_metadata(struct span text)
{
    const struct progress_place place = {"cluster", "topic", 0};
    struct arena arena;
    struct progress progress;
    bool is_believed;
    arena_init(&arena, ARENA_SIZE_MAX);
    const char *metadata = arena_copy_text(&arena, text);
    CHECK(metadata != NULL);
    progress_init(&progress, 100);
    CHECK(!err_failed(progress_load(&progress, &place, metadata, &is_believed)));
    for (size_t i = 1; i < progress.loaded_count; i++)
        CHECK(progress.loaded[i - 1].end < progress.loaded[i].first);
    progress_deinit(&progress);
    arena_deinit(&arena);
}

/* A record of a parked topic that anybody may have written: what is read of it can be written, and
 * is then read the same. */
static void fuzz_parked(struct span text)
{
    size_t half = text.size / 2;
    const struct client_header headers[] = {
        {"__parked.due", text}, {"__parked.attempts", text}, {"mine", text}};
    const struct client_message record = {.key = span_make(text.data, half),
                                          .value = span_make(text.data + half, text.size - half),
                                          .headers = headers,
                                          .header_count = sizeof headers / sizeof headers[0]};
    struct client_message written;
    struct parked parked;
    struct parked again;
    struct arena arena;
    bool is_parked;
    bool is_gone;
    arena_init(&arena, ARENA_SIZE_MAX);
    struct dead_letter letter;
    CHECK(!dead_letter_read(&record, &letter)); /* it does not say whose it is */
    CHECK(!err_failed(parked_read(&record, &arena, &parked, &is_parked, &is_gone)));
    if (is_parked) {
        CHECK(!err_failed(parked_write(&parked, "p", &arena, &written)));
        CHECK(!err_failed(parked_read(&written, &arena, &again, &is_parked, &is_gone)));
        CHECK(is_parked && !is_gone);
        CHECK(strcmp(again.event.topic, parked.event.topic) == 0);
        CHECK(again.event.offset == parked.event.offset && again.due_ms == parked.due_ms);
        CHECK(again.event.header_count == parked.event.header_count);
        CHECK(span_equal(again.event.value, parked.event.value));
    }
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct span rest = span_make(data + 1, size - 1);
    if (data[0] % 4 == 0)
        fuzz_metadata(rest);
    else if (data[0] % 4 == 3)
        fuzz_parked(rest);
    else
        fuzz_event(rest, data[0] % 4 != 1);
    return 0;
}
