//! `cvv2 serve --check`: whether the service would start, without a trace, also while it runs.
//!
//! What is only read is opened as it would be. The audit log and the limits are written by whoever
//! opens them, and in directories they belong to one process: of those it is seen whether they can be where they are to
//! be. Whether the addresses are free is not asked.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::assembly::Sources;
use crate::config::{Config, LimitsPlace};
use crate::failure::Failure;

/// Opens what can be opened, and looks at the rest.
pub(super) fn check(config: &Config) -> Result<(), Failure> {
    let sources = Sources::open(config)?;
    let options = sources.serve.audit.options();
    if let LimitsPlace::Directory(limits) = sources.serve.limits.place() {
        private_or_to_be_made(limits).map_err(|e| e.about("[serve.limits] directory"))?;
    }
    private_or_to_be_made(&options.directory).map_err(|e| e.about("[serve.audit] directory"))?;
    if let Some(anchor) = &options.anchor {
        in_a_folder(&anchor.path).map_err(|e| e.about("[serve.audit] anchor"))?;
    }
    Ok(())
}

/// A directory of the service alone, or a place for one.
fn private_or_to_be_made(directory: &Path) -> Result<(), Failure> {
    let meta = match fs::metadata(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return in_a_folder(directory),
        other => other.map_err(|e| Failure::file(directory, &e))?,
    };
    if !meta.is_dir() {
        return Err(Failure::file(directory, &io::ErrorKind::NotADirectory.into()));
    }
    let mode = meta.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        let directory = directory.display();
        return Err(Failure::BadInput(format!(
            "{directory}: has mode {mode:04o}; take all access of group and others away"
        )));
    }
    Ok(())
}

/// What can be made, as far as its folder is concerned.
fn in_a_folder(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    match fs::metadata(folder) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(Failure::file(folder, &io::ErrorKind::NotADirectory.into())),
        Err(error) => Err(Failure::file(folder, &error)),
    }
}
