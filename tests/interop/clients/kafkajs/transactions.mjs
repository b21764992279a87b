// Transactional producers: each lives by name from its first step to its `close`.
const PROCESS_TIMEOUT_MS = 60_000

export class Transactions {
  constructor(kafka, toMessage) {
    this.kafka = kafka
    this.toMessage = toMessage
    this.producers = new Map()
  }

  async open(transactionalId, transactionTimeout) {
    const producer = this.kafka.producer({
      transactionalId, transactionTimeout, idempotent: true, maxInFlightRequests: 1,
    })
    await producer.connect()
    return producer
  }

  async transact({ producer: name, id, timeout_ms: timeoutMs, steps }) {
    if (!this.producers.has(name)) {
      this.producers.set(name, { producer: await this.open(id, timeoutMs), transaction: null })
    }
    for (const step of steps) {
      await this.take(name, step)
    }
  }

  async take(name, step) {
    const state = this.producers.get(name)
    switch (step.do) {
      case 'begin':
        state.transaction = await state.producer.transaction()
        break
      case 'produce':
        await state.transaction.send({
          topic: step.topic, acks: -1, messages: step.records.map(this.toMessage),
        })
        break
      case 'commit':
        await state.transaction.commit()
        break
      case 'abort':
        await state.transaction.abort()
        break
      default:
        this.producers.delete(name)
        await state.producer.disconnect()
    }
  }

  async process({ from, to, group, id, count, end }) {
    const messages = await this.read(from, group, count)
    const producer = await this.open(id, PROCESS_TIMEOUT_MS)
    const transaction = await producer.transaction()
    await transaction.send({
      topic: to, acks: -1, messages: messages.map(({ key, value }) => ({ key, value, partition: 0 })),
    })
    const offset = String(BigInt(messages.at(-1).offset) + 1n)
    await transaction.sendOffsets({
      consumerGroupId: group, topics: [{ topic: from, partitions: [{ partition: 0, offset }] }],
    })
    await (end === 'commit' ? transaction.commit() : transaction.abort())
    await producer.disconnect()
  }

  // KafkaJS sends a transaction's offsets for the group, not for a member: it may leave before.
  async read(topic, groupId, count) {
    const consumer = this.kafka.consumer({ groupId, maxWaitTimeInMs: 200 })
    const messages = []
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    try {
      await new Promise((resolve, reject) => {
        consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
        consumer.run({
          autoCommit: false,
          eachMessage: async ({ message }) => {
            messages.push(message)
            if (messages.length === count) resolve()
          },
        }).catch(reject)
      })
    } finally {
      await consumer.disconnect()
    }
    return messages.slice(0, count)
  }
}
