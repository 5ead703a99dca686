//! A mixed cluster whose brokers prove their identities to each other: SASL_SSL with SCRAM-SHA-512 between barnabas and
//! Apache Kafka. It must lose nothing while brokers of both kinds are killed, and while every broker gets another key.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use barnabas_testcontainers::certificates::{Certificates, PASSWORD};
use barnabas_testcontainers::load::{Load, assert_nothing_lost, assert_nothing_twice, read_all};
use barnabas_testcontainers::replicas::assert_equal_replicas;
use barnabas_testcontainers::secured::{create_scram_users_in_zookeeper, jaas};
use barnabas_testcontainers::tools::{kafka_tool, zk_get};
use barnabas_testcontainers::wait::wait_for;
use barnabas_testcontainers::{Broker, Cluster, Kind, ZooKeeper, free_port};

const TOPIC: &str = "orders";
const PARTITIONS: i32 = 6;
const LIMIT: Duration = Duration::from_secs(60);
/// The Apache Kafka broker. It starts first, so it is the first controller.
const JVM: usize = 0;

fn configure(broker: Broker, certificates: &Certificates) -> Broker {
    let name = format!("broker{}", broker.id);
    let identity = certificates
        .sign(
            &name,
            &format!("/CN={name}/OU=Brokers"),
            "DNS:localhost,IP:127.0.0.1",
        )
        .expect("openssl signs");
    let listeners = format!(
        "PLAINTEXT://127.0.0.1:{},INTERNAL://127.0.0.1:{}",
        broker.port,
        free_port()
    );
    broker
        .with("listeners", listeners)
        .with(
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,INTERNAL:SASL_SSL",
        )
        .with("inter.broker.listener.name", "INTERNAL")
        .with("sasl.mechanism.inter.broker.protocol", "SCRAM-SHA-512")
        .with("listener.name.internal.sasl.enabled.mechanisms", "SCRAM-SHA-512")
        .with(
            "listener.name.internal.scram-sha-512.sasl.jaas.config",
            jaas("SCRAM-SHA-512"),
        )
        .with(
            "listener.name.internal.scram-sha-512.connections.max.reauth.ms",
            5_000,
        )
        .with("listener.name.internal.ssl.client.auth", "required")
        .with("ssl.keystore.type", "PKCS12")
        .with("ssl.keystore.location", identity.pkcs12.display())
        .with("ssl.keystore.password", PASSWORD)
        .with("ssl.truststore.location", certificates.trust_store().display())
        .with("ssl.truststore.password", PASSWORD)
}

async fn start(certificates: &Certificates) -> Result<Cluster> {
    let zookeeper = ZooKeeper::single().await?;
    create_scram_users_in_zookeeper(&zookeeper).await?;
    let kinds = [Kind::ApacheKafka, Kind::under_test(), Kind::under_test()];
    let cluster = Cluster::start_with(zookeeper, &kinds, |broker| configure(broker, certificates)).await?;
    cluster
        .create_topic(TOPIC, PARTITIONS, 3, &[("min.insync.replicas", "2")])
        .await?;
    wait_for_all(&cluster).await?;
    Ok(cluster)
}

async fn wait_for_all(cluster: &Cluster) -> Result<()> {
    for broker in 0..3 {
        cluster.wait_for_isr(broker, TOPIC, 3, LIMIT).await?;
    }
    Ok(())
}

/// The znode of a broker.
async fn registration(cluster: &Cluster, broker: usize) -> Result<serde_json::Value> {
    let data = zk_get(&cluster.zookeeper_connect(), &format!("/brokers/ids/{broker}")).await?;
    Ok(serde_json::from_slice(
        &data.context("the broker is registered")?,
    )?)
}

/// The port of a broker's inter-broker listener.
async fn internal_port(cluster: &Cluster, broker: usize) -> Result<u16> {
    let registered = registration(cluster, broker).await?;
    let endpoints = registered["endpoints"].as_array().context("endpoints")?;
    let mut internal = endpoints
        .iter()
        .filter_map(|endpoint| endpoint.as_str()?.strip_prefix("INTERNAL://127.0.0.1:"));
    Ok(internal.next_back().context("no listener INTERNAL")?.parse()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_between_brokers_that_prove_their_identities() -> Result<()> {
    let files = tempfile::tempdir()?;
    let certificates = Certificates::new(files.path())?;
    let mut cluster = start(&certificates).await?;
    let load = Load::start(&cluster.client(), TOPIC, 100, true)?;
    load.wait_for_more(500).await?;

    // The Apache Kafka broker, which is the controller, then one of ours.
    for broker in [JVM, 1] {
        cluster.brokers[broker].kill()?;
        load.wait_for_more(300).await.with_context(|| cluster.outputs())?;
        cluster.brokers[broker].start().await?;
        wait_for_all(&cluster).await?;
    }
    // Another key for every broker, one after the other. Each believes the authority, so old and new keys work together.
    for broker in 0..3 {
        cluster.brokers[broker].stop().await?;
        let name = format!("renewed{broker}");
        let names = "DNS:localhost,IP:127.0.0.1";
        let identity = certificates.sign(&name, &format!("/CN=broker{broker}/OU=Brokers"), names)?;
        cluster.brokers[broker].set("ssl.keystore.location", identity.pkcs12.display());
        cluster.brokers[broker].start().await?;
        wait_for_all(&cluster).await?;
        load.wait_for_more(200).await?;
    }
    // A new key without a restart: one of ours, then the Apache Kafka broker.
    for broker in [1, JVM] {
        let name = format!("dynamic{broker}");
        let names = "DNS:localhost,IP:127.0.0.1";
        let identity = certificates.sign(&name, &format!("/CN=broker{broker}/OU=Brokers"), names)?;
        let setting = format!(
            "listener.name.internal.ssl.keystore.location={}",
            identity.pkcs12.display()
        );
        let (bootstrap, id) = (cluster.brokers[broker].address(), broker.to_string());
        let arguments = [
            "--bootstrap-server",
            &bootstrap,
            "--alter",
            "--entity-type",
            "brokers",
            "--entity-name",
            &id,
            "--add-config",
            &setting,
        ];
        kafka_tool("kafka.admin.ConfigCommand", &arguments).await?.ok()?;
        let wanted = certificates.serial(&identity.certificate)?;
        let port = internal_port(&cluster, broker).await?;
        wait_for("the new certificate", LIMIT, || async {
            (Certificates::served_serial(port).ok()? == wanted).then_some(())
        })
        .await
        .with_context(|| cluster.outputs())?;
        load.wait_for_more(200).await?;
    }
    // Sessions last five seconds, so by now every connection has renewed its session, or is a new one.
    let written = load.stop().await?;
    ensure!(written.failed.is_empty(), "{} failed", written.failed.len());
    let contents = read_all(&cluster.client(), TOPIC).await?;
    assert_nothing_lost(&written, &contents)?;
    assert_nothing_twice(&contents)?;
    assert_equal_replicas(&cluster, TOPIC, PARTITIONS).await?;

    for broker in &cluster.brokers {
        let output = broker.output();
        for secret in ["broker-secret", "alice-secret", PASSWORD, "BEGIN PRIVATE KEY"] {
            ensure!(!output.contains(secret), "broker {} printed {secret}", broker.id);
        }
    }
    let registered = registration(&cluster, 1).await?;
    let map = &registered["listener_security_protocol_map"];
    ensure!(
        map["INTERNAL"] == "SASL_SSL" && map["PLAINTEXT"] == "PLAINTEXT",
        "{registered}"
    );
    Ok(())
}
