//! What holds for every card: generate and verify agree, every digit matters, and every kernel gives
//! what the reference gives.
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use cvv2::hazmat::Steps;
use cvv2::{
    CvkPair, Cvv, CvvLength, Expiry, ExpiryOrder, Kernel, PackedCard, Pan, Policy, ServiceCode,
    Verdict,
};
use proptest::prelude::*;

const KEY: &str = "0123456789ABCDEFFEDCBA9876543210";

fn key(order: ExpiryOrder) -> CvkPair {
    CvkPair::from_hex(KEY, order, Policy::TestVectors).unwrap()
}

fn orders() -> impl Strategy<Value = ExpiryOrder> {
    prop_oneof![Just(ExpiryOrder::YyMm), Just(ExpiryOrder::MmYy)]
}

fn pans() -> impl Strategy<Value = Pan> {
    "[0-9]{12,19}".prop_map(|digits| Pan::parse(&digits).unwrap())
}

fn expiries() -> impl Strategy<Value = Expiry> {
    (0..100, 1..=12)
        .prop_map(|(year, month)| Expiry::parse_yymm(&format!("{year:02}{month:02}")).unwrap())
}

fn service_codes() -> impl Strategy<Value = ServiceCode> {
    "[0-9]{3}".prop_map(|digits| ServiceCode::parse(&digits).unwrap())
}

fn cards() -> impl Strategy<Value = (Pan, Expiry, ServiceCode)> {
    (pans(), expiries(), service_codes())
}

proptest! {
    #[test]
    fn what_is_generated_verifies(
        (pan, expiry, code) in cards(),
        order in orders(),
        digits in 1..=5_usize,
    ) {
        let key = key(order);
        let card = key.pack(&pan, &expiry, &code);
        let cvv = key.generate(&card, CvvLength::new(digits).unwrap()).unwrap();
        prop_assert_eq!(cvv.digits(), digits);
        prop_assert_eq!(key.verify(&card, &cvv).unwrap(), Verdict::Match);
    }

    #[test]
    fn every_other_value_is_a_mismatch((pan, expiry, code) in cards(), order in orders()) {
        let key = key(order);
        let right = key.cvv(&pan, &expiry, &code).unwrap();
        for typed in 0..1000 {
            let typed = format!("{typed:03}");
            let verdict = key.verify_cvv(&pan, &expiry, &code, &typed).unwrap();
            prop_assert_eq!(verdict == Verdict::Match, typed == right.expose().as_str());
        }
    }

    #[test]
    fn any_change_of_one_input_digit_changes_the_block(
        digits in "[0-9]{12,19}",
        place in any::<prop::sample::Index>(),
        change in 1..10_u8,
        (_, expiry, code) in cards(),
    ) {
        let key = key(ExpiryOrder::YyMm);
        let result = |digits: &str| {
            let card = key.pack(&Pan::parse(digits).unwrap(), &expiry, &code);
            *Steps::explain(&key, &card).unwrap().result()
        };
        let mut changed = digits.clone().into_bytes();
        let digit = &mut changed[place.index(digits.len())];
        *digit = b'0' + (*digit - b'0' + change) % 10;
        prop_assert_ne!(result(&digits), result(std::str::from_utf8(&changed).unwrap()));
    }

    #[test]
    fn any_change_of_expiry_or_service_code_changes_the_block(
        (pan, expiry, code) in cards(),
        (_, other_expiry, other_code) in cards(),
    ) {
        let key = key(ExpiryOrder::YyMm);
        let result = |expiry, code| {
            *Steps::explain(&key, &key.pack(&pan, expiry, code)).unwrap().result()
        };
        let base = result(&expiry, &code);
        prop_assert_eq!(base == result(&other_expiry, &code), expiry == other_expiry);
        prop_assert_eq!(base == result(&expiry, &other_code), code == other_code);
    }

    #[test]
    fn cvv2_and_icvv_are_the_cvv_of_their_service_codes(
        (pan, expiry, _) in cards(),
        order in orders(),
    ) {
        let key = key(order);
        let zeros = key.cvv(&pan, &expiry, &ServiceCode::parse("000").unwrap()).unwrap();
        let nines = key.cvv(&pan, &expiry, &ServiceCode::parse("999").unwrap()).unwrap();
        prop_assert_eq!(key.cvv2(&pan, &expiry).unwrap(), zeros);
        prop_assert_eq!(key.icvv(&pan, &expiry).unwrap(), nines);
    }
}

/// A million random cards over all PAN lengths, both orders and 1 to 5 digits, every kernel against
/// the reference; batches of different sizes, so that every lane holds a different card.
/// `CVV2_RANDOM_CARDS` asks for another number.
#[test]
fn every_kernel_equals_the_reference_for_a_million_cards() {
    let wanted = std::env::var("CVV2_RANDOM_CARDS")
        .map_or(1_000_000, |text| text.parse().expect("CVV2_RANDOM_CARDS is a number of cards"));
    let reference = Kernel::by_name("reference").unwrap();
    let mut random = SplitMix(0x0005_EEDC_A4D5);
    let lengths: Vec<_> = (1..=5).map(|n| CvvLength::new(n).unwrap()).collect();

    let mut done = 0;
    while done < wanted {
        let order = [ExpiryOrder::YyMm, ExpiryOrder::MmYy][random.below(2)];
        let length = lengths[random.below(5)];
        let bytes = std::array::from_fn(|_| random.byte());
        let oracle = CvkPair::from_bytes(&bytes, order, Policy::TestVectors).unwrap();
        let batch = 1 + random.below(3000);
        let cards: Vec<_> = (0..batch).map(|_| random.card(&oracle)).collect();
        let mut expected = vec![Cvv::EMPTY; batch];
        let oracle = oracle.with_kernel(reference);
        oracle.generate_many(&cards, length, &mut expected).unwrap();
        // The oracle of the oracle: the steps one after the other, for the first card.
        assert_eq!(expected[0], Steps::explain(&oracle, &cards[0]).unwrap().cvv(length));

        for kernel in Kernel::all() {
            let key = CvkPair::from_bytes(&bytes, order, Policy::TestVectors).unwrap();
            let mut out = vec![Cvv::EMPTY; batch];
            key.with_kernel(kernel).generate_many(&cards, length, &mut out).unwrap();
            assert!(out == expected, "{} of {batch} cards", kernel.name());
        }
        done += batch;
    }
}

/// A small generator with a fixed seed: the test is the same on every machine.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + self.byte() % 10)).collect()
    }

    fn card(&mut self, key: &CvkPair) -> PackedCard {
        let len = 12 + self.below(8);
        let pan = Pan::parse(&self.digits(len)).unwrap();
        let expiry = format!("{}{:02}", self.digits(2), 1 + self.below(12));
        let code = ServiceCode::parse(&self.digits(3)).unwrap();
        key.pack(&pan, &Expiry::parse_yymm(&expiry).unwrap(), &code)
    }
}
