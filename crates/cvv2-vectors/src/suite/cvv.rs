//! `cvv.json`: the card verification value of one card, alone and among many.

use std::collections::BTreeSet;

use cvv2::hazmat::{Steps, pack_opaque};
use cvv2::{
    CvkPair, Cvv, CvvLength, Expiry, ExpiryOrder, Kernel, PackedCard, Pan, Policy, ServiceCode,
    Verdict,
};
use serde::Deserialize;

use super::hex_bytes::{digit_text, upper_hex};
use super::key::{Key, OrderName};
use super::{Ask, Attempt};
use crate::file::{Head, Source, Validity, VectorTest, present, vector_group, vector_test};
use crate::outcome::{Outcome, Refusal, RefusedBy, length_detail};

/// Cards computed in one call: two full passes of the widest kernel and one card more.
const BATCH_CARDS: usize = 2 * 512 + 1;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cards {
    source: Source,
    key: Key,
    tests: Vec<CvvTest>,
}

vector_group!(Cards, CvvTest);

vector_test! {
    CvvTest {
        pan: String,
        expiry: String,
        #[serde(default, deserialize_with = "present")]
        expiry_order: Option<OrderName>,
        service_code: String,
        digits: usize,
        #[serde(default, deserialize_with = "present")]
        cvv: Option<String>,
        #[serde(default, deserialize_with = "present")]
        steps: Option<ExpectedSteps>,
    }
}

/// Intermediate values, as far as they are known.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ExpectedSteps {
    #[serde(default, deserialize_with = "present")]
    b1: Option<String>,
    #[serde(default, deserialize_with = "present")]
    b2: Option<String>,
    #[serde(default, deserialize_with = "present")]
    encrypted_b1: Option<String>,
    #[serde(default, deserialize_with = "present")]
    chained: Option<String>,
    #[serde(default, deserialize_with = "present")]
    encrypted_a: Option<String>,
    #[serde(default, deserialize_with = "present")]
    decrypted_b: Option<String>,
    #[serde(default, deserialize_with = "present")]
    result: Option<String>,
    #[serde(default, deserialize_with = "present")]
    decimal: Option<String>,
}

impl VectorTest for CvvTest {
    fn head(&self) -> Head<'_> {
        self.shared()
    }

    fn answer(&self) -> Vec<Option<String>> {
        vec![self.cvv.clone()]
    }

    fn refusal_detail(&self) -> String {
        let text = match self.refused_by {
            Some(RefusedBy::PanLength) => &self.pan,
            Some(RefusedBy::ExpiryLength) => &self.expiry,
            _ => &self.service_code,
        };
        length_detail(self.refused_by, text)
    }
}

impl Ask for Cards {
    fn ask(&self, test: &CvvTest, kernels: &[Kernel]) -> Vec<Attempt> {
        let valid = test.result == Validity::Valid;
        let mut attempts = Vec::new();
        for &kernel in kernels {
            let mut ask = |way: &str, got: Result<String, Refusal>| {
                let way = format!("{way}, kernel {}", kernel.name());
                attempts.push(Attempt::new(way, test.expected(), got));
            };
            if let Some(order) = test.expiry_order.map(ExpiryOrder::from) {
                ask("generate", self.value(test, order, kernel));
                for method in test.methods() {
                    ask(method, self.value_by(method, test, order, kernel));
                }
            }
            // Digits that are no date are no fault there, so a test for that fault is not asked.
            if valid || test.expiry_order.is_none() {
                ask("generate from opaque digits", self.opaque_value(test, kernel));
            }
            if valid {
                ask("verify", self.verified(test, kernel));
            }
        }
        if valid {
            attempts.extend(self.explained(test));
        }
        attempts
    }

    fn ask_together(&self, kernels: &[Kernel]) -> Vec<(usize, Attempt)> {
        let valid = || self.tests.iter().enumerate().filter(|(_, t)| t.result == Validity::Valid);
        let lengths: BTreeSet<usize> = valid().map(|(_, test)| test.digits).collect();
        let mut attempts = Vec::new();
        for &kernel in kernels {
            for &digits in &lengths {
                let tests: Vec<_> = valid().filter(|(_, test)| test.digits == digits).collect();
                attempts.extend(self.among_many(&tests, digits, kernel));
            }
        }
        attempts
    }
}

impl Cards {
    /// The value of four expiry digits that need not be a date.
    fn opaque_value(&self, test: &CvvTest, kernel: Kernel) -> Result<String, Refusal> {
        let key = self.key.import(ExpiryOrder::YyMm, kernel)?;
        generate(&key, &test.opaque()?, test.digits)
    }

    /// The value of an expiry that is a date.
    fn value(&self, test: &CvvTest, order: ExpiryOrder, kernel: Kernel) -> Result<String, Refusal> {
        let key = self.key.import(order, kernel)?;
        let (pan, expiry, service_code) = test.parse(order)?;
        generate(&key, &key.pack(&pan, &expiry, &service_code), test.digits)
    }

    /// The value from a method for three digits.
    fn value_by(
        &self,
        method: &str,
        test: &CvvTest,
        order: ExpiryOrder,
        kernel: Kernel,
    ) -> Result<String, Refusal> {
        let key = self.key.import(order, kernel)?;
        let (pan, expiry, service_code) = test.parse(order)?;
        let cvv = match method {
            "cvv2" => key.cvv2(&pan, &expiry),
            "icvv" => key.icvv(&pan, &expiry),
            _ => key.cvv(&pan, &expiry, &service_code),
        }?;
        Ok(text(&cvv))
    }

    /// The expected value if the library says that it is the card's.
    fn verified(&self, test: &CvvTest, kernel: Kernel) -> Result<String, Refusal> {
        let key = self.key.import(ExpiryOrder::YyMm, kernel)?;
        let expected = test.cvv.clone().unwrap_or_default();
        let typed = Cvv::parse(&expected, length(test.digits)?)?;
        Ok(match key.verify(&test.opaque()?, &typed)? {
            Verdict::Match => expected,
            Verdict::Mismatch => "mismatch".to_owned(),
        })
    }

    /// The value and the known intermediate values, as the library explains them.
    fn explained(&self, test: &CvvTest) -> Vec<Attempt> {
        let steps = || -> Result<_, Refusal> {
            // Only calculations under test keys are explained, whatever the key is worth.
            let key = CvkPair::from_hex(&self.key.cvk, ExpiryOrder::YyMm, Policy::TestVectors)?;
            Ok(Steps::explain(&key, &test.opaque()?).expect("a key taken as a test key"))
        };
        let steps = match steps() {
            Ok(steps) => steps,
            Err(refusal) => {
                return vec![Attempt::new("Steps", test.expected(), Outcome::Refused(refusal))];
            }
        };
        let value = length(test.digits).map(|length| text(&steps.cvv(length)));
        let mut attempts = vec![Attempt::new("Steps::cvv", test.expected(), value)];
        let expected = test.steps.iter().flat_map(|expected| {
            [
                ("b1", &expected.b1, upper_hex(steps.b1())),
                ("b2", &expected.b2, upper_hex(steps.b2())),
                ("encrypted_b1", &expected.encrypted_b1, upper_hex(steps.encrypted_b1())),
                ("chained", &expected.chained, upper_hex(steps.chained())),
                ("encrypted_a", &expected.encrypted_a, upper_hex(steps.encrypted_a())),
                ("decrypted_b", &expected.decrypted_b, upper_hex(steps.decrypted_b())),
                ("result", &expected.result, upper_hex(steps.result())),
                ("digits", &expected.decimal, digit_text(&steps.digits())),
            ]
        });
        for (name, expected, got) in expected {
            if let Some(expected) = expected {
                let way = format!("Steps::{name}");
                attempts.push(Attempt::new(way, Outcome::Answer(expected.clone()), Ok(got)));
            }
        }
        attempts
    }

    /// The values of `tests` from one call for many cards, in which each card stands in many places
    /// between different ones.
    fn among_many(
        &self,
        tests: &[(usize, &CvvTest)],
        digits: usize,
        kernel: Kernel,
    ) -> Vec<(usize, Attempt)> {
        let way = format!("generate_many of {BATCH_CARDS} cards, kernel {}", kernel.name());
        let period = tests.len() + 2;
        let values = || -> Result<Vec<String>, Refusal> {
            let key = self.key.import(ExpiryOrder::YyMm, kernel)?;
            let cards = (0..BATCH_CARDS)
                .map(|slot| match tests.get(slot % period) {
                    Some((_, test)) => test.opaque(),
                    None => filler(slot),
                })
                .collect::<Result<Vec<_>, _>>()?;
            let mut out = vec![Cvv::EMPTY; cards.len()];
            key.generate_many(&cards, length(digits)?, &mut out)?;
            Ok(out.iter().map(text).collect())
        };
        let values = values();
        let in_slots_of = |i: usize| {
            let expected = tests[i].1.cvv.as_ref();
            let slots = || values.as_ref().map(|v| v.iter().skip(i).step_by(period));
            slots().map_err(Clone::clone).map(|mut slots| {
                let wrong = slots.clone().find(|value| Some(*value) != expected);
                wrong.or_else(|| slots.next()).cloned().unwrap_or_default()
            })
        };
        (0..tests.len())
            .map(|i| (tests[i].0, Attempt::new(&way, tests[i].1.expected(), in_slots_of(i))))
            .collect()
    }
}

impl CvvTest {
    fn parse(&self, order: ExpiryOrder) -> Result<(Pan, Expiry, ServiceCode), Refusal> {
        let pan = Pan::parse(&self.pan)?;
        let expiry = Expiry::parse(&self.expiry, order)?;
        Ok((pan, expiry, ServiceCode::parse(&self.service_code)?))
    }

    /// The methods for three digits that take this card.
    fn methods(&self) -> &'static [&'static str] {
        match (self.digits, self.service_code.as_str()) {
            (3, "000") => &["cvv", "cvv2"],
            (3, "999") => &["cvv", "icvv"],
            (3, _) => &["cvv"],
            _ => &[],
        }
    }

    fn opaque(&self) -> Result<PackedCard, Refusal> {
        let pan = Pan::parse(&self.pan)?;
        let service_code = ServiceCode::parse(&self.service_code)?;
        pack_opaque(&pan, &self.expiry, &service_code)
            .ok_or_else(|| Refusal::new(RefusedBy::ExpiryOpaque))
    }
}

fn generate(key: &CvkPair, card: &PackedCard, digits: usize) -> Result<String, Refusal> {
    Ok(text(&key.generate(card, length(digits)?)?))
}

fn length(digits: usize) -> Result<CvvLength, Refusal> {
    CvvLength::new(digits).ok_or_else(|| Refusal::new(RefusedBy::DigitsRange))
}

fn text(cvv: &Cvv) -> String {
    cvv.expose().as_str().to_owned()
}

/// A card that no test is about, another one for every slot.
fn filler(slot: usize) -> Result<PackedCard, Refusal> {
    let pan = Pan::parse(&format!("{slot:016}"))?;
    pack_opaque(&pan, "9912", &ServiceCode::CVV2)
        .ok_or_else(|| Refusal::new(RefusedBy::ExpiryOpaque))
}
