//! A client's secret, and the slow hash that is kept of it.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use base64ct::{Base64Unpadded, Base64UrlUnpadded, Encoding};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

/// The secret of a client: 32 bytes of the operating system's generator, in base64url.
///
/// It is made, never chosen: nobody finds it by trying, however fast.
pub struct ClientSecret(Zeroizing<String>);

impl ClientSecret {
    /// Random bytes of a secret.
    pub const BYTES: usize = 32;

    /// A new secret.
    ///
    /// # Errors
    ///
    /// [`GeneratorError`] where the system has no random bytes.
    pub fn generate() -> Result<Self, GeneratorError> {
        let mut bytes = Zeroizing::new([0; Self::BYTES]);
        getrandom::fill(&mut *bytes).map_err(|_| GeneratorError)?;
        Ok(Self(Zeroizing::new(Base64UrlUnpadded::encode_string(&*bytes))))
    }

    /// The secret, for the one time that it is shown to whoever will use it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret([redacted])")
    }
}

/// The operating system's generator failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to say of it")]
pub struct GeneratorError;

impl fmt::Display for GeneratorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operating system's generator gave no random bytes")
    }
}

impl std::error::Error for GeneratorError {}

/// What a client presents as its secret, hashed with the salt of one client: what the hashes in the
/// file are compared with.
///
/// Making one takes tens of milliseconds and [`MEMORY_KIB`] of memory, whoever asks.
pub(super) struct Presented([u8; DIGEST_LEN]);

impl Presented {
    pub(super) fn hash(secret: &[u8], salt: &Salt) -> Self {
        let mut digest = [0; DIGEST_LEN];
        let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(DIGEST_LEN));
        let params = params.expect("the parameters are within the algorithm's limits");
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(secret, &salt.0, &mut digest)
            .expect("secret, salt and digest are within the algorithm's limits");
        Self(digest)
    }

    /// Whether it is the secret of which this is the hash; its salt was used.
    pub(super) fn is_of(&self, hash: &SecretHash) -> Choice {
        self.0.ct_eq(&hash.digest)
    }
}

impl Drop for Presented {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

/// The salt of a client's hashes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Salt([u8; SALT_LEN]);

impl Salt {
    pub(super) fn generate() -> Result<Self, GeneratorError> {
        let mut salt = [0; SALT_LEN];
        getrandom::fill(&mut salt).map_err(|_| GeneratorError)?;
        Ok(Self(salt))
    }
}

/// The hash of a client's secret: Argon2id with the parameters of this file, and no other.
///
/// All hashes cost the same, so that the time of a refusal does not tell whether there is such a
/// client. The two hashes of one client, while its secret is exchanged, share their salt: one run
/// answers for both. A salt is there against tables for many clients, and no two clients share one.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretHash {
    salt: Salt,
    digest: [u8; DIGEST_LEN],
}

impl SecretHash {
    /// Hashes a secret with a salt of its own.
    ///
    /// # Errors
    ///
    /// [`GeneratorError`] where the system has no random bytes.
    pub fn of(secret: &ClientSecret) -> Result<Self, GeneratorError> {
        Ok(Self::with_salt(secret, Salt::generate()?))
    }

    /// Hashes another secret of the client that this hash is of.
    #[must_use]
    pub fn of_successor(&self, secret: &ClientSecret) -> Self {
        Self::with_salt(secret, self.salt)
    }

    /// Reads a hash as the file has it, a PHC string.
    ///
    /// # Errors
    ///
    /// [`SecretHashError`] for another algorithm, weaker or other parameters, and other lengths.
    pub fn parse(text: &str) -> Result<Self, SecretHashError> {
        let Some(rest) = text.strip_prefix(PREFIX) else {
            let is_phc = text.starts_with('$');
            return Err(if is_phc { SecretHashError::Parameters } else { SecretHashError::NoHash });
        };
        let (salt, digest) = rest.split_once('$').ok_or(SecretHashError::NoHash)?;
        Ok(Self { salt: Salt(bytes(salt)?), digest: bytes(digest)? })
    }

    /// The hash as the file has it.
    #[must_use]
    pub fn to_phc(&self) -> String {
        let salt = Base64Unpadded::encode_string(&self.salt.0);
        let digest = Base64Unpadded::encode_string(&self.digest);
        format!("{PREFIX}{salt}${digest}")
    }

    pub(super) fn salt(&self) -> &Salt {
        &self.salt
    }

    fn with_salt(secret: &ClientSecret, salt: Salt) -> Self {
        let presented = Presented::hash(secret.expose().as_bytes(), &salt);
        Self { salt, digest: presented.0 }
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash([redacted])")
    }
}

/// Why a text is no hash of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretHashError {
    /// It is no hash at all; perhaps the secret itself.
    NoHash,
    /// It is a hash of another algorithm or with other parameters.
    Parameters,
}

impl fmt::Display for SecretHashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHash => f.write_str(
                "no hash of a secret; make one with `cvv2 client add`, and consider the secret known \
                 if this was one",
            ),
            Self::Parameters => write!(
                f,
                "a hash of another algorithm or with other parameters than Argon2id with {MEMORY_KIB} \
                 KiB, {PASSES} passes and {LANES} lane; make a new secret with `cvv2 client add`"
            ),
        }
    }
}

impl std::error::Error for SecretHashError {}

fn bytes<const LEN: usize>(text: &str) -> Result<[u8; LEN], SecretHashError> {
    let mut bytes = [0; LEN];
    let read = Base64Unpadded::decode(text, &mut bytes).map_err(|_| SecretHashError::NoHash)?;
    if read.len() == LEN { Ok(bytes) } else { Err(SecretHashError::NoHash) }
}

/// Memory of one hash, in KiB. With [`PASSES`] and [`LANES`] the first of OWASP's recommendations
/// for Argon2id that fits a service (Password Storage Cheat Sheet: 19 MiB, 2, 1).
pub(super) const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_LEN: usize = 16;
const DIGEST_LEN: usize = 32;
const PREFIX: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_what_another_implementation_computes() {
        // OpenSSL, by way of pyca/cryptography 48.0.0: Argon2id(salt=bytes(range(16)), length=32,
        // iterations=2, lanes=1, memory_cost=19456).derive(b"a secret for documentation").
        let text = "$argon2id$v=19$m=19456,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$\
                    nk5xjIBXouPFIFucGBhzzlDa2vtYZchdjv9lR2r5E5M";
        let hash = SecretHash::parse(text).unwrap();
        assert_eq!(hash.to_phc(), text);
        let is_of = |secret: &[u8]| bool::from(Presented::hash(secret, hash.salt()).is_of(&hash));
        assert!(is_of(b"a secret for documentation"));
        assert!(!is_of(b"a secret for documentatioN"));
        assert!(!is_of(b""));
    }

    #[test]
    fn weaker_and_other_hashes_are_refused() {
        let (salt, digest) =
            ("AAECAwQFBgcICQoLDA0ODw", "nk5xjIBXouPFIFucGBhzzlDa2vtYZchdjv9lR2r5E5M");
        for (text, error) in [
            (format!("$argon2i$v=19$m=19456,t=2,p=1${salt}${digest}"), SecretHashError::Parameters),
            (
                format!("$argon2id$v=16$m=19456,t=2,p=1${salt}${digest}"),
                SecretHashError::Parameters,
            ),
            (
                format!("$argon2id$v=19$m=19455,t=2,p=1${salt}${digest}"),
                SecretHashError::Parameters,
            ),
            (
                format!("$argon2id$v=19$m=19456,t=1,p=1${salt}${digest}"),
                SecretHashError::Parameters,
            ),
            ("$2b$12$R9h/cIPz0gi.URNNX3kh2O".to_owned(), SecretHashError::Parameters),
            (format!("{PREFIX}{salt}${}", &digest[4..]), SecretHashError::NoHash),
            (format!("{PREFIX}{}${digest}", &salt[4..]), SecretHashError::NoHash),
            (format!("{PREFIX}{salt}${digest}="), SecretHashError::NoHash),
            (format!("{PREFIX}{salt}"), SecretHashError::NoHash),
            ("a secret".to_owned(), SecretHashError::NoHash),
            (String::new(), SecretHashError::NoHash),
        ] {
            assert_eq!(SecretHash::parse(&text).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn secrets_are_long_and_no_two_alike() {
        let (one, other) = (ClientSecret::generate().unwrap(), ClientSecret::generate().unwrap());
        assert_eq!(one.expose().len(), 43);
        assert_ne!(one.expose(), other.expose());
        assert!(!format!("{one:?}").contains(one.expose()));
        let hash = SecretHash::of(&one).unwrap();
        assert!(!format!("{hash:?}").contains("argon2"));
        let successor = hash.of_successor(&other);
        assert_eq!(hash.salt.0, successor.salt.0);
        assert_ne!(hash, successor);
    }
}
