//! From an answer to bytes.

use std::io::{self, Write};

use cvv2::{Cvv, Verdict};
use cvv2_resolver::CardRefKind;
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
    /// The document is written twice, first only to learn its length: so the buffer has that from
    /// the start, and no copy is left behind by growing. A buffer for the longest answer there can
    /// be would cost more: the allocator does not keep large pieces at hand, and all of it is wiped.
    pub(crate) fn to_json(&self, settings: &Settings) -> Zeroizing<Vec<u8>> {
        let mut length = Length(0);
        self.write(settings, &mut length);
        let mut json = Zeroizing::new(Vec::with_capacity(length.0));
        self.write(settings, &mut *json);
        debug_assert_eq!(json.len(), length.0);
        json
    }

    /// Writes the document as it stands on the wire: names and order are those of the published
    /// sample.
    fn write(&self, settings: &Settings, out: &mut impl Write) {
        let mut json = JsonWriter { out, is_first: true };
        json.open("NISrvResponse");
        json.open(match self.function {
            Function::GetCvv2 => "response_get_cvv2",
            Function::VerifyCvv2 => "response_verify_cvv2",
        });
        if let Some(echo) = self.echo {
            json.open("header");
            json.echo("msg_id", echo.msg_id.as_ref());
            json.echo("msg_type", echo.msg_type.as_ref());
            json.text("msg_function", settings.response_function.name(self.function));
            json.echo("src_application", echo.src_application.as_ref());
            json.echo("target_application", echo.target_application.as_ref());
            json.echo("timestamp", echo.timestamp.as_ref());
            json.echo("bank_id", echo.bank_id.as_ref());
            let instance_id = echo.instance_id.as_ref().map(Text::expose);
            json.text("instance_id", instance_id.unwrap_or(&settings.instance_id));
            json.close();
        }
        json.open("exception_details");
        json.text("application_name", &settings.application_name);
        json.text("date_time", self.date_time);
        json.text("status", self.code.status());
        json.text("error_code", self.code.code());
        json.text("error_description", self.description);
        json.close();
        if let Some(body) = &self.body {
            json.open("body");
            json.text("card_identifier_id", body.identifier);
            json.text("card_identifier_type", body.identifier_type.name());
            match body.finding {
                Finding::Cvv2(cvv2) => json.text("cvv2", cvv2.expose().as_str()),
                Finding::Verdict(Verdict::Match) => json.text("verification", "MATCH"),
                Finding::Verdict(Verdict::Mismatch) => json.text("verification", "MISMATCH"),
            }
            json.text("expiry_date", body.expiry_date.expose());
            json.close();
        }
        json.close();
        json.close();
        json.put("}");
    }
}

/// Writes an object member by member, without white space.
///
/// Names need no escape, and hardly any text does.
struct JsonWriter<'a, W> {
    out: &'a mut W,
    /// Whether nothing stands before the next member.
    is_first: bool,
}

impl<W: Write> JsonWriter<'_, W> {
    /// Begins a member that is an object.
    fn open(&mut self, name: &str) {
        self.name(name);
        self.is_first = true;
    }

    /// Ends the object that was begun last.
    fn close(&mut self) {
        self.put("}");
        self.is_first = false;
    }

    /// A member that is a text.
    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        if is_plain(text) {
            self.put("\"");
            self.put(text);
            self.put("\"");
        } else {
            serde_json::to_writer(&mut *self.out, text).expect(WRITTEN);
        }
        self.is_first = false;
    }

    /// A member that is there if it was in the request.
    fn echo(&mut self, name: &str, text: Option<&Text<'_>>) {
        if let Some(text) = text {
            self.text(name, text.expose());
        }
    }

    fn name(&mut self, name: &str) {
        self.put(if self.is_first { "{\"" } else { ",\"" });
        self.put(name);
        self.put("\":");
    }

    fn put(&mut self, json: &str) {
        self.out.write_all(json.as_bytes()).expect(WRITTEN);
    }
}

const WRITTEN: &str = "memory takes all that is written";

/// Whether a string of JSON has the text as it is. It looks at all of it, several bytes at a time.
fn is_plain(text: &str) -> bool {
    let needs_no_escape = |byte| byte >= b' ' && byte != b'"' && byte != b'\\';
    text.bytes().fold(true, |all, byte| all & needs_no_escape(byte))
}

/// Counts bytes and keeps none.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use cvv2::CvvLength;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn is_there(text: &str, present: bool) -> Option<Text<'_>> {
        present.then(|| text.into())
    }

    proptest! {
        /// Whatever the texts are, it is what serde writes but for the order of the members, which
        /// is that of the published sample.
        #[test]
        fn it_is_a_document_with_these_texts(
            texts in prop::array::uniform13(any::<String>()),
            present in prop::array::uniform7(any::<bool>()),
            has_header: bool,
            finding in prop::sample::select(vec!["", "123", "MATCH", "MISMATCH"]),
            function in prop::sample::select(Function::ALL.to_vec()),
        ) {
            let [name, instance, date_time, description, identifier, expiry_date, echoed @ ..] =
                texts.each_ref().map(String::as_str);
            let settings = Settings {
                application_name: name.to_owned(),
                instance_id: instance.to_owned(),
                ..Settings::default()
            };
            let mut echoed = echoed.iter().zip(present).map(|(text, there)| is_there(text, there));
            let mut echoed = || echoed.next().expect("as many as there are fields");
            let echo = Echo {
                msg_id: echoed(),
                msg_type: echoed(),
                src_application: echoed(),
                target_application: echoed(),
                timestamp: echoed(),
                bank_id: echoed(),
                instance_id: echoed(),
            };
            let found = match finding {
                "MATCH" => Some(Finding::Verdict(Verdict::Match)),
                "MISMATCH" => Some(Finding::Verdict(Verdict::Mismatch)),
                _ => Cvv::parse(finding, CvvLength::THREE).ok().map(Finding::Cvv2),
            };
            let expiry_date = Text::from(expiry_date);
            let body = found.as_ref().map(|finding| ResponseBody {
                identifier,
                identifier_type: CardRefKind::Exid,
                finding,
                expiry_date: &expiry_date,
            });
            let response = Response {
                function,
                echo: has_header.then_some(&echo),
                code: ErrorCode::Success,
                description,
                date_time,
                body,
            };
            let written = response.to_json(&settings);
            prop_assert_eq!(written.capacity(), written.len());

            let mut expected = json!({
                "exception_details": {
                    "application_name": name,
                    "date_time": date_time,
                    "status": "S",
                    "error_code": "000",
                    "error_description": description,
                },
            });
            if has_header {
                let text = |text: &Option<Text<'_>>| text.as_ref().map(|t| t.expose().to_owned());
                let mut header = json!({
                    "msg_id": text(&echo.msg_id),
                    "msg_type": text(&echo.msg_type),
                    "msg_function": settings.response_function.name(function),
                    "src_application": text(&echo.src_application),
                    "target_application": text(&echo.target_application),
                    "timestamp": text(&echo.timestamp),
                    "bank_id": text(&echo.bank_id),
                    "instance_id": text(&echo.instance_id).unwrap_or(instance.to_owned()),
                });
                header.as_object_mut().unwrap().retain(|_, value| !value.is_null());
                expected["header"] = header;
            }
            if found.is_some() {
                let name = if finding == "123" { "cvv2" } else { "verification" };
                expected["body"] = json!({
                    "card_identifier_id": identifier,
                    "card_identifier_type": "EXID",
                    name: finding,
                    "expiry_date": expiry_date.expose(),
                });
            }
            let node = match function {
                Function::GetCvv2 => "response_get_cvv2",
                Function::VerifyCvv2 => "response_verify_cvv2",
            };
            let expected = json!({ "NISrvResponse": { node: expected } });
            let read: serde_json::Value = serde_json::from_slice(&written).unwrap();
            prop_assert_eq!(&read, &expected);
            // The same spelling, too.
            prop_assert_eq!(written.len(), expected.to_string().len());
        }
    }
}
