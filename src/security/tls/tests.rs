//! Handshakes in memory, with certificates that openssl has made.

use std::sync::Arc;

use base64::Engine as _;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier as _;
use rustls::{ClientConnection, ServerConnection};

use super::client::client_config;
use super::trust::Trust;
use super::*;
use crate::config::security::{ClientAuth, Password, SslConfig};
use crate::security::stores::TrustStore;
use crate::security::stores::tests::no_stores;

fn text(name: &str) -> Option<Password> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/security/stores/testdata");
    Some(Password::new(
        std::fs::read_to_string(format!("{folder}/{name}")).unwrap(),
    ))
}

/// Settings with one of the certificates for the key of the tests, and a trust store.
fn with(certificate: Option<&str>, trusted: &str) -> SslConfig {
    SslConfig {
        keystore_type: "PEM".into(),
        keystore_certificate_chain: certificate.and_then(text),
        keystore_key: certificate.and_then(|_| text("plain.pk8")),
        truststore_type: "PEM".into(),
        truststore_certificates: text(trusted),
        ..no_stores()
    }
}

/// Exchanges bytes until both sides are done, or one refuses.
fn shake_hands(server: &SslConfig, client: &SslConfig, host: &str) -> Result<ServerConnection, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let listener = TlsListener::new(server).map_err(|error| text(&error))?;
    let checks_names = !client.endpoint_identification_algorithm.is_empty();
    let config = client_config(client, checks_names).map_err(|error| text(&error))?;
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let mut client = ClientConnection::new(config, name).unwrap();
    let mut server = ServerConnection::new(listener.server_config()).unwrap();
    for _ in 0..10 {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        while !bytes.is_empty() {
            let taken = server.read_tls(&mut &bytes[..]).unwrap();
            bytes.drain(..taken);
        }
        server
            .process_new_packets()
            .map_err(|error| format!("server: {error}"))?;
        server.write_tls(&mut bytes).unwrap();
        while !bytes.is_empty() {
            let taken = client.read_tls(&mut &bytes[..]).unwrap();
            bytes.drain(..taken);
        }
        client
            .process_new_packets()
            .map_err(|error| format!("client: {error}"))?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(server)
}

fn only(version: &str, config: SslConfig) -> SslConfig {
    SslConfig {
        enabled_protocols: vec![version.into()],
        ..config
    }
}

#[test]
fn what_java_believes_is_believed() {
    for certificate in ["broker.pem", "version1.pem", "cn.pem"] {
        for version in ["TLSv1.2", "TLSv1.3"] {
            let server = SslConfig {
                client_auth: ClientAuth::Required,
                ..only(version, with(Some(certificate), "ca.pem"))
            };
            let unchecked = SslConfig {
                endpoint_identification_algorithm: String::new(),
                ..with(Some(certificate), "ca.pem")
            };
            let done = shake_hands(&server, &unchecked, "elsewhere");
            assert!(done.is_ok(), "{certificate} {version}: {:?}", done.err());
        }
    }
    // A certificate that lies in the trust store itself.
    let own = with(Some("broker.pem"), "broker.pem");
    assert!(shake_hands(&own, &own, "localhost").is_ok());
}

#[test]
fn the_host_must_be_the_one_of_the_certificate() {
    let client = with(None, "ca.pem");
    for (certificate, host, is_right) in [
        ("broker.pem", "localhost", true),
        ("broker.pem", "127.0.0.1", true),
        ("broker.pem", "broker", false),
        ("broker.pem", "127.0.0.2", false),
        // Without other names the CN counts.
        ("cn.pem", "broker", true),
        ("version1.pem", "broker", true),
        ("version1.pem", "localhost", false),
    ] {
        let done = shake_hands(&with(Some(certificate), "ca.pem"), &client, host);
        assert_eq!(done.is_ok(), is_right, "{certificate} {host}: {:?}", done.err());
    }
}

#[test]
fn strangers_and_expired_certificates_are_refused() {
    let server = with(Some("broker.pem"), "ca.pem");
    let stranger = with(None, "cn.pem");
    let error = shake_hands(&server, &stranger, "localhost").err().unwrap();
    assert!(error.contains("UnknownIssuer"), "{error}");
    let error = shake_hands(
        &with(Some("expired.pem"), "ca.pem"),
        &with(None, "ca.pem"),
        "localhost",
    );
    let error = error.err().unwrap();
    assert!(error.contains("expired") || error.contains("Expired"), "{error}");
}

#[test]
fn clients_show_certificates_where_they_are_wanted() {
    let server = |client_auth| SslConfig {
        client_auth,
        ..with(Some("broker.pem"), "ca.pem")
    };
    let (bare, own) = (with(None, "ca.pem"), with(Some("broker.pem"), "ca.pem"));
    let expired = with(Some("expired.pem"), "ca.pem");
    for (wanted, client, shown) in [
        (ClientAuth::None, &own, Some(false)),
        (ClientAuth::Requested, &bare, Some(false)),
        (ClientAuth::Requested, &own, Some(true)),
        (ClientAuth::Required, &own, Some(true)),
        (ClientAuth::Required, &bare, None),
        (ClientAuth::Requested, &expired, None),
    ] {
        let done = shake_hands(&server(wanted), client, "localhost");
        let certificates = done.ok().map(|server| server.peer_certificates().is_some());
        assert_eq!(certificates, shown, "{wanted:?}");
    }
    let listener = TlsListener::new(&server(ClientAuth::Required)).unwrap();
    let done = shake_hands(&server(ClientAuth::Required), &own, "localhost").unwrap();
    let principal = listener.principal(&done.peer_certificates().unwrap()[0]).unwrap();
    assert_eq!(principal.to_string(), "User:O=Barnabas,CN=broker");
}

#[test]
fn a_listener_without_a_key_shakes_no_hands() {
    assert!(shake_hands(&no_stores(), &with(None, "ca.pem"), "localhost").is_err());
}

#[test]
fn protocols_and_suites_have_javas_names() {
    let chosen = |suites: &[&str]| SslConfig {
        cipher_suites: suites.iter().map(|suite| (*suite).into()).collect(),
        ..with(Some("broker.pem"), "ca.pem")
    };
    let server = chosen(&["TLS_AES_256_GCM_SHA384", "TLS_RSA_WITH_AES_128_CBC_SHA"]);
    assert!(shake_hands(&server, &with(None, "ca.pem"), "localhost").is_ok());
    for (config, expected) in [
        (chosen(&["FOO"]), "Unsupported CipherSuite: FOO"),
        (only("TLSv9", no_stores()), "Unsupported protocolTLSv9"),
        (only("TLSv1.1", no_stores()), "No appropriate protocol"),
    ] {
        let error = TlsListener::new(&config).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn the_self_test_finds_a_broker_that_would_not_believe_itself() {
    let good = with(Some("broker.pem"), "ca.pem");
    assert!(self_test(&good, &TlsListener::new(&good).unwrap()).is_ok());
    let bad = with(Some("broker.pem"), "cn.pem");
    let error = self_test(&bad, &TlsListener::new(&bad).unwrap())
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("Invalid value javax.net.ssl.SSLHandshakeException: PKIX path building failed: "),
        "{error}"
    );
    assert!(
        error.contains("can't connect to a server SSLEngine created with those settings."),
        "{error}"
    );
}

#[test]
fn a_store_is_loaded_again_when_it_has_changed_and_kept_when_the_new_one_is_bad() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broker.pem");
    let bundle = |name: &str| {
        let parts = [text("plain.pk8").unwrap(), text(name).unwrap()];
        parts.map(|part| part.expose().to_owned()).concat()
    };
    std::fs::write(&path, bundle("broker.pem")).unwrap();
    let config = SslConfig {
        keystore_type: "PEM".into(),
        keystore_location: Some(path.display().to_string()),
        ..no_stores()
    };
    let listener = TlsListener::new(&config).unwrap();
    let first = listener.server_config();
    assert!(!listener.reconfigure(&config).unwrap(), "nothing has changed");
    let changed = |text: &str, seconds| {
        std::fs::write(&path, text).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        file.set_modified(time).unwrap();
    };
    changed("garbage", 1_000);
    assert!(listener.reconfigure(&config).is_err());
    assert!(
        Arc::ptr_eq(&first, &listener.server_config()),
        "the old one stays"
    );
    // The old certificate has alternative names that the new one has not.
    changed(&bundle("cn.pem"), 2_000);
    let error = listener.reconfigure(&config).unwrap_err().to_string();
    let expected = "Keystore SubjectAltNames do not match:  existing={alias=kafka, SAN=[[2, localhost], [7, 127.0.0.1]]}, \
                    new={alias=kafka, SAN=[]}";
    assert_eq!(error, expected);
    let allowed = SslConfig {
        allow_san_changes: true,
        ..config.clone()
    };
    assert!(listener.reconfigure(&allowed).unwrap());
    assert!(!Arc::ptr_eq(&first, &listener.server_config()));
    changed(&bundle("ca.pem"), 3_000);
    let error = listener.reconfigure(&allowed).unwrap_err().to_string();
    let expected = "Keystore DistinguishedName does not match:  existing={alias=kafka, DN=O=Barnabas,CN=broker}, \
                    new={alias=kafka, DN=CN=Test CA}";
    assert_eq!(error, expected);
}

/// Chains that openssl has made, with the judgements of Java's trust manager: name, as a server's, as a client's, the
/// trust store, the chain. Certificates are base64.
const CHAINS: &str = include_str!("testdata/chains.tsv");

#[test]
fn chains_are_judged_as_java_judges_them() {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let certificates = |text: &str| -> Vec<CertificateDer<'static>> {
        let decode = |one| base64::engine::general_purpose::STANDARD.decode(one).unwrap();
        text.split(',')
            .map(|one| CertificateDer::from(decode(one)))
            .collect()
    };
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_800_000_000));
    let host = ServerName::try_from("elsewhere").unwrap();
    let (mut count, mut differences) = (0, Vec::new());
    for line in CHAINS.lines() {
        let [name, as_server, as_client, trusted, chain] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let store = TrustStore {
            certificates: certificates(trusted),
        };
        let trust = Trust::new(store, &provider).unwrap().checking_names(false);
        let chain = certificates(chain);
        let (own, issuers) = chain.split_first().unwrap();
        let server = trust.verify_server_cert(own, issuers, &host, &[], now).is_ok();
        let client = trust.verify_client_cert(own, issuers, now).is_ok();
        for (side, java, ours) in [("server", as_server, server), ("client", as_client, client)] {
            count += 1;
            if (java == "ok") != ours {
                differences.push(format!("{name} {side}: Java {java}, ours {ours}"));
            }
        }
    }
    assert_eq!(count, 88);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
