//! One connection, from its handshake to its end.

use std::convert::Infallible;
use std::error::Error;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};

use hyper::body::{Body, Bytes, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::activity::{Activity, Protocol, What};
use super::connection_limits::ConnectionLimits;
use super::counters::{TransportCounters, TransportEvent};
use super::panics::CountingExecutor;
use super::peer::Peer;
use super::requests::{Requests, Substitute};
use super::tls_config::{ALPN_HTTP2, TlsConfig};
use super::watched_io::WatchedIo;

/// hyper refuses to work with a smaller buffer.
const H1_BUFFER_BYTES_MIN: usize = 8192;

/// What every connection of a listener shares.
pub(super) struct Shared<S, B> {
    pub(super) service: Arc<S>,
    pub(super) substitute: Arc<Substitute<B>>,
    pub(super) tls: Option<Arc<TlsConfig>>,
    pub(super) limits: Arc<ConnectionLimits>,
    pub(super) counters: Arc<TransportCounters>,
}

/// Where a listener is on its way to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Serving,
    /// Requests in flight are finished, and no others begun.
    Draining,
    /// The time for that is over.
    Over,
}

impl<S, B> Shared<S, B>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Send + Sync + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Serves a connection to its end. Returns how many of its requests were cut off by
    /// [`Stage::Over`].
    pub(super) async fn connection(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        mut stage: watch::Receiver<Stage>,
    ) -> u32 {
        // Answers are written at once and whole; where the kernel refuses, they are only later.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return self.http1(stream, Peer::plain(address), stage).await;
        };
        let acceptor = TlsAcceptor::from(tls.current());
        let stream = tokio::select! {
            // Nothing was asked on it yet.
            _ = stage.wait_for(|stage| *stage > Stage::Serving) => return 0,
            stream = self.handshake(&acceptor, stream) => stream,
        };
        let Some(stream) = stream else { return 0 };
        let session = stream.get_ref().1;
        let peer = Peer::tls(address, session);
        match session.alpn_protocol() {
            Some(ALPN_HTTP2) => self.http2(stream, peer, stage).await,
            _ => self.http1(stream, peer, stage).await,
        }
    }

    async fn handshake(
        &self,
        acceptor: &TlsAcceptor,
        stream: TcpStream,
    ) -> Option<TlsStream<TcpStream>> {
        match timeout(self.limits.tls_handshake_timeout(), acceptor.accept(stream)).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(_)) => {
                self.counters.add(TransportEvent::HandshakeFailed);
                None
            }
            Err(_) => {
                self.counters.add(TransportEvent::HandshakeTimedOut);
                None
            }
        }
    }

    async fn http1<T>(&self, io: T, peer: Peer, stage: watch::Receiver<Stage>) -> u32
    where
        T: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let (activity, requests) = self.requests(Protocol::Http1, peer);
        let header_bytes_max = self.limits.header_bytes_max as usize;
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(None) // `Activity` tells a slow head from a silent connection
            .max_header_size(header_bytes_max)
            .max_buf_size(H1_BUFFER_BYTES_MIN.max(header_bytes_max))
            .serve_connection(TokioIo::new(WatchedIo::new(io, Arc::clone(&activity))), requests);
        self.watch(pin!(connection), &activity, stage).await
    }

    async fn http2<T>(&self, io: T, peer: Peer, stage: watch::Receiver<Stage>) -> u32
    where
        T: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let (activity, requests) = self.requests(Protocol::Http2, peer);
        let connection = http2::Builder::new(CountingExecutor(Arc::clone(&self.counters)))
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.limits.h2_streams_max)
            .max_header_list_size(self.limits.header_bytes_max)
            .initial_stream_window_size(self.limits.h2_stream_window_bytes)
            .initial_connection_window_size(self.limits.h2_connection_window_bytes)
            .keep_alive_interval(self.limits.h2_ping_interval())
            .keep_alive_timeout(self.limits.h2_ping_interval())
            .serve_connection(TokioIo::new(WatchedIo::new(io, Arc::clone(&activity))), requests);
        self.watch(pin!(connection), &activity, stage).await
    }

    fn requests(&self, protocol: Protocol, peer: Peer) -> (Arc<Activity>, Requests<S, B>) {
        let activity =
            Arc::new(Activity::new(protocol, Arc::clone(&self.counters), Instant::now()));
        let requests = Requests {
            service: Arc::clone(&self.service),
            substitute: Arc::clone(&self.substitute),
            limits: Arc::clone(&self.limits),
            peer,
            activity: Arc::clone(&activity),
        };
        (activity, requests)
    }

    /// Drives a connection until it ends by itself or its time is over.
    async fn watch<C: HttpConnection>(
        &self,
        mut connection: Pin<&mut C>,
        activity: &Activity,
        mut stage: watch::Receiver<Stage>,
    ) -> u32 {
        let mut sleep = pin!(sleep_until(Instant::now()));
        let mut seen = Stage::Serving;
        loop {
            let step = poll_fn(|cx| {
                if connection.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Step::Ended);
                }
                // Whatever the connection has just done may have changed what is due.
                loop {
                    let now = Instant::now();
                    let due = activity.due(&self.limits, now);
                    if due.at <= now {
                        return Poll::Ready(Step::Due(due.what));
                    }
                    // Set to an earlier time it may stay: what is due then is asked again.
                    if due.at < sleep.deadline() || sleep.is_elapsed() {
                        sleep.as_mut().reset(due.at);
                    }
                    ready!(sleep.as_mut().poll(cx));
                }
            });
            let step = tokio::select! {
                // An error says that the listener is gone, and with it whoever would wait for us.
                next = stage.wait_for(|stage| *stage > seen) => {
                    Step::Stage(next.map_or(Stage::Over, |stage| *stage))
                }
                step = step => step,
            };
            match step {
                Step::Ended | Step::Due(What::Leave) => return 0,
                Step::Stage(Stage::Over) => return activity.requests(),
                Step::Stage(next) => {
                    seen = next;
                    activity.ending();
                    connection.as_mut().end();
                }
                Step::Due(What::End(event)) => {
                    self.counters.add(event);
                    activity.ending();
                    connection.as_mut().end();
                }
                Step::Due(What::Close(event)) => {
                    self.counters.add(event);
                    return 0;
                }
                Step::Due(What::Look) => (),
            }
        }
    }
}

enum Step {
    Ended,
    Due(What),
    Stage(Stage),
}

/// A connection that can be told to end: `Connection: close`, or GOAWAY.
trait HttpConnection: Future<Output = hyper::Result<()>> {
    fn end(self: Pin<&mut Self>);
}

impl<I, S, B> HttpConnection for http1::Connection<I, S>
where
    Self: Future<Output = hyper::Result<()>>,
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S, B, E> HttpConnection for http2::Connection<I, S, E>
where
    Self: Future<Output = hyper::Result<()>>,
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    E: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
{
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}
