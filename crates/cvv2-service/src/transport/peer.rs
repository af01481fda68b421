//! Who sent a request.

use std::net::SocketAddr;

use tokio_rustls::rustls::{ProtocolVersion, ServerConnection};

use crate::certificate_fingerprint::CertificateFingerprint;

/// The other end of a connection: an extension of every request that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// Its address, as the kernel saw it: that of a proxy where there is one.
    pub address: SocketAddr,
    /// The certificate that it proved to have the key of, and that our client CA vouches for.
    pub certificate: Option<CertificateFingerprint>,
    /// The version of TLS; none on a listener without.
    pub tls: Option<TlsVersion>,
}

impl Peer {
    /// A peer on a listener without TLS.
    #[must_use]
    pub fn plain(address: SocketAddr) -> Self {
        Self { address, certificate: None, tls: None }
    }

    pub(super) fn tls(address: SocketAddr, session: &ServerConnection) -> Self {
        let certificate = session
            .peer_certificates()
            .and_then(|chain| chain.first())
            .map(|certificate| CertificateFingerprint::of_der(certificate));
        let tls = match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => TlsVersion::Tls13,
            _ => TlsVersion::Tls12,
        };
        Self { address, certificate, tls: Some(tls) }
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2, where the settings have it.
    Tls12,
    /// TLS 1.3.
    Tls13,
}
