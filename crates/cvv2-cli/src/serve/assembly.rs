//! A service, put together as its configuration says, and not serving yet.

use std::sync::Arc;

use cvv2::key::Kbpk;
use cvv2_service::audit::AuditLog;
use cvv2_service::auth::Auth;
use cvv2_service::http::HttpService;
use cvv2_service::limits::{LimitError, LimitPolicy, Limits};
use cvv2_service::metrics::Metrics;
use cvv2_service::transport::{TlsConfig, TransportCounters};
use cvv2_service::{
    CardHasher, CardServices, Clock, CvkSource, Guard, KeyringSource, ServiceKey, Settings,
    SystemClock,
};

use crate::config::{self, Config, LimitsPlace, Serve};
use crate::failure::Failure;
use crate::store::{self, Store};
use crate::{get, keyring, service_key};

/// Everything that is read: keys, cards, clients, certificates. To open it changes nothing.
pub(super) struct Sources {
    pub(super) serve: Serve,
    settings: Settings,
    keyring: keyring::Place,
    kbpk: Kbpk,
    keys: Arc<KeyringSource>,
    cards: Arc<dyn Store>,
    service_key: ServiceKey,
    auth: Auth,
    tls: TlsConfig,
}

/// Everything that is open.
pub(super) struct Assembly {
    pub(super) serve: Serve,
    pub(super) http: Arc<HttpService>,
    pub(super) tls: Arc<TlsConfig>,
    pub(super) keys: Arc<KeyringSource>,
    /// Stays, so that a reload of the keyring asks nobody.
    pub(super) kbpk: Kbpk,
    pub(super) keyring: keyring::Place,
}

impl Sources {
    /// Opens what the configuration names. A refusal names its key.
    pub(super) fn open(config: &Config) -> Result<Self, Failure> {
        let serve = config.serve()?;
        let keyring = keyring::Place::configured(config)?;
        let kbpk = keyring.kbpk().map_err(|e| e.about("[keyring] kbpk"))?;
        let cards = store::Place::configured(config)?
            .open_read_only_beside(&keyring, &kbpk)
            .map_err(|e| e.about("[store]"))?;
        let opened = keyring.open_with(&kbpk).map_err(|e| e.about("[keyring] path"))?;
        let keys = KeyringSource::new(Arc::new(opened), config.service.no_cvv2.clone());
        let service_key = service_key::read(&serve.service_key, &kbpk)
            .map_err(|e| e.about("[serve] service_key"))?;
        let auth = Auth::open(&serve.auth, SystemClock)
            .map_err(|e| Failure::bad_input(e).about("[serve.auth]"))?;
        let tls = TlsConfig::load(serve.tls.clone())
            .map_err(|e| Failure::bad_input(e).about("[serve.tls]"))?;
        Ok(Self {
            settings: get::settings(&config.service)?,
            serve,
            keyring,
            kbpk,
            keys: Arc::new(keys),
            cards: Arc::from(cards),
            service_key,
            auth,
            tls,
        })
    }
}

impl Assembly {
    /// Opens everything that the configuration names.
    pub(super) fn build(config: &Config) -> Result<Self, Failure> {
        Self::build_with(config, SystemClock)
    }

    /// The same, with cards and keys by another clock.
    pub(super) fn build_with(
        config: &Config,
        clock: impl Clock + 'static,
    ) -> Result<Self, Failure> {
        let sources = Sources::open(config)?;
        let Sources { serve, settings, keyring, kbpk, keys, cards, service_key, auth, tls } =
            sources;
        let card_hasher = CardHasher::new(&service_key).map_err(Failure::system)?;
        let services_block = is_remote(&*cards);
        let audit = AuditLog::open(&serve.audit.options(), &service_key, SystemClock)
            .map_err(|e| Failure::system(e).about("[serve.audit]"))?;
        let limits = open_limits(&serve.limits, &*cards, &audit)?;

        let guard = Guard { limits: limits.clone(), card_hasher, replays: serve.replays };
        let services = CardServices::new(settings, cards, keys.clone(), clock)
            .map_err(|e| Failure::bad_input(e).about("[service]"))?
            .guarded_by(guard);
        let http = HttpService {
            services,
            services_block,
            auth,
            audit,
            limits,
            clock: Box::new(SystemClock),
            connection_limits: serve.connections.clone(),
            transport_counters: Arc::new(TransportCounters::new()),
            metrics: Metrics::of(keys.kernel()),
        };
        Ok(Self { serve, http: Arc::new(http), tls: Arc::new(tls), keys, kbpk, keyring })
    }
}

/// Opens the limits where they are to be: in a directory, or with the connections of the cards.
fn open_limits(
    limits: &config::Limits,
    cards: &dyn Store,
    audit: &AuditLog,
) -> Result<Limits, Failure> {
    let policy = limits.policy.clone();
    match limits.place() {
        LimitsPlace::Directory(directory) => {
            Limits::open_beside(directory, policy, audit).map_err(|error| {
                let failure = match &error {
                    // It says nothing of the file, so the directory is named.
                    LimitError::Io(io) => Failure::file(directory, io),
                    _ => Failure::system(error),
                };
                failure.about("[serve.limits] directory")
            })
        }
        LimitsPlace::Postgres => in_database_of(cards, policy),
    }
}

#[cfg(feature = "postgres")]
fn in_database_of(cards: &dyn Store, policy: LimitPolicy) -> Result<Limits, Failure> {
    let pool = cards.pool().expect("the configuration was checked for that").clone();
    Limits::postgres(pool, policy).map_err(|e| Failure::system(e).about("[serve.limits] postgres"))
}

/// Whether to ask for cards, or for limits beside them, is to wait for a database.
#[cfg(feature = "postgres")]
fn is_remote(cards: &dyn Store) -> bool {
    cards.pool().is_some()
}

#[cfg(not(feature = "postgres"))]
fn in_database_of(_: &dyn Store, _: LimitPolicy) -> Result<Limits, Failure> {
    Err(Failure::bad_input(
        "[serve.limits] postgres: this program was built without the feature `postgres`",
    ))
}

#[cfg(not(feature = "postgres"))]
fn is_remote(_: &dyn Store) -> bool {
    false
}
