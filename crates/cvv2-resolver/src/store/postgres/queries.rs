//! Every statement that is sent over and over, by name: each connection prepares it once.
//!
//! What is sent with them is keyed hashes, codes of banks, sealed rows and numbers.

/// A statement.
#[derive(Clone, Copy)]
pub(super) enum Query {
    /// The sealed record of a reference: the only way in, and it names the bank.
    Lookup,
    /// The current key, held against changes until the transaction ends.
    CurrentKey,
    /// Sealed cards, held against changes until the transaction ends, in the order of keys so that no
    /// two wait for each other.
    HoldCards,
    /// Which cards there are.
    KnownCards,
    /// Which references there are.
    KnownReferences,
    /// Sealed records of references.
    References,
    InsertCards,
    ReplaceCards,
    InsertReferences,
    ReplaceReferences,
    /// All cards.
    EachCard,
    /// Puts rows that were sealed again in the place of the very rows that they were made of.
    ResealCards,
    ResealReferences,
    NoteRefusals,
    NoteImport,
}

impl Query {
    pub(super) const COUNT: usize = Self::NoteImport as usize + 1;

    /// Its text for a store in `schema`.
    pub(super) fn text(self, schema: &str) -> String {
        in_schema(self.template(), schema)
    }

    fn template(self) -> &'static str {
        match self {
            Self::Lookup => {
                "SELECT sealed FROM {schema}.card_references WHERE hash = $1 AND bank = $2"
            }
            Self::CurrentKey => "SELECT current_key FROM {schema}.store FOR SHARE",
            Self::HoldCards => {
                "SELECT c.hash, c.bank, c.sealed
                 FROM unnest($1::bytea[], $2::text[]) AS k (hash, bank)
                 JOIN {schema}.cards c ON c.hash = k.hash AND c.bank = k.bank
                 ORDER BY c.hash, c.bank
                 FOR UPDATE OF c"
            }
            Self::KnownCards => {
                "SELECT c.hash, c.bank
                 FROM unnest($1::bytea[], $2::text[]) AS k (hash, bank)
                 JOIN {schema}.cards c ON c.hash = k.hash AND c.bank = k.bank"
            }
            Self::KnownReferences => {
                "SELECT r.hash, r.bank
                 FROM unnest($1::bytea[], $2::text[]) AS k (hash, bank)
                 JOIN {schema}.card_references r ON r.hash = k.hash AND r.bank = k.bank"
            }
            Self::References => {
                "SELECT r.hash, r.bank, r.sealed
                 FROM unnest($1::bytea[], $2::text[]) AS k (hash, bank)
                 JOIN {schema}.card_references r ON r.hash = k.hash AND r.bank = k.bank"
            }
            Self::InsertCards => {
                "INSERT INTO {schema}.cards (hash, bank, sealed)
                 SELECT * FROM unnest($1::bytea[], $2::text[], $3::bytea[])"
            }
            Self::ReplaceCards => {
                "INSERT INTO {schema}.cards (hash, bank, sealed)
                 SELECT * FROM unnest($1::bytea[], $2::text[], $3::bytea[])
                 ON CONFLICT (hash, bank) DO UPDATE SET sealed = EXCLUDED.sealed"
            }
            Self::InsertReferences => {
                "INSERT INTO {schema}.card_references (hash, bank, sealed)
                 SELECT * FROM unnest($1::bytea[], $2::text[], $3::bytea[])"
            }
            Self::ReplaceReferences => {
                "INSERT INTO {schema}.card_references (hash, bank, sealed)
                 SELECT * FROM unnest($1::bytea[], $2::text[], $3::bytea[])
                 ON CONFLICT (hash, bank) DO UPDATE SET sealed = EXCLUDED.sealed"
            }
            Self::EachCard => "SELECT hash, bank, sealed FROM {schema}.cards",
            Self::ResealCards => {
                "UPDATE {schema}.cards t SET sealed = k.new
                 FROM unnest($1::bytea[], $2::text[], $3::bytea[], $4::bytea[])
                      AS k (hash, bank, old, new)
                 WHERE t.hash = k.hash AND t.bank = k.bank AND t.sealed = k.old"
            }
            Self::ResealReferences => {
                "UPDATE {schema}.card_references t SET sealed = k.new
                 FROM unnest($1::bytea[], $2::text[], $3::bytea[], $4::bytea[])
                      AS k (hash, bank, old, new)
                 WHERE t.hash = k.hash AND t.bank = k.bank AND t.sealed = k.old"
            }
            Self::NoteRefusals => {
                "INSERT INTO {schema}.import_refusals (row_number, field, reason)
                 SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[])"
            }
            Self::NoteImport => {
                "UPDATE {schema}.import
                 SET read_bytes = $2, read_rows = $3, digest = $4, added = $5, replaced = $6,
                     refused = $7, is_read = $8
                 WHERE token = $1"
            }
        }
    }
}

/// A statement for a store in `schema`, which is a name that needs no quotes.
pub(super) fn in_schema(template: &str, schema: &str) -> String {
    template.replace("{schema}", schema)
}
