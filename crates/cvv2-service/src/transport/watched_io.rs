//! A connection's bytes, and whether they move.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::Activity;

/// Tells an [`Activity`] when bytes come and when none are taken.
///
/// It is above TLS: what counts is that a flush ends, so that a client which takes one byte a
/// second takes no answer in its time either.
///
/// # The end
///
/// A request may be answered before its body was read, and the connection ends with that. If it were
/// closed, whoever is still sending would get a reset, and might lose the answer by it (RFC 9112, 9.6).
/// So what comes then is read and thrown away, until the client has closed as well, or it is too much,
/// or its time is over.
pub(super) struct WatchedIo<T> {
    io: T,
    activity: Arc<Activity>,
    /// Whether nothing is written any more.
    is_shut: bool,
    /// Bytes that were thrown away since.
    thrown_away: usize,
}

/// How many bytes of a refused body are thrown away.
const THROWN_AWAY_MAX: usize = 1 << 20;

impl<T> WatchedIo<T> {
    pub(super) fn new(io: T, activity: Arc<Activity>) -> Self {
        Self { io, activity, is_shut: false, thrown_away: 0 }
    }

    fn written<R>(&self, poll: Poll<R>) -> Poll<R> {
        self.activity.written(poll.is_ready());
        poll
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for WatchedIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.io).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.activity.read();
        }
        poll
    }
}

impl<T: AsyncRead + Unpin> WatchedIo<T> {
    /// Reads until there is no more, or nothing may be thrown away any more.
    fn throw_away(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer));
            let count = buffer.filled().len();
            self.thrown_away += count;
            if read.is_err() || count == 0 || self.thrown_away >= THROWN_AWAY_MAX {
                return Poll::Ready(());
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WatchedIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.written(poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.io).poll_flush(cx);
        self.written(poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_shut {
            let poll = Pin::new(&mut self.io).poll_shutdown(cx);
            ready!(self.written(poll))?;
            if !self.activity.was_answered_early() {
                return Poll::Ready(Ok(()));
            }
            self.activity.ending();
            self.is_shut = true;
        }
        self.throw_away(cx).map(Ok)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.io).poll_write_vectored(cx, bytes);
        self.written(poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
