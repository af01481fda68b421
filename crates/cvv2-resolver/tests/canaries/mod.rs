//! What to search for where nothing readable may be.

/// The shapes in which digits could lie in a file.
pub(crate) fn forms(digits: &str) -> Vec<(&'static str, Vec<u8>)> {
    let packed = |digits: &str| {
        let even = &digits[..digits.len() / 2 * 2];
        hex::decode(even).unwrap()
    };
    let mut forms = vec![
        ("ASCII", digits.as_bytes().to_vec()),
        ("digit values", digits.bytes().map(|ascii| ascii - b'0').collect()),
        ("BCD", packed(digits)),
        ("BCD, half a byte off", packed(&digits[1..])),
        ("hex of the ASCII", hex::encode(digits).into_bytes()),
        ("UTF-16", digits.bytes().flat_map(|ascii| [ascii, 0]).collect()),
    ];
    if let Ok(value) = digits.parse::<u64>() {
        forms.push(("little-endian number", value.to_le_bytes()[..7].to_vec()));
        forms.push(("big-endian number", value.to_be_bytes()[1..].to_vec()));
    }
    forms
}

/// Whether `needle` is anywhere in `bytes`.
pub(crate) fn is_in(bytes: &[u8], needle: &[u8]) -> bool {
    // Most windows differ in their first byte already.
    bytes.windows(needle.len()).any(|window| window[0] == needle[0] && window == needle)
}
