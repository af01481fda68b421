//! HTTP: the one place that knows methods, paths, headers and status codes.
//!
//! | path | what |
//! |---|---|
//! | `POST /CardServices/Transaction/V2/GetCVV2` | Get CVV2, as the published contract has it |
//! | `POST /CardServices/Transaction/V2/VerifyCVV2` | Verify CVV2, which is ours |
//! | `POST /{prefix}/CardServices/…` | the same under any one segment |
//! | `POST /v1/tokenkc/generate` | a bearer token for a client's id and secret |
//! | `GET /v1/limits`, `POST /v1/limits/show`, `…/clear` | limits, for callers who administer |
//! | `GET /healthz`, `GET /readyz` | whether the process runs, and whether it can answer |
//! | `GET /openapi.json` | this, as a document |
//! | `GET /metrics` | on a listener of its own ([`metrics_router`]), which has the health, too |
//!
//! # The order of things
//!
//! The token is read before the body, so that nothing is made of a stranger's bytes. The answer of an
//! operation leaves when its audit record and what was charged for it are on the disk; if that
//! cannot be, what leaves is a refusal with 503, and the CVV2 is wiped.

mod administration;
mod card_services;
mod health;
mod respond;
mod task;
mod token;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{Request, Response, StatusCode};
use axum::routing::{get, post};
use time::OffsetDateTime;

use self::respond::{json, text};
use crate::audit::AuditLog;
use crate::auth::Auth;
use crate::card_services::CardServices;
use crate::clock::Clock;
use crate::envelope::Function;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::transport::{ConnectionLimits, TransportCounters, Unanswered};

/// What the routes need. One of it serves all connections.
#[expect(clippy::exhaustive_structs, reason = "whoever starts a service puts it together")]
pub struct HttpService {
    /// Get CVV2 and Verify CVV2.
    pub services: CardServices,
    /// Whether an operation may wait for a database, and is called where that is allowed.
    pub services_block: bool,
    /// Who asks.
    pub auth: Auth,
    /// What is recorded before an answer leaves.
    pub audit: AuditLog,
    /// What is charged before an answer leaves: the same that [`services`](Self::services) charges.
    pub limits: Limits,
    /// The time of day.
    pub clock: Box<dyn Clock>,
    /// How bodies are read.
    pub connection_limits: ConnectionLimits,
    /// Of the listeners.
    pub transport_counters: Arc<TransportCounters>,
    /// What is counted.
    pub metrics: Metrics,
}

impl fmt::Debug for HttpService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpService").field("services", &self.services).finish_non_exhaustive()
    }
}

impl HttpService {
    fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }
}

/// The routes of the service.
pub fn router(service: Arc<HttpService>) -> Router {
    let mut router = Router::new()
        .route("/v1/tokenkc/generate", post(token::generate))
        .route("/v1/limits", get(administration::list))
        .route("/v1/limits/show", post(administration::show))
        .route("/v1/limits/clear", post(administration::clear))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/openapi.json", get(openapi));
    for function in Function::ALL {
        let serve = move |service, request| card_services::serve(service, function, request);
        let path = path(function);
        router = router.route(path, post(serve)).route(
            &format!("/{{prefix}}{path}"),
            post(move |service, Path(_): Path<String>, request| {
                card_services::serve(service, function, request)
            }),
        );
    }
    router.fallback(not_found).method_not_allowed_fallback(method_not_allowed).with_state(service)
}

/// The routes of metrics and health, for a listener that only the operator's network reaches.
pub fn metrics_router(service: Arc<HttpService>) -> Router {
    Router::new()
        .route("/metrics", get(health::metrics))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(service)
}

/// What is answered to a request for a path that got no answer.
pub fn substitute(service: &HttpService, asked: &str, why: Unanswered) -> Response<Body> {
    let function = Function::ALL.into_iter().find(|it| asked.ends_with(path(*it)));
    match (function, why) {
        (Some(function), why) => card_services::unanswered(service, function, why),
        (None, Unanswered::Late) => {
            text(StatusCode::GATEWAY_TIMEOUT, "the deadline of the request has passed\n")
        }
        (None, Unanswered::Panicked) => text(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n"),
    }
}

/// The OpenAPI document of the service.
pub const OPENAPI: &str = include_str!("http/openapi.json");

const fn path(function: Function) -> &'static str {
    match function {
        Function::GetCvv2 => "/CardServices/Transaction/V2/GetCVV2",
        Function::VerifyCvv2 => "/CardServices/Transaction/V2/VerifyCVV2",
    }
}

async fn openapi() -> Response<Body> {
    json(StatusCode::OK, OPENAPI.as_bytes())
}

async fn not_found(_: Request<Body>) -> Response<Body> {
    text(StatusCode::NOT_FOUND, "there is nothing at this path; see /openapi.json\n")
}

async fn method_not_allowed(_: Request<Body>) -> Response<Body> {
    text(StatusCode::METHOD_NOT_ALLOWED, "this path has another method; see /openapi.json\n")
}
