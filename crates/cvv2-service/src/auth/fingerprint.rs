//! A certificate's name in files, tokens and comparisons.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The SHA-256 of a client certificate in DER. Not secret.
#[derive(Clone, Copy)]
pub struct CertificateFingerprint([u8; CertificateFingerprint::LEN]);

impl CertificateFingerprint {
    /// Bytes of a fingerprint.
    pub const LEN: usize = 32;

    /// The fingerprint of a certificate, as it came out of the handshake.
    #[must_use]
    pub fn of_der(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }

    /// Reads 64 hexadecimal digits, as `openssl x509 -fingerprint -sha256` prints them: with colons
    /// or without.
    #[must_use]
    pub fn parse_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; Self::LEN];
        let digits = if text.contains(':') {
            let in_pairs = text.split(':').all(|pair| pair.len() == 2);
            in_pairs.then(|| text.replace(':', ""))?
        } else {
            text.to_owned()
        };
        hex::decode_to_slice(digits, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// Its 64 hexadecimal digits, in lower case.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Reads the member `x5t#S256` of a token's `cnf` (RFC 8705, 3.1).
    pub(super) fn from_thumbprint(text: &str) -> Option<Self> {
        let mut bytes = [0; Self::LEN];
        let read = Base64UrlUnpadded::decode(text, &mut bytes).ok()?.len();
        (read == Self::LEN).then_some(Self(bytes))
    }

    /// The member `x5t#S256` of a token's `cnf`.
    pub(super) fn to_thumbprint(self) -> String {
        Base64UrlUnpadded::encode_string(&self.0)
    }
}

impl PartialEq for CertificateFingerprint {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for CertificateFingerprint {}

impl fmt::Debug for CertificateFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateFingerprint({})", self.to_hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_back() {
        let fingerprint = CertificateFingerprint::of_der(b"abc");
        // FIPS 180-4's example.
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(fingerprint.to_hex(), hex);
        let pairs: Vec<_> = (0..32).map(|at| hex[2 * at..2 * at + 2].to_uppercase()).collect();
        for text in [hex.to_owned(), hex.to_uppercase(), pairs.join(":")] {
            assert_eq!(CertificateFingerprint::parse_hex(&text), Some(fingerprint));
        }
        for wrong in ["", &hex[1..], &hex[2..], &pairs.join(":")[1..], "é"] {
            assert_eq!(CertificateFingerprint::parse_hex(wrong), None, "{wrong}");
        }
        let thumbprint = fingerprint.to_thumbprint();
        assert_eq!(CertificateFingerprint::from_thumbprint(&thumbprint), Some(fingerprint));
        for wrong in ["", &thumbprint[1..], &thumbprint[4..], &format!("{thumbprint}=")] {
            assert_eq!(CertificateFingerprint::from_thumbprint(wrong), None, "{wrong}");
        }
    }
}
