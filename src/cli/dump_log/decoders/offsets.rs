//! The records of `__consumer_offsets`, in the JSON of Kafka's tool. Kafka 3.9: `OffsetsMessageParser`,
//! `CoordinatorRecordSerde`, the generated `…JsonConverter` classes.
//!
//! [`crate::coordinator::group::log`] documents the layouts. This module adds the fields of each version, and the
//! subscriptions and assignments of consumers, which the coordinator does not decode.

use std::fmt::Display;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::decoded::{Decoded, KeyAndValue};
use super::fields::Fields;
use crate::coordinator::group::CONSUMER_PROTOCOL_TYPE;
use crate::coordinator::group::log::{
    GroupMetadataValue, Key, MemberValue, read_group_value, read_key, read_offset_value,
};
use crate::record::Record;

pub(super) fn decode(record: &Record<'_>) -> Result<KeyAndValue, String> {
    let key = record.key.ok_or("a record without a key")?;
    match decode_record(key, record.value) {
        Ok((key, value)) => Ok((Some(Decoded::Json(key)), Some(value))),
        Err(Unreadable::Unknown(version)) => {
            let text = format!(
                "Unknown record type {version} at offset {}, skipping.",
                record.offset
            );
            Ok((Some(Decoded::Text(text)), None))
        }
        // After the comma Kafka's tool prints the message of a Java exception, which is usually `null`.
        Err(Unreadable::Malformed(error)) => {
            let text = format!("Error at offset {}, skipping. {error}", record.offset);
            Ok((Some(Decoded::Text(text)), None))
        }
    }
}

enum Unreadable {
    Unknown(i16),
    Malformed(String),
}

fn malformed(error: impl Display) -> Unreadable {
    Unreadable::Malformed(error.to_string())
}

fn decode_record(key: &[u8], value: Option<&[u8]>) -> Result<(Value, Decoded), Unreadable> {
    let read = read_key(key).map_err(malformed)?;
    let data = match &read {
        Key::Offset {
            group,
            topic,
            partition,
        } => json!({ "group": group, "topic": topic, "partition": partition }),
        Key::Group { group } => json!({ "group": group }),
        Key::Unknown(version) => return Err(Unreadable::Unknown(*version)),
    };
    let key = json!({ "type": version_of(key)?.to_string(), "data": data });
    let Some(value) = value else {
        return Ok((key, Decoded::Text("<DELETE>".to_owned())));
    };
    let version = version_of(value)?;
    let data = match read {
        Key::Offset { .. } => offset_json(value, version)?,
        _ => group_json(&read_group_value(value).map_err(malformed)?, version),
    };
    let value = json!({ "version": version.to_string(), "data": data });
    Ok((key, Decoded::Json(value)))
}

/// The version that every key and value starts with.
fn version_of(bytes: &[u8]) -> Result<i16, Unreadable> {
    Fields(bytes).i16().ok_or_else(|| malformed("no version"))
}

fn offset_json(bytes: &[u8], version: i16) -> Result<Value, Unreadable> {
    let value = read_offset_value(bytes).map_err(malformed)?;
    let mut data = Map::new();
    data.insert("offset".into(), value.offset.into());
    if version >= 3 {
        data.insert("leaderEpoch".into(), value.leader_epoch.into());
    }
    data.insert("metadata".into(), (&*value.metadata).into());
    data.insert("commitTimestamp".into(), value.commit_timestamp_ms.into());
    if version == 1 {
        let expire_timestamp = value.expire_timestamp_ms.unwrap_or(-1);
        data.insert("expireTimestamp".into(), expire_timestamp.into());
    }
    Ok(data.into())
}

fn group_json(value: &GroupMetadataValue, version: i16) -> Value {
    let is_consumer = value.protocol_type == CONSUMER_PROTOCOL_TYPE;
    let mut data = Map::new();
    data.insert("protocolType".into(), value.protocol_type.as_str().into());
    data.insert("generation".into(), value.generation.into());
    data.insert("protocol".into(), value.protocol.as_deref().into());
    data.insert("leader".into(), value.leader.as_deref().into());
    if version >= 2 {
        data.insert(
            "currentStateTimestamp".into(),
            value.current_state_timestamp.into(),
        );
    }
    let members = value
        .members
        .iter()
        .map(|member| member_json(member, version, is_consumer));
    data.insert("members".into(), members.collect());
    data.into()
}

fn member_json(member: &MemberValue, version: i16, is_consumer: bool) -> Value {
    let mut data = Map::new();
    data.insert("memberId".into(), member.member_id.as_str().into());
    if version >= 3 {
        data.insert(
            "groupInstanceId".into(),
            member.group_instance_id.as_deref().into(),
        );
    }
    data.insert("clientId".into(), member.client_id.as_str().into());
    data.insert("clientHost".into(), member.client_host.as_str().into());
    if version >= 1 {
        data.insert("rebalanceTimeout".into(), member.rebalance_timeout_ms.into());
    }
    data.insert("sessionTimeout".into(), member.session_timeout_ms.into());
    // Bytes that only the clients can decode are printed in base64.
    let of_client = |bytes: &[u8], read: fn(&[u8]) -> Option<Value>| {
        let structure = if is_consumer { read(bytes) } else { None };
        structure.unwrap_or_else(|| STANDARD.encode(bytes).into())
    };
    data.insert(
        "subscription".into(),
        of_client(&member.subscription, subscription_json),
    );
    data.insert(
        "assignment".into(),
        of_client(&member.assignment, assignment_json),
    );
    data.into()
}

/// A `ConsumerProtocolSubscription`: `version:i16 topics:array of string user_data:bytes?
/// [1+ owned_partitions:array of {topic:string partitions:array of i32}] [2+ generation_id:i32] [3+ rack_id:string?]`.
fn subscription_json(bytes: &[u8]) -> Option<Value> {
    let mut fields = Fields(bytes);
    let version = fields.i16()?;
    let mut data = Map::new();
    let mut topics = Vec::new();
    for _ in 0..fields.count()? {
        topics.push(Value::from(fields.string()?));
    }
    data.insert("topics".into(), topics.into());
    data.insert("userData".into(), user_data_json(&mut fields)?);
    if version >= 1 {
        data.insert("ownedPartitions".into(), partitions_json(&mut fields)?);
    }
    if version >= 2 {
        data.insert("generationId".into(), fields.i32()?.into());
    }
    if version >= 3 {
        data.insert("rackId".into(), fields.nullable_string()?.into());
    }
    Some(data.into())
}

/// A `ConsumerProtocolAssignment`: `version:i16 assigned_partitions:array of {topic:string partitions:array of i32}
/// user_data:bytes?`.
fn assignment_json(bytes: &[u8]) -> Option<Value> {
    let mut fields = Fields(bytes);
    fields.i16()?;
    Some(json!({
        "assignedPartitions": partitions_json(&mut fields)?,
        "userData": user_data_json(&mut fields)?,
    }))
}

fn user_data_json(fields: &mut Fields<'_>) -> Option<Value> {
    Some(
        fields
            .nullable_bytes()?
            .map(|bytes| STANDARD.encode(bytes))
            .into(),
    )
}

fn partitions_json(fields: &mut Fields<'_>) -> Option<Value> {
    let mut topics = Vec::new();
    for _ in 0..fields.count()? {
        let topic = fields.string()?;
        let mut partitions = Vec::new();
        for _ in 0..fields.count()? {
            partitions.push(fields.i32()?);
        }
        topics.push(json!({ "topic": topic, "partitions": partitions }));
    }
    Some(topics.into())
}
