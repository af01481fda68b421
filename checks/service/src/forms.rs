//! What must not be found, in every form in which it may lie somewhere.

use std::collections::HashMap;

use base64ct::{Base64, Encoding};

/// A search for many things at a time.
#[derive(Default)]
pub(crate) struct Search {
    /// What each needle is, and in which form.
    names: Vec<(String, String)>,
    /// The needles by their first bytes.
    needles: HashMap<[u8; HEAD], Vec<(usize, Vec<u8>)>>,
}

/// Bytes of the shortest needle; chance finds fewer bytes than these.
const HEAD: usize = 5;
/// So many digits of a PAN are more than a masked one shows: first six, last four.
const DIGITS: usize = 11;
/// So many bytes before a hit say where it is.
const CONTEXT: usize = 60;
/// So many characters of a text that is no PAN.
const CHARACTERS: usize = 14;

impl Search {
    /// Looks for the digits of a PAN.
    pub(crate) fn digits(&mut self, what: &str, digits: &str) {
        for window in digits.as_bytes().windows(DIGITS) {
            self.text_forms(what, window);
        }
        let values: Vec<u8> = digits.bytes().map(|digit| digit - b'0').collect();
        self.add(what, "a byte a digit", &values);
        let packed: Vec<u8> = values.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        self.byte_forms(what, "BCD", &packed);
        let number: u64 = digits.parse().expect("digits");
        self.add(what, "a u64", &number.to_le_bytes());
        self.add(what, "a u64, big-endian", &number.to_be_bytes());
        for between in [" ", "-"] {
            let groups: Vec<_> = digits.as_bytes().chunks(4).map(String::from_utf8_lossy).collect();
            self.add(what, "digits in groups", groups.join(between).as_bytes());
        }
    }

    /// Looks for a text that is secret as a whole, such as a token.
    pub(crate) fn text(&mut self, what: &str, text: &str) {
        for window in text.as_bytes().windows(CHARACTERS) {
            self.text_forms(what, window);
        }
    }

    /// Looks for a key.
    pub(crate) fn key(&mut self, what: &str, key: &[u8]) {
        for half in key.chunks_exact(8) {
            self.byte_forms(what, "bytes", half);
        }
    }

    /// Looks for a value of few digits where a text says that it is one.
    pub(crate) fn value(&mut self, what: &str, value: &str) {
        for text in [format!("\"{value}\""), format!("cvv2={value}"), format!("cvv2:{value}")] {
            self.add(what, "a quoted value", text.as_bytes());
        }
    }

    /// What is in the bytes: each need that was met, once, with its form and place.
    pub(crate) fn found(&self, bytes: &[u8]) -> Vec<String> {
        let mut found = vec![None; self.names.len()];
        for at in 0..bytes.len().saturating_sub(HEAD - 1) {
            let here = &bytes[at..];
            let same_head = here.first_chunk().and_then(|head| self.needles.get(head));
            for (name, needle) in same_head.into_iter().flatten() {
                if here.starts_with(needle) {
                    found[*name].get_or_insert(at);
                }
            }
        }
        let found = self.names.iter().zip(found);
        let told = found.filter_map(|((what, form), at)| {
            let at: usize = at?;
            let before = String::from_utf8_lossy(&bytes[at.saturating_sub(CONTEXT)..at]);
            Some(format!("{what}, {form}, at {at} behind {before:?}"))
        });
        told.collect()
    }

    /// Something of everything that is looked for, in every form.
    pub(crate) fn control(&self) -> Vec<u8> {
        self.needles
            .values()
            .flatten()
            .flat_map(|(_, needle)| [needle, &b"\n"[..]].concat())
            .collect()
    }

    /// How many forms of how many things there are, together.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    fn text_forms(&mut self, what: &str, text: &[u8]) {
        self.add(what, "ASCII", text);
        let wide = |bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            text.iter().flat_map(|byte| bytes(u16::from(*byte))).collect()
        };
        self.add(what, "UTF-16LE", &wide(u16::to_le_bytes));
        self.add(what, "UTF-16BE", &wide(u16::to_be_bytes));
        let each = |form: fn(&u8) -> String| text.iter().map(form).collect::<String>();
        self.add(what, "hex of ASCII", hex::encode(text).as_bytes());
        self.add(what, "hex of ASCII, upper case", hex::encode_upper(text).as_bytes());
        self.add(what, "percent-encoded", each(|byte| format!("%{byte:02X}")).as_bytes());
        self.add(what, "JSON escapes", each(|byte| format!("\\u00{byte:02x}")).as_bytes());
        self.add(what, "reversed", &text.iter().rev().copied().collect::<Vec<_>>());
        self.base64(what, "base64 of ASCII", text);
    }

    fn byte_forms(&mut self, what: &str, form: &str, bytes: &[u8]) {
        self.add(what, form, bytes);
        let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
        self.add(what, &format!("{form}, reversed"), &reversed);
        self.text_forms(what, hex::encode(bytes).as_bytes());
        self.text_forms(what, hex::encode_upper(bytes).as_bytes());
        self.base64(what, &format!("base64 of {form}"), bytes);
    }

    /// Base64 in three alignments: what is looked for need not be the start of what is encoded.
    fn base64(&mut self, what: &str, form: &str, bytes: &[u8]) {
        for skip in 0..3 {
            let whole = &bytes[skip..skip + (bytes.len() - skip) / 3 * 3];
            self.add(what, form, Base64::encode_string(whole).as_bytes());
        }
    }

    fn add(&mut self, what: &str, form: &str, needle: &[u8]) {
        let names = (what.to_owned(), form.to_owned());
        let name = self.names.iter().position(|known| *known == names).unwrap_or_else(|| {
            self.names.push(names);
            self.names.len() - 1
        });
        let head = *needle.first_chunk().expect("no needle is shorter");
        self.needles.entry(head).or_default().push((name, needle.to_vec()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_control_is_found_and_a_masked_pan_is_not() {
        let mut search = Search::default();
        search.digits("PAN", "4123456789012349");
        search.text("secret", "W2coi7-HhMmHyFav7kmp");
        search.key("key", b"\x01\x23\x45\x67\x89\xAB\xCD\xEF\x13\x57\x9B\xDF\x02\x46\x8A\xCE");
        search.value("CVV2", "878");
        assert_eq!(search.found(&search.control()).len(), search.len());
        assert!(search.found(b"412345XXXXXX2349, 878 of 4123456789, W2coi7-HhMmHy").is_empty());
        for text in
            ["x4123456789012349", "NDEyMzQ1Njc4OTAxMjM0OQ", "\"cvv2\":\"878\"", "13579bdf02468ace"]
        {
            assert_eq!(search.found(text.as_bytes()).len(), 1, "{text}");
        }
        let packed = search.found(b"..\x41\x23\x45\x67\x89\x01\x23\x49..");
        assert!(packed.iter().any(|found| found.contains("BCD")), "{packed:?}");
    }
}
