//! Tests of the mechanisms of a listener.

use std::num::NonZeroU32;

use super::*;
use crate::security::sasl::ScramCredential;

const PLAIN_TEXT: &str = r#"org.apache.kafka.common.security.plain.PlainLoginModule required
    username="admin" password="admin-secret" user_admin="admin-secret";"#;
const SCRAM_TEXT: &str = r#"org.apache.kafka.common.security.scram.ScramLoginModule required
    username="broker" password="broker-secret";"#;
const OAUTH_TEXT: &str = r#"org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required
    unsecuredLoginStringClaim_sub="broker";"#;

fn config(mechanisms: &[(&str, &str)]) -> SaslConfig {
    let settings = |text: &str| MechanismConfig {
        jaas_config: (!text.is_empty()).then(|| Password::new(text)),
        ..MechanismConfig::default()
    };
    SaslConfig {
        enabled_mechanisms: mechanisms.iter().map(|(name, _)| (*name).to_owned()).collect(),
        server_max_receive_size: 524_288,
        kerberos_service_name: None,
        kerberos_principal_to_local_rules: vec!["DEFAULT".to_owned()],
        mechanisms: mechanisms
            .iter()
            .map(|(name, text)| ((*name).to_owned(), settings(text)))
            .collect(),
    }
}

async fn build(config: &SaslConfig) -> Result<SaslMechanisms, SaslSetupError> {
    let users = ScramCredentialCache::default();
    for mechanism in ScramMechanism::ALL {
        let iterations = NonZeroU32::new(4096).expect("it is not 0");
        let credential = ScramCredential::generate(mechanism, "broker-secret", iterations);
        users.update(mechanism, "broker", Some(credential));
    }
    SaslMechanisms::new("SASL_PLAINTEXT", config, &SystemProperties::default(), &users).await
}

async fn error(config: &SaslConfig) -> String {
    build(config).await.expect_err("it is wrong").to_string()
}

#[tokio::test]
async fn brokers_prove_to_each_other_who_they_are() {
    let config = config(&[
        ("PLAIN", PLAIN_TEXT),
        ("SCRAM-SHA-256", SCRAM_TEXT),
        ("SCRAM-SHA-512", SCRAM_TEXT),
        ("OAUTHBEARER", OAUTH_TEXT),
    ]);
    let mechanisms = build(&config).await.expect("it is right");
    // As Apache Kafka was seen to answer.
    let expected = ["PLAIN", "SCRAM-SHA-512", "SCRAM-SHA-256", "OAUTHBEARER"];
    assert_eq!(mechanisms.enabled(), expected);
    for (name, principal) in [
        ("PLAIN", "User:admin"),
        ("SCRAM-SHA-256", "User:broker"),
        ("SCRAM-SHA-512", "User:broker"),
        ("OAUTHBEARER", "User:broker"),
    ] {
        let mut client = mechanisms
            .client(name, "localhost", 1000)
            .await
            .expect("there are credentials");
        let mut server = mechanisms.server(name).expect("it is enabled");
        assert_eq!(client.mechanism(), name);
        fn is_send(_: &impl Send) {}
        is_send(&server.evaluate(b"", 0));
        let mut message = Some(client.first());
        let mut authenticated = None;
        while let Some(token) = message {
            let evaluation = server
                .evaluate(&token, 1000)
                .await
                .expect("the credentials are right");
            authenticated = evaluation.authenticated;
            assert!(!client.is_complete());
            message = client
                .evaluate(&evaluation.response)
                .await
                .expect("the server knows them");
        }
        assert!(client.is_complete());
        assert_eq!(
            authenticated.expect("it is complete").principal.to_string(),
            principal
        );
    }
}

#[tokio::test]
async fn every_enabled_mechanism_needs_a_text() {
    let message = "Could not find a 'KafkaServer' or 'sasl_plaintext.KafkaServer' entry in the JAAS configuration. \
                   System property 'java.security.auth.login.config' is not set";
    assert_eq!(
        error(&config(&[("PLAIN", PLAIN_TEXT), ("SCRAM-SHA-256", "")])).await,
        message
    );
    assert_eq!(error(&config(&[("FOO", "")])).await, message);
    let wrong = "Login module control flag not specified in JAAS config";
    assert_eq!(error(&config(&[("PLAIN", "nonsense")])).await, wrong);
}

#[tokio::test]
async fn a_mechanism_that_no_software_implements_stops_no_broker() {
    let mechanisms = build(&config(&[("FOO", PLAIN_TEXT), ("PLAIN", PLAIN_TEXT)]))
        .await
        .expect("it is right");
    assert!(mechanisms.is_enabled("FOO") && !mechanisms.is_enabled("plain"));
    assert!(mechanisms.server("FOO").is_none() && mechanisms.server("plain").is_none());
    assert!(mechanisms.client("FOO", "localhost", 0).await.is_err());
}

#[tokio::test]
async fn classes_of_others_cannot_be_loaded() {
    let mut wrong = config(&[("PLAIN", PLAIN_TEXT)]);
    let settings = wrong.mechanisms.get_mut("PLAIN").expect("it is there");
    settings.server_callback_handler_class = Some("x.Y".to_owned());
    let message = "Invalid value x.Y for configuration sasl.server.callback.handler.class: Class x.Y could not be found.";
    assert_eq!(error(&wrong).await, message);
    let settings = wrong.mechanisms.get_mut("PLAIN").expect("it is there");
    settings.server_callback_handler_class =
        Some("org.apache.kafka.common.security.plain.internals.PlainServerCallbackHandler".to_owned());
    assert!(build(&wrong).await.is_ok());
    let settings = wrong.mechanisms.get_mut("PLAIN").expect("it is there");
    settings.login_class = Some("x.Y".to_owned());
    let message = "Invalid value x.Y for configuration sasl.login.class: Class x.Y could not be found.";
    assert_eq!(error(&wrong).await, message);
    assert_eq!(
        error(&config(&[("PLAIN", "x.Y required;")])).await,
        "No LoginModule found for x.Y"
    );
}

#[tokio::test]
async fn a_broker_without_credentials_cannot_connect() {
    let text = "org.apache.kafka.common.security.plain.PlainLoginModule required;";
    let mechanisms = build(&config(&[("PLAIN", text)])).await.expect("it is right");
    assert!(mechanisms.client("PLAIN", "localhost", 0).await.is_err());
    let text = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;";
    let mechanisms = build(&config(&[("OAUTHBEARER", text)]))
        .await
        .expect("it is right");
    assert!(mechanisms.server("OAUTHBEARER").is_some());
    assert!(mechanisms.client("OAUTHBEARER", "localhost", 0).await.is_err());
}

#[tokio::test]
async fn a_token_that_cannot_be_made_stops_the_broker() {
    let text = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required other=x;";
    let message = "An internal error occurred while retrieving token from callback handler";
    assert_eq!(error(&config(&[("OAUTHBEARER", text)])).await, message);
}

#[tokio::test]
async fn signed_tokens_need_an_address_of_keys() {
    let mut config = config(&[("OAUTHBEARER", OAUTH_TEXT)]);
    let handler = "org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler";
    let settings = config.mechanisms.get_mut("OAUTHBEARER").expect("it is there");
    settings.server_callback_handler_class = Some(handler.to_owned());
    let option = "The OAuth configuration option sasl.oauthbearer.jwks.endpoint.url";
    assert_eq!(error(&config).await, format!("{option} value must be non-null"));
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), r#"{"keys":[]}"#).expect("it is written");
    let settings = config.mechanisms.get_mut("OAUTHBEARER").expect("it is there");
    settings.oauthbearer.jwks_endpoint_url = Some(format!("file://{}", file.path().display()));
    assert!(build(&config).await.is_ok());
}

#[cfg(not(feature = "gssapi"))]
#[tokio::test]
async fn kerberos_needs_its_feature() {
    let text = "com.sun.security.auth.module.Krb5LoginModule required;";
    assert!(
        error(&config(&[("GSSAPI", text)]))
            .await
            .contains("built without Kerberos")
    );
}
