//! A log in a throw-away directory, its records, and its files as bytes.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cvv2::secret::{Protection, Secret};
use cvv2_resolver::MemoryStore;
use cvv2_service::audit::{
    AnchorOptions, AuditLog, AuditOptions, Pending, RequestRecord, Verifier, VerifyError,
    VerifyReport, log_files,
};
use cvv2_service::auth::AuthError;
use cvv2_service::envelope::Function;
use cvv2_service::{CardServices, Cause, KeyringSource, Outcome, ServiceKey, Settings};
use tempfile::TempDir;
use time::OffsetDateTime;
use time::macros::datetime;

pub(crate) const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05.678901 UTC);

pub(crate) fn key() -> ServiceKey {
    key_of(7)
}

pub(crate) fn key_of(byte: u8) -> ServiceKey {
    ServiceKey::new(Secret::new([byte; 32], Protection::Wiped).unwrap())
}

/// A place for a log and its anchor.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        // What a process has written is the system's to keep when it dies, disk or not.
        let memory = Path::new("/dev/shm");
        let folder =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self(folder.unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn directory(&self) -> PathBuf {
        directory(self.path())
    }

    pub(crate) fn anchor(&self) -> PathBuf {
        anchor(self.path())
    }

    pub(crate) fn options(&self) -> AuditOptions {
        options(self.path())
    }

    pub(crate) fn open(&self) -> AuditLog {
        AuditLog::open(&self.options(), &key(), || NOW).unwrap()
    }

    pub(crate) fn files(&self) -> Files {
        Files::read(&self.directory())
    }

    /// Verifies the log against its anchor.
    pub(crate) fn verify(&self) -> VerifyReport {
        self.files().verify(Some(&fs::read(self.anchor()).unwrap())).unwrap()
    }
}

pub(crate) fn directory(home: &Path) -> PathBuf {
    home.join("audit")
}

pub(crate) fn anchor(home: &Path) -> PathBuf {
    home.join("anchor")
}

/// Small files, an anchor that is never waited for, and another try soon.
pub(crate) fn options(home: &Path) -> AuditOptions {
    AuditOptions {
        file_bytes_max: 4 << 10,
        retry_interval: Duration::from_millis(5),
        anchor: Some(AnchorOptions {
            interval: Duration::from_millis(1),
            ..AnchorOptions::new(anchor(home))
        }),
        ..AuditOptions::new(directory(home))
    }
}

/// Hands over a record that can be found again by its text.
pub(crate) fn append(log: &AuditLog, text: &str) -> Pending {
    let record = RequestRecord {
        time: NOW,
        caller: Some("ivr"),
        client: Some(text),
        outcome: outcome(),
        origin: None,
        duration: Duration::from_micros(812),
    };
    log.append(&record.into())
}

/// That of a request without a token.
fn outcome() -> &'static Outcome {
    static OUTCOME: OnceLock<Outcome> = OnceLock::new();
    OUTCOME.get_or_init(|| {
        let keys = Arc::new(KeyringSource::locked(Vec::new()));
        let (settings, store) = (Settings::default(), Arc::new(MemoryStore::new()));
        let services = CardServices::new(settings, store, keys, || NOW).unwrap();
        let cause = Cause::NotAuthenticated(AuthError::Missing);
        services.refuse(Function::GetCvv2, &[], cause).outcome
    })
}

/// The files of a log, in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files(pub(crate) Vec<(PathBuf, Vec<u8>)>);

impl Files {
    pub(crate) fn read(directory: &Path) -> Self {
        let files = log_files(directory).unwrap();
        Self(files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect())
    }

    pub(crate) fn verify(&self, anchor: Option<&[u8]>) -> Result<VerifyReport, VerifyError> {
        let verifier = Verifier::new(&key()).unwrap();
        match anchor {
            None => self.verify_by(verifier),
            Some(anchor) => self.verify_by(verifier.against(io::Cursor::new(anchor.to_owned()))),
        }
    }

    pub(crate) fn verify_by(&self, verifier: Verifier) -> Result<VerifyReport, VerifyError> {
        verifier.run(self.0.iter().map(|(path, bytes)| (path.clone(), Ok(bytes.as_slice()))))
    }

    /// The texts of the records.
    pub(crate) fn texts(&self) -> HashSet<String> {
        let mut texts = HashSet::new();
        for (_, bytes) in &self.0 {
            // Behind the last record there may be what is none.
            for line in String::from_utf8_lossy(bytes).lines() {
                let member = line.split_once("\"client\":\"");
                texts.extend(member.and_then(|(_, rest)| Some(rest.split_once('"')?.0.to_owned())));
            }
        }
        texts
    }

    pub(crate) fn lines(&self, file: usize) -> Vec<&[u8]> {
        self.0[file].1.split_inclusive(|byte| *byte == b'\n').collect()
    }

    /// The value of a member of a line, which is not escaped.
    pub(crate) fn member(&self, file: usize, line: usize, name: &str) -> String {
        let value: serde_json::Value = serde_json::from_slice(self.lines(file)[line]).unwrap();
        value[name].as_str().map_or_else(|| value[name].to_string(), str::to_owned)
    }
}
