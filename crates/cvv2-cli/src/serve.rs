//! `cvv2 serve`: the HTTPS service.

mod assembly;
mod check;
mod dev;
mod init_key;
mod log;
mod notify;
mod probe;
mod reload;
mod run;
mod signals;
mod watch;

use crate::args::{ServeArgs, ServeCommand};
use crate::config::Config;
use crate::failure::{Answer, Failure};
use crate::print::Print;

/// Serves until it is told to stop, or does what comes before.
pub(crate) fn run(args: ServeArgs, print: Print) -> Result<Answer, Failure> {
    match (args.command, args.config) {
        (Some(ServeCommand::InitKey(args)), _) => init_key::run(&args, print),
        (Some(ServeCommand::Probe(args)), _) => probe::run(&args, print),
        (None, Some(config)) if args.check => {
            check::check(&Config::read(&config)?)?;
            print.answer("the configuration is in order", &serde_json::json!({ "sound": true }))?;
            Ok(Answer::Done)
        }
        (None, Some(config)) => {
            run::until_stopped(assembly::Assembly::build(&Config::read(&config)?)?)
        }
        (None, None) => dev::run(args.dev_listen),
    }
}
