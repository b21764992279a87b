// KafkaJS behind the command contract (../README.md).
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import kafkajs from 'kafkajs'
import { administer } from './admin.mjs'
import { registerCodecs } from './codecs.mjs'
import { Transactions } from './transactions.mjs'

const { Kafka, CompressionTypes, logLevel } = kafkajs
const { version } = createRequire(import.meta.url)('kafkajs/package.json')

const CHUNK_BYTES = 500_000
const CODECS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
}

const kafka = new Kafka({
  brokers: [process.argv[2]],
  clientId: 'interop',
  logLevel: logLevel.ERROR,
  logCreator: () => entry => console.error(JSON.stringify(entry)),
})
const admin = kafka.admin()
let onStop = null

const send = line => process.stdout.write(`${JSON.stringify(line)}\n`)
const encode = buffer => buffer?.toString('base64') ?? null
const decode = text => (text === null ? null : Buffer.from(text, 'base64'))

function toMessage(record) {
  const headers = {}
  for (const [name, value] of record.headers) {
    headers[name] = [...(headers[name] ?? []), decode(value)]
  }
  return {
    partition: record.partition,
    key: decode(record.key),
    value: decode(record.value),
    timestamp: record.timestamp === undefined ? undefined : String(record.timestamp),
    headers,
  }
}

function toWire(partition, message) {
  const headers = Object.entries(message.headers ?? {}).flatMap(([name, values]) =>
    [values].flat().map(value => [name, encode(value)]))
  return {
    partition,
    offset: Number(message.offset),
    timestamp: Number(message.timestamp),
    key: encode(message.key),
    value: encode(message.value),
    headers,
  }
}

const transactions = new Transactions(kafka, toMessage)

// KafkaJS puts what one send has for a partition into one batch, however large.
function* chunks(messages) {
  let chunk = []
  let bytes = 0
  for (const message of messages) {
    const size = message.value?.length ?? 0
    if (chunk.length > 0 && bytes + size > CHUNK_BYTES) {
      yield chunk
      chunk = []
      bytes = 0
    }
    chunk.push(message)
    bytes += size
  }
  yield chunk
}

async function produce({ topic, records, codec = 'none', idempotent = false }) {
  const producer = kafka.producer({ idempotent, maxInFlightRequests: 1 })
  await producer.connect()
  try {
    for (const messages of chunks(records.map(toMessage))) {
      await producer.send({ topic, acks: -1, compression: CODECS[codec], messages })
    }
  } finally {
    await producer.disconnect()
  }
}

// KafkaJS consumes only in groups: one that nobody else uses reads a topic from its beginning.
async function consume({ topic, count, timeout_ms: timeoutMs, max_bytes: maxBytes, isolation }) {
  const consumer = kafka.consumer({
    groupId: `${topic}.read.${process.pid}.${performance.now()}`,
    maxBytesPerPartition: Math.max(1 << 20, (maxBytes ?? 0) + 1000),
    maxWaitTimeInMs: 200,
    readUncommitted: isolation === 'read_uncommitted',
  })
  const records = []
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  try {
    await new Promise((resolve, reject) => {
      const late = new Error('not in time')
      const timer = setTimeout(() => reject(late), timeoutMs)
      consumer.on(consumer.events.CRASH, ({ payload }) => {
        if (!payload.restart) reject(payload.error)
      })
      consumer.run({
        autoCommit: false,
        eachMessage: async ({ partition, message }) => {
          records.push(toWire(partition, message))
          if (records.length === count) {
            clearTimeout(timer)
            resolve()
          }
        },
      }).catch(reject)
    }).catch(error => {
      throw new Error(`${error.message}: got ${records.length} of ${count} records`)
    })
  } finally {
    await consumer.disconnect()
  }
  return { records }
}

async function groupConsume({ topic, group, session_timeout_ms: sessionTimeout }) {
  const consumer = kafka.consumer({
    groupId: group, sessionTimeout, rebalanceTimeout: 10000, heartbeatInterval: 500,
    maxWaitTimeInMs: 100,
  })
  const stopped = new Promise(resolve => { onStop = resolve })
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    send({ event: 'assigned', partitions: payload.memberAssignment[topic] ?? [] })
  })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const crashed = new Promise((_, reject) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      if (!payload.restart) reject(payload.error)
    })
  })
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message, heartbeat }) => {
      const { offset } = message
      send({ event: 'record', partition, offset: Number(offset), value: encode(message.value) })
      await consumer.commitOffsets([{ topic, partition, offset: String(BigInt(offset) + 1n) }])
      await heartbeat()
    },
  })
  try {
    await Promise.race([stopped, crashed])
  } finally {
    onStop = null
    await consumer.disconnect()
  }
}

async function answer(command) {
  switch (command.cmd) {
    case 'describe': return { client: 'kafkajs', version }
    case 'produce': return produce(command)
    case 'consume': return consume(command)
    case 'group-consume': return groupConsume(command)
    case 'transact': return transactions.transact(command)
    case 'process': return transactions.process(command)
    default: return administer(admin, command)
  }
}

async function serve() {
  await registerCodecs()
  await admin.connect()
  let busy = Promise.resolve()
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line)
    if (command.cmd === 'stop') {
      onStop?.()
      continue
    }
    busy = busy.then(() => answer(command)).then(
      reply => send({ ok: true, ...reply }),
      error => send({ ok: false, error: `${error.name}: ${error.message}` }))
  }
  await busy
  await admin.disconnect()
}

serve()
