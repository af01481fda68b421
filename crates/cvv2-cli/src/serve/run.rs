//! Serving, until somebody says stop.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::Router;
use cvv2_service::audit::{Event, EventRecord, Record};
use cvv2_service::http;
use cvv2_service::transport::{DrainReport, Listener, install_panic_hook, listen, serve};
use hyper_util::service::TowerToHyperService;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::assembly::Assembly;
use super::log::{Level, Log};
use super::notify::notify;
use super::reload::reload;
use crate::failure::{Answer, Failure};

/// How often certificates are looked at.
const CERTIFICATE_WATCH: Duration = Duration::from_secs(10);

/// Serves until SIGTERM or SIGINT.
pub(super) fn until_stopped(assembly: Assembly) -> Result<Answer, Failure> {
    serve_with(assembly, |_, _| ())
}

/// The same, and calls `ready` with the address, once requests are answered there.
pub(super) fn serve_with(
    assembly: Assembly,
    ready: impl FnOnce(&Assembly, SocketAddr),
) -> Result<Answer, Failure> {
    install_panic_hook();
    let workers = assembly.serve.workers.unwrap_or_else(processors);
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name("cvv2")
        .enable_all()
        .build()
        .map_err(|e| Failure::System(format!("the service's threads: {e}")))?;
    let log = Log::new(assembly.serve.log);
    let assembly = Arc::new(assembly);
    let served = runtime.block_on(serve_all(Arc::clone(&assembly), log, ready));
    // What still runs on threads that block has nobody left to answer.
    runtime.shutdown_timeout(Duration::from_secs(5));
    let report = served?;
    let (connections, requests) = (report.connections_cut, report.requests_cut);
    log.write(
        Level::Info,
        "stopped",
        &[("connections_cut", &connections), ("requests_cut", &requests)],
    );
    Ok(Answer::Done)
}

async fn serve_all(
    assembly: Arc<Assembly>,
    log: Log,
    ready: impl FnOnce(&Assembly, SocketAddr),
) -> Result<DrainReport, Failure> {
    let signals = Signals::new().map_err(|e| Failure::System(format!("signals: {e}")))?;
    let http = &assembly.http;
    let (socket, address) = bound(assembly.serve.listen)?;
    let listener = Listener {
        socket,
        tls: Some(Arc::clone(&assembly.tls)),
        limits: assembly.serve.connections.clone(),
        counters: Arc::clone(&http.transport_counters),
    };
    let (stop, stopped) = watch::channel(false);
    let late = Arc::clone(http);
    let requests = serve(
        listener,
        hyper_service(http::router(Arc::clone(http))),
        move |uri: &_, why| http::substitute(&late, uri, why),
        until(stopped.clone()),
    );
    let metrics_socket = assembly.serve.metrics_listen.map(bound).transpose()?;
    let metrics_address = metrics_socket.as_ref().map(|(_, address)| *address);
    let metrics = metrics(&assembly, metrics_socket.map(|(socket, _)| socket), stopped.clone());

    record(&assembly, Event::Start).await?;
    log.write(
        Level::Info,
        "listening",
        &[("address", &address), ("kernel", &cvv2::Kernel::detect().name())],
    );
    if let Some(address) = metrics_address {
        log.write(Level::Info, "listening_for_metrics", &[("address", &address)]);
    }
    notify("READY=1\n");
    ready(&assembly, address);

    let watch_certificates = {
        let assembly = Arc::clone(&assembly);
        async move {
            let report = |outcome: Result<(), _>| match outcome {
                Ok(()) => log.write(Level::Info, "reloaded", &[("what", &"tls")]),
                Err(error) => {
                    log.write(Level::Error, "not_reloaded", &[("what", &"tls"), ("error", &error)]);
                }
            };
            assembly.tls.watch(CERTIFICATE_WATCH, report).await;
        }
    };
    let watching = tokio::spawn(watch_certificates);
    let obeying = tokio::spawn(obey(signals, Arc::clone(&assembly), log, stop));
    let (report, _) = tokio::join!(requests, metrics);
    watching.abort();
    obeying.abort();
    record(&assembly, Event::Stop).await?;
    Ok(report)
}

/// A socket that listens, and where: a port 0 became another.
fn bound(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let bound = listen(address).and_then(|socket| {
        let address = socket.local_addr()?;
        Ok((socket, address))
    });
    bound.map_err(|e| Failure::System(format!("{address}: {e}")))
}

/// Serves metrics where they are wanted.
fn metrics(
    assembly: &Assembly,
    socket: Option<TcpListener>,
    stopped: watch::Receiver<bool>,
) -> impl Future<Output = ()> + use<> {
    let http = Arc::clone(&assembly.http);
    let limits = assembly.serve.connections.clone();
    async move {
        let Some(socket) = socket else { return };
        let counters = Arc::clone(&http.transport_counters);
        let listener = Listener { socket, tls: None, limits, counters };
        let service = hyper_service(http::metrics_router(Arc::clone(&http)));
        let instead = move |uri: &_, why| http::substitute(&http, uri, why);
        serve(listener, service, instead, until(stopped)).await;
    }
}

fn hyper_service(router: Router) -> TowerToHyperService<Router> {
    TowerToHyperService::new(router)
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that nobody can say stop any more.
    let _ = stopped.wait_for(|stopped| *stopped).await;
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

struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }
}

/// Reloads as often as it is told to, and stops once.
async fn obey(
    mut signals: Signals,
    assembly: Arc<Assembly>,
    log: Log,
    stop: watch::Sender<bool>,
) -> Infallible {
    loop {
        tokio::select! {
            _ = signals.hangup.recv() => {
                let assembly = Arc::clone(&assembly);
                let reloaded = tokio::task::spawn_blocking(move || reload(&assembly, log)).await;
                if reloaded.is_err() {
                    log.write(Level::Error, "not_reloaded", &[("error", &"a fault of the program")]);
                }
            }
            _ = signals.interrupt.recv() => {
                log.write(Level::Info, "stopping", &[("signal", &"SIGINT")]);
                notify("STOPPING=1\n");
                stop.send_replace(true);
            }
            _ = signals.terminate.recv() => {
                log.write(Level::Info, "stopping", &[("signal", &"SIGTERM")]);
                notify("STOPPING=1\n");
                stop.send_replace(true);
            }
        }
    }
}
