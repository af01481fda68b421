//! Rows on their way into a new generation, in the order of their keys.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use heed::{PutFlags, RwTxn};

use crate::seal::{Place, Table};
use crate::store::StoreError;
use crate::store::embedded::generation::Generation;

/// Rows of one table.
pub(super) struct Piece {
    table: Table,
    /// Each row as its key, its length and itself.
    bytes: Vec<u8>,
}

/// What is handed on at once, in bytes.
const PIECE_BYTES: usize = 256 * 1024;

impl Piece {
    pub(super) fn new(table: Table) -> Self {
        Self { table, bytes: Vec::with_capacity(PIECE_BYTES + 1024) }
    }

    pub(super) fn table(&self) -> Table {
        self.table
    }

    /// Adds a row behind all others.
    pub(super) fn push(&mut self, key: &[u8], row: &[u8]) -> Result<(), StoreError> {
        let damaged = StoreError::Damaged { table: self.table.name() };
        let Ok(len) = u16::try_from(row.len()) else { return Err(damaged) };
        if key.len() != Place::KEY_LEN {
            return Err(damaged);
        }
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(&len.to_le_bytes());
        self.bytes.extend_from_slice(row);
        Ok(())
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= PIECE_BYTES
    }

    fn rows(&self) -> impl Iterator<Item = (&[u8; Place::KEY_LEN], &[u8])> {
        let mut rest = &self.bytes[..];
        std::iter::from_fn(move || {
            let (key, behind) = rest.split_first_chunk()?;
            let (len, behind) = behind.split_first_chunk()?;
            let (row, behind) = behind.split_at(usize::from(u16::from_le_bytes(*len)));
            rest = behind;
            Some((key, row))
        })
    }
}

/// Writes all pieces that come.
///
/// `sync` is called now and then, on another thread, and has the disk take what was written until
/// then: otherwise it would be given nearly all of it in the end.
pub(super) fn build(
    new: &Generation,
    pieces: Receiver<Piece>,
    sync: &(dyn Fn() -> Result<(), StoreError> + Sync),
    behind_piece: &mut dyn FnMut(),
) -> Result<(), StoreError> {
    thread::scope(|scope| {
        let (to_sync, committed) = sync_channel(1);
        let syncing = scope.spawn(move || committed.iter().try_for_each(|()| sync()));
        let written = write(new, pieces, &to_sync, behind_piece);
        drop(to_sync);
        // An error is told once only: whoever synchronises again is told that all is well.
        let synced = syncing.join().expect("a thread that panics has nothing to tell");
        synced.and(written)
    })
}

/// Rows of a transaction: what is not committed is kept in memory, and so much is still in the
/// processor's cache when it is handed to the system.
const ROWS: usize = 20_000;

fn write(
    new: &Generation,
    pieces: Receiver<Piece>,
    to_sync: &SyncSender<()>,
    behind_piece: &mut dyn FnMut(),
) -> Result<(), StoreError> {
    let mut txn: Option<RwTxn<'_>> = None;
    let mut rows = 0;
    for piece in pieces {
        let txn_now = match &mut txn {
            Some(txn) => txn,
            none => none.insert(new.env.write_txn()?),
        };
        let table = new.tables.rows(piece.table);
        for (key, row) in piece.rows() {
            table.put_with_flags(txn_now, PutFlags::APPEND, key, row)?;
            rows += 1;
        }
        if rows >= ROWS
            && let Some(txn) = txn.take()
        {
            rows = 0;
            txn.commit()?;
            if let Err(TrySendError::Disconnected(())) = to_sync.try_send(()) {
                // The disk has failed, which is found out where it was.
                return Ok(());
            }
        }
        behind_piece();
    }
    txn.map_or(Ok(()), |txn| Ok(txn.commit()?))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::seal::{Sealer, StoreKeys};
    use crate::store::embedded::generation::Access;

    /// Builds a file of three transactions; returns how many rows it has.
    fn build_with(
        sync: &(dyn Fn() -> Result<(), StoreError> + Sync),
    ) -> Result<u64, Box<dyn std::error::Error>> {
        let home = tempfile::tempdir()?;
        let sealer = Sealer::new(&StoreKeys::generate()?);
        let new = Generation::create(home.path(), 1, Access::Build, &sealer)?;
        let (to_write, pieces) = channel();
        let mut piece = Piece::new(Table::Cards);
        for row in 0..3 * u32::try_from(ROWS)? {
            let mut key = [0; Place::KEY_LEN];
            key[..4].copy_from_slice(&row.to_be_bytes());
            piece.push(&key, b"a sealed row")?;
            if piece.is_full() {
                to_write.send(piece)?;
                piece = Piece::new(Table::Cards);
            }
        }
        to_write.send(piece)?;
        drop(to_write);
        build(&new, pieces, sync, &mut || {})?;
        let txn = new.env.read_txn()?;
        Ok(new.tables.cards.len(&txn)?)
    }

    #[test]
    fn all_rows_are_written_and_the_disk_is_asked_meanwhile()
    -> Result<(), Box<dyn std::error::Error>> {
        let asked = std::sync::atomic::AtomicU32::new(0);
        let rows = build_with(&|| {
            asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok(())
        })?;
        assert_eq!(rows, 3 * ROWS as u64);
        assert!(asked.into_inner() > 0);
        Ok(())
    }

    #[test]
    fn a_disk_that_fails_meanwhile_is_not_forgotten() {
        let built = build_with(&|| Err(std::io::Error::other("the disk").into()));
        assert!(built.unwrap_err().to_string().contains("the disk"));
    }

    #[test]
    fn rows_that_no_store_has_are_refused() {
        let mut piece = Piece::new(Table::Cards);
        let key = [0; Place::KEY_LEN];
        for (key, row) in [(&key[1..], &b"row"[..]), (&key, &vec![0; 1 << 16])] {
            let pushed = piece.push(key, row);
            assert!(matches!(pushed, Err(StoreError::Damaged { table: "cards" })));
        }
        assert_eq!(piece.rows().count(), 0);
    }
}
