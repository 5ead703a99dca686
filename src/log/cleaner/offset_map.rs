//! The offset map: the last offset of each key in the dirty part of a log. Kafka 3.9: `SkimpyOffsetMap`.
//!
//! ```text
//! slot, 24 bytes: 16 bytes hash of the key | i64 offset + 1, 0 for an empty slot
//! ```
//!
//! The map identifies a key by 128 bits of SipHash with a random key for each clean. A producer therefore cannot make
//! two keys collide, and so erase a record with another one (with Kafka's MD5 it can).
//!
//! The memory is mapped when a clean begins and unmapped when it ends. The map uses the slots from the start of the
//! memory: few at first, and twice as many whenever half of them are taken. Unused memory is never touched and takes no
//! space, and a map with few keys stays in the processor's caches however many records there are.

use std::hash::Hasher;
use std::io;

use memmap2::{Advice, MmapMut};
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::common::ids::Offset;

/// How many keys are looked up together, so that their slots are fetched in parallel.
pub const KEYS_AT_A_TIME: usize = 128;
/// Bytes of a slot.
pub const SLOT_BYTES: usize = 24;
const HASH_BYTES: usize = 16;
/// Slots in use at the start.
const SLOTS_AT_FIRST: usize = 1 << 14;
/// Slots for each possible record, as far as the memory allows: this keeps probes short.
const SLOTS_PER_RECORD: u64 = 2;

type Slot = [u8; SLOT_BYTES];
const EMPTY: Slot = [0; SLOT_BYTES];

/// Keys and offsets, in a table with open addressing.
pub struct OffsetMap {
    /// Number of slots that fit into the configured memory.
    capacity: usize,
    /// Largest number of keys: `capacity` times the load factor.
    entries_max: usize,
    entries: usize,
    memory: Option<MmapMut>,
    /// Slots in use, counted from the start of the memory.
    slots: usize,
    hasher: SipHasher13,
    latest_offset: Offset,
}

/// The hash of a key in this clean.
#[derive(Clone, Copy, Debug)]
pub struct KeyHash(u128);

/// The result of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Put {
    /// The key's last offset is stored.
    Noted,
    /// The key is new and the map is full.
    Full,
}

impl OffsetMap {
    /// A map of at most `bytes`, filled up to `load_factor`.
    pub fn new(bytes: usize, load_factor: f64) -> Self {
        let capacity = bytes / SLOT_BYTES;
        let entries_max = (capacity as f64 * load_factor.clamp(0.0, 1.0)) as usize;
        Self {
            capacity,
            // Without an empty slot a search would not end.
            entries_max: entries_max.min(capacity.saturating_sub(1)),
            entries: 0,
            memory: None,
            slots: 0,
            hasher: SipHasher13::new(),
            latest_offset: -1,
        }
    }

    /// Empties the map for a range with at most `records_max` records, under a new hash key.
    pub fn begin(&mut self, records_max: u64) -> io::Result<()> {
        self.end();
        let wanted = records_max
            .saturating_mul(SLOTS_PER_RECORD)
            .max(SLOTS_AT_FIRST as u64);
        let mapped = (self.capacity as u64).min(wanted).max(1) as usize;
        let memory = MmapMut::map_anon(mapped * SLOT_BYTES)?;
        // Huge pages cause fewer misses in lookups; not every system supports them.
        let _ = memory.advise(Advice::HugePage);
        self.memory = Some(memory);
        self.slots = mapped.min(SLOTS_AT_FIRST);
        self.hasher = SipHasher13::new_with_key(&rand::random());
        Ok(())
    }

    /// Unmaps the memory.
    pub fn end(&mut self) {
        self.memory = None;
        self.slots = 0;
        self.entries = 0;
        self.latest_offset = -1;
    }

    /// The hash of a key in this clean.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> KeyHash {
        let mut hasher = self.hasher;
        hasher.write(key);
        KeyHash(hasher.finish128().into())
    }

    /// Prefetches the slots of these keys together, before they are looked up one by one.
    pub fn touch(&self, keys: impl Iterator<Item = KeyHash>) {
        let slots = self.slots();
        if slots.is_empty() {
            return;
        }
        let bytes = keys.map(|KeyHash(hash)| slots[home(hash, slots.len())][0]);
        std::hint::black_box(bytes.fold(0, |all, byte| all ^ byte));
    }

    /// Stores `offset` as the last offset of this key. It must be above all offsets stored before.
    pub fn put(&mut self, KeyHash(hash): KeyHash, offset: Offset) -> Put {
        let entry = encode(hash, offset);
        match locate(self.slots(), hash) {
            Place::Taken(at, _) => self.slots_mut()[at] = entry,
            Place::Free(_) | Place::Nowhere if self.entries >= self.entries_max => return Put::Full,
            Place::Free(at) => {
                self.slots_mut()[at] = entry;
                self.entries += 1;
                if self.entries * 2 > self.slots {
                    self.grow();
                }
            }
            Place::Nowhere => return Put::Full,
        }
        Put::Noted
    }

    /// [`Self::put`] for some keys, until one does not fit; empties `keys`.
    pub fn put_all(&mut self, keys: &mut Vec<(KeyHash, Offset)>) -> Put {
        self.touch(keys.iter().map(|(key, _)| *key));
        let is_full = keys
            .drain(..)
            .any(|(key, offset)| self.put(key, offset) == Put::Full);
        if is_full { Put::Full } else { Put::Noted }
    }

    /// Offset of the last record with this key.
    pub fn get(&self, KeyHash(hash): KeyHash) -> Option<Offset> {
        match locate(self.slots(), hash) {
            Place::Taken(_, offset) => Some(offset),
            Place::Free(_) | Place::Nowhere => None,
        }
    }

    fn slots(&self) -> &[Slot] {
        let all = self
            .memory
            .as_deref()
            .map_or(&[][..], |memory| memory.as_chunks().0);
        &all[..self.slots]
    }

    fn slots_mut(&mut self) -> &mut [Slot] {
        let all = match &mut self.memory {
            Some(memory) => memory.as_chunks_mut().0,
            None => &mut [],
        };
        &mut all[..self.slots]
    }

    /// Doubles the slots in use, up to the capacity, without a second table. With more slots the place of a hash is
    /// never before its old place, so the loop moves entries from the last to the first. It keeps the few that would
    /// land among entries not moved yet until the end.
    fn grow(&mut self) {
        let before = self.slots;
        let mapped = self.memory.as_ref().map_or(0, |memory| memory.len() / SLOT_BYTES);
        self.slots = (before * 2).min(mapped);
        if self.slots == before {
            return;
        }
        let slots = self.slots_mut();
        let mut waiting: Vec<Slot> = Vec::new();
        for from in (0..before).rev() {
            let entry = std::mem::replace(&mut slots[from], EMPTY);
            let Some((hash, _)) = decode(&entry) else { continue };
            let home = home(hash, slots.len());
            let free = (home..slots.len()).find(|&at| slots[at] == EMPTY);
            match free.filter(|_| home > from) {
                Some(at) => slots[at] = entry,
                None => waiting.push(entry),
            }
        }
        for entry in waiting {
            if let Some((hash, _)) = decode(&entry)
                && let Place::Free(at) = locate(slots, hash)
            {
                slots[at] = entry;
            }
        }
    }

    /// The map covers all records up to this offset; -1 for none.
    pub fn latest_offset(&self) -> Offset {
        self.latest_offset
    }

    /// Sets the offset up to which the map covers all records.
    pub fn update_latest_offset(&mut self, offset: Offset) {
        self.latest_offset = self.latest_offset.max(offset);
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.entries
    }

    /// The largest number of keys.
    pub fn entries_max(&self) -> usize {
        self.entries_max
    }

    /// Keys per slot of the configured memory.
    pub fn utilization(&self) -> f64 {
        self.entries as f64 / self.capacity.max(1) as f64
    }
}

fn encode(hash: u128, offset: Offset) -> Slot {
    let mut slot = EMPTY;
    slot[..HASH_BYTES].copy_from_slice(&hash.to_be_bytes());
    slot[HASH_BYTES..].copy_from_slice(&(offset + 1).to_be_bytes());
    slot
}

/// Hash and offset in a slot; `None` if it is empty.
#[inline]
fn decode(slot: &Slot) -> Option<(u128, Offset)> {
    let (hash, offset) = slot.split_first_chunk::<HASH_BYTES>()?;
    let offset = i64::from_be_bytes(*offset.first_chunk()?);
    (offset != 0).then(|| (u128::from_be_bytes(*hash), offset - 1))
}

/// The result of a search for a hash.
enum Place {
    /// The hash is in this slot, with this offset.
    Taken(usize, Offset),
    /// The hash is not there; it would go into this slot.
    Free(usize),
    /// The hash is not there, and every slot is taken.
    Nowhere,
}

/// The slot where the search for a hash begins, in proportion to the hash's upper half.
#[inline]
fn home(hash: u128, slots: usize) -> usize {
    (((hash >> 64) * slots as u128) >> 64) as usize
}

#[inline]
fn locate(slots: &[Slot], hash: u128) -> Place {
    let mut at = home(hash, slots.len());
    for _ in 0..slots.len() {
        match decode(&slots[at]) {
            None => return Place::Free(at),
            Some((found, offset)) if found == hash => return Place::Taken(at, offset),
            Some(_) => at = if at + 1 == slots.len() { 0 } else { at + 1 },
        }
    }
    Place::Nowhere
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

    fn put(map: &mut OffsetMap, key: &[u8], offset: Offset) -> Put {
        map.put(map.hash(key), offset)
    }

    fn get(map: &OffsetMap, key: &[u8]) -> Option<Offset> {
        map.get(map.hash(key))
    }

    #[test]
    fn a_full_map_takes_known_keys_only() {
        let mut map = map(10, 0.5);
        for (i, key) in [b"a", b"b", b"c", b"d", b"e"].into_iter().enumerate() {
            assert_eq!(put(&mut map, key, i as i64), Put::Noted);
        }
        assert_eq!(put(&mut map, b"f", 5), Put::Full);
        assert_eq!(put(&mut map, b"a", 6), Put::Noted);
        assert_eq!(
            (get(&map, b"a"), get(&map, b"e"), get(&map, b"f")),
            (Some(6), Some(4), None)
        );
        assert_eq!((map.len(), map.utilization()), (5, 0.5));
        map.end();
        assert_eq!((get(&map, b"a"), map.len()), (None, 0));
        map.begin(1).unwrap();
        assert_eq!((get(&map, b"a"), map.latest_offset()), (None, -1));
    }

    #[test]
    fn even_a_load_factor_of_one_leaves_a_slot_empty() {
        let mut map = map(4, 1.0);
        let puts: Vec<_> = (0..4u8).map(|i| put(&mut map, &[i], 0)).collect();
        assert_eq!(puts, [Put::Noted, Put::Noted, Put::Noted, Put::Full]);
        assert_eq!(get(&map, b"nobody"), None);
    }

    /// Two strings of Wang and Yu with the same MD5: Kafka's map treats them as one key.
    #[test]
    fn keys_with_the_same_md5_are_two() {
        let one = include_bytes!("testdata/md5-collision-1");
        let two = include_bytes!("testdata/md5-collision-2");
        assert_ne!(one, two);
        let mut map = map(100, 0.9);
        assert_eq!(
            (put(&mut map, one, 1), put(&mut map, two, 2)),
            (Put::Noted, Put::Noted)
        );
        assert_eq!((get(&map, one), get(&map, two)), (Some(1), Some(2)));
    }

    #[test]
    fn a_growing_map_forgets_nothing() {
        // A size that is not a power of two, filled to the last key.
        let mut map = map(150_001, 0.9);
        let keys = map.entries_max() as u64;
        for i in 0..keys {
            assert_eq!(put(&mut map, &i.to_be_bytes(), i as i64), Put::Noted);
            if i.is_power_of_two() || i % 10_000 == 0 {
                assert!(
                    (0..=i).all(|k| get(&map, &k.to_be_bytes()) == Some(k as i64)),
                    "{i}"
                );
            }
        }
        assert_eq!(put(&mut map, b"one more", 0), Put::Full);
        assert!((0..keys).all(|k| get(&map, &k.to_be_bytes()) == Some(k as i64)));
        assert_eq!((map.len() as u64, get(&map, b"one more")), (keys, None));
    }

    proptest! {
        #[test]
        fn the_map_is_a_map(puts in prop::collection::vec((any::<u8>(), 1usize..3), 0..400)) {
            let mut map = map(300, 0.9);
            let mut model = HashMap::new();
            for (offset, (byte, length)) in puts.into_iter().enumerate() {
                let key = vec![byte; length];
                if put(&mut map, &key, offset as i64) == Put::Noted {
                    model.insert(key, offset as i64);
                }
            }
            prop_assert_eq!(map.len(), model.len());
            for byte in 0..=u8::MAX {
                for length in 1..3 {
                    let key = vec![byte; length];
                    prop_assert_eq!(get(&map, &key), model.get(&key).copied());
                }
            }
        }
    }
}
