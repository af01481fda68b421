//! `cvk.json`: what is a card verification key, and what each policy refuses.

use cvv2::{CvkPair, ExpiryOrder, KcvMethod, Kernel};
use serde::Deserialize;

use super::key::PolicyName;
use super::{Ask, Attempt};
use crate::file::{Head, Source, VectorTest, present, vector_group, vector_test};
use crate::outcome::{Refusal, RefusedBy, even_bytes, half, length_detail};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Imports {
    source: Source,
    policy: PolicyName,
    tests: Vec<CvkTest>,
}

vector_group!(Imports, CvkTest);

vector_test! {
    CvkTest {
        cvk: String,
        #[serde(default, deserialize_with = "present")]
        kcv: Option<String>,
        #[serde(default, deserialize_with = "present")]
        half: Option<char>,
        #[serde(default, deserialize_with = "present")]
        even_bytes: Option<u32>,
    }
}

impl VectorTest for CvkTest {
    fn head(&self) -> Head<'_> {
        self.shared()
    }

    fn answer(&self) -> Vec<Option<String>> {
        vec![self.kcv.clone()]
    }

    fn refusal_detail(&self) -> String {
        match (self.half, self.even_bytes) {
            (Some(name), _) => half(name),
            (None, Some(bytes)) => even_bytes(bytes),
            (None, None) => length_detail(self.refused_by, &self.cvk),
        }
    }
}

impl Ask for Imports {
    fn ask(&self, test: &CvkTest, _kernels: &[Kernel]) -> Vec<Attempt> {
        let (order, policy) = (ExpiryOrder::YyMm, self.policy.into());
        let kcv = |key: CvkPair| key.kcv(KcvMethod::TdesZeros).to_string();
        let mut attempts = Vec::new();
        let mut ask = |way, key: Result<CvkPair, _>| {
            attempts.push(Attempt::new(way, test.expected(), key.map(kcv).map_err(Refusal::from)));
        };
        ask("CvkPair::from_hex", CvkPair::from_hex(&test.cvk, order, policy));
        // Refusals of the text count from the start of a half there; the others are the same.
        let text_is_fine =
            !matches!(test.refused_by, Some(RefusedBy::CvkHex | RefusedBy::CvkLength));
        if let Some((a, b)) = test.cvk.split_at_checked(16).filter(|_| text_is_fine) {
            let key = CvkPair::from_hex_halves(a, b, order, policy);
            ask("CvkPair::from_hex_halves", key);
        }
        if let Some(bytes) = hex::decode(&test.cvk).ok().and_then(|b| <[u8; 16]>::try_from(b).ok())
        {
            ask("CvkPair::from_bytes", CvkPair::from_bytes(&bytes, order, policy));
        }
        attempts
    }
}
