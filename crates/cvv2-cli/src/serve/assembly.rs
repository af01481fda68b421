//! A service, put together as its configuration says, and not serving yet.

use std::sync::Arc;

use cvv2::key::Kbpk;
use cvv2_resolver::CardStore;
use cvv2_service::audit::AuditLog;
use cvv2_service::auth::Auth;
use cvv2_service::http::HttpService;
use cvv2_service::limits::Limits;
use cvv2_service::metrics::Metrics;
use cvv2_service::transport::{TlsConfig, TransportCounters};
use cvv2_service::{CardHasher, CardServices, Clock, Guard, KeyringSource, SystemClock};

use crate::config::{Config, Serve};
use crate::failure::Failure;
use crate::{get, keyring, service_key, store};

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
        let serve = config.serve()?;
        let keyring = keyring::Place::configured(config)?;
        let kbpk = keyring.kbpk()?;
        let store = store::Place::configured(config).open_read_only_beside(&keyring, &kbpk)?;
        let store: Arc<dyn CardStore> = Arc::<dyn store::Store>::from(store);
        let opened = Arc::new(keyring.open_with(&kbpk)?);
        let keys = KeyringSource::new(opened, config.service.no_cvv2.clone());
        let keys = Arc::new(keys);

        let service_key = service_key::read(&serve.service_key, &kbpk)?;
        let card_hasher = CardHasher::new(&service_key).map_err(Failure::system)?;
        let policy = serve.limits.policy.clone();
        let limits = Limits::open(&serve.limits.directory, policy).map_err(Failure::system)?;
        let audit = AuditLog::open(&serve.audit.options(), &service_key, SystemClock);
        let audit = audit.map_err(Failure::system)?;
        let auth = Auth::open(&serve.auth, SystemClock).map_err(Failure::bad_input)?;
        let tls = TlsConfig::load(serve.tls.clone()).map_err(Failure::bad_input)?;

        let guard = Guard { limits: limits.clone(), card_hasher, replays: serve.replays };
        let settings = get::settings(&config.service)?;
        let services = CardServices::new(settings, store, keys.clone(), clock)
            .map_err(Failure::bad_input)?
            .guarded_by(guard);
        let http = HttpService {
            services,
            services_block: false,
            auth,
            audit,
            limits,
            clock: Box::new(SystemClock),
            connection_limits: serve.connections.clone(),
            transport_counters: Arc::new(TransportCounters::new()),
            metrics: Metrics::new(),
        };
        Ok(Self { serve, http: Arc::new(http), tls: Arc::new(tls), keys, kbpk, keyring })
    }
}
