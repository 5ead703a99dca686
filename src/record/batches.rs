//! Iterator over the batches in a buffer. Kafka 3.9: `MemoryRecords`, `ByteBufferLogInputStream`.

use super::batch::RecordBatch;
use super::error::BatchError;

/// The batches that lie one after the other in a buffer.
///
/// An incomplete last batch ends the iteration without an error, as everywhere in Kafka: a fetch may cut a batch in
/// two. A corrupt batch is reported once, and ends the iteration. The caller has to check the checksums.
#[derive(Clone, Debug)]
pub struct RecordBatches<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> RecordBatches<'a> {
    /// An iterator over `bytes` from their start.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Bytes of the complete batches so far, which is the position of the next one. After the iteration: how many bytes
    /// are valid.
    pub fn valid_bytes(&self) -> usize {
        self.position
    }
}

impl<'a> Iterator for RecordBatches<'a> {
    type Item = Result<RecordBatch<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        match RecordBatch::parse(&self.bytes[self.position..]) {
            Ok(Some(batch)) => {
                self.position += batch.size_in_bytes();
                Some(Ok(batch))
            }
            Ok(None) => None,
            Err(error) => {
                self.bytes = &self.bytes[..self.position];
                Some(Err(error.at(self.position)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDERS_0: &[u8] = include_bytes!("testdata/orders-0.log");

    #[test]
    fn a_batch_cut_in_two_ends_the_walk_in_front_of_it() {
        let whole: Vec<_> = RecordBatches::new(ORDERS_0).map(Result::unwrap).collect();
        let last = whole.last().unwrap().size_in_bytes();
        for cut in 1..=last {
            let mut walk = RecordBatches::new(&ORDERS_0[..ORDERS_0.len() - cut]);
            assert_eq!(
                walk.by_ref().map(Result::unwrap).count(),
                whole.len() - 1,
                "cut by {cut}"
            );
            assert_eq!(walk.valid_bytes(), ORDERS_0.len() - last);
        }
    }

    #[test]
    fn a_corrupt_batch_is_reported_once_with_its_place() {
        let mut bytes = ORDERS_0.to_vec();
        let first = RecordBatch::parse(&bytes).unwrap().unwrap().size_in_bytes();
        bytes[first + crate::record::batch::MAGIC_AT] = 7;
        let mut walk = RecordBatches::new(&bytes);
        assert!(walk.next().unwrap().is_ok());
        assert_eq!(walk.next().unwrap().unwrap_err().position, first as u64);
        assert!(walk.next().is_none());
        assert_eq!(walk.valid_bytes(), first);
    }

    #[test]
    fn the_zeros_of_a_preallocated_file_are_corrupt() {
        let bytes = [ORDERS_0, &[0; 100]].concat();
        let mut walk = RecordBatches::new(&bytes);
        assert!(walk.by_ref().any(|batch| batch.is_err()));
        assert_eq!(walk.valid_bytes(), ORDERS_0.len());
    }
}
