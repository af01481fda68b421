//! The memory in a core file.

use crate::process::Region;

/// The segments of memory and the notes, which hold registers.
///
/// # Source
///
/// System V ABI, "Object files": the headers of a 64-bit ELF file, little-endian.
pub(crate) fn segments(file: &[u8]) -> Vec<Region> {
    assert_eq!(file[..6], *b"\x7FELF\x02\x01", "a core file of a 64-bit little-endian system");
    let headers = number(file, 32, 8);
    let (size, count) = (number(file, 54, 2), number(file, 56, 2));
    (0..count)
        .filter_map(|at| {
            let header = &file[headers + at * size..][..size];
            let name = match number(header, 0, 4) {
                LOAD => "core",
                NOTE => "registers and other notes of the core",
                _ => return None,
            };
            let (offset, start, len) =
                (number(header, 8, 8), number(header, 16, 8), number(header, 32, 8));
            Some(Region { name: name.into(), start, bytes: file[offset..][..len].to_vec() })
        })
        .collect()
}

fn number(bytes: &[u8], at: usize, size: usize) -> usize {
    let mut number = [0; 8];
    number[..size].copy_from_slice(&bytes[at..][..size]);
    usize::from_le_bytes(number)
}

const LOAD: usize = 1;
const NOTE: usize = 4;
