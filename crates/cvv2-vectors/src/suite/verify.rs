//! `verify.json`: values as people type them.

use cvv2::{CvkPair, Cvv, CvvLength, Expiry, Kernel, Pan, ServiceCode, Verdict};
use serde::Deserialize;

use super::key::{Key, OrderName};
use super::{Ask, Attempt};
use crate::file::{Head, Source, VectorTest, present, vector_group, vector_test};
use crate::outcome::{Refusal, RefusedBy, length_detail};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Typed {
    source: Source,
    key: Key,
    card: Card,
    tests: Vec<VerifyTest>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Card {
    pan: String,
    expiry: String,
    expiry_order: OrderName,
    service_code: String,
}

vector_group!(Typed, VerifyTest);

vector_test! {
    VerifyTest {
        typed: String,
        digits: usize,
        #[serde(default, deserialize_with = "present")]
        answer: Option<Answer>,
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Match,
    Mismatch,
}

impl Answer {
    fn name(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Mismatch => "mismatch",
        }
    }
}

impl From<Verdict> for Answer {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Match => Self::Match,
            Verdict::Mismatch => Self::Mismatch,
        }
    }
}

impl VectorTest for VerifyTest {
    fn head(&self) -> Head<'_> {
        self.shared()
    }

    fn answer(&self) -> Vec<Option<String>> {
        vec![self.answer.map(|answer| answer.name().to_owned())]
    }

    fn refusal_detail(&self) -> String {
        length_detail(self.refused_by, &self.typed)
    }
}

impl Ask for Typed {
    fn ask(&self, test: &VerifyTest, kernels: &[Kernel]) -> Vec<Attempt> {
        let mut attempts = Vec::new();
        for &kernel in kernels {
            let ways: &[&str] = match (test.digits, self.card.service_code.as_str()) {
                (3, "000") => &["verify", "verify_cvv", "verify_cvv2"],
                (3, "999") => &["verify", "verify_cvv", "verify_icvv"],
                (3, _) => &["verify", "verify_cvv"],
                _ => &["verify"],
            };
            attempts.extend(ways.iter().map(|way| {
                let got =
                    self.verify(way, test, kernel).map(|verdict| Answer::from(verdict).name());
                let way = format!("{way}, kernel {}", kernel.name());
                Attempt::new(way, test.expected(), got)
            }));
        }
        attempts
    }
}

impl Typed {
    fn verify(&self, way: &str, test: &VerifyTest, kernel: Kernel) -> Result<Verdict, Refusal> {
        let order = self.card.expiry_order.into();
        let key: CvkPair = self.key.import(order, kernel)?;
        let pan = Pan::parse(&self.card.pan)?;
        let expiry = Expiry::parse(&self.card.expiry, order)?;
        let service_code = ServiceCode::parse(&self.card.service_code)?;
        Ok(match way {
            "verify_cvv" => key.verify_cvv(&pan, &expiry, &service_code, &test.typed)?,
            "verify_cvv2" => key.verify_cvv2(&pan, &expiry, &test.typed)?,
            "verify_icvv" => key.verify_icvv(&pan, &expiry, &test.typed)?,
            _ => {
                let length = CvvLength::new(test.digits)
                    .ok_or_else(|| Refusal::new(RefusedBy::DigitsRange))?;
                let typed = Cvv::parse(&test.typed, length)?;
                key.verify(&key.pack(&pan, &expiry, &service_code), &typed)?
            }
        })
    }
}
