//! Decrypts private keys of PKCS#8: PBES2, which openssl 3 writes, and the two old schemes that openssl 1 and Java
//! write (RFC 8018, PBES1; RFC 7292, appendix B).

use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt as _, KeyIvInit as _};
use md5::{Digest as _, Md5};
use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs12::kdf::{Pkcs12KeyType, derive_key_utf8};
use sha1::Sha1;
use x509_parser::der_parser::asn1_rs::{Any, FromDer as _, OctetString, Sequence};

use crate::config::security::Password;

const PBE_WITH_MD5_AND_DES: &str = "1.2.840.113549.1.5.3";
const PBE_WITH_SHA1_AND_TRIPLE_DES: &str = "1.2.840.113549.1.12.1.3";
/// More rounds than any tool writes; a larger number would only keep the broker busy.
const MAX_ROUNDS: u32 = 10_000_000;

/// Decrypts an EncryptedPrivateKeyInfo to a PrivateKeyInfo.
pub(super) fn decrypt(der: &[u8], password: &Password) -> Result<Vec<u8>, String> {
    if let Some(old) = OldScheme::parse(der) {
        return old.decrypt(password.expose());
    }
    let info = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|error| error.to_string())?;
    let decrypted = info.decrypt(password.expose());
    let decrypted = decrypted.map_err(|error| error.to_string())?;
    Ok(decrypted.as_bytes().to_vec())
}

/// A key under one of the old schemes.
struct OldScheme {
    algorithm: String,
    salt: Vec<u8>,
    rounds: u32,
    data: Vec<u8>,
}

impl OldScheme {
    fn parse(der: &[u8]) -> Option<Self> {
        let (_, info) = Sequence::from_der(der).ok()?;
        let (rest, algorithm) = Sequence::from_der(&info.content).ok()?;
        let (parameters, oid) = Any::from_der(&algorithm.content).ok()?;
        let algorithm = oid.oid().ok()?.to_id_string();
        if algorithm != PBE_WITH_MD5_AND_DES && algorithm != PBE_WITH_SHA1_AND_TRIPLE_DES {
            return None;
        }
        let (_, parameters) = Sequence::from_der(parameters).ok()?;
        let (rounds, salt) = OctetString::from_der(&parameters.content).ok()?;
        let (_, rounds) = u32::from_der(rounds).ok()?;
        let (_, data) = OctetString::from_der(rest).ok()?;
        Some(Self {
            algorithm,
            salt: salt.as_ref().to_vec(),
            rounds,
            data: data.as_ref().to_vec(),
        })
    }

    fn decrypt(&self, password: &str) -> Result<Vec<u8>, String> {
        if self.rounds > MAX_ROUNDS {
            return Err(format!("{} rounds are too many", self.rounds));
        }
        let wrong = || "Given final block not properly padded".to_owned();
        if self.algorithm == PBE_WITH_MD5_AND_DES {
            let mut derived = Md5::digest([password.as_bytes(), &self.salt].concat());
            for _ in 1..self.rounds {
                derived = Md5::digest(derived);
            }
            let (key, iv) = derived.split_at(8);
            let cipher = cbc::Decryptor::<des::Des>::new_from_slices(key, iv).map_err(|_| wrong())?;
            return cipher
                .decrypt_padded_vec::<Pkcs7>(&self.data)
                .map_err(|_| wrong());
        }
        let derive = |kind, bytes| {
            let rounds = i32::try_from(self.rounds).unwrap_or(i32::MAX);
            derive_key_utf8::<Sha1>(password, &self.salt, kind, rounds, bytes)
                .map_err(|error| error.to_string())
        };
        let key = derive(Pkcs12KeyType::EncryptionKey, 24)?;
        let iv = derive(Pkcs12KeyType::Iv, 8)?;
        let cipher = cbc::Decryptor::<des::TdesEde3>::new_from_slices(&key, &iv).map_err(|_| wrong())?;
        cipher
            .decrypt_padded_vec::<Pkcs7>(&self.data)
            .map_err(|_| wrong())
    }
}
