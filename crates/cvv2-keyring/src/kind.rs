//! Which of a card's verification values a key is for.

use std::fmt;

use cvv2::ServiceCode;

/// One of the three values of a card. Issuers keep a key for each of them, or one for several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a card has three static values")]
pub enum Kind {
    /// On the magnetic stripe, under the stripe's own service code: CVV, CVC1, CAV, CVN.
    Cvv,
    /// Printed on the card, service code `000`: CVV2, CVC2, CAV2, CVN2.
    Cvv2,
    /// In the chip's track-2 equivalent data, service code `999`: iCVV, Chip CVC.
    Icvv,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Cvv, Self::Cvv2, Self::Icvv];

    /// `cvv`, `cvv2` or `icvv`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cvv => "cvv",
            Self::Cvv2 => "cvv2",
            Self::Icvv => "icvv",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The kind of the value that is computed with this service code.
    ///
    /// ```
    /// use cvv2::ServiceCode;
    /// use cvv2_keyring::Kind;
    ///
    /// assert_eq!(Kind::of(&ServiceCode::parse("000")?), Kind::Cvv2);
    /// assert_eq!(Kind::of(&ServiceCode::parse("201")?), Kind::Cvv);
    /// # Ok::<(), cvv2::ServiceCodeError>(())
    /// ```
    #[must_use]
    pub fn of(service_code: &ServiceCode) -> Self {
        if *service_code == ServiceCode::CVV2 {
            Self::Cvv2
        } else if *service_code == ServiceCode::ICVV {
            Self::Icvv
        } else {
            Self::Cvv
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_kinds() {
        for kind in Kind::ALL {
            assert_eq!(Kind::by_name(kind.name()), Some(kind));
        }
        assert_eq!(Kind::by_name("CVV"), None);
    }

    #[test]
    fn two_service_codes_make_their_own_kinds() {
        let of = |code| Kind::of(&ServiceCode::parse(code).unwrap());
        assert_eq!([of("000"), of("999")], [Kind::Cvv2, Kind::Icvv]);
        for code in ["001", "101", "201", "998", "099"] {
            assert_eq!(of(code), Kind::Cvv);
        }
    }
}
