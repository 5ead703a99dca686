//! Owns the passwords in the settings of brokers: encoded in ZooKeeper, in the clear in memory. Kafka 3.9:
//! `DynamicBrokerConfig.toPersistentProps`, `fromPersistentProps`, `maybeReEncodePasswords`.

use tracing::{error, info, warn};

use super::entity_config::Overrides;
use super::error::AdminError;
use crate::common::error::ErrorCode;
use crate::config::BrokerConfig;
use crate::config::definition::is_dynamic_password;
use crate::config::security::Password;
use crate::security::password_encoder::PasswordEncoder;
use crate::zk::paths::{self, ConfigEntityType, DEFAULT_ENTITY};
use crate::zk::znode::ConfigEntity;
use crate::zk::{ZkError, ZkStore};

/// Encodes and decodes with the settings `password.encoder.*` of one broker.
pub(super) struct BrokerPasswords {
    /// Encodes with the present secret, or the reason why it cannot.
    encoder: Result<PasswordEncoder, String>,
    /// Decode what either secret has encoded, the present one first.
    decoders: Vec<PasswordEncoder>,
}

impl BrokerPasswords {
    /// Reads the settings. Algorithms that do not exist here matter only when a password is to be encoded.
    pub(super) fn new(config: &BrokerConfig) -> Self {
        let secret = config.password_encoder_secret.as_ref();
        let secrets = secret.into_iter().chain(&config.password_encoder_old_secret);
        Self {
            encoder: match secret {
                None => Err("Password encoder secret not configured".to_owned()),
                Some(secret) => PasswordEncoder::new(
                    secret.clone(),
                    config.password_encoder_keyfactory_algorithm.as_deref(),
                    &config.password_encoder_cipher_algorithm,
                    config.password_encoder_key_length,
                    config.password_encoder_iterations,
                )
                .map_err(|error| error.to_string()),
            },
            decoders: secrets
                .map(|secret| PasswordEncoder::decoder(secret.clone()))
                .collect(),
        }
    }

    /// The settings of a broker as they are used. A password that no secret decodes is left out; the others apply.
    pub(super) fn decode(&self, stored: Overrides) -> Overrides {
        let decode = |(key, value): (String, String)| {
            if !is_dynamic_password(&key) {
                return Some((key, value));
            }
            match self.decode_one(&value) {
                Ok(password) => Some((key, password.expose().to_owned())),
                Err(reason) => {
                    error!(
                        reason,
                        "Dynamic password config {key} could not be decoded, ignoring."
                    );
                    None
                }
            }
        };
        stored.into_iter().filter_map(decode).collect()
    }

    fn decode_one(&self, value: &str) -> Result<Password, String> {
        let mut reason = "Password encoder secret not configured".to_owned();
        for decoder in &self.decoders {
            match decoder.decode(value) {
                Ok(password) => return Ok(password),
                Err(error) => reason = error.to_string(),
            }
        }
        Err(reason)
    }

    /// The settings as they are stored. `entity` is the broker's id, or the default of all brokers.
    pub(super) fn encode(&self, entity: &str, settings: &Overrides) -> Result<Overrides, AdminError> {
        let encode = |(key, value): (&String, &String)| {
            if !is_dynamic_password(key) {
                return Ok((key.clone(), value.clone()));
            }
            if entity == DEFAULT_ENTITY {
                return Err(refused("", "Password config can be defined only at broker level"));
            }
            let encoder = self.encoder.as_ref().map_err(|reason| refused(entity, reason))?;
            match encoder.encode(&Password::new(value.clone())) {
                Ok(encoded) => Ok((key.clone(), encoded)),
                Err(error) => Err(refused(entity, &error.to_string())),
            }
        };
        settings.iter().map(encode).collect()
    }

    /// Encodes again what only the old secret decodes, so that it can be removed from the file. Nobody else reads these
    /// settings while this broker starts, so no one is notified.
    pub(super) async fn encode_again(&self, zk: &dyn ZkStore, entity: &str) -> Result<(), ZkError> {
        let ([present, _old], Ok(encoder)) = (&self.decoders[..], &self.encoder) else {
            return Ok(());
        };
        let path = paths::config_entity(ConfigEntityType::Brokers, entity);
        let Some((data, stat)) = zk.get(&path, false).await? else {
            return Ok(());
        };
        // Whoever uses the settings reports that they are malformed.
        let Ok(mut stored) = ConfigEntity::decode(&data) else {
            return Ok(());
        };
        let mut changed = Vec::new();
        for (key, value) in &mut stored.config {
            if is_dynamic_password(key)
                && present.decode(value).is_err()
                && let Ok(password) = self.decode_one(value)
            {
                *value = encoder
                    .encode(&password)
                    .map_err(|error| ZkError::Other(error.to_string()))?;
                changed.push(key.clone());
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        match zk.set(&path, stored.encode(), Some(stat.version)).await {
            Ok(_) => info!(keys = ?changed, "passwords of the old secret are encoded with the new one"),
            // The next start tries again; both secrets decode until then.
            Err(error) => warn!(%error, keys = ?changed, "passwords cannot be encoded with the new secret"),
        }
        Ok(())
    }
}

fn refused(name: &str, reason: &str) -> AdminError {
    let message =
        format!("Invalid config value for resource ConfigResource(type=BROKER, name='{name}'): {reason}");
    AdminError::new(ErrorCode::InvalidConfig, message)
}

#[cfg(test)]
mod tests;
