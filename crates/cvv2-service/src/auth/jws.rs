//! A token as it is sent: a JWT in JWS compact form (RFC 7515, 7519).

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::error::AuthError;
use super::object;
use crate::certificate_fingerprint::CertificateFingerprint;

/// A token that was read; nothing of it is true before its signature was verified.
pub(super) struct Jws<'a> {
    pub(super) header: Header,
    pub(super) claims: Claims,
    /// What is signed.
    pub(super) message: &'a [u8],
    /// The signature, in base64url.
    pub(super) signature: &'a str,
}

/// What a token says of how it is signed.
pub(super) struct Header {
    /// The algorithm's name.
    pub(super) algorithm: String,
    /// Which of the issuer's keys.
    pub(super) key_id: Option<String>,
    /// The type of token, in lower case and without `application/`.
    pub(super) kind: Option<String>,
}

impl<'a> Jws<'a> {
    pub(super) fn parse(token: &'a str) -> Result<Self, AuthError> {
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(AuthError::Malformed);
        };
        let message = &token.as_bytes()[..header.len() + 1 + claims.len()];
        let (header, claims) = (Header::parse(object_of(header)?)?, Claims(object_of(claims)?));
        Ok(Self { header, claims, message, signature })
    }
}

impl Header {
    fn parse(mut header: Map<String, Value>) -> Result<Self, AuthError> {
        // Extensions that must be understood (RFC 7515, 4.1.11): we have none.
        if header.contains_key("crit") {
            return Err(AuthError::Header);
        }
        let mut text = |name: &str| match header.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(AuthError::Malformed),
        };
        let kind = text("typ")?.map(|kind| {
            let kind = kind.to_ascii_lowercase();
            kind.strip_prefix("application/").map_or(kind.clone(), str::to_owned)
        });
        Ok(Self {
            algorithm: text("alg")?.ok_or(AuthError::Malformed)?,
            key_id: text("kid")?,
            kind,
        })
    }
}

/// What a token says of its bearer.
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    /// A claim that is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A claim that is a moment, in seconds of 1970; with `up` a fraction counts as a second.
    pub(super) fn moment(&self, name: &str, up: bool) -> Result<Option<i64>, AuthError> {
        let Some(claim) = self.0.get(name) else { return Ok(None) };
        let moment = claim.as_i64().or_else(|| {
            let seconds = claim.as_f64().filter(|seconds| seconds.abs() < 1e15)?;
            let whole = if up { seconds.ceil() } else { seconds.floor() };
            #[expect(clippy::cast_possible_truncation, reason = "whole, and within the range")]
            Some(whole as i64)
        });
        moment.map(Some).ok_or(AuthError::Claims)
    }

    /// Whether the token is for this audience, perhaps among others.
    pub(super) fn is_for(&self, audience: &str) -> bool {
        match self.0.get("aud") {
            Some(Value::String(only)) => only == audience,
            Some(Value::Array(several)) => several.iter().any(|one| one == audience),
            _ => false,
        }
    }

    /// A claim that is a list of texts, or one text with spaces between them.
    pub(super) fn words(&self, name: &str) -> Result<Vec<&str>, AuthError> {
        let words: Vec<&str> = match self.0.get(name) {
            None => Vec::new(),
            Some(Value::String(text)) => text.split_ascii_whitespace().collect(),
            Some(Value::Array(list)) => {
                list.iter().map(Value::as_str).collect::<Option<_>>().ok_or(AuthError::Claims)?
            }
            Some(_) => return Err(AuthError::Claims),
        };
        if words.len() > WORDS_MAX { Err(AuthError::Claims) } else { Ok(words) }
    }

    /// The certificate that the token is bound to (RFC 8705, 3.1), if it is bound to anything. What
    /// is bound in a way that we cannot check counts with nobody.
    pub(super) fn certificate(&self) -> Result<Option<CertificateFingerprint>, AuthError> {
        let Some(bound) = self.0.get("cnf") else { return Ok(None) };
        let thumbprint = bound.get("x5t#S256").and_then(Value::as_str).ok_or(AuthError::Claims)?;
        CertificateFingerprint::from_thumbprint(thumbprint).map(Some).ok_or(AuthError::Claims)
    }
}

fn object_of(part: &str) -> Result<Map<String, Value>, AuthError> {
    let mut json = Zeroizing::new(vec![0; part.len()]);
    let json = Base64UrlUnpadded::decode(part, &mut json).map_err(|_| AuthError::Malformed)?;
    object::parse(json).ok_or(AuthError::Malformed)
}

/// The most banks or scopes of a token.
const WORDS_MAX: usize = 1_000;
