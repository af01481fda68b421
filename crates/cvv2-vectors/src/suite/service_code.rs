//! `service_code.json`: what is a service code, and which value it makes.

use cvv2::{Kernel, ServiceCode};
use serde::Deserialize;

use super::{Ask, Attempt};
use crate::file::{Head, Source, VectorTest, present, vector_group, vector_test};
use crate::outcome::{Refusal, length_detail};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceCodes {
    source: Source,
    tests: Vec<ServiceCodeTest>,
}

vector_group!(ServiceCodes, ServiceCodeTest);

vector_test! {
    ServiceCodeTest {
        service_code: String,
        #[serde(default, deserialize_with = "present")]
        kind: Option<Kind>,
    }
}

/// What a service code makes the value.
#[derive(Clone, Copy, Deserialize)]
enum Kind {
    #[serde(rename = "CVV")]
    Cvv,
    #[serde(rename = "CVV2")]
    Cvv2,
    #[serde(rename = "iCVV")]
    Icvv,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Cvv => "CVV",
            Self::Cvv2 => "CVV2",
            Self::Icvv => "iCVV",
        }
    }

    fn of(code: &ServiceCode) -> Self {
        match code {
            code if *code == ServiceCode::CVV2 => Self::Cvv2,
            code if *code == ServiceCode::ICVV => Self::Icvv,
            _ => Self::Cvv,
        }
    }
}

impl VectorTest for ServiceCodeTest {
    fn head(&self) -> Head<'_> {
        self.shared()
    }

    fn answer(&self) -> Vec<Option<String>> {
        vec![self.kind.map(|kind| kind.name().to_owned())]
    }

    fn refusal_detail(&self) -> String {
        length_detail(self.refused_by, &self.service_code)
    }
}

impl Ask for ServiceCodes {
    fn ask(&self, test: &ServiceCodeTest, _kernels: &[Kernel]) -> Vec<Attempt> {
        let got = ServiceCode::parse(&test.service_code)
            .map(|code| Kind::of(&code).name())
            .map_err(Refusal::from);
        vec![Attempt::new("ServiceCode::parse", test.expected(), got)]
    }
}
