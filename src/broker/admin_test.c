/* admin_test: changes of topics that several threads ask for at the same time. */
#include "support/broker_fixture.h"

#include <stdatomic.h>

#include "os/os_thread.h"

#define EDIT_COUNT 2000

/* One who sets a config of its own to 1, 2, 3 and so on, and finds it so each time. */
struct editor {
    struct topic_edit edit;
    struct broker *broker;
    struct topic *topic;
    enum topic_config_id id;
    atomic_int *waiting; /* editors that have not begun: all begin together */
    long number;         /* last set */
    long lost_count;     /* how often another number, or none, was found */
    long error_count;
};

static struct err add_one(struct topic_edit *edit, struct topic_overrides *overrides,
                          struct diag *diag)
{
    struct editor *editor = LIST_ENTRY(edit, struct editor, edit);
    const char *found = overrides->texts[editor->id];
    char text[32];
    if ((found == NULL ? 0 : strtol(found, NULL, 10)) != editor->number)
        editor->lost_count++;
    (void)snprintf(text, sizeof text, "%ld", ++editor->number);
    return topic_overrides_set(overrides, span_text(topic_config_name(editor->id)), span_text(text),
                               diag);
}

static void edit_all(void *argument)
{
    struct editor *editor = argument;
    atomic_fetch_sub(editor->waiting, 1);
    while (atomic_load(editor->waiting) != 0)
        continue;
    for (int i = 0; i < EDIT_COUNT; i++) {
        int64_t commit;
        struct err err =
            admin_configure_topic(editor->broker, editor->topic, &editor->edit, &commit, NULL);
        editor->error_count += err_failed(err);
    }
}

static void no_edit_is_lost_where_two_change_a_topic_at_once(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, 1);
    broker_fixture_open(&fixture);
    struct topic *topic = broker_fixture_make(&fixture, "events", 1);
    struct editor editors[] = {{.id = TOPIC_RETENTION_MS}, {.id = TOPIC_RETENTION_BYTES}};
    const struct os_threads *threads = os_real()->threads;
    struct os_thread *running[2];
    atomic_int waiting = 2;
    for (int i = 0; i < 2; i++) {
        editors[i].edit.apply = add_one;
        editors[i].broker = fixture.broker;
        editors[i].topic = topic;
        editors[i].waiting = &waiting;
        assert_ok(thread_start(threads, "edit", edit_all, &editors[i], &running[i]));
    }
    for (int i = 0; i < 2; i++) {
        thread_join(threads, running[i]);
        assert_int_equal(editors[i].lost_count, 0);
        assert_int_equal(editors[i].error_count, 0);
        assert_int_equal(editors[i].number, EDIT_COUNT);
    }
    topic_unref(topic);
    broker_fixture_close(&fixture);
    broker_fixture_deinit(&fixture);
}

static struct err refuse(struct topic_edit *edit, struct topic_overrides *overrides,
                         struct diag *diag)
{
    (void)edit;
    assert_ok(topic_overrides_set(overrides, span_text("retention.ms"), span_text("1"), diag));
    return err_make(ERR_INVALID);
}

static void refused_edit_changes_nothing(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, 1);
    broker_fixture_open(&fixture);
    struct topic *topic = broker_fixture_make(&fixture, "events", 1);
    struct topic_edit edit = {.apply = refuse};
    struct topic_overrides overrides;
    int64_t commit;
    assert_true(
        err_is(admin_configure_topic(fixture.broker, topic, &edit, &commit, NULL), ERR_INVALID));
    assert_ok(topic_read_recorded(topic, &overrides));
    assert_null(overrides.texts[TOPIC_RETENTION_MS]);
    topic_overrides_deinit(&overrides);
    topic_unref(topic);
    broker_fixture_close(&fixture);
    broker_fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_edit_is_lost_where_two_change_a_topic_at_once),
        cmocka_unit_test(refused_edit_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
