//! The thread that makes halves free again.

use std::fs::File;
use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::dirty::{Dirty, DirtyFile};
use super::file::{Half, read_half};
use super::same_error;

/// How long a commit waits at most for a disk that is slow. For one that fails it does not.
const SLOW_MAX: Duration = Duration::from_secs(30);

/// How long after a failed checkpoint the next one is tried.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Syncs what full halves are about, and nobody waits for it, if the disk keeps up.
pub(super) struct Checkpointer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The half that is not free yet, and what it is about.
    full: Option<(Half, Arc<Dirty>)>,
    /// Why the last attempt failed.
    failure: Option<io::Error>,
    failures: u64,
    is_closing: bool,
}

impl Checkpointer {
    /// `file` reads the redo log.
    pub(super) fn spawn(file: File) -> io::Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let run = {
            let shared = Arc::clone(&shared);
            move || shared.run(&file)
        };
        let thread = thread::Builder::new().name("redo-checkpoint".to_owned()).spawn(run)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Waits until all halves that were handed over are free.
    pub(super) fn wait(&self) -> io::Result<()> {
        self.wait_until_free().map(drop)
    }

    /// Hands a full half over, after the other one has become free.
    pub(super) fn hand_over(&self, half: Half, dirty: &mut Dirty) -> io::Result<()> {
        let mut state = self.wait_until_free()?;
        state.full = Some((half, Arc::new(mem::take(dirty))));
        self.shared.changed.notify_all();
        Ok(())
    }

    /// Whether the last checkpoint has not failed.
    pub(super) fn check(&self) -> io::Result<()> {
        self.shared.lock().failure.as_ref().map_or(Ok(()), |error| Err(same_error(error)))
    }

    /// Is told that somebody's sync has failed.
    pub(super) fn doubt(&self) {
        self.shared.lock().failures += 1;
    }

    /// How many syncs have failed, this thread's and others'.
    pub(super) fn failures(&self) -> u64 {
        self.shared.lock().failures
    }

    fn wait_until_free(&self) -> io::Result<MutexGuard<'_, State>> {
        let is_slow = |state: &mut State| state.full.is_some() && state.failure.is_none();
        let waited = self.shared.changed.wait_timeout_while(self.shared.lock(), SLOW_MAX, is_slow);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.full.is_some() {
            return Err(state.failure.as_ref().map_or(io::ErrorKind::TimedOut.into(), same_error));
        }
        Ok(state)
    }

    /// Ends it. Whether all halves that it was given are free.
    pub(super) fn stop(&mut self) -> bool {
        self.shared.lock().is_closing = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // If it has panicked, its half is not free.
            let _ = thread.join();
        }
        self.shared.lock().full.is_none()
    }
}

impl Shared {
    fn run(&self, file: &File) {
        let mut state = self.lock();
        loop {
            let is_idle = |state: &mut State| state.full.is_none() && !state.is_closing;
            state = self.changed.wait_while(state, is_idle).unwrap_or_else(PoisonError::into_inner);
            let Some((half, dirty)) = &state.full else { return };
            let (half, dirty, failures) = (*half, Arc::clone(dirty), state.failures);
            drop(state);
            let synced = checkpoint(file, half, &dirty, failures != dirty.failures_before);
            state = self.lock();
            match synced {
                // Somebody else was told what was meant for this thread.
                Ok(()) if state.failures != failures => {}
                Ok(()) => {
                    state.full = None;
                    state.failure = None;
                    self.changed.notify_all();
                }
                Err(_) if state.is_closing => return,
                Err(error) => {
                    state.failure = Some(error);
                    state.failures += 1;
                    self.changed.notify_all();
                    let goes_on = |state: &mut State| !state.is_closing;
                    let waited = self.changed.wait_timeout_while(state, RETRY_AFTER, goes_on);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock leaves it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has on disk what a half is about. What may have been given up is written again.
fn checkpoint(file: &File, half: Half, dirty: &Dirty, is_doubtful: bool) -> io::Result<()> {
    if is_doubtful {
        for piece in read_half(file, half)? {
            let mut files = dirty.files.iter();
            let is_of =
                |file: &&DirtyFile| (file.stream, file.number) == (piece.stream, piece.number);
            if let Some(of) = files.find(is_of) {
                piece.apply(&of.file)?;
            }
        }
    }
    dirty.sync()
}
