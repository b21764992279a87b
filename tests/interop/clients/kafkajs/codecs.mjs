// KafkaJS carries gzip alone; its other codecs are plugged in, as its documentation says.
import kafkajs from 'kafkajs'
import lz4 from 'lz4-napi'
import snappy from 'snappyjs'
import zstdCodec from 'zstd-codec'

const { CompressionCodecs, CompressionTypes } = kafkajs

// Java's producers write snappy in the framing of xerial's library: a header, then blocks, each
// after its length.
const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const XERIAL_HEADER_BYTES = 16

function unsnap(buffer) {
  if (!buffer.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) {
    return Buffer.from(snappy.uncompress(buffer))
  }
  const parts = []
  for (let at = XERIAL_HEADER_BYTES; at < buffer.length;) {
    const size = buffer.readUInt32BE(at)
    parts.push(Buffer.from(snappy.uncompress(buffer.subarray(at + 4, at + 4 + size))))
    at += 4 + size
  }
  return Buffer.concat(parts)
}

// Registers snappy, lz4 and zstd with KafkaJS, which calls each entry for a new codec.
export async function registerCodecs() {
  CompressionCodecs[CompressionTypes.Snappy] = () => ({
    compress: async encoder => Buffer.from(snappy.compress(encoder.buffer)),
    decompress: async buffer => unsnap(buffer),
  })
  CompressionCodecs[CompressionTypes.LZ4] = () => ({
    compress: async encoder => lz4.compressFrame(encoder.buffer),
    decompress: async buffer => lz4.decompressFrame(buffer),
  })
  const { Streaming } = await new Promise(resolve => zstdCodec.ZstdCodec.run(resolve))
  const zstd = new Streaming()
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: async encoder => Buffer.from(zstd.compress(encoder.buffer)),
    decompress: async buffer => Buffer.from(zstd.decompress(buffer)),
  })
}
