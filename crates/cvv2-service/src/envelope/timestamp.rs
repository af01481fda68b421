//! The timestamp of a request, in the forms that senders use.

use std::borrow::Cow;

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

/// Reads a timestamp; `None` if it has no known form or is no date of the calendar.
///
/// | form | example |
/// |---|---|
/// | RFC 3339 | `2020-07-20T10:49:02.366+04:00`, `…02Z` |
/// | its offset without a colon | `2020-07-20T10:49:02.366+0400` |
/// | a colon before the milliseconds | `2020-07-20T10:49:02:366+04:00` |
/// | day first, in the service's own offset | `20/07/2020 10:49:02` |
///
/// The second and third may come together. As in RFC 3339, `T` and `Z` may be small, a blank may
/// stand for `T`, and a leap second is one only where UTC can have one.
pub(super) fn parse(text: &str, local: UtcOffset) -> Option<OffsetDateTime> {
    // All forms are ASCII; the positions below are those of characters then.
    if !text.is_ascii() {
        return None;
    }
    match text.as_bytes().get(2) {
        Some(b'/') => parse_day_first(text, local),
        _ => parse_rfc3339(text),
    }
}

fn parse_rfc3339(text: &str) -> Option<OffsetDateTime> {
    const SEPARATOR_AT: usize = 10;
    const FRACTION_AT: usize = 19;

    // `time` lets any character separate date and time.
    if !matches!(text.as_bytes().get(SEPARATOR_AT), Some(b'T' | b't' | b' ')) {
        return None;
    }
    let mut text = Cow::Borrowed(text);
    if let Some([b':', millis @ .., after]) = text.as_bytes().get(FRACTION_AT..FRACTION_AT + 5)
        && millis.iter().all(u8::is_ascii_digit)
        && !after.is_ascii_digit()
    {
        text.to_mut().replace_range(FRACTION_AT..=FRACTION_AT, ".");
    }
    if let Some([b'+' | b'-', digits @ ..]) = text.as_bytes().last_chunk::<5>()
        && digits.iter().all(u8::is_ascii_digit)
    {
        let minutes_at = text.len() - 2;
        text.to_mut().insert(minutes_at, ':');
    }
    OffsetDateTime::parse(&text, &Rfc3339).ok()
}

fn parse_day_first(text: &str, local: UtcOffset) -> Option<OffsetDateTime> {
    const LEN: usize = "DD/MM/YYYY HH:MM:SS".len();

    let form = format_description!("[day]/[month]/[year] [hour]:[minute]:[second]");
    // `time` lets a sign precede the year.
    let read = PrimitiveDateTime::parse(text, form).ok().filter(|_| text.len() == LEN);
    read.map(|read| read.assume_offset(local))
}

#[cfg(test)]
mod tests {
    use time::macros::{datetime, offset};

    use super::*;

    #[test]
    fn every_form_is_read() {
        let millis = datetime!(2020-07-20 10:49:02.366 +4);
        for (text, expected) in [
            ("2020-07-20T10:49:02.366+04:00", millis),
            ("2020-07-20T10:49:02.366+0400", millis),
            ("2020-07-20T10:49:02:366+04:00", millis),
            ("2020-07-20T10:49:02:366+0400", millis),
            ("2020-07-20t06:49:02.366z", millis),
            ("2020-07-20 06:49:02:366Z", millis),
            ("2020-07-20T10:49:02Z", datetime!(2020-07-20 10:49:02 UTC)),
            ("2020-07-20T10:49:02-0330", datetime!(2020-07-20 10:49:02 -3:30)),
            ("2020-07-20T10:49:02.3Z", datetime!(2020-07-20 10:49:02.3 UTC)),
            ("2020-07-20T10:49:02.123456789Z", datetime!(2020-07-20 10:49:02.123456789 UTC)),
            ("2020-07-20T10:49:02.1234567890Z", datetime!(2020-07-20 10:49:02.123456789 UTC)),
            ("2020-02-29T00:00:00Z", datetime!(2020-02-29 0:00 UTC)),
            ("2000-02-29T23:59:59-00:00", datetime!(2000-02-29 23:59:59 UTC)),
            ("2016-12-31T23:59:60Z", datetime!(2016-12-31 23:59:59.999999999 UTC)),
            ("20/07/2020 10:49:02", datetime!(2020-07-20 10:49:02 +4)),
            ("29/02/2024 23:59:59", datetime!(2024-02-29 23:59:59 +4)),
        ] {
            assert_eq!(parse(text, offset!(+4)), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_or_has_another_form_is_refused() {
        for text in [
            "",
            "now",
            "1595227742",
            "2020-07-20",
            "10:49:02",
            "2020-07-20T10:49:02",        // no offset
            "2020-07-20T10:49:02.366",    // no offset
            "2020-07-20T10:49Z",          // no seconds
            "2020-07-20T10:49:02.Z",      // no digit after the point
            "2020-07-20T10:49:02,366Z",   // a comma
            "2020-07-20T10:49:02:36Z",    // a colon before two digits
            "2020-07-20T10:49:02:3666Z",  // a colon before four digits
            "2020-07-20T10:49:02+04",     // hours only
            "2020-07-20T10:49:02+4:00",   // one digit
            "2020-07-20T10:49:02+24:00",  // no such offset
            "2020-07-20T10:49:02+04:60",  // no such offset
            "2020-07-20T10:49:02 +04:00", // a blank
            "2020-07-20X10:49:02Z",       // another separator
            "2020-07-20T24:00:00Z",       // no such hour
            "2020-07-20T10:60:02Z",       // no such minute
            "2020-07-20T10:49:60Z",       // no leap second there
            "2020-07-20T10:49:61Z",       // no such second
            "2020-00-20T10:49:02Z",       // no such month
            "2020-13-20T10:49:02Z",       // no such month
            "2020-07-00T10:49:02Z",       // no such day
            "2020-06-31T10:49:02Z",       // no such day
            "2021-02-29T10:49:02Z",       // no leap year
            "1900-02-29T10:49:02Z",       // no leap year
            "20-07-20T10:49:02Z",         // two digits of the year
            "+2020-07-20T10:49:02Z",      // a sign
            "2020-7-20T10:49:02Z",        // one digit
            " 2020-07-20T10:49:02Z",      // a blank before
            "2020-07-20T10:49:02Z ",      // a blank behind
            "２020-07-20T10:49:02Z",      // a digit of another script
            "30/02/2020 10:49:02",        // no such day
            "29/02/2021 10:49:02",        // no leap year
            "07/20/2020 10:49:02",        // month first
            "20/07/20 10:49:02",          // two digits of the year
            "20/7/2020 10:49:02",         // one digit
            "20/07/2020T10:49:02",        // a T
            "20/07/2020 10:49",           // no seconds
            "20/07/2020 10:49:02.366",    // a fraction
            "20/07/2020 10:49:02+04:00",  // an offset
            "20/07/2020 10:49:60",        // no leap second there
            "20/07/+2020 10:49:02",       // a sign
            "20/07/2020 10:49:02 AM",     // half a day
            "20-07-2020 10:49:02",        // other separators
            "2020/07/20 10:49:02",        // other separators
        ] {
            assert_eq!(parse(text, offset!(+4)), None, "{text}");
        }
    }
}
