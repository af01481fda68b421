//! A client certificate's name.

use std::fmt;
use std::str::FromStr;

use base64ct::{Base64UrlUnpadded, Encoding};
use sha2::{Digest, Sha256};

/// SHA-256 of a certificate in DER, as RFC 8705 binds a token to one (`x5t#S256`).
///
/// Written and read as 64 hexadecimal digits; colons between pairs, as OpenSSL writes them, are
/// read too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertificateFingerprint([u8; CertificateFingerprint::LEN]);

impl CertificateFingerprint {
    /// Its bytes.
    pub const LEN: usize = 32;

    /// The fingerprint of a certificate in DER.
    #[must_use]
    pub fn of_der(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }

    /// The fingerprint with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        self.0
    }

    /// Reads the member `x5t#S256` of a token's `cnf` (RFC 8705, 3.1).
    #[must_use]
    pub fn from_thumbprint(text: &str) -> Option<Self> {
        let mut bytes = [0; Self::LEN];
        let read = Base64UrlUnpadded::decode(text, &mut bytes).ok()?.len();
        (read == Self::LEN).then_some(Self(bytes))
    }

    /// The member `x5t#S256` of a token's `cnf`.
    #[must_use]
    pub fn to_thumbprint(self) -> String {
        Base64UrlUnpadded::encode_string(&self.0)
    }
}

/// 64 hexadecimal digits in lower case.
impl fmt::Display for CertificateFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CertificateFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateFingerprint({self})")
    }
}

impl FromStr for CertificateFingerprint {
    type Err = CertificateFingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; Self::LEN];
        let digits = if text.contains(':') {
            let pairs: Vec<_> = text.split(':').collect();
            if pairs.iter().any(|pair| pair.len() != 2) {
                return Err(CertificateFingerprintError);
            }
            pairs.concat()
        } else {
            text.to_owned()
        };
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| CertificateFingerprintError)?;
        Ok(Self(bytes))
    }
}

/// A text that is no [`CertificateFingerprint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "there is no more to say")]
pub struct CertificateFingerprintError;

impl fmt::Display for CertificateFingerprintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "not the fingerprint of a certificate; give its SHA-256 as 64 hexadecimal digits \
             (`openssl x509 -noout -fingerprint -sha256`)",
        )
    }
}

impl std::error::Error for CertificateFingerprintError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_write_it_are_read() {
        // printf abc | sha256sum
        let digits = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let fingerprint = CertificateFingerprint::of_der(b"abc");
        assert_eq!(fingerprint.to_string(), digits);
        assert_eq!(digits.parse(), Ok(fingerprint));
        let pairs: Vec<_> = (0..32).map(|at| digits[2 * at..2 * at + 2].to_uppercase()).collect();
        assert_eq!(pairs.join(":").parse(), Ok(fingerprint));
        assert_eq!(CertificateFingerprint::from_bytes(fingerprint.to_bytes()), fingerprint);
    }

    #[test]
    fn a_thumbprint_reads_back_and_nothing_else_does() {
        let fingerprint = CertificateFingerprint::of_der(b"abc");
        let thumbprint = fingerprint.to_thumbprint();
        assert_eq!(CertificateFingerprint::from_thumbprint(&thumbprint), Some(fingerprint));
        for wrong in ["", &thumbprint[1..], &thumbprint[4..], &format!("{thumbprint}=")] {
            assert_eq!(CertificateFingerprint::from_thumbprint(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let digits = "0".repeat(64);
        for text in [
            "",
            "0",
            &digits[1..],
            &format!("{digits}0"),
            &format!("{}g", &digits[1..]),
            &format!("{}:", &digits),
            "é",
        ] {
            assert!(text.parse::<CertificateFingerprint>().is_err(), "{text}");
        }
    }
}
