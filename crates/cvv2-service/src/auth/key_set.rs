//! The public keys of an issuer of tokens.

use std::fmt;

use cvv2_keyring::FileError;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use serde_json::Value;

use super::algorithm::Algorithm;
use super::error::AuthError;
use super::object;

/// Public keys, as a JSON Web Key Set has them (RFC 7517, 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeySet(Vec<Jwk>);

impl KeySet {
    /// The longest key set, in bytes.
    pub(super) const BYTES_MAX: u64 = 256 << 10;
    /// The most keys of a set.
    pub(super) const KEYS_MAX: usize = 64;

    /// Reads a key set. Keys for other purposes, and of types that we do not know, are left out.
    pub(super) fn parse(json: &[u8]) -> Result<Self, JwksError> {
        let set = object::parse(json).ok_or(JwksError::NoKeySet)?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or(JwksError::NoKeySet)?;
        if keys.len() > Self::KEYS_MAX {
            return Err(JwksError::TooMany);
        }
        let read = keys.iter().filter_map(|key| serde_json::from_value::<Jwk>(key.clone()).ok());
        let usable: Vec<_> = read.filter(is_for_signatures).collect();
        if usable.is_empty() { Err(JwksError::NoUsableKey) } else { Ok(Self(usable)) }
    }

    /// These keys.
    pub(super) fn of(keys: Vec<Jwk>) -> Self {
        Self(keys)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Verifies a signature by the one key of this id, or the only one there is if the token names
    /// none, that takes the algorithm.
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        key_id: Option<&str>,
        message: &[u8],
        signature: &str,
    ) -> Result<(), AuthError> {
        let named = |key: &&Jwk| key_id.is_none() || key.common.key_id.as_deref() == key_id;
        let mut candidates = self.0.iter().filter(|key| algorithm.takes(key)).filter(named);
        let (Some(key), None) = (candidates.next(), candidates.next()) else {
            return Err(AuthError::UnknownKey);
        };
        let key = DecodingKey::from_jwk(key).map_err(|_| AuthError::UnknownKey)?;
        let library = algorithm.to_library();
        match jsonwebtoken::crypto::verify(signature, message, &key, library) {
            Ok(true) => Ok(()),
            _ => Err(AuthError::Signature),
        }
    }
}

/// Why a provider's keys were not read or fetched.
#[derive(Debug)]
#[non_exhaustive]
pub enum JwksError {
    /// The address did not answer as it should.
    Fetch(ureq::Error),
    /// The file could not be read.
    File(FileError),
    /// It answered with another status than 200.
    Status(u16),
    /// It is no JSON Web Key Set, or is longer than 256 KiB.
    NoKeySet,
    /// No key of it is a public key for signatures.
    NoUsableKey,
    /// It has more than 64 keys.
    TooMany,
}

impl fmt::Display for JwksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetch(error) => write!(f, "the keys could not be fetched: {error}"),
            Self::File(error) => error.fmt(f),
            Self::Status(status) => write!(f, "the address of the keys answered with {status}"),
            Self::NoKeySet => f.write_str("no JSON Web Key Set of at most 256 KiB"),
            Self::NoUsableKey => f.write_str("the key set has no public key for signatures"),
            Self::TooMany => f.write_str("the key set has more than 64 keys"),
        }
    }
}

impl std::error::Error for JwksError {}

fn is_for_signatures(key: &Jwk) -> bool {
    let use_fits =
        key.common.public_key_use.as_ref().is_none_or(|it| *it == PublicKeyUse::Signature);
    use_fits && Algorithm::EVERY.into_iter().any(|algorithm| algorithm.takes(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key and what it signed.
    fn verify(algorithm: Algorithm, jwk: &str, jws: &str) -> Result<(), AuthError> {
        let keys = KeySet::parse(format!("{{\"keys\":[{jwk}]}}").as_bytes()).unwrap();
        let (message, signature) = jws.rsplit_once('.').unwrap();
        keys.verify(algorithm, None, message.as_bytes(), signature)
    }

    /// RFC 8037, A.2 and A.4.
    const ED25519: (&str, &str) = (
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PG\
         cvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    );
    /// RFC 7515, A.3.
    const P256: (&str, &str) = (
        r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxl\
         LmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISl\
         SApmWQxfKTUJqPP3-Kg6NU1Q",
    );
    /// RFC 7515, A.2.
    const RSA: (&str, &str) = (
        r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#,
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxl\
         LmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZm\
         h7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTy\
         WzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZ\
         ESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypG\
         lUPQGe77Rw",
    );

    #[test]
    fn published_signatures_are_verified_under_their_own_algorithm_only() {
        for ((jwk, jws), own) in
            [(ED25519, Algorithm::EdDsa), (P256, Algorithm::Es256), (RSA, Algorithm::Rs256)]
        {
            for algorithm in Algorithm::EVERY {
                let verified = verify(algorithm, jwk, jws);
                if algorithm == own {
                    assert_eq!(verified, Ok(()));
                } else {
                    assert!(verified.is_err(), "{own:?} as {algorithm:?}");
                }
            }
            let changed = jws.replacen(".e", ".f", 1).replacen(".R", ".S", 1);
            assert_eq!(verify(own, jwk, &changed), Err(AuthError::Signature));
            let other = if jws == P256.1 { ED25519.1 } else { P256.1 };
            assert_eq!(verify(own, jwk, other), Err(AuthError::Signature));
        }
    }

    #[test]
    fn a_set_of_too_many_keys_or_of_none_is_refused() {
        let set = |count| format!("{{\"keys\":[{}]}}", vec![ED25519.0; count].join(","));
        let parse = |text: &str| KeySet::parse(text.as_bytes());
        assert_eq!(parse(&set(KeySet::KEYS_MAX)).unwrap().len(), KeySet::KEYS_MAX);
        assert!(matches!(parse(&set(KeySet::KEYS_MAX + 1)), Err(JwksError::TooMany)));
        assert!(matches!(parse(&set(0)), Err(JwksError::NoUsableKey)));
        assert!(matches!(parse(r#"{"keys":{}}"#), Err(JwksError::NoKeySet)));
        assert!(matches!(parse(r#"{"keys":[],"keys":[]}"#), Err(JwksError::NoKeySet)));
    }
}
