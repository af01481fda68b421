//! What a request asks for.

/// A function of the envelope family. Each has nodes and message functions of its own names.
///
/// [`GetCvv2`](Self::GetCvv2) is the published contract's; [`VerifyCvv2`](Self::VerifyCvv2) is ours,
/// in the same form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Function {
    /// The CVV2 of a card.
    GetCvv2,
    /// Whether a CVV2 is the card's.
    VerifyCvv2,
}

impl Function {
    /// Every function: `function as usize` is its place.
    pub const ALL: [Self; 2] = [Self::GetCvv2, Self::VerifyCvv2];

    /// `msg_function` of a request.
    #[must_use]
    pub const fn request_name(self) -> &'static str {
        match self {
            Self::GetCvv2 => "REQ_GET_CVV2",
            Self::VerifyCvv2 => "REQ_VERIFY_CVV2",
        }
    }

    /// The name of the request's node.
    #[must_use]
    pub const fn request_node(self) -> &'static str {
        match self {
            Self::GetCvv2 => "request_get_cvv2",
            Self::VerifyCvv2 => "request_verify_cvv2",
        }
    }

    /// What its audit records and metrics call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GetCvv2 => "get_cvv2",
            Self::VerifyCvv2 => "verify_cvv2",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_at_its_place() {
        assert!(
            Function::ALL.into_iter().enumerate().all(|(at, function)| function as usize == at)
        );
    }
}
