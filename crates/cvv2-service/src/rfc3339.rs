//! Moments as text, in the two forms that the service writes.
//!
//! Each answer and each record has one, so they are put together without a formatter.

use time::{OffsetDateTime, UtcOffset};

/// A moment in the form of RFC 3339: no more than four digits for the year.
#[derive(Clone, Copy)]
pub(crate) struct Rfc3339<const LEN: usize>([u8; LEN]);

impl<const LEN: usize> Rfc3339<LEN> {
    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("digits and their separators are text")
    }
}

/// With milliseconds and the moment's own offset: `2023-02-01T16:39:47.314+04:00`.
pub(crate) fn millis(moment: OffsetDateTime) -> Rfc3339<29> {
    let mut text = *b"0000-00-00T00:00:00.000+00:00";
    put_date_and_time(&mut text, moment);
    put(&mut text[20..23], moment.millisecond().into());
    let offset = moment.offset();
    if offset.is_negative() {
        text[23] = b'-';
    }
    put(&mut text[24..26], offset.whole_hours().unsigned_abs().into());
    put(&mut text[27..29], offset.minutes_past_hour().unsigned_abs().into());
    Rfc3339(text)
}

/// With microseconds, in UTC: `2026-01-02T03:04:05.678901Z`.
pub(crate) fn micros_utc(moment: OffsetDateTime) -> Rfc3339<27> {
    let moment = moment.to_offset(UtcOffset::UTC);
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    put_date_and_time(&mut text, moment);
    put(&mut text[20..26], moment.microsecond());
    Rfc3339(text)
}

fn put_date_and_time(text: &mut [u8], moment: OffsetDateTime) {
    let (year, month, day) = moment.to_calendar_date();
    let (hour, minute, second) = moment.to_hms();
    // A clock that shows a year before our era shows no time at all.
    put(&mut text[0..4], u32::try_from(year).unwrap_or(0));
    put(&mut text[5..7], u8::from(month).into());
    put(&mut text[8..10], day.into());
    put(&mut text[11..13], hour.into());
    put(&mut text[14..16], minute.into());
    put(&mut text[17..19], second.into());
}

/// Writes a number in as many digits as there are places.
fn put(places: &mut [u8], mut number: u32) {
    for place in places.iter_mut().rev() {
        *place = b"0123456789"[(number % 10) as usize];
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::{datetime, format_description};

    use super::*;

    #[test]
    fn answers_have_milliseconds_and_an_offset() {
        for (now, text) in [
            (datetime!(2023-02-01 16:39:47.314 +4), "2023-02-01T16:39:47.314+04:00"),
            (datetime!(2023-02-01 16:39:47.3149 UTC), "2023-02-01T16:39:47.314+00:00"),
            (datetime!(2023-02-01 16:39:47 -3:30), "2023-02-01T16:39:47.000-03:30"),
            (datetime!(2023-02-01 16:39:47 -0:30), "2023-02-01T16:39:47.000-00:30"),
        ] {
            assert_eq!(millis(now).as_str(), text);
        }
    }

    proptest! {
        #[test]
        fn they_are_what_a_formatter_writes(
            seconds in -62_167_046_400_i64..253_402_214_400, // the years from 0 to 9999
            nanos in 0..1_000_000_000_i64,
            offset_minutes in -1439..=1439_i32,
        ) {
            let offset = UtcOffset::from_whole_seconds(60 * offset_minutes).unwrap();
            let moment = OffsetDateTime::from_unix_timestamp(seconds).unwrap().to_offset(offset);
            let moment = moment + time::Duration::nanoseconds(nanos);
            prop_assert_eq!(
                millis(moment).as_str().to_owned(),
                moment
                    .format(format_description!(
                        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]\
                         [offset_hour sign:mandatory]:[offset_minute]"
                    ))
                    .unwrap()
            );
            prop_assert_eq!(
                micros_utc(moment).as_str().to_owned(),
                moment
                    .to_offset(UtcOffset::UTC)
                    .format(format_description!(
                        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z"
                    ))
                    .unwrap()
            );
        }
    }
}
