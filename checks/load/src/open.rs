//! Latency: an open loop, in which requests are due at a fixed rate, whatever became of those before.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::sync::Notify;
use tokio::task::yield_now;

use crate::Failure;
use crate::connection::Connection;
use crate::options::Sizes;
use crate::target::Target;

/// Of all requests of a loop, from when each was due to when its answer was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) max: Duration,
}

/// Both at the same rate.
#[derive(Debug)]
pub(crate) struct Latencies {
    /// Requests a second.
    pub(crate) rate: f64,
    pub(crate) service: Latency,
    pub(crate) echo: Latency,
}

/// Asks both, one after the other.
pub(crate) async fn compare(
    service: &Target<'_>,
    echo: &Target<'_>,
    rate: f64,
    sizes: &Sizes,
) -> Result<Latencies, Failure> {
    let service = run(service, rate, sizes).await?;
    let echo = run(echo, rate, sizes).await?;
    Ok(Latencies { rate, service, echo })
}

async fn run(target: &Target<'_>, rate: f64, sizes: &Sizes) -> Result<Latency, Failure> {
    let mut open = Vec::new();
    for _ in 0..sizes.connections {
        open.push(target.connect().await?);
    }
    let schedule = Schedule::default();
    let latencies = RefCell::new(Vec::new());
    let ask = async |mut connection: Connection| {
        while let Some(due) = schedule.next().await {
            target.ask(&mut connection).await?;
            latencies.borrow_mut().push(due.elapsed());
        }
        Ok::<_, Failure>(())
    };
    let keep = async {
        schedule.keep(rate, sizes.latency).await;
        Ok(())
    };
    tokio::try_join!(keep, try_join_all(open.into_iter().map(ask)))?;

    let mut latencies = latencies.into_inner();
    latencies.sort_unstable();
    let count = latencies.len();
    let at = |percent: usize| latencies[(count * percent / 100).min(count - 1)];
    Ok(Latency { p50: at(50), p99: at(99), max: at(100) })
}

/// When requests are due, until a connection is free for them.
#[derive(Default)]
struct Schedule {
    due: RefCell<VecDeque<Instant>>,
    added: Notify,
    is_over: Cell<bool>,
}

impl Schedule {
    /// Adds requests as they become due. It asks the clock again and again, as the core is ours: timers
    /// are too coarse.
    async fn keep(&self, rate: f64, length: Duration) {
        let begun = Instant::now();
        let mut due = begun;
        let mut number = 0_u32;
        while due < begun + length {
            while due <= Instant::now() {
                self.due.borrow_mut().push_back(due);
                self.added.notify_one();
                number += 1;
                due = begun + Duration::from_secs_f64(f64::from(number) / rate);
            }
            yield_now().await;
        }
        self.is_over.set(true);
        self.added.notify_waiters();
    }

    /// The next request's due time, once that has come; none after the last.
    async fn next(&self) -> Option<Instant> {
        loop {
            let added = self.added.notified();
            if let Some(due) = self.due.borrow_mut().pop_front() {
                return Some(due);
            }
            if self.is_over.get() {
                return None;
            }
            added.await;
        }
    }
}
