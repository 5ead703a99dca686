//! The SASL exchange byte by byte: every script is played to barnabas and to Apache Kafka, and both must answer the same
//! bytes, or close at the same step, at once or after `connection.failed.authentication.delay.ms`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use barnabas_testcontainers::certificates::Certificates;
use barnabas_testcontainers::raw::Bytes;
use barnabas_testcontainers::secured::{self, SecuredPorts};
use barnabas_testcontainers::tools::ensure_same_steps;
use barnabas_testcontainers::{Cluster, Kind, ZooKeeper};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const METADATA: i16 = 3;
const SASL_HANDSHAKE: i16 = 17;
const API_VERSIONS: i16 = 18;
const SASL_AUTHENTICATE: i16 = 36;

/// The delay is long, so that a close at once is told from a delayed one on a busy machine too.
const DELAY_MS: u64 = 1_000;
/// What comes earlier than this came at once.
const AT_ONCE: Duration = Duration::from_millis(700);
/// A connection that is silent for so long stays open and unanswered.
const SILENCE: Duration = Duration::from_millis(2_500);

const ALICE: &[u8] = b"\0alice\0alice-secret";

/// One thing that a script sends.
#[derive(Clone)]
enum Send {
    /// A frame, then wait for its answer.
    Frame(Vec<u8>),
    /// Bytes as they are, then wait for an answer.
    Raw(Vec<u8>),
    /// Frames in one go; then wait for as many answers.
    Together(Vec<Vec<u8>>),
    /// Nothing for a while.
    Pause(u64),
}

struct Script {
    name: &'static str,
    listener: &'static str,
    sends: Vec<Send>,
}

fn frame(request: Bytes) -> Send {
    Send::Frame(request.0)
}

fn handshake(version: i16, mechanism: &str) -> Bytes {
    Bytes::request(SASL_HANDSHAKE, version).string(mechanism)
}

/// SaslAuthenticate 0 or 1.
fn authenticate(version: i16, token: &[u8]) -> Bytes {
    Bytes::request(SASL_AUTHENTICATE, version).bytes(token)
}

/// SaslAuthenticate 2, which is flexible.
fn authenticate_2(token: &[u8]) -> Bytes {
    let header = Bytes::request(SASL_AUTHENTICATE, 2).i8(0);
    header.i8(token.len() as i8 + 1).plain(token).i8(0)
}

fn api_versions(version: i16) -> Bytes {
    Bytes::request(API_VERSIONS, version)
}

/// ApiVersions 3 with the name of the client's software.
fn api_versions_3(name: &str) -> Bytes {
    let header = Bytes::request(API_VERSIONS, 3).i8(0);
    let compact = |bytes: Bytes, text: &str| bytes.i8(text.len() as i8 + 1).plain(text.as_bytes());
    compact(compact(header, name), "1.0").i8(0)
}

fn metadata() -> Bytes {
    Bytes::request(METADATA, 0).i32(0)
}

fn scripts() -> Vec<Script> {
    let plain = "PLAIN";
    let after = |sends: Vec<Send>| {
        let mut all = vec![frame(handshake(1, plain)), frame(authenticate(1, ALICE))];
        all.extend(sends);
        all
    };
    let token = |version, token: &[u8]| vec![frame(handshake(1, plain)), frame(authenticate(version, token))];
    let bare = |token: &[u8]| vec![frame(handshake(0, plain)), Send::Frame(token.to_vec())];
    let rows: Vec<(&'static str, Vec<Send>)> = vec![
        (
            "api versions 0, handshake, authenticate 0",
            vec![
                frame(api_versions(0)),
                frame(handshake(1, plain)),
                frame(authenticate(0, ALICE)),
            ],
        ),
        ("authenticate 1", token(1, ALICE)),
        (
            "authenticate 2",
            vec![frame(handshake(1, plain)), frame(authenticate_2(ALICE))],
        ),
        ("bare tokens", bare(ALICE)),
        (
            "everything in one go",
            vec![Send::Together(vec![
                handshake(1, plain).0,
                authenticate(1, ALICE).0,
                handshake(1, plain).0,
            ])],
        ),
        (
            "an unknown version of ApiVersions, then a known one",
            vec![
                frame(api_versions(99).i8(0)),
                frame(api_versions(0)),
                frame(handshake(1, plain)),
            ],
        ),
        (
            "ApiVersions with a bad software name, then a good one",
            vec![
                frame(api_versions_3("")),
                frame(api_versions(0)),
                frame(handshake(0, plain)),
            ],
        ),
        (
            "ApiVersions twice",
            vec![frame(api_versions(0)), frame(api_versions(0))],
        ),
        (
            "ApiVersions behind a handshake 1",
            vec![frame(handshake(1, plain)), frame(api_versions(0))],
        ),
        (
            "ApiVersions behind a handshake 0",
            vec![frame(handshake(0, plain)), frame(api_versions(0))],
        ),
        ("Metadata before the handshake", vec![frame(metadata())]),
        (
            "SaslAuthenticate before the handshake",
            vec![frame(authenticate(1, ALICE))],
        ),
        (
            "Metadata behind ApiVersions",
            vec![frame(api_versions(0)), frame(metadata())],
        ),
        ("an unknown mechanism", vec![frame(handshake(1, "FOO"))]),
        (
            "an unknown mechanism, handshake 0",
            vec![frame(handshake(0, "plain"))],
        ),
        ("handshake 2", vec![frame(handshake(2, plain))]),
        (
            "authenticate 3",
            vec![frame(handshake(1, plain)), frame(authenticate(3, ALICE))],
        ),
        (
            "handshake twice",
            vec![frame(handshake(1, plain)), frame(handshake(1, plain))],
        ),
        (
            "handshake 0, then SaslAuthenticate",
            vec![frame(handshake(0, plain)), frame(authenticate(1, ALICE))],
        ),
        (
            "handshake 1, then a bare token",
            vec![frame(handshake(1, plain)), Send::Frame(ALICE.to_vec())],
        ),
        ("a wrong password", token(1, b"\0alice\0guess")),
        ("a wrong password, authenticate 0", token(0, b"\0alice\0guess")),
        (
            "a wrong password, authenticate 2",
            vec![
                frame(handshake(1, plain)),
                frame(authenticate_2(b"\0alice\0guess")),
            ],
        ),
        ("a wrong password, bare", bare(b"\0alice\0guess")),
        ("no name", token(1, b"\0\0alice-secret")),
        ("no password", token(1, b"\0alice\0")),
        ("two parts", token(1, b"alice\0alice-secret")),
        ("four parts", token(1, b"\0alice\0alice-secret\0")),
        ("an empty token", token(1, b"")),
        ("not UTF-8", token(1, b"\0al\xffice\0alice-secret")),
        ("another authorization id", token(1, b"bob\0alice\0alice-secret")),
        (
            "the same authorization id",
            token(1, b"alice\0alice\0alice-secret"),
        ),
        (
            "SCRAM of an unknown user",
            vec![
                frame(handshake(1, "SCRAM-SHA-256")),
                frame(authenticate(1, b"n,,n=mallory,r=abc")),
            ],
        ),
        (
            "SCRAM with channel binding",
            vec![
                frame(handshake(1, "SCRAM-SHA-256")),
                frame(authenticate(1, b"y,,n=alice,r=abc")),
            ],
        ),
        (
            "SCRAM garbage",
            vec![
                frame(handshake(1, "SCRAM-SHA-512")),
                frame(authenticate(1, b"garbage")),
            ],
        ),
        (
            "SCRAM with another authorization id",
            vec![
                frame(handshake(1, "SCRAM-SHA-512")),
                frame(authenticate(1, b"n,a=bob,n=alice,r=abc")),
            ],
        ),
        (
            "SCRAM garbage, bare",
            vec![
                frame(handshake(0, "SCRAM-SHA-512")),
                Send::Frame(b"garbage".to_vec()),
            ],
        ),
        (
            "a bad bearer token",
            vec![
                frame(handshake(1, "OAUTHBEARER")),
                frame(authenticate(1, b"n,,\x01auth=Bearer abc\x01\x01")),
                frame(authenticate(1, b"\x01")),
            ],
        ),
        (
            "a bearer token with an extension named auth",
            vec![
                frame(handshake(1, "OAUTHBEARER")),
                frame(authenticate(1, b"n,,\x01auth=Bearer abc\x01auth=x\x01\x01")),
            ],
        ),
        (
            "not a bearer token",
            vec![
                frame(handshake(1, "OAUTHBEARER")),
                frame(authenticate(1, b"hello")),
            ],
        ),
        (
            "an unknown api key",
            vec![Send::Frame(vec![0x60, 0x82, 1, 2, 3, 4, 5, 6, 7, 8])],
        ),
        ("a frame of two bytes", vec![Send::Frame(vec![0, 17])]),
        ("an empty frame", vec![Send::Frame(vec![])]),
        (
            "an unknown api key behind ApiVersions",
            vec![
                frame(api_versions(0)),
                Send::Frame(vec![0x60, 0x82, 1, 2, 3, 4, 5, 6, 7, 8]),
            ],
        ),
        (
            "a frame that is too large",
            vec![Send::Raw(524_289_i32.to_be_bytes().to_vec())],
        ),
        (
            "a negative frame",
            vec![Send::Raw((-2_i32).to_be_bytes().to_vec())],
        ),
        ("HTTP", vec![Send::Raw(b"GET / HTTP/1.1\r\n\r\n".to_vec())]),
        (
            "a large frame behind a handshake",
            vec![
                frame(handshake(1, plain)),
                Send::Raw(600_000_i32.to_be_bytes().to_vec()),
            ],
        ),
        (
            "a handshake on an authenticated connection",
            after(vec![frame(handshake(1, plain)), frame(api_versions(0))]),
        ),
        (
            "SaslAuthenticate on an authenticated connection",
            after(vec![frame(authenticate(1, ALICE))]),
        ),
        (
            "ApiVersions on an authenticated connection",
            after(vec![frame(api_versions(0)), frame(api_versions(0))]),
        ),
    ];
    let mut scripts: Vec<Script> = rows
        .into_iter()
        .map(|(name, sends)| Script {
            name,
            listener: "SASLP",
            sends,
        })
        .collect();
    // This listener ends sessions after two seconds.
    let renew = |sends: Vec<Send>| after([vec![Send::Pause(1_100)], sends].concat());
    let mut short = |name, sends| {
        scripts.push(Script {
            name,
            listener: "SHORT",
            sends,
        })
    };
    short("a session's lifetime", after(vec![]));
    short(
        "a renewal",
        renew(vec![
            frame(handshake(1, plain)),
            frame(authenticate(1, ALICE)),
            Send::Pause(1_500),
            frame(api_versions(0)),
        ]),
    );
    short(
        "a late renewal",
        after(vec![
            Send::Pause(2_300),
            frame(handshake(1, plain)),
            frame(authenticate(1, ALICE)),
            frame(api_versions(0)),
        ]),
    );
    short(
        "two renewals within a second",
        renew(vec![
            frame(handshake(1, plain)),
            frame(authenticate(1, ALICE)),
            frame(handshake(1, plain)),
        ]),
    );
    short(
        "a request after the session",
        after(vec![Send::Pause(2_300), frame(api_versions(0))]),
    );
    short(
        "a renewal by another user",
        renew(vec![
            frame(handshake(1, plain)),
            frame(authenticate(1, b"\0bob\0bob-secret")),
        ]),
    );
    short(
        "a renewal by another mechanism",
        renew(vec![
            frame(handshake(1, "SCRAM-SHA-256")),
            frame(authenticate(1, b"n,,n=alice,r=abc")),
        ]),
    );
    short(
        "a renewal with a wrong password",
        renew(vec![
            frame(handshake(1, plain)),
            frame(authenticate(1, b"\0alice\0guess")),
        ]),
    );
    short(
        "a renewal with an unknown mechanism",
        renew(vec![frame(handshake(1, "FOO"))]),
    );
    short("a renewal with a bad SCRAM message", vec![]);
    for (listener, name) in [
        ("PLAINTEXT", "a handshake on a plain listener"),
        ("PLAINTEXT", "a token on a plain listener"),
    ] {
        let send = if name.starts_with("a handshake") {
            handshake(1, plain)
        } else {
            authenticate(1, ALICE)
        };
        scripts.push(Script {
            name,
            listener,
            sends: vec![frame(send), frame(api_versions(0))],
        });
    }
    scripts
}

/// Plays a script and writes down what came back.
async fn play(script: &Script, port: u16) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut seen = Vec::new();
    for send in &script.sends {
        let mut answers = 1;
        match send {
            Send::Frame(bytes) => stream.write_all(&Bytes::default().bytes(bytes).0).await?,
            Send::Raw(bytes) => stream.write_all(bytes).await?,
            Send::Together(frames) => {
                let all: Vec<u8> = frames.iter().flat_map(|f| Bytes::default().bytes(f).0).collect();
                stream.write_all(&all).await?;
                answers = frames.len();
            }
            Send::Pause(ms) => {
                tokio::time::sleep(Duration::from_millis(*ms)).await;
                continue;
            }
        }
        for _ in 0..answers {
            let begun = Instant::now();
            let answer = timeout(SILENCE, read(&mut stream)).await;
            let when = if begun.elapsed() < AT_ONCE {
                "at once"
            } else {
                "late"
            };
            match answer {
                Err(_) => seen.push("silence".to_owned()),
                Ok(None) => {
                    seen.push(format!("closed {when}"));
                    return Ok(seen.join("\n"));
                }
                Ok(Some(bytes)) => seen.push(format!("{when} {}", normalized(&bytes))),
            }
        }
    }
    // Whether the connection is still open.
    let begun = Instant::now();
    seen.push(match timeout(AT_ONCE, read(&mut stream)).await {
        Err(_) => "open".to_owned(),
        Ok(None) if begun.elapsed() < AT_ONCE => "then closed".to_owned(),
        Ok(more) => format!("then {more:?}"),
    });
    Ok(seen.join("\n"))
}

async fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let size = stream.read_i32().await.ok()?;
    let mut answer = vec![0; usize::try_from(size).ok()?.min(10_000_000)];
    stream.read_exact(&mut answer).await.ok()?;
    Some(answer)
}

/// Hexadecimal digits. The list of mechanisms is sorted, as Kafka's is in no order; a long answer is that of ApiVersions
/// or Metadata, of which the begin says enough here.
fn normalized(answer: &[u8]) -> String {
    if let Some(list) = mechanisms(answer) {
        return list;
    }
    let shown: String = answer.iter().take(60).map(|byte| format!("{byte:02x}")).collect();
    let text = String::from_utf8_lossy(answer);
    let text: String = text.chars().filter(|c| (' '..='~').contains(c)).collect();
    match answer.len() {
        ..=200 => format!("{shown} {text}"),
        _ => format!("{} and more", &shown[..12]),
    }
}

fn mechanisms(answer: &[u8]) -> Option<String> {
    let error = i16::from_be_bytes(answer.get(4..6)?.try_into().ok()?);
    let count = i32::from_be_bytes(answer.get(6..10)?.try_into().ok()?);
    let mut rest = answer.get(10..)?;
    let mut names = Vec::new();
    for _ in 0..(1..10).contains(&count).then_some(count)? {
        let length = usize::from(u16::from_be_bytes(rest.get(..2)?.try_into().ok()?));
        names.push(std::str::from_utf8(rest.get(2..2 + length)?).ok()?);
        rest = &rest[2 + length..];
    }
    names.sort_unstable();
    rest.is_empty()
        .then(|| format!("error {error}, mechanisms {}", names.join(" ")))
}

async fn steps(kind: Kind) -> Result<Vec<(String, String)>> {
    let files = tempfile::tempdir()?;
    let certificates = Certificates::new(files.path())?;
    let identity = certificates.sign("broker", "/CN=broker", "IP:127.0.0.1")?;
    let (ports, short) = (SecuredPorts::free(), barnabas_testcontainers::free_port());
    let cluster = Cluster::start_with(ZooKeeper::single().await?, &[kind], |broker| {
        let mut broker = secured::secure(broker, ports, &certificates, &identity)
            .with("connection.failed.authentication.delay.ms", DELAY_MS)
            .with("listener.name.short.plain.connections.max.reauth.ms", 2_000)
            .with(
                "listener.name.short.scram-sha-256.connections.max.reauth.ms",
                2_000,
            );
        for mechanism in secured::MECHANISMS {
            let key = format!(
                "listener.name.short.{}.sasl.jaas.config",
                mechanism.to_lowercase()
            );
            broker.set(&key, secured::jaas(mechanism));
        }
        let listeners = format!(
            "PLAINTEXT://127.0.0.1:{},SASLP://127.0.0.1:{},SHORT://127.0.0.1:{short}",
            broker.port, ports.sasl_plaintext
        );
        broker.with("listeners", listeners).with(
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,SASLP:SASL_PLAINTEXT,SHORT:SASL_PLAINTEXT",
        )
    })
    .await?;
    secured::create_scram_users(&cluster.bootstrap()).await?;
    let scripts = scripts();
    let played = scripts.iter().map(|script| async {
        let port = match script.listener {
            "SASLP" => ports.sasl_plaintext,
            "SHORT" => short,
            _ => cluster.brokers[0].port,
        };
        let seen = play(script, port).await.with_context(|| script.name)?;
        anyhow::Ok((script.name.to_owned(), seen))
    });
    let mut steps = Vec::new();
    for played in futures::future::join_all(played).await {
        steps.push(played?);
    }
    Ok(steps)
}

#[tokio::test(flavor = "multi_thread")]
async fn both_kinds_answer_the_same_bytes() -> Result<()> {
    let ours = steps(Kind::under_test()).await?;
    let kafkas = steps(Kind::ApacheKafka).await?;
    if std::env::var_os("SHOW").is_some() {
        for (name, seen) in &kafkas {
            println!("== {name}\n{seen}");
        }
    }
    ensure_same_steps(&ours, &kafkas)
}
