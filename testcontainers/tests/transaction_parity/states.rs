//! Stories that bring a transactional id to each state and send it all requests: from its producer, from producers with
//! earlier and later epochs, and from strangers.

use anyhow::Result;
use barnabas_testcontainers::parity::{Story, messages::*};

use crate::support::*;

/// Partitions that exist.
const SOME: Partitions = &[("t", &[0, 2])];

/// Sends the requests of producers that the coordinator always refuses, then requests of the producer itself that do
/// not change the state.
async fn refusals(story: &Story, state: &str) -> Result<()> {
    let id = format!("{state}-refuses");
    let producer = bring(story, &id, state).await?;
    let others = [
        ("a stranger", Producer::new(STRANGER, producer.epoch)),
        ("nobody", Producer::new(-1, -1)),
        ("an old epoch", producer.later(-1)),
        ("a future epoch", producer.later(1)),
    ];
    for (who, other) in others {
        for version in 0..=5 {
            let step = format!("{who} adds partitions in {state}");
            story.ask(&step, version, add(&id, version, other, SOME)).await?;
            if version >= 4 {
                let asked = add_many(vec![adding(&id, other, true, SOME)]);
                story.ask(&format!("{step}, only asking"), version, asked).await?;
            }
        }
        for version in 0..=4 {
            let step = format!("{who} adds offsets in {state}");
            story.ask(&step, version, add_offsets(&id, other, "g")).await?;
            for commit in [true, false] {
                let step = format!("{who} ends (commit: {commit}) in {state}");
                story.ask(&step, version, end(&id, other, commit)).await?;
            }
        }
        for version in 3..=5 {
            let is_stranger = other.id != producer.id && other.id >= 0;
            if is_stranger {
                let step = format!("{who} begins again in {state}");
                story.ask(&step, version, init_again(&id, other)).await?;
            }
        }
    }
    for version in 0..=5 {
        for partitions in [
            &[("t", &[0, 9] as &[i32]), ("nowhere", &[0, 1])] as Partitions,
            &[("nowhere", &[7])],
            &[("t", &[-1])],
            // Internal topics; the second does not exist.
            &[("t", &[0]), ("__transaction_state", &[0])],
            &[("__share_group_state", &[0]), ("nowhere", &[0])],
        ] {
            let step = format!("adding what may not be added in {state}: {partitions:?}");
            story
                .ask(&step, version, add(&id, version, producer, partitions))
                .await?;
        }
    }
    for version in 4..=5 {
        let asked: Partitions = &[("t", &[0, 1, 2]), ("stuck", &[0])];
        let asked = add_many(vec![adding(&id, producer, true, asked)]);
        story
            .ask(&format!("verifying in {state}"), version, asked)
            .await?;
    }
    story
        .ask(&format!("describing {state}"), 0, describe(&[&id, "nobody", ""]))
        .await?;
    let listing = ListTransactionsRequest::default().with_producer_id_filters(vec![ProducerId(producer.id)]);
    for version in 0..=1 {
        for states in [
            &[state] as &[&str],
            &["Dead", "PrepareEpochFence"],
            &["x", state, "x"],
        ] {
            let listing = listing
                .clone()
                .with_state_filters(states.iter().map(|state| text(state)).collect());
            story
                .ask(&format!("listing {states:?} in {state}"), version, listing)
                .await?;
        }
    }
    for duration_ms in [-2, 0, 1_000_000, i64::MAX] {
        let listing = listing.clone().with_duration_filter(duration_ms);
        let step = format!("listing what takes {duration_ms} ms in {state}");
        // With a filter of 0 ms the answer depends on whether a millisecond has passed since the transaction began.
        if duration_ms != 0 || state == "Empty" {
            story.ask(&step, 1, listing).await?;
        }
    }
    Ok(())
}

/// Waits until the markers are written, unless the state means that they cannot be written.
async fn settle(story: &Story, id: &str, state: &str) -> Result<()> {
    if state.starts_with("Prepare") {
        return Ok(());
    }
    let step = format!("{id} to be settled");
    barnabas_testcontainers::wait::wait_for(&step, LIMIT, || async {
        let answer = story.peek(0, describe(&[id])).await.ok()?;
        (!answer.transaction_states[0]
            .transaction_state
            .starts_with("Prepare"))
        .then_some(())
    })
    .await
}

/// The requests that the producer may send. Each version gets a separate transactional id.
#[derive(Clone, Copy, Debug)]
enum Event {
    Begin,
    BeginAgain { epochs_later: i16 },
    Add,
    AddNothing,
    AddOffsets,
    End { commit: bool },
}

impl Event {
    fn versions(self) -> std::ops::RangeInclusive<i16> {
        match self {
            Self::BeginAgain { .. } => 3..=5,
            Self::Begin | Self::Add | Self::AddNothing => 0..=5,
            Self::AddOffsets | Self::End { .. } => 0..=4,
        }
    }

    async fn happen(
        self,
        story: &Story,
        step: &str,
        version: i16,
        id: &str,
        producer: Producer,
    ) -> Result<()> {
        match self {
            Self::Begin => drop(story.ask(step, version, init(Some(id), 1000)).await?),
            Self::BeginAgain { epochs_later } => {
                let request = init_again(id, producer.later(epochs_later));
                drop(story.ask(step, version, request).await?);
            }
            Self::Add => drop(story.ask(step, version, add(id, version, producer, SOME)).await?),
            Self::AddNothing => drop(story.ask(step, version, add(id, version, producer, &[])).await?),
            Self::AddOffsets => drop(story.ask(step, version, add_offsets(id, producer, "g")).await?),
            Self::End { commit } => drop(story.ask(step, version, end(id, producer, commit)).await?),
        }
        Ok(())
    }
}

const EVENTS: [Event; 9] = [
    Event::Begin,
    Event::BeginAgain { epochs_later: 0 },
    Event::BeginAgain { epochs_later: -1 },
    Event::BeginAgain { epochs_later: 1 },
    Event::Add,
    Event::AddNothing,
    Event::AddOffsets,
    Event::End { commit: true },
    Event::End { commit: false },
];

/// Sends each event twice.
async fn events(story: &Story, state: &str) -> Result<()> {
    for (number, event) in EVENTS.into_iter().enumerate() {
        for version in event.versions() {
            let id = format!("{state}-{number}-{version}");
            let producer = bring(story, &id, state).await?;
            for again in ["", " again"] {
                let step = format!("{event:?}{again} in {state}");
                event.happen(story, &step, version, &id, producer).await?;
                settle(story, &id, state).await?;
                story
                    .ask(&format!("then, after {step}"), 0, describe(&[&id]))
                    .await?;
            }
        }
    }
    Ok(())
}

pub async fn in_state(story: Story, state: &'static str) -> Result<()> {
    refusals(&story, state).await?;
    events(&story, state).await
}

/// Transactional ids that do not exist or are not valid.
pub async fn unknown(story: Story) -> Result<()> {
    let producer = Producer::new(7, 0);
    for id in ["unknown", ""] {
        for version in 0..=5 {
            story
                .ask("adding to nothing", version, add(id, version, producer, SOME))
                .await?;
            if version >= 4 {
                let asked = add_many(vec![adding(id, producer, true, SOME)]);
                story.ask("verifying nothing", version, asked).await?;
            }
        }
        for version in 0..=4 {
            story
                .ask(
                    "adding offsets to nothing",
                    version,
                    add_offsets(id, producer, "g"),
                )
                .await?;
            for group in ["", "\u{e4}\u{1f600}"] {
                let request = add_offsets(id, producer, group);
                story.ask("adding a strange group", version, request).await?;
            }
            for commit in [true, false] {
                story
                    .ask("ending nothing", version, end(id, producer, commit))
                    .await?;
            }
        }
    }
    for version in 4..=5 {
        let some = vec![
            adding("unknown", producer, true, SOME),
            adding("unknown too", producer, false, SOME),
            adding("third", producer, true, &[("nowhere", &[0]), ("t", &[0])]),
            adding("", producer, false, SOME),
        ];
        story.ask("several", version, add_many(some)).await?;
    }
    for version in 0..=5 {
        for timeout_ms in [0, -1, 1, 900_000, 900_001, i32::MAX, i32::MIN] {
            let step = format!("beginning with {timeout_ms} ms");
            for id in [Some("begins"), Some(""), None] {
                let step = format!("{step} as {id:?}");
                story.ask(&step, version, init(id, timeout_ms)).await?;
            }
        }
        if version >= 3 {
            for (id, epoch) in [(7, -1), (-1, 0), (-2, -2), (7, 3), (STRANGER, i16::MAX)] {
                let id_of = format!("unknown-{version}-{id}-{epoch}");
                let step = format!("an unknown id of {id} {epoch}");
                let request = init_again(&id_of, Producer::new(id, epoch));
                story.ask(&step, version, request.clone()).await?;
                story
                    .ask(&format!("{step} again"), version, request.clone())
                    .await?;
                let anonymous = request.with_transactional_id(None);
                story
                    .ask(&format!("none of {id} {epoch}"), version, anonymous)
                    .await?;
            }
        }
    }
    for id in ["\u{e4}\u{1f600}\u{0}", &"x".repeat(30_000)] {
        let producer = bring(&story, id, "Ongoing").await?;
        story
            .ask("ending a strange id", 3, end(id, producer, true))
            .await?;
        until(&story, id, "CompleteCommit").await?;
    }
    Ok(())
}

/// Transactions that exceed their timeout.
pub async fn late(story: Story) -> Result<()> {
    for (id, partitions, state) in [
        ("late", SOME, "CompleteAbort"),
        ("late-and-stuck", STUCK, "PrepareAbort"),
    ] {
        let producer = Producer::of(&story.ask("a short one", 4, init(Some(id), 1)).await?);
        if partitions == STUCK {
            block(&story, producer).await?;
        }
        story
            .ask("which begins", 3, add(id, 3, producer, partitions))
            .await?;
        until(&story, id, state).await?;
        story.ask("is aborted", 0, describe(&[id])).await?;
        for version in 0..=4 {
            for commit in [true, false] {
                story
                    .ask("and ended too late", version, end(id, producer, commit))
                    .await?;
            }
            story
                .ask("or added to", version, add(id, version, producer, SOME))
                .await?;
        }
        for version in 3..=5 {
            let again = init_again(id, producer);
            story.ask("its producer begins again", version, again).await?;
        }
        story.ask("another begins", 4, init(Some(id), LONG_MS)).await?;
        story.ask("after that", 0, describe(&[id])).await?;
    }
    let short = story.ask("an idle one", 4, init(Some("idle"), 1)).await?;
    story.ask("is not aborted", 0, describe(&["idle"])).await?;
    let producer = Producer::of(&short);
    story.ask("nor ended", 3, end("idle", producer, true)).await?;
    Ok(())
}
