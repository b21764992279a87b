// KafkaJS's admin client behind the command contract.
import kafkajs from 'kafkajs'

const { ConfigResourceTypes } = kafkajs
const DYNAMIC_TOPIC_CONFIG = 1

async function configEntries(admin, topic) {
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }],
  })
  return resources[0].configEntries
}

// KafkaJS has only the call that replaces a topic's whole config.
async function alterConfig(admin, topic, config) {
  const kept = (await configEntries(admin, topic))
    .filter(entry => entry.configSource === DYNAMIC_TOPIC_CONFIG && !(entry.configName in config))
    .map(entry => ({ name: entry.configName, value: entry.configValue }))
  const changed = Object.entries(config).map(([name, value]) => ({ name, value }))
  await admin.alterConfigs({
    validateOnly: false,
    resources: [{
      type: ConfigResourceTypes.TOPIC, name: topic, configEntries: [...kept, ...changed],
    }],
  })
}

async function listOffset(admin, { topic, partition, at }) {
  if (typeof at === 'number') {
    const found = await admin.fetchTopicOffsetsByTimestamp(topic, at)
    return found.find(row => row.partition === partition).offset
  }
  const found = await admin.fetchTopicOffsets(topic)
  const row = found.find(one => one.partition === partition)
  return at === 'earliest' ? row.low : row.high
}

export async function administer(admin, command) {
  const { topic, group } = command
  switch (command.cmd) {
    case 'create-topic': {
      const configEntries = Object.entries(command.config).map(([name, value]) => ({ name, value }))
      const created = await admin.createTopics({
        topics: [{ topic, numPartitions: command.partitions, configEntries }],
      })
      if (!created) throw new Error('the topic exists')
      return {}
    }
    case 'delete-topic':
      await admin.deleteTopics({ topics: [topic] })
      return {}
    case 'list-topics':
      return { topics: await admin.listTopics() }
    case 'describe-topic': {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
      return { partitions: topics[0].partitions.length }
    }
    case 'describe-config': {
      const entries = await configEntries(admin, topic)
      return { config: Object.fromEntries(entries.map(e => [e.configName, e.configValue])) }
    }
    case 'alter-config':
      await alterConfig(admin, topic, command.config)
      return {}
    case 'add-partitions':
      await admin.createPartitions({ topicPartitions: [{ topic, count: command.count }] })
      return {}
    case 'list-offsets':
      return { offset: Number(await listOffset(admin, command)) }
    default:
      return administerGroup(admin, command, topic, group)
  }
}

async function administerGroup(admin, command, topic, groupId) {
  switch (command.cmd) {
    case 'commit': {
      const partitions = Object.entries(command.offsets)
        .map(([partition, offset]) => ({ partition: Number(partition), offset: String(offset) }))
      await admin.setOffsets({ groupId, topic, partitions })
      return {}
    }
    case 'committed': {
      const [found] = await admin.fetchOffsets({ groupId, topics: [topic] })
      const wanted = found.partitions.filter(row => command.partitions.includes(row.partition))
      return { offsets: Object.fromEntries(wanted.map(r => [r.partition, Number(r.offset)])) }
    }
    case 'list-groups':
      return { groups: (await admin.listGroups()).groups.map(row => row.groupId) }
    case 'describe-group': {
      const { groups } = await admin.describeGroups([groupId])
      return { state: groups[0].state, members: groups[0].members.length }
    }
    case 'delete-group':
      await admin.deleteGroups([groupId])
      return {}
    default:
      throw new Error(`unknown command ${command.cmd}`)
  }
}
