//! The body of an answer, until its last byte is given to the connection.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};

use super::activity::InFlight;

/// A service's body or a text of the transport's own.
///
/// Its request is in flight until it is dropped, and each frame is a sign of life.
pub(super) struct AnswerBody<B> {
    content: Content<B>,
    request: InFlight,
}

enum Content<B> {
    Given(B),
    Text(Option<Bytes>),
}

impl<B> AnswerBody<B> {
    pub(super) fn given(body: B, request: InFlight) -> Self {
        Self { content: Content::Given(body), request }
    }

    pub(super) fn text(text: Bytes, request: InFlight) -> Self {
        let text = Some(text).filter(|text| !text.is_empty());
        Self { content: Content::Text(text), request }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for AnswerBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let poll = match &mut self.content {
            Content::Given(body) => Pin::new(body).poll_frame(cx),
            Content::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
        };
        if poll.is_ready() {
            self.request.activity().progressed();
        }
        poll
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Given(body) => body.is_end_stream(),
            Content::Text(text) => text.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Given(body) => body.size_hint(),
            Content::Text(text) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
        }
    }
}
