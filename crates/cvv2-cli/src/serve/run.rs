//! Serving, until somebody says stop.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::Router;
use cvv2::secret::Protection;
use cvv2_service::CvkSource;
use cvv2_service::audit::{Event, EventRecord, Record};
use cvv2_service::http;
use cvv2_service::transport::{DrainReport, Listener, install_panic_hook, listen, serve};
use hyper_util::service::TowerToHyperService;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::sync::watch;

use super::assembly::Assembly;
use super::log::{Level, Log};
use super::notify::notify;
use super::signals::{Signals, Stage};
use super::watch as watches;
use crate::failure::{Answer, Failure};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Serves until SIGTERM or SIGINT.
pub(super) fn until_stopped(assembly: Assembly) -> Result<Answer, Failure> {
    serve_with(assembly, |_, _| ())
}

/// The same, and calls `ready` with the address once requests are answered.
pub(super) fn serve_with(
    assembly: Assembly,
    ready: impl FnOnce(&Assembly, SocketAddr),
) -> Result<Answer, Failure> {
    install_panic_hook();
    let workers = assembly.serve.workers.unwrap_or_else(processors);
    let audit = &assembly.http.audit;
    let (parked, unparked) = (audit.worker_hints(), audit.worker_hints());
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name("cvv2")
        .on_thread_park(move || parked.sleeps())
        .on_thread_unpark(move || unparked.wakes())
        .enable_all()
        .build()
        .map_err(|e| Failure::System(format!("the service's threads: {e}")))?;
    let log = Log::new(assembly.serve.log);
    let assembly = Arc::new(assembly);
    let served = runtime.block_on(serve_all(Arc::clone(&assembly), log, ready));
    // What still runs on threads that block has nobody left to answer.
    runtime.shutdown_timeout(Duration::from_secs(5));
    let Cut { connections, requests } = served?;
    log.write(
        Level::Info,
        "stopped",
        &[("connections_cut", &connections), ("requests_cut", &requests)],
    );
    Ok(Answer::Done)
}

/// What was still open at the end.
struct Cut {
    connections: u64,
    requests: u64,
}

async fn serve_all(
    assembly: Arc<Assembly>,
    log: Log,
    ready: impl FnOnce(&Assembly, SocketAddr),
) -> Result<Cut, Failure> {
    let signals = Signals::new().map_err(|e| Failure::System(format!("signals: {e}")))?;
    let http = &assembly.http;
    let (socket, address) = bound("[serve] listen", assembly.serve.listen)?;
    let listener = Listener {
        socket,
        tls: Some(Arc::clone(&assembly.tls)),
        limits: assembly.serve.connections.clone(),
        counters: Arc::clone(&http.transport_counters),
    };
    let (stage, stages) = watch::channel(Stage::Serving);
    let late = Arc::clone(http);
    let requests = serve(
        listener,
        hyper_service(http::router(Arc::clone(http))),
        move |uri: &_, why| http::substitute(&late, uri, why),
        Stage::Draining.reached(stages.clone()),
    );
    let metrics = metrics(&assembly, log, stages.clone())?;

    record(&assembly, Event::Start).await?;
    record(&assembly, Event::KeyUnlocked).await?;
    tell_of_keys(&assembly, log);
    log.write(Level::Info, "listening", &[("address", &address), ("version", &VERSION)]);
    notify("READY=1\n");
    ready(&assembly, address);

    let beside = [
        tokio::spawn(watches::certificates(Arc::clone(&assembly), log)),
        tokio::spawn(watches::disks(Arc::clone(&assembly), log)),
    ];
    let obeying = tokio::spawn(signals.obey(Arc::clone(&assembly), log, stage));
    let counters = &http.transport_counters;
    let cut_off = async {
        Stage::Over.reached(stages).await;
        // Counted here: behind the `select!` the connections are being dropped already.
        Cut { connections: counters.connections_open(), requests: counters.requests_in_flight() }
    };
    let cut = tokio::select! {
        (report, ()) = async { tokio::join!(requests, metrics) } => Cut::from(report),
        cut = cut_off => cut,
    };
    for watch in beside {
        watch.abort();
    }
    obeying.abort();
    record(&assembly, Event::Stop).await?;
    Ok(cut)
}

/// Serves metrics where they are wanted.
fn metrics(
    assembly: &Assembly,
    log: Log,
    stages: watch::Receiver<Stage>,
) -> Result<impl Future<Output = ()> + use<>, Failure> {
    let http = Arc::clone(&assembly.http);
    let limits = assembly.serve.connections.clone();
    let socket = match assembly.serve.metrics_listen {
        None => None,
        Some(address) => {
            let (socket, address) = bound("[serve] metrics_listen", address)?;
            log.write(Level::Info, "metrics", &[("address", &address)]);
            if !address.ip().is_loopback() {
                let why = "anybody who reaches this address reads metrics, in clear";
                log.write(
                    Level::Warning,
                    "metrics_exposed",
                    &[("address", &address), ("why", &why)],
                );
            }
            Some(socket)
        }
    };
    Ok(async move {
        let Some(socket) = socket else { return };
        let counters = Arc::clone(&http.transport_counters);
        let listener = Listener { socket, tls: None, limits, counters };
        let service = hyper_service(http::metrics_router(Arc::clone(&http)));
        let instead = move |uri: &_, why| http::substitute(&http, uri, why);
        serve(listener, service, instead, Stage::Draining.reached(stages)).await;
    })
}

/// A socket that listens, and where: the configured port may be 0. A refusal names the key.
fn bound(key: &str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let listening = || {
        let socket = listen(address)?;
        let address = socket.local_addr()?;
        Ok((socket, address))
    };
    listening().map_err(|e: std::io::Error| Failure::System(format!("{key}: {address}: {e}")))
}

/// Tells how keys compute, and how well they are guarded.
fn tell_of_keys(assembly: &Assembly, log: Log) {
    let protection = assembly.kbpk.protection();
    let protection = assembly.keys.protection().unwrap_or(protection).min(protection);
    let kernel = assembly.keys.kernel().name();
    log.write(Level::Info, "keys", &[("kernel", &kernel), ("protection", &protection)]);
    if protection == Protection::Wiped {
        let why = "keys are in memory that may be swapped and dumped; raise RLIMIT_MEMLOCK";
        log.write(Level::Warning, "keys_exposed", &[("why", &why)]);
    }
    if kernel == "reference" {
        let why = "this kernel's timing depends on keys and cards; it is for comparisons";
        log.write(Level::Warning, "kernel_exposed", &[("why", &why)]);
    }
}

fn hyper_service(router: Router) -> TowerToHyperService<Router> {
    TowerToHyperService::new(router)
}

async fn record(assembly: &Assembly, event: Event) -> Result<(), Failure> {
    let version = concat!("cvv2 ", env!("CARGO_PKG_VERSION"));
    let record =
        EventRecord { detail: Some(version), ..EventRecord::new(OffsetDateTime::now_utc(), event) };
    assembly
        .http
        .audit
        .append(&Record::Event(record))
        .await
        .map_err(|e| Failure::System(format!("the audit log: {e}")))
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

impl From<DrainReport> for Cut {
    fn from(report: DrainReport) -> Self {
        Self { connections: report.connections_cut, requests: report.requests_cut }
    }
}
