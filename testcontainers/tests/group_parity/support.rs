//! What the stories share.

use std::time::Duration;

use anyhow::Result;
use barnabas_testcontainers::Broker;
use barnabas_testcontainers::parity::{Story, messages::*};
use barnabas_testcontainers::wait::wait_for;

/// Short time-outs, so that what is waited for comes soon.
pub fn configure(broker: Broker) -> Broker {
    broker
        .with("group.initial.rebalance.delay.ms", 100)
        .with("group.min.session.timeout.ms", 300)
        .with("group.max.session.timeout.ms", 30_000)
        .with("group.max.size", 4)
        .with("offset.metadata.max.bytes", 100)
        .with("offsets.topic.num.partitions", 3)
}

/// Has the internal topic made, and topics to commit offsets of.
pub async fn prepare(story: Story) -> Result<()> {
    story.cluster().create_topic("t", 2, 1, &[]).await?;
    story.cluster().create_topic("u", 1, 1, &[]).await?;
    let ask = || FindCoordinatorRequest::default().with_key("g".into());
    story.ask("the internal topic is not there yet", 0, ask()).await?;
    wait_for("a coordinator", Duration::from_secs(20), || async {
        let answer = story.peek(0, ask()).await.ok()?;
        (answer.error_code == 0).then_some(())
    })
    .await?;
    // Each partition of the topic is loaded by itself.
    for group in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        wait_for("a loaded coordinator", Duration::from_secs(20), || async {
            let request = DescribeGroupsRequest::default().with_groups(vec![GroupId(group.into())]);
            let answer = story.peek(0, request).await.ok()?;
            (answer.groups[0].error_code == 0).then_some(())
        })
        .await?;
    }
    Ok(())
}
