//! Changes of a file of clients.
//!
//! A change is made in the text itself, so that comments and order stay as people left them. It
//! counts only if the text with the change, read again, says exactly what was meant.

use std::ops::Range;
use std::path::Path;

use cvv2_keyring::file::{self, LockedFile};

use super::Client;
use super::error::ClientsError;
use super::text::{self, Placed};
use crate::auth::client_secret::SecretHash;

/// A change of a file of clients: begun with [`open`](Self::open), made in memory, and done with
/// [`commit`](Self::commit) or not at all.
#[derive(Debug)]
pub struct ClientsDraft {
    file: LockedFile,
    text: String,
}

impl ClientsDraft {
    /// Makes a file without clients, of mode 0600.
    ///
    /// # Errors
    ///
    /// [`ClientsError::File`]; there may be no such file before.
    pub fn create(path: &Path) -> Result<(), ClientsError> {
        file::create(path, text::EMPTY).map_err(ClientsError::file)
    }

    /// Locks and reads a file of clients.
    ///
    /// # Errors
    ///
    /// [`ClientsError`] if somebody else is at it, or if it is not in order as it is.
    pub fn open(path: &Path) -> Result<Self, ClientsError> {
        file::read_private(path).map_err(ClientsError::file)?;
        let file = LockedFile::open(path).map_err(ClientsError::file)?;
        let text = file.text().to_owned();
        text::parse(&text).map_err(|error| error.in_file(path))?;
        Ok(Self { file, text })
    }

    /// The clients as they are with the changes so far, in the order of the file.
    ///
    /// # Errors
    ///
    /// None but of a fault in this crate: the text was read before.
    pub fn clients(&self) -> Result<Vec<Client>, ClientsError> {
        Ok(text::parse(&self.text)?.into_iter().map(|placed| placed.client).collect())
    }

    /// Adds a client at the end.
    ///
    /// # Errors
    ///
    /// [`ClientsError::SuchAClient`]; [`ClientsError::Text`] if the file cannot have it.
    pub fn add(&mut self, client: Client) -> Result<(), ClientsError> {
        let mut meant = self.clients()?;
        if meant.iter().any(|other| other.id == client.id) {
            return Err(ClientsError::SuchAClient);
        }
        let mut text = self.text.clone();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&text::to_toml(&client));
        meant.push(client);
        self.change(text, &meant)
    }

    /// Gives a client another secret beside the one that it has: `hash` makes the hash of the new
    /// one from that of the old.
    ///
    /// # Errors
    ///
    /// [`ClientsError::NoSuchClient`]; [`ClientsError::Rotating`] if it has two already.
    pub fn add_secret(
        &mut self,
        id: &str,
        hash: impl FnOnce(&SecretHash) -> SecretHash,
    ) -> Result<(), ClientsError> {
        self.change_secrets(id, |secrets| {
            if secrets.len() == Client::SECRETS_MAX {
                return Err(ClientsError::Rotating);
            }
            secrets.push(hash(&secrets[0]));
            Ok(())
        })
    }

    /// Takes the older of a client's two secrets away.
    ///
    /// # Errors
    ///
    /// [`ClientsError::NoSuchClient`]; [`ClientsError::NotRotating`] if it has but one.
    pub fn drop_older_secret(&mut self, id: &str) -> Result<(), ClientsError> {
        self.change_secrets(id, |secrets| {
            if secrets.len() < 2 {
                return Err(ClientsError::NotRotating);
            }
            secrets.remove(0);
            Ok(())
        })
    }

    /// Disables a client, or enables it again.
    ///
    /// # Errors
    ///
    /// [`ClientsError::NoSuchClient`]; [`ClientsError::Form`].
    pub fn set_disabled(&mut self, id: &str, disabled: bool) -> Result<(), ClientsError> {
        let (mut meant, index, placed) = self.find(id)?;
        meant[index].disabled = disabled;
        let text = if let Some(place) = placed.disabled {
            replaced(&self.text, place, &disabled.to_string())
        } else {
            let at = line_end(&self.text, placed.id.end);
            replaced(&self.text, at..at, &format!("\ndisabled = {disabled}"))
        };
        self.change(text, &meant)
    }

    /// Takes a client out of the file, with the comment right above it.
    ///
    /// # Errors
    ///
    /// [`ClientsError::NoSuchClient`]; [`ClientsError::Form`].
    pub fn remove(&mut self, id: &str) -> Result<(), ClientsError> {
        let (mut meant, index, placed) = self.find(id)?;
        meant.remove(index);
        let lines = lines_of(&self.text, placed.whole);
        self.change(replaced(&self.text, lines, ""), &meant)
    }

    /// Replaces the file by one with the changes. The old one stays beside it as `NAME.previous`.
    ///
    /// # Errors
    ///
    /// [`ClientsError::File`]. The file is as it was then; or, after
    /// [`FileFault::Unfinished`](cvv2_keyring::FileFault::Unfinished), the new one.
    pub fn commit(self) -> Result<(), ClientsError> {
        self.file.replace(&self.text).map_err(ClientsError::file)
    }

    fn find(&self, id: &str) -> Result<(Vec<Client>, usize, Placed), ClientsError> {
        let mut placed = text::parse(&self.text)?;
        let index = placed.iter().position(|placed| *placed.client.id == *id);
        let index = index.ok_or(ClientsError::NoSuchClient)?;
        let clients = placed.iter().map(|placed| placed.client.clone()).collect();
        Ok((clients, index, placed.swap_remove(index)))
    }

    fn change_secrets(
        &mut self,
        id: &str,
        change: impl FnOnce(&mut Vec<SecretHash>) -> Result<(), ClientsError>,
    ) -> Result<(), ClientsError> {
        let (mut meant, index, placed) = self.find(id)?;
        change(&mut meant[index].secrets)?;
        let secrets = text::secrets_to_toml(&meant[index].secrets);
        self.change(replaced(&self.text, placed.secrets, &secrets), &meant)
    }

    /// Takes over a text that has to say what `meant` says.
    fn change(&mut self, text: String, meant: &[Client]) -> Result<(), ClientsError> {
        let said = text::parse(&text).map_err(|error| error.in_file(self.file.given_path()))?;
        if !said.iter().map(|placed| &placed.client).eq(meant) {
            return Err(ClientsError::Form);
        }
        self.text = text;
        Ok(())
    }
}

/// The lines of an entry, with the comment lines right above it and the empty line before them.
fn lines_of(text: &str, entry: Range<usize>) -> Range<usize> {
    let end = text.len().min(line_end(text, entry.end) + 1);
    comments_above(text, line_start(text, entry.start))..end
}

/// Where the comment lines start that are right above a line, with the empty line before them.
fn comments_above(text: &str, mut start: usize) -> usize {
    loop {
        let Some(end) = start.checked_sub(1) else { return start };
        let before = line_start(text, end);
        let line = text[before..start].trim();
        if line.is_empty() {
            return before;
        }
        if !line.starts_with('#') {
            return start;
        }
        start = before;
    }
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |end| end + 1)
}

/// Where the line ends that a byte is in: its line feed, or the end of the text.
fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |length| at + length)
}

fn replaced(text: &str, place: Range<usize>, by: &str) -> String {
    [&text[..place.start], by, &text[place.end..]].concat()
}
