/* transaction_index: a map of the open ones, two lists and a sorted array. */
#include "broker/transaction_index.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/check.h"

#define OPEN_SIZE 16
#define ABORTED_SIZE 32
#define ABORTED_CAPACITY_MIN 16

/* A transaction that readers of committed records wait for; with first_offset -1, one prepared. */
struct undecided {
    struct list order; /* in undecided */
    struct list ended; /* in ended, once its marker is appended */
    int64_t producer_id;
    int64_t first_offset;
    int64_t last_offset; /* of its marker; -1: open */
};

static struct span key_of(const int64_t *producer_id)
{
    return span_make(producer_id, sizeof *producer_id);
}

void transaction_index_init(struct transaction_index *index)
{
    *index = (struct transaction_index){0};
    map_init(&index->open, 0);
    list_init(&index->undecided);
    list_init(&index->ended);
}

static void undecided_free(struct undecided *transaction)
{
    list_remove(&transaction->order);
    list_remove(&transaction->ended);
    free(transaction);
}

void transaction_index_deinit(struct transaction_index *index)
{
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&index->open, &position)) != NULL)
        undecided_free(entry->value);
    map_deinit(&index->open);
    LIST_EACH (&index->ended, link)
        undecided_free(LIST_ENTRY(link, struct undecided, ended));
    free(index->aborted);
    transaction_index_init(index);
}

static struct err aborted_reserve(struct transaction_index *index, size_t count)
{
    if (count <= index->aborted_capacity)
        return ERR_NONE;
    size_t capacity =
        index->aborted_capacity == 0 ? ABORTED_CAPACITY_MIN : 2 * index->aborted_capacity;
    if (capacity < count)
        capacity = count;
    struct aborted_transaction *moved =
        reallocarray(index->aborted, capacity, sizeof *index->aborted);
    if (moved == NULL)
        return err_make(ERR_NO_MEMORY);
    index->aborted = moved;
    index->aborted_capacity = capacity;
    return ERR_NONE;
}

struct err transaction_index_prepare(struct transaction_index *index, int64_t producer_id)
{
    TRY(aborted_reserve(index, index->aborted_count + 1));
    if (map_get(&index->open, key_of(&producer_id)) != NULL)
        return ERR_NONE;
    struct undecided *transaction = calloc(1, sizeof *transaction);
    if (transaction == NULL)
        return err_make(ERR_NO_MEMORY);
    list_init(&transaction->order);
    list_init(&transaction->ended);
    transaction->producer_id = producer_id;
    transaction->first_offset = -1;
    transaction->last_offset = -1;
    struct err err = map_put(&index->open, key_of(&transaction->producer_id), transaction);
    if (err_failed(err))
        free(transaction);
    return err;
}

void transaction_index_begin(struct transaction_index *index, int64_t producer_id,
                             int64_t first_offset)
{
    struct undecided *transaction = map_get(&index->open, key_of(&producer_id));
    CHECK(transaction != NULL);
    if (transaction->first_offset >= 0)
        return;
    transaction->first_offset = first_offset;
    list_append(&index->undecided, &transaction->order);
}

/* Where what is not yet decided begins; otherwise where there is nothing undecided. */
static int64_t first_undecided(const struct transaction_index *index, int64_t otherwise)
{
    if (list_is_empty(&index->undecided))
        return otherwise;
    return LIST_ENTRY(index->undecided.next, struct undecided, order)->first_offset;
}

/* The same among the open ones alone: what readers will see once all markers are durable. */
static int64_t first_open(const struct transaction_index *index, int64_t otherwise)
{
    LIST_EACH (&index->undecided, link) {
        const struct undecided *transaction = LIST_ENTRY(link, struct undecided, order);
        if (transaction->last_offset < 0)
            return transaction->first_offset;
    }
    return otherwise;
}

void transaction_index_end(struct transaction_index *index, int64_t producer_id, bool is_aborted,
                           int64_t last_offset)
{
    struct undecided *transaction = map_remove(&index->open, key_of(&producer_id));
    if (transaction == NULL)
        return;
    if (transaction->first_offset < 0) {
        undecided_free(transaction);
        return;
    }
    transaction->last_offset = last_offset;
    list_append(&index->ended, &transaction->ended);
    if (!is_aborted)
        return;
    CHECK(index->aborted_count < index->aborted_capacity);
    index->aborted[index->aborted_count++] = (struct aborted_transaction){
        .producer_id = producer_id,
        .first_offset = transaction->first_offset,
        .last_offset = last_offset,
        .stable_offset = first_open(index, last_offset + 1),
    };
}

void transaction_index_settle(struct transaction_index *index, int64_t high_watermark)
{
    while (!list_is_empty(&index->ended)) {
        struct undecided *first = LIST_ENTRY(index->ended.next, struct undecided, ended);
        if (first->last_offset >= high_watermark)
            return;
        undecided_free(first);
    }
}

int64_t transaction_index_stable(const struct transaction_index *index, int64_t high_watermark)
{
    int64_t first = first_undecided(index, high_watermark);
    return first < high_watermark ? first : high_watermark;
}

int64_t transaction_index_first_offset(const struct transaction_index *index, int64_t producer_id)
{
    const struct undecided *transaction = map_get(&index->open, key_of(&producer_id));
    return transaction == NULL ? -1 : transaction->first_offset;
}

/* The position of the first aborted transaction whose marker is at or above offset. */
static size_t aborted_find(const struct transaction_index *index, int64_t offset)
{
    size_t low = 0;
    size_t high = index->aborted_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (index->aborted[middle].last_offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct err transaction_index_collect(const struct transaction_index *index, int64_t from,
                                     int64_t below, struct arena *arena,
                                     struct aborted_transaction **out, size_t *count)
{
    size_t begin = aborted_find(index, from);
    size_t end = begin;
    while (end < index->aborted_count) { /* later ones begin at or above stable_offset */
        if (index->aborted[end++].stable_offset >= below)
            break;
    }
    struct aborted_transaction *found = arena_alloc_array(arena, end - begin, sizeof *found);
    if (found == NULL)
        return err_make(ERR_NO_MEMORY);
    size_t found_count = 0;
    for (size_t i = begin; i < end; i++) {
        if (index->aborted[i].first_offset < below)
            found[found_count++] = index->aborted[i];
    }
    *out = found;
    *count = found_count;
    return ERR_NONE;
}

bool transaction_index_is_aborted(const struct transaction_index *index, int64_t producer_id,
                                  int64_t offset)
{
    for (size_t i = aborted_find(index, offset); i < index->aborted_count; i++) {
        const struct aborted_transaction *aborted = &index->aborted[i];
        if (aborted->producer_id == producer_id)
            return aborted->first_offset <= offset; /* its next one begins behind the marker */
        if (aborted->stable_offset > offset)
            return false;
    }
    return false;
}

void transaction_index_trim(struct transaction_index *index, int64_t offset)
{
    size_t gone = aborted_find(index, offset);
    if (gone == 0)
        return;
    index->aborted_count -= gone;
    memmove(index->aborted, index->aborted + gone, index->aborted_count * sizeof *index->aborted);
}

static uint32_t count_open(const struct transaction_index *index)
{
    uint32_t count = 0;
    LIST_EACH (&index->undecided, link)
        count += LIST_ENTRY(link, struct undecided, order)->last_offset < 0;
    return count;
}

static struct err write_aborted(const struct transaction_index *index, struct buf *out)
{
    uint8_t bytes[ABORTED_SIZE];
    CHECK(index->aborted_count <= UINT32_MAX);
    store_u32(bytes, (uint32_t)index->aborted_count);
    TRY(buf_append(out, bytes, 4));
    for (size_t i = 0; i < index->aborted_count; i++) {
        store_i64(bytes, index->aborted[i].producer_id);
        store_i64(bytes + 8, index->aborted[i].first_offset);
        store_i64(bytes + 16, index->aborted[i].last_offset);
        store_i64(bytes + 24, index->aborted[i].stable_offset);
        TRY(buf_append(out, bytes, sizeof bytes));
    }
    return ERR_NONE;
}

struct err transaction_index_write(const struct transaction_index *index, struct buf *out)
{
    uint8_t bytes[OPEN_SIZE];
    store_u32(bytes, count_open(index));
    TRY(buf_append(out, bytes, 4));
    LIST_EACH (&index->undecided, link) {
        const struct undecided *transaction = LIST_ENTRY(link, struct undecided, order);
        if (transaction->last_offset >= 0)
            continue;
        store_i64(bytes, transaction->producer_id);
        store_i64(bytes + 8, transaction->first_offset);
        TRY(buf_append(out, bytes, sizeof bytes));
    }
    return write_aborted(index, out);
}

/* Takes a count and that many entries of entry_size bytes off the front of *bytes. */
static struct err take_entries(struct span *bytes, size_t entry_size, uint32_t *count,
                               const uint8_t **entries)
{
    if (bytes->size < 4)
        return err_make(ERR_CORRUPT);
    *count = load_u32(bytes->data);
    size_t left = bytes->size - 4;
    if (left / entry_size < *count)
        return err_make(ERR_CORRUPT);
    *entries = bytes->data + 4;
    *bytes = span_make(*entries + *count * entry_size, left - *count * entry_size);
    return ERR_NONE;
}

static struct err read_open(struct transaction_index *index, struct span *bytes)
{
    uint32_t count;
    const uint8_t *at;
    int64_t before = -1;
    TRY(take_entries(bytes, OPEN_SIZE, &count, &at));
    for (uint32_t i = 0; i < count; i++, at += OPEN_SIZE) {
        int64_t producer_id = load_i64(at);
        int64_t first_offset = load_i64(at + 8);
        bool is_known = transaction_index_first_offset(index, producer_id) >= 0;
        if (producer_id < 0 || first_offset <= before || is_known)
            return err_make(ERR_CORRUPT);
        TRY(transaction_index_prepare(index, producer_id));
        transaction_index_begin(index, producer_id, first_offset);
        before = first_offset;
    }
    return ERR_NONE;
}

static struct err read_aborted(struct transaction_index *index, struct span *bytes)
{
    uint32_t count;
    const uint8_t *at;
    int64_t before = -1;
    TRY(take_entries(bytes, ABORTED_SIZE, &count, &at));
    TRY(aborted_reserve(index, count));
    for (uint32_t i = 0; i < count; i++, at += ABORTED_SIZE) {
        struct aborted_transaction aborted = {.producer_id = load_i64(at),
                                              .first_offset = load_i64(at + 8),
                                              .last_offset = load_i64(at + 16),
                                              .stable_offset = load_i64(at + 24)};
        if (aborted.producer_id < 0 || aborted.first_offset < 0 || aborted.last_offset <= before ||
            aborted.first_offset >= aborted.last_offset)
            return err_make(ERR_CORRUPT);
        index->aborted[index->aborted_count++] = aborted;
        before = aborted.last_offset;
    }
    return ERR_NONE;
}

struct err transaction_index_read(struct transaction_index *index, struct span bytes)
{
    CHECK(index->aborted_count == 0 && list_is_empty(&index->undecided));
    struct err err = read_open(index, &bytes);
    if (!err_failed(err))
        err = read_aborted(index, &bytes);
    if (!err_failed(err) && bytes.size != 0)
        err = err_make(ERR_CORRUPT);
    if (err_failed(err))
        transaction_index_deinit(index);
    return err;
}
