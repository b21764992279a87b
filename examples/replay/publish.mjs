// One producer publishes all events, in the order of the files.
import kafkajs from 'kafkajs'
import { TOPICS } from './data.mjs'

const BATCH_COUNT = 2000

// Creates the topics. One that is there already is somebody else's: it is left alone.
export async function createTopics(kafka) {
  const admin = kafka.admin()
  await admin.connect()
  try {
    for (const [topic, { partitions }] of Object.entries(TOPICS)) {
      const created = await admin.createTopics({
        waitForLeaders: true,
        topics: [{
          topic,
          numPartitions: partitions,
          configEntries: [{ name: 'retention.ms', value: '-1' }],
        }],
      })
      if (!created) throw new Error(`topic ${topic} exists already: replay into an empty log`)
    }
  } finally {
    await admin.disconnect()
  }
}

// Publishes events by topic; onSent is told how many of them the log has acknowledged.
export async function publish(kafka, events, onSent) {
  const producer = kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
  })
  await producer.connect()
  try {
    for (const [topic, list] of Object.entries(events)) {
      for (let at = 0; at < list.length; at += BATCH_COUNT) {
        const messages = list.slice(at, at + BATCH_COUNT).map(TOPICS[topic].toMessage)
        await producer.send({ topic, acks: -1, messages })
        onSent(messages.length)
      }
    }
  } finally {
    await producer.disconnect()
  }
}
