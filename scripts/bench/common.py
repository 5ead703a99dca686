"""Shared parts of the benchmarks: nodes with CPU time and memory, a ZooKeeper, Kafka's tools, the table of results."""
import os, signal, socket, struct, subprocess, sys, time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIBS = os.environ.get('BARNABAS_KAFKA_LIBS', os.path.join(ROOT, '.cache/kafka-libs'))
BINARY = os.environ.get('BARNABAS_BIN', os.path.join(ROOT, 'target/release/barnabas'))
LOG4J = os.path.join(ROOT, 'testcontainers/kafka/log4j-warn.properties')


def java(cls, *arguments, heap='512m', log4j=LOG4J):
    return ['java', f'-Xmx{heap}', f'-Dlog4j.configuration=file:{log4j}', '-cp', LIBS + '/*', cls, *map(str, arguments)]


def text(value):
    """A string as it is encoded in a request."""
    encoded = value.encode()
    return struct.pack('>h', len(encoded)) + encoded


def frame(key, version, body):
    """A request as it is sent over a connection."""
    message = struct.pack('>hhi', key, version, 7) + text('bench') + body
    return struct.pack('>i', len(message)) + message


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def wait_until_serving(port, seconds=60):
    """Waits until ZooKeeper answers srvr. A client that connects earlier would never get an answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with socket.create_connection(('127.0.0.1', port), 1) as s:
                s.settimeout(1)
                s.sendall(b'srvr')
                if b'Zookeeper version' in s.recv(100):
                    return
        except OSError:
            pass
        time.sleep(0.05)
    sys.exit(f'no ZooKeeper serves on port {port}')


def wait_for_answer(port, seconds=60):
    """Waits until the broker answers ApiVersions version 0; then it serves requests."""
    request = bytes.fromhex('0000000a' '0012' '0000' '00000007' 'ffff')
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with socket.create_connection(('127.0.0.1', port), 1) as s:
                s.settimeout(5)
                s.sendall(request)
                if s.recv(4):
                    return
        except OSError:
            time.sleep(0.005)
    sys.exit(f'nothing answers on port {port}')


class Node:
    def __init__(self, name, command, folder, level='info'):
        """level: the log level of barnabas. Kafka's is set on its command line and defaults to warnings."""
        self.output = open(os.path.join(folder, name + '.out'), 'w')
        environment = {'RUST_LOG': level, **os.environ}
        self.process = subprocess.Popen(command, stdout=self.output, stderr=subprocess.STDOUT, env=environment)

    def cpu_seconds(self):
        fields = open(f'/proc/{self.process.pid}/stat').read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def resident_mb(self, kind='VmRSS'):
        """All resident memory (VmRSS), or a part of it: RssAnon is memory of the process, RssFile is pages of files."""
        for line in open(f'/proc/{self.process.pid}/status'):
            if line.startswith(kind + ':'):
                return int(line.split()[1]) / 1024

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def zookeeper(folder):
    port = free_port()
    config = os.path.join(folder, 'zoo.cfg')
    with open(config, 'w') as f:
        f.write(f'tickTime=500\ndataDir={folder}/zookeeper\nclientPort={port}\nclientPortAddress=127.0.0.1\n'
                'admin.enableServer=false\nmaxClientCnxns=0\n')
    node = Node('zookeeper', java('org.apache.zookeeper.server.quorum.QuorumPeerMain', config, heap='256m'), folder)
    wait_until_serving(port)
    return node, port


def brokers(kind, folder, zookeeper_port, count=3, extra='', log4j=LOG4J, listeners=None):
    """listeners: for each broker a line in the place of its one plain listener; {port} is the port that is waited for."""
    nodes, ports, slowest = [], [], 0
    for i in range(count):
        port = free_port()
        config = os.path.join(folder, f'{kind}-{i}.properties')
        with open(config, 'w') as f:
            line = listeners[i].format(port=port) if listeners else f'listeners=PLAINTEXT://127.0.0.1:{port}\n'
            f.write(f'broker.id={i}\n{line}log.dirs={folder}/{kind}-{i}\n'
                    f'zookeeper.connect=127.0.0.1:{zookeeper_port}/{kind}\n'
                    f'offsets.topic.replication.factor={count}\ngroup.initial.rebalance.delay.ms=0\n{extra}')
        command = [BINARY, 'broker', config] if kind == 'barnabas' else java('kafka.Kafka', config, heap='1g', log4j=log4j)
        start = time.monotonic()
        nodes.append(Node(f'{kind}-{i}', command, folder))
        wait_for_answer(port)
        slowest = max(slowest, time.monotonic() - start)
        ports.append(port)
    return nodes, ','.join(f'127.0.0.1:{p}' for p in ports), slowest


def tool(cls, *arguments):
    result = subprocess.run(java(cls, *arguments), capture_output=True, text=True, timeout=600)
    if result.returncode:
        sys.exit(f'{cls}: {result.stdout}{result.stderr}')
    return result.stdout


def measured(nodes, work):
    before = [n.cpu_seconds() for n in nodes]
    output = work()
    return output, sum(n.cpu_seconds() for n in nodes) - sum(before)


def print_side_by_side(rows):
    """rows: kind -> {figure: value}. With two kinds, the last column is the first kind divided by the second."""
    kinds = list(rows)
    print(f'{"":18}' + ''.join(f'{k:>12}' for k in kinds) + ('       ratio' if len(kinds) == 2 else ''))
    for name in rows[kinds[0]]:
        values = [rows[k][name] for k in kinds]
        ratio = f'{values[0] / values[1]:12.2f}' if len(values) == 2 and values[1] else ''
        print(f'{name:18}' + ''.join(f'{v:12.2f}' for v in values) + ratio)
