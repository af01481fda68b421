//! Whether the service runs, whether it can answer, and its figures.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Response, StatusCode};
use serde_json::json;
use tokio::task::spawn_blocking;

use super::HttpService;
use super::respond::{json, response, text};
use crate::audit::{Event, EventRecord, Record};
use crate::card_services::Readiness;
use crate::metrics::Figures;

/// The process runs and its executor turns.
pub(super) async fn healthz() -> Response<Body> {
    text(StatusCode::OK, "ok\n")
}

/// A value can be computed, the store can be read, a record can be written: 200, or 503 with what
/// cannot.
///
/// It is for whoever balances load. A record in the audit log says that it was asked, because
/// nothing else shows that one can be written.
pub(super) async fn readyz(State(service): State<Arc<HttpService>>) -> Response<Body> {
    let asked = {
        let service = Arc::clone(&service);
        spawn_blocking(move || service.services.readiness())
    };
    let event = EventRecord::new(service.now(), Event::Readiness);
    let audit = service.audit.append(&Record::Event(event)).await.is_ok();
    // One that panicked is not ready.
    let Readiness { engine, keys, store } = asked.await.unwrap_or_default();
    let limits = service.limits.durable().await.is_ok();
    let ready = engine && keys && store && limits && audit;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "ready": ready,
        "engine": engine,
        "keys": keys,
        "store": store,
        "limits": limits,
        "audit": audit,
    });
    json(status, body.to_string())
}

/// The figures, in the text form of OpenMetrics.
pub(super) async fn metrics(State(service): State<Arc<HttpService>>) -> Response<Body> {
    let text = service.metrics.encode(service.figures());
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    response(StatusCode::OK, content_type, Bytes::from(text))
}

impl HttpService {
    fn figures(&self) -> Figures {
        Figures {
            audit: self.audit.status(),
            limits: self.limits.counters(),
            transport: Arc::clone(&self.transport_counters),
            cvk_ages_days: self.services.cvk_ages_days(),
        }
    }
}
