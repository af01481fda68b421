//! KBPKs that are put together of components once, and kept in a file.

use std::io;
use std::path::Path;

use cvv2::key::{Kbpk, KbpkAlgorithm, KbpkError};
use cvv2::secret::{Protection, Secret};
use cvv2::{Kcv, KcvMethod};
use zeroize::Zeroizing;

use super::{KbpkAssembly, KbpkSourceError, form};
use crate::ceremony::{Assembly, Ceremony, Prompt, Record};
use crate::secret_file::{self, SecretFileError, SecretFileFault};

/// Has custodians enter a KBPK, and writes it to a new file that only its owner may read, as
/// [`KbpkSource::File`](super::KbpkSource::File) wants it.
///
/// # Errors
///
/// [`KbpkSourceError`], before anybody types if there is such a file.
pub fn create_of_components(
    path: &Path,
    algorithm: KbpkAlgorithm,
    ceremony: &Ceremony,
    at_least: Protection,
    prompt: &mut dyn Prompt,
) -> Result<Record, KbpkSourceError> {
    if path.symlink_metadata().is_ok() {
        let exists = SecretFileFault::Io(io::ErrorKind::AlreadyExists.into());
        return Err(KbpkSourceError::File(SecretFileError::new(path, exists)));
    }
    let assembly = Readable(KbpkAssembly { algorithm, at_least });
    let (key, record) = ceremony.run(&assembly, prompt).map_err(KbpkSourceError::Custodians)?;
    let mut digits = Zeroizing::new([0; 64]);
    let text = form::write(algorithm, hex(&key.bytes, algorithm, &mut digits), record.kcv);
    secret_file::create(path, &text).map_err(KbpkSourceError::File)?;
    Ok(record)
}

/// Puts together a key whose bytes can be read, which those of a [`Kbpk`] cannot.
struct Readable(KbpkAssembly);

/// A component or the key, at the start of the array, and its check value.
struct Part {
    bytes: Secret<[u8; 32]>,
    kcv: Kcv,
}

impl Assembly for Readable {
    type Component = Part;
    type Key = Part;
    type Error = KbpkError;

    fn purpose(&self) -> &'static str {
        self.0.purpose()
    }

    fn algorithm(&self) -> &'static str {
        self.0.algorithm()
    }

    fn digits(&self) -> usize {
        self.0.digits()
    }

    fn kcv_method(&self) -> KcvMethod {
        self.0.kcv_method()
    }

    fn component(&self, hex: &str) -> Result<Part, KbpkError> {
        // Refuses what is no component.
        let kcv = self.0.component_kcv(&self.0.component(hex)?);
        let mut bytes = Secret::new([0; 32], self.0.at_least)?;
        base16ct::mixed::decode(hex, &mut *bytes).expect("digits of a component");
        Ok(Part { bytes, kcv })
    }

    fn component_kcv(&self, component: &Part) -> Kcv {
        component.kcv
    }

    fn put_together(&self, components: &[Part]) -> Result<Part, KbpkError> {
        let mut bytes = Secret::new([0; 32], self.0.at_least)?;
        for component in components {
            for (byte, part) in bytes.iter_mut().zip(&*component.bytes) {
                *byte ^= part;
            }
        }
        let algorithm = self.0.algorithm;
        let mut digits = Zeroizing::new([0; 64]);
        let hex = hex(&bytes, algorithm, &mut digits);
        // Refuses what is no good key.
        let kcv = self.0.kcv(&Kbpk::from_hex(algorithm, hex, self.0.at_least)?);
        Ok(Part { bytes, kcv })
    }

    fn kcv(&self, key: &Part) -> Kcv {
        key.kcv
    }
}

fn hex<'a>(bytes: &[u8; 32], algorithm: KbpkAlgorithm, digits: &'a mut [u8; 64]) -> &'a str {
    let bytes = &bytes[..algorithm.key_len()];
    base16ct::upper::encode_str(bytes, digits).expect("two digits a byte")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::ceremony::CeremonyError;
    use crate::ceremony::script::{Act, Script};
    use crate::kbpk::KbpkSource;

    // The AES-256 key of TR-31:2018, A.7.4, is the sum.
    const FIRST: &str = "0F1E2D3C4B5A69788796A5B4C3D2E1F00F1E2D3C4B5A69788796A5B4C3D2E1F0";
    const SECOND: &str = "87FF86166567BAF498369C11F582ED38A76494EA669345798219022B87B79C16";

    fn create(path: &Path, acts: &[Act]) -> Result<Record, KbpkSourceError> {
        let (algorithm, at_least) = (KbpkAlgorithm::Aes256, Protection::Wiped);
        let mut script = Script::new(acts);
        let created =
            create_of_components(path, algorithm, &Ceremony::of(2), at_least, &mut script);
        script.end();
        created
    }

    #[test]
    fn a_file_of_components_loads_as_their_sum() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kbpk");
        let acts = [Act::Hidden(FIRST), Act::Shown("yes"), Act::Hidden(SECOND)];
        let acts = [&acts[..], &[Act::Shown("yes"), Act::Shown("yes")]].concat();
        let record = create(&path, &acts).unwrap();
        assert_eq!(record.kcv.to_string(), "233155");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);

        let source = KbpkSource::File { path: path.clone(), beside_keyring: false };
        let keyring = dir.path().join("keyring/keyring.toml");
        fs::create_dir(dir.path().join("keyring")).unwrap();
        let loaded = source.load(&keyring, Protection::Wiped, &mut Script::new(&[])).unwrap();
        assert_eq!(loaded.kbpk.kcv().to_string(), "233155");

        // Nobody types for a file that is there.
        assert!(matches!(create(&path, &[]), Err(KbpkSourceError::File(_))));
    }

    #[test]
    fn a_ceremony_that_comes_to_nothing_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kbpk");
        let acts = [Act::Hidden(FIRST), Act::Shown("yes"), Act::Abort];
        let created = create(&path, &acts);
        let Err(KbpkSourceError::Custodians(CeremonyError::Prompt(_))) = created else {
            panic!("{created:?}")
        };
        assert!(!path.exists());
    }
}
