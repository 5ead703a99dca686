//! Questions about texts with a special syntax, and about settings that depend on each other.

use crate::{Kind, Question};

/// More values for a key whose text has a special syntax.
pub(crate) fn texts_of(key: &str) -> &'static [&'static str] {
    match key {
        "listeners" | "advertised.listeners" => &[
            "PLAINTEXT://h:1",
            "PLAINTEXT://:1",
            "PLAINTEXT://h:0",
            "PLAINTEXT://[::1]:1",
            "PLAINTEXT://::1:1",
            "plaintext://h:1",
            "PLAINTEXT://h:65535",
            "PLAINTEXT://h:65536",
            "PLAINTEXT://h:-1",
            "PLAINTEXT://h",
            "PLAINTEXT:h:1",
            "h:1",
            "PLAINTEXT://h:1,PLAINTEXT://h:2",
            "PLAINTEXT://h:1,",
            ",PLAINTEXT://h:1",
            "PLAINTEXT://h:1 , ",
            "X://h:1",
            "PLAINTEXT://0.0.0.0:1",
            "PLAINTEXT://h_1:1",
            "PLAINTEXT://h!:1",
            "PLAINTEXT://h 1:1",
            "SSL://h:1",
            "PLAINTEXT://h:1,SSL://h:1",
            "PLAINTEXT://h:1,SSL://h:2",
        ],
        "listener.security.protocol.map" => &[
            "PLAINTEXT:PLAINTEXT",
            "plaintext:plaintext",
            "PLAINTEXT:PLAINTEXT,A:PLAINTEXT",
            "PLAINTEXT:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "PLAINTEXT:PLAINTEXT,plaintext:PLAINTEXT",
            "PLAINTEXT:PLAINTEXT,",
            "PLAINTEXT:PLAINTEXT,,A:PLAINTEXT",
            " PLAINTEXT : PLAINTEXT ",
            "PLAINTEXT",
            "PLAINTEXT:TLS",
            "A:PLAINTEXT",
            ":PLAINTEXT",
            "PLAINTEXT:",
        ],
        "inter.broker.listener.name" | "control.plane.listener.name" => {
            &["PLAINTEXT", "plaintext", "SSL", "A"]
        }
        "max.connections.per.ip.overrides" => &[
            "h:1",
            "h:1,",
            "h:1,,",
            ",",
            ",h:1",
            "h:1,,g:1",
            "h",
            "h:",
            "h:x",
            ":1",
            "h:-1",
            "h:0",
            "::1:2",
            "[::1]:2",
            "h : 1 , g : 2",
            "h:1,h:2",
            "h!:1",
            "h:2147483648",
            "h:+1",
        ],
        "log.dirs" | "log.dir" => &["/a", "/a,/b", "/a,", ",", " /a , /b ", "/a,/a", "a"],
        "zookeeper.connect" => &["h", "h:1", "h:1,g:2/x", "h:x", "/x", ","],
        "security.inter.broker.protocol" => &["plaintext", "Plaintext", "TLS"],
        "replica.selector.class" => &[
            "org.apache.kafka.common.replica.LeaderSelector",
            "org.apache.kafka.common.replica.RackAwareReplicaSelector",
        ],
        "metrics.recording.level" => &["INFO", "DEBUG", "TRACE", "info", "WARN"],
        _ => &[],
    }
}

/// Settings that are accepted or refused together.
pub(crate) fn questions() -> Vec<Question> {
    let of_brokers: &[&[(&str, &str)]] = &[
        &[("broker.id", "1"), ("node.id", "1")],
        &[("broker.id", "1"), ("node.id", "2")],
        &[("broker.id", "1"), ("node.id", " 1 ")],
        &[("broker.id", "1"), ("node.id", "01")],
        &[("broker.id", "-1"), ("node.id", "-1")],
        &[("reserved.broker.max.id", "5"), ("broker.id", "5")],
        &[("reserved.broker.max.id", "5"), ("broker.id", "6")],
        &[("broker.id.generation.enable", "false"), ("broker.id", "-1")],
        &[("broker.id.generation.enable", "false"), ("broker.id", "0")],
        &[("broker.id.generation.enable", "false"), ("broker.id", "5000")],
        &[("log.dir", "/a"), ("log.dirs", "")],
        &[("log.dir", ""), ("log.dirs", "/a")],
        &[("log.dir", ""), ("log.dirs", ",")],
        &[("log.retention.hours", "0"), ("log.retention.ms", "5")],
        &[("log.retention.minutes", "0"), ("log.retention.hours", "5")],
        &[("log.retention.ms", "0"), ("log.retention.hours", "5")],
        &[("log.retention.ms", "-2")],
        &[("log.retention.minutes", "-2")],
        &[("log.roll.ms", "0"), ("log.roll.hours", "1")],
        &[("log.roll.ms", "1"), ("log.roll.jitter.ms", "-1")],
        &[("log.roll.jitter.ms", "5"), ("log.roll.jitter.hours", "1")],
        &[("replica.socket.timeout.ms", "499")],
        &[("replica.socket.timeout.ms", "500")],
        &[("replica.lag.time.max.ms", "499")],
        &[
            ("replica.lag.time.max.ms", "500"),
            ("replica.fetch.wait.max.ms", "500"),
        ],
        &[
            ("replica.lag.time.max.ms", "-1"),
            ("replica.fetch.wait.max.ms", "-1"),
        ],
        &[
            ("socket.request.max.bytes", "100"),
            ("queued.max.request.bytes", "99"),
        ],
        &[
            ("socket.request.max.bytes", "100"),
            ("queued.max.request.bytes", "100"),
        ],
        &[
            ("socket.request.max.bytes", "100"),
            ("queued.max.request.bytes", "0"),
        ],
        &[
            ("offsets.topic.replication.factor", "1"),
            ("offsets.commit.required.acks", "1"),
        ],
        &[
            ("offsets.topic.replication.factor", "1"),
            ("offsets.commit.required.acks", "2"),
        ],
        &[("offsets.commit.required.acks", "-2")],
        &[("log.cleaner.dedupe.buffer.size", "1048576")],
        &[("log.cleaner.dedupe.buffer.size", "1048577")],
        &[
            ("log.cleaner.dedupe.buffer.size", "2097153"),
            ("log.cleaner.threads", "2"),
        ],
        &[
            ("log.cleaner.dedupe.buffer.size", "2097154"),
            ("log.cleaner.threads", "2"),
        ],
        &[("log.cleaner.enable", "false"), ("log.cleaner.threads", "0")],
        &[
            ("max.connections.per.ip.overrides", "h:1"),
            ("max.connections.per.ip", "0"),
        ],
        &[
            ("max.connections.per.ip.overrides", ""),
            ("max.connections.per.ip", "0"),
        ],
        &[
            ("connection.failed.authentication.delay.ms", "100"),
            ("connections.max.idle.ms", "100"),
        ],
        &[
            ("connection.failed.authentication.delay.ms", "100"),
            ("connections.max.idle.ms", "101"),
        ],
        &[
            ("connection.failed.authentication.delay.ms", "100"),
            ("connections.max.idle.ms", "-1"),
        ],
        &[
            ("connection.failed.authentication.delay.ms", "0"),
            ("connections.max.idle.ms", "0"),
        ],
        &[
            ("log.cleaner.min.compaction.lag.ms", "2"),
            ("log.cleaner.max.compaction.lag.ms", "1"),
        ],
        &[
            ("log.cleaner.min.compaction.lag.ms", "2"),
            ("log.cleaner.max.compaction.lag.ms", "2"),
        ],
        &[
            ("group.min.session.timeout.ms", "9"),
            ("group.max.session.timeout.ms", "8"),
        ],
        &[
            ("inter.broker.listener.name", "PLAINTEXT"),
            ("security.inter.broker.protocol", "PLAINTEXT"),
        ],
        &[
            ("inter.broker.listener.name", ""),
            ("security.inter.broker.protocol", "PLAINTEXT"),
        ],
        &[
            ("listener.security.protocol.map", "A:PLAINTEXT,B:PLAINTEXT"),
            ("inter.broker.listener.name", "A"),
            ("listeners", "A://h:1,B://h:2"),
        ],
        &[
            ("listener.security.protocol.map", "A:PLAINTEXT,B:PLAINTEXT"),
            ("inter.broker.listener.name", "B"),
            ("control.plane.listener.name", "A"),
            ("listeners", "A://h:1,B://h:2"),
        ],
        &[
            ("listener.security.protocol.map", "A:PLAINTEXT,B:PLAINTEXT"),
            ("inter.broker.listener.name", "A"),
            ("control.plane.listener.name", "A"),
            ("listeners", "A://h:1,B://h:2"),
        ],
        &[
            ("listener.security.protocol.map", "A:PLAINTEXT,B:PLAINTEXT"),
            ("inter.broker.listener.name", "A"),
            ("listeners", "A://127.0.0.1:1,B://[::1]:1"),
        ],
        &[
            ("listener.security.protocol.map", "A:PLAINTEXT,B:PLAINTEXT"),
            ("inter.broker.listener.name", "A"),
            ("listeners", "A://127.0.0.1:1,B://127.0.0.2:1"),
        ],
        &[
            ("listener.security.protocol.map", "A:PLAINTEXT,B:PLAINTEXT"),
            ("inter.broker.listener.name", "A"),
            ("listeners", "A://h:1,B://h:2"),
            ("advertised.listeners", "A://h:9"),
        ],
        &[
            ("listener.security.protocol.map", "A:PLAINTEXT,B:PLAINTEXT"),
            ("inter.broker.listener.name", "A"),
            ("listeners", "A://h:1,B://h:2"),
            ("advertised.listeners", "B://h:9"),
        ],
        &[
            ("listener.security.protocol.map", "A:PLAINTEXT,B:PLAINTEXT"),
            ("inter.broker.listener.name", "A"),
            ("listeners", "A://h:1"),
            ("advertised.listeners", "A://h:1,B://h:9"),
        ],
        &[
            ("listeners", "PLAINTEXT://0.0.0.0:1"),
            ("advertised.listeners", "PLAINTEXT://h:1"),
        ],
        &[("log.segment.bytes", "14"), ("log.index.size.max.bytes", "4")],
        &[("no.such.key", "x")],
        &[("listener.name.plaintext.no.such", "x")],
        &[("listener.name.plaintext.max.connections", "x")],
        &[("offsets.topic.compression.codec", "4")],
        &[("offsets.topic.compression.codec", "5")],
    ];
    let of_topics: &[&[(&str, &str)]] = &[
        &[("min.compaction.lag.ms", "2"), ("max.compaction.lag.ms", "1")],
        &[("min.compaction.lag.ms", "2"), ("max.compaction.lag.ms", "2")],
        &[("no.such.key", "1")],
        &[("log.retention.ms", "1")],
        &[("segment.bytes", "14"), ("max.message.bytes", "100")],
        &[("cleanup.policy", "compact"), ("remote.storage.enable", "true")],
        &[("retention.ms", "1"), ("local.retention.ms", "2")],
        &[("retention.bytes", "1"), ("local.retention.bytes", "2")],
        &[("retention.ms", "1"), ("local.retention.ms", "-1")],
        &[("remote.log.copy.disable", "true")],
        &[("remote.log.delete.on.disable", "true")],
        &[
            ("remote.storage.enable", "false"),
            ("remote.log.copy.disable", "false"),
        ],
    ];
    let questions = |kind, all: &[&[(&str, &str)]]| -> Vec<Question> {
        all.iter().map(|settings| Question::of(kind, settings)).collect()
    };
    [
        questions(Kind::Broker, of_brokers),
        questions(Kind::Topic, of_topics),
    ]
    .concat()
}

/// Values that a config provider reads from elsewhere, with all kinds of providers.
pub(crate) fn with_providers() -> Vec<Question> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/config_values");
    let class = |name: &str| format!("org.apache.kafka.common.config.provider.{name}ConfigProvider");
    let (file, directory, environment) = (class("File"), class("Directory"), class("EnvVar"));
    let of_file = |value: &str| value.replace("FILE", &format!("{folder}/values.properties"));
    let question = |more: &[(&str, &str)], key: &str, value: &str| {
        let value = of_file(value).replace("FOLDER", folder);
        let mut settings = vec![
            ("config.providers", "file,dir,env"),
            ("config.providers.file.class", file.as_str()),
            ("config.providers.dir.class", directory.as_str()),
            ("config.providers.env.class", environment.as_str()),
        ];
        settings.extend(more);
        settings.push((key, &value));
        Question::of(Kind::Broker, &settings)
    };
    let rack = |value: &str| question(&[], "broker.rack", value);
    let partitions = |value: &str| question(&[], "num.partitions", value);
    vec![
        partitions("${file:FILE:partitions}"),
        partitions(" ${file:FILE:partitions} "),
        partitions("1${file:FILE:partitions}"),
        partitions("${file:FILE:none}"),
        partitions("${file:FILE:nested}"),
        partitions("${other:FILE:partitions}"),
        partitions("${file:FOLDER/none:partitions}"),
        partitions("${dir:FOLDER:number}"),
        partitions("${dir:FOLDER/none:number}"),
        rack("${file:FILE:text}"),
        rack("${file:FILE:nested}"),
        rack("${file:FILE:with:colons}"),
        rack("${file:FILE:none}"),
        rack("${file:FILE}"),
        rack("a ${file:FILE:partitions} b ${dir:FOLDER:number} c"),
        rack("${dir:FOLDER:none}"),
        rack("${dir:FOLDER:../config_values.rs}"),
        rack("${env:PATH}"),
        rack("${env:NO_SUCH_VARIABLE_ANYWHERE}"),
        rack("${env:/path:PATH}"),
        rack("${env:}"),
        rack("${}"),
        rack("${env}"),
        rack("${env:PATH"),
        rack("$${env:NO_SUCH_VARIABLE_ANYWHERE}"),
        question(
            &[("config.providers.file.param.allowed.paths", folder)],
            "broker.rack",
            "${file:FILE:text}",
        ),
        question(
            &[("config.providers.file.param.allowed.paths", "/usr")],
            "broker.rack",
            "${file:FILE:text}",
        ),
        question(
            &[("config.providers.file.param.allowed.paths", "/no/such")],
            "broker.rack",
            "x",
        ),
        question(
            &[("config.providers.file.param.allowed.paths", "relative")],
            "broker.rack",
            "x",
        ),
        question(
            &[("config.providers.file.param.allowed.paths", "")],
            "broker.rack",
            "${file:FILE:text}",
        ),
        question(
            &[("config.providers.dir.param.allowed.paths", "/usr,/bin")],
            "broker.rack",
            "${dir:FOLDER:number}",
        ),
        question(
            &[("config.providers.env.param.allowlist.pattern", "PA.*")],
            "broker.rack",
            "${env:PATH}",
        ),
        question(
            &[("config.providers.env.param.allowlist.pattern", "PA")],
            "broker.rack",
            "${env:PATH}",
        ),
        question(
            &[("config.providers.env.param.allowlist.pattern", "(")],
            "broker.rack",
            "x",
        ),
        question(&[("config.providers", "")], "broker.rack", "${file:FILE:text}"),
        question(
            &[("config.providers", "file,,unknown")],
            "broker.rack",
            "${file:FILE:text}",
        ),
        question(
            &[("config.providers.env.class", "no.such.Provider")],
            "broker.rack",
            "x",
        ),
        question(&[("config.providers.env.class", "")], "broker.rack", "x"),
        question(
            &[("config.providers.env.class", "java.lang.String")],
            "broker.rack",
            "x",
        ),
    ]
}
