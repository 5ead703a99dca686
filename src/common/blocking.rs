//! Runs blocking work outside the runtime's threads.

use tokio::task::JoinHandle;

/// Runs work that waits for a disk or takes long on a thread where it blocks no task. The work runs whether or not the
/// handle is awaited.
pub fn spawn<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> JoinHandle<R> {
    // A simulation has one thread, and no simulated time passes during the work, so some passes before it.
    #[cfg(test)]
    if let Some(time) = super::seeded::blocking_time() {
        return tokio::spawn(async move {
            tokio::time::sleep(time).await;
            work()
        });
    }
    tokio::task::spawn_blocking(work)
}
