//! The service's own key, wrapped in a file under a KBPK.

use std::path::Path;

use cvv2::key::Kbpk;
use cvv2_keyring::Token;
use cvv2_keyring::wrapped::{self, FIRST, KeyUse, NamedKey};
use cvv2_service::ServiceKey;

use crate::failure::Failure;

/// What the file says that its key is of.
const PURPOSE: &str = "service";
/// The key that the others are derived of.
const ROOT: &str = "root";

/// Creates the file with a new key, and gives the key's id; an existing file is never touched.
pub(crate) fn create(path: &Path, kbpk: &Kbpk) -> Result<String, Failure> {
    let name = Token::parse(ROOT).expect("a constant name");
    let key = NamedKey::generate(name, FIRST, KeyUse::Hmac, kbpk);
    let key = key.map_err(|e| Failure::wrapped(&e))?;
    let id = key.id(PURPOSE);
    wrapped::create(path, PURPOSE, &[key], kbpk).map_err(|e| Failure::wrapped(&e))?;
    Ok(id)
}

/// Reads the file.
pub(crate) fn read(path: &Path, kbpk: &Kbpk) -> Result<ServiceKey, Failure> {
    let keys = wrapped::read(path, PURPOSE, kbpk).map_err(|e| Failure::wrapped(&e))?;
    let only = <[NamedKey; 1]>::try_from(keys).ok();
    match only {
        Some([NamedKey { name, version: FIRST, key_use: KeyUse::Hmac, key }]) if &*name == ROOT => {
            Ok(ServiceKey::new(key))
        }
        _ => Err(Failure::BadInput(format!(
            "{}: not one key of the name {ROOT}; give the file of the service's key",
            path.display()
        ))),
    }
}
