"""confluent-kafka (librdkafka) as a worker: see ../README.md."""
import signal
import sys

from confluent_kafka import Consumer, Producer


def produce(bootstrap, topic, count):
    failed = []
    producer = Producer({'bootstrap.servers': bootstrap, 'acks': 'all', 'enable.idempotence': True})
    for n in range(int(count)):
        producer.produce(topic, str(n), str(n), on_delivery=lambda error, _: failed.append(error) if error else None)
        producer.poll(0)
    left = producer.flush(60)
    if failed or left:
        sys.exit(f'{left} not sent, {failed[:1]}')
    print(f'produced {count}', flush=True)


def consume(bootstrap, topic, group):
    consumer = Consumer({
        'bootstrap.servers': bootstrap, 'group.id': group, 'auto.offset.reset': 'earliest',
        'enable.auto.commit': False, 'partition.assignment.strategy': 'range',
    })

    def assigned(_, partitions):
        print('assigned ' + (','.join(str(p.partition) for p in partitions) or '-'), flush=True)

    leaving = []
    signal.signal(signal.SIGTERM, lambda *_: leaving.append(True))
    consumer.subscribe([topic], on_assign=assigned)
    while not leaving:
        message = consumer.poll(0.2)
        if message is None:
            continue
        if message.error():
            print(message.error(), file=sys.stderr, flush=True)
            continue
        print(f'record {message.partition()} {message.offset()} {message.value().decode()}', flush=True)
        consumer.commit(message, asynchronous=False)
    consumer.close()
    print('left', flush=True)


{'produce': produce, 'consume': consume}[sys.argv[1]](*sys.argv[2:])
