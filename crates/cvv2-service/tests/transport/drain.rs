//! The end of a service: what was begun is finished, nothing else is.

use std::time::{Duration, Instant};

use cvv2_service::transport::{ConnectionLimits, DrainReport};
use tokio::net::TcpStream;

use crate::client::{Client, Client2, GET};
use crate::pki::Files;
use crate::server::{Server, wait_for};

#[tokio::test]
async fn requests_in_flight_are_finished_and_no_connection_accepted() {
    let (files, certificate) = Files::new();
    let server = Server::tls(ConnectionLimits::default(), files.settings());
    let mut first = Client::tls(&server, &certificate).await;
    let mut second = Client2::tls(&server, &certificate).await;
    let mut idle = Client::tls(&server, &certificate).await;
    assert_eq!(idle.ask(GET).await.status, 200);
    let mut fresh = Client::tls(&server, &certificate).await;
    let shaking = Client::plain(&server).await;
    let (address, counters) = (server.address, server.counters.clone());
    let stop = async move {
        wait_for(|| counters.requests_in_flight() == 2).await;
        let ended = server.stop();
        idle.closed().await;
        fresh.closed().await;
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
        ended.await.unwrap()
    };
    let (one, two, report) = tokio::join!(first.get("/slow"), second.post("/slow", ""), stop);
    assert_eq!((one.status, one.body.as_str()), (200, "slow"));
    assert!(one.head.contains("connection: close"), "{}", one.head);
    assert_eq!(two.unwrap(), (200, "slow".to_owned()));
    assert!(second.post("/", "").await.is_err());
    assert_eq!(report, DrainReport::default());
    drop(shaking);
}

#[tokio::test]
async fn what_is_not_finished_in_time_is_cut_and_counted() {
    let (files, certificate) = Files::new();
    let limits = ConnectionLimits { drain_timeout_ms: 300, ..ConnectionLimits::default() };
    let server = Server::tls(limits, files.settings());
    let mut first = Client::tls(&server, &certificate).await;
    first.send(&GET.replace("/ ", "/never ")).await;
    let mut second = Client2::tls(&server, &certificate).await;
    let mut third = Client2(second.0.clone());
    let counters = server.counters.clone();
    let stop = async move {
        wait_for(|| counters.requests_in_flight() == 3).await;
        let since = Instant::now();
        let report = server.stop().await.unwrap();
        let took = since.elapsed();
        assert!((Duration::from_millis(300)..Duration::from_secs(5)).contains(&took), "{took:?}");
        report
    };
    let (two, three, report) =
        tokio::join!(second.post("/never", ""), third.post("/never", ""), stop);
    assert!(two.is_err() && three.is_err());
    assert_eq!((report.connections_cut, report.requests_cut), (2, 3));
    assert!(first.answer().await.is_none());
}
