//! The operator's log, on standard error: what happened to the service, never what was asked of it.
//!
//! Requests are in the audit log. A line here has a name and values that the service itself made:
//! paths, counts, times, its own errors. There is no way to log a request.

use std::fmt::{Display, Write as _};
use std::io::{self, Write as _};

use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::config::LogForm;

/// Where lines go, and how they look.
#[derive(Clone, Copy)]
pub(super) struct Log {
    form: LogForm,
}

/// Whether somebody has to look.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Info,
    Warning,
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Log {
    pub(super) fn new(form: LogForm) -> Self {
        Self { form }
    }

    /// Writes a line.
    pub(super) fn write(self, level: Level, event: &str, values: &[(&str, &dyn Display)]) {
        let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        let line = line(self.form, &now, level, event, values);
        // Where standard error is closed there is nobody to be told.
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

fn line(
    form: LogForm,
    now: &str,
    level: Level,
    event: &str,
    values: &[(&str, &dyn Display)],
) -> String {
    match form {
        LogForm::Text => {
            let mut line = format!("{now} {:7} {event}", level.name());
            for (name, value) in values {
                // One line stays one line.
                let value = value.to_string().replace(char::is_control, " ");
                write!(line, " {name}={value}").expect("a string takes any text");
            }
            line.push('\n');
            line
        }
        LogForm::Json => {
            let mut object = Map::new();
            object.insert("time".to_owned(), now.into());
            object.insert("level".to_owned(), level.name().into());
            object.insert("event".to_owned(), event.into());
            for (name, value) in values {
                object.insert((*name).to_owned(), value.to_string().into());
            }
            format!("{}\n", Value::Object(object))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_in_both_forms() {
        let values: [(&str, &dyn Display); 2] = [("address", &"[::1]:8443"), ("error", &"a\nb")];
        let text = |form| line(form, "2026-01-02T03:04:05Z", Level::Error, "listening", &values);
        assert_eq!(
            text(LogForm::Text),
            "2026-01-02T03:04:05Z error   listening address=[::1]:8443 error=a b\n"
        );
        let json: Value = serde_json::from_str(&text(LogForm::Json)).unwrap();
        assert_eq!(json["level"], "error");
        assert_eq!(json["error"], "a\nb");
        assert_eq!(text(LogForm::Json).matches('\n').count(), 1);
    }
}
