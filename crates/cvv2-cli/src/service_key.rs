//! The key of the service, as its file has it.

use std::path::Path;

use cvv2::secret::{Protection, Secret};
use cvv2_keyring::secret_file;
use cvv2_service::ServiceKey;

use crate::failure::Failure;

/// Reads the service key of a private file: 64 hexadecimal digits.
pub(crate) fn service_key(path: &Path) -> Result<ServiceKey, Failure> {
    let text = secret_file::read(path).map_err(|e| Failure::key_file(&e))?;
    let mut secret =
        Secret::new([0; ServiceKey::LEN], Protection::Wiped).map_err(Failure::system)?;
    match base16ct::mixed::decode(text.as_str(), &mut *secret) {
        Ok(bytes) if bytes.len() == ServiceKey::LEN => Ok(ServiceKey::new(secret)),
        _ => Err(Failure::BadInput(format!(
            "{}: not a service key; it has 64 hexadecimal digits",
            path.display()
        ))),
    }
}
