//! `parity.json`: odd parity in every byte of a key.

use cvv2::Kernel;
use cvv2::hazmat::force_odd_parity;
use serde::Deserialize;

use super::hex_bytes::{HexBytes, upper_hex};
use super::{Ask, Attempt};
use crate::file::{Head, Source, VectorTest, present, vector_group, vector_test};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    source: Source,
    tests: Vec<ParityTest>,
}

vector_group!(Keys, ParityTest);

vector_test! {
    ParityTest {
        key: HexBytes,
        #[serde(default, deserialize_with = "present")]
        adjusted: Option<HexBytes>,
    }
}

impl VectorTest for ParityTest {
    fn head(&self) -> Head<'_> {
        self.shared()
    }

    fn answer(&self) -> Vec<Option<String>> {
        vec![self.adjusted.as_ref().map(HexBytes::to_string)]
    }
}

impl Ask for Keys {
    fn ask(&self, test: &ParityTest, _kernels: &[Kernel]) -> Vec<Attempt> {
        let mut key = test.key.to_vec();
        force_odd_parity(&mut key);
        vec![Attempt::new("force_odd_parity", test.expected(), Ok(upper_hex(&key)))]
    }
}
