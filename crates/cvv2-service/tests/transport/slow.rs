//! Slow clients, each shape closed in its time while a good one is served.

use std::time::{Duration, Instant};

use cvv2_service::transport::{ConnectionLimits, TransportEvent};
use http_body_util::Full;
use hyper::Request;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::client::{Client, Client2, GET};
use crate::pki::Files;
use crate::server::Server;

/// The time of the phase that a test is about.
const SHORT: u32 = 300;
const SHORT_TIME: Duration = Duration::from_millis(SHORT as u64);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(3);

fn limits(change: impl FnOnce(&mut ConnectionLimits)) -> ConnectionLimits {
    let mut limits = ConnectionLimits::default();
    change(&mut limits);
    limits
}

/// Waits for the end of a connection, which is for this reason and in its time.
async fn ends(server: &Server, since: Instant, event: TransportEvent) {
    server.empty().await;
    let took = since.elapsed();
    assert!((SHORT_TIME..SHORT_TIME + SLACK).contains(&took), "{event:?} after {took:?}");
    assert_eq!(server.count(event), 1, "{event:?}");
    let closed: u64 = TransportEvent::ALL
        .into_iter()
        .filter(|event| event.name().ends_with("timed_out"))
        .map(|event| server.count(event))
        .sum();
    assert_eq!(closed, 1, "for this reason only: {event:?}");
}

#[tokio::test]
async fn silent_before_the_handshake() {
    let server =
        Server::tls(limits(|l| l.tls_handshake_timeout_ms = SHORT), Files::new().0.settings());
    let since = Instant::now();
    let mut client = Client::plain(&server).await;
    client.closed().await;
    ends(&server, since, TransportEvent::HandshakeTimedOut).await;
}

#[tokio::test]
async fn half_a_handshake() {
    let server =
        Server::tls(limits(|l| l.tls_handshake_timeout_ms = SHORT), Files::new().0.settings());
    let since = Instant::now();
    let mut client = Client::plain(&server).await;
    // A record of a handshake with 512 bytes, of which 4 come.
    client.0.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252]).await.unwrap();
    client.closed().await;
    ends(&server, since, TransportEvent::HandshakeTimedOut).await;
}

#[tokio::test]
async fn silent_after_the_handshake() {
    let (files, certificate) = Files::new();
    let server = Server::tls(limits(|l| l.header_read_timeout_ms = SHORT), files.settings());
    let mut client = Client::tls(&server, &certificate).await;
    let since = Instant::now();
    client.closed().await;
    server.empty().await;
    assert!(since.elapsed() < SHORT_TIME + SLACK);
    assert_eq!(server.count(TransportEvent::HeaderTimedOut), 1);
}

#[tokio::test]
async fn silent_after_the_handshake_of_http2() {
    let (files, certificate) = Files::new();
    let server = Server::tls(limits(|l| l.header_read_timeout_ms = SHORT), files.settings());
    let _client = Client2::tls(&server, &certificate).await;
    server.empty().await;
    assert_eq!(server.count(TransportEvent::HeaderTimedOut), 1);
}

#[tokio::test]
async fn half_a_head() {
    let server = Server::plain(limits(|l| l.header_read_timeout_ms = SHORT));
    let since = Instant::now();
    let mut client = Client::plain(&server).await;
    client.send(&GET[..20]).await;
    client.closed().await;
    ends(&server, since, TransportEvent::HeaderTimedOut).await;
}

#[tokio::test]
async fn a_head_byte_by_byte() {
    let server = Server::plain(limits(|l| l.header_read_timeout_ms = SHORT));
    let since = Instant::now();
    let mut client = Client::plain(&server).await;
    let drip = async {
        for byte in GET.as_bytes().iter().cycle() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            // 37 bytes take longer than the time for a head.
            if client.0.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(drip, ends(&server, since, TransportEvent::HeaderTimedOut));
}

#[tokio::test]
async fn half_a_second_head() {
    let server = Server::plain(limits(|l| l.header_read_timeout_ms = SHORT));
    let mut client = Client::plain(&server).await;
    assert_eq!(client.ask(GET).await.status, 200);
    let since = Instant::now();
    client.send(&GET[..20]).await;
    client.closed().await;
    ends(&server, since, TransportEvent::HeaderTimedOut).await;
}

#[tokio::test]
async fn half_a_body() {
    let server = Server::plain(limits(|l| {
        l.body_read_timeout_ms = SHORT;
        l.header_read_timeout_ms = 1_000;
    }));
    let mut client = Client::plain(&server).await;
    let since = Instant::now();
    client.send("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n12345").await;
    assert_eq!(client.answer().await.unwrap().status, 408);
    client.closed().await;
    ends(&server, since, TransportEvent::BodyTimedOut).await;
}

#[tokio::test]
async fn idle_after_a_request() {
    let server = Server::plain(limits(|l| l.idle_timeout_ms = SHORT));
    let mut client = Client::plain(&server).await;
    let since = Instant::now();
    assert_eq!(client.ask(GET).await.status, 200);
    client.closed().await;
    ends(&server, since, TransportEvent::IdleTimedOut).await;
}

#[tokio::test]
async fn idle_after_a_request_of_http2() {
    let (files, certificate) = Files::new();
    let server = Server::tls(limits(|l| l.idle_timeout_ms = SHORT), files.settings());
    let mut client = Client2::tls(&server, &certificate).await;
    let since = Instant::now();
    assert_eq!(client.post("/", "").await.unwrap().0, 200);
    ends(&server, since, TransportEvent::IdleTimedOut).await;
}

#[tokio::test]
async fn an_answer_that_nobody_takes() {
    let server = Server::plain(limits(|l| l.write_timeout_ms = SHORT));
    let mut client = Client::plain(&server).await;
    let since = Instant::now();
    client.send(&GET.replace("/ ", "/large ")).await;
    ends(&server, since, TransportEvent::WriteTimedOut).await;
}

#[tokio::test]
async fn an_answer_that_nobody_takes_of_tls() {
    let (files, certificate) = Files::new();
    let server = Server::tls(limits(|l| l.write_timeout_ms = SHORT), files.settings());
    let mut client = Client::tls(&server, &certificate).await;
    let since = Instant::now();
    client.send(&GET.replace("/ ", "/large ")).await;
    ends(&server, since, TransportEvent::WriteTimedOut).await;
}

/// The connection goes on reading, only the stream's window is never opened.
#[tokio::test]
async fn an_answer_that_nobody_takes_of_http2() {
    let (files, certificate) = Files::new();
    let limits = limits(|l| {
        l.write_timeout_ms = 100;
        l.request_deadline_ms = 200;
        l.idle_timeout_ms = 200;
    });
    let server = Server::tls(limits, files.settings());
    let mut client = Client2::tls(&server, &certificate).await;
    let since = Instant::now();
    let request = Request::get("https://localhost/large").body(Full::default()).unwrap();
    let answer = client.send(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    server.empty().await;
    assert!(since.elapsed() < SHORT_TIME + SLACK);
    drop(answer);
}

#[tokio::test]
async fn an_old_connection_is_told_to_end() {
    let (files, certificate) = Files::new();
    let limits = limits(|l| l.connection_lifetime_s = 1);
    let server = Server::tls(limits, files.settings());
    let mut first = Client::tls(&server, &certificate).await;
    let mut second = Client2::tls(&server, &certificate).await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    let (one, two) = tokio::join!(first.get("/slow"), second.post("/slow", ""));
    assert_eq!((one.status, two.unwrap().0), (200, 200), "requests in flight are answered");
    assert!(one.head.contains("connection: close"));
    server.empty().await;
    assert_eq!(server.count(TransportEvent::LifetimePassed), 2);
}

#[tokio::test]
async fn a_good_client_beside_silent_ones() {
    let (files, certificate) = Files::new();
    let server = Server::tls(limits(|l| l.tls_handshake_timeout_ms = SHORT), files.settings());
    let silent: Vec<_> =
        std::iter::repeat_with(|| TcpStream::connect(server.address)).take(20).collect();
    let mut open = Vec::new();
    for connecting in silent {
        open.push(connecting.await.unwrap());
    }
    let mut good = Client::tls(&server, &certificate).await;
    while server.count(TransportEvent::HandshakeTimedOut) < 20 {
        assert_eq!(good.ask(GET).await.status, 200);
    }
}
