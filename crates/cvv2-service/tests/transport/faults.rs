//! Panics and deadlines: contained, counted, and silent about why.

use cvv2_service::transport::{ConnectionLimits, TransportEvent};

use crate::client::{Client, Client2, GET};
use crate::pki::Files;
use crate::server::{CANARY, Server, wait_for};

#[tokio::test]
async fn a_panic_is_a_500_and_the_connection_goes_on() {
    let (files, certificate) = Files::new();
    let server = Server::tls(ConnectionLimits::default(), files.settings());
    let mut client = Client::tls(&server, &certificate).await;
    let answer = client.get("/panic").await;
    assert_eq!((answer.status, answer.body.as_str()), (500, "panicked /panic"));
    assert!(!answer.head.contains(CANARY));
    assert_eq!(client.ask(GET).await.status, 200);
    let mut client = Client2::tls(&server, &certificate).await;
    assert_eq!(client.post("/panic", "").await.unwrap(), (500, "panicked /panic".to_owned()));
    assert_eq!(client.post("/", "").await.unwrap().0, 200);
    assert_eq!(server.count(TransportEvent::Panicked), 2);
    wait_for(|| server.counters.requests_in_flight() == 0).await;
}

#[tokio::test]
async fn a_panic_in_the_middle_of_an_answer_ends_its_connection_only() {
    let server = Server::plain(ConnectionLimits::default());
    let mut client = Client::plain(&server).await;
    client.send(&GET.replace("/ ", "/panic-in-body ")).await;
    client.closed().await;
    wait_for(|| server.count(TransportEvent::Panicked) == 1).await;
    assert_eq!(server.counters.connections_open(), 0);
    assert_eq!(server.counters.requests_in_flight(), 0);
    assert_eq!(Client::plain(&server).await.ask(GET).await.status, 200);
}

#[tokio::test]
async fn a_panic_in_the_middle_of_an_answer_of_http2_ends_its_stream_only() {
    let (files, certificate) = Files::new();
    let server = Server::tls(ConnectionLimits::default(), files.settings());
    let mut client = Client2::tls(&server, &certificate).await;
    assert!(client.post("/panic-in-body", "").await.is_err());
    wait_for(|| server.count(TransportEvent::Panicked) == 1).await;
    assert_eq!(client.post("/", "").await.unwrap().0, 200);
    wait_for(|| server.counters.requests_in_flight() == 0).await;
}

#[tokio::test]
async fn a_deadline_is_answered_as_the_service_wants() {
    let (files, certificate) = Files::new();
    let limits = ConnectionLimits { request_deadline_ms: 100, ..ConnectionLimits::default() };
    let server = Server::tls(limits, files.settings());
    let mut client = Client::tls(&server, &certificate).await;
    let answer = client.get("/never").await;
    assert_eq!((answer.status, answer.body.as_str()), (504, "late /never"));
    assert_eq!(client.ask(GET).await.status, 200);
    let mut client = Client2::tls(&server, &certificate).await;
    assert_eq!(client.post("/never", "").await.unwrap(), (504, "late /never".to_owned()));
    assert_eq!(server.count(TransportEvent::RequestTimedOut), 2);
    wait_for(|| server.counters.requests_in_flight() == 0).await;
}
