//! Certificates that are made for one test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cvv2_service::transport::{ClientAuth, TlsSettings};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason, RevokedCertParams, SerialNumber,
    date_time_ymd, generate_simple_self_signed,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// The files of a server.
pub(crate) struct Files(pub(crate) tempfile::TempDir);

impl Files {
    /// A folder with a certificate and its key.
    pub(crate) fn new() -> (Self, CertificateDer<'static>) {
        let files = Self(tempfile::tempdir().unwrap());
        let certificate = files.exchange();
        (files, certificate)
    }

    /// Puts another certificate in the place of the one before.
    pub(crate) fn exchange(&self) -> CertificateDer<'static> {
        let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        write_key(&self.path("key.pem"), &made.signing_key.serialize_pem());
        fs::write(self.path("certificate.pem"), made.cert.pem()).unwrap();
        made.cert.der().clone()
    }

    pub(crate) fn settings(&self) -> TlsSettings {
        TlsSettings::new(self.path("certificate.pem"), self.path("key.pem"))
    }

    pub(crate) fn settings_for(&self, client_auth: ClientAuth, ca: &Authority) -> TlsSettings {
        fs::write(self.path("ca.pem"), ca.0.pem()).unwrap();
        TlsSettings { client_auth, client_ca: Some(self.path("ca.pem")), ..self.settings() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

pub(crate) fn write_key(path: &Path, pem: &str) {
    fs::write(path, pem).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// An authority for clients.
pub(crate) struct Authority(pub(crate) CertifiedIssuer<'static, KeyPair>);

/// A client's certificate and its key.
pub(crate) struct Identity {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A client that is good until the end of a year.
    pub(crate) fn client(&self, serial: u64, year: i32) -> Identity {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "client");
        params.serial_number = Some(serial.into());
        params.not_after = date_time_ymd(year, 12, 31);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap().der().clone();
        Identity { certificate, key: PrivatePkcs8KeyDer::from(key.serialize_der()).into() }
    }

    /// A list that revokes one client and is good until the end of a year, in PEM.
    pub(crate) fn revoke(&self, serial: u64, year: i32) -> String {
        let revoked = RevokedCertParams {
            serial_number: serial.into(),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(year, 12, 31),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.0).unwrap().pem().unwrap()
    }
}
