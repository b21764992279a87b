/* frame: the size in front of each request and answer. */
#include "wire/frame.h"

struct err frame_parse(struct span received, uint32_t body_size_max, struct frame *out)
{
    CHECK(body_size_max > 0);
    if (received.size < FRAME_PREFIX_SIZE) {
        *out = (struct frame){.size_total = FRAME_PREFIX_SIZE};
        return ERR_NONE;
    }
    int32_t size = load_i32(received.data);
    if (size < 1)
        return err_make(ERR_CORRUPT);
    if ((uint32_t)size > body_size_max)
        return err_make(ERR_LIMIT);
    struct frame frame = {.size_total = FRAME_PREFIX_SIZE + (size_t)size};
    if (received.size >= frame.size_total) {
        frame.complete = true;
        frame.body = span_make(received.data + FRAME_PREFIX_SIZE, (size_t)size);
    }
    *out = frame;
    return ERR_NONE;
}

struct err frame_begin(struct writer *writer, struct frame_mark *mark)
{
    struct frame_mark begun = {writer->buf->size, writer->splice_size_total};
    TRY(writer_write_int32(writer, 0));
    *mark = begun;
    return ERR_NONE;
}

struct err frame_end(struct writer *writer, struct frame_mark mark)
{
    size_t body_offset = mark.offset + FRAME_PREFIX_SIZE;
    CHECK(body_offset <= writer->buf->size);
    CHECK(mark.splice_size <= writer->splice_size_total);
    size_t size = writer->buf->size - body_offset + writer->splice_size_total - mark.splice_size;
    if (size > INT32_MAX)
        return err_make(ERR_LIMIT);
    store_u32(writer->buf->data + mark.offset, (uint32_t)size);
    return ERR_NONE;
}
