//! From an answer to bytes.

use std::io;

use cvv2::{Cvv, Verdict};
use cvv2_resolver::CardRefKind;
use serde::Serialize;
use zeroize::Zeroizing;

use super::error_code::ErrorCode;
use super::function::Function;
use super::request::Echo;
use super::text::Text;
use crate::settings::Settings;

/// What an answer says. Its header comes from the request, its body from the card.
pub(crate) struct Response<'a> {
    pub(crate) function: Function,
    pub(crate) echo: Option<&'a Echo<'a>>,
    pub(crate) code: ErrorCode,
    pub(crate) description: &'a str,
    /// Our clock, in the form of the contract.
    pub(crate) date_time: &'a str,
    /// On success, and only then.
    pub(crate) body: Option<ResponseBody<'a>>,
}

/// The body of a successful answer.
pub(crate) struct ResponseBody<'a> {
    /// As it may be shown.
    pub(crate) identifier: &'a str,
    pub(crate) identifier_type: CardRefKind,
    pub(crate) finding: &'a Finding,
    pub(crate) expiry_date: &'a Text<'a>,
}

/// What a function has found out about a card.
pub(crate) enum Finding {
    /// Its CVV2.
    Cvv2(Cvv),
    /// Whether a value is its CVV2.
    Verdict(Verdict),
}

impl Response<'_> {
    /// The JSON document, in a buffer that is wiped when dropped.
    ///
    /// The buffer has the document's length from the start, so no copy is left behind by growing. A
    /// buffer for the longest answer there can be would cost more than the second pass: the
    /// allocator does not keep large pieces at hand, and all of it is wiped.
    pub(crate) fn to_json(&self, settings: &Settings) -> Zeroizing<Vec<u8>> {
        let found = self.body.as_ref().map(|body| match body.finding {
            Finding::Cvv2(cvv2) => (Some(cvv2.expose()), None),
            Finding::Verdict(Verdict::Match) => (None, Some("MATCH")),
            Finding::Verdict(Verdict::Mismatch) => (None, Some("MISMATCH")),
        });
        let response = wire::Response {
            header: self.echo.map(|echo| wire::Header {
                msg_id: expose(echo.msg_id.as_ref()),
                msg_type: expose(echo.msg_type.as_ref()),
                msg_function: settings.response_function.name(self.function),
                src_application: expose(echo.src_application.as_ref()),
                target_application: expose(echo.target_application.as_ref()),
                timestamp: expose(echo.timestamp.as_ref()),
                bank_id: expose(echo.bank_id.as_ref()),
                instance_id: expose(echo.instance_id.as_ref()).unwrap_or(&settings.instance_id),
            }),
            exception_details: wire::ExceptionDetails {
                application_name: &settings.application_name,
                date_time: self.date_time,
                status: self.code.status(),
                error_code: self.code.code(),
                error_description: self.description,
            },
            body: self.body.as_ref().zip(found.as_ref()).map(|(body, (cvv2, verification))| {
                wire::Body {
                    card_identifier_id: body.identifier,
                    card_identifier_type: body.identifier_type.name(),
                    cvv2: cvv2.as_ref().map(cvv2::CvvText::as_str),
                    verification: *verification,
                    expiry_date: body.expiry_date.expose(),
                }
            }),
        };
        let envelope = match self.function {
            Function::GetCvv2 => wire::Envelope::GetCvv2(response),
            Function::VerifyCvv2 => wire::Envelope::VerifyCvv2(response),
        };
        let document = wire::Document { response: envelope };
        let mut length = Length(0);
        serde_json::to_writer(&mut length, &document).expect("strings, counted");
        let mut json = Zeroizing::new(Vec::with_capacity(length.0));
        serde_json::to_writer(&mut *json, &document).expect("strings, written to memory");
        debug_assert_eq!(json.len(), length.0);
        json
    }
}

/// Counts bytes and keeps none.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn expose<'a>(text: Option<&'a Text<'_>>) -> Option<&'a str> {
    text.map(Text::expose)
}

/// The document as it stands on the wire: names and order are those of the published sample.
mod wire {
    use super::Serialize;

    #[derive(Serialize)]
    pub(super) struct Document<'a> {
        #[serde(rename = "NISrvResponse")]
        pub(super) response: Envelope<'a>,
    }

    #[derive(Serialize)]
    pub(super) enum Envelope<'a> {
        #[serde(rename = "response_get_cvv2")]
        GetCvv2(Response<'a>),
        #[serde(rename = "response_verify_cvv2")]
        VerifyCvv2(Response<'a>),
    }

    #[derive(Serialize)]
    pub(super) struct Response<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(super) header: Option<Header<'a>>,
        pub(super) exception_details: ExceptionDetails<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(super) body: Option<Body<'a>>,
    }

    #[derive(Serialize)]
    pub(super) struct Header<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(super) msg_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(super) msg_type: Option<&'a str>,
        pub(super) msg_function: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(super) src_application: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(super) target_application: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(super) timestamp: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(super) bank_id: Option<&'a str>,
        pub(super) instance_id: &'a str,
    }

    #[derive(Serialize)]
    pub(super) struct ExceptionDetails<'a> {
        pub(super) application_name: &'a str,
        pub(super) date_time: &'a str,
        pub(super) status: &'a str,
        pub(super) error_code: &'a str,
        pub(super) error_description: &'a str,
    }

    #[derive(Serialize)]
    pub(super) struct Body<'a> {
        pub(super) card_identifier_id: &'a str,
        pub(super) card_identifier_type: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(super) cvv2: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(super) verification: Option<&'static str>,
        pub(super) expiry_date: &'a str,
    }
}
