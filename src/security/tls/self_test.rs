//! Lets a client and a server of the same settings shake hands in memory. A broker whose own certificate it does not
//! trust would start, and then replicate nothing. Kafka 3.9: `SslFactory.SslEngineValidator`.

use std::io;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConnection, ServerConnection};

use super::client::client_config;
use super::listener::TlsListener;
use crate::config::security::SslConfig;
use crate::security::ssl_error::SslError;

/// More exchanges than any handshake has.
const MAX_ROUNDS: usize = 20;

/// Fails with Kafka's text if a client does not believe a server of the same settings, or the reverse.
pub fn self_test(config: &SslConfig, listener: &TlsListener) -> Result<(), SslError> {
    shake_hands(config, listener).map_err(|reason| {
        SslError::new(format!(
            "Invalid value javax.net.ssl.SSLHandshakeException: {reason} for configuration A client SSLEngine created with \
             the provided settings can't connect to a server SSLEngine created with those settings."
        ))
    })
}

/// Java's text for a chain that does not end in the trust store.
const NO_PATH: &str = "PKIX path building failed: sun.security.provider.certpath.SunCertPathBuilderException: unable to \
                       find valid certification path to requested target";

fn shake_hands(config: &SslConfig, listener: &TlsListener) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let judged = |error: rustls::Error| match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => NO_PATH.to_owned(),
        other => other.to_string(),
    };
    let client = client_config(config, false).map_err(|error| text(&error))?;
    let name = ServerName::try_from("localhost").map_err(|error| text(&error))?;
    let mut client = ClientConnection::new(client, name).map_err(|error| text(&error))?;
    let mut server = ServerConnection::new(listener.server_config()).map_err(|error| text(&error))?;
    for _ in 0..MAX_ROUNDS {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).map_err(|error| text(&error))?;
        receive(&bytes, |input| server.read_tls(input)).map_err(|error| text(&error))?;
        server.process_new_packets().map_err(judged)?;
        bytes.clear();
        server.write_tls(&mut bytes).map_err(|error| text(&error))?;
        receive(&bytes, |input| client.read_tls(input)).map_err(|error| text(&error))?;
        client.process_new_packets().map_err(judged)?;
        if !client.is_handshaking() && !server.is_handshaking() {
            return Ok(());
        }
    }
    Err("the handshake does not end".to_owned())
}

fn receive(mut bytes: &[u8], mut read: impl FnMut(&mut dyn io::Read) -> io::Result<usize>) -> io::Result<()> {
    while !bytes.is_empty() {
        read(&mut bytes)?;
    }
    Ok(())
}
