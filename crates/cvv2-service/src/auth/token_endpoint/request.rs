//! What a client sends to have a token.

use std::fmt;
use std::net::IpAddr;

use base64ct::{Base64, Encoding};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::TokenEndpoint;
use super::answer::TokenRefusal;

/// A request for a token, as it came over the wire.
#[derive(Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "whoever has the request has all of it")]
pub struct TokenRequest<'a> {
    /// The header `Content-Type`.
    pub content_type: Option<&'a [u8]>,
    /// The header `Authorization`.
    pub authorization: Option<&'a [u8]>,
    /// The body.
    pub body: &'a [u8],
    /// Where it came from, if that is known; only failures are counted by it.
    pub origin: Option<IpAddr>,
}

impl fmt::Debug for TokenRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenRequest([redacted])")
    }
}

/// A request for the client-credentials grant.
pub(super) struct Grant {
    pub(super) client_id: Text,
    pub(super) client_secret: Text,
    pub(super) scope: Option<Text>,
}

type Text = Zeroizing<String>;

impl Grant {
    /// Reads a form or a JSON object (RFC 6749, 4.4.2), with the client's id and secret in it or in
    /// the header (2.3.1), never in both.
    pub(super) fn parse(request: &TokenRequest<'_>) -> Result<Self, TokenRefusal> {
        if request.body.len() > TokenEndpoint::BODY_BYTES_MAX {
            return Err(TokenRefusal::Malformed);
        }
        let fields = match Media::of(request.content_type).ok_or(TokenRefusal::Malformed)? {
            Media::Form => Fields::from_form(request.body),
            Media::Json => Fields::from_json(request.body),
        };
        let fields = fields.ok_or(TokenRefusal::Malformed)?;
        let grant_type = fields.grant_type.ok_or(TokenRefusal::Malformed)?;
        if *grant_type != "client_credentials" {
            return Err(TokenRefusal::GrantType);
        }
        let (client_id, client_secret) = match request.authorization {
            None => (fields.client_id, fields.client_secret),
            Some(header) => {
                let (id, secret) = basic(header).ok_or(TokenRefusal::Malformed)?;
                let named = fields.client_id.is_some_and(|named| *named != *id);
                if named || fields.client_secret.is_some() {
                    return Err(TokenRefusal::Malformed);
                }
                (Some(id), Some(secret))
            }
        };
        let client_id = client_id.ok_or(TokenRefusal::Malformed)?;
        let client_secret = client_secret.ok_or(TokenRefusal::Malformed)?;
        Ok(Self { client_id, client_secret, scope: fields.scope })
    }
}

/// How the body is written.
enum Media {
    Form,
    Json,
}

impl Media {
    fn of(content_type: Option<&[u8]>) -> Option<Self> {
        let content_type = content_type?;
        let name = content_type.split(|b| *b == b';').next()?.trim_ascii();
        if name.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") {
            return Some(Self::Form);
        }
        name.eq_ignore_ascii_case(b"application/json").then_some(Self::Json)
    }
}

/// The fields that there may be; others are ignored (RFC 6749, 3.2).
#[derive(Default)]
struct Fields {
    grant_type: Option<Text>,
    client_id: Option<Text>,
    client_secret: Option<Text>,
    scope: Option<Text>,
}

impl Fields {
    fn from_form(body: &[u8]) -> Option<Self> {
        let mut fields = Self::default();
        for pair in body.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
            let mut halves = pair.splitn(2, |b| *b == b'=');
            let name = unescape(halves.next()?)?;
            let value = unescape(halves.next().unwrap_or_default())?;
            let field = match name.as_str() {
                "grant_type" => &mut fields.grant_type,
                "client_id" => &mut fields.client_id,
                "client_secret" => &mut fields.client_secret,
                "scope" => &mut fields.scope,
                _ => continue,
            };
            // Nothing may come twice, and what is empty counts as left out.
            if field.is_some() {
                return None;
            }
            *field = Some(value);
        }
        Some(fields.without_empty())
    }

    fn from_json(body: &[u8]) -> Option<Self> {
        /// Texts without escapes: those would be unescaped in memory that nobody wipes.
        #[derive(Deserialize)]
        struct Body<'a> {
            grant_type: Option<&'a str>,
            client_id: Option<&'a str>,
            client_secret: Option<&'a str>,
            scope: Option<&'a str>,
        }
        // A name that comes twice is refused.
        let body: Body<'_> = serde_json::from_slice(body).ok()?;
        let own = |text: Option<&str>| text.map(|text| Zeroizing::new(text.to_owned()));
        let fields = Self {
            grant_type: own(body.grant_type),
            client_id: own(body.client_id),
            client_secret: own(body.client_secret),
            scope: own(body.scope),
        };
        Some(fields.without_empty())
    }

    fn without_empty(self) -> Self {
        let some = |field: Option<Text>| field.filter(|text| !text.is_empty());
        Self {
            grant_type: some(self.grant_type),
            client_id: some(self.client_id),
            client_secret: some(self.client_secret),
            scope: some(self.scope),
        }
    }
}

/// Id and secret of a header of HTTP Basic, both escaped as in a form.
fn basic(header: &[u8]) -> Option<(Text, Text)> {
    let (scheme, credentials) = header.split_at_checked(BASIC.len())?;
    if !scheme.eq_ignore_ascii_case(BASIC) || credentials.first() != Some(&b' ') {
        return None;
    }
    let credentials = credentials.trim_ascii();
    let mut bytes = Zeroizing::new(vec![0; credentials.len()]);
    let decoded = Base64::decode(credentials, &mut bytes).ok()?;
    let colon = decoded.iter().position(|b| *b == b':')?;
    Some((unescape(&decoded[..colon])?, unescape(&decoded[colon + 1..])?))
}

/// A text without the escapes of a form.
fn unescape(escaped: &[u8]) -> Option<Text> {
    // As long as it can get, so that nothing is moved while it grows.
    let mut bytes = Zeroizing::new(Vec::with_capacity(escaped.len()));
    let mut rest = escaped;
    while let Some((first, after)) = rest.split_first() {
        let (byte, after) = match first {
            b'+' => (b' ', after),
            b'%' => {
                let (digits, after) = after.split_at_checked(2)?;
                let mut byte = [0];
                hex::decode_to_slice(digits, &mut byte).ok()?;
                (byte[0], after)
            }
            byte => (*byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    Some(Zeroizing::new(str::from_utf8(&bytes).ok()?.to_owned()))
}

const BASIC: &[u8] = b"Basic";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(
        content_type: &str,
        authorization: Option<&str>,
        body: &str,
    ) -> Result<(String, String, Option<String>), TokenRefusal> {
        let grant = Grant::parse(&TokenRequest {
            content_type: Some(content_type.as_bytes()),
            authorization: authorization.map(str::as_bytes),
            body: body.as_bytes(),
            origin: None,
        })?;
        let text = |text: Text| text.as_str().to_owned();
        Ok((text(grant.client_id), text(grant.client_secret), grant.scope.map(text)))
    }

    const FORM: &str = "application/x-www-form-urlencoded";
    const JSON: &str = "application/json";

    #[test]
    fn every_way_to_say_it_says_the_same() {
        let basic = |text: &str| format!("Basic {}", Base64::encode_string(text.as_bytes()));
        let id_and_secret = basic("acme-ivr:s%2B+%C3%A9");
        for (content_type, authorization, body) in [
            (
                FORM,
                None,
                "grant_type=client_credentials&client_id=acme-ivr&client_secret=s%2B+%C3%A9",
            ),
            (
                FORM,
                None,
                "client_secret=s%2b%20%c3%a9&x=1&client_id=acme%2Divr&scope=&grant_type=client_credentials&",
            ),
            (
                "Application/X-WWW-Form-Urlencoded; charset=utf-8",
                Some(&*id_and_secret),
                "grant_type=client_credentials",
            ),
            (FORM, Some(&*id_and_secret), "grant_type=client_credentials&client_id=acme-ivr"),
            (JSON, Some(&*id_and_secret), r#"{"grant_type":"client_credentials"}"#),
            (
                JSON,
                None,
                r#"{"grant_type":"client_credentials","client_id":"acme-ivr","client_secret":"s+ é","scope":null,"x":[1]}"#,
            ),
        ] {
            let (id, secret, scope) = parse(content_type, authorization, body).unwrap();
            assert_eq!((&*id, &*secret, scope), ("acme-ivr", "s+ é", None), "{body}");
        }
        let scope = parse(
            JSON,
            Some(&*id_and_secret),
            r#"{"grant_type":"client_credentials","scope":"a b"}"#,
        );
        assert_eq!(scope.unwrap().2.as_deref(), Some("a b"));
    }

    #[test]
    fn what_is_said_twice_or_not_at_all_is_refused() {
        let whole = "grant_type=client_credentials&client_id=a&client_secret=b";
        let basic = format!("Basic {}", Base64::encode_string(b"a:b"));
        let long = format!("{whole}&x={}", "0".repeat(TokenEndpoint::BODY_BYTES_MAX));
        for (content_type, authorization, body) in [
            ("text/plain", None, whole),
            ("", None, whole),
            (JSON, None, whole),
            (FORM, None, ""),
            (FORM, None, &long),
            (FORM, None, &whole[..whole.len() - 1]),
            (FORM, None, "grant_type=client_credentials&client_id=a"),
            (FORM, None, "client_id=a&client_secret=b"),
            (FORM, None, &format!("{whole}&client_id=a")),
            (FORM, None, &format!("{whole}&grant_type=client_credentials")),
            (FORM, None, &format!("{whole}%2")),
            (FORM, None, &format!("{whole}%zz")),
            (FORM, None, &format!("{whole}%ff")),
            (FORM, Some(&*basic), whole),
            (FORM, Some(&*basic), "grant_type=client_credentials&client_id=other"),
            (FORM, Some("Bearer x"), whole),
            (FORM, Some("Basic"), whole),
            (FORM, Some("Basic YQ=="), "grant_type=client_credentials"),
            (FORM, Some("Basic !"), "grant_type=client_credentials"),
            (
                JSON,
                None,
                r#"{"grant_type":"client_credentials","client_id":"a","client_id":"a","client_secret":"b"}"#,
            ),
            (
                JSON,
                None,
                r#"{"grant_type":"client_credentials","client_id":1,"client_secret":"b"}"#,
            ),
            (
                JSON,
                None,
                r#"{"grant_type":"client_credentials","client_id":"\u0061","client_secret":"b"}"#,
            ),
            (JSON, None, "[]"),
        ] {
            let refused = parse(content_type, authorization, body);
            assert_eq!(refused.unwrap_err(), TokenRefusal::Malformed, "{content_type} {body}");
        }
        for grant in ["password", "authorization_code", "CLIENT_CREDENTIALS"] {
            let body = format!("grant_type={grant}&client_id=a&client_secret=b");
            assert_eq!(parse(FORM, None, &body).unwrap_err(), TokenRefusal::GrantType);
        }
    }
}
