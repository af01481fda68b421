//! Which signatures count.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use serde::Deserialize;

/// A signature algorithm of tokens (RFC 7518, 3.1; RFC 8037): asymmetric ones only.
///
/// `none` and the HMACs are not among them: there is no way to configure or to accept those, so a
/// public key cannot be taken for the secret of a HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub enum Algorithm {
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384 with SHA-384.
    #[serde(rename = "ES384")]
    Es384,
    /// RSASSA-PKCS1-v1_5 with SHA-256; keys of 2048 to 8192 bits, as for all RSA.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    #[serde(rename = "RS384")]
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    #[serde(rename = "RS512")]
    Rs512,
    /// RSASSA-PSS with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// RSASSA-PSS with SHA-384.
    #[serde(rename = "PS384")]
    Ps384,
    /// RSASSA-PSS with SHA-512.
    #[serde(rename = "PS512")]
    Ps512,
}

impl Algorithm {
    const ALL: [(Self, &'static str, jsonwebtoken::Algorithm); 9] = [
        (Self::EdDsa, "EdDSA", jsonwebtoken::Algorithm::EdDSA),
        (Self::Es256, "ES256", jsonwebtoken::Algorithm::ES256),
        (Self::Es384, "ES384", jsonwebtoken::Algorithm::ES384),
        (Self::Rs256, "RS256", jsonwebtoken::Algorithm::RS256),
        (Self::Rs384, "RS384", jsonwebtoken::Algorithm::RS384),
        (Self::Rs512, "RS512", jsonwebtoken::Algorithm::RS512),
        (Self::Ps256, "PS256", jsonwebtoken::Algorithm::PS256),
        (Self::Ps384, "PS384", jsonwebtoken::Algorithm::PS384),
        (Self::Ps512, "PS512", jsonwebtoken::Algorithm::PS512),
    ];

    /// All of them.
    pub(super) const EVERY: [Self; 9] = {
        let mut every = [Self::EdDsa; 9];
        let mut at = 0;
        while at < every.len() {
            every[at] = Self::ALL[at].0;
            at += 1;
        }
        every
    };

    /// The algorithm that a token's header names.
    pub(super) fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, known, _)| *known == name).map(|(algorithm, ..)| algorithm)
    }

    /// The same, for the library that verifies.
    pub(super) fn to_library(self) -> jsonwebtoken::Algorithm {
        let (.., library) = Self::ALL[self as usize];
        library
    }

    /// Whether a key is of the type that the algorithm takes, and does not say that it is for
    /// another.
    pub(super) fn takes(self, jwk: &Jwk) -> bool {
        let fits = match &jwk.algorithm {
            AlgorithmParameters::OctetKeyPair(key) => {
                self == Self::EdDsa && key.curve == EllipticCurve::Ed25519
            }
            AlgorithmParameters::EllipticCurve(key) => match self {
                Self::Es256 => key.curve == EllipticCurve::P256,
                Self::Es384 => key.curve == EllipticCurve::P384,
                _ => false,
            },
            AlgorithmParameters::RSA(_) => !matches!(self, Self::EdDsa | Self::Es256 | Self::Es384),
            _ => false,
        };
        let named = jwk.common.key_algorithm.map(jsonwebtoken::Algorithm::try_from);
        fits && named.is_none_or(|named| named.is_ok_and(|named| named == self.to_library()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_has_its_place_and_its_name() {
        for (at, (algorithm, name, library)) in Algorithm::ALL.into_iter().enumerate() {
            assert_eq!(algorithm as usize, at);
            assert_eq!(Algorithm::by_name(name), Some(algorithm));
            assert_eq!(algorithm.to_library(), library);
            let read: Algorithm = serde_json::from_value(name.into()).unwrap();
            assert_eq!(read, algorithm);
        }
        for other in ["none", "None", "HS256", "HS384", "HS512", "ES512", "es256", ""] {
            assert_eq!(Algorithm::by_name(other), None);
            assert!(serde_json::from_value::<Algorithm>(other.into()).is_err());
        }
    }
}
