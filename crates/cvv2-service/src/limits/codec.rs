//! Numbers and names as bytes, little-endian.

use super::moment::Moment;

/// Bytes that end where they should not, or that nobody wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// Reads from the front of some bytes.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (first, rest) = self.0.split_first_chunk().ok_or(Unreadable)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Unreadable> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Unreadable> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Unreadable> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn moment(&mut self) -> Result<Moment, Unreadable> {
        self.array().map(u64::from_le_bytes).map(Moment::from_millis)
    }

    pub(super) fn name(&mut self) -> Result<&'a str, Unreadable> {
        let len = usize::from(self.u8()?);
        let (name, rest) = self.0.split_at_checked(len).ok_or(Unreadable)?;
        self.0 = rest;
        std::str::from_utf8(name).map_err(|_| Unreadable)
    }
}

pub(super) fn put_moment(out: &mut Vec<u8>, moment: Moment) {
    out.extend_from_slice(&moment.millis().to_le_bytes());
}

/// The most bytes of a name: its length is one byte.
pub(super) const NAME_BYTES_MAX: usize = 255;

/// # Panics
///
/// If the name is longer than [`NAME_BYTES_MAX`].
pub(super) fn put_name(out: &mut Vec<u8>, name: &str) {
    out.push(u8::try_from(name.len()).expect("longer names were refused"));
    out.extend_from_slice(name.as_bytes());
}
