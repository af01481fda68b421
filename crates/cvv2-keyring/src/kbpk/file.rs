//! KBPKs in files.

use std::path::Path;
use std::{fs, io};

use cvv2::key::{Kbpk, KbpkAlgorithm};
use cvv2::secret::Protection;
use zeroize::Zeroizing;

use super::{KbpkSourceError, KbpkWarning, form};
use crate::{SecretText, secret_file};

/// Reads a file that only its owner may read.
pub(super) fn read(path: &Path) -> Result<SecretText, KbpkSourceError> {
    secret_file::read(path).map_err(KbpkSourceError::File)
}

/// Loads the key of a file.
pub(super) fn load(path: &Path, at_least: Protection) -> Result<Kbpk, KbpkSourceError> {
    form::parse(&read(path)?, at_least)
        .map_err(|error| KbpkSourceError::Form { place: path.display().to_string(), error })
}

/// Writes a new AES-256 key to a file that does not exist yet.
pub(super) fn generate(path: &Path, at_least: Protection) -> Result<Kbpk, KbpkSourceError> {
    let algorithm = KbpkAlgorithm::Aes256;
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *key).map_err(|_| KbpkSourceError::Generator)?;
    let mut hex = Zeroizing::new([0; 64]);
    let hex = base16ct::upper::encode_str(&*key, &mut *hex).expect("two digits a byte");
    let kbpk = Kbpk::from_hex(algorithm, hex, at_least).map_err(KbpkSourceError::Key)?;
    let text = form::write(algorithm, hex, form::check_value(&kbpk));
    secret_file::create(path, &text).map_err(KbpkSourceError::File)?;
    Ok(kbpk)
}

/// Refuses a key file in the keyring's folder or below, where a copy of the folder holds both: or
/// warns, where that is allowed.
///
/// Both files may be still to be made; their folders exist. A keyring's name may be a link to the
/// file: what counts is the folder of the file, and that of the link as well.
pub(super) fn keep_apart(
    key_file: &Path,
    keyring: &Path,
    allowed: bool,
    warnings: &mut Vec<KbpkWarning>,
) -> Result<(), KbpkSourceError> {
    let folder = |path: &Path| {
        let folder = secret_file::folder(path);
        fs::canonicalize(folder)
            .map_err(|error| KbpkSourceError::Folder { path: folder.to_owned(), error })
    };
    let key_folder = folder(key_file)?;
    let mut beside = key_folder.starts_with(folder(keyring)?);
    match fs::canonicalize(keyring) {
        Ok(keyring) => beside |= key_folder.starts_with(secret_file::folder(&keyring)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(KbpkSourceError::Folder { path: keyring.to_owned(), error });
        }
    }
    if !beside {
        return Ok(());
    }
    if !allowed {
        return Err(KbpkSourceError::BesideKeyring { path: key_file.to_owned() });
    }
    warnings.push(KbpkWarning::BesideKeyring { path: key_file.to_owned() });
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    #[test]
    fn a_generated_key_is_private_and_loads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kbpk");
        let made = generate(&path, Protection::Wiped).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        let loaded = load(&path, Protection::Wiped).unwrap();
        assert_eq!(loaded.kcv(), made.kcv());
        assert_eq!(loaded.algorithm(), KbpkAlgorithm::Aes256);

        let other = generate(&dir.path().join("other"), Protection::Wiped).unwrap();
        assert_ne!(other.kcv(), made.kcv());
        assert!(matches!(generate(&path, Protection::Wiped), Err(KbpkSourceError::File(_))));
        assert_eq!(load(&path, Protection::Wiped).unwrap().kcv(), made.kcv());
    }

    #[test]
    fn a_key_keeps_away_from_its_keyring() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        fs::create_dir_all(at("ring/below")).unwrap();
        fs::create_dir(at("ring-2")).unwrap();
        symlink(at("ring"), at("link")).unwrap();
        let keyring = at("ring/keyring.toml");

        for path in ["ring/kbpk", "ring/below/kbpk", "link/kbpk", "ring-2/../ring/kbpk"] {
            let mut warnings = Vec::new();
            let refused = keep_apart(&at(path), &keyring, false, &mut warnings);
            assert!(matches!(refused, Err(KbpkSourceError::BesideKeyring { .. })), "{path}");
            assert_eq!(warnings, []);
            keep_apart(&at(path), &keyring, true, &mut warnings).unwrap();
            assert_eq!(warnings, [KbpkWarning::BesideKeyring { path: at(path) }]);
        }
        for path in ["kbpk", "ring-2/kbpk"] {
            let mut warnings = Vec::new();
            keep_apart(&at(path), &keyring, false, &mut warnings).unwrap();
            assert_eq!(warnings, []);
        }
        // A link to the keyring keeps nothing apart from the file, nor from itself.
        fs::write(&keyring, "").unwrap();
        symlink(&keyring, at("ring-2/keyring.toml")).unwrap();
        for path in ["ring/kbpk", "ring/below/kbpk", "ring-2/kbpk"] {
            let refused = keep_apart(&at(path), &at("ring-2/keyring.toml"), false, &mut Vec::new());
            assert!(matches!(refused, Err(KbpkSourceError::BesideKeyring { .. })), "{path}");
        }
        keep_apart(&at("kbpk"), &at("ring-2/keyring.toml"), false, &mut Vec::new()).unwrap();

        let absent = keep_apart(&at("absent/kbpk"), &keyring, true, &mut Vec::new());
        assert!(matches!(absent, Err(KbpkSourceError::Folder { .. })));
    }
}
