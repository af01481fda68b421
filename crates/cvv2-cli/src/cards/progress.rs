//! A bar on a terminal for whatever takes longer than a second.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How far a command is, on standard error; nothing where that is no terminal.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    start: Instant,
}

impl Progress {
    /// Of bytes, all of which are so many where that is known.
    pub(super) fn of_bytes(all: Option<u64>) -> Self {
        Self::new(all, "{msg} {bytes} of {total_bytes} {wide_bar} {eta}")
    }

    /// Of cards, all of which are so many.
    pub(super) fn of_cards(all: u64) -> Self {
        Self::new(Some(all), "{msg} {human_pos} of {human_len} cards {wide_bar} {eta}")
    }

    /// Of thousandths.
    pub(super) fn of_thousandths() -> Self {
        Self::new(Some(1000), "{msg} {percent}% {wide_bar} {eta}")
    }

    fn new(all: Option<u64>, form: &str) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::hidden();
            bar.set_style(ProgressStyle::with_template(form).expect("a constant template"));
            if let Some(all) = all {
                bar.set_length(all);
            }
            bar
        });
        Self { bar, start: Instant::now() }
    }

    /// Shows what is done, and how much of it.
    pub(super) fn show(&self, doing: &'static str, done: u64) {
        let Some(bar) = &self.bar else { return };
        if bar.is_hidden() {
            if self.start.elapsed() < Duration::from_secs(1) {
                return;
            }
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        bar.set_message(doing);
        bar.set_position(done);
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
