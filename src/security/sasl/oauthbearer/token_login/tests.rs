//! Tests of tokens from servers and files.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;
use crate::security::jaas::parse_property;
use crate::security::sasl::oauthbearer::http::tests::{response, serve};

fn module(options: &str) -> LoginModule {
    parse_property(&format!("a.B required {options};")).expect("it is well formed")
}

fn config(url: String) -> OauthBearerConfig {
    OauthBearerConfig {
        token_endpoint_url: Some(url),
        sub_claim_name: "sub".to_owned(),
        login_retry_backoff_ms: 10,
        login_retry_backoff_max_ms: 1000,
        ..OauthBearerConfig::default()
    }
}

fn token(claims: &Value) -> String {
    let [header, claims] =
        [r#"{"alg":"RS256"}"#, &claims.to_string()].map(|part| URL_SAFE_NO_PAD.encode(part));
    format!("{header}.{claims}.c2ln")
}

fn answer(claims: &Value) -> Vec<u8> {
    response(200, &json!({"access_token": token(claims)}).to_string())
}

async fn login(config: &OauthBearerConfig, options: &str) -> Result<TokenLogin, String> {
    let login = TokenLogin::new(config, &module(options), &SystemProperties::default()).await;
    login.map_err(|error| error.to_string())
}

const OPTIONS: &str = r#"clientId="broker 1" clientSecret="s:/ü" scope="a b" extension_trace="x""#;

#[tokio::test]
async fn a_server_is_asked_with_id_and_secret() {
    for (header_urlencode, credentials) in [(false, "broker 1:s:/ü"), (true, "broker+1:s%3A%2F%C3%BC")] {
        let claims = json!({"sub": "broker", "exp": 1000, "iat": 0});
        let (port, requests) = serve(vec![response(503, ""), answer(&claims)], None);
        let config = OauthBearerConfig {
            header_urlencode,
            ..config(format!("http://127.0.0.1:{port}/token"))
        };
        let login = login(&config, OPTIONS).await.expect("it answers at last");
        assert_eq!(login.extensions()["trace"], "x");
        let got = login.token(1).await.expect("it is fresh");
        assert_eq!(got.expose(), token(&claims));
        let request = requests.into_iter().nth(1).expect("there were two");
        let authorization = format!("Basic {}", STANDARD.encode(credentials));
        assert!(request.starts_with("POST /token HTTP/1.1\r\n"), "{request}");
        assert!(request.contains(&authorization), "{request}");
        assert!(
            request.ends_with("\r\n\r\ngrant_type=client_credentials&scope=a+b"),
            "{request}"
        );
        let shown = format!("{login:?}");
        assert_eq!(shown, "TokenLogin");
    }
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires() {
    let first = json!({"sub": "broker", "exp": 1000, "iat": 0});
    let second = json!({"sub": "broker", "exp": 2000, "iat": 800});
    let answers = vec![
        answer(&first),
        response(401, ""),
        answer(&second),
        response(401, ""),
        response(401, ""),
    ];
    let (port, _requests) = serve(answers, None);
    let login = login(&config(format!("http://127.0.0.1:{port}/")), OPTIONS)
        .await
        .expect("it answers");
    let got = async |now_ms| login.token(now_ms).await.map(|token| token.expose().to_owned());
    assert_eq!(got(799_999).await, Ok(token(&first)));
    // The server refuses: the old one is used.
    assert_eq!(got(800_000).await, Ok(token(&first)));
    assert_eq!(got(800_001).await, Ok(token(&second)));
    assert_eq!(got(1_999_999).await, Ok(token(&second)));
    assert!(got(2_000_000).await.is_err());
}

#[tokio::test]
async fn a_file_has_the_token() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let claims = json!({"sub": "broker", "exp": 1000});
    std::fs::write(file.path(), format!("{}\n", token(&claims))).expect("it is written");
    let config = config(format!("file://{}", file.path().display()));
    let login = login(&config, "").await.expect("it is there");
    let got = login.token(0).await.expect("it is fresh");
    assert_eq!(got.expose(), token(&claims));
}

#[tokio::test]
async fn wrong_settings_and_answers_stop_the_broker() {
    let option = "The OAuth configuration option";
    let endpoint = || config("http://127.0.0.1:1/".to_owned());
    let none = OauthBearerConfig {
        token_endpoint_url: None,
        ..endpoint()
    };
    for (config, options, message) in [
        (
            none,
            OPTIONS,
            format!("{option} {ENDPOINT_KEY} value must be non-null"),
        ),
        (
            endpoint(),
            "",
            format!("{option} clientId value must be non-null"),
        ),
        (
            endpoint(),
            "clientId=a clientSecret=' '",
            format!("{option} clientSecret value must not contain only whitespace"),
        ),
    ] {
        assert_eq!(login(&config, options).await.expect_err(options), message);
    }
    for body in [
        "{}".to_owned(),
        "nonsense".to_owned(),
        json!({"access_token": "a.b"}).to_string(),
        json!({"access_token": token(&json!({"sub": "x"}))}).to_string(),
        json!({"access_token": token(&json!({"exp": 1}))}).to_string(),
    ] {
        let (port, _requests) = serve(vec![response(200, &body)], None);
        let error = login(&config(format!("http://127.0.0.1:{port}/")), OPTIONS)
            .await
            .expect_err(&body);
        assert!(
            error.starts_with("An internal error occurred while retrieving token"),
            "{error}"
        );
        assert!(!error.contains("s:/"), "{error}");
    }
}
