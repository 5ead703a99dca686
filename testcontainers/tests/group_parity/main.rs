//! The group coordinator beside Apache Kafka's: hundreds of requests in every version and every state of a group, and
//! the same answers; then the same records in `__consumer_offsets`.

mod support;

use anyhow::Result;
use barnabas_testcontainers::parity::{Pair, Story, messages::*};

#[tokio::test(flavor = "multi_thread")]
async fn every_request_in_every_state_is_answered_as_apache_kafka_answers_it() -> Result<()> {
    let pair = Pair::start(support::configure).await?;
    pair.play("the first request of all", support::prepare).await;
    pair.play("heartbeats", heartbeats).await;
    pair.finish()
}

async fn heartbeats(story: Story) -> Result<()> {
    for version in 0..=4 {
        let unknown = HeartbeatRequest::default().with_member_id("nobody".into());
        story.ask("a heartbeat of nobody", version, unknown).await?;
    }
    Ok(())
}
