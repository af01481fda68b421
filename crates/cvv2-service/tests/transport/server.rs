//! A server with a few paths, each for something that a test needs.

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use cvv2_service::transport::{
    BodyError, ConnectionLimits, DrainReport, Listener, Peer, TlsConfig, TlsSettings,
    TransportCounters, TransportEvent, Unanswered, listen, read_body, serve,
};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// What a panic says in these tests, and nobody may read.
pub(crate) const CANARY: &str = "4123456789012345";
/// More than any socket buffers.
pub(crate) const LARGE: usize = 64 << 20;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) counters: Arc<TransportCounters>,
    pub(crate) tls: Option<Arc<TlsConfig>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<DrainReport>,
}

impl Server {
    pub(crate) fn plain(limits: ConnectionLimits) -> Self {
        Self::start(limits, None)
    }

    pub(crate) fn tls(limits: ConnectionLimits, settings: TlsSettings) -> Self {
        Self::start(limits, Some(Arc::new(TlsConfig::load(settings).unwrap())))
    }

    fn start(limits: ConnectionLimits, tls: Option<Arc<TlsConfig>>) -> Self {
        limits.check().unwrap();
        let socket = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let counters = Arc::new(TransportCounters::new());
        let (stop, stopped) = oneshot::channel();
        let service = {
            let (limits, counters) = (limits.clone(), Arc::clone(&counters));
            service_fn(move |request| answer(request, limits.clone(), Arc::clone(&counters)))
        };
        let listener =
            Listener { socket, tls: tls.clone(), limits, counters: Arc::clone(&counters) };
        let instead = |path: &str, why| {
            let (status, text) = match why {
                Unanswered::Late => (StatusCode::GATEWAY_TIMEOUT, "late"),
                Unanswered::Panicked => (StatusCode::INTERNAL_SERVER_ERROR, "panicked"),
            };
            let mut answer =
                Response::new(Full::new(Bytes::from(format!("{text} {path}"))).boxed_unsync());
            *answer.status_mut() = status;
            answer
        };
        let task = tokio::spawn(serve(listener, service, instead, async {
            let _ = stopped.await;
        }));
        Self { address, counters, tls, stop, task }
    }

    pub(crate) fn count(&self, event: TransportEvent) -> u64 {
        self.counters.count(event)
    }

    /// Waits until nobody is connected any more.
    pub(crate) async fn empty(&self) {
        wait_for(|| self.count(TransportEvent::Accepted) > 0).await;
        wait_for(|| self.counters.connections_open() == 0).await;
    }

    /// Tells it to end.
    pub(crate) fn stop(self) -> JoinHandle<DrainReport> {
        self.stop.send(()).unwrap();
        self.task
    }
}

/// Waits until something is true, or fails the test.
pub(crate) async fn wait_for(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("it does not come true");
}

type AnswerBody = UnsyncBoxBody<Bytes, Infallible>;

async fn answer(
    request: Request<Incoming>,
    limits: ConnectionLimits,
    counters: Arc<TransportCounters>,
) -> Result<Response<AnswerBody>, Infallible> {
    let path = request.uri().path().to_owned();
    let full = |body: Bytes| Full::new(body).boxed_unsync();
    Ok(match path.as_str() {
        "/echo" => match read_body(request.into_body(), &limits, &counters).await {
            Ok(body) => Response::new(full(Bytes::copy_from_slice(&body))),
            Err(error) => {
                let status = match error {
                    BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                    BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
                    _ => StatusCode::BAD_REQUEST,
                };
                let mut answer = Response::new(full(Bytes::new()));
                *answer.status_mut() = status;
                answer
            }
        },
        "/peer" => {
            let peer = request.extensions().get::<Peer>().unwrap();
            let certificate =
                peer.certificate.map_or_else(|| "nobody".to_owned(), |name| name.to_string());
            Response::new(full(format!("{:?} {certificate}", peer.tls).into()))
        }
        "/slow" => {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Response::new(full(Bytes::from_static(b"slow")))
        }
        "/never" => pending().await,
        "/panic" => panic!("{CANARY}"),
        "/panic-in-body" => Response::new(PanickingBody.boxed_unsync()),
        "/large" => Response::new(full(vec![b'x'; LARGE].into())),
        _ => Response::new(full(Bytes::from_static(b"hello"))),
    })
}

struct PanickingBody;

impl Body for PanickingBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("{CANARY}")
    }
}
