//! The arguments of `cvv2 cards`.
//!
//! Banks, identifiers, expiries and recipients are taken as text and read by the command: `clap` would
//! quote a text that it refuses, and somebody may have pasted a PAN or a key there.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args as Group, Subcommand};
use cvv2_resolver::CardStatus;

/// The card store: create, fill, look at, change, export, rotate its keys
///
/// A store is a directory of sealed cards, or in PostgreSQL where --config says so. Its keys are in a file of their own, as key blocks under a
/// KBPK (key block protection key), which is kept elsewhere again. A PAN is never taken from the
/// command line, and printed masked only.
#[derive(Group)]
pub(crate) struct CardsArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(subcommand)]
    pub(crate) command: CardsCommand,
}

/// Which store, and what opens it.
#[derive(Group)]
pub(crate) struct StoreArgs {
    /// The directory of the embedded store
    #[arg(long, value_name = "DIR", global = true, help_heading = STORE)]
    pub(crate) store: Option<PathBuf>,
    /// The file of the store's keys
    #[arg(long, value_name = "FILE", global = true, help_heading = STORE)]
    pub(crate) store_keys: Option<PathBuf>,
    /// The file of mode 0600 that holds the KBPK of the store's keys, in another folder
    #[arg(long, value_name = "FILE", global = true, help_heading = STORE)]
    pub(crate) kbpk_file: Option<PathBuf>,
    /// Take store, keys and the source of the KBPK from this configuration instead
    #[arg(long, value_name = "FILE", global = true, help_heading = STORE, conflicts_with_all = ["store", "store_keys", "kbpk_file"])]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum CardsCommand {
    Init(CardsInitArgs),
    Add(CardsAddArgs),
    Import(CardsImportArgs),
    Export(CardsExportArgs),
    Show(CardsShowArgs),
    Status(CardsStatusArgs),
    /// Open every record and follow every index entry; exit code 1 if one is wrong
    Check,
    Rotate(CardsRotateArgs),
    Rewrap(CardsRewrapArgs),
    /// The store's keys: what they are called, never what they are
    #[command(subcommand)]
    Keys(CardsKeysCommand),
}

/// Create an empty store, and the file of its keys if there is none yet
///
/// The keys come from the operating system's generator and are wrapped under the KBPK: that of the
/// keyring, if the configuration names no other.
#[derive(Group)]
pub(crate) struct CardsInitArgs {
    /// Make the KBPK, too: AES-256, in the file or the token where it is to be
    #[arg(long)]
    pub(crate) new_kbpk: bool,
}

/// Add one card, given as a JSON object
///
/// {"bank": "NIC", "exid": "…", "contract_numbers": ["…"], "pan": "…", "status": "active",
/// "plastics": [{"expiry": "YYMM", "sequence": 0, "status": "active"}]}.
/// At least one of exid and contract_numbers; status may be left out and is active then.
#[derive(Group)]
pub(crate) struct CardsAddArgs {
    /// The file with the card; `-` is standard input
    #[arg(default_value = "-")]
    pub(crate) card: PathBuf,
    /// Mint an EXID for the card under this system id (0 to 9), which no other card of the bank has,
    /// and print it
    #[arg(long, value_name = "SYSTEM", value_parser = clap::value_parser!(u8).range(0..=9))]
    pub(crate) mint_exid: Option<u8>,
}

/// Import cards from a CSV file
///
/// Columns by header name, in any order: bank, pan, expiry (YYMM), and exid or contract_number or
/// both; optional: status, sequence, plastic_status. A card with several plastics has several
/// words in expiry, sequence and plastic_status. A row that is wrong is refused with its number,
/// field and reason, and the others go in.
///
/// An import that was cut short goes on when it is run again with the same input.
#[derive(Group)]
pub(crate) struct CardsImportArgs {
    /// The file; `-` is standard input
    pub(crate) file: PathBuf,
    /// The input is sealed with age: open it by the identity (AGE-SECRET-KEY-1…) in this file of mode
    /// 0600
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
    /// Write the refused rows to this new file: row, field and reason, never card data
    #[arg(long, value_name = "FILE")]
    pub(crate) refused: Option<PathBuf>,
    /// Read and check every row, store nothing; identifiers of other cards are not found
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Forget an import of another file that was cut short
    #[arg(long)]
    pub(crate) anew: bool,
    /// The character between fields
    #[arg(long, default_value = ",", value_name = "CHAR", value_parser = delimiter)]
    pub(crate) delimiter: u8,
}

/// Export all cards, sealed to recipients with age (age-encryption.org), never in clear
///
/// Inside is the CSV that `cvv2 cards import --identity FILE` takes. The file is new, has mode 0600, and
/// is whole or not there.
#[derive(Group)]
pub(crate) struct CardsExportArgs {
    /// The new file; `-` is standard output, if that is no terminal
    pub(crate) file: PathBuf,
    /// Who can open it: an X25519 recipient, age1…; once for each
    #[arg(long = "recipient", value_name = "AGE1…", required = true)]
    pub(crate) recipients: Vec<String>,
}

/// Show a card, its PAN masked; exit code 1 if there is none
#[derive(Group)]
pub(crate) struct CardsShowArgs {
    /// The bank that the card belongs to
    #[arg(long)]
    pub(crate) bank: String,
    #[command(flatten)]
    pub(crate) reference: ReferenceArgs,
}

/// Set the status of a card or of one of its plastics; exit code 1 if there is no such card
#[derive(Group)]
pub(crate) struct CardsStatusArgs {
    /// What it becomes
    #[arg(value_parser = status())]
    pub(crate) status: CardStatus,
    /// The bank that the card belongs to
    #[arg(long)]
    pub(crate) bank: String,
    #[command(flatten)]
    pub(crate) reference: ReferenceArgs,
    /// Only the plastic with this expiry
    #[arg(long, value_name = "YYMM")]
    pub(crate) expiry: Option<String>,
    /// Only the plastic with this sequence number
    #[arg(long, value_name = "NUMBER")]
    pub(crate) sequence: Option<u8>,
}

/// Which card; `-` asks for the identifier at a hidden prompt, or reads the first line of standard
/// input.
#[derive(Group)]
#[group(required = true, multiple = false)]
pub(crate) struct ReferenceArgs {
    /// By EXID
    #[arg(long)]
    pub(crate) exid: Option<String>,
    /// By contract number; only `-` for one that is a PAN
    #[arg(long)]
    pub(crate) contract_number: Option<String>,
}

/// Make a new sealing key, and seal every card again under it
///
/// The store may be read meanwhile, by whoever has the new key. The old key is dropped from the file
/// of keys when nothing is sealed under it any more. A rotation that was cut short is finished by the
/// next one, which begins none of its own then.
#[derive(Group)]
pub(crate) struct CardsRotateArgs {
    /// Only add the new key to the file, so that readers can be started anew with it before the
    /// rotation begins
    #[arg(long, conflicts_with = "resume")]
    pub(crate) prepare: bool,
    /// Only finish a rotation that was prepared or cut short; begin none
    #[arg(long)]
    pub(crate) resume: bool,
}

/// Wrap the store's keys under another KBPK; the keys and the cards stay as they are
///
/// The file as it was stays beside it as NAME.previous, under the KBPK of before: destroy it when
/// the new one has been tried.
#[derive(Group)]
#[group(required = true, multiple = false)]
pub(crate) struct CardsRewrapArgs {
    /// The file of mode 0600 that holds the other KBPK
    #[arg(long, value_name = "FILE")]
    pub(crate) to_kbpk_file: Option<PathBuf>,
    /// The KBPK is where this configuration has that of its store
    #[arg(long, value_name = "FILE")]
    pub(crate) to_config: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum CardsKeysCommand {
    /// Show version, use, id and check value of every key
    List,
    Import(CardsKeysImportArgs),
}

/// Take keys over from a file in clear, as earlier versions wrote it, and wrap them
///
/// If the store is there already, the keys have to be its own. Destroy the clear file afterwards.
#[derive(Group)]
pub(crate) struct CardsKeysImportArgs {
    /// The file of mode 0600 with the keys in hexadecimal digits
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) clear: PathBuf,
}

/// The heading of the options that name a store.
const STORE: &str = "The store";

fn status() -> impl TypedValueParser<Value = CardStatus> {
    PossibleValuesParser::new(CardStatus::ALL.map(CardStatus::name))
        .map(|name| CardStatus::parse(&name).expect("one of the possible values"))
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text {
        "\\t" | "tab" => Ok(b'\t'),
        _ => match text.as_bytes() {
            [byte] if byte.is_ascii_punctuation() || *byte == b'\t' => Ok(*byte),
            _ => Err("give one ASCII punctuation character, or `tab`".to_owned()),
        },
    }
}
