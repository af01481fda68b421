//! `cvv2 audit`: the audit trail, looked at offline.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use cvv2::secret::Protection;
use cvv2_service::ServiceKey;
use cvv2_service::audit::{Verifier, VerifyError, VerifyReport, log_files};
use serde_json::{Value, json};

use crate::args::{AuditCommand, AuditVerifyArgs};
use crate::config::Config;
use crate::failure::{Answer, Failure};
use crate::keyring::{self, file_source, load_kbpk};
use crate::print::Print;
use crate::service_key;

/// Runs one of the subcommands.
pub(crate) fn run(command: AuditCommand, print: Print) -> Result<Answer, Failure> {
    match command {
        AuditCommand::Verify(args) => verify(&args, print),
    }
}

fn verify(args: &AuditVerifyArgs, print: Print) -> Result<Answer, Failure> {
    let key = service_key(args)?;
    let mut verifier = Verifier::new(&key).map_err(Failure::system)?;
    if let Some(anchor) = &args.anchor {
        // As it is now: later points may be of lines that are not read any more.
        let now = open(anchor).and_then(|reader| {
            let len = reader.get_ref().metadata()?.len();
            Ok(BufReader::new(reader.take(len)))
        });
        verifier = verifier.against(now.map_err(|e| Failure::file(anchor, &e))?);
    }
    if args.partial {
        verifier = verifier.partial();
    }
    let files = files(&args.paths)?;
    let verified = verifier.run(files.into_iter().map(|path| {
        let reader = open(&path);
        (path, reader)
    }));
    match verified {
        Ok(report) => {
            print.answer(text(&report, args), &value(&report, args))?;
            Ok(Answer::Done)
        }
        Err(VerifyError::Found(finding)) => {
            print.answer(
                format_args!("WRONG   {finding}"),
                &json!({
                    "whole": false,
                    "file": finding.path.display().to_string(),
                    "line": finding.line,
                    "fault": finding.fault.name(),
                    "description": finding.fault.to_string(),
                }),
            )?;
            Ok(Answer::Negative)
        }
        Err(VerifyError::Io { path, error }) => Err(Failure::file(&path, &error)),
        Err(VerifyError::AnchorIo(error)) => {
            Err(Failure::file(args.anchor.as_deref().unwrap_or(Path::new("")), &error))
        }
        Err(error) => Err(Failure::bad_input(error)),
    }
}

/// The key that the records are chained under.
fn service_key(args: &AuditVerifyArgs) -> Result<ServiceKey, Failure> {
    match (&args.config, &args.service_key, &args.kbpk_file) {
        (None, Some(path), Some(kbpk)) => {
            let kbpk = load_kbpk(&file_source(kbpk), path, Protection::Wiped)?;
            service_key::read(path, &kbpk)
        }
        (Some(config), ..) => {
            let config = Config::read(config)?;
            let kbpk = keyring::Place::configured(&config)?.kbpk()?;
            service_key::read(&config.serve()?.service_key, &kbpk)
        }
        _ => Err(Failure::bad_input(
            "which key? give --service-key FILE and --kbpk-file FILE, or --config FILE",
        )),
    }
}

/// The files, and those of the directories, in the order of the chain.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(log_files(path).map_err(|e| Failure::file(path, &e))?);
        } else {
            files.push(path.clone());
        }
    }
    // Names sort as the chain runs, wherever the files have been moved to.
    files.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    Ok(files)
}

fn open(path: &Path) -> io::Result<BufReader<File>> {
    File::open(path).map(|file| BufReader::with_capacity(64 << 10, file))
}

fn text(report: &VerifyReport, args: &AuditVerifyArgs) -> String {
    let VerifyReport { chain, files, records, first, head, .. } = report;
    let mut text = format!(
        "chain   {chain}\n\
         files   {files}, with {records} records\n\
         lines   {first} to {}, of which the last has the code {}\n",
        head.sequence, head.mac
    );
    let mut note = |note: String| {
        text.push_str("note    ");
        text.push_str(&note);
        text.push('\n');
    };
    if *first > 1 {
        note(format!("lines before {first} are in files that were not given"));
    }
    match args.anchor {
        None => note("without an anchor it does not show if records are missing at the end".into()),
        Some(_) => note(format!("the anchor knows {} of these lines", report.anchored)),
    }
    if report.anchored_before > 0 {
        note(format!("it knows {} lines before them", report.anchored_before));
    }
    if report.anchor_unreadable > 0 {
        note(format!("{} lines of the anchor cannot be read", report.anchor_unreadable));
    }
    if report.torn_bytes > 0 {
        note(format!(
            "{} bytes at the end are of records that were never acknowledged",
            report.torn_bytes
        ));
    } else if !report.is_closed {
        note("the last file was not closed: it is being written, or its process died".into());
    }
    if report.abandoned_bytes > 0 {
        note(format!(
            "{} bytes amid the files are of records that were refused while a disk failed",
            report.abandoned_bytes
        ));
    }
    if report.cut_bytes > 0 {
        note(format!(
            "{} bytes were cut off ends of files, as after a crash; was there one?",
            report.cut_bytes
        ));
    }
    if report.refused > 0 {
        note(format!(
            "{} records were refused, and so were their requests, while the log could not be \
             written",
            report.refused
        ));
    }
    text.push_str("whole");
    text
}

fn value(report: &VerifyReport, args: &AuditVerifyArgs) -> Value {
    json!({
        "whole": true,
        "chain": report.chain.to_string(),
        "files": report.files,
        "records": report.records,
        "first": report.first,
        "last": report.head.sequence,
        "mac": report.head.mac.to_string(),
        "closed": report.is_closed,
        "torn_bytes": report.torn_bytes,
        "abandoned_bytes": report.abandoned_bytes,
        "cut_bytes": report.cut_bytes,
        "refused": report.refused,
        "against_anchor": args.anchor.is_some(),
        "anchored": report.anchored,
        "anchored_before": report.anchored_before,
        "anchor_unreadable": report.anchor_unreadable,
    })
}
