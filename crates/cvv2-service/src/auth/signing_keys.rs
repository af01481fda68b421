//! The keys that sign our tokens.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding};
use cvv2_keyring::secret_file::{self, SecretFileError};
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey};
use time::OffsetDateTime;
use time::macros::format_description;
use zeroize::Zeroizing;

use super::client_secret::GeneratorError;
use super::key_set::KeySet;

/// Ed25519 keys of a folder: the newest by name signs, and all of them verify.
///
/// Each is a file `NAME.pem` of mode 0600 with a private key in PKCS#8 (RFC 8410), as
/// [`generate`](Self::generate) and `openssl genpkey -algorithm ed25519` make it. Names are compared
/// as text, so a date in front makes the newest the last.
///
/// To exchange the key, put a new file beside the old one and reload: new tokens are under the new
/// one. When the last token of the old one has expired, remove its file and reload. Replicas that
/// share clients get the new file under a name that sorts first, reload, and only then under its
/// own name: so no replica meets a token of a key that it has not.
pub struct SigningKeys {
    newest: SigningKey,
    public: KeySet,
}

/// The key that signs.
struct SigningKey {
    id: String,
    key: EncodingKey,
}

impl SigningKeys {
    /// The most keys of a folder.
    pub const MAX: usize = 16;

    /// Reads every `*.pem` of the folder.
    ///
    /// # Errors
    ///
    /// [`SigningKeysError`] for a file that is no such key or that others may open, for a key that is
    /// there twice, and if there is none.
    pub fn read(folder: &Path) -> Result<Self, SigningKeysError> {
        let mut files =
            pem_files(folder).map_err(|e| SigningKeysError::Folder(folder.to_owned(), e))?;
        files.sort();
        if files.len() > Self::MAX {
            return Err(SigningKeysError::TooMany(folder.to_owned()));
        }
        let mut public: Vec<Jwk> = Vec::new();
        let mut newest = None;
        for file in files {
            let text = secret_file::read(&file).map_err(SigningKeysError::File)?;
            let (key, jwk) =
                read_pem(text.as_str()).ok_or(SigningKeysError::NoKey(file.clone()))?;
            let id = jwk.common.key_id.clone().unwrap_or_default();
            if public.iter().any(|other| other.common.key_id.as_ref() == Some(&id)) {
                return Err(SigningKeysError::Twice(file));
            }
            public.push(jwk);
            newest = Some(SigningKey { id, key });
        }
        let newest = newest.ok_or_else(|| SigningKeysError::None(folder.to_owned()))?;
        Ok(Self { newest, public: KeySet::of(public) })
    }

    /// Makes a new key in the folder, named after the moment, and says where.
    ///
    /// # Errors
    ///
    /// [`SigningKeysError`] where the file cannot be written or the system has no random bytes.
    pub fn generate(folder: &Path, now: OffsetDateTime) -> Result<PathBuf, SigningKeysError> {
        let mut der = Zeroizing::new([0; DER_LEN]);
        der[..DER_PREFIX.len()].copy_from_slice(&DER_PREFIX);
        getrandom::fill(&mut der[DER_PREFIX.len()..])
            .map_err(|_| SigningKeysError::Generator(GeneratorError))?;
        let base64 = Zeroizing::new(Base64::encode_string(&*der));
        // Of a length of its own, so that nothing is moved while it grows.
        let mut pem = Zeroizing::new(String::with_capacity(256));
        for part in [PEM_BEGIN, "\n", base64.as_str(), "\n", PEM_END] {
            pem.push_str(part);
        }
        // To the millisecond: a script may make two in a second.
        let form = format_description!(
            "[year][month][day]T[hour][minute][second].[subsecond digits:3]Z.pem"
        );
        let name = now.to_offset(time::UtcOffset::UTC).format(form);
        let path = folder.join(name.expect("a moment has all parts of the form"));
        secret_file::create(&path, &pem).map_err(SigningKeysError::File)?;
        Ok(path)
    }

    /// The public keys.
    pub(super) fn public(&self) -> &KeySet {
        &self.public
    }

    /// The id and the key that sign.
    pub(super) fn newest(&self) -> (&str, &EncodingKey) {
        (&self.newest.id, &self.newest.key)
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKeys([{} redacted])", self.public.len())
    }
}

/// Why the keys that sign tokens were not read or made.
#[derive(Debug)]
#[non_exhaustive]
pub enum SigningKeysError {
    /// A file could not be read or written.
    File(SecretFileError),
    /// The folder could not be read.
    Folder(PathBuf, io::Error),
    /// The system has no random bytes.
    Generator(GeneratorError),
    /// The folder has no `*.pem`.
    None(PathBuf),
    /// The file is no Ed25519 key in PKCS#8.
    NoKey(PathBuf),
    /// The folder has more keys than [`SigningKeys::MAX`].
    TooMany(PathBuf),
    /// The key is in another file, too.
    Twice(PathBuf),
}

impl fmt::Display for SigningKeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Folder(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Generator(error) => error.fmt(f),
            Self::None(path) => write!(
                f,
                "{}: no *.pem there; make a key with `cvv2 client signing-key`",
                path.display()
            ),
            Self::NoKey(path) => write!(
                f,
                "{}: no Ed25519 private key in PKCS#8; make one with `cvv2 client signing-key`",
                path.display()
            ),
            Self::TooMany(path) => write!(
                f,
                "{}: more than {} keys; remove those whose tokens have expired",
                path.display(),
                SigningKeys::MAX
            ),
            Self::Twice(path) => {
                write!(f, "{}: the same key as in another file; remove one of them", path.display())
            }
        }
    }
}

impl std::error::Error for SigningKeysError {}

fn pem_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes()[0] == b'.');
        if !is_hidden && path.extension().is_some_and(|extension| extension == "pem") {
            files.push(path);
        }
    }
    Ok(files)
}

/// A key of its PEM text, and its public part, named by its thumbprint (RFC 7638).
fn read_pem(text: &str) -> Option<(EncodingKey, Jwk)> {
    let base64 = text.trim().strip_prefix(PEM_BEGIN)?.strip_suffix(PEM_END)?.trim();
    let mut der = Zeroizing::new([0; DER_LEN]);
    if Base64::decode(base64, &mut *der).ok()?.len() != DER_LEN || !der.starts_with(&DER_PREFIX) {
        return None;
    }
    let key = EncodingKey::from_ed_der(&*der);
    let mut jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA).ok()?;
    jwk.common.key_id = Some(jwk.thumbprint(ThumbprintHash::SHA256).ok()?);
    Some((key, jwk))
}

const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";
/// PKCS#8 of an Ed25519 key, all but the seed (RFC 8410, 7): version 0, the algorithm, and the
/// heads of two octet strings.
const DER_PREFIX: [u8; 16] =
    [0x30, 0x2E, 2, 1, 0, 0x30, 5, 6, 3, 0x2B, 0x65, 0x70, 4, 0x22, 4, 0x20];
const DER_LEN: usize = DER_PREFIX.len() + 32;

#[cfg(test)]
mod tests {
    use base64ct::Base64UrlUnpadded;

    use super::*;

    /// RFC 8037, A.1, A.3 and A.4: a key, its thumbprint, and what it signs.
    #[test]
    fn the_published_key_has_the_published_name_and_signature() {
        let seed = Base64UrlUnpadded::decode_vec("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
        let der = [&DER_PREFIX[..], &seed.unwrap()].concat();
        let pem = format!("{PEM_BEGIN}\r\n{}\r\n{PEM_END}\n", Base64::encode_string(&der));
        let (key, jwk) = read_pem(&pem).unwrap();
        let thumbprint = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
        assert_eq!(jwk.common.key_id.as_deref(), Some(thumbprint));
        let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = jsonwebtoken::crypto::sign(message, &key, Algorithm::EdDSA).unwrap();
        assert_eq!(
            signature,
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
    }

    /// A key made in the second of the one before it found its name taken.
    #[test]
    fn the_second_key_of_a_second_signs() {
        let folder = tempfile::tempdir().unwrap();
        let at = |millis| OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(millis);
        for (millis, count) in [(0, 1), (7, 2), (999, 3), (1000, 4)] {
            let path = SigningKeys::generate(folder.path(), at(millis)).unwrap();
            let (_, made) = read_pem(secret_file::read(&path).unwrap().as_str()).unwrap();
            let keys = SigningKeys::read(folder.path()).unwrap();
            assert_eq!(Some(keys.newest().0), made.common.key_id.as_deref());
            assert_eq!(pem_files(folder.path()).unwrap().len(), count);
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let folder = tempfile::tempdir().unwrap();
        SigningKeys::generate(folder.path(), OffsetDateTime::UNIX_EPOCH).unwrap();
        let keys = SigningKeys::read(folder.path()).unwrap();
        assert_eq!(format!("{keys:?}"), "SigningKeys([1 redacted])");
    }
}
