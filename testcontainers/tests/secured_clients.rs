//! Protocol × mechanism × client: five client libraries in four languages log in on every secured listener, produce,
//! and read in a group. What must be refused is refused: a wrong password, a user without credentials, a missing
//! certificate, another authority's certificate.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use barnabas_testcontainers::certificates::Certificates;
use barnabas_testcontainers::clients::Language;
use barnabas_testcontainers::secured::{self, MECHANISMS, SecuredPorts, USERS};
use barnabas_testcontainers::{Cluster, Kind, ZooKeeper};
use serde_json::Value;

const RECORDS: usize = 10;

struct World {
    cluster: Cluster,
    ports: SecuredPorts,
    certificates: Certificates,
    cells: Vec<Value>,
    refused: Vec<Value>,
    _files: tempfile::TempDir,
}

impl World {
    async fn start() -> Result<Self> {
        let files = tempfile::tempdir()?;
        let certificates = Certificates::new(files.path())?;
        let broker = certificates.sign("broker", "/CN=broker/O=Barnabas", "DNS:localhost,IP:127.0.0.1")?;
        let client = certificates.sign("client", "/CN=alice/O=Barnabas", "")?;
        let others = Certificates::new(&files.path().join("others"))?;
        let stranger = others.sign("stranger", "/CN=alice/O=Barnabas", "")?;
        let ports = SecuredPorts::free();
        let cluster = Cluster::start_with(ZooKeeper::single().await?, &Kind::times(1), |b| {
            secured::secure(b, ports, &certificates, &broker)
        })
        .await?;
        secured::create_scram_users(&cluster.bootstrap()).await?;
        cluster.create_topic("matrix", 3, 1, &[]).await?;
        let cell = |name: &str, protocol: &str, mechanism, user, identity| {
            secured::cell(name, ports, protocol, mechanism, user, &certificates, identity)
        };
        let alice = USERS[0];
        let mut cells = vec![cell("SSL", "SSL", None, alice, Some(&client))];
        let mut refused = vec![
            cell("SSL-without-certificate", "SSL", None, alice, None),
            cell("SSL-of-a-stranger", "SSL", None, alice, Some(&stranger)),
        ];
        for protocol in ["SASL_PLAINTEXT", "SASL_SSL"] {
            for mechanism in MECHANISMS {
                let name = format!("{protocol}-{mechanism}");
                cells.push(cell(&name, protocol, Some(mechanism), alice, None));
            }
        }
        for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
            let name = format!("wrong-password-{mechanism}");
            refused.push(cell(
                &name,
                "SASL_PLAINTEXT",
                Some(mechanism),
                ("alice", "guessed"),
                None,
            ));
            let name = format!("unknown-user-{mechanism}");
            refused.push(cell(
                &name,
                "SASL_SSL",
                Some(mechanism),
                ("mallory", "alice-secret"),
                None,
            ));
        }
        for cell in &mut refused {
            cell["patience_ms"] = 5_000.into();
        }
        Ok(Self {
            cluster,
            ports,
            certificates,
            cells,
            refused,
            _files: files,
        })
    }

    /// Runs a client's program on these cells and returns the lines that it printed, by cell. Each client has groups and
    /// keys of its own.
    async fn run(&self, language: Language, cells: &[Value]) -> Result<Option<BTreeMap<String, String>>> {
        let prefix = format!("{language:?}-");
        let mut own = cells.to_vec();
        for cell in &mut own {
            let name = cell["name"].as_str().context("a cell has a name")?;
            cell["name"] = format!("{prefix}{name}").into();
        }
        let Some(printed) = language.matrix("matrix", RECORDS, &own).await? else {
            return Ok(None);
        };
        let lines = printed
            .lines()
            .filter_map(|line| line.strip_prefix(&format!("cell {prefix}")));
        let results = lines.filter_map(|line| line.split_once(' '));
        let results: BTreeMap<_, _> = results.map(|(n, r)| (n.to_owned(), r.to_owned())).collect();
        ensure!(results.len() == cells.len(), "{language:?} printed {printed}");
        Ok(Some(results))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_logs_in_on_every_listener() -> Result<()> {
    log_in([
        Language::Java,
        Language::PythonConfluent,
        Language::Go,
        Language::Node,
    ])
    .await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "its consumer has once read nothing for 40 s, in one run of five; the reason is not known yet"]
async fn kafka_python_logs_in_on_every_listener() -> Result<()> {
    log_in([Language::PythonKafka]).await
}

/// Plays the matrix with these clients at the same time.
async fn log_in<const N: usize>(languages: [Language; N]) -> Result<()> {
    let world = World::start().await?;
    let runs = languages.map(|language| {
        let world = &world;
        async move {
            let served = world.run(language, &world.cells).await?;
            let refused = world.run(language, &world.refused).await?;
            anyhow::Ok((language, served.zip(refused)))
        }
    });
    let mut failures = Vec::new();
    for run in futures::future::join_all(runs).await {
        let (language, Some((served, refused))) = run? else {
            continue;
        };
        for (cell, result) in served.iter().filter(|(_, result)| *result != "ok") {
            failures.push(format!("{language:?} {cell}: {result}"));
        }
        for (cell, _) in refused.iter().filter(|(_, result)| *result == "ok") {
            failures.push(format!("{language:?} {cell} was served"));
        }
    }
    ensure!(
        failures.is_empty(),
        "{}\n{}",
        failures.join("\n"),
        world.cluster.outputs()
    );
    let output = world.cluster.brokers[0].output();
    for (_, password) in USERS {
        ensure!(!output.contains(password), "the broker printed {password}");
    }
    ensure!(!output.contains("guessed"), "the broker printed a wrong password");
    let _ = (&world.ports, &world.certificates);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_java_client_gets_kafkas_reason() -> Result<()> {
    let world = World::start().await?;
    let refused = world
        .run(Language::Java, &world.refused)
        .await?
        .context("Java is there")?;
    let scram = |mechanism: &str| {
        format!(
            "Authentication failed during authentication due to invalid credentials with SASL mechanism {mechanism}"
        )
    };
    for (cell, reason) in [
        (
            "wrong-password-PLAIN",
            "Authentication failed: Invalid username or password".to_owned(),
        ),
        (
            "unknown-user-PLAIN",
            "Authentication failed: Invalid username or password".to_owned(),
        ),
        ("wrong-password-SCRAM-SHA-256", scram("SCRAM-SHA-256")),
        ("unknown-user-SCRAM-SHA-512", scram("SCRAM-SHA-512")),
    ] {
        let got = &refused[cell];
        ensure!(got.contains(&reason), "{cell}: {got}");
    }
    Ok(())
}
