//! Bytes as files write them.

use std::fmt;
use std::ops::Deref;

use serde::Deserialize;

/// Bytes of upper-case hexadecimal digits.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct HexBytes(Vec<u8>);

impl TryFrom<String> for HexBytes {
    type Error = String;

    fn try_from(digits: String) -> Result<Self, String> {
        let bytes = hex::decode(&digits).map_err(|error| format!("`{digits}`: {error}"))?;
        if digits.bytes().any(|b| b.is_ascii_lowercase()) {
            return Err(format!("`{digits}`: write upper-case digits"));
        }
        Ok(Self(bytes))
    }
}

impl Deref for HexBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for HexBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&upper_hex(self))
    }
}

/// `bytes` as upper-case hexadecimal digits.
pub(super) fn upper_hex(bytes: &[u8]) -> String {
    hex::encode_upper(bytes)
}

/// Numbers 0 to 9 as digits.
pub(super) fn digit_text(digits: &[u8]) -> String {
    digits.iter().map(|digit| char::from(b'0' + digit)).collect()
}
