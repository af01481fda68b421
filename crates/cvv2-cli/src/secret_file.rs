//! Files that hold keys: read only if nobody else can, and never into memory that grows.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::input::read_bounded;

/// The longest key file: any key of this project in hexadecimal, and some white space.
const LEN_MAX: usize = 1024;

/// The text of a key file without the white space around it, wiped when dropped.
pub(crate) struct SecretText {
    bytes: Zeroizing<Vec<u8>>,
}

impl SecretText {
    /// Reads a file that only its owner may read.
    ///
    /// Refused: a file that others may read or write, a file of another user (but root's), a file
    /// longer than 1024 bytes, text that is not UTF-8. The text goes into one buffer that does not
    /// grow.
    ///
    /// Linux only, as it asks `/proc` for the user; the embedded store's lock is 64-bit Unix too.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let fail = |e: &io::Error| Failure::file(path, e);
        let refuse = |why: &str| Failure::BadInput(format!("{}: {why}", path.display()));

        let mut file = File::open(path).map_err(|e| fail(&e))?;
        let meta = file.metadata().map_err(|e| fail(&e))?;
        if !meta.is_file() {
            return Err(refuse("not a regular file; keys are read from files only"));
        }
        if meta.mode() & 0o077 != 0 {
            return Err(refuse(
                "other users may open this key file; run `chmod 600` on it and consider the key known",
            ));
        }
        // The owner of /proc/self is the effective user of this process.
        let own = fs::metadata("/proc/self").map_err(|e| fail(&e))?.uid();
        if ![0, own].contains(&meta.uid()) {
            return Err(refuse(
                "this key file belongs to another user; copy it to one of your own",
            ));
        }

        let bytes = read_bounded(&mut file, LEN_MAX)
            .map_err(|e| fail(&e))?
            .ok_or_else(|| refuse("longer than any key file; give the file that holds the key"))?;
        if str::from_utf8(&bytes).is_err() {
            return Err(refuse("not text; give the key in hexadecimal"));
        }
        Ok(Self { bytes })
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes).expect("checked when it was read").trim()
    }
}

/// Writes a new key file that only its owner may read; an existing file is never touched.
pub(crate) fn create(path: &Path, text: &str) -> Result<(), Failure> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        // The name is durable when its directory is.
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(|e| Failure::file(path, &e))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn file(mode: u32, content: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    fn refused(mode: u32, content: &[u8]) -> String {
        let (_dir, path) = file(mode, content);
        match SecretText::read(&path) {
            Err(Failure::BadInput(text)) => text,
            _ => panic!("accepted"),
        }
    }

    #[test]
    fn white_space_around_the_text_is_dropped() {
        let (_dir, path) = file(0o600, b"\n 00FF \r\n");
        assert_eq!(SecretText::read(&path).unwrap().as_str(), "00FF");
        let (_dir, path) = file(0o400, b"");
        assert_eq!(SecretText::read(&path).unwrap().as_str(), "");
    }

    #[test]
    fn what_others_can_open_is_refused() {
        for mode in [0o640, 0o604, 0o620, 0o666] {
            assert!(refused(mode, b"00FF").contains("chmod 600"));
        }
    }

    #[test]
    fn what_is_no_key_file_is_refused() {
        assert!(refused(0o600, &[b'0'; LEN_MAX + 1]).contains("longer than any key file"));
        assert!(refused(0o600, &[0xFF, 0xFE]).contains("not text"));
        let dir = tempfile::tempdir().unwrap();
        assert!(SecretText::read(dir.path()).is_err());
        assert!(SecretText::read(&dir.path().join("absent")).is_err());
    }

    #[test]
    fn a_created_file_is_private_and_an_existing_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        create(&path, "00FF").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(create(&path, "1122").is_err());
        assert_eq!(SecretText::read(&path).unwrap().as_str(), "00FF");
    }
}
