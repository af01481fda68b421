//! What a client is told, and what is recorded.

use std::fmt;

use zeroize::Zeroizing;

use crate::auth::own::{Issued, names};
use crate::scope::Scopes;

/// What a request for a token is answered with, and what is to be recorded of it.
///
/// The answer is JSON and may not be cached: `Cache-Control: no-store` goes with it.
#[non_exhaustive]
pub struct TokenAnswer {
    /// The HTTP status.
    pub http_status: u16,
    /// The body, a JSON object as RFC 6749, 5.1 and 5.2, have it; wiped when dropped.
    pub json: Zeroizing<Vec<u8>>,
    /// The header `Retry-After`, in seconds.
    pub retry_after_seconds: Option<u32>,
    /// The header `WWW-Authenticate`.
    pub www_authenticate: Option<&'static str>,
    /// For the audit record.
    pub outcome: TokenOutcome,
}

/// What came of a request for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenOutcome {
    /// The client, if there is one of the id that was given: any other text may be a secret.
    pub client: Option<String>,
    /// The id of the token that was issued.
    pub token_id: Option<String>,
    /// Why none was.
    pub refusal: Option<TokenRefusal>,
}

/// Why no token was issued. The caller is told less: [`error`](Self::error).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenRefusal {
    /// Too many requests wait.
    Busy,
    /// The client has come with another certificate than those in the file.
    Certificate,
    /// There were too many failures of this id or this origin.
    Delayed {
        /// How long it has to wait.
        seconds: u32,
    },
    /// The client is disabled.
    Disabled,
    /// The grant is none that we have.
    GrantType,
    /// The request is no form and no JSON object with what has to be in it.
    Malformed,
    /// A scope was asked for that the client does not have.
    Scope,
    /// The secret is wrong.
    Secret,
    /// The system has no random bytes, or the token could not be signed.
    Signing,
    /// There is no such client.
    UnknownClient,
}

impl TokenRefusal {
    /// The HTTP status, and the `error` and `error_description` of the answer (RFC 6749, 5.2).
    #[must_use]
    pub const fn error(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::UnknownClient | Self::Secret | Self::Certificate | Self::Disabled => (
                401,
                "invalid_client",
                "the client is not known by this id, secret and certificate",
            ),
            Self::Malformed => (
                400,
                "invalid_request",
                "send grant_type, client_id and client_secret, each once, as a form or as a JSON \
                 object of plain texts; id and secret may be in the Authorization header instead",
            ),
            Self::GrantType => {
                (400, "unsupported_grant_type", "the grant_type here is client_credentials")
            }
            Self::Scope => (400, "invalid_scope", "the client does not have every scope asked for"),
            Self::Delayed { .. } => {
                (429, "temporarily_unavailable", "too many failures; try again later")
            }
            Self::Busy | Self::Signing => {
                (503, "temporarily_unavailable", "no tokens are issued now; try again later")
            }
        }
    }
}

impl fmt::Display for TokenRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "too many requests for tokens at once",
            Self::Certificate => "the client has come with another certificate",
            Self::Delayed { .. } => "too many failures of this id or this origin",
            Self::Disabled => "the client is disabled",
            Self::GrantType => "another grant than client_credentials",
            Self::Malformed => "the request is not as it has to be",
            Self::Scope => "the client does not have every scope that was asked for",
            Self::Secret => "the secret is wrong",
            Self::Signing => "the token could not be signed",
            Self::UnknownClient => "there is no such client",
        })
    }
}

impl TokenAnswer {
    pub(super) fn granted(client: String, issued: &Issued, scopes: Scopes) -> Self {
        let seconds = issued.lifetime.as_secs().to_string();
        let scope = names(scopes);
        let parts = [
            "{\"access_token\":\"",
            issued.token.as_str(),
            "\",\"token_type\":\"Bearer\",\"expires_in\":",
            &seconds,
            ",\"scope\":\"",
            &scope,
            "\"}",
        ];
        // Of its final length, so that no part of a token is left where it grew.
        let length = parts.iter().map(|part| part.len()).sum();
        let mut json = Zeroizing::new(Vec::with_capacity(length));
        for part in parts {
            json.extend_from_slice(part.as_bytes());
        }
        Self {
            http_status: 200,
            json,
            retry_after_seconds: None,
            www_authenticate: None,
            outcome: TokenOutcome {
                client: Some(client),
                token_id: Some(issued.id.clone()),
                refusal: None,
            },
        }
    }

    pub(super) fn refused(client: Option<String>, refusal: TokenRefusal) -> Self {
        let (http_status, error, description) = refusal.error();
        let json = format!("{{\"error\":\"{error}\",\"error_description\":\"{description}\"}}");
        Self {
            http_status,
            json: Zeroizing::new(json.into_bytes()),
            retry_after_seconds: match refusal {
                TokenRefusal::Delayed { seconds } => Some(seconds),
                TokenRefusal::Busy | TokenRefusal::Signing => Some(1),
                _ => None,
            },
            www_authenticate: (http_status == 401).then_some("Basic realm=\"cvv2\""),
            outcome: TokenOutcome { client, token_id: None, refusal: Some(refusal) },
        }
    }
}

impl fmt::Debug for TokenAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenAnswer")
            .field("http_status", &self.http_status)
            .field("json", &format_args!("[{} bytes redacted]", self.json.len()))
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}
