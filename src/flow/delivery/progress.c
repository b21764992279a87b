/* progress: marks of what is done, and their metadata. */
#include "flow/delivery/progress.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"

#define MARK_SEALED 1U
#define MARK_DONE 2U
#define MARK_PASSED_OVER 3U /* has MARK_DONE's bit: it is left behind like one */
#define MARK_STATE 3U
#define MARK_BITS 2

#define PREFIX "h1:"
#define PREFIX_SIZE (sizeof PREFIX - 1)
#define CRC_SIZE 4
#define VARINT_SIZE_MAX 10

/* Four characters hold three bytes; decoding needs three more. */
#define TEXT_SIZE_MAX (PROGRESS_METADATA_SIZE_MAX - PREFIX_SIZE - PROGRESS_NONCE_SIZE)
#define PAYLOAD_SIZE_MAX (TEXT_SIZE_MAX / 4 * 3 + 3)

/* Runs as bytes. */
struct runs {
    uint8_t bytes[PAYLOAD_SIZE_MAX];
    size_t size;
    int64_t start; /* of the run that is not written yet */
    bool is_done;  /* its kind */
    bool fits;
};

void progress_init(struct progress *progress, int64_t position)
{
    CHECK(position >= 0);
    *progress = (struct progress){.position = position};
}

void progress_deinit(struct progress *progress)
{
    free(progress->marks);
    free(progress->loaded);
    *progress = (struct progress){0};
}

static uint64_t *mark_at(const struct progress *progress, uint64_t sequence)
{
    CHECK(sequence >= progress->first && sequence < progress->first + progress->count);
    return &progress->marks[sequence & (progress->capacity - 1)];
}

static int64_t mark_offset(uint64_t mark)
{
    return (int64_t)(mark >> MARK_BITS);
}

static struct err make_room(struct progress *progress)
{
    if (progress->count < progress->capacity)
        return ERR_NONE;
    if (progress->count >= PROGRESS_MARK_COUNT_MAX)
        return err_make(ERR_LIMIT);
    uint64_t capacity = progress->capacity == 0 ? 64 : 2 * progress->capacity;
    uint64_t *marks = calloc(capacity, sizeof *marks);
    if (marks == NULL)
        return err_make(ERR_NO_MEMORY);
    for (uint64_t i = 0; i < progress->count; i++) {
        uint64_t sequence = progress->first + i;
        marks[sequence & (capacity - 1)] = *mark_at(progress, sequence);
    }
    free(progress->marks);
    progress->marks = marks;
    progress->capacity = capacity;
    return ERR_NONE;
}

/* Whether others have done the offset; offsets are asked for in rising order. */
static bool is_loaded(struct progress *progress, int64_t offset)
{
    while (progress->loaded_next < progress->loaded_count &&
           progress->loaded[progress->loaded_next].end <= offset)
        progress->loaded_next++;
    return progress->loaded_next < progress->loaded_count &&
           progress->loaded[progress->loaded_next].first <= offset;
}

/* Leaves done marks at the front behind (invariant 2). */
static void leave_done(struct progress *progress)
{
    while (progress->count > 0 && (*mark_at(progress, progress->first) & MARK_DONE) != 0) {
        progress->first++;
        progress->count--;
    }
}

struct err progress_add(struct progress *progress, int64_t offset, uint64_t *sequence,
                        bool *is_done)
{
    CHECK(offset >= progress->position);
    TRY(make_room(progress));
    *sequence = progress->first + progress->count;
    *is_done = is_loaded(progress, offset);
    progress->count++;
    *mark_at(progress, *sequence) = (uint64_t)offset << MARK_BITS | (*is_done ? MARK_DONE : 0);
    progress->position = offset + 1;
    leave_done(progress);
    return ERR_NONE;
}

void progress_pass_over(struct progress *progress, uint64_t sequence)
{
    uint64_t *mark = mark_at(progress, sequence);
    CHECK((*mark & MARK_STATE) == 0);
    *mark |= MARK_PASSED_OVER;
    leave_done(progress);
}

void progress_take_back(struct progress *progress)
{
    CHECK(progress->count > 0);
    uint64_t mark = *mark_at(progress, progress->first + progress->count - 1);
    CHECK((mark & MARK_STATE) == 0);
    progress->count--;
    progress->position = mark_offset(mark);
}

void progress_reach(struct progress *progress, int64_t offset)
{
    if (offset > progress->position)
        progress->position = offset;
}

void progress_seal(struct progress *progress, uint64_t sequence)
{
    uint64_t *mark = mark_at(progress, sequence);
    CHECK((*mark & MARK_STATE) == 0);
    *mark |= MARK_SEALED;
}

void progress_unseal(struct progress *progress, uint64_t sequence)
{
    uint64_t *mark = mark_at(progress, sequence);
    CHECK((*mark & MARK_STATE) == MARK_SEALED);
    *mark &= ~(uint64_t)MARK_SEALED;
}

void progress_finish(struct progress *progress, uint64_t sequence)
{
    uint64_t *mark = mark_at(progress, sequence);
    CHECK((*mark & MARK_STATE) == MARK_SEALED);
    *mark = (*mark & ~(uint64_t)MARK_STATE) | MARK_DONE;
    leave_done(progress);
}

bool progress_is_done(const struct progress *progress, int64_t offset)
{
    CHECK(progress->count == 0);
    bool is_done = offset < progress->position;
    for (size_t i = 0; i < progress->loaded_count && !is_done; i++)
        is_done = progress->loaded[i].first <= offset && offset < progress->loaded[i].end;
    return is_done;
}

/* The first mark that is to do; the number of marks where all are sealed or done. */
static uint64_t first_to_do(const struct progress *progress)
{
    uint64_t at = 0;
    while (at < progress->count && (*mark_at(progress, progress->first + at) & MARK_STATE) != 0)
        at++;
    return at;
}

int64_t progress_base(const struct progress *progress)
{
    uint64_t at = first_to_do(progress);
    if (at < progress->count)
        return mark_offset(*mark_at(progress, progress->first + at));
    int64_t base = progress->position;
    for (size_t i = progress->loaded_next; i < progress->loaded_count; i++) {
        if (progress->loaded[i].first <= base && base < progress->loaded[i].end)
            base = progress->loaded[i].end;
    }
    return base;
}

/* What makes metadata valid here and nowhere else. */
static uint32_t place_crc(const struct progress_place *place, int64_t base)
{
    uint8_t numbers[12];
    store_i32(numbers, place->partition);
    store_i64(numbers + 4, base);
    /* The ends of the texts are counted, so that no letter can move from one to the other. */
    uint32_t crc = crc32c(span_make(place->cluster, strlen(place->cluster) + 1));
    crc = crc32c_extend(crc, span_make(place->topic, strlen(place->topic) + 1));
    return crc32c_extend(crc, span_make(numbers, sizeof numbers));
}

/* From the offset on they are done, or to do: ends the run before, where it is another kind. */
static void turn(struct runs *runs, int64_t offset, bool is_done)
{
    if (runs->is_done == is_done || !runs->fits)
        return;
    CHECK(offset > runs->start);
    runs->fits = runs->size + VARINT_SIZE_MAX + 3 <= sizeof runs->bytes;
    if (!runs->fits)
        return;
    uint64_t length = (uint64_t)(offset - runs->start);
    for (; length >= 0x80; length >>= 7)
        runs->bytes[runs->size++] = (uint8_t)(length | 0x80);
    runs->bytes[runs->size++] = (uint8_t)length;
    runs->start = offset;
    runs->is_done = is_done;
}

static char *to_text(struct arena *arena, const struct runs *runs)
{
    size_t size = base64_text_size(BASE64_URL, runs->size);
    char *text = arena_alloc(arena, PREFIX_SIZE + size + 1);
    if (text == NULL)
        return NULL;
    memcpy(text, PREFIX, PREFIX_SIZE);
    base64_encode(BASE64_URL, span_make(runs->bytes, runs->size), text + PREFIX_SIZE);
    return text;
}

/* The runs from the base on; the last one, of offsets to do, is left out. */
static void write_runs(const struct progress *progress, struct runs *runs)
{
    int64_t end = progress->position;
    runs->start = progress_base(progress);
    for (uint64_t at = first_to_do(progress); at < progress->count; at++) {
        uint64_t mark = *mark_at(progress, progress->first + at);
        if ((mark & MARK_STATE) != MARK_PASSED_OVER)
            turn(runs, mark_offset(mark), (mark & MARK_STATE) != 0);
    }
    for (size_t i = progress->loaded_next; i < progress->loaded_count; i++) {
        const struct progress_range *range = &progress->loaded[i];
        if (range->end <= runs->start)
            continue;
        if (range->first > end)
            turn(runs, end, false);
        turn(runs, range->first > end ? range->first : end, true);
        end = range->end;
    }
    turn(runs, end, false);
}

struct err progress_encode(const struct progress *progress, const struct progress_place *place,
                           struct arena *arena, const char **metadata, bool *fits)
{
    struct runs runs = {.size = CRC_SIZE, .fits = true};
    *metadata = NULL;
    write_runs(progress, &runs);
    *fits = runs.fits;
    if (!runs.fits || runs.size == CRC_SIZE)
        return ERR_NONE;
    uint32_t crc = place_crc(place, progress_base(progress));
    store_u32(runs.bytes,
              crc32c_extend(crc, span_make(runs.bytes + CRC_SIZE, runs.size - CRC_SIZE)));
    *metadata = to_text(arena, &runs);
    return *metadata == NULL ? err_make(ERR_NO_MEMORY) : ERR_NONE;
}

const char *progress_add_nonce(const char *metadata, uint64_t nonce, struct arena *arena)
{
    return arena_print(arena, "%s.%016" PRIx64, metadata == NULL ? "" : metadata, nonce);
}

/* The next run's length; 0: the bytes are wrong, or the offsets would pass INT64_MAX. */
static int64_t read_run(const struct runs *from, size_t *at, int64_t start)
{
    uint64_t length = 0;
    for (unsigned shift = 0; *at < from->size && shift < 63; shift += 7) {
        uint8_t byte = from->bytes[(*at)++];
        length |= (uint64_t)(byte & 0x7f) << shift;
        if (byte >= 0x80)
            continue;
        return length > (uint64_t)(INT64_MAX - start) ? 0 : (int64_t)length;
    }
    return 0;
}

/* Fills loaded, which has room; false: the runs make no sense. */
static bool read_runs(struct progress *progress, const struct runs *from)
{
    int64_t offset = progress->position;
    for (size_t at = CRC_SIZE; at < from->size;) {
        int64_t to_do = read_run(from, &at, offset);
        int64_t done = read_run(from, &at, offset + to_do);
        if (to_do == 0 || done == 0)
            return false;
        progress->loaded[progress->loaded_count++] =
            (struct progress_range){offset + to_do, offset + to_do + done};
        offset += to_do + done;
    }
    return true;
}

struct err progress_load(struct progress *progress, const struct progress_place *place,
                         const char *metadata, bool *is_believed)
{
    CHECK(progress->loaded == NULL && progress->count == 0);
    struct runs from = {.size = 0};
    *is_believed = metadata == NULL || metadata[0] == '\0' || metadata[0] == '.';
    if (*is_believed || strncmp(metadata, PREFIX, PREFIX_SIZE) != 0)
        return ERR_NONE;
    struct span text = span_make(metadata + PREFIX_SIZE, strcspn(metadata + PREFIX_SIZE, "."));
    if (base64_size_max(text.size) > sizeof from.bytes ||
        !base64_decode(BASE64_URL, text, from.bytes, &from.size) || from.size < CRC_SIZE)
        return ERR_NONE;
    uint32_t crc = place_crc(place, progress->position);
    struct span runs = span_make(from.bytes + CRC_SIZE, from.size - CRC_SIZE);
    if (load_u32(from.bytes) != crc32c_extend(crc, runs))
        return ERR_NONE;
    progress->loaded = calloc(from.size, sizeof *progress->loaded); /* two bytes each at least */
    if (progress->loaded == NULL)
        return err_make(ERR_NO_MEMORY);
    *is_believed = read_runs(progress, &from);
    if (!*is_believed)
        progress->loaded_count = 0;
    return ERR_NONE;
}
