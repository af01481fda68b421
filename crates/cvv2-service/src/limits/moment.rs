//! Times and spans as limits count them, in milliseconds.

use time::OffsetDateTime;

/// A time, in milliseconds since 1970. What is before has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

impl Moment {
    pub(super) fn of(time: OffsetDateTime) -> Self {
        let millis = time.unix_timestamp_nanos() / 1_000_000;
        Self(u64::try_from(millis.max(0)).expect("a time has fewer than 2^64 milliseconds"))
    }

    pub(super) const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    pub(super) const fn millis(self) -> u64 {
        self.0
    }

    /// How long ago the other was; nothing, if it is to come.
    pub(super) const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    pub(super) const fn after(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

/// How long something takes, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span(u64);

impl Span {
    pub(super) const MINUTE: Self = Self(60_000);
    pub(super) const HOUR: Self = Self(60 * Self::MINUTE.0);
    pub(super) const DAY: Self = Self(24 * Self::HOUR.0);

    pub(super) const fn from_minutes(minutes: u32) -> Self {
        Self(minutes as u64 * Self::MINUTE.0)
    }

    pub(super) const fn from_hours(hours: u32) -> Self {
        Self(hours as u64 * Self::HOUR.0)
    }

    pub(super) const fn millis(self) -> u64 {
        self.0
    }

    /// In whole seconds, rounded up.
    pub(super) const fn seconds(self) -> u64 {
        self.0.div_ceil(1000)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn times_are_counted_in_whole_milliseconds_from_1970() {
        assert_eq!(Moment::of(datetime!(1970-01-01 0:00:01.0019 UTC)), Moment(1001));
        assert_eq!(Moment::of(datetime!(1970-01-01 1:00 +1)), Moment(0));
        assert_eq!(Moment::of(datetime!(1969-12-31 0:00 UTC)), Moment(0));
        assert_eq!(Moment(5).since(Moment(7)), Span(0));
        assert_eq!((Span(0).seconds(), Span(1).seconds(), Span(1000).seconds()), (0, 1, 1));
    }
}
