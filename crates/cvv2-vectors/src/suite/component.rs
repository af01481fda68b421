//! `component.json`: keys combined of components.

use cvv2::hazmat::force_odd_parity;
use cvv2::{Component, CvkPair, ExpiryOrder, KcvMethod, Kernel};
use serde::Deserialize;
use subtle::ConstantTimeEq;

use super::hex_bytes::{HexBytes, upper_hex};
use super::key::PolicyName;
use super::{Ask, Attempt};
use crate::file::{Head, Source, VectorTest, present, vector_group, vector_test};
use crate::outcome::{Outcome, Refusal, RefusedBy, given, half, length_detail};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Combinations {
    source: Source,
    policy: PolicyName,
    tests: Vec<ComponentTest>,
}

vector_group!(Combinations, ComponentTest);

vector_test! {
    ComponentTest {
        components: Vec<String>,
        #[serde(default, deserialize_with = "present")]
        xor: Option<HexBytes>,
        #[serde(default, deserialize_with = "present")]
        key: Option<String>,
        #[serde(default, deserialize_with = "present")]
        kcv: Option<String>,
        #[serde(default, deserialize_with = "present")]
        component_kcvs: Option<Vec<String>>,
        #[serde(default, deserialize_with = "present")]
        component: Option<usize>,
        #[serde(default, deserialize_with = "present")]
        half: Option<char>,
    }
}

impl VectorTest for ComponentTest {
    fn head(&self) -> Head<'_> {
        self.shared()
    }

    fn answer(&self) -> Vec<Option<String>> {
        vec![self.xor.as_ref().map(HexBytes::to_string), self.key.clone(), self.kcv.clone()]
    }

    fn refusal_detail(&self) -> String {
        match (self.refused_by, self.component, self.half) {
            (Some(RefusedBy::ComponentCount), ..) => given(self.components.len()),
            (by, Some(number), _) => {
                let text = self.components.get(number).map_or("", String::as_str);
                of_component(number, &length_detail(by, text))
            }
            (_, None, Some(name)) => half(name),
            (_, None, None) => String::new(),
        }
    }
}

impl Ask for Combinations {
    fn ask(&self, test: &ComponentTest, _kernels: &[Kernel]) -> Vec<Attempt> {
        let combine = || -> Result<CvkPair, Refusal> {
            let components = parse(&test.components)?;
            Ok(CvkPair::from_components(&components, ExpiryOrder::YyMm, self.policy.into())?)
        };
        let (Some(xor), Some(key), Some(kcv)) = (&test.xor, &test.key, &test.kcv) else {
            let got = combine().map(|_| "a key");
            return vec![Attempt::new("CvkPair::from_components", test.expected(), got)];
        };
        let mut attempts = self.ask_about_key(combine, xor, key, kcv);
        if let Some(kcvs) = &test.component_kcvs {
            let got = parse(&test.components).map(|all| check_values(&all));
            attempts.push(Attempt::new("Component::kcv", Outcome::answer(kcvs.clone()), got));
        }
        attempts
    }
}

impl Combinations {
    /// Asks for the combined key's check value, bytes and parity.
    fn ask_about_key(
        &self,
        combine: impl Fn() -> Result<CvkPair, Refusal>,
        xor: &HexBytes,
        key: &str,
        kcv: &str,
    ) -> Vec<Attempt> {
        let answer = |text: &str| Outcome::Answer(text.to_owned());
        let check_value = combine().map(|key| key.kcv(KcvMethod::TdesZeros).to_string());
        let bytes = || -> Result<_, Refusal> {
            let stated = CvkPair::from_hex(key, ExpiryOrder::YyMm, self.policy.into())?;
            let same = bool::from(combine()?.ct_eq(&stated));
            Ok(if same { key } else { "another key" })
        };
        let mut adjusted = xor.to_vec();
        force_odd_parity(&mut adjusted);
        vec![
            Attempt::new("CvkPair::from_components, check value", answer(kcv), check_value),
            Attempt::new("CvkPair::from_components, bytes", answer(key), bytes()),
            Attempt::new("force_odd_parity", answer(key), Ok(upper_hex(&adjusted))),
        ]
    }
}

fn check_values(components: &[Component]) -> String {
    let kcv = |component: &Component| component.kcv(KcvMethod::TdesZeros).to_string();
    components.iter().map(kcv).collect::<Vec<_>>().join(" ")
}

/// Reads the components; a refusal says which of them it is about.
fn parse(components: &[String]) -> Result<Vec<Component>, Refusal> {
    let parse = |(number, text): (usize, &String)| {
        Component::from_hex(text).map_err(|error| {
            let refusal = Refusal::from(error);
            let by = match refusal.by {
                RefusedBy::CvkHex => RefusedBy::ComponentHex,
                RefusedBy::CvkLength => RefusedBy::ComponentLength,
                other => other,
            };
            Refusal { by, at: refusal.at, detail: of_component(number, &refusal.detail) }
        })
    };
    components.iter().enumerate().map(parse).collect()
}

fn of_component(number: usize, detail: &str) -> String {
    let blank = if detail.is_empty() { "" } else { ", " };
    format!("component {number}{blank}{detail}")
}
