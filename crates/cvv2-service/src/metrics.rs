//! What a service counts, and how Prometheus reads it.
//!
//! Names, units and labels are in `docs/OPERATIONS.md`. No label has a value that comes from a
//! request: a label would keep it, and a card number may stand where a name should.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cvv2::Kernel;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::audit::AuditStatus;
use crate::auth::TokenOutcome;
use crate::envelope::{ErrorCode, Function};
use crate::limits::LimitCounters;
use crate::outcome::Outcome;
use crate::transport::{TransportCounters, TransportEvent};

/// What is counted where it happens.
pub struct Metrics {
    registry: Registry,
    requests: Family<[Label; 2], Counter>,
    durations: Family<[Label; 1], Histogram, fn() -> Histogram>,
    /// Those of the two before that there are, where no label has to be looked for.
    answered: [Answered; Function::ALL.len()],
    tokens: Family<[Label; 1], Counter>,
    replayed: Counter,
    unknown_fields: Counter,
    reloads: Family<[Label; 1], Counter>,
}

/// What was counted of one function's requests.
#[derive(Default)]
struct Answered {
    /// By code, in the order of [`ErrorCode::ALL`].
    requests: [OnceLock<Counter>; ErrorCode::ALL.len()],
    durations: OnceLock<Histogram>,
}

/// A name and a value, both of which the program has: none comes from a request.
type Label = (&'static str, &'static str);

/// What is known elsewhere, as it is at the moment.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "whoever is asked for figures has all of them")]
pub struct Figures {
    /// The audit log.
    pub audit: AuditStatus,
    /// The limits.
    pub limits: LimitCounters,
    /// The listeners.
    pub transport: Arc<TransportCounters>,
    /// For each CVK in use: its check value, and how many days it has been in force.
    pub cvk_ages_days: Vec<(String, i64)>,
}

impl Metrics {
    /// Nothing counted yet, of a service whose keys compute with the fastest kernel.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Kernel::detect())
    }

    /// Nothing counted yet, of a service whose keys compute with this kernel.
    #[must_use]
    pub fn of(kernel: Kernel) -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("cvv2"),
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS_SECONDS)),
            answered: Default::default(),
            tokens: Family::default(),
            replayed: Counter::default(),
            unknown_fields: Counter::default(),
            reloads: Family::default(),
        };
        metrics.registered(kernel)
    }

    fn registered(mut self, kernel: Kernel) -> Self {
        let registry = &mut self.registry;
        let kernel = Info::new([("kernel", kernel.name())]);
        registry.register("engine", "The kernel that computes", kernel);
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version of the service", version);
        registry.register(
            "requests",
            "Requests answered, by function and code of the contract",
            self.requests.clone(),
        );
        registry.register(
            "request_duration_seconds",
            "From a request's head to its answer, audit record included",
            self.durations.clone(),
        );
        registry.register("tokens", "Requests for tokens, by outcome", self.tokens.clone());
        registry.register(
            "replayed_messages",
            "Requests with a msg_id that their source has used before",
            self.replayed.clone(),
        );
        registry.register(
            "unknown_fields",
            "Members of requests that the contract does not know",
            self.unknown_fields.clone(),
        );
        registry.register(
            "reloads",
            "Configuration, keys and certificates read again, by outcome",
            self.reloads.clone(),
        );
        self
    }

    /// A request was answered.
    pub fn answered(&self, outcome: &Outcome, duration: Duration) {
        let (function, code) = (outcome.function, outcome.code);
        let label = ("function", function.name());
        let answered = &self.answered[function as usize];
        answered.requests[code as usize]
            .get_or_init(|| self.requests.get_or_create_owned(&[label, ("code", code.code())]))
            .inc();
        answered
            .durations
            .get_or_init(|| self.durations.get_or_create_owned(&[label]))
            .observe(duration.as_secs_f64());
        self.unknown_fields.inc_by(outcome.unknown_fields as u64);
        if outcome.replayed {
            self.replayed.inc();
        }
    }

    /// A token was asked for.
    pub fn issued(&self, outcome: &TokenOutcome) {
        let outcome = outcome.refusal.map_or("issued", |refusal| refusal.error().1);
        self.tokens.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// Something was read again.
    pub fn reloaded(&self, succeeded: bool) {
        let outcome = if succeeded { "succeeded" } else { "failed" };
        self.reloads.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// All of it, in the text form of OpenMetrics 1.0.
    #[must_use]
    pub fn encode(&self, figures: Figures) -> String {
        let mut elsewhere = Registry::with_prefix("cvv2");
        elsewhere.register_collector(Box::new(figures));
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)
            .and_then(|()| encode_registry(&mut text, &elsewhere))
            .and_then(|()| encode_eof(&mut text))
            .expect("a string takes any text");
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut figures = Encoder(&mut encoder);
        let Self { audit, limits, transport, cvk_ages_days } = self;

        figures.counter("audit_records", "The last record on disk", audit.head.sequence)?;
        figures.gauge(
            "audit_queued_records",
            "Records that wait for the disk",
            audit.queued as u64,
        )?;
        let failing = u64::from(audit.failure.is_some());
        figures.gauge("audit_failing", "1 while no record can be written", failing)?;
        let anchored = audit.anchored.map_or(0, |head| head.sequence);
        figures.gauge("audit_anchored_record", "The last record that is anchored", anchored)?;

        let anchor_failing = u64::from(audit.anchor_failure.is_some());
        figures.gauge("audit_anchor_failing", "1 while nothing can be anchored", anchor_failing)?;

        figures.family(
            "limit_refusals",
            "Requests that a limit has refused, by what it is a limit of",
            MetricType::Counter,
            [("of", "caller", limits.refused_by_caller), ("of", "card", limits.refused_by_card)],
        )?;
        figures.counter(
            "limits_unavailable",
            "Charges that could not be kept",
            limits.unavailable,
        )?;
        figures.gauge("limits_charges", "Charges that are kept in mind", limits.card_charges)?;
        figures.gauge("limits_messages", "Messages that are kept in mind", limits.messages)?;
        figures.counter(
            "limits_unknown_messages",
            "Messages of which nobody can tell whether their msg_id was used before",
            limits.unknown_messages,
        )?;
        figures.gauge(
            "limits_lag",
            "Changes of limits that wait for the disk",
            limits.journal_lag,
        )?;
        figures.gauge(
            "limits_journal_bytes",
            "Bytes of the limits' journal",
            limits.journal_bytes,
        )?;
        figures.counter(
            "limits_journal_failures",
            "Writes of the limits' journal that failed",
            limits.journal_failures,
        )?;

        figures.family(
            "transport_events",
            "Events of connections",
            MetricType::Counter,
            TransportEvent::ALL.map(|event| ("event", event.name(), transport.count(event))),
        )?;
        figures.gauge("connections_open", "Connections", transport.connections_open())?;
        figures.gauge("requests_in_flight", "Requests", transport.requests_in_flight())?;

        let ages = cvk_ages_days
            .iter()
            .map(|(kcv, days)| ("kcv", kcv.as_str(), u64::try_from(*days).unwrap_or_default()));
        figures.family("cvk_age_days", "Days since a CVK came into force", MetricType::Gauge, ages)
    }
}

/// Writes one figure after the other.
struct Encoder<'a, 'b>(&'a mut DescriptorEncoder<'b>);

impl Encoder<'_, '_> {
    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(metric)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(metric)
    }

    fn family<'v>(
        &mut self,
        name: &str,
        help: &str,
        metric_type: MetricType,
        values: impl IntoIterator<Item = (&'static str, &'v str, u64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, metric_type)?;
        for (label, of, value) in values {
            let labels = [(label, of)];
            let one = metric.encode_family(&labels)?;
            match metric_type {
                MetricType::Counter => ConstCounter::new(value).encode(one)?,
                _ => ConstGauge::new(value).encode(one)?,
            }
        }
        Ok(())
    }
}

/// From a tenth of a millisecond, which is what an answer from memory takes, to the deadline.
const BUCKETS_SECONDS: [f64; 16] = [
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0,
    10.0,
];
