//! Owns the form in which passwords lie in ZooKeeper. Kafka 3.9: `PasswordEncoder`, `EncryptingPasswordEncoder`,
//! `CbcParamsEncoder`, `GcmParamsEncoder`.
//!
//! An encoded password is one text of `key:value` pairs with commas in between, in any order. It names its own
//! algorithms. The secret of `password.encoder.secret` gives the key, and the text the rest:
//!
//! ```text
//! keyFactoryAlgorithm:PBKDF2WithHmacSHA512   key = PBKDF2(secret, salt, iterations), keyLength bits
//! iterations:4096
//! keyLength:128
//! salt:BASE64                                256 random bytes
//! cipherAlgorithm:AES/CBC/PKCS5Padding       or AES/GCM/NoPadding
//! initializationVector:BASE64                16 bytes, with GCM 12
//! authenticationTagLength:128                bits, with GCM only
//! encryptedPassword:BASE64
//! passwordLength:8                           in UTF-16 units, as Java counts
//! ```

use std::collections::HashMap;
use std::num::NonZeroU32;

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce};
use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey,
    PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::pbkdf2;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::config::security::Password;

const KEY_FACTORY_ALGORITHM: &str = "keyFactoryAlgorithm";
const CIPHER_ALGORITHM: &str = "cipherAlgorithm";
const INITIALIZATION_VECTOR: &str = "initializationVector";
const AUTHENTICATION_TAG_LENGTH: &str = "authenticationTagLength";
const KEY_LENGTH: &str = "keyLength";
const SALT: &str = "salt";
const ITERATIONS: &str = "iterations";
const ENCRYPTED_PASSWORD: &str = "encryptedPassword";
const PASSWORD_LENGTH: &str = "passwordLength";

/// The key factory of an encoder that names none.
const DEFAULT_KEY_FACTORY: &str = "PBKDF2WithHmacSHA512";
const DEFAULT_ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();
const SALT_BYTES: usize = 256;
/// The only length that AES-GCM has here, and the one that Java chooses.
const TAG_BITS: usize = 128;

/// Why a password cannot be encoded or decoded. It tells neither.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordEncoderError {
    /// The text has not the form of an encoded password.
    #[error("it is no encoded password: {0} is missing or malformed")]
    Malformed(&'static str),
    /// An algorithm, or a length of its parameters, that does not exist here.
    #[error("{name} {value} is not available")]
    NotAvailable {
        /// The name of the parameter.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// The secret is another one, or the text was changed.
    #[error("Password could not be decoded")]
    NotDecoded,
    /// The system gives no random bytes.
    #[error("Password could not be encoded")]
    NotEncoded,
}

/// Encodes passwords with its settings, and decodes what any settings have encoded with the same secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordEncoder {
    secret: Password,
    key_factory: KeyFactory,
    cipher: Cipher,
    key_length: usize,
    iterations: NonZeroU32,
}

impl PasswordEncoder {
    /// An encoder from the settings `password.encoder.secret`, `.keyfactory.algorithm`, `.cipher.algorithm`,
    /// `.key.length` and `.iterations`.
    pub fn new(
        secret: Password,
        key_factory_algorithm: Option<&str>,
        cipher_algorithm: &str,
        key_length: i32,
        iterations: i32,
    ) -> Result<Self, PasswordEncoderError> {
        let cipher = Cipher::parse(cipher_algorithm)?;
        let key_length = usize::try_from(key_length).unwrap_or(0);
        cipher.check_key_length(key_length)?;
        Ok(Self {
            secret,
            key_factory: KeyFactory::parse(key_factory_algorithm.unwrap_or(DEFAULT_KEY_FACTORY))?,
            cipher,
            key_length,
            iterations: u32::try_from(iterations)
                .ok()
                .and_then(NonZeroU32::new)
                .ok_or(PasswordEncoderError::Malformed(ITERATIONS))?,
        })
    }

    /// An encoder that is only used to decode: the texts name all else.
    pub fn decoder(secret: Password) -> Self {
        Self {
            secret,
            key_factory: KeyFactory::Sha512,
            cipher: Cipher::Cbc,
            key_length: 128,
            iterations: DEFAULT_ITERATIONS,
        }
    }

    /// The text to store.
    pub fn encode(&self, password: &Password) -> Result<String, PasswordEncoderError> {
        let mut salt = vec![0; SALT_BYTES];
        rand::fill(&mut salt).map_err(|_| PasswordEncoderError::NotEncoded)?;
        let key = self
            .key_factory
            .derive(&self.secret, &salt, self.iterations, self.key_length);
        let encrypted = self
            .cipher
            .encrypt(&key, password.expose().as_bytes().to_vec())
            .ok_or(PasswordEncoderError::NotEncoded)?;
        let mut pairs = vec![
            (KEY_FACTORY_ALGORITHM, self.key_factory.name().to_owned()),
            (CIPHER_ALGORITHM, self.cipher.name().to_owned()),
            (KEY_LENGTH, self.key_length.to_string()),
            (ITERATIONS, self.iterations.to_string()),
            (SALT, STANDARD.encode(&salt)),
            (INITIALIZATION_VECTOR, STANDARD.encode(&encrypted.vector)),
        ];
        if self.cipher == Cipher::Gcm {
            pairs.push((AUTHENTICATION_TAG_LENGTH, TAG_BITS.to_string()));
        }
        pairs.push((ENCRYPTED_PASSWORD, STANDARD.encode(&encrypted.bytes)));
        pairs.push((PASSWORD_LENGTH, utf16_length(password.expose()).to_string()));
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| format!("{name}:{value}"))
            .collect();
        Ok(pairs.join(","))
    }

    /// The password of a stored text, by the parameters that the text names.
    pub fn decode(&self, encoded: &str) -> Result<Password, PasswordEncoderError> {
        let parameters = Parameters::parse(encoded);
        let key_factory = match parameters.0.get(KEY_FACTORY_ALGORITHM) {
            Some(name) => KeyFactory::parse(name)?,
            None => KeyFactory::parse(DEFAULT_KEY_FACTORY)?,
        };
        let cipher = Cipher::parse(parameters.text(CIPHER_ALGORITHM)?)?;
        let key_length = parameters.number(KEY_LENGTH)?;
        cipher.check_key_length(key_length)?;
        if cipher == Cipher::Gcm && parameters.number(AUTHENTICATION_TAG_LENGTH)? != TAG_BITS {
            return Err(PasswordEncoderError::NotAvailable {
                name: AUTHENTICATION_TAG_LENGTH,
                value: parameters.text(AUTHENTICATION_TAG_LENGTH)?.to_owned(),
            });
        }
        let iterations = u32::try_from(parameters.number(ITERATIONS)?)
            .ok()
            .and_then(NonZeroU32::new)
            .ok_or(PasswordEncoderError::Malformed(ITERATIONS))?;
        let encrypted = Encrypted {
            vector: parameters.bytes(INITIALIZATION_VECTOR)?,
            bytes: parameters.bytes(ENCRYPTED_PASSWORD)?,
        };
        let length = parameters.number(PASSWORD_LENGTH)?;
        let key = key_factory.derive(&self.secret, &parameters.bytes(SALT)?, iterations, key_length);
        cipher
            .decrypt(&key, encrypted)
            .and_then(|decrypted| String::from_utf8(decrypted).ok())
            .filter(|password| utf16_length(password) == length)
            .map(Password::new)
            .ok_or(PasswordEncoderError::NotDecoded)
    }
}

/// The length that Java's `String.length` gives.
fn utf16_length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The pairs of an encoded password.
struct Parameters<'a>(HashMap<&'a str, &'a str>);

impl<'a> Parameters<'a> {
    /// Splits at commas, and each pair at its colon. No value holds one: base64 and the names of algorithms do not.
    fn parse(encoded: &'a str) -> Self {
        let pairs = encoded.split(',').filter_map(|pair| pair.split_once(':'));
        Self(pairs.map(|(name, value)| (name.trim(), value.trim())).collect())
    }

    fn text(&self, name: &'static str) -> Result<&'a str, PasswordEncoderError> {
        self.0
            .get(name)
            .copied()
            .ok_or(PasswordEncoderError::Malformed(name))
    }

    fn number(&self, name: &'static str) -> Result<usize, PasswordEncoderError> {
        // Java reads 32 bits with a sign.
        let number = self.text(name)?.parse::<i32>().ok();
        number
            .and_then(|number| usize::try_from(number).ok())
            .ok_or(PasswordEncoderError::Malformed(name))
    }

    fn bytes(&self, name: &'static str) -> Result<Vec<u8>, PasswordEncoderError> {
        let decoded = STANDARD.decode(self.text(name)?);
        decoded.map_err(|_| PasswordEncoderError::Malformed(name))
    }
}

/// The function that makes a key of the secret. Java: `SecretKeyFactory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyFactory {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl KeyFactory {
    const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// Java does not mind the case of a name.
    fn parse(name: &str) -> Result<Self, PasswordEncoderError> {
        Self::ALL
            .into_iter()
            .find(|factory| factory.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| PasswordEncoderError::NotAvailable {
                name: KEY_FACTORY_ALGORITHM,
                value: name.to_owned(),
            })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "PBKDF2WithHmacSHA1",
            Self::Sha256 => "PBKDF2WithHmacSHA256",
            Self::Sha384 => "PBKDF2WithHmacSHA384",
            Self::Sha512 => DEFAULT_KEY_FACTORY,
        }
    }

    fn derive(self, secret: &Password, salt: &[u8], iterations: NonZeroU32, key_length: usize) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha384 => pbkdf2::PBKDF2_HMAC_SHA384,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        };
        let mut key = vec![0; key_length / 8];
        pbkdf2::derive(algorithm, iterations, salt, secret.expose().as_bytes(), &mut key);
        key
    }
}

/// What a cipher makes of a password.
struct Encrypted {
    vector: Vec<u8>,
    bytes: Vec<u8>,
}

/// The cipher of the password. Java: `Cipher`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cipher {
    Cbc,
    Gcm,
}

impl Cipher {
    fn parse(name: &str) -> Result<Self, PasswordEncoderError> {
        [Self::Cbc, Self::Gcm]
            .into_iter()
            .find(|cipher| cipher.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| PasswordEncoderError::NotAvailable {
                name: CIPHER_ALGORITHM,
                value: name.to_owned(),
            })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Cbc => "AES/CBC/PKCS5Padding",
            Self::Gcm => "AES/GCM/NoPadding",
        }
    }

    /// The lengths of an AES key, in bits. It also bounds the work of the key factory.
    fn check_key_length(self, bits: usize) -> Result<(), PasswordEncoderError> {
        match bits {
            128 | 192 | 256 => Ok(()),
            _ => Err(PasswordEncoderError::NotAvailable {
                name: KEY_LENGTH,
                value: bits.to_string(),
            }),
        }
    }

    fn encrypt(self, key: &[u8], mut bytes: Vec<u8>) -> Option<Encrypted> {
        match self {
            Self::Cbc => {
                let mut vector = vec![0; 16];
                rand::fill(&mut vector).ok()?;
                let context = EncryptionContext::Iv128(<[u8; 16]>::try_from(&*vector).ok()?.into());
                let key = PaddedBlockEncryptingKey::cbc_pkcs7(block_key(key)?).ok()?;
                key.less_safe_encrypt(&mut bytes, context).ok()?;
                Some(Encrypted { vector, bytes })
            }
            Self::Gcm => {
                let mut vector = vec![0; aead::NONCE_LEN];
                rand::fill(&mut vector).ok()?;
                let nonce = Nonce::try_assume_unique_for_key(&vector).ok()?;
                gcm_key(key)?
                    .seal_in_place_append_tag(nonce, Aad::empty(), &mut bytes)
                    .ok()?;
                Some(Encrypted { vector, bytes })
            }
        }
    }

    fn decrypt(self, key: &[u8], encrypted: Encrypted) -> Option<Vec<u8>> {
        let Encrypted { vector, mut bytes } = encrypted;
        let length = match self {
            Self::Cbc => {
                let context = DecryptionContext::Iv128(<[u8; 16]>::try_from(&*vector).ok()?.into());
                let key = PaddedBlockDecryptingKey::cbc_pkcs7(block_key(key)?).ok()?;
                key.decrypt(&mut bytes, context).ok()?.len()
            }
            Self::Gcm => {
                let nonce = Nonce::try_assume_unique_for_key(&vector).ok()?;
                let key = gcm_key(key)?;
                key.open_in_place(nonce, Aad::empty(), &mut bytes).ok()?.len()
            }
        };
        bytes.truncate(length);
        Some(bytes)
    }
}

fn block_key(key: &[u8]) -> Option<UnboundCipherKey> {
    let algorithm = match key.len() {
        16 => &AES_128,
        24 => &AES_192,
        _ => &AES_256,
    };
    UnboundCipherKey::new(algorithm, key).ok()
}

fn gcm_key(key: &[u8]) -> Option<LessSafeKey> {
    let algorithm = match key.len() {
        16 => &aead::AES_128_GCM,
        24 => &aead::AES_192_GCM,
        _ => &aead::AES_256_GCM,
    };
    aead::UnboundKey::new(algorithm, key).ok().map(LessSafeKey::new)
}

#[cfg(test)]
mod tests;
