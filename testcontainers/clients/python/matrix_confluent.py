# confluent-kafka (librdkafka) on secured listeners: see ../README.md.
import json
import sys
import time

from confluent_kafka import Consumer, KafkaException, Producer

topic, count = sys.argv[1], int(sys.argv[2])
errors = []


def security(cell):
    settings = {
        'bootstrap.servers': cell['bootstrap'],
        'security.protocol': cell['protocol'],
        'error_cb': lambda error: errors.append(str(error)),
        'log_level': 0,
    }
    if cell['protocol'].endswith('SSL'):
        settings['ssl.ca.location'] = cell['ca']
        if cell.get('certificate'):
            settings['ssl.certificate.location'] = cell['certificate']
            settings['ssl.key.location'] = cell['key']
    if cell['protocol'].startswith('SASL'):
        settings['sasl.mechanism'] = cell['mechanism']
        if cell['mechanism'] == 'OAUTHBEARER':
            settings['enable.sasl.oauthbearer.unsecure.jwt'] = True
            settings['sasl.oauthbearer.config'] = f'principal={cell["username"]}'
        else:
            settings['sasl.username'] = cell['username']
            settings['sasl.password'] = cell['password']
    return settings


def run(cell):
    errors.clear()
    producer = Producer({**security(cell), 'message.timeout.ms': cell.get('patience_ms', 30000)})
    for n in range(count):
        producer.produce(topic, str(n), cell['name'])
    left = producer.flush(35)
    if left or any('uthentication' in error or 'SSL' in error for error in errors):
        raise KafkaException((errors or [f'{left} records are not sent'])[0])
    consumer = Consumer({**security(cell), 'group.id': cell['name'], 'auto.offset.reset': 'earliest'})
    consumer.subscribe([topic])
    seen, end = 0, time.time() + 40
    while seen < count:
        if time.time() > end:
            raise KafkaException(f'read {seen} of {count}')
        message = consumer.poll(0.2)
        if message and not message.error() and message.key().decode() == cell['name']:
            seen += 1
    consumer.close()


for cell in json.loads(sys.argv[3]):
    try:
        run(cell)
        print(f'cell {cell["name"]} ok', flush=True)
    except Exception as error:
        print(f'cell {cell["name"]} failed: {error}', flush=True)
