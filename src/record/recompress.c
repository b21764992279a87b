/* recompress: only the records' bytes, the codec's bits, the length and the CRC change. */
#include "record/recompress.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"

static struct err append_records(struct span records, enum compression from, enum compression to,
                                 int level, struct buf *scratch, struct buf *out)
{
    buf_clear(scratch);
    TRY(decompress_append(from, records, scratch));
    return compress_append(to, level, buf_span(scratch), out);
}

struct err batch_recompress(struct span batch, enum compression codec, int level,
                            struct buf *scratch, struct buf *out, struct span *made)
{
    struct batch_header old;
    CHECK(batch_parse(batch, &old) == BATCH_FINE && old.size <= batch.size);
    size_t begin = out->size;
    struct span records =
        span_make(batch.data + BATCH_HEADER_SIZE, old.size - (size_t)BATCH_HEADER_SIZE);
    TRY(buf_append(out, batch.data, BATCH_HEADER_SIZE));
    struct err err = append_records(records, batch_codec(&old), codec, level, scratch, out);
    if (!err_failed(err) && out->size - begin - BATCH_PREFIX_SIZE > INT32_MAX)
        err = err_make(ERR_LIMIT);
    if (err_failed(err)) {
        out->size = begin;
        return err;
    }
    uint8_t *at = out->data + begin;
    size_t size = out->size - begin;
    unsigned attributes = (old.attributes & ~(unsigned)BATCH_CODEC_MASK) | (unsigned)codec;
    store_u16(at + BATCH_AT_ATTRIBUTES, (uint16_t)attributes);
    store_u32(at + BATCH_AT_LENGTH, (uint32_t)(size - BATCH_PREFIX_SIZE));
    store_u32(at + BATCH_AT_CRC,
              crc32c(span_make(at + BATCH_AT_ATTRIBUTES, size - BATCH_AT_ATTRIBUTES)));
    *made = span_make(at, size);
    return ERR_NONE;
}
