//! Headers and bodies between bytes and structs, for both ends of a connection.
//! Kafka 3.9: `RequestHeader`, `ResponseHeader`, `AbstractRequest.parseRequest`.
//!
//! ```text
//! request  = length i32 | api_key i16 | api_version i16 | correlation_id i32
//!            | client_id nullable string (header 1+) | tagged fields (header 2) | body
//! response = length i32 | correlation_id i32 | tagged fields (header 1) | body
//! ```
//! Which header a version has is a property of its message (`HeaderVersion`). `Bytes` fields of a decoded
//! message are slices of its frame, never copies. Nothing the peer sends makes decoding panic or reserve
//! memory out of proportion (see `sceptical`).

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiVersionsRequest, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request as WireRequest, StrBytes};

use super::api_table::{ApiKey, Request};
pub use super::body::DecodeError;
use super::body::{decode_body, short_name};
use super::frame::LENGTH_BYTES;
use super::sceptical;

/// What precedes the body of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedHeader {
    /// Which API.
    pub api: ApiKey,
    /// Its version; out of range only for ApiVersions, see [`decode_request`].
    pub version: i16,
    /// To be repeated in the response.
    pub correlation_id: i32,
    /// The client's name for itself; empty if it gives none.
    pub client_id: StrBytes,
}

/// A message that does not exist in the version it is to be sent in: a mistake on our side.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} cannot be written in version {version}: {reason}")]
pub struct EncodeError {
    /// The message's struct.
    pub message: &'static str,
    /// The version it was to be written in.
    pub version: i16,
    /// What does not fit.
    pub reason: String,
}

/// Takes a header off the front of `frame`.
pub(super) fn decode_header<T: Decodable>(frame: &mut Bytes, header_version: i16) -> Result<T, DecodeError> {
    // A header has no arrays, so its numbers need no checking; only header 2 of requests has varints.
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
/// An ApiVersions request in a version we do not know is how clients of the future say hello: it comes out as
/// an empty request, with its true version in the header, for the handler to answer (fact 69).
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

fn i16_at(frame: &Bytes, position: usize) -> Option<i16> {
    let bytes = frame.get(position..)?.first_chunk()?;
    Some(i16::from_be_bytes(*bytes))
}

/// A whole frame with a request in it, length prefix included.
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

/// A whole frame with a response in it, length prefix included.
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
