#!/usr/bin/env node
// Replays real events through the log and checks every number: see README.md.
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'
import kafkajs from 'kafkajs'
import { committedLag, Seen, startGroup } from './consume.mjs'
import { loadFlights, loadQuakes } from './data.mjs'
import { Progress, style } from './progress.mjs'
import { createTopics, publish } from './publish.mjs'
import { startServer } from './server.mjs'
import { compare, fromFiles, number, render } from './table.mjs'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const STALL_MS = 30_000
const USAGE = `usage: replay.mjs [--headrace PATH | --bootstrap HOST:PORT]

  --headrace PATH        start this binary on a fresh folder (build/run/data), stop it at the end
  --bootstrap HOST:PORT  replay into a log that runs already, Headrace or Apache Kafka

With ONCE=1 in the environment it ends by itself. The exit code is 1 if any number is wrong.`

const { bold, green, red, dim } = style(process.stdout)
const say = text => console.log(text)

function client(bootstrap) {
  process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1'
  return new kafkajs.Kafka({
    clientId: 'replay',
    brokers: [bootstrap],
    logLevel: kafkajs.logLevel.NOTHING, // what matters comes as a rejection or a crash event
  })
}

// Resolves when the group has seen all events; rejects when it sees nothing new for too long.
function allSeen(seen, total, progress) {
  let last = -1
  let timer
  let check
  const done = new Promise((resolve, reject) => {
    check = () => {
      progress.set('consumed', seen.count)
      progress.lag = seen.lag
      if (seen.count >= total) resolve()
    }
    timer = setInterval(() => {
      if (seen.count === last) reject(new Error(`nothing new for ${STALL_MS / 1000} s`))
      last = seen.count
    }, STALL_MS)
  }).finally(() => clearInterval(timer))
  return { done, check }
}

async function replay(bootstrap, ended) {
  say(dim('reading the files ...'))
  const events = { flights: await loadFlights(), earthquakes: await loadQuakes() }
  const files = fromFiles(events)
  const kafka = client(bootstrap)
  await createTopics(kafka)
  say(`replaying ${number(events.flights.length)} flights of 2001 and `
    + `${number(events.earthquakes.length)} earthquakes of 2018 through ${bold(bootstrap)}`)
  const seen = new Seen()
  let onSeen = () => {}
  const group = await startGroup(kafka, seen, () => onSeen())
  const progress = new Progress(process.stdout, files.count)
  try {
    const waiting = allSeen(seen, files.count, progress)
    onSeen = waiting.check
    const published = publish(kafka, events, count => {
      progress.set('published', progress.published.count + count)
    })
    await Promise.race([Promise.all([published, waiting.done]), group.crashed, ended])
  } finally {
    progress.end()
    await group.stop()
  }
  return report(seen, files, await committedLag(kafka))
}

function report(seen, files, lag) {
  say(`\n${render(seen, bold)}\n`)
  const statements = compare(seen, files, lag)
  for (const [text, holds] of statements) {
    say(`${holds ? green('ok   ') : red('WRONG')} ${text}`)
  }
  return statements.every(([, holds]) => holds)
}

function suggest(server, binary) {
  const { bootstrap, http } = server
  say(`
${bold('The log stays up until Ctrl-C.')} Try:

  kcat -C -b ${bootstrap} -t flights -o -5 -e       ${dim('the last five of each partition')}
  ${binary} consume flights -n 5 --bootstrap ${bootstrap}
  ${binary} topic list --bootstrap ${bootstrap}
  ${binary} group describe replay --bootstrap ${bootstrap}
  curl http://${http}/metrics
`)
}

function interrupted() {
  return new Promise(resolve => {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => resolve(name))
  })
}

async function main() {
  const { values } = parseArgs({ options: {
    headrace: { type: 'string' }, bootstrap: { type: 'string' }, help: { type: 'boolean' } } })
  if (values.help || (values.headrace && values.bootstrap)) {
    say(USAGE)
    return values.help ? 0 : 2
  }
  const stopped = interrupted()
  const binary = values.headrace ?? join(ROOT, 'build/release/headrace')
  const server = values.bootstrap
    ? { bootstrap: values.bootstrap, stop: async () => {}, exited: new Promise(() => {}) }
    : await startServer(binary, join(ROOT, 'build/run/data'), say)
  const ended = Promise.race([
    stopped.then(name => { throw new Error(`interrupted by ${name}`) }),
    server.exited.then(how => {
      throw new Error(['the log is gone:', how, ...server.messages ?? []].join('\n  '))
    }),
  ])
  ended.catch(() => {})
  try {
    const right = await Promise.race([replay(server.bootstrap, ended), ended])
    if (!values.bootstrap && !process.env.ONCE) {
      suggest(server, binary)
      await ended.catch(error => {
        if (!/^interrupted/.test(error.message)) throw error
      })
      say('stopping ...')
    }
    return right ? 0 : 1
  } finally {
    await server.stop()
  }
}

main().then(code => process.exit(code), error => {
  console.error(`${red('failed:')} ${error.message}`)
  process.exit(1)
})
