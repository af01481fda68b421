//! The arguments of `cvv2 key`.
//!
//! Names, BINs and check values are taken as text and read by the command: `clap` would quote a text
//! that it refuses, and somebody may have pasted a PAN or a key there.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args as Group, Subcommand};
use cvv2::key::{Exportability, KbpkAlgorithm, ModeOfUse};
use cvv2_keyring::{Date, Month, State};
use time::macros::format_description;

use super::{KeyringArgs, Kind, Order};

/// The keyring: make, fill, look at, change
///
/// A keyring is one file of key blocks under a KBPK (key block protection key), which is kept
/// elsewhere. No key is ever taken from the command line or printed in clear. A change is made as a
/// whole or not at all, and keeps the file as it was before beside it, as NAME.previous.
#[derive(Group)]
pub(crate) struct KeyArgs {
    #[command(flatten)]
    pub(crate) keyring: KeyringArgs,
    #[command(subcommand)]
    pub(crate) command: KeyCommand,
}

#[derive(Subcommand)]
pub(crate) enum KeyCommand {
    Init(InitArgs),
    /// Have custodians enter a key in components, one after the other, hidden
    ///
    /// Everybody confirms the check value of their component, and all of them that of the key.
    /// Whatever ends it before that leaves nothing behind.
    #[command(subcommand)]
    Ceremony(CeremonyCommand),
    Import(ImportArgs),
    List(ListArgs),
    Export(ExportArgs),
    Rotate(RotateArgs),
    Set(SetArgs),
    Retire(RetireArgs),
    Remove(RemoveArgs),
    /// Open everything, say what is wrong and what will be soon; exit code 1 if anything is wrong
    Check,
}

/// Make a KBPK, and an empty keyring under it
///
/// The KBPK is AES-256 from the operating system's generator: in the new file that `--kbpk-file`
/// names (mode 0600, not in the keyring's folder), or in the token that the configuration names.
/// Whoever loses it loses every key of the keyring. Keep a copy apart; or have it made of components
/// by `cvv2 key ceremony kbpk` first, so that custodians can make it again.
#[derive(Group)]
pub(crate) struct InitArgs {
    /// Use the KBPK that is there already instead of making one
    #[arg(long)]
    pub(crate) existing_kbpk: bool,
}

#[derive(Subcommand)]
pub(crate) enum CeremonyCommand {
    Cvk(CvkCeremonyArgs),
    Kbpk(KbpkCeremonyArgs),
}

/// A card verification key, which goes into the keyring
#[derive(Group)]
pub(crate) struct CvkCeremonyArgs {
    #[command(flatten)]
    pub(crate) entry: EntryArgs,
    #[command(flatten)]
    pub(crate) uses: UseArgs,
    #[command(flatten)]
    pub(crate) ceremony: CeremonyArgs,
}

/// A KBPK, which goes into a new file of mode 0600
#[derive(Group)]
pub(crate) struct KbpkCeremonyArgs {
    /// The new file
    pub(crate) file: PathBuf,
    /// The cipher and the length of the key
    #[arg(long, default_value = "aes-256", value_parser = algorithm())]
    pub(crate) algorithm: KbpkAlgorithm,
    #[command(flatten)]
    pub(crate) ceremony: CeremonyArgs,
}

/// A ceremony at the terminal.
#[derive(Group)]
pub(crate) struct CeremonyArgs {
    /// How many custodians there are: 2, or as many as are named
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(2..=3))]
    pub(crate) custodians: Option<u8>,
    /// The check value that the key must have; shown and to be confirmed if left out
    #[arg(long, value_name = "KCV")]
    pub(crate) kcv: Option<String>,
    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// What is filed of a ceremony.
#[derive(Group)]
pub(crate) struct RecordArgs {
    /// The name of a custodian; once for each, in the order of the components. Asked for if left out
    /// and a transcript is written
    #[arg(long = "custodian", value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Write a transcript without key material to this new file: text to sign, or JSON if its name
    /// ends in .json; may be given twice
    #[arg(long = "transcript", value_name = "FILE")]
    pub(crate) transcripts: Vec<PathBuf>,
}

/// Import a key from a key block, in clear, or in components; or make one
///
/// It is stored as a key block under the keyring's KBPK.
#[derive(Group)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    pub(crate) entry: EntryArgs,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

/// What the keyring says of a key.
#[derive(Group)]
pub(crate) struct EntryArgs {
    /// The name of the key in the keyring: a-z, 0-9, `-`, `_` and `.`
    #[arg(long)]
    pub(crate) name: String,
    /// The card scheme, for people
    #[arg(long)]
    pub(crate) scheme: String,
    /// What it computes; several with commas between them
    #[arg(long = "kind", value_enum, value_delimiter = ',', required = true)]
    pub(crate) kinds: Vec<Kind>,
    /// The cards it is for: prefixes of 6 to 12 digits and ranges of them, with commas between them,
    /// as 412345,400000-400099
    #[arg(long, value_delimiter = ',', required = true)]
    pub(crate) bins: Vec<String>,
    /// How the expiry enters the calculation; the issuer knows
    #[arg(long, value_name = "ORDER", value_enum, ignore_case = true)]
    pub(crate) expiry_order: Order,
    /// Its first day, YYYY-MM-DD
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(crate) from: Date,
    /// Its last day
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(crate) until: Option<Date>,
    /// Only for cards that expire in this month or later, YYYY-MM
    #[arg(long, value_name = "MONTH", value_parser = month)]
    pub(crate) cards_expiring_from: Option<Month>,
    /// A pending key waits until somebody activates it with `cvv2 key set`
    #[arg(
        long,
        default_value = State::Pending.name(),
        value_parser = state([State::Pending, State::Active, State::VerifyOnly]),
    )]
    pub(crate) state: State,
}

/// Where a key comes from.
#[derive(Group)]
pub(crate) struct SourceArgs {
    #[command(flatten)]
    pub(crate) place: SourcePlace,
    /// The check value that the key must have, as its sender gave it
    #[arg(long, help_heading = SOURCE, value_name = "KCV", required_unless_present_any = ["custodians", "new"])]
    pub(crate) kcv: Option<String>,
    /// The file of the KBPK that the block is under, if that is not the keyring's
    #[arg(long, help_heading = SOURCE, value_name = "FILE", requires = "block")]
    pub(crate) under: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) uses: UseArgs,
    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// Where its bytes are.
#[derive(Group)]
#[group(required = true, multiple = false)]
pub(crate) struct SourcePlace {
    /// A file with a key block (X9.143, TR-31); `-` is standard input
    #[arg(long, help_heading = SOURCE, value_name = "FILE")]
    pub(crate) block: Option<PathBuf>,
    /// A file of mode 0600 with the clear key: 32 hexadecimal digits, CVK A and then CVK B
    #[arg(long, help_heading = SOURCE, value_name = "FILE")]
    pub(crate) clear: Option<PathBuf>,
    /// A file of mode 0600 with a component: its hexadecimal digits, a space, its check value. Once
    /// for each component
    #[arg(long = "component-file", help_heading = SOURCE, value_name = "FILE")]
    pub(crate) component_files: Vec<PathBuf>,
    /// So many custodians type components at the terminal
    #[arg(long, help_heading = SOURCE, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(2..=3))]
    pub(crate) custodians: Option<u8>,
    /// Make a new key with the operating system's generator
    #[arg(long, help_heading = SOURCE)]
    pub(crate) new: bool,
}

/// What may be done with a key that does not come in a key block. A block says it itself.
#[derive(Group, Clone, Copy)]
pub(crate) struct UseArgs {
    /// C (if left out) generates and verifies, G generates only, V verifies only
    #[arg(long, help_heading = SOURCE, value_parser = mode())]
    pub(crate) mode: Option<ModeOfUse>,
    /// E (if left out) may be exported under another KBPK, N may not
    #[arg(long, help_heading = SOURCE, value_parser = exportability())]
    pub(crate) exportability: Option<Exportability>,
}

/// Show the keys and which of them are in force: check values, never keys
#[derive(Group)]
pub(crate) struct ListArgs {
    /// Show what is in force on this day instead of today, YYYY-MM-DD
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(crate) on: Option<Date>,
}

/// Print the key block of a key, under the keyring's KBPK or another
///
/// A key that is not exportable is refused.
#[derive(Group)]
pub(crate) struct ExportArgs {
    /// The name of the key
    pub(crate) name: String,
    /// The file of the KBPK that the receiver has; the keyring's own if left out
    #[arg(long, value_name = "FILE")]
    pub(crate) under: Option<PathBuf>,
    /// What the receiver may do with it, if less than this keyring: C, G or V
    #[arg(long, value_parser = mode())]
    pub(crate) mode: Option<ModeOfUse>,
    /// Whether the receiver may pass it on: E or N
    #[arg(long, value_parser = exportability())]
    pub(crate) exportability: Option<Exportability>,
}

/// Add the key that takes over from another on a day
///
/// It has the other's scheme, kinds, BINs and expiry order, and is active. The other one generates
/// until that day, and verifies after it. With `--cards-expiring-from`, cards that expire earlier
/// keep the other one.
#[derive(Group)]
pub(crate) struct RotateArgs {
    /// The name of the key that it takes over from
    pub(crate) older: String,
    /// The name of the new key
    #[arg(long)]
    pub(crate) name: String,
    /// Its first day, YYYY-MM-DD
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(crate) from: Date,
    /// Only for cards that expire in this month or later, YYYY-MM
    #[arg(long, value_name = "MONTH", value_parser = month)]
    pub(crate) cards_expiring_from: Option<Month>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

/// Activate a key, stop it from generating, or set its last day
#[derive(Group)]
pub(crate) struct SetArgs {
    /// The name of the key
    pub(crate) name: String,
    /// An active key generates and verifies; a verify-only key verifies what it once generated
    #[arg(long, value_parser = state([State::Active, State::VerifyOnly]))]
    pub(crate) state: Option<State>,
    /// Its last day, YYYY-MM-DD
    #[arg(long, value_name = "DATE", value_parser = date, required_unless_present = "state")]
    pub(crate) until: Option<Date>,
}

/// Retire a key for good: it neither generates nor verifies any more
///
/// Its entry stays for the record. Its cards get no value rather than one of another key.
#[derive(Group)]
pub(crate) struct RetireArgs {
    /// The name of the key
    pub(crate) name: String,
}

/// Take a pending or retired key out of the file
#[derive(Group)]
pub(crate) struct RemoveArgs {
    /// The name of the key
    pub(crate) name: String,
}

/// The heading of the options that say where a key comes from.
const SOURCE: &str = "The key";

fn algorithm() -> impl TypedValueParser<Value = KbpkAlgorithm> {
    PossibleValuesParser::new(KbpkAlgorithm::ALL.map(KbpkAlgorithm::name))
        .map(|name| KbpkAlgorithm::by_name(&name).expect("one of the possible values"))
}

fn mode() -> impl TypedValueParser<Value = ModeOfUse> {
    PossibleValuesParser::new(["C", "G", "V"]).map(|letter| match &*letter {
        "G" => ModeOfUse::Generate,
        "V" => ModeOfUse::Verify,
        _ => ModeOfUse::GenerateAndVerify,
    })
}

fn exportability() -> impl TypedValueParser<Value = Exportability> {
    PossibleValuesParser::new(["E", "N"]).map(|letter| match &*letter {
        "N" => Exportability::NonExportable,
        _ => Exportability::Exportable,
    })
}

fn state<const N: usize>(states: [State; N]) -> impl TypedValueParser<Value = State> {
    PossibleValuesParser::new(states.map(State::name))
        .map(|name| State::by_name(&name).expect("one of the possible values"))
}

fn date(text: &str) -> Result<Date, &'static str> {
    let form = format_description!("[year]-[month]-[day]");
    Date::parse(text, form).map_err(|_| "write a day as 2026-01-31")
}

fn month(text: &str) -> Result<Month, &'static str> {
    Month::parse(text).ok_or("write a month as 2029-01")
}
