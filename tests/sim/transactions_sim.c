/*
 * transactions_sim: the broker, its coordinators and transactional producers, in one thread from
 * one seed, on a disk that forgets.
 *
 * Producers write to some partitions, commit an offset of one group, and commit or abort; each may
 * be replaced by another instance at any time, or sleep until its transaction's time is over. The
 * disk syncs when it is told to, runs full, or loses the power at a sync that the seed chooses;
 * then all starts again and the producers go on where their clients would.
 *
 * What the oracle holds it to:
 *  1. A transaction's records are seen by readers of committed records all or none.
 *  2. They are seen if its commit was answered, and not unless its commit was asked for.
 *  3. No record is seen twice, though it may have been sent twice.
 *  4. The group's offset is that of a committed transaction, and of none before one whose commit
 * was answered.
 *  5. The last stable offset never goes back; in the end nothing is undecided.
 *
 * A failure says its seed: SIM_SEED=7 SIM_SEEDS=1 runs that alone.
 */
#include "support/coord_fixture.h"

#include "coord/transactions.h"
#include "record/walk.h"

#define PRODUCER_COUNT 3
#define PARTITION_COUNT 3
#define TXN_COUNT_MAX 1024
#define WRITE_COUNT_MAX                                                                            \
    4 /* of one transaction in one partition: fewer than a partition remembers */
#define TIMEOUT_MS 5000
#define ACTION_COUNT 500
#define LIFE_COUNT 5
#define SEED_COUNT 200

/* What a record's value says. */
struct sim_value {
    int32_t txn;
    int32_t number;
};

enum txn_end { END_NONE, END_COMMIT, END_ABORT };

struct txn {
    int32_t written[PARTITION_COUNT];
    enum txn_end end; /* asked for */
    bool is_answered;
    bool has_offset;
    int64_t offset_end; /* of the offset's record in the log */
    int32_t seen[PARTITION_COUNT];
};

enum step { STEP_IDLE, STEP_INIT, STEP_READY, STEP_ADD, STEP_WRITE, STEP_END };

struct producer {
    struct transaction_wait wait;
    bool is_answered;
    enum step step;
    char name[8];
    int64_t id;
    int16_t epoch;
    int32_t txn;
    struct transaction_add add;
    struct transaction_place places[PARTITION_COUNT + 1];
    struct append_guard guards[PARTITION_COUNT];
    bool is_added[PARTITION_COUNT];
    int32_t sequence[PARTITION_COUNT]; /* of the transaction's first record */
    int64_t ends[PARTITION_COUNT];     /* in the log, of the last record */
};

struct sim {
    struct coord_fixture fixture;
    uint64_t random;
    struct producer producers[PRODUCER_COUNT];
    struct txn txns[TXN_COUNT_MAX];
    int32_t txn_count;
    int64_t stable[PARTITION_COUNT];
    struct topic *events;
};

static uint32_t draw(struct sim *sim, uint32_t below)
{
    sim->random = sim->random * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(sim->random >> 33) % below;
}

static struct transactions *transactions_of(struct sim *sim)
{
    return coord_transactions(sim->fixture.coord);
}

static struct partition *partition_of(struct sim *sim, int32_t index)
{
    struct partition *partition = topic_partition(sim->events, index);
    assert_non_null(partition);
    return partition;
}

/* 5. */
static void look(struct sim *sim)
{
    for (int32_t i = 0; i < PARTITION_COUNT; i++) {
        struct partition_offsets offsets;
        partition_read_offsets(partition_of(sim, i), &offsets);
        assert_true(offsets.stable >= sim->stable[i] && offsets.stable <= offsets.high_watermark);
        sim->stable[i] = offsets.stable;
    }
}

/* One step of the disk, or all that is left; where the power is out nothing happens. */
static void flush(struct sim *sim, bool is_whole)
{
    struct store_flush_result result = {.is_more = true};
    struct err err = ERR_NONE;
    do
        err = store_flush_step(sim->fixture.broker.base.store, &result, NULL);
    while (is_whole && result.is_more && !err_failed(err));
    look(sim);
}

static void answered(struct transaction_wait *wait)
{
    struct producer *producer = LIST_ENTRY(wait, struct producer, wait);
    producer->is_answered = true;
}

/* The client gives up what it had, and begins anew as another instance would. */
static void give_up(struct producer *producer)
{
    producer->step = STEP_IDLE;
}

static void ask_init(struct sim *sim, struct producer *producer, int64_t fresh_id)
{
    const struct transaction_init asked = {.timeout_ms = TIMEOUT_MS,
                                           .producer_id = -1,
                                           .epoch = -1,
                                           .fresh_id = fresh_id,
                                           .now_ms = sim->fixture.broker.base.time.now_ms};
    producer->is_answered = false;
    producer->step = STEP_INIT;
    transactions_init(transactions_of(sim), span_text(producer->name), &asked, &producer->wait);
}

static void take_init(struct sim *sim, struct producer *producer)
{
    if (producer->wait.needs_id) {
        int64_t id;
        int64_t commit;
        struct broker *broker = sim->fixture.broker.broker;
        if (err_failed(admin_allocate_producer_id(broker, &id, &commit, NULL))) {
            give_up(producer);
            return;
        }
        flush(sim, true); /* it is recorded before it is used */
        ask_init(sim, producer, id);
        return;
    }
    if (producer->wait.code != KAFKA_NONE) {
        give_up(producer);
        return;
    }
    producer->id = producer->wait.producer_id;
    producer->epoch = producer->wait.epoch;
    producer->step = STEP_READY;
}

static void ask_add(struct sim *sim, struct producer *producer)
{
    producer->is_answered = false;
    producer->step = STEP_ADD;
    producer->add.producer = (struct transaction_producer){
        .id = producer->id, .epoch = producer->epoch, .client_version = 2};
    transactions_add(transactions_of(sim), span_text(producer->name), &producer->add,
                     &producer->wait);
}

static struct partition *group_home(struct sim *sim)
{
    struct partition *home;
    assert_int_equal(coord_group_partition(sim->fixture.coord, span_text("g"), &home), KAFKA_NONE);
    topic_unref(home->topic); /* the topic stays as long as the coordinator */
    return home;
}

/* Begins a transaction: the first write to some partitions, and to the group's. */
static void begin(struct sim *sim, struct producer *producer)
{
    if (sim->txn_count == TXN_COUNT_MAX)
        return;
    size_t count = 0;
    producer->txn = sim->txn_count++;
    sim->txns[producer->txn] = (struct txn){.end = END_NONE};
    for (int32_t i = 0; i < PARTITION_COUNT; i++) {
        const struct batch_header identity = {.producer_id = producer->id,
                                              .producer_epoch = producer->epoch};
        producer->is_added[i] = draw(sim, 2) == 0;
        producer->sequence[i] = 0; /* the epoch is new */
        producer->ends[i] = 0;
        partition_guard(partition_of(sim, i), &identity, &producer->guards[i]);
        if (producer->is_added[i])
            producer->places[count++] =
                (struct transaction_place){.topic = span_text("events"), .partition = i};
    }
    struct partition *home;
    assert_int_equal(coord_group_partition(sim->fixture.coord, span_text("g"), &home), KAFKA_NONE);
    producer->places[count++] =
        (struct transaction_place){.topic = span_text(TOPIC_OFFSETS), .partition = home->index};
    topic_unref(home->topic);
    producer->add.places = producer->places;
    producer->add.place_count = count;
    ask_add(sim, producer);
}

static bool is_to_be_asked_again(int16_t code)
{
    return code == KAFKA_CONCURRENT_TRANSACTIONS || code == KAFKA_COORDINATOR_NOT_AVAILABLE ||
           code == KAFKA_COORDINATOR_LOAD_IN_PROGRESS;
}

static void take_add(struct sim *sim, struct producer *producer)
{
    if (producer->wait.code == KAFKA_NONE)
        producer->step = STEP_WRITE;
    else if (is_to_be_asked_again(producer->wait.code))
        ask_add(sim, producer);
    else
        give_up(producer);
}

/* Sends a record of the transaction, for the first time or again. */
static void send(struct sim *sim, struct producer *producer, int32_t index, int32_t number)
{
    struct buf buf;
    struct batch_builder builder;
    struct span batch;
    struct batch_header header;
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    const struct sim_value value = {.txn = producer->txn, .number = number};
    options.producer_id = producer->id;
    options.producer_epoch = producer->epoch;
    options.base_sequence = producer->sequence[index] + number;
    options.is_transactional = true;
    buf_init(&buf, 1 << 16);
    batch_build_begin(&builder, &options, &buf);
    const struct record record = {.timestamp = sim->fixture.broker.base.time.now_ms,
                                  .value = span_make(&value, sizeof value)};
    assert_ok(batch_build_add(&builder, &record));
    assert_ok(batch_build_end(&builder, &batch, &header));
    struct append_result result;
    partition_append(partition_of(sim, index), span_writable(batch), &header,
                     &producer->guards[index], &result, NULL);
    buf_deinit(&buf);
    if (result.verdict == APPEND_DONE || result.verdict == APPEND_DUPLICATE)
        producer->ends[index] = result.end_offset;
    else if (result.verdict == APPEND_FAILED)
        producer->ends[index] = INT64_MAX; /* to be sent again, after the crash */
    else
        give_up(producer);
}

static bool is_acknowledged(struct sim *sim, const struct producer *producer)
{
    const struct txn *txn = &sim->txns[producer->txn];
    if (txn->has_offset && txn->offset_end > partition_high_watermark(group_home(sim)))
        return false;
    for (int32_t i = 0; i < PARTITION_COUNT; i++) {
        if (producer->ends[i] > partition_high_watermark(partition_of(sim, i)))
            return false;
    }
    return true;
}

static void commit_offset(struct sim *sim, struct producer *producer)
{
    struct txn *txn = &sim->txns[producer->txn];
    struct offset_commit_request_partition partition = {.committed_offset = producer->txn,
                                                        .committed_leader_epoch = -1,
                                                        .committed_metadata = span_text("")};
    struct offset_commit_request_topic topic = {
        .name = span_text("events"), .partitions = &partition, .partitions_count = 1};
    struct offset_commit_request request;
    offset_commit_request_init(&request);
    request.group_id = span_text("g");
    request.generation_id_or_member_epoch = -1;
    request.member_id = span_text("");
    request.group_instance_id = SPAN_NULL;
    request.topics = &topic;
    request.topics_count = 1;
    struct coord_transaction transaction = {.producer_id = producer->id,
                                            .producer_epoch = producer->epoch};
    const struct batch_header identity = {.producer_id = producer->id,
                                          .producer_epoch = producer->epoch};
    partition_guard(group_home(sim), &identity, &transaction.guard);
    int16_t code;
    transactions_verify(
        transactions_of(sim), span_text(producer->name),
        &(struct transaction_add){.producer = producer->add.producer,
                                  .places = &producer->places[producer->add.place_count - 1],
                                  .place_count = 1},
        &code);
    if (code != KAFKA_NONE) {
        give_up(producer);
        return;
    }
    struct offset_commit_response response = {0};
    struct coord_commit commit;
    arena_reset(&sim->fixture.arena);
    assert_ok(coord_commit_offsets(sim->fixture.coord, &request, &transaction, &sim->fixture.arena,
                                   &response, &commit));
    topic_unref(commit.topic);
    txn->has_offset = response.topics[0].partitions[0].error_code == KAFKA_NONE;
    txn->offset_end = commit.end_offset;
}

static void ask_end(struct sim *sim, struct producer *producer)
{
    const struct transaction_end asked = {
        .producer = {.id = producer->id, .epoch = producer->epoch, .client_version = 2},
        .is_commit = sim->txns[producer->txn].end == END_COMMIT,
        .fresh_id = -1,
        .now_ms = sim->fixture.broker.base.time.now_ms};
    producer->is_answered = false;
    producer->step = STEP_END;
    transactions_end(transactions_of(sim), span_text(producer->name), &asked, &producer->wait);
}

static void take_end(struct sim *sim, struct producer *producer)
{
    if (producer->wait.code == KAFKA_NONE) {
        sim->txns[producer->txn].is_answered = true;
        producer->id = producer->wait.producer_id;
        producer->epoch = producer->wait.epoch;
        producer->step = STEP_READY;
    } else if (is_to_be_asked_again(producer->wait.code)) {
        ask_end(sim, producer);
    } else {
        give_up(producer);
    }
}

/* Writes, commits an offset, or ends. What is not acknowledged holds up the end. */
static void go_on(struct sim *sim, struct producer *producer)
{
    struct txn *txn = &sim->txns[producer->txn];
    int32_t index = (int32_t)draw(sim, PARTITION_COUNT);
    uint32_t what = draw(sim, 4);
    if (what == 0 && !txn->has_offset) {
        commit_offset(sim, producer);
    } else if (what < 3) {
        bool may_write = producer->is_added[index] && txn->written[index] < WRITE_COUNT_MAX &&
                         producer->ends[index] != INT64_MAX;
        if (may_write)
            send(sim, producer, index, txn->written[index]++);
    } else if (is_acknowledged(sim, producer)) {
        txn->end = draw(sim, 3) == 0 ? END_ABORT : END_COMMIT;
        ask_end(sim, producer);
    }
}

static void act_as(struct sim *sim, struct producer *producer)
{
    if (draw(sim, 40) == 0) { /* another instance takes its place; the old one's waits end first */
        if (producer->step != STEP_IDLE && producer->is_answered)
            give_up(producer);
        return;
    }
    switch (producer->step) {
    case STEP_IDLE:
        ask_init(sim, producer, -1);
        return;
    case STEP_READY:
        begin(sim, producer);
        return;
    case STEP_WRITE:
        go_on(sim, producer);
        return;
    case STEP_INIT:
        if (producer->is_answered)
            take_init(sim, producer);
        return;
    case STEP_ADD:
        if (producer->is_answered)
            take_add(sim, producer);
        return;
    case STEP_END:
        if (producer->is_answered)
            take_end(sim, producer);
        return;
    }
}

/* Time passes, and what is due is done: time-outs, checkpoints. */
static void wait_a_while(struct sim *sim)
{
    struct store_background_result result;
    coord_fixture_pass(&sim->fixture, draw(sim, 4) == 0 ? TIMEOUT_MS : draw(sim, 500));
    struct err err =
        store_background_step(sim->fixture.broker.base.store, sim->fixture.broker.base.time.now_ms,
                              1 << 20, &result, NULL);
    (void)err; /* the power may be out */
}

static void act(struct sim *sim)
{
    uint32_t what = draw(sim, 20);
    if (what < 14)
        act_as(sim, &sim->producers[draw(sim, PRODUCER_COUNT)]);
    else if (what < 19)
        flush(sim, draw(sim, 2) == 0);
    else
        wait_a_while(sim);
    look(sim);
}

/* The power is out, or was, or all ended well; it starts again. */
static void restart(struct sim *sim)
{
    struct coord_fixture *fixture = &sim->fixture;
    struct mem_disk *disk = fixture->broker.base.disk;
    enum mem_disk_loss loss = draw(sim, 2) == 0 ? MEM_DISK_LOSE_ALL : MEM_DISK_LOSE_SOME;
    bool is_clean = draw(sim, 3) == 0 && !mem_disk_is_off(disk);
    topic_unref(sim->events);
    coord_fixture_close(fixture);
    struct err err = broker_close(fixture->broker.broker, is_clean, NULL);
    (void)err; /* an end that fails is a crash */
    mem_disk_power_off(disk, 0);
    mem_disk_fail(disk, MEM_DISK_WRITE, 0);
    if (!is_clean || err_failed(err))
        mem_disk_crash(disk, loss);
    coord_fixture_open(fixture);
    coord_fixture_load(fixture);
    sim->events = broker_find_topic(fixture->broker.broker, span_text("events"));
    look(sim);
}

/* A client that had not heard of its writes sends them again, in order. */
static void resend(struct sim *sim, struct producer *producer)
{
    const struct txn *txn = &sim->txns[producer->txn];
    if (producer->step != STEP_WRITE)
        return;
    for (int32_t i = 0; i < PARTITION_COUNT && producer->step == STEP_WRITE; i++) {
        const struct batch_header identity = {.producer_id = producer->id,
                                              .producer_epoch = producer->epoch};
        int16_t code;
        const struct transaction_place place = {.topic = span_text("events"), .partition = i};
        const struct transaction_add asked = {
            .producer = producer->add.producer, .places = &place, .place_count = 1};
        if (txn->written[i] == 0)
            continue;
        partition_guard(partition_of(sim, i), &identity, &producer->guards[i]);
        transactions_verify(transactions_of(sim), span_text(producer->name), &asked, &code);
        if (code != KAFKA_NONE)
            give_up(producer);
        for (int32_t j = 0; j < txn->written[i] && producer->step == STEP_WRITE; j++)
            send(sim, producer, i, j);
    }
    if (producer->step == STEP_WRITE && txn->has_offset)
        commit_offset(sim, producer);
}

static bool is_aborted(const struct aborted_transaction *aborted, size_t count,
                       const struct batch_header *header)
{
    for (size_t i = 0; i < count; i++) {
        if (aborted[i].producer_id == header->producer_id &&
            aborted[i].first_offset <= header->base_offset &&
            aborted[i].last_offset > header->base_offset)
            return true;
    }
    return false;
}

static void see(struct sim *sim, int32_t index, struct span batch)
{
    struct batch_walk walk;
    struct record record;
    bool is_end;
    struct sim_value value;
    assert_ok(batch_walk_begin(&walk, batch, NULL));
    assert_ok(batch_walk_next(&walk, &record, &is_end));
    assert_int_equal(record.value.size, sizeof value);
    memcpy(&value, record.value.data, sizeof value);
    struct txn *txn = &sim->txns[value.txn];
    assert_int_equal(value.number, txn->seen[index]); /* 3, and in order */
    txn->seen[index]++;
}

/* Reads a partition as a reader of committed records does. */
static void read_committed(struct sim *sim, int32_t index)
{
    static uint8_t bytes[1 << 20];
    struct partition *partition = partition_of(sim, index);
    struct aborted_transaction *aborted;
    size_t count;
    arena_reset(&sim->fixture.arena);
    assert_ok(
        partition_collect_aborted(partition, 0, INT64_MAX, &sim->fixture.arena, &aborted, &count));
    int64_t offset = 0;
    while (offset < sim->stable[index]) {
        const struct log_read read = {.offset = offset,
                                      .offset_below = sim->stable[index],
                                      .size_max = 65536,
                                      .is_one_needed = true};
        struct log_slice slice;
        assert_ok(log_read(partition->log, &read, &slice, NULL));
        assert_true(slice.size > 0 && slice.size <= sizeof bytes);
        assert_ok(slice_read(&slice, 0, bytes, slice.size));
        for (size_t at = 0; at < slice.size;) {
            struct batch_header header;
            struct span batch = span_make(bytes + at, slice.size - at);
            assert_int_equal(batch_check_stored(batch, &header), BATCH_FINE);
            if (!batch_is_control(&header) && !is_aborted(aborted, count, &header))
                see(sim, index, span_make(batch.data, header.size));
            offset = batch_last_offset(&header) + 1;
            at += header.size;
        }
        slice_unref(&slice);
    }
}

/* 1 and 2. */
static void check_txn(const struct txn *txn)
{
    bool is_seen = false;
    bool is_whole = true;
    for (int32_t i = 0; i < PARTITION_COUNT; i++) {
        is_seen = is_seen || txn->seen[i] > 0;
        is_whole = is_whole && txn->seen[i] == txn->written[i];
    }
    assert_true(!is_seen || is_whole);
    assert_true(!is_seen || txn->end == END_COMMIT);
    if (txn->is_answered && txn->end == END_COMMIT)
        assert_true(is_whole);
}

/* 4. */
static void check_group(struct sim *sim)
{
    int32_t index = 0;
    struct offset_fetch_request_group_topic topic = {
        .name = span_text("events"), .partition_indexes = &index, .partition_indexes_count = 1};
    struct offset_fetch_request_group request = {
        .group_id = span_text("g"), .member_epoch = -1, .topics = &topic, .topics_count = 1};
    struct offset_fetch_response_group response = {0};
    arena_reset(&sim->fixture.arena);
    assert_ok(
        coord_fetch_offsets(sim->fixture.coord, &request, true, &sim->fixture.arena, &response));
    const struct offset_fetch_response_group_partition *found = &response.topics[0].partitions[0];
    assert_int_equal(found->error_code, KAFKA_NONE);
    int64_t committed = found->committed_offset;
    const struct txn *winner = committed < 0 ? NULL : &sim->txns[committed];
    if (winner != NULL) {
        assert_int_equal(winner->end, END_COMMIT);
        assert_true(winner->has_offset);
    }
    for (int32_t i = 0; i < sim->txn_count; i++) {
        const struct txn *txn = &sim->txns[i];
        if (txn->is_answered && txn->end == END_COMMIT && txn->has_offset)
            assert_true(winner != NULL && txn->offset_end <= winner->offset_end);
    }
}

static void check(struct sim *sim)
{
    for (int round = 0; round < 4; round++) { /* what is open is aborted, in time */
        coord_fixture_pass(&sim->fixture, TIMEOUT_MS + 1);
        flush(sim, true);
    }
    for (int32_t i = 0; i < sim->txn_count; i++)
        memset(sim->txns[i].seen, 0, sizeof sim->txns[i].seen);
    for (int32_t i = 0; i < PARTITION_COUNT; i++) {
        struct partition_offsets offsets;
        partition_read_offsets(partition_of(sim, i), &offsets);
        assert_int_equal(offsets.stable, offsets.high_watermark);
        read_committed(sim, i);
    }
    for (int32_t i = 0; i < sim->txn_count; i++)
        check_txn(&sim->txns[i]);
    check_group(sim);
}

static void live(struct sim *sim)
{
    struct mem_disk *disk = sim->fixture.broker.base.disk;
    uint32_t fate = draw(sim, 3);
    if (fate == 0)
        mem_disk_power_off(disk, 1 + draw(sim, 150));
    else if (fate == 1)
        mem_disk_fail(disk, MEM_DISK_WRITE, 1 + draw(sim, 150));
    for (int i = 0; i < ACTION_COUNT && !mem_disk_is_off(disk); i++)
        act(sim);
    restart(sim);
    for (int i = 0; i < PRODUCER_COUNT; i++)
        resend(sim, &sim->producers[i]);
}

static void run(uint64_t seed)
{
    struct sim *sim = calloc(1, sizeof *sim); /* too large for the stack */
    int64_t commit;
    assert_non_null(sim);
    sim->random = seed;
    coord_fixture_init(&sim->fixture);
    assert_true(err_is(transactions_prepare(transactions_of(sim), &commit, NULL), ERR_AGAIN));
    coord_fixture_flush(&sim->fixture);
    assert_ok(transactions_prepare(transactions_of(sim), &commit, NULL));
    sim->events = broker_find_topic(sim->fixture.broker.broker, span_text("events"));
    for (int i = 0; i < PRODUCER_COUNT; i++) {
        struct producer *producer = &sim->producers[i];
        *producer = (struct producer){.wait = {.done = answered}};
        list_init(&producer->wait.link);
        (void)snprintf(producer->name, sizeof producer->name, "tx%d", i);
    }
    for (int i = 0; i < LIFE_COUNT; i++)
        live(sim);
    check(sim);
    topic_unref(sim->events);
    coord_fixture_deinit(&sim->fixture);
    free(sim);
}

static uint64_t setting(const char *name, uint64_t usual)
{
    const char *text = getenv(name);
    return text == NULL ? usual : strtoull(text, NULL, 10);
}

static void transactions_are_whole_whatever_happens(void **state)
{
    (void)state;
    const uint64_t first = setting("SIM_SEED", 1);
    const uint64_t count = setting("SIM_SEEDS", SEED_COUNT);
    for (uint64_t seed = first; seed < first + count; seed++) {
        (void)fprintf(stderr, "\rtransactions, seed %llu ", (unsigned long long)seed);
        run(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transactions_are_whole_whatever_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
