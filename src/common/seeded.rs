//! What a simulated cluster (`broker::simulation`) leaves to its seed instead of to chance, so that a seed always makes
//! the same history: how long work takes that blocks, in which order tables are walked, random ids. It exists in tests
//! alone and belongs to one thread, so that the tests beside it are spared.

use std::cell::RefCell;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

thread_local! {
    static RANDOM: RefCell<Option<StdRng>> = const { RefCell::new(None) };
}

/// Leaves this thread to a seed from now on, or to chance again.
pub fn by(seed: Option<u64>) {
    RANDOM.set(seed.map(StdRng::seed_from_u64));
}

/// Whether this thread is left to a seed.
pub fn is_seeded() -> bool {
    RANDOM.with_borrow(Option::is_some)
}

/// What the seed says; `None` if all is left to chance.
pub fn draw<T>(draw: impl FnOnce(&mut StdRng) -> T) -> Option<T> {
    RANDOM.with_borrow_mut(|random| random.as_mut().map(draw))
}

/// How long work takes that blocks, most of which waits for a disk.
pub fn blocking_time() -> Option<Duration> {
    let ms = draw(|random| match random.random_range(0..100) {
        0 => random.random_range(10..200),
        1..20 => random.random_range(1..10),
        _ => 0,
    });
    ms.map(Duration::from_millis)
}

/// What was collected from a hash table, in an order that is always the same.
pub fn arranged<T, K: Ord>(mut collected: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    if is_seeded() {
        collected.sort_by_key(key);
    }
    collected
}
