//! Whether the service's time tells an identifier that another bank has from one that nobody has.
//!
//! The whole operation is measured, from the bytes of the request to those of the answer, over a store on
//! disk with the cards of two banks.

use std::sync::Arc;

use cvv2::{Expiry, Pan};
use cvv2_resolver::{
    BankId, CardRecord, CardRef, CardStatus, CardStore, CardVisitor, CheckReport, ContractNumber,
    EmbeddedStore, NewCard, Plastic, PutOutcome, StoreError, StoreKeys,
};
use cvv2_service::envelope::Function;
use cvv2_service::{Caller, CardServices, KeyringSource, Scope, Settings, SystemClock};
use tempfile::TempDir;

use crate::clock::ticks;
use crate::random::Random;
use crate::tests::{Expected, Test};

/// Cards of each bank: more than the caches of a processor hold rows of.
const CARDS: usize = 10_000;

/// The service's own store, and one that finds the card first and looks at its bank then.
pub(crate) fn tests() -> [Test; 2] {
    let home = Arc::new(Home::new());
    let leaky = Arc::new(AcrossBanks { home: Arc::clone(&home) });
    [
        Test {
            name: "twin: an identifier looked up across banks".into(),
            expected: Expected::Leak,
            sample: sample(&home, leaky),
        },
        Test {
            name: "service: an identifier of nobody or of another bank".into(),
            expected: Expected::Constant,
            sample: sample(&home, Arc::clone(&home) as Arc<dyn CardStore>),
        },
    ]
}

fn sample(home: &Home, store: Arc<dyn CardStore>) -> Box<dyn FnMut(bool) -> u64> {
    let keys = Arc::new(KeyringSource::locked(Vec::new()));
    let services = CardServices::new(Settings::default(), store, keys, SystemClock)
        .expect("the defaults are settings");
    let caller = Caller::new("asks", [home.own], Scope::ALL.into_iter().collect());
    let [nobodys, others] = [&home.nobodys, &home.others]
        .map(|contracts| contracts.iter().map(|contract| request(contract)).collect::<Vec<_>>());
    let mut random = Random::new();
    let mut sent = Vec::new();
    Box::new(move |class| {
        let at = usize::try_from(random.next() % CARDS as u64).expect("a position");
        let both = [&nobodys[at], &others[at]].map(Clone::clone);
        sent.clear();
        sent.extend_from_slice(&both[usize::from(class)]);
        ticks(|| services.handle(Function::GetCvv2, &caller, &sent))
    })
}

/// Two banks' cards, and identifiers that nobody has.
struct Home {
    store: EmbeddedStore,
    _folder: TempDir,
    own: BankId,
    other: BankId,
    others: Vec<String>,
    nobodys: Vec<String>,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a place for the store");
        let keys = StoreKeys::generate().expect("the system has a generator");
        let store = EmbeddedStore::create(folder.path().join("cards"), &keys).expect("a new store");
        let [own, other] = ["OWN", "OTHR"].map(|bank| BankId::parse(bank).expect("a bank's code"));
        let mut random = Random::new();
        let mut contracts = || -> Vec<String> {
            (0..CARDS).map(|_| format!("K{:019}", random.next() >> 1)).collect()
        };
        let [owns, others, nobodys] = [contracts(), contracts(), contracts()];
        put(&store, own, &owns);
        put(&store, other, &others);
        Self { store, _folder: folder, own, other, others, nobodys }
    }
}

fn put(store: &EmbeddedStore, bank: BankId, contracts: &[String]) {
    let expiry = || Expiry::parse_yymm("4912").expect("an expiry");
    let cards: Vec<_> = (0_u64..)
        .zip(contracts)
        .map(|(number, contract)| {
            let pan = Pan::parse(&format!("4{number:015}")).expect("a PAN");
            let plastics = vec![Plastic::new(expiry(), 1, CardStatus::Active)];
            let record = CardRecord::new(pan, CardStatus::Active, plastics).expect("a card");
            ([reference(contract)], record)
        })
        .collect();
    let new: Vec<_> =
        cards.iter().map(|(refs, record)| NewCard { bank: &bank, refs, record }).collect();
    for cards in new.chunks(1000) {
        let outcomes = store.put_many(cards).expect("the store takes cards");
        assert!(outcomes.iter().all(|outcome| *outcome == PutOutcome::Added));
    }
}

fn reference(contract: &str) -> CardRef {
    ContractNumber::parse(contract).expect("a contract number").into()
}

fn request(contract: &str) -> Vec<u8> {
    format!(
        r#"{{"NISrvRequest":{{"request_get_cvv2":{{"header":{{"msg_id":"1","msg_type":"TRANSACTION","msg_function":"REQ_GET_CVV2","src_application":"IVR","target_application":"WAY4","timestamp":"2020-07-20T10:49:02.366+04:00","bank_id":"OWN"}},"body":{{"card_identifier_id":"{contract}","card_identifier_type":"CONTRACT_NUMBER","expiry_date":"4912"}}}}}}}}"#
    )
    .into_bytes()
}

impl CardStore for Home {
    fn resolve(&self, bank: &BankId, card: &CardRef) -> Result<Option<CardRecord>, StoreError> {
        self.store.resolve(bank, card)
    }

    fn put_many(&self, cards: &[NewCard<'_>]) -> Result<Vec<PutOutcome>, StoreError> {
        self.store.put_many(cards)
    }

    fn len(&self) -> Result<u64, StoreError> {
        self.store.len()
    }

    fn each_card(&self, visit: &mut CardVisitor<'_>) -> Result<(), StoreError> {
        self.store.each_card(visit)
    }

    fn check(&self) -> Result<CheckReport, StoreError> {
        self.store.check()
    }
}

/// What a store must not do.
struct AcrossBanks {
    home: Arc<Home>,
}

impl CardStore for AcrossBanks {
    fn resolve(&self, bank: &BankId, card: &CardRef) -> Result<Option<CardRecord>, StoreError> {
        for candidate in [&self.home.own, &self.home.other] {
            if let Some(record) = self.home.store.resolve(candidate, card)? {
                return Ok((candidate == bank).then_some(record));
            }
        }
        Ok(None)
    }

    fn put_many(&self, cards: &[NewCard<'_>]) -> Result<Vec<PutOutcome>, StoreError> {
        self.home.put_many(cards)
    }

    fn len(&self) -> Result<u64, StoreError> {
        self.home.len()
    }

    fn each_card(&self, visit: &mut CardVisitor<'_>) -> Result<(), StoreError> {
        self.home.each_card(visit)
    }

    fn check(&self) -> Result<CheckReport, StoreError> {
        self.home.check()
    }
}
