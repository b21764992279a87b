// The result: a table of what the group counted, and the comparison with the files themselves.
const TOP = 10
const FLIGHTS_ENOUGH = 500

// The same numbers straight from the files' rows, without the log between.
export function fromFiles({ flights, earthquakes }) {
  const byKey = new Map()
  const add = key => byKey.set(key, (byKey.get(key) ?? 0) + 1)
  flights.forEach(flight => add(`flights ${flight.origin}`))
  earthquakes.forEach(quake => add(`earthquakes ${quake.id}`))
  const airports = new Map()
  for (const origin of new Set(flights.map(flight => flight.origin))) {
    const delays = flights.filter(flight => flight.origin === origin).map(flight => flight.delay)
    airports.set(origin, { count: delays.length, delay: delays.reduce((a, b) => a + b, 0) })
  }
  return { count: flights.length + earthquakes.length, byKey, airports, quakes: earthquakes }
}

export function latest({ airports }) {
  return [...airports]
    .filter(([, { count }]) => count >= FLIGHTS_ENOUGH)
    .map(([origin, { count, delay }]) => ({ origin, count, delay, mean: delay / count }))
    .sort((a, b) => b.mean - a.mean || a.origin.localeCompare(b.origin))
    .slice(0, TOP)
}

export function strongest({ quakes }) {
  return quakes
    .map(({ id, magnitude, place, time }) =>
      ({ id, magnitude, place, time: new Date(time).toISOString() }))
    .sort((a, b) => b.magnitude - a.magnitude || a.id.localeCompare(b.id))
    .slice(0, TOP)
}

// Every statement about the numbers with whether it holds; seen is the group's, files the truth.
export function compare(seen, files, lag) {
  const wrongKeys = [...new Set([...seen.byKey.keys(), ...files.byKey.keys()])]
    .filter(key => seen.byKey.get(key) !== files.byKey.get(key))
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b)
  return [
    [`${number(files.count)} events published, ${number(seen.count)} consumed`,
      seen.count === files.count],
    [seen.faults[0] ?? 'each event came once, in its partition\'s order, with its own time',
      seen.faults.length === 0],
    [wrongKeys.length ? `${wrongKeys.length} keys miscounted, the first: ${wrongKeys[0]}`
      : `the counts of all ${number(files.byKey.size)} keys are those of the files`,
    wrongKeys.length === 0],
    ['delays by airport are those of the files', same(latest(seen), latest(files))],
    ['the strongest earthquakes are those of the files', same(strongest(seen), strongest(files))],
    [`the group has committed everything (lag ${number(lag)})`, lag === 0],
  ]
}

export function number(value) {
  return value.toLocaleString('en-US')
}

function columns(rows, rightAligned) {
  const widths = rows[0].map((_, i) => Math.max(...rows.map(row => row[i].length)))
  return rows.map(row => '  ' + row.map((text, i) =>
    (rightAligned[i] ? text.padStart(widths[i]) : text.padEnd(widths[i]))).join('  ').trimEnd())
}

export function render(seen, bold) {
  const airports = [['airport', 'flights', 'mean delay'], ...latest(seen).map(row =>
    [row.origin, number(row.count), `${row.mean.toFixed(2)} min`])]
  const quakes = [['magnitude', 'time', 'place'], ...strongest(seen).map(row =>
    [row.magnitude.toFixed(1), row.time.slice(0, 16).replace('T', ' '), row.place])]
  return [
    bold(`Delays by airport (${number(FLIGHTS_ENOUGH)} flights or more)`),
    ...columns(airports, [false, true, true]), '',
    bold('Strongest earthquakes'),
    ...columns(quakes, [true, false, false]),
  ].join('\n')
}
