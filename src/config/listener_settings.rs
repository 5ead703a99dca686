//! Reads the settings of one listener. Kafka 3.9: `AbstractConfig.valuesWithPrefixOverride`,
//! `ChannelBuilders.channelBuilderConfigs`.

use std::collections::BTreeMap;

use super::broker::{Endpoint, SecurityProtocol};
use super::error::ConfigError;
use super::reader::Reader;
use super::security::{
    ClientAuth, ListenerConfig, MechanismConfig, OauthBearerConfig, SaslConfig, SslConfig,
};

impl ListenerConfig {
    /// Reads the settings of a listener. Its own keys replace the general ones.
    pub(super) fn read(reader: &Reader, endpoint: &Endpoint) -> Result<Self, ConfigError> {
        let prefix = format!("listener.name.{}.", endpoint.listener.to_lowercase());
        let own = reader.with_prefixes(vec![prefix.clone()]);
        Ok(Self {
            ssl: ssl(&own, endpoint.security_protocol)?,
            sasl: sasl(reader, &prefix)?,
        })
    }
}

fn ssl(reader: &Reader, protocol: SecurityProtocol) -> Result<SslConfig, ConfigError> {
    let name = "ssl.client.auth";
    // Clients of a SASL listener have an identity without a certificate. So the general key does not mean them.
    let client_auth: String = match protocol {
        SecurityProtocol::SaslSsl => reader.read_prefixed(name)?,
        _ => reader.read(name)?,
    };
    Ok(SslConfig {
        protocol: reader.read("ssl.protocol")?,
        enabled_protocols: reader.read("ssl.enabled.protocols")?,
        cipher_suites: reader.read("ssl.cipher.suites")?,
        keystore_type: reader.read("ssl.keystore.type")?,
        keystore_location: reader.read("ssl.keystore.location")?,
        keystore_password: reader.read("ssl.keystore.password")?,
        keystore_certificate_chain: reader.read("ssl.keystore.certificate.chain")?,
        keystore_key: reader.read("ssl.keystore.key")?,
        key_password: reader.read("ssl.key.password")?,
        truststore_type: reader.read("ssl.truststore.type")?,
        truststore_location: reader.read("ssl.truststore.location")?,
        truststore_password: reader.read("ssl.truststore.password")?,
        truststore_certificates: reader.read("ssl.truststore.certificates")?,
        client_auth: match client_auth.as_str() {
            "required" => ClientAuth::Required,
            "requested" => ClientAuth::Requested,
            _ => ClientAuth::None,
        },
        endpoint_identification_algorithm: reader.read("ssl.endpoint.identification.algorithm")?,
        principal_mapping_rules: reader.read("ssl.principal.mapping.rules")?,
        allow_dn_changes: reader.read("ssl.allow.dn.changes")?,
        allow_san_changes: reader.read("ssl.allow.san.changes")?,
    })
}

fn sasl(reader: &Reader, prefix: &str) -> Result<SaslConfig, ConfigError> {
    let own = reader.with_prefixes(vec![prefix.to_owned()]);
    let enabled_mechanisms: Vec<String> = own.read("sasl.enabled.mechanisms")?;
    let mut mechanisms = BTreeMap::new();
    for mechanism in &enabled_mechanisms {
        let lower = mechanism.to_lowercase();
        let prefixes = vec![
            format!("{prefix}{lower}."),
            prefix.to_owned(),
            format!("{lower}."),
        ];
        let all = reader.with_prefixes(prefixes);
        let only = reader.with_prefixes(vec![format!("{prefix}{lower}."), format!("{lower}.")]);
        let settings = MechanismConfig {
            jaas_config: only.read_prefixed("sasl.jaas.config")?,
            server_callback_handler_class: all.read("sasl.server.callback.handler.class")?,
            login_class: all.read("sasl.login.class")?,
            login_callback_handler_class: all.read("sasl.login.callback.handler.class")?,
            connections_max_reauth_ms: all.read("connections.max.reauth.ms")?,
            oauthbearer: oauthbearer(&all)?,
        };
        mechanisms.insert(mechanism.clone(), settings);
    }
    Ok(SaslConfig {
        enabled_mechanisms,
        server_max_receive_size: own.read("sasl.server.max.receive.size")?,
        kerberos_service_name: own.read("sasl.kerberos.service.name")?,
        kerberos_principal_to_local_rules: own.read("sasl.kerberos.principal.to.local.rules")?,
        mechanisms,
    })
}

fn oauthbearer(reader: &Reader) -> Result<OauthBearerConfig, ConfigError> {
    Ok(OauthBearerConfig {
        clock_skew_seconds: reader.read("sasl.oauthbearer.clock.skew.seconds")?,
        expected_audience: reader.read("sasl.oauthbearer.expected.audience")?,
        expected_issuer: reader.read("sasl.oauthbearer.expected.issuer")?,
        jwks_endpoint_url: reader.read("sasl.oauthbearer.jwks.endpoint.url")?,
        jwks_endpoint_refresh_ms: reader.read("sasl.oauthbearer.jwks.endpoint.refresh.ms")?,
        jwks_endpoint_retry_backoff_ms: reader.read("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms")?,
        jwks_endpoint_retry_backoff_max_ms: reader
            .read("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms")?,
        scope_claim_name: reader.read("sasl.oauthbearer.scope.claim.name")?,
        sub_claim_name: reader.read("sasl.oauthbearer.sub.claim.name")?,
        token_endpoint_url: reader.read("sasl.oauthbearer.token.endpoint.url")?,
        header_urlencode: false,
        login_connect_timeout_ms: reader.read("sasl.login.connect.timeout.ms")?,
        login_read_timeout_ms: reader.read("sasl.login.read.timeout.ms")?,
        login_retry_backoff_ms: reader.read("sasl.login.retry.backoff.ms")?,
        login_retry_backoff_max_ms: reader.read("sasl.login.retry.backoff.max.ms")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BrokerConfig, Properties};

    fn config(settings: &[(&str, &str)]) -> BrokerConfig {
        let fixed = [
            ("zookeeper.connect", "z:1"),
            ("log.dirs", "/tmp/x"),
            ("listeners", "PLAINTEXT://h:1,CLIENT://h:2,TLS://h:3"),
            (
                "listener.security.protocol.map",
                "PLAINTEXT:PLAINTEXT,CLIENT:SASL_SSL,TLS:SSL",
            ),
        ];
        let mut properties = Properties::default();
        for (key, value) in fixed.iter().chain(settings) {
            properties.override_with(&format!("{key}={value}")).unwrap();
        }
        BrokerConfig::from_properties(&properties).unwrap().0
    }

    #[test]
    fn a_listeners_own_key_replaces_the_general_one() {
        let config = config(&[
            ("ssl.keystore.location", "/all"),
            ("listener.name.client.ssl.keystore.location", "/client"),
            ("listener.name.TLS.ssl.keystore.location", "/ignored"),
            ("sasl.enabled.mechanisms", "PLAIN"),
            (
                "listener.name.client.sasl.enabled.mechanisms",
                "SCRAM-SHA-256,PLAIN",
            ),
        ]);
        let location = |name| config.listener_config(name).ssl.keystore_location.clone();
        assert_eq!(location("CLIENT").as_deref(), Some("/client"));
        assert_eq!(location("TLS").as_deref(), Some("/all"));
        let mechanisms = |name| config.listener_config(name).sasl.enabled_mechanisms.clone();
        assert_eq!(mechanisms("CLIENT"), ["SCRAM-SHA-256", "PLAIN"]);
        assert_eq!(mechanisms("TLS"), ["PLAIN"]);
    }

    #[test]
    fn the_general_client_auth_is_not_for_sasl_listeners() {
        let config = config(&[("ssl.client.auth", "required")]);
        assert_eq!(
            config.listener_config("TLS").ssl.client_auth,
            ClientAuth::Required
        );
        assert_eq!(config.listener_config("CLIENT").ssl.client_auth, ClientAuth::None);
    }

    #[test]
    fn a_jaas_text_belongs_to_a_mechanism() {
        let enabled = ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256");
        let text = |key, mechanism: &str| {
            let config = config(&[enabled, (key, "a")]);
            let settings = &config.listener_config("CLIENT").sasl.mechanisms[mechanism];
            settings.jaas_config.as_ref().map(|text| text.expose().to_owned())
        };
        for (key, of_plain, of_scram) in [
            ("sasl.jaas.config", false, false),
            ("listener.name.client.sasl.jaas.config", false, false),
            ("listener.name.client.PLAIN.sasl.jaas.config", false, false),
            ("listener.name.client.plain.sasl.jaas.config", true, false),
            ("listener.name.tls.plain.sasl.jaas.config", false, false),
            ("scram-sha-256.sasl.jaas.config", false, true),
        ] {
            assert_eq!(text(key, "PLAIN").is_some(), of_plain, "{key}");
            assert_eq!(text(key, "SCRAM-SHA-256").is_some(), of_scram, "{key}");
        }
    }
}
