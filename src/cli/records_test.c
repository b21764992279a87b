/* produce and consume: what they send and print, and how they end, against a cluster in memory. */
#include "support/memory_fixture.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/commands.h"

#define PATH "/tmp/headrace-records-test.XXXXXX"

/* A word and its option's key, as the command line would give them; 0 ends a list. */
struct given {
    int key;
    const char *argument;
};

static void write_file(const char *path, struct span text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text.data, 1, text.size, file), text.size);
    assert_int_equal(fclose(file), 0);
}

/* Runs a command as command_main would behind its connecting; returns its error. */
static struct err run(struct memory_fixture *fixture, const struct command *command,
                      const struct given *given, const char *path, const char *group)
{
    struct session *session = calloc(1, command->size);
    assert_non_null(session);
    char topic[] = "events";
    char file[64];
    (void)snprintf(file, sizeof file, "%s", path);
    char *words[] = {topic, file};
    session->command = command;
    session->words = words;
    session->word_count = 2;
    session->timeout_ms = 1000;
    session->client = memory_fixture_connect(fixture, group);
    arena_init(&session->arena, 1 << 20);
    buf_init(&session->out, 1 << 20);
    struct err err = ERR_NONE;
    for (; given->key != 0 && !err_failed(err); given++) {
        char *argument = given->argument == NULL
                             ? NULL
                             : arena_copy_text(&session->arena, span_text(given->argument));
        err = command->option(session, given->key, argument);
    }
    if (!err_failed(err))
        err = command->run(session);
    fixture->diag = session->diag;
    client_close(session->client);
    buf_deinit(&session->out);
    arena_deinit(&session->arena);
    free(session);
    return err;
}

/* Sends the lines of a text by `headrace produce`. */
static struct err produce(struct memory_fixture *fixture, const struct given *given,
                          struct span text)
{
    char path[] = PATH;
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(close(file), 0);
    write_file(path, text);
    struct err err = run(fixture, &produce_command, given, path, NULL);
    assert_int_equal(unlink(path), 0);
    return err;
}

/* What `headrace consume` prints; "" when it fails, *err says why. */
static const char *consume(struct memory_fixture *fixture, const struct given *given,
                           const char *group, struct err *err)
{
    static char text[4096];
    char path[] = PATH;
    int file = mkstemp(path);
    assert_true(file >= 0);
    struct given all[8] = {{'O', path}};
    for (size_t i = 0; given[i].key != 0; i++)
        all[i + 1] = given[i];
    *err = run(fixture, &consume_command, all, path, group);
    ssize_t size = read(file, text, sizeof text - 1);
    assert_true(size >= 0);
    text[size] = '\0';
    assert_int_equal(close(file), 0);
    assert_int_equal(unlink(path), 0);
    return text;
}

static void expect(struct memory_fixture *fixture, const struct given *given, const char *wanted)
{
    struct err err;
    const char *text = consume(fixture, given, NULL, &err);
    assert_ok(err);
    assert_string_equal(text, wanted);
}

#define GIVEN(...) ((const struct given[]){__VA_ARGS__, {0}})

static void lines_become_messages_with_keys_and_headers(void **state)
{
    struct memory_fixture *fixture = *state;
    assert_ok(produce(fixture, GIVEN({'p', "1"}, {'k', ":"}, {1000, "|"}, {'H', "all=yes"}),
                      span_text("a=1,b=|k:v\n|no key\n|:\n")));
    expect(fixture, GIVEN({'e', NULL}, {'f', "%p %o [%k] [%v] %h\\n"}),
           "1 0 [k] [v] all=yes,a=1,b=\n"
           "1 1 [] [no key] all=yes\n"
           "1 2 [] [] all=yes\n");
}

static void empty_becomes_null_when_asked(void **state)
{
    struct memory_fixture *fixture = *state;
    assert_ok(produce(fixture, GIVEN({'p', "0"}, {'k', ":"}, {'Z', NULL}), span_text("k:\n:v\n")));
    expect(fixture, GIVEN({'e', NULL}, {'f', "%K %S\\n"}), "1 -1\n-1 1\n");
}

static void whole_file_is_one_message_whatever_its_bytes(void **state)
{
    struct memory_fixture *fixture = *state;
    assert_ok(produce(fixture, GIVEN({'F', NULL}, {'p', "0"}), span_make("a\n\0b\n", 5)));
    expect(fixture, GIVEN({'e', NULL}, {'f', "%S\\n"}), "5\n");
}

static void line_without_its_headers_ends_it_behind_what_was_sent(void **state)
{
    struct memory_fixture *fixture = *state;
    struct err err =
        produce(fixture, GIVEN({'p', "0"}, {1000, "|"}), span_text("a=1|good\nbad\na=1|never\n"));
    assert_true(err_is(err, ERR_INVALID));
    assert_non_null(strstr(fixture->diag.text, "line 2 has no \"|\""));
    expect(fixture, GIVEN({'e', NULL}), "good\n");
}

static void lost_message_is_an_error(void **state)
{
    struct memory_fixture *fixture = *state;
    memory_cluster_fail(fixture->cluster, MEMORY_SEND, 2, ERR_TIMEOUT);
    assert_true(err_is(produce(fixture, GIVEN({'p', "0"}), span_text("1\n2\n3\n")), ERR_TIMEOUT));
    assert_true(err_is(produce(fixture, GIVEN({'p', "4"}), span_text("1\n")), ERR_NOT_FOUND));
}

static void fill(struct memory_fixture *fixture)
{
    struct client *client = memory_fixture_connect(fixture, NULL);
    for (int i = 0; i < 5; i++, fixture->now_ms += 1000)
        memory_fixture_send(client, 0, NULL, (const char *[]){"0", "1", "2", "3", "4"}[i]);
    memory_fixture_send(client, 2, NULL, "two");
    client_close(client);
}

static void range_is_read_from_its_first_to_before_its_last(void **state)
{
    struct memory_fixture *fixture = *state;
    fill(fixture);
    expect(fixture, GIVEN({'p', "0"}, {'o', "1:3"}), "1\n2\n");
    expect(fixture, GIVEN({'p', "0"}, {'o', "-2:end"}), "3\n4\n");
    expect(fixture, GIVEN({'p', "0"}, {'o', "@1700000002000:@1700000004000"}), "2\n3\n");
    expect(fixture, GIVEN({'p', "0"}, {'o', "3"}, {'n', "1"}), "3\n");
    expect(fixture, GIVEN({'p', "1"}, {'e', NULL}), "");
    expect(fixture, GIVEN({'e', NULL}, {'n', "2"}, {'p', "2"}), "two\n");
}

static void partition_that_is_not_there_is_not_found(void **state)
{
    struct memory_fixture *fixture = *state;
    struct err err;
    (void)consume(fixture, GIVEN({'e', NULL}, {'p', "4"}), NULL, &err);
    assert_true(err_is(err, ERR_NOT_FOUND));
    assert_string_equal(fixture->diag.text, "topic events has no partition 4");
}

static void group_goes_on_behind_what_was_printed(void **state)
{
    struct memory_fixture *fixture = *state;
    struct err err;
    fill(fixture);
    (void)consume(fixture, GIVEN({'g', "g"}, {'n', "4"}), "g", &err);
    assert_ok(err);
    memory_cluster_fail(fixture->cluster, MEMORY_RECEIVE, 2, ERR_CLOSED);
    (void)consume(fixture, GIVEN({'g', "g"}, {'n', "2"}), "g", &err);
    assert_true(err_is(err, ERR_CLOSED)); /* ended early: nothing of it is committed */
    const char *text = consume(fixture, GIVEN({'g', "g"}, {'n', "2"}, {'f', "%v "}), "g", &err);
    assert_ok(err);
    assert_string_equal(text, "3 4 ");
}

static void group_goes_with_no_place_of_its_own(void **state)
{
    struct memory_fixture *fixture = *state;
    struct err err;
    (void)consume(fixture, GIVEN({'g', "g"}, {'e', NULL}), "g", &err);
    assert_true(err_is(err, ERR_INVALID));
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, memory_fixture_setup, memory_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_become_messages_with_keys_and_headers),
        TEST(empty_becomes_null_when_asked),
        TEST(whole_file_is_one_message_whatever_its_bytes),
        TEST(line_without_its_headers_ends_it_behind_what_was_sent),
        TEST(lost_message_is_an_error),
        TEST(range_is_read_from_its_first_to_before_its_last),
        TEST(partition_that_is_not_there_is_not_found),
        TEST(group_goes_on_behind_what_was_printed),
        TEST(group_goes_with_no_place_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
