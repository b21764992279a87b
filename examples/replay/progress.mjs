// Progress: two bars that stay in place on a terminal, a plain line each second elsewhere.
import { number } from './table.mjs'

const BAR_WIDTH = 28
const TERMINAL_MS = 100
const PLAIN_MS = 1000

export function style(stream) {
  const colour = stream.isTTY && !process.env.NO_COLOR
  const wrap = code => text => (colour ? `\x1b[${code}m${text}\x1b[0m` : text)
  return { bold: wrap('1'), green: wrap('32'), red: wrap('31'), dim: wrap('2') }
}

export class Progress {
  constructor(stream, total) {
    this.stream = stream
    this.total = total
    this.published = { count: 0, from: performance.now(), until: null }
    this.consumed = { count: 0, from: performance.now(), until: null }
    this.lag = 0
    this.drawn = false
    this.timer = setInterval(() => this.draw(), stream.isTTY ? TERMINAL_MS : PLAIN_MS)
  }

  set(part, count) {
    this[part].count = count
    if (count >= this.total) this[part].until ??= performance.now()
  }

  rate(part) {
    const { count, from, until } = this[part]
    const seconds = ((until ?? performance.now()) - from) / 1000
    return `${number(Math.round(count / Math.max(seconds, 0.001)))}/s`
  }

  line(part, more) {
    const { count } = this[part]
    const share = Math.min(1, count / this.total)
    const done = Math.round(BAR_WIDTH * share)
    const bar = '█'.repeat(done) + '░'.repeat(BAR_WIDTH - done)
    const percent = `${Math.floor(share * 100)}%`.padStart(4)
    return `  ${part.padEnd(9)}  ${bar} ${percent}  ${number(count)} of ${number(this.total)}`
      + `  ${this.rate(part)}${more}`
  }

  draw() {
    const lag = `  lag ${number(this.lag)}`
    if (this.stream.isTTY) {
      const up = this.drawn ? '\x1b[2A' : ''
      this.stream.write(`${up}\x1b[2K${this.line('published', '')}\n`
        + `\x1b[2K${this.line('consumed', lag)}\n`)
    } else {
      this.stream.write(`published ${number(this.published.count)} (${this.rate('published')})`
        + `  consumed ${number(this.consumed.count)} (${this.rate('consumed')})${lag}\n`)
    }
    this.drawn = true
  }

  end() {
    clearInterval(this.timer)
    this.draw()
  }
}
