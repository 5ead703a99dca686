//! Tests with requests of every API in every version, valid ones and ones with wrong lengths.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::super::body::DECODER_PANICKED;
use super::*;
use crate::protocol::messages::{
    ApiVersionsResponse, ControlledShutdownRequest, MetadataRequest, MetadataResponse, ProduceRequest,
    produce_request,
};

fn request_frame(api: ApiKey, version: i16, body: &[u8]) -> Bytes {
    let header = RequestHeader::default()
        .with_request_api_key(api.code())
        .with_request_api_version(version)
        .with_correlation_id(i32::MAX)
        .with_client_id(Some(StrBytes::from_static_str("me")));
    let mut frame = BytesMut::new();
    header
        .encode(&mut frame, api.request_header_version(version))
        .unwrap();
    frame.extend_from_slice(body);
    frame.freeze()
}

/// Small numbers in random order. They often form a valid request: strings of a letter or two, short arrays.
fn small_numbers(random: &mut StdRng, flexible: bool) -> Vec<u8> {
    let zeros = if flexible { 0.45 } else { 0.9 };
    let byte = |random: &mut StdRng| match random.random_bool(zeros) {
        true => 0,
        false => random.random_range(1..=2),
    };
    (0..120).map(|_| byte(random)).collect()
}

/// Valid bodies of different lengths.
fn true_bodies(api: ApiKey, version: i16) -> Vec<Vec<u8>> {
    let mut random = StdRng::seed_from_u64(u64::from(api.code() as u16) << 16 | version as u64);
    let flexible = api.request_header_version(version) >= 2;
    let mut bodies: Vec<Vec<u8>> = vec![];
    let is_true = |body: &[u8]| decode_request(request_frame(api, version, body)).is_ok();
    for _ in 0..3000 {
        let mut body = small_numbers(&mut random, flexible);
        if !is_true(&body) {
            continue;
        }
        // The decoder ignores bytes after the request, so the request's own length is the shortest prefix that decodes.
        let lengths: Vec<usize> = (0..body.len()).collect();
        body.truncate(lengths.partition_point(|&length| !is_true(&body[..length])));
        if bodies.iter().all(|other| other.len() != body.len()) {
            bodies.push(body);
        }
        if bodies.len() == 5 {
            break;
        }
    }
    bodies
}

/// Decodes a possibly invalid body. The guard against panics hides them from a test, so this looks for them in the
/// error.
fn decode_calmly(api: ApiKey, version: i16, body: &[u8]) {
    match decode_request(request_frame(api, version, body)) {
        Err(DecodeError::Body { reason, .. }) if reason == DECODER_PANICKED => {
            panic!("{} version {version} panicked: {body:02x?}", api.name())
        }
        _ => {}
    }
}

#[test]
fn a_panic_of_the_decoder_is_an_error_that_can_be_told_from_others() {
    #[derive(Debug)]
    struct Panicking;
    impl Decodable for Panicking {
        fn decode<B: kafka_protocol::protocol::buf::ByteBuf>(_: &mut B, _: i16) -> anyhow::Result<Self> {
            panic!("as it was told to")
        }
    }
    let Err(DecodeError::Body { reason, message, .. }) = decode_body::<Panicking>(Bytes::new(), 0, true)
    else {
        panic!("nothing can be decoded")
    };
    assert_eq!((message, reason.as_str()), ("Panicking", DECODER_PANICKED));
}

/// An unguarded decoder would request memory for two thousand million elements here and end the process.
#[test]
fn counts_that_lie_are_errors_in_every_version_of_every_api() {
    for &api in ApiKey::ALL {
        for version in api.versions() {
            let bodies = true_bodies(api, version);
            assert!(!bodies.is_empty(), "{} version {version}", api.name());
            for body in bodies {
                decode_request(request_frame(api, version, &body)).unwrap();
                for position in 0..body.len() {
                    for lie in [
                        &[0x7f, 0xff, 0xff, 0xff][..],
                        &[0, 0x7f, 0xff, 0xff],
                        &[0xff, 0xff, 0xff, 0xff, 7],
                    ] {
                        let mut lying = body.clone();
                        lying.truncate(position);
                        lying.extend_from_slice(lie);
                        lying.extend_from_slice(body.get(position + lie.len()..).unwrap_or_default());
                        // If the changed field was a plain number, the request may still be valid.
                        decode_calmly(api, version, &lying);
                    }
                }
            }
        }
    }
}

#[test]
fn a_metadata_request_for_two_thousand_million_topics_is_refused() {
    for (version, count) in [
        (0, &[0x7f, 0xff, 0xff, 0xff][..]),
        (12, &[0xff, 0xff, 0xff, 0xff, 7]),
    ] {
        let error = decode_request(request_frame(ApiKey::Metadata, version, count)).unwrap_err();
        assert!(
            matches!(
                error,
                DecodeError::Body {
                    message: "MetadataRequest",
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn random_bytes_never_do_harm() {
    let mut random = StdRng::seed_from_u64(1);
    for &api in ApiKey::ALL {
        for version in api.versions() {
            for _ in 0..50 {
                let length = random.random_range(0..200);
                let body: Vec<u8> = (0..length).map(|_| random.random()).collect();
                decode_calmly(api, version, &body);
            }
        }
    }
}

#[test]
fn what_one_side_writes_the_other_side_reads() {
    let mut records = BytesMut::new();
    records.put_bytes(5, 3000);
    let partition = produce_request::PartitionProduceData::default().with_records(Some(records.freeze()));
    let topic = produce_request::TopicProduceData::default()
        .with_name(StrBytes::from_static_str("topic").into())
        .with_partition_data(vec![partition]);
    let request = ProduceRequest::default()
        .with_timeout_ms(1 << 30)
        .with_acks(-1)
        .with_topic_data(vec![topic]);
    for version in ApiKey::Produce.versions() {
        let frame = encode_request(&request, version, 1 << 30, "kcat").unwrap();
        assert_eq!(
            frame.len() - 4,
            i32::from_be_bytes(*frame.first_chunk().unwrap()) as usize
        );
        let (header, decoded) = decode_request(frame.slice(4..)).unwrap();
        assert_eq!(header.api, ApiKey::Produce);
        assert_eq!((header.version, header.correlation_id), (version, 1 << 30));
        assert_eq!(&*header.client_id, "kcat");
        let Request::Produce(decoded) = decoded else {
            panic!("{decoded:?}")
        };
        let records = decoded.topic_data[0].partition_data[0].records.clone().unwrap();
        assert!(
            frame.as_ptr_range().contains(&records.as_ptr()),
            "records are a slice of the frame"
        );
        assert_eq!(decoded, request);
    }
}

#[test]
fn odd_headers() {
    // ControlledShutdown version 0 has no client id (header version 0).
    let frame = encode_request(
        &ControlledShutdownRequest::default().with_broker_id(3.into()),
        0,
        8,
        "me",
    )
    .unwrap();
    assert_eq!(frame.len(), 4 + 8 + 4);
    let (header, request) = decode_request(frame.slice(4..)).unwrap();
    assert_eq!((header.correlation_id, &*header.client_id), (8, ""));
    assert!(matches!(request, Request::ControlledShutdown(request) if request.broker_id == 3));
    // A client id may be null.
    let frame = Bytes::from_static(&[0, 3, 0, 1, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    let (header, request) = decode_request(frame).unwrap();
    assert_eq!((header.version, &*header.client_id), (1, ""));
    assert_eq!(
        request,
        Request::Metadata(MetadataRequest::default().with_topics(None))
    );
    // ApiVersions responses have header version 0 in every version (fact 69).
    let frame = encode_response(&ApiVersionsResponse::default(), 4, 5).unwrap();
    assert_eq!(&frame[4..10], &[0, 0, 0, 5, 0, 0]);
    let frame = encode_response(&MetadataResponse::default(), 12, 5).unwrap();
    assert_eq!(&frame[4..9], &[0, 0, 0, 5, 0]);
}

/// librdkafka sends Metadata 11 and 12 with a field that these versions no longer have; Kafka ignores it.
#[test]
fn what_follows_a_request_is_ignored() {
    let body = [0, 1, 0, 0, 0, 9, 9];
    let (_, request) = decode_request(request_frame(ApiKey::Metadata, 12, &body)).unwrap();
    let Request::Metadata(request) = request else {
        panic!("{request:?}")
    };
    assert!(request.topics.is_none() && request.allow_auto_topic_creation);
}

#[test]
fn what_is_not_served_is_named() {
    let error = |bytes: &'static [u8]| decode_request(Bytes::from_static(bytes)).unwrap_err();
    assert_eq!(
        error(&[0, 99, 0, 0, 0, 0, 0, 1, 0, 0]),
        DecodeError::UnknownApiKey(99)
    );
    let unsupported = |api, version| DecodeError::UnsupportedVersion { api, version };
    assert_eq!(
        error(&[0, 0, 0, 12, 0, 0, 0, 1, 0, 0]),
        unsupported("Produce", 12)
    );
    assert_eq!(
        error(&[0, 1, 0xff, 0xff, 0, 0, 0, 1, 0, 0]),
        unsupported("Fetch", -1)
    );
    assert!(matches!(error(&[0, 1, 0]), DecodeError::Header(_)));
    assert!(matches!(error(&[0, 1, 0, 1, 0, 0, 0]), DecodeError::Header(_)));
}
