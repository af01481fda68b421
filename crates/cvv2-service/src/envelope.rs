//! The envelope: what callers send, what they get, and what is refused by which code.
//!
//! Liberal in what is accepted, strict in what is sent, and never a guess about a secret.
//!
//! The published contract has one [`Function`], Get CVV2. Verify CVV2 is ours: the same header and
//! body under names of its own, with a field `cvv2` in the request and `verification` in the answer,
//! which is `MATCH` or `MISMATCH`.
//!
//! # Which error wins
//!
//! A request may be wrong in several ways; the answer names the first in this order:
//!
//! 1. size, then JSON with its duplicate keys (101): nothing is believed of a document that is
//!    broken anywhere, so there is no header to echo either;
//! 2. the nodes `NISrvRequest`, `request_get_cvv2` (or that of another function), `header` (101:
//!    absent, null or no object);
//! 3. the header's fields in the order of [`Field`];
//! 4. the node `body` (101);
//! 5. the body's fields in the order of [`Field`], with one exception: whether `card_identifier_id`
//!    is a good reference (107) depends on its type and is asked after `card_identifier_type`.
//!
//! Within a field: present and not null or blank (102 if it is mandatory), a string, short enough,
//! of the right characters (103), its own rule (104 to 108).
//!
//! # What is echoed
//!
//! An echoed field comes back as the characters that were received, untrimmed, in their case; only
//! the JSON spelling (`\/` or `/`, an integer `msg_id`) is ours. When a request is refused, the
//! header of the answer holds each field that was read and kept its rule, and leaves out the
//! others; without a header that could be read the answer has `exception_details` alone.
//!
//! # Readings of the contract
//!
//! - `null` is absence everywhere: a mandatory field that is null is missing.
//! - A mandatory field of blanks only is missing. An optional one is taken as it is.
//! - Maxima count characters (Unicode scalar values) of what was received, before any trimming.
//! - Control characters are refused in every field; they have no place in an audit record.
//! - A byte order mark is no JSON.

mod error_code;
mod field;
mod function;
mod json;
mod malformed;
mod request;
mod response;
mod text;
mod timestamp;

pub use error_code::ErrorCode;
pub use field::{Field, Node};
pub use function::Function;
pub use malformed::Malformed;
pub use request::{Echo, Request, Seen, Task};
pub(crate) use response::{Finding, Response, ResponseBody};
pub use text::Text;
