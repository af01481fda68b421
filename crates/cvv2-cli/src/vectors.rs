//! `cvv2 vectors`: test data run against the library that is linked.

use std::fs::OpenOptions;
use std::io::{self, Write};

use cvv2::Kernel;

use crate::args::VectorsArgs;
use crate::failure::{Answer, Failure};
use crate::print::Print;

/// Runs every vector on every kernel and reports.
pub(crate) fn run(args: &VectorsArgs, print: Print) -> Result<Answer, Failure> {
    let mut files = Vec::new();
    for path in &args.paths {
        files.extend(cvv2_vectors::load(path).map_err(Failure::bad_input)?);
    }
    let report = cvv2_vectors::run(&files, &Kernel::all().collect::<Vec<_>>());

    if let Some(path) = &args.report {
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
            serde_json::to_writer_pretty(&mut file, &report).map_err(io::Error::from)?;
            writeln!(file)?;
            file.sync_all()
        };
        write().map_err(|e| Failure::file(path, &e))?;
    }
    print.answer(&report, &report)?;
    Ok(if report.failed() == 0 { Answer::Done } else { Answer::Negative })
}
