//! Tests of the sources of keys, with files and a server.

use std::io::Write;

use serde_json::json;

use super::*;
use crate::security::sasl::oauthbearer::http::tests::{client, response, serve};

fn config(refresh_ms: i64) -> OauthBearerConfig {
    OauthBearerConfig {
        jwks_endpoint_refresh_ms: refresh_ms,
        jwks_endpoint_retry_backoff_ms: 10,
        jwks_endpoint_retry_backoff_max_ms: 1000,
        ..OauthBearerConfig::default()
    }
}

fn keys(id: &str) -> String {
    json!({"keys": [{"kty": "RSA", "kid": id, "n": "AQAB", "e": "AQAB"}]}).to_string()
}

async fn open(url: &str, refresh_ms: i64) -> Result<KeySource, SaslSetupError> {
    KeySource::open(&config(refresh_ms), url, client("")).await
}

fn id(source: &KeySource) -> Option<String> {
    source.current().key_ids().next().map(str::to_owned)
}

async fn wait_for(source: &KeySource, wanted: &str) {
    while id(source).as_deref() != Some(wanted) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_file_is_read_once() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(keys("one").as_bytes()).expect("it is written");
    for scheme in ["file://", "file:", "FILE://"] {
        let source = open(&format!("{scheme}{}", file.path().display()), 0)
            .await
            .expect("it is read");
        assert_eq!(id(&source).as_deref(), Some("one"));
        source.expedite_refresh(Some("two"), 0);
    }
}

#[tokio::test]
async fn wrong_files_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let nonsense = folder.path().join("nonsense");
    std::fs::write(&nonsense, "{}").expect("it is written");
    let option = "The OAuth configuration option sasl.oauthbearer.jwks.endpoint.url";
    let missing = format!("{option} contains a file (/no/such/file) that doesn't exist");
    let is_folder = format!(
        "{option} references a directory (file://{}), not a file",
        folder.path().display()
    );
    for (path, message) in [
        ("/no/such/file", missing.as_str()),
        (folder.path().to_str().expect("it is text"), &is_folder),
        (nonsense.to_str().expect("it is text"), "it has no list of keys"),
    ] {
        let error = open(&format!("file://{path}"), 0)
            .await
            .expect_err(path)
            .to_string();
        assert!(error.ends_with(message), "{error}");
    }
}

#[tokio::test]
async fn an_address_is_asked_again_and_again() {
    let answers = vec![
        response(200, &keys("one")),
        response(200, &keys("two")),
        response(500, ""),
        response(200, "nonsense"),
        response(200, &keys("three")),
    ];
    let (port, _requests) = serve(answers, None);
    let source = open(&format!("http://127.0.0.1:{port}/"), 20)
        .await
        .expect("it answers");
    assert_eq!(id(&source).as_deref(), Some("one"));
    wait_for(&source, "two").await;
    // Errors change nothing and are tried again.
    wait_for(&source, "three").await;
}

#[tokio::test]
async fn an_unknown_key_is_looked_for() {
    let (port, _requests) = serve(
        vec![response(200, &keys("one")), response(200, &keys("two"))],
        None,
    );
    let source = open(&format!("http://127.0.0.1:{port}/"), 3_600_000)
        .await
        .expect("it answers");
    source.expedite_refresh(Some("two"), 0);
    wait_for(&source, "two").await;
}

#[tokio::test]
async fn an_address_must_answer_at_the_start() {
    let (port, _requests) = serve(vec![response(404, "")], None);
    let error = open(&format!("http://127.0.0.1:{port}/"), 1000)
        .await
        .expect_err("there is nothing");
    assert!(
        error
            .to_string()
            .starts_with("The OAuth validator configuration encountered an error")
    );
    assert!(
        open("http://127.0.0.1:1/", 0)
            .await
            .expect_err("no interval")
            .to_string()
            .contains("positive")
    );
}

#[test]
fn unknown_keys_are_not_looked_for_too_often() {
    let mut missing = MissingKeys::default();
    assert!(missing.is_due("a", 0));
    assert!(!missing.is_due("a", EXPEDITE_MS));
    assert!(!missing.is_due("b", EXPEDITE_MS - 1));
    assert!(missing.is_due("b", EXPEDITE_MS));
    assert!(missing.is_due("a", MISSING_KEY_MS));
    missing.forget(&KeySet::parse(&keys("a")).expect("it is a set"));
    assert!(missing.is_due("a", MISSING_KEY_MS + EXPEDITE_MS));
    assert!(!missing.is_due(&"x".repeat(1001), i64::MAX / 2));
    for key in 0..100 {
        assert!(missing.is_due(&key.to_string(), MISSING_KEY_MS * (key + 3)));
    }
    assert_eq!(missing.keys.len(), MISSING_KEYS_MAX);
}
