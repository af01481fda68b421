//! The keys of a card store, wrapped in a file: what the resolver needs, as the keyring keeps it.

use std::num::NonZeroU8;
use std::path::Path;

use cvv2::key::Kbpk;
use cvv2_keyring::Token;
use cvv2_keyring::wrapped::{self, FIRST, KeyUse, LockedKeys, NamedKey};
use cvv2_resolver::{KeyVersion, StoreKeys, StoreKeysError};

use crate::failure::Failure;

/// What the file says that its keys are of.
pub(crate) const PURPOSE: &str = "card store";

/// The key that finds rows, of which there is one.
const INDEX: &str = "index";
/// The keys that seal rows, by version.
const SEALING: &str = "sealing";

/// Creates the file; an existing one is never touched.
pub(crate) fn create(path: &Path, keys: &StoreKeys, kbpk: &Kbpk) -> Result<(), Failure> {
    let keys = named(keys, kbpk)?;
    wrapped::create(path, PURPOSE, &keys, kbpk).map_err(|e| Failure::wrapped(&e))
}

/// Reads the file.
pub(crate) fn read(path: &Path, kbpk: &Kbpk) -> Result<StoreKeys, Failure> {
    let keys = wrapped::read(path, PURPOSE, kbpk).map_err(|e| Failure::wrapped(&e))?;
    put_together(path, keys)
}

/// Changes the keys of the file, and gives them.
pub(crate) fn change(
    path: &Path,
    kbpk: &Kbpk,
    change: impl FnOnce(&mut StoreKeys) -> Result<(), StoreKeysError>,
) -> Result<StoreKeys, Failure> {
    let (file, keys) = LockedKeys::open(path, PURPOSE, kbpk).map_err(|e| Failure::wrapped(&e))?;
    let mut keys = put_together(path, keys)?;
    change(&mut keys).map_err(|error| keys_failure(path, error))?;
    file.replace(&named(&keys, kbpk)?, kbpk).map_err(|e| Failure::wrapped(&e))?;
    Ok(keys)
}

/// Wraps the keys of the file under another KBPK.
pub(crate) fn rewrap(path: &Path, from: &Kbpk, to: &Kbpk) -> Result<StoreKeys, Failure> {
    let (file, keys) = LockedKeys::open(path, PURPOSE, from).map_err(|e| Failure::wrapped(&e))?;
    file.replace(&keys, to).map_err(|e| Failure::wrapped(&e))?;
    put_together(path, keys)
}

/// Whose fault it is that there are no keys.
pub(crate) fn keys_failure(path: &Path, error: StoreKeysError) -> Failure {
    match error {
        StoreKeysError::Generator | StoreKeysError::Memory => Failure::system(error),
        _ => Failure::BadInput(format!("{}: {error}", path.display())),
    }
}

/// The keys of a store by their names, the index key first.
fn named(keys: &StoreKeys, kbpk: &Kbpk) -> Result<Vec<NamedKey>, Failure> {
    let key = |name, version, key_use, bytes| {
        let name = Token::parse(name).expect("a constant name");
        NamedKey::copied(name, version, key_use, bytes, kbpk).map_err(Failure::system)
    };
    let mut named = vec![key(INDEX, FIRST, KeyUse::Hmac, keys.expose_index())?];
    for version in keys.versions() {
        let bytes = keys.expose_sealing(version).expect("one of its versions");
        let version = NonZeroU8::new(version.number()).expect("a version is not zero");
        named.push(key(SEALING, version, KeyUse::Encryption, bytes)?);
    }
    Ok(named)
}

/// The keys of a store, if these are all of one and nothing else.
fn put_together(path: &Path, keys: Vec<NamedKey>) -> Result<StoreKeys, Failure> {
    let (mut index, mut sealing) = (None, Vec::new());
    for NamedKey { name, version, key_use, key } in keys {
        match (&*name, version, key_use) {
            (INDEX, FIRST, KeyUse::Hmac) => index = Some(key),
            (SEALING, version, KeyUse::Encryption) => {
                let version = KeyVersion::new(version.get()).expect("a version is not zero");
                sealing.push((version, key));
            }
            _ => {
                return Err(Failure::BadInput(format!(
                    "{}: the key {name} of version {version} is none that a card store has; give \
                     the file of the store's keys",
                    path.display()
                )));
            }
        }
    }
    let index = index.ok_or_else(|| {
        Failure::BadInput(format!(
            "{}: the store's index key is missing; bring a backup of the file back",
            path.display()
        ))
    })?;
    StoreKeys::new(index, sealing).map_err(|error| keys_failure(path, error))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use cvv2::key::KbpkAlgorithm;
    use cvv2::secret::Protection;

    use super::*;

    fn kbpk(part: &str) -> Kbpk {
        Kbpk::from_hex(KbpkAlgorithm::Aes256, &part.repeat(8), Protection::Wiped).expect("a KBPK")
    }

    #[test]
    fn keys_are_read_as_they_were_wrapped_and_have_the_ids_that_stores_name_them_by() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys");
        let kbpk = kbpk("0F1E2D3C");
        let mut keys = StoreKeys::generate().expect("keys");
        create(&path, &keys, &kbpk).expect("a file");
        keys = change(&path, &kbpk, |keys| keys.add_sealing().map(drop)).expect("one more key");
        let again = read(&path, &kbpk).expect("the file");
        assert_eq!(*again.to_hex(), *keys.to_hex());

        let text = fs::read_to_string(&path).expect("a text");
        let ids = keys.versions().filter_map(|version| keys.sealing_id(version));
        let ids: Vec<_> = ids.chain([keys.id()]).map(|id| format!("id = \"{id}\"\n")).collect();
        assert_eq!(ids.len(), 3);
        assert!(ids.iter().all(|id| text.contains(id)), "{text}");
        let hex = keys.to_hex();
        let digits = hex.split(|c: char| !c.is_ascii_hexdigit()).filter(|word| word.len() > 3);
        for digits in digits {
            let text = text.to_lowercase();
            let part = |at: usize| text.contains(&digits[at..at + 16]);
            assert!((0..digits.len() - 16).all(|at| !part(at)), "a key in clear");
        }
    }

    #[test]
    fn only_the_keys_of_a_store_are_put_together() {
        let folder = tempfile::tempdir().expect("a folder");
        let kbpk = kbpk("0F1E2D3C");
        let key = |name, version, key_use, byte| {
            let version = NonZeroU8::new(version).expect("not zero");
            let name = Token::parse(name).expect("a name");
            NamedKey::copied(name, version, key_use, &[byte; 32], &kbpk).expect("memory")
        };
        let index = || key(INDEX, 1, KeyUse::Hmac, 1);
        let sealing = || key(SEALING, 1, KeyUse::Encryption, 2);
        for (number, (keys, told)) in [
            (vec![index()], "left without a sealing key"),
            (vec![sealing()], "index key is missing"),
            (vec![index(), sealing(), key("other", 1, KeyUse::Hmac, 3)], "the key other"),
            (vec![key(INDEX, 2, KeyUse::Hmac, 1), sealing()], "the key index of version 2"),
            (vec![key(INDEX, 1, KeyUse::Encryption, 1), sealing()], "the key index"),
            (vec![index(), key(SEALING, 1, KeyUse::Encryption, 1)], "equal"),
        ]
        .into_iter()
        .enumerate()
        {
            let path = folder.path().join(number.to_string());
            wrapped::create(&path, PURPOSE, &keys, &kbpk).expect("a file");
            match read(&path, &kbpk) {
                Err(Failure::BadInput(text)) => assert!(text.contains(told), "{text}"),
                other => panic!("{told}: {other:?}"),
            }
        }
    }
}
