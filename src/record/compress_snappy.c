/*
 * compress_snappy: snappy in the framing of the xerial library, which Kafka's Java clients write.
 *
 *     82 'S' 'N' 'A' 'P' 'P' 'Y' 00 | version (4 bytes) = 1 | compatible (4 bytes) = 1
 *     { size (4 bytes) | that many bytes of one raw snappy block } ...
 *
 * The 16 bytes may come again between blocks, where streams were put one after the other. Clients
 * that write one raw block without framing (librdkafka among them) are read as well.
 */
#include <snappy-c.h>

#include "base/bytes.h"
#include "record/compress_internal.h"

#define XERIAL_HEADER_SIZE 16
#define XERIAL_BLOCK_SIZE (32 * 1024)

/* A snappy copy element of 3 bytes gives at most 64: no block grows more than that. */
#define SNAPPY_GROWTH_MAX 22

static const uint8_t xerial_header[XERIAL_HEADER_SIZE] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0,
                                                          0,    0,   0,   1,   0,   0,   0,   1};

/* Only the first 8 bytes mark the framing; the versions have never changed. */
static bool is_xerial(struct span bytes)
{
    return bytes.size >= XERIAL_HEADER_SIZE && memcmp(bytes.data, xerial_header, 8) == 0;
}

static struct err block_compress(struct span bytes, struct buf *out)
{
    size_t room = snappy_max_compressed_length(bytes.size);
    TRY(buf_reserve(out, sizeof(uint32_t) + room));
    char *at = (char *)out->data + out->size + sizeof(uint32_t);
    if (snappy_compress((const char *)bytes.data, bytes.size, at, &room) != SNAPPY_OK)
        return err_make(ERR_INVALID);
    store_u32(out->data + out->size, (uint32_t)room);
    out->size += sizeof(uint32_t) + room;
    return ERR_NONE;
}

struct err snappy_compress_append(struct span bytes, struct buf *out)
{
    size_t begin = out->size;
    struct err err = buf_append(out, xerial_header, sizeof xerial_header);
    while (!err_failed(err) && bytes.size != 0) {
        size_t part = bytes.size < XERIAL_BLOCK_SIZE ? bytes.size : XERIAL_BLOCK_SIZE;
        err = block_compress(span_make(bytes.data, part), out);
        bytes = span_make(bytes.data + part, bytes.size - part);
    }
    if (err_failed(err))
        out->size = begin;
    return err;
}

static struct err block_decompress(struct span bytes, struct buf *out)
{
    size_t size;
    const char *from = (const char *)bytes.data;
    if (snappy_uncompressed_length(from, bytes.size, &size) != SNAPPY_OK)
        return err_make(ERR_CORRUPT);
    if (size / SNAPPY_GROWTH_MAX > bytes.size)
        return err_make(ERR_CORRUPT);
    TRY(buf_reserve(out, size));
    if (size == 0)
        return ERR_NONE;
    if (snappy_uncompress(from, bytes.size, (char *)out->data + out->size, &size) != SNAPPY_OK)
        return err_make(ERR_CORRUPT);
    out->size += size;
    return ERR_NONE;
}

static struct err xerial_decompress(struct span bytes, struct buf *out)
{
    while (bytes.size != 0) {
        if (is_xerial(bytes)) {
            bytes = span_make(bytes.data + XERIAL_HEADER_SIZE, bytes.size - XERIAL_HEADER_SIZE);
            continue;
        }
        if (bytes.size < sizeof(uint32_t))
            return err_make(ERR_TRUNCATED);
        size_t size = load_u32(bytes.data);
        bytes = span_make(bytes.data + sizeof(uint32_t), bytes.size - sizeof(uint32_t));
        if (size > bytes.size)
            return err_make(ERR_TRUNCATED);
        TRY(block_decompress(span_make(bytes.data, size), out));
        bytes = span_make(bytes.data + size, bytes.size - size);
    }
    return ERR_NONE;
}

struct err snappy_decompress_append(struct span bytes, struct buf *out)
{
    size_t begin = out->size;
    struct err err =
        is_xerial(bytes) ? xerial_decompress(bytes, out) : block_decompress(bytes, out);
    if (err_failed(err))
        out->size = begin;
    return err;
}
