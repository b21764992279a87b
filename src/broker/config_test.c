/* config: names, values, files and listeners. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker/config.h"
#include "broker/listeners.h"
#include "broker/topic_config.h"

static int config_setup(void **state)
{
    static struct config config;
    *state = &config;
    return err_failed(config_init(&config)) ? -1 : 0;
}

static int config_teardown(void **state)
{
    config_deinit(*state);
    return 0;
}

/* Reads the text; returns the error's sentence, or "" when it was fine. */
static const char *read_text(struct config *config, const char *text)
{
    static struct diag diag;
    diag_clear(&diag);
    struct err err = config_read_properties(config, span_text(text), &diag);
    assert_int_equal(err_failed(err), diag.text[0] != '\0');
    return diag.text;
}

static void properties_are_read_as_java_reads_them(void **state)
{
    struct config *config = *state;
    const char *text = "# a comment\n"
                       "  ! another\n"
                       "num.partitions = 3\n"
                       "log.dirs:/tmp/a\\\n      b\r\n"
                       "log.retention.ms 5\n"
                       "\n"
                       "compression.type=pro\\u0064ucer";
    assert_string_equal(read_text(config, text), "");
    assert_int_equal(config_number(config, CONFIG_NUM_PARTITIONS), 3);
    assert_string_equal(config_text(config, CONFIG_LOG_DIR), "/tmp/ab");
    assert_int_equal(config_number(config, CONFIG_LOG_RETENTION_MS), 5);
    assert_string_equal(config_text(config, CONFIG_COMPRESSION_TYPE), "producer");
    assert_int_equal(config->values[CONFIG_LOG_RETENTION_MS].line, 6);
}

static void escapes_are_read_as_java_reads_them(void **state)
{
    struct config *config = *state;
    assert_string_equal(read_text(config, "log.dirs=a\\t\\n\\r\\f\\x\\u00e9\\u20AC\\"), "");
    assert_string_equal(config_text(config, CONFIG_LOG_DIR), "a\t\n\r\fx\xc3\xa9\xe2\x82\xac");
    assert_string_equal(read_text(config, "\nlog.dirs=\\u12g4"),
                        "line 2: \\u needs four hexadecimal digits");
    assert_string_equal(read_text(config, "log.dirs=\\u12"),
                        "line 1: \\u needs four hexadecimal digits");
}

static void misspelt_property_names_line_and_nearest(void **state)
{
    assert_string_equal(read_text(*state, "a=b\n"), "line 1: unknown property a");
    assert_string_equal(read_text(*state, "\nlog.segment.byte=1\n"),
                        "line 2: unknown property log.segment.byte; did you mean "
                        "log.segment.bytes?");
}

static void ill_typed_value_says_what_it_must_be(void **state)
{
    assert_string_equal(read_text(*state, "num.partitions=many"),
                        "line 1: num.partitions is \"many\" but must be a whole number");
    assert_string_equal(read_text(*state, "num.partitions=0"),
                        "line 1: num.partitions is 0 but must be between 1 and 2147483647");
    assert_string_equal(read_text(*state, "delete.topic.enable=yes"),
                        "line 1: delete.topic.enable is \"yes\" but must be true or false");
    assert_string_equal(read_text(*state, "headrace.flush=never"),
                        "line 1: headrace.flush is \"never\" but must be one of disk,os");
    assert_string_equal(read_text(*state, "log.cleaner.min.cleanable.ratio=half"),
                        "line 1: log.cleaner.min.cleanable.ratio is \"half\" but must be a number");
    assert_string_equal(
        read_text(*state, "log.cleaner.min.cleanable.ratio=1.5"),
        "line 1: log.cleaner.min.cleanable.ratio is 1.5 but must be between 0 and 1");
    assert_string_equal(read_text(*state, "num.partitions=1111111111111111111111111111111111111111"
                                          "1111111111111111111111111111111111"),
                        "line 1: num.partitions is 74 characters long but must be a number");
    assert_string_equal(read_text(*state, "log.cleanup.policy=delete,shred"),
                        "line 1: log.cleanup.policy is \"shred\" but must be made of "
                        "delete,compact");
}

static void known_property_without_effect_is_a_warning(void **state)
{
    struct config *config = *state;
    assert_string_equal(read_text(config, "replica.lag.time.max.ms=1\n"), "");
    assert_true(span_equal_text(buf_span(&config->warnings),
                                "line 1: replica.lag.time.max.ms has no effect: one machine "
                                "keeps one copy of each partition\n"));
}

static void finer_unit_outranks_coarser_whatever_the_order(void **state)
{
    struct config *config = *state;
    assert_string_equal(read_text(config, "log.retention.minutes=2\nlog.retention.hours=9\n"), "");
    assert_int_equal(config_number(config, CONFIG_LOG_RETENTION_MS), 120000);
    assert_string_equal(read_text(config, "log.retention.ms=7\nlog.retention.minutes=3\n"), "");
    assert_int_equal(config_number(config, CONFIG_LOG_RETENTION_MS), 7);
    assert_string_equal(read_text(config, "log.retention.hours=-1\n"), "");
}

static void flag_outranks_file(void **state)
{
    struct config *config = *state;
    struct diag diag;
    assert_false(err_failed(config_set(config, span_text("num.partitions"), span_text("8"),
                                       CONFIG_FROM_FLAG, 0, &diag)));
    assert_string_equal(read_text(config, "num.partitions=2\n"), "");
    assert_int_equal(config_number(config, CONFIG_NUM_PARTITIONS), 8);
}

/* Parses the two listener properties; returns the error's sentence. */
static const char *parse_listeners(struct config *config, const char *text,
                                   struct listeners *listeners)
{
    static struct diag diag;
    diag_clear(&diag);
    assert_string_equal(read_text(config, text), "");
    struct err err = listeners_from_config(config, listeners, &diag);
    assert_int_equal(err_failed(err), diag.text[0] != '\0');
    return diag.text;
}

static void stock_kafka_listeners_leave_the_controller_out(void **state)
{
    struct listeners listeners;
    assert_string_equal(parse_listeners(*state,
                                        "listeners=PLAINTEXT://:9092,CONTROLLER://:9093\n"
                                        "advertised.listeners=PLAINTEXT://localhost:9092,"
                                        "CONTROLLER://localhost:9093\n"
                                        "controller.listener.names=CONTROLLER\n",
                                        &listeners),
                        "");
    assert_int_equal(listeners.count, 1);
    assert_string_equal(listeners.addresses[0].host, "");
    assert_string_equal(listeners.addresses[0].advertised_host, "localhost");
    assert_int_equal(listeners.addresses[0].advertised_port, 9092);
}

static void wildcard_without_advertised_address_is_refused(void **state)
{
    struct listeners listeners;
    assert_string_equal(parse_listeners(*state, "listeners=PLAINTEXT://0.0.0.0:9092", &listeners),
                        "listener PLAINTEXT is on all addresses, so advertised.listeners must say "
                        "what clients connect to, such as PLAINTEXT://localhost:9092");
}

static void own_listener_names_need_a_protocol_that_is_served(void **state)
{
    struct listeners listeners;
    assert_string_equal(
        parse_listeners(*state,
                        "listeners=IN://127.0.0.1:1,OUT://[::1]:2\n"
                        "listener.security.protocol.map=IN:PLAINTEXT,OUT:PLAINTEXT\n",
                        &listeners),
        "");
    assert_int_equal(listeners.count, 2);
    assert_string_equal(listeners.addresses[1].host, "::1");
    assert_string_equal(parse_listeners(*state, "listeners=SSL://127.0.0.1:9093", &listeners),
                        "listener SSL has the protocol SSL, but only PLAINTEXT is served yet");
}

static void listener_that_makes_no_sense_is_refused_with_its_text(void **state)
{
    static const char *const cases[][2] = {
        {"listeners=localhost:9092", "listener \"localhost:9092\" is not NAME://HOST:PORT"},
        {"listeners=://localhost:9092",
         "listener \"://localhost:9092\" has no name of 1 to 63 characters"},
        {"listeners=PLAINTEXT://localhost",
         "listener PLAINTEXT://localhost: \"localhost\" is not HOST:PORT"},
        {"listeners=PLAINTEXT://::1:9092",
         "listener PLAINTEXT://::1:9092: an IPv6 address is written [::1]:PORT"},
        {"listeners=PLAINTEXT://localhost:99999",
         "listener PLAINTEXT://localhost:99999: port \"99999\" is not between 0 and 65535"},
        {"listeners=PLAINTEXT://localhost:9a",
         "listener PLAINTEXT://localhost:9a: port \"9a\" is not between 0 and 65535"},
        {"listeners=PLAINTEXT://a:1,PLAINTEXT://b:2", "two listeners are named PLAINTEXT"},
        {"listeners=PLAINTEXT://a:1\nadvertised.listeners=OTHER://a:1",
         "advertised listener OTHER is not among the listeners"},
        {"listeners=PLAINTEXT://:1\nadvertised.listeners=PLAINTEXT://0.0.0.0:1",
         "advertised listener PLAINTEXT names no host that a client can connect to"},
        {"listeners=CONTROLLER://a:1\nadvertised.listeners=\ncontroller.listener.names=CONTROLLER",
         "listeners names no listener for clients"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct listeners listeners;
        assert_string_equal(parse_listeners(*state, cases[i][0], &listeners), cases[i][1]);
    }
}

static void topic_config_that_is_not_obeyed_is_refused_with_a_reason(void **state)
{
    (void)state;
    struct topic_overrides overrides = {0};
    struct diag diag;
    assert_true(
        err_failed(topic_overrides_set(&overrides, span_text("flush.ms"), span_text("1"), &diag)));
    assert_string_equal(diag.text, "flush.ms cannot be set here: flushing follows acks and "
                                   "headrace.flush");
    assert_true(err_failed(
        topic_overrides_set(&overrides, span_text("retention.mss"), span_text("1"), &diag)));
    assert_string_equal(diag.text,
                        "Unknown topic config name: retention.mss; did you mean retention.ms?");
    assert_null(overrides.texts[TOPIC_RETENTION_MS]);
}

static void topic_override_counts_until_it_is_removed(void **state)
{
    struct config *config = *state;
    struct topic_overrides overrides = {0};
    struct topic_settings settings;
    struct span name = span_text("retention.ms");
    assert_false(err_failed(topic_overrides_set(&overrides, name, span_text("77"), NULL)));
    topic_settings_resolve(&overrides, config, &settings);
    assert_int_equal(settings.log.retention_ms, 77);
    assert_false(err_failed(topic_overrides_set(&overrides, name, SPAN_NULL, NULL)));
    topic_settings_resolve(&overrides, config, &settings);
    assert_int_equal(settings.log.retention_ms, 604800000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, config_setup, config_teardown)
    const struct CMUnitTest tests[] = {
        TEST(properties_are_read_as_java_reads_them),
        TEST(escapes_are_read_as_java_reads_them),
        TEST(misspelt_property_names_line_and_nearest),
        TEST(ill_typed_value_says_what_it_must_be),
        TEST(known_property_without_effect_is_a_warning),
        TEST(finer_unit_outranks_coarser_whatever_the_order),
        TEST(flag_outranks_file),
        TEST(stock_kafka_listeners_leave_the_controller_out),
        TEST(wildcard_without_advertised_address_is_refused),
        TEST(own_listener_names_need_a_protocol_that_is_served),
        TEST(listener_that_makes_no_sense_is_refused_with_its_text),
        TEST(topic_config_that_is_not_obeyed_is_refused_with_a_reason),
        TEST(topic_override_counts_until_it_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
