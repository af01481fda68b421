//! Work that is finished, whoever waits for it.

use std::panic::resume_unwind;

use tokio::task;

/// What the work comes to. It goes on where this is dropped, as it is when a client leaves before its
/// answer: whoever guesses and hangs up is on record all the same.
///
/// A panic of the work goes on in whoever waits, where it is contained and counted.
pub(super) async fn finished<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    // Nobody aborts it, so an error is a panic, or the end of the runtime, which ends this as well.
    task::spawn(work).await.unwrap_or_else(|error| resume_unwind(error.into_panic()))
}
