//! Reads JKS stores, the format of Java before version 9.
//!
//! ```text
//! store  = FEEDFEED | version i32 (1, 2) | count i32 | entry… | SHA-1 of password, "Mighty Aphrodite" and all before
//! entry  = 1 i32 | alias | date i64 | key: length i32, EncryptedPrivateKeyInfo | count i32 | certificate…
//!        | 2 i32 | alias | date i64 | certificate
//! certificate = type, in version 2 only | length i32 | X.509 DER            alias and type: length u16, UTF-8
//! key    = salt of 20 bytes | PKCS#8 xor key stream | SHA-1 of password and PKCS#8
//! ```
//! The key stream's first block is the SHA-1 of password and salt, each next block that of password and the block
//! before. In all of these the password is UTF-16, big-endian. The format is described nowhere but in its readers.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use bytes::Buf as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::der_parser::asn1_rs::{Any, FromDer as _, OctetString, Sequence};

use super::entries::{Entries, KeyStore};
use crate::config::security::Password;

const MAGIC: u32 = 0xFEED_FEED;
const WHITENER: &[u8] = b"Mighty Aphrodite";
const DIGEST_BYTES: usize = 20;
/// The algorithm of keys: Sun's own.
const KEY_PROTECTOR: &str = "1.3.6.1.4.1.42.2.17.1.1";

/// Why a store cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum JksError {
    #[error("it is cut off or damaged")]
    Damaged,
    #[error("Keystore was tampered with, or password was incorrect")]
    Password,
    #[error("Cannot recover key")]
    Key,
}

/// Whether the bytes are those of a JKS store.
pub(super) fn is_jks(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC.to_be_bytes())
}

/// Reads a store. Without a password its integrity is not checked. Without a key password its keys stay encrypted;
/// their entries then have certificates only.
pub(super) fn read(
    bytes: &[u8],
    password: Option<&Password>,
    key_password: Option<&Password>,
) -> Result<Entries, JksError> {
    let end = bytes.len().checked_sub(DIGEST_BYTES).ok_or(JksError::Damaged)?;
    let (content, digest) = bytes.split_at(end);
    if let Some(password) = password {
        let expected = sha1(&[&utf16(password), WHITENER, content]);
        verify_slices_are_equal(&expected, digest).map_err(|_| JksError::Password)?;
    }
    let mut input = content;
    if input.try_get_u32() != Ok(MAGIC) {
        return Err(JksError::Damaged);
    }
    let version = number(&mut input)?;
    let mut entries = Entries::default();
    for _ in 0..number(&mut input)? {
        match number(&mut input)? {
            1 => {
                let alias = text(&mut input)?;
                input.try_get_u64().map_err(|_| JksError::Damaged)?;
                let protected = sized(&mut input)?;
                let mut chain = Vec::new();
                for _ in 0..number(&mut input)? {
                    chain.push(certificate(&mut input, version)?);
                }
                let key = match key_password {
                    Some(password) => recover(protected, password)?,
                    None => Vec::new(),
                };
                let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key));
                entries.keys.push(KeyStore { alias, chain, key });
            }
            2 => {
                text(&mut input)?;
                input.try_get_u64().map_err(|_| JksError::Damaged)?;
                entries.trusted.push(certificate(&mut input, version)?);
            }
            _ => return Err(JksError::Damaged),
        }
    }
    Ok(entries)
}

fn number(input: &mut &[u8]) -> Result<u32, JksError> {
    input.try_get_u32().map_err(|_| JksError::Damaged)
}

fn take<'a>(input: &mut &'a [u8], count: usize) -> Result<&'a [u8], JksError> {
    let (taken, rest) = input.split_at_checked(count).ok_or(JksError::Damaged)?;
    *input = rest;
    Ok(taken)
}

fn sized<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], JksError> {
    let count = number(input)? as usize;
    take(input, count)
}

fn text(input: &mut &[u8]) -> Result<String, JksError> {
    let count = input.try_get_u16().map_err(|_| JksError::Damaged)?;
    Ok(String::from_utf8_lossy(take(input, count.into())?).into_owned())
}

fn certificate(input: &mut &[u8], version: u32) -> Result<CertificateDer<'static>, JksError> {
    if version == 2 {
        text(input)?;
    }
    Ok(CertificateDer::from(sized(input)?.to_vec()))
}

/// Decrypts a key.
fn recover(protected: &[u8], password: &Password) -> Result<Vec<u8>, JksError> {
    let data = protected_data(protected).ok_or(JksError::Key)?;
    let end = data.len().checked_sub(DIGEST_BYTES).ok_or(JksError::Key)?;
    let (salt, rest) = data[..end].split_at_checked(DIGEST_BYTES).ok_or(JksError::Key)?;
    let password = utf16(password);
    let mut block = salt.to_vec();
    let mut key = Vec::with_capacity(rest.len());
    for piece in rest.chunks(DIGEST_BYTES) {
        block = sha1(&[&password, &block]);
        key.extend(piece.iter().zip(&block).map(|(byte, mask)| byte ^ mask));
    }
    let expected = sha1(&[&password, &key]);
    verify_slices_are_equal(&expected, &data[end..]).map_err(|_| JksError::Key)?;
    Ok(key)
}

/// The octets of an EncryptedPrivateKeyInfo with Sun's algorithm.
fn protected_data(der: &[u8]) -> Option<Vec<u8>> {
    let (_, info) = Sequence::from_der(der).ok()?;
    let (rest, algorithm) = Sequence::from_der(&info.content).ok()?;
    let (_, oid) = Any::from_der(&algorithm.content).ok()?;
    if oid.oid().ok()?.to_id_string() != KEY_PROTECTOR {
        return None;
    }
    let (_, data) = OctetString::from_der(rest).ok()?;
    Some(data.as_ref().to_vec())
}

fn utf16(password: &Password) -> Vec<u8> {
    password
        .expose()
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect()
}

fn sha1(parts: &[&[u8]]) -> Vec<u8> {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    for part in parts {
        context.update(part);
    }
    context.finish().as_ref().to_vec()
}
