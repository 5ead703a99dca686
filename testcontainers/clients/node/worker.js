// kafkajs as a worker: see ../README.md.
const { Kafka, logLevel } = require('kafkajs')

const [command, bootstrap, topic, last] = process.argv.slice(2)
const kafka = new Kafka({ brokers: bootstrap.split(','), logLevel: logLevel.WARN })

async function produce(count) {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  const messages = Array.from({ length: count }, (_, n) => ({ key: String(n), value: String(n) }))
  for (let n = 0; n < count; n += 500) {
    await producer.send({ topic, acks: -1, messages: messages.slice(n, n + 500) })
  }
  await producer.disconnect()
  console.log('produced', count)
}

async function consume(groupId) {
  const consumer = kafka.consumer({ groupId, heartbeatInterval: 500, maxWaitTimeInMs: 200 })
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    console.log('assigned', (payload.memberAssignment[topic] || []).join(',') || '-')
  })
  process.on('SIGTERM', async () => {
    await consumer.disconnect()
    console.log('left')
    process.exit(0)
  })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    autoCommitThreshold: 1,
    eachMessage: async ({ partition, message }) => {
      console.log('record', partition, message.offset, message.value.toString())
    },
  })
}

(command === 'produce' ? produce(Number(last)) : consume(last)).catch(error => {
  console.error(error)
  process.exit(1)
})
