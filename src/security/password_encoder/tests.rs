//! Tests of the password encoder: texts of Apache Kafka, what is refused, and arbitrary texts.

use proptest::prelude::*;

use super::*;

const JAVA: &str = include_str!("../testdata/encoded-passwords.txt");

fn encoder(secret: &str, cipher: &str) -> PasswordEncoder {
    PasswordEncoder::new(Password::new(secret), None, cipher, 128, 1024).unwrap()
}

#[test]
fn texts_of_kafka_are_decoded_with_the_parameters_that_they_name() {
    let lines: Vec<_> = JAVA.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines.len(), 7);
    for line in lines {
        let [secret, password, text] = line.split('|').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        for cipher in ["AES/CBC/PKCS5Padding", "AES/GCM/NoPadding"] {
            let decoded = encoder(secret, cipher).decode(text).unwrap();
            assert_eq!(decoded.expose(), password, "{text}");
        }
        let wrong = encoder("another", "AES/CBC/PKCS5Padding").decode(text);
        assert_eq!(wrong, Err(PasswordEncoderError::NotDecoded), "{text}");
    }
}

#[test]
fn pairs_may_come_in_any_order_and_with_blanks() {
    let text = JAVA.lines().nth(1).unwrap().rsplit('|').next().unwrap();
    let mut pairs: Vec<_> = text.split(',').collect();
    pairs.reverse();
    let reversed = pairs.join(" , ");
    let decoded = encoder("encoder-secret", "AES/CBC/PKCS5Padding").decode(&reversed);
    assert_eq!(decoded.unwrap().expose(), "changeit");
}

#[test]
fn an_encoded_password_names_the_settings() {
    let secret = || Password::new("secret");
    for (key_factory, cipher, key_length, iterations) in [
        (None, "AES/CBC/PKCS5Padding", 128, 4096),
        (Some("PBKDF2WithHmacSHA1"), "AES/CBC/PKCS5Padding", 192, 1024),
        (Some("PBKDF2WithHmacSHA256"), "AES/GCM/NoPadding", 256, 1025),
    ] {
        let encoder = PasswordEncoder::new(secret(), key_factory, cipher, key_length, iterations).unwrap();
        let text = encoder.encode(&Password::new("pässword")).unwrap();
        let parameters = Parameters::parse(&text);
        let of = |name| parameters.text(name).unwrap();
        assert_eq!(
            of("keyFactoryAlgorithm"),
            key_factory.unwrap_or("PBKDF2WithHmacSHA512")
        );
        assert_eq!(of("cipherAlgorithm"), cipher);
        assert_eq!(of("keyLength"), key_length.to_string());
        assert_eq!(of("iterations"), iterations.to_string());
        assert_eq!(of("passwordLength"), "8");
        assert_eq!(parameters.bytes(SALT).unwrap().len(), 256);
        let is_gcm = cipher.contains("GCM");
        let vector = parameters.bytes(INITIALIZATION_VECTOR).unwrap().len();
        assert_eq!(vector, if is_gcm { 12 } else { 16 });
        let tag = parameters.text(AUTHENTICATION_TAG_LENGTH).ok();
        assert_eq!(tag, is_gcm.then_some("128"));
        assert_eq!(encoder.decode(&text).unwrap().expose(), "pässword");
        let again = encoder.encode(&Password::new("pässword")).unwrap();
        assert_ne!(text, again, "a salt of its own");
    }
}

#[test]
fn broken_texts_and_settings_are_refused() {
    let text = JAVA.lines().nth(1).unwrap().rsplit('|').next().unwrap();
    let encoder = encoder("encoder-secret", "AES/CBC/PKCS5Padding");
    for (name, value, error) in [
        (KEY_LENGTH, "127", "keyLength 127 is not available"),
        (KEY_LENGTH, "2147483640", "keyLength 2147483640 is not available"),
        (
            KEY_LENGTH,
            "x",
            "it is no encoded password: keyLength is missing or malformed",
        ),
        (
            ITERATIONS,
            "0",
            "it is no encoded password: iterations is missing or malformed",
        ),
        (
            ITERATIONS,
            "-5",
            "it is no encoded password: iterations is missing or malformed",
        ),
        (
            SALT,
            "%",
            "it is no encoded password: salt is missing or malformed",
        ),
        (INITIALIZATION_VECTOR, "AAAA", "Password could not be decoded"),
        (ENCRYPTED_PASSWORD, "AAAA", "Password could not be decoded"),
        (PASSWORD_LENGTH, "7", "Password could not be decoded"),
        (
            CIPHER_ALGORITHM,
            "DES/CBC/PKCS5Padding",
            "cipherAlgorithm DES/CBC/PKCS5Padding is not available",
        ),
        (
            KEY_FACTORY_ALGORITHM,
            "MD5",
            "keyFactoryAlgorithm MD5 is not available",
        ),
    ] {
        let pairs = text.split(',').map(|pair| match pair.split_once(':') {
            Some((key, _)) if key == name => format!("{name}:{value}"),
            _ => pair.to_owned(),
        });
        let changed = pairs.collect::<Vec<_>>().join(",");
        assert_ne!(changed, text);
        assert_eq!(encoder.decode(&changed).unwrap_err().to_string(), error);
    }
    for (key_factory, cipher, key_length) in [
        (Some("MD5"), "AES/CBC/PKCS5Padding", 128),
        (None, "DES/CBC/PKCS5Padding", 128),
        (None, "AES/CBC/PKCS5Padding", 100),
        (None, "AES/CBC/PKCS5Padding", -8),
    ] {
        let secret = Password::new("secret");
        assert!(PasswordEncoder::new(secret, key_factory, cipher, key_length, 4096).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_password_comes_back(secret in ".{1,20}", password in ".{0,80}", gcm: bool) {
        let cipher = if gcm { "AES/GCM/NoPadding" } else { "AES/CBC/PKCS5Padding" };
        let encoder = encoder(&secret, cipher);
        let text = encoder.encode(&Password::new(password.clone())).unwrap();
        let decoded = encoder.decode(&text).unwrap();
        prop_assert_eq!(decoded.expose(), password);
    }

    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}", pairs in prop::collection::vec(("[a-zA-Z]{0,12}", ".{0,20}"), 0..9)) {
        let encoder = encoder("secret", "AES/CBC/PKCS5Padding");
        prop_assert!(encoder.decode(&text).is_err());
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        prop_assert!(encoder.decode(&pairs.join(",")).is_err());
    }
}
