//! The random decisions of a simulated cluster (`broker::simulation`), which come from its seed, so that a seed always
//! produces the same history: how long blocking work takes, in which order tables are iterated, random ids. It exists
//! only in tests and belongs to one thread, so that other tests are not affected.

use std::cell::RefCell;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

thread_local! {
    static RANDOM: RefCell<Option<StdRng>> = const { RefCell::new(None) };
}

/// Makes this thread use a seed from now on, or real randomness again.
pub fn by(seed: Option<u64>) {
    RANDOM.set(seed.map(StdRng::seed_from_u64));
}

/// Whether this thread uses a seed.
pub fn is_seeded() -> bool {
    RANDOM.with_borrow(Option::is_some)
}

/// A value from the seed; `None` if the thread uses real randomness.
pub fn draw<T>(draw: impl FnOnce(&mut StdRng) -> T) -> Option<T> {
    RANDOM.with_borrow_mut(|random| random.as_mut().map(draw))
}

/// How long blocking work takes, most of which waits for a disk.
pub fn blocking_time() -> Option<Duration> {
    let ms = draw(|random| match random.random_range(0..100) {
        0 => random.random_range(10..200),
        1..20 => random.random_range(1..10),
        _ => 0,
    });
    ms.map(Duration::from_millis)
}

/// The entries of a hash table in an order that is always the same.
pub fn arranged<T, K: Ord>(mut collected: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    if is_seeded() {
        collected.sort_by_key(key);
    }
    collected
}
