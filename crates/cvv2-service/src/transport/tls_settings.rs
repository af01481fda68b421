//! What an operator can set of TLS.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Which files TLS is served with, and whom it is served to.
///
/// TLS 1.3 only, unless `tls12` is set. There is no 0-RTT: what it carries can be replayed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "operators and tests fill it in")]
pub struct TlsSettings {
    /// The certificate, then those that vouch for it, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM: PKCS#8, SEC1 or PKCS#1. Only its owner may read the file, or it is
    /// in `$CREDENTIALS_DIRECTORY`; a symbolic link is followed, as certificates that are renewed are
    /// often links.
    pub key: PathBuf,
    /// Whether TLS 1.2 is spoken too, with its AEAD suites and ephemeral keys. Default: no.
    #[serde(default)]
    pub tls12: bool,
    /// Whether clients show a certificate. Default: they are not asked.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// The authorities that vouch for clients, in PEM. Needed for `client_auth`; no other authority
    /// is trusted.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// Revoked client certificates: a list (CRL) of every authority on the way to a client's
    /// certificate, in PEM. A list that is past its `nextUpdate` refuses everybody.
    #[serde(default)]
    pub client_crl: Option<PathBuf>,
}

impl TlsSettings {
    /// TLS 1.3 with this certificate and key, for every client.
    #[must_use]
    pub fn new(certificate: PathBuf, key: PathBuf) -> Self {
        let client_auth = ClientAuth::Off;
        Self { certificate, key, tls12: false, client_auth, client_ca: None, client_crl: None }
    }

    /// The same, relative paths taken from a folder.
    #[must_use]
    pub fn relative_to(mut self, folder: &Path) -> Self {
        let paths = [Some(&mut self.certificate), Some(&mut self.key)]
            .into_iter()
            .chain([self.client_ca.as_mut(), self.client_crl.as_mut()]);
        for path in paths.flatten() {
            *path = folder.join(&*path);
        }
        self
    }

    /// Refuses settings of which one has no effect without the other.
    ///
    /// # Errors
    ///
    /// [`TlsSettingsError`] with the first that is wrong.
    pub fn check(&self) -> Result<(), TlsSettingsError> {
        match (self.client_auth, &self.client_ca, &self.client_crl) {
            (ClientAuth::Off, None, None) => Ok(()),
            (ClientAuth::Off, _, _) => Err(TlsSettingsError::ClientsNotAsked),
            (_, None, _) => Err(TlsSettingsError::NoClientCa),
            (_, Some(_), _) => Ok(()),
        }
    }
}

/// Whether clients show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "there is no fourth way")]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    Off,
    /// They are asked. One that shows a certificate must show a good one; the service decides what
    /// one without may do.
    Optional,
    /// A handshake without a good certificate fails.
    Required,
}

/// Why settings were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsSettingsError {
    /// There are files for client certificates, and clients are not asked for them.
    ClientsNotAsked,
    /// Clients are asked, and no authority vouches for any.
    NoClientCa,
}

impl fmt::Display for TlsSettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClientsNotAsked => {
                "client_ca and client_crl have no effect while client_auth is off; set it to \
                 optional or required, or take them out"
            }
            Self::NoClientCa => {
                "client_auth needs client_ca, the file of authorities that vouch for clients"
            }
        })
    }
}

impl std::error::Error for TlsSettingsError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> TlsSettings {
        toml::from_str(&format!("certificate = 'a.pem'\nkey = '/b.pem'\n{text}")).unwrap()
    }

    #[test]
    fn defaults_are_the_strict_ones() {
        assert_eq!(read(""), TlsSettings::new("a.pem".into(), "/b.pem".into()));
        assert_eq!(read("").check(), Ok(()));
        assert!(toml::from_str::<TlsSettings>("certificate = 'a'").is_err());
        assert!(
            toml::from_str::<TlsSettings>("certificate = 'a'\nkey = 'b'\ntls11 = true").is_err()
        );
    }

    #[test]
    fn what_has_no_effect_is_refused() {
        for (text, expected) in [
            ("client_auth = 'off'", Ok(())),
            ("client_ca = 'c'", Err(TlsSettingsError::ClientsNotAsked)),
            ("client_crl = 'c'", Err(TlsSettingsError::ClientsNotAsked)),
            ("client_auth = 'optional'", Err(TlsSettingsError::NoClientCa)),
            ("client_auth = 'required'\nclient_crl = 'c'", Err(TlsSettingsError::NoClientCa)),
            ("client_auth = 'optional'\nclient_ca = 'c'", Ok(())),
            ("client_auth = 'required'\nclient_ca = 'c'\nclient_crl = 'd'", Ok(())),
        ] {
            assert_eq!(read(text).check(), expected, "{text}");
        }
    }

    #[test]
    fn relative_paths_count_from_the_folder() {
        let settings = read("client_ca = 'c'").relative_to(Path::new("/etc"));
        assert_eq!(settings.certificate, Path::new("/etc/a.pem"));
        assert_eq!(settings.key, Path::new("/b.pem"));
        assert_eq!(settings.client_ca.as_deref(), Some(Path::new("/etc/c")));
    }
}
