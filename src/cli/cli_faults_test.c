/*
 * cli_faults: memory is refused somewhere while a command reads its profile, asks for places and
 * prints. It ends with an error and half a line of output at most; nothing is leaked.
 */
#include "support/fail_alloc.h"
#include "support/memory_fixture.h"

#include "base/json.h"
#include "cli/message_format.h"
#include "cli/places.h"
#include "cli/profile.h"
#include "cli/table.h"

#define ROW_COUNT 40
#define OUT_SIZE_MAX (1 << 20)

static const char profiles[] = "client.id = me\n"
                               "[prod]\n"
                               "bootstrap.servers = a:1,b:2\n"
                               "sasl.username = me\n"
                               "sasl.password = secret\n";

static struct err read_profile(struct session *session)
{
    session->property_count = 0;
    return profile_read(session, span_text(profiles), "prod");
}

static struct err find_place(struct session *session)
{
    static struct client_partition partitions[4] = {{.id = 0}, {.id = 1}, {.id = 2}, {.id = 3}};
    const struct client_topic topic = {
        .name = "events", .partitions = partitions, .partition_count = 4};
    const struct place place = {.kind = PLACE_EARLIEST};
    struct client_offset *offsets;
    return places_resolve(session, &topic, &place, &offsets);
}

static struct err print_table(struct session *session)
{
    static const char *const columns[] = {"name", "number"};
    struct table table;
    buf_clear(&session->out);
    table_init(&table, session, columns, 2);
    for (int i = 0; i < ROW_COUNT; i++) {
        const char *cells[] = {"a", table_print(session, "%d", i)};
        TRY(table_add(&table, cells));
    }
    return table_write(&table);
}

static struct err write_messages(struct session *session)
{
    static const uint8_t value[] = {0xff, 0, 'x'};
    const struct client_header header = {"h", span_text("\"quoted\"")};
    const struct client_message message = {.topic = "t",
                                           .key = span_text("k"),
                                           .value = span_make(value, sizeof value),
                                           .headers = &header,
                                           .header_count = 1};
    buf_clear(&session->out);
    for (int i = 0; i < ROW_COUNT; i++) {
        TRY(message_format_write("%t %p %o %k %s %h\\n", &message, &session->out));
        TRY(message_format_json(&message, &session->out));
    }
    return ERR_NONE;
}

typedef struct err work(struct session *session);

/* Does it without memory and, where that is refused, once more with it. */
static bool attempt(void *context, uint32_t count)
{
    static work *const works[] = {read_profile, find_place, print_table, write_messages};
    struct session session = {.timeout_ms = 1000};
    session.client = memory_fixture_connect(context, NULL);
    arena_init(&session.arena, OUT_SIZE_MAX);
    buf_init(&session.out, OUT_SIZE_MAX);
    fail_alloc_arm(count);
    for (size_t i = 0; i < sizeof works / sizeof works[0]; i++) {
        struct err err = works[i](&session);
        assert_true(!err_failed(err) || err_is(err, ERR_NO_MEMORY));
        if (err_failed(err))
            assert_ok(works[i](&session));
    }
    bool has_failed = fail_alloc_disarm();
    assert_int_equal(session.property_count, 4);
    assert_string_equal(session.properties[3].value, "secret");
    buf_deinit(&session.out);
    arena_deinit(&session.arena);
    client_close(session.client);
    return has_failed;
}

static void what_was_refused_can_be_done_again(void **state)
{
    assert_true(fail_each(attempt, *state) >= 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_refused_can_be_done_again, memory_fixture_setup,
                                        memory_fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
