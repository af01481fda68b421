//! A request's body, whole, in memory that is wiped.

use std::fmt;
use std::pin::pin;

use http_body_util::BodyExt;
use hyper::body::{Body, Buf};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::connection_limits::ConnectionLimits;
use super::counters::{TransportCounters, TransportEvent};

/// Reads a whole body, of at most `body_bytes_max` bytes, within `body_read_timeout_ms`.
///
/// A `Content-Length` that is too large is refused before anything is read. The buffer has its size
/// from the start, so that no copy of a part is left where it grew; what the connection itself read
/// the bytes into is not ours to wipe.
///
/// # Errors
///
/// [`BodyError`], which is counted, for too much, too slowly, and a connection that broke.
pub async fn read_body<B: Body>(
    body: B,
    limits: &ConnectionLimits,
    counters: &TransportCounters,
) -> Result<Zeroizing<Vec<u8>>, BodyError> {
    let read = read_bounded(body, limits.body_bytes_max as usize);
    let read = timeout(limits.body_read_timeout(), read).await.unwrap_or(Err(BodyError::TooSlow));
    match read {
        Err(BodyError::TooLarge) => counters.add(TransportEvent::BodyTooLarge),
        Err(BodyError::TooSlow) => counters.add(TransportEvent::BodyTimedOut),
        Err(BodyError::Broken) | Ok(_) => (),
    }
    read
}

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyError {
    /// The connection ended, or the body was not what its framing said.
    Broken,
    /// It has more bytes than a body may have: 413.
    TooLarge,
    /// It did not arrive in its time: 408.
    TooSlow,
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broken => "the body ended before it was whole",
            Self::TooLarge => "the body has more bytes than are read",
            Self::TooSlow => "the body did not arrive in time",
        })
    }
}

impl std::error::Error for BodyError {}

async fn read_bounded<B: Body>(body: B, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, BodyError> {
    let announced = body.size_hint();
    if announced.lower() > bytes_max as u64 {
        return Err(BodyError::TooLarge);
    }
    let capacity = announced.exact().map_or(bytes_max, |exact| {
        usize::try_from(exact).map_or(bytes_max, |exact| exact.min(bytes_max))
    });
    let mut whole = Zeroizing::new(Vec::with_capacity(capacity));
    let mut body = pin!(body);
    while let Some(frame) = body.frame().await {
        let Ok(mut data) = frame.map_err(|_| BodyError::Broken)?.into_data() else {
            continue; // trailers
        };
        while data.has_remaining() {
            let chunk = data.chunk();
            // Capacity, not the limit: the buffer must not grow.
            if chunk.len() > capacity - whole.len() {
                return Err(BodyError::TooLarge);
            }
            whole.extend_from_slice(chunk);
            data.advance(data.chunk().len());
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::body::{Bytes, Frame, SizeHint};

    use super::*;

    enum Step {
        Frame(Result<Frame<Bytes>, &'static str>),
        /// From here on nothing comes.
        Silence,
    }

    /// What a client sends, last step first, and the length that it has announced.
    struct Script {
        steps: Vec<Step>,
        announced: Option<u64>,
    }

    impl Body for Script {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
            match self.steps.pop_if(|step| matches!(step, Step::Frame(_))) {
                Some(Step::Frame(frame)) => Poll::Ready(Some(frame)),
                None if self.steps.is_empty() => Poll::Ready(None),
                Some(Step::Silence) | None => Poll::Pending,
            }
        }

        fn size_hint(&self) -> SizeHint {
            self.announced.map_or_else(SizeHint::default, SizeHint::with_exact)
        }
    }

    fn data(bytes: usize) -> Step {
        Step::Frame(Ok(Frame::data(vec![7; bytes].into())))
    }

    async fn read(mut steps: Vec<Step>, announced: Option<u64>) -> Result<usize, BodyError> {
        steps.reverse();
        let limits = ConnectionLimits { body_bytes_max: 10, ..ConnectionLimits::default() };
        let read =
            read_body(Script { steps, announced }, &limits, &TransportCounters::new()).await?;
        assert!(read.iter().all(|byte| *byte == 7));
        let capacity = announced.map_or(10, |bytes| usize::try_from(bytes).unwrap());
        assert_eq!(read.capacity(), capacity, "it has not grown");
        Ok(read.len())
    }

    #[tokio::test(start_paused = true)]
    async fn sizes_at_their_seams() {
        for (frames, announced, expected) in [
            (vec![], None, Ok(0)),
            (vec![data(10)], None, Ok(10)),
            (vec![data(4), data(6)], None, Ok(10)),
            (vec![data(4), data(7)], None, Err(BodyError::TooLarge)),
            (vec![data(11)], None, Err(BodyError::TooLarge)),
            (vec![data(10)], Some(10), Ok(10)),
            (vec![], Some(11), Err(BodyError::TooLarge)),
            (vec![], Some(u64::MAX), Err(BodyError::TooLarge)),
            (vec![data(5), Step::Silence], Some(10), Err(BodyError::TooSlow)),
            (vec![data(5), Step::Frame(Err("reset"))], Some(10), Err(BodyError::Broken)),
        ] {
            assert_eq!(read(frames, announced).await, expected);
        }
    }

    #[tokio::test]
    async fn trailers_are_no_data() {
        let trailers = Step::Frame(Ok(Frame::trailers(hyper::HeaderMap::new())));
        assert_eq!(read(vec![data(3), trailers], None).await, Ok(3));
    }
}
