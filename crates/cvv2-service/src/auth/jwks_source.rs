//! Where a provider's keys come from: a file, or an address.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cvv2_keyring::{FileError, file};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use super::key_set::{JwksError, KeySet};
use super::settings::JwksSettings;

/// A file, or an address and whom to trust for it.
pub(super) enum JwksSource {
    File(PathBuf),
    Url { agent: Agent, url: String },
}

impl JwksSource {
    pub(super) fn open(settings: &JwksSettings) -> Result<Self, JwksSourceError> {
        match settings {
            JwksSettings::File { file } => Ok(Self::File(file.clone())),
            JwksSettings::Url { url, ca_file, .. } => {
                Ok(Self::Url { agent: agent(ca_file)?, url: url.clone() })
            }
        }
    }

    /// Reads or fetches the keys.
    pub(super) fn read(&self) -> Result<KeySet, JwksError> {
        match self {
            Self::File(path) => {
                let json = file::read(path).map_err(JwksError::File)?;
                if json.len() as u64 > KeySet::BYTES_MAX {
                    return Err(JwksError::NoKeySet);
                }
                KeySet::parse(json.as_bytes())
            }
            Self::Url { agent, url } => {
                let mut answer = agent.get(url).call().map_err(JwksError::Fetch)?;
                if answer.status() != 200 {
                    return Err(JwksError::Status(answer.status().as_u16()));
                }
                let body = answer.body_mut().with_config().limit(KeySet::BYTES_MAX);
                KeySet::parse(&body.read_to_vec().map_err(JwksError::Fetch)?)
            }
        }
    }
}

/// Why a provider cannot be asked for its keys.
#[derive(Debug)]
#[non_exhaustive]
pub enum JwksSourceError {
    /// The file of those who may vouch for the address could not be read.
    CaFile(FileError),
    /// It has no certificate, or one that is none.
    NoCertificate(PathBuf),
    /// The keys in the file could not be read.
    Keys(JwksError),
    /// The system starts no thread to ask for them.
    Thread(io::Error),
}

impl fmt::Display for JwksSourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CaFile(error) => error.fmt(f),
            Self::NoCertificate(path) => {
                write!(f, "{}: no certificates in PEM; give those of the CA", path.display())
            }
            Self::Keys(error) => error.fmt(f),
            Self::Thread(error) => write!(f, "no thread to ask for its keys: {error}"),
        }
    }
}

impl std::error::Error for JwksSourceError {}

/// A client of HTTPS that trusts these certificates, and does nothing but ask.
fn agent(ca_file: &Path) -> Result<Agent, JwksSourceError> {
    let pem = file::read(ca_file).map_err(JwksSourceError::CaFile)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .map(|certificate| certificate.map(|der| Certificate::from_der(&der).to_owned()))
        .collect::<Result<_, _>>()
        .ok()
        .filter(|certificates: &Vec<_>| !certificates.is_empty())
        .ok_or_else(|| JwksSourceError::NoCertificate(ca_file.to_owned()))?;
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::new_with_certs(&certificates))
        .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
        .build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .https_only(true)
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_global(Some(FETCH_TIMEOUT))
        .max_response_header_size(HEADER_BYTES_MAX)
        .max_idle_connections(0)
        .build();
    Ok(config.into())
}

/// How long one try may take, from the name of the host to the last byte.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
const HEADER_BYTES_MAX: usize = 16 << 10;
