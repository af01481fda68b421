//! Bearer tokens over HTTP.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, Response, StatusCode};
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use super::HttpService;
use super::respond::{json, text, wiped, with_retry_after, with_www_authenticate};
use super::task::finished;
use crate::audit::{Record, TokenRecord};
use crate::auth::{TokenAnswer, TokenRequest};
use crate::transport::{BodyError, Peer, read_body};

/// Issues a token.
pub(super) async fn generate(
    State(service): State<Arc<HttpService>>,
    request: Request<Body>,
) -> Response<Body> {
    let begun = Instant::now();
    if service.auth.token_endpoint().is_none() {
        return text(StatusCode::NOT_FOUND, "tokens are issued elsewhere\n");
    }
    let (parts, body) = request.into_parts();
    let peer = parts.extensions.get::<Peer>().cloned();
    let body = match read_body(body, &service.connection_limits, &service.transport_counters).await
    {
        Ok(body) => body,
        Err(error) => return unread(error),
    };
    finished(async move { issue(&service, parts, peer, body, begun).await }).await
}

/// Answers a request for a token that has been read, with a record.
async fn issue(
    service: &Arc<HttpService>,
    parts: Parts,
    peer: Option<Peer>,
    body: Zeroizing<Vec<u8>>,
    begun: Instant,
) -> Response<Body> {
    // Hashing a secret takes tens of milliseconds.
    let asked = {
        let (service, peer) = (Arc::clone(service), peer.clone());
        spawn_blocking(move || {
            let request = TokenRequest {
                content_type: parts.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes),
                authorization: parts.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes),
                body: &body,
                origin: peer.as_ref().map(|peer| peer.address.ip()),
            };
            let certificate = peer.as_ref().and_then(|peer| peer.certificate);
            let endpoint = service.auth.token_endpoint()?;
            Some(endpoint.token(request, certificate, service.now()))
        })
        .await
    };
    let asked = asked.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    let Some(answer) = asked else { unreachable!("there is an endpoint, as was seen above") };
    service.metrics.issued(&answer.outcome);
    let record = TokenRecord {
        time: service.now(),
        outcome: &answer.outcome,
        http_status: answer.http_status,
        origin: peer.as_ref().map(|peer| peer.address),
        duration: begun.elapsed(),
    };
    if service.audit.append(&Record::Token(record)).await.is_err() {
        return with_retry_after(json(StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE), 1);
    }
    respond(answer)
}

fn respond(answer: TokenAnswer) -> Response<Body> {
    let TokenAnswer { http_status, json, retry_after_seconds, www_authenticate, .. } = answer;
    let mut response = wiped(http_status, json);
    if let Some(seconds) = retry_after_seconds {
        response = with_retry_after(response, seconds.into());
    }
    if let Some(challenge) = www_authenticate {
        response = with_www_authenticate(response, challenge);
    }
    response
}

pub(super) fn unread(error: BodyError) -> Response<Body> {
    let status = match error {
        BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
        _ => StatusCode::BAD_REQUEST,
    };
    json(status, INVALID_REQUEST)
}

const INVALID_REQUEST: &str =
    r#"{"error":"invalid_request","error_description":"the body is too long, too slow or cut"}"#;
const UNAVAILABLE: &str = r#"{"error":"temporarily_unavailable","error_description":"no tokens are issued now; try again later"}"#;
