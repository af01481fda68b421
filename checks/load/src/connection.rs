//! One connection of the generator: TLS 1.3, HTTP/1.1, kept alive.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, version};

use crate::Failure;

/// Answers are shorter.
const ANSWER_BYTES_MAX: usize = 16 << 10;

/// What trusts the certificate of the home.
pub(crate) fn connector(certificate: &Path) -> Result<TlsConnector, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate)?)?;
    let config = ClientConfig::builder_with_protocol_versions(&[&version::TLS13])
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A connection that carries one request after the other.
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    answer: Vec<u8>,
}

/// An answer, until the next request.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr, tls: &TlsConnector) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let stream = tls.connect(ServerName::try_from("localhost")?, stream).await?;
        Ok(Self { stream, answer: Vec::with_capacity(ANSWER_BYTES_MAX) })
    }

    /// Sends a whole request, head and body, and reads its answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<Answer<'_>, Failure> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        self.answer.clear();
        let (status, head, body) = loop {
            self.read().await?;
            if let Some(head) = head(&self.answer)? {
                break head;
            }
        };
        while self.answer.len() < head + body {
            self.read().await?;
        }
        Ok(Answer { status, body: &self.answer[head..head + body] })
    }

    async fn read(&mut self) -> Result<(), Failure> {
        if self.answer.len() == ANSWER_BYTES_MAX {
            return Err("an answer is longer than any should be".into());
        }
        let read = self.stream.read_buf(&mut self.answer).await?;
        if read == 0 { Err("a server has closed a connection".into()) } else { Ok(()) }
    }
}

/// Status, bytes of the head, bytes of the body; none if the head is not whole.
fn head(answer: &[u8]) -> Result<Option<(u16, usize, usize)>, Failure> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(bytes) = head.parse(answer)? else { return Ok(None) };
    let status = head.code.ok_or("an answer has no status")?;
    let length = head.headers.iter().find(|it| it.name.eq_ignore_ascii_case("content-length"));
    let length = length.ok_or("an answer has no content-length")?;
    Ok(Some((status, bytes, str::from_utf8(length.value)?.parse()?)))
}
