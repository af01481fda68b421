//! What was measured, what it has to be, and whether it is.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::closed::{Peak, Peaks};
use crate::memory::Sample;
use crate::open::{Latencies, Latency};
use crate::options::Sizes;

/// The service's peak rate, of the echoing handler's.
const RATE_MIN: f64 = 0.6;
/// Over the echoing handler's latency.
const P50_OVER_MAX: Duration = Duration::from_micros(300);
const P99_OVER_MAX: Duration = Duration::from_millis(3);
/// Resident memory of the service's own.
const OWN_MIB_MAX: f64 = 150.0;
/// What the second half of the requests may add, of what is resident.
const GROWTH_MAX: f64 = 0.1;
const START_MAX: Duration = Duration::from_secs(1);

pub(crate) struct Report {
    pub(crate) sizes: Sizes,
    /// What `fdatasync` takes.
    pub(crate) disk: Duration,
    pub(crate) peak: Peaks,
    pub(crate) latency: Latencies,
    pub(crate) memory: Vec<Sample>,
    /// The first one, and one after all requests.
    pub(crate) starts: [Duration; 2],
}

/// One line of the verdict.
struct Row {
    name: &'static str,
    measured: String,
    wanted: String,
    passes: bool,
}

impl Report {
    pub(crate) fn passes(&self) -> bool {
        self.rows().iter().all(|row| row.passes)
    }

    fn rows(&self) -> [Row; 6] {
        let Peaks { service, echo } = self.peak;
        let rate = service.rate / echo.rate;
        let Latencies { service, echo, .. } = self.latency;
        let (p50, p99) =
            (service.p50.saturating_sub(echo.p50), service.p99.saturating_sub(echo.p99));
        let [.., half, all] = self.memory.as_slice() else { unreachable!("four were taken") };
        let own = mib(all.resident.own);
        let growth = own / mib(half.resident.own) - 1.0;
        let start = self.starts[0].max(self.starts[1]);
        [
            Row {
                name: "peak rate",
                measured: format!("{:.0} % of echo", 100.0 * rate),
                wanted: format!(">= {:.0} %", 100.0 * RATE_MIN),
                passes: rate >= RATE_MIN,
            },
            Row {
                name: "latency p50",
                measured: format!("{p50:.1?} over echo"),
                wanted: format!("<= {P50_OVER_MAX:?}"),
                passes: p50 <= P50_OVER_MAX,
            },
            Row {
                name: "latency p99",
                measured: format!("{p99:.1?} over echo"),
                wanted: format!("<= {P99_OVER_MAX:?}"),
                passes: p99 <= P99_OVER_MAX,
            },
            Row {
                name: "memory of its own",
                measured: format!("{own:.0} MiB"),
                wanted: format!("<= {OWN_MIB_MAX} MiB"),
                passes: own <= OWN_MIB_MAX,
            },
            Row {
                name: "memory, second half",
                measured: format!("{:+.0} %", 100.0 * growth),
                wanted: format!("<= {:.0} %", 100.0 * GROWTH_MAX),
                passes: growth <= GROWTH_MAX,
            },
            Row {
                name: "start to ready",
                measured: format!("{start:.0?}"),
                wanted: format!("<= {START_MAX:?}"),
                passes: start <= START_MAX,
            },
        ]
    }

    pub(crate) fn to_json(&self) -> Value {
        let peak = |peak: &Peak| json!({ "rate": peak.rate, "cpu_us": peak.cpu_us, "core_busy": peak.busy });
        let latency = |latency: &Latency| {
            json!({
                "p50_us": micros(latency.p50),
                "p99_us": micros(latency.p99),
                "max_us": micros(latency.max),
            })
        };
        let memory = |sample: &Sample| {
            json!({
                "requests": sample.requests,
                "own_kib": sample.resident.own,
                "mapped_kib": sample.resident.mapped,
            })
        };
        let row = |row: &Row| {
            json!({
                "name": row.name,
                "measured": row.measured,
                "wanted": row.wanted,
                "passes": row.passes,
            })
        };
        json!({
            "cards": self.sizes.cards,
            "keys": self.sizes.keys,
            "connections": self.sizes.connections,
            "fdatasync_us": micros(self.disk),
            "peak": { "service": peak(&self.peak.service), "echo": peak(&self.peak.echo) },
            "latency": {
                "rate": self.latency.rate,
                "service": latency(&self.latency.service),
                "echo": latency(&self.latency.echo),
            },
            "memory": self.memory.iter().map(memory).collect::<Vec<_>>(),
            "start_us": self.starts.map(micros),
            "rows": self.rows().iter().map(row).collect::<Vec<_>>(),
            "passes": self.passes(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sizes { cards, keys, connections, .. } = self.sizes;
        writeln!(f, "{cards} cards, {keys} keys, {connections} connections")?;
        writeln!(f, "fdatasync of a record: {:.0?}\n", self.disk)?;
        let Latencies { rate, .. } = self.latency;
        writeln!(
            f,
            "           peak/s  CPU/request  core  p50 at {rate:.0}/s       p99       max"
        )?;
        for (name, peak, latency) in [
            ("service", &self.peak.service, &self.latency.service),
            ("echo", &self.peak.echo, &self.latency.echo),
        ] {
            let Latency { p50, p99, max } = latency;
            writeln!(
                f,
                "{name:8} {:8.0} {:9.1} us {:4.0} % {p50:>14.1?} {p99:>9.1?} {max:>9.1?}",
                peak.rate,
                peak.cpu_us,
                100.0 * peak.busy,
            )?;
        }
        writeln!(f, "\nrequests     its own   mapped files")?;
        for Sample { requests, resident } in &self.memory {
            let (own, mapped) = (mib(resident.own), mib(resident.mapped));
            writeln!(f, "{requests:8} {own:7.0} MiB {mapped:10.0} MiB")?;
        }
        writeln!(
            f,
            "\nstart to ready: {:.0?}, after all requests {:.0?}\n",
            self.starts[0], self.starts[1]
        )?;
        for Row { name, measured, wanted, passes } in self.rows() {
            let verdict = if passes { "PASS" } else { "MISS" };
            writeln!(f, "{verdict}  {name:20} {measured:22} {wanted}")?;
        }
        Ok(())
    }
}

fn mib(kib: u64) -> f64 {
    f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) / 1024.0
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
