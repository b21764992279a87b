/*
 * produce: record batches from producers (KIP-98, KIP-890; Produce v3 to v13).
 *
 * Each batch is validated once, patched where it lies in the connection's bytes, and written to its
 * partition from there. With acks=all the answer waits until all of them are durable; with acks=1
 * it is given at once; with acks=0 there is none, and an error closes the connection instead.
 */
#include "wire/produce.h"
#include "api/error_map.h"
#include "api/handlers.h"
#include "api/produce_verify.h"
#include "base/check.h"
#include "base/limits.h"
#include "record/recompress.h"

/* One partition's batch that waits for the disk. */
struct produce_wait {
    struct partition_waiter waiter;
    struct produce_work *work;
    struct topic *topic; /* a reference, as long as the partition is waited for */
    struct produce_response_partition *answer;
};

/* One request's work; in its arena. */
struct produce_work {
    struct request *request;
    struct api *api;
    struct broker *broker;
    struct produce_verify verify; /* of a transactional request */
    size_t at;                    /* among verify.claims: the partition being looked at */
    bool holds_line;              /* until it has appended */
    struct produce_request asked;
    struct produce_response response;
    struct produce_wait *waits;
    int32_t wait_count;
    atomic_int waiting; /* those not yet done, and one for the handler itself */
    bool has_error;
    struct err failure; /* of the whole request: no memory */
    struct buf scratch; /* for decompressing, where batches are walked */
    struct buf rebuilt; /* a batch that is compressed anew */
};

static struct err produce_reply(struct produce_work *work)
{
    struct request *request = work->request;
    if (work->asked.acks == 0) {
        if (work->has_error)
            return err_make(ERR_INVALID);
        request_end_silently(request);
        return ERR_NONE;
    }
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(produce_response_encode(writer, request->version, &work->response));
    return request_end_reply(request);
}

static struct err produce_resume(struct request *request)
{
    struct produce_work *work = request->parked;
    for (int32_t i = 0; i < work->wait_count; i++)
        topic_unref(work->waits[i].topic);
    TRY(work->failure);
    return produce_reply(work);
}

static void wait_done(struct partition_waiter *waiter, struct err err)
{
    struct produce_wait *wait = LIST_ENTRY(waiter, struct produce_wait, waiter);
    if (err_failed(err))
        wait->answer->error_code = error_map_partition(err);
    if (atomic_fetch_sub(&wait->work->waiting, 1) == 1)
        request_wake(wait->work->request);
}

/* Notes an error for one partition. text: a constant or in the request's arena; may be NULL. */
static void answer_error(struct produce_work *work, struct produce_response_partition *answer,
                         int16_t code, const char *text)
{
    answer->error_code = code;
    answer->base_offset = -1;
    answer->error_message = span_text(text);
    work->has_error = true;
}

static void answer_fault(struct produce_work *work, struct produce_response_partition *answer,
                         enum batch_fault fault, const struct batch_report *report)
{
    answer_error(work, answer, error_map_batch(fault), batch_fault_text(fault));
    if (report->record_index < 0)
        return;
    struct produce_response_record_error *record =
        arena_alloc(&work->request->arena, sizeof *record);
    if (record == NULL)
        return;
    record->batch_index = report->record_index;
    record->batch_index_error_message = span_text(batch_fault_text(fault));
    answer->record_errors = record;
    answer->record_errors_count = 1;
}

static struct batch_rules make_rules(const struct produce_work *work,
                                     const struct topic_settings *settings)
{
    uint32_t codecs = 0xf; /* none, gzip, snappy, lz4 */
    if (work->request->version >= 7)
        codecs |= 1U << COMPRESSION_ZSTD; /* KIP-110 */
    const char *walk = config_text(work->broker->config, CONFIG_VALIDATE_COMPRESSED);
    return (struct batch_rules){
        .size_max = (size_t)settings->message_size_max,
        .decompressed_size_max = DECOMPRESSED_SIZE_MAX,
        .codecs = codecs,
        .full = settings->is_recompressed || strcmp(walk, "full") == 0,
        .needs_keys = settings->is_compacted,
        .log_append_time = settings->is_log_append_time,
        .now_ms = clock_wall_ms(work->broker->os->clock),
        .before_ms_max = settings->timestamp_before_ms_max,
        .after_ms_max = settings->timestamp_after_ms_max,
    };
}

/* Registers the wait for a batch that was appended (or had been, before). */
static void wait_for(struct produce_work *work, struct partition *partition,
                     const struct append_result *result, struct produce_response_partition *answer)
{
    struct produce_wait *wait = &work->waits[work->wait_count++];
    topic_ref(partition->topic);
    *wait = (struct produce_wait){
        .waiter = {.offset = result->end_offset, .done = wait_done},
        .work = work,
        .topic = partition->topic,
        .answer = answer,
    };
    atomic_fetch_add(&work->waiting, 1);
    struct err err;
    if (partition_wait(partition, &wait->waiter, &err))
        wait_done(&wait->waiter, err);
}

/* Says what became of an append. */
static void answer_append(struct produce_work *work, struct partition *partition,
                          const struct append_result *result,
                          struct produce_response_partition *answer)
{
    answer->log_start_offset = result->start_offset;
    switch (result->verdict) {
    case APPEND_DONE:
    case APPEND_DUPLICATE:
        answer->base_offset = result->base_offset;
        if (work->asked.acks == -1)
            wait_for(work, partition, result, answer);
        break;
    case APPEND_OUT_OF_ORDER:
        answer_error(work, answer, KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER,
                     "Out of order sequence number.");
        break;
    case APPEND_FENCED:
        answer_error(work, answer, KAFKA_INVALID_PRODUCER_EPOCH,
                     "Epoch of producer is smaller than the last seen epoch.");
        break;
    case APPEND_NOT_IN_TRANSACTION:
    case APPEND_COORDINATOR_FENCED:
        answer_error(work, answer, KAFKA_INVALID_TXN_STATE,
                     "The producer's transaction does not hold this partition.");
        break;
    case APPEND_FAILED:
        answer_error(work, answer, error_map_partition(result->err), NULL);
        break;
    }
}

/* What is known of the transaction in the partition being looked at; NULL: it has none. */
static const struct produce_claim *present_claim(const struct produce_work *work)
{
    const struct produce_verify *verify = &work->verify;
    bool has_claim = work->at < verify->claim_count && verify->claims[work->at].is_transactional;
    return has_claim ? &verify->claims[work->at] : NULL;
}

/* Compresses the batch as its topic wants it. */
static enum batch_fault recompress(struct produce_work *work, const struct topic_settings *settings,
                                   struct batch_header *header, uint8_t **bytes)
{
    struct span made;
    buf_clear(&work->rebuilt);
    struct err err =
        batch_recompress(span_make(*bytes, header->size), settings->compression,
                         settings->compression_level, &work->scratch, &work->rebuilt, &made);
    if (err_failed(err))
        return err_is(err, ERR_NO_MEMORY) ? BATCH_FAULT_NO_MEMORY : BATCH_FAULT_DECOMPRESS;
    enum batch_fault fault = batch_parse(made, header);
    if (fault == BATCH_FINE && (int64_t)header->size > settings->message_size_max)
        fault = BATCH_FAULT_TOO_LARGE;
    *bytes = span_writable(made);
    return fault;
}

/* Validates and appends one partition's batch. */
static void append_batch(struct produce_work *work, struct partition *partition,
                         const struct topic_settings *settings, struct span payload,
                         struct produce_response_partition *answer)
{
    const struct produce_claim *claim = present_claim(work);
    if (claim != NULL && claim->code != KAFKA_NONE) {
        answer_error(work, answer, claim->code,
                     "The partition could not be made part of the producer's transaction.");
        return;
    }
    struct batch_rules rules = make_rules(work, settings);
    struct batch_report report;
    enum batch_fault fault = batch_validate(payload, &rules, &work->scratch, &report);
    if (fault != BATCH_FINE) {
        answer_fault(work, answer, fault, &report);
        return;
    }
    if (batch_is_transactional(&report.header) && span_is_null(work->asked.transactional_id)) {
        answer_error(work, answer, KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
                     "The batch is of a transaction whose id the request does not name.");
        return;
    }
    struct request *request = work->request;
    uint8_t *bytes = wire_writable(request->bytes, request->bytes_size, payload);
    if (settings->is_recompressed && batch_codec(&report.header) != settings->compression)
        fault = recompress(work, settings, &report.header, &bytes);
    if (fault != BATCH_FINE) {
        answer_fault(work, answer, fault, &report);
        return;
    }
    if (rules.log_append_time) {
        batch_patch_timestamp(bytes, &report.header, rules.now_ms, true);
        answer->log_append_time_ms = rules.now_ms;
    } else if (report.is_max_timestamp_wrong) {
        batch_patch_timestamp(bytes, &report.header, report.max_timestamp, false);
    }
    struct append_result result;
    partition_append(partition, bytes, &report.header, claim == NULL ? NULL : &claim->guard,
                     &result, NULL);
    answer_append(work, partition, &result, answer);
}

static void append_to_topic(struct produce_work *work, struct topic *topic,
                            const struct produce_request_partition *asked,
                            struct produce_response_partition *answer)
{
    struct partition *partition = topic_partition(topic, asked->index);
    struct topic_settings settings = topic_read_settings(topic);
    if (partition == NULL)
        answer_error(work, answer, KAFKA_UNKNOWN_TOPIC_OR_PARTITION, NULL);
    else if (topic->is_internal)
        answer_error(work, answer, KAFKA_INVALID_TOPIC_EXCEPTION,
                     "Cannot append to an internal topic.");
    else if (work->asked.acks == -1 && settings.insync_count_min > 1)
        answer_error(work, answer, KAFKA_NOT_ENOUGH_REPLICAS,
                     "min.insync.replicas asks for more copies than the one of this machine.");
    else
        append_batch(work, partition, &settings, asked->records.bytes, answer);
}

static struct topic *find_topic(struct produce_work *work,
                                const struct produce_request_topic *asked)
{
    return work->request->version >= 13 ? broker_find_topic_by_id(work->broker, asked->topic_id)
                                        : broker_find_topic(work->broker, asked->name);
}

static struct err append_topic(struct produce_work *work, const struct produce_request_topic *asked,
                               struct produce_response_topic *answer)
{
    int32_t count = asked->partition_data_count;
    TRY(arena_copy(&work->request->arena, asked->name, &answer->name));
    answer->topic_id = asked->topic_id;
    answer->partition_responses = arena_alloc_array(&work->request->arena, (size_t)count,
                                                    sizeof *answer->partition_responses);
    if (answer->partition_responses == NULL)
        return err_make(ERR_NO_MEMORY);
    answer->partition_responses_count = count;
    struct topic *topic = find_topic(work, asked);
    int16_t missing =
        work->request->version >= 13 ? KAFKA_UNKNOWN_TOPIC_ID : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    for (int32_t i = 0; i < count; i++) {
        struct produce_response_partition *partition = &answer->partition_responses[i];
        produce_response_partition_init(partition);
        partition->index = asked->partition_data[i].index;
        if (work->asked.acks < -1 || work->asked.acks > 1)
            answer_error(work, partition, KAFKA_INVALID_REQUIRED_ACKS, NULL);
        else if (topic == NULL)
            answer_error(work, partition, missing, NULL);
        else
            append_to_topic(work, topic, &asked->partition_data[i], partition);
        work->at++;
    }
    topic_unref(topic);
    return ERR_NONE;
}

static struct err append_all(struct produce_work *work)
{
    struct arena *arena = &work->request->arena;
    const struct produce_request *asked = &work->asked;
    size_t partition_count = 0;
    for (int32_t i = 0; i < asked->topic_data_count; i++)
        partition_count += (size_t)asked->topic_data[i].partition_data_count;
    work->waits = arena_alloc_array(arena, partition_count, sizeof *work->waits);
    work->response.responses =
        arena_alloc_array(arena, (size_t)asked->topic_data_count, sizeof *work->response.responses);
    if (work->waits == NULL || work->response.responses == NULL)
        return err_make(ERR_NO_MEMORY);
    work->response.responses_count = asked->topic_data_count;
    for (int32_t i = 0; i < asked->topic_data_count; i++)
        TRY(append_topic(work, &asked->topic_data[i], &work->response.responses[i]));
    return ERR_NONE;
}

/* Appends what may be appended, and waits for the disk or replies. */
static struct err append_and_reply(struct request *request)
{
    struct produce_work *work = request->parked;
    buf_init(&work->scratch, DECOMPRESSED_SIZE_MAX);
    buf_init(&work->rebuilt, DECOMPRESSED_SIZE_MAX);
    work->failure = append_all(work);
    buf_deinit(&work->scratch);
    buf_deinit(&work->rebuilt);
    if (work->holds_line)
        request_release_line(request); /* what follows may append now */
    request_park(request, produce_resume);
    if (atomic_fetch_sub(&work->waiting, 1) > 1)
        return ERR_NONE; /* the last wait wakes the request */
    request_unpark(request);
    return produce_resume(request);
}

static struct err verified_resume(struct request *request)
{
    struct produce_work *work = request->parked;
    produce_verify_end(&work->verify, request->version);
    return append_and_reply(request);
}

/* Sees to it that the partitions are in the transaction. True: the request is parked for that. */
static struct err verify(struct produce_work *work, bool *is_parked)
{
    struct request *request = work->request;
    struct transactions *transactions = coord_transactions(work->api->coord);
    *is_parked = false;
    TRY(produce_verify_begin(&work->verify, request, work->broker, &work->asked));
    if (work->verify.add.place_count == 0)
        return ERR_NONE;
    if (!produce_verify_adds(request)) {
        bool is_wanted =
            config_bool(work->broker->config, CONFIG_TRANSACTION_PARTITION_VERIFICATION_ENABLE);
        return is_wanted ? produce_verify_check(&work->verify, request, transactions,
                                                work->asked.transactional_id)
                         : ERR_NONE;
    }
    request_hold_line(request);
    work->holds_line = true;
    produce_verify_ask(&work->verify, request, transactions, work->asked.transactional_id,
                       verified_resume);
    *is_parked = true;
    return ERR_NONE;
}

struct err produce_handle(struct request *request, struct api *api)
{
    struct produce_work *work = arena_alloc(&request->arena, sizeof *work);
    if (work == NULL)
        return err_make(ERR_NO_MEMORY);
    work->request = request;
    work->api = api;
    work->broker = api->broker;
    atomic_init(&work->waiting, 1);
    request->parked = work;
    produce_response_init(&work->response);
    struct reader begin = request->body;
    TRY(produce_request_decode(&request->body, request->version, &request->arena, &work->asked));
    if (!span_is_null(work->asked.transactional_id)) {
        request->body = begin; /* decoded anew: the bytes may have to outlive the handler */
        TRY(request_keep_body(request));
        TRY(produce_request_decode(&request->body, request->version, &request->arena,
                                   &work->asked));
        bool is_parked;
        TRY(verify(work, &is_parked));
        if (is_parked)
            return ERR_NONE;
    }
    return append_and_reply(request);
}
