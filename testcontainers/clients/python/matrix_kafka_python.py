# kafka-python on secured listeners: see ../README.md.
import json
import sys
import time

from kafka import KafkaConsumer, KafkaProducer
from kafka.net.sasl.oauth import AbstractTokenProvider

topic, count = sys.argv[1], int(sys.argv[2])


class Unsecured(AbstractTokenProvider):
    def __init__(self, user):
        self.user = user

    def token(self):
        import base64
        part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b'=').decode()
        now = time.time()
        return f'{part({"alg": "none"})}.{part({"sub": self.user, "iat": now - 5, "exp": now + 600})}.'


def security(cell):
    settings = {'bootstrap_servers': cell['bootstrap'], 'security_protocol': cell['protocol']}
    if cell['protocol'].endswith('SSL'):
        settings['ssl_cafile'] = cell['ca']
        if cell.get('certificate'):
            settings['ssl_certfile'] = cell['certificate']
            settings['ssl_keyfile'] = cell['key']
    if cell['protocol'].startswith('SASL'):
        settings['sasl_mechanism'] = cell['mechanism']
        if cell['mechanism'] == 'OAUTHBEARER':
            settings['sasl_oauth_token_provider'] = Unsecured(cell['username'])
        else:
            settings['sasl_plain_username'] = cell['username']
            settings['sasl_plain_password'] = cell['password']
    return settings


def run(cell):
    # A refused client tries to bootstrap for a while; a short limit keeps the matrix quick.
    producer = KafkaProducer(**security(cell), bootstrap_timeout_ms=cell.get('patience_ms', 30000))
    for n in range(count):
        producer.send(topic, str(n).encode(), cell['name'].encode()).get(30)
    producer.close()
    consumer = KafkaConsumer(topic, **security(cell), group_id=cell['name'], auto_offset_reset='earliest')
    seen, end = 0, time.time() + 40
    while seen < count:
        if time.time() > end:
            raise Exception(f'read {seen} of {count}')
        for records in consumer.poll(timeout_ms=200).values():
            seen += sum(record.key == cell['name'].encode() for record in records)
    consumer.close()


for cell in json.loads(sys.argv[3]):
    try:
        run(cell)
        print(f'cell {cell["name"]} ok', flush=True)
    except Exception as error:
        print(f'cell {cell["name"]} failed: {type(error).__name__} {error}', flush=True)
