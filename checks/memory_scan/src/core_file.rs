//! Searches a core file that something else has written, of a process with a key that is known here.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use crate::elf;
use crate::process::Region;
use crate::search::{Search, describe, is_nothing};

/// Searches the file for the key on standard input, 32 hexadecimal digits; false if it is there.
pub(crate) fn run(file: &Path) -> bool {
    let mut digits = String::new();
    io::stdin().read_to_string(&mut digits).expect("a key on standard input");
    let number = u128::from_str_radix(digits.trim(), 16).expect("32 hexadecimal digits");
    let segments = elf::segments(&fs::read(file).expect("a core file"));
    let bytes: usize = segments.iter().map(|segment| segment.bytes.len()).sum();
    let used: Vec<_> = segments.iter().flat_map(used_parts).collect();
    let found = Search::new(&number.to_be_bytes()).hits(&used);
    println!("of {bytes} bytes of memory, search finds {}", describe(&found));
    is_nothing(&found)
}

/// The parts of a segment between runs of pages that were never written to.
fn used_parts(segment: &Region) -> Vec<Region> {
    let pages: Vec<_> = segment.bytes.chunks(PAGE).collect();
    let mut parts: Vec<Region> = Vec::new();
    let mut goes_on = false;
    for (number, page) in pages.into_iter().enumerate() {
        let is_used = page.iter().any(|byte| *byte != 0);
        match parts.last_mut().filter(|_| goes_on) {
            Some(part) if is_used => part.bytes.extend(page),
            _ if is_used => parts.push(Region {
                name: segment.name.clone(),
                start: segment.start + number * PAGE,
                bytes: page.to_vec(),
            }),
            _ => {}
        }
        goes_on = is_used;
    }
    parts
}

const PAGE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_written_to_is_left_out() {
        let mut bytes = vec![0; 5 * PAGE + 7];
        bytes[PAGE] = 1;
        bytes[3 * PAGE - 1] = 2;
        bytes[5 * PAGE + 6] = 3;
        let parts = used_parts(&Region { name: String::new(), start: 0x1000, bytes });
        let places: Vec<_> = parts.iter().map(|part| (part.start, part.bytes.len())).collect();
        assert_eq!(places, [(0x2000, 2 * PAGE), (0x6000, 7)]);
    }
}
