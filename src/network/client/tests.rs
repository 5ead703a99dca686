//! Tests the client against a peer in the test, over a real socket.

use std::time::Duration;

use crate::network::ChannelBuilder;
use crate::protocol::messages::api_versions_response::ApiVersion;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::protocol::messages::{
    ApiVersionsResponse, MetadataRequest, StopReplicaRequest, UpdateMetadataRequest, UpdateMetadataResponse,
};
use bytes::Bytes;

async fn listen() -> (TcpListener, NetworkClient) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = BrokerAddress::plaintext(7, "127.0.0.1", listener.local_addr().unwrap().port());
    (
        listener,
        NetworkClient::new(
            address,
            ClientSettings::new(&ChannelBuilder::plaintext(), "test", Duration::from_secs(10)),
        ),
    )
}

/// Reads one request. Returns its key, version and correlation id.
async fn read_request(stream: &mut TcpStream) -> (i16, i16, i32) {
    let mut frame = vec![0; stream.read_i32().await.unwrap() as usize];
    stream.read_exact(&mut frame).await.unwrap();
    let mut header = Bytes::from(frame);
    (
        bytes::Buf::get_i16(&mut header),
        bytes::Buf::get_i16(&mut header),
        bytes::Buf::get_i32(&mut header),
    )
}

fn update_metadata_answer(error: i16, correlation_id: i32) -> Bytes {
    let response = UpdateMetadataResponse::default().with_error_code(error);
    codec::encode_response(&response, 8, correlation_id).unwrap()
}

#[tokio::test]
async fn requests_are_answered_in_the_order_in_which_they_were_sent() {
    let (listener, client) = listen().await;
    let peer = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut ids = vec![];
        for _ in 0..20 {
            let (key, version, id) = read_request(&mut stream).await;
            assert_eq!((key, version), (6, 8));
            ids.push(id);
        }
        for id in ids {
            let answer = update_metadata_answer(id as i16, id);
            // The answer is sent in pieces that ignore frame boundaries.
            for piece in answer.chunks(5) {
                stream.write_all(piece).await.unwrap();
                stream.flush().await.unwrap();
            }
        }
    };
    let request = UpdateMetadataRequest::default();
    let sent = (0..20).map(|_| client.send(&request, 8));
    let (answers, ()) = tokio::join!(futures::future::join_all(sent), peer);
    let errors: Vec<i16> = answers.into_iter().map(|a| a.unwrap().error_code).collect();
    assert_eq!(errors, (0..20).collect::<Vec<i16>>());
}

#[tokio::test]
async fn a_broken_connection_fails_what_is_in_flight_and_is_made_anew() {
    let (listener, client) = listen().await;
    let request = UpdateMetadataRequest::default();
    let breaks = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
    };
    let (a, b, ()) = tokio::join!(client.send(&request, 8), client.send(&request, 8), breaks);
    assert!(
        matches!(a, Err(NetworkError::Disconnected { broker: 7, .. })),
        "{a:?}"
    );
    assert!(
        matches!(b, Err(NetworkError::Disconnected { broker: 7, .. })),
        "{b:?}"
    );
    let answers = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (_, _, id) = read_request(&mut stream).await;
        stream.write_all(&update_metadata_answer(3, id)).await.unwrap();
    };
    let (answer, ()) = tokio::join!(client.send(&request, 8), answers);
    assert_eq!(answer.unwrap().error_code, 3);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_does_not_come_closes_the_connection() {
    let (listener, client) = listen().await;
    let request = UpdateMetadataRequest::default();
    let peer = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        // The connection ends without further bytes.
        assert_eq!(stream.read(&mut [0; 9]).await.unwrap(), 0);
    };
    let (answer, ()) = tokio::join!(client.send(&request, 8), peer);
    assert_eq!(answer, Err(NetworkError::TimedOut(7)));
}

#[tokio::test]
async fn answers_to_something_else_and_garbage_are_refused() {
    let huge_count = [0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff];
    for answer in [&huge_count[..], &[0xff; 100], &[0, 0, 0, 4, 9, 9, 9, 9]] {
        let (listener, client) = listen().await;
        let peer = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            stream.write_all(answer).await.unwrap();
            assert_eq!(stream.read(&mut [0; 9]).await.unwrap_or(0), 0);
        };
        let request = MetadataRequest::default();
        let (answer, ()) = tokio::join!(client.send(&request, 1), peer);
        assert!(answer.is_err(), "{answer:?}");
    }
}

#[tokio::test]
async fn versions_are_asked_for_once_a_connection() {
    let (listener, client) = listen().await;
    let peer = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (key, version, id) = read_request(&mut stream).await;
        assert_eq!((key, version), (18, 0));
        let metadata = ApiVersion::default()
            .with_api_key(3)
            .with_min_version(2)
            .with_max_version(9);
        let response = ApiVersionsResponse::default().with_api_keys(vec![metadata]);
        let frame = codec::encode_response(&response, 0, id).unwrap();
        stream.write_all(&frame).await.unwrap();
        stream
    };
    let ask = async {
        assert_eq!(client.negotiate::<MetadataRequest>(0..=12).await, Ok(9));
        assert_eq!(client.negotiate::<MetadataRequest>(0..=4).await, Ok(4));
        for range in [0..=1, 10..=12] {
            let none = client.negotiate::<MetadataRequest>(range).await;
            assert!(matches!(none, Err(NetworkError::Unsupported { .. })), "{none:?}");
        }
        let none = client.negotiate::<StopReplicaRequest>(0..=4).await;
        assert!(matches!(none, Err(NetworkError::Unsupported { .. })), "{none:?}");
    };
    tokio::join!(ask, peer);
}

#[tokio::test]
async fn records_of_a_response_are_slices_of_its_frame() {
    use crate::protocol::messages::{FetchResponse, fetch_response};
    let partition = fetch_response::PartitionData::default().with_records(Some(Bytes::from(vec![5; 1000])));
    let topic = fetch_response::FetchableTopicResponse::default().with_partitions(vec![partition]);
    let response = FetchResponse::default().with_responses(vec![topic]);
    let frame = codec::encode_response(&response, 17, 1).unwrap().slice(4..);
    let range = frame.as_ptr_range();
    let decoded: FetchResponse = codec::decode_response(frame, 17).unwrap();
    let records = decoded.responses[0].partitions[0].records.clone().unwrap();
    assert_eq!(records.len(), 1000);
    assert!(range.contains(&records.as_ptr()));
}
