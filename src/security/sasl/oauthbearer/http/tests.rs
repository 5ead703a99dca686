//! Tests of requests, with a server that answers what it is told to.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivateKeyDer;

use super::*;
use crate::security::jaas::parse_property;

/// Answers connections one after the other, each with the next of the given answers, and tells what was sent. With
/// `tls`, speaks TLS.
pub fn serve(answers: Vec<Vec<u8>>, tls: Option<Arc<rustls::ServerConfig>>) -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    let (sender, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (stream, _) = listener.accept().expect("a client comes");
            match &tls {
                None => exchange(stream, &answer, &sender),
                Some(config) => {
                    let session =
                        rustls::ServerConnection::new(config.clone()).expect("the settings are right");
                    exchange(rustls::StreamOwned::new(session, stream), &answer, &sender);
                }
            }
        }
    });
    (port, requests)
}

fn exchange(mut stream: impl Read + Write, answer: &[u8], requests: &mpsc::Sender<String>) {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(length) if length > 0 => request.extend_from_slice(&buffer[..length]),
            _ => break,
        }
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let head = head.to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1);
        let length: usize = length.map_or(0, |rest| {
            rest.lines()
                .next()
                .and_then(|line| line.parse().ok())
                .unwrap_or(0)
        });
        if body.len() >= length {
            let _ = requests.send(text);
            let _ = stream.write_all(answer);
            break;
        }
    }
    let _ = stream.flush();
}

/// A client with these options of a JAAS text.
pub fn client(options: &str) -> HttpClient {
    let module = parse_property(&format!("a.B required {options};")).expect("it is well formed");
    HttpClient::of_module(&module, None, None).expect("the options are right")
}

/// An answer with a status and a body.
pub fn response(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").into_bytes()
}

#[test]
fn answers_come_with_their_status() {
    let (port, requests) = serve(
        vec![
            response(200, "keys"),
            response(201, "made"),
            response(500, "x"),
            response(404, "x"),
        ],
        None,
    );
    let client = client("");
    let url = format!("http://127.0.0.1:{port}/a?b=c");
    assert_eq!(client.get(&url).expect("it answers"), "keys");
    let request = requests.recv().expect("there was one");
    assert!(request.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{request}");
    assert_eq!(
        client.post_form(&url, "Basic x", "k=v").expect("it answers"),
        "made"
    );
    let request = requests.recv().expect("there was one").to_ascii_lowercase();
    assert!(
        request.contains("authorization: basic x\r\n") && request.ends_with("\r\n\r\nk=v"),
        "{request}"
    );
    assert!(client.get(&url).expect_err("the server failed").is_retriable);
    assert!(!client.get(&url).expect_err("there is nothing").is_retriable);
    assert!(
        client
            .get("http://127.0.0.1:1/")
            .expect_err("nobody listens")
            .is_retriable
    );
    assert!(client.get("nonsense").is_err());
}

#[test]
fn long_answers_are_refused() {
    let body = "x".repeat(BODY_BYTES_MAX as usize);
    let (port, _requests) = serve(
        vec![response(200, &body), response(200, &format!("{body}x"))],
        None,
    );
    let (client, url) = (client(""), format!("http://127.0.0.1:{port}/"));
    assert_eq!(
        client.get(&url).expect("it is just short enough").len(),
        body.len()
    );
    assert!(client.get(&url).is_err());
}

#[test]
fn only_trusted_servers_are_asked() {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the versions are known")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .expect("they fit");
    let (port, _requests) = serve(
        vec![response(200, "a"), response(200, "b")],
        Some(Arc::new(config)),
    );
    let url = format!("https://localhost:{port}/");
    assert!(client("").get(&url).is_err());
    let trusting = client(&format!(
        "ssl.truststore.certificates=\"{}\"",
        certificate.pem().replace('\n', "\\n")
    ));
    assert_eq!(trusting.get(&url).expect("it is trusted"), "b");
}

#[test]
fn the_authorities_of_a_jaas_text_must_be_there() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().display();
    for (options, message) in [
        (format!("ssl.truststore.location=\"{path}\""), "only PEM is"),
        (
            format!("ssl.truststore.location=\"{path}\" ssl.truststore.type=PEM"),
            "no certificates in PEM format",
        ),
        (
            "ssl.truststore.location=\"/no/such\" ssl.truststore.type=PEM".to_owned(),
            "(os error 2)",
        ),
        (
            "ssl.truststore.certificates=\"x\"".to_owned(),
            "no certificates in PEM format",
        ),
    ] {
        let module = parse_property(&format!("a.B required {options};")).expect("it is well formed");
        let error = authorities(&module).expect_err(&options).to_string();
        assert!(error.ends_with(message), "{error}");
    }
}
