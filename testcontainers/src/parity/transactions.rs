//! Makes the answers about producers and transactions comparable: sorts lists that have no order, and replaces texts
//! that each broker words differently.

use std::fmt::Debug;

use kafka_protocol::messages::*;

use super::Answer;

impl Answer for AddPartitionsToTxnResponse {
    fn arrange(&mut self, key: &dyn Fn(&dyn Debug) -> String) {
        let of_transactions = self.results_by_transaction.iter_mut();
        let results = of_transactions.map(|result| &mut result.topic_results);
        for topics in results.chain([&mut self.results_by_topic_v3_and_below]) {
            for topic in topics.iter_mut() {
                let partitions = &mut topic.results_by_partition;
                partitions.sort_by_key(|partition| partition.partition_index);
            }
            topics.sort_by_cached_key(|topic| key(topic));
        }
        self.results_by_transaction
            .sort_by_cached_key(|result| key(result));
    }
}

impl Answer for WriteTxnMarkersResponse {
    fn arrange(&mut self, key: &dyn Fn(&dyn Debug) -> String) {
        for marker in &mut self.markers {
            for topic in &mut marker.topics {
                topic
                    .partitions
                    .sort_by_key(|partition| partition.partition_index);
            }
            marker.topics.sort_by_cached_key(|topic| key(topic));
        }
        self.markers.sort_by_cached_key(|marker| key(marker));
    }
}

impl Answer for DescribeTransactionsResponse {
    fn arrange(&mut self, key: &dyn Fn(&dyn Debug) -> String) {
        for state in &mut self.transaction_states {
            state.transaction_start_time_ms = state.transaction_start_time_ms.signum();
            for topic in &mut state.topics {
                topic.partitions.sort_unstable();
            }
            state.topics.sort_by_cached_key(|topic| key(topic));
        }
    }
}

impl Answer for ListTransactionsResponse {
    fn arrange(&mut self, key: &dyn Fn(&dyn Debug) -> String) {
        self.transaction_states.sort_by_cached_key(|state| key(state));
        self.unknown_state_filters.sort();
    }
}

impl Answer for DescribeProducersResponse {
    fn arrange(&mut self, key: &dyn Fn(&dyn Debug) -> String) {
        for partition in self.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            let producers = &mut partition.active_producers;
            for producer in producers.iter_mut() {
                producer.last_timestamp = producer.last_timestamp.signum();
            }
            producers.sort_by_cached_key(|producer| key(producer));
        }
    }
}

impl Answer for ProduceResponse {
    fn arrange(&mut self, key: &dyn Fn(&dyn Debug) -> String) {
        for topic in &mut self.responses {
            let errors = topic.partition_responses.iter_mut();
            for error in errors.flat_map(|partition| &mut partition.record_errors) {
                let message = error.batch_index_error_message.take();
                error.batch_index_error_message = message.map(|message| without_times(&message).into());
            }
            topic.partition_responses.sort_by_key(|partition| partition.index);
        }
        self.responses.sort_by_cached_key(|topic| key(topic));
    }
}

/// The text without times in milliseconds since 1970: two brokers never read the clock at the same time.
fn without_times(text: &str) -> String {
    const DIGITS: usize = 13;
    let mut out = String::new();
    let mut number = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        out += match number.len() {
            DIGITS.. => "TIME",
            _ => &number,
        };
        number.clear();
        out.push(c);
    }
    out.trim_end_matches('\n').to_owned()
}
