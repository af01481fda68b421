//! A process without descriptors does not spin, and serves again when it has some.
//!
//! A file of its own, because the limit is the process's.

use std::convert::Infallible;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use cvv2_service::transport::{
    ConnectionLimits, Listener, TransportCounters, TransportEvent, listen, serve,
};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper::{Request, Response};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn run_out_and_come_back() {
    let counters = Arc::new(TransportCounters::new());
    let socket = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let limits = ConnectionLimits::default();
    let listener = Listener { socket, tls: None, limits, counters: Arc::clone(&counters) };
    let service = service_fn(|_: Request<_>| async {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"hello"))))
    });
    let instead = |_: &str, _| Response::new(Full::new(Bytes::new()));
    tokio::spawn(serve(listener, service, instead, std::future::pending()));

    let limit = Rlimit { current: Some(256), maximum: getrlimit(Resource::Nofile).maximum };
    setrlimit(Resource::Nofile, limit).unwrap();
    // One is left for the client's end, none for the server's.
    let mut taken: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    taken.pop();
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let failed = counters.count(TransportEvent::AcceptFailed);
    // 5, 10, 20 ... 320 ms apart: seven or so, and not thousands.
    assert!((2..20).contains(&failed), "{failed} attempts");
    assert_eq!(counters.connections_open(), 0);

    drop(taken);
    let mut answer = [0; 12];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    assert_eq!(counters.count(TransportEvent::Accepted), 1);
}
