/*
 * compress: one table row per codec.
 *
 * The streaming codecs write into a window of the output buffer that is at most WINDOW_SIZE large,
 * so that memory follows the bytes that really come out. When the buffer has reached its bound the
 * window is one spare byte outside of it: if that gets used, the output is too large.
 */
#include "record/compress.h"

#include <lz4frame.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/check.h"
#include "record/compress_internal.h"

#define WINDOW_SIZE (64 * 1024)

/* gzip's header and trailer instead of zlib's, around the largest window. */
#define GZIP_WINDOW_BITS (15 + 16)
#define GZIP_MEMORY_LEVEL 8

struct window {
    uint8_t *data;
    size_t size;
    uint8_t spare;
};

static struct err window_open(struct window *window, struct buf *out)
{
    size_t room = out->size_max - out->size;
    if (room == 0) {
        window->data = &window->spare;
        window->size = 1;
        return ERR_NONE;
    }
    TRY(buf_reserve(out, room < WINDOW_SIZE ? room : WINDOW_SIZE));
    window->data = out->data + out->size;
    window->size = out->capacity - out->size;
    if (window->size > room)
        window->size = room;
    return ERR_NONE;
}

static struct err window_close(const struct window *window, struct buf *out, size_t used)
{
    CHECK(used <= window->size);
    if (window->data == &window->spare)
        return used == 0 ? ERR_NONE : err_make(ERR_LIMIT);
    out->size += used;
    return ERR_NONE;
}

static struct err gzip_compress(int level, struct span bytes, struct buf *out)
{
    if (bytes.size > UINT32_MAX / 2)
        return err_make(ERR_LIMIT);
    z_stream stream = {0};
    int how = level == COMPRESSION_LEVEL_DEFAULT ? Z_DEFAULT_COMPRESSION : level;
    int code = deflateInit2(&stream, how, Z_DEFLATED, GZIP_WINDOW_BITS, GZIP_MEMORY_LEVEL,
                            Z_DEFAULT_STRATEGY);
    if (code != Z_OK)
        return err_make(code == Z_MEM_ERROR ? ERR_NO_MEMORY : ERR_INVALID);
    size_t room = deflateBound(&stream, bytes.size);
    struct err err = buf_reserve(out, room);
    if (!err_failed(err)) {
        union {
            const uint8_t *readable;
            uint8_t *declared; /* zlib's struct lacks const; it only reads */
        } from = {.readable = bytes.data};
        stream.next_in = from.declared;
        stream.avail_in = (uInt)bytes.size;
        stream.next_out = out->data + out->size;
        stream.avail_out = (uInt)room;
        CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
        out->size += room - stream.avail_out;
    }
    (void)deflateEnd(&stream);
    return err;
}

/* Inflates one window's worth. *is_end: the last member has ended with the input. */
static struct err gzip_step(z_stream *stream, struct buf *out, bool *is_end)
{
    struct window window;
    TRY(window_open(&window, out));
    stream->next_out = window.data;
    stream->avail_out = window.size > UINT32_MAX ? UINT32_MAX : (uInt)window.size;
    size_t given = stream->avail_out;
    int code = inflate(stream, Z_NO_FLUSH);
    TRY(window_close(&window, out, given - stream->avail_out));
    if (code == Z_STREAM_END) {
        *is_end = stream->avail_in == 0;
        return *is_end || inflateReset(stream) == Z_OK ? ERR_NONE : err_make(ERR_CORRUPT);
    }
    if (code == Z_MEM_ERROR)
        return err_make(ERR_NO_MEMORY);
    if (code == Z_BUF_ERROR || (code == Z_OK && stream->avail_in == 0 && stream->avail_out != 0))
        return err_make(ERR_TRUNCATED);
    return code == Z_OK ? ERR_NONE : err_make(ERR_CORRUPT);
}

static struct err gzip_decompress(struct span bytes, struct buf *out)
{
    if (bytes.size > UINT32_MAX)
        return err_make(ERR_LIMIT);
    z_stream stream = {0};
    if (inflateInit2(&stream, GZIP_WINDOW_BITS) != Z_OK)
        return err_make(ERR_NO_MEMORY);
    union {
        const uint8_t *readable;
        uint8_t *declared;
    } from = {.readable = bytes.data};
    stream.next_in = from.declared;
    stream.avail_in = (uInt)bytes.size;
    bool is_end = false;
    struct err err = ERR_NONE;
    while (!is_end && !err_failed(err))
        err = gzip_step(&stream, out, &is_end);
    (void)inflateEnd(&stream);
    return err;
}

static struct err snappy_compress_any(int level, struct span bytes, struct buf *out)
{
    if (level != COMPRESSION_LEVEL_DEFAULT)
        return err_make(ERR_INVALID);
    return snappy_compress_append(bytes, out);
}

static struct err lz4_compress(int level, struct span bytes, struct buf *out)
{
    const LZ4F_preferences_t preferences = {
        .frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
        .compressionLevel = level == COMPRESSION_LEVEL_DEFAULT ? 0 : level,
    };
    size_t room = LZ4F_compressFrameBound(bytes.size, &preferences);
    TRY(buf_reserve(out, room));
    size_t size =
        LZ4F_compressFrame(out->data + out->size, room, bytes.data, bytes.size, &preferences);
    if (LZ4F_isError(size))
        return err_make(ERR_NO_MEMORY);
    out->size += size;
    return ERR_NONE;
}

static struct err lz4_decompress(struct span bytes, struct buf *out)
{
    LZ4F_dctx *context;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
        return err_make(ERR_NO_MEMORY);
    struct err err = ERR_NONE;
    size_t wanted = 1; /* 0: a frame has just ended */
    while (!err_failed(err) && (bytes.size != 0 || wanted != 0)) {
        struct window window;
        err = window_open(&window, out);
        if (err_failed(err))
            break;
        size_t produced = window.size;
        size_t consumed = bytes.size;
        wanted = LZ4F_decompress(context, window.data, &produced, bytes.data, &consumed, NULL);
        if (LZ4F_isError(wanted)) {
            err = err_make(ERR_CORRUPT);
            break;
        }
        err = window_close(&window, out, produced);
        if (!err_failed(err) && wanted != 0 && consumed == 0 && produced == 0)
            err = err_make(ERR_TRUNCATED);
        bytes = span_make(bytes.data + consumed, bytes.size - consumed);
    }
    (void)LZ4F_freeDecompressionContext(context);
    return err;
}

static struct err zstd_compress(int level, struct span bytes, struct buf *out)
{
    size_t room = ZSTD_compressBound(bytes.size);
    TRY(buf_reserve(out, room));
    int how = level == COMPRESSION_LEVEL_DEFAULT ? ZSTD_CLEVEL_DEFAULT : level;
    if (how < ZSTD_minCLevel() || how > ZSTD_maxCLevel())
        return err_make(ERR_INVALID);
    size_t size = ZSTD_compress(out->data + out->size, room, bytes.data, bytes.size, how);
    if (ZSTD_isError(size))
        return err_make(ERR_NO_MEMORY);
    out->size += size;
    return ERR_NONE;
}

static struct err zstd_decompress(struct span bytes, struct buf *out)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (context == NULL)
        return err_make(ERR_NO_MEMORY);
    struct err err = ERR_NONE;
    ZSTD_inBuffer from = {.src = bytes.data, .size = bytes.size};
    size_t wanted = 1; /* 0: a frame has just ended */
    while (!err_failed(err) && (from.pos != from.size || wanted != 0)) {
        struct window window;
        err = window_open(&window, out);
        if (err_failed(err))
            break;
        ZSTD_outBuffer to = {.dst = window.data, .size = window.size};
        size_t consumed_before = from.pos;
        wanted = ZSTD_decompressStream(context, &to, &from);
        if (ZSTD_isError(wanted)) {
            bool is_memory = ZSTD_getErrorCode(wanted) == ZSTD_error_memory_allocation;
            err = err_make(is_memory ? ERR_NO_MEMORY : ERR_CORRUPT);
            break;
        }
        err = window_close(&window, out, to.pos);
        if (!err_failed(err) && wanted != 0 && to.pos == 0 && from.pos == consumed_before)
            err = err_make(ERR_TRUNCATED);
    }
    (void)ZSTD_freeDCtx(context);
    return err;
}

static struct err none_compress(int level, struct span bytes, struct buf *out)
{
    (void)level;
    return buf_append(out, bytes.data, bytes.size);
}

static struct err none_decompress(struct span bytes, struct buf *out)
{
    return buf_append(out, bytes.data, bytes.size);
}

static const struct {
    const char *name;
    struct err (*compress)(int level, struct span bytes, struct buf *out);
    struct err (*decompress)(struct span bytes, struct buf *out);
} codecs[COMPRESSION_COUNT] = {
    [COMPRESSION_NONE] = {"none", none_compress, none_decompress},
    [COMPRESSION_GZIP] = {"gzip", gzip_compress, gzip_decompress},
    [COMPRESSION_SNAPPY] = {"snappy", snappy_compress_any, snappy_decompress_append},
    [COMPRESSION_LZ4] = {"lz4", lz4_compress, lz4_decompress},
    [COMPRESSION_ZSTD] = {"zstd", zstd_compress, zstd_decompress},
};

const char *compression_name(enum compression codec)
{
    CHECK(codec < COMPRESSION_COUNT);
    return codecs[codec].name;
}

struct err compress_append(enum compression codec, int level, struct span bytes, struct buf *out)
{
    CHECK(codec < COMPRESSION_COUNT);
    return codecs[codec].compress(level, bytes, out);
}

struct err decompress_append(enum compression codec, struct span bytes, struct buf *out)
{
    CHECK(codec < COMPRESSION_COUNT);
    size_t begin = out->size;
    struct err err = codecs[codec].decompress(bytes, out);
    if (err_failed(err))
        out->size = begin;
    return err;
}
