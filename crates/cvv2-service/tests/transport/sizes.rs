//! Limits of size and number at their seams.

use std::time::Duration;

use cvv2_service::transport::{ConnectionLimits, TransportEvent};
use http_body_util::Full;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::client::{Client, Client2, GET};
use crate::pki::Files;
use crate::server::{Server, wait_for};

fn post(head: &str, body: &str) -> String {
    format!("POST /echo HTTP/1.1\r\nhost: localhost\r\n{head}\r\n\r\n{body}")
}

#[tokio::test]
async fn bytes_of_a_body() {
    let (files, certificate) = Files::new();
    let limits = ConnectionLimits { body_bytes_max: 1000, ..ConnectionLimits::default() };
    let server = Server::tls(limits, files.settings());
    for (bytes, status) in [(0, 200), (999, 200), (1000, 200), (1001, 413)] {
        let body = "b".repeat(bytes);
        let expected = if status == 200 { body.clone() } else { String::new() };
        let mut client = Client::tls(&server, &certificate).await;
        let answer = client.ask(&post(&format!("content-length: {bytes}"), &body)).await;
        assert_eq!((answer.status, &answer.body), (status, &expected));
        let mut client = Client::tls(&server, &certificate).await;
        let chunk = if bytes == 0 { String::new() } else { format!("{bytes:x}\r\n{body}\r\n") };
        let answer =
            client.ask(&post("transfer-encoding: chunked", &format!("{chunk}0\r\n\r\n"))).await;
        assert_eq!((answer.status, &answer.body), (status, &expected), "chunked");
        let mut client = Client2::tls(&server, &certificate).await;
        assert_eq!(client.post("/echo", &body).await.unwrap(), (status, expected), "HTTP/2");
    }
    assert_eq!(server.count(TransportEvent::BodyTooLarge), 3);
}

#[tokio::test]
async fn a_length_that_is_too_large_is_refused_before_the_body() {
    let server = Server::plain(ConnectionLimits::default());
    let mut client = Client::plain(&server).await;
    assert_eq!(client.ask(&post("content-length: 9223372036854775807", "")).await.status, 413);
}

/// A client that is still sending when it is refused gets the answer, and no reset in its place; one
/// that does not end is cut.
#[tokio::test]
async fn an_answer_before_the_end_of_the_body_is_not_lost() {
    let (files, certificate) = Files::new();
    let limits = ConnectionLimits { body_bytes_max: 1000, ..ConnectionLimits::default() };
    let server = Server::tls(limits, files.settings());
    let head = post("content-length: 9223372036854775807", "");
    let pause = || tokio::time::sleep(Duration::from_millis(30));

    let mut client = Client::tls(&server, &certificate).await;
    client.send(&head).await;
    for _ in 0..3 {
        pause().await;
        client.0.write_all(&[b'b'; 10_000]).await.expect("the connection is open");
        client.0.flush().await.expect("the connection is open");
    }
    assert_eq!(client.answer().await.expect("it was refused").status, 413);
    client.closed().await;
    drop(client);
    server.empty().await;

    // Who keeps its connection is not waited for, and who sends for ever is not listened to.
    let mut silent = Client::tls(&server, &certificate).await;
    assert_eq!(silent.ask(&head).await.status, 413);
    let mut endless = Client::tls(&server, &certificate).await;
    endless.send(&head).await;
    while endless.0.write_all(&[b'b'; 10_000]).await.is_ok() {}
    server.empty().await;
}

#[tokio::test]
async fn bytes_of_a_head() {
    let limits = ConnectionLimits { header_bytes_max: 2000, ..ConnectionLimits::default() };
    let server = Server::plain(limits);
    let head = |bytes: usize| {
        let rest = "GET / HTTP/1.1\r\nhost: localhost\r\nx: \r\n\r\n";
        rest.replace("x: ", &format!("x: {}", "v".repeat(bytes - rest.len())))
    };
    for (bytes, status) in [(1999, 200), (2000, 200), (2001, 431), (9000, 431)] {
        assert_eq!(head(bytes).len(), bytes);
        let mut client = Client::plain(&server).await;
        assert_eq!(client.ask(&head(bytes)).await.status, status, "{bytes} bytes");
    }
}

#[tokio::test]
async fn bytes_of_a_head_of_http2() {
    let (files, certificate) = Files::new();
    let limits = ConnectionLimits { header_bytes_max: 2000, ..ConnectionLimits::default() };
    let server = Server::tls(limits, files.settings());
    for (bytes, passes) in [(1500, true), (2100, false)] {
        let mut client = Client2::tls(&server, &certificate).await;
        let request = hyper::Request::get("https://localhost/")
            .header("x", "v".repeat(bytes))
            .body(Full::default())
            .unwrap();
        let passed = client.send(request).await.is_ok_and(|answer| answer.status() == 200);
        assert_eq!(passed, passes, "{bytes} bytes");
    }
}

#[tokio::test]
async fn header_fields() {
    let limits = ConnectionLimits { headers_max: 10, ..ConnectionLimits::default() };
    let server = Server::plain(limits);
    for (fields, status) in [(10, 200), (11, 431), (100, 431), (101, 431)] {
        let more = "x: y\r\n".repeat(fields - 1);
        let mut client = Client::plain(&server).await;
        let answer = client.ask(&GET.replacen("host", &format!("{more}host"), 1)).await;
        assert_eq!(answer.status, status, "{fields} fields");
    }
    assert_eq!(server.count(TransportEvent::HeadersTooMany), 2, "hyper refuses more than 100");
}

#[tokio::test]
async fn one_connection_more_than_may_be_waits_for_its_turn() {
    let limits = ConnectionLimits { connections_max: 2, ..ConnectionLimits::default() };
    let server = Server::plain(limits);
    let mut first = Client::plain(&server).await;
    let mut second = Client::plain(&server).await;
    assert_eq!((first.ask(GET).await.status, second.ask(GET).await.status), (200, 200));
    let mut third = Client::plain(&server).await;
    third.send(GET).await;
    wait_for(|| server.count(TransportEvent::ConnectionsFull) > 0).await;
    assert_eq!(second.ask(GET).await.status, 200);
    assert_eq!(server.counters.connections_open(), 2);
    assert_eq!(server.count(TransportEvent::Requested), 3);
    drop(first);
    assert_eq!(third.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn one_connection_more_than_an_address_may_have_is_closed() {
    let limits = ConnectionLimits { connections_per_address_max: 2, ..ConnectionLimits::default() };
    let server = Server::plain(limits);
    let mut first = Client::plain(&server).await;
    let _second = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(first.ask(GET).await.status, 200);
    Client::plain(&server).await.closed().await;
    assert_eq!(server.count(TransportEvent::AddressFull), 1);
    drop(first);
    wait_for(|| server.counters.connections_open() == 1).await;
    assert_eq!(Client::plain(&server).await.ask(GET).await.status, 200);
}
