//! `expiry.json`: what is an expiry in each order, and the hint when it is one in the other.

use cvv2::{Expiry, ExpiryOrder, Kernel};
use serde::Deserialize;

use super::key::OrderName;
use super::{Ask, Attempt};
use crate::file::{Head, Source, VectorTest, present, vector_group, vector_test};
use crate::outcome::{Refusal, length_detail, looks_like};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expiries {
    source: Source,
    order: OrderName,
    tests: Vec<ExpiryTest>,
}

vector_group!(Expiries, ExpiryTest);

vector_test! {
    ExpiryTest {
        expiry: String,
        #[serde(default, deserialize_with = "present")]
        year: Option<u8>,
        #[serde(default, deserialize_with = "present")]
        month: Option<u8>,
        #[serde(default, deserialize_with = "present")]
        looks_like: Option<OrderName>,
    }
}

impl VectorTest for ExpiryTest {
    fn head(&self) -> Head<'_> {
        self.shared()
    }

    fn answer(&self) -> Vec<Option<String>> {
        vec![self.year.map(|y| format!("year {y}")), self.month.map(|m| format!("month {m}"))]
    }

    fn refusal_detail(&self) -> String {
        let hint = self.looks_like.map(|order| looks_like(order.into()));
        hint.unwrap_or_else(|| length_detail(self.refused_by, &self.expiry))
    }
}

impl Ask for Expiries {
    fn ask(&self, test: &ExpiryTest, _kernels: &[Kernel]) -> Vec<Attempt> {
        let (name, parse): (_, fn(&str) -> _) = match self.order.into() {
            ExpiryOrder::MmYy => ("Expiry::parse_mmyy", Expiry::parse_mmyy),
            ExpiryOrder::YyMm => ("Expiry::parse_yymm", Expiry::parse_yymm),
        };
        [
            (name, parse(&test.expiry)),
            ("Expiry::parse", Expiry::parse(&test.expiry, self.order.into())),
        ]
        .map(|(way, parsed)| {
            let got = parsed
                .map(|e| format!("year {} month {}", e.year_of_century(), e.month()))
                .map_err(Refusal::from);
            Attempt::new(way, test.expected(), got)
        })
        .into()
    }
}
