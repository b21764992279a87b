// A Headrace of our own: started on a fresh data folder, stopped when the replay ends.
import { spawn } from 'node:child_process'
import { mkdir, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'

const HOST = '127.0.0.1'
const KAFKA_PORT = 9092
const HTTP_PORT = 8080
const READY_MS = 20_000
const STOP_MS = 20_000
const STDERR_LINES = 20

// The port if nobody listens there, 0 (any) otherwise.
function freePort(port) {
  return new Promise(resolve => {
    const probe = createServer()
    probe.once('error', () => resolve(0))
    probe.listen({ host: HOST, port }, () => probe.close(() => resolve(port)))
  })
}

export async function startServer(binary, data, say) {
  await rm(data, { recursive: true, force: true })
  await mkdir(data, { recursive: true })
  const kafkaPort = await freePort(KAFKA_PORT)
  if (kafkaPort === 0) say(`port ${KAFKA_PORT} is taken: the log takes another`)
  const httpPort = await freePort(HTTP_PORT)
  const args = ['serve', '--data', data,
    '--kafka', `${HOST}:${kafkaPort}`, '--http', `${HOST}:${httpPort}`]
  // In a group of its own: Ctrl-C reaches only us, and the log ends after its clients.
  const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const messages = []
  createInterface({ input: child.stderr }).on('line', line => {
    messages.push(line)
    if (messages.length > STDERR_LINES) messages.shift()
  })
  const exited = new Promise(resolve => {
    child.once('error', error => resolve(error.message))
    child.once('exit', (code, signal) => resolve(`it ended with ${code ?? signal}`))
  })
  const stop = () => stopChild(child, exited)
  try {
    const ready = await readyLine(child, exited)
    return { bootstrap: ready.kafka, http: ready.http, stop, exited, messages }
  } catch (error) {
    await stop()
    throw new Error([`${binary} did not start: ${error.message}`, ...messages].join('\n  '))
  }
}

function readyLine(child, exited) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`no ready line within ${READY_MS / 1000} s`)), READY_MS)
    exited.then(how => {
      clearTimeout(timer)
      reject(new Error(how))
    })
    createInterface({ input: child.stdout }).once('line', line => {
      clearTimeout(timer)
      const found = line.match(/^headrace ready kafka=(\S+) http=(\S+)$/)
      if (found) resolve({ kafka: found[1], http: found[2] })
      else reject(new Error(`its first line is not the ready line: ${line}`))
    })
  })
}

async function stopChild(child, exited) {
  if (child.pid === undefined) return
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  await exited
  clearTimeout(timer)
}
