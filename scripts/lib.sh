# Functions for the other scripts: they install what is missing, name it before, and start what the scripts need.
# Installing works as root on Debian and Ubuntu; on other systems the functions only name what is missing.

CACHE=$PWD/.cache
mkdir -p "$CACHE"
STARTED=()
stop_started() { for pid in "${STARTED[@]}"; do kill "$pid" 2>/dev/null || true; done; }
trap stop_started EXIT

step() { printf '\n== %s\n' "$*"; }

# need_packages NAME…: installs those Debian packages that are missing.
need_packages() {
  local missing=()
  for package in "$@"; do dpkg --status "$package" >/dev/null 2>&1 || missing+=("$package"); done
  [ ${#missing[@]} -eq 0 ] && return
  echo "installing with apt-get: ${missing[*]}"
  [ "$(id --user)" = 0 ] || { echo "not root: install these packages, then start again" >&2; exit 1; }
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$CACHE/apt.log" 2>&1 || {
    tail -n 20 "$CACHE/apt.log" >&2
    exit 1
  }
}

need_java() {
  command -v java >/dev/null || need_packages openjdk-17-jre-headless
  command -v mvn >/dev/null || need_packages maven
}

need_rust() {
  command -v cargo >/dev/null || { echo "Rust 1.95 or later is needed: https://rustup.rs" >&2; exit 1; }
}

# Starts a container engine if none answers. Without an engine, the tests run ZooKeeper as a process and report it.
start_docker() {
  docker info >/dev/null 2>&1 && return
  if [ "$(id --user)" = 0 ] && command -v dpkg >/dev/null; then
    command -v dockerd >/dev/null || need_packages docker.io iptables
    echo "starting dockerd"
    dockerd >"$CACHE/dockerd.log" 2>&1 &
    STARTED+=($!)
    for _ in $(seq 100); do docker info >/dev/null 2>&1 && return; sleep 0.2; done
  fi
  echo "no container engine answers (see $CACHE/dockerd.log): ZooKeeper will run as a process"
}

need_zookeeper_image() {
  export BARNABAS_ZOOKEEPER_IMAGE=none
  docker info >/dev/null 2>&1 || return 0
  BARNABAS_ZOOKEEPER_IMAGE=$(scripts/image | tail -n 1)
  echo "ZooKeeper runs in containers of $BARNABAS_ZOOKEEPER_IMAGE"
}

# Fetches Apache Kafka's jars with Maven.
need_kafka_libs() {
  export BARNABAS_KAFKA_LIBS=${BARNABAS_KAFKA_LIBS:-$CACHE/kafka-libs}
  [ -e "$BARNABAS_KAFKA_LIBS/.complete" ] && return
  echo "fetching Apache Kafka 3.9.1 with Maven"
  mvn --quiet --batch-mode --file testcontainers/kafka/pom.xml dependency:copy-dependencies \
    -DoutputDirectory="$BARNABAS_KAFKA_LIBS" >/dev/null
  archive_classes
  touch "$BARNABAS_KAFKA_LIBS/.complete"
}

# Fetches the oldest ZooKeeper that barnabas supports.
need_old_zookeeper() {
  export BARNABAS_OLD_ZOOKEEPER_LIBS=${BARNABAS_OLD_ZOOKEEPER_LIBS:-$CACHE/zookeeper-3.5}
  [ -e "$BARNABAS_OLD_ZOOKEEPER_LIBS/.complete" ] && return
  echo "fetching ZooKeeper 3.5 with Maven"
  local artifact
  for artifact in zookeeper zookeeper-jute; do
    mvn --quiet --batch-mode dependency:copy -Dartifact=org.apache.zookeeper:$artifact:3.5.10 \
      -DoutputDirectory="$BARNABAS_OLD_ZOOKEEPER_LIBS" >/dev/null
  done
  touch "$BARNABAS_OLD_ZOOKEEPER_LIBS/.complete"
}

# Archives Kafka's classes for the JVM. With the archive a broker starts in half the time, and tests start many brokers.
archive_classes() {
  echo "archiving Apache Kafka's classes"
  local classes jar java_home
  classes=$(mktemp)
  java_home=$(dirname "$(dirname "$(readlink -f "$(command -v java)")")")
  for jar in "$BARNABAS_KAFKA_LIBS"/{kafka,zookeeper,scala-l,jackson,jopt,metrics,reload4j,slf4j,argparse4j}*.jar; do
    jar --list --file "$jar"
  done | sed -n '/META-INF\|module-info/d; s/\.class$//p' >"$classes"
  # The archive is optional: a failure here is ignored.
  grep --invert-match '^[#@]' "$java_home/lib/classlist" | cut --delimiter=' ' --fields=1 >>"$classes" || true
  java -Xshare:dump -Xlog:disable -XX:SharedClassListFile="$classes" \
    -XX:SharedArchiveFile="$BARNABAS_KAFKA_LIBS/classes.jsa" -cp "$BARNABAS_KAFKA_LIBS/*" >/dev/null 2>&1 || true
  rm "$classes"
}

# Installs clients in other languages, at the versions that testcontainers/clients pins. If a toolchain is missing, the
# client's test reports that it was skipped.
need_clients() {
  export BARNABAS_CLIENTS=${BARNABAS_CLIENTS:-$CACHE/clients}
  local sources=testcontainers/clients
  mkdir -p "$BARNABAS_CLIENTS/node"
  if ! cmp --silent $sources/python/requirements.txt "$BARNABAS_CLIENTS/python/requirements.txt"; then
    echo "installing Python's Kafka clients"
    rm -rf "$BARNABAS_CLIENTS/python"
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
      --target "$BARNABAS_CLIENTS/python.part" --requirement $sources/python/requirements.txt &&
      cp $sources/python/requirements.txt "$BARNABAS_CLIENTS/python.part/" &&
      mv "$BARNABAS_CLIENTS/python.part" "$BARNABAS_CLIENTS/python" || echo "Python's clients: not installed"
  fi
  if command -v go >/dev/null; then
    (cd $sources/go && go build -o "$BARNABAS_CLIENTS/go/worker" .) || echo "Go's client: not built"
  else
    echo "Go's client: go is not installed"
  fi
  if command -v npm >/dev/null; then
    cp $sources/node/* "$BARNABAS_CLIENTS/node/"
    [ -e "$BARNABAS_CLIENTS/node/node_modules" ] || npm --prefix "$BARNABAS_CLIENTS/node" ci --silent ||
      echo "Node's client: not installed"
  else
    echo "Node's client: npm is not installed"
  fi
}

# Starts ZooKeeper as a process on a free port; it runs until the script ends. Sets ZOOKEEPER_PORT and ZOOKEEPER_PID.
start_zookeeper_process() {
  ZOOKEEPER_PORT=${ZOOKEEPER_PORT:-$(free_port)}
  local dir=${1:-$(mktemp --directory)}
  mkdir -p "$dir"
  printf 'tickTime=500\ndataDir=%s\nclientPort=%s\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n4lw.commands.whitelist=*\nmaxClientCnxns=0\nmaxSessionTimeout=60000\n' \
    "$dir/data" "$ZOOKEEPER_PORT" >"$dir/zoo.cfg"
  JVMFLAGS=-Xmx256m ZOO_LOG_DIR=$dir /usr/share/zookeeper/bin/zkServer.sh start-foreground "$dir/zoo.cfg" \
    >"$dir/zookeeper.log" 2>&1 &
  ZOOKEEPER_PID=$!
  STARTED+=("$ZOOKEEPER_PID")
  wait_for_port "$ZOOKEEPER_PORT" "$ZOOKEEPER_PID" || { tail -n 20 "$dir"/*.log >&2; exit 1; }
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

port_is_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# wait_for_port PORT PID: waits until the process listens on the port.
wait_for_port() {
  for _ in $(seq 300); do
    kill -0 "$2" 2>/dev/null || { echo "the process for port $1 has ended; is the port in use?" >&2; return 1; }
    port_is_open "$1" && return 0
    sleep 0.1
  done
  echo "nothing listens on port $1" >&2
  return 1
}
