//! Tests which requests are sent when, against a broker in the test.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::network::ChannelBuilder;

/// The started batches in order, each with a sender that ends it.
type Begun = mpsc::UnboundedSender<(BrokerAddress, Vec<u32>, oneshot::Sender<()>)>;

struct Numbers(Begun);

impl InterBrokerRequests for Numbers {
    type Queue = Vec<u32>;
    type Batch = Vec<u32>;

    fn next(queue: &mut Vec<u32>) -> Option<Vec<u32>> {
        (!queue.is_empty()).then(|| std::mem::take(queue))
    }

    async fn exchange(self: Arc<Self>, client: Arc<NetworkClient>, batch: Vec<u32>) {
        let (end, ended) = oneshot::channel();
        self.0.send((client.address().clone(), batch, end)).unwrap();
        // An error means that the test has ended the request.
        let _ = ended.await;
    }
}

fn settings() -> ClientSettings {
    ClientSettings::new(&ChannelBuilder::plaintext(), "test", Duration::from_secs(1))
}

fn address(broker: BrokerId, port: u16) -> BrokerAddress {
    BrokerAddress::plaintext(broker, "127.0.0.1", port)
}

#[tokio::test]
async fn what_comes_while_a_request_is_under_way_goes_into_the_next_one() {
    let (begun, mut begins) = mpsc::unbounded_channel();
    let (numbers, thread) = (Arc::new(Numbers(begun)), InterBrokerSendThread::new(settings()));
    let enqueue = |broker, port, number| {
        thread.enqueue(&numbers, address(broker, port), |queue: &mut Vec<u32>| {
            queue.push(number);
        });
    };
    enqueue(1, 1, 10);
    let (_, batch, first) = begins.recv().await.unwrap();
    assert_eq!(batch, [10]);
    enqueue(1, 1, 11);
    // The broker has moved.
    enqueue(1, 2, 12);
    enqueue(2, 1, 20);
    let (to, batch, _second) = begins.recv().await.unwrap();
    assert_eq!(
        (to, batch),
        (address(2, 1), vec![20]),
        "brokers wait for themselves only"
    );
    assert!(begins.try_recv().is_err());
    first.send(()).unwrap();
    let (to, batch, third) = begins.recv().await.unwrap();
    assert_eq!((to, batch), (address(1, 2), vec![11, 12]));
    third.send(()).unwrap();
    // The sending task may have become idle in between.
    tokio::task::yield_now().await;
    enqueue(1, 2, 13);
    assert_eq!(begins.recv().await.unwrap().1, [13]);
}

#[tokio::test]
async fn a_broker_that_is_removed_gets_nothing_of_its_old_queue() {
    let (begun, mut begins) = mpsc::unbounded_channel();
    let (numbers, thread) = (Arc::new(Numbers(begun)), InterBrokerSendThread::new(settings()));
    for number in [1, 2] {
        thread.enqueue(&numbers, address(1, 1), |queue| queue.push(number));
    }
    let (.., mut under_way) = begins.recv().await.unwrap();
    thread.enqueue(&numbers, address(1, 1), |queue| queue.push(3));
    thread.remove(1);
    under_way.closed().await;
    thread.enqueue(&numbers, address(1, 1), |queue| queue.push(4));
    let (_, batch, mut under_way) = begins.recv().await.unwrap();
    assert_eq!(batch, [4]);
    drop(thread);
    under_way.closed().await;
}
