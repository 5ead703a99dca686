//! Fetch (1): records for consumers and followers. Kafka 3.9: `KafkaApis.handleFetchRequest`.

use std::sync::Arc;
use std::time::Duration;

use super::current_leader::CurrentLeaders;
use super::declaration::{Check, Declaration, Refusal, Resource, Right, When};
use super::{Api, RequestContext};
use crate::cluster::FetchPartitionData;
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::common::file_range::FileRange;
use crate::common::ids::{NO_BROKER, Offset, TopicId, TopicName, TopicPartition};
use crate::config::CompressionType;
use crate::log::FetchIsolation;
use crate::metadata::MetadataSnapshot;
use crate::protocol::ApiKey;
use crate::protocol::Chunk;
use crate::protocol::fetch_response::{FetchPartitionResponse, FetchResponse, FetchTopicResponse};
use crate::protocol::messages::FetchRequest;
use crate::record::RecordBatches;
use crate::record::conversion::{Conversion, down_convert};
use crate::replica::fetch_session::{ForgottenPartition, SessionRequest};
use crate::replica::{ClientMetadata, FetchParams, FetchPartition, ReplicaManager};

/// Up to this version the limits on bytes hold for the first batch too.
const LAST_VERSION_WITH_HARD_LIMIT: i16 = 2;
/// Up to this version the client reads format 1 at most, and newer records are converted.
const LAST_VERSION_BEFORE_FORMAT_2: i16 = 3;
/// Up to this version the client reads format 0 only.
const LAST_VERSION_OF_FORMAT_0: i16 = 1;
/// Up to this version clients do not know KAFKA_STORAGE_ERROR.
const LAST_VERSION_WITHOUT_STORAGE_ERROR: i16 = 5;
const FIRST_VERSION_WITH_ZSTD: i16 = 10;
/// From this version on a consumer may read from a follower (KIP-392).
const FIRST_VERSION_FROM_FOLLOWERS: i16 = 11;
const FIRST_VERSION_WITH_TOPIC_IDS: i16 = 13;
const FIRST_VERSION_WITH_REPLICA_STATE: i16 = 15;
/// First version that names the current leader (KIP-951).
const FIRST_VERSION_WITH_CURRENT_LEADER: i16 = 16;
const READ_UNCOMMITTED: i8 = 0;
const READ_COMMITTED: i8 = 1;
/// The replica id with which a broker of Kafka fetches from itself, to move a replica to another log dir.
const FUTURE_LOCAL_REPLICA: i32 = -3;
/// How many reads may look for records that an old client can read.
const READS_FOR_OLD_CLIENTS_MAX: usize = 64;

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::Fetch,
    0..=17,
    &[
        Check::when(
            When::FromFollower,
            &[Right(AclOperation::ClusterAction, Resource::Cluster)],
            Refusal::AllEntries(ErrorCode::TopicAuthorizationFailed),
        ),
        Check::when(
            When::FromConsumer,
            &[Right(AclOperation::Read, Resource::Topic)],
            Refusal::Entry(ErrorCode::TopicAuthorizationFailed),
        ),
    ],
);

/// Answers one request.
pub async fn handle(api: &Api, context: &RequestContext, request: FetchRequest) -> FetchResponse {
    let replicas = &api.replicas;
    if !matches!(request.isolation_level, READ_UNCOMMITTED | READ_COMMITTED) {
        return refuse_all(&request, context.api_version);
    }
    let snapshot = replicas.metadata().snapshot();
    let params = params(replicas, context, &request);
    let session = session_request(context.api_version, &params, request, &snapshot);
    let sessions = replicas.fetch_sessions();
    let session = match sessions.context(session, &snapshot, replicas.monotonic_ms()) {
        Ok(session) => session,
        Err(error) => return FetchResponse::error(error),
    };
    let mut refused = Vec::new();
    let mut wanted = Vec::with_capacity(session.partitions().len());
    for fetch in session.partitions() {
        match check(replicas, context.api_version, &params, fetch, &snapshot) {
            Ok(()) => wanted.push(fetch.clone()),
            Err(error) => refused.push((fetch.clone(), refusal(error))),
        }
    }
    let data = replicas.fetch_records(&params, &wanted).await;
    let results: Vec<_> = wanted.into_iter().zip(data).chain(refused).collect();
    match sessions.respond(session, &results, replicas.monotonic_ms()) {
        Ok(chosen) => {
            let mut results: Vec<_> = results.into_iter().map(Some).collect();
            let selected = chosen.selected.into_iter();
            let selected = selected.filter_map(|index| results[index].take()).collect();
            let partitions = partition_responses(replicas, context.api_version, &params, selected).await;
            response(replicas, context, chosen.session_id, partitions)
        }
        Err(error) => FetchResponse::error(error),
    }
}

/// The answer to a request with an unknown isolation level. The error stands beside each partition too, in versions
/// that name topics.
fn refuse_all(request: &FetchRequest, version: i16) -> FetchResponse {
    let error = ErrorCode::UnknownServerError;
    let topics = request.topics.iter().map(|topic| FetchTopicResponse {
        name: topic.topic.as_str().into(),
        id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|wanted| FetchPartitionResponse {
                records_are_null: true,
                ..partition_response(wanted.partition, version, refusal(error))
            })
            .collect(),
    });
    let is_named = version < FIRST_VERSION_WITH_TOPIC_IDS;
    FetchResponse {
        topics: topics.filter(|_| is_named).collect(),
        ..FetchResponse::error(error)
    }
}

fn params(replicas: &ReplicaManager, context: &RequestContext, request: &FetchRequest) -> FetchParams {
    let version = context.api_version;
    let replica_id = match version {
        FIRST_VERSION_WITH_REPLICA_STATE.. => request.replica_state.replica_id.0,
        _ => request.replica_id.0,
    };
    let is_from_follower = replica_id >= 0;
    // Kafka's own tools fetch with other negative ids, such as -2. They are consumers too.
    let is_from_consumer = replica_id < 0 && replica_id != FUTURE_LOCAL_REPLICA;
    let max_bytes = usize::try_from(request.max_bytes.min(replicas.config().fetch_max_bytes)).unwrap_or(0);
    let min_bytes = usize::try_from(request.min_bytes).unwrap_or(0).min(max_bytes);
    FetchParams {
        replica_id,
        max_wait: Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)),
        min_bytes: min_bytes as u64,
        max_bytes,
        hard_max_bytes_limit: version <= LAST_VERSION_WITH_HARD_LIMIT,
        isolation: match request.isolation_level {
            _ if !is_from_consumer => FetchIsolation::LogEnd,
            READ_COMMITTED => FetchIsolation::TxnCommitted,
            _ => FetchIsolation::HighWatermark,
        },
        fetch_only_leader: is_from_follower || (is_from_consumer && version < FIRST_VERSION_FROM_FOLLOWERS),
        client: (!is_from_follower && version >= FIRST_VERSION_FROM_FOLLOWERS).then(|| ClientMetadata {
            rack: request.rack_id.to_string(),
            listener: context.listener.clone(),
        }),
    }
}

fn session_request(
    version: i16,
    params: &FetchParams,
    request: FetchRequest,
    snapshot: &MetadataSnapshot,
) -> SessionRequest {
    let uses_topic_ids = version >= FIRST_VERSION_WITH_TOPIC_IDS;
    let name = |id: TopicId, name: &str| match snapshot.topic_names.get(&id) {
        Some(name) if uses_topic_ids => name.clone(),
        None if uses_topic_ids => TopicName::from(""),
        _ => snapshot.topic_name(name),
    };
    let known = |epoch: i32| (epoch >= 0).then_some(epoch);
    let mut partitions = Vec::new();
    for topic in request.topics {
        let name = name(topic.topic_id, &topic.topic);
        partitions.extend(topic.partitions.iter().map(|wanted| FetchPartition {
            topic_partition: TopicPartition::new(name.clone(), wanted.partition),
            topic_id: topic.topic_id,
            fetch_offset: wanted.fetch_offset,
            log_start_offset: wanted.log_start_offset,
            max_bytes: wanted.partition_max_bytes,
            current_leader_epoch: known(wanted.current_leader_epoch),
            last_fetched_epoch: known(wanted.last_fetched_epoch),
        }));
    }
    let mut forgotten = Vec::new();
    for topic in request.forgotten_topics_data {
        let name = name(topic.topic_id, &topic.topic);
        forgotten.extend(topic.partitions.iter().map(|&partition| ForgottenPartition {
            topic: name.clone(),
            topic_id: topic.topic_id,
            partition,
        }));
    }
    SessionRequest {
        session_id: request.session_id,
        epoch: request.session_epoch,
        uses_topic_ids,
        is_from_follower: params.is_from_follower(),
        partitions,
        forgotten,
    }
}

/// Checks a partition before its log is read.
fn check(
    replicas: &ReplicaManager,
    version: i16,
    params: &FetchParams,
    fetch: &FetchPartition,
    snapshot: &MetadataSnapshot,
) -> Result<(), ErrorCode> {
    let name = &fetch.topic_partition;
    if name.topic.is_empty() && version >= FIRST_VERSION_WITH_TOPIC_IDS {
        return Err(ErrorCode::UnknownTopicId);
    }
    if snapshot.partition(&name.topic, name.partition).is_none() {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    if version < FIRST_VERSION_WITH_ZSTD
        && let Some(log) = replicas
            .partition(name)
            .ok()
            .and_then(|partition| partition.log())
    {
        let config = log.config();
        if config.compression_type == CompressionType::Zstd {
            return Err(ErrorCode::UnsupportedCompressionType);
        }
        let refuses_conversion = !config.message_downconversion_enable && !params.is_from_follower();
        if version <= LAST_VERSION_BEFORE_FORMAT_2 && refuses_conversion {
            return Err(ErrorCode::UnsupportedVersion);
        }
    }
    Ok(())
}

/// Makes the responses about partitions. Their records are ranges of files; for an old client they are converted, in
/// memory.
async fn partition_responses(
    replicas: &Arc<ReplicaManager>,
    version: i16,
    params: &FetchParams,
    results: Vec<(FetchPartition, FetchPartitionData)>,
) -> Vec<(FetchPartition, FetchPartitionResponse)> {
    let mut conversion = Conversion::default();
    let mut responses = Vec::with_capacity(results.len());
    for (fetch, mut data) in results {
        let chunks = match data.records.take() {
            None => Ok(Vec::new()),
            Some(records) if version > LAST_VERSION_BEFORE_FORMAT_2 => Ok(vec![Chunk::File(records)]),
            Some(records) => {
                let converted = converted(replicas, version, params, &fetch, records).await;
                converted.map(|(bytes, of_partition)| {
                    replicas
                        .topic_metrics()
                        .converted_for_fetch(&fetch.topic_partition.topic, &of_partition);
                    conversion += of_partition;
                    vec![Chunk::Bytes(bytes.into())]
                })
            }
        };
        let (data, records) = match chunks {
            Ok(chunks) => (data, chunks),
            Err(error) => (refusal(error), Vec::new()),
        };
        let partition = fetch.topic_partition.partition;
        let response = FetchPartitionResponse {
            records,
            ..partition_response(partition, version, data)
        };
        responses.push((fetch, response));
    }
    replicas.topic_metrics().fetch_conversions.record(&conversion);
    responses
}

/// A partition that was not read has an empty list of aborted transactions, one whose read failed has none.
fn refusal(error: ErrorCode) -> FetchPartitionData {
    FetchPartitionData {
        aborted_transactions: Some(Vec::new()),
        ..FetchPartitionData::error(error)
    }
}

/// Converts records for an old client. The old formats have no control batches, so nothing may be left; then the broker
/// reads on, because the client would ask for the same range again and again. (Kafka sends half a message then, and
/// clients give up.)
async fn converted(
    replicas: &Arc<ReplicaManager>,
    version: i16,
    params: &FetchParams,
    fetch: &FetchPartition,
    records: FileRange,
) -> Result<(Vec<u8>, Conversion), ErrorCode> {
    let begun_ms = replicas.monotonic_ms();
    let limit = replicas.config().socket_request_max_bytes;
    let at_once = FetchParams {
        max_wait: Duration::ZERO,
        ..params.clone()
    };
    let mut fetch = fetch.clone();
    let mut next = Some(records);
    for _ in 0..READS_FOR_OLD_CLIENTS_MAX {
        let Some(records) = next.take() else { break };
        let offset = fetch.fetch_offset;
        let work = tokio::task::spawn_blocking(move || down_converted(&records, version, offset, limit));
        let (bytes, end, mut conversion) = work.await.unwrap_or_else(|failure| {
            tracing::error!(%failure, "records were not converted for an old client");
            Err(ErrorCode::UnknownServerError)
        })?;
        if !bytes.is_empty() || end <= offset {
            let millis = replicas.monotonic_ms() - begun_ms;
            conversion.time = Duration::from_millis(millis.try_into().unwrap_or(0));
            return Ok((bytes, conversion));
        }
        fetch.fetch_offset = end;
        let data = replicas
            .fetch_records(&at_once, std::slice::from_ref(&fetch))
            .await;
        next = data.into_iter().next().and_then(|data| data.records);
    }
    Ok((Vec::new(), Conversion::default()))
}

/// Messages in the format of `version`, and the offset after the last batch that was converted.
fn down_converted(
    range: &FileRange,
    version: i16,
    first_offset: Offset,
    limit: usize,
) -> Result<(Vec<u8>, Offset, Conversion), ErrorCode> {
    let records = range.read().map_err(|error| {
        tracing::error!(%error, "records cannot be read for conversion");
        ErrorCode::UnknownServerError
    })?;
    let format = if version <= LAST_VERSION_OF_FORMAT_0 { 0 } else { 1 };
    let (converted, conversion) =
        down_convert(&records, format, first_offset, limit).map_err(|invalid| invalid.code)?;
    let last = RecordBatches::new(&records).map_while(Result::ok).last();
    let end = last.map_or(first_offset, |batch| batch.next_offset());
    Ok((converted, end, conversion))
}

fn response(
    replicas: &ReplicaManager,
    context: &RequestContext,
    session_id: i32,
    partitions: Vec<(FetchPartition, FetchPartitionResponse)>,
) -> FetchResponse {
    let version = context.api_version;
    let mut leaders = CurrentLeaders::new(replicas, &context.listener);
    let mut topics: Vec<FetchTopicResponse> = Vec::new();
    for (fetch, mut partition) in partitions {
        let name = &fetch.topic_partition;
        if version >= FIRST_VERSION_WITH_CURRENT_LEADER {
            partition.current_leader = leaders.hint(partition.error, name);
        }
        match topics.last_mut() {
            Some(topic) if topic.name == name.topic && topic.id == fetch.topic_id => {
                topic.partitions.push(partition);
            }
            _ => topics.push(FetchTopicResponse {
                name: name.topic.clone(),
                id: fetch.topic_id,
                partitions: vec![partition],
            }),
        }
    }
    FetchResponse {
        throttle_time_ms: 0,
        error: ErrorCode::None,
        session_id,
        topics,
        node_endpoints: leaders.into_nodes().collect(),
    }
}

fn partition_response(index: i32, version: i16, data: FetchPartitionData) -> FetchPartitionResponse {
    FetchPartitionResponse {
        index,
        error: match data.error {
            ErrorCode::KafkaStorageError if version <= LAST_VERSION_WITHOUT_STORAGE_ERROR => {
                ErrorCode::NotLeaderOrFollower
            }
            error => error,
        },
        high_watermark: data.high_watermark,
        last_stable_offset: data.last_stable_offset,
        log_start_offset: data.log_start_offset,
        diverging_epoch: data.diverging_epoch,
        current_leader: None,
        aborted_transactions: data.aborted_transactions,
        preferred_read_replica: data.preferred_read_replica.unwrap_or(NO_BROKER),
        records: Vec::new(),
        records_are_null: matches!(
            data.error,
            ErrorCode::UnsupportedCompressionType | ErrorCode::UnsupportedVersion
        ),
    }
}
