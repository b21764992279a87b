// Three members of one consumer group share the partitions and count what they are given.
import { TOPICS } from './data.mjs'

export const GROUP = 'replay'
const MEMBER_COUNT = 3

// What the group has seen. Every partition's offsets must come one after another, from 0.
export class Seen {
  constructor() {
    this.count = 0
    this.byKey = new Map() // "topic key" -> how many
    this.next = new Map() // "topic partition" -> the offset that comes next
    this.behind = new Map() // "topic partition" -> records not yet seen, at the last batch
    this.faults = []
    this.airports = new Map() // origin -> { count, delay }
    this.quakes = []
  }

  take(topic, partition, message) {
    const place = `${topic} ${partition}`
    const offset = Number(message.offset)
    const wanted = this.next.get(place) ?? 0
    if (offset !== wanted) this.fault(`${place}: got offset ${offset} where ${wanted} comes next`)
    this.next.set(place, Math.max(wanted, offset + 1))
    this.count += 1
    const key = `${topic} ${message.key}`
    this.byKey.set(key, (this.byKey.get(key) ?? 0) + 1)
    const event = JSON.parse(message.value)
    if (new Date(TOPICS[topic].timeOf(event)).getTime() !== Number(message.timestamp)) {
      this.fault(`${place} offset ${offset}: the timestamp is not the event's time`)
    }
    if (topic === 'flights') this.takeFlight(event)
    else this.quakes.push(event)
  }

  takeFlight({ origin, delay }) {
    const airport = this.airports.get(origin) ?? { count: 0, delay: 0 }
    airport.count += 1
    airport.delay += delay
    this.airports.set(origin, airport)
  }

  fault(text) {
    if (this.faults.length < 10) this.faults.push(text)
  }

  get lag() {
    let total = 0
    for (const behind of this.behind.values()) total += behind
    return total
  }
}

// Joins the group; resolves, with what ends it, once the partitions are shared among all members.
export async function startGroup(kafka, seen, onSeen) {
  const members = Array.from({ length: MEMBER_COUNT }, () =>
    kafka.consumer({ groupId: GROUP, maxWaitTimeInMs: 100, rebalanceTimeout: 10_000 }))
  const shared = allShared(members)
  const crashed = new Promise((_, reject) => {
    for (const member of members) {
      member.on(member.events.CRASH, ({ payload }) => {
        if (!payload.restart) reject(payload.error)
      })
    }
  })
  const stop = () => Promise.all(members.map(member => member.disconnect()))
  try {
    await Promise.all(members.map(member => runMember(member, seen, onSeen)))
    await Promise.race([shared, crashed])
  } catch (error) {
    await stop()
    throw error
  }
  return { stop, crashed }
}

async function runMember(member, seen, onSeen) {
  await member.connect()
  await member.subscribe({ topics: Object.keys(TOPICS), fromBeginning: true })
  await member.run({
    eachBatch: async ({ batch, heartbeat }) => {
      for (const message of batch.messages) seen.take(batch.topic, batch.partition, message)
      const behind = Number(batch.highWatermark) - Number(batch.lastOffset()) - 1
      seen.behind.set(`${batch.topic} ${batch.partition}`, behind)
      onSeen()
      await heartbeat()
    },
  })
}

// Resolves when every member has partitions and no partition has two members or none.
function allShared(members) {
  const partitionCount = Object.values(TOPICS).reduce((sum, t) => sum + t.partitions, 0)
  const owned = new Map()
  return new Promise(resolve => {
    members.forEach((member, number) => {
      member.on(member.events.GROUP_JOIN, ({ payload }) => {
        const places = Object.entries(payload.memberAssignment)
          .flatMap(([topic, partitions]) => partitions.map(p => `${topic} ${p}`))
        owned.set(number, places)
        const all = [...owned.values()].flat()
        const shared = [...owned.values()].filter(list => list.length > 0).length
        if (shared === members.length && all.length === partitionCount
            && new Set(all).size === partitionCount) resolve()
      })
    })
  })
}

// What the group has not committed yet, asked of the broker.
export async function committedLag(kafka) {
  const admin = kafka.admin()
  await admin.connect()
  try {
    let lag = 0
    const committed = await admin.fetchOffsets({ groupId: GROUP, topics: Object.keys(TOPICS) })
    for (const { topic, partitions } of committed) {
      const ends = new Map((await admin.fetchTopicOffsets(topic))
        .map(({ partition, high }) => [partition, Number(high)]))
      for (const { partition, offset } of partitions) {
        lag += ends.get(partition) - Math.max(0, Number(offset))
      }
    }
    return lag
  } finally {
    await admin.disconnect()
  }
}
