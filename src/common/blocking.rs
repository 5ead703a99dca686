//! Work that blocks, kept off the runtime's threads.

use tokio::task::JoinHandle;

/// Does work that waits for a disk or takes long on a thread where it keeps no task waiting. It is done whether or not
/// the handle is awaited.
pub fn spawn<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> JoinHandle<R> {
    // A simulation has one thread, and no time passes while that works: so some does before.
    #[cfg(test)]
    if let Some(time) = super::seeded::blocking_time() {
        return tokio::spawn(async move {
            tokio::time::sleep(time).await;
            work()
        });
    }
    tokio::task::spawn_blocking(work)
}
