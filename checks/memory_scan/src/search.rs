//! Searches memory for every form of one key.

use std::collections::HashMap;

use crate::forms::{self, Encoding};
use crate::masks::{self, Runs};
use crate::process::{Region, random_key};

/// Forms, each with the places where it was found.
pub(crate) type Hits = Vec<(&'static str, Vec<String>)>;

/// What is searched for.
pub(crate) struct Search {
    forms: Vec<&'static str>,
    /// The windows of all encodings by their first bytes, with the index of the form.
    windows: HashMap<[u8; HEAD], Vec<(usize, Vec<u8>)>>,
    /// Which first two bytes any window has: most of memory ends here.
    starts: Vec<bool>,
    runs: Runs,
}

impl Search {
    pub(crate) fn new(key: &[u8; 16]) -> Self {
        let mut search = Self {
            forms: Vec::new(),
            windows: HashMap::new(),
            starts: vec![false; 1 << 16],
            runs: Runs::new(&forms::round_keys(key)),
        };
        for Encoding { form, bytes, window } in forms::encodings(key) {
            let known = search.forms.iter().position(|known| *known == form);
            let form = known.unwrap_or_else(|| {
                search.forms.push(form);
                search.forms.len() - 1
            });
            for window in bytes.windows(window) {
                search.starts[start(window)] = true;
                let same_head = search.windows.entry(*head(window)).or_default();
                same_head.push((form, window.to_vec()));
            }
        }
        search
    }

    /// Every form, with the places where it was found.
    pub(crate) fn hits(&self, memory: &[Region]) -> Hits {
        let mask_forms = masks::SIZES.map(forms::mask_form);
        let mut hits: Vec<_> =
            self.forms.iter().chain(&mask_forms).map(|form| (*form, Vec::new())).collect();
        for region in memory {
            for at in 0..region.bytes.len().saturating_sub(HEAD - 1) {
                let here = &region.bytes[at..];
                if !self.starts[start(here)] {
                    continue;
                }
                for (form, window) in self.windows.get(head(here)).into_iter().flatten() {
                    if here.starts_with(window) {
                        hits[*form].1.push(region.place(at));
                    }
                }
            }
            for (number, size) in masks::SIZES.into_iter().enumerate() {
                let places = self.runs.places(&region.bytes, size);
                hits[self.forms.len() + number].1.extend(places.iter().map(|at| region.place(*at)));
            }
        }
        hits
    }
}

/// Two keys, the second of which can be planted where the first is searched for. One random pair in
/// some 130 cannot: their decimal digits have as many in common as count as found.
pub(crate) fn unlike_keys() -> [[u8; 16]; 2] {
    loop {
        let [key, other] = [random_key(), random_key()];
        if is_unlike(&key, &other) {
            return [key, other];
        }
    }
}

fn is_unlike(key: &[u8; 16], planted: &[u8; 16]) -> bool {
    let region = |bytes| Region { name: "planted".to_owned(), start: 0, bytes };
    let planted: Vec<_> = forms::controls(planted).into_iter().map(region).collect();
    is_nothing(&Search::new(key).hits(&planted))
}

/// Whether no form was found.
pub(crate) fn is_nothing(hits: &Hits) -> bool {
    hits.iter().all(|(_, places)| places.is_empty())
}

/// How often each form was found, and where first.
pub(crate) fn describe(hits: &Hits) -> String {
    let found: Vec<_> = hits
        .iter()
        .filter_map(|(form, places)| Some((form, places.len(), places.first()?)))
        .map(|(form, times, first)| format!("\n    {form}: {times} x, first in {first}"))
        .collect();
    if found.is_empty() { "nothing".into() } else { found.concat() }
}

/// The forms that were not found.
pub(crate) fn missed(hits: &Hits) -> Vec<&'static str> {
    hits.iter().filter(|(_, places)| places.is_empty()).map(|(form, _)| *form).collect()
}

/// Bytes of the shortest window: a packed round key.
const HEAD: usize = 6;

fn head(bytes: &[u8]) -> &[u8; HEAD] {
    bytes.first_chunk().expect("no window is shorter")
}

fn start(bytes: &[u8]) -> usize {
    usize::from(u16::from_le_bytes([bytes[0], bytes[1]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_with_two_bytes_in_common_are_not_planted_for_each_other() {
        let mut key = *b"\x01\x23\x45\x67\x89\xAB\xCD\xEF\xFE\xDC\xBA\x98\x76\x54\x32\x10";
        let mut other = *b"\x0E\x32\x92\x32\xEA\x6D\x0D\x73\x26\x07\x9E\x57\xB5\xC8\x1F\x4A";
        assert!(is_unlike(&key, &other));
        // `, 213, 104, ` is as long as what counts as found.
        key[3..5].copy_from_slice(&[213, 104]);
        other[9..11].copy_from_slice(&[213, 104]);
        assert!(!is_unlike(&key, &other));
        let [key, other] = unlike_keys();
        assert!(is_unlike(&key, &other));
    }
}
