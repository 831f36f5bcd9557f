// kafkajs, one command per run; the result is one JSON line on standard output.
//   node kafkajs_client.js BOOTSTRAP create TOPIC PARTITIONS REPLICATION
//   node kafkajs_client.js BOOTSTRAP produce TOPIC CODEC        (records as JSON on standard input: [[key, value], ...])
//   node kafkajs_client.js BOOTSTRAP consume TOPIC GROUP COUNT
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require('kafkajs')

const [, , bootstrap, command, topic, ...rest] = process.argv
const CODECS = { none: 'None', gzip: 'GZIP', snappy: 'Snappy', lz4: 'LZ4', zstd: 'ZSTD' }

async function addCodecs () {
  CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')
  const lz4 = require('lz4-napi')
  CompressionCodecs[CompressionTypes.LZ4] = () => ({
    compress: async encoder => lz4.compressFrame(encoder.buffer),
    decompress: async buffer => lz4.decompressFrame(buffer)
  })
  const zstd = require('@bokuweb/zstd-wasm')
  await zstd.init()
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: async encoder => Buffer.from(zstd.compress(encoder.buffer, 3)),
    decompress: async buffer => Buffer.from(zstd.decompress(buffer))
  })
}

async function main () {
  await addCodecs()
  const kafka = new Kafka({ clientId: 'external-client', brokers: bootstrap.split(','), logLevel: logLevel.ERROR })
  if (command === 'create') {
    const admin = kafka.admin()
    await admin.connect()
    const [numPartitions, replicationFactor] = rest.map(Number)
    const created = await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions, replicationFactor }] })
    console.log(JSON.stringify({ created }))
    await admin.disconnect()
  } else if (command === 'produce') {
    const records = JSON.parse(require('fs').readFileSync(0, 'utf8'))
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    const answer = await producer.send({
      topic,
      acks: -1,
      compression: CompressionTypes[CODECS[rest[0]]],
      messages: records.map(([key, value]) => ({ key, value, headers: { by: 'kafkajs' } }))
    })
    console.log(JSON.stringify({ partitions: answer.length }))
    await producer.disconnect()
  } else if (command === 'consume') {
    const [groupId, count] = [rest[0], Number(rest[1])]
    const consumer = kafka.consumer({ groupId, sessionTimeout: 10000, rebalanceTimeout: 10000, heartbeatInterval: 1000 })
    const got = []
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    const all = new Promise((resolve, reject) => {
      setTimeout(() => reject(new Error(`${got.length} of ${count} records after 40 s`)), 40000)
      consumer.run({
        autoCommit: false,
        eachMessage: async ({ partition, message }) => {
          got.push([partition, Number(message.offset), message.key && message.key.toString(), message.value.toString()])
          if (got.length >= count) resolve()
        }
      }).catch(reject)
    })
    await all
    const ends = new Map()
    for (const [partition, offset] of got) ends.set(partition, Math.max(offset + 1, ends.get(partition) || 0))
    await consumer.commitOffsets([...ends].map(([partition, offset]) => ({ topic, partition, offset: String(offset) })))
    console.log(JSON.stringify({ records: got }))
    await consumer.disconnect()
  }
}

main().then(() => process.exit(0), error => { console.error(String(error.stack || error)); process.exit(1) })
