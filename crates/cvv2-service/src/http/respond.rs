//! Responses, with the headers that all of them have.

use axum::body::{Body, Bytes};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Response, StatusCode};
use zeroize::Zeroizing;

/// A response whose body is wiped once it was handed to the connection.
pub(super) fn wiped(status: u16, body: Zeroizing<Vec<u8>>) -> Response<Body> {
    let status = StatusCode::from_u16(status).expect("the tables of statuses hold real ones");
    response(status, "application/json", Bytes::from_owner(body))
}

/// A response that holds nothing secret.
pub(super) fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    response(status, "application/json", body.into())
}

/// A response for people.
pub(super) fn text(status: StatusCode, body: &'static str) -> Response<Body> {
    response(status, "text/plain; charset=utf-8", Bytes::from_static(body.as_bytes()))
}

pub(super) fn response(
    status: StatusCode,
    content_type: &'static str,
    body: Bytes,
) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

pub(super) fn with_retry_after(mut response: Response<Body>, seconds: u64) -> Response<Body> {
    response.headers_mut().insert(RETRY_AFTER, seconds.into());
    response
}

pub(super) fn with_www_authenticate(
    mut response: Response<Body>,
    challenge: &'static str,
) -> Response<Body> {
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}
