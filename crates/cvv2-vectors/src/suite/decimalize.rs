//! `decimalize.json`: from hexadecimal to decimal digits in two passes.

use cvv2::Kernel;
use cvv2::hazmat::decimalize;
use serde::Deserialize;

use super::hex_bytes::{HexBytes, digit_text};
use super::{Ask, Attempt};
use crate::file::{Head, Source, VectorTest, present, vector_group, vector_test};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Blocks {
    source: Source,
    tests: Vec<DecimalizeTest>,
}

vector_group!(Blocks, DecimalizeTest);

vector_test! {
    DecimalizeTest {
        hex: HexBytes,
        digits: usize,
        #[serde(default, deserialize_with = "present")]
        decimal: Option<String>,
    }
}

impl VectorTest for DecimalizeTest {
    fn head(&self) -> Head<'_> {
        self.shared()
    }

    fn answer(&self) -> Vec<Option<String>> {
        vec![self.decimal.clone()]
    }
}

impl Ask for Blocks {
    fn ask(&self, test: &DecimalizeTest, _kernels: &[Kernel]) -> Vec<Attempt> {
        let mut digits = decimalize(&test.hex);
        digits.truncate(test.digits);
        vec![Attempt::new("decimalize", test.expected(), Ok(digit_text(&digits)))]
    }
}
