//! What the journal says, one record after the other.

use crate::card_key::CardKey;
use crate::limits::card_log::{CallerId, EventKind};
use crate::limits::codec::{Reader, Unreadable, put_moment, put_name};
use crate::limits::moment::Moment;
use crate::message_key::MessageKey;

/// One thing that happened. Pieces of a rewritten journal are at [`State`].
///
/// [`State`]: super::state::State
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record<'a> {
    /// A caller came for the first time.
    Caller {
        id: CallerId,
        name: &'a str,
    },
    Admitted {
        id: CallerId,
        at: Moment,
    },
    NotFound {
        id: CallerId,
        at: Moment,
    },
    /// A card was charged: generated for, or verified and not known to be right.
    Charged {
        id: CallerId,
        at: Moment,
        card: CardKey,
        kind: EventKind,
    },
    /// A verification has come to its end.
    Settled {
        id: CallerId,
        at: Moment,
        card: CardKey,
        is_wrong: bool,
    },
    CardCleared {
        card: CardKey,
    },
    CallerCleared {
        id: CallerId,
    },
    /// A message was used for the first time.
    MessageUsed {
        message: MessageKey,
        at: Moment,
    },
    /// From here on the callers are those that the piece lists.
    CallersPiece,
    /// From here on the cards of this shard are those that the piece lists.
    CardsPiece {
        shard: u8,
    },
    /// The pieces before this record, with what was written between them, are everything.
    Complete,
}

const CALLER: u8 = 1;
const ADMITTED: u8 = 2;
const NOT_FOUND: u8 = 3;
const CHARGED: u8 = 4;
const SETTLED: u8 = 5;
const CARD_CLEARED: u8 = 6;
const CALLER_CLEARED: u8 = 7;
const CALLERS_PIECE: u8 = 8;
const CARDS_PIECE: u8 = 9;
const COMPLETE: u8 = 10;
const MESSAGE_USED: u8 = 11;

impl<'a> Record<'a> {
    pub(super) fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Caller { id, name } => {
                put_head(out, CALLER, id);
                put_name(out, name);
            }
            Self::Admitted { id, at } => {
                put_head(out, ADMITTED, id);
                put_moment(out, at);
            }
            Self::NotFound { id, at } => {
                put_head(out, NOT_FOUND, id);
                put_moment(out, at);
            }
            Self::Charged { id, at, card, kind } => {
                put_head(out, CHARGED, id);
                put_moment(out, at);
                out.extend_from_slice(&card.to_bytes());
                out.push(kind as u8);
            }
            Self::Settled { id, at, card, is_wrong } => {
                put_head(out, SETTLED, id);
                put_moment(out, at);
                out.extend_from_slice(&card.to_bytes());
                out.push(is_wrong.into());
            }
            Self::CardCleared { card } => {
                out.push(CARD_CLEARED);
                out.extend_from_slice(&card.to_bytes());
            }
            Self::CallerCleared { id } => put_head(out, CALLER_CLEARED, id),
            Self::MessageUsed { message, at } => {
                out.push(MESSAGE_USED);
                out.extend_from_slice(&message.to_bytes());
                put_moment(out, at);
            }
            Self::CallersPiece => out.push(CALLERS_PIECE),
            Self::CardsPiece { shard } => out.extend_from_slice(&[CARDS_PIECE, shard]),
            Self::Complete => out.push(COMPLETE),
        }
    }

    /// Reads a record. What a piece lists comes behind it.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Unreadable> {
        let id = |reader: &mut Reader<'a>| reader.u32().map(CallerId);
        let card = |reader: &mut Reader<'a>| reader.array().map(CardKey::from_bytes);
        Ok(match reader.u8()? {
            CALLER => Self::Caller { id: id(reader)?, name: reader.name()? },
            ADMITTED => Self::Admitted { id: id(reader)?, at: reader.moment()? },
            NOT_FOUND => Self::NotFound { id: id(reader)?, at: reader.moment()? },
            CHARGED => Self::Charged {
                id: id(reader)?,
                at: reader.moment()?,
                card: card(reader)?,
                kind: EventKind::of(reader.u8()?)?,
            },
            SETTLED => Self::Settled {
                id: id(reader)?,
                at: reader.moment()?,
                card: card(reader)?,
                is_wrong: match reader.u8()? {
                    0 => false,
                    1 => true,
                    _ => return Err(Unreadable),
                },
            },
            CARD_CLEARED => Self::CardCleared { card: card(reader)? },
            CALLER_CLEARED => Self::CallerCleared { id: id(reader)? },
            MESSAGE_USED => Self::MessageUsed {
                message: reader.array().map(MessageKey::from_bytes)?,
                at: reader.moment()?,
            },
            CALLERS_PIECE => Self::CallersPiece,
            CARDS_PIECE => Self::CardsPiece { shard: reader.u8()? },
            COMPLETE => Self::Complete,
            _ => return Err(Unreadable),
        })
    }
}

fn put_head(out: &mut Vec<u8>, tag: u8, id: CallerId) {
    out.push(tag);
    out.extend_from_slice(&id.0.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_written_and_no_shorter() {
        let (id, at) = (CallerId(7), Moment::from_millis(1 << 40));
        let card = CardKey::from_bytes([9; 16]);
        for record in [
            Record::Caller { id, name: "ivr é" },
            Record::Admitted { id, at },
            Record::NotFound { id, at },
            Record::Charged { id, at, card, kind: EventKind::Generate },
            Record::Charged { id, at, card, kind: EventKind::Wrong },
            Record::Settled { id, at, card, is_wrong: true },
            Record::Settled { id, at, card, is_wrong: false },
            Record::CardCleared { card },
            Record::CallerCleared { id },
            Record::MessageUsed { message: MessageKey::from_bytes([5; 16]), at },
            Record::CallersPiece,
            Record::CardsPiece { shard: 255 },
            Record::Complete,
        ] {
            let mut bytes = Vec::new();
            record.write(&mut bytes);
            for len in 0..bytes.len() {
                assert_eq!(Record::read(&mut Reader::new(&bytes[..len])), Err(Unreadable));
            }
            let mut reader = Reader::new(&bytes);
            assert_eq!(Record::read(&mut reader), Ok(record));
            assert!(reader.is_empty());
        }
        for bytes in [&[0][..], &[12], &[255; 40]] {
            assert_eq!(Record::read(&mut Reader::new(bytes)), Err(Unreadable));
        }
    }
}
