//! One request: its deadline, its panics, and who sent it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::service::Service;
use hyper::{Request, Response, StatusCode};
use tokio::time::timeout;

use super::activity::{Activity, InFlight};
use super::answer_body::AnswerBody;
use super::connection_limits::ConnectionLimits;
use super::counters::TransportEvent;
use super::panics::{Panicked, caught};
use super::peer::Peer;

/// Why a service gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "whoever answers instead has to have an answer for each"
)]
pub enum Unanswered {
    /// The deadline of the request passed.
    Late,
    /// It panicked.
    Panicked,
}

/// Answers a request for a path instead of a service that did not.
pub(super) type Substitute<B> = dyn Fn(&str, Unanswered) -> Response<B> + Send + Sync;

/// A service as one connection sees it.
pub(super) struct Requests<S, B> {
    pub(super) service: Arc<S>,
    pub(super) substitute: Arc<Substitute<B>>,
    pub(super) limits: Arc<ConnectionLimits>,
    pub(super) peer: Peer,
    pub(super) activity: Arc<Activity>,
}

impl<S, B> Service<Request<Incoming>> for Requests<S, B>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Send + Sync + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Unpin + 'static,
{
    type Response = Response<AnswerBody<B>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let in_flight = self.activity.request();
        let has_body = !request.body().is_end_stream();
        if request.headers().len() > self.limits.headers_max as usize {
            self.activity.counters().add(TransportEvent::HeadersTooMany);
            let answer = text(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "too many headers\n");
            if has_body {
                self.activity.answered_early();
            }
            return Box::pin(async { Ok(own(answer, in_flight)) });
        }
        request.extensions_mut().insert(self.peer.clone());
        let service = Arc::clone(&self.service);
        let substitute = Arc::clone(&self.substitute);
        // A copy: the URI is a part of what the connection has read, and would keep that from being
        // used again while the answer is waited for.
        let path: Box<str> = request.uri().path().into();
        let deadline = self.limits.request_deadline();
        Box::pin(async move {
            // The call itself may panic, too.
            let called = caught(async move { service.call(request).await });
            let counters = in_flight.activity().counters();
            let answer = match timeout(deadline, called).await {
                Ok(Ok(Ok(answer))) => {
                    in_flight.activity().progressed();
                    answer
                }
                Ok(Err(Panicked)) => {
                    counters.add(TransportEvent::Panicked);
                    substitute(&path, Unanswered::Panicked)
                }
                Err(_) => {
                    counters.add(TransportEvent::RequestTimedOut);
                    substitute(&path, Unanswered::Late)
                }
            };
            if has_body && !answer.status().is_success() {
                in_flight.activity().answered_early();
            }
            Ok(answer.map(|body| AnswerBody::given(body, in_flight)))
        })
    }
}

fn own<B>(answer: Response<Bytes>, in_flight: InFlight) -> Response<AnswerBody<B>> {
    answer.map(|body| AnswerBody::text(body, in_flight))
}

fn text(status: StatusCode, text: &'static str) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from_static(text.as_bytes()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
