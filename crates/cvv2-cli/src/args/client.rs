//! The arguments of `cvv2 client`.
//!
//! Ids, banks and fingerprints are taken as text and read by the command: `clap` would quote a text
//! that it refuses, and somebody may have pasted a secret there.

use std::path::PathBuf;

use clap::{Args as Group, Subcommand};

/// The clients of the API: who may have a token, and for what
///
/// They are in one file, mode 0600, with a slow hash of each secret. A secret is made here and shown
/// once. A change is made as a whole or not at all, and keeps the file as it was before beside it,
/// as NAME.previous. A service that runs takes it over when it reloads.
#[derive(Group)]
pub(crate) struct ClientArgs {
    #[command(subcommand)]
    pub(crate) command: ClientCommand,
}

#[derive(Subcommand)]
pub(crate) enum ClientCommand {
    Add(ClientAddArgs),
    Rotate(ClientRotateArgs),
    /// Give a client no more tokens, and let those that it has not count any more
    Disable(ClientIdArgs),
    /// Let a client that was disabled have tokens again
    Enable(ClientIdArgs),
    /// Take a client out of the file
    Remove(ClientIdArgs),
    /// Show the clients: ids, scopes, banks; never secrets or their hashes
    List(ClientFileArgs),
    /// Read the file as the service does, and say what is wrong; exit code 1 if anything is
    Check(ClientFileArgs),
    SigningKey(SigningKeyArgs),
}

/// Which file.
#[derive(Group)]
pub(crate) struct ClientFileArgs {
    /// The file of clients
    pub(crate) file: PathBuf,
}

/// Which client.
#[derive(Group)]
pub(crate) struct ClientIdArgs {
    /// The file of clients
    pub(crate) file: PathBuf,
    /// The client's id
    #[arg(long)]
    pub(crate) id: String,
}

/// Add a client, and print its secret
///
/// The file is made if it is not there. The secret is printed on standard output, and nowhere else
/// and never again: whoever loses it needs another.
#[derive(Group)]
pub(crate) struct ClientAddArgs {
    #[command(flatten)]
    pub(crate) which: ClientIdArgs,
    /// What it may do: cvv2:generate, cvv2:verify, cvv2:administer; several with commas between them
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', required = true)]
    pub(crate) scopes: Vec<String>,
    /// The banks with whose cards; several with commas between them
    #[arg(long = "bank", value_name = "CODE", value_delimiter = ',', required = true)]
    pub(crate) banks: Vec<String>,
    /// SHA-256 of the certificate that it has to connect with, in hexadecimal; several with commas
    /// between them
    #[arg(long = "certificate", value_name = "HEX", value_delimiter = ',')]
    pub(crate) certificates: Vec<String>,
    /// How long its tokens count, in seconds, 60 to 86400; as the service is configured if left out
    #[arg(long, value_name = "SECONDS")]
    pub(crate) token_lifetime: Option<u64>,
}

/// Give a client another secret beside the one that it has, and print it
///
/// Both count until the older one is taken away with `--finish`.
#[derive(Group)]
pub(crate) struct ClientRotateArgs {
    #[command(flatten)]
    pub(crate) which: ClientIdArgs,
    /// Take the older of its two secrets away instead
    #[arg(long)]
    pub(crate) finish: bool,
}

/// Make a key that signs tokens
///
/// A new file of mode 0600, named after the moment: the newest signs, and all of them verify. Remove
/// an older one when its last token has expired.
#[derive(Group)]
pub(crate) struct SigningKeyArgs {
    /// The folder of the signing keys
    pub(crate) folder: PathBuf,
}
