//! Tests the channel against controllers in the test, over real sockets.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::network::ChannelBuilder;
use crate::protocol::codec;
use crate::protocol::messages::{AllocateProducerIdsRequest, AllocateProducerIdsResponse};

/// A channel to the controller in `known`.
fn channel(known: &Arc<Mutex<Option<BrokerAddress>>>) -> NodeToControllerChannelManager {
    let known = known.clone();
    let settings = ClientSettings::new(&ChannelBuilder::plaintext(), "test", Duration::from_secs(60));
    NodeToControllerChannelManager::new(Box::new(move || known.lock().clone()), settings)
}

async fn listen(id: BrokerId) -> (TcpListener, BrokerAddress) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, BrokerAddress::plaintext(id, "127.0.0.1", port))
}

/// Requests a block of producer ids. Returns its length, or the error.
async fn ask(channel: &NodeToControllerChannelManager) -> Result<i32, NodeToControllerError> {
    let read = |response: AllocateProducerIdsResponse| match ErrorCode::from_code(response.error_code) {
        ErrorCode::None => Ok(response.producer_id_len),
        code => Err(code),
    };
    channel
        .send(0..=0, |_| AllocateProducerIdsRequest::default(), read)
        .await
}

/// Reads one request and answers it.
async fn answer(stream: &mut TcpStream, code: ErrorCode) {
    let mut frame = vec![0; stream.read_i32().await.unwrap() as usize];
    stream.read_exact(&mut frame).await.unwrap();
    let correlation_id = i32::from_be_bytes(frame[4..8].try_into().unwrap());
    let response = AllocateProducerIdsResponse::default()
        .with_error_code(code.code())
        .with_producer_id_len(7);
    let frame = codec::encode_response(&response, 0, correlation_id).unwrap();
    stream.write_all(&frame).await.unwrap();
}

#[tokio::test]
async fn the_connection_lasts_until_the_controller_is_another_one() {
    let (listener, address) = listen(1).await;
    let known = Arc::new(Mutex::new(None));
    let channel = channel(&known);
    assert_eq!(ask(&channel).await, Err(NodeToControllerError::NoController));
    *known.lock() = Some(address);
    let controller = async {
        let (mut first, _) = listener.accept().await.unwrap();
        for code in [
            ErrorCode::None,
            ErrorCode::StaleBrokerEpoch,
            ErrorCode::NotController,
        ] {
            answer(&mut first, code).await;
        }
        assert_eq!(
            first.read(&mut [0]).await.unwrap(),
            0,
            "it is closed after NOT_CONTROLLER"
        );
        let (mut second, _) = listener.accept().await.unwrap();
        answer(&mut second, ErrorCode::None).await;
    };
    let asked = async {
        let refused = |code| Err(NodeToControllerError::Refused(code));
        assert_eq!(ask(&channel).await, Ok(7));
        assert_eq!(ask(&channel).await, refused(ErrorCode::StaleBrokerEpoch));
        assert_eq!(ask(&channel).await, refused(ErrorCode::NotController));
        assert_eq!(ask(&channel).await, Ok(7));
    };
    tokio::join!(controller, asked);
}

#[tokio::test]
async fn a_controller_that_hangs_is_left_for_the_next_one() {
    let ((silent, first), (listener, second)) = (listen(1).await, listen(2).await);
    let known = Arc::new(Mutex::new(Some(first)));
    let channel = channel(&known);
    let change = async {
        let _hangs = silent.accept().await.unwrap();
        *known.lock() = Some(second.clone());
        channel.controller_may_have_changed();
    };
    let (asked, ()) = tokio::join!(ask(&channel), change);
    assert_eq!(asked, Err(NodeToControllerError::Replaced(1)));
    let controller = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        answer(&mut stream, ErrorCode::None).await;
    };
    assert_eq!(tokio::join!(ask(&channel), controller).0, Ok(7));
}
