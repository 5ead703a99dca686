"""The load of scripts/bench/coordinator: groups of five members that join again, sync, send a heartbeat and commit every second.

Every request is a prepared frame in which only the number of the round changes, because a client that did more would be slower
than the broker. Each round has new metadata, so the first member that joins starts a rebalance.
"""
import select, socket, statistics, struct, sys, time

from common import frame, text

MEMBERS = 5
JOIN, SYNC, HEARTBEAT, COMMIT = (11, 3), (14, 1), (12, 1), (8, 2)
STEPS = JOIN, SYNC, HEARTBEAT, COMMIT
# The offset of the error code in a response. It counts from the response's length field.
ERROR_AT = {JOIN: 12, SYNC: 12, HEARTBEAT: 12, COMMIT: 12 + 2 + len('bench') + 4 + 4}
JOINED_GENERATION_AT = 14
ASSIGNMENT_BYTES = 60
PATIENCE_SECONDS = 60


def data(value):
    return struct.pack('>i', len(value)) + value


def join(group, member, number):
    """A JoinGroup with a subscription to one topic. The number of the round is its user data."""
    metadata = struct.pack('>hi', 0, 1) + text('bench') + data(struct.pack('>i', number) + bytes(40))
    body = text(group) + struct.pack('>ii', 45_000, 60_000) + text(member) + text('consumer')
    return frame(*JOIN, body + struct.pack('>i', 1) + text('range') + data(metadata))


def sync(group, member, generation, assigned):
    body = text(group) + struct.pack('>i', generation) + text(member) + struct.pack('>i', len(assigned))
    return frame(*SYNC, body + b''.join(text(m) + data(bytes(ASSIGNMENT_BYTES)) for m in assigned))


def heartbeat(group, member, generation):
    return frame(*HEARTBEAT, text(group) + struct.pack('>i', generation) + text(member))


def commit(group, member, generation, partition):
    body = text(group) + struct.pack('>i', generation) + text(member) + struct.pack('>qi', -1, 1) + text('bench')
    return frame(*COMMIT, body + struct.pack('>iiq', 1, partition, 42) + text(''))


def connect(port):
    connection = socket.create_connection(('127.0.0.1', port), 10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def read_exactly(connection, count):
    received = b''
    while len(received) < count:
        chunk = connection.recv(count - len(received))
        if not chunk:
            raise ConnectionError('closed')
        received += chunk
    return received


def read_texts(answer, at, count):
    texts = []
    for _ in range(count):
        length = struct.unpack_from('>h', answer, at)[0]
        texts.append(answer[at + 2:at + 2 + length].decode())
        at += 2 + length
    return texts


def first_members(port, groups):
    """Lets five members join each group; returns their ids, the leader's first."""
    connections = [[connect(port) for _ in range(MEMBERS)] for _ in groups]
    for group, members in zip(groups, connections):
        for connection in members:
            connection.settimeout(PATIENCE_SECONDS)
            connection.sendall(join(group, '', 0))
    result = []
    for group, members in zip(groups, connections):
        ids = []
        for connection in members:
            answer = read_exactly(connection, struct.unpack('>i', read_exactly(connection, 4))[0])
            error, generation = struct.unpack_from('>hi', answer, 8)
            if error or generation != 1:
                sys.exit(f'{group}: error {error} and generation {generation} of a first JoinGroup')
            _, leader, member = read_texts(answer, 14, 3)
            ids.append(member)
            connection.close()
        result.append([leader] + [member for member in ids if member != leader])
    return result


class Requests:
    """The requests of one connection in one step, with the offsets of the round's number in them."""

    def __init__(self, frames):
        """frames: pairs that differ only in the number; the first one has 0 there."""
        self.bytes, self.places = bytearray(), []
        for without, marked in frames:
            differing = next(i for i in range(len(without)) if without[i] != marked[i])
            self.places.append(len(self.bytes) + differing)
            self.bytes += without

    def of_round(self, number):
        for place in self.places:
            struct.pack_into('>i', self.bytes, place, number)
        return self.bytes


# A number whose first byte is not 0.
MARK = 0x7fffffff


def requests(step, group, members, position):
    member, assigned = members[position], members if position == 0 else []
    make = {
        JOIN: lambda n: join(group, member, n),
        SYNC: lambda n: sync(group, member, n, assigned),
        HEARTBEAT: lambda n: heartbeat(group, member, n),
        COMMIT: lambda n: commit(group, member, n, position),
    }[step]
    return make(0), make(MARK)


class Bundle:
    """Groups that go through a round together, step by step. All first members share a connection, all second members share
    another one, and so on. So no member of a group waits behind a JoinGroup that waits for this member."""

    def __init__(self, port, groups):
        """groups: pairs of an id and its members, the leader first."""
        self.connections = [connect(port) for _ in range(MEMBERS)]
        self.unread = [b''] * MEMBERS
        self.requests = {step: [Requests([requests(step, *group, k) for group in groups]) for k in range(MEMBERS)] for step in STEPS}
        self.size = len(groups)
        # The current step, and the number of its answers that are still missing.
        self.step = self.awaited = 0
        self.generation = 1
        self.begun, self.took = 0, []

    def begin_round(self):
        self.generation += 1
        self.begun = time.monotonic()
        self.begin_step(0)

    def begin_step(self, step):
        self.step, self.awaited = step, MEMBERS * self.size
        for connection, out in zip(self.connections, self.requests[STEPS[step]]):
            connection.sendall(out.of_round(self.generation))

    def is_idle(self):
        return self.awaited == 0

    def receive(self, position):
        received = self.unread[position] + self.connections[position].recv(1 << 16)
        step, at = STEPS[self.step], 0
        while len(received) - at >= 4:
            end = at + 4 + struct.unpack_from('>i', received, at)[0]
            if end > len(received):
                break
            error = struct.unpack_from('>h', received, at + ERROR_AT[step])[0]
            generation = struct.unpack_from('>i', received, at + JOINED_GENERATION_AT)[0] if step == JOIN else self.generation
            if error or generation != self.generation:
                sys.exit(f'api {step[0]}: error {error}, generation {generation} instead of {self.generation}')
            self.awaited -= 1
            at = end
        self.unread[position] = received[at:]
        if self.awaited == 0:
            if self.step + 1 < len(STEPS):
                self.begin_step(self.step + 1)
            else:
                self.took.append(time.monotonic() - self.begun)


def rebalance(node, port, groups, seconds, together):
    """Lets each group rebalance once a second, `together` groups at a time, spread over the second.

    The first half of the seconds warms up the broker."""
    members = list(zip(groups, first_members(port, groups)))
    bundles = [Bundle(port, members[i:i + together]) for i in range(0, len(members), together)]
    poll, waiting = select.epoll(), {}
    for bundle in bundles:
        for position, connection in enumerate(bundle.connections):
            poll.register(connection, select.EPOLLIN)
            waiting[connection.fileno()] = bundle, position
    turn, warm_from, begun = 0, None, time.monotonic()
    while (now := time.monotonic()) < begun + seconds:
        if warm_from is None and now >= begun + seconds / 2:
            warm_from, counted_from, cpu, own = now, turn, node.cpu_seconds(), time.process_time()
            for bundle in bundles:
                bundle.took.clear()
        bundle, due = bundles[turn % len(bundles)], begun + turn / len(bundles)
        while (left := due - time.monotonic()) > 0 or not bundle.is_idle():
            for ready, _ in poll.poll(max(left, 0.001), 256):
                bundle_of_it, position = waiting[ready]
                bundle_of_it.receive(position)
        bundle.begin_round()
        turn += 1
    took, rounds = time.monotonic() - warm_from, (turn - counted_from) / len(bundles)
    result = {
        'rounds a second': rounds / took,
        'round ms': statistics.median(t for bundle in bundles for t in bundle.took) * 1000,
        'CPU-s a round': (node.cpu_seconds() - cpu) / rounds,
        'client\'s CPU-s': (time.process_time() - own) / rounds,
    }
    for bundle in bundles:
        for connection in bundle.connections:
            connection.close()
    return result
