/* yaml: places, what is refused, and the bounds. */
#include "support/flow_fixture.h"

#include <stdio.h>

#include "flow/yaml.h"

#define DEEP 20

static struct yaml_node *read_tree(struct flow_fixture *fixture, const char *text)
{
    struct yaml_node *root;
    fixture->problems = (struct flow_problems){0};
    assert_false(
        err_failed(yaml_read(span_text(text), &fixture->arena, &fixture->problems, &root)));
    return root;
}

static void nodes_know_their_places(void **state)
{
    const struct yaml_node *root =
        read_tree(*state, "# a comment\na: {b: 'x y', c: [1, two]}\nempty:\nnothing: ~\n");
    assert_int_equal(root->kind, YAML_MAPPING);
    assert_int_equal(root->count, 3);
    const struct yaml_node *a = root->first;
    assert_true(span_equal_text(a->key, "a"));
    assert_int_equal(a->key_place.line, 2);
    assert_int_equal(a->place.column, 4);
    const struct yaml_node *b = a->first;
    assert_true(span_equal_text(b->text, "x y"));
    assert_false(b->is_plain);
    assert_int_equal(b->place.column, 8);
    const struct yaml_node *c = b->next;
    assert_int_equal(c->kind, YAML_SEQUENCE);
    assert_int_equal(c->count, 2);
    assert_true(span_equal_text(c->first->next->text, "two"));
    assert_true(c->first->is_plain);
    const struct yaml_node *empty = a->next;
    assert_int_equal(empty->kind, YAML_NULL);
    assert_int_equal(empty->place.line, 3); /* its key's: it has none of its own */
    assert_int_equal(empty->next->kind, YAML_NULL);
}

static void what_a_flow_has_no_use_for_is_refused(void **state)
{
    struct flow_fixture *fixture = *state;
    static const struct {
        const char *text;
        uint32_t line;
        uint32_t column;
        const char *sentence;
    } cases[] = {
        {"a: &x 1\n", 1, 4, "anchors and aliases are not for flow files: write it out"},
        {"a: *x\n", 1, 4, "anchors and aliases are not for flow files: write it out"},
        {"a: !!str 1\n", 1, 4, "tags are not for flow files"},
        {"a: 1\na: 2\n", 2, 1, "a stands here a second time"},
        {"[a]: 1\n", 1, 1, "a key is a word, not a list"},
        {"a: 1\n---\nb: 1\n", 2, 1, "a flow file holds one document"},
        {"a:\n\tb: 1\n", 2, 1, "a tab indents this line; YAML takes spaces"},
        {"a: \xff\n", 1, 4, "these bytes are not UTF-8 text"},
        {"a: \xed\xa0\x80\n", 1, 4, "these bytes are not UTF-8 text"},
        {"a: \"x\\0y\"\n", 1, 4, "a NUL stands here, where nothing may follow it"},
        {"\"x\\0\": 1\n", 1, 1, "a NUL stands here, where nothing may follow it"},
        {"a: 'x\n", 1, 4, "this is not YAML: single-quoted scalar without closing quote"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)read_tree(fixture, cases[i].text);
        assert_true(fixture->problems.error_count >= 1);
        const struct flow_problem *problem = &fixture->problems.items[0];
        assert_string_equal(problem->text, cases[i].sentence);
        assert_int_equal(problem->place.line, cases[i].line);
        if (strstr(problem->text, "not YAML") == NULL) /* libfyaml's own columns are its business */
            assert_int_equal(problem->place.column, cases[i].column);
    }
}

static void depth_and_number_are_bounded(void **state)
{
    struct flow_fixture *fixture = *state;
    char deep[2 * DEEP + 1];
    memset(deep, '[', DEEP);
    memset(deep + DEEP, ']', DEEP);
    deep[2 * DEEP] = '\0';
    assert_null(read_tree(fixture, deep));
    assert_string_equal(fixture->problems.items[0].text, "this is nested more than 16 deep");
    assert_int_equal(fixture->problems.items[0].place.column, YAML_DEPTH_MAX + 1);
    size_t size = 2 * YAML_NODE_COUNT_MAX + 8;
    char *wide = malloc(size);
    assert_non_null(wide);
    wide[0] = '[';
    for (size_t i = 1; i + 3 < size; i += 2)
        memcpy(wide + i, "1,", 2);
    (void)snprintf(wide + size - 3, 3, "1]");
    for (size_t i = 0; i + 3 < size; i++)
        wide[i] = wide[i] == '\0' ? ',' : wide[i];
    assert_null(read_tree(fixture, wide));
    assert_string_equal(fixture->problems.items[0].text,
                        "the file has more than 100000 keys and values");
    free(wide);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, flow_fixture_setup, flow_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(nodes_know_their_places),
        TEST(what_a_flow_has_no_use_for_is_refused),
        TEST(depth_and_number_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
