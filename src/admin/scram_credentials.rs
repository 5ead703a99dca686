//! Describes and alters the SCRAM credentials of users. They share a user's znode with its quotas: all keys are read,
//! changed and written. Kafka 3.9: `ZkAdminManager.describeUserScramCredentials`, `alterUserScramCredentials`.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tracing::info;

use super::entity_config::{self, Overrides};
use super::error::AdminError;
use super::manager::AdminManager;
use crate::common::error::ErrorCode;
use crate::security::sasl::{ScramCredential, ScramMechanism};
use crate::zk::paths::{self, ConfigEntityType, DEFAULT_ENTITY};
use crate::zk::{ZkError, cluster, sanitizer};

const USERS: ConfigEntityType = ConfigEntityType::Users;

/// A mechanism and the iterations of a user's credential for it.
pub type CredentialInfo = (ScramMechanism, i32);

/// The outcome of a request for each user, in the order of the answer.
pub type ByUser<T> = Vec<(String, Result<T, AdminError>)>;

/// A credential that a request sets. It has secrets.
pub struct ScramUpsertion {
    /// The user's name.
    pub user: String,
    /// The number of the mechanism.
    pub mechanism: i8,
    /// How many times the password was hashed.
    pub iterations: i32,
    /// Its salt.
    pub salt: Bytes,
    /// The hashed password.
    pub salted_password: Bytes,
}

/// A credential that a request deletes.
pub struct ScramDeletion {
    /// The user's name.
    pub user: String,
    /// The number of the mechanism.
    pub mechanism: i8,
}

/// What a request wants.
#[derive(Default)]
pub struct ScramAlterations {
    /// Credentials to set.
    pub upsertions: Vec<ScramUpsertion>,
    /// Credentials to delete.
    pub deletions: Vec<ScramDeletion>,
}

impl AdminManager {
    /// The credentials of the given users, or of all that have some if none are given.
    pub async fn describe_scram_credentials(
        &self,
        users: &[String],
    ) -> Result<ByUser<Vec<CredentialInfo>>, AdminError> {
        if users.is_empty() {
            return Ok(self.describe_all_credentials().await?);
        }
        let mut outcomes: ByUser<_> = Vec::new();
        for user in users {
            if outcomes.iter().any(|(known, _)| known == user) {
                continue;
            }
            let times = users.iter().filter(|other| *other == user).count();
            let outcome = match times {
                _ if user.is_empty() => Err(AdminError::new(ErrorCode::ResourceNotFound, EMPTY_USERNAME)),
                1 => self.describe_credentials(user).await,
                _ => Err(AdminError::new(
                    ErrorCode::DuplicateResource,
                    format!(
                        "Cannot describe SCRAM credentials for the same user twice in a single request: {user}"
                    ),
                )),
            };
            outcomes.push((user.clone(), outcome));
        }
        Ok(outcomes)
    }

    async fn describe_all_credentials(&self) -> Result<ByUser<Vec<CredentialInfo>>, ZkError> {
        let names = cluster::children(&*self.zk, &paths::config_entity_type(USERS), false).await?;
        let found = cluster::configs(&*self.zk, USERS, &names).await?;
        let found = found.into_iter().filter(|(entity, _)| entity != DEFAULT_ENTITY);
        let described = found.filter_map(|(entity, settings)| {
            Some((
                sanitizer::desanitize(&entity)?,
                infos(&settings.config).transpose()?,
            ))
        });
        Ok(described.collect::<BTreeMap<_, _>>().into_iter().collect())
    }

    async fn describe_credentials(&self, user: &str) -> Result<Vec<CredentialInfo>, AdminError> {
        let settings = entity_config::read(&*self.zk, USERS, &sanitizer::sanitize(user)).await?;
        infos(&settings)?.ok_or_else(|| {
            AdminError::new(
                ErrorCode::ResourceNotFound,
                format!("Attempt to describe a user credential that does not exist: {user}"),
            )
        })
    }

    /// Sets and deletes credentials. All changes of one user are made or none; the users are independent.
    pub async fn alter_scram_credentials(&self, alterations: &ScramAlterations) -> ByUser<()> {
        let (mut outcomes, users) = sorted(alterations);
        let _changing = self.changing_users.lock().await;
        let mut done = Vec::new();
        for user in users {
            match self.alter_credentials(&user, alterations).await {
                Err(error) if error.code == ErrorCode::ResourceNotFound => outcomes.push((user, Err(error))),
                outcome => done.push((user, outcome)),
            }
        }
        outcomes.extend(done);
        outcomes
    }

    async fn alter_credentials(&self, user: &str, alterations: &ScramAlterations) -> Result<(), AdminError> {
        let entity = sanitizer::sanitize(user);
        let mut settings = entity_config::read(&*self.zk, USERS, &entity).await?;
        for deletion in alterations.deletions.iter().filter(|one| one.user == user) {
            let mechanism = known(deletion.mechanism)?;
            settings.remove(mechanism.name()).ok_or_else(|| {
                AdminError::new(
                    ErrorCode::ResourceNotFound,
                    "Attempt to delete a user credential that does not exist",
                )
            })?;
        }
        for upsertion in alterations.upsertions.iter().filter(|one| one.user == user) {
            let mechanism = known(upsertion.mechanism)?;
            if upsertion.salted_password.is_empty() {
                return Err(unexpected());
            }
            let credential = ScramCredential::of_salted_password(
                mechanism,
                upsertion.salt.to_vec(),
                &upsertion.salted_password,
                upsertion.iterations,
            );
            settings.insert(mechanism.name().to_owned(), credential.to_text());
        }
        info!(user, "changing the SCRAM credentials of a user");
        let changed = entity_config::change(&*self.zk, USERS, &entity, &settings).await;
        changed.inspect_err(|error| info!(%error, user, "the SCRAM credentials of a user were not changed"))
    }
}

const EMPTY_USERNAME: &str = "Username must not be empty";

fn unexpected() -> AdminError {
    AdminError::new(
        ErrorCode::UnknownServerError,
        "The server experienced an unexpected error when processing the request.",
    )
}

fn known(mechanism: i8) -> Result<ScramMechanism, AdminError> {
    ScramMechanism::of_number(mechanism)
        .ok_or_else(|| AdminError::new(ErrorCode::UnsupportedSaslMechanism, "Unknown SCRAM mechanism"))
}

/// The users that are refused, and those that are not refused yet.
fn sorted(alterations: &ScramAlterations) -> (ByUser<()>, Vec<String>) {
    let deletions = alterations.deletions.iter().map(|deletion| {
        let error = refusal(&deletion.user, deletion.mechanism, None);
        (&deletion.user, deletion.mechanism, error)
    });
    let upsertions = alterations.upsertions.iter().map(|upsertion| {
        let error = refusal(&upsertion.user, upsertion.mechanism, Some(upsertion.iterations));
        (&upsertion.user, upsertion.mechanism, error)
    });
    let mut users: Vec<String> = Vec::new();
    let mut illegal: BTreeMap<&str, AdminError> = BTreeMap::new();
    let (mut pairs, mut repeated) = (BTreeSet::new(), BTreeSet::new());
    for (user, mechanism, error) in deletions.chain(upsertions) {
        if !users.contains(user) {
            users.push(user.clone());
        }
        // Of several errors Kafka tells the last.
        if let Some(error) = error {
            illegal.insert(user, error);
        }
        if !pairs.insert((user, mechanism)) {
            repeated.insert(user);
        }
    }
    let twice = "A user credential cannot be altered twice in the same request";
    let (mut refused, mut refused_later, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for user in users {
        if let Some(error) = illegal.remove(user.as_str()) {
            refused.push((user, Err(error)));
        } else if repeated.contains(&user) {
            refused_later.push((user, Err(AdminError::new(ErrorCode::DuplicateResource, twice))));
        } else {
            rest.push(user);
        }
    }
    refused.extend(refused_later);
    (refused, rest)
}

/// Why a part of a request is refused whatever the user's settings are. Only one that sets a credential has iterations.
fn refusal(user: &str, mechanism: i8, iterations: Option<i32>) -> Option<AdminError> {
    let unacceptable = |message: &str| Some(AdminError::new(ErrorCode::UnacceptableCredential, message));
    if user.is_empty() {
        return unacceptable(EMPTY_USERNAME);
    }
    match (known(mechanism), iterations) {
        (Err(error), _) => Some(error),
        (_, Some(..ScramMechanism::ITERATIONS_MIN)) => unacceptable("Too few iterations"),
        (_, Some(iterations)) if iterations > ScramMechanism::ITERATIONS_MAX => {
            unacceptable("Too many iterations")
        }
        _ => None,
    }
}

/// What is told of a user's credentials; `None` if there are none.
fn infos(settings: &Overrides) -> Result<Option<Vec<CredentialInfo>>, AdminError> {
    let mut infos = Vec::new();
    for mechanism in ScramMechanism::ALL {
        if let Some(text) = settings.get(mechanism.name()) {
            let credential = ScramCredential::parse(text).map_err(|_| unexpected())?;
            infos.push((mechanism, credential.iterations));
        }
    }
    Ok(Some(infos).filter(|infos| !infos.is_empty()))
}
