//! What the callers, the writer and the anchor's thread share.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::chain::Head;
use super::error::WriteFault;
use super::queue::Queue;

/// The state of a log, as metrics and a readiness check want to know it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuditStatus {
    /// The last line on disk.
    pub head: Head,
    /// Why nothing can be written at the moment. While there is something here, every record is
    /// refused.
    pub failure: Option<Arc<WriteFault>>,
    /// How many records wait.
    pub queued: usize,
    /// The last head that was written to the anchor since the log was opened.
    pub anchored: Option<Head>,
    /// Why the last one was not. Records are taken all the same.
    pub anchor_failure: Option<Arc<WriteFault>>,
}

pub(crate) struct Shared {
    pub(crate) queue: Queue,
    anchor_records_max: u64,
    state: Mutex<State>,
    anchor_is_due: Condvar,
}

struct State {
    head: Head,
    failure: Option<Arc<WriteFault>>,
    anchored: Option<Head>,
    anchor_failure: Option<Arc<WriteFault>>,
    /// The head when anchoring was last asked for.
    asked: u64,
    is_due: bool,
    has_ended: bool,
}

impl Shared {
    pub(crate) fn new(queue: Queue, anchor_records_max: u64, head: Head) -> Self {
        let state = State {
            head,
            failure: None,
            anchored: None,
            anchor_failure: None,
            asked: head.sequence,
            is_due: true,
            has_ended: false,
        };
        let anchor_is_due = Condvar::new();
        Self { queue, anchor_records_max, state: Mutex::new(state), anchor_is_due }
    }

    pub(crate) fn status(&self) -> AuditStatus {
        let state = self.lock();
        AuditStatus {
            head: state.head,
            failure: state.failure.clone(),
            queued: self.queue.len(),
            anchored: state.anchored,
            anchor_failure: state.anchor_failure.clone(),
        }
    }

    pub(crate) fn head(&self) -> Head {
        self.lock().head
    }

    /// The writer's: everything up to this is on disk.
    pub(crate) fn set_head(&self, head: Head, is_new_file: bool) {
        let mut state = self.lock();
        state.head = head;
        state.failure = None;
        if is_new_file || head.sequence - state.asked >= self.anchor_records_max {
            state.asked = head.sequence;
            state.is_due = true;
            self.anchor_is_due.notify_one();
        }
    }

    /// The writer's: nothing can be written.
    pub(crate) fn set_failure(&self, fault: Arc<WriteFault>) {
        self.lock().failure = Some(fault);
    }

    /// The writer's: there will be no more.
    pub(crate) fn end(&self) {
        self.lock().has_ended = true;
        self.anchor_is_due.notify_one();
    }

    /// The anchor's: waits until its turn has come. Returns the head if it is to be written, and
    /// whether that is the last time.
    pub(crate) fn wait_for_anchoring(&self, interval: Duration) -> (Option<Head>, bool) {
        let wait = |state: &mut State| !state.is_due && !state.has_ended;
        let waited = self.anchor_is_due.wait_timeout_while(self.lock(), interval, wait);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.is_due = false;
        let is_new = state.anchored != Some(state.head) || state.anchor_failure.is_some();
        (is_new.then_some(state.head), state.has_ended)
    }

    /// The anchor's: what became of it.
    pub(crate) fn set_anchored(&self, head: Option<Head>, written: Result<(), Arc<WriteFault>>) {
        let mut state = self.lock();
        match written {
            Ok(()) => {
                state.anchored = head.or(state.anchored);
                state.anchor_failure = None;
            }
            Err(fault) => state.anchor_failure = Some(fault),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock leaves it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
