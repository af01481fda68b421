//! `kcv.json`: key check values.

use cvv2::hazmat::DesKey;
use cvv2::{Component, CvkPair, ExpiryOrder, Kcv, KcvMethod, Kernel, Policy};
use serde::Deserialize;

use super::hex_bytes::HexBytes;
use super::{Ask, Attempt};
use crate::file::{Head, Source, VectorTest, present, vector_group, vector_test};
use crate::outcome::Refusal;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckValues {
    source: Source,
    method: MethodName,
    tests: Vec<KcvTest>,
}

vector_group!(CheckValues, KcvTest);

vector_test! {
    KcvTest {
        key: HexBytes,
        #[serde(default, deserialize_with = "present")]
        kcv: Option<String>,
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum MethodName {
    Cmac,
    TdesZeros,
}

impl From<MethodName> for KcvMethod {
    fn from(name: MethodName) -> Self {
        match name {
            MethodName::Cmac => Self::Cmac,
            MethodName::TdesZeros => Self::TdesZeros,
        }
    }
}

impl VectorTest for KcvTest {
    fn head(&self) -> Head<'_> {
        self.shared()
    }

    fn answer(&self) -> Vec<Option<String>> {
        vec![self.kcv.clone()]
    }
}

impl Ask for CheckValues {
    fn ask(&self, test: &KcvTest, _kernels: &[Kernel]) -> Vec<Attempt> {
        let mut attempts = Vec::new();
        let mut ask = |way, got: Result<Kcv, Refusal>| {
            attempts.push(Attempt::new(way, test.expected(), got.map(|kcv| kcv.to_string())));
        };
        let method = KcvMethod::from(self.method);
        if let (MethodName::TdesZeros, Some(key)) = (self.method, DesKey::from_slice(&test.key)) {
            ask("DesKey::kcv", Ok(key.kcv()));
        }
        if test.key.len() == CvkPair::LEN {
            let hex = test.key.to_string();
            let pair = CvkPair::from_hex(&hex, ExpiryOrder::YyMm, Policy::TestVectors);
            ask("CvkPair::kcv", pair.map(|key| key.kcv(method)).map_err(Refusal::from));
            let component = Component::from_hex(&hex);
            ask("Component::kcv", component.map(|key| key.kcv(method)).map_err(Refusal::from));
        }
        attempts
    }
}
