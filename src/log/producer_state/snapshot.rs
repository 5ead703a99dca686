//! The format of a `.snapshot` file: the producers of a log before the offset in the file's name. Kafka 3.9:
//! `ProducerStateManager.readSnapshot`, `writeSnapshot`.
//!
//! ```text
//!  0 i16 version 1
//!  2 u32 CRC-32C of byte 6 to the end
//!  6 i32 number of entries
//! 10 entries of 46 bytes: i64 producer id · i16 epoch · i32 last sequence · i64 last offset · i32 offset delta
//!    · i64 timestamp · i32 coordinator epoch · i64 first offset of the open transaction (-1: none)
//! ```

use std::collections::VecDeque;

use super::entry::{BatchMetadata, ProducerStateEntry};
use crate::common::ids::ProducerId;

const VERSION: i16 = 1;
const CRC_AT: usize = size_of::<i16>();
const COUNT_AT: usize = CRC_AT + size_of::<u32>();
const ENTRIES_AT: usize = COUNT_AT + size_of::<i32>();
const ENTRY_BYTES: usize = 4 * size_of::<i64>() + 3 * size_of::<i32>() + size_of::<i16>();
const NO_OFFSET: i64 = -1;
const NO_OFFSET_DELTA: i32 = 0;

const _: () = assert!(ENTRIES_AT == 10 && ENTRY_BYTES == 46);

/// The snapshot is corrupt; the log tries the previous one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("corrupt producer snapshot: {0}")]
pub struct CorruptSnapshot(pub String);

/// The file's bytes; producers in the order of their ids.
pub(super) fn encode<'a>(producers: impl Iterator<Item = (ProducerId, &'a ProducerStateEntry)>) -> Vec<u8> {
    let mut producers: Vec<_> = producers.collect();
    producers.sort_unstable_by_key(|(producer_id, _)| *producer_id);
    let mut bytes = Vec::with_capacity(ENTRIES_AT + producers.len() * ENTRY_BYTES);
    bytes.extend(VERSION.to_be_bytes());
    bytes.extend(0u32.to_be_bytes());
    bytes.extend((producers.len() as i32).to_be_bytes());
    for (producer_id, entry) in producers {
        let last = entry.batches.back();
        bytes.extend(producer_id.to_be_bytes());
        bytes.extend(entry.producer_epoch.to_be_bytes());
        bytes.extend(entry.last_sequence().to_be_bytes());
        bytes.extend(last.map_or(NO_OFFSET, |batch| batch.last_offset).to_be_bytes());
        bytes.extend(
            last.map_or(NO_OFFSET_DELTA, |batch| batch.offset_delta)
                .to_be_bytes(),
        );
        bytes.extend(entry.last_timestamp.to_be_bytes());
        bytes.extend(entry.coordinator_epoch.to_be_bytes());
        bytes.extend(entry.current_txn_first_offset.unwrap_or(NO_OFFSET).to_be_bytes());
    }
    let crc = crc32c::crc32c(&bytes[COUNT_AT..]);
    bytes[CRC_AT..COUNT_AT].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// The producers in a snapshot file.
pub fn decode(bytes: &[u8]) -> Result<Vec<(ProducerId, ProducerStateEntry)>, CorruptSnapshot> {
    let mut fields = Fields(bytes);
    let (Some(version), Some(crc), Some(count)) = (
        fields.take().map(i16::from_be_bytes),
        fields.take().map(u32::from_be_bytes),
        fields.take().map(i32::from_be_bytes),
    ) else {
        return Err(CorruptSnapshot(format!("{} bytes are too few", bytes.len())));
    };
    if version != VERSION {
        return Err(CorruptSnapshot(format!("unknown version {version}")));
    }
    let computed = crc32c::crc32c(&bytes[COUNT_AT..]);
    if crc != computed {
        return Err(CorruptSnapshot(format!(
            "checksum {computed:08x} instead of {crc:08x}"
        )));
    }
    let entries = fields
        .0
        .chunks_exact(ENTRY_BYTES)
        .take(usize::try_from(count).unwrap_or(usize::MAX));
    let entries: Option<Vec<_>> = entries.map(decode_entry).collect();
    match entries {
        Some(entries) if entries.len() as i64 == i64::from(count) => Ok(entries),
        _ => Err(CorruptSnapshot(format!(
            "{count} entries in {} bytes",
            bytes.len()
        ))),
    }
}

fn decode_entry(bytes: &[u8]) -> Option<(ProducerId, ProducerStateEntry)> {
    let mut fields = Fields(bytes);
    let producer_id = i64::from_be_bytes(fields.take()?);
    let producer_epoch = i16::from_be_bytes(fields.take()?);
    let last_sequence = i32::from_be_bytes(fields.take()?);
    let last_offset = i64::from_be_bytes(fields.take()?);
    let offset_delta = i32::from_be_bytes(fields.take()?);
    let timestamp = i64::from_be_bytes(fields.take()?);
    let coordinator_epoch = i32::from_be_bytes(fields.take()?);
    let current_txn_first_offset = i64::from_be_bytes(fields.take()?);
    let last = (last_offset >= 0).then_some(BatchMetadata {
        last_sequence,
        last_offset,
        offset_delta,
        timestamp,
    });
    let entry = ProducerStateEntry {
        producer_epoch,
        coordinator_epoch,
        last_timestamp: timestamp,
        current_txn_first_offset: (current_txn_first_offset >= 0).then_some(current_txn_first_offset),
        batches: VecDeque::from_iter(last),
    };
    Some((producer_id, entry))
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CAPTURED: [&[u8]; 2] = [
        include_bytes!("testdata/orders-0-00000000000000000100.snapshot"),
        include_bytes!("testdata/orders-1-00000000000000000024.snapshot"),
    ];

    fn encode_all(entries: &[(ProducerId, ProducerStateEntry)]) -> Vec<u8> {
        encode(entries.iter().map(|(producer_id, entry)| (*producer_id, entry)))
    }

    #[test]
    fn captured_snapshots_are_read_and_written_alike() {
        for bytes in CAPTURED {
            let entries = decode(bytes).unwrap();
            assert_eq!(entries.len(), (bytes.len() - ENTRIES_AT) / ENTRY_BYTES);
            for (producer_id, entry) in &entries {
                assert!(*producer_id >= 0 && entry.producer_epoch >= 0 && entry.last_timestamp > 0);
            }
            // Kafka writes the entries in no particular order.
            let again = encode_all(&entries);
            assert_eq!(decode(&again).unwrap().len(), entries.len());
            assert!(
                entries
                    .iter()
                    .all(|entry| decode(&again).unwrap().contains(entry))
            );
            if entries.is_sorted_by_key(|(producer_id, _)| *producer_id) {
                assert_eq!(again, bytes);
            }
        }
    }

    #[test]
    fn an_empty_snapshot_has_kafkas_bytes() {
        let bytes = encode_all(&[]);
        assert_eq!(bytes[..2], [0, 1]);
        assert_eq!(bytes[2..6], crc32c::crc32c(&[0; 4]).to_be_bytes());
        assert_eq!(bytes[6..], [0; 4]);
        assert_eq!(decode(&bytes), Ok(vec![]));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        for bytes in CAPTURED {
            for bit in 0..bytes.len() * 8 {
                let mut bytes = bytes.to_vec();
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert!(decode(&bytes).is_err(), "bit {bit}");
            }
            for cut in 0..bytes.len() {
                assert!(decode(&bytes[..cut]).is_err(), "{cut} bytes");
            }
        }
    }

    proptest! {
        #[test]
        fn lying_counts_are_refused(count in any::<i32>(), entries in 0usize..3) {
            let mut bytes = vec![0; ENTRIES_AT + entries * ENTRY_BYTES];
            bytes[1] = 1;
            bytes[COUNT_AT..ENTRIES_AT].copy_from_slice(&count.to_be_bytes());
            let crc = crc32c::crc32c(&bytes[COUNT_AT..]);
            bytes[CRC_AT..COUNT_AT].copy_from_slice(&crc.to_be_bytes());
            prop_assert_eq!(decode(&bytes).is_ok(), (0..=entries as i32).contains(&count));
        }
    }
}
