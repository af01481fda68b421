//! Rows become sealed claims, on one thread or several.

use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::csv::{Block, Blocks, Position};
use super::{Claim, Columns, Flaw, ImportError, RowCard};
use crate::bank::BankId;
use crate::card_ref::{CardRef, ExidForm};
use crate::encoding::{CardBytes, RecordBytes};
use crate::record::CardRecord;
use crate::seal::{KeyVersion, Nonces, Sealer};
use crate::store::StoreError;

/// What became of a block of rows.
pub(crate) struct SealedBlock {
    /// The claims of all rows that are cards, in the order of rows: the card, then its references.
    pub(crate) claims: Vec<u8>,
    /// Rows that are cards.
    pub(crate) cards: u64,
    /// Rows that are none.
    pub(crate) refusals: Vec<(u64, Flaw)>,
    /// Seals that were made.
    pub(crate) seals: u64,
    /// Where the block ends in the input.
    pub(crate) end: Position,
}

/// Reads all blocks that are left and hands them on, in order, sealed under the key of a version.
///
/// This thread reads and hands on; `threads` others parse and seal. Each has a queue of its own, and the
/// blocks go round: so they come back in order, and no more than a few are under way.
pub(crate) fn scan(
    blocks: &mut Blocks<'_>,
    columns: &Columns,
    form: ExidForm,
    (sealer, version): (&Sealer, KeyVersion),
    threads: usize,
    hand_on: &mut dyn FnMut(SealedBlock) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..threads)
            .map(|_| {
                let (to_seal, blocks) = sync_channel(DEPTH);
                let (sealed, from_sealing) = sync_channel(DEPTH);
                let sealing = Sealing::new(sealer, version);
                scope.spawn(move || seal_all(&blocks, &sealed, columns, form, sealing));
                (to_seal, from_sealing)
            })
            .collect();
        let (mut sent, mut received) = (0, 0);
        loop {
            while sent - received < DEPTH * threads
                && let Some(block) = blocks.next()?
            {
                // Neither waits nor fails: there is room, and a thread that panicked is found below.
                let _ = lanes[sent % threads].0.send(block);
                sent += 1;
            }
            if received == sent {
                return Ok(());
            }
            let Ok(sealed) = lanes[received % threads].1.recv() else {
                // The thread has panicked; so does the scope.
                return Ok(());
            };
            received += 1;
            hand_on(sealed.map_err(StoreError::from)?)?;
        }
    })
}

/// As many threads as there are processors for them.
pub(crate) fn all_processors() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(THREADS_MAX)
}

/// Blocks that wait for one thread, or for being handed on.
const DEPTH: usize = 2;

/// More threads than these would wait for the one that hands on.
const THREADS_MAX: usize = 16;

type Sealed = Result<SealedBlock, getrandom::Error>;

fn seal_all(
    blocks: &Receiver<Block>,
    sealed: &SyncSender<Sealed>,
    columns: &Columns,
    form: ExidForm,
    mut sealing: Sealing<'_>,
) {
    for block in blocks {
        if sealed.send(sealing.block(block, columns, form)).is_err() {
            // Nobody wants it: the import has failed elsewhere.
            break;
        }
    }
}

/// Makes claims of cards, in room that is used again and again.
pub(crate) struct Sealing<'s> {
    sealer: &'s Sealer,
    version: KeyVersion,
    card: CardBytes,
    record: RecordBytes,
}

impl<'s> Sealing<'s> {
    /// Has claims sealed under the key of a version that the sealer has.
    pub(crate) fn new(sealer: &'s Sealer, version: KeyVersion) -> Self {
        Self { sealer, version, card: CardBytes::new(), record: RecordBytes::new() }
    }

    fn block(&mut self, block: Block, columns: &Columns, form: ExidForm) -> Sealed {
        let mut sealed = SealedBlock {
            claims: Vec::with_capacity(CLAIMS_BYTES),
            cards: 0,
            refusals: Vec::new(),
            seals: 0,
            end: block.end.clone(),
        };
        let mut nonces = Nonces::new();
        let mut failure = Ok(());
        block.each_row(|row, cells| match RowCard::read(cells, columns, form) {
            Ok(card) => {
                sealed.cards += 1;
                if failure.is_ok() {
                    let RowCard { bank, record, refs } = &card;
                    let into = &mut sealed.claims;
                    failure = self.claim(row, bank, record, refs, into, &mut nonces);
                }
            }
            Err(flaw) => sealed.refusals.push((row, flaw)),
        });
        sealed.seals = nonces.given();
        failure.map(|()| sealed)
    }

    /// Writes the claims of a card, its own and one for each reference, behind what is in `into`.
    pub(crate) fn claim(
        &mut self,
        row: u64,
        bank: &BankId,
        record: &CardRecord,
        refs: &[CardRef],
        into: &mut Vec<u8>,
        nonces: &mut Nonces,
    ) -> Result<(), getrandom::Error> {
        let under = (self.sealer, self.version);
        self.card.write(record, refs);
        let home = self.sealer.card(*bank, record.pan());
        Claim::seal(into, row, &home, self.card.as_slice(), under, nonces)?;
        self.record.write(record);
        for card in refs {
            let place = self.sealer.reference(*bank, card);
            Claim::seal(into, row, &place, self.record.as_slice(), under, nonces)?;
        }
        Ok(())
    }
}

/// What the claims of a block usually take.
const CLAIMS_BYTES: usize = 1 << 20;
