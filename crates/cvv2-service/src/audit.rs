//! The audit trail: one record per request, on disk before the answer leaves, and tied together so
//! that no record can be changed or taken out unseen.
//!
//! The log is a directory of files of lines of JSON; `docs/AUDIT.md` describes them. Each line ends
//! with the HMAC of itself and of the line before it, through all files. Who has not the key cannot
//! continue the chain, and whoever changes a line breaks it there. The one thing that a chain cannot
//! show is that its end is missing; for that, its [head](AuditLog::head) goes to an
//! [anchor](AnchorOptions) elsewhere.
//!
//! A record is handed over by [`AuditLog::append`], and is on disk when its [`Pending`] says so.
//! While the log cannot be written every record is refused, and what it is about must not be
//! answered: [`AppendError`] is a 503.
//!
//! ```
//! use cvv2::secret::{Protection, Secret};
//! use cvv2_service::audit::{AuditLog, AuditOptions, Event, EventRecord, Verifier, log_files};
//! use cvv2_service::{ServiceKey, SystemClock};
//! # use std::{fs::File, io::BufReader};
//! # let parent = tempfile::tempdir()?;
//! # let directory = parent.path().join("audit");
//!
//! let key = ServiceKey::new(Secret::new([7; 32], Protection::Wiped)?);
//! let log = AuditLog::open(&AuditOptions::new(&directory), &key, SystemClock)?;
//! let record = EventRecord::new(time::OffsetDateTime::now_utc(), Event::Start);
//! log.append(&record.into()).wait()?; // or `.await`; now the answer may leave
//! let head = log.close()?;
//!
//! let files = log_files(&directory)?.into_iter().map(|path| {
//!     let reader = File::open(&path).map(BufReader::new);
//!     (path, reader)
//! });
//! let report = Verifier::new(&key)?.run(files)?;
//! assert_eq!((report.records, report.head), (1, head));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod anchor;
mod chain;
mod error;
mod file_name;
mod folder;
mod group;
mod header;
mod line;
mod options;
mod pace;
mod queue;
mod record;
mod recovery;
mod sealed;
mod shared;
mod verify;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use self::anchor::AnchorWriter;
use self::chain::ChainKey;
use self::folder::Folder;
use self::queue::Queue;
use self::shared::Shared;
use self::writer::{Shape, Writer};
use crate::clock::Clock;
use crate::redo::RedoLog;
use crate::service_key::ServiceKey;

pub use self::chain::{ChainId, ChainMac, Head};
pub use self::error::{AppendError, AuditError, WriteFault};
pub use self::folder::log_files;
pub use self::line::{LINE_BYTES_MAX, TEXT_BYTES_MAX};
pub use self::options::{AnchorOptions, AuditOptions, OptionsError};
pub use self::queue::Pending;
pub use self::record::{Event, EventRecord, Record, RequestRecord, TokenRecord};
pub use self::shared::AuditStatus;
pub use self::verify::{Fault, Finding, Verifier, VerifyError, VerifyReport};

/// An audit log that is open for records.
///
/// One writer has a log at a time. Dropping it writes what was handed over and closes the file in
/// order, as [`close`](Self::close) does.
pub struct AuditLog {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<Result<Head, AppendError>>>,
    anchor: Option<JoinHandle<()>>,
    redo: Option<RedoLog>,
}

impl AuditLog {
    /// Opens a log, or begins one where there is none, and goes on in a new file.
    ///
    /// The newest file is verified on the way. What a crash has left of records that nobody was told
    /// were written is cut off, and the first line of the new file says how much that was.
    ///
    /// # Errors
    ///
    /// [`AuditError`] for options that are out of range, for a directory, a file or an anchor that
    /// is not private or cannot be read or written, for a log that another process writes or that is
    /// under another key, and for one that is not as it was written, or ends before what its anchor
    /// knows.
    pub fn open(
        options: &AuditOptions,
        key: &ServiceKey,
        clock: impl Clock + 'static,
    ) -> Result<Self, AuditError> {
        options.check()?;
        let key = ChainKey::new(key)?;
        let folder = Folder::open(&options.directory)?;
        let anchor = options.anchor.as_ref().map(AnchorWriter::open).transpose()?;
        let (anchor, point) = anchor.map_or((None, None), |(anchor, point)| (Some(anchor), point));
        let anchor_path = options.anchor.as_ref().map(|anchor| anchor.path.as_path());

        let found = recovery::apply_redo(&folder)?;
        let end = recovery::recover(&folder, &key, anchor_path.zip(point))?;
        let folder = Arc::new(folder);
        let redo = options.redo.then(|| RedoLog::create(found, folder.clone())).transpose();
        let redo = redo.map_err(AuditError::io(&options.directory))?;
        let chain = match &end {
            Some(end) => end.chain,
            None => ChainId::random().map_err(|_| AuditError::Generator)?,
        };
        let shape = Shape {
            folder,
            key,
            chain,
            clock: Box::new(clock),
            file_bytes_max: options.file_bytes_max,
            daily: options.daily,
            retry_interval: options.retry_interval,
            redo: redo.clone(),
        };
        let begun = shape.begin(end.as_ref());
        let (current, head) =
            begun.map_err(|WriteFault { path, error }| AuditError::Io { path, error })?;

        let records_max = options.anchor.as_ref().map_or(u64::MAX, |anchor| anchor.records_max);
        let queue = Queue::new(options.queue_records_max);
        let shared = Arc::new(Shared::new(queue, records_max, head));
        let writer = Writer::new(shape, shared.clone(), current, options.group_records_max);
        let mut log = Self { shared: shared.clone(), writer: None, anchor: None, redo };
        let spawn_failed = AuditError::io(&options.directory);
        let spawned = thread::Builder::new().name("audit".to_owned()).spawn(|| writer.run());
        log.writer = Some(spawned.map_err(spawn_failed)?);
        if let Some(anchor) = anchor {
            let spawn_failed = AuditError::io(&options.directory);
            let run = move || anchor.run(chain, &shared);
            let spawned = thread::Builder::new().name("audit-anchor".to_owned()).spawn(run);
            log.anchor = Some(spawned.map_err(spawn_failed)?);
        }
        Ok(log)
    }

    /// Hands a record over to be written, which takes about a microsecond and never waits.
    ///
    /// Records are in the log in the order in which they are handed over.
    pub fn append(&self, record: &Record<'_>) -> Pending {
        // Not under the queue's lock: whoever is stopped with it in hand stops the writer.
        let mut members = String::with_capacity(MEMBERS_BYTES);
        record.write_members(&mut members);
        self.shared.queue.push(&members)
    }

    /// What the workers of an asynchronous runtime say to the log about themselves. From then on groups
    /// are as large as they have to be for records to cost busy workers little.
    ///
    /// ```
    /// # use cvv2::secret::{Protection, Secret};
    /// # use cvv2_service::audit::{AuditLog, AuditOptions, Event, EventRecord};
    /// # use cvv2_service::{ServiceKey, SystemClock};
    /// # let parent = tempfile::tempdir()?;
    /// # let options = AuditOptions::new(parent.path().join("audit"));
    /// # let key = ServiceKey::new(Secret::new([7; 32], Protection::Wiped)?);
    /// let log = AuditLog::open(&options, &key, SystemClock)?;
    /// let (parked, unparked) = (log.worker_hints(), log.worker_hints());
    /// let runtime = tokio::runtime::Builder::new_multi_thread()
    ///     .on_thread_park(move || parked.sleeps())
    ///     .on_thread_unpark(move || unparked.wakes())
    ///     .build()?;
    /// let record = EventRecord::new(time::OffsetDateTime::now_utc(), Event::Start).into();
    /// runtime.block_on(async { tokio::spawn(log.append(&record)).await })??;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn worker_hints(&self) -> WorkerHints {
        WorkerHints(Arc::clone(&self.shared))
    }

    /// What makes its records durable, if that is not done file by file.
    pub(crate) const fn redo(&self) -> Option<&RedoLog> {
        self.redo.as_ref()
    }

    /// The last line on disk.
    #[must_use]
    pub fn head(&self) -> Head {
        self.shared.head()
    }

    /// How the log is: whether it can be written, and what of it is anchored.
    #[must_use]
    pub fn status(&self) -> AuditStatus {
        self.shared.status()
    }

    /// Writes what was handed over, closes the file, and anchors the last line, which is returned.
    ///
    /// Waits for the disk, so not on a thread of asynchronous tasks.
    ///
    /// # Errors
    ///
    /// [`AppendError`] if the last file could not be closed in order. What was acknowledged is in it
    /// all the same.
    pub fn close(mut self) -> Result<Head, AppendError> {
        self.stop()
    }

    fn stop(&mut self) -> Result<Head, AppendError> {
        self.shared.queue.close();
        let ended = self.writer.take().and_then(|writer| writer.join().ok());
        if let Some(anchor) = self.anchor.take() {
            // It has nothing to tell that the status has not.
            let _ = anchor.join();
        }
        ended.unwrap_or(Err(AppendError::Stopped))
    }
}

/// What most records take, without those of long names.
const MEMBERS_BYTES: usize = 512;

/// Tells a log whether threads that hand records over have something else to do.
#[derive(Clone)]
pub struct WorkerHints(Arc<Shared>);

impl WorkerHints {
    /// A worker has nothing to do.
    pub fn sleeps(&self) {
        self.0.queue.pace().sleeps();
    }

    /// One that had nothing to do has something again.
    pub fn wakes(&self) {
        self.0.queue.pace().wakes();
    }
}

impl fmt::Debug for WorkerHints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerHints").finish_non_exhaustive()
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.stop();
    }
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog").field("status", &self.status()).finish_non_exhaustive()
    }
}
