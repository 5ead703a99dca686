//! The record formats and codecs that each version of a Produce request allows. Kafka 3.9:
//! `ProduceRequest.validateRecords`.

use super::batch::CURRENT_MAGIC;
use super::batches::RecordBatches;
use super::compression::Compression;
use super::error::InvalidRecords;
use crate::common::error::ErrorCode;

/// First Produce version with format 2.
const FIRST_VERSION_WITH_BATCHES: i16 = 3;
/// First Produce version with zstd.
const FIRST_VERSION_WITH_ZSTD: i16 = 7;

/// Refuses records that a Produce request of this version may not contain. The caller checks this before it appends.
pub fn validate_produce_version(version: i16, records: &[u8]) -> Result<(), InvalidRecords> {
    if version < FIRST_VERSION_WITH_BATCHES {
        return Ok(());
    }
    let mut batches = RecordBatches::new(records);
    let Some(batch) = batches.next().transpose()? else {
        return Err(InvalidRecords::invalid("there must be one record batch"));
    };
    if batch.magic() != CURRENT_MAGIC {
        return Err(InvalidRecords::invalid(format!(
            "format {} in Produce version {version}",
            batch.magic()
        )));
    }
    if version < FIRST_VERSION_WITH_ZSTD && batch.compression() == Ok(Compression::Zstd) {
        let message = format!("zstd in Produce version {version}");
        return Err(InvalidRecords::new(
            ErrorCode::UnsupportedCompressionType,
            message,
        ));
    }
    match batches.next().transpose()? {
        Some(_) => Err(InvalidRecords::invalid("there must be exactly one record batch")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::BatchBuilder;
    use crate::record::testing::legacy_message;

    fn batch(codec: Compression) -> bytes::Bytes {
        let mut builder = BatchBuilder::new(0).compression(codec, None);
        builder.append(5, None, Some(b"v"), &[]);
        builder.build()
    }

    #[test]
    fn produce_versions_allow_what_they_knew() {
        let old = legacy_message(0, 1, 5, None, None);
        let new = batch(Compression::Gzip);
        let zstd = batch(Compression::Zstd);
        let two = [&new[..], &new].concat();
        let refused = |version, records: &[u8]| {
            validate_produce_version(version, records)
                .err()
                .map(|error| error.code)
        };
        for version in 0..3 {
            assert_eq!(refused(version, &old), None);
            assert_eq!(refused(version, &[]), None);
        }
        for version in 3..12 {
            assert_eq!(refused(version, &new), None);
            for bad in [&old[..], &two, &[], &new[..30]] {
                assert_eq!(refused(version, bad), Some(ErrorCode::InvalidRecord));
            }
            let expected = (version < 7).then_some(ErrorCode::UnsupportedCompressionType);
            assert_eq!(refused(version, &zstd), expected);
        }
    }
}
