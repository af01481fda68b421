//! Compares `docs/CONFIGURATION.md` with what is read.

use std::collections::BTreeMap;

use cvv2_keyring::kbpk::KbpkSource;
use cvv2_service::auth::{AuthSettings, OwnSettings, ProviderSettings};
use cvv2_service::limits::LimitPolicy;
use cvv2_service::transport::{ConnectionLimits, TlsSettings};
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

use super::serve::{Audit, Limits};
use super::{Caller, Config, Keyring, Postgres, Serve, Service, Store, layered};

const DOCUMENT: &str = include_str!("../../../../docs/CONFIGURATION.md");
/// What every key is put into.
const BASE: &str = concat!(include_str!("../demo/cvv2.toml"), include_str!("../serve/serve.toml"));
const PROVIDER: &str = "[[serve.auth.provider]]";
const POSTGRES: &str = "[store.postgres]";

/// The tables of the document: of each, its keys with the values that stand there.
fn documented() -> BTreeMap<&'static str, Vec<(&'static str, &'static str)>> {
    let mut tables = BTreeMap::<_, Vec<_>>::new();
    let mut table = None;
    for line in DOCUMENT.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            table = heading.strip_prefix('`').and_then(|name| name.strip_suffix('`'));
        } else if let (Some(table), Some(row)) = (table, line.strip_prefix("| `")) {
            let (key, rest) = row.split_once("` | ").expect("a key and its default");
            let value = rest.split('`').nth(1).expect("a default or an example");
            tables.entry(table).or_default().push((key, value));
        }
    }
    tables
}

/// A table's keys as the program knows them.
fn known<'de, T: Deserialize<'de>>() -> Vec<&'static str> {
    let mut fields = Vec::new();
    let _ = T::deserialize(Fields(&mut fields));
    assert!(!fields.is_empty(), "no table");
    fields
}

/// Reads nothing, and keeps what names it was to read.
struct Fields<'f>(&'f mut Vec<&'static str>);

impl<'de> Deserializer<'de> for Fields<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(Self::Error::custom("nothing to read"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.0.extend(fields);
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[test]
fn the_document_has_every_key_and_no_other() {
    let tables: [(&str, Vec<&str>); 15] = [
        ("[service]", known::<Service>()),
        ("[store]", known::<Store>()),
        (POSTGRES, known::<Postgres>()),
        ("[caller]", known::<Caller>()),
        ("[keyring]", known::<Keyring>()),
        ("kbpk", known::<KbpkSource>()),
        ("[serve]", known::<Serve>()),
        ("[serve.tls]", known::<TlsSettings>()),
        ("[serve.connections]", known::<ConnectionLimits>()),
        ("[serve.auth]", known::<AuthSettings>()),
        ("[serve.auth.own]", known::<OwnSettings>()),
        (PROVIDER, known::<ProviderSettings>()),
        ("[serve.limits]", known::<Limits>()),
        ("[serve.limits.policy]", known::<LimitPolicy>()),
        ("[serve.audit]", known::<Audit>()),
    ];
    let documented = documented();
    assert_eq!(documented.len(), tables.len(), "{:?}", documented.keys());
    for (table, mut known) in tables {
        // Tables of their own.
        if table == "[serve]" {
            known.retain(|key| !documented.contains_key(format!("[serve.{key}]").as_str()));
        }
        let mut keys: Vec<&str> = documented[table].iter().map(|(key, _)| *key).collect();
        keys.sort_unstable();
        known.sort_unstable();
        assert_eq!(keys, known, "{table}");
    }
    let mut tables = known::<Config>();
    tables.sort_unstable();
    assert_eq!(tables, ["caller", "keyring", "serve", "service", "store"]);
}

/// What reading says of a table's key that has this value, of the file or of a variable.
fn read(table: &str, key: &str, value: &str) -> Result<(), String> {
    if table == PROVIDER {
        let rows = documented()[PROVIDER].clone().into_iter();
        let rows = rows.map(|row| if row.0 == key { (key, value) } else { row });
        let rows: Vec<String> = rows.map(|(key, value)| format!("{key} = {value}\n")).collect();
        let text = format!("{BASE}\n{PROVIDER}\n{}", rows.concat());
        return layered::read::<Config>(&text, []).map(drop);
    }
    let (variable, value) = if table == "kbpk" {
        // Some need another one beside them.
        let more = match key {
            "beside_keyring" => "file = 'a', ",
            "algorithm" | "kcv" => "custodians = 2, ",
            _ => "",
        };
        ("CVV2__KEYRING__KBPK".to_owned(), format!("{{ {more}{key} = {value} }}"))
    } else if table == POSTGRES {
        // The base has none.
        let needed = ["database", "user"].into_iter().filter(|needed| *needed != key);
        let needed = needed.fold(String::new(), |all, needed| all + needed + " = 'a', ");
        ("CVV2__STORE__POSTGRES".to_owned(), format!("{{ {needed}{key} = {value} }}"))
    } else {
        let table = table.trim_matches(['[', ']']).replace('.', "__").to_uppercase();
        (format!("CVV2__{table}__{}", key.to_uppercase()), value.to_owned())
    };
    layered::read::<Config>(BASE, [(variable, value)]).map(drop)
}

#[test]
fn what_the_document_shows_is_read_and_what_is_wrong_is_refused() {
    for (table, rows) in documented() {
        for (key, value) in rows {
            assert_eq!(read(table, key, value), Ok(()), "{table} {key} = {value}");
            assert!(read(table, key, "[[]]").is_err(), "{table} {key} takes anything");
        }
    }
    assert!(read("[serve]", "lissten", "1").unwrap_err().contains("CVV2__SERVE__LISSTEN"));
}

/// What the document calls the default of a number.
fn default_of(table: &str, key: &str) -> u64 {
    let row = documented()[table].iter().find(|row| row.0 == key).copied();
    row.unwrap().1.parse().unwrap_or_else(|_| panic!("{table} {key} is no number"))
}

#[test]
fn the_document_has_the_defaults() {
    // Debug has the fields by name, and these structs hold nothing but numbers.
    let connections = format!("{:?}", ConnectionLimits::default());
    let policy = format!("{:?}", LimitPolicy::default());
    for (table, text) in [("[serve.connections]", connections), ("[serve.limits.policy]", policy)] {
        let fields = text.split_once(" { ").unwrap().1.trim_end_matches(" }");
        for (key, value) in fields.split(", ").map(|field| field.split_once(": ").unwrap()) {
            assert_eq!(default_of(table, key), value.parse::<u64>().unwrap(), "{table} {key}");
        }
    }
    #[cfg(feature = "postgres")]
    {
        use cvv2_resolver::{PostgresOptions, PostgresServer};
        let server = PostgresServer::Socket { directory: "socket".into(), port: 5432 };
        let options = PostgresOptions::new(server, "cards", "cvv2");
        assert_eq!(default_of(POSTGRES, "connections"), u64::from(options.connections));
        assert_eq!(
            documented()[POSTGRES].iter().find(|row| row.0 == "schema").unwrap().1,
            format!("{:?}", options.schema)
        );
        for (key, timeout) in [
            ("connect_timeout_ms", options.connect_timeout),
            ("checkout_timeout_ms", options.checkout_timeout),
            ("statement_timeout_ms", options.statement_timeout),
            ("lock_timeout_ms", options.lock_timeout),
            ("tcp_timeout_ms", options.tcp_timeout),
        ] {
            assert_eq!(u128::from(default_of(POSTGRES, key)), timeout.as_millis(), "{key}");
        }
    }
    let audit = cvv2_service::audit::AuditOptions::new("audit");
    let audit_table = "[serve.audit]";
    assert_eq!(default_of(audit_table, "file_bytes_max"), audit.file_bytes_max);
    assert_eq!(default_of(audit_table, "queue_records_max"), audit.queue_records_max as u64);
    let interval = cvv2_service::audit::AnchorOptions::new("anchor").interval.as_secs();
    assert_eq!(default_of(audit_table, "anchor_interval_seconds"), interval);
}
