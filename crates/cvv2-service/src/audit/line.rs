//! One line of the log as it is written: JSON in printable ASCII, every text bounded.

use std::fmt::{self, Display, Write};

use time::OffsetDateTime;

use crate::rfc3339;

/// The most bytes of one line, its line feed included. A test shows that no record is longer.
pub const LINE_BYTES_MAX: usize = 4096;

/// The most bytes of one text, as escaped; of a longer one the rest is left out, which an ellipsis
/// (`\u2026`) shows.
pub const TEXT_BYTES_MAX: usize = 250;

/// The members of a line but the first, `sequence`, and the last, `mac`: those are the writer's.
pub(crate) struct Line<'a>(&'a mut String);

impl<'a> Line<'a> {
    /// Appends the members that every line has; the others follow.
    pub(crate) fn begin(line: &'a mut String, time: OffsetDateTime, event: &'static str) -> Self {
        line.push_str(",\"time\":\"");
        line.push_str(rfc3339::micros_utc(time).as_str());
        line.push_str("\",\"event\":\"");
        line.push_str(event);
        line.push('"');
        Self(line)
    }

    /// A member that is a text, or null.
    pub(crate) fn text(self, name: &'static str, text: Option<&str>) -> Self {
        self.escaped(name, text, |text, escaped| escaped.write_str(text))
    }

    /// A member that is the text of something, or null.
    pub(crate) fn shown(self, name: &'static str, value: Option<impl Display>) -> Self {
        self.escaped(name, value, |value, escaped| write!(escaped, "{value}"))
    }

    fn escaped<T>(
        mut self,
        name: &'static str,
        value: Option<T>,
        write: impl FnOnce(T, &mut Escaped<'_>) -> fmt::Result,
    ) -> Self {
        self.name(name);
        let Some(value) = value else { return self.null() };
        self.0.push('"');
        let mut escaped = Escaped { line: self.0, left: TEXT_BYTES_MAX, is_cut: false };
        // It ends early only to leave the rest out.
        let _ = write(value, &mut escaped);
        if escaped.is_cut {
            self.0.push_str("\\u2026");
        }
        self.0.push('"');
        self
    }

    /// A member that is a number, or null.
    pub(crate) fn number(mut self, name: &'static str, number: Option<u64>) -> Self {
        self.name(name);
        let Some(number) = number else { return self.null() };
        write!(self.0, "{number}").expect("a string takes everything");
        self
    }

    fn name(&mut self, name: &'static str) {
        self.0.push_str(",\"");
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    fn null(self) -> Self {
        self.0.push_str("null");
        self
    }
}

/// Writes text into a JSON string.
///
/// What is not printable ASCII is escaped: no character can end a line, and none can make a
/// terminal or an editor show something else than what is there.
struct Escaped<'a> {
    line: &'a mut String,
    left: usize,
    is_cut: bool,
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        // Nearly all texts are plain from end to end: all of it is looked at, several bytes at a time.
        if text.bytes().fold(true, |all, byte| all & is_plain(byte)) {
            return self.plain(text);
        }
        while !rest.is_empty() {
            let plain = rest.bytes().take_while(|byte| is_plain(*byte)).count();
            let (plain, after) = rest.split_at(plain);
            self.plain(plain)?;
            let mut chars = after.chars();
            if let Some(c) = chars.next() {
                self.escape(c)?;
            }
            rest = chars.as_str();
        }
        Ok(())
    }
}

impl Escaped<'_> {
    /// Writes text in which nothing has to be escaped.
    fn plain(&mut self, text: &str) -> fmt::Result {
        let fits = text.len().min(self.left);
        self.line.push_str(&text[..fits]);
        self.take(fits)?;
        self.take(text.len() - fits)
    }

    /// Writes any other character.
    fn escape(&mut self, c: char) -> fmt::Result {
        if let '"' | '\\' = c {
            self.take(2)?;
            self.line.push('\\');
            self.line.push(c);
            return Ok(());
        }
        self.take(6 * c.len_utf16())?;
        for unit in c.encode_utf16(&mut [0; 2]) {
            write!(self.line, "\\u{unit:04x}")?;
        }
        Ok(())
    }

    /// Takes room, or ends the text where there is none.
    fn take(&mut self, width: usize) -> fmt::Result {
        let Some(left) = self.left.checked_sub(width) else {
            self.is_cut = true;
            return Err(fmt::Error);
        };
        self.left = left;
        Ok(())
    }
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05.678901 +4);

    fn line(text: &str) -> String {
        let mut line = String::new();
        Line::begin(&mut line, NOW, "test").text("text", Some(text));
        line
    }

    /// What a reader of JSON finds in the member.
    fn read(line: &str) -> String {
        let value: Value = serde_json::from_str(&format!("{{\"sequence\":1{line}}}")).unwrap();
        value["text"].as_str().unwrap().to_owned()
    }

    #[test]
    fn members_are_as_documented() {
        let mut line = String::new();
        Line::begin(&mut line, NOW, "test")
            .text("none", None)
            .number("some", Some(u64::MAX))
            .number("no", None)
            .text("text", Some("a\"\\\n\u{7f}\u{202e}é\u{1f512}~"));
        assert_eq!(
            line,
            r#","time":"2026-01-01T23:04:05.678901Z","event":"test","none":null,"#.to_owned()
                + r#""some":18446744073709551615,"no":null,"#
                + r#""text":"a\"\\\u000a\u007f\u202e\u00e9\ud83d\udd12~""#
        );
    }

    #[test]
    fn long_texts_are_cut_where_they_are_too_long() {
        for (c, width) in [("a", 1), ("\\", 2), ("\u{1}", 6), ("\u{1f512}", 12)] {
            let fits = TEXT_BYTES_MAX / width;
            assert_eq!(read(&line(&c.repeat(fits))), c.repeat(fits));
            let longer = read(&line(&c.repeat(fits + 1)));
            assert_eq!(longer, format!("{}\u{2026}", c.repeat(fits)));
        }
    }

    proptest! {
        #[test]
        fn no_text_can_forge_a_line(text in "\\PC{0,20}|.{0,30}|[\\x00-\\x1f\"\\\\,:{}]{0,20}") {
            let line = line(&text);
            prop_assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{}", line);
            let shown = read(&line);
            let whole = shown.strip_suffix('\u{2026}').unwrap_or(&shown);
            prop_assert!(shown == text || text.starts_with(whole));
        }
    }
}
