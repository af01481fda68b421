//! A message's name where nobody needs to read it.

use std::fmt;

/// The keyed hash of who sent a message and its `msg_id`, as [`CardHasher::hash_message`] makes it.
///
/// It names a message to limits, and is of one size whatever a sender puts in. 128 bits of
/// HMAC-SHA-256; those who keep many of them may keep the first 88.
///
/// [`CardHasher::hash_message`]: crate::CardHasher::hash_message
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageKey([u8; MessageKey::LEN]);

impl MessageKey {
    /// Its bytes.
    pub const LEN: usize = 16;

    /// The hash with these bytes, as it was kept.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        self.0
    }
}

/// 32 hexadecimal digits.
impl fmt::Debug for MessageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageKey({:032x})", u128::from_be_bytes(self.0))
    }
}
