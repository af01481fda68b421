//! TLS to a database: the certificate must be of a given root and name the host.

use std::path::Path;
use std::sync::Arc;

pub(super) use tokio_postgres_rustls::MakeRustlsConnect as Connector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::store::StoreError;

/// Trusts the certificates in a file, and no others.
pub(super) fn connector(roots: &Path) -> Result<Connector, StoreError> {
    let refuse = |reason| StoreError::Option { name: "roots", reason };
    let unreadable = |_| refuse("the file cannot be read");
    let certificates = CertificateDer::pem_file_iter(roots).map_err(unreadable)?;
    let mut trusted = RootCertStore::empty();
    for certificate in certificates {
        let malformed = |_| refuse("the file holds something that is no certificate in PEM");
        let certificate = certificate.map_err(malformed)?;
        let unfit = |_| refuse("the file holds a certificate that cannot be a root");
        trusted.add(certificate).map_err(unfit)?;
    }
    if trusted.is_empty() {
        return Err(refuse("the file holds no certificate in PEM"));
    }
    // The provider is named, so that it does not matter what else is linked.
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has cipher suites for both versions")
        .with_root_certificates(trusted)
        .with_no_client_auth();
    Ok(Connector::new(config))
}
