//! `pan.json`: what is a PAN, whether its check digit is right, how it is masked.

use cvv2::{Kernel, Pan};
use serde::Deserialize;

use super::{Ask, Attempt};
use crate::file::{Head, Source, VectorTest, present, vector_group, vector_test};
use crate::outcome::{Outcome, Refusal, length_detail};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pans {
    source: Source,
    tests: Vec<PanTest>,
}

vector_group!(Pans, PanTest);

vector_test! {
    PanTest {
        pan: String,
        #[serde(default, deserialize_with = "present")]
        luhn: Option<bool>,
        #[serde(default, deserialize_with = "present")]
        masked: Option<String>,
    }
}

impl VectorTest for PanTest {
    fn head(&self) -> Head<'_> {
        self.shared()
    }

    fn answer(&self) -> Vec<Option<String>> {
        vec![self.luhn.map(check_digit), self.masked.clone()]
    }

    fn refusal_detail(&self) -> String {
        length_detail(self.refused_by, &self.pan)
    }
}

impl Ask for Pans {
    fn ask(&self, test: &PanTest, _kernels: &[Kernel]) -> Vec<Attempt> {
        let answer = |pan: &Pan| format!("{} {}", check_digit(pan.passes_luhn()), pan.masked());
        let parsed = Pan::parse(&test.pan).map_err(Refusal::from);
        let got = parsed.as_ref().map(answer).map_err(Clone::clone);
        let mut attempts = vec![Attempt::new("Pan::parse", test.expected(), got)];
        if let Ok(pan) = parsed {
            let given = Outcome::Answer(test.pan.clone());
            attempts.push(Attempt::new("Pan::expose", given, Ok(pan.expose().to_owned())));
        }
        attempts
    }
}

fn check_digit(right: bool) -> String {
    format!("luhn {right}")
}
