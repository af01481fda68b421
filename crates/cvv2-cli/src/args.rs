//! The command line, as `clap` reads it. What each command does is in the module of its name.
#![allow(clippy::doc_markdown, reason = "these comments are the help text that people read")]
#![allow(clippy::doc_link_with_quotes, reason = "these comments are the help text")]

mod audit;
mod cards;
mod client;
mod key;
mod serve;

use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand, ValueEnum};

pub(crate) use self::audit::{AuditCommand, AuditVerifyArgs};
pub(crate) use self::cards::{
    CardsAddArgs, CardsArgs, CardsCommand, CardsExportArgs, CardsImportArgs, CardsInitArgs,
    CardsKeysCommand, CardsKeysImportArgs, CardsRewrapArgs, CardsRotateArgs, CardsShowArgs,
    CardsStatusArgs, ReferenceArgs, StoreArgs,
};
pub(crate) use self::client::{
    ClientAddArgs, ClientArgs, ClientCommand, ClientFileArgs, ClientIdArgs, SigningKeyArgs,
};
pub(crate) use self::key::{
    CeremonyArgs, CeremonyCommand, CvkCeremonyArgs, EntryArgs, ExportArgs, ImportArgs, InitArgs,
    KbpkCeremonyArgs, KeyArgs, KeyCommand, ListArgs, RecordArgs, RotateArgs, SetArgs, SourceArgs,
    UseArgs,
};
pub(crate) use self::serve::{InitKeyArgs, ProbeArgs, ServeArgs, ServeCommand};

/// Card verification values (CVV, CVV2, iCVV): compute, verify, answer Get CVV2 requests.
///
/// Exit codes: 0 done, 1 a negative answer (mismatch, failed vector, refused request or row), 2
/// wrong use or bad input, 3 a fault of the system.
#[derive(Parser)]
#[command(name = "cvv2", version, max_term_width = 100, subcommand_required = true)]
pub(crate) struct Args {
    /// Print JSON instead of text wherever something is printed
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    #[command(subcommand)]
    Audit(AuditCommand),
    Bench(BenchArgs),
    Cards(CardsArgs),
    Client(ClientArgs),
    Demo(DemoArgs),
    Explain(ExplainArgs),
    Generate(GenerateArgs),
    Get(GetArgs),
    Key(KeyArgs),
    Serve(ServeArgs),
    Vectors(VectorsArgs),
    Verify(VerifyArgs),
}

impl Command {
    /// Whether there will be keys or cards in memory.
    pub(crate) fn touches_secrets(&self) -> bool {
        !matches!(self, Self::Bench(_) | Self::Vectors(_))
    }
}

/// Measure every kernel of this machine, beside the table-driven reference in the same run
///
/// Best on a quiet machine. Rates differ between machines; ratios to the reference hardly do.
#[derive(Group)]
pub(crate) struct BenchArgs {
    /// How many measurements the median of each figure is taken from
    #[arg(long, default_value_t = 15, value_parser = rounds)]
    pub(crate) rounds: usize,
}

/// Answer the published Get CVV2 request with nothing prepared
///
/// Makes a throw-away card store that holds one card under the published EXID, and a published test
/// key; answers the published request and prints the response envelope on standard output. What
/// happens is told on standard error. Works offline.
#[derive(Group)]
pub(crate) struct DemoArgs {
    /// Keep the demo's directory and name it, instead of deleting it
    #[arg(long)]
    pub(crate) keep: bool,
}

/// Answer one Get CVV2 request through the configured store and keys
///
/// Prints the response envelope. Exit code 0 for success, 1 for a business failure (card not found,
/// expired, …), 2 for a request that is refused, 3 for a fault of the system.
#[derive(Group)]
pub(crate) struct GetArgs {
    /// The request envelope; `-` is standard input
    pub(crate) request: PathBuf,
    /// The configuration: store, keys, caller
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}

/// Compute the value of one card
///
/// With a test key the card may be given on the command line. With a live key, one of a keyring, it
/// is asked for at a hidden prompt or read from standard input as one JSON object, because command
/// lines are visible to other users: {"pan": "…", "expiry": "YYMM", "service_code": "…"}.
#[derive(Group)]
pub(crate) struct GenerateArgs {
    #[command(flatten)]
    pub(crate) key: CvkArgs,
    #[command(flatten)]
    pub(crate) card: CardArgs,
    /// Number of digits, 1 to 5
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=5))]
    pub(crate) digits: u8,
}

/// Verify the value of one card: `match` and exit code 0, or `mismatch` and exit code 1
///
/// Key and card come in as for `generate`; the value is the member "cvv" of the JSON object.
#[derive(Group)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) key: CvkArgs,
    #[command(flatten)]
    pub(crate) card: CardArgs,
    /// The value to verify, three digits; test keys only
    #[arg(long, value_name = "DIGITS")]
    pub(crate) cvv: Option<String>,
}

/// Show every step of one calculation under a test key
///
/// For people who learn or audit. Keys of a keyring are refused.
#[derive(Group)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) key: CvkArgs,
    #[command(flatten)]
    pub(crate) card: CardArgs,
    /// Number of digits, 1 to 5
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=5))]
    pub(crate) digits: u8,
}

/// The CVK pair: a test key and its order, or a key of a keyring.
#[derive(Group)]
pub(crate) struct CvkArgs {
    /// A published test key: 32 hexadecimal digits; never a live key
    #[arg(long, value_name = "HEX", requires = "expiry_order", conflicts_with = "key")]
    pub(crate) test_key: Option<String>,
    /// The order in which the expiry enters the calculation with a test key; a keyring knows it
    #[arg(
        long,
        value_name = "ORDER",
        value_enum,
        ignore_case = true,
        requires = "test_key",
        conflicts_with = "key"
    )]
    pub(crate) expiry_order: Option<Order>,
    /// The live key of this name, whatever its dates say
    #[arg(long, value_name = "NAME", required_unless_present = "test_key")]
    pub(crate) key: Option<String>,
    #[command(flatten)]
    pub(crate) keyring: KeyringArgs,
}

/// Which keyring, and what opens it.
#[derive(Group)]
pub(crate) struct KeyringArgs {
    /// The keyring's file
    #[arg(long, value_name = "FILE", global = true, help_heading = KEYRING)]
    pub(crate) keyring: Option<PathBuf>,
    /// The file of mode 0600 that holds the keyring's KBPK
    #[arg(long, value_name = "FILE", global = true, help_heading = KEYRING)]
    pub(crate) kbpk_file: Option<PathBuf>,
    /// Take the keyring and the source of its KBPK from this configuration instead
    #[arg(long, value_name = "FILE", global = true, help_heading = KEYRING, conflicts_with_all = ["keyring", "kbpk_file"])]
    pub(crate) config: Option<PathBuf>,
}

/// Which card, and which of its values.
#[derive(Group)]
pub(crate) struct CardArgs {
    /// Which value: `cvv` needs a service code, `cvv2` has 000 and `icvv` has 999
    #[arg(long, value_enum, default_value = "cvv2")]
    pub(crate) kind: Kind,
    /// The PAN, 12 to 19 digits; test keys only
    #[arg(long, value_name = "DIGITS")]
    pub(crate) pan: Option<String>,
    /// The expiry as YYMM, whatever the key's order is; test keys only
    #[arg(long, value_name = "YYMM")]
    pub(crate) expiry: Option<String>,
    /// The service code of a `cvv`, three digits; test keys only
    #[arg(long, value_name = "DIGITS")]
    pub(crate) service_code: Option<String>,
}

/// Which value of a card.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// On the magnetic stripe (CVC1, CAV, CVN)
    Cvv,
    /// Printed on the card (CVC2, CAV2, CVN2)
    Cvv2,
    /// In the chip (Chip CVC)
    Icvv,
}

/// The order of the expiry in the calculation.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Order {
    /// Year, then month
    Yymm,
    /// Month, then year
    Mmyy,
}

impl From<Kind> for cvv2_keyring::Kind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Cvv => Self::Cvv,
            Kind::Cvv2 => Self::Cvv2,
            Kind::Icvv => Self::Icvv,
        }
    }
}

impl From<Order> for cvv2::ExpiryOrder {
    fn from(order: Order) -> Self {
        match order {
            Order::Mmyy => Self::MmYy,
            Order::Yymm => Self::YyMm,
        }
    }
}

/// Run test-vector files or folders on every kernel of this machine
///
/// Per file: tests, source kinds, SHA-256. A failure is named by file and tcId. The last line is
/// `N passed, N failed`; exit code 1 if any failed.
#[derive(Group)]
pub(crate) struct VectorsArgs {
    /// Vector files, or folders whose *.json files are run
    #[arg(required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// Also write the report, as JSON, to this new file
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}

/// The heading of the options that name a keyring.
const KEYRING: &str = "The keyring";

fn rounds(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(rounds @ 1..=1000) => Ok(rounds),
        _ => Err("give a number from 1 to 1000".to_owned()),
    }
}
