// kafkajs on secured listeners: see ../README.md.
const fs = require('fs')
const { Kafka, logLevel } = require('kafkajs')

const [topic, number, json] = process.argv.slice(2)
const count = Number(number)

const part = value => Buffer.from(JSON.stringify(value)).toString('base64url')
const unsecured = user => {
  const now = Date.now() / 1000
  return `${part({ alg: 'none' })}.${part({ sub: user, iat: now - 5, exp: now + 600 })}.`
}

function client(cell) {
  const settings = { brokers: cell.bootstrap.split(','), logLevel: logLevel.NOTHING, retry: { retries: 2 } }
  if (cell.protocol.endsWith('SSL')) {
    settings.ssl = { ca: [fs.readFileSync(cell.ca, 'utf8')] }
    if (cell.certificate) {
      settings.ssl.cert = fs.readFileSync(cell.certificate, 'utf8')
      settings.ssl.key = fs.readFileSync(cell.key, 'utf8')
    }
  }
  if (cell.protocol.startsWith('SASL')) {
    settings.sasl = { mechanism: cell.mechanism.toLowerCase(), username: cell.username, password: cell.password }
    if (cell.mechanism === 'OAUTHBEARER') {
      settings.sasl.oauthBearerProvider = async () => ({ value: unsecured(cell.username) })
    }
  }
  return new Kafka(settings)
}

async function run(cell) {
  const kafka = client(cell)
  const producer = kafka.producer()
  await producer.connect()
  const messages = Array.from({ length: count }, (_, n) => ({ key: cell.name, value: String(n) }))
  await producer.send({ topic, acks: -1, messages })
  await producer.disconnect()
  const consumer = kafka.consumer({ groupId: cell.name, maxWaitTimeInMs: 200 })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  let seen = 0
  await new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`read ${seen} of ${count}`)), 40000)
    consumer.run({
      eachMessage: async ({ message }) => {
        if (String(message.key) === cell.name && ++seen === count) resolve()
      },
    })
  })
  await consumer.disconnect()
}

(async () => {
  for (const cell of JSON.parse(json)) {
    try {
      await run(cell)
      console.log(`cell ${cell.name} ok`)
    } catch (error) {
      console.log(`cell ${cell.name} failed: ${error.message}`)
    }
  }
  process.exit(0)
})()
