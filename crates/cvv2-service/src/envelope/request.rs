//! From bytes to a parsed request.

use cvv2::{Cvv, CvvLength, Expiry};
use cvv2_resolver::{BankId, CardRef, CardRefKind, ContractNumber, Exid};
use time::OffsetDateTime;

use super::field::{Field, Node};
use super::function::Function;
use super::json::{Json, Object};
use super::malformed::Malformed;
use super::text::Text;
use super::timestamp;
use crate::settings::Settings;

/// A request that keeps every rule that can be checked without looking for the card.
#[derive(Debug)]
#[non_exhaustive]
pub struct Request<'a> {
    /// When the request was made, by the sender's clock.
    pub timestamp: OffsetDateTime,
    /// The bank whose card it is. Nobody has asked yet whether the caller may name it.
    pub bank: BankId,
    /// The card's reference.
    pub card: CardRef,
    /// The expiry of the plastic.
    pub expiry: Expiry,
    /// The expiry as it was received, to be echoed.
    pub expiry_date: Text<'a>,
    /// What the function does with the card.
    pub task: Task,
}

/// A function, with what it needs besides a card.
#[derive(Debug)]
#[non_exhaustive]
pub enum Task {
    /// Get the CVV2.
    Get,
    /// Verify this value.
    Verify(Cvv),
}

impl<'a> Request<'a> {
    /// The most bytes a request may have: 16 KiB.
    pub const BYTES_MAX: usize = 16 * 1024;

    /// Reads a request of a function, and gives what the answer and the audit record need of it in
    /// any case.
    ///
    /// # Errors
    ///
    /// The second value is [`Malformed`] with the first thing that is wrong, in the order that
    /// [`envelope`](super) defines.
    pub fn parse(
        function: Function,
        document: &'a [u8],
        settings: &Settings,
    ) -> (Seen<'a>, Result<Self, Malformed>) {
        let mut seen = Seen::default();
        let request = read(function, document, settings, &mut seen);
        (seen, request)
    }
}

/// What was read of a request, whether it is accepted or not.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Seen<'a> {
    /// What the answer's header echoes; `None` if there is no header that could be read.
    pub echo: Option<Echo<'a>>,
    /// For the audit record.
    pub tracking_id: Option<Text<'a>>,
    /// How many members the contract does not know, as far as the request was read. What is inside
    /// of an unknown member is not counted again.
    pub unknown_fields: usize,
}

/// The fields of a header that the answer echoes, each exactly as it was received.
///
/// A field that is absent or broke its rule is `None` and does not come back: what is over-long is
/// never cut, and a card number in the place of a timestamp is not repeated.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the fields of the contract")]
#[non_exhaustive]
pub struct Echo<'a> {
    pub msg_id: Option<Text<'a>>,
    pub msg_type: Option<Text<'a>>,
    pub src_application: Option<Text<'a>>,
    pub target_application: Option<Text<'a>>,
    pub timestamp: Option<Text<'a>>,
    pub bank_id: Option<Text<'a>>,
    pub instance_id: Option<Text<'a>>,
}

/// Reads the envelope from the outside in.
fn read<'a>(
    function: Function,
    document: &'a [u8],
    settings: &Settings,
    seen: &mut Seen<'a>,
) -> Result<Request<'a>, Malformed> {
    if document.len() > Request::BYTES_MAX {
        return Err(Malformed::TooLarge { bytes_max: Request::BYTES_MAX });
    }
    let document = Json::parse(document).map_err(|error| {
        let (line, column) = (error.line, error.column);
        if error.duplicate_key {
            Malformed::DuplicateKey { line, column }
        } else {
            Malformed::NotJson { line, column }
        }
    })?;
    let mut document = object(Some(document), Node::Document)?;
    let envelope = document.take(Node::NiSrvRequest.name());
    seen.unknown_fields += document.left();
    let mut envelope = object(envelope, Node::NiSrvRequest)?;
    let node = Node::Request(function);
    let request = envelope.take(node.name());
    seen.unknown_fields += envelope.left();
    let mut request = object(request, node)?;
    let header = request.take(Node::Header.name());
    let body = request.take(Node::Body.name());
    seen.unknown_fields += request.left();
    let header = read_header(function, object(header, Node::Header)?, settings, seen)?;
    let body = read_body(function, object(body, Node::Body)?, settings, seen)?;
    Ok(Request {
        timestamp: header.timestamp,
        bank: header.bank,
        card: body.card,
        expiry: body.expiry,
        expiry_date: body.expiry_date,
        task: body.task,
    })
}

struct Header {
    timestamp: OffsetDateTime,
    bank: BankId,
}

/// Reads all of a header, even where one of its fields is wrong, and reports the first that is.
fn read_header<'a>(
    function: Function,
    mut fields: Object<'a>,
    settings: &Settings,
    seen: &mut Seen<'a>,
) -> Result<Header, Malformed> {
    let fields = &mut fields;
    let mut wrong = FirstWrong(None);
    let msg_id = wrong.note(mandatory(fields, Field::MsgId, anything));
    let msg_type = wrong.note(mandatory(fields, Field::MsgType, supported_type));
    wrong.note(mandatory(fields, Field::MsgFunction, |text| {
        let expected = trim(text) == function.request_name();
        expected.then_some(()).ok_or(Malformed::MsgFunction(function))
    }));
    let src_application = wrong.note(mandatory(fields, Field::SrcApplication, anything));
    let target_application = wrong.note(mandatory(fields, Field::TargetApplication, anything));
    let timestamp = wrong.note(mandatory(fields, Field::Timestamp, |text| {
        timestamp::parse(text, settings.utc_offset).ok_or(Malformed::Timestamp)
    }));
    seen.tracking_id = wrong.note(optional(fields, Field::TrackingId)).flatten();
    let bank = wrong.note(mandatory(fields, Field::BankId, |text| {
        BankId::parse(text).map_err(|_| Malformed::Characters(Field::BankId))
    }));
    let instance_id = wrong.note(optional(fields, Field::InstanceId)).flatten();
    seen.unknown_fields += fields.left();

    let (timestamp_text, timestamp) = timestamp.unzip();
    let (bank_id, bank) = bank.unzip();
    seen.echo = Some(Echo {
        msg_id: msg_id.map(text_of),
        msg_type: msg_type.map(text_of),
        src_application: src_application.map(text_of),
        target_application: target_application.map(text_of),
        timestamp: timestamp_text,
        bank_id,
        instance_id,
    });
    match (wrong.0, timestamp, bank) {
        (None, Some(timestamp), Some(bank)) => Ok(Header { timestamp, bank }),
        (wrong, ..) => Err(wrong.expect("a mandatory field that has no value was noted as wrong")),
    }
}

struct Body<'a> {
    card: CardRef,
    expiry: Expiry,
    expiry_date: Text<'a>,
    task: Task,
}

/// Reads a body up to the first field that is wrong. The kind of the reference says how to read it;
/// so the identifier's own rule comes after the kind.
fn read_body<'a>(
    function: Function,
    mut fields: Object<'a>,
    settings: &Settings,
    seen: &mut Seen<'a>,
) -> Result<Body<'a>, Malformed> {
    let id = mandatory(&mut fields, Field::CardIdentifierId, graphic);
    let kind = mandatory(&mut fields, Field::CardIdentifierType, kind_of_reference);
    let expiry = mandatory(&mut fields, Field::ExpiryDate, |text| {
        Expiry::parse_yymm(text).map_err(Malformed::Expiry)
    });
    let task = match function {
        Function::GetCvv2 => Ok(Task::Get),
        Function::VerifyCvv2 => mandatory(&mut fields, Field::Cvv2, |text| {
            Cvv::parse(text, CvvLength::THREE).map_err(Malformed::Cvv2)
        })
        .map(|(_, cvv)| Task::Verify(cvv)),
    };
    seen.unknown_fields += fields.left();

    let (id, ()) = id?;
    let (_, kind) = kind?;
    let id = id.expose();
    let card = match kind {
        CardRefKind::ContractNumber => {
            ContractNumber::parse(id).map_err(Malformed::ContractNumber)?.into()
        }
        CardRefKind::Exid => Exid::parse(id, settings.exid_form).map_err(Malformed::Exid)?.into(),
    };
    let (expiry_date, expiry) = expiry?;
    Ok(Body { card, expiry, expiry_date, task: task? })
}

/// The first thing that is wrong, while reading goes on.
struct FirstWrong(Option<Malformed>);

impl FirstWrong {
    fn note<T>(&mut self, result: Result<T, Malformed>) -> Option<T> {
        result.map_err(|malformed| self.0.get_or_insert(malformed)).ok()
    }
}

/// A node of the envelope, which has to be an object.
fn object(node: Option<Json<'_>>, name: Node) -> Result<Object<'_>, Malformed> {
    match node {
        Some(Json::Object(object)) => Ok(object),
        // A document that is `null` is there, but no object.
        None | Some(Json::Null) if name != Node::Document => Err(Malformed::NodeMissing(name)),
        _ => Err(Malformed::NotAnObject(name)),
    }
}

/// A mandatory field, as it was received, and what `rule` makes of it.
fn mandatory<'a, T>(
    fields: &mut Object<'a>,
    field: Field,
    rule: impl FnOnce(&str) -> Result<T, Malformed>,
) -> Result<(Text<'a>, T), Malformed> {
    let text = optional(fields, field)?
        .filter(|text| !trim(text.expose()).is_empty())
        .ok_or(Malformed::Missing(field))?;
    let value = rule(text.expose())?;
    Ok((text, value))
}

/// A field that may be absent or null, as it was received.
fn optional<'a>(fields: &mut Object<'a>, field: Field) -> Result<Option<Text<'a>>, Malformed> {
    let text = match fields.take(field.name()) {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::Text(text)) => text,
        Some(Json::Integer(text)) if field.takes_integer() => text,
        Some(_) => return Err(Malformed::NotAString(field)),
    };
    let (bytes, chars) = (text.expose().as_bytes(), || text.expose().chars());
    // A character is one byte or more.
    if bytes.len() > field.chars_max() && chars().count() > field.chars_max() {
        return Err(Malformed::TooLong(field));
    }
    if !bytes.iter().all(|byte| matches!(byte, b' '..=b'~')) && chars().any(char::is_control) {
        return Err(Malformed::Characters(field));
    }
    Ok(Some(text))
}

#[expect(clippy::unnecessary_wraps, reason = "it stands where a rule stands")]
fn anything(_: &str) -> Result<(), Malformed> {
    Ok(())
}

fn supported_type(text: &str) -> Result<(), Malformed> {
    matches!(text, "TRANSACTION" | "ENQUIRY").then_some(()).ok_or(Malformed::MsgType)
}

/// Printable ASCII without blanks: what any kind of card reference is made of.
fn graphic(text: &str) -> Result<(), Malformed> {
    let field = Field::CardIdentifierId;
    text.bytes().all(|b| b.is_ascii_graphic()).then_some(()).ok_or(Malformed::Characters(field))
}

fn kind_of_reference(text: &str) -> Result<CardRefKind, Malformed> {
    [CardRefKind::ContractNumber, CardRefKind::Exid]
        .into_iter()
        .find(|kind| trim(text).eq_ignore_ascii_case(kind.name()))
        .ok_or(Malformed::IdentifierType)
}

/// Without outer blanks; other white space is a control character or no blank to anyone.
fn trim(text: &str) -> &str {
    text.trim_matches(' ')
}

fn text_of((text, ()): (Text<'_>, ())) -> Text<'_> {
    text
}
