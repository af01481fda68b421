//! The accept loop, and how it ends.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use hyper::body::{Body, Bytes, Incoming};
use hyper::service::Service;
use hyper::{Request, Response};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use super::addresses::{Addresses, Place};
use super::connection::{Shared, Stage};
use super::connection_limits::ConnectionLimits;
use super::counters::{TransportCounters, TransportEvent};
use super::requests::Unanswered;
use super::tls_config::TlsConfig;

/// Connections that wait in the kernel to be accepted.
const BACKLOG: u32 = 1024;
/// The pause after the system could not accept, doubled each time it cannot again.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Time for connections to notice that theirs is over.
const CUT_TIMEOUT: Duration = Duration::from_secs(1);

/// A socket that listens, and how connections to it are served.
#[expect(clippy::exhaustive_structs, reason = "whoever serves fills it in")]
#[derive(Debug)]
pub struct Listener {
    /// As [`listen`] makes it.
    pub socket: TcpListener,
    /// Without it, it is plain HTTP/1.1: for metrics on the loopback address.
    pub tls: Option<Arc<TlsConfig>>,
    /// What connections may take.
    pub limits: ConnectionLimits,
    /// Counts, of several listeners together if they share it.
    pub counters: Arc<TransportCounters>,
}

/// How a listener ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// Connections that were still open when the time for it was over.
    pub connections_cut: u64,
    /// Requests on them that have no whole answer.
    pub requests_cut: u64,
}

/// Listens at an address, at once also where an earlier process has just ended (`SO_REUSEADDR`).
///
/// # Errors
///
/// As the system refuses: the address is taken, is not ours, or its port is a privileged one.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves connections until `shutdown` comes, then finishes what was begun.
///
/// Every request carries its [`Peer`](super::Peer) as an extension. One that is not answered within
/// its deadline is dropped, and one that panics is over; either is answered with what `substitute`
/// makes of its path. A service that blocks its thread cannot be dropped. One is dropped as well
/// where its client leaves before the answer: what must be finished belongs into a task of its own.
///
/// After `shutdown` nothing is accepted; connections are told to end (`Connection: close`, GOAWAY),
/// requests in flight have `drain_timeout_ms`, and what is open then is cut.
pub async fn serve<S, B>(
    listener: Listener,
    service: S,
    substitute: impl Fn(&str, Unanswered) -> Response<B> + Send + Sync + 'static,
    shutdown: impl Future<Output = ()>,
) -> DrainReport
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Send + Sync + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let Listener { socket, tls, limits, counters } = listener;
    let limits = Arc::new(limits);
    let shared = Arc::new(Shared {
        service: Arc::new(service),
        substitute: Arc::new(substitute),
        tls,
        limits: Arc::clone(&limits),
        counters: Arc::clone(&counters),
    });
    let gate = Gate {
        permits: Arc::new(Semaphore::new(limits.connections_max as usize)),
        addresses: Addresses::new(limits.connections_per_address_max),
        counters: Arc::clone(&counters),
    };
    let requests_cut = Arc::new(AtomicU64::new(0));
    let (stage, stages) = watch::channel(Stage::Serving);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = connections.join_next() => count_panic(&counters, ended),
            (stream, address, admission) = gate.next(&socket) => {
                let (shared, stages) = (Arc::clone(&shared), stages.clone());
                let requests_cut = Arc::clone(&requests_cut);
                connections.spawn(async move {
                    let _admission = admission;
                    let cut = shared.connection(stream, address, stages).await;
                    requests_cut.fetch_add(cut.into(), Relaxed);
                });
            }
        }
    }
    drop(socket);
    stage.send_replace(Stage::Draining);
    let ended = timeout(limits.drain_timeout(), join(&mut connections, &counters)).await;
    let connections_cut = connections.len() as u64;
    if ended.is_err() {
        stage.send_replace(Stage::Over);
        // A connection whose service blocks its thread notices nothing; it is left to the process's
        // end.
        let _ = timeout(CUT_TIMEOUT, join(&mut connections, &counters)).await;
    }
    DrainReport { connections_cut, requests_cut: requests_cut.load(Relaxed) }
}

async fn join(connections: &mut JoinSet<()>, counters: &TransportCounters) {
    while let Some(ended) = connections.join_next().await {
        count_panic(counters, ended);
    }
}

/// A panic outside a service's call: in the body of an HTTP/1.1 answer.
fn count_panic(counters: &TransportCounters, ended: Result<(), JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        counters.add(TransportEvent::Panicked);
    }
}

/// Lets connections in.
struct Gate {
    permits: Arc<Semaphore>,
    addresses: Arc<Addresses>,
    counters: Arc<TransportCounters>,
}

/// What a connection has from the gate, and gives back when it is dropped.
struct Admission {
    _permit: OwnedSemaphorePermit,
    _place: Place,
    counters: Arc<TransportCounters>,
}

impl Admission {
    fn new(permit: OwnedSemaphorePermit, place: Place, counters: &Arc<TransportCounters>) -> Self {
        counters.add(TransportEvent::Accepted);
        counters.connection_opened();
        Self { _permit: permit, _place: place, counters: Arc::clone(counters) }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.counters.connection_closed();
    }
}

impl Gate {
    /// The next connection that may come in. May be dropped at any time: no connection is lost.
    async fn next(&self, socket: &TcpListener) -> (TcpStream, SocketAddr, Admission) {
        let mut permit = self.permit().await;
        let mut pause = PAUSE_MIN;
        loop {
            match socket.accept().await {
                Ok((stream, address)) => {
                    pause = PAUSE_MIN;
                    let Some(place) = self.addresses.enter(address.ip()) else {
                        self.counters.add(TransportEvent::AddressFull);
                        continue;
                    };
                    return (stream, address, Admission::new(permit, place, &self.counters));
                }
                // The client was faster to leave.
                Err(error) if is_of_the_connection(&error) => (),
                // No descriptors or no memory: whoever has them needs a moment to give them back.
                Err(_) => {
                    self.counters.add(TransportEvent::AcceptFailed);
                    drop(permit);
                    sleep(pause).await;
                    pause = (2 * pause).min(PAUSE_MAX);
                    permit = self.permit().await;
                }
            }
        }
    }

    /// Waits for a place, not for a connection: what is not accepted costs the kernel little and us
    /// nothing.
    async fn permit(&self) -> OwnedSemaphorePermit {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return permit;
        }
        self.counters.add(TransportEvent::ConnectionsFull);
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        permit.expect("the semaphore is never closed")
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
