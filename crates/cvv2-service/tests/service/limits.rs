//! Sizes and depths at their seams, and bytes that are no text.

use cvv2_service::envelope::Function;

use crate::bank::{REQUEST, ask, caller, read, service};

const BYTES_MAX: usize = 16 * 1024;

#[test]
fn sixteen_kibibytes_and_not_a_byte_more() {
    let padded = |bytes: usize| format!("{REQUEST}{}", " ".repeat(bytes - REQUEST.len()));
    for (bytes, code) in [(BYTES_MAX - 1, "000"), (BYTES_MAX, "000"), (BYTES_MAX + 1, "101")] {
        let answer = ask(&padded(bytes));
        assert_eq!(answer.code(), code, "{bytes} bytes");
    }
    let answer = ask(&padded(BYTES_MAX + 1));
    assert_eq!(answer.description(), "the request has more than 16384 bytes");
    assert_eq!(ask(&"x".repeat(1 << 20)).code(), "101");
}

#[test]
fn one_hundred_and_twenty_seven_levels_and_no_stack_overflow() {
    let nested = |levels: usize| {
        let extra = format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        // Three objects are around the extra field.
        REQUEST.replacen(r#""header": {"#, &format!(r#""extra": {extra}, "header": {{"#), 1)
    };
    assert_eq!(ask(&nested(124)).code(), "000");
    assert_eq!(ask(&nested(125)).code(), "101");
    for bracket in ["[", r#"{"a":"#] {
        assert_eq!(ask(&bracket.repeat(BYTES_MAX / bracket.len())).code(), "101");
    }
}

#[test]
fn bytes_that_are_no_utf8() {
    for (from, to) in [
        ("IVR", &b"IV\xff"[..]),
        ("IVR", b"\xc0\xaf"),         // an overlong slash
        ("IVR", b"\xed\xa0\x80"),     // half a surrogate pair
        ("IVR", b"\xf4\x90\x80\x80"), // beyond the last character
        ("msg_id", b"msg_id\xff"),
        ("{", b"\xef\xbb\xbf{"), // a byte order mark
        ("{", b"\xff\xfe{\x00"), // UTF-16
    ] {
        let at = REQUEST.find(from).unwrap();
        let request =
            [&REQUEST.as_bytes()[..at], to, &REQUEST.as_bytes()[at + from.len()..]].concat();
        let answer = read(&service().handle(Function::GetCvv2, &caller(), &request));
        assert_eq!((answer.code(), answer.http_status), ("101", 400), "{to:?}");
        assert!(answer.description().starts_with("the request is not JSON at line "));
    }
}

#[test]
fn many_keys_are_no_quadratic_work() {
    let keys: Vec<_> = (0..1800).map(|key| format!(r#""{key}":1"#)).collect();
    let keys = keys.join(",");
    let request = REQUEST.replacen(r#""header": {"#, &format!(r#"{keys}, "header": {{"#), 1);
    assert!(request.len() < BYTES_MAX);
    assert_eq!(ask(&request).code(), "000");
}
