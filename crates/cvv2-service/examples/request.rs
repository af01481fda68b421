//! Requests through all of the service but its sockets, to count the instructions that one takes.
//!
//! The machine may be busy: the counts of two runs of different length tell what a request takes,
//! and what the start takes is gone from the difference.
//!
//! ```sh
//! cargo build --release -p cvv2-service --example request
//! valgrind --tool=callgrind target/release/examples/request 2000
//! valgrind --tool=callgrind target/release/examples/request 6000
//! ```
#![allow(clippy::unwrap_used, reason = "a measurement that cannot set itself up has failed")]

#[path = "../tests/service/bank.rs"]
#[allow(dead_code, reason = "tests use the rest")]
mod bank;
#[path = "../tests/http/home.rs"]
#[allow(dead_code, reason = "tests use the rest")]
mod home;
#[path = "../tests/service/keys.rs"]
#[allow(dead_code, unused_imports, reason = "tests use the rest")]
mod keys;
#[path = "../../cvv2-resolver/benches/portfolio/mod.rs"]
#[allow(dead_code, reason = "benches use the rest")]
mod portfolio;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use cvv2::Pan;
use cvv2_resolver::{
    BankId, CardRecord, CardRef, CardStatus, CardStore, CardVisitor, CheckReport, NewCard,
    PutOutcome, StoreError,
};
use cvv2_service::http::router;
use cvv2_service::limits::LimitPolicy;
use cvv2_service::transport::Peer;
use http_body_util::BodyExt;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use home::{GET, Service, Setup};

/// Cards that are asked for in turn.
const CARDS: u64 = 2000;

/// Requests under way at once, that is records that share a sync.
const AT_ONCE: usize = 50;

fn main() {
    let requests: u64 = std::env::args().nth(1).map_or(1000, |count| count.parse().unwrap());
    let service = Service::start_with(Setup {
        store: Arc::new(Cards::new()),
        policy: LimitPolicy { caller_requests_per_minute: 1_000_000, ..LimitPolicy::default() },
        ..Setup::default()
    });
    let bearer = format!("Bearer {}", service.token("ivr"));
    let router = router(Arc::clone(&service.http));
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        for first in (0..requests).step_by(AT_ONCE) {
            let mut under_way = JoinSet::new();
            for number in first..requests.min(first + AT_ONCE as u64) {
                under_way.spawn(answered(router.clone(), request(&bearer, number)));
            }
            under_way.join_all().await;
        }
    });
}

async fn answered(router: Router, request: Request<Body>) {
    let answer: Response<Body> = TowerToHyperService::new(router).call(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(body.windows(7).any(|text| text == b"\"cvv2\":"), "{body:?}");
}

fn request(bearer: &str, number: u64) -> Request<Body> {
    let body = bank::REQUEST
        .replace("223001", &format!("{number:09}"))
        .replace(bank::EXID, &portfolio::exid(number % CARDS));
    Request::post(GET)
        .header("authorization", bearer)
        .header("content-type", "application/json")
        .extension(Peer::plain("192.0.2.17:50123".parse().unwrap()))
        .body(Body::from(body))
        .unwrap()
}

/// The invented cards, each with one plastic, by its EXID.
///
/// Valgrind has no room for the addresses that an embedded store reserves, and a store in memory
/// looks at every card; this one finds a card as fast as the embedded one, or faster.
struct Cards(HashMap<String, CardRecord>);

impl Cards {
    fn new() -> Self {
        let card = |number| {
            let plastics = vec![bank::plastic("2701", CardStatus::Active)];
            let pan = Pan::parse(&portfolio::pan(number)).unwrap();
            let record = CardRecord::new(pan, CardStatus::Active, plastics).unwrap();
            (portfolio::exid(number), record)
        };
        Self((0..CARDS).map(card).collect())
    }
}

impl CardStore for Cards {
    fn resolve(&self, _: &BankId, card: &CardRef) -> Result<Option<CardRecord>, StoreError> {
        Ok(self.0.get(card.expose()).cloned())
    }

    fn put_many(&self, _: &[NewCard<'_>]) -> Result<Vec<PutOutcome>, StoreError> {
        Err(StoreError::ReadOnly)
    }

    fn len(&self) -> Result<u64, StoreError> {
        Ok(CARDS)
    }

    fn each_card(&self, _: &mut CardVisitor<'_>) -> Result<(), StoreError> {
        Err(StoreError::Busy)
    }

    fn check(&self) -> Result<CheckReport, StoreError> {
        Err(StoreError::Busy)
    }
}
