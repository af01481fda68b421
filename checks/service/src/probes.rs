//! Requests that bring card data everywhere where somebody may put it.

use std::collections::BTreeSet;

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};

use crate::bank::{BANK, Bank, Card, EXPIRY};
use crate::client::{Client, GET, Reply, VERIFY, request, send_raw};
use crate::server::Server;

/// Who sends them, and what came back so far.
pub(crate) struct Probes<'a> {
    pub(crate) bank: &'a Bank,
    pub(crate) server: &'a Server,
    client: Client,
    token: &'a str,
    /// Every code of the contract that was answered.
    pub(crate) codes: BTreeSet<String>,
    /// Every HTTP status.
    pub(crate) statuses: BTreeSet<u16>,
    /// Every answer, to be searched, but for those that a CVV2 belongs to.
    pub(crate) answers: Vec<u8>,
    /// How many answers had a CVV2.
    pub(crate) values: usize,
    number: u32,
}

impl<'a> Probes<'a> {
    pub(crate) fn new(bank: &'a Bank, server: &'a Server, token: &'a str) -> Self {
        Self {
            bank,
            server,
            client: Client::new(bank, server.address),
            token,
            codes: BTreeSet::new(),
            statuses: BTreeSet::new(),
            answers: Vec::new(),
            values: 0,
            number: 0,
        }
    }

    /// All of them.
    pub(crate) fn all(&mut self) {
        for card in &self.bank.cards {
            self.successes(card);
        }
        let card = &self.bank.cards[0];
        self.every_field(card);
        self.malformed_bodies(card);
        self.urls_and_headers(card);
        self.no_http(card);
        self.tokens(card);
        self.administration(card);
    }

    /// Asks for a card's value, by what it is called, and has values verified.
    pub(crate) fn successes(&mut self, card: &Card) {
        for typed in [None, Some(card.cvv2.as_str()), Some("000"), Some("999")] {
            let body = self.request(card, card.expiry, typed);
            self.post(if typed.is_some() { VERIFY } else { GET }, &body.to_string());
        }
    }

    /// Asks for a card's value once.
    pub(crate) fn get(&mut self, card: &Card) -> String {
        let body = self.request(card, card.expiry, None);
        self.post(GET, &body.to_string()).and_then(|reply| reply.code()).unwrap_or_default()
    }

    /// The PAN, the value and more in every field, known or not.
    fn every_field(&mut self, card: &Card) {
        let texts = [&card.pan, &card.contract, &card.cvv2, &format!("card {} (Visa)", card.pan)];
        let fields = [
            ("header", "msg_id"),
            ("header", "msg_type"),
            ("header", "msg_function"),
            ("header", "src_application"),
            ("header", "target_application"),
            ("header", "timestamp"),
            ("header", "tracking_id"),
            ("header", "bank_id"),
            ("header", "instance_id"),
            ("header", "unknown"),
            ("body", "card_identifier_id"),
            ("body", "card_identifier_type"),
            ("body", "expiry_date"),
            ("body", "cvv2"),
            ("body", "unknown"),
        ];
        for ((part, field), text) in fields.iter().flat_map(|it| texts.map(|text| (it, text))) {
            // What a caller calls its message and its bank is recorded as it is, unless it is a PAN.
            if ["msg_id", "tracking_id", "bank_id"].contains(field) && !text.contains(&card.pan) {
                continue;
            }
            for value in [json!(text), json!([text]), json!({ text: text }), number(text)] {
                for typed in [None, Some(card.cvv2.as_str())] {
                    let mut body = self.request(card, EXPIRY, typed);
                    node(&mut body)[part][field] = value.clone();
                    self.post(if typed.is_some() { VERIFY } else { GET }, &body.to_string());
                }
            }
        }
        for field in ["msg_id", "bank_id", "timestamp"] {
            let mut body = self.request(card, EXPIRY, None);
            node(&mut body)["header"].as_object_mut().unwrap().remove(field);
            self.post(GET, &body.to_string());
        }
        for name in [&card.pan, &card.cvv2] {
            let mut body = self.request(card, EXPIRY, None);
            node(&mut body)["header"][name] = json!(name);
            node(&mut body)[name] = json!(name);
            body[name] = json!({ name: name });
            self.post(GET, &body.to_string());
        }
        // By the PAN itself, with each kind, and with another bank, another date and a date of the past.
        for (kind, expiry, bank) in [
            ("CONTRACT_NUMBER", EXPIRY, BANK),
            ("EXID", EXPIRY, BANK),
            ("CONTRACT_NUMBER", "1249", BANK),
            ("CONTRACT_NUMBER", "2001", BANK),
            ("CONTRACT_NUMBER", EXPIRY, "OTHR"),
        ] {
            let mut body = self.request(card, expiry, None);
            node(&mut body)["body"]["card_identifier_id"] = json!(card.pan);
            node(&mut body)["body"]["card_identifier_type"] = json!(kind);
            node(&mut body)["header"]["bank_id"] = json!(bank);
            self.post(GET, &body.to_string());
        }
    }

    /// What is no JSON, or cut, or too much.
    fn malformed_bodies(&mut self, card: &Card) {
        let pan = &card.pan;
        let whole = self.request(card, EXPIRY, None).to_string();
        for cut in [1, whole.len() / 3, whole.len() - 1] {
            self.post(GET, &whole[..cut]);
        }
        for body in [
            pan.clone(),
            format!("\"{pan}\""),
            format!("{{\"{pan}\":"),
            format!("{{{pan}}}"),
            format!("{{\"{pan}\":1,\"{pan}\":2}}"),
            format!("<pan>{pan}</pan>"),
            format!("[{}]", format!("{pan},").repeat(800)),
            format!("{pan} ").repeat(1100), // longer than a body may be
            format!("\u{feff}{whole}"),
            whole.replacen("\"msg_id\"", &format!("\"msg_id\":\"{pan}\",\"msg_id\""), 1),
            whole.replace(&card.contract, &format!("{}\\ud800", card.pan)),
        ] {
            self.post(GET, &body);
        }
        let bearer = format!("Bearer {}", self.token);
        for media in
            [pan.as_str(), &format!("application/{pan}"), "text/plain", "application/json;"]
        {
            let headers = [("authorization", bearer.as_str()), ("content-type", media)];
            self.send("POST", GET, &headers, &whole);
        }
    }

    fn urls_and_headers(&mut self, card: &Card) {
        let pan = &card.pan;
        let body = self.request(card, EXPIRY, None).to_string();
        for path in [
            format!("/{pan}{GET}"),
            format!("{GET}?pan={pan}&cvv2={}", card.cvv2),
            format!("{GET}/{pan}"),
            format!("/{pan}"),
            format!("/v1/limits/{pan}"),
            format!("/{}{GET}", pan.replace('4', "%34")),
        ] {
            for method in ["POST", "GET", "PUT", "DELETE"] {
                let bearer = format!("Bearer {}", self.token);
                let headers =
                    [("authorization", bearer.as_str()), ("content-type", "application/json")];
                self.send(method, &path, &headers, &body);
            }
        }
        let secret = &self.bank.clients[0].secret;
        let encoded = Base64::encode_string(format!("{pan}:{secret}").as_bytes());
        for authorization in [
            format!("Bearer {pan}"),
            format!("Bearer {secret}"),
            format!("Bearer {}x", self.token),
            format!("Bearer {}", &self.token[..self.token.len() - 8]),
            format!("{pan} {}", self.token),
            format!("Basic {encoded}"),
            pan.clone(),
        ] {
            let headers =
                [("authorization", authorization.as_str()), ("content-type", "application/json")];
            for (method, path) in [
                ("POST", GET),
                ("POST", VERIFY),
                ("GET", "/v1/limits"),
                ("POST", "/v1/limits/show"),
            ] {
                self.send(method, path, &headers, &body);
            }
        }
        let bearer = format!("Bearer {}", self.token);
        for name in
            ["user-agent", "x-request-id", "cookie", "referer", "x-forwarded-for", "forwarded"]
        {
            let headers = [
                ("authorization", bearer.as_str()),
                ("content-type", "application/json"),
                (name, pan),
            ];
            self.send("POST", GET, &headers, &body);
        }
        for path in ["/healthz", "/readyz", "/openapi.json"] {
            self.send("GET", &format!("{path}?{pan}"), &[("user-agent", pan)], "");
        }
    }

    /// What is no HTTP, or nearly.
    fn no_http(&mut self, card: &Card) {
        let (pan, token) = (&card.pan, self.token);
        let end = "host: localhost\r\nconnection: close\r\n\r\n";
        for head in [
            format!("{pan}\r\n\r\n"),
            format!("{pan} / HTTP/1.1\r\n{end}"),
            format!("GET {pan} HTTP/1.1\r\n{end}"),
            format!("GET http://{pan}/ HTTP/1.1\r\n{end}"),
            format!("GET / HTTP/{pan}\r\n{end}"),
            format!("GET / HTTP/1.1\r\n{pan}\r\n{end}"),
            format!("GET / HTTP/1.1\r\n{pan}: {pan}\r\n{end}"),
            format!("GET / HTTP/1.1\r\nhost: {pan}\r\nconnection: close\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nx: {}\r\n{end}", pan.repeat(6000)),
            format!("POST {GET} HTTP/1.1\r\ncontent-length: {pan}\r\n{end}"),
            format!(
                "POST {GET} HTTP/1.1\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n{end}{pan}\r\n{pan}"
            ),
            format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{pan}{pan}{pan}"),
        ] {
            let answer = send_raw(self.bank, self.server.address, "localhost", head.as_bytes());
            self.answers.extend(answer);
        }
    }

    fn tokens(&mut self, card: &Card) {
        let (pan, client) = (&card.pan, &self.bank.clients[0]);
        let (id, secret) = (client.id, &client.secret);
        let form = "application/x-www-form-urlencoded";
        let grant = "grant_type=client_credentials";
        for (media, body) in [
            (form, format!("{grant}&client_id={pan}&client_secret={pan}")),
            (form, format!("{grant}&client_id={id}&client_secret={pan}")),
            (form, format!("{grant}&client_id={secret}&client_secret={id}")),
            (form, format!("{grant}&client_id={id}&client_secret={secret}&scope={pan}")),
            (form, format!("{grant}&client_id={id}&client_secret={secret}&{pan}={pan}")),
            (form, format!("grant_type={pan}&client_id={id}&client_secret={secret}")),
            (form, format!("{pan}=%zz&client_secret={secret}")),
            (
                "application/json",
                json!({ "grant_type": pan, "client_id": pan, "client_secret": secret }).to_string(),
            ),
            ("application/json", format!("{{\"client_secret\":\"{secret}\",\"{pan}\"")),
            (pan, format!("{grant}&client_id={id}&client_secret={secret}")),
        ] {
            self.send("POST", "/v1/tokenkc/generate", &[("content-type", media)], &body);
        }
        for pair in [format!("{pan}:{secret}"), format!("{id}:{pan}"), format!("{secret}:{id}")] {
            let basic = format!("Basic {}", Base64::encode_string(pair.as_bytes()));
            let headers = [("content-type", form), ("authorization", basic.as_str())];
            self.send("POST", "/v1/tokenkc/generate", &headers, grant);
        }
    }

    fn administration(&mut self, card: &Card) {
        let pan = &card.pan;
        let card_of = |kind: &str, id: &str| json!({ "bank_id": BANK, "card_identifier_type": kind, "card_identifier_id": id });
        for body in [
            card_of("CONTRACT_NUMBER", pan),
            card_of("CONTRACT_NUMBER", &card.contract),
            card_of("EXID", pan),
            card_of(pan, pan),
            json!({ "bank_id": pan, "card_identifier_type": "EXID", "card_identifier_id": pan }),
            json!({ "caller": pan }),
            json!({ pan: pan }),
            json!(pan),
        ] {
            for path in ["/v1/limits/show", "/v1/limits/clear"] {
                self.post(path, &body.to_string());
            }
        }
        let bearer = format!("Bearer {}", self.token);
        self.send("GET", "/v1/limits", &[("authorization", bearer.as_str())], "");
    }

    fn request(&mut self, card: &Card, expiry: &str, cvv2: Option<&str>) -> Value {
        self.number += 1;
        request(&format!("p{}", self.number), card, expiry, cvv2)
    }

    fn post(&mut self, path: &str, body: &str) -> Option<Reply> {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.send("POST", path, &headers, body)
    }

    fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Option<Reply> {
        let reply = self.client.send(method, path, headers, body)?;
        self.statuses.insert(reply.status);
        self.codes.extend(reply.code());
        if reply.field("cvv2").is_some() {
            self.values += 1;
        } else if !reply.body.contains("access_token") {
            self.answers.extend(reply.body.bytes());
        }
        Some(reply)
    }
}

/// The node of a request's function.
fn node(request: &mut Value) -> &mut Value {
    let envelope = request["NISrvRequest"].as_object_mut().expect("an envelope");
    envelope.values_mut().next().expect("a node")
}

/// The digits of a text as a JSON number.
fn number(text: &str) -> Value {
    text.parse::<u64>().map_or(Value::Null, Value::from)
}
