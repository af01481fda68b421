//! The peak: a closed loop, in which each connection asks again as soon as it was answered.

use std::cell::Cell;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use crate::Failure;
use crate::connection::Connection;
use crate::options::Sizes;
use crate::target::Target;

/// What a closed loop came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peak {
    /// Answers a second.
    pub(crate) rate: f64,
    /// Processor time of the server for each, in microseconds: user and system, all threads.
    pub(crate) cpu_us: f64,
    /// How much of its core the server used, 0 to 1. Below 1 it was something else that limited.
    pub(crate) busy: f64,
}

/// Medians of both.
#[derive(Debug)]
pub(crate) struct Peaks {
    pub(crate) service: Peak,
    pub(crate) echo: Peak,
}

/// Runs rounds of both in turns.
pub(crate) async fn compare(
    service: &Target<'_>,
    echo: &Target<'_>,
    sizes: &Sizes,
) -> Result<Peaks, Failure> {
    let (mut of_service, mut of_echo) = (Vec::new(), Vec::new());
    for target in [service, echo] {
        // Caches, tokens, the branch predictor.
        run(target, sizes.connections, Until::Time(sizes.round / 4)).await?;
    }
    for _ in 0..sizes.rounds {
        let until = Until::Time(sizes.round);
        of_service.push(run(service, sizes.connections, until).await?);
        of_echo.push(run(echo, sizes.connections, until).await?);
    }
    Ok(Peaks { service: median(&of_service), echo: median(&of_echo) })
}

/// When a loop ends.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    Time(Duration),
    Requests(u32),
}

/// Asks on so many connections until the end.
pub(crate) async fn run(
    target: &Target<'_>,
    connections: usize,
    until: Until,
) -> Result<Peak, Failure> {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(target.connect().await?);
    }
    // Connecting is not what is measured.
    let (begun, cpu) = (Instant::now(), target.server.cpu_time()?);
    let asked = Cell::new(0_u32);
    let goes_on = || match until {
        Until::Time(length) => begun.elapsed() < length,
        Until::Requests(count) => asked.get() < count,
    };
    let ask = async |mut connection: Connection| {
        while goes_on() {
            asked.set(asked.get() + 1);
            target.ask(&mut connection).await?;
        }
        Ok::<_, Failure>(())
    };
    try_join_all(open.into_iter().map(ask)).await?;
    let (elapsed, cpu) = (begun.elapsed(), target.server.cpu_time()?.saturating_sub(cpu));
    let answers = f64::from(asked.get());
    Ok(Peak {
        rate: answers / elapsed.as_secs_f64(),
        cpu_us: cpu.as_secs_f64() * 1e6 / answers,
        busy: cpu.as_secs_f64() / elapsed.as_secs_f64(),
    })
}

/// Each figure's own median: the rounds differ in nothing but the noise of the machine.
fn median(rounds: &[Peak]) -> Peak {
    let of = |figure: fn(&Peak) -> f64| {
        let mut figures: Vec<f64> = rounds.iter().map(figure).collect();
        figures.sort_unstable_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    Peak { rate: of(|it| it.rate), cpu_us: of(|it| it.cpu_us), busy: of(|it| it.busy) }
}
