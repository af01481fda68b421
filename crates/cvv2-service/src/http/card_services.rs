//! Get CVV2 and Verify CVV2 over HTTP.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Request, Response};
use tokio::task::{JoinError, spawn_blocking};
use zeroize::Zeroizing;

use super::HttpService;
use super::respond::{wiped, with_retry_after, with_www_authenticate};
use super::task::finished;
use crate::audit::{Event, EventRecord, Record, RequestRecord};
use crate::auth::{AuthError, Authenticated};
use crate::card_services::Answer;
use crate::cause::Cause;
use crate::envelope::Function;
use crate::transport::{Peer, Unanswered, read_body};

/// Serves one request.
///
/// What its head says is looked at and dropped at once: it is a part of what the connection has
/// read, and would keep that from being used again while the answer is waited for.
pub(super) fn serve(
    State(service): State<Arc<HttpService>>,
    function: Function,
    request: Request<Body>,
) -> impl Future<Output = Response<Body>> {
    let (visit, entered) = service.enter(request);
    async move {
        let asked = match entered {
            Ok((who, body)) => {
                let (limits, counters) = (&service.connection_limits, &service.transport_counters);
                let body = read_body(body, limits, counters).await;
                body.map(|body| (who, body)).map_err(Cause::Body)
            }
            Err(cause) => Err(cause),
        };
        let (who, body) = match asked {
            Ok(asked) => asked,
            Err(cause) => {
                let answer = service.services.refuse(function, &[], cause);
                return service.deliver(&visit, answer, &[]).await;
            }
        };
        if !service.services_block {
            let answer = service.services.handle(function, &who.caller, &body);
            return service.deliver(&visit, answer, &body).await;
        }
        finished(async move {
            let (answer, body) = service.ask(function, who, body).await;
            service.deliver(&visit, answer, &body).await
        })
        .await
    }
}

/// The answer to a request that got none. Its record is not waited for: there is no value in the
/// answer, and waiting may be what took too long.
pub(super) fn unanswered(
    service: &HttpService,
    function: Function,
    why: Unanswered,
) -> Response<Body> {
    let cause = match why {
        Unanswered::Late => Cause::Deadline,
        Unanswered::Panicked => Cause::Panicked,
    };
    let answer = service.services.refuse(function, &[], cause);
    let visit = Visit { begun: Instant::now(), peer: None, who: None };
    drop(service.audit.append(&service.record(&visit, &answer)));
    service.respond(&visit, answer)
}

/// One request, as far as records are concerned.
struct Visit {
    begun: Instant,
    peer: Option<Peer>,
    who: Option<Arc<Authenticated>>,
}

impl HttpService {
    /// Who asks, and the body that is to be read; or why it is not.
    fn enter(&self, request: Request<Body>) -> (Visit, Result<(Arc<Authenticated>, Body), Cause>) {
        let begun = Instant::now();
        let (parts, body) = request.into_parts();
        let peer = parts.extensions.get::<Peer>().cloned();
        let (who, entered) = match authenticate(self, &parts, peer.as_ref()) {
            Ok(who) if is_json(&parts.headers) => (Some(Arc::clone(&who)), Ok((who, body))),
            Ok(who) => (Some(who), Err(Cause::MediaType)),
            Err(error) => (None, Err(Cause::NotAuthenticated(error))),
        };
        (Visit { begun, peer, who }, entered)
    }

    /// Has an operation answer that may have to wait, where that is allowed.
    async fn ask(
        self: &Arc<Self>,
        function: Function,
        who: Arc<Authenticated>,
        body: Zeroizing<Vec<u8>>,
    ) -> (Answer, Zeroizing<Vec<u8>>) {
        let service = Arc::clone(self);
        let asked =
            spawn_blocking(move || (service.services.handle(function, &who.caller, &body), body));
        asked.await.unwrap_or_else(goes_on)
    }

    /// Lets an answer go when it may: with its record and its charges on the disk. The record is
    /// handed over before anything is waited for.
    fn deliver<'a>(
        &'a self,
        visit: &'a Visit,
        answer: Answer,
        request: &'a [u8],
    ) -> impl Future<Output = Response<Body>> + use<'a> {
        let written = self.audit.append(&self.record(visit, &answer));
        let charged = self.limits.durable();
        // A block keeps one answer; an `async fn` keeps its argument, and once more where it is used.
        async move {
            // Both are on their way already. One after the other, the task wakes once where the charges
            // are there first, and not for each.
            let cause = match (written.await, charged.await) {
                (Ok(()), Ok(())) => return self.respond(visit, answer),
                (Err(error), _) => Cause::Audit(error),
                (Ok(()), Err(error)) => {
                    // The record says that there was an answer, so another one takes that back.
                    let taken_back = EventRecord {
                        detail: answer.outcome.msg_id.as_deref(),
                        ..EventRecord::new(self.now(), Event::AnswerWithdrawn)
                    };
                    drop(self.audit.append(&Record::Event(taken_back)));
                    Cause::Limits(error)
                }
            };
            let refusal = self.services.refuse(answer.outcome.function, request, cause);
            self.respond(visit, refusal)
        }
    }

    fn record<'a>(&self, visit: &'a Visit, answer: &'a Answer) -> Record<'a> {
        Record::Request(RequestRecord {
            time: self.now(),
            caller: visit.who.as_ref().map(|who| who.caller.name()),
            client: visit.who.as_ref().map(|who| who.token_id.as_str()),
            outcome: &answer.outcome,
            origin: visit.peer.as_ref().map(|peer| peer.address),
            duration: visit.begun.elapsed(),
        })
    }

    fn respond(&self, visit: &Visit, answer: Answer) -> Response<Body> {
        let Answer { http_status, json, outcome } = answer;
        self.metrics.answered(&outcome, visit.begun.elapsed());
        let response = wiped(http_status, json);
        match outcome.cause {
            Some(Cause::Limited(refusal)) => {
                with_retry_after(response, refusal.retry_after_seconds)
            }
            Some(Cause::NotAuthenticated(_)) => {
                with_www_authenticate(response, AuthError::WWW_AUTHENTICATE)
            }
            Some(Cause::Audit(_) | Cause::Limits(_)) => {
                with_retry_after(response, UNAVAILABLE.as_secs())
            }
            _ => response,
        }
    }
}

/// A panic of another task goes on in this one, where it is contained and counted.
fn goes_on<T>(error: JoinError) -> T {
    resume_unwind(error.into_panic())
}

/// How long a caller is asked to stay away while records cannot be written.
const UNAVAILABLE: Duration = Duration::from_secs(1);

fn authenticate(
    service: &HttpService,
    parts: &Parts,
    peer: Option<&Peer>,
) -> Result<Arc<Authenticated>, AuthError> {
    let authorization = parts.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let certificate = peer.and_then(|peer| peer.certificate);
    service.auth.authenticator().authenticate(authorization, certificate, service.now())
}

/// `application/json`, with any parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let media = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let media = media.and_then(|value| value.split(|byte| *byte == b';').next());
    media.is_some_and(|media| media.trim_ascii().eq_ignore_ascii_case(b"application/json"))
}
