"""aiokafka as a worker: see ../README.md."""
import asyncio
import signal
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener


async def produce(bootstrap, topic, count):
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks='all', enable_idempotence=True) as producer:
        sent = [await producer.send(topic, str(n).encode(), str(n).encode()) for n in range(int(count))]
        await asyncio.gather(*sent)
    print(f'produced {count}', flush=True)


class Listener(ConsumerRebalanceListener):
    async def on_partitions_revoked(self, revoked):
        pass

    async def on_partitions_assigned(self, assigned):
        print('assigned ' + (','.join(str(p.partition) for p in sorted(assigned)) or '-'), flush=True)


async def consume(bootstrap, topic, group):
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, auto_offset_reset='earliest', enable_auto_commit=False)
    leaving = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leaving.set)
    consumer.subscribe([topic], listener=Listener())
    await consumer.start()
    try:
        while not leaving.is_set():
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    print(f'record {record.partition} {record.offset} {record.value.decode()}', flush=True)
                await consumer.commit()
    finally:
        await consumer.stop()
    print('left', flush=True)


asyncio.run({'produce': produce, 'consume': consume}[sys.argv[1]](*sys.argv[2:]))
