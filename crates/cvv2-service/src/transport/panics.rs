//! Panics: contained, and without a word of what they say.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;

use hyper::rt::Executor;

use super::counters::{TransportCounters, TransportEvent};

/// Makes every panic of the process write its thread and its place to standard error, and nothing
/// else: the payload of a panic may quote what it was about, and that may be a card.
///
/// The place is a line of source. No backtrace is written, whatever `RUST_BACKTRACE` says.
pub fn install_panic_hook() {
    panic::set_hook(Box::new(|info| {
        let thread = thread::current();
        let mut line = format!("panic in thread {:?}", thread.name().unwrap_or("unnamed"));
        if let Some(place) = info.location() {
            let _ = write!(line, " at {}:{}:{}", place.file(), place.line(), place.column());
        }
        line.push('\n');
        // Standard error may be closed, which is no reason to panic in a panic.
        let _ = io::stderr().write_all(line.as_bytes());
    }));
}

/// Runs the requests of an HTTP/2 connection as tasks, and counts those that panic outside the
/// service's call: in the body of an answer.
#[derive(Clone, Debug)]
pub(super) struct CountingExecutor(pub(super) Arc<TransportCounters>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for CountingExecutor {
    fn execute(&self, future: F) {
        let counters = Arc::clone(&self.0);
        tokio::spawn(async move {
            if caught(future).await.is_err() {
                counters.add(TransportEvent::Panicked);
            }
        });
    }
}

/// What a future came to, or that it panicked.
///
/// The future is gone afterwards, so nobody sees what it left half done, except through locks, which
/// are poisoned.
///
/// It is in a box of its own: a future that is made of another one has room for it twice, and the
/// allocator keeps only small pieces at hand.
pub(super) fn caught<F: Future>(future: F) -> Caught<F> {
    Caught(Box::pin(future))
}

/// A panic whose payload was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Panicked;

/// What [`caught`] makes of a future.
pub(super) struct Caught<F>(Pin<Box<F>>);

impl<F: Future> Future for Caught<F> {
    type Output = Result<F::Output, Panicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.0.as_mut();
        match panic::catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(_payload) => Poll::Ready(Err(Panicked)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_caught_wherever_the_future_is() {
        assert_eq!(caught(async { 1 }).await, Ok(1));
        assert_eq!(caught(async { panic!("at once") }).await, Err::<(), _>(Panicked));
        let later = caught(async {
            tokio::task::yield_now().await;
            panic!("later")
        });
        assert_eq!(later.await, Err::<(), _>(Panicked));
    }
}
