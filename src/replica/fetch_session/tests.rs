//! Tests incremental fetch sessions and the limits of their cache.

use std::sync::Arc;

use super::*;
use crate::common::ids::TopicPartition;

const ID: TopicId = TopicId::from_u128(7);

fn wanted(partition: i32, offset: Offset) -> FetchPartition {
    FetchPartition {
        topic_partition: TopicPartition::new("t", partition),
        topic_id: ID,
        fetch_offset: offset,
        log_start_offset: -1,
        max_bytes: 100,
        current_leader_epoch: Some(3),
        last_fetched_epoch: None,
    }
}

fn request(session_id: i32, epoch: i32, partitions: Vec<FetchPartition>) -> SessionRequest {
    SessionRequest {
        session_id,
        epoch,
        uses_topic_ids: true,
        is_from_follower: false,
        partitions,
        forgotten: Vec::new(),
    }
}

/// The answer of an empty partition with this high watermark.
fn data(high_watermark: Offset) -> FetchPartitionData {
    FetchPartitionData {
        high_watermark,
        last_stable_offset: high_watermark,
        log_start_offset: 0,
        ..FetchPartitionData::error(ErrorCode::None)
    }
}

fn records(high_watermark: Offset) -> FetchPartitionData {
    let file = std::fs::File::open("/dev/null").expect("there is a null device");
    let records = crate::common::file_range::FileRange {
        file: Arc::new(file),
        position: 0,
        length: 10,
    };
    FetchPartitionData {
        records: Some(records),
        ..data(high_watermark)
    }
}

struct Fetcher<'a> {
    cache: &'a FetchSessionCache,
    now_ms: i64,
}

impl Fetcher<'_> {
    /// Makes one request, whose partitions answer as `answer` says.
    fn fetch(
        &self,
        request: SessionRequest,
        answer: impl Fn(&FetchPartition) -> FetchPartitionData,
    ) -> Result<(i32, Vec<i32>), ErrorCode> {
        let context = self
            .cache
            .context(request, &MetadataSnapshot::default(), self.now_ms)?;
        let results: Vec<_> = context
            .partitions()
            .iter()
            .map(|p| (p.clone(), answer(p)))
            .collect();
        let response = self.cache.respond(context, &results, self.now_ms)?;
        let index = |&i: &usize| results[i].0.topic_partition.partition;
        Ok((response.session_id, response.selected.iter().map(index).collect()))
    }
}

fn fetcher(cache: &FetchSessionCache) -> Fetcher<'_> {
    Fetcher { cache, now_ms: 1_000 }
}

#[test]
fn an_incremental_response_has_only_what_changed() {
    let cache = FetchSessionCache::new(10);
    let fetcher = fetcher(&cache);
    let (id, all) = fetcher
        .fetch(request(0, 0, vec![wanted(0, 0), wanted(1, 0)]), |_| data(5))
        .unwrap();
    assert!(id > 0);
    assert_eq!(all, [0, 1]);
    assert_eq!(
        fetcher.fetch(request(id, 1, vec![]), |_| data(5)),
        Ok((id, vec![]))
    );
    let one_moved = |p: &FetchPartition| data(5 + i64::from(p.topic_partition.partition));
    assert_eq!(
        fetcher.fetch(request(id, 2, vec![]), one_moved),
        Ok((id, vec![1]))
    );
    let failing = |p: &FetchPartition| match p.topic_partition.partition {
        0 => FetchPartitionData::error(ErrorCode::NotLeaderOrFollower),
        _ => data(6),
    };
    assert_eq!(fetcher.fetch(request(id, 3, vec![]), failing), Ok((id, vec![0])));
    assert_eq!(
        fetcher.fetch(request(id, 4, vec![]), failing),
        Ok((id, vec![0])),
        "errors are repeated"
    );
    assert_eq!(
        fetcher.fetch(request(id, 5, vec![]), one_moved),
        Ok((id, vec![0])),
        "and the all-clear told"
    );
}

/// A follower ignores the high watermark in an answer that makes it truncate its log.
#[test]
fn the_high_watermark_is_told_again_after_a_diverging_epoch() {
    let cache = FetchSessionCache::new(10);
    let fetcher = fetcher(&cache);
    let diverging = |_: &FetchPartition| FetchPartitionData {
        diverging_epoch: Some((2, 4)),
        ..data(5)
    };
    let (id, _) = fetcher
        .fetch(request(0, 0, vec![wanted(0, 6)]), diverging)
        .unwrap();
    let cut = request(id, 1, vec![wanted(0, 5)]);
    assert_eq!(fetcher.fetch(cut, |_| data(5)), Ok((id, vec![0])));
    assert_eq!(
        fetcher.fetch(request(id, 2, vec![]), |_| data(5)),
        Ok((id, vec![]))
    );
}

#[test]
fn the_offsets_of_the_last_request_are_remembered() {
    let cache = FetchSessionCache::new(10);
    let fetcher = fetcher(&cache);
    let (id, _) = fetcher
        .fetch(request(0, 0, vec![wanted(0, 0), wanted(1, 0)]), |_| data(5))
        .unwrap();
    let context = cache
        .context(
            request(id, 1, vec![wanted(1, 40)]),
            &MetadataSnapshot::default(),
            1_000,
        )
        .unwrap();
    let offsets: Vec<_> = context
        .partitions()
        .iter()
        .map(|p| (p.fetch_offset, p.current_leader_epoch))
        .collect();
    assert_eq!(offsets, [(0, Some(3)), (40, Some(3))]);
}

#[test]
fn who_got_data_goes_to_the_end() {
    let cache = FetchSessionCache::new(10);
    let fetcher = fetcher(&cache);
    let partitions = (0..3).map(|p| wanted(p, 0)).collect();
    let (id, _) = fetcher.fetch(request(0, 0, partitions), |_| data(0)).unwrap();
    let first_has_data = |p: &FetchPartition| match p.topic_partition.partition {
        0 => records(1),
        _ => data(0),
    };
    assert_eq!(
        fetcher.fetch(request(id, 1, vec![]), first_has_data),
        Ok((id, vec![0]))
    );
    let context = cache
        .context(request(id, 2, vec![]), &MetadataSnapshot::default(), 1_000)
        .unwrap();
    let order: Vec<_> = context
        .partitions()
        .iter()
        .map(|p| p.topic_partition.partition)
        .collect();
    assert_eq!(order, [1, 2, 0]);
}

#[test]
fn what_is_wrong_with_a_session() {
    let cache = FetchSessionCache::new(10);
    let fetcher = fetcher(&cache);
    let (id, _) = fetcher
        .fetch(request(0, 0, vec![wanted(0, 0)]), |_| data(0))
        .unwrap();
    let by_name = SessionRequest {
        uses_topic_ids: false,
        ..request(id, 1, vec![])
    };
    assert_eq!(
        fetcher.fetch(by_name, |_| data(0)),
        Err(ErrorCode::FetchSessionTopicIdError)
    );
    for (session, epoch, expected) in [
        (id, 2, ErrorCode::InvalidFetchSessionEpoch),
        (id ^ 1, 1, ErrorCode::FetchSessionIdNotFound),
        (0, 1, ErrorCode::FetchSessionIdNotFound),
    ] {
        assert_eq!(
            fetcher.fetch(request(session, epoch, vec![]), |_| data(0)),
            Err(expected)
        );
    }
    assert_eq!(
        fetcher.fetch(request(id, FINAL_EPOCH, vec![wanted(0, 0)]), |_| data(0)),
        Ok((0, vec![0]))
    );
    assert_eq!(cache.sessions(), 0, "the final epoch closes it");
}

#[test]
fn two_requests_with_the_same_epoch_do_not_both_succeed() {
    let cache = FetchSessionCache::new(10);
    let fetcher = fetcher(&cache);
    let (id, _) = fetcher
        .fetch(request(0, 0, vec![wanted(0, 0)]), |_| data(0))
        .unwrap();
    let snapshot = MetadataSnapshot::default();
    let first = cache.context(request(id, 1, vec![]), &snapshot, 1_000).unwrap();
    let second = cache.context(request(id, 2, vec![]), &snapshot, 1_000).unwrap();
    assert_eq!(
        cache.respond(first, &[], 1_000),
        Err(ErrorCode::InvalidFetchSessionEpoch)
    );
    assert!(cache.respond(second, &[], 1_000).is_ok());
}

#[test]
fn forgetting_everything_closes_the_session() {
    let cache = FetchSessionCache::new(10);
    let fetcher = fetcher(&cache);
    let (id, _) = fetcher
        .fetch(request(0, 0, vec![wanted(0, 0), wanted(1, 0)]), |_| data(0))
        .unwrap();
    let forget = |partition| ForgottenPartition {
        topic: "".into(),
        topic_id: ID,
        partition,
    };
    let one = SessionRequest {
        forgotten: vec![forget(0)],
        ..request(id, 1, vec![])
    };
    assert_eq!(fetcher.fetch(one, |_| data(9)), Ok((id, vec![1])));
    assert_eq!(cache.cached_partitions(), 1);
    let other = SessionRequest {
        forgotten: vec![forget(1)],
        ..request(id, 2, vec![])
    };
    assert_eq!(fetcher.fetch(other, |_| data(9)), Ok((0, vec![])));
    assert_eq!((cache.sessions(), cache.cached_partitions()), (0, 0));
}

#[test]
fn a_topic_id_that_becomes_known_is_resolved() {
    let cache = FetchSessionCache::new(10);
    let fetcher = fetcher(&cache);
    let mut unknown = wanted(0, 0);
    unknown.topic_partition = TopicPartition::new("", 0);
    let unresolved = |_: &FetchPartition| FetchPartitionData::error(ErrorCode::UnknownTopicId);
    let (id, _) = fetcher.fetch(request(0, 0, vec![unknown]), unresolved).unwrap();
    let mut snapshot = MetadataSnapshot::default();
    snapshot.topic_names.insert(ID, "t".into());
    let context = cache.context(request(id, 1, vec![]), &snapshot, 1_000).unwrap();
    assert_eq!(
        context.partitions()[0].topic_partition,
        TopicPartition::new("t", 0)
    );
}

#[test]
fn the_cache_is_full_one_day() {
    struct Case {
        why: &'static str,
        old_is_follower: bool,
        old_partitions: i32,
        new_is_follower: bool,
        new_partitions: i32,
        idle_ms: i64,
        used_ms: i64,
        evicted: bool,
    }
    let case = |why, old, new, (idle_ms, used_ms), evicted| {
        let ((old_is_follower, old_partitions), (new_is_follower, new_partitions)) = (old, new);
        Case {
            why,
            old_is_follower,
            old_partitions,
            new_is_follower,
            new_partitions,
            idle_ms,
            used_ms,
            evicted,
        }
    };
    let (consumer, follower) = (|n| (false, n), |n| (true, n));
    let cases = [
        case("young and as good", consumer(2), consumer(2), (1, 0), false),
        case("young, though smaller", consumer(1), consumer(9), (1, 0), false),
        case(
            "a follower may evict a young consumer",
            consumer(9),
            follower(1),
            (1, 0),
            true,
        ),
        case(
            "but not a young follower",
            follower(1),
            follower(9),
            (1, 0),
            false,
        ),
        case(
            "old and smaller",
            consumer(1),
            consumer(2),
            (60_000, 60_001),
            true,
        ),
        case(
            "old, but as large",
            consumer(2),
            consumer(2),
            (60_000, 60_001),
            false,
        ),
        case(
            "old, but a follower",
            follower(1),
            consumer(9),
            (60_000, 60_001),
            false,
        ),
        case(
            "idle for long, whoever it is",
            follower(9),
            consumer(1),
            (120_001, 0),
            true,
        ),
    ];
    for c in cases {
        let cache = FetchSessionCache::new(1);
        let mut fetcher = fetcher(&cache);
        let open = |fetcher: &Fetcher<'_>, follower, partitions| {
            let partitions = (0..partitions).map(|p| wanted(p, 0)).collect();
            let request = SessionRequest {
                is_from_follower: follower,
                ..request(0, 0, partitions)
            };
            fetcher.fetch(request, |_| data(0)).unwrap().0
        };
        let old = open(&fetcher, c.old_is_follower, c.old_partitions);
        if c.used_ms > 0 {
            fetcher.now_ms += c.used_ms;
            fetcher.fetch(request(old, 1, vec![]), |_| data(0)).unwrap();
        }
        fetcher.now_ms += c.idle_ms;
        let new = open(&fetcher, c.new_is_follower, c.new_partitions);
        assert_eq!(new != INVALID_SESSION_ID, c.evicted, "{}", c.why);
        assert_eq!(cache.sessions(), 1, "{}", c.why);
    }
}

#[test]
fn the_last_mention_of_a_partition_counts() {
    let cache = FetchSessionCache::new(0);
    let partitions = vec![wanted(0, 1), wanted(1, 2), wanted(0, 3)];
    let context = cache
        .context(request(0, 0, partitions), &MetadataSnapshot::default(), 0)
        .unwrap();
    let offsets: Vec<_> = context.partitions().iter().map(|p| p.fetch_offset).collect();
    assert_eq!(offsets, [3, 2]);
    let results = [(wanted(0, 3), data(0)), (wanted(1, 2), data(0))];
    assert_eq!(
        cache.respond(context, &results, 0).unwrap().session_id,
        0,
        "no slots, no session"
    );
}

#[test]
fn epochs_wrap_around_past_those_with_a_meaning() {
    assert_eq!(
        (next_epoch(0), next_epoch(7), next_epoch(i32::MAX), next_epoch(-1)),
        (1, 8, 1, -1)
    );
}
