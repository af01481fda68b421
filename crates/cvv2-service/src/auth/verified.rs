//! What a token whose signature was verified says.

use std::time::Duration;

use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::error::AuthError;
use super::jws::{Claims, Jws};
use crate::caller::Caller;
use crate::certificate_fingerprint::CertificateFingerprint;

/// Who bears a token, and under which conditions, which are looked at whenever it is used.
pub(super) struct Bearer {
    pub(super) caller: Caller,
    pub(super) token_id: String,
    /// The number of the provider that signed it; none for us.
    pub(super) provider: Option<usize>,
    pub(super) validity: Validity,
    pub(super) certificate: Option<CertificateFingerprint>,
    /// Of the keys and clients by which it was verified.
    pub(super) epoch: u64,
}

impl Bearer {
    /// Whether the token counts at this moment, for whoever has come with this certificate.
    pub(super) fn check(
        &self,
        peer: Option<CertificateFingerprint>,
        now: OffsetDateTime,
    ) -> Result<(), AuthError> {
        self.validity.check(now)?;
        if self.certificate.is_some() && self.certificate != peer {
            return Err(AuthError::Certificate);
        }
        Ok(())
    }
}

/// From when to when a token counts, in seconds of 1970, the leeway for other clocks included.
pub(super) struct Validity {
    from: i64,
    until: i64,
}

impl Validity {
    /// As the claims have it; `exp` has to be there (RFC 7519, 4.1.4 and 4.1.5).
    pub(super) fn of(claims: &Claims, leeway: Duration) -> Result<Self, AuthError> {
        let from = claims.moment("nbf", true)?.unwrap_or(i64::MIN);
        let until = claims.moment("exp", false)?.ok_or(AuthError::Claims)?;
        let leeway = leeway.as_secs();
        Ok(Self {
            from: from.saturating_sub_unsigned(leeway),
            until: until.saturating_add_unsigned(leeway),
        })
    }

    fn check(&self, now: OffsetDateTime) -> Result<(), AuthError> {
        let now = now.unix_timestamp();
        if now >= self.until {
            return Err(AuthError::Expired);
        }
        if now < self.from {
            return Err(AuthError::NotYetValid);
        }
        Ok(())
    }
}

/// A token's name in the audit record: its `jti`, if that can be no text of another kind, or a part
/// of the hash of what is signed.
pub(super) fn token_id(claims: &Claims, jws: &Jws<'_>) -> String {
    let is_plain = |id: &&str| {
        (1..=ID_CHARS_MAX).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
    };
    claims.text("jti").filter(is_plain).map_or_else(
        || format!("sha256:{}", hex::encode(&Sha256::digest(jws.message)[..16])),
        str::to_owned,
    )
}

const ID_CHARS_MAX: usize = 64;
