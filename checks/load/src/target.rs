//! What requests are sent to.

use std::cell::Cell;
use std::net::SocketAddr;

use serde_json::Value;
use tokio_rustls::TlsConnector;

use crate::Failure;
use crate::cards;
use crate::child::Server;
use crate::connection::{Connection, connector};
use crate::home::{CLIENTS, Home};
use crate::options::Sizes;

/// The path of both.
pub(crate) const PATH: &str = "/CardServices/Transaction/V2/GetCVV2";

/// A server, and what has to be known to ask it for any card.
pub(crate) struct Target<'a> {
    pub(crate) server: &'a Server,
    tls: TlsConnector,
    tokens: Vec<String>,
    cards: u32,
    keys: u32,
    /// The number of the next request.
    next: Cell<u32>,
    /// Has to be in each answer: a refusal would be fast.
    needle: &'static [u8],
}

impl<'a> Target<'a> {
    /// The service, with a token for each client.
    pub(crate) async fn service(
        home: &Home,
        server: &'a Server,
        sizes: &Sizes,
    ) -> Result<Self, Failure> {
        let tls = connector(&home.certificate_path())?;
        let mut tokens = Vec::new();
        for (client, secret) in CLIENTS.iter().zip(&home.secrets) {
            tokens.push(token(server.address, &tls, client, secret).await?);
        }
        Ok(Self::new(server, tls, tokens, sizes, b"\"cvv2\":\""))
    }

    /// The handler that echoes. What it is sent is as long as what the service is sent.
    pub(crate) fn echo(service: &Self, server: &'a Server, sizes: &Sizes) -> Self {
        let (tls, tokens) = (service.tls.clone(), service.tokens.clone());
        Self::new(server, tls, tokens, sizes, b"REQ_GET_CVV2")
    }

    fn new(
        server: &'a Server,
        tls: TlsConnector,
        tokens: Vec<String>,
        sizes: &Sizes,
        needle: &'static [u8],
    ) -> Self {
        let (cards, keys) = (sizes.cards, sizes.keys);
        Self { server, tls, tokens, cards, keys, next: Cell::new(0), needle }
    }

    pub(crate) async fn connect(&self) -> Result<Connection, Failure> {
        Connection::open(self.server.address, &self.tls).await
    }

    /// Asks for the next card, in an order that jumps about, and looks at the answer.
    pub(crate) async fn ask(&self, connection: &mut Connection) -> Result<(), Failure> {
        let number = self.next.get();
        self.next.set(number.wrapping_add(1));
        let answer = connection.ask(self.request(number).as_bytes()).await?;
        let has_needle = answer.body.windows(self.needle.len()).any(|part| part == self.needle);
        if answer.status != 200 || !has_needle {
            return Err(format!("an answer with {}: {}", answer.status, said(answer.body)).into());
        }
        Ok(())
    }

    fn request(&self, number: u32) -> String {
        // The factor shares none with powers of ten: of so many cards, every one comes before one
        // comes again.
        let card = u64::from(number) * 2_654_435_769 % u64::from(self.cards);
        let card = u32::try_from(card).expect("less than there are cards");
        let body = cards::body(&cards::exid(card, self.keys), number % 1_000_000_000);
        let token = &self.tokens[number as usize % self.tokens.len()];
        format!(
            "POST {PATH} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

async fn token(
    address: SocketAddr,
    tls: &TlsConnector,
    client: &str,
    secret: &str,
) -> Result<String, Failure> {
    let form = format!("grant_type=client_credentials&client_id={client}&client_secret={secret}");
    let request = format!(
        "POST /v1/tokenkc/generate HTTP/1.1\r\nhost: localhost\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    );
    let mut connection = Connection::open(address, tls).await?;
    let answer = connection.ask(request.as_bytes()).await?;
    let document: Value = serde_json::from_slice(answer.body)?;
    let token = document["access_token"].as_str();
    Ok(token.ok_or_else(|| format!("no token: {}", said(answer.body)))?.to_owned())
}

fn said(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}
