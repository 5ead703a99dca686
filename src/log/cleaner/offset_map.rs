//! The last offset of each key in the dirty part of a log. Kafka 3.9: `SkimpyOffsetMap`.
//!
//! ```text
//! slot, 24 bytes: 16 bytes hash of the key | i64 offset + 1, 0 for an empty slot
//! ```
//!
//! Keys are known by 128 bits of SipHash under a random key of this clean's own: whoever writes records cannot make
//! two keys collide, and so erase a record with another (Kafka's MD5 lets them). The memory is mapped when a clean
//! begins, takes space only where it is touched, and goes back to the system when the clean is done; a short
//! dirty range maps no more than it may need.

use std::hash::Hasher;
use std::io;

use memmap2::MmapMut;
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::common::ids::Offset;

/// Bytes of a slot.
pub const SLOT_BYTES: usize = 24;
const HASH_BYTES: usize = 16;
/// Slots for each record that there may be, as far as the memory goes: probes stay short.
const SLOTS_PER_RECORD: u64 = 2;
/// No map is smaller, if the memory allows.
const SLOTS_MIN: u64 = 1024;

/// Keys and offsets, in a table with open addressing.
pub struct OffsetMap {
    /// Slots that the configured memory has room for.
    capacity: usize,
    /// Keys that the map takes: `capacity` times the load factor.
    entries_max: usize,
    entries: usize,
    memory: Option<MmapMut>,
    hasher: SipHasher13,
    latest_offset: Offset,
}

/// What a put did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Put {
    /// The key's last offset is noted.
    Noted,
    /// The key is new and the map is full.
    Full,
}

impl OffsetMap {
    /// A map that takes `bytes` at the most, filled up to `load_factor`.
    pub fn new(bytes: usize, load_factor: f64) -> Self {
        let capacity = bytes / SLOT_BYTES;
        let entries_max = (capacity as f64 * load_factor.clamp(0.0, 1.0)) as usize;
        Self {
            capacity,
            // A table without an empty slot would be searched for ever.
            entries_max: entries_max.min(capacity.saturating_sub(1)),
            entries: 0,
            memory: None,
            hasher: SipHasher13::new(),
            latest_offset: -1,
        }
    }

    /// Empties the map for a range with `records_max` records at the most, under a new hash key.
    pub fn begin(&mut self, records_max: u64) -> io::Result<()> {
        self.end();
        let wanted = records_max.saturating_mul(SLOTS_PER_RECORD).max(SLOTS_MIN);
        let slots = (self.capacity as u64).min(wanted) as usize;
        self.memory = Some(MmapMut::map_anon(slots.max(1) * SLOT_BYTES)?);
        self.hasher = SipHasher13::new_with_key(&rand::random());
        Ok(())
    }

    /// Gives the memory back.
    pub fn end(&mut self) {
        self.memory = None;
        self.entries = 0;
        self.latest_offset = -1;
    }

    fn hash(&self, key: &[u8]) -> u128 {
        let mut hasher = self.hasher;
        hasher.write(key);
        hasher.finish128().into()
    }

    /// Notes that the last record with `key` is at `offset`; it is beyond all that were noted before.
    pub fn put(&mut self, key: &[u8], offset: Offset) -> Put {
        let hash = self.hash(key);
        let is_full = self.entries >= self.entries_max;
        let Some((slot, is_new)) = find(slots_mut(&mut self.memory), hash) else {
            return Put::Full;
        };
        if is_new && is_full {
            return Put::Full;
        }
        self.entries += usize::from(is_new);
        slot[..HASH_BYTES].copy_from_slice(&hash.to_be_bytes());
        slot[HASH_BYTES..].copy_from_slice(&(offset + 1).to_be_bytes());
        Put::Noted
    }

    /// Offset of the last record with `key`.
    pub fn get(&self, key: &[u8]) -> Option<Offset> {
        let hash = self.hash(key);
        let (slots, _) = self.memory.as_deref()?.as_chunks::<SLOT_BYTES>();
        let found = probes(slots.len(), hash)
            .map(|i| &slots[i])
            .find_map(|slot| match occupant(slot) {
                None => Some(None),
                Some((found, offset)) => (found == hash).then_some(Some(offset)),
            });
        found.flatten()
    }

    /// All records up to this offset are accounted for; -1 for none.
    pub fn latest_offset(&self) -> Offset {
        self.latest_offset
    }

    /// Says so.
    pub fn update_latest_offset(&mut self, offset: Offset) {
        self.latest_offset = self.latest_offset.max(offset);
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.entries
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// How many keys it takes.
    pub fn entries_max(&self) -> usize {
        self.entries_max
    }

    /// Keys per slot of the configured memory.
    pub fn utilization(&self) -> f64 {
        self.entries as f64 / self.capacity.max(1) as f64
    }
}

fn slots_mut(memory: &mut Option<MmapMut>) -> &mut [[u8; SLOT_BYTES]] {
    match memory {
        Some(memory) => memory.as_chunks_mut().0,
        None => &mut [],
    }
}

/// Hash and offset in a slot; `None` if it is empty.
#[inline]
fn occupant(slot: &[u8; SLOT_BYTES]) -> Option<(u128, Offset)> {
    let (hash, offset) = slot.split_first_chunk::<HASH_BYTES>()?;
    let offset = i64::from_be_bytes(*offset.first_chunk()?);
    (offset != 0).then(|| (u128::from_be_bytes(*hash), offset - 1))
}

/// The slots where a hash may be, in order: from the one in proportion to its upper half on.
#[inline]
fn probes(slots: usize, hash: u128) -> impl Iterator<Item = usize> {
    let first = (((hash >> 64) * slots as u128) >> 64) as usize;
    (first..slots).chain(0..first)
}

/// The slot of a hash, or the empty one that it would take, and whether that is new.
#[inline]
fn find(slots: &mut [[u8; SLOT_BYTES]], hash: u128) -> Option<(&mut [u8; SLOT_BYTES], bool)> {
    let (at, is_new) = probes(slots.len(), hash).find_map(|i| match occupant(&slots[i]) {
        None => Some((i, true)),
        Some((found, _)) => (found == hash).then_some((i, false)),
    })?;
    Some((&mut slots[at], is_new))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn map(slots: usize, load_factor: f64) -> OffsetMap {
        let mut map = OffsetMap::new(slots * SLOT_BYTES, load_factor);
        map.begin(u64::MAX).unwrap();
        map
    }

    #[test]
    fn a_full_map_takes_known_keys_only() {
        let mut map = map(10, 0.5);
        for (i, key) in [b"a", b"b", b"c", b"d", b"e"].into_iter().enumerate() {
            assert_eq!(map.put(key, i as i64), Put::Noted);
        }
        assert_eq!(map.put(b"f", 5), Put::Full);
        assert_eq!(map.put(b"a", 6), Put::Noted);
        assert_eq!(
            (map.get(b"a"), map.get(b"e"), map.get(b"f")),
            (Some(6), Some(4), None)
        );
        assert_eq!((map.len(), map.utilization()), (5, 0.5));
        map.end();
        assert_eq!((map.get(b"a"), map.len()), (None, 0));
        map.begin(1).unwrap();
        assert_eq!((map.get(b"a"), map.latest_offset()), (None, -1));
    }

    #[test]
    fn even_a_load_factor_of_one_leaves_a_slot_empty() {
        let mut map = map(4, 1.0);
        let puts: Vec<_> = (0..4u8).map(|i| map.put(&[i], 0)).collect();
        assert_eq!(puts, [Put::Noted, Put::Noted, Put::Noted, Put::Full]);
        assert_eq!(map.get(b"nobody"), None);
    }

    /// Two strings of Wang and Yu with the same MD5: Kafka's map takes them for one key.
    #[test]
    fn keys_with_the_same_md5_are_two() {
        let one = include_bytes!("testdata/md5-collision-1");
        let two = include_bytes!("testdata/md5-collision-2");
        assert_ne!(one, two);
        let mut map = map(100, 0.9);
        assert_eq!((map.put(one, 1), map.put(two, 2)), (Put::Noted, Put::Noted));
        assert_eq!((map.get(one), map.get(two)), (Some(1), Some(2)));
    }

    proptest! {
        #[test]
        fn the_map_is_a_map(puts in prop::collection::vec((any::<u8>(), 1usize..3), 0..400)) {
            let mut map = map(300, 0.9);
            let mut model = HashMap::new();
            for (offset, (byte, length)) in puts.into_iter().enumerate() {
                let key = vec![byte; length];
                if map.put(&key, offset as i64) == Put::Noted {
                    model.insert(key, offset as i64);
                }
            }
            prop_assert_eq!(map.len(), model.len());
            for byte in 0..=u8::MAX {
                for length in 1..3 {
                    let key = vec![byte; length];
                    prop_assert_eq!(map.get(&key), model.get(&key).copied());
                }
            }
        }
    }
}
