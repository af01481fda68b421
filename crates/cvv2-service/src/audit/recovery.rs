//! Where the chain goes on after a restart, whatever the end was.

use std::fs::File;
use std::io::BufReader;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::anchor::AnchorPoint;
use super::chain::{ChainId, ChainKey, Head};
use super::error::AuditError;
use super::file_name::FileName;
use super::folder::Folder;
use super::header::{Header, HeaderError};
use super::sealed::{Lines, Sealed, Step, TAIL_BYTES_MAX};
use crate::redo::{Found, Stream};

/// The end of a log.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) chain: ChainId,
    pub(crate) head: Head,
    pub(crate) name: FileName,
    /// Bytes of the newest file.
    pub(crate) bytes: u64,
    /// Bytes that were cut off it.
    pub(crate) cut_bytes: u64,
}

/// Reads the newest file, cuts off what a crash has left of records that nobody was told were
/// written, and has what is left on disk. `None` where there is no file.
///
/// Whatever cannot come of a crash is an error, and nothing is changed.
pub(crate) fn recover(
    folder: &Folder,
    key: &ChainKey,
    anchor: Option<(&Path, AnchorPoint)>,
) -> Result<Option<End>, AuditError> {
    let Some(name) = folder.newest()? else {
        return match anchor {
            None => Ok(None),
            Some((path, point)) => Err(AuditError::Shortened {
                path: path.to_owned(),
                anchored: point.head.sequence,
                last: 0,
            }),
        };
    };
    let path = folder.path_of(name);
    let file = folder.open_file(name)?;
    let end = read(&path, &file, name, key, anchor)?;
    settle(&file, &end).map_err(AuditError::io(&path))?;
    Ok(Some(end))
}

/// Applies to the files what redo logs have of them. What they have for others is returned.
///
/// A file before the newest one was synced when it ended, and is left alone if it shows everything: it
/// may be in an archive that nobody may write.
pub(crate) fn apply_redo(folder: &Folder) -> Result<Found, AuditError> {
    let failed = || AuditError::io(folder.path());
    let mut found = Found::read(folder.path()).map_err(failed())?;
    let newest = folder.newest()?;
    let mut files = Vec::new();
    for number in found.numbers(Stream::Audit) {
        let Some(name) = folder.numbered(number).map_err(failed())? else { continue };
        let path = folder.path_of(name);
        let shows_all = || found.is_in(Stream::Audit, number, &File::open(&path)?);
        if newest == Some(name) || !shows_all().map_err(AuditError::io(&path))? {
            files.push((number, folder.open_file(name)?));
        }
    }
    found.apply(Stream::Audit, &files).map_err(failed())?;
    Ok(found)
}

fn read(
    path: &Path,
    file: &File,
    name: FileName,
    key: &ChainKey,
    anchor: Option<(&Path, AnchorPoint)>,
) -> Result<End, AuditError> {
    let mut lines = Lines::new(BufReader::new(file));
    let damaged = |line| AuditError::Damaged { path: path.to_owned(), line };
    let first = lines.advance().map_err(AuditError::io(path))?;
    let header = match Header::parse(lines.text(), key) {
        Ok(header) if first == Step::Line && header.number == name.number => header,
        Err(HeaderError::ForeignKey) => {
            return Err(AuditError::ForeignKey { path: path.to_owned() });
        }
        _ => return Err(damaged(1)),
    };
    if let Some((path, point)) = anchor
        && point.chain != header.chain
    {
        return Err(AuditError::AnchorOfAnother { path: path.to_owned() });
    }

    let mut head = header.previous;
    let mut step = first;
    let mut cut_bytes = 0;
    loop {
        match Sealed::parse(lines.text()).filter(|line| line.follows(&head, key)) {
            _ if step == Step::End => break,
            Some(line) if step == Step::Line => head = line.head(),
            _ if lines.number() == 1 => return Err(damaged(1)),
            _ => {
                let number = lines.number();
                let tail = lines.torn_tail(step).map_err(AuditError::io(path))?;
                cut_bytes = tail.ok_or_else(|| damaged(number))?;
                break;
            }
        }
        if let Some((path, point)) = anchor
            && point.head.sequence == head.sequence
            && point.head != head
        {
            return Err(AuditError::AnchorOfAnother { path: path.to_owned() });
        }
        step = lines.advance().map_err(AuditError::io(path))?;
    }
    if let Some((path, point)) = anchor
        && point.head.sequence > head.sequence
    {
        return Err(AuditError::Shortened {
            path: path.to_owned(),
            anchored: point.head.sequence,
            last: head.sequence,
        });
    }
    Ok(End { chain: header.chain, head, name, bytes: lines.start(), cut_bytes })
}

/// Has on disk what was read.
///
/// After a sync that failed, the system may show bytes that it has given up writing. So those that
/// may be such are written again, to the letter: what was acknowledged is the same before and after.
fn settle(file: &File, end: &End) -> std::io::Result<()> {
    let from = end.bytes.saturating_sub(TAIL_BYTES_MAX);
    let len = usize::try_from(end.bytes - from).expect("no more than a group");
    let mut tail = vec![0; len];
    file.read_exact_at(&mut tail, from)?;
    file.write_all_at(&tail, from)?;
    if end.cut_bytes > 0 {
        file.set_len(end.bytes)?;
    }
    file.sync_all()
}
