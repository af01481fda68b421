//! Why a request is not from anybody that we know.

use std::fmt;

/// Why no caller was found for a request, for the audit record and the operator.
///
/// Whoever asked gets one answer for all of them: status 401, the body of the contract's code 201,
/// and the header [`WWW_AUTHENTICATE`](Self::WWW_AUTHENTICATE). Nothing of the token is in here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthError {
    /// There is no `Authorization` header.
    Missing,
    /// The header is no bearer token.
    NotBearer,
    /// The token is longer than [`Authenticator::TOKEN_BYTES_MAX`](super::Authenticator::TOKEN_BYTES_MAX).
    TooLong,
    /// The token is no signed JWT, or has a name twice.
    Malformed,
    /// The header has what no verifier of ours understands and `crit` demands, or is of another
    /// type of token.
    Header,
    /// Nobody who issues tokens for us is named so.
    Issuer,
    /// It is signed with an algorithm that its issuer does not use.
    Algorithm,
    /// Its issuer has no such key, or not yet.
    UnknownKey,
    /// Its issuer's keys could not be fetched, or for too long.
    NoKeys,
    /// The signature is wrong.
    Signature,
    /// A claim that it must have is missing, or of the wrong type or length.
    Claims,
    /// It is for somebody else.
    Audience,
    /// It does not count any more.
    Expired,
    /// It does not count yet.
    NotYetValid,
    /// It has to be bound to a certificate, and is not.
    NotBound,
    /// It is bound to a certificate, and the client has come with another or with none.
    Certificate,
    /// Its client is not in the file any more, or disabled.
    Client,
}

impl AuthError {
    /// The header `WWW-Authenticate` of the answer (RFC 6750, 3).
    pub const WWW_AUTHENTICATE: &'static str = "Bearer realm=\"cvv2\"";
    /// The status of the answer.
    pub const HTTP_STATUS: u16 = 401;
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "no Authorization header",
            Self::NotBearer => "the Authorization header is no bearer token",
            Self::TooLong => "the token is too long",
            Self::Malformed => "the token is no signed JWT",
            Self::Header => "the token's header asks for what is not understood",
            Self::Issuer => "nobody who issues tokens for this service is the token's issuer",
            Self::Algorithm => "the token is signed with an algorithm that its issuer does not use",
            Self::UnknownKey => "the token's issuer has no such key",
            Self::NoKeys => "the keys of the token's issuer could not be fetched",
            Self::Signature => "the token's signature is wrong",
            Self::Claims => "a claim of the token is missing or of the wrong form",
            Self::Audience => "the token is for another audience",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::NotBound => "the token is not bound to a certificate",
            Self::Certificate => "the token is bound to another certificate",
            Self::Client => "the token's client is disabled or gone",
        })
    }
}

impl std::error::Error for AuthError {}
