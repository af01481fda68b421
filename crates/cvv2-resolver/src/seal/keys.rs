//! The keys of a store.

use std::fmt;

use cvv2::secret::{Protection, Secret};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::KeyVersion;

/// The keys of a store: one that finds its rows (HMAC-SHA-256), and one or more that seal them
/// (AES-256), each with a version.
///
/// Each key lives in secret memory, is written there directly, and is wiped when dropped. A set of
/// keys serves one store: see the limit on the number of sealed rows, which a store counts for
/// itself.
///
/// A key at rest is to be wrapped under a key-encryption key; a key file in clear
/// ([`from_hex`](Self::from_hex)) is for tests, and for keys that are taken over from one. Whoever
/// wraps reads
/// [`expose_index`](Self::expose_index) and [`expose_sealing`](Self::expose_sealing), names the keys
/// by [`id`](Self::id), [`versions`](Self::versions) and [`sealing_id`](Self::sealing_id), and puts
/// the set together again by [`new`](Self::new).
///
/// ```
/// use cvv2_resolver::StoreKeys;
///
/// let mut keys = StoreKeys::generate()?;
/// let again = StoreKeys::from_hex(&keys.to_hex())?;
/// assert_eq!(keys.id(), again.id());
///
/// let second = keys.add_sealing()?;
/// assert_eq!((second.number(), keys.versions().count()), (2, 2));
/// # Ok::<(), cvv2_resolver::StoreKeysError>(())
/// ```
pub struct StoreKeys {
    index: StoreKey,
    /// By version, at least one.
    sealing: Vec<(KeyVersion, StoreKey)>,
}

/// The bytes of one key, in secret memory.
pub type StoreKey = Secret<[u8; StoreKeys::KEY_LEN]>;

impl StoreKeys {
    /// Bytes of a key.
    pub const KEY_LEN: usize = 32;

    /// Puts a set of keys together, whatever the order of versions.
    ///
    /// # Errors
    ///
    /// [`StoreKeysError`] where there is no sealing key, a version twice, or two equal keys.
    pub fn new(
        index: StoreKey,
        mut sealing: Vec<(KeyVersion, StoreKey)>,
    ) -> Result<Self, StoreKeysError> {
        sealing.sort_by_key(|(version, _)| *version);
        if sealing.is_empty() {
            return Err(StoreKeysError::NoSealingKey);
        }
        if let Some(pair) = sealing.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(StoreKeysError::VersionTwice { version: pair[0].0 });
        }
        let keys = || sealing.iter().map(|(_, key)| key).chain([&index]);
        for (at, key) in keys().enumerate() {
            if keys().skip(at + 1).any(|other| key.ct_eq(&**other).into()) {
                return Err(StoreKeysError::Equal);
            }
        }
        Ok(Self { index, sealing })
    }

    /// New keys from the operating system's generator; the sealing key has the first version.
    ///
    /// # Errors
    ///
    /// [`StoreKeysError::Generator`] where the generator fails, [`StoreKeysError::Memory`] where
    /// there is no memory for secrets.
    pub fn generate() -> Result<Self, StoreKeysError> {
        Self::new(random()?, vec![(KeyVersion::FIRST, random()?)])
    }

    /// Adds a new sealing key under the version after the last one, which it returns.
    ///
    /// A store seals under it once it was told to
    /// ([`begin_rotation`](crate::EmbeddedStore::begin_rotation)).
    ///
    /// # Errors
    ///
    /// [`StoreKeysError::LastVersion`] where there is no version left, and as
    /// [`generate`](Self::generate).
    pub fn add_sealing(&mut self) -> Result<KeyVersion, StoreKeysError> {
        let (last, _) = self.sealing.last().expect("a set has a sealing key");
        let version = last.next().ok_or(StoreKeysError::LastVersion)?;
        self.sealing.push((version, random()?));
        Ok(version)
    }

    /// Takes a sealing key out of the set, unless it is the only one.
    ///
    /// Rows that are sealed under it cannot be opened without it: a store must have been re-sealed
    /// to its end.
    ///
    /// # Errors
    ///
    /// [`StoreKeysError::NoSealingKey`] for the only one.
    pub fn remove_sealing(&mut self, version: KeyVersion) -> Result<(), StoreKeysError> {
        if self.versions().eq([version]) {
            return Err(StoreKeysError::NoSealingKey);
        }
        self.sealing.retain(|(known, _)| *known != version);
        Ok(())
    }

    /// Reads the content of a key file, in words of hexadecimal digits.
    ///
    /// The first word is 128 digits, a sealing key and the index key; each other is 64 digits, one
    /// more sealing key. Before a word may stand the version of its sealing key and a colon; the
    /// first word without one has version 1.
    ///
    /// The digits are decoded without secret-dependent branches or look-ups, straight to where the
    /// keys stay. `content` stays the caller's to wipe.
    ///
    /// # Errors
    ///
    /// [`StoreKeysError`] for any other text, and as [`new`](Self::new).
    pub fn from_hex(content: &str) -> Result<Self, StoreKeysError> {
        let mut sealing = Vec::new();
        let mut index = None;
        // A text without a word is a first word without characters.
        let words = content.split_ascii_whitespace();
        for (at, text) in words.chain(content.trim_ascii().is_empty().then_some("")).enumerate() {
            let word = at + 1;
            let (version, digits) = match text.split_once(':') {
                Some((version, digits)) => (version.parse().ok().and_then(KeyVersion::new), digits),
                None => ((at == 0).then_some(KeyVersion::FIRST), text),
            };
            let version = version.ok_or(StoreKeysError::Version { word })?;
            let due = if at == 0 { 2 * KEY_DIGITS } else { KEY_DIGITS };
            let characters = digits.chars().count();
            if characters != due {
                return Err(StoreKeysError::Length { word, characters, due });
            }
            if let Some(at) = digits.chars().position(|c| !c.is_ascii()) {
                return Err(StoreKeysError::NotHex { word, at });
            }
            let (first, second) = digits.split_at(KEY_DIGITS);
            sealing.push((version, decode(first, word, 0)?));
            if at == 0 {
                index = Some(decode(second, word, KEY_DIGITS)?);
            }
        }
        Self::new(index.expect("the first word has it"), sealing)
    }

    /// The content of a key file, without a line end at its end.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        let mut hex = Zeroizing::new(String::with_capacity(
            KEY_DIGITS + self.sealing.len() * ("\n255:".len() + KEY_DIGITS),
        ));
        for (at, (version, key)) in self.sealing.iter().enumerate() {
            if at > 0 {
                hex.push('\n');
            }
            if at > 0 || *version != KeyVersion::FIRST {
                hex.push_str(&version.to_string());
                hex.push(':');
            }
            encode(key, &mut hex);
            if at == 0 {
                encode(&self.index, &mut hex);
            }
        }
        hex
    }

    /// What the index key, and with it the store, may be named by: it does not tell the key.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId::of(&self.index)
    }

    /// What the sealing key of a version may be named by, if there is one.
    #[must_use]
    pub fn sealing_id(&self, version: KeyVersion) -> Option<KeyId> {
        self.sealing_key(version).map(KeyId::of)
    }

    /// The versions of the sealing keys, ascending.
    pub fn versions(&self) -> impl Iterator<Item = KeyVersion> {
        self.sealing.iter().map(|(version, _)| *version)
    }

    /// The HMAC-SHA-256 key. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn expose_index(&self) -> &[u8; Self::KEY_LEN] {
        &self.index
    }

    /// The AES-256 key of a version, if there is one. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn expose_sealing(&self, version: KeyVersion) -> Option<&[u8; Self::KEY_LEN]> {
        self.sealing_key(version).map(|key| &**key)
    }

    fn sealing_key(&self, version: KeyVersion) -> Option<&StoreKey> {
        self.sealing.iter().find(|(known, _)| *known == version).map(|(_, key)| key)
    }
}

impl fmt::Debug for StoreKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreKeys({} [redacted])", self.id())
    }
}

/// The name of a key: four bytes of a keyed hash, shown as eight digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub(crate) [u8; KeyId::LEN]);

impl KeyId {
    pub(crate) const LEN: usize = 4;

    fn of(key: &StoreKey) -> Self {
        let mac = Hmac::<Sha256>::new_from_slice(&**key)
            .expect("HMAC takes keys of any length")
            .chain_update(b"cvv2 card store key id")
            .finalize()
            .into_bytes();
        Self([mac[0], mac[1], mac[2], mac[3]])
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08X}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// Why there are no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreKeysError {
    /// A word of the key file has not the number of digits that it must have.
    Length {
        /// Which word, counted from one.
        word: usize,
        /// How many characters it has, its version not counted.
        characters: usize,
        /// How many it must have.
        due: usize,
    },
    /// A character is no hexadecimal digit.
    NotHex {
        /// Which word, counted from one.
        word: usize,
        /// The character's position, counted in characters from zero, behind the version.
        at: usize,
    },
    /// A word has no version, or one that is none.
    Version {
        /// Which word, counted from one.
        word: usize,
    },
    /// Two sealing keys have the same version.
    VersionTwice {
        /// The version.
        version: KeyVersion,
    },
    /// There would be no sealing key.
    NoSealingKey,
    /// There is no version after the last one.
    LastVersion,
    /// Two keys are equal.
    Equal,
    /// The operating system's random generator failed.
    Generator,
    /// There is no memory for secrets.
    Memory,
}

impl fmt::Display for StoreKeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { word, characters, due } => write!(
                f,
                "word {word} of the store's key file has {characters} characters; it must have \
                 {due} hexadecimal digits"
            ),
            Self::NotHex { word, at } => write!(
                f,
                "character {} of word {word} of the store's key file is no hexadecimal digit",
                at + 1
            ),
            Self::Version { word } => write!(
                f,
                "word {word} of the store's key file does not start with a version 1 to 255 and a \
                 colon"
            ),
            Self::VersionTwice { version } => {
                write!(f, "two of the store's sealing keys have version {version}")
            }
            Self::NoSealingKey => f.write_str("the store would be left without a sealing key"),
            Self::LastVersion => f.write_str(
                "the store's sealing keys have used up their versions; import into a new store",
            ),
            Self::Equal => f.write_str("two of the store's keys are equal"),
            Self::Generator => f.write_str("the operating system's random generator failed"),
            Self::Memory => f.write_str("there is no memory for the store's keys"),
        }
    }
}

impl std::error::Error for StoreKeysError {}

fn blank() -> Result<StoreKey, StoreKeysError> {
    Secret::new([0; StoreKeys::KEY_LEN], Protection::Wiped).map_err(|_| StoreKeysError::Memory)
}

fn random() -> Result<StoreKey, StoreKeysError> {
    // Secret memory may be of a kind that no system call can be given.
    let mut bytes = Zeroizing::new([0; StoreKeys::KEY_LEN]);
    getrandom::fill(&mut *bytes).map_err(|_| StoreKeysError::Generator)?;
    let mut key = blank()?;
    key.copy_from_slice(&*bytes);
    Ok(key)
}

/// Decodes 64 characters, all ASCII, that stand at `offset` of a word.
fn decode(hex: &str, word: usize, offset: usize) -> Result<StoreKey, StoreKeysError> {
    let mut key = blank()?;
    // Looking for the culprit branches on the text, but only once it is known to be no key.
    base16ct::mixed::decode(hex, &mut *key).map_err(|_| {
        let at = hex.chars().position(|c| !c.is_ascii_hexdigit());
        let at = offset + at.expect("refused for a character that is no digit");
        StoreKeysError::NotHex { word, at }
    })?;
    Ok(key)
}

fn encode(key: &StoreKey, into: &mut String) {
    let mut pair = Zeroizing::new([0; 2]);
    for byte in key.chunks_exact(1) {
        into.push_str(base16ct::lower::encode_str(byte, &mut *pair).expect("room for one byte"));
    }
}

/// Hexadecimal digits of one key.
const KEY_DIGITS: usize = 2 * StoreKeys::KEY_LEN;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> StoreKey {
        Secret::new([byte; 32], Protection::Wiped).unwrap()
    }

    fn version(number: u8) -> KeyVersion {
        KeyVersion::new(number).unwrap()
    }

    fn are_equal(one: &StoreKeys, other: &StoreKeys) -> bool {
        one.expose_index() == other.expose_index()
            && one.versions().eq(other.versions())
            && one.versions().all(|v| one.expose_sealing(v) == other.expose_sealing(v))
    }

    #[test]
    fn a_key_file_is_read_as_it_was_written() {
        let keys = StoreKeys::generate().unwrap();
        let hex = keys.to_hex();
        assert_eq!(hex.len(), 128);
        for content in [
            hex.to_string(),
            format!("{}\n", hex.to_uppercase()),
            format!(" {}\r\n", *hex),
            format!("1:{}", *hex),
        ] {
            assert!(are_equal(&StoreKeys::from_hex(&content).unwrap(), &keys));
        }
    }

    #[test]
    fn a_key_file_holds_all_sealing_keys_with_their_versions() {
        let mut keys = StoreKeys::generate().unwrap();
        assert_eq!(keys.add_sealing(), Ok(version(2)));
        assert_eq!(keys.add_sealing(), Ok(version(3)));
        for gone in [2, 1] {
            assert!(are_equal(&StoreKeys::from_hex(&keys.to_hex()).unwrap(), &keys));
            keys.remove_sealing(version(gone)).unwrap();
        }
        assert!(keys.to_hex().starts_with("3:"));
        assert!(are_equal(&StoreKeys::from_hex(&keys.to_hex()).unwrap(), &keys));
        assert_eq!(keys.remove_sealing(version(3)), Err(StoreKeysError::NoSealingKey));

        let last = StoreKeys::new(key(1), vec![(version(255), key(2))]);
        assert_eq!(last.unwrap().add_sealing(), Err(StoreKeysError::LastVersion));
    }

    #[test]
    fn the_text_never_moves_while_it_grows() {
        let sealing = (1..=255).map(|number| (version(number), key(number))).collect();
        let hex = StoreKeys::new(key(0), sealing).unwrap().to_hex();
        assert!(hex.capacity() <= 64 + 255 * 69 && hex.len() > 255 * 64);
    }

    #[test]
    fn what_is_no_key_file() {
        let hex = StoreKeys::generate().unwrap().to_hex();
        let other = "5a".repeat(32);
        let error = |content: &str| StoreKeys::from_hex(content).unwrap_err();
        let length = |word, characters, due| StoreKeysError::Length { word, characters, due };
        assert_eq!(error(""), length(1, 0, 128));
        assert_eq!(error(" \n"), length(1, 0, 128));
        assert_eq!(error(&hex[1..]), length(1, 127, 128));
        assert_eq!(error(&format!("{}0", *hex)), length(1, 129, 128));
        assert_eq!(error(&format!("{} 2:{}", *hex, &other[1..])), length(2, 63, 64));
        let changed = |at: usize, by: &str| format!("{}{by}{}", &hex[..at], &hex[at + 1..]);
        for at in [0, 63, 64, 127] {
            assert_eq!(error(&changed(at, "g")), StoreKeysError::NotHex { word: 1, at });
            assert_eq!(error(&changed(at, "ä")), StoreKeysError::NotHex { word: 1, at });
        }
        for second in [other.clone(), format!("0:{other}"), format!("256:{other}")] {
            let content = format!("{} {second}", *hex);
            assert_eq!(error(&content), StoreKeysError::Version { word: 2 });
        }
        assert_eq!(error(&format!("x:{}", *hex)), StoreKeysError::Version { word: 1 });
        let twice = StoreKeysError::VersionTwice { version: version(1) };
        assert_eq!(error(&format!("{} 1:{other}", *hex)), twice);
        assert_eq!(error(&"00".repeat(64)), StoreKeysError::Equal);
        assert_eq!(error(&hex[..64].repeat(2)), StoreKeysError::Equal);
        assert_eq!(error(&format!("{} 2:{}", *hex, &hex[64..])), StoreKeysError::Equal);
        assert_eq!(StoreKeys::new(key(1), vec![]).unwrap_err(), StoreKeysError::NoSealingKey);
    }

    #[test]
    fn an_id_depends_on_its_key_and_debug_shows_only_an_id() {
        let keys =
            StoreKeys::new(key(0), vec![(version(1), key(1)), (version(2), key(2))]).unwrap();
        let ids = [Some(keys.id()), keys.sealing_id(version(1)), keys.sealing_id(version(2))];
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
        assert_eq!(keys.sealing_id(version(3)), None);
        for at in [0, 31] {
            let mut other = key(0);
            other[at] ^= 0x80;
            let other = StoreKeys::new(other, vec![(version(1), key(1))]).unwrap();
            assert_ne!(other.id(), keys.id(), "byte {at}");
            assert_eq!(other.sealing_id(version(1)), ids[1]);
        }
        assert_eq!(format!("{keys:?}"), format!("StoreKeys({} [redacted])", keys.id()));
    }
}
