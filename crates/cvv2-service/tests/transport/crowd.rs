//! A crowd of slow clients, and what it costs a good one.
//!
//! `CVV2_SLOW_CLIENTS=2000 cargo test -p cvv2-service --test transport crowd -- --nocapture` has so
//! many of them, open all at once, and holds the good clients' 99th percentile to less than twice
//! what it is without: from when the last has come, because this process computes the clients' half
//! of the handshakes too, to when the last is closed. A machine that does something else beside it
//! does not show that, so a small crowd only prints it.

use std::collections::BTreeMap;
use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use cvv2_service::transport::{ConnectionLimits, TransportEvent};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls_pki_types::CertificateDer;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use crate::client::{Client, GET};
use crate::pki::Files;
use crate::server::Server;

/// How many slow clients there are unless `CVV2_SLOW_CLIENTS` says so.
const SLOW_CLIENTS: usize = 100;
/// Slow clients come at this interval.
const ARRIVAL: Duration = Duration::from_millis(4);
/// Between the last of them coming and the first of them being closed.
const TOGETHER: Duration = Duration::from_secs(2);
/// What a busy machine may add to a time-out.
const SLACK: Duration = Duration::from_secs(3);
const GOOD_CLIENTS: usize = 4;
/// Between two requests of a good client.
const PACE: Duration = Duration::from_millis(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    SilentTls,
    HalfHandshake,
    HalfHead,
    HalfBody,
    Idle,
}

const SHAPES: [Shape; 5] =
    [Shape::SilentTls, Shape::HalfHandshake, Shape::HalfHead, Shape::HalfBody, Shape::Idle];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_closed_in_time_and_good_clients_do_not_notice() {
    let given = env::var("CVV2_SLOW_CLIENTS").ok();
    let crowd = given.as_ref().map_or(SLOW_CLIENTS, |count| count.parse().unwrap());
    allow_descriptors(2 * crowd as u64 + 256);
    let (files, certificate) = Files::new();
    let phase_time = ARRIVAL * u32::try_from(crowd).unwrap() + TOGETHER;
    let phase = u32::try_from(phase_time.as_millis()).unwrap();
    let limits = ConnectionLimits {
        connections_max: 8192,
        connections_per_address_max: 8192,
        tls_handshake_timeout_ms: phase,
        header_read_timeout_ms: phase,
        body_read_timeout_ms: phase,
        idle_timeout_ms: phase,
        request_deadline_ms: 2 * phase,
        ..ConnectionLimits::default()
    };
    let server = Arc::new(Server::tls(limits, files.settings()));

    let nothing = async { tokio::time::sleep(phase_time).await };
    let base = good_clients(&server, &certificate, nothing).await;
    // A thread of their own: what they do when they are closed is not to be in the way of good ones. It
    // is left to the end of the process, since a runtime may not be dropped in another one.
    let others = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let others = Box::leak(Box::new(others.expect("one more thread can be started")));
    let mut clients = JoinSet::new();
    for at in 0..crowd {
        let (server, certificate) = (Arc::clone(&server), certificate.clone());
        let client = slow(server, certificate, SHAPES[at % SHAPES.len()]);
        clients.spawn_on(client, others.handle());
        tokio::time::sleep(ARRIVAL).await;
    }
    let crowded = good_clients(&server, &certificate, async {
        while let Some(closed) = clients.join_next().await {
            let (shape, after) = closed.unwrap();
            assert!(after < phase_time + SLACK, "{shape:?} closed after {after:?}");
        }
    })
    .await;
    println!("{crowd} slow clients: p99 of good ones {crowded:?}, {base:?} without");
    if given.is_some() {
        assert!(crowded < 2 * base, "{crowded:?} is not less than twice {base:?}");
    }
    server.empty().await;
    let each = (crowd / SHAPES.len()) as u64;
    assert_eq!(server.count(TransportEvent::HandshakeTimedOut), each);
    assert_eq!(server.count(TransportEvent::HeaderTimedOut), 2 * each);
    assert_eq!(server.count(TransportEvent::BodyTimedOut), each);
    // The good ones end by themselves.
    assert_eq!(server.count(TransportEvent::IdleTimedOut), each);
}

/// Does its shape, and tells how long it was kept.
async fn slow(
    server: Arc<Server>,
    certificate: CertificateDer<'static>,
    shape: Shape,
) -> (Shape, Duration) {
    if shape == Shape::HalfHandshake {
        let since = Instant::now();
        let mut client = Client::plain(&server).await;
        client.send("\u{16}\u{3}\u{1}\u{2}").await;
        client.closed().await;
        return (shape, since.elapsed());
    }
    let mut client = Client::tls(&server, &certificate).await;
    let since = Instant::now();
    match shape {
        Shape::SilentTls | Shape::HalfHandshake => (),
        Shape::HalfHead => client.send(&GET[..20]).await,
        Shape::HalfBody => {
            let head = "POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n";
            client.send(&format!("{head}12345")).await;
        }
        Shape::Idle => drop(client.ask(GET).await),
    }
    client.closed().await;
    (shape, since.elapsed())
}

/// The 99th percentile of requests at a steady pace, for as long as something else takes.
///
/// It is that of the median second, so that what else the machine does for a second or two decides
/// nothing.
async fn good_clients(
    server: &Arc<Server>,
    certificate: &CertificateDer<'static>,
    during: impl Future<Output = ()>,
) -> Duration {
    let over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    let began = Instant::now();
    for _ in 0..GOOD_CLIENTS {
        let over = Arc::clone(&over);
        let mut client = Client::tls(server, certificate).await;
        clients.spawn(async move {
            let mut times = Vec::new();
            let mut pace = tokio::time::interval(PACE);
            while !over.load(Relaxed) {
                pace.tick().await;
                let since = Instant::now();
                assert_eq!(client.ask(GET).await.status, 200);
                times.push((began.elapsed().as_secs(), since.elapsed()));
            }
            times
        });
    }
    during.await;
    over.store(true, Relaxed);
    let mut seconds = BTreeMap::<u64, Vec<Duration>>::new();
    for (second, time) in clients.join_all().await.concat() {
        seconds.entry(second).or_default().push(time);
    }
    let percentile = |mut times: Vec<Duration>, percent: usize| {
        times.sort_unstable();
        times[times.len() * percent / 100]
    };
    let each = seconds.into_values().map(|times| percentile(times, 99)).collect();
    percentile(each, 50)
}

fn allow_descriptors(count: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= count) {
        return;
    }
    let raised = Rlimit { current: Some(count), maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).expect("descriptors for every connection");
}
