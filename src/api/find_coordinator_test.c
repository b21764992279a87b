/* find_coordinator: what a client asks before it works: the cluster, its coordinator, its id. */
#include "support/api_fixture.h"

#include "wire/describe_cluster.h"
#include "wire/find_coordinator.h"
#include "wire/init_producer_id.h"

/* Kafka's numbers. */
enum { KEY_GROUP, KEY_TRANSACTION, KEY_SHARE };
enum { ENDPOINT_BROKERS = 1, ENDPOINT_CONTROLLERS = 2 };

static int setup(void **state)
{
    static struct api_fixture fixture;
    api_fixture_init(&fixture);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    api_fixture_deinit(*state);
    return 0;
}

static int32_t self(struct api_fixture *fixture)
{
    return (int32_t)config_number(&fixture->coord.broker.config, CONFIG_NODE_ID);
}

static int16_t find_one(struct api_fixture *fixture, int16_t version, int8_t key_type,
                        struct find_coordinator_response *answer)
{
    struct find_coordinator_request asked;
    find_coordinator_request_init(&asked);
    asked.key = span_text("g");
    asked.key_type = key_type;
    API_ASK(fixture, API_FIND_COORDINATOR, find_coordinator, version, &asked, answer);
    assert_int_equal(answer->node_id, answer->error_code == KAFKA_NONE ? self(fixture) : -1);
    return answer->error_code;
}

static void the_one_broker_coordinates_every_group(void **state)
{
    struct api_fixture *fixture = *state;
    struct find_coordinator_response answer;
    for (int16_t version = 0; version <= 3; version++) {
        int8_t type = version == 0 ? KEY_GROUP : KEY_TRANSACTION;
        assert_int_equal(find_one(fixture, version, type, &answer), KAFKA_NONE);
        assert_true(span_equal_text(answer.host, "broker.example"));
        assert_int_equal(answer.port, 9092);
    }
    struct span keys[] = {span_text("g"), span_text("h")};
    struct find_coordinator_request asked;
    find_coordinator_request_init(&asked);
    asked.coordinator_keys = keys;
    asked.coordinator_keys_count = 2;
    for (int16_t version = 4; version <= 6; version++) {
        API_ASK(fixture, API_FIND_COORDINATOR, find_coordinator, version, &asked, &answer);
        CHECK(answer.coordinators_count == 2);
        assert_true(span_equal_text(answer.coordinators[1].key, "h"));
        assert_int_equal(answer.coordinators[1].error_code, KAFKA_NONE);
        assert_int_equal(answer.coordinators[1].node_id, self(fixture));
        assert_int_equal(answer.coordinators[1].port, 9092);
    }
}

static void kinds_that_are_not_served_are_refused_with_a_reason(void **state)
{
    struct api_fixture *fixture = *state;
    struct find_coordinator_response answer;
    assert_int_equal(find_one(fixture, 3, KEY_SHARE, &answer), KAFKA_INVALID_REQUEST);
    assert_int_equal(find_one(fixture, 3, 9, &answer), KAFKA_INVALID_REQUEST);
    assert_false(span_is_null(answer.error_message));
}

static struct init_producer_id_response init_as(struct api_fixture *fixture,
                                                const char *transactional_id, int64_t producer_id,
                                                int16_t epoch)
{
    struct init_producer_id_request asked;
    struct init_producer_id_response answer;
    init_producer_id_request_init(&asked);
    asked.transactional_id = text_or_null(transactional_id);
    asked.transaction_timeout_ms = 60000;
    asked.producer_id = producer_id;
    asked.producer_epoch = epoch;
    API_ASK(fixture, API_INIT_PRODUCER_ID, init_producer_id, 5, &asked, &answer);
    return answer;
}

static void no_producer_id_is_given_twice_whatever_crashes(void **state)
{
    struct api_fixture *fixture = *state;
    int64_t last = -1;
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            struct init_producer_id_response answer = init_as(fixture, NULL, -1, -1);
            assert_int_equal(answer.error_code, KAFKA_NONE);
            assert_int_equal(answer.producer_epoch, 0);
            assert_true(answer.producer_id > last);
            last = answer.producer_id;
        }
        api_fixture_crash(fixture);
    }
    struct init_producer_id_response again = init_as(fixture, NULL, last, 3);
    assert_true(again.producer_id > last); /* without a transactional id, always a fresh one */
}

static void producer_id_without_its_epoch_is_refused(void **state)
{
    struct api_fixture *fixture = *state;
    struct init_producer_id_response answer = init_as(fixture, NULL, 7, -1);
    assert_int_equal(answer.error_code, KAFKA_INVALID_REQUEST);
    assert_int_equal(answer.producer_id, -1);
    assert_int_equal(answer.producer_epoch, -1);
    assert_int_equal(init_as(fixture, NULL, -1, 3).error_code, KAFKA_INVALID_REQUEST);
    assert_int_equal(init_as(fixture, "", -1, -1).error_code, KAFKA_INVALID_REQUEST);
}

static void transactional_producer_keeps_its_id_and_raises_its_epoch(void **state)
{
    struct api_fixture *fixture = *state;
    struct find_coordinator_response found;
    assert_int_equal(init_as(fixture, "t", -1, -1).error_code, KAFKA_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(find_one(fixture, 3, KEY_TRANSACTION, &found), KAFKA_NONE);
    struct init_producer_id_response first = init_as(fixture, "t", -1, -1);
    assert_int_equal(first.error_code, KAFKA_NONE);
    assert_int_equal(first.producer_epoch, 0);
    struct init_producer_id_response second = init_as(fixture, "t", -1, -1);
    assert_int_equal(second.producer_id, first.producer_id);
    assert_int_equal(second.producer_epoch, 1);
    assert_int_equal(init_as(fixture, "t", first.producer_id, 0).error_code, KAFKA_PRODUCER_FENCED);
}

static void producer_id_that_cannot_be_recorded_is_not_given(void **state)
{
    struct api_fixture *fixture = *state;
    mem_disk_fail(fixture->coord.broker.base.disk, MEM_DISK_WRITE, 1);
    struct init_producer_id_response answer = init_as(fixture, NULL, -1, -1);
    assert_int_equal(answer.error_code, KAFKA_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(answer.producer_id, -1);
    assert_int_equal(init_as(fixture, NULL, -1, -1).error_code, KAFKA_NONE);
}

static void cluster_is_one_broker_and_no_controller(void **state)
{
    struct api_fixture *fixture = *state;
    struct describe_cluster_request asked;
    struct describe_cluster_response answer;
    describe_cluster_request_init(&asked);
    API_ASK(fixture, API_DESCRIBE_CLUSTER, describe_cluster, 2, &asked, &answer);
    assert_int_equal(answer.error_code, KAFKA_NONE);
    assert_true(span_equal_text(answer.cluster_id, fixture->coord.broker.broker->cluster_id));
    assert_int_equal(answer.controller_id, self(fixture));
    CHECK(answer.brokers_count == 1);
    assert_int_equal(answer.brokers[0].broker_id, self(fixture));
    assert_true(span_equal_text(answer.brokers[0].host, "broker.example"));
    assert_int_equal(answer.cluster_authorized_operations, INT32_MIN); /* nobody asked */
    asked.include_cluster_authorized_operations = true;
    API_ASK(fixture, API_DESCRIBE_CLUSTER, describe_cluster, 2, &asked, &answer);
    assert_true(answer.cluster_authorized_operations > 0);
    asked.endpoint_type = ENDPOINT_CONTROLLERS;
    API_ASK(fixture, API_DESCRIBE_CLUSTER, describe_cluster, 2, &asked, &answer);
    assert_int_equal(answer.error_code, KAFKA_MISMATCHED_ENDPOINT_TYPE);
    assert_int_equal(answer.brokers_count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_one_broker_coordinates_every_group),
        TEST(kinds_that_are_not_served_are_refused_with_a_reason),
        TEST(no_producer_id_is_given_twice_whatever_crashes),
        TEST(producer_id_without_its_epoch_is_refused),
        TEST(transactional_producer_keeps_its_id_and_raises_its_epoch),
        TEST(producer_id_that_cannot_be_recorded_is_not_given),
        TEST(cluster_is_one_broker_and_no_controller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
