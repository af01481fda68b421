//! The measure: the same stack, and a handler that parses and echoes JSON and does nothing else.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Request, Response, StatusCode};
use axum::routing::{get, post};
use cvv2_service::transport::{
    ConnectionLimits, Listener, TlsConfig, TlsSettings, TransportCounters, listen, read_body, serve,
};
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::Failure;
use crate::options::EchoArgs;
use crate::target::PATH;

struct Echo {
    limits: ConnectionLimits,
    counters: Arc<TransportCounters>,
}

/// Serves until SIGTERM.
pub(crate) fn run(args: &EchoArgs) -> Result<(), Failure> {
    let tls = args.home.join("tls");
    let tls = TlsSettings::new(tls.join("certificate.pem"), tls.join("key.pem"));
    let tls = Some(Arc::new(TlsConfig::load(tls)?));
    let (limits, counters) = (ConnectionLimits::default(), Arc::new(TransportCounters::new()));
    let echo = Arc::new(Echo { limits: limits.clone(), counters: Arc::clone(&counters) });
    let router = Router::new()
        .route(PATH, post(answer))
        .route("/readyz", get(async || StatusCode::OK))
        .with_state(echo);
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let mut stop = signal(SignalKind::terminate())?;
        let listener = Listener { socket: listen(args.listen)?, tls, limits, counters };
        let failed = |_: &_, _| response(StatusCode::INTERNAL_SERVER_ERROR, Vec::new());
        let until = async move {
            stop.recv().await;
        };
        serve(listener, TowerToHyperService::new(router), failed, until).await;
        Ok(())
    })
}

async fn answer(State(echo): State<Arc<Echo>>, request: Request<Body>) -> Response<Body> {
    let Ok(body) = read_body(request.into_body(), &echo.limits, &echo.counters).await else {
        return response(StatusCode::BAD_REQUEST, Vec::new());
    };
    match serde_json::from_slice::<Value>(&body) {
        Ok(value) => response(StatusCode::OK, value.to_string().into_bytes()),
        Err(_) => response(StatusCode::BAD_REQUEST, Vec::new()),
    }
}

fn response(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
