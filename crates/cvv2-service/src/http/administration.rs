//! Limits over HTTP, for callers who administer: seen and cleared.
//!
//! A card is named by its bank and reference, and is looked for in the administrator's banks only; a
//! caller by its name. What is listed is named as audit records name it, by keyed hashes.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, Response, StatusCode};
use cvv2_resolver::{BankId, CardRef, ContractNumber, Exid, ExidForm};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::HttpService;
use super::respond::{json, with_retry_after, with_www_authenticate};
use crate::audit::{Event, EventRecord, Record};
use crate::auth::{AuthError, Authenticated};
use crate::card_key::CardKey;
use crate::envelope::Text;
use crate::limits::{CallerLimits, CardLimits, LimitError, LimitUsage, ListFilter};
use crate::scope::Scope;
use crate::transport::{Peer, read_body};

/// Which limits, as the administrator writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, untagged)]
enum Named<'a> {
    Card {
        bank_id: String,
        card_identifier_type: IdentifierType,
        #[serde(borrow)]
        card_identifier_id: Text<'a>,
    },
    Caller {
        caller: String,
    },
}

#[derive(Deserialize)]
enum IdentifierType {
    #[serde(rename = "CONTRACT_NUMBER")]
    ContractNumber,
    #[serde(rename = "EXID")]
    Exid,
}

/// Whose limits: found.
enum Subject {
    Card(CardKey),
    /// One that the limits know, so its name may be recorded: any other text may hold a card.
    Caller(String),
    /// A caller to whom nothing was charged.
    Nobody,
}

/// Every limit that is reached.
pub(super) async fn list(
    State(service): State<Arc<HttpService>>,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, _) = request.into_parts();
    let who = match service.administrator(&parts).await {
        Ok(who) => who,
        Err(refusal) => return refusal,
    };
    let listed = {
        let (service, now) = (Arc::clone(&service), service.services.now());
        spawn_blocking(move || {
            let filter = ListFilter::default();
            let cards = service.limits.list_cards(&filter, now)?;
            Ok(json!({
                "cards": cards.iter().map(card_json).collect::<Vec<_>>(),
                "callers": service.limits.list_callers(&filter, now)?
                    .iter().map(caller_json).collect::<Vec<_>>(),
            }))
        })
        .await
    };
    match service.administered(&who, Event::LimitsShown, &Subject::Nobody).await {
        Ok(()) => answer(joined(listed)),
        Err(refusal) => refusal,
    }
}

/// The limits of one card or caller.
pub(super) async fn show(
    State(service): State<Arc<HttpService>>,
    request: Request<Body>,
) -> Response<Body> {
    let (who, subject) = match service.subject(request).await {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    if let Err(refusal) = service.administered(&who, Event::LimitsShown, &subject).await {
        return refusal;
    }
    let shown = {
        let (service, now) = (Arc::clone(&service), service.services.now());
        spawn_blocking(move || match subject {
            Subject::Card(card) => {
                let limits = service.limits.show_card(card, now)?;
                Ok(limits.as_ref().map_or_else(nothing_charged, card_json))
            }
            Subject::Caller(caller) => {
                let limits = service.limits.show_caller(&caller, now)?;
                Ok(limits.as_ref().map_or_else(nothing_charged, caller_json))
            }
            Subject::Nobody => Ok(nothing_charged()),
        })
        .await
    };
    answer(joined(shown))
}

/// Clears the limits of one card or caller. It is on record before it happens: nobody clears unseen.
pub(super) async fn clear(
    State(service): State<Arc<HttpService>>,
    request: Request<Body>,
) -> Response<Body> {
    let (who, subject) = match service.subject(request).await {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    if let Err(refusal) = service.administered(&who, Event::LimitCleared, &subject).await {
        return refusal;
    }
    let cleared = {
        let service = Arc::clone(&service);
        spawn_blocking(move || {
            let cleared = match subject {
                Subject::Card(card) => service.limits.clear_card(card)?,
                Subject::Caller(caller) => service.limits.clear_caller(&caller)?,
                Subject::Nobody => false,
            };
            service.limits.durable().wait()?;
            Ok(json!({ "cleared": cleared }))
        })
        .await
    };
    answer(joined(cleared))
}

impl HttpService {
    /// Whoever asks, if it may administer.
    async fn administrator(&self, parts: &Parts) -> Result<Arc<Authenticated>, Response<Body>> {
        let peer = parts.extensions.get::<Peer>();
        let authorization = parts.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let certificate = peer.and_then(|peer| peer.certificate);
        let now = self.now();
        let who = match self.auth.authenticator().authenticate(authorization, certificate, now) {
            Ok(who) => who,
            Err(error) => {
                self.refused(None, &error.to_string()).await?;
                let response = error_json(StatusCode::UNAUTHORIZED, "not authenticated");
                return Err(with_www_authenticate(response, AuthError::WWW_AUTHENTICATE));
            }
        };
        if !who.caller.may(Scope::Administer) {
            self.refused(Some(who.caller.name()), "the caller may not administer").await?;
            return Err(error_json(StatusCode::FORBIDDEN, "not entitled"));
        }
        Ok(who)
    }

    /// Whose limits a request is about, if whoever asks may know.
    async fn subject(
        self: &Arc<Self>,
        request: Request<Body>,
    ) -> Result<(Arc<Authenticated>, Subject), Response<Body>> {
        let (parts, body) = request.into_parts();
        let who = self.administrator(&parts).await?;
        let body = read_body(body, &self.connection_limits, &self.transport_counters).await;
        let body = body.map_err(super::token::unread)?;
        let named = serde_json::from_slice(&body)
            .map_err(|_| error_json(StatusCode::BAD_REQUEST, NAMED_HELP))?;
        let subject = match named {
            Named::Caller { caller } => self.caller(caller).await?,
            Named::Card { bank_id, card_identifier_type, card_identifier_id } => {
                let bank = BankId::parse(&bank_id).ok();
                let bank = bank.as_ref().and_then(|bank| who.caller.bank(bank)).copied();
                let Some(bank) = bank else {
                    self.refused(Some(who.caller.name()), "the bank is none of the caller's")
                        .await?;
                    return Err(error_json(StatusCode::FORBIDDEN, "not entitled"));
                };
                let card = reference(&card_identifier_type, card_identifier_id.expose())
                    .ok_or_else(|| error_json(StatusCode::BAD_REQUEST, NAMED_HELP))?;
                let service = Arc::clone(self);
                let key = spawn_blocking(move || service.services.card_key(&bank, &card)).await;
                match key {
                    Ok(Ok(Some(key))) => Subject::Card(key),
                    Ok(Ok(None)) => {
                        return Err(error_json(StatusCode::NOT_FOUND, "the bank has no such card"));
                    }
                    _ => return Err(unavailable()),
                }
            }
        };
        Ok((who, subject))
    }

    /// Records that somebody asked for what it may not have.
    async fn refused(&self, caller: Option<&str>, why: &str) -> Result<(), Response<Body>> {
        let event = EventRecord {
            caller,
            detail: Some(why),
            ..EventRecord::new(self.now(), Event::AdministrationRefused)
        };
        self.audit.append(&Record::Event(event)).await.map_err(|_| unavailable())
    }

    /// The caller of this name, if the limits know one.
    async fn caller(self: &Arc<Self>, caller: String) -> Result<Subject, Response<Body>> {
        let (service, now) = (Arc::clone(self), self.now());
        let known = spawn_blocking(move || service.limits.show_caller(&caller, now)).await;
        match known {
            Ok(Ok(known)) => Ok(known.map_or(Subject::Nobody, |it| Subject::Caller(it.caller))),
            // No caller has such a name.
            Ok(Err(LimitError::CallerName { .. })) => Ok(Subject::Nobody),
            _ => Err(unavailable()),
        }
    }

    /// Records what an administrator does, and to whose limits.
    async fn administered(
        &self,
        who: &Authenticated,
        event: Event,
        subject: &Subject,
    ) -> Result<(), Response<Body>> {
        let (card_key, detail) = match subject {
            Subject::Card(card) => (Some(*card), None),
            Subject::Caller(caller) => (None, Some(caller.as_str())),
            Subject::Nobody => (None, None),
        };
        let event = EventRecord {
            caller: Some(who.caller.name()),
            card_key,
            detail,
            ..EventRecord::new(self.now(), event)
        };
        self.audit.append(&Record::Event(event)).await.map_err(|_| unavailable())
    }
}

/// What was found out, or that it was not.
fn answer(found: Option<Value>) -> Response<Body> {
    found.map_or_else(unavailable, |found| json(StatusCode::OK, found.to_string()))
}

/// What became of work on another thread; nothing if it failed or panicked.
fn joined<E>(result: Result<Result<Value, LimitError>, E>) -> Option<Value> {
    result.ok()?.ok()
}

/// The reference, of any form: whoever administers may look for what other settings have let in.
fn reference(kind: &IdentifierType, text: &str) -> Option<CardRef> {
    match kind {
        IdentifierType::ContractNumber => Some(ContractNumber::parse(text).ok()?.into()),
        IdentifierType::Exid => Some(Exid::parse(text, ExidForm::Any).ok()?.into()),
    }
}

fn card_json(card: &CardLimits) -> Value {
    json!({ "card_key": card.card.to_string(), "usage": usage_json(&card.usage) })
}

fn caller_json(caller: &CallerLimits) -> Value {
    json!({ "caller": caller.caller, "usage": usage_json(&caller.usage) })
}

fn usage_json(usage: &[LimitUsage]) -> Vec<Value> {
    let one = |usage: &LimitUsage| {
        json!({
            "limit": usage.limit.name(),
            "caller": usage.caller,
            "used": usage.used,
            "max": usage.max,
            "retry_after_seconds": usage.retry_after_seconds,
        })
    };
    usage.iter().map(one).collect()
}

fn nothing_charged() -> Value {
    json!({ "usage": [] })
}

fn error_json(status: StatusCode, description: &str) -> Response<Body> {
    json(status, json!({ "error": description }).to_string())
}

fn unavailable() -> Response<Body> {
    with_retry_after(error_json(StatusCode::SERVICE_UNAVAILABLE, "try again later"), 1)
}

const NAMED_HELP: &str = "send {\"bank_id\": …, \"card_identifier_type\": …, \
                          \"card_identifier_id\": …} or {\"caller\": …}";
