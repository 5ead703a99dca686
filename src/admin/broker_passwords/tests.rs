//! Tests of stored passwords: the capture of Apache Kafka, both secrets, what cannot be encoded, what is shown.

use bytes::Bytes;

use super::*;
use crate::admin::tests::{World, strings};
use crate::admin::{AlterOperation, ConfigAlteration, ConfigResource, entity_config};
use crate::zk::CreateMode;

const SECRET: (&str, &str) = ("password.encoder.secret", "encoder-secret");
/// A key that Kafka does not know is stored too, and encoded if it ends like a password.
const KEY: &str = "other.ssl.key.password";

fn encoded(secret: &str, password: &str) -> String {
    let encoder = PasswordEncoder::decoder(Password::new(secret));
    encoder.encode(&Password::new(password)).unwrap()
}

async fn store(world: &World, settings: &[(&str, &str)]) {
    let entity = ConfigEntity {
        config: strings(settings),
    };
    world
        .session
        .create("/config/brokers/1", entity.encode(), CreateMode::Persistent)
        .await
        .unwrap();
}

fn stored(world: &World) -> Overrides {
    let data = world.znode("/config/brokers/1").unwrap();
    ConfigEntity::decode(data.as_bytes()).unwrap().config
}

async fn set(world: &World, resource: ConfigResource, validate_only: bool) -> Result<(), String> {
    let change = (KEY.to_owned(), AlterOperation::Set, Some("changeit".to_owned()));
    let alteration = ConfigAlteration::Incremental(vec![change]);
    let altered = world
        .admin
        .alter_configs(&resource, &alteration, validate_only)
        .await;
    altered.map_err(|error| error.to_string())
}

#[tokio::test]
async fn what_apache_kafka_has_stored_is_decoded() {
    let world = World::with_properties(&[SECRET]).await;
    let capture = include_str!("../../security/testdata/encoded-passwords.txt");
    let text = capture.lines().nth(1).unwrap().rsplit('|').next().unwrap();
    store(
        &world,
        &[
            ("listener.name.tls.ssl.key.password", text),
            ("log.cleaner.threads", "2"),
        ],
    )
    .await;
    world.configs.load(&*world.session).await.unwrap();
    let broker = world.configs.broker_layers().broker;
    assert_eq!(broker["listener.name.tls.ssl.key.password"], "changeit");
    assert_eq!(broker["log.cleaner.threads"], "2");
}

#[tokio::test]
async fn what_no_secret_decodes_is_left_out_and_the_rest_applies() {
    let (good, bad) = (encoded("encoder-secret", "a"), encoded("another", "b"));
    for (secret, left) in [(Some(SECRET), 2), (None, 1)] {
        let world = World::with_properties(secret.as_slice()).await;
        let settings = [
            ("listener.name.a.ssl.key.password", good.as_str()),
            ("listener.name.b.ssl.key.password", bad.as_str()),
            ("log.cleaner.threads", "2"),
        ];
        store(&world, &settings).await;
        world.configs.load(&*world.session).await.unwrap();
        assert_eq!(world.configs.broker_layers().broker.len(), left);
        assert_eq!(world.configs.current().log_cleaner_threads, 2);
    }
}

#[tokio::test]
async fn a_password_is_encoded_before_it_is_stored() {
    let world = World::with_properties(&[SECRET]).await;
    set(&world, ConfigResource::Broker, true).await.unwrap();
    assert_eq!(world.znode("/config/brokers/1"), None);
    set(&world, ConfigResource::Broker, false).await.unwrap();
    let first = stored(&world)[KEY].clone();
    assert!(!first.contains("changeit") && first.contains("keyFactoryAlgorithm:PBKDF2WithHmacSHA512"));
    world.configs.load(&*world.session).await.unwrap();
    assert_eq!(world.configs.broker_layers().broker[KEY], "changeit");
    let cleaner = (
        "log.cleaner.threads".to_owned(),
        AlterOperation::Set,
        Some("2".to_owned()),
    );
    let alteration = ConfigAlteration::Incremental(vec![cleaner]);
    world
        .admin
        .alter_configs(&ConfigResource::Broker, &alteration, false)
        .await
        .unwrap();
    let passwords = &world.configs.passwords;
    assert_eq!(
        passwords.decode(stored(&world)),
        strings(&[(KEY, "changeit"), ("log.cleaner.threads", "2")])
    );
}

#[tokio::test]
async fn what_cannot_be_encoded_is_refused_with_kafkas_text() {
    let of_broker =
        "INVALID_CONFIG: Invalid config value for resource ConfigResource(type=BROKER, name='1'): ";
    let world = World::new().await;
    assert_eq!(set(&world, ConfigResource::Broker, true).await, Ok(()));
    let refused = set(&world, ConfigResource::Broker, false).await.unwrap_err();
    assert_eq!(
        refused,
        format!("{of_broker}Password encoder secret not configured")
    );
    let of_all = set(&world, ConfigResource::BrokerDefault, false)
        .await
        .unwrap_err();
    assert!(
        of_all.ends_with("name=''): Password config can be defined only at broker level"),
        "{of_all}"
    );
    assert_eq!(world.notifications(), Vec::<String>::new());
    let old = ("password.encoder.cipher.algorithm", "DESede/CBC/PKCS5Padding");
    let world = World::with_properties(&[SECRET, old]).await;
    let refused = set(&world, ConfigResource::Broker, false).await.unwrap_err();
    assert_eq!(
        refused,
        format!("{of_broker}cipherAlgorithm DESede/CBC/PKCS5Padding is not available")
    );
}

#[tokio::test]
async fn passwords_of_the_old_secret_are_encoded_with_the_new_one() {
    let old = ("password.encoder.old.secret", "old");
    let world = World::with_properties(&[SECRET, old]).await;
    let (own, older) = (encoded("encoder-secret", "a"), encoded("old", "b"));
    let settings = [
        ("listener.name.a.ssl.key.password", own.as_str()),
        ("listener.name.b.ssl.key.password", older.as_str()),
        ("listener.name.c.ssl.key.password", "nonsense"),
    ];
    store(&world, &settings).await;
    world
        .configs
        .encode_passwords_again(&*world.session)
        .await
        .unwrap();
    let again = stored(&world);
    assert_eq!(again["listener.name.a.ssl.key.password"], own);
    assert_eq!(again["listener.name.c.ssl.key.password"], "nonsense");
    let new_only = BrokerPasswords::new(&World::with_properties(&[SECRET]).await.configs.current());
    let decoded = new_only.decode(again.clone());
    assert_eq!(decoded["listener.name.b.ssl.key.password"], "b");
    world
        .configs
        .encode_passwords_again(&*world.session)
        .await
        .unwrap();
    assert_eq!(stored(&world), again, "once is enough");
    let nothing = World::with_properties(&[SECRET, old]).await;
    nothing
        .configs
        .encode_passwords_again(&*nothing.session)
        .await
        .unwrap();
    nothing
        .session
        .create(
            "/config/brokers/1",
            Bytes::from_static(b"{"),
            CreateMode::Persistent,
        )
        .await
        .unwrap();
    nothing
        .configs
        .encode_passwords_again(&*nothing.session)
        .await
        .unwrap();
}

#[tokio::test]
async fn only_the_ends_of_names_tell_passwords() {
    for (name, is) in [
        ("ssl.keystore.password", true),
        ("listener.name.x.ssl.keystore.password", true),
        ("listener.name.x.plain.sasl.jaas.config", true),
        ("listener.name.x.ssl.truststore.certificates", true),
        ("listener.name.x.ssl.keystore.location", false),
        ("delegation.token.secret.key", false),
        ("password.encoder.secret", false),
    ] {
        assert_eq!(is_dynamic_password(name), is, "{name}");
    }
    let world = World::new().await;
    let settings = strings(&[("listener.name.x.ssl.key.password", "y")]);
    entity_config::change(&*world.session, ConfigEntityType::Brokers, "2", &settings)
        .await
        .unwrap();
    assert!(
        !world.configs.set_broker("2", settings),
        "another broker's passwords are its own"
    );
}
