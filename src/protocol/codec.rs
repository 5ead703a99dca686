//! Encoder and decoder of headers and bodies, for both ends of a connection. Kafka 3.9: `RequestHeader`,
//! `ResponseHeader`, `AbstractRequest.parseRequest`.
//!
//! ```text
//! request  = length i32 | api_key i16 | api_version i16 | correlation_id i32
//!            | client_id nullable string (header 1+) | tagged fields (header 2) | body
//! response = length i32 | correlation_id i32 | tagged fields (header 1) | body
//! ```
//! The header version is a property of the message and its version (`HeaderVersion`). `Bytes` fields of a decoded
//! message are slices of its frame, never copies. No input from the peer makes decoding panic or reserve an excessive
//! amount of memory (see `sceptical`).

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiVersionsRequest, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request as WireRequest, StrBytes};

use super::api_table::{ApiKey, Request};
pub use super::body::DecodeError;
use super::body::{decode_body, short_name};
use super::frame::LENGTH_BYTES;
use super::sceptical;

/// The decoded header of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedHeader {
    /// Which API.
    pub api: ApiKey,
    /// Its version. Out of range only for ApiVersions, see [`decode_request`].
    pub version: i16,
    /// The response must repeat this id.
    pub correlation_id: i32,
    /// The client's name for itself; empty if it sends none.
    pub client_id: StrBytes,
}

/// A message that cannot be encoded in the given version: a bug in barnabas.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} cannot be written in version {version}: {reason}")]
pub struct EncodeError {
    /// The message's struct.
    pub message: &'static str,
    /// The version to encode.
    pub version: i16,
    /// The problem.
    pub reason: String,
}

/// Reads a header from the front of `frame`.
pub(super) fn decode_header<T: Decodable>(frame: &mut Bytes, header_version: i16) -> Result<T, DecodeError> {
    // A header has no arrays, so its numbers need no check; only header 2 of requests has varints.
    sceptical::decode(frame, header_version, true).map_err(|e| DecodeError::Header(format!("{e:#}")))
}

fn encode<H: Encodable, T: Encodable>(
    header: &H,
    header_version: i16,
    message: &T,
    version: i16,
) -> Result<BytesMut, EncodeError> {
    let written = (|| {
        let size = header.compute_size(header_version)? + message.compute_size(version)?;
        let length = i32::try_from(size)?;
        let mut frame = BytesMut::with_capacity(LENGTH_BYTES + size);
        frame.put_i32(length);
        header.encode(&mut frame, header_version)?;
        message.encode(&mut frame, version)?;
        anyhow::ensure!(frame.len() == LENGTH_BYTES + size, "its size was miscounted");
        Ok(frame)
    })();
    written.map_err(|error: anyhow::Error| EncodeError {
        message: short_name::<T>(),
        version,
        reason: format!("{error:#}"),
    })
}

/// Decodes a request frame without its length prefix.
///
/// Newer clients begin with an ApiVersions request in a version that barnabas does not know. It becomes an empty
/// request with its true version in the header, and the handler answers it (fact 69).
pub fn decode_request(mut frame: Bytes) -> Result<(ReceivedHeader, Request), DecodeError> {
    let (Some(key), Some(version)) = (i16_at(&frame, 0), i16_at(&frame, 2)) else {
        return Err(DecodeError::Header(format!("{} bytes are too few", frame.len())));
    };
    let api = ApiKey::from_code(key).ok_or(DecodeError::UnknownApiKey(key))?;
    let is_known = api.decodes(version);
    if !is_known && api != ApiKey::ApiVersions {
        let api = api.name();
        return Err(DecodeError::UnsupportedVersion { api, version });
    }
    let header: RequestHeader = decode_header(&mut frame, api.request_header_version(version))?;
    let request = if is_known {
        Request::decode(api, version, frame)?
    } else {
        Request::ApiVersions(ApiVersionsRequest::default())
    };
    let header = ReceivedHeader {
        api,
        version,
        correlation_id: header.correlation_id,
        client_id: header.client_id.unwrap_or_default(),
    };
    Ok((header, request))
}

/// The API of a request frame, if its header can be read.
pub fn api_of(frame: &Bytes) -> Option<ApiKey> {
    let api = ApiKey::from_code(i16_at(frame, 0)?)?;
    let header_version = api.request_header_version(i16_at(frame, 2)?);
    let header: Result<RequestHeader, DecodeError> = decode_header(&mut frame.clone(), header_version);
    header.ok().map(|_| api)
}

fn i16_at(frame: &Bytes, position: usize) -> Option<i16> {
    let bytes = frame.get(position..)?.first_chunk()?;
    Some(i16::from_be_bytes(*bytes))
}

/// A whole frame with a request, including the length prefix.
pub fn encode_request<R: WireRequest>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: &str,
) -> Result<Bytes, EncodeError> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_string(client_id.to_string())));
    Ok(encode(&header, R::header_version(version), request, version)?.freeze())
}

/// A whole frame with a response, including the length prefix.
pub fn encode_response<T: Encodable + HeaderVersion>(
    response: &T,
    version: i16,
    correlation_id: i32,
) -> Result<Bytes, EncodeError> {
    let header = ResponseHeader::default().with_correlation_id(correlation_id);
    Ok(encode(&header, T::header_version(version), response, version)?.freeze())
}

/// The correlation id of a response frame.
pub fn correlation_id(frame: &Bytes) -> Option<i32> {
    frame.first_chunk().map(|id| i32::from_be_bytes(*id))
}

/// Decodes a response frame without its length prefix.
pub fn decode_response<T: Decodable + HeaderVersion>(
    mut frame: Bytes,
    version: i16,
) -> Result<T, DecodeError> {
    let header_version = T::header_version(version);
    decode_header::<ResponseHeader>(&mut frame, header_version)?;
    decode_body(frame, version, header_version >= 1)
}

#[cfg(test)]
mod tests;
