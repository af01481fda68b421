//! TLS as it is served: loaded of files, and exchanged when they change.

use std::env;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use cvv2_keyring::read_bounded;
use cvv2_keyring::secret_file::{self, SecretFileError};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::server::{
    ClientCertVerifierBuilder, NoServerSessionStorage, ServerSessionMemoryCache,
    VerifierBuilderError, WebPkiClientVerifier,
};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig, version};

use super::tls_settings::{ClientAuth, TlsSettings, TlsSettingsError};
use crate::certificate_fingerprint::CertificateFingerprint;

/// HTTP/2 in the handshake.
pub(super) const ALPN_HTTP2: &[u8] = b"h2";
const ALPN_HTTP1: &[u8] = b"http/1.1";

/// Bytes of a file of certificates.
const CERTIFICATES_BYTES_MAX: usize = 1 << 20;
/// Bytes of a file of revocation lists.
const CRL_BYTES_MAX: usize = 16 << 20;
/// Sessions that can be resumed.
const SESSIONS_MAX: usize = 4096;

/// The certificate, the key and the clients' authorities that new handshakes use.
///
/// An exchange touches nothing that is connected: a connection keeps what it began with.
pub struct TlsConfig {
    settings: TlsSettings,
    loaded: RwLock<Loaded>,
}

struct Loaded {
    config: Arc<ServerConfig>,
    certificate: CertificateFingerprint,
    /// What the files looked like before they were last read, for good or not.
    stamps: Stamps,
}

impl TlsConfig {
    /// Loads the files.
    ///
    /// # Errors
    ///
    /// [`TlsError`] for settings that contradict each other, a file that cannot be read, one that
    /// holds something else, a key that others may read or that is not the certificate's.
    pub fn load(settings: TlsSettings) -> Result<Self, TlsError> {
        settings.check().map_err(TlsError::Settings)?;
        let stamps = Stamps::of(&settings);
        let (config, certificate) = load(&settings)?;
        Ok(Self { settings, loaded: RwLock::new(Loaded { config, certificate, stamps }) })
    }

    /// Loads the files anew, for handshakes from now on. Where they are wrong, everything stays as
    /// it was.
    ///
    /// Sessions of before are not resumed: whoever is not trusted any more is out at the next
    /// handshake.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn reload(&self) -> Result<(), TlsError> {
        // Before the reading: what changes during it will look changed afterwards.
        let stamps = Stamps::of(&self.settings);
        let new = load(&self.settings);
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        loaded.stamps = stamps;
        (loaded.config, loaded.certificate) = new?;
        Ok(())
    }

    /// Looks at the files again and again, for ever, and reloads when one has changed. Each reload
    /// is reported.
    ///
    /// A certificate and its key are two files, so a look may see one of them new and the other
    /// old. That is reported as a failure, and mended by the look that sees both.
    pub async fn watch(&self, every: Duration, report: impl Fn(Result<(), TlsError>)) {
        let mut looks = interval(every);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            // A handful of small files: not worth another thread.
            if self.changed() {
                report(self.reload());
            }
        }
    }

    /// The fingerprint of the certificate that new handshakes show.
    #[must_use]
    pub fn certificate(&self) -> CertificateFingerprint {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).certificate
    }

    pub(super) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner).config)
    }

    fn changed(&self) -> bool {
        let stamps = Stamps::of(&self.settings);
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).stamps != stamps
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig")
            .field("settings", &self.settings)
            .field("certificate", &self.certificate())
            .finish_non_exhaustive()
    }
}

/// Why TLS is not served as the settings say.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// The authorities of clients or their revocation lists are refused.
    Clients(VerifierBuilderError),
    /// A file cannot be read.
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The key file cannot be read, or others can read it.
    Key(SecretFileError),
    /// A file holds nothing of what it should hold, or not in PEM.
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// Certificate and key are refused, together or one of them.
    Refused(rustls::Error),
    /// The settings contradict each other.
    Settings(TlsSettingsError),
    /// A file is longer than any that makes sense.
    TooLong {
        /// The file.
        path: PathBuf,
        /// The most bytes it may have.
        bytes_max: usize,
    },
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clients(error) => write!(f, "client_ca or client_crl is refused: {error}"),
            Self::File { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Key(error) => error.fmt(f),
            Self::Pem { path, expected } => {
                write!(f, "{}: holds no {expected} in PEM, or a damaged one", path.display())
            }
            Self::Refused(rustls::Error::InconsistentKeys(_)) => f.write_str(
                "the key is not that of the certificate; exchange both files, the key first",
            ),
            Self::Refused(error) => write!(f, "certificate or key is refused: {error}"),
            Self::Settings(error) => error.fmt(f),
            Self::TooLong { path, bytes_max } => {
                write!(f, "{}: longer than {bytes_max} bytes", path.display())
            }
        }
    }
}

impl std::error::Error for TlsError {}

/// What a look at files tells: enough to see that one was written or exchanged.
#[derive(PartialEq, Eq)]
struct Stamps(Vec<Option<[i128; 4]>>);

impl Stamps {
    fn of(settings: &TlsSettings) -> Self {
        let files = [Some(&settings.certificate), Some(&settings.key)]
            .into_iter()
            .chain([settings.client_ca.as_ref(), settings.client_crl.as_ref()])
            .flatten();
        Self(files.map(|path| fs::metadata(path).ok().map(|meta| stamp(&meta))).collect())
    }
}

fn stamp(meta: &fs::Metadata) -> [i128; 4] {
    let modified = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
    // The mode is in the time of change only.
    let changed = i128::from(meta.ctime()) * 1_000_000_000 + i128::from(meta.ctime_nsec());
    [modified, changed, meta.ino().into(), meta.size().into()]
}

fn load(settings: &TlsSettings) -> Result<(Arc<ServerConfig>, CertificateFingerprint), TlsError> {
    let chain = certificates(&settings.certificate)?;
    let fingerprint = CertificateFingerprint::of_der(&chain[0]);
    let key = key(&settings.key)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions: &[_] =
        if settings.tls12 { &[&version::TLS13, &version::TLS12] } else { &[&version::TLS13] };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(TlsError::Refused)?;
    let builder = match clients(settings, &provider)? {
        None => builder.with_no_client_auth(),
        Some(verifier) => {
            builder.with_client_cert_verifier(verifier.build().map_err(TlsError::Clients)?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(TlsError::Refused)?;
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec(), ALPN_HTTP1.to_vec()];
    if settings.client_auth == ClientAuth::Off {
        // In memory rather than in tickets, so that no ticket key lives as long as the process.
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
    } else {
        // A resumed session is not asked for its certificate again, whatever happened to it.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok((Arc::new(config), fingerprint))
}

fn clients(
    settings: &TlsSettings,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<ClientCertVerifierBuilder>, TlsError> {
    let Some(path) =
        settings.client_ca.as_ref().filter(|_| settings.client_auth != ClientAuth::Off)
    else {
        return Ok(None);
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(TlsError::Refused)?;
    }
    let mut clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    if let Some(path) = &settings.client_crl {
        clients = clients.with_crls(revocation_lists(path)?).enforce_revocation_expiration();
    }
    if settings.client_auth == ClientAuth::Optional {
        clients = clients.allow_unauthenticated();
    }
    Ok(Some(clients))
}

/// At least one certificate.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    pem(path, CERTIFICATES_BYTES_MAX, "certificate")
}

fn revocation_lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    pem(path, CRL_BYTES_MAX, "revocation list")
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    // The file itself, behind links. That nobody else can read it is judged when it is open.
    let file =
        fs::canonicalize(path).map_err(|error| TlsError::File { path: path.to_owned(), error })?;
    // systemd's credentials are root's, and readable by those on an access list.
    let credential = env::var_os("CREDENTIALS_DIRECTORY")
        .and_then(|folder| fs::canonicalize(folder).ok())
        .is_some_and(|folder| file.starts_with(folder));
    let read = if credential { secret_file::read_credential } else { secret_file::read };
    let text = read(&file).map_err(TlsError::Key)?;
    // Why it is no key may quote it.
    PrivateKeyDer::from_pem_slice(text.as_str().as_bytes())
        .map_err(|_| TlsError::Pem { path: path.to_owned(), expected: "private key" })
}

fn pem<T: PemObject>(
    path: &Path,
    bytes_max: usize,
    expected: &'static str,
) -> Result<Vec<T>, TlsError> {
    let path = || path.to_owned();
    let file = |error| TlsError::File { path: path(), error };
    let bytes = File::open(path())
        .and_then(|mut file| read_bounded(&mut file, bytes_max))
        .map_err(file)?
        .ok_or_else(|| TlsError::TooLong { path: path(), bytes_max })?;
    let items: Vec<T> = T::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|_| TlsError::Pem { path: path(), expected })?;
    if items.is_empty() {
        return Err(TlsError::Pem { path: path(), expected });
    }
    Ok(items)
}
