//! The redo log, written by a process that is killed and read by the next one.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::entry::BLOCK_BYTES;
use super::file::HALF_BYTES;
use super::*;

/// A file that bytes are appended to, with a redo log.
struct Appended {
    file: Arc<File>,
    number: u64,
    bytes: Vec<u8>,
}

impl Appended {
    fn new(home: &Path, number: u64) -> Self {
        let path = home.join(number.to_string());
        let file = File::create(path).unwrap();
        Self { file: Arc::new(file), number, bytes: Vec::new() }
    }

    fn append(&mut self, redo: &RedoLog, bytes: &[u8]) -> io::Result<()> {
        self.file.as_ref().write_all(bytes).unwrap();
        let Self { file, number, .. } = self;
        let offset = self.bytes.len() as u64;
        let (stream, number) = (Stream::Audit, *number);
        redo.commit(&[Piece { stream, number, offset, bytes, file }])?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

fn begin(home: &Path) -> RedoLog {
    RedoLog::create(Found::read(home).unwrap(), Arc::new(())).unwrap()
}

/// A file as whoever applies a redo log opens it.
fn writable(home: &Path, number: u64) -> io::Result<File> {
    OpenOptions::new().write(true).open(home.join(number.to_string()))
}

fn redo_file(home: &Path) -> PathBuf {
    file::find(home).unwrap().pop().expect("there is one").1
}

/// What a directory comes to when its machine fails: files are as long as they were when they were
/// synced last, and the redo log is as it was written.
fn recovered(redo: &[u8], synced: &[(u64, &[u8])]) -> Vec<(u64, Vec<u8>)> {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join(".redo-7"), redo).unwrap();
    let path = |number: u64| home.path().join(number.to_string());
    for (number, bytes) in synced {
        fs::write(path(*number), bytes).unwrap();
    }
    let mut found = Found::read(home.path()).unwrap();
    let open = |number| Some((number, writable(home.path(), number).ok()?));
    let files: Vec<_> = found.numbers(Stream::Audit).into_iter().filter_map(open).collect();
    found.apply(Stream::Audit, &files).unwrap();
    assert!(file::find(home.path()).unwrap().is_empty(), "it was applied");
    synced.iter().map(|(number, _)| (*number, fs::read(path(*number)).unwrap())).collect()
}

#[test]
fn whatever_was_committed_is_there_after_a_crash() {
    let home = tempfile::tempdir().unwrap();
    let redo = begin(home.path());
    let mut file = Appended::new(home.path(), 3);
    let mut ends = vec![0];
    // Around the seams of blocks, and entries that begin anywhere in memory.
    for len in [0, 1, 100, BLOCK_BYTES - 65, BLOCK_BYTES - 64, 3 * BLOCK_BYTES, 70_000, 5] {
        let byte = u8::try_from(len % 251).unwrap();
        file.append(&redo, &vec![byte; len]).unwrap();
        ends.push(file.bytes.len());
    }
    let log = fs::read(redo_file(home.path())).unwrap();
    for synced in (0..=file.bytes.len()).step_by(997) {
        let found = recovered(&log, &[(3, &file.bytes[..synced])]);
        assert!(found == [(3, file.bytes.clone())], "{synced} bytes were synced");
    }
    // A file that is gone is not needed, and one that somebody has cut is not patched with zeros.
    assert!(recovered(&log, &[]).is_empty());

    // A log that was torn anywhere has whole entries.
    for len in (0..20 * BLOCK_BYTES).step_by(1021) {
        let mut torn = log.clone();
        torn[len..].fill(0);
        let [(_, bytes)] = &recovered(&torn, &[(3, b"")])[..] else { panic!("one file") };
        assert!(file.bytes.starts_with(bytes) && ends.contains(&bytes.len()), "torn at {len}");
    }
    // So has one in which a bit was flipped.
    for bit in (0..8 * BLOCK_BYTES).step_by(61) {
        let mut changed = log.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let [(_, bytes)] = &recovered(&changed, &[(3, b"")])[..] else { panic!("one file") };
        assert!(file.bytes.starts_with(bytes) && ends.contains(&bytes.len()), "bit {bit}");
    }
}

#[test]
fn halves_are_free_again_when_their_files_are_synced() {
    const LEN: usize = 50_000;
    let home = tempfile::tempdir().unwrap();
    let redo = begin(home.path());
    let mut files = [1, 2].map(|number| Appended::new(home.path(), number));
    // Each half is written several times, and what is found begins in the older one.
    let count = 10 * HALF_BYTES / LEN;
    for number in 0..count {
        let bytes = number.to_le_bytes().repeat(LEN / 8);
        let file = &mut files[usize::from(number >= count / 2)];
        file.append(&redo, &bytes).expect("the disk takes what it is given");
    }
    let log = fs::read(redo_file(home.path())).unwrap();
    assert_eq!(log.len(), 2 * HALF_BYTES);
    let pieces = file::read(&redo_file(home.path())).unwrap();
    let held: usize = pieces.len() * LEN;
    assert!((HALF_BYTES / 2..2 * HALF_BYTES).contains(&held), "{held} bytes");
    let [first, second] = &files;
    let synced = &second.bytes[..second.bytes.len() - held];
    assert!(
        recovered(&log, &[(1, &first.bytes), (2, synced)])
            == [(1, first.bytes.clone()), (2, second.bytes.clone())]
    );

    drop(redo);
    assert!(file::find(home.path()).unwrap().is_empty(), "there is nothing to be redone");
}

#[test]
fn what_fits_no_half_is_synced() {
    let home = tempfile::tempdir().unwrap();
    let redo = begin(home.path());
    let mut file = Appended::new(home.path(), 1);
    file.append(&redo, b"before").unwrap();
    file.append(&redo, &vec![7; HALF_BYTES]).unwrap();
    file.append(&redo, b"after").unwrap();
    let log = fs::read(redo_file(home.path())).unwrap();
    let synced = &file.bytes[..file.bytes.len() - "after".len()];
    assert!(recovered(&log, &[(1, synced)]) == [(1, file.bytes.clone())]);
}

#[test]
fn logs_of_several_processes_are_applied_in_their_order() {
    let home = tempfile::tempdir().unwrap();
    let mut file = Appended::new(home.path(), 1);
    for text in ["first ", "second ", "third"] {
        let redo = begin(home.path());
        file.append(&redo, text.as_bytes()).unwrap();
        std::mem::forget(redo); // it was killed
    }
    assert_eq!(file::find(home.path()).unwrap().len(), 3);
    file.file.set_len(0).unwrap();
    let mut found = Found::read(home.path()).unwrap();
    let written = writable(home.path(), 1).unwrap();
    found.apply(Stream::Audit, &[(1, written)]).unwrap();
    assert_eq!(fs::read(home.path().join("1")).unwrap(), b"first second third");
    assert!(file::find(home.path()).unwrap().is_empty());
}

#[test]
fn commits_fail_when_no_half_can_be_synced() {
    let home = tempfile::tempdir().unwrap();
    let redo = begin(home.path());
    // A device that takes everything, and cannot be synced.
    let file = Arc::new(OpenOptions::new().write(true).open("/dev/null").unwrap());
    let quarter = vec![7; HALF_BYTES / 4];
    let piece = |bytes| Piece { stream: Stream::Limits, number: 1, offset: 0, bytes, file: &file };
    let mut committed = 0;
    let error = loop {
        match redo.commit(&[piece(&quarter)]) {
            Ok(()) => committed += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((committed, error.kind()), (6, io::ErrorKind::InvalidInput));
    assert!(redo.check().is_err());
    let path = redo_file(home.path());
    drop(redo);
    assert_eq!(file::read(&path).unwrap().len(), 6, "what was committed stays");
}

#[test]
fn what_may_have_been_given_up_is_written_again() {
    let home = tempfile::tempdir().unwrap();
    let redo = begin(home.path());
    let mut file = Appended::new(home.path(), 1);
    let path = home.path().join("1");
    file.append(&redo, &vec![7; HALF_BYTES / 2]).unwrap();
    // The system has dropped pages that it could not write.
    writable(home.path(), 1).unwrap().write_all(&[0; 5000]).unwrap();
    redo.doubt();
    // Not only the half that is written: whatever is not checkpointed.
    while fs::read(&path).unwrap()[..5000] != file.bytes[..5000] {
        file.append(&redo, &vec![8; HALF_BYTES / 2]).unwrap();
    }
    drop(redo);
    assert!(fs::read(&path).unwrap() == file.bytes);
}

#[test]
fn a_companion_goes_with_every_commit_and_hears_of_it() {
    struct Limits {
        file: Arc<File>,
        len: u64,
        waiting: &'static AtomicUsize,
        durable: &'static AtomicUsize,
    }

    impl Companion for Limits {
        fn prepare(&mut self) -> Option<Piece<'_>> {
            if self.waiting.swap(0, Relaxed) == 0 {
                return None;
            }
            self.file.as_ref().write_all(b"charge").unwrap();
            let (stream, number, offset) = (Stream::Limits, 9, self.len);
            Some(Piece { stream, number, offset, bytes: b"charge", file: &self.file })
        }

        fn finish(&mut self, outcome: io::Result<()>) {
            outcome.unwrap();
            self.len += 6;
            self.durable.fetch_add(1, Relaxed);
        }
    }

    static WAITING: AtomicUsize = AtomicUsize::new(0);
    static DURABLE: AtomicUsize = AtomicUsize::new(0);
    let home = tempfile::tempdir().unwrap();
    let redo = begin(home.path());
    let file = Arc::new(File::create(home.path().join("9")).unwrap());
    let is_first =
        redo.join(Box::new(Limits { file, len: 0, waiting: &WAITING, durable: &DURABLE }));
    assert!(is_first);
    let mut records = Appended::new(home.path(), 1);
    records.append(&redo, b"nothing waits").unwrap();
    assert_eq!(DURABLE.load(Relaxed), 0);
    WAITING.store(1, Relaxed);
    records.append(&redo, b", and something").unwrap();
    WAITING.store(1, Relaxed);
    redo.commit(&[]).unwrap();
    assert_eq!(DURABLE.load(Relaxed), 2);
    redo.leave();
    WAITING.store(1, Relaxed);
    redo.commit(&[]).unwrap();
    assert_eq!(DURABLE.load(Relaxed), 2);

    // Each stream is applied by its own owner, and the log is there until both have.
    std::mem::forget(redo);
    let mut found = Found::read(home.path()).unwrap();
    found.apply(Stream::Audit, &[]).unwrap();
    let again = begin(home.path());
    assert_eq!(file::find(home.path()).unwrap().len(), 2);
    let limits = writable(home.path(), 9).unwrap();
    limits.set_len(0).unwrap();
    assert_eq!(again.found().numbers(Stream::Limits), BTreeSet::from([9]));
    again.found().apply(Stream::Limits, &[(9, limits)]).unwrap();
    assert_eq!(fs::read(home.path().join("9")).unwrap(), b"chargecharge");
    again.found().apply(Stream::Audit, &[]).unwrap();
    assert_eq!(file::find(home.path()).unwrap().len(), 1, "its own");
}

#[test]
fn what_is_in_doubt_at_the_end_stays_in_the_log() {
    let home = tempfile::tempdir().unwrap();
    let redo = begin(home.path());
    let mut file = Appended::new(home.path(), 1);
    file.append(&redo, b"a record").unwrap();
    redo.doubt();
    let path = redo_file(home.path());
    let log = fs::read(&path).unwrap();
    drop(redo);
    assert!(path.exists());
    assert!(recovered(&log, &[(1, b"")]) == [(1, b"a record".to_vec())]);
}

#[test]
fn a_file_that_was_taken_away_holds_nothing_up() {
    let home = tempfile::tempdir().unwrap();
    let redo = begin(home.path());
    for number in 0..20 {
        let mut file = Appended::new(home.path(), number);
        fs::remove_file(home.path().join(number.to_string())).unwrap();
        file.append(&redo, &vec![7; HALF_BYTES / 2]).unwrap();
    }
    drop(redo);
    assert!(file::find(home.path()).unwrap().is_empty());
}
