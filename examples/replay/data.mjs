// The events: flights and earthquakes from the files that npm's vega-datasets carries.
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet'
import { compressors } from 'hyparquet-compressors'

export const FLIGHT_COUNT = 200_000

const fileOf = name =>
  fileURLToPath(new URL(`node_modules/vega-datasets/data/${name}`, import.meta.url))

// The first rows of flights-3m.parquet: departures from US airports in 2001, delay in minutes.
export async function loadFlights(count = FLIGHT_COUNT) {
  const file = await asyncBufferFromFile(fileOf('flights-3m.parquet'))
  const rows = await parquetReadObjects({ file, compressors, rowEnd: count })
  return rows.map(row => ({
    date: row.date,
    delay: Number(row.delay),
    distance: Number(row.distance),
    origin: row.origin,
    destination: row.destination,
  }))
}

// One week of the earthquakes that the USGS recorded.
export async function loadQuakes() {
  const { features } = JSON.parse(await readFile(fileOf('earthquakes.json'), 'utf8'))
  return features.map(({ id, properties, geometry }) => ({
    id,
    time: new Date(properties.time),
    magnitude: properties.mag,
    place: properties.place,
    coordinates: geometry.coordinates,
  }))
}

// An event becomes a message: its key keeps an airport's flights in order, its time is its own.
export function flightMessage(flight) {
  return {
    key: flight.origin,
    value: JSON.stringify(flight),
    timestamp: String(flight.date.getTime()),
  }
}

export function quakeMessage(quake) {
  return { key: quake.id, value: JSON.stringify(quake), timestamp: String(quake.time.getTime()) }
}

export const TOPICS = {
  flights: { partitions: 6, toMessage: flightMessage, timeOf: flight => flight.date },
  earthquakes: { partitions: 3, toMessage: quakeMessage, timeOf: quake => quake.time },
}
