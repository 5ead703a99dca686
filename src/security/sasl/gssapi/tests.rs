//! Tests of GSSAPI against a key distribution center of MIT Kerberos, which each test starts for itself. Needs
//! `krb5kdc`, `kdb5_util` and `kadmin.local`.
//!
//! The library takes its settings from the process's environment, so the parts that use it run in a process of their
//! own: a test starts this binary again with an ignored test.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::*;
use crate::config::SystemProperties;
use crate::config::security::{MechanismConfig, Password, SaslConfig};
use crate::security::sasl::error::SaslSetupError;
use crate::security::sasl::{SaslError, SaslMechanisms, ScramCredentialCache};

const REALM: &str = "TEST.REALM";
/// Where the ignored tests find the key tables.
const FOLDER: &str = "BARNABAS_TEST_KERBEROS";

struct Kdc {
    folder: TempDir,
    running: Option<Child>,
}

impl Drop for Kdc {
    fn drop(&mut self) {
        if let Some(running) = &mut self.running {
            let _ = running.kill();
            let _ = running.wait();
        }
    }
}

/// A program that Debian has outside the path of users.
fn program(name: &str) -> PathBuf {
    let places = ["/usr/sbin", "/usr/bin"].map(|folder| Path::new(folder).join(name));
    places
        .into_iter()
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{name} is not installed"))
}

impl Kdc {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().display();
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .expect("a port")
            .port();
        let client = format!(
            "[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n dns_lookup_realm = false\n rdns = false\n \
             dns_canonicalize_hostname = false\n udp_preference_limit = 1\n[realms]\n {REALM} = {{\n  kdc = \
             127.0.0.1:{port}\n }}\n"
        );
        let server = format!(
            "[kdcdefaults]\n kdc_listen = 127.0.0.1:{port}\n kdc_tcp_listen = 127.0.0.1:{port}\n[realms]\n {REALM} = {{\n  \
             database_name = {dir}/principal\n  key_stash_file = {dir}/stash\n  acl_file = {dir}/acl\n }}\n[logging]\n kdc \
             = FILE:{dir}/kdc.log\n"
        );
        std::fs::write(folder.path().join("krb5.conf"), client).expect("it is written");
        std::fs::write(folder.path().join("kdc.conf"), server).expect("it is written");
        let mut kdc = Self {
            folder,
            running: None,
        };
        kdc.run("kdb5_util", &["create", "-s", "-r", REALM, "-P", "master"]);
        for name in ["kafka/localhost", "alice", "bob/admin"] {
            let table = kdc
                .folder
                .path()
                .join(format!("{}.keytab", name.replace('/', "-")));
            kdc.run("kadmin.local", &["-r", REALM, "addprinc", "-randkey", name]);
            kdc.run(
                "kadmin.local",
                &["-r", REALM, "ktadd", "-k", &table.display().to_string(), name],
            );
        }
        let running = kdc.command("krb5kdc").args(["-n", "-r", REALM]).spawn();
        kdc.running = Some(running.expect("it starts"));
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        kdc
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program(name));
        self.environment(&mut command);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn environment(&self, command: &mut Command) {
        let folder = self.folder.path();
        command
            .env("KRB5_CONFIG", folder.join("krb5.conf"))
            .env("KRB5_KDC_PROFILE", folder.join("kdc.conf"))
            .env("KRB5RCACHEDIR", folder)
            .env(FOLDER, folder);
    }

    fn run(&self, name: &str, arguments: &[&str]) {
        let status = self.command(name).args(arguments).status().expect("it runs");
        assert!(status.success(), "{name} {arguments:?}: {status}");
    }

    /// Runs an ignored test of this file in another process.
    fn run_test(&self, name: &str) {
        let own = std::env::current_exe().expect("this is a program");
        let mut command = Command::new(own);
        self.environment(&mut command);
        let path = module_path!().split_once("::").expect("there is a crate").1;
        let output = command
            .args(["--exact", &format!("{path}::{name}"), "--ignored", "--nocapture"])
            .output();
        let output = output.expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(text.contains("1 passed"), "{text}");
    }
}

fn key_table(name: &str) -> String {
    let folder = std::env::var(FOLDER).expect("run by another test");
    Path::new(&folder)
        .join(format!("{name}.keytab"))
        .display()
        .to_string()
}

async fn mechanisms(options: &str, rules: &[&str]) -> Result<SaslMechanisms, SaslSetupError> {
    let text = format!("{KRB5_LOGIN_MODULE} required serviceName=kafka {options};");
    let settings = MechanismConfig {
        jaas_config: Some(Password::new(text)),
        ..MechanismConfig::default()
    };
    let config = SaslConfig {
        enabled_mechanisms: vec![GSSAPI.to_owned()],
        server_max_receive_size: 524_288,
        kerberos_service_name: None,
        kerberos_principal_to_local_rules: rules.iter().map(|rule| (*rule).to_owned()).collect(),
        mechanisms: [(GSSAPI.to_owned(), settings)].into(),
    };
    let users = ScramCredentialCache::default();
    SaslMechanisms::new("SASL_PLAINTEXT", &config, &SystemProperties::default(), &users).await
}

async fn login(table: &str, principal: &str) -> SaslMechanisms {
    let options = format!(
        "useKeyTab=true storeKey=true keyTab=\"{}\" principal=\"{principal}\"",
        key_table(table)
    );
    let rules = ["RULE:[2:$1-$2](bob-.*)/U", "DEFAULT"];
    mechanisms(&options, &rules).await.expect("the keys are there")
}

/// Runs an exchange to its end. Returns the principal.
async fn exchange(client: &SaslMechanisms, server: &SaslMechanisms) -> Result<String, SaslError> {
    let mut client = client.client(GSSAPI, "localhost", 0).await?;
    let mut server = server.server(GSSAPI).expect("it is enabled");
    let mut message = Some(client.first());
    let mut principal = None;
    while let Some(token) = message {
        let evaluation = server.evaluate(&token, 0).await?;
        assert_eq!(evaluation.is_silent, evaluation.authenticated.is_some());
        principal = evaluation
            .authenticated
            .map(|authenticated| authenticated.principal.to_string());
        message = client.evaluate(&evaluation.response).await?;
    }
    assert!(client.is_complete());
    Ok(principal.expect("the server is satisfied"))
}

#[test]
fn clients_prove_who_they_are_with_tickets() {
    Kdc::start().run_test("exchanges");
}

#[tokio::test]
#[ignore = "run by another test"]
async fn exchanges() {
    let broker = login("kafka-localhost", "kafka/localhost").await;
    let alice = login("alice", "alice@TEST.REALM").await;
    let bob = login("bob-admin", "bob/admin@TEST.REALM").await;
    for _ in 0..3 {
        assert_eq!(exchange(&alice, &broker).await.as_deref(), Ok("User:alice"));
    }
    assert_eq!(exchange(&bob, &broker).await.as_deref(), Ok("User:BOB-ADMIN"));
    // A broker to another one.
    assert_eq!(exchange(&broker, &broker).await.as_deref(), Ok("User:kafka"));
    // The server must have the key of the service that the client has a ticket for.
    assert!(matches!(
        exchange(&alice, &bob).await,
        Err(SaslError::InvalidCredentials(_))
    ));
}

#[test]
fn replays_and_nonsense_are_refused() {
    Kdc::start().run_test("wrong_tokens");
}

#[tokio::test]
#[ignore = "run by another test"]
async fn wrong_tokens() {
    let broker = login("kafka-localhost", "kafka/localhost").await;
    let alice = login("alice", "alice").await;
    let first = alice
        .client(GSSAPI, "localhost", 0)
        .await
        .expect("there is a ticket")
        .first();
    let server = || broker.server(GSSAPI).expect("it is enabled");
    let mut one = server();
    let offer = one.evaluate(&first, 0).await.expect("it is fine").response;
    assert!(one.evaluate(b"x", 0).await.is_err());
    assert!(one.evaluate(b"", 0).await.is_err());
    assert!(matches!(
        server().evaluate(&first, 0).await,
        Err(SaslError::Retriable(_))
    ));
    // Not every byte is protected: a ticket has its service's name in the clear. The end is that of the authenticator.
    let fresh = alice
        .client(GSSAPI, "localhost", 0)
        .await
        .expect("there is a ticket");
    let mut changed = fresh.first().to_vec();
    for at in 0..changed.len() {
        changed[at] ^= 1;
        let outcome = server().evaluate(&changed, 0).await;
        assert!(outcome.is_err() || at < changed.len() - 64, "byte {at}");
        changed[at] ^= 1;
    }
    for token in [
        &b""[..],
        b"x",
        b"`\x0b\x06\x09*\x86H\x86\xf7\x12\x01\x02\x02",
        &offer,
    ] {
        assert!(server().evaluate(token, 0).await.is_err());
    }
    // A client that does not get the server's own offer.
    let mut client = alice
        .client(GSSAPI, "localhost", 0)
        .await
        .expect("there is a ticket");
    assert!(client.evaluate(&offer).await.is_err());
    assert!(!client.is_complete());
}

#[test]
fn a_broker_without_keys_or_tickets_does_not_start() {
    let mut kdc = Kdc::start();
    kdc.run_test("wrong_logins");
    let mut running = kdc.running.take().expect("it runs");
    running.kill().and_then(|()| running.wait()).expect("it ends");
    kdc.run_test("logins_without_a_server");
}

#[tokio::test]
#[ignore = "run by another test"]
async fn wrong_logins() {
    let table = key_table("alice");
    for options in [
        format!("useKeyTab=true keyTab=\"{table}\" principal=kafka"),
        "useKeyTab=true keyTab=\"/no/such/file\" principal=kafka".to_owned(),
    ] {
        let error = mechanisms(&options, &["DEFAULT"])
            .await
            .expect_err("there are no keys")
            .to_string();
        assert!(error.starts_with("Kerberos login of kafka failed: "), "{error}");
    }
    let options = format!("useKeyTab=true keyTab=\"{table}\" principal=alice");
    let error = mechanisms(&options, &["FOO"])
        .await
        .expect_err("the rule is wrong");
    assert_eq!(error.to_string(), "Invalid rule: FOO");
}

#[tokio::test]
#[ignore = "run by another test"]
async fn logins_without_a_server() {
    let options = format!("useKeyTab=true keyTab=\"{}\" principal=alice", key_table("alice"));
    assert!(mechanisms(&options, &["DEFAULT"]).await.is_err());
    // One that only accepts needs no ticket.
    let options = format!("{options} isInitiator=false");
    assert!(mechanisms(&options, &["DEFAULT"]).await.is_ok());
}
